//! Retries, budgets, sessions, paginators, cancellation.

use std::time::Duration;

use super::*;
use crate::collect::api::ErrorClass;
use crate::collect::attempt::{CallError, MAX_PAGES, Pager, Place};
use crate::collect::fake::{What, described, listed};
use crate::collect::operation::Operation;

const THROTTLED: What = What::Error(ErrorClass::Throttled, "ThrottlingException", "slow down");
const BROKEN: What = What::Error(ErrorClass::Server, "InternalServerException", "oh");

#[tokio::test]
async fn throttling_and_failures_are_retried_and_counted() {
    let world = World::new();
    world.cluster(A, described(listed("j-1", "RUNNING", None, None), "", ""));
    let on_a = |what: What, times| {
        let fault = world.cloud.fault(Operation::ListClusters, what);
        fault.account(A).times(times).add();
    };
    on_a(THROTTLED, 2);
    on_a(BROKEN, 1);
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Clusters);
    assert_eq!(cell.outcome, CellOutcome::Collected);
    assert_eq!((cell.calls, cell.retries, cell.throttles), (5, 3, 2));
    assert_eq!(cell.error_code, None, "a cured failure is no evidence");
    assert_eq!(seen.collected.throttles, 2);
}

#[tokio::test]
async fn the_cells_deadline_is_the_budget() {
    let world = World::new();
    let clock = world.cloud.clock.clone();
    world
        .cloud
        .fault(Operation::ListClusters, THROTTLED)
        .account(A)
        .add();
    world
        .cloud
        .fault(Operation::ListSecurityConfigurations, BROKEN)
        .account(A)
        .add();
    world
        .cloud
        .fault(Operation::ListBuckets, What::Hang)
        .account(A)
        .add();
    let seen = world.run().await;
    let clusters = seen.cell(A, IRELAND, Source::Clusters);
    assert_eq!(clusters.outcome, CellOutcome::ThrottledOut);
    assert_eq!(clusters.error_code.as_deref(), Some("ThrottlingException"));
    assert!(clusters.request_id.is_some());
    let took = clusters.ended_at.0 - clusters.started_at.0;
    assert!((800_000..=900_000).contains(&took), "{took}");
    let configurations = seen.outcome(A, IRELAND, Source::SecurityConfigurations);
    assert_eq!(configurations, CellOutcome::Failed);
    assert_eq!(
        seen.outcome(A, "global", Source::BucketOwners),
        CellOutcome::TimedOut
    );
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
    assert!(clock.now().0 - START < 1_900_000, "cells wait side by side");
}

#[tokio::test]
async fn an_expired_session_is_renewed_and_the_call_made_once_more() {
    let world = World::new();
    let cloud = world.cloud.clone();
    let expired = What::Error(ErrorClass::Expired, "ExpiredTokenException", "");
    cloud
        .fault(Operation::ListClusters, expired.clone())
        .account(A)
        .times(1)
        .add();
    cloud
        .fault(Operation::ListClusters, expired)
        .account(B)
        .add();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
    assert_eq!(seen.cell(A, IRELAND, Source::Clusters).retries, 1);
    // Once, not for ever.
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Clusters),
        CellOutcome::Failed
    );
    assert_eq!(seen.cell(B, IRELAND, Source::Clusters).calls, 3);
    let sessions = cloud.with(|s| s.sessions.clone());
    assert_eq!(sessions.len(), 4);
    assert!(
        sessions
            .iter()
            .all(|s| s.session_name == "keyproof-20261124T020003Z-00000001")
    );
}

#[tokio::test]
async fn sessions_are_renewed_before_they_end() {
    let mut world = World::new();
    world.accounts.truncate(1);
    world.options.cell_deadline = Duration::from_secs(7_200);
    for i in 0..2_000 {
        let listed = listed(&format!("j-{i:04}"), "RUNNING", None, None);
        world.cluster(A, described(listed, "", ""));
    }
    world.cloud.with(|s| s.session_life_ms = Some(900_000));
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, IRELAND, Source::ClusterSettings),
        CellOutcome::Collected
    );
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Steps),
        CellOutcome::Collected
    );
    // 3,980 s at one ListSteps in two seconds, 600 s of each session used.
    assert!((7..=8).contains(&cloud.with(|s| s.sessions.len())));
}

