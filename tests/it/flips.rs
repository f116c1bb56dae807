//! Damage to the demo's archive: every file is tried, and `verify` and `scripts/verify-archive.sh`
//! must both notice, and name the same classes of failure. An untouched archive passes both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyproof::archive::file_store::FileStore;
use keyproof::archive::verify::{VerifyOptions, verify};
use keyproof::model::ids::Sha256Hex;
use keyproof::testkit::TempDir;

use crate::cli_support::{Desk, copy};

/// Threads that try damages; each has a copy of the archive.
const THREADS: usize = 3;

struct Demo {
    desk: Desk,
    archive: PathBuf,
    /// Every file, by name.
    files: Vec<String>,
    pin: Sha256Hex,
}

/// What `keyproof demo` leaves.
static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let desk = Desk::new();
    let ended = desk.line("demo --out out --days 2 --accounts 12 --regions 2 --clusters 2");
    ended.says(0, &["SEALED", "edition 1", "VERIFIED"]);
    for line in ended.out.lines() {
        // Paths, addresses and pins are of no use cut short; all other text fits a terminal.
        let words = line.split(' ').filter(|w| !w.contains('/') && w.len() < 64);
        let width: usize = words.map(|w| w.chars().count() + 1).sum();
        assert!(width <= 81, "wider than 80 columns: {line}");
    }
    let mut made = std::fs::read_dir(desk.path("out")).expect("folder");
    let folder = made.next().expect("a demo").expect("entry").path();
    let archive = folder.join("archive");
    let genesis = std::fs::read(archive.join("chain/0000000001.dsse.json")).expect("entry 1");
    Demo {
        files: files(&archive),
        pin: Sha256Hex::of(&genesis),
        archive,
        desk,
    }
});

/// Names of all files below a folder, temporaries left out.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path
                .strip_prefix(root)
                .expect("below")
                .display()
                .to_string();
            if path.is_dir() {
                open.push(path);
            } else if !name.starts_with(".tmp/") {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// A way to damage an archive.
#[derive(Debug, Clone)]
enum Damage {
    /// Turns one bit of a byte: 0 the first, 1 the middle, 2 the last one.
    Flip(String, usize),
    /// Cuts the file to so many bytes less; more than it has: to nothing.
    Cut(String, usize),
    Append(String, &'static [u8]),
    Remove(String),
    Rename(String, String),
    Duplicate(String, String),
    Swap(String, String),
    Add(String, Vec<u8>),
    /// A link in place of a file, to a copy of it.
    Replace(String),
    Link(String, String),
}

impl Damage {
    fn apply(&self, root: &Path) {
        let at = |name: &String| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            path
        };
        let edit = |name: &String, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = std::fs::read(at(name)).expect("file");
            change(&mut bytes);
            std::fs::write(at(name), bytes).expect("file");
        };
        match self {
            Self::Flip(name, place) => edit(name, &|bytes| {
                let index = (bytes.len() - 1) * place / 2;
                // Another bit in each file and place, always the same one.
                bytes[index] ^= 1 << ((name.len() + place * 3) % 8);
            }),
            Self::Cut(name, by) => edit(name, &|b| b.truncate(b.len().saturating_sub(*by))),
            Self::Append(name, more) => edit(name, &|b| b.extend_from_slice(more)),
            Self::Remove(name) => std::fs::remove_file(at(name)).expect("file"),
            Self::Rename(from, to) => std::fs::rename(at(from), at(to)).expect("file"),
            Self::Duplicate(from, to) => copy(&at(from), &at(to)),
            Self::Swap(a, b) => {
                let (first, second) = (std::fs::read(at(a)), std::fs::read(at(b)));
                std::fs::write(at(a), second.expect("file")).expect("file");
                std::fs::write(at(b), first.expect("file")).expect("file");
            }
            Self::Add(name, bytes) => std::fs::write(at(name), bytes).expect("file"),
            Self::Replace(name) => {
                let aside = root.with_file_name("aside");
                std::fs::rename(at(name), &aside).expect("file");
                std::os::unix::fs::symlink(aside, at(name)).expect("link");
            }
            Self::Link(name, to) => std::os::unix::fs::symlink(to, at(name)).expect("link"),
        }
    }
}

