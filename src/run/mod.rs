//! The story of a run, and of everything else that crosses stages.
//!
//! - [`audit`]: discover, begin, collect, assess, record, seal, commit in one process; [`shards`]: the
//!   same in several; [`running`]: the steps that both are made of. [`prepared`], [`of_shards`]: what
//!   shards find and hand over; [`recompute`]: what is made again before it is signed.
//! - [`call_plan`]: what a run would ask.
//! - [`listed`]: the first pass while a long list of accounts is being read, and the scope that it leaves.
//! - [`beginning`], [`frozen`], [`counts`], [`progress`], [`work`]: their parts.
//! - [`archive`]: opening what the configuration names: store, signer, chain. Whoever writes to the
//!   archive asks first, there, how it is protected.
//! - [`evidence`]: rows of sealed runs, read back only after their digests were checked.
//! - [`facts`]: the journal as a sink for collecting and as look-ups for assessing; [`judge`]:
//!   assessing it.
//! - [`known`]: watermarks from earlier sealed runs; [`sealed`]: those runs; [`memory`]: what this
//!   machine remembers.
//! - [`permissions`]: the least that each role must be allowed.
//! - [`rates`]: what earlier runs learned of AWS's rates.
//! - [`past`]: what earlier runs decide of ended clusters, and what changed rules alone turn.
//! - [`anchor`]: what keeps a head from being forgotten, elsewhere.
//! - [`record`]: journal to Parquet to archive.
//! - [`story`]: one verdict with the rules and facts behind it.
//! - [`backfill`]: launches from the files of a trail.
//! - [`doctor`]: everything that a run needs, looked at before it begins.
//! - [`reassess`], [`verify`], [`rollup`], [`query`], [`keys`], [`note`]: the other commands.
//!
//! This is the only module that calls across stages.

mod anchor;
mod archive;
mod audit;
mod backfill;
mod beginning;
mod call_plan;
mod counts;
mod doctor;
mod error;
mod evidence;
mod exceptions;
mod facts;
mod frozen;
mod judge;
mod keys;
mod known;
mod listed;
mod memory;
mod note;
mod of_shards;
mod past;
mod permissions;
mod prepared;
mod progress;
mod query;
mod rates;
mod reassess;
mod recompute;
mod record;
mod rollup;
mod running;
mod sealed;
mod shards;
mod story;
mod verify;
mod work;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use sha2::Digest as _;

use crate::assess;
use crate::collect::random::{Random, seeded};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{Lacking, Producer};
use crate::time::{Clock, Date};

pub use archive::refuse_inside_archive;
pub use audit::audit;
pub use backfill::{BackfillRequest, Backfilled, backfill};
pub use call_plan::call_plan;
pub use doctor::{Duties, doctor, unconfigured};
pub use error::RunError;
pub use keys::{KeyChanging, change_signing_key, create_key, keys};
pub use note::{About, note};
pub use permissions::{Named, Role, policy};
pub use query::{QueryRequest, When, query};
pub use reassess::{By, Reassessed, reassess};
pub use rollup::{Checked, RolledUp, RollupRequest, check_rollup, rollup};
pub use running::Audited;
pub use shards::{ShardDone, assess, collect, prepare, seal};
pub use story::{ClusterName, Which, story};
pub use verify::{Verified, VerifyRequest, verify};

/// What the outside world hands to the program.
#[derive(Debug, Clone)]
pub struct Shell {
    pub clock: Arc<dyn Clock>,
    /// Fixed credentials (access key id, secret) in place of the default chain: the sandbox's.
    pub credentials: Option<(String, String)>,
}

/// What is asked of one run beside the configuration.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Date the run speaks for; default: the start's UTC date.
    pub scheduled_for: Option<Date>,
    pub run_id: Option<RunId>,
    /// Go on with this run, whose process died.
    pub resume: Option<RunId>,
    /// Begin a new archive on s3://.
    pub create_archive: bool,
    /// End this dead process's run first.
    pub take_over: Option<RunId>,
    /// Show progress on standard error.
    pub progress: bool,
    /// Progress as JSON lines instead of a bar.
    pub json: bool,
}

/// Fresh randomness for identifiers.
fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| RunError::Randomness(e.to_string()))?;
    Ok(bytes)
}

/// Fresh seeds for the jitter of retries.
fn jitter() -> Result<Random, RunError> {
    Ok(seeded(u64::from_be_bytes(random()?)))
}

/// A small text file that a person named; a device or a huge file is refused, not swallowed.
fn small_text(path: &Path) -> std::io::Result<String> {
    const LIMIT: u64 = 1024 * 1024;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    if file.take(LIMIT + 1).read_to_string(&mut text)? as u64 > LIMIT {
        let detail = format!("larger than {LIMIT} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, detail));
    }
    Ok(text)
}

/// What makes an entry. `config_sha256`: what decided beside the facts; `caller_arn`: who asked AWS,
/// where anybody did; `lacking`: what was not found of the archive's protection.
fn producer(config_sha256: Sha256Hex, caller_arn: Option<String>, lacking: Lacking) -> Producer {
    Producer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        binary_sha256: binary_sha256(),
        config_sha256,
        rules_version: assess::RULES_VERSION.to_owned(),
        rules_sha256: assess::rules_digest(),
        caller_arn,
        lacking,
    }
}

/// Digest of the running program file, where it can be read; taken once, for a process that makes
/// several entries.
fn binary_sha256() -> Option<Sha256Hex> {
    static SHA256: OnceLock<Option<Sha256Hex>> = OnceLock::new();
    SHA256.get_or_init(own_file_sha256).clone()
}

fn own_file_sha256() -> Option<Sha256Hex> {
    let mut file = std::fs::File::open(std::env::current_exe().ok()?).ok()?;
    let mut digest = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Some(Sha256Hex::from_digest(&digest.finalize().into()))
}
