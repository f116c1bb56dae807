//! Buckets that no report tells of.

use super::*;

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
