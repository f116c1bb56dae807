//! What CloudTrail remembers: launches, attempts that were refused, changes of keys and buckets.
//!
//! Every cluster has its RunJobFlow event. Beside, each account-region tells on every day of one attempt
//! that was refused, and each [`Attempt`] states what an audit should make of it. Nothing is stored:
//! events follow from the clusters and the day.

use serde::Serialize;
use serde_json::{Value, json};

use super::account_region::AccountRegion;
use super::clusters::{Cluster, Recipe};
use super::identities::SERVICE_ROLE;
use super::keys::Purpose;
use super::rng::Rng;
use super::scenario::{Outcome, Scenario};
use super::security_configurations::RENEWED;
use super::trails::trails;
use super::{DAY_MS, MINUTE_MS, World, marker};

/// How long CloudTrail remembers.
pub const HISTORY_MS: i64 = 90 * DAY_MS;
/// How long after a call its event can be looked up.
pub const DELAY_MS: i64 = 5 * MINUTE_MS;
/// Days before the first audit on which attempts were refused, too.
const PAST_DAYS: i64 = 3;
/// EMR's name in events.
const EMR: &str = "elasticmapreduce.amazonaws.com";

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    /// Whole seconds, in milliseconds.
    pub at_ms: i64,
    pub name: &'static str,
    pub source: &'static str,
    pub user: &'static str,
    /// The record.
    pub record: Value,
    /// What an audit should make of a launch.
    pub truth: Option<Said>,
}

/// What a launch event is.
#[derive(Debug, Clone)]
pub struct Said {
    /// The cluster, where it was accepted.
    pub cluster: Option<String>,
    /// Events with the same value are one attempt.
    pub attempt: String,
    pub params_available: bool,
    pub class: Class,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    AcceptedCompliant,
    AcceptedNoncompliant,
    AcceptedNoLogPlace,
    AcceptedParamsUnavailable,
    AcceptedKeyUnknown,
    AcceptedThenFailed,
    DeniedNoncompliant,
    DeniedCompliant,
    DeniedParamsUnavailable,
    RejectedInvalid,
    Throttled,
}

/// Where an attempt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    Blocked,
    Flagged,
    Unknown,
    None,
}

/// The stories of refused attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The guardrail denies a launch without a log key, three times within ten minutes.
    GuardedWithoutKey,
    /// It denies one whose parameters are as they should be.
    GuardedWithKey,
    /// It denies one of which the event has no parameters.
    GuardedBlind,
    /// The launcher may not add tags; no guardrail was at work.
    TagsDenied,
    Invalid,
    /// EMR throttles, and the launcher tries again.
    Throttled,
}

const ATTEMPTS: [Attempt; 6] = [
    Attempt::GuardedWithoutKey,
    Attempt::TagsDenied,
    Attempt::GuardedWithKey,
    Attempt::Invalid,
    Attempt::GuardedBlind,
    Attempt::Throttled,
];

impl Attempt {
    /// What an audit with this guardrail should make of it.
    fn class(self) -> Class {
        match self {
            Self::GuardedWithoutKey | Self::TagsDenied => Class::DeniedNoncompliant,
            Self::GuardedWithKey => Class::DeniedCompliant,
            Self::GuardedBlind => Class::DeniedParamsUnavailable,
            Self::Invalid => Class::RejectedInvalid,
            Self::Throttled => Class::Throttled,
        }
    }

    fn minutes(self) -> &'static [i64] {
        match self {
            Self::GuardedWithoutKey => &[0, 4, 9],
            Self::Throttled => &[0, 1],
            _ => &[0],
        }
    }

    fn is_guarded(self) -> bool {
        matches!(
            self,
            Self::GuardedWithoutKey | Self::GuardedWithKey | Self::GuardedBlind
        )
    }
}

/// Where an attempt of this class counts. Classes do not tell who denied, so whoever states one says
/// whether the guardrail did.
pub(super) fn bucket(class: Class, guarded: bool) -> Bucket {
    match class {
        _ if guarded => Bucket::Blocked,
        Class::AcceptedNoncompliant | Class::AcceptedNoLogPlace => Bucket::Flagged,
        Class::AcceptedParamsUnavailable | Class::AcceptedKeyUnknown => Bucket::Unknown,
        _ => Bucket::None,
    }
}

