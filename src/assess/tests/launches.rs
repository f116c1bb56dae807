//! Attempts to launch: what the events of an account-region conclude.

use super::super::fixtures::{AS_OF, Facts, KEY, OWN, World, account_id, date, region};
use super::super::{LaunchFacts, assess_launches, launch_seen};
use crate::model::datasets::{Answer, Coverage, Launch};
use crate::model::words::{
    AttemptBucket, CellOutcome, EventSource, LaunchClass, LaunchSeen, Lookup, Meets, Population,
    Settings, Source,
};
use crate::testkit::coverage;
use crate::time::{DAY_MS, HOUR_MS};

const SCP: &str = "arn:aws:organizations::999988887777:policy/o-1/service_control_policy/p-1";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An accepted launch of the fixture's cluster.
fn launch() -> Launch {
    let at = AS_OF.plus_ms(-HOUR_MS);
    Launch {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        event_id: "5b6f0a52-0000-4000-8000-000000000001".to_owned(),
        event_at: at,
        event_ms: at.0,
        read_from: EventSource::LookupEvents,
        late: false,
        shared_event_id: None,
        cluster_id: some("j-1ABCDEFGHIJKL"),
        name: some("nightly"),
        lineage: None,
        caller_arn: some("arn:aws:iam::111122223333:role/etl"),
        caller_account_id: None,
        invoked_by: None,
        attempt_id: "a".to_owned(),
        error_code: None,
        denied_action: None,
        denied_by: None,
        denied_by_policy: None,
        params_available: true,
        log_uri: some("s3://team-logs/emr/"),
        log_key: some(KEY),
        security_configuration: None,
        release_label: some("emr-7.13.0"),
        tag_owner: None,
        tag_cost_center: None,
        tag_business_unit: None,
        guardrail: None,
        security_configuration_approved: None,
        parameters_meet: Meets::Unknown,
        class: Answer::Accepted.class_without_parameters(),
        bucket: AttemptBucket::None,
        population: Population::Unknown,
        ou_path: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

fn denied() -> Launch {
    Launch {
        cluster_id: None,
        error_code: some("AccessDeniedException"),
        denied_by: some("service_control"),
        denied_by_policy: some(SCP),
        ..launch()
    }
}

fn failed(code: &str) -> Launch {
    Launch {
        error_code: some(code),
        cluster_id: None,
        ..launch()
    }
}

fn without_parameters(event: Launch) -> Launch {
    Launch {
        params_available: false,
        log_uri: None,
        log_key: None,
        release_label: None,
        ..event
    }
}

/// The world with a guardrail.
fn guarded() -> World {
    let mut world = World::compliant();
    world.config.guardrails = [SCP.to_owned()].into();
    world
}

fn looked(source: Source, from: i64, to: i64) -> Coverage {
    Coverage {
        outcome: CellOutcome::Collected,
        observed_from_ms: Some(from),
        observed_to_ms: Some(to),
        ..coverage(account_id(OWN), region("eu-west-1"), source)
    }
}

fn judged_with(
    world: &World,
    event: Launch,
    listed: Option<&Coverage>,
    has_cluster: bool,
) -> Launch {
    let clusters = if has_cluster {
        std::slice::from_ref(&world.cluster)
    } else {
        &[]
    };
    let facts = LaunchFacts { clusters, listed };
    let rows = assess_launches(&[event], &facts, &world.ctx(), &Facts::of(world)).expect("facts");
    rows.into_iter().next().expect("a row")
}

fn judged(world: &World, event: Launch) -> Launch {
    judged_with(world, event, None, true)
}

fn class(world: &World, event: Launch) -> (LaunchClass, AttemptBucket) {
    let row = judged(world, event);
    (row.class, row.bucket)
}

#[test]
fn accepted_launches_are_judged_by_their_own_parameters() {
    use AttemptBucket::{Flagged, None as NoHit, Unknown};
    use LaunchClass::*;
    let world = World::compliant();
    assert_eq!(class(&world, launch()), (AcceptedCompliant, NoHit));
    let no_key = Launch {
        log_key: None,
        ..launch()
    };
    assert_eq!(class(&world, no_key), (AcceptedNoncompliant, Flagged));
    let of_aws = Launch {
        log_key: some("alias/aws/s3"),
        ..launch()
    };
    assert_eq!(class(&world, of_aws), (AcceptedNoncompliant, Flagged));
    let foreign = KEY.replace(OWN, "999900001111");
    let foreign = Launch {
        log_key: Some(foreign),
        ..launch()
    };
    assert_eq!(class(&world, foreign), (AcceptedNoncompliant, Flagged));
    let nowhere = Launch {
        log_uri: None,
        ..launch()
    };
    assert_eq!(class(&world, nowhere), (AcceptedNoLogPlace, Flagged));

    let mut lost = World::compliant();
    lost.lose_key(Lookup::Denied);
    assert_eq!(class(&lost, launch()), (AcceptedKeyUnknown, Unknown));
}

/// domain/launches.md, "Easily wrong" 3.
#[test]
fn easily_wrong_3_without_parameters_nothing_is_said_of_the_key() {
    let world = World::compliant();
    let row = judged_with(&world, without_parameters(launch()), None, false);
    assert_eq!(row.class, LaunchClass::AcceptedParamsUnavailable);
    assert_eq!(
        (row.bucket, row.parameters_meet),
        (AttemptBucket::Unknown, Meets::Unknown)
    );
    // The cluster tells what the event does not.
    let row = judged(&world, without_parameters(launch()));
    assert_eq!(
        (row.class, row.parameters_meet),
        (LaunchClass::AcceptedCompliant, Meets::Yes)
    );
    assert!(
        !row.params_available && row.log_key.is_none(),
        "facts stay facts"
    );
    let mut deferred = World::compliant();
    deferred.cluster.settings = Settings::Deferred;
    let row = judged(&deferred, without_parameters(launch()));
    assert_eq!(row.class, LaunchClass::AcceptedParamsUnavailable);
}

/// domain/launches.md, "Easily wrong" 1.
#[test]
fn easily_wrong_1_denied_is_neither_noncompliant_nor_blocked_by_itself() {
    use LaunchClass::*;
    let world = guarded();
    let by = |policy: Option<&str>, kind: &str| Launch {
        denied_by: some(kind),
        denied_by_policy: policy.map(str::to_owned),
        ..denied()
    };
    let bad = |event: Launch| Launch {
        log_key: None,
        ..event
    };
    // By our guardrail, whatever its parameters.
    assert_eq!(
        class(&world, denied()),
        (DeniedCompliant, AttemptBucket::Blocked)
    );
    assert_eq!(
        class(&world, bad(denied())),
        (DeniedNoncompliant, AttemptBucket::Blocked)
    );
    let row = judged(&world, without_parameters(denied()));
    assert_eq!(
        (row.class, row.bucket),
        (DeniedParamsUnavailable, AttemptBucket::Blocked)
    );
    assert_eq!(row.guardrail.as_deref(), Some(SCP));
    assert_eq!(row.parameters_meet, Meets::Unknown);
    // By another policy: not our success.
    let other = by(
        Some("arn:aws:organizations::1:policy/o/service_control_policy/p-9"),
        "service_control",
    );
    assert_eq!(
        class(&world, bad(other)),
        (DeniedNoncompliant, AttemptBucket::None)
    );
    let identity = by(None, "identity");
    assert_eq!(
        class(&world, identity),
        (DeniedCompliant, AttemptBucket::None)
    );
    // An SCP that is not named, and a message without a word: it may have been ours.
    let unnamed = by(None, "service_control");
    assert_eq!(
        class(&world, unnamed.clone()),
        (DeniedCompliant, AttemptBucket::Unknown)
    );
    let silent = Launch {
        denied_by: None,
        ..unnamed.clone()
    };
    assert_eq!(
        class(&world, silent),
        (DeniedCompliant, AttemptBucket::Unknown)
    );
    // Nobody configured a guardrail, so none was at work.
    assert_eq!(
        class(&World::compliant(), unnamed),
        (DeniedCompliant, AttemptBucket::None)
    );
    assert_eq!(
        class(&World::compliant(), denied()),
        (DeniedCompliant, AttemptBucket::None)
    );
}

/// domain/launches.md, "Easily wrong" 2.
#[test]
fn easily_wrong_2_a_guardrail_says_nothing_of_the_key() {
    let world = guarded();
    let of_key = |log_key| {
        let row = judged(
            &world,
            Launch {
                log_key,
                ..denied()
            },
        );
        (row.bucket, row.parameters_meet)
    };
    // The same policy denied all three: what they asked for is a column of its own.
    assert_eq!(of_key(some(KEY)), (AttemptBucket::Blocked, Meets::Yes));
    assert_eq!(of_key(None), (AttemptBucket::Blocked, Meets::No));
    let of_nobody =
        some("arn:aws:kms:eu-west-1:111122223333:key/ffffffff-1111-4222-8333-444444444444");
    assert_eq!(of_key(of_nobody), (AttemptBucket::Blocked, Meets::Unknown));
}

#[test]
fn boundaries_can_be_guardrails() {
    let mut world = World::compliant();
    let boundary = "arn:aws:iam::111122223333:policy/no-emr";
    world.config.guardrails = [boundary.to_owned()].into();
    let by = |policy: Option<&str>| Launch {
        denied_by: some("boundary"),
        denied_by_policy: policy.map(str::to_owned),
        ..denied()
    };
    assert_eq!(
        judged(&world, by(Some(boundary))).bucket,
        AttemptBucket::Blocked
    );
    assert_eq!(judged(&world, by(None)).bucket, AttemptBucket::Unknown);
    assert_eq!(judged(&world, denied()).bucket, AttemptBucket::None);
}

#[test]
fn refusals_of_other_kinds_are_classes_of_their_own() {
    let world = guarded();
    for (code, expected) in [
        ("ValidationException", LaunchClass::RejectedInvalid),
        ("ThrottlingException", LaunchClass::Throttled),
        ("InternalServerError", LaunchClass::OtherError),
    ] {
        let row = judged(&world, failed(code));
        assert_eq!(
            (row.class, row.bucket),
            (expected, AttemptBucket::None),
            "{code}"
        );
        assert_eq!(row.population, Population::NotApplicable);
        assert_eq!(row.guardrail, None);
    }
}

#[test]
fn a_cluster_that_was_never_ready_is_told_apart() {
    let mut world = World::compliant();
    world.cluster.state = "TERMINATED_WITH_ERRORS".to_owned();
    world.cluster.ready_at = None;
    let row = judged(&world, launch());
    assert_eq!(
        (row.class, row.bucket),
        (LaunchClass::AcceptedThenFailed, AttemptBucket::None)
    );
    world.cluster.ready_at = Some(AS_OF);
    assert_eq!(
        judged(&world, launch()).class,
        LaunchClass::AcceptedCompliant
    );
}

#[test]
fn security_configurations_are_approved_by_content() {
    let mut world = World::compliant();
    world.configure();
    let with = || Launch {
        security_configuration: some("sc"),
        ..launch()
    };
    assert_eq!(
        judged(&world, with()).security_configuration_approved,
        Some(true)
    );
    world.security_configurations[0].s3_mode = some("SSE-S3");
    assert_eq!(
        judged(&world, with()).security_configuration_approved,
        Some(false)
    );
    world.security_configurations.clear();
    assert_eq!(judged(&world, with()).security_configuration_approved, None);
    let missing = without_parameters(denied());
    assert_eq!(
        judged(&world, missing).security_configuration_approved,
        None
    );
}

#[test]
fn an_accepted_launch_is_looked_for_among_the_clusters() {
    let world = World::compliant();
    let now = AS_OF.0;
    let listed = looked(Source::Clusters, now - DAY_MS, now);
    let population = |event: Launch, listed: Option<&Coverage>| {
        judged_with(&world, event, listed, false).population
    };
    assert_eq!(judged(&world, launch()).population, Population::Seen);
    assert_eq!(population(launch(), Some(&listed)), Population::NotSeen);
    // Launched before the time of which the lists show all, or after they were made.
    let mut old = launch();
    old.event_ms = now - 2 * DAY_MS;
    assert_eq!(population(old, Some(&listed)), Population::Unknown);
    let mut new = launch();
    new.event_ms = now - 60_000;
    assert_eq!(population(new, Some(&listed)), Population::Unknown);
    // Nobody listed.
    assert_eq!(population(launch(), None), Population::Unknown);
    let refused = Coverage {
        outcome: CellOutcome::DeniedIam,
        ..listed.clone()
    };
    assert_eq!(population(launch(), Some(&refused)), Population::Unknown);
    let nameless = Launch {
        cluster_id: None,
        ..launch()
    };
    assert_eq!(population(nameless, Some(&listed)), Population::Unknown);
    assert_eq!(
        population(denied(), Some(&listed)),
        Population::NotApplicable
    );
}

#[test]
fn a_cluster_is_looked_for_among_the_launches() {
    let mut world = World::compliant();
    let now = AS_OF.0;
    let cell = looked(Source::Launches, now - DAY_MS, now);
    let seen = |world: &World, events: &[Launch], cell: Option<&Coverage>| {
        let launched = events.iter().filter_map(|e| e.cluster_id.as_deref());
        launch_seen(&world.cluster, &launched.collect(), cell)
    };
    assert_eq!(
        seen(&world, &[launch()], Some(&cell)),
        Some(LaunchSeen::Found)
    );
    assert_eq!(seen(&world, &[], Some(&cell)), Some(LaunchSeen::Missing));
    assert_eq!(seen(&world, &[], None), None, "nobody looked");
    let open = Coverage {
        outcome: CellOutcome::Partial,
        error_code: some("UnreadableEvent"),
        ..cell.clone()
    };
    assert_eq!(
        seen(&world, &[], Some(&open)),
        None,
        "one event could not be read"
    );
    world.cluster.created_at = Some(AS_OF.plus_ms(-60_000));
    assert_eq!(seen(&world, &[], Some(&cell)), None, "may be delivered yet");
    world.cluster.created_at = Some(AS_OF.plus_ms(-2 * DAY_MS));
    assert_eq!(seen(&world, &[], Some(&cell)), None, "before those hours");
}

#[test]
fn owners_come_from_the_launch_and_then_from_the_account() {
    let mut world = World::compliant();
    world.own_account().owner = some("account-team");
    world.own_account().cost_center = some("cc-1");
    let event = Launch {
        tag_owner: some("team-ana"),
        ..launch()
    };
    let row = judged(&world, event);
    assert_eq!(row.owner.as_deref(), Some("team-ana"));
    assert_eq!(row.cost_center.as_deref(), Some("cc-1"));
    assert!(row.business_unit.is_some_and(|ou| ou.starts_with("ou-")));
    assert!(row.ou_path.is_some());
}

#[test]
fn judging_again_changes_nothing() {
    let world = guarded();
    for event in [
        launch(),
        denied(),
        without_parameters(launch()),
        failed("ThrottlingException"),
    ] {
        let once = judged(&world, event);
        assert_eq!(judged(&world, once.clone()), once);
    }
}

#[test]
fn a_launch_among_many_is_judged_as_it_is_alone() {
    let mut world = guarded();
    world.configure();
    world.security_configurations[0].created_at = Some(AS_OF.plus_ms(-DAY_MS));
    let configured = |event: Launch| Launch {
        security_configuration: some("sc"),
        ..event
    };
    let earlier = |event: Launch| Launch {
        event_ms: event.event_ms - 2 * DAY_MS,
        event_at: event.event_at.plus_ms(-2 * DAY_MS),
        ..event
    };
    let keyless = || Launch {
        log_key: None,
        ..launch()
    };
    let nowhere = || Launch {
        log_uri: None,
        ..launch()
    };
    let mut events = vec![
        launch(),
        configured(launch()),
        // Its configuration has that name only since.
        earlier(configured(launch())),
        keyless(),
        configured(keyless()),
        nowhere(),
        denied(),
        without_parameters(launch()),
        without_parameters(denied()),
        failed("ThrottlingException"),
    ];
    for n in 0..70 {
        events.push(Launch {
            release_label: Some(format!("emr-7.{n}.0")),
            ..launch()
        });
    }
    events.extend(events.clone());
    let facts = LaunchFacts {
        clusters: std::slice::from_ref(&world.cluster),
        listed: None,
    };
    let together = assess_launches(&events, &facts, &world.ctx(), &Facts::of(&world));
    let alone: Vec<Launch> = events.into_iter().map(|e| judged(&world, e)).collect();
    assert_eq!(together.expect("facts"), alone);
    let of_configured = |n: usize| alone[n].security_configuration_approved;
    assert_ne!(of_configured(1), of_configured(2), "it matters when");
}
