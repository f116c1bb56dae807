//! What several commands share: the flags of an archive, logging, printing.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, Layer, Settings};
use crate::error::{Exit, Failure};
use crate::run::{RunError, Shell};
use crate::seal::{Remark, RemarkError};
use crate::time::SystemClock;

/// Flags of every command that touches an archive.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// Configuration file [default: keyproof.toml, if it is there]
    #[arg(long, env = "KEYPROOF_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where evidence is: a folder, file:///dir or s3://bucket/prefix
    #[arg(long, value_name = "URL")]
    pub archive: Option<String>,
    /// One endpoint for every AWS service, e.g. a sandbox
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// AWS profile
    #[arg(long)]
    pub profile: Option<String>,
    /// Region of the collector's own calls
    #[arg(long)]
    pub region: Option<String>,
    /// Folder that remembers archives
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
}

impl Common {
    /// These flags as a layer.
    pub fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        layer.flag("archive", self.archive.clone());
        layer.flag("endpoint_url", self.endpoint_url.clone());
        layer.flag("profile", self.profile.clone());
        layer.flag("region", self.region.clone());
        layer.flag("state_dir", self.state_dir.clone());
        layer
    }
}

/// Resolves the configuration: file, environment, the common flags, then `flags`.
pub fn load(common: &Common, flags: Layer) -> Result<(Config, Settings), Failure> {
    let mut all = common.layer();
    all.extend(flags);
    let environment: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("KEYPROOF_"))
        .collect();
    let readable = |(name, value): (String, std::ffi::OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Failure::usage(format!("environment {name} is not UTF-8"))),
    };
    let environment: Vec<_> = environment
        .into_iter()
        .map(readable)
        .collect::<Result<_, _>>()?;
    Config::load(common.config.as_deref(), environment.into_iter(), all)
        .map_err(|e| Failure::usage(e.to_string()))
}

/// The machine's clock, and the default chain's credentials.
pub fn shell() -> Shell {
    Shell {
        clock: Arc::new(SystemClock),
        credentials: None,
    }
}

/// A remark on the command line.
pub fn remark(text: &str) -> Result<Remark, RemarkError> {
    text.trim().to_owned().try_into()
}

/// How a command that failed ends.
pub fn failure(error: RunError) -> Failure {
    Failure {
        exit: error.exit(),
        message: error.to_string(),
    }
}

/// Writes to standard output. A reader that closed the pipe is no failure.
pub fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(Exit::Success),
    }
}

/// How messages are written while a command works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Sends messages to standard error: text for people, one JSON object a line for machines.
///
/// `KEYPROOF_LOG` chooses among this program's own messages. Of the libraries only warnings are
/// written, whatever it says: at finer levels they write AWS's answers, credentials included.
pub fn start_logging(format: LogFormat, quiet: bool) {
    let level = if quiet {
        "error"
    } else {
        "keyproof=info,error"
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEYPROOF_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let sayable = || {
        tracing_subscriber::filter::filter_fn(|message| {
            is_sayable(message.target(), *message.level())
        })
    };
    // A second initialisation (tests that call commands in one process) keeps the first.
    let _ = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .finish()
            .with(sayable())
            .try_init(),
        LogFormat::Text => builder
            .with_target(false)
            .without_time()
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .with(sayable())
            .try_init(),
    };
}

fn is_sayable(target: &str, level: tracing::Level) -> bool {
    let ours = target == "keyproof" || target.starts_with("keyproof::");
    ours || level <= tracing::Level::WARN
}

/// A signal that turns true at Ctrl-C or SIGTERM.
pub fn cancel_on_signal() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if sender.send_replace(true) {
                // Asked twice: what is under way is cut off, as if the process had died.
                std::process::exit(Exit::Failed as i32);
            }
            tracing::warn!(
                "stopping: what is under way ends, then the run is marked as ended; a second \
                 signal ends the process at once"
            );
        }
    });
    receiver
}

/// Ctrl-C and SIGTERM, from the moment that this is made.
pub struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// Must be called inside a Tokio runtime.
    pub fn listen() -> Self {
        let both = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        Self(
            both.inspect_err(|error| tracing::warn!("signals end the process at once: {error}"))
                .ok(),
        )
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some((interrupt, terminate)) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_say_no_more_than_warnings() {
        assert!(is_sayable("keyproof::run", Level::TRACE));
        assert!(is_sayable("aws_smithy_runtime", Level::WARN));
        for target in [
            "aws_smithy_runtime",
            "hyper",
            "keyproofs",
            "aws_config::sso",
        ] {
            assert!(!is_sayable(target, Level::INFO), "{target}");
        }
    }
}
