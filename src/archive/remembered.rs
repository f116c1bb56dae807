//! Archives that this machine created or once verified, like `known_hosts`: entry 1 and the last head
//! seen of each, so that a replaced archive or a removed tail is noticed without a pin.
//!
//! One JSON file per archive URL below `<state dir>/archives`, mode 0600, replaced atomically.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state_file;
use crate::model::ids::Sha256Hex;
use crate::seal::ArchiveId;

/// What is remembered of one archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    pub url: String,
    pub archive_id: ArchiveId,
    /// Digest of entry 1: the pin.
    pub genesis_sha256: Sha256Hex,
    pub keyid: Sha256Hex,
    /// The last signed entry seen.
    pub head_seq: u64,
    pub head_sha256: Sha256Hex,
}

/// Why nothing could be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum RememberError {
    #[error("state file {}: {detail}; name a folder that can be read and written with --state-dir", .path.display())]
    Io { path: PathBuf, detail: String },
    /// Never ignored: whoever could garble it would make a removed tail go unnoticed.
    #[error("state file {} cannot be read ({detail}): verify with --pin, then remove it", .path.display())]
    Garbage { path: PathBuf, detail: String },
    /// Another archive stands where the remembered one stood.
    #[error(
        "{url} is not the archive that state file {} remembers (entry 1 was {expected}, is {found}): if that is meant, remove the file", .path.display()
    )]
    Replaced {
        url: String,
        path: PathBuf,
        expected: Sha256Hex,
        found: Sha256Hex,
    },
}

/// What is remembered of the archive at `url`; none when it was never seen.
pub fn lookup(state_dir: &Path, url: &str) -> Result<Option<Remembered>, RememberError> {
    let path = file_of(state_dir, url);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(&path, &e)),
    };
    let garbage = |detail: String| RememberError::Garbage {
        path: path.clone(),
        detail,
    };
    let remembered: Remembered =
        serde_json::from_slice(&bytes).map_err(|e| garbage(e.to_string()))?;
    if remembered.url == url {
        Ok(Some(remembered))
    } else {
        Err(garbage(format!("it is about {}", remembered.url)))
    }
}

/// Remembers an archive as it was just sealed or verified. Another entry 1 than the remembered one is
/// refused; a lower head than the remembered one changes nothing.
pub fn remember(state_dir: &Path, seen: &Remembered) -> Result<(), RememberError> {
    let path = file_of(state_dir, &seen.url);
    if let Some(before) = lookup(state_dir, &seen.url)? {
        if before.genesis_sha256 != seen.genesis_sha256 {
            return Err(RememberError::Replaced {
                url: seen.url.clone(),
                path,
                expected: before.genesis_sha256,
                found: seen.genesis_sha256.clone(),
            });
        }
        if before.head_seq >= seen.head_seq {
            return Ok(());
        }
    }
    let text = serde_json::to_string_pretty(seen).map_err(|e| RememberError::Io {
        path: path.clone(),
        detail: e.to_string(),
    })?;
    state_file::replace(&path, &text).map_err(|e| io(&path, &e))
}

/// URLs hold characters that file names cannot.
fn file_of(state_dir: &Path, url: &str) -> PathBuf {
    let digest = Sha256Hex::of(url.as_bytes());
    state_dir
        .join("archives")
        .join(format!("{}.json", &digest.as_str()[..32]))
}

fn io(path: &Path, e: &std::io::Error) -> RememberError {
    RememberError::Io {
        path: path.to_owned(),
        detail: e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testkit::TempDir;

    fn seen(head_seq: u64) -> Remembered {
        Remembered {
            url: "s3://bucket/prefix".to_owned(),
            archive_id: ArchiveId::from_random([7; 16]),
            genesis_sha256: Sha256Hex::of(b"genesis"),
            keyid: Sha256Hex::of(b"key"),
            head_seq,
            head_sha256: Sha256Hex::of(&head_seq.to_be_bytes()),
        }
    }

    #[test]
    fn the_highest_head_is_remembered() {
        let dir = TempDir::new();
        let state = dir.path().join("state");
        let look = || lookup(&state, &seen(1).url).expect("readable");
        assert_eq!(look(), None);
        for (head, expected) in [(2, 2), (5, 5), (3, 5)] {
            remember(&state, &seen(head)).expect("remembered");
            assert_eq!(look(), Some(seen(expected)));
        }
        assert_eq!(lookup(&state, "s3://bucket/other").expect("readable"), None);
        let files: Vec<_> = fs::read_dir(state.join("archives"))
            .expect("folder")
            .map(|entry| entry.expect("entry").metadata().expect("metadata"))
            .collect();
        assert_eq!(files.len(), 1, "no temporary is left");
        assert_eq!(files[0].permissions().mode() & 0o777, 0o600);
        let mode = fs::metadata(&state).expect("folder").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn another_archive_in_the_same_place_is_noticed() {
        let dir = TempDir::new();
        remember(dir.path(), &seen(2)).expect("remembered");
        let mut other = seen(9);
        other.genesis_sha256 = Sha256Hex::of(b"other");
        let refused = remember(dir.path(), &other);
        assert!(matches!(refused, Err(RememberError::Replaced { .. })));
        let still = lookup(dir.path(), &other.url).expect("readable");
        assert_eq!(still, Some(seen(2)));
    }

    #[test]
    fn garbage_is_never_taken_for_nothing() {
        let dir = TempDir::new();
        remember(dir.path(), &seen(2)).expect("remembered");
        let path = file_of(dir.path(), &seen(2).url);
        let text = fs::read_to_string(&path).expect("read");
        for bad in [
            String::new(),
            "{}".to_owned(),
            text.replace("bucket", "basket"),
            text.replace("\"url\"", "\"uri\""),
        ] {
            fs::write(&path, bad).expect("write");
            let looked = lookup(dir.path(), &seen(2).url);
            assert!(
                matches!(looked, Err(RememberError::Garbage { .. })),
                "{looked:?}"
            );
            assert!(remember(dir.path(), &seen(3)).is_err());
        }
    }
}
