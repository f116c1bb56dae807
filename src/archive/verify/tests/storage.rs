//! Level 4, and data that was lawfully let go.

use async_trait::async_trait;

use super::*;
use crate::archive::store::{Fetch, Listed, StoreError, Stored, Version};
use crate::time::UtcMillis;

/// Two runs and a rollup in a bucket, with one name of each kind.
async fn bucket() -> (SampleArchive, Arc<MemoryStore>, Vec<String>) {
    let (mut archive, memory) = SampleArchive::in_bucket();
    archive.run().await.expect("run");
    archive.run().await.expect("run");
    archive.rollup().await.expect("rollup");
    let names = memory.objects().into_keys();
    let kinds: BTreeMap<String, String> = names
        .map(|name| (name.split('/').next().unwrap_or_default().to_owned(), name))
        .collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    (archive, memory, kinds.into_values().collect())
}

#[tokio::test]
async fn a_whole_bucket_passes() {
    let (_, memory, _) = bucket().await;
    let report = verify(memory.as_ref(), &up_to(6)).await.expect("listed");
    assert!(report.passed(), "{report:#?}");
    assert_eq!(report.notices, []);
    let evidence = report.runs.iter().flat_map(|run| &run.files);
    for file in evidence {
        let stored = file.stored.as_ref().expect("evidence");
        assert_eq!(stored.kms_key.as_deref(), Some(MemoryStore::KEY));
        assert_eq!(stored.lock_mode.as_deref(), Some("GOVERNANCE"));
    }
}

#[tokio::test]
async fn what_is_put_on_top_of_any_object_is_named() {
    let (_, memory, names) = bucket().await;
    for name in names {
        let bytes = memory.read_now(&name);
        memory.put_again(&name, bytes.clone());
        assert_eq!(
            classes(&memory, &up_to(4)).await,
            ["second_version"],
            "{name}"
        );
        memory.replace(&name, bytes);
    }
}

#[tokio::test]
async fn a_deleted_object_and_a_restored_one_are_named() {
    let (_, memory, names) = bucket().await;
    for name in names {
        let bytes = memory.read_now(&name);
        memory.delete(&name);
        let found = classes(&memory, &up_to(4)).await;
        // What entry 1 needs to be judged is told of before storage is asked.
        let told = if name.starts_with("keys/") {
            "missing_file"
        } else {
            "delete_marker"
        };
        assert!(found.contains(&told), "{name}: {found:?}");
        memory.put_again(&name, bytes.clone());
        let found = classes(&memory, &up_to(4)).await;
        assert_eq!(found, ["delete_marker", "second_version"], "{name}");
        memory.replace(&name, bytes);
    }
}

#[tokio::test]
async fn an_object_that_is_kept_otherwise_is_named() {
    type Change = fn(&mut Stored);
    let changes: [(&str, Change); 7] = [
        ("stored_otherwise", |s| {
            s.sha256 = Some(Sha256Hex::of(b"other"))
        }),
        ("lock_missing", |s| s.lock = None),
        ("lock_shortened", |s| {
            let lock = s.lock.as_mut().expect("a lock");
            lock.until = lock.until.plus_ms(-3 * DAY_MS);
        }),
        ("other_storage_key", |s| {
            s.kms_key = Some(format!("{}-2", MemoryStore::KEY))
        }),
        ("other_storage_key", |s| s.kms_key = None),
        // Lawful: longer and stricter.
        ("", |s| {
            let lock = s.lock.as_mut().expect("a lock");
            lock.until = lock.until.plus_ms(1);
        }),
        ("", |s| {
            s.lock.as_mut().expect("a lock").mode = "COMPLIANCE".to_owned()
        }),
    ];
    let (_, memory, names) = bucket().await;
    for name in &names {
        let bytes = memory.read_now(name);
        // Nothing tells for how long what stands outside of runs is to be locked.
        let outside = name.starts_with("keys/") || name.starts_with("rollup/");
        for (class, change) in &changes {
            let of_rollup =
                outside || name.contains("quarter=") || name == "chain/0000000004.dsse.json";
            if *class == "lock_shortened" && of_rollup {
                continue;
            }
            memory.keep_otherwise(name, |stored, _| change(stored));
            let expected: Vec<&str> = [*class].into_iter().filter(|c| !c.is_empty()).collect();
            assert_eq!(classes(&memory, &up_to(4)).await, expected, "{name}");
            memory.keep_otherwise(name, |stored, written_at| {
                let at = written_at.expect("a time");
                *stored = Stored {
                    sha256: Some(Sha256Hex::of(&bytes)),
                    kms_key: Some(MemoryStore::KEY.to_owned()),
                    bucket_key: Some(true),
                    version: Some("v1".to_owned()),
                    lock: Some(crate::archive::store::Lock {
                        mode: "GOVERNANCE".to_owned(),
                        until: at.plus_ms(30 * DAY_MS),
                    }),
                };
            });
        }
    }
}

