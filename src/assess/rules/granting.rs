//! What the rules about who can use a key have in common: how they say why nobody can tell, and which
//! statement would mend it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Judged, not_read_of_key};
use crate::assess::access::{Access, Caller, Ruling};
use crate::assess::key_use::KeyUse;
use crate::model::words::Lookup;
use crate::policy;

/// How many names a finding spells out; the count is always whole.
const NAMES: usize = 10;

/// The first names of a list.
pub(super) fn first<T: Serialize>(names: impl IntoIterator<Item = T>) -> Vec<T> {
    names.into_iter().take(NAMES).collect()
}

/// Text of the first names of a list, and how many more there are.
pub(super) fn spelled(names: &[String]) -> String {
    let mut text = names[..names.len().min(3)].join(", ");
    if names.len() > 3 {
        text.push_str(&format!(" and {} more", names.len() - 3));
    }
    text
}

/// UNKNOWN, where the key's policy was not read.
pub(super) fn policy_not_read(key: &KeyUse, access: &Access) -> Option<Judged> {
    let facts = &access.key.facts;
    let found = facts.policy_lookup == Lookup::Found;
    (!facts.is_policy_read()).then(|| {
        // Found, and no policy document after all.
        let lookup = if found {
            Lookup::Failed
        } else {
            facts.policy_lookup
        };
        not_read_of_key(key, "key_policy_not_read", lookup, "kms:GetKeyPolicy")
    })
}

/// UNKNOWN, where the key's grants were not read.
pub(super) fn grants_not_read(key: &KeyUse, access: &Access) -> Option<Judged> {
    let lookup = access.key.facts.grants_lookup;
    (lookup != Lookup::Found)
        .then(|| not_read_of_key(key, "grants_not_read", lookup, "kms:ListGrants"))
}

/// UNKNOWN for want of the identities of an account.
pub(super) fn identities_not_read(account: &str, denied: Option<&str>) -> Judged {
    let action = denied.unwrap_or("iam:GetAccountAuthorizationDetails");
    Judged::unknown(
        "identities_not_read",
        format!(
            "allow {action} to the reader role in account {account}, so that its roles and their \
             policies can be read"
        ),
    )
    .with("account", Some(account))
    .with("denied_action", denied)
}

/// UNKNOWN for a ruling that waits for something.
pub(super) fn undecided(ruling: &Ruling, who: &str, action: &str, on: &str) -> Judged {
    let what = ruling.depends_on.join(", ");
    if ruling.outcome == policy::Outcome::Conditional {
        Judged::unknown(
            "depends_on_context",
            format!(
                "check that {what} of the request lets {who} do {action} on {on}, or take that \
                 condition out of {}",
                ruling.decided_by.join(", ")
            ),
        )
    } else {
        Judged::unknown(
            "depends_on_unread",
            format!("let the reader role read {what}, which decides whether {who} may do {action}"),
        )
    }
}

/// The names of what [`told`] adds, for a cluster's writer and for its service role.
pub(super) const OF_WRITER: &[&str; 5] = &[
    "principal",
    "decision",
    "decision_reason",
    "decided_by",
    "depends_on",
];
pub(super) const OF_SERVICE: &[&str; 5] = &[
    "service_principal",
    "service_decision",
    "service_decision_reason",
    "service_decided_by",
    "service_depends_on",
];

fn some(names: &[String]) -> Option<Vec<&String>> {
    (!names.is_empty()).then(|| first(names))
}

/// What a ruling adds to the parameters of a finding.
pub(super) fn told(
    judged: Judged,
    names: &[&'static str; 5],
    caller: &Caller,
    ruling: Option<&Ruling>,
) -> Judged {
    let [principal, decision, reason, decided_by, depends_on] = names;
    judged
        .with(*principal, caller.name())
        .with(*decision, ruling.map(|r| r.outcome.as_str()))
        .with(*reason, ruling.map(|r| r.reason))
        .with(*decided_by, ruling.and_then(|r| some(&r.decided_by)))
        .with(*depends_on, ruling.and_then(|r| some(&r.depends_on)))
}

/// What to change so that a refused principal may do it: what forbids it, what fences it in, or the
/// statement that is missing.
pub(super) fn mend(ruling: &Ruling, who: &str, key: &str, statement: &Value) -> String {
    let actions = &statement["Action"];
    match ruling.reason {
        "explicit_deny" => format!(
            "change {}, which denies {who} the use of {key}",
            ruling.decided_by.join(", ")
        ),
        "not_allowed_by_permissions_boundary" => {
            format!("allow {actions} on {key} in the permissions boundary of {who}")
        }
        "not_allowed_by_identity_policy" if is_foreign(who, key) => {
            format!("allow {actions} on {key} in an IAM policy of {who}")
        }
        _ if is_foreign(who, key) => format!(
            "add to the policy of {key} the statement {statement}, and allow the same actions in an \
             IAM policy of {who}"
        ),
        _ => format!("add to the policy of {key} the statement {statement}"),
    }
}

/// Whether a principal and a key lie in different accounts.
fn is_foreign(who: &str, key: &str) -> bool {
    who.split(':').nth(4) != key.split(':').nth(4)
}

/// The statement that lets a role write logs through S3 in a Region.
pub(super) fn writer_statement(role: &str, region: &str) -> Value {
    json!({
        "Sid": "EmrLogWriter",
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": format!("s3.{region}.amazonaws.com")}},
    })
}

/// The statement that lets a service role look the key up. A request without an encryption context
/// meets no condition on one, so it has none.
pub(super) fn service_statement(role: &str) -> Value {
    json!({
        "Sid": "EmrKeyCheck",
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": "kms:DescribeKey",
        "Resource": "*",
    })
}
