//! EL-20: logs that applications send to S3 themselves lie under a customer key.
//!
//! YARN aggregation and Spark event logs go through EMRFS, so there, and only there, the security
//! configuration decides. Destinations are read as set at launch; a later reconfiguration of instance
//! groups is not visible.

use super::places::{self, AWS_MANAGED, NOT_DESCRIBED, NOT_FOUND, UNPARSEABLE};
use super::{Fact, Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::assess::places::Place;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-20",
    name: "application-logs-follow",
    version: 1,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "application_logs_follow"),
        (Outcome::Fail, "emrfs_sse_s3"),
        (Outcome::Fail, "no_emrfs_encryption"),
        AWS_MANAGED,
        NOT_DESCRIBED,
        NOT_FOUND,
        UNPARSEABLE,
        (Outcome::Unknown, "bucket_default_not_proof"),
        (Outcome::Unknown, "bucket_not_read"),
        (Outcome::Unknown, "custom_key_provider"),
        (Outcome::Unknown, "destination_unparseable"),
        (
            Outcome::Unknown,
            "security_configuration_created_after_launch",
        ),
        (Outcome::Unknown, "security_configuration_not_read"),
        (Outcome::Unknown, "security_configuration_time_not_known"),
        (Outcome::Unknown, "security_configuration_unreadable"),
        (Outcome::NotApplicable, "no_application_destination"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let places: Vec<&Place> = case.places.iter().filter(|p| p.channel == "C7").collect();
    let Some(place) = places::worst(&places) else {
        return Judged::not_applicable("no_application_destination");
    };
    places::judge(case, &places, place, "application_logs_follow", |place| {
        let destination = &place.destination;
        match case.configuration_name() {
            Some(name) => format!(
                "relaunch with a security configuration that encrypts {destination} with SSE-KMS or CSE-KMS \
                 under a customer key, unlike '{name}'"
            ),
            None => format!(
                "relaunch with a security configuration that encrypts EMRFS data under a customer key: \
                 application logs in {destination} are under none"
            ),
        }
    })
    .read(Fact::SecurityConfiguration)
    .with("security_configuration", case.configuration_name())
    .with("as_seen", Some("at launch; later reconfiguration of instance groups is not visible"))
}
