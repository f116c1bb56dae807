//! KPI 3: attempts to launch clusters. The definition stands at the head of the SQL file.

use crate::dataset;
use crate::time::Date;

/// The SQL of the measure, portable between engines.
pub const LAUNCH_ATTEMPTS_SQL: &str = include_str!("../../schemas/kpi/launch_attempts.sql");

dataset! {
    /// One row per scope and quarter: events and distinct attempts by bucket and class.
    pub struct LaunchAttempts: "launch_attempts" v 1, key [scope_kind, scope];
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
    /// RunJobFlow events.
    events: i64 = "events";
    /// Distinct attempts that they belong to.
    attempts: i64 = "attempts";
    /// Events of attempts that a configured guardrail denied.
    blocked_events: i64 = "events";
    /// Distinct attempts among these.
    blocked_attempts: i64 = "attempts";
    /// Events of launches that were accepted and are not compliant.
    flagged_events: i64 = "events";
    /// Distinct attempts among these.
    flagged_attempts: i64 = "attempts";
    /// Events of accepted launches of which nobody knows whether they are compliant.
    unknown_events: i64 = "events";
    /// Distinct attempts among these.
    unknown_attempts: i64 = "attempts";
    /// Events of blocked attempts whose parameters would not have met the policy.
    blocked_failing_events: i64 = "events";
    /// Distinct attempts among these.
    blocked_failing_attempts: i64 = "attempts";
    /// Events of blocked attempts whose parameters would have met the policy.
    blocked_meeting_events: i64 = "events";
    /// Distinct attempts among these.
    blocked_meeting_attempts: i64 = "attempts";
    /// Events of blocked attempts of whose parameters this is not known.
    blocked_params_unknown_events: i64 = "events";
    /// Distinct attempts among these.
    blocked_params_unknown_attempts: i64 = "attempts";
    /// Events of class `accepted_compliant`.
    accepted_compliant_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_compliant_attempts: i64 = "attempts";
    /// Events of class `accepted_noncompliant`.
    accepted_noncompliant_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_noncompliant_attempts: i64 = "attempts";
    /// Events of class `accepted_no_log_place`.
    accepted_no_log_place_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_no_log_place_attempts: i64 = "attempts";
    /// Events of class `accepted_params_unavailable`.
    accepted_params_unavailable_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_params_unavailable_attempts: i64 = "attempts";
    /// Events of class `accepted_key_unknown`.
    accepted_key_unknown_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_key_unknown_attempts: i64 = "attempts";
    /// Events of class `accepted_then_failed`.
    accepted_then_failed_events: i64 = "events";
    /// Distinct attempts among these.
    accepted_then_failed_attempts: i64 = "attempts";
    /// Events of class `denied_noncompliant`.
    denied_noncompliant_events: i64 = "events";
    /// Distinct attempts among these.
    denied_noncompliant_attempts: i64 = "attempts";
    /// Events of class `denied_compliant`.
    denied_compliant_events: i64 = "events";
    /// Distinct attempts among these.
    denied_compliant_attempts: i64 = "attempts";
    /// Events of class `denied_params_unavailable`.
    denied_params_unavailable_events: i64 = "events";
    /// Distinct attempts among these.
    denied_params_unavailable_attempts: i64 = "attempts";
    /// Events of class `rejected_invalid`.
    rejected_invalid_events: i64 = "events";
    /// Distinct attempts among these.
    rejected_invalid_attempts: i64 = "attempts";
    /// Events of class `throttled`.
    throttled_events: i64 = "events";
    /// Distinct attempts among these.
    throttled_attempts: i64 = "attempts";
    /// Events of class `other_error`.
    other_error_events: i64 = "events";
    /// Distinct attempts among these.
    other_error_attempts: i64 = "attempts";
    /// Events of accepted launches whose security configuration is approved.
    approved_events: i64 = "events";
    /// Events of accepted launches whose security configuration is not.
    not_approved_events: i64 = "events";
    /// Events of accepted launches without one, or of which this is not known.
    approval_unknown_events: i64 = "events";
    /// Accepted launches that stand among the clusters that runs saw.
    launches_seen: i64 = "events";
    /// Accepted launches that do not.
    launches_not_seen: i64 = "events";
    /// Accepted launches of which this is not known.
    launches_population_unknown: i64 = "events";
    /// Events that were read from a trail's files.
    trail_events: i64 = "events";
    /// Clusters that runs saw and that were launched in the quarter.
    clusters_launched: i64 = "clusters";
    /// Of these, clusters without a launch event.
    clusters_without_event: i64 = "clusters";
    /// Accounts and Regions whose launches were to be read, in a quarter without runs those of the nearest
    /// run and of backfills; organization, OU and account only, as the next two.
    cells: Option<i64> = "cells";
    /// Time of the quarter in which they were to be read.
    expected_ms: Option<i64> = "cell-ms";
    /// Of this, time whose events nobody read.
    unobserved_ms: Option<i64> = "cell-ms";
}
