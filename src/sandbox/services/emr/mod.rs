//! Amazon EMR (awsJson1.1): clusters and security configurations.

mod activity;
mod cluster;

use serde_json::{Map, Value, json};

use super::{gate, json};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::account_region::AccountRegion;
use crate::sandbox::world::clusters::Cluster;

/// Items in one page of every EMR list; callers cannot choose.
const PAGE: usize = 50;

/// Answers a request to EMR.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let action = format!("elasticmapreduce:{}", request.operation);
    gate::admit(world, request, &action)?;
    let input = json::input(request)?;
    let here = world.account_region(&request.caller.account, &request.region);
    let body = match request.operation.as_str() {
        "ListClusters" => list_clusters(here, now_ms, &input)?,
        "DescribeCluster" => describe_cluster(here, now_ms, &input)?,
        "ListSteps" => list_steps(world, here, now_ms, &input)?,
        "ListSessions" => list_sessions(here, now_ms, &input)?,
        "ListSecurityConfigurations" => list_security_configurations(here, now_ms, &input)?,
        "DescribeSecurityConfiguration" => describe_security_configuration(here, now_ms, &input)?,
        _ => return Err(json::unknown_operation(request)),
    };
    Ok(json::reply(&body))
}

fn list_clusters(
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let after = millis(input, "CreatedAfter")?.unwrap_or(i64::MIN);
    let before = millis(input, "CreatedBefore")?.unwrap_or(i64::MAX);
    let states = json::texts(input, "ClusterStates");
    let from = start(input)?;
    let Some(here) = here else {
        return Ok(json!({"Clusters": []}));
    };

    // The marker is a position in the unfiltered list, newest first: clusters that change state
    // between two pages shift nothing, though one may be missed, as AWS documents.
    let mut listed = Vec::new();
    let mut next = None;
    for (position, cluster) in here.clusters().iter().enumerate().skip(from) {
        let recipe = here.recipe(cluster);
        let wanted = cluster.is_visible_at(now_ms)
            && (after..=before).contains(&cluster.created_ms)
            && (states.is_empty() || states.contains(&cluster.state_at(now_ms, recipe).as_str()));
        if !wanted {
            continue;
        }
        if listed.len() == PAGE {
            next = Some(position);
            break;
        }
        listed.push(cluster::summary(here, cluster, now_ms));
    }
    Ok(with_marker(json!({"Clusters": listed}), next))
}

fn describe_cluster(
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let id = json::text(input, "ClusterId").unwrap_or_default();
    let found = here.and_then(|here| {
        let cluster = here
            .cluster(id)
            .filter(|cluster| cluster.is_visible_at(now_ms))?;
        Some(cluster::detail(here, cluster, now_ms))
    });
    match found {
        Some(cluster) => Ok(json!({"Cluster": cluster})),
        None => Err(invalid(format!("Cluster id '{id}' is not valid."))),
    }
}

fn visible<'h>(
    here: Option<&'h AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<(&'h AccountRegion, &'h Cluster), AwsError> {
    let id = json::text(input, "ClusterId").unwrap_or_default();
    here.and_then(|here| {
        let cluster = here.cluster(id)?;
        cluster.is_visible_at(now_ms).then_some((here, cluster))
    })
    .ok_or_else(|| invalid(format!("Cluster id '{id}' is not valid.")))
}

fn list_steps(
    world: &World,
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let from = start(input)?;
    let (here, cluster) = visible(here, now_ms, input)?;
    let steps = activity::steps(world, here, cluster, now_ms);
    let (page, next) = json::page(&steps, from, PAGE);
    Ok(with_marker(json!({"Steps": page}), next))
}

fn list_sessions(
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let from = match json::text(input, "NextToken") {
        None => 0,
        Some(token) => json::position(token)
            .ok_or_else(|| invalid(format!("NextToken '{token}' is not valid.")))?,
    };
    let (here, cluster) = visible(here, now_ms, input)?;
    let sessions = activity::sessions(here, cluster, now_ms);
    let (page, next) = json::page(&sessions, from, PAGE);
    let mut body = json!({"Sessions": page});
    if let Some(next) = next {
        body["NextToken"] = json!(json::token(next));
    }
    Ok(body)
}

fn list_security_configurations(
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let known: Vec<_> = here
        .into_iter()
        .flat_map(|here| &here.security_configurations)
        .filter(|configuration| configuration.created_ms <= now_ms)
        .collect();
    let (page, next) = json::page(&known, start(input)?, PAGE);
    let listed: Vec<Value> = page
        .iter()
        .map(|c| json!({"Name": c.name, "CreationDateTime": json::seconds(c.created_ms)}))
        .collect();
    Ok(with_marker(json!({"SecurityConfigurations": listed}), next))
}

fn describe_security_configuration(
    here: Option<&AccountRegion>,
    now_ms: i64,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let name = json::text(input, "Name").unwrap_or_default();
    let found = here
        .into_iter()
        .flat_map(|here| &here.security_configurations)
        .find(|configuration| configuration.name == name && configuration.created_ms <= now_ms);
    match found {
        Some(found) => Ok(json!({
            "Name": found.name,
            "CreationDateTime": json::seconds(found.created_ms),
            "SecurityConfiguration": found.document,
        })),
        None => Err(invalid(format!(
            "Security configuration with name '{name}' does not exist."
        ))),
    }
}

fn start(input: &Map<String, Value>) -> Result<usize, AwsError> {
    match json::text(input, "Marker") {
        None => Ok(0),
        Some(marker) => json::position(marker)
            .ok_or_else(|| invalid(format!("Marker '{marker}' is not valid."))),
    }
}

fn with_marker(mut body: Value, next: Option<usize>) -> Value {
    if let Some(next) = next {
        body["Marker"] = json!(json::token(next));
    }
    body
}

/// A timestamp member, which arrives in seconds.
fn millis(input: &Map<String, Value>, name: &str) -> Result<Option<i64>, AwsError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some((seconds * 1_000.0).round() as i64)),
            None => Err(AwsError::new(
                400,
                "SerializationException",
                format!("{name} is no time"),
            )),
        },
    }
}

fn invalid(message: String) -> AwsError {
    AwsError::new(400, "InvalidRequestException", message)
}

#[cfg(test)]
mod tests;
