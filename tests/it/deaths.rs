//! A process that dies, or whose storage fails, at any change of what lies on disk: the archive verifies,
//! nobody sees the run, and the next run records it or the same one goes on.
//!
//! The real program runs with a library preloaded that counts its changes of storage (see
//! `preload/storage.c`): nothing in the program knows of it. `DEATHS_EVERY=1` takes every change.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyproof::archive::verify::Report;
use keyproof::model::ids::RunId;
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::ServeOptions;
use keyproof::time::{Clock as _, SystemClock};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::{Place, Sealed, files_below, report, told};
use keyproof::archive::file_store::FileStore;

const RUN: &str = "20261124T020000Z-dead";

/// An archive with one sealed run, and what a second run that nothing disturbs adds to it.
struct Scene {
    place: Place,
    library: PathBuf,
    /// The program without what debuggers read: each run hashes it.
    stripped: PathBuf,
    /// The archive, key and memory before the second run.
    before: PathBuf,
    expected: std::collections::BTreeMap<&'static str, Vec<String>>,
    /// Changes that an undisturbed run makes.
    changes: usize,
}

/// What befalls one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Kill,
    Torn,
    Fail(i32),
    Lost(i32),
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Fail(_) => "fail",
            Self::Lost(_) => "lost",
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Kill | Self::Torn => 0,
            Self::Fail(number) | Self::Lost(number) => number,
        }
    }
}

impl Scene {
    async fn new() -> Self {
        let now = SystemClock.now();
        let options = Options {
            accounts: 1,
            regions: 1,
            clusters: 2,
            days: 3,
            seed: 11,
            // At any time of day it is noon there: no step becomes a settled one while the tests run.
            start_ms: now.plus_ms(-36 * 3_600_000).0,
            stories: None,
        };
        let place = Place::served(&options, ServeOptions::default()).await;
        place.clock.set(now);
        let library = place.path("storage.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/preload/storage.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .await
            .expect("a C compiler");
        assert!(built.success());
        let stripped = place.path("keyproof");
        let made = Command::new("strip")
            .arg("-o")
            .arg(&stripped)
            .arg(env!("CARGO_BIN_EXE_keyproof"))
            .status()
            .await
            .expect("binutils");
        assert!(made.success());
        let scene = Self {
            stripped,
            before: place.path("before"),
            place,
            library,
            expected: Default::default(),
            changes: 0,
        };
        std::fs::create_dir(&scene.before).expect("folder");
        let yesterday = now.date().plus_days(-1).to_string();
        let first = scene
            .program(
                &scene.before,
                &["run", "--quiet", "--scheduled-for", &yesterday],
            )
            .output()
            .await
            .expect("it runs");
        assert!(
            matches!(first.status.code(), Some(0 | 4)),
            "{}",
            told(&first)
        );
        scene.measured().await
    }

    async fn measured(mut self) -> Self {
        let folder = self.copy("undisturbed");
        let count = folder.join("count");
        let done = self
            .second(&folder, 0, How::Kill)
            .env("STORAGE_COUNT", &count)
            .output()
            .await
            .expect("it runs");
        assert!(matches!(done.status.code(), Some(0 | 4)), "{}", told(&done));
        let count = std::fs::read_to_string(&count).expect("a count");
        self.changes = count.trim().parse().expect("a number");
        let sealed = Sealed::of(Box::new(store(&folder)), &run_id()).await;
        self.expected = sealed.lasting_rows().await;
        self
    }

    fn program(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut program = self.place.program_at(&self.stripped, arguments);
        program
            .args([
                "--archive",
                "archive",
                "--work-dir",
                "work",
                "--state-dir",
                "state",
            ])
            .current_dir(folder);
        program
    }

    /// The second run, in which change `at` goes wrong.
    fn second(&self, folder: &Path, at: usize, how: How) -> Command {
        let mut program = self.program(folder, &["run", "--quiet", "--run-id", RUN]);
        self.disturb(&mut program, folder, at, how);
        program
    }

    fn disturb(&self, program: &mut Command, folder: &Path, at: usize, how: How) {
        program
            .env("LD_PRELOAD", &self.library)
            .env("STORAGE_BELOW", folder)
            .env("STORAGE_AT", at.to_string())
            .env("STORAGE_HOW", how.word())
            .env("STORAGE_ERRNO", how.number().to_string());
    }

    /// A fresh copy of the archive before the second run.
    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.place.path(name);
        for file in files_below(&self.before) {
            let target = folder.join(file.strip_prefix(&self.before).expect("below"));
            std::fs::create_dir_all(target.parent().expect("folder")).expect("folder");
            std::fs::copy(&file, &target).expect("copy");
        }
        folder
    }

