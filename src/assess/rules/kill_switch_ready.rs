//! EL-14: who can switch the log key off is known, and is not everyone; and a key that is going says
//! what goes with it.

use super::granting::{first, identities_not_read, policy_not_read};
use super::{Fact, Judge, Judged, Rule, customer_key};
use crate::assess::access::Access;
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::datasets::KmsKey;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-14",
    name: "kill-switch-ready",
    version: 2,
    kind: RuleKind::Advises,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "rulers_known"),
        (Outcome::Fail, "pending_deletion"),
        (Outcome::Fail, "everyone_rules_key"),
        (Outcome::Fail, "nobody_rules_key"),
        (Outcome::Unknown, "key_policy_not_read"),
        (Outcome::Unknown, "identities_not_read"),
        (Outcome::Unknown, "rulers_not_known"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.7.5",
        "PCI DSS 4.0.1 3.2.1",
        "NIST SP 800-53 r5 SC-12",
        "NIST SP 800-53 r5 AC-6",
    ],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    let row = match customer_key(case, key) {
        Ok(row) => row,
        Err(judged) => return judged,
    };
    let name = key.name().cloned().unwrap_or_default();
    let Some(access) = &key.access else {
        return super::not_described(case, key);
    };
    let known = &access.key;
    let everyone = &known.rulers.of_everyone;
    let judged = if matches!(
        row.state.as_deref(),
        Some("PendingDeletion" | "PendingReplicaDeletion")
    ) {
        going(case, row, access, &name)
    } else if !everyone.is_empty() {
        Judged::fail(
            "everyone_rules_key",
            format!(
                "name the administrators in the statement of the policy of {name} that allows {} to \
                 everyone",
                everyone.join(", ")
            ),
        )
        .with("actions", Some(first(everyone.iter().copied())))
    } else if let Some(judged) = policy_not_read(key, access) {
        judged
    } else if known.rulers.lacks_ruler() {
        Judged::fail(
            "nobody_rules_key",
            format!(
                "open a case with AWS Support to win {name} back, then let its account or named \
                 administrators disable it: nobody may now"
            ),
        )
    } else if !known.owner_is_read {
        let denied = known.owner_denied.as_deref();
        identities_not_read(known.facts.arn.account_id.as_str(), denied)
    } else if !known.rulers.of_some.is_empty() {
        let actions = &known.rulers.of_some;
        Judged::unknown(
            "rulers_not_known",
            format!(
                "name the administrators in the statement of the policy of {name} that allows {} to \
                 everyone under a condition: whoever meets it has no need of an IAM policy, so \
                 nobody can list them",
                actions.join(", ")
            ),
        )
        .with("actions", Some(first(actions.iter().copied())))
    } else {
        Judged::pass("rulers_known")
    };
    let mut judged = judged.about_key().read(Fact::Key).with("key", Some(name));
    for (action, holders) in &known.rulers.by_action {
        if !holders.is_empty() {
            judged = judged
                .with(*action, Some(first(holders.iter().map(|h| &h.who))))
                .with(format!("{action}_count"), Some(holders.len()));
        }
    }
    judged
}

/// One cluster knows what it would lose; the findings of all clusters under the key are the whole.
fn going(case: &Case<'_>, row: &KmsKey, access: &Access, name: &str) -> Judged {
    let buckets: Vec<String> = access.uses.iter().map(|at| at.bucket.clone()).collect();
    let until = match row.deletion_at {
        Some(at) => format!("before {at}"),
        None => "before it is deleted".to_owned(),
    };
    Judged::fail(
        "pending_deletion",
        format!(
            "cancel the deletion of {name} {until} (kms:CancelKeyDeletion), unless it is meant: all \
             logs under it in {} go with it, those of cluster {} and of every other cluster that \
             EL-14 reports for this key",
            if buckets.is_empty() {
                "every place".to_owned()
            } else {
                buckets.join(", ")
            },
            case.cluster.cluster_id
        ),
    )
    .with("deletion_at", row.deletion_at.map(|at| at.to_string()))
    .with("loses_buckets", (!buckets.is_empty()).then(|| first(&buckets)))
    .with("loses_cluster", Some(&case.names.cluster_arn))
}
