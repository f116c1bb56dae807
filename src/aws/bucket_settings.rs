//! S3: policy and further settings of one bucket, each with its owner's account named in the request.
//!
//! Most of these reads answer "not configured" with an error of its own; here that is a value.

use aws_sdk_s3::Client;
use aws_sdk_s3::types;

use crate::aws::error::Asked;
use crate::aws::member::text;
use crate::collect::api::{ApiError, BucketLifecycle, BucketReplication};

/// `None` where S3 says that the bucket has no policy
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
pub(super) async fn policy(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<Option<String>, ApiError> {
    let answer = client
        .get_bucket_policy()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => answer
            .policy
            .map(Some)
            .ok_or_else(|| asked.unreadable("no policy in the answer")),
        Err(error) => absent(error, &["NoSuchBucketPolicy"], None),
    }
}

/// `None` for a bucket that never had ownership controls: whoever writes an object owns it
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>).
pub(super) async fn ownership(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<Option<String>, ApiError> {
    let answer = client
        .get_bucket_ownership_controls()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => {
            let rules = answer.ownership_controls.map(|c| c.rules);
            let first = rules.unwrap_or_default().into_iter().next();
            Ok(first.map(|rule| rule.object_ownership.as_str().to_owned()))
        }
        Err(error) => absent(error, &["OwnershipControlsNotFoundError"], None),
    }
}

/// Whether Object Lock is on.
pub(super) async fn object_lock(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<bool, ApiError> {
    let answer = client
        .get_object_lock_configuration()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => Ok(answer
            .object_lock_configuration
            .and_then(|c| c.object_lock_enabled)
            .is_some_and(|enabled| enabled == types::ObjectLockEnabled::Enabled)),
        Err(error) => absent(error, &["ObjectLockConfigurationNotFoundError"], false),
    }
}

/// Whether all four blocks are on.
pub(super) async fn public_access_blocked(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<bool, ApiError> {
    let answer = client
        .get_public_access_block()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => Ok(answer.public_access_block_configuration.is_some_and(|c| {
            [
                c.block_public_acls,
                c.ignore_public_acls,
                c.block_public_policy,
                c.restrict_public_buckets,
            ]
            .into_iter()
            .all(|on| on == Some(true))
        })),
        Err(error) => absent(error, &["NoSuchPublicAccessBlockConfiguration"], false),
    }
}

/// Lifecycle rules; none where there is no configuration.
pub(super) async fn lifecycle(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<BucketLifecycle, ApiError> {
    let answer = client
        .get_bucket_lifecycle_configuration()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => {
            let rules = answer.rules.unwrap_or_default();
            let on = || {
                let enabled = types::ExpirationStatus::Enabled;
                rules.iter().filter(move |rule| rule.status == enabled)
            };
            let days = on().filter_map(|rule| rule.expiration.as_ref()?.days);
            Ok(BucketLifecycle {
                rules: on().count() as i64,
                expires_after_days: days.min().map(i64::from),
            })
        }
        Err(error) => absent(
            error,
            &["NoSuchLifecycleConfiguration"],
            BucketLifecycle::default(),
        ),
    }
}

/// Replication rules; none where there is no configuration.
pub(super) async fn replication(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<BucketReplication, ApiError> {
    let answer = client
        .get_bucket_replication()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => {
            let rules = answer.replication_configuration.map(|c| c.rules);
            let on: Vec<_> = rules
                .unwrap_or_default()
                .into_iter()
                .filter(|rule| rule.status == types::ReplicationRuleStatus::Enabled)
                .collect();
            let mut destinations: Vec<String> = on
                .iter()
                .filter_map(|rule| text(Some(rule.destination.as_ref()?.bucket.clone())))
                .collect();
            destinations.sort_unstable();
            destinations.dedup();
            Ok(BucketReplication {
                rules: on.len() as i64,
                destinations,
            })
        }
        Err(error) => absent(
            error,
            &["ReplicationConfigurationNotFoundError"],
            BucketReplication::default(),
        ),
    }
}

/// Whether a metadata table configuration exists, of either version: the second version's call
/// answers for both (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketMetadataTableConfiguration.html>).
/// `None` where S3 says that it does not have the feature there.
pub(super) async fn metadata_table(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
) -> Result<Option<bool>, ApiError> {
    let answer = client
        .get_bucket_metadata_configuration()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(_) => Ok(Some(true)),
        Err(error) if ["MethodNotAllowed", "NotImplemented"].contains(&error.code.as_str()) => {
            Ok(None)
        }
        Err(error) => absent(
            error,
            &[
                "MetadataConfigurationNotFound",
                "MetadataConfigurationNotFoundError",
                "NoSuchBucketMetadataConfiguration",
            ],
            Some(false),
        ),
    }
}

/// The value that "there is none" stands for, or the error.
fn absent<T>(error: ApiError, codes: &[&str], none: T) -> Result<T, ApiError> {
    if codes.contains(&error.code.as_str()) {
        Ok(none)
    } else {
        Err(error)
    }
}
