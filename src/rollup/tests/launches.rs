//! Launches of which runs know different things.

use super::quarters::daily::{ANN, event};
use super::*;
use crate::model::datasets::Launch;
use crate::model::words::{AttemptBucket, LaunchClass, Meets, Population};

/// The run for a day of the quarter, and what it recorded of launches.
fn told(evidence: &mut Evidence, day: i64, launch: Launch) {
    let started = hour(24 * day + 2);
    evidence.run(started, vec![]);
    evidence.add(vec![Launch {
        scheduled_for: started.date(),
        ..launch
    }]);
}

#[test]
fn a_launch_that_a_run_saw_stays_seen() {
    let mut evidence = Evidence::new();
    let (class, bucket) = (LaunchClass::AcceptedCompliant, AttemptBucket::None);
    let launch = event(quarter(), ("e-1", "a-1"), (ANN, 1), (class, bucket));
    let seen = Launch {
        cluster_id: Some("j-1".to_owned()),
        population: Population::Seen,
        parameters_meet: Meets::Yes,
        ..launch
    };
    told(&mut evidence, 0, seen.clone());
    // The same event, read again long after the cluster ended, without its parameters.
    let later = Launch {
        population: Population::NotSeen,
        parameters_meet: Meets::Unknown,
        class: LaunchClass::AcceptedParamsUnavailable,
        bucket: AttemptBucket::Unknown,
        ..seen
    };
    told(&mut evidence, 5, later);
    let measures = evidence.measures(2).expect("measures");
    let mut rows = measures.launch_attempts.iter();
    let whole = rows.find(|row| row.scope_kind == "organization");
    let whole = whole.expect("the organization's row");
    assert_eq!((whole.events, whole.unknown_events), (1, 0));
    assert_eq!((whole.launches_seen, whole.launches_not_seen), (1, 0));
    assert_eq!(whole.accepted_compliant_events, 1);
    assert_eq!(whole.accepted_params_unavailable_events, 0);
}
