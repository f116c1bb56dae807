//! Reports as files, read; and versions before and after, joined.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Digest as _;

use super::error::ReportError;
use super::folders::LogFolders;
use super::inventory::{Inventory, folder_time};
use super::moved::{self, Aim, FAILED, Moved, NO_SIZE, Prior, SUCCEEDED};
use super::report::{self, CompletionReport};
use super::rows::{Layout, Stored, VersionRow, column_name, read};
use super::sorted::{Record, Sorted, Sorter, version};
use super::summary::Summary;
use crate::model::ids::hex;
use crate::testkit::TempDir;
use crate::time::UtcMillis;

const SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, \
                      ETag, StorageClass, EncryptionStatus, BucketKeyStatus";
/// Two folders, five ways of being encrypted, old versions, a delete marker.
const ROWS: [&str; 8] = [
    r#""logs","emr/j-1/a%20b.gz","v1","true","false","10","2026-01-01T00:00:00.000Z","e","STANDARD","SSE-S3","DISABLED""#,
    r#""logs","emr/j-1/a%20b.gz","v0","false","false","5","2026-01-01T00:00:00.000Z","e","STANDARD","SSE-KMS","ENABLED""#,
    r#""logs","emr/j-2/x.gz","v2","true","true","","2026-01-01T00:00:00.000Z","","","","""#,
    r#""logs","emr/j-2/x.gz","v1","false","false","7","2026-01-01T00:00:00.000Z","e","STANDARD","DSSE-KMS","""#,
    r#""logs","emr/team/j-3/y.gz","v1","true","false","100","2026-01-01T00:00:00.000Z","e","STANDARD","SSE-C","""#,
    r#""logs","emr/team/j-3/z.gz","v1","true","false","1","2026-01-01T00:00:00.000Z","e","STANDARD","NOT-SSE","""#,
    r#""logs","emr/team/j-3/w.gz","v1","true","false","2","2026-01-01T00:00:00.000Z","e","STANDARD","","""#,
    r#""logs","other/file","v1","true","false","1000","2026-01-01T00:00:00.000Z","e","STANDARD","SSE-S3","""#,
];

fn md5_of(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("pack");
    packed.finish().expect("pack")
}

fn csv_gz(lines: &[&str]) -> Vec<u8> {
    gzip(&lines.iter().map(|l| format!("{l}\n")).collect::<String>())
}

fn put(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("data");
    std::fs::write(&path, bytes).expect("write");
    path
}

fn csv_layout(schema: &str) -> Layout {
    Layout::CsvGz(schema.split(',').map(column_name).collect())
}

fn summary() -> Summary {
    let names = ["emr/", "emr/team/"].map(str::to_owned);
    Summary::new(Arc::new(LogFolders::new(&BTreeSet::from(names))))
}

fn summed(path: &Path, layout: &Layout) -> Result<Vec<String>, ReportError> {
    let mut summary = summary();
    read(path, "data", layout, "logs", &mut |row| summary.add(row))?;
    let groups = summary.groups().map(|group| {
        format!(
            "{} {:?} {} {} {} {:?}",
            group.folder,
            group.stored,
            group.kms_key.unwrap_or("-"),
            if group.is_latest { "current" } else { "older" },
            group.versions,
            group.bytes
        )
    });
    Ok(groups.collect())
}

fn fails(bytes: &[u8], layout: &Layout) -> (&'static str, String) {
    let folder = TempDir::new();
    let error = summed(&put(&folder, bytes), layout).expect_err("refused");
    (error.code(), error.to_string())
}

