//! Local progress on disk.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::config::Config;

use super::RunError;

/// A folder of one process, below the configured one; removed with the value unless kept.
pub struct Work {
    pub path: PathBuf,
    pub keep: bool,
}

impl Work {
    /// Makes `keyproof-<name>`, which only its owner may enter.
    pub fn create(config: &Config, name: &str) -> Result<Self, RunError> {
        let base = config.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&base).map_err(|e| RunError::local(&base, e))?;
        let path = base.join(format!("keyproof-{name}"));
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(0o700).create(&path);
        made.map_err(|e| RunError::local(&path, e))?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.keep {
            // Of no use once the run is over; what cannot be removed is left.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
