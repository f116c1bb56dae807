//! What a reader sees of the runs that began: their starts, and how each run stands.

use serde::Deserialize;

use super::document::Start;
use super::{END_LIMIT, START_LIMIT, StartError};
use crate::archive::chain::Chain;
use crate::archive::layout::{self, Name};
use crate::archive::store::{Fetch, Listed, StoreError};
use crate::model::ids::Sha256Hex;
use crate::seal::DiedRun;
use crate::time::UtcMillis;

/// Characters of a reason that the next seal repeats.
const LONGEST_REASON: usize = 300;

/// How a run stands that has a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Sealed {
        seq: u64,
    },
    /// A seal names it as died.
    NamedDead {
        seq: u64,
    },
    Ended {
        reason: String,
    },
    PastDeadline,
    Alive,
}

/// A start as it was read.
pub(super) struct ReadStart {
    pub n: u64,
    pub sha256: Sha256Hex,
    pub start: Result<Start, String>,
}

/// Starts 1, 2, … up to the first number that is free: like the head of the chain, the next number
/// cannot be moved by a file at a high one.
pub(super) async fn list(fetch: &dyn Fetch) -> Result<Vec<Listed>, StoreError> {
    let mut dense = Vec::new();
    for listed in fetch.list(layout::STARTS).await? {
        let n = dense.len() as u64 + 1;
        if Name::parse(&listed.name) == Some(Name::Start { n }) {
            dense.push(listed);
        }
    }
    Ok(dense)
}

/// Every start up to this number is sealed or named: a run names all unsealed ones before its own.
pub(super) fn settled_up_to(chain: &Chain) -> u64 {
    chain.runs().map(|(_, run)| run.start_n).max().unwrap_or(0)
}

pub(super) async fn read(
    fetch: &dyn Fetch,
    n: u64,
    listed: &Listed,
) -> Result<ReadStart, StoreError> {
    if listed.bytes > START_LIMIT {
        let (sha256, _) = fetch.digest(&listed.name).await?;
        let start = Err(format!("it has {} bytes", listed.bytes));
        return Ok(ReadStart { n, sha256, start });
    }
    let bytes = fetch.read(&listed.name, START_LIMIT).await?;
    Ok(ReadStart {
        n,
        sha256: Sha256Hex::of(&bytes),
        start: Start::parse(n, &bytes),
    })
}

pub(super) async fn standing(
    fetch: &dyn Fetch,
    chain: &Chain,
    start: &Start,
    now: UtcMillis,
) -> Result<Standing, StoreError> {
    if let Some(entry) = chain.sealed(&start.run_id) {
        return Ok(Standing::Sealed { seq: entry.seq });
    }
    if let Some(entry) = chain.named_dead(&start.run_id) {
        return Ok(Standing::NamedDead { seq: entry.seq });
    }
    if let Some(reason) = end_reason(fetch, start).await? {
        return Ok(Standing::Ended { reason });
    }
    Ok(if now > start.deadline_at {
        Standing::PastDeadline
    } else {
        Standing::Alive
    })
}

/// Why a start counts as died; none when it is sealed. An error when it is the last one and alive.
async fn why_over(
    fetch: &dyn Fetch,
    chain: &Chain,
    found: &ReadStart,
    now: UtcMillis,
    last: u64,
) -> Result<Option<String>, StartError> {
    let start = match &found.start {
        Ok(start) => start,
        Err(detail) => return Ok(Some(format!("the start cannot be read: {detail}"))),
    };
    Ok(match standing(fetch, chain, start, now).await? {
        Standing::Sealed { .. } | Standing::NamedDead { .. } => None,
        Standing::Ended { reason } => Some(reason),
        Standing::PastDeadline => Some(format!("past its deadline {}", start.deadline_at)),
        Standing::Alive if found.n < last => Some("another run began after it".to_owned()),
        Standing::Alive => {
            return Err(StartError::Alive {
                run_id: start.run_id.clone(),
                started_at: start.started_at,
                deadline_at: start.deadline_at,
            });
        }
    })
}

/// The start as a seal names it; none when it is sealed or named already.
pub(super) async fn died_run(
    fetch: &dyn Fetch,
    chain: &Chain,
    found: ReadStart,
    now: UtcMillis,
    last: u64,
) -> Result<Option<DiedRun>, StartError> {
    let reason = why_over(fetch, chain, &found, now, last).await?;
    Ok(reason.map(|reason| DiedRun {
        start_n: found.n,
        start_sha256: found.sha256,
        run_id: found.start.ok().map(|start| start.run_id),
        reason,
    }))
}

async fn end_reason(fetch: &dyn Fetch, start: &Start) -> Result<Option<String>, StoreError> {
    #[derive(Deserialize)]
    struct End {
        reason: String,
    }
    let name = layout::end(start.scheduled_for, &start.run_id);
    let unread = "ended; its end.json cannot be read".to_owned();
    match fetch.read(&name, END_LIMIT).await {
        Ok(bytes) => Ok(Some(match serde_json::from_slice::<End>(&bytes) {
            Ok(end) => end.reason.chars().take(LONGEST_REASON).collect(),
            Err(_) => unread,
        })),
        Err(StoreError::Absent { .. }) => Ok(None),
        // Whoever writes it may write anything, and on locked storage it stays: it must stop no run.
        Err(StoreError::TooLarge { .. }) => Ok(Some(unread)),
        Err(error) => Err(error),
    }
}
