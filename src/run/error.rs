//! Why a command failed.

use crate::archive::chain::ChainError;
use crate::archive::commit::CommitError;
use crate::archive::starts::StartError;
use crate::error::Exit;
use crate::model::ids::RunId;
use crate::time::{Date, Quarter};

/// The outermost error: what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Usage(String),
    #[error(
        "regions: this version knows no Region '{region}' where EMR exists{near}; nothing is looked at in a \
         Region that is not there. A Region newer than this version is looked at with regions = auto, \
         which asks AWS which ones are on"
    )]
    UnknownRegion {
        region: crate::model::ids::Region,
        /// Empty, or a question that names the nearest known ones.
        near: String,
    },
    #[error("the run is scheduled for {date}, which has not begun; today is {today} UTC")]
    FutureDate { date: Date, today: Date },
    #[error(transparent)]
    Connect(#[from] crate::aws::ConnectError),
    #[error(transparent)]
    Discover(#[from] crate::discover::DiscoverError),
    #[error(transparent)]
    Collect(#[from] crate::collect::CollectError),
    #[error("the archive {url}: {source}")]
    Store {
        url: String,
        source: crate::archive::store::StoreError,
    },
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Sign(#[from] crate::archive::signer::SignError),
    #[error(transparent)]
    LocalKey(#[from] crate::archive::local_signer::KeyFileError),
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    #[error(transparent)]
    Journal(#[from] crate::record::JournalError),
    #[error(transparent)]
    Rollup(#[from] crate::rollup::RollupError),
    #[error(transparent)]
    Query(#[from] crate::query::QueryError),
    #[error(
        "{url} holds no run of record for {when} ({sealed} runs sealed in all), so nothing may be counted; `keyproof query --archive {url} --named late-and-missed` tells what is there"
    )]
    NothingToQuery {
        when: String,
        url: String,
        sealed: usize,
    },
    #[error(
        "{url} speaks for {first} to {last}, so nothing may be counted for {quarter}: choose a quarter with a date of these"
    )]
    OutsideLife {
        quarter: Quarter,
        url: String,
        first: Date,
        last: Date,
    },
    #[error(
        "{url} has no sealed edition{} of {quarter}: `keyproof rollup --quarter {quarter}` seals one",
        .edition.map(|n| format!(" {n}")).unwrap_or_default()
    )]
    NoEdition {
        quarter: Quarter,
        edition: Option<u64>,
        url: String,
    },
    #[error(
        "run {run_id} keeps dataset {dataset} in version {found}, and this program reads version {version}: use a program as new as the run"
    )]
    OtherVersion {
        run_id: RunId,
        dataset: &'static str,
        found: u32,
        version: u32,
    },
    #[error("{url} is empty; if it is really where the archive shall begin, say --create-archive")]
    NoArchive { url: String },
    #[error(
        "{url} does not protect what is written to it: {failed}; scripts/deploy/archive.yaml makes a bucket that does, or say --allow-unprotected, and the seal will tell"
    )]
    Unprotected { url: String, failed: String },
    #[error("{url} holds files but no chain: it is not an archive of ours; name an empty place")]
    NotOurs { url: String },
    #[error("there is no archive at {url}: no chain is there; check --archive")]
    NoChain { url: String },
    #[error(
        "{endpoint} does not tell who the caller is: {source}; check the endpoint, the credentials and the profile"
    )]
    Caller {
        endpoint: String,
        source: crate::collect::attempt::CallError,
    },
    #[error("the archive {url} cannot be verified: {detail}")]
    Unverified { url: String, detail: String },
    #[error("the archive {url} is signed by key {archive_key}, and {signer} is another ({key})")]
    OtherKey {
        url: String,
        archive_key: String,
        signer: String,
        key: String,
    },
    #[error(
        "run {run_id} is not sealed in {url}; the names of the files below manifest/ tell the sealed runs"
    )]
    NoSuchRun { run_id: RunId, url: String },
    #[error(
        "{url} holds no run of record for {date}: no full run for that date was sealed in time; name a sealed run with --run-id"
    )]
    NoRunOfRecord { date: Date, url: String },
    #[error(
        "{url} holds no run of record yet ({sealed} runs sealed in all); run `keyproof run`, or name a sealed run with --run-id"
    )]
    NoRuns { url: String, sealed: usize },
    #[error(
        "run {run_id} for {date} holds no cluster {cluster}; a run holds the clusters that were active or had ended since the run before: name another day with --date"
    )]
    NoSuchCluster {
        cluster: String,
        run_id: RunId,
        date: Date,
    },
    #[error("{cluster} means several clusters; name one of them: {arns}")]
    AmbiguousCluster { cluster: String, arns: String },
    #[error("{name} of the archive does not have the digest that was sealed; run keyproof verify")]
    Changed { name: String },
    #[error(
        "{name} of the archive is not kept as its writer says (version, lock, key): ask who changed it"
    )]
    KeptOtherwise { name: String },
    #[error("the local clock is {offset_s} s off AWS's; set the clock (NTP) and run again")]
    ClockOff { offset_s: i64 },
    #[error("stopped by a signal; nothing is sealed, and the next run starts afresh")]
    Cancelled,
    #[error(transparent)]
    Remembered(#[from] crate::archive::remembered::RememberError),
    #[error(transparent)]
    Sealed(#[from] crate::archive::records::RecordError),
    #[error(
        "{url} is not the archive that this machine remembers there: entry 1 was {remembered}, now \
         it is {found}; run `keyproof verify {url}`"
    )]
    OtherArchive {
        url: String,
        remembered: String,
        found: String,
    },
    #[error(
        "the chain of {url} no longer holds entry {seq}, which this machine saw; run `keyproof \
         verify {url}`"
    )]
    TailRemoved { url: String, seq: u64 },
    #[error(transparent)]
    Genesis(#[from] crate::archive::genesis::GenesisError),
    #[error(transparent)]
    Copy(#[from] crate::archive::chain_copy::CopyError),
    #[error(transparent)]
    KeyChange(#[from] crate::archive::key_change::KeyChangeError),
    #[error("the chain of {url} has no entry {seq}; its head is entry {head}")]
    NoEntry { url: String, seq: u64, head: u64 },
    #[error(transparent)]
    Lookup(#[from] crate::assess::LookupError),
    #[error(
        "the archive {url} was begun for scope '{archive}', and this run is about '{ours}'; name another archive"
    )]
    OtherScope {
        url: String,
        archive: String,
        ours: String,
    },
    #[error(
        "the archive {url} was begun for organization {archive}, and the caller belongs to {found}"
    )]
    OtherOrganization {
        url: String,
        archive: String,
        found: String,
    },
    #[error(transparent)]
    Shard(#[from] crate::archive::shards::ShardError),
    #[error(
        "there is nothing to resume of run {run_id}: {path} is not there; name the --work-dir of the process that died, or begin a new run with --take-over {run_id}"
    )]
    NothingToResume { run_id: RunId, path: String },
    #[error(
        "{path} {detail}: nothing of it is used; remove it, name a --work-dir of your own, or begin a new run with --take-over"
    )]
    ForeignWork { path: String, detail: &'static str },
    #[error("another process works on run {run_id}")]
    AtWork { run_id: RunId },
    #[error(
        "run {run_id} began with {was}, and here is another: use the same program and configuration, or begin a new run with --take-over {run_id}"
    )]
    OtherThanBegun { run_id: RunId, was: &'static str },
    #[error(
        "run {run_id} was prepared for {prepared} shards, not {asked}: give --shard K/{prepared} to collect, --shards {prepared} to prepare"
    )]
    OtherShards {
        run_id: RunId,
        prepared: u32,
        asked: u32,
    },
    #[error(
        "stopped by a signal; the run is still open, and the same command may be given again until its deadline"
    )]
    StepCancelled,
    #[error(
        "shard {shard} of run {run_id} holds rows of account {account_id}, which is not one of its accounts: ask who changed it, and begin a new run with --take-over {run_id}"
    )]
    NotOfShard {
        run_id: RunId,
        shard: u32,
        account_id: crate::model::ids::AccountId,
    },
    #[error("run {run_id} is not judged yet: run `keyproof assess --run-id {run_id}` first")]
    NotJudged { run_id: RunId },
    #[error(
        "run {run_id} is not sealed: {what} does not follow from its facts; run `keyproof assess` of the same version again, or ask who changed it"
    )]
    DoesNotFollow { run_id: RunId, what: String },
    #[error(transparent)]
    Backfill(#[from] crate::collect::backfill::BackfillError),
    #[error("this is a mistake of the program, please report it: {0}")]
    Internal(String),
    #[error("no randomness from the system: {0}")]
    Randomness(String),
    #[error("{path} cannot be made: {detail}; name a folder that can be written with --work-dir")]
    WorkFolder { path: String, detail: String },
    #[error("{path}: {detail}")]
    Local { path: String, detail: String },
}

