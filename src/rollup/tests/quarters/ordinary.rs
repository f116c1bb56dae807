//! A quarter in which everything happens.

use super::super::*;
use super::daily::*;
use crate::model::datasets::{Channel, KmsKey, Launch, LogBucket, LogObjectSummary, Reencryption};
use crate::model::words::{AttemptBucket, LaunchClass, Lookup, Meets, Population, Reencrypted};

/// Repairs, a replacement, one that ended, one from the quarter before, one that stays open; launches,
/// re-encryption and keys.
pub(super) fn ordinary() -> Told {
    let quarter: Quarter = "2026Q4".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let clusters = [
        Cluster::new(ANN, "j-a1", "a", (-1000, None), |_| Compliant),
        // Found bad by the run of day 10, mended by that of day 15.
        Cluster::new(ANN, "j-a2", "etl", (240, None), |day| {
            if day < 15 { NonCompliant } else { Compliant }
        }),
        Cluster::new(ANN, "j-a3", "quiet", (-10, None), |_| NoLogs),
        // Launched 20 days in, ended after 700 hours, known on day 30; its successor is seen on day 27.
        Cluster::new(NOBODY, "j-b1", "b", (480, Some(700)), |_| NonCompliant),
        Cluster::new(NOBODY, "j-b2", "b", (649, None), |_| Compliant),
        Cluster::new(NOBODY, "j-b3", "c", (1200, None), |_| NonCompliant),
        // Ends after 291 hours: that nothing followed for 720 hours is known on day 43.
        Cluster::new(NOBODY, "j-b4", "d", (240, Some(291)), |_| NonCompliant),
        // Found bad on the day before the quarter, mended on day 5.
        Cluster::new(NOBODY, "j-b5", "e", (-500, None), |day| {
            if day < 5 { NonCompliant } else { Compliant }
        }),
    ];
    let daily = Daily {
        clusters: &clusters,
        accounts: &both,
        window: &every_launch(-1),
    };
    daily.add(&mut evidence, -1..=92);

    use AttemptBucket as B;
    use LaunchClass as C;
    let seen = |cluster: &str, row: Launch| Launch {
        cluster_id: Some(cluster.to_owned()),
        population: Population::Seen,
        ..row
    };
    let e1 = event(
        quarter,
        ("e1", "t1"),
        (ANN, 240),
        (C::AcceptedNoncompliant, B::Flagged),
    );
    // Two runs tell of it; the first did not know yet whether the cluster is there.
    launches_of_day(
        &mut evidence,
        10,
        vec![Launch {
            cluster_id: Some("j-a2".to_owned()),
            population: Population::Unknown,
            security_configuration_approved: Some(true),
            ..e1.clone()
        }],
    );
    launches_of_day(
        &mut evidence,
        11,
        vec![seen(
            "j-a2",
            Launch {
                security_configuration_approved: Some(true),
                ..e1
            },
        )],
    );
    let denied = |id, attempt, hour, class, meets| Launch {
        parameters_meet: meets,
        params_available: meets != Meets::Unknown,
        ..event(quarter, (id, attempt), (ANN, hour), (class, B::Blocked))
    };
    launches_of_day(
        &mut evidence,
        5,
        vec![
            denied("e5", "t5", 100, C::DeniedNoncompliant, Meets::No),
            denied("e6", "t5", 100, C::DeniedNoncompliant, Meets::No),
            denied("e7", "t7", 101, C::DeniedParamsUnavailable, Meets::Unknown),
            event(
                quarter,
                ("e8", "t8"),
                (NOBODY, 102),
                (C::Throttled, B::None),
            ),
        ],
    );
    launches_of_day(
        &mut evidence,
        60,
        vec![
            Launch {
                security_configuration_approved: Some(false),
                ..seen(
                    "j-b1",
                    event(
                        quarter,
                        ("e2", "t2"),
                        (NOBODY, 480),
                        (C::AcceptedNoncompliant, B::Flagged),
                    ),
                )
            },
            seen(
                "j-b2",
                event(
                    quarter,
                    ("e3", "t3"),
                    (NOBODY, 649),
                    (C::AcceptedCompliant, B::None),
                ),
            ),
            seen(
                "j-b3",
                event(
                    quarter,
                    ("e4", "t4"),
                    (NOBODY, 1200),
                    (C::AcceptedNoLogPlace, B::Flagged),
                ),
            ),
            Launch {
                cluster_id: Some("j-ghost".to_owned()),
                population: Population::NotSeen,
                ..event(
                    quarter,
                    ("e9", "t9"),
                    (NOBODY, 1300),
                    (C::AcceptedCompliant, B::None),
                )
            },
            // Not of this quarter.
            event(quarter, ("e0", "t0"), (NOBODY, -1), (C::Throttled, B::None)),
            event(
                quarter,
                ("ea", "ta"),
                (NOBODY, 92 * 24),
                (C::Throttled, B::None),
            ),
        ],
    );
    history(&mut evidence);
    keys(&mut evidence);
    Told {
        name: "ordinary",
        evidence,
        stated: stated_ordinary(),
    }
}

