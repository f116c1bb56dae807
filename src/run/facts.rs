//! The journal as collecting and assessing see it: a sink for facts, and look-ups over them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::assess::{Answers, LookupError, Lookups};
use crate::collect::facts::{
    AlreadyCollected, BucketOwner, FactSink, Facts, KnownError, SinkError,
};
use crate::collect::random::stable_hash;
use crate::collect::scope::Scope;
use crate::model::datasets::{
    ControlEvent, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsGrant,
    KmsKey, LaunchEvent, LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal,
    Reencryption, Trail,
};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Source};
use crate::record::{Journal, JournalError};
use crate::time::Clock;

use super::RunError;
use super::known::Watermarks;

/// Where the rows of a run go.
#[derive(Clone)]
pub struct Journals {
    /// All that is known of the run: it is judged from here.
    pub all: Arc<Journal>,
    /// What this process is to record, where other processes record the rest.
    own: Option<Arc<Journal>>,
}

impl Journals {
    /// One process does everything.
    pub fn one(journal: Arc<Journal>) -> Self {
        Self {
            all: journal,
            own: None,
        }
    }

    /// `own` is to be recorded, and `all` already holds what others recorded.
    pub fn two(all: Arc<Journal>, own: Arc<Journal>) -> Self {
        Self {
            all,
            own: Some(own),
        }
    }

    /// What this process is to record.
    pub fn own(&self) -> &Journal {
        self.own.as_ref().unwrap_or(&self.all)
    }

    /// Appends rows and empties `rows`.
    pub fn append<D: Dataset>(&self, rows: &mut Vec<D>) -> Result<(), JournalError> {
        if let Some(own) = &self.own {
            own.append(&mut rows.clone())?;
        }
        self.all.append(rows)
    }
}

/// Receives facts into the journal; a clusters cell without an answer gets its watermark's name.
pub struct JournalSink {
    pub journals: Journals,
    pub known: Arc<Watermarks>,
}

impl FactSink for JournalSink {
    fn append(&self, mut facts: Facts) -> Result<(), SinkError> {
        for cell in &mut facts.coverage {
            let open = !matches!(cell.outcome, CellOutcome::Collected | CellOutcome::Empty);
            if open
                && cell.source == Source::Clusters
                && let Some(mark) = self.known.mark(&cell.account_id, &cell.region)
            {
                cell.watermark_run = Some(mark.run_id.clone());
                cell.watermark_at = Some(mark.listed_at);
            }
        }
        let mut put = || {
            let journals = &self.journals;
            journals.append(&mut facts.clusters)?;
            journals.append(&mut facts.steps)?;
            journals.append(&mut facts.sessions)?;
            journals.append(&mut facts.log_groups)?;
            journals.append(&mut facts.security_configurations)?;
            journals.append(&mut facts.keys)?;
            journals.append(&mut facts.grants)?;
            journals.append(&mut facts.principals)?;
            journals.append(&mut facts.buckets)?;
            journals.append(&mut facts.object_samples)?;
            journals.append(&mut facts.object_summaries)?;
            journals.append(&mut facts.reencryptions)?;
            let launches = std::mem::take(&mut facts.launches);
            journals.append(&mut launches.into_iter().map(LaunchEvent).collect())?;
            journals.append(&mut facts.control_events)?;
            journals.append(&mut facts.trails)?;
            journals.all.append(&mut facts.bucket_owners)?;
            // Coverage last: a cell counts only when its facts are written.
            journals.append(&mut facts.coverage)
        };
        put().map_err(|e| SinkError(Box::new(e)))
    }
}

/// The facts of a journal that another process began, or that others wrote.
pub struct JournalCollected<'a>(pub &'a Journal);

