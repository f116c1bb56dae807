//! The program as a person starts it: a process with an environment of its own, a folder that is
//! looked at before and after, and a sandbox that is served beside it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use keyproof::sandbox::wire::{Running, ServeOptions};
use keyproof::sandbox::{self, Options, World};
use keyproof::testkit::TempDir;
use keyproof::time::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};

/// Nothing that these tests start takes longer, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(120);

/// A small organization whose every account answers: a run over it is COMPLETE.
pub static SMALL: LazyLock<Served> = LazyLock::new(|| Served::new(|_| {}, 0));

/// An organization that is served until the end.
pub struct Served {
    pub world: Arc<World>,
    pub sandbox: Running,
    _runtime: Runtime,
}

impl Served {
    /// Four accounts in one Region, changed by `edit`; its clock is `shift_ms` ahead of the machine's.
    pub fn new(edit: impl FnOnce(&mut World), shift_ms: i64) -> Self {
        let first_day = SystemClock.now().date().plus_days(-1);
        let mut world = World::generate(&Options {
            accounts: 4,
            regions: 1,
            clusters: 4,
            days: 2,
            seed: 7,
            start_ms: first_day.start().0,
            stories: None,
        });
        edit(&mut world);
        let world = Arc::new(world);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let now = Arc::new(move || SystemClock.now().0 + shift_ms);
        let started = sandbox::start(world.clone(), now, ServeOptions::default());
        let sandbox = runtime.block_on(started).expect("loopback");
        Self {
            world,
            sandbox,
            _runtime: runtime,
        }
    }

    /// Access key id of an account's user.
    pub fn key_id(&self, account: &str) -> String {
        sandbox::credentials(account).0
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ended {
    /// Checks the exit code and that standard error has every one of `parts`.
    #[track_caller]
    pub fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        // clap breaks lines where the terminal ends, messages of ours have one line.
        let err = self.err.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(err.contains(part), "'{part}' is not in: {err}");
        }
        for line in self.err.lines() {
            assert!(!line.contains("panicked"), "{}", self.err);
        }
    }

    /// Checks the exit code and that standard output has every one of `parts`.
    #[track_caller]
    pub fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.out.contains(part), "'{part}' is not in: {}", self.out);
        }
    }
}

/// A folder to work in, with an environment that leads to the sandbox and nowhere else.
pub struct Desk {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Desk {
    /// As the management account of [`SMALL`].
    pub fn new() -> Self {
        Self::before(&SMALL)
    }

    /// As the management account of `served`.
    pub fn before(served: &Served) -> Self {
        let (id, secret) = sandbox::credentials(served.world.management_account());
        let dir = TempDir::new();
        std::fs::create_dir(dir.path().join("desk")).expect("a folder");
        let home = dir.path().join("home").display().to_string();
        let env = [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", served.sandbox.url()),
            // Nobody else asks the sandbox.
            ("KEYPROOF_QUOTA_SHARE", "1".to_owned()),
            ("XDG_STATE_HOME", format!("{home}/state")),
            ("HOME", home),
            ("TMPDIR", dir.path().display().to_string()),
            ("PATH", std::env::var("PATH").expect("PATH")),
        ];
        Self {
            dir,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The same desk with another variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// The same desk without a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// The same desk without credentials.
    pub fn without_credentials(self) -> Self {
        self.without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
    }

    /// Below the folder in which commands run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("desk").join(name)
    }

    /// Writes a file below the folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(&path, bytes).expect("file");
        path
    }

    /// Every file and folder there, home and temporary folder included.
    pub fn listing(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut open = vec![self.dir.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                all.push(path.display().to_string());
                if path.is_dir() && !path.is_symlink() {
                    open.push(path);
                }
            }
        }
        all.sort();
        all
    }

