//! Everything that is known of one cluster, gathered once before any rule is asked.

use std::borrow::Cow;

use serde_json::Value;

use super::inputs::{AssessContext, LookupError, Lookups};
use crate::model::datasets::{EmrCluster, EmrSecurityConfiguration, KmsKey, LogBucket};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::{KeyArn, KeyReference};
use crate::model::s3_location::S3Location;
use crate::model::words::{Lookup, Seen, Settings};

/// The facts about one cluster.
pub(super) struct Case<'a> {
    pub cluster: &'a EmrCluster,
    pub ctx: &'a AssessContext<'a>,
    /// Where `LogUri` points.
    pub place: LogPlace,
    /// What `LogEncryptionKmsKeyId` names; `None` when it is missing or blank.
    pub reference: Option<KeyReference>,
    /// What was looked up for `reference`.
    pub key: Option<KmsKey>,
    /// What was looked up for the bucket of `place`.
    pub bucket: Option<LogBucket>,
    /// What the run holds of the key that the bucket's default names.
    pub bucket_key: Option<KmsKey>,
    /// The configuration that has the name which the cluster was launched with.
    pub security_configuration: Option<EmrSecurityConfiguration>,
    /// Its `encryption_json`; `None` where that is absent or cannot be read.
    pub encryption: Option<Value>,
}

/// Where cluster logs are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogPlace {
    /// `LogUri` is missing or blank: nothing is archived to the customer.
    Nowhere,
    /// `LogUri` is set to something that is not an S3 URI.
    Unparseable,
    S3(S3Location),
}

/// Who manages the log key, as far as facts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// By the name of its alias, or by DescribeKey.
    AwsManaged,
    /// DescribeKey says CUSTOMER.
    Customer,
    NotFound,
    NotDescribed,
    Unparseable,
}

/// Why a cluster is not judged at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Its cell could not be collected; what is known is old.
    NotSeen,
    /// Its settings were not read in time.
    Deferred,
}

impl Unread {
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotSeen => "cluster_not_seen",
            Self::Deferred => "settings_not_read",
        }
    }
}

impl<'a> Case<'a> {
    /// Looks up what the cluster refers to.
    pub fn gather(
        cluster: &'a EmrCluster,
        ctx: &'a AssessContext<'a>,
        lookups: &dyn Lookups,
    ) -> Result<Self, LookupError> {
        let place = match cluster.log_uri.as_deref().map(str::trim) {
            None | Some("") => LogPlace::Nowhere,
            Some(uri) => S3Location::parse(uri).map_or(LogPlace::Unparseable, LogPlace::S3),
        };
        let reference = cluster
            .log_key
            .as_deref()
            .and_then(|k| KeyReference::read(k, &cluster.account_id, &cluster.region));
        let key = match &reference {
            Some(KeyReference::Qualified(arn)) => lookups.key(&arn.to_string())?,
            _ => None,
        };
        let bucket = match &place {
            LogPlace::S3(location) => lookups.bucket(&location.bucket)?,
            _ => None,
        };
        let bucket_key = match bucket.as_ref().and_then(|b| default_key(b, cluster)) {
            Some(KeyReference::Qualified(arn)) => lookups.key(&arn.to_string())?,
            _ => None,
        };
        let security_configuration = match configuration_name(cluster) {
            Some(name) => {
                lookups.security_configuration(&cluster.account_id, &cluster.region, name)?
            }
            None => None,
        };
        let encryption = security_configuration
            .as_ref()
            .and_then(|s| serde_json::from_str(s.encryption_json.as_deref()?).ok());
        Ok(Self {
            cluster,
            ctx,
            place,
            reference,
            key,
            bucket,
            bucket_key,
            security_configuration,
            encryption,
        })
    }

    /// Why the cluster cannot be judged, if so.
    pub fn unread(&self) -> Option<Unread> {
        if self.cluster.seen == Seen::NotSeen {
            Some(Unread::NotSeen)
        } else if self.cluster.settings == Settings::Deferred {
            Some(Unread::Deferred)
        } else {
            None
        }
    }

    /// Whether uploads of system and application logs are both off. What steps still upload then is
    /// documented nowhere.
    pub fn uploads_disabled(&self) -> bool {
        let off = |policy: &Option<String>| policy.as_deref() == Some("disabled");
        off(&self.cluster.system_logs_upload) && off(&self.cluster.application_logs_upload)
    }

    /// ARN of the cluster
    /// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticmapreduce.html>).
    pub fn cluster_arn(&self) -> String {
        let EmrCluster {
            account_id,
            region,
            cluster_id,
            ..
        } = self.cluster;
        let partition = region.partition();
        format!("arn:{partition}:elasticmapreduce:{region}:{account_id}:cluster/{cluster_id}")
    }

