//! Grants of a KMS key
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>,
//! <https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantListEntry.html>,
//! <https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html>).
//! A grant allows and never denies.

use super::caller::{Caller, Grantee, Match, Setting};
use super::context::{Context, Value};
use super::document::Condition;
use super::json::Json;
use super::operator;
use super::truth::Truth;

/// One entry of ListGrants, as far as it decides anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grant {
    pub id: Option<String>,
    /// `GranteePrincipal`, which may name a service, and `GranteeServicePrincipal`.
    pub grantees: Vec<Grantee>,
    /// `RetiringPrincipal` and `RetiringServicePrincipal`: who may end this grant.
    pub retiring: Vec<Grantee>,
    /// `Decrypt`, `GenerateDataKey` …, without `kms:`.
    pub operations: Vec<String>,
    pub constraints: Vec<Constraint>,
    /// What was not understood: the grant then decides nothing for sure.
    pub unread: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// The request's encryption context is exactly this. Names have no case, values have.
    Equals(Vec<(String, String)>),
    /// The request's encryption context holds at least this.
    Subset(Vec<(String, String)>),
    /// `aws:SourceArn` of a call that a service makes.
    SourceArn(String),
}

/// Operations whose requests carry an encryption context; constraints apply to no others.
const CONSTRAINED: &[&str] = &[
    "Encrypt",
    "Decrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
];

impl Grant {
    /// Reads one entry as ListGrants gives it. Never fails: what is not understood is noted.
    pub fn from_json(json: &Json) -> Self {
        let mut grant = Self::default();
        let Json::Object(members) = json else {
            grant
                .unread
                .push(format!("a grant that is {}", json.kind()));
            return grant;
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in members {
            if seen.contains(&name.as_str()) {
                grant.unread.push(format!("repeated {name}"));
                continue;
            }
            seen.push(name);
            let understood = match name.as_str() {
                _ if *value == Json::Null => Some(()),
                "GrantId" => value.as_text().map(|t| grant.id = Some(t.to_owned())),
                "GranteePrincipal" | "GranteeServicePrincipal" => value
                    .as_text()
                    .map(|t| grant.grantees.push(Grantee::read(t))),
                "RetiringPrincipal" | "RetiringServicePrincipal" => value
                    .as_text()
                    .map(|t| grant.retiring.push(Grantee::read(t))),
                "Operations" => operations(value).map(|o| grant.operations = o),
                "Constraints" => constraints(value).map(|c| grant.constraints = c),
                // Facts about the grant that decide nothing.
                "KeyId" | "Name" | "CreationDate" | "IssuingAccount" => Some(()),
                _ => None,
            };
            if understood.is_none() {
                grant.unread.push(name.clone());
            }
        }
        grant
    }

    /// Whether [`Grant::allows`] may be anything but none, whatever the request is like.
    pub(super) fn may_allow(&self, caller: &Caller, action: &str, setting: Setting) -> bool {
        let name = action.split_once(':').map_or("", |(_, name)| name);
        let retires = name.eq_ignore_ascii_case("RetireGrant");
        let mut operations = self.operations.iter();
        !self.unread.is_empty()
            || retires
            || (operations.any(|o| o.eq_ignore_ascii_case(name))
                && self
                    .grantees
                    .iter()
                    .any(|grantee| !grantee.matches(caller, setting).is_none()))
    }

    /// Whether the grant lets `caller` do `action`.
    pub fn allows(
        &self,
        caller: &Caller,
        action: &str,
        context: &Context,
        setting: Setting,
    ) -> Match {
        let named = |names: &[Grantee]| {
            names
                .iter()
                .map(|name| name.matches(caller, setting))
                .fold(Match::none(), Match::or)
        };
        let action = match action.split_once(':') {
            Some((service, name)) if service.eq_ignore_ascii_case("kms") => name,
            _ => "",
        };
        let listed = self
            .operations
            .iter()
            .any(|o| o.eq_ignore_ascii_case(action));
        let retires = action.eq_ignore_ascii_case("RetireGrant");
        // Keys have a thousand grants, and each is asked about every principal that one of them names.
        let says_all = self.unread.is_empty() && !retires;
        if says_all && !listed {
            return Match::none();
        }
        let mut found = named(&self.grantees);
        if says_all && found.is_none() {
            return found;
        }
        let applies = if listed {
            self.constraints_hold(action, context)
        } else {
            Truth::False
        };
        found.direct = found.direct.and(applies.clone());
        found.limited = found.limited.and(applies.clone());
        found.account = found.account.and(applies);
        if retires {
            found = found.or(named(&self.retiring));
        }
        if let Some(unread) = self.unread.first() {
            let unknown = Truth::unread(format!("grant {}: {unread}", self.name()));
            let who_or_what = |part: &String| part != "Constraints" && !self.is_extra(part);
            if self.unread.iter().any(who_or_what) {
                // Whom it means or what it allows stands in that part.
                found.direct = unknown;
                found.limited = Truth::False;
                found.account = Truth::False;
                return found;
            }
            found.direct = found.direct.and(unknown.clone());
            found.limited = found.limited.and(unknown.clone());
            found.account = found.account.and(unknown);
        }
        found
    }

    /// A member that ListGrants had not when this was written: it may narrow the grant.
    fn is_extra(&self, part: &str) -> bool {
        !["Grant", "Retir", "Operations", "a grant", "repeated"]
            .iter()
            .any(|known| part.starts_with(known))
    }

    /// Its id, for messages.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or("without an id")
    }

