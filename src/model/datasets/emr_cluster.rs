use crate::dataset;
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{Lookup, Seen, Settings};
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
    /// Whether logs are sent to CloudWatch; absent where nothing was set.
    cloudwatch_enabled: Option<bool> = "true or false";
    /// Log group for CloudWatch logging, where one was named; else EMR uses `/aws/emr/<cluster id>`.
    cloudwatch_log_group: Option<String> = "log group name";
    /// Prefix of the log streams, where set.
    cloudwatch_stream_prefix: Option<String> = "text";
    /// `EncryptionKeyArn` of CloudWatch logging. The log group's own key decides.
    cloudwatch_key: Option<String> = "as given";
    /// Log types that are sent to CloudWatch, where chosen.
    cloudwatch_log_types: Option<String> = "TYPE or TYPE/FILE, a space between";
    /// `yarn.nodemanager.remote-app-log-dir` at launch, without any credentials in it.
    yarn_log_dir: Option<String> = "URI";
    /// `yarn.log-aggregation-enable` at launch; EMR's own default is true.
    yarn_log_aggregation: Option<bool> = "true or false";
    /// `spark.eventLog.dir` at launch, without any credentials in it.
    spark_event_log_dir: Option<String> = "URI";
    /// `spark.eventLog.enabled` at launch; EMR's own default is true.
    spark_event_log_enabled: Option<bool> = "true or false";
    /// `spark.history.fs.logDirectory` at launch, without any credentials in it.
    spark_history_dir: Option<String> = "URI";
    /// Whether Spark Connect sessions are enabled; absent on releases without them.
    session_enabled: Option<bool> = "true or false";
    /// How ListSteps ended; absent where it was not asked.
    steps_lookup: Option<Lookup> = "word";
    /// Error code of its refusal or failure.
    steps_error_code: Option<String> = "AWS error code";
    /// Steps that the cluster was given so far.
    steps: Option<i64> = "steps";
    /// The newest step such that it and all older ones had ended: ListSteps need not go beyond it.
    steps_settled_id: Option<String> = "s-…";
    /// Number of steps up to that one.
    steps_settled: Option<i64> = "steps";
    /// How ListSessions ended; absent where sessions are not enabled.
    sessions_lookup: Option<Lookup> = "word";
    /// Error code of its refusal or failure.
    sessions_error_code: Option<String> = "AWS error code";
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
    /// Version of the program's model of EMR that the settings were described by. A carried row of an
    /// older one lacks what the newer one reads, so a live cluster is described again.
    emr_model: Option<i64> = "number";
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

    /// The log group of CloudWatch logging, where it is on
    /// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-logging-cw.html>).
    pub fn log_group(&self) -> Option<String> {
        (self.cloudwatch_enabled == Some(true)).then(|| {
            let named = self.cloudwatch_log_group.clone();
            named.unwrap_or_else(|| format!("/aws/emr/{}", self.cluster_id))
        })
    }
}

impl EmrCluster {
    /// Where applications send logs to S3 themselves, as set at launch: property and URI, each URI once.
    /// YARN aggregation and Spark event logs are on unless a launch turns them off; the history server
    /// reads where Spark writes.
    pub fn application_log_dirs(&self) -> Vec<(&'static str, &str)> {
        let yarn_on = self.yarn_log_aggregation != Some(false);
        let spark_on = self.spark_event_log_enabled != Some(false);
        let all = [
            (
                yarn_on,
                "yarn.nodemanager.remote-app-log-dir",
                &self.yarn_log_dir,
            ),
            (spark_on, "spark.eventLog.dir", &self.spark_event_log_dir),
            (
                spark_on,
                "spark.history.fs.logDirectory",
                &self.spark_history_dir,
            ),
        ];
        let mut dirs: Vec<(&str, &str)> = Vec::new();
        for (on, property, uri) in all {
            let Some(uri) = uri.as_deref().filter(|_| on) else {
                continue;
            };
            // Everything else (hdfs, local files) stays on the cluster.
            let to_s3 = uri.get(..2).is_some_and(|s| s.eq_ignore_ascii_case("s3"));
            if to_s3 && dirs.iter().all(|(_, known)| *known != uri) {
                dirs.push((property, uri));
            }
        }
        dirs
    }
}

/// Version of what is read of a cluster. Raised when a column of settings is added to `emr_cluster`.
pub const EMR_MODEL: i64 = 2;

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
