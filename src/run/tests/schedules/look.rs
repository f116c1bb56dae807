//! One look at an organization: what a run collects and concludes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::plan::Schedule;
use super::wire::FaultyWire;
use crate::assess::{KeyTags, RuleConfig};
use crate::aws::AwsShell;
use crate::aws::tests::in_process;
use crate::collect::attempt::Attempts;
use crate::collect::facts::{FactSink, Facts, Known, KnownAccountRegion, KnownError, SinkError};
use crate::collect::random::seeded;
use crate::collect::scope::{EmrRegion, Scope, TagNames};
use crate::collect::{Collected, Context, Options, Regions, collect};
use crate::discover::{Mode, ScopeRequest, discover};
use crate::model::datasets::{Coverage, Finding, LaunchEvent, Verdict};
use crate::model::ids::{AccountId, Region};
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Source};
use crate::record::Journal;
use crate::run::judge::{Inputs, judge};
use crate::run::past::Past;
use crate::sandbox::wire::InProcess;
use crate::sandbox::world::scenario::Scenario;
use crate::sandbox::{self, EXTERNAL_ID, World};
use crate::testkit::{TempDir, VirtualClock};
use crate::time::{Clock, Date, UtcMillis};

/// Organizations that schedules are drawn for.
pub(super) const STAGES: usize = 35;

/// One of the organizations, and what runs without faults see of it.
pub(super) struct Stage {
    world: Arc<World>,
    shell: AwsShell,
    scopes: Mutex<BTreeMap<Date, Scope>>,
    calm: [OnceLock<Arc<Look>>; 8],
}

/// What earlier runs know, as the archive would tell it.
#[derive(Clone, Default)]
pub(super) struct Remembered(pub BTreeMap<(AccountId, Region), KnownAccountRegion>);

/// What a run saw.
pub(super) struct Look {
    pub began: UtcMillis,
    pub ended: UtcMillis,
    /// When the run was to be over.
    pub deadline: UtcMillis,
    pub collected: Collected,
    /// Everything, sorted by primary keys; account and Region mean nothing.
    pub facts: Facts,
    pub findings: Vec<Finding>,
    pub verdicts: Vec<Verdict>,
    pub is_judged: bool,
    /// Requests that left the collector.
    pub seen: u64,
    pub struck: u64,
}

/// The organization of this position.
pub(super) fn stage(position: usize) -> &'static Stage {
    static ALL: LazyLock<[OnceLock<Stage>; STAGES]> =
        LazyLock::new(|| std::array::from_fn(|_| OnceLock::new()));
    ALL[position].get_or_init(|| Stage::new(position))
}

