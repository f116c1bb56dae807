//! Flags of the commands that begin a run: `run` and `prepare`.

use super::writing::Writing;
use crate::config::Layer;
use crate::model::ids::RunId;
use crate::run::RunOptions;
use crate::time::Date;

#[derive(Debug, clap::Args)]
pub struct Beginning {
    /// Date the run speaks for [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    scheduled_for: Option<Date>,
    /// Name of the run [default: its start and random digits]
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Begin a new archive on s3://
    #[arg(long)]
    create_archive: bool,
    /// Public key (PEM file) or KMS key ARN that may replace a lost signing key, for a new archive
    #[arg(long, value_name = "FILE|ARN")]
    recovery_key: Option<String>,
    /// End a dead process's run, then begin
    #[arg(long, value_name = "RUN_ID")]
    take_over: Option<RunId>,
    #[command(flatten)]
    writing: Writing,
}

impl Beginning {
    /// Those that are settings, too.
    pub fn add_to(&self, flags: &mut Layer) {
        flags.flag("recovery_key", self.recovery_key.clone());
        self.writing.add_to(flags);
    }

    /// The others, into `options`.
    pub fn options(self, options: RunOptions) -> RunOptions {
        RunOptions {
            scheduled_for: self.scheduled_for,
            run_id: self.run_id,
            create_archive: self.create_archive,
            take_over: self.take_over,
            ..options
        }
    }
}
