//! What earlier sealed runs know of an account-region: the watermark.
//!
//! The watermark of an account-region is the newest run of record of an earlier date, at most
//! [`HORIZON_DAYS`] old, that collected it. Its clusters are copied into a journal on disk, so that
//! memory holds file offsets only, however many clusters the organization has.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::facts::{Known, KnownAccountRegion, KnownError};
use crate::model::datasets::{Coverage, EmrCluster};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::record::Journal;
use crate::time::{Date, UtcMillis};

use super::RunError;
use super::evidence::Evidence;
use super::sealed::SealedRun;

/// AWS shows an ended cluster for two months
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-clusters.html>).
pub const HORIZON_DAYS: i64 = 62;

/// Watermarks by account-region, with the clusters of each on disk.
pub struct Watermarks {
    journal: Journal,
    marks: BTreeMap<AccountId, BTreeMap<Region, (UtcMillis, RunId)>>,
}

impl Watermarks {
    /// Reads back from the newest run until every cell that it left open has found its watermark.
    /// `runs` are runs of record, newest first.
    pub async fn load(
        evidence: &Evidence<'_>,
        runs: &[SealedRun],
        date: Date,
        journal: Journal,
    ) -> Result<Self, RunError> {
        let mut marks: BTreeMap<AccountId, BTreeMap<Region, (UtcMillis, RunId)>> = BTreeMap::new();
        let mut open: Option<BTreeSet<(AccountId, Region)>> = None;
        let horizon = date.plus_days(-HORIZON_DAYS);
        for run in runs
            .iter()
            .filter(|r| r.seal.scheduled_for < date && r.seal.scheduled_for >= horizon)
        {
            if open.as_ref().is_some_and(BTreeSet::is_empty) {
                break;
            }
            let mut taken: BTreeSet<(AccountId, Region)> = BTreeSet::new();
            let mut left = open.clone().unwrap_or_default();
            let first = open.is_none();
            for row in evidence.rows::<Coverage>(run).await? {
                let row = row?;
                if row.source != Source::Clusters {
                    continue;
                }
                let cell = (row.account_id, row.region);
                let collected = matches!(row.outcome, CellOutcome::Collected | CellOutcome::Empty);
                if collected && (first || left.contains(&cell)) {
                    left.remove(&cell);
                    marks
                        .entry(cell.0.clone())
                        .or_default()
                        .insert(cell.1.clone(), (row.started_at, run.seal.run_id.clone()));
                    taken.insert(cell);
                } else if !collected && first {
                    left.insert(cell);
                }
            }
            open = Some(left);
            let wanted = |c: &EmrCluster| taken.contains(&(c.account_id.clone(), c.region.clone()));
            evidence.copy(run, &journal, wanted).await?;
        }
        Ok(Self { journal, marks })
    }
}

impl Known for Watermarks {
    fn account_region(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError> {
        let Some((listed_at, run_id)) = self.marks.get(account).and_then(|m| m.get(region)) else {
            return Ok(None);
        };
        let clusters = self
            .journal
            .read_group::<EmrCluster>(account.as_str(), region.as_str())
            .map_err(|e| KnownError(Box::new(e)))?;
        Ok(Some(KnownAccountRegion {
            listed_at: *listed_at,
            run_id: run_id.clone(),
            clusters,
        }))
    }

    fn regions_of(&self, account: &AccountId) -> Vec<Region> {
        self.marks
            .get(account)
            .map(|m| m.keys().cloned().collect())
            .unwrap_or_default()
    }
}
