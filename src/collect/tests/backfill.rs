//! Files of a trail without digest files, in the scripted AWS: what is taken of them. (With digest files:
//! tests/it/backfill.rs.)

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;
use crate::collect::api::ErrorClass;
use crate::collect::backfill::{self, Contents, Found, TrailPlace, Wanted};
use crate::collect::fake::{Fault, What};
use crate::collect::operation::Operation;
use crate::model::datasets::TrailReading;
use crate::model::words::{EventSource, LaunchClass, TrailOutcome};

const BUCKET: &str = "trail";

fn wanted(accounts: &[&str]) -> Wanted {
    Wanted {
        place: TrailPlace {
            bucket: BUCKET.to_owned(),
            prefix: String::new(),
            organization: Some("o-example".to_owned()),
        },
        owner: id(B),
        bucket_region: region(IRELAND),
        role: "keyproof-source-reader".to_owned(),
        trail: None,
        keys: [(id(A), region(IRELAND))].into(),
        buckets: BTreeSet::new(),
        accounts: accounts.iter().map(|a| id(a)).collect(),
        regions: None,
        from: "2026-10-03".parse().expect("a date"),
        to: "2026-10-04".parse().expect("a date"),
    }
}

fn record(event: &str, at: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": at,
        "eventSource": "elasticmapreduce.amazonaws.com", "eventName": "RunJobFlow",
        "awsRegion": IRELAND, "recipientAccountId": A, "eventID": event, "readOnly": false,
        "userIdentity": {"type": "AssumedRole", "accountId": A,
            "arn": format!("arn:aws:sts::{A}:assumed-role/etl-launcher/run-7")},
        "requestParameters": {"name": "nightly", "instances": {}, "logUri": "s3://logs/emr/"},
        "responseElements": {"jobFlowId": format!("j-{event}")},
    })
}

/// A log file of account A's Ireland, delivered at `at` (`20261003T0415Z`).
fn put(world: &World, at: &str, unique: &str, bytes: Vec<u8>) -> String {
    let day = format!("{}/{}/{}", &at[..4], &at[4..6], &at[6..8]);
    let name = format!(
        "AWSLogs/o-example/{A}/CloudTrail/{IRELAND}/{day}/{A}_CloudTrail_{IRELAND}_{at}_{unique}.json.gz"
    );
    world.edit(B, |b| {
        drop(b.reports.insert(format!("{BUCKET}/{name}"), bytes))
    });
    format!("s3://{BUCKET}/{name}")
}

