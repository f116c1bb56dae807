//! What a security configuration says of data that goes to one bucket through EMRFS
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html>).

use serde_json::Value;

/// The encryption of one bucket: of the override that names it, else the one for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emrfs<'v> {
    /// SSE-S3, SSE-KMS, CSE-KMS, CSE-Custom; `None` where it is missing.
    pub mode: Option<&'v str>,
    /// As given.
    pub key: Option<&'v str>,
    /// Whether an override says so.
    pub overridden: bool,
}

impl<'v> Emrfs<'v> {
    /// Reads it from the whole document; `None` where encryption at rest is off or says nothing of S3.
    pub fn of(document: &'v Value, bucket: &str) -> Option<Self> {
        let encryption = document.get("EncryptionConfiguration")?;
        if encryption.get("EnableAtRestEncryption")?.as_bool() != Some(true) {
            return None;
        }
        let s3 = encryption.pointer("/AtRestEncryptionConfiguration/S3EncryptionConfiguration")?;
        let text = |from: &'v Value, name: &str| from.get(name).and_then(Value::as_str);
        let overrides = s3.get("Overrides").and_then(Value::as_array);
        let own = overrides
            .into_iter()
            .flatten()
            .find(|o| text(o, "BucketName") == Some(bucket));
        let from = own.unwrap_or(s3);
        Some(Self {
            mode: text(from, "EncryptionMode"),
            key: text(from, "AwsKmsKey"),
            overridden: own.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_override_of_a_bucket_replaces_the_rest() {
        let s3 = json!({"EncryptionMode": "SSE-KMS", "AwsKmsKey": "k", "Overrides": [
            {"BucketName": "open", "EncryptionMode": "SSE-S3"}]});
        let document = json!({"EncryptionConfiguration": {"EnableAtRestEncryption": true,
            "AtRestEncryptionConfiguration": {"S3EncryptionConfiguration": s3}}});
        let open = Emrfs::of(&document, "open").expect("encryption");
        assert_eq!((open.mode, open.key), (Some("SSE-S3"), None));
        let other = Emrfs::of(&document, "other").expect("encryption");
        assert_eq!((other.mode, other.key), (Some("SSE-KMS"), Some("k")));
        assert!(!other.overridden);
    }

    #[test]
    fn at_rest_off_encrypts_nothing() {
        let document = json!({"EncryptionConfiguration": {"EnableAtRestEncryption": false,
            "AtRestEncryptionConfiguration": {"S3EncryptionConfiguration": {"EncryptionMode": "SSE-S3"}}}});
        assert_eq!(Emrfs::of(&document, "b"), None);
        assert_eq!(Emrfs::of(&json!([1]), "b"), None);
    }
}
