//! `keyproof prepare`.

use super::common::{self, Common};
use super::looking::Looking;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run::{self, RunOptions};
use crate::time::Date;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    looking: Looking,
    /// How many processes will collect
    #[arg(long, value_name = "N")]
    shards: u32,
    /// PEM file or KMS key ARN; only needed where the archive begins
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    /// Date the run speaks for [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    scheduled_for: Option<Date>,
    /// Name of the run [default: its start and random digits]
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Begin a new archive on s3://
    #[arg(long)]
    create_archive: bool,
    /// End a dead process's run, then begin
    #[arg(long, value_name = "RUN_ID")]
    take_over: Option<RunId>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let mut flags = args.looking.layer();
    flags.flag("signing_key", args.signing_key);
    let (config, _) = common::load(&args.common, flags)?;
    let options = RunOptions {
        scheduled_for: args.scheduled_for,
        run_id: args.run_id,
        create_archive: args.create_archive,
        take_over: args.take_over,
        ..args.looking.options()
    };
    let cancelled = common::cancel_on_signal();
    let done = run::prepare(&common::shell(), &config, &options, args.shards, cancelled).await;
    common::print(&done.map_err(common::failure)?.text)
}
