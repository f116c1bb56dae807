//! KPI 1: compliant share of active clusters. The definition stands at the head of the SQL file.

use crate::dataset;
use crate::time::Date;

/// The SQL of the measure, portable between engines.
pub const COMPLIANT_SHARE_SQL: &str = include_str!("../../schemas/kpi/compliant_share.sql");

dataset! {
    /// One row per scope and quarter: sums from which the compliant share of active clusters is
    /// derived as COMPLIANT / (COMPLIANT + NON_COMPLIANT + UNKNOWN). A sum of zero below the line
    /// means not applicable.
    pub struct CompliantShare: "compliant_share" v 1, key [scope_kind, scope];
    /// First date of the quarter.
    quarter_start: Date = "UTC date";
    /// Kind of the scope.
    scope_kind: String = "organization, ou, account, business_unit, owner, cost_center";
    /// The scope; `(all)` for the organization, `(no owner)` and the like where a cluster has none.
    scope: String = "text";
    /// Dates of the quarter.
    days_expected: i64 = "days";
    /// Dates of the quarter that have a run of record.
    runs_of_record: i64 = "runs";
    /// Date of the latest run of record in the quarter, for which the columns `end_…` speak.
    end_date: Option<Date> = "UTC date";
    /// Active clusters at quarter end that are COMPLIANT.
    end_compliant: i64 = "clusters";
    /// Active clusters at quarter end that are NON_COMPLIANT.
    end_non_compliant: i64 = "clusters";
    /// Active clusters at quarter end that are UNKNOWN.
    end_unknown: i64 = "clusters";
    /// Active clusters at quarter end that archive no logs.
    end_no_logs: i64 = "clusters";
    /// Active clusters at quarter end whose logs cannot be written with the key.
    end_delivery_broken: i64 = "clusters";
    /// Active clusters at quarter end of which this is not known.
    end_delivery_unknown: i64 = "clusters";
    /// Active clusters at quarter end whose logs AWS keeps in storage of its own too.
    end_copies_retained: i64 = "clusters";
    /// Active clusters at quarter end of which this is not known.
    end_copies_unknown: i64 = "clusters";
    /// Clusters active and COMPLIANT at the run of a date, summed over the quarter.
    days_compliant: i64 = "cluster-days";
    /// The same for NON_COMPLIANT.
    days_non_compliant: i64 = "cluster-days";
    /// The same for UNKNOWN.
    days_unknown: i64 = "cluster-days";
    /// The same for NO_LOGS.
    days_no_logs: i64 = "cluster-days";
    /// Time in the quarter for which a verdict COMPLIANT held.
    compliant_ms: i64 = "cluster-ms";
    /// The same for NON_COMPLIANT.
    non_compliant_ms: i64 = "cluster-ms";
    /// The same for UNKNOWN.
    unknown_ms: i64 = "cluster-ms";
    /// The same for NO_LOGS.
    no_logs_ms: i64 = "cluster-ms";
    /// Time in the quarter that clusters lived and no verdict held.
    unobserved_ms: i64 = "cluster-ms";
    /// Cells expected at quarter end; organization, OU and account only, as the next three.
    end_cells: Option<i64> = "cells";
    /// Of these, cells that ended neither in an answer nor in an accepted gap.
    end_cells_open: Option<i64> = "cells";
    /// Cells expected, summed over the quarter's runs of record.
    cells: Option<i64> = "cells";
    /// Of these, cells that ended neither in an answer nor in an accepted gap.
    cells_open: Option<i64> = "cells";
}
