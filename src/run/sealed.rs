//! Sealed runs as the chain tells them: which one speaks for a date, and which files it vouches for.

use std::collections::BTreeMap;

use crate::archive::chain::{Chain, Entry};
use crate::archive::layout::Name;
use crate::archive::records::{self, run_of_record};
use crate::archive::store::Fetch;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::seal::{FileEntry, RunSeal};
use crate::time::Date;

use super::RunError;

/// A sealed run, as its entry tells it.
#[derive(Debug, Clone)]
pub struct SealedRun {
    entry: Entry,
    pub seal: RunSeal,
}

impl SealedRun {
    fn of((entry, seal): (&Entry, &RunSeal)) -> Self {
        Self {
            entry: entry.clone(),
            seal: seal.clone(),
        }
    }

    /// The signed entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Digest of the rules that judged it.
    pub fn rules(&self) -> &Sha256Hex {
        &self.entry.statement.producer.rules_sha256
    }

    /// The files of a dataset that the run vouches for.
    pub async fn files(
        &self,
        fetch: &dyn Fetch,
        dataset: &str,
        version: u32,
    ) -> Result<Vec<FileEntry>, RunError> {
        let manifest = records::read_manifest(fetch, &self.entry).await?;
        let wanted = |file: &FileEntry| belongs(file, dataset, version);
        Ok(manifest.files.into_iter().filter(wanted).collect())
    }

    /// Every file that the run vouches for.
    pub async fn all_files(&self, fetch: &dyn Fetch) -> Result<Vec<FileEntry>, RunError> {
        Ok(records::read_manifest(fetch, &self.entry).await?.files)
    }

    /// The start file that the run vouches for.
    pub async fn start(&self, fetch: &dyn Fetch) -> Result<Option<FileEntry>, RunError> {
        let manifest = records::read_manifest(fetch, &self.entry).await?;
        Ok(records::start_file(&manifest.files, &self.seal).cloned())
    }
}

/// Whether a file holds rows of `D`.
pub fn is_of<D: Dataset>(file: &FileEntry) -> bool {
    belongs(file, D::NAME, D::VERSION)
}

fn belongs(file: &FileEntry, dataset: &str, version: u32) -> bool {
    match Name::parse(&file.name) {
        Some(Name::Evidence {
            dataset: d,
            version: v,
            ..
        }) => d == dataset && v == version,
        _ => false,
    }
}

/// The sealed run of an id.
pub fn find(chain: &Chain, run_id: &RunId) -> Option<SealedRun> {
    chain
        .runs()
        .find(|(_, seal)| seal.run_id == *run_id)
        .map(SealedRun::of)
}

/// The runs of record by date; a date without one is a hole.
pub fn of_record(chain: &Chain) -> BTreeMap<Date, SealedRun> {
    of_record_among(chain.runs())
}

/// The same of some of the sealed runs, in chain order.
pub fn of_record_among<'a>(
    runs: impl Iterator<Item = (&'a Entry, &'a RunSeal)>,
) -> BTreeMap<Date, SealedRun> {
    let mut by_date: BTreeMap<Date, Vec<(&Entry, &RunSeal)>> = BTreeMap::new();
    for run in runs {
        by_date.entry(run.1.scheduled_for).or_default().push(run);
    }
    by_date
        .into_iter()
        .filter_map(|(date, runs)| {
            let speaks = run_of_record(runs, date, |(_, seal)| *seal)?;
            Some((date, SealedRun::of(speaks)))
        })
        .collect()
}
