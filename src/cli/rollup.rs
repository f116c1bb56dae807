//! `keyproof rollup`.

use std::path::{Path, PathBuf};

use super::common::{self, Common};
use super::writing::Writing;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::model::ids::Sha256Hex;
use crate::rollup::{Price, Scopes, parse_prices};
use crate::run::{self, RollupRequest, RunError};
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
    /// Prices that costs are reckoned with, of the form of schemas/prices.csv
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Print the figures without sealing them
    #[arg(long)]
    no_seal: bool,
    /// Compute a sealed edition once more, without the signing key, and say EQUAL or DIFFERENT
    #[arg(long, conflicts_with_all = ["no_seal", "signing_key", "prices", "format", "all"])]
    check: bool,
    /// The edition to check [default: the newest]
    #[arg(long, value_name = "N", requires = "check")]
    edition: Option<u64>,
    /// SHA-256 of the archive's first entry, as its owner told you
    #[arg(long, value_name = "SHA256")]
    pin: Option<Sha256Hex>,
    /// Show every scope, not only those with most to do
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    writing: Writing,
    /// How the figures are written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let mut flags = Layer::default();
    flags.flag("signing_key", args.signing_key);
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let failed = |e: RunError| Failure {
        exit: e.exit(),
        message: e.to_string(),
    };
    if args.check {
        let shell = common::shell();
        let (edition, pin) = (args.edition, args.pin.as_ref());
        let checked = run::check_rollup(&shell, &config, args.quarter, edition, pin)
            .await
            .map_err(failed)?;
        let printed = common::print(&checked.text)?;
        return Ok(if checked.is_equal {
            printed
        } else {
            Exit::Unverified
        });
    }
    let request = RollupRequest {
        quarter: args.quarter,
        prices: args.prices.as_deref().map(read_prices).transpose()?,
        seal: !args.no_seal,
        scopes: if args.all { Scopes::All } else { Scopes::Most },
        pin: args.pin,
    };
    let done = run::rollup(&common::shell(), &config, &request)
        .await
        .map_err(failed)?;
    match args.format {
        Format::Text => common::print(&done.text),
        Format::Json => common::print(&done.measures.json(&done.label)),
    }
}

fn read_prices(path: &Path) -> Result<Vec<Price>, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("cannot read the prices in {shown}: {e}")))?;
    parse_prices(&text).map_err(|e| Failure::usage(format!("{shown} is no list of prices: {e}")))
}
