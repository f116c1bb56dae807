//! How a cell ended, as a row.

use crate::collect::attempt::{Budget, CallError};
use crate::collect::exceptions::{ExceptionRule, accepted_by};
use crate::collect::footprint;
use crate::model::datasets::{Account, Coverage};
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Source};
use crate::time::UtcMillis;

/// Items that a cell had to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Items {
    pub expected: i64,
    pub collected: i64,
    /// Not readable for a reason of their own: their policy, or an owner outside the scope.
    pub locked: i64,
    pub failed: i64,
}

/// What AWS said when it refused or failed, as far as it is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    pub code: Option<String>,
    pub denied_action: Option<String>,
    pub request_id: Option<String>,
}

impl Fault {
    /// The evidence in an error.
    pub fn of(error: &CallError) -> Self {
        let Some(api) = error.api() else {
            return Self {
                code: matches!(error, CallError::Paginator { .. }).then(|| "Paginator".to_owned()),
                ..Self::default()
            };
        };
        Self {
            code: Some(api.code.clone()),
            denied_action: api
                .class
                .is_denied()
                .then(|| api.operation.iam_action().map(str::to_owned))
                .flatten(),
            request_id: api.request_id.clone(),
        }
    }
}

/// The end of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellEnd {
    pub outcome: CellOutcome,
    pub items: Option<Items>,
    pub fault: Fault,
}

impl CellEnd {
    /// An end without a refusal.
    pub fn plain(outcome: CellOutcome) -> Self {
        Self {
            outcome,
            items: None,
            fault: Fault::default(),
        }
    }

    /// Read: `collected`, or `empty` when nothing was there.
    pub fn read(count: usize) -> Self {
        Self::plain(if count == 0 {
            CellOutcome::Empty
        } else {
            CellOutcome::Collected
        })
    }

    /// How a cell ended, from its row.
    pub fn of(cell: &Coverage) -> Self {
        Self {
            outcome: cell.outcome,
            items: None,
            fault: Fault {
                code: cell.error_code.clone(),
                denied_action: cell.denied_action.clone(),
                request_id: cell.request_id.clone(),
            },
        }
    }

    /// The cell ends with this error.
    pub fn error(error: &CallError) -> Self {
        Self {
            outcome: error.outcome(),
            items: None,
            fault: Fault::of(error),
        }
    }
}

/// Counts the items of a cell that looks things up.
#[derive(Debug, Default)]
pub struct ItemTally {
    items: Items,
    last: Option<(CellOutcome, Fault)>,
}

impl ItemTally {
    pub fn collected(&mut self) {
        self.items.expected += 1;
        self.items.collected += 1;
    }

    /// Not readable for a reason of its own.
    pub fn locked(&mut self, fault: Fault) {
        self.items.expected += 1;
        self.items.locked += 1;
        self.last = Some((CellOutcome::Partial, fault));
    }

    pub fn failed(&mut self, outcome: CellOutcome, fault: Fault) {
        self.items.expected += 1;
        self.items.failed += 1;
        self.last = Some((outcome, fault));
    }

    /// Whether nothing was looked up, so that the cell does not exist.
    pub fn is_empty(&self) -> bool {
        self.items.expected == 0
    }

    /// How the cell ended: `collected` when all items were read, the last failure's outcome when
    /// none was answered, else `partial`.
    pub fn end(self) -> CellEnd {
        let Items {
            expected,
            collected,
            failed,
            ..
        } = self.items;
        let (outcome, fault) = match self.last {
            _ if collected == expected => (CellOutcome::Collected, Fault::default()),
            Some((outcome, fault)) if failed == expected => (outcome, fault),
            Some((_, fault)) => (CellOutcome::Partial, fault),
            None => (CellOutcome::Partial, Fault::default()),
        };
        CellEnd {
            outcome,
            items: Some(self.items),
            fault,
        }
    }
}

/// The row of a cell, with the exception that accepts its end.
pub fn row(
    rules: &[ExceptionRule],
    account: &Account,
    region: &Region,
    source: Source,
    end: CellEnd,
    budget: &Budget,
    now: UtcMillis,
) -> Coverage {
    let tally = budget.tally();
    let items = |of: fn(&Items) -> i64| end.items.as_ref().map(of);
    let mut row = Coverage {
        scheduled_for: account.scheduled_for,
        account_id: account.account_id.clone(),
        region: region.clone(),
        source,
        outcome: end.outcome,
        accepted_by: None,
        items_expected: items(|i| i.expected),
        items_collected: items(|i| i.collected),
        items_locked: items(|i| i.locked),
        items_failed: items(|i| i.failed),
        error_code: end.fault.code,
        denied_action: end.fault.denied_action,
        watermark_run: None,
        watermark_at: None,
        observed_from_ms: None,
        observed_to_ms: None,
        calls: tally.calls,
        retries: tally.retries,
        throttles: tally.throttles,
        operations: footprint::text(&budget.costs()),
        request_id: end.fault.request_id,
        started_at: budget.started_at,
        ended_at: now,
    };
    row.accepted_by = match row.outcome {
        CellOutcome::Excluded => account.left_out_because.clone(),
        _ if row.is_answered() => None,
        _ => accepted_by(rules, account, &row).map(|r| r.id.clone()),
    };
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_items_leave_the_cell_answered_and_failed_ones_do_not() {
        let mut tally = ItemTally::default();
        tally.collected();
        tally.locked(Fault::default());
        let end = tally.end();
        assert_eq!(end.outcome, CellOutcome::Partial);
        assert_eq!(
            end.items.map(|i| (i.expected, i.locked, i.failed)),
            Some((2, 1, 0))
        );

        let mut tally = ItemTally::default();
        tally.locked(Fault::default());
        tally.failed(CellOutcome::TimedOut, Fault::default());
        assert_eq!(tally.end().outcome, CellOutcome::Partial);
    }

    #[test]
    fn a_cell_of_which_nothing_was_answered_ends_as_its_items_did() {
        let mut tally = ItemTally::default();
        tally.failed(CellOutcome::DeniedIam, Fault::default());
        tally.failed(CellOutcome::DeniedIam, Fault::default());
        assert_eq!(tally.end().outcome, CellOutcome::DeniedIam);
    }

    #[test]
    fn a_cell_of_locked_items_alone_is_partial() {
        let mut tally = ItemTally::default();
        tally.locked(Fault::default());
        assert_eq!(tally.end().outcome, CellOutcome::Partial);
    }
}
