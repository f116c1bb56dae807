//! AWS KMS (awsJson1.1): what an audit reads of keys, and the signatures of seals.

mod lookup;
mod metadata;
mod signing;

pub use signing::KmsState;

use serde_json::{Map, Value, json};

use super::{gate, json};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::keys::Key;
use lookup::Found;

/// Answers a request to KMS.
pub fn handle(
    world: &World,
    state: &KmsState,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    let action = format!("kms:{}", request.operation);
    gate::admit(world, request, &action)?;
    let input = json::input(request)?;
    let body = match request.operation.as_str() {
        "ListKeys" => list_keys(world, request, &input)?,
        "ListAliases" => list_aliases(world, request, &input)?,
        "DescribeKey" => describe_key(world, state, now_ms, request, &input)?,
        "GetKeyPolicy" => {
            let key = own_key(world, request, &input, &action)?;
            let policy = key.policy(&world.organization.id);
            json!({"Policy": policy, "PolicyName": "default"})
        }
        "ListResourceTags" => {
            let key = own_key(world, request, &input, &action)?;
            let tags = key.tags();
            let (page, next) = page(&tags, &input, 50)?;
            let tags = page
                .iter()
                .map(|(key, value)| json!({"TagKey": key, "TagValue": value}));
            listing("Tags", tags.collect(), next)
        }
        "GetKeyRotationStatus" => {
            metadata::rotation(key_by_id(world, request, &input, &action)?, now_ms)?
        }
        "ListGrants" => {
            let grants = key_by_id(world, request, &input, &action)?.grants();
            let (page, next) = page(&grants, &input, 50)?;
            listing("Grants", page.to_vec(), next)
        }
        "GetPublicKey" | "Sign" => {
            let id = json::required(&input, "KeyId")?;
            let key = existing(lookup::find(world, request, id)?)?;
            lookup::authorize(request, key, &action)?;
            if request.operation == "Sign" {
                signing::sign(state, key, &input)?
            } else {
                signing::public_key(state, key)?
            }
        }
        _ => return Err(json::unknown_operation(request)),
    };
    Ok(json::reply(&body))
}

fn describe_key(
    world: &World,
    state: &KmsState,
    now_ms: i64,
    request: &Request,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let id = json::required(input, "KeyId")?;
    let key = match lookup::find(world, request, id)? {
        Found::Key(key) => key,
        // Looking at a predefined alias makes AWS create its key: what an audit must never cause.
        Found::AwsManagedAlias(name) => {
            state.create_aws_managed();
            return Ok(metadata::created_aws_managed(request, name, now_ms));
        }
    };
    lookup::authorize(request, key, "kms:DescribeKey")?;
    Ok(json!({"KeyMetadata": metadata::of(key, now_ms)}))
}

fn list_keys(
    world: &World,
    request: &Request,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let here = world.account_region(&request.caller.account, &request.region);
    let keys = here.map(|here| here.keys.as_slice()).unwrap_or_default();
    let (page, next) = page(keys, input, 100)?;
    let keys = page
        .iter()
        .map(|key| json!({"KeyId": key.id, "KeyArn": key.arn()}));
    Ok(listing("Keys", keys.collect(), next))
}

fn list_aliases(
    world: &World,
    request: &Request,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let account = &request.caller.account;
    let here = world.account_region(account, &request.region);
    let only = match json::text(input, "KeyId") {
        None => None,
        Some(id) => match lookup::find(world, request, id)? {
            Found::Key(key) => Some(key.id.as_str()),
            Found::AwsManagedAlias(name) => return Err(lookup::invalid_id(name)),
        },
    };
    let aliases: Vec<_> = here
        .into_iter()
        .flat_map(|here| &here.aliases)
        .filter(|alias| only.is_none() || alias.target.as_deref() == only)
        .collect();
    let (page, next) = page(&aliases, input, 50)?;
    let shown = page.iter().map(|alias| {
        let arn = format!("arn:aws:kms:{}:{account}:{}", request.region, alias.name);
        let mut entry = json!({"AliasName": alias.name, "AliasArn": arn});
        if let Some(target) = &alias.target {
            entry["TargetKeyId"] = json!(target);
            entry["CreationDate"] = json::seconds(alias.created_ms);
            entry["LastUpdatedDate"] = json::seconds(alias.updated_ms);
        }
        entry
    });
    Ok(listing("Aliases", shown.collect(), next))
}

/// The key of an id or key ARN that the caller may use for this action, across accounts too.
fn key_by_id<'a>(
    world: &'a World,
    request: &Request,
    input: &Map<String, Value>,
    action: &str,
) -> Result<&'a Key, AwsError> {
    let id = json::required(input, "KeyId")?;
    if id.contains("alias/") {
        return Err(lookup::invalid_id(id));
    }
    let key = existing(lookup::find(world, request, id)?)?;
    lookup::authorize(request, key, action)?;
    Ok(key)
}

/// [`key_by_id`] for the operations that work in the owner's account only.
fn own_key<'a>(
    world: &'a World,
    request: &Request,
    input: &Map<String, Value>,
    action: &str,
) -> Result<&'a Key, AwsError> {
    let key = key_by_id(world, request, input, action)?;
    if key.account_id == request.caller.account {
        Ok(key)
    } else {
        Err(lookup::denied(request, &key.arn(), action))
    }
}

fn existing(found: Found<'_>) -> Result<&Key, AwsError> {
    match found {
        Found::Key(key) => Ok(key),
        Found::AwsManagedAlias(name) => Err(lookup::invalid_id(name)),
    }
}

fn page<'a, T>(
    items: &'a [T],
    input: &Map<String, Value>,
    default: usize,
) -> Result<(&'a [T], Option<usize>), AwsError> {
    let from = match json::text(input, "Marker") {
        None => 0,
        Some(marker) => json::position(marker).ok_or_else(|| {
            AwsError::new(400, "InvalidMarkerException", "the marker is not valid")
        })?,
    };
    Ok(json::page(
        items,
        from,
        json::page_size(input, "Limit", default, 1_000)?,
    ))
}

fn listing(name: &str, items: Vec<Value>, next: Option<usize>) -> Value {
    let mut body = json!({"Truncated": next.is_some()});
    body[name] = Value::Array(items);
    if let Some(next) = next {
        body["NextMarker"] = json!(json::token(next));
    }
    body
}

#[cfg(test)]
mod tests;
