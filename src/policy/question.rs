//! Questions as documents: what `keyproof explain FILE` reads and writes.
//!
//! ```json
//! {"id": 1, "principal": "arn:aws:iam::111122223333:role/node", "action": "kms:Decrypt",
//!  "key": {"arn": "arn:aws:kms:…", "policy": {…}, "grants": []},
//!  "identity_policies": [], "permissions_boundary": null, "session_policies": null,
//!  "service_control_policies": [[root level], [next level]], "resource_control_policies": [],
//!  "context": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}, "closed_context": true}
//! ```
//!
//! A policy is an object or a string that holds one. What is left out: with `closed_context` there
//! is none of it (no grant, no identity policy, no other context key), so that the answer has two
//! values; without, `policy`, `grants`, `identity_policies` and context keys count as not read.
//! `null` for one of those three documents is "not read" in either mode; `null` for a context key is
//! "surely absent". Control policies that are left out are not considered, a boundary or session
//! policy that is left out or `null` does not exist.

use std::sync::Arc;

use serde_json::{Value as Out, json};

use super::caller::{Caller, CallerError};
use super::context::{Context, Value};
use super::document::{Policy, PolicyError};
use super::evaluate::{Decider, Decision, Document, Layers, Request, Resource, ResourceKind};
use super::grant::Grant;
use super::json::Json;
use super::truth::Need;
use super::who_can::{Holder, who_can};
use crate::model::key_reference::KeyArn;

