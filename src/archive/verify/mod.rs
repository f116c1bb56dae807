//! Verification as a library over [`Fetch`](super::store::Fetch): seven levels.
//!
//! | level | asks | in |
//! |---|---|---|
//! | 1 files | is every object the one that was sealed, none missing, none too many? | `files`, `accounting` |
//! | 2 signature | is every entry signed by the archive's key, in its one encoding? | `check`, `continuity` |
//! | 3 continuity | is the chain whole, ours, and as long as when it was last seen? | `continuity` |
//! | 4 storage | does storage keep one version of each object, under the lock and key it was written with? | `storage` |
//! | 5 completeness | does a run speak for every date, and its coverage for its whole scope? | `schedule`, `completeness` |
//! | 6 clocks | do signed times, AWS's times and the order of entries agree? | `clocks` |
//! | 7 anchor | does what was remembered or copied elsewhere say the same? | `anchor` |
//!
//! Each way of being wrong is a [`Failure`] of its own; what is odd and wrong in no way is a
//! [`Notice`]. Levels 1 to 3 are
//! always looked at; the level asked for decides what is reported, and which of the others are.
//! Evidence is hashed in bounded memory. `scripts/verify-archive.sh` does levels 1 to 3
//! without this program, and must agree.

mod accounting;
mod anchor;
mod check;
mod clocks;
mod completeness;
mod continuity;
mod failure;
mod files;
mod report;
mod schedule;
mod storage;

pub use check::{verify, verify_with_copy};
pub use failure::{Failure, Notice};
pub use report::{
    LevelOutcome, LevelResult, Report, Trust, VerifiedRollup, VerifiedRun, VerifyOptions,
};

#[cfg(test)]
mod tests;
