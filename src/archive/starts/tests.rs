use std::sync::Arc;

use super::*;
use crate::seal::Content;
use crate::testkit::{Fault, FaultStore, MemoryStore, SampleArchive};
use crate::time::{DAY_MS, HOUR_MS};

async fn begun() -> (SampleArchive, Arc<MemoryStore>, Chain, Begun) {
    let (mut archive, memory) = SampleArchive::in_memory();
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    (archive, memory, chain, begun)
}

#[tokio::test]
async fn a_start_reads_back_as_written() {
    let (_, memory, _, begun) = begun().await;
    let bytes = memory.read_now("starts/0000000001.json");
    assert_eq!(Start::parse(1, &bytes), Ok(begun.start.clone()));
    assert_eq!(Sha256Hex::of(&bytes), begun.file.sha256);
    assert!(Start::parse(2, &bytes).is_err(), "copied to another number");
    for bad in ["", "null", "{}", "[1]"] {
        assert!(Start::parse(1, bad.as_bytes()).is_err());
    }
}

#[tokio::test]
async fn a_second_run_waits_for_the_first() {
    let (mut archive, memory, mut chain, first) = begun().await;
    let second = archive.begin(&mut chain, None).await;
    let Err(StartError::Alive { run_id, .. }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(run_id, first.start.run_id);
    assert!(!memory.objects().contains_key("starts/0000000002.json"));

    archive.clock.advance_ms(6 * HOUR_MS + 1);
    let third = archive
        .begin(&mut chain, None)
        .await
        .expect("past its deadline");
    assert_eq!(third.start.n, 2);
    assert_eq!(third.died.len(), 1);
    assert_eq!(third.died[0].run_id.as_ref(), Some(&first.start.run_id));
    assert!(third.died[0].reason.contains("deadline"));
}

#[tokio::test]
async fn two_runs_of_the_same_second_are_one() {
    let (archive, memory) = SampleArchive::in_memory();
    let chain = archive.chain().await.expect("chain");
    let (mut a, mut b) = (archive.over(memory.clone()), archive.over(memory.clone()));
    b.begin(
        &mut chain.clone(),
        Some(&"20261124T020003Z-7f3a".parse().expect("id")),
    )
    .await
    .expect_err("burns an id, so that the two differ");
    let (mut one, mut two) = (chain.clone(), chain.clone());
    let (one, two) = tokio::join!(a.begin(&mut one, None), b.begin(&mut two, None));
    let results = [one, two];
    let lost: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
    assert!(
        matches!(
            lost.as_slice(),
            [StartError::Lost { n: 1, .. } | StartError::Alive { .. }]
        ),
        "{results:?}"
    );
}

#[tokio::test]
async fn a_sealed_run_makes_way_and_is_not_dead() {
    let (mut archive, _, mut chain, first) = begun().await;
    let (manifest, seal) = archive.collect(&chain, &first).await.expect("data");
    archive
        .seal(&mut chain, &manifest, Content::Run(seal))
        .await
        .expect("sealed");
    let second = archive.begin(&mut chain, None).await.expect("begin");
    assert_eq!((second.start.n, second.died.len()), (2, 0));
    assert_eq!(second.start.head_seq, 2);
}

#[tokio::test]
async fn an_orderly_end_makes_way() {
    let (mut archive, _, mut chain, first) = begun().await;
    for reason in ["interrupted by SIGTERM", "said again"] {
        end(&*archive.store, &archive.clock, &first.start, reason)
            .await
            .expect("end");
    }
    let second = archive.begin(&mut chain, None).await.expect("begin");
    assert_eq!(second.died[0].reason, "interrupted by SIGTERM");
}

#[tokio::test]
async fn take_over_ends_the_dead_run_and_no_other() {
    let (mut archive, memory, mut chain, first) = begun().await;
    let other = "20261124T020003Z-7f3a".parse().expect("id");
    let taken = archive.begin(&mut chain, Some(&other)).await;
    assert!(
        matches!(taken, Err(StartError::NothingToTakeOver { .. })),
        "{taken:?}"
    );
    let run_id = first.start.run_id.clone();
    let second = archive
        .begin(&mut chain, Some(&run_id))
        .await
        .expect("begin");
    assert_eq!(second.start.n, 2);
    assert!(second.died[0].reason.contains("taken over"));
    let end = layout::end(first.start.scheduled_for, &run_id);
    assert!(memory.objects().contains_key(&end));
}

#[tokio::test]
async fn whatever_an_end_says_it_stops_no_run() {
    for (end, reason) in [
        (
            format!(r#"{{"reason":"{}"}}"#, "x".repeat(50_000)),
            "x".repeat(300),
        ),
        (
            "x".repeat(70_000),
            "ended; its end.json cannot be read".to_owned(),
        ),
        (
            "junk".to_owned(),
            "ended; its end.json cannot be read".to_owned(),
        ),
    ] {
        let (mut archive, memory) = SampleArchive::in_memory();
        let mut chain = archive.chain().await.expect("chain");
        let first = archive.begin(&mut chain, None).await.expect("begin").start;
        memory.replace(&layout::end(first.scheduled_for, &first.run_id), end);
        let second = archive.begin(&mut chain, None).await.expect("begin");
        assert_eq!(second.died[0].reason, reason);
    }
}

#[tokio::test]
async fn an_unreadable_start_is_over_and_named_once() {
    let (mut archive, memory) = SampleArchive::in_memory();
    let mut chain = archive.chain().await.expect("chain");
    memory.replace("starts/0000000001.json", "junk");
    memory.replace("starts/0000000009.json", "beyond a free number");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    assert_eq!(begun.start.n, 2);
    assert_eq!(begun.died[0].run_id, None);
    assert_eq!(begun.died[0].start_sha256, Sha256Hex::of(b"junk"));
    let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    archive
        .seal(&mut chain, &manifest, Content::Run(seal))
        .await
        .expect("sealed");
    let next = archive.begin(&mut chain, None).await.expect("begin");
    assert_eq!(next.died, [], "named once");
}

#[tokio::test]
async fn a_claim_of_years_ends_after_a_day() {
    let (mut archive, memory, mut chain, first) = begun().await;
    let text = String::from_utf8(memory.read_now("starts/0000000001.json")).expect("text");
    let deadline = first.start.deadline_at.to_string();
    memory.replace(
        "starts/0000000001.json",
        text.replace(&deadline, "2999-01-01T00:00:00.000Z"),
    );
    archive.clock.advance_ms(DAY_MS + 1);
    archive.begin(&mut chain, None).await.expect("begin");
}

#[tokio::test]
async fn a_lost_answer_does_not_lose_the_number() {
    let (archive, memory) = SampleArchive::in_memory();
    let chain = archive.chain().await.expect("chain");
    for call in 1..=4 {
        let memory = Arc::new(MemoryStore::holding(memory.objects()));
        let faulty = FaultStore::new(memory.clone(), [(call, Fault::LostAnswer)]);
        let begun = archive
            .over(Arc::new(faulty))
            .begin(&mut chain.clone(), None)
            .await;
        // Calls 1 and 2 list; the third writes.
        assert_eq!(begun.is_ok(), call > 2, "{begun:?}");
    }
}

#[tokio::test]
async fn only_a_run_that_is_not_over_goes_on() {
    let (mut archive, memory, chain, first) = begun().await;
    let run_id = &first.start.run_id;
    let go_on = async |archive: &SampleArchive, chain: &Chain, still| {
        let fetch = archive.store.as_fetch();
        super::go_on(fetch, &archive.clock, chain, run_id, still).await
    };
    let again = go_on(&archive, &chain, Still::ToCollect).await;
    assert_eq!(again.expect("it is alive"), first);
    archive.clock.advance_ms(6 * HOUR_MS + 1);
    let late = go_on(&archive, &chain, Still::ToCollect).await;
    assert!(matches!(late, Err(StartError::TooLate { .. })), "{late:?}");
    assert!(go_on(&archive, &chain, Still::ToSeal).await.is_ok());

    // Another run begins after the deadline; until it seals, the first may.
    let mut chain = chain;
    let second = archive.begin(&mut chain, None).await.expect("begin");
    assert!(go_on(&archive, &chain, Still::ToSeal).await.is_ok());
    let (manifest, seal) = archive.collect(&chain, &second).await.expect("data");
    archive
        .seal(&mut chain, &manifest, Content::Run(seal))
        .await
        .expect("sealed");
    let dead = go_on(&archive, &chain, Still::ToSeal).await;
    assert!(
        matches!(dead, Err(StartError::NamedDead { .. })),
        "{dead:?}"
    );
    let id = &second.start.run_id;
    let fetch = archive.store.as_fetch();
    let sealed = super::go_on(fetch, &archive.clock, &chain, id, Still::ToSeal).await;
    assert!(
        matches!(sealed, Err(StartError::Sealed { .. })),
        "{sealed:?}"
    );
    let none = "20261124T020003Z-0000".parse().expect("id");
    let none = super::go_on(fetch, &archive.clock, &chain, &none, Still::ToSeal).await;
    assert!(
        matches!(none, Err(StartError::NoSuchRun { .. })),
        "{none:?}"
    );

    let (archive, _, chain, first) = begun().await;
    end(&*archive.store, &archive.clock, &first.start, "interrupted")
        .await
        .expect("end");
    let fetch = archive.store.as_fetch();
    let id = &first.start.run_id;
    let ended = super::go_on(fetch, &archive.clock, &chain, id, Still::ToSeal).await;
    assert!(matches!(ended, Err(StartError::Ended { .. })), "{ended:?}");
    drop(memory);
}

#[tokio::test]
async fn a_run_is_found_with_how_it_stands() {
    let (archive, _, chain, first) = begun().await;
    let find = |now| find(archive.store.as_fetch(), &chain, &first.start.run_id, now);
    let now = archive.clock.now();
    let (start, file, standing) = find(now).await.expect("find").expect("start");
    assert_eq!((start, file), (first.start.clone(), first.file.clone()));
    assert_eq!(standing, Standing::Alive);
    let later = now.plus_ms(DAY_MS);
    let (.., standing) = find(later).await.expect("find").expect("start");
    assert_eq!(standing, Standing::PastDeadline);
}
