//! The rules: a table, one file per rule. A new rule is one file and one line in [`RULES`].

mod application_logs_follow;
mod approved_security_configuration;
mod bucket_default_key;
mod cloudwatch_key;
mod configuration;
mod granting;
mod history_reencrypted;
mod key_customer_managed;
mod key_not_public;
mod key_segregated;
mod key_tagged;
mod key_usable;
mod kill_switch_ready;
mod local_disks_encrypted;
mod log_destination_reachable;
mod log_key_set;
mod logs_delivered;
mod objects_follow;
mod params;
mod places;
mod retained_copies;
mod rotation_on;
mod steps_follow;
mod writer_can_use_key;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::case::{Case, StillUploaded, Unread};
use super::key_use::{KeyUse, Standing};
use crate::model::canonical;
use crate::model::datasets::{KmsKey, LogBucket};
use crate::model::ids::Sha256Hex;
use crate::model::text::Text;
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};
use params::Params;

/// Version of the rule set. Raised with any change of what a rule concludes.
pub const RULES_VERSION: &str = "6";

/// The rule that says whether C1 is under a key that the customer set.
pub(super) const LOG_KEY_SET: &str = log_key_set::RULE.id;
/// The rules that an attempt to launch is judged by: a log key is set, it is ours, and the security
/// configuration is approved.
pub(super) const OF_LAUNCHES: [&Rule; 3] = [
    &log_key_set::RULE,
    &key_customer_managed::RULE,
    &approved_security_configuration::RULE,
];
/// The rule that says whether C1 carries anything.
pub(super) const LOGS_DELIVERED: &str = logs_delivered::RULE.id;

/// One question that is asked of every cluster.
pub struct Rule {
    /// `EL-01` …
    pub id: &'static str,
    /// A name that can be read, e.g. `log-key-set`.
    pub name: &'static str,
    /// Raised with any change of what this rule concludes.
    pub version: u32,
    pub kind: RuleKind,
    pub severity: Severity,
    /// Every conclusion that the rule can reach, beside those of [`UNREAD`].
    pub conclusions: &'static [(Outcome, &'static str)],
    /// Clauses that a PASS supports. It never satisfies one, and none of them demands a customer
    /// managed key: for that a report cites the organization's own policy.
    pub supports: &'static [&'static str],
    judge: Judge,
}

