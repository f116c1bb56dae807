//! The journal as collecting and assessing see it: a sink for facts, and look-ups over them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use crate::assess::{LookupError, Lookups};
use crate::collect::facts::{FactSink, Facts, SinkError};
use crate::model::datasets::{EmrSecurityConfiguration, KmsKey, LogBucket};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Source};
use crate::record::Journal;

use super::known::Watermarks;

/// Receives facts into the journal; a clusters cell without an answer gets its watermark's name.
pub struct JournalSink {
    pub journal: Arc<Journal>,
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
            self.journal.append(&mut facts.clusters)?;
            self.journal.append(&mut facts.security_configurations)?;
            self.journal.append(&mut facts.keys)?;
            self.journal.append(&mut facts.buckets)?;
            // Coverage last: a cell counts only when its facts are written.
            self.journal.append(&mut facts.coverage)
        };
        put().map_err(|e| SinkError(Box::new(e)))
    }
}

/// Account-regions whose keys are kept parsed at one time.
const CACHED_GROUPS: usize = 32;

/// Looked-up facts by reference. Buckets are few and small and stay in memory; keys, whose policies
/// are large, are read by account-region and kept in a small cache.
pub struct JournalLookups<'a> {
    journal: &'a Journal,
    buckets: BTreeMap<String, LogBucket>,
    key_groups: BTreeSet<(String, String)>,
    keys: Mutex<Cache<KmsKey>>,
    configurations: Mutex<Cache<EmrSecurityConfiguration>>,
}

struct Cache<D> {
    order: VecDeque<(String, String)>,
    groups: BTreeMap<(String, String), Vec<D>>,
}

impl<D: Dataset> Cache<D> {
    fn new() -> Mutex<Self> {
        Mutex::new(Self {
            order: VecDeque::new(),
            groups: BTreeMap::new(),
        })
    }

    fn find(
        &mut self,
        journal: &Journal,
        group: (&str, &str),
        wanted: impl Fn(&D) -> bool,
    ) -> Result<Option<D>, LookupError> {
        let place = (group.0.to_owned(), group.1.to_owned());
        if !self.groups.contains_key(&place) {
            let rows = journal
                .read_group::<D>(group.0, group.1)
                .map_err(|e| LookupError(e.to_string()))?;
            if self.order.len() >= CACHED_GROUPS
                && let Some(oldest) = self.order.pop_front()
            {
                self.groups.remove(&oldest);
            }
            self.order.push_back(place.clone());
            self.groups.insert(place.clone(), rows);
        }
        Ok(self
            .groups
            .get(&place)
            .and_then(|rows| rows.iter().find(|r| wanted(r)))
            .cloned())
    }
}

impl<'a> JournalLookups<'a> {
    /// Indexes the looked-up facts of `journal`.
    pub fn new(journal: &'a Journal) -> Result<Self, crate::record::RecordError> {
        let mut buckets = BTreeMap::new();
        for row in journal.rows::<LogBucket>() {
            let row = row?;
            buckets.insert(row.bucket.clone(), row);
        }
        let key_groups = journal.groups::<KmsKey>().into_iter().collect();
        Ok(Self {
            journal,
            buckets,
            key_groups,
            keys: Cache::new(),
            configurations: Cache::new(),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Lookups for JournalLookups<'_> {
    fn key(&self, reference: &str) -> Result<Option<KmsKey>, LookupError> {
        let Some(arn) = KeyArn::parse(reference) else {
            return Ok(None);
        };
        let group = (arn.account_id.to_string(), arn.region.to_string());
        if !self.key_groups.contains(&group) {
            return Ok(None);
        }
        lock(&self.keys).find(self.journal, (&group.0, &group.1), |k| {
            k.key_reference == reference
        })
    }

    fn bucket(&self, name: &str) -> Result<Option<LogBucket>, LookupError> {
        Ok(self.buckets.get(name).cloned())
    }

    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<EmrSecurityConfiguration>, LookupError> {
        lock(&self.configurations).find(self.journal, (account.as_str(), region.as_str()), |c| {
            c.name == name
        })
    }
}
