//! Keys and log buckets: each once, in its owner's account where that can be entered.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::collect::api::{ErrorClass, Tag};
use crate::collect::exceptions::tests::rule;
use crate::collect::fake::{FakeKey, What, described, listed};
use crate::collect::operation::Operation;
use crate::model::datasets::LogBucket;
use crate::model::words::{ExceptionKind, Lookup};

const KEY: &str = "arn:aws:kms:eu-west-1:222233334444:key/k1";

fn key() -> FakeKey {
    FakeKey {
        state: "Enabled",
        manager: "CUSTOMER",
        policy: r#"{"Version":"2012-10-17", "Comment":"SECRET", "Statement":[]}"#.to_owned(),
        rotates: true,
        tags: vec![
            Tag {
                name: "owner".to_owned(),
                value: "team-k".to_owned(),
            },
            Tag {
                name: "x".to_owned(),
                value: "SECRET".to_owned(),
            },
        ],
        ..FakeKey::default()
    }
}

impl World {
    /// A cluster of `account` that logs to `uri` under `key`.
    fn logs(&self, account: &str, cluster: &str, uri: &str, key: &str) {
        let listed = listed(cluster, "RUNNING", Some(UtcMillis(START - 1)), None);
        self.cluster(account, described(listed, uri, key));
    }

    fn key(&self, arn: &str, key: FakeKey) {
        let owner = arn.split(':').nth(4).expect("owner").to_owned();
        self.edit(&owner, |a| {
            a.keys.insert(arn.to_owned(), key);
        });
    }
}

fn buckets(seen: &Seen) -> Vec<&LogBucket> {
    seen.facts.iter().flat_map(|f| &f.buckets).collect()
}

#[tokio::test]
async fn a_key_is_looked_up_once_in_its_owners_account() {
    let world = World::new();
    for i in 0..20 {
        world.logs(A, &format!("j-{i}"), "", KEY);
        world.logs(B, &format!("j-b{i}"), "", KEY);
    }
    world.key(KEY, key());
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    for operation in [
        Operation::DescribeKey,
        Operation::GetKeyPolicy,
        Operation::GetKeyRotationStatus,
        Operation::ListResourceTags,
    ] {
        assert_eq!(cloud.subjects(operation), [KEY], "{operation:?}");
    }
    assert!(cloud.with(|s| {
        let calls = s.calls.iter();
        calls
            .filter(|c| c.operation == Operation::DescribeKey)
            .all(|c| c.account == B)
    }));
    let row = seen.keys()[0];
    assert_eq!(
        (row.lookup, row.manager.as_deref()),
        (Lookup::Found, Some("CUSTOMER"))
    );
    let policy = r#"{"Statement":[],"Version":"2012-10-17"}"#;
    assert_eq!(row.policy_json.as_deref(), Some(policy), "projected");
    assert_eq!(row.rotation_enabled, Some(true));
    assert_eq!(row.owner.as_deref(), Some("team-k"));
    assert!(!seen.stable().concat().contains("SECRET"));
    let cell = seen.cell(B, IRELAND, Source::Keys);
    assert_eq!(
        (cell.outcome, cell.items_expected),
        (CellOutcome::Collected, Some(1))
    );
    assert!(seen.find(A, IRELAND, Source::Keys).is_none());
}

#[tokio::test]
async fn an_alias_is_resolved_and_its_key_asked_for_by_arn() {
    let world = World::new();
    world.logs(B, "j-1", "", "alias/emr-logs");
    let alias = "arn:aws:kms:eu-west-1:222233334444:alias/emr-logs";
    let mut k = key();
    k.aliases = vec![alias.to_owned()];
    k.rotates = false;
    world.key(KEY, k);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(row.key_reference, alias);
    assert_eq!(row.key_arn.as_deref(), Some(KEY));
    assert_eq!(cloud.subjects(Operation::GetKeyPolicy), [KEY]);
    assert_eq!(
        (row.rotation_lookup, row.rotation_enabled),
        (Lookup::Found, None)
    );
}

