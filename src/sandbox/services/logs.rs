//! CloudWatch Logs (awsJson1.1): log groups.

use serde_json::{Value, json};

use super::{gate, json};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};

/// Groups in one page, unless the caller asks for fewer.
const PAGE: usize = 50;

/// Answers a request to CloudWatch Logs.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    gate::admit(world, request, &format!("logs:{}", request.operation))?;
    let input = json::input(request)?;
    if request.operation != "DescribeLogGroups" {
        return Err(json::unknown_operation(request));
    }
    let prefix = json::text(&input, "logGroupNamePrefix").unwrap_or_default();
    let from = match json::text(&input, "nextToken") {
        None => 0,
        Some(token) => json::position(token).ok_or_else(|| {
            AwsError::new(
                400,
                "InvalidParameterException",
                "The specified nextToken is invalid.",
            )
        })?,
    };
    let limit = input.get("limit").and_then(Value::as_u64);
    let limit = limit.map_or(PAGE, |n| (n as usize).clamp(1, PAGE));
    let here = world.account_region(&request.caller.account, &request.region);
    let known: Vec<_> = here
        .into_iter()
        .flat_map(|here| &here.log_groups)
        .filter(|group| group.created_ms <= now_ms && group.name.starts_with(prefix))
        .collect();
    let (page, next) = json::page(&known, from, limit);
    let groups = page.iter().map(|group| {
        let (account, region) = (&request.caller.account, &request.region);
        let mut shown = json!({
            "logGroupName": group.name,
            "creationTime": group.created_ms,
            "metricFilterCount": 0,
            "storedBytes": 4_096,
            "logGroupClass": "STANDARD",
            "arn": format!("arn:aws:logs:{region}:{account}:log-group:{}:*", group.name),
        });
        if let Some(key) = &group.kms_key {
            shown["kmsKeyId"] = json!(key);
        }
        shown
    });
    let mut body = json!({"logGroups": groups.collect::<Vec<_>>()});
    if let Some(next) = next {
        body["nextToken"] = json!(json::token(next));
    }
    Ok(json::reply(&body))
}
