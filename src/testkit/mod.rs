//! For tests, unit and integration alike: a store in memory, a store that fails on demand, a clock
//! that stands still, one that jumps, rows to change, and the behaviour that every store must show. Nothing in the
//! program uses it.

mod clock;
mod fault_store;
mod memory_store;
mod rows;
mod sample_archive;
mod signer;
mod store_suite;
mod temp_dir;
mod virtual_clock;

pub use clock::FixedClock;
pub use fault_store::{Fault, FaultStore};
pub use memory_store::MemoryStore;
pub use rows::{
    account, channel, coverage, kms_key, launch, log_bucket, log_object_summary, reencryption, run,
    trail_reading, verdict,
};
pub use sample_archive::{SampleArchive, SampleError, parquet};
pub use signer::TestSigner;
pub use store_suite::store_suite;
pub use temp_dir::TempDir;
pub use virtual_clock::{VirtualClock, VirtualSleep};
