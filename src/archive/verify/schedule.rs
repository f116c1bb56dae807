//! Level 5, what the seals alone tell: whether a run speaks for every date, whether each says when it
//! was made, and whether runs and rules only ever went forward.

use std::collections::BTreeMap;

use super::clocks::MOST_BACK_MS;
use super::failure::{Failure, Notice};
use super::report::{Report, VerifyOptions};
use crate::archive::chain::Entry;
use crate::archive::records::{LATEST_START_MS, run_of_record};
use crate::model::words::RunOutcome;
use crate::seal::{Content, RunSeal};
use crate::time::{Date, UtcMillis};

/// The one schedule that there is.
const DAILY: &str = "daily";
const NO_RUN: &str = "none is sealed for it";
const NARROWED: &str = "only runs that left a part of the scope out are sealed";

/// Checks dates and seals; an error says why the schedule cannot be checked.
pub(super) fn check(options: &VerifyOptions, report: &mut Report) -> Result<(), String> {
    let runs: Vec<(&Entry, &RunSeal)> = report.entries.iter().filter_map(run).collect();
    let failures = &mut report.failures;
    for (_, seal) in &runs {
        times_said(seal, failures);
    }
    only_forward(&runs, failures);
    let Some(begun) = report.entries.first() else {
        return Ok(());
    };
    match &begun.statement.content {
        Content::Genesis(genesis) if genesis.schedule != DAILY => {
            return Err(format!(
                "entry 1 says that runs are due '{}', and this program knows '{DAILY}'",
                genesis.schedule
            ));
        }
        _ => {}
    }
    let begun = begun.statement.at.date();
    let mut by_date: BTreeMap<Date, Vec<&RunSeal>> = BTreeMap::new();
    for (_, seal) in runs {
        by_date.entry(seal.scheduled_for).or_default().push(seal);
    }
    let first = by_date.keys().next().map_or(begun, |date| begun.min(*date));
    let from = options.from.unwrap_or(begun);
    if from < first {
        failures.push(Failure::BeforeTheBeginning { from, begun: first });
    }
    let from = from.max(first);
    let newest = by_date.keys().next_back().copied();
    let due = UtcMillis(options.now.0.saturating_sub(LATEST_START_MS)).date();
    let to = match (options.to, newest) {
        (Some(to), _) => to,
        (None, newest) if options.require_complete => newest.map_or(due, |date| date.max(due)),
        (None, Some(newest)) => {
            if newest < due {
                let last = newest;
                report.notices.push(Notice::NothingSince { last, due });
            }
            newest
        }
        (None, None) => return Ok(()),
    };
    if to < from {
        return Ok(());
    }
    report.range = Some((from, to));
    let mut dates = Dates::default();
    for day in from.days()..=to.days() {
        let date = Date::from_days(i64::from(day));
        let runs = by_date.get(&date).map(Vec::as_slice).unwrap_or_default();
        dates.look(date, runs);
    }
    failures.extend(
        dates
            .holes
            .into_iter()
            .map(|(from, to, why)| Failure::ScheduleHole { from, to, why }),
    );
    if options.require_complete {
        failures.extend(dates.partial.iter().map(|run| Failure::PartialRun {
            run_id: run.run_id.clone(),
            date: run.scheduled_for,
        }));
        failures.extend(dates.late.iter().map(|run| Failure::LateRun {
            run_id: run.run_id.clone(),
            date: run.scheduled_for,
        }));
        return Ok(());
    }
    let of = |runs: Vec<&RunSeal>| -> Vec<Date> {
        runs.into_iter().map(|run| run.scheduled_for).collect()
    };
    let (partial, late) = (of(dates.partial), of(dates.late));
    if !partial.is_empty() {
        report.notices.push(Notice::PartialDates { dates: partial });
    }
    if !late.is_empty() {
        report.notices.push(Notice::LateDates { dates: late });
    }
    Ok(())
}

fn run(entry: &Entry) -> Option<(&Entry, &RunSeal)> {
    match &entry.statement.content {
        Content::Run(seal) => Some((entry, seal)),
        _ => None,
    }
}

/// What the dates of a range have.
#[derive(Default)]
struct Dates<'a> {
    /// First and last date of each hole, and why it is one.
    holes: Vec<(Date, Date, &'static str)>,
    partial: Vec<&'a RunSeal>,
    late: Vec<&'a RunSeal>,
}

impl<'a> Dates<'a> {
    fn look(&mut self, date: Date, runs: &[&'a RunSeal]) {
        if let Some(run) = run_of_record(runs.iter().copied(), date, |run| *run) {
            if run.outcome == RunOutcome::Partial {
                self.partial.push(run);
            }
            return;
        }
        match (runs.iter().find(|run| run.full_scope), runs) {
            (Some(run), _) => self.late.push(run),
            (None, []) => self.hole(date, NO_RUN),
            (None, _) => self.hole(date, NARROWED),
        }
    }

    fn hole(&mut self, date: Date, why: &'static str) {
        match self.holes.last_mut() {
            Some((_, to, same)) if *same == why && to.plus_days(1) == date => *to = date,
            _ => self.holes.push((date, date, why)),
        }
    }
}

/// Whether a seal says when its run was made.
fn times_said(seal: &RunSeal, failures: &mut Vec<Failure>) {
    let (run_id, date) = (seal.run_id.clone(), seal.scheduled_for);
    let started_at = seal.started_at;
    let after_ms = started_at.0 - date.start().0;
    if after_ms < 0 {
        failures.push(Failure::DateNotBegun {
            run_id,
            date,
            started_at,
        });
    } else if after_ms > LATEST_START_MS && !seal.late {
        failures.push(Failure::LateNotSaid {
            run_id,
            date,
            started_at,
        });
    }
}

/// Starts are taken one after another, and a run that another overtook is never sealed; rules change
/// for newer ones.
fn only_forward(runs: &[(&Entry, &RunSeal)], failures: &mut Vec<Failure>) {
    let mut last: Option<&RunSeal> = None;
    let mut newest: Option<(Vec<u64>, &str)> = None;
    for (entry, seal) in runs {
        match last {
            Some(last) if seal.start_n <= last.start_n => {
                failures.push(Failure::StartsBackwards {
                    slot: entry.seq,
                    run_id: seal.run_id.clone(),
                    n: seal.start_n,
                    before: last.start_n,
                });
            }
            _ => {
                failures.extend(last.and_then(|last| before_the_last(seal, last)));
                last = Some(seal);
            }
        }
        let found = entry.statement.producer.rules_version.as_str();
        // Versions that are no numbers have no order.
        let Some(version) = numbers(found) else {
            continue;
        };
        match &newest {
            Some((before, text)) if *before > version => {
                failures.push(Failure::RulesDowngraded {
                    slot: entry.seq,
                    run_id: seal.run_id.clone(),
                    before: (*text).to_owned(),
                    found: found.to_owned(),
                });
            }
            _ => newest = Some((version, found)),
        }
    }
}

/// A start that says that it is older than one whose number is lower.
fn before_the_last(seal: &RunSeal, last: &RunSeal) -> Option<Failure> {
    let (at, before) = (seal.started_at, last.started_at);
    (before.0.saturating_sub(at.0) > MOST_BACK_MS).then(|| Failure::StartedOutOfOrder {
        run_id: seal.run_id.clone(),
        detail: format!(
            "it says that start {} was made at {at}, after start {}, which was made at {before}",
            seal.start_n, last.start_n
        ),
    })
}

/// `3` or `3.1` as numbers.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}
