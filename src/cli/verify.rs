//! `keyproof verify`.

use std::path::PathBuf;

use super::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::model::ids::Sha256Hex;
use crate::run::{self, VerifyRequest};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The archive: a folder, file:///dir or s3://bucket/prefix
    #[arg(value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    common: Common,
    /// SHA-256 of the archive's first entry, as its owner told you
    #[arg(long, value_name = "SHA256")]
    pin: Option<Sha256Hex>,
    /// PEM of the public key you trust
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Check up to this level: 1 files, 2 signatures, 3 continuity
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    level: u8,
    /// Accept an archive that nothing pins: it may be a whole forgery
    #[arg(long)]
    self_consistent_only: bool,
    /// How the result is written
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
    let mut common = args.common;
    common.archive = args.url.or(common.archive);
    let (config, _) = common::load(&common, Default::default())?;
    let request = VerifyRequest {
        pin: args.pin,
        key: args.key,
        level: args.level,
        self_consistent_only: args.self_consistent_only,
    };
    let verified = run::verify(&common::shell(), &config, &request)
        .await
        .map_err(|e| Failure {
            exit: e.exit(),
            message: e.to_string(),
        })?;
    common::print(match args.format {
        Format::Text => &verified.text,
        Format::Json => &verified.json,
    })?;
    Ok(if verified.passed {
        Exit::Success
    } else {
        Exit::Unverified
    })
}
