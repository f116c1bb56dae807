//! The stories that clusters tell, each with the truth that an audit should find.
//!
//! The truth is *stated* here, case by case, from what AWS documents. It is not computed from the
//! generated data, and shares nothing with the auditor's rules.

use serde::Serialize;

/// What one rule should conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    Pass,
    Fail,
    Unknown,
    NotApplicable,
}

/// What all findings of a cluster should conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    Compliant,
    NonCompliant,
    Unknown,
    NoLogs,
}

/// Whether the log key works for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Delivery {
    Working,
    Broken,
    Unknown,
    NotApplicable,
}

/// The customer's words for a cluster, from its `LogUri` channel alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Posture {
    Active,
    PassiveDefault,
    PassiveAwsKey,
    Unknown,
    NotArchived,
}

/// Outcome and reason code of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub outcome: Outcome,
    pub reason: &'static str,
}

/// The rules whose truth is stated, all in all.
pub const RULES: [&str; 20] = [
    "EL-01", "EL-02", "EL-03", "EL-04", "EL-05", "EL-06", "EL-07", "EL-08", "EL-09", "EL-10",
    "EL-11", "EL-12", "EL-13", "EL-14", "EL-15", "EL-16", "EL-17", "EL-18", "EL-19", "EL-20",
];

/// The rules whose truth a scenario states, in the order of [`Statement::findings`]. The others
/// follow from parts of a launch that any scenario may have, and those parts state them:
/// [`beside`](super::beside) EL-05, EL-06 and EL-20, [`Copies`](super::copies::Copies) EL-07,
/// [`security_configurations`](super::security_configurations) EL-08 and EL-18,
/// [`log_objects`](super::log_objects) EL-16 and EL-19.
pub const STATED: [&str; 7] = [
    "EL-01", "EL-02", "EL-03", "EL-12", "EL-13", "EL-15", "EL-17",
];

/// The stated truth of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub findings: [Finding; 7],
    pub verdict: Verdict,
    pub delivery: Delivery,
    pub posture: Posture,
}

