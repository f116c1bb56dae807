//! Which runs speak, and with which files: the run of record of a date, and the checked manifest of a
//! sealed run.

use std::fs::File;
use std::path::Path;

use super::chain::Entry;
use super::layout::{self, Name};
use super::store::{Fetch, StoreError};
use super::verify::VerifiedRun;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::words::RunOutcome;
use crate::seal::{Content, FileEntry, Manifest, ManifestError, RunSeal};
use crate::time::{Date, HOUR_MS};

/// A run that starts later than this after its date's start never speaks for the date.
pub const LATEST_START_MS: i64 = 36 * HOUR_MS;
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;
/// No file of an archive is larger: each is one PUT, and S3 takes no more in one.
const LARGEST_FILE: u64 = 5 * 1024 * 1024 * 1024;

/// The run that speaks for a date: of the full-scope runs for it that started within 36 h of the
/// date's start, the first COMPLETE one, else the first PARTIAL one; none is a hole in the record.
///
/// `runs` are in chain order, so a run once chosen as COMPLETE stays chosen whatever comes later.
pub fn run_of_record<'a, R>(
    runs: impl IntoIterator<Item = R>,
    date: Date,
    seal: impl Fn(&R) -> &'a RunSeal,
) -> Option<R> {
    let mut partial = None;
    for run in runs {
        let about = seal(&run);
        let after_ms = about.started_at.0 - date.start().0;
        let speaks = about.scheduled_for == date
            && about.full_scope
            && !about.late
            && (0..=LATEST_START_MS).contains(&after_ms);
        if !speaks {
            continue;
        }
        match about.outcome {
            RunOutcome::Complete => return Some(run),
            RunOutcome::Partial => partial = partial.or(Some(run)),
        }
    }
    partial
}

/// The runs of record of the dates from `from` to `to`, both included; holes have none.
pub fn runs_of_record(
    runs: &[VerifiedRun],
    from: Date,
    to: Date,
) -> impl Iterator<Item = (Date, Option<&VerifiedRun>)> {
    (from.days()..=to.days()).map(move |day| {
        let date = Date::from_days(i64::from(day));
        (date, run_of_record(runs, date, |run| &run.seal))
    })
}

/// The data files of one dataset among a run's files, in order of their names.
pub fn dataset_files<'a>(
    files: &'a [FileEntry],
    dataset: &'a str,
) -> impl Iterator<Item = &'a FileEntry> {
    files.iter().filter(move |file| {
        matches!(
            Name::parse(&file.name),
            Some(Name::Evidence { dataset: of, .. }) if of == dataset
        )
    })
}

/// Why a sealed run's manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Store(StoreError),
    #[error("{name} was sealed and is not there any more; run keyproof verify")]
    Missing { name: String },
    #[error(
        "{name} is not what was sealed: it is larger than the {limit} bytes that it may have; run \
         keyproof verify"
    )]
    Larger { name: String, limit: u64 },
    #[error("{name}: {error}; run keyproof verify")]
    Manifest { name: String, error: ManifestError },
    #[error("{name} was changed: sealed with SHA-256 {expected}; run keyproof verify")]
    Changed { name: String, expected: Sha256Hex },
    #[error("entry {seq} seals no run")]
    NoRun { seq: u64 },
    #[error("{name} is listed with {bytes} bytes, and {limit} are the limit")]
    TooLarge {
        name: String,
        bytes: u64,
        limit: u64,
    },
    #[error(
        "{name} is not what was sealed: it is listed with {listed} bytes and has {found}; run keyproof \
         verify"
    )]
    OtherSize {
        name: String,
        listed: u64,
        found: u64,
    },
    #[error("{name} cannot be copied to {to}: {detail}")]
    NotCopied {
        name: String,
        to: String,
        detail: String,
    },
}

impl RecordError {
    /// Why an object that was sealed could not be read.
    fn of_sealed(error: StoreError) -> Self {
        match error {
            StoreError::Absent { name } => Self::Missing { name },
            StoreError::TooLarge { name, limit } => Self::Larger { name, limit },
            error => Self::Store(error),
        }
    }

