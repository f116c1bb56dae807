//! Every AWS operation the program makes in audited accounts and for discovery: its IAM action and
//! the rate AWS grants. The reader role's template and the rate budgets are both checked against
//! this list.

use std::collections::HashMap;
use std::sync::LazyLock;

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
    ListSteps,
    ListSessions,
    DescribeLogGroups,
    ListSecurityConfigurations,
    DescribeSecurityConfiguration,
    ListBuckets,
    GetBucketLocation,
    GetBucketEncryption,
    GetBucketVersioning,
    GetBucketPolicy,
    GetBucketOwnershipControls,
    GetObjectLockConfiguration,
    GetPublicAccessBlock,
    GetBucketLifecycleConfiguration,
    GetBucketReplication,
    ListBucketInventoryConfigurations,
    GetBucketMetadataConfiguration,
    ListObjectsV2,
    HeadObject,
    /// Of log folders that no report tells of.
    ListObjectVersions,
    /// ListObjectsV2 where reports about objects lie.
    ListSourceObjects,
    /// GetObject of such a report.
    GetSourceObject,
    ListJobs,
    DescribeJob,
    DescribeKey,
    GetKeyPolicy,
    GetKeyRotationStatus,
    ListResourceTags,
    ListGrants,
    ListAliases,
    ListKeys,
    GetAccountAuthorizationDetails,
    LookupEvents,
    DescribeTrails,
    GetTrailStatus,
    GetEventSelectors,
    /// The keys that sign digest files of trails.
    ListPublicKeys,
}

