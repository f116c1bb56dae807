//! What runs conclude about generated organizations is what the organizations state of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyproof::collect::random::stable_hash;
use keyproof::config::Config;
use keyproof::model::datasets::{
    Account, ControlEvent, Coverage, EmrCluster, Finding, KmsKey, Launch, LogBucket, Trail, Verdict,
};
use keyproof::model::ids::{AccountId, Region, RunId};
use keyproof::model::s3_location::S3Location;
use keyproof::model::words::{CellOutcome, LaunchSeen, Lookup, Seen, Settings, Source};
use keyproof::run::{self, Audited, Shell};
use keyproof::sandbox::world::truth::CellTruth;
use keyproof::sandbox::world::{Truth, World, regions};
use keyproof::sandbox::{EXTERNAL_ID, Options};
use keyproof::time::{DAY_MS, UtcMillis};
use serde::Serialize;

use crate::support::{Impatient, Place, never};

/// The truth of EL-11 is stated for runs that read business units, and that of EL-13 for any tag: keys
/// have all or none. Owners and cost centres would say no more.
pub const TAGGED: [(&str, &str); 2] = [
    ("tags.business_unit", "business-unit"),
    ("tags.data_classification", "data-classification"),
];

/// A word of the truth as it is written.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        other => panic!("not a word: {other:?}"),
    }
}

type Id = (String, String, String);

/// One sealed day.
struct Day {
    run_id: RunId,
    clusters: BTreeMap<Id, EmrCluster>,
    coverage: Vec<Coverage>,
    describes: u64,
}

/// Audits the days of a generated organization and compares each with what it states.
async fn organization(options: &Options) {
    let seed = options.seed;
    let place = Place::new(options).await;
    let mut settings = TAGGED.to_vec();
    settings.push(("control_events", "true"));
    let config = place.config_with(&settings, "");
    let mut earlier: Option<Day> = None;
    let (mut clusters, mut findings) = (0, 0);
    for day in 0..options.days {
        place.at_day(day);
        let before = place.calls("DescribeCluster");
        let steps_before = place.calls("ListSteps");
        let audited = impatient(&place, &config).await;
        let describes = place.calls("DescribeCluster") - before;
        let now = place.world.audit_ms(day);
        let since = (day > 0).then(|| place.world.audit_ms(day - 1));
        let truth = place.world.truth_for(now, since, Some(EXTERNAL_ID));

        let run_id = &audited.run_id;
        let sealed = place.sealed(run_id).await;
        let rows: Vec<EmrCluster> = sealed.rows().await;
        let today = Day {
            run_id: run_id.clone(),
            clusters: rows.into_iter().map(|c| (id_of(&c), c)).collect(),
            coverage: sealed.rows().await,
            describes,
        };
        compare_clusters(&truth, &today, seed, day);
        compare_verdicts(&truth, &sealed.rows().await, seed, day);
        compare_launches(
            &truth,
            &sealed.rows().await,
            &sealed.rows().await,
            seed,
            day,
        );
        let trails: Vec<Trail> = sealed.rows().await;
        let living = Living {
            keys: &sealed.rows().await,
            buckets: &sealed.rows().await,
            clusters: &sealed.rows().await,
            trails: &trails,
            coverage: &sealed.rows().await,
        };
        compare_changes(&truth, &sealed.rows().await, &living, seed, day);
        compare_trails(&place.world, &truth, &sealed.rows().await);
        findings += compare_findings(&truth, &sealed.rows().await, seed, day);
        compare_cells(&truth, &today.coverage, &place.world.regions);
        compare_bucket_cells(&truth, &today, &place.world);
        compare_accounts(&truth, &sealed.rows().await);
        let steps = place.calls("ListSteps") - steps_before;
        steps_cost_one_call(steps, &today, earlier.as_ref());
        described_once(&today, earlier.as_ref(), UtcMillis(now).date().start());
        clusters += truth.clusters.len();
        earlier = Some(today);
    }
    assert_eq!(
        place.sandbox.kms_state().aws_managed_created(),
        0,
        "describing alias/aws/* makes AWS create its key"
    );
    let days = options.days;
    println!("seed {seed}: {clusters} clusters, {findings} findings in {days} days");
}

