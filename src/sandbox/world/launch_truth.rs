//! What an audit should record of the events that CloudTrail remembers.

use serde::Serialize;

use super::account_region::AccountRegion;
use super::launches::{Bucket, Class, DELAY_MS, Event, bucket, events};
use super::{DAY_MS, World};

/// One launch event as an audit should judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchTruth {
    pub account_id: String,
    pub region: &'static str,
    pub event_id: String,
    /// Whole seconds, in milliseconds.
    pub at_ms: i64,
    /// The cluster, where it was accepted.
    pub cluster_id: Option<String>,
    /// Events with the same value are one attempt.
    pub attempt: String,
    pub params_available: bool,
    pub class: Class,
    pub bucket: Bucket,
    /// `seen`, `not_applicable`, or `unknown` for a cluster that EMR forgot.
    pub population: &'static str,
}

/// An event that changed a key or a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ChangeTruth {
    pub account_id: String,
    pub region: &'static str,
    pub event_id: String,
    pub name: &'static str,
}

/// The instants of a run: its own, and that of the run before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub now_ms: i64,
    pub since_ms: Option<i64>,
}

impl Run {
    /// Whether the run looks at an event: what happened since the run before, and the day before that,
    /// since events come late.
    fn looks_at(self, at_ms: i64) -> bool {
        Event::is_visible_at(at_ms, self.now_ms)
            && self.since_ms.is_none_or(|since| since - DAY_MS <= at_ms)
    }

    /// Whether the run before recorded it.
    fn is_known(self, at_ms: i64) -> bool {
        self.since_ms.is_some_and(|since| at_ms + DELAY_MS <= since)
    }
}

/// The launch events that a run should record: those that are new, and those of the clusters that it
/// holds.
pub(super) fn truth<'h>(
    world: &'h World,
    here: &'h AccountRegion,
    run: Run,
    held: &'h [&str],
) -> impl Iterator<Item = LaunchTruth> + 'h {
    let is_held = |id: &Option<String>| id.as_deref().is_some_and(|id| held.contains(&id));
    let wanted = |name: &str, at_ms| name == "RunJobFlow" && run.looks_at(at_ms);
    let events = events(world, here, &wanted).into_iter();
    events.filter_map(move |event| {
        let said = event.truth.clone()?;
        let held = is_held(&said.cluster);
        if run.is_known(event.at_ms) && !held {
            return None;
        }
        let cluster = said.cluster.as_deref().and_then(|id| here.cluster(id));
        let never_ready = cluster.is_some_and(|cluster| {
            let ended = cluster.ended_at(run.now_ms);
            cluster.fails && ended.is_some_and(|ended| ended < cluster.ready_ms)
        });
        let class = match (cluster, said.params_available) {
            (Some(_), _) if held && never_ready => Class::AcceptedThenFailed,
            (Some(_), false) if !held => Class::AcceptedParamsUnavailable,
            _ => said.class,
        };
        let counted = match class {
            Class::AcceptedThenFailed => said.class,
            class => class,
        };
        Some(LaunchTruth {
            account_id: here.account_id.clone(),
            region: here.region,
            bucket: bucket(counted, event.is_guarded(world)),
            event_id: event.id,
            at_ms: event.at_ms,
            cluster_id: said.cluster.clone(),
            attempt: said.attempt,
            params_available: said.params_available,
            class,
            population: match cluster {
                Some(_) if held => "seen",
                Some(_) => "unknown",
                None => "not_applicable",
            },
        })
    })
}

/// The changes that a run may find, wherever keys or buckets that clusters name live here.
pub(super) fn change_truth(world: &World, here: &AccountRegion, run: Run) -> Vec<ChangeTruth> {
    let wanted = |name: &str, at_ms| name != "RunJobFlow" && run.looks_at(at_ms);
    let events = events(world, here, &wanted).into_iter();
    events
        .map(|event| ChangeTruth {
            account_id: here.account_id.clone(),
            region: here.region,
            event_id: event.id,
            name: event.name,
        })
        .collect()
}
