//! To whom the conditions of a statement that means everyone limit it, and whom a Deny spares.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::KeyFacts;
use super::setting::{of_key, own_organization};
use crate::assess::inputs::ScopeFacts;
use crate::model::datasets::Account;
use crate::model::ids::AccountId;
use crate::policy::{
    Caller, Clause, Condition, Decider, Document, Effect, Layers, Policy, PrincipalType,
    Principals, Request, Statement, evaluate,
};

/// To whom a condition limits a statement; several are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Limit<'s> {
    Account(&'s str),
    Organization(&'s str),
    /// To somebody of whom this must be known.
    Unclear(String),
}

/// A Deny that keeps everyone away but those within its limits.
pub(super) struct Fence<'s> {
    pub deny: Decider,
    pub spares: Vec<Limit<'s>>,
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
    /// Everyone whom the fences spare.
    pub fn unlimited(fences: &[Fence<'_>], key: &KeyFacts, scope: &ScopeFacts) -> Self {
        let mut found = Self {
            said: vec!["*".to_owned()],
            kind: "everyone",
            accounts: None,
        };
        for fence in fences {
            found.narrow(&fence.spares, key, scope);
        }
        found
    }

    /// All conditions hold at once, so the accounts are those that every limit leaves; and a pattern
    /// says more than an organization.
    pub fn of(
        statement: &Statement,
        fences: &[Fence<'_>],
        key: &KeyFacts,
        scope: &ScopeFacts,
    ) -> Self {
        let mut found = Self::unlimited(fences, key, scope);
        for condition in &statement.conditions {
            if !is_positive(&condition.operator) {
                continue;
            }
            let limits = demanded(condition);
            let is_organization = |l: &Limit<'_>| matches!(l, Limit::Organization(_));
            let organizations = limits
                .as_ref()
                .is_some_and(|l| l.iter().all(is_organization));
            let kind = match condition.key.to_lowercase().as_str() {
                "aws:principalarn" => "pattern",
                "aws:principalorgid" | "aws:principalorgpaths" if organizations => "organization",
                _ => "everyone",
            };
            if kind == "pattern" || (kind == "organization" && found.kind == "everyone") {
                found.said.clone_from(&condition.values);
                found.kind = kind;
            }
            if let Some(limits) = limits {
                found.narrow(&limits, key, scope);
            }
        }
        found
    }

    fn narrow(&mut self, limits: &[Limit<'_>], key: &KeyFacts, scope: &ScopeFacts) {
        let each = limits.iter().map(|limit| accounts(limit, key, scope));
        let Some(left) = each.collect::<Option<Vec<_>>>() else {
            return;
        };
        let left: BTreeSet<AccountId> = left.into_iter().flatten().collect();
        self.accounts = Some(match self.accounts.take() {
            Some(before) => before.intersection(&left).cloned().collect(),
            None => left,
        });
    }
}

/// The accounts that a limit leaves; `None` unless all of them are listed.
fn accounts(limit: &Limit<'_>, key: &KeyFacts, scope: &ScopeFacts) -> Option<BTreeSet<AccountId>> {
    match limit {
        Limit::Account(text) => {
            let id: AccountId = text.parse().ok()?;
            let listed = scope.accounts.contains_key(&id) || id == key.arn.account_id;
            listed.then(|| BTreeSet::from([id]))
        }
        Limit::Organization(id) => {
            let own = own_organization(scope)?;
            let is_ours = scope.has_account_list && id.eq_ignore_ascii_case(own);
            // Nobody can call from an account that AWS suspended.
            let works =
                |(_, a): &(&AccountId, &Account)| a.left_out_because.as_deref() != Some("state");
            let ids = scope.accounts.iter().filter(works);
            is_ours.then(|| ids.map(|(id, _)| id.clone()).collect())
        }
        Limit::Unclear(_) => None,
    }
}

/// The accounts or organizations that a condition of an Allow demands of a caller.
pub(super) fn demanded(condition: &Condition) -> Option<Vec<Limit<'_>>> {
    if !is_positive(&condition.operator) {
        return None;
    }
    limits(&condition.operator.to_lowercase(), condition)
}

/// Every Deny of the key policy that surely keeps everyone from `action` but whom its conditions and
/// `NotPrincipal` spare.
pub(super) fn fences<'k>(key: &'k KeyFacts, action: &str, scope: &ScopeFacts) -> Vec<Fence<'k>> {
    let Some(policy) = key.policy() else {
        return Vec::new();
    };
    let statements = policy.statements.iter().enumerate();
    statements
        .filter(|(_, statement)| statement.effect == Some(Effect::Deny))
        .filter_map(|(at, statement)| {
            let deny = Decider {
                policy: "key_policy".to_owned(),
                statement: Some(at),
                sid: statement.sid.clone(),
                effect: Effect::Deny,
            };
            let spares = spared(policy, statement, key, action, scope)?;
            Some(Fence { deny, spares })
        })
        .collect()
}

