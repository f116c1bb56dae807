//! Log objects come into being when somebody looks at them: what clusters wrote is part of the world.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::store::{Content, Encryption, S3State, etag};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request};
use crate::sandbox::world::Bucket;
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
        "ListObjectsV2" => request.query_value("prefix").unwrap_or_default(),
        "HeadObject" | "GetObject" => key,
        _ => return,
    };
    let Some(cluster) = asked.split('/').find(|part| part.starts_with("j-")) else {
        return;
    };
    let mut objects = state.lock();
    for object in world.log_objects(&bucket.name, cluster, now_ms) {
        if objects.keys_mut(&bucket.name).contains_key(&object.name) {
            continue;
        }
        let bytes = object.body.into_bytes();
        let content = Content {
            etag: etag(&Sha256::digest(&bytes).into()),
            body: Arc::new(bytes),
            checksum: None,
            encryption: Encryption {
                algorithm: object.algorithm.to_owned(),
                key: object.key,
                bucket_key: false,
            },
            retention: None,
            headers: Vec::new(),
        };
        objects.add(
            &bucket.name,
            &object.name,
            bucket.versioning,
            Some(content),
            now_ms,
        );
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
        Some(SAMPLER_ROLE) => matches!(request.operation.as_str(), "ListObjectsV2" | "HeadObject"),
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
