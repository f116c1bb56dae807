use super::{ControlEvent, Launch};
use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::table::{Cell, CellError, Column, Dataset};
use crate::model::words::TrailOutcome;
use crate::time::{Date, UtcMillis};

/// Declares rows that a backfill found in the files of a trail. They are datasets of their own, since those of
/// runs hold rows of runs of record alone.
macro_rules! backfilled {
    ($(#[doc = $about:literal])+ $row:ident of $of:ident: $name:literal, $meaning:literal) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $row(pub $of);

        impl Dataset for $row {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const MEANING: &'static str = $meaning;
            const COLUMNS: &'static [Column] = $of::COLUMNS;
            const KEY: &'static [usize] = $of::KEY;

            fn cell(&self, position: usize) -> Cell<'_> {
                self.0.cell(position)
            }

            fn from_cells<'a>(next: impl FnMut(usize) -> Cell<'a>) -> Result<Self, CellError> {
                $of::from_cells(next).map(Self)
            }
        }

        impl std::ops::Deref for $row {
            type Target = $of;

            fn deref(&self) -> &$of {
                &self.0
            }
        }
    };
}

backfilled! {
    /// A launch that a backfill found.
    BackfilledLaunch of Launch: "backfilled_launch",
    " One row per RunJobFlow event that a backfill found in the files of a trail, judged by the facts of a sealed run. Columns as in `launch`; `scheduled_for` is the date on which the backfill began."
}

backfilled! {
    /// A change that a backfill found.
    BackfilledControlEvent of ControlEvent: "backfilled_control_event",
    " One row per event that a backfill found in the files of a trail and that can turn good clusters bad, repair them, or blind the trail. Columns as in `control_event`; `scheduled_for` is the date on which the backfill began."
}

dataset! {
    /// One row per account, Region and stretch of time that a backfill read of a trail's files, and what the
    /// trail's digest files say of it. The rows of an account and Region join without a gap.
    pub struct TrailReading: "trail_reading" v 1, key [account_id, region, from_ms];
    /// Date on which the backfill began.
    scheduled_for: Date = "UTC date";
    /// Account whose events are meant.
    account_id: AccountId = "12 digits";
    /// Region of the events; `global` where not even the Regions are known.
    region: Region = "Region";
    /// Where the stretch begins.
    from_at: UtcMillis = "UTC";
    /// The same, for arithmetic.
    from_ms: i64 = "ms since 1970";
    /// Its end, not included.
    to_ms: i64 = "ms since 1970";
    /// What can be said of the events of that time. Only `validated` counts as observed.
    outcome: TrailOutcome = "validated, not_validated, not_read, failed";
    /// Why it is not validated.
    reason: Option<String> = "NoDigest, NotInDigest, PublicKeyUnavailable, DigestMissing, DigestUnsigned, DigestSignature, DigestMalformed, DigestUnlinked, LogFileMissing, LogFileChanged, LogFileMalformed, LogFileTooLarge, NoTrail, or an AWS error code";
    /// The first file that this is about, or where it should lie.
    file: Option<String> = "s3:// URL";
    /// Files that were found wanting.
    files_wanting: i64 = "files";
    /// Digest files whose hour begins in the stretch.
    digests: i64 = "files";
    /// Log files that were read and whose hour begins in it.
    files: i64 = "files";
    /// Size of these, as stored.
    bytes: i64 = "bytes";
    /// Records in them, of whatever kind.
    records: i64 = "records";
    /// Records that nobody could understand, though of a kind that is kept.
    records_unreadable: i64 = "records";
}
