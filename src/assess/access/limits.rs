//! To whom the conditions of a statement that means everyone limit it.

use std::collections::BTreeSet;

use super::facts::KeyFacts;
use super::setting::own_organization;
use crate::assess::inputs::ScopeFacts;
use crate::model::ids::AccountId;
use crate::policy::{Condition, Statement};

/// To whom one condition limits a statement.
pub(super) enum Limit<'s> {
    Accounts(Vec<&'s str>),
    Organizations(Vec<&'s str>),
}

/// Whom a statement that means everyone means after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// As the policy says it: patterns of ARNs, ids of organizations or paths in one, else `*`.
    pub said: Vec<String>,
    /// `pattern`, `organization` or `everyone`.
    pub kind: &'static str,
    /// The accounts in which they all are; `None` where somebody outside may be meant, or nobody
    /// can tell.
    pub accounts: Option<BTreeSet<AccountId>>,
}

impl Reach {
    /// Everyone, everywhere.
    pub fn unlimited() -> Self {
        Self {
            said: vec!["*".to_owned()],
            kind: "everyone",
            accounts: None,
        }
    }

    /// All conditions hold at once, so the accounts are those that every limit leaves; and a pattern
    /// says more than an organization.
    pub fn of(statement: &Statement, key: &KeyFacts, scope: &ScopeFacts) -> Self {
        let mut found = Self::unlimited();
        for condition in &statement.conditions {
            if !is_positive(&condition.operator) {
                continue;
            }
            let limit = limit(condition);
            let kind = match condition.key.to_lowercase().as_str() {
                "aws:principalarn" => "pattern",
                "aws:principalorgid" | "aws:principalorgpaths" if limit.is_some() => "organization",
                _ => "everyone",
            };
            if kind == "pattern" || (kind == "organization" && found.kind == "everyone") {
                found.said.clone_from(&condition.values);
                found.kind = kind;
            }
            if let Some(left) = limit.and_then(|l| accounts(&l, key, scope)) {
                found.accounts = Some(match found.accounts.take() {
                    Some(before) => before.intersection(&left).cloned().collect(),
                    None => left,
                });
            }
        }
        found
    }
}

/// The accounts that a limit leaves; `None` unless all of them are listed.
fn accounts(limit: &Limit<'_>, key: &KeyFacts, scope: &ScopeFacts) -> Option<BTreeSet<AccountId>> {
    match limit {
        Limit::Accounts(named) => named
            .iter()
            .map(|text| {
                let id: AccountId = text.parse().ok()?;
                let listed = scope.accounts.contains_key(&id) || id == key.arn.account_id;
                listed.then_some(id)
            })
            .collect(),
        Limit::Organizations(named) => {
            let own = own_organization(scope)?;
            let is_ours = scope.has_account_list && named.iter().all(|id| *id == own);
            // Nobody can call from an account that AWS suspended.
            let works = |(_, a): &(&AccountId, &crate::model::datasets::Account)| {
                a.left_out_because.as_deref() != Some("state")
            };
            let ids = scope
                .accounts
                .iter()
                .filter(works)
                .map(|(id, _)| id.clone());
            is_ours.then(|| ids.collect())
        }
    }
}

/// The accounts or organizations that a condition demands of a caller.
pub(super) fn limit(condition: &Condition) -> Option<Limit<'_>> {
    if !is_positive(&condition.operator) {
        return None;
    }
    let operator = condition.operator.to_lowercase();
    let if_exists = operator.ends_with("ifexists");
    let for_all = operator.starts_with("forallvalues:");
    let values = || condition.values.iter().map(String::as_str);
    match condition.key.to_lowercase().as_str() {
        "kms:calleraccount" | "aws:principalaccount" => values()
            .map(|v| is_account(v).then_some(v))
            .collect::<Option<_>>()
            .map(Limit::Accounts),
        // A principal has these always; the account in the ARN must be spelled out.
        "aws:principalarn" => values()
            .map(|arn| arn.split(':').nth(4).filter(|a| is_account(a)))
            .collect::<Option<_>>()
            .map(Limit::Accounts),
        // An account of no organization has none of these.
        "aws:principalorgid" if !if_exists && !for_all => values()
            .map(|v| is_plain(v).then_some(v))
            .collect::<Option<_>>()
            .map(Limit::Organizations),
        "aws:principalorgpaths" if !if_exists && !for_all => values()
            .map(|v| {
                v.split('/')
                    .next()
                    .filter(|o| is_plain(o) && v.contains('/'))
            })
            .collect::<Option<_>>()
            .map(Limit::Organizations),
        // Only calls of services carry these.
        "aws:sourceaccount" if !if_exists && !for_all => values()
            .map(|v| is_account(v).then_some(v))
            .collect::<Option<_>>()
            .map(Limit::Accounts),
        "aws:sourcearn" if !if_exists && !for_all => values()
            .map(|arn| arn.split(':').nth(4).filter(|a| is_account(a)))
            .collect::<Option<_>>()
            .map(Limit::Accounts),
        "aws:sourceorgid" if !if_exists && !for_all => values()
            .map(|v| is_plain(v).then_some(v))
            .collect::<Option<_>>()
            .map(Limit::Organizations),
        _ => None,
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?', '$'])
}

/// Whether the operator demands one of its values.
pub(super) fn is_positive(operator: &str) -> bool {
    let operator = operator.to_lowercase();
    let base = operator.rsplit(':').next().unwrap_or_default();
    let base = base.strip_suffix("ifexists").unwrap_or(base);
    matches!(
        base,
        "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike"
    )
}
