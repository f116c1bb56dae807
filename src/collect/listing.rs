//! Listing clusters without losing one, as plain functions.
//!
//! AWS filters lists by creation, not by end, so a run makes two: all active clusters, undated, then
//! the ended ones created since the oldest cluster that was open at the watermark. A run holds the
//! clusters that are active now or ended since the watermark, and the ended ones whose settings the
//! watermark run owed, no others: an active cluster has a row in every run, an ended one in the runs
//! after its end up to the one that described it.

use std::collections::{BTreeMap, HashMap};

use crate::collect::api::ListedCluster;
use crate::collect::facts::KnownAccountRegion;
use crate::model::datasets::{EmrCluster, is_active_state};
use crate::model::words::{Lookup, Seen, Settings};
use crate::time::{DAY_MS, HOUR_MS, UtcMillis};

/// The states of a cluster that has ended.
pub const ENDED_STATES: [&str; 2] = ["TERMINATED", "TERMINATED_WITH_ERRORS"];
/// AWS forgets ended clusters after two months, so an older watermark proves nothing
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-clusters.html>).
const WATERMARK_AGE_MS: i64 = 62 * DAY_MS;
/// How much of the time before the watermark is looked at again: AWS's lists lag, clocks differ.
const OVERLAP_MS: i64 = HOUR_MS;

/// The watermark, unless it is too old to be one.
pub fn fresh(known: Option<KnownAccountRegion>, now: UtcMillis) -> Option<KnownAccountRegion> {
    known.filter(|k| now.0.saturating_sub(k.listed_at.0) <= WATERMARK_AGE_MS)
}

/// The clusters that the watermark run did not finish: they were active, or ended with settings that
/// nobody has read. Those that AWS has certainly forgotten are finished.
pub fn open(known: Option<&KnownAccountRegion>) -> impl Iterator<Item = &EmrCluster> {
    known.into_iter().flat_map(|k| {
        let remembered = |c: &EmrCluster| c.is_active() || !is_forgotten(c, k.listed_at);
        let rows = k.clusters.iter();
        rows.filter(move |c| is_open(c) && remembered(c))
    })
}

/// A row that is `vanished` and still deferred is one whose id AWS no longer knew: nobody will read
/// its settings any more.
fn is_open(row: &EmrCluster) -> bool {
    row.is_active() || (owes(row) && row.seen != Seen::Vanished)
}

/// Whether something of an ended cluster was not read in time: its settings, its steps or its sessions.
/// What was refused is not asked again.
fn owes(row: &EmrCluster) -> bool {
    let cut_off = |lookup| matches!(lookup, Some(Lookup::NotAttempted | Lookup::Failed));
    row.settings == Settings::Deferred || cut_off(row.steps_lookup) || cut_off(row.sessions_lookup)
}

fn is_forgotten(row: &EmrCluster, listed_at: UtcMillis) -> bool {
    let last = row.ended_at.or(row.created_at);
    last.is_some_and(|at| listed_at.0.saturating_sub(at.0) > WATERMARK_AGE_MS)
}

/// The `CreatedAfter` of the second list; `None` lists everything that AWS still shows.
pub fn created_after(known: Option<&KnownAccountRegion>) -> Option<UtcMillis> {
    let known = known?;
    let mut oldest = known.listed_at;
    for cluster in open(Some(known)) {
        // Without its creation time no date is early enough for it.
        oldest = oldest.min(cluster.created_at?);
    }
    Some(oldest.plus_ms(-OVERLAP_MS))
}

/// What the two lists mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Population {
    /// Clusters that get a row, by id.
    pub listed: BTreeMap<String, ListedCluster>,
    /// Ids that were open at the watermark and stand in neither list, sorted.
    pub vanished: Vec<String>,
}

