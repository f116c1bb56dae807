//! Fleets in which clusters tell a few chosen stories, and what one permission less makes of them.

use std::collections::{BTreeMap, BTreeSet};

use keyproof::model::datasets::{Coverage, Finding, Verdict};
use keyproof::model::words::Source;
use keyproof::sandbox::wire::ServeOptions;
use keyproof::sandbox::world::access::IDENTITIES;
use keyproof::sandbox::world::organization::{
    Denial, LIST_JOBS, LIST_REGIONS, LOG_GROUPS, SESSIONS, STEPS,
};
use keyproof::sandbox::world::scenario::Scenario;
use keyproof::sandbox::{EXTERNAL_ID, Options, World};

use crate::support::Place;
use crate::truth::{TAGGED, compare_cells, compare_findings, compare_verdicts, impatient};

/// One audited day.
struct Fleet {
    world: World,
    verdicts: Vec<Verdict>,
    findings: Vec<Finding>,
    coverage: Vec<Coverage>,
}

/// Five accounts whose reader role is trusted: the management account, the log archive and three more.
fn five_accounts(stories: &[Scenario]) -> World {
    World::generate(&Options {
        accounts: 5,
        regions: 3,
        clusters: 8,
        days: 1,
        stories: Some(stories.to_vec()),
        ..Options::default()
    })
}

/// Audits the first day, and compares verdicts, findings and cells with what the world states.
async fn audited(world: World) -> Fleet {
    let place = Place::of(world.clone(), ServeOptions::default()).await;
    place.at_day(0);
    let config = place.config_with(&TAGGED, "");
    let audited = impatient(&place, &config).await;
    let sealed = place.sealed(&audited.run_id).await;
    let fleet = Fleet {
        verdicts: sealed.rows().await,
        findings: sealed.rows().await,
        coverage: sealed.rows().await,
        world,
    };
    let world = &fleet.world;
    let truth = world.truth_for(world.audit_ms(0), None, Some(EXTERNAL_ID));
    let seed = world.options.seed;
    compare_cells(&truth, &fleet.coverage, &world.regions);
    compare_findings(&truth, &fleet.findings, seed, 0);
    compare_verdicts(&truth, &fleet.verdicts, seed, 0);
    fleet
}

impl Fleet {
    /// Outcomes and reasons of one rule in one account.
    fn said(&self, rule: &str, account: &str) -> BTreeSet<(&str, &str)> {
        let of_rule = |f: &&Finding| f.rule == rule && f.account_id.as_str() == account;
        let found = self.findings.iter().filter(of_rule);
        found
            .map(|f| (f.outcome.as_str(), f.reason.as_str()))
            .collect()
    }

    /// Everything that the findings of one rule advise in one account.
    fn advice(&self, rule: &str, account: &str) -> String {
        let of_rule = |f: &&Finding| f.rule == rule && f.account_id.as_str() == account;
        let found = self.findings.iter().filter(of_rule);
        let advice: BTreeSet<&str> = found.filter_map(|f| f.advice.as_deref()).collect();
        advice.into_iter().collect::<Vec<_>>().join("\n")
    }

    /// IAM actions that were refused in an account, with the source that needed each.
    fn refused(&self, account: &str) -> BTreeSet<(Source, &str)> {
        let here = |c: &&Coverage| c.account_id.as_str() == account;
        let cells = self.coverage.iter().filter(here);
        cells
            .filter_map(|c| Some((c.source, c.denied_action.as_deref()?)))
            .collect()
    }
}

/// Nobody has to explain anything about a fleet in which all is well and all can be read; without the
/// identities, whether logs arrive cannot be told, and what they are under can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_fleet_has_no_unknown_verdict_and_unread_identities_change_delivery_alone() {
    let world = five_accounts(&Scenario::HEALTHY);
    let healthy = audited(world.clone()).await;
    let words =
        |fleet: &Fleet, of: fn(&Verdict) -> &'static str| -> BTreeMap<String, &'static str> {
            let rows = fleet.verdicts.iter();
            rows.map(|v| (v.cluster_id.clone(), of(v))).collect()
        };
    let verdicts = words(&healthy, |v| v.verdict.as_str());
    assert!(verdicts.len() > 100, "a fleet to speak of");
    let compliant = verdicts.values().filter(|v| **v == "COMPLIANT").count();
    assert_eq!(compliant, verdicts.len(), "{verdicts:?}");
    let delivery = words(&healthy, |v| v.delivery.as_str());
    assert!(delivery.values().all(|d| *d == "WORKING"), "{delivery:?}");

    let mut unread = world;
    for account in &mut unread.accounts {
        account.denials.push(Denial::MissingAction(IDENTITIES));
    }
    let unread = audited(unread).await;
    assert_eq!(words(&unread, |v| v.verdict.as_str()), verdicts);
    let delivery = words(&unread, |v| v.delivery.as_str());
    assert!(delivery.values().all(|d| *d == "UNKNOWN"), "{delivery:?}");
    for account in &unread.world.accounts {
        let advice = unread.advice("EL-04", &account.id);
        assert!(advice.contains(IDENTITIES), "{advice}");
    }
}

