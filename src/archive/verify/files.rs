//! Whether the files that signed entries vouch for are there, unchanged.

use std::collections::BTreeSet;

use super::failure::Failure;
use crate::archive::chain::Entry;
use crate::archive::gather::gather;
use crate::archive::layout::{self, Name};
use crate::archive::store::{Fetch, StoreError};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{Content, FileEntry, Manifest, ManifestError, Period, Subject};
use crate::time::{DAY_MS, UtcMillis};

/// A manifest of 100,000 files has about 30 MB.
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;

/// One sealed run or rollup and what became of its files.
pub(super) struct Checked<'a> {
    pub entry: &'a Entry,
    /// None when the manifest cannot be trusted or read.
    pub manifest: Option<Manifest>,
    pub failures: Vec<Failure>,
    /// Names of data files that are gone, and may be.
    pub expired: BTreeSet<String>,
    /// Files hashed, and their size.
    pub files: u64,
    pub bytes: u64,
}

/// Checks the manifests, then every file they list. One result per run or rollup, in chain order;
/// an entry that seals the same run again has none.
pub(super) async fn check<'a>(
    fetch: &dyn Fetch,
    entries: &'a [Entry],
    retention: &Retention,
) -> Vec<Checked<'a>> {
    let mut seen = BTreeSet::new();
    let sealing = entries.iter().filter_map(|entry| {
        let run_id = entry.statement.content.run_id()?;
        seen.insert(run_id).then_some((entry, run_id))
    });
    let mut checked = gather(sealing.collect(), |(entry, run_id)| {
        check_entry(fetch, entry, run_id)
    })
    .await;
    let listed = checked.iter().enumerate().flat_map(|(at, checked)| {
        let files = checked.manifest.iter().flat_map(|m| m.files.iter());
        files.map(move |file| (at, file.clone()))
    });
    let listed: Vec<(usize, FileEntry)> = listed.collect();
    let digests = gather(listed.iter().collect(), |(_, file): &(usize, FileEntry)| {
        fetch.digest(&file.name)
    })
    .await;
    for ((at, file), found) in listed.iter().zip(digests) {
        let checked = &mut checked[*at];
        let needed_by = layout::entry(checked.entry.seq);
        if let Ok((_, bytes)) = found {
            checked.files += 1;
            checked.bytes += bytes;
        }
        let gone = matches!(found, Err(StoreError::Absent { .. }));
        if gone && retention.is_over(checked.entry.statement.at) && is_data(&file.name) {
            checked.expired.insert(file.name.clone());
            continue;
        }
        checked.failures.extend(compare(
            &file.name,
            &file.sha256,
            Some(file.bytes),
            found,
            &needed_by,
        ));
    }
    checked
}

/// How long data files are kept.
pub(super) struct Retention {
    /// As entry 1 fixed it; none is for ever.
    pub days: Option<u64>,
    pub now: UtcMillis,
}

impl Retention {
    /// Whether data sealed at `at` may be gone by now.
    fn is_over(&self, at: UtcMillis) -> bool {
        let days = self.days.and_then(|days| i64::try_from(days).ok());
        days.is_some_and(|days| at.plus_ms(days.saturating_mul(DAY_MS)) < self.now)
    }
}

/// Chain, manifests, sums, starts and keys are kept for ever.
fn is_data(name: &str) -> bool {
    matches!(
        Name::parse(name),
        Some(Name::Evidence { .. } | Name::Rollup { .. })
    )
}

/// Compares files with digests that an entry vouches for: keys, starts of died runs.
pub(super) async fn check_digests(
    fetch: &dyn Fetch,
    expected: Vec<(Subject, String)>,
) -> Vec<Failure> {
    let failures = gather(expected, |(subject, needed_by)| async move {
        let found = fetch.digest(&subject.name).await;
        compare(&subject.name, &subject.sha256, None, found, &needed_by)
    })
    .await;
    failures.into_iter().flatten().collect()
}

