//! The reverse question: whom do a key's policy and grants let do this?
//!
//! The answer is the key's side alone. Where IAM policies of an account have the last word, that
//! account is named ([`Holder::subject_to`]): always for a principal of another account, and for
//! the own account where the policy delegates to it.

use std::collections::BTreeSet;

use super::caller::Caller;
use super::context::Context;
use super::document::{Clause, Effect, Policy, PrincipalType, Principals, Statement};
use super::evaluate::{Decider, Document, Layers, Outcome, Request, Resource, resource_side};
use super::operator::Operator;
use super::pattern::action_matches;
use super::truth::{Need, Truth};

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// As the policy or the grant names it; `*` for everyone.
    pub principal: String,
    pub kind: HolderKind,
    /// The account it belongs to, where the name tells.
    pub account: Option<String>,
    /// What the key's side says.
    pub outcome: Outcome,
    pub reason: &'static str,
    /// The account whose IAM policies have the last word.
    pub subject_to: Option<String>,
    pub decided_by: Vec<Decider>,
    pub depends_on: BTreeSet<Need>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderKind {
    /// Everyone, in every account; their IAM policies must allow it, too.
    Everyone,
    /// Everyone but the list (`NotPrincipal` with `Allow`): as good as public.
    EveryoneElse,
    /// The IAM policies of an account decide who.
    Account,
    /// All identities of an account, whatever its IAM policies allow
    /// (`"Principal": "*"` with `kms:CallerAccount` or `aws:PrincipalAccount`).
    AllOfAccount,
    Role,
    Session,
    User,
    FederatedUser,
    Service,
    /// An identity provider or a canonical user: such make no KMS requests.
    NoKmsPrincipal,
    /// The id of a deleted role or user: nobody.
    Deleted,
    /// No form that AWS documents.
    NotUnderstood,
}

impl HolderKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::EveryoneElse => "everyone_else",
            Self::Account => "account",
            Self::AllOfAccount => "all_of_account",
            Self::Role => "role",
            Self::Session => "session",
            Self::User => "user",
            Self::FederatedUser => "federated_user",
            Self::Service => "service",
            Self::NoKmsPrincipal => "no_kms_principal",
            Self::Deleted => "deleted",
            Self::NotUnderstood => "not_understood",
        }
    }
}

/// Lists, in the order of the policy, everyone whom the key policy or a grant of `layers` may let
/// do `action` on `key`, and whom `NotPrincipal` of a Deny spares. What `context` lists is taken as
/// true of the request. A holder who is surely refused after all is listed as denied with the statement that does it.
///
/// `key` is `None` for a policy whose key is not told: every account is then named as having the
/// last word.
pub fn who_can(
    action: &str,
    key: Option<&Resource>,
    layers: &Layers,
    context: &Context,
) -> Vec<Holder> {
    let any_key = Resource {
        arn: "*".to_owned(),
        account: String::new(),
        kind: super::ResourceKind::Key,
    };
    let question = Question {
        action,
        resource: key.unwrap_or(&any_key),
        layers,
        context,
    };
    let mut found: Vec<Holder> = Vec::new();
    let mut add = |holder: Holder| {
        let again = |h: &Holder| h.principal == holder.principal && h.kind == holder.kind;
        if !found.iter().any(again) {
            found.push(holder);
        }
    };
    match &layers.resource_policy {
        Document::Unread(what) => add(Holder {
            principal: "*".to_owned(),
            kind: HolderKind::NotUnderstood,
            account: None,
            outcome: Outcome::Unknown,
            reason: "policy_unreadable",
            subject_to: None,
            decided_by: Vec::new(),
            depends_on: BTreeSet::from([Need::Unread(what.clone())]),
        }),
        Document::Read(policy) => {
            question.of_policy(policy).into_iter().for_each(&mut add);
        }
    }
    let retires = action.eq_ignore_ascii_case("kms:RetireGrant");
    // A key may have thousands of grants for a few grantees, and all of them are read for each.
    let mut asked = BTreeSet::new();
    for grant in layers.grants.iter().flat_map(|grants| grants.iter()) {
        let retiring = grant.retiring.iter().filter(|_| retires);
        for name in grant.grantees.iter().chain(retiring).map(|g| &g.name) {
            if asked.insert(name) {
                question
                    .holder(PrincipalType::Aws, name)
                    .into_iter()
                    .for_each(&mut add);
            }
        }
    }
    found
}

struct Question<'a> {
    action: &'a str,
    resource: &'a Resource,
    layers: &'a Layers,
    context: &'a Context,
}

/// Whether a statement may be about an action.
pub(super) fn may_mean_action(statement: &Statement, action: &str) -> bool {
    match &statement.action {
        Some(Clause::Is(list)) => list.iter().any(|a| action_matches(a, action)),
        Some(Clause::Not(list)) => !list.iter().any(|a| action_matches(a, action)),
        None => true,
    }
}

