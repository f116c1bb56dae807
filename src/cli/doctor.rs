//! `keyproof doctor`.

use super::common::{self, Common};
use super::looking::Looking;
use super::writing::Writing;
use crate::error::{Exit, Failure};
use crate::report::doctor_summary::{DoctorSummary, render, render_json};
use crate::run;

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
    writing: Writing,
    /// What this role has to do: all of a run, only collect (it signs nothing), or only seal (it
    /// enters no account)
    #[arg(long, value_enum, default_value = "all")]
    duties: Duties,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Duties {
    All,
    Collect,
    Seal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let mut flags = args.looking.layer();
    flags.flag("signing_key", args.signing_key);
    args.writing.add_to(&mut flags);
    let config = match common::load(&args.common, flags) {
        Ok((config, _)) => config,
        Err(failure) => {
            return print(&run::unconfigured(failure.message), args.format);
        }
    };
    let duties = match args.duties {
        Duties::All => run::Duties::All,
        Duties::Collect => run::Duties::Collect,
        Duties::Seal => run::Duties::Seal,
    };
    let (shell, options) = (common::shell(), args.looking.options());
    let cancelled = common::cancel_on_signal();
    let summary = run::doctor(&shell, &config, duties, &options, cancelled)
        .await
        .map_err(common::failure)?;
    print(&summary, args.format)
}

fn print(summary: &DoctorSummary, format: Format) -> Result<Exit, Failure> {
    common::print(&match format {
        Format::Text => render(summary),
        Format::Json => render_json(summary),
    })?;
    Ok(summary.exit)
}
