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

/// The rules whose truth is stated, in the order of [`Statement::findings`].
pub const RULES: [&str; 4] = ["EL-01", "EL-02", "EL-03", "EL-17"];

/// The stated truth of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub findings: [Finding; 4],
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

    NoLogKey,
    NoLogUri,
    /// System and application logs both disabled; steps might still log.
    UploadsDisabled,
    /// 5.9.0: older than 5.30.0, though not in alphabetical order.
    KeyOnOldRelease,
    /// `alias/aws/s3`, whose key nobody has needed yet.
    AwsManagedKeyAlias,
    /// The key's policy keeps auditors out.
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
}

impl Scenario {
    /// The compliant stories.
    pub const HEALTHY: [Self; 13] = [
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
    ];

    /// The others. A small organization tells the first of them only, so the first fourteen give
    /// every rule each of its values.
    pub const TROUBLED: [Self; 33] = [
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
        match self {
            Self::KeyArn
            | Self::KeyBareId
            | Self::KeyAliasName
            | Self::KeyAliasArn
            | Self::MultiRegionKey
            | Self::ImportedMaterial
            | Self::CentralKeyAndBucket
            | Self::LegacyUriScheme
            | Self::HadoopUriScheme
            | Self::CredentialsInUri
            | Self::OneLogTypeDisabled
            | Self::CustomerBucketOnly
            | Self::OldestHonouringRelease => COMPLIANT,

            Self::NoLogKey | Self::NoLogKeyOnOldRelease | Self::BucketDefaultAwsKey => NO_KEY,
            Self::BlankLogKey => NO_KEY,
            Self::BucketDefaultCustomerKey => {
                NO_KEY.with(0, Outcome::Fail, "no_log_key_bucket_default_cmk")
            }

            Self::NoLogUri | Self::EmptyLogUri => NO_URI,
            Self::KeyWithoutLogUri => NO_URI.with(1, Outcome::NotApplicable, "no_log_uri").with(
                2,
                Outcome::NotApplicable,
                "no_log_uri",
            ),

            Self::UploadsDisabled => COMPLIANT
                .with(0, Outcome::Unknown, "uploads_disabled_steps_not_read")
                .with(3, Outcome::Unknown, "uploads_disabled_steps_not_read")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),
            Self::KeyOnOldRelease | Self::KeyOnRelease600 => COMPLIANT
                .with(0, Outcome::Unknown, "release_does_not_honour_key")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),
            Self::KeyOnUnparseableRelease | Self::KeyOnAmiVersion => COMPLIANT
                .with(0, Outcome::Unknown, "release_unparseable")
                .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown),

            Self::AwsManagedKeyAlias | Self::AwsManagedKeyAliasArn => COMPLIANT
                .with(1, Outcome::Fail, "aws_managed_key")
                .with(2, Outcome::NotApplicable, "aws_managed_key")
                .concludes(
                    Verdict::NonCompliant,
                    Delivery::NotApplicable,
                    Posture::PassiveAwsKey,
                ),
            Self::AwsManagedKeyArn => COMPLIANT
                .with(1, Outcome::Fail, "aws_managed_key")
                .concludes(
                    Verdict::NonCompliant,
                    Delivery::Working,
                    Posture::PassiveAwsKey,
                ),
            Self::ForeignKeyDescribed => COMPLIANT
                .with(1, Outcome::Fail, "foreign_owner")
                .concludes(Verdict::NonCompliant, Delivery::Working, Posture::Active),
            // The ARN alone tells the owner, and only customer keys work across accounts.
            Self::ForeignKeyDenied => COMPLIANT
                .with(1, Outcome::Fail, "foreign_owner")
                .with(2, Outcome::Unknown, "key_not_described")
                .concludes(Verdict::NonCompliant, Delivery::Unknown, Posture::Unknown),
            Self::KeyNotDescribed => COMPLIANT
                .with(1, Outcome::Unknown, "key_not_described")
                .with(2, Outcome::Unknown, "key_not_described")
                .concludes(Verdict::Unknown, Delivery::Unknown, Posture::Unknown),
            Self::KeyNotFound => COMPLIANT
                .with(1, Outcome::Unknown, "key_not_found")
                .with(2, Outcome::Fail, "key_not_found")
                .concludes(Verdict::NonCompliant, Delivery::Broken, Posture::Unknown),

            Self::KeyDisabled
            | Self::KeyPendingDeletion
            | Self::KeyPendingReplicaDeletion
            | Self::KeyPendingImport
            | Self::KeyUnavailable => BROKEN.with(2, Outcome::Fail, "key_state"),
            Self::KeyDisabledThenMended if key_is_out => BROKEN.with(2, Outcome::Fail, "key_state"),
            Self::KeyDisabledThenMended => COMPLIANT,
            Self::KeyRsa | Self::KeyHmac => BROKEN.with(2, Outcome::Fail, "key_usage"),
            Self::KeyInOtherRegion | Self::BucketInOtherRegion => {
                BROKEN.with(2, Outcome::Fail, "region_mismatch")
            }
            Self::ImportedMaterialExpired => BROKEN.with(2, Outcome::Fail, "key_material_expired"),
            Self::BucketOutsideOrganization => COMPLIANT
                .with(2, Outcome::Unknown, "bucket_region_unknown")
                .concludes(Verdict::Compliant, Delivery::Unknown, Posture::Active),
            Self::CustomKeyStore => COMPLIANT
                .with(2, Outcome::Unknown, "backing_key_unknown")
                .concludes(Verdict::Compliant, Delivery::Unknown, Posture::Active),
        }
    }
}

const fn finding(outcome: Outcome, reason: &'static str) -> Finding {
    Finding { outcome, reason }
}

const COMPLIANT: Statement = Statement {
    findings: [
        finding(Outcome::Pass, "log_key_set"),
        finding(Outcome::Pass, "customer_key"),
        finding(Outcome::Pass, "key_usable"),
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
        finding(Outcome::Pass, "logs_archived"),
    ],
    verdict: Verdict::NonCompliant,
    delivery: Delivery::NotApplicable,
    posture: Posture::PassiveDefault,
};

const NO_URI: Statement = Statement {
    findings: [
        finding(Outcome::NotApplicable, "no_log_uri"),
        finding(Outcome::NotApplicable, "no_log_key"),
        finding(Outcome::NotApplicable, "no_log_key"),
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
    fn with(mut self, rule: usize, outcome: Outcome, reason: &'static str) -> Self {
        self.findings[rule] = finding(outcome, reason);
        self
    }

    fn concludes(self, verdict: Verdict, delivery: Delivery, posture: Posture) -> Self {
        Self {
            verdict,
            delivery,
            posture,
            ..self
        }
    }
}
