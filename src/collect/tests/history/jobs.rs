//! Jobs that re-encrypt, and what their reports tell.

use super::*;

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
