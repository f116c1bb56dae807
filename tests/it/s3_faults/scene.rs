//! A small organization with its archive in a bucket, put back as it was before each case.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use keyproof::archive::layout;
use keyproof::archive::local_signer::LocalSigner;
use keyproof::archive::signer::Signer as _;
use keyproof::archive::starts::Start;
use keyproof::archive::store::Fetch as _;
use keyproof::archive::verify::{self, Report, VerifyOptions};
use keyproof::config::Config;
use keyproof::model::ids::{RunId, Sha256Hex};
use keyproof::run::{self, About, KeyChanging, RunError, RunOptions, Shell};
use keyproof::sandbox::Options;
use keyproof::sandbox::services::s3::BucketCopy;
use keyproof::sandbox::wire::Faults;
use keyproof::time::{Clock, ShiftedClock, UtcMillis};

use super::kinds::{Kind, OPERATIONS, counting};
use crate::support::{Place, Sealed, files_below, never};

const RUN: &str = "20261006T020000Z-dead";

/// What is tried while storage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The first run of all, which begins the archive.
    Beginning,
    Run,
    Prepare,
    Collect,
    Assess,
    Seal,
    Rotate,
    Note,
    Rollup,
}

pub const STEPS: [Job; 4] = [Job::Prepare, Job::Collect, Job::Assess, Job::Seal];

/// A clock whose waits between two attempts take a hundredth of their time; deadlines, the shortest
/// of which is 10 s, take all of it.
#[derive(Debug)]
struct Hasty(Arc<ShiftedClock>);

/// Waits of up to so long are for another attempt.
const LONGEST_WAIT_MS: u128 = 6_400;
/// And so are the last ones of `archive::settle`.
const LAST_WAITS_MS: [u128; 2] = [12_800, 15_000];

impl Clock for Hasty {
    fn now(&self) -> UtcMillis {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let ms = duration.as_millis();
        let is_wait = ms <= LONGEST_WAIT_MS || LAST_WAITS_MS.contains(&ms);
        self.0.sleep(duration / if is_wait { 100 } else { 1 })
    }
}

/// The rows of a run, without what differs between two looks at one world.
type Rows = BTreeMap<&'static str, Vec<String>>;

pub struct Scene {
    pub job: Job,
    place: Place,
    bucket: String,
    shell: Shell,
    config: Config,
    /// None where the job begins the archive.
    pin: Option<Sha256Hex>,
    before: BucketCopy,
    /// What this machine remembers of the archive.
    state: BTreeMap<PathBuf, Vec<u8>>,
    /// Number that the job's start gets.
    start: u64,
    /// What a run that nothing disturbs seals.
    expected: Rows,
    /// Calls that an undisturbed job makes, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    pub all_calls: u64,
}

impl Scene {
    /// Makes the archive that the job finds, and counts the job's calls.
    pub async fn new(job: Job) -> Self {
        let place = Place::new(&Options {
            accounts: 1,
            regions: 1,
            clusters: 2,
            days: 3,
            seed: 11,
            ..Options::default()
        })
        .await;
        for key in ["signing-key.pem", "next-key.pem"] {
            LocalSigner::create(&place.path(key)).expect("a key");
        }
        let recovery = LocalSigner::create(&place.path("recovery.pem")).expect("a key");
        let public = place.path("recovery.pub");
        std::fs::write(&public, recovery.public_key().to_pem()).expect("written");
        let bucket = place.world.archive_bucket().name.clone();
        let settings = [
            ("archive", format!("s3://{bucket}/archive")),
            ("chain_copy", format!("s3://{bucket}/copy")),
            ("archive_kms_key", place.world.archive_key_arn()),
            ("archive_lock_days", "30".to_owned()),
            (
                "archive_owner",
                place.world.log_archive_account().to_owned(),
            ),
            ("recovery_key", public.display().to_string()),
            ("attempt_timeout", "5s".to_owned()),
        ];
        let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let config = place.config_with(&settings, "");
        let shell = Shell {
            clock: Arc::new(Hasty(place.clock.clone())),
            ..place.shell()
        };
        let mut scene = Self {
            job,
            before: place.sandbox.copy_bucket(&bucket),
            place,
            bucket,
            shell,
            config,
            pin: None,
            state: BTreeMap::new(),
            start: 1,
            expected: Rows::new(),
            calls: BTreeMap::new(),
            all_calls: 0,
        };
        if job != Job::Beginning {
            scene.next(None).await.expect("the first run");
            let report = scene.verified("the first run").await.expect("an archive");
            scene.pin = report.genesis_sha256;
            scene.start = 2;
            scene.place.at_day(1);
        }
        for step in STEPS.iter().take_while(|step| **step != job) {
            if STEPS.contains(&job) {
                scene.attempt(*step).await.expect("an earlier step");
            }
        }
        scene.before = scene.place.sandbox.copy_bucket(&scene.bucket);
        let remembered = files_below(&scene.place.path("state")).into_iter();
        scene.state = remembered
            .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
            .collect();
        scene.measure().await;
        scene
    }

