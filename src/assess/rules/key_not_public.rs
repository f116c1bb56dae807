//! EL-10: neither policy nor grants open the log key outside the organization.

use super::granting::{first, grants_not_read, policy_not_read, spelled};
use super::{Fact, Judge, Judged, Rule, customer_key};
use crate::assess::access::Opening;
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-10",
    name: "key-not-public",
    version: 2,
    kind: RuleKind::Advises,
    severity: Severity::High,
    conclusions: &[
        (Outcome::Pass, "closed"),
        (Outcome::Pass, "closed_services_unbound"),
        (Outcome::Fail, "open_to_everyone"),
        (Outcome::Fail, "open_to_outsiders"),
        (Outcome::Fail, "granted_to_outsiders"),
        (Outcome::Unknown, "key_policy_not_read"),
        (Outcome::Unknown, "grants_not_read"),
        (Outcome::Unknown, "maybe_open"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.6.1",
        "PCI DSS 4.0.1 7.2.1",
        "45 CFR 164.312(a)(1)",
        "NIST SP 800-53 r5 AC-3",
    ],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    if let Err(judged) = customer_key(case, key) {
        return judged;
    }
    let name = key.name().cloned().unwrap_or_default();
    let Some(access) = &key.access else {
        return super::not_described(case, key);
    };
    let openings = &access.key.openings;
    let judged = if let Some(opening) = openings.open.iter().find(|o| o.who == "*") {
        Judged::fail(
            "open_to_everyone",
            format!(
                "narrow {} of the policy of {name} with {{\"StringEquals\":{{\"aws:PrincipalOrgID\":\
                 \"<your organization>\"}}}}, or name the principals that need it",
                opening.by
            ),
        )
    } else if let Some(opening) = openings.open.iter().find(|o| o.grant.is_none()) {
        Judged::fail(
            "open_to_outsiders",
            format!(
                "take {}, which is not of the organization, out of {} of the policy of {name}",
                opening.who, opening.by
            ),
        )
    } else if let Some(opening) = openings.open.first() {
        Judged::fail(
            "granted_to_outsiders",
            format!(
                "revoke grant {} of {name}, which lets {} use it (kms:RevokeGrant)",
                opening.grant.as_deref().unwrap_or_default(),
                opening.who
            ),
        )
    } else if let Some(judged) =
        policy_not_read(key, access).or_else(|| grants_not_read(key, access))
    {
        judged
    } else if let Some(opening) = openings.unclear.first() {
        Judged::unknown(
            "maybe_open",
            format!(
                "find out {}: it decides whether {} of {name} lets somebody from outside the \
                 organization in",
                spelled(&opening.depends_on),
                opening.by
            ),
        )
        .with("depends_on", Some(first(&opening.depends_on)))
    } else if openings.unbound_services.is_empty() {
        Judged::pass("closed")
    } else {
        Judged::pass("closed_services_unbound")
    };
    let told = |o: &Opening| format!("{} by {}", o.who, o.by);
    let list = if openings.open.is_empty() {
        &openings.unclear
    } else {
        &openings.open
    };
    let services = &openings.unbound_services;
    judged
        .about_key()
        .read(Fact::Key)
        .with("key", Some(name))
        .with(
            "open_to",
            (!list.is_empty()).then(|| first(list.iter().map(told))),
        )
        .with(
            "services_without_source",
            (!services.is_empty()).then(|| first(services)),
        )
}
