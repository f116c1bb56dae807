//! Rows of evidence, read back only after the digests of its files were checked: against the manifest
//! of a sealed run, or against the receipts of one that is not sealed yet.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::{Path, PathBuf};

use crate::archive::chain::Entry;
use crate::archive::records;
use crate::archive::store::Fetch;
use crate::model::datasets::{
    Account, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsGrant, KmsKey,
    LaunchEvent, LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal,
};
use crate::model::table::Dataset;
use crate::record::{self, Journal, RecordError, RowReader};
use crate::seal::FileEntry;

use super::RunError;
use super::sealed::{SealedRun, is_of};

/// Reads evidence, by way of a local folder.
pub struct Evidence<'a> {
    pub fetch: &'a dyn Fetch,
    pub work: &'a Path,
}

impl Evidence<'_> {
    /// Fetches the files of a dataset that an entry with a manifest vouches for, and checks their digests.
    pub async fn files_of<D: Dataset>(&self, entry: &Entry) -> Result<Vec<PathBuf>, RunError> {
        let manifest = records::read_manifest(self.fetch, entry).await?;
        self.fetched::<D>(&manifest.files).await
    }

    /// The same of those of `files` that belong to a dataset.
    pub async fn fetched<D: Dataset>(&self, files: &[FileEntry]) -> Result<Vec<PathBuf>, RunError> {
        let mut paths = Vec::new();
        for file in files.iter().filter(|file| is_of::<D>(file)) {
            let path = self
                .work
                .join(format!("{}-{}.parquet", D::NAME, file.sha256));
            records::copy_file(self.fetch, file, &path).await?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// The rows of a dataset in a sealed run, in primary-key order.
    pub async fn rows<D: Dataset>(
        &self,
        run: &SealedRun,
    ) -> Result<impl Iterator<Item = Result<D, RecordError>> + use<D>, RunError> {
        let files = run.files(self.fetch, D::NAME, D::VERSION).await?;
        self.rows_in(&files).await
    }

    /// The rows of a dataset in those of `files` that belong to it, in primary-key order.
    pub async fn rows_in<D: Dataset>(
        &self,
        files: &[FileEntry],
    ) -> Result<impl Iterator<Item = Result<D, RecordError>> + use<D>, RunError> {
        let mut readers = Vec::new();
        // Files of the same bytes, like those of shards without rows, share a path.
        let paths = self.fetched::<D>(files).await?;
        for path in &paths {
            readers.push(record::read_file::<D>(path)?);
        }
        for path in BTreeSet::from_iter(paths) {
            // The open file keeps the bytes; its name is not needed any more.
            std::fs::remove_file(&path).map_err(|e| RunError::local(&path, e))?;
        }
        Ok(Merged::new(readers))
    }

    /// Copies a dataset of a sealed run into a journal, some rows at a time.
    pub async fn copy<D: Dataset>(
        &self,
        run: &SealedRun,
        journal: &Journal,
        wanted: impl Fn(&D) -> bool,
    ) -> Result<(), RunError> {
        let files = run.files(self.fetch, D::NAME, D::VERSION).await?;
        self.copy_in(&files, journal, wanted).await
    }

    /// The same from those of `files` that belong to the dataset.
    pub async fn copy_in<D: Dataset>(
        &self,
        files: &[FileEntry],
        journal: &Journal,
        wanted: impl Fn(&D) -> bool,
    ) -> Result<(), RunError> {
        const ROWS: usize = 4_096;
        let mut rows: Vec<D> = Vec::new();
        for row in self.rows_in::<D>(files).await? {
            let row = row?;
            if wanted(&row) {
                rows.push(row);
            }
            if rows.len() == ROWS {
                journal.append(&mut rows)?;
                rows.clear();
            }
        }
        Ok(journal.append(&mut rows)?)
    }
}

/// Copies every dataset that judging reads.
pub async fn copy_facts(
    evidence: &Evidence<'_>,
    files: &[FileEntry],
    journal: &Journal,
) -> Result<(), RunError> {
    macro_rules! copy {
        ($($row:ty),+) => { $( evidence.copy_in::<$row>(files, journal, |_| true).await?; )+ };
    }
    copy!(
        Account,
        EmrCluster,
        EmrStep,
        EmrSession,
        LaunchEvent,
        Coverage
    );
    copy_looked_up(evidence, files, journal).await
}

/// Copies every dataset of what clusters refer to, by the name of a key, a bucket, a role.
pub async fn copy_looked_up(
    evidence: &Evidence<'_>,
    files: &[FileEntry],
    journal: &Journal,
) -> Result<(), RunError> {
    macro_rules! copy {
        ($($row:ty),+) => { $( evidence.copy_in::<$row>(files, journal, |_| true).await?; )+ };
    }
    copy!(
        EmrSecurityConfiguration,
        KmsKey,
        KmsGrant,
        Principal,
        LogBucket,
        LogGroup,
        LogObjectSample,
        LogObjectSummary
    );
    Ok(())
}

/// Rows of several files, each in key order, as one such stream. After an error it ends.
struct Merged<D> {
    readers: Vec<RowReader<D>>,
    heads: BinaryHeap<Head<D>>,
    failed: Option<RecordError>,
}

/// The next row of a reader.
struct Head<D> {
    row: D,
    reader: usize,
}

impl<D: Dataset> Merged<D> {
    fn new(readers: Vec<RowReader<D>>) -> Self {
        let mut merged = Self {
            heads: BinaryHeap::with_capacity(readers.len()),
            readers,
            failed: None,
        };
        for reader in 0..merged.readers.len() {
            merged.advance(reader);
        }
        merged
    }

    fn advance(&mut self, reader: usize) {
        match self.readers[reader].next() {
            Some(Ok(row)) => self.heads.push(Head { row, reader }),
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }
}

impl<D: Dataset> Iterator for Merged<D> {
    type Item = Result<D, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let Head { row, reader } = self.heads.pop()?;
        self.advance(reader);
        Some(Ok(row))
    }
}

impl<D: Dataset> Ord for Head<D> {
    /// The smallest key is the greatest head, since a heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = other.row.key_order(&self.row);
        by_key.then_with(|| other.reader.cmp(&self.reader))
    }
}

impl<D: Dataset> PartialOrd for Head<D> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<D: Dataset> PartialEq for Head<D> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<D: Dataset> Eq for Head<D> {}
