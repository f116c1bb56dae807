//! AWS's default request rates as token buckets, one for each (account, Region, operation).
//!
//! Burst and refill are the published defaults: Organizations
//! (`orgs_reference_limits.html`), EMR (General Reference, `emr.html`), KMS (request quotas), STS
//! (`reference_iam-quotas.html`), S3 (`optimizing-performance.html`), CloudTrail
//! (`WhatIsCloudTrail-Limits.html`). Operations without a
//! published rate, such as account ListRegions, have no bucket.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Size of a bucket and how fast it fills, in calls and calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub burst: f64,
    pub refill_per_s: f64,
}

/// The default rate of an operation; `None` where AWS publishes none.
pub(super) fn rate_of(service: &str, operation: &str) -> Option<Rate> {
    let (burst, refill_per_s) = match (service, operation) {
        ("organizations", "ListAccounts") => (12.0, 8.0),
        ("organizations", "DescribeOrganization" | "DescribePolicy") => (
            2.0,
            if operation == "DescribePolicy" {
                2.0
            } else {
                1.0
            },
        ),
        (
            "organizations",
            "ListParents"
            | "ListAccountsForParent"
            | "ListOrganizationalUnitsForParent"
            | "ListPoliciesForTarget",
        ) => (8.0, 5.0),
        ("sts", _) => (600.0, 600.0),
        ("elasticmapreduce", "ListClusters") => (20.0, 0.5),
        ("elasticmapreduce", "DescribeCluster" | "ListBootstrapActions") => (10.0, 1.0),
        ("elasticmapreduce", "ListSteps" | "DescribeStep") => (10.0, 0.5),
        ("elasticmapreduce", "ListSecurityConfigurations" | "DescribeSecurityConfiguration") => {
            (5.0, 0.5)
        }
        ("cloudtrail", "LookupEvents") => (2.0, 2.0),
        ("cloudtrail", _) => (10.0, 10.0),
        ("kms", "DescribeKey" | "ListResourceTags") => (2000.0, 2000.0),
        ("kms", "GetKeyPolicy" | "GetKeyRotationStatus") => (1000.0, 1000.0),
        ("kms", "ListAliases") => (500.0, 500.0),
        ("kms", "ListGrants" | "ListKeyRotations") => (100.0, 100.0),
        ("s3", "PutObject" | "DeleteObject") => (3500.0, 3500.0),
        ("s3", _) => (5500.0, 5500.0),
        _ => return None,
    };
    Some(Rate {
        burst,
        refill_per_s,
    })
}

/// The operation whose bucket a call drains: STS calls of an account share one.
pub(super) fn shared_operation<'a>(service: &str, operation: &'a str) -> &'a str {
    if service == "sts" { "*" } else { operation }
}

struct Bucket {
    tokens: f64,
    at_ms: i64,
}

/// All buckets that were ever drawn from.
#[derive(Default)]
pub(super) struct TokenBuckets {
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl TokenBuckets {
    /// Takes one token at `now_ms`; `false` when the bucket is empty. A clock that goes backwards
    /// refills nothing.
    pub fn take(&self, key: &str, rate: Rate, now_ms: i64) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(key) {
            buckets.insert(
                key.to_owned(),
                Bucket {
                    tokens: rate.burst,
                    at_ms: now_ms,
                },
            );
        }
        let Some(bucket) = buckets.get_mut(key) else {
            return true;
        };
        let elapsed_s = now_ms.saturating_sub(bucket.at_ms).max(0) as f64 / 1000.0;
        bucket.tokens = (bucket.tokens + elapsed_s * rate.refill_per_s).min(rate.burst);
        bucket.at_ms = bucket.at_ms.max(now_ms);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_refill() {
        let buckets = TokenBuckets::default();
        let rate = rate_of("elasticmapreduce", "DescribeCluster").unwrap();
        let taken = (0..20).filter(|_| buckets.take("k", rate, 1_000)).count();
        assert_eq!(taken, 10);
        assert!(!buckets.take("k", rate, 1_900));
        assert!(buckets.take("k", rate, 2_000));
        assert!(!buckets.take("k", rate, 2_000));
        assert!(
            !buckets.take("k", rate, 0),
            "a clock that goes back refills nothing"
        );
        let taken = (0..20)
            .filter(|_| buckets.take("k", rate, 3_600_000))
            .count();
        assert_eq!(taken, 10, "never more than the burst");
    }

    #[test]
    fn accounts_do_not_share_buckets() {
        let buckets = TokenBuckets::default();
        let rate = Rate {
            burst: 1.0,
            refill_per_s: 0.5,
        };
        assert!(buckets.take("a", rate, 0) && buckets.take("b", rate, 0));
        assert!(!buckets.take("a", rate, 0));
    }
}
