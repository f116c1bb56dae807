//! What clusters refer to and what must be looked up elsewhere: keys, buckets and roles, each once.

use std::collections::BTreeMap;
use std::fmt;

use crate::collect::random::hash;
use crate::model::datasets::{
    EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, Launch, LogGroup,
};
use crate::model::emrfs::Emrfs;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::{KeyArn, KeyReference};
use crate::model::s3_location::S3Location;
use crate::model::words::{Seen, Settings};

/// Keys and buckets that clusters name. A large organization has hundreds of thousands of either, so they
/// are kept as small as they can be.
#[derive(Debug, Default)]
pub struct References {
    /// With their owners.
    keys: Noted<(AccountId, KeyName), AccountId>,
    buckets: Noted<Box<str>, AccountId>,
    /// Roles that clusters with logs run and are served with, by account.
    pub writers: BTreeMap<AccountId, Writers>,
}

/// What was named, each with one of those that named it: the smallest, so that the order of arrival does
/// not matter. Much is noted before anything is asked for, so it stands in one piece, where a map would
/// take half as much again, and is sorted whenever it has doubled.
#[derive(Debug)]
struct Noted<T, B> {
    all: Vec<(T, B)>,
    /// At the beginning so many are sorted, and each is there once.
    sorted: usize,
}

impl<T: Ord, B: Ord> Noted<T, B> {
    /// Up to twice so many are not sorted.
    const FEW: usize = 64;

    fn note(&mut self, named: T, by: B) {
        self.all.push((named, by));
        if self.all.len() > 2 * self.sorted.max(Self::FEW) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        if self.sorted < self.all.len() {
            self.all.sort_unstable();
            self.all.dedup_by(|later, first| later.0 == first.0);
            self.sorted = self.all.len();
        }
    }

    fn find(&mut self, named: &T) -> Option<&B> {
        self.sort();
        let at = self.all.binary_search_by(|(known, _)| known.cmp(named));
        at.ok().and_then(|at| self.all.get(at)).map(|(_, by)| by)
    }

    fn into_sorted(mut self) -> Vec<(T, B)> {
        self.sort();
        self.all
    }
}

impl<T, B> Default for Noted<T, B> {
    fn default() -> Self {
        Self {
            all: vec![],
            sorted: 0,
        }
    }
}

/// Keys that are named, by owner.
#[derive(Debug, Default)]
pub struct NamedKeys(Vec<((AccountId, KeyName), AccountId)>);

impl NamedKeys {
    /// Accounts whose keys are named, in order.
    pub fn owners(&self) -> impl Iterator<Item = &AccountId> {
        let by_owner = self.0.chunk_by(|((a, _), _), ((b, _), _)| a == b);
        by_owner.filter_map(|keys| keys.first().map(|((owner, _), _)| owner))
    }

    /// The keys of an account that are named, each with who names it.
    pub fn of<'s>(&'s self, owner: &AccountId) -> impl Iterator<Item = (KeyArn, &'s AccountId)> {
        let from = self.0.partition_point(|((of, _), _)| of < owner);
        let to = self.0.partition_point(|((of, _), _)| of <= owner);
        let keys = self.0.get(from..to).unwrap_or_default().iter();
        keys.map(|((owner, key), by)| (key.arn(owner), by))
    }
}

/// A key within its account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyName {
    region: Region,
    id: KeyId,
}

/// What an ARN says beside account and Region: nearly always `key/` and a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum KeyId {
    Uuid([u8; 16]),
    /// Partition and resource.
    Other(Box<(String, String)>),
}

impl KeyName {
    fn of(arn: KeyArn) -> Self {
        let plain = arn.partition == arn.region.partition();
        let uuid = uuid(&arn.resource).filter(|_| plain);
        Self {
            id: match uuid {
                Some(uuid) => KeyId::Uuid(uuid.to_be_bytes()),
                None => KeyId::Other(Box::new((arn.partition, arn.resource))),
            },
            region: arn.region,
        }
    }

    fn arn(&self, account: &AccountId) -> KeyArn {
        let (partition, resource) = match &self.id {
            KeyId::Uuid(uuid) => (
                self.region.partition().to_owned(),
                format!("key/{}", Hyphened(u128::from_be_bytes(*uuid))),
            ),
            KeyId::Other(other) => (**other).clone(),
        };
        KeyArn {
            partition,
            region: self.region.clone(),
            account_id: account.clone(),
            resource,
        }
    }
}

/// The number of `key/` and a UUID in lower case; `None` for what would not read the same again.
fn uuid(resource: &str) -> Option<u128> {
    let text = resource.strip_prefix("key/")?;
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let uuid = u128::from_str_radix(&digits, 16).ok()?;
    (Hyphened(uuid).to_string() == text).then_some(uuid)
}

/// A UUID as it is written.
struct Hyphened(u128);

impl fmt::Display for Hyphened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let (a, b, c, d, e) = (
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        );
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

/// Names that clusters of one account give to IAM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writers {
    /// Instance profiles; which role each holds is not known here.
    profiles: Names,
    /// Service roles.
    roles: Names,
}

