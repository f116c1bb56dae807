//! Versions before and after, joined in the order of their ids: what was moved under a wanted key.
//!
//! A version counts once. It is *moved* when the key before was not wanted and the key after is, *rotated*
//! when both are and differ; where one of them, or the size, is not known it is neither, but *unknown*
//! (domain facts: UpdateObjectEncryption keeps version, date and size, so nothing else tells).

use std::collections::BTreeMap;
use std::io;
use std::iter::Peekable;

use super::sorted::{Record, Sorted};

/// Size of a version whose report does not tell it.
pub const NO_SIZE: u64 = u64::MAX;
/// Code of a task that succeeded. It sorts first, so that of two answers about one version the success
/// counts.
pub const SUCCEEDED: u32 = 0;
/// Code of a task that failed.
pub const FAILED: u32 = 1;

/// What is known of the key that a version lay under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Not under a wanted key.
    Outside,
    /// Under this wanted key, by a number of the caller's.
    Wanted(u32),
    Unknown,
}

/// Counts of one job in one bucket, or of one pair of snapshots and one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    pub total: i64,
    pub moved: i64,
    pub moved_bytes: i64,
    pub rotated: i64,
    pub rotated_bytes: i64,
    pub unknown: i64,
    pub failed: i64,
    /// Bytes of what a copy left behind under its old key.
    pub left_behind: i64,
}

impl Moved {
    /// Counts what another counted, too.
    pub fn add(&mut self, other: &Self) {
        let Self {
            total,
            moved,
            moved_bytes,
            rotated,
            rotated_bytes,
            unknown,
            failed,
            left_behind,
        } = other;
        self.total += total;
        self.moved += moved;
        self.moved_bytes = self.moved_bytes.saturating_add(*moved_bytes);
        self.rotated += rotated;
        self.rotated_bytes = self.rotated_bytes.saturating_add(*rotated_bytes);
        self.unknown += unknown;
        self.failed += failed;
        self.left_behind = self.left_behind.saturating_add(*left_behind);
    }

    /// One version that lies under the target key now.
    fn arrived(&mut self, prior: Prior, bytes: u64, target: u32) {
        let sized = i64::try_from(bytes).ok().filter(|_| bytes != NO_SIZE);
        match (prior, sized) {
            (Prior::Outside, Some(bytes)) => {
                self.moved += 1;
                self.moved_bytes = self.moved_bytes.saturating_add(bytes);
            }
            (Prior::Wanted(key), _) if key == target => {}
            (Prior::Wanted(_), Some(bytes)) => {
                self.rotated += 1;
                self.rotated_bytes = self.rotated_bytes.saturating_add(bytes);
            }
            _ => self.unknown += 1,
        }
    }
}

/// What a job aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// Number of its key among the caller's.
    pub target: u32,
    /// Whether the key is wanted.
    pub is_wanted: Option<bool>,
    /// Whether it copied, and so left the old version where it was.
    pub leaves_old: bool,
    /// What the job's own filter says of all its versions.
    pub prior: Prior,
}

/// Joins the tasks of a job to what a snapshot of before says of the same versions.
pub fn job(
    tasks: Sorted,
    before: Sorted,
    aim: Aim,
    prior: impl Fn(u32) -> Prior,
) -> io::Result<Moved> {
    let mut before = before.peekable();
    let mut counted = Moved::default();
    let mut last = None;
    for task in tasks {
        let task = task?;
        if last == Some(task.id) {
            continue;
        }
        last = Some(task.id);
        counted.total += 1;
        if task.code != SUCCEEDED {
            counted.failed += 1;
            continue;
        }
        let was = find(&mut before, task.id)?;
        let bytes = was.map_or(NO_SIZE, |was| was.bytes);
        // What the snapshot says of the one version is better than what the filter says of all.
        let prior = match was.map_or(Prior::Unknown, |was| prior(was.code)) {
            Prior::Unknown => aim.prior,
            known => known,
        };
        let stays = prior == Prior::Wanted(aim.target);
        match aim.is_wanted {
            Some(true) => counted.arrived(prior, bytes, aim.target),
            Some(false) => {}
            None => counted.unknown += 1,
        }
        if aim.leaves_old && !stays && bytes != NO_SIZE {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            counted.left_behind = counted.left_behind.saturating_add(bytes);
        }
    }
    Ok(counted)
}

/// The first record of an id, where there is one; forgets those before it.
fn find(records: &mut Peekable<Sorted>, id: [u8; 16]) -> io::Result<Option<Record>> {
    loop {
        match records.peek() {
            Some(Ok(record)) if record.id > id => return Ok(None),
            Some(Ok(record)) if record.id == id => return Ok(Some(*record)),
            None => return Ok(None),
            Some(_) => {
                // Not there yet, or an error, which ends the join.
                if let Some(passed) = records.next() {
                    passed?;
                }
            }
        }
    }
}

/// Compares two snapshots by key and version: what lay under another key then. By the code of the key
/// that versions lie under now; versions that either snapshot lacks are not compared, nor those of another
/// size: without versioning the next object has the same name. `now` numbers keys as `then` does.
/// `is_unnamed`: a code for "KMS, and nobody says which key", to which a version is moved as well.
pub fn snapshots(
    then: Sorted,
    now: Sorted,
    prior: impl Fn(u32) -> Prior,
    is_unnamed: impl Fn(u32) -> bool,
) -> io::Result<BTreeMap<u32, Moved>> {
    let mut then = then.peekable();
    let mut by_key: BTreeMap<u32, Moved> = BTreeMap::new();
    for after in now {
        let after = after?;
        let Some(before) = find(&mut then, after.id)? else {
            continue;
        };
        let sizes = [before.bytes, after.bytes];
        if before.bytes != after.bytes && !sizes.contains(&NO_SIZE) {
            continue;
        }
        let counted = by_key.entry(after.code).or_default();
        counted.total += 1;
        if before.code == after.code {
            continue;
        }
        match prior(after.code) {
            Prior::Wanted(target) => counted.arrived(prior(before.code), after.bytes, target),
            Prior::Outside => {}
            Prior::Unknown if is_unnamed(after.code) && prior(before.code) == Prior::Outside => {
                counted.arrived(Prior::Outside, after.bytes, u32::MAX);
            }
            Prior::Unknown => counted.unknown += 1,
        }
    }
    Ok(by_key)
}
