//! May a cluster write its logs with the key: the role of its instance profile uploads them, and its
//! service role looks the key up
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html#emr-log-encryption>).

use super::facts::{Identities, Identity, KeyFacts};
use super::setting::{Upload, of_key, through_s3};
use crate::assess::inputs::ScopeFacts;
use crate::policy::{Context, Decider, Decision, Layers, Outcome, Request, Resource, evaluate};

/// What the policies say of one request, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) struct Ruling {
    pub outcome: Outcome,
    /// The reason code of the evaluation.
    pub reason: &'static str,
    /// Statements and grants, e.g. `key_policy[1] (LogWriter)`.
    pub decided_by: Vec<String>,
    /// Condition keys, and documents that were not read.
    pub depends_on: Vec<String>,
}

impl Ruling {
    fn of(decision: Decision) -> Self {
        Self {
            outcome: decision.outcome,
            reason: decision.reason,
            decided_by: decision.decided_by.iter().map(told).collect(),
            depends_on: decision
                .depends_on
                .iter()
                .map(|n| n.as_str().to_owned())
                .collect(),
        }
    }

    /// One answer for requests of which one is made, and nobody knows which: what holds for all,
    /// else it depends on `key`.
    fn whichever(rulings: Vec<Self>, key: &str) -> Self {
        let mut rulings = rulings.into_iter();
        let first = rulings.next();
        let rest: Vec<Self> = rulings.collect();
        match first {
            Some(first) if rest.iter().all(|r| r.outcome == first.outcome) => first,
            first => {
                let all: Vec<Self> = first.into_iter().chain(rest).collect();
                let unread = all.iter().any(|r| r.outcome == Outcome::Unknown);
                let join = |of: fn(&Self) -> &Vec<String>| {
                    let mut found: Vec<String> = all.iter().flat_map(of).cloned().collect();
                    found.sort();
                    found.dedup();
                    found
                };
                let mut depends_on = join(|r| &r.depends_on);
                depends_on.push(key.to_owned());
                Self {
                    outcome: if unread {
                        Outcome::Unknown
                    } else {
                        Outcome::Conditional
                    },
                    reason: if unread {
                        "depends_on_unread"
                    } else {
                        "depends_on_context"
                    },
                    decided_by: join(|r| &r.decided_by),
                    depends_on,
                }
            }
        }
    }

    /// Whether a statement forbids it.
    pub fn is_explicit(&self) -> bool {
        self.outcome == Outcome::Denied && self.reason == "explicit_deny"
    }
}

/// A statement or grant by its place.
pub(super) fn told(decider: &Decider) -> String {
    let mut text = match decider.statement {
        Some(at) => format!("{}[{at}]", decider.policy),
        None => decider.policy.clone(),
    };
    if let Some(sid) = &decider.sid {
        text.push_str(&format!(" ({sid})"));
    }
    text
}

/// A principal that a cluster names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) enum Caller {
    /// Its ARN.
    Known(String),
    /// The cluster names none.
    NotNamed,
    /// The account was read, and it has none of this name any more.
    Missing(String),
    /// The identities of the account were not read.
    NotRead(String),
}

impl Caller {
    /// ARN or name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Known(name) | Self::Missing(name) | Self::NotRead(name) => Some(name),
            Self::NotNamed => None,
        }
    }

    pub(super) fn find<'i>(
        name: Option<&str>,
        identities: &'i Identities,
        find: impl Fn(&'i Identities, &str) -> Option<&'i Identity>,
    ) -> (Self, Option<&'i Identity>) {
        let Some(name) = name.map(str::trim).filter(|n| !n.is_empty()) else {
            return (Self::NotNamed, None);
        };
        match find(identities, name) {
            Some(identity) => (Self::Known(identity.arn.clone()), Some(identity)),
            None if identities.is_read => (Self::Missing(name.to_owned()), None),
            None => (Self::NotRead(name.to_owned()), None),
        }
    }
}

/// What the two roles of a cluster may do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) struct Writer {
    /// Role of the instance profile.
    pub writer: Caller,
    /// `kms:GenerateDataKey` for an upload; only for a known role.
    pub generate: Option<Ruling>,
    /// `kms:Decrypt` for an upload in parts, which S3 asks for
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>); whether
    /// the log writer uploads in parts is documented nowhere.
    pub decrypt: Option<Ruling>,
    pub service: Caller,
    /// `kms:DescribeKey`.
    pub describe: Option<Ruling>,
}

impl Writer {
    /// Asks for a cluster of the account of `identities`.
    pub(super) fn ask(
        key: &KeyFacts,
        identities: &Identities,
        profile: Option<&str>,
        service_role: Option<&str>,
        upload: &Upload<'_>,
        scope: &ScopeFacts,
    ) -> Self {
        let (writer, role) = Caller::find(profile, identities, Identities::of_profile);
        let (service, service_role) =
            Caller::find(service_role, identities, |all, name| all.named(name));
        let through = |action: &str| {
            let role = role?;
            let layers = with(&key.layers, role);
            let contexts = through_s3(key, role, action, upload, scope);
            let rulings = contexts
                .iter()
                .map(|context| Ruling::of(ask(role, action, &key.resource, &layers, context)))
                .collect();
            Some(Ruling::whichever(
                rulings,
                "kms:EncryptionContext:aws:s3:arn",
            ))
        };
        let describe = service_role.map(|role| {
            let action = "kms:DescribeKey";
            let context = of_key(key, &role.caller, action, scope);
            let layers = with(&key.layers, role);
            Ruling::of(ask(role, action, &key.resource, &layers, &context))
        });
        Self {
            generate: through("kms:GenerateDataKey"),
            decrypt: through("kms:Decrypt"),
            describe,
            writer,
            service,
        }
    }
}

/// The layers of a resource together with what limits and allows one identity.
pub(super) fn with(resource: &Layers, identity: &Identity) -> Layers {
    let mut layers = resource.clone();
    narrow(&mut layers, identity);
    layers
}

/// Replaces whose policies the layers of a resource are to be taken together with.
pub(super) fn narrow(layers: &mut Layers, identity: &Identity) {
    layers.identity = Some(identity.policies.clone());
    layers.boundary.clone_from(&identity.boundary);
}

pub(super) fn ask(
    identity: &Identity,
    action: &str,
    resource: &Resource,
    layers: &Layers,
    context: &Context,
) -> Decision {
    let request = Request {
        caller: &identity.caller,
        action,
        resource,
        context,
    };
    evaluate(&request, layers)
}

pub(super) fn ruling(decision: Decision) -> Ruling {
    Ruling::of(decision)
}