    fn constraints_hold(&self, action: &str, context: &Context) -> Truth {
        let has_pairs = CONSTRAINED.iter().any(|o| o.eq_ignore_ascii_case(action));
        Truth::all(self.constraints.iter().map(|constraint| match constraint {
            Constraint::SourceArn(arn) => operator::holds(
                &Condition {
                    operator: "ArnLike".to_owned(),
                    key: "aws:SourceArn".to_owned(),
                    values: vec![arn.clone()],
                },
                context,
                false,
            ),
            // A grant made by way of this one must be at least as strict; what the request asks
            // for is not among its condition keys.
            _ if action.eq_ignore_ascii_case("CreateGrant") => {
                if context.is_closed() {
                    Truth::False
                } else {
                    Truth::unread("constraints of the grant to be created")
                }
            }
            _ if !has_pairs => Truth::True,
            Constraint::Subset(pairs) => pairs_hold(pairs, context),
            Constraint::Equals(pairs) => pairs_hold(pairs, context).and(no_others(pairs, context)),
        }))
    }
}

fn pairs_hold(pairs: &[(String, String)], context: &Context) -> Truth {
    Truth::all(pairs.iter().map(|(name, wanted)| {
        let key = format!("kms:EncryptionContext:{name}");
        match context.value(&key) {
            Value::One(value) => (value == *wanted).into(),
            Value::Unknown => Truth::key(&key),
            Value::Many(_) | Value::Absent => Truth::False,
        }
    }))
}

/// Whether the request's encryption context has no pair beside these.
fn no_others(pairs: &[(String, String)], context: &Context) -> Truth {
    let listed = |name: &str| pairs.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let other = context
        .encryption_pairs()
        .any(|(name, value)| !listed(name) && *value != Value::Absent);
    if other {
        return Truth::False;
    }
    match context.value("kms:EncryptionContextKeys") {
        Value::Many(names) => names.iter().all(|name| listed(name)).into(),
        Value::One(name) => listed(&name).into(),
        Value::Absent => Truth::True,
        Value::Unknown => Truth::key("kms:EncryptionContextKeys"),
    }
}

fn operations(value: &Json) -> Option<Vec<String>> {
    let Json::List(items) = value else {
        return None;
    };
    items
        .iter()
        .map(|i| i.as_text().map(str::to_owned))
        .collect()
}

