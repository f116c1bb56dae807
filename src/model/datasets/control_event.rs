use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::words::{ControlEffect, EventSource};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per KMS, S3, EMR or CloudTrail event that can turn good clusters bad, repair them, or
    /// blind the trail. The same event may stand in the rows of several runs.
    pub struct ControlEvent: "control_event" v 1, key [account_id, region, event_id];
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
    /// Service that was called.
    event_source: String = "kms.amazonaws.com";
    /// The call.
    event_name: String = "DisableKey";
    /// Key, bucket, security configuration or trail that was called about.
    resource: Option<String> = "ARN or name";
    /// Role or user that called, without the session.
    caller_arn: Option<String> = "ARN";
    /// Error code of a refused call, which changed nothing.
    error_code: Option<String> = "AWS error code";
    /// What a call of this name does.
    effect: ControlEffect = "breaks, repairs, changes, blinds";
}
