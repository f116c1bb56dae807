//! `keyproof schema`: writes the descriptions of all datasets.

use std::path::PathBuf;

use super::common;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write to
    #[arg(long, default_value = "schemas")]
    out: PathBuf,
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    let mut files = crate::record::schema_files(crate::archive::layout::evidence_folder);
    files.extend(crate::rollup::schema_files());
    for (name, content) in &files {
        let path = args.out.join(name);
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, content)
        };
        write().map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))?;
    }
    common::print(&format!(
        "{} files written below {}\n",
        files.len(),
        args.out.display()
    ))
}
