//! Who may do something with a key: the reverse question, with the identities of its account and of
//! the accounts that it lets in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::answers::ACCOUNTS;
use super::facts::{Identities, KeyFacts, READS_IDENTITIES};
use super::limits::{Fence, Reach, fences};
use super::setting::{of_key, own_organization};
use super::units::Unit;
use super::writer::{ask, narrow, told};
use crate::assess::inputs::{LookupError, ScopeFacts};
use crate::model::datasets::KeyAccess;
use crate::model::ids::AccountId;
use crate::policy::{
    Caller, Context, Effect, Holder as Named, HolderKind, Layers, Outcome, Request, evaluate,
    is_out_of_question, who_can,
};
use crate::time::Date;

/// What `key_access` tells of every key: who can read what lies under it, and who rules it.
const ACTIONS: &[&str] = &[
    "kms:Decrypt",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
];

/// Those of [`ACTIONS`] that a principal of another account can be allowed
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>).
const CROSS_ACCOUNT: &[&str] = &["kms:Decrypt", "kms:CreateGrant"];

/// Somebody who may do it, or may be the one who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) struct Holder {
    /// ARN, account, service, or what the policy says of everyone it means: a pattern of ARNs, an
    /// organization or `*`.
    pub who: String,
    pub kind: &'static str,
    pub account: Option<AccountId>,
    /// Business unit by its own tag.
    pub business_unit: Option<String>,
    /// Never `Denied`.
    pub outcome: Outcome,
    pub depends_on: Vec<String>,
    pub decided_by: Vec<String>,
    /// Where it stands for several principals: what keeps them from being named one by one.
    pub not_named: Vec<String>,
}

/// Everyone who may do one thing with a key.
#[derive(Debug)]
pub(in crate::assess) struct Holders {
    /// Each principal once, by name.
    pub all: Vec<Holder>,
    /// Whether some statement means everyone, so that `all` depends on the accounts of interest.
    pub means_many: bool,
}

/// Reads the identities of an account.
pub(super) type Find<'f> = dyn Fn(&AccountId) -> Result<Arc<Identities>, LookupError> + 'f;

