//! The settings of clusters: which are described again, and what a cluster's row is made of.

use std::collections::HashMap;

use crate::collect::api::{DescribedCluster, ListedCluster};
use crate::collect::facts::KnownAccountRegion;
use crate::collect::listing::{self, Population};
use crate::collect::random::stable_hash;
use crate::collect::scope::{TagNames, tag_value, text};
use crate::model::datasets::{Account, EMR_MODEL, EmrCluster};
use crate::model::ids::{Region, RunId};
use crate::model::s3_location::S3Location;
use crate::model::words::{Seen, Settings};
use crate::time::{DAY_MS, UtcMillis};

/// Ids to describe, most needed first: the vanished, whose end only DescribeCluster tells; those
/// whose settings an earlier run owed, listed or not; those never described; then those that an
/// older model described, and those due for another look.
pub fn to_describe(
    known: Option<&KnownAccountRegion>,
    population: &Population,
    now: UtcMillis,
    max_age_days: i64,
) -> Vec<String> {
    let earlier = by_id(known);
    let mut ranked: Vec<(u8, &str)> = population
        .vanished
        .iter()
        .map(|id| {
            let ended = earlier.get(id.as_str()).is_some_and(|row| !row.is_active());
            (u8::from(ended), id.as_str())
        })
        .collect();
    for (id, cluster) in &population.listed {
        let rank = match earlier.get(id.as_str()) {
            Some(row) if row.settings == Settings::Deferred => 1,
            None => 2,
            Some(row) if listing::is_active(cluster) && is_old(row) => 3,
            Some(row) if listing::is_active(cluster) && is_due(row, now, max_age_days) => 4,
            Some(_) => continue,
        };
        ranked.push((rank, id));
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, id)| id.to_owned()).collect()
}

/// An older model of EMR read less of it. An ended cluster is not described again: its verdict stands.
fn is_old(row: &EmrCluster) -> bool {
    row.emr_model.is_none_or(|model| model < EMR_MODEL)
}

/// Each cluster has its own moment in the cycle, so that a fleet that was first seen on one day is
/// not described again on one day.
fn is_due(row: &EmrCluster, now: UtcMillis, max_age_days: i64) -> bool {
    let cycle = max_age_days.clamp(1, 36_500) * DAY_MS;
    let phase = (stable_hash(&row.cluster_id) % cycle.unsigned_abs()) as i64;
    let turn = |t: UtcMillis| t.0.saturating_add(phase).div_euclid(cycle);
    row.described_at.is_none_or(|at| turn(at) < turn(now))
}

/// Rows of the watermark by cluster id.
pub fn by_id(known: Option<&KnownAccountRegion>) -> HashMap<&str, &EmrCluster> {
    known
        .into_iter()
        .flat_map(|k| k.clusters.iter().map(|c| (c.cluster_id.as_str(), c)))
        .collect()
}

/// Makes the rows of one account-region.
pub struct Rows<'a> {
    pub account: &'a Account,
    pub region: &'a Region,
    pub run_id: &'a RunId,
    pub tags: &'a TagNames,
}

