//! The text and the JSON after `keyproof doctor`.

use std::fmt::Write as _;

use serde_json::json;

use super::WIDTH;
use super::text::{counted, harmless, number, wrap};
use crate::error::Exit;

/// Accounts that a line of the text names; the JSON names all.
const SHOWN: usize = 3;
/// Lines of one check that the text shows; the JSON has all.
const MOST_LINES: usize = 12;
const INDENT: usize = 4;
const NEXT: &str = "-> ";

/// How a precondition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Fail,
    /// It could not be told.
    Unknown,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "could_not_tell",
        }
    }
}

/// How one line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pass,
    Fail,
    /// Not known, and a run may fail or see less for it.
    Unknown,
    /// Not known, and a run says so by itself before it costs anything.
    Untold,
    /// Worth a look; decides nothing.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub state: State,
    pub what: String,
    /// The accounts that it is about, all of them; none where it is about no account.
    pub accounts: Vec<String>,
    /// A command, a permission, or what else to do.
    pub next: Option<String>,
}

impl Line {
    /// Something that stands so.
    pub fn new(state: State, what: impl Into<String>) -> Self {
        Self {
            state,
            what: what.into(),
            accounts: Vec::new(),
            next: None,
        }
    }

    /// Something as it should be.
    pub fn pass(what: impl Into<String>) -> Self {
        Self::new(State::Pass, what)
    }

    /// Something worth a look.
    pub fn note(what: impl Into<String>) -> Self {
        Self::new(State::Note, what)
    }

    /// Something that stops a run, or makes it see less; and what to do.
    pub fn fail(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(State::Fail, what).next(next)
    }

    /// A check that has to wait for another one.
    pub fn needs(check: &str) -> Self {
        Self::new(State::Unknown, format!("needs {check}"))
    }

    /// The same with what to do.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The same about these accounts.
    #[must_use]
    pub fn about(mut self, accounts: Vec<String>) -> Self {
        self.accounts = accounts;
        self
    }
}

/// One precondition and everything that was found of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub lines: Vec<Line>,
}

impl Check {
    /// The worst of its lines.
    pub fn outcome(&self) -> Outcome {
        let has = |state| self.lines.iter().any(|line| line.state == state);
        if has(State::Fail) {
            Outcome::Fail
        } else if has(State::Unknown) {
            Outcome::Unknown
        } else {
            Outcome::Pass
        }
    }
}

/// Everything that was checked, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorSummary {
    /// Where evidence would go.
    pub archive: String,
    pub checks: Vec<Check>,
    /// Requests to AWS beside those to the archive and the signing key.
    pub calls: i64,
    pub throttles: i64,
    /// The exit code that follows.
    pub exit: Exit,
}

impl DoctorSummary {
    fn ended(&self, outcome: Outcome) -> usize {
        let all = self.checks.iter();
        all.filter(|check| check.outcome() == outcome).count()
    }

    /// The worst of its checks.
    pub fn outcome(&self) -> Outcome {
        [Outcome::Fail, Outcome::Unknown]
            .into_iter()
            .find(|outcome| self.ended(*outcome) > 0)
            .unwrap_or(Outcome::Pass)
    }

    fn result(&self) -> String {
        let (failed, unknown) = (self.ended(Outcome::Fail), self.ended(Outcome::Unknown));
        let mut said = Vec::new();
        if failed > 0 {
            said.push(format!("{failed} FAILED"));
        }
        if unknown > 0 {
            said.push(format!("{unknown} NOT KNOWN"));
        }
        if said.is_empty() {
            return "READY".to_owned();
        }
        format!("{} (exit {})", said.join(", "), self.exit as u8)
    }
}

