//! What lies in log buckets, and jobs that re-encrypt it: who is asked, what is never kept, and what a
//! broken report comes to.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Digest as _;

use super::*;
use crate::collect::api::{
    DescribedJob, ErrorClass, FilteredBy, JobOperation, JobReport, ListedVersion,
};
use crate::collect::fake::{FakeKey, What, described, listed};
use crate::collect::history::listed::Bound;
use crate::collect::operation::Operation;
use crate::model::datasets::{LogObjectSummary, Reencryption};
use crate::model::ids::hex;
use crate::model::s3_location::S3Location;
use crate::model::words::Reencrypted;
use crate::testkit::TempDir;

const KEY: &str = "arn:aws:kms:eu-west-1:222233334444:key/k1";
const DAY: &str = "logs-b-reports/inv/logs-b/daily/2026-11-24T00-00Z";
const EARLIER: &str = "logs-b-reports/inv/logs-b/daily/2026-11-20T00-00Z";
const SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, EncryptionStatus";

/// A cluster of A that logs to a bucket of B, which also owns the bucket of reports.
fn world(scratch: &TempDir) -> World {
    let mut world = World::new();
    world.options.source_reader_role_name = Some("keyproof-source-reader".to_owned());
    world.options.scratch = scratch.path().to_owned();
    let listed = listed("j-1", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.cluster(A, described(listed, "s3://logs-b/emr", KEY));
    world.edit(B, |b| {
        b.buckets = ["logs-b", "logs-b-reports"]
            .map(|name| (name.to_owned(), IRELAND.to_owned()))
            .to_vec();
        let key = FakeKey {
            state: "Enabled",
            manager: "CUSTOMER",
            policy: r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
            ..FakeKey::default()
        };
        b.keys.insert(KEY.to_owned(), key);
    });
    world
}

fn md5_of(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// A report of some rows, in the folder of a day.
fn report(world: &World, day: &str, schema: &str, rows: &[&str]) {
    report_of(world, day, (schema, 1_795_478_400_000), rows);
}

/// The same with the time that it was made.
fn report_at(world: &World, day: &str, made: i64, rows: &[&str]) {
    report_of(world, day, (SCHEMA, made), rows);
}

fn report_of(world: &World, day: &str, (schema, made): (&str, i64), rows: &[&str]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("pack");
    let data = packed.finish().expect("pack");
    let name = format!("inv/logs-b/daily/data/{}.csv.gz", md5_of(day.as_bytes()));
    let manifest = serde_json::json!({
        "sourceBucket": "logs-b", "creationTimestamp": made.to_string(), "fileFormat": "CSV",
        "fileSchema": schema,
        "files": [{"key": name, "size": data.len(), "MD5checksum": md5_of(&data)}],
    })
    .to_string();
    world.edit(B, |b| {
        let sum = md5_of(manifest.as_bytes());
        b.reports.insert(format!("logs-b-reports/{name}"), data);
        b.reports
            .insert(format!("{day}/manifest.json"), manifest.into_bytes());
        b.reports
            .insert(format!("{day}/manifest.checksum"), sum.into_bytes());
    });
}

const ROWS: [&str; 4] = [
    "logs-b,emr/j-1/SECRET%20a,v2,true,false,10,SSE-S3",
    "logs-b,emr/j-1/SECRET%20a,v1,false,false,20,SSE-KMS",
    "logs-b,emr/j-1/gone,v1,true,true,,",
    "logs-b,elsewhere/x,v1,true,false,1000,SSE-S3",
];

fn summaries(seen: &Seen) -> Vec<&LogObjectSummary> {
    seen.facts
        .iter()
        .flat_map(|f| &f.object_summaries)
        .collect()
}

fn said(seen: &Seen) -> Vec<String> {
    let rows = summaries(seen).into_iter().map(|row| {
        format!(
            "{} {} {} {} {:?}",
            row.prefix, row.encryption, row.is_latest, row.versions, row.bytes
        )
    });
    rows.collect()
}

fn moves(seen: &Seen) -> Vec<&Reencryption> {
    seen.facts.iter().flat_map(|f| &f.reencryptions).collect()
}

fn code(seen: &Seen, source: Source) -> (CellOutcome, Option<&str>) {
    let region = if source == Source::LogHistory {
        "global"
    } else {
        IRELAND
    };
    let cell = seen.cell(B, region, source);
    (cell.outcome, cell.error_code.as_deref())
}

#[tokio::test]
async fn the_newest_inventory_is_counted_with_its_owners_role_and_no_name_is_kept() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    report(&world, EARLIER, SCHEMA, &[]);
    report(&world, DAY, SCHEMA, &ROWS);
    // The next one is still being written: its checksum comes last.
    let next = DAY.replace("11-24", "11-25");
    world.edit(B, |b| {
        b.reports
            .insert(format!("{next}/manifest.json"), b"{".to_vec());
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(
        said(&seen),
        [
            "emr/ kms_key_unknown false 1 Some(20)",
            "emr/ sse_s3 true 1 Some(10)"
        ]
    );
    for row in summaries(&seen) {
        assert_eq!((row.account_id.as_str(), row.region.as_str()), (B, IRELAND));
        assert_eq!(row.as_of_at, Some(UtcMillis(1_795_478_400_000)));
        assert_eq!((row.source.as_str(), &row.key_arn), ("inventory", &None));
    }
    assert_eq!(
        code(&seen, Source::LogHistory),
        (CellOutcome::Collected, None)
    );
    assert!(!format!("{:?}", seen.facts).contains("SECRET"), "no names");
    let left = std::fs::read_dir(scratch.path()).expect("list").count();
    assert_eq!(left, 0, "scratch files are removed");
    cloud.with(|s| {
        let reading = [Operation::ListSourceObjects, Operation::GetSourceObject];
        let calls = s.calls.iter().filter(|c| reading.contains(&c.operation));
        assert!(calls.clone().count() > 3 && calls.clone().all(|c| c.account == B));
        let roles = s
            .sessions
            .iter()
            .filter(|r| r.role_name == "keyproof-source-reader");
        assert_eq!(roles.count(), 1);
    });
}

#[tokio::test]
async fn without_a_role_for_it_no_report_is_read() {
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.source_reader_role_name = None;
    report(&world, DAY, SCHEMA, &ROWS);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(summaries(&seen).is_empty());
    assert!(seen.coverage.iter().all(|c| c.source != Source::LogHistory));
    assert_eq!(cloud.count(Operation::GetSourceObject), 0);
    assert_eq!(
        code(&seen, Source::Reencryption),
        (CellOutcome::Empty, None)
    );
}

#[tokio::test]
async fn a_bucket_without_a_usable_inventory_is_an_answer_that_says_so() {
    let scratch = TempDir::new();
    let seen = world(&scratch).run().await;
    let none = (CellOutcome::Partial, Some("NoCompleteReport"));
    assert_eq!(code(&seen, Source::LogHistory), none);
    assert_eq!(seen.collected.cells_open, 0, "an answer");

    let scratch = TempDir::new();
    let world = world(&scratch);
    world.edit(B, |b| b.buckets.truncate(1));
    let seen = world.run().await;
    let foreign = (CellOutcome::Partial, Some("OwnerNotInScope"));
    assert_eq!(code(&seen, Source::LogHistory), foreign);
    assert_eq!(seen.collected.cells_open, 0, "an answer");
}

/// Nothing of a broken report is counted, and the cell says what is wrong with it.
#[tokio::test]
async fn a_broken_report_is_no_report() {
    type Break = fn(&mut FakeAccount);
    let data = format!(
        "logs-b-reports/inv/logs-b/daily/data/{}.csv.gz",
        md5_of(DAY.as_bytes())
    );
    let cases: [(Break, &str); 4] = [
        (
            |b| b.reports.retain(|name, _| !name.contains("/data/")),
            "ReportFileMissing",
        ),
        (
            |b| {
                for (name, bytes) in &mut b.reports {
                    if name.contains("/data/") {
                        bytes.truncate(bytes.len() / 2);
                    }
                }
            },
            "ReportChecksum",
        ),
        (
            |b| {
                for (name, bytes) in &mut b.reports {
                    if name.ends_with("manifest.json") {
                        bytes.push(b' ');
                    }
                }
            },
            "ReportChecksum",
        ),
        (
            |b| b.reports.retain(|name, _| !name.ends_with("manifest.json")),
            "ReportFileMissing",
        ),
    ];
    for (break_it, expected) in cases {
        let scratch = TempDir::new();
        let world = world(&scratch);
        report(&world, DAY, SCHEMA, &ROWS);
        world.edit(B, break_it);
        let seen = world.run().await;
        assert!(summaries(&seen).is_empty(), "{expected}");
        assert_eq!(
            code(&seen, Source::LogHistory),
            (CellOutcome::Failed, Some(expected))
        );
        assert_eq!(seen.collected.cells_open, 1);
    }
    // Its files are as S3 summed them up, and the second of them is of another bucket.
    let scratch = TempDir::new();
    let world = world(&scratch);
    let foreign = "finance,emr/x,v1,true,false,1,SSE-S3";
    report(&world, DAY, SCHEMA, &[ROWS[0], foreign]);
    world.edit(B, |b| assert!(b.reports.contains_key(&data)));
    let seen = world.run().await;
    assert!(summaries(&seen).is_empty());
    let expected = (CellOutcome::Failed, Some("ReportForeignBucket"));
    assert_eq!(code(&seen, Source::LogHistory), expected);
}

#[tokio::test]
async fn a_role_that_may_not_read_reports_is_a_gap() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    report(&world, DAY, SCHEMA, &ROWS);
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "");
    world.cloud.fault(Operation::GetSourceObject, denied).add();
    let seen = world.run().await;
    let cell = seen.cell(B, "global", Source::LogHistory);
    assert_eq!(
        (cell.outcome, cell.denied_action.as_deref()),
        (CellOutcome::DeniedIam, Some("s3:GetObject"))
    );
}

#[tokio::test]
async fn older_versions_that_an_inventory_leaves_out_are_unknown() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    let row = "logs-b,emr/j-1/a,10,SSE-S3";
    report(&world, DAY, "Bucket, Key, Size, EncryptionStatus", &[row]);
    let seen = world.run().await;
    assert_eq!(
        said(&seen),
        ["emr/ sse_s3 true 1 Some(10)", "emr/ unknown false 0 None"]
    );
}