/// One story. The first group is compliant, the second is not or cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Full key ARN, modern release.
    KeyArn,
    /// Bare key id, which belongs to the cluster's account and Region.
    KeyBareId,
    /// `alias/emr-logs`
    KeyAliasName,
    /// The same alias as an ARN.
    KeyAliasArn,
    /// An `mrk-` key.
    MultiRegionKey,
    /// Imported key material that is valid for years.
    ImportedMaterial,
    /// Key and bucket of the log-archive account.
    CentralKeyAndBucket,
    /// `s3n://`, as old consoles wrote it.
    LegacyUriScheme,
    /// `s3a://`
    HadoopUriScheme,
    /// Credentials inside the log URI.
    CredentialsInUri,
    /// System logs are not uploaded, application logs are.
    OneLogTypeDisabled,
    /// Logs go to the customer's bucket only.
    CustomerBucketOnly,
    /// Exactly 5.30.0, the first release that honours a log key.
    OldestHonouringRelease,
    /// The key policy names the writer's role, which has no statement about KMS of its own.
    WriterInKeyPolicy,
    /// A grant, the last of many, lets the writer's role use the key.
    WriterByGrant,
    /// Many steps write to a bucket of their own and inherit the cluster's key.
    StepInheritsKey,
    /// Steps write under a key of their own, of the customer's.
    StepWithOtherKey,
    /// Logs go to CloudWatch, too, to a group under a customer key.
    CloudWatchWithKey,
    /// YARN and Spark send logs to S3 under the key of the security configuration.
    ApplicationLogsEncrypted,
    /// No LogUri: all logs are those of sessions, under a customer key in S3 and in CloudWatch.
    SessionsWithKey,

    NoLogKey,
    NoLogUri,
    /// System and application logs both disabled; steps might still log.
    UploadsDisabled,
    /// 5.9.0: older than 5.30.0, though not in alphabetical order.
    KeyOnOldRelease,
    /// `alias/aws/s3`, whose key nobody has needed yet.
    AwsManagedKeyAlias,
    /// The key's policy keeps auditors out; that it is a customer's is proven all the same.
    KeyNotDescribed,
    KeyDisabled,
    /// A partner's key that can be described.
    ForeignKeyDescribed,
    /// The key was deleted.
    KeyNotFound,
    /// No log key, and a bucket whose default is a customer key.
    BucketDefaultCustomerKey,
    KeyOnUnparseableRelease,
    KeyRsa,
    KeyPendingDeletion,
    /// A partner's bucket: nobody can tell its Region.
    BucketOutsideOrganization,
    /// A partner's key that cannot be described.
    ForeignKeyDenied,
    /// The key lies in another Region than cluster and bucket.
    KeyInOtherRegion,
    KeyOnRelease600,
    /// The key is disabled from day 1 to day 3.
    KeyDisabledThenMended,
    /// The ARN of the AWS managed key itself.
    AwsManagedKeyArn,
    /// A cluster from before release labels.
    KeyOnAmiVersion,
    KeyPendingImport,
    /// The bucket lies in another Region than cluster and key.
    BucketInOtherRegion,
    ImportedMaterialExpired,
    /// A CloudHSM key: Enabled does not prove that the backing key is there.
    CustomKeyStore,
    NoLogKeyOnOldRelease,
    /// No log key, and a bucket with SSE-KMS but without a key of its own.
    BucketDefaultAwsKey,
    /// The ARN of `alias/aws/s3`.
    AwsManagedKeyAliasArn,
    EmptyLogUri,
    KeyHmac,
    /// A log key of spaces.
    BlankLogKey,
    KeyWithoutLogUri,
    KeyPendingReplicaDeletion,
    KeyUnavailable,
    /// The key policy delegates to IAM, where nothing lets the writer use a key.
    WriterWithoutPermission,
    /// One policy of the writer's role allows what another one denies.
    WriterDenied,
    /// A permissions boundary leaves KMS out.
    WriterBeyondBoundary,
    /// The key policy lets the writer in through one VPC endpoint only.
    WriterOnCondition,
    /// The key policy names the writer's deleted namesake.
    DeletedRoleInPolicy,
    /// The key is described, and its policy is not shown.
    KeyPolicyNotRead,
    /// Everyone may decrypt with the key.
    OverbroadKeyPolicy,
    /// A role of another business unit may read the logs.
    OtherUnitReads,
    /// Everyone in the organization may put the key away.
    KillSwitchOpen,
    /// No LogUri, and steps that send logs to a bucket without any key.
    StepWithoutKey,
    /// No LogUri, and steps whose logs are under a key of AWS.
    StepWithAwsKey,
    /// EMR was told a customer key for CloudWatch, and the group has none.
    CloudWatchWithoutKey,
    /// YARN and Spark send logs to S3, and no security configuration encrypts them.
    ApplicationLogsUnencrypted,
    /// The security configuration that encrypts application logs was made again.
    ApplicationLogsRenewed,
    /// System and application logs both disabled, and no step.
    UploadsDisabledNoSteps,
    /// EMR was told a customer key for CloudWatch, and somebody deleted the group since.
    CloudWatchGroupMissing,
}

impl Scenario {
    /// The compliant stories.
    pub const HEALTHY: [Self; 20] = [
        Self::KeyArn,
        Self::KeyBareId,
        Self::KeyAliasName,
        Self::KeyAliasArn,
        Self::MultiRegionKey,
        Self::ImportedMaterial,
        Self::CentralKeyAndBucket,
        Self::LegacyUriScheme,
        Self::HadoopUriScheme,
        Self::CredentialsInUri,
        Self::OneLogTypeDisabled,
        Self::CustomerBucketOnly,
        Self::OldestHonouringRelease,
        Self::WriterInKeyPolicy,
        Self::WriterByGrant,
        Self::StepInheritsKey,
        Self::StepWithOtherKey,
        Self::CloudWatchWithKey,
        Self::ApplicationLogsEncrypted,
        Self::SessionsWithKey,
    ];

