//! What can be wrong with stored rows. Messages name the file and the column or key.

use std::path::PathBuf;

use crate::model::table::CellError;

/// Why rows could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The writer was handed rows that are not in key order.
    #[error("{dataset}: row {key} comes after row {previous}, which sorts behind it")]
    OutOfOrder {
        dataset: &'static str,
        key: String,
        previous: String,
    },
    /// Two rows have the same primary key.
    #[error("{dataset}: two rows have the key {key}")]
    Duplicate { dataset: &'static str, key: String },
    /// Arrow or Parquet refused to encode.
    #[error("{file}: encoding failed: {detail}")]
    Encode { file: String, detail: String },
    /// Not a Parquet file, damaged, or cut short.
    #[error("{file} is not a readable Parquet file: {detail}")]
    Malformed { file: String, detail: String },
    /// The file claims to unpack to more than any file of ours does.
    #[error("{file}: a row group claims {bytes} bytes unpacked, more than the {limit} allowed")]
    TooLarge {
        file: String,
        bytes: i64,
        limit: i64,
    },
    #[error("{file}: column {column} is {found}, expected {expected}")]
    WrongType {
        file: String,
        column: &'static str,
        found: String,
        expected: String,
    },
    #[error("{file}: column {column} is missing and may not be empty")]
    MissingColumn { file: String, column: &'static str },
    #[error("{file}: column {column} stands there twice")]
    RepeatedColumn { file: String, column: &'static str },
    #[error("{file}, row {row}: {source}")]
    Cell {
        file: String,
        /// Counted from zero.
        row: u64,
        source: CellError,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why the journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("journal {}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("journal folder {} is not empty; choose another work folder", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} in the journal folder belongs to no dataset", .0.display())]
    UnknownFile(PathBuf),
    /// A frame is not what was written.
    #[error("journal of {dataset} is damaged at byte {offset}: {detail}")]
    Corrupt {
        dataset: String,
        offset: u64,
        detail: String,
    },
    /// One row is larger than a frame can be.
    #[error("a row of {dataset} takes {bytes} bytes, more than a journal frame can hold")]
    RowTooLarge { dataset: &'static str, bytes: usize },
}
