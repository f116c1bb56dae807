//! EL-07: AWS keeps no copies of the logs in storage of its own, where the release has the choice.

use super::{Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::assess::retained::{Policies, Retained, Upload};
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-07",
    name: "retained-copies",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "no_aws_side_copies"),
        (Outcome::Fail, "aws_side_copies"),
        (Outcome::Unknown, "release_unparseable"),
        (Outcome::Unknown, "upload_policy_not_known"),
        (Outcome::NotApplicable, "release_has_no_switch"),
    ],
    supports: &["PCI DSS 4.0.1 3.2.1", "PCI DSS 4.0.1 3.5.1"],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let judged = match Retained::of(case) {
        Retained::ReleaseUnparseable => Judged::unknown(
            "release_unparseable",
            "relaunch on a release labelled emr-x.y.z from 7.13.0 on: whether this one can keep AWS \
             from retaining copies is not known",
        ),
        // A bootstrap action can stop the daemon behind persistent UIs; no API shows whether it did.
        Retained::NoSwitch => Judged::not_applicable("release_has_no_switch"),
        Retained::Switched(policies) => switched(policies),
    };
    judged.with("release", case.cluster.release_label.as_deref())
}

fn switched(policies: Policies) -> Judged {
    let with = |wanted| {
        let named = policies.named().into_iter();
        let types = named.filter(|(_, upload)| *upload == wanted);
        types.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let (kept, undocumented) = (with(Upload::EmrManaged), with(Upload::Undocumented));
    if !kept.is_empty() {
        // Only one of the three lacks the middle choice.
        let choice = |name: &&str| match *name {
            "persistent-ui-logs" => "persistent-ui-logs disabled".to_owned(),
            name => format!("{name} on-customer-s3only or disabled"),
        };
        let choices: Vec<_> = kept.iter().map(choice).collect();
        Judged::fail(
            "aws_side_copies",
            format!(
                "relaunch with LogTypeUploadPolicy {}, unless copies in AWS's own storage are wanted",
                choices.join(", ")
            ),
        )
        .with("kept", Some(kept))
    } else if !undocumented.is_empty() {
        Judged::unknown(
            "upload_policy_not_known",
            format!(
                "look up what LogTypeUploadPolicy means for {}, and relaunch with a documented value",
                undocumented.join(", ")
            ),
        )
        .with("log_types", Some(undocumented))
    } else {
        Judged::pass("no_aws_side_copies")
    }
}
