//! Changes of the signing key and notes: what the library and `scripts/verify-archive.sh` make of
//! them, whole and damaged, and the commands that write them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use keyproof::archive::chain::{Chain, ChainError};
use keyproof::archive::commit::CommitError;
use keyproof::archive::file_store::FileStore;
use keyproof::archive::genesis::{self, GenesisRequest};
use keyproof::archive::key_change::KeyChangeError;
use keyproof::archive::layout;
use keyproof::archive::local_signer::LocalSigner;
use keyproof::archive::signer::Signer;
use keyproof::archive::verify::{Failure, VerifyOptions, verify};
use keyproof::model::ids::Sha256Hex;
use keyproof::seal::{ArchiveId, ChangedBy, Content, Envelope, Note, Producer, Remark, Statement};
use keyproof::testkit::{Fault, FaultStore, MemoryStore, SampleArchive, TempDir, TestSigner};
use keyproof::time::SystemClock;

type Objects = BTreeMap<String, Vec<u8>>;

/// An archive whose key was rotated (entry 3) and recovered (entry 6), with a note (entry 4).
struct Sample {
    archive: SampleArchive,
    memory: Arc<MemoryStore>,
    first: Arc<TestSigner>,
    pin: Sha256Hex,
}

async fn sample() -> Sample {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.recovery = Some(Arc::new(TestSigner::generate()));
    let first = archive.signer.clone();
    archive.run().await.expect("entry 2");
    archive
        .change_key(ChangedBy::Rotation)
        .await
        .expect("entry 3");
    archive
        .note(r#"the "kind":"run" of note, with \ and ünï"#)
        .await
        .expect("entry 4");
    archive.run().await.expect("entry 5");
    archive
        .change_key(ChangedBy::Recovery)
        .await
        .expect("entry 6");
    archive.run().await.expect("entry 7");
    let pin = archive
        .chain()
        .await
        .expect("chain")
        .genesis_sha256()
        .clone();
    Sample {
        archive,
        memory,
        first,
        pin,
    }
}

impl Sample {
    async fn chain(&self) -> Chain {
        self.archive.chain().await.expect("chain")
    }

    /// Failure classes of `objects`, by the library; the script must agree that there are any.
    async fn classes(&self, objects: &Objects) -> Vec<&'static str> {
        let dir = TempDir::new();
        for (name, bytes) in objects {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folders");
            std::fs::write(path, bytes).expect("write");
        }
        let store = FileStore::at(&dir.path().display().to_string()).expect("path");
        let options = VerifyOptions {
            level: 3,
            pin: Some(self.pin.clone()),
            ..VerifyOptions::default()
        };
        let report = verify(&store, &options).await.expect("listed");
        let classes: Vec<_> = report.failures.iter().map(Failure::class).collect();
        let (code, said) = script(dir.path(), &self.pin);
        let expected = if classes.is_empty() { 0 } else { 5 };
        assert_eq!(code, Some(expected), "{:#?}\n{said}", report.failures);
        if let Some(first) = classes.first() {
            assert!(said.contains(first), "{classes:?}\n{said}");
        }
        classes
    }

    /// The next slot filled with a note by `signer`, which may not be trusted.
    async fn with_note_by(&self, signer: &TestSigner) -> Objects {
        let chain = self.chain().await;
        let note = Content::Note(Note {
            entry: 2,
            text: remark("forged"),
        });
        self.with_entry(signer, |statement| {
            statement.content = note;
            statement.subjects[0].name = layout::entry(2);
            statement.subjects[0].sha256 = chain.entries()[1].sha256.clone();
        })
        .await
    }

    /// The next slot filled with a changed copy of the last key change.
    async fn with_entry(
        &self,
        signer: &TestSigner,
        change: impl FnOnce(&mut Statement),
    ) -> Objects {
        let chain = self.chain().await;
        let mut statement = chain.entries()[5].statement.clone();
        statement.seq = chain.next_seq();
        statement.previous_sha256 = Some(chain.head().sha256.clone());
        change(&mut statement);
        let payload = statement.to_bytes();
        let signature = signer.sign(&Envelope::to_sign(&payload)).await;
        let envelope = Envelope {
            payload,
            keyid: signer.public_key().keyid(),
            signature: signature.expect("signature"),
        };
        let mut objects = self.memory.objects();
        objects.insert(layout::entry(chain.next_seq()), envelope.to_bytes());
        objects
    }
}

