//! One run at a time: a run begins by taking the next number under `starts/`, create-only, and may do
//! so only when the run of the last number is over.
//!
//! A run is over when it is sealed, when its `end.json` exists, or past its deadline. A start that
//! cannot be read counts as over, and is named in the next seal like every other start that nobody
//! sealed.
//!
//! - `document`: what a start says. - `standing`: how the run of a start stands.

mod document;
mod standing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

use super::chain::{Chain, ChainError};
use super::layout;
use super::settle::{self, Settled};
use super::store::{Body, Fetch, Store, StoreError};
use crate::model::canonical;
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{DiedRun, FileEntry};
use crate::time::{Clock, Date, UtcMillis};

use document::VERSION;
use standing::{ReadStart, died_run, list, read, settled_up_to, standing};

pub use document::{LONGEST_DEADLINE, Start};
pub use standing::Standing;

/// Larger files are no starts.
pub const START_LIMIT: u64 = 16 * 1024 * 1024;
const END_LIMIT: u64 = 64 * 1024;

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The last run is still alive, as far as the archive tells.
    #[error(
        "run {run_id} began at {started_at} and has until {deadline_at}: wait for it, or, if its process is dead, --take-over {run_id}"
    )]
    Alive {
        run_id: RunId,
        started_at: UtcMillis,
        deadline_at: UtcMillis,
    },
    /// Somebody else took the number in the same moment.
    #[error("another run took start number {n} in the same moment: {run_id}")]
    Lost { n: u64, run_id: String },
    /// Its files would appear under the other run, and verification would refuse them.
    #[error("run id {run_id} is taken by another run of this archive: give another --run-id")]
    Taken { run_id: RunId },
    #[error("--take-over {run_id}: no start of this archive names that run")]
    NothingToTakeOver { run_id: RunId },
    #[error("no start of this archive names run {run_id}: check --run-id and --archive")]
    NoSuchRun { run_id: RunId },
    #[error("run {run_id} is sealed already, by entry {seq}")]
    Sealed { run_id: RunId, seq: u64 },
    #[error("run {run_id} was given up: entry {seq} names it as died; begin a new run")]
    NamedDead { run_id: RunId, seq: u64 },
    #[error("run {run_id} ended without a seal ({reason}); begin a new run")]
    Ended { run_id: RunId, reason: String },
    #[error("run {run_id} had until {deadline_at}, which is over; begin a new run")]
    TooLate {
        run_id: RunId,
        deadline_at: UtcMillis,
    },
    #[error("a deadline of {0:?} is too long: at most 24h")]
    DeadlineTooLong(Duration),
}

/// What a run that wants to begin says of itself.
#[derive(Debug, Clone)]
pub struct StartRequest<'a> {
    pub run_id: RunId,
    pub scheduled_for: Date,
    /// Time until others may take it for dead.
    pub deadline: Duration,
    pub config: Value,
    /// A run whose process is known to be dead.
    pub take_over: Option<&'a RunId>,
}

/// A run that has begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    pub start: Start,
    /// The start file, for the manifest.
    pub file: FileEntry,
    /// Starts that nobody sealed or named yet, for the seal.
    pub died: Vec<DiedRun>,
}

/// What is still to be done with a run that began in another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// Collecting and judging, which must be over by its deadline.
    ToCollect,
    /// Sealing, for which it is late only when another run has named it as died.
    ToSeal,
}

/// Goes on with a run that another process began. Refuses one that is over, and says how it ended.
pub async fn go_on(
    fetch: &dyn Fetch,
    clock: &dyn Clock,
    chain: &Chain,
    run_id: &RunId,
    still: Still,
) -> Result<Begun, StartError> {
    let now = clock.now();
    let found = find(fetch, chain, run_id, now).await?;
    let run_id = run_id.clone();
    let (start, file, standing) = found.ok_or_else(|| StartError::NoSuchRun {
        run_id: run_id.clone(),
    })?;
    match standing {
        Standing::Sealed { seq } => return Err(StartError::Sealed { run_id, seq }),
        Standing::NamedDead { seq } => return Err(StartError::NamedDead { run_id, seq }),
        Standing::Ended { reason } => return Err(StartError::Ended { run_id, reason }),
        Standing::PastDeadline if still == Still::ToCollect => {
            let deadline_at = start.deadline_at;
            return Err(StartError::TooLate {
                run_id,
                deadline_at,
            });
        }
        Standing::PastDeadline | Standing::Alive => {}
    }
    let listed = list(fetch).await?;
    let mut died = Vec::new();
    for n in settled_up_to(chain) + 1..start.n {
        let found = read(fetch, n, &listed[n as usize - 1]).await?;
        died.extend(died_run(fetch, chain, found, now, start.n).await?);
    }
    Ok(Begun { start, file, died })
}

