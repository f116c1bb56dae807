use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::text::Text;
use crate::model::words::Encryption;
use crate::time::Date;

dataset! {
    /// One row per place that a cluster's logs go to.
    pub struct Channel: "channel" v 1, key [account_id, region, cluster_id, channel, destination, requested_key];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: Text = "j-…";
    /// Channel of the design: C1 is cluster logs archived to LogUri, C2 logs of steps with settings of
    /// their own, C3 logs that EMR retains itself, C4 persistent UI logs, C5 CloudWatch, C6 logs of
    /// sessions, C7 logs that applications send to S3 themselves.
    channel: Text = "C1 … C7";
    /// Where the logs go; empty for storage that belongs to AWS.
    destination: Text = "URI without credentials, or log group name";
    /// Bucket of the destination.
    destination_bucket: Option<Text> = "bucket name";
    /// Key as the setting names it.
    requested_key: Option<Text> = "as given";
    /// The same key, qualified with account and Region.
    key_reference: Option<Text> = "key or alias ARN";
    /// The key that the reference stood for when it was looked up.
    key_arn: Option<Text> = "key ARN";
    /// How what is written is encrypted, as far as facts prove it.
    effective_encryption: Encryption = "customer_key, aws_managed_key, sse_s3, unknown, none";
    /// How many steps or sessions write there so; absent for other channels.
    sources: Option<i64> = "steps or sessions";
    /// Which fact says so. `…_as_launched`: as set at launch; a later reconfiguration of instance groups
    /// is not visible.
    basis: Text = "word";
}
