//! What judging needs beside the cluster's own row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::access::Answers;
use crate::model::datasets::{
    Account, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsGrant, KmsKey,
    LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal,
};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::Source;
use crate::time::{Date, UtcMillis};

/// The configuration that rules read. Sealed in full with every run, so that its findings can be
/// computed again.
///
/// What an older start does not name has its default: for a setting that older rules did not read,
/// that is what a run without the setting would have had.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// Accounts outside the organization whose customer keys are accepted as log keys.
    pub allowed_key_owners: BTreeSet<AccountId>,
    /// `EncryptionMode`s of a security configuration that the organization approves. Without any,
    /// nothing is asked of security configurations.
    pub approved_s3_modes: BTreeSet<String>,
    /// ARNs of keys (or aliases, as configurations name them) that the KMS modes may use; without
    /// any, every key.
    pub approved_s3_keys: BTreeSet<String>,
    /// Tags that a log key must have.
    pub key_tags: KeyTags,
    /// ARNs of the policies that are there to block launches.
    pub guardrails: BTreeSet<String>,
}

impl Default for RuleConfig {
    fn default() -> Self {
        Self {
            allowed_key_owners: BTreeSet::new(),
            approved_s3_modes: ["SSE-KMS", "CSE-KMS"].map(str::to_owned).into(),
            approved_s3_keys: BTreeSet::new(),
            key_tags: KeyTags::default(),
            guardrails: BTreeSet::new(),
        }
    }
}

/// Which tags have a configured name; facts hold values of those alone. The names themselves change
/// no conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyTags {
    pub owner: bool,
    pub cost_center: bool,
    pub data_classification: bool,
}

/// The accounts that the run knows of.
#[derive(Debug, Clone, Default)]
pub struct ScopeFacts {
    /// Every listed account, whatever its state and in scope or not: a suspended account's key is
    /// still the organization's.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Whether `accounts` is the whole organization (or the list given instead). Without one,
    /// nobody can tell whether another account belongs to it.
    pub has_account_list: bool,
}

/// A decision to accept findings. An empty list does not limit; lists that are given all match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Id of the exception.
    pub id: String,
    /// Rule ids.
    pub rules: Vec<String>,
    /// ARNs: of the finding's subject or of its cluster.
    pub resources: Vec<String>,
    /// Accounts of the cluster.
    pub accounts: Vec<AccountId>,
    /// OU or root ids, matched anywhere in the path of the cluster's account.
    pub ous: Vec<String>,
    /// Regions of the cluster.
    pub regions: Vec<Region>,
    /// Last date on which it holds.
    pub expires: Date,
}

/// What is the same for every cluster of a run.
#[derive(Debug, Clone, Copy)]
pub struct AssessContext<'a> {
    /// Date the run speaks for; waivers expire against it.
    pub scheduled_for: Date,
    /// When the run started: the "now" of imported key material.
    pub as_of: UtcMillis,
    pub scope: &'a ScopeFacts,
    pub config: &'a RuleConfig,
    pub waivers: &'a [Waiver],
}

/// A looked-up fact is there but could not be read.
#[derive(Debug, thiserror::Error)]
#[error("facts of this run could not be read: {0}")]
pub struct LookupError(pub String);

/// The facts that clusters refer to. `Ok(None)` means that the run holds no such row.
pub trait Lookups {
    /// The row of a qualified key or alias reference.
    fn key(&self, reference: &str) -> Result<Option<Arc<KmsKey>>, LookupError>;
    /// The row of a bucket.
    fn bucket(&self, name: &str) -> Result<Option<Arc<LogBucket>>, LookupError>;
    /// The row of a security configuration.
    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<EmrSecurityConfiguration>>, LookupError>;
    /// The rows of a cluster's steps, in the order of their ids.
    fn steps(&self, cluster: &EmrCluster) -> Result<Vec<EmrStep>, LookupError>;
    /// The rows of a cluster's sessions, in the order of their ids.
    fn sessions(&self, cluster: &EmrCluster) -> Result<Vec<EmrSession>, LookupError>;
    /// The row of a log group in the account and Region of a cluster.
    fn log_group(&self, cluster: &EmrCluster, name: &str) -> Result<Option<LogGroup>, LookupError>;
    /// The grants of a key.
    fn grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, LookupError>;
    /// The roles and users of an account.
    fn principals(&self, account: &AccountId) -> Result<Vec<Principal>, LookupError>;
    /// What was worked out about keys so far; it must see no other facts than these.
    fn answers(&self) -> &Answers;
    /// Time since some moment that stays the same, to tell what working out answers costs; no
    /// conclusion depends on it.
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    /// How a cell ended: why something is not among the facts.
    fn cell(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Result<Option<Arc<Coverage>>, LookupError>;
    /// The rows of a cluster's sampled log objects, in their order; none where it was not sampled.
    fn object_samples(&self, cluster: &EmrCluster) -> Result<Vec<LogObjectSample>, LookupError>;
    /// What lies below a prefix of a bucket, in the order of the rows; none where nobody counted.
    fn object_summaries(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<Arc<LogObjectSummary>>, LookupError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_an_older_start_can_be_read() {
        let old = r#"{"allowed_key_owners":["999988887777"]}"#;
        let read: RuleConfig = serde_json::from_str(old).expect("older start");
        let expected = RuleConfig {
            allowed_key_owners: ["999988887777".parse().expect("account")].into(),
            ..RuleConfig::default()
        };
        assert_eq!(read, expected);
        assert!(read.approved_s3_modes.contains("SSE-KMS"));
    }

    #[test]
    fn what_is_sealed_is_all_of_it() {
        let config = RuleConfig {
            allowed_key_owners: ["999988887777".parse().expect("account")].into(),
            approved_s3_modes: ["CSE-Custom".to_owned()].into(),
            approved_s3_keys: ["arn:aws:kms:eu-west-1:111122223333:key/k".to_owned()].into(),
            key_tags: KeyTags {
                owner: true,
                cost_center: false,
                data_classification: true,
            },
            guardrails: ["arn:aws:iam::111122223333:policy/no-emr".to_owned()].into(),
        };
        let sealed = serde_json::to_string(&config).expect("json");
        assert_eq!(
            serde_json::from_str::<RuleConfig>(&sealed).expect("json"),
            config
        );
    }
}