/// A run that does not wait for rates that this sandbox does not enforce.
pub async fn impatient(place: &Place, config: &Config) -> Audited {
    let shell = Shell {
        clock: Arc::new(Impatient(place.clock.clone())),
        ..place.shell()
    };
    let run = run::audit(&shell, config, &place.options(), never()).await;
    run.expect("the audit ends")
}

async fn fifty_accounts(seed: u64) {
    organization(&Options {
        accounts: 50,
        regions: 4,
        clusters: 3,
        days: 3,
        seed,
        ..Options::default()
    })
    .await;
}

fn id_of(c: &EmrCluster) -> Id {
    (
        c.account_id.to_string(),
        c.region.to_string(),
        c.cluster_id.clone(),
    )
}

fn compare_clusters(truth: &Truth, today: &Day, seed: u64, day: u32) {
    let stated: BTreeMap<Id, (String, Option<i64>)> = truth
        .clusters
        .iter()
        .map(|c| {
            let id = (
                c.account_id.clone(),
                c.region.to_owned(),
                c.cluster_id.clone(),
            );
            (id, (c.state.to_owned(), c.ended_ms))
        })
        .collect();
    let found: BTreeMap<Id, (String, Option<i64>)> = today
        .clusters
        .iter()
        .map(|(id, c)| (id.clone(), (c.state.clone(), c.ended_at.map(|t| t.0))))
        .collect();
    same(
        &stated,
        &found,
        &format!("clusters, seed {seed}, day {day}"),
    );
    assert!(found.len() > 100, "a population to speak of");
    if day > 0 {
        let ended = found.values().filter(|(_, ended)| ended.is_some()).count();
        assert!(ended > 10, "some clusters ended since the run before");
    }
}

pub fn compare_verdicts(truth: &Truth, rows: &[Verdict], seed: u64, day: u32) {
    let stated = truth.clusters.iter().map(|c| {
        let id = (
            c.account_id.clone(),
            c.region.to_owned(),
            c.cluster_id.clone(),
        );
        let words = [word(c.verdict), word(c.delivery), word(c.posture)];
        (
            id,
            (words.join(" "), c.active, c.ended_ms, c.state.to_owned()),
        )
    });
    let found = rows.iter().map(|v| {
        let id = (
            v.account_id.to_string(),
            v.region.to_string(),
            v.cluster_id.clone(),
        );
        let words = [v.verdict.as_str(), v.delivery.as_str(), v.posture.as_str()];
        assert_eq!(v.ended_at.map(|t| t.0), v.ended_ms);
        (
            id,
            (words.join(" "), v.active, v.ended_ms, v.state.to_string()),
        )
    });
    let what = format!("verdicts, seed {seed}, day {day}");
    same(&stated.collect(), &found.collect(), &what);
    assert_eq!(rows.len(), truth.clusters.len(), "one verdict per cluster");
}

/// Every event of a launch with its class, and tries of one launch as one attempt.
fn compare_launches(truth: &Truth, rows: &[Launch], verdicts: &[Verdict], seed: u64, day: u32) {
    let what = format!("launches, seed {seed}, day {day}");
    let stated = truth.launches.iter().map(|l| {
        let id = (
            l.account_id.clone(),
            l.region.to_owned(),
            l.event_id.clone(),
        );
        let words = [word(l.class), word(l.bucket), l.population.to_owned()];
        (id, (words.join(" "), l.params_available))
    });
    let found = rows.iter().map(|l| {
        let id = (
            l.account_id.to_string(),
            l.region.to_string(),
            l.event_id.clone(),
        );
        let words = [l.class.as_str(), l.bucket.as_str(), l.population.as_str()];
        (id, (words.join(" "), l.params_available))
    });
    same(&stated.collect(), &found.collect(), &what);
    let mut attempts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        let mut stated = truth.launches.iter();
        let stated = stated.find(|l| l.event_id == row.event_id).expect("stated");
        attempts
            .entry(&stated.attempt)
            .or_default()
            .insert(&row.attempt_id);
    }
    assert!(
        attempts.values().all(|ids| ids.len() == 1),
        "{what}: {attempts:?}"
    );
    let ids: BTreeSet<&str> = attempts.values().flatten().copied().collect();
    assert_eq!(ids.len(), attempts.len(), "{what}: attempts were mixed up");
    assert!(ids.len() < rows.len(), "{what}: somebody tried again");

    let told = |wanted| verdicts.iter().filter(|v| v.launch_event == wanted).count();
    assert_eq!(
        told(Some(LaunchSeen::Missing)),
        0,
        "every cluster has its event"
    );
    assert!(told(Some(LaunchSeen::Found)) > 10, "{what}");
}

