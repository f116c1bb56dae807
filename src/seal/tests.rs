//! The JSON Schemas of `schemas/json/` name every field that stands in the archive and no other, and tell
//! which of them always stand there. (Real archives are compared with them by `tests/peers`.)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::model::ids::Sha256Hex;
use crate::model::words::RunOutcome;
use crate::time::UtcMillis;

/// For each object, by its path: every field, and those that are never left out.
type Shapes = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// Adds what a sample shows.
fn observe(value: &Value, path: &str, shapes: &mut Shapes) {
    match value {
        Value::Object(fields) => {
            let here: BTreeSet<String> = fields.keys().cloned().collect();
            shapes
                .entry(path.to_owned())
                .and_modify(|(all, always)| {
                    all.extend(here.iter().cloned());
                    always.retain(|field| here.contains(field));
                })
                .or_insert((here.clone(), here.clone()));
            for (name, value) in fields {
                observe(value, &format!("{path}.{name}"), shapes);
            }
        }
        Value::Array(items) => {
            for item in items {
                observe(item, &format!("{path}[]"), shapes);
            }
        }
        _ => {}
    }
}

/// Adds what a schema declares.
fn declare(schema: &Value, root: &Value, path: &str, shapes: &mut Shapes) {
    let target = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    let schema = target.map_or(schema, |pointer| {
        root.pointer(pointer).expect("a definition")
    });
    if schema["type"] == "object" {
        let names = |value: &Value| -> BTreeSet<String> {
            let names = value.as_array().into_iter().flatten();
            names
                .map(|n| n.as_str().expect("a name").to_owned())
                .collect()
        };
        let mut all = BTreeSet::new();
        let mut always = names(&schema["required"]);
        if schema["additionalProperties"].is_object() {
            // Names of any kind: samples call them `*`.
            (all, always) = (["*".to_owned()].into(), ["*".to_owned()].into());
        } else {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        for (name, value) in schema["properties"].as_object().into_iter().flatten() {
            all.insert(name.clone());
            declare(value, root, &format!("{path}.{name}"), shapes);
        }
        shapes.insert(path.to_owned(), (all, always));
    } else if schema["type"] == "array" {
        declare(&schema["items"], root, &format!("{path}[]"), shapes);
    }
}

fn declared(schema: &str) -> Shapes {
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let mut shapes = Shapes::new();
    declare(&schema, &schema, "", &mut shapes);
    shapes
}

fn observed(samples: impl IntoIterator<Item = Vec<u8>>) -> Shapes {
    let mut shapes = Shapes::new();
    for sample in samples {
        let sample = serde_json::from_slice(&sample).expect("JSON");
        observe(&sample, "", &mut shapes);
    }
    shapes
}

fn digest() -> Sha256Hex {
    Sha256Hex::of(b"x")
}

/// Statements of every kind, with all that may be left out or none of it.
fn statements(full: bool) -> Vec<Statement> {
    let remark: Remark = "why".to_owned().try_into().expect("a remark");
    let run_id = || "20261124T020003Z-7f3a".parse().expect("a run id");
    let contents = [
        Content::Genesis(Genesis {
            organization_id: full.then(|| "o-a".to_owned()),
            schedule: "daily".to_owned(),
            retention_days: full.then_some(2557),
            keyid: digest(),
            recovery_keyid: full.then(digest),
            protection: "none".to_owned(),
            scope: "organization".to_owned(),
        }),
        Content::Run(RunSeal {
            run_id: run_id(),
            start_n: 7,
            scheduled_for: "2026-11-24".parse().expect("a date"),
            started_at: UtcMillis(1),
            ended_at: UtcMillis(2),
            outcome: RunOutcome::Complete,
            late: false,
            full_scope: true,
            organization_id: full.then(|| "o-a".to_owned()),
            accounts_listed: 1,
            accounts_in_scope: 1,
            accounts_answered: 1,
            cells: 1,
            cells_open: 0,
            clusters: 1,
            exceptions_used: vec!["x".to_owned()],
            rows: [("*".to_owned(), 1)].into(),
            died_runs: vec![DiedRun {
                start_n: 6,
                start_sha256: digest(),
                run_id: full.then(run_id),
                reason: "died".to_owned(),
            }],
            clock_offset_ms: full.then_some(-3),
        }),
        Content::Rollup(RollupSeal {
            run_id: run_id(),
            quarter: "2026Q4".parse().expect("a quarter"),
            edition: 1,
            chain_from: 1,
            chain_to: 2,
            rows: [("*".to_owned(), 1)].into(),
            unfinished: full.then_some(true),
        }),
        Content::Backfill(BackfillSeal {
            run_id: run_id(),
            scheduled_for: "2026-11-24".parse().expect("a date"),
            from: "2026-07-01".parse().expect("a date"),
            to: "2026-09-30".parse().expect("a date"),
            started_at: UtcMillis(1),
            ended_at: UtcMillis(2),
            outcome: RunOutcome::Complete,
            trail: "s3://trail/".to_owned(),
            judged_by: run_id(),
            objects: 5,
            bytes: 6,
            rows: [("*".to_owned(), 1)].into(),
        }),
        Content::Key(KeyChange {
            by: ChangedBy::Rotation,
            keyid: digest(),
            replaces: digest(),
            reason: remark.clone(),
        }),
        Content::Note(Note {
            entry: 2,
            text: remark,
        }),
    ];
    let checks = |some: bool| {
        if full && some {
            vec!["tls_only".to_owned()]
        } else {
            vec![]
        }
    };
    let statement = |(number, content)| Statement {
        archive_id: ArchiveId::from_random([7; 16]),
        seq: 9,
        previous_sha256: Some(digest()),
        burnt_slots: vec![8],
        at: UtcMillis(3),
        producer: Producer {
            version: "0.1.0".to_owned(),
            binary_sha256: full.then(digest),
            config_sha256: digest(),
            rules_version: "1".to_owned(),
            rules_sha256: digest(),
            caller_arn: full.then(|| "arn:aws:iam::111122223333:role/a".to_owned()),
            lacking: Lacking {
                failed: checks(number != 1),
                unknown: checks(number != 2),
            },
        },
        content,
        subjects: vec![Subject {
            name: "manifest/v1/x.json".to_owned(),
            sha256: digest(),
        }],
    };
    contents.into_iter().enumerate().map(statement).collect()
}

fn manifests(full: bool) -> Vec<Manifest> {
    let stored = StoredAs {
        bucket_key: full.then_some(true),
        kms_key: full.then(|| "arn:aws:kms:eu-west-1:111122223333:key/a".to_owned()),
        lock_mode: full.then(|| "COMPLIANCE".to_owned()),
        locked_until: full.then_some(UtcMillis(4)),
        version: full.then(|| "v".to_owned()),
    };
    let file = |name: &str, stored| FileEntry {
        bytes: 1,
        name: name.to_owned(),
        rows: full.then_some(1),
        rows_sha256: full.then(digest),
        sha256: digest(),
        stored,
    };
    let of = |period| {
        Manifest::new(
            ArchiveId::from_random([7; 16]),
            "20261124T020003Z-7f3a".parse().expect("a run id"),
            period,
            vec![file("a", None), file("b", Some(stored.clone()))],
            vec!["c".to_owned()],
        )
        .expect("a manifest")
    };
    vec![
        of(Period::Date("2026-11-24".parse().expect("a date"))),
        of(Period::Quarter("2026Q4".parse().expect("a quarter"))),
    ]
}

#[test]
fn the_schema_of_seals_names_every_field() {
    let samples = [true, false].into_iter().flat_map(statements);
    assert_eq!(
        declared(include_str!("../../schemas/json/seal.json")),
        observed(samples.map(|statement| statement.to_bytes()))
    );
}

#[test]
fn the_schema_of_manifests_names_every_field() {
    let samples = [true, false].into_iter().flat_map(manifests);
    assert_eq!(
        declared(include_str!("../../schemas/json/manifest.json")),
        observed(samples.map(|manifest| manifest.to_bytes()))
    );
}
