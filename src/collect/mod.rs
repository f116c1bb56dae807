//! From a scope to facts and coverage: what AWS said, and how every cell ended.
//!
//! - [`api`], [`operation`]: what is asked of AWS, one attempt at a time.
//! - [`bucket`], [`attempt`], [`session`]: token buckets, the one retry loop, a member's session.
//! - [`scope`], [`exceptions`], [`facts`]: what comes in and what goes out.
//! - [`engine`]: the two passes. First one unit per account (`account`, `account_region`): Regions,
//!   clusters, their settings, security configurations, bucket names. Then one unit per account
//!   that owns something which clusters referenced (`lookups`): keys and log buckets.
//! - [`listing`], [`settings`], [`security_configuration`], [`key_policy`], [`coverage`]: the rules,
//!   as plain functions of values.

pub mod api;
pub mod attempt;
pub mod bucket;
pub mod coverage;
pub mod engine;
pub mod exceptions;
pub mod facts;
pub mod key_policy;
pub mod listing;
pub mod operation;
pub mod random;
pub mod scope;
pub mod security_configuration;
pub mod session;
pub mod settings;

mod account;
mod account_region;
mod bucket_lookup;
mod key_lookup;
mod lookups;
mod references;

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests;

pub use engine::{CollectError, Collected, Context, Options, Regions, collect};
