//! `keyproof explain CLUSTER-ID`.

use crate::cli::common::{self, Common};
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::report::cluster_story;
use crate::run::{self, ClusterName, Which};
use crate::time::Date;

/// What is asked about a cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    common: Common,
    /// Date whose run of record tells [default: the newest]
    #[arg(long, value_name = "DATE", conflicts_with = "run_id")]
    date: Option<Date>,
    /// The sealed run that tells
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Flags {
    /// A flag that was given and that only a cluster has use for.
    pub fn given(&self) -> Option<&'static str> {
        [
            ("--archive", self.common.archive.is_some()),
            ("--date", self.date.is_some()),
            ("--run-id", self.run_id.is_some()),
            ("--format", self.format.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }
}

pub(super) async fn run(flags: &Flags, cluster: &ClusterName) -> Result<Exit, Failure> {
    common::start_logging(common::LogFormat::Text, false);
    let (config, _) = common::load(&flags.common, Default::default())?;
    let which = match (&flags.run_id, flags.date) {
        (Some(run_id), _) => Which::Run(run_id.clone()),
        (None, Some(date)) => Which::Of(date),
        (None, None) => Which::Newest,
    };
    let story = run::story(&common::shell(), &config, cluster, &which)
        .await
        .map_err(|e| Failure {
            exit: e.exit(),
            message: e.to_string(),
        })?;
    common::print(&match flags.format {
        Some(Format::Json) => format!("{}\n", cluster_story::to_json(&story)),
        Some(Format::Text) | None => cluster_story::render(&story),
    })
}
