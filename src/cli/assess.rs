//! `keyproof assess`.

use super::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run::{self, By};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Judge by this program's rules and the configuration at hand (rules, waivers), and list what
    /// would be otherwise; without it, by the sealed configuration, to check what was sealed
    #[arg(long)]
    what_if: bool,
    /// The sealed run
    #[arg(long, value_name = "ID")]
    run_id: RunId,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let (config, _) = common::load(&args.common, Default::default())?;
    let by = if args.what_if { By::AtHand } else { By::Sealed };
    let done = run::reassess(&common::shell(), &config, &args.run_id, by)
        .await
        .map_err(|e| Failure {
            exit: e.exit(),
            message: e.to_string(),
        })?;
    tracing::info!("{}", done.speed);
    common::print(&done.text)?;
    Ok(if done.equal || args.what_if {
        Exit::Success
    } else {
        Exit::Unverified
    })
}
