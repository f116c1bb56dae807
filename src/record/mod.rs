//! Rows to bytes and back: the journal of a running process, and the Parquet files of a sealed run.
//!
//! - [`Journal`]: local progress; frames of rows in order of arrival, read back in key order.
//! - [`write_rows`]: rows in key order to one Parquet file, hashed while it is written.
//! - [`read_rows`]: a Parquet file back to rows, one batch at a time.
//! - [`canonical_line`]: a row as canonical JSON; the digest of a file's lines is its `rows_sha256`.
//! - [`schema_files`]: the pages of `schemas/datasets/`.
//!
//! Everything is driven by the column table of a [`Dataset`](crate::model::table::Dataset). The same
//! rows give the same bytes from the same binary, whatever order they arrived in: rows are sorted by
//! primary key, slices and row groups are cut by count, and nothing of the machine enters a file.
//! `rows_sha256` depends on rows and schema alone, so it outlives a change of encoder.

mod chains;
mod decode;
mod encode;
mod error;
mod frame;
mod journal;
mod lines;
mod pages;
mod schema;

pub use decode::{RowReader, read_bytes, read_file, read_rows, rows_of_batch};
pub use encode::{Encoded, batch_of_rows, write_rows};
pub use error::{JournalError, RecordError};
pub use journal::{Journal, Opened, Unfinished};
pub use lines::{LineReader, LineWriter, canonical_line};
pub use pages::{dataset_page, schema_files, sentence};
pub use schema::arrow_schema;

#[cfg(test)]
mod tests;
