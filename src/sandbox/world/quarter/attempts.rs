//! KPI 3: attempts to launch clusters.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::{Belongs, Figures, Scope};
use super::looks::{Seen, Sighting};
use super::{Calendar, pieces};
use crate::sandbox::World;
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::launch_truth::LaunchTruth;
use crate::sandbox::world::launches::{Bucket, Class, HISTORY_MS};
use crate::sandbox::world::scenario::Outcome;
use crate::sandbox::world::security_configurations;

/// Columns that count events, and distinct attempts beside them.
const COUNTED: [(&str, &str); 17] = [
    ("events", "attempts"),
    ("blocked_events", "blocked_attempts"),
    ("flagged_events", "flagged_attempts"),
    ("unknown_events", "unknown_attempts"),
    ("blocked_failing_events", "blocked_failing_attempts"),
    ("blocked_meeting_events", "blocked_meeting_attempts"),
    (
        "blocked_params_unknown_events",
        "blocked_params_unknown_attempts",
    ),
    ("accepted_compliant_events", "accepted_compliant_attempts"),
    (
        "accepted_noncompliant_events",
        "accepted_noncompliant_attempts",
    ),
    (
        "accepted_no_log_place_events",
        "accepted_no_log_place_attempts",
    ),
    (
        "accepted_params_unavailable_events",
        "accepted_params_unavailable_attempts",
    ),
    (
        "accepted_key_unknown_events",
        "accepted_key_unknown_attempts",
    ),
    (
        "accepted_then_failed_events",
        "accepted_then_failed_attempts",
    ),
    ("denied_noncompliant_events", "denied_noncompliant_attempts"),
    ("denied_compliant_events", "denied_compliant_attempts"),
    (
        "denied_params_unavailable_events",
        "denied_params_unavailable_attempts",
    ),
    ("rejected_invalid_events", "rejected_invalid_attempts"),
];
const THROTTLED: (&str, &str) = ("throttled_events", "throttled_attempts");
const OTHER_SUMS: [&str; 13] = [
    "days_expected",
    "runs_of_record",
    "other_error_events",
    "other_error_attempts",
    "approved_events",
    "not_approved_events",
    "approval_unknown_events",
    "launches_seen",
    "launches_not_seen",
    "launches_population_unknown",
    "trail_events",
    "clusters_launched",
    "clusters_without_event",
];
const OF_PLACES: [&str; 3] = ["cells", "expected_ms", "unobserved_ms"];

pub(super) fn figures(world: &World, calendar: &Calendar, seen: &Seen) -> Figures {
    let counted = COUNTED.into_iter().chain([THROTTLED]);
    let mut sums: Vec<&str> = counted
        .flat_map(|(events, tries)| [events, tries])
        .collect();
    sums.extend(OTHER_SUMS);
    let mut figures = Figures::new(&sums, &OF_PLACES);
    let mut tries: BTreeMap<(Scope, &'static str), BTreeSet<&str>> = BTreeMap::new();
    let launches = seen.launches.values();
    for launch in launches.filter(|launch| calendar.holds(launch.at_ms)) {
        let Some(account) = world.account(&launch.account_id) else {
            continue;
        };
        let of_account = Belongs::to_account(account);
        let asked = asked(world, launch);
        let of_launch = |name: &str| {
            let tags = asked.as_ref().filter(|_| launch.params_available);
            let found = tags?.tags.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        };
        let belongs = Belongs {
            owner: of_launch("owner").or(of_account.owner),
            cost_center: of_launch("cost-center").or(of_account.cost_center),
            ..of_account
        };
        for (events, attempts) in columns(launch) {
            figures.add(belongs.scopes(), events, 1);
            for scope in belongs.scopes() {
                let of = tries.entry((scope, attempts)).or_default();
                of.insert(&launch.attempt);
            }
        }
        if let Some(asked) = &asked {
            let column = match asked.approved.filter(|_| is_told(launch)) {
                Some(true) => "approved_events",
                Some(false) => "not_approved_events",
                None => "approval_unknown_events",
            };
            figures.add(belongs.scopes(), column, 1);
        }
        match launch.population {
            "seen" => figures.add(belongs.scopes(), "launches_seen", 1),
            "unknown" => figures.add(belongs.scopes(), "launches_population_unknown", 1),
            _ => {}
        }
    }
    for ((scope, attempts), tries) in tries {
        figures.add([scope], attempts, tries.len() as i64);
    }
    for sightings in seen.clusters().values() {
        reconciled(calendar, sightings, seen, &mut figures);
    }
    observed(world, calendar, seen, &mut figures);
    let whole = || [("organization", "(all)".to_owned())];
    for column in OF_PLACES {
        figures.add(whole(), column, 0);
    }
    let days = (calendar.end_ms - calendar.start_ms) / DAY_MS;
    let scopes: Vec<_> = figures.rows().keys().cloned().collect();
    figures.add(scopes.clone(), "days_expected", days);
    let runs = calendar.of_quarter().len() as i64;
    figures.add(scopes, "runs_of_record", runs);
    figures
}

/// The settings of an accepted launch.
struct Asked<'w> {
    tags: &'w [(&'static str, String)],
    /// Whether its security configuration is approved, where that can be told.
    approved: Option<bool>,
}

