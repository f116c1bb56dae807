//! AWS as seen with one account's session: `collect::api::Member`.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_emr::primitives::DateTime;
use aws_sdk_emr::types::ClusterState;

use crate::aws::clients::{Clients, Kept};
use crate::aws::error::Asked;
use crate::aws::session::{global_region, sdk_region};
use crate::aws::{
    account, bucket_settings, cloudtrail, emr, emr_channels, iam, kms, logs, object_reads, reports,
    s3_control, s3_reads,
};
use crate::collect::api::{
    ApiError, BucketEncryption, BucketLifecycle, BucketReplication, ClusterFilter,
    DescribedCluster, DescribedJob, DescribedKey, DescribedLogGroup,
    DescribedSecurityConfiguration, ErrorClass, Identity, IdentityKinds, InventoryConfiguration,
    KeyRotation, ListedAlias, ListedCluster, ListedGrant, ListedJob, ListedObject,
    ListedSecurityConfiguration, ListedSession, ListedStep, ListedTrail, ListedVersion, Member,
    ObjectHead, OwnedBucket, Page, RegionStatus, SourceEntry, SourceObject, SourcePart, Tag,
    TrailKey, TrailStatus,
};
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};
use crate::time::UtcMillis;

/// A session in one account. Clients are built from the shared settings when they are needed first.
pub struct AwsMember {
    config: SdkConfig,
    account: AccountId,
    /// Region for what has none.
    home: Region,
    expires_at: Option<UtcMillis>,
    kept: Arc<Kept>,
    emr: Clients<aws_sdk_emr::Client>,
    kms: Clients<aws_sdk_kms::Client>,
    logs: Clients<aws_sdk_cloudwatchlogs::Client>,
    cloudtrail: Clients<aws_sdk_cloudtrail::Client>,
    s3: Clients<aws_sdk_s3::Client>,
}

impl AwsMember {
    pub(super) fn new(
        config: SdkConfig,
        account: AccountId,
        home: Region,
        expires_at: Option<UtcMillis>,
        kept: Arc<Kept>,
    ) -> Self {
        Self {
            config,
            account,
            home,
            expires_at,
            kept,
            emr: Clients::none(),
            kms: Clients::none(),
            logs: Clients::none(),
            cloudtrail: Clients::none(),
            s3: Clients::none(),
        }
    }

    fn asked<'a>(&'a self, operation: Operation, region: &'a Region) -> Asked<'a> {
        Asked {
            operation,
            account: self.account.as_str(),
            region: region.as_str(),
        }
    }

    fn global(&self, operation: Operation) -> Asked<'_> {
        Asked {
            operation,
            account: self.account.as_str(),
            region: "global",
        }
    }

    fn emr(&self, region: &Region) -> Arc<aws_sdk_emr::Client> {
        self.emr.of(region, &self.kept, || {
            let config = aws_sdk_emr::config::Builder::from(&self.config);
            aws_sdk_emr::Client::from_conf(config.region(sdk_region(region)).build())
        })
    }

    fn logs(&self, region: &Region) -> Arc<aws_sdk_cloudwatchlogs::Client> {
        self.logs.of(region, &self.kept, || {
            let config = aws_sdk_cloudwatchlogs::config::Builder::from(&self.config);
            aws_sdk_cloudwatchlogs::Client::from_conf(config.region(sdk_region(region)).build())
        })
    }

    fn cloudtrail(&self, region: &Region) -> Arc<aws_sdk_cloudtrail::Client> {
        self.cloudtrail.of(region, &self.kept, || {
            let config = aws_sdk_cloudtrail::config::Builder::from(&self.config);
            aws_sdk_cloudtrail::Client::from_conf(config.region(sdk_region(region)).build())
        })
    }

    fn kms(&self, region: &Region) -> Arc<aws_sdk_kms::Client> {
        self.kms.of(region, &self.kept, || {
            let config = aws_sdk_kms::config::Builder::from(&self.config);
            aws_sdk_kms::Client::from_conf(config.region(sdk_region(region)).build())
        })
    }

    fn s3(&self, region: &Region) -> Arc<aws_sdk_s3::Client> {
        self.s3
            .of(region, &self.kept, || s3_client(&self.config, region))
    }
}

