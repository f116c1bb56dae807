use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per CloudTrail trail that an account shows in its home Region: whether launches were
    /// recorded at all.
    pub struct Trail: "trail" v 1, key [account_id, region, trail_arn];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account that was asked.
    account_id: AccountId = "12 digits";
    /// Home Region of the trail.
    region: Region = "Region";
    /// The trail.
    trail_arn: String = "ARN";
    /// Whether it records every Region.
    multi_region: Option<bool> = "true or false";
    /// Whether it records every account of the organization.
    organization: Option<bool> = "true or false";
    /// Whether digests are written.
    log_file_validation: Option<bool> = "true or false";
    /// Whether it records management events that write.
    management_writes: Option<bool> = "true or false";
    /// Whether it is recording now.
    logging: Option<bool> = "true or false";
    /// Last time that recording began.
    started_logging_at: Option<UtcMillis> = "UTC";
    /// Last time that recording ended.
    stopped_logging_at: Option<UtcMillis> = "UTC";
    /// Last delivery to the bucket.
    latest_delivery_at: Option<UtcMillis> = "UTC", volatile;
    /// Error of the last delivery.
    latest_delivery_error: Option<String> = "AWS error code";
    /// Bucket of the trail.
    bucket: Option<String> = "bucket name";
    /// Prefix in that bucket.
    prefix: Option<String> = "prefix";
    /// Key that the files lie under.
    kms_key: Option<String> = "ARN";
}

impl Trail {
    /// Whether it is the account's own. That of the organization is the management account's to tell of.
    pub fn is_own(&self) -> bool {
        self.trail_arn.split(':').nth(4) == Some(self.account_id.as_str())
    }
}
