//! Sealed runs as the chain tells them: which one speaks for a date, and which files it vouches for.

use std::collections::BTreeMap;

use crate::archive::chain::{Chain, Entry};
use crate::archive::layout::{self, Name};
use crate::archive::store::Fetch;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::words::RunOutcome;
use crate::seal::{FileEntry, Manifest, Period, RunSeal};
use crate::time::Date;

use super::RunError;
use super::archive::store_error;

/// Largest manifest that is read.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// A sealed run, as its entry tells it.
#[derive(Debug, Clone)]
pub struct SealedRun {
    pub seal: RunSeal,
    manifest_sha256: Option<Sha256Hex>,
}

impl SealedRun {
    fn of(entry: &Entry, seal: &RunSeal) -> Self {
        let name = layout::manifest(Period::Date(seal.scheduled_for), &seal.run_id);
        let subject = entry.statement.subjects.iter().find(|s| s.name == name);
        Self {
            seal: seal.clone(),
            manifest_sha256: subject.map(|s| s.sha256.clone()),
        }
    }

    /// The files of a dataset that the run vouches for.
    pub async fn files(
        &self,
        fetch: &dyn Fetch,
        dataset: &str,
        version: u32,
    ) -> Result<Vec<FileEntry>, RunError> {
        let wanted = |file: &FileEntry| match Name::parse(&file.name) {
            Some(Name::Evidence { dataset: d, version: v, .. }) => d == dataset && v == version,
            _ => false,
        };
        Ok(self.manifest(fetch).await?.files.into_iter().filter(wanted).collect())
    }

    /// One file that the run vouches for.
    pub async fn file(
        &self,
        fetch: &dyn Fetch,
        name: &str,
    ) -> Result<Option<FileEntry>, RunError> {
        Ok(self.manifest(fetch).await?.files.into_iter().find(|file| file.name == name))
    }

    async fn manifest(&self, fetch: &dyn Fetch) -> Result<Manifest, RunError> {
        let name = layout::manifest(Period::Date(self.seal.scheduled_for), &self.seal.run_id);
        let bytes =
            fetch.read(&name, MANIFEST_LIMIT).await.map_err(|e| store_error(fetch.url(), e))?;
        if Some(Sha256Hex::of(&bytes)) != self.manifest_sha256 {
            return Err(RunError::Changed { name });
        }
        Manifest::parse(&bytes).map_err(|e| RunError::Local { path: name, detail: e.to_string() })
    }
}

/// The sealed run of an id.
pub fn find(chain: &Chain, run_id: &RunId) -> Option<SealedRun> {
    chain.runs().find(|(_, seal)| seal.run_id == *run_id).map(|(e, s)| SealedRun::of(e, s))
}

/// The runs of record by date: for each date the first COMPLETE full-scope run that was not late,
/// else the first such PARTIAL. A date without one is a hole.
pub fn of_record(chain: &Chain) -> BTreeMap<Date, SealedRun> {
    let mut all: BTreeMap<Date, SealedRun> = BTreeMap::new();
    for (entry, seal) in chain.runs().filter(|(_, s)| s.full_scope && !s.late) {
        let better = match all.get(&seal.scheduled_for) {
            None => true,
            Some(other) => {
                other.seal.outcome == RunOutcome::Partial && seal.outcome == RunOutcome::Complete
            }
        };
        if better {
            all.insert(seal.scheduled_for, SealedRun::of(entry, seal));
        }
    }
    all
}