/// What a listing of the bucket shows: two versions of a log, a removed one, and what is no log.
fn versions(world: &World) {
    let version = |name: &str, is_latest, bytes: Option<u64>| {
        let listed = ListedVersion {
            name: name.as_bytes().to_vec(),
            is_latest,
            is_delete_marker: bytes.is_none(),
            bytes,
        };
        ("logs-b".to_owned(), listed)
    };
    world.edit(B, |b| {
        b.versions = vec![
            version("emr/j-1/SECRET a", true, Some(10)),
            version("emr/j-1/SECRET a", false, Some(20)),
            version("emr/j-1/gone", true, None),
            version("elsewhere/x", true, Some(1_000)),
        ];
    });
}

fn bound(versions: u64, pages: u64) -> Option<Bound> {
    Some(Bound { versions, pages })
}

#[tokio::test]
async fn a_bucket_that_no_report_tells_of_is_listed_with_the_sampler_role() {
    // With a role for reports and none there, and without that role.
    for reads_reports in [true, false] {
        let scratch = TempDir::new();
        let mut world = world(&scratch);
        if !reads_reports {
            world.options.source_reader_role_name = None;
        }
        world.options.listing = bound(3, 1);
        versions(&world);
        let cloud = world.cloud.clone();
        let seen = world.run().await;
        assert_eq!(
            said(&seen),
            [
                "emr/ unknown false 1 Some(20)",
                "emr/ unknown true 1 Some(10)"
            ]
        );
        for row in summaries(&seen) {
            assert_eq!((row.account_id.as_str(), row.region.as_str()), (B, IRELAND));
            assert_eq!((row.source.as_str(), &row.key_arn), ("listing", &None));
            assert_eq!((row.as_of_at, row.complete), (None, Some(true)));
        }
        assert_eq!(
            code(&seen, Source::LogHistory),
            (CellOutcome::Collected, None)
        );
        assert!(!format!("{:?}", seen.facts).contains("SECRET"), "no names");
        assert_eq!(
            cloud.subjects(Operation::ListObjectVersions),
            ["logs-b/emr/"]
        );
        assert_eq!(cloud.count(Operation::GetSourceObject), 0);
        cloud.with(|s| {
            let sampling = s.sessions.iter();
            let sampling = sampling.filter(|r| r.role_name == "keyproof-sampler");
            let accounts: Vec<_> = sampling.map(|r| r.account_id.as_str()).collect();
            assert_eq!(accounts, [B], "the owner's role, once");
        });
    }
}

