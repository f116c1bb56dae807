//! Events that turn good clusters bad or repair them, looked up where log keys and log buckets live, where
//! clusters run, and in the home Regions of trails.
//!
//! LookupEvents takes one name a call, so every name costs a call or more of its two a second: a name is
//! asked for only where something lives that its events are about, or may live because the account could
//! not be looked into whole. So no events of a name mean that there were none.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::collect::attempt::{CallError, lock};
use crate::collect::engine::{CollectError, finish};
use crate::collect::events::{Looked, Place};
use crate::collect::facts::Facts;
use crate::collect::launches::{Read, window};
use crate::collect::lookups::Sessions;
use crate::collect::shared::Run;
use crate::collect::trail_events::control::{About, KINDS};
use crate::collect::trail_events::{Event, newest_of_each};
use crate::model::datasets::{ControlEvent, Coverage, EmrCluster, KmsKey, LogBucket, Trail};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Seen, Source};

/// What lives in an account-region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lives {
    keys: bool,
    buckets: bool,
    /// Clusters, and so security configurations.
    clusters: bool,
    /// Trails whose home this is.
    trails: bool,
}

/// What lives where. In `global` stands what lives in the account, nobody knows where.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<AccountId, Here>);

/// What lives in one account, by Region: a few dozen, which a tree has more room for than they need.
type Here = Vec<(Region, Lives)>;

fn lives_in(here: &Here, region: &Region) -> Lives {
    let found = here.iter().find(|(at, _)| at == region);
    found.map(|(_, lives)| *lives).unwrap_or_default()
}

impl Places {
    /// Notes what lives where, by facts.
    pub(super) fn note(&mut self, facts: &Facts) {
        self.rows(&facts.keys, &facts.buckets, &facts.trails);
        // All of one account-region.
        if let Some(cluster) = facts.clusters.iter().find(|c| c.seen != Seen::NotSeen) {
            self.cluster(cluster);
        }
        for cell in &facts.coverage {
            self.cell(cell);
        }
    }

    /// Notes what may live in an account of which a part was not read.
    pub(super) fn cell(&mut self, cell: &Coverage) {
        let unread = match cell.source {
            _ if cell.outcome.is_answer() => return,
            Source::Regions | Source::Clusters | Source::BucketOwners => Lives::ANYTHING,
            // Such a cluster may log anywhere, under any key.
            Source::ClusterSettings => Lives {
                keys: true,
                buckets: true,
                ..Lives::default()
            },
            Source::Trails => Lives {
                trails: true,
                ..Lives::default()
            },
            _ => return,
        };
        let lives = self.at(&cell.account_id, &Region::global());
        *lives = lives.or(unread);
    }

    /// Notes where keys, buckets and trails live. Whatever became of the look at a key, its ARN tells: what was
    /// deleted, or cannot be read, has events all the same.
    pub(super) fn rows(&mut self, keys: &[KmsKey], buckets: &[LogBucket], trails: &[Trail]) {
        for key in keys {
            self.at(&key.account_id, &key.region).keys = true;
        }
        for bucket in buckets {
            if let Some(account) = &bucket.account_id {
                let global = Region::global();
                let region = bucket.region.as_ref().unwrap_or(&global);
                self.at(account, region).buckets = true;
            }
        }
        for trail in trails.iter().filter(|t| t.is_own()) {
            self.at(&trail.account_id, &trail.region).trails = true;
        }
    }

    /// Notes where a cluster lives.
    pub(super) fn cluster(&mut self, cluster: &EmrCluster) {
        if cluster.seen != Seen::NotSeen {
            self.at(&cluster.account_id, &cluster.region).clusters = true;
        }
    }

    /// How many names are asked for in a place.
    pub(super) fn names(&self, account: &AccountId, region: &Region) -> usize {
        let lives = self.lives(account, region);
        let kinds = KINDS.iter();
        kinds.filter(|kind| lives.concerns(kind.about)).count()
    }

    /// What lives in a place, or may.
    fn lives(&self, account: &AccountId, region: &Region) -> Lives {
        let at = |here| lives_in(here, region).or(lives_in(here, &Region::global()));
        self.0.get(account).map(at).unwrap_or_default()
    }

    fn at(&mut self, account: &AccountId, region: &Region) -> &mut Lives {
        let here = self.0.entry(account.clone()).or_default();
        let at = here.iter().position(|(at, _)| at == region);
        let at = at.unwrap_or_else(|| {
            here.reserve_exact(1);
            here.push((region.clone(), Lives::default()));
            here.len() - 1
        });
        &mut here[at].1
    }
}

