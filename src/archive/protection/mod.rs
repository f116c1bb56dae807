//! How well a bucket protects the archive that it keeps, judged from what AWS says of it: pure.
//!
//! `aws` asks and fills [`BucketFacts`]; [`judge`] gives one row per check. A question that was
//! refused is UNKNOWN, never passed and never failed. What a run insists on is [`REQUIRED`]; the
//! other checks are recorded and refuse nothing: they depend on who runs the job, or on how long a
//! pilot shall last.
//!
//! - [`bucket_policy`]: statements that deny. - [`key_policy`]: who can use or end the key.

mod bucket_policy;
mod key_policy;
#[cfg(test)]
mod tests;

use super::store::Protection;
use crate::model::key_reference::KeyArn;
use crate::model::words::CheckOutcome::{self, Fail, NotApplicable, Pass, Unknown};

/// Checks whose failure refuses a run: without them evidence can be lost, changed or read by those
/// who should not.
pub const REQUIRED: [&str; 7] = [
    "create_only",
    "default_encryption",
    "delete_denied",
    "object_lock",
    "public_access_block",
    "tls_only",
    "versioning",
];

/// Whether a check's failure refuses a run.
pub fn is_required(check: &str) -> bool {
    REQUIRED.contains(&check)
}

/// What was answered, or why there is no answer.
pub type Answer<T> = Result<T, String>;

/// What AWS says of the bucket and of its default key.
#[derive(Debug, Clone)]
pub struct BucketFacts {
    /// `Enabled`, `Suspended`; none where versions were never kept.
    pub versioning: Answer<Option<String>>,
    /// None where Object Lock is off.
    pub lock: Answer<Option<BucketLock>>,
    pub encryption: Answer<DefaultEncryption>,
    /// The key that the default names, as KMS describes it; none where it names no customer's.
    pub key: Answer<Option<DefaultKey>>,
    /// Its policy document; none where there is no such key.
    pub key_policy: Answer<Option<String>>,
    /// The blocks that are off, of four.
    pub public_access_open: Answer<Vec<&'static str>>,
    /// Object Ownership, e.g. `BucketOwnerEnforced`.
    pub ownership: Answer<Option<String>>,
    /// The bucket policy document, where there is one.
    pub policy: Answer<Option<String>>,
}

/// Object Lock of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketLock {
    /// What new objects get that ask for nothing else: mode and days.
    pub default: Option<(String, u32)>,
}

/// Default encryption of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultEncryption {
    /// `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub algorithm: Option<String>,
    /// ARN, id or alias.
    pub key: Option<String>,
    pub bucket_key: Option<bool>,
}

impl DefaultEncryption {
    /// The key that the default names, where that may be a customer's.
    pub fn named_key(&self) -> Option<&str> {
        let kms = self.algorithm.as_deref()?.starts_with("aws:kms");
        let key = self.key.as_deref().filter(|_| kms)?;
        (!key.contains("alias/aws/")).then_some(key)
    }
}

/// A key as DescribeKey shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultKey {
    pub arn: String,
    /// `CUSTOMER` or `AWS`.
    pub manager: Option<String>,
    /// `Enabled`, `PendingDeletion` …
    pub state: Option<String>,
}

/// What the configuration wants of the bucket.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub bucket: &'a str,
    /// Beginning of the archive's object keys; empty for the whole bucket.
    pub prefix: &'a str,
    /// Key that objects are put under, where one is configured.
    pub kms_key: Option<&'a str>,
    /// Mode and days of each object's own lock, where configured.
    pub lock: Option<(&'a str, u32)>,
    /// How long evidence is to be kept; none where nobody said.
    pub retention_days: Option<u32>,
}

/// One row per check, in the order of their names.
pub fn judge(facts: &BucketFacts, wanted: &Wanted<'_>) -> Vec<Protection> {
    let mut all = vec![
        versioning(&facts.versioning),
        object_lock(&facts.lock, wanted),
        lock_covers_retention(&facts.lock, wanted),
        default_encryption(facts),
        configured_key(facts, wanted),
        bucket_key(&facts.encryption),
        key_state(facts),
        public_access_block(&facts.public_access_open),
        object_ownership(&facts.ownership),
    ];
    all.extend(bucket_policy::judge(
        &facts.policy,
        wanted.bucket,
        wanted.prefix,
    ));
    all.extend(key_policy::judge(facts));
    all.sort_by_key(|row| row.check);
    all
}

