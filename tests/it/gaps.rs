//! What must not pass in silence, as a person or a scheduled job that remembers nothing meets it: an entry
//! that was removed from the chain, a mistyped Region, a run that speaks for no date, an archive that
//! nothing vouches for.

use keyproof::archive::layout;
use keyproof::time::{Clock as _, SystemClock};

use crate::cli_support::{Desk, Ended, SEALED, SMALL};

/// A copy of an archive of six entries: begun, a run, four notes.
fn six_entries() -> Desk {
    let desk = SEALED.desk();
    for n in 3..=6 {
        let noted = desk.line("note --archive archive --entry 2 --state-dir writer seen");
        noted.says(0, &[]);
        assert!(
            desk.path("archive").join(layout::entry(n)).exists(),
            "{noted:#?}"
        );
    }
    desk
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_removed_entry_stops_readers_and_writers_that_remember_nothing() {
    let desk = six_entries();
    let quarter = SystemClock.now().date().quarter();
    let gone = desk.path("archive").join(layout::entry(3));
    let kept = std::fs::read(&gone).expect("an entry");
    std::fs::remove_file(&gone).expect("removed");
    let run_id = &SEALED.run_id;
    for line in [
        "query --archive archive --named owners".to_owned(),
        format!("rollup --archive archive --quarter {quarter} --no-seal"),
        format!("rollup --archive archive --quarter {quarter}"),
        "explain --archive archive j-1ABCDEFGHIJKL".to_owned(),
        format!("assess --archive archive --run-id {run_id}"),
        "run --single-account --archive archive".to_owned(),
        "run --single-account --archive archive --dry-run".to_owned(),
        "prepare --single-account --archive archive --shards 2".to_owned(),
        format!("seal --archive archive --run-id {run_id}"),
        "note --archive archive --entry 2 seen".to_owned(),
        "keys --archive archive".to_owned(),
    ] {
        let refused = desk.changes_nothing(&line);
        refused.fails(5, &["entry 3 was removed", "entry 4", "keyproof verify"]);
    }
    let examined = desk.line("doctor --single-account --archive archive");
    assert_eq!(examined.code, Some(1), "{examined:#?}");
    let said = one_line(&examined.out);
    assert!(said.contains("entry 3 was removed"), "{said}");
    assert!(!said.contains("entries in the chain"), "{said}");

    // Put back, everything is as it was.
    std::fs::write(&gone, kept).expect("restored");
    let verify = format!("verify archive --pin {} --level 3", SEALED.pin);
    desk.line(&verify).says(0, &[]);
    desk.line("query --archive archive --named owners")
        .says(0, &[]);
}

#[test]
fn junk_beyond_the_head_stops_nobody_and_is_told() {
    let desk = six_entries();
    let slot = |n| desk.path("archive").join(layout::entry(n));
    let copy = std::fs::read(slot(4)).expect("an entry");
    for (n, junk) in [(8, b"junk\n".as_slice()), (9, &copy), (9_999_999_999, b"")] {
        std::fs::write(slot(n), junk).expect("junk");
    }
    let told = format!("{} lies beyond the end of the chain", layout::entry(8));
    let asked = desk.line("query --archive archive --named owners");
    asked.says(0, &[]);
    assert!(asked.err.contains(&told), "{asked:#?}");
    let noted = desk.line("note --archive archive --entry 2 --state-dir writer seen");
    noted.says(0, &[]);
    assert!(slot(7).exists(), "{noted:#?}");
}

#[test]
fn a_mistyped_region_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    for command in ["run", "run --dry-run", "prepare --shards 2"] {
        let line = format!("{command} --single-account --archive new --regions eu-wset-1");
        let refused = desk.changes_nothing(&line);
        refused.fails(2, &["'eu-wset-1'", "did you mean eu-west-1 or ", "auto"]);
    }
    let far = desk.changes_nothing("run --single-account --archive new --regions mars-base-42");
    far.fails(2, &["'mars-base-42'"]);
    assert!(!far.err.contains("did you mean"), "{far:#?}");
    let examined = desk.line("doctor --single-account --archive new --regions eu-wset-1");
    assert_eq!(examined.code, Some(2), "{examined:#?}");
    assert!(one_line(&examined.out).contains("did you mean eu-west-1"));
}

