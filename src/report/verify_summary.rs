//! The text and the JSON after `keyproof verify`.

use std::fmt::Write as _;

use serde_json::json;

use super::WIDTH;
use super::text::{counted, name, number, wrap};
use crate::time::Date;

/// Where the trust in the archive's key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// `--pin`: the SHA-256 of entry 1.
    Pin,
    /// `--key`: a public key file.
    KeyFile,
    /// This machine created the archive, or verified it with a pin, earlier.
    Remembered,
    /// Nothing outside the archive says whose it is.
    Unpinned,
}

/// How one level ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelState {
    Pass,
    Fail,
    NotCheckable,
}

/// Everything the summary says.
#[derive(Debug, Clone)]
pub struct VerifySummary {
    pub url: String,
    /// First and last date that sealed runs speak for.
    pub dates: Option<(Date, Date)>,
    pub runs: usize,
    pub rollups: usize,
    pub entries: u64,
    pub head: Option<(u64, String)>,
    pub archive_id: String,
    pub genesis: String,
    pub keyid: String,
    pub key_source: KeySource,
    /// Whether an unpinned archive is accepted (`--self-consistent-only`).
    pub unpinned_accepted: bool,
    pub levels: Vec<(u8, &'static str, LevelState)>,
    /// Class, sentence.
    pub failures: Vec<(String, String)>,
    pub notices: Vec<String>,
}

impl VerifySummary {
    /// Whether verification passed, pinning included.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
            && self
                .levels
                .iter()
                .all(|(_, _, state)| *state != LevelState::Fail)
            && (self.key_source != KeySource::Unpinned || self.unpinned_accepted)
    }

    /// Whether what is there is not what the pin, the key or this machine's memory names.
    fn is_another(&self) -> bool {
        let classes = ["genesis_not_pinned", "wrong_key"];
        let mut failures = self.failures.iter();
        failures.any(|(class, _)| classes.contains(&class.as_str()))
    }

    fn result(&self) -> &'static str {
        match (self.failures.is_empty(), self.key_source) {
            (false, _) => "FAILED (exit 5)",
            (true, KeySource::Unpinned) if self.unpinned_accepted => "SELF-CONSISTENT, UNPINNED",
            (true, KeySource::Unpinned) => "UNPINNED (exit 5)",
            (true, _) => "VERIFIED",
        }
    }
}

const MOST_FAILURES: usize = 20;

/// Renders the text.
pub fn render(s: &VerifySummary) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{:<56}{}\n", "Archive", s.result());
    let _ = writeln!(out, "{:<10} {}", "", s.url);
    let dates = s
        .dates
        .map(|(a, b)| format!(" for {a} to {b}"))
        .unwrap_or_default();
    let runs = counted(s.runs as i64, "sealed run", "sealed runs");
    let rollups = counted(s.rollups as i64, "rollup", "rollups");
    labelled(&mut out, "Range", &format!("{runs}{dates}, {rollups}"));
    if let Some((seq, head)) = &s.head {
        labelled(
            &mut out,
            "Head",
            &format!("entry {} {}", number(*seq as i64), short(head)),
        );
    }
    labelled(&mut out, "Signer", &format!("key {}", short(&s.keyid)));
    let trust = match s.key_source {
        _ if s.is_another() => {
            "NONE: it is not the archive that was asked for, see the failures; the rest is only what it says of itself"
        }
        KeySource::Pin => "entry 1 has the SHA-256 you gave",
        KeySource::KeyFile => "the key is the one you gave",
        KeySource::Remembered => "this machine remembers the archive",
        KeySource::Unpinned => {
            "NOTHING outside the archive vouches for it: ask its owner for the SHA-256 of entry 1 and give it with --pin"
        }
    };
    labelled(&mut out, "Trust", trust);
    out.push('\n');
    for (level, what, state) in &s.levels {
        let state = match state {
            LevelState::Pass => "pass",
            LevelState::Fail => "FAIL",
            LevelState::NotCheckable => "not checkable",
        };
        let _ = writeln!(out, "Level {level}    {what:<53}{state}");
    }
    if !s.failures.is_empty() {
        let _ = writeln!(out, "\nFailures   {}", number(s.failures.len() as i64));
        for (class, sentence) in s.failures.iter().take(MOST_FAILURES) {
            // Names of objects are of no use cut short: a long one gets a line of its own.
            let text = format!("{class}: {sentence}");
            let _ = writeln!(out, "  {}", wrap(&name(&text, 500), WIDTH, 4));
        }
        if s.failures.len() > MOST_FAILURES {
            let _ = writeln!(out, "  +{} more", s.failures.len() - MOST_FAILURES);
        }
    }
    if !s.notices.is_empty() {
        out.push_str("\nNotices\n");
        for notice in s.notices.iter().take(MOST_FAILURES) {
            let _ = writeln!(out, "  {}", wrap(&name(notice, 300), WIDTH, 2));
        }
        if s.notices.len() > MOST_FAILURES {
            let _ = writeln!(out, "  +{} more", s.notices.len() - MOST_FAILURES);
        }
    }
    out.push('\n');
    if s.result().starts_with("FAILED") {
        let text = "this is not, or no longer, what was sealed: read the first failure first, docs/verification.md explains each";
        labelled(&mut out, "Shows", text);
        return out;
    }
    labelled(
        &mut out,
        "Shows",
        "every file is the one that was sealed, every seal is signed by this key, no entry between the first and the head is missing",
    );
    labelled(
        &mut out,
        "Shows not",
        "that AWS really said it: the holder of the key can seal a falsified run, never alter a sealed one",
    );
    out
}

