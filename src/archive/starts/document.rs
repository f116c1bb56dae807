//! The content of a start.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::canonical;
use crate::model::ids::RunId;
use crate::time::{Date, UtcMillis};

/// Longest time that a run may claim for itself.
pub const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 3_600);
pub(super) const VERSION: &str = "1";

/// What a run intends; the content of `starts/<n>.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub n: u64,
    pub run_id: RunId,
    pub scheduled_for: Date,
    pub started_at: UtcMillis,
    pub deadline_at: UtcMillis,
    /// Last signed entry of the chain when the run began.
    pub head_seq: u64,
    /// The configuration that rules read, already a projection without secrets.
    pub config: Value,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    config: Value,
    deadline_at: String,
    head_seq: u64,
    n: u64,
    run_id: RunId,
    scheduled_for: String,
    started_at: String,
    version: String,
}

impl Start {
    /// The stored form: one line of canonical JSON and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        let value = serde_json::json!({
            "config": self.config,
            "deadline_at": self.deadline_at.to_string(),
            "head_seq": self.head_seq,
            "n": self.n,
            "run_id": self.run_id,
            "scheduled_for": self.scheduled_for.to_string(),
            "started_at": self.started_at.to_string(),
            "version": VERSION,
        });
        format!("{}\n", canonical::to_string(&value)).into_bytes()
    }

    /// Reads start `n`. Fields of newer versions are passed over: whether a run is alive must be
    /// seen across versions.
    pub fn parse(n: u64, bytes: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if wire.n != n {
            return Err(format!("it says that it is number {}", wire.n));
        }
        let time = |text: &str| text.parse::<UtcMillis>().map_err(|e| e.to_string());
        let started_at = time(&wire.started_at)?;
        let longest = started_at.plus_ms(LONGEST_DEADLINE.as_millis() as i64);
        Ok(Self {
            n,
            run_id: wire.run_id,
            scheduled_for: wire.scheduled_for.parse().map_err(|e| format!("{e}"))?,
            started_at,
            deadline_at: time(&wire.deadline_at)?.min(longest),
            head_seq: wire.head_seq,
            config: wire.config,
        })
    }
}
