//! What lies in the log buckets of one account: a late pass, where a run has a source-reader role or may list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::folders::LogFolders;
use super::key_class::KeyTable;
use super::listed::{self, Bound};
use super::rows::Stored;
use super::snapshot::{Here, Snapshot};
use super::source::Unread;
use super::summary::{Group, Summary};
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::engine::CollectError;
use crate::collect::facts::Facts;
use crate::collect::lookups::{ItemEnd, end_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::datasets::LogObjectSummary;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Source as Word;
use crate::time::UtcMillis;

/// The word of coverage for a listing that its bound ended.
const LISTING_CUT_OFF: &str = "ListingCutOff";

/// The log buckets of one account.
#[derive(Debug)]
pub(in crate::collect) struct Task {
    account: AccountId,
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    name: String,
    region: Option<Region>,
    folders: Arc<LogFolders>,
}

/// One task for each account of the scope that owns a place which a cluster's `LogUri` names. Nothing where the
/// run neither reads reports nor lists.
pub(in crate::collect) fn units(run: &Run) -> Vec<Task> {
    if !run.reads_history() {
        return Vec::new();
    }
    let mut of: BTreeMap<AccountId, Vec<Bucket>> = BTreeMap::new();
    let mut owners = lock(&run.owners);
    for (name, folders) in lock(&run.log_folders).iter() {
        let Some((at, region)) = owners.of(name) else {
            continue;
        };
        let Some(account) = run.scope.accounts.get(at as usize) else {
            continue;
        };
        let buckets = of.entry(account.account_id.clone()).or_default();
        buckets.push(Bucket {
            name: name.clone(),
            region,
            folders: Arc::new(LogFolders::new(folders)),
        });
    }
    let is_open = |account: &AccountId| {
        let cell = (account.clone(), Region::global(), Word::LogHistory);
        !run.finished.lookups.contains(&cell)
    };
    of.into_iter()
        .filter(|(account, _)| is_open(account))
        .map(|(account, buckets)| Task { account, buckets })
        .collect()
}

/// Reads what there is of each bucket, one after the other.
pub(in crate::collect) async fn unit(run: Arc<Run>, task: Task) -> Result<(), CollectError> {
    let budget = run.long_budget();
    let reader = match run.may_begin() {
        Ok(()) => Session::open(&run.context, &task.account, &budget).await,
        Err(over) => Err(over),
    };
    let mut tally = ItemTally::default();
    let mut facts = Facts::new(task.account.clone(), Region::global());
    for bucket in &task.buckets {
        let end = match &reader {
            Err(error) => end_of(error),
            Ok(reader) => match look(&run, reader, &task.account, bucket, &budget).await {
                Ok((rows, end)) => {
                    facts.object_summaries.extend(rows);
                    end
                }
                Err(unread) => {
                    tracing::info!("history of bucket {}: {unread}", bucket.name);
                    unread.end()
                }
            },
        };
        tally.count(end);
    }
    run.append_with(facts, Word::LogHistory, tally.end(), &budget)
}

async fn look(
    run: &Run,
    reader: &Session,
    account: &AccountId,
    bucket: &Bucket,
    budget: &Budget,
) -> Result<(Vec<LogObjectSummary>, ItemEnd), Unread> {
    let region = region_of(reader, &bucket.name, bucket.region.as_ref(), budget).await?;
    let about = About {
        run,
        account,
        region: &region,
        bucket: &bucket.name,
    };
    let reported = about.reported(reader, bucket, budget).await;
    match (reported, run.options().listing) {
        (Ok(rows), _) => Ok((rows, ItemEnd::Collected)),
        // A report that is there and cannot be read stays a failure: no listing hides it.
        (Err(Unread::Absent(_) | Unread::OwnerNotInScope), Some(bound)) => {
            about.listed(bucket, bound, budget).await
        }
        (Err(unread), _) => Err(unread),
    }
}

/// A log bucket that is looked at.
struct About<'a> {
    run: &'a Run,
    account: &'a AccountId,
    region: &'a Region,
    bucket: &'a str,
}

