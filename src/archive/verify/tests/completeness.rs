//! Level 5.

use super::*;
use crate::model::datasets::Account;
use crate::model::words::{CellOutcome, RunOutcome};
use crate::seal::{Lacking, RunSeal};
use crate::testkit::parquet;
use crate::time::{Clock as _, Date, UtcMillis};

/// Level 5 where level 4 cannot be checked.
fn five() -> VerifyOptions {
    VerifyOptions::default()
}

fn date(text: &str) -> Date {
    text.parse().expect("a date")
}

/// The first date of the sample archive.
const FIRST: &str = "2026-11-24";

/// An archive with one sealed run; its clock stands at 02:00 of the next day.
async fn begun() -> (SampleArchive, Arc<MemoryStore>) {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.run().await.expect("run");
    assert_eq!(classes(&memory, &five()).await, [""; 0]);
    (archive, memory)
}

/// The second run seals something else than it found.
async fn sealing(change: impl FnOnce(&mut RunSeal)) -> Vec<&'static str> {
    let (mut archive, memory) = begun().await;
    archive
        .run_for(date("2026-11-25"), change)
        .await
        .expect("sealed");
    classes(&memory, &five()).await
}

/// The second run finds something else.
async fn finding(change: impl FnOnce(&mut SampleArchive)) -> Vec<&'static str> {
    let (mut archive, memory) = begun().await;
    change(&mut archive);
    archive.run().await.expect("run");
    classes(&memory, &five()).await
}

#[tokio::test]
async fn a_date_without_a_run_is_a_hole() {
    let (mut archive, memory) = begun().await;
    archive.clock.advance_ms(2 * DAY_MS);
    archive.run().await.expect("run");
    let report = verify(memory.as_ref(), &five()).await.expect("listed");
    let [hole] = report.failures.as_slice() else {
        panic!("{:?}", report.failures);
    };
    assert_eq!(hole.class(), "schedule_hole");
    assert!(
        hole.to_string().contains("2026-11-25 to 2026-11-26"),
        "{hole}"
    );
    assert_eq!(report.range, Some((date(FIRST), date("2026-11-27"))));
    let only = |from: &str, to: &str| VerifyOptions {
        from: Some(date(from)),
        to: Some(date(to)),
        ..five()
    };
    let hole = ["schedule_hole"];
    assert_eq!(
        classes(&memory, &only("2026-11-27", "2026-11-27")).await,
        [""; 0]
    );
    assert_eq!(classes(&memory, &only(FIRST, FIRST)).await, [""; 0]);
    assert_eq!(
        classes(&memory, &only("2026-11-26", "2026-11-27")).await,
        hole
    );
    assert_eq!(
        classes(&memory, &only("2026-11-27", "2026-11-28")).await,
        hole
    );
    // A run that left accounts out is none for its date.
    let narrowed = |seal: &mut RunSeal| seal.full_scope = false;
    archive
        .run_for(date("2026-11-28"), narrowed)
        .await
        .expect("sealed");
    assert_eq!(
        classes(&memory, &only("2026-11-27", "2026-11-28")).await,
        hole
    );
}

#[tokio::test]
async fn dates_before_the_archive_are_no_part_of_it() {
    let (_, memory) = begun().await;
    let options = VerifyOptions {
        from: Some(date("2026-11-23")),
        ..five()
    };
    assert_eq!(classes(&memory, &options).await, ["before_the_beginning"]);
}

#[tokio::test]
async fn the_range_ends_at_the_newest_run_unless_more_is_asked() {
    let (_, memory) = begun().await;
    let mut options = five();
    options.now = date("2026-11-28").start();
    let report = verify(memory.as_ref(), &options).await.expect("listed");
    assert!(report.passed(), "{:?}", report.failures);
    let told = report.notices.as_slice();
    let [Notice::NothingSince { due, .. }] = told else {
        panic!("{told:?}");
    };
    assert_eq!(
        *due,
        date("2026-11-26"),
        "36 h after its start a date is due"
    );
    options.require_complete = true;
    assert_eq!(classes(&memory, &options).await, ["schedule_hole"]);
    options.now = date("2026-11-25").start();
    assert_eq!(classes(&memory, &options).await, [""; 0]);
}

#[tokio::test]
async fn an_archive_without_runs_has_no_hole_yet() {
    let (archive, memory) = SampleArchive::in_memory();
    archive.chain().await.expect("genesis");
    assert_eq!(classes(&memory, &five()).await, [""; 0]);
    let to = VerifyOptions {
        to: Some(date(FIRST)),
        ..five()
    };
    assert_eq!(classes(&memory, &to).await, ["schedule_hole"]);
}

