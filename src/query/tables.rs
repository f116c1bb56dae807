//! The views that are no dataset: what the chain says of runs and files, and what was asked for. Their
//! column tables make schema, pages and rows, as those of datasets do.

use crate::dataset;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::model::words::RunOutcome;
use crate::record::dataset_page;
use crate::time::{Date, UtcMillis};

/// Calls a macro with the views that are no dataset.
macro_rules! for_each_table {
    ($call:ident) => {
        $call! { $crate::query::SealedRun, $crate::query::EvidenceFile, $crate::query::Asked }
    };
}
pub(super) use for_each_table;

/// The column that every view of a dataset has beside the dataset's own.
pub const FILE_SHA256: &str = "file_sha256";

dataset! {
    /// One row per sealed run, whichever date it speaks for, if any: the whole chain, whatever dates were
    /// asked for.
    pub struct SealedRun: "sealed_run" v 1, key [chain_seq];
    /// Entry of the chain that seals the run.
    chain_seq: i64 = "number";
    /// SHA-256 of that entry's file.
    chain_sha256: Sha256Hex = "hex";
    /// The run.
    run_id: RunId = "run id";
    /// Date the run was scheduled for.
    scheduled_for: Date = "UTC date";
    /// Start of that date, for arithmetic.
    scheduled_ms: i64 = "ms since 1970";
    /// When the run began.
    started_at: UtcMillis = "UTC";
    /// The same, for arithmetic.
    started_ms: i64 = "ms since 1970";
    /// Whether every cell was answered.
    outcome: RunOutcome = "COMPLETE, PARTIAL";
    /// Whether it began later than 36 h after its date's start.
    late: bool = "true or false";
    /// Whether it looked at the whole configured scope.
    full_scope: bool = "true or false";
    /// Whether it is the run that speaks for its date.
    of_record: bool = "true or false";
    /// Accounts of the scope.
    accounts_in_scope: i64 = "accounts";
    /// Cells expected.
    cells: i64 = "cells";
    /// Cells that ended neither in an answer nor in an accepted gap.
    cells_open: i64 = "cells";
    /// Clusters in the run.
    clusters: i64 = "clusters";
    /// Version of the program that sealed it.
    program_version: String = "version";
    /// Version of the rule set.
    rules_version: String = "version";
    /// Name of the manifest, which lists the run's files.
    manifest_name: String = "name in the archive";
    /// SHA-256 of the manifest, as sealed.
    manifest_sha256: Sha256Hex = "hex";
}

dataset! {
    /// One row per evidence file that a run of record in view vouches for, or a sealed backfill, whatever
    /// dates were asked for.
    pub struct EvidenceFile: "evidence_file" v 1, key [name];
    /// SHA-256 of the file, as sealed; rows name their file by it.
    file_sha256: Sha256Hex = "hex";
    /// Name of the file.
    name: String = "name in the archive";
    /// Dataset that it holds rows of.
    dataset: String = "dataset";
    /// The run.
    run_id: RunId = "run id";
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Entry of the chain that seals the run.
    chain_seq: i64 = "number";
    /// SHA-256 of that entry's file.
    chain_sha256: Sha256Hex = "hex";
}

dataset! {
    /// One row: what a named query was asked for. In Athena edit the view.
    pub struct Asked: "asked" v 1, key [first_day];
    /// First date.
    first_day: Date = "UTC date";
    /// First date after it.
    end_day: Date = "UTC date";
    /// Seed of a sample.
    seed: i64 = "number";
    /// Size of a sample.
    n: i64 = "rows";
}

/// The page of every view that is no dataset: path relative to `schemas/`, and content.
pub fn schema_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    macro_rules! each {
        ($($table:ty),+) => { $(
            files.push((format!("views/{}.md", <$table>::NAME), dataset_page::<$table>()));
        )+ };
    }
    for_each_table!(each);
    files
}
