//! Reports about log objects come into being when somebody looks at them: inventories, exports of metadata
//! tables, completion reports of jobs.
//!
//! A team's inventory is CSV, that of the central bucket Parquet; each is of one midnight.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::store::{Content, Encryption, S3State, etag};
use crate::sandbox::World;
use crate::sandbox::wire::encoding::{hex, s3_url_encode};
use crate::sandbox::wire::iso_millis;
use crate::sandbox::world::Bucket;
use crate::sandbox::world::buckets::BucketKind;
use crate::sandbox::world::history::{BatchJob, StoredVersion};

/// Where inventories lie in a bucket of reports.
pub(super) const INVENTORY: &str = "inventory";
/// Where exports of the metadata table lie.
const EXPORTS: &str = "exports";
/// Where completion reports lie.
pub const JOB_REPORTS: &str = "jobs";

const CSV_SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, EncryptionStatus";
const PARQUET_SCHEMA: &str = "message s3.inventory { required binary bucket (STRING); required binary key \
    (STRING); optional binary version_id (STRING); optional boolean is_latest; optional boolean \
    is_delete_marker; optional int64 size; optional binary encryption_status (STRING); }";

/// Puts the reports of the log bucket that `bucket` is for, of every midnight that has none yet.
pub(super) fn provide(world: &World, state: &S3State, now_ms: i64, bucket: &Bucket) {
    if !bucket.kind.holds_reports() {
        return;
    }
    let Some(of) = bucket
        .name
        .strip_suffix("-reports")
        .and_then(|name| world.bucket(name))
    else {
        return;
    };
    for at in world.report_days(now_ms) {
        let day = DateTime::from_timestamp_millis(at).unwrap_or_default();
        let day = day.format("%Y-%m-%dT%H-%MZ").to_string();
        let above = format!("{INVENTORY}/{}/{}", of.name, of.settings.rule_name(0));
        let manifest = format!("{above}/{day}/manifest.json");
        if state.object(&bucket.name, &manifest).is_some() {
            continue;
        }
        let versions = world.stored_versions(of, at);
        let put = |key: &str, bytes: Vec<u8>| add(state, bucket, key, bytes, at);
        let (format, schema, end, data) = match of.kind {
            BucketKind::CentralLogs => (
                "Parquet",
                PARQUET_SCHEMA,
                "parquet",
                columnar(of, &versions, false),
            ),
            _ => ("CSV", CSV_SCHEMA, "csv.gz", gzip(&csv(of, &versions))),
        };
        let name = format!("{above}/data/{day}.{end}");
        let document = json!({
            "sourceBucket": of.name,
            "destinationBucket": format!("arn:aws:s3:::{}", bucket.name),
            "version": "2016-11-30",
            "creationTimestamp": at.to_string(),
            "fileFormat": format,
            "fileSchema": schema,
            "files": [{"key": name, "size": data.len(), "MD5checksum": md5(&data)}],
        })
        .to_string();
        put(&name, data);
        put(
            &format!("{above}/{day}/manifest.checksum"),
            md5(document.as_bytes()).into_bytes(),
        );
        put(&manifest, document.into_bytes());
        if of.settings.metadata_table {
            let folder = format!("{EXPORTS}/{}/{day}", of.name);
            put(
                &format!("{folder}/part-0.parquet"),
                columnar(of, &versions, true),
            );
            put(&format!("{folder}/_SUCCESS"), Vec::new());
        }
    }
    let job = world
        .batch_job(of, now_ms)
        .filter(|job| job.ended_ms <= now_ms);
    if let Some(job) = job.filter(|job| job.reports_all.is_some()) {
        completion(state, bucket, &job);
    }
}

