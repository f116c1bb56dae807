//! What is kept of security configurations, form by form
//! (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html>).

use serde_json::{Value, json};

use crate::collect::api::DescribedSecurityConfiguration;
use crate::collect::fake::{account, region};
use crate::collect::security_configuration::row;
use crate::model::datasets::EmrSecurityConfiguration;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444";

fn read(document: &str) -> EmrSecurityConfiguration {
    let described = DescribedSecurityConfiguration {
        name: "sc".to_owned(),
        created_at: None,
        document: document.to_owned(),
    };
    row(&account("111122223333"), &region("eu-west-1"), &described)
}

fn at_rest(s3: &Value) -> Value {
    json!({"EncryptionConfiguration": {
        "EnableAtRestEncryption": true, "EnableInTransitEncryption": false,
        "AtRestEncryptionConfiguration": {"S3EncryptionConfiguration": s3},
    }})
}

fn kept(row: &EmrSecurityConfiguration) -> Value {
    serde_json::from_str(row.encryption_json.as_deref().expect("kept")).expect("JSON")
}

#[test]
fn every_mode_is_kept_whole() {
    for s3 in [
        json!({"EncryptionMode": "SSE-S3"}),
        json!({"EncryptionMode": "SSE-KMS", "AwsKmsKey": KEY}),
        json!({"EncryptionMode": "CSE-KMS", "AwsKmsKey": KEY}),
        json!({"EncryptionMode": "CSE-Custom", "S3Object": "s3://cfg/kp.jar",
               "EncryptionKeyProviderClass": "org.ex.KeyProv"}),
    ] {
        let document = at_rest(&s3);
        let r = read(&document.to_string());
        assert_eq!((r.unknown_keys, r.at_rest), (0, Some(true)), "{s3}");
        assert_eq!(r.s3_mode.as_deref(), s3["EncryptionMode"].as_str());
        assert_eq!(r.s3_key.as_deref(), s3["AwsKmsKey"].as_str());
        assert_eq!(kept(&r), document, "nothing is lost");
    }
}

#[test]
fn overrides_keep_their_buckets_and_their_order() {
    let overrides = json!([
        {"BucketName": "z-raw", "EncryptionMode": "CSE-KMS", "AwsKmsKey": KEY},
        {"BucketName": "a-ref", "EncryptionMode": "SSE-S3"},
        {"BucketName": "m", "EncryptionMode": "CSE-Custom", "S3Object": "s3://cfg/kp.jar",
         "EncryptionKeyProviderClass": "org.ex.KeyProv"},
    ]);
    let s3 = json!({"EncryptionMode": "SSE-KMS", "AwsKmsKey": KEY, "Overrides": overrides});
    let r = read(&at_rest(&s3).to_string());
    assert_eq!(r.unknown_keys, 0);
    let at = "/EncryptionConfiguration/AtRestEncryptionConfiguration/S3EncryptionConfiguration/Overrides";
    assert_eq!(kept(&r).pointer(at), Some(&overrides));
}

#[test]
fn local_disks_transit_and_write_ahead_logs_are_known() {
    let document = json!({"EncryptionConfiguration": {
        "EnableAtRestEncryption": true, "EnableInTransitEncryption": true,
        "AtRestEncryptionConfiguration": {"LocalDiskEncryptionConfiguration": {
            "EncryptionKeyProviderType": "Custom", "EnableEbsEncryption": false,
            "S3Object": "s3://cfg/kp.jar", "EncryptionKeyProviderClass": "org.ex.DiskProv"}},
        "InTransitEncryptionConfiguration": {"TLSCertificateConfiguration": {
            "CertificateProviderType": "PEM", "S3Object": "s3://cfg/certs.zip",
            "ValidityInDays": 30, "WildcardDnsSuffix": "*.ex"}},
        "EMRWALEncryptionConfiguration": {"AwsKmsKey": KEY},
    }});
    let r = read(&document.to_string());
    assert_eq!((r.unknown_keys, r.s3_mode.as_ref()), (0, None));
    assert_eq!(kept(&r), document);
    let wal = r#"{"EncryptionConfiguration":{"EMRWALEncryptionConfiguration":{},"EnableAtRestEncryption":false,"EnableInTransitEncryption":false}}"#;
    let r = read(wal);
    assert_eq!((r.unknown_keys, r.at_rest), (0, Some(false)));
}