#[tokio::test]
async fn a_listing_says_what_its_bound_cut_off() {
    // By versions; by requests, of which one shows two; before anything was counted.
    for (bound, expected) in [
        (bound(1, 9), "emr/ unknown true 1 Some(10)"),
        (
            bound(9, 1),
            "emr/ unknown false 1 Some(20) emr/ unknown true 1 Some(10)",
        ),
    ] {
        let scratch = TempDir::new();
        let mut world = world(&scratch);
        world.options.listing = bound;
        world.cloud.with(|s| s.page_size = 2);
        versions(&world);
        let seen = world.run().await;
        assert_eq!(said(&seen).join(" "), expected);
        assert!(summaries(&seen).iter().all(|r| r.complete == Some(false)));
        let cell = (CellOutcome::Partial, Some("ListingCutOff"));
        assert_eq!(code(&seen, Source::LogHistory), cell);
        assert_eq!(seen.collected.cells_open, 0, "the bound is a setting");
    }
    // A folder that the listing did not come to stands there all the same.
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.listing = bound(9, 1);
    let listed = listed("j-2", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.cluster(A, described(listed, "s3://logs-b/a", KEY));
    versions(&world);
    let seen = world.run().await;
    assert_eq!(said(&seen), ["emr/ unknown true 0 None"]);
    assert_eq!(summaries(&seen)[0].complete, Some(false));
}

#[tokio::test]
async fn no_listing_hides_a_broken_report_and_none_is_made_where_one_was_read() {
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.listing = bound(9, 9);
    versions(&world);
    report(&world, DAY, SCHEMA, &ROWS);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(summaries(&seen).iter().all(|row| row.source == "inventory"));
    assert_eq!(cloud.count(Operation::ListObjectVersions), 0);

    let scratch = TempDir::new();
    let mut world = self::world(&scratch);
    world.options.listing = bound(9, 9);
    versions(&world);
    report(&world, DAY, SCHEMA, &ROWS);
    world.edit(B, |b| b.reports.retain(|name, _| !name.contains("/data/")));
    let seen = world.run().await;
    assert!(summaries(&seen).is_empty());
    let broken = (CellOutcome::Failed, Some("ReportFileMissing"));
    assert_eq!(code(&seen, Source::LogHistory), broken);
}

#[tokio::test]
async fn a_sampler_role_that_may_not_list_versions_is_a_gap() {
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.listing = bound(9, 9);
    versions(&world);
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "");
    world
        .cloud
        .fault(Operation::ListObjectVersions, denied)
        .add();
    let seen = world.run().await;
    assert!(summaries(&seen).is_empty());
    let cell = seen.cell(B, "global", Source::LogHistory);
    assert_eq!(
        (cell.outcome, cell.denied_action.as_deref()),
        (CellOutcome::DeniedIam, Some("s3:ListBucketVersions"))
    );
}

