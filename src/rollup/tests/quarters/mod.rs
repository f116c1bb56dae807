//! Whole quarters whose figures are stated beforehand, counted by hand from what happens in them.
//!
//! With `QUARTERS_DIR=DIR` the test also writes every quarter below that folder: the Parquet
//! files, the stated figures, and every column that DataFusion gives, so that other engines can be
//! held against them with the same SQL files (`tests/peers/kpi_engines.py`).

pub(super) mod daily;
mod forgotten;
mod ordinary;
mod others;
mod runless;

use std::path::Path;

use serde_json::{Value, json};

use self::daily::{NULL, Told};
use self::forgotten::forgotten;
use self::ordinary::ordinary;
use self::others::{
    account_leaves, many_unknown, missed_days, never_entered, nightly, no_clusters,
};
use self::runless::runless;
use super::super::engine;
use super::*;
use crate::model::datasets::{
    BackfilledLaunch, Channel, KmsKey, Launch, LogBucket, LogObjectSummary, Reencryption, Run,
    TrailReading,
};
use crate::record::canonical_line;

#[test]
fn quarters_have_the_figures_that_are_stated_of_them() {
    for told in [
        ordinary(),
        no_clusters(),
        many_unknown(),
        missed_days(false),
        missed_days(true),
        account_leaves(),
        nightly(),
        runless(true),
        runless(false),
        never_entered(),
    ] {
        holds(told);
    }
}

#[test]
fn what_was_known_of_a_job_is_not_lost_to_a_run_that_knows_less() {
    holds(forgotten());
}

