//! A copy of `chain/` in another place, best under another account's keys and roles: who can change
//! the archive cannot change what the copy says of it. `verify` compares the two (level 7).

use super::layout::{self, Name};
use super::settle::{self, Settled};
use super::slot::ENTRY_LIMIT;
use super::store::{Body, Fetch, Store, StoreError};
use crate::model::ids::Sha256Hex;
use crate::time::Clock;

/// Why the copy was not brought up to the chain.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the copy of the chain in {url}: {source}")]
    Copy { url: String, source: StoreError },
    #[error("the chain, to be copied: {0}")]
    Chain(StoreError),
    #[error(
        "the copy of the chain in {url} holds other bytes in slot {slot}: one of the two was changed; run keyproof verify --copy {url}"
    )]
    Differs { url: String, slot: u64 },
}

/// Writes every slot that the copy lacks, oldest first, whatever it holds: a slot that an intruder
/// took is part of what was there. Nothing in the copy is ever replaced. Gives the number written.
pub async fn copy_chain(
    from: &dyn Fetch,
    to: &dyn Store,
    clock: &dyn Clock,
) -> Result<usize, CopyError> {
    let failed = |source| CopyError::Copy {
        url: to.url(),
        source,
    };
    to.prepare_root().await.map_err(failed)?;
    let there = match to.list(layout::CHAIN).await {
        Err(StoreError::Absent { .. }) => Vec::new(),
        listed => listed.map_err(failed)?,
    };
    let listed = from.list(layout::CHAIN).await.map_err(CopyError::Chain)?;
    let slots: Vec<(u64, &str)> = listed
        .iter()
        .filter_map(|listed| match Name::parse(&listed.name) {
            Some(Name::Entry { seq }) => Some((seq, listed.name.as_str())),
            _ => None,
        })
        .collect();
    let is_there = |name: &str| there.iter().any(|there| there.name == name);
    // The newest slot of both: each entry links to all before it.
    if let Some((slot, name)) = slots.iter().rev().find(|(_, name)| is_there(name)) {
        let (theirs, _) = to.digest(name).await.map_err(failed)?;
        let (ours, _) = from.digest(name).await.map_err(CopyError::Chain)?;
        if ours != theirs {
            let (url, slot) = (to.url(), *slot);
            return Err(CopyError::Differs { url, slot });
        }
    }
    let mut written = 0;
    for (slot, name) in slots.iter().filter(|(_, name)| !is_there(name)) {
        let bytes = from.read(name, ENTRY_LIMIT).await;
        let bytes = bytes.map_err(CopyError::Chain)?;
        let (body, sha256) = (Body::Bytes(&bytes), Sha256Hex::of(&bytes));
        match settle::create(to, clock, name, body, &sha256).await {
            Ok(Settled::Ours(_)) => written += 1,
            Ok(Settled::Taken) => {
                let (url, slot) = (to.url(), *slot);
                return Err(CopyError::Differs { url, slot });
            }
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::verify::{VerifyOptions, verify_with_copy};
    use crate::testkit::{MemoryStore, SampleArchive};

    #[tokio::test]
    async fn a_copy_follows_the_chain_and_nothing_in_it_is_replaced() {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.run().await.expect("entry 2");
        let copy = MemoryStore::default();
        let clock = archive.clock.clone();
        let done = copy_chain(&*memory, &copy, &*clock).await.expect("copied");
        assert_eq!(done, 2);
        archive.run().await.expect("entry 3");
        memory.replace("chain/0000000004.dsse.json", "an intruder");
        archive.run().await.expect("entry 5");
        let done = copy_chain(&*memory, &copy, &*clock).await.expect("copied");
        assert_eq!(done, 3);
        let done = copy_chain(&*memory, &copy, &*clock).await.expect("copied");
        assert_eq!(done, 0, "nothing is left to copy");
        let chain = |objects: std::collections::BTreeMap<String, Vec<u8>>| {
            let mut objects = objects;
            objects.retain(|name, _| name.starts_with("chain/"));
            objects
        };
        assert_eq!(chain(memory.objects()), copy.objects());

        let options = VerifyOptions {
            level: 3,
            ..VerifyOptions::default()
        };
        let report = verify_with_copy(&*memory, Some(&copy), &options).await;
        assert!(report.expect("listed").passed());

        memory.replace("chain/0000000005.dsse.json", "forked");
        let refused = copy_chain(&*memory, &copy, &*clock).await;
        assert!(
            matches!(refused, Err(CopyError::Differs { slot: 5, .. })),
            "{refused:?}"
        );
    }
}