/// Whose permission an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The collector's own role.
    Collector,
    /// `keyproof-reader` in the audited account.
    Reader,
    /// `keyproof-sampler`, opt-in, on log buckets.
    Sampler,
    /// `keyproof-source-reader`, opt-in, where reports about objects and files of trails lie.
    SourceReader,
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
        Self::ListSteps,
        Self::ListSessions,
        Self::DescribeLogGroups,
        Self::ListSecurityConfigurations,
        Self::DescribeSecurityConfiguration,
        Self::ListBuckets,
        Self::GetBucketLocation,
        Self::GetBucketEncryption,
        Self::GetBucketVersioning,
        Self::GetBucketPolicy,
        Self::GetBucketOwnershipControls,
        Self::GetObjectLockConfiguration,
        Self::GetPublicAccessBlock,
        Self::GetBucketLifecycleConfiguration,
        Self::GetBucketReplication,
        Self::ListBucketInventoryConfigurations,
        Self::GetBucketMetadataConfiguration,
        Self::ListObjectsV2,
        Self::HeadObject,
        Self::ListObjectVersions,
        Self::ListSourceObjects,
        Self::GetSourceObject,
        Self::ListJobs,
        Self::DescribeJob,
        Self::DescribeKey,
        Self::GetKeyPolicy,
        Self::GetKeyRotationStatus,
        Self::ListResourceTags,
        Self::ListGrants,
        Self::ListAliases,
        Self::ListKeys,
        Self::GetAccountAuthorizationDetails,
        Self::LookupEvents,
        Self::DescribeTrails,
        Self::GetTrailStatus,
        Self::GetEventSelectors,
        Self::ListPublicKeys,
    ];

    /// The operation of a name, as `Debug` writes it.
    pub fn named(name: &str) -> Option<Self> {
        static NAMES: LazyLock<HashMap<String, Operation>> = LazyLock::new(|| {
            let all = Operation::ALL.iter();
            all.map(|operation| (format!("{operation:?}"), *operation))
                .collect()
        });
        NAMES.get(name).copied()
    }

    /// AWS's name: what reads reports and trails has names of its own here, for its role and its rate.
    pub fn aws_name(self) -> String {
        match self {
            Self::ListSourceObjects => "ListObjectsV2".to_owned(),
            Self::GetSourceObject => "GetObject".to_owned(),
            other => format!("{other:?}"),
        }
    }

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
            Self::ListSteps => "elasticmapreduce:ListSteps",
            Self::ListSessions => "elasticmapreduce:ListSessions",
            Self::DescribeLogGroups => "logs:DescribeLogGroups",
            Self::ListSecurityConfigurations => "elasticmapreduce:ListSecurityConfigurations",
            Self::DescribeSecurityConfiguration => "elasticmapreduce:DescribeSecurityConfiguration",
            Self::ListBuckets => "s3:ListAllMyBuckets",
            Self::GetBucketLocation => "s3:GetBucketLocation",
            Self::GetBucketEncryption => "s3:GetEncryptionConfiguration",
            Self::GetBucketVersioning => "s3:GetBucketVersioning",
            Self::GetBucketPolicy => "s3:GetBucketPolicy",
            Self::GetBucketOwnershipControls => "s3:GetBucketOwnershipControls",
            Self::GetObjectLockConfiguration => "s3:GetBucketObjectLockConfiguration",
            Self::GetPublicAccessBlock => "s3:GetBucketPublicAccessBlock",
            Self::GetBucketLifecycleConfiguration => "s3:GetLifecycleConfiguration",
            Self::GetBucketReplication => "s3:GetReplicationConfiguration",
            Self::ListBucketInventoryConfigurations => "s3:GetInventoryConfiguration",
            Self::GetBucketMetadataConfiguration => "s3:GetBucketMetadataTableConfiguration",
            Self::ListObjectsV2 | Self::ListSourceObjects => "s3:ListBucket",
            Self::ListObjectVersions => "s3:ListBucketVersions",
            Self::HeadObject | Self::GetSourceObject => "s3:GetObject",
            Self::ListJobs => "s3:ListJobs",
            Self::DescribeJob => "s3:DescribeJob",
            Self::DescribeKey => "kms:DescribeKey",
            Self::GetKeyPolicy => "kms:GetKeyPolicy",
            Self::GetKeyRotationStatus => "kms:GetKeyRotationStatus",
            Self::ListResourceTags => "kms:ListResourceTags",
            Self::ListGrants => "kms:ListGrants",
            Self::ListAliases => "kms:ListAliases",
            Self::ListKeys => "kms:ListKeys",
            Self::GetAccountAuthorizationDetails => "iam:GetAccountAuthorizationDetails",
            Self::LookupEvents => "cloudtrail:LookupEvents",
            Self::DescribeTrails => "cloudtrail:DescribeTrails",
            Self::GetTrailStatus => "cloudtrail:GetTrailStatus",
            Self::GetEventSelectors => "cloudtrail:GetEventSelectors",
            Self::ListPublicKeys => "cloudtrail:ListPublicKeys",
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
            Self::ListObjectsV2 | Self::HeadObject | Self::ListObjectVersions => Caller::Sampler,
            Self::ListSourceObjects | Self::GetSourceObject | Self::ListPublicKeys => {
                Caller::SourceReader
            }
            _ => Caller::Reader,
        }
    }

    /// AWS's default rate as (burst, refill per second) per account and Region, where documented:
    /// <https://docs.aws.amazon.com/general/latest/gr/emr.html>,
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>,
    /// <https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>,
    /// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html>,
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>.
    /// ListRegions, ListSessions, DescribeLogGroups, jobs and the S3 control reads have no documented figure; a
    /// cautious one stands here.
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
            Self::ListSteps => (10.0, 0.5),
            Self::ListSecurityConfigurations | Self::DescribeSecurityConfiguration => (5.0, 0.5),
            Self::DescribeKey | Self::ListResourceTags => (2000.0, 2000.0),
            Self::GetKeyPolicy | Self::GetKeyRotationStatus => (1000.0, 1000.0),
            Self::ListAliases | Self::ListKeys => (500.0, 500.0),
            Self::ListGrants => (100.0, 100.0),
            Self::ListRegions | Self::DescribeLogGroups | Self::GetAccountAuthorizationDetails => {
                (10.0, 5.0)
            }
            Self::ListSessions => (10.0, 0.5),
            Self::LookupEvents => (2.0, 2.0),
            Self::DescribeTrails
            | Self::GetTrailStatus
            | Self::GetEventSelectors
            | Self::ListPublicKeys => (10.0, 10.0),
            Self::ListBuckets
            | Self::GetBucketLocation
            | Self::GetBucketEncryption
            | Self::GetBucketVersioning
            | Self::GetBucketPolicy
            | Self::GetBucketOwnershipControls
            | Self::GetObjectLockConfiguration
            | Self::GetPublicAccessBlock
            | Self::GetBucketLifecycleConfiguration
            | Self::GetBucketReplication
            | Self::ListBucketInventoryConfigurations
            | Self::GetBucketMetadataConfiguration
            | Self::ListObjectsV2
            | Self::HeadObject
            | Self::ListObjectVersions => (100.0, 100.0),
            // Of a prefix; the files of a trail are many.
            Self::ListSourceObjects | Self::GetSourceObject => (5500.0, 5500.0),
            Self::ListJobs | Self::DescribeJob => (10.0, 5.0),
        }
    }
}
