//! The organization as plain data, deterministic from [`Options`]; pure.
//!
//! - [`organization`]: units, accounts, and what each account lets an audit do.
//! - [`scenario`]: the stories that clusters tell, each with its stated truth.
//! - [`account_region`]: keys, security configurations and clusters of one account in one Region.
//! - [`beside`]: where logs go beside `LogUri`.
//! - [`buckets`], [`bucket_settings`]: log buckets and the evidence bucket.
//! - [`identities`]: roles, users and policies of an account; [`access`]: what they and the key
//!   policies let a cluster do.
//! - [`log_objects`]: what clusters wrote to their log buckets; [`history`]: what lies there from before,
//!   and what was done to it.
//! - [`launches`], [`trails`]: what CloudTrail remembers; [`trail_files`]: what it delivered to S3;
//!   [`launch_truth`]: what an audit should record of it.
//! - [`truth`]: what a run at an instant should find.
//! - [`turns`]: what happens in an organization in the course of a quarter; [`quarter`]: what the
//!   measures of it should be.
//!
//! All times are milliseconds since the Unix epoch. Nothing changes but the clock: a cluster's
//! state and a key's state are functions of the instant that is asked for.

pub mod access;
pub mod account_region;
pub mod beside;
pub mod bucket_settings;
pub mod buckets;
mod builder;
pub mod clusters;
pub mod copies;
pub mod history;
pub mod identities;
mod key_policies;
pub mod key_rules;
pub mod keys;
pub mod launch_truth;
pub mod launches;
mod lifetimes;
pub mod log_objects;
mod options;
pub mod organization;
pub mod quarter;
mod recipes;
pub mod regions;
mod rng;
pub mod scenario;
mod secrets;
mod security_audit;
pub mod security_configurations;
pub mod trail_files;
pub mod trails;
pub mod truth;
mod turns;

pub use buckets::{Bucket, BucketEncryption};
pub use options::Options;
pub use truth::Truth;

use std::collections::HashMap;

use account_region::AccountRegion;
use buckets::BucketKind;
use keys::Purpose;
use organization::{Account, Organization};
use secrets::Planter;

pub(crate) use secrets::marker;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A generated organization with everything in it.
#[derive(Debug, Clone)]
pub struct World {
    pub options: Options,
    pub organization: Organization,
    /// In the order in which Organizations lists them; the management account is the first.
    pub accounts: Vec<Account>,
    /// Regions that host clusters.
    pub regions: Vec<&'static str>,
    /// An account outside the organization that owns keys and buckets.
    pub foreign_account: String,
    /// Sorted by name.
    pub buckets: Vec<Bucket>,
    log_archive_account: String,
    account_regions: Vec<AccountRegion>,
    /// `account/region` to its index.
    places: HashMap<String, usize>,
    /// Account id to its index.
    account_index: HashMap<String, usize>,
    /// Owner to the indices of its buckets.
    bucket_index: HashMap<String, Vec<usize>>,
    planted: u32,
}

impl World {
    /// Lets a cluster end at another time than generated; false where there is none of that id.
    pub fn end_cluster(&mut self, id: &str, at_ms: i64) -> bool {
        let mut all = self.account_regions.iter_mut();
        all.any(|here| here.end_cluster(id, at_ms))
    }

