//! What clusters wrote to their log buckets, and what a sample of it should make an audit conclude.
//!
//! Stated story by story. A key that does not work lets nothing through; without a key, and on
//! releases that do not honour one, this writer asks for SSE-S3 whatever the bucket's default is
//! (AWS documents no more than "AES-256":
//! <https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html>).

use super::account_region::AccountRegion;
use super::clusters::{Cluster, Recipe};
use super::scenario::{Finding, Outcome, Scenario};
use super::secrets::marker;
use super::{MINUTE_MS, World};

/// Logs are pushed every five minutes
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html>); a cluster
/// younger than this wrote none.
const FIRST_PUSH_MS: i64 = 10 * MINUTE_MS;

/// How the log objects of a story are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Nothing,
    /// Under the key that the cluster names.
    LogKey,
    /// SSE-S3.
    S3Managed,
    /// Under keys that an old agent brings along (SSE-C).
    CustomerProvided,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogObject {
    pub name: String,
    pub body: String,
    /// `AES256`, `aws:kms` or `SSE-C`.
    pub algorithm: &'static str,
    pub key: Option<String>,
}

impl Scenario {
    /// What the story's clusters wrote.
    pub fn written(self) -> Written {
        match self {
            Self::NoLogUri
            | Self::EmptyLogUri
            | Self::KeyWithoutLogUri
            | Self::UploadsDisabled
            | Self::KeyNotFound
            | Self::KeyDisabled
            | Self::KeyPendingDeletion
            | Self::KeyPendingReplicaDeletion
            | Self::KeyPendingImport
            | Self::KeyUnavailable
            | Self::KeyRsa
            | Self::KeyHmac
            | Self::KeyInOtherRegion
            | Self::BucketInOtherRegion
            | Self::ImportedMaterialExpired
            | Self::WriterWithoutPermission
            | Self::WriterDenied
            | Self::WriterBeyondBoundary
            | Self::DeletedRoleInPolicy
            // AWS makes the key of this alias when somebody needs it, and nobody has.
            | Self::AwsManagedKeyAlias
            | Self::AwsManagedKeyAliasArn => Written::Nothing,
            Self::NoLogKey
            | Self::BlankLogKey
            | Self::NoLogKeyOnOldRelease
            | Self::BucketDefaultAwsKey
            | Self::BucketDefaultCustomerKey
            | Self::KeyOnOldRelease
            | Self::KeyOnRelease600 => Written::S3Managed,
            Self::KeyOnAmiVersion => Written::CustomerProvided,
            _ => Written::LogKey,
        }
    }

    /// What EL-19 should conclude of a sampled cluster that is old enough to have written.
    fn sampled(self) -> Finding {
        let (outcome, reason) = match (self, self.written()) {
            (Self::BucketOutsideOrganization, _) => (Outcome::Unknown, "objects_not_read"),
            (_, Written::Nothing) => (Outcome::NotApplicable, "no_objects"),
            (_, Written::S3Managed) => (Outcome::Fail, "object_not_under_kms"),
            (_, Written::CustomerProvided) => (Outcome::Unknown, "sse_c_suspected"),
            (Self::AwsManagedKeyArn, _) => (Outcome::Fail, "object_under_aws_managed_key"),
            (Self::ForeignKeyDescribed | Self::ForeignKeyDenied, _) => {
                (Outcome::Fail, "object_under_foreign_key")
            }
            (_, Written::LogKey) => (Outcome::Pass, "objects_under_customer_key"),
        };
        Finding { outcome, reason }
    }
}