/// Takes the next number under `starts/`. `chain` is brought up to date.
pub async fn begin(
    store: &dyn Store,
    clock: &dyn Clock,
    chain: &mut Chain,
    request: &StartRequest<'_>,
) -> Result<Begun, StartError> {
    if request.deadline > LONGEST_DEADLINE {
        return Err(StartError::DeadlineTooLong(request.deadline));
    }
    let fetch = store.as_fetch();
    let listed = list(fetch).await?;
    chain.advance(fetch).await?;
    let last = listed.len() as u64;
    let mut unsealed = Vec::new();
    for n in settled_up_to(chain) + 1..=last {
        unsealed.push(read(fetch, n, &listed[n as usize - 1]).await?);
    }
    let wanted = &request.run_id;
    let same = |found: &ReadStart| found.start.as_ref().is_ok_and(|s| s.run_id == *wanted);
    if chain.sealed(wanted).is_some()
        || chain.named_dead(wanted).is_some()
        || unsealed.iter().any(same)
    {
        return Err(StartError::Taken {
            run_id: wanted.clone(),
        });
    }
    if let Some(run_id) = request.take_over {
        take_over(store, clock, chain, &unsealed, run_id).await?;
    }

    let now = clock.now();
    let mut died = Vec::new();
    for found in unsealed {
        died.extend(died_run(fetch, chain, found, now, last).await?);
    }

    let start = Start {
        n: last + 1,
        run_id: request.run_id.clone(),
        scheduled_for: request.scheduled_for,
        started_at: now,
        deadline_at: now.plus_ms(request.deadline.as_millis() as i64),
        head_seq: chain.head().seq,
        config: request.config.clone(),
    };
    let (name, bytes) = (layout::start(start.n), start.to_bytes());
    let sha256 = Sha256Hex::of(&bytes);
    match settle::create(store, clock, &name, Body::Bytes(&bytes), &sha256).await? {
        Settled::Ours(stored) => Ok(Begun {
            start,
            file: FileEntry {
                bytes: bytes.len() as u64,
                name,
                rows: None,
                rows_sha256: None,
                sha256,
                stored: stored.evidence(),
            },
            died,
        }),
        Settled::Taken => {
            let other = fetch.read(&name, START_LIMIT).await?;
            let run_id = match Start::parse(start.n, &other) {
                Ok(other) => other.run_id.to_string(),
                Err(detail) => format!("(its start cannot be read: {detail})"),
            };
            Err(StartError::Lost { n: start.n, run_id })
        }
    }
}

/// Writes `end.json`: an orderly end without a seal. That it exists already is fine: a run ends once.
///
/// Not to be called when a commit's outcome is unknown.
pub async fn end(
    store: &dyn Store,
    clock: &dyn Clock,
    start: &Start,
    reason: &str,
) -> Result<(), StoreError> {
    let value = serde_json::json!({
        "ended_at": clock.now().to_string(),
        "reason": reason,
        "run_id": start.run_id,
        "version": VERSION,
    });
    let bytes = format!("{}\n", canonical::to_string(&value)).into_bytes();
    let name = layout::end(start.scheduled_for, &start.run_id);
    match settle::write_once(store, clock, &name, &bytes).await {
        Err(StoreError::Exists { .. }) => Ok(()),
        other => other,
    }
}

/// The newest start, where its run is alive as far as the archive tells: nobody else may begin one now.
pub async fn live(
    fetch: &dyn Fetch,
    chain: &Chain,
    now: UtcMillis,
) -> Result<Option<Start>, StoreError> {
    let listed = list(fetch).await?;
    let Some(last) = listed.last() else {
        return Ok(None);
    };
    let Ok(start) = read(fetch, listed.len() as u64, last).await?.start else {
        return Ok(None);
    };
    let alive = standing(fetch, chain, &start, now).await? == Standing::Alive;
    Ok(alive.then_some(start))
}

/// The start of a run and how it stands, newest start first; none when no start names the run.
pub async fn find(
    fetch: &dyn Fetch,
    chain: &Chain,
    run_id: &RunId,
    now: UtcMillis,
) -> Result<Option<(Start, FileEntry, Standing)>, StoreError> {
    for (at, listed) in list(fetch).await?.iter().enumerate().rev() {
        let found = read(fetch, at as u64 + 1, listed).await?;
        let Ok(start) = found.start else { continue };
        if start.run_id == *run_id {
            let standing = standing(fetch, chain, &start, now).await?;
            let stored = fetch.stored(&listed.name).await?;
            let file = FileEntry {
                bytes: listed.bytes,
                name: listed.name.clone(),
                rows: None,
                rows_sha256: None,
                sha256: found.sha256,
                stored: stored.and_then(|stored| stored.evidence()),
            };
            return Ok(Some((start, file, standing)));
        }
    }
    Ok(None)
}

async fn take_over(
    store: &dyn Store,
    clock: &dyn Clock,
    chain: &Chain,
    unsealed: &[ReadStart],
    run_id: &RunId,
) -> Result<(), StartError> {
    if chain.sealed(run_id).is_some() || chain.named_dead(run_id).is_some() {
        return Ok(());
    }
    let named = unsealed
        .iter()
        .filter_map(|found| found.start.as_ref().ok())
        .find(|start| start.run_id == *run_id);
    match named {
        Some(start) => Ok(end(store, clock, start, "taken over: its process was dead").await?),
        None => Err(StartError::NothingToTakeOver {
            run_id: run_id.clone(),
        }),
    }
}
