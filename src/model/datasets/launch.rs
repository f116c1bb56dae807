use std::borrow::Cow;

use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::table::{Cell, CellError, Column, Dataset, position};
use crate::model::text::Text;
use crate::model::words::{AttemptBucket, EventSource, LaunchClass, Meets, Population};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per RunJobFlow event: an attempt to launch a cluster, and what became of it. The same
    /// event may stand in the rows of several runs; `event_id` tells, and the newest run knows most.
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
    read_from: EventSource = "lookup_events, organization_trail, unvalidated_trail";
    /// Whether CloudTrail delivered or corrected the event later (it has an addendum).
    late: bool = "true or false";
    /// Id that copies of one action in several accounts share.
    shared_event_id: Option<String> = "UUID";
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
    /// Whether the event carries the parameters of the request.
    params_available: bool = "true or false";
    /// Where logs were to go.
    log_uri: Option<String> = "URI";
    /// Key for the logs.
    log_key: Option<String> = "ARN, id or alias";
    /// Security configuration.
    security_configuration: Option<String> = "name";
    /// EMR release.
    release_label: Option<String> = "emr-x.y.z";
    /// Owner, from the configured tag of the launch.
    tag_owner: Option<String> = "tag value";
    /// Cost centre, from the configured tag of the launch.
    tag_cost_center: Option<String> = "tag value";
    /// Business unit, from the configured tag of the launch.
    tag_business_unit: Option<String> = "tag value";
    /// Guardrail of the configuration that denied.
    guardrail: Option<String> = "ARN";
    /// Whether that configuration is one of the approved, by content.
    security_configuration_approved: Option<bool> = "true or false";
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
    /// Owner: the launch's tag, else the account's.
    owner: Option<Text> = "text";
    /// Cost centre, found likewise.
    cost_center: Option<Text> = "text";
    /// Business unit, found likewise, else the account's organizational unit.
    business_unit: Option<Text> = "text";
}

/// Where the conclusions of a launch begin among its columns.
const CONCLUSIONS: usize = position(Launch::COLUMNS, "guardrail");

/// A RunJobFlow event as CloudTrail recorded it: the facts that `launch` is concluded from. The row
/// holds no conclusions: they are those of an event of which nothing else is known.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchEvent(pub Launch);

impl Dataset for LaunchEvent {
    const NAME: &'static str = "launch_event";
    const VERSION: u32 = 1;
    const MEANING: &'static str = " One row per RunJobFlow event as CloudTrail recorded it: the facts that `launch` is concluded from.";
    const COLUMNS: &'static [Column] = Launch::COLUMNS.split_at(CONCLUSIONS).0;
    const KEY: &'static [usize] = Launch::KEY;

    fn cell(&self, position: usize) -> Cell<'_> {
        if position < CONCLUSIONS {
            self.0.cell(position)
        } else {
            Cell::Null
        }
    }

    fn from_cells<'a>(mut next: impl FnMut(usize) -> Cell<'a>) -> Result<Self, CellError> {
        let mut row = Launch::from_cells(|position| {
            if position < CONCLUSIONS {
                return next(position);
            }
            match Launch::COLUMNS[position].name {
                "parameters_meet" => word(Meets::Unknown.as_str()),
                "class" => word(LaunchClass::OtherError.as_str()),
                "bucket" => word(AttemptBucket::None.as_str()),
                "population" => word(Population::Unknown.as_str()),
                _ => Cell::Null,
            }
        })?;
        row.class = Answer::of(row.error_code.as_deref()).class_without_parameters();
        Ok(Self(row))
    }
}

impl std::ops::Deref for LaunchEvent {
    type Target = Launch;

    fn deref(&self) -> &Launch {
        &self.0
    }
}

fn word(text: &'static str) -> Cell<'static> {
    Cell::Text(Cow::Borrowed(text))
}

/// How AWS answered a call that CloudTrail recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    Denied,
    Invalid,
    Throttled,
    /// Another error.
    Failed,
}

impl Answer {
    /// The answer that an error code stands for. CloudTrail writes both `AccessDenied` and
    /// `AccessDeniedException`, and the EC2 style `Client.UnauthorizedOperation`.
    pub fn of(error_code: Option<&str>) -> Self {
        let Some(code) = error_code else {
            return Self::Accepted;
        };
        let code = code
            .strip_prefix("Client.")
            .or_else(|| code.strip_prefix("Server."))
            .unwrap_or(code);
        let bare = code.strip_suffix("Exception").unwrap_or(code);
        match bare {
            b if b.starts_with("AccessDenied") => Self::Denied,
            "UnauthorizedOperation" | "NotAuthorized" | "Forbidden" => Self::Denied,
            b if b.starts_with("Throttl") => Self::Throttled,
            "TooManyRequests" | "RequestLimitExceeded" | "SlowDown" => Self::Throttled,
            "InvalidRequest" | "Validation" | "ValidationError" | "InvalidParameterValue" => {
                Self::Invalid
            }
            _ => Self::Failed,
        }
    }

    /// The class of an attempt with this answer, of whose parameters nothing is known.
    pub fn class_without_parameters(self) -> LaunchClass {
        match self {
            Self::Accepted => LaunchClass::AcceptedParamsUnavailable,
            Self::Denied => LaunchClass::DeniedParamsUnavailable,
            Self::Invalid => LaunchClass::RejectedInvalid,
            Self::Throttled => LaunchClass::Throttled,
            Self::Failed => LaunchClass::OtherError,
        }
    }
}
