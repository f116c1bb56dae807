//! What is kept of a security configuration: a projection onto known keys.
//!
//! The document is free JSON that its author may have put anything into. Only the keys that AWS
//! documents below `EncryptionConfiguration` are kept
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html>),
//! with values of the documented type; everything else is counted, and so is a member named twice. Booleans appear as booleans and as
//! strings in AWS's own examples and are kept as booleans.

use serde_json::{Map, Value};

use crate::collect::api::DescribedSecurityConfiguration;
use crate::collect::repeated;
use crate::model::canonical;
use crate::model::datasets::{Account, EmrSecurityConfiguration};
use crate::model::ids::{Region, Sha256Hex};
use crate::model::s3_location::S3Location;

const MAX_TEXT: usize = 2_048;

/// What may stand under a key.
enum Shape {
    Text,
    /// A place in S3, kept without credentials.
    S3,
    Bool,
    Int,
    Object(&'static [(&'static str, Shape)]),
    List(&'static [(&'static str, Shape)]),
    /// Known, of no use here, not kept.
    LeftOut,
}
use Shape::{Bool, Int, LeftOut, List, Object, S3, Text};

const MODE: (&str, Shape) = ("EncryptionMode", Text);
const KEY: (&str, Shape) = ("AwsKmsKey", Text);
const OBJECT: (&str, Shape) = ("S3Object", S3);
const PROVIDER_CLASS: (&str, Shape) = ("EncryptionKeyProviderClass", Text);

const DOCUMENT: &[(&str, Shape)] = &[
    (
        "EncryptionConfiguration",
        Object(&[
            ("EnableInTransitEncryption", Bool),
            ("EnableAtRestEncryption", Bool),
            (
                "InTransitEncryptionConfiguration",
                Object(&[(
                    "TLSCertificateConfiguration",
                    Object(&[
                        ("CertificateProviderType", Text),
                        OBJECT,
                        ("CertificateProviderClass", Text),
                        KEY,
                        ("SecretTags", LeftOut),
                        ("ValidityInDays", Int),
                        ("WildcardDnsSuffix", Text),
                    ]),
                )]),
            ),
            (
                "AtRestEncryptionConfiguration",
                Object(&[
                    (
                        "S3EncryptionConfiguration",
                        Object(&[
                            MODE,
                            KEY,
                            OBJECT,
                            PROVIDER_CLASS,
                            (
                                "Overrides",
                                List(&[("BucketName", Text), MODE, KEY, OBJECT, PROVIDER_CLASS]),
                            ),
                        ]),
                    ),
                    (
                        "LocalDiskEncryptionConfiguration",
                        Object(&[
                            ("EnableEbsEncryption", Bool),
                            ("EncryptionKeyProviderType", Text),
                            KEY,
                            OBJECT,
                            PROVIDER_CLASS,
                        ]),
                    ),
                ]),
            ),
            ("EMRWALEncryptionConfiguration", Object(&[KEY])),
        ]),
    ),
    ("AuthenticationConfiguration", LeftOut),
    ("AuthorizationConfiguration", LeftOut),
    ("InstanceMetadataServiceConfiguration", LeftOut),
];

/// The row of one security configuration.
pub fn row(
    account: &Account,
    region: &Region,
    described: &DescribedSecurityConfiguration,
) -> EmrSecurityConfiguration {
    // Which of two members of one name EMR reads is documented nowhere.
    let mut unknown_keys = repeated::count(&described.document);
    let kept = serde_json::from_str::<Value>(&described.document)
        .ok()
        .and_then(|document| match document {
            Value::Object(map) => Some(project(map, DOCUMENT, &mut unknown_keys)),
            _ => None,
        });
    let at = |path: &str| kept.as_ref().and_then(|k| k.pointer(path));
    let text = |path: &str| at(path).and_then(Value::as_str).map(str::to_owned);
    let s3 = "/EncryptionConfiguration/AtRestEncryptionConfiguration/S3EncryptionConfiguration";
    let encryption_json = kept.as_ref().map(canonical::to_string);
    EmrSecurityConfiguration {
        scheduled_for: account.scheduled_for,
        account_id: account.account_id.clone(),
        region: region.clone(),
        name: described.name.clone(),
        created_at: described.created_at,
        encryption_sha256: encryption_json
            .as_ref()
            .map(|json| Sha256Hex::of(json.as_bytes())),
        unknown_keys,
        // AWS's default is false, also when the key is absent.
        at_rest: kept.as_ref().map(|_| {
            at("/EncryptionConfiguration/EnableAtRestEncryption")
                .and_then(Value::as_bool)
                .unwrap_or(false)
        }),
        s3_mode: text(&format!("{s3}/EncryptionMode")),
        s3_key: text(&format!("{s3}/AwsKmsKey")),
        encryption_json,
    }
}

