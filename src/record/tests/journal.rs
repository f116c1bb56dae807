//! What the journal keeps, merges and refuses.

use std::path::PathBuf;

use super::{Folder, Sample, account, date, region, row};
use crate::model::datasets::{Coverage, LogBucket};
use crate::model::ids::Region;
use crate::model::table::Dataset;
use crate::model::words::{Lookup, Source};
use crate::record::{Journal, JournalError, Unfinished};
use crate::testkit::coverage;
use crate::time::UtcMillis;

fn cell(account_number: u8, region: Region, source: Source) -> Coverage {
    coverage(account(account_number), region, source)
}

fn bucket(owner: Option<u8>, name: &str) -> LogBucket {
    LogBucket {
        scheduled_for: date(20_000),
        account_id: owner.map(account),
        region: owner.map(region),
        bucket: name.to_owned(),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        default_algorithm: None,
        default_key: None,
        bucket_key: None,
        versioning: None,
        policy_lookup: Lookup::NotAttempted,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        settings_lookup: Lookup::NotAttempted,
        ownership: None,
        object_lock: None,
        public_access_blocked: None,
        lifecycle_rules: None,
        expires_after_days: None,
        replication_rules: None,
        replicates_to: None,
        inventories: None,
        metadata_table: None,
        looked_up_at: UtcMillis(3),
    }
}

#[test]
fn mixed_accounts_global_cells_and_absent_owners_come_back_in_key_order() {
    let folder = Folder::new("mixed");
    let journal = Journal::create(&folder.0.join("j")).expect("journal");
    let mut cells = vec![
        cell(2, region(0), Source::Clusters),
        cell(1, Region::global(), Source::Regions),
        cell(1, region(0), Source::Clusters),
    ];
    let mut expected = cells.clone();
    expected.sort_by(Dataset::key_order);
    journal.append(&mut cells).expect("append");
    assert!(cells.is_empty());
    let read: Vec<Coverage> = journal.rows().map(|row| row.expect("row")).collect();
    assert_eq!(read, expected);
    assert_eq!(journal.groups::<Coverage>().count(), 3);

    let mut first = vec![bucket(Some(1), "b"), bucket(None, "z")];
    let mut second = vec![bucket(None, "a"), bucket(Some(1), "a")];
    journal.append(&mut first).expect("append");
    journal.append(&mut second).expect("append");
    let names: Vec<_> = journal
        .rows::<LogBucket>()
        .map(|row| {
            row.map(|b| (b.account_id.is_some(), b.bucket))
                .expect("row")
        })
        .collect();
    let expected = [(false, "a"), (false, "z"), (true, "a"), (true, "b")];
    assert_eq!(
        names,
        expected.map(|(owned, name)| (owned, name.to_owned()))
    );
    assert!(
        journal
            .read_group::<LogBucket>("x", "y")
            .expect("none")
            .is_empty()
    );
    assert_eq!(journal.rows::<Sample>().count(), 0);
}

#[test]
fn rows_with_one_key_are_merged_alike_whichever_came_first() {
    let mut other = row("a");
    other.number = 9;
    let mut kept = Vec::new();
    for order in [[row("a"), other.clone()], [other, row("a")]] {
        let folder = Folder::new("twice");
        let journal = Journal::create(&folder.0.join("j")).expect("journal");
        for row in order {
            journal.append(&mut vec![row]).expect("append");
        }
        kept.push(
            journal
                .rows::<Sample>()
                .map(|r| r.expect("row"))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0].len(), 1);
}

#[test]
fn a_journal_wants_an_empty_private_folder_and_takes_it_away() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("private");
    let dir = folder.0.join("a/b");
    let journal = Journal::create(&dir).expect("journal");
    let mode = |path| {
        std::fs::metadata(path)
            .expect("metadata")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(dir.clone()), 0o700);
    journal.append(&mut vec![row("a")]).expect("append");
    assert_eq!(mode(dir.join("sample.frames")), 0o600);
    let again = Journal::create(&dir);
    assert!(matches!(again, Err(JournalError::NotEmpty(_))));
    journal.remove().expect("removed");
    assert!(!dir.exists());
}

#[test]
fn appending_from_many_threads_loses_nothing() {
    let folder = Folder::new("threads");
    let journal = Journal::create(&folder.0.join("j")).expect("journal");
    std::thread::scope(|scope| {
        for n in 0..4u8 {
            let journal = &journal;
            scope.spawn(move || {
                for i in 0..50 {
                    let mut one = row(&format!("{i:03}"));
                    one.account_id = account(n);
                    journal.append(&mut vec![one]).expect("append");
                }
            });
        }
    });
    let rows: Vec<Sample> = journal.rows().collect::<Result<_, _>>().expect("rows");
    assert_eq!(rows.len(), 200);
}

/// A journal of three frames, and where each begins.
fn three_frames(folder: &Folder) -> (PathBuf, Vec<u64>) {
    let dir = folder.0.join("j");
    let journal = Journal::create(&dir).expect("journal");
    let path = dir.join("sample.frames");
    let mut starts = Vec::new();
    for id in ["a", "b", "c"] {
        starts.push(std::fs::metadata(&path).map_or(0, |m| m.len()));
        journal.append(&mut vec![row(id)]).expect("append");
    }
    (path, starts)
}

#[test]
fn a_killed_process_loses_its_unfinished_frame_only() {
    let folder = Folder::new("killed");
    let (path, starts) = three_frames(&folder);
    let whole = std::fs::read(&path).expect("read");
    for end in starts[2]..whole.len() as u64 {
        std::fs::write(&path, &whole[..end as usize]).expect("write");
        let opened = Journal::open(&folder.0.join("j")).expect("opens");
        let expected: Vec<Unfinished> = (end > starts[2])
            .then(|| Unfinished {
                dataset: "sample".to_owned(),
                offset: starts[2],
                bytes: end - starts[2],
            })
            .into_iter()
            .collect();
        assert_eq!(opened.unfinished, expected, "cut at {end}");
        opened.journal.append(&mut vec![row("d")]).expect("append");
        let ids: Vec<String> = opened
            .journal
            .rows::<Sample>()
            .map(|r| r.expect("row").id)
            .collect();
        assert_eq!(ids, ["a", "b", "d"], "cut at {end}");
    }
}

#[test]
fn a_damaged_frame_is_named_not_skipped() {
    let folder = Folder::new("corrupt");
    let (path, starts) = three_frames(&folder);
    let whole = std::fs::read(&path).expect("read");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&path, &damaged).expect("write");
        let frame = *starts
            .iter()
            .rfind(|&&start| start <= at as u64)
            .expect("frame");
        let opened = Journal::open(&folder.0.join("j"));
        let error = match opened {
            Err(e) => e.to_string(),
            Ok(opened) => {
                assert_eq!(opened.unfinished, [], "byte {at}");
                let result: Result<Vec<Sample>, _> = opened.journal.rows().collect();
                result.expect_err("damage").to_string()
            }
        };
        let expected = format!("journal of sample is damaged at byte {frame}: ");
        assert!(error.starts_with(&expected), "byte {at}: {error}");
    }
}

#[test]
fn a_strange_file_in_the_journal_is_named() {
    let folder = Folder::new("strange");
    std::fs::write(folder.0.join("notes.txt"), "x").expect("write");
    let error = Journal::open(&folder.0).expect_err("strange").to_string();
    assert!(error.contains("notes.txt"), "{error}");
}
