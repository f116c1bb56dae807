//! Every account and every cell has exactly one end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::collect::api::ErrorClass;
use crate::collect::exceptions::tests::rule;
use crate::collect::fake::{DELETED, What, cluster_row, described, listed};
use crate::collect::operation::Operation;
use crate::collect::options::Regions;
use crate::collect::{FirstPassEnd, is_looked_into};
use crate::model::words::{ExceptionKind, Seen as How};

const NO_ROLE: What = What::Error(ErrorClass::DeniedTrust, "AccessDenied", "not authorized");

#[tokio::test]
async fn an_ordinary_account_has_its_cells() {
    let seen = World::new().run().await;
    let a: Vec<_> = seen
        .coverage
        .iter()
        .filter(|c| c.account_id.as_str() == A)
        .map(|c| (c.region.as_str(), c.source, c.outcome))
        .collect();
    use CellOutcome::{Collected, Empty, RegionOff};
    assert_eq!(
        a,
        [
            (IRELAND, Source::Clusters, Empty),
            (IRELAND, Source::SecurityConfigurations, Empty),
            ("global", Source::BucketOwners, Empty),
            ("global", Source::Regions, Collected),
            (OHIO, Source::Clusters, RegionOff),
        ]
    );
    assert_eq!(seen.collected.cells_open, 0);
}

#[tokio::test]
async fn every_call_is_counted_in_some_cell() {
    let world = World::new();
    let key = format!("arn:aws:kms:eu-west-1:{B}:key/k1");
    let listed = listed("j-1", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.cluster(A, described(listed, "s3://logs-b/emr", &key));
    let owned = ("logs-b".to_owned(), IRELAND.to_owned());
    world.edit(B, |b| b.buckets = vec![owned]);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let counted: i64 = seen.coverage.iter().map(|c| c.calls).sum();
    assert_eq!(counted as usize, cloud.with(|s| s.calls.len()));
    let jobs = seen.cell(B, IRELAND, Source::Reencryption);
    assert_eq!(jobs.calls, 2, "the role and the list");
}

#[tokio::test]
async fn an_account_without_the_role_is_told_and_its_clusters_stay() {
    let mut world = World::new();
    world.knew(vec![cluster_row(
        "j-1",
        "RUNNING",
        Some(UtcMillis(START - 1)),
        None,
    )]);
    world
        .cloud
        .fault(Operation::AssumeRole, NO_ROLE)
        .account(A)
        .add();
    let seen = world.run().await;
    for (region, source) in [
        ("global", Source::Regions),
        ("global", Source::BucketOwners),
        (IRELAND, Source::Clusters),
    ] {
        assert_eq!(seen.outcome(A, region, source), CellOutcome::DeniedTrust);
    }
    let cell = seen.cell(A, "global", Source::Regions);
    assert_eq!(cell.denied_action.as_deref(), Some("sts:AssumeRole"));
    assert_eq!(cell.calls, 1);
    assert_eq!(seen.row("j-1").seen, How::NotSeen);
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
}

#[tokio::test]
async fn accounts_that_were_left_out_say_why() {
    let mut world = World::new();
    world.add("333300000000");
    world.add("333300000001");
    for (i, why) in [(1, "state"), (2, "x-1"), (3, "not_selected")] {
        world.accounts[i].in_scope = false;
        world.accounts[i].left_out_because = Some(why.to_owned());
    }
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(B, "global", Source::Regions),
        CellOutcome::AccountState
    );
    let excluded = seen.cell("333300000000", "global", Source::Regions);
    assert_eq!(excluded.outcome, CellOutcome::Excluded);
    assert_eq!(excluded.accepted_by.as_deref(), Some("x-1"));
    assert!(
        seen.coverage
            .iter()
            .all(|c| c.account_id.as_str() != "333300000001")
    );
    assert_eq!(cloud.count(Operation::AssumeRole), 1);
    assert_eq!(seen.collected.cells_open, 0);
}

