//! What S3 says of one log bucket, asked with its owner's session: Region, default encryption and
//! versioning here, policy and the rest in `bucket_settings`.

use std::sync::Arc;

use crate::collect::api::{BucketEncryption, ErrorClass};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::bucket_settings;
use crate::collect::coverage::Fault;
use crate::collect::lookups::{BucketItem, ItemEnd, end_of, lookup_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::{Run, Unlisted};
use crate::model::datasets::LogBucket;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Lookup;

/// Looks one bucket up that `account`, whose session this is, owns.
pub(super) async fn look(
    run: &Run,
    session: Result<Arc<Session>, CallError>,
    account: &AccountId,
    item: &BucketItem,
    budget: &Budget,
) -> (LogBucket, ItemEnd) {
    let mut row = blank(run, item);
    row.account_id = Some(account.clone());
    let result = match session {
        Ok(session) => match read(&session, item, budget, &mut row).await {
            Ok(region) => {
                row.lookup = Lookup::Found;
                Ok(bucket_settings::read(&session, &region, budget, &mut row).await)
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    row.looked_up_at = run.now();
    let end = match result {
        Ok(end) => end,
        Err(error) => {
            let fault = Fault::of(&error);
            row.lookup = lookup_of(&error);
            row.policy_lookup = row.lookup;
            row.settings_lookup = row.lookup;
            row.error_code = fault.code;
            row.denied_action = fault.denied_action;
            end_of(&error)
        }
    };
    (row, end)
}

/// A bucket that no account of the scope lists.
pub(super) fn foreign(run: &Run, item: &BucketItem) -> (LogBucket, ItemEnd) {
    let mut row = blank(run, item);
    row.lookup = Lookup::OwnerNotInScope;
    row.policy_lookup = row.lookup;
    row.settings_lookup = row.lookup;
    (row, ItemEnd::Locked(Fault::default()))
}

/// A bucket that nobody lists who could be asked. It counts as the account that could not be asked
/// does: where the organization accepts that gap, what lies behind it is accepted too.
pub(super) fn of_unknown_owner(
    run: &Run,
    item: &BucketItem,
    why: &Unlisted,
) -> (LogBucket, ItemEnd) {
    let mut row = blank(run, item);
    row.lookup = Lookup::OwnerUnknown;
    row.policy_lookup = row.lookup;
    row.settings_lookup = row.lookup;
    row.error_code.clone_from(&why.fault.code);
    row.denied_action.clone_from(&why.fault.denied_action);
    let end = if why.is_accepted {
        ItemEnd::Locked(why.fault.clone())
    } else {
        ItemEnd::Failed(why.outcome, why.fault.clone())
    };
    (row, end)
}

async fn read(
    session: &Session,
    item: &BucketItem,
    budget: &Budget,
    row: &mut LogBucket,
) -> Result<Region, CallError> {
    let name = &item.name;
    let region = match &item.region {
        Some(region) => region.clone(),
        None => {
            let global = Region::global();
            session
                .call(
                    budget,
                    &global,
                    Operation::GetBucketLocation,
                    |m| async move { m.bucket_location(name).await },
                )
                .await?
        }
    };
    row.region = Some(region.clone());
    let region = &region;
    let encryption = session
        .call(
            budget,
            region,
            Operation::GetBucketEncryption,
            |m| async move { m.bucket_encryption(region, name).await },
        )
        .await;
    let encryption = match encryption {
        // Every bucket has had a default since 2023; an answer without one is an old bucket's.
        Err(CallError::Api(e))
            if matches!(e.class, ErrorClass::NotFound | ErrorClass::Refused)
                && e.code == "ServerSideEncryptionConfigurationNotFoundError" =>
        {
            BucketEncryption::default()
        }
        other => other?,
    };
    row.default_algorithm = encryption.algorithm;
    row.default_key = encryption.key;
    row.bucket_key = encryption.bucket_key;
    row.versioning = session
        .call(
            budget,
            region,
            Operation::GetBucketVersioning,
            |m| async move { m.bucket_versioning(region, name).await },
        )
        .await?;
    Ok(region.clone())
}

fn blank(run: &Run, item: &BucketItem) -> LogBucket {
    LogBucket {
        scheduled_for: run.options().scheduled_for,
        account_id: None,
        region: item.region.clone(),
        bucket: item.name.clone(),
        lookup: Lookup::NotAttempted,
        error_code: None,
        denied_action: None,
        default_algorithm: None,
        default_key: None,
        bucket_key: None,
        versioning: None,
        policy_lookup: Lookup::NotAttempted,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        settings_lookup: Lookup::NotAttempted,
        ownership: None,
        object_lock: None,
        public_access_blocked: None,
        lifecycle_rules: None,
        expires_after_days: None,
        replication_rules: None,
        replicates_to: None,
        inventories: None,
        metadata_table: None,
        looked_up_at: run.now(),
    }
}
