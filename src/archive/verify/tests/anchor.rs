//! Level 7.

use super::*;

async fn archive() -> Arc<MemoryStore> {
    let (mut archive, memory) = SampleArchive::in_memory();
    for _ in 0..3 {
        archive.run().await.expect("run");
    }
    memory
}

/// What a copy of the chain holds, and nothing else.
fn chain_of(memory: &MemoryStore) -> MemoryStore {
    let mut objects = memory.objects();
    objects.retain(|name, _| name.starts_with(layout::CHAIN));
    MemoryStore::holding(objects)
}

async fn compared(memory: &MemoryStore, copy: &MemoryStore) -> Report {
    let options = VerifyOptions::default();
    let report = verify_with_copy(memory, Some(copy), &options).await;
    report.expect("listed")
}

fn found(report: &Report) -> Vec<&'static str> {
    report.failures.iter().map(Failure::class).collect()
}

#[tokio::test]
async fn a_copy_says_the_same() {
    let memory = archive().await;
    let copy = chain_of(&memory);
    let report = compared(&memory, &copy).await;
    assert_eq!(found(&report), [""; 0]);
    assert_eq!(outcome(&report, 7), Some(LevelOutcome::Pass));
    assert_eq!(outcome(&report, 6), None, "not asked for");
    assert!(report.passed());
    copy.remove(&layout::entry(4));
    let report = compared(&memory, &copy).await;
    assert_eq!(found(&report), [""; 0]);
    let told = report.notices.as_slice();
    assert!(
        matches!(
            told,
            [Notice::CopyBehind {
                seq: 3,
                behind: 1,
                ..
            }]
        ),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_copy_that_says_something_else_is_named() {
    let memory = archive().await;
    for slot in 1..=4 {
        let copy = chain_of(&memory);
        let name = layout::entry(slot);
        copy.replace(&name, flip(&copy.read_now(&name), 99));
        assert_eq!(found(&compared(&memory, &copy).await), ["copy_differs"]);
    }
    let copy = chain_of(&memory);
    copy.remove(&layout::entry(3));
    assert_eq!(found(&compared(&memory, &copy).await), ["copy_gap"]);
    let copy = chain_of(&memory);
    memory.remove(&layout::entry(4));
    let report = compared(&memory, &copy).await;
    assert_eq!(found(&report), ["only_in_copy"]);
    assert_eq!(
        outcome(&report, 3),
        Some(LevelOutcome::Pass),
        "nothing else can tell"
    );
    assert_eq!(outcome(&report, 7), Some(LevelOutcome::Fail));
}

#[tokio::test]
async fn without_an_anchor_there_is_nothing_to_compare_with() {
    let memory = archive().await;
    let seven = VerifyOptions {
        level: 7,
        ..VerifyOptions::default()
    };
    let report = verify(memory.as_ref(), &seven).await.expect("listed");
    assert_eq!(outcome(&report, 7), Some(LevelOutcome::NotCheckable));
    let report = compared(&memory, &MemoryStore::default()).await;
    assert_eq!(outcome(&report, 7), Some(LevelOutcome::NotCheckable));
    let name = layout::entry(4);
    let seen = (4, Sha256Hex::of(&memory.read_now(&name)));
    let remembered = VerifyOptions {
        expected_heads: vec![seen],
        ..seven
    };
    let report = verify(memory.as_ref(), &remembered).await.expect("listed");
    assert_eq!(outcome(&report, 7), Some(LevelOutcome::Pass));
    memory.remove(&name);
    let report = verify(memory.as_ref(), &remembered).await.expect("listed");
    assert_eq!(found(&report), ["removed_tail"]);
    for level in [3, 7] {
        assert_eq!(outcome(&report, level), Some(LevelOutcome::Fail));
    }
}
