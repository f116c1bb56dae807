//! Texts into values ready to use.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConfigError, Layer, Origin, Settings, file};
use crate::assess::{KeyTags, RuleConfig};
use crate::aws::LockMode;
use crate::collect::Regions;
use crate::collect::exceptions::ExceptionRule;
use crate::collect::history::listed::Bound;
use crate::collect::scope::TagNames;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::s3_location::S3Location;
use crate::time::parse_duration;

/// Where the archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveUrl {
    Folder(PathBuf),
    S3 { bucket: String, prefix: String },
}

impl ArchiveUrl {
    /// Reads a path, `file:///dir` or `s3://bucket/prefix`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let named = (3..=63).contains(&bucket.len())
                && bucket.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'
                });
            if !named {
                return Err(format!("'{bucket}' is not a bucket name"));
            }
            let prefix = prefix.trim_matches('/').to_owned();
            if prefix.split('/').any(|part| part == "." || part == "..") {
                return Err(format!("the prefix '{prefix}' has '.' or '..' in it"));
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix,
            });
        }
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Ok(Self::Folder(path.into())),
            Some(_) => Err("a file URL has three slashes: file:///dir".to_owned()),
            None if text.contains("://") => Err(format!("'{text}' is neither file:// nor s3://")),
            None => Ok(Self::Folder(text.into())),
        }
    }
}

impl std::fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// What signs seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKey {
    File(PathBuf),
    Kms { arn: String, raw: bool },
}

impl SigningKey {
    /// What a person named: the ARN of a KMS key, or a file. `raw`: see `signing_mode`.
    pub fn named(name: &str, raw: bool) -> Self {
        if name.starts_with("arn:") {
            let arn = name.to_owned();
            Self::Kms { arn, raw }
        } else {
            Self::File(name.into())
        }
    }
}

/// Which accounts a run is expected to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeMode {
    Organization,
    SingleAccount,
    AccountList(PathBuf),
}

/// Everything a command needs to know, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    pub archive: ArchiveUrl,
    pub archive_kms_key: Option<String>,
    pub archive_lock: Option<(LockMode, u32)>,
    pub archive_owner: Option<AccountId>,
    /// Where every seal copies the chain to.
    pub chain_copy: Option<ArchiveUrl>,
    pub chain_copy_profile: Option<String>,
    /// Write into a bucket that does not protect the archive.
    pub allow_unprotected: bool,
    /// `None`: a file beside a local archive.
    pub signing_key: Option<SigningKey>,
    /// Public half of the key that entry 1 of a new archive names for the day the other is lost: a PEM
    /// file with it, or a KMS key.
    pub recovery_key: Option<SigningKey>,
    /// KMS hashes what it signs: see `signing_mode`.
    pub signing_raw: bool,
    pub profile: Option<String>,
    pub region: Option<Region>,
    pub endpoint_url: Option<String>,
    pub organization_id: Option<String>,
    pub scope: ScopeMode,
    pub role_name: String,
    pub external_id: Option<String>,
    /// Clusters of each account-region whose log objects are sampled; 0 samples none.
    pub sample_objects: usize,
    /// How much of a log bucket that no report tells of is listed.
    pub listing: Option<Bound>,
    pub sampler_role_name: String,
    /// Reports about log objects are read with this role; `None` reads none.
    pub source_reader_role_name: Option<String>,
    /// Where exports of S3 metadata tables lie.
    pub metadata_exports: Vec<S3Location>,
    pub compare_snapshots: bool,
    /// Days that the first look at launches goes back; 0 looks at none.
    pub launch_days: u32,
    /// Whether changes of log keys and log buckets are looked up, too.
    pub control_events: bool,
    pub regions: Regions,
    /// Whether a flag or the environment named the Regions, for this run alone.
    pub regions_by_hand: bool,
    pub accounts: Vec<AccountId>,
    pub exclude_accounts: Vec<AccountId>,
    pub ous: Vec<String>,
    pub schedule: String,
    pub retention_days: u32,
    pub concurrency: usize,
    pub quota_share: f64,
    pub deadline: Duration,
    pub cell_deadline: Duration,
    pub attempt_timeout: Duration,
    pub describe_max_age: Duration,
    pub work_dir: Option<PathBuf>,
    pub state_dir: PathBuf,
    pub tags: TagNames,
    pub rules: RuleConfig,
    pub exceptions: Vec<ExceptionRule>,
}