/// Names in order: nearly always one or two, which a tree has more room for than they need.
type Names = Vec<Box<str>>;

fn add(names: &mut Names, name: &str) {
    if let Err(at) = names.binary_search_by(|known| (**known).cmp(name)) {
        names.reserve_exact(1);
        names.insert(at, name.into());
    }
}

fn has(names: &Names, name: &str) -> bool {
    names.binary_search_by(|known| (**known).cmp(name)).is_ok()
}

impl Writers {
    /// Whether clusters run with this instance profile.
    pub fn has_profile(&self, name: &str) -> bool {
        has(&self.profiles, name)
    }

    /// Whether clusters are served with this role.
    pub fn has_role(&self, name: &str) -> bool {
        has(&self.roles, name)
    }
}

impl References {
    /// Adds what a cluster's row names. Aliases of AWS managed keys are known by their name and
    /// never looked up; a form that nobody documents has no account to ask.
    pub fn add(&mut self, row: &EmrCluster) {
        if row.settings == Settings::Deferred || row.seen == Seen::NotSeen {
            return;
        }
        let place = (&row.account_id, &row.region);
        self.key(row.log_key.as_deref(), place);
        self.bucket(row.log_uri.as_deref(), place);
        if row.log_key.is_some() || row.log_uri.is_some() {
            self.writer(row);
        }
    }

    /// A cluster names its profile and its role, or gives their ARNs, which end with the names. A name
    /// is unique in its account whatever the path before it.
    fn writer(&mut self, row: &EmrCluster) {
        let writers = self.writers.entry(row.account_id.clone()).or_default();
        for (given, names) in [
            (&row.instance_profile, &mut writers.profiles),
            (&row.service_role, &mut writers.roles),
        ] {
            let name = given.as_deref().and_then(|given| given.rsplit('/').next());
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                add(names, name);
            }
        }
    }

    /// Adds what the other channels of an account-region's clusters name: steps, sessions, log groups,
    /// and the security configurations where applications send logs to S3 themselves.
    pub fn add_channels(
        &mut self,
        steps: &[EmrStep],
        sessions: &[EmrSession],
        log_groups: &[LogGroup],
        clusters: &[EmrCluster],
        configurations: &[EmrSecurityConfiguration],
    ) {
        for step in steps {
            let place = (&step.account_id, &step.region);
            self.key(step.log_key.as_deref(), place);
            self.bucket(step.log_uri.as_deref(), place);
        }
        for session in sessions.iter().filter(|s| s.s3_enabled == Some(true)) {
            let place = (&session.account_id, &session.region);
            self.key(session.s3_key.as_deref(), place);
            self.bucket(session.log_uri.as_deref(), place);
        }
        for group in log_groups {
            self.key(group.kms_key.as_deref(), (&group.account_id, &group.region));
        }
        let read = clusters
            .iter()
            .filter(|c| c.settings != Settings::Deferred && c.seen != Seen::NotSeen);
        for cluster in read {
            let place = (&cluster.account_id, &cluster.region);
            let named = cluster.security_configuration.as_deref();
            let document = configurations
                .iter()
                .find(|c| Some(c.name.as_str()) == named)
                .and_then(|c| c.encryption_json.as_deref())
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or(serde_json::Value::Null);
            let logs_elsewhere = steps.iter().any(|s| s.cluster_id == cluster.cluster_id)
                || sessions.iter().any(|s| s.cluster_id == cluster.cluster_id);
            if logs_elsewhere {
                self.writer(cluster);
            }
            for (_, uri) in cluster.application_log_dirs() {
                let Some(location) = S3Location::parse(uri) else {
                    continue;
                };
                self.writer(cluster);
                let emrfs = Emrfs::of(&document, &location.bucket);
                self.key(emrfs.and_then(|e| e.key), place);
                self.bucket(Some(uri), place);
            }
        }
    }

    /// Adds the keys of attempts to launch, so that those can be judged that no cluster came of. Only
    /// keys of accounts of the scope: anybody may name any key in a call that is denied.
    pub fn add_launches(&mut self, launches: &[Launch], in_scope: impl Fn(&AccountId) -> bool) {
        for launch in launches {
            let named = launch
                .log_key
                .as_deref()
                .and_then(|key| KeyReference::read(key, &launch.account_id, &launch.region));
            if let Some(KeyReference::Qualified(arn)) = named
                && in_scope(&arn.account_id)
            {
                self.note_key(arn, &launch.account_id);
            }
        }
    }

    fn key(&mut self, named: Option<&str>, (account, region): (&AccountId, &Region)) {
        if let Some(KeyReference::Qualified(arn)) =
            named.and_then(|k| KeyReference::read(k, account, region))
        {
            self.note_key(arn, account);
        }
    }

    fn bucket(&mut self, uri: Option<&str>, (account, _): (&AccountId, &Region)) {
        if let Some(location) = uri.and_then(S3Location::parse) {
            self.buckets.note(location.bucket.into(), account.clone());
        }
    }

    fn note_key(&mut self, arn: KeyArn, account: &AccountId) {
        let owner = arn.account_id.clone();
        self.keys.note((owner, KeyName::of(arn)), account.clone());
    }

    /// Takes the keys that were named.
    pub fn take_keys(&mut self) -> NamedKeys {
        NamedKeys(std::mem::take(&mut self.keys).into_sorted())
    }

    /// Takes the buckets that were named, in order, each with who names it.
    pub fn take_buckets(&mut self) -> Vec<(Box<str>, AccountId)> {
        std::mem::take(&mut self.buckets).into_sorted()
    }

    /// Adds everything of `other`.
    pub fn merge(&mut self, other: Self) {
        for (key, account) in other.keys.into_sorted() {
            self.keys.note(key, account);
        }
        for (bucket, account) in other.buckets.into_sorted() {
            self.buckets.note(bucket, account);
        }
        for (account, names) in other.writers {
            let writers = self.writers.entry(account).or_default();
            for name in &names.profiles {
                add(&mut writers.profiles, name);
            }
            for name in &names.roles {
                add(&mut writers.roles, name);
            }
        }
    }
}

