//! Objects and their versions, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::checksum::Checksum;
use super::trail_files::Delivered;
use crate::sandbox::wire::encoding::hex;

/// The objects of all buckets. One lock: a PUT is one step, so that of two concurrent creators
/// exactly one wins.
#[derive(Default)]
pub struct S3State {
    objects: Mutex<Objects>,
    /// How far the trail's files of each account-region were delivered.
    pub(super) delivered: Mutex<HashMap<(String, &'static str), Delivered>>,
}

/// All versions of each key of a bucket, oldest first; never an empty list.
pub(super) type Keys = BTreeMap<String, Vec<Version>>;

/// What was in a bucket at one time.
#[derive(Clone)]
pub struct BucketCopy(Keys);

#[derive(Default)]
pub(super) struct Objects {
    buckets: HashMap<String, Keys>,
    versions: u64,
}

/// One version of an object.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// `null` in a bucket without versioning.
    pub id: String,
    /// Whole seconds, as S3 keeps them; in milliseconds since the epoch.
    pub modified_ms: i64,
    /// `None` for a delete marker.
    pub content: Option<Content>,
}

#[derive(Debug, Clone)]
pub(super) struct Content {
    pub body: Arc<Vec<u8>>,
    /// With its quotes. Opaque, as under SSE-KMS: not an MD5.
    pub etag: String,
    pub checksum: Option<Checksum>,
    pub encryption: Encryption,
    pub retention: Option<Retention>,
    /// Content-Type, Cache-Control, `x-amz-meta-…` and the like, as they are returned.
    pub headers: Vec<(String, String)>,
}

/// How an object is encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    /// Key ARN under `aws:kms`.
    pub key: Option<String>,
    pub bucket_key: bool,
}

/// Object Lock retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// Milliseconds since the epoch.
    pub until_ms: i64,
}

/// How the current version of an object is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    /// Key ARN under `aws:kms`.
    pub key: Option<String>,
    pub bucket_key: bool,
    /// Object Lock mode and its end, milliseconds since the epoch.
    pub lock: Option<(String, i64)>,
    /// Versions of the key, delete markers included.
    pub versions: usize,
}

impl S3State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Current bytes of an object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let objects = self.lock();
        let content = objects.keys(bucket)?.get(key)?.last()?.content.as_ref()?;
        Some(content.body.to_vec())
    }

    /// How the current version of an object is kept.
    pub fn kept(&self, bucket: &str, key: &str) -> Option<Kept> {
        let objects = self.lock();
        let versions = objects.keys(bucket)?.get(key)?;
        let content = versions.last()?.content.as_ref()?;
        let lock = content.retention.as_ref();
        Some(Kept {
            algorithm: content.encryption.algorithm.clone(),
            key: content.encryption.key.clone(),
            bucket_key: content.encryption.bucket_key,
            lock: lock.map(|lock| (lock.mode.clone(), lock.until_ms)),
            versions: versions.len(),
        })
    }

    /// Keys whose current version is not a delete marker, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let objects = self.lock();
        let keys = objects.keys(bucket).into_iter().flatten();
        keys.filter(|(_, versions)| {
            versions
                .last()
                .is_some_and(|version| version.content.is_some())
        })
        .map(|(key, _)| key.clone())
        .collect()
    }

    /// Every version of every key of a bucket.
    pub fn copy(&self, bucket: &str) -> BucketCopy {
        BucketCopy(self.lock().keys(bucket).cloned().unwrap_or_default())
    }

    /// Replaces everything in a bucket.
    pub fn put_back(&self, bucket: &str, copy: &BucketCopy) {
        *self.lock().keys_mut(bucket) = copy.0.clone();
    }

    /// Replaces the bytes of the current version and nothing else of it, as a fault of the storage
    /// would; creates a plain object where there is none.
    pub fn put_raw(&self, bucket: &str, key: &str, bytes: Vec<u8>, now_ms: i64) {
        let mut objects = self.lock();
        let current = objects
            .keys_mut(bucket)
            .get_mut(key)
            .and_then(|versions| versions.last_mut());
        if let Some(content) = current.and_then(|version| version.content.as_mut()) {
            content.body = Arc::new(bytes);
            return;
        }
        let content = Content {
            etag: etag(&Sha256::digest(&bytes).into()),
            body: Arc::new(bytes),
            checksum: None,
            encryption: Encryption {
                algorithm: "AES256".into(),
                key: None,
                bucket_key: false,
            },
            retention: None,
            headers: vec![("content-type".into(), "binary/octet-stream".into())],
        };
        objects.add(bucket, key, true, Some(content), now_ms);
    }

    /// Puts a delete marker on top of a key, as a DELETE without a version id does.
    pub fn mark_deleted(&self, bucket: &str, key: &str, now_ms: i64) {
        self.lock().add(bucket, key, true, None, now_ms);
    }

    /// Takes the newest version of a key away.
    pub fn unmark(&self, bucket: &str, key: &str) {
        if let Some(versions) = self.lock().keys_mut(bucket).get_mut(key) {
            versions.pop();
        }
    }

    /// Forgets all versions of a key; says whether there were any.
    pub fn remove_raw(&self, bucket: &str, key: &str) -> bool {
        self.lock().keys_mut(bucket).remove(key).is_some()
    }
}

