//! What a run is about to ask, before it asks: how many calls of which operation, and how long the
//! buckets and the connections take for them at least.
//!
//! Of an account-region that earlier runs know, clusters are counted as the coming run will list and
//! describe them if nothing changes; what clusters refer to is looked up as often as the newest run
//! did. Of an account that nobody has looked into yet nothing is known: it counts as the mean of the
//! others.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::api::ListedCluster;
use crate::collect::bucket::shared_burst;
use crate::collect::control_events::Places;
use crate::collect::facts::KnownAccountRegion;
use crate::collect::footprint;
use crate::collect::listing::{self, Population};
use crate::collect::operation::{Caller, Operation};
use crate::collect::options::Regions;
use crate::collect::settings;
use crate::model::datasets::{Coverage, EmrCluster, KmsKey, LogBucket, Trail};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Seen, Source};
use crate::time::{Date, UtcMillis};

/// Items of one page of ListClusters and of ListSteps
/// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_ListClusters.html>).
const PAGE: usize = 50;
/// What a request takes where nothing better is known: signing, the way there and back, AWS's answer.
pub const LATENCY_MS: i64 = 100;

/// What is asked of the coming run.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub date: Date,
    pub now: UtcMillis,
    pub regions: Regions,
    pub describe_max_age_days: i64,
    pub launches: bool,
    pub control_events: bool,
    /// Log objects are sampled.
    pub samples: bool,
    /// Log buckets that no report tells of are listed.
    pub lists: bool,
    /// Reports about log objects are read.
    pub reports: bool,
    /// The caller's own credentials, and no role.
    pub single_account: bool,
}

/// Calls of one operation on behalf of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub source: Source,
    pub region: Region,
    pub operation: Operation,
    pub calls: i64,
}

/// What lives where that control events are about, by the newest run.
#[derive(Debug, Default)]
pub struct Living(Places);

impl Living {
    /// Takes note of looked-up keys and buckets, and of trails.
    pub fn add(&mut self, keys: &[KmsKey], buckets: &[LogBucket], trails: &[Trail]) {
        self.0.rows(keys, buckets, trails);
    }

    /// Takes note of a cell that ended without an answer.
    pub fn add_cell(&mut self, cell: &Coverage) {
        self.0.cell(cell);
    }

    /// Takes note of a cluster.
    pub fn add_cluster(&mut self, cluster: &EmrCluster) {
        self.0.cluster(cluster);
    }

    fn names(&self, account: &AccountId, region: &Region) -> i64 {
        self.0.names(account, region) as i64
    }
}

/// Clusters that earlier runs know and the coming run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clusters {
    pub active: i64,
    /// Those whose settings are still owed, or due for another look.
    pub described: i64,
}

/// The calls that a cell of the newest run lets expect. `known`: its account-region's watermark, for a
/// cell of clusters.
pub fn of_cell(
    cell: &Coverage,
    known: Option<&KnownAccountRegion>,
    living: &Living,
    wanted: &Wanted,
) -> (Vec<Ask>, Clusters) {
    let region = &cell.region;
    let mut clusters = Clusters::default();
    let is_wanted = match &wanted.regions {
        Regions::List(regions) => *region == Region::global() || regions.contains(region),
        Regions::Auto => true,
    };
    let is_wanted = is_wanted
        && match cell.source {
            Source::Regions => wanted.regions == Regions::Auto,
            Source::Launches | Source::Trails => wanted.launches,
            Source::ControlEvents => wanted.launches && wanted.control_events,
            Source::LogObjects => wanted.samples,
            Source::LogHistory => wanted.reports || wanted.lists,
            // They follow from the clusters.
            Source::ClusterSettings | Source::Steps | Source::Sessions => false,
            _ => true,
        };
    if !is_wanted || cell.calls == 0 {
        return (Vec::new(), clusters);
    }
    let mut asks = as_last_time(cell);
    if cell.source == Source::LogHistory {
        asks.retain(|ask| match ask.operation {
            Operation::ListObjectVersions => wanted.lists,
            operation => wanted.reports || operation.caller() != Caller::SourceReader,
        });
    }
    match cell.source {
        // Where the lists were refused, they will be refused again.
        Source::Clusters if cell.outcome.is_answer() => {
            asks.retain(|ask| ask.operation != Operation::ListClusters);
            let mut ask = |source, operation, calls: usize| {
                if calls > 0 {
                    asks.push(Ask {
                        source,
                        region: region.clone(),
                        operation,
                        calls: calls as i64,
                    });
                }
            };
            let look = Look::of(known, wanted);
            clusters.active = look.active as i64;
            clusters.described = look.described as i64;
            ask(Source::Clusters, Operation::ListClusters, look.lists);
            let described = look.described;
            ask(
                Source::ClusterSettings,
                Operation::DescribeCluster,
                described,
            );
            ask(Source::Steps, Operation::ListSteps, look.steps);
            ask(Source::Sessions, Operation::ListSessions, look.sessions);
        }
        // A quiet place tells everything since the last look in one page of each name.
        Source::Launches => one_page(&mut asks, 1),
        Source::ControlEvents => one_page(&mut asks, living.names(&cell.account_id, region)),
        _ => {}
    }
    (asks, clusters)
}