/// What a rule is asked about.
enum Judge {
    /// The cluster as a whole: one conclusion.
    Cluster(fn(&Case<'_>) -> Judged),
    /// Each key that some channel names; one conclusion, NOT_APPLICABLE, where none does.
    Keys(fn(&Case<'_>, &KeyUse) -> Judged),
}

/// What a rule concluded, and of which of the cluster's keys.
pub(super) struct Concluded<'c> {
    pub judged: Judged,
    pub key: Option<&'c KeyUse>,
}

/// All rules that are built, in the order of their ids.
pub static RULES: &[Rule] = &[
    log_key_set::RULE,
    key_customer_managed::RULE,
    key_usable::RULE,
    writer_can_use_key::RULE,
    steps_follow::RULE,
    cloudwatch_key::RULE,
    retained_copies::RULE,
    approved_security_configuration::RULE,
    log_destination_reachable::RULE,
    key_not_public::RULE,
    key_segregated::RULE,
    rotation_on::RULE,
    key_tagged::RULE,
    kill_switch_ready::RULE,
    bucket_default_key::RULE,
    history_reencrypted::RULE,
    logs_delivered::RULE,
    local_disks_encrypted::RULE,
    objects_follow::RULE,
    application_logs_follow::RULE,
];

/// What every rule concludes of a cluster whose settings this run did not read.
pub(super) const UNREAD: &[(Outcome, &str)] = &[
    (Outcome::Unknown, "settings_not_read"),
    (Outcome::Unknown, "cluster_not_seen"),
];

impl Rule {
    /// What the rule concludes, once per subject.
    pub(super) fn conclude<'c>(&self, case: &'c Case<'_>, mut say: impl FnMut(Concluded<'c>)) {
        let mut of_cluster = |judged| say(Concluded { judged, key: None });
        if let Some(unread) = case.unread() {
            return of_cluster(not_read(case, unread));
        }
        match self.judge {
            Judge::Cluster(judge) => of_cluster(judge(case)),
            Judge::Keys(_) if case.keys.is_empty() => of_cluster(without_key(case)),
            Judge::Keys(judge) => case.keys.iter().for_each(|key| {
                say(Concluded {
                    judged: judge(case, key),
                    key: Some(key),
                })
            }),
        }
    }
}

/// What every rule says of a cluster that this run did not read.
fn not_read(case: &Case<'_>, unread: Unread) -> Judged {
    let account = &case.cluster.account_id;
    let region = &case.cluster.region;
    let advice = match (unread, refused(case)) {
        (_, Some("sts:AssumeRole")) => format!(
            "deploy the reader role in account {account}, with trust in the caller of this run"
        ),
        (_, Some(action)) => {
            format!("allow {action} to the reader role in account {account}, {region}")
        }
        (Unread::NotSeen, None) => format!(
            "let the reader role list clusters of account {account} in {region}; the coverage rows of \
             this run say what stood in the way"
        ),
        (Unread::Deferred, None) => format!(
            "nothing, if the next run reads the cluster, as it does first; else allow \
             elasticmapreduce:DescribeCluster to the reader role in account {account}"
        ),
    };
    missing(Judged::unknown(unread.reason(), advice), case)
}

/// The permission whose refusal keeps a fact from this run, where a cell names one.
fn refused<'c>(case: &'c Case<'_>) -> Option<&'c str> {
    case.missing.as_ref()?.denied_action.as_deref()
}

/// Names the cell that should have told what is missing, and what was refused there.
fn missing(judged: Judged, case: &Case<'_>) -> Judged {
    let Some(cell) = &case.missing else {
        return judged;
    };
    judged
        .read(Fact::Row(format!(
            "coverage/{}/{}/{}",
            cell.account_id, cell.region, cell.source
        )))
        .with("cell", Some(cell.outcome.as_str()))
        .with("denied_action", cell.denied_action.as_deref())
}

/// SHA-256 of what tells one rule set from another: ids, names, versions, kinds, severities and
/// reason codes, as canonical JSON.
pub fn rules_digest() -> Sha256Hex {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            let mut reasons: Vec<_> = rule.conclusions.iter().chain(UNREAD).collect();
            reasons.sort();
            let reasons: Vec<_> = reasons
                .iter()
                .map(|(o, r)| json!([o.as_str(), r]))
                .collect();
            json!({
                "id": rule.id,
                "name": rule.name,
                "version": rule.version,
                "kind": rule.kind.as_str(),
                "severity": rule.severity.as_str(),
                "reasons": reasons,
            })
        })
        .collect();
    let description = json!({"rules_version": RULES_VERSION, "rules": rules});
    Sha256Hex::of(canonical::to_string(&description).as_bytes())
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Cluster,
    /// The key that was asked about; the cluster where its name cannot be understood.
    Key,
    /// The log bucket; the cluster where `LogUri` names none.
    Bucket,
    /// Something else: its kind and its ARN or id.
    Other(Box<(&'static str, String)>),
}

/// A fact beside the cluster's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// The row of the key that was asked about.
    Key,
    /// The row of the bucket that `LogUri` names.
    Bucket,
    /// The key that the bucket's default names.
    BucketKey,
    SecurityConfiguration,
    /// Another row, by its id: `<dataset>/<primary key>`.
    Row(String),
}

/// One rule's conclusion, before it becomes a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub outcome: Outcome,
    pub reason: &'static str,
    pub about: About,
    pub params: Params,
    pub facts: Vec<Fact>,
    pub advice: Option<Text>,
}

impl Judged {
    fn new(outcome: Outcome, reason: &'static str, advice: Option<Text>) -> Self {
        Self {
            outcome,
            reason,
            about: About::Cluster,
            params: Params::default(),
            facts: Vec::new(),
            advice,
        }
    }

    fn pass(reason: &'static str) -> Self {
        Self::new(Outcome::Pass, reason, None)
    }

    fn not_applicable(reason: &'static str) -> Self {
        Self::new(Outcome::NotApplicable, reason, None)
    }

    /// `advice` is one sentence on what a person can do.
    fn fail(reason: &'static str, advice: impl Into<Text>) -> Self {
        Self::new(Outcome::Fail, reason, Some(advice.into()))
    }

