//! Steps, CloudWatch, sessions and applications: what the rules about channels beside `LogUri` say.

use crate::assess::fixtures::*;
use crate::model::datasets::{EmrSession, EmrStep, KmsKey, LogGroup};
use crate::model::text::Text;
use crate::model::words::{Delivery, Encryption, Judgement, Lookup, Posture};

type Spoil = fn(&mut World);

const OTHER: &str = "arn:aws:kms:eu-west-1:111122223333:key/1b1b1b1b-1111-4222-8333-444444444444";

fn check(rule: &str, table: &[(&str, Spoil)]) {
    for (index, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        assert_eq!(w.said(rule), *expected, "{rule} row {index}");
    }
}

/// Another key of the account, as healthy as the log key.
fn other_key(w: &mut World) -> &mut KmsKey {
    let row = KmsKey {
        key_reference: OTHER.to_owned(),
        key_arn: some(OTHER),
        ..key_row()
    };
    w.keys.push(row);
    w.keys.last_mut().expect("key")
}

fn step(w: &mut World, log_uri: Option<&str>, log_key: Option<&str>) {
    let n = w.steps.len();
    w.steps.push(EmrStep {
        scheduled_for: date(),
        account_id: w.cluster.account_id.clone(),
        region: w.cluster.region.clone(),
        cluster_id: w.cluster.cluster_id.clone(),
        step_id: format!("s-{n}"),
        created_at: None,
        log_uri: log_uri.map(str::to_owned),
        log_key: log_key.map(str::to_owned),
    });
}

fn cloudwatch(w: &mut World, key: Option<&str>) {
    w.cluster.cloudwatch_enabled = Some(true);
    w.log_groups.push(LogGroup {
        scheduled_for: date(),
        account_id: w.cluster.account_id.clone(),
        region: w.cluster.region.clone(),
        log_group: format!("/aws/emr/{}", w.cluster.cluster_id),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        kms_key: key.map(str::to_owned),
        created_at: None,
        looked_up_at: AS_OF,
    });
}

fn session(w: &mut World) -> &mut EmrSession {
    w.cluster.session_enabled = Some(true);
    w.cluster.sessions_lookup = Some(Lookup::Found);
    w.sessions.push(EmrSession {
        scheduled_for: date(),
        account_id: w.cluster.account_id.clone(),
        region: w.cluster.region.clone(),
        cluster_id: w.cluster.cluster_id.clone(),
        session_id: "session-1".to_owned(),
        created_at: None,
        s3_enabled: Some(true),
        log_uri: some("s3://team-logs/sessions/"),
        s3_key: some(KEY),
        cloudwatch_enabled: None,
        log_group: None,
        cloudwatch_key: None,
        managed_enabled: None,
        managed_key: None,
    });
    &mut w.sessions[0]
}

/// YARN aggregation into the log bucket, encrypted by the security configuration as given.
fn yarn(w: &mut World, s3: &str) {
    w.cluster.yarn_log_dir = some("s3://team-logs/yarn");
    let json = format!(
        r#"{{"EncryptionConfiguration":{{"AtRestEncryptionConfiguration":{{"S3EncryptionConfiguration":{s3}}},"EnableAtRestEncryption":true}}}}"#
    );
    let row = w.configure();
    row.at_rest = Some(true);
    row.encryption_json = Some(json);
}