#[tokio::test]
async fn a_partial_date_is_listed_and_fails_where_complete_ones_are_required() {
    let (mut archive, memory) = begun().await;
    archive.coverage[0].outcome = CellOutcome::DeniedIam;
    archive.run().await.expect("run");
    let mut options = five();
    let report = verify(memory.as_ref(), &options).await.expect("listed");
    assert!(report.passed(), "{:?}", report.failures);
    let second = vec![date("2026-11-25")];
    assert_eq!(report.notices, [Notice::PartialDates { dates: second }]);
    options.require_complete = true;
    assert_eq!(classes(&memory, &options).await, ["partial_run"]);
}

#[tokio::test]
async fn what_entries_lacked_of_the_buckets_protection_is_told() {
    let (mut archive, memory) = begun().await;
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for (failed, unknown) in [
        (&["tls_only"][..], &["versioning"][..]),
        (&["create_only", "tls_only"], &[]),
        (&[], &[]),
    ] {
        archive.producer.lacking = Lacking {
            failed: names(failed),
            unknown: names(unknown),
        };
        archive.run().await.expect("sealed");
    }
    let report = verify(memory.as_ref(), &five()).await.expect("listed");
    assert!(report.passed(), "{:?}", report.failures);
    let told = [
        Notice::Unprotected {
            entries: 2,
            checks: names(&["create_only", "tls_only"]),
        },
        Notice::ProtectionUnknown {
            entries: 1,
            checks: names(&["versioning"]),
        },
    ];
    assert_eq!(report.notices, told);
}

#[tokio::test]
async fn a_late_run_speaks_for_no_date_and_must_say_so() {
    for (change, expected) in [(true, vec![]), (false, vec!["late_not_said"])] {
        let (mut archive, memory) = begun().await;
        // Backfilled after a newer date was sealed: out of order, which is lawful.
        archive.clock.advance_ms(DAY_MS);
        archive.run().await.expect("run for the 26th");
        let late = date("2026-11-25");
        let said = |seal: &mut RunSeal| {
            assert!(seal.late);
            seal.late = change;
        };
        archive.run_for(late, said).await.expect("sealed");
        let mut options = five();
        let report = verify(memory.as_ref(), &options).await.expect("listed");
        let found: Vec<&str> = report.failures.iter().map(Failure::class).collect();
        assert_eq!(found, expected);
        assert_eq!(report.notices, [Notice::LateDates { dates: vec![late] }]);
        options.require_complete = true;
        assert!(classes(&memory, &options).await.contains(&"late_run"));
    }
}

#[tokio::test]
async fn a_run_for_a_date_that_had_not_begun_is_named() {
    let (mut archive, memory) = begun().await;
    for day in ["2026-11-25", "2026-11-26"] {
        archive.run_for(date(day), |_| {}).await.expect("sealed");
    }
    assert_eq!(classes(&memory, &five()).await, ["date_not_begun"]);
}

#[tokio::test]
async fn a_run_sealed_for_another_date_than_it_began_for_is_named() {
    // To fill a hole backwards.
    let (mut archive, memory) = begun().await;
    let mut chain = archive.chain().await.expect("chain");
    archive.clock.advance_ms(DAY_MS);
    let mut begun = archive.begin(&mut chain, None).await.expect("begin");
    begun.start.scheduled_for = date("2026-11-25");
    let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("sealed");
    assert_eq!(classes(&memory, &five()).await, ["schedule_changed"]);
    // Or to have looked at another time.
    let earlier = |seal: &mut RunSeal| seal.started_at = seal.started_at.plus_ms(-1);
    assert_eq!(sealing(earlier).await, ["schedule_changed"]);
}

/// Seals a run for the clock's date that began `ago_ms` before, and whose start notes another head.
async fn backdated(
    archive: &mut SampleArchive,
    memory: &MemoryStore,
    ago_ms: i64,
    head: Option<u64>,
) -> Vec<&'static str> {
    let mut chain = archive.chain().await.expect("chain");
    archive.clock.advance_ms(-ago_ms);
    let mut begun = archive.begin(&mut chain, None).await.expect("begin");
    archive.clock.advance_ms(ago_ms);
    if let Some(head) = head {
        begun.start.head_seq = head;
        let bytes = begun.start.to_bytes();
        (begun.file.bytes, begun.file.sha256) = (bytes.len() as u64, Sha256Hex::of(&bytes));
        memory.replace(&begun.file.name, bytes);
    }
    let (manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("sealed");
    classes(memory, &five()).await
}