#[tokio::test]
async fn a_gap_is_accepted_where_all_its_limits_match_until_it_expires() {
    let scp = What::Error(ErrorClass::DeniedScp, "AccessDeniedException", "");
    let accepted = |edit: fn(&mut ExceptionRule)| {
        let scp = scp.clone();
        async move {
            let mut world = World::new();
            world
                .cloud
                .fault(Operation::ListClusters, scp)
                .account(A)
                .add();
            let mut gap = rule("gap-1", ExceptionKind::Gap);
            gap.accounts = vec![id(A)];
            gap.ous = vec!["ou-1".to_owned()];
            gap.regions = vec![region(IRELAND)];
            gap.sources = vec![Source::Clusters];
            gap.outcomes = vec![CellOutcome::DeniedScp];
            edit(&mut gap);
            world.exceptions = vec![gap];
            let seen = world.run().await;
            let cell = seen.cell(A, IRELAND, Source::Clusters);
            assert_eq!(cell.accepted_by.is_none(), seen.collected.cells_open == 1);
            cell.accepted_by.clone()
        }
    };
    assert_eq!(accepted(|_| {}).await.as_deref(), Some("gap-1"));
    assert_eq!(accepted(|g| g.accounts = vec![id(B)]).await, None);
    assert_eq!(accepted(|g| g.ous = vec!["ou-2".to_owned()]).await, None);
    assert_eq!(accepted(|g| g.regions = vec![region(OHIO)]).await, None);
    assert_eq!(accepted(|g| g.sources = vec![Source::Keys]).await, None);
    assert_eq!(
        accepted(|g| g.outcomes = vec![CellOutcome::Failed]).await,
        None
    );
    assert_eq!(accepted(|g| g.kind = ExceptionKind::Waiver).await, None);
    assert_eq!(
        accepted(|g| g.expires = UtcMillis(START).date().plus_days(-1)).await,
        None
    );
    assert_eq!(
        accepted(|g| g.expires = UtcMillis(START).date())
            .await
            .as_deref(),
        Some("gap-1"),
        "through its last day"
    );
}

#[tokio::test]
async fn without_list_regions_what_is_always_on_or_known_is_looked_at() {
    let mut world = World::new();
    world.knew(vec![]);
    let known = world
        .known
        .0
        .remove(&(id(A), region(IRELAND)))
        .expect("known");
    world.known.0.insert((id(A), region("af-south-1")), known);
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "");
    world.cloud.fault(Operation::ListRegions, denied).add();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, "global", Source::Regions),
        CellOutcome::DeniedIam
    );
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
    assert_eq!(
        seen.outcome(A, "af-south-1", Source::Clusters),
        CellOutcome::Empty
    );
    assert!(
        seen.find(A, OHIO, Source::Clusters).is_none(),
        "nobody knows"
    );
}

#[tokio::test]
async fn an_enabled_region_that_is_not_in_the_list_is_tried() {
    let world = World::new();
    world.edit(A, |a| {
        a.regions
            .push(("xx-new-1".to_owned(), "DISABLING".to_owned()))
    });
    let no_host = What::Error(ErrorClass::Transport, "Connection", "no such host");
    world
        .cloud
        .fault(Operation::ListClusters, no_host)
        .region("xx-new-1")
        .add();
    let seen = world.run().await;
    let cell = seen.cell(A, "xx-new-1", Source::Clusters);
    assert_eq!(cell.outcome, CellOutcome::TimedOut);
    assert!(
        cell.ended_at.0 - cell.started_at.0 <= 60_000,
        "and not for long"
    );
}

/// Whoever takes up the cells of an account demands one of every Region that AWS told of, in the list of
/// Regions with EMR or not.
#[tokio::test]
async fn cells_of_every_enabled_region_are_demanded() {
    let world = World::new();
    let enabled = |name: &str| (name.to_owned(), "ENABLED".to_owned());
    world.edit(A, |a| a.regions.push(enabled("xx-new-1")));
    let accounts = world.accounts.clone();
    let emr: Vec<Region> = [IRELAND, OHIO].map(region).into();
    let seen = world.run().await;
    let list = seen.cell(A, "global", Source::Regions);
    assert_eq!(
        (list.items_expected, list.items_collected),
        (Some(2), Some(2))
    );
    let cells = || {
        let of_account = seen.coverage.iter().filter(|c| c.account_id.as_str() == A);
        of_account.map(|c| {
            let end = FirstPassEnd {
                outcome: c.outcome,
                items: c.items_collected,
            };
            ((c.source, c.region.clone()), end)
        })
    };
    let whole = |cells: BTreeMap<(Source, Region), FirstPassEnd>| {
        is_looked_into(&accounts[0], &Regions::Auto, &emr, &[], &cells)
    };
    assert!(whole(cells().collect()));
    for left_out in [IRELAND, OHIO, "xx-new-1", "global"] {
        let less = cells().filter(|((_, region), _)| region.as_str() != left_out);
        assert!(!whole(less.collect()), "{left_out}");
    }
    // One that does not say how many Regions it lists shows nothing.
    let silent = cells().map(|(at, end)| (at, FirstPassEnd { items: None, ..end }));
    assert!(!whole(silent.collect()));
}

