//! A run that several processes share: its frozen scope, and what each process says it wrote.
//!
//! `prepare` freezes the scope, each shard collects its accounts and leaves a receipt, and `assess`
//! looks up what they referred to, judges, and leaves a receipt of its own (number 0), which names the
//! receipts that it used. Whatever that one does not name does not count: a receipt that came later,
//! one that cannot be read, the files of a writer that lost. `seal` names them as orphans.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layout::{self, Name};
use super::protection::is_required;
use super::settle;
use super::store::{Fetch, Store, StoreError};
use crate::for_each_dataset;
use crate::model::canonical;
use crate::model::datasets::{
    Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, LaunchEvent, LogGroup,
    Trail,
};
use crate::model::ids::{AccountId, RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::seal::FileEntry;
use crate::time::{Clock, Date, UtcMillis};

/// Most shards of one run.
pub const MOST_SHARDS: u32 = 99;
/// The number of the receipt, and of the files, that assessing writes.
pub const ASSESS: u32 = 0;
/// Datasets (name, version) of which every shard writes a file, with rows or without; sorted by name.
pub const OF_SHARD: [(&str, u32); 8] = [
    (Coverage::NAME, Coverage::VERSION),
    (EmrCluster::NAME, EmrCluster::VERSION),
    (
        EmrSecurityConfiguration::NAME,
        EmrSecurityConfiguration::VERSION,
    ),
    (EmrSession::NAME, EmrSession::VERSION),
    (EmrStep::NAME, EmrStep::VERSION),
    (LaunchEvent::NAME, LaunchEvent::VERSION),
    (LogGroup::NAME, LogGroup::VERSION),
    (Trail::NAME, Trail::VERSION),
];
const SCOPE_LIMIT: u64 = 64 * 1024 * 1024;
const RECEIPT_LIMIT: u64 = 4 * 1024 * 1024;
const VERSION: &str = "1";

/// Why a scope or a receipt cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("run {run_id} was not prepared for shards: {name} is not there")]
    NotPrepared { run_id: RunId, name: String },
    #[error("{name} cannot be read: {detail}")]
    Unreadable { name: String, detail: String },
}

/// What `prepare` fixes for every later step; the content of `scope.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeFile {
    /// Every account that was listed, sorted by id.
    pub accounts: Vec<ScopedAccount>,
    pub caller_account: AccountId,
    pub caller_arn: String,
    /// Digest of the configuration that collecting and rules read.
    pub config_sha256: Sha256Hex,
    pub full_scope: bool,
    /// The last signed entry when the run began.
    pub head_seq: u64,
    pub head_sha256: Sha256Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_account: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// What preparing asked of STS and Organizations, as column `own_operations` of dataset `run` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_operations: Option<String>,
    /// `auto`, or the Regions.
    pub regions: Value,
    pub rules_sha256: Sha256Hex,
    pub run_id: RunId,
    pub shards: u32,
    pub start_sha256: Sha256Hex,
    /// Checks that an archive cannot do without and that failed when the run began, where it was told to
    /// begin all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unprotected: Vec<String>,
    /// [`ScopeFile::VERSION`].
    pub version: String,
}

/// An account of the scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopedAccount {
    /// Its row in dataset `account`.
    pub row: Value,
    /// Who looks into it; none where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
}

impl ScopeFile {
    /// The version that is written, and the only one that is read.
    pub const VERSION: &'static str = VERSION;

    /// The stored form: one line of canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        line(self)
    }

    /// Reads the stored form.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Self = read(bytes)?;
        let known = |shard: &Option<u32>| shard.is_none_or(|k| (1..=file.shards).contains(&k));
        if file.shards == 0 || file.shards > MOST_SHARDS {
            Err(format!("{} shards", file.shards))
        } else if !file.accounts.iter().all(|a| known(&a.shard)) {
            Err("an account belongs to a shard that is not there".to_owned())
        } else if !file.unprotected.iter().all(|check| is_required(check)) {
            Err("it names a check of the archive that no run insists on".to_owned())
        } else {
            Ok(file)
        }
    }
}