impl Rows<'_> {
    /// The row of a cluster that was described just now.
    pub fn described(&self, cluster: &DescribedCluster, seen: Seen, now: UtcMillis) -> EmrCluster {
        let tag = |name: &Option<String>| tag_value(&cluster.tags, name.as_deref());
        EmrCluster {
            release_label: text(&cluster.release_label),
            log_uri: place(&cluster.log_uri),
            log_key: text(&cluster.log_key),
            security_configuration: text(&cluster.security_configuration),
            service_role: text(&cluster.service_role),
            instance_profile: text(&cluster.instance_profile),
            system_logs_upload: text(&cluster.system_logs_upload),
            application_logs_upload: text(&cluster.application_logs_upload),
            ui_logs_upload: text(&cluster.ui_logs_upload),
            cloudwatch_enabled: cluster.cloudwatch.enabled,
            cloudwatch_log_group: text(&cluster.cloudwatch.log_group),
            cloudwatch_stream_prefix: text(&cluster.cloudwatch.stream_prefix),
            cloudwatch_key: text(&cluster.cloudwatch.key),
            cloudwatch_log_types: text(&Some(cluster.cloudwatch.log_types.join(" "))),
            yarn_log_dir: place(&cluster.application_logs.yarn_log_dir),
            yarn_log_aggregation: cluster.application_logs.yarn_log_aggregation,
            spark_event_log_dir: place(&cluster.application_logs.spark_event_log_dir),
            spark_event_log_enabled: cluster.application_logs.spark_event_log_enabled,
            spark_history_dir: place(&cluster.application_logs.spark_history_dir),
            session_enabled: cluster.session_enabled,
            emr_model: Some(EMR_MODEL),
            owner: tag(&self.tags.owner),
            cost_center: tag(&self.tags.cost_center),
            business_unit: tag(&self.tags.business_unit),
            data_classification: tag(&self.tags.data_classification),
            lineage: tag(&self.tags.lineage),
            settings: Settings::Described,
            described_in_run: Some(self.run_id.clone()),
            described_at: Some(now),
            ..self.deferred(&cluster.listed, seen)
        }
    }

    /// The row of a listed cluster: the settings of `earlier`, if that run had them.
    pub fn listed(&self, cluster: &ListedCluster, earlier: Option<&EmrCluster>) -> EmrCluster {
        let bare = self.deferred(cluster, Seen::Listed);
        let Some(earlier) = earlier.filter(|e| e.settings != Settings::Deferred) else {
            return bare;
        };
        EmrCluster {
            name: bare.name.or_else(|| earlier.name.clone()),
            state: bare.state,
            created_at: bare.created_at.or(earlier.created_at),
            ready_at: bare.ready_at.or(earlier.ready_at),
            ended_at: bare.ended_at,
            seen: Seen::Listed,
            ..self.carried(earlier)
        }
    }

    /// The row of a cluster that could not be seen: as it was last known.
    pub fn not_seen(&self, earlier: &EmrCluster) -> EmrCluster {
        EmrCluster {
            seen: Seen::NotSeen,
            ..self.carried(earlier)
        }
    }

    /// The row of a vanished cluster whose id AWS no longer knows. AWS forgets only what has ended,
    /// so one that was alive at the watermark ended; when, nobody can say any more.
    pub fn forgotten(&self, earlier: &EmrCluster) -> EmrCluster {
        let mut row = self.carried(earlier);
        if earlier.is_active() {
            row.state = "TERMINATED".to_owned();
            row.ended_at = None;
        }
        row.seen = Seen::Vanished;
        row
    }

    fn carried(&self, earlier: &EmrCluster) -> EmrCluster {
        EmrCluster {
            scheduled_for: self.account.scheduled_for,
            account_id: self.account.account_id.clone(),
            region: self.region.clone(),
            settings: match earlier.settings {
                Settings::Deferred => Settings::Deferred,
                Settings::Described | Settings::Carried => Settings::Carried,
            },
            ..earlier.clone()
        }
    }

    fn deferred(&self, cluster: &ListedCluster, seen: Seen) -> EmrCluster {
        EmrCluster {
            scheduled_for: self.account.scheduled_for,
            account_id: self.account.account_id.clone(),
            region: self.region.clone(),
            cluster_id: cluster.id.clone(),
            name: text(&cluster.name),
            state: cluster.state.clone(),
            created_at: cluster.created_at,
            ready_at: cluster.ready_at,
            ended_at: cluster.ended_at,
            release_label: None,
            log_uri: None,
            log_key: None,
            security_configuration: None,
            service_role: None,
            instance_profile: None,
            system_logs_upload: None,
            application_logs_upload: None,
            ui_logs_upload: None,
            cloudwatch_enabled: None,
            cloudwatch_log_group: None,
            cloudwatch_stream_prefix: None,
            cloudwatch_key: None,
            cloudwatch_log_types: None,
            yarn_log_dir: None,
            yarn_log_aggregation: None,
            spark_event_log_dir: None,
            spark_event_log_enabled: None,
            spark_history_dir: None,
            session_enabled: None,
            steps_lookup: None,
            steps_error_code: None,
            steps: None,
            steps_settled_id: None,
            steps_settled: None,
            sessions_lookup: None,
            sessions_error_code: None,
            emr_model: None,
            owner: None,
            cost_center: None,
            business_unit: None,
            data_classification: None,
            lineage: None,
            seen,
            settings: Settings::Deferred,
            described_in_run: None,
            described_at: None,
        }
    }
}

/// A place that logs go to, without credentials; `None` where nothing was set.
pub(super) fn place(uri: &Option<String>) -> Option<String> {
    uri.as_deref().and_then(log_uri)
}

