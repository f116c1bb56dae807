//! Quarters in which one thing is unusual.

use super::super::*;
use super::daily::*;
use crate::model::datasets::{BackfilledLaunch, Launch, LogBucket, TrailReading};
use crate::model::ids::Region;
use crate::model::words::{AttemptBucket, EventSource, LaunchClass, Population, TrailOutcome};

pub(super) fn no_clusters() -> Told {
    let mut evidence = Evidence::of("2026Q1".parse().expect("quarter"));
    let daily = Daily {
        clusters: &[],
        accounts: &both,
        window: &every_launch(0),
    };
    daily.add(&mut evidence, 0..90);
    let mut stated = Vec::new();
    for (measure, columns) in [
        (
            "compliant_share",
            &[
                "end_compliant",
                "end_non_compliant",
                "end_unknown",
                "compliant_ms",
                "unobserved_ms",
            ][..],
        ),
        (
            "time_to_remediate",
            &[
                "opened",
                "replaced",
                "ended",
                "open_count",
                "detected_sum_ms",
            ],
        ),
        (
            "launch_attempts",
            &[
                "events",
                "attempts",
                "clusters_launched",
                "blocked_attempts",
            ],
        ),
        ("logs_reencrypted", &["evidences", "buckets"]),
        ("key_cost", &["log_keys", "key_month_nano_usd", "buckets"]),
    ] {
        stated.push((measure, ORG, ALL, "runs_of_record", 90));
        stated.push((measure, ORG, ALL, "days_expected", 90));
        stated.extend(columns.iter().map(|column| (measure, ORG, ALL, *column, 0)));
    }
    // Nobody asked for jobs or counted a bucket.
    for column in [
        "moved_bytes",
        "moved_key_unknown_bytes",
        "remaining_bytes",
        "under_key_bytes",
        "prefixes_in_part",
    ] {
        stated.push(("logs_reencrypted", ORG, ALL, column, NULL));
    }
    // From the last run to the end nobody looked yet.
    stated.push((
        "launch_attempts",
        ORG,
        ALL,
        "unobserved_ms",
        2 * 22 * HOUR_MS,
    ));
    stated.push(("key_cost", ORG, ALL, "audit_calls", 90 * 2 * 3));
    Told {
        name: "no_clusters",
        evidence,
        stated,
    }
}

/// Days 30 to 60 nobody could judge most clusters; days 40 to 59 nobody could read launches.
pub(super) fn many_unknown() -> Told {
    let quarter: Quarter = "2026Q2".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let dark = |day: &i64| (30..=60).contains(day);
    let mut clusters = vec![
        // Bad from day 20, mended on day 66: UNKNOWN between did not close it.
        Cluster::new(ANN, "j-1", "one", (-100, None), move |day| match day {
            day if dark(&day) => Unknown,
            20..=65 => NonCompliant,
            _ => Compliant,
        }),
        // Found bad after the dark: UNKNOWN did not open it.
        Cluster::new(ANN, "j-2", "two", (-100, None), move |day| match day {
            day if dark(&day) => Unknown,
            61.. => NonCompliant,
            _ => Compliant,
        }),
        Cluster::new(NOBODY, "j-3", "three", (-100, None), |_| Unknown),
    ];
    clusters.extend((4..=10).map(|n| {
        Cluster::new(
            NOBODY,
            format!("j-{n}"),
            "fleet",
            (-100, None),
            move |day| {
                if dark(&day) { Unknown } else { Compliant }
            },
        )
    }));
    let observed = |day: i64| match day {
        40..60 => None,
        60 => Some((24 * 58 + AT, 24 * 60 + AT)),
        day => every_launch(0)(day),
    };
    let daily = Daily {
        clusters: &clusters,
        accounts: &both,
        window: &observed,
    };
    daily.add(&mut evidence, 0..=91);
    let unknown = |n: i64, class| {
        let id = format!("e{n}");
        event(
            quarter,
            (&id, &id),
            (ANN, 24 * n),
            (class, AttemptBucket::Unknown),
        )
    };
    launches_of_day(
        &mut evidence,
        9,
        vec![
            unknown(1, LaunchClass::AcceptedParamsUnavailable),
            unknown(2, LaunchClass::AcceptedParamsUnavailable),
            unknown(3, LaunchClass::AcceptedKeyUnknown),
        ],
    );
    let share = |column, value| ("compliant_share", ORG, ALL, column, value);
    let mend = |column, value| ("time_to_remediate", ORG, ALL, column, value);
    let launch = |column, value| ("launch_attempts", ORG, ALL, column, value);
    Told {
        name: "many_unknown",
        evidence,
        stated: vec![
            share("end_compliant", 8),
            share("end_non_compliant", 1),
            share("end_unknown", 1),
            // j-3 on 91 days, nine others on 31.
            share("days_unknown", 91 + 9 * 31),
            // j-1 on days 20 to 29 and 61 to 65, j-2 on days 61 to 90.
            share("days_non_compliant", 10 + 5 + 30),
            share("days_compliant", 9 * (91 - 31) - (10 + 5 + 30)),
            share("cells_open", 20 * 2),
            mend("opened", 2),
            mend("fixed_in_place", 1),
            mend("open_count", 1),
            mend("detected_sum_ms", 46 * 24 * HOUR_MS),
            mend("detected_median_ms", 46 * 24 * HOUR_MS),
            mend("open_age_sum_ms", 29 * 24 * HOUR_MS),
            launch("unknown_events", 3),
            launch("unknown_attempts", 3),
            launch("flagged_attempts", 0),
            launch("accepted_params_unavailable_attempts", 2),
            launch("accepted_key_unknown_attempts", 1),
            // From the run of day 39 to two days before that of day 60.
            launch("unobserved_ms", 2 * (58 - 39) * 24 * HOUR_MS),
        ],
    }
}

