use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::clusters::ClusterState;
use super::organization::{AccountState, ReaderRole, STEPS};
use super::regions::OptStatus;
use super::scenario::{Outcome, RULES, STATED, Scenario, Verdict};
use super::*;

fn small() -> World {
    World::generate(&Options::default())
}

#[test]
fn equal_options_give_equal_worlds_and_another_seed_gives_another() {
    let print = |seed| {
        format!(
            "{:?}",
            World::generate(&Options {
                seed,
                ..Options::default()
            })
            .truth(i64::MAX / 2, None)
        )
    };
    let world = |seed| {
        let world = World::generate(&Options {
            seed,
            ..Options::default()
        });
        format!(
            "{:?}{:?}{:?}",
            world.accounts, world.account_regions, world.buckets
        )
    };
    assert_eq!(print(7), print(7));
    assert_eq!(world(7), world(7));
    assert_ne!(world(7), world(8));
}

#[test]
fn the_default_mix_gives_every_rule_each_of_its_values() {
    for seed in 0..20 {
        let world = World::generate(&Options {
            seed,
            ..Options::default()
        });
        let truth = world.truth(world.audit_ms(0), None);
        for cluster in &truth.clusters {
            assert!(cluster.findings.keys().eq(&RULES), "every rule is stated");
        }
        let seen: BTreeSet<_> = truth
            .clusters
            .iter()
            .flat_map(|cluster| &cluster.findings)
            .map(|(rule, finding)| (*rule, finding.outcome))
            .collect();
        // Logs beside `LogUri` are what larger organizations have.
        // Without sampling and counting nothing is said of objects.
        for rule in RULES
            .into_iter()
            .filter(|r| !beside::RULES.contains(r) && !key_rules::RULES.contains(r))
            .filter(|rule| !["EL-16", "EL-19"].contains(rule))
        {
            for outcome in [Outcome::Pass, Outcome::Fail, Outcome::Unknown] {
                assert!(
                    seen.contains(&(rule, outcome)),
                    "{rule} {outcome:?} seed {seed}"
                );
            }
        }
    }
}

#[test]
fn about_two_thirds_are_compliant_and_large_organizations_tell_every_story() {
    for (accounts, regions) in [(12, 3), (50, 4)] {
        let options = Options {
            accounts,
            regions,
            ..Options::default()
        };
        let world = World::generate(&options);
        let truth = world.truth(world.audit_ms(1), None);
        let compliant = truth
            .clusters
            .iter()
            .filter(|c| c.verdict == Verdict::Compliant)
            .count();
        let share = compliant * 100 / truth.clusters.len();
        assert!(
            (55..=80).contains(&share),
            "{share} % of {}",
            truth.clusters.len()
        );
        let told: HashSet<_> = truth
            .clusters
            .iter()
            .map(|cluster| cluster.scenario)
            .collect();
        let stories = Scenario::HEALTHY.iter().chain(&Scenario::TROUBLED);
        let missing: Vec<_> = stories
            .filter(|scenario| !told.contains(scenario))
            .collect();
        assert!(accounts < 50 || missing.is_empty(), "{missing:?}");
        for rule in beside::RULES.into_iter().filter(|_| accounts >= 50) {
            let outcomes = truth.clusters.iter().map(|c| c.findings[rule].outcome);
            let outcomes: BTreeSet<_> = outcomes.collect();
            let wanted = [Outcome::Pass, Outcome::Fail, Outcome::NotApplicable];
            assert!(wanted.iter().all(|o| outcomes.contains(o)), "{rule}");
        }
    }
}

#[test]
fn verdict_and_delivery_follow_from_the_stated_findings() {
    let all = Scenario::HEALTHY.iter().chain(&Scenario::TROUBLED);
    for (scenario, out) in all.flat_map(|scenario| [(scenario, false), (scenario, true)]) {
        let truth = scenario.statement(out);
        let said: BTreeMap<_, _> = STATED
            .into_iter()
            .zip(truth.findings.map(|finding| finding.outcome))
            .collect();
        let [set, managed, usable, delivered] =
            ["EL-01", "EL-02", "EL-03", "EL-17"].map(|rule| said[rule]);
        let beside = scenario.beside().map(|finding| finding.outcome);
        let expected =
            if [set, managed, usable].contains(&Outcome::Fail) || beside.contains(&Outcome::Fail) {
                Verdict::NonCompliant
            } else if [set, managed].contains(&Outcome::Unknown) {
                Verdict::Unknown
            } else if delivered == Outcome::Fail && !scenario.logs_beside() {
                Verdict::NoLogs
            } else {
                Verdict::Compliant
            };
        assert_eq!(truth.verdict, expected, "{scenario:?}");
        let expected = match usable {
            Outcome::Fail => scenario::Delivery::Broken,
            Outcome::Unknown => scenario::Delivery::Unknown,
            Outcome::Pass => scenario::Delivery::Working,
            Outcome::NotApplicable => scenario::Delivery::NotApplicable,
        };
        assert_eq!(truth.delivery, expected, "{scenario:?}");
    }
}