#[tokio::test]
async fn the_bucket_of_an_operation_is_kept_to() {
    let mut world = World::new();
    world.share = 0.5;
    for i in 0..40 {
        world.cluster(
            A,
            described(listed(&format!("j-{i:02}"), "RUNNING", None, None), "", ""),
        );
    }
    let cloud = world.cloud.clone();
    world.run().await;
    let at: Vec<i64> = cloud.with(|s| {
        let calls = s.calls.iter();
        let calls = calls.filter(|c| c.operation == Operation::DescribeCluster);
        calls.map(|c| c.at).collect()
    });
    assert_eq!(at.len(), 40);
    let took = at[39] - at[0];
    // Half of a burst of 10, then one in two seconds.
    assert!((68_000..=72_000).contains(&took), "{took}");
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_allowed() {
    let mut world = World::new();
    for i in 0..60 {
        world.add(&format!("3333000000{i:02}"));
    }
    world.options.concurrency = 5;
    world.cloud.with(|s| s.latency = Duration::from_millis(100));
    let cloud = world.cloud.clone();
    world.run().await;
    assert_eq!(cloud.with(|s| s.most_in_flight), 5);
}

#[tokio::test]
async fn a_paginator_that_repeats_fails_its_cell() {
    let world = World::new();
    world
        .cloud
        .fault(Operation::ListClusters, What::SameToken)
        .account(A)
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, Source::Clusters);
    assert_eq!(cell.outcome, CellOutcome::Failed);
    assert_eq!(cell.error_code.as_deref(), Some("Paginator"));
}

#[tokio::test]
async fn a_paginator_that_never_ends_is_stopped_by_the_deadline_or_by_counting() {
    let world = World::new();
    world
        .cloud
        .fault(Operation::ListClusters, What::Endless)
        .account(A)
        .add();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::TimedOut
    );

    let region = region(IRELAND);
    let operation = Operation::ListClusters;
    let mut pager = Pager::new(Place {
        account: None,
        region: &region,
        operation,
    });
    let error = (0..=MAX_PAGES)
        .find_map(|i| pager.advance(Some(i.to_string())).err())
        .expect("stopped");
    assert!(
        matches!(
            error,
            CallError::Paginator {
                page: MAX_PAGES,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("repeats or never ends"));
}

#[tokio::test]
async fn an_empty_page_with_a_token_goes_on() {
    let world = World::new();
    world.cluster(A, described(listed("j-1", "RUNNING", None, None), "", ""));
    world
        .cloud
        .fault(Operation::ListClusters, What::EmptyFirst)
        .add();
    world.run().await.row("j-1");
}

#[tokio::test]
async fn cancelling_ends_at_once_and_every_cell_says_so() {
    let mut world = World::new();
    for i in 0..90 {
        world.add(&format!("3333000000{i:02}"));
    }
    let accounts = world.accounts.len();
    world.options.concurrency = 2;
    world.cloud.with(|s| s.latency = Duration::from_millis(50));
    world
        .cloud
        .fault(Operation::ListClusters, What::Hang)
        .skip(10)
        .add();
    let cloud = world.cloud.clone();
    let cancel = world.cancel.clone();
    let watch = tokio::spawn(async move {
        while cloud.count(Operation::ListClusters) < 12 {
            tokio::task::yield_now().await;
        }
        cancel.send_replace(true);
        cloud.clock.now()
    });
    let clock = world.cloud.clock.clone();
    let seen = world.run().await;
    let cancelled_at = watch.await.expect("watch");
    assert!(clock.now().0 - cancelled_at.0 < 5_000, "not promptly");
    assert!(seen.collected.cancelled);
    let with_rows: std::collections::BTreeSet<_> =
        seen.coverage.iter().map(|c| c.account_id.clone()).collect();
    assert_eq!(with_rows.len(), accounts, "every account has coverage");
    let ended = |o| seen.coverage.iter().filter(|c| c.outcome == o).count();
    assert!(ended(CellOutcome::NotAttempted) > accounts);
    assert!(ended(CellOutcome::Empty) > 0, "what was read stays read");
    assert_eq!(ended(CellOutcome::TimedOut), 0);
}

#[tokio::test]
async fn at_the_runs_deadline_what_has_not_begun_is_not_attempted() {
    let mut world = World::new();
    world.options.concurrency = 1;
    for i in 0..10 {
        world.add(&format!("3333000000{i:02}"));
    }
    world.options.deadline = Some(UtcMillis(START + 60_000));
    world.cloud.fault(Operation::ListClusters, What::Hang).add();
    let clock = world.cloud.clock.clone();
    let seen = world.run().await;
    assert!(clock.now().0 <= START + 60_000);
    let ended = |o| {
        let cells = seen.coverage.iter();
        cells
            .filter(|c| c.source == Source::Clusters && c.outcome == o)
            .count()
    };
    assert_eq!(ended(CellOutcome::TimedOut), 2, "those that had begun");
    let regions = seen.coverage.iter().filter(|c| c.source == Source::Regions);
    let waiting = regions
        .filter(|c| c.outcome == CellOutcome::NotAttempted)
        .count();
    assert_eq!(waiting, 10);
    assert!(!seen.collected.cancelled);
}