#[tokio::test]
async fn the_start_of_a_died_run_is_kept_like_any_other() {
    let (mut archive, memory) = SampleArchive::in_bucket();
    let mut chain = archive.chain().await.expect("chain");
    let dead = archive.begin(&mut chain, None).await.expect("begin").start;
    starts::end(&*archive.store, &archive.clock, &dead, "interrupted")
        .await
        .expect("end");
    archive.clock.advance_ms(DAY_MS);
    archive.run().await.expect("run");
    let name = layout::start(dead.n);
    type Change = fn(&mut Stored);
    let changes: [(&str, Change); 4] = [
        ("stored_otherwise", |s| {
            s.sha256 = Some(Sha256Hex::of(b"other"));
        }),
        ("lock_missing", |s| s.lock = None),
        ("other_storage_key", |s| s.kms_key = None),
        // It was written a day before whatever its seal vouches for beside it.
        ("", |_| {}),
    ];
    for (class, change) in changes {
        let memory = memory.copy();
        memory.keep_otherwise(&name, |stored, _| change(stored));
        let expected: Vec<&str> = [class].into_iter().filter(|c| !c.is_empty()).collect();
        assert_eq!(classes(&memory, &up_to(4)).await, expected);
    }
    memory.put_again(&name, memory.read_now(&name));
    assert_eq!(classes(&memory, &up_to(4)).await, ["second_version"]);
}

/// A run whose manifest says otherwise of how its files were written.
async fn written(archive: &mut SampleArchive, change: impl Fn(&mut crate::seal::StoredAs)) {
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    let (mut manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    for file in &mut manifest.files {
        change(file.stored.as_mut().expect("evidence"));
    }
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("sealed");
}

#[tokio::test]
async fn a_mode_that_can_be_undone_is_a_shorter_lock() {
    let (mut archive, memory) = SampleArchive::in_bucket();
    written(&mut archive, |stored| {
        stored.lock_mode = Some("COMPLIANCE".to_owned());
    })
    .await;
    let found = classes(&memory, &up_to(4)).await;
    assert_eq!(found, ["lock_shortened"; 5]);
}

/// A writer that may not look, or could not for once, leaves no evidence of a file; the start is the
/// oldest of all, and its lock ends first.
#[tokio::test]
async fn a_file_without_evidence_may_be_older_by_the_length_of_its_run() {
    let (mut archive, memory) = SampleArchive::in_bucket();
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    archive.clock.advance_ms(5_000);
    let (mut manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let start = &begun.file.name;
    for file in manifest.files.iter_mut().filter(|f| f.name == *start) {
        file.stored = None;
    }
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("sealed");
    assert_eq!(classes(&memory, &up_to(4)).await, [""; 0]);
    let shorten = |ms: i64| {
        memory.keep_otherwise(start, |stored, _| {
            let lock = stored.lock.as_mut().expect("a lock");
            lock.until = lock.until.plus_ms(-ms);
        });
    };
    shorten(60_000);
    assert_eq!(classes(&memory, &up_to(4)).await, ["lock_shortened"]);
}

#[tokio::test]
async fn a_lock_that_has_ended_may_be_gone() {
    let (_, memory, names) = bucket().await;
    let name = names
        .iter()
        .find(|n| n.starts_with("evidence/"))
        .expect("evidence");
    memory.keep_otherwise(name, |stored, _| stored.lock = None);
    let mut options = up_to(4);
    assert_eq!(classes(&memory, &options).await, ["lock_missing"]);
    options.now = UtcMillis(1_795_485_600_000 + 32 * DAY_MS);
    assert_eq!(classes(&memory, &options).await, [""; 0]);
}

#[tokio::test]
async fn an_archive_that_was_never_locked_is_told_of() {
    let (mut archive, memory) = SampleArchive::in_bucket();
    archive.protection = "without object_lock";
    written(&mut archive, |stored| {
        (stored.lock_mode, stored.locked_until) = (None, None);
    })
    .await;
    for name in memory.objects().keys() {
        memory.keep_otherwise(name, |stored, _| stored.lock = None);
    }
    let report = verify(memory.as_ref(), &up_to(4)).await.expect("listed");
    assert!(report.passed(), "{report:#?}");
    let told = report.notices.as_slice();
    assert!(
        matches!(told, [Notice::NotLocked { objects: 10 }]),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_folder_cannot_tell() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    let mut report = verify(memory.as_ref(), &up_to(4)).await.expect("listed");
    assert_eq!(outcome(&report, 4), Some(LevelOutcome::NotCheckable));
    assert!(
        report.levels[3]
            .why
            .as_ref()
            .is_some_and(|why| why.contains("folder"))
    );
    assert!(!report.passed());
    report.strict = false;
    assert!(report.passed());
}

/// A bucket that tells less.
struct Shy<'a> {
    bucket: &'a MemoryStore,
    tells: fn(Stored) -> Result<Option<Stored>, StoreError>,
}

#[async_trait]
impl Fetch for Shy<'_> {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        self.bucket.read(name, limit).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.bucket.list(prefix).await
    }
    async fn versions(&self, prefix: &str) -> Result<Option<Vec<Version>>, StoreError> {
        self.bucket.versions(prefix).await
    }
    async fn stored(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let stored = self.bucket.stored(name).await?;
        (self.tells)(stored.unwrap_or_default())
    }
    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut std::fs::File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        self.bucket.copy_to(name, limit, to).await
    }
    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.bucket.digest(name).await
    }
    fn url(&self) -> String {
        self.bucket.url()
    }
}