fn project(map: Map<String, Value>, shape: &[(&str, Shape)], unknown: &mut i64) -> Value {
    let mut kept = Map::new();
    for (key, value) in map {
        let known = shape.iter().find(|(name, _)| *name == key);
        match known.map(|(_, shape)| shape) {
            Some(LeftOut) => {}
            Some(shape) => match keep(value, shape, unknown) {
                Some(value) => {
                    kept.insert(key, value);
                }
                None => *unknown += 1,
            },
            None => *unknown += 1,
        }
    }
    Value::Object(kept)
}

fn keep(value: Value, shape: &Shape, unknown: &mut i64) -> Option<Value> {
    match (shape, value) {
        (Text, Value::String(s)) => {
            let text: String = s.trim().chars().take(MAX_TEXT).collect();
            Some(text.trim_end().into())
        }
        (S3, Value::String(s)) => S3Location::parse(&s).map(|l| l.to_string().into()),
        (Bool, Value::Bool(b)) => Some(b.into()),
        (Bool, Value::String(s)) => s
            .trim()
            .to_ascii_lowercase()
            .parse::<bool>()
            .ok()
            .map(Into::into),
        (Int, Value::Number(n)) => n.as_i64().map(Into::into),
        (Int, Value::String(s)) => s.trim().parse::<i64>().ok().map(Into::into),
        (Object(fields), Value::Object(map)) => Some(project(map, fields, unknown)),
        (List(fields), Value::Array(items)) => Some(
            items
                .into_iter()
                .filter_map(|item| match item {
                    Value::Object(map) => Some(project(map, fields, unknown)),
                    _ => {
                        *unknown += 1;
                        None
                    }
                })
                .collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fake::account;

    fn read(document: &str) -> EmrSecurityConfiguration {
        let described = DescribedSecurityConfiguration {
            name: "sc".to_owned(),
            created_at: None,
            document: document.to_owned(),
        };
        row(
            &account("111122223333"),
            &"eu-west-1".parse().expect("region"),
            &described,
        )
    }

    #[test]
    fn booleans_as_text_are_the_same_configuration() {
        let a = read(r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":true}}"#);
        let b = read(r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":"True"}}"#);
        assert_eq!(a.encryption_sha256, b.encryption_sha256);
        assert_eq!(b.at_rest, Some(true));
        assert_eq!(read("{}").at_rest, Some(false));
    }

    #[test]
    fn mode_key_and_overrides_are_kept() {
        let r = read(
            r#"{"EncryptionConfiguration":{"AtRestEncryptionConfiguration":{"S3EncryptionConfiguration":
            {"EncryptionMode":"SSE-KMS","AwsKmsKey":"k1","Overrides":[{"BucketName":"b","EncryptionMode":"SSE-S3","X":1},7]}}}}"#,
        );
        assert_eq!(
            (r.s3_mode.as_deref(), r.s3_key.as_deref()),
            (Some("SSE-KMS"), Some("k1"))
        );
        assert_eq!(r.unknown_keys, 2);
        assert!(
            r.encryption_json
                .is_some_and(|j| j.contains(r#"[{"BucketName":"b","EncryptionMode":"SSE-S3"}]"#))
        );
    }

    #[test]
    fn nothing_unknown_is_kept() {
        let r = read(
            r#"{"EncryptionConfiguration":{"Password":"SECRET","EMRWALEncryptionConfiguration":{"AwsKmsKey":{"a":"SECRET"}},
            "InTransitEncryptionConfiguration":{"TLSCertificateConfiguration":{"S3Object":"s3n://A:SECRET@cfg-bucket/c.zip","SecretTags":["SECRET"],"ValidityInDays":"30"}}},
            "AuthenticationConfiguration":{"KdcAdminPassword":"SECRET"},"Notes":["SECRET"]}"#,
        );
        let json = r.encryption_json.expect("json");
        assert!(!json.contains("SECRET"), "{json}");
        assert!(json.contains("s3n://cfg-bucket/c.zip"), "{json}");
        assert!(json.contains(r#""ValidityInDays":30"#), "{json}");
        assert_eq!(r.unknown_keys, 3);
    }

    #[test]
    fn what_cannot_be_read_has_no_projection() {
        let deep = "[".repeat(100_000);
        for bad in ["", "{", "[]", "null", "\u{0}", &deep] {
            let r = read(bad);
            assert_eq!((r.encryption_json, r.at_rest), (None, None), "{bad:.20}");
        }
    }
}
