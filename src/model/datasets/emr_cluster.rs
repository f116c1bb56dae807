use crate::dataset;
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{Seen, Settings};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per cluster that is active now or ended since the watermark.
    pub struct EmrCluster: "emr_cluster" v 1, key [account_id, region, cluster_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: String = "j-…";
    /// Name given at launch.
    name: Option<String> = "text";
    /// State, as listed.
    state: String = "STARTING … TERMINATED_WITH_ERRORS";
    /// When the cluster was created.
    created_at: Option<UtcMillis> = "UTC";
    /// When it was ready to run steps.
    ready_at: Option<UtcMillis> = "UTC";
    /// When it ended.
    ended_at: Option<UtcMillis> = "UTC";
    /// EMR release, e.g. `emr-7.13.0`; old clusters have none.
    release_label: Option<String> = "text";
    /// `LogUri` without any credentials in it.
    log_uri: Option<String> = "URI";
    /// `LogEncryptionKmsKeyId` as AWS returned it, trimmed.
    log_key: Option<String> = "as given";
    /// Name of the security configuration the cluster was launched with.
    security_configuration: Option<String> = "name";
    /// The EMR service role.
    service_role: Option<String> = "name or ARN";
    /// The EC2 instance profile (not the role in it).
    instance_profile: Option<String> = "name or ARN";
    /// `LogTypeUploadPolicy` of system logs, where set.
    system_logs_upload: Option<String> = "emr-managed, on-customer-s3only, disabled";
    /// `LogTypeUploadPolicy` of application logs, where set.
    application_logs_upload: Option<String> = "emr-managed, on-customer-s3only, disabled";
    /// `LogTypeUploadPolicy` of persistent UI logs, where set.
    ui_logs_upload: Option<String> = "emr-managed, disabled";
    /// Owner, from the configured cluster tag.
    owner: Option<String> = "tag value";
    /// Cost centre, from the configured cluster tag.
    cost_center: Option<String> = "tag value";
    /// Business unit, from the configured cluster tag.
    business_unit: Option<String> = "tag value";
    /// Data classification, from the configured cluster tag.
    data_classification: Option<String> = "tag value";
    /// Lineage, from the configured cluster tag.
    lineage: Option<String> = "tag value";
    /// Whether this run saw the cluster.
    seen: Seen = "listed, vanished, not_seen";
    /// Where the settings come from.
    settings: Settings = "described, carried, deferred";
    /// Run that described the settings.
    described_in_run: Option<RunId> = "run id", volatile;
    /// When the settings were described.
    described_at: Option<UtcMillis> = "UTC", volatile;
}

impl EmrCluster {
    /// AWS's own meaning of an active cluster, TERMINATING included
    /// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-clusters.html>).
    pub fn is_active(&self) -> bool {
        is_active_state(&self.state)
    }
}

/// Whether a cluster state counts as active.
pub fn is_active_state(state: &str) -> bool {
    ACTIVE_STATES.contains(&state)
}

/// The five states of an active cluster.
pub const ACTIVE_STATES: [&str; 5] = [
    "STARTING",
    "BOOTSTRAPPING",
    "RUNNING",
    "WAITING",
    "TERMINATING",
];
