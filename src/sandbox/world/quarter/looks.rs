//! What each run should have seen of clusters and launches.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::Belongs;
use super::{Calendar, Look};
use crate::sandbox::World;
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::account_region::AccountRegion;
use crate::sandbox::world::clusters::{Cluster, Recipe};
use crate::sandbox::world::copies::Copies;
use crate::sandbox::world::launch_truth::LaunchTruth;
use crate::sandbox::world::organization::Account;
use crate::sandbox::world::scenario::{Delivery, Outcome, Verdict};
use crate::sandbox::world::truth::{AccountTruth, ClusterTruth, Truth};

/// A cluster last seen alive longer ago than this is not carried.
const CARRIED_DAYS: i64 = 62;

/// Whether AWS keeps copies of a cluster's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
    Unknown,
}

/// One cluster in one run.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// Position of the run.
    pub look: usize,
    pub started_ms: i64,
    pub account: String,
    pub region: &'static str,
    pub cluster_id: String,
    /// The name without the date of a nightly job.
    pub lineage: String,
    pub created_ms: i64,
    pub ended_ms: Option<i64>,
    pub active: bool,
    pub verdict: Verdict,
    /// The verdict differs from that of the run before because rules changed, and for no other reason.
    pub by_rules: bool,
    pub delivery: Delivery,
    pub kept: Kept,
    pub belongs: Belongs,
}

/// Everything that the runs saw.
pub(super) struct Seen {
    /// In the order of runs.
    pub sightings: Vec<Sighting>,
    /// By event id: the event as the newest run that recorded it has it.
    pub launches: BTreeMap<String, LaunchTruth>,
    /// By run: the accounts that are in its scope, and those of them that it could enter.
    pub expected: Vec<BTreeSet<String>>,
    pub entered: Vec<BTreeSet<String>>,
    /// By run and account: the start of the run from which it went on; none for the first.
    pub since: Vec<BTreeMap<String, i64>>,
}

pub(super) fn seen(world: &World, calendar: &Calendar) -> Seen {
    let looks = &calendar.looks;
    let mut seen = Seen {
        sightings: Vec::new(),
        launches: BTreeMap::new(),
        expected: Vec::new(),
        entered: Vec::new(),
        since: Vec::new(),
    };
    let external_id = calendar.external_id.as_deref();
    for (n, look) in looks.iter().enumerate() {
        let now = look.started_ms;
        let accounts = world.accounts_at(now, external_id);
        let ids = |is_it: fn(&AccountTruth) -> bool| {
            let wanted = accounts.iter().filter(|account| is_it(account));
            wanted.map(|account| account.account_id.clone()).collect()
        };
        seen.expected.push(ids(|_| true));
        seen.entered.push(ids(|account| account.reachable));
        seen.since.push(BTreeMap::new());
        let mut told: BTreeMap<Option<i64>, Truth> = BTreeMap::new();
        for account in world.accounts.iter().filter(|a| a.is_member_at(now)) {
            let since = mark(looks, &seen.entered, n, &account.id);
            seen.since[n].extend(since.map(|since| (account.id.clone(), since)));
            if !seen.entered[n].contains(&account.id) {
                let carried = since.filter(|s| look.date_ms - CARRIED_DAYS * DAY_MS <= *s);
                let entered = &seen.entered[n];
                let carried =
                    carried.map(|since| carried_from(world, account, (n, look), since, entered));
                seen.sightings.extend(carried.into_iter().flatten());
                continue;
            }
            let truth = told
                .entry(since)
                .or_insert_with(|| world.truth_for(now, since, external_id));
            let clusters = truth.clusters.iter();
            let here = clusters.filter(|c| c.account_id == account.id);
            seen.sightings
                .extend(here.filter_map(|c| sighting(world, account, (n, look), c)));
            let launches = truth.launches.iter();
            let here = launches.filter(|l| l.account_id == account.id);
            seen.launches
                .extend(here.map(|l| (l.event_id.clone(), l.clone())));
        }
    }
    turn(looks, &mut seen.sightings);
    seen
}

/// The run from which the n-th goes on in an account: of those for an earlier date that were sealed when
/// it began, the newest that could enter it.
fn mark(looks: &[Look], entered: &[BTreeSet<String>], n: usize, account: &str) -> Option<i64> {
    let earlier = looks.iter().zip(entered).take(n);
    let known = earlier.filter(|(look, entered)| {
        look.date_ms < looks[n].date_ms
            && look.started_ms < looks[n].started_ms
            && entered.contains(account)
    });
    let newest = known.max_by_key(|(look, _)| look.date_ms);
    newest.map(|(look, _)| look.started_ms)
}

/// What other rules made of clusters, and what the change of rules makes of them in the run after.
fn turn(looks: &[Look], sightings: &mut [Sighting]) {
    for sighting in sightings {
        let id = &sighting.cluster_id;
        let before = sighting.look.checked_sub(1).map(|before| &looks[before]);
        if let Some(verdict) = looks[sighting.look].by_other_rules.get(id) {
            sighting.verdict = *verdict;
        } else if before.is_some_and(|before| before.by_other_rules.contains_key(id)) {
            sighting.by_rules = true;
        }
    }
}

