//! LookupEvents and trails against the scripted AWS.

use std::collections::BTreeSet;

use serde_json::json;

use super::{A, B, IRELAND, OHIO, World};
use crate::collect::api::{ErrorClass, ListedTrail};
use crate::collect::fake::{FakeCloud, FakeKey, START, What, described, listed, region};
use crate::collect::operation::Operation;
use crate::model::datasets::{Coverage, Launch};
use crate::model::words::{CellOutcome, LaunchClass, Source};
use crate::time::{DAY_MS, HOUR_MS, UtcMillis};

const DENIED: What = What::Error(
    ErrorClass::DeniedIam,
    "AccessDeniedException",
    "because no identity-based policy allows the action",
);

fn world() -> World {
    let mut world = World::new();
    world.options.launch_days = 30;
    world
}

fn record(number: usize, at: i64) -> String {
    json!({
        "eventTime": UtcMillis(at).to_string(), "eventSource": "elasticmapreduce.amazonaws.com",
        "eventName": "RunJobFlow", "awsRegion": IRELAND, "recipientAccountId": A,
        "eventID": format!("00000000-0000-4000-8000-{number:012}"),
        "requestParameters": {"name": "nightly", "logUri": "s3://logs/x"},
        "responseElements": {"jobFlowId": format!("j-{number}")},
    })
    .to_string()
}

fn launch(world: &World, number: usize, at: i64) {
    event(world, "RunJobFlow", at, record(number, at));
}

fn event(world: &World, name: &'static str, at: i64, record: String) {
    world.edit(A, |a| {
        let here = a.events.entry(IRELAND.to_owned()).or_default();
        here.push((at, name, record));
    });
}

fn rows(seen: &super::Seen) -> Vec<&Launch> {
    seen.facts.iter().flat_map(|f| &f.launches).collect()
}

fn observed(cell: &Coverage) -> (i64, i64) {
    let both = cell.observed_from_ms.zip(cell.observed_to_ms);
    both.expect("a time that was looked at")
}

#[tokio::test]
async fn launches_are_looked_up_in_every_account_region() {
    let world = world();
    launch(&world, 1, START - DAY_MS);
    launch(&world, 2, START - 29 * DAY_MS);
    launch(&world, 3, START - 31 * DAY_MS);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let ids: Vec<_> = rows(&seen).iter().map(|l| l.cluster_id.clone()).collect();
    assert_eq!(ids, [Some("j-1".to_owned()), Some("j-2".to_owned())]);
    assert_eq!(rows(&seen)[0].class, LaunchClass::AcceptedParamsUnavailable);
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Launches),
        CellOutcome::Collected
    );
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Launches),
        CellOutcome::Empty
    );
    assert!(
        seen.find(A, OHIO, Source::Launches).is_none(),
        "the Region is off"
    );
    let (from, to) = observed(seen.cell(A, IRELAND, Source::Launches));
    assert!(to - from == 30 * DAY_MS && to >= START);
    let calls = cloud.with(|s| {
        s.calls
            .iter()
            .filter(|c| c.operation == Operation::LookupEvents)
            .count()
    });
    assert_eq!(calls, 2, "one for each account-region");
    let clusters = seen.cell(A, IRELAND, Source::Clusters);
    assert!(
        clusters
            .observed_from_ms
            .is_some_and(|from| from < START - 50 * DAY_MS)
    );
}

#[tokio::test]
async fn a_run_without_the_setting_asks_nothing() {
    let mut world = world();
    world.options.launch_days = 0;
    world.options.control_events = true;
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(seen.find(A, IRELAND, Source::Launches).is_none());
    assert!(seen.find(A, "global", Source::Trails).is_none());
    assert!(cloud.with(|s| {
        s.calls
            .iter()
            .all(|c| c.operation != Operation::LookupEvents)
    }));
}

/// domain/launches.md, "Easily wrong" 4.
#[tokio::test]
async fn easily_wrong_4_a_denied_look_is_unknown_and_never_zero() {
    let world = world();
    world
        .cloud
        .fault(Operation::LookupEvents, DENIED)
        .account(A)
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Launches);
    assert_eq!(cell.outcome, CellOutcome::DeniedIam);
    assert_eq!(
        cell.denied_action.as_deref(),
        Some("cloudtrail:LookupEvents")
    );
    assert!(!cell.is_answered());
    let (from, to) = observed(cell);
    assert_eq!(from, to, "nothing was looked at");
    assert_eq!(to, START - 30 * DAY_MS, "from there on the next run looks");
}

