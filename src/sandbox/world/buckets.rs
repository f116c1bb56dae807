//! Buckets: where clusters send their logs, and where evidence is kept.

use super::bucket_settings::BucketSettings;
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
    /// Reports about a team's log bucket.
    TeamReports,
    /// Reports about a central log bucket.
    CentralReports,
    /// Files of the organization's trail.
    Trail,
}

impl BucketKind {
    /// Whether inventories and the like are written there, or a trail's files.
    pub fn holds_reports(self) -> bool {
        matches!(self, Self::TeamReports | Self::CentralReports | Self::Trail)
    }

    /// The kind of bucket that reports about one of this kind go to.
    pub(super) fn reports(self) -> Option<Self> {
        match self {
            Self::TeamLogs => Some(Self::TeamReports),
            Self::CentralLogs => Some(Self::CentralReports),
            _ => None,
        }
    }

    /// The key that the bucket's default encryption names.
    pub(super) fn default_key(self) -> Option<Purpose> {
        match self {
            Self::TeamLogs => Some(Purpose::Logs),
            Self::CentralLogs => Some(Purpose::Central),
            Self::Archive => Some(Purpose::Archive),
            Self::ConsoleLogs
            | Self::LegacyLogs
            | Self::Partner
            | Self::TeamReports
            | Self::CentralReports
            | Self::Trail => None,
        }
    }
}

/// Default encryption, as `GetBucketEncryption` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEncryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    /// Key ARN; with `aws:kms` and no key the AWS managed key `alias/aws/s3` is meant.
    pub key: Option<String>,
    pub bucket_key: bool,
}

/// One bucket. Its objects are not part of the world: the S3 service keeps them.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub kind: BucketKind,
    /// Owner, 12 digits; an account outside the organization for a partner's bucket.
    pub account_id: String,
    pub region: String,
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
    /// Expiry, copies, inventories.
    pub settings: BucketSettings,
}
