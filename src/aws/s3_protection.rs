//! How well a bucket protects the archive, judged from its policy: pure.

use serde_json::Value;

use crate::archive::store::Protection;
use crate::model::words::CheckOutcome;

/// Names of the checks that read the bucket policy.
pub(super) const POLICY_CHECKS: [&str; 3] = ["tls_only", "delete_denied", "create_only"];

/// Judges a bucket policy for the objects below `prefix` (a key, `""` for the whole bucket).
///
/// PASS needs a Deny for everyone that surely applies; a Deny with conditions that are not
/// understood here is UNKNOWN, since it may exempt anyone.
pub(super) fn policy_checks(policy: &str, bucket: &str, prefix: &str) -> Vec<Protection> {
    let Some(denies) = denies(policy, bucket, prefix) else {
        return POLICY_CHECKS
            .into_iter()
            .map(|check| Protection {
                check,
                outcome: CheckOutcome::Unknown,
                detail: "the bucket policy cannot be read as JSON".to_owned(),
            })
            .collect();
    };
    vec![
        judge(
            POLICY_CHECKS[0],
            &denies,
            &["s3:GetObject", "s3:PutObject"],
            |conditions| {
                conditions
                    == [(
                        "bool".to_owned(),
                        "aws:securetransport".to_owned(),
                        "false".to_owned(),
                    )]
            },
            "requests without TLS are denied",
            "requests without TLS are not denied: deny s3:* where aws:SecureTransport is false",
        ),
        judge(
            POLICY_CHECKS[1],
            &denies,
            &["s3:DeleteObject", "s3:DeleteObjectVersion"],
            <[_]>::is_empty,
            "deleting objects and versions is denied",
            "deleting is not denied: deny s3:DeleteObject and s3:DeleteObjectVersion",
        ),
        judge(
            POLICY_CHECKS[2],
            &denies,
            &["s3:PutObject"],
            |conditions| {
                let is = |(operator, key, value): &(String, String, String)| {
                    (operator == "null" && key == "s3:if-none-match" && value == "true")
                        || (operator == "bool"
                            && key == "s3:objectcreationoperation"
                            && value == "true")
                };
                conditions.iter().all(is)
                    && conditions
                        .iter()
                        .any(|(_, key, _)| key == "s3:if-none-match")
            },
            "only creating writes are allowed",
            "overwriting is not denied: deny s3:PutObject where s3:if-none-match is absent",
        ),
    ]
}

/// (operator, key, value), all lower-case.
type Condition = (String, String, String);

/// A Deny for every principal on the archive's objects.
struct Deny {
    actions: Vec<String>,
    conditions: Vec<Condition>,
}

fn judge(
    check: &'static str,
    denies: &[Deny],
    actions: &[&str],
    understood: impl Fn(&[Condition]) -> bool,
    good: &str,
    bad: &str,
) -> Protection {
    let covers = |deny: &Deny, action: &str| deny.actions.iter().any(|a| matches(a, action));
    let by = |accept: &dyn Fn(&Deny) -> bool| {
        actions
            .iter()
            .all(|action| denies.iter().any(|d| covers(d, action) && accept(d)))
    };
    // A Deny of everything under some other condition (no TLS, another organization) is no hint that
    // this check was meant.
    let hinted = |deny: &Deny| !deny.actions.iter().any(|a| a == "*" || a == "s3:*");
    let (outcome, detail) = if by(&|d| understood(&d.conditions)) {
        (CheckOutcome::Pass, good.to_owned())
    } else if by(&|d| understood(&d.conditions) || hinted(d)) {
        (
            CheckOutcome::Unknown,
            "denied under conditions that may exempt someone: read the bucket policy".to_owned(),
        )
    } else {
        (CheckOutcome::Fail, bad.to_owned())
    };
    Protection {
        check,
        outcome,
        detail,
    }
}

/// The Deny statements that concern everyone and every object below the prefix.
fn denies(policy: &str, bucket: &str, prefix: &str) -> Option<Vec<Deny>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let statements = match policy.get("Statement")? {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let object = format!("{bucket}/{prefix}*");
    Some(
        statements
            .iter()
            .filter(|s| s.get("Effect").and_then(Value::as_str) == Some("Deny"))
            .filter(|s| is_everyone(s.get("Principal")))
            .filter(|s| {
                texts(s.get("Resource")).iter().any(|resource| {
                    // arn:<partition>:s3:::<bucket>/<pattern>
                    let pattern = resource.splitn(6, ':').nth(5).unwrap_or(resource);
                    matches(pattern, &object)
                })
            })
            .map(|s| Deny {
                actions: texts(s.get("Action"))
                    .into_iter()
                    .map(str::to_ascii_lowercase)
                    .collect(),
                conditions: conditions(s.get("Condition")),
            })
            .collect(),
    )
}

