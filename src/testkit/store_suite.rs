use crate::archive::store::{Body, Store, StoreError, Stored};
use crate::model::ids::Sha256Hex;
use crate::testkit::TempDir;

async fn create(store: &dyn Store, name: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
    store
        .create(name, Body::Bytes(bytes), &Sha256Hex::of(bytes))
        .await
}

/// What every store must do, whatever lies behind it. Needs an empty archive; panics where the store
/// is wrong.
pub async fn store_suite(store: &dyn Store) {
    store.prepare_root().await.expect("prepare the root");
    store.prepare_root().await.expect("prepare it again");
    assert_eq!(store.list("").await, Ok(vec![]), "needs an empty archive");
    reads_what_was_created(store).await;
    never_replaces(store).await;
    refuses_changed_bytes(store).await;
    refuses_names_outside(store).await;
    lists_by_prefix(store).await;
    one_of_many_writers_wins(store).await;
    says_how_it_keeps_what(store).await;
    assert!(
        !store.protections().await.is_empty(),
        "a store says how it is protected"
    );
}

async fn reads_what_was_created(store: &dyn Store) {
    let absent = |name: &str| StoreError::Absent {
        name: name.to_owned(),
    };
    assert_eq!(store.read("suite/none", 9).await, Err(absent("suite/none")));
    assert_eq!(store.digest("suite/none").await, Err(absent("suite/none")));

    let bytes = b"{\"a\":1}\n\0\xff";
    create(store, "suite/deep/er/object", bytes)
        .await
        .expect("create");
    assert_eq!(
        store.read("suite/deep/er/object", 100).await,
        Ok(bytes.to_vec())
    );
    assert_eq!(
        store.read("suite/deep/er/object", bytes.len() as u64).await,
        Ok(bytes.to_vec()),
        "the limit itself is allowed"
    );
    let over = store
        .read("suite/deep/er/object", bytes.len() as u64 - 1)
        .await;
    assert!(matches!(over, Err(StoreError::TooLarge { .. })), "{over:?}");
    assert_eq!(
        store.digest("suite/deep/er/object").await,
        Ok((Sha256Hex::of(bytes), bytes.len() as u64))
    );

    let dir = TempDir::new();
    let copy = dir.path().join("copy");
    let copy_to = async |name: &str, limit: u64| {
        let mut file = std::fs::File::create(&copy).expect("a file");
        let copied = store.copy_to(name, limit, &mut file).await;
        (copied, std::fs::read(&copy).expect("a copy"))
    };
    let whole = bytes.len() as u64;
    let (copied, found) = copy_to("suite/deep/er/object", whole).await;
    assert_eq!(copied, Ok((Sha256Hex::of(bytes), whole)));
    assert_eq!(found, bytes);
    let (over, found) = copy_to("suite/deep/er/object", whole - 1).await;
    assert!(matches!(over, Err(StoreError::TooLarge { .. })), "{over:?}");
    assert!((found.len() as u64) < whole);
    let (none, _) = copy_to("suite/none", 9).await;
    assert_eq!(none, Err(absent("suite/none")));

    create(store, "suite/empty", b"").await.expect("empty");
    assert_eq!(store.read("suite/empty", 0).await, Ok(vec![]));

    let path = dir.path().join("file");
    let large = vec![7; 1_000_003];
    std::fs::write(&path, &large).expect("write");
    store
        .create("suite/file", Body::File(&path), &Sha256Hex::of(&large))
        .await
        .expect("from a file");
    assert_eq!(
        store.digest("suite/file").await,
        Ok((Sha256Hex::of(&large), 1_000_003))
    );
}

async fn never_replaces(store: &dyn Store) {
    create(store, "suite/once", b"first").await.expect("create");
    let exists = Err(StoreError::Exists {
        name: "suite/once".to_owned(),
    });
    assert_eq!(create(store, "suite/once", b"second").await, exists);
    assert_eq!(create(store, "suite/once", b"first").await, exists);
    assert_eq!(store.read("suite/once", 9).await, Ok(b"first".to_vec()));
}

