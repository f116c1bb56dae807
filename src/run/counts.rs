//! What a run's coverage amounts to.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::footprint;
use crate::collect::operation::Caller;
use crate::collect::scope::{Scope, left_out};
use crate::model::datasets::Coverage;
use crate::model::ids::AccountId;
use crate::model::words::{CellOutcome, Source};
use crate::report::run_summary::{Accounts, Busiest, NotObserved};

/// Sums over the coverage of one run.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub in_scope: i64,
    /// Accounts of the scope whose cells all ended in an answer or in an accepted gap.
    pub answered: i64,
    pub cells: i64,
    /// Cells that ended neither in an answer nor in an accepted gap.
    pub cells_open: i64,
    pub accounts: Accounts,
    /// Hours of which nobody knows what was launched.
    pub not_observed: NotObserved,
    /// The bucket of an audited account of whose grant most was used.
    pub busiest: Option<Busiest>,
    /// How many accounts or cells each exception covered.
    pub used: BTreeMap<String, i64>,
    open: BTreeMap<AccountId, CellOutcome>,
    /// Accounts with cells that ended in no answer and are accepted.
    accepted: BTreeSet<AccountId>,
}

impl Counts {
    /// Counts every account of the scope and every cell of its coverage.
    pub fn of<E>(
        scope: &Scope,
        coverage: impl Iterator<Item = Result<Coverage, E>>,
    ) -> Result<Self, E> {
        let mut counts = Self::default();
        for row in coverage {
            counts.cell(&row?);
        }
        let mut answered: BTreeSet<&AccountId> = BTreeSet::new();
        for account in &scope.accounts {
            counts.accounts.listed += 1;
            match account.left_out_because.as_deref() {
                None => {
                    counts.in_scope += 1;
                    let id = &account.account_id;
                    if counts.open.contains_key(id) {
                        continue;
                    }
                    if counts.accepted.contains(id) {
                        counts.accounts.accepted += 1;
                    }
                    answered.insert(id);
                }
                Some(left_out::STATE) => counts.accounts.unavailable += 1,
                Some(left_out::NOT_SELECTED) => counts.accounts.not_selected += 1,
                Some(exception) => {
                    counts.accounts.excluded += 1;
                    *counts.used.entry(exception.to_owned()).or_default() += 1;
                }
            }
        }
        counts.answered = answered.len() as i64;
        counts.accounts.collected = counts.answered - counts.accounts.accepted;
        counts.accounts.not_seen = counts
            .open
            .iter()
            .map(|(account, outcome)| (account.clone(), *outcome))
            .collect();
        Ok(counts)
    }

    fn cell(&mut self, cell: &Coverage) {
        self.cells += 1;
        for cost in footprint::read(cell.operations.as_deref().unwrap_or_default()) {
            let most = self.busiest.as_ref().map_or(0, |busiest| busiest.percent);
            if cost.operation.caller() != Caller::Collector && cost.percent > most {
                self.busiest = Some(Busiest {
                    account_id: cell.account_id.clone(),
                    region: cell.region.clone(),
                    operation: format!("{:?}", cost.operation),
                    percent: cost.percent,
                });
            }
        }
        if cell.source == Source::Launches && !cell.outcome.is_answer() {
            let to = cell.observed_to_ms.unwrap_or(cell.started_at.0);
            self.not_observed.ms += (cell.started_at.0 - to).max(0);
            if let Some(action) = &cell.denied_action {
                self.not_observed.denied_action = Some(action.clone());
            }
        }
        if let Some(exception) = &cell.accepted_by {
            self.accounts.accepted_cells += 1;
            self.accepted.insert(cell.account_id.clone());
            *self.used.entry(exception.clone()).or_default() += 1;
        } else if !cell.is_answered() {
            self.cells_open += 1;
            self.open
                .entry(cell.account_id.clone())
                .or_insert(cell.outcome);
        }
    }
}
