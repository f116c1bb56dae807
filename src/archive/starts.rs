//! One run at a time: a run begins by taking the next number under `starts/`, create-only, and may do
//! so only when the run of the last number is over.
//!
//! A run is over when it is sealed, when its `end.json` exists, or past its deadline. A start that
//! cannot be read counts as over, and is named in the next seal like every other start that nobody
//! sealed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::{Chain, ChainError};
use super::layout::{self, Name};
use super::settle::{self, Settled};
use super::store::{Body, Fetch, Listed, Store, StoreError};
use crate::model::canonical;
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{DiedRun, FileEntry};
use crate::time::{Clock, Date, UtcMillis};

/// Longest time that a run may claim for itself.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 3_600);
const START_LIMIT: u64 = 16 * 1024 * 1024;
const END_LIMIT: u64 = 64 * 1024;
/// Characters of a reason that the next seal repeats.
const LONGEST_REASON: usize = 300;
const VERSION: &str = "1";

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

/// What a run intends; the content of `starts/<n>.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub n: u64,
    pub run_id: RunId,
    pub scheduled_for: Date,
    pub started_at: UtcMillis,
    pub deadline_at: UtcMillis,
    /// Last signed entry of the chain when the run began.
    pub head_seq: u64,
    /// The configuration that rules read, already a projection without secrets.
    pub config: Value,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    config: Value,
    deadline_at: String,
    head_seq: u64,
    n: u64,
    run_id: RunId,
    scheduled_for: String,
    started_at: String,
    version: String,
}

impl Start {
    /// The stored form: one line of canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        let value = serde_json::json!({
            "config": self.config,
            "deadline_at": self.deadline_at.to_string(),
            "head_seq": self.head_seq,
            "n": self.n,
            "run_id": self.run_id,
            "scheduled_for": self.scheduled_for.to_string(),
            "started_at": self.started_at.to_string(),
            "version": VERSION,
        });
        format!("{}\n", canonical::to_string(&value)).into_bytes()
    }

    /// Reads start `n`. Fields of newer versions are passed over: whether a run is alive must be
    /// seen across versions.
    pub fn parse(n: u64, bytes: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if wire.n != n {
            return Err(format!("it says that it is number {}", wire.n));
        }
        let time = |text: &str| text.parse::<UtcMillis>().map_err(|e| e.to_string());
        let started_at = time(&wire.started_at)?;
        let longest = started_at.plus_ms(LONGEST_DEADLINE.as_millis() as i64);
        Ok(Self {
            n,
            run_id: wire.run_id,
            scheduled_for: wire.scheduled_for.parse().map_err(|e| format!("{e}"))?,
            started_at,
            deadline_at: time(&wire.deadline_at)?.min(longest),
            head_seq: wire.head_seq,
            config: wire.config,
        })
    }
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
    let same = |found: &Found| found.start.as_ref().is_ok_and(|s| s.run_id == *wanted);
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

struct Found {
    n: u64,
    sha256: Sha256Hex,
    start: Result<Start, String>,
}

