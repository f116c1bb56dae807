//! What must hold of a run whatever befell it: nothing is lost in silence, nothing is made up, nothing
//! that could not be read passes.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{Look, Remembered, Stage};
use super::plan::Schedule;
use crate::model::datasets::{Coverage, EmrCluster, is_active_state};
use crate::model::ids::{AccountId, Region};
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Lookup, Seen, Settings, Source};
use crate::sandbox::EXTERNAL_ID;
use crate::sandbox::world::truth::ClusterTruth;

type Place = (String, String);

/// What a schedule came to.
pub(super) struct Shown {
    /// What did not hold; empty when all did.
    pub problems: Vec<String>,
    pub bad: Look,
    /// Whether some cell of the run has no answer.
    pub is_partial: bool,
}

/// Runs a schedule, then a day without faults, and compares both with the organization.
pub(super) fn show(stage: &Stage, plan: &Schedule) -> Shown {
    let day = u32::from(plan.is_second_day);
    let world = stage.world();
    let at = match plan.is_moving {
        true => moment(stage, plan),
        false => crate::time::UtcMillis(world.audit_ms(day)),
    };
    let before = match plan.is_second_day {
        true => Remembered::default().after(&stage.calm(0, plan)),
        false => Remembered::default(),
    };
    let bad = stage.look(plan, at, before.clone());
    let mut check = Check {
        stage,
        plan,
        before: &before,
        look: &bad,
        problems: Vec::new(),
    };
    check.ends();
    check.cells();
    check.population();
    check.ledger();
    let calm = (!plan.is_moving).then(|| stage.calm(day, plan));
    if let Some(calm) = &calm {
        check.facts(calm);
        check.answered_cells(calm);
        check.conclusions(calm);
    }
    let mut problems = check.problems;

    let next = match plan.is_moving {
        true => at.plus_ms(86_400_000),
        false => crate::time::UtcMillis(world.audit_ms(day + 1)),
    };
    let known = before.after(&bad);
    let good = stage.look(&plan.calm(), next, known.clone());
    let mut check = Check {
        stage,
        plan,
        before: &known,
        look: &good,
        problems: Vec::new(),
    };
    check.ends();
    check.cells();
    check.ledger();
    check.holes_are_filled(&bad);
    if !plan.is_moving && day + 1 < 2 {
        check.like_after_good_days(&stage.calm(day + 1, plan));
    }
    problems.extend(check.problems.into_iter().map(|p| format!("next run: {p}")));
    Shown {
        is_partial: bad.collected.cells_open > 0,
        problems,
        bad,
    }
}

/// Just before some cluster starts or ends, in the first two days.
fn moment(stage: &Stage, plan: &Schedule) -> crate::time::UtcMillis {
    let world = stage.world();
    let span = world.audit_ms(0)..world.audit_ms(2);
    let clusters = world.account_regions().iter().flat_map(|h| h.clusters());
    let mut events: Vec<i64> = clusters
        .flat_map(|c| [Some(c.created_ms), Some(c.ready_ms), c.ended_ms])
        .flatten()
        .filter(|at| span.contains(at))
        .collect();
    events.sort_unstable();
    let chosen = (plan.moment * events.len() as f64) as usize;
    let event = events.get(chosen).copied().unwrap_or(span.start);
    crate::time::UtcMillis(event - (plan.moment * 1e6) as i64 % 40_000)
}

/// A run while it is compared with what it should have seen.
pub(super) struct Check<'a> {
    stage: &'a Stage,
    plan: &'a Schedule,
    pub before: &'a Remembered,
    pub look: &'a Look,
    pub problems: Vec<String>,
}

