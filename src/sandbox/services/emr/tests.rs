use std::collections::BTreeSet;

use serde_json::json;

use super::super::testing::{body, request};
use super::*;
use crate::sandbox::Options;
use crate::sandbox::world::scenario::Scenario;

fn ids(world: &World, now_ms: i64, account: &str, region: &str, filter: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    let mut input = filter.clone();
    loop {
        let answer = body(
            &handle(
                world,
                now_ms,
                &request(account, region, "ListClusters", &input),
            )
            .unwrap(),
        );
        let page = answer["Clusters"].as_array().unwrap();
        assert!(page.len() <= PAGE);
        ids.extend(
            page.iter()
                .map(|cluster| cluster["Id"].as_str().unwrap().to_owned()),
        );
        match answer.get("Marker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => return ids,
        }
    }
}

fn crowded() -> World {
    World::generate(&Options {
        accounts: 1,
        regions: 1,
        clusters: 150,
        ..Options::default()
    })
}

#[test]
fn pages_lose_no_cluster_and_filters_hold() {
    let world = crowded();
    let (account, region) = (world.accounts[0].id.as_str(), world.regions[0]);
    let now = world.audit_ms(2);
    let here = world.account_region(account, region).unwrap();
    let shown = here
        .clusters()
        .iter()
        .filter(|cluster| cluster.is_visible_at(now));
    let expected: Vec<_> = shown.clone().map(|cluster| cluster.id.clone()).collect();
    assert!(expected.len() > 3 * PAGE);
    assert_eq!(ids(&world, now, account, region, &json!({})), expected);

    let active = [
        "STARTING",
        "BOOTSTRAPPING",
        "RUNNING",
        "WAITING",
        "TERMINATING",
    ];
    let expected: Vec<_> = shown
        .clone()
        .filter(|c| c.is_active_at(now))
        .map(|c| c.id.clone())
        .collect();
    let filter = json!({"ClusterStates": active});
    assert_eq!(ids(&world, now, account, region, &filter), expected);

    let after = world.audit_ms(1);
    let expected: Vec<_> = shown
        .filter(|c| c.created_ms >= after)
        .map(|c| c.id.clone())
        .collect();
    let filter = json!({"CreatedAfter": after as f64 / 1_000.0});
    assert!(!expected.is_empty());
    assert_eq!(ids(&world, now, account, region, &filter), expected);
}

#[test]
fn a_cluster_that_emr_forgot_or_never_had_is_an_invalid_request() {
    let world = crowded();
    let (account, region) = (world.accounts[0].id.as_str(), world.regions[0]);
    let here = world.account_region(account, region).unwrap();
    let old = here
        .clusters()
        .iter()
        .find(|c| c.name == "first-experiment")
        .unwrap();
    for id in [old.id.as_str(), "j-NONE"] {
        let asked = request(
            account,
            region,
            "DescribeCluster",
            &json!({"ClusterId": id}),
        );
        let error = handle(&world, world.audit_ms(0), &asked).unwrap_err();
        assert_eq!(
            (error.status, error.code.as_str()),
            (400, "InvalidRequestException")
        );
    }
    let asked = request(
        account,
        region,
        "ListClusters",
        &json!({"Marker": "made up"}),
    );
    assert_eq!(
        handle(&world, world.audit_ms(0), &asked).unwrap_err().code,
        "InvalidRequestException"
    );
}

#[test]
fn denials_say_which_policy_denies() {
    let world = World::generate(&Options::default());
    let truth = world.truth(world.audit_ms(0), None);
    for (outcome, operation, words) in [
        (
            "denied_scp",
            "ListClusters",
            "with an explicit deny in a service control policy",
        ),
        (
            "denied_iam",
            "ListSecurityConfigurations",
            "because no identity-based policy allows",
        ),
    ] {
        let cell = truth
            .cells
            .iter()
            .find(|cell| cell.outcome == outcome)
            .unwrap();
        let asked = request(&cell.account_id, cell.region, operation, &json!({}));
        let error = handle(&world, world.audit_ms(0), &asked).unwrap_err();
        assert_eq!(error.code, "AccessDeniedException");
        assert!(error.message.contains(words), "{}", error.message);
    }
    let off = truth
        .cells
        .iter()
        .find(|cell| cell.outcome == "region_off")
        .unwrap();
    let asked = request(&off.account_id, off.region, "ListClusters", &json!({}));
    let error = handle(&world, world.audit_ms(0), &asked).unwrap_err();
    assert_eq!(error.code, "UnrecognizedClientException");
}

