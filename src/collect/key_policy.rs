//! What is kept of a key policy: a projection onto the documented policy elements.
//!
//! A policy is JSON that its author wrote, and everything written here is kept for years. KMS refuses
//! elements that it does not know, so nothing should fall away; what does is not stored. Kept are the
//! elements of the policy grammar
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>), each only in
//! a form that the grammar allows.

use serde_json::{Map, Value};

/// What may stand under an element.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// A text, or a list of texts.
    Texts,
    /// `*`, or texts by kind of principal.
    Principal,
    /// Values by condition key by operator.
    Condition,
    /// A statement, or a list of statements.
    Statements,
}
use Shape::{Condition, Principal, Statements, Text, Texts};

const POLICY: &[(&str, Shape)] = &[("Version", Text), ("Id", Text), ("Statement", Statements)];
const STATEMENT: &[(&str, Shape)] = &[
    ("Sid", Text),
    ("Effect", Text),
    ("Principal", Principal),
    ("NotPrincipal", Principal),
    ("Action", Texts),
    ("NotAction", Texts),
    ("Resource", Texts),
    ("NotResource", Texts),
    ("Condition", Condition),
];
const PRINCIPALS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

/// The projection of a policy document; `None` for what is no JSON object.
pub fn project(document: &str) -> Option<Value> {
    match serde_json::from_str(document).ok()? {
        Value::Object(policy) => Some(elements(policy, POLICY)),
        _ => None,
    }
}

fn elements(map: Map<String, Value>, known: &[(&str, Shape)]) -> Value {
    let kept = map.into_iter().filter_map(|(name, value)| {
        let (_, shape) = known.iter().find(|(known, _)| *known == name)?;
        Some((name, keep(value, *shape)?))
    });
    Value::Object(kept.collect())
}

fn keep(value: Value, shape: Shape) -> Option<Value> {
    match (shape, value) {
        (Text | Texts | Principal, Value::String(text)) => Some(Value::String(text)),
        (Texts, Value::Array(list)) => Some(scalars(list, Value::is_string)),
        (Principal, Value::Object(kinds)) => {
            let kept = kinds.into_iter().filter_map(|(kind, who)| {
                let known = PRINCIPALS.contains(&kind.as_str());
                Some((kind, keep(who, Texts)?)).filter(|_| known)
            });
            Some(Value::Object(kept.collect()))
        }
        (Condition, Value::Object(operators)) => {
            let kept = operators.into_iter().filter_map(|(operator, keys)| {
                let Value::Object(keys) = keys else {
                    return None;
                };
                let keys = keys.into_iter();
                let keys = keys.filter_map(|(key, value)| Some((key, condition_value(value)?)));
                Some((operator, Value::Object(keys.collect())))
            });
            Some(Value::Object(kept.collect()))
        }
        (Statements, Value::Object(statement)) => Some(elements(statement, STATEMENT)),
        (Statements, Value::Array(list)) => {
            let statements = list.into_iter().filter_map(|s| match s {
                Value::Object(statement) => Some(elements(statement, STATEMENT)),
                _ => None,
            });
            Some(Value::Array(statements.collect()))
        }
        _ => None,
    }
}

fn condition_value(value: Value) -> Option<Value> {
    match value {
        Value::Array(list) => Some(scalars(list, is_scalar)),
        value => Some(value).filter(is_scalar),
    }
}

fn scalars(list: Vec<Value>, is_kept: fn(&Value) -> bool) -> Value {
    Value::Array(list.into_iter().filter(is_kept).collect())
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canonical;

    fn kept(document: &str) -> Option<String> {
        project(document).map(|value| canonical::to_string(&value))
    }

    #[test]
    fn a_documented_policy_is_kept_whole() {
        for policy in [
            r#"{"Id":"key","Statement":[{"Action":"kms:*","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Resource":"*","Sid":"root"}],"Version":"2012-10-17"}"#,
            r#"{"Statement":{"Action":["kms:Decrypt","kms:Encrypt"],"Condition":{"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"aws:MultiFactorAuthAge":[3600]},"StringEquals":{"kms:ViaService":["s3.eu-west-1.amazonaws.com"]}},"Effect":"Deny","NotPrincipal":{"CanonicalUser":"c","Federated":"f","Service":["elasticmapreduce.amazonaws.com"]},"NotResource":["a"]}}"#,
            r#"{"Statement":[{"Effect":"Allow","NotAction":"kms:Delete*","Principal":"*"}]}"#,
            "{}",
        ] {
            assert_eq!(kept(policy).as_deref(), Some(policy));
        }
    }

    #[test]
    fn nothing_else_gets_through() {
        let policy = r#"{"Comment":"SECRET","Version":{"x":"SECRET"},"Statement":["SECRET",{
            "Note":"SECRET","Sid":["SECRET"],"Effect":"Allow","Action":["kms:*",{"x":"SECRET"}],
            "Resource":7,"Principal":{"AWS":"*","Password":"SECRET","Service":{"x":"SECRET"}},
            "Condition":{"StringEquals":"SECRET","Bool":{"k":{"x":"SECRET"},"l":["a",["SECRET"],null]}}}]}"#;
        assert_eq!(
            kept(policy).as_deref(),
            Some(
                r#"{"Statement":[{"Action":["kms:*"],"Condition":{"Bool":{"l":["a"]}},"Effect":"Allow","Principal":{"AWS":"*"}}]}"#
            )
        );
    }

    #[test]
    fn what_is_no_policy_is_none() {
        let deep = format!("{{\"Statement\":{}1", "[".repeat(100_000));
        for text in [
            "",
            "{",
            "7",
            "null",
            r#""SECRET""#,
            r#"["SECRET"]"#,
            deep.as_str(),
        ] {
            assert_eq!(project(text), None, "{}", &text[..text.len().min(20)]);
        }
    }
}
