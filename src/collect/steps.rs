//! Steps: which of them have a log place or a log key of their own, and how many there are.
//!
//! ListSteps answers newest first
//! (<https://docs.aws.amazon.com/emr/latest/APIReference/API_ListSteps.html>), so a run reads down to the
//! newest step below which everything had ended when an earlier run read it. Log settings of a step are
//! fixed when it is added; what was found earlier is carried.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::collect::account_region::{Here, REFUSALS};
use crate::collect::api::{ErrorClass, ListedStep};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::facts::KnownAccountRegion;
use crate::collect::listing::{self, Population};
use crate::collect::lookups::lookup_of;
use crate::collect::operation::Operation;
use crate::collect::scope::text;
use crate::collect::settings::{by_id, place};
use crate::model::datasets::{EmrCluster, EmrStep};
use crate::model::words::{Lookup, Settings};

/// States of a step that will not run any more
/// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_StepStatus.html>).
const ENDED: [&str; 4] = ["COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED"];

/// What ListSteps told, by cluster id.
#[derive(Default)]
pub(super) struct Steps {
    read: BTreeMap<String, Read>,
    pub tally: ItemTally,
}

/// The steps of one cluster that are newer than what earlier runs had settled.
struct Read {
    newer: Newer,
    lookup: Lookup,
    error_code: Option<String>,
}

#[derive(Debug, Default, PartialEq)]
struct Newer {
    ids: HashSet<String>,
    /// Those that name a place or a key.
    own: Vec<ListedStep>,
    /// The newest step such that it and all older ones have ended, and how many are newer.
    settled: Option<(String, i64)>,
    /// The settled step of an earlier run was met.
    reached: bool,
}

impl Newer {
    /// Takes a page; true when the rest of the list is known.
    fn page(&mut self, steps: Vec<ListedStep>, settled: Option<&str>) -> bool {
        for step in steps {
            if settled == Some(step.id.as_str()) {
                self.reached = true;
                return true;
            }
            // A step that was added while the list was read pushes one onto the next page again.
            if self.ids.contains(&step.id) {
                continue;
            }
            let has_ended = step.state.as_deref().is_some_and(|s| ENDED.contains(&s));
            match (&self.settled, has_ended) {
                (None, true) => self.settled = Some((step.id.clone(), self.ids.len() as i64)),
                (Some(_), false) => self.settled = None,
                _ => {}
            }
            self.ids.insert(step.id.clone());
            if step.log_uri.is_some() || step.log_key.is_some() {
                self.own.push(step);
            }
        }
        false
    }
}

impl Here<'_> {
    /// Reads the steps of the population: of ended clusters first, which the next run will not ask
    /// about, then of those that no run has asked about.
    pub(super) async fn steps(
        &self,
        known: Option<&KnownAccountRegion>,
        population: &Population,
        budget: &Budget,
    ) -> Steps {
        let earlier = by_id(known);
        let mut ranked: Vec<(u8, &str)> = Vec::new();
        for (id, cluster) in &population.listed {
            let rank = match earlier.get(id.as_str()) {
                _ if !listing::is_active(cluster) => 0,
                Some(row) if row.steps_lookup == Some(Lookup::Found) => 2,
                _ => 1,
            };
            ranked.push((rank, id));
        }
        ranked.extend(population.vanished.iter().map(|id| (0, id.as_str())));
        ranked.sort_unstable();

        let mut steps = Steps::default();
        let mut stopped: Option<CallError> = None;
        let (mut refusals, mut answered) = (0, false);
        for (_, id) in ranked {
            let mut newer = Newer::default();
            let settled = earlier
                .get(id)
                .and_then(|row| row.steps_settled_id.as_deref());
            let ended = match &stopped {
                Some(error) => Err(error.clone()),
                None => self.steps_of(id, settled, &mut newer, budget).await,
            };
            let (lookup, error_code) = match &ended {
                Ok(()) => {
                    steps.tally.collected();
                    answered = true;
                    (Lookup::Found, None)
                }
                // AWS no longer knows the cluster: a fact about it.
                Err(error)
                    if matches!(
                        error.class(),
                        Some(ErrorClass::Refused | ErrorClass::NotFound)
                    ) && !population.listed.contains_key(id) =>
                {
                    steps.tally.collected();
                    (Lookup::NotFound, Fault::of(error).code)
                }
                Err(error) => {
                    let fault = Fault::of(error);
                    steps.tally.failed(error.outcome(), fault.clone());
                    (lookup_of(error), fault.code)
                }
            };
            if let Err(error) = ended
                && stopped.is_none()
            {
                refusals += u32::from(error.class().is_some_and(ErrorClass::is_denied));
                let hopeless = refusals >= REFUSALS && !answered;
                if hopeless || error.is_end() {
                    stopped = Some(error);
                }
            }
            let read = Read {
                newer,
                lookup,
                error_code,
            };
            steps.read.insert(id.to_owned(), read);
        }
        steps
    }

    async fn steps_of(
        &self,
        id: &str,
        settled: Option<&str>,
        newer: &mut Newer,
        budget: &Budget,
    ) -> Result<(), CallError> {
        let region = self.region;
        self.session
            .pages_until(
                budget,
                region,
                Operation::ListSteps,
                |m, next| async move { m.steps(region, id, next).await },
                |page| newer.page(page, settled),
            )
            .await
    }
}

