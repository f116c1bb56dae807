//! The measures beside the compliant share as a person reads them: 80 columns, the organization first,
//! then of each kind the scopes with most to do.

use std::fmt::Write as _;

use super::key_cost::KeyCost;
use super::launch_attempts::LaunchAttempts;
use super::logs_reencrypted::LogsReencrypted;
use super::measures::{Label, Measures};
use super::remediation::TimeToRemediate;
use super::table::{KINDS, SCOPE_WIDTH, Scopes, grouped, percent, shortened, table};
use crate::time::HOUR_MS;

/// Scopes shown of a kind; the files have all of them.
const SHOWN: usize = 3;

/// All measures of a quarter; says so while it is not over.
pub fn summary(measures: &Measures, label: &Label, scopes: Scopes) -> String {
    let mut text = String::new();
    let quarter = label.quarter;
    if label.unfinished {
        let _ = writeln!(
            text,
            "UNFINISHED: {quarter} ends on {} UTC; what is to come is not in here.\n",
            quarter.end()
        );
    }
    text.push_str(&table(&measures.compliant_share, scopes));
    text.push_str(&remediation(&measures.time_to_remediate, scopes));
    text.push_str(&launches(&measures.launch_attempts, scopes));
    text.push_str(&logs(&measures.logs_reencrypted, scopes));
    text.push_str(&cost(&measures.key_cost, scopes));
    let share = measures.compliant_share.iter();
    for whole in share.filter(|row| row.scope_kind == "organization") {
        if let (Some(open @ 1..), Some(cells)) = (whole.end_cells_open, whole.end_cells) {
            let _ = writeln!(
                text,
                "Unseen   {} of {} cells at quarter end: what they hold is not in here",
                grouped(open),
                grouped(cells)
            );
        }
    }
    text
}

/// A row that speaks for a scope.
trait Scoped {
    fn scope(&self) -> (&str, &str);
    /// What makes a scope worth showing: 0 is not shown.
    fn weight(&self) -> i64;
    /// Its figures, after the name.
    fn figures(&self) -> String;
}

macro_rules! scoped {
    ($row:ty, |$of:ident| $weight:expr, $figures:expr) => {
        impl Scoped for $row {
            fn scope(&self) -> (&str, &str) {
                (&self.scope_kind, &self.scope)
            }

            fn weight(&self) -> i64 {
                let $of = self;
                $weight
            }

            fn figures(&self) -> String {
                let $of = self;
                $figures
            }
        }
    };
}

scoped!(
    TimeToRemediate,
    |row| row.open_count + row.fixed_in_place + row.replaced + row.ended,
    {
        let remediated = row.fixed_in_place + row.replaced;
        format!(
            "{:>9}{:>8}{:>8}{:>8}{:>7}{:>10}",
            grouped(remediated),
            mean(row.detected_sum_ms, remediated),
            shown(row.detected_median_ms),
            shown(row.detected_p90_ms),
            grouped(row.open_count),
            shown(row.open_age_max_ms),
        )
    }
);

scoped!(
    LaunchAttempts,
    |row| row.flagged_attempts + row.unknown_attempts + row.blocked_attempts,
    {
        let unobserved = match (row.unobserved_ms, row.expected_ms) {
            (Some(unobserved), Some(expected)) => percent(unobserved, expected),
            _ => String::new(),
        };
        format!(
            "{:>10}{:>9}{:>9}{:>9}{:>13}",
            grouped(row.attempts),
            grouped(row.blocked_attempts),
            grouped(row.flagged_attempts),
            grouped(row.unknown_attempts),
            unobserved,
        )
    }
);

scoped!(
    LogsReencrypted,
    |row| {
        let remaining = row.remaining_bytes.unwrap_or(0) + row.key_unknown_bytes.unwrap_or(0);
        row.moved_bytes.unwrap_or(0).max(0) + remaining + uncounted(row)
    },
    format!(
        "{:>12}{:>12}{:>12}{:>14}",
        measured(row.moved_bytes, bytes),
        measured(row.remaining_bytes, bytes),
        measured(row.key_unknown_bytes, bytes),
        measured(row.old_remaining_bytes, bytes),
    )
);

scoped!(
    KeyCost,
    |row| row.log_keys + row.buckets_without_bucket_key,
    format!(
        "{:>6}{:>11}{:>6}{:>15}{:>11}",
        grouped(row.log_keys),
        dollars(row.key_month_nano_usd),
        grouped(row.idle_keys),
        format!(
            "{}/{}",
            grouped(row.buckets_without_bucket_key),
            grouped(row.buckets)
        ),
        row.audit_nano_usd.map(dollars).unwrap_or_default(),
    )
);