    /// A step of the second run.
    fn step(&self, folder: &Path, step: &[&str]) -> Command {
        let quiet = if step[0] == "seal" {
            &[][..]
        } else {
            &["--quiet"]
        };
        let mut program = self.program(folder, &[step, quiet, &["--run-id", RUN]].concat());
        program.env("STORAGE_COUNT", folder.join("count"));
        program
    }

    /// Changes that are tried: all, or so many evenly spread.
    fn points(&self, most: usize) -> Vec<usize> {
        let every = std::env::var("DEATHS_EVERY")
            .ok()
            .and_then(|n| n.parse().ok());
        let every: f64 = every.unwrap_or(self.changes as f64 / most as f64).max(1.0);
        let mut points: Vec<usize> = (0..)
            .map(|n| 1 + (f64::from(n) * every) as usize)
            .take_while(|at| *at <= self.changes)
            .collect();
        points.dedup();
        points
    }

    /// The archive is whole; tells whether the second run is sealed.
    async fn is_sealed(&self, folder: &Path, what: &str) -> bool {
        let report = verified(folder, what).await;
        let runs: Vec<_> = report.runs.iter().map(|r| &r.seal.run_id).collect();
        assert!(
            runs.len() == 1 || runs[1..] == [&run_id()],
            "{what}: {runs:?}"
        );
        runs.len() == 2
    }

    /// The next run needs nothing but the name of the dead one, and its seal says that it died.
    async fn next_records(&self, folder: &Path, what: &str, dead: bool) {
        let mut arguments = vec!["run", "--quiet"];
        if dead {
            arguments.extend(["--take-over", RUN]);
        }
        let next = self
            .program(folder, &arguments)
            .output()
            .await
            .expect("it runs");
        assert!(
            matches!(next.status.code(), Some(0 | 4)),
            "{what}: {}",
            told(&next)
        );
        let report = verified(folder, what).await;
        let last = &report.runs.last().expect("sealed").seal;
        assert_ne!(last.run_id, run_id());
        let died: Vec<_> = last
            .died_runs
            .iter()
            .filter_map(|d| d.run_id.clone())
            .collect();
        let expected = if dead { vec![run_id()] } else { vec![] };
        assert_eq!(died, expected, "{what}");
    }

    /// The same run goes on, and seals what an undisturbed one seals.
    async fn goes_on(&self, folder: &Path, what: &str) {
        let resumed = self
            .program(folder, &["run", "--quiet", "--resume", RUN])
            .output()
            .await
            .expect("it runs");
        assert!(
            matches!(resumed.status.code(), Some(0 | 4)),
            "{what}: {}",
            told(&resumed)
        );
        let sealed = Sealed::of(Box::new(store(folder)), &run_id()).await;
        for (dataset, rows) in sealed.lasting_rows().await {
            assert_eq!(rows, self.expected[dataset], "{what}: {dataset}");
        }
        assert_eq!(files_below(&folder.join("work")), Vec::<PathBuf>::new());
    }
}

fn run_id() -> RunId {
    RUN.parse().expect("run id")
}

fn store(folder: &Path) -> FileStore {
    FileStore::at(&folder.join("archive").display().to_string()).expect("a local archive")
}

async fn verified(folder: &Path, what: &str) -> Report {
    let report = report(&store(folder)).await;
    assert!(report.passed(), "{what}: {:?}", report.failures);
    report
}

/// Whether the second run took a number.
fn has_begun(folder: &Path) -> bool {
    files_below(&folder.join("archive/starts")).len() > 1
}

