//! Answers about reports that S3 writes of objects, and about S3 Batch Operations jobs.

use crate::time::UtcMillis;

/// One inventory configuration of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryConfiguration {
    pub id: String,
    pub is_enabled: bool,
    /// Whether older versions are listed too.
    pub all_versions: bool,
    /// Prefix that it is limited to.
    pub only_below: Option<String>,
    /// Whether `EncryptionStatus` is among its optional fields.
    pub tells_encryption: bool,
    pub destination: Option<InventoryDestination>,
}

/// Where an inventory's reports are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryDestination {
    pub bucket: String,
    /// Empty where reports lie at the top.
    pub prefix: String,
}

/// What lies directly below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEntry {
    /// Whole name, with a slash at its end.
    Folder(String),
    /// Whole name.
    Object(String),
}

impl SourceEntry {
    /// The name of a folder.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Folder(name) => Some(name),
            Self::Object(_) => None,
        }
    }

    /// The name of an object.
    pub fn object(&self) -> Option<&str> {
        match self {
            Self::Object(name) => Some(name),
            Self::Folder(_) => None,
        }
    }
}

/// An object below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// Whole name.
    pub name: String,
    pub bytes: u64,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePart {
    pub bytes: Vec<u8>,
    /// Bytes of the whole object.
    pub total: u64,
    /// `x-amz-meta-signature`, which digest files of trails have.
    pub signature: Option<String>,
}

/// A key that signs digest files of trails in one Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailKey {
    pub fingerprint: String,
    /// RSA, PKCS #1 in DER.
    pub pkcs1: Vec<u8>,
}

/// One job of S3 Control ListJobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    pub id: String,
    /// `S3UpdateObjectEncryption`, `S3PutObjectCopy`, …
    pub operation: Option<String>,
}

/// S3 Control DescribeJob, only the fields that may be kept. What people wrote stays behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedJob {
    pub id: String,
    pub status: Option<String>,
    pub created_at: UtcMillis,
    pub ended_at: Option<UtcMillis>,
    pub operation: JobOperation,
    /// The bucket that its objects lie in, where the job itself tells.
    pub bucket: Option<String>,
    /// `MatchAnyObjectEncryption` of its manifest generator; empty without one.
    pub filtered_by: Vec<FilteredBy>,
    pub report: Option<JobReport>,
    pub total: Option<i64>,
    pub succeeded: Option<i64>,
    pub failed: Option<i64>,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOperation {
    UpdateEncryption {
        /// ARN.
        key: String,
    },
    Copy {
        /// As given: ARN, id or alias.
        key: Option<String>,
        target_bucket: Option<String>,
    },
    Other,
}

impl JobOperation {
    /// The key that it puts objects under, as given.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::UpdateEncryption { key } => Some(key),
            Self::Copy { key, .. } => key.as_deref(),
            Self::Other => None,
        }
    }

    /// The bucket that a copy writes to.
    pub fn target_bucket(&self) -> Option<&str> {
        match self {
            Self::Copy { target_bucket, .. } => target_bucket.as_deref(),
            _ => None,
        }
    }

    /// S3's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UpdateEncryption { .. } => "S3UpdateObjectEncryption",
            Self::Copy { .. } => "S3PutObjectCopy",
            Self::Other => "other",
        }
    }
}

/// How objects of a job's manifest were encrypted when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilteredBy {
    SseS3,
    SseC,
    Plain,
    /// SSE-KMS or DSSE-KMS, and the key where the filter names one.
    Kms(Option<String>),
    Other,
}

impl FilteredBy {
    /// The key that the filter names.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Kms(key) => key.as_deref(),
            _ => None,
        }
    }
}

/// Where a job writes what became of each object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    pub bucket: String,
    pub prefix: String,
    /// Of all tasks, or of failed ones only.
    pub of_all_tasks: bool,
}