/// The same when the account cannot be entered, and when AWS throttles without end.
#[tokio::test]
async fn easily_wrong_4_the_dark_and_the_throttled_are_not_zero_either() {
    let mut world = world();
    world.knew(vec![]);
    let trust = What::Error(ErrorClass::DeniedTrust, "AccessDenied", "");
    world
        .cloud
        .fault(Operation::AssumeRole, trust)
        .account(A)
        .add();
    let throttled = What::Error(ErrorClass::Throttled, "ThrottlingException", "");
    world
        .cloud
        .fault(Operation::LookupEvents, throttled)
        .account(B)
        .add();
    let seen = world.run().await;
    let dark = seen.cell(A, IRELAND, Source::Launches);
    assert_eq!(dark.outcome, CellOutcome::DeniedTrust);
    assert_eq!(
        seen.outcome(A, "global", Source::Trails),
        CellOutcome::DeniedTrust
    );
    let throttled = seen.cell(B, IRELAND, Source::Launches);
    assert_eq!(throttled.outcome, CellOutcome::ThrottledOut);
    for cell in [dark, throttled] {
        let (from, to) = observed(cell);
        assert_eq!(from, to);
    }
}

#[tokio::test]
async fn a_busy_window_is_read_from_the_past_to_now() {
    let mut world = world();
    world.cloud.with(|s| s.page_size = 2);
    for number in 0..20 {
        launch(&world, number, START - (number as i64 + 1) * DAY_MS);
    }
    world.options.cell_deadline = std::time::Duration::from_secs(3_600);
    let seen = world.run().await;
    assert_eq!(rows(&seen).len(), 20, "each once");
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Launches),
        CellOutcome::Collected
    );
}

/// What is new comes first: a run that is cut off still goes forward.
#[tokio::test]
async fn what_is_new_is_read_before_what_was_looked_at_before() {
    let mut world = world();
    world.cloud.with(|s| s.page_size = 2);
    let watermark = START - DAY_MS;
    world.known.1 = Some((UtcMillis(watermark), Default::default()));
    launch(&world, 1, watermark + HOUR_MS);
    for number in 2..20 {
        launch(&world, number, watermark - number as i64 * HOUR_MS);
    }
    let gone = What::Error(ErrorClass::Refused, "InvalidNextTokenException", "");
    // The whole, then the new part; nothing of the overlap.
    world
        .cloud
        .fault(Operation::LookupEvents, gone)
        .account(A)
        .skip(2)
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Launches);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    let (from, to) = observed(cell);
    assert_eq!(from, watermark);
    assert!(to >= START, "the next run goes on from here");
    assert_eq!(rows(&seen).len(), 1);
}

#[tokio::test]
async fn a_window_that_broke_off_says_how_far_it_came() {
    let world = world();
    world.cloud.with(|s| s.page_size = 2);
    for number in 0..20 {
        launch(&world, number, START - (number as i64 + 1) * DAY_MS);
    }
    let gone = What::Error(ErrorClass::Refused, "InvalidNextTokenException", "");
    world
        .cloud
        .fault(Operation::LookupEvents, gone)
        .account(A)
        .skip(12)
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Launches);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert!(!cell.is_answered(), "what was not looked at is not known");
    let (from, to) = observed(cell);
    assert_eq!(from, START - 30 * DAY_MS);
    assert!(from < to && to < START, "{from} {to}");
    let rows = rows(&seen);
    assert!(!rows.is_empty());
    let inside = |l: &&Launch| (from..=to).contains(&l.event_ms);
    assert!(
        rows.iter().all(inside),
        "all of a time that was looked at whole"
    );
    let there = (1..=20).filter(|day| (from..=to).contains(&(START - day * DAY_MS)));
    assert_eq!(rows.len(), there.count(), "and nothing of it is missing");
}

