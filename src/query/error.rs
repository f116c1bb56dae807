//! Why a question has no answer.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

use crate::engine::bounded::{POOL_BYTES, exhausted};

/// What is wrong with a statement, or what stopped it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no SQL of the engine's dialect.
    #[error("the statement cannot be read: {0}")]
    Syntax(String),
    #[error("the statement has {words} names, numbers and signs, and {limit} are the limit")]
    TooLong { words: usize, limit: usize },
    /// Nothing, or more than one statement.
    #[error("one statement can be asked at a time, and here are {0}")]
    NotOne(usize),
    /// A statement that does something else than read.
    #[error("only reading is possible: ask SELECT …, or WITH … SELECT …, not {0}")]
    NotReading(String),
    /// A name that stands for nothing, a file's path and a table function among others.
    #[error("there is no view '{name}'; {hint}")]
    NoView { name: String, hint: String },
    /// The engine refused the statement: an unknown column, types that do not fit.
    #[error("the statement does not fit the views: {0}")]
    Plan(String),
    /// Sorting, joining or grouping needs more than the limit, and cannot go on in files.
    #[error(
        "the query needs more than {limit_mib} MiB of memory: ask for fewer rows, columns or dates; a \
         join without a condition multiplies rows ({detail})"
    )]
    Memory { limit_mib: usize, detail: String },
    /// The engine failed on the way.
    #[error("the query failed: {0}")]
    Engine(String),
    /// The rows cannot be written.
    #[error("the rows cannot be written: {0}")]
    Write(#[from] std::io::Error),
    #[error("there is no named query '{name}'; there are {known}")]
    NoNamed { name: String, known: String },
    #[error("{}: {detail}", .path.display())]
    Local { path: PathBuf, detail: String },
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
}

impl QueryError {
    /// Whether another statement would have been answered.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Syntax(_)
                | Self::TooLong { .. }
                | Self::NotOne(_)
                | Self::NotReading(_)
                | Self::NoView { .. }
                | Self::Plan(_)
                | Self::NoNamed { .. }
        )
    }

    /// Whether the reader of the output went away, which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }

    pub(super) fn engine(error: DataFusionError) -> Self {
        match exhausted(&error) {
            Some(detail) => Self::Memory {
                limit_mib: POOL_BYTES / 1024 / 1024,
                detail,
            },
            None => Self::Engine(error.strip_backtrace()),
        }
    }

    pub(super) fn plan(error: DataFusionError) -> Self {
        Self::Plan(error.strip_backtrace())
    }
}
