//! What opens and what closes an interval of a lineage.

use super::*;

const FIRST: i64 = 24;

/// A cluster of the lineage as the run of a day shows it: id, creation and end in hours after the
/// quarter's start, verdict.
fn shown(id: &str, created: i64, ended: Option<i64>, judged: Judgement) -> Verdict {
    Verdict {
        account_id: "111122223333".parse().expect("account id"),
        lineage: Some("etl".into()),
        ..verdict(id, judged, created, ended)
    }
}

fn by_rules(row: Verdict, before: Judgement) -> Verdict {
    Verdict {
        rule_change: Some(before),
        ..row
    }
}

/// The intervals that runs at 02:00 of `days` tell of: how, day of opening, day of closing.
fn told(days: Vec<(i64, Vec<Verdict>)>) -> Vec<(String, i64, Option<i64>)> {
    let intervals = remediation(days);
    let day = |date: crate::time::Date| i64::from(date.days() - quarter().first().days());
    intervals
        .into_iter()
        .map(|row| (row.how, day(row.opened_on), row.closed_on.map(day)))
        .collect()
}

/// As [`told`], as rows. Every run listed the clusters of the account.
fn remediation(days: Vec<(i64, Vec<Verdict>)>) -> Vec<Remediation> {
    let mut evidence = Evidence::new();
    for (day, rows) in days {
        let started = hour(24 * day + 2);
        evidence.run(started, rows);
        evidence.add(vec![Coverage {
            scheduled_for: started.date(),
            ..testkit::coverage(
                "111122223333".parse().expect("account id"),
                "eu-west-1".parse().expect("region"),
                Source::Clusters,
            )
        }]);
    }
    evidence.measures(2).expect("measures").remediation
}

fn fixed(opened: i64, closed: i64) -> (String, i64, Option<i64>) {
    ("fixed_in_place".to_owned(), opened, Some(closed))
}

fn replaced(opened: i64, closed: i64) -> (String, i64, Option<i64>) {
    ("replaced".to_owned(), opened, Some(closed))
}

fn ended(opened: i64, closed: i64) -> (String, i64, Option<i64>) {
    ("ended".to_owned(), opened, Some(closed))
}

fn open(opened: i64) -> (String, i64, Option<i64>) {
    ("open".to_owned(), opened, None)
}

/// Runs of the days from `first` on without a cluster of the lineage.
fn quiet(first: i64, last: i64) -> impl Iterator<Item = (i64, Vec<Verdict>)> {
    (first..=last).map(|day| (day, vec![]))
}

#[test]
fn the_same_cluster_mended_is_fixed_in_place_and_may_be_opened_again() {
    let row = |judged| vec![shown("j-1", FIRST, None, judged)];
    let rows = remediation(vec![
        (1, row(Compliant)),
        (2, row(NonCompliant)),
        (3, row(Unknown)),
        (5, row(NonCompliant)),
        (6, row(Compliant)),
        (7, row(NonCompliant)),
        (8, row(Unknown)),
    ]);
    let how: Vec<_> = rows.iter().map(|r| (r.how.as_str(), r.number)).collect();
    assert_eq!(how, [("fixed_in_place", 1), ("open", 2)]);
    assert_eq!(hours(rows[0].age_ms), 4 * 24);
    assert_eq!(rows[0].exposed_since_ms, hour(FIRST).0);
    assert_eq!((rows[0].alerted_at, rows[0].clusters), (None, 1));
    // Aged to the latest run.
    assert_eq!(hours(rows[1].age_ms), 24);
    assert_eq!(rows[1].closed_ms, None);
    assert_eq!(rows[1].cost_center.as_deref(), Some("cc-1"));
}

#[test]
fn what_was_never_bad_opens_nothing() {
    for judged in [Compliant, Unknown, NoLogs] {
        let days = (1..9).map(|day| (day, vec![shown("j-1", FIRST, None, judged)]));
        assert_eq!(told(days.collect()), []);
    }
}

