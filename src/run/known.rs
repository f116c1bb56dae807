//! What earlier sealed runs know of an account-region: the watermark.
//!
//! The watermark of an account-region is the newest run of record of an earlier date, at most
//! [`HORIZON_DAYS`] old, that collected it. Its clusters are copied into a journal on disk, so that
//! memory holds file offsets only, however many clusters the organization has.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::Regions;
use crate::collect::facts::{Known, KnownAccountRegion, KnownError};
use crate::collect::scope::Scope;
use crate::model::datasets::{Coverage, EmrCluster, EmrStep, LaunchEvent};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::record::Journal;
use crate::time::{DAY_MS, Date, UtcMillis};

use super::RunError;
use super::evidence::Evidence;
use super::sealed::SealedRun;

/// AWS shows an ended cluster for two months
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-clusters.html>).
pub const HORIZON_DAYS: i64 = 62;

/// When and in which run an account-region was last collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub listed_at: UtcMillis,
    pub run_id: RunId,
}

type Marks = BTreeMap<AccountId, BTreeMap<Region, Mark>>;
type Cell = (AccountId, Region);

/// How far events were looked up, by account: a few entries for each.
type Observed = BTreeMap<AccountId, Vec<(Source, Region, UtcMillis)>>;

/// Launch events of the newest run that are this much older than its start are not read again.
const LAUNCHES_MS: i64 = 3 * DAY_MS;

/// What is asked while an account has its turn.
const OF_FIRST_PASS: [Source; 4] = [
    Source::Regions,
    Source::Clusters,
    Source::SecurityConfigurations,
    Source::Launches,
];
/// Accounts that took less are not worth a place before others.
const LONG_MS: i64 = 60_000;

/// Watermarks by account-region, with the clusters of each on disk.
pub struct Watermarks {
    journal: Journal,
    marks: Marks,
    /// By the newest run alone: a cell that it could not look at says how far earlier runs came.
    observed: Observed,
    /// Accounts that took a minute or longer in the newest run.
    long: BTreeMap<AccountId, i64>,
}

/// What this run is about to look at, so that watermarks are looked for where they are needed.
pub struct Wanted<'a> {
    pub date: Date,
    pub scope: &'a Scope,
    pub regions: &'a Regions,
}

impl Watermarks {
    /// Finds the watermarks. `runs` are runs of record, newest first.
    ///
    /// The newest run knows nearly all of them: a cell that it collected is its own watermark, and
    /// one that it could not collect names the run that last did. Only what it was not about, such
    /// as an account whose exclusion ended, is looked for in older runs.
    ///
    /// A run whose evidence is no longer what was sealed is passed over with a warning: `verify`
    /// reports it, and it is no reason to leave today without evidence.
    pub async fn load(
        evidence: &Evidence<'_>,
        runs: &[SealedRun],
        wanted: &Wanted<'_>,
        journal: Journal,
    ) -> Result<Self, RunError> {
        let horizon = wanted.date.plus_days(-HORIZON_DAYS);
        let runs: Vec<&SealedRun> = runs
            .iter()
            .filter(|r| r.seal.scheduled_for < wanted.date && r.seal.scheduled_for >= horizon)
            .collect();
        let mut marks = Marks::new();
        let mut observed = Observed::new();
        let mut long = BTreeMap::new();
        let mut missing: Option<BTreeSet<Cell>> = None;
        for run in &runs {
            if missing.as_ref().is_some_and(BTreeSet::is_empty) {
                break;
            }
            let Some((cells, of_events, took)) = readable(run, cells(evidence, run).await)? else {
                continue;
            };
            if missing.is_none() {
                long = took;
                let since = run.seal.started_at.plus_ms(-LAUNCHES_MS);
                let newer = |event: &LaunchEvent| {
                    event.0.event_at >= since && wanted.scope.account(&event.0.account_id).is_some()
                };
                let copied = evidence.copy(run, &journal, newer).await;
                if readable(run, copied)?.is_some() {
                    observed = of_events;
                }
            }
            match &mut missing {
                None => missing = Some(newest(&mut marks, wanted, horizon, cells)),
                Some(missing) => older(&mut marks, missing, cells),
            }
        }
        for run in &runs {
            let places = places_of(&marks, &run.seal.run_id);
            if places.is_empty() {
                continue;
            }
            let here = |c: &EmrCluster| places.contains(&(c.account_id.clone(), c.region.clone()));
            let steps = |s: &EmrStep| places.contains(&(s.account_id.clone(), s.region.clone()));
            let copied = async {
                evidence.copy(run, &journal, steps).await?;
                evidence.copy(run, &journal, here).await
            };
            if readable(run, copied.await)?.is_none() {
                for (account, region) in &places {
                    marks.get_mut(account).map(|regions| regions.remove(region));
                }
            }
        }
        Ok(Self {
            journal,
            marks,
            observed,
            long,
        })
    }

