//! The text after `keyproof run`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::WIDTH;
use super::tally::{Changes, Tally};
use super::text::{counted, duration, name, number, percent, wrap};
use crate::model::datasets::{ArchiveCheck, Exception};
use crate::model::ids::{AccountId, Region, RunId, Sha256Hex};
use crate::model::words::{CellOutcome, CheckOutcome, Judgement, Posture, RunOutcome};
use crate::time::{Date, HOUR_MS};

/// Everything the summary says.
#[derive(Debug, Clone)]
pub struct RunSummary {
    pub run_id: RunId,
    pub date: Date,
    pub outcome: RunOutcome,
    pub late: bool,
    /// Accounts or Regions were left out that the archive is about.
    pub narrowed: bool,
    /// Regions that were named and are on in no account.
    pub regions_off: Vec<Region>,
    pub tally: Tally,
    /// The previous run of record and what changed since.
    pub previous: Option<(Date, Changes)>,
    /// Exceptions without effect any more.
    pub expired: Vec<Exception>,
    /// Names of accounts, for the ones to fix.
    pub account_names: Vec<(AccountId, String)>,
    pub accounts: Accounts,
    /// Cells expected, and those that ended neither in an answer nor in an accepted gap.
    pub cells: i64,
    pub cells_open: i64,
    pub not_observed: NotObserved,
    /// Checks of the archive's own protection.
    pub checks: Vec<ArchiveCheck>,
    pub url: String,
    pub seq: u64,
    pub head: Sha256Hex,
    /// SHA-256 of entry 1, where this run began the archive.
    pub begun_with: Option<Sha256Hex>,
    pub took_ms: i64,
    pub calls: i64,
    pub throttles: i64,
    pub busiest: Option<Busiest>,
}

/// The operation, account and Region of whose request rate the run used the largest share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busiest {
    pub account_id: AccountId,
    pub region: Region,
    pub operation: String,
    /// Per cent of what AWS grants while the calls were made.
    pub percent: i64,
}

/// How the accounts of the organization ended.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    pub listed: i64,
    pub collected: i64,
    pub excluded: i64,
    /// In a state that cannot be looked into.
    pub unavailable: i64,
    /// Left out by the selection of this run.
    pub not_selected: i64,
    /// Accounts not fully seen, all of which exceptions accept.
    pub accepted: i64,
    /// Cells that a gap exception accepts.
    pub accepted_cells: i64,
    /// Accounts with cells that ended in no answer: account, first such outcome.
    pub not_seen: Vec<(AccountId, CellOutcome)>,
}

/// The time since the last look at launches that was not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotObserved {
    /// Summed over accounts and Regions, milliseconds.
    pub ms: i64,
    /// Accounts that nobody could enter, and of which no Region is known: hours that no sum tells.
    pub accounts: i64,
    /// A permission for want of which.
    pub denied_action: Option<String>,
}

/// What a failing rule asks for, in a few words.
fn remedy(reason: &str) -> &'static str {
    match reason {
        "no_log_key" => "no log key: relaunch with one",
        "no_log_key_bucket_default_cmk" => "no log key, only a bucket default: relaunch",
        "aws_managed_key" => "AWS managed key: relaunch with a customer key",
        "foreign_owner" => "key owned outside the organization",
        "key_state" => "key unusable: enable it or cancel its deletion",
        "key_usage" => "key of the wrong kind: relaunch with another",
        "key_material_expired" => "imported key material expired: import it again",
        "region_mismatch" => "key and bucket in different Regions",
        "key_not_found" => "key does not exist",
        _ => "see the findings",
    }
}

/// The check of storage that has no others: a folder.
const NO_PROTECTION: &str = "protection";
/// Longest detail of a check.
const LONGEST: usize = 240;

