//! Answers of one run, each worked out once: fleets share keys, roles and buckets.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::destination::Destination;
use super::facts::{Identities, KeyFacts, names_clusters};
use super::holders::{Holders, Rulers, access_rows, holders};
use super::openings::Openings;
use super::readers::{DECRYPT, Readers, Segregation};
use super::setting::Upload;
use super::units::Unit;
use super::writer::Writer;
use crate::assess::inputs::{LookupError, Lookups, ScopeFacts};
use crate::model::datasets::{EmrCluster, EmrSecurityConfiguration, KeyAccess, KmsKey, LogBucket};
use crate::model::ids::{AccountId, Region};
use crate::model::s3_location::S3Location;
use crate::model::words::Source;
use crate::time::Date;

/// How many accounts' identities are kept parsed at one time.
pub(super) const ACCOUNTS: usize = 16;
/// How many keys' policies are kept parsed at one time. Clusters come by account-region, so that what is
/// asked for again is asked for soon.
const KEYS: usize = 128;
/// How many answers about one key, writer and bucket are kept.
const USES: usize = 2_048;
/// How many security configurations are kept parsed at one time.
const CONFIGURATIONS: usize = 128;

/// A memory of what was worked out; full, it forgets everything.
struct Memory<K, V> {
    known: Mutex<HashMap<K, Arc<V>>>,
    at_most: usize,
}

impl<K: Hash + Eq, V> Memory<K, V> {
    fn new(at_most: usize) -> Self {
        Self {
            known: Mutex::new(HashMap::new()),
            at_most,
        }
    }

    fn get(
        &self,
        key: K,
        work_out: impl FnOnce() -> Result<V, LookupError>,
    ) -> Result<Arc<V>, LookupError> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let found = Arc::new(work_out()?);
        let mut known = lock();
        if known.len() >= self.at_most {
            known.clear();
        }
        known.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

/// What is known of one key, whoever uses it.
#[derive(Debug)]
pub(in crate::assess) struct KeyAnswers {
    pub facts: KeyFacts,
    pub openings: Openings,
    pub rulers: Rulers,
    /// Who may decrypt, in whatever account.
    pub may_decrypt: Holders,
    /// Whether the identities of the key's account were read.
    pub owner_is_read: bool,
    /// IAM action that was refused, where that is why not.
    pub owner_denied: Option<String>,
}

/// What is known of one cluster's use of a key for logs in a bucket.
#[derive(Debug)]
pub(in crate::assess) struct Used {
    pub writer: Writer,
    /// IAM action that was refused when the identities of the cluster's account were to be read.
    pub identities_denied: Option<String>,
    /// For a bucket whose owner is known.
    pub segregation: Option<Segregation>,
    /// What stood in the way of naming every reader.
    pub readers_not_read: Vec<String>,
    /// The unit that the readers are compared with.
    pub unit: Unit,
    /// Whether policies speak of single clusters, so that this holds for one alone.
    pub of_one_cluster: bool,
}

/// One use of a key: whose logs go where under it.
pub(in crate::assess) struct Use<'a> {
    pub key: &'a KeyAnswers,
    pub cluster: &'a EmrCluster,
    /// The unit that readers are compared with.
    pub unit: &'a Unit,
    pub place: &'a S3Location,
    /// The row of the place's bucket.
    pub bucket: Option<&'a LogBucket>,
}

#[derive(PartialEq, Eq, Hash)]
struct UseId {
    key: String,
    account: String,
    profile: Option<String>,
    service_role: Option<String>,
    bucket: String,
    prefix: String,
    unit: Unit,
    /// Only where policies speak of single clusters.
    cluster: Option<String>,
}

/// Answers about keys and security configurations, kept for one run.
pub struct Answers {
    identities: Memory<AccountId, Identities>,
    keys: Memory<String, Option<Arc<KeyAnswers>>>,
    uses: Memory<UseId, Used>,
    readers: Memory<ReadersId, Readers>,
    destinations: Memory<UseId, Destination>,
    /// By account, Region and name.
    configurations: Memory<(AccountId, Region, String), Option<Value>>,
    spent: Mutex<Duration>,
}

