//! The table of settings and the layers that give them values.

use std::collections::BTreeMap;
use std::fmt;

use super::ConfigError;

/// One setting that can stand in the file, in the environment or behind a flag.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name in the file; a dot stands for a table.
    pub name: &'static str,
    /// Value where no layer has one; empty for none.
    pub default: &'static str,
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting {
        name,
        default,
        meaning,
    }
}

/// Every setting. Lists are written with commas in the environment and behind flags.
pub const SETTINGS: &[Setting] = &[
    setting(
        "archive",
        "./keyproof-archive",
        "where evidence goes: a folder, file:///dir or s3://bucket/prefix",
    ),
    setting(
        "archive_kms_key",
        "",
        "ARN of the KMS key that archive objects are put under (s3)",
    ),
    setting(
        "archive_lock_days",
        "",
        "Object Lock retention of archive objects, in days (s3)",
    ),
    setting(
        "archive_lock_mode",
        "GOVERNANCE",
        "Object Lock mode: GOVERNANCE or COMPLIANCE (s3)",
    ),
    setting(
        "archive_owner",
        "",
        "account that must own the archive bucket (s3)",
    ),
    setting(
        "allow_unprotected",
        "false",
        "write into a bucket that does not protect the archive; the seal says so (s3)",
    ),
    setting(
        "chain_copy",
        "",
        "second place for a copy of the chain, which every seal brings up to date: s3://bucket/prefix or a folder",
    ),
    setting(
        "chain_copy_profile",
        "",
        "AWS profile that writes the copy, best of another account",
    ),
    setting(
        "signing_key",
        "",
        "PEM file or KMS key ARN that signs seals; default: a file beside a local archive",
    ),
    setting(
        "recovery_key",
        "",
        "public key (PEM file) or KMS key ARN that may replace a lost signing key; fixed in the archive's first entry",
    ),
    setting(
        "signing_mode",
        "digest",
        "what KMS is sent to sign: digest, or raw for servers that hash again",
    ),
    setting("profile", "", "AWS profile"),
    setting(
        "region",
        "",
        "Region for STS and other calls of the collector itself",
    ),
    setting(
        "endpoint_url",
        "",
        "one endpoint for every AWS service, e.g. a sandbox",
    ),
    setting(
        "organization_id",
        "",
        "organization that the run must find, e.g. o-exampleorg1",
    ),
    setting(
        "single_account",
        "false",
        "audit the caller's own account, without a role",
    ),
    setting(
        "account_list",
        "",
        "file with one account id a line, instead of AWS Organizations",
    ),
    setting(
        "role_name",
        "keyproof-reader",
        "role to assume in every account",
    ),
    setting(
        "external_id",
        "",
        "external id that the role's trust asks for",
    ),
    setting(
        "sample_objects",
        "0",
        "clusters of each account and Region whose log objects are sampled; 0 samples none",
    ),
    setting(
        "sampler_role_name",
        "keyproof-sampler",
        "role to assume in accounts that own log buckets, to sample log objects",
    ),
    setting(
        "list_objects",
        "0",
        "object versions that are listed at most of each log bucket that no report tells of; 0 lists none",
    ),
    setting(
        "list_pages",
        "1000",
        "requests for that at most of each bucket; one lists up to 1,000",
    ),
    setting(
        "source_reader_role_name",
        "",
        "role to assume where reports about log objects lie (inventories, job reports, exports); none reads none",
    ),
    setting(
        "metadata_exports",
        "",
        "places of exports of S3 metadata tables: s3://bucket/prefix, …",
    ),
    setting(
        "compare_snapshots",
        "true",
        "compare the newest two exports or inventory reports of each log bucket, by key and version",
    ),
    setting(
        "launches",
        "true",
        "look up attempts to launch clusters, and the trails of each account (CloudTrail)",
    ),
    setting(
        "launch_days",
        "90",
        "days that the first look at launches goes back, 1 to 90",
    ),
    setting(
        "control_events",
        "true",
        "look up changes of log keys and log buckets, too, where these live (CloudTrail)",
    ),
    setting("regions", "auto", "auto, or a list of Regions"),
    setting("accounts", "", "audit these accounts only"),
    setting(
        "exclude_accounts",
        "",
        "leave these accounts out of the selection",
    ),
    setting(
        "ou",
        "",
        "audit accounts below these organizational units only",
    ),
    setting(
        "schedule",
        "daily",
        "how often a run is due; recorded in the archive's first entry",
    ),
    setting(
        "retention_days",
        "2557",
        "how long evidence is to be kept; recorded in the archive's first entry",
    ),
    setting("concurrency", "64", "requests in flight"),
    setting(
        "quota_share",
        "0.5",
        "share of AWS's documented rate that is used, 0.05 to 1",
    ),
    setting("deadline", "6h", "longest duration of a run, at most 24h"),
    setting(
        "cell_deadline",
        "15m",
        "longest duration of one account-region",
    ),
    setting("attempt_timeout", "10s", "longest wait for one answer"),
    setting(
        "describe_max_age",
        "7d",
        "age at which a live cluster is described again",
    ),
    setting(
        "work_dir",
        "",
        "folder for local progress; default: a fresh one in the system's temporary folder",
    ),
    setting(
        "state_dir",
        "",
        "folder that remembers archives; default: the XDG state folder",
    ),
    setting("tags.owner", "", "name of the tag that holds the owner"),
    setting(
        "tags.cost_center",
        "",
        "name of the tag that holds the cost centre",
    ),
    setting(
        "tags.business_unit",
        "",
        "name of the tag that holds the business unit",
    ),
    setting(
        "tags.data_classification",
        "",
        "name of the tag that holds the data classification",
    ),
    setting("tags.lineage", "", "name of the tag that holds the lineage"),
    setting(
        "rules.allowed_key_owners",
        "",
        "accounts outside the organization whose keys are accepted",
    ),
    setting(
        "rules.approved_s3_modes",
        "SSE-KMS,CSE-KMS",
        "encryption modes of security configurations that are approved; an empty list asks nothing",
    ),
    setting(
        "rules.approved_s3_keys",
        "",
        "ARNs of keys that security configurations may use; default: every key",
    ),
    setting(
        "rules.guardrails",
        "",
        "ARNs of the policies that are there to block launches: service control policies, boundaries",
    ),
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(String),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Values that one place gives, by setting name.
#[derive(Debug, Clone, Default)]
pub struct Layer(BTreeMap<&'static str, (String, Origin)>);

impl Layer {
    /// Gives `name` a value.
    pub fn set(&mut self, name: &str, value: String, origin: Origin) -> Result<(), ConfigError> {
        let known =
            SETTINGS
                .iter()
                .find(|s| s.name == name)
                .ok_or_else(|| ConfigError::Unknown {
                    origin: origin.clone(),
                    name: name.to_owned(),
                    near: nearest(name),
                })?;
        self.0.insert(known.name, (value, origin));
        Ok(())
    }

    /// Gives `name` the value behind a flag, when the flag was used.
    pub fn flag(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            let flag = format!("--{}", name.replace(['_', '.'], "-"));
            self.0.insert(name, (value, Origin::Flag(flag)));
        }
    }

    /// Adds the values of `other`, which win.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The `KEYPROOF_*` variables among `variables`. An unknown one is an error, since a misspelt
    /// setting would otherwise be silently without effect; `KEYPROOF_CONFIG`, `KEYPROOF_LOG`
    /// and `KEYPROOF_BUILD` are no settings: they name the file, the log filter and a folder of the scripts.
    pub fn environment(
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix("KEYPROOF_") else {
                continue;
            };
            if ["BUILD", "CONFIG", "LOG"].contains(&rest) || value.is_empty() {
                continue;
            }
            let name = SETTINGS
                .iter()
                .map(|s| s.name)
                .find(|n| n.replace('.', "_").to_uppercase() == rest)
                .map_or_else(|| rest.to_lowercase(), str::to_owned);
            layer.set(&name, value, Origin::Environment(variable))?;
        }
        Ok(layer)
    }
}