    async fn measure(&mut self) {
        self.restore();
        self.place.sandbox.set_faults(counting(&self.bucket));
        self.attempt(self.job).await.expect("undisturbed");
        let mut matched = self.place.sandbox.calls_matched();
        self.all_calls = matched.pop().expect("the rule of all");
        let by_operation = OPERATIONS.into_iter().zip(matched);
        self.calls = by_operation.filter(|(_, calls)| *calls > 0).collect();
        assert_eq!(self.calls.values().sum::<u64>(), self.all_calls);
        if STEPS.contains(&self.job) {
            self.finish_from(self.job, true).await.expect("the others");
        }
        let report = self.verified("undisturbed").await.expect("an archive");
        if is_sealed(&report) {
            self.expected = self.rows(&report).await;
        }
    }

    /// Everything as it was before the job, and nothing fails.
    pub fn restore(&self) {
        self.heal();
        self.place.at_day(u32::from(self.pin.is_some()));
        self.place.sandbox.put_back(&self.bucket, &self.before);
        for folder in ["state", "work"] {
            let _ = std::fs::remove_dir_all(self.place.path(folder));
        }
        for (path, bytes) in &self.state {
            let folder = path.parent().expect("a folder");
            std::fs::create_dir_all(folder).expect("a folder");
            std::fs::write(path, bytes).expect("written");
        }
    }

    pub fn set_faults(&self, make: impl FnOnce(&str) -> Faults) {
        self.place.sandbox.set_faults(make(&self.bucket));
    }

    /// Ends all faults; tells the calls that the first rule matched.
    pub fn heal(&self) -> u64 {
        let matched = self.place.sandbox.calls_matched();
        self.place.sandbox.set_faults(Faults::default());
        matched.first().copied().unwrap_or_default()
    }

    /// Does the job, or another step of its run.
    pub async fn attempt(&self, job: Job) -> Result<(), RunError> {
        let (shell, config, id) = (&self.shell, &self.config, &run_id());
        let options = RunOptions {
            run_id: Some(run_id()),
            create_archive: true,
            ..RunOptions::default()
        };
        let remark = || "a test".to_owned().try_into().expect("a remark");
        let quarter = self.place.world.audit_ms(0);
        let quarter = UtcMillis(quarter).date().quarter();
        match job {
            Job::Beginning | Job::Run => {
                let audited = run::audit(shell, config, &options, never());
                audited.await.map(drop)
            }
            Job::Prepare => {
                let done = run::prepare(shell, config, &options, 1, never());
                done.await.map(drop)
            }
            Job::Collect => {
                let done = run::collect(shell, config, &options, id, (1, 1), never());
                done.await.map(drop)
            }
            Job::Assess => {
                let done = run::assess(shell, config, &options, id, never());
                done.await.map(drop)
            }
            Job::Seal => run::seal(shell, config, id, never()).await.map(drop),
            Job::Rotate => {
                let change = KeyChanging {
                    new_key: self.place.path("next-key.pem").display().to_string(),
                    recovery_key: None,
                    reason: remark(),
                };
                let done = run::change_signing_key(shell, config, &change);
                done.await.map(drop)
            }
            Job::Note => {
                let remark = remark();
                let done = run::note(shell, config, &About::Entry(2), &remark);
                done.await.map(drop)
            }
            Job::Rollup => {
                let request = run::RollupRequest::new(quarter);
                run::rollup(shell, config, &request).await.map(drop)
            }
        }
    }

    /// Gives the steps again from one on, or those after it.
    pub async fn finish_from(&self, job: Job, done: bool) -> Result<(), RunError> {
        let at = STEPS.iter().position(|step| *step == job).expect("a step");
        for step in &STEPS[at + usize::from(done)..] {
            self.attempt(*step).await?;
        }
        Ok(())
    }

