//! EL-03: the log key can do the work: state, usage, key material, Region.

use std::collections::BTreeSet;

use super::{Fact, Judge, Judged, Rule, find_bucket, key_unparseable, not_described};
use crate::assess::case::Case;
use crate::assess::key_use::{KeyUse, Standing, UsedAt};
use crate::model::datasets::KmsKey;
use crate::model::ids::Region;
use crate::model::key_reference::KeyArn;
use crate::model::words::{Outcome, RuleKind, Severity};

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
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    let Some(arn) = key.arn() else {
        return key_unparseable(key);
    };
    match (key.standing(), key.described()) {
        (Standing::Unparseable, _) => key_unparseable(key),
        // Known by its alias alone, which is never resolved; EL-02 says what is wrong with it.
        (Standing::AwsManaged, None) => Judged::not_applicable("aws_managed_key")
            .about_key()
            .read(Fact::Key)
            .with("key", key.name()),
        (Standing::NotFound, _) => Judged::fail(
            "key_not_found",
            format!("relaunch with a key that exists: KMS knows no {arn}"),
        )
        .about_key()
        .read(Fact::Key)
        .with("key", key.name()),
        (Standing::Customer | Standing::AwsManaged, Some(row)) => described(case, key, row, arn),
        _ => not_described(case, key),
    }
}

/// A key that KMS described, asked in the order of what stops the writer first.
fn described(case: &Case<'_>, key: &KeyUse, row: &KmsKey, arn: &KeyArn) -> Judged {
    // An answer without one of these tells nothing of the key's use.
    let (Some(state), Some(usage), Some(spec), Some(origin)) = (
        row.state.as_deref(),
        row.usage.as_deref(),
        row.spec.as_deref(),
        row.origin.as_deref(),
    ) else {
        return not_described(case, key);
    };
    let elsewhere = key
        .places
        .iter()
        .filter_map(UsedAt::region)
        .find(|region| **region != arn.region);
    let not_read = key.places.iter().find_map(|place| match place {
        UsedAt::Bucket(row) if place.region().is_none() => Some(row.as_deref()),
        _ => None,
    });
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
    } else if let Some(elsewhere) = elsewhere {
        Judged::fail(
            "region_mismatch",
            format!(
                "relaunch with a key in {elsewhere}, where the logs are stored: a key of {} cannot be \
                 used there",
                arn.region
            ),
        )
    } else if let Some(bucket) = not_read {
        Judged::unknown(
            "bucket_region_unknown",
            find_bucket(bucket, "s3:GetBucketLocation"),
        )
        .with(
            "denied_action",
            bucket.and_then(|row| row.denied_action.as_deref()),
        )
    } else if !matches!(origin, "AWS_KMS" | "EXTERNAL") {
        // "Enabled" does not guarantee that the key in the store still works (same page).
        Judged::unknown(
            "backing_key_unknown",
            format!("check that the custom key store behind {arn} is connected and holds its key"),
        )
    } else {
        Judged::pass("key_usable")
    };
    let mut judged = judged.about_key().read(Fact::Key);
    for place in &key.places {
        if let UsedAt::Bucket(Some(row)) = place {
            judged = judged.read(Fact::Row(format!("log_bucket/{}", row.bucket)));
        }
    }
    judged
        .with("key", Some(key.reference.to_string()))
        .with("state", Some(state))
        .with("usage", Some(usage))
        .with("spec", Some(spec))
        .with("origin", Some(origin))
        .with("key_region", Some(arn.region.as_str()))
        .with("used_in", used_in(key))
        .with(
            "material_expires_at",
            row.material_expires_at.map(|at| at.to_string()),
        )
        .with("deletion_at", row.deletion_at.map(|at| at.to_string()))
}

/// The Regions in which the key is used, where it is known.
fn used_in(key: &KeyUse) -> Option<String> {
    let regions: BTreeSet<_> = key.places.iter().filter_map(UsedAt::region).collect();
    let names: Vec<_> = regions.into_iter().map(Region::as_str).collect();
    (!names.is_empty()).then(|| names.join(" "))
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