/// Lists everyone who may do `action` with the key, each principal once. Whom a statement means by
/// everyone is looked up in the accounts that its conditions leave, as far as they are `of_interest`.
pub(super) fn holders(
    key: &KeyFacts,
    action: &str,
    scope: &ScopeFacts,
    find: &Find<'_>,
    of_interest: &dyn Fn(&AccountId) -> bool,
) -> Result<Holders, LookupError> {
    let owner = &key.arn.account_id;
    let crosses = CROSS_ACCOUNT.contains(&action);
    let named: Vec<Named> = who_can(action, Some(&key.resource), &key.layers, &Context::open())
        .into_iter()
        .filter(|h| h.outcome != Outcome::Denied)
        .filter(|h| crosses || h.account.as_deref().is_none_or(|a| a == owner.as_str()))
        .collect();
    // The accounts whose identities have a say: the key's own, and every other that is named.
    let mut accounts: BTreeMap<AccountId, Arc<Identities>> = BTreeMap::new();
    if !named.is_empty() {
        accounts.insert(owner.clone(), find(owner)?);
    }
    for holder in &named {
        let id = holder.account.as_deref().and_then(|a| a.parse().ok());
        if let Some(id) = id
            && !accounts.contains_key(&id)
            && scope.accounts.contains_key(&id)
        {
            let identities = find(&id)?;
            accounts.insert(id, identities);
        }
    }
    let mut found: BTreeMap<String, Holder> = BTreeMap::new();
    let means_many = named.iter().any(|n| self::means_many(n.kind));
    // Of more accounts than are kept parsed at one time nobody is named.
    let fences = fences(key, action, scope);
    for named in named.iter().filter(|n| self::means_many(n.kind)) {
        for (mut reach, decided_by) in reaches(named, &fences, key, scope) {
            let mut not_named = Vec::new();
            let meant = reach.accounts.take().map(|accounts| {
                let accounts = accounts.into_iter().filter(|a| crosses || a == owner);
                accounts.filter(|a| of_interest(a)).collect::<BTreeSet<_>>()
            });
            match meant.filter(|a| a.len() <= ACCOUNTS) {
                None => not_named.push(format!("who {} is", reach.said.join(" or "))),
                Some(meant) => {
                    for id in meant {
                        let identities = match accounts.get(&id) {
                            Some(known) => Arc::clone(known),
                            None => find(&id)?,
                        };
                        if !identities.is_read {
                            not_named.push(format!("{READS_IDENTITIES} in account {id}"));
                        }
                        accounts.insert(id, identities);
                    }
                }
            }
            for who in reach.said {
                let account = account_in(&who);
                if !crosses && account.as_ref().is_some_and(|a| a != owner) {
                    continue;
                }
                let kind = match named.kind {
                    HolderKind::NotUnderstood => kind(named.kind),
                    _ => reach.kind,
                };
                let holder = found.entry(who.clone()).or_insert_with(|| Holder {
                    who,
                    kind,
                    account,
                    business_unit: None,
                    outcome: named.outcome,
                    depends_on: needs(named),
                    decided_by: Vec::new(),
                    not_named: Vec::new(),
                });
                // Several statements may say the same of whom they mean.
                holder.decided_by.extend(decided_by.iter().cloned());
                holder.not_named.extend(not_named.iter().cloned());
            }
        }
    }
    let mut layers = key.layers.clone();
    for identities in accounts.values() {
        for identity in identities.all() {
            narrow(&mut layers, identity);
            if is_out_of_question(&identity.caller, action, &key.resource, &layers) {
                continue;
            }
            let context = of_key(key, &identity.caller, action, scope);
            let decision = ask(identity, action, &key.resource, &layers, &context);
            if decision.outcome == Outcome::Denied {
                continue;
            }
            let holder = Holder {
                who: identity.arn.clone(),
                kind: if identity.kind == "user" {
                    "user"
                } else {
                    "role"
                },
                account: Some(identity.account.clone()),
                business_unit: identity.business_unit.clone(),
                outcome: decision.outcome,
                depends_on: decision
                    .depends_on
                    .iter()
                    .map(|n| n.as_str().to_owned())
                    .collect(),
                decided_by: decision.decided_by.iter().map(told).collect(),
                not_named: Vec::new(),
            };
            found.insert(holder.who.clone(), holder);
        }
    }
    for named in named.into_iter().filter(|n| !self::means_many(n.kind)) {
        let account: Option<AccountId> = named.account.as_deref().and_then(|a| a.parse().ok());
        let identities = account.as_ref().and_then(|id| accounts.get(id));
        let is_read = identities.is_some_and(|i| i.is_read);
        let is_judged = identities.is_some_and(|i| i.by_arn(&named.principal).is_some());
        if is_judged {
            continue;
        }
        let mut holder = Holder {
            who: named.principal.clone(),
            kind: kind(named.kind),
            business_unit: None,
            outcome: named.outcome,
            depends_on: needs(&named),
            decided_by: named.decided_by.iter().map(told).collect(),
            not_named: Vec::new(),
            account,
        };
        if holder.kind == "account" && !is_read {
            holder
                .not_named
                .push(format!("{READS_IDENTITIES} in account {}", named.principal));
        }
        // The account's root user may, whatever IAM says; who else may, its identities tell.
        if named.subject_to.is_some() && !is_read {
            holder.outcome = Outcome::Unknown;
            let account = named.subject_to.as_deref().unwrap_or_default();
            holder
                .depends_on
                .push(format!("{READS_IDENTITIES} in account {account}"));
        }
        found.entry(holder.who.clone()).or_insert(holder);
    }
    Ok(Holders {
        all: found.into_values().collect(),
        means_many,
    })
}

/// Whether it stands for principals of accounts that nobody names.
fn means_many(kind: HolderKind) -> bool {
    matches!(
        kind,
        HolderKind::Everyone | HolderKind::EveryoneElse | HolderKind::NotUnderstood
    )
}

