//! `keyproof rollup`.

use super::common::{self, Common};
use super::writing::Writing;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::run;
use crate::time::Quarter;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The quarter, e.g. 2026Q4
    #[arg(long)]
    quarter: Quarter,
    /// PEM file or KMS key ARN that signs the seal
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    /// Print the figures without sealing them
    #[arg(long)]
    no_seal: bool,
    #[command(flatten)]
    writing: Writing,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let mut flags = Layer::default();
    flags.flag("signing_key", args.signing_key);
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let done = run::rollup(&common::shell(), &config, args.quarter, !args.no_seal)
        .await
        .map_err(|e| Failure {
            exit: e.exit(),
            message: e.to_string(),
        })?;
    common::print(&done.text)
}
