//! Fuzzing of what reads outside text: policies, security configurations, release labels.
//!
//! A small mutation driver instead of a coverage-guided fuzzer, so that it runs wherever the tests run:
//! it starts from `tests/corpus`, and keeps a mutant for further mutation when what the target says of
//! it was not said before. The same seed gives the same inputs. The corpus is replayed and a few
//! seconds of each target run with every test; `scripts/soak` runs the ignored tests for longer.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use keyproof::assess::Release;
use keyproof::collect::api::DescribedSecurityConfiguration;
use keyproof::collect::{key_policy, security_configuration};
use keyproof::model::canonical;
use keyproof::model::datasets::Account;
use keyproof::policy::{Policy, Question};
use keyproof::time::Date;
use serde_json::Value;

/// Feeds one input and tells in a few words what came of it; panics where a promise is broken.
type Target = fn(&str) -> String;

/// Longest input; a key policy has 32 KB at most.
const LONGEST: usize = 48 * 1024;
/// Mutants that are kept for further mutation.
const POOL: usize = 4_000;

fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(kind);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).expect("a file"))
        .collect()
}

/// A policy is read or refused, prints to itself, is projected to itself, and is answered.
fn policy(text: &str) -> String {
    let projected = key_policy::project(text);
    if let Some(value) = &projected {
        let again = key_policy::project(&canonical::to_string(value));
        assert_eq!(
            again.as_ref(),
            Some(value),
            "a projection is its own projection"
        );
    }
    let read = match Policy::parse(text) {
        Ok(policy) => {
            let printed = policy.to_string();
            let again = Policy::parse(&printed).expect("what was printed can be read");
            assert_eq!(again, policy, "parse, print, parse");
            format!("{} statements", policy.statements.len().min(4))
        }
        Err(error) => words(&error.to_string()),
    };
    let embedded = if serde_json::from_str::<Value>(text).is_ok() {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    };
    let question = format!(
        r#"{{"principal":"arn:aws:iam::111122223333:role/r","action":"kms:Decrypt",
            "key":{{"arn":"arn:aws:kms:eu-west-1:111122223333:key/1","policy":{embedded},"grants":[]}},
            "identity_policies":[{embedded}],"context":{{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}}}"#
    );
    let answer = match Question::parse(&question) {
        Ok(question) => {
            let holders = question.who_can("kms:Decrypt").expect("holders");
            let answer = question.answer().expect("an answer");
            let reason = words(answer["reason"].as_str().unwrap_or_default());
            let count = holders["who_can"].as_array().map_or(0, Vec::len).min(4);
            format!("{} {reason} {count}", answer["decision"])
        }
        Err(error) => words(&error.to_string()),
    };
    format!("{read}; {answer}; {}", projected.is_some())
}

/// A security configuration is kept as a projection that is its own, and holds no unknown key.
fn configuration(text: &str) -> String {
    let row = configuration_row(text);
    let Some(json) = &row.encryption_json else {
        assert_eq!((row.at_rest, &row.s3_mode), (None, &None));
        return "unreadable".to_owned();
    };
    let again = configuration_row(json);
    assert_eq!(again.unknown_keys, 0, "{json}");
    assert_eq!(again.encryption_json.as_ref(), Some(json));
    assert_eq!(
        (again.at_rest, again.s3_mode, again.s3_key),
        (row.at_rest, row.s3_mode.clone(), row.s3_key)
    );
    let kept: Value = serde_json::from_str(json).expect("canonical JSON");
    format!(
        "{:?} {} {} {}",
        row.at_rest,
        row.s3_mode.is_some(),
        row.unknown_keys.min(3),
        shape(&kept)
    )
}

fn configuration_row(text: &str) -> keyproof::model::datasets::EmrSecurityConfiguration {
    let described = DescribedSecurityConfiguration {
        name: "sc".to_owned(),
        created_at: None,
        document: text.to_owned(),
    };
    let region = "eu-west-1".parse().expect("a Region");
    security_configuration::row(&account(), &region, &described)
}

fn account() -> Account {
    Account {
        scheduled_for: "2026-11-24".parse::<Date>().expect("a date"),
        account_id: "111122223333".parse().expect("an account"),
        name: None,
        state: None,
        ou_path: None,
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

/// A label is a version of three plain numbers, or none.
fn label(text: &str) -> String {
    let Some(release) = Release::parse(text) else {
        return format!(
            "none {} {}",
            text.starts_with("emr-"),
            text.matches('.').count().min(4)
        );
    };
    let Release {
        major,
        minor,
        patch,
    } = release;
    assert_eq!(text, format!("emr-{major}.{minor}.{patch}"));
    assert!(!release.honours_log_key() || major >= 5);
    format!(
        "{} {} {}",
        release.honours_log_key(),
        release.logs_to_cloudwatch(),
        release.has_upload_policy()
    )
}

/// Letters of a message without the input that it quotes.
fn words(message: &str) -> String {
    let plain = message
        .chars()
        .filter(|c| c.is_ascii_lowercase() || *c == ' ');
    plain.take(40).collect()
}

/// Names of a document without its values.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let inner: Vec<_> = map
                .iter()
                .map(|(k, v)| format!("{k}{}", shape(v)))
                .collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => format!("[{}]", items.len().min(3)),
        _ => String::new(),
    }
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "false",
    "\"true\"",
    "-1",
    "1e999",
    "0",
    "\"*\"",
    "\"Statement\":",
    "\"Effect\":\"Deny\"",
    "\"NotPrincipal\":",
    "\"NotAction\":",
    "\"Condition\":{\"StringLikeIfExists\":",
    "\"ForAllValues:StringEquals\":",
    "\"Null\":",
    "${aws:username}",
    "${",
    "arn:aws:iam::111122223333:root",
    "arn:aws:kms:::key/",
    "AROAEXAMPLE",
    "2008-10-17",
    "kms:*",
    "?",
    "\u{1F511}",
    "\\u0000",
    "\\ud800",
    "é",
    "\"EncryptionConfiguration\":",
    "\"Overrides\":[{}]",
    "\"EnableAtRestEncryption\":\"TRUE\"",
    "SSE-KMS",
    "s3n://A:B@bucket/",
    "emr-",
    ".",
    "-latest",
    "4294967295",
    "00",
    "٣",
    " ",
];