#[tokio::test]
async fn a_later_run_looks_again_at_one_day_and_records_what_is_new() {
    let mut world = world();
    let watermark = START - DAY_MS;
    let recorded = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    world.known.1 = Some((UtcMillis(watermark), [recorded(1), recorded(3)].into()));
    // Recorded then, and its cluster is gone.
    launch(&world, 1, watermark - 3 * HOUR_MS);
    // Delivered late.
    launch(&world, 2, watermark - 3 * HOUR_MS);
    // Recorded then; its cluster runs, so that more is known of it today.
    launch(&world, 3, watermark - 2 * HOUR_MS);
    let running = listed("j-3", "RUNNING", Some(UtcMillis(watermark)), None);
    world.cluster(A, described(running, "", ""));
    launch(&world, 4, START - HOUR_MS);
    launch(&world, 5, watermark - 25 * HOUR_MS);
    let seen = world.run().await;
    let ids: Vec<_> = rows(&seen)
        .iter()
        .filter_map(|l| l.cluster_id.as_deref())
        .collect();
    assert_eq!(ids, ["j-2", "j-3", "j-4"]);
    let (from, _) = observed(seen.cell(A, IRELAND, Source::Launches));
    assert_eq!(from, watermark - DAY_MS);
    assert_eq!(
        seen.cell(A, IRELAND, Source::Launches).calls,
        1,
        "one page told it all"
    );
}

/// A record cut in half, one of another account, one whose clock is beyond all skew: nobody knows what
/// was attempted, so the cell is no answer.
#[tokio::test]
async fn records_that_nobody_can_read_leave_the_cell_open() {
    let at = START - DAY_MS;
    let half = record(1, at).chars().take(200).collect();
    let foreign = record(2, at).replace(A, B);
    let skewed = record(3, START + DAY_MS);
    for bad in [half, foreign, skewed, String::new()] {
        let world = world();
        launch(&world, 9, at);
        event(&world, "RunJobFlow", at, bad.clone());
        let seen = world.run().await;
        let cell = seen.cell(A, IRELAND, Source::Launches);
        assert_eq!(cell.outcome, CellOutcome::Partial, "{bad}");
        assert_eq!(cell.error_code.as_deref(), Some("UnreadableEvent"));
        assert!(!cell.is_answered());
        assert_eq!(rows(&seen).len(), 1, "the readable one stays");
    }
}

#[tokio::test]
async fn an_event_that_comes_twice_is_one_and_a_little_skew_is_none() {
    let world = world();
    launch(&world, 1, START - DAY_MS);
    launch(&world, 1, START - DAY_MS);
    event(&world, "RunJobFlow", START - 1, record(2, START + 60_000));
    let seen = world.run().await;
    assert_eq!(rows(&seen).len(), 2);
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Launches),
        CellOutcome::Collected
    );
}

#[tokio::test]
async fn control_events_are_looked_up_where_keys_and_buckets_live() {
    let mut world = world();
    world.options.control_events = true;
    let key = format!("arn:aws:kms:{IRELAND}:{A}:key/0a0a0a0a-1111-4222-8333-444444444444");
    let running = listed("j-1", "RUNNING", Some(UtcMillis(START)), None);
    world.cluster(A, described(running, "s3://logs-a/emr/", &key));
    world.edit(A, |a| {
        a.keys.insert(
            key.clone(),
            FakeKey {
                state: "Enabled",
                manager: "CUSTOMER",
                ..Default::default()
            },
        );
        a.buckets.push(("logs-a".to_owned(), OHIO.to_owned()));
    });
    let disabled = |id: usize| {
        json!({
            "eventTime": UtcMillis(START - HOUR_MS).to_string(), "eventSource": "kms.amazonaws.com",
            "eventName": "DisableKey", "awsRegion": IRELAND, "recipientAccountId": A,
            "eventID": format!("00000000-0000-4000-8000-{id:012}"),
            "requestParameters": {"keyId": key}
        })
        .to_string()
    };
    event(&world, "DisableKey", START - HOUR_MS, disabled(7));
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let rows: Vec<_> = seen.facts.iter().flat_map(|f| &f.control_events).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].resource.as_deref(), Some(key.as_str()));
    assert_eq!(
        seen.outcome(A, IRELAND, Source::ControlEvents),
        CellOutcome::Collected
    );
    assert_eq!(
        seen.outcome(A, OHIO, Source::ControlEvents),
        CellOutcome::Empty
    );
    assert!(seen.find(B, IRELAND, Source::ControlEvents).is_none());
    let asked = |place: &str, name: &str| {
        cloud.with(|s| {
            let mut calls = s.calls.iter();
            calls.any(|c| {
                c.operation == Operation::LookupEvents && c.region == place && c.subject == name
            })
        })
    };
    assert!(asked(IRELAND, "PutKeyPolicy") && !asked(IRELAND, "PutBucketPolicy"));
    assert!(asked(OHIO, "PutBucketPolicy") && !asked(OHIO, "PutKeyPolicy"));
    // Where clusters run, what they may be launched with changes.
    assert!(asked(IRELAND, "DeleteSecurityConfiguration"));
    assert!(!asked(OHIO, "DeleteSecurityConfiguration"));
    assert!(!asked(IRELAND, "StopLogging"), "no trail");
}