    fn unknown(reason: &'static str, advice: impl Into<Text>) -> Self {
        Self::new(Outcome::Unknown, reason, Some(advice.into()))
    }

    fn about_key(mut self) -> Self {
        self.about = About::Key;
        self
    }

    fn about_bucket(mut self) -> Self {
        self.about = About::Bucket;
        self
    }

    fn read(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    /// Names the refused permission that would turn UNKNOWN into an answer.
    fn denied(self, lookup: Lookup, action: &str) -> Self {
        self.with(
            "denied_action",
            (lookup == Lookup::Denied).then_some(action),
        )
    }

    /// Adds a parameter, unless it has no value.
    fn with(mut self, name: impl Into<Cow<'static, str>>, value: Option<impl Serialize>) -> Self {
        if let Some(value) = value {
            self.params.set(name.into(), &value);
        }
        self
    }
}

/// UNKNOWN for uploads that are off where steps may still upload, for every rule that meets them.
fn uploads_disabled(case: &Case<'_>, still: StillUploaded) -> Judged {
    if still == StillUploaded::NotRead {
        return steps_not_read(case, "uploads_disabled_steps_not_read");
    }
    Judged::unknown(
        "uploads_disabled_with_steps",
        "look at the cluster's log prefix for step logs, which may still be uploaded, or relaunch with \
         system or application log uploads on, or without LogUri",
    )
    .with("steps", case.cluster.steps)
}

/// UNKNOWN for what only ListSteps tells.
fn steps_not_read(case: &Case<'_>, reason: &'static str) -> Judged {
    let action = "elasticmapreduce:ListSteps";
    let lookup = case.cluster.steps_lookup.unwrap_or(Lookup::NotAttempted);
    let (account, id) = (&case.cluster.account_id, &case.cluster.cluster_id);
    let code = case.cluster.steps_error_code.as_deref();
    let advice = match lookup {
        Lookup::Denied => format!("allow {action} to the reader role in account {account}"),
        Lookup::NotFound => format!(
            "nothing: AWS no longer knows {id}, so where its steps sent their logs cannot be read any more"
        ),
        Lookup::NotAttempted => format!("run again: {action} on {id} was not attempted in time"),
        _ => format!(
            "run again: {action} on {id} ended with {}",
            code.unwrap_or("an incomplete answer")
        ),
    };
    Judged::unknown(reason, advice)
        .with("steps_lookup", Some(lookup.as_str()))
        .with("steps_error_code", code)
        .denied(lookup, action)
}

fn log_uri_unparseable() -> Judged {
    Judged::unknown(
        "log_uri_unparseable",
        "relaunch with a LogUri of the form s3://bucket/prefix/",
    )
}

/// What a key rule says of a cluster that names no key, or none for a place to write to.
fn without_key(case: &Case<'_>) -> Judged {
    match case.reference {
        None => Judged::not_applicable("no_log_key"),
        Some(_) => Judged::not_applicable("no_log_uri"),
    }
}

/// UNKNOWN for a key that nobody described: names the action and the account that are missing.
fn not_described(case: &Case<'_>, key: &KeyUse) -> Judged {
    let name = key.named().map(ToString::to_string).unwrap_or_default();
    let account = key
        .named()
        .map_or(&case.cluster.account_id, |arn| &arn.account_id);
    let row = key.row.as_ref();
    let action = row
        .and_then(|k| k.denied_action.as_deref())
        .unwrap_or("kms:DescribeKey");
    let code = row.and_then(|k| k.error_code.as_deref());
    let advice = match row.map_or(Lookup::NotAttempted, |k| k.lookup) {
        Lookup::Denied => format!(
            "allow {action} on {name} to the reader role, in the key policy and in account {account}"
        ),
        Lookup::OwnerNotInScope => format!(
            "let the key policy of {name} in account {account}, which is not in scope, allow \
             kms:DescribeKey to the reader role"
        ),
        Lookup::NotAttempted => {
            format!("run again: kms:DescribeKey on {name} in account {account} was not attempted")
        }
        _ => format!(
            "run again: kms:DescribeKey on {name} in account {account} ended with {}",
            code.unwrap_or("an incomplete answer")
        ),
    };
    Judged::unknown("key_not_described", advice)
        .about_key()
        .read(Fact::Key)
        .with("key", Some(name))
        .with("owner", Some(account.as_str()))
        .with("lookup", row.map(|k| k.lookup.as_str()))
        .with("error_code", code)
        .with(
            "denied_action",
            row.and_then(|k| k.denied_action.as_deref()),
        )
}

fn key_unparseable(key: &KeyUse) -> Judged {
    Judged::unknown(
        "key_reference_unparseable",
        "relaunch with LogEncryptionKmsKeyId set to the ARN of a customer managed key",
    )
    .about_key()
    .with("key", Some(key.reference.to_string()))
}

/// The row of a log key that is the customer's to tag and to rotate; else what a rule about such
/// keys concludes.
#[expect(
    clippy::result_large_err,
    reason = "the other answer is a finding, moved on as it is"
)]
fn customer_key<'k>(case: &Case<'_>, key: &'k KeyUse) -> Result<&'k KmsKey, Judged> {
    let name = key.name();
    match (key.standing(), key.described()) {
        (Standing::Unparseable, _) => Err(key_unparseable(key)),
        (Standing::AwsManaged, _) => Err(Judged::not_applicable("aws_managed_key")
            .about_key()
            .read(Fact::Key)
            .with("key", name)),
        (Standing::NotFound, _) => Err(Judged::unknown(
            "key_not_found",
            format!(
                "relaunch with a key that exists: KMS knows no {}",
                name.map(Text::as_str).unwrap_or_default()
            ),
        )
        .about_key()
        .read(Fact::Key)
        .with("key", name)),
        (Standing::Customer, Some(row)) => Ok(row),
        _ => Err(not_described(case, key)),
    }
}

