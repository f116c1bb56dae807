//! What CloudTrail tells of trails, as far as it may be kept.

use crate::model::ids::Region;
use crate::time::UtcMillis;

/// One trail of DescribeTrails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTrail {
    pub arn: String,
    pub home: Region,
    pub multi_region: Option<bool>,
    pub organization: Option<bool>,
    pub log_file_validation: Option<bool>,
    pub bucket: Option<String>,
    pub prefix: Option<String>,
    pub kms_key: Option<String>,
}

/// GetTrailStatus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailStatus {
    pub logging: Option<bool>,
    pub started_at: Option<UtcMillis>,
    pub stopped_at: Option<UtcMillis>,
    pub delivered_at: Option<UtcMillis>,
    pub delivery_error: Option<String>,
}
