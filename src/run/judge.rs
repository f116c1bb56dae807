//! Phase two: judges every cluster of a journal, one account-region at a time.
//!
//! A run and `keyproof assess --run-id` both come through here, so findings of a sealed run are
//! recomputed by the very code that made them.

use std::collections::BTreeMap;

use crate::assess::{self, AssessContext, RuleConfig, ScopeFacts, Waiver};
use crate::model::datasets::{Account, Channel, EmrCluster, Finding, Verdict};
use crate::record::Journal;
use crate::report::tally::Tally;
use crate::time::{Date, UtcMillis};

use super::RunError;
use super::facts::JournalLookups;

/// What judging needs beside facts.
pub struct Inputs<'a> {
    pub scheduled_for: Date,
    /// The run's start: what "now" means for expiry dates in facts.
    pub as_of: UtcMillis,
    /// Whether the accounts of the journal are all of an organization's.
    pub has_account_list: bool,
    pub rules: &'a RuleConfig,
    pub waivers: &'a [Waiver],
}

/// Judges the clusters of `facts` and appends channels, findings and verdicts to `conclusions`.
/// Memory holds the clusters of one account-region at a time.
pub fn judge(
    facts: &Journal,
    conclusions: &Journal,
    inputs: &Inputs<'_>,
) -> Result<Tally, RunError> {
    let mut accounts = BTreeMap::new();
    for row in facts.rows::<Account>() {
        let row = row?;
        accounts.insert(row.account_id.clone(), row);
    }
    let scope = ScopeFacts {
        accounts,
        has_account_list: inputs.has_account_list,
    };
    let context = AssessContext {
        scheduled_for: inputs.scheduled_for,
        as_of: inputs.as_of,
        scope: &scope,
        config: inputs.rules,
        waivers: inputs.waivers,
    };
    let lookups = JournalLookups::new(facts)?;
    let mut tally = Tally::default();
    for (account, region) in facts.groups::<EmrCluster>() {
        let mut channels: Vec<Channel> = Vec::new();
        let mut findings: Vec<Finding> = Vec::new();
        let mut verdicts: Vec<Verdict> = Vec::new();
        for cluster in facts.read_group::<EmrCluster>(&account, &region)? {
            let mut assessed = assess::assess_cluster(&cluster, &context, &lookups)?;
            tally.cluster(&assessed.verdict, &assessed.findings);
            channels.append(&mut assessed.channels);
            findings.append(&mut assessed.findings);
            verdicts.push(assessed.verdict);
        }
        conclusions.append(&mut channels)?;
        conclusions.append(&mut findings)?;
        conclusions.append(&mut verdicts)?;
    }
    Ok(tally)
}