/// Renders the summary.
pub fn render(s: &RunSummary) -> String {
    let mut out = String::new();
    let exit = if s.outcome == RunOutcome::Partial {
        " (exit 4)"
    } else {
        ""
    };
    let late = if s.late { ", LATE" } else { "" };
    let state = format!("SEALED, {}{late}{exit}", s.outcome);
    let title = format!("Run {} for {}", s.run_id, s.date);
    line(&mut out, &format!("{title:<56}{state}"));
    speaks_not(&mut out, s);
    out.push('\n');
    verdict_table(&mut out, s);
    share(&mut out, s);
    to_fix(&mut out, s);
    attempts(&mut out, s);
    accounts(&mut out, &s.accounts);
    expired(&mut out, &s.expired);
    labelled(
        &mut out,
        "Assumed",
        "layers_not_read: SCPs, RCPs, session and endpoint policies",
    );
    let evidence = format!("chain {}   head {}", s.seq, &s.head.as_str()[..12]);
    if s.url.chars().count() + evidence.chars().count() + 14 <= WIDTH {
        labelled(&mut out, "Evidence", &format!("{}   {evidence}", s.url));
    } else {
        // An address is of no use cut short: it gets a line of its own, however long.
        let _ = writeln!(out, "{:<10} {}", "Evidence", s.url);
        labelled(&mut out, "", &evidence);
    }
    protection(&mut out, &s.checks);
    if let Some(pin) = &s.begun_with {
        let _ = writeln!(out, "{:<10} {pin}", "Pin");
        labelled(
            &mut out,
            "",
            "SHA-256 of entry 1: give it to your auditor by another way",
        );
    }
    let took = format!(
        "{}, {}, {} throttled",
        duration(s.took_ms),
        counted(s.calls, "call", "calls"),
        percent(s.throttles, s.calls)
    );
    labelled(&mut out, "Took", &took);
    if let Some(busiest) = &s.busiest {
        let text = format!(
            "{} % of {}, {} {}",
            busiest.percent, busiest.operation, busiest.account_id, busiest.region
        );
        labelled(&mut out, "Quota used", &text);
    }
    let next = |url: &str| match s.outcome {
        RunOutcome::Partial => format!(
            "{:<10} keyproof query --archive {url} --named not-seen",
            "Next"
        ),
        RunOutcome::Complete => format!("{:<10} keyproof verify {url}", "Next"),
    };
    // The address stands above; a line that is broken cannot be pasted.
    let whole = next(&s.url);
    let fits = whole.chars().count() <= WIDTH;
    let _ = writeln!(out, "{}", if fits { whole } else { next("URL") });
    out
}

/// Why the run is not of record, or holds nothing, whatever its outcome says.
fn speaks_not(out: &mut String, s: &RunSummary) {
    if s.narrowed {
        let text = format!(
            "this run does not speak for {}, and no KPI counts it: it left out accounts or \
             Regions that the archive is about",
            s.date
        );
        labelled(out, "Narrowed", &text);
    }
    if !s.regions_off.is_empty() {
        let names: Vec<&str> = s.regions_off.iter().map(Region::as_str).collect();
        let text = format!(
            "{}: on in no account that answered, so that nothing was looked at there",
            names.join(", ")
        );
        labelled(out, "Regions", &text);
    }
}

fn verdict_table(out: &mut String, s: &RunSummary) {
    let since = s
        .previous
        .as_ref()
        .map(|(date, _)| format!("   since {date}"))
        .unwrap_or_default();
    line(
        out,
        &format!("{:<15}{:>7}{:>9}{since}", "Clusters", "all", "active"),
    );
    for verdict in [
        Judgement::Compliant,
        Judgement::NonCompliant,
        Judgement::Unknown,
        Judgement::NoLogs,
    ] {
        let count = s.tally.count(verdict);
        let mut notes: Vec<String> = Vec::new();
        let mut more: Vec<String> = Vec::new();
        if let Some((_, changes)) = &s.previous {
            let delta = changes.delta.get(&verdict).copied().unwrap_or_default();
            notes.push(match (verdict, delta) {
                (Judgement::NonCompliant, _) => format!(
                    "{} new, {} fixed, {} ended",
                    number(changes.new),
                    number(changes.fixed),
                    number(changes.ended)
                ),
                (_, 0) => "same".to_owned(),
                (_, d) if d > 0 => format!("+{}", number(d)),
                (_, d) => number(d),
            });
        }
        match verdict {
            Judgement::Compliant if s.tally.keep_copies > 0 => notes.push(format!(
                "of active, {} keep AWS-side copies too",
                number(s.tally.keep_copies)
            )),
            Judgement::Unknown => {
                let mut groups = groups(&s.tally.unknown_for_want_of).into_iter();
                notes.extend(groups.next());
                more.extend(groups);
            }
            Judgement::NoLogs => notes.push("not archived to your bucket".to_owned()),
            _ => {}
        }
        let notes = if notes.is_empty() {
            String::new()
        } else {
            format!("   {}", notes.join("; "))
        };
        let row = format!(
            "  {:<13}{:>7}{:>9}{notes}",
            verdict,
            number(count.all),
            number(count.active)
        );
        line(out, row.trim_end());
        for group in more {
            line(out, &format!("{:34}{group}", ""));
        }
    }
}