impl About<'_> {
    /// What the newest report of the bucket tells.
    async fn reported(
        &self,
        reader: &Session,
        bucket: &Bucket,
        budget: &Budget,
    ) -> Result<Vec<LogObjectSummary>, Unread> {
        let Self {
            run,
            account,
            region,
            ..
        } = *self;
        if run.sources.is_none() {
            return Err(Unread::Absent("NoSourceReaderRole"));
        }
        let _turn = run.heavy_work().await;
        let here = Here {
            run,
            reader,
            budget,
            region,
            bucket: &bucket.name,
            folders: &bucket.folders,
        };
        let snapshot = Snapshot::newest(&here, |_| true).await?;
        let counted = snapshot
            .read(Summary::new(Arc::clone(&bucket.folders)), Summary::add)
            .await?;
        let hides_versions = !snapshot.lists_versions && has_versions(&here).await?;
        let named = counted.codes.keys().iter().map(String::as_str);
        let keys = KeyTable::describe(run, reader, (account, region), budget, named).await;
        let told = (snapshot.told_by, Some(snapshot.as_of));
        let mut rows: Vec<_> = counted
            .groups()
            .map(|group| LogObjectSummary {
                key_arn: group.kms_key.map(str::to_owned),
                versions: group.versions,
                bytes: group.bytes,
                ..self.row(
                    told,
                    group.folder,
                    encryption(&group, &keys),
                    group.is_latest,
                )
            })
            .collect();
        if hides_versions {
            // There may be older versions, and nobody counted them.
            let folders = bucket.folders.names().iter();
            rows.extend(folders.map(|folder| LogObjectSummary {
                complete: Some(false),
                ..self.row(told, folder, "unknown", false)
            }));
        }
        Ok(rows)
    }

    /// What a listing tells, and whether its bound cut it off: an answer, for the bound is a setting.
    async fn listed(
        &self,
        bucket: &Bucket,
        bound: Bound,
        budget: &Budget,
    ) -> Result<(Vec<LogObjectSummary>, ItemEnd), Unread> {
        let sampler = self.run.samplers.of(self.run, self.account, budget).await?;
        let here = listed::Here {
            account: self.account,
            sampler: &sampler,
            budget,
            region: self.region,
            bucket: self.bucket,
            folders: &bucket.folders,
        };
        let listed = here.list(bound).await?;
        let told = ("listing", None);
        let is_cut_off = |folder: &str| listed.cut_off.iter().any(|name| name == folder);
        let groups = listed.counted.groups();
        let mut rows: Vec<_> = groups
            .map(|group| LogObjectSummary {
                versions: group.versions,
                bytes: group.bytes,
                complete: Some(!is_cut_off(group.folder)),
                ..self.row(told, group.folder, "unknown", group.is_latest)
            })
            .collect();
        for folder in &listed.cut_off {
            if !rows.iter().any(|row| row.prefix == *folder) {
                rows.push(LogObjectSummary {
                    complete: Some(false),
                    ..self.row(told, folder, "unknown", true)
                });
            }
        }
        let end = if listed.cut_off.is_empty() {
            ItemEnd::Collected
        } else {
            ItemEnd::Locked(Fault {
                code: Some(LISTING_CUT_OFF.to_owned()),
                ..Fault::default()
            })
        };
        Ok((rows, end))
    }

    /// A row without a key that counts nothing, told by a source of a moment.
    fn row(
        &self,
        (told_by, as_of): (&str, Option<UtcMillis>),
        folder: &str,
        encryption: &str,
        is_latest: bool,
    ) -> LogObjectSummary {
        LogObjectSummary {
            scheduled_for: self.run.options().scheduled_for,
            account_id: self.account.clone(),
            region: self.region.clone(),
            bucket: self.bucket.to_owned(),
            prefix: folder.to_owned(),
            encryption: encryption.to_owned(),
            key_arn: None,
            is_latest,
            versions: 0,
            bytes: None,
            source: told_by.to_owned(),
            as_of_at: as_of,
            complete: Some(true),
        }
    }
}

/// How the versions of a group are encrypted.
fn encryption(group: &Group<'_>, keys: &KeyTable) -> &'static str {
    let class = group.kms_key.and_then(|key| keys.class(key));
    match (group.stored, class.and_then(|c| c.is_customers)) {
        (Stored::SseS3, _) => "sse_s3",
        (Stored::SseC, _) => "sse_c",
        (Stored::Plain, _) => "none",
        (Stored::Unknown, _) => "unknown",
        (Stored::Kms, Some(true)) => "customer_key",
        (Stored::Kms, Some(false)) => "aws_managed_key",
        (Stored::Kms, None) => "kms_key_unknown",
    }
}

/// The Region of a bucket, from its owner's list or asked for.
pub(super) async fn region_of(
    reader: &Session,
    bucket: &str,
    told: Option<&Region>,
    budget: &Budget,
) -> Result<Region, CallError> {
    if let Some(region) = told {
        return Ok(region.clone());
    }
    let global = Region::global();
    reader
        .call(
            budget,
            &global,
            Operation::GetBucketLocation,
            |m| async move { m.bucket_location(bucket).await },
        )
        .await
}

/// Whether versioning was ever turned on.
pub(super) async fn has_versions(here: &Here<'_>) -> Result<bool, CallError> {
    let (region, bucket) = (here.region, here.bucket);
    let status = here
        .reader
        .call(
            here.budget,
            region,
            Operation::GetBucketVersioning,
            |m| async move { m.bucket_versioning(region, bucket).await },
        )
        .await?;
    Ok(status.is_some())
}

/// Folders by bucket.
pub(in crate::collect) type Folders = BTreeMap<String, BTreeSet<String>>;