impl Config {
    /// Lays file, environment and flags over each other and resolves them. Without `file`,
    /// `keyproof.toml` of the current folder is read if it is there.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Layer,
    ) -> Result<(Self, Settings), ConfigError> {
        let beside = Path::new("keyproof.toml");
        let (from_file, exceptions) = match file {
            Some(path) => file::read(path)?,
            None if beside.exists() => file::read(beside)?,
            None => (Layer::default(), Vec::new()),
        };
        let settings = Settings::stack([from_file, Layer::environment(environment)?, flags]);
        Ok((resolve(&settings, exceptions)?, settings))
    }

    /// Resolves one layer alone, without file and environment.
    pub fn of_layer(layer: Layer) -> Result<Self, ConfigError> {
        resolve(&Settings::stack([layer]), Vec::new())
    }

    /// Whether nothing narrows the accounts.
    pub fn is_whole(&self) -> bool {
        self.accounts.is_empty() && self.exclude_accounts.is_empty() && self.ous.is_empty()
    }

    /// Whose accounts a run is about, seen by `caller`: what entry 1 of an archive fixes for good.
    pub fn scope_words(&self, caller: &AccountId) -> String {
        match &self.scope {
            ScopeMode::Organization => "organization".to_owned(),
            ScopeMode::SingleAccount => format!("single_account {caller}"),
            ScopeMode::AccountList(_) => "account_list".to_owned(),
        }
    }

    /// Which Regions a run is about.
    pub fn region_words(&self) -> String {
        match &self.regions {
            Regions::Auto => "auto".to_owned(),
            Regions::List(regions) => {
                let mut names: Vec<&str> = regions.iter().map(Region::as_str).collect();
                names.sort_unstable();
                names.join(" ")
            }
        }
    }
}

/// The XDG state folder of this program.
pub fn default_state_dir(variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let base = variable("XDG_STATE_HOME")
        .filter(|d| d.starts_with('/'))
        .map(PathBuf::from);
    let home = || variable("HOME").map(|h| Path::new(&h).join(".local/state"));
    base.or_else(home)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("keyproof")
}

struct Reader<'a>(&'a Settings);

impl Reader<'_> {
    fn invalid(&self, name: &'static str, detail: impl std::fmt::Display) -> ConfigError {
        ConfigError::Invalid {
            origin: self.0.origin(name),
            name,
            detail: detail.to_string(),
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        self.0.text(name).map(str::to_owned)
    }

    /// A role's name, with its path if it has one.
    fn role(&self, name: &'static str) -> Result<String, ConfigError> {
        let role = self.text(name).unwrap_or_default();
        let valid = role.len() <= 512
            && role
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b));
        if valid {
            Ok(role)
        } else {
            Err(self.invalid(name, format!("'{role}' is not a role name")))
        }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        self.0
            .text(name)
            .map(|t| t.trim().parse().map_err(|e| self.invalid(name, e)))
            .transpose()
    }

    fn number<T>(&self, name: &'static str, least: T, most: T) -> Result<Option<T>, ConfigError>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.0.text(name) else {
            return Ok(None);
        };
        match text.trim().parse::<T>() {
            Ok(n) if n >= least && n <= most => Ok(Some(n)),
            _ => Err(self.invalid(
                name,
                format!("'{text}' is not a number from {least} to {most}"),
            )),
        }
    }

    fn list<T: std::str::FromStr>(&self, name: &'static str) -> Result<Vec<T>, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.0.text(name).unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        parts
            .map(|p| p.parse().map_err(|e| self.invalid(name, e)))
            .collect()
    }

    fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        Ok(self.parsed::<bool>(name)?.unwrap_or(false))
    }

    fn duration(&self, name: &'static str, most_s: u64) -> Result<Duration, ConfigError> {
        let text = self.0.text(name).unwrap_or_default();
        let duration = parse_duration(text.trim()).map_err(|e| self.invalid(name, e))?;
        if duration.is_zero() || duration.as_secs() > most_s {
            return Err(self.invalid(name, format!("'{text}' is not between 1s and {most_s}s")));
        }
        Ok(duration)
    }
}