fn one_page(asks: &mut [Ask], names: i64) {
    for ask in asks {
        if ask.operation == Operation::LookupEvents {
            ask.calls = ask.calls.min(names);
        }
    }
}

/// What a cell cost last time, without what was asked again because AWS said to slow down.
fn as_last_time(cell: &Coverage) -> Vec<Ask> {
    let ask = |operation, calls: i64| Ask {
        source: cell.source,
        region: cell.region.clone(),
        operation,
        calls,
    };
    match &cell.operations {
        Some(text) => {
            let costs = footprint::read(text).into_iter();
            costs
                .map(|cost| ask(cost.operation, cost.calls - cost.throttles))
                .filter(|ask| ask.calls > 0)
                .collect()
        }
        // A run of before that column.
        None => vec![ask(main_operation(cell.source), cell.calls - cell.retries)],
    }
}

/// The operation that most calls of a source are.
fn main_operation(source: Source) -> Operation {
    match source {
        Source::Regions => Operation::ListRegions,
        Source::Clusters => Operation::ListClusters,
        Source::ClusterSettings => Operation::DescribeCluster,
        Source::Steps => Operation::ListSteps,
        Source::Sessions => Operation::ListSessions,
        Source::LogGroups => Operation::DescribeLogGroups,
        Source::SecurityConfigurations => Operation::ListSecurityConfigurations,
        Source::BucketOwners => Operation::ListBuckets,
        Source::Keys => Operation::DescribeKey,
        Source::Buckets => Operation::GetBucketEncryption,
        Source::Identities => Operation::GetAccountAuthorizationDetails,
        Source::LogObjects => Operation::HeadObject,
        Source::Launches | Source::ControlEvents => Operation::LookupEvents,
        Source::Trails => Operation::DescribeTrails,
        Source::LogHistory => Operation::GetSourceObject,
        Source::Reencryption => Operation::ListJobs,
    }
}

/// The coming look at the clusters of one account-region, if none came and none ended.
struct Look {
    lists: usize,
    active: usize,
    described: usize,
    steps: usize,
    sessions: usize,
}

impl Look {
    fn of(known: Option<&KnownAccountRegion>, wanted: &Wanted) -> Self {
        let rows = known.map_or(&[][..], |k| &k.clusters);
        let (active, ended): (Vec<&EmrCluster>, Vec<&EmrCluster>) = rows
            .iter()
            .filter(|row| row.seen != Seen::Vanished || row.is_active())
            .partition(|row| row.is_active());
        let since = listing::created_after(known);
        let shown = |row: &&EmrCluster| row.created_at.is_none_or(|at| Some(at) >= since);
        let ended: Vec<&EmrCluster> = ended.into_iter().filter(shown).collect();
        let listed = |rows: &[&EmrCluster]| rows.iter().map(|row| as_listed(row)).collect();
        let population = listing::population(known, listed(&active), listed(&ended));
        let today = wanted.date.start();
        let max_age = wanted.describe_max_age_days;
        let described = settings::to_describe(known, &population, today, max_age);
        let earlier = settings::by_id(known);
        let asked = || asked_about(&population).filter_map(|id| earlier.get(id));
        let pages = |row: &&&EmrCluster| match (&row.steps_settled_id, row.steps) {
            // What stands below the settled step is not read again.
            (Some(_), _) | (None, None) => 1,
            (None, Some(steps)) => (steps.max(1) as usize).div_ceil(PAGE),
        };
        Self {
            lists: active.len().div_ceil(PAGE).max(1) + ended.len().div_ceil(PAGE).max(1),
            active: active.len(),
            described: described.len(),
            steps: asked().map(|row| pages(&row)).sum(),
            sessions: asked()
                .filter(|row| row.session_enabled == Some(true))
                .count(),
        }
    }
}