impl Question<'_> {
    fn of_policy(&self, policy: &Policy) -> Vec<Holder> {
        let mut found = Vec::new();
        for statement in &policy.statements {
            if statement.effect == Some(Effect::Deny) || !may_mean_action(statement, self.action) {
                continue;
            }
            match &statement.principal {
                None if statement.unread.is_empty() => {}
                None => found.extend(self.everyone(HolderKind::NotUnderstood, statement)),
                Some(Clause::Not(_)) => {
                    found.extend(self.everyone(HolderKind::EveryoneElse, statement));
                }
                Some(Clause::Is(Principals::Everyone)) => {
                    found.extend(self.everyone(HolderKind::Everyone, statement));
                }
                Some(Clause::Is(Principals::Named(named))) => {
                    for (kind, names) in named {
                        for name in names {
                            if *kind == PrincipalType::Aws && name == "*" {
                                found.extend(self.everyone(HolderKind::Everyone, statement));
                            } else {
                                found.extend(self.holder(*kind, name));
                            }
                        }
                    }
                }
            }
        }
        if !found.is_empty() {
            found.extend(self.spared(policy));
        }
        found
    }

    /// Whom `NotPrincipal` of a Deny spares: an Allow for everyone, or for their account, lets them in
    /// and nobody beside them.
    fn spared(&self, policy: &Policy) -> Vec<Holder> {
        let denies = policy.statements.iter().filter(|statement| {
            statement.effect == Some(Effect::Deny) && may_mean_action(statement, self.action)
        });
        denies
            .filter_map(|statement| match &statement.principal {
                Some(Clause::Not(Principals::Named(named))) => Some(named),
                _ => None,
            })
            .flatten()
            .flat_map(|(kind, names)| names.iter().map(move |name| (*kind, name)))
            .filter(|(_, name)| *name != "*")
            .filter_map(|(kind, name)| self.holder(kind, name))
            .collect()
    }

    /// `*`, narrowed to the accounts or principals that a condition names.
    fn everyone(&self, kind: HolderKind, statement: &Statement) -> Vec<Holder> {
        for condition in &statement.conditions {
            let names = Operator::parse(&condition.operator).is_some_and(Operator::names_values);
            let plain = condition
                .values
                .iter()
                .all(|v| !v.contains(['*', '?', '$']));
            if !names || !plain || kind != HolderKind::Everyone {
                continue;
            }
            let key = condition.key.to_lowercase();
            match key.as_str() {
                "kms:calleraccount" | "aws:principalaccount" => {
                    return condition
                        .values
                        .iter()
                        .filter_map(|account| {
                            let caller = Caller::parse(account).ok()?;
                            Some(self.judge(account, HolderKind::AllOfAccount, &caller))
                        })
                        .collect();
                }
                "aws:principalarn" => {
                    return condition
                        .values
                        .iter()
                        .flat_map(|arn| self.holder(PrincipalType::Aws, arn))
                        .collect();
                }
                _ => {}
            }
        }
        vec![self.judge("*", kind, &Caller::Anyone)]
    }

    fn holder(&self, kind: PrincipalType, name: &str) -> Option<Holder> {
        let nobody = |kind: HolderKind, reason: &'static str, outcome| {
            Some(Holder {
                principal: name.to_owned(),
                kind,
                account: None,
                outcome,
                reason,
                subject_to: None,
                decided_by: Vec::new(),
                depends_on: BTreeSet::new(),
            })
        };
        let caller = match (kind, Caller::parse(name)) {
            (PrincipalType::Federated | PrincipalType::CanonicalUser, _) => {
                return nobody(
                    HolderKind::NoKmsPrincipal,
                    "no_kms_principal",
                    Outcome::Denied,
                );
            }
            (_, Ok(caller)) => caller,
            // Unique ids: letters that tell the kind, then capitals and digits.
            (PrincipalType::Aws, Err(_))
                if (name.starts_with("AROA") || name.starts_with("AIDA"))
                    && name
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) =>
            {
                return nobody(HolderKind::Deleted, "deleted_principal", Outcome::Denied);
            }
            (_, Err(_)) => {
                return nobody(
                    HolderKind::NotUnderstood,
                    "principal_not_understood",
                    Outcome::Denied,
                );
            }
        };
        let kind = match caller {
            Caller::Role { .. } => HolderKind::Role,
            Caller::Session { .. } => HolderKind::Session,
            Caller::User { .. } => HolderKind::User,
            Caller::FederatedUser { .. } => HolderKind::FederatedUser,
            Caller::Root { .. } | Caller::Account(_) => HolderKind::Account,
            Caller::Service(_) => HolderKind::Service,
            Caller::Anyone => HolderKind::Everyone,
        };
        // An account named by its id and by its root user's ARN is one.
        let caller = match caller {
            Caller::Root { account, .. } => Caller::Account(account),
            other => other,
        };
        let name = match &caller {
            Caller::Account(account) => account.clone(),
            _ => name.to_owned(),
        };
        Some(self.judge(&name, kind, &caller))
    }

    fn judge(&self, name: &str, kind: HolderKind, caller: &Caller) -> Holder {
        let mut context = self.context.clone();
        if *caller != Caller::Anyone {
            // Who it is follows from the question, whatever else is closed.
            context = context.deriving(caller, self.action, &self.resource.account);
        }
        let request = Request {
            caller,
            action: self.action,
            resource: self.resource,
            context: &context,
        };
        let (truth, decided_by) = resource_side(&request, self.layers);
        let account = caller.account().map(str::to_owned);
        let own = account.as_deref() == Some(self.resource.account.as_str());
        let delegates = kind == HolderKind::Account;
        let outcome = Outcome::of(&truth);
        let reason = match outcome {
            Outcome::Denied if decided_by.is_empty() => "not_allowed_by_key_policy",
            Outcome::Denied => "explicit_deny",
            Outcome::Conditional => "depends_on_context",
            Outcome::Unknown => "depends_on_unread",
            Outcome::Allowed if delegates && own => "delegated_needs_iam",
            Outcome::Allowed if account.is_some() && !own => "allowed_subject_to_account",
            Outcome::Allowed => "allowed_by_key",
        };
        Holder {
            principal: name.to_owned(),
            kind,
            subject_to: account.clone().filter(|_| delegates || !own),
            account,
            outcome,
            reason,
            decided_by,
            depends_on: match truth {
                Truth::Unknown(needs) => needs,
                _ => BTreeSet::new(),
            },
        }
    }
}
