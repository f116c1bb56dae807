//! AWS's managed policy `SecurityAudit`, as far as it is about the services that the sandbox serves.
//!
//! <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/SecurityAudit.html>, version 45.
//! An audit misses in it: steps, sessions, which Regions an account turned on, and jobs of S3 Batch Operations.

const ALLOWED: [&str; 39] = [
    "account:GetAlternateContact",
    "account:GetPrimaryEmail",
    "account:GetRegionOptStatus",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetInsightSelectors",
    "cloudtrail:GetTrail",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:ListTags",
    "cloudtrail:ListTrails",
    "cloudtrail:LookupEvents",
    "elasticmapreduce:Describe*",
    "elasticmapreduce:GetAutoTerminationPolicy",
    "elasticmapreduce:GetBlockPublicAccessConfiguration",
    "elasticmapreduce:GetManagedScalingPolicy",
    "elasticmapreduce:ListClusters",
    "elasticmapreduce:ListInstances",
    "elasticmapreduce:ListSecurityConfigurations",
    "iam:Get*",
    "iam:List*",
    "kms:Describe*",
    "kms:Get*",
    "kms:List*",
    "logs:Describe*",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:ListTagsForResource",
    "logs:ListTagsLogGroup",
    "organizations:Describe*",
    "organizations:List*",
    "s3:GetBucket*",
    "s3:GetEncryptionConfiguration",
    "s3:GetInventoryConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetObjectAcl",
    "s3:GetObjectVersionAcl",
    "s3:GetReplicationConfiguration",
    "s3:ListAccessPoints",
    "s3:ListAllMyBuckets",
];

/// Whether the policy allows an action, e.g. `kms:DescribeKey`.
pub(super) fn allows(action: &str) -> bool {
    ALLOWED
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => action.starts_with(start),
            None => *pattern == action,
        })
}

#[cfg(test)]
mod tests {
    use super::super::organization::{LIST_JOBS, LIST_REGIONS, LOG_GROUPS, SESSIONS, STEPS};
    use super::*;

    #[test]
    fn steps_sessions_regions_and_jobs_are_what_it_lacks() {
        let lacks = [STEPS, SESSIONS, LIST_REGIONS, LIST_JOBS, "s3:DescribeJob"];
        assert!(!lacks.iter().any(|a| allows(a)));
        assert!(!allows("s3:GetObject") && !allows("kms:Decrypt"));
        for action in [
            LOG_GROUPS,
            "elasticmapreduce:DescribeCluster",
            "iam:GetAccountAuthorizationDetails",
            "kms:GetKeyPolicy",
            "s3:GetBucketPolicy",
        ] {
            assert!(allows(action), "{action}");
        }
    }
}
