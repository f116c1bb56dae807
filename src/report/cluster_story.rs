//! The text and the JSON after `keyproof explain CLUSTER-ID`: a verdict as a chain of rules and facts,
//! down to the digests of the sealed files that hold them.
//!
//! Prose is wrapped at [`WIDTH`]. Names of files, digests and ARNs are never cut: one that is longer
//! stands on a line of its own.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::WIDTH;
use super::text::{harmless, name, wrap};
use crate::model::datasets::{Channel, Exception, Finding, Verdict};
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::{Cell, Dataset};
use crate::model::words::{Outcome, RunOutcome};
use crate::time::Date;

/// Everything that is said of one cluster.
#[derive(Debug, Clone)]
pub struct ClusterStory {
    pub sealed: Sealed,
    pub verdict: Verdict,
    pub channels: Vec<Channel>,
    /// In order of rule.
    pub findings: Vec<Told>,
    /// Exceptions that the findings name.
    pub waivers: Vec<Exception>,
    /// Rows that the findings name, in the order in which they are first named.
    pub facts: Vec<FactRow>,
    /// Files that hold verdict, channels and findings.
    pub files: Vec<File>,
}

/// A finding with what the rule that made it says of itself; nothing where this program does not know
/// the rule.
#[derive(Debug, Clone)]
pub struct Told {
    pub finding: Finding,
    pub rule_name: Option<&'static str>,
    pub supports: &'static [&'static str],
}

/// The run that is looked at, and what vouches for it.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub url: String,
    pub run_id: RunId,
    pub scheduled_for: Date,
    pub outcome: RunOutcome,
    /// The signed entry of the chain.
    pub entry: File,
    pub manifest: File,
    pub rules_version: String,
    pub rules_sha256: Sha256Hex,
}

/// A file of the archive whose digest was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the archive root.
    pub name: String,
    pub sha256: Sha256Hex,
}

