//! Every way in which an archive can be wrong, one variant each, and what is merely worth telling.

use super::files::unreadable;
use crate::archive::keyring::KeyFault;
use crate::archive::layout;
use crate::archive::slot::SlotFault;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::words::RunOutcome;
use crate::seal::ArchiveId;
use crate::time::{Date, UtcMillis};

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
    #[error("{more} more objects should not be there")]
    MoreUnexpected { more: u64 },
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
    KeyMisused { slot: u64, detail: String },
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

    // Level 4: storage.
    #[error("{name} has {versions} versions: something was written over it, or restored")]
    SecondVersion { name: String, versions: usize },
    #[error("{name} has a delete marker: somebody deleted it")]
    DeleteMarker { name: String },
    #[error("{name} is stored with SHA-256 {found}, sealed with {expected}")]
    StoredOtherwise {
        name: String,
        expected: Sha256Hex,
        found: Sha256Hex,
    },
    #[error("{name} is under no lock, {expected}")]
    LockMissing { name: String, expected: String },
    #[error("{name} is locked {found}, {expected}")]
    LockShortened {
        name: String,
        expected: String,
        found: String,
    },
    #[error("{name} lies under {found}, it was written under {expected}")]
    OtherStorageKey {
        name: String,
        expected: String,
        found: String,
    },

    // Level 5: schedule and completeness.
    #[error("no run speaks for {}: {why}", dates(*from, *to))]
    ScheduleHole {
        from: Date,
        to: Date,
        why: &'static str,
    },
    #[error("dates from {from} on were asked for, and the archive begins on {begun}")]
    BeforeTheBeginning { from: Date, begun: Date },
    #[error(
        "run {run_id} for {date} began at {started_at}, later than 36 h after the start of its date, and its seal does not say so"
    )]
    LateNotSaid {
        run_id: RunId,
        date: Date,
        started_at: UtcMillis,
    },
    #[error("run {run_id} for {date} began at {started_at}, before its date did")]
    DateNotBegun {
        run_id: RunId,
        date: Date,
        started_at: UtcMillis,
    },
    #[error("run {run_id} is sealed for {sealed}, and its start says {started}")]
    ScheduleChanged {
        run_id: RunId,
        sealed: String,
        started: String,
    },
    #[error("run {run_id} did not begin when it says: {detail}")]
    StartedOutOfOrder { run_id: RunId, detail: String },
    #[error("{}: run {run_id} has start {n}, and a run of start {before} is sealed before it", layout::entry(*slot))]
    StartsBackwards {
        slot: u64,
        run_id: RunId,
        n: u64,
        before: u64,
    },
    #[error("run {run_id} of {date} is PARTIAL, and complete ones are required")]
    PartialRun { run_id: RunId, date: Date },
    #[error("run {run_id} of {date} is late, so that none speaks for the date")]
    LateRun { run_id: RunId, date: Date },
    #[error("run {run_id} has no coverage of {} of its scope: {}", accounts(*count), example)]
    ScopeNotCovered {
        run_id: RunId,
        count: usize,
        example: String,
    },
    #[error("run {run_id} has coverage of {} outside its scope: {}", accounts(*count), example)]
    CoverageOutsideScope {
        run_id: RunId,
        count: usize,
        example: String,
    },
    #[error("run {run_id}: its seal and its rows do not count alike: {detail}")]
    CountsDisagree { run_id: RunId, detail: String },
    #[error("run {run_id} is sealed as {sealed}, and by its coverage it is {found}")]
    OutcomeWrong {
        run_id: RunId,
        sealed: RunOutcome,
        found: RunOutcome,
    },
    #[error("{}: run {run_id} was judged by rules {found}, and rules {before} judged before it", layout::entry(*slot))]
    RulesDowngraded {
        slot: u64,
        run_id: RunId,
        before: String,
        found: String,
    },
    #[error("{name} is as it was sealed, and its rows cannot be read: {detail}")]
    RowsUnreadable { name: String, detail: String },

    // Level 6: clocks.
    #[error("run {run_id} was made by a clock {offset_ms} ms away from AWS's")]
    ClockOff { run_id: RunId, offset_ms: i64 },
    #[error("{} says that it was signed at {at}, and {what} at {before}", layout::entry(*slot))]
    SignedBackwards {
        slot: u64,
        at: UtcMillis,
        what: &'static str,
        before: UtcMillis,
    },
    #[error("{} was written at {at}, and the entry before it at {before}", layout::entry(*slot))]
    WrittenOutOfOrder {
        slot: u64,
        at: UtcMillis,
        before: UtcMillis,
    },
    #[error("{} was written at {written_at} and says that it was signed at {signed_at}", layout::entry(*slot))]
    WrittenFarFromSigned {
        slot: u64,
        written_at: UtcMillis,
        signed_at: UtcMillis,
    },
    #[error("{} was written at {written_at} and says that its run began at {started_at}", layout::start(*n))]
    StartWrittenFar {
        n: u64,
        written_at: UtcMillis,
        started_at: UtcMillis,
    },

    // Level 7: anchors.
    #[error("the copy {copy} has other bytes in {}: expected SHA-256 {expected}, found {found}", layout::entry(*slot))]
    CopyDiffers {
        copy: String,
        slot: u64,
        expected: Sha256Hex,
        found: Sha256Hex,
    },
    #[error("the copy {copy} has {}, and the archive does not", layout::entry(*slot))]
    OnlyInCopy { copy: String, slot: u64 },
    #[error("the copy {copy} lacks {}, and has later entries", layout::entry(*slot))]
    CopyGap { copy: String, slot: u64 },
}

