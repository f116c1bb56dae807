//! KPI 2: time to remediate, and the intervals that it counts.

use std::collections::{BTreeMap, BTreeSet};

use super::Calendar;
use super::figures::{Belongs, Figures, Scope};
use super::looks::{Seen, Sighting};
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::scenario::Verdict;

/// A lineage of which nothing was launched for so long has died out.
const DIES_OUT_MS: i64 = 30 * DAY_MS;

pub(super) const SUMS: [&str; 10] = [
    "days_expected",
    "runs_of_record",
    "opened",
    "reopened",
    "fixed_in_place",
    "replaced",
    "ended",
    "open_count",
    "detected_sum_ms",
    "exposed_sum_ms",
];
pub(super) const OTHERS: [&str; 6] = [
    "detected_median_ms",
    "detected_p90_ms",
    "exposed_median_ms",
    "exposed_p90_ms",
    "open_age_median_ms",
    "open_age_max_ms",
];
const OPEN_AGES: &str = "open_age_sum_ms";

/// How an interval closed; of several ways at once the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Open,
    Ended,
    Replaced,
    FixedInPlace,
}

impl How {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Replaced => "replaced",
            Self::FixedInPlace => "fixed_in_place",
        }
    }
}

/// The time without a break in which some cluster of a lineage was bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    pub account: String,
    pub region: &'static str,
    /// The name of its clusters, without dates.
    pub lineage: String,
    /// 1 for the first of the lineage.
    pub number: i64,
    pub how: How,
    pub opened_ms: i64,
    pub closed_ms: Option<i64>,
    pub exposed_since_ms: i64,
    /// To its close, else to the quarter's latest run.
    pub age_ms: i64,
    pub clusters: i64,
    /// The cluster that was found bad last.
    pub last_cluster_id: String,
    pub(super) belongs: Belongs,
}

/// A time in which one cluster was bad.
struct Spell<'s> {
    opened_ms: i64,
    closed_ms: Option<i64>,
    how: How,
    cluster: &'s Life<'s>,
    last_bad: &'s Sighting,
}

/// One cluster of a lineage, as runs saw it.
struct Life<'s> {
    id: &'s str,
    created_ms: i64,
    sightings: Vec<&'s Sighting>,
    /// The first run that knows of its end, and when that was.
    known_ended_ms: Option<i64>,
    ended_ms: Option<i64>,
    /// The first run that found it COMPLIANT, unless changed rules alone made it so.
    compliant_ms: Option<i64>,
}

/// Starts of the runs that listed an account's clusters, in order.
type Listed = BTreeMap<String, Vec<i64>>;

pub(super) fn figures(calendar: &Calendar, seen: &Seen) -> (Vec<Interval>, Figures) {
    let mut listed = Listed::new();
    for (look, entered) in calendar.looks.iter().zip(&seen.entered) {
        for account in entered.iter().filter(|_| look.started_ms < calendar.end_ms) {
            let starts = listed.entry(account.clone()).or_default();
            starts.push(look.started_ms);
        }
    }
    listed
        .values_mut()
        .for_each(|starts| starts.sort_unstable());
    let mut lineages: BTreeMap<(&str, &str, &str), BTreeMap<&str, Vec<&Sighting>>> =
        BTreeMap::new();
    for (_, sightings) in seen.clusters() {
        for sighting in sightings {
            if sighting.started_ms < calendar.end_ms {
                let lineage = (
                    sighting.account.as_str(),
                    sighting.region,
                    sighting.lineage.as_str(),
                );
                let clusters = lineages.entry(lineage).or_default();
                let of = clusters.entry(&sighting.cluster_id).or_default();
                of.push(sighting);
            }
        }
    }
    let mut starts = calendar.starts().into_iter();
    let last = starts.rfind(|start| *start < calendar.end_ms);
    let mut intervals = Vec::new();
    for ((account, ..), clusters) in lineages {
        let none = Vec::new();
        let listed = listed.get(account).unwrap_or(&none);
        let mut lives: Vec<Life<'_>> = clusters
            .into_iter()
            .map(|(id, sightings)| Life::of(id, sightings, listed))
            .collect();
        lives.sort_by_key(|life| (life.created_ms, life.id));
        let spells = lives.iter().flat_map(|life| life.spells(&lives, listed));
        intervals.extend(joined(spells.collect(), last.unwrap_or_default()));
    }
    // Those that closed before the quarter are of another one.
    intervals.retain(|i| i.closed_ms.is_none_or(|at| at >= calendar.start_ms));
    let figures = counted(calendar, &intervals);
    (intervals, figures)
}

