//! The completion report of an S3 Batch Operations job: what became of each version.
//!
//! Below `<prefix>/job-<id>/` lie `manifest.json`, its MD5 in `manifest.json.md5`, and CSV files of
//! succeeded and of failed tasks, without a header
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>).

use std::fs::File;
use std::path::Path;

use serde::Deserialize;

use super::csv_rows::Rows;
use super::error::ReportError;
use super::inventory::{DataFile, is_md5};
use super::rows::{column_name, version_id};
use crate::model::url_encoding::decode;

/// Name of the manifest in the job's folder.
pub const MANIFEST: &str = "manifest.json";
/// Name of the file with its MD5.
pub const CHECKSUM: &str = "manifest.json.md5";

/// A report whose manifest is as S3 wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionReport {
    columns: Vec<String>,
    pub files: Vec<DataFile>,
}

/// One task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    pub bucket: &'a str,
    pub key: &'a [u8],
    /// Empty: the version that was current.
    pub version_id: &'a str,
    pub succeeded: bool,
    /// S3's error code; empty where it succeeded.
    pub error_code: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    results: Vec<ManifestResult>,
    report_schema: String,
}

#[derive(Deserialize)]
struct ManifestResult {
    #[serde(rename = "MD5Checksum")]
    md5: String,
    #[serde(rename = "Key")]
    key: String,
}

/// The folder of a job's report below the report's prefix.
pub fn folder(prefix: &str, job_id: &str) -> String {
    match prefix.trim_matches('/') {
        "" => format!("job-{job_id}/"),
        prefix => format!("{prefix}/job-{job_id}/"),
    }
}

impl CompletionReport {
    /// Reads the manifest `json`, which messages call `file`. Its files must lie below `folder`.
    pub fn read(
        file: &str,
        json: &[u8],
        checksum: &[u8],
        folder: &str,
    ) -> Result<Self, ReportError> {
        if !is_md5(checksum, json) {
            return Err(ReportError::Checksum {
                file: file.to_owned(),
            });
        }
        let manifest: Manifest =
            serde_json::from_slice(json).map_err(|e| ReportError::foreign(file, e))?;
        let columns: Vec<String> = manifest.report_schema.split(',').map(column_name).collect();
        for needed in ["bucket", "key", "taskstatus"] {
            if !columns.iter().any(|c| c == needed) {
                return Err(ReportError::foreign(file, format!("no {needed}")));
            }
        }
        let files = manifest.results.into_iter().map(|listed| {
            if !listed.key.starts_with(folder) || listed.key.contains("/../") {
                return Err(ReportError::ForeignFile { file: listed.key });
            }
            Ok(DataFile {
                key: listed.key,
                bytes: 0,
                md5: listed.md5,
            })
        });
        Ok(Self {
            columns,
            files: files.collect::<Result<_, _>>()?,
        })
    }

    /// Takes each task of the file at `path`, which messages call `file`. What S3 says beside its error code
    /// is not read.
    pub fn tasks(
        &self,
        path: &Path,
        file: &str,
        mut each: impl FnMut(&Task<'_>) -> Result<(), ReportError>,
    ) -> Result<u64, ReportError> {
        let place = |name: &str| self.columns.iter().position(|c| c == name);
        let [of_bucket, of_key, of_version, of_status, of_code] =
            ["bucket", "key", "versionid", "taskstatus", "errorcode"].map(place);
        let mut key = Vec::new();
        Rows::new(file, File::open(path)?).each(self.columns.len(), |row| {
            let text = |at: Option<usize>| at.map_or(Ok(""), |at| row.text(at));
            decode(of_key.map_or(&b""[..], |at| row.bytes(at)), &mut key);
            let succeeded = match text(of_status)? {
                word if word.eq_ignore_ascii_case("succeeded") => true,
                word if word.eq_ignore_ascii_case("failed") => false,
                _ => return Err(ReportError::foreign(file, "neither succeeded nor failed")),
            };
            each(&Task {
                bucket: text(of_bucket)?,
                key: &key,
                version_id: version_id(text(of_version)?),
                succeeded,
                error_code: text(of_code)?,
            })
        })
    }
}