/// Joins the two lists. A cluster in both ended in between; it counts once, as ended.
pub fn population(
    known: Option<&KnownAccountRegion>,
    active: Vec<ListedCluster>,
    ended: Vec<ListedCluster>,
) -> Population {
    let earlier: HashMap<&str, &EmrCluster> = known
        .into_iter()
        .flat_map(|k| k.clusters.iter().map(|c| (c.cluster_id.as_str(), c)))
        .collect();
    let mut listed: BTreeMap<String, ListedCluster> =
        active.into_iter().map(|c| (c.id.clone(), c)).collect();
    for cluster in ended {
        let ours = match earlier.get(cluster.id.as_str()) {
            Some(row) => is_open(row),
            None => known.is_none_or(|k| ended_since(&cluster, k.listed_at)),
        };
        // One that this run saw active has a row whatever the watermark says of it.
        if ours || listed.contains_key(&cluster.id) {
            listed.insert(cluster.id.clone(), cluster);
        }
    }
    let mut vanished: Vec<String> = open(known)
        .filter(|c| !listed.contains_key(&c.cluster_id))
        .map(|c| c.cluster_id.clone())
        .collect();
    vanished.sort_unstable();
    vanished.dedup();
    Population { listed, vanished }
}

/// Whether an ended cluster that the watermark run does not know ended after it. Had it been alive
/// then, that run would know it, so it was made since, or it had ended and was reported before, or
/// (within the overlap) AWS's list had not shown it yet.
fn ended_since(cluster: &ListedCluster, listed_at: UtcMillis) -> bool {
    let edge = listed_at.plus_ms(-OVERLAP_MS);
    match (cluster.created_at, cluster.ended_at) {
        (_, Some(ended)) => ended >= edge,
        (Some(created), None) => created >= edge,
        (None, None) => true,
    }
}