fn sighting(
    world: &World,
    account: &Account,
    (n, look): (usize, &Look),
    told: &ClusterTruth,
) -> Option<Sighting> {
    let here = world.account_region(&told.account_id, told.region)?;
    let cluster = here.cluster(&told.cluster_id)?;
    let key_is_tagged = told.findings["EL-13"].outcome == Outcome::Pass;
    Some(Sighting {
        look: n,
        started_ms: look.started_ms,
        account: told.account_id.clone(),
        region: told.region,
        cluster_id: told.cluster_id.clone(),
        lineage: lineage(&cluster.name),
        created_ms: cluster.created_ms,
        ended_ms: told.ended_ms,
        active: told.active,
        verdict: told.verdict,
        by_rules: false,
        delivery: told.delivery,
        kept: match here.recipe(cluster).copies {
            // Before there was a switch AWS kept them.
            Copies::NoSwitch | Copies::Kept => Kept::Yes,
            Copies::Off => Kept::No,
            Copies::CannotTell => Kept::Unknown,
        },
        belongs: belongs(account, here, cluster, key_is_tagged),
    })
}

/// The clusters of an account that were alive when a run last looked. Nothing is known of them now but what
/// other accounts show of their keys.
fn carried_from<'w>(
    world: &'w World,
    account: &'w Account,
    (n, look): (usize, &'w Look),
    since: i64,
    entered: &'w BTreeSet<String>,
) -> impl Iterator<Item = Sighting> + 'w {
    let places = world.account_regions().iter();
    let here = places.filter(|here| here.account_id == account.id);
    let clusters = here.flat_map(|here| here.clusters().iter().map(move |c| (here, c)));
    let alive = clusters.filter(move |(_, cluster)| cluster.is_active_at(since));
    alive.map(move |(here, cluster)| Sighting {
        look: n,
        started_ms: look.started_ms,
        account: account.id.clone(),
        region: here.region,
        cluster_id: cluster.id.clone(),
        lineage: lineage(&cluster.name),
        created_ms: cluster.created_ms,
        ended_ms: None,
        active: true,
        verdict: Verdict::Unknown,
        by_rules: false,
        delivery: Delivery::Unknown,
        kept: Kept::Unknown,
        belongs: belongs(
            account,
            here,
            cluster,
            shows_key_tags(world, entered, here.recipe(cluster)).unwrap_or(false),
        ),
    })
}

/// Whether the account that owns a log key was entered and gives it tags; `None` where no ARN says whose it
/// is: then it is the cluster's own account's.
fn shows_key_tags(world: &World, entered: &BTreeSet<String>, recipe: &Recipe) -> Option<bool> {
    let (place, id) = recipe.log_key.as_deref()?.split_once(":key/")?;
    let (place, owner) = place.rsplit_once(':')?;
    let (_, region) = place.rsplit_once(':')?;
    let key = world.account_region(owner, region)?.key(id)?;
    let is_owned = key.tags().iter().any(|(name, _)| *name == "owner");
    Some(entered.contains(owner) && is_owned)
}

/// The cluster's tags, else those of its log key, else the account's.
fn belongs(
    account: &Account,
    here: &AccountRegion,
    cluster: &Cluster,
    key_is_tagged: bool,
) -> Belongs {
    let recipe = here.recipe(cluster);
    let of_cluster = |name: &str| {
        let found = recipe.tags.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.clone())
    };
    let key_is_tagged = key_is_tagged && recipe.log_key.is_some();
    let of_key = |value: &str| key_is_tagged.then(|| value.to_owned());
    let of_account = Belongs::to_account(account);
    Belongs {
        owner: of_cluster("owner")
            .or_else(|| of_key("key-custodians"))
            .or(of_account.owner),
        cost_center: of_cluster("cost-center")
            .or_else(|| of_key("cc-9000"))
            .or(of_account.cost_center),
        ..of_account
    }
}

/// A name without the date at its end.
fn lineage(name: &str) -> String {
    let is_date = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
        parts.iter().map(|part| part.len()).eq([0, 4, 2, 2]) && parts.iter().all(digits)
    };
    let cut = name.len().saturating_sub("-2026-10-05".len());
    match name.get(cut..) {
        Some(date) if is_date(date) => name[..cut].to_owned(),
        _ => name.to_owned(),
    }
}

impl Seen {
    /// The sightings of each cluster, by start of their runs.
    pub fn clusters(&self) -> BTreeMap<(&str, &str, &str), Vec<&Sighting>> {
        let mut clusters: BTreeMap<_, Vec<&Sighting>> = BTreeMap::new();
        for sighting in &self.sightings {
            let key = (
                sighting.account.as_str(),
                sighting.region,
                sighting.cluster_id.as_str(),
            );
            clusters.entry(key).or_default().push(sighting);
        }
        for sightings in clusters.values_mut() {
            sightings.sort_by_key(|s| s.started_ms);
        }
        clusters
    }
}