#[tokio::test]
async fn a_hole_cannot_be_filled_backwards() {
    let named = "started_out_of_order";
    for (head, expected) in [(None, vec![named; 2]), (Some(1), vec![named])] {
        let (mut archive, memory) = begun().await;
        archive.clock.advance_ms(DAY_MS);
        archive.run().await.expect("run for the 26th");
        assert_eq!(classes(&memory, &five()).await, ["schedule_hole"]);
        // Made on the 27th, it says that it began on the 25th: neither the head that it notes nor the
        // start before it is so old.
        let found = backdated(&mut archive, &memory, 2 * DAY_MS, head).await;
        assert_eq!(found, expected, "{head:?}");
    }
}

#[tokio::test]
async fn a_run_begins_after_the_head_that_it_notes() {
    for (ago_ms, head, expected) in [
        (120_000, None, vec![]),
        (120_001, None, vec!["started_out_of_order"]),
        (0, Some(1), vec![]),
        (0, Some(0), vec!["started_out_of_order"]),
        (0, Some(2), vec!["started_out_of_order"]),
        (0, Some(u64::MAX), vec!["started_out_of_order"]),
    ] {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.chain().await.expect("entry 1");
        let found = backdated(&mut archive, &memory, ago_ms, head).await;
        assert_eq!(found, expected, "{ago_ms} {head:?}");
    }
}

#[tokio::test]
async fn rows_that_no_manifest_lists_are_not_taken_for_expired() {
    for (lost, expected) in [
        ("evidence/", vec!["rows_unreadable"]),
        ("evidence/coverage/", vec!["rows_unreadable"]),
        ("evidence/emr_cluster/", vec!["counts_disagree"]),
    ] {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.retention_days = Some(30);
        archive.run().await.expect("run");
        let mut chain = archive.chain().await.expect("chain");
        let begun = archive.begin(&mut chain, None).await.expect("begin");
        let (mut manifest, mut seal) = archive.collect(&chain, &begun).await.expect("data");
        manifest.files.retain(|file| {
            let listed = !file.name.starts_with(lost);
            if !listed {
                memory.remove(&file.name);
            }
            listed
        });
        if lost == "evidence/" {
            (seal.accounts_listed, seal.accounts_in_scope) = (1_000, 1_000);
        }
        let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
        sealed.await.expect("sealed");
        let mut options = five();
        for days in [0, 60] {
            options.now = archive.clock.now().plus_ms(days * DAY_MS);
            assert_eq!(classes(&memory, &options).await, expected, "{lost} {days}");
        }
    }
}

#[tokio::test]
async fn a_run_that_was_overtaken_and_sealed_is_named() {
    let (mut archive, memory) = begun().await;
    let mut chain = archive.chain().await.expect("chain");
    let overtaken = archive.begin(&mut chain, None).await.expect("begin");
    let data = archive.collect(&chain, &overtaken).await.expect("data");
    archive.clock.advance_ms(7 * HOUR_MS);
    let unnamed = |seal: &mut RunSeal| seal.died_runs.clear();
    archive
        .run_for(date("2026-11-25"), unnamed)
        .await
        .expect("sealed");
    let sealed = archive.seal(&mut chain, &data.0, Content::Run(data.1));
    sealed.await.expect("sealed");
    assert_eq!(classes(&memory, &five()).await, ["starts_backwards"]);
}

#[tokio::test]
async fn accounts_and_coverage_must_be_the_same() {
    let lost = |archive: &mut SampleArchive| {
        let first = archive.accounts[0].account_id.clone();
        archive.coverage.retain(|cell| cell.account_id == first);
    };
    assert_eq!(finding(lost).await, ["scope_not_covered"]);
    let unlisted = |archive: &mut SampleArchive| {
        archive.accounts.pop();
    };
    assert_eq!(finding(unlisted).await, ["coverage_outside_scope"]);
    let left_out = |archive: &mut SampleArchive| archive.accounts[1].in_scope = false;
    assert_eq!(finding(left_out).await, ["coverage_outside_scope"]);
    // An account that was left out says so in its coverage.
    let excluded = |archive: &mut SampleArchive| {
        archive.accounts[1].in_scope = false;
        let second = archive.accounts[1].account_id.clone();
        let cells = archive.coverage.iter_mut();
        for cell in cells.filter(|cell| cell.account_id == second) {
            cell.outcome = CellOutcome::Excluded;
        }
    };
    assert_eq!(finding(excluded).await, [""; 0]);
}

#[tokio::test]
async fn counts_must_be_those_of_the_rows() {
    type Change = fn(&mut RunSeal);
    let changes: [Change; 8] = [
        |seal| seal.accounts_listed += 1,
        |seal| seal.accounts_in_scope -= 1,
        |seal| seal.accounts_answered -= 1,
        |seal| seal.cells = 0,
        |seal| seal.cells_open = 1,
        |seal| seal.clusters = 4,
        |seal| {
            seal.rows.insert("emr_cluster".to_owned(), 4);
        },
        |seal| {
            seal.rows.remove("coverage");
        },
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(sealing(change).await, ["counts_disagree"], "{at}");
    }
}