/// What tells where changes were looked for.
struct Living<'a> {
    keys: &'a [KmsKey],
    buckets: &'a [LogBucket],
    clusters: &'a [EmrCluster],
    trails: &'a [Trail],
    coverage: &'a [Coverage],
}

impl Living<'_> {
    /// Whether a run must have found what happened in a place: where something lives that the event is
    /// about, and anything that happened in an account of which a part was not read.
    fn concerns(&self, name: &str, account: &str, region: &str) -> bool {
        let is_here = |a: &AccountId, r: &Region| a.as_str() == account && r.as_str() == region;
        let mut cells = self.coverage.iter();
        let is_asked = cells.any(|c| {
            let read = [CellOutcome::Collected, CellOutcome::Empty].contains(&c.outcome);
            c.source == Source::ControlEvents && is_here(&c.account_id, &c.region) && read
        });
        let is_trails =
            name.ends_with("Logging") || name.contains("Trail") || name.contains("Selectors");
        let mut own = self
            .coverage
            .iter()
            .filter(|c| c.account_id.as_str() == account);
        let is_unread = own.any(|c| {
            let decides = match c.source {
                Source::Regions | Source::Clusters | Source::BucketOwners => true,
                Source::ClusterSettings => name.contains("Key") || name.contains("Bucket"),
                Source::Trails => is_trails,
                _ => false,
            };
            decides && !c.outcome.is_answer()
        });
        let lives = || {
            if name.contains("Bucket") {
                let of = |b: &LogBucket| b.account_id.clone().zip(b.region.clone());
                let mut all = self.buckets.iter().filter_map(of);
                all.any(|(a, r)| is_here(&a, &r))
            } else if name.contains("SecurityConfiguration") {
                let mut seen = self.clusters.iter().filter(|c| c.seen != Seen::NotSeen);
                seen.any(|c| is_here(&c.account_id, &c.region))
            } else if !is_trails {
                let mut all = self.keys.iter();
                all.any(|k| is_here(&k.account_id, &k.region))
            } else {
                let mut all = self.trails.iter().filter(|t| t.is_own());
                all.any(|t| is_here(&t.account_id, &t.region))
            }
        };
        is_asked && (is_unread || lives())
    }
}

/// Changes where something lives that they are about.
fn compare_changes(truth: &Truth, rows: &[ControlEvent], living: &Living<'_>, seed: u64, day: u32) {
    let stated = truth
        .changes
        .iter()
        .filter(|change| living.concerns(change.name, &change.account_id, change.region));
    let stated = stated.map(|c| (c.event_id.clone(), c.name.to_owned()));
    let found = rows
        .iter()
        .map(|e| (e.event_id.clone(), e.event_name.clone()));
    let what = format!("changes, seed {seed}, day {day}");
    same(&stated.collect(), &found.collect(), &what);
    assert!(rows.iter().all(|row| row.resource.is_some()));
}