fn row(check: &'static str, outcome: CheckOutcome, detail: impl Into<String>) -> Protection {
    Protection {
        check,
        outcome,
        detail: detail.into(),
    }
}

/// The row of a check whose question has no answer.
fn unanswered(check: &'static str, why: &str) -> Protection {
    row(check, Unknown, why)
}

fn versioning(status: &Answer<Option<String>>) -> Protection {
    const CHECK: &str = "versioning";
    match status {
        Err(why) => unanswered(CHECK, why),
        Ok(Some(status)) if status == "Enabled" => row(CHECK, Pass, "versions are kept"),
        Ok(Some(status)) => row(CHECK, Fail, format!("versioning is {status}: enable it")),
        Ok(None) => row(CHECK, Fail, "versioning was never enabled: enable it"),
    }
}

/// The lock that an object gets: its own, else the bucket's default.
fn effective<'a>(lock: &'a BucketLock, wanted: &Wanted<'a>) -> Option<(&'a str, u32)> {
    let default = lock.default.as_ref();
    let default = default.map(|(mode, days)| (mode.as_str(), *days));
    wanted.lock.or(default)
}

fn object_lock(lock: &Answer<Option<BucketLock>>, wanted: &Wanted<'_>) -> Protection {
    const CHECK: &str = "object_lock";
    let lock = match lock {
        Err(why) => return unanswered(CHECK, why),
        Ok(None) => return row(CHECK, Fail, "Object Lock is off: enable it on the bucket"),
        Ok(Some(lock)) => lock,
    };
    match effective(lock, wanted) {
        Some((mode, days)) => {
            let whose = if wanted.lock.is_some() {
                "each object is locked"
            } else {
                "objects are locked by default"
            };
            let may_end = if mode == "GOVERNANCE" {
                "; whoever holds s3:BypassGovernanceRetention may end that"
            } else {
                ""
            };
            let detail = format!("{whose} for {days} days, {mode} mode{may_end}");
            row(CHECK, Pass, detail)
        }
        None => row(
            CHECK,
            Fail,
            "Object Lock is on, but neither the bucket nor archive_lock_days sets a retention",
        ),
    }
}

fn lock_covers_retention(lock: &Answer<Option<BucketLock>>, wanted: &Wanted<'_>) -> Protection {
    const CHECK: &str = "lock_covers_retention";
    let least = match (lock, wanted.retention_days) {
        (_, None) => return row(CHECK, NotApplicable, "no retention is configured"),
        (Err(why), _) => return unanswered(CHECK, why),
        (_, Some(days)) => days,
    };
    let locked = lock.iter().flatten().find_map(|l| effective(l, wanted));
    let days = locked.map_or(0, |(_, days)| days);
    if days >= least {
        let detail = format!("locked for {days} days, to be kept for {least}");
        row(CHECK, Pass, detail)
    } else {
        let detail = format!(
            "evidence is to be kept for {least} days and is locked for {days}: after the pilot, \
             raise archive_lock_days or the bucket's default"
        );
        row(CHECK, Fail, detail)
    }
}

fn default_encryption(facts: &BucketFacts) -> Protection {
    const CHECK: &str = "default_encryption";
    let default = match &facts.encryption {
        Err(why) => return unanswered(CHECK, why),
        Ok(default) => default,
    };
    let Some(named) = default.named_key() else {
        let detail = match default.algorithm.as_deref() {
            Some(kms) if kms.starts_with("aws:kms") => {
                "the default is the AWS managed key aws/s3: set a customer managed key".to_owned()
            }
            other => format!(
                "the default is {}: set a customer managed KMS key",
                other.unwrap_or("not set")
            ),
        };
        return row(CHECK, Fail, detail);
    };
    match &facts.key {
        Err(why) => unanswered(CHECK, &format!("key {named}: {why}")),
        Ok(None) => unanswered(CHECK, &format!("key {named} was not described")),
        Ok(Some(key)) => match key.manager.as_deref() {
            Some("CUSTOMER") => {
                let detail = format!("the default is customer managed key {}", key.arn);
                row(CHECK, Pass, detail)
            }
            Some(other) => {
                let detail = format!("the default key {} is managed by {other}", key.arn);
                row(CHECK, Fail, detail)
            }
            None => {
                let detail = format!("KMS does not say who manages {}", key.arn);
                row(CHECK, Unknown, detail)
            }
        },
    }
}