fn resolve(settings: &Settings, exceptions: Vec<ExceptionRule>) -> Result<Config, ConfigError> {
    let r = Reader(settings);
    let archive = ArchiveUrl::parse(settings.text("archive").unwrap_or_default())
        .map_err(|e| r.invalid("archive", e))?;
    let chain_copy = settings.text("chain_copy").map(ArchiveUrl::parse);
    let chain_copy = chain_copy
        .transpose()
        .map_err(|e| r.invalid("chain_copy", e))?;
    let lock_mode = match settings.text("archive_lock_mode").unwrap_or_default() {
        "GOVERNANCE" => LockMode::Governance,
        "COMPLIANCE" => LockMode::Compliance,
        other => {
            let detail = format!("'{other}' is neither GOVERNANCE nor COMPLIANCE");
            return Err(r.invalid("archive_lock_mode", detail));
        }
    };
    let raw = match settings.text("signing_mode").unwrap_or_default() {
        "digest" => false,
        "raw" => true,
        other => {
            return Err(r.invalid(
                "signing_mode",
                format!("'{other}' is neither digest nor raw"),
            ));
        }
    };
    let key = |name| settings.text(name).map(|key| SigningKey::named(key, raw));
    let (signing_key, recovery_key) = (key("signing_key"), key("recovery_key"));
    let scope = match (r.flag("single_account")?, settings.text("account_list")) {
        (false, None) => ScopeMode::Organization,
        (true, None) => ScopeMode::SingleAccount,
        (false, Some(path)) => ScopeMode::AccountList(path.into()),
        (true, Some(_)) => {
            let detail = "single_account and account_list exclude each other; use one of them";
            return Err(ConfigError::Conflict(detail.to_owned()));
        }
    };
    let regions = match settings.text("regions").unwrap_or("auto") {
        "auto" => Regions::Auto,
        _ => Regions::List(r.list("regions")?),
    };
    let role_name = r.role("role_name")?;
    let sampler_role_name = r.role("sampler_role_name")?;
    let source_reader_role_name = match settings.text("source_reader_role_name") {
        Some(_) => Some(r.role("source_reader_role_name")?),
        None => None,
    };
    let metadata_exports: Vec<S3Location> = r
        .list::<String>("metadata_exports")?
        .iter()
        .map(|place| {
            S3Location::parse(place).ok_or_else(|| {
                r.invalid(
                    "metadata_exports",
                    format!("'{place}' is not s3://bucket/prefix"),
                )
            })
        })
        .collect::<Result<_, _>>()?;
    if !metadata_exports.is_empty() && source_reader_role_name.is_none() {
        let detail =
            "metadata_exports are read with a role of their own; set source_reader_role_name";
        return Err(ConfigError::Conflict(detail.to_owned()));
    }
    if let Some(url) = settings.text("endpoint_url")
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        return Err(r.invalid(
            "endpoint_url",
            format!("'{url}' does not start with http:// or https://"),
        ));
    }
    let state_dir = r.text("state_dir").map_or_else(
        || default_state_dir(|name| std::env::var(name).ok()),
        PathBuf::from,
    );
    Ok(Config {
        archive,
        archive_kms_key: r.text("archive_kms_key"),
        archive_lock: r
            .number("archive_lock_days", 1, 36_500)?
            .map(|days| (lock_mode, days)),
        archive_owner: r.parsed("archive_owner")?,
        chain_copy,
        chain_copy_profile: r.text("chain_copy_profile"),
        allow_unprotected: r.flag("allow_unprotected")?,
        signing_key,
        recovery_key,
        signing_raw: raw,
        profile: r.text("profile"),
        region: r.parsed("region")?,
        endpoint_url: r.text("endpoint_url"),
        organization_id: r.text("organization_id"),
        scope,
        role_name,
        external_id: r.text("external_id"),
        sample_objects: r.number("sample_objects", 0, 1_000)?.unwrap_or(0),
        listing: Some(Bound {
            versions: r.number("list_objects", 0, 1_000_000_000)?.unwrap_or(0),
            pages: r.number("list_pages", 1, 1_000_000)?.unwrap_or(1_000),
        })
        .filter(|bound| bound.versions > 0),
        sampler_role_name,
        source_reader_role_name,
        metadata_exports,
        compare_snapshots: r.flag("compare_snapshots")?,
        launch_days: if r.flag("launches")? {
            r.number("launch_days", 1, 90)?.unwrap_or(90)
        } else {
            0
        },
        control_events: r.flag("control_events")?,
        regions,
        regions_by_hand: matches!(
            settings.origin("regions"),
            Origin::Flag(_) | Origin::Environment(_)
        ),
        accounts: r.list("accounts")?,
        exclude_accounts: r.list("exclude_accounts")?,
        ous: r.list("ou")?,
        schedule: r.text("schedule").unwrap_or_default(),
        retention_days: r.number("retention_days", 1, 36_500)?.unwrap_or(2557),
        concurrency: r.number("concurrency", 1, 1024)?.unwrap_or(64),
        quota_share: r.number("quota_share", 0.05, 1.0)?.unwrap_or(0.5),
        deadline: r.duration("deadline", 86_400)?,
        cell_deadline: r.duration("cell_deadline", 86_400)?,
        attempt_timeout: r.duration("attempt_timeout", 600)?,
        describe_max_age: r.duration("describe_max_age", 62 * 86_400)?,
        work_dir: r.text("work_dir").map(Into::into),
        state_dir,
        tags: TagNames {
            owner: r.text("tags.owner"),
            cost_center: r.text("tags.cost_center"),
            business_unit: r.text("tags.business_unit"),
            data_classification: r.text("tags.data_classification"),
            lineage: r.text("tags.lineage"),
        },
        rules: RuleConfig {
            allowed_key_owners: r
                .list::<AccountId>("rules.allowed_key_owners")?
                .into_iter()
                .collect(),
            approved_s3_modes: approved_modes(&r)?,
            approved_s3_keys: approved_keys(&r)?,
            guardrails: guardrails(&r)?,
            key_tags: KeyTags {
                owner: settings.text("tags.owner").is_some(),
                cost_center: settings.text("tags.cost_center").is_some(),
                data_classification: settings.text("tags.data_classification").is_some(),
            },
        },
        exceptions,
    })
}

