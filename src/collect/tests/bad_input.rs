//! What AWS, or a configuration, should never say.

use std::time::Duration;

use super::*;
use crate::collect::api::{ErrorClass, Tag};
use crate::collect::fake::{FakeKey, What, cluster_row, described, listed};
use crate::collect::operation::Operation;
use crate::model::words::{Lookup, Seen as How, Settings};

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

/// Accounts A and B, each with something for every list to tell.
fn busy() -> World {
    let mut world = World::new();
    world.options.launch_days = 30;
    for owner in [A, B] {
        let key = format!("arn:aws:kms:{IRELAND}:{owner}:key/k1");
        let running = listed(
            &format!("j-{owner}"),
            "RUNNING",
            Some(UtcMillis(START)),
            None,
        );
        let mut cluster = described(running, &format!("s3://logs-{owner}/emr/"), &key);
        cluster.cloudwatch.enabled = Some(true);
        cluster.session_enabled = Some(true);
        world.cluster(owner, cluster);
        world.edit(owner, |a| {
            let enabled = FakeKey {
                state: "Enabled",
                manager: "CUSTOMER",
                policy: r#"{"Statement":[]}"#.to_owned(),
                ..FakeKey::default()
            };
            a.keys.insert(key, enabled);
            a.buckets
                .push((format!("logs-{owner}"), IRELAND.to_owned()));
        });
    }
    world
}

/// One token for ever, or a new one for ever: the list's own cell says so, and the other account knows
/// nothing of it.
#[tokio::test]
async fn each_list_that_repeats_or_never_ends_opens_its_own_cell() {
    for (operation, place, source) in [
        (Operation::ListRegions, "global", Source::Regions),
        (Operation::ListClusters, IRELAND, Source::Clusters),
        (Operation::ListSteps, IRELAND, Source::Steps),
        (Operation::ListSessions, IRELAND, Source::Sessions),
        (
            Operation::ListSecurityConfigurations,
            IRELAND,
            Source::SecurityConfigurations,
        ),
        (Operation::DescribeLogGroups, IRELAND, Source::LogGroups),
        (Operation::ListBuckets, "global", Source::BucketOwners),
        (Operation::ListGrants, IRELAND, Source::Keys),
        (Operation::ListResourceTags, IRELAND, Source::Keys),
        (
            Operation::GetAccountAuthorizationDetails,
            "global",
            Source::Identities,
        ),
        (Operation::LookupEvents, IRELAND, Source::Launches),
    ] {
        for what in [What::SameToken, What::Endless] {
            let world = busy();
            world.cloud.fault(operation, what.clone()).account(A).add();
            let clock = world.cloud.clock.clone();
            let seen = world.run().await;
            let cell = seen.cell(A, place, source);
            let told = format!("{operation:?} {what:?}: {cell:?}");
            assert!(!cell.is_answered(), "{told}");
            if matches!(what, What::SameToken) {
                assert_eq!(cell.error_code.as_deref(), Some("Paginator"), "{told}");
            }
            let others = seen.coverage.iter().filter(|c| c.account_id.as_str() == B);
            let open: Vec<_> = others.filter(|c| !c.is_answered()).collect();
            assert!(open.is_empty(), "{told} {open:?}");
            assert!(clock.now().0 - START < 3_600_000, "{told}");
        }
    }
}

#[tokio::test]
async fn a_cluster_whose_steps_repeat_costs_the_others_nothing() {
    let world = World::new();
    for id in ["j-1", "j-2", "j-3"] {
        world.cluster(A, described(listed(id, "RUNNING", None, None), "", ""));
    }
    let fault = world.cloud.fault(Operation::ListSteps, What::SameToken);
    fault.subject("j-1").add();
    let seen = world.run().await;
    let lookups = ["j-1", "j-2", "j-3"].map(|id| seen.row(id).steps_lookup);
    let (failed, found) = (Some(Lookup::Failed), Some(Lookup::Found));
    assert_eq!(lookups, [failed, found, found]);
    let cell = seen.cell(A, IRELAND, Source::Steps);
    let items = (cell.items_collected, cell.items_failed);
    assert_eq!(
        (cell.outcome, items),
        (CellOutcome::Partial, (Some(2), Some(1)))
    );
}

