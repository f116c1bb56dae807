//! SQL over sealed evidence: reading only, one statement at a time, over files that were compared with
//! their sealed digests before the engine saw them.
//!
//! - [`Question`]: a statement that was read; the views that it names say what has to be fetched.
//! - [`Views`]: the files behind the views, in a folder of their own; nothing outside it can be read.
//! - [`output`]: rows as a table, CSV, JSON or Parquet.
//! - [`named`]: the queries of `schemas/queries/`.
//! - [`athena`]: the same views for Amazon Athena; [`SealedRun`], [`EvidenceFile`], [`RollupFile`],
//!   [`Asked`]: the views that are no dataset; [`ROLLUPS`]: those of sealed rollups.

mod ask;
pub mod athena;
mod error;
mod makers;
pub mod named;
pub mod output;
mod table;
mod tables;
mod views;

pub use ask::Question;
pub use error::QueryError;
pub use named::{Named, Span};
pub use output::Format;
pub use tables::{
    Asked, EvidenceFile, OF_EDITION, ROLLUPS, RollupFile, SealedRun, rollup_view, schema_files,
};
pub use views::Views;

#[cfg(test)]
mod tests;
