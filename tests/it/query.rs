//! `keyproof query`: the named queries on an archive of several days, and what never reaches an answer or
//! a KPI: orphans, unsealed runs, changed files, what comes after a gap in the chain.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use keyproof::archive::chain::Chain;
use keyproof::archive::layout;
use keyproof::config::Config;
use keyproof::error::Exit;
use keyproof::model::datasets::{Finding, Verdict};
use keyproof::model::ids::Sha256Hex;
use keyproof::model::words::RunOutcome;
use keyproof::query::named::NAMED;
use keyproof::query::{Format, Named, Question, Span};
use keyproof::rollup::CompliantShare;
use keyproof::run::{self, QueryRequest, RunError, RunOptions, When};
use keyproof::sandbox::Options;
use keyproof::seal::RunSeal;
use keyproof::time::{Clock as _, HOUR_MS};
use serde_json::Value;

use crate::cli_support::{Desk, SEALED};
use crate::support::{Place, TAGS, files_below, never};

/// What a query writes, kept.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn request(sql: &str, when: When) -> QueryRequest {
    QueryRequest {
        question: Question::parse(sql).expect(sql),
        when,
        format: Format::Json,
        seed: 7,
        n: 5,
        pin: None,
    }
}

async fn rows_of(
    place: &Place,
    config: &Config,
    request: &QueryRequest,
) -> Result<Vec<Value>, RunError> {
    let sink = Sink::default();
    let count = run::query(&place.shell(), config, request, sink.clone()).await?;
    let bytes = sink.0.lock().expect("one thread").clone();
    let rows: Vec<Value> = serde_json::from_slice(&bytes).expect("an array");
    assert_eq!(rows.len() as u64, count);
    Ok(rows)
}

pub async fn rows(place: &Place, sql: &str, when: When) -> Result<Vec<Value>, RunError> {
    rows_of(place, &place.config(), &request(sql, when)).await
}

async fn named(place: &Place, name: &str) -> Vec<Value> {
    let query = Named::find(name).expect(name);
    let found = rows(place, query.sql, When::Newest(query.span())).await;
    found.expect(name)
}

fn column<'r>(rows: &'r [Value], name: &str) -> Vec<&'r str> {
    let texts = rows.iter().map(|row| row[name].as_str());
    texts.map(|text| text.expect("a text")).collect()
}

pub const NEWEST: When = When::Newest(Span::Newest);
const EVERY: When = When::Newest(Span::Every);

/// Three days; the first is audited twice, the second time late.
pub async fn three_days() -> Place {
    let place = Place::new(&Options {
        accounts: 10,
        regions: 2,
        clusters: 3,
        days: 4,
        seed: 21,
        ..Options::default()
    })
    .await;
    for day in 0..3 {
        place.at_day(day);
        place
            .audit_with(&place.config_with(&TAGS, ""))
            .await
            .expect("sealed");
    }
    place
}

