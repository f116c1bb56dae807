//! The commit: one create-only write of `chain/<seq>.dsse.json`. Before it nothing was sealed, after
//! it everything is. Data files, start and receipts are written before [`commit`] is called.
//!
//! | died or failed | a reader sees | the next run does |
//! |---|---|---|
//! | before the start was written | nothing | takes the same start number |
//! | after the start, while collecting or writing data | files under an unsealed run: a notice | waits for the deadline, `end.json` or `--take-over`; its seal names the run as died. `run --resume` goes on instead |
//! | a step of a prepared run (`collect`, `assess`), its receipt not written | the same | the same; the step given again writes files of its own, and the seal names the dead one's as orphans |
//! | after the receipt | the same | the same; the step given again does nothing |
//! | after the manifest or the sums | the same | the same; whoever goes on with this run writes the same bytes again |
//! | in the commit, the entry not written | the same | the same |
//! | in the commit, the entry written, the answer lost | a sealed run | finds it in the chain: `commit` for that run id returns the entry; no second signature is made |
//! | the outcome stayed unknown | one of the last two rows | the same; the failed run writes no `end.json`, for it may be sealed |
//! | somebody else took the slot with a signed entry | their entry | (this commit) links to it and takes the next slot |
//! | something unsigned took the slot | a burnt slot: an intruder until named | (this commit) names it, links over it to the last signed entry |
//! | after the entry | a sealed run | nothing: a run's local files are all that is left |
//! | storage answers that it keeps other bytes than were sent | one of the two rows of an unknown outcome | (this commit) sends the same bytes again and reads what is there |
//! | before its deadline, the commit after it | files under an unsealed run: a notice | (this commit of `run`) refuses and the run writes `end.json`; the check comes before each signature. `seal` may come later, until another seal names the run as died |
//! | while another process took the run over | `end.json` | (this commit) refuses; the check comes before each signature, so `end.json` written in the instant between it and the slot leaves a sealed run with a notice |

use super::chain::{Chain, ChainError, Entry};
use super::layout;
use super::settle::{self, Settled};
use super::signer::{SignError, Signer};
use super::slot;
use super::store::{Body, Store, StoreError};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{Content, Envelope, Manifest, Period, Producer, PublicKey, Statement, Subject};
use crate::time::{Clock, UtcMillis};

/// Slots that one commit tries before it gives up; each lost one means that somebody else sealed.
pub(super) const SLOTS: u32 = 100;

/// Why a run was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Sign(#[from] SignError),
    /// It may be sealed: write no `end.json`; the next run will see.
    #[error(
        "it is not known whether {name} was written, and so whether the run is sealed: run keyproof verify"
    )]
    OutcomeUnknown { name: String },
    /// The chain holds another seal of the same run.
    #[error("run {run_id} is sealed already by entry {seq}, with other files")]
    SealedOtherwise { run_id: RunId, seq: u64 },
    #[error("run {run_id} was ended (its end.json exists) and can no longer be sealed")]
    Ended { run_id: RunId },
    #[error("run {run_id} was given up: entry {seq} names it as died; it can no longer be sealed")]
    NamedDead { run_id: RunId, seq: u64 },
    /// Another run may have begun, and nothing may be sealed over it.
    #[error(
        "run {run_id} had until {until}, which is over: it is not sealed, for another run may have begun; \
         begin a new one, with a longer --deadline"
    )]
    TooLate { run_id: RunId, until: UtcMillis },
    #[error("the signing key {key} made a signature that does not verify")]
    BadSignature { key: String },
    #[error("the entry was not signed: {0}")]
    NotPermitted(String),
    #[error(
        "the entry would have {bytes} bytes, and {limit} are the limit: are there thousands of unsealed starts, or of exceptions?"
    )]
    TooLarge { bytes: u64, limit: u64 },
    #[error("{SLOTS} slots of the chain were taken by others in a row")]
    Crowded,
    /// The caller's fault: the manifest is that of another run or archive.
    #[error("the manifest does not belong to the run that is to be sealed: {0}")]
    WrongManifest(&'static str),
}

/// What is to be sealed.
#[derive(Debug, Clone)]
pub struct CommitRequest<'a> {
    /// A run or a rollup. Runs that were sealed meanwhile are dropped from its died runs.
    pub content: Content,
    /// Every file of it, all of them written.
    pub manifest: &'a Manifest,
    pub producer: Producer,
    /// After this nothing is signed any more.
    pub until: Option<UtcMillis>,
}

