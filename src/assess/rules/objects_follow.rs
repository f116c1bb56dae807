//! EL-19: sampled log objects lie under a customer key: the result, not the setting.
//!
//! Says nothing unless the run sampled the cluster, so that a run without sampling concludes what it
//! always did. "KMS" is not enough: the key of each object must be known as a customer key of ours, by
//! the row of the log key or of another key that the run described.

use serde_json::Value;

use super::{Fact, Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::assess::key_use::Standing;
use crate::model::datasets::LogObjectSample;
use crate::model::table::Dataset;
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-19",
    name: "objects-follow",
    version: 1,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "objects_under_customer_key"),
        (Outcome::Fail, "object_not_under_kms"),
        (Outcome::Fail, "object_under_aws_managed_key"),
        (Outcome::Fail, "object_under_foreign_key"),
        (Outcome::Unknown, "sse_c_suspected"),
        (Outcome::Unknown, "object_key_not_described"),
        (Outcome::Unknown, "owner_unknown"),
        (Outcome::Unknown, "objects_not_read"),
        (Outcome::NotApplicable, "no_objects"),
        (Outcome::NotApplicable, "not_sampled"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

/// The error code of a sample that S3 refuses to head without the object's own key.
const SSE_C_SUSPECTED: &str = "sse_c_suspected";

fn judge(case: &Case<'_>) -> Judged {
    if case.samples.is_empty() {
        return Judged::not_applicable("not_sampled");
    }
    let is_nothing =
        |s: &LogObjectSample| s.object_sha256.is_empty() && s.lookup == Lookup::NotFound;
    if case.samples.iter().all(is_nothing) {
        return described(case, Judged::not_applicable("no_objects"), None);
    }
    // The worst object speaks for the cluster; among equals the first one.
    let mut worst: Option<(u8, Judged, &LogObjectSample)> = None;
    for sample in case.samples.iter().filter(|s| !is_nothing(s)) {
        let judged = one(case, sample);
        let rank = match judged.outcome {
            Outcome::Fail => 0,
            Outcome::Unknown => 1,
            Outcome::Pass | Outcome::NotApplicable => 2,
        };
        if worst.as_ref().is_none_or(|(known, ..)| rank < *known) {
            worst = Some((rank, judged, sample));
        }
    }
    match worst {
        Some((_, judged, sample)) => described(case, judged, Some(sample)),
        None => Judged::not_applicable("no_objects"),
    }
}

/// What one object says. An object that was gone between list and HEAD says nothing.
fn one(case: &Case<'_>, sample: &LogObjectSample) -> Judged {
    let bucket = &sample.bucket;
    match sample.lookup {
        Lookup::Found => {}
        Lookup::NotFound => return Judged::not_applicable("no_objects"),
        _ if sample.error_code.as_deref() == Some(SSE_C_SUSPECTED) => {
            return Judged::unknown(
                "sse_c_suspected",
                format!(
                    "find out who writes objects with keys of their own (SSE-C) to bucket {bucket}, and \
                     block SSE-C there (s3:PutEncryptionConfiguration, BlockedEncryptionTypes)"
                ),
            );
        }
        lookup => return not_read(sample, lookup),
    }
    let Some("aws:kms" | "aws:kms:dsse") = sample.algorithm.as_deref() else {
        return Judged::fail(
            "object_not_under_kms",
            "relaunch with LogEncryptionKmsKeyId set to a customer managed key: what is written to the \
             bucket is not under one, whatever the cluster is set to",
        );
    };
    let Some(key) = case.sampled_key(sample) else {
        return not_described(sample);
    };
    let Some(arn) = key.arn() else {
        return not_described(sample);
    };
    let owner = &arn.account_id;
    match (key.standing(), case.owner_is_ours(owner)) {
        (Standing::AwsManaged, _) => Judged::fail(
            "object_under_aws_managed_key",
            format!(
                "relaunch with LogEncryptionKmsKeyId set to a customer managed key: log objects lie \
                 under {arn}, which AWS manages"
            ),
        ),
        // The ARN alone tells the owner, described or not.
        (_, Some(false)) => Judged::fail(
            "object_under_foreign_key",
            format!(
                "relaunch with a key of the organization, or add account {owner} to \
                 allowed_key_owners if its keys are approved"
            ),
        ),
        (_, None) => Judged::unknown(
            "owner_unknown",
            format!(
                "run with access to AWS Organizations or with --account-list, so that it is known \
                 whether account {owner} belongs to the organization"
            ),
        ),
        (Standing::Customer, Some(true)) => Judged::pass("objects_under_customer_key"),
        _ => not_described(sample),
    }
}

fn not_described(sample: &LogObjectSample) -> Judged {
    let key = sample.key_arn.as_deref().unwrap_or("the key");
    Judged::unknown(
        "object_key_not_described",
        format!(
            "find out who manages {key}, under which log objects lie: this run described no such key, \
             since no cluster names it, or could not"
        ),
    )
    .with("denied_action", Some("kms:DescribeKey"))
}

fn not_read(sample: &LogObjectSample, lookup: Lookup) -> Judged {
    let bucket = &sample.bucket;
    let action = if sample.object_sha256.is_empty() {
        "s3:ListBucket"
    } else {
        "s3:GetObject"
    };
    let advice = match lookup {
        Lookup::Denied => format!(
            "deploy the sampler role in the account that owns bucket {bucket}, and allow it {action} \
             there"
        ),
        Lookup::OwnerNotInScope | Lookup::OwnerUnknown => format!(
            "take the account that owns bucket {bucket} into scope and deploy the sampler role there"
        ),
        _ => format!(
            "run again: looking at log objects in bucket {bucket} ended with {}",
            sample.error_code.as_deref().unwrap_or(lookup.as_str())
        ),
    };
    Judged::unknown("objects_not_read", advice)
        .with("lookup", Some(lookup.as_str()))
        .denied(lookup, action)
}

/// Adds what was looked at: the samples, their bucket, and of the deciding one how it is encrypted.
fn described(case: &Case<'_>, judged: Judged, decider: Option<&LogObjectSample>) -> Judged {
    let heads = case.samples.iter().filter(|s| !s.object_sha256.is_empty());
    let mut judged = judged
        .about_bucket()
        .with("objects", Some(Value::from(heads.count())));
    for sample in &case.samples {
        judged = judged.read(Fact::Row(id(sample)));
    }
    let Some(sample) = decider else {
        return judged;
    };
    if let Some(key) = case.sampled_key(sample).and_then(|key| key.row.as_ref()) {
        judged = judged.read(Fact::Row(format!("kms_key/{}", key.key_reference)));
    }
    judged
        .with("bucket", Some(sample.bucket.as_str()))
        .with("algorithm", sample.algorithm.as_deref())
        .with("key", sample.key_arn.as_deref())
}

fn id(row: &LogObjectSample) -> String {
    format!(
        "{}/{}/{}/{}/{}/{}",
        LogObjectSample::NAME,
        row.account_id,
        row.region,
        row.cluster_id,
        row.bucket,
        row.object_sha256
    )
}
