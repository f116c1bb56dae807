//! Keyproof proves, for every account of an AWS organization and every day, whether the logs of
//! Amazon EMR clusters lie under a KMS key that the organization controls and can use.
//!
//! ```text
//! discover -> collect -> assess -> record -> seal -> archive -> rollup -> report / query
//! ```
//!
//! Data flows one way: a module may use those to its left, [`model`], [`time`] and [`error`], and
//! nothing to its right. [`run`] alone calls across stages. The core (model, assess, record, seal)
//! is pure: the clock, randomness and AWS arrive as arguments. [`aws`] alone imports AWS SDKs.
//!
//! Words: a *fact* is what AWS said; a *finding* what one rule concluded; a *verdict* what all
//! findings conclude for one cluster; a *cell* is account × Region × source; *coverage* says how each
//! expected cell ended. Instants are UTC milliseconds and end in `_at`.

pub mod archive;
pub mod assess;
pub mod aws;
pub mod cli;
pub mod collect;
pub mod config;
pub mod discover;
pub mod engine;
pub mod error;
pub mod model;
pub mod policy;
pub mod query;
pub mod record;
pub mod report;
pub mod rollup;
pub mod run;
pub mod sandbox;
pub mod seal;
pub mod testkit;
pub mod time;

// Tests allocate as the program does.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