/// Of a job that ended an hour before the run, about the rows above.
fn job(operation: JobOperation) -> DescribedJob {
    DescribedJob {
        id: "job-1".to_owned(),
        status: Some("Complete".to_owned()),
        created_at: UtcMillis(START - 86_400_000),
        ended_at: Some(UtcMillis(START - 3_600_000)),
        operation,
        bucket: Some("logs-b".to_owned()),
        filtered_by: vec![],
        report: Some(JobReport {
            bucket: "logs-b-reports".to_owned(),
            prefix: "done".to_owned(),
            of_all_tasks: true,
        }),
        total: Some(3),
        succeeded: Some(2),
        failed: Some(1),
    }
}

fn update() -> JobOperation {
    JobOperation::UpdateEncryption {
        key: KEY.to_owned(),
    }
}

fn completion(world: &World, rows: &str) {
    let name = "done/job-job-1/results/1.csv";
    let manifest = serde_json::json!({
        "Results": [{"Key": name, "MD5Checksum": md5_of(rows.as_bytes())}],
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    })
    .to_string();
    world.edit(B, |b| {
        let above = "logs-b-reports/done/job-job-1";
        let sum = md5_of(manifest.as_bytes());
        b.reports
            .insert(format!("logs-b-reports/{name}"), rows.as_bytes().to_vec());
        b.reports
            .insert(format!("{above}/manifest.json"), manifest.into_bytes());
        b.reports
            .insert(format!("{above}/manifest.json.md5"), sum.into_bytes());
    });
}

