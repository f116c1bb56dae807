//! Jobs of which one run knows more than another: accounts of their own, so that each stands alone.

use super::super::*;
use super::daily::*;
use crate::model::datasets::Reencryption;
use crate::model::words::Reencrypted;

/// Versions of every job.
const ALL_OF_IT: i64 = 400;

/// What a completion report says.
fn report(moved: i64, unknown: i64) -> Reencryption {
    Reencryption {
        versions_total: ALL_OF_IT,
        versions_moved: Some(moved),
        bytes_moved: Some(10 * moved),
        versions_unknown: Some(unknown),
        ended_ms: Some(1),
        ..row()
    }
}

/// What the job's own counters say.
fn counters(succeeded: Option<i64>, has_ended: bool) -> Reencryption {
    Reencryption {
        shown_by: Reencrypted::JobCounts,
        versions_total: ALL_OF_IT,
        versions_unknown: succeeded,
        ended_ms: has_ended.then_some(1),
        ..row()
    }
}

/// What two snapshots show of one key.
fn snapshots(moved: i64, unknown: i64, wanted: Option<bool>) -> Reencryption {
    Reencryption {
        shown_by: Reencrypted::Snapshots,
        evidence: "t1/t2".to_owned(),
        target_wanted: wanted,
        ..report(moved, unknown)
    }
}

fn under(key: &str, told: Reencryption) -> Reencryption {
    Reencryption {
        target_key: key.to_owned(),
        ..told
    }
}

/// Nobody can tell any more which bucket it is about.
fn nowhere(told: Reencryption) -> Reencryption {
    Reencryption {
        bucket: String::new(),
        ..told
    }
}

fn row() -> Reencryption {
    testkit::reencryption(account_id(ANN), region(), "logs", "job")
}

/// What runs of days tell.
type ByDay = Vec<(i64, Reencryption)>;
type Figures = &'static [(&'static str, i64)];
/// Account; what is told of it; what counts in the quarter.
type Case = (&'static str, ByDay, Figures);

fn cases() -> Vec<Case> {
    vec![
        // The report cannot be read any more.
        (
            "000000000001",
            vec![(10, report(400, 0)), (40, counters(Some(400), true))],
            &[("moved_versions", 400), ("unknown_versions", 0)],
        ),
        (
            "000000000002",
            vec![
                (10, report(400, 0)),
                (40, nowhere(counters(Some(400), true))),
            ],
            &[("moved_versions", 400), ("unknown_versions", 0)],
        ),
        // At work at first; what its counters said is taken back with its report.
        (
            "000000000003",
            vec![
                (5, nowhere(counters(Some(200), false))),
                (10, report(400, 0)),
            ],
            &[("moved_versions", 400), ("unknown_versions", 0)],
        ),
        (
            "000000000004",
            vec![
                (-1, nowhere(counters(Some(200), false))),
                (10, report(400, 0)),
            ],
            &[("moved_versions", 400), ("unknown_versions", -200)],
        ),
        // Keys cannot be described any more, or at first.
        (
            "000000000005",
            vec![(10, report(400, 0)), (11, report(0, 400))],
            &[
                ("moved_versions", 400),
                ("moved_bytes", 4_000),
                ("unknown_versions", 0),
            ],
        ),
        (
            "000000000006",
            vec![(10, report(0, 400)), (11, report(400, 0))],
            &[("moved_versions", 400), ("unknown_versions", 0)],
        ),
        // S3 does not show it any more.
        (
            "000000000007",
            vec![(10, report(400, 0))],
            &[("moved_versions", 400), ("unknown_versions", 0)],
        ),
        // All was counted before the quarter.
        (
            "000000000008",
            vec![(-1, report(400, 0)), (10, counters(Some(400), true))],
            &[("moved_versions", 0), ("unknown_versions", 0)],
        ),
        // Counters alone, of a job that ended; then none.
        (
            "000000000009",
            vec![
                (10, counters(Some(100), false)),
                (20, counters(Some(350), true)),
                (30, counters(None, true)),
            ],
            &[("moved_versions", 0), ("unknown_versions", 350)],
        ),
        (
            "000000000010",
            vec![
                (10, counters(Some(100), false)),
                (20, counters(Some(150), false)),
            ],
            &[("unknown_versions", 150)],
        ),
        // Of equals the newest: a correction.
        (
            "000000000011",
            vec![(10, report(400, 0)), (11, report(390, 0))],
            &[("moved_versions", 390), ("moved_bytes", 3_900)],
        ),
        (
            "000000000012",
            vec![
                (30, snapshots(7, 0, Some(true))),
                (31, snapshots(0, 7, None)),
            ],
            &[("moved_versions", 7), ("unknown_versions", 0)],
        ),
        // A key that cannot be read any more has a row for that alone, of versions that moved nowhere.
        (
            "000000000014",
            vec![
                (30, under("a", snapshots(3, 0, Some(true)))),
                (31, under("a", snapshots(0, 3, Some(true)))),
                (31, under("b", snapshots(0, 5, None))),
            ],
            &[("moved_versions", 3), ("unknown_versions", 0)],
        ),
        // Nobody names the key: neither progress nor elsewhere.
        (
            "000000000013",
            vec![(30, snapshots(5, 0, None))],
            &[
                ("moved_versions", 0),
                ("moved_elsewhere_versions", 0),
                ("moved_elsewhere_bytes", 0),
                ("moved_key_unknown_versions", 5),
                ("moved_key_unknown_bytes", 50),
            ],
        ),
    ]
}

/// Accounts with a job each, of which runs know different things.
pub(super) fn forgotten() -> Told {
    let quarter: Quarter = "2026Q4".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let daily = Daily {
        clusters: &[],
        accounts: &|_| vec![ANN],
        window: &every_launch(-1),
    };
    daily.add(&mut evidence, -1..=91);
    let mut stated = Vec::new();
    for (account, told, figures) in cases() {
        for (day, row) in told {
            let rows = of_day(quarter, day, vec![row], |row, scheduled_for| Reencryption {
                scheduled_for,
                account_id: account_id(account),
                ..row
            });
            evidence.add(rows);
        }
        let of = |column, value| ("logs_reencrypted", "account", account, column, value);
        stated.push(of("evidences", 1));
        stated.extend(figures.iter().map(|(column, value)| of(column, *value)));
    }
    Told {
        name: "forgotten",
        evidence,
        stated,
    }
}
