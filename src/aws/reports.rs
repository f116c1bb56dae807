//! S3: reports about objects and files of trails, with the source-reader role; which of them a bucket has.

use aws_sdk_s3::Client;
use aws_sdk_s3::types;

use crate::aws::error::Asked;
use crate::aws::member::{next, text};
use crate::collect::api::{
    ApiError, InventoryConfiguration, InventoryDestination, Page, SourceEntry, SourceObject,
    SourcePart,
};

/// One page of inventory configurations.
pub(super) async fn inventories(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    token: Option<String>,
) -> Result<Page<InventoryConfiguration>, ApiError> {
    let answer = client
        .list_bucket_inventory_configurations()
        .bucket(bucket)
        .expected_bucket_owner(asked.account)
        .set_continuation_token(token)
        .send()
        .await;
    match answer.map_err(|e| asked.failed(e)) {
        Ok(answer) => {
            let listed = answer.inventory_configuration_list.unwrap_or_default();
            Ok(Page {
                items: listed.into_iter().map(inventory).collect(),
                next: next(answer.next_continuation_token)
                    .filter(|_| answer.is_truncated == Some(true)),
            })
        }
        Err(error) if error.code == "NoSuchConfiguration" => Ok(Page {
            items: vec![],
            next: None,
        }),
        Err(error) => Err(error),
    }
}

fn inventory(given: types::InventoryConfiguration) -> InventoryConfiguration {
    let destination = given.destination.and_then(|d| d.s3_bucket_destination);
    let tells_encryption = given
        .optional_fields
        .unwrap_or_default()
        .contains(&types::InventoryOptionalField::EncryptionStatus);
    InventoryConfiguration {
        is_enabled: given.is_enabled,
        all_versions: given.included_object_versions == types::InventoryIncludedObjectVersions::All,
        only_below: given.filter.and_then(|filter| text(Some(filter.prefix))),
        tells_encryption,
        destination: destination.and_then(|d| {
            Some(InventoryDestination {
                bucket: bucket_of(&d.bucket)?.to_owned(),
                prefix: d.prefix.unwrap_or_default(),
            })
        }),
        id: given.id,
    }
}

/// The bucket of an ARN (`arn:aws:s3:::name`), perhaps with an object after it.
pub(super) fn bucket_of(arn: &str) -> Option<&str> {
    let name = arn.splitn(6, ':').nth(5)?.split('/').next()?;
    (!name.is_empty()).then_some(name)
}

/// One page of what lies directly below `prefix`.
pub(super) async fn entries(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    prefix: &str,
    token: Option<String>,
) -> Result<Page<SourceEntry>, ApiError> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .delimiter("/")
        .expected_bucket_owner(asked.account)
        .set_continuation_token(token)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    let folders = answer.common_prefixes.unwrap_or_default().into_iter();
    let folders = folders.filter_map(|one| one.prefix.map(SourceEntry::Folder));
    let objects = answer.contents.unwrap_or_default().into_iter();
    let objects = objects.filter_map(|one| one.key.map(SourceEntry::Object));
    Ok(Page {
        items: folders.chain(objects).collect(),
        next: next(answer.next_continuation_token).filter(|_| answer.is_truncated == Some(true)),
    })
}

/// One page of the objects below `prefix` whose names are greater than `after`.
pub(super) async fn objects_after(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    (prefix, after): (&str, &str),
    token: Option<String>,
) -> Result<Page<SourceObject>, ApiError> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .start_after(after)
        .expected_bucket_owner(asked.account)
        .set_continuation_token(token)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    let objects = answer.contents.unwrap_or_default().into_iter();
    let objects = objects.map(|one| {
        let unreadable = || asked.unreadable("an object without a name or a size");
        Ok(SourceObject {
            name: one.key.ok_or_else(unreadable)?,
            bytes: one
                .size
                .and_then(|size| u64::try_from(size).ok())
                .ok_or_else(unreadable)?,
        })
    });
    Ok(Page {
        items: objects.collect::<Result<_, ApiError>>()?,
        next: next(answer.next_continuation_token).filter(|_| answer.is_truncated == Some(true)),
    })
}

/// A range of an object and the size of the whole
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
pub(super) async fn part(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    key: &str,
    from: u64,
    length: u64,
) -> Result<SourcePart, ApiError> {
    let last = from.saturating_add(length.max(1)) - 1;
    let answer = client
        .get_object()
        .bucket(bucket)
        .key(key)
        .range(format!("bytes={from}-{last}"))
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        // Nothing lies there: the object is empty, or ends before.
        Err(error) if error.raw_response().map(|r| r.status().as_u16()) == Some(416) => {
            return Ok(SourcePart {
                bytes: vec![],
                total: from,
                signature: None,
            });
        }
        Err(error) => return Err(asked.failed(error)),
    };
    let stated = answer.content_range.as_deref().and_then(whole);
    let signature = answer.metadata.as_ref().and_then(|m| m.get("signature"));
    let signature = signature.cloned();
    let length_alone = answer.content_length.and_then(|l| u64::try_from(l).ok());
    let body = answer.body.collect().await;
    let bytes = body.map_err(|_| asked.unreadable("the body ended early"))?;
    let bytes = bytes.into_bytes();
    // Without a range in the answer it is the whole, which is what was asked for only from the start.
    let total = match stated.or(length_alone.filter(|_| from == 0)) {
        Some(total) => total,
        None => return Err(asked.unreadable("no range in the answer")),
    };
    let is_whole = from + bytes.len() as u64 == total.min(last + 1);
    if !is_whole {
        return Err(asked.unreadable("another range than asked for"));
    }
    Ok(SourcePart {
        bytes: bytes.to_vec(),
        total,
        signature,
    })
}

/// The size in `bytes 0-99/1234`.
fn whole(range: &str) -> Option<u64> {
    range.rsplit_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_name_buckets() {
        for (arn, bucket) in [
            ("arn:aws:s3:::logs", Some("logs")),
            ("arn:aws-cn:s3:::logs/a/b", Some("logs")),
            ("logs", None),
            ("arn:aws:s3:::", None),
        ] {
            assert_eq!(bucket_of(arn), bucket, "{arn}");
        }
    }

    #[test]
    fn ranges_tell_the_whole() {
        assert_eq!(whole("bytes 0-99/1234"), Some(1234));
        assert_eq!(whole("bytes 0-99/*"), None);
    }
}