#[tokio::test]
async fn what_storage_does_not_tell_is_never_passed() {
    let (_, memory, _) = bucket().await;
    type Way = fn(Stored) -> Result<Option<Stored>, StoreError>;
    let ways: [Way; 3] = [
        |_| Ok(None),
        |stored| {
            Ok(Some(Stored {
                sha256: None,
                ..stored
            }))
        },
        |_| {
            Err(StoreError::Denied {
                name: "x".to_owned(),
                detail: "s3:GetObject".to_owned(),
            })
        },
    ];
    for tells in ways {
        let shy = Shy {
            bucket: &memory,
            tells,
        };
        let report = verify(&shy, &up_to(4)).await.expect("listed");
        assert_eq!(report.failures, []);
        assert_eq!(outcome(&report, 4), Some(LevelOutcome::NotCheckable));
        assert!(!report.passed());
    }
}

#[tokio::test]
async fn data_past_its_retention_may_be_gone_and_nothing_else() {
    let (mut archive, memory) = SampleArchive::in_bucket();
    archive.retention_days = Some(30);
    archive.run().await.expect("run");
    archive.run().await.expect("run");
    let first = "20261124T020000Z-00000001";
    let names: Vec<String> = memory.objects().into_keys().collect();
    let of_first = names.iter().filter(|n| n.contains(first));
    let (data, others): (Vec<&String>, Vec<_>) = of_first.partition(|n| n.starts_with("evidence/"));
    assert_eq!((data.len(), others.len()), (4, 2));
    let mut options = up_to(5);
    let sealed = UtcMillis(1_795_485_600_000);
    options.now = sealed.plus_ms(30 * DAY_MS + 1);
    for name in &data {
        // As a lifecycle rule does it, one after another.
        memory.delete(name);
        assert_eq!(classes(&memory, &options).await, [""; 0], "{name}");
    }
    options.now = sealed.plus_ms(30 * DAY_MS);
    let found = classes(&memory, &options).await;
    assert!(found.contains(&"missing_file"), "{found:?}");
    options.now = sealed.plus_ms(30 * DAY_MS + 1);
    let report = verify(memory.as_ref(), &options).await.expect("listed");
    assert!(report.passed(), "{report:#?}");
    let expired = report.notices.iter().find_map(|notice| match notice {
        Notice::Expired { run_id, files, .. } => Some((run_id.as_str(), *files)),
        _ => None,
    });
    assert_eq!(expired, Some((first, 4)));
    assert_eq!(report.runs[0].files.len(), 1, "the start");
    for name in others {
        let bytes = memory.read_now(name);
        memory.remove(name);
        let found = classes(&memory, &options).await;
        assert!(found.contains(&"missing_file"), "{name}: {found:?}");
        memory.replace(name, bytes);
    }
    // What is there must be what was sealed, however old.
    memory.replace(data[0], "other");
    assert!(classes(&memory, &options).await.contains(&"truncated"));
}