impl AlreadyCollected for JournalCollected<'_> {
    fn each(&self, take: &mut dyn FnMut(&Facts)) -> Result<(), KnownError> {
        let Self(journal) = self;
        for (account, region) in places(journal).map_err(|e| KnownError(Box::new(e)))? {
            // What belongs to no account of anybody's has no cell either.
            let (Ok(of), Ok(at)) = (account.parse(), region.parse()) else {
                continue;
            };
            let mut facts = Facts::new(of, at);
            let mut read = || -> Result<(), JournalError> {
                facts.coverage = journal.read_group(&account, &region)?;
                facts.clusters = journal.read_group(&account, &region)?;
                facts.steps = journal.read_group(&account, &region)?;
                facts.sessions = journal.read_group(&account, &region)?;
                facts.log_groups = journal.read_group(&account, &region)?;
                facts.security_configurations = journal.read_group(&account, &region)?;
                facts.keys = journal.read_group(&account, &region)?;
                facts.grants = journal.read_group(&account, &region)?;
                facts.buckets = journal.read_group(&account, &region)?;
                let launches = journal.read_group::<LaunchEvent>(&account, &region)?;
                facts.launches = launches.into_iter().map(|event| event.0).collect();
                facts.trails = journal.read_group(&account, &region)?;
                facts.bucket_owners = journal.read_group(&account, &region)?;
                Ok(())
            };
            read().map_err(|e| KnownError(Box::new(e)))?;
            take(&facts);
        }
        Ok(())
    }
}

/// Account and Region.
type Place = (Arc<str>, Arc<str>);

/// Account-regions of which the journal has facts.
fn places(journal: &Journal) -> Result<BTreeSet<Place>, JournalError> {
    let cells = journal.groups::<Coverage>();
    let looked_up = journal
        .groups::<KmsKey>()
        .chain(journal.groups::<KmsGrant>());
    let all = cells.chain(looked_up).chain(journal.groups::<LogBucket>());
    all.chain(journal.groups::<Trail>()).collect()
}

/// Copies the facts of cells that ended, with their cells. What a process that died had written of a
/// cell without ending it is left behind: the cell is collected again.
pub fn copy_ended(from: &Journal, to: &Journal, scope: &Scope) -> Result<(), RunError> {
    let ended = |account: &str, region: &str| -> Result<BTreeSet<Source>, RunError> {
        let cells: Vec<Coverage> = from.read_group(account, region)?;
        Ok(cells.into_iter().map(|cell| cell.source).collect())
    };
    // Keys and buckets outside the scope are in the cell of whoever named them; what was read of them
    // is a fact, and read again it is the same row.
    let is_ours = |account: &str| {
        let account: Result<AccountId, _> = account.parse();
        account.is_ok_and(|a| scope.account(&a).is_some_and(|a| a.in_scope))
    };
    macro_rules! copy {
        ($row:ty, $source:expr, $global:expr) => {
            for group in from.groups::<$row>() {
                let (account, region) = group?;
                let global = Region::global();
                let cell = if $global { global.as_str() } else { &region };
                if !is_ours(&account) || ended(&account, cell)?.contains(&$source) {
                    to.append(&mut from.read_group::<$row>(&account, &region)?)?;
                }
            }
        };
    }
    copy!(EmrCluster, Source::Clusters, false);
    copy!(EmrStep, Source::Clusters, false);
    copy!(EmrSession, Source::Clusters, false);
    copy!(LogGroup, Source::Clusters, false);
    copy!(EmrSecurityConfiguration, Source::Clusters, false);
    copy!(KmsKey, Source::Keys, false);
    copy!(KmsGrant, Source::Keys, false);
    copy!(Principal, Source::Identities, true);
    copy!(LogBucket, Source::Buckets, true);
    copy!(LogObjectSample, Source::LogObjects, false);
    copy!(LogObjectSummary, Source::LogHistory, true);
    copy!(Reencryption, Source::Reencryption, false);
    copy!(LaunchEvent, Source::Launches, false);
    copy!(ControlEvent, Source::ControlEvents, false);
    copy!(Trail, Source::Trails, true);
    copy!(BucketOwner, Source::BucketOwners, true);
    for group in from.groups::<Coverage>() {
        let (account, region) = group?;
        to.append(&mut from.read_group::<Coverage>(&account, &region)?)?;
    }
    Ok(())
}

/// Account-regions whose keys are kept parsed at one time.
const CACHED_GROUPS: usize = 32;

/// How many buckets are kept at one time.
const CACHED_BUCKETS: usize = 1_024;

