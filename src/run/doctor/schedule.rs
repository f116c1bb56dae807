//! Past runs: whether one is alive now, how old the newest is, which dates are missing.

use std::collections::BTreeSet;

use crate::archive::records::LATEST_START_MS;
use crate::archive::starts;
use crate::model::ids::RunId;
use crate::model::words::RunOutcome;
use crate::report::doctor_summary::{Line, State};
use crate::report::text::{counted, duration};
use crate::run::sealed;
use crate::time::{Date, UtcMillis};

use super::evidence::{Seen, needed};

/// Ranges of missing dates that a line names.
const SHOWN: usize = 3;

/// What the archive tells of the runs before this one.
pub async fn look(seen: Option<&Seen>, now: UtcMillis) -> Vec<Line> {
    let Some(seen) = seen else { return needed() };
    let Some(chain) = &seen.chain else {
        return vec![Line::note("no run is sealed yet")];
    };
    let mut lines = Vec::new();
    match starts::live(seen.archive.as_fetch(), chain, now).await {
        Ok(None) => lines.push(Line::pass("no run is alive")),
        Ok(Some(start)) => {
            let run_id = &start.run_id;
            let what = format!(
                "run {run_id} is alive: it began at {} and has until {}, and another one that \
                 begins now exits 1",
                start.started_at, start.deadline_at
            );
            let next =
                format!("wait for it; if its process is dead, keyproof run --take-over {run_id}");
            lines.push(Line::fail(what, next));
        }
        Err(error) => {
            let what = format!("whether a run is alive: {error}");
            let next = "s3:ListBucket, s3:GetObject and kms:Decrypt below starts/ and runs/";
            lines.push(Line::new(State::Unknown, what).next(next));
        }
    }
    let newest = chain.runs().next_back().map(|(_, seal)| Newest {
        run_id: seal.run_id.clone(),
        date: seal.scheduled_for,
        outcome: seal.outcome,
        started_at: seal.started_at,
    });
    let dates = sealed::of_record(chain).into_keys().collect();
    let begun = chain
        .entries()
        .first()
        .map(|entry| entry.statement.at.date());
    let url = seen.archive.as_fetch().url();
    lines.extend(judge(newest.as_ref(), &dates, begun, now, &url));
    super::accounts::worst_first(lines)
}

/// The run that was sealed last.
struct Newest {
    run_id: RunId,
    date: Date,
    outcome: RunOutcome,
    started_at: UtcMillis,
}

/// `dates`: those that a run of record speaks for; `begun`: that of entry 1.
fn judge(
    newest: Option<&Newest>,
    dates: &BTreeSet<Date>,
    begun: Option<Date>,
    now: UtcMillis,
    url: &str,
) -> Vec<Line> {
    let Some(newest) = newest else {
        return vec![Line::note("no run is sealed yet")];
    };
    let mut lines = vec![Line::pass(format!(
        "run {} for {} is the last one sealed, {}, begun {} ago",
        newest.run_id,
        newest.date,
        newest.outcome.as_str(),
        duration(now.0 - newest.started_at.0),
    ))];
    // What may still begin for a date is not missing.
    let due = UtcMillis(now.0.saturating_sub(LATEST_START_MS + 1)).date();
    let first = dates.first().copied().into_iter().chain(begun).min();
    let Some(first) = first else { return lines };
    let holes = holes(first, due, dates);
    let Some((_, last)) = holes.last() else {
        return lines;
    };
    let missing: i64 = holes
        .iter()
        .map(|(a, b)| i64::from(b.days() - a.days()) + 1)
        .sum();
    let named: Vec<String> = holes.iter().rev().take(SHOWN).map(range).collect();
    let more = if holes.len() > SHOWN {
        ", and earlier"
    } else {
        ""
    };
    let what = format!(
        "no run of record speaks for {}: {}{more}",
        counted(missing, "date", "dates"),
        named.join(", ")
    );
    lines.push(if *last == due {
        let next = "look why the scheduled job did not run or was narrowed; dates that are over \
                    stay missing";
        Line::fail(what, next)
    } else {
        Line::note(what).next(format!(
            "keyproof query --archive {url} --named late-and-missed"
        ))
    });
    lines
}

fn range((from, to): &(Date, Date)) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from} to {to}")
    }
}

/// First and last date of each gap in `dates`, oldest first.
fn holes(from: Date, to: Date, dates: &BTreeSet<Date>) -> Vec<(Date, Date)> {
    let mut holes: Vec<(Date, Date)> = Vec::new();
    for day in from.days()..=to.days() {
        let date = Date::from_days(i64::from(day));
        if dates.contains(&date) {
            continue;
        }
        match holes.last_mut() {
            Some((_, last)) if last.plus_days(1) == date => *last = date,
            _ => holes.push((date, date)),
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doctor_summary::{Check, Outcome};

    fn date(text: &str) -> Date {
        text.parse().expect("date")
    }

    fn judged(dates: &[&str], now: &str) -> (Outcome, String) {
        let last = dates.last().map(|d| date(d));
        let newest = last.map(|date| Newest {
            run_id: "20261124T020003Z-7f3a".parse().expect("run id"),
            date,
            outcome: RunOutcome::Complete,
            started_at: date.start().plus_ms(7_200_000),
        });
        let of_record = dates.iter().map(|d| date(d)).collect();
        let now = now.parse().expect("time");
        let begun = dates.first().map(|d| date(d));
        let lines = judge(newest.as_ref(), &of_record, begun, now, "file:///evidence");
        let said: Vec<String> = lines.iter().map(|line| line.what.clone()).collect();
        let check = Check {
            name: "schedule",
            lines,
        };
        (check.outcome(), said.join("\n"))
    }

    #[test]
    fn a_date_is_missing_when_no_run_may_begin_for_it_any_more() {
        let dates = ["2026-11-22", "2026-11-23", "2026-11-24"];
        for (now, outcome) in [
            ("2026-11-24T12:00:00.000Z", Outcome::Pass),
            // Until noon of the day after, a run may begin for the 25th.
            ("2026-11-26T12:00:00.000Z", Outcome::Pass),
            ("2026-11-26T12:00:00.001Z", Outcome::Fail),
        ] {
            let (found, said) = judged(&dates, now);
            assert_eq!(found, outcome, "{now}: {said}");
        }
        let (_, said) = judged(&dates, "2026-11-28T13:00:00.000Z");
        assert!(said.contains("3 dates: 2026-11-25 to 2026-11-27"), "{said}");
    }

    #[test]
    fn older_holes_are_told_and_stay_holes() {
        let dates = [
            "2026-11-08",
            "2026-11-10",
            "2026-11-12",
            "2026-11-14",
            "2026-11-18",
            "2026-11-20",
        ];
        let (outcome, said) = judged(&dates, "2026-11-20T12:00:00.000Z");
        assert_eq!(outcome, Outcome::Pass);
        let holes = "6 dates: 2026-11-15 to 2026-11-17, 2026-11-13, 2026-11-11, and earlier";
        assert!(said.contains(holes), "{said}");
        assert!(said.contains("begun 10 h 00 min ago"), "{said}");
    }

    #[test]
    fn a_new_archive_misses_nothing() {
        assert_eq!(judged(&[], "2026-11-20T12:00:00.000Z").0, Outcome::Pass);
    }
}