/// The key of the bucket's default, or the row that stands in its place: without such a key there is
/// nothing to check.
fn default_key<'a>(
    check: &'static str,
    facts: &'a BucketFacts,
) -> Result<&'a DefaultKey, Protection> {
    let none = || {
        let detail = "the bucket's default names no customer managed key";
        row(check, NotApplicable, detail)
    };
    let default = facts.encryption.as_ref();
    let default = default.map_err(|why| unanswered(check, why))?;
    default.named_key().ok_or_else(none)?;
    let key = facts.key.as_ref().map_err(|why| unanswered(check, why))?;
    key.as_ref().ok_or_else(none)
}

/// Objects go under the configured key, whatever the default is; what others put there follows the
/// default.
fn configured_key(facts: &BucketFacts, wanted: &Wanted<'_>) -> Protection {
    const CHECK: &str = "configured_key";
    let Some(configured) = wanted.kms_key else {
        let detail = "archive_kms_key is not set: objects follow the bucket's default";
        return row(CHECK, NotApplicable, detail);
    };
    let key = match default_key(CHECK, facts) {
        Err(row) => return row,
        Ok(key) => key,
    };
    let is_arn = KeyArn::parse(configured).is_some_and(|arn| !arn.is_alias());
    if configured == key.arn || key.arn.ends_with(&format!(":key/{configured}")) {
        row(CHECK, Pass, "the default key is the configured one")
    } else if is_arn || !configured.contains("alias/") {
        let detail = format!(
            "objects are put under {configured}, and the bucket's default is {}",
            key.arn
        );
        row(CHECK, Fail, detail)
    } else {
        let detail = format!("{configured} is an alias: set the key's ARN to have them compared");
        row(CHECK, Unknown, detail)
    }
}

fn bucket_key(encryption: &Answer<DefaultEncryption>) -> Protection {
    const CHECK: &str = "bucket_key";
    match encryption {
        Err(why) => unanswered(CHECK, why),
        Ok(default) if default.bucket_key == Some(true) => {
            row(CHECK, Pass, "the Bucket Key is on: few calls to KMS")
        }
        Ok(default) if default.named_key().is_none() => {
            row(CHECK, NotApplicable, "the default is no customer key")
        }
        Ok(_) => row(CHECK, Fail, "each object asks KMS: turn the Bucket Key on"),
    }
}

/// A lock does not guard the key: without it, locked objects cannot be read.
fn key_state(facts: &BucketFacts) -> Protection {
    const CHECK: &str = "key_state";
    let key = match default_key(CHECK, facts) {
        Err(row) => return row,
        Ok(key) => key,
    };
    match key.state.as_deref() {
        Some("Enabled") => row(CHECK, Pass, "the default key is enabled"),
        Some("PendingDeletion" | "PendingReplicaDeletion") => {
            let detail = format!(
                "{} is to be deleted, and the evidence with it: cancel that",
                key.arn
            );
            row(CHECK, Fail, detail)
        }
        Some(state) => row(CHECK, Fail, format!("{} is {state}: enable it", key.arn)),
        None => row(CHECK, Unknown, "KMS does not say whether it is enabled"),
    }
}

fn public_access_block(open: &Answer<Vec<&'static str>>) -> Protection {
    const CHECK: &str = "public_access_block";
    match open {
        Err(why) => unanswered(CHECK, why),
        Ok(open) if open.is_empty() => row(CHECK, Pass, "all public access is blocked"),
        Ok(open) => {
            let detail = format!(
                "the bucket does not block public access (its account may): set {}",
                open.join(", ")
            );
            row(CHECK, Fail, detail)
        }
    }
}

fn object_ownership(ownership: &Answer<Option<String>>) -> Protection {
    const CHECK: &str = "object_ownership";
    match ownership {
        Err(why) => unanswered(CHECK, why),
        Ok(Some(rule)) if rule == "BucketOwnerEnforced" => {
            row(CHECK, Pass, "the bucket's owner owns every object")
        }
        Ok(rule) => {
            let detail = format!(
                "object ownership is {}, so that writers may own objects: set BucketOwnerEnforced",
                rule.as_deref().unwrap_or("not set")
            );
            row(CHECK, Fail, detail)
        }
    }
}