impl Event {
    /// Whether the guardrail denied it.
    pub fn is_guarded(&self, world: &World) -> bool {
        let message = self.record["errorMessage"].as_str().unwrap_or_default();
        message.contains(&world.organization.guardrail_arn)
    }

    /// Whether an event of this time can be looked up at this instant.
    pub fn is_visible_at(at_ms: i64, now_ms: i64) -> bool {
        at_ms + DELAY_MS <= now_ms && now_ms - HISTORY_MS <= at_ms
    }
}

/// Whether an event of this name at this instant is wanted: nothing else is made.
pub type Wanted<'a> = &'a dyn Fn(&str, i64) -> bool;

/// The events of an account-region, newest first.
pub fn events(world: &World, here: &AccountRegion, wanted: Wanted<'_>) -> Vec<Event> {
    let at_ms = |cluster: &Cluster| cluster.created_ms.div_euclid(1_000) * 1_000;
    let launched = here.clusters().iter();
    let mut events: Vec<Event> = launched
        .filter(|cluster| wanted("RunJobFlow", at_ms(cluster)))
        .map(|cluster| accepted(world, here, cluster, at_ms(cluster)))
        .collect();
    events.extend(refused(world, here, wanted));
    events.extend(changes(world, here, wanted));
    events.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.id.cmp(&b.id)));
    events
}

/// The launch of a cluster. Every ninth has too many steps for its parameters to be recorded.
fn accepted(world: &World, here: &AccountRegion, cluster: &Cluster, at_ms: i64) -> Event {
    let recipe = here.recipe(cluster);
    let params_available = !cluster
        .id
        .bytes()
        .map(u32::from)
        .sum::<u32>()
        .is_multiple_of(9);
    let seed = world.options.seed;
    let id = Rng::stream(seed, &format!("event/{}", cluster.id)).uuid();
    let mut record = record(here, "RunJobFlow", EMR, (&id, at_ms), recipe.secret);
    record["responseElements"] = json!({
        "jobFlowId": cluster.id,
        "clusterArn": format!("arn:aws:elasticmapreduce:{}:{}:cluster/{}",
            here.region, here.account_id, cluster.id),
    });
    record["requestParameters"] = if params_available {
        parameters(recipe, &cluster.name)
    } else {
        Value::Null
    };
    Event {
        truth: Some(Said {
            cluster: Some(cluster.id.clone()),
            attempt: id.clone(),
            params_available,
            class: class_of(recipe),
        }),
        id,
        at_ms,
        name: "RunJobFlow",
        source: EMR,
        user: LAUNCHER,
        record,
    }
}

/// What an audit should say of a launch with these parameters, where the cluster came to be ready. What
/// the story states of rule EL-01 and EL-02 is what it states of them.
fn class_of(recipe: &Recipe) -> Class {
    let has_place = recipe
        .log_uri
        .as_deref()
        .is_some_and(|uri| !uri.trim().is_empty());
    let [key_set, key_ours, ..] = recipe.scenario.statement(false).findings;
    // Which logs are uploaded is no parameter that a launch is judged by.
    let uploads_off = matches!(
        recipe.scenario,
        Scenario::UploadsDisabled | Scenario::UploadsDisabledNoSteps
    );
    match (key_set.outcome, key_ours.outcome) {
        _ if !has_place => Class::AcceptedNoLogPlace,
        (Outcome::Fail, _) | (_, Outcome::Fail) => Class::AcceptedNoncompliant,
        (Outcome::Pass, Outcome::Pass) => Class::AcceptedCompliant,
        _ if uploads_off => Class::AcceptedCompliant,
        _ => Class::AcceptedKeyUnknown,
    }
}

/// The attempts that were refused, one story a day.
fn refused(world: &World, here: &AccountRegion, wanted: Wanted<'_>) -> Vec<Event> {
    let options = &world.options;
    let place = format!("{}/{}", here.account_id, here.region);
    let first = Rng::stream(options.seed, &format!("attempts/{place}")).below(6) as i64;
    let days = -PAST_DAYS..i64::from(options.days);
    let mut events = Vec::new();
    for day in days {
        let attempt = ATTEMPTS[(first + day).rem_euclid(ATTEMPTS.len() as i64) as usize];
        for minute in attempt.minutes() {
            let at_ms = options.at(day, 600 + minute);
            if !wanted("RunJobFlow", at_ms) {
                continue;
            }
            let label = format!("attempt/{place}/{day}/{minute}");
            let id = Rng::stream(options.seed, &label).uuid();
            let secret = here.recipes.first().map_or(0, |recipe| recipe.secret);
            let mut record = record(here, "RunJobFlow", EMR, (&id, at_ms), secret);
            let (code, message) = refusal(world, here, attempt);
            record["errorCode"] = json!(code);
            record["errorMessage"] = json!(message);
            record["responseElements"] = Value::Null;
            record["requestParameters"] = asked(here, attempt, day, &marker(secret));
            events.push(Event {
                truth: Some(Said {
                    cluster: None,
                    attempt: format!("{place}/{day}"),
                    params_available: attempt != Attempt::GuardedBlind,
                    class: attempt.class(),
                }),
                id,
                at_ms,
                name: "RunJobFlow",
                source: EMR,
                user: LAUNCHER,
                record,
            });
        }
    }
    events
}

