use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Reencrypted;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per log bucket, key and S3 Batch Operations job, or pair of snapshots: how much of the
    /// historical logs was moved under which key. Counts grow from run to run until the job has ended; of
    /// the rows of a job that holds which knows most, of equals the newest.
    pub struct Reencryption: "reencryption" v 1, key [account_id, region, bucket, evidence, target_key];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account that owns the bucket.
    account_id: AccountId = "12 digits";
    /// Region of the bucket.
    region: Region = "Region";
    /// The bucket.
    bucket: String = "bucket name";
    /// What shows it: the id of a job, or of two snapshots.
    evidence: String = "job id, or UTC times of two snapshots with a slash between";
    /// How it was shown.
    shown_by: Reencrypted = "completion_report, job_counts, snapshots";
    /// The key that the versions lie under afterwards; empty where it is not known, as of two inventories,
    /// which say KMS and never which key.
    target_key: String = "ARN";
    /// Whether that key is a customer key that the organization wants; absent where nobody could tell.
    target_wanted: Option<bool> = "true or false";
    /// S3 operation of the job.
    operation: Option<String> = "S3UpdateObjectEncryption, S3PutObjectCopy";
    /// State of the job.
    status: Option<String> = "S3 Batch Operations job status";
    /// When the job was created, or the first snapshot taken.
    started_at: UtcMillis = "UTC";
    /// When the job ended, or the second snapshot was taken.
    ended_at: Option<UtcMillis> = "UTC";
    /// The same, for arithmetic.
    ended_ms: Option<i64> = "ms since 1970";
    /// Versions of the job, or that both snapshots show.
    versions_total: i64 = "versions";
    /// Versions moved from outside a wanted key to the target key, or to a KMS key that is not known.
    versions_moved: Option<i64> = "versions";
    /// Their bytes.
    bytes_moved: Option<i64> = "bytes";
    /// Versions moved from one wanted key to another: no progress.
    versions_rotated: Option<i64> = "versions";
    /// Their bytes.
    bytes_rotated: Option<i64> = "bytes";
    /// Versions that succeeded, but whose key before, or size, is not known.
    versions_unknown: Option<i64> = "versions";
    /// Versions that failed.
    versions_failed: Option<i64> = "versions";
    /// Why most of those failed.
    failure_code: Option<String> = "S3 error code";
    /// Bytes of older versions that a copy left under their old key.
    bytes_left_behind: Option<i64> = "bytes";
}