/// An S3 client; path style wherever an endpoint is configured, since such endpoints rarely resolve
/// a host name per bucket.
pub(super) fn s3_client(config: &SdkConfig, region: &Region) -> aws_sdk_s3::Client {
    let config_for_region = aws_sdk_s3::config::Builder::from(config)
        .region(sdk_region(region))
        .force_path_style(config.endpoint_url().is_some());
    aws_sdk_s3::Client::from_conf(config_for_region.build())
}

/// A continuation token: an empty one ends the list like a missing one.
pub(super) fn next(token: Option<String>) -> Option<String> {
    token.filter(|t| !t.is_empty())
}

/// A value without the blanks around it; `None` when nothing is left.
pub(super) fn text(value: Option<String>) -> Option<String> {
    value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// An instant of an answer in UTC milliseconds, to the nearest one: JSON gives seconds as a binary
/// fraction, and `.274` of them is a little less than 274 ms.
pub(super) fn millis(
    asked: Asked<'_>,
    at: Option<DateTime>,
) -> Result<Option<UtcMillis>, ApiError> {
    at.map(|at| {
        let nearest = (at.as_nanos() + 500_000).div_euclid(1_000_000);
        // Beyond what the type of AWS's instants can say in milliseconds.
        i64::try_from(nearest)
            .map(UtcMillis)
            .map_err(|_| asked.unreadable("an instant beyond all calendars"))
    })
    .transpose()
}

#[async_trait]
impl Member for AwsMember {
    fn expires_at(&self) -> Option<UtcMillis> {
        self.expires_at
    }

    async fn regions(&self, next: Option<String>) -> Result<Page<RegionStatus>, ApiError> {
        let asked = self.global(Operation::ListRegions);
        let config = aws_sdk_account::config::Builder::from(&self.config)
            .region(sdk_region(&global_region(&self.home)));
        let answer = aws_sdk_account::Client::from_conf(config.build())
            .list_regions()
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        account::regions(asked, answer.regions, answer.next_token)
    }

    async fn clusters(
        &self,
        region: &Region,
        filter: &ClusterFilter,
        next: Option<String>,
    ) -> Result<Page<ListedCluster>, ApiError> {
        let asked = self.asked(Operation::ListClusters, region);
        let states = filter
            .states
            .iter()
            .map(|s| ClusterState::from(s.as_str()))
            .collect::<Vec<_>>();
        let answer = self
            .emr(region)
            .list_clusters()
            .set_cluster_states(Some(states).filter(|s| !s.is_empty()))
            .set_created_after(filter.created_after.map(|at| DateTime::from_millis(at.0)))
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        emr::clusters(asked, answer.clusters, answer.marker)
    }

    async fn cluster(&self, region: &Region, id: &str) -> Result<DescribedCluster, ApiError> {
        let asked = self.asked(Operation::DescribeCluster, region);
        let answer = self
            .emr(region)
            .describe_cluster()
            .cluster_id(id)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        emr::cluster(asked, answer.cluster)
    }

    async fn steps(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedStep>, ApiError> {
        let asked = self.asked(Operation::ListSteps, region);
        let answer = self
            .emr(region)
            .list_steps()
            .cluster_id(cluster)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        emr_channels::steps(asked, answer.steps, answer.marker)
    }

    async fn sessions(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedSession>, ApiError> {
        let asked = self.asked(Operation::ListSessions, region);
        let answer = self
            .emr(region)
            .list_sessions()
            .cluster_id(cluster)
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        emr_channels::sessions(asked, answer.sessions, answer.next_token)
    }

    async fn log_groups(
        &self,
        region: &Region,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<DescribedLogGroup>, ApiError> {
        let asked = self.asked(Operation::DescribeLogGroups, region);
        let answer = self
            .logs(region)
            .describe_log_groups()
            .log_group_name_prefix(prefix)
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        logs::groups(asked, answer.log_groups, answer.next_token)
    }

    async fn security_configurations(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedSecurityConfiguration>, ApiError> {
        let asked = self.asked(Operation::ListSecurityConfigurations, region);
        let answer = self
            .emr(region)
            .list_security_configurations()
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        emr::security_configurations(asked, answer.security_configurations, answer.marker)
    }

    async fn security_configuration(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<DescribedSecurityConfiguration, ApiError> {
        let asked = self.asked(Operation::DescribeSecurityConfiguration, region);
        let answer = self
            .emr(region)
            .describe_security_configuration()
            .name(name)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(DescribedSecurityConfiguration {
            name: answer.name.unwrap_or_else(|| name.to_owned()),
            created_at: millis(asked, answer.creation_date_time)?,
            document: answer
                .security_configuration
                .ok_or_else(|| asked.unreadable("no document in the answer"))?,
        })
    }

    async fn buckets(&self, next: Option<String>) -> Result<Page<OwnedBucket>, ApiError> {
        let asked = self.global(Operation::ListBuckets);
        let answer = self
            .s3(&self.home)
            .list_buckets()
            .max_buckets(s3_reads::BUCKETS_PER_PAGE)
            .set_continuation_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        s3_reads::buckets(asked, answer.buckets, answer.continuation_token)
    }

    async fn bucket_location(&self, bucket: &str) -> Result<Region, ApiError> {
        let asked = self.global(Operation::GetBucketLocation);
        // us-east-1 answers for the buckets of every Region of its partition that is on by default;
        // for the others its refusal names the Region.
        let answer = self
            .s3(&global_region(&self.home))
            .get_bucket_location()
            .bucket(bucket)
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let constraint = answer.location_constraint;
                s3_reads::location(asked, constraint.as_ref().map(|c| c.as_str()))
            }
            Err(error) => {
                let named = error
                    .raw_response()
                    .and_then(|r| r.headers().get("x-amz-bucket-region"))
                    .and_then(|r| r.parse().ok());
                let error = asked.failed(error);
                match named {
                    Some(region) if error.class == ErrorClass::Refused => Ok(region),
                    _ => Err(error),
                }
            }
        }
    }

    async fn bucket_encryption(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketEncryption, ApiError> {
        let asked = self.asked(Operation::GetBucketEncryption, region);
        let answer = self
            .s3(region)
            .get_bucket_encryption()
            .bucket(bucket)
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await;
        match answer.map_err(|e| asked.failed(e)) {
            Ok(answer) => Ok(s3_reads::encryption(
                answer.server_side_encryption_configuration,
            )),
            // What buckets without a default said before 2023, and some look-alikes still do.
            Err(error) if error.code == "ServerSideEncryptionConfigurationNotFoundError" => {
                Ok(BucketEncryption::default())
            }
            Err(error) => Err(error),
        }
    }

    async fn bucket_versioning(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let asked = self.asked(Operation::GetBucketVersioning, region);
        let answer = self
            .s3(region)
            .get_bucket_versioning()
            .bucket(bucket)
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(answer.status.map(|s| s.as_str().to_owned()))
    }

    async fn bucket_policy(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let asked = self.asked(Operation::GetBucketPolicy, region);
        bucket_settings::policy(&self.s3(region), asked, bucket).await
    }

    async fn bucket_ownership(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let asked = self.asked(Operation::GetBucketOwnershipControls, region);
        bucket_settings::ownership(&self.s3(region), asked, bucket).await
    }

    async fn bucket_object_lock(&self, region: &Region, bucket: &str) -> Result<bool, ApiError> {
        let asked = self.asked(Operation::GetObjectLockConfiguration, region);
        bucket_settings::object_lock(&self.s3(region), asked, bucket).await
    }

    async fn bucket_public_access_blocked(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<bool, ApiError> {
        let asked = self.asked(Operation::GetPublicAccessBlock, region);
        bucket_settings::public_access_blocked(&self.s3(region), asked, bucket).await
    }

    async fn bucket_lifecycle(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketLifecycle, ApiError> {
        let asked = self.asked(Operation::GetBucketLifecycleConfiguration, region);
        bucket_settings::lifecycle(&self.s3(region), asked, bucket).await
    }

    async fn bucket_replication(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketReplication, ApiError> {
        let asked = self.asked(Operation::GetBucketReplication, region);
        bucket_settings::replication(&self.s3(region), asked, bucket).await
    }

    async fn bucket_metadata_table(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<bool>, ApiError> {
        let asked = self.asked(Operation::GetBucketMetadataConfiguration, region);
        bucket_settings::metadata_table(&self.s3(region), asked, bucket).await
    }

    async fn bucket_inventories(
        &self,
        region: &Region,
        bucket: &str,
        next: Option<String>,
    ) -> Result<Page<InventoryConfiguration>, ApiError> {
        let asked = self.asked(Operation::ListBucketInventoryConfigurations, region);
        reports::inventories(&self.s3(region), asked, bucket, next).await
    }

    async fn source_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<SourceEntry>, ApiError> {
        let asked = self.asked(Operation::ListSourceObjects, region);
        reports::entries(&self.s3(region), asked, bucket, prefix, next).await
    }

    async fn source_objects_after(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        after: &str,
        next: Option<String>,
    ) -> Result<Page<SourceObject>, ApiError> {
        let asked = self.asked(Operation::ListSourceObjects, region);
        reports::objects_after(&self.s3(region), asked, bucket, (prefix, after), next).await
    }

    async fn trail_keys(
        &self,
        region: &Region,
        (from, to): (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<TrailKey>, ApiError> {
        let asked = self.asked(Operation::ListPublicKeys, region);
        let answer = self
            .cloudtrail(region)
            .list_public_keys()
            .start_time(cloudtrail::instant(from))
            .end_time(cloudtrail::instant(to))
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(cloudtrail::keys(answer.public_key_list, answer.next_token))
    }

    async fn source_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
        from: u64,
        length: u64,
    ) -> Result<SourcePart, ApiError> {
        let asked = self.asked(Operation::GetSourceObject, region);
        reports::part(&self.s3(region), asked, bucket, name, from, length).await
    }

    async fn jobs(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedJob>, ApiError> {
        let asked = self.asked(Operation::ListJobs, region);
        s3_control::jobs(&s3_control::client(&self.config, region), asked, next).await
    }

    async fn job(&self, region: &Region, id: &str) -> Result<DescribedJob, ApiError> {
        let asked = self.asked(Operation::DescribeJob, region);
        s3_control::job(&s3_control::client(&self.config, region), asked, id).await
    }

    async fn log_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<ListedObject>, ApiError> {
        let asked = self.asked(Operation::ListObjectsV2, region);
        object_reads::objects(&self.s3(region), asked, bucket, prefix).await
    }

    async fn log_versions(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<ListedVersion>, ApiError> {
        let asked = self.asked(Operation::ListObjectVersions, region);
        object_reads::versions(&self.s3(region), asked, (bucket, prefix), next).await
    }

    async fn log_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
    ) -> Result<ObjectHead, ApiError> {
        let asked = self.asked(Operation::HeadObject, region);
        object_reads::head(&self.s3(region), asked, bucket, name).await
    }

    async fn key(&self, region: &Region, key: &str) -> Result<DescribedKey, ApiError> {
        let asked = self.asked(Operation::DescribeKey, region);
        kms::must_not_be_predefined(asked, key)?;
        let answer = self
            .kms(region)
            .describe_key()
            .key_id(key)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        kms::key(asked, answer.key_metadata)
    }

    async fn key_policy(&self, region: &Region, key: &str) -> Result<String, ApiError> {
        let asked = self.asked(Operation::GetKeyPolicy, region);
        self.kms(region)
            .get_key_policy()
            .key_id(key)
            .policy_name("default")
            .send()
            .await
            .map_err(|e| asked.failed(e))?
            .policy
            .ok_or_else(|| asked.unreadable("no policy in the answer"))
    }

    async fn key_rotation(&self, region: &Region, key: &str) -> Result<KeyRotation, ApiError> {
        let asked = self.asked(Operation::GetKeyRotationStatus, region);
        let answer = self
            .kms(region)
            .get_key_rotation_status()
            .key_id(key)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(KeyRotation {
            enabled: answer.key_rotation_enabled,
            period_days: answer.rotation_period_in_days.map(i64::from),
        })
    }

    async fn key_tags(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError> {
        let asked = self.asked(Operation::ListResourceTags, region);
        let answer = self
            .kms(region)
            .list_resource_tags()
            .key_id(key)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(kms::tags(answer.tags, answer.truncated, answer.next_marker))
    }

    async fn key_grants(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<ListedGrant>, ApiError> {
        let asked = self.asked(Operation::ListGrants, region);
        let answer = self
            .kms(region)
            .list_grants()
            .key_id(key)
            .limit(kms::GRANTS_PER_PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        kms::grants(asked, answer.grants, answer.truncated, answer.next_marker)
    }

    async fn aliases(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedAlias>, ApiError> {
        let asked = self.asked(Operation::ListAliases, region);
        let answer = self
            .kms(region)
            .list_aliases()
            .limit(kms::ALIASES_PER_PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        kms::aliases(asked, answer.aliases, answer.truncated, answer.next_marker)
    }

    async fn key_ids(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<String>, ApiError> {
        let asked = self.asked(Operation::ListKeys, region);
        let answer = self
            .kms(region)
            .list_keys()
            .limit(kms::KEYS_PER_PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(kms::key_ids(
            answer.keys,
            answer.truncated,
            answer.next_marker,
        ))
    }

    async fn identities(
        &self,
        kinds: IdentityKinds,
        next: Option<String>,
    ) -> Result<Page<Identity>, ApiError> {
        let asked = self.global(Operation::GetAccountAuthorizationDetails);
        let config = aws_sdk_iam::config::Builder::from(&self.config)
            .region(sdk_region(&global_region(&self.home)));
        let answer = aws_sdk_iam::Client::from_conf(config.build())
            .get_account_authorization_details()
            .set_filter(Some(iam::filter(kinds)))
            .max_items(iam::PER_PAGE)
            .set_marker(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(iam::identities(answer))
    }

    async fn events(
        &self,
        region: &Region,
        name: &str,
        (from, to): (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<String>, ApiError> {
        let asked = self.asked(Operation::LookupEvents, region);
        let answer = self
            .cloudtrail(region)
            .lookup_events()
            .lookup_attributes(cloudtrail::of_name(asked, name)?)
            .start_time(cloudtrail::instant(from))
            .end_time(cloudtrail::instant(to))
            .max_results(cloudtrail::EVENTS_PER_PAGE)
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(cloudtrail::events(answer.events, answer.next_token))
    }

    async fn trails(&self, region: &Region) -> Result<Vec<ListedTrail>, ApiError> {
        let asked = self.asked(Operation::DescribeTrails, region);
        let answer = self
            .cloudtrail(region)
            .describe_trails()
            .include_shadow_trails(true)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        cloudtrail::trails(asked, answer.trail_list)
    }

    async fn trail_status(&self, region: &Region, arn: &str) -> Result<TrailStatus, ApiError> {
        let asked = self.asked(Operation::GetTrailStatus, region);
        let answer = self
            .cloudtrail(region)
            .get_trail_status()
            .name(arn)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        cloudtrail::status(asked, answer)
    }

    async fn trail_writes(&self, region: &Region, arn: &str) -> Result<Option<bool>, ApiError> {
        let asked = self.asked(Operation::GetEventSelectors, region);
        let answer = self
            .cloudtrail(region)
            .get_event_selectors()
            .trail_name(arn)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(cloudtrail::writes(&answer))
    }
}
