//! What one slot of the chain holds, judged on its own: the one definition of "signed" that the
//! writers (`chain`, `commit`) and `verify` share.

use super::layout;
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{
    ArchiveId, Content, Envelope, EnvelopeError, Period, PublicKey, SignatureError, Statement,
    StatementError,
};

/// Entries beyond this are not read; a run's entry has a few kilobytes.
pub const ENTRY_LIMIT: u64 = 16 * 1024 * 1024;

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
    #[error("{0}")]
    StatementMalformed(String),
    #[error("{0}")]
    NewerVersion(String),
    #[error("signed for archive {archive_id}")]
    ForeignArchive { archive_id: ArchiveId },
    #[error("signed for slot {signed_for}")]
    Replayed { signed_for: u64 },
}

/// Judges the bytes in `slot`. `archive_id` is what entry 1 says; none while judging entry 1.
pub fn judge(
    bytes: &[u8],
    slot: u64,
    key: &PublicKey,
    archive_id: Option<&ArchiveId>,
) -> Result<Statement, SlotFault> {
    let envelope = Envelope::parse(bytes).map_err(|e| match e {
        EnvelopeError::NotCanonical(_) => SlotFault::EnvelopeNotCanonical(e.to_string()),
        EnvelopeError::WrongPayloadType(_) => SlotFault::WrongPayloadType(e.to_string()),
    })?;
    if envelope.keyid != key.keyid() {
        return Err(SlotFault::UnknownSigner {
            keyid: envelope.keyid,
        });
    }
    key.verify(&envelope.signed_bytes(), &envelope.signature)
        .map_err(SlotFault::BadSignature)?;
    let statement = read_statement(&envelope)?;
    match archive_id {
        Some(id) if *id != statement.archive_id => Err(SlotFault::ForeignArchive {
            archive_id: statement.archive_id,
        }),
        _ if statement.seq != slot => Err(SlotFault::Replayed {
            signed_for: statement.seq,
        }),
        _ => Ok(statement),
    }
}

/// The statement in an envelope, whoever signed it.
pub fn read_statement(envelope: &Envelope) -> Result<Statement, SlotFault> {
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
    }
}
