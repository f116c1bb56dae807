//! A generated AWS organization, served on loopback over the real AWS wire protocols.
//!
//! The sandbox exists so that the audit can be shown, tested and measured without an AWS account.
//! It uses nothing of the auditor: a mistake shared by both sides would hide itself. Every scenario
//! that [`world`] generates *states* its own truth ([`world::truth`]) instead of computing it with
//! the auditor's rules.
//!
//! - [`world`]: the organization as plain data, deterministic from [`Options`]; pure.
//! - [`wire`]: HTTP, SigV4 scope, protocols, faults, token buckets.
//! - [`services`]: one file per AWS service, answering from the world and the mutable [`State`].
//!
//! Time is an argument: the sandbox answers for the instant its clock tells, so that a simulated
//! week passes in seconds.

pub mod services;
pub mod wire;
pub mod world;

pub use wire::{Running, start};
pub use world::truth::TAGS;
pub use world::{Options, World};

use std::sync::Arc;

/// External id that some accounts' roles ask for.
pub const EXTERNAL_ID: &str = "keyproof-external";

/// Access key id and secret of an account's own user. The sandbox reads the account from the id and
/// checks no signature, so that the secret is just a word.
pub fn credentials(account: &str) -> (String, String) {
    (format!("AKIA{account}USER"), "sandbox".to_owned())
}

/// Milliseconds since the Unix epoch, as the sandbox's own clock tells it.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;