/// UNKNOWN for what only a call in the key owner's account tells of a described key.
fn not_read_of_key(
    key: &KeyUse,
    reason: &'static str,
    lookup: Lookup,
    action: &'static str,
) -> Judged {
    let (name, owner) = key
        .arn()
        .map(|arn| (arn.to_string(), arn.account_id.to_string()))
        .unwrap_or_default();
    let advice = match lookup {
        Lookup::Denied => format!(
            "let the reader role of account {owner} be assumed, and allow {action} on {name} to it"
        ),
        Lookup::OwnerNotInScope => format!(
            "take account {owner} into scope, so that {action} on {name} can be asked there, or \
             relaunch with a key of the organization"
        ),
        Lookup::NotAttempted => {
            format!("run again: {action} on {name} in account {owner} was not attempted")
        }
        other => format!("run again: {action} on {name} in account {owner} ended with {other}"),
    };
    Judged::unknown(reason, advice)
        .with("lookup", Some(lookup.as_str()))
        .denied(lookup, action)
}

/// UNKNOWN advice for a log bucket whose configuration nobody read.
fn find_bucket(row: Option<&LogBucket>, action: &str) -> String {
    let Some(row) = row else {
        return "run again: the log bucket was not looked up".to_owned();
    };
    let name = &row.bucket;
    match row.lookup {
        Lookup::OwnerNotInScope => format!(
            "take the account that owns bucket {name} into scope, or archive logs to a bucket of the \
             organization"
        ),
        Lookup::OwnerUnknown => format!(
            "find out who owns bucket {name}: not every account in scope could be asked for its \
             buckets; mend the accounts whose coverage of bucket_owners has no answer, then run again"
        ),
        Lookup::Denied => format!(
            "allow {} on bucket {name} to the reader role of its owner",
            row.denied_action.as_deref().unwrap_or(action)
        ),
        Lookup::NotFound => format!("make bucket {name}, or relaunch with one that exists"),
        _ => format!(
            "run again: looking up bucket {name} ended with {}",
            row.error_code.as_deref().unwrap_or(row.lookup.as_str())
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_sorted() {
        let ids: Vec<_> = RULES.iter().map(|r| r.id).collect();
        let set: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids, set.into_iter().collect::<Vec<_>>());
    }

    /// A changed digest means changed verdicts: raise the rule's version and `RULES_VERSION`, then
    /// write the new digest down.
    #[test]
    fn the_digest_changes_only_on_purpose() {
        assert_eq!(
            rules_digest().as_str(),
            "b88f86d120199275adcf99a8344017e19b5e9a76a203543675de79f4cb8307bf"
        );
    }
}
