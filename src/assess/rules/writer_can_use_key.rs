//! EL-04: the roles of the cluster may use the log key: the instance profile's makes data keys, the
//! service role looks the key up.

use super::granting::{
    OF_SERVICE, OF_WRITER, grants_not_read, identities_not_read, mend, policy_not_read,
    service_statement, told, undecided, writer_statement,
};
use super::{Fact, Judge, Judged, Rule, customer_key};
use crate::assess::access::{Access, BucketUse, Caller, LAYERS_NOT_READ, Ruling};
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::words::{Outcome, RuleKind, Severity};
use crate::policy;

pub(super) const RULE: Rule = Rule {
    id: "EL-04",
    name: "writer-can-use-key",
    version: 1,
    kind: RuleKind::Delivers,
    severity: Severity::Medium,
    conclusions: &[
        (Outcome::Pass, "writer_can_use_key"),
        (Outcome::Fail, "writer_denied"),
        (Outcome::Fail, "writer_not_allowed"),
        (Outcome::Fail, "service_role_denied"),
        (Outcome::Fail, "service_role_not_allowed"),
        (Outcome::Unknown, "key_policy_not_read"),
        (Outcome::Unknown, "grants_not_read"),
        (Outcome::Unknown, "identities_not_read"),
        (Outcome::Unknown, "writer_not_found"),
        (Outcome::Unknown, "service_role_not_found"),
        (Outcome::Unknown, "depends_on_context"),
        (Outcome::Unknown, "depends_on_unread"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "no_bucket_under_key"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 10.7.2",
        "45 CFR 164.312(b)",
        "NIST SP 800-53 r5 AU-5",
        "NIST SP 800-53 r5 SC-12",
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
    // The worst of several buckets speaks for all.
    let judged = access
        .uses
        .iter()
        .map(|at| of_bucket(case, key, access, at, &name))
        .min_by_key(|judged| rank(judged.outcome));
    judged
        .unwrap_or_else(|| Judged::not_applicable("no_bucket_under_key"))
        .about_key()
        .read(Fact::Key)
        .read(Fact::Bucket)
        .with("key", Some(name))
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Unknown => 1,
        Outcome::Pass | Outcome::NotApplicable => 2,
    }
}

/// One role's part: who it is, what was ruled, and how its failures are called.
struct Part<'a> {
    caller: &'a Caller,
    ruling: Option<&'a Ruling>,
    action: &'static str,
    denied: &'static str,
    not_allowed: &'static str,
    not_found: &'static str,
    /// What the role is to the cluster.
    as_what: &'static str,
}

fn of_bucket(case: &Case<'_>, key: &KeyUse, access: &Access, at: &BucketUse, name: &str) -> Judged {
    let used = &at.used.writer;
    let parts = [
        Part {
            caller: &used.writer,
            ruling: used.generate.as_ref(),
            action: "kms:GenerateDataKey",
            denied: "writer_denied",
            not_allowed: "writer_not_allowed",
            not_found: "writer_not_found",
            as_what: "instance profile",
        },
        Part {
            caller: &used.service,
            ruling: used.describe.as_ref(),
            action: "kms:DescribeKey",
            denied: "service_role_denied",
            not_allowed: "service_role_not_allowed",
            not_found: "service_role_not_found",
            as_what: "service role",
        },
    ];
    let refused = parts.iter().find(|p| {
        p.ruling
            .is_some_and(|r| r.outcome == policy::Outcome::Denied)
    });
    let open = || {
        parts.iter().find(|p| {
            p.ruling
                .is_none_or(|r| r.outcome != policy::Outcome::Allowed)
        })
    };
    let judged = if let Some(part) = refused {
        refuse(part, access, at, name)
    } else if let Some(part) = open() {
        leave_open(case, key, access, at, part, name)
    } else {
        Judged::pass("writer_can_use_key")
    };
    let judged = told(judged, OF_WRITER, &used.writer, used.generate.as_ref());
    let judged = told(judged, OF_SERVICE, &used.service, used.describe.as_ref());
    let row = |caller: &Caller| match caller {
        Caller::Known(arn) => Some(format!(
            "principal/{}/global/{arn}",
            case.cluster.account_id
        )),
        _ => None,
    };
    let mut judged = judged
        .with("bucket", Some(at.bucket.as_str()))
        // Only where it differs: the log writer may never need it.
        .with(
            "decrypt",
            used.decrypt
                .as_ref()
                .filter(|r| r.outcome != policy::Outcome::Allowed)
                .map(|r| r.outcome.as_str()),
        )
        .with("assumes", Some(LAYERS_NOT_READ));
    for fact in [row(&used.writer), row(&used.service)]
        .into_iter()
        .flatten()
    {
        judged = judged.read(Fact::Row(fact));
    }
    judged
}

fn refuse(part: &Part<'_>, access: &Access, at: &BucketUse, name: &str) -> Judged {
    let who = part.caller.name().unwrap_or_default();
    let explicit = part.ruling.is_some_and(Ruling::is_explicit);
    let reason = if explicit {
        part.denied
    } else {
        part.not_allowed
    };
    let statement = if part.action == "kms:DescribeKey" {
        service_statement(who)
    } else {
        let region = at.row.as_ref().and_then(|b| b.region.as_ref());
        let region = region.unwrap_or(&access.key.facts.arn.region);
        writer_statement(who, region.as_str())
    };
    let advice = part
        .ruling
        .map(|ruling| mend(ruling, who, name, &statement))
        .unwrap_or_default();
    Judged::fail(reason, advice).with("action", Some(part.action))
}

fn leave_open(
    case: &Case<'_>,
    key: &KeyUse,
    access: &Access,
    at: &BucketUse,
    part: &Part<'_>,
    name: &str,
) -> Judged {
    let account = &case.cluster.account_id;
    let not_read = || {
        let denied = at.used.identities_denied.as_deref();
        identities_not_read(account.as_str(), denied)
    };
    let judged = match (part.caller, part.ruling) {
        (Caller::NotRead(_), _) => not_read(),
        (Caller::NotNamed, _) => Judged::unknown(
            part.not_found,
            format!(
                "look which {} the cluster has: EMR named none",
                part.as_what
            ),
        ),
        (Caller::Missing(role), _) => Judged::unknown(
            part.not_found,
            format!(
                "make the {} {role} of account {account} again, or relaunch: the account has none of \
                 that name",
                part.as_what
            ),
        ),
        (Caller::Known(who), Some(ruling)) => {
            let unread = ruling.outcome == policy::Outcome::Unknown;
            policy_not_read(key, access)
                .filter(|_| unread)
                .or_else(|| grants_not_read(key, access).filter(|_| unread))
                .unwrap_or_else(|| undecided(ruling, who, part.action, name))
        }
        // A known role is always ruled upon.
        (Caller::Known(_), None) => not_read(),
    };
    judged.with("action", Some(part.action))
}
