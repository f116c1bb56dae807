//! EL-12: the log key rotates by itself, where keys of its kind can.

use super::{Fact, Judge, Judged, Rule, customer_key, not_read_of_key};
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::datasets::KmsKey;
use crate::model::text::Text;
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-12",
    name: "rotation-on",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "rotation_on"),
        (Outcome::Fail, "rotation_off"),
        (Outcome::Unknown, "rotation_not_read"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "kind_cannot_rotate"),
        (Outcome::NotApplicable, "key_pending_deletion"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.7.4",
        "NIST SP 800-53 r5 SC-12",
        "NIST SP 800-53 r5 SC-12(2)",
    ],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    let row = match customer_key(case, key) {
        Ok(row) => row,
        Err(judged) => return judged,
    };
    let name = key.name();
    let judged = match (row.rotation_lookup, row.rotation_enabled) {
        (Lookup::Found, Some(true)) => Judged::pass("rotation_on"),
        _ if !can_rotate(row) => Judged::not_applicable("kind_cannot_rotate"),
        // KMS says "off" of such a key whatever was set, and sets it back if the deletion is
        // cancelled (https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html).
        _ if is_going(row) => Judged::not_applicable("key_pending_deletion"),
        (Lookup::Found, None) => Judged::not_applicable("kind_cannot_rotate"),
        (Lookup::Found, Some(false)) => Judged::fail(
            "rotation_off",
            format!(
                "turn on automatic rotation of {} (kms:EnableKeyRotation); it re-encrypts nothing and \
                 keeps the key's ARN",
                name.map(Text::as_str).unwrap_or_default()
            ),
        ),
        (lookup, _) => {
            not_read_of_key(key, "rotation_not_read", lookup, "kms:GetKeyRotationStatus")
        }
    };
    judged
        .about_key()
        .read(Fact::Key)
        .with("key", name)
        .with("origin", row.origin.as_deref())
        .with("spec", row.spec.as_deref())
        .with("period_days", row.rotation_period_days)
}

/// Only symmetric keys whose material KMS made rotate by themselves
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html>). What DescribeKey left
/// out tells nothing.
fn can_rotate(row: &KmsKey) -> bool {
    row.origin.as_deref().is_none_or(|o| o == "AWS_KMS")
        && row.spec.as_deref().is_none_or(|s| s == "SYMMETRIC_DEFAULT")
}

fn is_going(row: &KmsKey) -> bool {
    matches!(
        row.state.as_deref(),
        Some("PendingDeletion" | "PendingReplicaDeletion")
    )
}