async fn refuses_changed_bytes(store: &dyn Store) {
    let made = store
        .create(
            "suite/changed",
            Body::Bytes(b"other"),
            &Sha256Hex::of(b"bytes"),
        )
        .await;
    assert!(matches!(made, Err(StoreError::Checksum { .. })), "{made:?}");
    let read = store.read("suite/changed", 9).await;
    assert!(matches!(read, Err(StoreError::Absent { .. })), "{read:?}");
}

async fn refuses_names_outside(store: &dyn Store) {
    for name in [
        "../outside",
        "suite/../../outside",
        "/outside",
        "suite//x",
        "",
    ] {
        assert!(create(store, name, b"x").await.is_err(), "{name:?}");
        assert!(store.read(name, 9).await.is_err(), "{name:?}");
    }
}

async fn lists_by_prefix(store: &dyn Store) {
    for name in ["suite/l/b", "suite/l/a/x", "suite/l/a-x", "suite/l/ab"] {
        create(store, name, name.as_bytes()).await.expect("create");
    }
    let listed = async |prefix: &str| -> Vec<(String, u64)> {
        let listed = store.list(prefix).await.expect("list");
        listed.into_iter().map(|l| (l.name, l.bytes)).collect()
    };
    let named = |names: &[&str]| -> Vec<(String, u64)> {
        let sized = names.iter().map(|n| ((*n).to_owned(), n.len() as u64));
        sized.collect()
    };
    let all = ["suite/l/a-x", "suite/l/a/x", "suite/l/ab", "suite/l/b"];
    assert_eq!(listed("suite/l/").await, named(&all));
    assert_eq!(listed("suite/l/a").await, named(&all[..3]));
    assert_eq!(listed("suite/l/a/").await, named(&all[1..2]));
    assert_eq!(listed("suite/nothing/").await, []);
    let whole = store.list("").await.expect("list");
    assert!(whole.is_sorted_by(|a, b| a.name < b.name), "sorted by name");
    assert!(
        whole.iter().all(|l| l.name.starts_with("suite/")),
        "temporaries are left out: {whole:?}"
    );
}

async fn one_of_many_writers_wins(store: &dyn Store) {
    let write = |bytes: &'static [u8]| create(store, "suite/race", bytes);
    let (a, b, c, d) = tokio::join!(write(b"a"), write(b"b"), write(b"c"), write(b"d"));
    let results = [a, b, c, d];
    let won: Vec<usize> = (0..4).filter(|i| results[*i].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    for lost in results.iter().filter_map(|r| r.as_ref().err()) {
        assert!(
            matches!(
                lost,
                StoreError::Exists { .. } | StoreError::Conflict { .. }
            ),
            "{lost:?}"
        );
    }
    let stored = store.read("suite/race", 9).await.expect("read");
    assert_eq!(stored, [b"abcd"[won[0]]]);
}

/// Where there are versions: one of each object, whose written time and checksum storage tells.
async fn says_how_it_keeps_what(store: &dyn Store) {
    let created = create(store, "suite/kept", b"kept").await.expect("create");
    let again = store.stored("suite/kept").await.expect("a look");
    let versions = store.versions("suite/kept").await.expect("versions");
    let Some(versions) = versions else {
        assert_eq!((created, again), (Stored::default(), None));
        return;
    };
    let again = again.expect("storage with versions says how it keeps them");
    assert_eq!(again.sha256, Some(Sha256Hex::of(b"kept")));
    assert_eq!(again, created);
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert!(versions[0].is_latest && !versions[0].is_delete_marker);
    assert_eq!(created.version.as_ref(), Some(&versions[0].id));
    assert_eq!(
        (versions[0].name.as_str(), versions[0].bytes),
        ("suite/kept", 4)
    );
    let listed = store.list("suite/kept").await.expect("list");
    assert_eq!(listed[0].written_at, versions[0].written_at);
    assert!(listed[0].written_at.is_some());
    let absent = store.stored("suite/none").await;
    assert!(
        matches!(absent, Err(StoreError::Absent { .. })),
        "{absent:?}"
    );
    assert_eq!(store.hidden("suite/").await, Ok(Vec::new()));
}