/// What is missing and for how many clusters, the most first; of many, what the rest comes to.
fn groups(wanted: &BTreeMap<String, i64>) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut most: Vec<_> = wanted.iter().collect();
    most.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let mut groups: Vec<String> = most
        .iter()
        .take(SHOWN)
        .map(|(wanted, n)| {
            let wanted = name(wanted, 44);
            if wanted.contains(':') {
                format!("{} for want of {wanted}", number(**n))
            } else {
                format!("{} {wanted}", number(**n))
            }
        })
        .collect();
    let rest: i64 = most.iter().skip(SHOWN).map(|(_, n)| **n).sum();
    if rest > 0 {
        groups.push(format!("{} for other reasons", number(rest)));
    }
    groups
}

fn share(out: &mut String, s: &RunSummary) {
    let active = |v| s.tally.count(v).active;
    let (yes, no) = (
        active(Judgement::Compliant),
        active(Judgement::NonCompliant),
    );
    let unknown = active(Judgement::Unknown);
    let whole = yes + no + unknown;
    let text = if whole == 0 && s.cells_open > 0 {
        format!(
            "unknown: {} of {} cells were not seen",
            number(s.cells_open),
            number(s.cells)
        )
    } else if whole == 0 {
        "not applicable: no active cluster archives logs".to_owned()
    } else {
        format!(
            "{} = {} / ({} + {} + {}); NO_LOGS left out",
            percent(yes, whole),
            number(yes),
            number(yes),
            number(no),
            number(unknown)
        )
    };
    line(out, &format!("{:<17}{text}", "Compliant share"));
    let posture = |p| s.tally.postures.get(&p).copied().unwrap_or_default();
    let (default, aws) = (
        posture(Posture::PassiveDefault),
        posture(Posture::PassiveAwsKey),
    );
    if default + aws > 0 {
        let text = format!(
            "{} active: {} default encryption, {} AWS managed key",
            number(default + aws),
            number(default),
            number(aws)
        );
        line(out, &format!("{:<17}{text}", "Passive"));
    }
    if s.tally.rule_changes > 0 {
        let text = format!(
            "changed: {} turned by that alone, not new or fixed",
            counted(s.tally.rule_changes, "verdict", "verdicts")
        );
        line(out, &format!("{:<17}{text}", "Rules"));
    }
    let unknown = &s.tally.delivery_unknown_for_want_of;
    for (i, group) in groups(unknown).iter().enumerate() {
        let all = format!("{} compliant unknown: ", number(unknown.values().sum()));
        let label = if i == 0 { "Delivery" } else { "" };
        let all = if i == 0 {
            all
        } else {
            " ".repeat(all.chars().count())
        };
        line(out, &format!("{label:<17}{all}{group}"));
    }
    out.push('\n');
}

fn to_fix(out: &mut String, s: &RunSummary) {
    let worst = s.tally.to_fix(5);
    if worst.is_empty() {
        return;
    }
    line(out, &format!("{:<15}{:>7}   what", "Fix first", "active"));
    for fix in worst {
        let account = s
            .account_names
            .iter()
            .find(|(id, _)| *id == fix.account_id)
            .map_or(fix.account_id.as_str(), |(_, n)| n);
        let what = format!("{} {}", fix.rule, remedy(&fix.reason));
        line(
            out,
            &format!(
                "  {:<14}{:>6}   {what}",
                name(account, 14),
                number(fix.active)
            ),
        );
    }
    out.push('\n');
}

