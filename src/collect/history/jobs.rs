//! Re-encryption of log buckets: the S3 Batch Operations jobs of their owners, and what two exports of a
//! metadata table or two inventory reports show. S3 keeps a job for 90 days after its end
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-managing-jobs.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::folders::LogFolders;
use super::job_report::{self, Told};
use super::key_class::{KeyClass, KeyTable};
use super::log_history::region_of;
use super::moved::{self, Moved, NO_SIZE};
use super::rows::Stored;
use super::snapshot::{Here, Snapshot, in_background};
use super::sorted::{self, Record, Sorter};
use super::source::{Unread, next_number};
use super::summary::Codes;
use crate::collect::api::{DescribedJob, JobOperation, ListedJob};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{CellEnd, Fault};
use crate::collect::engine::CollectError;
use crate::collect::facts::Facts;
use crate::collect::lookups::ItemEnd;
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::datasets::Reencryption;
use crate::model::ids::{AccountId, Region};
use crate::model::words::{CellOutcome, Reencrypted, Source as Word};
use crate::time::UtcMillis;

/// Jobs of one account and Region that are described. S3 allows some thousands at one time; those that
/// re-encrypt are few.
const JOBS: usize = 1_000;
/// Records of a sort that memory holds: 16 MiB.
pub(super) const IN_MEMORY: usize = 500_000;

/// The accounts of the scope that own log buckets.
pub(in crate::collect) fn units(run: &Run) -> Vec<AccountId> {
    run.targets().owners(run)
}

/// Asks in each Region that the buckets lie in.
pub(in crate::collect) async fn unit(
    run: Arc<Run>,
    account: AccountId,
) -> Result<(), CollectError> {
    let budget = run.long_budget();
    let reader = match run.may_begin() {
        Ok(()) => Session::open(&run.context, &account, &budget).await,
        Err(over) => Err(over),
    };
    let mut by_region: BTreeMap<Region, BTreeSet<String>> = BTreeMap::new();
    let mut unplaced = None;
    for (name, told) in run.targets().owned(&run, &account) {
        let region = match (&told, &reader) {
            (Some(region), _) => region.clone(),
            (None, Err(error)) => {
                unplaced = Some(error.clone());
                continue;
            }
            (None, Ok(reader)) => match region_of(reader, &name, None, &budget).await {
                Ok(region) => region,
                Err(error) => {
                    unplaced = Some(error);
                    continue;
                }
            },
        };
        by_region.entry(region).or_default().insert(name);
    }
    let is_open = |region: &Region| {
        let cell = (account.clone(), region.clone(), Word::Reencryption);
        !run.finished.lookups.contains(&cell)
    };
    // What was asked so far counts in the first cell.
    let mut opening = Some(budget);
    let mut budget = || opening.take().unwrap_or_else(|| run.long_budget());
    // Jobs run where their bucket lies: where nobody could tell, nobody could ask.
    if let Some(error) = unplaced.filter(|_| is_open(&Region::global())) {
        let facts = Facts::new(account.clone(), Region::global());
        let end = CellEnd::error(&error);
        run.append_with(facts, Word::Reencryption, end, &budget())?;
    }
    for (region, buckets) in by_region {
        if !is_open(&region) {
            continue;
        }
        let budget = budget();
        let mut facts = Facts::new(account.clone(), region.clone());
        let end = match &reader {
            Err(error) => CellEnd::error(error),
            Ok(reader) => {
                let place = Place {
                    run: &run,
                    reader,
                    budget: &budget,
                    account: &account,
                    region: &region,
                    buckets: &buckets,
                    no_folders: &Arc::default(),
                };
                place.look(&mut facts.reencryptions).await
            }
        };
        run.append_with(facts, Word::Reencryption, end, &budget)?;
    }
    Ok(())
}

/// An account and Region with log buckets.
pub(super) struct Place<'a> {
    pub run: &'a Run,
    pub reader: &'a Session,
    pub budget: &'a Budget,
    pub account: &'a AccountId,
    pub region: &'a Region,
    pub buckets: &'a BTreeSet<String>,
    /// A job moves whatever lies in the bucket, and all of it counts.
    pub no_folders: &'a Arc<LogFolders>,
}

impl<'a> Place<'a> {
    async fn look(&self, rows: &mut Vec<Reencryption>) -> CellEnd {
        let listed = match self.list().await {
            Ok(listed) => listed,
            Err(error) => return CellEnd::error(&error),
        };
        let mut unread: Option<Fault> = None;
        for job in &listed {
            match self.job(&job.id).await {
                Ok((told, fault)) => {
                    rows.extend(told);
                    unread = unread.or(fault);
                }
                Err(error) => unread = unread.or_else(|| Some(Fault::of(&error))),
            }
        }
        if self.run.sources.is_some() && self.run.options().compares_snapshots {
            for bucket in self.buckets {
                match self.snapshots(bucket).await {
                    Ok(told) => rows.extend(told),
                    Err(error) => unread = unread.or_else(|| fault_of(&error)),
                }
            }
        }
        match unread {
            None => CellEnd::read(rows.len()),
            Some(fault) => CellEnd {
                fault,
                ..CellEnd::plain(CellOutcome::Partial)
            },
        }
    }