impl<'s> Life<'s> {
    fn of(id: &'s str, sightings: Vec<&'s Sighting>, listed: &[i64]) -> Self {
        let first = sightings[0];
        let last = sightings[sightings.len() - 1].started_ms;
        let told = sightings.iter().find(|s| !s.active);
        let told = told.map(|s| (s.started_ms, s.ended_ms.unwrap_or(s.started_ms)));
        // A later list that does not show it any more.
        let unlisted = || listed.iter().find(|at| **at > last).map(|at| (*at, *at));
        let end = told.or_else(unlisted);
        let compliant = sightings.iter().find(|s| s.verdict == Verdict::Compliant);
        Self {
            id,
            created_ms: first.created_ms,
            known_ended_ms: end.map(|(known, _)| known),
            ended_ms: end.map(|(_, ended)| ended),
            compliant_ms: compliant.filter(|s| !s.by_rules).map(|s| s.started_ms),
            sightings,
        }
    }

    /// The times in which it was bad. `lives` are the clusters of its lineage by creation.
    fn spells(&'s self, lives: &[Life<'_>], listed: &[i64]) -> Vec<Spell<'s>> {
        let mut spells: Vec<Spell<'s>> = Vec::new();
        let (mut is_bad, mut is_excused) = (false, false);
        for sighting in &self.sightings {
            match sighting.verdict {
                Verdict::NonCompliant if is_bad => {
                    if let Some(spell) = spells.last_mut() {
                        spell.last_bad = sighting;
                    }
                }
                Verdict::NonCompliant if sighting.by_rules => is_excused = true,
                Verdict::NonCompliant if !is_excused => {
                    is_bad = true;
                    spells.push(Spell {
                        opened_ms: sighting.started_ms,
                        closed_ms: None,
                        how: How::Open,
                        cluster: self,
                        last_bad: sighting,
                    });
                }
                Verdict::Compliant => {
                    if let Some(spell) = spells.last_mut().filter(|_| is_bad) {
                        spell.closed_ms = Some(sighting.started_ms);
                        spell.how = if sighting.by_rules {
                            How::Ended
                        } else {
                            How::FixedInPlace
                        };
                    }
                    (is_bad, is_excused) = (false, false);
                }
                _ => {}
            }
        }
        let replaced = self.replaced(lives).map(|at| (at, How::Replaced));
        let died = self.died_out(lives, listed).map(|at| (at, How::Ended));
        for spell in &mut spells {
            // What comes first; at the same run the better end.
            let own = spell.closed_ms.map(|at| (at, spell.how, 0));
            let ways = own
                .into_iter()
                .chain(replaced.map(|(at, how)| (at, how, 1)))
                .chain(died.map(|(at, how)| (at, how, 2)));
            if let Some((at, how, _)) = ways.min_by_key(|(at, _, rank)| (*at, *rank)) {
                (spell.closed_ms, spell.how) = (Some(at), how);
            }
        }
        spells
    }

    /// The first run that knows both of its end and of a later cluster that is as it should be.
    fn replaced(&self, lives: &[Life<'_>]) -> Option<i64> {
        let later = lives
            .iter()
            .filter(|other| (other.created_ms, other.id) > (self.created_ms, self.id));
        let successor = later.filter_map(|other| other.compliant_ms).min()?;
        Some(successor.max(self.known_ended_ms?))
    }

    /// The first run that listed clusters when for 30 days none had been there.
    fn died_out(&self, lives: &[Life<'_>], listed: &[i64]) -> Option<i64> {
        let survives = |life: &Life<'_>| life.ended_ms.map(|ended| ended + DIES_OUT_MS);
        // Everything that was there before and goes on, and whatever follows in time.
        let mut until = Some(i64::MIN);
        let mut is_past = false;
        for life in lives {
            if until.is_some_and(|until| life.created_ms > until) {
                if is_past {
                    break;
                }
                until = Some(i64::MIN);
            }
            until = until.zip(survives(life)).map(|(a, b)| a.max(b));
            is_past |= life.id == self.id;
        }
        let until = until?;
        listed.iter().copied().find(|at| *at >= until)
    }
}

/// Spells of one lineage that touch or overlap are one interval.
fn joined(mut spells: Vec<Spell<'_>>, last_ms: i64) -> Vec<Interval> {
    spells.sort_by_key(|s| (s.opened_ms, s.cluster.created_ms, s.cluster.id));
    let mut groups: Vec<Vec<Spell<'_>>> = Vec::new();
    for spell in spells {
        let is_on = |group: &Vec<Spell<'_>>| {
            let mut closed = group.iter().map(|s| s.closed_ms);
            closed.any(|at| at.is_none_or(|at| at >= spell.opened_ms))
        };
        match groups.last_mut().filter(|group| is_on(group)) {
            Some(group) => group.push(spell),
            None => groups.push(vec![spell]),
        }
    }
    let numbered = groups.into_iter().zip(1..);
    let intervals = numbered.filter_map(|(group, number)| {
        let first = group.first()?;
        let is_open = group.iter().any(|s| s.closed_ms.is_none());
        let closed_ms = group.iter().filter_map(|s| s.closed_ms).max();
        let closed_ms = closed_ms.filter(|_| !is_open);
        let closing = group.iter().filter(|s| s.closed_ms == closed_ms);
        let clusters: BTreeSet<&str> = group.iter().map(|s| s.cluster.id).collect();
        let last = group.iter().max_by_key(|s| {
            let cluster = s.cluster;
            (s.last_bad.started_ms, cluster.created_ms, cluster.id)
        })?;
        Some(Interval {
            account: last.last_bad.account.clone(),
            region: last.last_bad.region,
            lineage: last.last_bad.lineage.clone(),
            number,
            how: closing.map(|s| s.how).max()?,
            opened_ms: first.opened_ms,
            closed_ms,
            exposed_since_ms: first.cluster.created_ms,
            age_ms: closed_ms.unwrap_or(last_ms) - first.opened_ms,
            clusters: clusters.len() as i64,
            last_cluster_id: last.cluster.id.to_owned(),
            belongs: last.last_bad.belongs.clone(),
        })
    });
    intervals.collect()
}

