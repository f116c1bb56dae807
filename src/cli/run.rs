//! `keyproof run`.

use super::common::{self, Common, LogFormat};
use crate::config::Layer;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::model::words::{RunOutcome, Severity};
use crate::run::{self, RunOptions};
use crate::time::Date;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Role to assume in every account
    #[arg(long, value_name = "NAME")]
    role_name: Option<String>,
    /// External id that the role's trust asks for
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Audit the caller's own account, without a role
    #[arg(long, conflicts_with = "account_list")]
    single_account: bool,
    /// File with one account id a line, instead of AWS Organizations
    #[arg(long, value_name = "FILE")]
    account_list: Option<String>,
    /// auto, or a list of Regions
    #[arg(long, value_name = "auto|R1,R2")]
    regions: Option<String>,
    /// Audit these accounts only
    #[arg(long, value_name = "ID,..")]
    accounts: Option<String>,
    /// Leave these accounts out
    #[arg(long, value_name = "ID,..")]
    exclude_accounts: Option<String>,
    /// Audit accounts below these organizational units only
    #[arg(long, value_name = "ID,..")]
    ou: Option<String>,
    /// PEM file or KMS key ARN that signs the seal
    #[arg(long, value_name = "FILE|ARN")]
    signing_key: Option<String>,
    /// Public key (PEM file) or KMS key ARN that may replace a lost signing key, for a new archive
    #[arg(long, value_name = "FILE|ARN")]
    recovery_key: Option<String>,
    /// KMS key that archive objects are put under
    #[arg(long, value_name = "ARN")]
    archive_kms_key: Option<String>,
    /// Write into a bucket that does not protect the archive; the seal says so
    #[arg(long)]
    allow_unprotected: bool,
    /// Date the run speaks for [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    scheduled_for: Option<Date>,
    /// Name of the run [default: its start and random digits]
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Folder for local progress
    #[arg(long, value_name = "DIR")]
    work_dir: Option<String>,
    /// Begin a new archive on s3://
    #[arg(long)]
    create_archive: bool,
    /// End a dead process's run, then begin
    #[arg(long, value_name = "RUN_ID")]
    take_over: Option<RunId>,
    /// Sample log objects of so many clusters of each account and Region
    #[arg(long, value_name = "N")]
    sample_objects: Option<String>,
    /// Exit 3 when an active cluster has a finding of this severity or above
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Longest duration of the run
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,
    /// Requests in flight
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// Share of AWS's documented request rates that is used
    #[arg(long, value_name = "SHARE")]
    quota_share: Option<String>,
    /// Messages as text or as JSON lines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Only the summary, no progress and no notices
    #[arg(long)]
    quiet: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    common::start_logging(args.log_format, args.quiet);
    let json = args.log_format == LogFormat::Json;
    match audit(args).await {
        Err(failure) if json => {
            tracing::error!(exit = failure.exit as u8, "{failure}");
            Ok(failure.exit)
        }
        done => done,
    }
}

async fn audit(args: Args) -> Result<Exit, Failure> {
    let mut flags = Layer::default();
    flags.flag("role_name", args.role_name);
    flags.flag("external_id", args.external_id);
    flags.flag(
        "single_account",
        args.single_account.then(|| "true".to_owned()),
    );
    flags.flag("account_list", args.account_list);
    flags.flag("regions", args.regions);
    flags.flag("accounts", args.accounts);
    flags.flag("exclude_accounts", args.exclude_accounts);
    flags.flag("ou", args.ou);
    flags.flag("signing_key", args.signing_key);
    flags.flag("recovery_key", args.recovery_key);
    flags.flag("archive_kms_key", args.archive_kms_key);
    flags.flag(
        "allow_unprotected",
        args.allow_unprotected.then(|| "true".to_owned()),
    );
    flags.flag("work_dir", args.work_dir);
    flags.flag("sample_objects", args.sample_objects);
    flags.flag("deadline", args.deadline);
    flags.flag("concurrency", args.concurrency);
    flags.flag("quota_share", args.quota_share);
    let (config, _) = common::load(&args.common, flags)?;
    let options = RunOptions {
        scheduled_for: args.scheduled_for,
        run_id: args.run_id,
        create_archive: args.create_archive,
        take_over: args.take_over,
        progress: !args.quiet,
        json: args.log_format == LogFormat::Json,
        credentials: None,
    };
    let audited = run::audit(
        &common::shell(),
        &config,
        &options,
        common::cancel_on_signal(),
    )
    .await
    .map_err(|e| Failure {
        exit: e.exit(),
        message: e.to_string(),
    })?;
    let exit = match audited.outcome {
        RunOutcome::Partial => Exit::Partial,
        RunOutcome::Complete
            if args
                .fail_on
                .is_some_and(|s| audited.worst_active >= Some(s)) =>
        {
            Exit::Findings
        }
        RunOutcome::Complete => Exit::Success,
    };
    common::print(&audited.summary)?;
    Ok(exit)
}
