//! What one slot of the chain holds, judged on its own: the one definition of "signed" that the
//! writers (`chain`, `commit`) and `verify` share.

use super::gather::gather;
use super::keyring::Keyring;
use super::layout;
use super::store::{Fetch, Listed, StoreError};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{
    ArchiveId, Content, Envelope, EnvelopeError, Genesis, Period, SignatureError, Statement,
    StatementError,
};

/// Entries beyond this are not read; a run's entry has a few kilobytes.
pub const ENTRY_LIMIT: u64 = 4 * 1024 * 1024;
/// Slots that are held in memory at once, so that a chain of junk stays bounded.
pub const BATCH: usize = 32;

/// Why a slot does not hold an entry of this archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotFault {
    #[error("larger than {ENTRY_LIMIT} bytes")]
    TooLarge,
    #[error("{0}")]
    EnvelopeNotCanonical(String),
    #[error("{0}")]
    WrongPayloadType(String),
    #[error("signed by key {keyid}, which this archive does not trust")]
    UnknownSigner { keyid: Sha256Hex },
    #[error("{0}")]
    BadSignature(SignatureError),
    /// By a trusted key that may not say such a thing.
    #[error("{0}")]
    KeyMisused(String),
    #[error("{0}")]
    StatementMalformed(String),
    #[error("{0}")]
    NewerVersion(String),
    #[error("signed for archive {archive_id}")]
    ForeignArchive { archive_id: ArchiveId },
    #[error("signed for slot {signed_for}")]
    Replayed { signed_for: u64 },
}

/// What a slot holds, not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// Digest of the chain file.
    pub sha256: Sha256Hex,
    /// None when it is larger than an entry can be.
    bytes: Option<Vec<u8>>,
}

impl Unjudged {
    /// Bytes at hand.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            sha256: Sha256Hex::of(&bytes),
            bytes: Some(bytes),
        }
    }

    /// Reads several slots, [`BATCH`] at most.
    pub async fn read(fetch: &dyn Fetch, slots: &[Listed]) -> Vec<Result<Self, StoreError>> {
        gather(slots.iter().collect(), |listed: &Listed| async move {
            if listed.bytes > ENTRY_LIMIT {
                let (sha256, _) = fetch.digest(&listed.name).await?;
                let bytes = None;
                return Ok(Self { sha256, bytes });
            }
            Ok(Self::of(fetch.read(&listed.name, ENTRY_LIMIT).await?))
        })
        .await
    }

    /// Judges it as the content of slot `slot`, by the keys that are trusted there. `archive_id` is
    /// what entry 1 says; none while judging entry 1.
    pub fn judge(
        &self,
        slot: u64,
        keys: &Keyring,
        archive_id: Option<&ArchiveId>,
    ) -> Result<Statement, SlotFault> {
        let envelope = self.envelope()?;
        let key = keys
            .trusted(&envelope.keyid)
            .ok_or_else(|| SlotFault::UnknownSigner {
                keyid: envelope.keyid.clone(),
            })?;
        key.verify(&envelope.signed_bytes(), &envelope.signature)
            .map_err(SlotFault::BadSignature)?;
        let statement = read_statement(&envelope)?;
        match archive_id {
            Some(id) if *id != statement.archive_id => {
                return Err(SlotFault::ForeignArchive {
                    archive_id: statement.archive_id,
                });
            }
            _ if statement.seq != slot => {
                return Err(SlotFault::Replayed {
                    signed_for: statement.seq,
                });
            }
            _ => {}
        }
        keys.permits(&envelope.keyid, &statement.content)
            .map_err(SlotFault::KeyMisused)?;
        Ok(statement)
    }

    /// What entry 1 claims to fix; no signature is checked, for it says itself whose key to use.
    pub fn claimed_genesis(&self) -> Result<Genesis, SlotFault> {
        match read_statement(&self.envelope()?)?.content {
            Content::Genesis(genesis) => Ok(genesis),
            other => Err(SlotFault::StatementMalformed(format!(
                "a {} does not begin an archive",
                other.kind()
            ))),
        }
    }

    fn envelope(&self) -> Result<Envelope, SlotFault> {
        let bytes = self.bytes.as_ref().ok_or(SlotFault::TooLarge)?;
        Envelope::parse(bytes).map_err(|e| match e {
            EnvelopeError::NotCanonical(_) => SlotFault::EnvelopeNotCanonical(e.to_string()),
            EnvelopeError::WrongPayloadType(_) => SlotFault::WrongPayloadType(e.to_string()),
        })
    }
}

/// Whether a slot was judged to hold an entry that a trusted key signed for it and for this archive, even
/// if it says what this program cannot read, or what the key may not say as far as the entries that are
/// here tell.
pub fn is_of_archive(judged: &Result<Statement, SlotFault>) -> bool {
    matches!(
        judged,
        Ok(_) | Err(SlotFault::NewerVersion(_) | SlotFault::KeyMisused(_))
    )
}

/// The statement in an envelope, whoever signed it.
fn read_statement(envelope: &Envelope) -> Result<Statement, SlotFault> {
    let statement = Statement::parse(&envelope.payload).map_err(|e| match e {
        StatementError::Malformed(_) => SlotFault::StatementMalformed(e.to_string()),
        StatementError::NewerVersion(_) => SlotFault::NewerVersion(e.to_string()),
    })?;
    let found: Vec<&str> = statement.subjects.iter().map(|s| s.name.as_str()).collect();
    if subject_names(&statement.content) == found {
        Ok(statement)
    } else {
        Err(SlotFault::StatementMalformed(format!(
            "a {} does not vouch for {found:?}",
            statement.content.kind()
        )))
    }
}

/// The names that a statement about `content` vouches for, in order.
pub fn subject_names(content: &Content) -> Vec<String> {
    let of_run = |period: Period, run_id: &RunId| {
        vec![
            layout::manifest(period, run_id),
            layout::sums(period, run_id),
        ]
    };
    match content {
        Content::Genesis(genesis) => [Some(&genesis.keyid), genesis.recovery_keyid.as_ref()]
            .into_iter()
            .flatten()
            .map(layout::key)
            .collect(),
        Content::Run(run) => of_run(Period::Date(run.scheduled_for), &run.run_id),
        Content::Rollup(rollup) => of_run(Period::Quarter(rollup.quarter), &rollup.run_id),
        Content::Backfill(backfill) => {
            of_run(Period::Date(backfill.scheduled_for), &backfill.run_id)
        }
        Content::Key(change) => vec![layout::key(&change.keyid)],
        Content::Note(note) => vec![layout::entry(note.entry)],
    }
}
