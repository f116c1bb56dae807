//! An S3 bucket of the organization: its configuration, as S3's reads would tell it.

/// A bucket. Its objects are not part of the world: the S3 service keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// Owner, 12 digits.
    pub account_id: String,
    pub region: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// `None` only for a bucket of before 2023 whose default nobody ever set.
    pub default_encryption: Option<BucketEncryption>,
    pub versioning: bool,
    /// Object Lock is enabled, which needs versioning.
    pub object_lock: bool,
    /// Default retention of new versions: mode (`GOVERNANCE`, `COMPLIANCE`) and days.
    pub default_retention: Option<(String, u32)>,
    /// All four settings of the bucket's public access block.
    pub public_access_block: bool,
    /// Bucket policy, as the JSON text that S3 returns.
    pub policy: Option<String>,
    /// Object Ownership, e.g. `BucketOwnerEnforced`.
    pub ownership: String,
}

/// Default encryption of new objects (`ServerSideEncryptionByDefault`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEncryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    /// Key as configured, usually an ARN; `None` with `aws:kms` is the AWS managed key.
    pub key: Option<String>,
    /// S3 Bucket Key is enabled.
    pub bucket_key: bool,
}