impl Steps {
    /// Writes what was read into the rows of clusters, and gives the rows of steps: the earlier ones of
    /// those clusters, and the new ones.
    pub fn apply(
        self,
        known: Option<&KnownAccountRegion>,
        clusters: &mut [EmrCluster],
    ) -> Vec<EmrStep> {
        let mut carried: HashMap<&str, Vec<&EmrStep>> = HashMap::new();
        for step in known.into_iter().flat_map(|k| &k.steps) {
            carried.entry(&step.cluster_id).or_default().push(step);
        }
        let earlier = by_id(known);
        let mut read = self.read;
        let mut rows = Vec::new();
        for cluster in clusters {
            // A cluster that was described again has the steps that it had.
            if let Some(earlier) = earlier.get(cluster.cluster_id.as_str()) {
                cluster.steps = earlier.steps;
                cluster.steps_settled = earlier.steps_settled;
                cluster
                    .steps_settled_id
                    .clone_from(&earlier.steps_settled_id);
            }
            let mut own: BTreeMap<String, EmrStep> = BTreeMap::new();
            for step in carried
                .get(cluster.cluster_id.as_str())
                .into_iter()
                .flatten()
            {
                let step = EmrStep {
                    scheduled_for: cluster.scheduled_for,
                    ..(*step).clone()
                };
                own.insert(step.step_id.clone(), step);
            }
            if let Some(read) = read.remove(&cluster.cluster_id) {
                for step in &read.newer.own {
                    if let Some(step) = row(cluster, step) {
                        own.insert(step.step_id.clone(), step);
                    }
                }
                note(cluster, read);
            }
            rows.extend(own.into_values());
        }
        rows
    }
}

/// The row of a step whose settings are not just the cluster's.
fn row(cluster: &EmrCluster, step: &ListedStep) -> Option<EmrStep> {
    let known = cluster.settings != Settings::Deferred;
    let differs = |own: Option<String>, cluster: &Option<String>| {
        own.filter(|own| !known || cluster.as_ref() != Some(own))
    };
    let log_uri = differs(place(&step.log_uri), &cluster.log_uri);
    let log_key = differs(text(&step.log_key), &cluster.log_key);
    if log_uri.is_none() && log_key.is_none() {
        return None;
    }
    Some(EmrStep {
        scheduled_for: cluster.scheduled_for,
        account_id: cluster.account_id.clone(),
        region: cluster.region.clone(),
        cluster_id: cluster.cluster_id.clone(),
        step_id: step.id.clone(),
        created_at: step.created_at,
        log_uri,
        log_key,
    })
}

fn note(cluster: &mut EmrCluster, read: Read) {
    let Read {
        newer,
        lookup,
        error_code,
    } = read;
    cluster.steps_lookup = Some(lookup);
    cluster.steps_error_code = error_code;
    if lookup != Lookup::Found {
        return;
    }
    let count = newer.ids.len() as i64;
    let total = if newer.reached {
        cluster.steps_settled.unwrap_or_default() + count
    } else {
        // AWS no longer shows the step that was settled; what is known to have been there still was.
        count.max(cluster.steps.unwrap_or_default())
    };
    cluster.steps = Some(total);
    if let Some((id, above)) = newer.settled {
        cluster.steps_settled_id = Some(id);
        cluster.steps_settled = Some(total - above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, state: &str) -> ListedStep {
        ListedStep {
            id: id.to_owned(),
            state: Some(state.to_owned()),
            created_at: None,
            log_uri: None,
            log_key: None,
        }
    }

    fn settled(newer: &Newer) -> Option<(&str, i64)> {
        newer.settled.as_ref().map(|(id, n)| (id.as_str(), *n))
    }

    #[test]
    fn the_settled_step_has_nothing_unended_below_it() {
        let mut newer = Newer::default();
        let page = vec![
            step("s-5", "PENDING"),
            step("s-4", "COMPLETED"),
            step("s-3", "RUNNING"),
            step("s-2", "FAILED"),
            step("s-1", "CANCELLED"),
        ];
        assert!(!newer.page(page, None));
        assert_eq!(settled(&newer), Some(("s-2", 3)));
    }

    #[test]
    fn the_list_is_read_down_to_what_was_settled() {
        let mut newer = Newer::default();
        let page = vec![step("s-9", "RUNNING"), step("s-8", "COMPLETED")];
        assert!(!newer.page(page, Some("s-7")));
        let page = vec![
            // Pushed here by a step that was added meanwhile.
            step("s-8", "COMPLETED"),
            step("s-7", "COMPLETED"),
            step("s-6", "COMPLETED"),
        ];
        assert!(newer.page(page, Some("s-7")));
        assert_eq!((newer.ids.len(), settled(&newer)), (2, Some(("s-8", 1))));
        assert!(newer.reached);
    }
}