/// Modes that a security configuration can have
/// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html>).
const S3_MODES: [&str; 4] = ["SSE-S3", "SSE-KMS", "CSE-KMS", "CSE-Custom"];

fn approved_modes(r: &Reader<'_>) -> Result<BTreeSet<String>, ConfigError> {
    const NAME: &str = "rules.approved_s3_modes";
    let modes: Vec<String> = r.list(NAME)?;
    match modes.iter().find(|m| !S3_MODES.contains(&m.as_str())) {
        Some(odd) => {
            let detail = format!("'{odd}' is none of {}", S3_MODES.join(", "));
            Err(r.invalid(NAME, detail))
        }
        None => Ok(modes.into_iter().collect()),
    }
}

fn guardrails(r: &Reader<'_>) -> Result<BTreeSet<String>, ConfigError> {
    const NAME: &str = "rules.guardrails";
    let policies: Vec<String> = r.list(NAME)?;
    let is_policy = |arn: &String| {
        let mut parts = arn.splitn(6, ':');
        let service = (parts.next(), parts.nth(1));
        let of_service = matches!(service, (Some("arn"), Some("iam" | "organizations")));
        of_service && parts.nth(2).is_some_and(|r| r.starts_with("policy/"))
    };
    match policies.iter().find(|arn| !is_policy(arn)) {
        Some(odd) => {
            let detail = format!("'{odd}' is not the ARN of a policy of IAM or of Organizations");
            Err(r.invalid(NAME, detail))
        }
        None => Ok(policies.into_iter().collect()),
    }
}

