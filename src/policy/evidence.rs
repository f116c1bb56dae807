//! What every layer says about one request, statement by statement.

use super::caller::{self, Caller, Match, Setting};
use super::document::{Clause, Effect, Policy, Statement};
use super::evaluate::{Decider, Document, Layers, Request, ResourceKind};
use super::operator;
use super::pattern::{action_matches, resource_matches};
use super::truth::Truth;

/// Everything the layers say about one request.
pub(super) struct Evidence {
    pub resource: Said,
    pub grants: Said,
    pub identity: Said,
    pub boundary: Option<Said>,
    pub session: Option<Said>,
    pub service_control: Vec<Said>,
    pub resource_control: Vec<Said>,
}

impl Evidence {
    pub fn gather(request: &Request<'_>, layers: &Layers) -> Self {
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
                    if found.is_none() {
                        continue;
                    }
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

    pub fn all(&self) -> impl Iterator<Item = &Said> {
        [&self.resource, &self.identity]
            .into_iter()
            .chain(&self.boundary)
            .chain(&self.session)
            .chain(&self.service_control)
            .chain(&self.resource_control)
    }

    /// What key policy and grants allow, by how they name the caller.
    pub fn named(&self, how: impl Fn(&Match) -> Truth + Copy) -> Truth {
        self.resource.allows(how).or(self.grants.allows(how))
    }
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
pub(super) struct Said {
    pub allow: Vec<(Decider, Match)>,
    pub deny: Vec<(Decider, Truth)>,
    /// Documents, or parts of them, that may say anything.
    unseen: Vec<Truth>,
}

impl Said {
    pub fn unseen(&self) -> Truth {
        Truth::any(self.unseen.iter().cloned())
    }

    pub fn allows(&self, how: impl Fn(&Match) -> Truth) -> Truth {
        Truth::any(self.allow.iter().map(|(_, m)| how(m)))
    }

    pub fn allowed(&self) -> Truth {
        self.allows(|m| m.clone().any()).or(self.unseen())
    }

    pub fn denied(&self) -> Truth {
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
            for effect in [Effect::Allow, Effect::Deny] {
                if statement.effect.is_some_and(|e| e != effect) {
                    continue;
                }
                let found = ask.meant(policy, (at, statement), effect, kind, name);
                if found.is_none() {
                    continue;
                }
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
        (at, statement): (usize, &Statement),
        effect: Effect,
        kind: Kind,
        name: &str,
    ) -> Match {
        let Request {
            caller,
            action,
            resource,
            context,
        } = *self.request;
        let variables = policy.version.has_variables();
        let lacks = |element: &str| Truth::unread(format!("{name} statement {at}: no {element}"));
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
        // What a statement does not mean it does not mean, whatever else it says.
        if means_action.is_false() {
            return Match::none();
        }
        let named = match (kind, &statement.principal) {
            (Kind::Identity | Kind::ServiceControl, _) | (_, None) => None,
            _ if is_unread("Principal") => None,
            (_, Some(clause)) => Some(caller::matches(clause, effect, caller, self.setting)),
        };
        if named.as_ref().is_some_and(Match::is_none) {
            return Match::none();
        }
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
        if means_resource.is_false() {
            return Match::none();
        }
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
        let mut certain = Truth::True;
        for part in policy.unread.iter().chain(&statement.unread) {
            let (why, element) = (part.why.as_str(), &part.element);
            let what = format!("{name} statement {at}: {why} {element}");
            certain = certain.and(Truth::unread(what));
        }
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
        if let Some(named) = named {
            return Match {
                direct: named.direct.and(base.clone()),
                limited: named.limited.and(base.clone()),
                account: named.account.and(base),
            };
        }
        match (kind, &statement.principal) {
            (Kind::Identity | Kind::ServiceControl, None) => everyone(base),
            (Kind::Identity | Kind::ServiceControl, Some(_)) => {
                let what = format!("{name} statement {at}: a Principal");
                everyone(base.and(Truth::unread(what)))
            }
            (_, None) if !is_unread("Principal") => everyone(base.and(lacks("Principal"))),
            (_, _) => everyone(base),
        }
    }
}
