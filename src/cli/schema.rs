//! `keyproof schema`: writes the descriptions of all datasets, and what is made of them.

use std::path::PathBuf;

use super::common;
use crate::archive::layout;
use crate::error::{Exit, Failure};
use crate::query::athena::Folders;
use crate::{config, query, record, rollup};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write to
    #[arg(long, default_value = "schemas")]
    out: PathBuf,
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    let files = files();
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

/// Every generated file: path relative to `schemas/`, and content.
fn files() -> Vec<(String, String)> {
    let folders = Folders {
        evidence: layout::evidence_folder,
        rollup: layout::rollup_folder,
        chain: layout::CHAIN,
        manifests: layout::MANIFESTS,
    };
    let mut files = record::schema_files();
    files.extend(rollup::schema_files());
    files.extend(query::schema_files());
    files.extend(query::athena::files(&folders, &rollup::MEASURES));
    files.push(("json/configuration.json".to_owned(), config::json_schema()));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_those_that_are_generated() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let mut by_folder = std::collections::BTreeMap::<String, Vec<String>>::new();
        for (name, content) in files() {
            let committed = std::fs::read_to_string(root.join(&name)).unwrap_or_default();
            assert!(
                committed == content,
                "schemas/{name} is stale; write it anew with `keyproof schema`"
            );
            if let Some((folder, file)) = name.split_once('/') {
                by_folder
                    .entry(folder.to_owned())
                    .or_default()
                    .push(file.to_owned());
            }
        }
        for folder in ["datasets", "rollups", "views"] {
            let mut found: Vec<String> = std::fs::read_dir(root.join(folder))
                .expect("a folder of schemas/")
                .map(|entry| {
                    entry
                        .expect("entry")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            found.sort();
            let mut expected = by_folder.remove(folder).unwrap_or_default();
            expected.sort();
            assert_eq!(
                found, expected,
                "pages of what no longer exists in schemas/{folder}"
            );
        }
    }
}