/// One row that a rule read.
#[derive(Debug, Clone)]
pub struct FactRow {
    /// As findings name it.
    pub id: String,
    /// The file that holds it; `None` where no sealed file does.
    pub file: Option<File>,
    /// Columns that have a value, in file order.
    pub columns: Vec<(&'static str, Value)>,
}

/// The columns of a row that have a value, without the date that every row carries.
pub fn columns<D: Dataset>(row: &D) -> Vec<(&'static str, Value)> {
    let columns = D::COLUMNS.iter().enumerate();
    columns
        .filter(|(_, column)| column.name != "scheduled_for")
        .filter_map(|(position, column)| {
            let value = match row.cell(position) {
                Cell::Null => return None,
                Cell::Text(text) => Value::from(text.into_owned()),
                Cell::Int(number) => Value::from(number),
                Cell::Bool(yes) => Value::from(yes),
                Cell::Instant(at) => Value::from(at.to_string()),
                Cell::Date(date) => Value::from(date.to_string()),
            };
            Some((column.name, value))
        })
        .collect()
}

fn object<D: Dataset>(row: &D) -> Map<String, Value> {
    let columns = columns(row).into_iter();
    columns.map(|(name, v)| (name.to_owned(), v)).collect()
}

/// The story as one JSON document.
pub fn to_json(story: &ClusterStory) -> Value {
    let file = |f: &File| json!({"name": f.name, "sha256": f.sha256.as_str()});
    let findings: Vec<Value> = story
        .findings
        .iter()
        .map(|told| {
            let mut row = object(&told.finding);
            let params = serde_json::from_str(&told.finding.params_json).unwrap_or(Value::Null);
            row.remove("params_json");
            row.insert("params".to_owned(), params);
            let ids: Vec<&str> = told.finding.facts.split_whitespace().collect();
            row.insert("facts".to_owned(), json!(ids));
            row.insert("name".to_owned(), json!(told.rule_name));
            row.insert("supports".to_owned(), json!(told.supports));
            Value::Object(row)
        })
        .collect();
    let facts: Vec<Value> = story
        .facts
        .iter()
        .map(|fact| {
            let columns = fact.columns.iter();
            let row: Map<_, _> = columns
                .map(|(name, v)| ((*name).to_owned(), v.clone()))
                .collect();
            json!({"id": fact.id, "file": fact.file.as_ref().map(file), "row": row})
        })
        .collect();
    let sealed = &story.sealed;
    json!({
        "archive": sealed.url,
        "run": {
            "run_id": sealed.run_id.to_string(),
            "scheduled_for": sealed.scheduled_for.to_string(),
            "outcome": sealed.outcome.as_str(),
            "rules_version": sealed.rules_version,
            "rules_sha256": sealed.rules_sha256.as_str(),
            "chain": file(&sealed.entry),
            "manifest": file(&sealed.manifest),
        },
        "verdict": object(&story.verdict),
        "channels": story.channels.iter().map(object).collect::<Vec<_>>(),
        "findings": findings,
        "waivers": story.waivers.iter().map(object).collect::<Vec<_>>(),
        "facts": facts,
        "files": story.files.iter().map(file).collect::<Vec<_>>(),
    })
}

/// The story as text.
pub fn render(story: &ClusterStory) -> String {
    let mut out = String::new();
    head(&mut out, story);
    out.push_str("\nChannels\n");
    for channel in &story.channels {
        one_channel(&mut out, channel);
    }
    out.push_str("\nFindings\n");
    for told in &story.findings {
        one_finding(&mut out, told, story);
    }
    out.push_str("\nFacts\n");
    for (number, fact) in (1..).zip(&story.facts) {
        one_fact(&mut out, number, fact);
    }
    foot(&mut out, story);
    out
}

fn head(out: &mut String, story: &ClusterStory) {
    let verdict = &story.verdict;
    let named = verdict
        .name
        .as_deref()
        .map(|n| format!(" \"{}\"", name(n, 36)))
        .unwrap_or_default();
    block(
        out,
        "Cluster",
        &format!("{}{named}, {}", verdict.cluster_id, verdict.state),
    );
    block(
        out,
        "",
        &format!("account {}, {}", verdict.account_id, verdict.region),
    );
    block(
        out,
        "Verdict",
        &format!(
            "{} for {}, delivery {}, posture {}",
            verdict.verdict, story.sealed.scheduled_for, verdict.delivery, verdict.posture
        ),
    );
    let decided = match verdict.decided_by.as_str() {
        "" => "no rule".to_owned(),
        rules => rules.to_owned(),
    };
    block(out, "Decided by", &format!("{decided} ({})", verdict.basis));
    if let Some(run_id) = &verdict.stands_from_run {
        let text = format!(
            "on run {run_id}: the cluster has ended since, so it is judged by the keys and buckets \
             of that day"
        );
        block(out, "Stands", &text);
    }
    if let Some(old) = verdict.rule_change {
        let text = format!("by the rules of the run before it was {old}; only rules changed");
        block(out, "Rules", &text);
    }
    let owners = [
        ("owner", &verdict.owner, verdict.owner_source),
        (
            "cost centre",
            &verdict.cost_center,
            verdict.cost_center_source,
        ),
        (
            "business unit",
            &verdict.business_unit,
            verdict.business_unit_source,
        ),
    ];
    let owners: Vec<String> = owners
        .into_iter()
        .filter_map(|(word, value, source)| {
            let from = source.map(|s| format!(" ({s})")).unwrap_or_default();
            Some(format!("{word} {}{from}", harmless(value.as_ref()?)))
        })
        .collect();
    let owners = match owners.as_slice() {
        [] => "(no owner)".to_owned(),
        some => some.join(", "),
    };
    block(out, "Whose", &owners);
}

fn one_channel(out: &mut String, channel: &Channel) {
    let place = match channel.destination.as_str() {
        "" => "kept by AWS",
        place => place,
    };
    let _ = writeln!(out, "  {:<4}{}", channel.channel, harmless(place));
    paragraph(
        out,
        6,
        &format!("{}: {}", channel.effective_encryption, channel.basis),
    );
    if let Some(key) = channel.key_arn.as_ref().or(channel.key_reference.as_ref()) {
        paragraph(out, 6, &format!("key {}", harmless(key)));
    }
}

fn one_finding(out: &mut String, told: &Told, story: &ClusterStory) {
    let finding = &told.finding;
    let title = format!(
        "  {} {:<32}{:<15}{}, {}",
        finding.rule,
        told.rule_name.unwrap_or_default(),
        finding.outcome,
        finding.rule_kind,
        finding.severity
    );
    let _ = writeln!(out, "{title}");
    let about = match finding.subject_kind.as_str() {
        "cluster" => String::new(),
        kind => format!(", about {kind} {}", harmless(&finding.subject)),
    };
    paragraph(out, 6, &format!("{}{about}", finding.reason));
    paragraph(out, 6, &params(&finding.params_json));
    if let Some(advice) = &finding.advice {
        paragraph(out, 6, &format!("To do: {}", harmless(advice)));
    }
    if let Some(id) = &finding.waived_by {
        let waiver = story.waivers.iter().find(|w| w.exception_id == *id);
        let terms = waiver.map_or_else(String::new, |w| {
            format!(
                " until {}, approved by {}: {}",
                w.expires,
                harmless(&w.approver),
                harmless(&w.reason)
            )
        });
        paragraph(out, 6, &format!("Waived by {}{terms}", harmless(id)));
    }
    let numbers: Vec<String> = finding
        .facts
        .split_whitespace()
        .filter_map(|id| story.facts.iter().position(|f| f.id == id))
        .map(|i| format!("[{}]", i + 1))
        .collect();
    let mut tail = format!("read {}", numbers.join(" "));
    if finding.outcome == Outcome::Pass && !told.supports.is_empty() {
        let _ = write!(tail, "; supports {}", told.supports.join(", "));
    }
    paragraph(out, 6, &tail);
}

/// The parameters of a reason.
fn params(json: &str) -> String {
    let Ok(Value::Object(all)) = serde_json::from_str(json) else {
        return String::new();
    };
    let all = all.iter();
    pairs(all.map(|(name, value)| (name.as_str(), value)))
}

fn pairs<'a>(all: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let pair = |(name, value)| format!("{}={}", harmless(name), shown(value));
    all.map(pair).collect::<Vec<_>>().join("; ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        other => harmless(&other.to_string()),
    }
}