#[test]
fn booleans_given_as_text_are_booleans_and_other_text_is_noticed() {
    for (given, expected, noticed) in [
        ("true", Some(true), 0),
        (r#""true""#, Some(true), 0),
        (r#""TRUE ""#, Some(true), 0),
        (r#""false""#, Some(false), 0),
        (r#""yes""#, Some(false), 1),
        ("1", Some(false), 1),
        ("null", Some(false), 1),
    ] {
        let r = read(&format!(
            r#"{{"EncryptionConfiguration":{{"EnableAtRestEncryption":{given}}}}}"#
        ));
        assert_eq!((r.at_rest, r.unknown_keys), (expected, noticed), "{given}");
    }
}

#[test]
fn siblings_of_encryption_are_known_and_left_out() {
    let r = read(
        r#"{"EncryptionConfiguration":{},"AuthenticationConfiguration":{"KerberosConfiguration":{"KdcAdminPassword":"SECRET"}},
        "AuthorizationConfiguration":{"x":"SECRET"},"InstanceMetadataServiceConfiguration":{"HttpPutResponseHopLimit":1}}"#,
    );
    assert_eq!(r.unknown_keys, 0);
    assert_eq!(
        r.encryption_json.as_deref(),
        Some(r#"{"EncryptionConfiguration":{}}"#)
    );
}

#[test]
fn unknown_keys_are_noticed_at_every_depth_and_never_kept() {
    let r = read(
        r#"{"SECRET":1,"EncryptionConfiguration":{"SECRET":1,"AtRestEncryptionConfiguration":{"SECRET":1,
        "S3EncryptionConfiguration":{"EncryptionMode":"SSE-S3","SECRET":{"EncryptionMode":"SECRET"},
        "Overrides":[{"BucketName":"b","SECRET":[]}]}}}}"#,
    );
    assert_eq!(r.unknown_keys, 5);
    let json = r.encryption_json.expect("kept");
    assert!(!json.contains("SECRET"), "{json}");
}

/// Which of two members EMR reads is documented nowhere: the last one is shown, and that there were
/// two is noticed.
#[test]
fn a_member_that_is_named_twice_is_noticed() {
    let r = read(
        r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":true,"EnableAtRestEncryption":false,
        "AtRestEncryptionConfiguration":{"S3EncryptionConfiguration":{"EncryptionMode":"SSE-KMS","EncryptionMode":"SSE-S3"}}}}"#,
    );
    assert_eq!(r.unknown_keys, 2);
    assert_eq!(
        (r.at_rest, r.s3_mode.as_deref()),
        (Some(false), Some("SSE-S3"))
    );
}

#[test]
fn wrong_types_and_nested_nonsense_are_noticed_and_not_kept() {
    for document in [
        r#"{"EncryptionConfiguration":7}"#,
        r#"{"EncryptionConfiguration":[{"EnableAtRestEncryption":true}]}"#,
        r#"{"EncryptionConfiguration":{"AtRestEncryptionConfiguration":"SSE-KMS"}}"#,
        r#"{"EncryptionConfiguration":{"AtRestEncryptionConfiguration":{"S3EncryptionConfiguration":{"EncryptionMode":["SSE-KMS"]}}}}"#,
        r#"{"EncryptionConfiguration":{"AtRestEncryptionConfiguration":{"S3EncryptionConfiguration":{"Overrides":{"BucketName":"b"}}}}}"#,
        r#"{"EncryptionConfiguration":{"AtRestEncryptionConfiguration":{"S3EncryptionConfiguration":{"S3Object":"not a place"}}}}"#,
    ] {
        let r = read(document);
        assert_eq!(r.unknown_keys, 1, "{document}");
        assert_eq!((r.at_rest, r.s3_mode), (Some(false), None), "{document}");
    }
}

#[test]
fn a_huge_document_is_bounded_and_non_ascii_is_kept() {
    let long = "ü".repeat(100_000);
    let s3 = json!({"EncryptionMode": "CSE-Custom", "EncryptionKeyProviderClass": format!("  {long}  ")});
    let r = read(&at_rest(&s3).to_string());
    let json = r.encryption_json.expect("kept");
    assert!(json.len() < 10_000, "{}", json.len());
    assert!(json.contains("üü"));

    let many: Vec<_> = (0..5_000)
        .map(|i| json!({"BucketName": format!("b-{i}"), "EncryptionMode": "SSE-S3"}))
        .collect();
    let r = read(&at_rest(&json!({"EncryptionMode": "SSE-S3", "Overrides": many})).to_string());
    assert_eq!(r.unknown_keys, 0);
    let overrides = kept(&r);
    let at = "/EncryptionConfiguration/AtRestEncryptionConfiguration/S3EncryptionConfiguration/Overrides";
    let kept = overrides.pointer(at).and_then(Value::as_array);
    assert_eq!(kept.map(Vec::len), Some(5_000), "no override is lost");
}
