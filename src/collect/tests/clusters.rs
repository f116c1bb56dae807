//! Listing, carrying, describing: whole runs, one rule each. The pure rules have their tests in
//! `listing` and `settings`.

use super::*;
use crate::collect::api::ErrorClass;
use crate::collect::fake::{What, cluster_row, described, listed};
use crate::collect::operation::Operation;
use crate::model::words::{Seen as How, Settings};
use crate::time::HOUR_MS;

fn hours(h: i64) -> Option<UtcMillis> {
    Some(UtcMillis(START + h * HOUR_MS))
}

/// Described an hour ago: not due for a refresh.
fn row(id: &str, state: &str, created: i64) -> EmrCluster {
    let mut row = cluster_row(id, state, hours(created), None);
    row.described_at = hours(0);
    row
}

#[tokio::test]
async fn a_first_run_describes_everything_and_keeps_allowed_fields_only() {
    let world = World::new();
    let uri = "s3n://AKIA:SECRET@logs-a/emr";
    world.cluster(
        A,
        described(listed("j-1", "RUNNING", hours(-2), None), uri, " key-1 "),
    );
    world.cluster(
        A,
        described(
            listed("j-2", "TERMINATED", hours(-700), hours(-600)),
            "",
            "",
        ),
    );
    let seen = world.run().await;
    let one = seen.row("j-1");
    assert_eq!(one.log_uri.as_deref(), Some("s3n://logs-a/emr"));
    assert_eq!(one.log_key.as_deref(), Some("key-1"));
    assert_eq!(one.owner.as_deref(), Some("team-a"));
    assert_eq!((one.seen, one.settings), (How::Listed, Settings::Described));
    assert_eq!(
        one.described_in_run.as_ref().map(|r| r.as_str()),
        Some("20261124T020003Z-00000001")
    );
    assert_eq!(seen.row("j-2").ended_at, hours(-600));
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(
        (cell.items_expected, cell.items_collected),
        (Some(2), Some(2))
    );
    assert!(!seen.stable().concat().contains("SECRET"));
    assert!(
        seen.find(B, IRELAND, Source::ClusterSettings).is_none(),
        "nothing to look up"
    );
}

#[tokio::test]
async fn a_second_run_describes_new_and_vanished_clusters_only() {
    let mut world = World::new();
    world.cluster(
        A,
        described(
            listed("j-known", "WAITING", hours(-50), None),
            "s3://new/",
            "new",
        ),
    );
    world.cluster(
        A,
        described(listed("j-new", "RUNNING", hours(-2), None), "", ""),
    );
    world.cluster(
        A,
        described(
            listed("j-ended", "TERMINATED", hours(-60), hours(-3)),
            "",
            "",
        ),
    );
    world.knew(vec![
        row("j-known", "RUNNING", -50),
        row("j-ended", "RUNNING", -60),
        row("j-gone", "RUNNING", -70),
    ]);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        cloud.subjects(Operation::DescribeCluster),
        ["j-gone", "j-new"]
    );
    let known = seen.row("j-known");
    assert_eq!(known.settings, Settings::Carried);
    assert_eq!(known.state, "WAITING", "fresh from the list");
    assert_eq!(known.log_uri.as_deref(), Some("s3://old-logs/x"), "copied");
    assert_eq!(known.scheduled_for, UtcMillis(START).date());
    assert_eq!(
        known.described_in_run.as_ref().map(|r| r.as_str()),
        Some("20261123T020003Z-7f3a")
    );
    let ended = seen.row("j-ended");
    assert_eq!(
        (ended.settings, ended.ended_at),
        (Settings::Carried, hours(-3))
    );
}

#[tokio::test]
async fn a_vanished_cluster_tells_its_end_or_is_forgotten() {
    let mut world = World::new();
    // Ended, and for some reason in neither list.
    let told = described(listed("j-told", "ODD", hours(-70), hours(-4)), "", "");
    world.cluster(A, told);
    world.knew(vec![
        row("j-told", "RUNNING", -70),
        row("j-gone", "RUNNING", -70),
    ]);
    let seen = world.run().await;
    let told = seen.row("j-told");
    assert_eq!((told.seen, told.ended_at), (How::Vanished, hours(-4)));
    assert_eq!(told.settings, Settings::Described);
    let gone = seen.row("j-gone");
    assert_eq!(
        (gone.seen, gone.state.as_str()),
        (How::Vanished, "TERMINATED")
    );
    assert_eq!((gone.ended_at, gone.settings), (None, Settings::Carried));
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(cell.outcome, CellOutcome::Collected);
}