fn approved_keys(r: &Reader<'_>) -> Result<BTreeSet<String>, ConfigError> {
    const NAME: &str = "rules.approved_s3_keys";
    let keys: Vec<String> = r.list(NAME)?;
    match keys.iter().find(|k| KeyArn::parse(k).is_none()) {
        Some(odd) => {
            let detail = format!("'{odd}' is not the ARN of a KMS key or alias");
            Err(r.invalid(NAME, detail))
        }
        None => Ok(keys.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
        let mut layer = Layer::default();
        for (name, value) in flags {
            layer.flag(name, Some((*value).to_owned()));
        }
        resolve(&Settings::stack([layer]), Vec::new())
    }

    #[test]
    fn defaults_resolve() {
        let config = with(&[]).expect("defaults");
        assert_eq!(
            config.archive,
            ArchiveUrl::Folder("./keyproof-archive".into())
        );
        assert_eq!(config.scope, ScopeMode::Organization);
        assert!(config.is_whole());
    }

    #[test]
    fn rules_know_which_tags_are_configured_and_what_is_approved() {
        let rules = with(&[]).expect("defaults").rules;
        assert_eq!(rules, RuleConfig::default());
        let key = "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444";
        let rules = with(&[
            ("tags.owner", "team"),
            ("rules.approved_s3_modes", ""),
            ("rules.approved_s3_keys", key),
        ])
        .expect("rules")
        .rules;
        assert!(rules.key_tags.owner && !rules.key_tags.cost_center);
        assert!(rules.approved_s3_modes.is_empty());
        assert!(rules.approved_s3_keys.contains(key));
    }

    #[test]
    fn nonsense_names_its_origin() {
        for (name, value) in [
            ("archive", "http://x"),
            ("archive", "file://relative"),
            ("archive", "s3://UPPER/x"),
            ("archive", "s3://bucket/../x"),
            ("concurrency", "0"),
            ("quota_share", "0"),
            ("quota_share", "NaN"),
            ("quota_share", "0.01"),
            ("quota_share", "-0.5"),
            ("quota_share", "1.5"),
            ("quota_share", "inf"),
            ("quota_share", "half"),
            ("deadline", "0s"),
            ("deadline", "25h"),
            ("cell_deadline", "0s"),
            ("attempt_timeout", "0s"),
            ("regions", "EU-WEST-1"),
            ("accounts", "1234"),
            ("endpoint_url", "localhost:1"),
            ("role_name", "a b"),
            ("sampler_role_name", "a b"),
            ("source_reader_role_name", "a b"),
            ("metadata_exports", "https://bucket/x"),
            ("sample_objects", "-1"),
            ("list_objects", "many"),
            ("list_pages", "0"),
            ("archive_lock_mode", "compliance"),
        ] {
            let error = with(&[(name, value)]).expect_err(value).to_string();
            assert!(
                error.contains(&format!("flag --{}", name.replace('_', "-"))),
                "{error}"
            );
        }
        for (name, value) in [
            ("rules.approved_s3_modes", "SSE-KMS,sse-kms"),
            ("rules.approved_s3_keys", "alias/mine"),
        ] {
            let error = with(&[(name, value)]).expect_err(value).to_string();
            assert!(error.contains("flag --rules-approved-s3-"), "{error}");
        }
        let both = with(&[("single_account", "true"), ("account_list", "x")]);
        assert!(matches!(both, Err(ConfigError::Conflict(_))));
        let alone = with(&[("metadata_exports", "s3://bucket/exports/")]);
        assert!(matches!(alone, Err(ConfigError::Conflict(_))));
    }
}
