//! Cost: log keys and what the audit itself cost. The definition stands at the head of the SQL file.

use crate::dataset;
use crate::time::Date;

/// The SQL of the measure, portable between engines.
pub const KEY_COST_SQL: &str = include_str!("../../schemas/kpi/key_cost.sql");

dataset! {
    /// One row per scope and quarter: log keys with their price, and calls of the audit with theirs.
    pub struct KeyCost: "key_cost" v 1, key [scope_kind, scope];
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
    /// Customer keys that clusters of the quarter named for logs.
    log_keys: i64 = "keys";
    /// Their monthly price.
    key_month_nano_usd: i64 = "0.000000001 USD a month";
    /// Of these, keys that no cluster active at quarter end names.
    idle_keys: i64 = "keys";
    /// Their monthly price.
    idle_key_month_nano_usd: i64 = "0.000000001 USD a month";
    /// Log keys whose deletion is pending: not charged, and not counted above.
    keys_pending_deletion: i64 = "keys";
    /// Keys that could not be described: not counted above.
    keys_unknown: i64 = "keys";
    /// Log buckets.
    buckets: i64 = "buckets";
    /// Of these, buckets whose S3 Bucket Key is off.
    buckets_without_bucket_key: i64 = "buckets";
    /// Of these, buckets that could not be read.
    buckets_unknown: i64 = "buckets";
    /// Calls of the quarter's runs of record; organization, OU and account only, as the next.
    audit_calls: Option<i64> = "calls";
    /// Their price.
    audit_nano_usd: Option<i64> = "0.000000001 USD";
}
