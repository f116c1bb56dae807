//! S3: which objects lie below a prefix, and how one is encrypted. No content, no use of a key.

use aws_sdk_s3::Client;

use crate::aws::error::Asked;
use crate::aws::member::{millis, text};
use crate::collect::api::{ApiError, ErrorClass, ListedObject, ObjectHead};

/// The first page below `prefix`.
pub(super) async fn objects(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<ListedObject>, ApiError> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .expected_bucket_owner(asked.account)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    answer
        .contents
        .unwrap_or_default()
        .into_iter()
        .map(|object| {
            Ok(ListedObject {
                name: object
                    .key
                    .ok_or_else(|| asked.unreadable("an object without a name"))?,
                bytes: object.size,
                modified_at: millis(asked, object.last_modified)?,
            })
        })
        .collect()
}

/// How one object is encrypted. Neither checksum mode, which would need the key, nor any header about
/// encryption, which S3 refuses on objects under KMS
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>).
pub(super) async fn head(
    client: &Client,
    asked: Asked<'_>,
    bucket: &str,
    key: &str,
) -> Result<ObjectHead, ApiError> {
    let answer = client
        .head_object()
        .bucket(bucket)
        .key(key)
        .expected_bucket_owner(asked.account)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(ObjectHead::Told {
            algorithm: answer
                .server_side_encryption
                .map(|algorithm| algorithm.as_str().to_owned()),
            key: text(answer.ssekms_key_id),
            bucket_key: answer.bucket_key_enabled,
        }),
        // The answer to a HEAD has no body that could name a code.
        Err(error) => match error.raw_response().map(|r| r.status().as_u16()) {
            Some(400) => Ok(ObjectHead::BadRequest),
            Some(404) => Err(asked.local(ErrorClass::NotFound, "Http404", "")),
            Some(301 | 307) => Err(asked.local(ErrorClass::Refused, "PermanentRedirect", "")),
            _ => Err(asked.failed(error)),
        },
    }
}
