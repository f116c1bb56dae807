use proptest::prelude::*;

use crate::policy::*;

/// JSON that looks like a policy and is wrong in any way.
fn nonsense() -> impl Strategy<Value = String> {
    let names = prop::sample::select(
        &[
            "Version",
            "Id",
            "Statement",
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
            "AWS",
            "Service",
            "StringEquals",
            "Null",
            "Bool",
            "aws:username",
            "effect",
            "",
            "é",
        ][..],
    );
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1.5e3".to_owned()),
        prop::sample::select(
            &[
                "*",
                "Allow",
                "Deny",
                "kms:*",
                "2012-10-17",
                "2008-10-17",
                "${aws:username",
                "arn:aws:iam::1:root",
                "111122223333",
                "\u{1F511}"
            ][..]
        )
        .prop_map(|t| format!("{t:?}")),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(n, v)| format!("{n:?}:{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_policy_or_an_error(text in any::<String>()) {
        let _ = Policy::parse(&text);
        let _ = Question::parse(&text);
        let _ = Caller::parse(&text);
        let _ = Operator::parse(&text);
    }

    #[test]
    fn nonsense_round_trips_and_is_answered(text in nonsense()) {
        if let Ok(policy) = Policy::parse(&text) {
            prop_assert_eq!(Policy::parse(&policy.to_string()).unwrap(), policy);
        }
        let question = format!(
            r#"{{"principal":"arn:aws:iam::111122223333:user/x","action":"kms:Decrypt","closed_context":true,
                "key":{{"arn":"arn:aws:kms:eu-west-1:111122223333:key/1","policy":{text},"grants":[{text}]}},
                "identity_policies":[{text}],"permissions_boundary":{text},"service_control_policies":[{text}],
                "session_policies":[{text}],"resource_control_policies":[[{text}]]}}"#
        );
        if let Ok(question) = Question::parse(&question) {
            prop_assert!(question.answer().is_ok());
            prop_assert!(question.who_can("kms:Decrypt").is_ok());
        }
    }

    #[test]
    fn any_condition_is_answered(operator in "[A-Za-z:]{0,30}", key in any::<String>(), value in any::<String>(), wanted in any::<String>()) {
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": wanted,
            "Condition": {operator: {key.clone(): wanted}},
        }});
        let question = serde_json::json!({
            "principal": "s3.amazonaws.com", "action": "kms:Decrypt",
            "key": {"arn": "arn:aws:kms:eu-west-1:111122223333:key/1", "policy": policy, "grants": []},
            "context": {key: value},
        });
        prop_assert!(Question::parse(&question.to_string()).and_then(|q| q.answer()).is_ok());
    }
}

#[test]
fn a_thousand_grants_are_read() {
    let grant = |at: usize| {
        format!(
            r#"{{"GrantId":"{at}","GranteePrincipal":"arn:aws:iam::111122223333:role/r{at}","Operations":["Decrypt"],
                "Constraints":{{"EncryptionContextSubset":{{"a":"{at}"}}}}}}"#
        )
    };
    let grants: Vec<_> = (0..1000).map(grant).collect();
    let question = format!(
        r#"{{"principal":"arn:aws:iam::111122223333:role/r999","action":"kms:Decrypt","closed_context":true,
            "context":{{"kms:EncryptionContext:a":"999"}},
            "key":{{"arn":"arn:aws:kms:eu-west-1:111122223333:key/1","policy":{{}},"grants":[{}]}}}}"#,
        grants.join(",")
    );
    let answer = Question::parse(&question).unwrap().answer().unwrap();
    assert_eq!(answer["decision"], "allowed");
    assert_eq!(answer["decided_by"][0]["grant_id"], "999");
}

#[test]
fn a_question_that_nests_too_deep_is_an_error() {
    let deep = format!(r#"{{"key":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(
        Question::parse(&deep),
        Err(QuestionError::NotJson(_))
    ));
}

#[test]
fn a_policy_of_32_kilobytes_of_stars_is_answered() {
    let pattern = "*a".repeat(16_000);
    let question = serde_json::json!({
        "principal": "arn:aws:iam::111122223333:role/r", "action": "kms:Decrypt", "closed_context": true,
        "key": {"arn": "arn:aws:kms:eu-west-1:111122223333:key/1", "grants": [], "policy": {"Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": pattern, "Resource": pattern},
        ]}},
    });
    let answer = Question::parse(&question.to_string())
        .unwrap()
        .answer()
        .unwrap();
    assert_eq!(answer["decision"], "denied");
}
