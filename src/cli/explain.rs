//! `keyproof explain`: what a rule asks, why a cluster has its verdict, and who may use a key by the
//! policies in a file. Rules and files are explained offline; a cluster from its archive.

mod cluster;

mod pages;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::assess::RULES;
use crate::error::{Exit, Failure};
use crate::policy::{Question, QuestionError, id_of};

/// Explain a rule (`keyproof explain EL-04`), explain a cluster's verdict from sealed evidence (`keyproof
/// explain j-1ABCDEFGHIJKL --archive URL`), or answer who may use a key by the policies in a file.
///
/// A cluster is named by its id or its ARN. The newest run of record tells, or the one of --date, or
/// --run-id; every file that is read is compared with its sealed digest.
///
/// FILE holds one JSON document, or one a line with --jsonl:
///
///   {"id", "principal", "action", "key": {"arn", "policy", "grants": []},
///    "identity_policies": [], "permissions_boundary": null, "session_policies": null,
///    "service_control_policies": [[root level], [next level]], "resource_control_policies": [],
///    "context": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}, "closed_context": true}
///
/// and each is answered on a line, in the same order:
///
///   {"id", "decision": "allowed"|"denied"|"conditional"|"unknown", "reason",
///    "decided_by": [statements and grants], "depends_on": [condition keys, unread documents]}
///
/// With "closed_context" whatever is not listed is absent, keys that follow from the principal (such
/// as aws:PrincipalArn) included. Without, these are filled in, other keys that are not listed are
/// unknown, and documents that are left out count as not read. In either mode a key that is null is
/// absent, and a key policy, list of grants or list of identity policies that is null was not read.
/// Further members: "caller_in_management_account" and "key_in_management_account" (control policies
/// do not apply there), and "aws_managed" in "key".
///
/// --who-can ACTION asks whom the policy and the grants of the key let do it; FILE may then also be
/// just a key policy. A holder's "subject_to" names the account whose IAM policies have the last word.
///
/// A document that is no question is answered by {"id", "error"}; the others are answered all the
/// same, and the command ends with exit code 2.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// FILE holds one document a line
    #[arg(long)]
    jsonl: bool,
    /// Ask who may do this, e.g. kms:Decrypt
    #[arg(long, value_name = "ACTION")]
    who_can: Option<String>,
    #[command(flatten)]
    cluster: cluster::Flags,
    /// A rule such as EL-04, a cluster id or ARN, or a file; `-` reads standard input
    #[arg(value_name = "RULE|CLUSTER|FILE")]
    subject: PathBuf,
}

/// More is no policy, and a line is held in memory.
const LONGEST_BYTES: u64 = 64 * 1024 * 1024;

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let asks_policies = args.jsonl || args.who_can.is_some();
    let named = args.subject.to_str().and_then(|name| name.parse().ok());
    if let Some(name) = named
        && !asks_policies
    {
        return cluster::run(&args.cluster, &name).await;
    }
    if let Some(flag) = args.cluster.given() {
        return Err(Failure::usage(format!(
            "{flag} is for a cluster, and {} is none: give an id such as j-1ABCDEFGHIJKL, or an ARN",
            args.subject.display()
        )));
    }
    policies(args)
}

