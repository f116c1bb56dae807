//! What judging needs beside the cluster's own row.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::datasets::{Account, EmrSecurityConfiguration, KmsKey, LogBucket};
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

/// The configuration that rules read. Sealed in full with every run, so that its findings can be
/// computed again.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// Accounts outside the organization whose customer keys are accepted as log keys.
    pub allowed_key_owners: BTreeSet<AccountId>,
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
    fn key(&self, reference: &str) -> Result<Option<KmsKey>, LookupError>;
    /// The row of a bucket.
    fn bucket(&self, name: &str) -> Result<Option<LogBucket>, LookupError>;
    /// The row of a security configuration.
    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<EmrSecurityConfiguration>, LookupError>;
}