    /// The jobs that can re-encrypt.
    async fn list(&self) -> Result<Vec<ListedJob>, CallError> {
        let region = self.region;
        let mut jobs: Vec<ListedJob> = Vec::new();
        let take = |page: Vec<ListedJob>| {
            jobs.extend(page.into_iter().filter(|job| {
                let operation = job.operation.as_deref().unwrap_or_default();
                ["S3UpdateObjectEncryption", "S3PutObjectCopy"].contains(&operation)
            }));
            jobs.len() >= JOBS
        };
        self.reader
            .pages_until(
                self.budget,
                region,
                Operation::ListJobs,
                |m, next| async move { m.jobs(region, next).await },
                take,
            )
            .await?;
        jobs.truncate(JOBS);
        Ok(jobs)
    }

    /// The rows of one job, and what kept its report from being read.
    async fn job(&self, id: &str) -> Result<(Vec<Reencryption>, Option<Fault>), CallError> {
        let region = self.region;
        let job = self
            .reader
            .call(
                self.budget,
                region,
                Operation::DescribeJob,
                |m| async move { m.job(region, id).await },
            )
            .await?;
        let in_report = job_report::read(self, &job).await;
        let (told, fault) = match in_report {
            Ok(told) => (told, None),
            Err(unread) => {
                tracing::info!("report of job {id}: {unread}");
                (None, fault_of(&unread))
            }
        };
        let named = job.operation.key();
        let here = (self.account, self.region);
        let keys =
            KeyTable::describe(self.run, self.reader, here, self.budget, named.into_iter()).await;
        let target = named.and_then(|key| keys.class(key));
        let rows = match told {
            Some(Told { by_bucket }) => by_bucket
                .into_iter()
                .map(|(bucket, report)| {
                    let Moved {
                        total,
                        moved,
                        moved_bytes,
                        rotated,
                        rotated_bytes,
                        unknown,
                        failed,
                        left_behind,
                    } = report.counted;
                    Reencryption {
                        shown_by: Reencrypted::CompletionReport,
                        versions_total: total,
                        versions_moved: Some(moved),
                        bytes_moved: Some(moved_bytes),
                        versions_rotated: Some(rotated),
                        bytes_rotated: Some(rotated_bytes),
                        versions_unknown: Some(unknown),
                        versions_failed: Some(failed),
                        failure_code: report.failure_code,
                        bytes_left_behind: report.knows_left_behind.then_some(left_behind),
                        ..self.blank(&job, &bucket, target)
                    }
                })
                .collect(),
            None => self.counts_alone(&job, target).into_iter().collect(),
        };
        Ok((rows, fault))
    }

    /// What the job's own counters say, where nothing tells more. No row for a job about other buckets.
    fn counts_alone(&self, job: &DescribedJob, target: Option<&KeyClass>) -> Option<Reencryption> {
        let named = job.bucket.as_deref().or(job.operation.target_bucket());
        let bucket = match (named, &job.operation) {
            (Some(bucket), _) if self.buckets.contains(bucket) => bucket,
            (Some(_), _) => return None,
            // Its manifest alone knows. Such a job re-encrypts, whatever it is about.
            (None, JobOperation::UpdateEncryption { .. }) => "",
            (None, _) => return None,
        };
        Some(Reencryption {
            versions_total: job.total.unwrap_or(0),
            versions_unknown: job.succeeded,
            versions_failed: job.failed,
            ..self.blank(job, bucket, target)
        })
    }

    fn blank(&self, job: &DescribedJob, bucket: &str, target: Option<&KeyClass>) -> Reencryption {
        Reencryption {
            scheduled_for: self.run.options().scheduled_for,
            account_id: self.account.clone(),
            region: self.region.clone(),
            bucket: bucket.to_owned(),
            evidence: job.id.clone(),
            shown_by: Reencrypted::JobCounts,
            target_key: target.map(|key| key.arn.clone()).unwrap_or_default(),
            target_wanted: target.and_then(|key| key.is_wanted),
            operation: Some(job.operation.name().to_owned()),
            status: job.status.clone(),
            started_at: job.created_at,
            ended_at: job.ended_at,
            ended_ms: job.ended_at.map(|at| at.0),
            versions_total: 0,
            versions_moved: None,
            bytes_moved: None,
            versions_rotated: None,
            bytes_rotated: None,
            versions_unknown: None,
            versions_failed: None,
            failure_code: None,
            bytes_left_behind: None,
        }
    }

