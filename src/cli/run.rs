//! `keyproof run`.

use super::beginning::Beginning;
use super::common::{self, Common};
use super::looking::Looking;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::model::words::{RunOutcome, Severity};
use crate::run::{self, Audited, RunOptions};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    looking: Looking,
    /// PEM file or KMS key ARN that signs the seal
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    #[command(flatten)]
    beginning: Beginning,
    /// Go on with a run whose process died, from the progress in --work-dir
    #[arg(
        long,
        value_name = "RUN_ID",
        conflicts_with_all = ["run_id", "scheduled_for", "take_over", "create_archive"]
    )]
    resume: Option<RunId>,
    /// Print what the run would ask, how long that takes and what it costs; enter no account and write
    /// nothing. With --log-format json, one JSON object
    #[arg(long, conflicts_with_all = ["resume", "take_over"])]
    dry_run: bool,
    /// Exit 3 when an active cluster has a finding of this severity or above
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let json = args.looking.is_json();
    match audit(args).await {
        Err(failure) if json => {
            tracing::error!(exit = failure.exit as u8, "{failure}");
            Ok(failure.exit)
        }
        done => done,
    }
}

async fn audit(args: Args) -> Result<Exit, Failure> {
    let mut flags = args.looking.layer();
    flags.flag("signing_key", args.signing_key);
    args.beginning.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let options = RunOptions {
        resume: args.resume,
        ..args.beginning.options(args.looking.options())
    };
    if args.dry_run {
        let cancelled = common::cancel_on_signal();
        let plan = run::call_plan(&common::shell(), &config, &options, cancelled).await;
        let plan = plan.map_err(common::failure)?;
        return if args.looking.is_json() {
            common::print(&format!("{}\n", plan.json()))
        } else {
            common::print(&plan.text())
        };
    }
    let audited = run::audit(
        &common::shell(),
        &config,
        &options,
        common::cancel_on_signal(),
    )
    .await
    .map_err(common::failure)?;
    ended(&audited, args.fail_on, args.looking.is_json())
}

/// Prints what was sealed and gives the exit code. `json`: among the JSON lines on standard error is then
/// one for CloudWatch, which `--quiet` does not silence.
pub fn ended(audited: &Audited, fail_on: Option<Severity>, json: bool) -> Result<Exit, Failure> {
    if json {
        eprintln!("{}", audited.metrics.to_line());
    }
    let exit = match audited.outcome {
        RunOutcome::Partial => Exit::Partial,
        RunOutcome::Complete if fail_on.is_some_and(|s| audited.worst_active >= Some(s)) => {
            Exit::Findings
        }
        RunOutcome::Complete => Exit::Success,
    };
    common::print(&audited.summary)?;
    Ok(exit)
}
