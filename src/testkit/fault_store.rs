use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::archive::store::{Body, Fetch, Listed, Protection, Store, StoreError, Stored, Version};
use crate::model::ids::Sha256Hex;

/// What befalls one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Conflict,
    Denied,
    Failed,
    /// The write happens and its answer is lost; any other call fails.
    LostAnswer,
    /// The write never arrives and nobody can tell; any other call fails.
    NeverArrived,
    /// The process dies before the call: this and every later one fails.
    Dead,
    /// The process dies after the call was carried out: its answer is lost, every later one fails.
    DeadAfter,
}

/// A store whose n-th call (of any kind, counted from 1) goes wrong.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    faults: BTreeMap<u64, Fault>,
    calls: Arc<AtomicU64>,
}

/// What to do about one call.
enum Turn {
    Pass,
    Refuse(StoreError),
    /// Carry it out, then answer with the error.
    Lose(StoreError),
}

impl FaultStore {
    /// `inner` with faults at the calls of these numbers.
    pub fn new(inner: Arc<dyn Store>, faults: impl IntoIterator<Item = (u64, Fault)>) -> Self {
        Self {
            inner,
            faults: faults.into_iter().collect(),
            calls: Arc::default(),
        }
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn turn(&self, name: &str) -> Turn {
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let (name, detail) = (name.to_owned(), format!("injected at call {n}"));
        let died = self
            .faults
            .iter()
            .any(|(at, fault)| *at < n && matches!(fault, Fault::Dead | Fault::DeadAfter));
        if died {
            return Turn::Refuse(StoreError::Failed { name, detail });
        }
        match self.faults.get(&n) {
            None => Turn::Pass,
            Some(Fault::Conflict) => Turn::Refuse(StoreError::Conflict { name }),
            Some(Fault::Denied) => Turn::Refuse(StoreError::Denied { name, detail }),
            Some(Fault::Failed | Fault::Dead) => Turn::Refuse(StoreError::Failed { name, detail }),
            Some(Fault::NeverArrived) => Turn::Refuse(StoreError::OutcomeUnknown { name, detail }),
            Some(Fault::LostAnswer | Fault::DeadAfter) => {
                Turn::Lose(StoreError::OutcomeUnknown { name, detail })
            }
        }
    }

    /// Reads have no outcome that could be unknown.
    fn before_reading(&self, name: &str) -> Result<(), StoreError> {
        match self.turn(name) {
            Turn::Pass => Ok(()),
            Turn::Refuse(StoreError::OutcomeUnknown { name, detail })
            | Turn::Lose(StoreError::OutcomeUnknown { name, detail }) => {
                Err(StoreError::Failed { name, detail })
            }
            Turn::Refuse(error) | Turn::Lose(error) => Err(error),
        }
    }
}

#[async_trait]
impl Fetch for FaultStore {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        self.before_reading(name)?;
        self.inner.read(name, limit).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.before_reading(prefix)?;
        self.inner.list(prefix).await
    }

    async fn versions(&self, prefix: &str) -> Result<Option<Vec<Version>>, StoreError> {
        self.inner.versions(prefix).await
    }

    async fn stored(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        self.inner.stored(name).await
    }

    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        self.before_reading(name)?;
        self.inner.copy_to(name, limit, to).await
    }

    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.before_reading(name)?;
        self.inner.digest(name).await
    }

    fn url(&self) -> String {
        self.inner.url()
    }
}

#[async_trait]
impl Store for FaultStore {
    async fn create(
        &self,
        name: &str,
        body: Body<'_>,
        sha256: &Sha256Hex,
    ) -> Result<Stored, StoreError> {
        match self.turn(name) {
            Turn::Pass => self.inner.create(name, body, sha256).await,
            Turn::Refuse(error) => Err(error),
            Turn::Lose(error) => {
                // Whether it was taken or stored, the caller does not hear of it.
                let _ = self.inner.create(name, body, sha256).await;
                Err(error)
            }
        }
    }

    async fn prepare_root(&self) -> Result<(), StoreError> {
        self.inner.prepare_root().await
    }

    async fn protections(&self) -> Vec<Protection> {
        self.inner.protections().await
    }

    fn as_fetch(&self) -> &dyn Fetch {
        self
    }
}
