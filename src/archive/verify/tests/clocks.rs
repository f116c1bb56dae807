//! Level 6.

use super::*;
use crate::seal::RunSeal;
use crate::time::Clock as _;

const LAST_ENTRY: &str = "chain/0000000003.dsse.json";

/// A run and, in the same moment, a rollup: entries 2 and 3.
async fn bucket(change: impl FnOnce(&mut RunSeal)) -> (SampleArchive, Arc<MemoryStore>) {
    let (mut archive, memory) = SampleArchive::in_bucket();
    let today = archive.clock.now().date();
    archive.run_for(today, change).await.expect("sealed");
    archive.rollup().await.expect("rollup");
    (archive, memory)
}

#[tokio::test]
async fn a_clock_that_was_off_is_named() {
    for (offset_ms, expected) in [
        (60_000, vec![]),
        (60_001, vec!["clock_off"]),
        (-60_001, vec!["clock_off"]),
        (i64::MIN, vec!["clock_off"]),
    ] {
        let off = |seal: &mut RunSeal| seal.clock_offset_ms = Some(offset_ms);
        let (_, memory) = bucket(off).await;
        assert_eq!(classes(&memory, &up_to(6)).await, expected, "{offset_ms}");
    }
}

#[tokio::test]
async fn a_run_that_ended_after_it_was_sealed_is_named() {
    for (after_ms, expected) in [(120_000, vec![]), (120_001, vec!["signed_backwards"])] {
        let later = |seal: &mut RunSeal| seal.ended_at = seal.ended_at.plus_ms(after_ms);
        let (_, memory) = bucket(later).await;
        assert_eq!(classes(&memory, &up_to(6)).await, expected, "{after_ms}");
    }
}

#[tokio::test]
async fn an_entry_signed_before_the_one_before_it_is_named() {
    let (mut archive, memory) = bucket(|_| {}).await;
    archive.clock.advance_ms(-121_000);
    archive.rollup().await.expect("rollup");
    // Storage has a clock of its own.
    memory.keep_otherwise("chain/0000000004.dsse.json", |_, at| {
        *at = at.map(|at| at.plus_ms(121_000));
    });
    assert_eq!(classes(&memory, &up_to(6)).await, ["signed_backwards"]);
}

#[tokio::test]
async fn entries_written_out_of_order_or_long_after_are_named() {
    let (_, memory) = bucket(|_| {}).await;
    for (moved_ms, expected) in [
        (0, vec![]),
        (-5_000, vec![]),
        (-5_001, vec!["written_out_of_order"]),
        (900_000, vec![]),
        (900_001, vec!["written_far_from_signed"]),
        (
            -900_001,
            vec!["written_out_of_order", "written_far_from_signed"],
        ),
    ] {
        let moved = |by| {
            memory.keep_otherwise(LAST_ENTRY, |_, at| *at = at.map(|at| at.plus_ms(by)));
        };
        moved(moved_ms);
        assert_eq!(classes(&memory, &up_to(6)).await, expected, "{moved_ms}");
        moved(-moved_ms);
    }
}

#[tokio::test]
async fn a_folder_has_no_times_that_count() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    let report = verify(memory.as_ref(), &up_to(6)).await.expect("listed");
    assert_eq!(outcome(&report, 6), Some(LevelOutcome::NotCheckable));
    // What was signed is looked at all the same.
    let off = |seal: &mut RunSeal| seal.clock_offset_ms = Some(600_000);
    let today = archive.clock.now().date();
    archive.run_for(today, off).await.expect("sealed");
    assert_eq!(classes(&memory, &up_to(6)).await, ["clock_off"]);
}

#[tokio::test]
async fn a_start_that_was_written_at_another_time_than_it_says_is_named() {
    for (moved_ms, expected) in [
        (900_000, vec![]),
        (900_001, vec!["written_far_from_signed"]),
        (-900_001, vec!["written_far_from_signed"]),
    ] {
        let (_, memory) = bucket(|_| {}).await;
        memory.keep_otherwise("starts/0000000001.json", |_, at| {
            *at = at.map(|at| at.plus_ms(moved_ms));
        });
        assert_eq!(classes(&memory, &up_to(6)).await, expected, "{moved_ms}");
    }
}

#[tokio::test]
async fn a_clock_that_nobody_compared_is_not_passed() {
    let (archive, memory) = bucket(|seal| seal.clock_offset_ms = None).await;
    let report = verify(memory.as_ref(), &up_to(6)).await.expect("listed");
    assert_eq!(report.failures, []);
    assert_eq!(outcome(&report, 6), Some(LevelOutcome::NotCheckable));
    assert!(!report.passed());
    let chain = archive.chain().await.expect("chain");
    let (_, seal) = chain.runs().next().expect("the run");
    let run_id = seal.run_id.clone();
    assert!(report.notices.contains(&Notice::ClockUnknown { run_id }));
}