    /// Whether storage or this machine failed, rather than that the archive holds something else than was
    /// sealed.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Store(_) | Self::NotCopied { .. } => true,
            Self::Missing { .. }
            | Self::Larger { .. }
            | Self::Manifest { .. }
            | Self::Changed { .. }
            | Self::NoRun { .. }
            | Self::TooLarge { .. }
            | Self::OtherSize { .. } => false,
        }
    }
}

/// The manifest of one sealed run, rollup or backfill, compared with its signed digest, without verifying the
/// whole archive. The files it lists still have to be compared when they are read: [`read_file`].
pub async fn read_manifest(fetch: &dyn Fetch, entry: &Entry) -> Result<Manifest, RecordError> {
    let subject = match &entry.statement.content {
        Content::Genesis(_) | Content::Key(_) | Content::Note(_) => None,
        Content::Run(_) | Content::Rollup(_) | Content::Backfill(_) => {
            entry.statement.subjects.first()
        }
    };
    let subject = subject.ok_or(RecordError::NoRun { seq: entry.seq })?;
    let read = fetch.read(&subject.name, MANIFEST_LIMIT).await;
    let bytes = read.map_err(RecordError::of_sealed)?;
    if Sha256Hex::of(&bytes) != subject.sha256 {
        return Err(RecordError::Changed {
            name: subject.name.clone(),
            expected: subject.sha256.clone(),
        });
    }
    Manifest::parse(&bytes).map_err(|error| RecordError::Manifest {
        name: subject.name.clone(),
        error,
    })
}

/// A file that a manifest lists, compared with the digest and size there. It comes into memory as a whole:
/// one that is listed as larger than `limit` bytes is not read, whatever it is.
pub async fn read_file(
    fetch: &dyn Fetch,
    file: &FileEntry,
    limit: u64,
) -> Result<Vec<u8>, RecordError> {
    within(file, limit)?;
    let read = fetch.read(&file.name, file.bytes).await;
    let bytes = read.map_err(RecordError::of_sealed)?;
    compare(file, &Sha256Hex::of(&bytes), bytes.len() as u64)?;
    Ok(bytes)
}

/// The same into a new local file, in bounded memory. What does not compare does not stay there.
pub async fn copy_file(fetch: &dyn Fetch, file: &FileEntry, to: &Path) -> Result<(), RecordError> {
    within(file, LARGEST_FILE)?;
    let copied = match File::create(to) {
        Ok(mut local) => fetch.copy_to(&file.name, file.bytes, &mut local).await,
        Err(error) => {
            return Err(RecordError::NotCopied {
                name: file.name.clone(),
                to: to.display().to_string(),
                detail: error.to_string(),
            });
        }
    };
    let compared = match copied {
        Ok((sha256, bytes)) => compare(file, &sha256, bytes),
        Err(error) => Err(RecordError::of_sealed(error)),
    };
    if compared.is_err() {
        // It is of no use to anybody, and the folder goes with the command that works in it.
        let _ = std::fs::remove_file(to);
    }
    compared
}

fn within(file: &FileEntry, limit: u64) -> Result<(), RecordError> {
    if file.bytes <= limit {
        return Ok(());
    }
    Err(RecordError::TooLarge {
        name: file.name.clone(),
        bytes: file.bytes,
        limit,
    })
}

fn compare(file: &FileEntry, sha256: &Sha256Hex, found: u64) -> Result<(), RecordError> {
    let name = file.name.clone();
    if *sha256 != file.sha256 {
        let expected = file.sha256.clone();
        Err(RecordError::Changed { name, expected })
    } else if found != file.bytes {
        let listed = file.bytes;
        Err(RecordError::OtherSize {
            name,
            listed,
            found,
        })
    } else {
        Ok(())
    }
}

/// The name of a run's start among its files, e.g. to read the configuration it ran with.
pub fn start_file<'a>(files: &'a [FileEntry], seal: &RunSeal) -> Option<&'a FileEntry> {
    let name = layout::start(seal.start_n);
    files.iter().find(|file| file.name == name)
}