/// Every reachable account shows the organization's trail; the log archive's own is stopped.
fn compare_trails(world: &World, truth: &Truth, rows: &[Trail]) {
    let reachable = truth.accounts.iter().filter(|a| a.reachable);
    let of_organization = rows.iter().filter(|t| t.organization == Some(true));
    assert_eq!(of_organization.count(), reachable.count());
    for row in rows
        .iter()
        .filter(|t| t.account_id.as_str() == world.management_account())
    {
        assert_eq!(
            (row.logging, row.management_writes),
            (Some(true), Some(true))
        );
    }
    let own: Vec<_> = rows
        .iter()
        .filter(|t| t.organization == Some(false))
        .collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].account_id.as_str(), world.log_archive_account());
    assert_eq!(own[0].logging, Some(false));
    assert!(own[0].stopped_logging_at.is_some());
}

pub fn compare_findings(truth: &Truth, rows: &[Finding], seed: u64, day: u32) -> usize {
    // A rule about keys speaks once of each key.
    let mut stated: BTreeMap<(Id, String), Vec<String>> = BTreeMap::new();
    for c in &truth.clusters {
        let id = (
            c.account_id.clone(),
            c.region.to_owned(),
            c.cluster_id.clone(),
        );
        let first = c.findings.iter().map(|(rule, f)| (*rule, *f));
        for (rule, f) in first.chain(c.second_key.iter().copied()) {
            let said = format!("{} {}", word(f.outcome), f.reason);
            let key = (id.clone(), rule.to_owned());
            stated.entry(key).or_default().push(said);
        }
    }
    let mut found: BTreeMap<(Id, String), Vec<String>> = BTreeMap::new();
    for f in rows {
        let id = (
            f.account_id.to_string(),
            f.region.to_string(),
            f.cluster_id.to_string(),
        );
        let said = format!("{} {}", f.outcome.as_str(), f.reason);
        found
            .entry((id, f.rule.to_string()))
            .or_default()
            .push(said);
    }
    for said in stated.values_mut().chain(found.values_mut()) {
        said.sort();
    }
    same(
        &stated,
        &found,
        &format!("findings, seed {seed}, day {day}"),
    );
    for row in rows {
        let to_do = matches!(row.outcome.as_str(), "FAIL" | "UNKNOWN");
        assert_eq!(row.advice.is_some(), to_do, "{row:?}");
    }
    stated.len()
}

/// Every cell that ends in something else than data is stated, and every stated one is there. A
/// dark account's bucket cell ends as its regions cell does, a dark Region's security
/// configurations as its clusters do.
pub fn compare_cells(truth: &Truth, coverage: &[Coverage], hosting: &[&str]) {
    let mut stated = BTreeSet::new();
    for cell in &truth.cells {
        let key = |source: &str| {
            let place = (cell.account_id.clone(), cell.region.to_owned());
            (place, source.to_owned(), cell.outcome.to_owned())
        };
        stated.insert(key(cell.source));
        match (cell.source, cell.outcome) {
            ("regions", outcome) if outcome != "denied_iam" => {
                stated.insert(key("trails"));
                stated.insert(key("bucket_owners"))
            }
            ("clusters", "denied_scp") => stated.insert(key("security_configurations")),
            _ => false,
        };
    }
    let is_data = |c: &&Coverage| match c.outcome {
        CellOutcome::Collected | CellOutcome::Empty => true,
        CellOutcome::Partial => c.source.is_lookup() && c.items_failed == Some(0),
        _ => false,
    };
    let is_stated_region =
        |c: &&Coverage| c.region.as_str() == "global" || hosting.contains(&c.region.as_str());
    let found: BTreeSet<_> = coverage
        .iter()
        .filter(|c| c.source != Source::Buckets && !is_data(c))
        // Where keys or buckets of accounts live that cannot be entered, or not be asked.
        .filter(|c| c.source != Source::ControlEvents)
        .filter(is_stated_region)
        .map(|c| {
            let place = (c.account_id.to_string(), c.region.to_string());
            (place, c.source.to_string(), c.outcome.to_string())
        })
        .collect();
    let missing: Vec<_> = stated.difference(&found).collect();
    let extra: Vec<_> = found.difference(&stated).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "cells missing {missing:?}, extra {extra:?}"
    );
    let lists_none = |account: &str| {
        let refused = |c: &CellTruth| (c.source, c.outcome) == ("regions", "denied_iam");
        let mut cells = truth.cells.iter();
        cells.any(|c| c.account_id == account && refused(c))
    };
    for cell in coverage.iter().filter(|c| !is_stated_region(c)) {
        // Without a list, every Region that nobody can turn off is asked.
        let outcome = if lists_none(cell.account_id.as_str()) {
            CellOutcome::Empty
        } else {
            CellOutcome::RegionOff
        };
        assert_eq!(cell.outcome, outcome, "{cell:?}");
    }
    // Every reachable account has its two cells, and every hosting Region of it a clusters cell.
    let cells: BTreeMap<(String, String, Source), usize> =
        coverage.iter().fold(BTreeMap::new(), |mut seen, c| {
            let key = (c.account_id.to_string(), c.region.to_string(), c.source);
            *seen.entry(key).or_default() += 1;
            seen
        });
    assert!(cells.values().all(|n| *n == 1), "one row per cell");
    for account in truth.accounts.iter() {
        for source in [Source::Regions, Source::BucketOwners] {
            let key = (account.account_id.clone(), "global".to_owned(), source);
            assert!(cells.contains_key(&key), "{key:?} is missing");
        }
        let lists_none = lists_none(&account.account_id);
        let asked = hosting
            .iter()
            .filter(|region| account.reachable && !(lists_none && regions::is_opt_in(region)));
        for region in asked {
            let key = (
                account.account_id.clone(),
                (*region).to_owned(),
                Source::Clusters,
            );
            assert!(cells.contains_key(&key), "{key:?} is missing");
        }
    }
}

