//! Every AWS operation the program makes in audited accounts and for discovery: its IAM action and
//! the rate AWS grants. The reader role's template and the rate budgets are both checked against
//! this list.

/// One AWS operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    GetCallerIdentity,
    AssumeRole,
    DescribeOrganization,
    ListAccounts,
    ListRoots,
    ListOrganizationalUnitsForParent,
    ListAccountsForParent,
    ListTagsForResource,
    ListRegions,
    ListClusters,
    DescribeCluster,
    ListSecurityConfigurations,
    DescribeSecurityConfiguration,
    ListBuckets,
    GetBucketLocation,
    GetBucketEncryption,
    GetBucketVersioning,
    DescribeKey,
    GetKeyPolicy,
    GetKeyRotationStatus,
    ListResourceTags,
}

/// Whose permission an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The collector's own role.
    Collector,
    /// `keyproof-reader` in the audited account.
    Reader,
}

impl Operation {
    /// Every operation.
    pub const ALL: &'static [Self] = &[
        Self::GetCallerIdentity,
        Self::AssumeRole,
        Self::DescribeOrganization,
        Self::ListAccounts,
        Self::ListRoots,
        Self::ListOrganizationalUnitsForParent,
        Self::ListAccountsForParent,
        Self::ListTagsForResource,
        Self::ListRegions,
        Self::ListClusters,
        Self::DescribeCluster,
        Self::ListSecurityConfigurations,
        Self::DescribeSecurityConfiguration,
        Self::ListBuckets,
        Self::GetBucketLocation,
        Self::GetBucketEncryption,
        Self::GetBucketVersioning,
        Self::DescribeKey,
        Self::GetKeyPolicy,
        Self::GetKeyRotationStatus,
        Self::ListResourceTags,
    ];

    /// The IAM action; `None` where AWS asks for none (GetCallerIdentity).
    /// S3's action names differ from its operations
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/>).
    pub fn iam_action(self) -> Option<&'static str> {
        Some(match self {
            Self::GetCallerIdentity => return None,
            Self::AssumeRole => "sts:AssumeRole",
            Self::DescribeOrganization => "organizations:DescribeOrganization",
            Self::ListAccounts => "organizations:ListAccounts",
            Self::ListRoots => "organizations:ListRoots",
            Self::ListOrganizationalUnitsForParent => {
                "organizations:ListOrganizationalUnitsForParent"
            }
            Self::ListAccountsForParent => "organizations:ListAccountsForParent",
            Self::ListTagsForResource => "organizations:ListTagsForResource",
            Self::ListRegions => "account:ListRegions",
            Self::ListClusters => "elasticmapreduce:ListClusters",
            Self::DescribeCluster => "elasticmapreduce:DescribeCluster",
            Self::ListSecurityConfigurations => "elasticmapreduce:ListSecurityConfigurations",
            Self::DescribeSecurityConfiguration => "elasticmapreduce:DescribeSecurityConfiguration",
            Self::ListBuckets => "s3:ListAllMyBuckets",
            Self::GetBucketLocation => "s3:GetBucketLocation",
            Self::GetBucketEncryption => "s3:GetEncryptionConfiguration",
            Self::GetBucketVersioning => "s3:GetBucketVersioning",
            Self::DescribeKey => "kms:DescribeKey",
            Self::GetKeyPolicy => "kms:GetKeyPolicy",
            Self::GetKeyRotationStatus => "kms:GetKeyRotationStatus",
            Self::ListResourceTags => "kms:ListResourceTags",
        })
    }

    /// Who makes the call.
    pub fn caller(self) -> Caller {
        match self {
            Self::GetCallerIdentity
            | Self::AssumeRole
            | Self::DescribeOrganization
            | Self::ListAccounts
            | Self::ListRoots
            | Self::ListOrganizationalUnitsForParent
            | Self::ListAccountsForParent
            | Self::ListTagsForResource => Caller::Collector,
            _ => Caller::Reader,
        }
    }

    /// AWS's default rate as (burst, refill per second) per account and Region, where documented:
    /// <https://docs.aws.amazon.com/general/latest/gr/emr.html>,
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>,
    /// <https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
    /// ListRegions and the S3 control reads have no documented figure; a cautious one stands here.
    pub fn granted_rate(self) -> (f64, f64) {
        match self {
            Self::ListAccounts => (12.0, 8.0),
            Self::DescribeOrganization => (2.0, 1.0),
            Self::ListRoots
            | Self::ListOrganizationalUnitsForParent
            | Self::ListAccountsForParent
            | Self::ListTagsForResource => (8.0, 5.0),
            Self::AssumeRole | Self::GetCallerIdentity => (600.0, 600.0),
            Self::ListClusters => (20.0, 0.5),
            Self::DescribeCluster => (10.0, 1.0),
            Self::ListSecurityConfigurations | Self::DescribeSecurityConfiguration => (5.0, 0.5),
            Self::DescribeKey | Self::ListResourceTags => (2000.0, 2000.0),
            Self::GetKeyPolicy | Self::GetKeyRotationStatus => (1000.0, 1000.0),
            Self::ListRegions => (10.0, 5.0),
            Self::ListBuckets
            | Self::GetBucketLocation
            | Self::GetBucketEncryption
            | Self::GetBucketVersioning => (100.0, 100.0),
        }
    }
}