/// No runs on days 20 to 24. Later backfills bring two events and close the gap: another edition.
pub(super) fn missed_days(backfilled: bool) -> Told {
    let quarter: Quarter = "2026Q3".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    // Bad from day 15, found mended only after the hole.
    let clusters = [
        Cluster::new(ANN, "j-1", "one", (-100, None), |day| {
            if (15..=22).contains(&day) {
                NonCompliant
            } else {
                Compliant
            }
        }),
        // Came and went in the hole; the next run tells of it.
        Cluster::new(ANN, "j-2", "two", (490, Some(495)), |_| NonCompliant),
    ];
    let daily = Daily {
        clusters: &clusters,
        accounts: &|_| vec![ANN],
        window: &every_launch(0),
    };
    daily.add(&mut evidence, (0..20).chain(25..92));
    let flagged = (LaunchClass::AcceptedNoncompliant, AttemptBucket::Flagged);
    launches_of_day(
        &mut evidence,
        30,
        vec![event(quarter, ("e1", "e1"), (ANN, 700), flagged)],
    );
    if backfilled {
        let blocked = (LaunchClass::DeniedNoncompliant, AttemptBucket::Blocked);
        let trail = |day: i64, id, hour, class| {
            BackfilledLaunch(Launch {
                scheduled_for: at(quarter, 24 * day).date(),
                read_from: EventSource::OrganizationTrail,
                ..event(quarter, (id, id), (ANN, hour), class)
            })
        };
        let of_a_cluster = BackfilledLaunch(Launch {
            cluster_id: Some("j-2".to_owned()),
            population: Population::Unknown,
            ..trail(96, "e2", 490, flagged).0
        });
        // Two backfills: the newer one counts, and neither where a run recorded the event.
        evidence.add(vec![
            trail(95, "e2", 490, blocked),
            trail(95, "e3", 491, blocked),
        ]);
        evidence.add(vec![of_a_cluster, trail(96, "e1", 700, blocked)]);
        let read = |from, to, outcome| TrailReading {
            from_ms: at(quarter, from).0,
            to_ms: at(quarter, to).0,
            outcome,
            ..testkit::trail_reading(account_id(ANN), region(), at(quarter, from))
        };
        // What failed counts as nothing; that time a run looked at.
        evidence.add(vec![
            read(-24, 600, TrailOutcome::Validated),
            read(600, 603, TrailOutcome::Failed),
            read(603, 93 * 24, TrailOutcome::Validated),
        ]);
    }
    let share = |column, value| ("compliant_share", ORG, ALL, column, value);
    let mend = |column, value| ("time_to_remediate", ORG, ALL, column, value);
    let launch = |column, value| ("launch_attempts", ORG, ALL, column, value);
    let (events, blocked, trail, unobserved) = if backfilled {
        (3, 1, 2, 0)
    } else {
        // From the run of day 19 to two days before that of day 25; from that of day 91 to the end.
        (1, 0, 0, (23 - 19) * 24 + 22)
    };
    Told {
        name: if backfilled {
            "missed_days_and_late_data"
        } else {
            "missed_days"
        },
        evidence,
        stated: vec![
            share("runs_of_record", 87),
            share("days_expected", 92),
            share("days_compliant", 87 - 5),
            share("days_non_compliant", 5),
            // The two hours before the first run; the verdict of day 19 holds for 48 hours of 144; j-2
            // ended before what the next run may speak for.
            share("unobserved_ms", (2 + 144 - 48 + 5) * HOUR_MS),
            share("non_compliant_ms", (4 * 24 + 48) * HOUR_MS),
            mend("opened", 2),
            mend("fixed_in_place", 1),
            mend("detected_sum_ms", 10 * 24 * HOUR_MS),
            // j-2 ended after 495 hours; by the run of day 51 nothing had followed for 720.
            mend("ended", 1),
            mend("open_count", 0),
            launch("events", events),
            launch("attempts", events),
            launch("blocked_attempts", blocked),
            launch("flagged_attempts", events - blocked),
            launch("trail_events", trail),
            launch("unobserved_ms", unobserved * HOUR_MS),
            // The event of j-2, which a run judged.
            launch("launches_seen", i64::from(backfilled)),
            launch("clusters_without_event", i64::from(!backfilled)),
        ],
    }
}

