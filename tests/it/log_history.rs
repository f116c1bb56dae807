//! What older logs lie under, and what re-encrypted them: a run that reads reports finds what the
//! organization states.

use std::collections::BTreeMap;

use keyproof::model::datasets::{
    Coverage, EmrCluster, Finding, LogBucket, LogObjectSummary, Reencryption,
};
use keyproof::model::s3_location::S3Location;
use keyproof::model::words::{CellOutcome, Source};
use keyproof::run::Audited;
use keyproof::sandbox::world::buckets::BucketKind;
use keyproof::sandbox::{Options, World};

use crate::support::{Place, Sealed, files_below};

fn options() -> Options {
    Options {
        accounts: 30,
        regions: 2,
        clusters: 4,
        days: 4,
        seed: 21,
        ..Options::default()
    }
}

const ROLE: (&str, &str) = ("source_reader_role_name", "keyproof-source-reader");

async fn audited(place: &Place, settings: &[(&'static str, &str)]) -> (Audited, Sealed) {
    let config = place.config_with(settings, "");
    let audited = place.audit_with(&config).await.expect("the run seals");
    let sealed = place.sealed(&audited.run_id).await;
    (audited, sealed)
}

/// EL-16 of every cluster against the stated truth; says what was concluded, and how often.
async fn compare_findings(
    place: &Place,
    sealed: &Sealed,
    now: i64,
    knows_keys: impl Fn(BucketKind) -> bool,
) -> BTreeMap<String, usize> {
    let clusters: Vec<EmrCluster> = sealed.rows().await;
    let findings: Vec<Finding> = sealed.rows().await;
    let found: Vec<LogBucket> = sealed.rows().await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.rule == "EL-16") {
        let said = format!("{} {}", finding.outcome, finding.reason);
        let cluster = clusters
            .iter()
            .find(|c| c.cluster_id == *finding.cluster_id);
        let uri = cluster.and_then(|c| S3Location::parse(c.log_uri.as_deref()?));
        let bucket = uri.as_ref().and_then(|uri| place.world.bucket(&uri.bucket));
        let is_read = bucket.filter(|bucket| {
            let row = found.iter().find(|row| row.bucket == bucket.name);
            row.is_some_and(|row| row.account_id.is_some())
        });
        let stated = match is_read {
            None => None,
            Some(bucket) => {
                let knows = knows_keys(bucket.kind);
                let truth = place.world.history_truth(bucket, now, knows);
                let outcome = serde_json::to_value(truth.outcome).expect("a word");
                Some(format!(
                    "{} {}",
                    outcome.as_str().unwrap_or_default(),
                    truth.reason
                ))
            }
        };
        match stated {
            Some(stated) => assert_eq!(said, stated, "{} {uri:?}", finding.cluster_id),
            None => assert!(said.starts_with("NOT_APPLICABLE "), "{said}"),
        }
        *seen.entry(said).or_default() += 1;
    }
    seen
}

/// Log buckets without an inventory are listed: what is counted of them is what lies there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_report_tells_of_is_listed_up_to_a_bound() {
    let place = Place::new(&options()).await;
    let now = place.world.audit_ms(0);
    let (_, sealed) = audited(&place, &[ROLE, ("list_objects", "100000")]).await;
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    let mut listed = BTreeMap::new();
    for row in summaries.iter().filter(|r| r.source == "listing") {
        let said = (row.prefix.as_str(), row.encryption.as_str(), row.complete);
        assert_eq!(said, ("emr/", "unknown", Some(true)), "{row:?}");
        let of: &mut [(i64, i64); 2] = listed.entry(row.bucket.as_str()).or_default();
        let at = usize::from(!row.is_latest);
        of[at] = (row.versions, row.bytes.expect("a listing tells sizes"));
    }
    assert!(listed.len() > 2, "{listed:?}");
    for (name, counted) in &listed {
        let bucket = place.world.bucket(name).expect("a bucket");
        assert!(bucket.settings.inventories.is_empty(), "{name}");
        assert_eq!(*counted, place.world.listed_truth(bucket, now), "{name}");
    }
    let findings: Vec<Finding> = sealed.rows().await;
    let clusters: Vec<EmrCluster> = sealed.rows().await;
    let mut judged = 0;
    for finding in findings.iter().filter(|f| f.rule == "EL-16") {
        let of = |c: &&EmrCluster| c.cluster_id == *finding.cluster_id;
        let cluster = clusters.iter().find(of);
        let uri = cluster.and_then(|c| S3Location::parse(c.log_uri.as_deref()?));
        if uri.is_some_and(|uri| listed.contains_key(uri.bucket.as_str())) {
            assert_eq!(finding.reason, "history_key_unknown", "{finding:?}");
            judged += 1;
        }
    }
    assert!(judged > 0);
    // Without reports every log bucket is listed, older versions too, as far as two versions go.
    let place = Place::new(&options()).await;
    let (_, sealed) = audited(&place, &[("list_objects", "100000")]).await;
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    assert!(summaries.iter().any(|row| !row.is_latest));
    for row in summaries.iter().filter(|row| !row.is_latest) {
        let bucket = place.world.bucket(&row.bucket).expect("a bucket");
        let [_, older] = place.world.listed_truth(bucket, now);
        assert_eq!((row.versions, row.bytes), (older.0, Some(older.1)));
    }
    assert_eq!(place.calls("GetObject"), 0);
    let place = Place::new(&options()).await;
    let (_, sealed) = audited(&place, &[("list_objects", "2")]).await;
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    let cut: Vec<_> = summaries
        .iter()
        .filter(|row| row.complete == Some(false))
        .collect();
    assert!(!cut.is_empty() && cut.iter().all(|row| row.versions <= 2));
    let cells: Vec<Coverage> = sealed.rows().await;
    let said = |cell: &&Coverage| cell.error_code.as_deref() == Some("ListingCutOff");
    let cells: Vec<_> = cells.iter().filter(said).collect();
    assert!(!cells.is_empty());
    for cell in cells {
        assert_eq!(cell.outcome, CellOutcome::Partial, "{cell:?}");
        assert_eq!(cell.items_failed, Some(0), "an answer: {cell:?}");
    }
    // Names of objects carry secrets.
    for path in files_below(place.dir.path()) {
        let bytes = std::fs::read(&path).expect("a file");
        let found = bytes.windows(14).any(|window| window == b"PLANTED-SECRET");
        assert!(!found, "{}", path.display());
    }
}

