//! What a key's policy and grants open to principals outside the organization.
//!
//! A statement that means everyone is closed by a condition that names accounts or organizations,
//! if the caller cannot do without it, and by a Deny that spares nobody else. What a caller chooses
//! freely (the service it goes through, an encryption context, tags on its own role) closes nothing;
//! what cannot be judged from here (networks) leaves the answer open.

use std::collections::BTreeSet;

use super::facts::KeyFacts;
use super::limits::{Fence, Limit, demanded, fences, is_positive};
use super::setting::own_organization;
use super::writer::told;
use crate::assess::inputs::ScopeFacts;
use crate::model::ids::AccountId;
use crate::policy::{
    Context, Decider, Effect, Holder, HolderKind, Need, Outcome, Statement, who_can,
};

/// Actions that use a key or hand on its use, and that cross accounts.
const USES: &[&str] = &[
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:Encrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:CreateGrant",
];

/// Somebody outside who is let in, or may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::assess) struct Opening {
    /// `*`, an account, an organization, a principal or a service.
    pub who: String,
    /// The statement or grant, e.g. `key_policy[1] (Partner)`.
    pub by: String,
    /// Id of the grant, where it is one.
    pub grant: Option<String>,
    /// What decides where it is not sure.
    pub depends_on: Vec<String>,
}

/// Everything that a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::assess) struct Openings {
    /// Surely.
    pub open: BTreeSet<Opening>,
    /// Nobody can tell.
    pub unclear: BTreeSet<Opening>,
    /// Services that are let in for whomever they act, as statements.
    pub unbound_services: BTreeSet<String>,
}

impl Openings {
    /// Reads the key's policy and grants. An unread policy is unclear; unread grants are not looked
    /// at here.
    pub fn of(key: &KeyFacts, scope: &ScopeFacts) -> Self {
        let mut found = Self::default();
        let look = Look { key, scope };
        for action in USES {
            let fences = fences(key, action, scope);
            for holder in who_can(action, Some(&key.resource), &key.layers, &Context::open()) {
                look.at(&holder, &fences, &mut found);
            }
        }
        found
    }
}

/// Whether `account` is inside: the key's own account, or one of the organization; `None` when
/// nobody can tell. Accounts whose keys are accepted are not thereby let in to other keys.
pub(super) fn is_inside(account: &str, key: &KeyFacts, scope: &ScopeFacts) -> Option<bool> {
    let listed = account
        .parse::<AccountId>()
        .is_ok_and(|id| scope.accounts.contains_key(&id));
    let inside = account == key.resource.account || listed;
    (inside || scope.has_account_list).then_some(inside)
}

struct Look<'a> {
    key: &'a KeyFacts,
    scope: &'a ScopeFacts,
}

