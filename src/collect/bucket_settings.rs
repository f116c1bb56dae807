//! Policy and further settings of a log bucket, written into its row.
//!
//! A part that cannot be read does not hide the others: the policy has an end of its own, and the
//! settings share one, the worst of theirs.

use std::sync::Arc;

use crate::collect::api::Member;
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::Fault;
use crate::collect::key_policy;
use crate::collect::lookups::{ItemEnd, end_of, lookup_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::model::canonical;
use crate::model::datasets::LogBucket;
use crate::model::ids::{Region, Sha256Hex};
use crate::model::words::{CellOutcome, Lookup};

/// Longest list of destinations that is kept; S3 allows 1,000 rules.
const MAX_DESTINATIONS: usize = 2_048;

/// Asks for everything and says how the whole ended.
pub(super) async fn read(
    session: &Session,
    region: &Region,
    budget: &Budget,
    row: &mut LogBucket,
) -> ItemEnd {
    let name = row.bucket.clone();
    let name = name.as_str();
    let ask = Ask {
        session,
        region,
        budget,
    };
    let policy = ask
        .of(Operation::GetBucketPolicy, |m| async move {
            m.bucket_policy(region, name).await
        })
        .await;
    let ownership = ask
        .of(Operation::GetBucketOwnershipControls, |m| async move {
            m.bucket_ownership(region, name).await
        })
        .await;
    let lock = ask
        .of(Operation::GetObjectLockConfiguration, |m| async move {
            m.bucket_object_lock(region, name).await
        })
        .await;
    let blocked = ask
        .of(Operation::GetPublicAccessBlock, |m| async move {
            m.bucket_public_access_blocked(region, name).await
        })
        .await;
    let lifecycle = ask
        .of(Operation::GetBucketLifecycleConfiguration, |m| async move {
            m.bucket_lifecycle(region, name).await
        })
        .await;
    let replication = ask
        .of(Operation::GetBucketReplication, |m| async move {
            m.bucket_replication(region, name).await
        })
        .await;
    let mut inventories = 0;
    let listed = session
        .pages(
            budget,
            region,
            Operation::ListBucketInventoryConfigurations,
            |m, next| async move { m.bucket_inventories(region, name, next).await },
            |page| inventories += page.iter().filter(|i| i.is_enabled).count(),
        )
        .await;
    let table = ask
        .of(Operation::GetBucketMetadataConfiguration, |m| async move {
            m.bucket_metadata_table(region, name).await
        })
        .await;
    let mut settings = Settings {
        lookup: Lookup::Found,
        end: ItemEnd::Collected,
        fault: None,
    };
    row.ownership = settings.note(ownership).flatten();
    row.object_lock = settings.note(lock);
    row.public_access_blocked = settings.note(blocked);
    if let Some(lifecycle) = settings.note(lifecycle) {
        row.lifecycle_rules = Some(lifecycle.rules);
        row.expires_after_days = lifecycle.expires_after_days;
    }
    if let Some(replication) = settings.note(replication) {
        row.replication_rules = Some(replication.rules);
        row.replicates_to = joined(&replication.destinations);
    }
    row.inventories = settings.note(listed).map(|()| inventories as i64);
    row.metadata_table = settings.note(table).flatten();
    row.settings_lookup = settings.lookup;
    let policy_end = take_policy(row, policy);
    if let Some(fault) = settings.fault {
        row.note_fault(fault);
    }
    policy_end.worse(settings.end)
}

fn take_policy(row: &mut LogBucket, policy: Result<Option<String>, CallError>) -> ItemEnd {
    match policy {
        Ok(None) => {
            row.policy_lookup = Lookup::NotFound;
            ItemEnd::Collected
        }
        Ok(Some(text)) => match key_policy::project(&text) {
            Some(value) => {
                let json = canonical::to_string(&value);
                row.policy_lookup = Lookup::Found;
                row.policy_sha256 = Some(Sha256Hex::of(json.as_bytes()));
                row.policy_json = Some(json);
                ItemEnd::Collected
            }
            None => {
                row.policy_lookup = Lookup::Failed;
                row.policy_error_code = Some("Unreadable".to_owned());
                let fault = Fault {
                    code: Some("Unreadable".to_owned()),
                    ..Fault::default()
                };
                ItemEnd::Failed(CellOutcome::Failed, fault)
            }
        },
        Err(error) => {
            let fault = Fault::of(&error);
            row.policy_lookup = lookup_of(&error);
            row.policy_error_code.clone_from(&fault.code);
            row.note_fault(fault);
            end_of(&error)
        }
    }
}

impl LogBucket {
    /// Keeps the first refusal or failure, which names what to mend.
    fn note_fault(&mut self, fault: Fault) {
        if self.error_code.is_none() {
            self.error_code = fault.code;
            self.denied_action = fault.denied_action;
        }
    }
}

/// How the settings ended so far.
struct Settings {
    lookup: Lookup,
    end: ItemEnd,
    fault: Option<Fault>,
}

impl Settings {
    fn note<T>(&mut self, result: Result<T, CallError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let end = std::mem::replace(&mut self.end, ItemEnd::Collected);
                self.end = end.worse(end_of(&error));
                // A refusal names a permission, which says more than another failure.
                let lookup = lookup_of(&error);
                if self.lookup == Lookup::Found || lookup == Lookup::Denied {
                    self.lookup = lookup;
                }
                self.fault.get_or_insert_with(|| Fault::of(&error));
                None
            }
        }
    }
}

/// Whole names only.
fn joined(destinations: &[String]) -> Option<String> {
    let mut text = String::new();
    for destination in destinations {
        if text.len() + destination.len() >= MAX_DESTINATIONS {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(destination);
    }
    (!text.is_empty()).then_some(text)
}

struct Ask<'a> {
    session: &'a Session,
    region: &'a Region,
    budget: &'a Budget,
}

impl Ask<'_> {
    async fn of<T, F, Fut>(&self, operation: Operation, once: F) -> Result<T, CallError>
    where
        F: Fn(Arc<dyn Member>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, crate::collect::api::ApiError>> + Send,
    {
        self.session
            .call(self.budget, self.region, operation, once)
            .await
    }
}