/// Whom each statement that means everyone means, with the statement.
fn reaches(
    named: &Named,
    fences: &[Fence<'_>],
    key: &KeyFacts,
    scope: &ScopeFacts,
) -> Vec<(Reach, Vec<String>)> {
    let unlimited = || Reach::unlimited(fences, key, scope);
    let allows = named
        .decided_by
        .iter()
        .filter(|d| d.effect == Effect::Allow);
    let statement = |at: usize| key.policy()?.statements.get(at);
    let found: Vec<_> = allows
        .map(|decider| {
            let reach = match decider.statement.and_then(statement) {
                Some(statement) => Reach::of(statement, fences, key, scope),
                None => unlimited(),
            };
            (reach, vec![told(decider)])
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let decided_by = named.decided_by.iter().map(told).collect();
    vec![(unlimited(), decided_by)]
}

/// The account that a pattern of ARNs spells out.
fn account_in(pattern: &str) -> Option<AccountId> {
    pattern.split(':').nth(4)?.parse().ok()
}

fn needs(named: &Named) -> Vec<String> {
    let needs = named.depends_on.iter();
    needs.map(|n| n.as_str().to_owned()).collect()
}

fn kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::Everyone | HolderKind::EveryoneElse => "everyone",
        HolderKind::Account | HolderKind::AllOfAccount => "account",
        HolderKind::Role => "role",
        HolderKind::Session => "session",
        HolderKind::User | HolderKind::FederatedUser => "user",
        HolderKind::Service => "service",
        HolderKind::NoKmsPrincipal | HolderKind::Deleted | HolderKind::NotUnderstood => "unknown",
    }
}

/// The rows of `key_access` for one key.
///
/// # Errors
/// When `find` cannot read a fact that it holds.
pub(super) fn access_rows(
    key: &KeyFacts,
    scheduled_for: Date,
    scope: &ScopeFacts,
    find: &Find<'_>,
) -> Result<Vec<KeyAccess>, LookupError> {
    let mut rows = Vec::new();
    for action in ACTIONS {
        for holder in holders(key, action, scope, find, &|_| true)?.all {
            let in_organization = match &holder.account {
                Some(account) => {
                    let listed = scope.accounts.contains_key(account);
                    (listed || scope.has_account_list).then_some(listed)
                }
                None if holder.kind == "organization" => {
                    own_organization(scope).map(|own| holder.who.split('/').next() == Some(own))
                }
                None => None,
            };
            let business_unit = holder.account.as_ref().and_then(|account| {
                let unit = Unit::of(holder.business_unit.as_deref(), account, scope);
                unit.name().map(str::to_owned)
            });
            rows.push(KeyAccess {
                scheduled_for,
                account_id: key.arn.account_id.clone(),
                region: key.arn.region.clone(),
                key_arn: key.resource.arn.clone(),
                action: (*action).to_owned(),
                holder: holder.who,
                holder_kind: holder.kind.to_owned(),
                holder_account: holder.account,
                in_organization,
                business_unit,
                decision: holder.outcome.as_str().to_owned(),
                depends_on: (!holder.depends_on.is_empty()).then(|| holder.depends_on.join("; ")),
                decided_by: holder.decided_by.join("; "),
            });
        }
    }
    Ok(rows)
}

/// Who can switch a key off, or rewrite its policy and so let himself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::assess) struct Rulers {
    /// By action: who surely or perhaps may.
    pub by_action: BTreeMap<&'static str, Vec<Holder>>,
    /// The actions that everyone in the key's account may do, whatever its IAM policies say.
    pub of_everyone: Vec<&'static str>,
    /// Actions that such an identity may do under conditions of which nobody can tell.
    pub of_some: Vec<&'static str>,
}

/// The actions that rule a key.
const RULING: &[&str] = &[
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
];

impl Rulers {
    pub(super) fn of(
        key: &KeyFacts,
        scope: &ScopeFacts,
        find: &Find<'_>,
    ) -> Result<Self, LookupError> {
        let mut by_action = BTreeMap::new();
        for action in RULING {
            by_action.insert(*action, holders(key, action, scope, find, &|_| true)?.all);
        }
        let that = |may: fn(Outcome) -> bool| {
            let actions = RULING.iter().copied();
            actions
                .filter(|action| may(anyone_may(key, action, scope)))
                .collect()
        };
        Ok(Self {
            by_action,
            of_everyone: that(|may| may == Outcome::Allowed),
            of_some: that(|may| matches!(may, Outcome::Conditional | Outcome::Unknown)),
        })
    }

    /// Whether there is an action that surely nobody may do.
    pub fn lacks_ruler(&self) -> bool {
        self.by_action.values().any(Vec::is_empty)
    }
}

/// Whether an identity of the key's account that no policy and no grant names, and that has none, may do it.
pub(super) fn anyone_may(key: &KeyFacts, action: &str, scope: &ScopeFacts) -> Outcome {
    let caller = Caller::Account(key.resource.account.clone());
    let context = of_key(key, &caller, action, scope);
    let request = Request {
        caller: &caller,
        action,
        resource: &key.resource,
        context: &context,
    };
    let layers = Layers {
        identity: Some(Vec::new()),
        grants: Some(Arc::default()),
        ..key.layers.clone()
    };
    evaluate(&request, &layers).outcome
}
