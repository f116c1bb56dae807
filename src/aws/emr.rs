//! EMR: clusters and security configurations. Only the allow-listed fields are taken out of an
//! answer; step arguments, configurations and reasons stay behind.

use aws_sdk_emr::types;

use crate::aws::emr_channels;
use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::collect::api::{
    ApiError, DescribedCluster, ListedCluster, ListedSecurityConfiguration, Page, Tag,
};

pub(super) fn clusters(
    asked: Asked<'_>,
    given: Option<Vec<types::ClusterSummary>>,
    marker: Option<String>,
) -> Result<Page<ListedCluster>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|cluster| listed(asked, cluster.id, cluster.name, cluster.status))
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(marker),
    })
}

fn listed(
    asked: Asked<'_>,
    id: Option<String>,
    name: Option<String>,
    status: Option<types::ClusterStatus>,
) -> Result<ListedCluster, ApiError> {
    let id = text(id).ok_or_else(|| asked.unreadable("a cluster without an id"))?;
    let status = status.ok_or_else(|| asked.unreadable("a cluster without a status"))?;
    let state = status
        .state
        .ok_or_else(|| asked.unreadable("a cluster without a state"))?;
    let times = status.timeline;
    let at = |pick: fn(&types::ClusterTimeline) -> Option<aws_sdk_emr::primitives::DateTime>| {
        millis(asked, times.as_ref().and_then(pick))
    };
    Ok(ListedCluster {
        id,
        name,
        state: state.as_str().to_owned(),
        created_at: at(|t| t.creation_date_time)?,
        ready_at: at(|t| t.ready_date_time)?,
        ended_at: at(|t| t.end_date_time)?,
    })
}

pub(super) fn cluster(
    asked: Asked<'_>,
    given: Option<types::Cluster>,
) -> Result<DescribedCluster, ApiError> {
    let given = given.ok_or_else(|| asked.unreadable("no cluster in the answer"))?;
    let (s3, cloudwatch) = match given.monitoring_configuration {
        Some(m) => (m.s3_logging_configuration, m.cloud_watch_log_configuration),
        None => (None, None),
    };
    let uploads = s3
        .and_then(|s3| s3.log_type_upload_policy)
        .unwrap_or_default();
    let upload = |log: types::LogType| uploads.get(&log).map(|policy| policy.as_str().to_owned());
    Ok(DescribedCluster {
        listed: listed(asked, given.id, given.name, given.status)?,
        release_label: text(given.release_label),
        log_uri: text(given.log_uri),
        log_key: text(given.log_encryption_kms_key_id),
        security_configuration: text(given.security_configuration),
        service_role: text(given.service_role),
        instance_profile: text(
            given
                .ec2_instance_attributes
                .and_then(|ec2| ec2.iam_instance_profile),
        ),
        system_logs_upload: upload(types::LogType::SystemLogs),
        application_logs_upload: upload(types::LogType::ApplicationLogs),
        ui_logs_upload: upload(types::LogType::PersistentUiLogs),
        cloudwatch: emr_channels::cloudwatch(cloudwatch),
        application_logs: emr_channels::application_logs(given.configurations),
        session_enabled: given.session_enabled,
        tags: given
            .tags
            .unwrap_or_default()
            .into_iter()
            .filter_map(|tag| {
                Some(Tag {
                    name: tag.key?,
                    value: tag.value.unwrap_or_default(),
                })
            })
            .collect(),
    })
}

pub(super) fn security_configurations(
    asked: Asked<'_>,
    given: Option<Vec<types::SecurityConfigurationSummary>>,
    marker: Option<String>,
) -> Result<Page<ListedSecurityConfiguration>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|configuration| {
            Ok(ListedSecurityConfiguration {
                name: configuration
                    .name
                    .ok_or_else(|| asked.unreadable("a security configuration without a name"))?,
                created_at: millis(asked, configuration.creation_date_time)?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(marker),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::operation::Operation;
    use crate::time::UtcMillis;
    use aws_sdk_emr::primitives::DateTime;

    const ASKED: Asked<'_> = Asked {
        operation: Operation::DescribeCluster,
        account: "111122223333",
        region: "eu-west-1",
    };

    /// `json!(at_ms / 1000.0)` and back, for every millisecond of a second.
    #[test]
    fn instants_do_not_lose_a_millisecond() {
        for ms in 1_786_057_200_000..1_786_057_201_000_i64 {
            let at = DateTime::from_secs_f64(ms as f64 / 1_000.0);
            assert_eq!(millis(ASKED, Some(at)), Ok(Some(UtcMillis(ms))));
        }
    }

    fn status() -> types::ClusterStatus {
        types::ClusterStatus::builder()
            .state(types::ClusterState::Waiting)
            .timeline(
                types::ClusterTimeline::builder()
                    .creation_date_time(DateTime::from_secs_f64(1_795_485_603.5))
                    .build(),
            )
            .build()
    }

    #[test]
    fn the_log_settings_are_read() {
        let policy = types::S3LoggingConfiguration::builder()
            .log_type_upload_policy(
                types::LogType::SystemLogs,
                types::LogUploadPolicyValue::Disabled,
            )
            .log_type_upload_policy(
                types::LogType::PersistentUiLogs,
                types::LogUploadPolicyValue::from("new-in-2027"),
            )
            .build();
        let given = types::Cluster::builder()
            .id("j-1")
            .status(status())
            .log_uri("s3n://logs/")
            .log_encryption_kms_key_id("  ")
            .ec2_instance_attributes(
                types::Ec2InstanceAttributes::builder()
                    .iam_instance_profile("nodes")
                    .build(),
            )
            .monitoring_configuration(
                types::MonitoringConfiguration::builder()
                    .s3_logging_configuration(policy)
                    .build(),
            )
            .tags(types::Tag::builder().key("owner").build())
            .build();
        let read = cluster(ASKED, Some(given)).expect("cluster");
        assert_eq!(read.listed.state, "WAITING");
        assert_eq!(read.listed.created_at, Some(UtcMillis(1_795_485_603_500)));
        assert_eq!(read.log_key, None);
        assert_eq!(read.instance_profile.as_deref(), Some("nodes"));
        assert_eq!(read.system_logs_upload.as_deref(), Some("disabled"));
        assert_eq!(read.application_logs_upload, None);
        assert_eq!(read.ui_logs_upload.as_deref(), Some("new-in-2027"));
        assert_eq!(read.tags[0].name, "owner");
    }

    #[test]
    fn what_a_cluster_must_have_is_demanded() {
        let without_id = types::Cluster::builder().status(status()).build();
        let without_status = types::Cluster::builder().id("j-1").build();
        let without_state = types::Cluster::builder()
            .id("j-1")
            .status(types::ClusterStatus::builder().build())
            .build();
        let beyond_time = types::Cluster::builder()
            .id("j-1")
            .status(
                types::ClusterStatus::builder()
                    .state(types::ClusterState::Running)
                    .timeline(
                        types::ClusterTimeline::builder()
                            .creation_date_time(DateTime::from_secs(i64::MAX))
                            .build(),
                    )
                    .build(),
            )
            .build();
        for given in [
            None,
            Some(without_id),
            Some(without_status),
            Some(without_state),
            Some(beyond_time),
        ] {
            let error = cluster(ASKED, given).expect_err("not readable");
            assert_eq!(error.code, "Unreadable");
        }
    }
}
