//! The answer to "may this principal do this with this key": every layer in the order of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
//! with what KMS does differently
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::caller::Caller;
use super::context::Context;
use super::document::{Effect, Policy};
use super::evidence::{Evidence, Said};
use super::grant::Grant;
use super::truth::{Need, Truth};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub caller: &'a Caller,
    /// `kms:Decrypt` …; case does not matter.
    pub action: &'a str,
    pub resource: &'a Resource,
    pub context: &'a Context,
}

/// What the request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub arn: String,
    /// The account that owns it.
    pub account: String,
    pub kind: ResourceKind,
}

/// How a resource treats the IAM policies of its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// They count only where the key policy lets the account in.
    Key,
    /// They count (buckets and most other resources).
    Other,
}

/// A policy document, or why there is none to read.
#[derive(Debug, Clone)]
pub enum Document {
    Read(Arc<Policy>),
    Unread(String),
}

/// Every document that decides. [`Layers::default`] is "nothing was read, nothing restricts".
#[derive(Debug, Clone)]
pub struct Layers {
    /// Key or bucket policy.
    pub resource_policy: Document,
    /// `None`: not read.
    pub grants: Option<Arc<[Grant]>>,
    /// `None`: not read.
    pub identity: Option<Vec<Document>>,
    /// `None`: the principal has none.
    pub boundary: Option<Document>,
    /// `None`: the session has none.
    pub session: Option<Vec<Document>>,
    /// One list of policies per level, the root first; empty: not considered.
    pub service_control: Vec<Vec<Document>>,
    /// As `service_control`; AWS's own RCPFullAWSAccess needs not be listed.
    pub resource_control: Vec<Vec<Document>>,
    /// No service control policy applies to the principal: it is in the management account.
    pub caller_in_management_account: bool,
    /// No resource control policy applies: the resource is in the management account, or the key
    /// is an AWS managed one.
    pub resource_exempt: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            resource_policy: Document::Unread("key_policy".to_owned()),
            grants: None,
            identity: None,
            boundary: None,
            session: None,
            service_control: Vec::new(),
            resource_control: Vec::new(),
            caller_in_management_account: false,
            resource_exempt: false,
        }
    }
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Allowed,
    Denied,
    /// Condition keys decide whose values are not known.
    Conditional,
    /// Something that decides was not read or not understood.
    Unknown,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Conditional => "conditional",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn of(truth: &Truth) -> Self {
        match truth {
            Truth::True => Self::Allowed,
            Truth::False => Self::Denied,
            Truth::Unknown(needs) if needs.iter().all(|n| matches!(n, Need::Key(_))) => {
                Self::Conditional
            }
            Truth::Unknown(_) => Self::Unknown,
        }
    }
}

/// The answer with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    /// A reason code, e.g. `explicit_deny`.
    pub reason: &'static str,
    /// The statements and grants that made it so; empty where the absence of any did.
    pub decided_by: Vec<Decider>,
    /// What a conditional or unknown answer waits for.
    pub depends_on: BTreeSet<Need>,
}

/// A statement or a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The document: `key_policy`, `identity_policies[0]`, `service_control_policies[1][0]`, `grants[2]` …
    pub policy: String,
    /// Place of the statement in its document; `None` for a grant.
    pub statement: Option<usize>,
    /// Sid of the statement or id of the grant.
    pub sid: Option<String>,
    pub effect: Effect,
}

/// KMS actions that a principal of another account can be allowed
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>).
const CROSS_ACCOUNT: &[&str] = &[
    "creategrant",
    "decrypt",
    "derivesharedsecret",
    "describekey",
    "encrypt",
    "generatedatakey",
    "generatedatakeypair",
    "generatedatakeypairwithoutplaintext",
    "generatedatakeywithoutplaintext",
    "generatemac",
    "getkeyrotationstatus",
    "getpublickey",
    "listgrants",
    "reencryptfrom",
    "reencryptto",
    "retiregrant",
    "revokegrant",
    "sign",
    "verify",
    "verifymac",
];

