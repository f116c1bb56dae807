//! A small file of the state folder, whole or not at all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Puts `text` and an end of line at `path`, mode 0600, in place of what was there. Durable when it
/// returns. Folders above it are made, mode 0700.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let replaced = write_private(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::File::open(folder)?.sync_all());
    if replaced.is_err() {
        // Only a leftover of ours; the error that matters is the one returned.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