#[test]
fn what_is_known_only_in_part_is_told_beside_the_volume() {
    let told = ordinary();
    let measures = told.evidence.measures(1).expect("measures");
    let label = finished(told.evidence.inputs.quarter);
    let text = summary(&measures, &label, Scopes::Most);
    for line in [
        "In part  2 of 3 prefixes: they hold more than was counted, or may\n",
        "Unknown  7 versions moved to a key that nobody can tell\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

/// Every figure is the stated one, whatever computes it.
fn holds(mut told: Told) {
    told.evidence.inputs.price = parse_prices(DEFAULT_PRICES).expect("prices");
    let measures = told.evidence.measures(3).expect("measures");
    let mut wrong = Vec::new();
    for (measure, kind, scope, column, value) in &told.stated {
        let found = figure(&measures, measure, kind, scope, column);
        if found.as_ref() != Some(&stated(*value)) {
            wrong.push(format!(
                "{measure} {kind} {scope} {column}: {found:?}, stated {value}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", told.name, wrong.join("\n"));
    same_whatever_computes_it(&told, &measures);
    let label = finished(told.evidence.inputs.quarter);
    let text = summary(&measures, &label, Scopes::Most);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    if let Some(out) = std::env::var_os("QUARTERS_DIR") {
        export(&told, &Path::new(&out).join(told.name));
    }
}

fn stated(value: i64) -> Value {
    if value == NULL {
        Value::Null
    } else {
        json!(value)
    }
}

fn figure(
    measures: &Measures,
    measure: &str,
    kind: &str,
    scope: &str,
    column: &str,
) -> Option<Value> {
    fn values<D: Dataset>(rows: &[D]) -> Vec<Value> {
        let parsed = rows.iter().map(|row| {
            let mut line = Vec::new();
            canonical_line(row, &mut line);
            serde_json::from_slice(&line).expect("JSON")
        });
        parsed.collect()
    }
    let rows = match measure {
        "compliant_share" => values(&measures.compliant_share),
        "time_to_remediate" => values(&measures.time_to_remediate),
        "launch_attempts" => values(&measures.launch_attempts),
        "logs_reencrypted" => values(&measures.logs_reencrypted),
        "key_cost" => values(&measures.key_cost),
        other => panic!("no measure {other}"),
    };
    let row = rows
        .iter()
        .find(|row| row["scope_kind"] == kind && row["scope"] == scope)?;
    row.get(column).cloned()
}

/// One partition and files in another order give the same bytes.
fn same_whatever_computes_it(told: &Told, measures: &Measures) {
    let mut backwards = told.evidence.inputs.clone();
    for (dataset, _) in dates_needed(backwards.quarter) {
        backwards.files_mut(dataset).expect("files").reverse();
    }
    backwards.backfilled_launch.reverse();
    backwards.trail_reading.reverse();
    let again = runtime()
        .block_on(super::super::measures(&backwards, 1))
        .expect("measures");
    assert_eq!(*measures, again, "{}", told.name);
    let folders = [
        told.evidence.dir.join("once"),
        told.evidence.dir.join("again"),
    ];
    let digests = [measures, &again]
        .into_iter()
        .zip(&folders)
        .map(|(measures, folder)| {
            std::fs::create_dir(folder).expect("folder");
            let files = measures.write(folder).expect("files");
            files.into_iter().map(|file| file.encoded.sha256).collect()
        });
    let digests: Vec<Vec<_>> = digests.collect();
    assert_eq!(digests[0], digests[1], "{}", told.name);
    assert_eq!(digests[0].len(), 7);
}

/// Writes a quarter for other engines: `<dataset>-<n>.parquet`, at least one of each dataset;
/// `price.parquet`; `quarter.json`; `stated.json`; and per measure what DataFusion gives, every column
/// and row, as JSON lines.
fn export(told: &Told, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("folder");
    let inputs = &told.evidence.inputs;
    for entry in std::fs::read_dir(&told.evidence.dir).expect("folder") {
        let from = entry.expect("entry").path();
        if from.is_file() {
            let name = from.file_name().expect("name");
            std::fs::copy(&from, to.join(name)).expect("copied");
        }
    }
    macro_rules! empty {
        ($($row:ty),+) => { $(
            let path = to.join(format!("{}-empty.parquet", <$row>::NAME));
            write_rows::<$row>(&path, std::iter::empty()).expect("encodes");
        )+ };
    }
    empty!(
        Account,
        BackfilledLaunch,
        Channel,
        Coverage,
        KmsKey,
        Launch,
        LogBucket,
        LogObjectSummary,
        Reencryption,
        Run,
        TrailReading,
        Verdict
    );
    let prices = inputs.price.iter().cloned().map(Ok);
    write_rows(&to.join("price-0.parquet"), prices).expect("encodes");
    let quarter = inputs.quarter;
    let bounds = json!({
        "first_day": quarter.first().to_string(),
        "end_day": quarter.end().to_string(),
        "start_ms": quarter.first().start().0,
        "end_ms": quarter.end().start().0,
    });
    std::fs::write(to.join("quarter.json"), bounds.to_string()).expect("written");
    let stated: Vec<Value> = told
        .stated
        .iter()
        .map(|(measure, kind, scope, column, value)| {
            json!([measure, kind, scope, column, stated(*value)])
        })
        .collect();
    std::fs::write(to.join("stated.json"), Value::from(stated).to_string()).expect("written");
    for (measure, lines) in all_columns(inputs) {
        std::fs::write(to.join(format!("{measure}.jsonl")), lines).expect("written");
    }
}

/// Every measure with the ratios that are derived from it.
fn all_columns(inputs: &RollupInputs) -> Vec<(&'static str, Vec<u8>)> {
    let engine = engine::Engine::over(inputs, 2).expect("an engine");
    let asked = engine.apart(|session| async move {
        let mut all = Vec::new();
        for (measure, sql) in MEASURES {
            let batches = session.sql(sql).await?.collect().await?;
            let mut lines = Vec::new();
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::LineDelimited>(&mut lines);
            for batch in &batches {
                writer
                    .write(batch)
                    .map_err(|e| RollupError::Query(e.to_string()))?;
            }
            writer
                .finish()
                .map_err(|e| RollupError::Query(e.to_string()))?;
            drop(writer);
            if measure == Remediation::NAME {
                let (rows, _) = engine::measure::<Remediation>(&session, sql).await?;
                engine::register_rows(&session, &rows)?;
            }
            all.push((measure, lines));
        }
        Ok(all)
    });
    runtime().block_on(asked).expect("every column")
}
