//! Quarterly measures, computed from the verified files of runs of record.
//!
//! A measure is one SQL file in `schemas/kpi/`, the same text that an auditor runs in Athena or
//! DuckDB; here DataFusion runs it. It sums integers and ends in a total order, so that the rows,
//! and the file that `record` writes of them, do not depend on the number of threads.

mod compliant_share;
mod engine;
mod table;

pub use compliant_share::{COMPLIANT_SHARE_SQL, CompliantShare, compliant_share, schema_files};
pub use engine::{RollupError, RollupInputs, dates_needed};
pub use table::table;

#[cfg(test)]
mod tests;
