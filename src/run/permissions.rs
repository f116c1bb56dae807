//! The least that each role must be allowed, as an IAM policy: of audited accounts by the list of
//! operations that the program asks for ([`Operation`]), of the archive by what its store and its
//! signer do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::archive::layout;
use crate::collect::operation::{Caller, Operation};
use crate::collect::probe::source_of;
use crate::collect::scope::TagNames;
use crate::config::{ArchiveUrl, Config, ScopeMode, SigningKey};
use crate::model::words::Source;

use super::RunError;

/// A role of Keyproof; `scripts/deploy/` has a template of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In every account: metadata.
    Reader,
    /// Runs the job: the organization, the other roles, starts and facts of the archive.
    Collector,
    /// In accounts that own log buckets, where objects are sampled or listed.
    Sampler,
    /// Where reports about log objects lie.
    SourceReader,
    /// Signs and commits.
    Sealer,
}

/// What only the owner of the buckets knows.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// `bucket` or `bucket/prefix`, of logs or of reports.
    pub buckets: Vec<String>,
    /// ARNs of keys that reports lie under.
    pub keys: Vec<String>,
}

/// Denied to the reader whatever else a role is allowed: log content, and any use of a key.
const NO_DATA: [&str; 11] = [
    "elasticmapreduce:CreatePersistentAppUI",
    "elasticmapreduce:GetPersistentAppUIPresignedURL",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "s3:GetObject",
    "s3:GetObjectVersion",
];
/// What the archive's store asks of objects when it reads.
const READ_OBJECTS: [&str; 3] = [
    "s3:GetObject",
    "s3:GetObjectRetention",
    "s3:GetObjectVersion",
];
/// What it asks of the bucket, to list and to see how it is protected.
const READ_BUCKET: [&str; 9] = [
    "s3:GetBucketLocation",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
];
const READ_KEY: [&str; 3] = ["kms:Decrypt", "kms:DescribeKey", "kms:GetKeyPolicy"];
const WRITE: [&str; 2] = ["s3:PutObject", "s3:PutObjectRetention"];

/// The actions of a caller's operations that a run with this configuration asks for.
fn asked(caller: Caller, config: &Config) -> BTreeSet<&'static str> {
    let TagNames {
        owner,
        cost_center,
        business_unit,
        ..
    } = &config.tags;
    let names = [owner, cost_center, business_unit];
    let is_asked = |operation: &&Operation| match (source_of(**operation), operation) {
        (Some(Source::Launches | Source::Trails), _) => config.launch_days > 0,
        (_, Operation::ListTagsForResource) => names.iter().any(|name| name.is_some()),
        _ => true,
    };
    let operations = Operation::ALL.iter().filter(|o| o.caller() == caller);
    let operations = operations.filter(is_asked);
    operations.filter_map(|o| o.iam_action()).collect()
}

/// The policy of a role, as JSON: of what is configured, and no more.
///
/// # Errors
/// For a sealer with nothing to seal on AWS.
pub fn policy(role: Role, config: &Config, named: &Named) -> Result<Value, RunError> {
    let partition = partition(config);
    let statements = match role {
        Role::Reader => reader(config),
        Role::Sampler => vec![
            allow(
                "List",
                &["s3:ListBucket", "s3:ListBucketVersions"],
                buckets(partition, named, LOGS),
            ),
            allow("Head", &["s3:GetObject"], objects(partition, named, LOGS)),
            json!({"Sid": "NoKey", "Effect": "Deny", "Action": ["kms:*"], "Resource": "*"}),
        ],
        Role::SourceReader => {
            let mut all = vec![
                allow(
                    "List",
                    &["s3:ListBucket"],
                    buckets(partition, named, REPORTS),
                ),
                allow(
                    "Read",
                    &["s3:GetObject"],
                    objects(partition, named, REPORTS),
                ),
                // Of digest files; CloudTrail takes no resource for it.
                allow(
                    "KeysOfDigestFiles",
                    &["cloudtrail:ListPublicKeys"],
                    json!("*"),
                ),
            ];
            if !named.keys.is_empty() {
                all.push(allow("ReadUnderKeys", &["kms:Decrypt"], json!(named.keys)));
            }
            all
        }
        Role::Collector => collector(config, partition),
        Role::Sealer => {
            let all = sealer(config, partition);
            if all.is_empty() {
                return Err(RunError::Usage(
                    "a local archive and a local key need no permission of AWS; name --archive \
                     s3://bucket/prefix or --signing-key ARN"
                        .to_owned(),
                ));
            }
            all
        }
    };
    Ok(json!({"Version": "2012-10-17", "Statement": statements}))
}