const TASKS: &str = "logs-b,emr/j-1/SECRET+a,v2,succeeded,,200,ok\n\
                     logs-b,emr/j-1/SECRET+a,v1,succeeded,,200,ok\n\
                     logs-b,elsewhere/x,v1,failed,AccessDenied,403,no\n\
                     finance,emr/x,v1,succeeded,,200,ok\n";

#[tokio::test]
async fn a_completion_report_is_joined_to_the_inventory_of_before() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    report(&world, EARLIER, SCHEMA, &ROWS);
    // What lies there today is not what lay there before.
    report(&world, DAY, SCHEMA, &[]);
    completion(&world, TASKS);
    world.edit(B, |b| b.jobs = vec![job(update())]);
    let seen = world.run().await;
    let rows = moves(&seen);
    assert_eq!(rows.len(), 1, "no row about another bucket");
    let row = rows[0];
    assert_eq!(
        (row.shown_by, row.evidence.as_str()),
        (Reencrypted::CompletionReport, "job-1")
    );
    assert_eq!(
        (row.target_key.as_str(), row.target_wanted),
        (KEY, Some(true))
    );
    assert_eq!((row.versions_total, row.versions_failed), (3, Some(1)));
    assert_eq!((row.versions_moved, row.bytes_moved), (Some(1), Some(10)));
    assert_eq!(
        row.versions_unknown,
        Some(1),
        "an inventory does not say which key"
    );
    assert_eq!(row.failure_code.as_deref(), Some("AccessDenied"));
    assert_eq!(row.bytes_left_behind, Some(0));
    assert_eq!(row.ended_ms, Some(START - 3_600_000));
    assert_eq!(
        code(&seen, Source::Reencryption),
        (CellOutcome::Collected, None)
    );
    assert!(!format!("{:?}", seen.facts).contains("SECRET"), "no names");
    assert_eq!(std::fs::read_dir(scratch.path()).expect("list").count(), 0);
}

