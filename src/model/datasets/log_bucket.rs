use crate::dataset;
use crate::model::ids::{AccountId, Region, Sha256Hex};
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
    /// How GetBucketPolicy ended; `not_found` means that the bucket has none.
    policy_lookup: Lookup = "word";
    /// Error code where the policy could not be read.
    policy_error_code: Option<String> = "AWS error code";
    /// The bucket policy, its documented elements only, as canonical JSON.
    policy_json: Option<String> = "canonical JSON";
    /// SHA-256 of `policy_json`.
    policy_sha256: Option<Sha256Hex> = "hex";
    /// How the further settings below were read; the worst of them.
    settings_lookup: Lookup = "word";
    /// Object ownership.
    ownership: Option<String> = "BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter";
    /// Whether Object Lock is on.
    object_lock: Option<bool> = "true or false";
    /// Whether all four blocks of public access are on.
    public_access_blocked: Option<bool> = "true or false";
    /// Enabled lifecycle rules.
    lifecycle_rules: Option<i64> = "rules";
    /// Days after which some rule lets current objects expire; the smallest.
    expires_after_days: Option<i64> = "days";
    /// Enabled replication rules.
    replication_rules: Option<i64> = "rules";
    /// Buckets that replication writes to.
    replicates_to: Option<String> = "bucket ARNs, a space between";
    /// Inventory configurations that are on.
    inventories: Option<i64> = "configurations";
    /// Whether a metadata table configuration exists.
    metadata_table: Option<bool> = "true or false";
    /// When S3 was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