/// Notes where trails lived: one that was deleted since the last run has no row any more.
pub(super) fn note_earlier_trails(run: &Run) {
    let mut places = lock(&run.places);
    let in_scope = run.scope.accounts.iter().filter(|a| a.in_scope);
    for account in in_scope.map(|a| &a.account_id) {
        if run.dark(account).is_none() {
            for home in run.context.known.trail_homes(account) {
                places.at(account, &home).trails = true;
            }
        }
    }
}

/// The accounts in which something lives whose events nobody looked up yet.
pub(super) fn units(run: &Run) -> Vec<AccountId> {
    lock(&run.places).0.keys().cloned().collect()
}

/// Looks up the events of one account, where something lives as far as it is known now. Each place has
/// tokens of its own, two a second, so that all are waited for side by side.
pub(super) async fn unit(run: Arc<Run>, account: AccountId) -> Result<(), CollectError> {
    let sessions = Arc::new(Sessions::new(&run.options().role_name));
    let mut open = JoinSet::new();
    for (region, lives) in take(&run, &account) {
        let (run, sessions) = (run.clone(), sessions.clone());
        open.spawn(place(run, sessions, account.clone(), region, lives));
    }
    while let Some(ended) = open.join_next().await {
        finish(Some(ended))?;
    }
    Ok(())
}

/// The places of an account that are to be asked; nobody else gets them.
fn take(run: &Run, account: &AccountId) -> Vec<(Region, Lives)> {
    let own = lock(&run.places).0.remove(account).unwrap_or_default();
    let options = run.options();
    let is_asked = options.launch_days > 0
        && options.control_events
        && run.scope.account(account).is_some_and(|a| a.in_scope);
    let anywhere = lives_in(&own, &Region::global());
    own.into_iter()
        .filter(|(region, _)| {
            let cell = (account.clone(), region.clone(), Source::ControlEvents);
            is_asked && *region != Region::global() && !run.finished.lookups.contains(&cell)
        })
        .map(|(region, lives)| (region, lives.or(anywhere)))
        .collect()
}

/// Looks up the events of one account-region.
async fn place(
    run: Arc<Run>,
    sessions: Arc<Sessions>,
    account: AccountId,
    region: Region,
    lives: Lives,
) -> Result<(), CollectError> {
    let Some(of) = run.scope.account(&account) else {
        return Ok(());
    };
    let budget = run.budget();
    let window = window(&run, of, &region, Source::ControlEvents);
    let mut read = Read::new(&run, of, &region, window);
    let mut rows: Vec<ControlEvent> = Vec::new();
    let mut looked = Looked {
        again: true,
        to: Some(window.to),
        stopped: None,
    };
    match sessions.of(&run, &account, &budget).await {
        Err(error) => looked = looked.and(stopped(error)),
        Ok(session) => {
            let place = Place {
                session: &session,
                region: &region,
                budget: &budget,
            };
            for kind in KINDS.iter().filter(|kind| lives.concerns(kind.about)) {
                if looked.stopped.is_some() {
                    break;
                }
                if let Err(error) = run.may_begin() {
                    looked = looked.and(stopped(error));
                    break;
                }
                let of_name = place.look(kind.name, &window, |record| {
                    if let Some(Event::Control(row)) = read.record(&record) {
                        rows.push(*row);
                    }
                });
                looked = looked.and(of_name.await);
            }
        }
    }
    newest_of_each(&mut rows);
    let cell = read.cell(Source::ControlEvents, rows.len(), looked, &budget);
    let mut facts = Facts::new(account, region);
    facts.control_events = rows;
    facts.coverage.push(cell);
    run.append(facts)
}

fn stopped(error: CallError) -> Looked {
    Looked {
        stopped: Some(error),
        ..Looked::default()
    }
}

impl Lives {
    const ANYTHING: Self = Self {
        keys: true,
        buckets: true,
        clusters: true,
        trails: true,
    };

    fn concerns(self, about: About) -> bool {
        match about {
            About::Key | About::Alias => self.keys,
            About::Bucket => self.buckets,
            About::SecurityConfiguration => self.clusters,
            About::Trail => self.trails,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            keys: self.keys || other.keys,
            buckets: self.buckets || other.buckets,
            clusters: self.clusters || other.clusters,
            trails: self.trails || other.trails,
        }
    }
}
