//! Every way in which an archive can be wrong, one variant each, and what is merely worth telling.

use crate::archive::layout;
use crate::archive::slot::SlotFault;
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::ArchiveId;

/// One thing that is wrong. [`Failure::class`] is the word for it that `docs/verification.md` and
/// `scripts/verify-archive.sh` use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    // Level 1: files.
    #[error("entry 1 is not the pinned one: expected SHA-256 {expected}, found {found}")]
    GenesisNotPinned {
        expected: Sha256Hex,
        found: Sha256Hex,
    },
    #[error("there is no entry 1: nothing was ever sealed here, or everything was removed")]
    EmptyArchive,
    #[error("{name} is missing; {needed_by} vouches for it")]
    MissingFile { name: String, needed_by: String },
    #[error("{name} was changed: sealed with SHA-256 {expected}, found {found}")]
    DigestMismatch {
        name: String,
        expected: Sha256Hex,
        found: Sha256Hex,
    },
    #[error("{name} was cut: sealed with {expected_bytes} bytes, found {found_bytes}")]
    Truncated {
        name: String,
        expected_bytes: u64,
        found_bytes: u64,
    },
    #[error("{name} should not be there: {why}")]
    UnexpectedObject { name: String, why: &'static str },
    #[error("{name} is vouched for and says nonsense: {detail}")]
    MalformedManifest { name: String, detail: String },
    #[error("{name} lists other files or digests than its manifest")]
    SumsDisagree { name: String },
    #[error("{name} cannot be read: {detail}")]
    Unreadable { name: String, detail: String },

    // Level 2: signature.
    #[error("the archive is sealed with key {found}, trusted is {trusted}")]
    WrongKey {
        trusted: Sha256Hex,
        found: Sha256Hex,
    },
    #[error("{name}: {detail}")]
    PemNotCanonical { name: String, detail: String },
    #[error("{}: {detail}", layout::entry(*slot))]
    EnvelopeNotCanonical { slot: u64, detail: String },
    #[error("{}: {detail}", layout::entry(*slot))]
    WrongPayloadType { slot: u64, detail: String },
    #[error("{} is signed by key {keyid}, which this archive does not trust", layout::entry(*slot))]
    UnknownSigner { slot: u64, keyid: Sha256Hex },
    #[error("{}: {detail}", layout::entry(*slot))]
    BadSignature { slot: u64, detail: String },
    #[error("{}: {detail}", layout::entry(*slot))]
    StatementMalformed { slot: u64, detail: String },
    #[error("{name}: {detail}")]
    NewerVersion { name: String, detail: String },

    // Level 3: continuity.
    #[error("the chain has a gap: {} is missing, later entries exist", layout::entry(*slot))]
    Gap { slot: u64 },
    #[error(
        "{} links to {found}, the signed entry before it has SHA-256 {expected}",
        layout::entry(*slot)
    )]
    LinkMismatch {
        slot: u64,
        expected: Sha256Hex,
        found: String,
    },
    #[error("{} was signed for another archive ({archive_id})", layout::entry(*slot))]
    ForeignArchive { slot: u64, archive_id: ArchiveId },
    #[error("{} was signed for slot {signed_for}", layout::entry(*slot))]
    ReplayedEntry { slot: u64, signed_for: u64 },
    #[error(
        "{} links over slot {intruder} without naming it as burnt ({detail})",
        layout::entry(*slot)
    )]
    Intruder {
        slot: u64,
        intruder: u64,
        detail: String,
    },
    #[error("{} names slot {named} as burnt, which holds no intruder", layout::entry(*slot))]
    BurntSlotWrong { slot: u64, named: u64 },
    #[error("run {run_id} is sealed twice: by entry {first} and by entry {slot}")]
    TwiceSealed {
        slot: u64,
        first: u64,
        run_id: RunId,
    },
    #[error("run {run_id} is sealed by one entry and named as died by another: {first} and {slot}")]
    DeadRunSealed {
        slot: u64,
        first: u64,
        run_id: RunId,
    },
    #[error(
        "the end of the chain was removed: entry {expected} was seen, the last one now is {found}"
    )]
    RemovedTail { expected: u64, found: u64 },
    #[error(
        "entry {slot} is not the one that was seen: expected SHA-256 {expected}, found {found}"
    )]
    HeadChanged {
        slot: u64,
        expected: Sha256Hex,
        found: Sha256Hex,
    },
}

