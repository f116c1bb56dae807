//! How many versions lie in each log folder, by how they are encrypted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::ReportError;
use super::folders::LogFolders;
use super::rows::{Stored, VersionRow};

/// Most keys that one report may name. A bucket's logs lie under a handful.
pub const MOST_KEYS: usize = 10_000;

/// Numbers for the ways of being encrypted, small enough to stand in a record.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    keys: Vec<String>,
    by_key: HashMap<String, u32>,
}

/// Codes without a key, in order; those with a key follow.
const PLAIN: [Stored; 5] = [
    Stored::SseS3,
    Stored::Kms,
    Stored::SseC,
    Stored::Plain,
    Stored::Unknown,
];

impl Codes {
    /// The code of a version.
    pub fn of(&mut self, row: &VersionRow<'_>) -> Result<u32, ReportError> {
        let Some(key) = row.kms_key.filter(|_| row.stored == Stored::Kms) else {
            let at = PLAIN.iter().position(|stored| *stored == row.stored);
            return Ok(at.unwrap_or(PLAIN.len() - 1) as u32);
        };
        if let Some(code) = self.by_key.get(key) {
            return Ok(*code);
        }
        if self.keys.len() == MOST_KEYS {
            return Err(ReportError::TooManyKeys { limit: MOST_KEYS });
        }
        let code = (PLAIN.len() + self.keys.len()) as u32;
        self.keys.push(key.to_owned());
        self.by_key.insert(key.to_owned(), code);
        Ok(code)
    }

    /// What a code stands for.
    pub fn meaning(&self, code: u32) -> (Stored, Option<&str>) {
        let code = code as usize;
        match PLAIN.get(code) {
            Some(stored) => (*stored, None),
            None => {
                let key = self.keys.get(code - PLAIN.len());
                (Stored::Kms, key.map(String::as_str))
            }
        }
    }

    /// Every key that was named, in order of appearance.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// One group of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'s> {
    pub folder: &'s str,
    pub stored: Stored,
    pub kms_key: Option<&'s str>,
    pub is_latest: bool,
    pub versions: i64,
    /// `None` where the report does not tell sizes.
    pub bytes: Option<i64>,
}

/// The counts of one bucket. Grows with folders and keys, not with rows.
#[derive(Debug)]
pub struct Summary {
    folders: Arc<LogFolders>,
    pub codes: Codes,
    counts: BTreeMap<(u32, u32, bool), Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    versions: i64,
    bytes: i64,
    lacks_sizes: bool,
}

impl Summary {
    pub fn new(folders: Arc<LogFolders>) -> Self {
        Self {
            folders,
            codes: Codes::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Counts a version that lies in a log folder. A delete marker has no content to encrypt.
    pub fn add(&mut self, row: &VersionRow<'_>) -> Result<(), ReportError> {
        if row.is_delete_marker {
            return Ok(());
        }
        let Some(folder) = self.folders.of(row.key) else {
            return Ok(());
        };
        let code = self.codes.of(row)?;
        let counted = self.counts.entry((folder, code, row.is_latest));
        let counted = counted.or_default();
        counted.versions = counted.versions.saturating_add(1);
        match row.bytes {
            Some(bytes) => {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                counted.bytes = counted.bytes.saturating_add(bytes);
            }
            None => counted.lacks_sizes = true,
        }
        Ok(())
    }

    /// What was counted, in order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let counts = self.counts.iter();
        counts.filter_map(|((folder, code, is_latest), counted)| {
            let (stored, kms_key) = self.codes.meaning(*code);
            Some(Group {
                folder: self.folders.names().get(*folder as usize)?,
                stored,
                kms_key,
                is_latest: *is_latest,
                versions: counted.versions,
                bytes: (!counted.lacks_sizes).then_some(counted.bytes),
            })
        })
    }
}
