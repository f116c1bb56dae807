//! Where a cluster's logs go, and what facts prove of their encryption there.

use super::case::{Case, LogPlace, Standing};
use super::release::Release;
use crate::model::datasets::Channel;
use crate::model::words::Encryption;

/// The channels of a cluster: C1 where `LogUri` is set, else none.
pub(super) fn of(case: &Case<'_>) -> Vec<Channel> {
    let destination = match &case.place {
        LogPlace::Nowhere => return Vec::new(),
        // Not understood, so it cannot be rebuilt; credentials were dropped when it was collected.
        LogPlace::Unparseable => case.cluster.log_uri.clone().unwrap_or_default(),
        LogPlace::S3(location) => location.to_string(),
    };
    let (effective_encryption, basis) = effective(case);
    let resolved = case.described_key().and_then(|k| k.key_arn.clone());
    vec![Channel {
        scheduled_for: case.ctx.scheduled_for,
        account_id: case.cluster.account_id.clone(),
        region: case.cluster.region.clone(),
        cluster_id: case.cluster.cluster_id.clone(),
        channel: "C1".to_owned(),
        destination,
        destination_bucket: match &case.place {
            LogPlace::S3(location) => Some(location.bucket.clone()),
            _ => None,
        },
        requested_key: case.cluster.log_key.clone(),
        key_reference: case.key_reference().map(ToString::to_string),
        key_arn: resolved,
        effective_encryption,
        basis: basis.to_owned(),
    }]
}

/// The encryption of what C1 writes, and the fact that says so.
fn effective(case: &Case<'_>) -> (Encryption, &'static str) {
    if let Some(unread) = case.unread() {
        return (Encryption::Unknown, unread.reason());
    }
    if case.uploads_disabled() {
        return (Encryption::Unknown, "uploads_disabled_steps_not_read");
    }
    if case.place == LogPlace::Unparseable {
        return (Encryption::Unknown, "log_uri_unparseable");
    }
    let Some(standing) = case.standing() else {
        // AWS documents SSE-S3 for logs without a key. Whether the writer asks for it or leaves it to
        // the bucket is not documented, so only a bucket that does the same leaves no doubt.
        return match case.bucket_default() {
            Some("AES256") => (Encryption::SseS3, "no_log_key"),
            _ => (Encryption::Unknown, "no_log_key_bucket_default_not_proof"),
        };
    };
    match case.cluster.release_label.as_deref().map(Release::parse) {
        Some(Some(release)) if release.honours_log_key() => match standing {
            Standing::Customer => (Encryption::CustomerKey, "log_key_customer"),
            Standing::AwsManaged => (Encryption::AwsManagedKey, "log_key_aws_managed"),
            Standing::NotFound => (Encryption::Unknown, "key_not_found"),
            Standing::NotDescribed => (Encryption::Unknown, "key_not_described"),
            Standing::Unparseable => (Encryption::Unknown, "key_reference_unparseable"),
        },
        Some(Some(_)) => (Encryption::Unknown, "release_does_not_honour_key"),
        _ => (Encryption::Unknown, "release_unparseable"),
    }
}
