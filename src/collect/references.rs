//! What clusters refer to and what must be looked up elsewhere: keys and buckets, each once.

use std::collections::{BTreeMap, HashMap};

use crate::collect::random::hash;
use crate::model::datasets::EmrCluster;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::{KeyArn, KeyReference};
use crate::model::s3_location::S3Location;
use crate::model::words::{Seen, Settings};

/// Keys and buckets that clusters name, with one account that names them: the smallest, so that the
/// order of arrival does not matter.
#[derive(Debug, Default)]
pub struct References {
    pub keys: BTreeMap<KeyArn, AccountId>,
    pub buckets: BTreeMap<String, AccountId>,
}

impl References {
    /// Adds what a cluster's row names. Aliases of AWS managed keys are known by their name and
    /// never looked up; a form that nobody documents has no account to ask.
    pub fn add(&mut self, row: &EmrCluster) {
        if row.settings == Settings::Deferred || row.seen == Seen::NotSeen {
            return;
        }
        if let Some(KeyReference::Qualified(arn)) = row
            .log_key
            .as_deref()
            .and_then(|k| KeyReference::read(k, &row.account_id, &row.region))
        {
            note(&mut self.keys, arn, &row.account_id);
        }
        if let Some(location) = row.log_uri.as_deref().and_then(S3Location::parse) {
            note(&mut self.buckets, location.bucket, &row.account_id);
        }
    }

    /// Adds everything of `other`.
    pub fn merge(&mut self, other: Self) {
        for (key, account) in other.keys {
            note(&mut self.keys, key, &account);
        }
        for (bucket, account) in other.buckets {
            note(&mut self.buckets, bucket, &account);
        }
    }
}

fn note<K: Ord>(map: &mut BTreeMap<K, AccountId>, key: K, account: &AccountId) {
    map.entry(key)
        .and_modify(|known| {
            if account < known {
                known.clone_from(account);
            }
        })
        .or_insert_with(|| account.clone());
}

/// Who owns which bucket. An organization may have millions of buckets, so a name is kept as a
/// seeded 64-bit hash and its owner as a number: about 20 bytes each. Two names with one hash would
/// send a question to the wrong account, which answers that it does not own the bucket.
#[derive(Debug)]
pub struct Owners {
    seed: u64,
    /// Hash of the name to (position of the account in the scope, position of the Region).
    buckets: HashMap<u64, (u32, u16)>,
    regions: Vec<Region>,
}

const NO_REGION: u16 = u16::MAX;

impl Owners {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            buckets: HashMap::new(),
            regions: vec![],
        }
    }

    /// The account at `position` of the scope lists the bucket. Should two do so, since a bucket was
    /// deleted and made again during the run, the smaller position counts.
    pub fn add(&mut self, bucket: &str, position: u32, region: Option<&Region>) {
        let region = region.map_or(NO_REGION, |r| {
            let at = self.regions.iter().position(|known| known == r);
            let at = at.unwrap_or_else(|| {
                self.regions.push(r.clone());
                self.regions.len() - 1
            });
            u16::try_from(at).unwrap_or(NO_REGION)
        });
        self.buckets
            .entry(hash(self.seed, bucket))
            .and_modify(|known| *known = (*known).min((position, region)))
            .or_insert((position, region));
    }

    /// Position of the owner in the scope, and the bucket's Region where the list told it.
    pub fn of(&self, bucket: &str) -> Option<(u32, Option<Region>)> {
        let (position, region) = *self.buckets.get(&hash(self.seed, bucket))?;
        Some((position, self.regions.get(usize::from(region)).cloned()))
    }
}