/// Looked-up facts by reference, read by account-region and kept in small caches: memory must grow with
/// the accounts as little as it can, and not with what is in them.
pub struct JournalLookups<'a> {
    journal: &'a Journal,
    clock: &'a dyn Clock,
    bucket_places: BucketPlaces,
    buckets: Mutex<HashMap<String, Arc<LogBucket>>>,
    keys: Mutex<Cache<KmsKey>>,
    grants: Held<KmsGrant>,
    steps: Held<EmrStep>,
    sessions: Held<EmrSession>,
    log_groups: Held<LogGroup>,
    configurations: Mutex<Cache<EmrSecurityConfiguration>>,
    answers: Answers,
    cells: Mutex<Cache<Coverage>>,
    samples: Held<LogObjectSample>,
    /// By bucket and prefix: a few rows for each place that logs go to.
    summaries: BTreeMap<(String, String), Vec<Arc<LogObjectSummary>>>,
}

/// In which account-region each bucket's row is: 16 bytes a bucket.
#[derive(Default)]
struct BucketPlaces {
    /// Hash of the name, positions of account and Region; in order.
    buckets: Vec<(u64, u32, u16)>,
    accounts: Vec<Arc<str>>,
    regions: Vec<Arc<str>>,
}

impl BucketPlaces {
    fn read(journal: &Journal) -> Result<Self, JournalError> {
        let mut places = Self::default();
        for group in journal.groups::<LogBucket>() {
            let (account, region) = group?;
            if places.accounts.last() != Some(&account) {
                places.accounts.push(Arc::clone(&account));
            }
            let known = places.regions.iter().position(|known| *known == region);
            let at = known.unwrap_or(places.regions.len());
            if known.is_none() {
                places.regions.push(Arc::clone(&region));
            }
            let place = (places.accounts.len() as u32 - 1, at as u16);
            for row in journal.read_group::<LogBucket>(&account, &region)? {
                let hash = stable_hash(&row.bucket);
                places.buckets.push((hash, place.0, place.1));
            }
        }
        places.buckets.sort_unstable();
        places.buckets.dedup();
        places.buckets.shrink_to_fit();
        Ok(places)
    }

    /// Where the row of a bucket may be: in one place, unless two names have one hash.
    fn of(&self, bucket: &str) -> impl Iterator<Item = (&str, &str)> {
        let hash = stable_hash(bucket);
        let first = self.buckets.partition_point(|(known, ..)| *known < hash);
        let all = self.buckets[first..].iter();
        all.take_while(move |(known, ..)| *known == hash)
            .filter_map(|(_, account, region)| {
                let account = self.accounts.get(*account as usize)?;
                Some((&**account, &**self.regions.get(usize::from(*region))?))
            })
    }
}

/// The rows of some account-regions, the newest last.
struct Cache<D>(VecDeque<Group<Arc<D>>>);

impl<D: Dataset> Cache<D> {
    fn new() -> Mutex<Self> {
        Mutex::new(Self(VecDeque::new()))
    }

    /// The rows of an account-region, where they are held.
    fn group(&self, (account, region): (&str, &str)) -> Option<&[Arc<D>]> {
        let mut groups = self.0.iter().rev();
        let group = groups.find(|group| group.is(account, region))?;
        Some(&group.rows)
    }

    fn read(
        &mut self,
        journal: &Journal,
        (account, region): (&str, &str),
    ) -> Result<(), LookupError> {
        let rows = Group::read(journal, account, region)?;
        if rows.rows.is_empty() {
            return Ok(());
        }
        if self.0.len() >= CACHED_GROUPS {
            self.0.pop_front();
        }
        self.0.push_back(rows.map(Arc::new));
        Ok(())
    }
}

