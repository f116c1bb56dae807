use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::archive::store::{
    Body, Fetch, Listed, Lock, Protection, Store, StoreError, Stored, Version,
};
use crate::model::ids::Sha256Hex;
use crate::model::words::CheckOutcome;
use crate::seal::is_safe_name;
use crate::testkit::FixedClock;
use crate::time::{Clock as _, DAY_MS, UtcMillis};

/// An archive in memory, and the means to tamper with it. It says nothing of its objects, like a
/// folder, unless it is [`MemoryStore::versioned`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// Versions of each object, oldest first, never none.
    objects: Mutex<BTreeMap<String, Vec<Kept>>>,
    /// Gives the written times of a store with versions.
    clock: Option<Arc<FixedClock>>,
}

/// One version; a delete marker has no bytes.
#[derive(Debug, Clone)]
struct Kept {
    bytes: Option<Vec<u8>>,
    written_at: Option<UtcMillis>,
    stored: Stored,
}

/// Days for which a store with versions locks what is written.
const LOCK_DAYS: i64 = 30;

impl MemoryStore {
    /// The key under which a store with versions keeps its objects.
    pub const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/3d3d3d3d";

    /// A store that holds `objects`.
    pub fn holding(objects: BTreeMap<String, Vec<u8>>) -> Self {
        let store = Self::default();
        for (name, bytes) in objects {
            store.replace(&name, bytes);
        }
        store
    }

    /// A store that keeps versions as a bucket does: under a key and a lock, each with its checksum
    /// and the time of `clock` at which it was written.
    pub fn versioned(clock: Arc<FixedClock>) -> Self {
        Self {
            clock: Some(clock),
            ..Self::default()
        }
    }

    /// Another store with the same versions, to tamper with.
    pub fn copy(&self) -> Self {
        Self {
            objects: Mutex::new(self.lock().clone()),
            clock: self.clock.clone(),
        }
    }