impl Damage {
    /// Puts every file that the damage touched back as the demo left it.
    fn mend(&self, root: &Path) {
        let names = match self {
            Self::Flip(a, _) | Self::Cut(a, _) | Self::Append(a, _) => vec![a],
            Self::Remove(a) | Self::Replace(a) | Self::Add(a, _) | Self::Link(a, _) => vec![a],
            Self::Rename(a, b) | Self::Duplicate(a, b) | Self::Swap(a, b) => vec![a, b],
        };
        for name in names {
            let (path, sealed) = (root.join(name), DEMO.archive.join(name));
            if path.is_symlink() || path.exists() {
                std::fs::remove_file(&path).expect("removed");
            }
            if sealed.exists() {
                copy(&sealed, &path);
            }
            // Folders that the damage made: removing ends at the first that holds something.
            let mut above = path.ancestors().skip(1);
            while above
                .next()
                .is_some_and(|folder| std::fs::remove_dir(folder).is_ok())
            {}
        }
    }
}

/// The classes of failure that the library names; none when the archive passes.
fn library(root: &Path, head: Option<(u64, Sha256Hex)>) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let options = VerifyOptions {
        pin: Some(DEMO.pin.clone()),
        // What the script does.
        level: 3,
        expected_heads: head.into_iter().collect(),
        ..VerifyOptions::default()
    };
    let store = FileStore::at(&root.display().to_string()).expect("folder");
    let report = runtime.expect("runtime").block_on(verify(&store, &options));
    let report = report.expect("it can be listed");
    assert_eq!(report.passed(), report.failures.is_empty(), "{report:?}");
    let classes = report.failures.iter().map(|f| f.class().to_owned());
    classes.collect()
}

/// The same from the script.
fn script(root: &Path, head: Option<&str>) -> BTreeSet<String> {
    let mut command = Command::new("sh");
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/verify-archive.sh"
        ))
        .arg(root)
        .args(["--pin", DEMO.pin.as_str()]);
    if let Some(head) = head {
        command.args(["--expect-head", head]);
    }
    let output = command.output().expect("sh");
    let text = String::from_utf8_lossy(&output.stdout);
    let classes: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("FAIL ")?.split(':').next())
        .map(str::to_owned)
        .collect();
    let expected = if classes.is_empty() { 0 } else { 5 };
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    classes
}

/// Whether both name the same classes, but for the words that docs/verification.md tells apart.
fn agree(damage: &Damage, library: &BTreeSet<String>, script: &BTreeSet<String>) -> bool {
    if matches!(damage, Damage::Link(..) | Damage::Replace(_)) {
        return script.contains("unexpected_object");
    }
    let word = |class: &String| class.replace("truncated", "digest_mismatch");
    library.iter().map(word).collect::<BTreeSet<_>>() == *script
}

