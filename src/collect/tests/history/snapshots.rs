//! Two reports about the same bucket, and what moved between them.

use super::*;

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