#[tokio::test]
async fn aliases_of_aws_and_nonsense_are_never_asked_for() {
    let world = World::new();
    world.logs(A, "j-1", "", "alias/aws/s3");
    world.logs(
        A,
        "j-2",
        "",
        "arn:aws:kms:eu-west-1:222233334444:alias/aws/elasticmapreduce",
    );
    world.logs(A, "j-3", "", "not a key!");
    world.logs(A, "j-4", "hdfs:///x", "");
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::DescribeKey), 0);
    assert!(seen.keys().is_empty());
    assert!(
        seen.coverage
            .iter()
            .all(|c| !matches!(c.source, Source::Keys | Source::Buckets))
    );
}

#[tokio::test]
async fn a_locked_key_is_an_answer_and_a_missing_permission_is_not() {
    let mut world = World::new();
    world.exceptions = vec![rule("gap-1", ExceptionKind::Gap)];
    world.logs(B, "j-1", "", KEY);
    let mut locked = key();
    locked.locked = true;
    world.key(KEY, locked);
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        (row.lookup, row.policy_lookup),
        (Lookup::Denied, Lookup::Denied)
    );
    assert_eq!(row.denied_action.as_deref(), Some("kms:DescribeKey"));
    let cell = seen.cell(B, IRELAND, Source::Keys);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert_eq!((cell.items_locked, cell.items_failed), (Some(1), Some(0)));
    assert_eq!(seen.collected.cells_open, 0);
    assert_eq!(cell.accepted_by, None, "an answer needs no exception");

    let world = World::new();
    world.logs(B, "j-1", "", KEY);
    world.key(KEY, key());
    // Also where AWS does not say what is missing.
    let denied = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "");
    world.cloud.fault(Operation::GetKeyPolicy, denied).add();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        (row.lookup, row.policy_lookup),
        (Lookup::Found, Lookup::Denied)
    );
    let cell = seen.cell(B, IRELAND, Source::Keys);
    assert_eq!(
        (cell.outcome, cell.items_failed),
        (CellOutcome::DeniedIam, Some(1))
    );
    assert_eq!(seen.collected.cells_open, 1);
}

#[tokio::test]
async fn a_key_that_is_gone_is_an_answer() {
    let world = World::new();
    world.logs(B, "j-1", "", KEY);
    let seen = world.run().await;
    assert_eq!(seen.keys()[0].lookup, Lookup::NotFound);
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Keys),
        CellOutcome::Collected
    );
}

#[tokio::test]
async fn many_keys_of_one_owner_are_not_looked_up_one_after_the_other() {
    let world = World::new();
    for i in 0..40 {
        let arn = format!("arn:aws:kms:eu-west-1:{B}:key/k{i:02}");
        world.logs(A, &format!("j-{i}"), "", &arn);
        world.key(&arn, key());
    }
    world
        .cloud
        .with(|s| s.latency = std::time::Duration::from_millis(100));
    let seen = world.run().await;
    let keys = seen.keys();
    assert_eq!(keys.len(), 40);
    assert!(keys.is_sorted_by_key(|k| &k.key_reference));
    let at = || keys.iter().map(|k| k.looked_up_at.0);
    let took_ms = at().max().unwrap_or_default() - at().min().unwrap_or_default();
    // Four calls of 100 ms each for a key.
    let one_by_one_ms = 39 * 400;
    assert!(took_ms < one_by_one_ms / 4, "{took_ms} ms");
}

#[tokio::test]
async fn a_foreign_key_is_described_by_its_smallest_user_and_counts_as_locked() {
    let foreign = "arn:aws:kms:eu-west-1:777777777777:key/f1";
    let world = World::new();
    world.logs(B, "j-1", "", foreign);
    world.logs(A, "j-2", "", foreign);
    let mut k = key();
    k.open_to_others = true;
    world.key(foreign, k);
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(row.account_id, id("777777777777"));
    assert_eq!(
        (row.lookup, row.state.as_deref()),
        (Lookup::Found, Some("Enabled"))
    );
    assert_eq!(row.policy_lookup, Lookup::OwnerNotInScope);
    assert_eq!(
        (row.rotation_lookup, row.tags_lookup),
        (Lookup::OwnerNotInScope, Lookup::OwnerNotInScope)
    );
    assert_eq!(cloud.count(Operation::GetKeyPolicy), 0);
    assert_eq!(seen.cell(A, IRELAND, Source::Keys).items_locked, Some(1));
    assert_eq!(seen.collected.cells_open, 0);
}

