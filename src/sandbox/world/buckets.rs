//! Buckets: where clusters send their logs, and where evidence is kept.

use super::keys::Purpose;

/// What a bucket exists for. One account-region has at most one bucket of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BucketKind {
    /// The console's default log bucket; its default encryption is SSE-S3.
    ConsoleLogs,
    /// A team's log bucket whose default encryption is the team's key.
    TeamLogs,
    /// SSE-KMS by default without naming a key, which means the AWS managed key.
    LegacyLogs,
    /// The organization's central log bucket.
    CentralLogs,
    /// A partner's bucket, outside the organization.
    Partner,
    /// The evidence bucket.
    Archive,
}

impl BucketKind {
    /// The key that the bucket's default encryption names.
    pub(super) fn default_key(self) -> Option<Purpose> {
        match self {
            Self::TeamLogs => Some(Purpose::Logs),
            Self::CentralLogs => Some(Purpose::Central),
            Self::Archive => Some(Purpose::Archive),
            Self::ConsoleLogs | Self::LegacyLogs | Self::Partner => None,
        }
    }
}

/// Default encryption, as `GetBucketEncryption` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultEncryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: &'static str,
    /// Key ARN; with `aws:kms` and no key the AWS managed key `alias/aws/s3` is meant.
    pub kms_key_id: Option<String>,
    pub bucket_key: bool,
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub kind: BucketKind,
    /// 12-digit account id; an account outside the organization for a partner's bucket.
    pub owner: String,
    pub region: &'static str,
    pub created_ms: i64,
    pub default_encryption: DefaultEncryption,
    pub versioning: bool,
    pub object_lock: bool,
}
