//! Quarterly measures, computed from the verified files of runs of record.
//!
//! A measure is one SQL file in `schemas/kpi/`, the same text that an auditor runs in Athena or
//! DuckDB; here DataFusion runs it. It sums integers and ends in a total order, so that the rows,
//! and the file that `record` writes of them, do not depend on the number of threads.
//!
//! Joins begin with their smaller side: DataFusion keeps that one in memory, and takes a cross join row by
//! row of it.
//!
//! - [`measures`]: all of them for one quarter; `compliant_share`, `remediation`, `launch_attempts`,
//!   `logs_reencrypted`, `key_cost`: the rows of each.
//! - [`prices`]: what costs are reckoned with.
//! - [`engine`]: DataFusion, and which files a quarter needs; [`once`]: what a statement names twice is
//!   computed once. Measures share a limited memory; what does not fit goes on in files, or ends in words.
//! - [`table`], [`tables`]: measures as a person reads them.

mod compliant_share;
mod engine;
mod key_cost;
mod launch_attempts;
mod logs_reencrypted;
mod measures;
mod once;
mod prices;
mod remediation;
mod table;
mod tables;

pub use compliant_share::{COMPLIANT_SHARE_SQL, CompliantShare};
pub use engine::{Ratios, RollupError, RollupInputs, dates_needed};
pub use key_cost::KeyCost;
pub use launch_attempts::LaunchAttempts;
pub use logs_reencrypted::LogsReencrypted;
pub use measures::{Edition, Label, MEASURES, MeasureFile, Measures, measures, schema_files};
pub use prices::{DEFAULT_PRICES, Price, PriceError, parse_prices};
pub use remediation::{Remediation, TimeToRemediate};
pub use table::{Scopes, table};
pub use tables::summary;

#[cfg(test)]
mod tests;