/// What stands for buckets that nobody named.
const LOGS: &str = "LOG-BUCKET/PREFIX";
const REPORTS: &str = "REPORT-BUCKET/PREFIX";

fn allow(sid: &str, actions: &[&str], resource: Value) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource})
}

fn reader(config: &Config) -> Vec<Value> {
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for action in asked(Caller::Reader, config) {
        let service = action.split(':').next().unwrap_or_default();
        services.entry(service).or_default().push(action);
    }
    let mut all: Vec<Value> = services
        .iter()
        .map(|(service, actions)| allow(&format!("Read{service}"), actions, json!("*")))
        .collect();
    all.push(json!({"Sid": "NoData", "Effect": "Deny", "Action": NO_DATA, "Resource": "*"}));
    all
}

fn collector(config: &Config, partition: &str) -> Vec<Value> {
    let enter = "sts:AssumeRole";
    let discover: Vec<&str> = asked(Caller::Collector, config)
        .into_iter()
        .filter(|action| *action != enter)
        .collect();
    let mut all = Vec::new();
    if config.scope == ScopeMode::Organization {
        all.push(allow("Discover", &discover, json!("*")));
    }
    if config.scope != ScopeMode::SingleAccount {
        let is_sampled = config.sample_objects > 0 || config.listing.is_some();
        let sampler = Some(&config.sampler_role_name).filter(|_| is_sampled);
        let roles = [
            Some(&config.role_name),
            sampler,
            config.source_reader_role_name.as_ref(),
        ];
        let arn = |role: &String| {
            let role = role.trim_start_matches('/');
            format!("arn:{partition}:iam::*:role/{role}")
        };
        let roles: Vec<String> = roles.into_iter().flatten().map(arn).collect();
        let roles = json!(roles);
        // Keyproof sends no source identity; AWS carries one that the caller's session has.
        all.push(allow("Enter", &[enter, "sts:SetSourceIdentity"], roles));
    }
    all.extend(archive(config, partition, &layout::OF_COLLECTOR));
    all
}

fn sealer(config: &Config, partition: &str) -> Vec<Value> {
    let mut all = archive(config, partition, &layout::OF_SEALER);
    if let Some(SigningKey::Kms { arn, .. }) = &config.signing_key {
        all.push(allow("Sign", &["kms:Sign"], json!([arn])));
    }
    all
}

/// Reads of the whole archive, writes below `folders`, and the public key of what signs.
fn archive(config: &Config, partition: &str, folders: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    if let ArchiveUrl::S3 { bucket, prefix } = &config.archive {
        let bucket = format!("arn:{partition}:s3:::{bucket}");
        let root = match prefix.as_str() {
            "" => bucket.clone(),
            prefix => format!("{bucket}/{prefix}"),
        };
        let below: Vec<String> = folders.iter().map(|f| format!("{root}/{f}*")).collect();
        all.push(allow(
            "ReadObjects",
            &READ_OBJECTS,
            json!([format!("{root}/*")]),
        ));
        all.push(allow("ReadBucket", &READ_BUCKET, json!([bucket])));
        all.push(allow("Write", &WRITE, json!(below)));
        if let Some(key) = &config.archive_kms_key {
            all.push(allow("ReadKey", &READ_KEY, json!([key])));
            all.push(allow("WriteKey", &["kms:GenerateDataKey"], json!([key])));
        }
    }
    if let Some(SigningKey::Kms { arn, .. }) = &config.signing_key {
        all.push(allow("PublicKey", &["kms:GetPublicKey"], json!([arn])));
    }
    all
}

fn buckets(partition: &str, named: &Named, otherwise: &str) -> Value {
    let bucket = |place: &str| {
        let (bucket, _) = place.split_once('/').unwrap_or((place, ""));
        format!("arn:{partition}:s3:::{bucket}")
    };
    json!(
        places(named, otherwise)
            .map(bucket)
            .collect::<BTreeSet<_>>()
    )
}

fn objects(partition: &str, named: &Named, otherwise: &str) -> Value {
    let below = |place: &str| format!("arn:{partition}:s3:::{}/*", place.trim_end_matches('/'));
    json!(places(named, otherwise).map(below).collect::<BTreeSet<_>>())
}

fn places<'a>(named: &'a Named, otherwise: &'a str) -> impl Iterator<Item = &'a str> {
    let given = named.buckets.iter().map(String::as_str);
    given.chain(named.buckets.is_empty().then_some(otherwise))
}

