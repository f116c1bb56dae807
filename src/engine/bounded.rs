//! What the engine may use: memory that it counts, and disk where that is not enough.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

/// Memory that sorts, joins and groups of a query may take together; they go on in files where they can.
pub const POOL_BYTES: usize = 1024 * 1024 * 1024;
/// Files of one runtime.
const SPILLED_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// Consumers that a message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN;

/// What the engine works with. What does not fit into memory goes below `folder`; without one nothing is
/// put on disk.
///
/// # Errors
/// When the folder cannot be written to.
pub fn runtime(folder: Option<&Path>, pool_bytes: usize) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(pool_bytes), NAMED_CONSUMERS);
    let mode = folder.map_or(DiskManagerMode::Disabled, |folder| {
        DiskManagerMode::Directories(vec![folder.to_owned()])
    });
    let disk = DiskManagerBuilder::default()
        .with_mode(mode)
        .with_max_temp_directory_size(SPILLED_BYTES);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .build_arc()
}

/// Who asked for more than there is, where that is what an error says.
pub fn exhausted(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) => {
            Some(detail.lines().next().unwrap_or_default().to_owned())
        }
        _ => None,
    }
}