/// What one process says it wrote; the content of `shard-<nn>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Local clock of the process minus AWS's, where it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// Data files, sorted by name.
    pub files: Vec<FileEntry>,
    /// What the process asked of STS, as column `own_operations` of dataset `run` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_operations: Option<String>,
    pub run_id: RunId,
    /// 1 to N; 0 for what assessing wrote.
    pub shard: u32,
    /// Checks that an archive cannot do without and that failed, where the process was told to write all
    /// the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unprotected: Vec<String>,
    /// Of assessing: the receipts that it used. All others do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<Used>,
    version: String,
    pub writer: String,
    pub written_at: String,
}

/// A receipt that assessing used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pub bytes: u64,
    pub sha256: Sha256Hex,
    pub shard: u32,
}

impl Receipt {
    /// A receipt for files written by `writer`, and nothing else to say.
    pub fn new(
        run_id: RunId,
        shard: u32,
        writer: String,
        mut files: Vec<FileEntry>,
        now: UtcMillis,
    ) -> Self {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            clock_offset_ms: None,
            files,
            own_operations: None,
            run_id,
            shard,
            unprotected: Vec::new(),
            used: Vec::new(),
            version: VERSION.to_owned(),
            writer,
            written_at: now.to_string(),
        }
    }

    /// The stored form: one line of canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        line(self)
    }

    /// Reads the receipt of `shard`. A receipt names evidence of its own run, shard and writer, each
    /// dataset once and in the version that this program knows, and nothing else; that of a shard names
    /// [`OF_SHARD`], so that nothing of it can be left out unseen.
    pub fn parse(bytes: &[u8], run_id: &RunId, date: Date, shard: u32) -> Result<Self, String> {
        let receipt: Self = read(bytes)?;
        if receipt.run_id != *run_id || receipt.shard != shard {
            return Err(format!(
                "it is the receipt of shard {} of run {}",
                receipt.shard, receipt.run_id
            ));
        }
        if shard != ASSESS && !receipt.used.is_empty() {
            return Err("a shard uses no receipts".to_owned());
        }
        if !receipt.used.is_sorted_by(|a, b| a.shard < b.shard)
            || receipt.used.iter().any(|u| u.shard == ASSESS)
        {
            return Err("the receipts that it used are not in order".to_owned());
        }
        if !receipt.unprotected.iter().all(|check| is_required(check)) {
            return Err("it names a check of the archive that no run insists on".to_owned());
        }
        let known = every_dataset();
        let mut datasets: Vec<(String, u32)> = Vec::new();
        for file in &receipt.files {
            let Some(Name::Evidence {
                dataset, version, ..
            }) = Name::parse(&file.name)
            else {
                return Err(format!("'{:.80}' is no evidence", file.name));
            };
            let own = layout::evidence(&dataset, version, date, run_id, shard, &receipt.writer);
            if own != file.name {
                return Err(format!("'{:.80}' is not its own", file.name));
            }
            if !known.contains(&(dataset.as_str(), version)) {
                return Err(format!("'{:.80}' is no dataset of this program", file.name));
            }
            if datasets.last().is_some_and(|(last, _)| *last >= dataset) {
                return Err(format!("dataset {dataset} stands twice or out of order"));
            }
            if file.rows.is_none() || file.rows_sha256.is_none() {
                return Err(format!("{} has no rows", file.name));
            }
            datasets.push((dataset, version));
        }
        let named = datasets.iter().map(|(name, version)| (&**name, *version));
        if shard != ASSESS && !named.eq(OF_SHARD) {
            return Err("it does not name the datasets that a shard writes".to_owned());
        }
        Ok(receipt)
    }
}

/// Name and version of every dataset.
pub fn every_dataset() -> Vec<(&'static str, u32)> {
    let mut datasets = Vec::new();
    macro_rules! every {
        ($($row:ty),+) => { $( datasets.push((<$row>::NAME, <$row>::VERSION)); )+ };
    }
    for_each_dataset!(every);
    datasets
}

/// How writing a receipt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It counts.
    Ours,
    /// Another process wrote one first; the files that this one names are orphans.
    Lost,
}

/// Writes a receipt, create-only.
pub async fn write_receipt(
    store: &dyn Store,
    clock: &dyn Clock,
    date: Date,
    receipt: &Receipt,
) -> Result<Received, StoreError> {
    let name = layout::shard(date, &receipt.run_id, receipt.shard);
    match settle::write_once(store, clock, &name, &receipt.to_bytes()).await {
        Ok(()) => Ok(Received::Ours),
        Err(StoreError::Exists { .. }) => Ok(Received::Lost),
        Err(error) => Err(error),
    }
}

