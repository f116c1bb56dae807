//! EMR security configurations: what they encrypt is never the archived log.

use serde_json::json;

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

/// Names that every account-region has, in the order of [`generate`].
pub(super) const NAMES: [&str; 3] = ["emrfs-sse-kms", "emrfs-sse-s3", "strict"];

/// The configurations of one account-region: modern booleans, plain defaults, and a document with
/// booleans as strings and keys that no guide mentions.
pub(super) fn generate(
    options: &Options,
    log_key_arn: &str,
    planter: &mut Planter,
) -> Vec<SecurityConfiguration> {
    let secret = planter.reserve(2);
    let kms = json!({"EncryptionConfiguration": {
        "EnableAtRestEncryption": true, "EnableInTransitEncryption": false,
        "AtRestEncryptionConfiguration": {
            "S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": log_key_arn,
                "Overrides": [{"BucketName": "public-reference", "EncryptionMode": "SSE-S3"}]},
            "LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms",
                "EnableEbsEncryption": true, "AwsKmsKey": log_key_arn}}}});
    let plain = json!({"EncryptionConfiguration": {
        "EnableAtRestEncryption": true, "EnableInTransitEncryption": false,
        "AtRestEncryptionConfiguration": {
            "S3EncryptionConfiguration": {"EncryptionMode": "SSE-S3"}}}});
    let strict = json!({
        "EncryptionConfiguration": {
            "EnableAtRestEncryption": "true", "EnableInTransitEncryption": "true",
            "InTransitEncryptionConfiguration": {"TLSCertificateConfiguration": {
                "CertificateProviderType": "PEM", "S3Object": "s3://cluster-setup/certificates.zip"}},
            "AtRestEncryptionConfiguration": {
                "S3EncryptionConfiguration": {"EncryptionMode": "CSE-KMS", "AwsKmsKey": log_key_arn},
                "LocalDiskEncryptionConfiguration": {"EncryptionKeyProviderType": "AwsKms",
                    "EnableEbsEncryption": "false", "AwsKmsKey": log_key_arn}}},
        "AuthenticationConfiguration": {"KerberosConfiguration": {
            "Provider": "ClusterDedicatedKdc",
            "ClusterDedicatedKdcConfiguration": {"TicketLifetimeInHours": 24}}},
        "InstanceMetadataServiceConfiguration": {
            "MinimumInstanceMetadataServiceVersion": 2, "HttpPutResponseHopLimit": 1},
        "VendorExtension": {"ApiToken": marker(secret), (marker(secret + 1)): true}});
    NAMES
        .into_iter()
        .zip([kms, plain, strict])
        .zip(1..)
        .map(|((name, document), age)| SecurityConfiguration {
            name: name.to_owned(),
            created_ms: options.start_ms - age * 120 * DAY_MS + age * 17 * MINUTE_MS,
            document: document.to_string(),
        })
        .collect()
}
