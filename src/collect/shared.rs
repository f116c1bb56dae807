//! What the units of one collect share: what was found before, what the first pass noted for the later
//! ones, and the way to the sink.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{self, CellEnd, Fault};
use crate::collect::engine::{CollectError, Collected, Context, Part, is_expected};
use crate::collect::facts::Facts;
use crate::collect::grants;
use crate::collect::history::log_history;
use crate::collect::identity_policy::named_by;
use crate::collect::lookups::Sessions;
use crate::collect::object_samples;
use crate::collect::options::Options;
use crate::collect::random::hash;
use crate::collect::references::{Owners, References};
use crate::collect::scope::Scope;
use crate::collect::{control_events, lookups};
use crate::model::datasets::{Account, Coverage};
use crate::model::ids::{AccountId, Region};
use crate::model::s3_location::S3Location;
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Seen, Settings, Source};
use crate::time::UtcMillis;

/// Reports about objects that are read at one time.
const HEAVY_AT_ONCE: usize = 2;

/// State of one collect that its units share.
pub(super) struct Run {
    pub context: Context,
    pub scope: Scope,
    pub part: Part,
    /// Cells that were found.
    pub finished: Finished,
    /// Names of buckets that accounts listed.
    pub owners: Mutex<Owners>,
    pub references: Mutex<References>,
    targets: OnceLock<lookups::Targets>,
    /// Regions that accounts are known to use.
    pub regions: Mutex<BTreeSet<Region>>,
    /// Principals that policies and grants of log keys name.
    named: Mutex<HashSet<u64>>,
    /// Accounts that were asked about some Region, answered or not.
    entered: Mutex<BTreeSet<AccountId>>,
    /// How cells of the first pass ended where there was no answer, one for each account.
    ends: Mutex<BTreeMap<AccountId, CellEnd>>,
    /// Accounts whose buckets could not be listed.
    unlisted: Mutex<BTreeMap<AccountId, Unlisted>>,
    /// Clusters whose log objects are to be sampled.
    pub samples: Mutex<Vec<object_samples::Task>>,
    /// Sessions of bucket owners under the sampler role.
    pub samplers: Sessions,
    /// Sessions of owners of reports about objects, where the run may read such.
    pub sources: Option<Sessions>,
    /// Folders that clusters name as log places, by bucket; kept where what lies there is counted.
    pub log_folders: Mutex<log_history::Folders>,
    /// Turns of what needs memory and disk for itself.
    heavy: Semaphore,
    /// What lives where that control events are about.
    pub places: Mutex<control_events::Places>,
    done: Mutex<Collected>,
}

/// Cells that need not be collected.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// Accounts whose first pass is done.
    pub accounts: HashSet<AccountId>,
    /// Account-regions of the first pass.
    pub regions: HashSet<(AccountId, Region)>,
    /// Cells of the later passes.
    pub lookups: HashSet<(AccountId, Region, Source)>,
}

/// Why the buckets of an account of the scope are not known.
#[derive(Debug, Clone)]
pub(super) struct Unlisted {
    pub outcome: CellOutcome,
    pub fault: Fault,
    /// The organization accepts this gap.
    pub is_accepted: bool,
}

