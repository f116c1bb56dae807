//! Input made to break the verifier: it ends as a named failure, in bounded memory, and nothing
//! outside the archive is touched.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::*;
use crate::archive::store::{Fetch, Listed, StoreError};

/// The last run with another manifest, which its entry vouches for.
async fn with_manifest(sample: &Sample, manifest: Vec<u8>) -> Objects {
    let mut objects = sample.objects.clone();
    let digest = Sha256Hex::of(&manifest);
    let mut name = String::new();
    let bytes = resigned(&objects, LAST, &sample.signer, |statement| {
        statement.subjects[0].sha256 = digest;
        name.clone_from(&statement.subjects[0].name);
    })
    .await;
    objects.insert(LAST.to_owned(), bytes);
    objects.insert(name, manifest);
    objects
}

/// The last run's own manifest.
fn manifest_of(sample: &Sample) -> String {
    let envelope = Envelope::parse(&sample.objects[LAST]).expect("envelope");
    let statement = Statement::parse(&envelope.payload).expect("statement");
    String::from_utf8(sample.objects[&statement.subjects[0].name].clone()).expect("text")
}

fn deep() -> String {
    format!("{}{}", "[".repeat(200_000), "]".repeat(200_000))
}

#[tokio::test]
async fn manifests_that_make_no_sense_are_named() {
    let sample = sample().await;
    let good = manifest_of(&sample);
    let (before, after) = good.split_once("\"bytes\":").expect("a file");
    let (_, after) = after.split_once(',').expect("a number");
    let bytes = |number: &str| format!("{before}\"bytes\":{number},{after}");
    let named = |name: &str| {
        let (before, after) = good.split_once("\"name\":\"").expect("a name");
        let (_, after) = after.split_once('"').expect("its end");
        format!("{before}\"name\":\"{name}\"{after}")
    };
    let half = good[..good.len() / 2].to_owned();
    for bad in [
        half,
        bytes("1e999"),
        bytes("18446744073709551616"),
        bytes(&"9".repeat(100_000)),
        bytes("-1"),
        bytes(&deep()),
        deep(),
        named("../../../../etc/passwd"),
        named("/etc/passwd"),
        named("evidence/../../x"),
        named("evidence//x"),
        named(".tmp/x"),
        named("-rf"),
        named("a\\u0000b"),
        named("a\\nb"),
        named(&"x/".repeat(100_000)),
    ] {
        let shown: String = bad.chars().take(300).collect();
        let objects = with_manifest(&sample, bad.into_bytes()).await;
        let found = sample.classes(objects).await;
        assert!(found.contains(&"malformed_manifest"), "{found:?}: {shown}");
        assert!(!found.contains(&"missing_file"), "{found:?}: {shown}");
    }
}

#[tokio::test]
async fn entries_and_starts_that_make_no_sense_are_named() {
    let sample = sample().await;
    let put = |name: &str, bytes: Vec<u8>| {
        let mut objects = sample.objects.clone();
        objects.insert(name.to_owned(), bytes);
        objects
    };
    let large = vec![b'{'; 17 * 1024 * 1024];
    for bytes in [deep().into_bytes(), b"{\"payload\":".to_vec(), large] {
        let found = sample.classes(put(LAST, bytes.clone())).await;
        assert!(found.contains(&"envelope_not_canonical"), "{found:?}");
        // Nobody vouches for the last start: it counts as over.
        let found = sample.classes(put("starts/0000000006.json", bytes)).await;
        assert_eq!(found, [""; 0]);
    }
    for payload in [deep(), "{\"predicate\":{\"kind\":1e999".to_owned()] {
        let bytes = signed(&sample.signer, payload.into_bytes()).await;
        let found = sample.classes(put(LAST, bytes)).await;
        assert!(found.contains(&"statement_malformed"), "{found:?}");
    }
}