/// The lines of one measure: the organization's, then of each kind the heaviest scopes.
fn lines<R: Scoped>(rows: &[R], scopes: Scopes) -> String {
    let limit = scopes.limit(SHOWN);
    let mut text = String::new();
    let of = |kind: &'static str| rows.iter().filter(move |row| row.scope().0 == kind);
    for whole in of("organization") {
        let _ = writeln!(
            text,
            "{:<SCOPE_WIDTH$}{}",
            "Organization",
            whole.figures().trim_end()
        );
    }
    for (kind, heading) in KINDS {
        let mut heavy: Vec<&R> = of(kind).filter(|row| row.weight() > 0).collect();
        if heavy.is_empty() {
            continue;
        }
        heavy.sort_by(|a, b| {
            let by_weight = b.weight().cmp(&a.weight());
            by_weight.then_with(|| a.scope().cmp(&b.scope()))
        });
        let _ = writeln!(text, "{heading}");
        for row in heavy.iter().take(limit) {
            let name = format!("  {}", shortened(kind, row.scope().1));
            let _ = writeln!(text, "{name:<SCOPE_WIDTH$}{}", row.figures().trim_end());
        }
        if let Some(more @ 1..) = heavy.len().checked_sub(limit) {
            let _ = writeln!(text, "  and {} more", grouped(more as i64));
        }
    }
    text
}

fn whole<R: Scoped>(rows: &[R]) -> Option<&R> {
    rows.iter().find(|row| row.scope().0 == "organization")
}

fn remediation(rows: &[TimeToRemediate], scopes: Scopes) -> String {
    let Some(all) = whole(rows) else {
        return String::new();
    };
    format!(
        "\nTime to remediate, from detection to verified fix\n\n\
         {:<SCOPE_WIDTH$}{:>9}{:>8}{:>8}{:>8}{:>7}{:>10}\n{}\
         \nOpened   {}, of which {} once more\n\
         Closed   {} fixed in place, {} replaced; {} ended without a remediation\n\
         Exposed  from launch: mean {}, median {}, p90 {}\n",
        "",
        "fixed",
        "mean",
        "median",
        "p90",
        "open",
        "oldest",
        lines(rows, scopes),
        grouped(all.opened),
        grouped(all.reopened),
        grouped(all.fixed_in_place),
        grouped(all.replaced),
        grouped(all.ended),
        mean(all.exposed_sum_ms, all.fixed_in_place + all.replaced),
        shown(all.exposed_median_ms),
        shown(all.exposed_p90_ms),
    )
}

fn launches(rows: &[LaunchAttempts], scopes: Scopes) -> String {
    let Some(all) = whole(rows) else {
        return String::new();
    };
    format!(
        "\nLaunch attempts\n\n{:<SCOPE_WIDTH$}{:>10}{:>9}{:>9}{:>9}{:>13}\n{}\
         \nEvents   {}: {} blocked, {} flagged, {} unknown\n\
         Blocked  {} would not have met the policy, {} would have, {} unknown\n\
         Clusters {} launches that no run saw; {} of {} clusters without an event\n",
        "",
        "attempts",
        "blocked",
        "flagged",
        "unknown",
        "unobserved",
        lines(rows, scopes),
        grouped(all.events),
        grouped(all.blocked_events),
        grouped(all.flagged_events),
        grouped(all.unknown_events),
        grouped(all.blocked_failing_attempts),
        grouped(all.blocked_meeting_attempts),
        grouped(all.blocked_params_unknown_attempts),
        grouped(all.launches_not_seen),
        grouped(all.clusters_without_event),
        grouped(all.clusters_launched),
    )
}

/// Log buckets of whose objects nobody knows how they lie.
fn uncounted(row: &LogsReencrypted) -> i64 {
    row.buckets.unwrap_or(0) - row.buckets_reported.unwrap_or(0)
}

/// What was not measured is no zero.
fn measured(value: Option<i64>, shown: impl Fn(i64) -> String) -> String {
    value.map_or("unknown".to_owned(), shown)
}

