//! Quarters in which nothing ran: what was to be read is told by the run before, the run after, or a backfill.

use super::daily::*;
use crate::model::datasets::{BackfilledLaunch, TrailReading};
use crate::model::words::{AttemptBucket, LaunchClass, TrailOutcome};

use super::super::*;

/// Nobody ran for the whole quarter. Two accounts were read before it (the last run of days -9 to -1) or are
/// read after it; of one, a backfill read a week, and of that a day is not validated.
pub(super) fn runless(runs_before: bool) -> Told {
    let quarter: Quarter = "2026Q3".parse().expect("quarter");
    let mut evidence = Evidence::of(quarter);
    let daily = Daily {
        clusters: &[],
        accounts: &both,
        window: &every_launch(if runs_before { -9 } else { 99 }),
    };
    if runs_before {
        daily.add(&mut evidence, -9..=-1);
    } else {
        daily.add(&mut evidence, 99..=101);
    }
    let read = |from: i64, to: i64, outcome| TrailReading {
        from_ms: at(quarter, from).0,
        to_ms: at(quarter, to).0,
        outcome,
        ..testkit::trail_reading(account_id(ANN), region(), at(quarter, from))
    };
    evidence.add(vec![
        read(0, 6 * 24, TrailOutcome::Validated),
        read(6 * 24, 7 * 24, TrailOutcome::NotValidated),
    ]);
    // A place that no run was to read, and of which the Regions are not known.
    let elsewhere = TrailReading {
        region: "us-east-1".parse().expect("Region"),
        ..read(0, 24, TrailOutcome::Validated)
    };
    let nowhere = TrailReading {
        region: crate::model::ids::Region::global(),
        ..read(0, 24, TrailOutcome::NotRead)
    };
    evidence.add(vec![elsewhere, nowhere]);
    let event = event(
        quarter,
        ("e1", "e1"),
        (ANN, 30),
        (LaunchClass::AcceptedNoncompliant, AttemptBucket::Flagged),
    );
    evidence.add(vec![BackfilledLaunch(event)]);
    let whole = 92 * 24;
    // The run of day 99 looked back 90 days, from 02:00.
    let of_runs = if runs_before {
        0
    } else {
        92 * 24 - (9 * 24 + AT)
    };
    let ann = whole - 6 * 24 + whole - 24;
    let (ann, nobody) = if runs_before {
        (ann, whole)
    } else {
        (ann - of_runs, whole - of_runs)
    };
    let launch = |kind, scope, column, value| ("launch_attempts", kind, scope, column, value);
    Told {
        name: if runs_before {
            "runless_after_runs"
        } else {
            "runless_before_runs"
        },
        evidence,
        stated: vec![
            launch(ORG, ALL, "runs_of_record", 0),
            launch(ORG, ALL, "flagged_events", 1),
            launch(ORG, ALL, "cells", 3),
            launch(ORG, ALL, "expected_ms", 3 * whole * HOUR_MS),
            launch(ORG, ALL, "unobserved_ms", (ann + nobody) * HOUR_MS),
            launch("account", ANN, "cells", 2),
            launch("account", ANN, "unobserved_ms", ann * HOUR_MS),
            launch("account", NOBODY, "unobserved_ms", nobody * HOUR_MS),
            launch("ou", "(no ou)", "cells", 3),
        ],
    }
}
