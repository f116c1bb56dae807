//! Policy evaluation against `tests/policy/*.jsonl`: one case a line, its expectation written from the
//! AWS page that `why` names, and asked as `keyproof explain` asks it.

use std::path::Path;

use keyproof::policy::Question;
use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/policy")
        .join(name);
    let text = std::fs::read_to_string(&path).expect("the cases are there");
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).expect("a case is JSON"))
        .collect()
}

/// Every member of `expected` is in `found` with its value.
fn differences(name: &str, expected: &Value, found: &Value) -> Vec<String> {
    let members = expected.as_object().expect("expectations are members");
    members
        .iter()
        .filter(|(member, value)| found[member.as_str()] != **value)
        .map(|(member, value)| {
            format!(
                "{name}: {member} is {}, not {value}",
                found[member.as_str()]
            )
        })
        .collect()
}

#[test]
fn policies_are_evaluated_as_documented() {
    let cases = cases("cases.jsonl");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().expect("a case has a name");
        let why = case["why"].as_str().unwrap_or_default();
        assert!(
            why.starts_with("https://docs.aws.amazon.com/"),
            "{name} cites no page"
        );
        let question = Question::parse(&case["ask"].to_string());
        let answer = question
            .and_then(|q| q.answer())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(answer["id"], case["ask"]["id"], "{name}");
        wrong.extend(differences(name, &case["expect"], &answer));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_reverse_question_is_answered_as_documented() {
    let mut wrong = Vec::new();
    for case in cases("who_can.jsonl") {
        let name = case["name"].as_str().expect("a case has a name");
        let why = case["why"].as_str().unwrap_or_default();
        assert!(
            why.starts_with("https://docs.aws.amazon.com/"),
            "{name} cites no page"
        );
        let action = case["action"].as_str().expect("a case has an action");
        let question = Question::parse(&case["ask"].to_string());
        let answer = question
            .and_then(|q| q.who_can(action))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected = case["expect"].as_array().expect("a list of holders");
        let found = answer["who_can"].as_array().expect("a list of holders");
        if expected.len() != found.len() {
            wrong.push(format!(
                "{name}: {} holders, not {}",
                found.len(),
                expected.len()
            ));
        }
        for (expected, found) in expected.iter().zip(found) {
            wrong.extend(differences(name, expected, found));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