/// An account with a bad cluster is seen for the last time on day 39.
pub(super) fn account_leaves() -> Told {
    let quarter: Quarter = "2027Q1".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let clusters = [
        Cluster::new(ANN, "j-1", "one", (-100, None), |_| Compliant),
        Cluster::new(NOBODY, "j-2", "two", (-100, None), |day| {
            if day < 10 { Compliant } else { NonCompliant }
        }),
        Cluster::new(NOBODY, "j-3", "three", (-100, None), |_| Compliant),
    ];
    let daily = Daily {
        clusters: &clusters,
        accounts: &|day| if day < 40 { both(day) } else { vec![ANN] },
        window: &every_launch(0),
    };
    daily.add(&mut evidence, 0..=90);
    let share = |kind, scope, column, value| ("compliant_share", kind, scope, column, value);
    let mend = |column, value| ("time_to_remediate", "account", NOBODY, column, value);
    let launch = |scope, column, value| ("launch_attempts", "account", scope, column, value);
    Told {
        name: "account_leaves",
        evidence,
        stated: vec![
            share(ORG, ALL, "end_compliant", 1),
            share(ORG, ALL, "end_non_compliant", 0),
            share(ORG, ALL, "days_compliant", 90 + 10 + 40),
            share("account", NOBODY, "days_non_compliant", 30),
            // From the quarter's start to the first run, by clusters that were there before.
            share("account", NOBODY, "unobserved_ms", 2 * 2 * HOUR_MS),
            share("account", NOBODY, "cells", 40 * 3),
            share("account", NOBODY, "end_cells", 0),
            // Nobody saw it mended, and nobody saw it end.
            mend("open_count", 1),
            mend("ended", 0),
            mend("open_age_max_ms", (89 - 10) * 24 * HOUR_MS),
            launch(NOBODY, "expected_ms", (40 * 24 + AT) * HOUR_MS),
            // Between the last run that expected it and the next.
            launch(NOBODY, "unobserved_ms", 24 * HOUR_MS),
            launch(ANN, "expected_ms", 90 * 24 * HOUR_MS),
            launch(ANN, "unobserved_ms", 0),
        ],
    }
}

/// One cluster a night for an hour, until day 60.
pub(super) fn nightly() -> Told {
    let mut evidence = Evidence::of("2027Q2".parse().expect("quarter"));
    let bad = |day: i64| matches!(day, 10..=14 | 30 | 58..=60);
    let clusters: Vec<Cluster> = (0..=60)
        .map(|day| {
            let life = (24 * day, Some(24 * day + 1));
            Cluster::new(ANN, format!("j-{day}"), "nightly-#", life, move |_| {
                if bad(day) { NonCompliant } else { Compliant }
            })
        })
        .collect();
    let daily = Daily {
        clusters: &clusters,
        accounts: &|_| vec![ANN],
        window: &every_launch(0),
    };
    daily.add(&mut evidence, 0..=91);
    let share = |column, value| ("compliant_share", ORG, ALL, column, value);
    let mend = |column, value| ("time_to_remediate", ORG, ALL, column, value);
    Told {
        name: "nightly",
        evidence,
        stated: vec![
            share("end_compliant", 0),
            share("end_non_compliant", 0),
            share("days_compliant", 0),
            share("compliant_ms", 52 * HOUR_MS),
            share("non_compliant_ms", 9 * HOUR_MS),
            share("unobserved_ms", 0),
            // 10 to 15, 30 to 31, and from 58 on none followed.
            mend("opened", 3),
            mend("reopened", 2),
            mend("fixed_in_place", 0),
            mend("replaced", 2),
            mend("ended", 1),
            mend("open_count", 0),
            mend("detected_sum_ms", (120 + 24) * HOUR_MS),
            mend("detected_median_ms", 24 * HOUR_MS),
            mend("detected_p90_ms", 120 * HOUR_MS),
            mend("exposed_sum_ms", (122 + 26) * HOUR_MS),
            ("launch_attempts", ORG, ALL, "clusters_launched", 61),
            ("launch_attempts", ORG, ALL, "clusters_without_event", 61),
        ],
    }
}

