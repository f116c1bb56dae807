//! Why a report about objects was not used.

use std::io;

/// One way of a report being wrong. Nothing of such a report is counted.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{file} is listed and not there; let S3 write the next report")]
    Missing { file: String },
    #[error("{file} does not have the checksum that is stated of it; let S3 write the next report")]
    Checksum { file: String },
    #[error("{file} cannot be read to its end: {detail}")]
    Malformed { file: String, detail: String },
    #[error("{file} is no such report: {detail}")]
    ForeignSchema { file: String, detail: String },
    #[error("{file} lies outside of its report's own folder and is not read")]
    ForeignFile { file: String },
    #[error("{file} is about bucket {found}, not about {expected}")]
    ForeignBucket {
        file: String,
        expected: String,
        found: String,
    },
    #[error("{file} is larger than such a file can be")]
    TooLarge { file: String },
    #[error("objects lie under more than {limit} keys")]
    TooManyKeys { limit: usize },
    #[error("use the folder for scratch files: {0}")]
    Scratch(#[from] io::Error),
}

impl ReportError {
    /// The word that coverage has for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ReportFileMissing",
            Self::Checksum { .. } => "ReportChecksum",
            Self::Malformed { .. } => "ReportMalformed",
            Self::ForeignSchema { .. } => "ReportForeignSchema",
            Self::ForeignFile { .. } => "ReportForeignFile",
            Self::ForeignBucket { .. } => "ReportForeignBucket",
            Self::TooLarge { .. } => "ReportTooLarge",
            Self::TooManyKeys { .. } => "ReportTooManyKeys",
            Self::Scratch(_) => "ScratchFailed",
        }
    }

    pub(super) fn malformed(file: &str, detail: impl std::fmt::Display) -> Self {
        Self::Malformed {
            file: file.to_owned(),
            detail: detail.to_string(),
        }
    }

    pub(super) fn foreign(file: &str, detail: impl std::fmt::Display) -> Self {
        Self::ForeignSchema {
            file: file.to_owned(),
            detail: detail.to_string(),
        }
    }
}