fn asked_about(population: &Population) -> impl Iterator<Item = &str> {
    let vanished = population.vanished.iter();
    let all = population.listed.keys().chain(vanished);
    all.map(String::as_str)
}

fn as_listed(row: &EmrCluster) -> ListedCluster {
    ListedCluster {
        id: row.cluster_id.clone(),
        name: row.name.clone(),
        state: row.state.clone(),
        created_at: row.created_at,
        ready_at: row.ready_at,
        ended_at: row.ended_at,
    }
}

/// What an account of which nothing is known is asked at least: the clusters and what they refer to
/// come on top.
pub fn at_least(regions: &BTreeSet<Region>, wanted: &Wanted) -> Vec<Ask> {
    let ask = |source, region: &Region, operation, calls| Ask {
        source,
        region: region.clone(),
        operation,
        calls,
    };
    let global = Region::global();
    let mut asks = vec![ask(
        Source::BucketOwners,
        &global,
        Operation::ListBuckets,
        1,
    )];
    if !wanted.single_account {
        asks.push(ask(Source::Regions, &global, Operation::AssumeRole, 1));
    }
    if wanted.regions == Regions::Auto {
        asks.push(ask(Source::Regions, &global, Operation::ListRegions, 1));
    }
    if wanted.launches {
        asks.push(ask(Source::Trails, &global, Operation::DescribeTrails, 1));
    }
    for region in regions {
        asks.push(ask(Source::Clusters, region, Operation::ListClusters, 2));
        let (source, list) = (
            Source::SecurityConfigurations,
            Operation::ListSecurityConfigurations,
        );
        asks.push(ask(source, region, list, 1));
        if wanted.launches {
            asks.push(ask(Source::Launches, region, Operation::LookupEvents, 1));
        }
    }
    asks
}

/// The bucket that takes longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busiest {
    /// `None` for the collector's own account.
    pub account: Option<AccountId>,
    pub region: Region,
    pub operation: Operation,
    pub calls: i64,
    pub takes_ms: i64,
}

/// Sums up the calls of a run, one account after the other.
#[derive(Debug, Clone)]
pub struct Planner {
    share: f64,
    operations: BTreeMap<Operation, i64>,
    sources: BTreeMap<Source, i64>,
    accounts: i64,
    busiest: Option<Busiest>,
}

/// What a run is about to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct CallPlan {
    pub operations: BTreeMap<Operation, i64>,
    /// Calls in audited accounts by source; AssumeRole is none.
    pub sources: BTreeMap<Source, i64>,
    pub busiest: Option<Busiest>,
}

