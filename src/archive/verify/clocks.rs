//! Level 6: whether the times that were signed, the order of the entries and storage's own times agree.

use std::collections::BTreeMap;

use super::check::Asked;
use super::failure::{Failure, Notice};
use super::report::Report;
use crate::archive::chain::Entry;
use crate::archive::layout;
use crate::seal::{Content, RunSeal};
use crate::time::UtcMillis;

/// Furthest that the clock of a run may be from AWS's.
const MOST_OFFSET_MS: i64 = 60_000;
/// What the clocks of two machines within that may be apart.
pub(super) const MOST_BACK_MS: i64 = 2 * MOST_OFFSET_MS;
/// Storage stamps whole seconds, on more than one machine.
const MOST_WRITTEN_BACK_MS: i64 = 5_000;
/// Signing and the PUT, every repetition of it included.
const MOST_UNTIL_WRITTEN_MS: i64 = 15 * 60_000;

/// Checks every entry; an error says what is not told of clocks or times.
pub(super) fn check(asked: &Asked<'_>, report: &mut Report) -> Result<(), String> {
    let runs = report.entries.iter().filter_map(run);
    let unknown = runs.filter(|run| run.clock_offset_ms.is_none());
    let unknown: Vec<Notice> = unknown
        .map(|run| Notice::ClockUnknown {
            run_id: run.run_id.clone(),
        })
        .collect();
    let why = unknown.first().map(|first| match unknown.len() {
        1 => first.to_string(),
        runs => format!("of {runs} runs, {first}"),
    });
    report.notices.extend(unknown);
    times(asked, report)?;
    why.map_or(Ok(()), Err)
}

fn run(entry: &Entry) -> Option<&RunSeal> {
    match &entry.statement.content {
        Content::Run(run) => Some(run),
        _ => None,
    }
}

/// Compares signed times with each other and with storage's; an error says why not with storage's.
fn times(asked: &Asked<'_>, report: &mut Report) -> Result<(), String> {
    let failures = &mut report.failures;
    for entry in &report.entries {
        signed(entry, failures);
    }
    for pair in report.entries.windows(2) {
        if let [before, entry] = pair {
            let what = "the entry before it";
            not_before(entry, what, before.statement.at, failures);
        }
    }
    let listed = asked.listing.iter();
    let written: BTreeMap<&str, UtcMillis> = listed
        .filter_map(|listed| Some((listed.name.as_str(), listed.written_at?)))
        .collect();
    let written = |name: String| written.get(name.as_str()).copied();
    let mut before: Option<UtcMillis> = None;
    for entry in &report.entries {
        let Some(at) = written(layout::entry(entry.seq)) else {
            return Err(
                "storage tells no times of its own, as a folder does not: whoever may write there \
                 may set them"
                    .to_owned(),
            );
        };
        let slot = entry.seq;
        if let Some(before) = before.filter(|before| before.0 - at.0 > MOST_WRITTEN_BACK_MS) {
            failures.push(Failure::WrittenOutOfOrder { slot, at, before });
        }
        before = before.max(Some(at));
        let signed_at = entry.statement.at;
        if at.0.abs_diff(signed_at.0) > MOST_UNTIL_WRITTEN_MS.unsigned_abs() {
            failures.push(Failure::WrittenFarFromSigned {
                slot,
                written_at: at,
                signed_at,
            });
        }
        // A start that is not there is told elsewhere.
        let start = run(entry).and_then(|run| Some((run, written(layout::start(run.start_n))?)));
        if let Some((run, written_at)) = start
            && written_at.0.abs_diff(run.started_at.0) > MOST_UNTIL_WRITTEN_MS.unsigned_abs()
        {
            failures.push(Failure::StartWrittenFar {
                n: run.start_n,
                written_at,
                started_at: run.started_at,
            });
        }
    }
    Ok(())
}

/// What an entry says of its own times.
fn signed(entry: &Entry, failures: &mut Vec<Failure>) {
    let Some(run) = run(entry) else {
        return;
    };
    if let Some(offset_ms) = run
        .clock_offset_ms
        .filter(|ms| ms.unsigned_abs() > MOST_OFFSET_MS.unsigned_abs())
    {
        failures.push(Failure::ClockOff {
            run_id: run.run_id.clone(),
            offset_ms,
        });
    }
    // One machine's clock, which may have been set on the way.
    let last = run.started_at.max(run.ended_at);
    not_before(entry, "its run began or ended", last, failures);
}

fn not_before(entry: &Entry, what: &'static str, before: UtcMillis, failures: &mut Vec<Failure>) {
    let at = entry.statement.at;
    if before.0.saturating_sub(at.0) > MOST_BACK_MS {
        failures.push(Failure::SignedBackwards {
            slot: entry.seq,
            at,
            what,
            before,
        });
    }
}
