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
mod tests {
    use super::*;
    use crate::report::tally::{Attempts, Count};

    fn summary() -> RunSummary {
        let mut tally = Tally::default();
        let counts = [
            (Judgement::Compliant, 1507, 471),
            (Judgement::NonCompliant, 318, 97),
            (Judgement::Unknown, 121, 31),
            (Judgement::NoLogs, 68, 13),
        ];
        for (verdict, all, active) in counts {
            tally.verdicts.insert(verdict, Count { all, active });
        }
        tally.postures.insert(Posture::PassiveDefault, 61);
        tally.postures.insert(Posture::PassiveAwsKey, 13);
        tally
            .unknown_for_want_of
            .insert("kms:DescribeKey".to_owned(), 27);
        RunSummary {
            run_id: "20261124T020003Z-7f3a0000".parse().expect("run id"),
            date: "2026-11-24".parse().expect("date"),
            outcome: RunOutcome::Partial,
            late: false,
            narrowed: false,
            regions_off: Vec::new(),
            tally,
            previous: None,
            expired: Vec::new(),
            account_names: Vec::new(),
            accounts: Accounts {
                listed: 400,
                collected: 398,
                excluded: 2,
                ..Accounts::default()
            },
            cells: 6_800,
            cells_open: 0,
            not_observed: NotObserved::default(),
            checks: Vec::new(),
            url: "s3://org-emr-evidence/keyproof".to_owned(),
            seq: 93,
            head: Sha256Hex::of(b"head"),
            begun_with: None,
            took_ms: 1_860_000,
            calls: 41_207,
            throttles: 82,
            busiest: None,
        }
    }

