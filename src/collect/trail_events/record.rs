//! One CloudTrail record and its parts.

use serde_json::{Map, Value};

use super::RecordError;
use crate::model::ids::{AccountId, Region};
use crate::time::UtcMillis;

/// A JSON object whose names are matched whatever their case: AWS's own sample of RunJobFlow has
/// `name` beside `ReleaseLabel`
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/logging-using-cloudtrail.html>).
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    pub fn new(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// The value of a name; `null` counts as absent. Where an object holds several spellings, the
    /// first that says something.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let mut found = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.find(|(_, v)| !v.is_null()).map(|(_, v)| v)
    }

    pub fn object(&self, name: &str) -> Option<Self> {
        Self::new(self.get(name)?)
    }

    pub fn list(&self, name: &str) -> &'a [Value] {
        self.get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str)
    }
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a>(Object<'a>);

/// What every kept event has.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub account_id: AccountId,
    pub region: Region,
    pub event_id: String,
    pub event_at: UtcMillis,
    /// The record came late, or corrects an earlier one.
    pub late: bool,
    pub error_code: Option<String>,
}

impl<'a> Record<'a> {
    pub fn new(value: &'a Value) -> Option<Self> {
        Object::new(value).map(Self)
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.text(name)
    }

    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        self.0.object(name)
    }

    pub fn list(&self, name: &str) -> &'a [Value] {
        self.0.list(name)
    }

    /// The fixed parts. The event belongs to the account that received it, whoever called. A corrected
    /// record stands under the id of the event that it corrects.
    pub fn head(&self) -> Result<Head, RecordError> {
        let addendum = self.object("addendum");
        let corrected = addendum.and_then(|a| a.text("originalEventID"));
        Ok(Head {
            account_id: self.parsed("recipientAccountId")?,
            region: self.parsed("awsRegion")?,
            event_id: corrected
                .or_else(|| self.text("eventID"))
                .and_then(event_id)
                .ok_or(RecordError::Field("eventID"))?,
            event_at: self.parsed("eventTime")?,
            late: addendum.is_some(),
            error_code: self.text("errorCode").and_then(word),
        })
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, RecordError> {
        let value = self.text(name).and_then(|text| text.parse().ok());
        value.ok_or(RecordError::Field(name))
    }

    /// Who called.
    pub fn caller(&self) -> Caller {
        let Some(identity) = self.object("userIdentity") else {
            return Caller::default();
        };
        let issuer = identity
            .object("sessionContext")
            .and_then(|context| context.object("sessionIssuer"))
            .and_then(|issuer| issuer.text("arn"));
        let arn = issuer.or_else(|| identity.text("arn"));
        // A client may call itself anything; only the name of a service says who passed the call on.
        let services = [identity.text("invokedBy"), self.text("userAgent")];
        Caller {
            arn: arn.and_then(without_session),
            account_id: identity.text("accountId").and_then(|id| id.parse().ok()),
            invoked_by: services
                .into_iter()
                .flatten()
                .find(|name| is_service(name))
                .map(str::to_owned),
        }
    }
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Caller {
    /// Role or user, without the session.
    pub arn: Option<String>,
    pub account_id: Option<AccountId>,
    /// Service through which the call came.
    pub invoked_by: Option<String>,
}

pub(super) fn event_id(text: &str) -> Option<String> {
    let valid = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // CloudTrail writes lower case; a copy that passed through another tool may not.
    valid.then(|| text.to_ascii_lowercase())
}

/// An error code and the like: letters, digits, dots, colons, at most 128.
pub(super) fn word(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".:_-".contains(*c))
        .take(128)
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// The ARN of an identity; of an assumed role that of the role, since sessions differ from one try to
/// the next.
fn without_session(arn: &str) -> Option<String> {
    let arn: String = arn.trim().chars().take(2_048).collect();
    let mut parts = arn.splitn(6, ':');
    let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if prefix != "arn" {
        return None;
    }
    let role = resource
        .strip_prefix("assumed-role/")
        .filter(|_| service == "sts");
    match role.and_then(|role| role.split('/').next()) {
        Some(role) => Some(format!("arn:{partition}:iam::{account}:role/{role}")),
        None => Some(arn),
    }
}

/// `cloudformation.amazonaws.com`, or `AWS Internal`.
fn is_service(name: &str) -> bool {
    let of_service = name.strip_suffix(".amazonaws.com").is_some_and(|service| {
        (1..=100).contains(&service.len())
            && service
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
    });
    of_service || name == "AWS Internal"
}
