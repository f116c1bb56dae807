//! What is kept of identity policies: their statements about KMS and S3. And what policies of keys say
//! about principals, as far as it decides whose identity policies are kept.
//!
//! An identity policy speaks about everything that an account does; a log key needs two services of
//! it. A statement counts as about KMS or S3 when its `Action` may name an action of theirs, also
//! through a wildcard, or when it has `NotAction`, which names all that it does not list
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notaction.html>).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::collect::key_policy;
use crate::model::canonical;
use crate::model::ids::AccountId;

/// Actions of KMS that are about no key
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html>).
const WITHOUT_KEY: [&str; 9] = [
    "kms:listkeys",
    "kms:listaliases",
    "kms:createkey",
    "kms:generaterandom",
    "kms:connectcustomkeystore",
    "kms:createcustomkeystore",
    "kms:deletecustomkeystore",
    "kms:describecustomkeystores",
    "kms:disconnectcustomkeystore",
];

/// What is left of one policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The document with its statements about KMS and S3, in their order.
    pub json: String,
    /// Whether it has such statements.
    pub says_something: bool,
    /// Whether one of them allows something on a key of KMS.
    pub allows_keys: bool,
}

/// Reads one policy document; `None` for what is none.
pub(super) fn keep(document: &str) -> Option<Kept> {
    let Value::Object(mut policy) = key_policy::project(document)? else {
        return None;
    };
    let statements = match policy.remove("Statement")? {
        Value::Array(list) => list,
        one => vec![one],
    };
    let statements: Vec<Value> = statements.into_iter().filter(is_about_us).collect();
    let says_something = !statements.is_empty();
    let allows_keys = statements.iter().any(allows_keys);
    policy.insert("Statement".to_owned(), Value::Array(statements));
    policy.remove("Id");
    Some(Kept {
        json: canonical::to_string(&Value::Object(policy)),
        says_something,
        allows_keys,
    })
}

/// A statement without any action is not understood, and stays to be seen.
fn is_about_us(statement: &Value) -> bool {
    let Value::Object(statement) = statement else {
        return true;
    };
    match statement.get("Action") {
        Some(actions) => texts(actions).any(|a| may_begin(a, "kms:") || may_begin(a, "s3:")),
        None => true,
    }
}

fn allows_keys(statement: &Value) -> bool {
    let Value::Object(statement) = statement else {
        return false;
    };
    let allows = statement
        .get("Effect")
        .and_then(Value::as_str)
        .is_some_and(|effect| effect.eq_ignore_ascii_case("allow"));
    let action = match statement.get("Action") {
        Some(actions) => texts(actions).any(|action| {
            let is_without_key = WITHOUT_KEY.contains(&action.to_ascii_lowercase().as_str());
            may_begin(action, "kms:") && !is_without_key
        }),
        None => statement.contains_key("NotAction"),
    };
    allows && action && may_be_about_a_key(statement)
}

fn may_be_about_a_key(statement: &Map<String, Value>) -> bool {
    let Some(resources) = statement.get("Resource") else {
        return true;
    };
    texts(resources).any(|resource| {
        let mut parts = resource.splitn(4, ':');
        match (parts.next(), parts.nth(1)) {
            (Some("arn"), Some(service)) => may_begin(&format!("{service}:"), "kms:"),
            // `*`, `arn*`, and whatever else nobody should write.
            _ => true,
        }
    })
}

/// Whether a pattern may match a text that begins with `start`. Judged by what stands before the first
/// wildcard, which is at most too generous.
fn may_begin(pattern: &str, start: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.find(['*', '?']) {
        Some(end) => pattern[..end].starts_with(start) || start.starts_with(&pattern[..end]),
        None => pattern.starts_with(start),
    }
}

/// The text, or the texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter().filter_map(Value::as_str)
}

/// Roles and users that the statements of a projected key policy name: as principals, or one by one in
/// a condition on `aws:PrincipalArn`. A pattern names nobody.
pub(super) fn named_by(policy: &Value) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for statement in statements {
        let aws = ["Principal", "NotPrincipal"]
            .into_iter()
            .filter_map(|element| statement.get(element)?.get("AWS"));
        let conditions = statement.get("Condition").and_then(Value::as_object);
        let by_arn = conditions
            .into_iter()
            .flat_map(|operators| operators.values().filter_map(Value::as_object))
            .flatten()
            .filter(|(key, _)| key.eq_ignore_ascii_case("aws:PrincipalArn"))
            .map(|(_, values)| values);
        let all = aws.chain(by_arn).flat_map(texts).filter_map(principal_of);
        named.extend(all);
    }
    named
}

/// Whether a statement of a projected key policy may let in principals whose own policies say nothing
/// about keys: everyone, or everyone but some.
pub(super) fn means_everyone(policy: &Value) -> bool {
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let is_star = |principal: &Value| {
        let named = principal.get("AWS").unwrap_or(principal);
        texts(named).any(|name| name == "*")
    };
    statements
        .iter()
        .filter(|s| s.get("Effect").and_then(Value::as_str) != Some("Deny"))
        .any(|s| s.get("NotPrincipal").is_some() || s.get("Principal").is_some_and(is_star))
}

/// Everyone of an account, as a name among those of principals.
pub(super) fn everyone_of(account: &AccountId) -> String {
    format!("{account} *")
}

