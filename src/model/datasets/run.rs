use crate::dataset;
use crate::model::ids::RunId;
use crate::model::words::RunOutcome;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row: the run itself.
    pub struct Run: "run" v 1, key [run_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// The run.
    run_id: RunId = "run id", volatile;
    /// When it began.
    started_at: UtcMillis = "UTC", volatile;
    /// The same, for arithmetic.
    started_ms: i64 = "ms since 1970", volatile;
    /// When collecting and judging were done.
    ended_at: UtcMillis = "UTC", volatile;
    /// Whether every cell was answered.
    outcome: RunOutcome = "COMPLETE, PARTIAL";
    /// Whether it began later than 36 h after its date's start.
    late: bool = "true or false", volatile;
    /// Organization id, where there is one.
    organization_id: Option<String> = "o-…";
    /// ARN of the caller.
    caller_arn: Option<String> = "ARN", volatile;
    /// Version of the program.
    program_version: String = "version";
    /// Version of the rule set.
    rules_version: String = "version";
    /// Accounts that the organization lists.
    accounts_listed: i64 = "accounts";
    /// Accounts of the scope.
    accounts_in_scope: i64 = "accounts";
    /// Accounts of the scope whose cells all ended in an answer or an accepted gap.
    accounts_answered: i64 = "accounts";
    /// Cells expected.
    cells: i64 = "cells";
    /// Cells that ended neither in an answer nor in an accepted gap.
    cells_open: i64 = "cells";
    /// Clusters in this run.
    clusters: i64 = "clusters";
    /// API calls made, retries included.
    calls: i64 = "calls", volatile;
    /// Answers that said to slow down.
    throttles: i64 = "calls", volatile;
    /// What the run asked of STS and Organizations as the account of the collector, by operation: attempts,
    /// answers that said to slow down, share of what AWS grants meanwhile (of several processes: the most
    /// that one of them took).
    own_operations: Option<String> = "operation:calls:throttles:per cent, ...", volatile;
    /// Local clock minus AWS's Date header, where it was seen.
    clock_offset_ms: Option<i64> = "ms", volatile;
}