/// Starts 1, 2, … up to the first number that is free: like the head of the chain, the next number
/// cannot be moved by a file at a high one.
async fn list(fetch: &dyn Fetch) -> Result<Vec<Listed>, StoreError> {
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
fn settled_up_to(chain: &Chain) -> u64 {
    chain.runs().map(|(_, run)| run.start_n).max().unwrap_or(0)
}

async fn read(fetch: &dyn Fetch, n: u64, listed: &Listed) -> Result<Found, StoreError> {
    if listed.bytes > START_LIMIT {
        let (sha256, _) = fetch.digest(&listed.name).await?;
        let start = Err(format!("it has {} bytes", listed.bytes));
        return Ok(Found { n, sha256, start });
    }
    let bytes = fetch.read(&listed.name, START_LIMIT).await?;
    Ok(Found {
        n,
        sha256: Sha256Hex::of(&bytes),
        start: Start::parse(n, &bytes),
    })
}

async fn standing(
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
    found: &Found,
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
async fn died_run(
    fetch: &dyn Fetch,
    chain: &Chain,
    found: Found,
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
        Err(error @ StoreError::Failed { .. }) => match fetch.digest(&name).await {
            Ok((_, bytes)) if bytes > END_LIMIT => Ok(Some(unread)),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

async fn take_over(
    store: &dyn Store,
    clock: &dyn Clock,
    chain: &Chain,
    unsealed: &[Found],
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::seal::Content;
    use crate::testkit::{Fault, FaultStore, MemoryStore, SampleArchive};
    use crate::time::{DAY_MS, HOUR_MS};

    async fn begun() -> (SampleArchive, Arc<MemoryStore>, Chain, Begun) {
        let (mut archive, memory) = SampleArchive::in_memory();
        let mut chain = archive.chain().await.expect("chain");
        let begun = archive.begin(&mut chain, None).await.expect("begin");
        (archive, memory, chain, begun)
    }

    #[tokio::test]
    async fn a_start_reads_back_as_written() {
        let (_, memory, _, begun) = begun().await;
        let bytes = memory.read_now("starts/0000000001.json");
        assert_eq!(Start::parse(1, &bytes), Ok(begun.start.clone()));
        assert_eq!(Sha256Hex::of(&bytes), begun.file.sha256);
        assert!(Start::parse(2, &bytes).is_err(), "copied to another number");
        for bad in ["", "null", "{}", "[1]"] {
            assert!(Start::parse(1, bad.as_bytes()).is_err());
        }
    }

    #[tokio::test]
    async fn a_second_run_waits_for_the_first() {
        let (mut archive, memory, mut chain, first) = begun().await;
        let second = archive.begin(&mut chain, None).await;
        let Err(StartError::Alive { run_id, .. }) = second else {
            panic!("{second:?}");
        };
        assert_eq!(run_id, first.start.run_id);
        assert!(!memory.objects().contains_key("starts/0000000002.json"));

        archive.clock.advance_ms(6 * HOUR_MS + 1);
        let third = archive
            .begin(&mut chain, None)
            .await
            .expect("past its deadline");
        assert_eq!(third.start.n, 2);
        assert_eq!(third.died.len(), 1);
        assert_eq!(third.died[0].run_id.as_ref(), Some(&first.start.run_id));
        assert!(third.died[0].reason.contains("deadline"));
    }

    #[tokio::test]
    async fn two_runs_of_the_same_second_are_one() {
        let (archive, memory) = SampleArchive::in_memory();
        let chain = archive.chain().await.expect("chain");
        let (mut a, mut b) = (archive.over(memory.clone()), archive.over(memory.clone()));
        b.begin(
            &mut chain.clone(),
            Some(&"20261124T020003Z-7f3a".parse().expect("id")),
        )
        .await
        .expect_err("burns an id, so that the two differ");
        let (mut one, mut two) = (chain.clone(), chain.clone());
        let (one, two) = tokio::join!(a.begin(&mut one, None), b.begin(&mut two, None));
        let results = [one, two];
        let lost: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
        assert!(
            matches!(
                lost.as_slice(),
                [StartError::Lost { n: 1, .. } | StartError::Alive { .. }]
            ),
            "{results:?}"
        );
    }

    #[tokio::test]
    async fn a_sealed_run_makes_way_and_is_not_dead() {
        let (mut archive, _, mut chain, first) = begun().await;
        let (manifest, seal) = archive.collect(&chain, &first).await.expect("data");
        archive
            .seal(&mut chain, &manifest, Content::Run(seal))
            .await
            .expect("sealed");
        let second = archive.begin(&mut chain, None).await.expect("begin");
        assert_eq!((second.start.n, second.died.len()), (2, 0));
        assert_eq!(second.start.head_seq, 2);
    }

    #[tokio::test]
    async fn an_orderly_end_makes_way() {
        let (mut archive, _, mut chain, first) = begun().await;
        for reason in ["interrupted by SIGTERM", "said again"] {
            end(&*archive.store, &archive.clock, &first.start, reason)
                .await
                .expect("end");
        }
        let second = archive.begin(&mut chain, None).await.expect("begin");
        assert_eq!(second.died[0].reason, "interrupted by SIGTERM");
    }

    #[tokio::test]
    async fn take_over_ends_the_dead_run_and_no_other() {
        let (mut archive, memory, mut chain, first) = begun().await;
        let other = "20261124T020003Z-7f3a".parse().expect("id");
        let taken = archive.begin(&mut chain, Some(&other)).await;
        assert!(
            matches!(taken, Err(StartError::NothingToTakeOver { .. })),
            "{taken:?}"
        );
        let run_id = first.start.run_id.clone();
        let second = archive
            .begin(&mut chain, Some(&run_id))
            .await
            .expect("begin");
        assert_eq!(second.start.n, 2);
        assert!(second.died[0].reason.contains("taken over"));
        let end = layout::end(first.start.scheduled_for, &run_id);
        assert!(memory.objects().contains_key(&end));
    }

    #[tokio::test]
    async fn whatever_an_end_says_it_stops_no_run() {
        for (end, reason) in [
            (
                format!(r#"{{"reason":"{}"}}"#, "x".repeat(50_000)),
                "x".repeat(300),
            ),
            (
                "x".repeat(70_000),
                "ended; its end.json cannot be read".to_owned(),
            ),
            (
                "junk".to_owned(),
                "ended; its end.json cannot be read".to_owned(),
            ),
        ] {
            let (mut archive, memory) = SampleArchive::in_memory();
            let mut chain = archive.chain().await.expect("chain");
            let first = archive.begin(&mut chain, None).await.expect("begin").start;
            memory.replace(&layout::end(first.scheduled_for, &first.run_id), end);
            let second = archive.begin(&mut chain, None).await.expect("begin");
            assert_eq!(second.died[0].reason, reason);
        }
    }

    #[tokio::test]
    async fn an_unreadable_start_is_over_and_named_once() {
        let (mut archive, memory) = SampleArchive::in_memory();
        let mut chain = archive.chain().await.expect("chain");
        memory.replace("starts/0000000001.json", "junk");
        memory.replace("starts/0000000009.json", "beyond a free number");
        let begun = archive.begin(&mut chain, None).await.expect("begin");
        assert_eq!(begun.start.n, 2);
        assert_eq!(begun.died[0].run_id, None);
        assert_eq!(begun.died[0].start_sha256, Sha256Hex::of(b"junk"));
        let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
        archive
            .seal(&mut chain, &manifest, Content::Run(seal))
            .await
            .expect("sealed");
        let next = archive.begin(&mut chain, None).await.expect("begin");
        assert_eq!(next.died, [], "named once");
    }

    #[tokio::test]
    async fn a_claim_of_years_ends_after_a_day() {
        let (mut archive, memory, mut chain, first) = begun().await;
        let text = String::from_utf8(memory.read_now("starts/0000000001.json")).expect("text");
        let deadline = first.start.deadline_at.to_string();
        memory.replace(
            "starts/0000000001.json",
            text.replace(&deadline, "2999-01-01T00:00:00.000Z"),
        );
        archive.clock.advance_ms(DAY_MS + 1);
        archive.begin(&mut chain, None).await.expect("begin");
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_lose_the_number() {
        let (archive, memory) = SampleArchive::in_memory();
        let chain = archive.chain().await.expect("chain");
        for call in 1..=4 {
            let memory = Arc::new(MemoryStore::holding(memory.objects()));
            let faulty = FaultStore::new(memory.clone(), [(call, Fault::LostAnswer)]);
            let begun = archive
                .over(Arc::new(faulty))
                .begin(&mut chain.clone(), None)
                .await;
            // Calls 1 and 2 list; the third writes.
            assert_eq!(begun.is_ok(), call > 2, "{begun:?}");
        }
    }

    #[tokio::test]
    async fn only_a_run_that_is_not_over_goes_on() {
        let (mut archive, memory, chain, first) = begun().await;
        let run_id = &first.start.run_id;
        let go_on = async |archive: &SampleArchive, chain: &Chain, still| {
            let fetch = archive.store.as_fetch();
            super::go_on(fetch, &archive.clock, chain, run_id, still).await
        };
        let again = go_on(&archive, &chain, Still::ToCollect).await;
        assert_eq!(again.expect("it is alive"), first);
        archive.clock.advance_ms(6 * HOUR_MS + 1);
        let late = go_on(&archive, &chain, Still::ToCollect).await;
        assert!(matches!(late, Err(StartError::TooLate { .. })), "{late:?}");
        assert!(go_on(&archive, &chain, Still::ToSeal).await.is_ok());

        // Another run begins after the deadline; until it seals, the first may.
        let mut chain = chain;
        let second = archive.begin(&mut chain, None).await.expect("begin");
        assert!(go_on(&archive, &chain, Still::ToSeal).await.is_ok());
        let (manifest, seal) = archive.collect(&chain, &second).await.expect("data");
        archive
            .seal(&mut chain, &manifest, Content::Run(seal))
            .await
            .expect("sealed");
        let dead = go_on(&archive, &chain, Still::ToSeal).await;
        assert!(
            matches!(dead, Err(StartError::NamedDead { .. })),
            "{dead:?}"
        );
        let id = &second.start.run_id;
        let fetch = archive.store.as_fetch();
        let sealed = super::go_on(fetch, &archive.clock, &chain, id, Still::ToSeal).await;
        assert!(
            matches!(sealed, Err(StartError::Sealed { .. })),
            "{sealed:?}"
        );
        let none = "20261124T020003Z-0000".parse().expect("id");
        let none = super::go_on(fetch, &archive.clock, &chain, &none, Still::ToSeal).await;
        assert!(
            matches!(none, Err(StartError::NoSuchRun { .. })),
            "{none:?}"
        );

        let (archive, _, chain, first) = begun().await;
        end(&*archive.store, &archive.clock, &first.start, "interrupted")
            .await
            .expect("end");
        let fetch = archive.store.as_fetch();
        let id = &first.start.run_id;
        let ended = super::go_on(fetch, &archive.clock, &chain, id, Still::ToSeal).await;
        assert!(matches!(ended, Err(StartError::Ended { .. })), "{ended:?}");
        drop(memory);
    }

    #[tokio::test]
    async fn a_run_is_found_with_how_it_stands() {
        let (archive, _, chain, first) = begun().await;
        let find = |now| find(archive.store.as_fetch(), &chain, &first.start.run_id, now);
        let now = archive.clock.now();
        let (start, file, standing) = find(now).await.expect("find").expect("start");
        assert_eq!((start, file), (first.start.clone(), first.file.clone()));
        assert_eq!(standing, Standing::Alive);
        let later = now.plus_ms(DAY_MS);
        let (.., standing) = find(later).await.expect("find").expect("start");
        assert_eq!(standing, Standing::PastDeadline);
    }
}
