//! The third pass, where a run was asked for it: how some log objects are really encrypted.
//!
//! A few clusters of each account-region, a few objects of each: what lies under
//! `<LogUri>/<cluster id>/` is listed and HEADed with the opt-in sampler role of the bucket's owner.
//! That role has no kms permission, so that content stays unreadable, and a HEAD asks neither for
//! checksums nor with encryption headers (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>).
//! Names of objects are never kept: their SHA-256 is.

use std::sync::Arc;

use crate::collect::api::{ListedObject, ObjectHead};
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::engine::CollectError;
use crate::collect::facts::Facts;
use crate::collect::lookups::{ItemEnd, end_of, lookup_of};
use crate::collect::operation::Operation;
use crate::collect::random::stable_hash;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::datasets::{EmrCluster, LogObjectSample};
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::model::s3_location::S3Location;
use crate::model::words::{Lookup, Seen, Settings, Source};
use crate::time::Date;

/// Objects that are headed of one cluster.
const OBJECTS: usize = 3;
/// What a HEAD that S3 refuses as a bad request most likely means: the object lies under a key that
/// its writer brought along (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html>).
pub const SSE_C_SUSPECTED: &str = "sse_c_suspected";

/// The sampled clusters of one account-region.
#[derive(Debug)]
pub(super) struct Task {
    account: AccountId,
    region: Region,
    clusters: Vec<Sampled>,
}

#[derive(Debug, PartialEq)]
struct Sampled {
    cluster_id: String,
    bucket: String,
    /// Ends with a slash.
    prefix: String,
}

/// Chooses up to `limit` clusters that send logs to S3: active ones first, then by a hash of date and
/// id, so that every day looks at others and the same facts give the same choice.
pub(super) fn choose(
    account: &AccountId,
    region: &Region,
    rows: &[EmrCluster],
    date: Date,
    limit: usize,
) -> Option<Task> {
    let mut candidates: Vec<_> = rows
        .iter()
        .filter(|row| row.settings != Settings::Deferred && row.seen != Seen::NotSeen)
        .filter_map(|row| Some((row, S3Location::parse(row.log_uri.as_deref()?)?)))
        .map(|(row, place)| {
            let order = stable_hash(&format!("{date} {}", row.cluster_id));
            ((!row.is_active(), order, &row.cluster_id), place)
        })
        .collect();
    candidates.sort_unstable_by_key(|(order, _)| *order);
    let clusters: Vec<_> = candidates
        .into_iter()
        .take(limit)
        .map(|((_, _, id), place)| Sampled {
            prefix: format!("{}{id}/", place.folder()),
            bucket: place.bucket,
            cluster_id: id.clone(),
        })
        .collect();
    (!clusters.is_empty()).then(|| Task {
        account: account.clone(),
        region: region.clone(),
        clusters,
    })
}

/// Samples one account-region.
pub(super) async fn unit(run: Arc<Run>, task: Task) -> Result<(), CollectError> {
    let cell = (
        task.account.clone(),
        task.region.clone(),
        Source::LogObjects,
    );
    if run.finished.lookups.contains(&cell) {
        return Ok(());
    }
    let budget = run.budget();
    let mut tally = ItemTally::default();
    let mut facts = Facts::new(task.account.clone(), task.region.clone());
    for cluster in &task.clusters {
        let here = Here {
            run: &run,
            task: &task,
            cluster,
            budget: &budget,
        };
        let (rows, end) = here.look().await;
        facts.object_samples.extend(rows);
        tally.count(end);
    }
    run.append_with(facts, Source::LogObjects, tally.end(), &budget)
}

struct Here<'a> {
    run: &'a Run,
    task: &'a Task,
    cluster: &'a Sampled,
    budget: &'a Budget,
}

