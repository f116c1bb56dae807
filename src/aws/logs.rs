//! CloudWatch Logs: log groups and their keys. Log events are never asked for.

use aws_sdk_cloudwatchlogs::types::LogGroup;

use crate::aws::error::Asked;
use crate::aws::member::{next, text};
use crate::collect::api::{ApiError, DescribedLogGroup, Page};
use crate::time::UtcMillis;

pub(super) fn groups(
    asked: Asked<'_>,
    given: Option<Vec<LogGroup>>,
    token: Option<String>,
) -> Result<Page<DescribedLogGroup>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|group| {
            Ok(DescribedLogGroup {
                name: group
                    .log_group_name
                    .ok_or_else(|| asked.unreadable("a log group without a name"))?,
                kms_key: text(group.kms_key_id),
                created_at: group.creation_time.map(UtcMillis),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}
