//! The handle of a served sandbox.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::task::JoinHandle;

use super::counters::CallCount;
use super::faults::{ActiveFaults, Faults};
use super::server::Shared;
use crate::sandbox::World;
use crate::sandbox::services::kms::KmsState;
use crate::sandbox::services::s3::{BucketCopy, Kept};

/// A sandbox that is being served. Dropping it stops it, like [`Running::stop`].
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Running {
    pub(super) fn new(address: SocketAddr, shared: Arc<Shared>, accepting: JoinHandle<()>) -> Self {
        Self {
            address,
            shared,
            accepting,
        }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Endpoint URL for every service, e.g. `http://127.0.0.1:4566`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The organization that is served.
    pub fn world(&self) -> &Arc<World> {
        &self.shared.world
    }

    /// Counts of all calls so far, sorted by account, Region, service and operation. Requests that
    /// were refused before their operation was known are not among them.
    pub fn calls(&self) -> Vec<CallCount> {
        self.shared.counters.snapshot()
    }

    /// Connections accepted since the start.
    pub fn connections_opened(&self) -> u64 {
        self.shared.counters.connections.load(Ordering::Relaxed)
    }

    /// Most requests that were ever under way at once.
    pub fn in_flight_max(&self) -> u64 {
        self.shared.counters.in_flight_max()
    }

    /// The mutable state of KMS, e.g. to read a signing key.
    pub fn kms_state(&self) -> &KmsState {
        &self.shared.kms
    }

    /// Replaces the faults; their counters start anew.
    pub fn set_faults(&self, faults: Faults) {
        let active = Arc::new(ActiveFaults::new(faults));
        *self
            .shared
            .faults
            .write()
            .unwrap_or_else(PoisonError::into_inner) = active;
    }

    /// Calls that each rule of the present faults matched so far, whether or not it fired.
    pub fn calls_matched(&self) -> Vec<u64> {
        let faults = self.shared.faults.read();
        faults.unwrap_or_else(PoisonError::into_inner).matched()
    }

    /// Everything in a bucket, every version of it, to be put back later.
    pub fn copy_bucket(&self, bucket: &str) -> BucketCopy {
        self.shared.s3.copy(bucket)
    }

    /// Makes a bucket what it was when it was copied.
    pub fn put_back(&self, bucket: &str, copy: &BucketCopy) {
        self.shared.s3.put_back(bucket, copy);
    }

    /// Current bytes of an object, past all permissions.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.shared.s3.object(bucket, key)
    }

    /// Encryption and lock of an object's current version, past all permissions.
    pub fn object_kept(&self, bucket: &str, key: &str) -> Option<Kept> {
        self.shared.s3.kept(bucket, key)
    }

    /// Keys that have a current object, in order.
    pub fn object_keys(&self, bucket: &str) -> Vec<String> {
        self.shared.s3.keys(bucket)
    }

    /// Tampers beneath the API: replaces the bytes of the current version, keeping its version id,
    /// checksums, lock and times, or creates an object where there is none.
    pub fn put_object_raw(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let now_ms = self.shared.now_ms();
        self.shared.s3.put_raw(bucket, key, bytes, now_ms);
    }

    /// Deletes an object past all permissions, by a delete marker; its versions stay.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        let now_ms = self.shared.now_ms();
        self.shared.s3.mark_deleted(bucket, key, now_ms);
    }

    /// Takes back [`Running::delete_object`].
    pub fn undelete_object(&self, bucket: &str, key: &str) {
        self.shared.s3.unmark(bucket, key);
    }

    /// Tampers beneath the API: forgets all versions of a key. Says whether there were any.
    pub fn remove_object_raw(&self, bucket: &str, key: &str) -> bool {
        self.shared.s3.remove_raw(bucket, key)
    }

    /// Stops listening and closes all connections, answered or not.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Waits until the listener is closed; the only error is the abort itself.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