    /// The runs that are watermarks of some account-region.
    pub fn runs(&self) -> BTreeSet<RunId> {
        let marks = self.marks.values().flat_map(BTreeMap::values);
        marks.map(|mark| mark.run_id.clone()).collect()
    }

    /// The clusters that an account-region's watermark held.
    pub fn clusters(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Vec<EmrCluster>, RunError> {
        Ok(self
            .journal
            .read_group::<EmrCluster>(account.as_str(), region.as_str())?)
    }

    /// The watermark of an account-region.
    pub fn mark(&self, account: &AccountId, region: &Region) -> Option<&Mark> {
        self.marks.get(account)?.get(region)
    }
}

/// One clusters cell of an earlier run: its account-region, whether it may hold clusters that are
/// not known yet, and the watermark that it is or names.
struct Seen {
    cell: Cell,
    /// Left out then (state, exclusion), so that an older run may know more.
    left_out: bool,
    mark: Option<Mark>,
}

async fn cells(
    evidence: &Evidence<'_>,
    run: &SealedRun,
) -> Result<(Vec<Seen>, Observed, BTreeMap<AccountId, i64>), RunError> {
    let mut seen = Vec::new();
    let mut observed = Observed::new();
    let mut spans = Spans::default();
    for row in evidence.rows::<Coverage>(run).await? {
        let row = row?;
        spans.note(&row);
        if matches!(row.source, Source::Launches | Source::ControlEvents)
            && let Some(to) = row.observed_to_ms
        {
            let of = observed.entry(row.account_id.clone()).or_default();
            of.push((row.source, row.region.clone(), UtcMillis(to)));
        }
        if row.source != Source::Clusters {
            continue;
        }
        let mark = match row.outcome {
            CellOutcome::Collected | CellOutcome::Empty => Some(Mark {
                listed_at: row.started_at,
                run_id: run.seal.run_id.clone(),
            }),
            _ => row
                .watermark_run
                .zip(row.watermark_at)
                .map(|(run_id, listed_at)| Mark { listed_at, run_id }),
        };
        seen.push(Seen {
            left_out: matches!(
                row.outcome,
                CellOutcome::Excluded | CellOutcome::AccountState
            ),
            cell: (row.account_id, row.region),
            mark,
        });
    }
    Ok((seen, observed, spans.long()))
}

/// From when to when each account had its turn.
#[derive(Default)]
struct Spans(BTreeMap<AccountId, (i64, i64)>);

impl Spans {
    fn note(&mut self, cell: &Coverage) {
        if !OF_FIRST_PASS.contains(&cell.source) {
            return;
        }
        let (from, to) = (cell.started_at.0, cell.ended_at.0);
        let span = self.0.entry(cell.account_id.clone()).or_insert((from, to));
        *span = (span.0.min(from), span.1.max(to));
    }

