//! From a scope to facts and coverage: what AWS said, and how every cell ended.
//!
//! - [`api`], [`operation`]: what is asked of AWS, one attempt at a time.
//! - [`bucket`], [`attempt`], [`session`]: token buckets, the one retry loop, a member's session;
//!   [`learned`]: rates that AWS let us have; [`footprint`]: what a cell cost.
//! - [`scope`], [`exceptions`], [`facts`]: what comes in and what goes out.
//! - `options`: what the configuration decides; `shared`: what the units of one collect share.
//! - [`engine`]: the three passes. First one unit per account (`account`, `account_region`): Regions,
//!   clusters, their settings, security configurations, bucket names. Then one unit per account
//!   that owns something which clusters referenced (`lookups`): keys with their grants and aliases,
//!   and log buckets. Last one unit per account whose `identities` decide who may use a log key.
//!   Where a run was asked for it, log objects are sampled after that (`object_samples`).
//!   At the end: what lies in log buckets as reports tell, and which jobs re-encrypt it (`history`).
//! - `launches`, `control_events`, `trails`: what CloudTrail tells, by way of `events`. Launches belong to
//!   an account-region and trails to an account, in the first pass; control events are looked up where
//!   keys and buckets were found, beside the identities.
//! - `steps`, `sessions`, `log_groups`: what an account-region tells of its clusters beside their settings.
//! - [`trail_events`]: what CloudTrail records tell of launches; [`backfill`]: the same from the files of
//!   a trail in S3.
//! - [`probe`]: what a role may do in an account, for `doctor`.
//! - [`call_plan`]: what a run is about to ask.
//! - [`listing`], [`settings`], [`security_configuration`], [`key_policy`], [`coverage`]: the rules,
//!   as plain functions of values.

pub mod api;
pub mod attempt;
pub mod backfill;
pub mod bucket;
pub mod call_plan;
pub mod coverage;
pub mod engine;
pub mod exceptions;
pub mod facts;
pub mod footprint;
pub mod key_policy;
pub mod learned;
pub mod listing;
pub mod operation;
pub mod probe;
pub mod random;
pub mod scope;
pub mod security_configuration;
pub mod session;
pub mod settings;
pub mod trail_events;

mod account;
mod account_region;
mod aliases;
mod bucket_lookup;
mod bucket_settings;
mod control_events;
mod events;
mod grants;
pub mod history;
mod identities;
mod identity_policy;
mod key_lookup;
mod launches;
mod log_groups;
mod lookups;
mod object_samples;
mod options;
mod references;
mod repeated;
mod sessions;
mod shared;
mod steps;
mod trails;

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
mod tests;

pub use object_samples::SSE_C_SUSPECTED;

pub use account::{FirstPassEnd, is_looked_into};
pub(crate) use engine::joined;
pub use engine::{CollectError, Collected, Context, Part, collect, collect_part};
pub use options::{Options, Regions};
