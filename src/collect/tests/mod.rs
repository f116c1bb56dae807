//! Whole runs against the scripted AWS, in virtual time.

mod attempts;
mod backfill;
mod bad_input;
mod buckets;
mod channels;
mod clusters;
mod coverage;
mod history;
mod identities;
mod launches;
mod lookups;
mod object_samples;
mod security_configurations;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::collect::api::{CallerIdentity, DescribedCluster};
use crate::collect::attempt::{Attempts, lock};
use crate::collect::engine::{Collected, Context, collect};
use crate::collect::exceptions::ExceptionRule;
use crate::collect::facts::{
    FactSink, Facts, Known, KnownAccountRegion, KnownError, SinkError, Turn,
};
use crate::collect::fake::{FakeAccount, FakeCloud, START, TestClock, account, id, region};
use crate::collect::options::Options;
use crate::collect::random::seeded;
use crate::collect::scope::{EmrRegion, Scope};
use crate::model::datasets::{Account, Coverage, EmrCluster, EmrStep, KmsKey};
use crate::model::ids::{AccountId, Region};
use crate::model::table::{Cell, Dataset};
use crate::model::words::{CellOutcome, Source};
use crate::time::{Clock, UtcMillis};

pub(super) const A: &str = "111122223333";
pub(super) const B: &str = "222233334444";
pub(super) const IRELAND: &str = "eu-west-1";
pub(super) const OHIO: &str = "us-east-2";

/// Keeps everything.
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Facts>>);

impl FactSink for Memory {
    fn append(&self, facts: Facts) -> Result<(), SinkError> {
        lock(&self.0).push(facts);
        Ok(())
    }
}

/// What earlier runs knew: account-regions, how far they looked at launches, with their ids, and whose
/// turn comes when.
/// What earlier runs knew: account-regions, how far they looked at launches, with their ids, and how
/// long accounts took.
#[derive(Default)]
pub(super) struct Earlier(
    BTreeMap<(AccountId, Region), KnownAccountRegion>,
    pub(super) Option<(UtcMillis, BTreeSet<String>)>,
    pub(super) BTreeMap<AccountId, Turn>,
    /// Home Regions of every account's trails.
    pub(super) Vec<Region>,
);

impl Known for Earlier {
    fn account_region(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError> {
        Ok(self.0.get(&(account.clone(), region.clone())).cloned())
    }

    fn regions_of(&self, account: &AccountId) -> Vec<Region> {
        let keys = self.0.keys();
        keys.filter(|(a, _)| a == account)
            .map(|(_, r)| r.clone())
            .collect()
    }

    fn trail_homes(&self, _: &AccountId) -> Vec<Region> {
        self.3.clone()
    }

    fn turn(&self, account: &AccountId) -> Turn {
        self.2.get(account).copied().unwrap_or_default()
    }

    fn observed_to(&self, _: &AccountId, _: &Region, _: Source) -> Option<UtcMillis> {
        self.1.as_ref().map(|(to, _)| *to)
    }

    fn launches(&self, _: &AccountId, _: &Region) -> Result<BTreeSet<String>, KnownError> {
        Ok(self.1.clone().map(|(_, ids)| ids).unwrap_or_default())
    }
}

pub(super) struct World {
    pub cloud: FakeCloud,
    pub options: Options,
    pub accounts: Vec<Account>,
    pub exceptions: Vec<ExceptionRule>,
    pub known: Earlier,
    pub cancel: watch::Sender<bool>,
    pub share: f64,
}

/// The end of a run.
pub(super) struct Seen {
    pub collected: Collected,
    pub facts: Vec<Facts>,
    pub coverage: Vec<Coverage>,
}

impl World {
    /// Accounts A and B, both with Ireland on and Ohio off.
    pub(super) fn new() -> Self {
        let cloud = FakeCloud::new(TestClock::new());
        let emr = |name, always_on| EmrRegion {
            region: region(name),
            always_on,
        };
        let emr_regions = vec![emr(IRELAND, true), emr(OHIO, false)];
        let run_id = "20261124T020003Z-00000001".parse().expect("run id");
        let mut world = Self {
            cloud,
            options: Options::new(run_id, UtcMillis(START).date(), emr_regions),
            accounts: vec![],
            exceptions: vec![],
            known: Earlier::default(),
            cancel: watch::channel(false).0,
            share: 1.0,
        };
        world.options.tags.owner = Some("owner".to_owned());
        world.add(A);
        world.add(B);
        world
    }

    pub(super) fn add(&mut self, name: &str) {
        self.accounts.push(account(name));
        let regions = vec![
            (IRELAND.to_owned(), "ENABLED_BY_DEFAULT".to_owned()),
            (OHIO.to_owned(), "DISABLED".to_owned()),
        ];
        let fake = FakeAccount {
            regions,
            ..FakeAccount::default()
        };
        self.cloud
            .with(|s| s.accounts.insert(name.to_owned(), fake));
    }

    pub(super) fn edit(&self, name: &str, act: impl FnOnce(&mut FakeAccount)) {
        self.cloud
            .with(|s| act(s.accounts.entry(name.to_owned()).or_default()));
    }

    pub(super) fn cluster(&self, name: &str, cluster: DescribedCluster) {
        self.edit(name, |a| {
            a.clusters
                .entry(IRELAND.to_owned())
                .or_default()
                .push(cluster);
        });
    }