#[tokio::test]
async fn an_outcome_must_be_that_of_the_coverage() {
    let partial = |seal: &mut RunSeal| seal.outcome = RunOutcome::Partial;
    assert_eq!(sealing(partial).await, ["outcome_wrong"]);
    let (mut archive, memory) = begun().await;
    archive.coverage[0].outcome = CellOutcome::Failed;
    let complete = |seal: &mut RunSeal| seal.outcome = RunOutcome::Complete;
    archive
        .run_for(date("2026-11-25"), complete)
        .await
        .expect("sealed");
    assert_eq!(classes(&memory, &five()).await, ["outcome_wrong"]);
}

#[tokio::test]
async fn rules_never_go_back() {
    let (mut archive, memory) = SampleArchive::in_memory();
    for (version, expected) in [
        ("9", vec![]),
        ("10", vec![]),
        ("10.1", vec![]),
        ("a draft", vec![]),
        ("10.1", vec![]),
        ("10", vec!["rules_downgraded"]),
    ] {
        archive.producer.rules_version = version.to_owned();
        archive.run().await.expect("run");
        assert_eq!(classes(&memory, &five()).await, expected, "{version}");
    }
}

/// A sealed run one of whose files holds `bytes` in place of rows.
async fn holding(dataset: &str, bytes: Vec<u8>) -> Vec<&'static str> {
    let (mut archive, memory) = begun().await;
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begin");
    let (mut manifest, seal) = archive.collect(&chain, &begun).await.expect("data");
    let mut files = manifest.files.iter_mut();
    let file = files.find(|file| match layout::Name::parse(&file.name) {
        Some(layout::Name::Evidence { dataset: of, .. }) => of == dataset,
        _ => false,
    });
    let file = file.expect("the dataset");
    (file.bytes, file.sha256) = (bytes.len() as u64, Sha256Hex::of(&bytes));
    memory.replace(&file.name, bytes);
    let sealed = archive.seal(&mut chain, &manifest, Content::Run(seal));
    sealed.await.expect("sealed");
    classes(&memory, &five()).await
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_named() {
    for dataset in ["account", "coverage", "run"] {
        for bytes in [Vec::new(), b"PAR1".to_vec(), b"PAR1 nonsense PAR1".to_vec()] {
            assert_eq!(
                holding(dataset, bytes).await,
                ["rows_unreadable"],
                "{dataset}"
            );
        }
    }
    // Good Parquet, with fewer rows than are listed, or of something else.
    let none = parquet::<Account>(Vec::new());
    assert_eq!(holding("account", none.clone()).await, ["rows_unreadable"]);
    assert_eq!(holding("coverage", none).await, ["rows_unreadable"]);
}

/// A few kilobytes that unpack to more than a gigabyte are refused by what they claim.
#[tokio::test]
async fn a_file_that_unpacks_without_end_is_refused() {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    let text = "0".repeat(1 << 20);
    let column: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 64]));
    let batch = RecordBatch::try_from_iter([("account_id", column)]).expect("a batch");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties));
    let mut writer = writer.expect("a writer");
    for _ in 0..17 {
        writer.write(&batch).expect("written");
    }
    let bytes = writer.into_inner().expect("a file");
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    assert_eq!(holding("account", bytes).await, ["rows_unreadable"]);
}

#[tokio::test]
async fn a_schedule_of_another_kind_is_not_judged() {
    let (mut archive, memory) = SampleArchive::in_memory();
    archive.schedule = "at full moon";
    archive.run().await.expect("run");
    let mut report = verify(memory.as_ref(), &five()).await.expect("listed");
    assert_eq!(outcome(&report, 5), Some(LevelOutcome::NotCheckable));
    report.strict = true;
    assert!(!report.passed());
}

#[tokio::test]
async fn a_level_that_is_not_asked_for_is_not_looked_at() {
    let (mut archive, memory) = begun().await;
    archive.clock.advance_ms(DAY_MS);
    archive.run().await.expect("run");
    let four = VerifyOptions { level: 4, ..five() };
    assert_eq!(classes(&memory, &four).await, [""; 0]);
    let mut at_once = five();
    at_once.now = UtcMillis(i64::MIN);
    assert_eq!(classes(&memory, &at_once).await, ["schedule_hole"]);
    at_once.now = UtcMillis(i64::MAX);
    assert_eq!(classes(&memory, &at_once).await, ["schedule_hole"]);
}
