use super::remediation::How;
use super::*;
use crate::sandbox::Options;
use crate::sandbox::world::DAY_MS;
use crate::sandbox::world::scenario::Scenario;

fn world() -> World {
    World::of_a_quarter(&Options {
        accounts: 4,
        regions: 2,
        clusters: 4,
        days: 92,
        stories: Some(vec![
            Scenario::NoLogKey,
            Scenario::KeyArn,
            Scenario::UploadsDisabled,
            Scenario::KeyDisabledThenMended,
            Scenario::NoLogUri,
        ]),
        ..Options::default()
    })
}

fn calendar(world: &World, days: impl Iterator<Item = u32>) -> Calendar {
    let looks = days.map(|day| Look {
        date_ms: world.options.at(i64::from(day), 0),
        started_ms: world.audit_ms(day),
        by_other_rules: BTreeMap::new(),
    });
    Calendar {
        start_ms: world.options.start_ms,
        end_ms: world.options.at(92, 0),
        looks: looks.collect(),
        external_id: None,
    }
}

/// Sums of a kind of scope are those of the organization.
fn adds_up(figures: &Figures, kinds: &[&str], columns: &[&'static str]) {
    for column in columns {
        for kind in kinds {
            let rows = figures.rows().iter().filter(|((of, _), _)| of == kind);
            let sum: i64 = rows.filter_map(|(_, row)| row[column]).sum();
            assert_eq!(Some(sum), figures.whole(column), "{kind} {column}");
        }
    }
}

const KINDS: [&str; 5] = ["ou", "account", "business_unit", "owner", "cost_center"];

#[test]
fn scopes_add_up_and_every_moment_of_a_known_life_is_counted_once() {
    let world = world();
    let calendar = calendar(&world, (0..92).filter(|day| !(30..34).contains(day)));
    let quarter = world.quarter(&calendar);
    let share = &quarter.compliant_share;
    adds_up(share, &KINDS, &share::SUMS[2..]);
    let counts = [
        "opened",
        "fixed_in_place",
        "replaced",
        "ended",
        "open_count",
    ];
    adds_up(&quarter.time_to_remediate, &KINDS, &counts);
    let events = ["events", "attempts", "blocked_events", "clusters_launched"];
    adds_up(&quarter.launch_attempts, &KINDS, &events);
    let seconds = ["cells", "expected_ms", "unobserved_ms"];
    adds_up(&quarter.launch_attempts, &KINDS[..2], &seconds);
    adds_up(&quarter.logs_reencrypted, &KINDS, &reencryption::SUMS[2..]);

    let seen = looks::seen(&world, &calendar);
    let lives = seen.clusters().into_values().map(|sightings| {
        let last = sightings[sightings.len() - 1];
        let next = calendar.starts().into_iter();
        let next = next.filter(|start| *start > last.started_ms).min();
        let ended = sightings.iter().find_map(|s| s.ended_ms);
        let ended = ended.or(next).unwrap_or(calendar.end_ms);
        (ended.min(calendar.end_ms) - last.created_ms.max(calendar.start_ms)).max(0)
    });
    let counted = [
        "compliant_ms",
        "non_compliant_ms",
        "unknown_ms",
        "no_logs_ms",
        "unobserved_ms",
    ];
    let counted = counted.map(|column| share.whole(column).expect("a sum"));
    assert_eq!(counted.iter().sum::<i64>(), lives.sum::<i64>());
    assert!(counted.iter().all(|ms| *ms > 0), "{counted:?}");
}

#[test]
fn a_quarter_has_intervals_of_every_end() {
    let world = world();
    let quarter = world.quarter(&calendar(&world, 0..92));
    for how in [How::Open, How::Ended, How::Replaced, How::FixedInPlace] {
        let found = quarter.intervals.iter().filter(|i| i.how == how).count();
        assert!(found > 0, "none is {}", how.as_str());
    }
    let fixed = quarter
        .intervals
        .iter()
        .find(|i| i.how == How::FixedInPlace);
    let fixed = fixed.expect("one");
    // A key that is disabled and enabled at 10:00 is found to be so at 02:00 of the days after.
    assert_eq!(fixed.age_ms % DAY_MS, 0);
    assert!(fixed.exposed_since_ms < fixed.opened_ms);
}

#[test]
fn without_runs_nothing_is_known() {
    let world = world();
    let quarter = world.quarter(&calendar(&world, 0..0));
    for figures in [
        &quarter.compliant_share,
        &quarter.time_to_remediate,
        &quarter.launch_attempts,
        &quarter.logs_reencrypted,
    ] {
        assert_eq!(figures.rows().len(), 1);
        let row = figures.rows().values().next().expect("the organization's");
        let mut counts = row.iter().filter(|(column, _)| **column != "days_expected");
        assert!(counts.all(|(_, n)| n.unwrap_or(0) == 0), "{row:?}");
        assert_eq!(figures.whole("days_expected"), Some(92));
    }
    assert!(quarter.intervals.is_empty());
}

#[test]
fn other_rules_neither_open_nor_mend() {
    let world = world();
    let days = calendar(&world, 0..20);
    let seen = looks::seen(&world, &days);
    let steady = |verdict| {
        let mut clusters = seen.clusters().into_values();
        let found = clusters.find(|sightings| {
            let same = |s: &&looks::Sighting| s.active && s.verdict == verdict;
            sightings.len() == 20 && sightings.iter().all(same)
        });
        found.expect("one of the kind")[0].cluster_id.clone()
    };
    let (good, bad) = (steady(Verdict::Compliant), steady(Verdict::NonCompliant));
    let mut turned = days.clone();
    let old = [
        (good.clone(), Verdict::NonCompliant),
        (bad.clone(), Verdict::Compliant),
    ];
    turned.looks[10].by_other_rules = old.into();
    let quarter = world.quarter(&turned);
    let of = |id: &str| {
        let found = quarter.intervals.iter().filter(|i| i.last_cluster_id == id);
        found
            .map(|i| (i.how, i.age_ms / DAY_MS))
            .collect::<Vec<_>>()
    };
    // What the old rules said was said; what only the new ones say is no remediation, and opens nothing.
    assert_eq!(of(&good), [(How::Ended, 1)]);
    assert_eq!(of(&bad), [(How::FixedInPlace, 10)]);
}
