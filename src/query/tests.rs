//! What may be asked, what an answer looks like, and which files an old or a new program can read.

use std::io::Write;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::model::datasets::Verdict;
use crate::model::ids::Sha256Hex;
use crate::model::table::Dataset;
use crate::model::words::Judgement;
use crate::testkit::{self, TempDir};
use crate::time::Date;

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

/// Views with a folder of their own.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: TempDir::new(),
        };
        std::fs::create_dir(place.folder()).expect("a folder");
        place
    }

    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("views [%*?]")
    }

    fn views(&self) -> Views {
        Views::below(&self.folder())
    }

    /// Two files of verdicts, one and two rows.
    fn with_verdicts() -> Self {
        let place = Self::new();
        place.add(&testkit::parquet(vec![verdict(
            "j-1",
            Judgement::Compliant,
        )]));
        place.add(&testkit::parquet(vec![
            verdict("j-2", Judgement::Unknown),
            verdict("j-3", Judgement::NoLogs),
        ]));
        place
    }

    fn add(&self, bytes: &[u8]) -> Sha256Hex {
        let sha256 = Sha256Hex::of(bytes);
        let path = self.views().place(Verdict::NAME, &sha256);
        std::fs::write(path.expect("a place"), bytes).expect("a file");
        sha256
    }

    async fn bytes(&self, sql: &str, format: Format) -> Result<Vec<u8>, QueryError> {
        let sink = Sink::default();
        let question = Question::parse(sql)?;
        let views = self.views();
        views.answer(&question, format, 2, sink.clone()).await?;
        Ok(sink.0.lock().expect("one thread").clone())
    }

    async fn text(&self, sql: &str, format: Format) -> String {
        let bytes = self.bytes(sql, format).await.expect(sql);
        String::from_utf8(bytes).expect("UTF-8")
    }

    async fn error(&self, sql: &str) -> QueryError {
        self.bytes(sql, Format::Csv).await.expect_err(sql)
    }
}

fn verdict(id: &str, judged: Judgement) -> Verdict {
    testkit::verdict(id, judged, true)
}

