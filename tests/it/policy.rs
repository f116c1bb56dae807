//! Policy evaluation against `tests/policy/*.jsonl`: one case a line, its expectation written from the
//! AWS page that `why` names, and asked as `keyproof explain` asks it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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

fn explain(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyproof"))
        .arg("explain")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    stdin
        .write_all(input.as_bytes())
        .expect("it reads its input");
    drop(stdin);
    let done = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn the_command_answers_line_by_line_and_goes_on_after_a_bad_one() {
    let good = |id: u32| {
        format!(
            r#"{{"id":{id},"principal":"arn:aws:iam::111122223333:role/r","action":"kms:Decrypt","closed_context":true,
                "key":{{"arn":"arn:aws:kms:eu-west-1:111122223333:key/1","policy":{{}},"grants":[]}}}}"#
        )
        .replace('\n', " ")
    };
    let input = format!(
        "{}\n\n{{\"id\":2,\"principal\":5}}\nnot JSON\n{}\n",
        good(1),
        good(4)
    );
    let (code, out, _) = explain(&["--jsonl", "-"], &input);
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect();
    assert_eq!(code, Some(2));
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["decision"], "denied");
    assert_eq!(lines[1]["id"], 2);
    assert!(
        lines[1]["error"]
            .as_str()
            .is_some_and(|e| e.starts_with("line 3: 'principal' is a number"))
    );
    assert!(
        lines[2]["error"]
            .as_str()
            .is_some_and(|e| e.starts_with("line 4: not JSON"))
    );
    assert_eq!(lines[3]["id"], 4);

    let (code, out, _) = explain(&["-"], &good(7));
    assert_eq!((code, out.lines().count()), (Some(0), 1));
    let (code, out, error) = explain(&["-"], "{");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains("not JSON"), "{error}");
}

#[test]
fn the_command_explains_rules() {
    let (code, out, _) = explain(&["el-01"], "");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("EL-01 log-key-set"), "{out}");
    let (code, _, error) = explain(&["EL-99"], "");
    assert_eq!(code, Some(2));
    assert!(error.contains("there are EL-01"), "{error}");
    let (code, _, error) = explain(&["no-such-file"], "");
    assert_eq!(code, Some(2));
    assert!(error.contains("cannot read no-such-file"), "{error}");
}
