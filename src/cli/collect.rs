//! `keyproof collect`.

use super::common::{self, Common};
use super::looking::Looking;
use super::writing::Writing;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    looking: Looking,
    /// The prepared run
    #[arg(long, value_name = "ID")]
    run_id: RunId,
    /// Which of the shards, e.g. 3/8
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: (u32, u32),
    #[command(flatten)]
    writing: Writing,
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/');
    let parsed = parts.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((k, n)) if 1 <= k && k <= n => Ok((k, n)),
        _ => Err("a shard is K/N, from 1/N to N/N".to_owned()),
    }
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let mut flags = args.looking.layer();
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let done = run::collect(
        &common::shell(),
        &config,
        &args.looking.options(),
        &args.run_id,
        args.shard,
        common::cancel_on_signal(),
    )
    .await;
    common::print(&done.map_err(common::failure)?.text)
}
