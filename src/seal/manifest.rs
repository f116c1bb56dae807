//! The manifest: every file of one run or rollup with its digest. Its own digest is a subject of the
//! signed statement, so a file that no manifest lists does not count.

use serde::{Deserialize, Serialize};

use super::statement::ArchiveId;
use super::text;
use crate::model::ids::{RunId, Sha256Hex};
use crate::time::{Date, Quarter, UtcMillis};

/// The version that is written, and the only one that is read.
const VERSION: &str = "1";

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("not a manifest in canonical form: {0}")]
    Malformed(String),
    #[error("a manifest of version '{0}'; this program reads version {VERSION}: use a newer one")]
    NewerVersion(String),
}

/// What the files speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A run's date.
    Date(Date),
    /// A rollup's quarter.
    Quarter(Quarter),
}

/// How storage kept a file when it was written, in storage's own words: evidence that later looks at
/// the file are compared with. What storage did not say is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredAs {
    /// Whether the bucket's own data key stands between the object and the KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_key: Option<bool>,
    /// ARN of the KMS key it lies under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// GOVERNANCE or COMPLIANCE; stands together with `locked_until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_mode: Option<String>,
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub locked_until: Option<UtcMillis>,
    /// The object's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One file. `rows` and `rows_sha256` (SHA-256 of the canonical JSON lines in row order) belong to
/// data files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub bytes: u64,
    /// Relative to the archive root.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_sha256: Option<Sha256Hex>,
    pub sha256: Sha256Hex,
    /// Absent where storage says nothing of its objects, as a folder does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredAs>,
}

/// The files of one run or rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub archive_id: ArchiveId,
    pub run_id: RunId,
    pub period: Period,
    /// Sorted by name, no name twice.
    pub files: Vec<FileEntry>,
    /// Names of files that a shard's losing writer left: never read, and no surprise. Sorted.
    pub orphans: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    archive_id: ArchiveId,
    files: Vec<FileEntry>,
    orphans: Vec<String>,
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    quarter: Option<Quarter>,
    run_id: RunId,
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    scheduled_for: Option<Date>,
    version: String,
}

impl Manifest {
    /// A manifest with its files and orphans in order. Fails on unsafe or repeated names.
    pub fn new(
        archive_id: ArchiveId,
        run_id: RunId,
        period: Period,
        mut files: Vec<FileEntry>,
        mut orphans: Vec<String>,
    ) -> Result<Self, ManifestError> {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        orphans.sort();
        let manifest = Self {
            archive_id,
            run_id,
            period,
            files,
            orphans,
        };
        manifest.check_names()?;
        Ok(manifest)
    }

