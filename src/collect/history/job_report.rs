//! What the completion report of one job shows, joined to what lay in its buckets before.

use std::collections::{BTreeMap, BTreeSet};

use super::ReportError;
use super::inventory::DataFile;
use super::jobs::{IN_MEMORY, Place, Versions};
use super::key_class::KeyTable;
use super::log_history::has_versions;
use super::moved::{self, Aim, FAILED, Moved, Prior, SUCCEEDED};
use super::report::{self, CompletionReport, Task};
use super::rows::Stored;
use super::snapshot::{Snapshot, in_background};
use super::sorted::{self, Record, Sorter};
use super::source::{Source, Unread, next_number};
use super::summary::Codes;
use crate::collect::api::{DescribedJob, FilteredBy, JobOperation};

/// Error codes of failed tasks that are told apart.
const FAILURES: usize = 64;

/// What a report shows, by log bucket.
pub(super) struct Told {
    pub by_bucket: BTreeMap<String, InBucket>,
}

pub(super) struct InBucket {
    pub counted: Moved,
    /// The most frequent.
    pub failure_code: Option<String>,
    /// Whether it can be said what copies left behind.
    pub knows_left_behind: bool,
}

/// Reads the job's report, where it has ended, wrote one of all its tasks, and the run may read such.
pub(super) async fn read(place: &Place<'_>, job: &DescribedJob) -> Result<Option<Told>, Unread> {
    let Some(wanted) = job.report.as_ref().filter(|report| report.of_all_tasks) else {
        return Ok(None);
    };
    if job.ended_at.is_none() || place.run.sources.is_none() {
        return Ok(None);
    }
    let _turn = place.run.heavy_work().await;
    let source = Source::open(place.run, &wanted.bucket, place.region, place.budget).await?;
    let folder = report::folder(&wanted.prefix, &job.id);
    let name = format!("{folder}{}", report::MANIFEST);
    // Written last; S3 takes some minutes for it after the job's end.
    let Some(checksum) = source
        .small(&format!("{folder}{}", report::CHECKSUM))
        .await?
    else {
        return Ok(None);
    };
    let json = source.small(&name).await?;
    let json = json.ok_or_else(|| ReportError::Missing { file: name.clone() })?;
    let manifest = CompletionReport::read(&name, &json, &checksum, &folder)?;
    let mut tasks = Tasks {
        wanted: place.buckets.clone(),
        scratch: place.run.options().scratch.clone(),
        by_bucket: BTreeMap::new(),
    };
    for DataFile { key, md5, .. } in &manifest.files {
        let local = source.download(key, Some(md5)).await?;
        let (manifest, name) = (manifest.clone(), key.clone());
        tasks = in_background(move || {
            manifest.tasks(local.path(), &name, |task| tasks.add(task))?;
            Ok(tasks)
        })
        .await?;
    }
    let mut by_bucket = BTreeMap::new();
    for (bucket, tasks) in tasks.by_bucket {
        let told = in_bucket(place, job, &bucket, tasks).await?;
        by_bucket.insert(bucket, told);
    }
    Ok(Some(Told { by_bucket }))
}

/// The tasks of a report, on their way into order.
struct Tasks {
    wanted: BTreeSet<String>,
    scratch: std::path::PathBuf,
    by_bucket: BTreeMap<String, OfBucket>,
}

struct OfBucket {
    sorter: Sorter,
    /// Whether a task names no version.
    names_current: bool,
    failures: BTreeMap<String, i64>,
}

impl Tasks {
    fn add(&mut self, task: &Task<'_>) -> Result<(), ReportError> {
        if !self.by_bucket.contains_key(task.bucket) {
            if !self.wanted.contains(task.bucket) {
                return Ok(());
            }
            let of = OfBucket {
                sorter: Sorter::new(
                    &self.scratch,
                    &format!("tasks-{}", next_number()),
                    IN_MEMORY,
                ),
                names_current: false,
                failures: BTreeMap::new(),
            };
            self.by_bucket.insert(task.bucket.to_owned(), of);
        }
        let Some(of) = self.by_bucket.get_mut(task.bucket) else {
            return Ok(());
        };
        of.names_current |= task.version_id.is_empty();
        if !task.succeeded {
            let known = of.failures.contains_key(task.error_code);
            if known || of.failures.len() < FAILURES {
                *of.failures.entry(task.error_code.to_owned()).or_default() += 1;
            }
        }
        of.sorter.push(Record {
            id: sorted::version(task.key, task.version_id),
            code: if task.succeeded { SUCCEEDED } else { FAILED },
            bytes: 0,
        })?;
        Ok(())
    }
}