fn remark(text: &str) -> Remark {
    Remark::try_from(text.to_owned()).expect("one line")
}

fn script(archive: &Path, pin: &Sha256Hex) -> (Option<i32>, String) {
    let done = Command::new("sh")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/verify-archive.sh"
        ))
        .arg(archive)
        .args(["--pin", pin.as_str()])
        .output()
        .expect("sh runs");
    let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&done.stderr));
    (done.status.code(), said)
}

#[tokio::test]
async fn what_earlier_keys_sealed_stays_verifiable() {
    let sample = sample().await;
    assert_eq!(sample.classes(&sample.memory.objects()).await, [""; 0]);
    let chain = sample.chain().await;
    assert_eq!(chain.head().seq, 7);
    assert_eq!(chain.key(), sample.archive.signer.public_key());
    let first = sample.first.public_key();
    assert_eq!(chain.keys().replaced_by(&first.keyid()), Some(3));
}

#[tokio::test]
async fn a_replaced_key_signs_nothing_any_more() {
    let sample = sample().await;
    let objects = sample.with_note_by(&sample.first).await;
    assert_eq!(sample.classes(&objects).await, ["unknown_signer"]);
    let chain = sample.chain().await;
    let refused = chain.check_signer(sample.first.public_key());
    assert!(
        matches!(refused, Err(ChainError::ReplacedKey { seq: 3, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_recovery_key_does_nothing_else() {
    let sample = sample().await;
    let recovery = sample.archive.recovery.clone().expect("named");
    let objects = sample.with_note_by(&recovery).await;
    assert_eq!(sample.classes(&objects).await, ["key_misused"]);
}

#[tokio::test]
async fn key_changes_that_are_not_permitted_are_named() {
    let sample = sample().await;
    let recovery = sample.archive.recovery.clone().expect("named");
    let current = sample.archive.signer.clone();
    let ours = current.public_key().keyid();
    let new = TestSigner::generate().public_key().clone();
    let first = sample.first.public_key().clone();
    for (what, signer, by, replaces, key) in [
        (
            "recovery by the signing key",
            &current,
            ChangedBy::Recovery,
            &ours,
            &new,
        ),
        (
            "rotation by the recovery key",
            &recovery,
            ChangedBy::Rotation,
            &ours,
            &new,
        ),
        (
            "of another key",
            &recovery,
            ChangedBy::Recovery,
            &first.keyid(),
            &new,
        ),
        (
            "to a replaced key",
            &current,
            ChangedBy::Rotation,
            &ours,
            &first,
        ),
        (
            "to the recovery key",
            &current,
            ChangedBy::Rotation,
            &ours,
            recovery.public_key(),
        ),
        (
            "to itself",
            &current,
            ChangedBy::Rotation,
            &ours,
            current.public_key(),
        ),
    ] {
        let mut objects = sample
            .with_entry(signer, |statement| {
                if let Content::Key(change) = &mut statement.content {
                    change.by = by;
                    change.replaces = replaces.clone();
                    change.keyid = key.keyid();
                }
                statement.subjects[0].name = layout::key(&key.keyid());
                statement.subjects[0].sha256 = Sha256Hex::of(key.to_pem().as_bytes());
            })
            .await;
        objects.insert(layout::key(&key.keyid()), key.to_pem().into_bytes());
        assert_eq!(sample.classes(&objects).await, ["key_misused"], "{what}");
    }
}

#[tokio::test]
async fn every_change_of_keys_and_their_entries_is_noticed() {
    let sample = sample().await;
    let whole = sample.memory.objects();
    let concerned = |name: &str| {
        name.starts_with("keys/")
            || ["3", "4", "6"]
                .iter()
                .any(|n| name == format!("chain/000000000{n}.dsse.json"))
    };
    let names: Vec<&String> = whole.keys().filter(|name| concerned(name)).collect();
    assert_eq!(names.len(), 4 + 3);
    for name in names {
        let mut objects = whole.clone();
        objects.remove(name);
        let removed = sample.classes(&objects).await;
        let expected = if name.starts_with("keys/") {
            "missing_file"
        } else {
            "gap"
        };
        assert_eq!(removed[0], expected, "{name}: {removed:?}");
        let bytes = &whole[name];
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let mut objects = whole.clone();
            objects.get_mut(name).expect("there")[at] ^= 1;
            let flipped = sample.classes(&objects).await;
            assert!(!flipped.is_empty(), "{name}, byte {at}");
        }
    }
}

/// A key change that is gone hides who signs what follows: that is a gap, whoever signs, and none of it
/// is trusted. What only looks like it is not.
#[tokio::test]
async fn a_removed_key_change_is_a_gap() {
    let sample = sample().await;
    let removed = async |slots: &[u64], class: &str| {
        let mut objects = sample.memory.objects();
        for slot in slots {
            objects.remove(&layout::entry(*slot));
        }
        let classes = sample.classes(&objects).await;
        assert_eq!(classes[0], "gap", "{slots:?}: {classes:?}");
        assert!(classes.contains(&class), "{slots:?}: {classes:?}");
    };
    removed(&[3], "unknown_signer").await;
    removed(&[6], "unknown_signer").await;
    // The recovery key speaks next, about a key that nobody knows.
    removed(&[3, 4, 5], "key_misused").await;
    removed(&[3, 4, 5, 6], "unknown_signer").await;
    // Whoever reads the chain to answer or to seal is stopped by what a trusted key signed, and by nothing
    // else: a key that lies in `keys/` may be anybody's.
    let read = async |slots: &[u64]| {
        let mut objects = sample.memory.objects();
        for slot in slots {
            objects.remove(&layout::entry(*slot));
        }
        Chain::read(&MemoryStore::holding(objects)).await
    };
    // Entry 6 is the recovery key's, which entry 1 names.
    for slots in [&[3][..], &[3, 4, 5]] {
        let stopped = read(slots).await;
        assert!(
            matches!(
                stopped,
                Err(ChainError::Removed {
                    seq: 3,
                    later: 6,
                    ..
                })
            ),
            "{slots:?}: {stopped:?}"
        );
    }
    let unknown = read(&[3, 4, 5, 6]).await.expect("readable").expect("begun");
    assert_eq!(unknown.next_seq(), 3);
    assert_eq!(unknown.stray(), Some(layout::entry(7).as_str()));

    // By a key that signs no more, by one that is not in the archive, for another slot: no entry is missed.
    let stray = TestSigner::generate();
    let mut beyond = Vec::new();
    for signer in [sample.first.as_ref(), &stray] {
        let mut objects = sample.with_note_by(signer).await;
        let bytes = objects.remove(&layout::entry(8)).expect("forged");
        objects.insert(layout::entry(9), bytes);
        beyond.push(objects);
    }
    let mut copied = sample.memory.objects();
    copied.insert(layout::entry(9), copied[&layout::entry(7)].clone());
    beyond.push(copied);
    for objects in beyond {
        assert_eq!(sample.classes(&objects).await, ["unexpected_object"]);
    }
}

#[tokio::test]
async fn a_key_that_no_entry_names_is_told_and_trusted_with_nothing() {
    let sample = sample().await;
    let stray = TestSigner::generate();
    let name = layout::key(&stray.public_key().keyid());
    let pem = stray.public_key().to_pem().into_bytes();
    let mut objects = sample.memory.objects();
    objects.insert(name.clone(), pem.clone());
    assert_eq!(sample.classes(&objects).await, [""; 0]);
    let mut by_it = sample.with_note_by(&stray).await;
    by_it.insert(name, pem.clone());
    assert_eq!(sample.classes(&by_it).await, ["unknown_signer"]);
    let mut misnamed = sample.memory.objects();
    misnamed.insert(layout::key(&Sha256Hex::of(b"another")), pem);
    assert_eq!(sample.classes(&misnamed).await, ["unexpected_object"]);
}

#[tokio::test]
async fn a_run_that_was_overtaken_by_a_key_change_is_not_sealed() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("entry 2");
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let new = TestSigner::generate();
    archive
        .change_key_to(&new, ChangedBy::Rotation)
        .await
        .expect("entry 3");
    let refused = archive
        .seal(&mut chain, &manifest, Content::Run(seal))
        .await;
    assert!(
        matches!(
            refused,
            Err(CommitError::Chain(ChainError::ReplacedKey { seq: 3, .. }))
        ),
        "{refused:?}"
    );
    assert!(!memory.objects().contains_key(&layout::entry(4)));
}

#[tokio::test]
async fn refused_changes_write_nothing() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("entry 2");
    let before = memory.objects();
    let (new, other) = (TestSigner::generate(), Arc::new(TestSigner::generate()));
    let refused = archive.change_key_to(&new, ChangedBy::Recovery).await;
    assert!(
        matches!(refused, Err(KeyChangeError::NoRecoveryKey { .. })),
        "{refused:?}"
    );
    let ours = std::mem::replace(&mut archive.signer, other);
    let refused = archive.change_key_to(&new, ChangedBy::Rotation).await;
    assert!(
        matches!(
            refused,
            Err(KeyChangeError::Commit(CommitError::Chain(
                ChainError::OtherKey { .. }
            )))
        ),
        "{refused:?}"
    );
    archive.signer = ours.clone();
    let refused = archive.change_key_to(&ours, ChangedBy::Rotation).await;
    assert!(
        matches!(
            refused,
            Err(KeyChangeError::Commit(CommitError::NotPermitted(_)))
        ),
        "{refused:?}"
    );
    assert_eq!(memory.objects(), before);
}

#[tokio::test]
async fn whatever_befalls_a_key_change_it_can_be_said_again() {
    for fault in [
        Fault::Conflict,
        Fault::LostAnswer,
        Fault::NeverArrived,
        Fault::Failed,
        Fault::Dead,
        Fault::DeadAfter,
    ] {
        for call in 1..=12 {
            let (mut archive, memory) = SampleArchive::in_memory();
            archive.run().await.expect("entry 2");
            let new = Arc::new(TestSigner::generate());
            let faulty = FaultStore::new(memory.clone(), [(call, fault)]);
            let _ = archive
                .over(Arc::new(faulty))
                .change_key_to(&new, ChangedBy::Rotation)
                .await;
            let again = archive.change_key_to(&new, ChangedBy::Rotation).await;
            assert_eq!(again.expect("done").seq, 3, "{fault:?} at {call}");
            archive.signer = new;
            archive.run().await.expect("entry 4");
            let report = verify(
                &*memory,
                &VerifyOptions {
                    level: 3,
                    ..VerifyOptions::default()
                },
            )
            .await
            .expect("listed");
            assert!(
                report.passed(),
                "{fault:?} at {call}: {:#?}",
                report.failures
            );
            assert_eq!(report.entries.len(), 4);
        }
    }
}

/// A local archive of one entry, as `keyproof run` begins it, and a folder of keys beside it.
async fn begun(dir: &TempDir) -> String {
    let path = |name: &str| dir.path().join(name);
    let store = FileStore::at(&path("archive").display().to_string()).expect("path");
    let signer = LocalSigner::create(&path("key.pem")).expect("key");
    let recovery = LocalSigner::create(&path("recovery.pem")).expect("key");
    let digest = Sha256Hex::of(b"");
    let request = GenesisRequest {
        archive_id: ArchiveId::from_random([7; 16]),
        organization_id: None,
        schedule: "daily".to_owned(),
        retention_days: None,
        recovery: Some(recovery.public_key().clone()),
        protection: "none".to_owned(),
        scope: "organization, regions auto".to_owned(),
        producer: Producer {
            version: "0".to_owned(),
            binary_sha256: None,
            config_sha256: digest.clone(),
            rules_version: "0".to_owned(),
            rules_sha256: digest,
            caller_arn: None,
            lacking: Default::default(),
        },
    };
    let chain = genesis::create(&store, &signer, &SystemClock, &request).await;
    chain.expect("begun").genesis_sha256().to_string()
}

fn keyproof(dir: &TempDir, args: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_keyproof"))
        .args(args)
        .args(["--state-dir", "state"])
        .current_dir(dir.path())
        .output()
        .expect("the program runs");
    let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&done.stderr));
    (done.status.code(), said)
}