#[tokio::test]
async fn a_key_whose_owner_cannot_be_entered_is_described_from_outside_and_the_gap_is_the_owners() {
    let world = World::new();
    world.logs(A, "j-1", "", KEY);
    let mut k = key();
    k.open_to_others = true;
    world.key(KEY, k);
    let no_role = What::Error(ErrorClass::DeniedTrust, "AccessDenied", "");
    world
        .cloud
        .fault(Operation::AssumeRole, no_role)
        .account(B)
        .add();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        (row.lookup, row.policy_lookup),
        (Lookup::Found, Lookup::Denied)
    );
    let cell = seen.cell(B, IRELAND, Source::Keys);
    assert_eq!(
        (cell.outcome, cell.items_failed),
        (CellOutcome::DeniedTrust, Some(1))
    );
    assert!(seen.find(A, IRELAND, Source::Keys).is_none());
}

#[tokio::test]
async fn a_key_in_a_place_that_does_not_exist_costs_no_call() {
    let world = World::new();
    world.logs(A, "j-1", "", "arn:aws:kms:eu-wset-1:111122223333:key/k");
    world.logs(A, "j-2", "", "arn:aws-cn:kms:cn-north-1:111122223333:key/k");
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::DescribeKey), 0);
    let codes: Vec<_> = seen
        .keys()
        .iter()
        .map(|k| k.error_code.as_deref())
        .collect();
    assert_eq!(codes, [Some("OtherPartition"), Some("UnknownRegion")]);
    assert_eq!(seen.collected.cells_open, 0);
}

#[tokio::test]
async fn a_policy_that_is_no_json_is_not_stored() {
    let world = World::new();
    world.logs(B, "j-1", "", KEY);
    let mut k = key();
    k.policy = "{SECRET".to_owned();
    world.key(KEY, k);
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        (row.policy_lookup, row.policy_json.as_ref()),
        (Lookup::Failed, None)
    );
    assert_eq!(seen.outcome(B, IRELAND, Source::Keys), CellOutcome::Failed);
}