/// Why a document is no question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("a question is an object, this is {0}")]
    NotAnObject(&'static str),
    #[error("no '{0}'")]
    Missing(&'static str),
    #[error("'{0}' stands twice")]
    Repeated(String),
    #[error("unknown member '{name}'; known are {known}")]
    UnknownMember { name: String, known: String },
    #[error("'{member}' is {found}, not {expected}")]
    WrongType {
        member: String,
        found: &'static str,
        expected: &'static str,
    },
    #[error(transparent)]
    Principal(#[from] CallerError),
    #[error("'{0}' is no action such as kms:Decrypt, without wildcards")]
    Action(String),
    #[error("'{0}' is not the ARN of a KMS key")]
    KeyArn(String),
}

/// One question, ready to be answered.
#[derive(Debug, Clone)]
pub struct Question {
    /// As given, to find the answer by; null where none was.
    id: Json,
    caller: Option<Caller>,
    action: Option<String>,
    key: Option<Resource>,
    layers: Layers,
    context: Context,
}

const MEMBERS: &[&str] = &[
    "id",
    "principal",
    "action",
    "key",
    "identity_policies",
    "permissions_boundary",
    "session_policies",
    "service_control_policies",
    "resource_control_policies",
    "caller_in_management_account",
    "key_in_management_account",
    "context",
    "closed_context",
];

/// The `id` of a document, however broken the rest of it is; null where it has none.
pub fn id_of(text: &str) -> Out {
    match Json::parse(text) {
        Ok(Json::Object(members)) => {
            let id = members.into_iter().find(|(name, _)| name == "id");
            id.map_or(Out::Null, |(_, id)| out(&id))
        }
        _ => Out::Null,
    }
}

impl Question {
    /// Reads one question.
    ///
    /// # Errors
    /// What is missing or wrong. A policy within that cannot be read is no error: what depends on
    /// it is unknown.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let json = Json::parse(text).map_err(|e| QuestionError::NotJson(e.to_string()))?;
        let Json::Object(members) = json else {
            return Err(QuestionError::NotAnObject(json.kind()));
        };
        // A bare key policy, for the reverse question.
        if members.iter().any(|(name, _)| name == "Statement") {
            return Ok(Self {
                id: Json::Null,
                caller: None,
                action: None,
                key: None,
                layers: Layers {
                    resource_policy: document(Some(Json::Object(members)), "key_policy"),
                    grants: Some(Arc::default()),
                    ..Layers::default()
                },
                context: Context::open(),
            });
        }
        let mut members = Members::new(members, MEMBERS)?;
        let id = members.take("id").unwrap_or(Json::Null);
        let closed = members.flag("closed_context")?;
        let caller = match members.text("principal")? {
            Some(text) => Some(Caller::parse(&text)?),
            None => None,
        };
        let action = members.text("action")?.map(action).transpose()?;
        let key = match members.take("key") {
            Some(Json::Object(key)) => key,
            Some(other) => {
                return Err(wrong(
                    "key",
                    &other,
                    "an object with arn, policy and grants",
                ));
            }
            None => return Err(QuestionError::Missing("key")),
        };
        let mut key = Members::new(key, &["arn", "policy", "grants", "aws_managed"])?;
        let resource = key.text("arn")?.map(resource).transpose()?;
        let none = |closed: bool| closed.then(|| Json::List(Vec::new()));
        let nothing = Json::Object(Vec::new());
        let layers = Layers {
            resource_policy: document(
                key.take("policy").or_else(|| closed.then_some(nothing)),
                "key_policy",
            ),
            grants: grants(key.take("grants").or_else(|| none(closed)))?,
            identity: documents(
                members.take("identity_policies").or_else(|| none(closed)),
                "identity_policies",
            )?,
            boundary: match members.take("permissions_boundary") {
                None | Some(Json::Null) => None,
                some => Some(document(some, "permissions_boundary")),
            },
            session: documents(members.take("session_policies"), "session_policies")?,
            service_control: levels(&mut members, "service_control_policies")?,
            resource_control: levels(&mut members, "resource_control_policies")?,
            caller_in_management_account: members.flag("caller_in_management_account")?,
            resource_exempt: members.flag("key_in_management_account")?
                || key.flag("aws_managed")?,
        };
        let context = context(members.take("context"), closed)?;
        Ok(Self {
            id,
            caller,
            action,
            key: resource,
            layers,
            context,
        })
    }

    /// Answers it: `{"id","decision","reason","decided_by","depends_on"}`.
    ///
    /// # Errors
    /// When principal, action or the key's ARN is missing.
    pub fn answer(&self) -> Result<Out, QuestionError> {
        let caller = self
            .caller
            .as_ref()
            .ok_or(QuestionError::Missing("principal"))?;
        let action = self
            .action
            .as_deref()
            .ok_or(QuestionError::Missing("action"))?;
        let resource = self.key.as_ref().ok_or(QuestionError::Missing("key.arn"))?;
        let context = if self.context.is_closed() {
            self.context.clone()
        } else {
            self.context
                .clone()
                .deriving(caller, action, &resource.account)
        };
        let request = Request {
            caller,
            action,
            resource,
            context: &context,
        };
        let Decision {
            outcome,
            reason,
            decided_by,
            depends_on,
        } = super::evaluate(&request, &self.layers);
        Ok(json!({
            "id": out(&self.id),
            "decision": outcome.as_str(),
            "reason": reason,
            "decided_by": decided_by.iter().map(decider).collect::<Vec<_>>(),
            "depends_on": depends_on.iter().map(Need::as_str).collect::<Vec<_>>(),
        }))
    }

    /// Answers the reverse: `{"id","action","who_can":[…],"not_read":[…]}`.
    ///
    /// # Errors
    /// When `text` is no action.
    pub fn who_can(&self, text: &str) -> Result<Out, QuestionError> {
        let action = action(text.to_owned())?;
        let holders = who_can(&action, self.key.as_ref(), &self.layers, &self.context);
        let not_read = self.layers.grants.is_none().then_some("grants");
        Ok(json!({
            "id": out(&self.id),
            "action": action,
            "who_can": holders.iter().map(holder).collect::<Vec<_>>(),
            "not_read": not_read.into_iter().collect::<Vec<_>>(),
        }))
    }
}

fn holder(holder: &Holder) -> Out {
    json!({
        "principal": holder.principal,
        "kind": holder.kind.as_str(),
        "account": holder.account,
        "decision": holder.outcome.as_str(),
        "reason": holder.reason,
        "subject_to": holder.subject_to,
        "decided_by": holder.decided_by.iter().map(decider).collect::<Vec<_>>(),
        "depends_on": holder.depends_on.iter().map(Need::as_str).collect::<Vec<_>>(),
    })
}

fn decider(decider: &Decider) -> Out {
    let mut found = json!({"policy": decider.policy, "effect": decider.effect.as_str()});
    match decider.statement {
        Some(statement) => {
            found["statement"] = statement.into();
            found["sid"] = decider.sid.clone().into();
        }
        None => found["grant_id"] = decider.sid.clone().into(),
    }
    found
}

fn out(json: &Json) -> Out {
    serde_json::to_value(json).unwrap_or(Out::Null)
}

/// The members of an object, each taken once.
struct Members(Vec<(String, Json)>);

impl Members {
    fn new(members: Vec<(String, Json)>, known: &[&str]) -> Result<Self, QuestionError> {
        for (at, (name, _)) in members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(QuestionError::UnknownMember {
                    name: name.chars().take(80).collect(),
                    known: known.join(", "),
                });
            }
            if members[..at].iter().any(|(other, _)| other == name) {
                return Err(QuestionError::Repeated(name.clone()));
            }
        }
        Ok(Self(members))
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, QuestionError> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, "a string")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, QuestionError> {
        match self.take(name) {
            None | Some(Json::Null) => Ok(false),
            Some(Json::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, &other, "true or false")),
        }
    }
}