/// All layers laid over each other.
#[derive(Debug, Clone, Default)]
pub struct Settings(Layer);

impl Settings {
    /// Lays `layers` over each other, the later ones on top.
    pub fn stack(layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut all = Layer::default();
        for layer in layers {
            all.extend(layer);
        }
        Self(all)
    }

    /// The value of `name`; `None` where it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let given = self.0.0.get(name).map(|(value, _)| value.as_str());
        let default = || SETTINGS.iter().find(|s| s.name == name).map(|s| s.default);
        given.or_else(default).filter(|v| !v.is_empty())
    }

    /// Where the value of `name` comes from.
    pub fn origin(&self, name: &str) -> Origin {
        self.0
            .0
            .get(name)
            .map_or(Origin::Default, |(_, origin)| origin.clone())
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .map(|s| (distance(name, s.name), s.name))
        .min()
        .filter(|(d, n)| *d <= n.len() / 3)
        .map(|(_, n)| n)
}

/// Levenshtein distance of short names.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let step = if ca == *cb {
                diagonal
            } else {
                1 + diagonal.min(row[j]).min(row[j + 1])
            };
            diagonal = row[j + 1];
            row[j + 1] = step;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_win_and_say_where_they_come_from() {
        let mut file = Layer::default();
        file.set(
            "role_name",
            "from-file".into(),
            Origin::File("k.toml".into()),
        )
        .expect("known");
        let variables = [
            ("KEYPROOF_ROLE_NAME", "from-env"),
            ("KEYPROOF_TAGS_OWNER", "owner"),
        ];
        let env = variables
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let env = Layer::environment(env).expect("known");
        let mut flags = Layer::default();
        flags.flag("role_name", Some("from-flag".into()));
        let all = Settings::stack([file, env, flags]);
        assert_eq!(all.text("role_name"), Some("from-flag"));
        assert_eq!(all.origin("role_name").to_string(), "flag --role-name");
        assert_eq!(all.text("tags.owner"), Some("owner"));
        assert_eq!(all.text("concurrency"), Some("64"));
    }

    #[test]
    fn a_misspelt_setting_is_refused_with_a_suggestion() {
        let env = [("KEYPROOF_ROLE_NAEM".to_owned(), "x".to_owned())].into_iter();
        let error = Layer::environment(env).expect_err("unknown").to_string();
        assert!(error.contains("did you mean 'role_name'"), "{error}");
    }
}