fn logs(rows: &[LogsReencrypted], scopes: Scopes) -> String {
    let Some(all) = whole(rows) else {
        return String::new();
    };
    let missing = uncounted(all);
    let hidden = match missing {
        0 => String::new(),
        n => format!("; what {} hold is not in here", grouped(n)),
    };
    let hidden = if all.remaining_bytes.is_none() && missing > 0 {
        "; what remains was not measured".to_owned()
    } else {
        hidden
    };
    let in_part = match (all.prefixes_in_part, all.prefixes_counted) {
        (Some(n @ 1..), Some(of)) => format!(
            "In part  {} of {} prefixes: they hold more than was counted, or may\n",
            grouped(n),
            grouped(of)
        ),
        _ => String::new(),
    };
    let unnamed = match all.moved_key_unknown_versions {
        None | Some(0) => String::new(),
        Some(n) => format!(
            "Unknown  {} versions moved to a key that nobody can tell\n",
            grouped(n)
        ),
    };
    format!(
        "\nHistorical logs\n\n{:<SCOPE_WIDTH$}{:>12}{:>12}{:>12}{:>14}\n{}\
         \nBuckets  {} of {} log buckets counted{hidden}\n{in_part}\
         Moved    {} versions; {} more from one wanted key to another\n{unnamed}\
         Failed   {} versions; {} succeeded, key or size not known\n",
        "",
        "moved",
        "remaining",
        "key unknown",
        "old versions",
        lines(rows, scopes),
        measured(all.buckets_reported, grouped),
        measured(all.buckets, grouped),
        measured(all.moved_versions, grouped),
        measured(all.rotated_versions, grouped),
        measured(all.failed_versions, grouped),
        measured(all.unknown_versions, grouped),
    )
}

fn cost(rows: &[KeyCost], scopes: Scopes) -> String {
    let Some(all) = whole(rows) else {
        return String::new();
    };
    format!(
        "\nCost, in USD\n\n{:<SCOPE_WIDTH$}{:>6}{:>11}{:>6}{:>15}{:>11}\n{}\
         \nKeys     {} more pending deletion, {} not described; idle: no active cluster\n\
         Audit    {} calls of runs of record\n",
        "",
        "keys",
        "a month",
        "idle",
        "no bucket key",
        "audit",
        lines(rows, scopes),
        grouped(all.keys_pending_deletion),
        grouped(all.keys_unknown),
        grouped(all.audit_calls.unwrap_or(0)),
    )
}

fn shown(ms: Option<i64>) -> String {
    ms.map_or("n/a".to_owned(), duration)
}

fn mean(sum_ms: i64, count: i64) -> String {
    if count <= 0 {
        return "n/a".to_owned();
    }
    duration((sum_ms + count / 2) / count)
}

/// Hours, from two days on days; one decimal, half rounded up.
fn duration(ms: i64) -> String {
    let (unit_ms, unit) = if ms < 48 * HOUR_MS {
        (HOUR_MS, "h")
    } else {
        (24 * HOUR_MS, "d")
    };
    let tenths = (20 * ms + unit_ms) / (2 * unit_ms);
    format!("{}.{} {unit}", grouped(tenths / 10), tenths % 10)
}

/// A size in the largest binary unit that leaves a whole part; one decimal, cut off.
fn bytes(count: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let sign = if count < 0 { "-" } else { "" };
    let size = count.unsigned_abs();
    let Some(power) = (1..=UNITS.len()).rev().find(|p| size >> (10 * p) > 0) else {
        return format!("{count} B");
    };
    let tenths = (u128::from(size) * 10) >> (10 * power);
    format!("{sign}{}.{} {}", tenths / 10, tenths % 10, UNITS[power - 1])
}

/// Dollars and cents, half rounded up; what would be rounded to nothing is told from nothing.
fn dollars(nano_usd: i64) -> String {
    if (1..5_000_000).contains(&nano_usd) {
        return "< 0.01".to_owned();
    }
    let cents = (nano_usd + 5_000_000) / 10_000_000;
    format!("{}.{:02}", grouped(cents / 100), cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(duration(0), "0.0 h");
        assert_eq!(duration(47 * HOUR_MS + HOUR_MS / 20), "47.1 h");
        assert_eq!(duration(48 * HOUR_MS), "2.0 d");
        assert_eq!(mean(5 * HOUR_MS, 2), "2.5 h");
        assert_eq!(mean(0, 0), "n/a");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(-3 << 30), "-3.0 GiB");
        assert_eq!(bytes(i64::MAX), "7.9 EiB");
        assert_eq!(dollars(1_234_567_890_000), "1,234.57");
        assert_eq!(dollars(0), "0.00");
        assert_eq!(dollars(4_999_999), "< 0.01");
        assert_eq!(dollars(5_000_000), "0.01");
    }
}