#[test]
fn a_narrowed_run_says_that_it_speaks_for_no_date() {
    let region = SMALL.world.regions[0];
    let desk = SEALED.desk();
    let notes = |archive: &str| {
        let line = format!("doctor --single-account --archive {archive} --regions {region}");
        one_line(&desk.line(&line).out)
    };
    let said = notes("archive");
    assert!(
        said.contains("begun with others: such a run speaks for no date"),
        "{said}"
    );
    let said = notes("new");
    assert!(
        said.contains("the first run begins the archive for these Regions"),
        "{said}"
    );
    assert!(!said.contains("speaks for no date"), "{said}");

    let narrowed = "--single-account --archive archive --regions";
    let run = desk.line(&format!("run {narrowed} {region}"));
    run.says(
        0,
        &["SEALED, COMPLETE", "this run does not speak for", "no KPI"],
    );
    let first = desk.line(&format!(
        "run --single-account --archive new --regions {region}"
    ));
    first.says(
        0,
        &[
            "SEALED, COMPLETE",
            "Protection none: a folder shows changes",
        ],
    );
    assert!(!first.out.contains("does not speak"), "{first:#?}");
    assert!(!first.out.contains("fail"), "{first:#?}");
}

#[test]
fn a_reader_of_an_archive_that_nothing_vouches_for_is_told() {
    let desk = SEALED.desk();
    let quarter = SystemClock.now().date().quarter();
    let unpinned = |ended: &Ended| {
        let lines = ended.err.lines().filter(|line| line.contains("UNPINNED"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let query = "query --archive archive --named owners";
    for line in [
        query.to_owned(),
        format!("rollup --archive archive --quarter {quarter} --no-seal"),
        format!("explain --archive archive {}", a_cluster(&desk)),
    ] {
        let told = desk.line(&line);
        told.says(0, &[]);
        let lines = unpinned(&told);
        assert_eq!(lines.len(), 1, "{line}: {told:#?}");
        assert!(
            lines[0].contains("keyproof verify") && lines[0].contains("--pin"),
            "{lines:?}"
        );
    }
    let verify = format!("verify archive --pin {} --level 3", SEALED.pin);
    desk.line(&verify).says(0, &[]);
    let told = desk.line(query);
    assert!(unpinned(&told).is_empty(), "{told:#?}");
}

#[test]
fn a_pin_that_somebody_was_told_vouches_for_what_a_query_or_a_rollup_reads() {
    let desk = SEALED.desk();
    let quarter = format!("--quarter {}", SEALED.quarter());
    // Sealed by another machine: nothing is remembered here.
    desk.line(&format!(
        "rollup --archive archive {quarter} --state-dir writer"
    ))
    .says(0, &["edition 1"]);
    let query = "query --archive archive --named owners".to_owned();
    let (pin, other) = (&*SEALED.pin, "0".repeat(64));
    for line in [
        query.clone(),
        format!("rollup --archive archive {quarter} --no-seal"),
        format!("rollup --archive archive {quarter} --check"),
    ] {
        let told = desk.changes_nothing(&format!("{line} --pin {pin}"));
        told.says(0, &[]);
        assert!(!told.err.contains("UNPINNED"), "{told:#?}");
        let refused = desk.changes_nothing(&format!("{line} --pin {other}"));
        refused.fails(5, &["entry 1 is not the pinned one", &other, pin]);
        assert!(refused.out.is_empty(), "{refused:#?}");
        desk.changes_nothing(&format!("{line} --pin 12"))
            .fails(2, &["--pin"]);
    }
    desk.changes_nothing(&format!("rollup --archive archive {quarter} --pin {other}"))
        .fails(5, &["entry 1 is not the pinned one"]);
    // To read is not to verify: the next one needs the pin again.
    let told = desk.changes_nothing(&query);
    assert!(told.err.contains("UNPINNED"), "{told:#?}");

    // A memory that cannot be read is no reason to refuse what a pin vouches for, and is told.
    let memory = std::fs::read_dir(desk.path("writer/archives")).expect("a folder");
    let memory = memory.map(|file| file.expect("a file").path()).next();
    std::fs::write(memory.expect("a file"), "{").expect("garbled");
    let garbled = format!("{query} --state-dir writer");
    desk.changes_nothing(&garbled)
        .fails(1, &["state file", "cannot be read", "--pin"]);
    let told = desk.changes_nothing(&format!("{garbled} --pin {pin}"));
    told.says(0, &[]);
    let said = one_line(&told.err);
    assert!(
        said.contains("not compared with what this machine remembers"),
        "{said}"
    );
    // Sealing goes behind the end, of which a pin says nothing.
    let sealing = format!("rollup --archive archive {quarter} --state-dir writer --pin {pin}");
    desk.changes_nothing(&sealing)
        .fails(1, &["state file", "cannot be read"]);
}

fn a_cluster(desk: &Desk) -> String {
    let words = ["query", "--archive", "archive", "--format", "csv"];
    let sql = "SELECT cluster_id FROM verdict ORDER BY cluster_id LIMIT 1";
    let asked = desk.keyproof(words.into_iter().chain([sql]));
    asked.says(0, &["cluster_id"]);
    asked.out.lines().nth(1).expect("a row").to_owned()
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let desk = Desk::new();
    let refused = desk.changes_nothing("run --single-account --archive new --profile nope");
    refused.fails(1, &["AWS profile 'nope'", "~/.aws/config", "list-profiles"]);
}