/// The entry that seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub seq: u64,
    /// Digest of the chain file: the archive's new head.
    pub sha256: Sha256Hex,
    pub name: String,
    /// Sealed by an earlier attempt whose answer was lost.
    pub earlier: bool,
}

/// Writes the manifest and its sums and says what to vouch for. Written again with the same bytes,
/// nothing happens. A rollup writes it before its data: it has no start, and its leftovers are
/// recognised by their manifest.
pub async fn write_manifest(
    store: &dyn Store,
    clock: &dyn Clock,
    manifest: &Manifest,
) -> Result<Vec<Subject>, StoreError> {
    let mut subjects = Vec::new();
    for (name, bytes) in [
        (
            layout::manifest(manifest.period, &manifest.run_id),
            manifest.to_bytes(),
        ),
        (
            layout::sums(manifest.period, &manifest.run_id),
            manifest.sums().into_bytes(),
        ),
    ] {
        settle::write_once(store, clock, &name, &bytes).await?;
        let sha256 = Sha256Hex::of(&bytes);
        subjects.push(Subject { name, sha256 });
    }
    Ok(subjects)
}

/// Seals a run or rollup. On success `chain` ends with its entry.
pub async fn commit(
    store: &dyn Store,
    signer: &dyn Signer,
    clock: &dyn Clock,
    chain: &mut Chain,
    request: &CommitRequest<'_>,
) -> Result<Committed, CommitError> {
    check_manifest(chain, request)?;
    let run_id = &request.manifest.run_id;
    chain.advance(store.as_fetch()).await?;
    may_seal(store, chain, request).await?;
    let earlier = chain.sealed(run_id).is_some();
    let subjects = if earlier {
        Vec::new()
    } else {
        write_manifest(store, clock, request.manifest).await?
    };

    for _ in 0..SLOTS {
        if let Some(entry) = chain.sealed(run_id) {
            return sealed_before(entry, request);
        }
        chain.check_signer(signer.public_key())?;
        may_seal(store, chain, request).await?;
        in_time(clock, request)?;
        let content = without_sealed(chain, request.content.clone());
        let entry = Unsigned {
            content,
            producer: &request.producer,
            subjects: &subjects,
            key: None,
        };
        if let Some(committed) = try_slot(store, signer, clock, chain, entry).await? {
            return Ok(committed);
        }
    }
    Err(CommitError::Crowded)
}

/// What the next entry says; the chain says where it goes.
pub(super) struct Unsigned<'a> {
    pub content: Content,
    pub producer: &'a Producer,
    pub subjects: &'a [Subject],
    /// The signing key that the content names, if any.
    pub key: Option<&'a PublicKey>,
}

/// Signs an entry for the next slot and writes it there: the commit point. None when somebody else
/// took the slot; then `chain` has moved on, and the caller looks again at what it says.
pub(super) async fn try_slot(
    store: &dyn Store,
    signer: &dyn Signer,
    clock: &dyn Clock,
    chain: &mut Chain,
    entry: Unsigned<'_>,
) -> Result<Option<Committed>, CommitError> {
    let key = entry.key;
    let statement = Statement {
        archive_id: chain.archive_id().clone(),
        seq: chain.next_seq(),
        previous_sha256: Some(chain.head().sha256.clone()),
        burnt_slots: chain.burnt().to_vec(),
        at: clock.now(),
        producer: entry.producer.clone(),
        content: entry.content,
        subjects: entry.subjects.to_vec(),
    };
    let keyid = signer.public_key().keyid();
    chain
        .keys()
        .permits(&keyid, &statement.content)
        .map_err(CommitError::NotPermitted)?;
    let bytes = sign(signer, &statement).await?;
    // Readers would take it for something that no entry can be.
    if bytes.len() as u64 > slot::ENTRY_LIMIT {
        return Err(CommitError::TooLarge {
            bytes: bytes.len() as u64,
            limit: slot::ENTRY_LIMIT,
        });
    }
    let sha256 = Sha256Hex::of(&bytes);
    let name = layout::entry(statement.seq);
    match settle::create(store, clock, &name, Body::Bytes(&bytes), &sha256).await {
        Ok(Settled::Ours(_)) => {
            let seq = statement.seq;
            let entry = Entry {
                seq,
                sha256: sha256.clone(),
                statement,
            };
            chain.committed(entry, key);
            Ok(Some(Committed {
                seq,
                sha256,
                name,
                earlier: false,
            }))
        }
        Ok(Settled::Taken) => {
            chain.advance(store.as_fetch()).await?;
            Ok(None)
        }
        Err(StoreError::OutcomeUnknown { name, .. }) => Err(CommitError::OutcomeUnknown { name }),
        Err(error) => Err(error.into()),
    }
}