/// The sealed run with this id.
pub fn by_id<'a>(runs: &'a [VerifiedRun], run_id: &RunId) -> Option<&'a VerifiedRun> {
    runs.iter().find(|run| run.seal.run_id == *run_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::verify::{VerifyOptions, verify};
    use crate::testkit::{SampleArchive, TempDir};

    async fn two_runs() -> (Vec<VerifiedRun>, Date) {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.run().await.expect("run");
        archive.run().await.expect("run");
        let report = verify(memory.as_ref(), &VerifyOptions::default())
            .await
            .expect("listed");
        let date = report.runs[0].seal.scheduled_for;
        let mut runs = report.runs;
        runs[1].seal.scheduled_for = date;
        runs[1].seal.started_at = date.start().plus_ms(12 * HOUR_MS);
        (runs, date)
    }

    fn speaks(runs: &[VerifiedRun], date: Date) -> Option<u64> {
        run_of_record(runs, date, |run| &run.seal).map(|run| run.seq)
    }

    #[tokio::test]
    async fn the_first_complete_run_speaks() {
        let (mut runs, date) = two_runs().await;
        assert_eq!(speaks(&runs, date), Some(2));
        runs[0].seal.outcome = RunOutcome::Partial;
        assert_eq!(speaks(&runs, date), Some(3), "complete beats partial");
        runs[1].seal.outcome = RunOutcome::Partial;
        assert_eq!(speaks(&runs, date), Some(2), "then the first partial");
        runs[0].seal.full_scope = false;
        assert_eq!(speaks(&runs, date), Some(3), "a narrowed run never");
    }

    #[tokio::test]
    async fn thirty_six_hours_are_the_limit() {
        let (mut runs, date) = two_runs().await;
        runs.remove(0);
        for (after_ms, expected) in [
            (-1, None),
            (0, Some(3)),
            (LATEST_START_MS, Some(3)),
            (LATEST_START_MS + 1, None),
        ] {
            runs[0].seal.started_at = date.start().plus_ms(after_ms);
            assert_eq!(speaks(&runs, date), expected, "{after_ms}");
        }
        runs[0].seal.started_at = date.start();
        runs[0].seal.late = true;
        assert_eq!(speaks(&runs, date), None);
    }

    #[tokio::test]
    async fn holes_are_told() {
        let (runs, date) = two_runs().await;
        let days: Vec<_> = runs_of_record(&runs, date, date.plus_days(1))
            .map(|(_, run)| run.map(|run| run.seq))
            .collect();
        assert_eq!(days, [Some(2), None]);
    }

    #[tokio::test]
    async fn files_are_compared_when_they_are_read() {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.run().await.expect("run");
        let chain = archive.chain().await.expect("chain");
        let manifest = read_manifest(memory.as_ref(), chain.head())
            .await
            .expect("manifest");
        let file = dataset_files(&manifest.files, "emr_cluster")
            .next()
            .expect("file")
            .clone();
        assert!(dataset_files(&manifest.files, "emr").next().is_none());
        let (_, seal) = chain.runs().next().expect("run");
        assert!(start_file(&manifest.files, seal).is_some());
        assert!(read_file(memory.as_ref(), &file, file.bytes).await.is_ok());
        let dir = TempDir::new();
        let to = dir.path().join("copy");
        copy_file(memory.as_ref(), &file, &to)
            .await
            .expect("copied");
        assert_eq!(
            std::fs::read(&to).expect("a copy"),
            memory.read_now(&file.name)
        );
        for (bytes, expected) in [
            (file.bytes - 1, "larger than"),
            (file.bytes + 1, "listed with"),
            (u64::MAX, "limit"),
        ] {
            let lying = FileEntry {
                bytes,
                ..file.clone()
            };
            for refused in [
                read_file(memory.as_ref(), &lying, file.bytes + 1)
                    .await
                    .map(drop),
                copy_file(memory.as_ref(), &lying, &to).await,
            ] {
                let refused = refused.expect_err("another size").to_string();
                assert!(refused.contains(expected), "{refused}");
            }
        }
        let mut bytes = memory.read_now(&file.name);
        bytes[5] ^= 1;
        memory.replace(&file.name, bytes);
        let read = read_file(memory.as_ref(), &file, file.bytes).await;
        assert!(matches!(read, Err(RecordError::Changed { .. })), "{read:?}");
        let copied = copy_file(memory.as_ref(), &file, &to).await;
        assert!(
            matches!(copied, Err(RecordError::Changed { .. })),
            "{copied:?}"
        );
        assert!(!to.exists());
        let genesis = read_manifest(memory.as_ref(), &chain.entries()[0]).await;
        assert_eq!(genesis, Err(RecordError::NoRun { seq: 1 }));
    }
}