/// The smallest value that at least `part` tenths of all values do not exceed.
fn nearest_rank(values: &mut [i64], part: usize) -> Option<i64> {
    values.sort_unstable();
    let rank = (values.len() * part).div_ceil(10);
    values.get(rank.checked_sub(1)?).copied()
}

fn counted(calendar: &Calendar, intervals: &[Interval]) -> Figures {
    let sums: Vec<&str> = SUMS.into_iter().chain([OPEN_AGES]).collect();
    let mut figures = Figures::new(&sums, &OTHERS);
    let mut of_scope: BTreeMap<Scope, Vec<&Interval>> = BTreeMap::new();
    for interval in intervals {
        for scope in interval.belongs.scopes() {
            of_scope.entry(scope).or_default().push(interval);
        }
    }
    for (scope, intervals) in of_scope {
        let row = figures.row(scope);
        let count = |is_it: &dyn Fn(&Interval) -> bool| {
            let wanted = intervals.iter().filter(|i| is_it(i));
            Some(wanted.count() as i64)
        };
        let is_new = |i: &Interval| i.opened_ms >= calendar.start_ms;
        row.insert("opened", count(&is_new));
        row.insert("reopened", count(&|i| is_new(i) && i.number > 1));
        for (column, how) in [
            ("fixed_in_place", How::FixedInPlace),
            ("replaced", How::Replaced),
            ("ended", How::Ended),
            ("open_count", How::Open),
        ] {
            row.insert(column, count(&|i| i.how == how));
        }
        let mended = intervals.iter().filter(|i| i.how >= How::Replaced);
        let (mut detected, mut exposed): (Vec<i64>, Vec<i64>) = mended
            .filter_map(|i| Some((i.age_ms, i.closed_ms? - i.exposed_since_ms)))
            .unzip();
        let open = intervals.iter().filter(|i| i.how == How::Open);
        let mut open: Vec<i64> = open.map(|i| i.age_ms).collect();
        row.insert("detected_sum_ms", Some(detected.iter().sum()));
        row.insert("detected_median_ms", nearest_rank(&mut detected, 5));
        row.insert("detected_p90_ms", nearest_rank(&mut detected, 9));
        row.insert("exposed_sum_ms", Some(exposed.iter().sum()));
        row.insert("exposed_median_ms", nearest_rank(&mut exposed, 5));
        row.insert("exposed_p90_ms", nearest_rank(&mut exposed, 9));
        row.insert(OPEN_AGES, Some(open.iter().sum()));
        row.insert("open_age_median_ms", nearest_rank(&mut open, 5));
        row.insert("open_age_max_ms", open.iter().max().copied());
    }
    let days = (calendar.end_ms - calendar.start_ms) / DAY_MS;
    let scopes: Vec<_> = figures.rows().keys().cloned().collect();
    figures.add(scopes.clone(), "days_expected", days);
    let runs = calendar.of_quarter().len() as i64;
    figures.add(scopes, "runs_of_record", runs);
    figures
}