/// AWS's `SecurityAudit` lets a role read nearly all that an audit asks for. It misses steps, sessions and
/// the list of Regions; each is named where it is missed, and nothing passes for want of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_security_audit_role_leaves_unknown_what_it_cannot_read() {
    let mut world = five_accounts(&[
        Scenario::KeyArn,
        Scenario::NoLogKey,
        Scenario::NoLogUri,
        Scenario::CentralKeyAndBucket,
        Scenario::WriterDenied,
        Scenario::StepInheritsKey,
        Scenario::StepWithOtherKey,
        Scenario::StepWithoutKey,
        Scenario::StepWithAwsKey,
        Scenario::SessionsWithKey,
        Scenario::CloudWatchWithKey,
        Scenario::UploadsDisabled,
        Scenario::UploadsDisabledNoSteps,
    ]);
    for account in &mut world.accounts[2..] {
        account.denials.push(Denial::SecurityAuditOnly);
    }
    let fleet = audited(world).await;
    let (whole, poor) = fleet.world.accounts.split_at(2);
    for account in whole {
        assert_eq!(fleet.refused(&account.id), BTreeSet::new());
    }
    let (mut refused, mut groups) = (BTreeSet::new(), String::new());
    for account in poor {
        refused.extend(fleet.refused(&account.id));
        groups += &fleet.advice("EL-06", &account.id);
        let steps = fleet.said("EL-05", &account.id);
        assert_eq!(steps, BTreeSet::from([("UNKNOWN", "steps_not_read")]));
        let advice = fleet.advice("EL-05", &account.id);
        assert!(advice.contains(STEPS), "{advice}");
        let here = |v: &&Verdict| v.account_id.as_str() == account.id;
        let verdicts = fleet.verdicts.iter().filter(here);
        let verdicts: BTreeSet<_> = verdicts.map(|v| v.verdict.as_str()).collect();
        assert_eq!(verdicts, BTreeSet::from(["NON_COMPLIANT", "UNKNOWN"]));
    }
    // Sessions are asked for where clusters have them.
    let lacking = [
        (Source::Regions, LIST_REGIONS),
        (Source::Steps, STEPS),
        (Source::Sessions, SESSIONS),
        (Source::Reencryption, LIST_JOBS),
    ];
    assert_eq!(refused, BTreeSet::from(lacking));
    assert!(groups.contains(SESSIONS), "{groups}");
}

/// A group that is gone is no proof of anything, nor is one that nobody may look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_group_that_is_missing_or_denied_is_unknown() {
    let mut world = five_accounts(&[
        Scenario::CloudWatchWithKey,
        Scenario::CloudWatchWithoutKey,
        Scenario::CloudWatchGroupMissing,
        Scenario::SessionsWithKey,
    ]);
    let closed = world.accounts.len() - 1;
    let denial = Denial::MissingAction(LOG_GROUPS);
    world.accounts[closed].denials.push(denial);
    let fleet = audited(world).await;
    let (open, closed) = (
        &fleet.world.accounts[0].id,
        &fleet.world.accounts[closed].id,
    );
    // The successor of a replaced cluster has no CloudWatch; on the first day there is none yet.
    let all = [
        ("FAIL", "log_group_without_key"),
        ("PASS", "log_group_customer_key"),
        ("UNKNOWN", "log_group_not_found"),
    ];
    let without_cloudwatch = ("NOT_APPLICABLE", "cloudwatch_off");
    let said = |account: &str| {
        let mut said = fleet.said("EL-06", account);
        said.remove(&without_cloudwatch);
        said
    };
    assert_eq!(said(open), BTreeSet::from(all));
    assert_eq!(
        said(closed),
        BTreeSet::from([("UNKNOWN", "log_group_not_read")])
    );
    let advice = fleet.advice("EL-06", closed);
    assert!(advice.contains(LOG_GROUPS), "{advice}");
    let refused = BTreeSet::from([(Source::LogGroups, LOG_GROUPS)]);
    assert_eq!(fleet.refused(closed), refused);
    assert!(!fleet.advice("EL-06", open).contains(LOG_GROUPS));
}

/// Nobody is behind the id of a deleted role, and no other statement of that policy lets anybody
/// decrypt: who the account's roles are does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_deleted_role_has_no_reader_whoever_the_identities_are() {
    let mut world = five_accounts(&[Scenario::DeletedRoleInPolicy]);
    let closed = world.accounts.len() - 1;
    let denial = Denial::MissingAction(IDENTITIES);
    world.accounts[closed].denials.push(denial);
    let fleet = audited(world).await;
    let (open, closed) = (
        &fleet.world.accounts[0].id,
        &fleet.world.accounts[closed].id,
    );
    for account in [open, closed] {
        let said = fleet.said("EL-11", account);
        assert!(said.contains(&("PASS", "segregated")), "{said:?}");
    }
    assert!(
        fleet
            .said("EL-04", open)
            .contains(&("FAIL", "writer_not_allowed"))
    );
    let said = fleet.said("EL-04", closed);
    assert!(
        said.contains(&("UNKNOWN", "identities_not_read")),
        "{said:?}"
    );
}