#[test]
fn between_two_days_every_cluster_is_held_that_was_active_or_ended() {
    let world = World::generate(&Options {
        days: 8,
        ..Options::default()
    });
    let cells: HashSet<_> = world
        .truth(world.audit_ms(0), None)
        .clusters
        .into_iter()
        .map(|cluster| (cluster.account_id, cluster.region))
        .collect();
    let mut lost = BTreeMap::new();
    for day in 1..8 {
        let (since, now) = (world.audit_ms(day - 1), world.audit_ms(day));
        let held: BTreeMap<_, _> = world
            .truth(now, Some(since))
            .clusters
            .into_iter()
            .map(|cluster| (cluster.cluster_id.clone(), cluster))
            .collect();
        let mut short_lived = 0;
        for here in world.account_regions() {
            if !cells.contains(&(here.account_id.clone(), here.region)) {
                continue;
            }
            for cluster in here.clusters() {
                let ended = cluster.ended_ms.unwrap_or(i64::MAX);
                // Alive at any moment of the half-open day (since, now].
                let expected = cluster.created_ms <= now && ended > since;
                assert_eq!(
                    held.contains_key(&cluster.id),
                    expected,
                    "{} {day}",
                    cluster.id
                );
                if cluster.created_ms > since && ended <= now {
                    short_lived += 1;
                }
                if expected && ended <= now {
                    *lost.entry(cluster.id.clone()).or_insert(0) += 1;
                    assert_eq!(held[&cluster.id].ended_ms, Some(ended));
                    assert!(!held[&cluster.id].active);
                }
            }
        }
        assert!(
            short_lived > 0,
            "no cluster lives and dies between day {} and {day}",
            day - 1
        );
    }
    assert!(
        lost.values().all(|times| *times == 1),
        "an end is told once"
    );
}

#[test]
fn audits_meet_every_state() {
    let world = World::generate(&Options {
        accounts: 50,
        ..Options::default()
    });
    let seen: HashSet<_> = (0..5)
        .flat_map(|day| world.truth(world.audit_ms(day), None).clusters)
        .map(|cluster| cluster.state)
        .collect();
    for state in [
        ClusterState::Starting,
        ClusterState::Running,
        ClusterState::Waiting,
        ClusterState::Terminating,
        ClusterState::Terminated,
        ClusterState::TerminatedWithErrors,
    ] {
        assert!(seen.contains(state.as_str()), "{state:?}");
    }
}

#[test]
fn emr_forgets_a_cluster_two_months_after_its_end() {
    let world = small();
    let here = &world.account_regions()[0];
    let old = here
        .clusters()
        .iter()
        .find(|c| c.name == "migration-rehearsal")
        .unwrap();
    assert!(old.is_visible_at(world.audit_ms(1)));
    assert!(!old.is_visible_at(world.audit_ms(2)));
    let forgotten = here
        .clusters()
        .iter()
        .find(|c| c.name == "first-experiment")
        .unwrap();
    assert!(!forgotten.is_visible_at(world.audit_ms(0)));
}

#[test]
fn a_mended_key_breaks_and_mends_only_clusters_that_live_through_it() {
    let world = World::generate(&Options {
        accounts: 50,
        ..Options::default()
    });
    let verdicts = |day| -> BTreeMap<String, Verdict> {
        let clusters = world.truth(world.audit_ms(day), None).clusters.into_iter();
        clusters
            .filter(|c| c.scenario == Scenario::KeyDisabledThenMended)
            .map(|c| (c.cluster_id, c.verdict))
            .collect()
    };
    let (before, during, after) = (verdicts(1), verdicts(2), verdicts(4));
    assert!(!before.is_empty());
    assert!(
        before
            .values()
            .chain(after.values())
            .all(|v| *v == Verdict::Compliant)
    );
    assert!(during.values().all(|v| *v == Verdict::NonCompliant));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
}

#[test]
fn twelve_accounts_tell_every_account_story() {
    let world = small();
    let states: HashSet<_> = world.accounts.iter().map(|a| a.state.as_str()).collect();
    for state in [
        AccountState::Active,
        AccountState::Suspended,
        AccountState::PendingClosure,
        AccountState::Closed,
        AccountState::PendingActivation,
    ] {
        assert!(states.contains(state.as_str()), "{state:?}");
    }
    assert!(
        world
            .accounts
            .iter()
            .any(|a| a.reader == ReaderRole::Missing)
    );
    assert!(
        world
            .accounts
            .iter()
            .any(|a| a.reader == ReaderRole::NotTrusting)
    );
    let opt = |status| {
        world
            .accounts
            .iter()
            .any(|a| a.opt_statuses.iter().any(|(_, s)| *s == status))
    };
    assert!(opt(OptStatus::Disabled) && opt(OptStatus::Disabling) && opt(OptStatus::Enabled));
    let outcomes: BTreeSet<_> = world
        .truth(world.audit_ms(0), None)
        .cells
        .into_iter()
        .map(|cell| cell.outcome)
        .collect();
    let all = [
        "account_state",
        "denied_iam",
        "denied_scp",
        "denied_trust",
        "region_off",
    ];
    assert_eq!(outcomes, BTreeSet::from(all));
}

