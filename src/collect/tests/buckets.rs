//! Policy and further settings of log buckets.

use super::*;
use crate::collect::api::ErrorClass;
use crate::collect::fake::{What, described, listed};
use crate::collect::operation::Operation;
use crate::model::datasets::LogBucket;
use crate::model::words::Lookup;

const SETTINGS: [Operation; 7] = [
    Operation::GetBucketOwnershipControls,
    Operation::GetObjectLockConfiguration,
    Operation::GetPublicAccessBlock,
    Operation::GetBucketLifecycleConfiguration,
    Operation::GetBucketReplication,
    Operation::ListBucketInventoryConfigurations,
    Operation::GetBucketMetadataConfiguration,
];

/// A cluster of A that logs to a bucket of B.
fn world() -> World {
    let world = World::new();
    let listed = listed("j-1", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.cluster(A, described(listed, "s3://logs-b/x", ""));
    world.edit(B, |b| {
        b.buckets = vec![("logs-b".to_owned(), IRELAND.to_owned())];
    });
    world
}

fn only(seen: &Seen) -> LogBucket {
    let mut rows = seen.facts.iter().flat_map(|f| &f.buckets);
    let row = rows.next().expect("a bucket").clone();
    assert!(rows.next().is_none(), "one bucket");
    row
}

#[tokio::test]
async fn policy_and_settings_are_read_with_the_owners_session() {
    let world = world();
    let policy = r#"{"Version":"2008-10-17", "Note":"SECRET",
        "Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Extra":"SECRET"}]}"#;
    world.edit(B, |b| {
        b.bucket_policies
            .insert("logs-b".to_owned(), policy.to_owned());
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let row = only(&seen);
    assert_eq!(
        (row.lookup, row.policy_lookup, row.settings_lookup),
        (Lookup::Found, Lookup::Found, Lookup::Found)
    );
    let kept = r#"{"Statement":[{"Action":"s3:*","Effect":"Deny","Principal":"*"}],"Version":"2008-10-17"}"#;
    assert_eq!(row.policy_json.as_deref(), Some(kept));
    assert!(row.policy_sha256.is_some());
    assert_eq!(row.ownership.as_deref(), Some("BucketOwnerEnforced"));
    assert_eq!(
        (row.object_lock, row.public_access_blocked),
        (Some(false), Some(true))
    );
    assert_eq!(
        (row.lifecycle_rules, row.expires_after_days),
        (Some(2), Some(90))
    );
    assert_eq!(row.replication_rules, Some(1));
    assert_eq!(row.replicates_to.as_deref(), Some("arn:aws:s3:::copies"));
    assert_eq!(
        (row.inventories, row.metadata_table),
        (Some(1), Some(false))
    );
    for operation in SETTINGS.into_iter().chain([Operation::GetBucketPolicy]) {
        let calls = cloud.with(|s| s.calls.clone());
        let of = calls.iter().filter(|c| c.operation == operation);
        let of: Vec<_> = of
            .map(|c| (c.account.as_str(), c.subject.as_str()))
            .collect();
        assert_eq!(of, [(B, "logs-b")], "{operation:?}");
    }
    assert!(!seen.stable().concat().contains("SECRET"));
}

#[tokio::test]
async fn a_bucket_without_a_policy_is_an_answer() {
    let seen = world().run().await;
    let row = only(&seen);
    assert_eq!(
        (row.lookup, row.policy_lookup, row.policy_json),
        (Lookup::Found, Lookup::NotFound, None)
    );
    assert_eq!(
        seen.outcome(B, "global", Source::Buckets),
        CellOutcome::Collected
    );
}

#[tokio::test]
async fn a_refused_setting_hides_no_other_fact() {
    for refused in SETTINGS {
        let world = world();
        let denied = What::Error(ErrorClass::DeniedIam, "AccessDenied", "Access Denied");
        world.cloud.fault(refused, denied).add();
        let seen = world.run().await;
        let row = only(&seen);
        assert_eq!(
            (row.lookup, row.policy_lookup, row.settings_lookup),
            (Lookup::Found, Lookup::NotFound, Lookup::Denied),
            "{refused:?}"
        );
        assert_eq!(row.default_algorithm.as_deref(), Some("AES256"));
        assert_eq!(row.denied_action.as_deref(), refused.iam_action());
        let cell = seen.cell(B, "global", Source::Buckets);
        assert_eq!(
            (cell.outcome, cell.items_failed),
            (CellOutcome::DeniedIam, Some(1)),
            "{refused:?}"
        );
        let missing = [
            row.ownership.is_none(),
            row.object_lock.is_none(),
            row.public_access_blocked.is_none(),
            row.lifecycle_rules.is_none(),
            row.replication_rules.is_none(),
            row.inventories.is_none(),
            row.metadata_table.is_none(),
        ];
        let expected = SETTINGS.map(|operation| operation == refused);
        assert_eq!(missing, expected, "{refused:?}");
    }
}

#[tokio::test]
async fn a_policy_that_hides_itself_is_locked_and_one_that_is_no_policy_is_not_stored() {
    let hidden = world();
    let denied = What::Error(ErrorClass::DeniedByResource, "AccessDenied", "");
    hidden.cloud.fault(Operation::GetBucketPolicy, denied).add();
    let seen = hidden.run().await;
    let row = only(&seen);
    assert_eq!(
        (row.policy_lookup, row.policy_error_code.as_deref()),
        (Lookup::Denied, Some("AccessDenied"))
    );
    assert_eq!(row.denied_action.as_deref(), Some("s3:GetBucketPolicy"));
    assert_eq!(
        seen.cell(B, "global", Source::Buckets).items_locked,
        Some(1)
    );
    assert_eq!(seen.collected.cells_open, 0);

    let broken = world();
    broken.edit(B, |b| {
        b.bucket_policies
            .insert("logs-b".to_owned(), "{SECRET".to_owned());
    });
    let seen = broken.run().await;
    let row = only(&seen);
    assert_eq!((row.policy_lookup, row.policy_json), (Lookup::Failed, None));
    assert_eq!(
        seen.outcome(B, "global", Source::Buckets),
        CellOutcome::Failed
    );
}

#[tokio::test]
async fn what_is_not_reached_says_so_of_every_part() {
    let world = World::new();
    let listed = listed("j-1", "RUNNING", Some(UtcMillis(START - 1)), None);
    world.cluster(A, described(listed, "s3://nobodys/x", ""));
    let seen = world.run().await;
    let row = only(&seen);
    assert_eq!(
        [row.lookup, row.policy_lookup, row.settings_lookup],
        [Lookup::OwnerNotInScope; 3]
    );
}