/// What EL-16 and EL-19 should conclude in a run that neither samples nor counts objects.
pub(super) fn unread(recipe: &Recipe) -> [(&'static str, Finding); 2] {
    let not_applicable = |reason| Finding {
        outcome: Outcome::NotApplicable,
        reason,
    };
    let is_nowhere = recipe.log_uri.as_deref().is_none_or(str::is_empty);
    let history = if is_nowhere {
        "no_log_uri"
    } else {
        "history_not_read"
    };
    [
        ("EL-16", not_applicable(history)),
        ("EL-19", not_applicable("not_sampled")),
    ]
}

impl World {
    /// What EL-19 should conclude of a cluster that a run at `now_ms` samples.
    pub fn sampled_truth(&self, cluster_id: &str, now_ms: i64) -> Option<Finding> {
        let (here, cluster) = self.find_cluster(cluster_id)?;
        let scenario = here.recipe(cluster).scenario;
        if scenario != Scenario::BucketOutsideOrganization && !has_pushed(cluster, now_ms) {
            return Some(Finding {
                outcome: Outcome::NotApplicable,
                reason: "no_objects",
            });
        }
        Some(scenario.sampled())
    }

    /// The objects that a cluster has written to a bucket by `now_ms`; none where it logs elsewhere.
    pub fn log_objects(&self, bucket: &str, cluster_id: &str, now_ms: i64) -> Vec<LogObject> {
        let found = self.find_cluster(cluster_id);
        found.map_or_else(Vec::new, |(here, cluster)| {
            self.written_by(here, cluster, bucket, now_ms)
        })
    }

    /// The objects that all clusters have written to a bucket by `now_ms`.
    pub fn written_to(&self, bucket: &str, now_ms: i64) -> Vec<LogObject> {
        let mut written = Vec::new();
        for here in self.account_regions() {
            for cluster in here.clusters() {
                written.extend(self.written_by(here, cluster, bucket, now_ms));
            }
        }
        written
    }

    /// The same of a cluster that was found.
    fn written_by(
        &self,
        here: &AccountRegion,
        cluster: &Cluster,
        bucket: &str,
        now_ms: i64,
    ) -> Vec<LogObject> {
        let recipe = here.recipe(cluster);
        let uri = recipe.log_uri.as_deref().unwrap_or_default();
        let is_there = ["/", "@"]
            .iter()
            .any(|before| uri.contains(&format!("{before}{bucket}/")));
        if !is_there || !has_pushed(cluster, now_ms) {
            return Vec::new();
        }
        let (algorithm, key) = match recipe.scenario.written() {
            Written::Nothing => return Vec::new(),
            Written::LogKey => ("aws:kms", log_key_arn(here, recipe)),
            Written::S3Managed => ("AES256", None),
            Written::CustomerProvided => ("SSE-C", None),
        };
        let secret = marker(recipe.secret);
        let files = [
            format!("steps/s-{secret}/controller.gz"),
            "node/i-0a1b2c3d/applications/hadoop-yarn/yarn.log.gz".to_owned(),
            format!("containers/application_1/{secret}/stderr.gz"),
            "containers/application_1/container_2/stdout.gz".to_owned(),
        ];
        let files = files.into_iter().map(|file| LogObject {
            name: format!("emr/{}/{file}", cluster.id),
            body: format!("a log line with {secret}"),
            algorithm,
            key: key.clone(),
        });
        files.collect()
    }

    fn find_cluster(&self, id: &str) -> Option<(&AccountRegion, &Cluster)> {
        let mut places = self.account_regions.iter();
        places.find_map(|here| Some((here, here.cluster(id)?)))
    }
}

fn has_pushed(cluster: &Cluster, now_ms: i64) -> bool {
    cluster.created_ms + FIRST_PUSH_MS <= now_ms
}

/// ARN of the key behind the name that the cluster was launched with, as S3 tells it.
fn log_key_arn(here: &AccountRegion, recipe: &Recipe) -> Option<String> {
    let named = recipe.log_key.as_deref()?;
    if named.contains(":key/") {
        return Some(named.to_owned());
    }
    let id = match named.rsplit_once("alias/") {
        Some((_, name)) => here.alias(&format!("alias/{name}"))?.target.as_deref()?,
        None => named,
    };
    Some(here.key(id)?.arn())
}
