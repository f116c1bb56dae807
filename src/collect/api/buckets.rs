//! What S3 tells of buckets and their objects, as far as it may be kept.

use crate::model::ids::Region;
use crate::time::UtcMillis;

/// One bucket of ListBuckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBucket {
    pub name: String,
    pub region: Option<Region>,
}

/// GetBucketEncryption's default rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketEncryption {
    pub algorithm: Option<String>,
    pub key: Option<String>,
    pub bucket_key: Option<bool>,
}

/// GetBucketLifecycleConfiguration: what concerns how long logs stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketLifecycle {
    /// Rules that are on.
    pub rules: i64,
    /// The smallest number of days after which one of them lets current objects expire.
    pub expires_after_days: Option<i64>,
}

/// GetBucketReplication: where copies go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketReplication {
    /// Rules that are on.
    pub rules: i64,
    /// ARNs of the buckets that they write to, sorted.
    pub destinations: Vec<String>,
}

/// One object of ListObjectsV2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key. Names of log files may carry what users typed: never stored, never shown.
    pub name: String,
    pub bytes: Option<i64>,
    pub modified_at: Option<UtcMillis>,
}

/// One version of ListObjectVersions, which tells nothing of its encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The object's key. Names of log files may carry what users typed: never stored, never shown.
    pub name: Vec<u8>,
    pub is_latest: bool,
    pub is_delete_marker: bool,
    pub bytes: Option<u64>,
}

/// HeadObject, as far as encryption is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectHead {
    Told {
        algorithm: Option<String>,
        /// ARN of the KMS key.
        key: Option<String>,
        bucket_key: Option<bool>,
    },
    /// HTTP 400 without a word: what S3 answers where an object's own key would have to be sent.
    BadRequest,
}
