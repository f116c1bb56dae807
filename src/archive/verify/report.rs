//! What is asked of verification, and what it answers.

use std::collections::BTreeSet;

use super::failure::{Failure, Notice};
use crate::archive::chain::Entry;
use crate::model::ids::Sha256Hex;
use crate::seal::{ArchiveId, FileEntry, PublicKey, RollupSeal, RunSeal};
use crate::time::{Date, UtcMillis};

/// What to check and against what. A second copy of the chain is handed over beside it.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Highest level, 1 to 7.
    pub level: u8,
    /// Whether every level has to be checkable; levels 1 to 3 always have to.
    pub strict: bool,
    /// SHA-256 of the file of entry 1, from outside the archive.
    pub pin: Option<Sha256Hex>,
    /// The key that must have signed, from outside the archive.
    pub key: Option<PublicKey>,
    /// Entries that were seen earlier, slot and SHA-256 of the file: they must still be there.
    pub expected_heads: Vec<(u64, Sha256Hex)>,
    /// First and last date that runs must speak for; default: from entry 1 to the newest sealed run.
    pub from: Option<Date>,
    pub to: Option<Date>,
    /// PARTIAL and late dates fail, and so does a date that was due at `now` and has no run yet.
    pub require_complete: bool,
    /// The present: what has expired, and what was due.
    pub now: UtcMillis,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            level: 5,
            strict: false,
            pin: None,
            key: None,
            expected_heads: Vec::new(),
            from: None,
            to: None,
            require_complete: false,
            now: UtcMillis(0),
        }
    }
}

/// What the archive was compared with from outside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Entry 1 was compared with a pin.
    Pinned,
    /// The key was given, entry 1 was not.
    Key,
    /// Nothing: only that the archive agrees with itself.
    Unpinned,
}

/// How one level ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelOutcome {
    Pass,
    Fail,
    /// What it needs is not there: the key is broken, or storage does not tell.
    NotCheckable,
}

/// One level and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelResult {
    pub level: u8,
    pub outcome: LevelOutcome,
    /// Why it could not be checked.
    pub why: Option<String>,
}

/// A sealed run, all of whose files are as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRun {
    /// Its entry.
    pub seq: u64,
    pub seal: RunSeal,
    /// Every file its manifest lists and that has not expired.
    pub files: Vec<FileEntry>,
    /// Names of the data files that are gone, past their retention.
    pub expired: BTreeSet<String>,
}

/// A sealed rollup, all of whose files are as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRollup {
    /// Its entry.
    pub seq: u64,
    pub seal: RollupSeal,
    /// Every file its manifest lists.
    pub files: Vec<FileEntry>,
}

/// What verification found.
#[derive(Debug, Clone)]
pub struct Report {
    pub url: String,
    pub trust: Trust,
    /// Whether every level has to be checkable.
    pub strict: bool,
    /// One per level asked for, lowest first.
    pub levels: Vec<LevelResult>,
    /// Of the levels asked for, and what made one of them not checkable.
    pub failures: Vec<Failure>,
    pub notices: Vec<Notice>,
    /// Signed entries, oldest first.
    pub entries: Vec<Entry>,
    /// Where entry 1 could be read.
    pub archive_id: Option<ArchiveId>,
    /// What an auditor pins.
    pub genesis_sha256: Option<Sha256Hex>,
    /// The key that signed.
    pub signer: Option<PublicKey>,
    pub runs: Vec<VerifiedRun>,
    pub rollups: Vec<VerifiedRollup>,
    /// Sealed backfills all of whose files are as they were sealed: entry, and files.
    pub backfills: Vec<(u64, Vec<FileEntry>)>,
    /// What the manifests of runs, rollups and backfills list some of whose files are not as they were sealed, by
    /// entry.
    pub(super) suspect: Vec<(u64, Vec<FileEntry>)>,
    /// The dates that level 5 looked at.
    pub range: Option<(Date, Date)>,
    /// Files hashed and their size.
    pub files: u64,
    pub bytes: u64,
}

impl Report {
    /// Whether every level asked for passed. One that is not checkable did not, unless it is above 3
    /// and nobody insists on it. That nothing was pinned is for the caller to judge.
    pub fn passed(&self) -> bool {
        let passes = |level: &LevelResult| match level.outcome {
            LevelOutcome::Pass => true,
            LevelOutcome::Fail => false,
            LevelOutcome::NotCheckable => level.level > 3 && !self.strict,
        };
        self.failures.is_empty() && self.levels.iter().all(passes)
    }

    /// The last signed entry.
    pub fn head(&self) -> Option<&Entry> {
        self.entries.last()
    }
}
