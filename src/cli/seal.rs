//! `keyproof seal`.

use super::common::{self, Common, LogFormat};
use super::run::ended;
use super::writing::Writing;
use crate::archive::starts::StartError;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::model::words::Severity;
use crate::run::{self, RunError};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The judged run
    #[arg(long, value_name = "ID")]
    run_id: RunId,
    /// PEM file or KMS key ARN that signs the seal
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    /// KMS key that archive objects are put under
    #[arg(long, value_name = "ARN")]
    archive_kms_key: Option<String>,
    /// Folder for local progress
    #[arg(long, value_name = "DIR")]
    work_dir: Option<String>,
    /// Exit 3 when an active cluster has a finding of this severity or above
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Messages as text or as JSON lines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    writing: Writing,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(args.log_format, false);
    let mut flags = Layer::default();
    flags.flag("signing_key", args.signing_key);
    flags.flag("archive_kms_key", args.archive_kms_key);
    flags.flag("work_dir", args.work_dir);
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let shell = common::shell();
    let cancelled = common::cancel_on_signal();
    let sealed = run::seal(&shell, &config, &args.run_id, cancelled).await;
    if let Err(RunError::Start(done @ StartError::Sealed { .. })) = &sealed {
        common::print(&format!("{done}; nothing was done.\n"))?;
        return Ok(Exit::Success);
    }
    let json = args.log_format == LogFormat::Json;
    ended(&sealed.map_err(common::failure)?, args.fail_on, json)
}