#[test]
fn steps_come_newest_first_and_pages_lose_none() {
    let world = World::generate(&Options {
        accounts: 50,
        regions: 4,
        days: 3,
        ..Options::default()
    });
    let now = world.audit_ms(2);
    let here = world.account_regions().iter().find_map(|here| {
        let told = |c: &&Cluster| {
            here.recipe(c).scenario == Scenario::StepInheritsKey && c.is_active_at(now)
        };
        Some((here, here.clusters().iter().find(told)?))
    });
    let (here, cluster) = here.expect("a cluster with many steps");
    let mut input = json!({"ClusterId": cluster.id});
    let mut steps: Vec<Value> = Vec::new();
    loop {
        let asked = request(&here.account_id, here.region, "ListSteps", &input);
        let answer = body(&handle(&world, now, &asked).unwrap());
        let page = answer["Steps"].as_array().unwrap();
        assert!(page.len() <= PAGE);
        steps.extend(page.iter().cloned());
        match answer.get("Marker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => break,
        }
    }
    assert!(steps.len() >= 120, "{}", steps.len());
    let created = |s: &Value| {
        s["Status"]["Timeline"]["CreationDateTime"]
            .as_f64()
            .unwrap()
    };
    assert!(steps.is_sorted_by(|a, b| created(a) >= created(b)));
    let ids: BTreeSet<_> = steps.iter().map(|s| s["Id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), steps.len());
    let own = steps.iter().filter(|s| s.get("LogUri").is_some()).count();
    assert!((10..=20).contains(&own), "{own}");

    let asked = json!({"ClusterId": "j-NONE"});
    let asked = request(&here.account_id, here.region, "ListSteps", &asked);
    assert_eq!(
        handle(&world, now, &asked).unwrap_err().code,
        "InvalidRequestException"
    );
}

/// A marker that no answer contains would make the search for it pass for nothing.
#[test]
fn every_planted_secret_is_shown_by_some_answer() {
    use super::super::{iam, organizations};
    let world = World::generate(&Options {
        days: 3,
        ..Options::default()
    });
    let mut shown = String::new();
    let management = world.organization.management_account.clone();
    for account in &world.accounts {
        shown += &account.email;
        let asked = json!({"ResourceId": account.id});
        let asked = request(&management, "us-east-1", "ListTagsForResource", &asked);
        shown += &body(&organizations::handle(&world, 0, &asked).unwrap()).to_string();
        let mut asked = request(
            &account.id,
            "us-east-1",
            "GetAccountAuthorizationDetails",
            &json!({}),
        );
        asked.body = b"MaxItems=1000".to_vec();
        if let Ok(answer) = iam::handle(&world, 0, &asked) {
            shown += &String::from_utf8(answer.body).unwrap();
        }
    }
    for here in world.account_regions() {
        for cluster in here.clusters() {
            shown += &cluster::detail(here, cluster, cluster.created_ms).to_string();
            for step in activity::steps(&world, here, cluster, cluster.created_ms) {
                shown += &step.to_string();
            }
            for session in activity::sessions(here, cluster, cluster.created_ms) {
                shown += &session.to_string();
            }
        }
        for configuration in &here.security_configurations {
            shown += &configuration.document;
        }
        for key in &here.keys {
            shown += &key.description();
            shown += &format!("{:?}", key.tags());
            shown += &format!("{:?}", key.grants());
        }
    }
    for bucket in &world.buckets {
        shown += &format!("{:?}", bucket.settings.rule_names());
    }
    let planted: BTreeSet<_> = world.planted_secrets().into_iter().collect();
    let missing: Vec<_> = planted
        .iter()
        .filter(|secret| !shown.contains(*secret))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {}", planted.len());
}
