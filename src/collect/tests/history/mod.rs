//! What lies in log buckets, and jobs that re-encrypt it: who is asked, what is never kept, and what a
//! broken report comes to.

mod inventories;
mod jobs;
mod listings;
mod snapshots;

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