impl Planner {
    /// Nothing yet; `share` of AWS's bursts and refill rates is used.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            operations: BTreeMap::new(),
            sources: BTreeMap::new(),
            accounts: 0,
            busiest: None,
        }
    }

    /// What the collector asks of its own account beside AssumeRole.
    pub fn own(&mut self, operation: Operation, calls: i64) {
        *self.operations.entry(operation).or_default() += calls;
    }

    /// All calls of one account.
    pub fn account(&mut self, account: &AccountId, asks: &[Ask]) {
        self.accounts += 1;
        let mut buckets: BTreeMap<(&Region, Operation), i64> = BTreeMap::new();
        for ask in asks {
            *self.operations.entry(ask.operation).or_default() += ask.calls;
            if ask.operation.caller() != Caller::Collector {
                *self.sources.entry(ask.source).or_default() += ask.calls;
                *buckets.entry((&ask.region, ask.operation)).or_default() += ask.calls;
            }
        }
        for ((region, operation), calls) in buckets {
            self.bucket(Some(account), region, operation, calls);
        }
    }

    fn bucket(
        &mut self,
        account: Option<&AccountId>,
        region: &Region,
        operation: Operation,
        calls: i64,
    ) {
        let takes_ms = takes_ms(operation, calls, self.share);
        if takes_ms > self.busiest.as_ref().map_or(0, |b| b.takes_ms) {
            self.busiest = Some(Busiest {
                account: account.cloned(),
                region: region.clone(),
                operation,
                calls,
                takes_ms,
            });
        }
    }

    /// The whole plan, with `more` accounts that are like the mean of those before.
    pub fn finish(mut self, more: i64) -> CallPlan {
        let accounts = self.accounts;
        let whole = |calls: &mut i64| {
            if accounts > 0 {
                *calls += (*calls * more + accounts - 1) / accounts;
            }
        };
        let in_accounts = |operation: &Operation| {
            *operation == Operation::AssumeRole || operation.caller() != Caller::Collector
        };
        let operations = self.operations.iter_mut();
        operations
            .filter(|(operation, _)| in_accounts(operation))
            .for_each(|(_, calls)| whole(calls));
        self.sources.values_mut().for_each(whole);
        let own = self
            .operations
            .iter()
            .map(|(operation, calls)| (*operation, *calls));
        let own = own.filter(|(operation, _)| operation.caller() == Caller::Collector);
        for (operation, calls) in own.collect::<Vec<_>>() {
            self.bucket(None, &Region::global(), operation, calls);
        }
        CallPlan {
            operations: self.operations,
            sources: self.sources,
            busiest: self.busiest,
        }
    }
}

impl CallPlan {
    /// All calls.
    pub fn calls(&self) -> i64 {
        self.operations.values().sum()
    }
}

