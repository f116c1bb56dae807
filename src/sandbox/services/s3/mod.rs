//! S3: where the logs' buckets are configured, and where the evidence is archived.
//!
//! - [`store`]: objects and versions. - [`put`], [`object`]: one object at a time. - [`list`]: many.
//! - [`bucket_config`], [`bucket_rules`]: what a bucket says of itself. - [`log_objects`]: what
//!   clusters wrote; [`reports`]: what S3 writes of it; [`trail_files`]: what CloudTrail delivers. - [`checksum`], [`chunked`], [`xml`]: parts.
//!
//! Access is kept simple: the owner of a bucket, and every account of the organization for buckets
//! whose name begins with [`SHARED_PREFIX`]. Bucket policies are returned, not evaluated. Multipart
//! uploads, copies and writes of configuration are answered with 501 NotImplemented.

mod bucket_config;
mod bucket_rules;
mod checksum;
mod chunked;
mod list;
mod log_objects;
mod object;
mod put;
mod reports;
mod store;
#[cfg(test)]
mod tests;
mod trail_files;
mod xml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

pub use reports::JOB_REPORTS;
pub use store::{BucketCopy, Kept, S3State};
pub(super) use trail_files::public_key;

use crate::sandbox::World;
use crate::sandbox::wire::encoding::{hex, xml_escape};
use crate::sandbox::wire::framing::error_response;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::Bucket;

/// Buckets with such a name may be used by every account of the organization.
const SHARED_PREFIX: &str = "keyproof-evidence-";

/// The same PUT by a writer who has other bytes.
pub fn of_another_writer(request: &Request) -> Request {
    let body = b"written by somebody else\n".to_vec();
    let sha256 = STANDARD.encode(Sha256::digest(&body));
    let mut other = Request {
        body,
        ..request.clone()
    };
    other.headers.retain(|(name, _)| {
        !name.starts_with("x-amz-checksum-")
            && name != "x-amz-content-sha256"
            && name != "content-md5"
    });
    let checksum = ("x-amz-checksum-sha256".to_owned(), sha256);
    other.headers.push(checksum);
    other
}

/// The answer with another SHA-256 where it names one.
pub fn with_other_checksum(mut response: Response) -> Response {
    for (name, value) in &mut response.headers {
        if name == "x-amz-checksum-sha256" {
            *value = STANDARD.encode(Sha256::digest(&*value));
        }
    }
    response
}

/// Name of the operation, from what S3 tells operations apart by.
pub fn operation_name(
    method: &str,
    path: &str,
    query: &[(String, String)],
    headers: &[(String, String)],
) -> String {
    let has = |name: &str| query.iter().any(|(key, _)| key == name);
    let sub = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(name, _)| has(name))
            .map(|&(_, operation)| operation)
    };
    let (bucket, key) = split_path(path);
    let name = match (method, bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) => "ListBuckets",
        ("HEAD", false, true) => "HeadBucket",
        ("GET", false, true) => sub(bucket_config::SUBRESOURCES).unwrap_or(match query {
            _ if has("versions") => "ListObjectVersions",
            _ if query
                .iter()
                .any(|(key, value)| key == "list-type" && value == "2") =>
            {
                "ListObjectsV2"
            }
            _ => "ListObjects",
        }),
        ("PUT", false, true) => {
            if query.iter().all(|(key, _)| key == "x-id") {
                "CreateBucket"
            } else {
                "PutBucketConfiguration"
            }
        }
        ("DELETE", false, true) => "DeleteBucket",
        ("POST", false, true) if has("delete") => "DeleteObjects",
        ("GET", false, false) => sub(&[
            ("retention", "GetObjectRetention"),
            ("legal-hold", "GetObjectLegalHold"),
            ("attributes", "GetObjectAttributes"),
            ("tagging", "GetObjectTagging"),
            ("acl", "GetObjectAcl"),
            ("uploadId", "ListParts"),
        ])
        .unwrap_or("GetObject"),
        ("HEAD", false, false) => "HeadObject",
        ("PUT", false, false) => sub(&[
            ("retention", "PutObjectRetention"),
            ("legal-hold", "PutObjectLegalHold"),
            ("tagging", "PutObjectTagging"),
            ("acl", "PutObjectAcl"),
            ("uploadId", "UploadPart"),
        ])
        .unwrap_or(
            if headers.iter().any(|(name, _)| name == "x-amz-copy-source") {
                "CopyObject"
            } else {
                "PutObject"
            },
        ),
        ("POST", false, false) => sub(&[
            ("uploads", "CreateMultipartUpload"),
            ("uploadId", "CompleteMultipartUpload"),
        ])
        .unwrap_or("PostObject"),
        ("DELETE", false, false) => sub(&[
            ("uploadId", "AbortMultipartUpload"),
            ("tagging", "DeleteObjectTagging"),
        ])
        .unwrap_or("DeleteObject"),
        _ => "Unknown",
    };
    name.to_owned()
}

