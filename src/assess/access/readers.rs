//! Who can both read a log bucket and decrypt what lies in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::destination::bucket_side;
use super::facts::{Identities, KeyFacts, READS_IDENTITIES};
use super::holders::{Find, holders};
use super::setting::{Upload, organization, through_s3};
use super::units::Unit;
use super::writer::{ask, narrow};
use crate::assess::inputs::{LookupError, ScopeFacts};
use crate::model::datasets::LogBucket;
use crate::model::ids::AccountId;
use crate::policy::{Context, Outcome};

/// A principal who can, or may be able to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) struct Reader {
    pub who: String,
    pub unit: Unit,
    /// Whether both are surely allowed.
    pub surely: bool,
    pub depends_on: Vec<String>,
}

/// Everybody who can read logs under a key in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::assess) struct Readers {
    pub all: Vec<Reader>,
    /// What stood in the way of naming all.
    pub not_read: BTreeSet<String>,
}

impl Readers {
    pub(super) fn of(
        key: &KeyFacts,
        bucket: &LogBucket,
        owner: &AccountId,
        upload: &Upload<'_>,
        scope: &ScopeFacts,
        find: &Find<'_>,
    ) -> Result<Self, LookupError> {
        let mut found = Self::default();
        let (resource, bucket_layers) = bucket_side(bucket, owner, upload.object);
        if !key.is_policy_read() {
            found
                .not_read
                .insert(format!("kms:GetKeyPolicy on {}", key.arn));
            return Ok(found);
        }
        let (mut bucket_side, mut key_side) = (bucket_layers, key.layers.clone());
        let mut accounts: BTreeMap<AccountId, Arc<Identities>> = BTreeMap::new();
        for holder in holders(key, "kms:Decrypt", scope, find)? {
            let Some(account) = holder.account else {
                // A service reads no bucket for itself; everyone is what EL-10 is about, and within
                // the organization IAM policies of every account would have to be asked.
                if holder.kind == "everyone" {
                    found.not_read.insert(format!("who {} is", holder.who));
                }
                continue;
            };
            if holder.kind == "account" {
                let identities = find(&account)?;
                if !identities.is_read {
                    let what = format!("{READS_IDENTITIES} in account {account}");
                    found.not_read.insert(what);
                }
                continue;
            }
            let identities = match accounts.get(&account) {
                Some(known) => Arc::clone(known),
                None => {
                    let read = find(&account)?;
                    accounts.insert(account.clone(), Arc::clone(&read));
                    read
                }
            };
            let unit = Unit::of(holder.business_unit.as_deref(), &account, scope);
            let Some(identity) = identities.by_arn(&holder.who) else {
                // A session, or a principal whose row the run does not hold: its tag is not known,
                // and so it may be of any unit.
                found.all.push(Reader {
                    who: holder.who,
                    unit: Unit::default(),
                    surely: false,
                    depends_on: vec![format!("{READS_IDENTITIES} in account {account}")],
                });
                continue;
            };
            let action = "s3:GetObject";
            let context = organization(Context::open(), &identity.caller, owner.as_str(), scope)
                .with("aws:SecureTransport", "true")
                .deriving(&identity.caller, action, owner.as_str());
            narrow(&mut bucket_side, identity);
            let read = ask(identity, action, &resource, &bucket_side, &context);
            if read.outcome == Outcome::Denied {
                continue;
            }
            // Logs are read through S3, which asks the key on the reader's behalf.
            narrow(&mut key_side, identity);
            let decrypt: Vec<_> = through_s3(key, identity, "kms:Decrypt", upload, scope)
                .iter()
                .map(|context| ask(identity, "kms:Decrypt", &key.resource, &key_side, context))
                .collect();
            if decrypt.iter().all(|d| d.outcome == Outcome::Denied) {
                continue;
            }
            let mut depends_on: Vec<String> = decrypt
                .iter()
                .chain([&read])
                .flat_map(|d| d.depends_on.iter().map(|n| n.as_str().to_owned()))
                .collect();
            depends_on.sort();
            depends_on.dedup();
            found.all.push(Reader {
                who: identity.arn.clone(),
                unit,
                surely: read.outcome == Outcome::Allowed
                    && decrypt.iter().any(|d| d.outcome == Outcome::Allowed),
                depends_on,
            });
        }
        Ok(found)
    }

    /// The readers by how their unit relates to `own`: of another, and of nobody knows which.
    pub fn against(&self, own: &Unit) -> Segregation {
        let mut found = Segregation::default();
        for reader in &self.all {
            let told = match reader.unit.name() {
                Some(unit) => format!("{} ({unit})", reader.who),
                None => reader.who.clone(),
            };
            match own.is_same(&reader.unit) {
                Some(true) => found.own += 1,
                Some(false) if reader.surely => found.others.push(told),
                Some(false) => found.perhaps.push(told),
                None => found.of_unknown_unit.push(told),
            }
        }
        found
    }
}

/// The readers of logs, seen from one business unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::assess) struct Segregation {
    pub own: usize,
    pub others: Vec<String>,
    /// Of another unit, where a condition or something unread decides.
    pub perhaps: Vec<String>,
    pub of_unknown_unit: Vec<String>,
}
