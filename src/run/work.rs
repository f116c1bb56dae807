//! Local progress on disk.
//!
//! ```text
//! <work dir>/keyproof-<run id>/lock         held while a process works on the run
//!                              scope.json   the frozen scope, once the run has begun
//!                              listed.json  the same of the accounts that a long list began with
//!                              writer       the random name of this run's files
//!                              journal-<n>  the highest number counts: each resumption copies what ended
//! ```

use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::model::ids::RunId;
use crate::record::Journal;

use super::RunError;

const JOURNAL: &str = "journal-";
/// The frozen scope.
pub const SCOPE: &str = "scope.json";
/// The accounts that are looked into while others are being listed, as a scope.
pub const LISTED: &str = "listed.json";

/// A folder of one process, below the configured one; removed with the value unless kept.
pub struct Work {
    pub path: PathBuf,
    pub keep: bool,
    /// Released when the process ends, however it ends.
    _lock: File,
}

impl Work {
    /// Makes `keyproof-<name>`, which only its owner may enter.
    pub fn create(config: &Config, name: &str) -> Result<Self, RunError> {
        let path = place(config, name)?;
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(0o700).create(&path);
        made.map_err(|e| no_folder(&path, &e))?;
        let lock = path.join("lock");
        let lock = File::create_new(&lock).map_err(|e| RunError::local(&lock, e))?;
        lock.lock().map_err(|e| RunError::local(&path, e))?;
        Ok(Self {
            path,
            keep: false,
            _lock: lock,
        })
    }

    /// Opens what a dead process left of its run; kept until told otherwise.
    pub fn resume(config: &Config, run_id: &RunId) -> Result<Self, RunError> {
        let path = place(config, run_id.as_str())?;
        let none = |_| RunError::NothingToResume {
            run_id: run_id.clone(),
            path: path.display().to_string(),
        };
        let folder = std::fs::symlink_metadata(&path).map_err(none)?;
        refuse_foreign(&path, &folder)?;
        let lock = File::options().write(true).open(path.join("lock"));
        let lock = lock.map_err(none)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::AtWork {
                    run_id: run_id.clone(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(RunError::local(&path, e)),
        }
        Ok(Self {
            path,
            keep: true,
            _lock: lock,
        })
    }

    /// Writes a small file, whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        let (path, part) = (self.path.join(name), self.path.join(format!("{name}.part")));
        std::fs::write(&part, bytes).map_err(|e| RunError::local(&part, e))?;
        std::fs::rename(&part, &path).map_err(|e| RunError::local(&path, e))
    }

    /// Reads a small file of the run.
    pub fn read(&self, name: &str, run_id: &RunId) -> Result<Vec<u8>, RunError> {
        let path = self.path.join(name);
        std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => RunError::NothingToResume {
                run_id: run_id.clone(),
                path: path.display().to_string(),
            },
            _ => RunError::local(&path, e),
        })
    }

    /// The journal of a run that begins.
    pub fn first_journal(&self) -> Result<Journal, RunError> {
        Ok(Journal::create(&self.path.join(format!("{JOURNAL}1")))?)
    }

    /// The journal that counts, if the dead process had one, and what to call the next one. Everything
    /// else that it left is removed.
    pub fn last_journal(&self) -> Result<(Option<Journal>, u64), RunError> {
        let mut last = 0;
        let mut all = Vec::new();
        let entries = std::fs::read_dir(&self.path).map_err(|e| RunError::local(&self.path, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| RunError::local(&self.path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix(JOURNAL).and_then(|n| n.parse().ok());
            last = last.max(number.unwrap_or(0));
            all.push((entry.path(), name, number));
        }
        for (path, name, number) in all {
            let counts = number == Some(last) || ["lock", SCOPE, "writer"].contains(&&*name);
            if !counts {
                remove(&path)?;
            }
        }
        if last == 0 {
            return Ok((None, 1));
        }
        let opened = Journal::open(&self.path.join(format!("{JOURNAL}{last}")))?;
        for torn in opened.unfinished {
            tracing::info!(
                "the process died while it wrote {}: its last {} bytes are not used",
                torn.dataset,
                torn.bytes
            );
        }
        Ok((Some(opened.journal), last + 1))
    }

    /// Where a journal is made that shall count once it is complete.
    pub fn next_journal(&self) -> PathBuf {
        self.path.join("journal.part")
    }

    /// Lets the next journal count in place of `old`, and opens it.
    pub fn replace_journal(&self, old: Option<Journal>, number: u64) -> Result<Journal, RunError> {
        let path = self.path.join(format!("{JOURNAL}{number}"));
        std::fs::rename(self.next_journal(), &path).map_err(|e| RunError::local(&path, e))?;
        if let Some(old) = old {
            old.remove()?;
        }
        Ok(Journal::open(&path)?.journal)
    }
}

/// The folder of this name; the one above it is made.
fn place(config: &Config, name: &str) -> Result<PathBuf, RunError> {
    let base = config.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&base).map_err(|e| no_folder(&base, &e))?;
    Ok(base.join(format!("keyproof-{name}")))
}

fn no_folder(path: &Path, error: &std::io::Error) -> RunError {
    RunError::WorkFolder {
        path: path.display().to_string(),
        detail: error.to_string(),
    }
}

/// What is found in a folder counts as what this user's own process left there, so nobody else may have
/// made it: in a shared folder for temporary files everybody may take any name.
fn refuse_foreign(path: &Path, folder: &Metadata) -> Result<(), RunError> {
    let foreign = |detail: &'static str| RunError::ForeignWork {
        path: path.display().to_string(),
        detail,
    };
    if !folder.is_dir() {
        return Err(foreign("is no folder"));
    }
    if folder.mode() & 0o7777 != 0o700 {
        return Err(foreign("may be entered by others (its mode is not 0700)"));
    }
    // A file made here and now tells who we are.
    let probe = path.join("owner.part");
    let _ = std::fs::remove_file(&probe);
    let made = File::create_new(&probe).and_then(|file| file.metadata());
    let made = made.map_err(|e| RunError::local(&probe, e))?;
    let _ = std::fs::remove_file(&probe);
    if made.uid() != folder.uid() {
        return Err(foreign("belongs to another user"));
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), RunError> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    removed.map_err(|e| RunError::local(path, e))
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.keep {
            // Of no use once the run is over; what cannot be removed is left.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testkit::TempDir;

    #[test]
    fn only_a_folder_that_nobody_else_can_have_made_is_gone_on_with() {
        let above = TempDir::new();
        let path = above.path().join("work");
        let refused = |path: &Path| {
            let folder = std::fs::symlink_metadata(path).expect("metadata");
            refuse_foreign(path, &folder).err().map(|e| e.to_string())
        };
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).create(&path).expect("create");
        assert_eq!(refused(&path), None);
        assert_eq!(std::fs::read_dir(&path).expect("list").count(), 0);

        let link = above.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        let text = refused(&link).expect("a link");
        assert!(text.contains("is no folder"), "{text}");
        for mode in [0o755, 0o770, 0o1700] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("mode");
            let text = refused(&path).expect("open to others");
            assert!(text.contains("0700"), "{text}");
        }
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&path, mode).expect("mode");
        // Only root can give a folder away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            let text = refused(&path).expect("another's");
            assert!(text.contains("another user"), "{text}");
        }
    }
}
