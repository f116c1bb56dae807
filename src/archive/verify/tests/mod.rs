//! One damage after another on a small archive: levels 1 to 3 are judged by the library and by
//! `scripts/verify-archive.sh`, which must agree; the others by the library.

mod anchor;
mod catalogue;
mod clocks;
mod completeness;
mod dying;
mod hostile;
mod sealed;
mod storage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::archive::file_store::FileStore;
use crate::archive::layout;
use crate::archive::signer::Signer as _;
use crate::archive::starts;
use crate::model::ids::Sha256Hex;
use crate::seal::{Content, Envelope, PublicKey, Statement};
use crate::testkit::{MemoryStore, SampleArchive, TempDir, TestSigner};
use crate::time::{DAY_MS, HOUR_MS};

type Objects = BTreeMap<String, Vec<u8>>;

/// An archive with everything in it: a dead run with leftovers, an unreadable start, an intruder in
/// the chain, a rollup, an unsealed run at the end.
struct Sample {
    objects: Objects,
    signer: Arc<TestSigner>,
    pin: Sha256Hex,
    head: (u64, Sha256Hex),
}

const INTRUDER: &str = "chain/0000000003.dsse.json";
const LAST: &str = "chain/0000000006.dsse.json";

async fn sample() -> Sample {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("entry 2");

    let mut chain = archive.chain().await.expect("chain");
    let dead = archive.begin(&mut chain, None).await.expect("begin");
    archive.collect(&chain, &dead).await.expect("leftovers");
    starts::end(&*archive.store, &archive.clock, &dead.start, "interrupted")
        .await
        .expect("end");
    memory.replace("starts/0000000003.json", "not a start");
    memory.replace(INTRUDER, "junk");
    archive.run().await.expect("entry 4");
    archive.rollup().await.expect("entry 5");
    archive.run().await.expect("entry 6");
    let mut chain = archive.chain().await.expect("chain");
    archive.begin(&mut chain, None).await.expect("alive");
    Sample {
        objects: memory.objects(),
        pin: chain.genesis_sha256().clone(),
        head: (chain.head().seq, chain.head().sha256.clone()),
        signer: archive.signer,
    }
}

impl Sample {
    fn options(&self) -> VerifyOptions {
        VerifyOptions {
            pin: Some(self.pin.clone()),
            level: 3,
            expected_heads: vec![self.head.clone()],
            ..VerifyOptions::default()
        }
    }

    /// Files that something signed vouches for; a change of any other is no failure.
    fn sealed_names(&self) -> Vec<String> {
        let open = |name: &str| {
            name == INTRUDER
                || name == "starts/0000000006.json"
                || name.ends_with("end.json")
                || name.contains("20261125T020000Z-00000002")
        };
        self.objects
            .keys()
            .filter(|name| !open(name))
            .cloned()
            .collect()
    }

    /// The classes of what is wrong in `objects`, by the library.
    async fn classes(&self, objects: Objects) -> Vec<&'static str> {
        let memory = MemoryStore::holding(objects);
        let report = verify(&memory, &self.options()).await.expect("listed");
        assert_eq!(report.passed(), report.failures.is_empty());
        report.failures.iter().map(Failure::class).collect()
    }
}

/// The archive in a folder, for the script.
struct OnDisk {
    dir: TempDir,
    store: FileStore,
}

impl OnDisk {
    fn new(objects: &Objects) -> Self {
        let dir = TempDir::new();
        let store = FileStore::at(&dir.path().join("a").display().to_string()).expect("path");
        std::fs::create_dir(store.root()).expect("folder");
        let disk = Self { dir, store };
        for (name, bytes) in objects {
            disk.write(name, bytes);
        }
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.root().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folders");
        std::fs::write(path, bytes).expect("write");
    }

    fn script(&self, args: &[String]) -> (Option<i32>, String) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/verify-archive.sh");
        let done = Command::new("sh")
            .arg(script)
            .arg(self.store.root())
            .args(args)
            .output()
            .expect("sh runs");
        let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said)
    }

    /// Both verifiers' failure classes; they must agree on whether there are any.
    async fn both(&self, sample: &Sample) -> (Vec<&'static str>, String) {
        let report = verify(&self.store, &sample.options())
            .await
            .expect("listed");
        let (seq, sha256) = &sample.head;
        let (code, said) = self.script(&[
            "--pin".to_owned(),
            sample.pin.to_string(),
            "--expect-head".to_owned(),
            format!("{seq}:{sha256}"),
        ]);
        let expected = if report.passed() { 0 } else { 5 };
        assert_eq!(code, Some(expected), "{:#?}\n{said}", report.failures);
        let classes = report.failures.iter().map(Failure::class).collect();
        (classes, said)
    }
}

/// The classes that the library names in a store.
async fn classes(store: &MemoryStore, options: &VerifyOptions) -> Vec<&'static str> {
    let report = verify(store, options).await.expect("listed");
    report.failures.iter().map(Failure::class).collect()
}

/// All levels up to `level`, each of which must be checkable.
fn up_to(level: u8) -> VerifyOptions {
    VerifyOptions {
        level,
        strict: true,
        ..VerifyOptions::default()
    }
}

fn outcome(report: &Report, level: u8) -> Option<LevelOutcome> {
    let mut levels = report.levels.iter();
    levels.find(|l| l.level == level).map(|l| l.outcome)
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The chain file of a changed statement, signed by `signer`.
async fn resigned(
    objects: &Objects,
    name: &str,
    signer: &TestSigner,
    change: impl FnOnce(&mut Statement),
) -> Vec<u8> {
    let envelope = Envelope::parse(&objects[name]).expect("envelope");
    let mut statement = Statement::parse(&envelope.payload).expect("statement");
    change(&mut statement);
    signed(signer, statement.to_bytes()).await
}

async fn signed(signer: &TestSigner, payload: Vec<u8>) -> Vec<u8> {
    let signature = signer
        .sign(&Envelope::to_sign(&payload))
        .await
        .expect("sign");
    Envelope {
        payload,
        keyid: signer.public_key().keyid(),
        signature,
    }
    .to_bytes()
}

/// Applies one damage and expects its class from both verifiers.
async fn damaged(sample: &Sample, class: &str, damage: impl FnOnce(&mut Objects)) {
    let mut objects = sample.objects.clone();
    damage(&mut objects);
    let disk = OnDisk::new(&objects);
    let (classes, said) = disk.both(sample).await;
    assert!(classes.contains(&class), "{class}: {classes:?}\n{said}");
    // To the script a shorter file is one with another digest.
    let in_script = class.replace("truncated", "digest_mismatch");
    assert!(
        said.contains(&format!("FAIL {in_script}")),
        "{class}: {said}"
    );
}