impl<'a> JournalLookups<'a> {
    /// Indexes the looked-up facts of `journal`; `clock` tells how long something takes, and nothing
    /// else.
    pub fn new(
        journal: &'a Journal,
        clock: &'a dyn Clock,
    ) -> Result<Self, crate::record::RecordError> {
        let mut summaries: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in journal.rows::<LogObjectSummary>() {
            let row = row?;
            let place = (row.bucket.clone(), row.prefix.clone());
            summaries.entry(place).or_default().push(Arc::new(row));
        }
        Ok(Self {
            journal,
            clock,
            bucket_places: BucketPlaces::read(journal)?,
            buckets: Mutex::default(),
            keys: Cache::new(),
            grants: Held::new(),
            steps: Held::new(),
            sessions: Held::new(),
            log_groups: Held::new(),
            configurations: Cache::new(),
            answers: Answers::default(),
            cells: Cache::new(),
            samples: Held::new(),
            summaries,
        })
    }
}

impl JournalLookups<'_> {
    /// Whether some row is about this key, whatever reference led to it.
    pub fn holds_key(&self, key: &KeyArn) -> Result<bool, LookupError> {
        let arn = key.to_string();
        let group = (key.account_id.as_str(), key.region.as_str());
        let is_it = |k: &&Arc<KmsKey>| k.key_arn.as_ref() == Some(&arn) || k.key_reference == arn;
        let find = |rows: &[Arc<KmsKey>]| rows.iter().find(is_it).cloned();
        Ok(self.shared(&self.keys, group, find)?.is_some())
    }

    /// A row that many clusters share. Reading it counts as working it out.
    fn shared<D: Dataset>(
        &self,
        cache: &Mutex<Cache<D>>,
        group: (&str, &str),
        find: impl Fn(&[Arc<D>]) -> Option<Arc<D>>,
    ) -> Result<Option<Arc<D>>, LookupError> {
        let mut cache = lock(cache);
        if let Some(rows) = cache.group(group) {
            return Ok(find(rows));
        }
        self.answers
            .timed(self, || cache.read(self.journal, group))?;
        Ok(cache.group(group).and_then(find))
    }
}

/// The rows of an account-region.
struct Group<D> {
    account: String,
    region: String,
    rows: Vec<D>,
}

impl<D> Group<D> {
    fn is(&self, account: &str, region: &str) -> bool {
        self.account == account && self.region == region
    }

    fn map<E>(self, each: impl FnMut(D) -> E) -> Group<E> {
        Group {
            account: self.account,
            region: self.region,
            rows: self.rows.into_iter().map(each).collect(),
        }
    }
}

impl<D: Dataset> Group<D> {
    fn read(journal: &Journal, account: &str, region: &str) -> Result<Self, LookupError> {
        let rows = journal.read_group(account, region);
        Ok(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            rows: rows.map_err(|e| LookupError(e.to_string()))?,
        })
    }
}

/// The rows of the account-region that was asked about last.
struct Held<D> {
    now: Mutex<Option<Group<D>>>,
    /// Which of them were asked for last. Clusters are judged in the order of their rows, so what is
    /// asked for next is there or right behind.
    last: Mutex<Range<usize>>,
}

impl<D: Dataset> Held<D> {
    fn new() -> Self {
        Self {
            now: Mutex::new(None),
            last: Mutex::default(),
        }
    }

    /// The rows of the account-region whose `name` is `wanted`. Rows are in the order of their primary
    /// keys, and `name` is the column that follows account and Region there.
    fn rows(
        &self,
        journal: &Journal,
        (account, region): (&AccountId, &Region),
        wanted: &str,
        name: impl Fn(&D) -> &str,
    ) -> Result<Vec<D>, LookupError> {
        let (account, region) = (account.as_str(), region.as_str());
        let mut now = lock(&self.now);
        let mut last = lock(&self.last);
        if now.as_ref().is_none_or(|held| !held.is(account, region)) {
            *now = Some(Group::read(journal, account, region)?);
            *last = 0..0;
        }
        let rows = now.as_ref().map_or(&[][..], |held| &held.rows);
        let is_first = |at: &usize| {
            rows.get(*at).is_none_or(|row| name(row) >= wanted)
                && (*at == 0 || name(&rows[at - 1]) < wanted)
        };
        let first = [last.start, last.end].into_iter().find(is_first);
        let first = first.unwrap_or_else(|| rows.partition_point(|row| name(row) < wanted));
        let same = rows[first..].iter().take_while(|row| name(row) == wanted);
        let same: Vec<D> = same.cloned().collect();
        *last = first..first + same.len();
        Ok(same)
    }
}

