//! What earlier sealed runs know of an account-region: the watermark.
//!
//! The watermark of an account-region is the newest run of record of an earlier date, at most
//! [`HORIZON_DAYS`] old, that collected it. Its clusters are copied into a journal on disk, so that
//! memory holds file offsets only, however many clusters the organization has.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::Regions;
use crate::collect::facts::{Known, KnownAccountRegion, KnownError, Turn};
use crate::collect::scope::Scope;
use crate::model::datasets::{Coverage, EmrCluster, EmrStep, LaunchEvent, Trail};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::record::Journal;
use crate::seal::RunSeal;
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

/// Launch events of a run that are this much older than its start are not read again.
const LAUNCHES_MS: i64 = 3 * DAY_MS;
/// A day of what was looked up before is looked up again: runs that were at work so near to its end
/// recorded what happened in it.
const LOOKED_AGAIN_MS: i64 = DAY_MS;

/// Watermarks by account-region, with the clusters of each on disk.
pub struct Watermarks {
    journal: Journal,
    marks: Marks,
    /// By the newest run alone: a cell that it could not look at says how far earlier runs came. What those
    /// recorded there is in the journal.
    observed: Observed,
    /// By the newest run alone.
    turns: BTreeMap<AccountId, Turn>,
    /// Home Regions of accounts' own trails, by the newest run alone.
    trail_homes: BTreeMap<AccountId, BTreeSet<Region>>,
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
        let mut turns = BTreeMap::new();
        let mut trail_homes = BTreeMap::new();
        let mut missing: Option<BTreeSet<Cell>> = None;
        for run in &runs {
            if missing.as_ref().is_some_and(BTreeSet::is_empty) {
                break;
            }
            let Some((cells, of_events, of_accounts)) = readable(run, cells(evidence, run).await)?
            else {
                continue;
            };
            if missing.is_none() {
                turns = of_accounts;
                observed = of_events;
                let homes = readable(run, homes_of_trails(evidence, run).await)?;
                trail_homes = homes.unwrap_or_default();
            }
            match &mut missing {
                None => missing = Some(newest(&mut marks, wanted, horizon, cells)),
                Some(missing) => older(&mut marks, missing, cells),
            }
        }
        for run in &runs {
            let places = looked_again(&observed, &run.seal);
            if places.is_empty() {
                continue;
            }
            let since = run.seal.started_at.plus_ms(-LAUNCHES_MS);
            let newer = |event: &LaunchEvent| {
                let place = (event.0.account_id.clone(), event.0.region.clone());
                event.0.event_at >= since
                    && wanted.scope.account(&place.0).is_some()
                    && places.contains(&place)
            };
            let copied = evidence.copy(run, &journal, newer).await;
            if readable(run, copied)?.is_none() {
                // Then everything that AWS remembers is read.
                for (account, of) in &mut observed {
                    of.retain(|(source, region, _)| {
                        *source != Source::Launches
                            || !places.contains(&(account.clone(), region.clone()))
                    });
                }
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
            turns,
            trail_homes,
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
) -> Result<(Vec<Seen>, Observed, BTreeMap<AccountId, Turn>), RunError> {
    let mut seen = Vec::new();
    let mut observed = Observed::new();
    let mut turns: BTreeMap<AccountId, Turn> = BTreeMap::new();
    for row in evidence.rows::<Coverage>(run).await? {
        let row = row?;
        turns.entry(row.account_id.clone()).or_default().note(&row);
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
    Ok((seen, observed, turns))
}

async fn homes_of_trails(
    evidence: &Evidence<'_>,
    run: &SealedRun,
) -> Result<BTreeMap<AccountId, BTreeSet<Region>>, RunError> {
    let mut homes: BTreeMap<AccountId, BTreeSet<Region>> = BTreeMap::new();
    for trail in evidence.rows::<Trail>(run).await? {
        let trail = trail?;
        if trail.is_own() {
            homes
                .entry(trail.account_id)
                .or_default()
                .insert(trail.region);
        }
    }
    Ok(homes)
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

/// The places where events that a run recorded will be looked up again.
fn looked_again(observed: &Observed, run: &RunSeal) -> BTreeSet<Cell> {
    let from = run.started_at.plus_ms(-LOOKED_AGAIN_MS);
    let to = run.ended_at.plus_ms(LOOKED_AGAIN_MS);
    let places = observed.iter().flat_map(|(account, of)| {
        let near = of.iter().filter(|(source, _, until)| {
            *source == Source::Launches && (from..=to).contains(until)
        });
        near.map(|(_, region, _)| (account.clone(), region.clone()))
    });
    places.collect()
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

    fn trail_homes(&self, account: &AccountId) -> Vec<Region> {
        let homes = self.trail_homes.get(account).into_iter();
        homes.flatten().cloned().collect()
    }

    fn turn(&self, account: &AccountId) -> Turn {
        self.turns.get(account).copied().unwrap_or_default()
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
mod tests;