/// Key, bucket, prefix and, where policies speak of single clusters, the cluster.
type ReadersId = (String, String, String, Option<String>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            identities: Memory::new(ACCOUNTS),
            keys: Memory::new(KEYS),
            uses: Memory::new(USES),
            readers: Memory::new(KEYS),
            destinations: Memory::new(USES),
            configurations: Memory::new(CONFIGURATIONS),
            spent: Mutex::default(),
        }
    }
}

impl Answers {
    /// How long what clusters share took, by the clock of the lookups it came from: reading and parsing
    /// keys, their policies and security configurations, answers about keys, uses and destinations.
    pub fn spent(&self) -> Duration {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what `answer` takes as time spent. Not to be used within itself.
    pub fn timed<T>(&self, lookups: &dyn Lookups, answer: impl FnOnce() -> T) -> T {
        let from = lookups.elapsed();
        let answered = answer();
        let took = lookups.elapsed().saturating_sub(from);
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += took;
        answered
    }

    /// `encryption_json` of a security configuration; `None` where that is absent or cannot be read.
    pub(in crate::assess) fn of_configuration(
        &self,
        row: &EmrSecurityConfiguration,
        lookups: &dyn Lookups,
    ) -> Result<Arc<Option<Value>>, LookupError> {
        let id = (row.account_id.clone(), row.region.clone(), row.name.clone());
        self.timed(lookups, || {
            self.configurations.get(id, || {
                let json = row.encryption_json.as_deref();
                Ok(json.and_then(|json| serde_json::from_str(json).ok()))
            })
        })
    }

    /// The identities of an account.
    fn identities(
        &self,
        account: &AccountId,
        lookups: &dyn Lookups,
    ) -> Result<Arc<Identities>, LookupError> {
        self.identities.get(account.clone(), || {
            let cell = lookups.cell(account, &Region::global(), Source::Identities)?;
            let rows = lookups.principals(account)?;
            Ok(Identities::read(account, cell.as_deref(), &rows))
        })
    }

    /// What is known of a key that was described; `None` without an ARN of it.
    pub(in crate::assess) fn of_key(
        &self,
        row: &KmsKey,
        scope: &ScopeFacts,
        lookups: &dyn Lookups,
    ) -> Result<Option<Arc<KeyAnswers>>, LookupError> {
        let work_out = || {
            let Some(facts) = facts(row, lookups)? else {
                return Ok(None);
            };
            let find = |account: &AccountId| self.identities(account, lookups);
            let owner = find(&facts.arn.account_id)?;
            Ok(Some(Arc::new(KeyAnswers {
                openings: Openings::of(&facts, scope),
                rulers: Rulers::of(&facts, scope, &find)?,
                may_decrypt: holders(&facts, DECRYPT, scope, &find, &|_| true)?,
                owner_is_read: owner.is_read,
                owner_denied: owner.denied_action.clone(),
                facts,
            })))
        };
        let known = self.timed(lookups, || {
            self.keys.get(row.key_reference.clone(), work_out)
        })?;
        Ok(known.as_ref().clone())
    }

    /// What is known of a cluster's use of a key.
    pub(in crate::assess) fn of_use(
        &self,
        asked: &Use<'_>,
        scope: &ScopeFacts,
        lookups: &dyn Lookups,
    ) -> Result<Arc<Used>, LookupError> {
        let Use {
            key,
            cluster,
            unit,
            place,
            bucket,
        } = *asked;
        let account = &cluster.account_id;
        let identities = self.timed(lookups, || self.identities(account, lookups))?;
        let facts = &key.facts;
        let by_cluster = facts.names_clusters
            || bucket
                .and_then(|b| b.policy_json.as_deref())
                .is_some_and(names_clusters)
            || identities.names_clusters;
        let one_cluster = by_cluster.then(|| cluster.cluster_id.clone());
        let id = UseId {
            key: facts.resource.arn.clone(),
            account: account.to_string(),
            profile: cluster.instance_profile.clone(),
            service_role: cluster.service_role.clone(),
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            unit: unit.clone(),
            cluster: one_cluster.clone(),
        };
        let work_out = || {
            let (bucket_arn, object_arn) = arns(cluster, place);
            let region = bucket.and_then(|b| b.region.as_ref());
            let upload = Upload {
                bucket: &bucket_arn,
                object: &object_arn,
                bucket_key: bucket.and_then(|b| b.bucket_key),
                region: region.unwrap_or(&facts.arn.region),
            };
            let profile = cluster.instance_profile.as_deref();
            let writer = Writer::ask(
                facts,
                &identities,
                profile,
                cluster.service_role.as_deref(),
                &upload,
                scope,
            );
            let owned = bucket.and_then(|b| Some((b, b.account_id.as_ref()?)));
            let readers = match owned {
                None => None,
                Some((b, owner)) => {
                    let id = (
                        facts.resource.arn.clone(),
                        place.bucket.clone(),
                        place.prefix.clone(),
                        one_cluster,
                    );
                    let find = |account: &AccountId| self.identities(account, lookups);
                    Some(self.readers.get(id, || {
                        Readers::of(facts, &key.may_decrypt, b, owner, &upload, scope, &find)
                    })?)
                }
            };
            Ok(Used {
                writer,
                identities_denied: identities.denied_action.clone(),
                segregation: readers.as_ref().map(|r| r.against(unit)),
                readers_not_read: readers
                    .iter()
                    .flat_map(|r| r.not_read.iter().cloned())
                    .collect(),
                unit: unit.clone(),
                of_one_cluster: by_cluster,
            })
        };
        self.timed(lookups, || self.uses.get(id, work_out))
    }

    /// Whether a cluster may put its logs into a bucket of another account; `None` where the owner
    /// is its own account or is not known. `key_arn` is the key that the upload names by its ARN.
    pub(in crate::assess) fn of_destination(
        &self,
        cluster: &EmrCluster,
        place: &S3Location,
        bucket: &LogBucket,
        key_arn: Option<&str>,
        scope: &ScopeFacts,
        lookups: &dyn Lookups,
    ) -> Result<Option<Arc<Destination>>, LookupError> {
        let Some(owner) = bucket
            .account_id
            .as_ref()
            .filter(|owner| **owner != cluster.account_id)
        else {
            return Ok(None);
        };
        let identities = self.timed(lookups, || self.identities(&cluster.account_id, lookups))?;
        let by_cluster =
            bucket.policy_json.as_deref().is_some_and(names_clusters) || identities.names_clusters;
        let id = UseId {
            key: key_arn.unwrap_or_default().to_owned(),
            account: cluster.account_id.to_string(),
            profile: cluster.instance_profile.clone(),
            service_role: None,
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            unit: Unit::default(),
            cluster: by_cluster.then(|| cluster.cluster_id.clone()),
        };
        let work_out = || {
            let (_, object_arn) = arns(cluster, place);
            let profile = cluster.instance_profile.as_deref();
            let found = Destination::ask(
                bucket,
                owner,
                &identities,
                profile,
                &object_arn,
                key_arn,
                scope,
            );
            Ok(Destination {
                of_one_cluster: by_cluster,
                ..found
            })
        };
        let known = self.timed(lookups, || self.destinations.get(id, work_out))?;
        Ok(Some(known))
    }

    /// The rows of `key_access` for one key, empty where KMS did not describe it.
    ///
    /// # Errors
    /// When `lookups` cannot read a fact that it holds.
    pub fn access(
        &self,
        row: &KmsKey,
        scheduled_for: Date,
        scope: &ScopeFacts,
        lookups: &dyn Lookups,
    ) -> Result<Vec<KeyAccess>, LookupError> {
        let Some(facts) = facts(row, lookups)? else {
            return Ok(Vec::new());
        };
        let find = |account: &AccountId| self.identities(account, lookups);
        access_rows(&facts, scheduled_for, scope, &find)
    }
}

/// The bucket, and some object that the cluster writes to it
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html>).
fn arns(cluster: &EmrCluster, place: &S3Location) -> (String, String) {
    let bucket = format!("arn:{}:s3:::{}", cluster.region.partition(), place.bucket);
    let prefix = place.prefix.trim_end_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let object = format!(
        "{bucket}/{prefix}{slash}{}/node/i-0123456789abcdef0/daemons/instance-state.gz",
        cluster.cluster_id
    );
    (bucket, object)
}

fn facts(row: &KmsKey, lookups: &dyn Lookups) -> Result<Option<KeyFacts>, LookupError> {
    let arn = row.key_arn.as_deref();
    let grants = match arn.and_then(crate::model::key_reference::KeyArn::parse) {
        Some(arn) => lookups.grants(&arn)?,
        None => Vec::new(),
    };
    Ok(KeyFacts::read(row, &grants))
}
