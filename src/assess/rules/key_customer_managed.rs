//! EL-02: the log key is a customer managed key of the organization, or of an account it approved.

use super::{Fact, Judge, Judged, Rule, key_unparseable, not_described};
use crate::assess::case::Case;
use crate::assess::key_use::{KeyUse, Standing};
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-02",
    name: "key-customer-managed",
    version: 1,
    kind: RuleKind::Protects,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "customer_key"),
        (Outcome::Fail, "aws_managed_key"),
        (Outcome::Fail, "foreign_owner"),
        (Outcome::Unknown, "owner_unknown"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.6.1",
        "PCI DSS 4.0.1 3.6.1.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-12",
    ],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    let Some(arn) = key.arn() else {
        return key_unparseable(key);
    };
    let owner = &arn.account_id;
    let judged = match key.standing() {
        Standing::Unparseable => key_unparseable(key),
        Standing::AwsManaged => Judged::fail(
            "aws_managed_key",
            format!(
                "relaunch with LogEncryptionKmsKeyId set to a customer managed key: AWS manages {arn}, \
                 so nobody here can change its policy, disable it or delete it"
            ),
        ),
        // The ARN alone tells the owner, described or not.
        _ if case.owner_is_ours(owner) == Some(false) => Judged::fail(
            "foreign_owner",
            format!(
                "relaunch with a key of the organization, or add account {owner} to \
                 allowed_key_owners if its keys are approved"
            ),
        ),
        _ if case.owner_is_ours(owner).is_none() => Judged::unknown(
            "owner_unknown",
            format!(
                "run with access to AWS Organizations or with --account-list, so that it is known \
                 whether account {owner} belongs to the organization"
            ),
        ),
        Standing::Customer => Judged::pass("customer_key"),
        Standing::NotFound => Judged::unknown(
            "key_not_found",
            format!("relaunch with a key that exists: KMS knows no {arn}"),
        ),
        Standing::NotDescribed => not_described(case, key),
    };
    let judged = if judged.facts.contains(&Fact::Key) {
        judged
    } else {
        judged.read(Fact::Key)
    };
    judged
        .about_key()
        .with("key", Some(key.reference.to_string()))
        .with("owner", Some(owner.as_str()))
        .with(
            "manager",
            key.described().and_then(|k| k.manager.as_deref()),
        )
}