fn constraints(value: &Json) -> Option<Vec<Constraint>> {
    let Json::Object(members) = value else {
        return None;
    };
    let pairs = |value: &Json| match value {
        Json::Object(pairs) => pairs
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_text()?.to_owned())))
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    members
        .iter()
        .filter(|(_, value)| *value != Json::Null)
        .map(|(name, value)| match name.as_str() {
            "EncryptionContextEquals" => pairs(value).map(Constraint::Equals),
            "EncryptionContextSubset" => pairs(value).map(Constraint::Subset),
            "SourceArn" => value.as_text().map(|t| Constraint::SourceArn(t.to_owned())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/node";
    const SETTING: Setting = Setting {
        closed: true,
        bounded: false,
    };

    fn grant(text: &str) -> Grant {
        Grant::from_json(&Json::parse(text).unwrap())
    }

    fn allows(text: &str, caller: &str, action: &str, context: &Context) -> Truth {
        let caller = Caller::parse(caller).unwrap();
        grant(text).allows(&caller, action, context, SETTING).any()
    }

    #[test]
    fn operations_are_those_of_the_list() {
        let text = format!(r#"{{"GranteePrincipal":"{ROLE}","Operations":["Decrypt"]}}"#);
        let none = Context::closed();
        assert!(allows(&text, ROLE, "kms:decrypt", &none).is_true());
        assert!(allows(&text, ROLE, "kms:Encrypt", &none).is_false());
        assert!(allows(&text, ROLE, "s3:Decrypt", &none).is_false());
        let other = "arn:aws:iam::111122223333:role/other";
        assert!(allows(&text, other, "kms:Decrypt", &none).is_false());
    }

    #[test]
    fn a_service_stands_in_either_field() {
        for field in ["GranteePrincipal", "GranteeServicePrincipal"] {
            let text =
                format!(r#"{{"{field}":"rds.eu-west-1.amazonaws.com","Operations":["Decrypt"]}}"#);
            let none = Context::closed();
            let rds = "rds.eu-west-1.amazonaws.com";
            assert!(allows(&text, rds, "kms:Decrypt", &none).is_true());
            assert!(allows(&text, "s3.amazonaws.com", "kms:Decrypt", &none).is_false());
        }
    }

    #[test]
    fn the_retiring_principal_may_retire_and_nothing_else() {
        let text = format!(
            r#"{{"GranteePrincipal":"arn:aws:iam::111122223333:role/x","RetiringPrincipal":"{ROLE}",
                "Operations":["Decrypt"]}}"#
        );
        let none = Context::closed();
        assert!(allows(&text, ROLE, "kms:RetireGrant", &none).is_true());
        assert!(allows(&text, ROLE, "kms:Decrypt", &none).is_false());
    }

    #[test]
    fn constraints_compare_values_with_case_and_names_without() {
        let with = |kind: &str| {
            format!(
                r#"{{"GranteePrincipal":"{ROLE}","Operations":["Decrypt","DescribeKey","CreateGrant"],
                    "Constraints":{{"{kind}":{{"Team":"a"}}}}}}"#
            )
        };
        let exact = Context::closed().with("kms:EncryptionContext:team", "a");
        let more = exact.clone().with("kms:EncryptionContext:x", "y");
        let wrong = Context::closed().with("kms:EncryptionContext:Team", "A");
        for (kind, context, allowed) in [
            ("EncryptionContextSubset", &exact, true),
            ("EncryptionContextSubset", &more, true),
            ("EncryptionContextEquals", &exact, true),
            ("EncryptionContextEquals", &more, false),
            ("EncryptionContextEquals", &wrong, false),
            ("EncryptionContextSubset", &Context::closed(), false),
        ] {
            let found = allows(&with(kind), ROLE, "kms:Decrypt", context);
            assert_eq!(found, allowed.into(), "{kind}");
        }
        let subset = with("EncryptionContextSubset");
        let none = Context::closed();
        assert!(allows(&subset, ROLE, "kms:DescribeKey", &none).is_true());
        assert!(allows(&subset, ROLE, "kms:CreateGrant", &none).is_false());
        assert_eq!(
            allows(&subset, ROLE, "kms:Decrypt", &Context::open()),
            Truth::key("kms:EncryptionContext:Team")
        );
        let open = Context::open().with("kms:EncryptionContext:Team", "a");
        assert_eq!(
            allows(&with("EncryptionContextEquals"), ROLE, "kms:Decrypt", &open),
            Truth::key("kms:EncryptionContextKeys")
        );
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        let narrowed = |more: &str| {
            format!(r#"{{"GranteePrincipal":"{ROLE}","Operations":["Decrypt"],{more}}}"#)
        };
        for text in [
            &narrowed(r#""Constraints":{"Moon":"full"}"#),
            &narrowed(r#""Constraints":{"EncryptionContextEquals":{"a":1}}"#),
            &narrowed(r#""Tokens":[]"#),
            "7",
            r#"{"GranteePrincipal":7}"#,
            r#"{"Operations":"Decrypt"}"#,
            r#"{"GrantId":"a","GrantId":"b"}"#,
        ] {
            let found = allows(text, ROLE, "kms:Decrypt", &Context::closed());
            assert!(matches!(found, Truth::Unknown(_)), "{text}");
        }
        // It means somebody else, whatever narrows it.
        let other = "arn:aws:iam::111122223333:role/other";
        let text = narrowed(r#""Constraints":{"Moon":"full"}"#);
        assert!(allows(&text, other, "kms:Decrypt", &Context::closed()).is_false());
    }
}
