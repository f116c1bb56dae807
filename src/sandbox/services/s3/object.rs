//! GetObject, HeadObject, DeleteObject and the retention of one version.

use super::checksum::Checksum;
use super::put::parse_retention;
use super::store::{Content, Encryption, Keys, Retention, S3State, Version};
use super::xml::{Xml, text_of};
use crate::sandbox::wire::framing::error_response;
use crate::sandbox::wire::{AwsError, Request, Response, http_date, iso_millis};
use crate::sandbox::world::Bucket;

/// GetObject and HeadObject: the same headers, with and without the body.
pub(super) fn read(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    request: &Request,
) -> Result<Response, AwsError> {
    let objects = state.lock();
    let version = match find(objects.keys(&bucket.name), key, request)? {
        Found::Version(version) => version.clone(),
        Found::Marker { id, current } => return Ok(marker_answer(&id, current, request)),
    };
    drop(objects);
    let Version {
        id,
        modified_ms,
        content: Some(content),
    } = version
    else {
        return Err(no_such_key());
    };
    if content.encryption.algorithm == "SSE-C" {
        // Only whoever sends the object's own key may look, also at its headers.
        return Err(AwsError::new(
            400,
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters must \
             be provided to retrieve the object.",
        ));
    }
    let length = content.body.len();
    let range = match request.header("range") {
        Some(text) => byte_range(text, length)?,
        None => None,
    };
    let (status, start, end) = match range {
        Some((start, end)) => (206, start, end),
        None => (200, 0, length),
    };
    let mut response = Response::empty(status)
        .header("last-modified", http_date(modified_ms))
        .header("etag", &*content.etag)
        .header("accept-ranges", "bytes")
        .header("content-length", (end - start).to_string());
    if range.is_some() {
        response = response.header(
            "content-range",
            format!("bytes {start}-{}/{length}", end - 1),
        );
    } else if request
        .header("x-amz-checksum-mode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
    {
        response
            .headers
            .extend(checksum_headers(content.checksum.as_ref()));
    }
    response.headers.extend(version_header(&id));
    response
        .headers
        .extend(encryption_headers(&content.encryption));
    if let Some(retention) = &content.retention {
        response = response
            .header("x-amz-object-lock-mode", &*retention.mode)
            .header(
                "x-amz-object-lock-retain-until-date",
                iso_millis(retention.until_ms),
            );
    }
    response.headers.extend(content.headers.iter().cloned());
    if request.operation == "GetObject" {
        response.body = content.body.get(start..end).unwrap_or_default().to_vec();
    }
    Ok(response)
}

/// DeleteObject: a marker on top, or with a version id the version itself unless it is locked.
pub(super) fn delete(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    let mut objects = state.lock();
    let Some(version_id) = version_id(request) else {
        if bucket.versioning {
            let id = objects.add(&bucket.name, key, true, None, now_ms);
            return Ok(Response::empty(204)
                .header("x-amz-delete-marker", "true")
                .header("x-amz-version-id", id));
        }
        objects.keys_mut(&bucket.name).remove(key);
        return Ok(Response::empty(204));
    };
    let mut response = Response::empty(204).header("x-amz-version-id", version_id);
    let keys = objects.keys_mut(&bucket.name);
    let Some(versions) = keys.get_mut(key) else {
        return Ok(response);
    };
    // Deleting what is not there succeeds, like every repeated DELETE.
    let Some(index) = versions.iter().position(|version| version.id == version_id) else {
        return Ok(response);
    };
    match &versions[index].content {
        Some(content) => check_unlocked(content, now_ms, request)?,
        None => response = response.header("x-amz-delete-marker", "true"),
    }
    versions.remove(index);
    if versions.is_empty() {
        keys.remove(key);
    }
    Ok(response)
}

/// GetObjectRetention.
pub(super) fn get_retention(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    request: &Request,
) -> Result<Response, AwsError> {
    require_lock(bucket)?;
    let objects = state.lock();
    let version = match find(objects.keys(&bucket.name), key, request)? {
        Found::Version(version) => version,
        Found::Marker { id, current } => return Ok(marker_answer(&id, current, request)),
    };
    let retention = version
        .content
        .as_ref()
        .and_then(|content| content.retention.as_ref());
    let Some(retention) = retention else {
        let message = "The specified object does not have a ObjectLock configuration";
        return Err(AwsError::new(404, "NoSuchObjectLockConfiguration", message));
    };
    let mut xml = Xml::document("Retention");
    xml.text("Mode", &retention.mode)
        .text("RetainUntilDate", &iso_millis(retention.until_ms));
    Ok(xml.respond())
}

/// PutObjectRetention: COMPLIANCE can only be extended; GOVERNANCE needs the bypass to shrink.
pub(super) fn put_retention(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    require_lock(bucket)?;
    let malformed = || {
        AwsError::new(
            400,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let body = std::str::from_utf8(&request.body).map_err(|_| malformed())?;
    let (Some(mode), Some(until)) = (text_of(body, "Mode"), text_of(body, "RetainUntilDate"))
    else {
        return Err(malformed());
    };
    let wanted = parse_retention(mode, until, now_ms)?;
    let mut objects = state.lock();
    let id = match find(objects.keys(&bucket.name), key, request)? {
        Found::Version(version) => version.id.clone(),
        Found::Marker { id, current } => return Ok(marker_answer(&id, current, request)),
    };
    let version = objects.keys_mut(&bucket.name).get_mut(key);
    let version = version.and_then(|versions| versions.iter_mut().find(|version| version.id == id));
    let content = version
        .and_then(|version| version.content.as_mut())
        .ok_or_else(no_such_key)?;
    if weakens(content.retention.as_ref(), &wanted, now_ms) {
        check_unlocked(content, now_ms, request)?;
    }
    content.retention = Some(wanted);
    Ok(Response::empty(200))
}

fn weakens(current: Option<&Retention>, wanted: &Retention, now_ms: i64) -> bool {
    let Some(current) = current.filter(|current| current.until_ms > now_ms) else {
        return false;
    };
    wanted.until_ms < current.until_ms
        || (current.mode == "COMPLIANCE" && wanted.mode != "COMPLIANCE")
}

fn check_unlocked(content: &Content, now_ms: i64, request: &Request) -> Result<(), AwsError> {
    let Some(retention) = content
        .retention
        .as_ref()
        .filter(|retention| retention.until_ms > now_ms)
    else {
        return Ok(());
    };
    let bypass = request
        .header("x-amz-bypass-governance-retention")
        .is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    if retention.mode == "GOVERNANCE" && bypass {
        return Ok(());
    }
    Err(AwsError::new(
        403,
        "AccessDenied",
        "Access Denied because object protected by object lock.",
    ))
}

fn require_lock(bucket: &Bucket) -> Result<(), AwsError> {
    if bucket.object_lock {
        return Ok(());
    }
    Err(AwsError::new(
        400,
        "InvalidRequest",
        "Bucket is missing Object Lock Configuration",
    ))
}

/// What a key, and a version id if there is one, leads to.
enum Found<'a> {
    Version(&'a Version),
    Marker { id: String, current: bool },
}

fn find<'a>(keys: Option<&'a Keys>, key: &str, request: &Request) -> Result<Found<'a>, AwsError> {
    let versions = keys
        .and_then(|keys| keys.get(key))
        .map(Vec::as_slice)
        .unwrap_or_default();
    let (version, current) = match version_id(request) {
        None => (versions.last().ok_or_else(no_such_key)?, true),
        Some(id) => {
            let message = "The specified version does not exist.";
            let found = versions.iter().find(|version| version.id == id);
            (
                found.ok_or_else(|| AwsError::new(404, "NoSuchVersion", message))?,
                false,
            )
        }
    };
    Ok(match version.content {
        Some(_) => Found::Version(version),
        None => Found::Marker {
            id: version.id.clone(),
            current,
        },
    })
}

/// A delete marker: absent when it is current, not readable when it is named.
fn marker_answer(id: &str, current: bool, request: &Request) -> Response {
    let error = if current {
        no_such_key()
    } else {
        AwsError::new(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
    };
    error_response(&error, "s3", &request.path, &request.request_id)
        .header("x-amz-delete-marker", "true")
        .header("x-amz-version-id", id)
}

fn no_such_key() -> AwsError {
    AwsError::new(404, "NoSuchKey", "The specified key does not exist.")
}

fn version_id(request: &Request) -> Option<&str> {
    request.query_value("versionId").filter(|id| !id.is_empty())
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` as a half-open range; `None` for forms that S3 ignores.
fn byte_range(text: &str, length: usize) -> Result<Option<(usize, usize)>, AwsError> {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let (start, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Ok(None),
    };
    if start >= end {
        return Err(AwsError::new(
            416,
            "InvalidRange",
            "The requested range is not satisfiable",
        ));
    }
    Ok(Some((start, end)))
}

pub(super) fn checksum_headers(checksum: Option<&Checksum>) -> Vec<(String, String)> {
    let Some(checksum) = checksum else {
        return Vec::new();
    };
    vec![
        (checksum.header_name(), checksum.value.clone()),
        ("x-amz-checksum-type".into(), "FULL_OBJECT".into()),
    ]
}

/// Buckets without versioning return no version id.
pub(super) fn version_header(id: &str) -> Option<(String, String)> {
    (id != "null").then(|| ("x-amz-version-id".into(), id.to_owned()))
}

pub(super) fn encryption_headers(encryption: &Encryption) -> Vec<(String, String)> {
    let mut headers = vec![(
        "x-amz-server-side-encryption".to_owned(),
        encryption.algorithm.clone(),
    )];
    if let Some(key) = &encryption.key {
        headers.push((
            "x-amz-server-side-encryption-aws-kms-key-id".into(),
            key.clone(),
        ));
    }
    if encryption.bucket_key {
        headers.push((
            "x-amz-server-side-encryption-bucket-key-enabled".into(),
            "true".into(),
        ));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn ranges_are_clamped_or_refused() {
        let range = |text| byte_range(text, 10).map_err(|error| error.status);
        assert_eq!(range("bytes=2-4"), Ok(Some((2, 5))));
        assert_eq!(range("bytes=2-"), Ok(Some((2, 10))));
        assert_eq!(range("bytes=-3"), Ok(Some((7, 10))));
        assert_eq!(range("bytes=0-18446744073709551615"), Ok(Some((0, 10))));
        assert_eq!(range("bytes=10-"), Err(416));
        assert_eq!(range("bytes=4-2"), Ok(None));
        assert_eq!(range("lines=1-2"), Ok(None));
    }
}