/// Code and message, as AWS words them.
fn refusal(world: &World, here: &AccountRegion, attempt: Attempt) -> (&'static str, String) {
    let caller = format!(
        "arn:aws:sts::{}:assumed-role/{LAUNCHER}/run-7",
        here.account_id
    );
    let denied = |action: &str, why: &str| {
        format!(
            "User: {caller} is not authorized to perform: elasticmapreduce:{action} on resource: * {why}"
        )
    };
    match attempt {
        _ if attempt.is_guarded() => {
            let policy = &world.organization.guardrail_arn;
            let why = format!("with an explicit deny in a service control policy: {policy}");
            ("AccessDeniedException", denied("RunJobFlow", &why))
        }
        Attempt::Invalid => (
            "ValidationException",
            "Instance type 'm1.small' is not supported.".to_owned(),
        ),
        Attempt::Throttled => ("ThrottlingException", "Rate exceeded".to_owned()),
        _ => {
            let action = "elasticmapreduce:AddTags";
            let why = format!("because no identity-based policy allows the {action} action");
            ("AccessDenied", denied("AddTags", &why))
        }
    }
}

/// The request of an attempt that was refused.
fn asked(here: &AccountRegion, attempt: Attempt, day: i64, secret: &str) -> Value {
    let mut request = json!({
        "name": format!("adhoc-{day}"),
        "ReleaseLabel": "emr-7.9.0",
        "logUri": format!("s3://adhoc-logs-{}/emr/", here.account_id),
        "instances": {"ec2KeyName": secret},
        "additionalInfo": secret,
    });
    match attempt {
        Attempt::GuardedBlind => return Value::Null,
        Attempt::GuardedWithKey => {
            let key = here.keys.iter().find(|key| key.purpose == Purpose::Logs);
            request["logEncryptionKmsKeyId"] = json!(key.map(super::keys::Key::arn));
        }
        _ => {}
    }
    request
}