async fn in_bucket(
    place: &Place<'_>,
    job: &DescribedJob,
    bucket: &str,
    tasks: OfBucket,
) -> Result<InBucket, Unread> {
    let here = place.here(bucket);
    let mut before = place.versions(Codes::default());
    before.names_current = tasks.names_current;
    // A snapshot of before the job knows what the job found.
    let earlier = Snapshot::newest(&here, |at| at <= job.created_at).await;
    before = match earlier {
        Ok(snapshot) => snapshot.read(before, Versions::add).await?,
        Err(Unread::Absent(_) | Unread::OwnerNotInScope) => match &job.operation {
            // The same versions, of the same size, lie there afterwards; what they lay under does not.
            JobOperation::UpdateEncryption { .. } => later_sizes(place, bucket, before).await?,
            _ => before,
        },
        Err(error) => return Err(error),
    };
    let is_in_place = job.operation.target_bucket().is_none_or(|to| to == bucket);
    let (is_copy, leaves_old) = match &job.operation {
        JobOperation::Copy { .. } => (true, !is_in_place || has_versions(&here).await?),
        _ => (false, false),
    };
    let named = before.codes.keys().iter().map(String::as_str);
    let filtered = job.filtered_by.iter().filter_map(FilteredBy::key);
    let named = named.chain(filtered).chain(job.operation.key());
    let account = (place.account, place.region);
    let keys = KeyTable::describe(place.run, place.reader, account, place.budget, named).await;
    let target = job.operation.key();
    let aim = Aim {
        target: target.map_or(u32::MAX, |key| keys.number(key)),
        is_wanted: target
            .and_then(|key| keys.class(key))
            .and_then(|c| c.is_wanted),
        leaves_old,
        prior: filter_says(&job.filtered_by, &keys),
    };
    let failure_code = most_frequent(&tasks.failures);
    let counted = in_background(move || {
        let Versions { codes, sorter, .. } = before;
        let prior = |code| {
            let (stored, key) = codes.meaning(code);
            keys.prior(stored, key)
        };
        let (tasks, before) = (tasks.sorter.finish()?, sorter.finish()?);
        Ok(moved::job(tasks, before, aim, prior)?)
    })
    .await?;
    Ok(InBucket {
        counted,
        failure_code,
        knows_left_behind: !is_copy || counted.unknown == 0 || !leaves_old,
    })
}

/// Sizes from a snapshot of after the job, whose encryption says nothing of before.
async fn later_sizes(
    place: &Place<'_>,
    bucket: &str,
    versions: Versions,
) -> Result<Versions, Unread> {
    let here = place.here(bucket);
    let newest = match Snapshot::newest(&here, |_| true).await {
        Ok(newest) => newest,
        Err(Unread::Absent(_) | Unread::OwnerNotInScope) => return Ok(versions),
        Err(error) => return Err(error),
    };
    newest
        .read(versions, |versions, row| {
            versions.add(&super::rows::VersionRow {
                stored: Stored::Unknown,
                kms_key: None,
                ..*row
            })
        })
        .await
}

/// What the job's own filter says of the key before, where it says one thing of all its versions.
fn filter_says(filter: &[FilteredBy], keys: &KeyTable) -> Prior {
    let mut said = filter.iter().map(|one| match one {
        FilteredBy::SseS3 | FilteredBy::SseC | FilteredBy::Plain => Prior::Outside,
        FilteredBy::Kms(key) => keys.prior(Stored::Kms, key.as_deref()),
        FilteredBy::Other => Prior::Unknown,
    });
    let first = said.next().unwrap_or(Prior::Unknown);
    if said.all(|next| next == first) {
        first
    } else {
        Prior::Unknown
    }
}

/// Of equals the first in the alphabet.
fn most_frequent(failures: &BTreeMap<String, i64>) -> Option<String> {
    let most = failures.values().max()?;
    let mut all = failures.iter();
    all.find(|(_, count)| *count == most)
        .map(|(code, _)| code.clone())
        .filter(|code| !code.is_empty())
}
