//! One account's session in the scripted AWS.

use async_trait::async_trait;

use super::rows::region;
use super::{DELETED, FakeAccount, FakeCloud, FakeKey, START, What};
use crate::collect::api::*;
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};
use crate::time::{Clock, UtcMillis};

pub(super) struct FakeMember {
    pub(super) cloud: FakeCloud,
    pub(super) account: AccountId,
    pub(super) expires_at: Option<UtcMillis>,
}

impl FakeMember {
    async fn enter(
        &self,
        operation: Operation,
        region: &str,
        subject: &str,
    ) -> Result<Option<What>, ApiError> {
        if self
            .expires_at
            .is_some_and(|end| end <= self.cloud.clock.now())
        {
            return Err(self.error(operation, region, ErrorClass::Expired, "ExpiredToken", ""));
        }
        self.cloud
            .enter(operation, self.account.as_str(), region, subject)
            .await
    }

    fn error(
        &self,
        operation: Operation,
        region: &str,
        class: ErrorClass,
        code: &str,
        message: &str,
    ) -> ApiError {
        ApiError {
            class,
            operation,
            account: self.account.to_string(),
            region: region.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: Some("req-2".to_owned()),
        }
    }

    fn mine<T: Default>(&self, read: impl FnOnce(&FakeAccount) -> T) -> T {
        self.cloud
            .with(|s| s.accounts.get(self.account.as_str()).map(read))
            .unwrap_or_default()
    }

    /// The key behind a key or alias ARN, as far as this caller may see it.
    fn find_key(
        &self,
        operation: Operation,
        region: &Region,
        arn: &str,
    ) -> Result<(String, FakeKey), Box<ApiError>> {
        let owner = arn.split(':').nth(4).unwrap_or_default().to_owned();
        let found = self.cloud.with(|s| {
            let keys = s.accounts.get(&owner).map(|a| a.keys.clone());
            keys.unwrap_or_default()
                .into_iter()
                .find(|(k, v)| k == arn || v.aliases.iter().any(|a| a == arn))
        });
        let denied = "because no resource-based policy allows the action";
        let region = region.as_str();
        match found {
            None => Err(Box::new(self.error(
                operation,
                region,
                ErrorClass::NotFound,
                "NotFoundException",
                "",
            ))),
            Some((_, key))
                if key.locked || (owner != self.account.as_str() && !key.open_to_others) =>
            {
                let code = "AccessDeniedException";
                Err(Box::new(self.error(
                    operation,
                    region,
                    ErrorClass::DeniedByResource,
                    code,
                    denied,
                )))
            }
            Some(found) => Ok(found),
        }
    }
}

#[async_trait]
impl Member for FakeMember {
    fn expires_at(&self) -> Option<UtcMillis> {
        self.expires_at
    }

    async fn regions(&self, next: Option<String>) -> Result<Page<RegionStatus>, ApiError> {
        let what = self.enter(Operation::ListRegions, "global", "").await?;
        let regions = self.mine(|a| {
            let status = |(r, s): &(String, String)| RegionStatus {
                region: region(r),
                status: s.clone(),
            };
            a.regions.iter().map(status).collect()
        });
        Ok(self.cloud.page(regions, next, what))
    }

    async fn clusters(
        &self,
        region: &Region,
        filter: &ClusterFilter,
        next: Option<String>,
    ) -> Result<Page<ListedCluster>, ApiError> {
        let kind = if filter.states.iter().any(|s| s == "RUNNING") {
            "active"
        } else {
            "ended"
        };
        let what = self
            .enter(Operation::ListClusters, region.as_str(), kind)
            .await?;
        let clusters = self.mine(|a| {
            let all = a.clusters.get(region.as_str()).cloned().unwrap_or_default();
            all.into_iter()
                .map(|c| c.listed)
                .filter(|c| filter.states.contains(&c.state))
                .filter(|c| {
                    filter
                        .created_after
                        .is_none_or(|t| c.created_at.is_none_or(|at| at >= t))
                })
                .collect()
        });
        Ok(self.cloud.page(clusters, next, what))
    }

    async fn cluster(&self, region: &Region, id: &str) -> Result<DescribedCluster, ApiError> {
        let op = Operation::DescribeCluster;
        self.enter(op, region.as_str(), id).await?;
        self.mine(|a| {
            let all = a.clusters.get(region.as_str())?;
            all.iter().find(|c| c.listed.id == id).cloned()
        })
        .ok_or_else(|| {
            let code = "InvalidRequestException";
            self.error(
                op,
                region.as_str(),
                ErrorClass::Refused,
                code,
                "Cluster id is not valid.",
            )
        })
    }

