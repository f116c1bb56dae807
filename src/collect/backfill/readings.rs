//! What was found of files and digest files of one account-region, as rows without a gap.
//!
//! Digest files tell of the time in which files were *delivered*; rows tell of the time of *events*. An
//! event is delivered within [`LATE_MS`] of its time, so events are accounted for only when everything
//! that was delivered until then is.

use std::collections::BTreeMap;

use crate::model::datasets::TrailReading;
use crate::model::ids::{AccountId, Region};
use crate::model::words::TrailOutcome;
use crate::time::{Date, HOUR_MS, UtcMillis};

/// How long after an event its file is delivered: 5 minutes on average, and no promise
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html>).
pub const LATE_MS: i64 = HOUR_MS;
/// Of time that no digest file tells of.
const NO_DIGEST: &str = "NoDigest";

/// What was counted of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub files_wanting: i64,
    pub digests: i64,
    pub files: i64,
    pub bytes: i64,
    pub records: i64,
    pub records_unreadable: i64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.files_wanting += other.files_wanting;
        self.digests += other.digests;
        self.files += other.files;
        self.bytes += other.bytes;
        self.records += other.records;
        self.records_unreadable += other.records_unreadable;
    }
}

/// What is said of a time of delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    outcome: TrailOutcome,
    reason: Option<String>,
}

/// Everything that was said of one account-region.
#[derive(Debug, Default)]
pub struct Readings {
    /// By time of delivery, what is said and what it is about. Few, however many the files are.
    said: BTreeMap<(i64, i64), BTreeMap<Said, Option<String>>>,
    counts: BTreeMap<i64, Counts>,
}

impl Readings {
    /// Files delivered from `from_ms` to `to_ms` are all known and as they should be.
    pub fn validated(&mut self, (from_ms, to_ms): (i64, i64)) {
        self.say((from_ms, to_ms), TrailOutcome::Validated, None, None);
        let counts = Counts {
            digests: 1,
            ..Counts::default()
        };
        self.count(from_ms, counts);
    }

    /// Something is wanting of those; `file` is what it is about.
    pub fn wanting(
        &mut self,
        (from_ms, to_ms): (i64, i64),
        outcome: TrailOutcome,
        reason: &str,
        file: Option<String>,
    ) {
        let counts = Counts {
            files_wanting: i64::from(file.is_some()),
            ..Counts::default()
        };
        self.count(from_ms, counts);
        self.say((from_ms, to_ms), outcome, Some(reason.to_owned()), file);
    }

    /// Adds to what was counted of the hour that begins then.
    pub fn count(&mut self, from_ms: i64, counts: Counts) {
        self.counts.entry(from_ms).or_default().add(counts);
    }