    /// Account A's Ireland as it was a day ago.
    pub(super) fn knew(&mut self, clusters: Vec<EmrCluster>) {
        self.knew_with(clusters, vec![]);
    }

    /// The same, with steps of their own places.
    pub(super) fn knew_with(&mut self, clusters: Vec<EmrCluster>, steps: Vec<EmrStep>) {
        let known = KnownAccountRegion {
            listed_at: UtcMillis(START - 86_400_000),
            run_id: "20261123T020003Z-7f3a".parse().expect("run id"),
            clusters,
            steps,
        };
        self.known.0.insert((id(A), region(IRELAND)), known);
    }

    pub(super) async fn run(self) -> Seen {
        let sink = Arc::new(Memory::default());
        let collected = self.into_run(sink.clone()).await;
        let facts = std::mem::take(&mut *lock(&sink.0));
        let mut coverage: Vec<_> = facts.iter().flat_map(|f| f.coverage.clone()).collect();
        coverage.sort_by(Dataset::key_order);
        for pair in coverage.windows(2) {
            assert!(pair[0].key_order(&pair[1]).is_lt(), "two ends: {pair:?}");
        }
        assert_eq!(collected.cells as usize, coverage.len());
        Seen {
            collected,
            facts,
            coverage,
        }
    }

    /// What a backfill needs; it keeps no facts of a run.
    pub(super) fn context(&self) -> Context {
        let clock: Arc<dyn Clock> = self.cloud.clock.clone();
        let cancelled = self.cancel.subscribe();
        let attempts = Attempts::new(clock, seeded(1), 8, self.share, cancelled);
        Context {
            cloud: Arc::new(self.cloud.clone()),
            attempts: Arc::new(attempts),
            sink: Arc::new(Memory::default()),
            known: Arc::new(Earlier::default()),
            options: Arc::new(self.options.clone()),
            exceptions: Vec::new().into(),
        }
    }

    async fn into_run(mut self, sink: Arc<Memory>) -> Collected {
        self.accounts.sort_by(Dataset::key_order);
        let clock: Arc<dyn Clock> = self.cloud.clock.clone();
        let attempts = Attempts::new(
            clock,
            seeded(1),
            self.options.concurrency,
            self.share,
            self.cancel.subscribe(),
        );
        let context = Context {
            cloud: Arc::new(self.cloud.clone()),
            attempts: Arc::new(attempts),
            sink,
            known: Arc::new(self.known),
            options: Arc::new(self.options),
            exceptions: self.exceptions.into(),
        };
        let scope = Scope {
            organization_id: Some("o-example".to_owned()),
            caller: CallerIdentity {
                account_id: id("999988887777"),
                arn: "arn:aws:iam::999988887777:role/collector".to_owned(),
            },
            management_account: None,
            accounts: Arc::new(self.accounts),
        };
        collect(&context, &scope).await.expect("collect")
    }
}

impl Seen {
    pub(super) fn cell(&self, account: &str, region: &str, source: Source) -> &Coverage {
        self.find(account, region, source)
            .unwrap_or_else(|| panic!("no cell {account} {region} {source}"))
    }

    pub(super) fn find(&self, account: &str, region: &str, source: Source) -> Option<&Coverage> {
        self.coverage.iter().find(|c| {
            c.account_id.as_str() == account && c.region.as_str() == region && c.source == source
        })
    }

    pub(super) fn outcome(&self, account: &str, region: &str, source: Source) -> CellOutcome {
        self.cell(account, region, source).outcome
    }

    pub(super) fn clusters(&self) -> Vec<&EmrCluster> {
        let mut rows: Vec<_> = self.facts.iter().flat_map(|f| &f.clusters).collect();
        rows.sort_by(|a, b| a.key_order(b));
        rows
    }

    pub(super) fn row(&self, cluster: &str) -> &EmrCluster {
        let found: Vec<_> = self
            .clusters()
            .into_iter()
            .filter(|c| c.cluster_id == cluster)
            .collect();
        assert_eq!(found.len(), 1, "rows of {cluster}");
        found[0]
    }

    pub(super) fn keys(&self) -> Vec<&KmsKey> {
        let mut rows: Vec<_> = self.facts.iter().flat_map(|f| &f.keys).collect();
        rows.sort_by(|a, b| a.key_order(b));
        rows
    }

    /// Everything that two looks at the same world must agree on.
    pub(super) fn stable(&self) -> Vec<String> {
        fn text<D: Dataset>(rows: &[D]) -> impl Iterator<Item = String> {
            rows.iter().map(|row| {
                let cells: Vec<Cell<'_>> = D::COLUMNS
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| !c.volatile)
                    .map(|(i, _)| row.cell(i))
                    .collect();
                format!("{} {cells:?}", D::NAME)
            })
        }
        let mut all: Vec<String> = self
            .facts
            .iter()
            .flat_map(|f| {
                text(&f.coverage)
                    .chain(text(&f.clusters))
                    .chain(text(&f.steps))
                    .chain(text(&f.sessions))
                    .chain(text(&f.log_groups))
                    .chain(text(&f.security_configurations))
                    .chain(text(&f.keys))
                    .chain(text(&f.grants))
                    .chain(text(&f.principals))
                    .chain(text(&f.buckets))
                    .chain(text(&f.launches))
                    .chain(text(&f.control_events))
                    .chain(text(&f.trails))
                    .collect::<Vec<_>>()
            })
            .collect();
        all.sort();
        all
    }
}
