//! `keyproof demo`: a simulated organization, audited for several days, sealed, verified, rolled up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::common::{self, LogFormat};
use super::sandbox::Size;
use crate::config::{Config, Layer};
use crate::error::{Exit, Failure};
use crate::run::{self, RunError, RunOptions, Shell, VerifyRequest};
use crate::sandbox::wire::ServeOptions;
use crate::sandbox::{self, World};
use crate::time::{Clock, Date, HOUR_MS, ShiftedClock, SystemClock};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    size: Size,
    /// First simulated day
    #[arg(long, default_value = "2026-10-05", value_name = "DATE")]
    first_day: Date,
    /// Folder for archive, key and state; a fresh one is made below it
    #[arg(long, default_value = "keyproof-demo", value_name = "DIR")]
    out: PathBuf,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(LogFormat::Text, true);
    let failure = |e: RunError| Failure {
        exit: e.exit(),
        message: e.to_string(),
    };
    let begun = SystemClock.now();
    let folder = args.out.join(begun.compact());
    let size = &args.size;
    let world = Arc::new(World::generate(&size.options(args.first_day)));
    let clock = Arc::new(ShiftedClock::at(args.first_day.start()));
    let told = clock.clone();
    let running = sandbox::start(
        world.clone(),
        Arc::new(move || told.now().0),
        ServeOptions::default(),
    )
    .await
    .map_err(|e| Failure::failed(format!("cannot start the sandbox: {e}")))?;
    common::print(&format!(
        "A simulated organization of {} accounts answers on {}.\n\
         Nothing here needs credentials or a network.\n",
        size.accounts,
        running.url()
    ))?;
    let guardrail = &world.organization.guardrail_arn;
    let config = demo_config(&folder, &running.url(), guardrail)?;
    let shell = Shell {
        clock: clock.clone(),
        credentials: Some(sandbox::credentials(world.management_account())),
    };
    let options = RunOptions::default();
    let (_held, never) = tokio::sync::watch::channel(false);
    let mut partial = false;
    for day in 0..size.days {
        let date = args.first_day.plus_days(i64::from(day));
        clock.set(date.start().plus_ms(2 * HOUR_MS));
        common::print(&format!("\n--- {date}, 02:00 UTC: keyproof run\n\n"))?;
        let audited = run::audit(&shell, &config, &options, never.clone())
            .await
            .map_err(failure)?;
        partial |= audited.outcome == crate::model::words::RunOutcome::Partial;
        common::print(&audited.summary)?;
    }
    running.stop().await;

    let quarter = args.first_day.quarter();
    common::print(&format!("\n--- keyproof rollup --quarter {quarter}\n\n"))?;
    common::print(
        &run::rollup(&shell, &config, &run::RollupRequest::new(quarter))
            .await
            .map_err(failure)?
            .text,
    )?;
    common::print("\n--- keyproof verify\n\n")?;
    let verified = run::verify(&shell, &config, &VerifyRequest::default())
        .await
        .map_err(failure)?;
    common::print(&verified.text)?;

    let archive = folder.join("archive");
    let seconds = (SystemClock.now().0 - begun.0) as f64 / 1000.0;
    common::print(&format!(
        "\nDone in {seconds:.0} s. {}\nEverything is below {}:\n\
         \n  archive/          the evidence: Parquet, manifests, chain, keys\
         \n  signing-key.pem   the private key, mode 0600, never inside the archive\
         \n  state/            what this machine remembers of the archive\n\
         \nTry next:\n\
         \n  scripts/verify-archive.sh {shown} --pin {pin}\
         \n  {program} verify {shown} --pin {pin}\
         \n  {program} query --archive {shown} --named owners\
         \n  printf x >> {shown}/{victim}     # then check again\n",
        if partial {
            "Runs are PARTIAL: some accounts refuse us, as in real life."
        } else {
            ""
        },
        folder.display(),
        shown = archive.display(),
        // As it was called, so that the lines can be pasted.
        program = std::env::args()
            .next()
            .unwrap_or_else(|| "keyproof".to_owned()),
        pin = verified.genesis,
        victim = verified.evidence.first().map_or("keys", String::as_str),
    ))?;
    Ok(if verified.passed {
        Exit::Success
    } else {
        Exit::Unverified
    })
}

fn demo_config(folder: &Path, endpoint: &str, guardrail: &str) -> Result<Config, Failure> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut layer = Layer::default();
    let values = [
        ("archive", path("archive")),
        ("signing_key", path("signing-key.pem")),
        ("state_dir", path("state")),
        ("work_dir", path("work")),
        ("endpoint_url", endpoint.to_owned()),
        ("external_id", sandbox::EXTERNAL_ID.to_owned()),
        ("rules.guardrails", guardrail.to_owned()),
        // A dozen look-ups in each place at AWS's rate would be most of the demo's time.
        ("control_events", "false".to_owned()),
        // Nobody else asks the simulated accounts.
        ("quota_share", "1".to_owned()),
    ];
    let tags = sandbox::TAGS.map(|(name, tag)| (name, tag.to_owned()));
    for (name, value) in values.into_iter().chain(tags) {
        layer.flag(name, Some(value));
    }
    // The demo reads neither keyproof.toml nor the environment: it must be the same everywhere.
    Config::of_layer(layer).map_err(|e| Failure::usage(e.to_string()))
}