/// That of the ARNs that are configured, else that of the Region.
fn partition(config: &Config) -> &str {
    let signing = match &config.signing_key {
        Some(SigningKey::Kms { arn, .. }) => Some(arn.as_str()),
        _ => None,
    };
    let arns = config.archive_kms_key.as_deref().into_iter().chain(signing);
    let of_arn = arns.filter_map(|arn| arn.split(':').nth(1)).next();
    let of_region = || config.region.as_ref().map(|region| region.partition());
    of_arn.or_else(of_region).unwrap_or("aws")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layer;

    fn config(settings: &[(&'static str, &str)]) -> Config {
        let mut layer = Layer::default();
        for (name, value) in settings {
            layer.flag(name, Some((*value).to_owned()));
        }
        Config::of_layer(layer).expect("configuration")
    }

    fn text(role: Role, config: &Config, named: &Named) -> String {
        policy(role, config, named).expect("a policy").to_string()
    }

    #[test]
    fn roles_buckets_keys_and_partition_are_those_of_the_configuration() {
        let config = config(&[
            ("archive", "s3://org-evidence/keyproof"),
            ("archive_kms_key", "arn:aws-cn:kms:cn-north-1:1:key/a"),
            ("signing_key", "arn:aws-cn:kms:cn-north-1:1:key/s"),
            ("role_name", "/audit/reader"),
        ]);
        let collector = text(Role::Collector, &config, &Named::default());
        for part in [
            "arn:aws-cn:iam::*:role/audit/reader",
            "arn:aws-cn:s3:::org-evidence/keyproof/starts/*",
            "organizations:ListAccounts",
            "kms:GetPublicKey",
        ] {
            assert!(collector.contains(part), "{part}: {collector}");
        }
        for part in ["kms:Sign", "keyproof/chain/", "s3:Delete", "\"kms:*\""] {
            assert!(!collector.contains(part), "{part}: {collector}");
        }
        let sealer = text(Role::Sealer, &config, &Named::default());
        assert!(sealer.contains("org-evidence/keyproof/chain/*"), "{sealer}");
        assert!(sealer.contains("kms:Sign"), "{sealer}");
        for part in ["organizations:", "sts:", "keyproof/starts/"] {
            assert!(!sealer.contains(part), "{part}: {sealer}");
        }
    }

    #[test]
    fn nothing_is_allowed_that_is_not_configured() {
        let none = Named::default();
        let quiet = config(&[("launches", "false")]);
        let reader = text(Role::Reader, &quiet, &none);
        assert!(!reader.contains("cloudtrail:"), "{reader}");
        assert!(reader.contains("elasticmapreduce:ListClusters"), "{reader}");
        let collector = text(Role::Collector, &quiet, &none);
        assert!(collector.contains("role/keyproof-reader"), "{collector}");
        for part in [
            "keyproof-sampler",
            "keyproof-source-reader",
            "ListTagsForResource",
        ] {
            assert!(!collector.contains(part), "{part}: {collector}");
        }
        let all = config(&[
            ("sample_objects", "1"),
            ("source_reader_role_name", "reports"),
            ("tags.owner", "owner"),
        ]);
        let collector = text(Role::Collector, &all, &none);
        for part in ["keyproof-sampler", "role/reports", "ListTagsForResource"] {
            assert!(collector.contains(part), "{part}: {collector}");
        }
        let reader = text(Role::Reader, &all, &none);
        assert!(reader.contains("cloudtrail:LookupEvents"), "{reader}");
    }

    #[test]
    fn what_is_local_needs_nothing_and_what_is_not_named_stands_out() {
        let local = config(&[("single_account", "true")]);
        let collector = text(Role::Collector, &local, &Named::default());
        assert!(collector.contains("\"Statement\":[]"), "{collector}");
        let refused = policy(Role::Sealer, &local, &Named::default());
        assert!(
            refused
                .expect_err("nothing")
                .to_string()
                .contains("--archive")
        );
        let sampler = text(Role::Sampler, &local, &Named::default());
        assert!(sampler.contains("s3:::LOG-BUCKET/PREFIX/*"), "{sampler}");
        let named = Named {
            buckets: vec!["logs-1/emr/".to_owned(), "logs-2".to_owned()],
            keys: vec!["arn:aws:kms:eu-west-1:1:key/r".to_owned()],
        };
        let reports = text(Role::SourceReader, &local, &named);
        for part in [
            "\"arn:aws:s3:::logs-1\"",
            "\"arn:aws:s3:::logs-1/emr/*\"",
            "\"arn:aws:s3:::logs-2/*\"",
            "key/r",
        ] {
            assert!(reports.contains(part), "{part}: {reports}");
        }
        assert!(!reports.contains("REPORT"), "{reports}");
    }
}