    /// Everything in it that a reader sees.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let objects = self.lock();
        let seen = objects
            .iter()
            .filter_map(|(name, versions)| Some((name.clone(), versions.last()?.bytes.clone()?)));
        seen.collect()
    }

    /// One object; empty when it is not there.
    pub fn read_now(&self, name: &str) -> Vec<u8> {
        self.with(name, |kept| kept.bytes.clone().unwrap_or_default())
            .unwrap_or_default()
    }

    /// Puts an object, replacing what was there: what a store of ours never does, and what leaves no
    /// second version.
    pub fn replace(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let kept = self.kept(bytes.into(), 1);
        self.lock().insert(name.to_owned(), vec![kept]);
    }

    /// Removes an object and every trace of it.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Puts a version on top of what is there, as a PUT without a condition does.
    pub fn put_again(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let mut objects = self.lock();
        let versions = objects.entry(name.to_owned()).or_default();
        versions.push(self.kept(bytes.into(), versions.len() + 1));
    }

    /// Puts a delete marker on top of what is there, as a DELETE without a version does.
    pub fn delete(&self, name: &str) {
        let mut objects = self.lock();
        let versions = objects.entry(name.to_owned()).or_default();
        let marker = Kept {
            bytes: None,
            ..self.kept(Vec::new(), versions.len() + 1)
        };
        versions.push(marker);
    }

    /// Changes what storage says of the newest version of an object: how it is kept, when written.
    pub fn keep_otherwise(
        &self,
        name: &str,
        change: impl FnOnce(&mut Stored, &mut Option<UtcMillis>),
    ) {
        let mut objects = self.lock();
        let kept = objects
            .get_mut(name)
            .and_then(|versions| versions.last_mut());
        let kept = kept.expect("the object is there");
        change(&mut kept.stored, &mut kept.written_at);
    }

    fn kept(&self, bytes: Vec<u8>, version: usize) -> Kept {
        let written_at = self.clock.as_ref().map(|clock| clock.now());
        let stored = match written_at {
            None => Stored::default(),
            Some(now) => Stored {
                sha256: Some(Sha256Hex::of(&bytes)),
                kms_key: Some(Self::KEY.to_owned()),
                bucket_key: Some(true),
                version: Some(format!("v{version}")),
                lock: Some(Lock {
                    mode: "GOVERNANCE".to_owned(),
                    until: now.plus_ms(LOCK_DAYS * DAY_MS),
                }),
            },
        };
        Kept {
            bytes: Some(bytes),
            written_at,
            stored,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Kept>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest version of an object, unless it is a delete marker.
    fn with<T>(&self, name: &str, look: impl FnOnce(&Kept) -> T) -> Result<T, StoreError> {
        self.lock()
            .get(name)
            .and_then(|versions| versions.last())
            .filter(|kept| kept.bytes.is_some())
            .map(look)
            .ok_or_else(|| StoreError::Absent {
                name: name.to_owned(),
            })
    }
}

#[async_trait]
impl Fetch for MemoryStore {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let bytes = self.with(name, |kept| kept.bytes.clone().unwrap_or_default())?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge {
                name: name.to_owned(),
                limit,
            });
        }
        Ok(bytes)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let objects = self.lock();
        let found = objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .filter_map(|(name, versions)| {
                let kept = versions.last()?;
                Some(Listed {
                    name: name.clone(),
                    bytes: kept.bytes.as_ref()?.len() as u64,
                    written_at: kept.written_at,
                })
            });
        Ok(found.collect())
    }

    async fn versions(&self, prefix: &str) -> Result<Option<Vec<Version>>, StoreError> {
        if self.clock.is_none() {
            return Ok(None);
        }
        let objects = self.lock();
        let named = objects.iter().filter(|(name, _)| name.starts_with(prefix));
        let all = named.flat_map(|(name, versions)| {
            versions.iter().rev().enumerate().map(|(at, kept)| Version {
                name: name.clone(),
                id: kept.stored.version.clone().unwrap_or_default(),
                is_latest: at == 0,
                is_delete_marker: kept.bytes.is_none(),
                bytes: kept.bytes.as_ref().map_or(0, Vec::len) as u64,
                written_at: kept.written_at,
            })
        });
        Ok(Some(all.collect()))
    }

    async fn stored(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        match self.clock {
            None => Ok(None),
            Some(_) => self.with(name, |kept| Some(kept.stored.clone())),
        }
    }

    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        let bytes = self.read(name, limit).await?;
        to.write_all(&bytes).map_err(|e| StoreError::Failed {
            name: name.to_owned(),
            detail: e.to_string(),
        })?;
        Ok((Sha256Hex::of(&bytes), bytes.len() as u64))
    }

    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.with(name, |kept| {
            let bytes = kept.bytes.as_deref().unwrap_or_default();
            (Sha256Hex::of(bytes), bytes.len() as u64)
        })
    }

    fn url(&self) -> String {
        "memory://".to_owned()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(
        &self,
        name: &str,
        body: Body<'_>,
        sha256: &Sha256Hex,
    ) -> Result<Stored, StoreError> {
        let failed = |detail: String| StoreError::Failed {
            name: name.to_owned(),
            detail,
        };
        if !is_safe_name(name) {
            return Err(failed("not a name of an archive".to_owned()));
        }
        let bytes = match body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File(path) => std::fs::read(path).map_err(|e| failed(e.to_string()))?,
        };
        if Sha256Hex::of(&bytes) != *sha256 {
            return Err(StoreError::Checksum {
                name: name.to_owned(),
                detail: format!("expected {sha256}"),
            });
        }
        // Lets other writers in between, as a real store would.
        tokio::task::yield_now().await;
        let mut objects = self.lock();
        let versions = objects.entry(name.to_owned()).or_default();
        // Like S3, the condition looks at the newest version alone: a delete marker lets it pass.
        if versions.last().is_some_and(|kept| kept.bytes.is_some()) {
            return Err(StoreError::Exists {
                name: name.to_owned(),
            });
        }
        let kept = self.kept(bytes, versions.len() + 1);
        let stored = kept.stored.clone();
        versions.push(kept);
        Ok(stored)
    }

    async fn prepare_root(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn protections(&self) -> Vec<Protection> {
        vec![Protection {
            check: "protection",
            outcome: CheckOutcome::Fail,
            detail: "none: memory".to_owned(),
        }]
    }

    fn as_fetch(&self) -> &dyn Fetch {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn behaves_as_a_store() {
        crate::testkit::store_suite(&MemoryStore::default()).await;
        let clock = Arc::new(FixedClock::at(UtcMillis(1_795_485_600_000)));
        crate::testkit::store_suite(&MemoryStore::versioned(clock)).await;
    }
}
