//! What the shards of a run hand over, as `assess` takes it up.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::shards::{self, Receipt, ShardError, StoredReceipt};
use crate::collect::facts::Known;
use crate::collect::{FirstPassEnd, is_looked_into};
use crate::discover::emr_regions;
use crate::model::datasets::{
    Account, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, LaunchEvent,
    LogGroup, Trail,
};
use crate::model::ids::{AccountId, Region};
use crate::model::words::Source;
use crate::record::Journal;

use super::RunError;
use super::evidence::Evidence;
use super::frozen::Frozen;
use super::running::Running;

/// The receipt of a shard. One that cannot be read is as good as none: its accounts were not seen.
pub async fn receipt_of(
    running: &Running<'_>,
    shard: u32,
) -> Result<Option<StoredReceipt>, RunError> {
    let (run_id, date) = (running.run_id(), running.date());
    let found = shards::read_receipt(running.store.as_fetch(), run_id, date, shard).await;
    let of = running.frozen.shards;
    match found {
        Ok(Some(stored)) => return Ok(Some(stored)),
        Ok(None) => tracing::warn!("shard {shard}/{of} of run {run_id} has no receipt"),
        Err(error @ ShardError::Unreadable { .. }) => {
            tracing::warn!("shard {shard}/{of} of run {run_id} counts as missing: {error}");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Ends of the first pass by account.
pub type FirstPass = BTreeMap<AccountId, BTreeMap<(Source, Region), FirstPassEnd>>;

pub fn note_first_pass(cells: &mut FirstPass, cell: Coverage) {
    if matches!(cell.source, Source::Regions | Source::Clusters) {
        let of_account = cells.entry(cell.account_id).or_default();
        let end = FirstPassEnd {
            outcome: cell.outcome,
            items: cell.items_collected,
        };
        of_account.insert((cell.source, cell.region), end);
    }
}

/// The first of `accounts` of which nobody tells how looking into it ended.
pub fn first_unseen<'a>(
    frozen: &Frozen,
    known: &dyn Known,
    accounts: impl IntoIterator<Item = &'a Account>,
    cells: &FirstPass,
) -> Option<&'a Account> {
    let partition = frozen.scope.caller.arn.split(':').nth(1).unwrap_or("aws");
    let emr = emr_regions().into_iter().map(|r| r.region);
    let emr: Vec<Region> = emr.filter(|r| r.partition() == partition).collect();
    let none = BTreeMap::new();
    accounts.into_iter().find(|account| {
        let cells = cells.get(&account.account_id).unwrap_or(&none);
        let known = known.regions_of(&account.account_id);
        !is_looked_into(account, &frozen.regions, &emr, &known, cells)
    })
}

/// What the receipt of a shard names.
pub struct OfShard<'a> {
    pub running: &'a Running<'a>,
    pub evidence: &'a Evidence<'a>,
    pub receipt: &'a Receipt,
    /// Accounts of the shard.
    pub mine: Vec<&'a Account>,
}

impl OfShard<'_> {
    /// Whether it tells of each of its accounts how looking into it ended. One that does not is as good
    /// as none: what it left out was not seen.
    pub async fn is_whole(&self, known: &dyn Known) -> Result<bool, RunError> {
        let mut cells = FirstPass::new();
        let files = &self.receipt.files;
        for cell in self.evidence.rows_in::<Coverage>(files).await? {
            note_first_pass(&mut cells, cell?);
        }
        let frozen = &self.running.frozen;
        let unseen = first_unseen(frozen, known, self.mine.iter().copied(), &cells);
        if let Some(account) = unseen {
            tracing::warn!(
                "shard {}/{} of run {} counts as missing: it does not tell what it saw of account {}",
                self.receipt.shard,
                frozen.shards,
                self.running.run_id(),
                account.account_id
            );
        }
        Ok(unseen.is_none())
    }

    /// Reads its facts. Rows of accounts that are not its own make them unusable.
    pub async fn copy(&self, all: &Journal) -> Result<(), RunError> {
        let mine: BTreeSet<_> = self.mine.iter().map(|a| &a.account_id).collect();
        let foreign = std::sync::Mutex::new(None);
        macro_rules! copy {
            ($($row:ty),+) => { $(
                let is_mine = |row: &$row| {
                    let is_mine = mine.contains(&row.account_id);
                    if !is_mine && let Ok(mut foreign) = foreign.lock() {
                        *foreign = Some(row.account_id.clone());
                    }
                    is_mine
                };
                self.evidence.copy_in::<$row>(&self.receipt.files, all, is_mine).await?;
            )+ };
        }
        copy!(
            Coverage,
            EmrCluster,
            EmrStep,
            EmrSession,
            EmrSecurityConfiguration,
            LaunchEvent,
            LogGroup,
            Trail
        );
        match foreign.into_inner() {
            Ok(Some(account_id)) => Err(RunError::NotOfShard {
                run_id: self.running.run_id().clone(),
                shard: self.receipt.shard,
                account_id,
            }),
            _ => Ok(()),
        }
    }
}