/// The role or user behind an ARN or a unique id: `<account> <ARN>`, `<account> role <name>` where
/// a session names it, or the id alone. `None` for whole accounts, services and patterns.
pub(super) fn principal_of(name: &str) -> Option<String> {
    if name.contains(['*', '?', ' ']) {
        return None;
    }
    if name.starts_with("AROA") || name.starts_with("AIDA") {
        return Some(name.to_owned());
    }
    let mut parts = name.splitn(6, ':');
    let (Some("arn"), Some(_), Some(service), Some(_), Some(account), Some(resource)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    match (service, resource.split_once('/')?) {
        ("iam", ("role" | "user", _)) => Some(format!("{account} {name}")),
        ("sts", ("assumed-role", session)) => {
            let role = session.split('/').next()?;
            Some(format!("{account} role {role}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(statements: &str) -> Kept {
        let document = format!(r#"{{"Version":"2012-10-17","Id":"x","Statement":{statements}}}"#);
        keep(&document).expect("a policy")
    }

    #[test]
    fn statements_about_kms_and_s3_stay_and_no_others() {
        for (action, stays, allows) in [
            (r#""Action":"kms:Decrypt""#, true, true),
            (r#""Action":["ec2:Run","KMS:Decrypt"]"#, true, true),
            (r#""Action":"*""#, true, true),
            (r#""Action":"k*""#, true, true),
            (r#""Action":"?ms:*""#, true, true),
            (r#""Action":"kms:List*""#, true, true),
            (r#""Action":"kms:ListAliases""#, true, false),
            (r#""NotAction":"iam:*""#, true, true),
            (r#""NotAction":["kms:*"]"#, true, true),
            (r#""Action":"s3:GetObject""#, true, false),
            (r#""Action":"s*""#, true, false),
            (r#""Action":"s3-object-lambda:*""#, false, false),
            (r#""Action":"sts:AssumeRole""#, false, false),
            (r#""Action":"kmsx:Decrypt""#, false, false),
            (r#""Action":["secretsmanager:*","ec2:*"]"#, false, false),
            (r#""Action":{"x":"SECRET"}"#, true, false),
        ] {
            let kept = kept(&format!(r#"{{"Effect":"Allow",{action},"Resource":"*"}}"#));
            assert_eq!(
                (kept.says_something, kept.allows_keys),
                (stays, allows),
                "{action}"
            );
            assert!(!kept.json.contains("SECRET"));
            assert!(!kept.json.contains("Id"), "{}", kept.json);
        }
    }

    #[test]
    fn only_what_allows_something_on_a_key_counts() {
        let allows = |statement: &str| kept(statement).allows_keys;
        let with = |effect: &str, resource: &str| {
            format!(r#"[{{"Effect":"{effect}","Action":"*",{resource}}}]"#)
        };
        assert!(!allows(&with("Deny", r#""Resource":"*""#)));
        assert!(!allows(&with("Allow", r#""Resource":"arn:aws:s3:::b/*""#)));
        assert!(allows(&with(
            "Allow",
            r#""Resource":["arn:aws:s3:::b","arn:aws:kms:*:*:key/k"]"#
        )));
        for resource in ["*", "arn:*", "arn:aws:k*:*:*:*", "a*", "arn:aws:*"] {
            let resource = format!(r#""Resource":"{resource}""#);
            assert!(allows(&with("Allow", &resource)), "{resource}");
        }
        assert!(allows(&with(
            "Allow",
            r#""NotResource":"arn:aws:kms:*:*:key/k""#
        )));
        assert!(!allows("[]"));
    }

    #[test]
    fn what_is_no_policy_is_not_read() {
        for text in ["", "%7B", "7", "[]", "{}", r#"{"Version":"2012-10-17"}"#] {
            assert_eq!(keep(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_policy_names_roles_users_and_sessions_and_no_accounts() {
        let policy = serde_json::json!({"Statement": [
            {"Principal": {"AWS": ["arn:aws:iam::111122223333:root", "111122223333",
                "arn:aws:iam::111122223333:role/a/b", "AROAEXAMPLE"], "Service": "s3.amazonaws.com"}},
            {"Principal": "*", "Condition": {"ArnEquals": {"aws:principalarn":
                ["arn:aws:iam::111122223333:user/u", "arn:aws:iam::111122223333:role/x*"]}}},
            {"NotPrincipal": {"AWS": "arn:aws:sts::222233334444:assumed-role/r/s"}},
            {"Principal": {"AWS": "arn:aws:iam::111122223333:role"}},
        ]});
        let named: Vec<_> = named_by(&policy).into_iter().collect();
        assert_eq!(
            named,
            [
                "111122223333 arn:aws:iam::111122223333:role/a/b",
                "111122223333 arn:aws:iam::111122223333:user/u",
                "222233334444 role r",
                "AROAEXAMPLE",
            ]
        );
        assert!(
            means_everyone(&policy),
            "a condition limits it, to whom must be seen"
        );
        assert!(named_by(&Value::Null).is_empty());
        let one = serde_json::json!({"Statement": {"Principal": {"AWS": "AIDAX"}}});
        assert_eq!(named_by(&one).len(), 1);
        assert!(!means_everyone(&one) && !means_everyone(&Value::Null));
        for (statement, expected) in [
            (serde_json::json!({"Principal": {"AWS": ["*"]}}), true),
            (serde_json::json!({"NotPrincipal": {"AWS": "1"}}), true),
            (
                serde_json::json!({"Principal": "*", "Effect": "Deny"}),
                false,
            ),
            (serde_json::json!({"Principal": {"Service": "*"}}), false),
        ] {
            let policy = serde_json::json!({"Statement": [statement]});
            assert_eq!(means_everyone(&policy), expected, "{policy}");
        }
    }
}
