//! The rules that advise: what each says when one thing is spoiled.

use crate::assess::fixtures::*;
use crate::model::words::{Lookup, Outcome, RetainedCopies};
use crate::time::UtcMillis;

type Spoil = fn(&mut World);

fn check(rule: &str, table: &[(&str, Spoil)]) {
    for (index, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        assert_eq!(w.said(rule), *expected, "{rule} row {index}");
    }
}

fn policy(w: &mut World, system: &str, application: &str, ui: &str) {
    w.cluster.system_logs_upload = some(system);
    w.cluster.application_logs_upload = some(application);
    w.cluster.ui_logs_upload = some(ui);
}

#[test]
fn el_07_retained_copies() {
    let table: &[(&str, Spoil)] = &[
        ("PASS no_aws_side_copies", |w| {
            policy(w, "on-customer-s3only", "disabled", "disabled");
        }),
        ("PASS no_aws_side_copies", |w| {
            policy(w, "disabled", "disabled", "disabled");
            w.cluster.log_uri = None;
        }),
        ("FAIL aws_side_copies", |_| {}),
        ("FAIL aws_side_copies", |w| {
            w.cluster.release_label = some("emr-8.0.0");
            policy(w, "disabled", "disabled", "emr-managed");
        }),
        ("FAIL aws_side_copies", |w| {
            w.cluster.log_uri = None;
            w.cluster.log_key = None;
        }),
        // One that is surely kept outweighs one that is not known.
        ("FAIL aws_side_copies", |w| {
            policy(w, "new-word", "emr-managed", "disabled");
        }),
        ("UNKNOWN release_unparseable", |w| {
            w.cluster.release_label = None;
        }),
        ("UNKNOWN release_unparseable", |w| {
            w.cluster.release_label = some("spark-8.0.0-preview");
            policy(w, "disabled", "disabled", "disabled");
        }),
        ("UNKNOWN upload_policy_not_known", |w| {
            policy(w, "disabled", "new-word", "disabled");
        }),
        ("UNKNOWN upload_policy_not_known", |w| {
            policy(w, "disabled", "disabled", "on-customer-s3only");
        }),
        ("UNKNOWN upload_policy_not_known", |w| {
            policy(w, "disabled", "DISABLED", "disabled");
        }),
        ("NOT_APPLICABLE release_has_no_switch", |w| {
            w.cluster.release_label = some("emr-7.12.0");
        }),
        ("NOT_APPLICABLE release_has_no_switch", |w| {
            w.cluster.release_label = some("emr-7.2.0");
        }),
    ];
    check("EL-07", table);
    for (index, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        let copies = match expected.split(' ').next() {
            Some("PASS") => RetainedCopies::No,
            Some("UNKNOWN") => RetainedCopies::Unknown,
            // Without the switch they are always kept.
            _ => RetainedCopies::Yes,
        };
        let verdict = w.assess().verdict;
        assert_eq!(verdict.retained_copies, Some(copies), "row {index}");
    }
    let mut w = World::compliant();
    policy(&mut w, "disabled", "emr-managed", "emr-managed");
    let f = w.finding("EL-07");
    assert_eq!(
        f.params_json,
        r#"{"kept":["application-logs","persistent-ui-logs"],"release":"emr-7.13.0"}"#
    );
    let advice = f.advice.expect("advice");
    assert!(
        advice.contains(
            "application-logs on-customer-s3only or disabled, persistent-ui-logs disabled"
        ),
        "{advice}"
    );
}