    /// The others. A small organization tells the first of them only, so the first fourteen give
    /// every rule each of its values.
    pub const TROUBLED: [Self; 49] = [
        Self::NoLogKey,
        Self::NoLogUri,
        Self::UploadsDisabled,
        Self::KeyOnOldRelease,
        Self::AwsManagedKeyAlias,
        Self::KeyNotDescribed,
        Self::KeyDisabled,
        Self::BucketOutsideOrganization,
        Self::ForeignKeyDescribed,
        Self::KeyNotFound,
        Self::BucketDefaultCustomerKey,
        Self::KeyOnUnparseableRelease,
        Self::KeyRsa,
        Self::KeyPendingDeletion,
        Self::ForeignKeyDenied,
        Self::KeyInOtherRegion,
        Self::KeyOnRelease600,
        Self::KeyDisabledThenMended,
        Self::AwsManagedKeyArn,
        Self::KeyOnAmiVersion,
        Self::KeyPendingImport,
        Self::BucketInOtherRegion,
        Self::ImportedMaterialExpired,
        Self::CustomKeyStore,
        Self::NoLogKeyOnOldRelease,
        Self::BucketDefaultAwsKey,
        Self::AwsManagedKeyAliasArn,
        Self::EmptyLogUri,
        Self::KeyHmac,
        Self::BlankLogKey,
        Self::KeyWithoutLogUri,
        Self::KeyPendingReplicaDeletion,
        Self::KeyUnavailable,
        Self::WriterWithoutPermission,
        Self::WriterDenied,
        Self::WriterBeyondBoundary,
        Self::WriterOnCondition,
        Self::DeletedRoleInPolicy,
        Self::KeyPolicyNotRead,
        Self::OverbroadKeyPolicy,
        Self::OtherUnitReads,
        Self::KillSwitchOpen,
        Self::StepWithoutKey,
        Self::StepWithAwsKey,
        Self::CloudWatchWithoutKey,
        Self::ApplicationLogsUnencrypted,
        Self::ApplicationLogsRenewed,
        Self::UploadsDisabledNoSteps,
        Self::CloudWatchGroupMissing,
    ];

    /// Whether the story needs a cluster that is there during the whole simulation: its truth
    /// changes with time, and an ended cluster would keep the verdict of the day it was seen.
    pub fn needs_long_life(self) -> bool {
        self == Self::KeyDisabledThenMended
    }

    /// Whether the story needs a second hosting Region.
    pub fn needs_two_regions(self) -> bool {
        matches!(self, Self::KeyInOtherRegion | Self::BucketInOtherRegion)
    }

