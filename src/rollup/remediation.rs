//! KPI 2: intervals in which lineages were not compliant, and the time to remediate them. The
//! definitions stand at the heads of the SQL files.

use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

/// The SQL of the intervals, portable between engines.
pub const REMEDIATION_SQL: &str = include_str!("../../schemas/kpi/remediation.sql");
/// The SQL of the measure, which reads the table `remediation`.
pub const TIME_TO_REMEDIATE_SQL: &str = include_str!("../../schemas/kpi/time_to_remediate.sql");

dataset! {
    /// One row per interval in which a lineage had clusters that were not compliant, unless it closed
    /// before the quarter; as known at quarter end.
    pub struct Remediation: "remediation" v 1, key [account_id, region, lineage, number];
    /// First date of the quarter.
    quarter_start: Date = "UTC date";
    /// Account of the lineage.
    account_id: AccountId = "12 digits";
    /// Region of the lineage.
    region: Region = "Region";
    /// The lineage, as verdicts name it; a cluster id where they name none.
    lineage: String = "text";
    /// 1 for the first interval of the lineage; more mean that it was opened again.
    number: i64 = "number";
    /// How the interval closed; `ended` is no remediation.
    how: String = "fixed_in_place, replaced, ended, open";
    /// Date of the run that first found a cluster bad.
    opened_on: Date = "UTC date";
    /// Start of that run: detected.
    opened_ms: i64 = "ms since 1970";
    /// Date of the run that found out that nothing is bad any more.
    closed_on: Option<Date> = "UTC date";
    /// Start of that run: verified.
    closed_ms: Option<i64> = "ms since 1970";
    /// Launch of the first bad cluster.
    exposed_since_ms: i64 = "ms since 1970";
    /// When the first alert about the interval was sent; absent where none was.
    alerted_at: Option<UtcMillis> = "UTC";
    /// From detection to verification; of an open interval to the start of the quarter's latest run.
    age_ms: i64 = "ms";
    /// Clusters that were bad in the interval.
    clusters: i64 = "clusters";
    /// The one that was found bad last; the following columns are its.
    last_cluster_id: String = "j-…";
    /// Path of organizational unit ids of the account.
    ou_path: Option<String> = "o-…/r-…/ou-…/";
    /// Owner.
    owner: Option<String> = "text";
    /// Cost centre.
    cost_center: Option<String> = "text";
    /// Business unit.
    business_unit: Option<String> = "text";
}

dataset! {
    /// One row per scope and quarter: how many intervals closed how, and the sums from which mean
    /// times
    /// are derived. A count of zero below the line means not applicable.
    pub struct TimeToRemediate: "time_to_remediate" v 1, key [scope_kind, scope];
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
    /// Intervals that opened in the quarter.
    opened: i64 = "intervals";
    /// Of these, intervals of lineages that had one before.
    reopened: i64 = "intervals";
    /// Intervals that closed in the quarter because the same cluster was mended.
    fixed_in_place: i64 = "intervals";
    /// Intervals that closed in the quarter because a compliant cluster took over.
    replaced: i64 = "intervals";
    /// Intervals that closed in the quarter without a remediation.
    ended: i64 = "intervals";
    /// Intervals that were open at quarter end.
    open_count: i64 = "intervals";
    /// Time from detection to verified mending, summed over remediated intervals.
    detected_sum_ms: i64 = "ms";
    /// Its median, by nearest rank.
    detected_median_ms: Option<i64> = "ms";
    /// Its 90th percentile, by nearest rank.
    detected_p90_ms: Option<i64> = "ms";
    /// Time from the launch of the first bad cluster to verified mending, summed likewise.
    exposed_sum_ms: i64 = "ms";
    /// Its median, by nearest rank.
    exposed_median_ms: Option<i64> = "ms";
    /// Its 90th percentile, by nearest rank.
    exposed_p90_ms: Option<i64> = "ms";
    /// Ages of the open intervals, summed.
    open_age_sum_ms: i64 = "ms";
    /// Their median, by nearest rank.
    open_age_median_ms: Option<i64> = "ms";
    /// The oldest.
    open_age_max_ms: Option<i64> = "ms";
}
