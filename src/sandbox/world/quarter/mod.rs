//! What the measures of a quarter should be, from what the organization states of every instant at which
//! a run looked.
//!
//! Nothing here is fast, and nothing is shared with the auditor: times are cut at every instant at which
//! something happens, and each piece is asked for itself.
//!
//! - [`looks`]: what each run should have seen of clusters and launches.
//! - [`share`]: KPI 1. - [`remediation`]: KPI 2, and the intervals that it counts. - [`attempts`]: KPI 3.
//!   - [`reencryption`]: KPI 4.
//! - [`figures`]: the columns of a measure, scope by scope.
//!
//! Cells of coverage are not stated: how many questions a run asks is its own affair.

mod attempts;
mod figures;
mod looks;
mod reencryption;
mod remediation;
mod share;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::World;
use super::scenario::Verdict;

pub use figures::{Figures, Scope, Stated};
pub use remediation::{How, Interval};

/// One run of record as it took place. Everything that it saw, it saw at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Midnight UTC of the date that it speaks for.
    pub date_ms: i64,
    pub started_ms: i64,
    /// What other rules than today's made of clusters, where that differs: the run was judged by those,
    /// and the next one by today's.
    pub by_other_rules: BTreeMap<String, Verdict>,
}

/// The runs of record of an archive, as far as they matter to one quarter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Midnights UTC, half open.
    pub start_ms: i64,
    pub end_ms: i64,
    /// From the archive's first on, in the order of their dates.
    pub looks: Vec<Look>,
    /// The ExternalId that the runs send.
    pub external_id: Option<String>,
}

/// The measures of a quarter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarter {
    pub compliant_share: Figures,
    pub time_to_remediate: Figures,
    /// What `time_to_remediate` counts, in the order of account, Region, lineage and number.
    pub intervals: Vec<Interval>,
    pub launch_attempts: Figures,
    pub logs_reencrypted: Figures,
}

impl World {
    /// What the measures of a quarter should be, of runs with the settings that
    /// [`truth`](super::truth) assumes and with a source-reader role.
    pub fn quarter(&self, calendar: &Calendar) -> Quarter {
        let seen = looks::seen(self, calendar);
        let (intervals, time_to_remediate) = remediation::figures(calendar, &seen);
        Quarter {
            compliant_share: share::figures(calendar, &seen),
            time_to_remediate,
            intervals,
            launch_attempts: attempts::figures(self, calendar, &seen),
            logs_reencrypted: reencryption::figures(self, calendar, &seen),
        }
    }
}

impl Calendar {
    fn holds(&self, at_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&at_ms)
    }

    /// Runs whose dates lie in the quarter, as positions in `looks`.
    fn of_quarter(&self) -> Vec<usize> {
        let all = 0..self.looks.len();
        all.filter(|n| self.holds(self.looks[*n].date_ms)).collect()
    }

    /// The same in the order of their starts.
    fn of_quarter_by_start(&self) -> Vec<usize> {
        let mut runs = self.of_quarter();
        runs.sort_by_key(|n| self.looks[*n].started_ms);
        runs
    }

    /// Starts of all runs, in order.
    fn starts(&self) -> Vec<i64> {
        let mut starts: Vec<i64> = self.looks.iter().map(|look| look.started_ms).collect();
        starts.sort_unstable();
        starts
    }
}

/// Time from one cut to the next, for all cuts inside `from..to`.
fn pieces(from: i64, to: i64, mut cuts: Vec<i64>) -> Vec<(i64, i64)> {
    cuts.retain(|at| (from..to).contains(at));
    cuts.extend([from, to]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|w| (w[0], w[1])).collect()
}