impl Objects {
    pub fn keys(&self, bucket: &str) -> Option<&Keys> {
        self.buckets.get(bucket)
    }

    pub fn keys_mut(&mut self, bucket: &str) -> &mut Keys {
        self.buckets.entry(bucket.to_owned()).or_default()
    }

    /// Adds a version on top and gives its id; `None` content is a delete marker. Without versioning
    /// the only version is replaced.
    pub fn add(
        &mut self,
        bucket: &str,
        key: &str,
        versioned: bool,
        content: Option<Content>,
        now_ms: i64,
    ) -> String {
        self.versions += 1;
        let id = if versioned {
            version_id(bucket, self.versions)
        } else {
            "null".to_owned()
        };
        let modified_ms = now_ms - now_ms.rem_euclid(1000);
        let versions = self.keys_mut(bucket).entry(key.to_owned()).or_default();
        if !versioned {
            versions.clear();
        }
        versions.push(Version {
            id: id.clone(),
            modified_ms,
            content,
        });
        id
    }
}

/// An ETag that tells contents apart.
pub(super) fn etag(sha256: &[u8; 32]) -> String {
    format!("\"{}\"", hex(&sha256[..16]))
}

/// Opaque and unordered, like S3's.
fn version_id(bucket: &str, counter: u64) -> String {
    let digest = Sha256::digest(format!("{bucket}\0{counter}"));
    hex(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tampering_keeps_the_version() {
        let state = S3State::default();
        state.put_raw("b", "k", b"one".to_vec(), 1_500);
        let before = state.lock().keys("b").unwrap()["k"][0].clone();
        assert_eq!(before.modified_ms, 1_000);
        state.put_raw("b", "k", b"two".to_vec(), 9_000);
        let objects = state.lock();
        let after = &objects.keys("b").unwrap()["k"];
        assert_eq!(
            (after.len(), &after[0].id, after[0].modified_ms),
            (1, &before.id, 1_000)
        );
        drop(objects);
        assert_eq!(state.object("b", "k").unwrap(), b"two");
        let copy = state.copy("b");
        state.put_raw("b", "later", b"x".to_vec(), 9_000);
        state.mark_deleted("b", "k", 9_000);
        state.put_back("b", &copy);
        assert_eq!(state.keys("b"), ["k"]);
        assert!(state.remove_raw("b", "k") && !state.remove_raw("b", "k"));
    }

    #[test]
    fn versions_pile_up_only_under_versioning() {
        let mut objects = Objects::default();
        for versioned in [true, true] {
            objects.add("b", "k", versioned, None, 0);
        }
        assert_eq!(objects.keys("b").unwrap()["k"].len(), 2);
        assert_eq!(objects.add("plain", "k", false, None, 0), "null");
        objects.add("plain", "k", false, None, 0);
        assert_eq!(objects.keys("plain").unwrap()["k"].len(), 1);
    }
}