#[tokio::test]
async fn junk_at_high_numbers_is_beyond_the_end_of_the_chain() {
    let sample = sample().await;
    for name in [
        "chain/9999999999.dsse.json",
        "chain/0000000100.dsse.json",
        "chain/99999999999999999999.dsse.json",
        "starts/9999999999.json",
    ] {
        let mut objects = sample.objects.clone();
        objects.insert(name.to_owned(), deep().into_bytes());
        let found = sample.classes(objects).await;
        // A start that nobody vouches for counts as over, whatever its number.
        let expected: &[&str] = match name.starts_with("starts/") {
            true => &[],
            false => &["unexpected_object"],
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_objects_is_counted_and_not_listed() {
    let sample = sample().await;
    let mut objects = sample.objects.clone();
    for n in 0..100_000 {
        objects.insert(format!("evidence/x/{n:06}"), b"x".to_vec());
    }
    let memory = MemoryStore::holding(objects);
    let report = verify(&memory, &sample.options()).await.expect("listed");
    assert_eq!(report.failures.len(), 1_001);
    let last = report.failures.last().expect("the rest");
    assert_eq!(last.class(), "unexpected_object");
    assert!(last.to_string().starts_with("99000 more"), "{last}");
}

#[tokio::test]
async fn names_that_are_no_text_and_linked_folders_are_named_and_not_followed() {
    let sample = sample().await;
    let disk = OnDisk::new(&sample.objects);
    let outside = disk.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("folder");
    std::fs::write(outside.join("secret"), "x").expect("file");
    std::os::unix::fs::symlink(&outside, disk.path("evidence/account")).expect_err("it is there");
    std::os::unix::fs::symlink(&outside, disk.path("evidence/linked")).expect("a link");
    std::fs::write(
        disk.path("evidence").join(OsStr::from_bytes(b"\xff\xfe")),
        "x",
    )
    .expect("file");
    let listed = disk.store.list("").await.expect("listed");
    assert!(
        !listed.iter().any(|l| l.name.contains("secret")),
        "{listed:?}"
    );
    let report = verify(&disk.store, &sample.options())
        .await
        .expect("listed");
    let found: Vec<&str> = report.failures.iter().map(Failure::class).collect();
    assert_eq!(found, ["unexpected_object"; 2], "{:?}", report.failures);
    let read = disk.store.read("evidence/linked/secret", 9).await;
    assert!(read.is_err(), "{read:?}");
}

/// A store that notes the largest object which anybody would take into memory.
struct Noting {
    inner: MemoryStore,
    most: AtomicU64,
}

#[async_trait]
impl Fetch for Noting {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        self.most.fetch_max(limit, Ordering::Relaxed);
        self.inner.read(name, limit).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix).await
    }
    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut std::fs::File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        self.inner.copy_to(name, limit, to).await
    }
    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.inner.digest(name).await
    }
    fn url(&self) -> String {
        self.inner.url()
    }
}

#[tokio::test]
async fn a_size_that_a_manifest_makes_up_is_named_and_not_believed() {
    const MOST: u64 = 256 * 1024 * 1024;
    for kind in ["evidence/coverage/", "evidence/run/", "starts/"] {
        for bytes in [0, 1, 1 << 40, u64::MAX] {
            let (mut archive, memory) = SampleArchive::in_memory();
            let mut chain = archive.chain().await.expect("chain");
            let begun = archive.begin(&mut chain, None).await.expect("begin");
            let (mut manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
            let file = manifest.files.iter_mut().find(|f| f.name.starts_with(kind));
            file.expect("a file").bytes = bytes;
            let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
            sealed.await.expect("sealed");
            let noting = Noting {
                inner: memory.copy(),
                most: AtomicU64::new(0),
            };
            let options = VerifyOptions {
                level: 5,
                ..VerifyOptions::default()
            };
            let report = verify(&noting, &options).await.expect("listed");
            let found: Vec<&str> = report.failures.iter().map(Failure::class).collect();
            assert_eq!(found, ["rows_unreadable"], "{kind} {bytes}");
            let most = noting.most.load(Ordering::Relaxed);
            assert!(most <= MOST, "{kind} {bytes}: {most}");
        }
    }
}