async fn late_run(place: &Place) {
    let date = place.clock.now().date().plus_days(-2);
    let options = RunOptions {
        scheduled_for: Some(date),
        ..place.options()
    };
    place.clock.set(place.clock.now().plus_ms(HOUR_MS));
    let audited = run::audit(&place.shell(), &place.config(), &options, never()).await;
    audited.expect("sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_named_query_answers_over_days_and_quarters() {
    let place = three_days().await;
    late_run(&place).await;
    let newest = place.clock.now().date();
    for query in NAMED {
        for when in [
            When::Newest(query.span()),
            When::At(newest, query.span()),
            When::Quarter(newest.quarter()),
        ] {
            rows(&place, query.sql, when).await.expect(query.name);
        }
    }
    // Rows of one run say of which date they are; those of launches have the date of their event.
    let of_one_run = NAMED.iter().filter(|query| query.span() == Span::Newest);
    for query in of_one_run.filter(|query| query.name != "launches") {
        for row in named(&place, query.name).await {
            assert_eq!(row["scheduled_for"], newest.to_string(), "{}", query.name);
        }
    }
    let chain = Chain::read(&place.store())
        .await
        .expect("a chain")
        .expect("begun");
    let runs: Vec<_> = chain.runs().map(|(_, seal)| seal.clone()).collect();
    assert_eq!(runs.len(), 4);
    let sealed = place.sealed(&runs[2].run_id).await;
    let verdicts: Vec<Verdict> = sealed.rows().await;

    let population = named(&place, "population").await;
    assert_eq!(population.len(), verdicts.len());
    assert_eq!(column(&population, "cluster_id"), {
        let ids = verdicts.iter().map(|v| v.cluster_id.as_str());
        ids.collect::<Vec<_>>()
    });
    let owners = named(&place, "owners").await;
    let active: i64 = owners
        .iter()
        .map(|row| row["active"].as_i64().expect("a count"))
        .sum();
    assert_eq!(active, verdicts.iter().filter(|v| v.active).count() as i64);
    assert!(!named(&place, "key-access").await.is_empty());
    assert!(!named(&place, "passive-clusters").await.is_empty());
    let mapped = named(&place, "security-configuration-log-key").await;
    let mapped: i64 = mapped
        .iter()
        .map(|row| row["active"].as_i64().expect("a count"))
        .sum();
    assert_eq!(mapped, active);
    let open = runs[2].cells_open as usize;
    assert_eq!(named(&place, "not-seen").await.len(), open);

    // The late run speaks for no date, and is told.
    let told = named(&place, "late-and-missed").await;
    let partial = |run: &&RunSeal| run.outcome == RunOutcome::Partial;
    let partial = runs[..3].iter().filter(partial).map(|_| "partial");
    let kinds: Vec<&str> = ["late"].into_iter().chain(partial).collect();
    assert_eq!(column(&told, "kind"), kinds);
    let late = told.iter().find(|row| row["kind"] == "late").expect("late");
    assert_eq!(late["run_id"], runs[3].run_id.as_str());
    let ids = rows(&place, "SELECT run_id FROM run", EVERY)
        .await
        .expect("runs");
    assert!(!column(&ids, "run_id").contains(&runs[3].run_id.as_str()));
    assert_eq!(ids.len(), 3);
    let hole = rows(
        &place,
        "SELECT * FROM run",
        When::At(newest.plus_days(1), Span::Newest),
    )
    .await;
    let hole = hole.expect_err("no run");
    assert!(matches!(hole, RunError::NothingToQuery { .. }), "{hole}");
    let left = files_below(&place.path("work"));
    assert!(left.is_empty(), "nothing local is left: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_can_be_drawn_again_and_every_row_found_in_its_sealed_file() {
    let place = three_days().await;
    let query = Named::find("sample-clusters").expect("there");
    let drawn = |seed, n| {
        let request = QueryRequest {
            seed,
            n,
            ..request(query.sql, NEWEST)
        };
        let place = &place;
        async move {
            rows_of(place, &place.config(), &request)
                .await
                .expect("rows")
        }
    };
    let first = drawn(7, 5).await;
    assert_eq!(first.len(), 5);
    assert_eq!(first, drawn(7, 5).await);
    assert_eq!(
        first[..3],
        drawn(7, 3).await,
        "a larger sample holds the smaller one"
    );
    let ids = |rows: &[Value]| -> Vec<String> {
        let ids = column(rows, "cluster_id").into_iter();
        ids.map(str::to_owned).collect()
    };
    assert_ne!(ids(&first), ids(&drawn(8, 5).await));
    assert_ne!(ids(&first), ids(&drawn(-7, 5).await));
    let population = first[0]["population"].as_i64().expect("a count");
    let all = drawn(7, 1_000_000).await;
    assert_eq!(all.len() as i64, population);
    assert_eq!(
        ids(&all).into_iter().collect::<BTreeSet<_>>().len(),
        all.len()
    );

    let chain = Chain::read(&place.store())
        .await
        .expect("a chain")
        .expect("begun");
    for row in &first {
        let name = row["file_name"].as_str().expect("a name");
        let bytes = std::fs::read(place.archive().join(name)).expect("a file");
        assert_eq!(row["file_sha256"], Sha256Hex::of(&bytes).as_str());
        let entry = layout::entry(row["chain_seq"].as_u64().expect("a number"));
        let bytes = std::fs::read(place.archive().join(entry)).expect("an entry");
        assert_eq!(row["chain_sha256"], Sha256Hex::of(&bytes).as_str());
    }
    let newest = chain.head().seq;
    assert!(first.iter().all(|row| row["chain_seq"] == newest));
}

fn only_file(archive: &Path, dataset: &str, run_id: &str) -> PathBuf {
    let files = files_below(&archive.join("evidence").join(dataset));
    let of_run = |path: &&PathBuf| path.to_string_lossy().contains(run_id);
    files.iter().find(of_run).expect("a file").clone()
}

async fn share(place: &Place, config: &Config) -> Result<Vec<CompliantShare>, RunError> {
    let quarter = place.clock.now().date().quarter();
    let request = run::RollupRequest {
        seal: false,
        ..run::RollupRequest::new(quarter)
    };
    let done = run::rollup(&place.shell(), config, &request).await?;
    Ok(done.measures.compliant_share)
}

const COUNTS: &str = "SELECT scheduled_for, COUNT(*) AS n FROM verdict GROUP BY scheduled_for \
                      ORDER BY scheduled_for";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_vouches_for_reaches_no_answer_and_no_kpi() {
    let place = three_days().await;
    let archive = place.archive();
    let config = place.config();
    let counts = rows(&place, COUNTS, EVERY).await.expect("rows");
    let kpi = share(&place, &config).await.expect("a KPI");
    assert_eq!(counts.len(), 3);
    let chain = Chain::read(&place.store())
        .await
        .expect("a chain")
        .expect("begun");
    let runs: Vec<_> = chain
        .runs()
        .map(|(e, seal)| (e.clone(), seal.clone()))
        .collect();
    let run_id = |n: usize| runs[n].1.run_id.as_str().to_owned();

    // An orphan beside a sealed file, a file of a run that nobody sealed, a later version of a dataset.
    let file = only_file(&archive, "verdict", &run_id(2));
    let name = file.to_string_lossy().into_owned();
    let orphan = format!(
        "{}-0000.parquet",
        name.rsplit_once('-').expect("a writer").0
    );
    let unsealed = name.replace(&run_id(2), "20991231T235959Z-0badc0de");
    let later = name.replace("/verdict/v1/", "/verdict/v2/");
    for planted in [&orphan, &unsealed, &later] {
        std::fs::create_dir_all(Path::new(planted).parent().expect("a folder")).expect("a folder");
        std::fs::copy(&file, planted).expect("a copy");
    }
    // Junk in the next slot of the chain, and far beyond.
    for seq in [chain.next_seq(), 9_999_999_999] {
        std::fs::write(archive.join(layout::entry(seq)), b"junk\n").expect("junk");
    }
    // A manifest that no entry names.
    let manifest = &runs[2].0.statement.subjects[0].name;
    let planted = manifest.replace(&run_id(2), "20991231T235959Z-0badc0de");
    std::fs::copy(archive.join(manifest), archive.join(planted)).expect("a copy");
    assert_eq!(rows(&place, COUNTS, EVERY).await.expect("rows"), counts);
    assert_eq!(share(&place, &config).await.expect("a KPI"), kpi);

    // A changed file is named, where it is needed and nowhere else.
    let finding = only_file(&archive, "finding", &run_id(1));
    let good = std::fs::read(&finding).expect("a file");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&finding, bad).expect("a change");
    assert_eq!(rows(&place, COUNTS, EVERY).await.expect("rows"), counts);
    let error = rows(&place, "SELECT COUNT(*) FROM finding", EVERY)
        .await
        .expect_err("changed");
    assert_eq!(error.exit(), Exit::Unverified);
    let file_name = finding
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert!(error.to_string().contains(&file_name), "{error}");
    std::fs::remove_file(&finding).expect("removed");
    let error = rows(&place, "SELECT COUNT(*) FROM finding", EVERY)
        .await
        .expect_err("missing");
    assert_eq!(error.exit(), Exit::Unverified, "{error}");
    assert!(error.to_string().contains(&file_name), "{error}");
    assert!(
        error
            .to_string()
            .contains("was sealed and is not there any more; run keyproof verify"),
        "{error}"
    );
    let longer = [good.as_slice(), b"more"].concat();
    std::fs::write(&finding, longer).expect("a change");
    let error = rows(&place, "SELECT COUNT(*) FROM finding", EVERY)
        .await
        .expect_err("longer");
    assert_eq!(error.exit(), Exit::Unverified, "{error}");
    assert!(
        error.to_string().contains("is not what was sealed"),
        "{error}"
    );
    std::fs::write(&finding, good).expect("as it was");
    let verdict = only_file(&archive, "verdict", &run_id(1));
    let good = std::fs::read(&verdict).expect("a file");
    std::fs::write(&verdict, &good[..good.len() - 1]).expect("cut");
    let error = share(&place, &config).await.expect_err("changed");
    assert_eq!(error.exit(), Exit::Unverified, "{error}");
    std::fs::write(&verdict, good).expect("as it was");

    // A chain with a hole gives no answer at all: not here, where the head is remembered, and not
    // elsewhere. What came before the hole is not all that was sealed.
    std::fs::remove_file(archive.join(layout::entry(runs[1].0.seq))).expect("a gap");
    let state = place.path("elsewhere").display().to_string();
    let elsewhere = place.config_with(&[("state_dir", state.as_str())], "");
    for config in [&config, &elsewhere] {
        let asked = rows_of(&place, config, &request(COUNTS, EVERY)).await;
        let measured = share(&place, config).await;
        for error in [asked.expect_err("a gap"), measured.expect_err("a gap")] {
            assert_eq!(error.exit(), Exit::Unverified, "{error}");
            let said = error.to_string();
            let removed = format!("entry {} was removed", runs[1].0.seq);
            assert!(
                said.contains(&removed) && said.contains("keyproof verify"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_tell_their_files_and_facts_join() {
    let place = three_days().await;
    let chain = Chain::read(&place.store())
        .await
        .expect("a chain")
        .expect("begun");
    let newest = chain.runs().next_back().expect("a run").1.run_id.clone();
    let findings: Vec<Finding> = place.sealed(&newest).await.rows().await;
    let sql = "SELECT f.outcome, CAST(COUNT(*) AS BIGINT) AS n FROM keyproof.finding f \
               JOIN evidence_file e ON e.file_sha256 = f.file_sha256 \
               WHERE e.dataset = 'finding' GROUP BY f.outcome ORDER BY f.outcome";
    let found = rows(&place, sql, NEWEST).await.expect("rows");
    let count: i64 = found
        .iter()
        .map(|row| row["n"].as_i64().expect("a count"))
        .sum();
    assert_eq!(count as usize, findings.len());
    let files = rows(&place, "SELECT DISTINCT dataset FROM evidence_file", NEWEST).await;
    let mut datasets = 0;
    macro_rules! each {
        ($($row:ty),+) => { $( let _ = std::any::type_name::<$row>(); datasets += 1; )+ };
    }
    keyproof::for_each_dataset!(each);
    assert_eq!(files.expect("rows").len(), datasets);
}

#[test]
fn the_command_line_reads_and_writes_nothing_else() {
    let desk = SEALED.desk();
    let all = desk.line("query --archive archive --named population --format csv");
    all.says(0, &["account_id,region,cluster_id"]);
    let list = desk.changes_nothing("query --list");
    for query in NAMED {
        list.says(0, &[query.name]);
    }
    assert!(
        list.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        list.out
    );
    for (sql, part) in [
        ("DROP TABLE verdict", "only reading is possible"),
        ("SELECT * FROM '/etc/passwd'", "there is no view"),
        ("COPY verdict TO 'x.csv'", "only reading is possible"),
        ("SELECT 1; SELECT 2", "one statement"),
    ] {
        let before = desk.listing();
        let refused = desk.keyproof(["query", "--archive", "archive", sql]);
        refused.fails(2, &[part]);
        assert_eq!(before, desk.listing());
    }
    desk.changes_nothing("query --archive archive --named poulation")
        .fails(2, &["population"]);
    desk.changes_nothing("query --archive archive")
        .fails(2, &["SQL"]);
    desk.changes_nothing("query --archive nowhere --named owners")
        .fails(1, &["no archive at"]);

    // Standard input is empty here.
    desk.changes_nothing("query --archive archive -")
        .fails(2, &["here are 0"]);
    desk.changes_nothing("query --archve archive --named owners")
        .fails(2, &["--archve"]);
    let counted = [
        "query",
        "--archive",
        "archive",
        "SELECT COUNT(*) AS n FROM run -- of record",
    ];
    desk.keyproof(counted).says(0, &["n\n-\n1\n1 row\n"]);

    let sql = "SELECT cluster_id FROM verdict ORDER BY cluster_id";
    let to = |format: &str, out: &str| {
        desk.keyproof([
            "query",
            "--archive",
            "archive",
            "--format",
            format,
            "--out",
            out,
            sql,
        ])
    };
    for format in ["csv", "json", "parquet", "table"] {
        let out = format!("rows.{format}");
        to(format, &out).says(0, &[]);
        assert!(std::fs::metadata(desk.path(&out)).expect("a file").len() > 0);
    }
    // What is there is left as it is, unless somebody says so.
    to("csv", "rows.csv").fails(2, &["rows.csv is there already", "--overwrite"]);
    let over = "query --archive archive --out rows.csv --overwrite --format csv --named owners";
    desk.line(over).says(0, &[]);
    let again = std::fs::read_to_string(desk.path("rows.csv")).expect("a file");
    assert!(again.starts_with("scheduled_for,owner,"), "{again}");
    to("csv", "archive/rows.csv").fails(2, &["inside the archive"]);
    to("csv", "nowhere/rows.csv").fails(1, &["cannot write nowhere/rows.csv:"]);
    let kept = std::fs::read(desk.path("rows.csv")).expect("a file");
    let bad = [
        "query",
        "--archive",
        "archive",
        "--overwrite",
        "--out",
        "rows.csv",
        "SELECT nothing FROM verdict",
    ];
    desk.keyproof(bad).fails(2, &["nothing"]);
    assert_eq!(std::fs::read(desk.path("rows.csv")).expect("a file"), kept);
    let left = |path: &String| path.contains(".part") || path.contains("keyproof-query");
    assert!(!desk.listing().iter().any(left), "{:?}", desk.listing());

    // A seed is for a sample.
    desk.changes_nothing("query --archive archive --named owners --seed 1")
        .fails(2, &["--seed is for --named sample-clusters"]);
    desk.line("query --archive archive --named sample-clusters --seed -1 --n 2")
        .says(0, &["2 rows"]);
    desk.keyproof([
        "query",
        "--archive",
        "archive",
        "SELECT * INTO t FROM verdict",
    ])
    .fails(2, &["only reading is possible", "makes or changes a table"]);
}

/// What the engine does not count, either.
#[test]
fn a_query_that_fills_the_memory_ends_in_words_and_leaves_nothing() {
    let desk = SEALED.desk();
    // Each level doubles a text, and nothing counts it.
    let doubled = (0..14).map(|n| {
        let before = if n == 0 {
            "s".to_owned()
        } else {
            format!("t{}", n - 1)
        };
        format!("t{n} AS (SELECT concat(x, x) AS x FROM {before})")
    });
    let doubled: Vec<String> = doubled.collect();
    let sql = format!(
        "WITH s AS (SELECT repeat(run_id, 20000) AS x FROM sealed_run), {} SELECT x FROM t13",
        doubled.join(", ")
    );
    let before = desk.listing();
    let ended = desk.keyproof(["query", "--archive", "archive", "--format", "csv", &sql]);
    ended.fails(1, &["the query needs more than 1536 MiB of memory"]);
    assert_eq!(before, desk.listing());
}

#[test]
fn an_archive_that_nobody_began_is_told_from_an_empty_answer() {
    let desk = Desk::new();
    desk.write("other/readme", "x");
    let other = desk.changes_nothing("query --archive other --named owners");
    other.fails(1, &["no archive at"]);
}
