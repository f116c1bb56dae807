//! An archive's bucket that does not protect what is written to it: refused, or sealed as such.

use keyproof::archive::chain::Chain;
use keyproof::archive::verify::{Notice, Report};
use keyproof::model::datasets::ArchiveCheck;
use keyproof::model::words::CheckOutcome::{self, Fail, NotApplicable, Pass, Unknown};
use keyproof::run::RunError;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use keyproof::sandbox::world::{Bucket, BucketEncryption};
use keyproof::sandbox::{Options, World};
use keyproof::seal::Lacking;

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

/// What each entry says that it did not find of the bucket's protection.
fn lacking(report: &Report) -> Vec<Lacking> {
    let entries = report.entries.iter();
    entries
        .map(|entry| entry.statement.producer.lacking.clone())
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
    assert!(lacking(&report).iter().all(Lacking::is_nothing));
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
    // Entry 1 and the run's own say the same.
    let report = report(&place.s3_store("keyproof").await).await;
    let unknown = Lacking {
        failed: Vec::new(),
        unknown,
    };
    assert_eq!(lacking(&report), [unknown.clone(), unknown]);
    let told = Notice::ProtectionUnknown {
        entries: 2,
        checks: expected.map(str::to_owned).to_vec(),
    };
    assert!(report.notices.contains(&told), "{:?}", report.notices);
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
    for check in [
        "Protection lock_covers_retention: ",
        " public_access_block: ",
        " tls_only: ",
    ] {
        assert!(shown.contains(check), "{shown}");
    }
    assert!(shown.contains("`keyproof doctor`"), "{shown}");

    // The next run is not let in by what the first was told.
    let (exit, said, _) = run(&[]).await;
    assert_eq!(exit, Some(2), "{said}");

    let sealed = report(&place.s3_store("keyproof").await).await;
    assert!(sealed.passed(), "{:?}", sealed.failures);
    let [only] = sealed.runs.as_slice() else {
        panic!("{} runs", sealed.runs.len());
    };
    let failed = ["public_access_block", "tls_only"];
    let entry = &sealed.entries[only.seq as usize - 1];
    assert_eq!(entry.statement.producer.lacking.failed, failed);
    assert_eq!(
        genesis_protection(&place).await,
        format!("without {}", failed.join(", "))
    );
    let verified = place.program(&["verify", &url]).output().await;
    let verified = verified.expect("it runs");
    assert_eq!(verified.status.code(), Some(0), "{}", told(&verified));
    let shown = String::from_utf8_lossy(&verified.stdout).into_owned();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let told = "although the bucket failed checks: 2; the checks: public_access_block, tls_only";
    assert!(words.join(" ").contains(told), "{shown}");
}

/// The real program in a present whose bucket has no TLS-only statement.
struct Unprotected {
    place: Place,
    url: String,
    signing: String,
}

impl Unprotected {
    async fn new() -> Self {
        let now = keyproof::time::Clock::now(&keyproof::time::SystemClock);
        let options = Options {
            start_ms: now.date().plus_days(-1).start().0,
            ..small()
        };
        let place = place(&options, |bucket| without(bucket, "TlsOnly")).await;
        place.clock.set(now);
        Self {
            url: archive(&place),
            signing: place.world.signing_key_arn(),
            place,
        }
    }

    fn program(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut program = self.place.program(arguments);
        program
            .args(["--archive", &self.url])
            .env("KEYPROOF_SIGNING_KEY", &self.signing)
            .env("KEYPROOF_QUOTA_SHARE", "1");
        program
    }

    fn objects(&self) -> Vec<String> {
        let bucket = &self.place.world.archive_bucket().name;
        self.place.sandbox.object_keys(bucket)
    }

    /// The command writes nothing, whatever it would write, until it is told to write all the same.
    async fn allowed_alone(&self, arguments: &[&str]) -> String {
        let before = self.objects();
        let refused = self.program(arguments).output().await.expect("it runs");
        let said = told(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("tls_only"), "{arguments:?}: {said}");
        assert!(
            said.contains("--allow-unprotected"),
            "{arguments:?}: {said}"
        );
        assert_eq!(self.objects(), before, "{arguments:?}");
        self.allowed(arguments).await
    }