#[test]
fn el_08_approved_security_configuration() {
    check(
        "EL-08",
        &[
            ("PASS approved", |w| {
                w.configure();
            }),
            ("PASS approved", |w| w.configure().s3_mode = some("CSE-KMS")),
            ("PASS approved", |w| {
                w.configure().s3_mode = some("SSE-S3");
                w.config.approved_s3_modes.insert("SSE-S3".to_owned());
                // A mode without a KMS key has none that could be wrong.
                w.config.approved_s3_keys.insert(KEY.to_owned());
            }),
            ("PASS approved", |w| {
                w.configure();
                w.config.approved_s3_keys.insert(KEY.to_owned());
            }),
            // The same key by its bare id.
            ("PASS approved", |w| {
                w.configure().s3_key = some("0a0a0a0a-1111-4222-8333-444444444444");
                w.config.approved_s3_keys.insert(KEY.to_owned());
            }),
            ("PASS approved", |w| {
                w.configure().encryption_json = encryption(
                    r#"{"EncryptionMode":"SSE-KMS","Overrides":[{"BucketName":"b","EncryptionMode":"CSE-KMS"}]}"#,
                );
            }),
            ("PASS approved", |w| w.configure().unknown_keys = 3),
            ("FAIL no_security_configuration", |_| {}),
            ("FAIL no_security_configuration", |w| {
                w.cluster.security_configuration = some(" ");
            }),
            ("FAIL at_rest_off", |w| {
                w.configure().at_rest = Some(false);
            }),
            ("FAIL mode_not_approved", |w| {
                w.configure().s3_mode = some("SSE-S3");
            }),
            ("FAIL mode_not_approved", |w| w.configure().s3_mode = None),
            ("FAIL mode_not_approved", |w| {
                w.configure().s3_mode = some("CSE-Custom");
                w.security_configurations[0].unknown_keys = 1;
            }),
            ("FAIL key_not_approved", |w| {
                w.configure().s3_key = None;
                w.config.approved_s3_keys.insert(KEY.to_owned());
            }),
            ("FAIL key_not_approved", |w| {
                w.configure();
                w.config.approved_s3_keys.insert(KEY.replace(OWN, SISTER));
            }),
            ("FAIL override_not_approved", |w| {
                w.configure().encryption_json = encryption(
                    r#"{"EncryptionMode":"SSE-KMS","Overrides":[{"BucketName":"b","EncryptionMode":"SSE-S3"}]}"#,
                );
            }),
            ("FAIL override_not_approved", |w| {
                w.configure().encryption_json =
                    encryption(r#"{"EncryptionMode":"SSE-KMS","Overrides":[{"BucketName":"b"}]}"#);
            }),
            ("UNKNOWN unreadable", |w| {
                w.configure().encryption_json =
                    encryption(r#"{"EncryptionMode":"SSE-KMS","Overrides":[{"BucketName":"b"}]}"#);
                w.security_configurations[0].unknown_keys = 1;
            }),
            ("UNKNOWN unreadable", |w| {
                w.configure().s3_mode = None;
                w.security_configurations[0].unknown_keys = 1;
            }),
            ("UNKNOWN unreadable", |w| {
                w.configure().encryption_json = None;
            }),
            ("UNKNOWN unreadable", |w| {
                w.configure().encryption_json = some("{");
            }),
            ("UNKNOWN not_read", |w| {
                w.configure();
                w.security_configurations.clear();
            }),
            // A configuration of that name in another Region is another one.
            ("UNKNOWN not_read", |w| {
                w.configure().region = region("eu-central-1");
            }),
            ("UNKNOWN created_after_launch", |w| {
                w.configure().created_at = Some(AS_OF);
            }),
            ("UNKNOWN creation_time_not_known", |w| {
                w.configure().created_at = None;
            }),
            ("NOT_APPLICABLE no_approved_mode_configured", |w| {
                w.configure().s3_mode = some("SSE-S3");
                w.config.approved_s3_modes.clear();
            }),
        ],
    );
    let mut w = World::compliant();
    w.configure();
    let f = w.finding("EL-08");
    assert!(
        f.facts
            .ends_with(" emr_security_configuration/111122223333/eu-west-1/sc"),
        "{}",
        f.facts
    );
}

#[test]
fn el_12_rotation_on() {
    check(
        "EL-12",
        &[
            ("PASS rotation_on", |_| {}),
            ("PASS rotation_on", |w| w.key().state = some("Disabled")),
            ("PASS rotation_on", |w| w.move_key_to(SISTER)),
            ("FAIL rotation_off", |w| {
                w.key().rotation_enabled = Some(false);
            }),
            ("FAIL rotation_off", |w| {
                w.key().rotation_enabled = Some(false);
                w.key().state = some("Disabled");
            }),
            ("UNKNOWN rotation_not_read", |w| {
                w.key().rotation_lookup = Lookup::Denied;
                w.key().rotation_enabled = None;
            }),
            ("UNKNOWN rotation_not_read", |w| {
                w.key().rotation_lookup = Lookup::OwnerNotInScope;
                w.key().rotation_enabled = None;
            }),
            ("UNKNOWN rotation_not_read", |w| {
                w.key().rotation_lookup = Lookup::NotAttempted;
            }),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_described", |w| w.keys.clear()),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("?");
            }),
            ("NOT_APPLICABLE kind_cannot_rotate", |w| {
                w.key().rotation_enabled = None;
            }),
            ("NOT_APPLICABLE kind_cannot_rotate", |w| {
                w.key().origin = some("EXTERNAL");
                w.key().rotation_enabled = Some(false);
            }),
            // The kind is known without the call.
            ("NOT_APPLICABLE kind_cannot_rotate", |w| {
                w.key().spec = some("RSA_4096");
                w.key().rotation_lookup = Lookup::Denied;
            }),
            ("NOT_APPLICABLE key_pending_deletion", |w| {
                w.key().state = some("PendingDeletion");
                w.key().rotation_enabled = Some(false);
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.key().manager = some("AWS");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
}

#[test]
fn el_13_key_tagged() {
    fn ask(w: &mut World) {
        w.config.key_tags.owner = true;
        w.config.key_tags.data_classification = true;
        w.key().owner = some("custodians");
        w.key().data_classification = some("confidential");
    }
    check(
        "EL-13",
        &[
            ("PASS key_tagged", ask),
            ("PASS key_tagged", |w| {
                ask(w);
                w.key().state = some("Disabled");
            }),
            ("FAIL tags_missing", |w| {
                ask(w);
                w.config.key_tags.cost_center = true;
            }),
            ("FAIL tags_missing", |w| {
                ask(w);
                w.key().owner = some(" ");
            }),
            ("UNKNOWN tags_not_read", |w| {
                ask(w);
                w.key().tags_lookup = Lookup::Denied;
            }),
            ("UNKNOWN tags_not_read", |w| {
                ask(w);
                w.key().tags_lookup = Lookup::Failed;
            }),
            ("UNKNOWN key_not_described", |w| {
                ask(w);
                w.lose_key(Lookup::Denied);
            }),
            ("UNKNOWN key_not_found", |w| {
                ask(w);
                w.lose_key(Lookup::NotFound);
            }),
            ("UNKNOWN key_reference_unparseable", |w| {
                ask(w);
                w.cluster.log_key = some("?");
            }),
            ("NOT_APPLICABLE no_tag_name_configured", |_| {}),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                ask(w);
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE no_log_key", |w| {
                ask(w);
                w.cluster.log_key = None;
            }),
            ("NOT_APPLICABLE no_log_uri", |w| {
                ask(w);
                w.cluster.log_uri = None;
            }),
        ],
    );
    let mut w = World::compliant();
    ask(&mut w);
    w.config.key_tags.cost_center = true;
    w.key().owner = None;
    let params = w.finding("EL-13").params_json;
    assert!(
        params.contains(r#""tags":["owner","cost_center"]"#),
        "{params}"
    );
}

#[test]
fn el_15_bucket_default_key() {
    fn kms(w: &mut World, key: &str) {
        w.bucket().default_algorithm = some("aws:kms");
        w.bucket().default_key = some(key);
    }
    const OTHER: &str =
        "arn:aws:kms:eu-west-1:111122223333:key/1b1b1b1b-1111-4222-8333-444444444444";
    check(
        "EL-15",
        &[
            ("PASS bucket_default_customer_key", |w| kms(w, KEY)),
            // Nobody described it, but an explicit key that is no alias/aws/* was chosen.
            ("PASS bucket_default_customer_key", |w| kms(w, OTHER)),
            ("PASS bucket_default_customer_key", |w| {
                kms(w, "alias/mine");
                w.bucket().default_algorithm = some("aws:kms:dsse");
            }),
            ("FAIL bucket_default_not_customer_key", |_| {}),
            ("FAIL bucket_default_not_customer_key", |w| {
                w.bucket().default_algorithm = some("aws:kms");
            }),
            ("FAIL bucket_default_not_customer_key", |w| {
                w.bucket().default_algorithm = None;
            }),
            ("FAIL bucket_default_not_customer_key", |w| {
                kms(w, "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3");
            }),
            ("FAIL bucket_default_not_customer_key", |w| {
                kms(w, "alias/aws/s3");
            }),
            // The ARN of an AWS managed key, which the run happens to have described.
            ("FAIL bucket_default_not_customer_key", |w| {
                kms(w, KEY);
                w.key().manager = some("AWS");
            }),
            ("FAIL bucket_default_not_customer_key", |w| kms(w, "?!")),
            ("UNKNOWN bucket_not_read", |w| w.buckets.clear()),
            ("UNKNOWN bucket_not_read", |w| {
                w.bucket().lookup = Lookup::OwnerNotInScope;
            }),
            ("UNKNOWN bucket_not_read", |w| {
                w.bucket().lookup = Lookup::OwnerUnknown;
            }),
            // What was read before the refusal does not count.
            ("UNKNOWN bucket_not_read", |w| {
                kms(w, KEY);
                w.bucket().lookup = Lookup::Denied;
            }),
            ("UNKNOWN log_uri_unparseable", |w| {
                w.cluster.log_uri = some("hdfs:///logs");
            }),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
    let mut w = World::compliant();
    kms(&mut w, KEY);
    w.bucket().bucket_key = Some(true);
    let f = w.finding("EL-15");
    assert_eq!(
        (f.subject_kind.as_str(), f.subject.as_str()),
        ("bucket", "arn:aws:s3:::team-logs")
    );
    assert!(f.params_json.contains(r#""bucket_key":true"#));
    assert!(
        f.facts
            .contains(" log_bucket/team-logs kms_key/arn:aws:kms:")
    );
}

#[test]
fn el_18_local_disks_encrypted() {
    fn json(w: &mut World, at_rest: &str) {
        w.configure().encryption_json = Some(format!(
            r#"{{"EncryptionConfiguration":{{"AtRestEncryptionConfiguration":{at_rest},"EnableAtRestEncryption":true}}}}"#
        ));
    }
    check(
        "EL-18",
        &[
            ("PASS local_disks_encrypted", |w| {
                w.configure();
            }),
            // Data volumes are encrypted without EBS encryption, by LUKS.
            ("PASS local_disks_encrypted", |w| {
                json(
                    w,
                    r#"{"LocalDiskEncryptionConfiguration":{"EnableEbsEncryption":false,"EncryptionKeyProviderType":"Custom"}}"#,
                );
            }),
            ("FAIL no_security_configuration", |_| {}),
            ("FAIL at_rest_off", |w| w.configure().at_rest = Some(false)),
            ("FAIL no_local_disk_encryption", |w| json(w, "{}")),
            ("FAIL no_local_disk_encryption", |w| {
                w.configure().encryption_json =
                    some(r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":true}}"#);
            }),
            ("UNKNOWN unreadable", |w| {
                json(w, "{}");
                w.security_configurations[0].unknown_keys = 1;
            }),
            ("UNKNOWN unreadable", |w| {
                json(w, r#"{"LocalDiskEncryptionConfiguration":{}}"#);
            }),
            ("UNKNOWN unreadable", |w| {
                let row = w.configure();
                row.encryption_json = some(r#"{"EncryptionConfiguration":{}}"#);
                row.at_rest = Some(false);
                row.unknown_keys = 1;
            }),
            ("UNKNOWN unreadable", |w| {
                w.configure().encryption_json = None;
            }),
            ("UNKNOWN not_read", |w| {
                w.cluster.security_configuration = some("gone");
            }),
            ("UNKNOWN created_after_launch", |w| {
                w.configure().created_at = Some(AS_OF);
            }),
            ("UNKNOWN creation_time_not_known", |w| {
                w.configure();
                w.cluster.created_at = None;
            }),
        ],
    );
    let mut w = World::compliant();
    w.configure().created_at = Some(UtcMillis(0));
    let params = w.finding("EL-18").params_json;
    assert!(params.contains(r#""ebs_encryption":true"#), "{params}");
}

#[test]
fn what_is_missing_is_named() {
    let missing = |rule: &str, action: &str, spoil: Spoil| {
        let mut w = World::compliant();
        w.config.key_tags.owner = true;
        spoil(&mut w);
        let f = w.finding(rule);
        assert_eq!(f.outcome, Outcome::Unknown);
        let params: serde_json::Value = serde_json::from_str(&f.params_json).expect("json");
        assert_eq!(params["denied_action"], action, "{}", f.params_json);
        assert!(f.advice.expect("advice").contains(action));
    };
    missing("EL-12", "kms:GetKeyRotationStatus", |w| {
        w.key().rotation_lookup = Lookup::Denied;
    });
    missing("EL-13", "kms:ListResourceTags", |w| {
        w.key().tags_lookup = Lookup::Denied;
    });
    missing("EL-15", "s3:GetBucketVersioning", |w| {
        w.bucket().lookup = Lookup::Denied;
        w.bucket().denied_action = some("s3:GetBucketVersioning");
    });
    missing("EL-02", "kms:DescribeKey", |w| {
        w.lose_key(Lookup::Denied);
        w.key().denied_action = some("kms:DescribeKey");
    });
    let mut w = World::compliant();
    w.key().rotation_lookup = Lookup::NotAttempted;
    let params = w.finding("EL-12").params_json;
    assert!(!params.contains("denied_action"), "{params}");
}

#[test]
fn all_of_a_deferred_cluster_is_unknown() {
    let mut w = World::compliant();
    w.configure();
    w.cluster.settings = crate::model::words::Settings::Deferred;
    for rule in ["EL-07", "EL-08", "EL-12", "EL-13", "EL-15", "EL-18"] {
        assert_eq!(w.said(rule), "UNKNOWN settings_not_read");
    }
}