/// Who owns which bucket. An organization may have millions of buckets, so a name is kept as a
/// seeded 64-bit hash and its owner as a number: 16 bytes each. Two names with one hash would
/// send a question to the wrong account, which answers that it does not own the bucket.
#[derive(Debug)]
pub struct Owners {
    seed: u64,
    /// Hash of the name to (position of the account in the scope, position of the Region).
    buckets: Noted<u64, (u32, u16)>,
    regions: Vec<Region>,
}

const NO_REGION: u16 = u16::MAX;

impl Owners {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            buckets: Noted::default(),
            regions: vec![],
        }
    }

    /// What stands for a bucket's name here.
    pub fn hash(&self, bucket: &str) -> u64 {
        hash(self.seed, bucket)
    }

    /// The account at `position` of the scope lists the bucket of this hash. Should two do so, since a bucket was
    /// deleted and made again during the run, the smaller position counts.
    pub fn add(&mut self, name_hash: u64, position: u32, region: Option<&Region>) {
        let region = region.map_or(NO_REGION, |r| {
            let at = self.regions.iter().position(|known| known == r);
            let at = at.unwrap_or_else(|| {
                self.regions.push(r.clone());
                self.regions.len() - 1
            });
            u16::try_from(at).unwrap_or(NO_REGION)
        });
        self.buckets.note(name_hash, (position, region));
    }

    /// Position of the owner in the scope, and the bucket's Region where the list told it.
    pub fn of(&mut self, bucket: &str) -> Option<(u32, Option<Region>)> {
        let hash = self.hash(bucket);
        let (position, region) = *self.buckets.find(&hash)?;
        Some((position, self.regions.get(usize::from(region)).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of two owners, each named by several accounts, in any order and again and again.
    #[test]
    fn each_key_is_kept_once_with_the_smallest_account_that_names_it() {
        let account = |n: u32| -> AccountId { format!("{n:012}").parse().expect("account") };
        let mut references = References::default();
        for n in (0..600_u32).rev().chain(0..600) {
            let (owner, key, by) = (n % 2, n % 60, n / 60 + 100);
            let arn = format!("arn:aws:kms:eu-west-1:{owner:012}:alias/{key:03}");
            references.note_key(KeyArn::parse(&arn).expect("an ARN"), &account(by));
        }
        let keys = references.take_keys();
        let owners: Vec<&AccountId> = keys.owners().collect();
        assert_eq!(owners, [&account(0), &account(1)]);
        for owner in 0..2 {
            let told: Vec<(String, &AccountId)> = keys
                .of(&account(owner))
                .map(|(arn, by)| (arn.resource, by))
                .collect();
            let all = (0..60).filter(|key| key % 2 == owner);
            let all: Vec<String> = all.map(|key| format!("alias/{key:03}")).collect();
            let names: Vec<&String> = told.iter().map(|(name, _)| name).collect();
            assert_eq!(names, all.iter().collect::<Vec<_>>());
            assert!(told.iter().all(|(_, by)| **by == account(100)));
        }
        assert_eq!(keys.of(&account(2)).count(), 0);
    }

    #[test]
    fn a_key_reads_the_same_after_it_was_kept() {
        for resource in [
            "key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "key/00000000-0000-0000-0000-000000000000",
            "key/1234ABCD-12ab-34cd-56ef-1234567890ab",
            "key/1234abcd12ab34cd56ef1234567890ab",
            "key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "key/ffffffff-ffff-ffff-ffff-fffffffffffff",
            "alias/emr-logs",
        ] {
            for partition in ["aws", "aws-cn"] {
                let arn = format!("arn:{partition}:kms:eu-west-1:111122223333:{resource}");
                let arn = KeyArn::parse(&arn).expect("an ARN");
                let kept = KeyName::of(arn.clone());
                assert_eq!(kept.arn(&arn.account_id), arn);
                let small = resource.starts_with("key/1234abcd-") || resource.contains("0000-");
                assert_eq!(
                    matches!(kept.id, KeyId::Uuid(_)),
                    small && partition == "aws",
                    "{resource}"
                );
            }
        }
    }
}