fn has_ended(folder: &Path) -> bool {
    let files = files_below(&folder.join("archive/runs"));
    files.iter().any(|f| f.ends_with("end.json"))
}

/// How often each thing happened.
#[derive(Default)]
struct Counts {
    killed: AtomicUsize,
    failed: AtomicUsize,
    not_begun: AtomicUsize,
    sealed: AtomicUsize,
    resumed: AtomicUsize,
    recorded: AtomicUsize,
}

fn one(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Works on every point, a few at a time: a process mostly waits for its disk.
async fn each<F: Future<Output = ()> + Send + 'static>(
    points: Vec<usize>,
    work: impl Fn(usize, usize) -> F,
) {
    let mut open = JoinSet::new();
    for (nth, at) in points.into_iter().enumerate() {
        if open.len() >= 4 {
            open.join_next()
                .await
                .expect("some are open")
                .expect("no panic");
        }
        open.spawn(work(nth, at));
    }
    while let Some(ended) = open.join_next().await {
        ended.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_may_die_at_any_change_of_storage() {
    let scene = Arc::new(Scene::new().await);
    let counts = Arc::new(Counts::default());
    let points = scene.points(200);
    assert!(points.len() >= 200, "{} of {}", points.len(), scene.changes);
    each(points, |nth, at| {
        let (scene, counts) = (scene.clone(), counts.clone());
        async move { one_death(&scene, &counts, nth, at).await }
    })
    .await;
    let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "{} changes; killed at {}: {} had not begun, {} were resumed, {} were recorded as died, {} were sealed",
        scene.changes,
        read(&counts.killed),
        read(&counts.not_begun),
        read(&counts.resumed),
        read(&counts.recorded),
        read(&counts.sealed)
    );
    assert!(read(&counts.killed) >= 190);
    assert!(read(&counts.resumed) > 50 && read(&counts.recorded) > 50);
    assert!(read(&counts.sealed) > 0 && read(&counts.not_begun) > 0);
}

async fn one_death(scene: &Scene, counts: &Counts, nth: usize, at: usize) {
    // Half of them in the middle of what they write.
    let how = if nth % 4 < 2 { How::Kill } else { How::Torn };
    let what = format!("{how:?} at change {at}");
    let folder = scene.copy(&format!("at-{at}"));
    if !died(scene.second(&folder, at, how), &what).await {
        // A run has a change more or less now and then: this one was over before.
        return;
    }
    one(&counts.killed);
    let sealed = scene.is_sealed(&folder, &what).await;
    let has_progress = folder
        .join(format!("work/keyproof-{RUN}/scope.json"))
        .exists();
    if sealed {
        one(&counts.sealed);
        scene.next_records(&folder, &what, false).await;
    } else if !has_begun(&folder) {
        one(&counts.not_begun);
        scene.next_records(&folder, &what, false).await;
    } else if nth.is_multiple_of(2) && has_progress {
        one(&counts.resumed);
        scene.goes_on(&folder, &what).await;
    } else {
        one(&counts.recorded);
        scene.next_records(&folder, &what, true).await;
    }
    std::fs::remove_dir_all(&folder).expect("remove");
}

async fn died(mut program: Command, what: &str) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    let output: Output = program.output().await.expect("it runs");
    match output.status.signal() {
        Some(9) => true,
        None if matches!(output.status.code(), Some(0 | 4)) => false,
        _ => panic!("{what}: {} {}", output.status, told(&output)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_change_of_storage_may_fail() {
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    const ENOSPC: i32 = 28;
    let scene = Arc::new(Scene::new().await);
    let kinds = [
        How::Fail(EIO),
        How::Fail(ENOSPC),
        How::Fail(EACCES),
        How::Lost(EIO),
    ];
    let counts = Arc::new(Counts::default());
    each(scene.points(120), |nth, at| {
        let (scene, counts) = (scene.clone(), counts.clone());
        let how = kinds[nth % kinds.len()];
        async move { one_failure(&scene, &counts, at, how).await }
    })
    .await;
    let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "{} changes; {} runs failed, {} sealed all the same",
        scene.changes,
        read(&counts.failed),
        read(&counts.sealed)
    );
    assert!(read(&counts.failed) > 60);
}

async fn one_failure(scene: &Scene, counts: &Counts, at: usize, how: How) {
    let what = format!("{how:?} at change {at}");
    let folder = scene.copy(&format!("at-{at}"));
    let output = scene
        .second(&folder, at, how)
        .output()
        .await
        .expect("it runs");
    let is_sealed = scene.is_sealed(&folder, &what).await;
    match output.status.code() {
        Some(0 | 4) => assert!(is_sealed, "{what}: success without a seal"),
        Some(1) => one(&counts.failed),
        _ => panic!("{what}: {} {}", output.status, told(&output)),
    }
    if is_sealed {
        one(&counts.sealed);
        scene.next_records(&folder, &what, false).await;
    } else if has_begun(&folder) {
        // It says so itself, unless that was what failed, or it may have been sealed.
        let resumed = scene
            .program(&folder, &["run", "--quiet", "--resume", RUN])
            .output()
            .await
            .expect("it runs");
        if has_ended(&folder) {
            assert_eq!(resumed.status.code(), Some(1), "{what}: ended is ended");
            assert!(
                told(&resumed).contains("ended"),
                "{what}: {}",
                told(&resumed)
            );
        }
        if verified(&folder, &what).await.runs.len() == 1 {
            scene.next_records(&folder, &what, true).await;
        }
    } else {
        scene.next_records(&folder, &what, false).await;
    }
    std::fs::remove_dir_all(&folder).expect("remove");
}

const STEPS: [&[&str]; 4] = [
    &["prepare", "--shards", "1"],
    &["collect", "--shard", "1/1"],
    &["assess"],
    &["seal"],
];

async fn done(mut program: Command, what: &str) {
    let output = program.output().await.expect("it runs");
    assert!(
        matches!(output.status.code(), Some(0 | 4)),
        "{what}: {}",
        told(&output)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_may_die_and_be_given_again() {
    let scene = Scene::new().await;
    let mut changes = Vec::new();
    let folder = scene.copy("steps");
    for step in STEPS {
        let mut program = scene.step(&folder, step);
        scene.disturb(&mut program, &folder, 0, How::Kill);
        done(program, step[0]).await;
        let count = std::fs::read_to_string(folder.join("count")).expect("a count");
        changes.push(count.trim().parse::<usize>().expect("a number"));
    }
    let mut killed = [0; 4];
    for (nth, step) in STEPS.iter().enumerate() {
        let last = changes[nth];
        for at in [last / 8, last / 3, 2 * last / 3, last - 1] {
            let at = at.max(1);
            let what = format!("{} killed at change {at} of {last}", step[0]);
            let folder = scene.copy(&format!("{}-{at}", step[0]));
            for before in &STEPS[..nth] {
                done(scene.step(&folder, before), &what).await;
            }
            let mut program = scene.step(&folder, step);
            scene.disturb(&mut program, &folder, at, How::Torn);
            killed[nth] += usize::from(died(program, &what).await);
            let sealed = scene.is_sealed(&folder, &what).await;
            if nth == 0
                && !files_below(&folder.join("archive/runs"))
                    .iter()
                    .any(|f| f.ends_with("scope.json"))
            {
                // Nobody can go on with it.
                if has_begun(&folder) {
                    let collect = scene
                        .step(&folder, STEPS[1])
                        .output()
                        .await
                        .expect("it runs");
                    assert_eq!(collect.status.code(), Some(1), "{what}: {}", told(&collect));
                }
                scene.next_records(&folder, &what, has_begun(&folder)).await;
                continue;
            }
            for again in &STEPS[nth.max(1)..] {
                if !sealed {
                    done(scene.step(&folder, again), &what).await;
                }
            }
            let run = Sealed::of(Box::new(store(&folder)), &run_id()).await;
            for (dataset, rows) in run.lasting_rows().await {
                assert_eq!(rows, scene.expected[dataset], "{what}: {dataset}");
            }
            std::fs::remove_dir_all(&folder).expect("remove");
        }
    }
    println!("changes of each step: {changes:?}; killed: {killed:?}");
    assert!(killed.iter().all(|n| *n >= 3), "{killed:?}");
}
