use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::text::Text;
use crate::model::words::{AttemptBucket, EventSource, LaunchClass, Meets, Population};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per RunJobFlow event: an attempt to launch a cluster, and what became of it. The same
    /// event may stand in the rows of several runs; `event_id` tells.
    pub struct Launch: "launch" v 1, key [account_id, region, event_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account that received the event.
    account_id: AccountId = "12 digits";
    /// Region of the call.
    region: Region = "Region";
    /// CloudTrail's id of the event.
    event_id: String = "UUID";
    /// When the request completed.
    event_at: UtcMillis = "UTC";
    /// The same, for arithmetic.
    event_ms: i64 = "ms since 1970";
    /// Where the event was read.
    read_from: EventSource = "lookup_events, organization_trail";
    /// Whether CloudTrail delivered or corrected the event later (it has an addendum).
    late: bool = "true or false";
    /// The cluster, where the launch was accepted.
    cluster_id: Option<String> = "j-…";
    /// Name given at launch.
    name: Option<String> = "text";
    /// The lineage that the cluster belongs to, or would.
    lineage: Option<String> = "text";
    /// Role or user that called, without the session.
    caller_arn: Option<String> = "ARN";
    /// Account of the caller; may differ from the account of the event.
    caller_account_id: Option<AccountId> = "12 digits";
    /// AWS service through which the call came.
    invoked_by: Option<String> = "service name";
    /// Events with the same value are one attempt: account, Region, caller, name, and a window of 15
    /// minutes from the first.
    attempt_id: String = "hex";
    /// Error code of a refused call.
    error_code: Option<String> = "AWS error code";
    /// Action that was denied, as the message names it.
    denied_action: Option<String> = "service:Action";
    /// Kind of policy that denied, as the message names it: one, where several may have.
    denied_by: Option<String> = "identity, service_control, resource_control, boundary, session, endpoint, resource";
    /// Policy that denied, where the message names it.
    denied_by_policy: Option<String> = "ARN";
    /// Guardrail of the configuration that denied.
    guardrail: Option<String> = "ARN";
    /// Whether the event carries the parameters of the request.
    params_available: bool = "true or false";
    /// Where logs were to go.
    log_uri: Option<String> = "URI";
    /// Key for the logs.
    log_key: Option<String> = "ARN, id or alias";
    /// Security configuration.
    security_configuration: Option<String> = "name";
    /// Whether that configuration is one of the approved, by content.
    security_configuration_approved: Option<bool> = "true or false";
    /// EMR release.
    release_label: Option<String> = "emr-x.y.z";
    /// Whether the parameters meet the policy: a log place, and a customer key that the facts of this
    /// run know.
    parameters_meet: Meets = "yes, no, unknown";
    /// What became of the attempt.
    class: LaunchClass = "word";
    /// Where the attempt counts.
    bucket: AttemptBucket = "blocked, flagged, unknown, none";
    /// Whether an accepted launch stands among the clusters that runs saw.
    population: Population = "seen, not_seen, not_applicable, unknown";
    /// Path of organizational unit ids of the account.
    ou_path: Option<String> = "o-…/r-…/ou-…/";
    /// Owner, from the tags of the launch or the account.
    owner: Option<Text> = "text";
    /// Cost centre.
    cost_center: Option<Text> = "text";
    /// Business unit.
    business_unit: Option<Text> = "text";
}
