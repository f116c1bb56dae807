//! What is fixed when a run begins and must be the same for every process that works on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::archive::chain::Chain;
use crate::archive::shards::{ScopeFile, ScopedAccount};
use crate::archive::starts::Begun;
use crate::assess;
use crate::collect::Regions;
use crate::collect::api::CallerIdentity;
use crate::collect::engine::is_expected;
use crate::collect::scope::Scope;
use crate::config::{Config, ScopeMode};
use crate::model::canonical;
use crate::model::datasets::Account;
use crate::model::ids::{AccountId, RunId, Sha256Hex};
use crate::model::s3_location::S3Location;
use crate::record::{LineReader, canonical_line};
use crate::time::Date;

use super::RunError;
use super::beginning::{is_full_scope, rule_inputs};
use super::exceptions;

/// The scope of a run, and who looks into which account.
pub struct Frozen {
    pub scope: Scope,
    pub regions: Regions,
    pub full_scope: bool,
    pub shards: u32,
    /// Checks that an archive cannot do without and that failed when the run began.
    pub unprotected: Vec<String>,
    /// What a process of its own asked of STS and Organizations to prepare the run.
    pub own_operations: Option<String>,
    /// The last signed entry when the run began: no later run is known to it.
    pub head_seq: u64,
    head_sha256: Sha256Hex,
    config_sha256: Sha256Hex,
    rules_sha256: Sha256Hex,
}

impl Frozen {
    /// Freezes what was found. `chain` is as the run's start saw it.
    pub fn new(
        config: &Config,
        scope: Scope,
        unprotected: Vec<String>,
        chain: &Chain,
        date: Date,
        shards: u32,
    ) -> Self {
        Self {
            scope,
            unprotected,
            own_operations: None,
            regions: config.regions.clone(),
            full_scope: is_full_scope(config, chain),
            shards,
            head_seq: chain.head().seq,
            head_sha256: chain.head().sha256.clone(),
            config_sha256: config_digest(config, date),
            rules_sha256: assess::rules_digest(),
        }
    }

    /// The same with the accounts of a list that was read again. What was listed before stays as it was:
    /// it may have been looked into. None where the list is of another organization.
    pub fn listed_again(mut self, again: Scope) -> Option<Self> {
        let before = &mut self.scope;
        let of = |scope: &Scope| {
            (
                scope.organization_id.clone(),
                scope.management_account.clone(),
            )
        };
        if of(before) != of(&again) {
            return None;
        }
        let mut accounts: BTreeMap<AccountId, Account> = BTreeMap::new();
        for account in Arc::unwrap_or_clone(again.accounts) {
            accounts.insert(account.account_id.clone(), account);
        }
        for was in Arc::unwrap_or_clone(std::mem::take(&mut before.accounts)) {
            let now = accounts.remove(&was.account_id);
            let (owner, cost_center, business_unit) = now
                .map(|now| (now.owner, now.cost_center, now.business_unit))
                .unwrap_or_default();
            let account = Account {
                owner,
                cost_center,
                business_unit,
                ..was
            };
            accounts.insert(account.account_id.clone(), account);
        }
        before.accounts = Arc::new(accounts.into_values().collect());
        Some(self)
    }

    /// The accounts of a shard, by position in the scope. Accounts are dealt out in the order of their
    /// ids: 1 to N, then 1 again.
    pub fn positions(&self, shard: u32) -> BTreeSet<u32> {
        let of_shards = self.shards_of_accounts();
        let mine = (0..).zip(of_shards).filter(|(_, of)| *of == Some(shard));
        mine.map(|(position, _)| position).collect()
    }

    /// The accounts at these positions.
    pub fn accounts(&self, positions: &BTreeSet<u32>) -> Vec<&Account> {
        let at = |at: &u32| self.scope.accounts.get(*at as usize);
        positions.iter().filter_map(at).collect()
    }

    fn shards_of_accounts(&self) -> impl Iterator<Item = Option<u32>> {
        let mut dealt = 0;
        let shards = self.shards;
        self.scope.accounts.iter().map(move |account| {
            is_expected(account).then(|| {
                dealt += 1;
                (dealt - 1) % shards + 1
            })
        })
    }

    /// The scope file of a run that has begun.
    pub fn to_file(&self, begun: &Begun) -> Result<ScopeFile, RunError> {
        let mut accounts = Vec::new();
        for (account, shard) in self.scope.accounts.iter().zip(self.shards_of_accounts()) {
            let mut line = Vec::new();
            canonical_line(account, &mut line);
            let row = serde_json::from_slice(&line);
            let row: Value = row.map_err(|e| RunError::Internal(e.to_string()))?;
            accounts.push(ScopedAccount { row, shard });
        }
        Ok(ScopeFile {
            accounts,
            caller_account: self.scope.caller.account_id.clone(),
            caller_arn: self.scope.caller.arn.clone(),
            config_sha256: self.config_sha256.clone(),
            full_scope: self.full_scope,
            head_seq: self.head_seq,
            head_sha256: self.head_sha256.clone(),
            management_account: self.scope.management_account.clone(),
            organization_id: self.scope.organization_id.clone(),
            own_operations: self.own_operations.clone(),
            regions: regions_json(&self.regions),
            rules_sha256: self.rules_sha256.clone(),
            run_id: begun.start.run_id.clone(),
            shards: self.shards,
            start_sha256: begun.file.sha256.clone(),
            unprotected: self.unprotected.clone(),
            version: ScopeFile::VERSION.to_owned(),
        })
    }