#[tokio::test]
async fn configured_regions_are_taken_and_a_refused_token_is_explained() {
    let mut world = World::new();
    world.options.regions = Regions::List(vec![region(IRELAND), region(OHIO)]);
    let refused = What::Error(ErrorClass::TokenRefused, "UnrecognizedClientException", "");
    world
        .cloud
        .fault(Operation::ListClusters, refused.clone())
        .region(OHIO)
        .add();
    world
        .cloud
        .fault(Operation::ListClusters, refused)
        .account(B)
        .add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
    assert_eq!(
        seen.outcome(A, OHIO, Source::Clusters),
        CellOutcome::RegionOff
    );
    assert!(seen.find(A, OHIO, Source::SecurityConfigurations).is_none());
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Clusters),
        CellOutcome::Failed
    );
    assert!(
        seen.find(A, "global", Source::Regions).is_none(),
        "nobody asked"
    );
    assert_eq!(cloud.count(Operation::ListRegions), 3);
}

#[tokio::test]
async fn a_single_account_assumes_no_role() {
    let mut world = World::new();
    world.accounts.truncate(1);
    world.options.single_account = true;
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::AssumeRole), 0);
    assert_eq!(
        seen.outcome(A, IRELAND, Source::Clusters),
        CellOutcome::Empty
    );
}

#[tokio::test]
async fn the_order_and_the_number_of_tasks_change_no_fact() {
    let look = |concurrency: usize, seed: u64, latency: u64| async move {
        let mut world = World::new();
        for i in 0..30 {
            world.add(&format!("3333000000{i:02}"));
        }
        for (i, a) in world.accounts.clone().iter().enumerate() {
            let name = a.account_id.as_str();
            let key = format!("arn:aws:kms:eu-west-1:{A}:key/k{}", i % 5);
            let uri = format!("s3://logs-{}/x", i % 3);
            let created = Some(UtcMillis(START - 1));
            let c = listed(&format!("j-{i}"), "RUNNING", created, None);
            world.cluster(name, described(c, &uri, &key));
        }
        world
            .cloud
            .fault(Operation::AssumeRole, NO_ROLE)
            .account("333300000007")
            .add();
        world.options.concurrency = concurrency;
        world.options.seed = seed;
        world
            .cloud
            .with(|s| s.latency = Duration::from_millis(latency));
        world.run().await.stable()
    };
    let one = look(1, 1, 0).await;
    assert_eq!(one, look(64, 2, 7).await);
    assert_eq!(one, look(3, 99, 20).await);
}

#[tokio::test]
async fn facts_that_cannot_be_kept_end_the_run() {
    struct Full;
    impl FactSink for Full {
        fn append(&self, _: Facts) -> Result<(), SinkError> {
            Err(SinkError("no space left".into()))
        }
    }
    let world = World::new();
    let attempts = Attempts::new(
        world.cloud.clock.clone(),
        seeded(1),
        4,
        1.0,
        world.cancel.subscribe(),
    );
    let context = Context {
        cloud: Arc::new(world.cloud.clone()),
        attempts: Arc::new(attempts),
        sink: Arc::new(Full),
        known: Arc::new(world.known),
        options: Arc::new(world.options),
        exceptions: [].into(),
    };
    let scope = Scope {
        organization_id: None,
        caller: world.cloud.with(|s| s.caller.clone()),
        management_account: None,
        accounts: Arc::new(world.accounts),
    };
    let error = collect(&context, &scope).await.expect_err("full");
    assert_eq!(error.to_string(), "keep facts: no space left");
}

#[tokio::test]
async fn what_an_earlier_run_owed_comes_first_and_then_what_takes_long() {
    let order = |turns: Vec<(&'static str, Turn)>| async move {
        let mut world = World::new();
        for n in 0..18 {
            world.add(&format!("3333444455{n:02}"));
        }
        world.options.concurrency = 1;
        world.known.2 = turns.into_iter().map(|(a, turn)| (id(a), turn)).collect();
        let cloud = world.cloud.clone();
        world.run().await;
        let sessions = cloud.with(|s| s.sessions.clone());
        let entered = sessions.iter().map(|s| s.account_id.to_string());
        entered.take(20).collect::<Vec<_>>()
    };
    let (owed, long, longer) = ("333344445511", "333344445503", "333344445507");
    let took = |minutes: i64| Turn {
        owed: false,
        took_ms: minutes * 60_000,
    };
    let shuffled = order(vec![]).await;
    let turns = vec![
        (long, took(9)),
        (
            owed,
            Turn {
                owed: true,
                took_ms: 0,
            },
        ),
        (longer, took(40)),
    ];
    let first = order(turns).await;
    assert_eq!(first[..3], [owed, longer, long]);
    let others = |all: &[String]| -> Vec<String> {
        let others = all
            .iter()
            .filter(|a| ![owed, long, longer].contains(&a.as_str()));
        others.cloned().collect()
    };
    assert_eq!(
        others(&first),
        others(&shuffled),
        "the others stay shuffled"
    );
}

