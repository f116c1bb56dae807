//! Launches and changes from the files that a trail delivered to S3, and what the trail's digest files say of them.
//!
//! Pure:
//! - [`places`]: names in a trail's bucket.
//! - [`digest`]: one digest file, its signature, what it vouches for.
//! - [`records`]: a log file, inflated and taken apart record by record as its bytes come.
//! - [`readings`]: what was found of files and digest files, as rows without a gap.
//!
//! And who asks for them, with the source-reader role:
//! - `contents`: what is there: objects and bytes, before anything is read.
//! - [`read`]: one account-region after the other: digest files, then what they vouch for, day by day;
//!   `events`: which records are kept.
//!
//! Memory holds, of each account-region that is being read, the names of its digest files, what those of
//! two days vouch for, one record, and the events that were found. Those of a file are taken once the
//! whole file is as it should be: nothing is taken of half a file.

pub mod digest;
pub mod places;
pub mod readings;
pub mod records;

mod contents;
mod events;
mod read;

use std::collections::BTreeSet;

use crate::collect::attempt::CallError;
use crate::collect::facts::SinkError;
use crate::model::datasets::{ControlEvent, Launch, TrailReading};
use crate::model::ids::{AccountId, Region};
use crate::time::{DAY_MS, Date};

pub use contents::{Contents, Unit, list};
pub use places::TrailPlace;
pub use read::read;

/// What is to be read.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub place: TrailPlace,
    /// Owner of the bucket.
    pub owner: AccountId,
    /// Region of the bucket.
    pub bucket_region: Region,
    /// Role in the owner's account.
    pub role: String,
    /// Digest files of other trails are not looked at; `None` takes those of all.
    pub trail: Option<String>,
    pub accounts: BTreeSet<AccountId>,
    /// Only these; `None` takes all that the trail has.
    pub regions: Option<BTreeSet<Region>>,
    /// Where log keys and log buckets live: changes of these kinds are kept there.
    pub keys: BTreeSet<(AccountId, Region)>,
    pub buckets: BTreeSet<(AccountId, Region)>,
    /// First and last date of the events.
    pub from: Date,
    pub to: Date,
}

impl Wanted {
    /// Folders of days that are read: files are filed by delivery, so one day more on both sides.
    pub fn days(&self) -> impl Iterator<Item = Date> {
        let (first, last) = (self.from.plus_days(-1).days(), self.to.plus_days(1).days());
        (first..=last).map(|day| Date::from_days(i64::from(day)))
    }

    /// The time of the events, half open, in milliseconds.
    pub fn window(&self) -> (i64, i64) {
        (self.from.start().0, self.to.start().0 + DAY_MS)
    }
}

/// What was found of one account-region.
#[derive(Debug)]
pub struct Found {
    /// Sorted, each event once.
    pub launches: Vec<Launch>,
    pub control_events: Vec<ControlEvent>,
    pub readings: Vec<TrailReading>,
}

/// Why a backfill stopped. What AWS refuses of single files is a row, never an error.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Nothing can be said without an answer.
    #[error(
        "the trail's bucket cannot be read: {0}; where it lies in another account than its trail, as in a \
         log archive, name that account with --bucket-owner"
    )]
    Call(#[from] CallError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}