/// Whether a state is an active one; anything else that AWS may say counts as ended.
pub fn is_active(cluster: &ListedCluster) -> bool {
    is_active_state(&cluster.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fake::{cluster_row, listed};

    const T: i64 = 1_795_485_600_000;

    fn known(clusters: Vec<EmrCluster>) -> KnownAccountRegion {
        KnownAccountRegion {
            listed_at: UtcMillis(T),
            run_id: "20261123T020003Z-7f3a".parse().expect("run id"),
            clusters,
            steps: vec![],
        }
    }

    fn hours(h: i64) -> Option<UtcMillis> {
        Some(UtcMillis(T + h * HOUR_MS))
    }

    fn ids(population: &Population) -> Vec<&str> {
        population.listed.keys().map(String::as_str).collect()
    }

    #[test]
    fn without_a_watermark_everything_aws_shows_is_reported() {
        assert_eq!(created_after(None), None);
        let p = population(
            None,
            vec![listed("j-1", "RUNNING", hours(-1), None)],
            vec![listed("j-2", "TERMINATED", hours(-900), hours(-800))],
        );
        assert_eq!(ids(&p), ["j-1", "j-2"]);
    }

    #[test]
    fn the_second_list_reaches_back_to_the_oldest_cluster_that_was_alive() {
        let k = known(vec![
            cluster_row("j-old", "WAITING", hours(-700), None),
            cluster_row("j-new", "RUNNING", hours(-2), None),
            cluster_row("j-gone", "TERMINATED", hours(-900), hours(-3)),
        ]);
        assert_eq!(created_after(Some(&k)), hours(-701));
        assert_eq!(created_after(Some(&known(vec![]))), hours(-1));
    }

    #[test]
    fn a_cluster_of_unknown_creation_lifts_the_date_filter() {
        let k = known(vec![cluster_row("j-1", "RUNNING", None, None)]);
        assert_eq!(created_after(Some(&k)), None);
    }

    #[test]
    fn created_last_month_and_ended_yesterday_is_reported() {
        let k = known(vec![cluster_row("j-1", "RUNNING", hours(-700), None)]);
        let p = population(
            Some(&k),
            vec![],
            vec![listed("j-1", "TERMINATED", hours(-700), hours(3))],
        );
        assert_eq!(ids(&p), ["j-1"]);
        assert!(p.vanished.is_empty());
    }

    #[test]
    fn started_and_ended_between_two_runs_is_reported() {
        let p = population(
            Some(&known(vec![])),
            vec![],
            vec![listed("j-1", "TERMINATED", hours(1), hours(2))],
        );
        assert_eq!(ids(&p), ["j-1"]);
    }

    #[test]
    fn an_end_that_was_reported_is_not_reported_again() {
        let k = known(vec![
            cluster_row("j-alive", "RUNNING", hours(-800), None),
            cluster_row("j-known", "TERMINATED", hours(-5), hours(-1)),
        ]);
        let p = population(
            Some(&k),
            vec![listed("j-alive", "RUNNING", hours(-800), None)],
            vec![
                listed("j-known", "TERMINATED", hours(-5), hours(-1)),
                listed("j-earlier", "TERMINATED", hours(-600), hours(-500)),
                listed("j-endless", "TERMINATED", hours(-600), None),
            ],
        );
        assert_eq!(ids(&p), ["j-alive"]);
    }

    #[test]
    fn an_end_that_the_watermark_run_could_not_see_yet_is_reported() {
        let p = population(
            Some(&known(vec![])),
            vec![],
            vec![
                listed(
                    "j-lag",
                    "TERMINATED",
                    hours(-9),
                    Some(UtcMillis(T - 60_000)),
                ),
                listed("j-odd", "TERMINATED", None, None),
            ],
        );
        assert_eq!(ids(&p), ["j-lag", "j-odd"]);
    }

    #[test]
    fn a_cluster_that_ends_between_the_lists_counts_once_as_ended() {
        let p = population(
            Some(&known(vec![])),
            vec![listed("j-1", "RUNNING", hours(-900), None)],
            vec![listed("j-1", "TERMINATED", hours(-900), hours(24))],
        );
        assert_eq!(p.listed.len(), 1);
        assert_eq!(p.listed["j-1"].state, "TERMINATED");
    }

    #[test]
    fn alive_at_the_watermark_and_in_neither_list_is_vanished() {
        let k = known(vec![
            cluster_row("j-2", "WAITING", hours(-9), None),
            cluster_row("j-1", "WAITING", hours(-9), None),
            cluster_row("j-3", "TERMINATED", hours(-9), hours(-2)),
        ]);
        let p = population(Some(&k), vec![], vec![]);
        assert_eq!(p.vanished, ["j-1", "j-2"]);
    }

    fn owed(mut row: EmrCluster, seen: Seen) -> EmrCluster {
        row.settings = Settings::Deferred;
        row.seen = seen;
        row
    }

    #[test]
    fn an_ended_cluster_whose_settings_are_owed_is_looked_for_again() {
        let k = known(vec![
            owed(
                cluster_row("j-owed", "TERMINATED", hours(-600), hours(-500)),
                Seen::Listed,
            ),
            owed(
                cluster_row("j-lost", "TERMINATED", hours(-90), hours(-80)),
                Seen::NotSeen,
            ),
            cluster_row("j-known", "TERMINATED", hours(-800), hours(-20)),
        ]);
        assert_eq!(created_after(Some(&k)), hours(-601));
        let p = population(
            Some(&k),
            vec![],
            vec![
                listed("j-owed", "TERMINATED", hours(-600), hours(-500)),
                listed("j-known", "TERMINATED", hours(-800), hours(-20)),
            ],
        );
        assert_eq!(ids(&p), ["j-owed"]);
        assert_eq!(p.vanished, ["j-lost"]);
    }

    #[test]
    fn an_ended_cluster_whose_steps_were_not_read_in_time_is_looked_for_again() {
        let ended = |id: &str, lookup: Lookup| {
            let mut row = cluster_row(id, "TERMINATED", hours(-90), hours(-80));
            row.steps_lookup = Some(lookup);
            row
        };
        let k = known(vec![
            ended("j-late", Lookup::NotAttempted),
            ended("j-broken", Lookup::Failed),
            ended("j-refused", Lookup::Denied),
            ended("j-read", Lookup::Found),
        ]);
        let shown = ["j-late", "j-broken", "j-refused", "j-read"]
            .map(|id| listed(id, "TERMINATED", hours(-90), hours(-80)));
        let p = population(Some(&k), vec![], shown.into());
        assert_eq!(ids(&p), ["j-broken", "j-late"]);
    }

    #[test]
    fn what_aws_has_forgotten_is_owed_no_longer() {
        let k = known(vec![
            owed(
                cluster_row("j-told", "TERMINATED", hours(-90), hours(-80)),
                Seen::Vanished,
            ),
            owed(
                cluster_row("j-aged", "TERMINATED", hours(-9_000), hours(-63 * 24)),
                Seen::NotSeen,
            ),
        ]);
        assert_eq!(created_after(Some(&k)), hours(-1));
        assert_eq!(population(Some(&k), vec![], vec![]), Population::default());
        // Should AWS still show the aged one, it is described after all.
        let shown = listed("j-aged", "TERMINATED", hours(-9_000), hours(-63 * 24));
        let p = population(Some(&k), vec![], vec![shown]);
        assert_eq!(ids(&p), ["j-aged"]);
    }

    #[test]
    fn how_the_watermark_run_saw_an_active_cluster_does_not_matter() {
        for seen in [Seen::Listed, Seen::NotSeen, Seen::Vanished] {
            for settings in [Settings::Described, Settings::Deferred] {
                let mut row = cluster_row("j-1", "RUNNING", hours(-700), None);
                (row.seen, row.settings) = (seen, settings);
                let k = known(vec![row]);
                assert_eq!(created_after(Some(&k)), hours(-701), "{seen} {settings}");
                let vanished = population(Some(&k), vec![], vec![]).vanished;
                assert_eq!(vanished, ["j-1"], "{seen} {settings}");
                let end = listed("j-1", "TERMINATED", hours(-700), hours(3));
                let p = population(Some(&k), vec![], vec![end]);
                assert_eq!(ids(&p), ["j-1"], "{seen} {settings}");
            }
        }
    }

    #[test]
    fn a_watermark_older_than_62_days_is_none() {
        let at = |days: i64| UtcMillis(T + days * DAY_MS);
        assert!(fresh(Some(known(vec![])), at(62)).is_some());
        assert!(fresh(Some(known(vec![])), at(63)).is_none());
    }

    /// A simulated fortnight: whatever is alive when a run looks has a row in that run, and every
    /// end is reported exactly once.
    #[test]
    fn over_many_runs_every_end_is_reported_once() {
        use crate::collect::random::seeded;
        let random = seeded(7);
        let span = 14.0 * 24.0;
        let world: Vec<(String, i64, i64)> = (0..400)
            .map(|i| {
                let start = ((random() * span - 24.0) * HOUR_MS as f64) as i64;
                let life = (random() * random() * 200.0 * HOUR_MS as f64) as i64;
                (format!("j-{i:03}"), T + start, T + start + life)
            })
            .collect();
        let mut watermark: Option<KnownAccountRegion> = None;
        let mut ends: HashMap<String, u32> = HashMap::new();
        for day in 0..40 {
            let now = T + day * DAY_MS;
            let after = created_after(watermark.as_ref()).map_or(i64::MIN, |t| t.0);
            let at = |t: i64| Some(UtcMillis(t));
            let active: Vec<_> = world
                .iter()
                .filter(|(_, s, e)| *s <= now && now < *e)
                .map(|(id, s, _)| listed(id, "RUNNING", at(*s), None))
                .collect();
            let ended = world
                .iter()
                .filter(|(_, s, e)| *e <= now && *s >= after)
                .map(|(id, s, e)| listed(id, "TERMINATED", at(*s), at(*e)))
                .collect();
            let alive_now: Vec<_> = active.iter().map(|c| c.id.clone()).collect();
            let p = population(watermark.as_ref(), active, ended);
            assert!(p.vanished.is_empty());
            assert!(alive_now.iter().all(|id| p.listed.contains_key(id)));
            for c in p.listed.values().filter(|c| !is_active(c)) {
                *ends.entry(c.id.clone()).or_default() += 1;
            }
            watermark = Some(KnownAccountRegion {
                listed_at: UtcMillis(now),
                run_id: "20261123T020003Z-7f3a".parse().expect("run id"),
                clusters: p
                    .listed
                    .values()
                    .map(|c| cluster_row(&c.id, &c.state, c.created_at, c.ended_at))
                    .collect(),
                steps: vec![],
            });
        }
        assert_eq!(ends.len(), world.len(), "an end was lost");
        assert!(ends.values().all(|n| *n == 1), "an end was reported twice");
    }
}
