//! What is asked of verification, and what it answers.

use super::failure::{Failure, Notice};
use crate::archive::chain::Entry;
use crate::model::ids::Sha256Hex;
use crate::seal::{ArchiveId, FileEntry, PublicKey, RollupSeal, RunSeal};

/// What to check and against what.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Highest level, 1 to 3.
    pub level: u8,
    /// SHA-256 of the file of entry 1, from outside the archive.
    pub pin: Option<Sha256Hex>,
    /// The key that must have signed, from outside the archive.
    pub key: Option<PublicKey>,
    /// An entry that was seen earlier: it must still be there.
    pub expected_head: Option<(u64, Sha256Hex)>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            level: 3,
            pin: None,
            key: None,
            expected_head: None,
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
    /// What it needs is broken, e.g. the key.
    NotCheckable,
}

/// One level and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelResult {
    pub level: u8,
    pub outcome: LevelOutcome,
}

/// A sealed run, all of whose files are as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRun {
    /// Its entry.
    pub seq: u64,
    pub seal: RunSeal,
    /// Every file its manifest lists.
    pub files: Vec<FileEntry>,
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
    /// Files hashed and their size.
    pub files: u64,
    pub bytes: u64,
}

impl Report {
    /// Whether every level asked for passed; one that is not checkable did not. That nothing was pinned is for the caller to judge.
    pub fn passed(&self) -> bool {
        let mut levels = self.levels.iter();
        self.failures.is_empty() && levels.all(|level| level.outcome == LevelOutcome::Pass)
    }

    /// The last signed entry.
    pub fn head(&self) -> Option<&Entry> {
        self.entries.last()
    }
}
