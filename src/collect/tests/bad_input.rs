//! What AWS, or a configuration, should never say.

use std::time::Duration;

use super::*;
use crate::collect::api::{ErrorClass, Tag};
use crate::collect::fake::{What, cluster_row, described, listed};
use crate::collect::operation::Operation;
use crate::model::words::{Seen as How, Settings};

const TOO_LARGE: What = What::Error(ErrorClass::TooLarge, "ResponseTooLarge", "");

#[tokio::test]
async fn zero_accounts_have_no_cells() {
    let mut world = World::new();
    world.accounts.clear();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(seen.collected, Collected::default());
    assert!(cloud.with(|s| s.calls.is_empty()));
}

#[tokio::test]
async fn one_account_is_enough() {
    let mut world = World::new();
    world.accounts.truncate(1);
    world.cluster(A, described(listed("j-1", "RUNNING", None, None), "", ""));
    let seen = world.run().await;
    assert_eq!(seen.row("j-1").settings, Settings::Described);
    assert_eq!(seen.collected.cells_open, 0);
}

/// An entry may move onto the next page while a list is read.
#[tokio::test]
async fn a_cluster_on_two_pages_of_a_list_has_one_row() {
    let world = World::new();
    for id in ["j-1", "j-2", "j-2", "j-3"] {
        world.cluster(A, described(listed(id, "RUNNING", None, None), "", ""));
    }
    world.cloud.with(|s| s.page_size = 2);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let ids: Vec<_> = seen.clusters().iter().map(|c| &c.cluster_id).collect();
    assert_eq!(ids, ["j-1", "j-2", "j-3"]);
    assert_eq!(cloud.count(Operation::DescribeCluster), 3);
}

#[tokio::test]
async fn of_a_million_tags_the_named_ones_are_kept() {
    let world = World::new();
    let mut cluster = described(listed("j-1", "RUNNING", None, None), "", "");
    let tag = |name: String| Tag {
        value: format!("value of {name}"),
        name,
    };
    cluster.tags = (0..1_000_000).map(|i| tag(format!("tag-{i}"))).collect();
    cluster.tags.push(tag("owner".to_owned()));
    world.cluster(A, cluster);
    let seen = world.run().await;
    assert_eq!(seen.row("j-1").owner.as_deref(), Some("value of owner"));
    let all = seen.stable().concat();
    assert!(!all.contains("tag-"), "no other tag is stored");
}

/// Asking again would read it again, and it says nothing of what was asked about.
#[tokio::test]
async fn an_answer_that_is_too_large_fails_its_cell_once() {
    let mut world = World::new();
    let gone = cluster_row("j-gone", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.knew(vec![gone]);
    world.cluster(A, described(listed("j-1", "RUNNING", None, None), "", ""));
    let on = |operation| world.cloud.fault(operation, TOO_LARGE).account(A).add();
    on(Operation::DescribeCluster);
    on(Operation::ListSecurityConfigurations);
    on(Operation::ListBuckets);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    for (region, source, calls) in [
        (IRELAND, Source::ClusterSettings, 2),
        (IRELAND, Source::SecurityConfigurations, 1),
        ("global", Source::BucketOwners, 1),
    ] {
        let cell = seen.cell(A, region, source);
        assert_eq!(cell.outcome, CellOutcome::Failed, "{source}");
        assert_eq!(cell.error_code.as_deref(), Some("ResponseTooLarge"));
        assert_eq!(cell.calls, calls, "{source}");
    }
    assert_eq!(cloud.count(Operation::DescribeCluster), 2);
    assert_eq!(seen.row("j-1").settings, Settings::Deferred);
    let gone = seen.row("j-gone");
    assert_eq!((gone.seen, gone.state.as_str()), (How::NotSeen, "RUNNING"));
}

#[tokio::test]
async fn a_cell_without_time_ends_before_its_first_call() {
    let mut world = World::new();
    world.options.cell_deadline = Duration::ZERO;
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(cloud.with(|s| s.calls.is_empty()));
    assert_eq!(seen.coverage.len(), 4, "each account's own two");
    for cell in &seen.coverage {
        assert_eq!(cell.outcome, CellOutcome::TimedOut);
    }
}

#[tokio::test]
async fn a_run_without_time_attempts_nothing() {
    let mut world = World::new();
    world.options.deadline = Some(UtcMillis(START));
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(cloud.with(|s| s.calls.is_empty()));
    assert_eq!(seen.coverage.len(), 4, "each account's own two");
    for cell in &seen.coverage {
        assert_eq!(cell.outcome, CellOutcome::NotAttempted);
    }
}

#[tokio::test]
async fn no_share_and_no_places_are_the_smallest_there_are() {
    let mut world = World::new();
    world.share = 0.0;
    world.options.concurrency = 0;
    world.options.regions_at_once = 0;
    let seen = world.run().await;
    assert_eq!(seen.collected.cells_open, 0);
}
