use crate::dataset;
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per cell (account, Region, source) that the run was expected to look at.
    pub struct Coverage: "coverage" v 1, key [account_id, region, source];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// The account.
    account_id: AccountId = "12 digits";
    /// The Region, or `global` for what an account has once.
    region: Region = "Region or global";
    /// What was asked.
    source: Source = "word";
    /// How the cell ended.
    outcome: CellOutcome = "word";
    /// Exception that accepts this outcome.
    accepted_by: Option<String> = "exception id";
    /// Items that were to be looked up, for sources that look items up; enabled Regions, for the list of Regions.
    items_expected: Option<i64> = "items";
    /// Items that were read; enabled Regions, for the list of Regions.
    items_collected: Option<i64> = "items";
    /// Items that could not be read for a reason of their own (their policy, or an owner outside the scope).
    items_locked: Option<i64> = "items";
    /// Items that could not be read for any other reason.
    items_failed: Option<i64> = "items";
    /// Error code of the last refusal or failure.
    error_code: Option<String> = "AWS error code";
    /// IAM action that was refused.
    denied_action: Option<String> = "service:Action";
    /// For a clusters cell without an answer: the run that last collected it, at most 62 days ago.
    watermark_run: Option<RunId> = "run id";
    /// When that run listed the clusters.
    watermark_at: Option<UtcMillis> = "UTC";
    /// Start of the time whose events were read; for clusters, of the time since which every cluster that
    /// was created stands in the lists. Where nothing was read, both ends are where the next run begins.
    observed_from_ms: Option<i64> = "ms since 1970", volatile;
    /// End of that time, not included; for clusters, when they were listed.
    observed_to_ms: Option<i64> = "ms since 1970", volatile;
    /// Calls made, retries included.
    calls: i64 = "calls", volatile;
    /// Attempts after the first.
    retries: i64 = "calls", volatile;
    /// Answers that said to slow down.
    throttles: i64 = "calls", volatile;
    /// What the calls were, by AWS operation: attempts, answers that said to slow down, and the share of
    /// what AWS grants while they were made, calls / (burst + refill x seconds) of the Region where it was
    /// largest. AssumeRole counts for the account of the collector.
    operations: Option<String> = "operation:calls:throttles:per cent, ...", volatile;
    /// AWS request id of the last refusal or failure.
    request_id: Option<String> = "AWS request id", volatile;
    /// When the first call of the cell was made.
    started_at: UtcMillis = "UTC", volatile;
    /// When the cell ended.
    ended_at: UtcMillis = "UTC", volatile;
}

/// Error code of a cell among whose events some could not be understood.
pub const UNREADABLE_EVENT: &str = "UnreadableEvent";

impl Coverage {
    /// Whether the cell needs no further look.
    pub fn is_answered(&self) -> bool {
        let accepted = self.accepted_by.is_some();
        self.outcome
            .is_settled(self.source, accepted, self.items_failed)
    }
}
