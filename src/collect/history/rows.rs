//! One object version as a report lists it, and the files that do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::error::ReportError;
use super::{columnar, csv_rows};

/// How a version is encrypted, as far as S3's own word goes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stored {
    SseS3,
    /// SSE-KMS or DSSE-KMS. Under which key, and whose, the word does not say.
    Kms,
    SseC,
    /// Not encrypted at all.
    Plain,
    /// The report does not tell, or has a word of a later day.
    Unknown,
}

impl Stored {
    /// From `EncryptionStatus`, `encryption_status`.
    pub fn read(word: &str) -> Self {
        match word {
            "SSE-S3" => Self::SseS3,
            "SSE-KMS" | "DSSE-KMS" => Self::Kms,
            "SSE-C" => Self::SseC,
            "NOT-SSE" => Self::Plain,
            _ => Self::Unknown,
        }
    }
}

/// One version, lent for as long as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRow<'a> {
    pub key: &'a [u8],
    /// Empty without versioning; `null` is read as that too.
    pub version_id: &'a str,
    pub is_latest: bool,
    pub is_delete_marker: bool,
    /// `None` where the report does not tell.
    pub bytes: Option<u64>,
    pub stored: Stored,
    /// ARN, in metadata tables alone.
    pub kms_key: Option<&'a str>,
}

/// How a file lists versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Gzipped CSV without a header: the columns in order, as [`column_name`] writes them.
    CsvGz(Vec<String>),
    Orc,
    Parquet,
}

/// Takes each version of a file, in the file's order.
pub type EachVersion<'f> = &'f mut dyn FnMut(&VersionRow<'_>) -> Result<(), ReportError>;

/// A column's name in one spelling: `VersionId` and `version_id` are the same column.
pub fn column_name(given: &str) -> String {
    let letters = given.trim().chars().filter(|c| *c != '_');
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Reads the file at `path`, which messages call `file`, and says how many rows it has, delete markers
/// too. Every row must be of `bucket`. Memory holds one row, or one batch of a columnar file.
pub fn read(
    path: &Path,
    file: &str,
    layout: &Layout,
    bucket: &str,
    each: EachVersion<'_>,
) -> Result<u64, ReportError> {
    // The readers of columnar files index by what the file says and panic on some that lie; nothing of
    // them is used afterwards.
    let read = AssertUnwindSafe(|| match layout {
        Layout::CsvGz(columns) => csv_rows::versions(path, file, columns, bucket, each),
        Layout::Orc => columnar::orc(path, file, bucket, each),
        Layout::Parquet => columnar::parquet(path, file, bucket, each),
    });
    catch_unwind(read).unwrap_or_else(|_| {
        Err(ReportError::malformed(
            file,
            "the reader gave up on its structure",
        ))
    })
}

/// The version id that stands for "without versioning".
pub(super) fn version_id(given: &str) -> &str {
    if given == "null" { "" } else { given }
}

/// Refuses a row that is about another bucket.
pub(super) fn check_bucket(file: &str, expected: &str, found: &str) -> Result<(), ReportError> {
    if expected == found {
        return Ok(());
    }
    Err(ReportError::ForeignBucket {
        file: file.to_owned(),
        expected: expected.to_owned(),
        found: found.chars().take(80).collect(),
    })
}