/// Whom a Deny spares. `None` where it may spare anybody: what is left of it without the conditions
/// that spare must apply whoever asks. All its conditions must hold, so each spares its own.
fn spared<'k>(
    policy: &Policy,
    statement: &'k Statement,
    key: &KeyFacts,
    action: &str,
    scope: &ScopeFacts,
) -> Option<Vec<Limit<'k>>> {
    let mut rest = statement.clone();
    let mut found = Vec::new();
    if let Some(Clause::Not(listed)) = &statement.principal {
        found.extend(named(listed)?);
        rest.principal = Some(Clause::Is(Principals::Everyone));
    }
    rest.conditions.clear();
    for condition in &statement.conditions {
        let several = condition.key.to_lowercase().ends_with("orgpaths");
        match complement(condition).and_then(|spares| limits(&spares, condition)) {
            Some(_) if several && !condition.operator.contains(':') => {
                let (operator, key) = (&condition.operator, &condition.key);
                let what = format!("what {operator} does with several values of {key}");
                found.push(Limit::Unclear(what));
            }
            Some(spares) => found.extend(spares),
            None => rest.conditions.push(condition.clone()),
        }
    }
    let alone = Policy {
        version: policy.version,
        statements: vec![rest],
        ..Policy::default()
    };
    let layers = Layers {
        resource_policy: Document::Read(Arc::new(alone)),
        ..Layers::default()
    };
    let request = Request {
        caller: &Caller::Anyone,
        action,
        resource: &key.resource,
        context: &of_key(key, &Caller::Anyone, action, scope),
    };
    (evaluate(&request, &layers).reason == "explicit_deny").then_some(found)
}

/// The accounts of the principals that a Deny lists under `NotPrincipal`; `None` for everyone. The
/// rest are services and the ids of deleted principals.
fn named(listed: &Principals) -> Option<Vec<Limit<'_>>> {
    let Principals::Named(named) = listed else {
        return None;
    };
    let of_aws = named.iter().filter(|(kind, _)| *kind == PrincipalType::Aws);
    let names = of_aws.flat_map(|(_, names)| names).map(String::as_str);
    names
        .filter(|name| name.starts_with("arn:") || is_account(name) || *name == "*")
        .map(|name| match name {
            "*" => None,
            arn => Some(Limit::Account(arn.split(':').nth(4).unwrap_or(arn))),
        })
        .collect()
}

/// The operator, in lower case, under which a caller must match the condition to be spared by its
/// negated one: whoever lacks the key is denied, but for `ForAnyValue:`. `None` for other operators.
fn complement(condition: &Condition) -> Option<String> {
    let operator = condition.operator.to_lowercase();
    let (set, base) = match operator.split_once(':') {
        Some((set, base)) => (Some(set), base),
        None => (None, operator.as_str()),
    };
    let (base, if_exists) = match base.strip_suffix("ifexists") {
        Some(base) => (base, true),
        None => (base, false),
    };
    let (kind, test) = base.split_once("not")?;
    let positive = Some(format!("{kind}{test}")).filter(|name| is_positive(name))?;
    match set {
        None | Some("forallvalues") => Some(positive),
        Some("foranyvalue") if if_exists => Some(positive),
        // Whoever lacks the key, or of whose values every one matches.
        Some("foranyvalue") => Some(format!("forallvalues:{positive}")),
        Some(_) => None,
    }
}

/// The callers who match `condition` under `operator`, a positive one in lower case; `None` for
/// anybody.
fn limits<'s>(operator: &str, condition: &'s Condition) -> Option<Vec<Limit<'s>>> {
    // Whoever lacks the key matches.
    let lacking = operator.ends_with("ifexists") || operator.starts_with("forallvalues:");
    let key = condition.key.to_lowercase();
    let is_account = match key.as_str() {
        // A principal has these always.
        "kms:calleraccount" | "aws:principalaccount" | "aws:principalarn" => true,
        // Only calls of services carry these.
        "aws:sourceaccount" | "aws:sourcearn" if !lacking => true,
        // An account of no organization has none of these.
        "aws:principalorgid"
        | "aws:principalorgpaths"
        | "aws:sourceorgid"
        | "aws:sourceorgpaths"
            if !lacking =>
        {
            false
        }
        _ => return None,
    };
    let is_exact = operator.contains("stringequals");
    let mut found = Vec::new();
    for value in &condition.values {
        // Nobody has a wildcard in his id, which only the other operators read as one.
        if is_exact && value.contains(['*', '?']) {
            continue;
        }
        let told = if key.ends_with("arn") {
            let parts: Vec<&str> = value.splitn(6, ':').collect();
            let head = parts.get(..4).map(|head| head.concat()).unwrap_or_default();
            // Under a text operator a wildcard runs over colons, and a variable has some in its name.
            let is_text = !operator.contains("arn");
            if head.contains('$') || (is_text && head.contains(['*', '?'])) {
                found.push(unclear(value));
                continue;
            }
            *parts.get(4)?
        } else if key.ends_with("paths") {
            value.split('/').next()?
        } else {
            value.as_str()
        };
        let id = if is_account {
            told
        } else {
            told.strip_prefix("o-").unwrap_or(told)
        };
        if id.starts_with(['*', '?']) {
            return None;
        }
        found.push(if told.contains(['*', '?', '$']) {
            unclear(value)
        } else if !is_account {
            Limit::Organization(told)
        } else if self::is_account(told) {
            Limit::Account(told)
        } else {
            continue;
        });
    }
    Some(found)
}

fn unclear<'s>(value: &str) -> Limit<'s> {
    Limit::Unclear(format!("whom {value} matches"))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
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