#[tokio::test]
async fn a_describe_that_fails_leaves_a_deferred_row_and_the_next_run_begins_with_it() {
    let mut world = World::new();
    world.cluster(
        A,
        described(listed("j-1", "RUNNING", hours(-2), None), "", ""),
    );
    world.cluster(
        A,
        described(listed("j-2", "RUNNING", hours(-2), None), "", ""),
    );
    let mut owed = row("j-2", "RUNNING", -2);
    owed.settings = Settings::Deferred;
    world.knew(vec![owed]);
    let denied = What::Error(
        ErrorClass::DeniedIam,
        "AccessDeniedException",
        "identity-based policy",
    );
    world
        .cloud
        .fault(Operation::DescribeCluster, denied)
        .subject("j-1")
        .add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.subjects(Operation::DescribeCluster), ["j-2", "j-1"]);
    assert_eq!(seen.row("j-1").settings, Settings::Deferred);
    assert_eq!(seen.row("j-2").settings, Settings::Described);
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert_eq!(
        (cell.items_collected, cell.items_failed),
        (Some(1), Some(1))
    );
    assert_eq!(
        cell.denied_action.as_deref(),
        Some("elasticmapreduce:DescribeCluster")
    );
    assert_eq!(seen.collected.cells_open, 1);
}

/// Day 1 may not describe, day 2 may: what ended before day 1 is judged on day 2, what AWS has
/// forgotten meanwhile is told once more, and day 3 holds neither.
#[tokio::test]
async fn ended_clusters_whose_settings_were_denied_are_described_by_the_next_run() {
    async fn day(
        known: Vec<EmrCluster>,
        denied: bool,
        forgotten: bool,
    ) -> (Vec<EmrCluster>, Vec<String>) {
        let mut world = World::new();
        let ended = |id: &str| listed(id, "TERMINATED", hours(-700), hours(-600));
        for i in 0..30 {
            let cluster = described(ended(&format!("j-{i:02}")), "s3://logs-a/", "");
            world.cluster(A, cluster);
        }
        if !forgotten {
            world.cluster(A, described(ended("j-short"), "", ""));
        }
        if !known.is_empty() {
            world.knew(known);
        }
        if denied {
            let what = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "");
            world.cloud.fault(Operation::DescribeCluster, what).add();
        }
        let cloud = world.cloud.clone();
        let seen = world.run().await;
        let rows = seen.clusters().into_iter().cloned().collect();
        (rows, cloud.subjects(Operation::DescribeCluster))
    }
    let with = |rows: &[EmrCluster], settings| {
        let rows = rows.iter().filter(|r| r.settings == settings);
        rows.count()
    };
    let (first, _) = day(vec![], true, false).await;
    assert_eq!(with(&first, Settings::Deferred), 31);

    let (second, asked) = day(first, false, true).await;
    assert_eq!(asked.len(), 31);
    assert_eq!(with(&second, Settings::Described), 30);
    let short = second.iter().find(|r| r.cluster_id == "j-short");
    let short = short.expect("a last row");
    assert_eq!(
        (short.seen, short.settings),
        (How::Vanished, Settings::Deferred)
    );
    assert_eq!(short.ended_at, hours(-600), "it was told before");

    let (third, asked) = day(second, false, true).await;
    assert_eq!((third.len(), asked.len()), (0, 0));
}

#[tokio::test]
async fn an_owed_cluster_stays_owed_while_its_cell_is_dark() {
    let mut world = World::new();
    let mut owed = row("j-owed", "TERMINATED", -90);
    owed.settings = Settings::Deferred;
    world.knew(vec![owed]);
    let scp = What::Error(ErrorClass::DeniedScp, "AccessDeniedException", "");
    world.cloud.fault(Operation::ListClusters, scp).add();
    let seen = world.run().await;
    let row = seen.row("j-owed");
    assert_eq!((row.seen, row.settings), (How::NotSeen, Settings::Deferred));
}