    async fn allowed(&self, arguments: &[&str]) -> String {
        let all = [arguments, &["--allow-unprotected"]].concat();
        let done = self.program(&all).output().await.expect("it runs");
        let code = done.status.code();
        assert!(matches!(code, Some(0 | 4)), "{all:?}: {}", told(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_that_writes_refuses_a_bucket_that_does_not_protect_it() {
    let there = Unprotected::new().await;
    for name in ["recovery", "second", "third"] {
        let path = there.place.path(&format!("{name}.pem"));
        keyproof::run::create_key(&path).expect("a key");
    }
    let pem = std::fs::read_to_string(there.place.path("recovery.pem")).expect("a key");
    let public =
        keyproof::archive::local_signer::LocalSigner::load(&there.place.path("recovery.pem"));
    let public = keyproof::archive::signer::Signer::public_key(&public.expect("a key")).to_pem();
    assert_ne!(pem, public);
    std::fs::write(there.place.path("recovery.pub"), public).expect("write");
    let id = "20261124T020000Z-c0de";
    let quarter = keyproof::time::Clock::now(&keyproof::time::SystemClock)
        .date()
        .quarter()
        .to_string();
    let prepare = [
        "prepare",
        "--shards",
        "1",
        "--run-id",
        id,
        "--create-archive",
        "--recovery-key",
        "recovery.pub",
    ];
    there.allowed_alone(&prepare).await;
    there
        .allowed_alone(&["collect", "--run-id", id, "--shard", "1/1"])
        .await;
    there.allowed_alone(&["assess", "--run-id", id]).await;
    there.allowed_alone(&["seal", "--run-id", id]).await;
    there
        .allowed_alone(&["rollup", "--quarter", &quarter])
        .await;
    let note = there
        .allowed_alone(&["note", "--entry", "1", "noted"])
        .await;
    assert!(note.contains("entry 4"), "{note}");
    let rotate = ["keys", "rotate", "--new-key", "second.pem", "--reason", "a"];
    there.allowed_alone(&rotate).await;
    let recover = [
        "keys",
        "recover",
        "--recovery-key",
        "recovery.pem",
        "--new-key",
        "third.pem",
        "--reason",
        "b",
    ];
    there.allowed_alone(&recover).await;
    // What only reads asks nothing of the bucket.
    let rollup = ["rollup", "--quarter", &quarter, "--no-seal"];
    for reading in [&["keys"][..], &rollup, &["assess", "--run-id", id]] {
        let done = there.program(reading).output().await.expect("it runs");
        assert_eq!(done.status.code(), Some(0), "{reading:?}: {}", told(&done));
    }

    let report = report(&there.place.s3_store("keyproof").await).await;
    assert!(report.passed(), "{:?}", report.failures);
    let kinds: Vec<&str> = report
        .entries
        .iter()
        .map(|entry| entry.statement.content.kind())
        .collect();
    assert_eq!(kinds, ["genesis", "run", "rollup", "note", "key", "key"]);
    for said in lacking(&report) {
        assert_eq!(said.failed, ["tls_only"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_is_asked_again() {
    let there = Unprotected::new().await;
    there.place.sandbox.set_faults(Faults {
        rules: vec![FaultRule {
            operation: Some("ListClusters".to_owned()),
            ..FaultRule::every(FaultKind::Hang)
        }],
        seed: 1,
    });
    let id = "20261124T020000Z-dead";
    let begin = [
        "run",
        "--run-id",
        id,
        "--create-archive",
        "--work-dir",
        "work",
        "--allow-unprotected",
    ];
    let mut dying = there.program(&begin).spawn().expect("it runs");
    let begun = || {
        let files = crate::support::files_below(&there.place.path("work"));
        files.iter().any(|file| file.ends_with("scope.json"))
    };
    while !begun() {
        assert_eq!(dying.try_wait().expect("a child"), None, "it collects");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    dying.kill().await.expect("killed");
    there.place.sandbox.set_faults(Faults::default());
    there
        .allowed_alone(&["run", "--resume", id, "--work-dir", "work"])
        .await;
    let report = report(&there.place.s3_store("keyproof").await).await;
    assert!(report.passed(), "{:?}", report.failures);
    assert_eq!(report.runs[0].seal.run_id.as_str(), id);
    assert!(
        lacking(&report)
            .iter()
            .all(|said| said.failed == ["tls_only"])
    );
}

/// The sealer asks for itself: what the others were told is not what it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sealer_seals_what_it_saw_itself() {
    let place = place(&small(), |_| {}).await;
    let url = archive(&place);
    let config = place.config_with(&[("archive", url.as_str())], "");
    let run_id: keyproof::model::ids::RunId = "20261124T020000Z-c0de".parse().expect("an id");
    let (shell, mut options) = (place.shell(), place.options());
    options.create_archive = true;
    options.run_id = Some(run_id.clone());
    keyproof::run::prepare(&shell, &config, &options, 1, never())
        .await
        .expect("prepared");
    let options = place.options();
    keyproof::run::collect(&shell, &config, &options, &run_id, (1, 1), never())
        .await
        .expect("collected");
    keyproof::run::assess(&shell, &config, &options, &run_id, never())
        .await
        .expect("judged");
    // The sealer's role may not ask for one thing.
    place.sandbox.set_faults(Faults {
        rules: vec![FaultRule {
            operation: Some("GetBucketVersioning".to_owned()),
            ..FaultRule::every(FaultKind::Deny)
        }],
        seed: 1,
    });
    let sealed = keyproof::run::seal(&shell, &config, &run_id, never()).await;
    let summary = sealed.expect("sealed").summary;
    assert!(summary.contains("and 1 more check"), "{summary}");
    let versioning = rows(&place, run_id.as_str()).await;
    let versioning = versioning.iter().find(|(check, ..)| check == "versioning");
    assert_eq!(versioning.map(|(_, outcome, _)| *outcome), Some(Pass));
    let report = report(&place.s3_store("keyproof").await).await;
    let [first, run] = lacking(&report).try_into().expect("two entries");
    assert!(first.is_nothing());
    assert_eq!(run.unknown, ["versioning"]);
}