/// Tries every damage on a copy of its own; the script where it is asked for.
fn try_all(damages: Vec<(Damage, bool)>) {
    let demo = &*DEMO;
    let next = AtomicUsize::new(0);
    let missed: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let dir = TempDir::new();
            let root = dir.path().join("archive");
            copy(&demo.archive, &root);
            let mut missed = Vec::new();
            while let Some((damage, with_script)) =
                damages.get(next.fetch_add(1, Ordering::Relaxed))
            {
                damage.apply(&root);
                let found = library(&root, None);
                if found.is_empty() {
                    missed.push(format!("the library misses {damage:?}"));
                }
                if *with_script {
                    let by_script = script(&root, None);
                    if !agree(damage, &found, &by_script) {
                        missed.push(format!(
                            "{damage:?}: library {found:?}, script {by_script:?}"
                        ));
                    }
                }
                damage.mend(&root);
            }
            // Else what was found last was the damage of an earlier turn.
            assert_eq!(library(&root, None), BTreeSet::new());
            missed
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|t| t.join().expect("no panic"));
        joined.flatten().collect()
    });
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn an_untouched_archive_passes_both() {
    let demo = &*DEMO;
    let none = BTreeSet::new();
    assert!(demo.files.len() > 30, "{:?}", demo.files);
    assert_eq!(library(&demo.archive, None), none);
    assert_eq!(script(&demo.archive, None), none);
    let path = demo.archive.display();
    let ended = demo.desk.line(&format!("verify {path} --pin {}", demo.pin));
    ended.says(0, &["VERIFIED", "2 sealed runs", "1 rollup"]);
}

#[test]
fn one_flipped_bit_in_any_file_is_noticed_by_both() {
    let mut damages = Vec::new();
    for (i, file) in DEMO.files.iter().enumerate() {
        for place in 0..3 {
            damages.push((Damage::Flip(file.clone(), place), place == i % 3));
        }
    }
    try_all(damages);
}

#[test]
fn files_that_were_cut_grown_removed_or_moved_are_noticed_by_both() {
    let files = &DEMO.files;
    let bytes = |name: &String| std::fs::read(DEMO.archive.join(name)).expect("file");
    let last = files.iter().rfind(|f| f.starts_with("chain/"));
    let mut damages = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let (file, other) = (file.clone(), files[(i + 1) % files.len()].clone());
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = format!("{folder}/zz-{i}");
        let ways = [
            Damage::Cut(file.clone(), 1),
            Damage::Cut(file.clone(), usize::MAX),
            Damage::Append(file.clone(), b"\n"),
            Damage::Append(file.clone(), b"\0"),
            Damage::Remove(file.clone()),
            Damage::Rename(file.clone(), beside.clone()),
            Damage::Duplicate(file.clone(), beside),
            Damage::Replace(file.clone()),
            Damage::Swap(file.clone(), other.clone()),
        ];
        let all = ways.len();
        for (way, damage) in ways.into_iter().enumerate() {
            let harmless = match &damage {
                // Two datasets without rows are the same bytes.
                Damage::Swap(a, b) => bytes(a) == bytes(b),
                // Only who saw the end knows that it is gone.
                Damage::Remove(file) => Some(file) == last,
                _ => false,
            };
            if !harmless {
                damages.push((damage, way == i % all));
            }
        }
    }
    try_all(damages);
}