fn accounts(count: usize) -> String {
    if count == 1 {
        "an account".to_owned()
    } else {
        format!("{count} accounts")
    }
}

fn dates(from: Date, to: Date) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from} to {to}")
    }
}

/// The word for each way of being wrong, and the levels that fail with it, its own first.
macro_rules! classes {
    ($($variant:ident = $class:literal $levels:expr;)+) => {
        impl Failure {
            /// Every class with the levels that it fails, its own first.
            pub const CLASSES: &[(&str, &[u8])] = &[$(($class, &$levels)),+];

            /// The word for this way of being wrong.
            pub fn class(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $class, )+ }
            }

            /// The levels that this fails, its own first.
            pub fn levels(&self) -> &'static [u8] {
                match self { $( Self::$variant { .. } => &$levels, )+ }
            }
        }
    };
}

// A slot or manifest that vouches for nothing any more fails level 1 beside its own: the files that it
// was there for are nobody's. A head that was seen is an anchor.
classes! {
    GenesisNotPinned = "genesis_not_pinned" [1];
    EmptyArchive = "empty_archive" [1];
    MissingFile = "missing_file" [1];
    DigestMismatch = "digest_mismatch" [1];
    Truncated = "truncated" [1];
    UnexpectedObject = "unexpected_object" [1];
    MoreUnexpected = "unexpected_object" [1];
    MalformedManifest = "malformed_manifest" [1];
    SumsDisagree = "sums_disagree" [1];
    Unreadable = "unreadable" [1];
    WrongKey = "wrong_key" [2];
    PemNotCanonical = "pem_not_canonical" [2];
    EnvelopeNotCanonical = "envelope_not_canonical" [2, 1];
    WrongPayloadType = "wrong_payload_type" [2, 1];
    UnknownSigner = "unknown_signer" [2, 1];
    BadSignature = "bad_signature" [2, 1];
    KeyMisused = "key_misused" [2, 1];
    StatementMalformed = "statement_malformed" [2, 1];
    NewerVersion = "newer_version" [2, 1];
    Gap = "gap" [3, 1];
    LinkMismatch = "link_mismatch" [3];
    ForeignArchive = "foreign_archive" [3, 1];
    ReplayedEntry = "replayed_entry" [3, 1];
    Intruder = "intruder" [3, 1];
    BurntSlotWrong = "burnt_slot_wrong" [3];
    TwiceSealed = "twice_sealed" [3];
    DeadRunSealed = "dead_run_sealed" [3];
    RemovedTail = "removed_tail" [3, 7];
    HeadChanged = "head_changed" [3, 7];
    SecondVersion = "second_version" [4];
    DeleteMarker = "delete_marker" [4];
    StoredOtherwise = "stored_otherwise" [4];
    LockMissing = "lock_missing" [4];
    LockShortened = "lock_shortened" [4];
    OtherStorageKey = "other_storage_key" [4];
    ScheduleHole = "schedule_hole" [5];
    BeforeTheBeginning = "before_the_beginning" [5];
    LateNotSaid = "late_not_said" [5];
    DateNotBegun = "date_not_begun" [5];
    ScheduleChanged = "schedule_changed" [5];
    StartedOutOfOrder = "started_out_of_order" [5];
    StartsBackwards = "starts_backwards" [5];
    PartialRun = "partial_run" [5];
    LateRun = "late_run" [5];
    ScopeNotCovered = "scope_not_covered" [5];
    CoverageOutsideScope = "coverage_outside_scope" [5];
    CountsDisagree = "counts_disagree" [5];
    OutcomeWrong = "outcome_wrong" [5];
    RulesDowngraded = "rules_downgraded" [5];
    RowsUnreadable = "rows_unreadable" [5];
    ClockOff = "clock_off" [6];
    SignedBackwards = "signed_backwards" [6];
    WrittenOutOfOrder = "written_out_of_order" [6];
    WrittenFarFromSigned = "written_far_from_signed" [6];
    StartWrittenFar = "written_far_from_signed" [6];
    CopyDiffers = "copy_differs" [7];
    OnlyInCopy = "only_in_copy" [7];
    CopyGap = "copy_gap" [7];
}

