//! `keyproof keys`.

use std::path::PathBuf;

use super::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::run;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Create a local P-256 signing key in this file (mode 0600) instead
    #[arg(long, value_name = "FILE")]
    create: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let failure = |e: run::RunError| Failure {
        exit: e.exit(),
        message: e.to_string(),
    };
    let text = match args.create {
        Some(path) => run::create_key(&path).map_err(failure)?,
        None => {
            let (config, _) = common::load(&args.common, Default::default())?;
            run::keys(&common::shell(), &config)
                .await
                .map_err(failure)?
        }
    };
    common::print(&text)
}