/// A job that began before the quarter and ended in it, and snapshots of the same bucket and of another.
fn history(evidence: &mut Evidence) {
    let quarter = evidence.inputs.quarter;
    let job = |day, versions: i64, failed, left| {
        let row = Reencryption {
            versions_moved: Some(versions),
            bytes_moved: Some(10 * versions),
            versions_failed: Some(failed),
            bytes_left_behind: Some(left),
            ..testkit::reencryption(account_id(ANN), region(), "logs-a", "job-1")
        };
        of_day(quarter, day, vec![row], |row, scheduled_for| Reencryption {
            scheduled_for,
            ..row
        })
    };
    evidence.add(job(-1, 100, 2, 0));
    evidence.add(job(20, 400, 5, 50));
    evidence.add(job(21, 400, 5, 50));
    let snapshots = |account, bucket, versions: i64, wanted| Reencryption {
        shown_by: Reencrypted::Snapshots,
        target_wanted: wanted,
        versions_moved: Some(versions),
        bytes_moved: Some(10 * versions),
        ..testkit::reencryption(account_id(account), region(), bucket, "t1/t2")
    };
    evidence.add(of_day(
        quarter,
        30,
        vec![
            snapshots(ANN, "logs-a", 99, Some(true)),
            snapshots(NOBODY, "logs-b", 10, Some(true)),
            snapshots(NOBODY, "logs-c", 7, None),
            snapshots(NOBODY, "logs-d", 4, Some(false)),
        ],
        |row, scheduled_for| Reencryption {
            scheduled_for,
            ..row
        },
    ));
    let lies = |prefix, encryption, is_latest, versions: i64| LogObjectSummary {
        is_latest,
        versions,
        bytes: Some(10 * versions),
        ..testkit::log_object_summary(account_id(ANN), region(), "logs-a", prefix, encryption)
    };
    let dated = |row, scheduled_for| LogObjectSummary {
        scheduled_for,
        ..row
    };
    evidence.add(of_day(
        quarter,
        50,
        vec![lies("emr/", "sse_s3", true, 1_000)],
        dated,
    ));
    evidence.add(of_day(
        quarter,
        90,
        vec![
            lies("emr/", "customer_key", true, 500),
            lies("emr/", "sse_s3", true, 40),
            lies("emr/", "sse_s3", false, 7),
            lies("emr/", "kms_key_unknown", true, 3),
            // Its listing was cut off; of the other nobody said.
            LogObjectSummary {
                complete: Some(false),
                ..lies("emr/team/", "sse_s3", true, 20)
            },
            LogObjectSummary {
                complete: None,
                ..lies("emr/old/", "unknown", true, 0)
            },
        ],
        dated,
    ));
}