/// EMR lists a cluster a moment before it can describe it.
#[tokio::test]
async fn a_cluster_that_cannot_be_described_yet_is_owed_and_the_next_run_reads_it() {
    let world = || {
        let world = World::new();
        for id in ["j-new", "j-old"] {
            world.cluster(A, described(listed(id, "RUNNING", None, None), "", ""));
        }
        world
    };
    let early = world();
    let unknown = What::Error(
        ErrorClass::Refused,
        "InvalidRequestException",
        "Cluster id is not valid.",
    );
    for operation in [Operation::DescribeCluster, Operation::ListSteps] {
        let fault = early.cloud.fault(operation, unknown.clone());
        fault.subject("j-new").add();
    }
    let seen = early.run().await;
    let row = seen.row("j-new");
    assert_eq!((row.seen, row.settings), (How::Listed, Settings::Deferred));
    assert_eq!(seen.row("j-old").settings, Settings::Described);
    for source in [Source::ClusterSettings, Source::Steps] {
        let cell = seen.cell(A, IRELAND, source);
        assert_eq!(
            (cell.outcome, cell.items_failed),
            (CellOutcome::Partial, Some(1)),
            "{source}"
        );
        assert_eq!(cell.error_code.as_deref(), Some("InvalidRequestException"));
    }

    let mut next = world();
    next.knew(seen.clusters().into_iter().cloned().collect());
    let cloud = next.cloud.clone();
    let seen = next.run().await;
    assert_eq!(cloud.subjects(Operation::DescribeCluster), ["j-new"]);
    assert_eq!(seen.row("j-new").settings, Settings::Described);
    assert_eq!(seen.collected.cells_open, 0);
}

/// It stands in the list of the active ones, and then in that of the ended ones.
#[tokio::test]
async fn a_cluster_that_ends_between_two_pages_has_one_row_with_its_end() {
    let world = World::new();
    let running = |id| {
        described(
            listed(id, "RUNNING", Some(UtcMillis(START - 9)), None),
            "",
            "",
        )
    };
    world.cluster(A, running("j-ends"));
    world.cluster(A, running("j-stays"));
    world.cloud.with(|s| {
        s.page_size = 1;
        s.latency = Duration::from_millis(100);
    });
    let cloud = world.cloud.clone();
    let ends = tokio::spawn(async move {
        let lists = |s: &mut crate::collect::fake::State| {
            let calls = s.calls.iter().filter(|c| c.account == A);
            calls
                .filter(|c| c.operation == Operation::ListClusters)
                .count()
        };
        while cloud.with(lists) < 2 {
            tokio::task::yield_now().await;
        }
        cloud.with(|s| {
            let account = s.accounts.get_mut(A).expect("account A");
            let clusters = account.clusters.get_mut(IRELAND).expect("clusters");
            // AWS goes on behind the last entry that it gave, wherever that stands now.
            clusters[0] = described(
                listed(
                    "j-ends",
                    "TERMINATED",
                    Some(UtcMillis(START - 9)),
                    Some(UtcMillis(START)),
                ),
                "",
                "",
            );
            clusters.insert(
                0,
                described(listed("j-filler", "RUNNING", None, None), "", ""),
            );
        });
    });
    let seen = world.run().await;
    ends.await.expect("it ended");
    let rows = seen.clusters();
    let of = |id: &str| rows.iter().filter(|r| r.cluster_id == id).count();
    assert_eq!((of("j-ends"), of("j-stays")), (1, 1));
    let row = seen.row("j-ends");
    assert_eq!(
        (row.state.as_str(), row.ended_at),
        ("TERMINATED", Some(UtcMillis(START)))
    );
    assert_eq!(seen.collected.cells_open, 0);
}
