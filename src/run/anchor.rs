//! What anchors a new head: this machine's memory of it, and the copy of the chain in another place.
//! The entry is sealed whatever becomes of either, so what fails is a warning.

use std::path::Path;

use crate::archive::chain::Chain;
use crate::archive::chain_copy::{CopyError, copy_chain};
use crate::archive::store::{Fetch, Store};
use crate::config::{ArchiveUrl, Config};

use super::archive::connect_store;
use super::{RunError, Shell, memory};

/// Remembers the head and brings the copy up to it.
pub async fn anchor(shell: &Shell, config: &Config, store: &dyn Store, chain: &Chain) {
    if let Err(error) = memory::remember(config, &store.url(), chain) {
        tracing::warn!("entry {} is sealed, but: {error}", chain.head().seq);
    }
    if let Err(error) = copy(shell, config, store.as_fetch()).await {
        let seq = chain.head().seq;
        tracing::warn!("entry {seq} is sealed and not in the copy of the chain: {error}");
    }
}

async fn copy(shell: &Shell, config: &Config, from: &dyn Fetch) -> Result<(), RunError> {
    let Some(url) = &config.chain_copy else {
        return Ok(());
    };
    let to = open_copy(shell, config, url).await?;
    match copy_chain(from, to.as_ref(), &*shell.clock).await {
        Ok(_) => Ok(()),
        Err(CopyError::Chain(source)) => Err(super::archive::store_error(from.url(), source)),
        Err(error) => Err(error.into()),
    }
}

/// A copy lies in another place than the archive, where it would show nothing; its owner and keys need
/// not be the archive's, and `chain_copy_profile` says who writes there.
pub async fn open_copy(
    shell: &Shell,
    config: &Config,
    url: &ArchiveUrl,
) -> Result<Box<dyn Store>, RunError> {
    if is_same_place(url, &config.archive) {
        return Err(RunError::Usage(format!(
            "the copy {url} is the archive itself, which shows nothing; name a copy in another place"
        )));
    }
    let config = Config {
        archive: url.clone(),
        archive_owner: None,
        archive_kms_key: None,
        profile: config
            .chain_copy_profile
            .clone()
            .or_else(|| config.profile.clone()),
        ..config.clone()
    };
    connect_store(shell, &config, None).await
}

/// Whether two addresses lead to one place, by whatever links.
fn is_same_place(one: &ArchiveUrl, other: &ArchiveUrl) -> bool {
    match (one, other) {
        (ArchiveUrl::Folder(one), ArchiveUrl::Folder(other)) => {
            let real =
                |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            real(one) == real(other)
        }
        (one, other) => one == other,
    }
}
