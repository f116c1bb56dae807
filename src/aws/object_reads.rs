//! S3: which objects and versions lie below a prefix, and how one is encrypted. No content, no use of a key.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;

use crate::aws::error::Asked;
use crate::aws::member::{millis, text};
use crate::collect::api::{ApiError, ErrorClass, ListedObject, ListedVersion, ObjectHead, Page};
use crate::model::url_encoding;

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

/// One page of the versions below `prefix`, current ones and older ones. Names are asked for in URL encoding: XML
/// cannot say all that a name may hold
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>).
pub(super) async fn versions(
    client: &Client,
    asked: Asked<'_>,
    (bucket, prefix): (&str, &str),
    token: Option<String>,
) -> Result<Page<ListedVersion>, ApiError> {
    // A version id holds no blank; a name may.
    let (version, name) = match token.as_deref().and_then(|token| token.split_once(' ')) {
        Some((version, name)) => (text(Some(version.to_owned())), Some(name.to_owned())),
        None => (None, None),
    };
    let answer = client
        .list_object_versions()
        .bucket(bucket)
        .prefix(prefix)
        .encoding_type(EncodingType::Url)
        .set_key_marker(name)
        .set_version_id_marker(version)
        .expected_bucket_owner(asked.account)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    let is_encoded = answer.encoding_type == Some(EncodingType::Url);
    let plain = |name: Option<String>| {
        let name = name.ok_or_else(|| asked.unreadable("a version without a name"))?;
        if !is_encoded {
            return Ok(name.into_bytes());
        }
        let mut plain = Vec::new();
        url_encoding::decode(name.as_bytes(), &mut plain);
        Ok(plain)
    };
    let mut items = Vec::new();
    for version in answer.versions.unwrap_or_default() {
        items.push(ListedVersion {
            name: plain(version.key)?,
            is_latest: version.is_latest == Some(true),
            is_delete_marker: false,
            bytes: version.size.and_then(|size| u64::try_from(size).ok()),
        });
    }
    for marker in answer.delete_markers.unwrap_or_default() {
        items.push(ListedVersion {
            name: plain(marker.key)?,
            is_latest: marker.is_latest == Some(true),
            is_delete_marker: true,
            bytes: None,
        });
    }
    let mut next = None;
    if answer.is_truncated == Some(true) {
        let name = String::from_utf8(plain(answer.next_key_marker)?);
        let name = name.map_err(|_| asked.unreadable("a marker that is no text"))?;
        let version = answer.next_version_id_marker.unwrap_or_default();
        next = Some(format!("{version} {name}"));
    }
    Ok(Page { items, next })
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
