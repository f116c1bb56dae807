//! Level 4: whether storage keeps one version of every object that counts, with the checksum that was
//! sealed, under the key and at least the lock that it was written with.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Asked;
use super::failure::{Failure, Notice};
use super::report::Report;
use crate::archive::chain::Entry;
use crate::archive::gather::gather;
use crate::archive::layout::{self, Name};
use crate::archive::store::{StoreError, Stored, Version};
use crate::model::ids::Sha256Hex;
use crate::seal::{Content, FileEntry, StoredAs};
use crate::time::UtcMillis;

const COMPLIANCE: &str = "COMPLIANCE";

/// Checks versions and how objects are kept; an error says why storage cannot tell.
pub(super) async fn check(asked: &Asked<'_>, report: &mut Report) -> Result<(), String> {
    let versions = asked.fetch.versions("").await.map_err(|e| e.to_string())?;
    let Some(versions) = versions else {
        return Err("storage keeps no versions and no locks, as a folder does not".to_owned());
    };
    let objects = Objects::of(report);
    let asked_of: Vec<&Expected<'_>> = objects.expected.iter().collect();
    let told = gather(asked_of, |object| asked.fetch.stored(&object.name)).await;
    let mut found = Found::default();
    one_version(&versions, &objects, &mut found.failures);
    for (object, told) in objects.expected.iter().zip(told) {
        match told {
            Ok(Some(stored)) => found.compare(object, &stored, &objects, asked.options.now),
            Ok(None) => return Err("storage does not tell how it keeps objects".to_owned()),
            // That it is gone, or expired, is told elsewhere.
            Err(StoreError::Absent { .. }) => {}
            Err(error) => found.untold.push(error.to_string()),
        }
    }
    report.failures.extend(found.failures);
    if found.unlocked > 0 {
        let objects = found.unlocked;
        report.notices.push(Notice::NotLocked { objects });
    }
    match found.untold.first() {
        Some(first) => Err(format!("of {} objects, {first}", found.untold.len())),
        None => Ok(()),
    }
}

/// One object that something signed vouches for.
struct Expected<'a> {
    name: String,
    sha256: &'a Sha256Hex,
    /// How it was written, where the manifest says so.
    evidence: Option<&'a StoredAs>,
    /// When its lock ends at the earliest, for what is sealed without evidence of its own. The chain,
    /// manifests, sums and keys are written last, so that theirs ends no earlier than that of what they
    /// seal; a file whose writer was not told how it is kept may be older by the length of the run.
    sealed_until: Option<UtcMillis>,
}

/// What the archive says of its objects.
struct Objects<'a> {
    expected: Vec<Expected<'a>>,
    /// Every key that evidence names.
    keys: BTreeSet<&'a str>,
    /// Whether entry 1 says that everything is protected.
    fully_protected: bool,
}

impl<'a> Objects<'a> {
    fn of(report: &'a Report) -> Self {
        let runs = report.runs.iter().map(|run| (run.seq, &run.files));
        let rollups = report
            .rollups
            .iter()
            .map(|rollup| (rollup.seq, &rollup.files));
        let others = report.backfills.iter().chain(&report.suspect);
        let others = others.map(|(seq, files)| (*seq, files));
        let files: BTreeMap<u64, &Vec<FileEntry>> = runs.chain(rollups).chain(others).collect();
        let mut objects = Self {
            expected: Vec::new(),
            keys: BTreeSet::new(),
            fully_protected: report.entries.first().is_some_and(is_fully_protected),
        };
        for entry in &report.entries {
            let files = files
                .get(&entry.seq)
                .map(|f| f.as_slice())
                .unwrap_or_default();
            objects.add(entry, files);
        }
        objects
    }

    fn add(&mut self, entry: &'a Entry, files: &'a [FileEntry]) {
        let evidence = files.iter().filter_map(|file| file.stored.as_ref());
        let keys = evidence
            .clone()
            .filter_map(|stored| stored.kms_key.as_deref());
        self.keys.extend(keys);
        let sealed_until = evidence.filter_map(|stored| stored.locked_until).min();
        let took_ms = match &entry.statement.content {
            Content::Run(run) => (entry.statement.at.0 - run.started_at.0).max(0),
            _ => 0,
        };
        for file in files {
            self.expected.push(Expected {
                name: file.name.clone(),
                sha256: &file.sha256,
                evidence: file.stored.as_ref(),
                sealed_until: sealed_until.map(|until| until.plus_ms(-took_ms)),
            });
        }
        let subjects = entry.statement.subjects.iter();
        let subjects = subjects.map(|subject| (subject.name.clone(), &subject.sha256));
        let own = (layout::entry(entry.seq), &entry.sha256);
        for (name, sha256) in subjects.chain([own]) {
            self.expected.push(Expected {
                name,
                sha256,
                evidence: None,
                sealed_until,
            });
        }
        let Content::Run(run) = &entry.statement.content else {
            return;
        };
        for died in &run.died_runs {
            self.expected.push(Expected {
                name: layout::start(died.start_n),
                sha256: &died.start_sha256,
                evidence: None,
                // Written before this run, so that its lock may end before this run's.
                sealed_until: None,
            });
        }
    }
}