fn is_everyone(principal: Option<&Value>) -> bool {
    match principal {
        Some(Value::String(all)) => all == "*",
        Some(Value::Object(map)) => texts(map.get("AWS")).contains(&"*"),
        _ => false,
    }
}

/// A string or an array of strings.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn conditions(value: Option<&Value>) -> Vec<Condition> {
    let lower = |v: &Value| match v {
        Value::String(text) => text.to_ascii_lowercase(),
        other => other.to_string(),
    };
    let Some(value) = value else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (operator, keys) in value.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            let value = match value {
                Value::Array(values) if values.len() == 1 => lower(&values[0]),
                other => lower(other),
            };
            all.push((
                operator.to_ascii_lowercase(),
                key.to_ascii_lowercase(),
                value,
            ));
        }
    }
    if all.is_empty() && value.as_object().is_none_or(|map| !map.is_empty()) {
        // Not a form that is known: certainly not unconditional.
        all.push(Condition::default());
    }
    all
}

/// Whether `pattern` (with `*` and `?`, case ignored) matches everything that `text` stands for; a
/// `*` in `text` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < t.len() {
        if i < p.len() && p[i] == b'*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && t[j] != b'*' && (p[i] == b'?' || p[i].eq_ignore_ascii_case(&t[j]))
        {
            i += 1;
            j += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            i = at + 1;
            j = from + 1;
        } else {
            return false;
        }
    }
    p[i..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckOutcome::*;

    fn outcomes(policy: &str) -> [CheckOutcome; 3] {
        let checks = policy_checks(policy, "org-evidence", "keyproof/");
        [checks[0].outcome, checks[1].outcome, checks[2].outcome]
    }

    const TLS: &str = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*",
        "Resource":["arn:aws:s3:::org-evidence","arn:aws:s3:::org-evidence/*"],
        "Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
    const DELETE: &str = r#"{"Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3:DeleteObject*"],
        "Resource":"arn:aws:s3:::org-evidence/keyproof/*"}"#;
    const CREATE: &str = r#"{"Effect":"Deny","Principal":"*","Action":"s3:PutObject",
        "Resource":"arn:aws:s3:::org-evidence/*",
        "Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}"#;

    #[test]
    fn a_good_policy_passes_every_check() {
        let policy = format!(r#"{{"Statement":[{TLS},{DELETE},{CREATE}]}}"#);
        assert_eq!(outcomes(&policy), [Pass, Pass, Pass]);
    }

    #[test]
    fn each_statement_counts_for_its_own_check_alone() {
        for (statement, expected) in [
            (TLS, [Pass, Fail, Fail]),
            (DELETE, [Fail, Pass, Fail]),
            (CREATE, [Fail, Fail, Pass]),
        ] {
            assert_eq!(
                outcomes(&format!(r#"{{"Statement":{statement}}}"#)),
                expected
            );
        }
    }

    #[test]
    fn what_may_exempt_someone_is_unknown() {
        let conditional = DELETE.replace(
            r#"keyproof/*""#,
            r#"keyproof/*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"x"}}"#,
        );
        assert_eq!(
            outcomes(&format!(r#"{{"Statement":{conditional}}}"#))[1],
            Unknown
        );
        let odd = DELETE.replace(r#"keyproof/*""#, r#"keyproof/*","Condition":"?""#);
        assert_eq!(outcomes(&format!(r#"{{"Statement":{odd}}}"#))[1], Unknown);
        assert_eq!(outcomes("not json"), [Unknown, Unknown, Unknown]);
    }

    #[test]
    fn denials_of_something_else_do_not_count() {
        for other in [
            DELETE.replace("Deny", "Allow"),
            DELETE.replace("org-evidence", "another"),
            DELETE.replace("keyproof/*", "keyproof/chain/*"),
            DELETE.replace(r#"{"AWS":"*"}"#, r#"{"AWS":"arn:aws:iam::1:root"}"#),
            DELETE.replace("DeleteObject*", "DeleteObject"),
        ] {
            assert_eq!(
                outcomes(&format!(r#"{{"Statement":{other}}}"#))[1],
                Fail,
                "{other}"
            );
        }
        assert_eq!(outcomes("{\"Statement\":[]}"), [Fail, Fail, Fail]);
    }
}