    /// The truth. `key_is_out` tells whether a key that is disabled for a while is disabled now.
    pub fn statement(self, key_is_out: bool) -> Statement {
        use Outcome::{Fail, NotApplicable, Pass, Unknown};
        match self {
            Self::KeyBareId
            | Self::MultiRegionKey
            | Self::LegacyUriScheme
            | Self::HadoopUriScheme
            | Self::CredentialsInUri
            | Self::OneLogTypeDisabled
            | Self::CustomerBucketOnly
            | Self::OldestHonouringRelease
            | Self::WriterInKeyPolicy
            | Self::WriterByGrant
            | Self::WriterWithoutPermission
            | Self::WriterDenied
            | Self::WriterBeyondBoundary
            | Self::WriterOnCondition
            | Self::DeletedRoleInPolicy
            | Self::KeyPolicyNotRead
            | Self::OverbroadKeyPolicy
            | Self::OtherUnitReads
            | Self::KillSwitchOpen
            | Self::StepInheritsKey
            | Self::StepWithOtherKey
            | Self::CloudWatchWithKey
            | Self::CloudWatchGroupMissing
            | Self::ApplicationLogsEncrypted
            | Self::ApplicationLogsRenewed => COMPLIANT,
            Self::CloudWatchWithoutKey | Self::ApplicationLogsUnencrypted => {
                COMPLIANT.concludes(Verdict::NonCompliant, Delivery::Working, Posture::Active)
            }
            Self::StepWithoutKey => NO_URI.concludes(
                Verdict::NonCompliant,
                Delivery::NotApplicable,
                Posture::NotArchived,
            ),
            Self::StepWithAwsKey => NO_URI
                .key_rules(NotApplicable, "aws_managed_key")
                .with("EL-02", Fail, "aws_managed_key")
                .concludes(
                    Verdict::NonCompliant,
                    Delivery::NotApplicable,
                    Posture::NotArchived,
                ),
            Self::SessionsWithKey => NO_URI
                .with("EL-02", Pass, "customer_key")
                .with("EL-03", Pass, "key_usable")
                .with("EL-12", Pass, "rotation_on")
                .with("EL-13", Pass, "key_tagged")
                .concludes(Verdict::Compliant, Delivery::Working, Posture::NotArchived),
            Self::UploadsDisabledNoSteps => COMPLIANT
                .with("EL-01", NotApplicable, "uploads_disabled_no_steps")
                .with("EL-17", Fail, "uploads_disabled")
                .concludes(Verdict::NoLogs, Delivery::Working, Posture::NotArchived),
            Self::KeyArn | Self::CentralKeyAndBucket => {
                COMPLIANT.with("EL-15", Pass, "bucket_default_customer_key")
            }
            // The key of this alias is looked after by nobody.
            Self::KeyAliasName | Self::KeyAliasArn => COMPLIANT
                .with("EL-12", Fail, "rotation_off")
                .with("EL-13", Fail, "tags_missing"),
            Self::ImportedMaterial => COMPLIANT.cannot_rotate(),

            Self::NoLogKey | Self::NoLogKeyOnOldRelease | Self::BucketDefaultAwsKey => NO_KEY,
            Self::BlankLogKey => NO_KEY,
            Self::BucketDefaultCustomerKey => NO_KEY
                .with("EL-01", Fail, "no_log_key_bucket_default_cmk")
                .with("EL-15", Pass, "bucket_default_customer_key"),

            Self::NoLogUri | Self::EmptyLogUri => NO_URI,
            Self::KeyWithoutLogUri => NO_URI.key_rules(NotApplicable, "no_log_uri"),

            Self::UploadsDisabled => COMPLIANT
                .with("EL-01", Unknown, "uploads_disabled_with_steps")
                .with("EL-17", Unknown, "uploads_disabled_with_steps")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),
            Self::KeyOnOldRelease | Self::KeyOnRelease600 => COMPLIANT
                .with("EL-01", Unknown, "release_does_not_honour_key")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),
            Self::KeyOnUnparseableRelease | Self::KeyOnAmiVersion => COMPLIANT
                .with("EL-01", Unknown, "release_unparseable")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),

            // AWS rotates such a key every year, and nobody else can tag it.
            Self::AwsManagedKeyAlias | Self::AwsManagedKeyAliasArn => COMPLIANT
                .key_rules(NotApplicable, "aws_managed_key")
                .with("EL-02", Fail, "aws_managed_key")
                .concludes(
                    Verdict::NonCompliant,
                    Delivery::NotApplicable,
                    Posture::PassiveAwsKey,
                ),
            Self::AwsManagedKeyArn => COMPLIANT
                .key_rules(NotApplicable, "aws_managed_key")
                .with("EL-02", Fail, "aws_managed_key")
                .with("EL-03", Pass, "key_usable")
                .concludes(
                    Verdict::NonCompliant,
                    Delivery::Working,
                    Posture::PassiveAwsKey,
                ),
            // Described across accounts; the rest is asked in the owner's account alone.
            Self::ForeignKeyDescribed => COMPLIANT
                .with("EL-02", Fail, "foreign_owner")
                .with("EL-12", Unknown, "rotation_not_read")
                .with("EL-13", Unknown, "tags_not_read")
                .concludes(Verdict::NonCompliant, Delivery::Working, Posture::Active),
            // The ARN alone tells the owner, and only customer keys work across accounts.
            Self::ForeignKeyDenied => COMPLIANT
                .key_rules(Unknown, "key_not_described")
                .with("EL-02", Fail, "foreign_owner")
                .concludes(Verdict::NonCompliant, Delivery::Unknown, Posture::Unknown),
            // Its account lists the key, and no alias of AWS's points at it: the customer's. Nothing
            // else of it is known.
            Self::KeyNotDescribed => COMPLIANT
                .key_rules(Unknown, "key_not_described")
                .with("EL-02", Pass, "customer_key")
                .concludes(Verdict::Compliant, Delivery::Unknown, Posture::Active),
            Self::KeyNotFound => COMPLIANT
                .key_rules(Unknown, "key_not_found")
                .with("EL-03", Fail, "key_not_found")
                .concludes(Verdict::NonCompliant, Delivery::Broken, Posture::Unknown),

            Self::KeyDisabled => {
                BROKEN
                    .with("EL-03", Fail, "key_state")
                    .with("EL-12", Fail, "rotation_off")
            }
            // KMS says "off" of them, whatever was set.
            Self::KeyPendingDeletion | Self::KeyPendingReplicaDeletion => BROKEN
                .with("EL-03", Fail, "key_state")
                .with("EL-12", NotApplicable, "key_pending_deletion"),
            Self::KeyPendingImport | Self::KeyUnavailable => {
                BROKEN.with("EL-03", Fail, "key_state").cannot_rotate()
            }
            Self::KeyDisabledThenMended if key_is_out => BROKEN.with("EL-03", Fail, "key_state"),
            Self::KeyDisabledThenMended => COMPLIANT,
            Self::KeyRsa | Self::KeyHmac => BROKEN.with("EL-03", Fail, "key_usage").cannot_rotate(),
            Self::KeyInOtherRegion | Self::BucketInOtherRegion => {
                BROKEN.with("EL-03", Fail, "region_mismatch")
            }
            Self::ImportedMaterialExpired => BROKEN
                .with("EL-03", Fail, "key_material_expired")
                .cannot_rotate(),
            Self::BucketOutsideOrganization => COMPLIANT
                .with("EL-03", Unknown, "bucket_region_unknown")
                .with("EL-15", Unknown, "bucket_not_read")
                .concludes(Verdict::Compliant, Delivery::Unknown, Posture::Active),
            Self::CustomKeyStore => COMPLIANT
                .with("EL-03", Unknown, "backing_key_unknown")
                .cannot_rotate()
                .concludes(Verdict::Compliant, Delivery::Unknown, Posture::Active),
        }
    }
}

