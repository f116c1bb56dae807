use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Lookup;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per CloudWatch log group that a cluster or a session names.
    pub struct LogGroup: "log_group" v 1, key [account_id, region, log_group];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the group, which is the cluster's.
    account_id: AccountId = "12 digits";
    /// Region of the group, which is the cluster's.
    region: Region = "Region";
    /// The group.
    log_group: String = "log group name";
    /// How DescribeLogGroups ended.
    lookup: Lookup = "word";
    /// Error code of the refusal or failure.
    error_code: Option<String> = "AWS error code";
    /// IAM action that was refused.
    denied_action: Option<String> = "logs:Action";
    /// The group's own `kmsKeyId`; absent means CloudWatch's own encryption. It covers only what was
    /// ingested after it was set.
    kms_key: Option<String> = "key ARN";
    /// When the group was created.
    created_at: Option<UtcMillis> = "UTC";
    /// When CloudWatch Logs was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
