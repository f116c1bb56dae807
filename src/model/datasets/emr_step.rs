use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per step that has a log place or a log key of its own.
    pub struct EmrStep: "emr_step" v 1, key [account_id, region, cluster_id, step_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: String = "j-…";
    /// The step.
    step_id: String = "s-…";
    /// When the step was created.
    created_at: Option<UtcMillis> = "UTC";
    /// The step's own `LogUri` without any credentials in it; absent: the cluster's.
    log_uri: Option<String> = "URI";
    /// The step's own `EncryptionKeyArn`; absent: the cluster's.
    log_key: Option<String> = "as given";
}
