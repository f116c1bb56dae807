//! Whom the policy of the archive's key lets read the evidence, or end it.

use std::sync::Arc;

use super::{BucketFacts, DefaultKey, Protection, default_key, row, unanswered};
use crate::model::key_reference::KeyArn;
use crate::model::words::CheckOutcome::{Fail, Pass, Unknown};
use crate::policy::{
    Context, Document, Holder, HolderKind, Layers, Outcome, Policy, Resource, ResourceKind, who_can,
};

/// Name of the check, the action asked about, what it means.
const CHECKS: [(&str, &str, &str); 2] = [
    ("key_decrypt", "kms:Decrypt", "decrypt evidence"),
    (
        "key_deletion",
        "kms:ScheduleKeyDeletion",
        "schedule the key's deletion",
    ),
];

/// Most principals that a row names.
const NAMED: usize = 8;

pub(super) fn judge(facts: &BucketFacts) -> Vec<Protection> {
    let of_check = |(check, action, meaning): &(&'static str, &str, &str)| {
        let key = match default_key(check, facts) {
            Err(row) => return row,
            Ok(key) => key,
        };
        let text = match &facts.key_policy {
            Err(why) => return unanswered(check, why),
            Ok(None) => return unanswered(check, "the key's policy was not read"),
            Ok(Some(text)) => text,
        };
        match Policy::parse(text) {
            Err(error) => unanswered(check, &format!("the key's policy cannot be read: {error}")),
            Ok(policy) => of_holders(check, &holders(action, key, policy), meaning),
        }
    };
    CHECKS.iter().map(of_check).collect()
}

/// Everyone whom the policy may let do it. Grants are not asked for: the rows speak of the policy.
fn holders(action: &str, key: &DefaultKey, policy: Policy) -> Vec<Holder> {
    let account = KeyArn::parse(&key.arn).map(|arn| String::from(arn.account_id));
    let resource = Resource {
        arn: key.arn.clone(),
        account: account.unwrap_or_default(),
        kind: ResourceKind::Key,
    };
    let layers = Layers {
        resource_policy: Document::Read(Arc::new(policy)),
        grants: Some(Arc::default()),
        ..Layers::default()
    };
    let mut holders = who_can(action, Some(&resource), &layers, &Context::open());
    holders.retain(|holder| {
        let nobody = matches!(
            holder.kind,
            HolderKind::NoKmsPrincipal | HolderKind::Deleted
        );
        holder.outcome != Outcome::Denied && !nobody
    });
    holders
}

fn of_holders(check: &'static str, holders: &[Holder], meaning: &str) -> Protection {
    let wide = |h: &&Holder| {
        matches!(
            h.kind,
            HolderKind::Everyone | HolderKind::EveryoneElse | HolderKind::AllOfAccount
        )
    };
    let unclear =
        |h: &&Holder| h.kind == HolderKind::NotUnderstood || h.outcome == Outcome::Unknown;
    if holders
        .iter()
        .filter(wide)
        .any(|h| h.outcome == Outcome::Allowed)
    {
        let detail = format!("everyone may {meaning}: name the principals in the key's policy");
        return row(check, Fail, detail);
    }
    if let Some(holder) = holders.iter().find(|h| wide(h) || unclear(h)) {
        let needs: Vec<&str> = holder.depends_on.iter().map(|n| n.as_str()).collect();
        let detail = format!(
            "{} may {meaning}, depending on {}: read the key's policy",
            holder.principal,
            if needs.is_empty() {
                "what is not understood".to_owned()
            } else {
                needs.join(", ")
            }
        );
        return row(check, Unknown, detail);
    }
    let mut names: Vec<&str> = holders.iter().map(|h| h.principal.as_str()).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more == 0 {
        String::new()
    } else {
        format!(", +{more}")
    };
    let names = if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    };
    let detail = format!("the key's policy lets these {meaning}: {names}{more}");
    row(check, Pass, detail)
}