#[tokio::test]
async fn a_missing_permission_does_not_cost_a_call_per_cluster() {
    let world = World::new();
    for i in 0..50 {
        world.cluster(
            A,
            described(listed(&format!("j-{i}"), "RUNNING", None, None), "", ""),
        );
    }
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "");
    world.cloud.fault(Operation::DescribeCluster, denied).add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::DescribeCluster), 3);
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(
        (cell.outcome, cell.items_failed),
        (CellOutcome::DeniedIam, Some(50))
    );
    assert_eq!(seen.clusters().len(), 50);
}

#[tokio::test]
async fn what_the_deadline_cuts_off_is_deferred() {
    let mut world = World::new();
    world.accounts.truncate(1);
    for i in 0..1_000 {
        let listed = listed(&format!("j-{i:04}"), "RUNNING", None, None);
        world.cluster(A, described(listed, "", ""));
    }
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    // A burst of 10 and one a second for 15 minutes.
    assert!(
        (900..=912).contains(&cell.items_collected.unwrap_or(0)),
        "{cell:?}"
    );
    let rows = seen.clusters();
    assert_eq!(rows.len(), 1_000);
    let deferred = rows
        .iter()
        .filter(|r| r.settings == Settings::Deferred)
        .count();
    assert_eq!(Some(deferred as i64), cell.items_failed);
}

/// One account-region with so many clusters alive, and time enough for all of them.
fn crowded(clusters: usize) -> World {
    let mut world = World::new();
    world.accounts.truncate(1);
    for i in 0..clusters {
        let listed = listed(&format!("j-{i:05}"), "RUNNING", None, None);
        world.cluster(A, described(listed, "", ""));
    }
    world.options.cell_deadline = std::time::Duration::from_secs(24 * 3_600);
    world
}

#[tokio::test]
async fn ten_thousand_clusters_in_one_place_are_described_at_the_buckets_rate_and_none_is_lost() {
    let world = crowded(10_000);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let rows = seen.clusters();
    assert_eq!(rows.len(), 10_000);
    assert!(rows.iter().all(|r| r.settings == Settings::Described));
    let calls = cloud.with(|s| s.calls.clone());
    let described = calls
        .iter()
        .filter(|c| c.operation == Operation::DescribeCluster);
    let at: Vec<i64> = described.clone().map(|c| c.at).collect();
    let each: BTreeSet<&str> = described.map(|c| c.subject.as_str()).collect();
    assert_eq!((at.len(), each.len()), (10_000, 10_000), "each once");
    // A burst of 10, then one a second: 9,990 s, of the clock that the test moves.
    let took_ms = at[at.len() - 1] - at[0];
    assert!((9_990_000..10_000_000).contains(&took_ms), "{took_ms}");
}

#[tokio::test]
async fn what_a_deadline_cuts_off_of_ten_thousand_clusters_the_next_run_finishes() {
    let mut world = crowded(10_000);
    world.options.cell_deadline = std::time::Duration::from_secs(15 * 60);
    let first = world.run().await;
    let rows: Vec<EmrCluster> = first.clusters().into_iter().cloned().collect();
    assert_eq!(rows.len(), 10_000);
    let owed = rows.iter().filter(|r| r.settings == Settings::Deferred);
    let owed: BTreeSet<String> = owed.map(|r| r.cluster_id.clone()).collect();
    assert!((9_000..9_200).contains(&owed.len()), "{}", owed.len());

    let mut world = crowded(10_000);
    world.knew(rows);
    let cloud = world.cloud.clone();
    let second = world.run().await;
    let rows = second.clusters();
    assert_eq!(rows.len(), 10_000);
    assert!(rows.iter().all(|r| r.settings != Settings::Deferred));
    let asked = cloud.subjects(Operation::DescribeCluster);
    assert_eq!(asked.len(), owed.len(), "each once, and no other");
    assert_eq!(BTreeSet::from_iter(asked), owed);
    let cell = second.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(cell.outcome, CellOutcome::Collected);
}