/// A key in use under two names, one whose last cluster is gone, one that will be deleted, one that
/// nobody may describe; three buckets.
fn keys(evidence: &mut Evidence) {
    let quarter = evidence.inputs.quarter;
    let arn = |account: &str, key: &str| format!("arn:aws:kms:{REGION}:{account}:key/{key}");
    let key =
        |account, name: &str| testkit::kms_key(account_id(account), region(), &arn(account, name));
    let dated = |row, scheduled_for| KmsKey {
        scheduled_for,
        ..row
    };
    let early = vec![
        key(NOBODY, "2"),
        KmsKey {
            state: Some("Enabled".to_owned()),
            ..key(NOBODY, "3")
        },
    ];
    evidence.add(of_day(quarter, 20, early, dated));
    let late = vec![
        key(ANN, "1"),
        KmsKey {
            key_reference: format!("arn:aws:kms:{REGION}:{ANN}:alias/logs"),
            ..key(ANN, "1")
        },
        KmsKey {
            state: Some("PendingDeletion".to_owned()),
            ..key(NOBODY, "3")
        },
        KmsKey {
            lookup: Lookup::Denied,
            key_arn: None,
            manager: None,
            state: None,
            ..key(NOBODY, "4")
        },
    ];
    evidence.add(of_day(quarter, 91, late, dated));
    let used = testkit::channel(account_id(ANN), region(), "j-a1", &arn(ANN, "1"));
    evidence.add(of_day(quarter, 91, vec![used], |row, scheduled_for| {
        Channel {
            scheduled_for,
            ..row
        }
    }));
    let bucket = |account, name, bucket_key| LogBucket {
        bucket_key,
        ..testkit::log_bucket(account_id(account), region(), name)
    };
    let buckets = vec![
        bucket(ANN, "logs-a", Some(true)),
        bucket(NOBODY, "logs-b", Some(false)),
        LogBucket {
            lookup: Lookup::OwnerNotInScope,
            account_id: None,
            region: None,
            ..bucket(NOBODY, "logs-x", None)
        },
    ];
    evidence.add(of_day(quarter, 91, buckets, |row, scheduled_for| {
        LogBucket {
            scheduled_for,
            ..row
        }
    }));
}

