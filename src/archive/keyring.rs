//! The keys that an archive trusts, as its chain goes on. Entry 1 names the first key and perhaps a
//! recovery key; each `key` entry names the next. A key that was replaced signs nothing any more.

use super::layout;
use super::store::{Fetch, StoreError};
use crate::model::ids::Sha256Hex;
use crate::seal::{ChangedBy, Content, PublicKey};

/// Public keys have 178 bytes.
const PEM_LIMIT: u64 = 64 * 1024;

/// Why a key file of the archive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{name} is not the key that it is named after: {detail}")]
    NotCanonical { name: String, detail: String },
}

/// The public key in `keys/<keyid>.pem`.
pub async fn read_key(fetch: &dyn Fetch, keyid: &Sha256Hex) -> Result<PublicKey, KeyFault> {
    let name = layout::key(keyid);
    let bytes = fetch.read(&name, PEM_LIMIT).await?;
    let broken = |detail: String| KeyFault::NotCanonical {
        name: name.clone(),
        detail,
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| broken(e.to_string()))?;
    let key = PublicKey::from_pem(text).map_err(|e| broken(e.to_string()))?;
    if key.keyid() == *keyid {
        Ok(key)
    } else {
        Err(broken(format!("it holds key {}", key.keyid())))
    }
}

/// The keys that may sign the next entry, and those that no longer may.
#[derive(Debug, Clone)]
pub struct Keyring {
    current: PublicKey,
    recovery: Option<PublicKey>,
    /// Earlier keys, each with the entry that replaced it.
    replaced: Vec<(Sha256Hex, u64)>,
}

impl Keyring {
    /// As entry 1 leaves it.
    pub fn new(first: PublicKey, recovery: Option<PublicKey>) -> Self {
        Self {
            current: first,
            recovery,
            replaced: Vec::new(),
        }
    }

    /// The key that signs.
    pub fn current(&self) -> &PublicKey {
        &self.current
    }

    /// The key that may name another one when the current one is lost.
    pub fn recovery(&self) -> Option<&PublicKey> {
        self.recovery.as_ref()
    }

    /// The entry that replaced a key, if it signed this archive once.
    pub fn replaced_by(&self, keyid: &Sha256Hex) -> Option<u64> {
        let mut replaced = self.replaced.iter();
        replaced.find(|(id, _)| id == keyid).map(|(_, seq)| *seq)
    }

    /// The trusted key with this id.
    pub fn trusted(&self, keyid: &Sha256Hex) -> Option<&PublicKey> {
        std::iter::once(&self.current)
            .chain(&self.recovery)
            .find(|key| key.keyid() == *keyid)
    }

    /// Whether the trusted key `signer` may sign `content`; if not, why.
    pub fn permits(&self, signer: &Sha256Hex, content: &Content) -> Result<(), String> {
        let current = self.current.keyid();
        let by = if *signer == current {
            ChangedBy::Rotation
        } else {
            ChangedBy::Recovery
        };
        match content {
            Content::Key(change) if change.by != by => {
                Err("the key that signed it may not make this kind of key change".to_owned())
            }
            Content::Key(change) if change.replaces != current => Err(format!(
                "it replaces key {}, and {current} signs",
                change.replaces
            )),
            Content::Key(change) if change.keyid == current || self.spent(&change.keyid) => {
                Err(format!(
                    "key {} was used before; a change needs a new key",
                    change.keyid
                ))
            }
            Content::Key(_) => Ok(()),
            _ if by == ChangedBy::Recovery => {
                Err("the recovery key signs key changes and nothing else".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Takes the key that entry `seq` names in the place of the current one.
    pub fn change(&mut self, seq: u64, new: PublicKey) {
        let old = std::mem::replace(&mut self.current, new);
        self.replaced.push((old.keyid(), seq));
    }

    /// A recovery key that became the signing key would be at work every day, and a key that was
    /// replaced may be lost or stolen.
    fn spent(&self, keyid: &Sha256Hex) -> bool {
        self.replaced_by(keyid).is_some()
            || self.recovery.as_ref().is_some_and(|r| r.keyid() == *keyid)
    }
}