/// Attempts to launch, and how much of the time nobody can speak for; nothing where the run did not
/// look.
fn attempts(out: &mut String, s: &RunSummary) {
    let (a, hidden) = (&s.tally.attempts, &s.not_observed);
    if a.events > 0 || hidden.ms > 0 || hidden.accounts > 0 || a.without_launch > 0 {
        let hours = hidden.ms / HOUR_MS + i64::from(hidden.ms % HOUR_MS > 0);
        let text = format!(
            "{}: {} blocked, {} flagged, {} unknown; {} h not observed",
            counted(a.distinct, "launch", "launches"),
            number(a.blocked),
            number(a.flagged),
            number(a.unknown),
            number(hours)
        );
        labelled(out, "Attempts", &text);
    }
    if hidden.accounts > 0 {
        let text = format!(
            "{} not observed at all",
            counted(hidden.accounts, "account", "accounts")
        );
        labelled(out, "", &text);
    }
    if let Some(action) = &hidden.denied_action {
        labelled(out, "", &format!("for want of {}", name(action, 44)));
    }
    if a.without_cluster + a.without_launch > 0 {
        let text = format!(
            "{} in no list; {} without an event",
            counted(a.without_cluster, "launch", "launches"),
            counted(a.without_launch, "cluster", "clusters")
        );
        labelled(out, "", &text);
    }
}

fn accounts(out: &mut String, a: &Accounts) {
    let mut parts = vec![format!("{} collected", number(a.collected))];
    for (n, word) in [
        (a.accepted, "with accepted gaps"),
        (a.excluded, "excluded (approved)"),
        (a.unavailable, "closed or suspended"),
        (a.not_selected, "not selected"),
        (a.not_seen.len() as i64, "not fully seen"),
    ] {
        if n > 0 {
            parts.push(format!("{} {word}", number(n)));
        }
    }
    labelled(
        out,
        "Accounts",
        &format!("{} = {}", number(a.listed), parts.join(", ")),
    );
    if a.accepted_cells > 0 {
        let text = counted(
            a.accepted_cells,
            "cell accepted by exceptions",
            "cells accepted by exceptions",
        );
        labelled(out, "", &text);
    }
    if !a.not_seen.is_empty() {
        let shown: Vec<String> = a
            .not_seen
            .iter()
            .take(2)
            .map(|(id, outcome)| format!("{id} {outcome}"))
            .collect();
        let more = match a.not_seen.len() {
            0..=2 => String::new(),
            n => format!(", +{}", n - 2),
        };
        labelled(out, "Not seen", &format!("{}{more}", shown.join(", ")));
    }
}

/// Exceptions that nobody renewed: what they covered shows again, and somebody has to decide.
fn expired(out: &mut String, exceptions: &[Exception]) {
    const SHOWN: usize = 3;
    for (i, e) in exceptions.iter().take(SHOWN).enumerate() {
        let text = format!(
            "{} ({}) on {}: let {} renew it, or remove it",
            name(&e.exception_id, 24),
            e.kind,
            e.expires,
            name(&e.approver, 32)
        );
        labelled(out, if i == 0 { "Expired" } else { "" }, &text);
    }
    if exceptions.len() > SHOWN {
        let more = (exceptions.len() - SHOWN) as i64;
        let text = counted(more, "further exception", "further exceptions");
        labelled(out, "", &format!("{text}; see dataset exception"));
    }
}

/// What the archive's own checks found amiss, in their words; nothing where all is well.
fn protection(out: &mut String, checks: &[ArchiveCheck]) {
    const SHOWN: usize = 3;
    let named = |outcome: CheckOutcome| checks.iter().filter(move |c| c.outcome == outcome);
    let (failed, unknown) = (named(CheckOutcome::Fail), named(CheckOutcome::Unknown));
    let amiss: Vec<&ArchiveCheck> = failed.chain(unknown).collect();
    let mut label = "Protection";
    for check in amiss.iter().take(SHOWN) {
        let text = match (check.check_name.as_str(), check.outcome) {
            // Storage that has none of the checks.
            (NO_PROTECTION, _) => {
                "none: a folder shows changes, and prevents none (see keyproof doctor)".to_owned()
            }
            (name, CheckOutcome::Unknown) => format!("not known: {name}: {}", check.detail),
            (name, _) => format!("{name}: {}", check.detail),
        };
        labelled(out, label, &name(&text, LONGEST));
        label = "";
    }
    let more = amiss.len().saturating_sub(SHOWN) as i64;
    if more > 0 {
        labelled(
            out,
            "",
            &format!("and {}", counted(more, "more check", "more checks")),
        );
    }
    if amiss.iter().any(|check| check.check_name != NO_PROTECTION) {
        labelled(out, "", "`keyproof doctor` looks again and says what to do");
    }
}

fn labelled(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label:<10} {}", wrap(text, WIDTH, 11));
}

fn line(out: &mut String, text: &str) {
    out.push_str(&name(text.trim_end(), WIDTH));
    out.push('\n');
}

#[cfg(test)]
mod tests;
