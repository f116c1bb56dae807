//! `keyproof backfill`.

use std::collections::BTreeSet;

use super::common::{self, Common, LogFormat};
use super::writing::Writing;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::model::ids::{AccountId, Region};
use crate::model::s3_location::S3Location;
use crate::model::words::RunOutcome;
use crate::run::{self, BackfillRequest};
use crate::time::Date;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// First date of the events
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Last date of the events
    #[arg(long, value_name = "DATE")]
    to: Date,
    /// Where the trail delivers [default: as the newest run saw the organization's trail]
    #[arg(long, value_name = "S3-URL")]
    trail: Option<String>,
    /// Account that owns that bucket [default: the trail's]
    #[arg(long, value_name = "ID")]
    bucket_owner: Option<AccountId>,
    /// Region of that bucket [default: the trail's home]
    #[arg(long, value_name = "REGION")]
    bucket_region: Option<Region>,
    /// Events of these accounts only [default: the scope of the newest run]
    #[arg(long, value_name = "ID,..", value_delimiter = ',')]
    accounts: Vec<AccountId>,
    /// Events of these Regions only
    #[arg(long, value_name = "R1,R2", value_delimiter = ',')]
    regions: Vec<Region>,
    /// Say what would be read, and read nothing
    #[arg(long)]
    dry_run: bool,
    /// External id that the role's trust asks for
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Use the caller's own credentials, without a role
    #[arg(long)]
    single_account: bool,
    /// PEM file or KMS key ARN that signs the seal
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    #[command(flatten)]
    writing: Writing,
    /// Requests in flight
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(LogFormat::Text, false);
    let mut flags = Layer::default();
    flags.flag("signing_key", args.signing_key);
    flags.flag("external_id", args.external_id);
    flags.flag("concurrency", args.concurrency);
    flags.flag(
        "single_account",
        args.single_account.then(|| "true".to_owned()),
    );
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let trail = args.trail.as_deref().map(place).transpose()?;
    let request = BackfillRequest {
        trail,
        bucket_owner: args.bucket_owner,
        bucket_region: args.bucket_region,
        accounts: BTreeSet::from_iter(args.accounts),
        regions: BTreeSet::from_iter(args.regions),
        dry_run: args.dry_run,
        ..BackfillRequest::new(args.from, args.to)
    };
    let done = run::backfill(
        &common::shell(),
        &config,
        &request,
        common::cancel_on_signal(),
    )
    .await
    .map_err(common::failure)?;
    common::print(&done.text)?;
    Ok(match done.outcome {
        Some(RunOutcome::Partial) => Exit::Partial,
        _ => Exit::Success,
    })
}

fn place(url: &str) -> Result<S3Location, Failure> {
    let place = S3Location::parse(url);
    place.ok_or_else(|| {
        Failure::usage(format!(
            "--trail {url} is no place such as s3://bucket/prefix"
        ))
    })
}