fn stated_ordinary() -> Vec<Stated> {
    let mut stated = Vec::new();
    let mut of = |measure, kind, scope, figures: &[(&'static str, i64)]| {
        stated.extend(
            figures
                .iter()
                .map(|(column, value)| (measure, kind, scope, *column, *value)),
        );
    };
    of(
        "compliant_share",
        ORG,
        ALL,
        &[
            ("days_expected", 92),
            ("runs_of_record", 92),
            ("end_compliant", 4),
            ("end_non_compliant", 1),
            ("end_unknown", 0),
            ("end_no_logs", 1),
            ("end_copies_retained", 3),
            ("end_copies_unknown", 3),
            // a1, a2 from day 15, b2 from day 27, b5 from day 5.
            ("days_compliant", 92 + 77 + 65 + 87),
            // a2, b1 on days 20 to 29, b3, b4 on days 10 to 12, b5.
            ("days_non_compliant", 5 + 10 + 42 + 3 + 5),
            ("days_unknown", 0),
            ("days_no_logs", 92),
            ("compliant_ms", (2208 + 1846 + 1559 + 2086) * HOUR_MS),
            ("non_compliant_ms", (122 + 220 + 1008 + 51 + 122) * HOUR_MS),
            ("unobserved_ms", 0),
            ("cells", 92 * 2 * 3),
            ("cells_open", 0),
        ],
    );
    of(
        "compliant_share",
        "owner",
        "(no owner)",
        &[
            ("end_compliant", 2),
            ("end_non_compliant", 1),
            ("end_copies_unknown", 3),
        ],
    );
    of(
        "time_to_remediate",
        ORG,
        ALL,
        &[
            ("opened", 4),
            ("reopened", 0),
            ("fixed_in_place", 2),
            ("replaced", 1),
            ("ended", 1),
            ("open_count", 1),
            ("detected_sum_ms", (120 + 144 + 240) * HOUR_MS),
            ("detected_median_ms", 144 * HOUR_MS),
            ("detected_p90_ms", 240 * HOUR_MS),
            ("exposed_sum_ms", (122 + 622 + 242) * HOUR_MS),
            ("exposed_median_ms", 242 * HOUR_MS),
            ("exposed_p90_ms", 622 * HOUR_MS),
            ("open_age_sum_ms", (91 * 24 - 50 * 24) * HOUR_MS),
            ("open_age_max_ms", (91 * 24 - 50 * 24) * HOUR_MS),
        ],
    );
    of(
        "time_to_remediate",
        "cost_center",
        "cc-1",
        &[
            ("opened", 1),
            ("fixed_in_place", 1),
            ("open_count", 0),
            ("detected_median_ms", 120 * HOUR_MS),
        ],
    );
    of(
        "launch_attempts",
        ORG,
        ALL,
        &[
            ("events", 9),
            ("attempts", 8),
            ("blocked_events", 3),
            ("blocked_attempts", 2),
            ("flagged_events", 3),
            ("flagged_attempts", 3),
            ("unknown_events", 0),
            ("blocked_failing_events", 2),
            ("blocked_failing_attempts", 1),
            ("blocked_meeting_attempts", 0),
            ("blocked_params_unknown_attempts", 1),
            ("accepted_compliant_events", 2),
            ("accepted_noncompliant_events", 2),
            ("accepted_no_log_place_events", 1),
            ("throttled_attempts", 1),
            ("approved_events", 1),
            ("not_approved_events", 1),
            ("approval_unknown_events", 3),
            ("launches_seen", 4),
            ("launches_not_seen", 1),
            ("launches_population_unknown", 0),
            ("clusters_launched", 5),
            // j-b4.
            ("clusters_without_event", 1),
            ("cells", 2),
            ("expected_ms", 2 * 2208 * HOUR_MS),
            ("unobserved_ms", 0),
        ],
    );
    of(
        "launch_attempts",
        "owner",
        "ann",
        &[
            ("events", 4),
            ("blocked_attempts", 2),
            ("flagged_attempts", 1),
        ],
    );
    of(
        "logs_reencrypted",
        ORG,
        ALL,
        &[
            ("evidences", 5),
            ("moved_versions", 300 + 10),
            ("moved_bytes", 3_000 + 100),
            ("snapshot_only_bytes", 990),
            ("moved_elsewhere_versions", 4),
            ("moved_elsewhere_bytes", 40),
            ("moved_key_unknown_versions", 7),
            ("moved_key_unknown_bytes", 70),
            ("failed_versions", 3),
            ("left_behind_bytes", 50),
            ("remaining_versions", 67),
            ("remaining_bytes", 670),
            ("key_unknown_versions", 3),
            ("old_remaining_versions", 7),
            ("old_key_unknown_versions", 0),
            ("under_key_bytes", 5_000),
            // logs-b, and logs-x that is nobody's, have no report.
            ("buckets", 3),
            ("buckets_reported", 1),
            ("prefixes_counted", 3),
            ("prefixes_in_part", 2),
        ],
    );
    of(
        "logs_reencrypted",
        "account",
        NOBODY,
        &[
            ("moved_versions", 10),
            ("buckets", 1),
            ("buckets_reported", 0),
            ("remaining_bytes", NULL),
            ("under_key_bytes", NULL),
            ("prefixes_counted", NULL),
            ("prefixes_in_part", NULL),
        ],
    );
    of(
        "logs_reencrypted",
        "account",
        "(no account)",
        &[("buckets", 1), ("moved_bytes", NULL)],
    );
    of(
        "logs_reencrypted",
        "business_unit",
        "retail",
        &[("moved_versions", 300)],
    );
    of(
        "key_cost",
        ORG,
        ALL,
        &[
            ("log_keys", 2),
            ("key_month_nano_usd", 2_000_000_000),
            ("idle_keys", 1),
            ("idle_key_month_nano_usd", 1_000_000_000),
            ("keys_pending_deletion", 1),
            ("keys_unknown", 1),
            ("buckets", 3),
            ("buckets_without_bucket_key", 1),
            ("buckets_unknown", 1),
            ("audit_calls", 92 * 2 * 3),
            ("audit_nano_usd", 92 * 2 * 3_000),
        ],
    );
    // Who has no tag is of the unit that the OU is, whatever is counted.
    let unit = "ou-222222222222";
    of(
        "logs_reencrypted",
        "business_unit",
        unit,
        &[("moved_versions", 10), ("buckets", 1)],
    );
    of(
        "key_cost",
        "business_unit",
        unit,
        &[("log_keys", 1), ("idle_keys", 1), ("buckets", 1)],
    );
    of(
        "key_cost",
        "business_unit",
        "(no business unit)",
        &[("log_keys", 0), ("buckets_unknown", 1)],
    );
    of(
        "key_cost",
        "cost_center",
        "cc-1",
        &[("log_keys", 1), ("idle_keys", 0)],
    );
    of(
        "key_cost",
        "cost_center",
        "(no cost center)",
        &[("log_keys", 1), ("idle_keys", 1)],
    );
    stated
}