/// Answers one request.
pub fn evaluate(request: &Request<'_>, layers: &Layers) -> Decision {
    let evidence = Evidence::gather(request, layers);
    let deny = Truth::any(evidence.all().map(Said::denied));
    if deny.is_true() {
        let denies = evidence.all().flat_map(|said| &said.deny);
        return denied(
            "explicit_deny",
            denies
                .filter(|(_, truth)| truth.is_true())
                .map(|(decider, _)| decider.clone())
                .collect(),
        );
    }
    let same_account = request.caller.account() == Some(request.resource.account.as_str());
    let is_service = matches!(request.caller, Caller::Service(_));
    if !is_service && !same_account && !crosses_accounts(request) {
        return denied("action_not_cross_account", Vec::new());
    }

    let sides = Sides::of(request, &evidence);
    let core = if is_service {
        sides.service()
    } else if same_account {
        sides.same_account()
    } else {
        sides.cross_account()
    };
    let levels = Truth::all(evidence.service_control.iter().map(Said::allowed));
    let total = core.allowed.clone().and(levels.clone()).and(!deny);
    let outcome = Outcome::of(&total);
    let reason = match outcome {
        Outcome::Allowed => core.path,
        Outcome::Conditional => "depends_on_context",
        Outcome::Unknown => "depends_on_unread",
        Outcome::Denied => {
            let fences = [
                (sides.boundary, "not_allowed_by_permissions_boundary"),
                (sides.session, "not_allowed_by_session_policy"),
                (levels, "not_allowed_by_service_control_policy"),
            ];
            core.steps
                .into_iter()
                .chain(fences)
                .find(|(truth, _)| truth.is_false())
                .map_or(core.otherwise, |(_, reason)| reason)
        }
    };
    let decided_by = match outcome {
        Outcome::Denied => Vec::new(),
        Outcome::Allowed => deciders(&evidence, Truth::is_true, core.by_account, core.by_identity),
        _ => deciders(
            &evidence,
            |truth| !truth.is_false(),
            core.by_account,
            core.by_identity,
        ),
    };
    Decision {
        outcome,
        reason,
        decided_by,
        depends_on: match total {
            Truth::Unknown(needs) => needs,
            _ => BTreeSet::new(),
        },
    }
}

fn denied(reason: &'static str, decided_by: Vec<Decider>) -> Decision {
    Decision {
        outcome: Outcome::Denied,
        reason,
        decided_by,
        depends_on: BTreeSet::new(),
    }
}

fn crosses_accounts(request: &Request<'_>) -> bool {
    request.resource.kind != ResourceKind::Key
        || request
            .action
            .split_once(':')
            .is_some_and(|(_, name)| CROSS_ACCOUNT.contains(&name.to_lowercase().as_str()))
}

/// What resource and principal each bring.
struct Sides {
    is_key: bool,
    /// Named by the policy itself, not by a grant alone.
    by_policy: Truth,
    /// Allowed by session, user or service, which no boundary or session policy narrows.
    direct: Truth,
    /// Allowed by role.
    limited: Truth,
    /// Delegated to the account.
    account: Truth,
    identity: Truth,
    boundary: Truth,
    session: Truth,
}

/// What both sides come to, before control policies and denials.
struct Core {
    allowed: Truth,
    /// The reason where it is allowed.
    path: &'static str,
    /// What must hold, in the order in which AWS asks, with the reason where it does not.
    steps: Vec<(Truth, &'static str)>,
    /// The reason where no single step fails.
    otherwise: &'static str,
    /// Whether delegation to the account, and whether identity policies, have a part in it.
    by_account: bool,
    by_identity: bool,
}

impl Sides {
    fn of(request: &Request<'_>, evidence: &Evidence) -> Self {
        let unseen = evidence.resource.unseen().or(evidence.grants.unseen());
        Self {
            is_key: request.resource.kind == ResourceKind::Key,
            by_policy: evidence
                .resource
                .allows(|m| m.direct.clone().or(m.limited.clone())),
            direct: evidence.named(|m| m.direct.clone()).or(unseen.clone()),
            limited: evidence.named(|m| m.limited.clone()),
            account: evidence.named(|m| m.account.clone()).or(unseen),
            // The root user of an account has every right that is delegated to the account.
            identity: match request.caller {
                Caller::Root { .. } => Truth::True,
                _ => evidence.identity.allowed(),
            },
            boundary: evidence
                .boundary
                .as_ref()
                .map_or(Truth::True, Said::allowed),
            session: evidence.session.as_ref().map_or(Truth::True, Said::allowed),
        }
    }

