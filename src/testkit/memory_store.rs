use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::archive::store::{Body, Created, Fetch, Listed, Protection, Store, StoreError};
use crate::model::ids::Sha256Hex;
use crate::model::words::CheckOutcome;
use crate::seal::is_safe_name;

/// An archive in memory, and the means to tamper with it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    /// A store that holds `objects`.
    pub fn holding(objects: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            objects: Mutex::new(objects),
        }
    }

    /// Everything in it.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    /// One object; empty when it is not there.
    pub fn read_now(&self, name: &str) -> Vec<u8> {
        self.lock().get(name).cloned().unwrap_or_default()
    }

    /// Puts an object, replacing what was there: what a store of ours never does.
    pub fn replace(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.lock().insert(name.to_owned(), bytes.into());
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&[u8]) -> T) -> Result<T, StoreError> {
        self.lock()
            .get(name)
            .map(|bytes| look(bytes))
            .ok_or_else(|| StoreError::Absent {
                name: name.to_owned(),
            })
    }
}

#[async_trait]
impl Fetch for MemoryStore {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let bytes = self.with(name, <[u8]>::to_vec)?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::Failed {
                name: name.to_owned(),
                detail: format!("larger than {limit} bytes"),
            });
        }
        Ok(bytes)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let objects = self.lock();
        let found = objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, bytes)| Listed {
                name: name.clone(),
                bytes: bytes.len() as u64,
            });
        Ok(found.collect())
    }

    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.with(name, |bytes| (Sha256Hex::of(bytes), bytes.len() as u64))
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
    ) -> Result<Created, StoreError> {
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
        if objects.contains_key(name) {
            return Err(StoreError::Exists {
                name: name.to_owned(),
            });
        }
        objects.insert(name.to_owned(), bytes);
        Ok(Created::default())
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
    #[tokio::test]
    async fn behaves_as_a_store() {
        crate::testkit::store_suite(&super::MemoryStore::default()).await;
    }
}
