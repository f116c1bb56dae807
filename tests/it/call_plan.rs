//! `run --dry-run` against the calls that the sandbox then counts: what is planned is what is asked.

use std::collections::BTreeMap;

use keyproof::collect::footprint;
use keyproof::collect::operation::{Caller, Operation};
use keyproof::model::datasets::{Coverage, Run};
use keyproof::run::{self, RunOptions};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::ServeOptions;
use serde_json::Value;

use crate::support::{Place, files_below, never};

fn options() -> Options {
    Options {
        accounts: 7,
        regions: 2,
        clusters: 6,
        days: 3,
        seed: 17,
        ..Options::default()
    }
}

/// Calls so far by operation, of the management account and of the others.
fn calls(place: &Place) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for count in place.sandbox.calls() {
        *all.entry(count.operation).or_default() += count.calls as i64;
    }
    all
}

fn since(place: &Place, before: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let mut all = calls(place);
    for (operation, calls) in before {
        *all.entry(operation.clone()).or_default() -= calls;
    }
    all.retain(|_, calls| *calls > 0);
    all
}

/// The operations of a plan, without their services.
fn planned(plan: &Value) -> BTreeMap<String, i64> {
    let calls = plan["calls"].as_object().expect("calls");
    let name = |text: &String| text.rsplit(' ').next().expect("a name").to_owned();
    calls
        .iter()
        .map(|(operation, calls)| (name(operation), calls.as_i64().expect("a number")))
        .collect()
}

fn everything(place: &Place) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = files_below(place.dir.path()).into_iter();
    files
        .map(|path| {
            let bytes = std::fs::read(&path).expect("a file");
            (path, bytes)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_second_run_over_the_same_world_is_what_it_asks() {
    let place = Place::served(&options(), ServeOptions::default()).await;
    let yesterday = place.at_day(0);
    let today = place.at_day(1);
    let config = place.config_with(&[("control_events", "true"), ("tags.owner", "owner")], "");
    let asked = |date| RunOptions {
        scheduled_for: Some(date),
        ..place.options()
    };
    run::audit(&place.shell(), &config, &asked(yesterday), never())
        .await
        .expect("sealed");

    let (before, files) = (calls(&place), everything(&place));
    let plan = run::call_plan(&place.shell(), &config, &asked(today), never())
        .await
        .expect("a plan");
    // Discovery alone was asked, and nothing was written.
    let discovery = since(&place, &before);
    for operation in discovery.keys() {
        let known = Operation::named(operation).expect("an operation of ours");
        assert_eq!(known.caller(), Caller::Collector, "{operation}");
    }
    assert!(!discovery.contains_key("AssumeRole"), "{discovery:?}");
    assert!(discovery.contains_key("ListAccounts"));
    assert!(
        !discovery.contains_key("ListTagsForResource"),
        "of ten thousand accounts they take an hour: {discovery:?}"
    );
    assert!(everything(&place) == files, "nothing was written");

    let before = calls(&place);
    let second = run::audit(&place.shell(), &config, &asked(today), never())
        .await
        .expect("sealed");
    let (planned, made) = (planned(&plan.json()), since(&place, &before));
    let exact = [
        "AssumeRole",
        "DescribeCluster",
        "DescribeOrganization",
        "GetCallerIdentity",
        "ListAccounts",
        "ListBuckets",
        "ListClusters",
        "ListRegions",
        "ListSecurityConfigurations",
        "ListSessions",
        "ListSteps",
        "ListTagsForResource",
        "LookupEvents",
    ];
    assert!(made.contains_key("ListTagsForResource"), "{made:?}");
    for operation in exact {
        let of = |all: &BTreeMap<String, i64>| all.get(operation).copied().unwrap_or_default();
        assert_eq!(of(&planned), of(&made), "{operation}");
    }
    // What clusters refer to follows from the clusters of the newest run, some of which have ended.
    for (operation, made) in &made {
        let planned = planned.get(operation).copied().unwrap_or_default();
        assert!(
            planned >= *made,
            "{operation}: {planned} planned, {made} made"
        );
    }
    let (all_planned, all_made) = (planned.values().sum::<i64>(), made.values().sum::<i64>());
    assert!(
        all_planned * 10 <= all_made * 11,
        "{all_planned} planned, {all_made} made"
    );

    // The evidence of the run tells the same calls by account and operation.
    let sealed = place.sealed(&second.run_id).await;
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for cell in sealed.rows::<Coverage>().await {
        let costs = footprint::read(cell.operations.as_deref().unwrap_or_default());
        // Sixteen are as many as the query footprint reads.
        assert!(costs.len() <= 16, "{:?}", cell.operations);
        assert_eq!(costs.iter().map(|c| c.calls).sum::<i64>(), cell.calls);
        for cost in costs {
            *told.entry(format!("{:?}", cost.operation)).or_default() += cost.calls;
        }
    }
    let own = sealed.rows::<Run>().await.remove(0).own_operations;
    for cost in footprint::read(own.as_deref().expect("some")) {
        let operation = format!("{:?}", cost.operation);
        match cost.operation {
            // Counted by cell as well.
            Operation::AssumeRole => assert_eq!(told[&operation], cost.calls),
            _ => _ = told.insert(operation, cost.calls),
        }
    }
    assert_eq!(told, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_first_run_is_the_least_that_it_asks() {
    let place = Place::served(&options(), ServeOptions::default()).await;
    let config = place.config();
    let files = everything(&place);
    let plan = run::call_plan(&place.shell(), &config, &place.options(), never())
        .await
        .expect("a plan");
    let text = plan.text();
    assert!(text.contains("clusters are not known"), "{text}");
    assert!(everything(&place) == files, "nothing was written");

    let before = calls(&place);
    place.audit_with(&config).await.expect("sealed");
    let made = since(&place, &before);
    for (operation, planned) in planned(&plan.json()) {
        let made = made.get(&operation).copied().unwrap_or_default();
        // Organizations of the sandbox have fewer Regions than real ones, and one account of this
        // one lets nobody in.
        let fewer = ["ListClusters", "ListSecurityConfigurations", "LookupEvents"];
        if !fewer.contains(&operation.as_str()) {
            assert!(
                planned <= made + 1,
                "{operation}: {planned} planned, {made} made"
            );
        }
    }
}