fn sse_kms(w: &mut World) {
    yarn(
        w,
        &format!(r#"{{"AwsKmsKey":"{KEY}","EncryptionMode":"SSE-KMS"}}"#),
    );
}

#[test]
fn el_05_steps_follow() {
    check(
        "EL-05",
        &[
            ("NOT_APPLICABLE no_step_overrides", |_| {}),
            ("NOT_APPLICABLE no_step_overrides", |w| {
                // A key, and no place to write to.
                w.cluster.log_uri = None;
                step(w, None, Some("alias/aws/s3"));
            }),
            ("PASS steps_follow", |w| step(w, Some("s3://aside/"), None)),
            ("PASS steps_follow", |w| {
                other_key(w);
                step(w, None, Some(OTHER));
                step(w, Some("s3://aside/"), Some(OTHER));
            }),
            ("FAIL no_key", |w| {
                w.cluster.log_key = None;
                step(w, Some("s3://aside/"), None);
            }),
            ("FAIL no_key", |w| {
                w.cluster.log_uri = None;
                w.cluster.log_key = None;
                step(w, Some("s3://aside/"), None);
            }),
            ("FAIL aws_managed_key", |w| {
                step(w, None, Some("alias/aws/s3"));
            }),
            ("FAIL aws_managed_key", |w| {
                other_key(w).manager = some("AWS");
                step(w, None, Some(OTHER));
            }),
            // One that escapes does, whatever could not be read.
            ("FAIL aws_managed_key", |w| {
                step(w, Some("s3://aside/"), None);
                step(w, None, Some("alias/aws/s3"));
                w.cluster.steps_lookup = Some(Lookup::Denied);
            }),
            ("FAIL aws_managed_key", |w| {
                w.cluster.release_label = some("emr-5.9.0");
                step(w, None, Some("alias/aws/s3"));
            }),
            ("UNKNOWN steps_not_read", |w| {
                w.cluster.steps_lookup = Some(Lookup::Denied);
            }),
            ("UNKNOWN steps_not_read", |w| {
                w.cluster.steps_lookup = None;
            }),
            ("UNKNOWN steps_not_read", |w| {
                step(w, Some("s3://aside/"), None);
                w.cluster.steps_lookup = Some(Lookup::NotAttempted);
            }),
            ("UNKNOWN key_not_described", |w| {
                step(w, None, Some(OTHER));
            }),
            ("UNKNOWN key_not_found", |w| {
                other_key(w).lookup = Lookup::NotFound;
                step(w, None, Some(OTHER));
            }),
            ("UNKNOWN key_reference_unparseable", |w| {
                step(w, None, Some("not a key!"));
            }),
            ("UNKNOWN log_uri_unparseable", |w| {
                step(w, Some("ftp://x"), None);
            }),
            ("UNKNOWN release_does_not_honour_key", |w| {
                w.cluster.release_label = some("emr-6.0.0");
                step(w, Some("s3://aside/"), None);
            }),
            ("UNKNOWN release_unparseable", |w| {
                w.cluster.release_label = some("spark-8.0.0-preview");
                step(w, Some("s3://aside/"), None);
            }),
            ("PASS steps_follow", |w| {
                session(w);
            }),
            // Sessions exist on releases whose labels say nothing.
            ("PASS steps_follow", |w| {
                session(w);
                w.cluster.release_label = some("spark-8.0.0");
            }),
            ("NOT_APPLICABLE no_step_overrides", |w| {
                session(w).s3_enabled = Some(false);
            }),
            ("FAIL no_key", |w| {
                w.cluster.log_key = None;
                session(w).s3_key = None;
            }),
            ("FAIL aws_managed_key", |w| {
                session(w).s3_key = some("alias/aws/s3");
            }),
            ("UNKNOWN session_key_not_named", |w| {
                session(w).s3_key = None;
            }),
            ("UNKNOWN session_place_not_named", |w| {
                session(w).log_uri = None;
            }),
            ("UNKNOWN sessions_not_read", |w| {
                session(w);
                w.cluster.sessions_lookup = Some(Lookup::Denied);
            }),
        ],
    );
}

#[test]
fn el_05_names_the_steps_that_escape_and_the_permission_that_is_missing() {
    let mut w = World::compliant();
    for n in 0..7 {
        step(&mut w, Some("s3://aside/"), Some("alias/aws/s3"));
        step(&mut w, Some(&format!("s3://well/{n}")), None);
    }
    let finding = w.finding("EL-05");
    assert!(
        finding
            .params_json
            .contains(r#""from":["s-0","s-2","s-4","s-6","s-8"],"from_count":7"#),
        "{}",
        finding.params_json
    );
    assert!(finding.facts.contains("emr_step/111122223333/eu-west-1/"));
    w.steps.clear();
    w.cluster.steps_lookup = Some(Lookup::Denied);
    let finding = w.finding("EL-05");
    let denied = r#""denied_action":"elasticmapreduce:ListSteps""#;
    assert!(finding.params_json.contains(denied), "{finding:?}");
}

#[test]
fn el_06_cloudwatch_key() {
    check(
        "EL-06",
        &[
            ("NOT_APPLICABLE cloudwatch_off", |_| {}),
            ("NOT_APPLICABLE cloudwatch_off", |w| {
                cloudwatch(w, None);
                w.cluster.cloudwatch_enabled = Some(false);
            }),
            ("PASS log_group_customer_key", |w| cloudwatch(w, Some(KEY))),
            // The group decides, not what EMR was told.
            ("PASS log_group_customer_key", |w| {
                cloudwatch(w, Some(KEY));
                w.cluster.cloudwatch_key = some("alias/aws/s3");
            }),
            ("FAIL log_group_without_key", |w| {
                cloudwatch(w, None);
                w.cluster.cloudwatch_key = some(KEY);
            }),
            ("FAIL aws_managed_key", |w| {
                other_key(w).manager = some("AWS");
                cloudwatch(w, Some(OTHER));
            }),
            ("UNKNOWN key_not_described", |w| cloudwatch(w, Some(OTHER))),
            ("UNKNOWN key_not_found", |w| {
                other_key(w).lookup = Lookup::NotFound;
                cloudwatch(w, Some(OTHER));
            }),
            ("UNKNOWN key_reference_unparseable", |w| {
                cloudwatch(w, Some("?"));
            }),
            ("UNKNOWN log_group_not_read", |w| {
                cloudwatch(w, None);
                w.log_groups[0].lookup = Lookup::Denied;
            }),
            ("UNKNOWN log_group_not_read", |w| {
                w.cluster.cloudwatch_enabled = Some(true);
            }),
            ("UNKNOWN log_group_not_found", |w| {
                cloudwatch(w, None);
                w.log_groups[0].lookup = Lookup::NotFound;
            }),
            ("PASS log_group_customer_key", |w| {
                cloudwatch(w, Some(KEY));
                w.cluster.release_label = some("emr-7.11.0");
            }),
            ("UNKNOWN release_without_cloudwatch", |w| {
                cloudwatch(w, Some(KEY));
                w.cluster.release_label = some("emr-7.9.0");
            }),
            ("UNKNOWN release_unparseable", |w| {
                cloudwatch(w, Some(KEY));
                w.cluster.release_label = None;
            }),
            ("UNKNOWN session_place_not_named", |w| {
                session(w).cloudwatch_enabled = Some(true);
            }),
            ("UNKNOWN sessions_not_read", |w| {
                w.cluster.session_enabled = Some(true);
                w.cluster.sessions_lookup = Some(Lookup::Denied);
            }),
            ("UNKNOWN sessions_not_read", |w| {
                cloudwatch(w, Some(KEY));
                w.cluster.session_enabled = Some(true);
                w.cluster.sessions_lookup = Some(Lookup::Failed);
            }),
            // What escapes does, whatever sessions do.
            ("FAIL log_group_without_key", |w| {
                cloudwatch(w, None);
                w.cluster.session_enabled = Some(true);
                w.cluster.sessions_lookup = Some(Lookup::Denied);
            }),
        ],
    );
    let mut w = World::compliant();
    cloudwatch(&mut w, None);
    let group = w.log_groups[0].log_group.clone();
    let of_session = session(&mut w);
    (of_session.cloudwatch_enabled, of_session.log_group) = (Some(true), Some(group.clone()));
    w.cluster.cloudwatch_enabled = None;
    let finding = w.finding("EL-06");
    assert_eq!(finding.reason, "log_group_without_key");
    assert_eq!(finding.subject_kind, "log_group");
    assert_eq!(
        finding.subject,
        format!("arn:aws:logs:eu-west-1:111122223333:log-group:{group}")
    );
}

#[test]
fn el_20_application_logs_follow() {
    check(
        "EL-20",
        &[
            ("NOT_APPLICABLE no_application_destination", |_| {}),
            ("NOT_APPLICABLE no_application_destination", |w| {
                w.cluster.spark_event_log_dir = some("hdfs:///var/log/spark/apps");
                w.cluster.yarn_log_dir = some("/var/log/yarn");
            }),
            ("NOT_APPLICABLE no_application_destination", |w| {
                w.cluster.yarn_log_dir = some("s3://team-logs/yarn");
                w.cluster.yarn_log_aggregation = Some(false);
                w.cluster.spark_event_log_dir = some("s3://team-logs/spark");
                w.cluster.spark_event_log_enabled = Some(false);
            }),
            ("PASS application_logs_follow", sse_kms),
            ("PASS application_logs_follow", |w| {
                yarn(
                    w,
                    &format!(r#"{{"AwsKmsKey":"{KEY}","EncryptionMode":"CSE-KMS"}}"#),
                );
            }),
            ("FAIL emrfs_sse_s3", |w| {
                yarn(w, r#"{"EncryptionMode":"SSE-S3"}"#);
            }),
            // The override of the bucket speaks for it.
            ("FAIL emrfs_sse_s3", |w| {
                let s3 = format!(
                    r#"{{"AwsKmsKey":"{KEY}","EncryptionMode":"SSE-KMS","Overrides":[{{"BucketName":"team-logs","EncryptionMode":"SSE-S3"}}]}}"#
                );
                yarn(w, &s3);
            }),
            ("FAIL aws_managed_key", |w| {
                yarn(w, r#"{"EncryptionMode":"SSE-KMS"}"#);
            }),
            ("FAIL aws_managed_key", |w| {
                yarn(
                    w,
                    r#"{"AwsKmsKey":"alias/aws/s3","EncryptionMode":"SSE-KMS"}"#,
                );
            }),
            ("FAIL no_emrfs_encryption", |w| {
                w.cluster.spark_event_log_dir = some("s3://team-logs/spark");
            }),
            ("FAIL no_emrfs_encryption", |w| {
                w.cluster.spark_history_dir = some("s3://team-logs/spark");
                w.bucket().default_algorithm = some("aws:kms");
            }),
            ("FAIL no_emrfs_encryption", |w| {
                sse_kms(w);
                let off = r#"{"EncryptionConfiguration":{"EnableAtRestEncryption":false}}"#;
                w.security_configurations[0].encryption_json = some(off);
            }),
            ("UNKNOWN bucket_default_not_proof", |w| {
                w.cluster.yarn_log_dir = some("s3://team-logs/yarn");
                w.bucket().default_algorithm = some("aws:kms");
                w.bucket().default_key = some(KEY);
            }),
            ("UNKNOWN bucket_not_read", |w| {
                w.cluster.yarn_log_dir = some("s3://elsewhere/yarn");
            }),
            ("UNKNOWN custom_key_provider", |w| {
                yarn(w, r#"{"EncryptionMode":"CSE-Custom"}"#);
            }),
            ("UNKNOWN destination_unparseable", |w| {
                w.cluster.yarn_log_dir = some("s3://${bucket}/x");
            }),
            ("UNKNOWN security_configuration_created_after_launch", |w| {
                sse_kms(w);
                w.security_configurations[0].created_at = Some(AS_OF);
            }),
            ("UNKNOWN security_configuration_time_not_known", |w| {
                sse_kms(w);
                w.security_configurations[0].created_at = None;
            }),
            ("UNKNOWN security_configuration_not_read", |w| {
                sse_kms(w);
                w.security_configurations.clear();
            }),
            ("UNKNOWN security_configuration_unreadable", |w| {
                sse_kms(w);
                w.security_configurations[0].encryption_json = None;
            }),
            ("UNKNOWN security_configuration_unreadable", |w| {
                yarn(w, r#"{"EncryptionMode":"NEW-IN-2027"}"#);
            }),
            ("UNKNOWN key_not_described", |w| {
                yarn(
                    w,
                    &format!(r#"{{"AwsKmsKey":"{OTHER}","EncryptionMode":"SSE-KMS"}}"#),
                );
            }),
            ("UNKNOWN key_not_found", |w| {
                other_key(w).lookup = Lookup::NotFound;
                yarn(
                    w,
                    &format!(r#"{{"AwsKmsKey":"{OTHER}","EncryptionMode":"SSE-KMS"}}"#),
                );
            }),
            ("UNKNOWN key_reference_unparseable", |w| {
                yarn(w, r#"{"AwsKmsKey":"?","EncryptionMode":"SSE-KMS"}"#);
            }),
        ],
    );
    let mut w = World::compliant();
    sse_kms(&mut w);
    let finding = w.finding("EL-20");
    assert!(finding.params_json.contains("not visible"), "{finding:?}");
}

/// A security configuration decides for what goes through EMRFS, and never for archived logs.
#[test]
fn easily_wrong_a_security_configuration_counts_for_application_logs_alone() {
    let mut w = World::compliant();
    sse_kms(&mut w);
    w.cluster.log_key = None;
    assert_eq!(w.said("EL-20"), "PASS application_logs_follow");
    assert_eq!(w.said("EL-01"), "FAIL no_log_key");
}

#[test]
fn key_rules_are_asked_of_the_key_of_every_channel() {
    let mut w = World::compliant();
    other_key(&mut w).state = some("Disabled");
    step(&mut w, Some("s3://team-logs/steps"), Some(OTHER));
    let all = w.assess();
    let said = |rule: &str| -> Vec<(String, String)> {
        let of = all.findings.iter().filter(|f| f.rule == rule);
        of.map(|f| (f.subject.to_string(), f.reason.to_string()))
            .collect()
    };
    let row = |arn: &str, reason: &str| (arn.to_owned(), reason.to_owned());
    assert_eq!(
        said("EL-02"),
        [row(KEY, "customer_key"), row(OTHER, "customer_key")]
    );
    assert_eq!(
        said("EL-03"),
        [row(KEY, "key_usable"), row(OTHER, "key_state")]
    );
    assert_eq!(all.verdict.verdict, Judgement::NonCompliant);
    assert_eq!(all.verdict.delivery, Delivery::Broken);
    assert_eq!(all.verdict.posture, Posture::Active, "C1 alone");
}

#[test]
fn a_cluster_that_logs_anywhere_of_the_customers_is_not_without_logs() {
    type Add = fn(&mut World);
    let table: [(Add, Judgement); 5] = [
        (|_| {}, Judgement::NoLogs),
        (|w| cloudwatch(w, Some(KEY)), Judgement::Compliant),
        (|w| cloudwatch(w, None), Judgement::NonCompliant),
        (sse_kms, Judgement::Compliant),
        (
            |w| step(w, Some("s3://team-logs/steps"), Some(KEY)),
            Judgement::Compliant,
        ),
    ];
    for (index, (add, verdict)) in table.into_iter().enumerate() {
        for uploads_off in [false, true] {
            let mut w = World::compliant();
            if uploads_off {
                w.cluster.system_logs_upload = some("disabled");
                w.cluster.application_logs_upload = some("disabled");
                w.cluster.steps = Some(0);
            } else {
                w.cluster.log_uri = None;
            }
            add(&mut w);
            let said = w.assess().verdict;
            assert_eq!(said.verdict, verdict, "row {index} {uploads_off}");
            assert_eq!(said.posture, Posture::NotArchived);
        }
    }
}

#[test]
fn channels_beside_c1_have_rows() {
    let mut w = World::compliant();
    other_key(&mut w);
    step(&mut w, Some("s3n://AKIA:SECRET@aside/x"), Some(OTHER));
    step(&mut w, Some("s3n://aside/x"), Some(OTHER));
    step(&mut w, Some("s3n://aside/x"), Some("alias/aws/s3"));
    cloudwatch(&mut w, Some(KEY));
    session(&mut w);
    sse_kms(&mut w);
    let rows: Vec<_> = w
        .assess()
        .channels
        .into_iter()
        .filter(|c| !matches!(c.channel.as_str(), "C1" | "C3" | "C4"))
        .map(|c| {
            let said = (c.effective_encryption, c.basis);
            (c.channel, c.destination, c.key_arn, c.sources, said)
        })
        .collect();
    let group = "/aws/emr/j-1ABCDEFGHIJKL";
    #[rustfmt::skip]
    let expected = [
        ("C2", "s3n://aside/x", None, Some(1), (Encryption::AwsManagedKey, "aws_managed_key")),
        ("C2", "s3n://aside/x", Some(OTHER), Some(2), (Encryption::CustomerKey, "customer_key")),
        ("C5", group, Some(KEY), None, (Encryption::CustomerKey, "customer_key")),
        ("C6", "s3://team-logs/sessions/", Some(KEY), Some(1), (Encryption::CustomerKey, "customer_key")),
        ("C7", "s3://team-logs/yarn", Some(KEY), None, (Encryption::CustomerKey, "customer_key_as_launched")),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(channel, place, arn, sources, (encryption, basis))| {
            let said = (encryption, basis.into());
            let arn = arn.map(Text::from);
            (channel.into(), place.into(), arn, sources, said)
        })
        .collect();
    assert_eq!(rows, expected);
}