#[test]
fn versions_of_a_csv_inventory_are_counted_by_folder_and_encryption() {
    let folder = TempDir::new();
    let path = put(&folder, &csv_gz(&ROWS));
    let counted = summed(&path, &csv_layout(SCHEMA)).expect("counted");
    assert_eq!(
        counted,
        [
            "emr/ SseS3 - current 1 Some(10)",
            "emr/ Kms - older 2 Some(12)",
            "emr/team/ SseC - current 1 Some(100)",
            "emr/team/ Plain - current 1 Some(1)",
            "emr/team/ Unknown - current 1 Some(2)",
        ]
    );
    // S3 packs some files in several pieces.
    let two: Vec<u8> = [csv_gz(&ROWS[..3]), csv_gz(&ROWS[3..])].concat();
    let again = summed(&put(&folder, &two), &csv_layout(SCHEMA)).expect("counted");
    assert_eq!(again, counted);
}

#[test]
fn fields_that_a_report_lacks_are_unknown_and_never_a_guess() {
    let folder = TempDir::new();
    let path = put(&folder, &csv_gz(&[r#""logs","emr/j-1/x""#]));
    let counted = summed(&path, &csv_layout("Bucket, Key")).expect("counted");
    assert_eq!(counted, ["emr/ Unknown - current 1 None"]);
}

#[test]
fn a_report_that_is_not_what_it_says_is_refused() {
    let layout = csv_layout(SCHEMA);
    let whole = csv_gz(&ROWS);
    let cut = &whole[..whole.len() - 12];
    assert_eq!(fails(cut, &layout).0, "ReportMalformed", "cut gzip");
    assert_eq!(fails(b"plain", &layout).0, "ReportMalformed", "no gzip");
    let mut flipped = whole.clone();
    let at = whole.len() / 2;
    flipped[at] ^= 0x40;
    assert!(["ReportMalformed", "ReportForeignSchema"].contains(&fails(&flipped, &layout).0));
    let short = csv_gz(&[r#""logs","emr/x""#]);
    assert_eq!(fails(&short, &layout).0, "ReportForeignSchema", "fields");
    let foreign = csv_gz(&[r#""finance","emr/x""#]);
    let (code, text) = fails(&foreign, &csv_layout("Bucket, Key"));
    assert_eq!(code, "ReportForeignBucket");
    assert!(text.contains("finance") && text.contains("logs"), "{text}");
    let odd = csv_gz(&[r#""logs","emr/x","yes""#]);
    assert_eq!(
        fails(&odd, &csv_layout("Bucket, Key, IsLatest")).0,
        "ReportMalformed"
    );
    for layout in [Layout::Parquet, Layout::Orc] {
        assert_eq!(fails(&whole, &layout).0, "ReportMalformed", "{layout:?}");
        assert_eq!(fails(b"", &layout).0, "ReportMalformed", "{layout:?}");
    }
}

#[test]
fn no_bytes_of_a_columnar_file_make_its_reader_panic() {
    for (bytes, layout) in [
        (parquet_file(true), Layout::Parquet),
        (ORC.to_vec(), Layout::Orc),
    ] {
        let folder = TempDir::new();
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(150)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x15;
            // Either outcome is right; that it has one is the point.
            let _ = summed(&put(&folder, &flipped), &layout);
        }
    }
}

/// Written by pyarrow (`tests/corpus/inventory/rows_orc.py`): what `ROWS` say, in the columns of S3's ORC
/// inventories.
const ORC: &[u8] = include_bytes!("../../../tests/corpus/inventory/rows.orc");

/// What `ROWS` say, with keys where `with_keys`.
fn parquet_file(with_keys: bool) -> Vec<u8> {
    use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
    let texts = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let key = "arn:aws:kms:eu-west-1:111122223333:key/k";
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("bucket", texts(vec![Some("logs"); 8])),
        (
            "key",
            texts(
                [
                    "emr/j-1/a b.gz",
                    "emr/j-1/a b.gz",
                    "emr/j-2/x.gz",
                    "emr/j-2/x.gz",
                    "emr/team/j-3/y.gz",
                    "emr/team/j-3/z.gz",
                    "emr/team/j-3/w.gz",
                    "other/file",
                ]
                .map(Some)
                .to_vec(),
            ),
        ),
        (
            "version_id",
            texts(
                ["v1", "v0", "v2", "v1", "v1", "v1", "v1", "v1"]
                    .map(Some)
                    .to_vec(),
            ),
        ),
        (
            "is_latest",
            Arc::new(BooleanArray::from(vec![
                true, false, true, false, true, true, true, true,
            ])),
        ),
        (
            "is_delete_marker",
            Arc::new(BooleanArray::from(vec![
                false, false, true, false, false, false, false, false,
            ])),
        ),
        (
            "size",
            Arc::new(Int64Array::from(vec![
                Some(10),
                Some(5),
                None,
                Some(7),
                Some(100),
                Some(1),
                Some(2),
                Some(1000),
            ])),
        ),
        (
            "encryption_status",
            texts(vec![
                Some("SSE-S3"),
                Some("SSE-KMS"),
                None,
                Some("DSSE-KMS"),
                Some("SSE-C"),
                Some("NOT-SSE"),
                None,
                Some("SSE-S3"),
            ]),
        ),
    ];
    if with_keys {
        let keys = vec![None, Some(key), None, Some(key), None, None, None, None];
        columns.push(("kms_key_arn", texts(keys)));
    }
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writer");
    writer.write(&batch).expect("write");
    writer.into_inner().expect("file")
}

#[test]
fn the_three_formats_of_an_inventory_say_the_same() {
    let folder = TempDir::new();
    let csv = summed(&put(&folder, &csv_gz(&ROWS)), &csv_layout(SCHEMA)).expect("csv");
    let parquet = put(&folder, &parquet_file(false));
    assert_eq!(summed(&parquet, &Layout::Parquet).expect("parquet"), csv);
    assert_eq!(summed(&put(&folder, ORC), &Layout::Orc).expect("orc"), csv);
}

#[test]
fn a_metadata_table_knows_keys() {
    let folder = TempDir::new();
    let path = put(&folder, &parquet_file(true));
    let counted = summed(&path, &Layout::Parquet).expect("counted");
    let key = "arn:aws:kms:eu-west-1:111122223333:key/k";
    assert_eq!(counted[1], format!("emr/ Kms {key} older 2 Some(12)"));
}

#[test]
fn tables_that_are_no_snapshot_are_refused() {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let file = |columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).expect("batch");
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writer");
        writer.write(&batch).expect("write");
        writer.into_inner().expect("file")
    };
    let named = || vec![("bucket", text("logs")), ("key", text("emr/x"))];
    let mut journal = named();
    journal.push(("record_type", text("CREATE")));
    let (code, said) = fails(&file(journal), &Layout::Parquet);
    assert!(
        code == "ReportForeignSchema" && said.contains("table of changes"),
        "{said}"
    );
    let mut which = named();
    which.push(("version_id", text("v1")));
    let (code, said) = fails(&file(which), &Layout::Parquet);
    assert!(
        code == "ReportForeignSchema" && said.contains("is_latest"),
        "{said}"
    );
    let (code, _) = fails(&file(vec![("key", text("emr/x"))]), &Layout::Parquet);
    assert_eq!(code, "ReportForeignSchema", "no bucket");
    let mut size = named();
    size.push(("size", text("many")));
    assert_eq!(
        fails(&file(size), &Layout::Parquet).0,
        "ReportForeignSchema"
    );
}

/// A manifest as S3 writes it, for a data file of this MD5.
fn manifest(format: &str, schema: &str, key: &str) -> String {
    serde_json::json!({
        "sourceBucket": "logs", "destinationBucket": "arn:aws:s3:::logs-reports",
        "version": "2016-11-30", "creationTimestamp": "1791158400000", "fileFormat": format,
        "fileSchema": schema,
        "files": [{"key": key, "size": 5, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}],
    })
    .to_string()
}

fn inventory(json: &str, checksum: &str) -> Result<Inventory, ReportError> {
    Inventory::read(
        "m",
        json.as_bytes(),
        checksum.as_bytes(),
        "logs",
        "inv/logs/daily/",
    )
}

#[test]
fn a_manifest_counts_only_as_s3_wrote_it() {
    let data = "inv/logs/daily/data/1.csv.gz";
    let json = manifest("CSV", SCHEMA, data);
    let sum = md5_of(json.as_bytes());
    let read = inventory(&json, &format!("{sum}\n")).expect("read");
    assert_eq!(read.created_at, UtcMillis(1_791_158_400_000));
    assert!(read.lists_versions);
    assert_eq!((read.files.len(), read.files[0].key.as_str()), (1, data));
    assert_eq!(read.layout, csv_layout(SCHEMA));
    let code = |json: &str| {
        let sum = md5_of(json.as_bytes());
        inventory(json, &sum).expect_err("refused").code()
    };
    let wrong = inventory(&json, &md5_of(b"other")).expect_err("checksum");
    assert_eq!(wrong.code(), "ReportChecksum");
    assert_eq!(code("{"), "ReportForeignSchema");
    assert_eq!(code("{}"), "ReportForeignSchema");
    assert_eq!(
        code(&json.replace("\"CSV\"", "\"JSON\"")),
        "ReportForeignSchema"
    );
    assert_eq!(
        code(&json.replace("Bucket, Key,", "")),
        "ReportForeignSchema"
    );
    assert_eq!(
        code(&json.replace("\"logs\"", "\"finance\"")),
        "ReportForeignBucket"
    );
    // A manifest could name logs themselves.
    for elsewhere in ["emr/j-1/stderr.gz", "inv/logs/daily/../../../emr/x"] {
        assert_eq!(
            code(&manifest("CSV", SCHEMA, elsewhere)),
            "ReportForeignFile"
        );
    }
}

#[test]
fn schemas_of_all_formats_tell_whether_older_versions_are_listed() {
    let lists = |format: &str, schema: &str| {
        let json = manifest(format, schema, "inv/logs/daily/data/1");
        inventory(&json, &md5_of(json.as_bytes()))
            .expect("read")
            .lists_versions
    };
    assert!(lists(
        "ORC",
        "struct<bucket:string,key:string,version_id:string,is_latest:boolean,size:bigint>"
    ));
    assert!(lists(
        "Parquet",
        "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); \
         optional binary version_id (UTF8); optional boolean is_latest; }"
    ));
    assert!(!lists("CSV", "Bucket, Key, Size, EncryptionStatus"));
    assert!(!lists(
        "ORC",
        "struct<bucket:string,key:string,size:bigint>"
    ));
}

#[test]
fn folders_of_days_are_told_from_others() {
    let at = folder_time("inv/logs/daily/2026-10-05T00-00Z/");
    assert_eq!(at, Some(UtcMillis(1_791_158_400_000)));
    for other in [
        "inv/logs/daily/data/",
        "inv/logs/daily/hive/",
        "",
        "2026-10-05/",
    ] {
        assert_eq!(folder_time(other), None, "{other}");
    }
}

#[test]
fn a_completion_report_tells_what_became_of_each_version() {
    let json = serde_json::json!({
        "Format": "Report_CSV_20180820", "ReportCreationDate": "2026-10-05T17:48:39.725Z",
        "Results": [{"TaskExecutionStatus": "succeeded", "Bucket": "reports",
            "MD5Checksum": "83b1c4cbe93fc893f54053697e10fd6e", "Key": "done/job-1/results/a.csv"}],
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    })
    .to_string();
    let sum = md5_of(json.as_bytes());
    let folder = report::folder("done/", "1");
    assert_eq!(folder, "done/job-1/");
    assert_eq!(report::folder("", "1"), "job-1/");
    let read = |json: &str, sum: &str, folder: &str| {
        CompletionReport::read("m", json.as_bytes(), sum.as_bytes(), folder)
    };
    let manifest = read(&json, &sum, &folder).expect("read");
    assert_eq!(manifest.files[0].key, "done/job-1/results/a.csv");
    let wrong = read(&json, "0", &folder).expect_err("checksum");
    assert_eq!(wrong.code(), "ReportChecksum");
    let foreign = read(&json, &sum, "done/job-2/").expect_err("another job's");
    assert_eq!(foreign.code(), "ReportForeignFile");
    let lacks = json.replace("TaskStatus, ", "");
    let lacks = read(&lacks, &md5_of(lacks.as_bytes()), &folder).expect_err("no status");
    assert_eq!(lacks.code(), "ReportForeignSchema");

    let place = TempDir::new();
    let path = put(
        &place,
        b"logs,emr/j-1/a%20b,v1,succeeded,,200,Successful\n\
          logs,emr/j-1/c,,failed,AccessDenied,403,\"Access Denied, says S3\"\n",
    );
    let mut told = Vec::new();
    let count = manifest.tasks(&path, "a.csv", |task| {
        let key = String::from_utf8_lossy(task.key).into_owned();
        told.push((
            key,
            task.version_id.to_owned(),
            task.succeeded,
            task.error_code.to_owned(),
        ));
        Ok(())
    });
    assert_eq!(count.expect("rows"), 2);
    let of = |key: &str, version: &str, succeeded, code: &str| {
        (
            key.to_owned(),
            version.to_owned(),
            succeeded,
            code.to_owned(),
        )
    };
    assert_eq!(
        told,
        [
            of("emr/j-1/a b", "v1", true, ""),
            of("emr/j-1/c", "", false, "AccessDenied")
        ]
    );
}

// Codes of the joins below.
const SSE_S3: u32 = 10;
const OLD_KEY: u32 = 11;
const NEW_KEY: u32 = 12;
const SOME_KMS: u32 = 13;

fn prior(code: u32) -> Prior {
    match code {
        SSE_S3 => Prior::Outside,
        OLD_KEY | NEW_KEY => Prior::Wanted(code),
        _ => Prior::Unknown,
    }
}

fn sorted(folder: &TempDir, name: &str, records: &[(&str, u32, u64)]) -> Sorted {
    let mut sorter = Sorter::new(folder.path(), name, 2);
    for (key, code, bytes) in records {
        let id = version(key.as_bytes(), "v");
        let (code, bytes) = (*code, *bytes);
        sorter.push(Record { id, code, bytes }).expect("push");
    }
    sorter.finish().expect("sorted")
}

const AIM: Aim = Aim {
    target: NEW_KEY,
    is_wanted: Some(true),
    leaves_old: false,
    prior: Prior::Unknown,
};

fn joined(tasks: &[(&str, u32)], before: &[(&str, u32, u64)], aim: Aim) -> Moved {
    let folder = TempDir::new();
    let tasks: Vec<_> = tasks.iter().map(|(key, code)| (*key, *code, 0)).collect();
    let tasks = sorted(&folder, "tasks", &tasks);
    let before = sorted(&folder, "before", before);
    moved::job(tasks, before, aim, prior).expect("joined")
}

#[test]
fn a_version_counts_once_and_by_what_it_lay_under_before() {
    let tasks = [
        ("s3", SUCCEEDED),
        ("s3", SUCCEEDED),
        ("old", SUCCEEDED),
        ("same", SUCCEEDED),
        ("kms", SUCCEEDED),
        ("unlisted", SUCCEEDED),
        ("unsized", SUCCEEDED),
        ("failed", FAILED),
        ("retried", FAILED),
        ("retried", SUCCEEDED),
    ];
    let before = [
        ("s3", SSE_S3, 10),
        ("old", OLD_KEY, 20),
        ("same", NEW_KEY, 30),
        ("kms", SOME_KMS, 40),
        ("unsized", SSE_S3, NO_SIZE),
        ("failed", SSE_S3, 50),
        ("retried", SSE_S3, 60),
        ("not in the job", SSE_S3, 1_000),
    ];
    let counted = joined(&tasks, &before, AIM);
    let expected = Moved {
        total: 8,
        moved: 2,
        moved_bytes: 70,
        rotated: 1,
        rotated_bytes: 20,
        unknown: 3,
        failed: 1,
        left_behind: 0,
    };
    assert_eq!(counted, expected);
}

#[test]
fn the_jobs_own_filter_tells_where_no_snapshot_does() {
    let aim = Aim {
        prior: Prior::Outside,
        ..AIM
    };
    let before = [("kms", SOME_KMS, 40), ("old", OLD_KEY, 5)];
    let counted = joined(&[("kms", SUCCEEDED), ("old", SUCCEEDED)], &before, aim);
    assert_eq!((counted.moved, counted.moved_bytes), (1, 40));
    assert_eq!(counted.rotated, 1, "what the snapshot knows is better");
}

#[test]
fn only_a_wanted_key_is_progress_and_an_unknown_one_is_unknown() {
    let before = [("s3", SSE_S3, 10)];
    let with = |is_wanted| joined(&[("s3", SUCCEEDED)], &before, Aim { is_wanted, ..AIM });
    assert_eq!((with(Some(false)).moved, with(Some(false)).unknown), (0, 0));
    assert_eq!((with(None).moved, with(None).unknown), (0, 1));
}

#[test]
fn copies_leave_the_old_version_behind() {
    let aim = Aim {
        leaves_old: true,
        ..AIM
    };
    let before = [("s3", SSE_S3, 10), ("same", NEW_KEY, 30)];
    let counted = joined(&[("s3", SUCCEEDED), ("same", SUCCEEDED)], &before, aim);
    assert_eq!((counted.moved_bytes, counted.left_behind), (10, 10));
}

#[test]
fn snapshots_are_compared_by_key_and_version() {
    let folder = TempDir::new();
    let then = [
        ("moved", SSE_S3, 10),
        ("rotated", OLD_KEY, 20),
        ("stays", NEW_KEY, 30),
        ("unknown", SOME_KMS, 40),
        ("hidden", SSE_S3, 50),
        ("expired", SSE_S3, 60),
        ("plain", SSE_S3, 70),
        ("other", SSE_S3, 80),
        ("dark", NEW_KEY, 90),
    ];
    let now = [
        ("moved", NEW_KEY, 10),
        ("rotated", NEW_KEY, 20),
        ("stays", NEW_KEY, 30),
        ("unknown", NEW_KEY, 40),
        ("hidden", SOME_KMS, 50),
        ("born", NEW_KEY, 60),
        ("plain", SSE_S3, 70),
        // Without versioning the next object has the same name.
        ("other", NEW_KEY, 81),
        ("dark", SOME_KMS, 90),
    ];
    let (then, now) = (sorted(&folder, "then", &then), sorted(&folder, "now", &now));
    let is_unnamed = |code| code == SOME_KMS;
    let compared = moved::snapshots(then, now, prior, is_unnamed).expect("compared");
    let new = Moved {
        total: 4,
        moved: 1,
        moved_bytes: 10,
        rotated: 1,
        rotated_bytes: 20,
        unknown: 1,
        ..Moved::default()
    };
    assert_eq!(compared[&NEW_KEY], new);
    let unnamed = Moved {
        total: 2,
        moved: 1,
        moved_bytes: 50,
        unknown: 1,
        ..Moved::default()
    };
    assert_eq!(compared[&SOME_KMS], unnamed);
    assert_eq!((compared[&SSE_S3].total, compared[&SSE_S3].moved), (1, 0));
}

#[test]
fn more_keys_than_a_bucket_can_have_are_refused() {
    let mut summary = summary();
    let mut add = |n: usize| {
        let key = format!("arn:aws:kms:eu-west-1:111122223333:key/{n}");
        summary.add(&VersionRow {
            key: b"emr/x",
            version_id: "",
            is_latest: true,
            is_delete_marker: false,
            bytes: Some(1),
            stored: Stored::Kms,
            kms_key: Some(&key),
        })
    };
    for n in 0..super::summary::MOST_KEYS {
        add(n).expect("counted");
    }
    let error = add(super::summary::MOST_KEYS).expect_err("too many");
    assert_eq!(error.code(), "ReportTooManyKeys");
}
