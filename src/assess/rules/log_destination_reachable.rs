//! EL-09: where bucket or key lie in another account, both sides let the cluster in.

use super::granting::{OF_WRITER, identities_not_read, told, undecided};
use super::{Fact, Judge, Judged, Rule, find_bucket, log_uri_unparseable, not_described};
use crate::assess::access::{Caller, Destination, LAYERS_NOT_READ};
use crate::assess::case::{Case, LogPlace};
use crate::assess::key_use::{KeyUse, Standing};
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};
use crate::policy;

pub(super) const RULE: Rule = Rule {
    id: "EL-09",
    name: "log-destination-reachable",
    version: 1,
    kind: RuleKind::Delivers,
    severity: Severity::Medium,
    conclusions: &[
        (Outcome::Pass, "reachable"),
        (Outcome::Pass, "reachable_objects_owned_by_writer"),
        (Outcome::Fail, "bucket_denies_writer"),
        (Outcome::Fail, "bucket_does_not_allow_writer"),
        (Outcome::Fail, "writer_may_not_put"),
        (Outcome::Fail, "key_does_not_let_writer_in"),
        (Outcome::Unknown, "bucket_owner_unknown"),
        (Outcome::Unknown, "bucket_policy_not_read"),
        (Outcome::Unknown, "bucket_acl_not_read"),
        (Outcome::Unknown, "key_access_unknown"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_named_by_arn"),
        (Outcome::Unknown, "identities_not_read"),
        (Outcome::Unknown, "writer_not_found"),
        (Outcome::Unknown, "depends_on_context"),
        (Outcome::Unknown, "depends_on_unread"),
        (Outcome::Unknown, "log_uri_unparseable"),
        (Outcome::NotApplicable, "same_account"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 10.3.3",
        "45 CFR 164.312(b)",
        "NIST SP 800-53 r5 AU-5",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let location = match &case.place {
        LogPlace::Nowhere => return Judged::not_applicable("no_log_uri"),
        LogPlace::Unparseable => return log_uri_unparseable(),
        LogPlace::S3(location) => location,
    };
    let of_bucket = bucket_side(case);
    let of_key = case.log_key().and_then(|key| key_side(case, key));
    let judged = match (of_bucket, of_key) {
        (None, None) => Judged::not_applicable("same_account"),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(bucket), Some(key)) => worse(bucket, key),
    };
    judged
        .about_bucket()
        .read(Fact::Bucket)
        .with("bucket", Some(location.bucket.as_str()))
}

/// The one that stands more in the way; what the bucket says, where both are alike.
fn worse(bucket: Judged, key: Judged) -> Judged {
    let rank = |judged: &Judged| match judged.outcome {
        Outcome::Fail => 0,
        Outcome::Unknown => 1,
        Outcome::Pass | Outcome::NotApplicable => 2,
    };
    if rank(&key) < rank(&bucket) {
        key
    } else {
        bucket
    }
}

/// The bucket's part; `None` where it lies in the cluster's own account.
fn bucket_side(case: &Case<'_>) -> Option<Judged> {
    let row = case.bucket.as_deref();
    if let Some(destination) = &case.destination {
        let ownership = row.and_then(|b| b.ownership.as_deref());
        let judged = of_destination(case, destination, ownership);
        let judged = told(
            judged,
            OF_WRITER,
            &destination.writer,
            destination.put.as_ref(),
        );
        return Some(
            judged
                .with("owner", Some(destination.owner.as_str()))
                .with("ownership", ownership)
                .with("assumes", Some(LAYERS_NOT_READ)),
        );
    }
    if row.is_some_and(|b| b.account_id.is_some()) {
        return None;
    }
    let lookup = row.map_or(Lookup::NotAttempted, |b| b.lookup);
    Some(
        Judged::unknown(
            "bucket_owner_unknown",
            find_bucket(row, "s3:ListAllMyBuckets"),
        )
        .with("lookup", Some(lookup.as_str())),
    )
}

fn of_destination(case: &Case<'_>, at: &Destination, ownership: Option<&str>) -> Judged {
    let account = &case.cluster.account_id;
    let bucket_arn = case.names.bucket_arn.clone().unwrap_or_default();
    let (who, put) = match (&at.writer, &at.put) {
        (Caller::NotRead(_), _) | (Caller::Known(_), None) => {
            let denied = at.identities_denied.as_deref();
            return identities_not_read(account.as_str(), denied);
        }
        (Caller::NotNamed | Caller::Missing(_), _) => {
            return Judged::unknown(
                "writer_not_found",
                format!(
                    "look which role writes the logs: account {account} has no instance profile {}",
                    at.writer.name().unwrap_or("of this cluster")
                ),
            );
        }
        (Caller::Known(who), Some(put)) => (who, put),
    };
    let owner = &at.owner;
    match (put.outcome, put.reason) {
        (policy::Outcome::Allowed, _) if ownership == Some("BucketOwnerEnforced") => {
            named_by_arn(case).unwrap_or_else(|| Judged::pass("reachable"))
        }
        // Readable to the bucket's owner only if the writer hands it on
        // (https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html).
        (policy::Outcome::Allowed, _) => {
            named_by_arn(case).unwrap_or_else(|| Judged::pass("reachable_objects_owned_by_writer"))
        }
        (policy::Outcome::Denied, "explicit_deny") => Judged::fail(
            "bucket_denies_writer",
            format!(
                "change {}, which denies {who} s3:PutObject in {bucket_arn}",
                put.decided_by.join(", ")
            ),
        ),
        (policy::Outcome::Denied, "not_allowed_by_resource_policy") if at.may_allow_by_acl => {
            Judged::unknown(
                "bucket_acl_not_read",
                format!(
                    "set the ownership of {bucket_arn} to BucketOwnerEnforced and allow {who} \
                     s3:PutObject in its policy: an access control list, which is not read, may \
                     allow it now"
                ),
            )
        }
        (policy::Outcome::Denied, "not_allowed_by_resource_policy") => Judged::fail(
            "bucket_does_not_allow_writer",
            format!(
                "add to the policy of {bucket_arn} in account {owner} the statement \
                 {{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"{who}\"}},\"Action\":\
                 \"s3:PutObject\",\"Resource\":\"{bucket_arn}/*\"}}"
            ),
        ),
        (policy::Outcome::Denied, _) => Judged::fail(
            "writer_may_not_put",
            format!("allow s3:PutObject on {bucket_arn}/* in the IAM policies of {who}"),
        ),
        _ if !at.is_policy_read => {
            let row = case.bucket.as_deref();
            let lookup = row.map_or(Lookup::NotAttempted, |b| b.policy_lookup);
            Judged::unknown(
                "bucket_policy_not_read",
                format!(
                    "allow s3:GetBucketPolicy on {bucket_arn} to the reader role of account {owner}"
                ),
            )
            .with("lookup", Some(lookup.as_str()))
            .denied(lookup, "s3:GetBucketPolicy")
        }
        _ => undecided(put, who, "s3:PutObject", &bucket_arn),
    }
}

/// UNKNOWN for a key that is not named by its own ARN where accounts are crossed: S3 resolves a short
/// id or an alias in the account of whoever asks
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>).
fn named_by_arn(case: &Case<'_>) -> Option<Judged> {
    let key = case.log_key()?;
    let text = case.cluster.log_key.as_deref()?.trim();
    let by_arn = text.starts_with("arn:") && key.named().is_some_and(|arn| !arn.is_alias());
    let unknown = !by_arn && key.standing() != Standing::AwsManaged;
    unknown.then(|| {
        let arn = key.name().cloned().unwrap_or_default();
        Judged::unknown(
            "key_not_named_by_arn",
            format!(
                "relaunch with the full ARN of the log key, {arn}: across accounts {text} may name \
                 another"
            ),
        )
        .with("named", Some(text))
    })
}

/// The key's part; `None` where it lies in the cluster's own account, or is no key to be let in to.
fn key_side(case: &Case<'_>, key: &KeyUse) -> Option<Judged> {
    let account = &case.cluster.account_id;
    let arn = key.arn().filter(|arn| arn.account_id != *account)?;
    match key.standing() {
        Standing::AwsManaged | Standing::Unparseable | Standing::NotFound => return None,
        Standing::Customer | Standing::NotDescribed => {}
    }
    let Some(access) = &key.access else {
        return Some(not_described(case, key));
    };
    let used = &access.uses.first()?.used;
    let judged = match (&used.writer.writer, &used.writer.generate) {
        (Caller::NotRead(_), _) => {
            identities_not_read(account.as_str(), used.identities_denied.as_deref())
        }
        (Caller::Known(who), Some(ruling)) if ruling.outcome == policy::Outcome::Denied => {
            Judged::fail(
                "key_does_not_let_writer_in",
                format!(
                    "let {who} use {arn} in both accounts, as EL-04 of this cluster says in full"
                ),
            )
        }
        (Caller::Known(_), Some(ruling)) if ruling.outcome == policy::Outcome::Allowed => {
            named_by_arn(case).unwrap_or_else(|| Judged::pass("reachable"))
        }
        _ => Judged::unknown(
            "key_access_unknown",
            format!(
                "mend what keeps EL-04 of this cluster from telling whether its writer may use {arn}"
            ),
        ),
    };
    Some(judged.with("key", key.name()))
}
