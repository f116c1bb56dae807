//! Entry 1: it begins an archive and fixes what never changes.

use super::chain::{Chain, ChainError, Entry};
use super::commit::{self, CommitError};
use super::keyring::Keyring;
use super::layout;
use super::settle::{self, Settled};
use super::signer::Signer;
use super::store::{Body, Store, StoreError};
use crate::model::ids::Sha256Hex;
use crate::seal::{ArchiveId, Content, Genesis, Producer, PublicKey, Statement, Subject};
use crate::time::Clock;

/// Why no archive was begun.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(
        "{url} is not empty and not an archive (it holds '{example}'): name an empty or new place"
    )]
    NotEmpty { url: String, example: String },
    #[error(
        "the recovery key is the signing key {keyid}: who loses one would lose the other; name a key that is kept elsewhere"
    )]
    RecoveryIsSigner { keyid: Sha256Hex },
}

/// What the new archive is.
#[derive(Debug, Clone)]
pub struct GenesisRequest {
    /// Random.
    pub archive_id: ArchiveId,
    pub organization_id: Option<String>,
    /// When a run is due, e.g. `daily`.
    pub schedule: String,
    pub retention_days: Option<u64>,
    /// A key kept offline.
    pub recovery: Option<PublicKey>,
    /// How storage protects the archive; `none` for a local folder.
    pub protection: String,
    /// What runs are expected to see, e.g. `organization, regions auto`.
    pub scope: String,
    pub producer: Producer,
}

/// Begins an archive in an empty place: the public key, then entry 1. Dying between the two leaves a
/// key file, which the next attempt with the same key finds and keeps.
///
/// When somebody else begins the archive at the same moment with the same key, theirs is returned.
pub async fn create(
    store: &dyn Store,
    signer: &dyn Signer,
    clock: &dyn Clock,
    request: &GenesisRequest,
) -> Result<Chain, GenesisError> {
    let key = signer.public_key();
    if request.recovery.as_ref() == Some(key) {
        let keyid = key.keyid();
        return Err(GenesisError::RecoveryIsSigner { keyid });
    }
    store.prepare_root().await?;
    let keys: Vec<(String, Vec<u8>)> = [Some(key), request.recovery.as_ref()]
        .into_iter()
        .flatten()
        .map(|key| (layout::key(&key.keyid()), key.to_pem().into_bytes()))
        .collect();
    for listed in store.list("").await? {
        if listed.name.starts_with(layout::CHAIN) {
            return begun_by_another(store, key).await;
        }
        if !keys.iter().any(|(name, _)| *name == listed.name) {
            return Err(GenesisError::NotEmpty {
                url: store.url(),
                example: listed.name,
            });
        }
    }
    let subjects = keys
        .iter()
        .map(|(name, pem)| Subject {
            name: name.clone(),
            sha256: Sha256Hex::of(pem),
        })
        .collect();
    let statement = Statement {
        archive_id: request.archive_id.clone(),
        seq: 1,
        previous_sha256: None,
        burnt_slots: Vec::new(),
        at: clock.now(),
        producer: request.producer.clone(),
        content: Content::Genesis(Genesis {
            organization_id: request.organization_id.clone(),
            schedule: request.schedule.clone(),
            retention_days: request.retention_days,
            keyid: key.keyid(),
            recovery_keyid: request.recovery.as_ref().map(PublicKey::keyid),
            protection: request.protection.clone(),
            scope: request.scope.clone(),
        }),
        subjects,
    };
    // Signed before anything is written: a signer that refuses leaves the place empty.
    let bytes = commit::sign(signer, &statement).await?;
    let sha256 = Sha256Hex::of(&bytes);
    for (name, pem) in &keys {
        settle::write_once(store, clock, name, pem).await?;
    }
    match settle::create(
        store,
        clock,
        &layout::entry(1),
        Body::Bytes(&bytes),
        &sha256,
    )
    .await?
    {
        Settled::Ours(_) => {
            let entry = Entry {
                seq: 1,
                sha256,
                statement,
            };
            let keys = Keyring::new(key.clone(), request.recovery.clone());
            Ok(Chain::created(store.url(), keys, entry))
        }
        Settled::Taken => begun_by_another(store, key).await,
    }
}

async fn begun_by_another(store: &dyn Store, key: &PublicKey) -> Result<Chain, GenesisError> {
    let chain = Chain::read(store.as_fetch()).await?;
    let chain = chain.ok_or_else(|| GenesisError::NotEmpty {
        url: store.url(),
        example: layout::CHAIN.to_owned(),
    })?;
    chain.check_signer(key)?;
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::testkit::{Fault, FaultStore, SampleArchive};

    #[tokio::test]
    async fn an_archive_begins_only_in_an_empty_place() {
        let (archive, memory) = SampleArchive::in_memory();
        memory.replace("holiday.jpg", "x");
        let message = archive.chain().await.expect_err("refused").to_string();
        assert!(message.contains("holiday.jpg"), "{message}");
        assert_eq!(memory.objects().len(), 1, "nothing is half written");
    }

    #[tokio::test]
    async fn dying_on_the_way_leaves_what_the_next_attempt_finishes() {
        for fault in [
            Fault::Dead,
            Fault::DeadAfter,
            Fault::LostAnswer,
            Fault::NeverArrived,
        ] {
            for call in 1..=6 {
                let (archive, memory) = SampleArchive::in_memory();
                let faulty = FaultStore::new(memory.clone(), [(call, fault)]);
                let _ = archive.over(Arc::new(faulty)).chain().await;
                let chain = archive.chain().await.expect("begun");
                assert_eq!(chain.next_seq(), 2, "{fault:?} at {call}");
                assert_eq!(memory.objects().len(), 2, "{fault:?} at {call}");
            }
        }
    }

    #[tokio::test]
    async fn two_beginnings_make_one_archive() {
        let (archive, memory) = SampleArchive::in_memory();
        let (a, b) = tokio::join!(archive.chain(), archive.chain());
        let (a, b) = (a.expect("one"), b.expect("two"));
        assert_eq!(a.genesis_sha256(), b.genesis_sha256());
        assert_eq!(memory.objects().len(), 2);
    }
}
