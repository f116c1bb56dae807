//! Journal to Parquet to archive: one file per dataset, each hashed while it is written.

use std::path::Path;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitRequest, Committed};
use crate::archive::layout;
use crate::archive::settle::{self, Settled};
use crate::archive::signer::Signer;
use crate::archive::store::{Body, Store, StoreError, Stored};
use crate::for_each_dataset;
use crate::model::ids::RunId;
use crate::model::table::Dataset;
use crate::record::{self, Encoded, Journal};
use crate::seal::{Content, FileEntry, Manifest, Period, Producer};
use crate::time::{Clock, Date};

use super::RunError;
use super::archive::store_error;

/// Where a run's files go.
pub struct Place<'a> {
    pub store: &'a dyn Store,
    pub clock: &'a dyn Clock,
    pub work: &'a Path,
    pub run_id: &'a RunId,
    pub date: Date,
    /// 0 but for a shard.
    pub shard: u32,
    /// Random hex of this process.
    pub writer: &'a str,
}

/// Writes every dataset of the journal to the archive and lists what was written. A dataset without
/// rows makes an empty file, unless it is one that is written `elsewhere`.
pub async fn record(
    place: &Place<'_>,
    journal: &Journal,
    elsewhere: impl Fn(&str) -> bool,
) -> Result<Vec<FileEntry>, RunError> {
    let mut files = Vec::new();
    macro_rules! every {
        ($($row:ty),+) => { $(
            if !elsewhere(<$row>::NAME) || !journal.is_empty::<$row>() {
                files.push(dataset::<$row>(place, journal).await?);
            }
        )+ };
    }
    for_each_dataset!(every);
    Ok(files)
}

async fn dataset<D: Dataset>(place: &Place<'_>, journal: &Journal) -> Result<FileEntry, RunError> {
    let path = place.work.join(format!("{}.parquet", D::NAME));
    let encoded = record::write_rows(&path, journal.rows::<D>())?;
    let Place {
        store,
        clock,
        date,
        run_id,
        shard,
        writer,
        ..
    } = *place;
    let name = layout::evidence(D::NAME, D::VERSION, date, run_id, shard, writer);
    let stored = put(store, clock, &name, &path, &encoded).await?;
    std::fs::remove_file(&path).map_err(|e| RunError::local(&path, e))?;
    Ok(entry(name, encoded, &stored))
}

/// Puts a finished local file under a name that nothing else has, and says how it is kept.
pub async fn put(
    store: &dyn Store,
    clock: &dyn Clock,
    name: &str,
    path: &Path,
    encoded: &Encoded,
) -> Result<Stored, RunError> {
    let body = Body::File(path);
    match settle::create(store, clock, name, body, &encoded.sha256).await {
        Ok(Settled::Ours(stored)) => Ok(stored),
        Ok(Settled::Taken) => Err(store_error(
            store.url(),
            StoreError::Exists {
                name: name.to_owned(),
            },
        )),
        Err(error) => Err(store_error(store.url(), error)),
    }
}

/// Seals finished local files, under these names, as an entry of their own: a rollup or a backfill.
pub async fn seal(
    store: &dyn Store,
    signer: &dyn Signer,
    clock: &dyn Clock,
    chain: &mut Chain,
    period: Period,
    files: &[(String, &Path, &Encoded)],
    (content, producer): (Content, Producer),
) -> Result<Committed, RunError> {
    let run_id = content.run_id().cloned();
    let run_id = run_id.ok_or_else(|| RunError::Internal("an entry without an id".to_owned()))?;
    // The manifest is written before the files, so it holds no word of how they are kept.
    let listed = files
        .iter()
        .map(|(name, _, encoded)| entry(name.clone(), (*encoded).clone(), &Stored::default()));
    let manifest = Manifest::new(
        chain.archive_id().clone(),
        run_id,
        period,
        listed.collect(),
        Vec::new(),
    )
    .map_err(|e| RunError::Internal(e.to_string()))?;
    // The manifest first: there is no start, and this is how leftovers are recognised.
    commit::write_manifest(store, clock, &manifest)
        .await
        .map_err(|e| store_error(store.url(), e))?;
    for (name, path, encoded) in files {
        put(store, clock, name, path, encoded).await?;
    }
    let request = CommitRequest {
        content,
        manifest: &manifest,
        producer,
        until: None,
    };
    Ok(commit::commit(store, signer, clock, chain, &request).await?)
}

/// A file as the manifest lists it.
pub fn entry(name: String, encoded: Encoded, stored: &Stored) -> FileEntry {
    FileEntry {
        name,
        bytes: encoded.bytes,
        rows: Some(encoded.rows),
        rows_sha256: Some(encoded.rows_sha256),
        sha256: encoded.sha256,
        stored: stored.evidence(),
    }
}
