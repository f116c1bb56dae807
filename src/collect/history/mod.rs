//! What lies in log buckets, version by version, and what re-encryption jobs did to it.
//!
//! Pure readers, each of a file on local disk, row by row; none keeps a row:
//! - [`inventory`]: an S3 Inventory report's manifest; [`export`]: a folder of an S3 Metadata table's rows.
//! - [`rows`]: the versions that a CSV, ORC or Parquet file lists; [`csv_rows`], [`columnar`]: how.
//! - [`report`]: the completion report of an S3 Batch Operations job.
//!
//! What is made of them:
//! - [`folders`]: which log folder a key lies in. - [`summary`]: counts by folder and encryption.
//! - [`listed`]: what there is of a bucket that no report tells of, up to a bound.
//! - [`sorted`]: more records than memory holds, in order. - [`moved`]: versions before and after, joined.
//!
//! And who asks for them: `source` fetches with the source-reader role, `snapshot` finds what is newest,
//! `key_class` asks whose keys are, `log_history` and `jobs` are the units of a run.
//!
//! Memory is the same for a thousand rows and for a billion. What grows with the rows lies below the
//! folder for scratch files and is removed at once after use: keys of objects are never kept elsewhere.

pub mod columnar;
pub mod csv_rows;
pub mod export;
pub mod folders;
pub mod inventory;
pub mod listed;
pub mod moved;
pub mod report;
pub mod rows;
pub mod sorted;
pub mod summary;

pub(super) mod jobs;
pub(super) mod log_history;

mod error;
mod job_report;
mod key_class;
mod snapshot;
pub(in crate::collect) mod source;

#[cfg(test)]
mod tests;

pub use error::ReportError;
