//! The manifest of an S3 Inventory report: which files list the versions, and how.
//!
//! A report lies below `<prefix>/<bucket>/<configuration>/`: for each day a folder
//! `YYYY-MM-DDTHH-MMZ/` with `manifest.json` and, written last, `manifest.checksum`; the data files lie in
//! `data/` (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html>).

use chrono::NaiveDateTime;
use serde::Deserialize;

use super::error::ReportError;
use super::rows::{Layout, column_name};
use crate::model::ids::hex;
use crate::time::UtcMillis;

/// Name of the manifest in a day's folder.
pub const MANIFEST: &str = "manifest.json";
/// Name of the file with its MD5.
pub const CHECKSUM: &str = "manifest.checksum";

/// A report whose manifest is as S3 wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// When S3 began to write it.
    pub created_at: UtcMillis,
    pub layout: Layout,
    /// Whether older versions are listed too.
    pub lists_versions: bool,
    pub files: Vec<DataFile>,
}

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    pub key: String,
    pub bytes: u64,
    /// Hex MD5.
    pub md5: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    creation_timestamp: String,
    file_format: String,
    file_schema: String,
    files: Vec<ManifestFile>,
}

#[derive(Deserialize)]
struct ManifestFile {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

impl Inventory {
    /// Reads the manifest `json`, which messages call `file`, whose MD5 `checksum` states. It must be about
    /// `bucket`, and its data must lie below `folder`, so that a forged one cannot point at logs.
    pub fn read(
        file: &str,
        json: &[u8],
        checksum: &[u8],
        bucket: &str,
        folder: &str,
    ) -> Result<Self, ReportError> {
        if !is_md5(checksum, json) {
            return Err(ReportError::Checksum {
                file: file.to_owned(),
            });
        }
        let manifest: Manifest =
            serde_json::from_slice(json).map_err(|e| ReportError::foreign(file, e))?;
        super::rows::check_bucket(file, bucket, &manifest.source_bucket)?;
        let created_at = manifest.creation_timestamp.parse().map(UtcMillis);
        let created_at = created_at
            .map_err(|_| ReportError::foreign(file, "a creation time that is no number"))?;
        let names: Vec<String> = words(&manifest.file_schema).collect();
        let layout = match manifest.file_format.to_ascii_uppercase().as_str() {
            "CSV" => Layout::CsvGz(manifest.file_schema.split(',').map(column_name).collect()),
            "ORC" => Layout::Orc,
            "PARQUET" => Layout::Parquet,
            other => {
                let detail = format!("format {other:.20} is none of CSV, ORC and Parquet");
                return Err(ReportError::foreign(file, detail));
            }
        };
        let has = |name: &str| names.iter().any(|n| n == name);
        if !has("bucket") || !has("key") {
            return Err(ReportError::foreign(file, "a schema without bucket or key"));
        }
        let files = manifest.files.into_iter().map(|listed| {
            if !listed.key.starts_with(folder) || listed.key.contains("/../") {
                return Err(ReportError::ForeignFile { file: listed.key });
            }
            Ok(DataFile {
                key: listed.key,
                bytes: listed.size,
                md5: listed.md5,
            })
        });
        Ok(Self {
            created_at,
            layout,
            lists_versions: has("versionid") && has("islatest"),
            files: files.collect::<Result<_, _>>()?,
        })
    }
}

/// The names in a schema of any of the three formats, and what else stands there.
fn words(schema: &str) -> impl Iterator<Item = String> {
    let words = schema.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|w| !w.is_empty()).map(column_name)
}

/// When a day's folder says it was made; `None` for other folders (`data/`, `hive/`).
pub fn folder_time(name: &str) -> Option<UtcMillis> {
    let name = name.trim_end_matches('/');
    let day = name.rsplit('/').next()?;
    let at = NaiveDateTime::parse_from_str(day, "%Y-%m-%dT%H-%MZ").ok()?;
    Some(UtcMillis(at.and_utc().timestamp_millis()))
}

/// Whether `stated`, hex, perhaps with blanks around it, is the MD5 of `bytes`.
pub fn is_md5(stated: &[u8], bytes: &[u8]) -> bool {
    use md5::Digest as _;
    let stated = std::str::from_utf8(stated).unwrap_or_default().trim();
    stated.eq_ignore_ascii_case(&hex(&md5::Md5::digest(bytes)))
}
