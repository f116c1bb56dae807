//! The compliant share as a person reads it: 80 columns, the organization first.

use std::fmt::Write as _;

use super::compliant_share::CompliantShare;
use crate::model::table::Dataset as _;

/// Kinds of scope in the order shown, with their headings.
pub(super) const KINDS: [(&str, &str); 5] = [
    ("ou", "Organizational unit"),
    ("account", "Account"),
    ("business_unit", "Business unit"),
    ("owner", "Owner"),
    ("cost_center", "Cost centre"),
];
/// Scopes shown of a kind; the file has all of them.
const SHOWN: usize = 12;

/// How many scopes of a kind are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scopes {
    /// Those with most to do.
    Most,
    All,
}

impl Scopes {
    pub(super) fn limit(self, most: usize) -> usize {
        match self {
            Self::Most => most,
            Self::All => usize::MAX,
        }
    }
}

pub(super) const SCOPE_WIDTH: usize = 30;

/// Renders rows of one quarter. Within a kind, scopes with the most clusters that are not compliant
/// stand first.
pub fn table(rows: &[CompliantShare], scopes: Scopes) -> String {
    let limit = scopes.limit(SHOWN);
    let Some(whole) = rows.iter().find(|row| row.scope_kind == "organization") else {
        return "Compliant share of active clusters: nothing recorded\n".to_owned();
    };
    let mut text = head(whole);
    text.push_str(&line(whole, "Organization"));
    for (kind, heading) in KINDS {
        let mut of_kind: Vec<&CompliantShare> =
            rows.iter().filter(|row| row.scope_kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        of_kind.sort_by(|a, b| open(b).cmp(&open(a)).then_with(|| a.key_order(b)));
        let _ = writeln!(text, "{heading}");
        for row in of_kind.iter().take(limit) {
            text.push_str(&line(row, &format!("  {}", shortened(kind, &row.scope))));
        }
        if let Some(more @ 1..) = of_kind.len().checked_sub(limit) {
            let _ = writeln!(text, "  and {} more", grouped(more as i64));
        }
    }
    text.push_str(&foot(whole));
    text
}

fn head(whole: &CompliantShare) -> String {
    let end = whole
        .end_date
        .map_or("no run in it".to_owned(), |date| format!("at {date}"));
    format!(
        "Compliant share of active clusters, {}\nRuns of record {} of {} days; quarter end: {end}\n\n\
         {:<SCOPE_WIDTH$}{:>8}{:>12}{:>9}{:>9}{:>12}\n",
        whole.quarter_start.quarter(),
        grouped(whole.runs_of_record),
        whole.days_expected,
        "",
        "at end",
        "clusters",
        "by days",
        "by hours",
        "unobserved",
    )
}

fn line(row: &CompliantShare, name: &str) -> String {
    let at_end = row.end_compliant + row.end_non_compliant + row.end_unknown;
    let by_days = row.days_compliant + row.days_non_compliant + row.days_unknown;
    let by_hours = row.compliant_ms + row.non_compliant_ms + row.unknown_ms;
    let lived = by_hours + row.no_logs_ms + row.unobserved_ms;
    let share_at_end = if is_unseen(row) {
        "unknown".to_owned()
    } else {
        percent(row.end_compliant, at_end)
    };
    format!(
        "{name:<SCOPE_WIDTH$}{:>8}{:>12}{:>9}{:>9}{:>12}\n",
        share_at_end,
        format!("{}/{}", grouped(row.end_compliant), grouped(at_end)),
        percent(row.days_compliant, by_days),
        percent(row.compliant_ms, by_hours),
        percent(row.unobserved_ms, lived),
    )
}

/// Whether no cluster that counts was seen at quarter end, and cells are open in which some may be.
fn is_unseen(row: &CompliantShare) -> bool {
    let seen = row.end_compliant + row.end_non_compliant + row.end_unknown;
    seen == 0 && row.end_cells_open.is_some_and(|open| open > 0)
}

fn foot(whole: &CompliantShare) -> String {
    let none = if is_unseen(whole) {
        "unknown: not seen"
    } else {
        "n/a: none active"
    };
    let mut text = format!(
        "\nShare = COMPLIANT / (COMPLIANT + NON_COMPLIANT + UNKNOWN); {none}.\n\
         At end   {} COMPLIANT, {} NON_COMPLIANT, {} UNKNOWN, {} NO_LOGS (left out)\n\
         Delivery {} broken, {} unknown\n\
         Copies   AWS keeps {} of the active clusters' logs too, {} unknown\n",
        grouped(whole.end_compliant),
        grouped(whole.end_non_compliant),
        grouped(whole.end_unknown),
        grouped(whole.end_no_logs),
        grouped(whole.end_delivery_broken),
        grouped(whole.end_delivery_unknown),
        grouped(whole.end_copies_retained),
        grouped(whole.end_copies_unknown),
    );
    if let (Some(end), Some(end_open), Some(cells), Some(open)) = (
        whole.end_cells,
        whole.end_cells_open,
        whole.cells,
        whole.cells_open,
    ) {
        let _ = writeln!(
            text,
            "Coverage {} of {} cells open at end; {} of {} over the quarter",
            grouped(end_open),
            grouped(end),
            grouped(open),
            grouped(cells)
        );
        if is_unseen(whole) {
            let _ = writeln!(
                text,
                "Unknown  {} of {} cells were not seen: what is there stands in no figure",
                grouped(end_open),
                grouped(end)
            );
        }
    }
    text
}

/// Active clusters at quarter end that lower the share.
fn open(row: &CompliantShare) -> i64 {
    row.end_non_compliant + row.end_unknown
}

/// A name that fits its column. Of an OU path the last id tells all: it is unique in an organization.
pub(super) fn shortened(kind: &str, scope: &str) -> String {
    let width = SCOPE_WIDTH - 3;
    let scope = if kind == "ou" {
        let mut ids = scope.rsplit('/');
        ids.find(|id| !id.is_empty()).unwrap_or(scope)
    } else {
        scope
    };
    let printable = || scope.chars().map(|c| if c.is_control() { '?' } else { c });
    if printable().count() <= width {
        printable().collect()
    } else {
        printable().take(width - 1).chain(['…']).collect()
    }
}

/// `part / whole` with one decimal, half rounded up; `n/a` when there is no whole.
pub(super) fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "n/a".to_owned();
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    let per_mille = (2_000 * part + whole) / (2 * whole);
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// Thousands apart: `1,234,567`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