impl Check<'_> {
    pub fn say(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The run ends in its time, and what it says it asked is what was asked.
    fn ends(&mut self) {
        let look = self.look;
        if look.ended > look.deadline {
            self.say(format!("ended {} ms late", look.ended.0 - look.deadline.0));
        }
        let counted: i64 = look.facts.coverage.iter().map(|c| c.calls).sum();
        if counted.unsigned_abs() != look.seen {
            self.say(format!("{counted} calls counted, {} seen", look.seen));
        }
        if look.collected.cells as usize != look.facts.coverage.len() {
            self.say("cells were counted otherwise");
        }
    }

    /// Every cell that is expected ended, once.
    fn cells(&mut self) {
        let look = self.look;
        for pair in look.facts.coverage.windows(2) {
            if !pair[0].key_order(&pair[1]).is_lt() {
                self.say(format!("two ends: {}", name(&pair[0])));
            }
        }
        for account in &self.stage.world().accounts {
            let id = account.id.as_str();
            let list = look.cell(id, "global", Source::Regions);
            let owners = look.cell(id, "global", Source::BucketOwners);
            if owners.is_none() || (list.is_none() && !self.plan.lists_regions) {
                self.say(format!("account {id} lacks cells"));
            }
            let known = self.before.0.keys().filter(|(a, _)| a.as_str() == id);
            let known = known.map(|(_, region)| region.as_str());
            let told = list.is_some_and(|l| l.outcome == CellOutcome::Collected);
            let mut regions: BTreeSet<&str> = known.collect();
            if told || self.plan.lists_regions {
                regions.extend(self.stage.world().regions.iter());
            }
            for region in regions {
                let Some(clusters) = look.cell(id, region, Source::Clusters) else {
                    self.say(format!("no clusters cell of {id} {region}"));
                    continue;
                };
                let is_dark = !account.state.is_usable()
                    || clusters.calls == 0
                    || clusters.outcome == CellOutcome::RegionOff;
                let configurations = look.cell(id, region, Source::SecurityConfigurations);
                if !is_dark && configurations.is_none() {
                    self.say(format!("no security configurations cell of {id} {region}"));
                }
            }
        }
    }

    fn is_collected(&self, account: &str, region: &str) -> bool {
        let clusters = self.look.cell(account, region, Source::Clusters);
        clusters.is_some_and(|c| matches!(c.outcome, CellOutcome::Collected | CellOutcome::Empty))
    }

    /// What the run should hold of each account-region, by cluster id, for the instant at which it began
    /// and, of a moving organization, for that at which it ended.
    fn truth(&self) -> BTreeMap<Place, [BTreeMap<String, ClusterTruth>; 2]> {
        let world = self.stage.world();
        let ended = match self.plan.is_moving {
            true => self.look.ended,
            false => self.look.began,
        };
        let mut all: BTreeMap<Place, [BTreeMap<String, ClusterTruth>; 2]> = BTreeMap::new();
        let since_of = |account: &str, region: &str| {
            let mut marks = self.before.0.iter();
            let mark = marks.find(|((a, r), _)| a.as_str() == account && r.as_str() == region);
            mark.map(|(_, known)| match self.plan.is_moving {
                true => known.listed_at.0,
                // The organization stood still while it was looked at.
                false => world.audit_ms((known.listed_at.0 >= world.audit_ms(1)).into()),
            })
        };
        let mut sinces: BTreeSet<Option<i64>> = BTreeSet::from([None]);
        for (account, region) in self.before.0.keys() {
            sinces.insert(since_of(account.as_str(), region.as_str()));
        }
        for since in sinces {
            for (which, now) in [self.look.began, ended].into_iter().enumerate() {
                for told in world.truth_for(now.0, since, Some(EXTERNAL_ID)).clusters {
                    if since_of(&told.account_id, told.region) == since {
                        let place = (told.account_id.clone(), told.region.to_owned());
                        let here = all.entry(place).or_default();
                        here[which].insert(told.cluster_id.clone(), told);
                    }
                }
            }
        }
        all
    }

    /// Every cluster has a row, or its cell says that it was not answered; and no row is of a cluster
    /// that is not there.
    fn population(&mut self) {
        let truth = self.truth();
        let look = self.look;
        let mut rows: BTreeMap<Place, BTreeMap<&str, &EmrCluster>> = BTreeMap::new();
        for row in &look.facts.clusters {
            let place = (row.account_id.to_string(), row.region.to_string());
            let twice = rows.entry(place).or_default().insert(&row.cluster_id, row);
            if twice.is_some() {
                self.say(format!("two rows of {}", row.cluster_id));
            }
        }
        let none = BTreeMap::new();
        for ((account, region), [first, last]) in &truth {
            let here = rows
                .get(&(account.clone(), region.clone()))
                .unwrap_or(&none);
            let cell = look.cell(account, region, Source::Clusters);
            let list = look.cell(account, "global", Source::Regions);
            let excused = match cell {
                Some(cell) => !matches!(cell.outcome, CellOutcome::Collected | CellOutcome::Empty),
                None => list.is_some_and(|l| !l.outcome.is_answer()),
            };
            let before = self.before.0.iter();
            let mut before =
                before.filter(|((a, r), _)| (a.as_str(), r.as_str()) == (account, region));
            let before = before.next().map_or(&[][..], |(_, known)| &known.clusters);
            for (id, told) in first {
                let stays = last.contains_key(id);
                // One that ended while the earlier run began to list has its last row there.
                let mut ended = before.iter().filter(|row| !row.is_active());
                let ended = ended.any(|row| row.cluster_id == *id);
                if stays && !excused && !ended && !here.contains_key(id.as_str()) {
                    self.say(format!("LOST {account} {region} {id} ({})", told.state));
                }
            }
        }
        for ((account, region), known) in &self.before.0 {
            let place = (account.to_string(), region.to_string());
            let here = rows.get(&place).unwrap_or(&none);
            for row in known.clusters.iter().filter(|row| row.is_active()) {
                if !here.contains_key(row.cluster_id.as_str()) {
                    self.say(format!("LOST {} which was alive", row.cluster_id));
                }
            }
        }
        for row in &look.facts.clusters {
            self.is_true(row);
        }
    }

    /// A row tells of a cluster that is there, in a state that it was in.
    fn is_true(&mut self, row: &EmrCluster) {
        let (account, region) = (row.account_id.as_str(), row.region.as_str());
        let here = self.stage.world().account_region(account, region);
        let Some((here, cluster)) = here.and_then(|h| Some((h, h.cluster(&row.cluster_id)?)))
        else {
            self.say(format!("MADE UP {account} {region} {}", row.cluster_id));
            return;
        };
        let (from, to) = (self.look.began.0, self.look.ended.0);
        let to = if self.plan.is_moving { to } else { from };
        let was = |at: i64| {
            cluster.is_visible_at(at)
                && cluster.state_at(at, here.recipe(cluster)).as_str() == row.state
        };
        let fine = match row.seen {
            // AWS has forgotten it since.
            Seen::Vanished if cluster.ended_at(to).is_some() && !cluster.is_visible_at(to) => {
                !is_active_state(&row.state)
            }
            Seen::Listed | Seen::Vanished => (from..=to).step_by(5_000).any(was) || was(to),
            // As an earlier run saw it.
            Seen::NotSeen => {
                let mut known = self.before.0.values().flat_map(|k| &k.clusters);
                known.any(|k| k.cluster_id == row.cluster_id && k.state == row.state)
            }
        };
        if !fine {
            self.say(format!(
                "MADE UP {account} {region} {} {} ({:?})",
                row.cluster_id, row.state, row.seen
            ));
        }
    }

    /// What was not read is counted.
    fn ledger(&mut self) {
        let look = self.look;
        for cell in &look.facts.coverage {
            let items = [
                cell.items_expected,
                cell.items_collected,
                cell.items_locked,
                cell.items_failed,
            ];
            if let [Some(expected), Some(collected), Some(locked), Some(failed)] = items {
                if expected != collected + locked + failed {
                    self.say(format!("items do not add up: {}", name(cell)));
                }
                if cell.outcome == CellOutcome::Collected && collected != expected {
                    self.say(format!("not all items were read: {}", name(cell)));
                }
            }
            if cell.outcome == CellOutcome::Failed && cell.error_code.is_none() {
                self.say(format!("no error code: {}", name(cell)));
            }
        }
        let missing = |lookup: Lookup| {
            matches!(
                lookup,
                Lookup::Failed | Lookup::NotAttempted | Lookup::Denied
            )
        };
        let mut owed: BTreeMap<(&AccountId, &Region, Source), i64> = BTreeMap::new();
        let clusters = &look.facts.clusters;
        for row in clusters.iter().filter(|row| row.seen == Seen::Listed) {
            let mut owes = |source| {
                *owed
                    .entry((&row.account_id, &row.region, source))
                    .or_default() += 1;
            };
            if row.settings == Settings::Deferred {
                owes(Source::ClusterSettings);
            }
            if row.steps_lookup.is_none_or(missing) {
                owes(Source::Steps);
            }
            if row.sessions_lookup.is_some_and(missing) {
                owes(Source::Sessions);
            }
        }
        for row in look.facts.log_groups.iter().filter(|g| missing(g.lookup)) {
            let place = (&row.account_id, &row.region, Source::LogGroups);
            *owed.entry(place).or_default() += 1;
        }
        for ((account, region, source), rows) in owed {
            let cell = look.cell(account.as_str(), region.as_str(), source);
            let told = cell.map_or(0, |c| {
                c.items_failed.unwrap_or_default() + c.items_locked.unwrap_or_default()
            });
            if told < rows {
                self.say(format!(
                    "{rows} rows lack {source} in {account} {region}, the ledger tells {told}"
                ));
            }
        }
        let told = |source| -> i64 {
            let cells = look.facts.coverage.iter().filter(|c| c.source == source);
            cells
                .map(|c| c.items_failed.unwrap_or(0) + c.items_locked.unwrap_or(0))
                .sum()
        };
        let keys = look.facts.keys.iter();
        let keys = keys.filter(|k| {
            [
                k.lookup,
                k.policy_lookup,
                k.grants_lookup,
                k.rotation_lookup,
                k.tags_lookup,
            ]
            .into_iter()
            .any(missing)
        });
        let buckets = look.facts.buckets.iter();
        let buckets = buckets.filter(|b| {
            [b.lookup, b.policy_lookup, b.settings_lookup]
                .into_iter()
                .any(missing)
        });
        for (source, rows) in [
            (Source::Keys, keys.count() as i64),
            (Source::Buckets, buckets.count() as i64),
        ] {
            if told(source) < rows {
                self.say(format!(
                    "{rows} rows of {source} lack something, the ledger tells {}",
                    told(source)
                ));
            }
        }
    }

    /// The run after a bad one tells everything that it should and whatever the bad one could not.
    fn holes_are_filled(&mut self, bad: &Look) {
        self.population();
        let (world, now) = (self.stage.world(), self.look.began.0);
        let is_forgotten = |row: &EmrCluster| {
            let here = world.account_region(row.account_id.as_str(), row.region.as_str());
            let cluster = here.and_then(|h| h.cluster(&row.cluster_id));
            cluster.is_some_and(|c| !c.is_visible_at(now))
        };
        let settled = |row: &EmrCluster| {
            let cut_off = |l| matches!(l, Some(Lookup::NotAttempted | Lookup::Failed));
            let was_read = row.settings != Settings::Deferred
                && !cut_off(row.steps_lookup)
                && !cut_off(row.sessions_lookup);
            was_read || is_forgotten(row)
        };
        // What had ended before the bad run and was owed by it.
        for row in &bad.facts.clusters {
            if is_active_state(&row.state) || settled(row) {
                continue;
            }
            let now = self.look.facts.clusters.iter();
            let mut now = now.filter(|r| r.cluster_id == row.cluster_id);
            let is_there = now.any(settled);
            if !is_there && self.is_collected(row.account_id.as_str(), row.region.as_str()) {
                self.say(format!("{} is still owed; it was {row:?}", row.cluster_id));
            }
        }
        for row in &self.look.facts.clusters {
            let collected = self.is_collected(row.account_id.as_str(), row.region.as_str());
            if collected && (!settled(row) || row.seen == Seen::NotSeen) {
                self.problems
                    .push(format!("{} was not read: {row:?}", row.cluster_id));
            }
        }
    }
}

/// A cell, for messages.
pub(super) fn name(cell: &Coverage) -> String {
    format!("{} {} {}", cell.account_id, cell.region, cell.source)
}
