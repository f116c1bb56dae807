//! AWS CloudTrail (awsJson1.1): event history, trails, and the keys of their digest files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::json::seconds;
use super::s3::public_key;
use super::{gate, json};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::launches::{self, Event};
use crate::sandbox::world::trails::{Trail, trails};

/// Most events in one page, and as many as come unasked.
const PAGE: usize = 50;

/// Answers a request to CloudTrail.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    gate::admit(world, request, &format!("cloudtrail:{}", request.operation))?;
    let input = json::input(request)?;
    let body = match request.operation.as_str() {
        "LookupEvents" => lookup_events(world, now_ms, request, &input)?,
        "DescribeTrails" => describe_trails(world, request, &input),
        "GetTrailStatus" => {
            let trail = trail(world, request, json::required(&input, "Name")?)?;
            status(&trail, now_ms)
        }
        "ListPublicKeys" => {
            let (fingerprint, key) = public_key();
            json!({"PublicKeyList": [{
                "Value": STANDARD.encode(key),
                "ValidityStartTime": seconds(world.options.at(-400, 0)),
                "ValidityEndTime": seconds(world.options.at(400, 0)),
                "Fingerprint": fingerprint,
            }]})
        }
        "GetEventSelectors" => {
            let trail = trail(world, request, json::required(&input, "TrailName")?)?;
            json!({
                "TrailARN": trail.arn,
                "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": true,
                    "DataResources": [], "ExcludeManagementEventSources": []}],
            })
        }
        _ => return Err(json::unknown_operation(request)),
    };
    Ok(json::reply(&body))
}

/// One attribute at most; the time range may be open.
fn lookup_events(
    world: &World,
    now_ms: i64,
    request: &Request,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let wanted = attribute(input)?;
    let from_ms = instant(input, "StartTime")?.unwrap_or(i64::MIN);
    let to_ms = instant(input, "EndTime")?.unwrap_or(i64::MAX);
    if from_ms > to_ms {
        return Err(invalid(
            "InvalidTimeRangeException",
            "The start time must not be after the end time.",
        ));
    }
    let limit = match input.get("MaxResults") {
        None | Some(Value::Null) => PAGE,
        Some(value) => match value.as_u64() {
            Some(n) if (1..=PAGE as u64).contains(&n) => n as usize,
            _ => {
                return Err(invalid(
                    "InvalidMaxResultsException",
                    "A page has 1 to 50 results.",
                ));
            }
        },
    };
    let from = match json::text(input, "NextToken") {
        None => 0,
        Some(token) => json::position(token).ok_or_else(|| {
            invalid(
                "InvalidNextTokenException",
                "The specified token is invalid.",
            )
        })?,
    };
    let here = world.account_region(&request.caller.account, &request.region);
    let in_time = |name: &str, at_ms: i64| {
        let named = match &wanted {
            Some(Wanted::Name(wanted)) => wanted == name,
            _ => true,
        };
        named && (from_ms..=to_ms).contains(&at_ms) && Event::is_visible_at(at_ms, now_ms)
    };
    let mut events = here.map_or_else(Vec::new, |here| launches::events(world, here, &in_time));
    events.retain(|event| wanted.as_ref().is_none_or(|wanted| wanted.matches(event)));
    let (page, next) = json::page(&events, from, limit);
    let mut body = json!({"Events": page.iter().map(shown).collect::<Vec<_>>()});
    if let Some(next) = next {
        body["NextToken"] = json!(json::token(next));
    }
    Ok(body)
}

fn shown(event: &Event) -> Value {
    json!({
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": "false",
        "EventTime": seconds(event.at_ms),
        "EventSource": event.source,
        "Username": event.user,
        "Resources": [],
        "CloudTrailEvent": event.record.to_string(),
    })
}

/// What one attribute asks for.
enum Wanted {
    Id(String),
    Name(String),
    Source(String),
    User(String),
    ReadOnly(bool),
    /// What no event of the sandbox has.
    Nothing,
}

impl Wanted {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Id(id) => event.id == *id,
            Self::Name(name) => event.name == name,
            Self::Source(source) => event.source == source,
            Self::User(user) => event.user == user,
            Self::ReadOnly(read_only) => !read_only,
            Self::Nothing => false,
        }
    }
}

