//! One create-only PUT, and what its answer is worth.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectLockMode, ServerSideEncryption};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;

use crate::archive::store::{Body, StoreError, Stored};
use crate::aws::member::s3_client;
use crate::aws::s3_store::{LockMode, S3Store, hex_digest, status};
use crate::aws::session::timeouts;
use crate::model::ids::Sha256Hex;
use crate::model::key_reference::KeyArn;
use crate::time::DAY_MS;

/// S3's limit of a single PUT
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>).
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The slowest upload that is waited for, on top of the attempt's own time.
const LEAST_BYTES_PER_SECOND: u64 = 1024 * 1024;

pub(super) async fn create(
    store: &S3Store,
    name: &str,
    body: Body<'_>,
    sha256: &Sha256Hex,
) -> Result<Stored, StoreError> {
    let key = store.key(name)?;
    let (body, bytes) = open(name, body).await?;
    let checksum = base64_digest(name, sha256)?;
    let request = writer(store, bytes)
        .put_object()
        .bucket(store.url.bucket())
        .key(key)
        .if_none_match("*")
        .body(body)
        .content_length(i64::try_from(bytes).unwrap_or(i64::MAX))
        // The algorithm beside the value: some S3 servers take Object Lock headers only with it.
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_sha256(&checksum)
        .set_expected_bucket_owner(store.owner());
    let request = match &store.options.kms_key {
        Some(key) => request
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(key)
            .bucket_key_enabled(true),
        None => request,
    };
    let request = match store.options.lock {
        Some((mode, days)) => {
            let until = store.clock().now().plus_ms(i64::from(days) * DAY_MS);
            request
                .object_lock_mode(match mode {
                    LockMode::Governance => ObjectLockMode::Governance,
                    LockMode::Compliance => ObjectLockMode::Compliance,
                })
                .object_lock_retain_until_date(DateTime::from_millis(until.0))
        }
        None => request,
    };
    let answer = request
        .send()
        .await
        .map_err(|e| write_error(store, name, &e))?;
    settle(store, name, sha256, answer).await
}

/// A client that makes one attempt and waits as long as `bytes` may take. Overriding the settings of
/// a single request instead would give each its own identity cache.
fn writer(store: &S3Store, bytes: u64) -> aws_sdk_s3::Client {
    let shell = &store.shell;
    let upload = Duration::from_secs(bytes / LEAST_BYTES_PER_SECOND);
    let settings = shell
        .base
        .to_builder()
        .timeout_config(timeouts(
            shell.connect_timeout,
            shell.attempt_timeout + upload,
        ))
        .build();
    s3_client(&settings, &store.region)
}

async fn open(name: &str, body: Body<'_>) -> Result<(ByteStream, u64), StoreError> {
    let failed = |detail: String| StoreError::Failed {
        name: name.to_owned(),
        detail,
    };
    let bytes = match body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::File(path) => tokio::fs::metadata(path)
            .await
            .map_err(|e| failed(format!("{}: {e}", path.display())))?
            .len(),
    };
    if bytes > MOST_BYTES {
        return Err(StoreError::Unsuitable {
            name: name.to_owned(),
            detail: format!("{bytes} bytes are more than the 5 GiB of one S3 PUT"),
        });
    }
    let stream = match body {
        Body::Bytes(bytes) => ByteStream::from(bytes.to_vec()),
        Body::File(path) => ByteStream::from_path(path)
            .await
            .map_err(|e| failed(format!("{}: {e}", path.display())))?,
    };
    Ok((stream, bytes))
}

/// S3 writes digests in base64 where we write hex.
fn base64_digest(name: &str, sha256: &Sha256Hex) -> Result<String, StoreError> {
    let digits = sha256.as_str().as_bytes();
    let nibble = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let raw: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect();
    raw.map(|raw| base64::engine::general_purpose::STANDARD.encode(raw))
        .ok_or_else(|| StoreError::Failed {
            name: name.to_owned(),
            detail: format!("'{sha256}' is no digest"),
        })
}