fn asked<'w>(world: &'w World, launch: &LaunchTruth) -> Option<Asked<'w>> {
    let here = world.account_region(&launch.account_id, launch.region)?;
    let cluster = here.cluster(launch.cluster_id.as_deref()?)?;
    let recipe = here.recipe(cluster);
    let name = recipe.security_configuration;
    let made = name.and_then(|name| here.security_configuration(name));
    let [approved, _] = match made {
        Some(made) if made.created_ms > cluster.created_ms => {
            security_configurations::made_after_launch()
        }
        _ => security_configurations::statement(name),
    };
    Some(Asked {
        tags: &recipe.tags,
        approved: match approved.outcome {
            Outcome::Pass => Some(true),
            Outcome::Fail => Some(false),
            Outcome::Unknown | Outcome::NotApplicable => None,
        },
    })
}

/// Whether the event, or its cluster, tells what was asked for.
fn is_told(launch: &LaunchTruth) -> bool {
    launch.params_available || launch.population == "seen"
}

/// The pairs of columns in which an event counts.
fn columns(launch: &LaunchTruth) -> Vec<(&'static str, &'static str)> {
    let of = |events: &str| {
        let mut pairs = COUNTED.into_iter().chain([THROTTLED]);
        pairs.find(|(column, _)| *column == events)
    };
    let bucket = match launch.bucket {
        Bucket::Blocked => "blocked_events",
        Bucket::Flagged => "flagged_events",
        Bucket::Unknown => "unknown_events",
        Bucket::None => "",
    };
    let (class, blocked) = match launch.class {
        Class::AcceptedCompliant => ("accepted_compliant_events", ""),
        Class::AcceptedNoncompliant => ("accepted_noncompliant_events", ""),
        Class::AcceptedNoLogPlace => ("accepted_no_log_place_events", ""),
        Class::AcceptedParamsUnavailable => ("accepted_params_unavailable_events", ""),
        Class::AcceptedKeyUnknown => ("accepted_key_unknown_events", ""),
        Class::AcceptedThenFailed => ("accepted_then_failed_events", ""),
        Class::DeniedNoncompliant => ("denied_noncompliant_events", "blocked_failing_events"),
        Class::DeniedCompliant => ("denied_compliant_events", "blocked_meeting_events"),
        Class::DeniedParamsUnavailable => (
            "denied_params_unavailable_events",
            "blocked_params_unknown_events",
        ),
        Class::RejectedInvalid => ("rejected_invalid_events", ""),
        Class::Throttled => (THROTTLED.0, ""),
    };
    let blocked = if launch.bucket == Bucket::Blocked {
        blocked
    } else {
        ""
    };
    let all = ["events", bucket, class, blocked].into_iter();
    all.filter_map(of).collect()
}

/// A cluster that was launched in the quarter, and whether any run read the event of its launch. It
/// counts where the run for the newest date saw it belong.
fn reconciled(calendar: &Calendar, sightings: &[&Sighting], seen: &Seen, figures: &mut Figures) {
    // Later runs than these tell of clusters of the next quarter.
    let until = calendar.end_ms + 2 * DAY_MS;
    let is_told = |s: &&&Sighting| calendar.looks[s.look].date_ms < until;
    let newest = sightings.iter().filter(is_told).max_by_key(|s| s.look);
    let Some(newest) = newest.filter(|s| calendar.holds(s.created_ms)) else {
        return;
    };
    figures.add(newest.belongs.scopes(), "clusters_launched", 1);
    let mut launches = seen.launches.values();
    if !launches.any(|l| l.cluster_id.as_deref() == Some(&newest.cluster_id)) {
        figures.add(newest.belongs.scopes(), "clusters_without_event", 1);
    }
}

/// The time of the quarter whose events nobody read, account by account: each Region alike.
fn observed(world: &World, calendar: &Calendar, seen: &Seen, figures: &mut Figures) {
    let looks = &calendar.looks;
    let runs = calendar.of_quarter_by_start();
    for account in &world.accounts {
        let asked = runs
            .iter()
            .filter(|n| seen.expected[**n].contains(&account.id));
        let asked: Vec<usize> = asked.copied().collect();
        let by_date = || asked.iter().copied();
        let (Some(first), Some(last)) = (by_date().min(), by_date().max()) else {
            continue;
        };
        let beside = |n: usize, step: isize| {
            let at = runs.iter().position(|run| *run == n)?;
            let other = runs.get(at.checked_add_signed(step)?)?;
            Some(looks[*other].started_ms)
        };
        let from = beside(first, -1).unwrap_or(calendar.start_ms);
        let to = beside(last, 1).unwrap_or(calendar.end_ms);
        // A day is read again; a first run reads all that is remembered.
        let windows: Vec<(i64, i64)> = (0..looks.len())
            .filter(|n| seen.entered[*n].contains(&account.id))
            .map(|n| {
                let to = looks[n].started_ms;
                let since = seen.since[n].get(&account.id);
                (since.map_or(to - HISTORY_MS, |since| since - DAY_MS), to)
            })
            .collect();
        let cuts = windows.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let unread = pieces(from, to, cuts).into_iter().filter(|(at, _)| {
            let is_in = |window: &(i64, i64)| (window.0..window.1).contains(at);
            !windows.iter().any(is_in)
        });
        let unread: i64 = unread.map(|(from, to)| to - from).sum();
        let places = world.account_regions().iter();
        let places = places.filter(|here| here.account_id == account.id);
        let places = places.count() as i64;
        let belongs = Belongs::to_account(account);
        for scope in belongs.scopes().into_iter().take(3) {
            figures.add([scope.clone()], "cells", places);
            figures.add([scope.clone()], "expected_ms", places * (to - from));
            figures.add([scope], "unobserved_ms", places * unread);
        }
    }
}
