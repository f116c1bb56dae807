//! The archive in a bucket of the log-archive account, as an organization keeps it: SSE-KMS, Object
//! Lock, seals signed by a KMS key of that account, written by the management account.

use keyproof::archive::chain::Entry;
use keyproof::archive::local_signer::LocalSigner;
use keyproof::archive::signer::Signer as _;
use keyproof::archive::store::Fetch as _;
use keyproof::model::datasets::ArchiveCheck;
use keyproof::model::words::CheckOutcome;
use keyproof::run::{self, RunError};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use keyproof::testkit::store_suite;
use keyproof::time::{Clock, DAY_MS, SystemClock};

use crate::support::{Place, Sealed, never, report, told};

fn small() -> Options {
    Options {
        accounts: 6,
        regions: 2,
        clusters: 2,
        days: 3,
        seed: 3,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_locked_encrypted_signed_by_kms_and_verifies() {
    let place = Place::present(6, ServeOptions::default()).await;
    let bucket = place.world.archive_bucket().name.clone();
    let url = format!("s3://{bucket}/keyproof");
    let key = place.world.archive_key_arn();
    let signing = place.world.signing_key_arn();
    let owner = place.world.log_archive_account().to_owned();
    let run = |more: &[&str]| {
        let mut program = place.program(&["run", "--archive", &url, "--archive-kms-key", &key]);
        program
            .args(["--signing-key", &signing])
            .args(more)
            .env("KEYPROOF_ARCHIVE_LOCK_DAYS", "30")
            .env("KEYPROOF_ARCHIVE_OWNER", &owner);
        program
    };

    // A mistyped prefix starts nothing.
    let refused = run(&[]).output().await.expect("the program runs");
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(
        told(&refused).contains("--create-archive"),
        "{}",
        told(&refused)
    );
    assert_eq!(place.sandbox.object_keys(&bucket), Vec::<String>::new());
    assert_eq!(place.calls("ListClusters"), 0, "refused before it looks");

    let began = SystemClock.now().0;
    let ran = run(&["--create-archive"]).output().await.expect("it runs");
    assert_eq!(ran.status.code(), Some(4), "{}", told(&ran));
    assert_eq!(
        place.calls("Sign"),
        2,
        "entry 1 and the run, one signature each"
    );

    let keys = place.sandbox.object_keys(&bucket);
    assert!(keys.len() > 16, "{keys:?}");
    for name in &keys {
        assert!(name.starts_with("keyproof/"), "{name}");
        let kept = place.sandbox.object_kept(&bucket, name).expect("an object");
        assert_eq!(
            (kept.algorithm.as_str(), kept.versions),
            ("aws:kms", 1),
            "{name}"
        );
        assert_eq!(kept.key.as_ref(), Some(&key), "{name}");
        assert!(kept.bucket_key, "{name}");
        let (mode, until) = kept.lock.expect("a lock");
        let days = (until - began) / DAY_MS;
        assert!(
            mode == "GOVERNANCE" && (29..=30).contains(&days),
            "{mode} {days}"
        );
    }

    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    let pin = shown
        .lines()
        .find_map(|line| line.strip_prefix("Pin"))
        .expect("a new archive's pin is shown")
        .trim()
        .to_owned();
    let verify = |arguments: &[&str]| {
        let mut program = place.program(&["verify", &url, "--state-dir", "elsewhere"]);
        program.args(arguments);
        program
    };
    let unpinned = verify(&[]).output().await.expect("it runs");
    assert_eq!(unpinned.status.code(), Some(5), "{}", told(&unpinned));
    let wrong = verify(&["--pin", &"0".repeat(64)])
        .output()
        .await
        .expect("it runs");
    assert_eq!(wrong.status.code(), Some(5), "{}", told(&wrong));
    let right = verify(&["--pin", &pin]).output().await.expect("it runs");
    assert_eq!(right.status.code(), Some(0), "{}", told(&right));

    // All seven levels: the pin made this state folder remember a head, which is an anchor.
    let whole = verify(&["--level", "7"]).output().await.expect("it runs");
    assert_eq!(whole.status.code(), Some(0), "{}", told(&whole));
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text(&whole).matches("pass\n").count(),
        7,
        "{}",
        text(&whole)
    );

    let store = place.s3_store("keyproof").await;
    let copy = place.path("copy");
    for listed in store.list("chain/").await.expect("listed") {
        let path = copy.join(&listed.name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        let bytes = store.read(&listed.name, listed.bytes).await.expect("read");
        std::fs::write(path, bytes).expect("written");
    }
    let copy = copy.display().to_string();
    let compared = verify(&["--copy", &copy]).output().await.expect("it runs");
    assert_eq!(compared.status.code(), Some(0), "{}", told(&compared));
    assert!(text(&compared).contains("Level 7"), "{}", text(&compared));

    // Storage remembers what was done to an object, even when it is undone for readers.
    let evidence = keys.iter().find(|key| key.contains("/evidence/"));
    let evidence = evidence.expect("evidence");
    place.sandbox.delete_object(&bucket, evidence);
    let deleted = verify(&[]).output().await.expect("it runs");
    assert_eq!(deleted.status.code(), Some(5), "{}", told(&deleted));
    for class in ["missing_file", "delete_marker"] {
        assert!(text(&deleted).contains(class), "{}", text(&deleted));
    }
    place.sandbox.undelete_object(&bucket, evidence);

    let report = report(&store).await;
    for file in report.runs.iter().flat_map(|run| &run.files) {
        let stored = file.stored.as_ref().expect("evidence of how it is kept");
        assert_eq!(stored.kms_key.as_ref(), Some(&key), "{}", file.name);
        assert_eq!(stored.bucket_key, Some(true), "{}", file.name);
        assert_eq!(stored.lock_mode.as_deref(), Some("GOVERNANCE"));
        assert!(stored.locked_until.is_some() && stored.version.is_some());
    }
    let run_id = report.runs[0].seal.run_id.clone();
    let sealed = Sealed::of(Box::new(store), &run_id).await;
    let checks: Vec<ArchiveCheck> = sealed.rows().await;
    assert_eq!(checks.len(), 16, "{checks:?}");
    for check in checks {
        let expected = match check.check_name.as_str() {
            // A pilot of 30 days.
            "lock_covers_retention" => CheckOutcome::Fail,
            // KMS shows a key's policy to its own account alone.
            "key_decrypt" | "key_deletion" => CheckOutcome::Unknown,
            _ => CheckOutcome::Pass,
        };
        assert_eq!(check.outcome, expected, "{check:?}");
    }
    let lacking = |e: &Entry| e.statement.producer.lacking.is_nothing();
    assert!(report.entries.iter().all(lacking));

    // A query fetches chain, manifest and the files that it names, and nothing else.
    let before = place.calls("GetObject");
    let sql = "SELECT COUNT(*) AS n FROM run";
    let mut asked = place.program(&["query", "--archive", &url, "--format", "csv", sql]);
    let asked = asked.output().await.expect("it runs");
    assert_eq!(asked.status.code(), Some(0), "{}", told(&asked));
    assert_eq!(text(&asked), "n\n1\n");
    let fetched = place.calls("GetObject") - before;
    assert!((3..9).contains(&fetched), "{fetched} objects");

    // A second run finds its own archive and needs no permission to begin one.
    let again = run(&[]).output().await.expect("it runs");
    assert_eq!(again.status.code(), Some(4), "{}", told(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_s3_store_does_what_every_store_must() {
    let place = Place::new(&small()).await;
    store_suite(&place.s3_store("suite-test").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_acknowledgement_of_the_commit_commits_once() {
    let place = Place::new(&small()).await;
    let bucket = place.world.archive_bucket().name.clone();
    let archive = format!("s3://{bucket}/lost");
    let signing = place.world.signing_key_arn();
    let settings = [("archive", archive.as_str()), ("signing_key", &signing)];
    let config = place.config_with(&settings, "");
    let mut options = place.options();
    options.create_archive = true;
    place.at_day(0);
    // Every second PUT below chain/ is carried out and never answered.
    let lost = |share| Faults {
        rules: vec![FaultRule {
            operation: Some("PutObject".to_owned()),
            path_contains: Some("/chain/".to_owned()),
            share,
            first_n: Some(2),
            ..FaultRule::every(FaultKind::LostAcknowledgement)
        }],
        seed: 1,
    };
    place.sandbox.set_faults(lost(1.0));
    let first = run::audit(&place.shell(), &config, &options, never())
        .await
        .expect("sealed all the same");
    place.at_day(1);
    place.sandbox.set_faults(lost(1.0));
    let second = run::audit(&place.shell(), &config, &options, never())
        .await
        .expect("sealed all the same");
    assert!(place.calls("PutObject") > 30);

    let chain: Vec<String> = place
        .sandbox
        .object_keys(&bucket)
        .into_iter()
        .filter(|k| k.contains("/chain/"))
        .collect();
    assert_eq!(chain.len(), 3, "{chain:?}");
    let report = report(&place.s3_store("lost").await).await;
    assert!(report.passed(), "{:?}", report.failures);
    let sealed: Vec<_> = report.runs.iter().map(|r| &r.seal.run_id).collect();
    assert_eq!(sealed, [&first.run_id, &second.run_id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_or_key_refuses_is_said_before_anything_is_written() {
    let place = Place::new(&small()).await;
    let bucket = place.world.archive_bucket().name.clone();
    let archive = format!("s3://{bucket}/refused");
    let signing = place.world.signing_key_arn();
    let attempt = async |settings: &[(&'static str, &str)], faults: Vec<FaultRule>| {
        place.sandbox.set_faults(Faults {
            rules: faults,
            seed: 0,
        });
        let config = place.config_with(settings, "");
        let mut options = place.options();
        options.create_archive = true;
        let refused = run::audit(&place.shell(), &config, &options, never())
            .await
            .expect_err("refused");
        assert_eq!(
            place.sandbox.object_keys(&bucket),
            Vec::<String>::new(),
            "{refused}"
        );
        refused.to_string()
    };

    let both = [
        ("archive", archive.as_str()),
        ("signing_key", signing.as_str()),
    ];
    let deny = |operation: &str| {
        vec![FaultRule {
            operation: Some(operation.to_owned()),
            ..FaultRule::every(FaultKind::Deny)
        }]
    };
    let told = attempt(&both, deny("GetPublicKey")).await;
    assert!(told.contains(&signing), "{told}");
    let told = attempt(&both, deny("Sign")).await;
    assert!(told.contains(&signing), "{told}");
    let told = attempt(&both, deny("PutObject")).await;
    assert!(told.contains(&bucket), "{told}");

    let told = attempt(&[both[0], ("signing_key", "")], vec![]).await;
    assert!(told.contains("--signing-key"), "{told}");
    let encrypting = place.world.archive_key_arn();
    let told = attempt(&[both[0], ("signing_key", &encrypting)], vec![]).await;
    assert!(told.contains("ECC_NIST_P256"), "{told}");
    let missing = [("archive", "s3://keyproof-evidence-nowhere/x"), both[1]];
    let told = attempt(&missing, vec![]).await;
    assert!(told.contains("keyproof-evidence-nowhere"), "{told}");
    let other = [
        both[0],
        both[1],
        ("archive_owner", place.world.management_account()),
    ];
    let told = attempt(&other, vec![]).await;
    assert!(told.contains("does not own the bucket"), "{told}");

    // And the plain mistake: an empty place without the word that something shall begin there.
    place.sandbox.set_faults(Faults::default());
    let config = place.config_with(&both, "");
    let refused = place.audit_with(&config).await.expect_err("refused");
    assert!(matches!(refused, RunError::NoArchive { .. }), "{refused}");
    assert_eq!(place.sandbox.object_keys(&bucket), Vec::<String>::new());
}

/// A create-only PUT succeeds on a deleted key: without a look at versions, a run would seal a second
/// entry in the place of a deleted one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_entry_stops_the_next_run() {
    let place = Place::new(&small()).await;
    let bucket = place.world.archive_bucket().name.clone();
    let archive = format!("s3://{bucket}/deleted");
    // A fresh state folder each time: nothing but the bucket can tell.
    let mut options = place.options();
    options.create_archive = true;
    let states: Vec<String> = (0..4)
        .map(|n| place.path(&format!("state-{n}")).display().to_string())
        .collect();
    let audit = async |n: usize| {
        let settings = [("archive", archive.as_str()), ("state_dir", &states[n])];
        let config = place.config_with(&settings, "");
        run::audit(&place.shell(), &config, &options, never()).await
    };
    audit(0).await.expect("sealed");
    let last = "deleted/chain/0000000002.dsse.json";
    for (n, deleted, told) in [
        (1, vec![last], "delete marker"),
        (
            2,
            vec!["deleted/chain/0000000001.dsse.json", last],
            "no chain",
        ),
    ] {
        place.at_day(1);
        let before = place.sandbox.object_keys(&bucket);
        for key in &deleted {
            place.sandbox.delete_object(&bucket, key);
        }
        let refused = audit(n).await.expect_err("refused").to_string();
        assert!(refused.contains(told), "{refused}");
        for key in &deleted {
            place.sandbox.undelete_object(&bucket, key);
        }
        assert_eq!(place.sandbox.object_keys(&bucket), before);
    }
    audit(3).await.expect("sealed");
    let report = report(&place.s3_store("deleted").await).await;
    assert!(report.passed(), "{:?}", report.failures);
    assert_eq!(report.runs.len(), 2);
}

/// The keys of a new archive are written before entry 1: what was cut off between the two goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beginning_that_was_cut_off_is_finished() {
    for prepares in [false, true] {
        let place = Place::new(&small()).await;
        let bucket = place.world.archive_bucket().name.clone();
        let archive = format!("s3://{bucket}/cut");
        let recovery = LocalSigner::create(&place.path("recovery.pem")).expect("a key");
        let public = place.path("recovery.pub");
        std::fs::write(&public, recovery.public_key().to_pem()).expect("written");
        let public = public.display().to_string();
        let settings = [("archive", archive.as_str()), ("recovery_key", &public)];
        let config = place.config_with(&settings, "");
        let mut options = place.options();
        options.create_archive = true;
        let begin = async || {
            let shell = place.shell();
            if prepares {
                let prepared = run::prepare(&shell, &config, &options, 2, never());
                prepared.await.map(drop)
            } else {
                let audited = run::audit(&shell, &config, &options, never());
                audited.await.map(drop)
            }
        };
        place.sandbox.set_faults(Faults {
            rules: vec![FaultRule {
                operation: Some("PutObject".to_owned()),
                path_contains: Some("/chain/".to_owned()),
                ..FaultRule::every(FaultKind::Deny)
            }],
            seed: 0,
        });
        begin().await.expect_err("entry 1 is refused");
        let keys = place.sandbox.object_keys(&bucket);
        assert_eq!(keys.len(), 2, "{keys:?}");
        place.sandbox.set_faults(Faults::default());
        begin().await.expect("goes on");
        let report = report(&place.s3_store("cut").await).await;
        assert!(report.passed(), "{:?}", report.failures);
    }
}
