//! The signed statement: in-toto Statement v1
//! (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>) with our predicate.
//!
//! Its stored form is compact canonical JSON; counts and sequence numbers are texts. [`Statement`] is
//! what the program works with; the wire structs below are what stands in the archive.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::remark::Remark;
use super::text;
use crate::model::ids::{RunId, Sha256Hex, hex};
use crate::model::words::RunOutcome;
use crate::time::{Date, Quarter, UtcMillis};

/// `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of every statement that this version writes, and the only one that it reads.
pub const PREDICATE_TYPE: &str = "urn:keyproof:seal:v1";
const PREDICATE_FAMILY: &str = "urn:keyproof:seal:";

/// Why bytes are not a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("not a seal in canonical form: {0}")]
    Malformed(String),
    #[error("{0} is of a newer version of Keyproof: use a program at least as new as the archive")]
    NewerVersion(String),
}

/// The name of an archive: 32 lower-case hex digits, drawn when it is created.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ArchiveId(String);

impl ArchiveId {
    /// The id made of 16 random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<ArchiveId> for String {
    fn from(id: ArchiveId) -> Self {
        id.0
    }
}

impl TryFrom<String> for ArchiveId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if valid {
            Ok(Self(text))
        } else {
            Err("an archive id is 32 lower-case hex digits".to_owned())
        }
    }
}

impl FromStr for ArchiveId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

/// One file that a statement vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Relative to the archive root.
    pub name: String,
    pub sha256: Sha256Hex,
}

/// Protection that an archive cannot do without and that whoever wrote an entry did not find: names of
/// checks, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lacking {
    /// The check failed, and the writer was told to write all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Storage did not answer: neither passed nor failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Lacking {
    /// Whether every check passed, or storage has none.
    pub fn is_nothing(&self) -> bool {
        self.failed.is_empty() && self.unknown.is_empty()
    }

    /// The same with checks that failed for others who wrote what the entry seals.
    pub fn with_failed(mut self, others: impl IntoIterator<Item = String>) -> Self {
        self.failed.extend(others);
        self.failed.sort();
        self.failed.dedup();
        self.unknown.retain(|check| !self.failed.contains(check));
        self
    }
}

/// What made the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producer {
    /// Version of the program.
    pub version: String,
    /// Digest of the program file, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_sha256: Option<Sha256Hex>,
    /// Digest of the configuration, canonical JSON.
    pub config_sha256: Sha256Hex,
    pub rules_version: String,
    pub rules_sha256: Sha256Hex,
    /// ARN of the caller, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Lacking::is_nothing")]
    pub lacking: Lacking,
}

/// What entry 1 fixes for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// When a run is due, e.g. `daily`.
    pub schedule: String,
    /// How long data files are kept, where that is bounded.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub retention_days: Option<u64>,
    /// The key that signs.
    pub keyid: Sha256Hex,
    /// A key kept offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_keyid: Option<Sha256Hex>,
    /// How storage protects the archive; `none` for a local folder.
    pub protection: String,
    /// What runs are expected to see, e.g. `organization, regions auto`.
    pub scope: String,
}

/// A start whose run was never sealed, as a later run found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiedRun {
    #[serde(with = "text")]
    pub start_n: u64,
    /// Digest of the start file, so that it cannot be changed afterwards.
    pub start_sha256: Sha256Hex,
    /// Absent when the start cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The reason in `end.json`, or what was seen instead.
    pub reason: String,
}

/// What is sealed about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSeal {
    pub run_id: RunId,
    /// Number of its start.
    #[serde(with = "text")]
    pub start_n: u64,
    #[serde(with = "text")]
    pub scheduled_for: Date,
    #[serde(with = "text")]
    pub started_at: UtcMillis,
    /// When collecting and judging were done.
    #[serde(with = "text")]
    pub ended_at: UtcMillis,
    #[serde(with = "text")]
    pub outcome: RunOutcome,
    /// Began later than 36 h after the start of its date.
    pub late: bool,
    /// Looked at the whole configured scope; false when options narrowed it.
    pub full_scope: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    #[serde(with = "text")]
    pub accounts_listed: u64,
    #[serde(with = "text")]
    pub accounts_in_scope: u64,
    #[serde(with = "text")]
    pub accounts_answered: u64,
    #[serde(with = "text")]
    pub cells: u64,
    /// Cells without an answer and without an accepted gap.
    #[serde(with = "text")]
    pub cells_open: u64,
    #[serde(with = "text")]
    pub clusters: u64,
    /// Ids of the exceptions that covered something.
    pub exceptions_used: Vec<String>,
    /// Rows by dataset.
    #[serde(with = "text::map")]
    pub rows: BTreeMap<String, u64>,
    /// Starts before this one that nobody sealed or named yet.
    pub died_runs: Vec<DiedRun>,
    /// Local clock minus AWS's, where it was seen; of several processes the one furthest off.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub clock_offset_ms: Option<i64>,
}

