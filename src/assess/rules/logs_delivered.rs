//! EL-17: the cluster archives logs at all.

use super::{Judged, Rule, log_uri_unparseable, uploads_disabled};
use crate::assess::case::{Case, LogPlace};
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-17",
    name: "logs-delivered",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Medium,
    conclusions: &[
        (Outcome::Pass, "logs_archived"),
        (Outcome::Fail, "no_log_uri"),
        (Outcome::Unknown, "uploads_disabled_steps_not_read"),
        (Outcome::Unknown, "log_uri_unparseable"),
    ],
    supports: &[
        "PCI DSS 4.0.1 10.2.1",
        "45 CFR 164.312(b)",
        "NIST SP 800-53 r5 AU-12",
    ],
    judge,
};

fn judge(case: &Case<'_>) -> Judged {
    let judged = match &case.place {
        LogPlace::Nowhere => Judged::fail(
            "no_log_uri",
            "relaunch with LogUri and LogEncryptionKmsKeyId set: until then only AWS keeps some of \
             this cluster's logs",
        ),
        _ if case.uploads_disabled() => uploads_disabled(),
        LogPlace::Unparseable => log_uri_unparseable(),
        LogPlace::S3(location) => {
            Judged::pass("logs_archived").with("destination", Some(location.to_string()))
        }
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
