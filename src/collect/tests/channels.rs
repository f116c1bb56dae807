//! Steps, sessions and log groups: whole runs, one rule each. The pure rules have their tests in `steps`.

use super::*;
use crate::collect::api::{DescribedLogGroup, ErrorClass, ListedSession, ListedStep, SessionLogs};
use crate::collect::fake::{What, cluster_row, described, listed};
use crate::collect::operation::Operation;
use crate::model::words::Lookup;
use crate::time::HOUR_MS;

const OTHER_KEY: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/1b1b1b1b-1111-4222-8333-444444444444";

fn hours(h: i64) -> Option<UtcMillis> {
    Some(UtcMillis(START + h * HOUR_MS))
}

fn step(id: &str, state: &str, log_uri: Option<&str>, log_key: Option<&str>) -> ListedStep {
    ListedStep {
        id: id.to_owned(),
        state: Some(state.to_owned()),
        created_at: hours(-1),
        log_uri: log_uri.map(str::to_owned),
        log_key: log_key.map(str::to_owned),
    }
}

fn world(state: &str) -> World {
    let world = World::new();
    let ended = (state == "TERMINATED").then_some(hours(-1)).flatten();
    world.cluster(
        A,
        described(
            listed("j-1", state, hours(-5), ended),
            "s3://logs-a/emr/",
            "",
        ),
    );
    world
}

fn steps(world: &World, cluster: &str, steps: Vec<ListedStep>) {
    world.edit(A, |a| {
        a.steps.insert(cluster.to_owned(), steps);
    });
}

impl Seen {
    fn steps(&self) -> Vec<&EmrStep> {
        self.facts.iter().flat_map(|f| &f.steps).collect()
    }
}

#[tokio::test]
async fn only_steps_with_settings_of_their_own_have_rows() {
    let world = world("RUNNING");
    let given = vec![
        step("s-4", "RUNNING", None, Some(OTHER_KEY)),
        // What the cluster says anyway.
        step("s-3", "COMPLETED", Some("s3://logs-a/emr/"), None),
        step("s-2", "FAILED", Some("s3n://AKIA:SECRET@aside/x"), None),
        step("s-1", "COMPLETED", None, None),
    ];
    steps(&world, "j-1", given);
    let seen = world.run().await;
    let rows: Vec<_> = seen
        .steps()
        .into_iter()
        .map(|s| {
            (
                s.step_id.as_str(),
                s.log_uri.as_deref(),
                s.log_key.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("s-2", Some("s3n://aside/x"), None),
        ("s-4", None, Some(OTHER_KEY)),
    ];
    assert_eq!(rows, expected);
    let row = seen.row("j-1");
    assert_eq!(
        (row.steps_lookup, row.steps),
        (Some(Lookup::Found), Some(4))
    );
    assert_eq!(
        (row.steps_settled_id.as_deref(), row.steps_settled),
        (Some("s-3"), Some(3))
    );
    let cell = seen.cell(A, IRELAND, Source::Steps);
    assert_eq!(cell.outcome, CellOutcome::Collected);
    assert_eq!(cell.calls, 1);
    // What a step names is looked up like what a cluster names.
    assert!(seen.keys().iter().any(|k| k.key_reference == OTHER_KEY));
    let bucket = seen.facts.iter().flat_map(|f| &f.buckets);
    assert_eq!(bucket.filter(|b| b.bucket == "aside").count(), 1);
    assert!(!seen.stable().concat().contains("SECRET"));
}

#[tokio::test]
async fn a_later_run_reads_down_to_what_had_ended_and_carries_the_rest() {
    let mut world = world("RUNNING");
    world.cloud.with(|s| s.page_size = 2);
    let mut known = cluster_row("j-1", "RUNNING", hours(-5), None);
    known.described_at = hours(0);
    known.steps = Some(3);
    known.steps_settled_id = Some("s-3".to_owned());
    known.steps_settled = Some(3);
    let carried = EmrStep {
        scheduled_for: known.scheduled_for,
        account_id: known.account_id.clone(),
        region: known.region.clone(),
        cluster_id: "j-1".to_owned(),
        step_id: "s-2".to_owned(),
        created_at: None,
        log_uri: Some("s3://aside/x".to_owned()),
        log_key: None,
    };
    world.knew_with(vec![known], vec![carried]);
    let mut given = vec![step("s-4", "PENDING", Some("s3://beside/"), None)];
    given.extend(
        (1..=3)
            .rev()
            .map(|n| step(&format!("s-{n}"), "COMPLETED", None, None)),
    );
    steps(&world, "j-1", given);
    let cloud = world.cloud.clone();
    let today = world.options.scheduled_for;
    let seen = world.run().await;
    assert_eq!(
        cloud.count(Operation::ListSteps),
        1,
        "the second page is known"
    );
    let rows: Vec<_> = seen.steps();
    assert_eq!(
        rows.iter().map(|s| s.step_id.as_str()).collect::<Vec<_>>(),
        ["s-2", "s-4"]
    );
    assert!(rows.iter().all(|s| s.scheduled_for == today));
    let row = seen.row("j-1");
    assert_eq!((row.steps, row.steps_settled), (Some(4), Some(3)));
}

#[tokio::test]
async fn a_cluster_that_is_described_again_has_the_steps_that_it_had() {
    let mut world = world("RUNNING");
    let mut known = cluster_row("j-1", "RUNNING", hours(-24 * 40), None);
    known.described_at = hours(-24 * 39);
    known.steps = Some(3);
    known.steps_settled_id = Some("s-3".to_owned());
    known.steps_settled = Some(3);
    world.knew_with(vec![known], vec![]);
    let given = (1..=3).rev();
    let given = given.map(|n| step(&format!("s-{n}"), "COMPLETED", None, None));
    steps(&world, "j-1", given.collect());
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::DescribeCluster), 1);
    let row = seen.row("j-1");
    assert_eq!(
        (
            row.steps,
            row.steps_settled_id.as_deref(),
            row.steps_settled
        ),
        (Some(3), Some("s-3"), Some(3))
    );
}