fn policies(args: Args) -> Result<Exit, Failure> {
    let rule = args.subject.to_str().filter(|name| is_rule(name));
    if let Some(name) = rule
        && !args.jsonl
        && args.who_can.is_none()
    {
        return page(name);
    }
    let mut input = open(&args.subject)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut all_answered = true;
    let mut put = |answer: Result<Value, (Value, String)>| {
        let line = answer.unwrap_or_else(|(id, error)| {
            all_answered = false;
            json!({"id": id, "error": error})
        });
        writeln!(out, "{line}")
    };
    let mut written = Ok(());
    if args.jsonl {
        let mut number = 0_u64;
        loop {
            let mut line = Vec::new();
            let read = (&mut input)
                .take(LONGEST_BYTES)
                .read_until(b'\n', &mut line);
            number += 1;
            if read.map_err(|e| unreadable(&args.subject, &e))? == 0 {
                break;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let answered = answer(&line, args.who_can.as_deref())
                .map_err(|(id, error)| (id, format!("line {number}: {error}")));
            written = put(answered);
            if written.is_err() {
                break;
            }
        }
    } else {
        let mut text = Vec::new();
        let read = input.take(LONGEST_BYTES).read_to_end(&mut text);
        read.map_err(|e| unreadable(&args.subject, &e))?;
        match answer(&text, args.who_can.as_deref()) {
            Err((_, error)) => {
                let subject = args.subject.display();
                return Err(Failure::usage(format!("{subject} is no question: {error}")));
            }
            answered => written = put(answered),
        }
    }
    match written.and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to standard output: {e}"
        ))),
        _ if all_answered => Ok(Exit::Success),
        _ => Ok(Exit::Usage),
    }
}

fn open(path: &Path) -> Result<BufReader<Box<dyn Read>>, Failure> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|e| unreadable(path, &e))?)
    };
    Ok(BufReader::new(input))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!(
        "cannot read {}: {error}; give a file with a question about a key policy, or one of the rules {}",
        path.display(),
        ids()
    ))
}

/// The answer to one document, or its id and what is wrong with it.
fn answer(document: &[u8], who_can: Option<&str>) -> Result<Value, (Value, String)> {
    let text = std::str::from_utf8(document)
        .map_err(|e| (Value::Null, format!("not UTF-8: {e}")))?
        .trim_start_matches('\u{feff}');
    let answer = |question: Question| match who_can {
        Some(action) => question.who_can(action),
        None => question.answer(),
    };
    Question::parse(text)
        .and_then(answer)
        .map_err(|e: QuestionError| (id_of(text), e.to_string()))
}

fn is_rule(name: &str) -> bool {
    let number = name
        .split_at_checked(3)
        .filter(|(el, _)| el.eq_ignore_ascii_case("EL-"));
    number.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn ids() -> String {
    let ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    ids.join(", ")
}

fn page(name: &str) -> Result<Exit, Failure> {
    let rule = RULES.iter().find(|rule| rule.id.eq_ignore_ascii_case(name));
    let rule = rule.ok_or_else(|| {
        Failure::usage(format!(
            "no rule {name} in this version; there are {}",
            ids()
        ))
    })?;
    super::common::print(&pages::of(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_from_files() {
        for yes in ["EL-04", "el-1", "EL-99"] {
            assert!(is_rule(yes), "{yes}");
        }
        for no in ["EL-", "EL-4.json", "./EL-04", "j-1", "é-1"] {
            assert!(!is_rule(no), "{no}");
        }
    }

    #[test]
    fn a_document_that_is_no_question_keeps_its_id() {
        for (text, id, part) in [
            (r#"{"id":7,"principal":"x"}"#, json!(7), "is no principal"),
            (r#"{"id":"a","key":{}}"#, json!("a"), "no 'principal'"),
            (r#"{"id":1,"id":2}"#, json!(1), "stands twice"),
            (
                r#"{"id":1,"identity_policy":[]}"#,
                json!(1),
                "unknown member 'identity_policy'",
            ),
            (r#"{"id":[1],"key":[]}"#, json!([1]), "'key' is a list"),
            ("[]", Value::Null, "a list"),
            ("{", Value::Null, "not JSON"),
        ] {
            let (found, error) = answer(text.as_bytes(), None).unwrap_err();
            assert_eq!(found, id, "{text}");
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(answer(b"\xff", None).is_err());
    }

    #[test]
    fn a_bare_key_policy_answers_the_reverse_question() {
        let policy =
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}"#;
        let found = answer(policy.as_bytes(), Some("kms:Decrypt")).unwrap();
        assert_eq!(found["who_can"][0]["kind"], "everyone");
        assert!(answer(policy.as_bytes(), None).is_err());
        assert!(answer(policy.as_bytes(), Some("kms:*")).is_err());
    }
}