    fn say(
        &mut self,
        time: (i64, i64),
        outcome: TrailOutcome,
        reason: Option<String>,
        file: Option<String>,
    ) {
        let of_time = self.said.entry(time).or_default();
        let kept = of_time.entry(Said { outcome, reason }).or_insert(None);
        // The first by name, whatever the order of arrival.
        *kept = match (kept.take(), file) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// The rows of the events from `from_ms` to `to_ms`.
    pub fn rows(
        self,
        scheduled_for: Date,
        (account, region): (&AccountId, &Region),
        (from_ms, to_ms): (i64, i64),
    ) -> Vec<TrailReading> {
        let spans = self.of_events((from_ms, to_ms));
        let row = |span: &Span| {
            let mut counts = Counts::default();
            for (_, counted) in self.counts.range(span.from_ms..span.to_ms) {
                counts.add(*counted);
            }
            TrailReading {
                scheduled_for,
                account_id: account.clone(),
                region: region.clone(),
                from_at: UtcMillis(span.from_ms),
                from_ms: span.from_ms,
                to_ms: span.to_ms,
                outcome: span.said.outcome,
                reason: span.said.reason.clone(),
                file: span.file.clone(),
                files_wanting: counts.files_wanting,
                digests: counts.digests,
                files: counts.files,
                bytes: counts.bytes,
                records: counts.records,
                records_unreadable: counts.records_unreadable,
            }
        };
        spans.iter().map(row).collect()
    }

    fn of_events(&self, (from_ms, to_ms): (i64, i64)) -> Vec<Span> {
        let mut spans = self.of_deliveries((from_ms, to_ms.saturating_add(LATE_MS)));
        for at in 1..spans.len() {
            // Events may come up to then in files that are wanting.
            if spans[at].said.outcome > spans[at - 1].said.outcome {
                let begins = (spans[at].from_ms - LATE_MS).max(spans[at - 1].from_ms);
                spans[at - 1].to_ms = begins;
                spans[at].from_ms = begins;
            }
        }
        for span in &mut spans {
            span.to_ms = span.to_ms.min(to_ms);
        }
        spans.retain(|span| span.from_ms < span.to_ms);
        joined(spans)
    }

    /// The worst that is said of every instant of delivery.
    fn of_deliveries(&self, (from_ms, to_ms): (i64, i64)) -> Vec<Span> {
        let mut edges: Vec<i64> = self.said.keys().flat_map(|(a, b)| [*a, *b]).collect();
        edges.extend([from_ms, to_ms]);
        edges.retain(|edge| (from_ms..=to_ms).contains(edge));
        edges.sort_unstable();
        edges.dedup();
        let mut spans = Vec::new();
        for edge in edges.windows(2) {
            let covering = self
                .said
                .iter()
                .filter(|((a, b), _)| *a <= edge[0] && edge[1] <= *b);
            let worst = covering
                .filter_map(|(_, of_time)| of_time.last_key_value())
                .max();
            let (said, file) = match worst {
                Some((said, file)) => (said.clone(), file.clone()),
                None => {
                    let said = Said {
                        outcome: TrailOutcome::NotValidated,
                        reason: Some(NO_DIGEST.to_owned()),
                    };
                    (said, None)
                }
            };
            spans.push(Span {
                from_ms: edge[0],
                to_ms: edge[1],
                said,
                file,
            });
        }
        joined(spans)
    }
}

struct Span {
    from_ms: i64,
    to_ms: i64,
    said: Said,
    file: Option<String>,
}

/// Neighbours of which the same is said become one; the first file speaks.
fn joined(spans: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.said == span.said => {
                last.to_ms = span.to_ms;
                last.file = last.file.take().or(span.file);
            }
            _ => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: (i64, i64) = (0, 10 * HOUR_MS);

    fn hours(from: i64, to: i64) -> (i64, i64) {
        (from * HOUR_MS, to * HOUR_MS)
    }

    fn rows(readings: Readings) -> Vec<TrailReading> {
        let account = "111122223333".parse().expect("an id");
        let region = "eu-west-1".parse().expect("a Region");
        readings.rows(Date::from_days(0), (&account, &region), WINDOW)
    }

    fn told(readings: Readings) -> Vec<(i64, i64, &'static str, Option<String>)> {
        let rows = rows(readings).into_iter();
        rows.map(|row| {
            let hours = (row.from_ms / HOUR_MS, row.to_ms / HOUR_MS);
            (hours.0, hours.1, row.outcome.as_str(), row.reason)
        })
        .collect()
    }

    fn whole() -> Readings {
        let mut readings = Readings::default();
        for hour in -3..13 {
            readings.validated(hours(hour, hour + 1));
        }
        readings
    }

    #[test]
    fn a_chain_without_a_gap_is_one_row() {
        assert_eq!(told(whole()), [(0, 10, "validated", None)]);
        let rows = rows(whole());
        assert_eq!((rows[0].digests, rows[0].files_wanting), (10, 0));
    }

    #[test]
    fn what_is_wanting_takes_the_hour_before_with_it() {
        let mut readings = whole();
        let file = |name: &str| Some(name.to_owned());
        readings.wanting(
            hours(4, 5),
            TrailOutcome::Failed,
            "LogFileChanged",
            file("b"),
        );
        readings.wanting(
            hours(4, 5),
            TrailOutcome::Failed,
            "LogFileChanged",
            file("a"),
        );
        let rows = rows(readings);
        let of = |row: &TrailReading| (row.from_ms / HOUR_MS, row.to_ms / HOUR_MS, row.outcome);
        use TrailOutcome::*;
        assert_eq!(
            rows.iter().map(of).collect::<Vec<_>>(),
            [(0, 3, Validated), (3, 5, Failed), (5, 10, Validated)]
        );
        assert_eq!(
            (rows[1].file.as_deref(), rows[1].files_wanting),
            (Some("a"), 2)
        );
    }

    #[test]
    fn the_end_needs_what_was_delivered_after_it() {
        let mut readings = Readings::default();
        for hour in -1..10 {
            readings.validated(hours(hour, hour + 1));
        }
        let no_digest = Some("NoDigest".to_owned());
        assert_eq!(
            told(readings),
            [
                (0, 9, "validated", None),
                (9, 10, "not_validated", no_digest.clone())
            ]
        );
        assert_eq!(
            told(Readings::default()),
            [(0, 10, "not_validated", no_digest)]
        );
    }

    proptest! {
        /// The rows join without a gap, whatever is said, and no instant is validated of whose delivery
        /// something worse is said.
        #[test]
        fn rows_join(said in proptest::collection::vec((-3i64..14, 1i64..4, 0usize..4), 0..20)) {
            let mut readings = Readings::default();
            for (from, length, what) in &said {
                let time = hours(*from, from + length);
                match what {
                    0 => readings.validated(time),
                    1 => readings.wanting(time, TrailOutcome::NotValidated, "NotInDigest", None),
                    2 => readings.wanting(time, TrailOutcome::NotRead, "AccessDenied", None),
                    _ => readings.wanting(time, TrailOutcome::Failed, "LogFileMissing", None),
                }
            }
            let rows = rows(readings);
            prop_assert_eq!(rows.first().map(|row| row.from_ms), Some(WINDOW.0));
            prop_assert_eq!(rows.last().map(|row| row.to_ms), Some(WINDOW.1));
            for pair in rows.windows(2) {
                prop_assert_eq!(pair[0].to_ms, pair[1].from_ms);
            }
            for row in rows.iter().filter(|row| row.outcome == TrailOutcome::Validated) {
                for (from, length, what) in &said {
                    let (from, to) = hours(*from, from + length);
                    let delivered = (row.from_ms, row.to_ms + LATE_MS);
                    let meets = from < delivered.1 && delivered.0 < to;
                    prop_assert!(*what == 0 || !meets, "{:?} {} {}", row, from, what);
                }
            }
        }
    }
}
