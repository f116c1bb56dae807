//! A sandbox organization, a clock that tests move, a folder of its own, and configuration made
//! through the same layers as on the command line.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use keyproof::archive::file_store::FileStore;
use keyproof::archive::store::{Fetch, Store};
use keyproof::archive::verify::{self, Report, VerifiedRun, VerifyOptions};
use keyproof::archive::{layout, records};
use keyproof::aws::{AwsOptions, AwsShell, S3Options, S3Store};
use keyproof::config::{Config, Layer};
use keyproof::model::ids::RunId;
use keyproof::model::table::Dataset;
use keyproof::record;
use keyproof::run::{self, Audited, RunError, RunOptions, Shell};
pub use keyproof::sandbox::TAGS;
use keyproof::sandbox::wire::{Running, ServeOptions};
use keyproof::sandbox::{self, Options, World};
use keyproof::testkit::TempDir;
use keyproof::time::{Clock, Date, ShiftedClock, SystemClock, UtcMillis};
use tokio::sync::watch;

/// A clock that shows the time of another and waits for a twentieth of what it is told to. An
/// organization that enforces no request rates is audited with it as if its rates were twenty times
/// AWS's: what a run concludes does not depend on how long it waited.
#[derive(Debug)]
pub struct Impatient(pub Arc<ShiftedClock>);

impl Clock for Impatient {
    fn now(&self) -> UtcMillis {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.sleep(duration / 20)
    }
}

/// An organization that is being served, and everything that an audit of it needs.
pub struct Place {
    pub world: Arc<World>,
    pub sandbox: Running,
    pub clock: Arc<ShiftedClock>,
    pub dir: TempDir,
}

impl Place {
    /// Serves the organization; its clock stands at the first day's audit.
    pub async fn new(options: &Options) -> Self {
        Self::served(options, ServeOptions::default()).await
    }

    /// The same with latency, faults or token buckets.
    pub async fn served(options: &Options, serve: ServeOptions) -> Self {
        Self::of(World::generate(options), serve).await
    }

    /// The same of a world that was made before.
    pub async fn of(world: World, serve: ServeOptions) -> Self {
        let world = Arc::new(world);
        let clock = Arc::new(ShiftedClock::at(UtcMillis(world.audit_ms(0))));
        let told = clock.clone();
        let now = Arc::new(move || told.now().0);
        let sandbox = sandbox::start(world.clone(), now, serve)
            .await
            .expect("the sandbox listens on loopback");
        Self {
            world,
            sandbox,
            clock,
            dir: TempDir::new(),
        }
    }

    /// A small organization in the present, for the real program: it has the machine's clock.
    pub async fn present(accounts: usize, serve: ServeOptions) -> Self {
        let now = SystemClock.now();
        let options = Options {
            accounts,
            regions: 2,
            clusters: 2,
            days: 3,
            seed: 11,
            start_ms: now.date().plus_days(-1).start().0,
            stories: None,
        };
        let place = Self::served(&options, serve).await;
        place.clock.set(SystemClock.now());
        place
    }

    /// A path below this place's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The archive's folder.
    pub fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// A shell with this place's clock and the management account's credentials.
    pub fn shell(&self) -> Shell {
        Shell {
            clock: self.clock.clone(),
            credentials: Some(sandbox::credentials(self.world.management_account())),
        }
    }

    /// Puts the clock at the audit of a simulated day and gives its date.
    pub fn at_day(&self, day: u32) -> Date {
        let now = UtcMillis(self.world.audit_ms(day));
        self.clock.set(now);
        now.date()
    }

    /// The configuration that the demo has, with the one tag that accounts do not have: reading tags of
    /// 50 accounts takes as long as auditing them. Keys have all tags or none, so that one says of
    /// them as much as three.
    pub fn config(&self) -> Config {
        self.config_with(&[("tags.data_classification", "data-classification")], "")
    }

