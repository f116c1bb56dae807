//! KPI 4: historical logs moved under a wanted key, and what remains. The definition stands at the
//! head of the SQL file.

use crate::dataset;
use crate::time::Date;

/// The SQL of the measure, portable between engines.
pub const LOGS_REENCRYPTED_SQL: &str = include_str!("../../schemas/kpi/logs_reencrypted.sql");

dataset! {
    /// One row per scope and quarter: what was counted as moved in it, and what remains at its end.
    pub struct LogsReencrypted: "logs_reencrypted" v 1, key [scope_kind, scope];
    /// First date of the quarter.
    quarter_start: Date = "UTC date";
    /// Kind of the scope.
    scope_kind: String = "organization, ou, account, business_unit, owner, cost_center";
    /// The scope; `(all)` for the organization, `(no owner)` and the like where nobody is named.
    scope: String = "text";
    /// Dates of the quarter.
    days_expected: i64 = "days";
    /// Dates of the quarter that have a run of record.
    runs_of_record: i64 = "runs";
    /// What the quarter's counts come from.
    evidences: i64 = "jobs or pairs of snapshots";
    /// Versions moved from outside a wanted key to a wanted one. NULL, as the nine after it, where no run
    /// of the quarter could ask for jobs and no evidence tells of any.
    moved_versions: Option<i64> = "versions";
    /// Their bytes.
    moved_bytes: Option<i64> = "bytes";
    /// Bytes that snapshots show as moved in buckets that jobs count: not added, since they may
    /// be the same.
    snapshot_only_bytes: Option<i64> = "bytes";
    /// Versions moved to a key that is not wanted.
    moved_elsewhere_versions: Option<i64> = "versions";
    /// Their bytes.
    moved_elsewhere_bytes: Option<i64> = "bytes";
    /// Versions moved from one wanted key to another: no progress.
    rotated_versions: Option<i64> = "versions";
    /// Their bytes.
    rotated_bytes: Option<i64> = "bytes";
    /// Versions that succeeded, but whose key before, or size, is not known.
    unknown_versions: Option<i64> = "versions";
    /// Versions that failed.
    failed_versions: Option<i64> = "versions";
    /// Bytes of older versions that copies left under their old key.
    left_behind_bytes: Option<i64> = "bytes";
    /// Versions outside a customer key at quarter end. NULL, as the nine after it, where no bucket was
    /// counted.
    remaining_versions: Option<i64> = "versions";
    /// Their bytes.
    remaining_bytes: Option<i64> = "bytes";
    /// Versions whose key is not known at quarter end.
    key_unknown_versions: Option<i64> = "versions";
    /// Their bytes.
    key_unknown_bytes: Option<i64> = "bytes";
    /// Of the versions outside a customer key, older ones.
    old_remaining_versions: Option<i64> = "versions";
    /// Their bytes.
    old_remaining_bytes: Option<i64> = "bytes";
    /// Of the versions whose key is not known, older ones.
    old_key_unknown_versions: Option<i64> = "versions";
    /// Their bytes.
    old_key_unknown_bytes: Option<i64> = "bytes";
    /// Versions under a customer key at quarter end.
    under_key_versions: Option<i64> = "versions";
    /// Their bytes.
    under_key_bytes: Option<i64> = "bytes";
    /// Log buckets of the quarter. NULL in editions of programs that did not count them.
    buckets: Option<i64> = "buckets";
    /// Of these, buckets whose log objects some run of the quarter counted. Of the others nothing is known.
    buckets_reported: Option<i64> = "buckets";
    /// Versions moved to a KMS key that nobody names, as two inventories show it, or of which nobody could say
    /// whether it is wanted. NULL where `moved_versions` is, and in editions of programs that counted them
    /// as moved elsewhere.
    moved_key_unknown_versions: Option<i64> = "versions";
    /// Their bytes.
    moved_key_unknown_bytes: Option<i64> = "bytes";
    /// Prefixes whose log objects are in the sums of quarter end. NULL where no bucket was counted, and in
    /// editions of programs that did not count them.
    prefixes_counted: Option<i64> = "prefixes";
    /// Of these, prefixes that hold more than was counted, or may: a listing was cut off by its bound, older
    /// versions are not listed, or the run did not say.
    prefixes_in_part: Option<i64> = "prefixes";
}