    /// ARN of the log bucket, where `LogUri` names one.
    pub fn bucket_arn(&self) -> Option<String> {
        let LogPlace::S3(location) = &self.place else {
            return None;
        };
        let partition = self.cluster.region.partition();
        Some(format!("arn:{partition}:s3:::{}", location.bucket))
    }

    /// Who manages the log key; `None` without one.
    pub fn standing(&self) -> Option<Standing> {
        Some(match self.reference.as_ref()? {
            KeyReference::AwsManaged(_) => Standing::AwsManaged,
            KeyReference::Unparseable(_) => Standing::Unparseable,
            KeyReference::Qualified(_) => match &self.key {
                Some(row) => match (row.lookup, row.manager.as_deref()) {
                    (Lookup::Found, Some("AWS")) => Standing::AwsManaged,
                    (Lookup::Found, Some("CUSTOMER")) => Standing::Customer,
                    (Lookup::NotFound, _) => Standing::NotFound,
                    (Lookup::Unparseable, _) => Standing::Unparseable,
                    _ => Standing::NotDescribed,
                },
                None => Standing::NotDescribed,
            },
        })
    }

    /// The reference as an ARN, where it has the form of one.
    pub fn key_reference(&self) -> Option<&KeyArn> {
        match self.reference.as_ref()? {
            KeyReference::Qualified(arn) | KeyReference::AwsManaged(arn) => Some(arn),
            KeyReference::Unparseable(_) => None,
        }
    }

    /// The row of a key that KMS described.
    pub fn described_key(&self) -> Option<&KmsKey> {
        self.key.as_ref().filter(|k| k.lookup == Lookup::Found)
    }

    /// The key itself where it was described, else what the cluster names. An alias lies in the
    /// account and Region of its key, so account and Region hold for both
    /// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>).
    pub fn key_arn(&self) -> Option<Cow<'_, KeyArn>> {
        let resolved = self
            .described_key()
            .and_then(|k| k.key_arn.as_deref())
            .and_then(KeyArn::parse);
        resolved
            .map(Cow::Owned)
            .or_else(|| self.key_reference().map(Cow::Borrowed))
    }

    /// Whether an account's keys count as the organization's own; `None` when nobody can tell.
    pub fn owner_is_ours(&self, owner: &AccountId) -> Option<bool> {
        let ours = *owner == self.cluster.account_id
            || self.ctx.scope.accounts.contains_key(owner)
            || self.ctx.config.allowed_key_owners.contains(owner);
        (ours || self.ctx.scope.has_account_list).then_some(ours)
    }

    /// Region of the log bucket, where it is known.
    pub fn bucket_region(&self) -> Option<&Region> {
        self.bucket.as_ref()?.region.as_ref()
    }

    /// Algorithm of the log bucket's default encryption, where it was read.
    pub fn bucket_default(&self) -> Option<&str> {
        self.bucket.as_ref()?.default_algorithm.as_deref()
    }

    /// Whether the log bucket's default names a key of its own: `aws:kms` without one means the AWS
    /// managed key.
    pub fn bucket_default_is_customer_key(&self) -> bool {
        let named = self
            .bucket
            .as_ref()
            .and_then(|b| default_key(b, self.cluster));
        matches!(self.bucket_default(), Some("aws:kms" | "aws:kms:dsse"))
            && matches!(named, Some(KeyReference::Qualified(_)))
    }

    /// Name of the security configuration that the cluster was launched with.
    pub fn configuration_name(&self) -> Option<&str> {
        configuration_name(self.cluster)
    }

    /// Whether the security configuration of that name was made after the launch, so that the
    /// cluster runs with another, deleted one; `None` when times are missing.
    pub fn configuration_made_later(&self) -> Option<bool> {
        let made = self.security_configuration.as_ref()?.created_at?;
        Some(made > self.cluster.created_at?)
    }
}

fn configuration_name(cluster: &EmrCluster) -> Option<&str> {
    let name = cluster.security_configuration.as_deref()?;
    (!name.trim().is_empty()).then_some(name)
}

/// The key that a bucket's default names. A bare id would belong to the bucket's owner; S3 asks for an
/// ARN where that is another account.
fn default_key(bucket: &LogBucket, cluster: &EmrCluster) -> Option<KeyReference> {
    let owner = bucket.account_id.as_ref().unwrap_or(&cluster.account_id);
    let region = bucket.region.as_ref().unwrap_or(&cluster.region);
    KeyReference::read(bucket.default_key.as_deref()?, owner, region)
}
