//! EL-03: the log key can do the work: state, usage, key material, Region.

use super::{Fact, Judged, Rule, key_unparseable, not_described, without_key};
use crate::assess::case::{Case, Standing};
use crate::model::datasets::KmsKey;
use crate::model::key_reference::KeyArn;
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-03",
    name: "key-usable",
    version: 1,
    kind: RuleKind::Delivers,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "key_usable"),
        (Outcome::Fail, "key_not_found"),
        (Outcome::Fail, "key_state"),
        (Outcome::Fail, "key_usage"),
        (Outcome::Fail, "key_material_expired"),
        (Outcome::Fail, "region_mismatch"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::Unknown, "bucket_region_unknown"),
        (Outcome::Unknown, "backing_key_unknown"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
        (Outcome::NotApplicable, "aws_managed_key"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.7.5",
        "PCI DSS 4.0.1 10.7.2",
        "NIST SP 800-53 r5 SC-12",
    ],
    judge,
};

fn judge(case: &Case<'_>) -> Judged {
    if let Some(judged) = without_key(case) {
        return judged;
    }
    let (Some(standing), Some(arn)) = (case.standing(), case.key_arn()) else {
        return key_unparseable(case);
    };
    match (standing, case.described_key()) {
        (Standing::Unparseable, _) => key_unparseable(case),
        // Known by its alias alone, which is never resolved; EL-02 says what is wrong with it.
        (Standing::AwsManaged, None) => Judged::not_applicable("aws_managed_key")
            .about_key()
            .read(Fact::Key)
            .with("key", Some(arn.to_string())),
        (Standing::NotFound, _) => Judged::fail(
            "key_not_found",
            format!("relaunch with a key that exists: KMS knows no {arn}"),
        )
        .about_key()
        .read(Fact::Key)
        .with("key", Some(arn.to_string())),
        (Standing::Customer | Standing::AwsManaged, Some(row)) => described(case, row, &arn),
        _ => not_described(case),
    }
}

/// A key that KMS described, asked in the order of what stops the writer first.
fn described(case: &Case<'_>, row: &KmsKey, arn: &KeyArn) -> Judged {
    // An answer without one of these tells nothing of the key's use.
    let (Some(state), Some(usage), Some(spec), Some(origin)) = (
        row.state.as_deref(),
        row.usage.as_deref(),
        row.spec.as_deref(),
        row.origin.as_deref(),
    ) else {
        return not_described(case);
    };
    let bucket_region = case.bucket_region();
    // Cryptographic use works in these two states alone
    // (https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html).
    let judged = if !matches!(state, "Enabled" | "Updating") {
        Judged::fail("key_state", mend_state(state, arn))
    } else if (usage, spec) != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT") {
        Judged::fail(
            "key_usage",
            format!("relaunch with a symmetric encryption key: S3 cannot encrypt with {arn}"),
        )
    } else if row
        .material_expires_at
        .is_some_and(|at| at <= case.ctx.as_of)
    {
        Judged::fail(
            "key_material_expired",
            format!("import the key material of {arn} again (kms:ImportKeyMaterial)"),
        )
    } else if let Some(bucket_region) = bucket_region.filter(|r| **r != arn.region) {
        Judged::fail(
            "region_mismatch",
            format!(
                "relaunch with a key in {bucket_region}, where the log bucket lies: S3 cannot use a \
                 key of {}",
                arn.region
            ),
        )
    } else if bucket_region.is_none() {
        Judged::unknown("bucket_region_unknown", find_bucket(case))
    } else if !matches!(origin, "AWS_KMS" | "EXTERNAL") {
        // "Enabled" does not guarantee that the key in the store still works (same page).
        Judged::unknown(
            "backing_key_unknown",
            format!("check that the custom key store behind {arn} is connected and holds its key"),
        )
    } else {
        Judged::pass("key_usable")
    };
    judged
        .about_key()
        .read(Fact::Key)
        .read(Fact::Bucket)
        .with("key", case.reference.as_ref().map(ToString::to_string))
        .with("state", Some(state))
        .with("usage", Some(usage))
        .with("spec", Some(spec))
        .with("origin", Some(origin))
        .with("key_region", Some(arn.region.as_str()))
        .with("bucket_region", bucket_region.map(|r| r.as_str()))
        .with(
            "material_expires_at",
            row.material_expires_at.map(|at| at.to_string()),
        )
        .with("deletion_at", row.deletion_at.map(|at| at.to_string()))
}

fn mend_state(state: &str, arn: &KeyArn) -> String {
    match state {
        "Disabled" => format!("enable {arn} (kms:EnableKey), unless it was disabled on purpose"),
        "PendingDeletion" => format!(
            "cancel the deletion of {arn} and enable it (kms:CancelKeyDeletion, kms:EnableKey) before \
             its date, or relaunch with another key"
        ),
        "PendingReplicaDeletion" => {
            format!("relaunch with another key: {arn} is deleted once its replicas are")
        }
        "PendingImport" => format!("import key material into {arn} (kms:ImportKeyMaterial)"),
        "Unavailable" => format!("reconnect the custom key store of {arn}"),
        "Creating" => format!("wait until {arn} is made, then run again"),
        other => format!("find out why {arn} is in state {other}, in which it cannot be used"),
    }
}

fn find_bucket(case: &Case<'_>) -> String {
    let Some(row) = &case.bucket else {
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
            row.denied_action
                .as_deref()
                .unwrap_or("s3:GetBucketLocation")
        ),
        Lookup::NotFound => format!("make bucket {name}, or relaunch with one that exists"),
        _ => format!(
            "run again: looking up bucket {name} ended with {}",
            row.error_code.as_deref().unwrap_or(row.lookup.as_str())
        ),
    }
}
