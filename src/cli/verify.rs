//! `keyproof verify`.

use std::path::PathBuf;

use super::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::model::ids::Sha256Hex;
use crate::run::{self, VerifyRequest};
use crate::time::Date;

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
    /// Check up to this level, and fail where storage does not let it be checked: 1 files,
    /// 2 signatures, 3 continuity, 4 storage, 5 completeness, 6 clocks, 7 anchor. Without it, up to 5
    /// as far as storage tells
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=7))]
    level: Option<u8>,
    /// First date that a run must speak for; default: the archive's first
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last date that a run must speak for; default: the newest run's
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// File with an entry that was seen earlier, as SEQ:SHA256 or from a state folder
    #[arg(long, value_name = "FILE")]
    expect_head: Option<PathBuf>,
    /// Fail on dates that are PARTIAL, late or overdue
    #[arg(long)]
    require_complete: bool,
    /// A copy of the chain in another place, to compare with
    #[arg(long, value_name = "URL")]
    copy: Option<String>,
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
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to < from
    {
        return Err(Failure::usage(format!(
            "--to {to} lies before --from {from}"
        )));
    }
    let mut common = args.common;
    common.archive = args.url.or(common.archive);
    let (config, _) = common::load(&common, Default::default())?;
    let request = VerifyRequest {
        pin: args.pin,
        key: args.key,
        level: args.level,
        from: args.from,
        to: args.to,
        expect_head: args.expect_head,
        require_complete: args.require_complete,
        copy: args.copy,
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