impl Look<'_> {
    fn at(&self, holder: &Holder, fences: &[Fence<'_>], found: &mut Openings) {
        if holder.outcome == Outcome::Denied {
            return;
        }
        let is_fenced = |f: &Fence<'_>| weight(&self.within(&f.spares, &f.deny)) == 0;
        match holder.kind {
            HolderKind::NotUnderstood => {
                found
                    .unclear
                    .insert(opening("*", "key_policy".to_owned(), None, needs(holder)));
            }
            HolderKind::Service => self.at_service(holder, found),
            HolderKind::NoKmsPrincipal | HolderKind::Deleted => {}
            _ if fences.iter().any(is_fenced) => {}
            HolderKind::Everyone | HolderKind::EveryoneElse => {
                self.at_everyone(holder, fences, found);
            }
            _ => {
                let Some(account) = holder.account.as_deref() else {
                    return;
                };
                for decider in allows(holder) {
                    self.judge(account, &holder.principal, decider, found);
                }
            }
        }
    }

    /// Files an account under open, unclear or neither.
    fn judge(&self, account: &str, who: &str, decider: &Decider, found: &mut Openings) {
        let grant = decider
            .statement
            .is_none()
            .then(|| decider.sid.clone())
            .flatten();
        match is_inside(account, self.key, self.scope) {
            Some(true) => {}
            Some(false) => {
                found
                    .open
                    .insert(opening(who, told(decider), grant, Vec::new()));
            }
            None => {
                let what = vec![format!("whether account {account} is in the organization")];
                found
                    .unclear
                    .insert(opening(who, told(decider), grant, what));
            }
        }
    }

    fn at_everyone(&self, holder: &Holder, fences: &[Fence<'_>], found: &mut Openings) {
        for decider in allows(holder) {
            let Some(statement) = self.statement(decider) else {
                continue;
            };
            let demanded = statement.conditions.iter().filter_map(demanded);
            let allowed = demanded.map(|limits| self.within(&limits, decider));
            let spared = fences.iter().map(|f| self.within(&f.spares, &f.deny));
            // Every limit holds; the narrowest decides, and one that keeps outsiders away is enough.
            if let Some(narrowest) = allowed.chain(spared).min_by_key(weight) {
                found.open.extend(narrowest.open);
                found.unclear.extend(narrowest.unclear);
                continue;
            }
            let unsure: Vec<String> = holder
                .depends_on
                .iter()
                .filter(|need| match need {
                    Need::Key(key) => !is_chosen_by_caller(key) && self.matters(key, statement),
                    Need::Unread(_) => true,
                })
                .map(|need| need.as_str().to_owned())
                .collect();
            let list = if unsure.is_empty() {
                &mut found.open
            } else {
                &mut found.unclear
            };
            list.insert(opening("*", told(decider), None, unsure));
        }
    }

    /// Who of those within `limits` is outside.
    fn within(&self, limits: &[Limit<'_>], decider: &Decider) -> Openings {
        let mut found = Openings::default();
        let own = own_organization(self.scope);
        for limit in limits {
            let (who, what) = match limit {
                Limit::Account(account) => {
                    self.judge(account, account, decider, &mut found);
                    continue;
                }
                Limit::Organization(id) if own.is_some_and(|own| own.eq_ignore_ascii_case(id)) => {
                    continue;
                }
                Limit::Organization(id) => {
                    let what = format!("whether {id} is the organization");
                    (*id, own.is_none().then_some(what))
                }
                Limit::Unclear(what) => ("*", Some(what.clone())),
            };
            let list = if what.is_none() {
                &mut found.open
            } else {
                &mut found.unclear
            };
            list.insert(opening(
                who,
                told(decider),
                None,
                what.into_iter().collect(),
            ));
        }
        found
    }

    fn at_service(&self, holder: &Holder, found: &mut Openings) {
        for decider in allows(holder) {
            let bound = self.statement(decider).is_some_and(|s| {
                s.conditions.iter().any(|c| {
                    let key = c.key.to_lowercase();
                    let names_source = matches!(
                        key.as_str(),
                        "aws:sourceaccount"
                            | "aws:sourcearn"
                            | "aws:sourceorgid"
                            | "aws:sourceorgpaths"
                            | "kms:encryptioncontext:aws:logs:arn"
                    );
                    names_source && is_positive(&c.operator)
                })
            });
            // A grant to a service is made for one resource of the account that made it.
            if !bound && decider.statement.is_some() {
                let text = format!("{} in {}", holder.principal, told(decider));
                found.unbound_services.insert(text);
            }
        }
    }

    /// Whether the statement, or one that denies, asks for the key.
    fn matters(&self, key: &str, statement: &Statement) -> bool {
        let asks = |s: &Statement| s.conditions.iter().any(|c| c.key.eq_ignore_ascii_case(key));
        let statements = self.key.policy().map(|p| p.statements.iter());
        let mut denies = statements
            .into_iter()
            .flatten()
            .filter(|s| s.effect == Some(Effect::Deny));
        asks(statement) || denies.any(asks)
    }

    fn statement(&self, decider: &Decider) -> Option<&Statement> {
        self.key.policy()?.statements.get(decider.statement?)
    }
}

fn weight(openings: &Openings) -> usize {
    openings.open.len() * 1_000 + openings.unclear.len()
}

fn opening(who: &str, by: String, grant: Option<String>, depends_on: Vec<String>) -> Opening {
    Opening {
        who: who.to_owned(),
        by,
        grant,
        depends_on,
    }
}

fn allows(holder: &Holder) -> impl Iterator<Item = &Decider> {
    holder
        .decided_by
        .iter()
        .filter(|d| d.effect == Effect::Allow)
}

fn needs(holder: &Holder) -> Vec<String> {
    holder
        .depends_on
        .iter()
        .map(|n| n.as_str().to_owned())
        .collect()
}

/// Keys whose value any caller can bring about.
fn is_chosen_by_caller(key: &str) -> bool {
    const CHOSEN: &[&str] = &[
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "kms:encryptionalgorithm",
        "kms:encryptioncontextkeys",
        "kms:grantconstrainttype",
        "kms:grantisforawsresource",
        "kms:granteeprincipal",
        "kms:grantoperations",
        "kms:requestalias",
        "kms:viaservice",
    ];
    let key = key.to_lowercase();
    CHOSEN.contains(&key.as_str())
        || key.starts_with("kms:encryptioncontext:")
        || key.starts_with("aws:principaltag/")
        // Negated, such a condition is fulfilled by whoever is outside.
        || matches!(
            key.as_str(),
            "kms:calleraccount" | "aws:principalaccount" | "aws:principalorgid"
                | "aws:principalorgpaths"
        )
}
