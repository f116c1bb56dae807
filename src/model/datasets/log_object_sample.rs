use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Lookup;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per sampled log object: how it is encrypted, by its own headers; nothing of its content.
    pub struct LogObjectSample: "log_object_sample" v 1, key [account_id, region, cluster_id, bucket, object_sha256];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster that wrote it.
    cluster_id: String = "j-…";
    /// Bucket of the object.
    bucket: String = "bucket name";
    /// SHA-256 of the object's key: names of log files can carry what users typed. Empty in the one row
    /// of a cluster of which no object was reached.
    object_sha256: String = "hex";
    /// How the look ended; `not_found` without an object means that none is there.
    lookup: Lookup = "word";
    /// Error code of the refusal or failure; `sse_c_suspected` where S3 would want the object's own key.
    error_code: Option<String> = "AWS error code";
    /// `ServerSideEncryption`.
    algorithm: Option<String> = "AES256, aws:kms, …";
    /// `SSEKMSKeyId`.
    key_arn: Option<String> = "ARN";
    /// `BucketKeyEnabled`.
    bucket_key: Option<bool> = "true or false";
    /// When the object was written.
    last_modified_at: Option<UtcMillis> = "UTC";
    /// Size of the object.
    bytes: Option<i64> = "bytes";
    /// When S3 was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