#[test]
fn a_compliant_launch_replaces_only_when_nothing_bad_is_alive() {
    let bad = |ended| shown("j-1", FIRST, ended, NonCompliant);
    let good = || shown("j-2", 48, None, Compliant);
    assert_eq!(
        told(vec![
            (1, vec![bad(None)]),
            (2, vec![bad(None), good()]),
            (3, vec![bad(None), good()]),
            (4, vec![bad(Some(80)), good()]),
            (5, vec![good()]),
        ]),
        [replaced(1, 4)]
    );
    // The successor may be gone by then.
    assert_eq!(
        told(vec![
            (1, vec![bad(None)]),
            (2, vec![bad(None), shown("j-2", 48, Some(49), Compliant)]),
            (3, vec![bad(Some(60))]),
        ]),
        [replaced(1, 3)]
    );
    // A compliant cluster launched before is no successor.
    assert_eq!(
        told(vec![
            (1, vec![bad(None), shown("j-0", 0, None, Compliant)]),
            (2, vec![bad(Some(30)), shown("j-0", 0, None, Compliant)]),
            (3, vec![shown("j-0", 0, None, Compliant)]),
        ]),
        [open(1)]
    );
}

#[test]
fn a_cluster_that_is_no_longer_listed_is_gone() {
    let bad = || shown("j-1", FIRST, None, NonCompliant);
    assert_eq!(
        told(vec![
            (1, vec![bad()]),
            (2, vec![shown("j-2", 48, None, Compliant)]),
        ]),
        [replaced(1, 2)]
    );
}

#[test]
fn bad_and_replaced_between_two_runs_is_an_interval_of_no_time() {
    let rows = remediation(vec![
        (1, vec![]),
        (
            2,
            vec![
                shown("j-1", 30, Some(31), NonCompliant),
                shown("j-2", 40, Some(41), Compliant),
            ],
        ),
    ]);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].how.as_str(), rows[0].age_ms), ("replaced", 0));
    assert_eq!(rows[0].exposed_since_ms, hour(30).0);
}

#[test]
fn without_a_successor_for_30_days_it_ended() {
    let bad = |ended| vec![shown("j-1", FIRST, ended, NonCompliant)];
    let lone = |last| {
        let mut days = vec![(1, bad(None)), (2, bad(Some(40)))];
        days.extend(quiet(3, last));
        days
    };
    // 30 days after hour 40 is in day 31, after its run.
    assert_eq!(told(lone(31)), [open(1)]);
    assert_eq!(told(lone(33)), [ended(1, 32)]);
    // A launch within them keeps it open, whatever it is, and starts them anew.
    for judged in [Unknown, NoLogs] {
        let mut days = lone(20);
        days.push((21, vec![shown("j-2", 21 * 24, Some(21 * 24 + 1), judged)]));
        days.extend(quiet(22, 50));
        assert_eq!(told(days.clone()), [open(1)], "{judged}");
        days.extend(quiet(51, 52));
        assert_eq!(told(days), [ended(1, 51)], "{judged}");
    }
    // One after them is another interval.
    let mut days = lone(39);
    days.push((40, vec![shown("j-2", 40 * 24, None, NonCompliant)]));
    assert_eq!(told(days), [ended(1, 32), open(40)]);
}

#[test]
fn who_did_not_look_cannot_tell_that_it_ended() {
    let mut evidence = Evidence::new();
    for day in [1, 2, 40] {
        let rows = match day {
            1 => vec![shown("j-1", FIRST, None, NonCompliant)],
            2 => vec![shown("j-1", FIRST, Some(40), NonCompliant)],
            _ => vec![],
        };
        let started = hour(24 * day + 2);
        evidence.run(started, rows);
        evidence.add(vec![Coverage {
            scheduled_for: started.date(),
            outcome: if day == 40 {
                CellOutcome::DeniedScp
            } else {
                CellOutcome::Collected
            },
            ..testkit::coverage(
                "111122223333".parse().expect("account id"),
                "eu-west-1".parse().expect("region"),
                Source::Clusters,
            )
        }]);
    }
    let rows = evidence.measures(1).expect("measures").remediation;
    assert_eq!((rows.len(), rows[0].how.as_str()), (1, "open"));
}