/// One to four changes to `input`, some of them out of `pool`.
fn mutate(dice: &mut Dice, input: &[u8], pool: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + 1 + dice.below(24)).min(bytes.len());
        match dice.below(9) {
            0 if !bytes.is_empty() => {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, PIECES[dice.below(PIECES.len())].bytes())),
            3 => {
                let slice = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, slice));
            }
            4 => {
                let other = &pool[dice.below(pool.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(400)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            5 => bytes.truncate(at),
            6 => {
                let depth = 1 << dice.below(9);
                drop(bytes.splice(at..at, b"[{\"a\":".repeat(depth)));
            }
            7 => {
                // Whole members twice: between two commas.
                let comma = |b: &u8| *b == b',';
                let start = bytes[..at].iter().rposition(comma).unwrap_or(0);
                let stop = bytes[at..]
                    .iter()
                    .position(comma)
                    .map_or(bytes.len(), |n| at + n);
                let member = bytes[start..stop].to_vec();
                drop(bytes.splice(stop..stop, member));
            }
            _ => bytes.insert(at, dice.next() as u8),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// Runs a target for so long; gives the number of inputs and of different answers.
fn fuzz(kind: &str, target: Target, duration: Duration, seed: u64) -> (u64, usize) {
    let mut pool = corpus(kind);
    let mut said = BTreeSet::new();
    for input in &pool {
        said.insert(target(&String::from_utf8_lossy(input)));
    }
    let mut dice = Dice(seed);
    let (mut inputs, began) = (pool.len() as u64, Instant::now());
    while began.elapsed() < duration {
        for _ in 0..64 {
            // The shorter of two: what is long takes long, and most of what there is to find is short.
            let [a, b] = [dice.below(pool.len()), dice.below(pool.len())];
            let parent = std::cmp::min_by_key(&pool[a], &pool[b], |input| input.len());
            let mutant = mutate(&mut dice, parent, &pool);
            let text = String::from_utf8_lossy(&mutant);
            let told = std::panic::catch_unwind(|| target(&text)).unwrap_or_else(|_| {
                panic!("{kind}: this input, as JSON text: {}", Value::from(&*text))
            });
            inputs += 1;
            if said.insert(told) && pool.len() < POOL {
                pool.push(mutant);
            }
        }
    }
    (inputs, said.len())
}

const TARGETS: [(&str, Target); 3] = [
    ("policy", policy),
    ("security_configuration", configuration),
    ("release_label", label),
];

#[test]
fn the_corpus_breaks_no_promise() {
    for (kind, target) in TARGETS {
        let inputs = corpus(kind);
        assert!(inputs.len() >= 9, "{kind}");
        let said: BTreeSet<_> = inputs
            .iter()
            .map(|input| target(&String::from_utf8_lossy(input)))
            .collect();
        assert!(said.len() > 3, "{kind}: {said:?}");
    }
}

#[test]
fn a_few_seconds_of_mutations_break_no_promise() {
    for (kind, target) in TARGETS {
        let (inputs, said) = fuzz(kind, target, Duration::from_secs(2), 1);
        assert!(
            inputs > 64 && said > 3,
            "{kind}: {inputs} inputs, {said} answers"
        );
    }
}

/// The driver notices a target that breaks.
#[test]
#[should_panic(expected = "release_label: this input")]
fn a_broken_promise_is_noticed() {
    fn breaks(text: &str) -> String {
        assert!(!text.contains("é"), "as broken as can be");
        label(text)
    }
    fuzz("release_label", breaks, Duration::from_secs(60), 1);
}

/// `SOAK_SECONDS` of one target, from a seed of its own each time (`SOAK_SEED` repeats one).
fn soak(kind: &str, target: Target) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds = number("SOAK_SECONDS").unwrap_or(600);
    let seed = number("SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let (inputs, said) = fuzz(kind, target, Duration::from_secs(seconds), seed);
    println!(
        "{kind}: {inputs} inputs in {seconds} s, {said} different answers, seed {seed}, no panic"
    );
}

#[test]
#[ignore = "long; scripts/soak runs it"]
fn soak_policy() {
    soak("policy", policy);
}

#[test]
#[ignore = "long; scripts/soak runs it"]
fn soak_security_configuration() {
    soak("security_configuration", configuration);
}

#[test]
#[ignore = "long; scripts/soak runs it"]
fn soak_release_label() {
    soak("release_label", label);
}
