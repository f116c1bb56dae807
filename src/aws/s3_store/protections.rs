//! What the bucket itself does for the archive.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::archive::store::Protection;
use crate::aws::s3_protection::{POLICY_CHECKS, policy_checks};
use crate::aws::s3_reads;
use crate::aws::s3_store::S3Store;
use crate::aws::session::sdk_region;
use crate::model::key_reference::KeyArn;
use crate::model::words::CheckOutcome;

pub(super) async fn protections(store: &S3Store) -> Vec<Protection> {
    let (versioning, lock, encryption, public, policy) = tokio::join!(
        versioning(store),
        object_lock(store),
        encryption(store),
        public_access(store),
        policy(store)
    );
    let mut all = vec![versioning, lock, encryption, public];
    all.extend(policy);
    all
}

fn verdict(check: &'static str, outcome: CheckOutcome, detail: impl Into<String>) -> Protection {
    Protection {
        check,
        outcome,
        detail: detail.into(),
    }
}

/// An answer that was refused or did not come: nothing is known.
fn unanswered<E>(
    store: &S3Store,
    check: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> Protection
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    verdict(check, CheckOutcome::Unknown, store.explain(error))
}

async fn versioning(store: &S3Store) -> Protection {
    const CHECK: &str = "versioning";
    let answer = store
        .reads
        .get_bucket_versioning()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    match answer {
        Ok(answer) if answer.status == Some(BucketVersioningStatus::Enabled) => {
            verdict(CHECK, CheckOutcome::Pass, "versions are kept")
        }
        Ok(answer) => verdict(
            CHECK,
            CheckOutcome::Fail,
            match answer.status {
                Some(status) => format!("versioning is {}: enable it", status.as_str()),
                None => "versioning was never enabled: enable it".to_owned(),
            },
        ),
        Err(error) => unanswered(store, CHECK, &error),
    }
}

async fn object_lock(store: &S3Store) -> Protection {
    const CHECK: &str = "object_lock";
    const OFF: &str = "Object Lock is off: enable it on the bucket";
    let answer = store
        .reads
        .get_object_lock_configuration()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let configuration = match answer {
        Ok(answer) => answer.object_lock_configuration,
        Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => None,
        Err(error) => return unanswered(store, CHECK, &error),
    };
    let Some(configuration) =
        configuration.filter(|c| c.object_lock_enabled == Some(ObjectLockEnabled::Enabled))
    else {
        return verdict(CHECK, CheckOutcome::Fail, OFF);
    };
    let default = configuration.rule.and_then(|rule| rule.default_retention);
    match (default, store.options.lock) {
        (_, Some((mode, days))) => verdict(
            CHECK,
            CheckOutcome::Pass,
            format!("each object is locked for {days} days, {mode:?} mode"),
        ),
        (Some(default), None) => {
            let mode = default.mode.as_ref().map_or("unknown", |m| m.as_str());
            let length = match (default.days, default.years) {
                (Some(days), _) => format!("{days} days"),
                (None, Some(years)) => format!("{years} years"),
                (None, None) => "an unstated time".to_owned(),
            };
            verdict(
                CHECK,
                CheckOutcome::Pass,
                format!("objects are locked by default for {length}, {mode} mode"),
            )
        }
        (None, None) => verdict(
            CHECK,
            CheckOutcome::Fail,
            "Object Lock is on, but neither the bucket nor the configuration sets a retention",
        ),
    }
}

async fn encryption(store: &S3Store) -> Protection {
    const CHECK: &str = "default_encryption";
    let answer = store
        .reads
        .get_bucket_encryption()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let default = match answer {
        Ok(answer) => s3_reads::encryption(answer.server_side_encryption_configuration),
        Err(error) if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") => {
            Default::default()
        }
        Err(error) => return unanswered(store, CHECK, &error),
    };
    let kms = default
        .algorithm
        .as_deref()
        .is_some_and(|a| a.starts_with("aws:kms"));
    match default.key {
        Some(key) if kms && !key.contains("alias/aws/") => key_manager(store, CHECK, &key).await,
        _ if kms => verdict(
            CHECK,
            CheckOutcome::Fail,
            "the default is the AWS managed key aws/s3: set a customer managed key",
        ),
        _ => verdict(
            CHECK,
            CheckOutcome::Fail,
            format!(
                "the default is {}: set a customer managed KMS key",
                default.algorithm.as_deref().unwrap_or("not set")
            ),
        ),
    }
}

/// Whether the bucket's default key is a customer's; its ARN does not tell.
async fn key_manager(store: &S3Store, check: &'static str, key: &str) -> Protection {
    let region = KeyArn::parse(key).map_or_else(|| store.region.clone(), |arn| arn.region);
    let config = aws_sdk_kms::config::Builder::from(&store.shell.base).region(sdk_region(&region));
    let answer = aws_sdk_kms::Client::from_conf(config.build())
        .describe_key()
        .key_id(key)
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let manager = answer.key_metadata.and_then(|k| k.key_manager);
            match manager.as_ref().map(|m| m.as_str()) {
                Some("CUSTOMER") => verdict(
                    check,
                    CheckOutcome::Pass,
                    format!("the default is customer managed key {key}"),
                ),
                Some(other) => verdict(
                    check,
                    CheckOutcome::Fail,
                    format!("the default key {key} is managed by {other}"),
                ),
                None => verdict(
                    check,
                    CheckOutcome::Unknown,
                    format!("KMS does not say who manages {key}"),
                ),
            }
        }
        Err(error) => verdict(
            check,
            CheckOutcome::Unknown,
            format!("key {key}: {}", store.explain(&error)),
        ),
    }
}

async fn public_access(store: &S3Store) -> Protection {
    const CHECK: &str = "public_access_block";
    let answer = store
        .reads
        .get_public_access_block()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let block = match answer {
        Ok(answer) => answer.public_access_block_configuration,
        Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => None,
        Err(error) => return unanswered(store, CHECK, &error),
    };
    let Some(block) = block else {
        return verdict(
            CHECK,
            CheckOutcome::Fail,
            "the bucket blocks no public access (its account may): set all four blocks",
        );
    };
    let missing: Vec<&str> = [
        ("BlockPublicAcls", block.block_public_acls),
        ("IgnorePublicAcls", block.ignore_public_acls),
        ("BlockPublicPolicy", block.block_public_policy),
        ("RestrictPublicBuckets", block.restrict_public_buckets),
    ]
    .into_iter()
    .filter(|(_, on)| *on != Some(true))
    .map(|(name, _)| name)
    .collect();
    if missing.is_empty() {
        verdict(CHECK, CheckOutcome::Pass, "all public access is blocked")
    } else {
        verdict(
            CHECK,
            CheckOutcome::Fail,
            format!("not blocked: set {}", missing.join(", ")),
        )
    }
}

async fn policy(store: &S3Store) -> Vec<Protection> {
    let answer = store
        .reads
        .get_bucket_policy()
        .bucket(store.url.bucket())
        .set_expected_bucket_owner(store.owner())
        .send()
        .await;
    let policy = match answer {
        Ok(answer) => answer.policy.unwrap_or_default(),
        // A bucket without a policy denies nothing: the same as an empty one.
        Err(error) if error.code() == Some("NoSuchBucketPolicy") => {
            r#"{"Statement":[]}"#.to_owned()
        }
        Err(error) => {
            return POLICY_CHECKS
                .into_iter()
                .map(|check| unanswered(store, check, &error))
                .collect();
        }
    };
    policy_checks(&policy, store.url.bucket(), &store.url.key(""))
}