async fn check_entry<'a>(fetch: &dyn Fetch, entry: &'a Entry, run_id: &RunId) -> Checked<'a> {
    let mut checked = Checked {
        entry,
        manifest: None,
        failures: Vec::new(),
        expired: BTreeSet::new(),
        files: 0,
        bytes: 0,
    };
    let [manifest, sums] = entry.statement.subjects.as_slice() else {
        // Judging the slot has made sure of two.
        return checked;
    };
    let manifest_bytes = read(fetch, manifest, entry, &mut checked).await;
    let sums_bytes = read(fetch, sums, entry, &mut checked).await;
    let Some(bytes) = manifest_bytes else {
        return checked;
    };
    match Manifest::parse(&bytes) {
        Ok(read) => {
            if let Some(detail) = foreign(&read, entry, run_id) {
                checked.failures.push(Failure::MalformedManifest {
                    name: manifest.name.clone(),
                    detail: detail.to_owned(),
                });
                return checked;
            }
            if sums_bytes.is_some_and(|sums| sums != read.sums().as_bytes()) {
                let name = sums.name.clone();
                checked.failures.push(Failure::SumsDisagree { name });
            }
            checked.manifest = Some(read);
        }
        Err(error) => {
            let (name, detail) = (manifest.name.clone(), error.to_string());
            checked.failures.push(match error {
                ManifestError::Malformed(_) => Failure::MalformedManifest { name, detail },
                ManifestError::NewerVersion(_) => Failure::NewerVersion { name, detail },
            });
        }
    }
    checked
}

/// Why a manifest is not the entry's, though it vouches for it.
fn foreign(manifest: &Manifest, entry: &Entry, run_id: &RunId) -> Option<&'static str> {
    let period = match &entry.statement.content {
        Content::Run(run) => Some(Period::Date(run.scheduled_for)),
        Content::Rollup(rollup) => Some(Period::Quarter(rollup.quarter)),
        Content::Backfill(backfill) => Some(Period::Date(backfill.scheduled_for)),
        Content::Genesis(_) | Content::Key(_) | Content::Note(_) => None,
    };
    if manifest.run_id != *run_id {
        Some("it is the manifest of another run")
    } else if manifest.archive_id != entry.statement.archive_id {
        Some("it is the manifest of another archive")
    } else if Some(manifest.period) != period {
        Some("it is the manifest of another date or quarter")
    } else {
        None
    }
}

/// A subject's bytes, if they are the ones that were sealed.
async fn read(
    fetch: &dyn Fetch,
    subject: &Subject,
    entry: &Entry,
    checked: &mut Checked<'_>,
) -> Option<Vec<u8>> {
    let needed_by = layout::entry(entry.seq);
    match fetch.read(&subject.name, MANIFEST_LIMIT).await {
        Ok(bytes) => {
            checked.files += 1;
            checked.bytes += bytes.len() as u64;
            let found = Sha256Hex::of(&bytes);
            if found == subject.sha256 {
                return Some(bytes);
            }
            checked.failures.push(Failure::DigestMismatch {
                name: subject.name.clone(),
                expected: subject.sha256.clone(),
                found,
            });
        }
        Err(error) => checked.failures.push(unreadable(error, &needed_by)),
    }
    None
}

fn compare(
    name: &str,
    expected: &Sha256Hex,
    expected_bytes: Option<u64>,
    found: Result<(Sha256Hex, u64), StoreError>,
    needed_by: &str,
) -> Option<Failure> {
    match found {
        Ok((found, _)) if found == *expected => None,
        Ok((_, found_bytes)) if expected_bytes.is_some_and(|bytes| found_bytes < bytes) => {
            Some(Failure::Truncated {
                name: name.to_owned(),
                expected_bytes: expected_bytes.unwrap_or_default(),
                found_bytes,
            })
        }
        Ok((found, _)) => Some(Failure::DigestMismatch {
            name: name.to_owned(),
            expected: expected.clone(),
            found,
        }),
        Err(error) => Some(unreadable(error, needed_by)),
    }
}

/// What a failed look at a file is: gone, or there and not readable.
pub(super) fn unreadable(error: StoreError, needed_by: &str) -> Failure {
    let detail = error.to_string();
    match error {
        StoreError::Absent { name } => Failure::MissingFile {
            name,
            needed_by: needed_by.to_owned(),
        },
        StoreError::Exists { name }
        | StoreError::Conflict { name }
        | StoreError::Denied { name, .. }
        | StoreError::OutcomeUnknown { name, .. }
        | StoreError::Checksum { name, .. }
        | StoreError::Unsuitable { name, .. }
        | StoreError::TooLarge { name, .. }
        | StoreError::Failed { name, .. } => Failure::Unreadable { name, detail },
    }
}
