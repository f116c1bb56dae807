use crate::dataset;
use crate::model::words::{ExceptionKind, Outcome, Severity};
use crate::time::Date;

dataset! {
    /// One row per exception that the configuration declares.
    pub struct Exception: "exception" v 1, key [exception_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Name of the exception, unique in the configuration.
    exception_id: String = "text";
    /// What it does.
    kind: ExceptionKind = "exclude, gap, waiver";
    /// Why it was granted.
    reason: String = "text";
    /// Who granted it.
    approver: String = "text";
    /// Last date on which it holds.
    expires: Date = "UTC date";
    /// Whether it had expired on the date the run speaks for; an expired one has no effect.
    expired: bool = "true or false";
    /// Accounts it is limited to; empty means all.
    accounts: String = "account ids, space between";
    /// Organizational units it is limited to; empty means all.
    ous: String = "OU ids, space between";
    /// Regions it is limited to; empty means all.
    regions: String = "Regions, space between";
    /// Sources it is limited to; empty means all.
    sources: String = "sources, space between";
    /// Cell outcomes it is limited to; empty means all that are no answer.
    outcomes: String = "outcomes, space between";
    /// Rules it is limited to (waivers).
    rules: String = "rule ids, space between";
    /// Resources it is limited to (waivers).
    resources: String = "ARNs, space between";
    /// Accounts, cells or findings that it covered in this run.
    used: i64 = "items";
    /// The finding about the exception itself: FAIL once it has expired. An exception belongs to no
    /// cluster, so this stands here and not among the findings of clusters.
    outcome: Option<Outcome> = "PASS, FAIL";
    /// How bad it is that it expired; absent for PASS.
    severity: Option<Severity> = "low, medium, high";
    /// What a person can do; absent for PASS.
    advice: Option<String> = "one sentence";
}
