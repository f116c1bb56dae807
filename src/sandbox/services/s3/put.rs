//! PutObject: create-only writes, checksums, encryption, Object Lock.

use std::sync::Arc;

use chrono::DateTime;
use sha2::{Digest, Sha256};

use super::checksum;
use super::chunked::{self, Decoded};
use super::object::{checksum_headers, encryption_headers, version_header};
use super::store::{Content, Encryption, Retention, S3State, etag};
use super::{invalid_argument, not_implemented};
use crate::sandbox::wire::encoding::hex;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::Bucket;

/// Longest key, in bytes of UTF-8.
const MAX_KEY_BYTES: usize = 1024;

pub(super) fn put_object(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(AwsError::new(
            400,
            "KeyTooLongError",
            "Your key is too long",
        ));
    }
    let create_only = create_only(request)?;
    let Decoded {
        payload: body,
        trailers,
    } = payload(request)?;
    let stated = request.headers.iter().chain(&trailers);
    let verified = checksum::verify(&body, stated, request.header("x-amz-content-sha256"))?;
    let encryption = encryption(bucket, request)?;
    let has_integrity = verified.checksum.is_some() || request.header("content-md5").is_some();
    let retention = retention(bucket, now_ms, request, has_integrity)?;

    let tag = etag(&verified.sha256);
    let content = Content {
        body: Arc::new(body),
        etag: tag.clone(),
        checksum: verified.checksum.clone(),
        encryption: encryption.clone(),
        retention,
        headers: kept_headers(request),
    };
    let mut objects = state.lock();
    if create_only {
        // Only the current version counts: after a delete marker the write succeeds.
        let current = objects
            .keys(&bucket.name)
            .and_then(|keys| keys.get(key)?.last());
        if current.is_some_and(|version| version.content.is_some()) {
            let message = "At least one of the pre-conditions you specified did not hold";
            return Err(AwsError::new(412, "PreconditionFailed", message));
        }
    }
    let id = objects.add(&bucket.name, key, bucket.versioning, Some(content), now_ms);
    drop(objects);

    let mut response = Response::empty(200).header("etag", tag);
    response
        .headers
        .extend(checksum_headers(verified.checksum.as_ref()));
    response.headers.extend(version_header(&id));
    response.headers.extend(encryption_headers(&encryption));
    Ok(response)
}

fn create_only(request: &Request) -> Result<bool, AwsError> {
    if request.header("if-match").is_some() {
        return Err(not_implemented("If-Match"));
    }
    match request.header("if-none-match") {
        None => Ok(false),
        Some("*") => Ok(true),
        // S3 knows no other value for writes.
        Some(_) => Err(not_implemented("If-None-Match")),
    }
}

/// The object's bytes, out of their chunks, and the trailers that came with them.
fn payload(request: &Request) -> Result<Decoded, AwsError> {
    let streaming = request
        .header("x-amz-content-sha256")
        .is_some_and(|hash| hash.starts_with("STREAMING-"));
    if !streaming {
        return Ok(Decoded {
            payload: request.body.clone(),
            trailers: Vec::new(),
        });
    }
    let decoded = chunked::decode(&request.body).ok_or_else(|| {
        AwsError::new(
            400,
            "IncompleteBody",
            "The request body is not a complete aws-chunked body",
        )
    })?;
    let announced = request
        .header("x-amz-decoded-content-length")
        .and_then(|length| length.parse::<usize>().ok());
    if announced != Some(decoded.payload.len()) {
        let message = "You did not provide the number of bytes specified by the x-amz-decoded-content-length header";
        return Err(AwsError::new(400, "IncompleteBody", message));
    }
    Ok(decoded)
}

/// Encryption that the request asks for, else the bucket's default, else S3-managed keys.
fn encryption(bucket: &Bucket, request: &Request) -> Result<Encryption, AwsError> {
    if request
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("x-amz-server-side-encryption-customer-"))
    {
        return Err(not_implemented("SSE-C"));
    }
    let key = request.header("x-amz-server-side-encryption-aws-kms-key-id");
    let default = bucket.default_encryption.as_ref();
    let bucket_key = match request.header("x-amz-server-side-encryption-bucket-key-enabled") {
        Some(flag) => flag.eq_ignore_ascii_case("true"),
        None => default.is_some_and(|default| default.bucket_key),
    };
    match (request.header("x-amz-server-side-encryption"), key) {
        (None, None) => Ok(match default {
            Some(default) if default.algorithm == "aws:kms" => {
                kms(bucket, request, default.key.as_deref(), bucket_key)
            }
            _ => Encryption {
                algorithm: "AES256".into(),
                key: None,
                bucket_key: false,
            },
        }),
        (Some("AES256"), None) => Ok(Encryption {
            algorithm: "AES256".into(),
            key: None,
            bucket_key: false,
        }),
        (Some("aws:kms"), key) => Ok(kms(bucket, request, key, bucket_key)),
        (Some("aws:kms:dsse"), _) => Err(not_implemented("aws:kms:dsse")),
        (Some("AES256") | None, Some(_)) => Err(invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )),
        (Some(_), _) => Err(invalid_argument(
            "The encryption method specified is not supported",
        )),
    }
}