    /// Another run.
    pub async fn next(&self, take_over: Option<RunId>) -> Result<(), RunError> {
        let options = RunOptions {
            create_archive: true,
            take_over,
            ..RunOptions::default()
        };
        let audited = run::audit(&self.shell, &self.config, &options, never());
        audited.await.map(drop)
    }

    /// The same run goes on.
    pub async fn resume(&self) -> Result<(), RunError> {
        let options = RunOptions {
            resume: Some(run_id()),
            ..RunOptions::default()
        };
        let audited = run::audit(&self.shell, &self.config, &options, never());
        audited.await.map(drop)
    }

    /// The archive, which verifies; none where there is no entry yet.
    pub async fn verified(&self, what: &str) -> Option<Report> {
        let report = self.looked_at(what).await?;
        assert!(report.passed(), "{what}: {:?}", report.failures);
        Some(report)
    }

    /// What verification finds, levels 1 to 5; none where there is no entry yet.
    pub async fn looked_at(&self, what: &str) -> Option<Report> {
        let store = self.place.s3_store("archive").await;
        let chain = store.list(layout::CHAIN).await.expect("listed");
        if chain.is_empty() {
            assert_eq!(self.pin, None, "{what}: the chain is gone");
            return None;
        }
        let options = VerifyOptions {
            pin: self.pin.clone(),
            now: self.place.clock.now(),
            ..VerifyOptions::default()
        };
        let report = verify::verify(&store, &options).await.expect("readable");
        assert_eq!(report.levels.len(), 5);
        Some(report)
    }

    /// Whether the copy of the chain is as long as the chain, and the same.
    pub fn is_copied(&self) -> bool {
        let below = |prefix: &str| -> Vec<_> {
            let keys = self.place.sandbox.object_keys(&self.bucket).into_iter();
            keys.filter_map(|key| {
                let name = key.strip_prefix(prefix)?.to_owned();
                let bytes = self.place.sandbox.object(&self.bucket, &key)?;
                Some((name, bytes))
            })
            .collect()
        };
        below("archive/chain/") == below("copy/chain/")
    }

    async fn rows(&self, report: &Report) -> Rows {
        let run = report.runs.iter().find(|r| r.seal.run_id == run_id());
        let sealed = Sealed {
            store: Box::new(self.place.s3_store("archive").await),
            run: run.expect("sealed").clone(),
        };
        sealed.lasting_rows().await
    }

    /// The run holds what an undisturbed one holds; where a call was refused for good, what it would
    /// have told of the archive is unknown. After minutes the world is another.
    pub async fn is_as_undisturbed(&self, report: &Report, kind: Kind, what: &str) {
        if kind.takes_minutes() {
            return;
        }
        for (dataset, mut rows) in self.rows(report).await {
            let expected = &self.expected[dataset];
            if dataset == "archive" && !kind.is_passing() {
                for (row, expected) in rows.iter_mut().zip(expected) {
                    let unknown = ["pass", "fail"]
                        .into_iter()
                        .fold(expected.clone(), |row, word| {
                            row.replace(&outcome(word), &outcome("unknown"))
                        });
                    if *row == unknown {
                        row.clone_from(expected);
                    }
                }
            }
            assert_eq!(rows, *expected, "{what}: {dataset}");
        }
    }

    /// What stands under the number of the job's start: none, or whether it is the run's own.
    pub fn start(&self) -> Option<bool> {
        let key = format!("archive/{}", layout::start(self.start));
        let bytes = self.place.sandbox.object(&self.bucket, &key)?;
        let start = Start::parse(self.start, &bytes);
        Some(start.is_ok_and(|start| start.run_id == run_id()))
    }

    pub fn start_number(&self) -> u64 {
        self.start
    }

    /// Whether a document of the run exists: `end.json`, `scope.json`.
    pub fn has(&self, document: &str) -> bool {
        let keys = self.place.sandbox.object_keys(&self.bucket);
        let ending = format!("{RUN}/{document}");
        keys.iter().any(|key| key.ends_with(&ending))
    }

    /// Whether the process left what the run can go on from.
    pub fn has_progress(&self) -> bool {
        let folder = self.place.path("work").join(format!("keyproof-{RUN}"));
        folder.join("scope.json").exists()
    }
}

pub fn run_id() -> RunId {
    RUN.parse().expect("a run id")
}

/// Whether readers see the job's run.
pub fn is_sealed(report: &Report) -> bool {
    report.runs.iter().any(|run| run.seal.run_id == run_id())
}

/// A column of a row of `archive`.
fn outcome(word: &str) -> String {
    format!("outcome=Text(\"{word}\")")
}
