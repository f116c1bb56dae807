//! KPI 1: compliant share of active clusters.

use super::figures::Figures;
use super::looks::{Kept, Seen, Sighting};
use super::{Calendar, pieces};
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::scenario::{Delivery, Verdict};

/// A verdict holds no longer than this.
const HOLDS_MS: i64 = 2 * DAY_MS;

pub(super) const SUMS: [&str; 19] = [
    "days_expected",
    "runs_of_record",
    "end_compliant",
    "end_non_compliant",
    "end_unknown",
    "end_no_logs",
    "end_delivery_broken",
    "end_delivery_unknown",
    "end_copies_retained",
    "end_copies_unknown",
    "days_compliant",
    "days_non_compliant",
    "days_unknown",
    "days_no_logs",
    "compliant_ms",
    "non_compliant_ms",
    "unknown_ms",
    "no_logs_ms",
    "unobserved_ms",
];

/// Columns of a verdict: at quarter end, by days, by time.
fn columns(verdict: Verdict) -> [&'static str; 3] {
    match verdict {
        Verdict::Compliant => ["end_compliant", "days_compliant", "compliant_ms"],
        Verdict::NonCompliant => [
            "end_non_compliant",
            "days_non_compliant",
            "non_compliant_ms",
        ],
        Verdict::Unknown => ["end_unknown", "days_unknown", "unknown_ms"],
        Verdict::NoLogs => ["end_no_logs", "days_no_logs", "no_logs_ms"],
    }
}

pub(super) fn figures(calendar: &Calendar, seen: &Seen) -> Figures {
    let mut figures = Figures::new(&SUMS, &[]);
    let runs = calendar.of_quarter();
    for sighting in seen.sightings.iter().filter(|s| s.active) {
        if !runs.contains(&sighting.look) {
            continue;
        }
        let scopes = || sighting.belongs.scopes();
        let [at_end, by_days, _] = columns(sighting.verdict);
        figures.add(scopes(), by_days, 1);
        if runs.last() != Some(&sighting.look) {
            continue;
        }
        figures.add(scopes(), at_end, 1);
        match sighting.delivery {
            Delivery::Broken => figures.add(scopes(), "end_delivery_broken", 1),
            Delivery::Unknown => figures.add(scopes(), "end_delivery_unknown", 1),
            Delivery::Working | Delivery::NotApplicable => {}
        }
        match sighting.kept {
            Kept::Yes => figures.add(scopes(), "end_copies_retained", 1),
            Kept::Unknown => figures.add(scopes(), "end_copies_unknown", 1),
            Kept::No => {}
        }
    }
    for sightings in seen.clusters().values() {
        by_time(calendar, sightings, &mut figures);
    }
    let days = (calendar.end_ms - calendar.start_ms) / DAY_MS;
    let scopes: Vec<_> = figures.rows().keys().cloned().collect();
    figures.add(scopes.clone(), "days_expected", days);
    figures.add(scopes, "runs_of_record", runs.len() as i64);
    figures
}

/// Every moment of a cluster's life in the quarter goes to the verdict that holds then, or to none.
fn by_time(calendar: &Calendar, sightings: &[&Sighting], figures: &mut Figures) {
    let near = |at: i64| calendar.start_ms - HOLDS_MS <= at && at < calendar.end_ms + HOLDS_MS;
    let starts: Vec<i64> = calendar.starts().into_iter().filter(|s| near(*s)).collect();
    let sightings: Vec<&Sighting> = sightings
        .iter()
        .copied()
        .filter(|s| near(s.started_ms))
        .collect();
    let (Some(first), Some(last)) = (sightings.first(), sightings.last()) else {
        return;
    };
    // A scope of clusters that were over before the quarter began has its row, with nothing in it.
    for scope in sightings.iter().flat_map(|s| s.belongs.scopes()) {
        figures.row(scope);
    }
    let created = first.created_ms;
    // Not seen to end: alive until a run that does not show it any more.
    let next = starts.iter().find(|start| **start > last.started_ms);
    let ended = sightings.iter().find_map(|s| s.ended_ms);
    let ended = ended.unwrap_or(next.copied().unwrap_or(calendar.end_ms));
    let from = created.max(calendar.start_ms);
    let to = ended.min(calendar.end_ms);

    let mut before = starts.iter().filter(|start| **start < first.started_ms);
    let previous = before.next_back().copied();
    let previous = previous.unwrap_or(first.started_ms - HOLDS_MS);
    let verdict_at = |at: i64| -> Option<&Sighting> {
        let mut looks = starts.iter().filter(|start| **start <= at);
        let newest = looks.next_back().copied();
        let told = sightings.iter().find(|s| Some(s.started_ms) == newest);
        if let Some(told) = told {
            return (at < told.started_ms + HOLDS_MS).then_some(told);
        }
        // Settings are fixed at launch: the first look at a cluster speaks for the time before it.
        let is_new = created > previous && at < first.started_ms;
        (is_new && first.started_ms - HOLDS_MS <= at).then_some(first)
    };
    let mut cuts = starts.clone();
    cuts.extend(starts.iter().map(|start| start + HOLDS_MS));
    cuts.push(first.started_ms - HOLDS_MS);
    if from >= to {
        return;
    }
    for (a, b) in pieces(from, to, cuts) {
        match verdict_at(a) {
            Some(told) => figures.add(told.belongs.scopes(), columns(told.verdict)[2], b - a),
            None => figures.add(last.belongs.scopes(), "unobserved_ms", b - a),
        }
    }
}
