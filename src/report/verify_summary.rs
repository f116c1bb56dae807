//! The text and the JSON after `keyproof verify`.

use std::fmt::Write as _;

use serde_json::json;

use super::WIDTH;
use super::text::{counted, harmless, number, wrap};
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

/// One level and how it ended.
#[derive(Debug, Clone)]
pub struct Level {
    pub level: u8,
    /// What it checks, in a few words.
    pub checks: &'static str,
    pub state: LevelState,
    /// Why it could not be checked.
    pub why: Option<String>,
}

/// Everything the summary says.
#[derive(Debug, Clone)]
pub struct VerifySummary {
    pub url: String,
    /// First and last date that sealed runs speak for.
    pub dates: Option<(Date, Date)>,
    pub runs: usize,
    pub rollups: usize,
    pub backfills: usize,
    /// First and last date that were looked for.
    pub range: Option<(Date, Date)>,
    /// Whether a level above 3 has to be checkable.
    pub strict: bool,
    pub entries: u64,
    pub head: Option<(u64, String)>,
    pub archive_id: String,
    pub genesis: String,
    pub keyid: String,
    pub key_source: KeySource,
    /// Whether an unpinned archive is accepted (`--self-consistent-only`).
    pub unpinned_accepted: bool,
    pub levels: Vec<Level>,
    /// Class, sentence.
    pub failures: Vec<(String, String)>,
    pub notices: Vec<String>,
}

impl VerifySummary {
    /// Whether verification passed, pinning included.
    pub fn passed(&self) -> bool {
        self.levels_passed() && (self.key_source != KeySource::Unpinned || self.unpinned_accepted)
    }

    /// Whether every level passed, but for those that nobody insists on.
    fn levels_passed(&self) -> bool {
        let passes = |level: &Level| match level.state {
            LevelState::Pass => true,
            LevelState::Fail => false,
            LevelState::NotCheckable => level.level > 3 && !self.strict,
        };
        self.failures.is_empty() && self.levels.iter().all(passes)
    }

    /// The levels that ended so, as `1`, `1 and 2` or `4, 5 and 6`.
    fn ended(&self, state: LevelState) -> Option<String> {
        let of = self.levels.iter().filter(|level| level.state == state);
        let mut of: Vec<String> = of.map(|level| level.level.to_string()).collect();
        let last = of.pop()?;
        Some(match of.as_slice() {
            [] => last,
            others => format!("{} and {last}", others.join(", ")),
        })
    }

    /// Whether what is there is not what the pin, the key or this machine's memory names.
    fn is_another(&self) -> bool {
        let classes = ["genesis_not_pinned", "wrong_key"];
        let mut failures = self.failures.iter();
        failures.any(|(class, _)| classes.contains(&class.as_str()))
    }

    /// The highest level up to which all were asked for.
    fn asked(&self) -> u8 {
        let levels = (1..).zip(&self.levels);
        let dense = levels.take_while(|(n, level)| level.level == *n);
        dense.map(|(n, _)| n).last().unwrap_or(0)
    }

    fn result(&self) -> String {
        match (self.levels_passed(), self.key_source) {
            (false, _) => "FAILED (exit 5)".to_owned(),
            (true, KeySource::Unpinned) if self.unpinned_accepted => {
                "SELF-CONSISTENT, UNPINNED".to_owned()
            }
            (true, KeySource::Unpinned) => "UNPINNED (exit 5)".to_owned(),
            (true, _) if self.asked() < USUAL => format!("VERIFIED TO LEVEL {}", self.asked()),
            (true, _) => "VERIFIED".to_owned(),
        }
    }
}