/// How long a bucket needs for so many calls.
fn takes_ms(operation: Operation, calls: i64, share: f64) -> i64 {
    let (burst, per_second) = operation.granted_rate();
    let waiting = (calls as f64 - shared_burst(burst, share)).max(0.0);
    (1_000.0 * waiting / (per_second * share)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fake::cluster_row;
    use crate::model::datasets::EMR_MODEL;
    use crate::model::words::Settings;
    use crate::time::DAY_MS;

    fn wanted() -> Wanted {
        Wanted {
            date: "2026-11-24".parse().expect("date"),
            now: UtcMillis(1_795_485_600_000),
            regions: Regions::Auto,
            describe_max_age_days: 7,
            launches: true,
            control_events: true,
            samples: false,
            lists: false,
            reports: false,
            single_account: false,
        }
    }

    fn account(n: u64) -> AccountId {
        format!("{n:012}").parse().expect("account")
    }

    fn cell(source: Source, operations: &str) -> Coverage {
        let ireland = "eu-west-1".parse().expect("Region");
        let mut cell = crate::testkit::coverage(account(1), ireland, source);
        cell.calls = 9;
        cell.operations = Some(operations.to_owned());
        cell
    }

    fn plan(cell: &Coverage, known: Option<&KnownAccountRegion>, wanted: &Wanted) -> String {
        let (asks, _) = of_cell(cell, known, &Living::default(), wanted);
        let text = |ask: &Ask| format!("{:?} {}", ask.operation, ask.calls);
        asks.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn known_clusters_are_listed_and_only_what_is_owed_or_due_is_described() {
        let now = wanted().now;
        let row = |id: &str, state: &str, age_days: i64| {
            let mut row = cluster_row(id, state, Some(now.plus_ms(-90 * DAY_MS)), None);
            row.settings = Settings::Described;
            row.emr_model = Some(EMR_MODEL);
            row.described_at = Some(now.plus_ms(-age_days * DAY_MS));
            row
        };
        let mut clusters: Vec<EmrCluster> = (0..60)
            .map(|n| row(&format!("j-{n}"), "RUNNING", 0))
            .collect();
        clusters[7].session_enabled = Some(true);
        clusters.push(row("j-due", "WAITING", 8));
        let mut owed = row("j-owed", "RUNNING", 0);
        owed.settings = Settings::Deferred;
        clusters.push(owed);
        clusters.push(row("j-ended", "TERMINATED", 30));
        let known = KnownAccountRegion {
            listed_at: now.plus_ms(-DAY_MS),
            run_id: "20261123T020003Z-7f3a".parse().expect("run id"),
            clusters,
            steps: vec![],
        };
        let seen = cell(Source::Clusters, "ListClusters:40:2:99");
        let told = plan(&seen, Some(&known), &wanted());
        assert_eq!(
            told,
            "ListClusters 3, DescribeCluster 2, ListSteps 62, ListSessions 1"
        );
        let told = plan(&seen, None, &wanted());
        assert_eq!(told, "ListClusters 2");
    }

    #[test]
    fn what_is_not_asked_for_is_not_planned_and_throttles_are_not_repeated() {
        let keys = cell(Source::Keys, "AssumeRole:1:0:0, DescribeKey:9:4:1");
        assert_eq!(plan(&keys, None, &wanted()), "AssumeRole 1, DescribeKey 5");
        let launches = cell(Source::Launches, "LookupEvents:40:0:90");
        assert_eq!(plan(&launches, None, &wanted()), "LookupEvents 1");
        let quiet = Wanted {
            launches: false,
            ..wanted()
        };
        assert_eq!(plan(&launches, None, &quiet), "");
        let elsewhere = Wanted {
            regions: Regions::List(vec!["us-east-1".parse().expect("Region")]),
            ..wanted()
        };
        assert_eq!(plan(&keys, None, &elsewhere), "");
        let mut old = keys.clone();
        (old.operations, old.retries) = (None, 4);
        assert_eq!(plan(&old, None, &wanted()), "DescribeKey 5");
        old.calls = 0;
        assert_eq!(plan(&old, None, &wanted()), "");
    }

    #[test]
    fn the_busiest_bucket_decides_and_new_accounts_count_as_the_mean() {
        let ask = |source, operation, calls| Ask {
            source,
            region: "eu-west-1".parse().expect("Region"),
            operation,
            calls,
        };
        let mut planner = Planner::new(0.5);
        planner.own(Operation::ListAccounts, 3);
        planner.account(
            &account(1),
            &[
                ask(Source::ClusterSettings, Operation::DescribeCluster, 110),
                ask(Source::Keys, Operation::DescribeKey, 1_000),
                ask(Source::Keys, Operation::AssumeRole, 1),
            ],
        );
        planner.account(&account(2), &[]);
        let plan = planner.finish(3);
        assert_eq!(plan.operations[&Operation::DescribeCluster], 110 + 165);
        assert_eq!(plan.operations[&Operation::ListAccounts], 3);
        assert_eq!(plan.operations[&Operation::AssumeRole], 3);
        assert_eq!(plan.sources[&Source::Keys], 2_500);
        assert_eq!(plan.calls(), 275 + 2_500 + 3 + 3);
        let busiest = plan.busiest.expect("one");
        // 105 beyond half of the burst, at one each two seconds.
        assert_eq!(busiest.takes_ms, 210_000);
        assert_eq!(busiest.account, Some(account(1)));
        assert_eq!(busiest.calls, 110);
        let nothing = Planner::new(0.5).finish(9);
        assert_eq!((nothing.calls(), nothing.busiest), (0, None));
    }

    #[test]
    fn of_an_unknown_account_the_least_is_planned() {
        let regions = ["eu-west-1", "us-east-1"].map(|r| r.parse().expect("Region"));
        let asks = at_least(&BTreeSet::from(regions), &wanted());
        let calls = |operation| -> i64 {
            let of = asks.iter().filter(|ask| ask.operation == operation);
            of.map(|ask| ask.calls).sum()
        };
        assert_eq!(calls(Operation::ListClusters), 4);
        assert_eq!(calls(Operation::AssumeRole), 1);
        assert_eq!(calls(Operation::DescribeCluster), 0);
    }
}