    /// Reads a scope file back. `name` is for messages.
    pub fn of_file(file: ScopeFile, name: &str) -> Result<Self, RunError> {
        let unreadable = |detail: String| RunError::Local {
            path: name.to_owned(),
            detail,
        };
        let reader = LineReader::<Account>::new();
        let mut accounts = Vec::new();
        let mut of_shards = Vec::new();
        for scoped in &file.accounts {
            let line = format!("{}\n", canonical::to_string(&scoped.row));
            accounts.push(reader.read(line.as_bytes()).map_err(unreadable)?);
            of_shards.push(scoped.shard);
        }
        if !accounts.is_sorted_by(|a, b| a.account_id < b.account_id) {
            return Err(unreadable("its accounts are not in order".to_owned()));
        }
        let frozen = Self {
            scope: Scope {
                organization_id: file.organization_id,
                caller: CallerIdentity {
                    account_id: file.caller_account,
                    arn: file.caller_arn,
                },
                management_account: file.management_account,
                accounts: Arc::new(accounts),
            },
            regions: regions_of(&file.regions)
                .ok_or_else(|| unreadable("its Regions cannot be read".to_owned()))?,
            full_scope: file.full_scope,
            shards: file.shards,
            unprotected: file.unprotected,
            own_operations: file.own_operations,
            head_seq: file.head_seq,
            head_sha256: file.head_sha256,
            config_sha256: file.config_sha256,
            rules_sha256: file.rules_sha256,
        };
        if !frozen.shards_of_accounts().eq(of_shards) {
            let detail = "its accounts are dealt out in another way".to_owned();
            return Err(unreadable(detail));
        }
        Ok(frozen)
    }

    /// Refuses to work on the run with another configuration than it began with.
    pub fn check_config(
        &self,
        config: &Config,
        run_id: &RunId,
        date: Date,
    ) -> Result<(), RunError> {
        self.check_rules(run_id)?;
        if config_digest(config, date) == self.config_sha256 {
            return Ok(());
        }
        Err(RunError::OtherThanBegun {
            run_id: run_id.clone(),
            was: "a configuration of its own (Regions, roles, tags, exceptions, rules)",
        })
    }

    /// Refuses to judge the run by other rules than it began with.
    pub fn check_rules(&self, run_id: &RunId) -> Result<(), RunError> {
        if self.rules_sha256 == assess::rules_digest() {
            return Ok(());
        }
        Err(RunError::OtherThanBegun {
            run_id: run_id.clone(),
            was: "the rules of another version",
        })
    }
}

/// Digest of everything in the configuration that decides what is collected and concluded.
fn config_digest(config: &Config, date: Date) -> Sha256Hex {
    let mut exceptions_lines = Vec::new();
    for row in exceptions::rows(&config.exceptions, date, &Default::default()) {
        canonical_line(&row, &mut exceptions_lines);
    }
    let tags = &config.tags;
    let collecting = json!({
        "compare_snapshots": config.compare_snapshots,
        "control_events": config.control_events,
        "describe_max_age_s": config.describe_max_age.as_secs(),
        "exceptions_sha256": Sha256Hex::of(&exceptions_lines),
        "launch_days": config.launch_days,
        "list_objects": config.listing.map(|bound| bound.versions),
        "list_pages": config.listing.map(|bound| bound.pages),
        "regions": regions_json(&config.regions),
        "role_name": config.role_name,
        "rules": rule_inputs(config),
        "sample_objects": config.sample_objects,
        "sampler_role_name": config.sampler_role_name,
        "source_reader_role_name": config.source_reader_role_name,
        "metadata_exports": config
            .metadata_exports
            .iter()
            .map(S3Location::to_string)
            .collect::<Vec<_>>(),
        "single_account": config.scope == ScopeMode::SingleAccount,
        "tags": [
            tags.owner,
            tags.cost_center,
            tags.business_unit,
            tags.data_classification,
            tags.lineage,
        ],
    });
    Sha256Hex::of(canonical::to_string(&collecting).as_bytes())
}

fn regions_json(regions: &Regions) -> Value {
    match regions {
        Regions::Auto => json!("auto"),
        Regions::List(list) => list.iter().map(|r| r.as_str()).collect(),
    }
}

fn regions_of(value: &Value) -> Option<Regions> {
    if value.as_str() == Some("auto") {
        return Some(Regions::Auto);
    }
    let list = value.as_array()?.iter();
    let list: Option<Vec<_>> = list.map(|r| r.as_str()?.parse().ok()).collect();
    list.map(Regions::List)
}
