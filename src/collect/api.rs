//! What collecting needs of AWS, as traits. Implemented by `aws` for the real thing and by the
//! testkit for scripted answers.
//!
//! Every method makes exactly one attempt at one request: it neither retries nor waits for a token.
//! The one retry loop stands in `collect::attempt`. All methods may be called concurrently, and
//! dropping a returned future abandons the request.

mod buckets;
mod clusters;
mod identity;
mod keys;
mod reports;
mod trails;

use async_trait::async_trait;

use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};
use crate::time::UtcMillis;

pub use buckets::{
    BucketEncryption, BucketLifecycle, BucketReplication, ListedObject, ListedVersion, ObjectHead,
    OwnedBucket,
};
pub use clusters::{
    ApplicationLogs, CloudWatchLogging, ClusterFilter, DescribedCluster, DescribedLogGroup,
    DescribedSecurityConfiguration, ListedCluster, ListedSecurityConfiguration, ListedSession,
    ListedStep, SessionLogs,
};
pub use identity::{
    Identity, IdentityKinds, ListedGroup, ListedPolicy, ListedPrincipal, PrincipalKind,
};
pub use keys::{DescribedKey, GrantConstraints, KeyRotation, ListedAlias, ListedGrant};
pub use reports::{
    DescribedJob, FilteredBy, InventoryConfiguration, InventoryDestination, JobOperation,
    JobReport, ListedJob, SourceEntry, SourceObject, SourcePart, TrailKey,
};
pub use trails::{ListedTrail, TrailStatus};

/// How an attempt failed, told apart because each becomes different evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// STS refused the role, or the caller's own credentials are refused.
    DeniedTrust,
    /// A permission is missing, or AWS does not say what forbids the call.
    DeniedIam,
    /// The named thing's own policy forbids the call, in AWS's words.
    DeniedByResource,
    /// A policy of the organization, for its accounts or for its resources, forbids the call.
    DeniedScp,
    /// AWS asks to slow down. Retry.
    Throttled,
    /// The credentials ran out. Refresh, then retry once.
    Expired,
    /// The token is not valid here: the Region may be off for the account, or the keys are bad.
    /// ListRegions tells which.
    TokenRefused,
    /// The named thing does not exist there.
    NotFound,
    /// The request was understood and refused: a fact about the thing, not a failure.
    Refused,
    /// AWS failed. Retry.
    Server,
    /// No answer within the attempt's time. Retry.
    TimedOut,
    /// The connection failed or the answer could not be read. Retry.
    Transport,
    /// The answer is longer than any that AWS is known to give. Asking again would read it again.
    TooLarge,
}

impl ErrorClass {
    /// Whether another attempt may succeed without anything else changing.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Server | Self::TimedOut | Self::Transport
        )
    }

    /// Whether somebody's policy forbids the call.
    pub fn is_denied(self) -> bool {
        matches!(
            self,
            Self::DeniedTrust | Self::DeniedIam | Self::DeniedByResource | Self::DeniedScp
        )
    }
}

/// Account and Region as messages name them; the account may not be known yet.
pub(super) fn place(account: &str, region: &str) -> String {
    match account {
        "-" => region.to_owned(),
        _ => format!("account {account} {region}"),
    }
}

/// A failed attempt: what AWS said, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} in {}: {code}: {message}{}",
    operation.aws_name(),
    place(account, region),
    request_id.as_deref().map(|id| format!(" (request id {id})")).unwrap_or_default()
)]
pub struct ApiError {
    pub class: ErrorClass,
    pub operation: Operation,
    /// Account that was asked, `-` where it is not known yet.
    pub account: String,
    /// Region that was asked, or `global`.
    pub region: String,
    /// AWS's error code, or `Timeout`, `Connection`, `Unreadable`, `ResponseTooLarge`
    /// where AWS gave none.
    pub code: String,
    /// AWS's message, shortened. Shown to the operator, never stored as evidence and never read:
    /// what it says about the failure is in `class`.
    pub message: String,
    pub request_id: Option<String>,
}

