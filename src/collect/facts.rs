//! What collecting hands over, and what it may ask about earlier runs. Declared here, implemented
//! by the journal and by the archive.

use std::collections::BTreeSet;
use std::error::Error;

use crate::dataset;
use crate::model::datasets::{
    ControlEvent, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsGrant,
    KmsKey, Launch, LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal,
    Reencryption, Trail,
};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::time::UtcMillis;

dataset! {
    /// One row per bucket that an account lists: kept in the journal until the run is over, never in the archive.
    pub struct BucketOwner: "bucket_owner" v 1, key [account_id, region, name_hash];
    /// The account that lists it.
    account_id: AccountId = "12 digits";
    /// `global`, as for everything that an account has once.
    region: Region = "Region or global";
    /// Seeded hash of the bucket's name.
    name_hash: i64 = "hash";
    /// The bucket's Region, where the list told it.
    bucket_region: Option<Region> = "Region";
}

/// What one finished unit of work found: an account-region, an account's global part, or what was
/// looked up in an account-region. Rows are sorted by their primary keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub account: AccountId,
    /// `global` for what an account has once.
    pub region: Region,
    pub coverage: Vec<Coverage>,
    pub clusters: Vec<EmrCluster>,
    pub steps: Vec<EmrStep>,
    pub sessions: Vec<EmrSession>,
    pub log_groups: Vec<LogGroup>,
    pub security_configurations: Vec<EmrSecurityConfiguration>,
    pub keys: Vec<KmsKey>,
    pub grants: Vec<KmsGrant>,
    pub principals: Vec<Principal>,
    pub buckets: Vec<LogBucket>,
    pub object_samples: Vec<LogObjectSample>,
    pub object_summaries: Vec<LogObjectSummary>,
    pub reencryptions: Vec<Reencryption>,
    pub launches: Vec<Launch>,
    pub control_events: Vec<ControlEvent>,
    pub trails: Vec<Trail>,
    pub bucket_owners: Vec<BucketOwner>,
}

impl Facts {
    /// Nothing yet.
    pub fn new(account: AccountId, region: Region) -> Self {
        Self {
            account,
            region,
            coverage: vec![],
            clusters: vec![],
            steps: vec![],
            sessions: vec![],
            log_groups: vec![],
            security_configurations: vec![],
            keys: vec![],
            grants: vec![],
            principals: vec![],
            buckets: vec![],
            object_samples: vec![],
            object_summaries: vec![],
            reencryptions: vec![],
            launches: vec![],
            control_events: vec![],
            trails: vec![],
            bucket_owners: vec![],
        }
    }
}

/// Receives facts. Called from several tasks at once. When `append` returns, the facts survive the
/// end of this process; an account and Region may be appended to more than once, with different
/// rows each time.
pub trait FactSink: Send + Sync {
    fn append(&self, facts: Facts) -> Result<(), SinkError>;
}

/// Facts could not be kept. The run cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("keep facts: {0}")]
pub struct SinkError(#[source] pub Box<dyn Error + Send + Sync>);

/// What other processes of the same run collected: its shards, or the one that this process resumes.
pub trait AlreadyCollected: Send + Sync {
    /// Hands over everything, one account-region after the other. Only the rows of cells that ended.
    fn each(&self, take: &mut dyn FnMut(&Facts)) -> Result<(), KnownError>;
}

/// Nothing was collected before.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingCollected;

impl AlreadyCollected for NothingCollected {
    fn each(&self, _take: &mut dyn FnMut(&Facts)) -> Result<(), KnownError> {
        Ok(())
    }
}

/// What earlier sealed runs know. Called from several tasks at once; answers must not change during
/// a run.
pub trait Known: Send + Sync {
    /// The newest run of record of an earlier date, at most 62 days old, that collected the clusters
    /// of this account-region; `None` if there is none.
    fn account_region(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError>;

    /// The Regions in which such a run knows clusters of the account.
    fn regions_of(&self, account: &AccountId) -> Vec<Region>;

    /// How far the newest run of record of an earlier date looked at the events of a source; `None`
    /// where it did not.
    fn observed_to(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Option<UtcMillis>;

    /// The home Regions of an account's own trails, by that run.
    fn trail_homes(&self, _account: &AccountId) -> Vec<Region> {
        Vec::new()
    }

    /// What decides when an account's turn comes in the coming run.
    fn turn(&self, _account: &AccountId) -> Turn {
        Turn::default()
    }

    /// Ids of the launch events that this run recorded in its last days.
    fn launches(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<BTreeSet<String>, KnownError>;
}

/// What the newest earlier run tells of an account's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Something was left to the next run: a cell whose turn had not come, clusters that nobody described.
    pub owed: bool,
    /// How long it took to look into the account.
    pub took_ms: i64,
}

impl Turn {
    /// Notes a cell of the account's first pass.
    pub fn note(&mut self, cell: &Coverage) {
        let of_first_pass = matches!(
            cell.source,
            Source::Regions
                | Source::Clusters
                | Source::ClusterSettings
                | Source::Steps
                | Source::Sessions
                | Source::SecurityConfigurations
                | Source::Launches
        );
        if !of_first_pass {
            return;
        }
        let cut_off = matches!(
            cell.outcome,
            CellOutcome::NotAttempted | CellOutcome::TimedOut | CellOutcome::ThrottledOut
        );
        let some_left = cell.outcome == CellOutcome::Partial && cell.items_failed > Some(0);
        self.owed |= cut_off || some_left;
        // Cells run side by side: the longest is near enough.
        self.took_ms = self.took_ms.max(cell.ended_at.0 - cell.started_at.0);
    }

    /// Smaller is earlier: what is owed, then what takes long, by powers of two of a minute, so that
    /// all others keep their shuffled order.
    pub fn rank(self) -> (bool, std::cmp::Reverse<u32>) {
        let minutes = self.took_ms.max(0).unsigned_abs() / 60_000;
        let doublings = minutes.checked_ilog2().map_or(0, |n| n + 1);
        (!self.owed, std::cmp::Reverse(doublings))
    }
}

/// Earlier facts could not be read or are not what was sealed. The run cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("read earlier facts: {0}")]
pub struct KnownError(#[source] pub Box<dyn Error + Send + Sync>);

/// An account-region as its watermark run saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownAccountRegion {
    /// When that run began to list the clusters: `started_at` of its clusters cell.
    pub listed_at: UtcMillis,
    pub run_id: RunId,
    /// All its cluster rows here.
    pub clusters: Vec<EmrCluster>,
    /// The steps with a log place or key of their own, of those clusters.
    pub steps: Vec<EmrStep>,
}

/// Nothing is known: the first run.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl Known for NothingKnown {
    fn account_region(
        &self,
        _account: &AccountId,
        _region: &Region,
    ) -> Result<Option<KnownAccountRegion>, KnownError> {
        Ok(None)
    }

    fn regions_of(&self, _account: &AccountId) -> Vec<Region> {
        Vec::new()
    }

    fn observed_to(&self, _: &AccountId, _: &Region, _: Source) -> Option<UtcMillis> {
        None
    }

    fn launches(&self, _: &AccountId, _: &Region) -> Result<BTreeSet<String>, KnownError> {
        Ok(BTreeSet::new())
    }
}