fn attribute(input: &Map<String, Value>) -> Result<Option<Wanted>, AwsError> {
    let refused = |message| Err(invalid("InvalidLookupAttributesException", message));
    let given = input.get("LookupAttributes").and_then(Value::as_array);
    let attribute = match given.map(Vec::as_slice) {
        None | Some([]) => return Ok(None),
        Some([one]) => one,
        Some(_) => return refused("You can only specify one lookup attribute."),
    };
    let text = |name: &str| attribute.get(name).and_then(Value::as_str);
    let (Some(key), Some(value)) = (text("AttributeKey"), text("AttributeValue")) else {
        return refused("An attribute has a key and a value.");
    };
    let value = value.to_owned();
    Ok(Some(match key {
        "EventId" => Wanted::Id(value),
        "EventName" => Wanted::Name(value),
        "EventSource" => Wanted::Source(value),
        "Username" => Wanted::User(value),
        "ReadOnly" => Wanted::ReadOnly(value == "true"),
        "ResourceType" | "ResourceName" | "AccessKeyId" => Wanted::Nothing,
        _ => return refused("The attribute key is not valid."),
    }))
}

/// A trail of several Regions is shown in each; without its shadows, in its home alone.
fn describe_trails(world: &World, request: &Request, input: &Map<String, Value>) -> Value {
    let shadows = input.get("includeShadowTrails").and_then(Value::as_bool);
    let names = json::texts(input, "trailNameList");
    let trails = trails(world, &request.caller.account);
    let shown = trails.iter().filter(|trail| {
        (trail.home == request.region || shadows != Some(false))
            && (names.is_empty()
                || names.contains(&trail.name)
                || names.contains(&trail.arn.as_str()))
    });
    let list = shown.map(|trail| {
        json!({
            "Name": trail.name,
            "TrailARN": trail.arn,
            "HomeRegion": trail.home,
            "S3BucketName": trail.bucket,
            "IncludeGlobalServiceEvents": true,
            "IsMultiRegionTrail": true,
            "IsOrganizationTrail": trail.organization,
            "LogFileValidationEnabled": true,
            "HasCustomEventSelectors": false,
        })
    });
    json!({"trailList": list.collect::<Vec<_>>()})
}

/// By name in its home, by ARN from anywhere.
fn trail(world: &World, request: &Request, name: &str) -> Result<Trail, AwsError> {
    let trails = trails(world, &request.caller.account);
    let found = trails
        .into_iter()
        .find(|trail| trail.arn == name || (trail.name == name && trail.home == request.region));
    found.ok_or_else(|| {
        let message = format!(
            "Unknown trail: {name} for the user: {}",
            request.caller.account
        );
        AwsError::new(400, "TrailNotFoundException", message)
    })
}

fn status(trail: &Trail, now_ms: i64) -> Value {
    let stopped = trail.stopped_ms.filter(|at| *at <= now_ms);
    let mut body = json!({
        "IsLogging": stopped.is_none(),
        "StartLoggingTime": seconds(trail.started_ms),
        "LatestDeliveryTime": seconds(stopped.unwrap_or(now_ms - 300_000)),
    });
    if let Some(stopped) = stopped {
        body["StopLoggingTime"] = seconds(stopped);
    }
    body
}

