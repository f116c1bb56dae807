//! `keyproof note`: a signed remark about an entry of the chain.

use crate::archive::note;
use crate::config::Config;
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::Remark;

use super::anchor::anchor;
use super::archive::{KeyFile, open_signer, open_store, read_chain};
use super::{RunError, Shell, memory, producer};

/// What a note is about.
#[derive(Debug, Clone)]
pub enum About {
    /// A sealed run or rollup, or a run that a seal names as died.
    Run(RunId),
    /// A slot of the chain.
    Entry(u64),
}

/// Signs a remark and says where it stands.
pub async fn note(
    shell: &Shell,
    config: &Config,
    about: &About,
    text: &Remark,
) -> Result<String, RunError> {
    let archive = open_store(shell, config, None).await?;
    let mut chain = read_chain(archive.as_fetch()).await?;
    memory::check(config, &archive.url(), &chain)?;
    let found = match about {
        About::Run(run_id) => chain.sealed(run_id).or_else(|| chain.named_dead(run_id)),
        About::Entry(seq) => chain.entries().iter().find(|entry| entry.seq == *seq),
    };
    let entry = found.cloned().ok_or_else(|| match about {
        About::Run(run_id) => RunError::NoSuchRun {
            run_id: run_id.clone(),
            url: archive.url(),
        },
        About::Entry(seq) => RunError::NoEntry {
            url: archive.url(),
            seq: *seq,
            head: chain.head().seq,
        },
    })?;
    let signer = open_signer(shell, config, None, KeyFile::Load).await?;
    let archive = archive.for_writing(config).await?;
    // No configuration decides here.
    let producer = producer(Sha256Hex::of(b"{}"), None, archive.lacking());
    let store = archive.store;
    let done = note::note(
        store.as_ref(),
        signer.as_ref(),
        &*shell.clock,
        &mut chain,
        &entry,
        text,
        &producer,
    )
    .await?;
    anchor(shell, config, store.as_ref(), &chain).await;
    Ok(format!(
        "Noted      entry {} about entry {} ({})\n",
        done.seq,
        entry.seq,
        &done.sha256.as_str()[..12],
    ))
}