    /// Generates the organization. Equal options give equal worlds.
    pub fn generate(options: &Options) -> Self {
        let regions = regions::hosting(options.regions);
        let mut planter = Planter::default();
        let (organization, accounts) = organization::generate(options, &regions, &mut planter);
        let mut builder =
            builder::Builder::new(options, &accounts, &organization.suffix, &regions, planter);
        builder.build();

        let planted = builder.planter.planted();
        let log_archive_account = std::mem::take(&mut builder.log_archive_account);
        let foreign_account = std::mem::take(&mut builder.foreign_account);
        let account_regions = std::mem::take(&mut builder.account_regions);
        let mut buckets = std::mem::take(&mut builder.buckets);
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        let place = |here: &AccountRegion| format!("{}/{}", here.account_id, here.region);
        let mut bucket_index: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, bucket) in buckets.iter().enumerate() {
            let of = bucket_index.entry(bucket.account_id.clone()).or_default();
            of.push(index);
        }
        Self {
            places: account_regions.iter().map(place).zip(0..).collect(),
            account_index: accounts
                .iter()
                .map(|account| account.id.clone())
                .zip(0..)
                .collect(),
            options: options.clone(),
            organization,
            accounts,
            regions,
            foreign_account,
            buckets,
            bucket_index,
            log_archive_account,
            account_regions,
            planted,
        }
    }

    /// An account of the organization.
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.account_index
            .get(id)
            .map(|index| &self.accounts[*index])
    }

    /// What an account owns in a Region; `None` where it owns nothing.
    pub fn account_region(&self, account: &str, region: &str) -> Option<&AccountRegion> {
        let index = self.places.get(&format!("{account}/{region}"))?;
        Some(&self.account_regions[*index])
    }

    /// Roles, users, groups and policies of an account of the organization.
    pub fn identities(&self, account: &str) -> Option<identities::Identities> {
        let found = self.account(account)?;
        // In a small organization no account is old.
        let is_archive = account == self.log_archive_account && self.accounts.len() >= 6;
        Some(identities::Identities::of(
            self.options.seed,
            found,
            is_archive,
        ))
    }

    /// Everything regional, in no meaningful order but always the same.
    pub fn account_regions(&self) -> &[AccountRegion] {
        &self.account_regions
    }

    /// The bucket of a name, whoever owns it.
    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        let index = self
            .buckets
            .binary_search_by(|bucket| bucket.name.as_str().cmp(name))
            .ok()?;
        Some(&self.buckets[index])
    }

    /// Buckets that an account owns, by name.
    pub fn buckets_of(&self, account: &str) -> Vec<&Bucket> {
        let of = self.bucket_index.get(account).into_iter().flatten();
        of.map(|index| &self.buckets[*index]).collect()
    }

    /// The account that owns the organization; its user may list accounts and assume roles.
    pub fn management_account(&self) -> &str {
        &self.organization.management_account
    }

    /// The account that owns the central log buckets, their keys and the evidence.
    pub fn log_archive_account(&self) -> &str {
        &self.log_archive_account
    }

    /// The evidence bucket: Object Lock, versions, SSE-KMS by default.
    pub fn archive_bucket(&self) -> &Bucket {
        let found = self
            .buckets
            .iter()
            .find(|bucket| bucket.kind == BucketKind::Archive);
        found.expect("every world has an evidence bucket")
    }

    /// The evidence bucket, to be set up otherwise.
    pub fn archive_bucket_mut(&mut self) -> &mut Bucket {
        let found = self
            .buckets
            .iter_mut()
            .find(|bucket| bucket.kind == BucketKind::Archive);
        found.expect("every world has an evidence bucket")
    }

    /// Name of the bucket that the organization's trail delivers to.
    pub fn trail_bucket(&self) -> &str {
        // Asked for with every event, and an organization may have as many buckets as accounts.
        let mut own = self.buckets_of(&self.log_archive_account).into_iter();
        let found = own.find(|bucket| bucket.kind == BucketKind::Trail);
        &found.expect("every world has a trail").name
    }

    /// ARN of the symmetric key that encrypts the evidence bucket.
    pub fn archive_key_arn(&self) -> String {
        self.archive_region_key(Purpose::Archive)
    }

    /// ARN of the P-256 key that signs seals.
    pub fn signing_key_arn(&self) -> String {
        self.archive_region_key(Purpose::Signing)
    }

    fn archive_region_key(&self, purpose: Purpose) -> String {
        let here = self.account_region(&self.log_archive_account, self.regions[0]);
        let key = here.and_then(|here| here.keys.iter().find(|key| key.purpose == purpose));
        key.expect("every world has the keys of its evidence").arn()
    }

    /// Every marker that stands in a field which an audit must not store.
    pub fn planted_secrets(&self) -> Vec<String> {
        (1..=self.planted).map(marker).collect()
    }

    /// When the audit of a simulated day is expected: 02:00 UTC.
    pub fn audit_ms(&self, day: u32) -> i64 {
        self.options.at(i64::from(day), 120)
    }
}

#[cfg(test)]
mod tests;
