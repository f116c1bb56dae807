//! Account management: which Regions an account has.

use aws_sdk_account::types;

use crate::aws::error::Asked;
use crate::aws::member::next;
use crate::collect::api::{ApiError, Page, RegionStatus};

pub(super) fn regions(
    asked: Asked<'_>,
    given: Option<Vec<types::Region>>,
    token: Option<String>,
) -> Result<Page<RegionStatus>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|region| {
            let name = region.region_name.and_then(|name| name.parse().ok());
            match (name, region.region_opt_status) {
                (Some(region), Some(status)) => Ok(RegionStatus {
                    region,
                    status: status.as_str().to_owned(),
                }),
                _ => Err(asked.unreadable("a Region without a readable name and status")),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}
