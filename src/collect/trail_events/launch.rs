//! RunJobFlow: which parameters are kept.

use serde_json::Value;

use super::record::{Object, Record, event_id, word};
use super::{ReadLaunch, Reader, RecordError, denial};
use crate::collect::api::Tag;
use crate::collect::scope::{tag_value, text};
use crate::collect::settings::place;
use crate::model::datasets::{Answer, Launch};
use crate::model::lineage::lineage;
use crate::model::words::{AttemptBucket, Meets, Population};

/// Service of a launch.
pub const EVENT_SOURCE: &str = "elasticmapreduce.amazonaws.com";
/// Every way to launch a cluster ends in this call.
pub const EVENT_NAME: &str = "RunJobFlow";

/// Members of the request
/// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html>).
const PARAMETERS: [&str; 34] = [
    "AdditionalInfo",
    "AmiVersion",
    "Applications",
    "AutoScalingRole",
    "AutoTerminationPolicy",
    "BootstrapActions",
    "Configurations",
    "CustomAmiId",
    "EbsRootVolumeIops",
    "EbsRootVolumeSize",
    "EbsRootVolumeThroughput",
    "ExtendedSupport",
    "Instances",
    "JobFlowRole",
    "KerberosAttributes",
    "LogEncryptionKmsKeyId",
    "LogUri",
    "ManagedScalingPolicy",
    "MonitoringConfiguration",
    "Name",
    "NewSupportedProducts",
    "OSReleaseLabel",
    "PlacementGroupConfigs",
    "ReleaseLabel",
    "RepoUpgradeOnBoot",
    "ScaleDownBehavior",
    "SecurityConfiguration",
    "ServiceRole",
    "SessionEnabled",
    "StepConcurrencyLevel",
    "Steps",
    "SupportedProducts",
    "Tags",
    "VisibleToAllUsers",
];

/// Reads a RunJobFlow record.
pub(super) fn read(reader: &Reader<'_>, record: &Record<'_>) -> Result<ReadLaunch, RecordError> {
    let head = record.head()?;
    let caller = record.caller();
    let request = record.object("requestParameters");
    let asked = request.and_then(Asked::read);
    let params_available = asked.is_some();
    let asked = asked.unwrap_or_default();
    let denied = match (&head.error_code, record.text("errorMessage")) {
        (Some(_), Some(message)) => denial::read(message),
        _ => denial::Denial::default(),
    };
    let answer = Answer::of(head.error_code.as_deref());
    let denied = if answer == Answer::Denied {
        denied
    } else {
        denial::Denial::default()
    };
    let tag = |name: &Option<String>| tag_value(&asked.tags, name.as_deref());
    let row = Launch {
        scheduled_for: reader.scheduled_for,
        account_id: head.account_id,
        region: head.region,
        attempt_id: head.event_id.clone(),
        event_id: head.event_id,
        event_at: head.event_at,
        event_ms: head.event_at.0,
        read_from: reader.read_from,
        late: head.late,
        shared_event_id: record.text("sharedEventID").and_then(event_id),
        cluster_id: record
            .object("responseElements")
            .and_then(|answer| answer.text("jobFlowId"))
            .filter(|_| answer == Answer::Accepted)
            .and_then(word),
        lineage: lineage(tag(&reader.tags.lineage).as_deref(), asked.name.as_deref()),
        name: asked.name,
        caller_arn: caller.arn,
        caller_account_id: caller.account_id,
        invoked_by: caller.invoked_by,
        error_code: head.error_code,
        denied_action: denied.action,
        denied_by: denied.by.map(str::to_owned),
        denied_by_policy: denied.policy,
        guardrail: None,
        params_available,
        log_uri: asked.log_uri,
        log_key: asked.log_key,
        security_configuration: asked.security_configuration,
        security_configuration_approved: None,
        release_label: asked.release_label,
        parameters_meet: Meets::Unknown,
        class: answer.class_without_parameters(),
        bucket: AttemptBucket::None,
        population: Population::Unknown,
        ou_path: None,
        tag_owner: tag(&reader.tags.owner),
        tag_cost_center: tag(&reader.tags.cost_center),
        tag_business_unit: tag(&reader.tags.business_unit),
        owner: None,
        cost_center: None,
        business_unit: None,
    };
    Ok(ReadLaunch {
        row,
        unmatched: request.map_or_else(Vec::new, unmatched),
    })
}

/// What is kept of a request.
#[derive(Debug, Default)]
struct Asked {
    name: Option<String>,
    log_uri: Option<String>,
    log_key: Option<String>,
    security_configuration: Option<String>,
    release_label: Option<String>,
    tags: Vec<Tag>,
}

impl Asked {
    /// `None` where the record does not really carry the request: CloudTrail leaves parameters above
    /// 100 KB out, and may put a remark or a mask in their place. A request always has a name and
    /// instances, so without either nothing can be said of what else it lacks.
    fn read(request: Object<'_>) -> Option<Self> {
        if request.get("name").is_none() && request.get("instances").is_none() {
            return None;
        }
        let told = |name| match request.get(name) {
            None => Some(None),
            Some(Value::String(value)) if is_masked(value) => None,
            Some(Value::String(value)) => Some(Some(value.clone())),
            Some(_) => None,
        };
        Some(Self {
            log_uri: place(&told("logUri")?),
            log_key: text(&told("logEncryptionKmsKeyId")?),
            security_configuration: text(&told("securityConfiguration")?),
            name: told("name").and_then(|name| text(&name)),
            release_label: told("releaseLabel").and_then(|label| text(&label)),
            tags: request
                .list("tags")
                .iter()
                .filter_map(Object::new)
                .filter_map(|tag| {
                    Some(Tag {
                        name: tag.text("key")?.to_owned(),
                        value: tag.text("value")?.to_owned(),
                    })
                })
                .collect(),
        })
    }
}

/// What services write where they hide a value.
fn is_masked(value: &str) -> bool {
    value.starts_with("HIDDEN_DUE_TO") || (!value.is_empty() && value.bytes().all(|b| b == b'*'))
}

fn unmatched(request: Object<'_>) -> Vec<String> {
    let known = |name: &str| PARAMETERS.iter().any(|p| p.eq_ignore_ascii_case(name));
    let unknown = request.names().filter(|name| !known(name));
    unknown.filter_map(word).collect()
}