/// The same as JSON, one object and a line end.
pub fn json(s: &VerifySummary) -> String {
    let state = |state: LevelState| match state {
        LevelState::Pass => "pass",
        LevelState::Fail => "fail",
        LevelState::NotCheckable => "not_checkable",
    };
    let value = json!({
        "archive": s.url,
        "archive_id": s.archive_id,
        "passed": s.passed(),
        "result": s.result(),
        "entries": s.entries,
        "runs": s.runs,
        "rollups": s.rollups,
        "first_date": s.dates.map(|d| d.0.to_string()),
        "last_date": s.dates.map(|d| d.1.to_string()),
        "head_seq": s.head.as_ref().map(|h| h.0),
        "head_sha256": s.head.as_ref().map(|h| h.1.clone()),
        "genesis_sha256": s.genesis,
        "keyid": s.keyid,
        "trust": match s.key_source {
            KeySource::Pin => "pin",
            KeySource::KeyFile => "key",
            KeySource::Remembered => "remembered",
            KeySource::Unpinned => "unpinned",
        },
        "levels": s.levels.iter().map(|(level, what, result)| json!({
            "level": level, "checks": what, "result": state(*result),
        })).collect::<Vec<_>>(),
        "failures": s.failures.iter().map(|(class, sentence)| json!({
            "class": class, "detail": sentence,
        })).collect::<Vec<_>>(),
        "notices": s.notices,
    });
    format!("{value}\n")
}

fn short(hex: &str) -> &str {
    hex.get(..16).unwrap_or(hex)
}

fn labelled(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label:<10} {}", wrap(text, WIDTH, 11));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> VerifySummary {
        VerifySummary {
            url: "./keyproof-archive".to_owned(),
            dates: Some((
                "2026-10-05".parse().expect("date"),
                "2026-10-09".parse().expect("date"),
            )),
            runs: 5,
            rollups: 1,
            entries: 7,
            head: Some((7, "a".repeat(64))),
            archive_id: "b".repeat(32),
            genesis: "c".repeat(64),
            keyid: "d".repeat(64),
            key_source: KeySource::Remembered,
            unpinned_accepted: false,
            levels: vec![
                (1, "files", LevelState::Pass),
                (2, "signatures", LevelState::Pass),
            ],
            failures: Vec::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn a_good_archive_is_verified() {
        let s = summary();
        assert!(s.passed());
        let text = render(&s);
        assert!(text.contains("VERIFIED"), "{text}");
        assert!(
            text.contains("5 sealed runs for 2026-10-05 to 2026-10-09, 1 rollup"),
            "{text}"
        );
    }

    #[test]
    fn an_unpinned_archive_does_not_pass_unless_that_is_accepted() {
        let mut s = summary();
        s.key_source = KeySource::Unpinned;
        assert!(!s.passed());
        assert!(render(&s).contains("UNPINNED (exit 5)"));
        s.unpinned_accepted = true;
        assert!(s.passed());
    }

    #[test]
    fn failures_are_named_and_stay_within_the_terminal() {
        let mut s = summary();
        let sentence = format!(
            "evidence/\u{1b}[2J{} {}",
            "x".repeat(200),
            "word ".repeat(90)
        );
        s.failures = vec![("digest_mismatch".into(), sentence); 30];
        s.notices = vec!["n".repeat(60); 30];
        assert!(!s.passed());
        let text = render(&s);
        assert!(text.contains("+10 more"), "{text}");
        for line in text.lines() {
            let several = line.trim_start().contains(' ');
            assert!(line.chars().count() <= WIDTH || !several, "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
        let value: serde_json::Value = serde_json::from_str(&json(&s)).expect("json");
        assert_eq!(value["failures"].as_array().map(Vec::len), Some(30));
    }
}