#[test]
fn the_last_bad_cluster_decides_how_it_closed() {
    let mended = |judged| shown("j-1", FIRST, None, judged);
    let gone = |ended, judged| shown("j-2", 30, ended, judged);
    let days = || {
        vec![
            (1, vec![mended(NonCompliant)]),
            (2, vec![mended(NonCompliant), gone(None, NonCompliant)]),
            (3, vec![mended(Compliant), gone(None, NonCompliant)]),
            (4, vec![mended(Compliant), gone(Some(90), NonCompliant)]),
        ]
    };
    assert_eq!(told(days()), [open(1)]);
    let mut successor = days();
    successor.push((
        6,
        vec![mended(Compliant), shown("j-3", 140, None, Compliant)],
    ));
    assert_eq!(told(successor), [replaced(1, 6)]);
    let both = vec![
        (1, vec![mended(NonCompliant)]),
        (2, vec![mended(NonCompliant), gone(None, NonCompliant)]),
        (3, vec![mended(Compliant), gone(None, Compliant)]),
    ];
    let rows = remediation(both);
    assert_eq!((rows.len(), rows[0].how.as_str()), (1, "fixed_in_place"));
    assert_eq!(rows[0].clusters, 2);
}

#[test]
fn changed_rules_open_nothing_and_mend_nothing() {
    let row = |judged| shown("j-1", FIRST, None, judged);
    // New rules find it bad: nothing opens until it was compliant again.
    assert_eq!(
        told(vec![
            (1, vec![row(Compliant)]),
            (2, vec![by_rules(row(NonCompliant), Compliant)]),
            (3, vec![row(NonCompliant)]),
            (4, vec![row(Unknown)]),
            (5, vec![row(NonCompliant)]),
        ]),
        []
    );
    assert_eq!(
        told(vec![
            (1, vec![row(Compliant)]),
            (2, vec![by_rules(row(NonCompliant), Compliant)]),
            (3, vec![row(Compliant)]),
            (4, vec![row(NonCompliant)]),
        ]),
        [open(4)]
    );
    // New rules find it compliant: no remediation.
    assert_eq!(
        told(vec![
            (1, vec![row(NonCompliant)]),
            (2, vec![by_rules(row(Compliant), NonCompliant)]),
            (3, vec![row(Compliant)]),
        ]),
        [ended(1, 2)]
    );
    // Nor does such a cluster replace another.
    assert_eq!(
        told(vec![
            (
                1,
                vec![shown("j-0", 0, Some(25), NonCompliant), row(NonCompliant)]
            ),
            (2, vec![by_rules(row(Compliant), NonCompliant)]),
            (3, vec![row(Compliant)]),
        ]),
        [open(1)]
    );
}

#[test]
fn lineages_are_those_of_one_account_and_region() {
    let rows = remediation(vec![
        (
            1,
            vec![
                shown("j-1", FIRST, None, NonCompliant),
                Verdict {
                    region: "eu-central-1".parse().expect("region"),
                    ..shown("j-2", FIRST, None, NonCompliant)
                },
                Verdict {
                    lineage: None,
                    ..shown("j-3", FIRST, None, NonCompliant)
                },
            ],
        ),
        (
            2,
            vec![
                shown("j-1", FIRST, None, Compliant),
                Verdict {
                    region: "eu-central-1".parse().expect("region"),
                    ..shown("j-2", FIRST, None, NonCompliant)
                },
            ],
        ),
    ]);
    let told: Vec<_> = rows
        .iter()
        .map(|r| (r.region.as_str(), r.lineage.as_str(), r.how.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("eu-central-1", "etl", "open"),
            ("eu-west-1", "etl", "fixed_in_place"),
            ("eu-west-1", "j-3", "open"),
        ]
    );
}

#[test]
fn what_closed_before_the_quarter_is_left_out() {
    let row = |judged| vec![shown("j-1", -2000, None, judged)];
    assert_eq!(
        told(vec![
            (-60, row(NonCompliant)),
            (-59, row(Compliant)),
            (-50, row(NonCompliant)),
            (3, row(Compliant)),
            // After the quarter.
            (93, row(NonCompliant)),
        ]),
        [fixed(-50, 3)]
    );
}
