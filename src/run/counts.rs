//! What a run's coverage amounts to, and whether what it did not see is what the run before did not see.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::footprint;
use crate::collect::operation::Caller;
use crate::collect::scope::{Scope, left_out};
use crate::model::datasets::Coverage;
use crate::model::ids::{AccountId, Region};
use crate::model::table::Dataset as _;
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
    /// Every Region in which clusters were asked for, and whether it is on in any account.
    pub regions_on: BTreeMap<Region, bool>,
    /// How many accounts or cells each exception covered.
    pub used: BTreeMap<String, i64>,
    open: BTreeMap<AccountId, CellOutcome>,
    /// Accounts whose launches the run was to look up: those that it could not ask for anything, and those
    /// of which it knows a Region.
    dark: BTreeSet<AccountId>,
    with_launches: BTreeSet<AccountId>,
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
        counts.not_observed.accounts = counts.never_asked();
        let mut answered: BTreeSet<&AccountId> = BTreeSet::new();
        for account in scope.accounts.iter() {
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

    /// Accounts of which no hour of launches is known, observed or not.
    fn never_asked(&self) -> i64 {
        self.dark.difference(&self.with_launches).count() as i64
    }

    fn cell(&mut self, cell: &Coverage) {
        self.cells += 1;
        if cell.source == Source::Clusters {
            let on = self.regions_on.entry(cell.region.clone()).or_default();
            *on |= cell.outcome != CellOutcome::RegionOff;
        }
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
        if cell.source == Source::Trails && !cell.outcome.is_answer() {
            self.dark.insert(cell.account_id.clone());
        }
        if cell.source == Source::Launches {
            self.with_launches.insert(cell.account_id.clone());
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

/// Whether other cells are unseen in one run than in another, by their names: account, Region, source. Both
/// come in primary-key order, and neither is held in memory.
pub fn unseen_differ<E>(
    before: impl Iterator<Item = Result<Coverage, E>>,
    now: impl Iterator<Item = Result<Coverage, E>>,
) -> Result<bool, E> {
    let mut before = before.filter(is_unseen);
    let mut now = now.filter(is_unseen);
    loop {
        match (before.next().transpose()?, now.next().transpose()?) {
            (None, None) => return Ok(false),
            (Some(b), Some(n)) if b.key_order(&n).is_eq() => {}
            _ => return Ok(true),
        }
    }
}

/// An error is passed on to whoever takes the row.
fn is_unseen<E>(cell: &Result<Coverage, E>) -> bool {
    cell.as_ref().map_or(true, |cell| !cell.is_answered())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Region;
    use crate::testkit::coverage;

    fn cell(account: &str, source: Source, outcome: CellOutcome) -> Coverage {
        let account = account.parse().expect("account");
        let region = "eu-west-1".parse().expect("region");
        Coverage {
            outcome,
            ..coverage(account, region, source)
        }
    }

    const A: &str = "111122223333";
    const B: &str = "222233334444";

    fn differ(before: &[Coverage], now: &[Coverage]) -> bool {
        assert!(before.is_sorted_by(|a, b| a.key_order(b).is_lt()));
        assert!(now.is_sorted_by(|a, b| a.key_order(b).is_lt()));
        let (before, now) = (before.iter().cloned(), now.iter().cloned());
        unseen_differ(before.map(Ok::<_, ()>), now.map(Ok)).expect("no errors")
    }

    #[test]
    fn unseen_cells_are_compared_by_their_names() {
        use CellOutcome::{Collected, DeniedIam, DeniedTrust, Empty, TimedOut};
        use Source::{Clusters, Steps};
        let seen = cell(A, Clusters, Collected);
        let denied = cell(B, Clusters, DeniedTrust);
        assert!(!differ(&[], &[]));
        assert!(!differ(&[], std::slice::from_ref(&seen)));
        // Everybody knows of the account that nobody may enter, however it ended today.
        let timed_out = cell(B, Clusters, TimedOut);
        assert!(!differ(&[seen.clone(), denied.clone()], &[timed_out]));
        // One more, one less, one for another.
        let steps = cell(B, Steps, DeniedIam);
        let both = [denied.clone(), steps.clone()];
        let alone = std::slice::from_ref(&denied);
        assert!(differ(alone, &both));
        assert!(differ(&both, alone));
        assert!(differ(alone, &[steps]));
        assert!(differ(alone, &[seen, cell(B, Clusters, Empty)]));
        // What an exception accepts is no longer unseen.
        let mut accepted = denied.clone();
        accepted.accepted_by = Some("gap-1".to_owned());
        assert!(differ(&[denied], std::slice::from_ref(&accepted)));
        assert!(!differ(&[], &[accepted]));
    }

    #[test]
    fn a_region_is_on_where_any_account_has_it_on() {
        let mut counts = Counts::default();
        let region = "eu-west-1".parse().expect("region");
        counts.cell(&cell(A, Source::Steps, CellOutcome::Collected));
        assert!(counts.regions_on.is_empty());
        counts.cell(&cell(A, Source::Clusters, CellOutcome::RegionOff));
        assert_eq!(counts.regions_on.get(&region), Some(&false));
        counts.cell(&cell(B, Source::Clusters, CellOutcome::DeniedIam));
        counts.cell(&cell(A, Source::Clusters, CellOutcome::RegionOff));
        assert_eq!(counts.regions_on.get(&region), Some(&true));
    }

    #[test]
    fn an_account_that_nobody_entered_is_not_observed() {
        use CellOutcome::{Collected, DeniedIam, DeniedTrust, Excluded};
        let global = |account, source, outcome| Coverage {
            region: Region::global(),
            ..cell(account, source, outcome)
        };
        let unseen = |cells: Vec<Coverage>| {
            let mut counts = Counts::default();
            cells.iter().for_each(|cell| counts.cell(cell));
            counts.never_asked()
        };
        let dark = global(A, Source::Trails, DeniedTrust);
        assert_eq!(unseen(vec![dark.clone()]), 1);
        // Its Regions are known, so that their hours are; or the run looked, and no trail was told of.
        let known = cell(A, Source::Launches, DeniedTrust);
        assert_eq!(unseen(vec![dark, known]), 0);
        let looked = cell(B, Source::Launches, Collected);
        assert_eq!(
            unseen(vec![global(B, Source::Trails, DeniedIam), looked]),
            0
        );
        assert_eq!(unseen(vec![global(B, Source::Trails, Excluded)]), 0);
    }

    #[test]
    fn an_error_in_a_stream_is_returned() {
        let unseen = cell(A, Source::Clusters, CellOutcome::DeniedScp);
        let torn = || [Ok(unseen.clone()), Err("torn")].into_iter();
        assert_eq!(unseen_differ(torn(), torn()), Err("torn"));
        assert_eq!(
            unseen_differ([].into_iter(), [Err("torn")].into_iter()),
            Err("torn")
        );
    }
}