/// One page of a list. The list ends when `next` is `None`; an empty page does not end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// A name and value that someone put on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub name: String,
    pub value: String,
}

/// The caller's own identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    pub account_id: AccountId,
    pub arn: String,
}

/// DescribeOrganization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: String,
    pub management_account_id: AccountId,
}

/// One account of ListAccounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAccount {
    pub id: AccountId,
    pub name: Option<String>,
    /// `State`, else `Status`, as given.
    pub state: Option<String>,
    /// `Account.Paths`: ids from the organization down to the OU; AWS may leave it out.
    pub path: Option<String>,
    pub joined_at: Option<UtcMillis>,
}

/// An organizational unit or root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationalUnit {
    pub id: String,
}

/// What AssumeRole is asked for. SourceIdentity is never sent: AWS carries the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    pub account_id: AccountId,
    /// Role name or path and name, e.g. `keyproof-reader`.
    pub role_name: String,
    /// Carries the run id, so that members find the run in their CloudTrail.
    pub session_name: String,
    pub external_id: Option<String>,
    /// 900 to 3,600: a job under a role chains, and chaining caps at one hour.
    pub duration_seconds: i32,
}

/// One Region of account ListRegions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionStatus {
    pub region: Region,
    /// ENABLED, ENABLED_BY_DEFAULT, ENABLING, DISABLING or DISABLED.
    pub status: String,
}

