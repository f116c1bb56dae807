//! `keyproof note`.

use super::common::{self, Common};
use super::writing::Writing;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run::{self, About};
use crate::seal::Remark;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The run or rollup that the note is about
    #[arg(long, value_name = "ID", required_unless_present = "entry")]
    run_id: Option<RunId>,
    /// The entry of the chain that the note is about
    #[arg(long, value_name = "SEQ", conflicts_with = "run_id")]
    entry: Option<u64>,
    /// PEM file or KMS key ARN that signs
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    /// The remark: one line, kept for as long as the archive
    #[arg(value_name = "TEXT", value_parser = common::remark)]
    text: Remark,
    #[command(flatten)]
    writing: Writing,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let mut flags = Layer::default();
    flags.flag("signing_key", args.signing_key);
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let about = match (args.run_id, args.entry) {
        (Some(run_id), _) => About::Run(run_id),
        (None, Some(seq)) => About::Entry(seq),
        (None, None) => return Err(Failure::usage("name --run-id or --entry".to_owned())),
    };
    let text = run::note(&common::shell(), &config, &about, &args.text)
        .await
        .map_err(common::failure)?;
    common::print(&text)
}
