//! Who can use one key of one cluster, as rules ask it.

use std::sync::Arc;

use super::answers::{KeyAnswers, Use, Used};
use super::units::Unit;
use crate::assess::case::LogPlace;
use crate::assess::inputs::{AssessContext, LookupError, Lookups};
use crate::assess::key_use::{KeyUse, Standing, UsedAt};
use crate::model::datasets::{EmrCluster, LogBucket};
use crate::model::s3_location::S3Location;

/// What the policies say of a key that a cluster names.
pub(in crate::assess) struct Access {
    pub key: Arc<KeyAnswers>,
    /// One per bucket that logs go to under the key.
    pub uses: Vec<BucketUse>,
}

/// A bucket that logs go to.
pub(in crate::assess) struct BucketUse {
    pub bucket: String,
    pub row: Option<Arc<LogBucket>>,
    pub used: Arc<Used>,
}

impl Access {
    /// Asks for a described customer key; `None` for any other.
    pub fn gather(
        cluster: &EmrCluster,
        key: &KeyUse,
        place: &LogPlace,
        ctx: &AssessContext<'_>,
        lookups: &dyn Lookups,
    ) -> Result<Option<Self>, LookupError> {
        let Some(row) = key
            .described()
            .filter(|_| key.standing() == Standing::Customer)
        else {
            return Ok(None);
        };
        let answers = lookups.answers();
        let Some(known) = answers.of_key(row, ctx.scope, lookups)? else {
            return Ok(None);
        };
        let account = ctx.scope.accounts.get(&cluster.account_id);
        let tags = [
            cluster.business_unit.as_deref(),
            row.business_unit.as_deref(),
            account.and_then(|a| a.business_unit.as_deref()),
        ];
        let tag = tags.into_iter().flatten().find(|t| !t.trim().is_empty());
        let unit = Unit::of(tag, &cluster.account_id, ctx.scope);
        let mut uses = Vec::with_capacity(key.places.len());
        for at in &key.places {
            let UsedAt::Bucket(bucket) = at else { continue };
            let Some(location) = location(place, bucket.as_deref()) else {
                continue;
            };
            let asked = Use {
                key: &known,
                cluster,
                unit: &unit,
                place: &location,
                bucket: bucket.as_deref(),
            };
            let used = answers.of_use(&asked, ctx.scope, lookups)?;
            uses.push(BucketUse {
                bucket: location.bucket,
                row: bucket.clone(),
                used,
            });
        }
        Ok(Some(Self { key: known, uses }))
    }
}

/// The place itself where it is the one of `LogUri`, else the bucket as a whole.
fn location(place: &LogPlace, bucket: Option<&LogBucket>) -> Option<S3Location> {
    match (place, bucket) {
        (LogPlace::S3(location), Some(row)) if location.bucket == row.bucket => {
            Some(location.clone())
        }
        (_, Some(row)) => S3Location::parse(&format!("s3://{}/", row.bucket)),
        (LogPlace::S3(location), None) => Some(location.clone()),
        _ => None,
    }
}
