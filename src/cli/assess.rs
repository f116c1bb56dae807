//! `keyproof assess`.

use super::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The sealed run
    #[arg(long, value_name = "ID")]
    run_id: RunId,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let (config, _) = common::load(&args.common, Default::default())?;
    let done = run::reassess(&common::shell(), &config, &args.run_id)
        .await
        .map_err(|e| Failure {
            exit: e.exit(),
            message: e.to_string(),
        })?;
    common::print(&done.text)?;
    Ok(if done.equal {
        Exit::Success
    } else {
        Exit::Unverified
    })
}
