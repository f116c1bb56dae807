//! The next signing key. A `key` entry is signed by the key that it replaces or, when that one is
//! lost, by the recovery key that entry 1 names; what was sealed before stays verifiable by the
//! public keys in the archive.
//!
//! | died | is left | the same command again |
//! |---|---|---|
//! | before the public key was written | nothing | begins anew |
//! | after it, before the entry | a key file that nobody vouches for | finds the file and writes the entry |
//! | after the entry, the answer lost | the changed chain | says that it is done |

use super::chain::Chain;
use super::commit::{self, CommitError, Committed, SLOTS, Unsigned};
use super::layout;
use super::settle;
use super::signer::Signer;
use super::store::Store;
use crate::model::ids::Sha256Hex;
use crate::seal::{ChangedBy, Content, KeyChange, Producer, PublicKey, Remark, Subject};
use crate::time::Clock;

/// Why the key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(
        "entry 1 of {url} names no recovery key, so a lost signing key cannot be replaced: begin a new archive; this one stays verifiable"
    )]
    NoRecoveryKey { url: String },
    #[error("key {ours} is not the recovery key of {url}: entry 1 names {recovery}")]
    NotRecoveryKey {
        url: String,
        ours: Sha256Hex,
        recovery: Sha256Hex,
    },
    #[error("the new key {key} makes signatures that do not verify: it could not seal")]
    NewKeyUnusable { key: String },
}

/// The change that is asked for.
#[derive(Debug, Clone)]
pub struct KeyChangeRequest {
    pub by: ChangedBy,
    /// In the words of whoever changes it.
    pub reason: Remark,
    pub producer: Producer,
}

/// Writes the new public key and the entry that names it. `signer` is the key that is replaced or the
/// recovery key; `new` signs everything later.
pub async fn change_key(
    store: &dyn Store,
    signer: &dyn Signer,
    new: &dyn Signer,
    clock: &dyn Clock,
    chain: &mut Chain,
    request: &KeyChangeRequest,
) -> Result<Committed, KeyChangeError> {
    let key = new.public_key();
    let pem = key.to_pem().into_bytes();
    try_out(new, &pem).await?;
    let subjects = [Subject {
        name: layout::key(&key.keyid()),
        sha256: Sha256Hex::of(&pem),
    }];
    chain
        .advance(store.as_fetch())
        .await
        .map_err(CommitError::from)?;
    for _ in 0..SLOTS {
        if let Some(done) = done_before(chain, key, request) {
            return Ok(done);
        }
        check_signer(chain, store.url(), signer.public_key(), request.by)?;
        let change = KeyChange {
            by: request.by,
            keyid: key.keyid(),
            replaces: chain.key().keyid(),
            reason: request.reason.clone(),
        };
        let content = Content::Key(change);
        // Before anything is written: a refused change leaves nothing behind.
        chain
            .keys()
            .permits(&signer.public_key().keyid(), &content)
            .map_err(CommitError::NotPermitted)?;
        let written = settle::write_once(store, clock, &subjects[0].name, &pem).await;
        written.map_err(CommitError::from)?;
        let entry = Unsigned {
            content,
            producer: &request.producer,
            subjects: &subjects,
            key: Some(key),
        };
        if let Some(done) = commit::try_slot(store, signer, clock, chain, entry).await? {
            return Ok(done);
        }
    }
    Err(CommitError::Crowded.into())
}

/// A key that cannot sign would lock the archive for good.
async fn try_out(new: &dyn Signer, message: &[u8]) -> Result<(), KeyChangeError> {
    let signature = new.sign(message).await.map_err(CommitError::from)?;
    new.public_key()
        .verify(message, &signature)
        .map_err(|_| KeyChangeError::NewKeyUnusable {
            key: new.describe(),
        })
}

fn check_signer(
    chain: &Chain,
    url: String,
    ours: &PublicKey,
    by: ChangedBy,
) -> Result<(), KeyChangeError> {
    if by == ChangedBy::Rotation {
        return Ok(chain.check_signer(ours).map_err(CommitError::from)?);
    }
    match chain.keys().recovery() {
        None => Err(KeyChangeError::NoRecoveryKey { url }),
        Some(recovery) if recovery != ours => Err(KeyChangeError::NotRecoveryKey {
            url,
            ours: ours.keyid(),
            recovery: recovery.keyid(),
        }),
        Some(_) => Ok(()),
    }
}

/// The same change by an earlier attempt whose answer was lost: the last change of all.
fn done_before(chain: &Chain, key: &PublicKey, request: &KeyChangeRequest) -> Option<Committed> {
    let mut entries = chain.entries().iter().rev();
    let (entry, change) = entries.find_map(|entry| match &entry.statement.content {
        Content::Key(change) => Some((entry, change)),
        _ => None,
    })?;
    (change.keyid == key.keyid() && change.by == request.by).then(|| Committed {
        seq: entry.seq,
        sha256: entry.sha256.clone(),
        name: layout::entry(entry.seq),
        earlier: true,
    })
}