#[tokio::test]
async fn an_ended_cluster_is_asked_in_the_run_after_its_end_and_not_again() {
    let mut world = world("TERMINATED");
    let mut known = cluster_row("j-1", "RUNNING", hours(-25), None);
    known.described_at = hours(0);
    let mut gone = cluster_row("j-gone", "TERMINATED", hours(-50), hours(-30));
    gone.described_at = hours(0);
    world.knew(vec![known, gone]);
    world.cluster(
        A,
        described(
            listed("j-gone", "TERMINATED", hours(-50), hours(-30)),
            "",
            "",
        ),
    );
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.subjects(Operation::ListSteps), ["j-1"]);
    assert_eq!(seen.row("j-1").steps_lookup, Some(Lookup::Found));
}

#[tokio::test]
async fn refused_steps_are_a_gap_of_their_own_source() {
    let world = world("RUNNING");
    for n in 2..9 {
        let cluster = listed(&format!("j-{n}"), "RUNNING", hours(-5), None);
        world.cluster(A, described(cluster, "", ""));
    }
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "");
    world.cloud.fault(Operation::ListSteps, denied).add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        cloud.count(Operation::ListSteps),
        3,
        "a permission is missing"
    );
    let cell = seen.cell(A, IRELAND, Source::Steps);
    assert_eq!(cell.outcome, CellOutcome::DeniedIam);
    assert_eq!(
        cell.denied_action.as_deref(),
        Some("elasticmapreduce:ListSteps")
    );
    assert_eq!((cell.items_expected, cell.items_failed), (Some(8), Some(8)));
    assert_eq!(
        seen.outcome(A, IRELAND, Source::ClusterSettings),
        CellOutcome::Collected
    );
    for n in 1..9 {
        let row = seen.row(&format!("j-{n}"));
        assert_eq!((row.steps_lookup, row.steps), (Some(Lookup::Denied), None));
    }
}

#[tokio::test]
async fn log_groups_are_asked_once_each_and_their_keys_are_looked_up() {
    let world = World::new();
    for (id, group) in [
        ("j-1", Some("teams")),
        ("j-2", Some("teams")),
        ("j-3", None),
    ] {
        let mut cluster = described(listed(id, "RUNNING", hours(-2), None), "", "");
        cluster.cloudwatch.enabled = Some(true);
        cluster.cloudwatch.log_group = group.map(str::to_owned);
        world.cluster(A, cluster);
    }
    let mut off = described(listed("j-4", "RUNNING", hours(-2), None), "", "");
    off.cloudwatch.enabled = Some(false);
    off.cloudwatch.log_group = Some("unused".to_owned());
    world.cluster(A, off);
    world.edit(A, |a| {
        let group = |name: &str, key: Option<&str>| DescribedLogGroup {
            name: name.to_owned(),
            kms_key: key.map(str::to_owned),
            created_at: hours(-9),
        };
        let groups = vec![group("teams", Some(OTHER_KEY)), group("teams-more", None)];
        a.log_groups.insert(IRELAND.to_owned(), groups);
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        cloud.subjects(Operation::DescribeLogGroups),
        ["/aws/emr/j-3", "teams"]
    );
    let rows: Vec<_> = seen.facts.iter().flat_map(|f| &f.log_groups).collect();
    let short: Vec<_> = rows
        .iter()
        .map(|g| (g.log_group.as_str(), g.lookup, g.kms_key.as_deref()))
        .collect();
    let expected = [
        ("/aws/emr/j-3", Lookup::NotFound, None),
        ("teams", Lookup::Found, Some(OTHER_KEY)),
    ];
    assert_eq!(short, expected);
    assert!(seen.keys().iter().any(|k| k.key_reference == OTHER_KEY));
    let cell = seen.cell(A, IRELAND, Source::LogGroups);
    assert_eq!(
        (cell.outcome, cell.items_expected),
        (CellOutcome::Collected, Some(2))
    );
    assert!(seen.find(B, IRELAND, Source::LogGroups).is_none());
}

#[tokio::test]
async fn sessions_are_read_where_they_are_enabled() {
    let world = World::new();
    for (id, enabled) in [("j-1", Some(true)), ("j-2", Some(false)), ("j-3", None)] {
        let mut cluster = described(listed(id, "RUNNING", hours(-2), None), "", "");
        cluster.session_enabled = enabled;
        world.cluster(A, cluster);
    }
    let session = ListedSession {
        id: "session-1".to_owned(),
        created_at: hours(-1),
        s3: SessionLogs {
            enabled: Some(true),
            place: Some("s3://sessions/x".to_owned()),
            key: Some(OTHER_KEY.to_owned()),
        },
        cloudwatch: SessionLogs::default(),
        managed: SessionLogs::default(),
    };
    world.edit(A, |a| {
        a.sessions.insert("j-1".to_owned(), vec![session]);
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.subjects(Operation::ListSessions), ["j-1"]);
    let rows: Vec<_> = seen.facts.iter().flat_map(|f| &f.sessions).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].log_uri.as_deref(), Some("s3://sessions/x"));
    assert_eq!(seen.row("j-1").sessions_lookup, Some(Lookup::Found));
    assert_eq!(seen.row("j-2").sessions_lookup, None);
    assert!(seen.keys().iter().any(|k| k.key_reference == OTHER_KEY));
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Sessions),
        CellOutcome::Collected
    );
}
