//! `keyproof assess`.

use super::common::{self, Common};
use super::looking::Looking;
use super::writing::Writing;
use crate::archive::starts::StartError;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run::{self, By, RunError};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    looking: Looking,
    /// Of a sealed run: judge by this program's rules and the configuration at hand (rules, waivers),
    /// and list what would be otherwise; without it, by the sealed configuration, to check what was
    /// sealed
    #[arg(long)]
    what_if: bool,
    /// A prepared run, to judge it, or a sealed one, to judge it again
    #[arg(long, value_name = "ID")]
    run_id: RunId,
    #[command(flatten)]
    writing: Writing,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let mut flags = args.looking.layer();
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let by = if args.what_if { By::AtHand } else { By::Sealed };
    let done = match run::reassess(&common::shell(), &config, &args.run_id, by).await {
        Err(not_sealed @ RunError::NoSuchRun { .. }) if !args.what_if => {
            return judge(&args, &config, not_sealed).await;
        }
        done => done.map_err(common::failure)?,
    };
    tracing::info!("{}", done.speed);
    common::print(&done.text)?;
    Ok(if done.equal || args.what_if {
        Exit::Success
    } else {
        Exit::Unverified
    })
}

async fn judge(
    args: &Args,
    config: &crate::config::Config,
    not_sealed: RunError,
) -> Result<Exit, Failure> {
    let options = args.looking.options();
    let (shell, cancelled) = (common::shell(), common::cancel_on_signal());
    match run::assess(&shell, config, &options, &args.run_id, cancelled).await {
        Ok(done) => common::print(&done.text),
        Err(RunError::Start(StartError::NoSuchRun { .. })) => Err(common::failure(not_sealed)),
        Err(error) => Err(common::failure(error)),
    }
}
