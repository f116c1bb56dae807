//! Who can use a key, from the facts of a run: its policy and grants, and the identities of the
//! accounts that it lets in. Pure.
//!
//! ```text
//! kms_key + kms_grant rows -> KeyFacts ─┐
//! principal rows -> Identities ─────────┼─ may this role write?        writer, destination
//!                                       ├─ who is let in from outside? openings
//!                                       └─ who may do this at all?     holders, readers
//! ```
//!
//! Service and resource control policies, session policies and those of VPC endpoints are not
//! collected: every answer assumes that they forbid nothing ([`LAYERS_NOT_READ`]).

mod answers;
mod destination;
mod facts;
mod holders;
mod limits;
mod openings;
mod readers;
mod setting;
mod units;
mod uses;
mod writer;

pub use answers::Answers;
pub(super) use destination::Destination;
pub(super) use openings::Opening;
pub(super) use uses::{Access, BucketUse};
pub(super) use writer::{Caller, Ruling};

/// The assumption that every answer makes.
pub(super) const LAYERS_NOT_READ: &str = "layers_not_read";
