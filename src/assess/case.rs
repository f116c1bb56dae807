//! Everything that is known of one cluster, gathered once before any rule is asked.

use std::sync::Arc;

use serde_json::Value;

use super::access::{Access, Destination};
use super::inputs::{AssessContext, LookupError, Lookups};
use super::key_use::{KeyUse, UsedAt};
use super::places::{self, Place};
use crate::model::datasets::{
    Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsKey, LogBucket,
    LogObjectSample, LogObjectSummary,
};
use crate::model::ids::AccountId;
use crate::model::key_reference::{KeyArn, KeyReference};
use crate::model::s3_location::S3Location;
use crate::model::text::Text;
use crate::model::words::{Lookup, Seen, Settings, Source};

/// The facts about one cluster.
pub(super) struct Case<'a> {
    pub cluster: &'a EmrCluster,
    pub names: Names,
    pub ctx: &'a AssessContext<'a>,
    /// Where `LogUri` points.
    pub place: LogPlace,
    /// What `LogEncryptionKmsKeyId` names; `None` when it is missing or blank.
    pub reference: Option<KeyReference>,
    /// Every key that some channel names, the one of C1 first; none where that channel has no place
    /// to write to.
    pub keys: Vec<KeyUse>,
    /// Where logs go beside `LogUri`.
    pub places: Vec<Place>,
    /// What was looked up for the bucket of `place`.
    pub bucket: Option<Arc<LogBucket>>,
    /// Whether the cluster may write to the bucket of `place`; only for one of another account.
    pub destination: Option<Arc<Destination>>,
    /// What the run holds of the key that the bucket's default names.
    pub bucket_key: Option<Arc<KmsKey>>,
    /// The configuration that has the name which the cluster was launched with.
    pub security_configuration: Option<Arc<EmrSecurityConfiguration>>,
    /// The cell that should have told of the cluster, where [`Case::unread`] says that it did not, or
    /// of its security configuration, where no row has that.
    pub missing: Option<Arc<Coverage>>,
    /// `encryption_json` of the security configuration; `None` where that is absent or cannot be read.
    pub encryption: Arc<Option<Value>>,
    /// Sampled log objects; none where the run did not sample the cluster.
    pub samples: Vec<LogObjectSample>,
    /// Keys that `samples` name and no channel does, as far as the run described them.
    sampled_keys: Vec<KeyUse>,
    /// What was counted below `place`; none where nobody counted.
    pub history: Vec<Arc<LogObjectSummary>>,
}

/// The rows that are about one cluster alone, beside its own.
pub(super) struct OwnRows {
    pub steps: Vec<EmrStep>,
    pub sessions: Vec<EmrSession>,
    pub samples: Vec<LogObjectSample>,
}