    /// Changes the one sealed file of a measure in `archive`.
    pub fn change_rollup(&self, measure: &str) {
        let folder = self.path(&format!("archive/rollup/{measure}/"));
        let below = |name: &String| {
            name.starts_with(&*folder.to_string_lossy()) && name.ends_with(".parquet")
        };
        let file = self.listing().into_iter().find(below).expect("a file");
        let mut permissions = std::fs::metadata(&file).expect("file").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(&file, permissions).expect("writable");
        let mut bytes = std::fs::read(&file).expect("file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).expect("file");
    }

    /// Runs the program.
    pub fn keyproof<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyproof"));
        command.args(args);
        self.start(command).wait()
    }

    /// Starts a command line that has no spaces within its words, and goes on.
    pub fn begin(&self, line: &str) -> Started {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyproof"));
        command.args(line.split_whitespace());
        self.start(command)
    }

    /// Runs a command line that has no spaces within its words.
    pub fn line(&self, line: &str) -> Ended {
        self.keyproof(line.split_whitespace())
    }

    /// A command line that must change nothing.
    #[track_caller]
    pub fn changes_nothing(&self, line: &str) -> Ended {
        let before = self.listing();
        let ended = self.line(line);
        assert_eq!(before, self.listing(), "{line} left something: {ended:#?}");
        ended
    }

    fn start(&self, mut command: Command) -> Started {
        command
            .current_dir(self.dir.path().join("desk"))
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Started {
            begun: Instant::now(),
            child: command.spawn().expect("the program starts"),
        }
    }
}

/// A process that runs.
pub struct Started {
    begun: Instant,
    child: Child,
}

impl Started {
    /// Asks it to stop.
    pub fn terminate(&self) {
        send("TERM", self.child.id());
    }

    /// Waits for its end.
    pub fn wait(self) -> Ended {
        let id = self.child.id();
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        // A hanging program would hang the tests.
        let watch = std::thread::spawn(move || {
            if waiting.recv_timeout(LONGEST).is_err() {
                send("KILL", id);
            }
        });
        let output = self.child.wait_with_output().expect("output");
        let took = self.begun.elapsed();
        let _ = done.send(());
        watch.join().expect("watch");
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }
}

fn send(signal: &str, id: u32) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {id}")])
        .status();
    assert!(sent.expect("sh").success(), "kill -{signal} {id}");
}

/// An archive of one sealed run, with its key beside it; never changed, only copied.
pub static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let desk = Desk::new();
    let run = desk.line("run --single-account --archive archive");
    run.says(0, &["SEALED, COMPLETE", "Pin"]);
    let genesis = std::fs::read(desk.path("archive/chain/0000000001.dsse.json")).expect("entry 1");
    let run_id = run.out.split_whitespace().nth(1).expect("a run id");
    Sealed {
        run_id: run_id.to_owned(),
        pin: keyproof::model::ids::Sha256Hex::of(&genesis).to_string(),
        desk,
    }
});

pub struct Sealed {
    desk: Desk,
    pub run_id: String,
    pub pin: String,
}

impl Sealed {
    /// The quarter of the sealed run.
    pub fn quarter(&self) -> String {
        let id = &self.run_id;
        let date = format!("{}-{}-{}", &id[..4], &id[4..6], &id[6..8]);
        let date: keyproof::time::Date = date.parse().expect("a date");
        date.quarter().to_string()
    }

    /// Puts `archive` and `archive.signing-key.pem` on another desk, whose state remembers neither.
    pub fn copy_to(&self, desk: &Desk) {
        for name in ["archive", "archive.signing-key.pem"] {
            copy(&self.desk.path(name), &desk.path(name));
        }
    }

    /// A fresh desk with a copy.
    pub fn desk(&self) -> Desk {
        let desk = Desk::new();
        self.copy_to(&desk);
        desk
    }
}

/// Copies a file, or a folder with everything in it; modes are kept.
pub fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("folder");
        for entry in std::fs::read_dir(from).expect("folder") {
            let entry = entry.expect("entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).expect("file");
    }
}
