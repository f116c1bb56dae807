use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per log prefix and way of encryption: how many objects and versions lie there so.
    pub struct LogObjectSummary: "log_object_summary" v 1, key [account_id, region, bucket, prefix, encryption, key_arn, is_latest];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account that owns the bucket.
    account_id: AccountId = "12 digits";
    /// Region of the bucket.
    region: Region = "Region";
    /// The bucket.
    bucket: String = "bucket name";
    /// Prefix that a cluster's `LogUri` names, with one slash at its end; empty for the whole bucket. An
    /// object counts under the longest that holds it.
    prefix: String = "prefix";
    /// How the objects are encrypted.
    encryption: String = "customer_key, aws_managed_key, kms_key_unknown, sse_s3, sse_c, none, unknown";
    /// The key, where the source names it.
    key_arn: Option<String> = "ARN";
    /// Current versions, or older ones.
    is_latest: bool = "true or false";
    /// Number of versions, without delete markers. 0 where there may be older versions that the source
    /// does not list.
    versions: i64 = "versions";
    /// Their sizes together; absent where the source does not tell them.
    bytes: Option<i64> = "bytes";
    /// Where the numbers come from.
    source: String = "inventory, metadata_table, listing";
    /// What moment they describe; absent for a listing, which takes as long as its cell.
    as_of_at: Option<UtcMillis> = "UTC";
    /// Whether every version below the prefix was counted. False where a listing was cut off by its bound,
    /// so that there are at least so many, and where the source does not list older versions.
    complete: Option<bool> = "true or false";
}