#[tokio::test]
async fn a_filter_tells_of_before_where_only_todays_inventory_is_left() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    let today = DAY.replace("11-24", "11-25");
    report(&world, &today, SCHEMA, &ROWS);
    completion(&world, TASKS);
    let filtered = |filter: Vec<FilteredBy>| DescribedJob {
        filtered_by: filter,
        ..job(update())
    };
    world.edit(B, |b| b.jobs = vec![filtered(vec![FilteredBy::SseS3])]);
    let seen = world.run().await;
    let row = moves(&seen)[0];
    assert_eq!((row.versions_moved, row.bytes_moved), (Some(2), Some(30)));

    let scratch = TempDir::new();
    let world = self::world(&scratch);
    report(&world, &today, SCHEMA, &ROWS);
    completion(&world, TASKS);
    world.edit(B, |b| {
        b.jobs = vec![filtered(vec![FilteredBy::SseS3, FilteredBy::Kms(None)])];
    });
    let seen = world.run().await;
    let row = moves(&seen)[0];
    assert_eq!(
        (row.versions_moved, row.versions_unknown),
        (Some(0), Some(2))
    );
}

#[tokio::test]
async fn a_job_without_a_readable_report_gives_counts_alone() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    let running = DescribedJob {
        ended_at: None,
        status: Some("Active".to_owned()),
        ..job(update())
    };
    let elsewhere = DescribedJob {
        id: "job-2".to_owned(),
        bucket: Some("finance".to_owned()),
        ..running.clone()
    };
    let nowhere = DescribedJob {
        id: "job-3".to_owned(),
        bucket: None,
        ..running.clone()
    };
    world.edit(B, |b| b.jobs = vec![running, elsewhere, nowhere]);
    let seen = world.run().await;
    let rows = moves(&seen);
    let told: Vec<_> = rows
        .iter()
        .map(|r| (r.evidence.as_str(), r.bucket.as_str()))
        .collect();
    assert_eq!(told, [("job-3", ""), ("job-1", "logs-b")]);
    for row in rows {
        assert_eq!(row.shown_by, Reencrypted::JobCounts);
        assert_eq!(
            (row.versions_total, row.versions_moved, row.bytes_moved),
            (3, None, None)
        );
        assert_eq!(
            (row.versions_unknown, row.versions_failed),
            (Some(2), Some(1))
        );
        assert_eq!(
            (row.ended_at, row.status.as_deref()),
            (None, Some("Active"))
        );
    }
    assert_eq!(
        code(&seen, Source::Reencryption),
        (CellOutcome::Collected, None)
    );
}

#[tokio::test]
async fn a_broken_completion_report_leaves_the_counts_and_opens_the_cell() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    completion(&world, TASKS);
    world.edit(B, |b| {
        b.jobs = vec![job(update())];
        let name = "logs-b-reports/done/job-job-1/results/1.csv".to_owned();
        b.reports.insert(name, b"other".to_vec());
    });
    let seen = world.run().await;
    assert_eq!(moves(&seen)[0].shown_by, Reencrypted::JobCounts);
    let expected = (CellOutcome::Partial, Some("ReportChecksum"));
    assert_eq!(code(&seen, Source::Reencryption), expected);
    assert!(seen.collected.cells_open > 0);
}

#[tokio::test]
async fn jobs_that_may_not_be_listed_are_a_gap() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "");
    world.cloud.fault(Operation::ListJobs, denied).add();
    let seen = world.run().await;
    let cell = seen.cell(B, IRELAND, Source::Reencryption);
    assert_eq!(
        (cell.outcome, cell.denied_action.as_deref()),
        (CellOutcome::DeniedIam, Some("s3:ListJobs"))
    );
}

#[tokio::test]
async fn a_list_of_jobs_that_only_fails_does_not_take_the_rest_of_the_run() {
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.deadline = Some(UtcMillis(START + 6 * 3_600_000));
    let broken = What::Error(ErrorClass::Transport, "Http404", "a page of a proxy");
    world.cloud.fault(Operation::ListJobs, broken).add();
    let patience = world.options.cell_deadline.as_millis() as i64;
    let seen = world.run().await;
    let cell = seen.cell(B, IRELAND, Source::Reencryption);
    assert_eq!(cell.outcome, CellOutcome::TimedOut);
    let took = cell.ended_at.0 - cell.started_at.0;
    assert!((patience / 2..=patience).contains(&took), "{took}");
}