/// Signs a statement: the bytes of its chain file. The signature is checked before anybody sees it.
pub(super) async fn sign(
    signer: &dyn Signer,
    statement: &Statement,
) -> Result<Vec<u8>, CommitError> {
    let payload = statement.to_bytes();
    let to_sign = Envelope::to_sign(&payload);
    let signature = signer.sign(&to_sign).await?;
    let key = signer.public_key();
    key.verify(&to_sign, &signature)
        .map_err(|_| CommitError::BadSignature {
            key: signer.describe(),
        })?;
    let envelope = Envelope {
        payload,
        keyid: key.keyid(),
        signature,
    };
    Ok(envelope.to_bytes())
}

fn check_manifest(chain: &Chain, request: &CommitRequest<'_>) -> Result<(), CommitError> {
    let manifest = request.manifest;
    let period = match &request.content {
        Content::Run(run) => Period::Date(run.scheduled_for),
        Content::Rollup(rollup) => Period::Quarter(rollup.quarter),
        Content::Backfill(backfill) => Period::Date(backfill.scheduled_for),
        Content::Genesis(_) | Content::Key(_) | Content::Note(_) => {
            return Err(CommitError::WrongManifest(
                "only runs, rollups and backfills have one",
            ));
        }
    };
    if manifest.archive_id != *chain.archive_id() {
        Err(CommitError::WrongManifest("archive id"))
    } else if Some(&manifest.run_id) != request.content.run_id() {
        Err(CommitError::WrongManifest("run id"))
    } else if manifest.period != period {
        Err(CommitError::WrongManifest("date or quarter"))
    } else {
        Ok(())
    }
}

async fn may_seal(
    store: &dyn Store,
    chain: &Chain,
    request: &CommitRequest<'_>,
) -> Result<(), CommitError> {
    let Content::Run(run) = &request.content else {
        return Ok(());
    };
    if chain.sealed(&run.run_id).is_some() {
        return Ok(());
    }
    let run_id = run.run_id.clone();
    if let Some(entry) = chain.named_dead(&run_id) {
        let seq = entry.seq;
        return Err(CommitError::NamedDead { run_id, seq });
    }
    match store.digest(&layout::end(run.scheduled_for, &run_id)).await {
        Err(StoreError::Absent { .. }) => Ok(()),
        Ok(_) => Err(CommitError::Ended { run_id }),
        Err(error) => Err(error.into()),
    }
}

fn in_time(clock: &dyn Clock, request: &CommitRequest<'_>) -> Result<(), CommitError> {
    match request.until {
        Some(until) if clock.now() > until => Err(CommitError::TooLate {
            run_id: request.manifest.run_id.clone(),
            until,
        }),
        _ => Ok(()),
    }
}

fn sealed_before(entry: &Entry, request: &CommitRequest<'_>) -> Result<Committed, CommitError> {
    let run_id = request.manifest.run_id.clone();
    let manifest = Sha256Hex::of(&request.manifest.to_bytes());
    let same = entry.statement.subjects.first().map(|s| &s.sha256) == Some(&manifest)
        && slot::subject_names(&entry.statement.content) == slot::subject_names(&request.content);
    if same {
        Ok(Committed {
            seq: entry.seq,
            sha256: entry.sha256.clone(),
            name: layout::entry(entry.seq),
            earlier: true,
        })
    } else {
        let seq = entry.seq;
        Err(CommitError::SealedOtherwise { run_id, seq })
    }
}