/// Rows of jobs against the stated truth; says how each was shown.
fn compare_jobs(world: &World, rows: &[Reencryption], now: i64) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for row in rows.iter().filter(|r| r.operation.is_some()) {
        let bucket = world.bucket(&row.bucket).expect("a bucket");
        let truth = world.reencryption_truth(bucket, now).expect("a job");
        let job = world.batch_job(bucket, now).expect("a job");
        assert_eq!((&row.evidence, &row.target_key), (&job.id, &job.key));
        assert_eq!(row.target_wanted, Some(true), "{row:?}");
        assert_eq!(row.shown_by.as_str(), truth.shown_by, "{row:?}");
        assert_eq!(row.versions_total, truth.total, "{row:?}");
        assert_eq!(row.versions_moved, truth.moved, "{row:?}");
        assert_eq!(row.bytes_moved, truth.moved_bytes, "{row:?}");
        assert_eq!(row.versions_unknown, Some(truth.unknown), "{row:?}");
        assert_eq!(row.versions_failed, Some(truth.failed), "{row:?}");
        assert_eq!(row.bytes_left_behind, truth.left_behind, "{row:?}");
        let end = (job.ended_ms <= now).then_some(job.ended_ms);
        assert_eq!(row.ended_ms, end, "{row:?}");
        let how = format!("{:?} {}", bucket.settings.history, row.shown_by);
        *seen.entry(how).or_default() += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventories_and_jobs_tell_what_older_logs_lie_under() {
    let place = Place::new(&options()).await;
    let now = place.world.audit_ms(0);
    let (_, sealed) = audited(&place, &[ROLE]).await;
    let seen = compare_findings(&place, &sealed, now, |_| false).await;
    for said in [
        "FAIL history_outside_customer_key",
        "UNKNOWN history_key_unknown",
        "NOT_APPLICABLE history_not_read",
        "NOT_APPLICABLE no_log_uri",
    ] {
        assert!(seen.contains_key(said), "no {said} in {seen:?}");
    }
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    for row in &summaries {
        assert!(row.prefix == "emr/" && row.source == "inventory", "{row:?}");
        assert_ne!(row.encryption, "customer_key", "an inventory cannot know");
    }
    let older = summaries.iter().filter(|r| !r.is_latest).count();
    assert!(older > 0, "the central bucket keeps older versions");

    let rows: Vec<Reencryption> = sealed.rows().await;
    let jobs = compare_jobs(&place.world, &rows, now);
    for how in [
        "Moved completion_report",
        "MovedInPart completion_report",
        "Moving job_counts",
        "MovedUnreported job_counts",
        "FailuresReported job_counts",
        "Copied completion_report",
    ] {
        assert!(jobs.contains_key(how), "no {how} in {jobs:?}");
    }
    let failed = rows.iter().find(|r| r.versions_failed == Some(3));
    let failed = failed.filter(|r| r.shown_by.as_str() == "completion_report");
    assert_eq!(
        failed.and_then(|r| r.failure_code.as_deref()),
        Some("AccessDenied")
    );

    let cells: Vec<Coverage> = sealed.rows().await;
    let history: Vec<_> = cells
        .iter()
        .filter(|c| c.source == Source::LogHistory)
        .collect();
    assert!(!history.is_empty());
    for cell in history {
        assert_eq!(cell.items_failed, Some(0), "{cell:?}");
        assert_eq!(cell.region.as_str(), "global");
    }
    assert!(place.report().await.passed());
    // Names of objects, which carry secrets, went through the work folder and are nowhere now.
    for path in files_below(place.dir.path()) {
        let bytes = std::fs::read(&path).expect("a file");
        let found = bytes.windows(14).any(|window| window == b"PLANTED-SECRET");
        assert!(!found, "{}", path.display());
    }

    // Two days later the job that was at work has ended.
    place.at_day(2);
    let now = place.world.audit_ms(2);
    let (_, sealed) = audited(&place, &[ROLE]).await;
    compare_findings(&place, &sealed, now, |_| false).await;
    let rows: Vec<Reencryption> = sealed.rows().await;
    let jobs = compare_jobs(&place.world, &rows, now);
    assert!(jobs.contains_key("Moving completion_report"), "{jobs:?}");
    // The inventories of day 1 and of day 2 lie on both sides of its end.
    let compared: Vec<_> = rows
        .iter()
        .filter(|r| r.shown_by.as_str() == "snapshots")
        .collect();
    assert!(!compared.is_empty());
    for row in compared {
        let bucket = place.world.bucket(&row.bucket).expect("a bucket");
        let mut jobs = rows.iter().filter(|r| r.bucket == row.bucket);
        let job = jobs.find(|r| r.operation.is_some()).expect("its job");
        assert_eq!(format!("{:?}", bucket.settings.history), "Moving");
        assert_eq!((row.target_key.as_str(), row.target_wanted), ("", None));
        assert_eq!(
            (row.versions_moved, row.bytes_moved),
            (job.versions_moved, job.bytes_moved)
        );
        assert_eq!(row.versions_unknown, Some(0), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_of_metadata_tables_know_which_key() {
    let place = Place::new(&options()).await;
    let now = place.world.audit_ms(0);
    let central = place.world.buckets.iter();
    let places: Vec<String> = central
        .filter(|bucket| bucket.kind == BucketKind::CentralReports)
        .map(|bucket| format!("s3://{}/exports/", bucket.name))
        .collect();
    assert!(!places.is_empty());
    let settings = [ROLE, ("metadata_exports", &places.join(","))];
    let (_, sealed) = audited(&place, &settings).await;
    let is_central = |kind| kind == BucketKind::CentralLogs;
    let seen = compare_findings(&place, &sealed, now, is_central).await;
    assert!(
        seen.contains_key("FAIL history_outside_customer_key"),
        "{seen:?}"
    );
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    let known: Vec<_> = summaries
        .iter()
        .filter(|r| r.source == "metadata_table")
        .collect();
    assert!(
        known
            .iter()
            .any(|r| r.encryption == "customer_key" && r.key_arn.is_some())
    );
    assert!(
        known.iter().all(|r| r.encryption != "kms_key_unknown"),
        "{known:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_role_jobs_are_counted_and_nothing_is_read() {
    let place = Place::new(&Options {
        accounts: 12,
        ..options()
    })
    .await;
    let (_, sealed) = audited(&place, &[]).await;
    let summaries: Vec<LogObjectSummary> = sealed.rows().await;
    assert!(summaries.is_empty());
    let cells: Vec<Coverage> = sealed.rows().await;
    assert!(cells.iter().all(|c| c.source != Source::LogHistory));
    assert!(place.calls("ListJobs") > 0);
    assert_eq!(place.calls("GetObject"), 0);
    let jobs: Vec<_> = cells
        .iter()
        .filter(|c| c.source == Source::Reencryption)
        .collect();
    let answered = [CellOutcome::Collected, CellOutcome::Empty];
    assert!(
        jobs.iter().any(|c| answered.contains(&c.outcome)),
        "{jobs:?}"
    );
    let rows: Vec<Reencryption> = sealed.rows().await;
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|r| r.shown_by.as_str() == "job_counts" && r.bytes_moved.is_none())
    );
}
