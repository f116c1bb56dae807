//! EL-06: where logs go to CloudWatch, the log group is under a customer key.
//!
//! The group's own key decides, and covers what was ingested since it was set
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html>); the key that EMR
//! was told is reported beside it.

use super::places::{self, AWS_MANAGED, NOT_DESCRIBED, NOT_FOUND, SESSIONS_NOT_READ, UNPARSEABLE};
use super::{About, Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::assess::places::Place;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-06",
    name: "cloudwatch-key",
    version: 2,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "log_group_customer_key"),
        (Outcome::Fail, "log_group_without_key"),
        AWS_MANAGED,
        NOT_DESCRIBED,
        NOT_FOUND,
        UNPARSEABLE,
        (Outcome::Unknown, "log_group_not_found"),
        (Outcome::Unknown, "log_group_not_read"),
        (Outcome::Unknown, "release_without_cloudwatch"),
        (Outcome::Unknown, "release_unparseable"),
        (Outcome::Unknown, "session_place_not_named"),
        SESSIONS_NOT_READ,
        (Outcome::NotApplicable, "cloudwatch_off"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let places: Vec<&Place> = case.places.iter().filter(|p| p.is_group).collect();
    let place = match places::worst(&places) {
        // What is known to escape does, whatever else could not be read.
        Some(place) if place.outcome == Outcome::Fail => place,
        _ if places::sessions_missing(case) => return places::sessions_not_read(case),
        Some(place) => place,
        None => return Judged::not_applicable("cloudwatch_off"),
    };
    let mut judged = places::judge(case, &places, place, "log_group_customer_key", |place| {
        let name = &place.destination;
        match place.basis {
            "log_group_without_key" => format!(
                "put log group {name} under a customer key (logs:AssociateKmsKey); what it holds already \
                 stays as it is"
            ),
            _ => format!("put log group {name} under a customer managed key (logs:AssociateKmsKey)"),
        }
    })
    .with("requested_key", place.requested.as_deref());
    if !place.destination.is_empty() {
        let cluster = case.cluster;
        let (region, account) = (&cluster.region, &cluster.account_id);
        let arn = format!(
            "arn:{}:logs:{region}:{account}:log-group:{}",
            region.partition(),
            place.destination
        );
        judged.about = About::Other(Box::new(("log_group", arn)));
    }
    judged
}