/// A run that looked dead when this one began may have sealed since, or been named by another.
fn without_sealed(chain: &Chain, mut content: Content) -> Content {
    if let Content::Run(run) = &mut content {
        let named = |n| {
            chain
                .runs()
                .any(|(_, earlier)| earlier.died_runs.iter().any(|died| died.start_n == n))
        };
        run.died_runs.retain(|died| {
            let sealed = died.run_id.as_ref().and_then(|id| chain.sealed(id));
            sealed.is_none() && !named(died.start_n)
        });
    }
    content
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::archive::starts;
    use crate::testkit::{Fault, FaultStore, FixedClock, SampleArchive};

    async fn collected() -> (
        SampleArchive,
        Arc<crate::testkit::MemoryStore>,
        Chain,
        Manifest,
        Content,
    ) {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.run().await.expect("an earlier run");
        let mut chain = archive.chain().await.expect("chain");
        let begun = archive.begin(&mut chain, None).await.expect("begin");
        let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
        (archive, memory, chain, manifest, Content::Run(seal))
    }

    fn entries(memory: &crate::testkit::MemoryStore) -> usize {
        let objects = memory.objects();
        objects.keys().filter(|n| n.starts_with("chain/")).count()
    }

    #[tokio::test]
    async fn a_run_is_never_sealed_twice_whatever_fails() {
        use Fault::{Conflict, Dead, DeadAfter, Denied, Failed, LostAnswer, NeverArrived};
        for fault in [
            Conflict,
            Dead,
            DeadAfter,
            Denied,
            Failed,
            LostAnswer,
            NeverArrived,
        ] {
            for call in 1..=12 {
                let (archive, memory, mut chain, manifest, content) = collected().await;
                let faulty =
                    archive.over(Arc::new(FaultStore::new(memory.clone(), [(call, fault)])));
                let first = faulty.seal(&mut chain, &manifest, content.clone()).await;
                let mut again = archive.chain().await.expect("chain");
                let second = archive
                    .seal(&mut again, &manifest, content)
                    .await
                    .expect("sealed in the end");
                assert_eq!(entries(&memory), 3, "{fault:?} at call {call}");
                assert_eq!(second.seq, 3);
                if let Ok(first) = first {
                    assert_eq!(first.sha256, second.sha256);
                    assert!(second.earlier);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_lost_answer_is_settled_with_the_same_bytes() {
        let (archive, memory, mut chain, manifest, content) = collected().await;
        // The commit point is the last call of all.
        let copy = Arc::new(crate::testkit::MemoryStore::holding(memory.objects()));
        let counting = FaultStore::new(copy, []);
        archive
            .over(Arc::new(counting.clone()))
            .seal(&mut chain.clone(), &manifest, content.clone())
            .await
            .expect("sealed");
        let calls = counting.calls();
        let faulty = FaultStore::new(memory.clone(), [(calls, Fault::LostAnswer)]);
        let committed = archive
            .over(Arc::new(faulty))
            .seal(&mut chain, &manifest, content)
            .await
            .expect("sealed");
        assert!(!committed.earlier);
        assert_eq!(
            committed.sha256,
            Sha256Hex::of(&memory.read_now("chain/0000000003.dsse.json"))
        );
        assert_eq!(chain.head().sha256, committed.sha256);
    }

    /// From its deadline on another run may begin.
    #[tokio::test]
    async fn nothing_is_sealed_after_the_deadline_but_what_was_sealed_before_it() {
        for (late, ms) in [(false, 0), (true, 1)] {
            let (archive, memory, mut chain, manifest, content) = collected().await;
            let until = archive.clock.now().plus_ms(1_000);
            let request = CommitRequest {
                content,
                manifest: &manifest,
                producer: archive.producer.clone(),
                until: Some(until),
            };
            archive.clock.advance_ms(1_000 + ms);
            let (store, clock) = (archive.store.clone(), archive.clock.clone());
            let signer = &*archive.signer;
            let sealed = commit(&*store, signer, &*clock, &mut chain, &request).await;
            if late {
                let refused = sealed.expect_err("too late");
                assert!(matches!(refused, CommitError::TooLate { .. }), "{refused}");
                let said = refused.to_string();
                for part in [&until.to_string(), "begin a new one", "--deadline"] {
                    assert!(said.contains(part), "{said}");
                }
                assert_eq!(entries(&memory), 2);
                continue;
            }
            // Asked again when it is late, it is found and not signed again.
            archive.clock.advance_ms(5_000);
            let again = commit(&*store, signer, &*clock, &mut chain, &request).await;
            let again = again.expect("sealed before");
            assert!(again.earlier && again.sha256 == sealed.expect("in time").sha256);
            assert_eq!(entries(&memory), 3);
        }
    }

    #[tokio::test]
    async fn an_outcome_that_stays_unknown_says_so() {
        let (archive, memory, mut chain, manifest, content) = collected().await;
        let always = (6..40).map(|call| (call, Fault::NeverArrived));
        let faulty = FaultStore::new(memory.clone(), always);
        let sealed = archive
            .over(Arc::new(faulty))
            .seal(&mut chain, &manifest, content)
            .await;
        assert!(
            matches!(sealed, Err(CommitError::OutcomeUnknown { .. })),
            "{sealed:?}"
        );
    }

    #[tokio::test]
    async fn a_slot_taken_by_others_moves_the_entry_on() {
        let (mut archive, memory, mut chain, manifest, content) = collected().await;
        // Taken by a signed entry while this process was busy, then by junk.
        archive.rollup().await.expect("rollup");
        memory.replace("chain/0000000004.dsse.json", "junk");
        let committed = archive
            .seal(&mut chain, &manifest, content)
            .await
            .expect("sealed");
        assert_eq!(committed.seq, 5);
        assert_eq!(chain.head().statement.burnt_slots, [4]);
        let again = archive.chain().await.expect("reads back");
        assert_eq!(again.head(), chain.head());
    }

    #[tokio::test]
    async fn two_writers_get_two_slots() {
        let (mut archive, memory, chain, manifest, content) = collected().await;
        let mut own = chain.clone();
        let other = archive.over(memory.clone());
        let (run, rollup) =
            tokio::join!(other.seal(&mut own, &manifest, content), archive.rollup());
        let (run, rollup) = (run.expect("run"), rollup.expect("rollup"));
        assert_ne!(run.seq, rollup.seq);
        assert_eq!(archive.chain().await.expect("chain").next_seq(), 5);
    }

    #[tokio::test]
    async fn a_run_that_was_given_up_is_not_sealed() {
        let (mut archive, memory, mut chain, manifest, content) = collected().await;
        let run_id = manifest.run_id.clone();
        let before = memory.objects();
        let (start, ..) = starts::find(
            archive.store.as_fetch(),
            &chain,
            &run_id,
            archive.clock.now(),
        )
        .await
        .expect("find")
        .expect("start");
        starts::end(
            &*archive.store,
            &FixedClock::at(archive.clock.now()),
            &start,
            "stopped",
        )
        .await
        .expect("end");
        let sealed = archive.seal(&mut chain, &manifest, content.clone()).await;
        assert!(
            matches!(sealed, Err(CommitError::Ended { .. })),
            "{sealed:?}"
        );

        archive.run().await.expect("the next run names it");
        for name in memory.objects().keys().filter(|n| n.ends_with("end.json")) {
            memory.remove(name);
        }
        let sealed = archive.seal(&mut chain, &manifest, content).await;
        assert!(
            matches!(sealed, Err(CommitError::NamedDead { seq: 3, .. })),
            "{sealed:?}"
        );
        assert!(
            before
                .keys()
                .all(|name| memory.objects().contains_key(name))
        );
    }

    #[tokio::test]
    async fn other_files_for_a_sealed_run_are_refused() {
        let (archive, _, mut chain, manifest, content) = collected().await;
        archive
            .seal(&mut chain, &manifest, content.clone())
            .await
            .expect("sealed");
        let mut other = manifest.clone();
        other.files.pop();
        let sealed = archive.seal(&mut chain, &other, content.clone()).await;
        assert!(matches!(
            sealed,
            Err(CommitError::SealedOtherwise { seq: 3, .. })
        ));
        other.run_id = "20261124T020003Z-7f3a".parse().expect("id");
        let sealed = archive.seal(&mut chain, &other, content).await;
        assert!(matches!(sealed, Err(CommitError::WrongManifest(_))));
    }

    #[tokio::test]
    async fn a_clock_that_went_backwards_breaks_no_chain() {
        let (mut archive, _memory, mut chain, manifest, content) = collected().await;
        archive.clock.advance_ms(-3 * crate::time::DAY_MS);
        let committed = archive
            .seal(&mut chain, &manifest, content)
            .await
            .expect("sealed");
        let again = archive.chain().await.expect("reads back");
        assert_eq!(again.head().seq, committed.seq);
        let entries = again.entries();
        let before = &entries[entries.len() - 2].statement;
        assert!(again.head().statement.at < before.at, "it says what it saw");
        let next = archive.begin(&mut again.clone(), None).await;
        assert!(next.is_ok(), "{next:?}");
    }
}
