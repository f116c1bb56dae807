//! CloudTrail: the event history of an account, and its trails.

use aws_sdk_cloudtrail::error::BuildError;
use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{
    AdvancedEventSelector, Event, EventSelector, LookupAttribute, LookupAttributeKey, PublicKey,
    ReadWriteType, Trail,
};

use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::collect::api::{ApiError, ErrorClass, ListedTrail, Page, TrailKey, TrailStatus};
use crate::time::UtcMillis;

/// Most events that one page may have
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>).
pub(super) const EVENTS_PER_PAGE: i32 = 50;

/// The events of one name; AWS takes one attribute a call.
pub(super) fn of_name(asked: Asked<'_>, name: &str) -> Result<LookupAttribute, ApiError> {
    let attribute = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value(name)
        .build();
    attribute
        .map_err(|e: BuildError| asked.local(ErrorClass::Refused, "InvalidRequest", &e.to_string()))
}

/// An instant as AWS takes it.
pub(super) fn instant(at: UtcMillis) -> DateTime {
    DateTime::from_millis(at.0)
}

/// The records as they are; an event without one is an empty text, which nobody can read.
pub(super) fn events(given: Option<Vec<Event>>, token: Option<String>) -> Page<String> {
    let records = given.unwrap_or_default().into_iter();
    Page {
        items: records
            .map(|event| event.cloud_trail_event.unwrap_or_default())
            .collect(),
        next: next(token),
    }
}

pub(super) fn trails(
    asked: Asked<'_>,
    given: Option<Vec<Trail>>,
) -> Result<Vec<ListedTrail>, ApiError> {
    let trails = given.unwrap_or_default().into_iter();
    trails
        .map(|trail| {
            let home = trail.home_region.and_then(|region| region.parse().ok());
            let unreadable = || asked.unreadable("a trail without a readable ARN and home Region");
            Ok(ListedTrail {
                arn: text(trail.trail_arn).ok_or_else(unreadable)?,
                home: home.ok_or_else(unreadable)?,
                multi_region: trail.is_multi_region_trail,
                organization: trail.is_organization_trail,
                log_file_validation: trail.log_file_validation_enabled,
                bucket: text(trail.s3_bucket_name),
                prefix: text(trail.s3_key_prefix),
                kms_key: text(trail.kms_key_id),
            })
        })
        .collect()
}

pub(super) fn status(
    asked: Asked<'_>,
    given: GetTrailStatusOutput,
) -> Result<TrailStatus, ApiError> {
    Ok(TrailStatus {
        logging: given.is_logging,
        started_at: millis(asked, given.start_logging_time)?,
        stopped_at: millis(asked, given.stop_logging_time)?,
        delivered_at: millis(asked, given.latest_delivery_time)?,
        delivery_error: text(given.latest_delivery_error),
    })
}

/// The keys of digest files; one without a value or a fingerprint is of no use to anybody.
pub(super) fn keys(given: Option<Vec<PublicKey>>, token: Option<String>) -> Page<TrailKey> {
    let keys = given.unwrap_or_default().into_iter();
    let keys = keys.filter_map(|key| {
        Some(TrailKey {
            fingerprint: text(key.fingerprint)?,
            pkcs1: key.value?.into_inner(),
        })
    });
    Page {
        items: keys.collect(),
        next: next(token),
    }
}

/// Whether management events that write are recorded. Advanced selectors may narrow that by service
/// or name, which is not followed: what only such a one records is not known.
pub(super) fn writes(given: &GetEventSelectorsOutput) -> Option<bool> {
    let basic = given.event_selectors.iter().flatten().map(of_basic);
    let advanced = given.advanced_event_selectors.iter().flatten();
    let said: Vec<Option<bool>> = basic.chain(advanced.map(of_advanced)).collect();
    if said.contains(&Some(true)) {
        Some(true)
    } else if said.contains(&None) {
        None
    } else {
        Some(false)
    }
}

/// Without a word a selector takes management events, both kinds
/// (<https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html>).
fn of_basic(selector: &EventSelector) -> Option<bool> {
    let reads_only = selector.read_write_type == Some(ReadWriteType::ReadOnly);
    Some(selector.include_management_events != Some(false) && !reads_only)
}

fn of_advanced(selector: &AdvancedEventSelector) -> Option<bool> {
    let fields = &selector.field_selectors;
    let is = |field: &str, value: &str| {
        fields.iter().any(|f| {
            let equals = f.equals.as_deref().unwrap_or_default();
            f.field == field && equals.iter().any(|v| v == value)
        })
    };
    if !is("eventCategory", "Management") || is("readOnly", "true") {
        return Some(false);
    }
    let known = ["eventCategory", "readOnly"];
    let is_plain = fields.iter().all(|f| known.contains(&f.field.as_str()));
    is_plain.then_some(true)
}