    async fn steps(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedStep>, ApiError> {
        let op = Operation::ListSteps;
        let what = self.enter(op, region.as_str(), cluster).await?;
        let (known, steps) = self.mine(|a| {
            let all = a.clusters.get(region.as_str());
            let known = all.is_some_and(|all| all.iter().any(|c| c.listed.id == cluster));
            (known, a.steps.get(cluster).cloned().unwrap_or_default())
        });
        if !known {
            let code = "InvalidRequestException";
            return Err(self.error(op, region.as_str(), ErrorClass::Refused, code, ""));
        }
        Ok(self.cloud.page(steps, next, what))
    }

    async fn sessions(
        &self,
        region: &Region,
        cluster: &str,
        next: Option<String>,
    ) -> Result<Page<ListedSession>, ApiError> {
        let op = Operation::ListSessions;
        let what = self.enter(op, region.as_str(), cluster).await?;
        let sessions = self.mine(|a| a.sessions.get(cluster).cloned().unwrap_or_default());
        Ok(self.cloud.page(sessions, next, what))
    }

    async fn log_groups(
        &self,
        region: &Region,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<DescribedLogGroup>, ApiError> {
        let op = Operation::DescribeLogGroups;
        let what = self.enter(op, region.as_str(), prefix).await?;
        let groups = self.mine(|a| {
            let all = a.log_groups.get(region.as_str()).cloned();
            let mut all = all.unwrap_or_default();
            all.retain(|group| group.name.starts_with(prefix));
            all
        });
        Ok(self.cloud.page(groups, next, what))
    }

    async fn security_configurations(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedSecurityConfiguration>, ApiError> {
        let op = Operation::ListSecurityConfigurations;
        let what = self.enter(op, region.as_str(), "").await?;
        let listed = self.mine(|a| {
            let all = a
                .configurations
                .get(region.as_str())
                .cloned()
                .unwrap_or_default();
            all.into_iter()
                .map(|(name, _)| ListedSecurityConfiguration {
                    name,
                    created_at: Some(UtcMillis(START)),
                })
                .collect()
        });
        Ok(self.cloud.page(listed, next, what))
    }

    async fn security_configuration(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<DescribedSecurityConfiguration, ApiError> {
        let op = Operation::DescribeSecurityConfiguration;
        self.enter(op, region.as_str(), name).await?;
        let document = self.mine(|a| {
            let all = a.configurations.get(region.as_str())?;
            all.iter().find(|(n, _)| n == name).map(|(_, d)| d.clone())
        });
        if document.as_deref() == Some(DELETED) {
            self.cloud.with(|s| {
                let account = s.accounts.get_mut(self.account.as_str()).into_iter();
                let all = account.flat_map(|a| a.configurations.values_mut());
                all.for_each(|named| named.retain(|(n, _)| n != name));
            });
            let code = "InvalidRequestException";
            return Err(self.error(op, region.as_str(), ErrorClass::Refused, code, ""));
        }
        Ok(DescribedSecurityConfiguration {
            name: name.to_owned(),
            created_at: None,
            document: document.unwrap_or_default(),
        })
    }

    async fn buckets(&self, next: Option<String>) -> Result<Page<OwnedBucket>, ApiError> {
        let what = self.enter(Operation::ListBuckets, "global", "").await?;
        let buckets = self.mine(|a| {
            let owned = |(name, r): &(String, String)| OwnedBucket {
                name: name.clone(),
                region: (!r.is_empty()).then(|| region(r)),
            };
            a.buckets.iter().map(owned).collect()
        });
        Ok(self.cloud.page(buckets, next, what))
    }

    async fn bucket_location(&self, bucket: &str) -> Result<Region, ApiError> {
        self.enter(Operation::GetBucketLocation, "global", bucket)
            .await?;
        Ok(region("eu-west-1"))
    }

    async fn bucket_encryption(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketEncryption, ApiError> {
        self.enter(Operation::GetBucketEncryption, region.as_str(), bucket)
            .await?;
        Ok(BucketEncryption {
            algorithm: Some("AES256".to_owned()),
            key: None,
            bucket_key: Some(false),
        })
    }

    async fn bucket_versioning(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        self.enter(Operation::GetBucketVersioning, region.as_str(), bucket)
            .await?;
        Ok(Some("Enabled".to_owned()))
    }

    async fn bucket_policy(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        self.enter(Operation::GetBucketPolicy, region.as_str(), bucket)
            .await?;
        Ok(self.mine(|a| a.bucket_policies.get(bucket).cloned()))
    }

    async fn bucket_ownership(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        self.enter(
            Operation::GetBucketOwnershipControls,
            region.as_str(),
            bucket,
        )
        .await?;
        Ok(Some("BucketOwnerEnforced".to_owned()))
    }

    async fn bucket_object_lock(&self, region: &Region, bucket: &str) -> Result<bool, ApiError> {
        self.enter(
            Operation::GetObjectLockConfiguration,
            region.as_str(),
            bucket,
        )
        .await?;
        Ok(false)
    }

    async fn bucket_public_access_blocked(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<bool, ApiError> {
        self.enter(Operation::GetPublicAccessBlock, region.as_str(), bucket)
            .await?;
        Ok(true)
    }

    async fn bucket_lifecycle(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketLifecycle, ApiError> {
        self.enter(
            Operation::GetBucketLifecycleConfiguration,
            region.as_str(),
            bucket,
        )
        .await?;
        Ok(BucketLifecycle {
            rules: 2,
            expires_after_days: Some(90),
        })
    }

    async fn bucket_replication(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketReplication, ApiError> {
        self.enter(Operation::GetBucketReplication, region.as_str(), bucket)
            .await?;
        Ok(BucketReplication {
            rules: 1,
            destinations: vec!["arn:aws:s3:::copies".to_owned()],
        })
    }

    async fn bucket_metadata_table(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<bool>, ApiError> {
        self.enter(
            Operation::GetBucketMetadataConfiguration,
            region.as_str(),
            bucket,
        )
        .await?;
        Ok(Some(false))
    }

    async fn bucket_inventories(
        &self,
        region: &Region,
        bucket: &str,
        next: Option<String>,
    ) -> Result<Page<InventoryConfiguration>, ApiError> {
        let op = Operation::ListBucketInventoryConfigurations;
        let what = self.enter(op, region.as_str(), bucket).await?;
        let inventory = |is_enabled: bool| InventoryConfiguration {
            id: if is_enabled { "daily" } else { "off" }.to_owned(),
            is_enabled,
            all_versions: true,
            only_below: None,
            tells_encryption: true,
            destination: Some(InventoryDestination {
                bucket: format!("{bucket}-reports"),
                prefix: "inv".to_owned(),
            }),
        };
        let listed = vec![inventory(true), inventory(false)];
        Ok(self.cloud.page(listed, next, what))
    }

    async fn source_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<SourceEntry>, ApiError> {
        let op = Operation::ListSourceObjects;
        let subject = format!("{bucket}/{prefix}");
        let what = self.enter(op, region.as_str(), &subject).await?;
        let mut names = self.mine(|a| a.reports.keys().cloned().collect::<Vec<_>>());
        names.retain(|name| name.starts_with(&subject));
        let mut entries = Vec::new();
        for name in names {
            let rest = &name[subject.len()..];
            let whole = &name[bucket.len() + 1..];
            entries.push(match rest.find('/') {
                Some(at) => SourceEntry::Folder(whole[..prefix.len() + at + 1].to_owned()),
                None => SourceEntry::Object(whole.to_owned()),
            });
        }
        entries.dedup();
        Ok(self.cloud.page(entries, next, what))
    }

    async fn source_objects_after(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        after: &str,
        next: Option<String>,
    ) -> Result<Page<SourceObject>, ApiError> {
        let op = Operation::ListSourceObjects;
        let subject = format!("{bucket}/{prefix}");
        let what = self.enter(op, region.as_str(), &subject).await?;
        let from = format!("{bucket}/{after}");
        let mut objects = self.mine(|a| {
            let sizes = a.reports.iter();
            let sizes = sizes.map(|(name, bytes)| (name.clone(), bytes.len() as u64));
            sizes.collect::<Vec<_>>()
        });
        objects.retain(|(name, _)| name.starts_with(&subject) && *name > from);
        let objects = objects.into_iter().map(|(name, bytes)| SourceObject {
            name: name[bucket.len() + 1..].to_owned(),
            bytes,
        });
        Ok(self.cloud.page(objects.collect(), next, what))
    }

    async fn trail_keys(
        &self,
        region: &Region,
        _window: (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<TrailKey>, ApiError> {
        let what = self
            .enter(Operation::ListPublicKeys, region.as_str(), "")
            .await?;
        Ok(self.cloud.page(Vec::new(), next, what))
    }

    async fn source_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
        from: u64,
        length: u64,
    ) -> Result<SourcePart, ApiError> {
        let op = Operation::GetSourceObject;
        let subject = format!("{bucket}/{name}");
        self.enter(op, region.as_str(), &subject).await?;
        let bytes = self
            .mine(|a| a.reports.get(&subject).cloned())
            .ok_or_else(|| {
                self.error(op, region.as_str(), ErrorClass::NotFound, "NoSuchKey", "")
            })?;
        let (from, total) = (from as usize, bytes.len());
        // Short answers, so that files come in several parts.
        let to = total.min(from + (length as usize).min(1_000));
        Ok(SourcePart {
            bytes: bytes.get(from..to).unwrap_or_default().to_vec(),
            total: total as u64,
            signature: None,
        })
    }

    async fn jobs(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedJob>, ApiError> {
        let what = self.enter(Operation::ListJobs, region.as_str(), "").await?;
        let jobs = self.mine(|a| a.jobs.clone()).into_iter();
        let listed = jobs.map(|job| ListedJob {
            operation: Some(job.operation.name().to_owned()),
            id: job.id,
        });
        Ok(self.cloud.page(listed.collect(), next, what))
    }

    async fn job(&self, region: &Region, id: &str) -> Result<DescribedJob, ApiError> {
        let op = Operation::DescribeJob;
        self.enter(op, region.as_str(), id).await?;
        let jobs = self.mine(|a| a.jobs.clone());
        let found = jobs.into_iter().find(|job| job.id == id);
        found.ok_or_else(|| self.error(op, region.as_str(), ErrorClass::NotFound, "NoSuchJob", ""))
    }

    async fn log_objects(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<ListedObject>, ApiError> {
        let subject = format!("{bucket}/{prefix}");
        self.enter(Operation::ListObjectsV2, region.as_str(), &subject)
            .await?;
        Ok(self.mine(|a| {
            let names = a.objects.keys();
            names
                .filter_map(|name| name.strip_prefix(&format!("{bucket}/")))
                .filter(|name| name.starts_with(prefix))
                .map(|name| ListedObject {
                    name: name.to_owned(),
                    bytes: Some(7),
                    modified_at: Some(UtcMillis(START)),
                })
                .collect()
        }))
    }

    async fn log_versions(
        &self,
        region: &Region,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<Page<ListedVersion>, ApiError> {
        let subject = format!("{bucket}/{prefix}");
        let op = Operation::ListObjectVersions;
        let what = self.enter(op, region.as_str(), &subject).await?;
        let mut listed = self.mine(|a| a.versions.clone());
        listed.retain(|(of, version)| of == bucket && version.name.starts_with(prefix.as_bytes()));
        listed.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let listed = listed.into_iter().map(|(_, version)| version);
        Ok(self.cloud.page(listed.collect(), next, what))
    }

    async fn log_object(
        &self,
        region: &Region,
        bucket: &str,
        name: &str,
    ) -> Result<ObjectHead, ApiError> {
        let subject = format!("{bucket}/{name}");
        let op = Operation::HeadObject;
        self.enter(op, region.as_str(), &subject).await?;
        self.mine(|a| a.objects.get(&subject).cloned())
            .ok_or_else(|| self.error(op, region.as_str(), ErrorClass::NotFound, "Http404", ""))
    }

    async fn key(&self, region: &Region, key: &str) -> Result<DescribedKey, ApiError> {
        let op = Operation::DescribeKey;
        self.enter(op, region.as_str(), key).await?;
        let (arn, key) = self.find_key(op, region, key).map_err(|e| *e)?;
        Ok(DescribedKey {
            arn,
            manager: Some(key.manager.to_owned()),
            state: Some(key.state.to_owned()),
            usage: Some("ENCRYPT_DECRYPT".to_owned()),
            spec: Some("SYMMETRIC_DEFAULT".to_owned()),
            origin: Some("AWS_KMS".to_owned()),
            multi_region: Some(false),
            created_at: None,
            deletion_at: None,
            material_expires_at: None,
        })
    }

    async fn key_policy(&self, region: &Region, key: &str) -> Result<String, ApiError> {
        let op = Operation::GetKeyPolicy;
        self.enter(op, region.as_str(), key).await?;
        assert!(key.contains(":key/"), "GetKeyPolicy takes no alias: {key}");
        Ok(self.find_key(op, region, key).map_err(|e| *e)?.1.policy)
    }

    async fn key_rotation(&self, region: &Region, key: &str) -> Result<KeyRotation, ApiError> {
        let op = Operation::GetKeyRotationStatus;
        self.enter(op, region.as_str(), key).await?;
        if self.find_key(op, region, key).map_err(|e| *e)?.1.rotates {
            return Ok(KeyRotation {
                enabled: true,
                period_days: Some(365),
            });
        }
        let code = "UnsupportedOperationException";
        Err(self.error(op, region.as_str(), ErrorClass::Refused, code, ""))
    }

    async fn key_tags(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError> {
        let op = Operation::ListResourceTags;
        let what = self.enter(op, region.as_str(), key).await?;
        Ok(self.cloud.page(
            self.find_key(op, region, key).map_err(|e| *e)?.1.tags,
            next,
            what,
        ))
    }

    async fn key_grants(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<ListedGrant>, ApiError> {
        let op = Operation::ListGrants;
        let what = self.enter(op, region.as_str(), key).await?;
        assert!(key.contains(":key/"), "ListGrants takes no alias: {key}");
        Ok(self.cloud.page(
            self.find_key(op, region, key).map_err(|e| *e)?.1.grants,
            next,
            what,
        ))
    }

    async fn aliases(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedAlias>, ApiError> {
        let what = self
            .enter(Operation::ListAliases, region.as_str(), "")
            .await?;
        let aliases = self.mine(|a| {
            let of_keys = a.keys.iter().flat_map(|(arn, key)| {
                let target = arn.split(":key/").nth(1).map(str::to_owned);
                key.aliases.iter().filter_map(move |alias| {
                    Some(ListedAlias {
                        name: alias.splitn(6, ':').nth(5)?.to_owned(),
                        target: target.clone(),
                        updated_at: Some(UtcMillis(START - 5)),
                    })
                })
            });
            of_keys.chain(a.aliases.clone()).collect()
        });
        Ok(self.cloud.page(aliases, next, what))
    }

    async fn key_ids(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<String>, ApiError> {
        let what = self.enter(Operation::ListKeys, region.as_str(), "").await?;
        let ids = self.mine(|a| {
            let ids = a.keys.keys().filter_map(|arn| arn.split(":key/").nth(1));
            ids.map(str::to_owned).collect()
        });
        Ok(self.cloud.page(ids, next, what))
    }

    async fn identities(
        &self,
        kinds: IdentityKinds,
        next: Option<String>,
    ) -> Result<Page<Identity>, ApiError> {
        let op = Operation::GetAccountAuthorizationDetails;
        let what = self.enter(op, "global", &format!("{kinds:?}")).await?;
        let wanted = |identity: &Identity| {
            let is_principal = matches!(identity, Identity::Principal(_));
            is_principal == (kinds == IdentityKinds::Principals)
        };
        let all = self.mine(|a| a.identities.clone());
        let all = all.into_iter().filter(wanted).collect();
        Ok(self.cloud.page(all, next, what))
    }

    async fn events(
        &self,
        region: &Region,
        name: &str,
        (from, to): (UtcMillis, UtcMillis),
        next: Option<String>,
    ) -> Result<Page<String>, ApiError> {
        let what = self
            .enter(Operation::LookupEvents, region.as_str(), name)
            .await?;
        let events = self.mine(|a| a.events.get(region.as_str()).cloned());
        let mut events = events.unwrap_or_default();
        events.retain(|(at, n, _)| *n == name && (from.0..=to.0).contains(at));
        events.sort_by_key(|(at, ..)| -at);
        let records = events.into_iter().map(|(_, _, record)| record).collect();
        Ok(self.cloud.page(records, next, what))
    }

    async fn trails(&self, region: &Region) -> Result<Vec<ListedTrail>, ApiError> {
        self.enter(Operation::DescribeTrails, region.as_str(), "")
            .await?;
        Ok(self.mine(|a| a.trails.clone()))
    }

    async fn trail_status(&self, region: &Region, arn: &str) -> Result<TrailStatus, ApiError> {
        self.enter(Operation::GetTrailStatus, region.as_str(), arn)
            .await?;
        Ok(TrailStatus {
            logging: Some(false),
            stopped_at: Some(UtcMillis(START)),
            ..TrailStatus::default()
        })
    }

    async fn trail_writes(&self, region: &Region, arn: &str) -> Result<Option<bool>, ApiError> {
        self.enter(Operation::GetEventSelectors, region.as_str(), arn)
            .await?;
        Ok(Some(true))
    }
}