fn completion(state: &S3State, bucket: &Bucket, job: &BatchJob) {
    let folder = format!("{JOB_REPORTS}/job-{}", job.id);
    let manifest = format!("{folder}/manifest.json");
    if state.object(&bucket.name, &manifest).is_some() {
        return;
    }
    let put = |key: &str, bytes: Vec<u8>| add(state, bucket, key, bytes, job.ended_ms);
    let mut results = Vec::new();
    for (word, is_failed) in [("succeeded", false), ("failed", true)] {
        let tasks = job
            .tasks
            .iter()
            .filter(|task| task.error.is_some() == is_failed);
        let rows: String = tasks
            .map(|task| {
                let end = match task.error {
                    None => "succeeded,,200,Successful".to_owned(),
                    Some(code) => {
                        format!("failed,{code},403,\"Access Denied, the object is locked\"")
                    }
                };
                let key = s3_url_encode(&task.key);
                format!("{},{key},{},{end}\n", job.bucket, task.version_id)
            })
            .collect();
        if rows.is_empty() || (job.reports_all == Some(false) && !is_failed) {
            continue;
        }
        let name = format!("{folder}/results/{}.csv", md5(rows.as_bytes()));
        results.push(json!({
            "TaskExecutionStatus": word, "Bucket": bucket.name, "Key": name,
            "MD5Checksum": md5(rows.as_bytes()),
        }));
        put(&name, rows.into_bytes());
    }
    let document = json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": iso_millis(job.ended_ms),
        "Results": results,
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    })
    .to_string();
    put(
        &format!("{folder}/manifest.json.md5"),
        md5(document.as_bytes()).into_bytes(),
    );
    put(&manifest, document.into_bytes());
}

fn csv(of: &Bucket, versions: &[StoredVersion]) -> String {
    let row = |v: &StoredVersion| {
        let size = if v.is_delete_marker {
            String::new()
        } else {
            v.bytes.to_string()
        };
        format!(
            "\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",\"{size}\",\"{}\"\n",
            of.name,
            s3_url_encode(&v.key),
            v.version_id,
            v.is_latest,
            v.is_delete_marker,
            v.status
        )
    };
    versions.iter().map(row).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let written = packed.write_all(text.as_bytes());
    written
        .and_then(|()| packed.finish())
        .expect("memory takes everything")
}

fn columnar(of: &Bucket, versions: &[StoredVersion], with_keys: bool) -> Vec<u8> {
    let text = |value: fn(&StoredVersion) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(versions.iter().map(value)))
    };
    let flag = |value: fn(&StoredVersion) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(
            versions.iter().map(|v| Some(value(v))),
        ))
    };
    let sizes = versions.iter();
    let sizes = sizes.map(|v| (!v.is_delete_marker).then_some(v.bytes as i64));
    let bucket: ArrayRef = Arc::new(StringArray::from(vec![of.name.as_str(); versions.len()]));
    let mut columns = vec![
        ("bucket", bucket),
        ("key", text(|v| Some(&v.key))),
        ("version_id", text(|v| Some(&v.version_id))),
        ("is_latest", flag(|v| v.is_latest)),
        ("is_delete_marker", flag(|v| v.is_delete_marker)),
        ("size", Arc::new(Int64Array::from_iter(sizes)) as ArrayRef),
        ("encryption_status", text(|v| Some(v.status))),
    ];
    if with_keys {
        columns.push(("kms_key_arn", text(|v| v.kms_key.as_deref())));
    }
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a schema of plain types");
    writer.write(&batch).expect("memory takes everything");
    writer.into_inner().expect("memory takes everything")
}

fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

fn add(state: &S3State, bucket: &Bucket, key: &str, bytes: Vec<u8>, at_ms: i64) {
    let content = Content {
        etag: etag(&<sha2::Sha256 as sha2::Digest>::digest(&bytes).into()),
        body: Arc::new(bytes),
        checksum: None,
        encryption: Encryption {
            algorithm: "AES256".to_owned(),
            key: None,
            bucket_key: false,
        },
        retention: None,
        headers: Vec::new(),
    };
    state
        .lock()
        .add(&bucket.name, key, bucket.versioning, Some(content), at_ms);
}