/// One account is never entered, another not before day 10; of two log
/// buckets one is counted, and the jobs of the other's account are asked for.
pub(super) fn never_entered() -> Told {
    const LATE: &str = "333333333333";
    let quarter: Quarter = "2027Q3".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let daily = Daily {
        clusters: &[],
        accounts: &|day| {
            if day < 10 { vec![ANN] } else { vec![ANN, LATE] }
        },
        window: &every_launch(0),
    };
    daily.add(&mut evidence, 0..=91);
    for day in 0..=91 {
        let dark = if day < 10 {
            vec![NOBODY, LATE]
        } else {
            vec![NOBODY]
        };
        let date = at(quarter, 24 * day + AT).date();
        let cells = dark.iter().flat_map(|account| {
            [Source::BucketOwners, Source::Regions, Source::Trails].map(|source| Coverage {
                scheduled_for: date,
                outcome: CellOutcome::DeniedTrust,
                ..testkit::coverage(account_id(account), Region::global(), source)
            })
        });
        evidence.add(cells.collect::<Vec<_>>());
        let told = dark.iter().map(|id| Account {
            scheduled_for: date,
            ou_path: Some(format!("o-1/r-1/ou-{id}/")),
            ..testkit::account(account_id(id))
        });
        evidence.add(told.collect::<Vec<_>>());
    }
    let bucket = |account, name| testkit::log_bucket(account_id(account), region(), name);
    let buckets = vec![bucket(ANN, "logs-a"), bucket(LATE, "logs-b")];
    evidence.add(of_day(quarter, 91, buckets, |row, scheduled_for| {
        LogBucket {
            scheduled_for,
            ..row
        }
    }));
    let cell = |account, source, region| testkit::coverage(account_id(account), region, source);
    let looked = vec![
        Coverage {
            outcome: CellOutcome::Empty,
            ..cell(ANN, Source::Reencryption, region())
        },
        // The inventory of the bucket was read, and no log object is in it.
        cell(LATE, Source::LogHistory, Region::global()),
        Coverage {
            outcome: CellOutcome::DeniedTrust,
            ..cell(LATE, Source::Reencryption, region())
        },
        Coverage {
            outcome: CellOutcome::Partial,
            ..cell(ANN, Source::LogHistory, Region::global())
        },
    ];
    evidence.add(of_day(quarter, 91, looked, |row, scheduled_for| Coverage {
        scheduled_for,
        ..row
    }));
    let launch = |kind, scope, column, value| ("launch_attempts", kind, scope, column, value);
    let logs = |kind, scope, column, value| ("logs_reencrypted", kind, scope, column, value);
    let whole = 92 * 24 * HOUR_MS;
    // The first run that entered it looked back two days; the last run is 22 hours before the end.
    let late = (8 * 24 + AT + 22) * HOUR_MS;
    Told {
        name: "never_entered",
        evidence,
        stated: vec![
            launch("account", NOBODY, "cells", 1),
            launch("account", NOBODY, "expected_ms", whole),
            launch("account", NOBODY, "unobserved_ms", whole),
            launch("ou", "o-1/r-1/ou-222222222222/", "unobserved_ms", whole),
            launch("account", LATE, "cells", 1),
            launch("account", LATE, "expected_ms", whole),
            launch("account", LATE, "unobserved_ms", late),
            launch(ORG, ALL, "cells", 3),
            launch(ORG, ALL, "events", 0),
            launch(ORG, ALL, "unobserved_ms", whole + late + 22 * HOUR_MS),
            logs("account", ANN, "buckets", 1),
            logs("account", ANN, "buckets_reported", 0),
            logs("account", ANN, "moved_bytes", 0),
            logs("account", ANN, "remaining_bytes", NULL),
            logs("account", LATE, "buckets_reported", 1),
            logs("account", LATE, "moved_bytes", NULL),
            logs("account", LATE, "remaining_bytes", 0),
            logs("account", LATE, "prefixes_counted", 0),
            logs("account", ANN, "prefixes_in_part", NULL),
            logs(ORG, ALL, "buckets", 2),
            logs(ORG, ALL, "buckets_reported", 1),
            logs(ORG, ALL, "old_remaining_versions", 0),
            ("compliant_share", ORG, ALL, "end_cells_open", 3 + 2),
        ],
    }
}
