//! What EMR and CloudWatch Logs tell of clusters and their logs, as far as it may be kept.

use super::Tag;
use crate::time::UtcMillis;

/// Which clusters ListClusters is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFilter {
    pub states: Vec<String>,
    pub created_after: Option<UtcMillis>,
}

/// One cluster of ListClusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCluster {
    pub id: String,
    pub name: Option<String>,
    pub state: String,
    pub created_at: Option<UtcMillis>,
    pub ready_at: Option<UtcMillis>,
    pub ended_at: Option<UtcMillis>,
}

/// DescribeCluster, only the fields that may be kept. `log_uri` is as AWS gave it: reading it
/// through `S3Location` drops credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedCluster {
    pub listed: ListedCluster,
    pub release_label: Option<String>,
    pub log_uri: Option<String>,
    pub log_key: Option<String>,
    pub security_configuration: Option<String>,
    pub service_role: Option<String>,
    pub instance_profile: Option<String>,
    pub system_logs_upload: Option<String>,
    pub application_logs_upload: Option<String>,
    pub ui_logs_upload: Option<String>,
    pub cloudwatch: CloudWatchLogging,
    pub application_logs: ApplicationLogs,
    pub session_enabled: Option<bool>,
    pub tags: Vec<Tag>,
}

/// `MonitoringConfiguration.CloudWatchLogConfiguration` of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudWatchLogging {
    pub enabled: Option<bool>,
    pub log_group: Option<String>,
    pub stream_prefix: Option<String>,
    pub key: Option<String>,
    /// `TYPE` or `TYPE/FILE`, sorted.
    pub log_types: Vec<String>,
}

/// The log destinations among the `Configurations` of a launch; nothing else of them may be kept. Places
/// are as AWS gave them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplicationLogs {
    /// `yarn.nodemanager.remote-app-log-dir`
    pub yarn_log_dir: Option<String>,
    /// `yarn.log-aggregation-enable`
    pub yarn_log_aggregation: Option<bool>,
    /// `spark.eventLog.dir`
    pub spark_event_log_dir: Option<String>,
    /// `spark.eventLog.enabled`
    pub spark_event_log_enabled: Option<bool>,
    /// `spark.history.fs.logDirectory`
    pub spark_history_dir: Option<String>,
}

/// One step of ListSteps, only the fields that may be kept. `log_uri` is as AWS gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedStep {
    pub id: String,
    pub state: Option<String>,
    pub created_at: Option<UtcMillis>,
    pub log_uri: Option<String>,
    pub log_key: Option<String>,
}

/// One session of ListSessions, only the fields that may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    pub id: String,
    pub created_at: Option<UtcMillis>,
    /// `place` is a URI as AWS gave it.
    pub s3: SessionLogs,
    /// `place` is a log group.
    pub cloudwatch: SessionLogs,
    /// Has no place.
    pub managed: SessionLogs,
}

/// One destination of a session's logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionLogs {
    pub enabled: Option<bool>,
    pub place: Option<String>,
    pub key: Option<String>,
}

/// One log group of DescribeLogGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedLogGroup {
    pub name: String,
    pub kms_key: Option<String>,
    pub created_at: Option<UtcMillis>,
}

/// One security configuration of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSecurityConfiguration {
    pub name: String,
    pub created_at: Option<UtcMillis>,
}

/// DescribeSecurityConfiguration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSecurityConfiguration {
    pub name: String,
    pub created_at: Option<UtcMillis>,
    /// The document as AWS returned it; only a projection of it is ever stored.
    pub document: String,
}
