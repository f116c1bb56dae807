//! What rules about places beside `LogUri` share: the worst of several places speaks.

use serde_json::{Value, json};

use super::{Fact, Judged};
use crate::assess::case::Case;
use crate::assess::places::Place;
use crate::model::words::{Lookup, Outcome};

/// Conclusions that every kind of place can reach about its key.
pub(super) const AWS_MANAGED: (Outcome, &str) = (Outcome::Fail, "aws_managed_key");
pub(super) const NOT_DESCRIBED: (Outcome, &str) = (Outcome::Unknown, "key_not_described");
pub(super) const NOT_FOUND: (Outcome, &str) = (Outcome::Unknown, "key_not_found");
pub(super) const UNPARSEABLE: (Outcome, &str) = (Outcome::Unknown, "key_reference_unparseable");
pub(super) const SESSIONS_NOT_READ: (Outcome, &str) = (Outcome::Unknown, "sessions_not_read");

/// Sources that a finding names; there may be thousands.
const NAMED: usize = 5;

/// The place that decides: a failure before what is not known before what passes, else the first.
pub(super) fn worst<'p>(places: &[&'p Place]) -> Option<&'p Place> {
    let rank = |place: &Place| match place.outcome {
        Outcome::Fail => 0,
        Outcome::Unknown => 1,
        _ => 2,
    };
    places.iter().copied().min_by_key(|place| rank(place))
}

/// The conclusion about the place that decides. `passes` is the reason when all are under customer keys.
pub(super) fn judge(
    case: &Case<'_>,
    places: &[&Place],
    place: &Place,
    passes: &'static str,
    advice: impl FnOnce(&Place) -> String,
) -> Judged {
    let judged = match place.outcome {
        Outcome::Fail => Judged::fail(place.basis, advice(place)),
        Outcome::Unknown => Judged::unknown(place.basis, unknown(case, place)),
        _ => Judged::pass(passes),
    };
    let bad = |p: &&&Place| p.outcome == place.outcome && p.basis == place.basis;
    let from: Vec<&str> = places
        .iter()
        .filter(bad)
        .flat_map(|p| &p.from)
        .map(String::as_str)
        .collect();
    let key = place.key.and_then(|position| case.keys.get(position));
    let mut judged = judged
        .with("channel", Some(place.channel))
        .with("destination", Some(place.destination.as_str()))
        .with("key", key.map(|k| k.reference.to_string()))
        .with("places", Some(places.len()))
        .with(
            "from",
            (!from.is_empty()).then(|| {
                let named: Vec<Value> = from.iter().take(NAMED).map(|id| json!(id)).collect();
                Value::Array(named)
            }),
        )
        .with("from_count", Some(from.len()).filter(|n| *n > NAMED))
        .with("denied_action", place.denied_action.as_deref());
    let row = key.and_then(|k| k.row.as_ref());
    let named = place.facts.iter().take(NAMED + 1).cloned();
    for fact in named.chain(row.map(|k| format!("kms_key/{}", k.key_reference))) {
        judged = judged.read(Fact::Row(fact));
    }
    judged
}

fn unknown(case: &Case<'_>, place: &Place) -> String {
    let (account, region) = (&case.cluster.account_id, &case.cluster.region);
    let destination = &place.destination;
    let configuration = case.configuration_name().unwrap_or_default();
    match place.basis {
        "key_not_described" => {
            "do what EL-02 says of this key: without DescribeKey nobody can tell whose it is".to_owned()
        }
        "key_not_found" => format!("name a key that exists for {destination}, as EL-03 says"),
        "key_reference_unparseable" => {
            format!("name the key for {destination} by the ARN of a customer managed key")
        }
        "log_uri_unparseable" | "destination_unparseable" => {
            format!("use a place of the form s3://bucket/prefix/, unlike {destination}")
        }
        "release_does_not_honour_key" => {
            "relaunch on emr-5.30.0 or later, but not emr-6.0.0: this release is not documented to \
             encrypt logs with a key"
                .to_owned()
        }
        "release_without_cloudwatch" => {
            "relaunch on emr-7.11.0 or later, or without CloudWatch logging: earlier releases are not \
             documented to send logs there"
                .to_owned()
        }
        "release_unparseable" => {
            "relaunch on a release labelled emr-x.y.z: what this one does with the setting is not known"
                .to_owned()
        }
        "log_group_not_found" => format!(
            "make log group {destination} in account {account}, {region}, under a customer key, before \
             anything is written to it"
        ),
        "log_group_not_read" => match &place.denied_action {
            Some(action) => format!("allow {action} to the reader role in account {account}"),
            None => format!("run again: log group {destination} in {region} was not read"),
        },
        "session_place_not_named" | "session_key_not_named" => {
            "start sessions with a place and a customer key of their own: what applies otherwise is not \
             documented"
                .to_owned()
        }
        "bucket_not_read" => format!("let the bucket of {destination} be read, then run again"),
        "bucket_default_not_proof" => format!(
            "relaunch with a security configuration whose S3EncryptionConfiguration names a customer key: \
             the default of the bucket of {destination} is no proof"
        ),
        "custom_key_provider" => format!(
            "look at the key provider of security configuration '{configuration}' yourself: it is a \
             program of your own"
        ),
        "security_configuration_not_read" => format!(
            "allow elasticmapreduce:ListSecurityConfigurations and \
             elasticmapreduce:DescribeSecurityConfiguration to the reader role in account {account}; if \
             '{configuration}' was deleted since the launch, relaunch with one that exists"
        ),
        "security_configuration_created_after_launch" => format!(
            "relaunch: '{configuration}' was made again after this cluster's launch, and what it said \
             before can no longer be read"
        ),
        "security_configuration_time_not_known" => format!(
            "run again: it is not known whether '{configuration}' was made before this cluster's launch"
        ),
        _ => format!(
            "look at security configuration '{configuration}' yourself: what it says of S3 was not \
             understood"
        ),
    }
}

/// Whether the cluster has sessions, and nobody knows where they log to.
pub(super) fn sessions_missing(case: &Case<'_>) -> bool {
    case.cluster.session_enabled == Some(true)
        && case.cluster.sessions_lookup != Some(Lookup::Found)
}

/// The conclusion where that decides.
pub(super) fn sessions_not_read(case: &Case<'_>) -> Judged {
    let action = "elasticmapreduce:ListSessions";
    let cluster = case.cluster;
    let lookup = cluster.sessions_lookup.unwrap_or(Lookup::NotAttempted);
    let account = &cluster.account_id;
    let advice = if lookup == Lookup::Denied {
        format!("allow {action} to the reader role in account {account}")
    } else {
        format!(
            "run again: {action} on {} was not answered",
            cluster.cluster_id
        )
    };
    Judged::unknown("sessions_not_read", advice)
        .with("sessions_lookup", Some(lookup.as_str()))
        .with(
            "sessions_error_code",
            cluster.sessions_error_code.as_deref(),
        )
        .denied(lookup, action)
}
