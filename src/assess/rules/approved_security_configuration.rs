//! EL-08: what the security configuration says of EMRFS data is approved: by content, not by name.
//!
//! It proves nothing of logs archived to `LogUri`; it decides for data, and for logs that
//! applications write through EMRFS themselves.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::configuration::{self, about, at_rest, unreadable};
use super::{Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::model::key_reference::KeyReference;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-08",
    name: "approved-security-configuration",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "approved"),
        configuration::NO_CONFIGURATION,
        configuration::AT_REST_OFF,
        (Outcome::Fail, "mode_not_approved"),
        (Outcome::Fail, "key_not_approved"),
        (Outcome::Fail, "override_not_approved"),
        configuration::NOT_READ,
        configuration::UNREADABLE,
        configuration::MADE_LATER,
        configuration::TIME_NOT_KNOWN,
        (Outcome::NotApplicable, "no_approved_mode_configured"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 CM-6",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

fn judge(case: &Case<'_>) -> Judged {
    let modes = &case.ctx.config.approved_s3_modes;
    if modes.is_empty() {
        return Judged::not_applicable("no_approved_mode_configured");
    }
    let wanted = Wanted(modes);
    let (row, at_rest) = match at_rest(case, &wanted) {
        Ok(found) => found,
        Err(judged) => return judged,
    };
    let name = &row.name;
    let overrides = at_rest
        .get("S3EncryptionConfiguration")
        .and_then(|part| part.get("Overrides"))
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (mode, key) = (row.s3_mode.as_deref(), row.s3_key.as_deref());
    // A mode that was left out because its form is not known is not the same as none.
    let not_understood = row.unknown_keys > 0
        && (mode.is_none()
            || overrides
                .iter()
                .any(|o| text(o, "EncryptionMode").is_none()));
    let unapproved: Vec<&str> = overrides
        .iter()
        .filter(|o| {
            let key = text(o, "AwsKmsKey");
            !text(o, "EncryptionMode")
                .is_some_and(|mode| modes.contains(mode) && key_is_approved(case, mode, key))
        })
        .map(|o| text(o, "BucketName").unwrap_or("?"))
        .collect();
    let judged = if mode.is_some_and(|mode| !modes.contains(mode)) {
        Judged::fail(
            "mode_not_approved",
            format!("relaunch with a security configuration that {wanted}, unlike '{name}'"),
        )
    } else if not_understood {
        unreadable(name)
    } else if mode.is_none() {
        Judged::fail(
            "mode_not_approved",
            format!(
                "relaunch with a security configuration that {wanted}: '{name}' has no \
                 S3EncryptionConfiguration"
            ),
        )
    } else if !mode.is_some_and(|mode| key_is_approved(case, mode, key)) {
        Judged::fail(
            "key_not_approved",
            format!(
                "relaunch with a security configuration whose key is one of rules.approved_s3_keys, \
                 unlike that of '{name}'"
            ),
        )
    } else if !unapproved.is_empty() {
        Judged::fail(
            "override_not_approved",
            format!(
                "relaunch with a security configuration whose overrides, too, have an approved mode and \
                 key, unlike those of '{name}' for {}",
                unapproved.join(", ")
            ),
        )
        .with("buckets", Some(unapproved))
    } else {
        Judged::pass("approved")
    };
    about(judged, case).with("mode", mode).with("key", key)
}

/// What a configuration must do, as advice says it.
struct Wanted<'m>(&'m BTreeSet<String>);

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modes = self.0.iter().map(String::as_str).collect::<Vec<_>>();
        let modes = modes.join(", ");
        write!(
            f,
            "encrypts EMRFS data in S3 with an approved mode ({modes})"
        )
    }
}

fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str()
}

/// Whether a mode uses a key that may be used; the modes that name no KMS key use none.
fn key_is_approved(case: &Case<'_>, mode: &str, key: Option<&str>) -> bool {
    let approved = &case.ctx.config.approved_s3_keys;
    if approved.is_empty() || !matches!(mode, "SSE-KMS" | "CSE-KMS") {
        return true;
    }
    let (account, region) = (&case.cluster.account_id, &case.cluster.region);
    key.and_then(|key| KeyReference::read(key, account, region))
        .is_some_and(|key| approved.contains(&key.to_string()))
}