impl Run {
    pub fn new(context: Context, scope: Scope, part: Part) -> Self {
        let seed = context.options.seed;
        Self {
            samplers: Sessions::new(&context.options.sampler_role_name),
            sources: context
                .options
                .source_reader_role_name
                .as_deref()
                .map(Sessions::new),
            log_folders: Mutex::default(),
            heavy: Semaphore::new(HEAVY_AT_ONCE),
            context,
            scope,
            part,
            finished: Finished::default(),
            owners: Mutex::new(Owners::new(seed)),
            references: Mutex::default(),
            targets: OnceLock::new(),
            regions: Mutex::default(),
            named: Mutex::default(),
            entered: Mutex::default(),
            ends: Mutex::default(),
            unlisted: Mutex::default(),
            samples: Mutex::default(),
            places: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// Positions of the accounts that this process looks into.
    pub fn first_pass(&self) -> Vec<u32> {
        let is_mine = |at: &u32| match &self.part {
            Part::Whole => true,
            Part::Accounts(mine) | Part::First(mine) => mine.contains(at),
            Part::Rest { missing } => missing.contains(at),
        };
        let expected = |at: &u32| {
            let account = self.scope.accounts.get(*at as usize);
            account
                .is_some_and(|a| is_expected(a) && !self.finished.accounts.contains(&a.account_id))
        };
        let all = 0..self.scope.accounts.len() as u32;
        all.filter(|at| is_mine(at) && expected(at)).collect()
    }

    /// Whether the first pass asks for buckets.
    pub fn lists_buckets(&self) -> bool {
        !matches!(self.part, Part::Accounts(_))
    }

    /// Takes up what was collected before this process, as if it had been collected here.
    pub fn take_up(&mut self, facts: &Facts) {
        let account = &facts.account;
        for cell in &facts.coverage {
            match cell.source {
                Source::BucketOwners => {
                    self.finished.accounts.insert(account.clone());
                }
                Source::Clusters => {
                    let place = (account.clone(), cell.region.clone());
                    self.finished.regions.insert(place);
                }
                Source::Keys
                | Source::Buckets
                | Source::Identities
                | Source::LogObjects
                | Source::LogHistory
                | Source::Reencryption
                | Source::ControlEvents => {
                    let place = (account.clone(), cell.region.clone(), cell.source);
                    self.finished.lookups.insert(place);
                }
                _ => {}
            }
        }
        if let Ok(position) = self
            .scope
            .accounts
            .binary_search_by(|a| a.account_id.cmp(account))
        {
            let mut owners = lock(&self.owners);
            for owned in &facts.bucket_owners {
                let region = owned.bucket_region.as_ref();
                owners.add(owned.name_hash as u64, position as u32, region);
            }
        }
        let policies = facts.keys.iter().filter_map(|k| k.policy_json.as_deref());
        for policy in policies.filter_map(|json| serde_json::from_str(json).ok()) {
            self.name(named_by(&policy));
        }
        for grant in &facts.grants {
            grants::note(self, [&grant.grantee, &grant.retiring_principal]);
        }
        self.note(facts);
    }

    /// Notes what later passes must know of collected facts.
    fn note(&self, facts: &Facts) {
        for cell in &facts.coverage {
            match cell.source {
                Source::BucketOwners => self.note_owners(cell),
                Source::SecurityConfigurations => {
                    lock(&self.entered).insert(cell.account_id.clone());
                }
                Source::Regions | Source::Clusters => {
                    if cell.source == Source::Clusters && cell.outcome != CellOutcome::RegionOff {
                        lock(&self.regions).insert(cell.region.clone());
                    }
                    if !cell.outcome.is_answer() {
                        let mut ends = lock(&self.ends);
                        ends.entry(cell.account_id.clone())
                            .or_insert_with(|| CellEnd::of(cell));
                    }
                }
                _ => {}
            }
        }
        lock(&self.places).note(facts);
        let mut cells = facts.coverage.iter();
        if cells.any(|cell| cell.source == Source::SecurityConfigurations) {
            self.note_references(facts);
        }
    }

    /// Notes what the clusters of an account-region that was looked at refer to.
    fn note_references(&self, facts: &Facts) {
        let mut references = References::default();
        for row in &facts.clusters {
            references.add(row);
        }
        references.add_channels(
            &facts.steps,
            &facts.sessions,
            &facts.log_groups,
            &facts.clusters,
            &facts.security_configurations,
        );
        references.add_launches(&facts.launches, |account| {
            self.scope.account(account).is_some_and(|a| a.in_scope)
        });
        lock(&self.references).merge(references);
        let options = self.options();
        let task = object_samples::choose(
            &facts.account,
            &facts.region,
            &facts.clusters,
            options.scheduled_for,
            options.sample_clusters,
        );
        lock(&self.samples).extend(task);
        if self.reads_history() {
            let read = facts
                .clusters
                .iter()
                .filter(|row| row.settings != Settings::Deferred && row.seen != Seen::NotSeen);
            let places = read.filter_map(|row| S3Location::parse(row.log_uri.as_deref()?));
            let mut folders = lock(&self.log_folders);
            for place in places {
                let folder = place.folder();
                folders.entry(place.bucket).or_default().insert(folder);
            }
        }
    }

    /// Notes principals that a policy or a grant of a log key names, as `identity_policy::principal_of`
    /// does, and accounts in which a log key means everyone, as `identity_policy::everyone_of` does. A
    /// hash of each is kept: should two be alike, a principal too many is read.
    pub fn name(&self, principals: impl IntoIterator<Item = String>) {
        let seed = self.options().seed;
        let hashes = principals.into_iter().map(|name| hash(seed, &name));
        lock(&self.named).extend(hashes);
    }

    /// Whether a principal was noted.
    pub fn is_named(&self, principal: &str) -> bool {
        lock(&self.named).contains(&hash(self.options().seed, principal))
    }

    /// What is to be looked up; asked for when the first pass is over.
    pub fn targets(&self) -> &lookups::Targets {
        self.targets.get_or_init(|| lookups::Targets::of(self))
    }

    /// Waits for a turn at what needs memory and disk for itself: memory must not grow with the accounts.
    pub async fn heavy_work(&self) -> Option<SemaphorePermit<'_>> {
        self.heavy.acquire().await.ok()
    }

    /// Whether it is counted what lies in log buckets, by reports or by listing.
    pub fn reads_history(&self) -> bool {
        self.sources.is_some() || self.options().listing.is_some()
    }

    /// Whether an account belongs to the organization or is accepted; `None` where nobody can say.
    pub fn owner_is_ours(&self, owner: &AccountId) -> Option<bool> {
        let options = self.options();
        let ours =
            self.scope.account(owner).is_some() || options.allowed_key_owners.contains(owner);
        (ours || options.has_account_list).then_some(ours)
    }

    /// How an account of the scope that could not be entered ended; `None` for one that was.
    pub fn dark(&self, account: &AccountId) -> Option<CellEnd> {
        if lock(&self.entered).contains(account) {
            return None;
        }
        lock(&self.ends).get(account).cloned()
    }

    pub fn collected(&self) -> Collected {
        let mut done = *lock(&self.done);
        done.cancelled = self.context.attempts.is_cancelled();
        done
    }

    pub fn options(&self) -> &Options {
        &self.context.options
    }

    /// The partition that the run's credentials are valid in.
    pub fn partition(&self) -> &str {
        self.scope.caller.arn.split(':').nth(1).unwrap_or("aws")
    }

    pub fn now(&self) -> UtcMillis {
        self.context.attempts.clock().now()
    }

    /// A budget for a cell that begins now.
    pub fn budget(&self) -> Budget {
        let now = self.now();
        let own = now.plus_ms(self.options().cell_deadline.as_millis() as i64);
        let run = self.options().deadline.unwrap_or(own);
        Budget::new(now, own.min(run))
    }

    /// A budget for what takes as long as its files are large: the rest of the run's time. One call that
    /// only fails has as long as a cell.
    pub fn long_budget(&self) -> Budget {
        let now = self.now();
        let cell = self.options().cell_deadline;
        let own = now.plus_ms(cell.as_millis() as i64);
        Budget::new(now, self.options().deadline.unwrap_or(own)).with_patience(cell)
    }

    /// Whether a cell may still begin.
    pub fn may_begin(&self) -> Result<(), CallError> {
        let over = self.options().deadline.is_some_and(|d| self.now() >= d);
        if over || self.context.attempts.is_cancelled() {
            return Err(CallError::RunEnded);
        }
        Ok(())
    }

    /// The row of a cell that ends now.
    pub fn cell(
        &self,
        account: &Account,
        region: &Region,
        source: Source,
        end: CellEnd,
        budget: &Budget,
    ) -> Coverage {
        let rules = &self.context.exceptions;
        coverage::row(rules, account, region, source, end, budget, self.now())
    }

    /// Notes how an account's list of buckets ended, where it did not end in an answer.
    fn note_owners(&self, cell: &Coverage) {
        if cell.outcome.is_answer() {
            return;
        }
        let unlisted = Unlisted {
            outcome: cell.outcome,
            fault: CellEnd::of(cell).fault,
            is_accepted: cell.accepted_by.is_some(),
        };
        lock(&self.unlisted).insert(cell.account_id.clone(), unlisted);
    }

    /// Why a bucket that no account lists may still be the organization's: the smallest account whose
    /// gap nobody accepts, else the smallest. `None` when all accounts of the scope were asked.
    pub fn unlisted(&self) -> Option<Unlisted> {
        let all = lock(&self.unlisted);
        let open = all.values().find(|u| !u.is_accepted);
        open.or_else(|| all.values().next()).cloned()
    }

    /// Hands over what was looked up, with the cell that ends so.
    pub fn append_with(
        &self,
        mut facts: Facts,
        source: Source,
        end: CellEnd,
        budget: &Budget,
    ) -> Result<(), CollectError> {
        if let Some(account) = self.scope.account(&facts.account) {
            let cell = self.cell(account, &facts.region, source, end, budget);
            facts.coverage.push(cell);
        }
        self.append(facts)
    }

    /// Hands facts over and counts them.
    pub fn append(&self, mut facts: Facts) -> Result<(), CollectError> {
        facts.coverage.sort_by(Dataset::key_order);
        facts.clusters.sort_by(Dataset::key_order);
        facts.steps.sort_by(Dataset::key_order);
        facts.sessions.sort_by(Dataset::key_order);
        facts.log_groups.sort_by(Dataset::key_order);
        facts.security_configurations.sort_by(Dataset::key_order);
        facts.keys.sort_by(Dataset::key_order);
        facts.grants.sort_by(Dataset::key_order);
        facts.principals.sort_by(Dataset::key_order);
        facts.buckets.sort_by(Dataset::key_order);
        facts.object_samples.sort_by(Dataset::key_order);
        facts.object_summaries.sort_by(Dataset::key_order);
        facts.reencryptions.sort_by(Dataset::key_order);
        facts.launches.sort_by(Dataset::key_order);
        facts.control_events.sort_by(Dataset::key_order);
        facts.trails.sort_by(Dataset::key_order);
        {
            let mut done = lock(&self.done);
            for cell in &facts.coverage {
                done.cells += 1;
                done.cells_open += u64::from(!cell.is_answered());
                done.calls += cell.calls.unsigned_abs();
                done.throttles += cell.throttles.unsigned_abs();
            }
            done.clusters += facts.clusters.len() as u64;
            done.security_configurations += facts.security_configurations.len() as u64;
            done.keys += facts.keys.len() as u64;
            done.buckets += facts.buckets.len() as u64;
        }
        self.note(&facts);
        let cells = facts.coverage.len() as u64;
        self.context.sink.append(facts)?;
        let progress = self.context.attempts.progress();
        progress.cells_done.fetch_add(cells, Ordering::Relaxed);
        Ok(())
    }
}
