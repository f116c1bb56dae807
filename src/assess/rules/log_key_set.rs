//! EL-01: a log key is set, on a release that honours it.

use super::{Fact, Judge, Judged, Rule, log_uri_unparseable, uploads_disabled};
use crate::assess::case::{Case, LogPlace, StillUploaded};
use crate::assess::release::Release;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-01",
    name: "log-key-set",
    version: 2,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "log_key_set"),
        (Outcome::Fail, "no_log_key"),
        (Outcome::Fail, "no_log_key_bucket_default_cmk"),
        (Outcome::Unknown, "release_does_not_honour_key"),
        (Outcome::Unknown, "release_unparseable"),
        (Outcome::Unknown, "uploads_disabled_with_steps"),
        (Outcome::Unknown, "uploads_disabled_steps_not_read"),
        (Outcome::Unknown, "log_uri_unparseable"),
        (Outcome::NotApplicable, "no_log_uri"),
        (Outcome::NotApplicable, "uploads_disabled_no_steps"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let judged = match &case.place {
        LogPlace::Nowhere => Judged::not_applicable("no_log_uri"),
        place => match (case.uploads_disabled(), place) {
            (Some(StillUploaded::Nothing), _) => {
                Judged::not_applicable("uploads_disabled_no_steps")
            }
            (Some(still), _) => uploads_disabled(case, still),
            (None, LogPlace::S3(_)) if case.reference.is_none() => no_key(case),
            (None, LogPlace::S3(_)) => key_on_release(case.cluster.release_label.as_deref()),
            (None, _) => log_uri_unparseable(),
        },
    };
    judged
        .with("release", case.cluster.release_label.as_deref())
        .with("key", case.reference.as_ref().map(ToString::to_string))
}

fn key_on_release(label: Option<&str>) -> Judged {
    match label.and_then(Release::parse) {
        Some(release) if release.honours_log_key() => Judged::pass("log_key_set"),
        Some(_) => Judged::unknown(
            "release_does_not_honour_key",
            "relaunch on emr-5.30.0 or later, but not emr-6.0.0: this release is not documented to \
             encrypt logs with LogEncryptionKmsKeyId",
        ),
        None => Judged::unknown(
            "release_unparseable",
            "relaunch on a release labelled emr-x.y.z from 5.30.0 on, or look at a log object's \
             encryption: whether this release honours LogEncryptionKmsKeyId is not known",
        ),
    }
}

/// Whether the log writer sends a header of its own, which a bucket default gives way to, is
/// documented nowhere: a customer key as the default is told apart and still fails.
fn no_key(case: &Case<'_>) -> Judged {
    let set_configuration = case.security_configuration.as_ref().filter(|s| {
        // One made again under its name after the launch is not what the cluster runs with.
        let made_later = case.configuration_made_later() == Some(true);
        s.s3_mode.is_some() && s.at_rest != Some(false) && !made_later
    });
    let by_default = case.bucket_default_is_customer_key();
    let advice = match set_configuration {
        Some(s) => format!(
            "security configuration '{name}' encrypts EMRFS data, not the logs archived to LogUri; set \
             LogEncryptionKmsKeyId at relaunch and keep '{name}'",
            name = s.name
        ),
        None if by_default => {
            "relaunch with LogEncryptionKmsKeyId set to a customer managed key: the bucket's default key \
             is no proof, since the log writer may ask for another encryption"
                .to_owned()
        }
        None => "relaunch with LogEncryptionKmsKeyId set to a customer managed key; log settings are \
                 fixed at launch"
            .to_owned(),
    };
    let reason = if by_default {
        "no_log_key_bucket_default_cmk"
    } else {
        "no_log_key"
    };
    let judged = Judged::fail(reason, advice)
        .read(Fact::Bucket)
        .with("bucket_default", case.bucket_default())
        .with(
            "bucket_default_key",
            case.bucket.as_ref().and_then(|b| b.default_key.as_deref()),
        );
    match set_configuration {
        Some(s) => judged
            .read(Fact::SecurityConfiguration)
            .with("security_configuration", Some(s.name.as_str())),
        None => judged,
    }
}