    pub(super) fn here<'b>(&'b self, bucket: &'b str) -> Here<'b> {
        Here {
            run: self.run,
            reader: self.reader,
            budget: self.budget,
            region: self.region,
            bucket,
            folders: self.no_folders,
        }
    }

    /// What two snapshots of the bucket show, the newest and the one before it.
    async fn snapshots(&self, bucket: &str) -> Result<Vec<Reencryption>, Unread> {
        let _turn = self.run.heavy_work().await;
        let here = self.here(bucket);
        let Some([now, then]) = Snapshot::newest_two(&here).await? else {
            return Ok(Vec::new());
        };
        let (from, to) = (then.as_of, now.as_of);
        let before = then
            .read(self.versions(Codes::default()), Versions::add)
            .await?;
        let Versions { codes, sorter, .. } = before;
        let after = now.read(self.versions(codes), Versions::add).await?;
        let Versions {
            codes,
            sorter: now_sorter,
            ..
        } = after;
        let named = codes.keys().iter().map(String::as_str);
        let place = (self.account, self.region);
        let keys = KeyTable::describe(self.run, self.reader, place, self.budget, named).await;
        let (codes, keys, compared) = in_background(move || {
            let prior = |code| {
                let (stored, key) = codes.meaning(code);
                keys.prior(stored, key)
            };
            let is_unnamed = |code| codes.meaning(code) == (Stored::Kms, None);
            let (then, now) = (sorter.finish()?, now_sorter.finish()?);
            let compared = moved::snapshots(then, now, prior, is_unnamed)?;
            Ok((codes, keys, compared))
        })
        .await?;
        // No key is named of what lies under some KMS key, and of what lies nobody knows how: one row.
        let mut by_target: BTreeMap<Option<&str>, (Option<&KeyClass>, Moved)> = BTreeMap::new();
        let changed = compared
            .into_iter()
            .filter(|(_, c)| c.moved + c.rotated + c.unknown > 0);
        for (code, counted) in changed {
            let target = codes.meaning(code).1.and_then(|key| keys.class(key));
            let arn = target.map(|key| key.arn.as_str());
            let (_, all) = by_target.entry(arn).or_insert((target, Moved::default()));
            all.add(&counted);
        }
        let rows = by_target.into_values();
        let rows =
            rows.map(|(target, counted)| self.compared(bucket, (from, to), target, &counted));
        Ok(rows.collect())
    }

    fn compared(
        &self,
        bucket: &str,
        (from, to): (UtcMillis, UtcMillis),
        target: Option<&KeyClass>,
        counted: &Moved,
    ) -> Reencryption {
        Reencryption {
            scheduled_for: self.run.options().scheduled_for,
            account_id: self.account.clone(),
            region: self.region.clone(),
            bucket: bucket.to_owned(),
            evidence: format!("{from}/{to}"),
            shown_by: Reencrypted::Snapshots,
            target_key: target.map(|key| key.arn.clone()).unwrap_or_default(),
            target_wanted: target.and_then(|key| key.is_wanted),
            operation: None,
            status: None,
            started_at: from,
            ended_at: Some(to),
            ended_ms: Some(to.0),
            versions_total: counted.total,
            versions_moved: Some(counted.moved),
            bytes_moved: Some(counted.moved_bytes),
            versions_rotated: Some(counted.rotated),
            bytes_rotated: Some(counted.rotated_bytes),
            versions_unknown: Some(counted.unknown),
            versions_failed: None,
            failure_code: None,
            bytes_left_behind: None,
        }
    }

    /// Versions that are still to come.
    pub(super) fn versions(&self, codes: Codes) -> Versions {
        let name = format!("versions-{}", next_number());
        Versions {
            codes,
            sorter: Sorter::new(&self.run.options().scratch, &name, IN_MEMORY),
            names_current: false,
        }
    }
}

/// The versions of a snapshot, on their way into order.
pub(super) struct Versions {
    pub codes: Codes,
    pub sorter: Sorter,
    /// Whether a current version is also found without its id.
    pub names_current: bool,
}

impl Versions {
    pub(super) fn add(
        &mut self,
        row: &super::rows::VersionRow<'_>,
    ) -> Result<(), super::ReportError> {
        if row.is_delete_marker {
            return Ok(());
        }
        let code = self.codes.of(row)?;
        let bytes = row.bytes.unwrap_or(NO_SIZE);
        let mut push = |version_id| {
            let id = sorted::version(row.key, version_id);
            self.sorter.push(Record { id, code, bytes })
        };
        push(row.version_id)?;
        if self.names_current && row.is_latest && !row.version_id.is_empty() {
            push("")?;
        }
        Ok(())
    }
}

/// What a cell says of something unread; nothing where it is an answer of its own.
fn fault_of(unread: &Unread) -> Option<Fault> {
    match unread.end() {
        ItemEnd::Failed(_, fault) => Some(fault),
        ItemEnd::Collected | ItemEnd::Locked(_) => None,
    }
}