/// A log bucket that no reachable account owns may belong to one that could not be asked: its look-up
/// failed, in the coverage of the smallest account that names it.
fn compare_bucket_cells(truth: &Truth, today: &Day, world: &World) {
    let reachable = |id: &str| {
        let account = truth.accounts.iter().find(|a| a.account_id == id);
        account.is_some_and(|a| a.reachable)
    };
    let is_asked_in_vain = |c: &CellTruth| c.source == "regions" && c.outcome == "denied_trust";
    assert!(
        truth.cells.iter().any(is_asked_in_vain),
        "some account does not trust the auditor"
    );
    let mut lost: BTreeMap<String, String> = BTreeMap::new();
    // In the order of accounts.
    for ((account, _, _), row) in &today.clusters {
        let location = row.log_uri.as_deref().and_then(S3Location::parse);
        let Some(location) = location.filter(|_| row.seen != Seen::NotSeen) else {
            continue;
        };
        let owner = world.bucket(&location.bucket).map(|b| &b.account_id);
        if !owner.is_some_and(|owner| reachable(owner)) {
            lost.entry(location.bucket).or_insert(account.clone());
        }
    }
    let stated: BTreeSet<&str> = lost.values().map(String::as_str).collect();
    let failed = today.coverage.iter().filter(|c| {
        let is_open = c.items_failed != Some(0);
        c.source == Source::Buckets && is_open
    });
    let found: BTreeSet<&str> = failed.map(|c| c.account_id.as_str()).collect();
    assert_eq!(stated, found);
}

fn compare_accounts(truth: &Truth, rows: &[Account]) {
    let stated: BTreeSet<&str> = truth
        .accounts
        .iter()
        .map(|a| a.account_id.as_str())
        .collect();
    let found: BTreeSet<&str> = rows.iter().map(|a| a.account_id.as_str()).collect();
    assert_eq!(stated, found);
}

