//! What KMS says of one key: DescribeKey and its grants, then in the owner's account policy, rotation
//! and tags.
//!
//! Nothing here uses a key, and no `alias/aws/*` comes this far: describing such an alias may create
//! the key (<https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>).

use std::sync::Arc;

use crate::collect::api::{DescribedKey, ErrorClass, Tag};
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{CellEnd, Fault};
use crate::collect::engine::CollectError;
use crate::collect::lookups::{ItemEnd, KeyItem, Reach, end_of, lookup_of};
use crate::collect::operation::Operation;
use crate::collect::scope::tag_value;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::collect::{grants, identity_policy, key_policy};
use crate::model::canonical;
use crate::model::datasets::KmsKey;
use crate::model::ids::{Region, Sha256Hex};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup};
use crate::time::UtcMillis;

/// Looks one key up.
pub(super) async fn look(
    run: &Run,
    session: Result<Arc<Session>, CallError>,
    item: &KeyItem,
    budget: &Budget,
) -> Result<(KmsKey, ItemEnd), CollectError> {
    let mut row = blank(run, &item.arn, run.now());
    if let Some(code) = unreachable(run, &item.arn) {
        row.lookup = Lookup::Failed;
        row.error_code = Some(code.to_owned());
        return Ok((
            with_rest(row, Lookup::Failed),
            ItemEnd::Locked(Fault {
                code: Some(code.to_owned()),
                ..Fault::default()
            }),
        ));
    }
    let described = match session {
        Ok(session) => describe(&session, item, budget).await.map(|d| (session, d)),
        Err(error) => Err(error),
    };
    row.looked_up_at = run.now();
    let (session, described) = match described {
        Ok(found) => found,
        Err(error) => {
            let fault = Fault::of(&error);
            row.lookup = lookup_of(&error);
            row.error_code = fault.code;
            row.denied_action = fault.denied_action;
            let rest = match &item.reach {
                Reach::Owner => row.lookup,
                Reach::Foreign => Lookup::OwnerNotInScope,
                Reach::Dark(end) => dark_lookup(end),
            };
            let end = match &item.reach {
                Reach::Dark(end) => ItemEnd::Failed(end.outcome, end.fault.clone()),
                _ => end_of(&error),
            };
            return Ok((with_rest(row, rest), end));
        }
    };
    let key = fill(&mut row, described);
    // Works across accounts, like DescribeKey.
    let listed = match grants::list(run, &session, &key, budget).await? {
        Ok(count) => {
            row.grants_lookup = Lookup::Found;
            row.grants = Some(count);
            ItemEnd::Collected
        }
        Err(error) => {
            row.grants_lookup = lookup_of(&error);
            row.grants_error_code = Fault::of(&error).code;
            end_of(&error)
        }
    };
    Ok(match &item.reach {
        Reach::Owner => {
            let end =
                in_owner_account(run, &session, &item.arn.region, &key, budget, &mut row).await;
            (row, listed.worse(end))
        }
        Reach::Foreign => (
            with_rest(row, Lookup::OwnerNotInScope),
            ItemEnd::Locked(Fault::default()),
        ),
        Reach::Dark(end) => {
            let mut row = with_rest(row, dark_lookup(end));
            row.policy_error_code.clone_from(&end.fault.code);
            (row, ItemEnd::Failed(end.outcome, end.fault.clone()))
        }
    })
}

/// A key that no endpoint of this run can answer for. A mistyped Region would otherwise be retried
/// until the cell's deadline, at the cost of every other key of the cell.
fn unreachable(run: &Run, arn: &KeyArn) -> Option<&'static str> {
    if arn.partition != run.partition() || arn.region.partition() != run.partition() {
        return Some("OtherPartition");
    }
    let emr = run.options().emr_regions.iter();
    let known = emr.map(|r| &r.region).any(|r| *r == arn.region)
        || lock(&run.regions).contains(&arn.region);
    (!known).then_some("UnknownRegion")
}

async fn describe(
    session: &Session,
    item: &KeyItem,
    budget: &Budget,
) -> Result<DescribedKey, CallError> {
    let region = &item.arn.region;
    let reference = &item.arn.to_string();
    session
        .call(budget, region, Operation::DescribeKey, |m| async move {
            m.key(region, reference).await
        })
        .await
}

/// Writes DescribeKey's answer into the row and returns the key's own ARN.
fn fill(row: &mut KmsKey, described: DescribedKey) -> String {
    row.lookup = Lookup::Found;
    row.manager = described.manager;
    row.state = described.state;
    row.usage = described.usage;
    row.spec = described.spec;
    row.origin = described.origin;
    row.multi_region = described.multi_region;
    row.created_at = described.created_at;
    row.deletion_at = described.deletion_at;
    row.material_expires_at = described.material_expires_at;
    row.key_arn = Some(described.arn.clone());
    described.arn
}