#[tokio::test]
async fn log_buckets_are_read_with_their_owners_session() {
    let world = World::new();
    world.logs(A, "j-1", "s3://logs-b/x", "");
    world.logs(A, "j-2", "s3n://logs-b/y", "");
    world.logs(A, "j-3", "s3://logs-foreign/", "");
    world.logs(B, "j-4", "s3://logs-foreign/", "");
    world.edit(B, |b| {
        b.buckets = vec![("logs-b".to_owned(), String::new())]
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let rows = buckets(&seen);
    assert_eq!(rows.len(), 2);
    let row = |name: &str| *rows.iter().find(|r| r.bucket == name).expect("row");
    let ours = row("logs-b");
    assert_eq!(
        (ours.account_id.as_ref(), ours.lookup),
        (Some(&id(B)), Lookup::Found)
    );
    assert_eq!(
        ours.region,
        Some(region(IRELAND)),
        "asked for, the list did not tell"
    );
    assert_eq!(ours.default_algorithm.as_deref(), Some("AES256"));
    assert_eq!(ours.versioning.as_deref(), Some("Enabled"));
    let foreign = row("logs-foreign");
    assert_eq!(
        (foreign.account_id.as_ref(), foreign.lookup),
        (None, Lookup::OwnerNotInScope)
    );
    assert_eq!(cloud.subjects(Operation::GetBucketEncryption), ["logs-b"]);
    assert_eq!(
        seen.outcome(B, "global", Source::Buckets),
        CellOutcome::Collected
    );
    let cell = seen.cell(A, "global", Source::Buckets);
    assert_eq!(
        (cell.outcome, cell.items_locked),
        (CellOutcome::Partial, Some(1))
    );
    assert_eq!(seen.collected.cells_open, 0);
}

/// B cannot be asked for its buckets, so that nobody knows whether the bucket is B's.
/// One after the other, half a minute each and more, would leave many to the cells' deadline.
#[tokio::test]
async fn many_items_of_one_owner_are_looked_up_side_by_side() {
    let ohio = "arn:aws:kms:us-east-2:222233334444:key/k";
    let world = World::new();
    for i in 0..40 {
        let arn = format!("arn:aws:kms:eu-west-1:222233334444:key/k{i}");
        world.logs(A, &format!("j-{i}"), &format!("s3://logs-{i}/"), &arn);
        world.key(&arn, key());
        let arn = format!("{ohio}{i}");
        world.logs(A, &format!("j-o{i}"), "", &arn);
        world.key(&arn, key());
    }
    world.edit(B, |b| {
        let bucket = |i| (format!("logs-{i}"), String::new());
        b.buckets = (0..40).map(bucket).collect();
    });
    world.cloud.with(|s| s.latency = Duration::from_secs(10));
    let mut opened = BTreeSet::new();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    for (region, source) in [
        (IRELAND, Source::Keys),
        (OHIO, Source::Keys),
        ("global", Source::Buckets),
    ] {
        let cell = seen.cell(B, region, source);
        assert_eq!(
            (cell.outcome, cell.items_collected),
            (CellOutcome::Collected, Some(40)),
            "{region}"
        );
        opened.insert(cell.started_at);
    }
    assert_eq!(opened.len(), 1, "all began together");
    // Beside them the owner is asked for its jobs.
    assert!(cloud.with(|s| s.most_in_flight) <= 3 * 16 + 1);
    let sessions = cloud.with(|s| s.sessions.iter().filter(|r| r.account_id == id(B)).count());
    assert_eq!(sessions, 4, "one for each pass");
}

/// The cell tells the last failure in the order of its items, whichever of them ended last.
#[tokio::test]
async fn the_order_of_answers_does_not_change_a_look_ups_cell() {
    let world = World::new();
    for i in 0..9 {
        let arn = format!("arn:aws:kms:eu-west-1:222233334444:key/k{i}");
        world.logs(A, &format!("j-{i}"), "", &arn);
        world.key(&arn, key());
    }
    for (i, code) in [(3, "Late"), (8, "Last")] {
        let what = What::Error(ErrorClass::DeniedIam, code, "");
        let arn = format!("arn:aws:kms:eu-west-1:222233334444:key/k{i}");
        // The early item ends last.
        let operation = if i == 3 {
            Operation::ListResourceTags
        } else {
            Operation::DescribeKey
        };
        world.cloud.fault(operation, what).subject(&arn).add();
    }
    world.cloud.with(|s| s.latency = Duration::from_secs(1));
    let seen = world.run().await;
    let cell = seen.cell(B, IRELAND, Source::Keys);
    assert_eq!(cell.error_code.as_deref(), Some("Last"));
    let names: Vec<_> = seen
        .keys()
        .iter()
        .map(|k| k.key_reference.clone())
        .collect();
    assert!(names.is_sorted() && names.len() == 9);
}

#[tokio::test]
async fn the_owner_of_a_bucket_is_unknown_while_an_account_cannot_be_asked() {
    for (operation, class, code) in [
        (
            Operation::ListBuckets,
            ErrorClass::DeniedIam,
            CellOutcome::DeniedIam,
        ),
        (
            Operation::AssumeRole,
            ErrorClass::DeniedTrust,
            CellOutcome::DeniedTrust,
        ),
    ] {
        for accepted in [false, true] {
            let mut world = World::new();
            if accepted {
                let mut gap = rule("gap-b", ExceptionKind::Gap);
                gap.accounts = vec![id(B)];
                world.exceptions = vec![gap];
            }
            world.logs(A, "j-1", "s3://logs-x/", "");
            world.logs(A, "j-2", "s3://logs-a/", "");
            world.edit(A, |a| {
                a.buckets = vec![("logs-a".to_owned(), IRELAND.to_owned())]
            });
            let denied = What::Error(class, "AccessDenied", "");
            world.cloud.fault(operation, denied).account(B).add();
            let seen = world.run().await;
            let rows = buckets(&seen);
            let row = |name: &str| *rows.iter().find(|r| r.bucket == name).expect("row");
            assert_eq!(row("logs-a").lookup, Lookup::Found);
            let lost = row("logs-x");
            assert_eq!(
                (lost.account_id.as_ref(), lost.lookup),
                (None, Lookup::OwnerUnknown)
            );
            assert_eq!(lost.error_code.as_deref(), Some("AccessDenied"));
            let cell = seen.cell(A, "global", Source::Buckets);
            assert_eq!(cell.outcome, CellOutcome::Partial);
            let (locked, failed) = if accepted { (1, 0) } else { (0, 1) };
            assert_eq!(
                (cell.items_locked, cell.items_failed),
                (Some(locked), Some(failed))
            );
            assert_eq!(seen.outcome(B, "global", Source::BucketOwners), code);
            assert_eq!(seen.collected.cells_open == 0, accepted, "{operation:?}");
        }
    }
}

#[tokio::test]
async fn a_bucket_locked_by_its_policy_is_an_answer_and_a_bare_refusal_is_not() {
    for (class, locked, open) in [
        (ErrorClass::DeniedByResource, 1, 0),
        (ErrorClass::DeniedIam, 0, 1),
        (ErrorClass::DeniedScp, 0, 1),
    ] {
        let world = World::new();
        world.logs(A, "j-1", "s3://logs-a/x", "");
        world.edit(A, |a| {
            a.buckets = vec![("logs-a".to_owned(), IRELAND.to_owned())]
        });
        let denied = What::Error(class, "AccessDenied", "Access Denied");
        world
            .cloud
            .fault(Operation::GetBucketEncryption, denied)
            .add();
        let seen = world.run().await;
        assert_eq!(buckets(&seen)[0].lookup, Lookup::Denied, "{class:?}");
        let cell = seen.cell(A, "global", Source::Buckets);
        assert_eq!(
            (cell.items_locked, cell.items_failed),
            (Some(locked), Some(1 - locked)),
            "{class:?}"
        );
        assert_eq!(
            cell.denied_action.as_deref(),
            Some("s3:GetEncryptionConfiguration")
        );
        assert_eq!(seen.collected.cells_open, open, "{class:?}");
    }
}

#[tokio::test]
async fn a_bucket_without_a_default_is_found() {
    let world = World::new();
    world.logs(A, "j-1", "s3://logs-a/x", "");
    world.edit(A, |a| {
        a.buckets = vec![("logs-a".to_owned(), IRELAND.to_owned())]
    });
    let code = "ServerSideEncryptionConfigurationNotFoundError";
    let none = What::Error(ErrorClass::NotFound, code, "");
    world
        .cloud
        .fault(Operation::GetBucketEncryption, none)
        .add();
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let row = buckets(&seen)[0];
    assert_eq!(
        (row.lookup, row.default_algorithm.as_ref()),
        (Lookup::Found, None)
    );
    assert_eq!(
        cloud.count(Operation::GetBucketLocation),
        0,
        "the list told the Region"
    );
}

#[tokio::test]
async fn cancelled_look_ups_are_not_attempted() {
    let world = World::new();
    world.logs(B, "j-1", "", KEY);
    world.key(KEY, key());
    world.cloud.fault(Operation::DescribeKey, What::Hang).add();
    let cloud = world.cloud.clone();
    let cancel = world.cancel.clone();
    tokio::spawn(async move {
        while cloud.count(Operation::DescribeKey) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.send_replace(true);
    });
    let seen = world.run().await;
    assert_eq!(seen.keys()[0].lookup, Lookup::NotAttempted);
    assert_eq!(
        seen.outcome(B, IRELAND, Source::Keys),
        CellOutcome::NotAttempted
    );
    assert!(seen.collected.cancelled);
}
