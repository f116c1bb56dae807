//! What is known of the requests that writing and reading logs make.

use super::facts::{Identity, KeyFacts};
use crate::assess::inputs::ScopeFacts;
use crate::model::ids::{AccountId, Region};
use crate::policy::{Caller, Context, Value};

/// Whether logs in a bucket are written under its own key of the day (an S3 Bucket Key), which then
/// stands in the encryption context instead of the object
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html>).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Upload<'a> {
    /// ARN of the bucket.
    pub bucket: &'a str,
    /// ARN of some object below the log prefix.
    pub object: &'a str,
    /// `None`: nobody knows.
    pub bucket_key: Option<bool>,
    /// Region of the bucket; that of the key where it is not known, since S3 uses no other.
    pub region: &'a Region,
}

/// What follows from the organization about a principal and the resource's owner.
pub(super) fn organization(
    mut context: Context,
    caller: &Caller,
    owner: &str,
    scope: &ScopeFacts,
) -> Context {
    let place = |account: &str| {
        let id: AccountId = account.parse().ok()?;
        let path = scope.accounts.get(&id)?.ou_path.clone()?;
        Some((organization_of(&path)?.to_owned(), path))
    };
    if let Some((organization, path)) = caller.account().and_then(place) {
        context.set("aws:PrincipalOrgID", organization);
        context.set("aws:PrincipalOrgPaths", Value::Many(vec![path]));
    }
    if let Some((organization, path)) = place(owner) {
        context.set("aws:ResourceOrgID", organization);
        context.set("aws:ResourceOrgPaths", Value::Many(vec![path]));
    }
    context
}

/// The organization's id at the head of a path.
pub(super) fn organization_of(path: &str) -> Option<&str> {
    path.split('/').next().filter(|id| id.starts_with("o-"))
}

/// The id of the organization that the accounts of the scope belong to.
pub(super) fn own_organization(scope: &ScopeFacts) -> Option<&str> {
    scope
        .accounts
        .values()
        .find_map(|account| organization_of(account.ou_path.as_deref()?))
}

/// A request to the key itself, of which nothing is known but who asks.
pub(super) fn of_key(key: &KeyFacts, caller: &Caller, action: &str, scope: &ScopeFacts) -> Context {
    let mut context = organization(Context::open(), caller, &key.resource.account, scope)
        // KMS answers on TLS alone
        // (https://docs.aws.amazon.com/kms/latest/developerguide/infrastructure-security.html).
        .with("aws:SecureTransport", "true")
        .with("aws:RequestedRegion", key.arn.region.as_str());
    if let Some(aliases) = &key.aliases {
        let value = if aliases.is_empty() {
            Value::Absent
        } else {
            Value::Many(aliases.clone())
        };
        context.set("kms:ResourceAliases", value);
    }
    context.deriving(caller, action, &key.resource.account)
}

/// The requests to the key that S3 makes for a principal who writes or reads log objects: one where
/// the encryption context is known, else one with each.
pub(super) fn through_s3(
    key: &KeyFacts,
    identity: &Identity,
    action: &str,
    upload: &Upload<'_>,
    scope: &ScopeFacts,
) -> Vec<Context> {
    let mut base = of_key(key, &identity.caller, action, scope)
        .with("aws:ViaAWSService", "true")
        .with(
            "kms:EncryptionContextKeys",
            Value::Many(vec!["aws:s3:arn".to_owned()]),
        )
        .with("kms:EncryptionContext:", Value::Absent);
    if let Some(service) = s3_service(upload.region) {
        base.set("kms:ViaService", service);
    }
    let arns = match upload.bucket_key {
        Some(true) => vec![upload.bucket],
        Some(false) => vec![upload.object],
        None => vec![upload.bucket, upload.object],
    };
    arns.into_iter()
        .map(|arn| base.clone().with("kms:EncryptionContext:aws:s3:arn", arn))
        .collect()
}

/// S3 as `kms:ViaService` names it; the form in other partitions is not documented where we could
/// read (<https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>).
fn s3_service(region: &Region) -> Option<String> {
    (region.partition() == "aws").then(|| format!("s3.{region}.amazonaws.com"))
}