async fn in_owner_account(
    run: &Run,
    session: &Session,
    region: &Region,
    key: &str,
    budget: &Budget,
    row: &mut KmsKey,
) -> ItemEnd {
    let policy = session
        .call(budget, region, Operation::GetKeyPolicy, |m| async move {
            m.key_policy(region, key).await
        })
        .await;
    let mut end = match policy {
        Ok(text) => match key_policy::project(&text) {
            Some(value) => {
                run.name(identity_policy::named_by(&value));
                if identity_policy::means_everyone(&value) {
                    run.name([identity_policy::everyone_of(&row.account_id)]);
                }
                let json = canonical::to_string(&value);
                row.policy_lookup = Lookup::Found;
                row.policy_sha256 = Some(Sha256Hex::of(json.as_bytes()));
                row.policy_json = Some(json);
                ItemEnd::Collected
            }
            None => {
                row.policy_lookup = Lookup::Failed;
                row.policy_error_code = Some("Unreadable".to_owned());
                ItemEnd::Failed(
                    CellOutcome::Failed,
                    Fault {
                        code: Some("Unreadable".to_owned()),
                        ..Fault::default()
                    },
                )
            }
        },
        Err(error) => {
            row.policy_lookup = lookup_of(&error);
            row.policy_error_code = Fault::of(&error).code;
            end_of(&error)
        }
    };
    let rotation = session
        .call(
            budget,
            region,
            Operation::GetKeyRotationStatus,
            |m| async move { m.key_rotation(region, key).await },
        )
        .await;
    match rotation {
        Ok(rotation) => {
            row.rotation_lookup = Lookup::Found;
            row.rotation_enabled = Some(rotation.enabled);
            row.rotation_period_days = rotation.period_days;
        }
        // Keys in custom key stores and asymmetric ones cannot rotate: that is the answer.
        Err(CallError::Api(e))
            if e.class == ErrorClass::Refused && e.code.contains("UnsupportedOperation") =>
        {
            row.rotation_lookup = Lookup::Found;
        }
        Err(error) => {
            row.rotation_lookup = lookup_of(&error);
            end = end.worse(end_of(&error));
        }
    }
    let mut tags: Vec<Tag> = Vec::new();
    let listed = session
        .pages(
            budget,
            region,
            Operation::ListResourceTags,
            |m, next| async move { m.key_tags(region, key, next).await },
            |page| tags.extend(page),
        )
        .await;
    match listed {
        Ok(()) => {
            let names = &run.options().tags;
            row.tags_lookup = Lookup::Found;
            row.owner = tag_value(&tags, names.owner.as_deref());
            row.cost_center = tag_value(&tags, names.cost_center.as_deref());
            row.business_unit = tag_value(&tags, names.business_unit.as_deref());
            row.data_classification = tag_value(&tags, names.data_classification.as_deref());
        }
        Err(error) => {
            row.tags_lookup = lookup_of(&error);
            end = end.worse(end_of(&error));
        }
    }
    row.looked_up_at = run.now();
    end
}

/// What "the owner's account could not be entered" means for one of its keys.
fn dark_lookup(end: &CellEnd) -> Lookup {
    match end.outcome {
        CellOutcome::DeniedTrust | CellOutcome::DeniedIam | CellOutcome::DeniedScp => {
            Lookup::Denied
        }
        CellOutcome::NotAttempted => Lookup::NotAttempted,
        _ => Lookup::Failed,
    }
}

/// The parts that only the owner's account can tell all ended alike.
fn with_rest(row: KmsKey, lookup: Lookup) -> KmsKey {
    KmsKey {
        grants_lookup: match row.grants_lookup {
            Lookup::NotAttempted => lookup,
            asked => asked,
        },
        policy_lookup: lookup,
        rotation_lookup: lookup,
        tags_lookup: lookup,
        ..row
    }
}

fn blank(run: &Run, arn: &KeyArn, now: UtcMillis) -> KmsKey {
    KmsKey {
        scheduled_for: run.options().scheduled_for,
        account_id: arn.account_id.clone(),
        region: arn.region.clone(),
        key_reference: arn.to_string(),
        lookup: Lookup::NotAttempted,
        error_code: None,
        denied_action: None,
        key_arn: None,
        manager: None,
        state: None,
        usage: None,
        spec: None,
        origin: None,
        multi_region: None,
        created_at: None,
        deletion_at: None,
        material_expires_at: None,
        customer_proof: None,
        aliases: None,
        alias_updated_at: None,
        grants_lookup: Lookup::NotAttempted,
        grants_error_code: None,
        grants: None,
        policy_lookup: Lookup::NotAttempted,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        rotation_lookup: Lookup::NotAttempted,
        rotation_enabled: None,
        rotation_period_days: None,
        tags_lookup: Lookup::NotAttempted,
        owner: None,
        cost_center: None,
        business_unit: None,
        data_classification: None,
        looked_up_at: now,
    }
}
