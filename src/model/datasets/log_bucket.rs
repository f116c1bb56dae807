use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Lookup;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per bucket that a cluster sends logs to.
    pub struct LogBucket: "log_bucket" v 1, key [account_id, region, bucket];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account that owns the bucket; absent where no account of the scope lists it.
    account_id: Option<AccountId> = "12 digits";
    /// Region of the bucket.
    region: Option<Region> = "Region";
    /// The bucket.
    bucket: String = "bucket name";
    /// How the look-up ended.
    lookup: Lookup = "word";
    /// Error code of the refusal or failure; under `owner_unknown`, of an account that could not be
    /// asked for its buckets.
    error_code: Option<String> = "AWS error code";
    /// IAM action that was refused.
    denied_action: Option<String> = "s3:Action";
    /// Algorithm of the bucket's default encryption.
    default_algorithm: Option<String> = "AES256, aws:kms, …";
    /// Key of the bucket's default encryption; absent means the AWS managed key under `aws:kms`.
    default_key: Option<String> = "as given";
    /// Whether S3 Bucket Keys are on.
    bucket_key: Option<bool> = "true or false";
    /// Versioning status; absent when it was never turned on.
    versioning: Option<String> = "Enabled, Suspended";
    /// When S3 was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
