//! `keyproof keys`.

use std::path::PathBuf;

use super::common::{self, Common};
use super::writing::Writing;
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::run::{self, KeyChanging};
use crate::seal::Remark;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    change: Option<Change>,
    #[command(flatten)]
    common: Common,
    /// Create a local P-256 signing key in this file (mode 0600) instead
    #[arg(long, value_name = "FILE")]
    create: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Change {
    /// Let the present signing key name its successor
    Rotate {
        #[command(flatten)]
        common: Common,
        /// PEM file or KMS key ARN of the present signing key
        #[arg(long, value_name = "FILE|ARN")]
        signing_key: Option<String>,
        /// PEM file or KMS key ARN that signs from now on
        #[arg(long, value_name = "FILE|ARN")]
        new_key: String,
        /// Why, for the archive
        #[arg(long, value_parser = common::remark)]
        reason: Remark,
        #[command(flatten)]
        writing: Writing,
    },
    /// Replace a lost signing key by word of the recovery key
    Recover {
        #[command(flatten)]
        common: Common,
        /// PEM file or KMS key ARN of the recovery key that entry 1 names
        #[arg(long, value_name = "FILE|ARN")]
        recovery_key: String,
        /// PEM file or KMS key ARN that signs from now on
        #[arg(long, value_name = "FILE|ARN")]
        new_key: String,
        /// Why, for the archive
        #[arg(long, value_parser = common::remark)]
        reason: Remark,
        #[command(flatten)]
        writing: Writing,
    },
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let text = match (args.change, args.create) {
        (None, Some(path)) => run::create_key(&path),
        (None, None) => {
            let (config, _) = common::load(&args.common, Layer::default())?;
            run::keys(&common::shell(), &config).await
        }
        (Some(change), _) => {
            let mut flags = Layer::default();
            let (common, change) = match change {
                Change::Rotate {
                    common,
                    signing_key,
                    new_key,
                    reason,
                    writing,
                } => {
                    flags.flag("signing_key", signing_key);
                    writing.add_to(&mut flags);
                    let recovery_key = None;
                    let change = KeyChanging {
                        new_key,
                        recovery_key,
                        reason,
                    };
                    (common, change)
                }
                Change::Recover {
                    common,
                    recovery_key,
                    new_key,
                    reason,
                    writing,
                } => {
                    writing.add_to(&mut flags);
                    let recovery_key = Some(recovery_key);
                    let change = KeyChanging {
                        new_key,
                        recovery_key,
                        reason,
                    };
                    (common, change)
                }
            };
            let (config, _) = common::load(&common, flags)?;
            run::change_signing_key(&common::shell(), &config, &change).await
        }
    };
    common::print(&text.map_err(common::failure)?)
}