#[test]
fn things_that_nobody_sealed_are_noticed_by_both() {
    let file = |part: &str| {
        let mut files = DEMO.files.iter();
        files.find(|f| f.starts_with(part)).expect("there").clone()
    };
    let verdicts = file("evidence/verdict/");
    let folder = |name: &str| name.rsplit_once('/').expect("folder").0.to_owned();
    let again = verdicts.replace(".s00-", ".s01-");
    let receipt = file("manifest/v1/dt=").replace("manifest/v1/", "runs/");
    let receipt = receipt.trim_end_matches(".json");
    let rollup = file("rollup/");
    let key = file("keys/");
    let last = DEMO
        .files
        .iter()
        .rfind(|f| f.starts_with("chain/"))
        .expect("chain")
        .clone();
    let start = std::fs::read_to_string(DEMO.archive.join(file("starts/"))).expect("start");
    let start = start.replace(r#""n":1,"#, r#""n":3,"#);
    let damages = [
        // Under a sealed run: another shard's verdicts, a receipt, a scope.
        Damage::Duplicate(verdicts.clone(), again),
        Damage::Add(format!("{receipt}/shard-01.json"), b"{}\n".to_vec()),
        Damage::Add(format!("{receipt}/scope.json"), b"{}\n".to_vec()),
        // Of a run and a rollup that nobody knows.
        Damage::Duplicate(
            verdicts.clone(),
            format!(
                "{}/20200101T000000Z-7f3a.s00-00000000.parquet",
                folder(&verdicts)
            ),
        ),
        Damage::Duplicate(
            rollup.clone(),
            format!("{}/20200101T000000Z-7f3a.parquet", folder(&rollup)),
        ),
        // Names of no archive, odd ones included.
        Damage::Add("notes.txt".to_owned(), b"mine".to_vec()),
        Damage::Add("evidence/a b".to_owned(), b"mine".to_vec()),
        Damage::Add("evidence/a\nb".to_owned(), b"mine".to_vec()),
        Damage::Add("evidence/\u{e9}".to_owned(), b"mine".to_vec()),
        Damage::Add("-n".to_owned(), b"mine".to_vec()),
        Damage::Add("chain/0000000000.dsse.json".to_owned(), b"{}\n".to_vec()),
        Damage::Add("chain/0000000099.dsse.json".to_owned(), b"{}\n".to_vec()),
        // A replayed entry, and an intruder at the end.
        Damage::Duplicate(last, "chain/0000000098.dsse.json".to_owned()),
        Damage::Duplicate(
            file("chain/0000000002"),
            "chain/0000000005.dsse.json".to_owned(),
        ),
        Damage::Add("chain/0000000005.dsse.json".to_owned(), b"{}\n".to_vec()),
        Damage::Duplicate(key, format!("keys/{}.pem", "0".repeat(64))),
        // A start of a sealed run with another number.
        Damage::Add("starts/0000000003.json".to_owned(), start.into_bytes()),
        // Links are no evidence, wherever they lead.
        Damage::Link("evidence/link".to_owned(), format!("../{verdicts}")),
        Damage::Link("runs".to_owned(), "evidence".to_owned()),
        Damage::Link(
            "chain/0000000005.dsse.json".to_owned(),
            "/dev/zero".to_owned(),
        ),
    ];
    try_all(damages.map(|damage| (damage, true)).into());
}

#[test]
fn what_nobody_vouches_for_is_no_failure() {
    let dir = TempDir::new();
    let root = dir.path().join("archive");
    copy(&DEMO.archive, &root);
    // Left by processes that died: an unfinished file, and a start that cannot be read.
    Damage::Add(".tmp/123-4".to_owned(), b"half".to_vec()).apply(&root);
    Damage::Add("starts/0000000003.json".to_owned(), b"{".to_vec()).apply(&root);
    assert_eq!(library(&root, None), BTreeSet::new());
    assert_eq!(script(&root, None), BTreeSet::new());
}

#[test]
fn a_removed_end_is_noticed_by_whoever_saw_it() {
    let demo = &*DEMO;
    let dir = TempDir::new();
    let root = dir.path().join("archive");
    copy(&demo.archive, &root);
    let last = demo
        .files
        .iter()
        .rfind(|f| f.starts_with("chain/"))
        .expect("chain");
    let bytes = std::fs::read(root.join(last)).expect("entry");
    let seq: u64 = last["chain/".len()..][..10].parse().expect("number");
    let head = (seq, Sha256Hex::of(&bytes));
    let shown = format!("{}:{}", head.0, head.1);
    let none = BTreeSet::new();
    assert_eq!(library(&root, Some(head.clone())), none);
    assert_eq!(script(&root, Some(&shown)), none);

    std::fs::remove_file(root.join(last)).expect("there");
    let removed: BTreeSet<String> = ["removed_tail".to_owned()].into();
    assert_eq!(library(&root, Some(head)), removed);
    assert_eq!(script(&root, Some(&shown)), removed);
    // Who never saw it cannot tell: what is left looks like a rollup that was never sealed.
    assert_eq!(library(&root, None), none);
    assert_eq!(script(&root, None), none);
}
