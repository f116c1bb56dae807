//! What the bucket and its default key say of how they protect the archive; `archive::protection`
//! judges it.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{DefaultRetention, ObjectLockEnabled};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::archive::protection::{
    Answer, BucketFacts, BucketLock, DefaultEncryption, DefaultKey, Wanted, judge,
};
use crate::archive::store::Protection;
use crate::aws::s3_reads;
use crate::aws::s3_store::S3Store;
use crate::aws::session::sdk_region;
use crate::model::key_reference::KeyArn;

pub(super) async fn protections(store: &S3Store) -> Vec<Protection> {
    let prefix = store.url.key("");
    let wanted = Wanted {
        bucket: store.url.bucket(),
        prefix: &prefix,
        kms_key: store.options.kms_key.as_deref(),
        lock: store.options.lock.map(|(mode, days)| (mode.as_str(), days)),
        retention_days: store.options.retention_days,
    };
    judge(&facts(store).await, &wanted)
}

async fn facts(store: &S3Store) -> BucketFacts {
    let (versioning, lock, encryption, public_access_open, ownership, policy) = tokio::join!(
        versioning(store),
        lock(store),
        encryption(store),
        public_access(store),
        ownership(store),
        policy(store)
    );
    let named = encryption.as_ref().ok().and_then(|e| e.named_key());
    let key = match named {
        Some(key) => described(store, key).await.map(Some),
        None => Ok(None),
    };
    let key_policy = match &key {
        Ok(Some(key)) => key_policy(store, &key.arn).await.map(Some),
        Ok(None) => Ok(None),
        Err(why) => Err(why.clone()),
    };
    BucketFacts {
        versioning,
        lock,
        encryption,
        key,
        key_policy,
        public_access_open,
        ownership,
        policy,
    }
}

/// An answer, where S3 has a code of its own for "there is none".
fn optional<T, E>(
    store: &S3Store,
    answer: Result<T, SdkError<E, HttpResponse>>,
    none: &str,
) -> Answer<Option<T>>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some(none) => Ok(None),
        Err(error) => Err(store.explain(&error)),
    }
}

async fn versioning(store: &S3Store) -> Answer<Option<String>> {
    let answer = store
        .reads
        .get_bucket_versioning()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await
        .map_err(|e| store.explain(&e))?;
    Ok(answer.status.map(|status| status.as_str().to_owned()))
}

async fn lock(store: &S3Store) -> Answer<Option<BucketLock>> {
    let answer = store
        .reads
        .get_object_lock_configuration()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let answer = optional(store, answer, "ObjectLockConfigurationNotFoundError")?;
    let configuration = answer.and_then(|a| a.object_lock_configuration);
    let on = configuration.filter(|c| c.object_lock_enabled == Some(ObjectLockEnabled::Enabled));
    Ok(on.map(|lock| BucketLock {
        default: lock
            .rule
            .and_then(|rule| rule.default_retention)
            .and_then(default_retention),
    }))
}

/// Mode and days; S3 takes either days or years.
fn default_retention(default: DefaultRetention) -> Option<(String, u32)> {
    let years = default.years.and_then(|n| n.checked_mul(365));
    let days = u32::try_from(default.days.or(years)?).ok()?;
    Some((default.mode?.as_str().to_owned(), days))
}

async fn encryption(store: &S3Store) -> Answer<DefaultEncryption> {
    let answer = store
        .reads
        .get_bucket_encryption()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let none = "ServerSideEncryptionConfigurationNotFoundError";
    let answer = optional(store, answer, none)?;
    let default = s3_reads::encryption(answer.and_then(|a| a.server_side_encryption_configuration));
    Ok(DefaultEncryption {
        algorithm: default.algorithm,
        key: default.key,
        bucket_key: default.bucket_key,
    })
}

/// KMS in the Region of a key.
fn kms(store: &S3Store, key: &str) -> aws_sdk_kms::Client {
    let region = KeyArn::parse(key).map_or_else(|| store.region.clone(), |arn| arn.region);
    let config = aws_sdk_kms::config::Builder::from(&store.reading).region(sdk_region(&region));
    aws_sdk_kms::Client::from_conf(config.build())
}

async fn described(store: &S3Store, key: &str) -> Answer<DefaultKey> {
    let answer = kms(store, key)
        .describe_key()
        .key_id(key)
        .send()
        .await
        .map_err(|e| store.explain(&e))?;
    let about = answer.key_metadata;
    let about = about.ok_or_else(|| format!("KMS says nothing of {key}"))?;
    Ok(DefaultKey {
        arn: about.arn.unwrap_or_else(|| key.to_owned()),
        manager: about.key_manager.map(|m| m.as_str().to_owned()),
        state: about.key_state.map(|s| s.as_str().to_owned()),
    })
}

/// KMS shows a key's policy to its own account alone
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html>).
async fn key_policy(store: &S3Store, arn: &str) -> Answer<String> {
    let answer = kms(store, arn)
        .get_key_policy()
        .key_id(arn)
        .policy_name("default")
        .send()
        .await
        .map_err(|e| store.explain(&e))?;
    let policy = answer.policy;
    policy.ok_or_else(|| format!("KMS answers without the policy of {arn}"))
}

async fn public_access(store: &S3Store) -> Answer<Vec<&'static str>> {
    let answer = store
        .reads
        .get_public_access_block()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let answer = optional(store, answer, "NoSuchPublicAccessBlockConfiguration")?;
    let block = answer.and_then(|a| a.public_access_block_configuration);
    let on = |setting: fn(&aws_sdk_s3::types::PublicAccessBlockConfiguration) -> Option<bool>| {
        block.as_ref().and_then(setting) == Some(true)
    };
    let blocks = [
        ("BlockPublicAcls", on(|b| b.block_public_acls)),
        ("IgnorePublicAcls", on(|b| b.ignore_public_acls)),
        ("BlockPublicPolicy", on(|b| b.block_public_policy)),
        ("RestrictPublicBuckets", on(|b| b.restrict_public_buckets)),
    ];
    let open = blocks.into_iter().filter(|(_, on)| !on);
    Ok(open.map(|(name, _)| name).collect())
}

async fn ownership(store: &S3Store) -> Answer<Option<String>> {
    let answer = store
        .reads
        .get_bucket_ownership_controls()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let answer = optional(store, answer, "OwnershipControlsNotFoundError")?;
    let rules = answer.and_then(|a| a.ownership_controls).map(|c| c.rules);
    let first = rules.into_iter().flatten().next();
    Ok(first.map(|rule| rule.object_ownership.as_str().to_owned()))
}

async fn policy(store: &S3Store) -> Answer<Option<String>> {
    let answer = store
        .reads
        .get_bucket_policy()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let answer = optional(store, answer, "NoSuchBucketPolicy")?;
    Ok(answer.and_then(|a| a.policy))
}