/// The highest level that is checked where nothing else is said.
const USUAL: u8 = 5;
/// What a level shows when it passed, lowest first.
const SHOWS: [&str; 7] = [
    "every file that a sealed entry vouches for is the one that was sealed",
    "every seal is signed by this key",
    "no entry between the first and the head is missing",
    "storage keeps one version of each, under the key and lock that it was written with",
    "a sealed run speaks for each of these dates, with coverage of every account of its scope",
    "the times that were signed are those at which AWS stored the entries",
    "what was remembered or copied elsewhere says the same",
];

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
    let mut others = counted(s.rollups as i64, "rollup", "rollups");
    if s.backfills > 0 {
        let backfills = counted(s.backfills as i64, "backfill", "backfills");
        let _ = write!(others, ", {backfills}");
    }
    let range = s
        .range
        .map(|(a, b)| format!("; each date from {a} to {b} was looked for"))
        .unwrap_or_default();
    labelled(
        &mut out,
        "Range",
        &format!("{runs}{dates}, {others}{range}"),
    );
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
        // No entry, not even the first, could be judged by its key.
        _ if s.head.is_none() => {
            "NONE: entry 1 or its key is missing or broken, so nothing can be compared"
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
    for Level {
        level,
        checks,
        state,
        why,
    } in &s.levels
    {
        let state = match state {
            LevelState::Pass => "pass",
            LevelState::Fail => "FAIL",
            LevelState::NotCheckable => "not checkable",
        };
        let _ = writeln!(out, "Level {level}    {checks:<53}{state}");
        if let Some(why) = why {
            labelled(&mut out, "", &harmless(why));
        }
    }
    if !s.failures.is_empty() {
        let _ = writeln!(out, "\nFailures   {}", number(s.failures.len() as i64));
        let failures = s.failures.iter();
        listed(&mut out, 4, failures.map(|(c, t)| format!("{c}: {t}")));
    }
    if !s.notices.is_empty() {
        out.push_str("\nNotices\n");
        listed(&mut out, 2, s.notices.iter().cloned());
    }
    out.push('\n');
    shows(&mut out, s);
    out
}

/// Paragraphs of which none is cut: names of objects are of no use without their ends.
fn listed(out: &mut String, indent: usize, texts: impl ExactSizeIterator<Item = String>) {
    let more = texts.len().saturating_sub(MOST_FAILURES);
    for text in texts.take(MOST_FAILURES) {
        let _ = writeln!(out, "  {}", wrap(&harmless(&text), WIDTH, indent));
    }
    if more > 0 {
        let _ = writeln!(out, "  +{more} more, all of them with --format json");
    }
}

/// What follows from the levels that passed, and what does not.
fn shows(out: &mut String, s: &VerifySummary) {
    if !s.levels_passed() {
        let of = |state: LevelState, word: &str| {
            let levels = s.ended(state)?;
            Some(format!("level {levels} {word}"))
        };
        let what = [
            of(LevelState::Fail, "failed"),
            of(LevelState::NotCheckable, "could not be checked"),
        ];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let meaning = match lowest_failed(s) {
            Some(0..=3) => "this is not, or no longer, what was sealed",
            Some(_) => "what is sealed does not show all that it should",
            None => "what was asked for is not shown",
        };
        let text = format!(
            "{}: {meaning}; read the first failure first, docs/verification.md explains each",
            what.join(", ")
        );
        labelled(out, "Shows", &text);
        return;
    }
    let passed = s.levels.iter().filter(|l| l.state == LevelState::Pass);
    let shown = passed.filter_map(|l| SHOWS.get(usize::from(l.level).wrapping_sub(1)).copied());
    labelled(out, "Shows", &shown.collect::<Vec<_>>().join(", "));
    let unasked = match s.asked() {
        0 | 1 => "who signed, and whether the chain is whole: levels 2 and 3 were not asked for; ",
        2 => "whether the chain is whole: level 3 was not asked for; ",
        3 | 4 => "whether a date or an account is missing: level 5 was not asked for; ",
        _ => "",
    };
    let unknown = s.ended(LevelState::NotCheckable);
    let unknown = unknown.map(|levels| format!("what level {levels} asks, see above; "));
    let text = format!(
        "{unasked}{}that AWS really said it: the holder of the key can seal a falsified run, never alter a sealed one",
        unknown.unwrap_or_default()
    );
    labelled(out, "Shows not", &text);
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
        "backfills": s.backfills,
        "first_date": s.dates.map(|d| d.0.to_string()),
        "last_date": s.dates.map(|d| d.1.to_string()),
        "range_from": s.range.map(|d| d.0.to_string()),
        "range_to": s.range.map(|d| d.1.to_string()),
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
        "levels": s.levels.iter().map(|l| json!({
            "level": l.level, "checks": l.checks, "result": state(l.state), "why": l.why,
        })).collect::<Vec<_>>(),
        "failures": s.failures.iter().map(|(class, sentence)| json!({
            "class": class, "detail": sentence,
        })).collect::<Vec<_>>(),
        "notices": s.notices,
    });
    format!("{value}\n")
}

