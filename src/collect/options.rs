//! What the configuration decides for collecting.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::collect::history::listed::Bound;
use crate::collect::scope::{EmrRegion, TagNames};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::s3_location::S3Location;
use crate::time::{Date, UtcMillis};

/// Which Regions are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// What ListRegions says is enabled.
    Auto,
    /// These and no others.
    List(Vec<Region>),
}

/// What the configuration decides.
#[derive(Debug, Clone)]
pub struct Options {
    pub run_id: RunId,
    pub scheduled_for: Date,
    /// Role in every account, e.g. `keyproof-reader`.
    pub role_name: String,
    pub external_id: Option<String>,
    /// Use the caller's own credentials and assume nothing.
    pub single_account: bool,
    pub regions: Regions,
    /// Where EMR exists; see `discover::emr_regions`.
    pub emr_regions: Vec<EmrRegion>,
    /// Twice as many accounts are open at once. Requests in flight are bounded by [`Attempts`].
    pub concurrency: usize,
    /// Regions of one account that are looked at together.
    pub regions_at_once: usize,
    pub cell_deadline: Duration,
    /// When the run must be over; cells whose turn has not come are `not_attempted`.
    pub deadline: Option<UtcMillis>,
    /// Seed of the shuffle.
    pub seed: u64,
    pub tags: TagNames,
    /// Days after which the settings of a live cluster are described again.
    pub describe_max_age_days: i64,
    /// Clusters of each account-region whose log objects are sampled; 0 samples nothing.
    pub sample_clusters: usize,
    /// How much of a log bucket that no report tells of is listed; `None` lists none.
    pub listing: Option<Bound>,
    /// Role for sampling and listing on log buckets, e.g. `keyproof-sampler`.
    pub sampler_role_name: String,
    /// Role where reports about objects lie, e.g. `keyproof-source-reader`; `None` reads none.
    pub source_reader_role_name: Option<String>,
    /// Places of exports of metadata tables; see `history::export`.
    pub metadata_exports: Vec<S3Location>,
    /// Whether the newest two exports or inventory reports of each log bucket are compared.
    pub compares_snapshots: bool,
    /// Accounts outside the organization whose keys are accepted.
    pub allowed_key_owners: BTreeSet<AccountId>,
    /// Whether the scope's accounts are all that the organization has.
    pub has_account_list: bool,
    /// Folder for files that are read once and removed.
    pub scratch: PathBuf,
    /// Days that a first run looks back for launches, at most 90; 0 looks up no events and no trails.
    pub launch_days: i64,
    /// Whether events are looked up, too, that concern log keys and log buckets.
    pub control_events: bool,
}

impl Options {
    /// The defaults for a run.
    pub fn new(run_id: RunId, scheduled_for: Date, emr_regions: Vec<EmrRegion>) -> Self {
        Self {
            run_id,
            scheduled_for,
            role_name: "keyproof-reader".to_owned(),
            external_id: None,
            single_account: false,
            regions: Regions::Auto,
            emr_regions,
            concurrency: 64,
            regions_at_once: 4,
            cell_deadline: Duration::from_secs(15 * 60),
            deadline: None,
            seed: 0,
            tags: TagNames::default(),
            describe_max_age_days: 7,
            sample_clusters: 0,
            listing: None,
            sampler_role_name: "keyproof-sampler".to_owned(),
            source_reader_role_name: None,
            metadata_exports: vec![],
            compares_snapshots: true,
            allowed_key_owners: BTreeSet::new(),
            has_account_list: true,
            scratch: std::env::temp_dir(),
            launch_days: 0,
            control_events: false,
        }
    }
}