impl Failure {
    /// The word for this way of being wrong.
    pub fn class(&self) -> &'static str {
        match self {
            Self::EmptyArchive => "empty_archive",
            Self::MissingFile { .. } => "missing_file",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Truncated { .. } => "truncated",
            Self::UnexpectedObject { .. } => "unexpected_object",
            Self::MalformedManifest { .. } => "malformed_manifest",
            Self::SumsDisagree { .. } => "sums_disagree",
            Self::Unreadable { .. } => "unreadable",
            Self::GenesisNotPinned { .. } => "genesis_not_pinned",
            Self::WrongKey { .. } => "wrong_key",
            Self::PemNotCanonical { .. } => "pem_not_canonical",
            Self::EnvelopeNotCanonical { .. } => "envelope_not_canonical",
            Self::WrongPayloadType { .. } => "wrong_payload_type",
            Self::UnknownSigner { .. } => "unknown_signer",
            Self::BadSignature { .. } => "bad_signature",
            Self::StatementMalformed { .. } => "statement_malformed",
            Self::NewerVersion { .. } => "newer_version",
            Self::Gap { .. } => "gap",
            Self::LinkMismatch { .. } => "link_mismatch",
            Self::ForeignArchive { .. } => "foreign_archive",
            Self::ReplayedEntry { .. } => "replayed_entry",
            Self::Intruder { .. } => "intruder",
            Self::BurntSlotWrong { .. } => "burnt_slot_wrong",
            Self::TwiceSealed { .. } => "twice_sealed",
            Self::DeadRunSealed { .. } => "dead_run_sealed",
            Self::RemovedTail { .. } => "removed_tail",
            Self::HeadChanged { .. } => "head_changed",
        }
    }

    /// The level that this failure fails.
    pub fn level(&self) -> u8 {
        match self {
            Self::GenesisNotPinned { .. }
            | Self::EmptyArchive
            | Self::MissingFile { .. }
            | Self::DigestMismatch { .. }
            | Self::Truncated { .. }
            | Self::UnexpectedObject { .. }
            | Self::MalformedManifest { .. }
            | Self::SumsDisagree { .. }
            | Self::Unreadable { .. } => 1,
            Self::WrongKey { .. }
            | Self::PemNotCanonical { .. }
            | Self::EnvelopeNotCanonical { .. }
            | Self::WrongPayloadType { .. }
            | Self::UnknownSigner { .. }
            | Self::BadSignature { .. }
            | Self::StatementMalformed { .. }
            | Self::NewerVersion { .. } => 2,
            Self::Gap { .. }
            | Self::LinkMismatch { .. }
            | Self::ForeignArchive { .. }
            | Self::ReplayedEntry { .. }
            | Self::Intruder { .. }
            | Self::BurntSlotWrong { .. }
            | Self::TwiceSealed { .. }
            | Self::DeadRunSealed { .. }
            | Self::RemovedTail { .. }
            | Self::HeadChanged { .. } => 3,
        }
    }

    /// Whether the level fails. A slot or manifest that vouches for nothing any more fails level 1
    /// beside its own: the files that it was there for are nobody's.
    pub fn fails(&self, level: u8) -> bool {
        self.level() == level || (level == 1 && self.leaves_files_unvouched())
    }

    fn leaves_files_unvouched(&self) -> bool {
        matches!(
            self,
            Self::EnvelopeNotCanonical { .. }
                | Self::WrongPayloadType { .. }
                | Self::UnknownSigner { .. }
                | Self::BadSignature { .. }
                | Self::StatementMalformed { .. }
                | Self::NewerVersion { .. }
                | Self::ForeignArchive { .. }
                | Self::ReplayedEntry { .. }
                | Self::Intruder { .. }
                | Self::Gap { .. }
        )
    }

    /// What a fault in `slot` is when no later entry names the slot as burnt.
    pub(super) fn of_slot(slot: u64, fault: SlotFault) -> Self {
        let detail = fault.to_string();
        match fault {
            SlotFault::TooLarge | SlotFault::EnvelopeNotCanonical(_) => {
                Self::EnvelopeNotCanonical { slot, detail }
            }
            SlotFault::WrongPayloadType(_) => Self::WrongPayloadType { slot, detail },
            SlotFault::UnknownSigner { keyid } => Self::UnknownSigner { slot, keyid },
            SlotFault::BadSignature(_) => Self::BadSignature { slot, detail },
            SlotFault::StatementMalformed(_) => Self::StatementMalformed { slot, detail },
            SlotFault::NewerVersion(_) => Self::NewerVersion {
                name: layout::entry(slot),
                detail,
            },
            SlotFault::ForeignArchive { archive_id } => Self::ForeignArchive { slot, archive_id },
            SlotFault::Replayed { signed_for } => Self::ReplayedEntry { slot, signed_for },
        }
    }
}

/// Something that an auditor may want to know and that makes nothing fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// A burnt slot that the next entry names.
    #[error("slot {slot} holds an intruder ({detail}); entry {named_by} names it")]
    Intruder {
        slot: u64,
        named_by: u64,
        detail: String,
    },
    /// A run that began and was not sealed: alive, ended or dead.
    #[error(
        "run {run_id} (start {n}) is not sealed; {files} of its files are there and count for nothing"
    )]
    UnsealedRun { n: u64, run_id: RunId, files: u64 },
    /// A rollup that wrote its manifest and was not sealed.
    #[error("rollup {run_id} is not sealed; {files} of its files are there and count for nothing")]
    UnsealedRollup { run_id: RunId, files: u64 },
    #[error("start {n} cannot be read ({detail}); the next seal names it")]
    UnreadableStart { n: u64, detail: String },
    /// Somebody ended the run in the instant in which it was sealed.
    #[error("run {run_id} is sealed and has an end.json as well, written in the same moment")]
    EndedAndSealed { run_id: RunId },
}