/// The names that were looked up in a place.
fn names_asked(cloud: &FakeCloud, account: &str, place: &str) -> BTreeSet<String> {
    cloud.with(|s| {
        let calls = s.calls.iter().filter(|c| {
            c.operation == Operation::LookupEvents && c.account == account && c.region == place
        });
        calls.map(|c| c.subject.clone()).collect()
    })
}

#[tokio::test]
async fn what_blinds_a_trail_is_looked_up_in_its_home_also_when_it_is_gone() {
    let stopped = |world: &World| {
        let record = json!({
            "eventTime": UtcMillis(START - HOUR_MS).to_string(),
            "eventSource": "cloudtrail.amazonaws.com",
            "eventName": "StopLogging", "awsRegion": OHIO, "recipientAccountId": A,
            "eventID": "00000000-0000-4000-8000-000000000007",
            "requestParameters": {"name": "t"}
        });
        let event = (START - HOUR_MS, "StopLogging", record.to_string());
        world.edit(A, |a| {
            a.events.insert(OHIO.to_owned(), vec![event]);
        });
    };
    for is_there in [true, false] {
        let mut world = world();
        world.options.control_events = true;
        stopped(&world);
        if is_there {
            let of = |account: &str| ListedTrail {
                arn: format!("arn:aws:cloudtrail:{OHIO}:{account}:trail/t"),
                home: region(OHIO),
                multi_region: Some(true),
                organization: None,
                log_file_validation: None,
                bucket: None,
                prefix: None,
                kms_key: None,
            };
            // B is shown the trail of another account, and looks up nothing.
            world.edit(A, |a| a.trails = vec![of(A)]);
            world.edit(B, |b| b.trails = vec![of(A)]);
        } else {
            // As the run before saw it; since then somebody deleted it.
            world.known.3 = vec![region(OHIO)];
        }
        let cloud = world.cloud.clone();
        let seen = world.run().await;
        let rows: Vec<_> = seen.facts.iter().flat_map(|f| &f.control_events).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].event_name.as_str(), rows[0].resource.as_deref()),
            ("StopLogging", Some("t"))
        );
        let names = names_asked(&cloud, A, OHIO);
        let expected = [
            "DeleteTrail",
            "PutEventSelectors",
            "StartLogging",
            "StopLogging",
            "UpdateTrail",
        ];
        assert_eq!(names, expected.map(str::to_owned).into());
        if is_there {
            assert!(names_asked(&cloud, B, OHIO).is_empty());
        }
    }
}

/// `empty` says that nothing happened: it must not stand where it was not known what to ask for.
#[tokio::test]
async fn where_a_part_of_an_account_was_not_read_every_name_is_asked_for() {
    let logs_in_ohio = |world: &World| {
        let running = listed("j-1", "RUNNING", Some(UtcMillis(START)), None);
        world.cluster(A, described(running, "s3://logs-a/emr/", ""));
        world.edit(A, |a| {
            a.buckets.push(("logs-a".to_owned(), OHIO.to_owned()));
            a.regions = vec![
                (IRELAND.to_owned(), "ENABLED_BY_DEFAULT".to_owned()),
                (OHIO.to_owned(), "ENABLED".to_owned()),
            ];
        });
    };
    for (operation, place) in [
        (Operation::ListClusters, Some(OHIO)),
        (Operation::DescribeTrails, None),
    ] {
        let mut world = world();
        world.options.control_events = true;
        logs_in_ohio(&world);
        let mut fault = world.cloud.fault(operation, DENIED).account(A);
        if let Some(place) = place {
            fault = fault.region(place);
        }
        fault.add();
        let cloud = world.cloud.clone();
        let seen = world.run().await;
        let names = names_asked(&cloud, A, OHIO);
        let asked = |name: &str| names.contains(name);
        assert!(
            asked("PutBucketPolicy") && asked("StopLogging"),
            "{names:?}"
        );
        assert_eq!(asked("PutKeyPolicy"), place.is_some(), "{names:?}");
        assert_eq!(
            seen.outcome(A, OHIO, Source::ControlEvents),
            CellOutcome::Empty
        );
    }
}