/// A Parquet file of `(key, version, size, status, key ARN)`.
fn export(rows: &[(&str, &str, i64, &str, Option<&str>)]) -> Vec<u8> {
    use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
    let count = rows.len();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bucket", Arc::new(StringArray::from(vec!["logs-b"; count]))),
        (
            "key",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
        ),
        (
            "version_id",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        ),
        ("is_latest", Arc::new(BooleanArray::from(vec![true; count]))),
        (
            "size",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.2))),
        ),
        (
            "encryption_status",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.3))),
        ),
        (
            "kms_key_arn",
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.4))),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writer");
    writer.write(&batch).expect("write");
    writer.into_inner().expect("file")
}

#[tokio::test]
async fn exports_of_the_metadata_table_know_keys_and_what_changed_between_them() {
    let scratch = TempDir::new();
    let mut world = world(&scratch);
    world.options.metadata_exports = S3Location::parse("s3://logs-b-reports/exports")
        .into_iter()
        .collect();
    // The inventory is there too, and knows less.
    report(&world, DAY, SCHEMA, &ROWS);
    const MANAGED: &str = "arn:aws:kms:eu-west-1:222233334444:key/aws-s3";
    let before = export(&[
        ("emr/j-1/a", "v1", 10, "SSE-S3", None),
        ("emr/j-1/b", "v1", 20, "SSE-KMS", Some(MANAGED)),
        ("emr/j-1/c", "v1", 30, "SSE-KMS", Some(KEY)),
    ]);
    let after = export(&[
        ("emr/j-1/a", "v1", 10, "SSE-KMS", Some(KEY)),
        ("emr/j-1/b", "v1", 20, "SSE-KMS", Some(MANAGED)),
        ("emr/j-1/c", "v1", 30, "SSE-KMS", Some(KEY)),
    ]);
    world.edit(B, |b| {
        let managed = FakeKey {
            manager: "AWS",
            ..FakeKey::default()
        };
        b.keys.insert(MANAGED.to_owned(), managed);
        for (day, bytes) in [("20", before), ("24", after)] {
            let folder = format!("logs-b-reports/exports/logs-b/2026-11-{day}T00-00Z");
            b.reports.insert(format!("{folder}/0.parquet"), bytes);
            b.reports.insert(format!("{folder}/_SUCCESS"), vec![]);
        }
        // Not finished, so not there.
        let next = "logs-b-reports/exports/logs-b/2026-11-25T00-00Z/0.parquet";
        b.reports.insert(next.to_owned(), b"PAR1".to_vec());
    });
    let seen = world.run().await;
    assert_eq!(
        said(&seen),
        [
            "emr/ aws_managed_key true 1 Some(20)",
            "emr/ customer_key true 2 Some(40)"
        ]
    );
    assert!(
        summaries(&seen)
            .iter()
            .all(|row| row.source == "metadata_table")
    );
    assert_eq!(summaries(&seen)[1].key_arn.as_deref(), Some(KEY));
    let rows = moves(&seen);
    assert_eq!(rows.len(), 1);
    let row = rows[0];
    assert_eq!(row.shown_by, Reencrypted::Snapshots);
    assert_eq!(
        row.evidence,
        "2026-11-20T00:00:00.000Z/2026-11-24T00:00:00.000Z"
    );
    assert_eq!(
        (row.target_key.as_str(), row.target_wanted),
        (KEY, Some(true))
    );
    assert_eq!((row.versions_moved, row.bytes_moved), (Some(1), Some(10)));
    assert_eq!((row.versions_total, row.versions_rotated), (2, Some(0)));
}