/// What is sealed about a rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollupSeal {
    pub run_id: RunId,
    #[serde(with = "text")]
    pub quarter: Quarter,
    /// Counts from 1; late data makes the next one.
    #[serde(with = "text")]
    pub edition: u64,
    /// First and last entry that it was computed from.
    #[serde(with = "text")]
    pub chain_from: u64,
    #[serde(with = "text")]
    pub chain_to: u64,
    /// Rows by measure.
    #[serde(with = "text::map")]
    pub rows: BTreeMap<String, u64>,
    /// Whether the quarter was not over when it was computed. Earlier programs did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<bool>,
}

impl RollupSeal {
    /// Whether the quarter was not over; where the seal does not say, when it was signed does.
    pub fn is_unfinished(&self, signed_at: UtcMillis) -> bool {
        let signed_before = signed_at < self.quarter.end().start();
        self.unfinished.unwrap_or(signed_before)
    }
}

/// What is sealed about a backfill: launches from the files of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillSeal {
    pub run_id: RunId,
    /// Date on which it began.
    #[serde(with = "text")]
    pub scheduled_for: Date,
    /// First and last date of the events.
    #[serde(with = "text")]
    pub from: Date,
    #[serde(with = "text")]
    pub to: Date,
    #[serde(with = "text")]
    pub started_at: UtcMillis,
    /// When reading and judging were done.
    #[serde(with = "text")]
    pub ended_at: UtcMillis,
    /// COMPLETE where all of that time is validated in every account and Region that was to be read.
    #[serde(with = "text")]
    pub outcome: RunOutcome,
    /// Where the files lie, an S3 URL.
    pub trail: String,
    /// The sealed run by whose facts and configuration the launches were judged.
    pub judged_by: RunId,
    /// Log files and digest files that were there to be read, and their size.
    #[serde(with = "text")]
    pub objects: u64,
    #[serde(with = "text")]
    pub bytes: u64,
    /// Rows by dataset.
    #[serde(with = "text::map")]
    pub rows: BTreeMap<String, u64>,
}

/// Who may say that another key signs from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedBy {
    /// The key that is replaced.
    Rotation,
    /// The recovery key that entry 1 names, when the other is lost.
    Recovery,
}

/// What is sealed about a change of the signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    pub by: ChangedBy,
    /// The key that signs every later entry.
    pub keyid: Sha256Hex,
    /// The key that signs none any more.
    pub replaces: Sha256Hex,
    /// In the words of whoever changed it.
    pub reason: Remark,
}

/// A signed remark about an earlier entry. It changes nothing that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The entry that it is about.
    #[serde(with = "text")]
    pub entry: u64,
    pub text: Remark,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Genesis(Genesis),
    Run(RunSeal),
    Rollup(RollupSeal),
    Backfill(BackfillSeal),
    Key(KeyChange),
    Note(Note),
}