const fn finding(outcome: Outcome, reason: &'static str) -> Finding {
    Finding { outcome, reason }
}

/// A well-kept customer key, and the console's log bucket, whose default is SSE-S3.
pub(super) const COMPLIANT: Statement = Statement {
    findings: [
        finding(Outcome::Pass, "log_key_set"),
        finding(Outcome::Pass, "customer_key"),
        finding(Outcome::Pass, "key_usable"),
        finding(Outcome::Pass, "rotation_on"),
        finding(Outcome::Pass, "key_tagged"),
        finding(Outcome::Fail, "bucket_default_not_customer_key"),
        finding(Outcome::Pass, "logs_archived"),
    ],
    verdict: Verdict::Compliant,
    delivery: Delivery::Working,
    posture: Posture::Active,
};

const NO_KEY: Statement = Statement {
    findings: [
        finding(Outcome::Fail, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::Fail, "bucket_default_not_customer_key"),
        finding(Outcome::Pass, "logs_archived"),
    ],
    verdict: Verdict::NonCompliant,
    delivery: Delivery::NotApplicable,
    posture: Posture::PassiveDefault,
};

pub(super) const NO_URI: Statement = Statement {
    findings: [
        finding(Outcome::NotApplicable, "no_log_uri"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_uri"),
        finding(Outcome::Fail, "no_log_uri"),
    ],
    verdict: Verdict::NoLogs,
    delivery: Delivery::NotApplicable,
    posture: Posture::NotArchived,
};

/// A customer key that does not work; the third finding says why.
const BROKEN: Statement = Statement {
    verdict: Verdict::NonCompliant,
    delivery: Delivery::Broken,
    ..COMPLIANT
};

impl Statement {
    /// # Panics
    /// For a rule that is not [`STATED`].
    pub(super) fn with(mut self, rule: &str, outcome: Outcome, reason: &'static str) -> Self {
        let index = STATED.iter().position(|stated| *stated == rule);
        self.findings[index.expect("a stated rule")] = finding(outcome, reason);
        self
    }

    /// All rules about the key say the same.
    fn key_rules(mut self, outcome: Outcome, reason: &'static str) -> Self {
        for rule in ["EL-02", "EL-03", "EL-12", "EL-13"] {
            self = self.with(rule, outcome, reason);
        }
        self
    }

    /// The key is of a kind that does not rotate by itself.
    fn cannot_rotate(self) -> Self {
        self.with("EL-12", Outcome::NotApplicable, "kind_cannot_rotate")
    }

    pub(super) fn concludes(self, verdict: Verdict, delivery: Delivery, posture: Posture) -> Self {
        Self {
            verdict,
            delivery,
            posture,
            ..self
        }
    }
}
