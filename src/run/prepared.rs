//! A prepared run, as its later steps find it.

use crate::archive::chain::Chain;
use crate::archive::shards::{self, ASSESS};
use crate::archive::starts::{self, Begun, Still};
use crate::archive::store::Fetch;
use crate::collect::api::CallerIdentity;
use crate::config::Config;
use crate::model::ids::RunId;
use crate::seal::FileEntry;

use super::archive::{Writable, open_store, read_chain};
use super::beginning::{check_clock, find_caller};
use super::frozen::Frozen;
use super::running::Asking;
use super::{RunError, Shell, memory};

/// A prepared run, as a later step finds it.
pub struct Prepared {
    pub begun: Begun,
    pub frozen: Frozen,
    /// `scope.json`, for the manifest.
    pub file: FileEntry,
}

impl Prepared {
    pub async fn find(
        shell: &Shell,
        fetch: &dyn Fetch,
        chain: &Chain,
        run_id: &RunId,
        still: Still,
    ) -> Result<Self, RunError> {
        let begun = starts::go_on(fetch, &*shell.clock, chain, run_id, still).await?;
        let (scope, file) = shards::read_scope(fetch, run_id, begun.start.scheduled_for).await?;
        let is_of_this_start = scope.start_sha256 == begun.file.sha256
            && scope.head_seq == begun.start.head_seq
            && chain.holds(scope.head_seq, &scope.head_sha256);
        if !is_of_this_start {
            return Err(RunError::Changed { name: file.name });
        }
        let frozen = Frozen::of_file(scope, &file.name)?;
        Ok(Self {
            begun,
            frozen,
            file,
        })
    }
}

/// One of the steps between `prepare` and `seal`.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Collect { shard: u32, of: u32 },
    Assess,
}

impl Step {
    /// Number of the receipt that it leaves.
    fn receipt(self) -> u32 {
        match self {
            Self::Collect { shard, .. } => shard,
            Self::Assess => ASSESS,
        }
    }

    /// Refuses a shard that the run does not have.
    fn check(self, frozen: &Frozen, run_id: &RunId) -> Result<(), RunError> {
        match self {
            Self::Collect { shard, of } if frozen.shards != of || !(1..=of).contains(&shard) => {
                Err(RunError::OtherShards {
                    run_id: run_id.clone(),
                    prepared: frozen.shards,
                    asked: of,
                })
            }
            Self::Collect { .. } | Self::Assess => Ok(()),
        }
    }
}

/// A prepared run, opened for one of its steps.
pub struct OpenStep {
    pub asking: Asking,
    pub caller: CallerIdentity,
    pub archive: Writable,
    pub chain: Chain,
    pub begun: Begun,
    pub frozen: Frozen,
}

impl OpenStep {
    /// Opens the run; none when the step has left its receipt already.
    pub async fn open(
        shell: &Shell,
        config: &Config,
        asking: Asking,
        run_id: &RunId,
        step: Step,
    ) -> Result<Option<Self>, RunError> {
        let archive = open_store(shell, config, Some(&asking.aws)).await?;
        let fetch = archive.as_fetch();
        let chain = read_chain(fetch).await?;
        memory::check(config, &archive.url(), &chain)?;
        let prepared = Prepared::find(shell, fetch, &chain, run_id, Still::ToCollect);
        let Prepared { begun, frozen, .. } = prepared.await?;
        let date = begun.start.scheduled_for;
        frozen.check_config(config, run_id, date)?;
        step.check(&frozen, run_id)?;
        let receipt = shards::read_receipt(fetch, run_id, date, step.receipt()).await?;
        if receipt.is_some() {
            return Ok(None);
        }
        let caller = find_caller(&asking).await?;
        check_clock(&asking.aws)?;
        Ok(Some(Self {
            archive: archive.for_writing(config).await?,
            asking,
            caller,
            chain,
            begun,
            frozen,
        }))
    }
}