fn one_fact(out: &mut String, number: usize, fact: &FactRow) {
    let _ = writeln!(out, "  [{number}] {}", harmless(&fact.id));
    match &fact.file {
        Some(file) => write_file(out, file),
        None => paragraph(out, 6, "NOT IN THE SEALED FILES: run keyproof verify"),
    }
    // Documents are for --format json, and what the id says need not be said again.
    let columns = fact.columns.iter();
    let columns = columns.filter(|(name, value)| {
        let in_id = value
            .as_str()
            .is_some_and(|v| fact.id.split('/').any(|part| part == v));
        !name.ends_with("_json") && !in_id
    });
    paragraph(out, 6, &pairs(columns.map(|(name, value)| (*name, value))));
}

fn foot(out: &mut String, story: &ClusterStory) {
    let sealed = &story.sealed;
    out.push_str("\nSealed in\n");
    for file in story.files.iter().chain([&sealed.manifest, &sealed.entry]) {
        write_file(out, file);
    }
    block(
        out,
        "Run",
        &format!("{}, {}", sealed.run_id, sealed.outcome),
    );
    block(
        out,
        "Rules",
        &format!("version {}, digest", sealed.rules_version),
    );
    let _ = writeln!(out, "      sha256 {}", sealed.rules_sha256);
    out.push_str("Recompute\n");
    let _ = writeln!(
        out,
        "      keyproof assess --run-id {} --archive {}",
        sealed.run_id, sealed.url
    );
}

fn write_file(out: &mut String, file: &File) {
    let _ = writeln!(out, "      {}", file.name);
    let _ = writeln!(out, "      sha256 {}", file.sha256);
}

fn block(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label:<11}{}", wrap(text, WIDTH, 11));
}

fn paragraph(out: &mut String, indent: usize, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "{}{}", " ".repeat(indent), wrap(text, WIDTH, indent));
    }
}
