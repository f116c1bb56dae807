//! EL-11: principals of another business unit cannot both read the log bucket and decrypt.

use super::granting::{first, grants_not_read, policy_not_read, spelled};
use super::{Fact, Judge, Judged, Rule, customer_key, find_bucket};
use crate::assess::access::{Access, BucketUse};
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-11",
    name: "key-segregated",
    version: 2,
    kind: RuleKind::Advises,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "segregated"),
        (Outcome::Fail, "other_unit_can_read"),
        (Outcome::Unknown, "unit_not_known"),
        (Outcome::Unknown, "readers_not_known"),
        (Outcome::Unknown, "depends_on_context"),
        (Outcome::Unknown, "bucket_owner_unknown"),
        (Outcome::Unknown, "key_policy_not_read"),
        (Outcome::Unknown, "grants_not_read"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "no_bucket_under_key"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 7.2.1",
        "PCI DSS 4.0.1 10.3.1",
        "45 CFR 164.312(a)(1)",
        "NIST SP 800-53 r5 AC-3",
        "NIST SP 800-53 r5 AU-9",
    ],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    if let Err(judged) = customer_key(case, key) {
        return judged;
    }
    let name = key.name();
    let Some(access) = &key.access else {
        return super::not_described(case, key);
    };
    let rank = |judged: &Judged| match judged.outcome {
        Outcome::Fail => 0,
        Outcome::Unknown => 1,
        Outcome::Pass | Outcome::NotApplicable => 2,
    };
    access
        .uses
        .iter()
        .map(|at| of_bucket(key, access, at))
        .min_by_key(rank)
        .unwrap_or_else(|| Judged::not_applicable("no_bucket_under_key"))
        .about_key()
        .read(Fact::Key)
        .read(Fact::Bucket)
        .with("key", name)
}

fn of_bucket(key: &KeyUse, access: &Access, at: &BucketUse) -> Judged {
    let bucket = &at.bucket;
    let used = &at.used;
    let own = used.unit.name();
    let judged = match &used.segregation {
        None => Judged::unknown(
            "bucket_owner_unknown",
            find_bucket(at.row.as_deref(), "s3:ListAllMyBuckets"),
        ),
        Some(found) if !found.others.is_empty() => Judged::fail(
            "other_unit_can_read",
            format!(
                "take s3:GetObject on bucket {bucket} or kms:Decrypt on the log key away from {}, or \
                 waive it where that is wanted",
                spelled(&found.others)
            ),
        )
        .with("others", Some(first(&found.others)))
        .with("others_count", Some(found.others.len())),
        Some(found) => {
            if let Some(judged) =
                policy_not_read(key, access).or_else(|| grants_not_read(key, access))
            {
                judged
            } else if !used.readers_not_read.is_empty() {
                Judged::unknown(
                    "readers_not_known",
                    format!(
                        "make known {}: give the reader role the permission where one is named, and \
                         narrow the policy of the key or bucket {bucket} where everyone is meant",
                        spelled(&used.readers_not_read)
                    ),
                )
                .with("not_read", Some(first(&used.readers_not_read)))
            } else if !found.of_unknown_unit.is_empty() {
                Judged::unknown(
                    "unit_not_known",
                    format!(
                        "tag with their business unit (tags.business_unit) the cluster, its account, \
                         and {}",
                        spelled(&found.of_unknown_unit)
                    ),
                )
                .with("readers", Some(first(&found.of_unknown_unit)))
            } else if !found.perhaps.is_empty() {
                Judged::unknown(
                    "depends_on_context",
                    format!(
                        "look at the conditions under which {} may read bucket {bucket} and decrypt",
                        spelled(&found.perhaps)
                    ),
                )
                .with("readers", Some(first(&found.perhaps)))
            } else {
                Judged::pass("segregated")
            }
            .with("readers_of_own_unit", Some(found.own))
        }
    };
    judged
        .with("bucket", Some(bucket.as_str()))
        .with("business_unit", own)
}