fn instant(input: &Map<String, Value>, name: &str) -> Result<Option<i64>, AwsError> {
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

fn invalid(code: &str, message: &str) -> AwsError {
    AwsError::new(400, code, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::{body, request};
    use super::*;
    use crate::sandbox::Options;

    fn world() -> World {
        World::generate(&Options {
            accounts: 2,
            regions: 1,
            clusters: 12,
            days: 8,
            ..Options::default()
        })
    }

    fn ask(world: &World, now: i64, operation: &str, input: &Value) -> Result<Value, String> {
        let (account, region) = (world.accounts[1].id.as_str(), world.regions[0]);
        let request = request(account, region, operation, input);
        let answer = handle(world, now, &request);
        answer
            .map(|answer| body(&answer))
            .map_err(|error| error.code)
    }

    fn by_name(name: &str) -> Value {
        json!({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]})
    }

    fn all(world: &World, now: i64, mut input: Value) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let page = ask(world, now, "LookupEvents", &input).unwrap();
            let items = page["Events"].as_array().unwrap();
            assert!(items.len() <= PAGE);
            events.extend(items.clone());
            match page.get("NextToken") {
                Some(token) => input["NextToken"] = token.clone(),
                None => return events,
            }
        }
    }

    #[test]
    fn pages_lose_no_event_and_the_newest_come_first() {
        let world = world();
        let now = world.audit_ms(7);
        let events = all(&world, now, by_name("RunJobFlow"));
        assert!(events.len() > PAGE, "more than one page: {}", events.len());
        let ids: BTreeSet<_> = events.iter().map(|e| e["EventId"].as_str()).collect();
        assert_eq!(ids.len(), events.len());
        let times = events.iter().map(|e| e["EventTime"].as_f64());
        assert!(times.collect::<Vec<_>>().is_sorted_by(|a, b| a >= b));
        let record = events[0]["CloudTrailEvent"].as_str().unwrap();
        let record: Value = serde_json::from_str(record).unwrap();
        assert_eq!(record["eventID"], events[0]["EventId"]);
        // What is not 5 minutes old, or older than 90 days, is not shown.
        let just = events[0]["EventTime"].as_f64().unwrap() as i64 * 1_000;
        let soon = all(&world, just + launches::DELAY_MS - 1, by_name("RunJobFlow"));
        assert!(soon.iter().all(|e| e["EventId"] != events[0]["EventId"]));
    }

    #[test]
    fn a_time_range_includes_both_ends() {
        let world = world();
        let now = world.audit_ms(7);
        let events = all(&world, now, by_name("RunJobFlow"));
        let at = events[3]["EventTime"].clone();
        let mut input = by_name("RunJobFlow");
        input["StartTime"] = at.clone();
        input["EndTime"] = at.clone();
        let same = all(&world, now, input);
        assert!(same.iter().any(|e| e["EventId"] == events[3]["EventId"]));
        assert!(same.iter().all(|e| e["EventTime"] == at));
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let world = world();
        let now = world.audit_ms(1);
        let mut two = by_name("RunJobFlow");
        let one = two["LookupAttributes"][0].clone();
        two["LookupAttributes"] = json!([one, one]);
        for (input, code) in [
            (two, "InvalidLookupAttributesException"),
            (json!({"MaxResults": 51}), "InvalidMaxResultsException"),
            (
                json!({"StartTime": 2, "EndTime": 1}),
                "InvalidTimeRangeException",
            ),
            (json!({"NextToken": "made up"}), "InvalidNextTokenException"),
        ] {
            assert_eq!(
                ask(&world, now, "LookupEvents", &input),
                Err(code.to_owned())
            );
        }
        let unknown = ask(&world, now, "GetTrailStatus", &json!({"Name": "x"}));
        assert_eq!(unknown, Err("TrailNotFoundException".to_owned()));
    }

    #[test]
    fn every_story_of_a_refused_attempt_is_told() {
        let world = world();
        let truth = world.truth(world.audit_ms(7), None);
        let classes: BTreeSet<_> = truth.launches.iter().map(|l| l.class).collect();
        use launches::Class::*;
        for class in [
            AcceptedCompliant,
            AcceptedNoncompliant,
            DeniedNoncompliant,
            DeniedCompliant,
            DeniedParamsUnavailable,
            RejectedInvalid,
            Throttled,
        ] {
            assert!(classes.contains(&class), "{class:?}");
        }
        assert!(
            truth
                .launches
                .iter()
                .any(|l| !l.params_available && l.population == "seen")
        );
    }

    #[test]
    fn the_log_archives_own_trail_was_stopped() {
        let world = world();
        let now = world.audit_ms(1);
        let shown = ask(&world, now, "DescribeTrails", &json!({})).unwrap();
        let trails = shown["trailList"].as_array().unwrap();
        assert_eq!(trails.len(), 2, "the organization's and its own");
        let status =
            |name: &Value| ask(&world, now, "GetTrailStatus", &json!({"Name": name})).unwrap();
        for trail in trails {
            let logging = status(&trail["TrailARN"])["IsLogging"].as_bool();
            assert_eq!(logging, trail["IsOrganizationTrail"].as_bool());
        }
    }
}