/// Renders the text.
pub fn render(s: &DoctorSummary) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{:<48}{}", "Before a run", s.result());
    paragraph(&mut out, "", &s.archive);
    for (n, check) in (1..).zip(&s.checks) {
        let state = match check.outcome() {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::Unknown => "could not tell",
        };
        let _ = writeln!(out, "\n{n:>2}  {:<16}{state}", check.name);
        let shown = &check.lines[..check.lines.len().min(MOST_LINES)];
        for (at, line) in shown.iter().enumerate() {
            show(&mut out, line, check.lines.len());
            // Lines that are mended alike say so once, the last of them.
            let below = shown.get(at + 1).and_then(|line| line.next.as_ref());
            if let Some(next) = line.next.as_ref().filter(|next| below != Some(next)) {
                paragraph(&mut out, NEXT, next);
            }
        }
        if let Some(more) = check.lines.len().checked_sub(MOST_LINES).filter(|n| *n > 0) {
            let more = counted(more as i64, "line", "lines");
            paragraph(&mut out, "", &format!("and {more} more: --format json"));
        }
    }
    let calls = counted(s.calls, "call", "calls");
    let _ = write!(out, "\n{calls} about accounts");
    if s.throttles > 0 {
        let _ = write!(out, ", {} throttled", s.throttles);
    }
    let _ = writeln!(out, "; nothing was written");
    out
}

fn show(out: &mut String, line: &Line, of: usize) {
    let label = match line.state {
        State::Pass => "",
        State::Fail if of > 1 => "FAIL: ",
        State::Unknown if of == 1 => "",
        State::Fail => "",
        State::Unknown | State::Untold => "could not tell: ",
        State::Note => "note: ",
    };
    let mut what = format!("{label}{}", line.what);
    if !line.accounts.is_empty() {
        let shown: Vec<&str> = line
            .accounts
            .iter()
            .take(SHOWN)
            .map(String::as_str)
            .collect();
        let _ = write!(what, ": {}", shown.join(", "));
        if line.accounts.len() > SHOWN {
            let _ = write!(what, ", +{}", number((line.accounts.len() - SHOWN) as i64));
        }
    }
    paragraph(out, "", &what);
}

/// `words` behind the indent and `lead`, in lines of at most [`WIDTH`] columns.
fn paragraph(out: &mut String, lead: &str, words: &str) {
    let indent = INDENT + lead.len();
    let words = harmless(words);
    // An ARN may be longer than a line.
    let mut pieces = Vec::new();
    for word in words.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        let parts = letters.chunks(WIDTH - indent);
        pieces.extend(parts.map(|part| part.iter().collect::<String>()));
    }
    let text = wrap(&pieces.join(" "), WIDTH, indent);
    let _ = writeln!(out, "{:INDENT$}{lead}{text}", "");
}

