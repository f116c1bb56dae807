//! The flags of every command that asks AWS about accounts.

use super::common::{self, LogFormat};
use crate::config::Layer;
use crate::run::RunOptions;

#[derive(Debug, clap::Args)]
pub struct Looking {
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
    /// KMS key that archive objects are put under
    #[arg(long, value_name = "ARN")]
    archive_kms_key: Option<String>,
    /// Folder for local progress
    #[arg(long, value_name = "DIR")]
    work_dir: Option<String>,
    /// Sample log objects of so many clusters of each account and Region
    #[arg(long, value_name = "N")]
    sample_objects: Option<String>,
    /// List up to so many object versions of each log bucket that no report tells of
    #[arg(long, value_name = "N")]
    list_objects: Option<String>,
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

impl Looking {
    /// These flags as a layer.
    pub fn layer(&self) -> Layer {
        let mut flags = Layer::default();
        for (name, value) in [
            ("role_name", &self.role_name),
            ("external_id", &self.external_id),
            ("account_list", &self.account_list),
            ("regions", &self.regions),
            ("accounts", &self.accounts),
            ("exclude_accounts", &self.exclude_accounts),
            ("ou", &self.ou),
            ("archive_kms_key", &self.archive_kms_key),
            ("work_dir", &self.work_dir),
            ("sample_objects", &self.sample_objects),
            ("list_objects", &self.list_objects),
            ("deadline", &self.deadline),
            ("concurrency", &self.concurrency),
            ("quota_share", &self.quota_share),
        ] {
            flags.flag(name, value.clone());
        }
        flags.flag(
            "single_account",
            self.single_account.then(|| "true".to_owned()),
        );
        flags
    }

    /// What is asked of the run beside the configuration.
    pub fn options(&self) -> RunOptions {
        RunOptions {
            progress: !self.quiet,
            json: self.is_json(),
            ..RunOptions::default()
        }
    }

    pub fn is_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    pub fn start_logging(&self) {
        common::start_logging(self.log_format, self.quiet);
    }
}