/// The row whose `name` is `wanted`, of rows in the order of their names.
fn named<D>(rows: &[Arc<D>], wanted: &str, name: impl Fn(&D) -> &str) -> Option<Arc<D>> {
    let found = rows.binary_search_by(|row| name(row).cmp(wanted)).ok()?;
    rows.get(found).cloned()
}

fn place_of(cluster: &EmrCluster) -> (&AccountId, &Region) {
    (&cluster.account_id, &cluster.region)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Lookups for JournalLookups<'_> {
    fn key(&self, reference: &str) -> Result<Option<Arc<KmsKey>>, LookupError> {
        let Some(arn) = KeyArn::parse(reference) else {
            return Ok(None);
        };
        let (account, region) = (arn.account_id.as_str(), arn.region.as_str());
        self.shared(&self.keys, (account, region), |rows| {
            named(rows, reference, |key| &key.key_reference)
        })
    }

    fn bucket(&self, name: &str) -> Result<Option<Arc<LogBucket>>, LookupError> {
        let mut buckets = lock(&self.buckets);
        if let Some(known) = buckets.get(name) {
            return Ok(Some(known.clone()));
        }
        for (account, region) in self.bucket_places.of(name) {
            let rows = Group::<LogBucket>::read(self.journal, account, region)?.rows;
            let Some(row) = rows.into_iter().find(|row| row.bucket == name) else {
                continue;
            };
            if buckets.len() >= CACHED_BUCKETS {
                buckets.clear();
            }
            let row = Arc::new(row);
            buckets.insert(name.to_owned(), Arc::clone(&row));
            return Ok(Some(row));
        }
        Ok(None)
    }

    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<EmrSecurityConfiguration>>, LookupError> {
        self.shared(
            &self.configurations,
            (account.as_str(), region.as_str()),
            |rows| named(rows, name, |configuration| &configuration.name),
        )
    }

    fn steps(&self, cluster: &EmrCluster) -> Result<Vec<EmrStep>, LookupError> {
        let id = &cluster.cluster_id;
        self.steps
            .rows(self.journal, place_of(cluster), id, |step| &step.cluster_id)
    }

    fn sessions(&self, cluster: &EmrCluster) -> Result<Vec<EmrSession>, LookupError> {
        let id = &cluster.cluster_id;
        self.sessions
            .rows(self.journal, place_of(cluster), id, |session| {
                &session.cluster_id
            })
    }

    fn log_group(&self, cluster: &EmrCluster, name: &str) -> Result<Option<LogGroup>, LookupError> {
        let found = self
            .log_groups
            .rows(self.journal, place_of(cluster), name, |group| {
                &group.log_group
            })?;
        Ok(found.into_iter().next())
    }

    fn grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, LookupError> {
        let place = (&key.account_id, &key.region);
        self.grants
            .rows(self.journal, place, &key.to_string(), |grant| {
                &grant.key_arn
            })
    }

    fn principals(&self, account: &AccountId) -> Result<Vec<Principal>, LookupError> {
        self.journal
            .read_group(account.as_str(), Region::global().as_str())
            .map_err(|e| LookupError(e.to_string()))
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn cell(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Result<Option<Arc<Coverage>>, LookupError> {
        let group = (account.as_str(), region.as_str());
        let mut cells = lock(&self.cells);
        if cells.group(group).is_none() {
            cells.read(self.journal, group)?;
        }
        let rows = cells.group(group).unwrap_or_default();
        Ok(rows.iter().find(|cell| cell.source == source).cloned())
    }

    fn object_samples(&self, cluster: &EmrCluster) -> Result<Vec<LogObjectSample>, LookupError> {
        let id = &cluster.cluster_id;
        self.samples
            .rows(self.journal, place_of(cluster), id, |sample| {
                &sample.cluster_id
            })
    }

    fn object_summaries(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<Arc<LogObjectSummary>>, LookupError> {
        if self.summaries.is_empty() {
            return Ok(Vec::new());
        }
        let place = (bucket.to_owned(), prefix.to_owned());
        Ok(self.summaries.get(&place).cloned().unwrap_or_default())
    }
}