/// A receipt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    pub receipt: Receipt,
    /// The receipt itself, for the manifest.
    pub file: FileEntry,
}

/// The receipt of a shard; none where there is none. One that cannot be read is an error of its own,
/// since the caller decides whether that is a failure or a missing shard.
pub async fn read_receipt(
    fetch: &dyn Fetch,
    run_id: &RunId,
    date: Date,
    shard: u32,
) -> Result<Option<StoredReceipt>, ShardError> {
    let name = layout::shard(date, run_id, shard);
    let bytes = match fetch.read(&name, RECEIPT_LIMIT).await {
        Ok(bytes) => bytes,
        Err(StoreError::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match Receipt::parse(&bytes, run_id, date, shard) {
        Ok(receipt) => Ok(Some(StoredReceipt {
            receipt,
            file: file_entry(fetch, name, &bytes).await?,
        })),
        Err(detail) => Err(ShardError::Unreadable { name, detail }),
    }
}

/// The frozen scope of a run, and its file for the manifest.
pub async fn read_scope(
    fetch: &dyn Fetch,
    run_id: &RunId,
    date: Date,
) -> Result<(ScopeFile, FileEntry), ShardError> {
    let name = layout::scope(date, run_id);
    let bytes = match fetch.read(&name, SCOPE_LIMIT).await {
        Ok(bytes) => bytes,
        Err(StoreError::Absent { .. }) => {
            let run_id = run_id.clone();
            return Err(ShardError::NotPrepared { run_id, name });
        }
        Err(error) => return Err(error.into()),
    };
    let unreadable = |detail: String| ShardError::Unreadable {
        name: name.clone(),
        detail,
    };
    let file = ScopeFile::parse(&bytes).map_err(unreadable)?;
    if file.run_id != *run_id {
        return Err(unreadable(format!(
            "it is the scope of run {}",
            file.run_id
        )));
    }
    let entry = file_entry(fetch, name, &bytes).await?;
    Ok((file, entry))
}

/// Names of everything that stands under a run's id, its start, manifest, sums and `end.json` left
/// out, for whoever must tell its files from orphans.
pub async fn names_of_run(
    fetch: &dyn Fetch,
    run_id: &RunId,
    date: Date,
    datasets: &[(&str, u32)],
) -> Result<Vec<String>, StoreError> {
    let mut prefixes = vec![layout::run_folder(date, run_id)];
    for (dataset, version) in datasets {
        prefixes.push(layout::evidence_of_run(dataset, *version, date, run_id));
    }
    let mut names = Vec::new();
    for prefix in prefixes {
        let listed = match fetch.list(&prefix).await {
            Err(StoreError::Absent { .. }) => Vec::new(),
            other => other?,
        };
        let ours = listed.into_iter().map(|l| l.name).filter(|name| {
            let parsed = Name::parse(name);
            let ended = matches!(parsed, Some(Name::End { .. }));
            !ended && parsed.and_then(|p| p.run_id().cloned()).as_ref() == Some(run_id)
        });
        names.extend(ours);
    }
    Ok(names)
}

/// A stored document as the manifest lists it.
async fn file_entry(
    fetch: &dyn Fetch,
    name: String,
    bytes: &[u8],
) -> Result<FileEntry, StoreError> {
    let stored = fetch.stored(&name).await?;
    Ok(FileEntry {
        bytes: bytes.len() as u64,
        name,
        rows: None,
        rows_sha256: None,
        sha256: Sha256Hex::of(bytes),
        stored: stored.and_then(|stored| stored.evidence()),
    })
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    // Structs of texts and numbers always have a JSON form.
    let value = serde_json::to_value(value).unwrap_or_default();
    format!("{}\n", canonical::to_string(&value)).into_bytes()
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    match value.get("version").and_then(Value::as_str) {
        Some(VERSION) => serde_json::from_value(value).map_err(|e| e.to_string()),
        Some(other) => Err(format!(
            "version '{other:.20}', and this program reads {VERSION}"
        )),
        None => Err("it has no version".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{FixedClock, MemoryStore};
    use std::sync::Arc;

    fn run_id() -> RunId {
        "20261124T020003Z-7f3a".parse().expect("id")
    }

    fn date() -> Date {
        "2026-11-24".parse().expect("date")
    }

    fn receipt(shard: u32, writer: &str) -> Receipt {
        let file = |(dataset, version): (&str, u32)| FileEntry {
            bytes: 7,
            name: layout::evidence(dataset, version, date(), &run_id(), shard, writer),
            rows: Some(2),
            rows_sha256: Some(Sha256Hex::of(b"rows")),
            sha256: Sha256Hex::of(b"file"),
            stored: None,
        };
        let files = OF_SHARD.map(file).into();
        Receipt {
            clock_offset_ms: Some(-3),
            own_operations: Some("AssumeRole:4:0:1".to_owned()),
            unprotected: vec!["tls_only".to_owned()],
            ..Receipt::new(run_id(), shard, writer.to_owned(), files, UtcMillis(0))
        }
    }

    #[test]
    fn a_receipt_reads_back_and_names_only_its_own_files() {
        let receipt = receipt(2, "9c1f");
        let text = String::from_utf8(receipt.to_bytes()).expect("text");
        let parse = |text: &str, shard| Receipt::parse(text.as_bytes(), &run_id(), date(), shard);
        assert_eq!(parse(&text, 2), Ok(receipt));
        assert!(parse(&text, 1).is_err(), "copied to another shard");
        for bad in [
            "",
            "{}",
            "[1]",
            &text.replace(".s02-", ".s01-"),
            &text.replace("9c1f.parquet", "9c2f.parquet"),
            &text.replace("evidence/coverage", "evidence/emr_cluster"),
            &text.replace("evidence/coverage/v", "../coverage/v"),
            &text.replace("evidence/coverage/v", "evidence/coverage/v9"),
            &text.replace("evidence/coverage/", "evidence/coverages/"),
            &text.replace("evidence/coverage/", "evidence/account/"),
            &text.replace("\"version\":\"1\"", "\"version\":\"2\""),
            &text.replace("\"shard\":2", "\"more\":1,\"shard\":2"),
            &text.replace("tls_only", "the moon"),
            &text.replace("tls_only", "bucket_key"),
        ] {
            assert!(parse(bad, 2).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_receipt_leaves_no_dataset_of_a_shard_out() {
        let whole = receipt(2, "9c1f");
        for (at, dataset) in OF_SHARD.iter().enumerate() {
            let mut less = whole.clone();
            less.files.remove(at);
            let parsed = Receipt::parse(&less.to_bytes(), &run_id(), date(), 2);
            assert!(parsed.is_err(), "{dataset:?}");
        }
    }

    #[test]
    fn what_assessing_names_are_datasets_of_this_program() {
        let entry = |dataset: &str, version| FileEntry {
            name: layout::evidence(dataset, version, date(), &run_id(), ASSESS, "9c1f"),
            ..receipt(1, "9c1f").files.remove(0)
        };
        let parsed = |dataset: &str, version| {
            let files = vec![entry(dataset, version)];
            let writer = "9c1f".to_owned();
            let made = Receipt::new(run_id(), ASSESS, writer, files, UtcMillis(0));
            Receipt::parse(&made.to_bytes(), &run_id(), date(), ASSESS)
        };
        for (dataset, version) in every_dataset() {
            assert!(parsed(dataset, version).is_ok(), "{dataset}");
            assert!(parsed(dataset, version + 1).is_err(), "{dataset}");
        }
        assert!(parsed("foo", 1).is_err());
    }

    #[tokio::test]
    async fn the_first_receipt_counts() {
        let memory = Arc::new(MemoryStore::default());
        let clock = FixedClock::at(UtcMillis(0));
        for (writer, expected) in [
            ("aaaa", Received::Ours),
            ("aaaa", Received::Ours),
            ("bbbb", Received::Lost),
        ] {
            let ended = write_receipt(memory.as_ref(), &clock, date(), &receipt(1, writer)).await;
            assert_eq!(ended, Ok(expected), "{writer}");
        }
        let stored = read_receipt(memory.as_ref(), &run_id(), date(), 1).await;
        let stored = stored.expect("readable").expect("there");
        assert_eq!(stored.receipt.writer, "aaaa");
        assert_eq!(
            read_receipt(memory.as_ref(), &run_id(), date(), 2).await,
            Ok(None)
        );
        memory.replace(&layout::shard(date(), &run_id(), 2), "junk");
        let junk = read_receipt(memory.as_ref(), &run_id(), date(), 2).await;
        assert!(
            matches!(junk, Err(ShardError::Unreadable { .. })),
            "{junk:?}"
        );
    }
}
