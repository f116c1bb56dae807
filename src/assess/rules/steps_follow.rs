//! EL-05: no step, and no session, sends logs to a place in S3 without a customer key.
//!
//! A step's own place and key replace the cluster's field by field, so a compliant cluster can hold
//! steps that are not
//! (<https://docs.aws.amazon.com/emr/latest/APIReference/API_S3MonitoringConfiguration.html>).

use super::places::{self, AWS_MANAGED, NOT_DESCRIBED, NOT_FOUND, SESSIONS_NOT_READ, UNPARSEABLE};
use super::{Judge, Judged, Rule, steps_not_read};
use crate::assess::case::Case;
use crate::assess::places::Place;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-05",
    name: "steps-follow",
    version: 1,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "steps_follow"),
        (Outcome::Fail, "no_key"),
        AWS_MANAGED,
        NOT_DESCRIBED,
        NOT_FOUND,
        UNPARSEABLE,
        (Outcome::Unknown, "log_uri_unparseable"),
        (Outcome::Unknown, "release_does_not_honour_key"),
        (Outcome::Unknown, "release_unparseable"),
        (Outcome::Unknown, "session_place_not_named"),
        (Outcome::Unknown, "session_key_not_named"),
        SESSIONS_NOT_READ,
        (Outcome::Unknown, "steps_not_read"),
        (Outcome::NotApplicable, "no_step_overrides"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let places: Vec<&Place> = case
        .places
        .iter()
        .filter(|p| matches!(p.channel, "C2" | "C6") && !p.is_group)
        .collect();
    let worst = places::worst(&places);
    let said = |place: &Place| places::judge(case, &places, place, "steps_follow", advice);
    let cluster = case.cluster;
    match worst {
        // What is known to escape does, whatever else could not be read.
        Some(place) if place.outcome == Outcome::Fail => said(place),
        _ if !case.steps_were_read() => steps_not_read(case, "steps_not_read"),
        _ if places::sessions_missing(case) => places::sessions_not_read(case),
        Some(place) => said(place),
        None => Judged::not_applicable("no_step_overrides"),
    }
    .with("steps", cluster.steps)
}

fn advice(place: &Place) -> String {
    let destination = &place.destination;
    let who = if place.channel == "C2" {
        "steps"
    } else {
        "sessions"
    };
    match place.basis {
        "no_key" => format!(
            "submit {who} without a log place of their own, or with a customer managed key beside it: logs \
             in {destination} are under none"
        ),
        _ => format!(
            "submit {who} with a customer managed key: that of the logs in {destination} is managed by AWS"
        ),
    }
}