    /// Milliseconds of the accounts that took long.
    fn long(self) -> BTreeMap<AccountId, i64> {
        let all = self.0.into_iter();
        all.map(|(account, (from, to))| (account, to - from))
            .filter(|(_, ms)| *ms >= LONG_MS)
            .collect()
    }
}

/// Takes the marks of the newest run and says which cells of the coming one it was not about.
fn newest(
    marks: &mut Marks,
    wanted: &Wanted<'_>,
    horizon: Date,
    cells: Vec<Seen>,
) -> BTreeSet<Cell> {
    let mut about: BTreeSet<AccountId> = BTreeSet::new();
    let mut known: BTreeSet<Cell> = BTreeSet::new();
    for Seen {
        cell,
        left_out,
        mark,
    } in cells
    {
        if !left_out {
            about.insert(cell.0.clone());
            known.insert(cell.clone());
        }
        // A run names watermarks that were fresh on its own day.
        let fresh = mark.filter(|m| m.listed_at >= horizon.start());
        if let Some(mark) = fresh.filter(|_| wanted.scope.account(&cell.0).is_some()) {
            marks.entry(cell.0).or_default().insert(cell.1, mark);
        }
    }
    let in_scope = wanted.scope.accounts.iter().filter(|a| a.in_scope);
    let mut missing = BTreeSet::new();
    for account in in_scope {
        let id = &account.account_id;
        match wanted.regions {
            Regions::List(regions) => missing.extend(
                regions
                    .iter()
                    .map(|r| (id.clone(), r.clone()))
                    .filter(|cell| !known.contains(cell)),
            ),
            // Which Regions it had is not known: `global` stands for all of them.
            Regions::Auto if !about.contains(id) => {
                missing.insert((id.clone(), Region::global()));
            }
            Regions::Auto => {}
        }
    }
    missing
}

/// Takes from an older run what is still missing.
fn older(marks: &mut Marks, missing: &mut BTreeSet<Cell>, cells: Vec<Seen>) {
    let mut answered = BTreeSet::new();
    for Seen {
        cell,
        left_out,
        mark,
    } in cells
    {
        let whole = (cell.0.clone(), Region::global());
        let asked = if missing.contains(&cell) {
            cell.clone()
        } else {
            whole
        };
        if left_out || !missing.contains(&asked) {
            continue;
        }
        answered.insert(asked);
        if let Some(mark) = mark {
            marks.entry(cell.0).or_default().insert(cell.1, mark);
        }
    }
    missing.retain(|cell| !answered.contains(cell));
}

fn places_of(marks: &Marks, run_id: &RunId) -> BTreeSet<Cell> {
    let all = marks.iter().flat_map(|(account, regions)| {
        regions
            .iter()
            .map(move |(region, mark)| (account, region, mark))
    });
    all.filter(|(_, _, mark)| mark.run_id == *run_id)
        .map(|(account, region, _)| (account.clone(), region.clone()))
        .collect()
}

/// `None`, with a warning, where the evidence of a run is missing or changed.
pub(super) fn readable<T>(
    run: &SealedRun,
    read: Result<T, RunError>,
) -> Result<Option<T>, RunError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ (RunError::Changed { .. } | RunError::Record(_))) => {
            warn(run, &error);
            Ok(None)
        }
        Err(RunError::Sealed(error)) if !error.is_outage() => {
            warn(run, &error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn warn(run: &SealedRun, error: &dyn std::fmt::Display) {
    tracing::warn!(
        "the evidence of run {} for {} cannot be used ({error}); going on without what it knows: \
         run keyproof verify",
        run.seal.run_id,
        run.seal.scheduled_for
    );
}

impl Known for Watermarks {
    fn account_region(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError> {
        let Some(mark) = self.mark(account, region) else {
            return Ok(None);
        };
        let clusters = self
            .journal
            .read_group::<EmrCluster>(account.as_str(), region.as_str())
            .map_err(|e| KnownError(Box::new(e)))?;
        let steps = self
            .journal
            .read_group::<EmrStep>(account.as_str(), region.as_str())
            .map_err(|e| KnownError(Box::new(e)))?;
        Ok(Some(KnownAccountRegion {
            listed_at: mark.listed_at,
            run_id: mark.run_id.clone(),
            clusters,
            steps,
        }))
    }

    fn regions_of(&self, account: &AccountId) -> Vec<Region> {
        self.marks
            .get(account)
            .map(|m| m.keys().cloned().collect())
            .unwrap_or_default()
    }

    fn observed_to(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Option<UtcMillis> {
        let mut of = self.observed.get(account)?.iter();
        let cell = of.find(|(by, at, _)| *by == source && at == region)?;
        Some(cell.2)
    }

    fn took_ms(&self, account: &AccountId) -> i64 {
        self.long.get(account).copied().unwrap_or_default()
    }

    fn launches(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<BTreeSet<String>, KnownError> {
        let rows = self
            .journal
            .read_group::<LaunchEvent>(account.as_str(), region.as_str())
            .map_err(|e| KnownError(Box::new(e)))?;
        Ok(rows.into_iter().map(|event| event.0.event_id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::api::CallerIdentity;
    use crate::model::datasets::Account;

    fn id(n: u64) -> AccountId {
        format!("{n:012}").parse().expect("account")
    }

    fn region(name: &str) -> Region {
        name.parse().expect("region")
    }

    fn scope(accounts: &[u64]) -> Scope {
        let date = "2026-11-24".parse().expect("date");
        let account = |n: &u64| Account {
            scheduled_for: date,
            account_id: id(*n),
            name: None,
            state: None,
            ou_path: None,
            management: false,
            in_scope: true,
            left_out_because: None,
            joined_at: None,
            owner: None,
            cost_center: None,
            business_unit: None,
        };
        Scope {
            organization_id: None,
            caller: CallerIdentity {
                account_id: id(1),
                arn: String::new(),
            },
            management_account: None,
            accounts: accounts.iter().map(account).collect(),
        }
    }

    fn mark(ms: i64) -> Option<Mark> {
        let run_id = "20261123T020003Z-7f3a0000".parse().expect("run id");
        Some(Mark {
            listed_at: UtcMillis(ms),
            run_id,
        })
    }

    fn seen(n: u64, place: &str, mark: Option<Mark>) -> Seen {
        Seen {
            cell: (id(n), region(place)),
            left_out: false,
            mark,
        }
    }

    const RECENT: i64 = 1_795_400_000_000;

    #[test]
    fn what_the_newest_run_was_not_about_is_looked_for_in_older_ones() {
        let scope = scope(&[1, 2, 3]);
        let date: Date = "2026-11-24".parse().expect("date");
        let wanted = Wanted {
            date,
            scope: &scope,
            regions: &Regions::Auto,
        };
        let mut marks = Marks::new();
        let excluded = Seen {
            left_out: true,
            ..seen(2, "global", None)
        };
        let cells = vec![seen(1, "eu-west-1", mark(RECENT)), excluded];
        let mut missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
        assert_eq!(missing.len(), 2, "{missing:?}");

        // The account was excluded then, too; the next older run knows two of its Regions.
        older(
            &mut marks,
            &mut missing,
            vec![Seen {
                left_out: true,
                ..seen(2, "global", None)
            }],
        );
        assert_eq!(missing.len(), 2);
        let known = vec![
            seen(2, "eu-west-1", mark(RECENT)),
            seen(2, "us-east-1", mark(RECENT)),
        ];
        older(&mut marks, &mut missing, known);
        assert_eq!(missing, BTreeSet::from([(id(3), Region::global())]));
        assert_eq!(marks[&id(2)].len(), 2);
    }

    #[test]
    fn a_widened_list_of_regions_finds_what_was_known_there() {
        let scope = scope(&[1]);
        let date: Date = "2026-11-24".parse().expect("date");
        let regions = Regions::List(vec![region("eu-west-1"), region("us-east-1")]);
        let wanted = Wanted {
            date,
            scope: &scope,
            regions: &regions,
        };
        let mut marks = Marks::new();
        let cells = vec![seen(1, "eu-west-1", mark(RECENT))];
        let mut missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
        assert_eq!(missing, BTreeSet::from([(id(1), region("us-east-1"))]));
        let older_cells = vec![
            seen(1, "us-east-1", mark(RECENT)),
            seen(1, "eu-west-1", mark(1)),
        ];
        older(&mut marks, &mut missing, older_cells);
        assert!(missing.is_empty());
        assert_eq!(
            marks[&id(1)][&region("eu-west-1")].listed_at.0,
            RECENT,
            "the newer one stays"
        );
    }

    #[test]
    fn a_watermark_that_aws_no_longer_reaches_is_forgotten() {
        let scope = scope(&[1]);
        let date: Date = "2026-11-24".parse().expect("date");
        let wanted = Wanted {
            date,
            scope: &scope,
            regions: &Regions::Auto,
        };
        let mut marks = Marks::new();
        let cells = vec![seen(1, "eu-west-1", mark(0))];
        let missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
        assert!(marks.is_empty() && missing.is_empty());
    }

    #[test]
    fn accounts_take_as_long_as_their_cells_of_the_first_pass_together() {
        let mut spans = Spans::default();
        let mut cell = |n: u64, source, from: i64, to: i64| {
            let mut cell = crate::testkit::coverage(id(n), region("eu-west-1"), source);
            (cell.started_at, cell.ended_at) = (UtcMillis(from), UtcMillis(to));
            spans.note(&cell);
        };
        cell(1, Source::Clusters, 5_000, 40_000);
        cell(1, Source::Launches, 1_000, 30_000);
        cell(1, Source::SecurityConfigurations, 39_000, 91_000);
        cell(2, Source::Clusters, 0, 59_999);
        cell(3, Source::Clusters, 0, 1_000);
        // Keys are looked up when all accounts had their turns.
        cell(3, Source::Keys, 900_000, 1_000_000);
        assert_eq!(spans.long(), BTreeMap::from([(id(1), 90_000)]));
    }
}
