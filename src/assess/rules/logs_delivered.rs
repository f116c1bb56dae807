//! EL-17: the cluster archives logs at all.

use super::{Judge, Judged, Rule, log_uri_unparseable, uploads_disabled};
use crate::assess::case::{Case, LogPlace, StillUploaded};
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-17",
    name: "logs-delivered",
    version: 2,
    kind: RuleKind::Advises,
    severity: Severity::Medium,
    conclusions: &[
        (Outcome::Pass, "logs_archived"),
        (Outcome::Fail, "no_log_uri"),
        (Outcome::Fail, "uploads_disabled"),
        (Outcome::Unknown, "uploads_disabled_with_steps"),
        (Outcome::Unknown, "uploads_disabled_steps_not_read"),
        (Outcome::Unknown, "log_uri_unparseable"),
    ],
    supports: &[
        "PCI DSS 4.0.1 10.2.1",
        "45 CFR 164.312(b)",
        "NIST SP 800-53 r5 AU-12",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let judged = match &case.place {
        LogPlace::Nowhere => Judged::fail(
            "no_log_uri",
            "relaunch with LogUri and LogEncryptionKmsKeyId set: until then only AWS keeps some of \
             this cluster's logs",
        ),
        place => match (case.uploads_disabled(), place) {
            (Some(StillUploaded::Nothing), _) => Judged::fail(
                "uploads_disabled",
                "relaunch with system or application log uploads on: both are disabled, and there was no \
                 step whose logs could be uploaded",
            ),
            (Some(still), _) => uploads_disabled(case, still),
            (None, LogPlace::S3(location)) => {
                Judged::pass("logs_archived").with("destination", Some(location.to_string()))
            }
            (None, _) => log_uri_unparseable(),
        },
    };
    judged
        .with(
            "system_logs_upload",
            case.cluster.system_logs_upload.as_deref(),
        )
        .with(
            "application_logs_upload",
            case.cluster.application_logs_upload.as_deref(),
        )
}
