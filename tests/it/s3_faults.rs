//! A command that writes to an archive on S3, one of whose storage calls fails: every call, in every
//! way that can befall it, over the wire. Afterwards the archive verifies, nobody sees a run that is
//! not sealed, and the next run records it, or the same one goes on; what passes by itself stops
//! nothing.
//!
//! `FAULTS_EVERY=1` takes every case, as `scripts/soak` does; without it an even share is taken.

mod kinds;
mod scene;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keyproof::archive::verify::Report;
use keyproof::run::RunError;
use keyproof::seal::Content;

use self::kinds::Kind;
use self::scene::{Job, Scene, is_sealed, run_id};

/// Organizations that are worked on at once: most of the time each waits for a retry.
const SCENES: usize = 6;

/// One call that goes wrong.
#[derive(Debug, Clone, Copy)]
struct Case {
    kind: Kind,
    /// None where calls of all operations count.
    operation: Option<&'static str>,
    /// Calls before it.
    after: u64,
}

fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    for (operation, calls) in &scene.calls {
        for kind in Kind::of(operation) {
            cases.extend((0..*calls).map(|after| Case {
                kind,
                operation: Some(*operation),
                after,
            }));
        }
    }
    for kind in Kind::of_all() {
        cases.extend((0..scene.all_calls).map(|after| Case {
            kind,
            operation: None,
            after,
        }));
    }
    cases
}

/// How often each thing happened.
type Counts = Mutex<BTreeMap<&'static str, usize>>;

fn count(counts: &Counts, what: &'static str) {
    *counts.lock().expect("counts").entry(what).or_default() += 1;
}

/// Tries about `most` cases of a job, evenly spread, or every n-th where the environment says so.
fn every_call_of(job: Job, most: usize) -> BTreeMap<&'static str, usize> {
    let tries = Arc::new(Tries {
        job,
        most,
        next: AtomicUsize::new(0),
        counts: Counts::default(),
        wrong: Mutex::default(),
    });
    let scenes: Vec<_> = (0..SCENES.min(most))
        .map(|_| {
            let tries = tries.clone();
            std::thread::spawn(move || tries.work())
        })
        .collect();
    let told: Vec<_> = scenes.into_iter().map(|scene| scene.join()).collect();
    let counts = tries.counts.lock().expect("counts").clone();
    match told.into_iter().next() {
        Some(Ok(told)) => println!("{job:?}: {told}: {counts:?}"),
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => {}
    }
    let wrong = tries.wrong.lock().expect("what went wrong");
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    counts
}

/// What several scenes work on.
struct Tries {
    job: Job,
    most: usize,
    /// The next case to take.
    next: AtomicUsize,
    counts: Counts,
    wrong: Mutex<Vec<Case>>,
}

impl Tries {
    /// Takes cases until none is left; tells what there was to take.
    fn work(&self) -> String {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let scene = runtime.block_on(Scene::new(self.job));
        let cases = cases(&scene);
        let every = std::env::var("FAULTS_EVERY");
        let every: Option<f64> = every.ok().and_then(|n| n.parse().ok());
        let share = cases.len() as f64 / self.most as f64;
        let every = every.unwrap_or(share).max(1.0);
        loop {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get((nth as f64 * every) as usize) else {
                break;
            };
            // One that is wrong is told with all others.
            let tried = AssertUnwindSafe(|| runtime.block_on(one(&scene, nth, case, &self.counts)));
            if catch_unwind(tried).is_err() {
                self.wrong.lock().expect("what went wrong").push(*case);
            }
        }
        let (all, calls) = (scene.all_calls, &scene.calls);
        format!("{all} calls {calls:?}, {} cases", cases.len())
    }
}

async fn one(scene: &Scene, nth: usize, case: &Case, counts: &Counts) {
    let what = format!("{:?}, {case:?}", scene.job);
    scene.restore();
    scene.set_faults(|bucket| case.kind.faults(bucket, case.operation, case.after));
    let done = scene.attempt(scene.job).await;
    count(counts, "tried");
    if scene.heal() <= case.after {
        count(counts, "over before");
    }
    if case.kind.is_passing() {
        assert!(done.is_ok(), "{what}: {done:?}");
    }
    count(counts, if done.is_ok() { "succeeded" } else { "failed" });
    let tried = Tried {
        scene,
        nth,
        kind: case.kind,
        done,
        what,
        counts,
    };
    match scene.job {
        Job::Beginning | Job::Run => tried.run().await,
        Job::Prepare | Job::Collect | Job::Assess | Job::Seal => tried.step().await,
        Job::Rotate | Job::Note | Job::Rollup => tried.command().await,
    }
}