/// Changes of keys that are disabled for a while, of the team's log bucket, of the security configuration that
/// was renewed, and of an account's own trail.
fn changes(world: &World, here: &AccountRegion, wanted: Wanted<'_>) -> Vec<Event> {
    let seed = world.options.seed;
    let change = |name, source, at_ms: i64, what: &str, request: Value, resources: Value| {
        let id = Rng::stream(seed, &format!("change/{name}/{what}/{at_ms}")).uuid();
        let at_ms = at_ms.div_euclid(1_000) * 1_000;
        let mut record = record(here, name, source, (&id, at_ms), 0);
        record["requestParameters"] = request;
        record["resources"] = resources;
        Event {
            id,
            at_ms,
            name,
            source,
            user: "key-admin",
            record,
            truth: None,
        }
    };
    let secret = here.recipes.first().map_or(0, |recipe| recipe.secret);
    let mut events = Vec::new();
    for recipe in &here.recipes {
        let (Some((from, to)), Some(key)) = (recipe.outage_ms, recipe.log_key.as_deref()) else {
            continue;
        };
        for (name, at) in [("DisableKey", from), ("EnableKey", to)] {
            if !wanted(name, at) {
                continue;
            }
            let request = json!({"keyId": key});
            let resources =
                json!([{"accountId": here.account_id, "type": "AWS::KMS::Key", "ARN": key}]);
            events.push(change(
                name,
                "kms.amazonaws.com",
                at,
                key,
                request,
                resources,
            ));
        }
    }
    let at = world.options.at(-1, 660);
    let name = format!("emr-logs-{}-{}", here.account_id, here.region);
    let team = world
        .bucket(&name)
        .filter(|_| wanted("PutBucketEncryption", at));
    if let Some(bucket) = team {
        let request = json!({
            "bucketName": bucket.name,
            "ServerSideEncryptionConfiguration": {"Rule": marker(secret)},
        });
        let source = "s3.amazonaws.com";
        events.push(change(
            "PutBucketEncryption",
            source,
            at,
            &bucket.name,
            request,
            Value::Null,
        ));
    }
    for configuration in &here.security_configurations {
        let made = configuration.created_ms;
        let mut names = vec![("CreateSecurityConfiguration", made)];
        if configuration.name == RENEWED {
            names.push(("DeleteSecurityConfiguration", made - MINUTE_MS));
        }
        for (name, at) in names {
            if wanted(name, at) {
                let request = json!({
                    "name": configuration.name,
                    "securityConfiguration": marker(secret),
                });
                let what = &configuration.name;
                events.push(change(name, EMR, at, what, request, Value::Null));
            }
        }
    }
    let own = trails(world, &here.account_id).into_iter();
    let own = own.filter(|t| t.account_id == here.account_id && t.home == here.region);
    for trail in own {
        let stops = trail.stopped_ms.into_iter();
        // Somebody touches it on day 1 of the story, and lets it be.
        let touched = stops.flat_map(|at| {
            let again = world.options.at(1, 30);
            [
                ("StopLogging", at),
                ("PutEventSelectors", again),
                ("UpdateTrail", again + MINUTE_MS),
            ]
        });
        for (name, at) in touched {
            if wanted(name, at) {
                let member = match name {
                    "PutEventSelectors" => "trailName",
                    _ => "name",
                };
                let request = json!({member: trail.arn, "s3BucketName": marker(secret)});
                let source = "cloudtrail.amazonaws.com";
                events.push(change(name, source, at, &trail.arn, request, Value::Null));
            }
        }
    }
    // Recipes of one account-region may share a key.
    events.sort_by(|a, b| a.id.cmp(&b.id));
    events.dedup_by(|a, b| a.id == b.id);
    events
}

/// Role of whoever launches clusters.
const LAUNCHER: &str = "etl-launcher";

/// The parts that all records have.
fn record(
    here: &AccountRegion,
    name: &str,
    source: &str,
    (id, at_ms): (&str, i64),
    secret: u32,
) -> Value {
    let account = &here.account_id;
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": marker(secret),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{LAUNCHER}/run-7"),
            "accountId": account,
            "accessKeyId": marker(secret),
            "sessionContext": {"sessionIssuer": {
                "type": "Role",
                "arn": format!("arn:aws:iam::{account}:role/{LAUNCHER}"),
                "accountId": account,
                "userName": LAUNCHER,
            }},
        },
        "eventTime": time(at_ms),
        "eventSource": source,
        "eventName": name,
        "awsRegion": here.region,
        "sourceIPAddress": marker(secret),
        "userAgent": marker(secret),
        "requestParameters": null,
        "responseElements": null,
        "requestID": id,
        "eventID": id,
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    })
}

/// The request of a launch, as CloudTrail spells it: members in lower case but for one, as in AWS's own
/// sample.
fn parameters(recipe: &Recipe, name: &str) -> Value {
    let secret = |offset: u32| marker(recipe.secret + offset);
    let mut tags: Vec<Value> = recipe
        .tags
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    tags.push(json!({"key": secret(4), "value": secret(5)}));
    let mut request = json!({
        "name": name,
        "instances": {"ec2KeyName": secret(2), "keepJobFlowAliveWhenNoSteps": !recipe.is_job},
        "steps": [{"name": "main", "hadoopJarStep": {"jar": "command-runner.jar",
            "args": ["--password", secret(6)]}}],
        "configurations": [{"classification": "hive-site",
            "properties": {"javax.jdo.option.ConnectionPassword": secret(3)}}],
        "serviceRole": SERVICE_ROLE,
        "jobFlowRole": recipe.instance_profile,
        "tags": tags,
        "visibleToAllUsers": true,
    });
    let mut set = |member: &str, value: Option<&str>| {
        if let Some(value) = value {
            request[member] = json!(value);
        }
    };
    set("ReleaseLabel", recipe.release_label);
    set("logUri", recipe.log_uri.as_deref());
    set("logEncryptionKmsKeyId", recipe.log_key.as_deref());
    set("securityConfiguration", recipe.security_configuration);
    request
}

fn time(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms).map_or_else(String::new, |at| {
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}