#[tokio::test]
async fn the_commands_change_keys_and_take_notes() {
    let dir = TempDir::new();
    let pin = begun(&dir).await;
    let ok = |args: &[&str]| {
        let (code, said) = keyproof(&dir, args);
        assert_eq!(code, Some(0), "{args:?}: {said}");
        let long = said
            .lines()
            .find(|l| l.chars().count() > 80 && !l.contains("file://"));
        assert_eq!(long, None, "{said}");
        said
    };
    let archive = ["--archive", "archive"];
    let with = |args: &[&'static str]| -> Vec<&'static str> { [args, archive.as_slice()].concat() };
    assert!(ok(&["keys", "--create", "second.pem"]).contains("BEGIN PUBLIC KEY"));
    ok(&["keys", "--create", "third.pem"]);
    ok(&["keys", "--create", "fourth.pem"]);
    let rotate = with(&[
        "keys",
        "rotate",
        "--signing-key",
        "key.pem",
        "--new-key",
        "second.pem",
        "--reason",
        "yearly",
    ]);
    assert!(ok(&rotate).contains("changed by entry 2"));
    assert!(ok(&rotate).contains("was changed by entry 2"), "said again");
    let note = with(&[
        "note",
        "--entry",
        "1",
        "--signing-key",
        "second.pem",
        "begun in a test",
    ]);
    assert!(ok(&note).contains("entry 3 about entry 1"));
    let recover = with(&[
        "keys",
        "recover",
        "--recovery-key",
        "recovery.pem",
        "--new-key",
        "third.pem",
        "--reason",
        "the laptop was lost",
    ]);
    assert!(ok(&recover).contains("changed by entry 4"));
    let keys = ok(&with(&["keys"]));
    let keys = keys.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "Signed ",
        "Signs ",
        "Recovers ",
        "yearly",
        "the laptop was lost",
        &pin,
    ] {
        assert!(keys.contains(expected), "{expected}: {keys}");
    }
    let verified = ok(&["verify", "archive", "--pin", &pin, "--level", "3"]);
    assert!(verified.contains("VERIFIED"), "{verified}");
    assert_eq!(
        script(&dir.path().join("archive"), &pin.parse().expect("digest")).0,
        Some(0)
    );

    // Every seal copies the chain to the second place, where there is one.
    let noted_with_copy = |place: &str| {
        let done = Command::new(env!("CARGO_BIN_EXE_keyproof"))
            .args(with(&[
                "note",
                "--entry",
                "1",
                "--signing-key",
                "third.pem",
                "copied",
            ]))
            .args(["--state-dir", "state"])
            .env("KEYPROOF_CHAIN_COPY", place)
            .current_dir(dir.path())
            .output()
            .expect("the program runs");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let warned = noted_with_copy("./archive/../archive");
    assert!(warned.contains("is the archive itself"), "{warned}");
    assert_eq!(noted_with_copy("copy"), "");
    let compared = ok(&[
        "verify", "archive", "--pin", &pin, "--level", "3", "--copy", "copy",
    ]);
    assert!(compared.contains("VERIFIED"), "{compared}");
    let chain = |folder: &str| std::fs::read_dir(dir.path().join(folder).join("chain"));
    let count = |folder: &str| chain(folder).expect("chain").count();
    assert_eq!(count("copy"), count("archive"));

    // What is refused says why and changes nothing.
    let entries = || {
        std::fs::read_dir(dir.path().join("archive/chain"))
            .expect("chain")
            .count()
    };
    let before = entries();
    for (args, code, why) in [
        (rotate, 1, "replaced the signing key"),
        (
            with(&["note", "--entry", "1", "--signing-key", "second.pem", "x"]),
            1,
            "its successor",
        ),
        (
            with(&["note", "--entry", "99", "--signing-key", "third.pem", "x"]),
            2,
            "no entry 99",
        ),
        (
            with(&["note", "--entry", "1", "--signing-key", "third.pem", "a\nb"]),
            2,
            "one line",
        ),
        (
            with(&["note", "--entry", "1", "--signing-key", "third.pem", ""]),
            2,
            "needs a text",
        ),
        (
            with(&["note", "--signing-key", "third.pem", "x"]),
            2,
            "--run-id",
        ),
        (
            with(&[
                "keys",
                "recover",
                "--recovery-key",
                "key.pem",
                "--new-key",
                "x.pem",
                "--reason",
                "x",
            ]),
            1,
            "x.pem does not exist",
        ),
        (
            with(&[
                "keys",
                "recover",
                "--recovery-key",
                "key.pem",
                "--new-key",
                "fourth.pem",
                "--reason",
                "x",
            ]),
            1,
            "is not the recovery key",
        ),
        (
            with(&[
                "keys",
                "rotate",
                "--signing-key",
                "third.pem",
                "--new-key",
                "recovery.pem",
                "--reason",
                "x",
            ]),
            1,
            "used before",
        ),
    ] {
        let (found, said) = keyproof(&dir, &args);
        assert_eq!(found, Some(code), "{args:?}: {said}");
        // Lines end where the terminal does.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    assert_eq!(entries(), before);
}
