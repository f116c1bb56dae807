//! An archive's bucket that does not protect what is written to it: refused, or sealed as such.

use keyproof::archive::chain::Chain;
use keyproof::model::datasets::ArchiveCheck;
use keyproof::model::words::CheckOutcome::{self, Fail, NotApplicable, Pass, Unknown};
use keyproof::run::RunError;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use keyproof::sandbox::world::{Bucket, BucketEncryption};
use keyproof::sandbox::{Options, World};

use crate::support::{Place, Sealed, never, report, told};

fn small() -> Options {
    Options {
        accounts: 3,
        regions: 1,
        clusters: 1,
        days: 2,
        seed: 5,
        ..Options::default()
    }
}

/// The small organization with its evidence bucket set up otherwise.
async fn place(options: &Options, change: impl FnOnce(&mut Bucket)) -> Place {
    let mut world = World::generate(options);
    change(world.archive_bucket_mut());
    Place::of(world, ServeOptions::default()).await
}

fn archive(place: &Place) -> String {
    format!("s3://{}/keyproof", place.world.archive_bucket().name)
}

async fn audit(place: &Place, more: &[(&'static str, &str)]) -> Result<String, RunError> {
    let url = archive(place);
    let mut settings = vec![("archive", url.as_str())];
    settings.extend(more);
    let config = place.config_with(&settings, "");
    let mut options = place.options();
    options.create_archive = true;
    let audited = keyproof::run::audit(&place.shell(), &config, &options, never()).await?;
    Ok(audited.run_id.to_string())
}

/// The rows of a sealed run's dataset `archive`.
async fn rows(place: &Place, run_id: &str) -> Vec<(String, CheckOutcome, bool)> {
    let run_id = run_id.parse().expect("a run id");
    let sealed = Sealed::of(Box::new(place.s3_store("keyproof").await), &run_id).await;
    let rows: Vec<ArchiveCheck> = sealed.rows().await;
    rows.into_iter()
        .map(|row| (row.check_name, row.outcome, row.required))
        .collect()
}

async fn genesis_protection(place: &Place) -> String {
    let chain = Chain::read(&place.s3_store("keyproof").await)
        .await
        .expect("read");
    let chain = chain.expect("a chain");
    chain.genesis().expect("entry 1").protection.clone()
}

/// The bucket policy without the statement of that name.
fn without(bucket: &mut Bucket, sid: &str) {
    let text = bucket.policy.as_deref().expect("a policy");
    let mut policy: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let statements = policy["Statement"].as_array_mut().expect("statements");
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len(), before - 1, "{sid}");
    bucket.policy = Some(policy.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_missing_protection_refuses_the_run_before_it_writes_or_looks() {
    type Change = fn(&mut Bucket);
    let faults: [(Change, &[&str]); 10] = [
        (|b| b.versioning = false, &["versioning"]),
        (|b| b.object_lock = false, &["object_lock"]),
        (|b| b.default_retention = None, &["object_lock"]),
        (
            |b| {
                b.default_encryption = Some(BucketEncryption {
                    algorithm: "AES256".to_owned(),
                    key: None,
                    bucket_key: false,
                });
            },
            &["default_encryption"],
        ),
        (|b| b.public_access_block = false, &["public_access_block"]),
        (|b| without(b, "TlsOnly"), &["tls_only"]),
        (|b| without(b, "KeepEverything"), &["delete_denied"]),
        (|b| without(b, "CreateOnly"), &["create_only"]),
        (
            |b| b.policy = None,
            &["create_only", "delete_denied", "tls_only"],
        ),
        (
            |b| {
                b.versioning = false;
                b.public_access_block = false;
            },
            &["public_access_block", "versioning"],
        ),
    ];
    for (n, (change, checks)) in faults.into_iter().enumerate() {
        let place = place(&small(), change).await;
        let refused = audit(&place, &[]).await.expect_err("refused");
        assert_eq!(refused.exit() as u8, 2, "{refused}");
        let RunError::Unprotected { failed, .. } = &refused else {
            panic!("{refused}");
        };
        let named: Vec<&str> = failed
            .split("; ")
            .filter_map(|one| one.split_once(" (").map(|(check, _)| check))
            .filter(|check| !check.contains(' '))
            .collect();
        assert_eq!(named, checks, "fault {n}: {refused}");
        let said = refused.to_string();
        for next in ["scripts/deploy/archive.yaml", "--allow-unprotected"] {
            assert!(said.contains(next), "{said}");
        }
        let bucket = &place.world.archive_bucket().name;
        assert_eq!(place.sandbox.object_keys(bucket), Vec::<String>::new());
        assert_eq!(place.calls("ListClusters"), 0, "fault {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_does_not_insist_on_is_recorded() {
    let place = place(&small(), |bucket| {
        without(bucket, "KeepSettings");
        bucket.ownership = "ObjectWriter".to_owned();
        if let Some(default) = &mut bucket.default_encryption {
            default.bucket_key = false;
        }
    })
    .await;
    let run_id = audit(&place, &[("archive_lock_days", "2557")])
        .await
        .expect("sealed");
    let amiss: Vec<_> = rows(&place, &run_id)
        .await
        .into_iter()
        .filter(|(_, outcome, _)| *outcome != Pass)
        .collect();
    let row = |check: &str, outcome| (check.to_owned(), outcome, false);
    assert_eq!(
        amiss,
        [
            row("bucket_key", Fail),
            row("configured_key", NotApplicable),
            // KMS shows a key's policy to its own account alone.
            row("key_decrypt", Unknown),
            row("key_deletion", Unknown),
            row("object_ownership", Fail),
            row("settings_guarded", Fail),
        ]
    );
    assert_eq!(genesis_protection(&place).await, "full");
    let report = report(&place.s3_store("keyproof").await).await;
    assert!(report.runs[0].seal.unprotected.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_asked_refuses_nothing_and_stays_unknown() {
    let place = place(&small(), |_| {}).await;
    let bucket = place.world.archive_bucket().name.clone();
    let deny = |operation: &str| FaultRule {
        operation: Some(operation.to_owned()),
        path_contains: Some(bucket.clone()),
        ..FaultRule::every(FaultKind::Deny)
    };
    place.sandbox.set_faults(Faults {
        rules: ["GetBucketPolicy", "GetBucketVersioning"]
            .map(deny)
            .to_vec(),
        seed: 1,
    });
    let run_id = audit(&place, &[]).await.expect("sealed");
    let unknown: Vec<String> = rows(&place, &run_id)
        .await
        .into_iter()
        .filter(|(_, outcome, required)| *outcome == Unknown && *required)
        .map(|(check, ..)| check)
        .collect();
    let expected = ["create_only", "delete_denied", "tls_only", "versioning"];
    assert_eq!(unknown, expected);
    assert_eq!(
        genesis_protection(&place).await,
        format!("without {}", expected.join(", "))
    );
    let report = report(&place.s3_store("keyproof").await).await;
    assert!(report.runs[0].seal.unprotected.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_writes_all_the_same_and_the_seal_tells() {
    let now = keyproof::time::Clock::now(&keyproof::time::SystemClock);
    let options = Options {
        start_ms: now.date().plus_days(-1).start().0,
        ..small()
    };
    let place = place(&options, |bucket| {
        without(bucket, "TlsOnly");
        bucket.public_access_block = false;
    })
    .await;
    place.clock.set(now);
    let url = archive(&place);
    let signing = place.world.signing_key_arn();
    let arguments = ["run", "--archive", &url, "--signing-key", &signing];
    let run = async |more: &[&str]| {
        let mut program = place.program(&arguments);
        program.args(more).env("KEYPROOF_QUOTA_SHARE", "1");
        let done = program.output().await.expect("it runs");
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code(), told(&done), shown)
    };
    let (exit, said, _) = run(&["--create-archive"]).await;
    assert_eq!(exit, Some(2), "{said}");
    for check in ["public_access_block", "tls_only"] {
        assert!(said.contains(check), "{said}");
    }
    let (exit, said, shown) = run(&["--create-archive", "--allow-unprotected"]).await;
    assert!(matches!(exit, Some(0 | 4)), "{said}");
    let amiss = "Protection fail: lock_covers_retention, public_access_block, tls_only";
    assert!(shown.contains(amiss), "{shown}");

    // The next run is not let in by what the first was told.
    let (exit, said, _) = run(&[]).await;
    assert_eq!(exit, Some(2), "{said}");

    let sealed = report(&place.s3_store("keyproof").await).await;
    assert!(sealed.passed(), "{:?}", sealed.failures);
    let [only] = sealed.runs.as_slice() else {
        panic!("{} runs", sealed.runs.len());
    };
    let failed = ["public_access_block", "tls_only"];
    assert_eq!(only.seal.unprotected, failed);
    assert_eq!(
        genesis_protection(&place).await,
        format!("without {}", failed.join(", "))
    );
    let verified = place.program(&["verify", &url]).output().await;
    let verified = verified.expect("it runs");
    assert_eq!(verified.status.code(), Some(0), "{}", told(&verified));
    let shown = String::from_utf8_lossy(&verified.stdout).into_owned();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let told = "although the bucket failed checks: 1; the checks: public_access_block, tls_only";
    assert!(words.join(" ").contains(told), "{shown}");
}
