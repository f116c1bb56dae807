//! EL-15: the log bucket's default encryption is under a customer key.
//!
//! Advice and no more: a default applies only to what is put without naming another encryption, so
//! it is never proof of how the logs are encrypted.

use super::{Fact, Judge, Judged, Rule, find_bucket, log_uri_unparseable};
use crate::assess::case::{Case, LogPlace};
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-15",
    name: "bucket-default-key",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "bucket_default_customer_key"),
        (Outcome::Fail, "bucket_default_not_customer_key"),
        (Outcome::Unknown, "bucket_not_read"),
        (Outcome::Unknown, "log_uri_unparseable"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let location = match &case.place {
        LogPlace::Nowhere => return Judged::not_applicable("no_log_uri"),
        LogPlace::Unparseable => return log_uri_unparseable(),
        LogPlace::S3(location) => location,
    };
    let name = &location.bucket;
    let row = case.bucket.as_deref();
    let lookup = row.map_or(Lookup::NotAttempted, |b| b.lookup);
    // Named by the ARN of the key itself, an AWS managed key shows only when it was described.
    let is_aws_managed = case
        .bucket_key
        .as_ref()
        .is_some_and(|k| k.lookup == Lookup::Found && k.manager.as_deref() == Some("AWS"));
    let judged = if lookup != Lookup::Found {
        let action = row.and_then(|b| b.denied_action.as_deref());
        let action = action.unwrap_or("s3:GetEncryptionConfiguration");
        Judged::unknown("bucket_not_read", find_bucket(row, action)).denied(lookup, action)
    } else if case.bucket_default_is_customer_key() && !is_aws_managed {
        Judged::pass("bucket_default_customer_key")
    } else {
        Judged::fail(
            "bucket_default_not_customer_key",
            format!(
                "set the default encryption of bucket {name} to SSE-KMS with a customer managed key of \
                 its Region and a bucket key (s3:PutEncryptionConfiguration)"
            ),
        )
    };
    judged
        .about_bucket()
        .read(Fact::Bucket)
        .read(Fact::BucketKey)
        .with("bucket", Some(name.as_str()))
        .with(
            "lookup",
            (lookup != Lookup::Found).then_some(lookup.as_str()),
        )
        .with("default", case.bucket_default())
        .with("default_key", row.and_then(|b| b.default_key.as_deref()))
        .with("bucket_key", row.and_then(|b| b.bucket_key))
}
