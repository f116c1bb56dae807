//! What people read: pure rendering of values into text of at most [`WIDTH`] columns.
//!
//! - [`call_plan`]: the text and the JSON after `run --dry-run`.
//! - [`cluster_story`]: the text and the JSON after `explain CLUSTER-ID`.
//! - [`metrics`]: the line for CloudWatch after `run`.
//! - [`doctor_summary`]: the text and the JSON after `doctor`.
//! - [`tally`]: counts verdicts and findings as they stream by, in bounded memory.
//! - [`run_summary`]: the text after `run`.
//! - [`verify_summary`]: the text and the JSON after `verify`.
//! - [`text`]: numbers with separators, safe and shortened names, durations.

pub mod call_plan;
pub mod cluster_story;
pub mod doctor_summary;
pub mod metrics;
pub mod run_summary;
pub mod tally;
pub mod text;
pub mod verify_summary;

/// Columns of a terminal that nothing exceeds.
pub const WIDTH: usize = 80;
