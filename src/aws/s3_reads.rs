//! S3: how buckets are set up. No object is ever read.

use aws_sdk_s3::types;

use crate::aws::error::Asked;
use crate::aws::member::{next, text};
use crate::collect::api::{ApiError, BucketEncryption, OwnedBucket, Page};
use crate::model::ids::Region;

/// Buckets a page: with a page size S3 also tells each bucket's Region
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>).
pub(super) const BUCKETS_PER_PAGE: i32 = 1_000;

pub(super) fn buckets(
    asked: Asked<'_>,
    given: Option<Vec<types::Bucket>>,
    token: Option<String>,
) -> Result<Page<OwnedBucket>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|bucket| {
            Ok(OwnedBucket {
                name: text(bucket.name)
                    .ok_or_else(|| asked.unreadable("a bucket without a name"))?,
                region: bucket.bucket_region.and_then(|r| r.parse().ok()),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}

/// No constraint means us-east-1, and `EU` is what eu-west-1 was once called
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>).
pub(super) fn location(asked: Asked<'_>, constraint: Option<&str>) -> Result<Region, ApiError> {
    let name = match constraint.unwrap_or_default() {
        "" => "us-east-1",
        "EU" => "eu-west-1",
        other => other,
    };
    name.parse()
        .map_err(|_| asked.unreadable("a location that is no Region"))
}

/// The first rule with a default; S3 allows one.
pub(super) fn encryption(
    given: Option<types::ServerSideEncryptionConfiguration>,
) -> BucketEncryption {
    given
        .into_iter()
        .flat_map(|configuration| configuration.rules)
        .find_map(|rule| {
            let default = rule.apply_server_side_encryption_by_default?;
            Some(BucketEncryption {
                algorithm: Some(default.sse_algorithm.as_str().to_owned()),
                key: text(default.kms_master_key_id),
                bucket_key: rule.bucket_key_enabled,
            })
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::operation::Operation;

    #[test]
    fn old_locations_have_a_region() {
        let asked = Asked {
            operation: Operation::GetBucketLocation,
            account: "111122223333",
            region: "global",
        };
        for (constraint, region) in [
            (None, "us-east-1"),
            (Some(""), "us-east-1"),
            (Some("EU"), "eu-west-1"),
            (Some("eu-north-1"), "eu-north-1"),
        ] {
            assert_eq!(
                location(asked, constraint).expect("Region").as_str(),
                region
            );
        }
        assert!(location(asked, Some("../")).is_err());
    }

    #[test]
    fn a_default_without_a_key_is_the_aws_managed_one() {
        let default = types::ServerSideEncryptionByDefault::builder()
            .sse_algorithm(types::ServerSideEncryption::AwsKms)
            .build()
            .expect("built");
        let configuration = types::ServerSideEncryptionConfiguration::builder()
            .rules(
                types::ServerSideEncryptionRule::builder()
                    .apply_server_side_encryption_by_default(default)
                    .bucket_key_enabled(true)
                    .build(),
            )
            .build()
            .expect("built");
        let read = encryption(Some(configuration));
        assert_eq!(read.algorithm.as_deref(), Some("aws:kms"));
        assert_eq!((read.key, read.bucket_key), (None, Some(true)));
        assert_eq!(encryption(None), BucketEncryption::default());
    }
}