/// AWS as the collector itself sees it.
#[async_trait]
pub trait Cloud: Send + Sync {
    async fn caller_identity(&self) -> Result<CallerIdentity, ApiError>;
    async fn organization(&self) -> Result<Organization, ApiError>;
    async fn accounts(&self, next: Option<String>) -> Result<Page<ListedAccount>, ApiError>;
    async fn roots(&self, next: Option<String>) -> Result<Page<OrganizationalUnit>, ApiError>;
    async fn units_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<OrganizationalUnit>, ApiError>;
    async fn accounts_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<AccountId>, ApiError>;
    async fn account_tags(
        &self,
        account: &AccountId,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError>;
    /// A session in a member account.
    async fn assume(&self, role: &AssumeRole) -> Result<Box<dyn Member>, ApiError>;
    /// The caller's own credentials as a session (`--single-account`).
    fn own_session(&self, account: &AccountId) -> Box<dyn Member>;
    /// Local clock minus the Date header of the last answer, in milliseconds.
    fn clock_offset_ms(&self) -> Option<i64>;
}

/// AWS as seen with one account's session.
#[async_trait]
pub trait Member: Send + Sync {
    /// When the session ends; `None` for credentials without a stated end.
    fn expires_at(&self) -> Option<UtcMillis>;
    async fn regions(&self, next: Option<String>) -> Result<Page<RegionStatus>, ApiError>;
    async fn clusters(
        &self,
        region: &Region,
        filter: &ClusterFilter,
        next: Option<String>,
    ) -> Result<Page<ListedCluster>, ApiError>;
    async fn cluster(&self, region: &Region, id: &str) -> Result<DescribedCluster, ApiError>;
    /// Newest first.
    async fn steps(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedStep>, ApiError>;
    async fn sessions(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedSession>, ApiError>;
    /// Log groups whose name begins with `prefix`, in the order of names.
    async fn log_groups(
        &self,
        region: &Region,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<DescribedLogGroup>, ApiError>;
    async fn security_configurations(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedSecurityConfiguration>, ApiError>;
    async fn security_configuration(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<DescribedSecurityConfiguration, ApiError>;
    async fn buckets(&self, next: Option<String>) -> Result<Page<OwnedBucket>, ApiError>;
    async fn bucket_location(&self, bucket: &str) -> Result<Region, ApiError>;
    async fn bucket_encryption(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketEncryption, ApiError>;
    /// `None` when versioning was never turned on.
    async fn bucket_versioning(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError>;
    /// `None` when the bucket has no policy.
    async fn bucket_policy(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError>;
    /// `None` when the bucket never had ownership controls.
    async fn bucket_ownership(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError>;
    async fn bucket_object_lock(&self, region: &Region, bucket: &str) -> Result<bool, ApiError>;
    /// Whether all four blocks of public access are on.
    async fn bucket_public_access_blocked(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<bool, ApiError>;
    async fn bucket_lifecycle(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketLifecycle, ApiError>;
    async fn bucket_replication(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketReplication, ApiError>;
    async fn bucket_inventories(
        &self,
        region: &Region,
        bucket: &str,
        next: Option<String>,
    ) -> Result<Page<InventoryConfiguration>, ApiError>;
    /// `None` where S3 does not have metadata tables.
    async fn bucket_metadata_table(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<bool>, ApiError>;
    /// The first page of objects below `prefix`; asked with the sampler role.
    async fn log_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<ListedObject>, ApiError>;
    /// HEAD of one object, without checksum mode and without encryption headers; asked with the
    /// sampler role.
    async fn log_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
    ) -> Result<ObjectHead, ApiError>;
    /// All versions below `prefix`, delete markers too, in the order of names; asked with the sampler role.
    async fn log_versions(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<ListedVersion>, ApiError>;
    /// What lies directly below `prefix`; asked with the source-reader role.
    async fn source_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<SourceEntry>, ApiError>;
    /// The objects below `prefix` whose names are greater than `after`, in order of their names. Asked with
    /// the source-reader role.
    async fn source_objects_after(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        after: &str,
        next: Option<String>,
    ) -> Result<Page<SourceObject>, ApiError>;
    /// The keys with which this Region's CloudTrail signed digest files in that time.
    async fn trail_keys(
        &self,
        region: &Region,
        window: (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<TrailKey>, ApiError>;
    /// At most `length` bytes of a report, from `from`; none at its end or beyond. Asked with the
    /// source-reader role.
    async fn source_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
        from: u64,
        length: u64,
    ) -> Result<SourcePart, ApiError>;
    /// S3 Batch Operations jobs of the session's account.
    async fn jobs(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedJob>, ApiError>;
    async fn job(&self, region: &Region, id: &str) -> Result<DescribedJob, ApiError>;
    /// `key` is a key ARN or alias ARN, never `alias/aws/…`.
    async fn key(&self, region: &Region, key: &str) -> Result<DescribedKey, ApiError>;
    /// `key` is a key ARN; aliases are not accepted by KMS.
    async fn key_policy(&self, region: &Region, key: &str) -> Result<String, ApiError>;
    async fn key_rotation(&self, region: &Region, key: &str) -> Result<KeyRotation, ApiError>;
    async fn key_tags(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError>;
    /// `key` is a key ARN.
    async fn key_grants(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<ListedGrant>, ApiError>;
    /// The aliases of the session's account.
    async fn aliases(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedAlias>, ApiError>;
    /// Ids of the keys of the session's account.
    async fn key_ids(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<String>, ApiError>;
    async fn identities(
        &self,
        kinds: IdentityKinds,
        next: Option<String>,
    ) -> Result<Page<Identity>, ApiError>;
    /// The CloudTrail records of the events of one name between two instants, the first included, as
    /// text, newest first. A record may stand in two windows that touch.
    async fn events(
        &self,
        region: &Region,
        name: &str,
        window: (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<String>, ApiError>;
    /// The trails that this Region shows: those that begin here, and those of several Regions or of the
    /// organization.
    async fn trails(&self, region: &Region) -> Result<Vec<ListedTrail>, ApiError>;
    /// `region` is the trail's home.
    async fn trail_status(&self, region: &Region, arn: &str) -> Result<TrailStatus, ApiError>;
    /// Whether the trail records management events that write; `None` where its selectors do not tell.
    async fn trail_writes(&self, region: &Region, arn: &str) -> Result<Option<bool>, ApiError>;
}