/// Answers one request.
pub fn handle(
    world: &World,
    state: &S3State,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    let (bucket_name, key) = split_path(&request.path);
    if request.operation == "ListBuckets" {
        let mut buckets = world.buckets_of(&request.caller.account);
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        return bucket_config::list_buckets(&buckets, request);
    }
    let bucket = world
        .bucket(bucket_name)
        .ok_or_else(|| AwsError::new(404, "NoSuchBucket", "The specified bucket does not exist"))?;
    // A bucket's location can be asked for in any Region: that is how clients find the right one.
    if request.operation != "GetBucketLocation" && request.region != bucket.region {
        return Ok(redirect(bucket, request));
    }
    let admitted = access(bucket, request).and_then(|()| log_objects::may(bucket, request));
    if admitted.is_ok() {
        log_objects::provide(world, state, now_ms, bucket, key, request);
        reports::provide(world, state, now_ms, bucket);
        trail_files::provide(world, state, now_ms, bucket, key, request);
    }
    match admitted.and_then(|()| dispatch(bucket, key, state, now_ms, request)) {
        // S3 tells the Region even to those it refuses.
        Err(error) if error.status == 403 => {
            let response = error_response(&error, "s3", &request.path, &request.request_id);
            Ok(response.header("x-amz-bucket-region", &*bucket.region))
        }
        result => result,
    }
}

fn dispatch(
    bucket: &Bucket,
    key: &str,
    state: &S3State,
    now_ms: i64,
    request: &Request,
) -> Result<Response, AwsError> {
    match request.operation.as_str() {
        "PutObject" => put::put_object(bucket, key, state, now_ms, request),
        "GetObject" | "HeadObject" => object::read(bucket, key, state, request),
        "DeleteObject" => object::delete(bucket, key, state, now_ms, request),
        "GetObjectRetention" => object::get_retention(bucket, key, state, request),
        "PutObjectRetention" => object::put_retention(bucket, key, state, now_ms, request),
        "ListObjectsV2" => list::objects_v2(bucket, state.lock().keys_mut(&bucket.name), request),
        "ListObjectVersions" => {
            list::versions(bucket, state.lock().keys_mut(&bucket.name), request)
        }
        operation => bucket_config::read(bucket, operation),
    }
}

fn access(bucket: &Bucket, request: &Request) -> Result<(), AwsError> {
    let expected = request.header("x-amz-expected-bucket-owner");
    let as_expected = expected.is_none_or(|expected| expected == bucket.account_id);
    let allowed =
        bucket.account_id == request.caller.account || bucket.name.starts_with(SHARED_PREFIX);
    if as_expected && allowed {
        Ok(())
    } else {
        Err(AwsError::new(403, "AccessDenied", "Access Denied"))
    }
}

/// 301 for a request that was signed for another Region.
fn redirect(bucket: &Bucket, request: &Request) -> Response {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                   Please send all future requests to this endpoint.";
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>PermanentRedirect</Code><Message>{message}</Message>\
         <Endpoint>s3.{region}.amazonaws.com</Endpoint><Bucket>{}</Bucket><RequestId>{}</RequestId></Error>",
        xml_escape(&bucket.name),
        request.request_id,
        region = xml_escape(&bucket.region),
    );
    Response::with_body(301, "application/xml", body).header("x-amz-bucket-region", &*bucket.region)
}

/// `/bucket/some/key` as bucket and key; either may be empty.
fn split_path(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

fn invalid_argument(message: &str) -> AwsError {
    AwsError::new(400, "InvalidArgument", message)
}

fn not_implemented(what: &str) -> AwsError {
    AwsError::new(
        501,
        "NotImplemented",
        format!("A header you provided implies functionality that is not implemented: {what}"),
    )
}

/// Canonical user id of an account: 64 hex characters, stable.
fn owner_id(account: &str) -> String {
    hex(&Sha256::digest(format!("canonical user of {account}")))
}

#[cfg(test)]
mod name_tests {
    use super::*;

    fn name(method: &str, path: &str, query: &[&str]) -> String {
        let query: Vec<_> = query
            .iter()
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        operation_name(method, path, &query, &[])
    }

    #[test]
    fn operations_are_told_apart() {
        assert_eq!(name("GET", "/", &["x-id=ListBuckets"]), "ListBuckets");
        assert_eq!(
            name("GET", "/b", &["list-type=2", "prefix="]),
            "ListObjectsV2"
        );
        assert_eq!(name("GET", "/b/", &["versions"]), "ListObjectVersions");
        assert_eq!(name("GET", "/b", &["encryption"]), "GetBucketEncryption");
        assert_eq!(name("GET", "/b", &[]), "ListObjects");
        assert_eq!(name("HEAD", "/b", &[]), "HeadBucket");
        assert_eq!(name("PUT", "/b/a/b", &["x-id=PutObject"]), "PutObject");
        assert_eq!(
            name("PUT", "/b/a", &["partNumber=1", "uploadId=x"]),
            "UploadPart"
        );
        assert_eq!(name("PUT", "/b/a", &["retention"]), "PutObjectRetention");
        assert_eq!(name("DELETE", "/b/a", &["versionId=1"]), "DeleteObject");
        assert_eq!(name("PATCH", "/b/a", &[]), "Unknown");
        let copy = [("x-amz-copy-source".to_owned(), "/b/x".to_owned())];
        assert_eq!(operation_name("PUT", "/b/a", &[], &copy), "CopyObject");
    }

    #[test]
    fn paths_split_once() {
        assert_eq!(split_path("/b/a//c/"), ("b", "a//c/"));
        assert_eq!(split_path("/b"), ("b", ""));
        assert_eq!(split_path("/"), ("", ""));
        assert_eq!(split_path("//k"), ("", "k"));
    }
}