/// S3 answers with the key's ARN, whatever form it was named in.
fn kms(bucket: &Bucket, request: &Request, key: Option<&str>, bucket_key: bool) -> Encryption {
    let arn = match key {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        Some(alias) if alias.starts_with("alias/") => {
            format!(
                "arn:aws:kms:{}:{}:{alias}",
                bucket.region, request.caller.account
            )
        }
        Some(id) => format!(
            "arn:aws:kms:{}:{}:key/{id}",
            bucket.region, request.caller.account
        ),
        None => managed_key(bucket),
    };
    Encryption {
        algorithm: "aws:kms".into(),
        key: Some(arn),
        bucket_key,
    }
}

/// The AWS managed key `aws/s3` of the bucket's account and Region.
fn managed_key(bucket: &Bucket) -> String {
    let text = hex(&Sha256::digest(format!(
        "aws/s3 of {} in {}",
        bucket.account_id, bucket.region
    )));
    let id = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..32],
    ]
    .join("-");
    format!(
        "arn:aws:kms:{}:{}:key/{id}",
        bucket.region, bucket.account_id
    )
}

/// Retention that the request asks for, else the bucket's default.
fn retention(
    bucket: &Bucket,
    now_ms: i64,
    request: &Request,
    has_integrity: bool,
) -> Result<Option<Retention>, AwsError> {
    let invalid_request = |message: &str| AwsError::new(400, "InvalidRequest", message);
    let mode = request.header("x-amz-object-lock-mode");
    let until = request.header("x-amz-object-lock-retain-until-date");
    let (mode, until) = match (mode, until) {
        (None, None) => {
            let default = bucket
                .default_retention
                .as_ref()
                .filter(|_| bucket.object_lock);
            return Ok(default.map(|(mode, days)| Retention {
                mode: mode.clone(),
                until_ms: now_ms + i64::from(*days) * 86_400_000,
            }));
        }
        (Some(mode), Some(until)) => (mode, until),
        _ => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(invalid_argument(message));
        }
    };
    if !bucket.object_lock {
        return Err(invalid_request(
            "Bucket is missing Object Lock Configuration",
        ));
    }
    if !has_integrity {
        let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
        return Err(invalid_request(message));
    }
    parse_retention(mode, until, now_ms).map(Some)
}

/// Mode and date as a client states them, in headers or in XML.
pub(super) fn parse_retention(mode: &str, until: &str, now_ms: i64) -> Result<Retention, AwsError> {
    if !matches!(mode, "GOVERNANCE" | "COMPLIANCE") {
        return Err(invalid_argument("Unknown wormMode directive."));
    }
    let until_ms = DateTime::parse_from_rfc3339(until)
        .map_err(|_| invalid_argument("The retain until date must be provided in ISO 8601 format"))?
        .timestamp_millis();
    if until_ms <= now_ms {
        return Err(invalid_argument(
            "The retain until date must be in the future!",
        ));
    }
    Ok(Retention {
        mode: mode.to_owned(),
        until_ms,
    })
}

/// Headers that S3 keeps with an object and returns as they came.
fn kept_headers(request: &Request) -> Vec<(String, String)> {
    const KEPT: [&str; 6] = [
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    ];
    let mut kept: Vec<(String, String)> = request
        .headers
        .iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with("x-amz-meta-"))
        .filter_map(|(name, value)| match name.as_str() {
            // `aws-chunked` is how the body travelled, not what the object is.
            "content-encoding" => {
                let rest: Vec<_> = value
                    .split(',')
                    .map(str::trim)
                    .filter(|part| *part != "aws-chunked")
                    .collect();
                (!rest.iter().all(|part| part.is_empty())).then(|| (name.clone(), rest.join(",")))
            }
            _ => Some((name.clone(), value.clone())),
        })
        .collect();
    if !kept.iter().any(|(name, _)| name == "content-type") {
        kept.push(("content-type".into(), "binary/octet-stream".into()));
    }
    kept
}
