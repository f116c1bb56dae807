//! What AWS keeps of a cluster's logs for itself, as a launch decides it.
//!
//! Stated from
//! <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html#s3-logging-configuration>
//! for each release label and upload policy that launches use.

use super::scenario::{Finding, Outcome};

/// The fate of the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// A release before 7.13.0, which has no setting for them.
    NoSwitch,
    /// 7.13.0 or later, and at least one log type is left to AWS.
    Kept,
    /// 7.13.0 or later, and every log type is taken from AWS.
    Off,
    /// A label that says nothing of the release, or none.
    CannotTell,
}

impl Copies {
    /// What EL-07 should conclude.
    pub(super) fn finding(self) -> Finding {
        let (outcome, reason) = match self {
            Self::NoSwitch => (Outcome::NotApplicable, "release_has_no_switch"),
            Self::Kept => (Outcome::Fail, "aws_side_copies"),
            Self::Off => (Outcome::Pass, "no_aws_side_copies"),
            Self::CannotTell => (Outcome::Unknown, "release_unparseable"),
        };
        Finding { outcome, reason }
    }
}
