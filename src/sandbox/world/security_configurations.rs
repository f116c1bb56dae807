//! EMR security configurations: what they encrypt is never the archived log.

use serde_json::{Value, json};

use super::scenario::{Finding, Outcome};
use super::secrets::{Planter, marker};
use super::{DAY_MS, MINUTE_MS, Options};

/// A security configuration of one account-region. It cannot be updated, only replaced by another
/// of the same name, so that name and creation time together identify it.
#[derive(Debug, Clone)]
pub struct SecurityConfiguration {
    pub name: String,
    pub created_ms: i64,
    /// The document, as the string that EMR returns.
    pub document: String,
}

/// Name of the one that replaced another.
pub(super) const RENEWED: &str = "emrfs-renewed";

/// Names that every account-region has.
pub(super) const NAMES: [&str; 6] = [
    "emrfs-sse-kms",
    "emrfs-sse-s3",
    "strict",
    "emrfs-overrides",
    "tls-only",
    RENEWED,
];

/// What the choice of a configuration should make of EL-08 and EL-18, when it was there before the
/// cluster and the audit may read it. Approved are SSE-KMS and CSE-KMS, with any key.
pub(super) fn statement(name: Option<&str>) -> [Finding; 2] {
    let finding = |outcome, reason| Finding { outcome, reason };
    let approved = finding(Outcome::Pass, "approved");
    let encrypted = finding(Outcome::Pass, "local_disks_encrypted");
    let both = |reason| [finding(Outcome::Fail, reason); 2];
    match name {
        None => both("no_security_configuration"),
        Some("emrfs-sse-s3") => [
            finding(Outcome::Fail, "mode_not_approved"),
            finding(Outcome::Fail, "no_local_disk_encryption"),
        ],
        Some("emrfs-overrides") => [
            finding(Outcome::Fail, "override_not_approved"),
            finding(Outcome::Fail, "no_local_disk_encryption"),
        ],
        Some("tls-only") => both("at_rest_off"),
        // Without EBS encryption, LUKS still encrypts the volumes that logs lie on.
        Some(_) => [approved, encrypted],
    }
}

/// The same when what can be read is not what the cluster was launched with.
pub(super) fn made_after_launch() -> [Finding; 2] {
    [Finding {
        outcome: Outcome::Unknown,
        reason: "created_after_launch",
    }; 2]
}

/// The same when the audit may not read configurations.
pub(super) fn not_read() -> [Finding; 2] {
    [Finding {
        outcome: Outcome::Unknown,
        reason: "not_read",
    }; 2]
}

/// The configurations of one account-region: modern booleans, plain defaults, a document with
/// booleans as strings and keys that no guide mentions, and one that replaced another of its name two
/// days before the simulation.
pub(super) fn generate(
    options: &Options,
    log_key_arn: &str,
    planter: &mut Planter,
) -> Vec<SecurityConfiguration> {
    let secret = planter.reserve(2);
    let local_disks = |ebs: Value| {
        json!({"EncryptionKeyProviderType": "AwsKms", "EnableEbsEncryption": ebs,
            "AwsKmsKey": log_key_arn})
    };
    let at_rest = |parts: Value| {
        json!({"EncryptionConfiguration": {"EnableAtRestEncryption": true,
            "EnableInTransitEncryption": false, "AtRestEncryptionConfiguration": parts}})
    };
    let tls = json!({"TLSCertificateConfiguration": {"CertificateProviderType": "PEM",
        "S3Object": "s3://cluster-setup/certificates.zip"}});
    let kms = at_rest(json!({
        "S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": log_key_arn},
        "LocalDiskEncryptionConfiguration": local_disks(true.into())}));
    let plain = at_rest(json!({"S3EncryptionConfiguration": {"EncryptionMode": "SSE-S3"}}));
    let strict = json!({
        "EncryptionConfiguration": {
            "EnableAtRestEncryption": "true", "EnableInTransitEncryption": "true",
            "InTransitEncryptionConfiguration": tls,
            "AtRestEncryptionConfiguration": {
                "S3EncryptionConfiguration": {"EncryptionMode": "CSE-KMS", "AwsKmsKey": log_key_arn},
                "LocalDiskEncryptionConfiguration": local_disks("false".into())}},
        "AuthenticationConfiguration": {"KerberosConfiguration": {
            "Provider": "ClusterDedicatedKdc",
            "ClusterDedicatedKdcConfiguration": {"TicketLifetimeInHours": 24}}},
        "InstanceMetadataServiceConfiguration": {
            "MinimumInstanceMetadataServiceVersion": 2, "HttpPutResponseHopLimit": 1},
        "VendorExtension": {"ApiToken": marker(secret), (marker(secret + 1)): true}});
    let overrides = at_rest(json!({"S3EncryptionConfiguration": {
        "EncryptionMode": "SSE-KMS", "AwsKmsKey": log_key_arn,
        "Overrides": [{"BucketName": "public-reference", "EncryptionMode": "SSE-S3"}]}}));
    let tls_only = json!({"EncryptionConfiguration": {
        "EnableAtRestEncryption": false, "EnableInTransitEncryption": true,
        "InTransitEncryptionConfiguration": tls}});
    let documents = [kms.clone(), plain, strict, overrides, tls_only, kms];
    NAMES
        .into_iter()
        .zip(documents)
        .zip(1..)
        .map(|((name, document), age)| SecurityConfiguration {
            name: name.to_owned(),
            created_ms: if name == RENEWED {
                options.at(-2, 600)
            } else {
                // Older than every cluster.
                options.start_ms - (800 + age * 40) * DAY_MS + age * 17 * MINUTE_MS
            },
            document: document.to_string(),
        })
        .collect()
}
