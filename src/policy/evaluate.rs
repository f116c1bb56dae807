//! The answer to "may this principal do this with this key": every layer in the order of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html>
//! with what KMS does differently
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::caller::{self, Caller, Match, Setting};
use super::context::Context;
use super::document::{Clause, Effect, Policy, Statement};
use super::grant::Grant;
use super::operator;
use super::pattern::{action_matches, resource_matches};
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
    pub grants: Option<Vec<Grant>>,
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

    fn of(truth: &Truth) -> Self {
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

/// How a document is read: who it is about and what an omission in it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    KeyPolicy,
    ResourcePolicy,
    Identity,
    ServiceControl,
    ResourceControl,
}

/// What one or more documents say.
#[derive(Debug, Default)]
struct Said {
    allow: Vec<(Decider, Match)>,
    deny: Vec<(Decider, Truth)>,
    /// Documents, or parts of them, that may say anything.
    unseen: Vec<Truth>,
}

impl Said {
    fn unseen(&self) -> Truth {
        Truth::any(self.unseen.iter().cloned())
    }

    fn allows(&self, how: impl Fn(&Match) -> Truth) -> Truth {
        Truth::any(self.allow.iter().map(|(_, m)| how(m)))
    }

    fn allowed(&self) -> Truth {
        self.allows(|m| m.clone().any()).or(self.unseen())
    }

    fn denied(&self) -> Truth {
        Truth::any(self.deny.iter().map(|(_, t)| t.clone())).or(self.unseen())
    }

    fn read(&mut self, documents: &[Document], name: &str, kind: Kind, ask: &Asked<'_>) {
        for (at, document) in documents.iter().enumerate() {
            self.read_one(document, &format!("{name}[{at}]"), kind, ask);
        }
    }

    fn read_one(&mut self, document: &Document, name: &str, kind: Kind, ask: &Asked<'_>) {
        let policy = match document {
            Document::Read(policy) => policy,
            Document::Unread(what) => return self.unseen.push(Truth::unread(what.clone())),
        };
        if let Some(part) = policy.unread.first() {
            let what = format!("{name}: {} {}", part.why.as_str(), part.element);
            self.unseen.push(Truth::unread(what));
        }
        for (at, statement) in policy.statements.iter().enumerate() {
            let place = format!("{name} statement {at}");
            for effect in [Effect::Allow, Effect::Deny] {
                if statement.effect.is_some_and(|e| e != effect) {
                    continue;
                }
                let found = ask.meant(policy, statement, effect, kind, &place);
                let decider = Decider {
                    policy: name.to_owned(),
                    statement: Some(at),
                    sid: statement.sid.clone(),
                    effect,
                };
                match effect {
                    Effect::Allow => self.allow.push((decider, found)),
                    Effect::Deny => self.deny.push((decider, found.any())),
                }
            }
        }
    }
}

/// A request together with what about its principal decides how names are matched.
struct Asked<'a> {
    request: &'a Request<'a>,
    setting: Setting,
}

