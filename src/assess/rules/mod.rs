//! The rules: a table, one file per rule. A new rule is one file and one line in [`RULES`].

mod key_customer_managed;
mod key_usable;
mod log_key_set;
mod logs_delivered;

use serde_json::{Map, Value, json};

use super::case::{Case, Unread};
use crate::model::canonical;
use crate::model::ids::Sha256Hex;
use crate::model::words::{Outcome, RuleKind, Severity};

/// Version of the rule set. Raised with any change of what a rule concludes.
pub const RULES_VERSION: &str = "1";

/// The rule that says whether C1 is under a key that the customer set.
pub(super) const LOG_KEY_SET: &str = log_key_set::RULE.id;

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
    judge: fn(&Case<'_>) -> Judged,
}

/// All rules that are built, in the order of their ids.
pub static RULES: &[Rule] = &[
    log_key_set::RULE,
    key_customer_managed::RULE,
    key_usable::RULE,
    logs_delivered::RULE,
];

/// What every rule concludes of a cluster whose settings this run did not read.
pub(super) const UNREAD: &[(Outcome, &str)] = &[
    (Outcome::Unknown, "settings_not_read"),
    (Outcome::Unknown, "cluster_not_seen"),
];

impl Rule {
    /// What the rule concludes.
    pub(super) fn conclude(&self, case: &Case<'_>) -> Judged {
        let account = &case.cluster.account_id;
        let region = &case.cluster.region;
        match case.unread() {
            None => (self.judge)(case),
            Some(unread @ Unread::NotSeen) => Judged::unknown(
                unread.reason(),
                format!(
                    "let the reader role list clusters of account {account} in {region}; the coverage \
                     rows of this run say what stood in the way"
                ),
            ),
            Some(unread @ Unread::Deferred) => Judged::unknown(
                unread.reason(),
                format!(
                    "nothing, if the next run reads the cluster, as it does first; else allow \
                     elasticmapreduce:DescribeCluster to the reader role in account {account}"
                ),
            ),
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Cluster,
    /// The log key; the cluster where its name cannot be understood.
    Key,
}

/// A fact beside the cluster's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Key,
    Bucket,
    SecurityConfiguration,
}

/// One rule's conclusion, before it becomes a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub outcome: Outcome,
    pub reason: &'static str,
    pub about: About,
    pub params: Map<String, Value>,
    pub facts: Vec<Fact>,
    pub advice: Option<String>,
}

impl Judged {
    fn new(outcome: Outcome, reason: &'static str, advice: Option<String>) -> Self {
        Self {
            outcome,
            reason,
            about: About::Cluster,
            params: Map::new(),
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
    fn fail(reason: &'static str, advice: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, reason, Some(advice.into()))
    }

    fn unknown(reason: &'static str, advice: impl Into<String>) -> Self {
        Self::new(Outcome::Unknown, reason, Some(advice.into()))
    }

    fn about_key(mut self) -> Self {
        self.about = About::Key;
        self
    }

    fn read(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    /// Adds a parameter, unless it has no value.
    fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.params.insert(name.to_owned(), value.into());
        }
        self
    }
}

/// The advice for uploads that are off, for every rule that meets them.
fn uploads_disabled() -> Judged {
    Judged::unknown(
        "uploads_disabled_steps_not_read",
        "look at the cluster's log prefix for step logs, which may still be uploaded, or relaunch with \
         system or application log uploads on, or without LogUri",
    )
}

fn log_uri_unparseable() -> Judged {
    Judged::unknown(
        "log_uri_unparseable",
        "relaunch with a LogUri of the form s3://bucket/prefix/",
    )
}

/// Why a key rule does not apply at all, if so.
fn without_key(case: &Case<'_>) -> Option<Judged> {
    if case.reference.is_none() {
        Some(Judged::not_applicable("no_log_key"))
    } else if case.place == super::case::LogPlace::Nowhere {
        Some(Judged::not_applicable("no_log_uri"))
    } else {
        None
    }
}

/// UNKNOWN for a key that nobody described: names the action and the account that are missing.
fn not_described(case: &Case<'_>) -> Judged {
    use crate::model::words::Lookup;
    let name = case
        .key_reference()
        .map(ToString::to_string)
        .unwrap_or_default();
    let account = case
        .key_reference()
        .map_or(&case.cluster.account_id, |arn| &arn.account_id);
    let row = case.key.as_ref();
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

fn key_unparseable(case: &Case<'_>) -> Judged {
    Judged::unknown(
        "key_reference_unparseable",
        "relaunch with LogEncryptionKmsKeyId set to the ARN of a customer managed key",
    )
    .about_key()
    .with("key", case.reference.as_ref().map(ToString::to_string))
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
            "bac25af3192b429ab8db60901184bfcfa11abd1d48d14fad3cb9641181749f63"
        );
    }
}