    /// The stored form: one line of canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (scheduled_for, quarter) = match self.period {
            Period::Date(date) => (Some(date), None),
            Period::Quarter(quarter) => (None, Some(quarter)),
        };
        let wire = Wire {
            archive_id: self.archive_id.clone(),
            files: self.files.clone(),
            orphans: self.orphans.clone(),
            quarter,
            run_id: self.run_id.clone(),
            scheduled_for,
            version: VERSION.to_owned(),
        };
        text::canonical_line(&wire)
    }

    /// Reads the stored form; encodes again and compares byte for byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Peek {
            version: String,
        }
        let fault = |e: &dyn std::fmt::Display| ManifestError::Malformed(e.to_string());
        let peek: Peek = serde_json::from_slice(bytes).map_err(|e| fault(&e))?;
        if peek.version != VERSION {
            return Err(ManifestError::NewerVersion(
                peek.version.chars().take(20).collect(),
            ));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| fault(&e))?;
        let period = match (wire.scheduled_for, wire.quarter) {
            (Some(date), None) => Period::Date(date),
            (None, Some(quarter)) => Period::Quarter(quarter),
            _ => return Err(fault(&"needs scheduled_for or quarter, one of them")),
        };
        let manifest = Self {
            archive_id: wire.archive_id,
            run_id: wire.run_id,
            period,
            files: wire.files,
            orphans: wire.orphans,
        };
        manifest.check_names()?;
        if manifest.to_bytes() == bytes {
            Ok(manifest)
        } else {
            Err(fault(&"white space, field order or escapes"))
        }
    }

    /// The files as `sha256sum -c` reads them.
    pub fn sums(&self) -> String {
        self.files
            .iter()
            .map(|file| format!("{}  {}\n", file.sha256, file.name))
            .collect()
    }

    fn check_names(&self) -> Result<(), ManifestError> {
        let mut names: Vec<&str> = self.files.iter().map(|f| f.name.as_str()).collect();
        let sorted = |names: &[&str]| names.is_sorted_by(|a, b| a < b);
        let orphans: Vec<&str> = self.orphans.iter().map(String::as_str).collect();
        if !sorted(&names) || !sorted(&orphans) {
            return Err(ManifestError::Malformed(
                "names are not sorted or stand twice".to_owned(),
            ));
        }
        names.extend(orphans);
        if let Some(name) = names.iter().find(|name| !is_safe_name(name)) {
            return Err(ManifestError::Malformed(format!(
                "'{}' is not a safe name",
                name.chars().take(80).collect::<String>()
            )));
        }
        names.sort_unstable();
        if !sorted(&names) {
            return Err(ManifestError::Malformed(
                "a file is listed and an orphan at once".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Whether `name` can only mean an object below the archive root, to a shell as well: relative, plain
/// characters, no empty, hidden or parent component.
pub fn is_safe_name(name: &str) -> bool {
    name.len() <= 512
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._=/-".contains(&b))
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileEntry {
        FileEntry {
            bytes: 7,
            name: name.to_owned(),
            rows: Some(2),
            rows_sha256: Some(Sha256Hex::of(b"rows")),
            sha256: Sha256Hex::of(name.as_bytes()),
            stored: None,
        }
    }

    fn sample() -> Manifest {
        Manifest::new(
            ArchiveId::from_random([7; 16]),
            "20261124T020003Z-7f3a".parse().expect("id"),
            Period::Date("2026-11-24".parse().expect("date")),
            vec![file("evidence/b.parquet"), file("evidence/a.parquet")],
            vec!["evidence/lost.parquet".to_owned()],
        )
        .expect("manifest")
    }

    #[test]
    fn a_manifest_reads_back_as_written() {
        let manifest = sample();
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes), Ok(manifest));
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
        let empty = Manifest::new(
            ArchiveId::from_random([7; 16]),
            "20261124T020003Z-7f3a".parse().expect("id"),
            Period::Quarter("2026Q4".parse().expect("quarter")),
            vec![],
            vec![],
        )
        .expect("manifest");
        assert_eq!(Manifest::parse(&empty.to_bytes()), Ok(empty));
    }

    #[test]
    fn sums_are_what_sha256sum_reads() {
        let sums = sample().sums();
        let first = sums.lines().next().expect("line");
        assert_eq!(&first[64..], "  evidence/a.parquet");
        assert!(sums.ends_with(".parquet\n"));
    }

    #[test]
    fn no_flipped_bit_reads_as_the_same_manifest() {
        let manifest = sample();
        let bytes = manifest.to_bytes();
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert_ne!(Manifest::parse(&flipped).as_ref(), Ok(&manifest));
        }
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "a/../b",
            "..",
            "a//b",
            "a/",
            "./a",
            ".tmp/a",
            "a b",
            "a\nb",
            "ü",
            "a\\b",
            "-c",
            "evidence/-c",
        ] {
            assert!(!is_safe_name(bad), "{bad:?}");
            let made = Manifest::new(
                ArchiveId::from_random([7; 16]),
                "20261124T020003Z-7f3a".parse().expect("id"),
                Period::Date("2026-11-24".parse().expect("date")),
                vec![file(bad)],
                vec![],
            );
            assert!(made.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let text = String::from_utf8(sample().to_bytes()).expect("text");
        for bad in [
            String::new(),
            "[]".to_owned(),
            text.trim_end().to_owned(),
            text.replace("\"orphans\":", "\"extra\":1,\"orphans\":"),
            text.replace("evidence/b.parquet", "evidence/a.parquet"),
            text.replace("evidence/lost.parquet", "evidence/a.parquet"),
            text.replace("\"scheduled_for\":\"2026-11-24\",", ""),
            text.replace(
                "\"scheduled_for\"",
                "\"quarter\":\"2026Q4\",\"scheduled_for\"",
            ),
            text.replace("2026-11-24", "2026-11-31"),
            text.replace(":7,", ":7.0,"),
            text.replace(":7,", ":-7,"),
        ] {
            assert!(
                matches!(
                    Manifest::parse(bad.as_bytes()),
                    Err(ManifestError::Malformed(_))
                ),
                "{bad}"
            );
        }
        let newer = text.replace("\"version\":\"1\"", "\"version\":\"2\"");
        assert_eq!(
            Manifest::parse(newer.as_bytes()),
            Err(ManifestError::NewerVersion("2".to_owned()))
        );
    }
}
