//! What AWS keeps of a cluster's logs for itself, by `LogTypeUploadPolicy`.
//!
//! A log type that the policy does not name is `emr-managed`, as is every type without a policy; the
//! switch exists from release 7.13.0 on
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html>).

use super::case::Case;
use super::release::Release;
use crate::model::words::RetainedCopies;

/// What a cluster's settings say of its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retained {
    /// Nobody can tell whether the release has the switch.
    ReleaseUnparseable,
    /// AWS keeps copies, and no setting of the release turns them off.
    NoSwitch,
    Switched(Policies),
}

/// Where each log type goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policies {
    pub system: Upload,
    pub application: Upload,
    pub ui: Upload,
}

/// The policy of one log type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upload {
    EmrManaged,
    CustomerOnly,
    Disabled,
    /// A value that is not documented for the log type.
    Undocumented,
}

impl Retained {
    pub fn of(case: &Case<'_>) -> Self {
        let cluster = case.cluster;
        match cluster.release_label.as_deref().and_then(Release::parse) {
            None => Self::ReleaseUnparseable,
            Some(release) if !release.has_upload_policy() => Self::NoSwitch,
            Some(_) => Self::Switched(Policies {
                system: Upload::read(&cluster.system_logs_upload),
                application: Upload::read(&cluster.application_logs_upload),
                ui: match Upload::read(&cluster.ui_logs_upload) {
                    // There is no such choice for these.
                    Upload::CustomerOnly => Upload::Undocumented,
                    other => other,
                },
            }),
        }
    }
}

impl Retained {
    /// The same in one word.
    pub fn copies(self) -> RetainedCopies {
        let Self::Switched(policies) = self else {
            return match self {
                Self::NoSwitch => RetainedCopies::Yes,
                _ => RetainedCopies::Unknown,
            };
        };
        let has = |wanted| policies.named().iter().any(|(_, upload)| *upload == wanted);
        if has(Upload::EmrManaged) {
            RetainedCopies::Yes
        } else if has(Upload::Undocumented) {
            RetainedCopies::Unknown
        } else {
            RetainedCopies::No
        }
    }
}

impl Policies {
    /// Each log type as `LogTypeUploadPolicy` names it.
    pub fn named(self) -> [(&'static str, Upload); 3] {
        [
            ("system-logs", self.system),
            ("application-logs", self.application),
            ("persistent-ui-logs", self.ui),
        ]
    }
}

impl Upload {
    fn read(policy: &Option<String>) -> Self {
        match policy.as_deref() {
            None | Some("emr-managed") => Self::EmrManaged,
            Some("on-customer-s3only") => Self::CustomerOnly,
            Some("disabled") => Self::Disabled,
            Some(_) => Self::Undocumented,
        }
    }
}
