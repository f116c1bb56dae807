//! What reports about objects tell, and what a broken one comes to.

use super::*;

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