/// After the 200: what was stored, under which key and lock. Checksum, key and version come from the
/// answer and, where a server leaves one out, from a HEAD, which alone tells the lock; no checksum at
/// all is no failure. With a different one it is not known what was stored, if anything.
async fn settle(
    store: &S3Store,
    name: &str,
    sha256: &Sha256Hex,
    answer: PutObjectOutput,
) -> Result<Stored, StoreError> {
    if let Some(theirs) = &answer.checksum_sha256 {
        check_digest(name, sha256, hex_digest(theirs).as_ref(), theirs)?;
    }
    // A writer may lack the permission to look; the object is stored all the same.
    let told = answer.checksum_sha256.as_deref().and_then(hex_digest);
    let version = answer.version_id.clone();
    let head = store.head(name, version, told.is_none()).await;
    let head = head.unwrap_or_default();
    if let Some(theirs) = &head.sha256 {
        check_digest(name, sha256, Some(theirs), theirs.as_str())?;
    }
    let stored = Stored {
        sha256: told.or(head.sha256),
        kms_key: answer.ssekms_key_id.or(head.kms_key),
        bucket_key: answer.bucket_key_enabled.or(head.bucket_key),
        version: answer.version_id.or(head.version),
        lock: head.lock,
    };
    let kms_key = stored.kms_key.as_deref();
    check_key(name, store.options.kms_key.as_deref(), kms_key)?;
    Ok(stored)
}

fn check_digest(
    name: &str,
    ours: &Sha256Hex,
    theirs: Option<&Sha256Hex>,
    said: &str,
) -> Result<(), StoreError> {
    if theirs == Some(ours) {
        return Ok(());
    }
    Err(StoreError::OutcomeUnknown {
        name: name.to_owned(),
        detail: format!("sent sha256 {ours}, S3 says {said}"),
    })
}

/// Only key ARNs can be compared: ids and aliases come back as the ARN they stand for.
fn check_key(name: &str, ours: Option<&str>, theirs: Option<&str>) -> Result<(), StoreError> {
    match (ours.and_then(KeyArn::parse), theirs) {
        (Some(ours), Some(theirs))
            if !ours.is_alias() && theirs.starts_with("arn:") && theirs != ours.to_string() =>
        {
            Err(StoreError::Unsuitable {
                name: name.to_owned(),
                detail: format!("it was stored under {theirs} and not under {ours}"),
            })
        }
        _ => Ok(()),
    }
}

fn write_error(
    store: &S3Store,
    name: &str,
    error: &SdkError<PutObjectError, HttpResponse>,
) -> StoreError {
    let detail = store.explain(error);
    let name = name.to_owned();
    let Some(status) = status(error) else {
        // Nothing came back. Only a request that could not even be made is sure not to have arrived.
        return match error {
            SdkError::ConstructionFailure(_) => StoreError::Failed { name, detail },
            _ => StoreError::OutcomeUnknown { name, detail },
        };
    };
    match (status, error.code().unwrap_or_default()) {
        (412, _) => StoreError::Exists { name },
        (409, _) => StoreError::Conflict { name },
        (
            _,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentChecksumMismatch"
            | "XAmzContentSHA256Mismatch",
        ) => StoreError::Checksum { name, detail },
        (403, _) => StoreError::Denied { name, detail },
        (_, "RequestTimeout" | "SlowDown" | "Throttling" | "InternalError") => {
            StoreError::OutcomeUnknown { name, detail }
        }
        (429 | 500..=599, _) => StoreError::OutcomeUnknown { name, detail },
        (300..=499, _) => StoreError::Failed { name, detail },
        // A success whose answer cannot be read.
        _ => StoreError::OutcomeUnknown { name, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_become_base64() {
        let empty = Sha256Hex::of(b"");
        assert_eq!(
            base64_digest("x", &empty).expect("digest"),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        let back = hex_digest("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(back, Some(empty));
        for no_digest in ["", "AAAA", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-2"] {
            assert_eq!(hex_digest(no_digest), None);
        }
    }

    #[test]
    fn another_digest_or_key_is_noticed() {
        let (ours, other) = (Sha256Hex::of(b"a"), Sha256Hex::of(b"b"));
        assert!(check_digest("x", &ours, Some(&ours), "a").is_ok());
        assert!(check_digest("x", &ours, Some(&other), "b").is_err());
        assert!(check_digest("x", &ours, None, "no digest").is_err());
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
        let other = "arn:aws:kms:eu-west-1:111122223333:key/2";
        assert!(check_key("x", Some(arn), Some(arn)).is_ok());
        assert!(check_key("x", Some(arn), None).is_ok());
        assert!(check_key("x", Some("alias/evidence"), Some(other)).is_ok());
        assert!(check_key("x", Some(arn), Some(other)).is_err());
    }

    #[tokio::test]
    async fn what_s3_cannot_take_in_one_piece_is_refused_before_it_is_sent() {
        let path = std::env::temp_dir().join(format!("keyproof-sparse-{}", std::process::id()));
        let file = std::fs::File::create(&path).expect("file");
        file.set_len(MOST_BYTES + 1).expect("sparse file");
        let refused = open("big", Body::File(&path)).await;
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(refused, Err(StoreError::Unsuitable { .. })));
        let missing = open("gone", Body::File(&path)).await;
        assert!(matches!(missing, Err(StoreError::Failed { .. })));
    }
}