impl Asked<'_> {
    /// Whether a statement means the request, and how it names the caller.
    fn meant(
        &self,
        policy: &Policy,
        statement: &Statement,
        effect: Effect,
        kind: Kind,
        place: &str,
    ) -> Match {
        let Request {
            caller,
            action,
            resource,
            context,
        } = *self.request;
        let variables = policy.version.has_variables();
        let lacks = |element: &str| Truth::unread(format!("{place}: no {element}"));
        let mut certain = Truth::True;
        for part in policy.unread.iter().chain(&statement.unread) {
            let what = format!("{place}: {} {}", part.why.as_str(), part.element);
            certain = certain.and(Truth::unread(what));
        }
        let is_unread = |element: &str| {
            statement
                .unread
                .iter()
                .any(|u| u.element.strip_prefix("Not").unwrap_or(&u.element) == element)
        };
        let means_action = match &statement.action {
            _ if is_unread("Action") => Truth::True,
            Some(Clause::Is(list)) => list.iter().any(|a| action_matches(a, action)).into(),
            Some(Clause::Not(list)) => (!list.iter().any(|a| action_matches(a, action))).into(),
            None => lacks("Action"),
        };
        let in_list = |list: &[String]| {
            Truth::any(
                list.iter()
                    .map(|r| resource_matches(r, &resource.arn, variables.then_some(context))),
            )
        };
        let means_resource = match &statement.resource {
            _ if is_unread("Resource") => Truth::True,
            Some(Clause::Is(list)) => in_list(list),
            Some(Clause::Not(list)) => !in_list(list),
            // KMS accepts such a statement, and it has no effect
            // (https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html).
            None if kind == Kind::KeyPolicy => Truth::False,
            None => lacks("Resource"),
        };
        let holds = if is_unread("Condition") {
            Truth::True
        } else {
            Truth::all(
                statement
                    .conditions
                    .iter()
                    .map(|c| operator::holds(c, context, variables)),
            )
        };
        let base = means_action.and(means_resource).and(holds).and(certain);
        let base = match statement.effect {
            Some(_) => base,
            None => base.and(lacks("Effect")),
        };
        let everyone = |truth: Truth| Match {
            direct: truth,
            limited: Truth::False,
            account: Truth::False,
        };
        match (kind, &statement.principal) {
            (Kind::Identity | Kind::ServiceControl, None) => everyone(base),
            (Kind::Identity | Kind::ServiceControl, Some(_)) => {
                everyone(base.and(Truth::unread(format!("{place}: a Principal"))))
            }
            (_, _) if is_unread("Principal") => everyone(base),
            (_, None) => everyone(base.and(lacks("Principal"))),
            (_, Some(clause)) => {
                let named = caller::matches(clause, effect, caller, self.setting);
                Match {
                    direct: named.direct.and(base.clone()),
                    limited: named.limited.and(base.clone()),
                    account: named.account.and(base),
                }
            }
        }
    }
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

/// Everything the layers say about one request.
struct Evidence {
    resource: Said,
    grants: Said,
    identity: Said,
    boundary: Option<Said>,
    session: Option<Said>,
    service_control: Vec<Said>,
    resource_control: Vec<Said>,
}