fn packed(records: &[Value]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let text = json!({"Records": records}).to_string();
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

async fn read(world: &World, wanted: &Wanted) -> (Contents, Vec<Found>) {
    let context = world.context();
    let contents = backfill::list(&context, wanted).await.expect("listed");
    let mut found = Vec::new();
    let read = backfill::read(&context, wanted, &contents, |of| {
        found.push(of);
        Ok(())
    });
    read.await.expect("read");
    (contents, found)
}

fn said(readings: &[TrailReading], outcome: TrailOutcome) -> Vec<(&str, Option<&str>)> {
    let rows = readings.iter().filter(|r| r.outcome == outcome);
    rows.map(|r| (r.reason.as_deref().unwrap_or_default(), r.file.as_deref()))
        .collect()
}

#[tokio::test]
async fn duplicated_event_ids_are_one_launch() {
    let world = World::new();
    let first = record("e-1", "2026-10-03T04:11:09Z");
    let mut corrected = record("e-9", "2026-10-03T04:11:09Z");
    corrected["addendum"] = json!({"reason": "UPDATED_DATA", "originalEventID": "e-1"});
    corrected["requestParameters"]["name"] = json!("corrected");
    put(
        &world,
        "20261003T0415Z",
        "a",
        packed(&[first.clone(), first.clone()]),
    );
    put(
        &world,
        "20261003T0420Z",
        "b",
        packed(&[record("e-2", "2026-10-03T04:12:09Z"), first]),
    );
    put(&world, "20261004T2300Z", "c", packed(&[corrected]));
    let (contents, found) = read(&world, &wanted(&[A])).await;
    assert_eq!((contents.units.len(), contents.totals().0), (1, 3));
    let launches = &found[0].launches;
    let ids: Vec<_> = launches.iter().map(|row| row.event_id.as_str()).collect();
    assert_eq!(ids, ["e-1", "e-2"]);
    assert_eq!(
        launches[0].name.as_deref(),
        Some("corrected"),
        "the correction speaks"
    );
    assert_eq!(launches[0].read_from, EventSource::UnvalidatedTrail);
    let not_validated = said(&found[0].readings, TrailOutcome::NotValidated);
    assert!(
        not_validated
            .iter()
            .any(|(reason, _)| *reason == "NotInDigest"),
        "{not_validated:?}"
    );
}

#[tokio::test]
async fn events_above_100_kb_without_parameters_are_no_launch_without_a_key() {
    let world = World::new();
    let mut large = record("e-1", "2026-10-03T04:11:09Z");
    large["requestParameters"] = Value::Null;
    put(&world, "20261003T0415Z", "a", packed(&[large]));
    let (_, found) = read(&world, &wanted(&[A])).await;
    let row = &found[0].launches[0];
    assert!(!row.params_available);
    assert_eq!(row.class, LaunchClass::AcceptedParamsUnavailable);
}

#[tokio::test]
async fn clock_skew_and_the_days_around() {
    let world = World::new();
    let at = |id, at| record(id, at);
    put(
        &world,
        "20261003T0415Z",
        "a",
        packed(&[
            at("e-ok", "2026-10-03T04:25:00Z"),
            // Two hours after its own delivery: no clock of AWS's.
            at("e-future", "2026-10-03T06:30:00Z"),
        ]),
    );
    // Delivered a day late, and the other way about: filed under the days around.
    put(
        &world,
        "20261005T0100Z",
        "b",
        packed(&[
            at("e-late", "2026-10-04T23:59:00Z"),
            at("e-after", "2026-10-05T00:01:00Z"),
        ]),
    );
    put(
        &world,
        "20261002T2358Z",
        "c",
        packed(&[at("e-before", "2026-10-02T23:50:00Z")]),
    );
    // Two days away is not even listed.
    put(
        &world,
        "20261006T0100Z",
        "d",
        packed(&[at("e-far", "2026-10-04T10:00:00Z")]),
    );
    let (contents, found) = read(&world, &wanted(&[A])).await;
    assert_eq!(contents.totals().0, 3);
    let ids: Vec<_> = found[0]
        .launches
        .iter()
        .map(|row| row.event_id.as_str())
        .collect();
    assert_eq!(ids, ["e-late", "e-ok"]);
    let unreadable: i64 = found[0].readings.iter().map(|r| r.records_unreadable).sum();
    assert_eq!(unreadable, 1, "and that is said");
}

#[tokio::test]
async fn a_cloudtrail_file_cut_in_half_gives_nothing() {
    let world = World::new();
    let many: Vec<Value> = (0..50)
        .map(|n| record(&format!("e-{n}"), "2026-10-03T04:11:09Z"))
        .collect();
    let whole = packed(&many);
    let cut = put(
        &world,
        "20261003T0415Z",
        "a",
        whole[..whole.len() / 2].to_vec(),
    );
    put(
        &world,
        "20261003T0815Z",
        "b",
        packed(&[record("e-other", "2026-10-03T08:11:09Z")]),
    );
    let (_, found) = read(&world, &wanted(&[A])).await;
    let ids: Vec<_> = found[0]
        .launches
        .iter()
        .map(|row| row.event_id.as_str())
        .collect();
    assert_eq!(ids, ["e-other"], "nothing is taken of half a file");
    let failed = said(&found[0].readings, TrailOutcome::Failed);
    assert_eq!(failed, [("LogFileMalformed", Some(cut.as_str()))]);
}

#[tokio::test]
async fn what_is_of_another_place_or_no_record_is_counted() {
    let world = World::new();
    let mut foreign = record("e-1", "2026-10-03T04:11:09Z");
    foreign["recipientAccountId"] = json!(B);
    let mut without_time = record("e-2", "2026-10-03T04:11:09Z");
    without_time["eventTime"] = Value::Null;
    let other = json!({"eventName": "DescribeCluster"});
    put(
        &world,
        "20261003T0415Z",
        "a",
        packed(&[foreign, without_time, other]),
    );
    let (_, found) = read(&world, &wanted(&[A])).await;
    assert!(found[0].launches.is_empty());
    let sums = found[0]
        .readings
        .iter()
        .fold((0, 0), |(records, unreadable), row| {
            (records + row.records, unreadable + row.records_unreadable)
        });
    assert_eq!(sums, (3, 2));
}

#[tokio::test]
async fn changes_are_kept_where_what_they_change_lives() {
    let world = World::new();
    let change = |id: &str, source: &str, name: &str, request: Value| {
        let mut record = record(id, "2026-10-03T04:11:09Z");
        record["eventSource"] = json!(source);
        record["eventName"] = json!(name);
        record["requestParameters"] = request;
        record["responseElements"] = Value::Null;
        record
    };
    let key = format!("arn:aws:kms:{IRELAND}:{A}:key/0a0a0a0a-1111-4222-8333-444444444444");
    let records = [
        change(
            "e-1",
            "kms.amazonaws.com",
            "DisableKey",
            json!({"keyId": key}),
        ),
        change(
            "e-2",
            "s3.amazonaws.com",
            "PutBucketPolicy",
            json!({"bucketName": "b"}),
        ),
        change(
            "e-3",
            "cloudtrail.amazonaws.com",
            "StopLogging",
            json!({"name": "t"}),
        ),
        // It only names such an event.
        change(
            "e-4",
            "kms.amazonaws.com",
            "Encrypt",
            json!({"eventName": "DisableKey"}),
        ),
    ];
    put(&world, "20261003T0415Z", "a", packed(&records));
    let (_, found) = read(&world, &wanted(&[A])).await;
    let kept: Vec<_> = found[0]
        .control_events
        .iter()
        .map(|row| row.event_name.as_str())
        .collect();
    assert_eq!(
        kept,
        ["DisableKey", "StopLogging"],
        "no log bucket lives there"
    );
    assert!(found[0].launches.is_empty());
}

#[tokio::test]
async fn what_is_refused_is_said_and_other_accounts_go_on() {
    let world = World::new();
    put(
        &world,
        "20261003T0415Z",
        "a",
        packed(&[record("e-1", "2026-10-03T04:11:09Z")]),
    );
    let denied = |operation, subject: &str| Fault {
        operation,
        account: None,
        region: None,
        subject: Some(subject.to_owned()),
        skip: 0,
        times: usize::MAX,
        what: What::Error(ErrorClass::DeniedIam, "AccessDenied", ""),
    };
    let (_, found) = read(&world, &wanted(&[A, B])).await;
    assert_eq!(found.len(), 2);
    let absent = found
        .iter()
        .find(|f| f.readings[0].account_id == id(B))
        .expect("B");
    assert_eq!(absent.readings.len(), 1);
    assert_eq!(absent.readings[0].reason.as_deref(), Some("NoTrail"));

    let name = world.cloud.with(|s| {
        let reports = &s.accounts[B].reports;
        reports.keys().next().expect("a file").clone()
    });
    world
        .cloud
        .with(|s| s.faults.push(denied(Operation::GetSourceObject, &name)));
    let (_, found) = read(&world, &wanted(&[A])).await;
    assert!(found[0].launches.is_empty());
    let not_read = said(&found[0].readings, TrailOutcome::NotRead);
    assert!(not_read.iter().all(|(code, _)| *code == "AccessDenied") && !not_read.is_empty());
}