/// What a case led to.
struct Tried<'a> {
    scene: &'a Scene,
    nth: usize,
    kind: Kind,
    done: Result<(), RunError>,
    what: String,
    counts: &'a Counts,
}

impl Tried<'_> {
    fn count(&self, what: &'static str) {
        count(self.counts, what);
    }

    async fn verified(&self) -> Option<Report> {
        self.scene.verified(&self.what).await
    }

    /// Whether it failed and says that it may have succeeded.
    fn is_unknown(&self) -> bool {
        let told = self.done.as_ref().err().map(ToString::to_string);
        told.is_some_and(|told| told.contains("not known whether"))
    }

    /// Readers see a run when it says that it is sealed; when it says that it is not, they do not.
    fn is_told(&self, sealed: bool) {
        let (what, done) = (&self.what, &self.done);
        match done {
            Ok(()) => assert!(sealed, "{what}: success without a seal"),
            Err(_) => assert!(!sealed || self.is_unknown(), "{what}: sealed, and {done:?}"),
        }
    }

    async fn run(self) {
        let (scene, what) = (self.scene, &self.what);
        let report = self.verified().await;
        let sealed = report.as_ref().is_some_and(is_sealed);
        self.is_told(sealed);
        if sealed {
            self.sealed(&report.expect("an archive")).await;
            return;
        }
        let (start, ended) = (scene.start(), scene.has("end.json"));
        let alone = matches!(self.kind, Kind::Denied | Kind::Taken);
        if alone && start == Some(true) && !self.is_unknown() {
            assert!(ended, "{what}: it can say that it ended");
        }
        let goes_on = start == Some(true) && !ended;
        if goes_on && scene.has_progress() && self.nth.is_multiple_of(2) {
            let resumed = scene.resume().await;
            assert!(resumed.is_ok(), "{what}: resumed: {resumed:?}");
            let report = self.verified().await.expect("an archive");
            assert!(is_sealed(&report), "{what}: resumed");
            scene.is_as_undisturbed(&report, self.kind, what).await;
            self.count("resumed");
            return;
        }
        self.next_records(start, goes_on).await;
    }

    async fn sealed(&self, report: &Report) {
        let (scene, what) = (self.scene, &self.what);
        if self.kind.is_passing() {
            assert!(scene.is_copied(), "{what}: the copy of the chain");
        }
        if self.nth.is_multiple_of(4) {
            scene.is_as_undisturbed(report, self.kind, what).await;
        }
        if self.done.is_ok() && !self.nth.is_multiple_of(8) {
            return;
        }
        // A seal whose answer was lost is found by the next run.
        let next = scene.next(None).await;
        assert!(next.is_ok(), "{what}: {next:?}");
        let report = self.verified().await.expect("an archive");
        let last = &report.runs.last().expect("a run").seal;
        assert!(last.run_id != run_id() && last.died_runs.is_empty());
        self.count("sealed, seen by the next");
    }

    /// The next run needs nothing but the name of the dead one, and its seal says that it died.
    async fn next_records(&self, start: Option<bool>, take_over: bool) {
        let (scene, what) = (self.scene, &self.what);
        let next = scene.next(take_over.then(run_id)).await;
        if self.kind == Kind::Taken && scene.job == Job::Beginning && next.is_err() {
            // Under the name of the key lies what is no key: nothing can begin there.
            assert_eq!(start, None, "{what}");
            assert!(self.verified().await.is_none(), "{what}");
            self.count("cannot begin there");
            return;
        }
        assert!(next.is_ok(), "{what}: the next run: {next:?}");
        let report = self.verified().await.expect("an archive");
        assert!(!is_sealed(&report), "{what}: a dead run is seen");
        let last = &report.runs.last().expect("a run").seal;
        let died: Vec<_> = last
            .died_runs
            .iter()
            .map(|died| (died.start_n, died.run_id.clone()))
            .collect();
        let n = scene.start_number();
        let expected = match start {
            None => vec![],
            Some(true) => vec![(n, Some(run_id()))],
            Some(false) => vec![(n, None)],
        };
        assert_eq!(died, expected, "{what}");
        self.count(match start {
            None => "not begun",
            Some(_) => "recorded as died",
        });
    }

    async fn step(self) {
        let (scene, what) = (self.scene, &self.what);
        let report = self.verified().await.expect("an archive");
        let sealed = is_sealed(&report);
        if scene.job == Job::Seal {
            self.is_told(sealed);
        }
        if self.kind.is_passing() && !self.nth.is_multiple_of(4) {
            return;
        }
        if !sealed {
            let nobody = !scene.has("scope.json") || scene.has("end.json");
            if scene.job == Job::Prepare && nobody {
                let start = scene.start();
                let alive = start == Some(true) && !scene.has("end.json");
                self.next_records(start, alive).await;
                return;
            }
            // A run whose scope stands is prepared, whatever the command could still say of it.
            let done = self.done.is_ok() || scene.job == Job::Prepare;
            let finished = scene.finish_from(scene.job, done).await;
            if self.kind == Kind::Taken && finished.is_err() {
                // A document of the run is somebody else's for good.
                self.next_records(Some(true), true).await;
                return;
            }
            assert!(finished.is_ok(), "{what}: given again: {finished:?}");
        }
        let report = self.verified().await.expect("an archive");
        assert!(is_sealed(&report), "{what}: finished");
        if self.kind != Kind::Taken {
            scene.is_as_undisturbed(&report, self.kind, what).await;
        }
        self.count("finished");
    }

    async fn command(self) {
        let (scene, what) = (self.scene, &self.what);
        let entries = |report: &Report| {
            let contents = report.entries.iter().map(|e| &e.statement.content);
            let ours = contents.filter(|content| match scene.job {
                Job::Rotate => matches!(content, Content::Key(_)),
                Job::Note => matches!(content, Content::Note(_)),
                _ => matches!(content, Content::Rollup(_)),
            });
            ours.count()
        };
        let report = scene.looked_at(what).await.expect("an archive");
        if self.kind == Kind::Taken && !report.passed() {
            // A key or rollup that nobody sealed has no start that would account for its files.
            let mut found = report.failures.iter().map(|failure| failure.class());
            assert!(
                found.all(|class| class == "unexpected_object"),
                "{what}: {:?}",
                report.failures
            );
            self.count("the other's file is told");
            return;
        }
        assert!(report.passed(), "{what}: {:?}", report.failures);
        let written = entries(&report);
        self.is_told(written > 0);
        if self.done.is_err() {
            let again = scene.attempt(scene.job).await;
            if self.kind == Kind::Taken && again.is_err() {
                self.count("name taken");
                return;
            }
            assert!(again.is_ok(), "{what}: given again: {again:?}");
            // A key is changed once; a remark or an edition may stand twice.
            let once = scene.job == Job::Rotate && written == 1;
            let report = self.verified().await.expect("an archive");
            assert_eq!(entries(&report), written + usize::from(!once), "{what}");
            self.count("given again");
        }
    }
}

#[test]
fn any_storage_call_of_a_run_may_fail() {
    let run = every_call_of(Job::Run, 72);
    assert!(run["resumed"] > 0 && run["recorded as died"] > 0 && run["not begun"] > 0);
    let beginning = every_call_of(Job::Beginning, 24);
    assert!(beginning["succeeded"] > 0 && beginning["failed"] > 0);
}

#[test]
fn any_storage_call_of_a_step_may_fail() {
    for job in scene::STEPS {
        let counts = every_call_of(job, 10);
        assert!(counts["succeeded"] > 0 && counts["failed"] > 0);
    }
}

#[test]
fn any_storage_call_of_another_command_may_fail() {
    for job in [Job::Rotate, Job::Note, Job::Rollup] {
        let counts = every_call_of(job, 12);
        assert!(counts["succeeded"] > 0 && counts["failed"] > 0);
    }
}