    /// The same with some settings changed and `file` as the configuration file.
    pub fn config_with(&self, changed: &[(&'static str, &str)], file: &str) -> Config {
        let path = |name: &str| self.path(name).display().to_string();
        let url = self.sandbox.url();
        let mut layer = Layer::default();
        for (name, value) in [
            ("archive", path("archive")),
            ("signing_key", path("signing-key.pem")),
            ("state_dir", path("state")),
            ("work_dir", path("work")),
            ("endpoint_url", url),
            ("external_id", sandbox::EXTERNAL_ID.to_owned()),
            ("quota_share", "1".to_owned()),
            (
                "rules.guardrails",
                self.world.organization.guardrail_arn.clone(),
            ),
            // A dozen look-ups in each place, at two a second.
            ("control_events", "false".to_owned()),
        ] {
            layer.flag(name, Some(value));
        }
        for (name, value) in changed {
            layer.flag(name, Some((*value).to_owned()));
        }
        let toml = self.path("keyproof.toml");
        std::fs::write(&toml, file).expect("write the configuration file");
        let (config, _) = Config::load(Some(&toml), std::iter::empty(), layer)
            .expect("the configuration resolves");
        config
    }

    /// What is asked of a run: nothing beside the configuration.
    pub fn options(&self) -> RunOptions {
        RunOptions::default()
    }

    /// Audits with the default configuration.
    pub async fn audit(&self) -> Audited {
        self.audit_with(&self.config())
            .await
            .expect("the run seals")
    }

    /// Audits with a configuration.
    pub async fn audit_with(&self, config: &Config) -> Result<Audited, RunError> {
        run::audit(&self.shell(), config, &self.options(), never()).await
    }

    /// Calls of one operation so far, of all accounts.
    pub fn calls(&self, operation: &str) -> u64 {
        let calls = self.sandbox.calls();
        calls
            .iter()
            .filter(|c| c.operation == operation)
            .map(|c| c.calls)
            .sum()
    }

    /// The verified local archive.
    pub async fn report(&self) -> Report {
        let report = report(&self.store()).await;
        assert!(report.passed(), "{:?}", report.failures);
        report
    }

    /// The local archive.
    pub fn store(&self) -> FileStore {
        FileStore::at(&self.archive().display().to_string()).expect("a local archive")
    }

    /// An archive in the organization's bucket, as the management account reaches it.
    pub async fn s3_store(&self, prefix: &str) -> S3Store {
        let mut options = AwsOptions::new(self.clock.clone());
        options.endpoint_url = Some(self.sandbox.url());
        options.static_credentials = self.shell().credentials;
        let shell = AwsShell::connect(options).await.expect("a shell");
        let bucket = &self.world.archive_bucket().name;
        let url = format!("s3://{bucket}/{prefix}").parse().expect("a URL");
        S3Store::connect(&shell, url, S3Options::default()).await
    }

    /// A sealed run of the local archive, which is verified first.
    pub async fn sealed(&self, run_id: &RunId) -> Sealed {
        Sealed::of(Box::new(self.store()), run_id).await
    }

    /// The real program, pointed at this place with the management account's credentials and an
    /// environment of its own.
    pub fn program(&self, arguments: &[&str]) -> tokio::process::Command {
        self.program_at(Path::new(env!("CARGO_BIN_EXE_keyproof")), arguments)
    }

    /// The same of a copy of the program.
    pub fn program_at(&self, program: &Path, arguments: &[&str]) -> tokio::process::Command {
        let (key_id, secret) = sandbox::credentials(self.world.management_account());
        let mut program = tokio::process::Command::new(program);
        program
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("AWS_ACCESS_KEY_ID", key_id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_ENDPOINT_URL", self.sandbox.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Nobody else asks the sandbox.
            .env("KEYPROOF_QUOTA_SHARE", "1")
            // A dozen look-ups in each place, at two a second.
            .env("KEYPROOF_CONTROL_EVENTS", "false")
            .kill_on_drop(true);
        program
    }
}

/// A cancellation that never comes.
pub fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

/// Verifies an archive by itself, levels 1 to 3.
pub async fn report(fetch: &dyn Fetch) -> Report {
    let options = VerifyOptions {
        level: 3,
        ..VerifyOptions::default()
    };
    verify::verify(fetch, &options)
        .await
        .expect("the archive can be read")
}

/// A sealed run, all of whose files are as they were sealed.
pub struct Sealed {
    pub store: Box<dyn Store>,
    pub run: VerifiedRun,
}

impl Sealed {
    /// Verifies the archive and finds the run in it.
    pub async fn of(store: Box<dyn Store>, run_id: &RunId) -> Self {
        let report = report(store.as_fetch()).await;
        assert!(report.passed(), "{:?}", report.failures);
        let run = records::by_id(&report.runs, run_id);
        Self {
            run: run.expect("the run is sealed").clone(),
            store,
        }
    }

    /// All rows of a dataset, from every file that the manifest lists.
    pub async fn rows<D: Dataset>(&self) -> Vec<D> {
        let of_dataset = |name: &str| match layout::Name::parse(name) {
            Some(layout::Name::Evidence { dataset, .. }) => dataset == D::NAME,
            _ => false,
        };
        let mut all: Vec<D> = Vec::new();
        let mut files = 0;
        for file in self.run.files.iter().filter(|f| of_dataset(&f.name)) {
            let bytes = records::read_file(self.store.as_fetch(), file, 1 << 30).await;
            let rows = record::read_bytes::<D>(&file.name, bytes.expect("a sealed file"));
            all.extend(rows.expect("Parquet").map(|row| row.expect("a row")));
            files += 1;
        }
        assert!(files > 0, "no file of {}", D::NAME);
        all.sort_by(D::key_order);
        all
    }

    /// Every row of every dataset as text, without what differs between two looks at one world.
    pub async fn lasting_rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        macro_rules! every {
            ($($row:ty),+) => { $(
                let rows = self.rows::<$row>().await;
                all.insert(<$row>::NAME, rows.iter().map(lasting).collect());
            )+ };
        }
        keyproof::for_each_dataset!(every);
        all
    }
}

fn lasting<D: Dataset>(row: &D) -> String {
    let columns = D::COLUMNS.iter().enumerate().filter(|(_, c)| !c.volatile);
    let cells: Vec<_> = columns
        .map(|(at, column)| format!("{}={:?}", column.name, row.cell(at)))
        .collect();
    cells.join(" ")
}

/// Every regular file below a folder, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What a program wrote to standard error, for messages of failed tests.
pub fn told(output: &std::process::Output) -> String {
    // Lines end where the terminal does.
    let text = String::from_utf8_lossy(&output.stderr);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