impl Evidence {
    fn gather(request: &Request<'_>, layers: &Layers) -> Self {
        let caller = request.caller;
        let setting = Setting {
            closed: request.context.is_closed(),
            bounded: layers.boundary.is_some(),
        };
        let ask = Asked { request, setting };
        let is_key = request.resource.kind == ResourceKind::Key;
        let mut resource = Said::default();
        let (name, kind) = if is_key {
            ("key_policy", Kind::KeyPolicy)
        } else {
            ("resource_policy", Kind::ResourcePolicy)
        };
        resource.read_one(&layers.resource_policy, name, kind, &ask);

        let mut grants = Said::default();
        match &layers.grants {
            _ if !is_key => {}
            None => grants.unseen.push(Truth::unread("grants")),
            Some(list) => {
                for (at, grant) in list.iter().enumerate() {
                    let found = grant.allows(caller, request.action, request.context, setting);
                    let decider = Decider {
                        policy: format!("grants[{at}]"),
                        statement: None,
                        sid: grant.id.clone(),
                        effect: Effect::Allow,
                    };
                    grants.allow.push((decider, found));
                }
            }
        }

        // A service, or an account's root user, has no identity policies, boundary or session.
        let is_identity = !matches!(
            caller,
            Caller::Service(_) | Caller::Root { .. } | Caller::Anyone
        );
        let mut identity = Said::default();
        match &layers.identity {
            _ if !is_identity => {}
            None => identity.unseen.push(Truth::unread("identity_policies")),
            Some(documents) => {
                identity.read(documents, "identity_policies", Kind::Identity, &ask);
            }
        }
        let boundary = layers.boundary.as_ref().filter(|_| is_identity).map(|b| {
            let mut said = Said::default();
            said.read_one(b, "permissions_boundary", Kind::Identity, &ask);
            said
        });
        let session = layers.session.as_ref().filter(|_| is_identity).map(|s| {
            let mut said = Said::default();
            said.read(s, "session_policies", Kind::Identity, &ask);
            said
        });

        let levels = |levels: &[Vec<Document>], name: &str, kind| {
            let level = |(at, level): (usize, &Vec<Document>)| {
                let mut said = Said::default();
                said.read(level, &format!("{name}[{at}]"), kind, &ask);
                said
            };
            levels.iter().enumerate().map(level).collect::<Vec<_>>()
        };
        // Neither kind of control policy touches a service-linked role
        // (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html).
        let linked = caller.is_service_linked();
        let service_control = if linked
            || layers.caller_in_management_account
            || matches!(caller, Caller::Service(_))
        {
            Vec::new()
        } else {
            levels(
                &layers.service_control,
                "service_control_policies",
                Kind::ServiceControl,
            )
        };
        let retires = request.action.eq_ignore_ascii_case("kms:RetireGrant");
        let resource_control = if linked || layers.resource_exempt || retires {
            Vec::new()
        } else {
            levels(
                &layers.resource_control,
                "resource_control_policies",
                Kind::ResourceControl,
            )
        };
        Self {
            resource,
            grants,
            identity,
            boundary,
            session,
            service_control,
            resource_control,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Said> {
        [&self.resource, &self.identity]
            .into_iter()
            .chain(&self.boundary)
            .chain(&self.session)
            .chain(&self.service_control)
            .chain(&self.resource_control)
    }

    /// What key policy and grants allow, by how they name the caller.
    fn named(&self, how: impl Fn(&Match) -> Truth + Copy) -> Truth {
        self.resource.allows(how).or(self.grants.allows(how))
    }
}

/// Answers one request.
pub fn evaluate(request: &Request<'_>, layers: &Layers) -> Decision {
    let evidence = Evidence::gather(request, layers);
    let deny = Truth::any(evidence.all().map(Said::denied));
    if deny.is_true() {
        let denies = evidence.all().flat_map(|said| &said.deny);
        return Decision {
            outcome: Outcome::Denied,
            reason: "explicit_deny",
            decided_by: denies
                .filter(|(_, truth)| truth.is_true())
                .map(|(decider, _)| decider.clone())
                .collect(),
            depends_on: BTreeSet::new(),
        };
    }

    let caller = request.caller;
    let is_key = request.resource.kind == ResourceKind::Key;
    let is_service = matches!(caller, Caller::Service(_));
    let same_account = caller.account() == Some(request.resource.account.as_str());
    let unseen = evidence.resource.unseen().or(evidence.grants.unseen());
    let direct = evidence.named(|m| m.direct.clone()).or(unseen.clone());
    let limited = evidence.named(|m| m.limited.clone());
    let account = evidence.named(|m| m.account.clone()).or(unseen);
    // The root user of an account has every right that is delegated to the account.
    let identity = match caller {
        Caller::Root { .. } => Truth::True,
        _ => evidence.identity.allowed(),
    };
    let boundary = evidence
        .boundary
        .as_ref()
        .map_or(Truth::True, Said::allowed);
    let session = evidence.session.as_ref().map_or(Truth::True, Said::allowed);
    let fences = boundary.clone().and(session.clone());
    let levels = Truth::all(evidence.service_control.iter().map(Said::allowed));

    // Why not, in the order in which AWS asks; and whether at all.
    let (core, path, steps): (Truth, &'static str, Vec<(&Truth, &'static str)>);
    let named = direct.clone().or(limited.clone());
    let by_resource = if is_key {
        "allowed_by_key_policy"
    } else {
        "allowed_by_resource_policy"
    };
    let not_by_resource = if is_key {
        "not_allowed_by_key_policy"
    } else {
        "not_allowed_by_resource_policy"
    };
    let entry;
    if is_service {
        core = direct.clone();
        entry = direct.clone();
        path = by_resource;
        steps = vec![(&entry, not_by_resource)];
    } else if same_account {
        let trusted = if is_key { account.clone() } else { Truth::True };
        let delegated = trusted.clone().and(identity.clone());
        core = direct
            .clone()
            .or(limited.clone().or(delegated).and(fences.clone()));
        path = if direct.is_true() || limited.is_true() {
            by_resource
        } else {
            "allowed_by_identity_policy"
        };
        entry = named.clone().or(trusted);
        let permitted = &identity;
        steps = if named.is_false() {
            vec![
                (&entry, not_by_resource),
                (permitted, "not_allowed_by_identity_policy"),
            ]
        } else {
            vec![(&entry, not_by_resource)]
        };
    } else {
        let service = request.action.split_once(':');
        let crosses = !is_key
            || service
                .is_some_and(|(_, name)| CROSS_ACCOUNT.contains(&name.to_lowercase().as_str()));
        if !crosses {
            return Decision {
                outcome: Outcome::Denied,
                reason: "action_not_cross_account",
                decided_by: Vec::new(),
                depends_on: BTreeSet::new(),
            };
        }
        entry = named.clone().or(account.clone());
        core = entry.clone().and(identity.clone()).and(fences.clone());
        path = "allowed_by_both_accounts";
        steps = vec![
            (&entry, not_by_resource),
            (&identity, "not_allowed_by_identity_policy"),
        ];
    }

    let total = core.clone().and(levels.clone()).and(!deny);
    let reason = match Outcome::of(&total) {
        Outcome::Allowed if evidence.resource.allowed().is_false() && is_key => "allowed_by_grant",
        Outcome::Allowed => path,
        Outcome::Conditional => "depends_on_context",
        Outcome::Unknown => "depends_on_unread",
        Outcome::Denied => {
            let later = [
                (&boundary, "not_allowed_by_permissions_boundary"),
                (&session, "not_allowed_by_session_policy"),
                (&levels, "not_allowed_by_service_control_policy"),
            ];
            steps
                .into_iter()
                .chain(later)
                .find(|(truth, _)| truth.is_false())
                .map_or(not_by_resource, |(_, reason)| reason)
        }
    };
    let decided_by = match Outcome::of(&total) {
        Outcome::Denied => Vec::new(),
        Outcome::Allowed => deciders(&evidence, |truth| truth.is_true(), path != by_resource),
        _ => deciders(&evidence, |truth| !truth.is_false(), true),
    };
    Decision {
        outcome: Outcome::of(&total),
        reason,
        decided_by,
        depends_on: match total {
            Truth::Unknown(needs) => needs,
            _ => BTreeSet::new(),
        },
    }
}

/// The statements and grants that had a part in an answer other than a refusal. `both`: the
/// account's delegation and the identity policies had one, too.
fn deciders(evidence: &Evidence, had: impl Fn(&Truth) -> bool, both: bool) -> Vec<Decider> {
    let mut found = Vec::new();
    for (decider, means) in evidence.resource.allow.iter().chain(&evidence.grants.allow) {
        let named = means.direct.clone().or(means.limited.clone());
        let means = if both {
            named.or(means.account.clone())
        } else {
            named
        };
        if had(&means) {
            found.push(decider.clone());
        }
    }
    if both {
        for (decider, means) in &evidence.identity.allow {
            if had(&means.clone().any()) {
                found.push(decider.clone());
            }
        }
    }
    let denies = evidence.all().flat_map(|said| &said.deny);
    found.extend(
        denies
            .filter(|(_, truth)| matches!(truth, Truth::Unknown(_)))
            .map(|(decider, _)| decider.clone()),
    );
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
