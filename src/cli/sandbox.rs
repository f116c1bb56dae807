//! `keyproof sandbox`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::common;
use crate::error::{Exit, Failure};
use crate::sandbox::wire::{Faults, Running, ServeOptions};
use crate::sandbox::{self, Options, World};
use crate::time::{Clock, Date, SystemClock};

/// The shape of the generated organization.
#[derive(Debug, Clone, clap::Args)]
pub struct Size {
    /// Accounts of the organization
    #[arg(long, default_value_t = 12, value_parser = at_least_one())]
    pub accounts: usize,
    /// Regions that have clusters
    #[arg(long, default_value_t = 3, value_parser = at_least_one())]
    pub regions: usize,
    /// Clusters alive on an average day, per account and Region
    #[arg(long, default_value_t = 4)]
    pub clusters: usize,
    /// Days that the organization's story spans
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub days: u32,
    /// The same seed gives the same organization
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

fn at_least_one() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..)
}

impl Size {
    /// As the sandbox's own options, with the story beginning on `first_day`.
    pub fn options(&self, first_day: Date) -> Options {
        Options {
            accounts: self.accounts,
            regions: self.regions,
            clusters: self.clusters,
            days: self.days,
            seed: self.seed,
            start_ms: first_day.start().0,
            stories: None,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Loopback address to serve on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(flatten)]
    size: Size,
    /// Write the stated truth of a first run at this moment to a file
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Milliseconds that answers are late on average, each a quarter more or less
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// Faults to inject, as JSON (docs/sandbox.md)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Throttle as AWS does
    #[arg(long, default_value = "off")]
    buckets: Buckets,
    /// Write what was called, and what AWS grants for it, to a file at the end
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Buckets {
    Real,
    Off,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let faults = match &args.faults {
        None => Faults::default(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()))
            .map_err(|e| {
                Failure::usage(format!("cannot use the faults in {}: {e}", path.display()))
            })?,
    };
    let now = SystemClock.now();
    let first_day = now.date().plus_days(1 - i64::from(args.size.days));
    let world = Arc::new(World::generate(&args.size.options(first_day)));
    if let Some(path) = &args.truth {
        let truth = serde_json::to_vec_pretty(&world.truth(now.0, None))
            .map_err(|e| Failure::failed(e.to_string()))?;
        std::fs::write(path, truth)
            .map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))?;
    }
    let options = ServeOptions {
        listen: args.listen,
        latency_ms: args.latency,
        faults,
        token_buckets: args.buckets == Buckets::Real,
    };
    let running = sandbox::start(world.clone(), Arc::new(|| SystemClock.now().0), options)
        .await
        .map_err(|e| Failure::failed(format!("cannot serve on {}: {e}", args.listen)))?;
    // From the first line that a script can wait for, a signal finds its listener.
    let mut cancelled = common::cancel_on_signal();
    let (key_id, secret) = sandbox::credentials(world.management_account());
    let tags: String = sandbox::TAGS
        .iter()
        .map(|(setting, tag)| {
            let variable = setting.replace('.', "_").to_uppercase();
            format!("\n  export KEYPROOF_{variable}={tag}")
        })
        .collect();
    common::print(&format!(
        "Serving a generated organization on {url}\n\
         \n  export AWS_ACCESS_KEY_ID={key_id} AWS_SECRET_ACCESS_KEY={secret}\
         {tags}\
         \n  export KEYPROOF_RULES_GUARDRAILS={guardrail}\
         \n  keyproof run --endpoint-url {url} --archive ./sandbox-archive\n\
         \nCtrl-C ends it.\n",
        url = running.url(),
        guardrail = world.organization.guardrail_arn,
    ))?;
    let _ = cancelled.wait_for(|stop| *stop).await;
    // Before connections are waited for: they may hang, and who waits may lose patience.
    if let Some(path) = &args.calls {
        std::fs::write(path, called(&running))
            .map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))?;
    }
    running.stop().await;
    Ok(Exit::Success)
}

/// What the sandbox was asked, as JSON: a benchmark compares a run's time with what these calls
/// need at best.
fn called(running: &Running) -> String {
    let calls: Vec<_> = running
        .calls()
        .into_iter()
        .map(|count| {
            let granted = count.granted_rate();
            serde_json::json!({
                "account": count.account,
                "region": count.region,
                "service": count.service,
                "operation": count.operation,
                "calls": count.calls,
                "throttled": count.throttled,
                "first_ms": count.first_ms,
                "last_ms": count.last_ms,
                "burst": granted.map(|g| g.0),
                "refill_per_s": granted.map(|g| g.1),
            })
        })
        .collect();
    serde_json::json!({
        "calls": calls,
        "connections": running.connections_opened(),
        "in_flight_max": running.in_flight_max(),
    })
    .to_string()
}
