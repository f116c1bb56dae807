//! The views that are no dataset: what the chain says of runs and files, and what was asked for. Their
//! column tables make schema, pages and rows, as those of datasets do.

use crate::dataset;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::model::words::RunOutcome;
use crate::record::dataset_page;
use crate::rollup::{
    CompliantShare, KeyCost, LaunchAttempts, LogsReencrypted, Price, Remediation, TimeToRemediate,
};
use crate::time::{Date, UtcMillis};

/// Calls a macro with the views that are no dataset.
macro_rules! for_each_table {
    ($call:ident) => {
        $call! {
            $crate::query::SealedRun,
            $crate::query::EvidenceFile,
            $crate::query::RollupFile,
            $crate::query::Asked
        }
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
    /// One row per file of a sealed rollup, every quarter and edition, whatever dates were asked for.
    pub struct RollupFile: "rollup_file" v 1, key [chain_seq, name];
    /// SHA-256 of the file, as sealed; rows name their file by it.
    file_sha256: Sha256Hex = "hex";
    /// Name of the file.
    name: String = "name in the archive";
    /// Measure that it holds rows of.
    measure: String = "measure";
    /// The quarter.
    quarter: String = "yyyyQn";
    /// Counts from 1; late data makes the next one.
    edition: i64 = "number";
    /// Whether no later edition of the quarter is sealed.
    newest_edition: bool = "true or false";
    /// Whether the quarter was not over when it was computed.
    unfinished: bool = "true or false";
    /// The rollup.
    run_id: RunId = "run id";
    /// First entry of the chain that it was computed from.
    chain_from: i64 = "number";
    /// The last one.
    chain_to: i64 = "number";
    /// Entry of the chain that seals it.
    chain_seq: i64 = "number";
    /// SHA-256 of that entry's file.
    chain_sha256: Sha256Hex = "hex";
}

/// Views of sealed rollups: every edition of one measure, with the columns [`OF_EDITION`] beside its own.
pub const ROLLUPS: [(&str, &str); 7] = [
    ("rollup_compliant_share", CompliantShare::NAME),
    ("rollup_key_cost", KeyCost::NAME),
    ("rollup_launch_attempts", LaunchAttempts::NAME),
    ("rollup_logs_reencrypted", LogsReencrypted::NAME),
    ("rollup_price", Price::NAME),
    ("rollup_remediation", Remediation::NAME),
    ("rollup_time_to_remediate", TimeToRemediate::NAME),
];

/// What a row of a sealed rollup says of its edition, before the digest of its file.
pub const OF_EDITION: [&str; 4] = ["quarter", "edition", "newest_edition", "unfinished"];

/// The view over the sealed editions of a measure.
pub fn rollup_view(measure: &str) -> Option<&'static str> {
    let found = ROLLUPS.iter().find(|(_, of)| *of == measure);
    found.map(|(view, _)| *view)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_a_view_of_its_editions() {
        let mut found = 0;
        macro_rules! each {
            ($($row:ty),+) => { $(
                let view = rollup_view(<$row>::NAME).expect(<$row>::NAME);
                assert_eq!(view, format!("rollup_{}", <$row>::NAME));
                found += 1;
            )+ };
        }
        crate::for_each_rollup!(each);
        assert_eq!(found, ROLLUPS.len());
        assert_eq!(rollup_view("verdict"), None);
    }
}
