//! Log objects come into being when somebody looks at them: what clusters wrote is part of the world.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::store::{Content, Encryption, S3State, etag};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request};
use crate::sandbox::world::Bucket;
use crate::sandbox::world::log_objects::LogObject;
use crate::sandbox::world::organization::{READER_ROLE, SAMPLER_ROLE, SOURCE_READER_ROLE};

/// Puts what the cluster has written, whose id stands in the key or prefix that is asked for.
pub(super) fn provide(
    world: &World,
    state: &S3State,
    now_ms: i64,
    bucket: &Bucket,
    key: &str,
    request: &Request,
) {
    let asked = match request.operation.as_str() {
        "ListObjectVersions" => return provide_all(world, state, now_ms, bucket),
        "ListObjectsV2" => request.query_value("prefix").unwrap_or_default(),
        "HeadObject" | "GetObject" => key,
        _ => return,
    };
    let Some(cluster) = asked.split('/').find(|part| part.starts_with("j-")) else {
        return;
    };
    let objects = world.log_objects(&bucket.name, cluster, now_ms);
    put(state, now_ms, bucket, objects);
}

/// Puts everything that lies in a log bucket: what all its clusters wrote, and what lies there from before.
fn provide_all(world: &World, state: &S3State, now_ms: i64, bucket: &Bucket) {
    put(
        state,
        now_ms,
        bucket,
        world.written_to(&bucket.name, now_ms),
    );
    let mut objects = state.lock();
    let mut older = world.old_versions(bucket, now_ms);
    let known = objects.keys_mut(&bucket.name);
    older.retain(|version| !known.contains_key(&version.key));
    // The oldest first.
    older.sort_by_key(|version| version.is_latest);
    for version in older {
        let content = (!version.is_delete_marker).then(|| {
            let algorithm = match version.status {
                "SSE-KMS" => "aws:kms",
                _ => "AES256",
            };
            content(
                vec![b'.'; version.bytes as usize],
                algorithm,
                version.kms_key,
            )
        });
        objects.add(
            &bucket.name,
            &version.key,
            bucket.versioning,
            content,
            now_ms,
        );
    }
}

fn put(state: &S3State, now_ms: i64, bucket: &Bucket, written: Vec<LogObject>) {
    let mut objects = state.lock();
    for object in written {
        if objects.keys_mut(&bucket.name).contains_key(&object.name) {
            continue;
        }
        let content = content(object.body.into_bytes(), object.algorithm, object.key);
        objects.add(
            &bucket.name,
            &object.name,
            bucket.versioning,
            Some(content),
            now_ms,
        );
    }
}

fn content(bytes: Vec<u8>, algorithm: &str, key: Option<String>) -> Content {
    Content {
        etag: etag(&Sha256::digest(&bytes).into()),
        body: Arc::new(bytes),
        checksum: None,
        encryption: Encryption {
            algorithm: algorithm.to_owned(),
            key,
            bucket_key: false,
        },
        retention: None,
        headers: Vec::new(),
    }
}

/// What the roles of an audit may do with objects: the reader nothing, the sampler list and HEAD, the
/// source reader list and GET reports.
pub(super) fn may(bucket: &Bucket, request: &Request) -> Result<(), AwsError> {
    let is_of_objects = matches!(
        request.operation.as_str(),
        "ListObjectsV2"
            | "ListObjectVersions"
            | "GetObject"
            | "HeadObject"
            | "PutObject"
            | "DeleteObject"
    );
    let allowed = match request.caller.role.as_deref() {
        Some(READER_ROLE) => !is_of_objects,
        Some(SAMPLER_ROLE) => matches!(
            request.operation.as_str(),
            "ListObjectsV2" | "ListObjectVersions" | "HeadObject"
        ),
        Some(SOURCE_READER_ROLE) => {
            bucket.kind.holds_reports()
                && matches!(request.operation.as_str(), "ListObjectsV2" | "GetObject")
        }
        _ => true,
    };
    if allowed {
        Ok(())
    } else {
        Err(AwsError::new(403, "AccessDenied", "Access Denied"))
    }
}