impl Stage {
    fn new(position: usize) -> Self {
        // Each tells two stories, and together they tell all.
        let stories = Scenario::HEALTHY.iter().chain(&Scenario::TROUBLED).cycle();
        let world = World::generate(&sandbox::Options {
            accounts: [2, 3, 2, 2, 3, 2, 2, 6][position % 8],
            regions: 2,
            clusters: 1,
            days: 4,
            seed: position as u64,
            stories: Some(stories.skip(2 * position).take(2).copied().collect()),
            ..sandbox::Options::default()
        });
        let (key_id, secret) = sandbox::credentials(world.management_account());
        Self {
            world: Arc::new(world),
            shell: in_process::settings(&key_id, &secret),
            scopes: Mutex::default(),
            calm: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// What a run without faults sees of the organization as it stands at the audit of a day, when all
    /// days before went without faults, too.
    pub fn calm(&self, day: u32, plan: &Schedule) -> Arc<Look> {
        let options = usize::from(plan.looks_up_events) + 2 * usize::from(plan.lists_regions);
        let place = &self.calm[options + 4 * day as usize];
        let look = place.get_or_init(|| {
            let known = match day {
                0 => Remembered::default(),
                _ => Remembered::default().after(&self.calm(day - 1, plan)),
            };
            let at = UtcMillis(self.world().audit_ms(day));
            let plan = Schedule {
                seed: 0,
                ..plan.calm()
            };
            Arc::new(self.look(&plan, at, known))
        });
        Arc::clone(look)
    }

    /// Runs a plan at an instant.
    pub fn look(&self, plan: &Schedule, at: UtcMillis, known: Remembered) -> Look {
        let scope = self.scope(at, plan);
        let frozen_at = (!plan.is_moving).then_some(at.0);
        let mut look = VirtualClock::run(at, |clock| {
            let scope = scope.clone();
            async move {
                let wire = FaultyWire::new(
                    InProcess::new(Arc::clone(&self.world)),
                    &clock,
                    plan,
                    frozen_at,
                );
                let attempts = attempts(&clock, plan);
                let sink = Arc::new(Memory::default());
                let options = self.options(plan, at);
                let deadline = options.deadline.unwrap_or(at);
                let context = Context {
                    cloud: Arc::new(self.shell.over(Arc::new(wire.clone()), &clock)),
                    attempts: Arc::new(attempts),
                    sink: sink.clone(),
                    known: Arc::new(known),
                    options: Arc::new(options),
                    exceptions: [].into(),
                };
                let collected = collect(&context, &scope).await.expect("facts are kept");
                let parts = std::mem::take(&mut *lock(&sink.0));
                Look {
                    began: at,
                    ended: clock.now(),
                    deadline,
                    collected,
                    facts: joined(parts),
                    findings: Vec::new(),
                    verdicts: Vec::new(),
                    is_judged: false,
                    seen: wire.seen(),
                    struck: wire.struck(),
                }
            }
        });
        // After another day, of the runs of every fourth seed only.
        if !plan.is_moving && (!plan.dials.is_empty() || plan.seed.is_multiple_of(4)) {
            look.conclude(&scope);
        }
        look
    }

    fn options(&self, plan: &Schedule, at: UtcMillis) -> Options {
        let regions = self.world().regions.iter();
        let regions: Vec<EmrRegion> = regions
            .map(|name| EmrRegion {
                region: name.parse().expect("Region"),
                always_on: true,
            })
            .collect();
        let id = format!("{}-00000001", at.date().start().compact());
        let mut options = Options::new(id.parse().expect("run id"), at.date(), regions);
        if plan.lists_regions {
            let all = options.emr_regions.iter().map(|r| r.region.clone());
            options.regions = Regions::List(all.collect());
        }
        options.external_id = Some(EXTERNAL_ID.to_owned());
        options.tags = tags();
        options.seed = plan.seed;
        options.concurrency = plan.concurrency;
        options.cell_deadline = Duration::from_millis(plan.cell_deadline_ms.unsigned_abs());
        options.deadline = Some(at.plus_ms(plan.run_deadline_ms));
        if plan.looks_up_events {
            options.launch_days = 3;
            options.control_events = true;
        }
        options
    }

    fn scope(&self, at: UtcMillis, plan: &Schedule) -> Scope {
        let mut scopes = lock(&self.scopes);
        let scope = scopes.entry(at.date()).or_insert_with(|| {
            VirtualClock::run(at, |clock| async move {
                let plan = plan.calm();
                let wire =
                    FaultyWire::new(InProcess::new(Arc::clone(&self.world)), &clock, &plan, None);
                let cloud = self.shell.over(Arc::new(wire), &clock);
                let mode = Mode::Organization { expected_id: None };
                let mut request = ScopeRequest::new(mode, at.date());
                request.tags = tags();
                let attempts = attempts(&clock, &plan);
                let scope = discover(&cloud, &attempts, &request, at).await;
                scope.expect("an organization without faults")
            })
        });
        scope.clone()
    }
}

fn attempts(clock: &Arc<VirtualClock>, plan: &Schedule) -> Attempts {
    let never = watch::channel(false).1;
    let random = seeded(plan.seed);
    let clock: Arc<dyn Clock> = Arc::new(Arc::clone(clock));
    Attempts::new(clock, random, plan.concurrency, 1.0, never)
}

fn tags() -> TagNames {
    TagNames {
        owner: Some("owner".to_owned()),
        cost_center: Some("cost-center".to_owned()),
        business_unit: Some("business-unit".to_owned()),
        ..TagNames::default()
    }
}

impl Look {
    fn conclude(&mut self, scope: &Scope) {
        let folder = TempDir::new();
        let journal = Journal::create(&folder.path().join("facts")).expect("a journal");
        let mut facts = self.facts.clone();
        macro_rules! append {
            ($($rows:expr),+) => { $( journal.append($rows).expect("a row"); )+ };
        }
        append!(
            &mut scope.accounts.to_vec(),
            &mut facts.clusters,
            &mut facts.steps,
            &mut facts.sessions,
            &mut facts.log_groups,
            &mut facts.security_configurations,
            &mut facts.keys,
            &mut facts.grants,
            &mut facts.principals,
            &mut facts.buckets,
            &mut facts
                .launches
                .drain(..)
                .map(LaunchEvent)
                .collect::<Vec<_>>(),
            &mut facts.control_events,
            &mut facts.trails,
            &mut facts.coverage
        );
        let rules = RuleConfig {
            key_tags: KeyTags {
                owner: true,
                cost_center: true,
                data_classification: false,
            },
            ..RuleConfig::default()
        };
        let inputs = Inputs {
            scheduled_for: self.began.date(),
            as_of: self.began,
            has_account_list: true,
            rules: &rules,
            waivers: &[],
            clock: &crate::time::SystemClock,
        };
        judge(&journal, &journal, &inputs, &Past::default()).expect("facts that can be judged");
        let whole = "a row that was just written";
        self.findings = journal.rows().collect::<Result<_, _>>().expect(whole);
        self.is_judged = true;
        self.verdicts = journal.rows().collect::<Result<_, _>>().expect(whole);
    }

    pub fn cell(&self, account: &str, region: &str, source: Source) -> Option<&Coverage> {
        self.facts.coverage.iter().find(|c| {
            c.account_id.as_str() == account && c.region.as_str() == region && c.source == source
        })
    }
}

/// Keeps everything.
#[derive(Default)]
struct Memory(Mutex<Vec<Facts>>);

impl FactSink for Memory {
    fn append(&self, facts: Facts) -> Result<(), SinkError> {
        lock(&self.0).push(facts);
        Ok(())
    }
}

fn joined(parts: Vec<Facts>) -> Facts {
    let nobody = "000000000000".parse().expect("12 digits");
    let mut all = Facts::new(nobody, Region::global());
    for part in parts {
        all.coverage.extend(part.coverage);
        all.clusters.extend(part.clusters);
        all.steps.extend(part.steps);
        all.sessions.extend(part.sessions);
        all.log_groups.extend(part.log_groups);
        all.security_configurations
            .extend(part.security_configurations);
        all.keys.extend(part.keys);
        all.grants.extend(part.grants);
        all.principals.extend(part.principals);
        all.buckets.extend(part.buckets);
        all.reencryptions.extend(part.reencryptions);
        all.launches.extend(part.launches);
        all.control_events.extend(part.control_events);
        all.trails.extend(part.trails);
    }
    all.coverage.sort_by(Dataset::key_order);
    all.clusters.sort_by(Dataset::key_order);
    all.steps.sort_by(Dataset::key_order);
    all.sessions.sort_by(Dataset::key_order);
    all.log_groups.sort_by(Dataset::key_order);
    all.security_configurations.sort_by(Dataset::key_order);
    all.keys.sort_by(Dataset::key_order);
    all.grants.sort_by(Dataset::key_order);
    all.principals.sort_by(Dataset::key_order);
    all.buckets.sort_by(Dataset::key_order);
    all.reencryptions.sort_by(Dataset::key_order);
    all.launches.sort_by(Dataset::key_order);
    all.control_events.sort_by(Dataset::key_order);
    all.trails.sort_by(Dataset::key_order);
    all
}

impl Remembered {
    /// What is known after another run: a cell that it collected is its own watermark.
    pub fn after(mut self, look: &Look) -> Self {
        let facts = &look.facts;
        for cell in &facts.coverage {
            let is_told = matches!(cell.outcome, CellOutcome::Collected | CellOutcome::Empty);
            if cell.source != Source::Clusters || !is_told {
                continue;
            }
            let here = |account: &AccountId, region: &Region| {
                (account, region) == (&cell.account_id, &cell.region)
            };
            let clusters = facts.clusters.iter();
            let steps = facts.steps.iter();
            let known = KnownAccountRegion {
                listed_at: cell.started_at,
                run_id: format!("{}-00000001", look.began.date().start().compact())
                    .parse()
                    .expect("run id"),
                clusters: clusters
                    .filter(|c| here(&c.account_id, &c.region))
                    .cloned()
                    .collect(),
                steps: steps
                    .filter(|s| here(&s.account_id, &s.region))
                    .cloned()
                    .collect(),
            };
            let place = (cell.account_id.clone(), cell.region.clone());
            self.0.insert(place, known);
        }
        self
    }
}

impl Known for Remembered {
    fn account_region(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError> {
        Ok(self.0.get(&(account.clone(), region.clone())).cloned())
    }

    fn regions_of(&self, account: &AccountId) -> Vec<Region> {
        let keys = self.0.keys().filter(|(a, _)| a == account);
        keys.map(|(_, region)| region.clone()).collect()
    }

    fn observed_to(&self, _: &AccountId, _: &Region, _: Source) -> Option<UtcMillis> {
        None
    }

    fn launches(
        &self,
        _: &AccountId,
        _: &Region,
    ) -> Result<std::collections::BTreeSet<String>, KnownError> {
        Ok(std::collections::BTreeSet::new())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
