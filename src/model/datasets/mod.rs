//! One file per dataset: the row struct and its column table in one declaration.
//!
//! Every row carries `scheduled_for`, the date its run speaks for. Account and Region come first in
//! every primary key that has them, so that files sort by account-region.

mod account;
mod archive_check;
mod backfilled;
mod channel;
mod control_event;
mod coverage;
mod emr_cluster;
mod emr_security_configuration;
mod emr_session;
mod emr_step;
mod exception;
mod finding;
mod key_access;
mod kms_grant;
mod kms_key;
mod launch;
mod log_bucket;
mod log_group;
mod log_object_sample;
mod log_object_summary;
mod principal;
mod reencryption;
mod run;
mod trail;
mod verdict;

pub use account::Account;
pub use archive_check::ArchiveCheck;
pub use backfilled::{BackfilledControlEvent, BackfilledLaunch, TrailReading};
pub use channel::Channel;
pub use control_event::ControlEvent;
pub use coverage::{Coverage, UNREADABLE_EVENT};
pub use emr_cluster::{ACTIVE_STATES, EMR_MODEL, EmrCluster, is_active_state};
pub use emr_security_configuration::EmrSecurityConfiguration;
pub use emr_session::EmrSession;
pub use emr_step::EmrStep;
pub use exception::Exception;
pub use finding::Finding;
pub use key_access::KeyAccess;
pub use kms_grant::KmsGrant;
pub use kms_key::KmsKey;
pub use launch::{Answer, Launch, LaunchEvent};
pub use log_bucket::LogBucket;
pub use log_group::LogGroup;
pub use log_object_sample::LogObjectSample;
pub use log_object_summary::LogObjectSummary;
pub use principal::Principal;
pub use reencryption::Reencryption;
pub use run::Run;
pub use trail::Trail;
pub use verdict::Verdict;

/// Calls a macro with every dataset's row type, in the order of the archive listing.
#[macro_export]
macro_rules! for_each_dataset {
    ($call:ident) => {
        $call! {
            $crate::model::datasets::Account,
            $crate::model::datasets::ArchiveCheck,
            $crate::model::datasets::Channel,
            $crate::model::datasets::ControlEvent,
            $crate::model::datasets::Coverage,
            $crate::model::datasets::EmrCluster,
            $crate::model::datasets::EmrSecurityConfiguration,
            $crate::model::datasets::EmrSession,
            $crate::model::datasets::EmrStep,
            $crate::model::datasets::Exception,
            $crate::model::datasets::Finding,
            $crate::model::datasets::KeyAccess,
            $crate::model::datasets::KmsGrant,
            $crate::model::datasets::KmsKey,
            $crate::model::datasets::Launch,
            $crate::model::datasets::LaunchEvent,
            $crate::model::datasets::LogBucket,
            $crate::model::datasets::LogGroup,
            $crate::model::datasets::LogObjectSample,
            $crate::model::datasets::LogObjectSummary,
            $crate::model::datasets::Principal,
            $crate::model::datasets::Reencryption,
            $crate::model::datasets::Run,
            $crate::model::datasets::Trail,
            $crate::model::datasets::Verdict
        }
    };
}

/// Calls a macro with the row types that backfills write, and no run does.
#[macro_export]
macro_rules! for_each_backfilled {
    ($call:ident) => {
        $call! {
            $crate::model::datasets::BackfilledControlEvent,
            $crate::model::datasets::BackfilledLaunch,
            $crate::model::datasets::TrailReading
        }
    };
}