#[tokio::test]
async fn clusters_last_known_alive_are_carried_when_the_cell_is_denied() {
    let mut world = World::new();
    let mut ended = row("j-ended", "TERMINATED", -90);
    ended.ended_at = hours(-30);
    world.knew(vec![row("j-1", "RUNNING", -70), ended]);
    let scp = What::Error(
        ErrorClass::DeniedScp,
        "AccessDeniedException",
        "service control policy",
    );
    world
        .cloud
        .fault(Operation::ListClusters, scp)
        .account(A)
        .add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Clusters);
    assert_eq!(cell.outcome, CellOutcome::DeniedScp);
    assert_eq!(
        cell.denied_action.as_deref(),
        Some("elasticmapreduce:ListClusters")
    );
    let row = seen.row("j-1");
    assert_eq!((row.seen, row.settings), (How::NotSeen, Settings::Carried));
    assert_eq!(seen.clusters().len(), 1);
    assert_eq!(cloud.count(Operation::DescribeCluster), 0);
}

#[tokio::test]
async fn a_listing_that_breaks_off_reports_no_end_and_loses_nobody() {
    let mut world = World::new();
    world.cluster(
        A,
        described(listed("j-new", "RUNNING", hours(-2), None), "", ""),
    );
    world.cluster(
        A,
        described(listed("j-known", "WAITING", hours(-50), None), "", ""),
    );
    world.cluster(
        A,
        described(
            listed("j-ended", "TERMINATED", hours(-60), hours(-3)),
            "",
            "",
        ),
    );
    world.knew(vec![
        row("j-known", "RUNNING", -50),
        row("j-ended", "RUNNING", -60),
    ]);
    let broken = What::Error(ErrorClass::Server, "InternalServerException", "");
    world
        .cloud
        .fault(Operation::ListClusters, broken)
        .subject("ended")
        .add();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::Failed
    );
    let settings = |id: &str| (seen.row(id).seen, seen.row(id).settings);
    assert_eq!(settings("j-new"), (How::Listed, Settings::Deferred));
    assert_eq!(settings("j-known"), (How::Listed, Settings::Carried));
    assert_eq!(settings("j-ended"), (How::NotSeen, Settings::Carried));
    let cell = seen.cell(A, IRELAND, Source::ClusterSettings);
    assert_eq!(cell.outcome, CellOutcome::NotAttempted);
}

#[tokio::test]
async fn the_second_list_is_asked_for_with_the_watermarks_date() {
    let mut world = World::new();
    // Created before the oldest cluster that was alive: AWS does not even list it.
    world.cluster(
        A,
        described(
            listed("j-old", "TERMINATED", hours(-200), hours(-190)),
            "",
            "",
        ),
    );
    world.cluster(
        A,
        described(
            listed("j-long", "TERMINATED", hours(-100), hours(-1)),
            "",
            "",
        ),
    );
    world.knew(vec![row("j-long", "RUNNING", -100)]);
    let seen = world.run().await;
    assert_eq!(seen.clusters().len(), 1);
    assert_eq!(seen.row("j-long").ended_at, hours(-1));
}

#[tokio::test]
async fn long_lists_are_read_to_their_end() {
    let mut world = World::new();
    world.accounts.truncate(1);
    for i in 0..120 {
        let listed = listed(&format!("j-{i:03}"), "RUNNING", None, None);
        world.cluster(A, described(listed, "", ""));
    }
    world.cloud.with(|s| s.page_size = 50);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(seen.clusters().len(), 120);
    assert_eq!(
        cloud.count(Operation::ListClusters),
        4,
        "three pages and one empty list"
    );
}

#[tokio::test]
async fn security_configurations_are_projected() {
    let world = World::new();
    world.edit(A, |a| {
        let good = r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":"true"},"X":"SECRET"}"#;
        let all = vec![
            ("good".to_owned(), good.to_owned()),
            ("bad".to_owned(), "{".to_owned()),
        ];
        a.configurations.insert(IRELAND.to_owned(), all);
    });
    let seen = world.run().await;
    let rows: Vec<_> = seen
        .facts
        .iter()
        .flat_map(|f| &f.security_configurations)
        .collect();
    assert_eq!(
        rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
        ["bad", "good"]
    );
    assert_eq!(rows[0].encryption_json, None);
    assert_eq!((rows[1].at_rest, rows[1].unknown_keys), (Some(true), 1));
    assert_eq!(rows[1].created_at, Some(UtcMillis(START)), "from the list");
    assert!(!seen.stable().concat().contains("SECRET"));
    let source = Source::SecurityConfigurations;
    assert_eq!(seen.outcome(A, IRELAND, source), CellOutcome::Collected);
    assert_eq!(seen.outcome(B, IRELAND, source), CellOutcome::Empty);
}
