//! What lies in the log buckets of one account: a late pass, where a run has a source-reader role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::folders::LogFolders;
use super::key_class::KeyTable;
use super::rows::Stored;
use super::snapshot::{Here, Snapshot};
use super::source::Unread;
use super::summary::Summary;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::ItemTally;
use crate::collect::engine::{CollectError, Run};
use crate::collect::facts::Facts;
use crate::collect::lookups::{ItemEnd, end_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::model::datasets::LogObjectSummary;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Source as Word;
use crate::time::UtcMillis;

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

/// One task for each account of the scope that owns a place which a cluster's `LogUri` names. Nothing without
/// a source-reader role.
pub(in crate::collect) fn units(run: &Run) -> Vec<Task> {
    if run.sources.is_none() {
        return Vec::new();
    }
    let mut of: BTreeMap<AccountId, Vec<Bucket>> = BTreeMap::new();
    let owners = lock(&run.owners);
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
                Ok(rows) => {
                    facts.object_summaries.extend(rows);
                    ItemEnd::Collected
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
) -> Result<Vec<LogObjectSummary>, Unread> {
    let _turn = run.heavy_work().await;
    let region = region_of(reader, &bucket.name, bucket.region.as_ref(), budget).await?;
    let here = Here {
        run,
        reader,
        budget,
        region: &region,
        bucket: &bucket.name,
        folders: &bucket.folders,
    };
    let snapshot = Snapshot::newest(&here, |_| true).await?;
    let counted = snapshot
        .read(Summary::new(Arc::clone(&bucket.folders)), Summary::add)
        .await?;
    let hides_versions = !snapshot.lists_versions && has_versions(&here).await?;
    let named = counted.codes.keys().iter().map(String::as_str);
    let keys = KeyTable::describe(run, reader, (account, &region), budget, named).await;
    let about = About {
        run,
        account,
        region: &region,
        bucket: &bucket.name,
        told_by: snapshot.told_by,
        as_of: snapshot.as_of,
    };
    let mut rows: Vec<_> = counted
        .groups()
        .map(|group| {
            let class = group.kms_key.and_then(|key| keys.class(key));
            let encryption = match (group.stored, class.and_then(|c| c.is_customers)) {
                (Stored::SseS3, _) => "sse_s3",
                (Stored::SseC, _) => "sse_c",
                (Stored::Plain, _) => "none",
                (Stored::Unknown, _) => "unknown",
                (Stored::Kms, Some(true)) => "customer_key",
                (Stored::Kms, Some(false)) => "aws_managed_key",
                (Stored::Kms, None) => "kms_key_unknown",
            };
            LogObjectSummary {
                key_arn: group.kms_key.map(str::to_owned),
                versions: group.versions,
                bytes: group.bytes,
                ..about.row(group.folder, encryption, group.is_latest)
            }
        })
        .collect();
    if hides_versions {
        // There may be older versions, and nobody counted them.
        let folders = bucket.folders.names().iter();
        rows.extend(folders.map(|folder| about.row(folder, "unknown", false)));
    }
    Ok(rows)
}

/// What all rows of a bucket share.
struct About<'a> {
    run: &'a Run,
    account: &'a AccountId,
    region: &'a Region,
    bucket: &'a str,
    told_by: &'static str,
    as_of: UtcMillis,
}

impl About<'_> {
    /// A row without a key that counts nothing.
    fn row(&self, folder: &str, encryption: &str, is_latest: bool) -> LogObjectSummary {
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
            source: self.told_by.to_owned(),
            as_of_at: Some(self.as_of),
        }
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
