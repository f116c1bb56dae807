//! EMR: where logs go beside `LogUri`: CloudWatch, applications, steps, sessions. Of configurations,
//! steps and sessions only the allow-listed fields are taken; arguments and properties stay behind.

use aws_sdk_emr::types;

use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::collect::api::{
    ApiError, ApplicationLogs, CloudWatchLogging, ListedSession, ListedStep, Page, SessionLogs,
};

pub(super) fn cloudwatch(given: Option<types::CloudWatchLogConfiguration>) -> CloudWatchLogging {
    let Some(given) = given else {
        return CloudWatchLogging::default();
    };
    let mut log_types: Vec<String> = given
        .log_types
        .unwrap_or_default()
        .into_iter()
        .flat_map(|(kind, files)| {
            let names = files.into_iter().map(|file| format!("{kind}/{file}"));
            let names: Vec<String> = names.collect();
            if names.is_empty() { vec![kind] } else { names }
        })
        // The map is free text; what EMR documents are words.
        .filter(|name| {
            name.bytes()
                .all(|b| b.is_ascii_uppercase() || b"_/".contains(&b))
        })
        .collect();
    log_types.sort_unstable();
    CloudWatchLogging {
        // AWS demands the field; without it, what is configured is taken to be on.
        enabled: Some(given.enabled.unwrap_or(true)),
        log_group: text(given.log_group_name),
        stream_prefix: text(given.log_stream_name_prefix),
        key: text(given.encryption_key_arn),
        log_types,
    }
}

/// Five properties of two classifications, and nothing else.
pub(super) fn application_logs(given: Option<Vec<types::Configuration>>) -> ApplicationLogs {
    let mut logs = ApplicationLogs::default();
    for configuration in given.unwrap_or_default() {
        let Some(mut properties) = configuration.properties else {
            continue;
        };
        let mut take = |name: &str| text(properties.remove(name));
        match configuration.classification.as_deref() {
            Some("yarn-site") => {
                logs.yarn_log_dir = take("yarn.nodemanager.remote-app-log-dir");
                logs.yarn_log_aggregation = take("yarn.log-aggregation-enable").and_then(is_on);
            }
            Some("spark-defaults") => {
                logs.spark_event_log_dir = take("spark.eventLog.dir");
                logs.spark_event_log_enabled = take("spark.eventLog.enabled").and_then(is_on);
                logs.spark_history_dir = take("spark.history.fs.logDirectory");
            }
            _ => {}
        }
    }
    logs
}

fn is_on(value: String) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

pub(super) fn steps(
    asked: Asked<'_>,
    given: Option<Vec<types::StepSummary>>,
    marker: Option<String>,
) -> Result<Page<ListedStep>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|step| {
            let status = step.status;
            let created = status
                .as_ref()
                .and_then(|s| s.timeline.as_ref())
                .and_then(|t| t.creation_date_time);
            Ok(ListedStep {
                id: text(step.id).ok_or_else(|| asked.unreadable("a step without an id"))?,
                state: status.and_then(|s| s.state).map(|s| s.as_str().to_owned()),
                created_at: millis(asked, created)?,
                log_uri: text(step.log_uri),
                log_key: text(step.encryption_key_arn),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(marker),
    })
}

pub(super) fn sessions(
    asked: Asked<'_>,
    given: Option<Vec<types::Session>>,
    token: Option<String>,
) -> Result<Page<ListedSession>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|session| {
            let logs = session.monitoring_configuration;
            let (s3, cloudwatch, managed) = match logs {
                Some(logs) => (
                    logs.s3_logging_configuration,
                    logs.cloud_watch_logging_configuration,
                    logs.managed_logging_configuration,
                ),
                None => (None, None, None),
            };
            Ok(ListedSession {
                id: text(session.id).ok_or_else(|| asked.unreadable("a session without an id"))?,
                created_at: millis(asked, session.created_at)?,
                s3: s3.map_or_else(SessionLogs::default, |s| {
                    logs_to(s.enabled, s.log_uri, s.encryption_key_arn)
                }),
                cloudwatch: cloudwatch.map_or_else(SessionLogs::default, |c| {
                    logs_to(c.enabled, c.log_group, c.encryption_key_arn)
                }),
                managed: managed.map_or_else(SessionLogs::default, |m| {
                    logs_to(m.enabled, None, m.encryption_key_arn)
                }),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}

/// What is configured is taken to be on where AWS does not say.
fn logs_to(enabled: Option<bool>, place: Option<String>, key: Option<String>) -> SessionLogs {
    SessionLogs {
        enabled: Some(enabled.unwrap_or(true)),
        place: text(place),
        key: text(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_configurations_five_properties_are_kept() {
        let configuration = |classification: &str, properties: &[(&str, &str)]| {
            let mut given = types::Configuration::builder().classification(classification);
            for (name, value) in properties {
                given = given.properties(*name, *value);
            }
            given.build()
        };
        let logs = application_logs(Some(vec![
            configuration(
                "yarn-site",
                &[
                    ("yarn.nodemanager.remote-app-log-dir", "s3://logs/yarn"),
                    ("yarn.log-aggregation-enable", "TRUE"),
                    ("yarn.admin.password", "SECRET"),
                ],
            ),
            configuration("spark-defaults", &[("spark.eventLog.enabled", "false")]),
            configuration("hive-site", &[("spark.eventLog.dir", "s3://elsewhere/")]),
        ]));
        let expected = ApplicationLogs {
            yarn_log_dir: Some("s3://logs/yarn".to_owned()),
            yarn_log_aggregation: Some(true),
            spark_event_log_enabled: Some(false),
            ..ApplicationLogs::default()
        };
        assert_eq!(logs, expected);
    }

    #[test]
    fn log_types_are_words() {
        let given = types::CloudWatchLogConfiguration::builder()
            .enabled(true)
            .log_types("STEP_LOGS", vec!["STDOUT".to_owned(), "STDERR".to_owned()])
            .log_types("SPARK_DRIVER", vec![])
            .log_types("password=1", vec!["x".to_owned()])
            .build();
        let read = cloudwatch(Some(given));
        assert_eq!(
            read.log_types,
            ["SPARK_DRIVER", "STEP_LOGS/STDERR", "STEP_LOGS/STDOUT"]
        );
        assert_eq!(cloudwatch(None).enabled, None);
    }
}