impl Failure {
    /// Whether the level fails.
    pub fn fails(&self, level: u8) -> bool {
        self.levels().contains(&level)
    }

    /// What a key file that cannot be used is.
    pub(super) fn of_key(fault: KeyFault, needed_by: &str) -> Self {
        match fault {
            KeyFault::Store(error) => unreadable(error, needed_by),
            KeyFault::NotCanonical { name, detail } => Self::PemNotCanonical { name, detail },
        }
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
            SlotFault::KeyMisused(_) => Self::KeyMisused { slot, detail },
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
    /// A rollup or a backfill that wrote its manifest and was not sealed.
    #[error(
        "rollup or backfill {run_id} is not sealed; {files} of its files are there and count for nothing"
    )]
    UnsealedRollup { run_id: RunId, files: u64 },
    /// A key change wrote the public key and went no further.
    #[error("key {keyid} is there and no entry names it; nothing that it signs is trusted")]
    UnnamedKey { keyid: Sha256Hex },
    #[error("start {n} cannot be read ({detail}); the next seal names it")]
    UnreadableStart { n: u64, detail: String },
    /// Somebody ended the run in the instant in which it was sealed.
    #[error("run {run_id} is sealed and has an end.json as well, written in the same moment")]
    EndedAndSealed { run_id: RunId },
    /// Data files that are gone, and may be: the retention that entry 1 fixed is over.
    #[error("run {run_id}: {files} of its data files are gone, past the retention of {days} days")]
    Expired {
        run_id: RunId,
        files: u64,
        days: u64,
    },
    #[error("{objects} objects are under no lock: storage lets whoever may delete them do so")]
    NotLocked { objects: u64 },
    /// Entries that were told to be written to a bucket that fails checks, by what they say themselves.
    #[error("entries that were let be written although the bucket failed checks: {entries}; the checks: {}", .checks.join(", "))]
    Unprotected { entries: u64, checks: Vec<String> },
    /// Entries whose writers were not told of the bucket what an archive cannot do without.
    #[error("entries whose writers did not learn how the bucket protects them: {entries}; unknown: {}", .checks.join(", "))]
    ProtectionUnknown { entries: u64, checks: Vec<String> },
    /// Level 6 cannot say anything about such clocks.
    #[error("run {run_id} does not say how far its clock was from AWS's")]
    ClockUnknown { run_id: RunId },
    /// Runs of record with open cells.
    #[error("PARTIAL, some cells had no answer: {}", some(dates))]
    PartialDates { dates: Vec<Date> },
    /// Dates whose runs all began too late to speak for them.
    #[error("only late runs, which speak for no date: {}", some(dates))]
    LateDates { dates: Vec<Date> },
    /// The range ends where the runs do; that none came since is for whoever expects one.
    #[error("no run is sealed after {last}, and one for {due} was due; --to asks for later dates")]
    NothingSince { last: Date, due: Date },
    /// A copy of the chain that was made before the last entries.
    #[error("the copy {copy} ends at entry {seq}, {behind} before the archive's last")]
    CopyBehind { copy: String, seq: u64, behind: u64 },
}

/// The first few of many dates.
fn some(dates: &[Date]) -> String {
    const FIRST: usize = 5;
    let named: Vec<String> = dates.iter().take(FIRST).map(Date::to_string).collect();
    let more = dates.len().saturating_sub(FIRST);
    let more = if more > 0 {
        format!(" +{more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join(", "))
}