/// A log URI without credentials. A form that is not S3 is kept, since "logs go somewhere" must not
/// become "logs go nowhere", but only its scheme and what cannot hold a secret.
fn log_uri(uri: &str) -> Option<String> {
    let uri = uri.trim();
    if let Some(location) = S3Location::parse(uri) {
        return Some(location.to_string());
    }
    let bare = uri.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    // Half of `KEY:SECRET@bucket` is a secret too; a port of a name node is no loss.
    let rest = rest.split(':').next().unwrap_or_default();
    let shown = match (scheme, rest) {
        (_, "") => String::new(),
        ("", rest) => rest.to_owned(),
        (scheme, rest) => format!("{scheme}://{rest}"),
    };
    text(&Some(shown)).or_else(|| (!uri.is_empty()).then(|| "unreadable".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fake::{cluster_row, listed};

    fn known(clusters: Vec<EmrCluster>) -> KnownAccountRegion {
        KnownAccountRegion {
            listed_at: UtcMillis(0),
            run_id: "20261123T020003Z-7f3a".parse().expect("run id"),
            clusters,
            steps: vec![],
        }
    }

    fn described(mut row: EmrCluster, at: i64) -> EmrCluster {
        row.settings = Settings::Described;
        row.described_at = Some(UtcMillis(at));
        row
    }

    #[test]
    fn what_is_owed_comes_first_and_what_is_known_is_left_alone() {
        let mut owed = cluster_row("j-owed", "RUNNING", None, None);
        owed.settings = Settings::Deferred;
        let k = known(vec![
            owed,
            described(cluster_row("j-known", "RUNNING", None, None), 0),
            described(cluster_row("j-ended", "RUNNING", None, None), 0),
        ]);
        let population = Population {
            listed: [
                listed("j-new", "RUNNING", None, None),
                listed("j-known", "RUNNING", None, None),
                listed("j-owed", "RUNNING", None, None),
                listed("j-ended", "TERMINATED", None, Some(UtcMillis(5))),
            ]
            .into_iter()
            .map(|c| (c.id.clone(), c))
            .collect(),
            vanished: vec!["j-z".to_owned()],
        };
        let ids = to_describe(Some(&k), &population, UtcMillis(0), 7);
        assert_eq!(ids, ["j-z", "j-owed", "j-new"]);
        let later = to_describe(Some(&k), &population, UtcMillis(7 * DAY_MS), 7);
        assert_eq!(later, ["j-z", "j-owed", "j-new", "j-known"]);
    }

    #[test]
    fn what_an_older_model_described_is_described_again_while_it_lives() {
        let mut old = described(cluster_row("j-old", "RUNNING", None, None), 0);
        old.emr_model = Some(EMR_MODEL - 1);
        let mut oldest = described(cluster_row("j-oldest", "RUNNING", None, None), 0);
        oldest.emr_model = None;
        let mut ended = old.clone();
        ended.cluster_id = "j-ended".to_owned();
        let k = known(vec![old, oldest, ended]);
        let population = Population {
            listed: [
                listed("j-old", "RUNNING", None, None),
                listed("j-oldest", "RUNNING", None, None),
                listed("j-ended", "TERMINATED", None, Some(UtcMillis(5))),
            ]
            .into_iter()
            .map(|c| (c.id.clone(), c))
            .collect(),
            vanished: vec![],
        };
        let ids = to_describe(Some(&k), &population, UtcMillis(0), 7);
        assert_eq!(ids, ["j-old", "j-oldest"]);
    }

    #[test]
    fn refreshing_is_spread_over_the_cycle_and_never_late() {
        let mut due_on = [0_u32; 8];
        for i in 0..1_000 {
            let row = described(cluster_row(&format!("j-{i}"), "RUNNING", None, None), 1);
            let first = (1..=7)
                .find(|day| is_due(&row, UtcMillis(1 + day * DAY_MS), 7))
                .expect("due within a week");
            due_on[first as usize] += 1;
        }
        assert!(
            due_on[1..].iter().all(|n| (90..200).contains(n)),
            "{due_on:?}"
        );
    }

    #[test]
    fn no_form_of_a_log_uri_carries_a_secret_or_disappears() {
        for (given, kept) in [
            ("s3n://AKIA:sec/ret@bucket/x", "s3n://bucket/x"),
            ("hdfs://user:pass@host/logs?token=1", "hdfs://host/logs"),
            ("s3n://AKIA:secret", "s3n://AKIA"),
            (" s3://b c/ ", "s3://b c/"),
            ("?token=secret", "unreadable"),
            ("user:secret@", "unreadable"),
        ] {
            assert_eq!(log_uri(given).as_deref(), Some(kept), "{given}");
        }
        assert_eq!(log_uri("  "), None);
    }
}