impl RunError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::UnknownRegion { .. }
            | Self::OtherScope { .. }
            | Self::FutureDate { .. }
            | Self::OtherThanBegun { .. }
            | Self::OtherShards { .. }
            | Self::NoSuchCluster { .. }
            | Self::AmbiguousCluster { .. }
            | Self::NoEntry { .. }
            | Self::NoEdition { .. }
            | Self::OutsideLife { .. }
            | Self::Unprotected { .. }
            | Self::NoArchive { .. } => Exit::Usage,
            Self::Query(error) if error.is_usage() => Exit::Usage,
            Self::Sealed(error) if error.is_outage() => Exit::Failed,
            Self::Chain(ChainError::Removed { .. })
            | Self::Start(StartError::Chain(ChainError::Removed { .. }))
            | Self::Commit(CommitError::Chain(ChainError::Removed { .. })) => Exit::Unverified,
            Self::Unverified { .. }
            | Self::Changed { .. }
            | Self::KeptOtherwise { .. }
            | Self::DoesNotFollow { .. }
            | Self::NotOfShard { .. }
            | Self::Sealed(_)
            | Self::OtherArchive { .. }
            | Self::TailRemoved { .. } => Exit::Unverified,
            _ => Exit::Failed,
        }
    }

    /// A failure of the local file system.
    pub fn local(path: &std::path::Path, error: impl std::fmt::Display) -> Self {
        Self::Local {
            path: path.display().to_string(),
            detail: error.to_string(),
        }
    }
}