/// A key that cannot be described is a key, and somebody may have changed its policy.
#[tokio::test]
async fn keys_that_were_not_described_have_events_all_the_same() {
    let mut world = world();
    world.options.control_events = true;
    let key = format!("arn:aws:kms:{OHIO}:{A}:key/0a0a0a0a-1111-4222-8333-444444444444");
    let running = listed("j-1", "RUNNING", Some(UtcMillis(START)), None);
    world.cluster(A, described(running, "s3://logs-a/emr/", &key));
    world.cloud.fault(Operation::DescribeKey, DENIED).add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(names_asked(&cloud, A, OHIO).contains("PutKeyPolicy"));
    assert_eq!(
        seen.outcome(A, OHIO, Source::ControlEvents),
        CellOutcome::Empty
    );
}

#[tokio::test]
async fn one_name_that_is_refused_leaves_the_cell_open() {
    let mut world = world();
    world.options.control_events = true;
    let running = listed("j-1", "RUNNING", Some(UtcMillis(START)), None);
    world.cluster(A, described(running, "s3://logs-a/emr/", ""));
    world.edit(A, |a| {
        a.buckets.push(("logs-a".to_owned(), IRELAND.to_owned()))
    });
    world
        .cloud
        .fault(Operation::LookupEvents, DENIED)
        .subject("PutBucketPolicy")
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::ControlEvents);
    assert_eq!(cell.outcome, CellOutcome::DeniedIam);
    let (from, to) = observed(cell);
    assert_eq!(from, to, "no time was looked at for every name");
}

#[tokio::test]
async fn trails_are_told_once_and_their_owner_tells_of_their_health() {
    let world = world();
    let trail = |account: &str, organization| ListedTrail {
        arn: format!("arn:aws:cloudtrail:{OHIO}:{account}:trail/t"),
        home: region(OHIO),
        multi_region: Some(true),
        organization: Some(organization),
        log_file_validation: Some(true),
        bucket: Some("trail-bucket".to_owned()),
        prefix: None,
        kms_key: None,
    };
    world.edit(A, |a| {
        a.trails = vec![trail(A, false), trail("999988887777", true)]
    });
    let seen = world.run().await;
    let mut rows: Vec<_> = seen.facts.iter().flat_map(|f| &f.trails).collect();
    rows.sort_by_key(|row| row.organization);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].logging, rows[0].management_writes),
        (Some(false), Some(true))
    );
    assert_eq!(rows[0].region.as_str(), OHIO, "its home");
    assert_eq!(rows[0].stopped_logging_at, Some(UtcMillis(START)));
    assert_eq!(rows[1].logging, None, "the management account's to tell");
    assert_eq!(
        seen.outcome(A, "global", Source::Trails),
        CellOutcome::Collected
    );
    assert_eq!(
        seen.outcome(B, "global", Source::Trails),
        CellOutcome::Empty
    );
}

#[tokio::test]
async fn a_trail_whose_state_is_refused_leaves_the_cell_open() {
    let world = world();
    world.edit(A, |a| {
        a.trails = vec![ListedTrail {
            arn: format!("arn:aws:cloudtrail:{IRELAND}:{A}:trail/t"),
            home: region(IRELAND),
            multi_region: None,
            organization: None,
            log_file_validation: None,
            bucket: None,
            prefix: None,
            kms_key: None,
        }];
    });
    world.cloud.fault(Operation::GetTrailStatus, DENIED).add();
    let seen = world.run().await;
    let cell = seen.cell(A, "global", Source::Trails);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert_eq!(
        cell.denied_action.as_deref(),
        Some("cloudtrail:GetTrailStatus")
    );
    assert_eq!(seen.facts.iter().flat_map(|f| &f.trails).count(), 1);
}