    fn by_resource(&self) -> &'static str {
        match (self.is_key, self.by_policy.is_true()) {
            (false, _) => "allowed_by_resource_policy",
            (true, true) => "allowed_by_key_policy",
            (true, false) => "allowed_by_grant",
        }
    }

    fn not_by_resource(&self) -> &'static str {
        if self.is_key {
            "not_allowed_by_key_policy"
        } else {
            "not_allowed_by_resource_policy"
        }
    }

    fn fences(&self) -> Truth {
        self.boundary.clone().and(self.session.clone())
    }

    fn service(&self) -> Core {
        Core {
            allowed: self.direct.clone(),
            path: self.by_resource(),
            steps: Vec::new(),
            otherwise: self.not_by_resource(),
            by_account: false,
            by_identity: false,
        }
    }

    fn same_account(&self) -> Core {
        let trusted = if self.is_key {
            self.account.clone()
        } else {
            Truth::True
        };
        let delegated = trusted.clone().and(self.identity.clone());
        let named = self.direct.clone().or(self.limited.clone());
        let mut steps = vec![(named.clone().or(trusted.clone()), self.not_by_resource())];
        if named.is_false() {
            steps.push((self.identity.clone(), "not_allowed_by_identity_policy"));
        }
        let narrowed = self.limited.clone().or(delegated).and(self.fences());
        Core {
            allowed: self.direct.clone().or(narrowed),
            path: if named.is_true() {
                self.by_resource()
            } else {
                "allowed_by_identity_policy"
            },
            steps,
            otherwise: self.not_by_resource(),
            by_account: !named.is_true() && !self.identity.is_false(),
            by_identity: !named.is_true() && !trusted.is_false(),
        }
    }

    fn cross_account(&self) -> Core {
        let entry = self
            .direct
            .clone()
            .or(self.limited.clone())
            .or(self.account.clone());
        Core {
            allowed: entry.clone().and(self.identity.clone()).and(self.fences()),
            path: "allowed_by_both_accounts",
            steps: vec![
                (entry, self.not_by_resource()),
                (self.identity.clone(), "not_allowed_by_identity_policy"),
            ],
            otherwise: self.not_by_resource(),
            by_account: true,
            by_identity: true,
        }
    }
}

/// The statements and grants that had a part in an answer other than a refusal.
fn deciders(
    evidence: &Evidence,
    had: impl Fn(&Truth) -> bool,
    by_account: bool,
    by_identity: bool,
) -> Vec<Decider> {
    let mut found = Vec::new();
    for (decider, means) in evidence.resource.allow.iter().chain(&evidence.grants.allow) {
        let named = means.direct.clone().or(means.limited.clone());
        if had(&named) || (by_account && had(&means.account)) {
            found.push(decider.clone());
        }
    }
    for (decider, means) in evidence.identity.allow.iter().filter(|_| by_identity) {
        if had(&means.clone().any()) {
            found.push(decider.clone());
        }
    }
    let denies = evidence.all().flat_map(|said| &said.deny);
    let open = denies.filter(|(_, truth)| matches!(truth, Truth::Unknown(_)));
    found.extend(open.map(|(decider, _)| decider.clone()));
    found
}

/// What the resource's side alone says: policy and grants, whoever decides in the caller's account.
pub(super) fn resource_side(request: &Request<'_>, layers: &Layers) -> (Truth, Vec<Decider>) {
    let evidence = Evidence::gather(request, layers);
    let unseen = evidence.resource.unseen().or(evidence.grants.unseen());
    let allowed = evidence.named(|m| m.clone().any()).or(unseen);
    let deny = evidence.resource.denied();
    if deny.is_true() {
        let denies = evidence.resource.deny.iter();
        let sure = denies.filter(|(_, t)| t.is_true()).map(|(d, _)| d.clone());
        return (Truth::False, sure.collect());
    }
    let total = allowed.and(!deny);
    let by = [&evidence.resource, &evidence.grants]
        .into_iter()
        .flat_map(|said| {
            let allow = said
                .allow
                .iter()
                .filter(|(_, m)| !m.clone().any().is_false());
            let deny = said.deny.iter().filter(|(_, t)| !t.is_false());
            let allow = allow.map(|(d, _)| d.clone());
            allow.chain(deny.map(|(d, _)| d.clone()))
        })
        .collect();
    (total, by)
}