#[test]
fn only_one_reading_statement_of_our_views_can_be_asked() {
    for (sql, part) in [
        (
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc/passwd'",
            "only reading",
        ),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", "only reading"),
        ("COPY verdict TO '/tmp/x.parquet'", "only reading"),
        ("INSERT INTO verdict SELECT * FROM verdict", "only reading"),
        ("UPDATE verdict SET verdict = 'COMPLIANT'", "only reading"),
        ("DELETE FROM verdict", "only reading"),
        ("DROP TABLE verdict", "only reading"),
        ("CREATE TABLE t AS SELECT 1", "only reading"),
        ("CREATE VIEW v AS SELECT 1", "only reading"),
        (
            "SET datafusion.execution.target_partitions = 1",
            "only reading",
        ),
        (
            "RESET datafusion.execution.target_partitions",
            "only reading",
        ),
        ("SHOW TABLES", "only reading"),
        ("EXPLAIN SELECT 1", "only reading"),
        ("PREPARE p AS SELECT 1", "only reading"),
        ("SELECT 1; SELECT 2", "here are 2"),
        ("SELECT 1; DROP TABLE verdict", "here are 2"),
        ("", "here are 0"),
        ("-- nothing\n;", "here are 0"),
        ("SELECT * FROM '/etc/passwd'", "no view"),
        ("SELECT * FROM \"/etc/passwd\"", "no view"),
        ("SELECT * FROM 'verdict.parquet'", "no view"),
        ("SELECT * FROM 's3://bucket/x.parquet'", "no view"),
        ("SELECT * FROM read_parquet('/tmp/x')", "no view"),
        ("SELECT * FROM generate_series(1, 9)", "no view"),
        ("SELECT * FROM information_schema.tables", "no view"),
        ("SELECT * FROM keyproof_raw.verdict_v1", "no view"),
        ("SELECT * FROM other.keyproof.verdict", "no view"),
        (
            "SELECT (SELECT MAX(x) FROM '/etc/passwd') FROM verdict",
            "no view",
        ),
        ("SELECT * FROM verdicts", "there are account, archive"),
        ("SELEKT 1", "cannot be read"),
    ] {
        let refused = match Question::parse(sql) {
            Ok(question) => panic!("{sql}: {question:?}"),
            Err(error) => error,
        };
        assert!(refused.is_usage(), "{sql}: {refused}");
        assert!(refused.to_string().contains(part), "{sql}: {refused}");
    }
    for sql in [
        "SELECT 1",
        "SELECT * FROM verdict;",
        "SELECT * FROM keyproof.verdict",
        "WITH v AS (SELECT * FROM Verdict) SELECT * FROM v, finding",
        "VALUES (1)",
    ] {
        Question::parse(sql).expect(sql);
    }
    let question = Question::parse("WITH run AS (SELECT 1) SELECT * FROM run, finding");
    let question = question.expect("a question");
    assert!(question.names("finding") && !question.names("run"));
    assert!(question.names_rows());
    let chain = Question::parse("SELECT * FROM sealed_run, asked").expect("a question");
    assert!(!chain.names_rows());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hides_in_a_query_is_refused_too() {
    let place = Place::with_verdicts();
    let before = listing(&place);
    for sql in [
        "SELECT * INTO t FROM verdict",
        "WITH w AS (INSERT INTO verdict SELECT * FROM verdict) SELECT * FROM w",
        "SELECT no_such_column FROM verdict",
        "SELECT verdict + active FROM verdict",
    ] {
        let error = place.error(sql).await;
        assert!(error.is_usage(), "{sql}: {error}");
    }
    assert_eq!(before, listing(&place));
}

fn listing(place: &Place) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![place.dir.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_name_the_file_that_holds_them() {
    let place = Place::new();
    let one = place.add(&testkit::parquet(vec![verdict(
        "j-1",
        Judgement::Compliant,
    )]));
    let two = place.add(&testkit::parquet(vec![verdict("j-2", Judgement::Unknown)]));
    let sql = "SELECT cluster_id, file_sha256 FROM verdict ORDER BY cluster_id";
    let csv = place.text(sql, Format::Csv).await;
    assert_eq!(
        csv,
        format!("cluster_id,file_sha256\nj-1,{one}\nj-2,{two}\n")
    );
    // A view without files is empty and no error.
    let none = place
        .text("SELECT COUNT(*) AS n FROM launch", Format::Csv)
        .await;
    assert_eq!(none, "n\n0\n");
    let asked = Asked {
        first_day: Date::from_days(0),
        end_day: Date::from_days(1),
        seed: -7,
        n: 3,
    };
    place.views().set(vec![asked]).expect("rows");
    let csv = place.text("SELECT * FROM asked", Format::Csv).await;
    assert_eq!(
        csv,
        "first_day,end_day,seed,n\n1970-01-01,1970-01-02,-7,3\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_an_error_and_not_an_end() {
    let place = Place::with_verdicts();
    let mut bytes = testkit::parquet(vec![verdict("j-9", Judgement::Compliant)]);
    let middle = bytes.len() / 2;
    bytes[middle..].reverse();
    place.add(&bytes);
    let error = place.error("SELECT * FROM verdict").await;
    assert!(!error.is_usage(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_well_formed_with_rows_and_without() {
    let place = Place::with_verdicts();
    let sql = "SELECT cluster_id, name, active, scheduled_for, created_at, created_ms FROM verdict";
    let some = format!("{sql} WHERE cluster_id = 'j-1'");
    let none = format!("{sql} WHERE cluster_id = '=cmd|1'");
    let head = "cluster_id,name,active,scheduled_for,created_at,created_ms\n";
    assert_eq!(
        place.text(&some, Format::Csv).await,
        format!("{head}j-1,,true,2024-10-04,,\n")
    );
    assert_eq!(place.text(&none, Format::Csv).await, head);
    let json = place.text(&some, Format::Json).await;
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value[0]["cluster_id"], "j-1");
    assert!(value[0]["name"].is_null() && value[0].get("name").is_some());
    let json = place.text(&none, Format::Json).await;
    assert_eq!(json, "[]\n");
    assert_eq!(place.text(&none, Format::Table).await, "0 rows\n");
    for (sql, rows) in [(&some, 1), (&none, 0)] {
        let bytes = place.bytes(sql, Format::Parquet).await.expect("bytes");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
        let reader = reader.expect("Parquet").build().expect("a reader");
        let found: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
        assert_eq!(found, rows);
    }
    let quoted = "SELECT 'a,\"b\"\nc' AS text";
    assert_eq!(
        place.text(quoted, Format::Csv).await,
        "text\n\"a,\"\"b\"\"\nc\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_fits_a_terminal_and_shortens_nothing() {
    let place = Place::with_verdicts();
    let sql = "SELECT cluster_id, verdict, 12 AS n, name FROM verdict ORDER BY cluster_id";
    assert_eq!(
        place.text(sql, Format::Table).await,
        "cluster_id  verdict     n  name\n\
         ----------  ---------  --  ----\n\
         j-1         COMPLIANT  12  NULL\n\
         j-2         UNKNOWN    12  NULL\n\
         j-3         NO_LOGS    12  NULL\n\
         3 rows\n"
    );
    let long = "SELECT '123456789012' AS account_id, 'us-east-1' AS region, \
                'elasticmapreduce:ListSecurityConfigurations' AS why, \
                'security_configurations' AS source";
    let text = place.text(long, Format::Table).await;
    let line = |cells: [&str; 4]| {
        let [account, region, why, source] = cells;
        let line = format!("{account:<12}  {region:<9}  {why:<30}  {source}");
        format!("{}\n", line.trim_end())
    };
    let (dashes, why) = ("-".repeat(30), "ListSecurityConfigurations");
    let expected = [
        line(["account_id", "region", "why", "source"]),
        line([&dashes[..12], &dashes[..9], &dashes, &dashes[..23]]),
        line([
            "123456789012",
            "us-east-1",
            "elasticmapreduce:",
            "security_configurations",
        ]),
        line(["", "", why, ""]),
        "1 row\n".to_owned(),
    ];
    assert_eq!(text, expected.concat());
    // Names from outside cannot move the cursor, and 'NULL' is told from nothing.
    let hostile = "SELECT chr(27) || '[2J' AS a, 'NULL' AS b, CAST(NULL AS VARCHAR) AS c";
    let text = place.text(hostile, Format::Table).await;
    assert!(text.contains("?[2J  'NULL'  NULL"), "{text}");
    // Too many columns: a line a value, nothing shortened.
    let wide = "SELECT * FROM verdict WHERE cluster_id = 'j-1'";
    let text = place.text(wide, Format::Table).await;
    let sha256 = text.lines().find(|line| line.starts_with("file_sha256"));
    assert_eq!(sha256.map(|line| line.split_whitespace().count()), Some(2));
    for text in [
        place.text(sql, Format::Table).await,
        place.text(long, Format::Table).await,
    ] {
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(crate::report::WIDTH), "{text}");
    }
}

/// The file of one verdict with another set of columns.
fn edited(edit: impl FnOnce(Vec<Field>, Vec<ArrayRef>) -> (Vec<Field>, Vec<ArrayRef>)) -> Vec<u8> {
    let bytes = testkit::parquet(vec![verdict("j-1", Judgement::Compliant)]);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    let mut reader = reader.expect("Parquet").build().expect("a reader");
    let batch = reader.next().expect("a batch").expect("rows");
    let fields = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .collect();
    let (fields, columns) = edit(fields, batch.columns().to_vec());
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

/// The rule of schema evolution: within a version columns are only added, at the end, and may be null.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_files_lack_columns_and_new_ones_have_more() {
    // New reader, old data: what the file does not have yet is null.
    let old = edited(|mut fields, mut columns| {
        fields.pop();
        columns.pop();
        (fields, columns)
    });
    // Old reader, new data: what the program does not know is not there.
    let new = edited(|mut fields, mut columns| {
        fields.push(Field::new("of_a_later_version", DataType::Utf8, true));
        columns.push(Arc::new(StringArray::from(vec!["x"])));
        (fields, columns)
    });
    let last = Verdict::COLUMNS.last().expect("columns").name;
    for bytes in [&old, &new] {
        let place = Place::new();
        place.add(bytes);
        let sql = format!("SELECT cluster_id, {last} FROM verdict");
        let csv = place.text(&sql, Format::Csv).await;
        assert_eq!(csv, format!("cluster_id,{last}\nj-1,\n"));
        let error = place.error("SELECT of_a_later_version FROM verdict").await;
        assert!(matches!(error, QueryError::Plan(_)), "{error}");
    }
    // Side by side, as in a quarter in which the program was replaced.
    let place = Place::with_verdicts();
    place.add(&old);
    place.add(&new);
    let all = place
        .text("SELECT COUNT(*) AS n FROM verdict", Format::Csv)
        .await;
    assert_eq!(all, "n\n5\n");
}

/// An expression as long as a statement may be neither ends the process nor is it refused; a longer one is.
#[tokio::test]
async fn a_long_expression_is_answered_or_refused() {
    let place = Place::new();
    let sum = |terms: usize| format!("SELECT {} AS n", vec!["1"; terms].join(" + "));
    assert!(place.text(&sum(1_990), Format::Csv).await.contains("1990"));
    let error = place.error(&sum(20_000)).await;
    assert!(matches!(error, QueryError::TooLong { .. }), "{error}");
}

/// A cross join of constants: 10 to the power of `tens` rows.
fn many(tens: usize, columns: &str) -> String {
    let ten: Vec<String> = (0..10).map(|n| format!("({n})")).collect();
    let ten = format!("(VALUES {})", ten.join(", "));
    let joined: Vec<String> = (0..tens).map(|t| format!("{ten} AS t{t}(c{t})")).collect();
    format!("SELECT {columns} FROM {}", joined.join(" CROSS JOIN "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_shows_the_first_rows_of_many_and_says_how_many_there_are() {
    let place = Place::new();
    let text = place.text(&many(5, "c0, c4"), Format::Table).await;
    let last = text.lines().last();
    let said = "and 90,000 more rows, 100,000 rows in all; --format csv has them all";
    assert_eq!(last, Some(said));
    assert_eq!(text.lines().count(), 10_000 + 3);
    // Some large texts are as much as many rows.
    let large = many(2, "repeat('x', 1000000) AS x");
    let text = place.text(&large, Format::Table).await;
    assert!(text.len() < 12 * 1024 * 1024, "{}", text.len());
    assert!(
        text.contains(", 100 rows in all"),
        "{:?}",
        text.lines().last()
    );
    let csv = place.text(&many(5, "c0"), Format::Csv).await;
    assert_eq!(csv.lines().count(), 100_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_that_does_not_fit_goes_on_in_files_and_a_group_that_cannot_ends_in_words() {
    let place = Place::new();
    let sql = many(
        5,
        "c0, c1, c2, c3, c4, repeat(CAST(c0 AS VARCHAR), 400) AS h",
    );
    let sorted = format!("{sql} ORDER BY h, c4, c3, c2, c1, c0");
    // 45 MB of rows.
    let views = place.views().with_pool(32 * 1024 * 1024);
    let sink = Sink::default();
    let question = Question::parse(&sorted).expect("a question");
    let rows = views.answer(&question, Format::Csv, 1, sink.clone()).await;
    assert_eq!(rows.expect("sorted in files"), 100_000);
    // A join's whole side is held in memory.
    let views = place.views().with_pool(1024 * 1024);
    let side = many(5, "repeat(CAST(c0 AS VARCHAR), 50) AS x");
    let whole = format!("SELECT COUNT(*) FROM ({side}) AS a JOIN ({side}) AS b ON a.x = b.x");
    let question = Question::parse(&whole).expect("a question");
    let error = views
        .answer(&question, Format::Csv, 2, Sink::default())
        .await;
    let error = error.expect_err("too much");
    assert!(matches!(error, QueryError::Memory { .. }), "{error}");
    assert!(error.to_string().contains("ask for fewer rows"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_make_text_are_bounded() {
    let place = Place::with_verdicts();
    for sql in [
        "SELECT repeat('x', 2000000000)",
        "SELECT repeat('xy', 600000)",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT rpad('x', 2000000000)",
        "SELECT repeat(cluster_id, 1000 * 1000 * 1000) FROM verdict",
        "SELECT repeat(cluster_id, CAST(CASE WHEN active THEN 2000000000 END AS BIGINT)) FROM verdict",
    ] {
        let error = place.error(sql).await;
        assert!(error.to_string().contains("ask for less"), "{sql}: {error}");
    }
    for (sql, text) in [
        ("SELECT repeat('ab', 3) AS x", "x\nababab\n"),
        ("SELECT lpad('7', 3, '0') AS x", "x\n007\n"),
        ("SELECT rpad('7', 3) || '.' AS x", "x\n7  .\n"),
        ("SELECT repeat('ab', -2000000000) || '.' AS x", "x\n.\n"),
        ("SELECT repeat(NULL, 2) AS x, 1 AS n", "x,n\n,1\n"),
        (
            "SELECT repeat(cluster_id, 2) AS x FROM verdict WHERE cluster_id = 'j-2'",
            "x\nj-2j-2\n",
        ),
    ] {
        assert_eq!(place.text(sql, Format::Csv).await, text, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_away_is_told_from_a_failure_in_every_format() {
    /// Takes so many bytes, then nobody reads.
    struct Closes(usize);
    impl Write for Closes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let room = self.0.min(bytes.len());
            self.0 -= room;
            if room == 0 {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Ok(room)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::new();
    let question = Question::parse(&many(4, "c0, c1, c2, c3")).expect("a question");
    for format in [Format::Csv, Format::Json, Format::Parquet, Format::Table] {
        let answer = place.views().answer(&question, format, 2, Closes(10)).await;
        let error = answer.expect_err("nobody reads");
        assert!(error.is_closed_pipe(), "{format:?}: {error}");
    }
}