/// An inventory tells that a version lies under KMS now, and never under which key.
#[tokio::test]
async fn two_inventories_show_what_was_moved_and_not_under_which_key() {
    let before = [
        "logs-b,emr/j-1/SECRET%20a,v1,true,false,10,SSE-S3",
        "logs-b,emr/j-1/b,v1,true,false,20,SSE-S3",
        "logs-b,emr/j-1/b,v0,false,false,25,SSE-C",
        "logs-b,emr/j-1/c,v1,true,false,30,SSE-KMS",
        "logs-b,emr/j-1/d,v1,true,false,40,SSE-S3",
        "logs-b,emr/j-1/e,v1,true,false,60,SSE-S3",
    ];
    let after = [
        "logs-b,emr/j-1/SECRET%20a,v1,true,false,10,SSE-KMS",
        "logs-b,emr/j-1/b,v1,true,false,20,DSSE-KMS",
        "logs-b,emr/j-1/b,v0,false,false,25,SSE-KMS",
        "logs-b,emr/j-1/c,v1,true,false,30,SSE-KMS",
        "logs-b,emr/j-1/d,v1,true,false,40,SSE-S3",
        // Nobody names the key of this one either: it stands in the same row.
        "logs-b,emr/j-1/e,v1,true,false,60,A-WORD-OF-2030",
        "logs-b,emr/j-1/new,v1,true,false,50,SSE-KMS",
    ];
    let two_days = |scratch: &TempDir| {
        let world = world(scratch);
        report_at(&world, EARLIER, 1_795_132_800_000, &before);
        report_at(&world, DAY, 1_795_478_400_000, &after);
        world
    };
    for compares in [true, false] {
        let scratch = TempDir::new();
        let mut world = two_days(&scratch);
        world.options.compares_snapshots = compares;
        let seen = world.run().await;
        let rows = moves(&seen);
        assert_eq!(rows.len(), usize::from(compares));
        for row in rows {
            assert_eq!(row.shown_by, Reencrypted::Snapshots);
            assert_eq!(
                row.evidence,
                "2026-11-20T00:00:00.000Z/2026-11-24T00:00:00.000Z"
            );
            assert_eq!((row.target_key.as_str(), row.target_wanted), ("", None));
            assert_eq!((row.versions_moved, row.bytes_moved), (Some(3), Some(55)));
            assert_eq!((row.versions_total, row.versions_unknown), (5, Some(1)));
            assert_eq!(row.versions_rotated, Some(0));
        }
        let left = std::fs::read_dir(scratch.path()).expect("list").count();
        assert_eq!(left, 0, "scratch files are removed");
        assert!(!format!("{:?}", seen.facts).contains("SECRET"), "no names");
    }
    // A report that cannot be read is said.
    let scratch = TempDir::new();
    let world = two_days(&scratch);
    let data = format!(
        "logs-b-reports/inv/logs-b/daily/data/{}.csv.gz",
        md5_of(EARLIER.as_bytes())
    );
    world.edit(B, |b| assert!(b.reports.remove(&data).is_some()));
    let seen = world.run().await;
    assert!(moves(&seen).is_empty());
    let missing = (CellOutcome::Partial, Some("ReportFileMissing"));
    assert_eq!(code(&seen, Source::Reencryption), missing);
    assert_eq!(
        code(&seen, Source::LogHistory),
        (CellOutcome::Collected, None),
        "today's is whole"
    );
}

/// Jobs run where their bucket lies: where nobody can tell, nobody can ask.
#[tokio::test]
async fn jobs_of_a_bucket_that_nobody_can_place_are_not_passed_over() {
    let scratch = TempDir::new();
    let world = world(&scratch);
    world.edit(B, |b| {
        b.buckets = vec![("logs-b".to_owned(), String::new())];
    });
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "");
    let fault = world.cloud.fault(Operation::GetBucketLocation, denied);
    fault.account(B).add();
    let seen = world.run().await;
    let cell = seen.cell(B, "global", Source::Reencryption);
    assert_eq!(cell.outcome, CellOutcome::DeniedIam);
    assert_eq!(cell.denied_action.as_deref(), Some("s3:GetBucketLocation"));
    assert_eq!(cell.calls, 2, "the role and the question");
}