/// ListSteps costs one call for each cluster of the run, and a few more where it meets many steps for the
/// first time.
fn steps_cost_one_call(calls: u64, today: &Day, earlier: Option<&Day>) {
    let asked = today
        .clusters
        .values()
        .filter(|c| c.seen != Seen::NotSeen && c.steps_lookup == Some(Lookup::Found));
    let (known, new): (Vec<_>, Vec<_>) =
        asked.partition(|c| earlier.is_some_and(|e| e.clusters.contains_key(&id_of(c))));
    // Of a known one only what came since, down to a step that had ended then, which may lie on the
    // next page.
    let since = |c: &&EmrCluster| {
        let before = earlier.and_then(|e| e.clusters.get(&id_of(c))?.steps);
        Some((c.steps? - before?) / 50 + i64::from(c.steps? > 50))
    };
    let pages = new.iter().filter_map(|c| c.steps).map(|n| n / 50);
    let pages: i64 = pages.chain(known.iter().filter_map(since)).sum();
    let least = (known.len() + new.len()) as u64;
    // Three refusals show that a permission is missing in an account-region.
    let refused = today
        .clusters
        .values()
        .filter(|c| c.steps_lookup == Some(Lookup::Denied))
        .count() as u64;
    let most = least + pages.unsigned_abs() + refused;
    assert!(
        (least..=most).contains(&calls),
        "{calls} calls of ListSteps, {least} to {most} expected"
    );
    println!("{calls} calls of ListSteps for {least} clusters");
}

/// DescribeCluster is called for what is new, vanished or due, and for nothing else; the rest is
/// carried with the run that described it.
fn described_once(today: &Day, earlier: Option<&Day>, day: UtcMillis) {
    let described: BTreeSet<&Id> = today
        .clusters
        .iter()
        .filter(|(_, c)| c.settings == Settings::Described)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(today.describes, described.len() as u64, "one call each");
    let cycle = 7 * DAY_MS;
    let wanted: BTreeSet<&Id> = today
        .clusters
        .iter()
        .filter(|(id, c)| {
            let Some(before) = earlier.and_then(|e| e.clusters.get(*id)) else {
                return true;
            };
            let phase = (stable_hash(&id.2) % cycle as u64) as i64;
            let turn = |at: i64| (at + phase).div_euclid(cycle);
            let described_at = before.described_at.expect("described before").0;
            let due = c.is_active() && turn(described_at) < turn(day.0);
            due || c.seen == Seen::Vanished
        })
        .map(|(id, _)| id)
        .collect();
    assert_eq!(described, wanted, "described is what is new or due");
    let Some(earlier) = earlier else { return };
    let carried: Vec<_> = today
        .clusters
        .iter()
        .filter(|(_, c)| c.settings == Settings::Carried)
        .collect();
    assert!(
        carried.len() > described.len(),
        "{} carried, {} described",
        carried.len(),
        described.len()
    );
    for (id, row) in carried {
        let before = &earlier.clusters[id];
        assert_eq!(row.described_in_run, before.described_in_run);
        assert_eq!(row.described_at, before.described_at);
        assert_ne!(row.described_in_run.as_ref(), Some(&today.run_id));
        assert_eq!(
            (&row.log_uri, &row.log_key, &row.owner),
            (&before.log_uri, &before.log_key, &before.owner)
        );
    }
}

/// Both maps hold the same; says what differs, not all there is.
fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    stated: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    what: &str,
) {
    let mut wrong = Vec::new();
    for (key, value) in stated {
        match found.get(key) {
            Some(other) if other == value => {}
            other => wrong.push(format!("{key:?}: stated {value:?}, found {other:?}")),
        }
    }
    for key in found.keys().filter(|k| !stated.contains_key(k)) {
        wrong.push(format!("{key:?}: not stated, found {:?}", found[key]));
    }
    let shown = wrong.len().min(20);
    assert!(
        wrong.is_empty(),
        "{what}: {} differ of {}\n{}",
        wrong.len(),
        stated.len(),
        wrong[..shown].join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seed_1_is_judged_as_it_states() {
    fifty_accounts(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seed_2_is_judged_as_it_states() {
    fifty_accounts(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seed_3_is_judged_as_it_states() {
    fifty_accounts(3).await;
}

/// Two days of the size that the tool was first asked for, from `SOAK_SEED` or seed 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long; scripts/soak runs it"]
async fn hundred_accounts_twenty_clusters() {
    let seed = std::env::var("SOAK_SEED").ok().and_then(|n| n.parse().ok());
    organization(&Options {
        accounts: 100,
        regions: 4,
        clusters: 20,
        days: 2,
        seed: seed.unwrap_or(1),
        ..Options::default()
    })
    .await;
}