impl OwnRows {
    pub fn of(cluster: &EmrCluster, lookups: &dyn Lookups) -> Result<Self, LookupError> {
        Ok(Self {
            steps: lookups.steps(cluster)?,
            sessions: lookups.sessions(cluster)?,
            samples: lookups.object_samples(cluster)?,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.sessions.is_empty() && self.samples.is_empty()
    }
}

/// What every finding about a cluster repeats.
pub(super) struct Names {
    pub cluster_id: Text,
    /// ARN of the cluster
    /// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticmapreduce.html>).
    pub cluster_arn: Text,
    /// ARN of the log bucket, where `LogUri` names one.
    pub bucket_arn: Option<Text>,
    /// Id of the cluster's own row.
    pub fact: Text,
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

/// What a cluster may still upload whose system and application logs are both disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StillUploaded {
    /// It has had no step.
    Nothing,
    /// It has had steps, whose logs may be uploaded.
    Steps,
    /// Its steps were not read.
    NotRead,
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

impl Names {
    pub fn of(cluster: &EmrCluster, place: &LogPlace) -> Self {
        let partition = cluster.region.partition();
        let bucket_arn = match place {
            LogPlace::S3(at) => Some(["arn:", partition, ":s3:::", &at.bucket].concat().into()),
            _ => None,
        };
        Self::with_bucket(cluster, bucket_arn)
    }

    /// Those of a cluster with the same log place in the same account and Region.
    pub fn like(other: &Self, cluster: &EmrCluster) -> Self {
        Self::with_bucket(cluster, other.bucket_arn.clone())
    }

    fn with_bucket(cluster: &EmrCluster, bucket_arn: Option<Text>) -> Self {
        let (account, region) = (cluster.account_id.as_str(), cluster.region.as_str());
        let id = cluster.cluster_id.as_str();
        let partition = cluster.region.partition();
        let service = ":elasticmapreduce:";
        Self {
            cluster_id: id.to_owned().into(),
            cluster_arn: [
                "arn:",
                partition,
                service,
                region,
                ":",
                account,
                ":cluster/",
                id,
            ]
            .concat()
            .into(),
            bucket_arn,
            fact: ["emr_cluster/", account, "/", region, "/", id]
                .concat()
                .into(),
        }
    }

    /// The cluster's own row and others, as a finding names them; `others` begins with a blank, or
    /// is empty.
    pub fn facts_with(&self, others: &str) -> Text {
        match others {
            "" => self.fact.clone(),
            _ => [&*self.fact, others].concat().into(),
        }
    }
}

impl<'a> Case<'a> {
    /// Looks up what the cluster refers to.
    pub fn gather(
        cluster: &'a EmrCluster,
        own: OwnRows,
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
        let bucket = match &place {
            LogPlace::S3(location) => lookups.bucket(&location.bucket)?,
            _ => None,
        };
        let mut keys = Vec::with_capacity(1);
        if let (Some(reference), LogPlace::S3(_) | LogPlace::Unparseable) = (&reference, &place) {
            let at = UsedAt::Bucket(bucket.clone());
            KeyUse::add(&mut keys, reference.clone(), "C1", at, lookups)?;
        }
        let bucket_key = match bucket.as_deref().and_then(|b| default_key(b, cluster)) {
            Some(KeyReference::Qualified(arn)) => lookups.key(&arn.to_string())?,
            _ => None,
        };
        let security_configuration = match configuration_name(cluster) {
            Some(name) => {
                lookups.security_configuration(&cluster.account_id, &cluster.region, name)?
            }
            None => None,
        };
        let source = match unread(cluster) {
            Some(Unread::NotSeen) => Some(Source::Clusters),
            Some(Unread::Deferred) => Some(Source::ClusterSettings),
            None if security_configuration.is_none() => {
                configuration_name(cluster).map(|_| Source::SecurityConfigurations)
            }
            None => None,
        };
        let missing = match source {
            Some(source) => lookups.cell(&cluster.account_id, &cluster.region, source)?,
            None => None,
        };
        let encryption = match &security_configuration {
            Some(row) => lookups.answers().of_configuration(row, lookups)?,
            None => Arc::default(),
        };
        let samples = own.samples;
        let mut sampled_keys = Vec::new();
        for arn in samples.iter().filter_map(key_of) {
            let at = UsedAt::Bucket(bucket.clone());
            let reference = KeyReference::Qualified(arn);
            KeyUse::add(&mut sampled_keys, reference, "C1", at, lookups)?;
        }
        let history = match &place {
            LogPlace::S3(location) => {
                lookups.object_summaries(&location.bucket, &location.folder())?
            }
            _ => Vec::new(),
        };
        let log_key = keys.first().filter(|key| key.channels.contains(&"C1"));
        let log_key = log_key
            .and_then(|key| key.named())
            .filter(|k| !k.is_alias());
        let destination = match (&place, bucket.as_deref()) {
            (LogPlace::S3(location), Some(row)) => lookups.answers().of_destination(
                cluster,
                location,
                row,
                log_key.map(ToString::to_string).as_deref(),
                ctx.scope,
                lookups,
            )?,
            _ => None,
        };
        let mut case = Self {
            samples,
            sampled_keys,
            history,
            names: Names::of(cluster, &place),
            cluster,
            ctx,
            destination,
            place,
            reference,
            keys: vec![],
            places: vec![],
            bucket,
            bucket_key,
            security_configuration,
            missing,
            encryption,
        };
        case.places = places::gather(&case, &own.steps, &own.sessions, &mut keys, lookups)?;
        for key in &mut keys {
            key.access = Access::gather(cluster, key, &case.place, ctx, lookups)?;
        }
        case.keys = keys;
        Ok(case)
    }

    /// Why the cluster cannot be judged, if so.
    pub fn unread(&self) -> Option<Unread> {
        unread(self.cluster)
    }

    /// Whether uploads of system and application logs are both off, and what may still be uploaded then;
    /// `None` where they are not. What steps still upload is documented nowhere.
    pub fn uploads_disabled(&self) -> Option<StillUploaded> {
        let off = |policy: &Option<String>| policy.as_deref() == Some("disabled");
        let cluster = self.cluster;
        let disabled = off(&cluster.system_logs_upload) && off(&cluster.application_logs_upload);
        disabled.then(|| match (self.steps_were_read(), cluster.steps) {
            (true, Some(0)) => StillUploaded::Nothing,
            (true, Some(_)) => StillUploaded::Steps,
            _ => StillUploaded::NotRead,
        })
    }

    /// Whether ListSteps was answered in this run.
    pub fn steps_were_read(&self) -> bool {
        self.cluster.steps_lookup == Some(Lookup::Found)
    }

    /// Whether C1 carries nothing at all.
    pub fn archives_nothing(&self) -> bool {
        self.place == LogPlace::Nowhere || self.uploads_disabled() == Some(StillUploaded::Nothing)
    }

    /// The key of C1, where `LogUri` says that something is written under it.
    pub fn log_key(&self) -> Option<&KeyUse> {
        self.keys.first().filter(|key| key.channels.contains(&"C1"))
    }

    /// The key of a sampled object: one that a channel names, by whatever name, else one that the run
    /// holds under its own ARN.
    pub fn sampled_key(&self, sample: &LogObjectSample) -> Option<&KeyUse> {
        let arn = key_of(sample)?;
        let mut known = self.keys.iter().chain(&self.sampled_keys);
        known.find(|key| key.arn() == Some(&arn))
    }

    /// Whether an account's keys count as the organization's own; `None` when nobody can tell.
    pub fn owner_is_ours(&self, owner: &AccountId) -> Option<bool> {
        let ours = *owner == self.cluster.account_id
            || self.ctx.scope.accounts.contains_key(owner)
            || self.ctx.config.allowed_key_owners.contains(owner);
        (ours || self.ctx.scope.has_account_list).then_some(ours)
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
            .as_deref()
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

fn unread(cluster: &EmrCluster) -> Option<Unread> {
    if cluster.seen == Seen::NotSeen {
        Some(Unread::NotSeen)
    } else if cluster.settings == Settings::Deferred {
        Some(Unread::Deferred)
    } else {
        None
    }
}

/// The key that a sampled object lies under, where S3 named it as an ARN.
fn key_of(sample: &LogObjectSample) -> Option<KeyArn> {
    let arn = KeyArn::parse(sample.key_arn.as_deref()?)?;
    (!arn.is_alias()).then_some(arn)
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