impl Here<'_> {
    /// The rows of one cluster. Where no object was reached there is one row without one, which says
    /// why.
    async fn look(&self) -> (Vec<LogObjectSample>, ItemEnd) {
        let (owner, region) = match self.owner() {
            Ok(found) => found,
            Err((lookup, end)) => {
                let fault = match &end {
                    ItemEnd::Locked(fault) | ItemEnd::Failed(_, fault) => fault.code.clone(),
                    ItemEnd::Collected => None,
                };
                return (vec![self.row(None, lookup, fault)], end);
            }
        };
        match self.objects(&owner, &region).await {
            Ok((_, objects)) if objects.is_empty() => (
                vec![self.row(None, Lookup::NotFound, None)],
                ItemEnd::Collected,
            ),
            Ok((session, objects)) => {
                let mut rows = Vec::new();
                let mut end = ItemEnd::Collected;
                for object in &objects {
                    let (row, one) = self.head(&session, &region, object).await;
                    rows.push(row);
                    end = end.worse(one);
                }
                (rows, end)
            }
            Err(error) => {
                let code = Fault::of(&error).code;
                let row = self.row(None, lookup_of(&error), code);
                (vec![row], end_of(&error))
            }
        }
    }

    /// Who owns the bucket, and the Region to ask. Without a told Region the cluster's is asked, and
    /// S3 says so when that is wrong.
    fn owner(&self) -> Result<(AccountId, Region), (Lookup, ItemEnd)> {
        let found = lock(&self.run.owners).of(&self.cluster.bucket);
        let account = found
            .and_then(|(at, region)| Some((self.run.scope.accounts.get(at as usize)?, region)));
        if let Some((account, region)) = account {
            let region = region.unwrap_or_else(|| self.task.region.clone());
            return Ok((account.account_id.clone(), region));
        }
        Err(match self.run.unlisted() {
            None => (Lookup::OwnerNotInScope, ItemEnd::Locked(Fault::default())),
            Some(why) if why.is_accepted => (Lookup::OwnerUnknown, ItemEnd::Locked(why.fault)),
            Some(why) => (
                Lookup::OwnerUnknown,
                ItemEnd::Failed(why.outcome, why.fault),
            ),
        })
    }

    /// A few of the objects on the first page of the list.
    async fn objects(
        &self,
        owner: &AccountId,
        region: &Region,
    ) -> Result<(Arc<Session>, Vec<ListedObject>), CallError> {
        let session = self.run.samplers.of(self.run, owner, self.budget).await?;
        let Sampled { bucket, prefix, .. } = self.cluster;
        let listed = session
            .call(
                self.budget,
                region,
                Operation::ListObjectsV2,
                |m| async move { m.log_objects(region, bucket, prefix).await },
            )
            .await?;
        let date = self.run.options().scheduled_for;
        let mut objects: Vec<_> = listed
            .into_iter()
            // A "folder" that someone made by hand is no log.
            .filter(|object| !object.name.ends_with('/'))
            .map(|object| (stable_hash(&format!("{date} {}", object.name)), object))
            .collect();
        objects.sort_unstable_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
        let chosen = objects.into_iter().take(OBJECTS).map(|(_, object)| object);
        Ok((session, chosen.collect()))
    }

    async fn head(
        &self,
        session: &Session,
        region: &Region,
        object: &ListedObject,
    ) -> (LogObjectSample, ItemEnd) {
        let bucket = self.cluster.bucket.as_str();
        let name = object.name.as_str();
        let answer = session
            .call(self.budget, region, Operation::HeadObject, |m| async move {
                m.log_object(region, bucket, name).await
            })
            .await;
        let mut row = match &answer {
            Ok(ObjectHead::Told { .. }) => self.row(Some(name), Lookup::Found, None),
            Ok(ObjectHead::BadRequest) => {
                let code = SSE_C_SUSPECTED.to_owned();
                self.row(Some(name), Lookup::Failed, Some(code))
            }
            Err(error) => self.row(Some(name), lookup_of(error), Fault::of(error).code),
        };
        row.bytes = object.bytes;
        row.last_modified_at = object.modified_at;
        let end = match answer {
            Ok(ObjectHead::Told {
                algorithm,
                key,
                bucket_key,
            }) => {
                row.algorithm = algorithm;
                row.key_arn = key;
                row.bucket_key = bucket_key;
                ItemEnd::Collected
            }
            Ok(ObjectHead::BadRequest) => ItemEnd::Locked(Fault {
                code: row.error_code.clone(),
                ..Fault::default()
            }),
            Err(error) => end_of(&error),
        };
        (row, end)
    }

    fn row(&self, name: Option<&str>, lookup: Lookup, code: Option<String>) -> LogObjectSample {
        LogObjectSample {
            scheduled_for: self.run.options().scheduled_for,
            account_id: self.task.account.clone(),
            region: self.task.region.clone(),
            cluster_id: self.cluster.cluster_id.clone(),
            bucket: self.cluster.bucket.clone(),
            object_sha256: name
                .map(|name| Sha256Hex::of(name.as_bytes()).to_string())
                .unwrap_or_default(),
            lookup,
            error_code: code,
            algorithm: None,
            key_arn: None,
            bucket_key: None,
            last_modified_at: None,
            bytes: None,
            looked_up_at: self.run.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fake::{cluster_row, id, region};

    fn row(cluster: &str, state: &str, uri: &str) -> EmrCluster {
        let mut row = cluster_row(cluster, state, None, None);
        row.settings = Settings::Described;
        row.log_uri = Some(uri.to_owned());
        row
    }

    fn chosen(rows: &[EmrCluster], date: &str, limit: usize) -> Vec<String> {
        let account = id("111122223333");
        let date = date.parse().expect("date");
        let task = choose(&account, &region("eu-west-1"), rows, date, limit);
        let clusters = task.map(|task| task.clusters).unwrap_or_default();
        clusters.into_iter().map(|c| c.cluster_id).collect()
    }

    #[test]
    fn active_clusters_come_first_and_the_date_decides_among_equals() {
        let mut rows: Vec<_> = (0..20)
            .map(|i| row(&format!("j-{i:02}"), "TERMINATED", "s3://logs/emr/"))
            .collect();
        rows.push(row("j-on", "RUNNING", "s3n://KEY:SECRET@logs/emr"));
        let first = chosen(&rows, "2026-11-24", 4);
        assert_eq!(first.len(), 4);
        assert_eq!(first[0], "j-on");
        rows.reverse();
        assert_eq!(chosen(&rows, "2026-11-24", 4), first, "whatever the order");
        assert_ne!(
            chosen(&rows, "2026-11-25", 4),
            first,
            "others on other days"
        );
    }

    #[test]
    fn clusters_without_a_readable_place_are_not_sampled() {
        let mut deferred = row("j-deferred", "RUNNING", "s3://logs/");
        deferred.settings = Settings::Deferred;
        let mut unseen = row("j-unseen", "RUNNING", "s3://logs/");
        unseen.seen = Seen::NotSeen;
        let rows = [
            deferred,
            unseen,
            row("j-hdfs", "RUNNING", "hdfs:///logs"),
            row("j-none", "RUNNING", ""),
        ];
        assert!(chosen(&rows, "2026-11-24", 9).is_empty());
    }
}
