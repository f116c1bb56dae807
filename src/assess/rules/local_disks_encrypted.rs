//! EL-18: local disks, where logs lie before they are uploaded, are encrypted by the security
//! configuration.
//!
//! Any `LocalDiskEncryptionConfiguration` encrypts instance stores and storage volumes with LUKS, and
//! logs lie there; `EnableEbsEncryption` adds the root volume
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-data-encryption-options.html>).
//! An account's own default of encrypting EBS volumes is not looked at.

use super::configuration::{self, about, at_rest, unreadable};
use super::{Judge, Judged, Rule};
use crate::assess::case::Case;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-18",
    name: "local-disks-encrypted",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "local_disks_encrypted"),
        configuration::NO_CONFIGURATION,
        configuration::AT_REST_OFF,
        (Outcome::Fail, "no_local_disk_encryption"),
        configuration::NOT_READ,
        configuration::UNREADABLE,
        configuration::MADE_LATER,
        configuration::TIME_NOT_KNOWN,
    ],
    // PCI DSS 3.5.1.2 does not take encryption of disks alone, so no clause of it stands here.
    supports: &["45 CFR 164.312(a)(2)(iv)", "NIST SP 800-53 r5 SC-28(1)"],
    judge: Judge::Cluster(judge),
};

const WANTED: &str = "has a LocalDiskEncryptionConfiguration";

fn judge(case: &Case<'_>) -> Judged {
    let (row, at_rest) = match at_rest(case, WANTED) {
        Ok(found) => found,
        Err(judged) => return judged,
    };
    let local = at_rest.get("LocalDiskEncryptionConfiguration");
    let text = |name| local.and_then(|l| l.get(name)).and_then(|v| v.as_str());
    let provider = text("EncryptionKeyProviderType");
    let judged = match (local, provider) {
        (Some(_), Some("AwsKms" | "Custom")) => Judged::pass("local_disks_encrypted"),
        (Some(_), _) => unreadable(&row.name),
        (None, _) if row.unknown_keys > 0 => unreadable(&row.name),
        (None, _) => Judged::fail(
            "no_local_disk_encryption",
            format!(
                "relaunch with a security configuration that {WANTED}, unlike '{}'",
                row.name
            ),
        ),
    };
    let root = local
        .and_then(|l| l.get("EnableEbsEncryption"))
        .and_then(|v| v.as_bool());
    about(judged, case)
        .with("provider", provider)
        .with("key", text("AwsKmsKey"))
        .with("ebs_encryption", root)
}