/// Renders the same for machines: one object, every account of every line.
pub fn render_json(s: &DoctorSummary) -> String {
    let line = |line: &Line| {
        let outcome = match line.state {
            State::Pass => "pass",
            State::Fail => "fail",
            State::Unknown | State::Untold => "could_not_tell",
            State::Note => "note",
        };
        json!({
            "outcome": outcome,
            "decides": matches!(line.state, State::Fail | State::Unknown),
            "what": harmless(&line.what),
            "accounts": line.accounts,
            "next": line.next.as_deref().map(harmless),
        })
    };
    let check = |check: &Check| {
        json!({
            "check": check.name,
            "outcome": check.outcome().word(),
            "lines": check.lines.iter().map(line).collect::<Vec<_>>(),
        })
    };
    let all = json!({
        "archive": harmless(&s.archive),
        "outcome": s.outcome().word(),
        "exit": s.exit as u8,
        "calls": s.calls,
        "throttles": s.throttles,
        "checks": s.checks.iter().map(check).collect::<Vec<_>>(),
        "version": "1",
    });
    format!("{all:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(checks: Vec<Check>) -> DoctorSummary {
        DoctorSummary {
            archive: "s3://org-emr-evidence/keyproof".to_owned(),
            checks,
            calls: 1_234,
            throttles: 0,
            exit: Exit::Failed,
        }
    }

    fn check(name: &'static str, states: &[State]) -> Check {
        let lines = states.iter().map(|state| Line::new(*state, "it is so"));
        Check {
            name,
            lines: lines.collect(),
        }
    }

    #[test]
    fn a_check_is_as_bad_as_its_worst_line() {
        use State::{Fail, Note, Pass, Unknown, Untold};
        for (states, outcome) in [
            (&[][..], Outcome::Pass),
            (&[Pass, Note, Untold], Outcome::Pass),
            (&[Note], Outcome::Pass),
            (&[Pass, Unknown], Outcome::Unknown),
            (&[Unknown, Fail, Pass], Outcome::Fail),
        ] {
            assert_eq!(check("x", states).outcome(), outcome, "{states:?}");
        }
        let all = |checks| summary(checks).outcome();
        assert_eq!(all(vec![check("a", &[Pass])]), Outcome::Pass);
        let unknown = vec![check("a", &[Pass]), check("b", &[Unknown])];
        assert_eq!(all(unknown.clone()), Outcome::Unknown);
        let failed = [unknown, vec![check("c", &[Fail])]].concat();
        assert_eq!(all(failed.clone()), Outcome::Fail);
        let said = render(&summary(failed));
        assert!(said.contains("1 FAILED, 1 NOT KNOWN (exit 1)"), "{said}");
        let ready = render(&summary(vec![check("a", &[Pass])]));
        assert!(ready.contains("READY\n"), "{ready}");
    }

    #[test]
    fn the_text_of_a_large_organization_keeps_to_80_columns() {
        let accounts = |n: u64| -> Vec<String> {
            let ids = 0..n;
            ids.map(|id| format!("{}", 111_122_223_333 + id)).collect()
        };
        let arn = "arn:aws:sts::111122223333:assumed-role/keyproof-collector/a-session-name-of-the-longest-kind-there-is-64-characters";
        let key = "arn:aws:kms:eu-central-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444";
        let mut many = Check {
            name: "reading",
            lines: vec![],
        };
        for n in 0..MOST_LINES + 5 {
            let line = Line::fail(format!("lacks action:Number{n}"), "deploy it again");
            many.lines.push(line.about(accounts(10_000)));
        }
        let s = summary(vec![
            Check {
                name: "credentials",
                lines: vec![Line::pass(arn)],
            },
            Check {
                name: "roles",
                lines: vec![
                    Line::fail("cannot be assumed in 3 accounts", format!("let {arn} in"))
                        .about(accounts(3)),
                    Line::note("\u{1b}[2J bell\u{7}"),
                ],
            },
            many,
            Check {
                name: "signer",
                lines: vec![Line::new(State::Unknown, key).next(key)],
            },
        ]);
        let text = render(&s);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
        assert!(text.contains("111122223333, 111122223334,"), "{text}");
        assert!(text.contains("+9,997"), "{text}");
        assert!(text.contains("and 5 lines more: --format json"), "{text}");
        assert_eq!(text.matches("-> deploy it again").count(), 1, "{text}");
        let json: serde_json::Value = serde_json::from_str(&render_json(&s)).expect("JSON");
        let lines = &json["checks"][2]["lines"];
        assert_eq!(lines.as_array().map(Vec::len), Some(MOST_LINES + 5));
        let named = lines[0]["accounts"].as_array().map(Vec::len);
        assert_eq!(named, Some(10_000));
    }

    #[test]
    fn what_decides_is_told_to_machines() {
        let s = summary(vec![check("archive", &[State::Untold, State::Unknown])]);
        let json: serde_json::Value = serde_json::from_str(&render_json(&s)).expect("JSON");
        assert_eq!(json["outcome"], "could_not_tell");
        let decides = |n: usize| json["checks"][0]["lines"][n]["decides"].as_bool();
        assert_eq!((decides(0), decides(1)), (Some(false), Some(true)));
    }
}
