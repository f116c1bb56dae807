//! Sampling of log objects: who is asked, what is sent on, what is never kept.

use super::*;
use crate::collect::api::{ErrorClass, ObjectHead};
use crate::collect::fake::{What, described, listed};
use crate::collect::object_samples::SSE_C_SUSPECTED;
use crate::collect::operation::Operation;
use crate::model::datasets::LogObjectSample;
use crate::model::ids::Sha256Hex;
use crate::model::words::Lookup;

const KEY: &str = "arn:aws:kms:eu-west-1:222233334444:key/k1";

/// Clusters of A that log to a bucket of B, and a run that samples two of each account-region.
fn world() -> World {
    let mut world = World::new();
    world.options.sample_clusters = 2;
    for i in 0..3 {
        let listed = listed(
            &format!("j-{i}"),
            "RUNNING",
            Some(UtcMillis(START - 1)),
            None,
        );
        world.cluster(A, described(listed, "s3://logs-b/emr/", KEY));
    }
    world.edit(B, |b| {
        b.buckets = vec![("logs-b".to_owned(), IRELAND.to_owned())];
        for cluster in 0..3 {
            for file in ["node/SECRET-1.gz", "steps/2.gz", "c/3.gz", "c/4.gz", "c/"] {
                let name = format!("logs-b/emr/j-{cluster}/{file}");
                b.objects.insert(name, under(Some(KEY)));
            }
            // The neighbour whose id begins alike is not this cluster.
            let neighbour = format!("logs-b/emr/j-{cluster}9/steps/x.gz");
            b.objects.insert(neighbour, under(None));
        }
    });
    world
}

fn under(key: Option<&str>) -> ObjectHead {
    ObjectHead::Told {
        algorithm: Some(if key.is_some() { "aws:kms" } else { "AES256" }.to_owned()),
        key: key.map(str::to_owned),
        bucket_key: None,
    }
}

fn samples(seen: &Seen) -> Vec<&LogObjectSample> {
    let rows = seen.facts.iter().flat_map(|f| &f.object_samples);
    rows.collect()
}

#[tokio::test]
async fn a_few_objects_of_a_few_clusters_are_headed_in_the_owners_account() {
    let world = world();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let rows = samples(&seen);
    assert_eq!(rows.len(), 6, "three objects of two clusters");
    for row in &rows {
        assert_eq!(row.account_id, id(A), "the cluster's account");
        assert_eq!(
            (row.lookup, row.algorithm.as_deref(), row.key_arn.as_deref()),
            (Lookup::Found, Some("aws:kms"), Some(KEY))
        );
        assert_eq!(
            (row.bytes, row.last_modified_at),
            (Some(7), Some(UtcMillis(START)))
        );
    }
    let headed = cloud.subjects(Operation::HeadObject);
    let hashes: Vec<_> = headed
        .iter()
        .filter_map(|name| name.strip_prefix("logs-b/"))
        .map(|name| Sha256Hex::of(name.as_bytes()).to_string())
        .collect();
    assert!(rows.iter().all(|row| hashes.contains(&row.object_sha256)));
    assert!(!headed.iter().any(|name| name.ends_with('/')), "no folders");
    assert!(!seen.stable().concat().contains("SECRET"), "no names");
    cloud.with(|s| {
        let sampling = [Operation::ListObjectsV2, Operation::HeadObject];
        let calls = s.calls.iter().filter(|c| sampling.contains(&c.operation));
        assert!(calls.clone().count() == 8 && calls.clone().all(|c| c.account == B));
        let roles: Vec<_> = s
            .sessions
            .iter()
            .filter(|r| r.role_name == "keyproof-sampler")
            .map(|r| r.account_id.as_str())
            .collect();
        assert_eq!(roles, [B], "one session of the owner's sampler role");
    });
    let cell = seen.cell(A, IRELAND, Source::LogObjects);
    assert_eq!(
        (cell.outcome, cell.items_collected),
        (CellOutcome::Collected, Some(2))
    );
}

#[tokio::test]
async fn without_being_asked_for_nothing_is_sampled() {
    let mut world = world();
    world.options.sample_clusters = 0;
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert!(samples(&seen).is_empty());
    assert_eq!(cloud.count(Operation::ListObjectsV2), 0);
    assert!(cloud.with(|s| s.sessions.iter().all(|r| r.role_name == "keyproof-reader")));
    assert!(seen.coverage.iter().all(|c| c.source != Source::LogObjects));
}

#[tokio::test]
async fn an_object_that_wants_its_own_key_is_suspected_and_no_plain_error() {
    let world = world();
    world.edit(B, |b| {
        for head in b.objects.values_mut() {
            *head = ObjectHead::BadRequest;
        }
    });
    let seen = world.run().await;
    for row in samples(&seen) {
        assert_eq!(
            (row.lookup, row.error_code.as_deref()),
            (Lookup::Failed, Some(SSE_C_SUSPECTED))
        );
        assert_eq!(row.algorithm, None);
    }
    assert_eq!(
        seen.outcome(A, IRELAND, Source::LogObjects),
        CellOutcome::Partial
    );
    assert_eq!(seen.collected.cells_open, 0, "an answer");
}

#[tokio::test]
async fn a_cluster_that_wrote_nothing_has_one_row_without_an_object() {
    let world = world();
    world.edit(B, |b| b.objects.clear());
    let seen = world.run().await;
    let rows = samples(&seen);
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|r| r.object_sha256.is_empty() && r.lookup == Lookup::NotFound)
    );
    assert_eq!(
        seen.outcome(A, IRELAND, Source::LogObjects),
        CellOutcome::Collected
    );
}

#[tokio::test]
async fn a_missing_sampler_role_is_a_gap_and_the_settings_are_read_all_the_same() {
    let world = world();
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "");
    world.cloud.fault(Operation::ListObjectsV2, denied).add();
    let seen = world.run().await;
    let rows = samples(&seen);
    assert!(
        rows.iter()
            .all(|r| r.lookup == Lookup::Denied && r.object_sha256.is_empty())
    );
    let cell = seen.cell(A, IRELAND, Source::LogObjects);
    assert_eq!(
        (cell.outcome, cell.denied_action.as_deref()),
        (CellOutcome::DeniedIam, Some("s3:ListBucket"))
    );
    assert_eq!(
        seen.outcome(B, "global", Source::Buckets),
        CellOutcome::Collected
    );
}

#[tokio::test]
async fn objects_in_a_bucket_of_nobody_are_an_answer_of_their_own() {
    let world = world();
    world.edit(B, |b| b.buckets.clear());
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let rows = samples(&seen);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|r| r.lookup == Lookup::OwnerNotInScope));
    assert_eq!(cloud.count(Operation::ListObjectsV2), 0);
    assert_eq!(seen.collected.cells_open, 0);
}
