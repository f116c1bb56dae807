//! From a `KeyId` member to a key that the caller may use.

use super::super::gate;
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request};
use crate::sandbox::world::keys::Key;

/// What a `KeyId` names.
pub(super) enum Found<'a> {
    Key(&'a Key),
    /// A predefined `alias/aws/…` whose key does not exist yet.
    AwsManagedAlias(&'a str),
}

/// Finds a key by id, key ARN, alias name or alias ARN. Ids and names without an ARN belong to the
/// caller's account; ARNs of another Region are not looked for.
pub(super) fn find<'a>(
    world: &'a World,
    request: &Request,
    id: &str,
) -> Result<Found<'a>, AwsError> {
    let caller = request.caller.account.as_str();
    let (account, resource) = if id.starts_with("arn:") {
        let parts: Vec<&str> = id.splitn(6, ':').collect();
        let [_, "aws", "kms", region, account, resource] = parts[..] else {
            return Err(not_found(&format!("Invalid arn {id}")));
        };
        if region != request.region {
            return Err(not_found(&format!("Invalid arn {region}")));
        }
        (account, resource)
    } else if id.starts_with("alias/") {
        (caller, id)
    } else {
        return find_id(world, request, caller, id).map(Found::Key);
    };
    if let Some(id) = resource.strip_prefix("key/") {
        return find_id(world, request, account, id).map(Found::Key);
    }
    if !resource.starts_with("alias/") {
        return Err(invalid_id(id));
    }
    let here = world.account_region(account, &request.region);
    match here.and_then(|here| Some((here, here.alias(resource)?))) {
        Some((here, alias)) => match &alias.target {
            Some(target) => here
                .key(target)
                .map(Found::Key)
                .ok_or_else(|| invalid_id(id)),
            None => Ok(Found::AwsManagedAlias(&alias.name)),
        },
        None if account != caller => Err(denied(request, id, &action(request))),
        None => {
            let region = &request.region;
            Err(not_found(&format!(
                "Alias arn:aws:kms:{region}:{account}:{resource} is not found."
            )))
        }
    }
}

fn find_id<'a>(
    world: &'a World,
    request: &Request,
    account: &str,
    id: &str,
) -> Result<&'a Key, AwsError> {
    let here = world.account_region(account, &request.region);
    here.and_then(|here| here.key(id)).ok_or_else(|| {
        let arn = format!("arn:aws:kms:{}:{account}:key/{id}", request.region);
        // KMS does not tell strangers which keys exist.
        if account == request.caller.account {
            not_found(&format!("Key '{arn}' does not exist"))
        } else {
            denied(request, &arn, &action(request))
        }
    })
}

/// Whether the key's policy lets the caller do this.
pub(super) fn authorize(request: &Request, key: &Key, action: &str) -> Result<(), AwsError> {
    const ACROSS_ACCOUNTS: [&str; 5] = [
        "kms:DescribeKey",
        "kms:GetKeyRotationStatus",
        "kms:GetPublicKey",
        "kms:ListGrants",
        "kms:Sign",
    ];
    if action == "kms:GetKeyPolicy" && key.hides_its_policy() {
        let reason = "with an explicit deny in a resource-based policy";
        return Err(gate::denied(&request.caller, action, &key.arn(), reason));
    }
    let allowed = if key.account_id == request.caller.account {
        key.delegates_to_iam()
    } else {
        key.is_shared_with_organization() && ACROSS_ACCOUNTS.contains(&action)
    };
    if allowed {
        Ok(())
    } else {
        Err(denied(request, &key.arn(), action))
    }
}

pub(super) fn denied(request: &Request, resource: &str, action: &str) -> AwsError {
    let reason = format!("because no resource-based policy allows the {action} action");
    gate::denied(&request.caller, action, resource, &reason)
}

pub(super) fn invalid_id(id: &str) -> AwsError {
    not_found(&format!("Invalid keyId '{id}'"))
}

fn not_found(message: &str) -> AwsError {
    AwsError::new(400, "NotFoundException", message)
}

fn action(request: &Request) -> String {
    format!("kms:{}", request.operation)
}
