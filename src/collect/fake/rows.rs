//! Small makers of ids, accounts and clusters.

use super::START;
use crate::collect::api::{
    ApplicationLogs, CloudWatchLogging, DescribedCluster, ListedCluster, Tag,
};
use crate::model::datasets::{Account, EMR_MODEL, EmrCluster};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Lookup, Seen, Settings};
use crate::time::UtcMillis;

pub(crate) fn id(text: &str) -> AccountId {
    text.parse().expect("account id")
}

pub(crate) fn region(text: &str) -> Region {
    text.parse().expect("region")
}

/// An account of the scope.
pub(crate) fn account(text: &str) -> Account {
    Account {
        scheduled_for: UtcMillis(START).date(),
        account_id: id(text),
        name: None,
        state: Some("ACTIVE".to_owned()),
        ou_path: Some("o-example/r-1/ou-1/".to_owned()),
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

pub(crate) fn listed(
    id: &str,
    state: &str,
    created_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
) -> ListedCluster {
    ListedCluster {
        id: id.to_owned(),
        name: Some(format!("name of {id}")),
        state: state.to_owned(),
        created_at,
        ready_at: created_at,
        ended_at,
    }
}

/// A cluster whose logs go to `log_uri` under `log_key`.
pub(crate) fn described(listed: ListedCluster, log_uri: &str, log_key: &str) -> DescribedCluster {
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    DescribedCluster {
        listed,
        release_label: Some("emr-7.13.0".to_owned()),
        log_uri: text(log_uri),
        log_key: text(log_key),
        security_configuration: None,
        service_role: Some("emr-service".to_owned()),
        instance_profile: Some("emr-node".to_owned()),
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        cloudwatch: CloudWatchLogging::default(),
        application_logs: ApplicationLogs::default(),
        session_enabled: None,
        tags: vec![
            Tag {
                name: "owner".to_owned(),
                value: "team-a".to_owned(),
            },
            Tag {
                name: "password".to_owned(),
                value: "SECRET".to_owned(),
            },
        ],
    }
}

/// A row as an earlier run wrote it.
pub(crate) fn cluster_row(
    cluster_id: &str,
    state: &str,
    created_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
) -> EmrCluster {
    EmrCluster {
        scheduled_for: UtcMillis(START).date().plus_days(-1),
        account_id: id("111122223333"),
        region: region("eu-west-1"),
        cluster_id: cluster_id.to_owned(),
        name: Some(format!("name of {cluster_id}")),
        state: state.to_owned(),
        created_at,
        ready_at: created_at,
        ended_at,
        release_label: Some("emr-7.0.0".to_owned()),
        log_uri: Some("s3://old-logs/x".to_owned()),
        log_key: None,
        security_configuration: None,
        service_role: None,
        instance_profile: None,
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        cloudwatch_enabled: None,
        cloudwatch_log_group: None,
        cloudwatch_stream_prefix: None,
        cloudwatch_key: None,
        cloudwatch_log_types: None,
        yarn_log_dir: None,
        yarn_log_aggregation: None,
        spark_event_log_dir: None,
        spark_event_log_enabled: None,
        spark_history_dir: None,
        session_enabled: None,
        steps_lookup: Some(Lookup::Found),
        steps_error_code: None,
        steps: Some(0),
        steps_settled_id: None,
        steps_settled: Some(0),
        sessions_lookup: None,
        sessions_error_code: None,
        emr_model: Some(EMR_MODEL),
        owner: Some("carried owner".to_owned()),
        cost_center: None,
        business_unit: None,
        data_classification: None,
        lineage: None,
        seen: Seen::Listed,
        settings: Settings::Described,
        described_in_run: Some("20261123T020003Z-7f3a".parse().expect("run id")),
        described_at: Some(UtcMillis(START)),
    }
}