#[test]
fn what_was_cut_off_is_owed_and_what_was_refused_is_not() {
    let owed = |source, outcome, failed| {
        let mut cell = crate::testkit::coverage(id(A), region(IRELAND), source);
        (cell.outcome, cell.items_failed) = (outcome, failed);
        let mut turn = Turn::default();
        turn.note(&cell);
        turn.owed
    };
    use CellOutcome::{Collected, DeniedIam, NotAttempted, Partial, ThrottledOut, TimedOut};
    for outcome in [NotAttempted, TimedOut, ThrottledOut] {
        assert!(owed(Source::Clusters, outcome, None), "{outcome}");
        assert!(
            !owed(Source::Keys, outcome, None),
            "no first pass asks for keys"
        );
    }
    assert!(owed(Source::ClusterSettings, Partial, Some(3)));
    assert!(!owed(Source::ClusterSettings, Partial, Some(0)));
    assert!(!owed(Source::Clusters, Collected, None));
    assert!(!owed(Source::Clusters, DeniedIam, None));
}

#[tokio::test]
async fn accounts_known_to_take_long_come_first_and_the_others_in_a_shuffle_of_the_seed() {
    let order = async |seed: u64, long: &[(&str, i64)]| {
        let mut world = World::new();
        for n in 0..20 {
            world.add(&format!("4{n:011}"));
        }
        world.options.seed = seed;
        world.options.concurrency = 1;
        world.known.2 = long
            .iter()
            .map(|(name, took_ms)| {
                let turn = Turn {
                    owed: false,
                    took_ms: *took_ms,
                };
                (id(name), turn)
            })
            .collect();
        let cloud = world.cloud.clone();
        world.run().await;
        let calls = cloud.with(|s| s.calls.clone());
        let mut entered: Vec<String> = Vec::new();
        for call in calls
            .into_iter()
            .filter(|c| c.operation == Operation::ListRegions)
        {
            if !entered.contains(&call.account) {
                entered.push(call.account);
            }
        }
        assert_eq!(entered.len(), 22);
        entered
    };
    let plain = order(1, &[]).await;
    assert_eq!(plain, order(1, &[]).await);
    assert_ne!(plain, order(2, &[]).await);
    let mut sorted = plain.clone();
    sorted.sort();
    assert_ne!(plain, sorted, "no team feels a burst");

    let long = [("400000000003", 60_000), (B, 600_000), (A, 59_000)];
    let expected = [B, "400000000003"].map(str::to_owned);
    let rest = plain.into_iter().filter(|name| !expected.contains(name));
    let expected: Vec<String> = expected.iter().cloned().chain(rest).collect();
    assert_eq!(order(1, &long).await, expected);
}

/// EMR refuses what was deleted a moment ago as it refuses anything else; the list tells which it was.
#[tokio::test]
async fn a_configuration_that_is_listed_and_refused_is_not_deleted() {
    let refused = What::Error(ErrorClass::Refused, "InvalidRequestException", "no");
    let named = |names: &[(&str, &str)]| {
        let all = names.iter();
        all.map(|(name, document)| ((*name).to_owned(), (*document).to_owned()))
            .collect::<Vec<_>>()
    };
    let there = r#"{"EncryptionConfiguration":{}}"#;

    let world = World::new();
    world.edit(A, |a| {
        let all = named(&[("gone", DELETED), ("there", there)]);
        a.configurations.insert(IRELAND.to_owned(), all);
    });
    let seen = world.run().await;
    let source = Source::SecurityConfigurations;
    assert_eq!(seen.outcome(A, IRELAND, source), CellOutcome::Collected);

    let world = World::new();
    world.edit(A, |a| {
        let all = named(&[("gone", DELETED), ("locked", there), ("there", there)]);
        a.configurations.insert(IRELAND.to_owned(), all);
    });
    let fault = world
        .cloud
        .fault(Operation::DescribeSecurityConfiguration, refused);
    fault.subject("locked").add();
    let seen = world.run().await;
    let cell = seen.cell(A, IRELAND, source);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert_eq!(cell.error_code.as_deref(), Some("InvalidRequestException"));
    assert!(!cell.is_answered());
    let rows = seen.facts.iter().flat_map(|f| &f.security_configurations);
    let names: Vec<_> = rows.map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["there"], "the others are known");
}
