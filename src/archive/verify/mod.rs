//! Verification as a library over [`Fetch`](super::store::Fetch): levels 1 to 3.
//!
//! | level | asks | in |
//! |---|---|---|
//! | 1 files | is every object the one that was sealed, none missing, none too many? | `files`, `accounting` |
//! | 2 signature | is every entry signed by the archive's key, in its one encoding? | `check`, `continuity` |
//! | 3 continuity | is the chain whole, ours, and as long as when it was last seen? | `continuity` |
//!
//! Each way of being wrong is a [`Failure`] of its own; what is odd and wrong in no way is a
//! [`Notice`]. Everything is always looked at; the level asked for decides what is reported.
//! Evidence is hashed in bounded memory. `scripts/verify-archive.sh` does the same without this
//! program, and must agree.

mod accounting;
mod check;
mod continuity;
mod failure;
mod files;
mod report;

pub use check::verify;
pub use failure::{Failure, Notice};
pub use report::{
    LevelOutcome, LevelResult, Report, Trust, VerifiedRollup, VerifiedRun, VerifyOptions,
};

#[cfg(test)]
mod tests;