#[test]
fn an_account_that_needs_an_external_id_is_seen_only_with_it() {
    let world = World::generate(&Options {
        accounts: 20,
        ..Options::default()
    });
    let id = world
        .accounts
        .iter()
        .find_map(|account| match &account.reader {
            ReaderRole::NeedsExternalId(id) => Some((account.id.clone(), id.clone())),
            _ => None,
        })
        .unwrap();
    let reached = |external: Option<&str>| {
        let truth = world.truth_for(world.audit_ms(0), None, external);
        truth
            .clusters
            .iter()
            .any(|cluster| cluster.account_id == id.0)
    };
    assert!(!reached(None) && !reached(Some("guess")) && reached(Some(&id.1)));
}

#[test]
fn smallest_organizations_work() {
    for (accounts, regions, clusters) in [(1, 1, 1), (2, 1, 3), (3, 34, 1), (1, 2, 0)] {
        let options = Options {
            accounts,
            regions,
            clusters,
            ..Options::default()
        };
        let world = World::generate(&options);
        assert_eq!(world.accounts.len(), accounts);
        assert_eq!(world.regions.len(), regions);
        assert!(world.archive_bucket().object_lock);
        assert!(world.signing_key_arn().starts_with("arn:aws:kms:"));
        world.truth(world.audit_ms(0), None);
    }
}

#[test]
fn regions_in_disagreement_are_two_regions() {
    let world = World::generate(&Options {
        accounts: 50,
        regions: 2,
        ..Options::default()
    });
    for here in world.account_regions() {
        for recipe in &here.recipes {
            let uri = recipe.log_uri.as_deref().unwrap_or_default();
            let key = recipe.log_key.as_deref().unwrap_or_default();
            match recipe.scenario {
                Scenario::KeyInOtherRegion => assert!(!key.contains(here.region)),
                Scenario::BucketInOtherRegion => assert!(!uri.contains(here.region)),
                _ => {}
            }
        }
    }
}

/// The generated data must be what the statement is about: buckets side.
#[test]
fn log_buckets_are_what_their_scenarios_say() {
    let world = World::generate(&Options {
        accounts: 50,
        regions: 4,
        ..Options::default()
    });
    for cluster in world.truth(world.audit_ms(2), None).clusters {
        let here = world
            .account_region(&cluster.account_id, cluster.region)
            .unwrap();
        let recipe = here.recipe(here.cluster(&cluster.cluster_id).unwrap());
        let uri = recipe.log_uri.as_deref().unwrap_or_default();
        let scenario = recipe.scenario;
        let Some((_, rest)) = uri.split_once("://") else {
            let account = world.account(&cluster.account_id).unwrap();
            let goes_nowhere = cluster.verdict == Verdict::NoLogs;
            // Where steps and sessions are not told of, nobody knows.
            if !account.lacks(STEPS) {
                assert_ne!(goes_nowhere, scenario.logs_beside(), "{scenario:?}");
            }
            continue;
        };
        let authority = rest.split('/').next().unwrap();
        let name = authority.rsplit('@').next().unwrap();
        let bucket = world.bucket(name).unwrap();
        let reason = |rule: &str| cluster.findings[rule].reason;

        let foreign = bucket.account_id == world.foreign_account;
        assert_eq!(
            foreign,
            reason("EL-03") == "bucket_region_unknown",
            "{scenario:?}"
        );
        if let Some(key) = recipe
            .log_key
            .as_deref()
            .filter(|key| !key.trim().is_empty())
        {
            let region = key.split(':').nth(3).unwrap_or(cluster.region);
            let apart = region != bucket.region;
            assert_eq!(apart, reason("EL-03") == "region_mismatch", "{scenario:?}");
        } else {
            let named = bucket
                .default_encryption
                .as_ref()
                .is_some_and(|e| e.key.is_some());
            let expected = reason("EL-01") == "no_log_key_bucket_default_cmk";
            assert_eq!(named, expected, "{scenario:?}");
        }
        if !foreign {
            let owner = world.account(&bucket.account_id).unwrap();
            assert!(owner.state.is_usable() && owner.reader == ReaderRole::Trusted);
        }
    }
}