    #[test]
    fn the_busiest_bucket_is_one_line() {
        let mut summary = summary();
        assert!(!render(&summary).contains("Quota used"));
        let lines = render(&summary).lines().count();
        summary.busiest = Some(Busiest {
            account_id: "111122223333".parse().expect("account"),
            region: "ap-southeast-1".parse().expect("Region"),
            operation: "DescribeSecurityConfiguration".to_owned(),
            percent: 100,
        });
        let text = render(&summary);
        let line = "Quota used 100 % of DescribeSecurityConfiguration, 111122223333 ap-southeast-1";
        assert!(text.lines().any(|l| l == line), "{text}");
        assert_eq!(text.lines().count(), lines + 1);
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn the_first_run_has_no_column_of_changes() {
        let text = render(&summary());
        assert!(
            text.contains("Run 20261124T020003Z-7f3a0000 for 2026-11-24"),
            "{text}"
        );
        assert!(text.contains("SEALED, PARTIAL (exit 4)\n"), "{text}");
        assert!(text.contains("  COMPLIANT      1,507      471\n"), "{text}");
        assert!(
            text.contains("78.6 % = 471 / (471 + 97 + 31); NO_LOGS left out"),
            "{text}"
        );
        assert!(text.contains("27 for want of kms:DescribeKey"), "{text}");
        assert!(
            text.contains("31 min, 41,207 calls, 0.2 % throttled"),
            "{text}"
        );
        assert!(!text.contains("since"), "{text}");
    }

    #[test]
    fn later_runs_say_what_changed() {
        let mut s = summary();
        let delta = [(Judgement::Compliant, 6), (Judgement::Unknown, -1200)].into();
        let changes = Changes {
            delta,
            new: 2,
            fixed: 5,
            ended: 3,
        };
        s.previous = Some(("2026-11-23".parse().expect("date"), changes));
        let text = render(&s);
        assert!(text.contains("since 2026-11-23"), "{text}");
        assert!(text.contains("2 new, 5 fixed, 3 ended"), "{text}");
        assert!(text.contains("-1,200; 27 for want of"), "{text}");
    }

    #[test]
    fn what_is_unknown_is_grouped_by_what_is_missing() {
        let mut s = summary();
        let wanted = &mut s.tally.unknown_for_want_of;
        for (action, n) in [
            ("elasticmapreduce:ListSteps", 40),
            ("sts:AssumeRole", 3),
            ("owner_unknown", 2),
            ("key_not_described", 1),
        ] {
            wanted.insert(action.to_owned(), n);
        }
        s.tally.delivery_unknown_for_want_of =
            [("iam:GetAccountAuthorizationDetails".to_owned(), 1200)].into();
        let text = render(&s);
        let rows = [
            "   40 for want of elasticmapreduce:ListSteps\n",
            "\n                                  27 for want of kms:DescribeKey\n",
            "\n                                  3 for want of sts:AssumeRole\n",
            "\n                                  3 for other reasons\n",
            "Delivery         1,200 compliant unknown: 1,200 for want of",
        ];
        for row in rows {
            assert!(text.contains(row), "{row}: {text}");
        }
    }

    #[test]
    fn what_is_amiss_with_the_archive_is_named() {
        let mut s = summary();
        let check = |(name, outcome): (&str, CheckOutcome)| ArchiveCheck {
            scheduled_for: s.date,
            check_name: name.to_owned(),
            outcome,
            required: false,
            detail: String::new(),
        };
        let all = [
            ("create_only", CheckOutcome::Fail),
            ("key_decrypt", CheckOutcome::Unknown),
            ("tls_only", CheckOutcome::Fail),
            ("versioning", CheckOutcome::Pass),
        ];
        s.checks = all.map(check).to_vec();
        for check in &mut s.checks {
            check.detail = format!("about {}", check.check_name);
        }
        let told = "Protection create_only: about create_only\n           \
                    tls_only: about tls_only\n           \
                    not known: key_decrypt: about key_decrypt\n           \
                    `keyproof doctor` looks again and says what to do\n";
        assert!(render(&s).contains(told), "{}", render(&s));
        s.checks.extend(s.checks.clone());
        assert!(render(&s).contains("\n           and 3 more checks\n"));
        s.checks.retain(|check| check.outcome == CheckOutcome::Pass);
        assert!(!render(&s).contains("Protection"));
    }

    #[test]
    fn of_a_folder_nothing_is_said_that_it_has_not() {
        let mut s = summary();
        s.checks = vec![ArchiveCheck {
            scheduled_for: s.date,
            check_name: NO_PROTECTION.to_owned(),
            outcome: CheckOutcome::Fail,
            required: false,
            detail: "none: a local folder".to_owned(),
        }];
        let text = render(&s);
        let told =
            "Protection none: a folder shows changes, and prevents none (see keyproof doctor)\n";
        assert!(text.contains(told), "{text}");
        assert!(!text.contains("fail"), "{text}");
    }

    #[test]
    fn a_run_that_speaks_for_no_date_says_so() {
        let mut s = summary();
        assert!(!render(&s).contains("speak"));
        s.narrowed = true;
        s.regions_off = vec!["af-south-1".parse().expect("Region")];
        let text = render(&s);
        let told =
            "\nNarrowed   this run does not speak for 2026-11-24, and no KPI counts it: it left";
        assert!(text.contains(told), "{text}");
        assert!(
            text.contains("Regions    af-south-1: on in no account"),
            "{text}"
        );
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn expired_exceptions_are_named_with_what_to_do() {
        let mut s = summary();
        let exception = |id: &str| Exception {
            scheduled_for: s.date,
            exception_id: id.to_owned(),
            kind: crate::model::words::ExceptionKind::Waiver,
            reason: String::new(),
            approver: "ciso@example.org".to_owned(),
            expires: "2026-10-06".parse().expect("date"),
            expired: true,
            accounts: String::new(),
            ous: String::new(),
            regions: String::new(),
            sources: String::new(),
            outcomes: String::new(),
            rules: String::new(),
            resources: String::new(),
            used: 0,
            outcome: None,
            severity: None,
            advice: None,
        };
        s.expired = ["a", "b", "c", "d", "e"].map(exception).into();
        let text = render(&s);
        let first =
            "Expired    a (waiver) on 2026-10-06: let ciso@example.org renew it, or remove it\n";
        assert!(text.contains(first), "{text}");
        assert!(
            text.contains("2 further exceptions; see dataset exception"),
            "{text}"
        );
    }

    #[test]
    fn copies_that_aws_keeps_stand_beside_the_compliant() {
        let mut s = summary();
        s.tally.keep_copies = 402;
        let delta = [(Judgement::Compliant, 6)].into();
        let changes = Changes {
            delta,
            ..Changes::default()
        };
        s.previous = Some(("2026-11-23".parse().expect("date"), changes));
        let text = render(&s);
        let row = "  COMPLIANT      1,507      471   +6; of active, 402 keep AWS-side copies too\n";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        let mut s = summary();
        let account: AccountId = "111122223333".parse().expect("account");
        s.account_names = vec![(account.clone(), "x\u{1b}[31m".repeat(40))];
        s.tally.unknown_for_want_of.insert("y".repeat(200), 99);
        let not_seen = (0..9)
            .map(|_| (account.clone(), CellOutcome::DeniedTrust))
            .collect();
        s.accounts = Accounts {
            listed: i64::MAX,
            not_seen,
            accepted_cells: 7,
            unavailable: 3,
            not_selected: 9,
            ..Accounts::default()
        };
        s.begun_with = Some(Sha256Hex::of(b"pin"));
        for line in render(&s).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
    }

    #[test]
    fn attempts_and_what_nobody_saw_stand_in_one_line() {
        let mut s = summary();
        assert!(!render(&s).contains("Attempts"), "a run that did not look");
        s.tally.attempts = Attempts {
            events: 14,
            distinct: 9,
            blocked: 2,
            flagged: 3,
            unknown: 1,
            without_cluster: 0,
            without_launch: 0,
        };
        let told = "Attempts   9 launches: 2 blocked, 3 flagged, 1 unknown; 0 h not observed\n";
        assert!(render(&s).contains(told), "{}", render(&s));
        s.tally.attempts.without_launch = 2;
        s.not_observed = NotObserved {
            ms: 90 * 60_000,
            accounts: 0,
            denied_action: Some("cloudtrail:LookupEvents".to_owned()),
        };
        let text = render(&s);
        assert!(
            text.contains("; 2 h not observed\n           for want of cloudtrail:LookupEvents\n"),
            "{text}"
        );
        assert!(
            text.contains("           0 launches in no list; 2 clusters without an event\n"),
            "{text}"
        );
    }

    /// domain/launches.md, "Easily wrong" 4.
    #[test]
    fn easily_wrong_4_no_events_and_no_look_are_told_apart() {
        let mut s = summary();
        s.not_observed.ms = HOUR_MS;
        let told = "Attempts   0 launches: 0 blocked, 0 flagged, 0 unknown; 1 h not observed\n";
        assert!(render(&s).contains(told), "{}", render(&s));
        s.not_observed = NotObserved {
            accounts: 2,
            ..NotObserved::default()
        };
        let told = "0 unknown; 0 h not observed\n           2 accounts not observed at all\n";
        assert!(render(&s).contains(told), "{}", render(&s));
    }

    #[test]
    fn an_empty_organization_has_no_share() {
        let mut s = summary();
        s.tally = Tally::default();
        assert!(render(&s).contains("not applicable"));
    }

    #[test]
    fn nothing_seen_and_nothing_there_are_told_apart() {
        let mut s = summary();
        s.tally = Tally::default();
        (s.cells, s.cells_open) = (24, 24);
        let text = render(&s);
        assert!(
            text.contains("Compliant share  unknown: 24 of 24 cells were not seen\n"),
            "{text}"
        );
        assert!(!text.contains("not applicable"), "{text}");
    }
}