/// The lowest level that failed.
fn lowest_failed(s: &VerifySummary) -> Option<u8> {
    let failed = s.levels.iter().filter(|l| l.state == LevelState::Fail);
    failed.map(|l| l.level).min()
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

    fn level(level: u8) -> Level {
        Level {
            level,
            checks: "something",
            state: LevelState::Pass,
            why: None,
        }
    }

    fn summary() -> VerifySummary {
        VerifySummary {
            url: "./keyproof-archive".to_owned(),
            dates: Some((
                "2026-10-05".parse().expect("date"),
                "2026-10-09".parse().expect("date"),
            )),
            runs: 5,
            rollups: 1,
            backfills: 0,
            range: None,
            strict: false,
            entries: 7,
            head: Some((7, "a".repeat(64))),
            archive_id: "b".repeat(32),
            genesis: "c".repeat(64),
            keyid: "d".repeat(64),
            key_source: KeySource::Remembered,
            unpinned_accepted: false,
            levels: vec![level(1), level(2), level(3)],
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
    fn what_it_shows_follows_from_the_levels_that_passed() {
        let whole = "no entry between the first and the head is missing";
        let flat = |s: &VerifySummary| {
            let text = render(s);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(flat(&summary()).contains(whole));
        let mut s = summary();
        s.levels.truncate(1);
        let text = flat(&s);
        assert!(text.contains("VERIFIED TO LEVEL 1"), "{text}");
        assert!(text.contains("levels 2 and 3 were not asked for"), "{text}");
        assert!(!text.contains("signed by this key"), "{text}");
        assert!(!text.contains(whole), "{text}");
    }

    #[test]
    fn a_level_that_could_not_be_checked_fails() {
        let mut s = summary();
        s.levels.truncate(1);
        s.levels[0].state = LevelState::NotCheckable;
        s.head = None;
        for source in [KeySource::Pin, KeySource::KeyFile, KeySource::Unpinned] {
            s.key_source = source;
            s.unpinned_accepted = true;
            assert!(!s.passed());
            let text = render(&s);
            assert!(text.contains("FAILED (exit 5)"), "{text}");
            assert!(text.contains("level 1 could not be checked"), "{text}");
            assert!(!text.contains("VERIFIED"), "{text}");
            assert!(!text.contains("you gave"), "{text}");
            assert!(!text.contains("every file"), "{text}");
        }
    }

    #[test]
    fn a_level_that_nobody_insists_on_may_be_unknown_and_is_not_claimed() {
        let mut s = summary();
        s.levels.extend([4, 5, 7].map(level));
        s.range = s.dates;
        s.levels[3].state = LevelState::NotCheckable;
        s.levels[3].why = Some("a folder keeps no versions".to_owned());
        let flat = |s: &VerifySummary| {
            let text = render(s);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(s.passed());
        let text = flat(&s);
        for part in [
            "not checkable a folder keeps no versions",
            "each date from 2026-10-05 to 2026-10-09 was looked for",
            "copied elsewhere says the same",
            "what level 4 asks",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("one version of each"), "{text}");
        assert!(text.contains(" VERIFIED "), "{text}");
        s.strict = true;
        assert!(!s.passed());
        let text = flat(&s);
        assert!(text.contains("FAILED (exit 5)"), "{text}");
        assert!(
            text.contains("level 4 could not be checked: what was asked for"),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&json(&s)).expect("json");
        assert_eq!(value["levels"][3]["result"], "not_checkable");
        assert_eq!(value["levels"][3]["why"], "a folder keeps no versions");
        assert_eq!(value["range_to"], "2026-10-09");
    }

    #[test]
    fn names_are_never_cut() {
        let long = format!("evidence/{}.parquet", "x/".repeat(500));
        let mut s = summary();
        s.failures = vec![(
            "missing_file".into(),
            format!("{long} is missing; {long}.json"),
        )];
        s.notices = vec![format!("start {long}")];
        let text = render(&s);
        assert_eq!(text.matches(&long).count(), 3, "{text}");
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