fn wrong(member: &str, found: &Json, expected: &'static str) -> QuestionError {
    QuestionError::WrongType {
        member: member.to_owned(),
        found: found.kind(),
        expected,
    }
}

fn action(text: String) -> Result<String, QuestionError> {
    let name = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match text.split_once(':') {
        Some((service, action)) if name(service) && name(action) => Ok(text),
        _ => Err(QuestionError::Action(text.chars().take(80).collect())),
    }
}

fn resource(arn: String) -> Result<Resource, QuestionError> {
    match KeyArn::parse(&arn) {
        Some(parsed) if !parsed.is_alias() => Ok(Resource {
            account: parsed.account_id.to_string(),
            arn,
            kind: ResourceKind::Key,
        }),
        _ => Err(QuestionError::KeyArn(arn.chars().take(120).collect())),
    }
}

/// `None` and null: not read.
fn document(json: Option<Json>, name: &str) -> Document {
    match json {
        None | Some(Json::Null) => Document::Unread(name.to_owned()),
        Some(json) => match Policy::from_json(json) {
            Ok(policy) => Document::Read(Arc::new(policy)),
            Err(e @ (PolicyError::NotJson(_) | PolicyError::NotAnObject(_))) => {
                Document::Unread(format!("{name}: {e}"))
            }
        },
    }
}

fn documents(json: Option<Json>, name: &str) -> Result<Option<Vec<Document>>, QuestionError> {
    match json {
        None | Some(Json::Null) => Ok(None),
        Some(Json::List(items)) => Ok(Some(
            items
                .into_iter()
                .enumerate()
                .map(|(at, item)| document(Some(item), &format!("{name}[{at}]")))
                .collect(),
        )),
        Some(other) => Err(wrong(name, &other, "a list of policies")),
    }
}

/// A list of levels; a policy in the place of a level is a level of one policy.
fn levels(members: &mut Members, name: &str) -> Result<Vec<Vec<Document>>, QuestionError> {
    let items = match members.take(name) {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::List(items)) => items,
        Some(other) => return Err(wrong(name, &other, "a list of levels")),
    };
    items
        .into_iter()
        .enumerate()
        .map(|(at, level)| {
            let name = format!("{name}[{at}]");
            match level {
                Json::List(_) => Ok(documents(Some(level), &name)?.unwrap_or_default()),
                one => Ok(vec![document(Some(one), &name)]),
            }
        })
        .collect()
}

fn grants(json: Option<Json>) -> Result<Option<Arc<[Grant]>>, QuestionError> {
    match json {
        None | Some(Json::Null) => Ok(None),
        Some(Json::List(items)) => Ok(Some(items.iter().map(Grant::from_json).collect())),
        Some(other) => Err(wrong("key.grants", &other, "a list of grants")),
    }
}

fn context(json: Option<Json>, closed: bool) -> Result<Context, QuestionError> {
    let mut context = if closed {
        Context::closed()
    } else {
        Context::open()
    };
    let members = match json {
        None | Some(Json::Null) => return Ok(context),
        Some(Json::Object(members)) => members,
        Some(other) => return Err(wrong("context", &other, "an object")),
    };
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in members {
        let lower = key.to_lowercase();
        if seen.contains(&lower) {
            return Err(QuestionError::Repeated(format!("context.{key}")));
        }
        seen.push(lower);
        let value = match &value {
            Json::Null => Value::Absent,
            Json::List(items) => match items.iter().map(Json::scalar).collect() {
                Some(values) => Value::Many(values),
                None => {
                    return Err(wrong(
                        &format!("context.{key}"),
                        &value,
                        "a list of strings",
                    ));
                }
            },
            one => match one.scalar() {
                Some(text) => Value::One(text),
                None => return Err(wrong(&format!("context.{key}"), one, "a string or a list")),
            },
        };
        context.set(&key, value);
    }
    Ok(context)
}
