//! `keyproof prepare`.

use super::beginning::Beginning;
use super::common::{self, Common};
use super::looking::Looking;
use crate::error::{Exit, Failure};
use crate::run;

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
    #[command(flatten)]
    beginning: Beginning,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let mut flags = args.looking.layer();
    flags.flag("signing_key", args.signing_key);
    args.beginning.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let options = args.beginning.options(args.looking.options());
    let cancelled = common::cancel_on_signal();
    let done = run::prepare(&common::shell(), &config, &options, args.shards, cancelled).await;
    common::print(&done.map_err(common::failure)?.text)
}
