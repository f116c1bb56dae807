//! Clusters in time: a recipe says how a cluster was launched, a cluster says when it lived.

use super::beside::Beside;
use super::copies::Copies;
use super::scenario::Scenario;
use super::{DAY_MS, MINUTE_MS};

/// How long EMR shows a cluster after its end ("two months").
pub const RETENTION_MS: i64 = 61 * DAY_MS;
/// How long a cluster is STARTING before it is BOOTSTRAPPING.
const STARTING_MS: i64 = 3 * MINUTE_MS;
/// How long a cluster is TERMINATING before its end.
const TERMINATING_MS: i64 = 3 * MINUTE_MS;

/// `ClusterState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    Starting,
    Bootstrapping,
    Running,
    Waiting,
    Terminating,
    Terminated,
    TerminatedWithErrors,
}

impl ClusterState {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Bootstrapping => "BOOTSTRAPPING",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Terminating => "TERMINATING",
            Self::Terminated => "TERMINATED",
            Self::TerminatedWithErrors => "TERMINATED_WITH_ERRORS",
        }
    }

    /// AWS counts TERMINATING as active.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Terminated | Self::TerminatedWithErrors)
    }
}

/// What a cluster was launched with. All runs of a nightly job share one recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub scenario: Scenario,
    pub name: String,
    /// A job's clusters end by themselves; others wait for work.
    pub is_job: bool,
    /// `None` on clusters from before release labels, which have an AMI version instead.
    pub release_label: Option<&'static str>,
    pub log_uri: Option<String>,
    pub log_key: Option<String>,
    pub security_configuration: Option<&'static str>,
    /// Name of the EC2 instance profile, which is not the name of the role in it.
    pub instance_profile: &'static str,
    /// `LogTypeUploadPolicy`, releases 7.13 and later.
    pub upload_policy: Vec<(&'static str, &'static str)>,
    /// Where logs go beside `log_uri`.
    pub beside: Beside,
    /// What AWS keeps beside, by release and upload policy.
    pub(super) copies: Copies,
    /// Tags that an organization allow-lists.
    pub tags: Vec<(&'static str, String)>,
    pub kerberos: bool,
    /// Planned outage of the log key, half open.
    pub(super) outage_ms: Option<(i64, i64)>,
    /// First planted marker; see [`Recipe::SECRETS`].
    pub(crate) secret: u32,
    /// First planted marker of what is done with the clusters: steps, then sessions.
    pub(crate) activity_secret: u32,
}

impl Recipe {
    /// Markers in every cluster, in order: state change message, DNS name, EC2 key name,
    /// configuration property, tag key, tag value, application argument; then with Kerberos three
    /// passwords.
    pub(super) const SECRETS: u32 = 7;
    pub(super) const KERBEROS_SECRETS: u32 = 3;

    /// Whether the log key is in its planned outage.
    pub fn is_key_out_at(&self, now_ms: i64) -> bool {
        self.outage_ms
            .is_some_and(|(from, to)| (from..to).contains(&now_ms))
    }
}

/// One cluster's life. Times are milliseconds since the epoch.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// `j-` and 13 capitals or digits.
    pub id: String,
    pub name: String,
    /// Index into the account-region's recipes.
    pub recipe: usize,
    pub created_ms: i64,
    pub ready_ms: i64,
    /// When it ends, which may lie in the future; `None` for one that outlives the simulation.
    pub ended_ms: Option<i64>,
    /// Whether it ends in TERMINATED_WITH_ERRORS.
    pub fails: bool,
}

impl Cluster {
    /// Its end, if that has come.
    pub fn ended_at(&self, now_ms: i64) -> Option<i64> {
        self.ended_ms.filter(|ended| *ended <= now_ms)
    }

    /// Whether EMR lists and describes it: it exists, and ended less than two months ago.
    pub fn is_visible_at(&self, now_ms: i64) -> bool {
        self.created_ms <= now_ms
            && self
                .ended_ms
                .is_none_or(|ended| now_ms < ended + RETENTION_MS)
    }

    /// Its state. Meaningful only while it is visible.
    pub fn state_at(&self, now_ms: i64, recipe: &Recipe) -> ClusterState {
        match self.ended_ms {
            Some(ended) if now_ms >= ended && self.fails => ClusterState::TerminatedWithErrors,
            Some(ended) if now_ms >= ended => ClusterState::Terminated,
            Some(ended) if now_ms >= ended - TERMINATING_MS => ClusterState::Terminating,
            _ if now_ms < self.created_ms + STARTING_MS => ClusterState::Starting,
            _ if now_ms < self.ready_ms => ClusterState::Bootstrapping,
            // Long-lived clusters work by day and wait by night.
            _ if !recipe.is_job && now_ms.rem_euclid(DAY_MS) < 6 * 60 * MINUTE_MS => {
                ClusterState::Waiting
            }
            _ => ClusterState::Running,
        }
    }

    /// Whether it is in an active state.
    pub fn is_active_at(&self, now_ms: i64) -> bool {
        self.created_ms <= now_ms && self.ended_ms.is_none_or(|ended| now_ms < ended)
    }
}
