use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per Spark Connect session that EMR lists: where its logs go.
    pub struct EmrSession: "emr_session" v 1, key [account_id, region, cluster_id, session_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: String = "j-…";
    /// The session.
    session_id: String = "id";
    /// When the session was created.
    created_at: Option<UtcMillis> = "UTC";
    /// Whether logs go to S3; absent where nothing was set.
    s3_enabled: Option<bool> = "true or false";
    /// Where in S3, without any credentials in it.
    log_uri: Option<String> = "URI";
    /// `EncryptionKeyArn` of the S3 logs.
    s3_key: Option<String> = "as given";
    /// Whether logs go to CloudWatch; absent where nothing was set.
    cloudwatch_enabled: Option<bool> = "true or false";
    /// Log group, where one was named.
    log_group: Option<String> = "log group name";
    /// `EncryptionKeyArn` of CloudWatch logging. The log group's own key decides.
    cloudwatch_key: Option<String> = "as given";
    /// Whether EMR keeps logs itself; absent where nothing was set.
    managed_enabled: Option<bool> = "true or false";
    /// `EncryptionKeyArn` of the logs that EMR keeps.
    managed_key: Option<String> = "as given";
}