fn is_fully_protected(first: &Entry) -> bool {
    matches!(&first.statement.content, Content::Genesis(genesis) if genesis.protection == "full")
}

/// What comparing found.
#[derive(Default)]
struct Found {
    failures: Vec<Failure>,
    unlocked: u64,
    /// Why storage did not tell of an object.
    untold: Vec<String>,
}

impl Found {
    fn compare(
        &mut self,
        object: &Expected<'_>,
        stored: &Stored,
        objects: &Objects<'_>,
        now: UtcMillis,
    ) {
        let name = object.name.clone();
        match &stored.sha256 {
            Some(found) if found != object.sha256 => {
                self.failures.push(Failure::StoredOtherwise {
                    name: name.clone(),
                    expected: object.sha256.clone(),
                    found: found.clone(),
                });
            }
            Some(_) => {}
            None => self
                .untold
                .push(format!("storage tells no SHA-256 of '{name}'")),
        }
        self.key(object, stored, objects);
        self.lock(object, stored, objects, now);
    }

    fn key(&mut self, object: &Expected<'_>, stored: &Stored, objects: &Objects<'_>) {
        let found = stored.kms_key.as_deref();
        let own = object.evidence.and_then(|stored| stored.kms_key.as_deref());
        let as_written = match (own, found) {
            (Some(own), found) => found == Some(own),
            (None, Some(found)) => objects.keys.is_empty() || objects.keys.contains(found),
            (None, None) => object.evidence.is_some() || objects.keys.is_empty(),
        };
        if !as_written {
            let any = || {
                objects
                    .keys
                    .iter()
                    .copied()
                    .collect::<Vec<_>>()
                    .join(" or ")
            };
            self.failures.push(Failure::OtherStorageKey {
                name: object.name.clone(),
                expected: own.map_or_else(any, str::to_owned),
                found: found.unwrap_or("no KMS key").to_owned(),
            });
        }
    }

    fn lock(
        &mut self,
        object: &Expected<'_>,
        stored: &Stored,
        objects: &Objects<'_>,
        now: UtcMillis,
    ) {
        let written = object.evidence.and_then(|stored| {
            let mode = stored.lock_mode.as_deref()?;
            Some((mode, stored.locked_until?))
        });
        let least = written.map(|(_, until)| until).or(object.sealed_until);
        let Some(lock) = &stored.lock else {
            let expected = match (least, objects.fully_protected) {
                (Some(until), _) if until <= now => return,
                (Some(until), _) => format!("it was locked until {until}"),
                (None, true) => "entry 1 says that everything is protected".to_owned(),
                (None, false) => {
                    self.unlocked += 1;
                    return;
                }
            };
            let name = object.name.clone();
            self.failures.push(Failure::LockMissing { name, expected });
            return;
        };
        let shorter = least.is_some_and(|until| lock.until < until);
        let weaker = written.is_some_and(|(mode, _)| mode == COMPLIANCE && lock.mode != mode);
        if shorter || weaker {
            let mode = written.map_or_else(String::new, |(mode, _)| format!("{mode} "));
            let until = least.map_or_else(String::new, |until| until.to_string());
            self.failures.push(Failure::LockShortened {
                name: object.name.clone(),
                expected: format!("it was locked {mode}until {until}"),
                found: format!("{} until {}", lock.mode, lock.until),
            });
        }
    }
}

/// Names with more than one version, or a delete marker: of what is vouched for, and of every name at
/// which something may be put in the place of what was there.
fn one_version(versions: &[Version], objects: &Objects<'_>, failures: &mut Vec<Failure>) {
    let vouched: BTreeSet<&str> = objects.expected.iter().map(|o| o.name.as_str()).collect();
    let counts = |name: &str| {
        vouched.contains(name)
            || matches!(
                Name::parse(name),
                Some(
                    Name::Key { .. }
                        | Name::Start { .. }
                        | Name::Entry { .. }
                        | Name::Manifest { .. }
                        | Name::Sums { .. }
                )
            )
    };
    for of_name in versions.chunk_by(|a, b| a.name == b.name) {
        let Some(first) = of_name.first().filter(|first| counts(&first.name)) else {
            continue;
        };
        let name = first.name.clone();
        let marked = of_name.iter().filter(|v| v.is_delete_marker).count();
        if marked > 0 {
            failures.push(Failure::DeleteMarker { name: name.clone() });
        }
        let versions = of_name.len() - marked;
        if versions > 1 {
            failures.push(Failure::SecondVersion { name, versions });
        }
    }
}