impl Content {
    /// The word in `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis",
            Self::Run(_) => "run",
            Self::Rollup(_) => "rollup",
            Self::Backfill(_) => "backfill",
            Self::Key(_) => "key",
            Self::Note(_) => "note",
        }
    }

    /// The run, rollup or backfill it seals.
    pub fn run_id(&self) -> Option<&RunId> {
        match self {
            Self::Genesis(_) | Self::Key(_) | Self::Note(_) => None,
            Self::Run(run) => Some(&run.run_id),
            Self::Rollup(rollup) => Some(&rollup.run_id),
            Self::Backfill(backfill) => Some(&backfill.run_id),
        }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub archive_id: ArchiveId,
    /// The slot of the chain it is signed for; entries count from 1.
    pub seq: u64,
    /// Digest of the chain file of the last signed entry; none in entry 1.
    pub previous_sha256: Option<Sha256Hex>,
    /// Slots between that entry and this one that something unsigned took.
    pub burnt_slots: Vec<u64>,
    /// When it was signed.
    pub at: UtcMillis,
    pub producer: Producer,
    pub content: Content,
    /// At least one.
    pub subjects: Vec<Subject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate: WirePredicate,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<WireSubject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePredicate {
    archive_id: ArchiveId,
    #[serde(with = "text")]
    at: UtcMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backfill: Option<BackfillSeal>,
    #[serde(with = "text::list")]
    burnt_slots: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    genesis: Option<Genesis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyChange>,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<Note>,
    /// Empty in entry 1.
    previous_sha256: String,
    producer: Producer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollup: Option<RollupSeal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<RunSeal>,
    #[serde(with = "text")]
    seq: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSubject {
    digest: WireDigest,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDigest {
    sha256: Sha256Hex,
}

impl Statement {
    /// The payload of the envelope: canonical JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut genesis, mut run, mut rollup) = (None, None, None);
        let (mut key, mut note, mut backfill) = (None, None, None);
        match self.content.clone() {
            Content::Genesis(content) => genesis = Some(content),
            Content::Run(content) => run = Some(content),
            Content::Rollup(content) => rollup = Some(content),
            Content::Backfill(content) => backfill = Some(content),
            Content::Key(content) => key = Some(content),
            Content::Note(content) => note = Some(content),
        }
        let subject = self.subjects.iter().map(|subject| WireSubject {
            digest: WireDigest {
                sha256: subject.sha256.clone(),
            },
            name: subject.name.clone(),
        });
        text::canonical_json(&Wire {
            statement_type: STATEMENT_TYPE.to_owned(),
            predicate: WirePredicate {
                archive_id: self.archive_id.clone(),
                at: self.at,
                backfill,
                burnt_slots: self.burnt_slots.clone(),
                genesis,
                key,
                kind: self.content.kind().to_owned(),
                note,
                previous_sha256: self
                    .previous_sha256
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
                producer: self.producer.clone(),
                rollup,
                run,
                seq: self.seq,
            },
            predicate_type: PREDICATE_TYPE.to_owned(),
            subject: subject.collect(),
        })
    }

    /// Reads a payload; encodes again and compares byte for byte.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        refuse_newer(payload)?;
        let wire: Wire = serde_json::from_slice(payload).map_err(|e| malformed(&e))?;
        if wire.statement_type != STATEMENT_TYPE {
            return Err(malformed(&"unknown _type"));
        }
        let predicate = wire.predicate;
        let contents = [
            predicate.genesis.map(Content::Genesis),
            predicate.run.map(Content::Run),
            predicate.rollup.map(Content::Rollup),
            predicate.backfill.map(Content::Backfill),
            predicate.key.map(Content::Key),
            predicate.note.map(Content::Note),
        ];
        let mut contents = contents.into_iter().flatten();
        let (Some(content), None) = (contents.next(), contents.next()) else {
            return Err(malformed(
                &"needs one of genesis, run, rollup, backfill, key, note",
            ));
        };
        if content.kind() != predicate.kind {
            return Err(malformed(&"kind and content differ"));
        }
        let previous_sha256 = match predicate.previous_sha256.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|e| malformed(&e))?),
        };
        let statement = Self {
            archive_id: predicate.archive_id,
            seq: predicate.seq,
            previous_sha256,
            burnt_slots: predicate.burnt_slots,
            at: predicate.at,
            producer: predicate.producer,
            content,
            subjects: wire
                .subject
                .into_iter()
                .map(|subject| Subject {
                    name: subject.name,
                    sha256: subject.digest.sha256,
                })
                .collect(),
        };
        let first = statement.seq == 1;
        let genesis = matches!(statement.content, Content::Genesis(_));
        if statement.seq == 0 || first != genesis || first != statement.previous_sha256.is_none() {
            return Err(malformed(
                &"entry 1 and no other is a genesis without a previous entry",
            ));
        }
        if statement.subjects.is_empty() {
            return Err(malformed(&"no subject"));
        }
        if statement.to_bytes() != payload {
            return Err(malformed(&"white space, field order or escapes"));
        }
        Ok(statement)
    }
}

fn malformed(detail: &dyn fmt::Display) -> StatementError {
    StatementError::Malformed(detail.to_string())
}

/// Later versions may have other fields; so the version is looked at before anything else is.
fn refuse_newer(payload: &[u8]) -> Result<(), StatementError> {
    #[derive(Deserialize)]
    struct Peek {
        predicate: PeekKind,
        #[serde(rename = "predicateType")]
        predicate_type: String,
    }
    #[derive(Deserialize)]
    struct PeekKind {
        kind: String,
    }
    let shortened = |text: &str| text.chars().take(80).collect::<String>();
    let peek: Peek = serde_json::from_slice(payload).map_err(|e| malformed(&e))?;
    if !peek.predicate_type.starts_with(PREDICATE_FAMILY) {
        return Err(malformed(&format_args!(
            "predicate type '{}'",
            shortened(&peek.predicate_type)
        )));
    }
    if peek.predicate_type != PREDICATE_TYPE {
        return Err(StatementError::NewerVersion(format!(
            "predicate type '{}'",
            shortened(&peek.predicate_type)
        )));
    }
    let known = ["genesis", "run", "rollup", "backfill", "key", "note"];
    if !known.contains(&peek.predicate.kind.as_str()) {
        return Err(StatementError::NewerVersion(format!(
            "entry kind '{}'",
            shortened(&peek.predicate.kind)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
