//! Events and attempts are not the same: programs try again.

use crate::model::datasets::Launch;
use crate::model::ids::Sha256Hex;

/// How long events of one caller and name count as one attempt, from the first of them.
pub const WINDOW_MS: i64 = 15 * 60_000;
/// Hex digits of an attempt's id.
const LENGTH: usize = 32;

/// Gives every event of one account-region the id of its attempt: that of the same caller and cluster
/// name whose first event lies less than [`WINDOW_MS`] before it. Events without a name are told apart
/// by their caller, and by the cluster where there is one. The rows may be in any order; a caller that looks at overlapping times gives
/// the same ids, as long as the overlap holds the first event of the attempt.
pub fn name_attempts(rows: &mut [Launch]) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| by_caller(&rows[*a]).cmp(&by_caller(&rows[*b])));
    let mut first: Option<usize> = None;
    for at in order {
        let begins = first.is_none_or(|first| {
            let (first, row) = (&rows[first], &rows[at]);
            who(first) != who(row) || row.event_ms - first.event_ms >= WINDOW_MS
        });
        let of = match first {
            Some(first) if !begins => first,
            _ => at,
        };
        first = Some(of);
        rows[at].attempt_id = id(&rows[of]);
    }
}

/// Who asked for what.
type Who<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn who(row: &Launch) -> Who<'_> {
    let cluster = row.cluster_id.as_deref();
    let name = row.name.as_deref();
    (
        row.caller_arn.as_deref(),
        name,
        cluster.filter(|_| name.is_none()),
    )
}

fn by_caller(row: &Launch) -> (Who<'_>, i64, &str) {
    (who(row), row.event_ms, &row.event_id)
}

fn id(first: &Launch) -> String {
    let text = format!("{} {} {}", first.account_id, first.region, first.event_id);
    let digest = Sha256Hex::of(text.as_bytes());
    digest.as_str().chars().take(LENGTH).collect()
}
