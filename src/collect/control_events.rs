//! Events that turn good clusters bad or repair them, looked up where log keys and log buckets live.
//!
//! LookupEvents takes one name a call, so every name costs a call or more of its two a second. Trails
//! and security configurations are not asked for here: the state of each is read in every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::collect::attempt::{CallError, lock};
use crate::collect::engine::{CollectError, Run, finish};
use crate::collect::events::{Looked, Place};
use crate::collect::facts::Facts;
use crate::collect::launches::{Read, window};
use crate::collect::lookups::Sessions;
use crate::collect::trail_events::control::{About, KINDS};
use crate::collect::trail_events::{Event, newest_of_each};
use crate::model::datasets::{ControlEvent, KmsKey, LogBucket};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Lookup, Source};

/// What lives in an account-region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lives {
    keys: bool,
    buckets: bool,
}

/// Places where log keys and log buckets live.
pub(super) type Places = BTreeMap<AccountId, BTreeMap<Region, Lives>>;

/// Notes where the keys and buckets live that were looked up.
pub(super) fn note(places: &mut Places, facts: &Facts) {
    note_rows(places, &facts.keys, &facts.buckets);
}

/// The same of keys and buckets alone.
pub(super) fn note_rows(places: &mut Places, keys: &[KmsKey], buckets: &[LogBucket]) {
    let mut lives = |account: &AccountId, region: &Region, note: fn(&mut Lives)| {
        let of = places.entry(account.clone()).or_default();
        note(of.entry(region.clone()).or_default());
    };
    for key in keys.iter().filter(|k| k.lookup == Lookup::Found) {
        lives(&key.account_id, &key.region, |l| l.keys = true);
    }
    for bucket in buckets.iter().filter(|b| b.lookup == Lookup::Found) {
        if let (Some(account), Some(region)) = (&bucket.account_id, &bucket.region) {
            lives(account, region, |l| l.buckets = true);
        }
    }
}

/// The accounts in which something lives whose events nobody looked up yet.
pub(super) fn units(run: &Run) -> Vec<AccountId> {
    lock(&run.places).keys().cloned().collect()
}

/// Looks up the events of one account, where something lives as far as it is known now. Each place has
/// tokens of its own, two a second, so that several are waited for side by side.
pub(super) async fn unit(run: Arc<Run>, account: AccountId) -> Result<(), CollectError> {
    let sessions = Arc::new(Sessions::new(&run.options().role_name));
    let limit = run.options().regions_at_once.max(1).saturating_mul(2);
    let mut open = JoinSet::new();
    for (region, lives) in take(&run, &account) {
        if open.len() >= limit {
            finish(open.join_next().await)?;
        }
        let (run, sessions) = (run.clone(), sessions.clone());
        open.spawn(place(run, sessions, account.clone(), region, lives));
    }
    while let Some(ended) = open.join_next().await {
        finish(Some(ended))?;
    }
    Ok(())
}

/// The places of an account that are to be asked; nobody else gets them.
fn take(run: &Run, account: &AccountId) -> BTreeMap<Region, Lives> {
    let mut own = lock(&run.places).remove(account).unwrap_or_default();
    let options = run.options();
    let is_asked = options.launch_days > 0
        && options.control_events
        && run.scope.account(account).is_some_and(|a| a.in_scope);
    own.retain(|region, _| {
        let cell = (account.clone(), region.clone(), Source::ControlEvents);
        is_asked && !run.finished.lookups.contains(&cell)
    });
    own
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
    /// How many names are looked up here.
    pub fn names(self) -> usize {
        KINDS.iter().filter(|k| self.concerns(k.about)).count()
    }

    fn concerns(self, about: About) -> bool {
        match about {
            About::Key | About::Alias => self.keys,
            About::Bucket => self.buckets,
            About::SecurityConfiguration | About::Trail => false,
        }
    }
}
