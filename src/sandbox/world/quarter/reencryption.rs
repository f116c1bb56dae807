//! KPI 4: historical logs moved under a wanted key, and what remains.

use std::collections::BTreeMap;

use super::Calendar;
use super::figures::{Belongs, Figures};
use super::looks::Seen;
use crate::sandbox::World;
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::buckets::Bucket;

pub(super) const SUMS: [&str; 27] = [
    "days_expected",
    "runs_of_record",
    "evidences",
    "moved_versions",
    "moved_bytes",
    "snapshot_only_bytes",
    "moved_elsewhere_versions",
    "moved_elsewhere_bytes",
    "rotated_versions",
    "rotated_bytes",
    "unknown_versions",
    "failed_versions",
    "left_behind_bytes",
    "remaining_versions",
    "remaining_bytes",
    "key_unknown_versions",
    "key_unknown_bytes",
    "old_remaining_versions",
    "old_remaining_bytes",
    "old_key_unknown_versions",
    "old_key_unknown_bytes",
    "under_key_versions",
    "under_key_bytes",
    "moved_key_unknown_versions",
    "moved_key_unknown_bytes",
    "prefixes_counted",
    "prefixes_in_part",
];

pub(super) fn figures(world: &World, calendar: &Calendar, seen: &Seen) -> Figures {
    let mut figures = Figures::new(&SUMS, &[]);
    let runs = calendar.of_quarter();
    for (name, looks) in named(world, calendar, seen) {
        let Some(bucket) = world.bucket(&name) else {
            continue;
        };
        let Some(owner) = world.account(&bucket.account_id) else {
            continue;
        };
        // Asked with the owner's role.
        let asked = looks.into_iter();
        let asked: Vec<usize> = asked
            .filter(|n| seen.entered[*n].contains(&owner.id))
            .collect();
        let scopes = || Belongs::to_account(owner).scopes();
        let mut add = |column, n| figures.add(scopes(), column, n);
        jobs(world, calendar, bucket, &asked, &mut add);
        let newest = asked.iter().rfind(|n| runs.contains(n));
        let newest = newest.filter(|_| bucket.settings.inventories.contains(&true));
        if let Some(newest) = newest {
            remaining(world, bucket, calendar.looks[*newest].started_ms, &mut add);
        }
    }
    let days = (calendar.end_ms - calendar.start_ms) / DAY_MS;
    let scopes: Vec<_> = figures.rows().keys().cloned().collect();
    figures.add(scopes.clone(), "days_expected", days);
    figures.add(scopes, "runs_of_record", runs.len() as i64);
    figures
}

/// The buckets that the `LogUri` of some cluster named, with the runs that looked at such a cluster; not
/// those of later quarters.
fn named(world: &World, calendar: &Calendar, seen: &Seen) -> BTreeMap<String, Vec<usize>> {
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for sighting in &seen.sightings {
        let is_past = calendar.looks[sighting.look].date_ms < calendar.end_ms;
        if !is_past || !seen.entered[sighting.look].contains(&sighting.account) {
            continue;
        }
        let here = world.account_region(&sighting.account, sighting.region);
        let cluster = here.and_then(|here| Some((here, here.cluster(&sighting.cluster_id)?)));
        let uri = cluster.and_then(|(here, cluster)| here.recipe(cluster).log_uri.as_deref());
        // Behind credentials, in old URIs.
        let mut parts = uri.unwrap_or_default().split(['/', '@']);
        if let Some(bucket) = parts.find_map(|part| world.bucket(part)) {
            let looks = named.entry(bucket.name.clone()).or_default();
            if looks.last() != Some(&sighting.look) {
                looks.push(sighting.look);
            }
        }
    }
    named
}

/// What the newest run tells of a bucket's job, less what was told of it before the quarter.
fn jobs(
    world: &World,
    calendar: &Calendar,
    bucket: &Bucket,
    asked: &[usize],
    add: &mut impl FnMut(&'static str, i64),
) {
    let told = asked.iter().copied().filter(|n| {
        let now = calendar.looks[*n].started_ms;
        let job = world.batch_job(bucket, now);
        job.is_some_and(|job| job.is_shown_at(now))
    });
    let told: Vec<usize> = told.collect();
    let is_ours = |n: &&usize| calendar.holds(calendar.looks[**n].date_ms);
    let Some(newest) = told.iter().rfind(is_ours) else {
        return;
    };
    let before = told.iter().rfind(|n| !is_ours(n));
    add("evidences", 1);
    for (n, sign) in [(Some(newest), 1), (before, -1)] {
        let now = n.map(|n| calendar.looks[*n].started_ms);
        let Some(truth) = now.and_then(|now| world.reencryption_truth(bucket, now)) else {
            continue;
        };
        add("moved_versions", sign * truth.moved.unwrap_or(0));
        add("moved_bytes", sign * truth.moved_bytes.unwrap_or(0));
        add("unknown_versions", sign * truth.unknown);
        add("failed_versions", sign * truth.failed);
        add("left_behind_bytes", sign * truth.left_behind.unwrap_or(0));
    }
}

/// What the inventory says that a run at `now_ms` reads: KMS, and never which key. It lists all versions, and
/// every `LogUri` names the same prefix of a bucket.
fn remaining(world: &World, bucket: &Bucket, now_ms: i64, add: &mut impl FnMut(&'static str, i64)) {
    let Some(day) = world.report_days(now_ms).pop() else {
        return;
    };
    let mut versions = world.stored_versions(bucket, day);
    versions.retain(|version| !version.is_delete_marker);
    add("prefixes_counted", i64::from(!versions.is_empty()));
    for version in versions {
        let columns = match (version.status, version.is_latest) {
            ("SSE-KMS", true) => &["key_unknown_versions", "key_unknown_bytes"][..],
            ("SSE-KMS", false) => &[
                "key_unknown_versions",
                "key_unknown_bytes",
                "old_key_unknown_versions",
                "old_key_unknown_bytes",
            ],
            (_, true) => &["remaining_versions", "remaining_bytes"],
            (_, false) => &[
                "remaining_versions",
                "remaining_bytes",
                "old_remaining_versions",
                "old_remaining_bytes",
            ],
        };
        for column in columns {
            let bytes = version.bytes as i64;
            let n = if column.ends_with("bytes") { bytes } else { 1 };
            add(column, n);
        }
    }
}
