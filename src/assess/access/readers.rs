//! Who can both read a log bucket and decrypt what lies in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::destination::bucket_side;
use super::facts::{Identities, KeyFacts, READS_IDENTITIES};
use super::holders::{Find, Holders, anyone_may, holders};
use super::setting::{Upload, organization, through_s3};
use super::units::Unit;
use super::writer::{ask, narrow};
use crate::assess::inputs::{LookupError, ScopeFacts};
use crate::model::datasets::LogBucket;
use crate::model::ids::AccountId;
use crate::policy::{
    Caller, Context, Holder, HolderKind, Layers, Outcome, Request, evaluate, is_out_of_question,
    who_can,
};

/// What reading logs asks of their key.
pub(super) const DECRYPT: &str = "kms:Decrypt";

/// Kinds of holders whose principals stand beside them one by one.
const STANDS_FOR_MANY: [&str; 4] = ["account", "everyone", "organization", "pattern"];

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
    /// `may_decrypt` is who may decrypt with the key, whatever the accounts of interest.
    pub(super) fn of(
        key: &KeyFacts,
        may_decrypt: &Holders,
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
        // Who has no policy of his own is not among the identities.
        let nobody = Layers {
            identity: Some(Vec::new()),
            ..bucket_layers.clone()
        };
        let anyone = Caller::Account(owner.to_string());
        let request = Request {
            caller: &anyone,
            action: "s3:GetObject",
            resource: &resource,
            context: &organization(Context::open(), &anyone, owner.as_str(), scope),
        };
        if *owner == key.arn.account_id
            && evaluate(&request, &nobody).outcome != Outcome::Denied
            && anyone_may(key, DECRYPT, scope) != Outcome::Denied
        {
            let what = format!("who else in account {owner} both policies let in");
            found.not_read.insert(what);
        }
        let (mut bucket_side, mut key_side) = (bucket_layers.clone(), key.layers.clone());
        let mut accounts: BTreeMap<AccountId, Arc<Identities>> = BTreeMap::new();
        // Of another account reads only who is let in by the bucket's policy.
        let let_in = who_can(
            "s3:GetObject",
            Some(&resource),
            &bucket_layers,
            &Context::open(),
        );
        let may_read = |account: &AccountId| {
            let is_let_in = |h: &Holder| {
                h.kind != HolderKind::Service
                    && h.account.as_deref().is_none_or(|a| a == account.as_str())
            };
            account == owner || let_in.iter().any(is_let_in)
        };
        let of_interest;
        let may_decrypt = if may_decrypt.means_many {
            of_interest = holders(key, DECRYPT, scope, find, &may_read)?;
            &of_interest.all
        } else {
            &may_decrypt.all
        };
        for holder in may_decrypt {
            found.not_read.extend(holder.not_named.iter().cloned());
            if STANDS_FOR_MANY.contains(&holder.kind) {
                continue;
            }
            // A service reads no bucket for itself.
            let Some(account) = &holder.account else {
                continue;
            };
            let identities = match accounts.get(account) {
                Some(known) => Arc::clone(known),
                None => {
                    let read = find(account)?;
                    accounts.insert(account.clone(), Arc::clone(&read));
                    read
                }
            };
            let unit = Unit::of(holder.business_unit.as_deref(), account, scope);
            let Some(identity) = identities.by_arn(&holder.who) else {
                // A session, or a principal whose row the run does not hold: its tag is not known,
                // and so it may be of any unit.
                found.all.push(Reader {
                    who: holder.who.clone(),
                    unit: Unit::default(),
                    surely: false,
                    depends_on: vec![format!("{READS_IDENTITIES} in account {account}")],
                });
                continue;
            };
            let action = "s3:GetObject";
            narrow(&mut bucket_side, identity);
            if is_out_of_question(&identity.caller, action, &resource, &bucket_side) {
                continue;
            }
            let context = organization(Context::open(), &identity.caller, owner.as_str(), scope)
                .with("aws:SecureTransport", "true")
                .deriving(&identity.caller, action, owner.as_str());
            let read = ask(identity, action, &resource, &bucket_side, &context);
            if read.outcome == Outcome::Denied {
                continue;
            }
            // Logs are read through S3, which asks the key on the reader's behalf.
            narrow(&mut key_side, identity);
            let decrypt: Vec<_> = through_s3(key, identity, DECRYPT, upload, scope)
                .iter()
                .map(|context| ask(identity, DECRYPT, &key.resource, &key_side, context))
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
