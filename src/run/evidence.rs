//! Rows of sealed runs, read back only after their digests were checked.

use std::path::{Path, PathBuf};

use crate::archive::records;
use crate::archive::store::Fetch;
use crate::model::table::Dataset;
use crate::record::{self, Journal, RecordError};

use super::RunError;
use super::sealed::SealedRun;

/// Reads sealed evidence, by way of a local folder.
pub struct Evidence<'a> {
    pub fetch: &'a dyn Fetch,
    pub work: &'a Path,
}

impl Evidence<'_> {
    /// Fetches the run's files of a dataset and checks their digests against the seal's.
    pub async fn files<D: Dataset>(&self, run: &SealedRun) -> Result<Vec<PathBuf>, RunError> {
        let mut paths = Vec::new();
        for sealed in run.files(self.fetch, D::NAME, D::VERSION).await? {
            let bytes = records::read_file(self.fetch, &sealed).await?;
            let path = self
                .work
                .join(format!("{}-{}.parquet", D::NAME, sealed.sha256));
            std::fs::write(&path, &bytes).map_err(|e| RunError::local(&path, e))?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// The rows of a dataset in a sealed run, in primary-key order.
    pub async fn rows<D: Dataset>(
        &self,
        run: &SealedRun,
    ) -> Result<impl Iterator<Item = Result<D, RecordError>> + use<D>, RunError> {
        let mut readers = Vec::new();
        for path in self.files::<D>(run).await? {
            readers.push(record::read_file::<D>(&path)?);
            // The open file keeps the bytes; its name is not needed any more.
            std::fs::remove_file(&path).map_err(|e| RunError::local(&path, e))?;
        }
        Ok(readers.into_iter().flatten())
    }

    /// Copies a dataset of a sealed run into a journal, some rows at a time.
    pub async fn copy<D: Dataset>(
        &self,
        run: &SealedRun,
        journal: &Journal,
        wanted: impl Fn(&D) -> bool,
    ) -> Result<(), RunError> {
        const ROWS: usize = 4_096;
        let mut rows: Vec<D> = Vec::new();
        for row in self.rows::<D>(run).await? {
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
