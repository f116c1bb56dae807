//! The rules about log objects: the result, not the setting.

use crate::assess::fixtures::*;
use crate::model::words::Lookup;

type Spoil = fn(&mut World);

const OTHER: &str = "arn:aws:kms:eu-west-1:111122223333:key/1b1b1b1b-1111-4222-8333-444444444444";

fn check(rule: &str, table: &[(&str, Spoil)]) {
    for (index, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        assert_eq!(w.said(rule), *expected, "{rule} row {index}");
    }
}

fn ended(number: usize, lookup: Lookup, code: &str) -> crate::model::datasets::LogObjectSample {
    let mut row = sample(number, "", "");
    row.lookup = lookup;
    row.error_code = some(code);
    row
}

#[test]
fn el_19_objects_follow() {
    check(
        "EL-19",
        &[
            ("PASS objects_under_customer_key", |w| {
                w.samples = vec![sample(1, "aws:kms", KEY), sample(2, "aws:kms:dsse", KEY)];
            }),
            // The log key is named by an alias, the object by the key itself.
            ("PASS objects_under_customer_key", |w| {
                w.cluster.log_key = some("alias/emr-logs");
                w.key().key_reference =
                    "arn:aws:kms:eu-west-1:111122223333:alias/emr-logs".to_owned();
                w.samples = vec![sample(1, "aws:kms", KEY)];
            }),
            // Another key of ours that the run described.
            ("PASS objects_under_customer_key", |w| {
                let mut other = key_row();
                other.key_reference = OTHER.to_owned();
                other.key_arn = some(OTHER);
                w.keys.push(other);
                w.samples = vec![sample(1, "aws:kms", OTHER)];
            }),
            // One that was gone before it could be asked says nothing against the others.
            ("PASS objects_under_customer_key", |w| {
                w.samples = vec![
                    sample(1, "aws:kms", KEY),
                    ended(2, Lookup::NotFound, "Http404"),
                ];
            }),
            ("FAIL object_not_under_kms", |w| {
                w.samples = vec![sample(1, "aws:kms", KEY), sample(2, "AES256", "")];
            }),
            ("FAIL object_not_under_kms", |w| {
                w.samples = vec![sample(1, "", "")];
            }),
            ("FAIL object_under_aws_managed_key", |w| {
                let mut managed = key_row();
                managed.key_reference = OTHER.to_owned();
                managed.key_arn = some(OTHER);
                managed.manager = some("AWS");
                w.keys.push(managed);
                w.samples = vec![sample(1, "aws:kms", OTHER)];
            }),
            // The ARN alone tells a foreign owner.
            ("FAIL object_under_foreign_key", |w| {
                w.samples = vec![sample(1, "aws:kms", &OTHER.replace(OWN, FOREIGN))];
            }),
            // A failure outweighs what could not be read.
            ("FAIL object_not_under_kms", |w| {
                w.samples = vec![ended(1, Lookup::Denied, "Http403"), sample(2, "AES256", "")];
            }),
            ("UNKNOWN sse_c_suspected", |w| {
                w.samples = vec![
                    sample(1, "aws:kms", KEY),
                    ended(2, Lookup::Failed, "sse_c_suspected"),
                ];
            }),
            // "KMS" does not say whose key.
            ("UNKNOWN object_key_not_described", |w| {
                w.samples = vec![sample(1, "aws:kms", OTHER)];
            }),
            ("UNKNOWN object_key_not_described", |w| {
                w.samples = vec![sample(1, "aws:kms", "")];
            }),
            ("UNKNOWN object_key_not_described", |w| {
                w.samples = vec![sample(1, "aws:kms", "alias/emr-logs")];
            }),
            ("UNKNOWN object_key_not_described", |w| {
                w.lose_key(Lookup::Denied);
                w.samples = vec![sample(1, "aws:kms", KEY)];
            }),
            ("UNKNOWN owner_unknown", |w| {
                w.scope.has_account_list = false;
                w.samples = vec![sample(1, "aws:kms", &OTHER.replace(OWN, FOREIGN))];
            }),
            ("UNKNOWN objects_not_read", |w| {
                let mut row = ended(1, Lookup::Denied, "AccessDenied");
                row.object_sha256 = String::new();
                w.samples = vec![row];
            }),
            ("UNKNOWN objects_not_read", |w| {
                w.samples = vec![
                    sample(1, "aws:kms", KEY),
                    ended(2, Lookup::Failed, "InternalError"),
                ];
            }),
            ("NOT_APPLICABLE no_objects", |w| {
                let mut row = ended(1, Lookup::NotFound, "");
                row.object_sha256 = String::new();
                w.samples = vec![row];
            }),
            ("NOT_APPLICABLE not_sampled", |_| {}),
            ("NOT_APPLICABLE not_sampled", |w| {
                let mut other = sample(1, "AES256", "");
                other.cluster_id = "j-ANOTHER".to_owned();
                w.samples = vec![other];
            }),
        ],
    );
}

#[test]
fn without_samples_the_verdict_is_what_it_was() {
    let mut w = World::compliant();
    let verdict = w.assess().verdict.verdict;
    w.samples = vec![sample(1, "AES256", "")];
    let sampled = w.assess().verdict.verdict;
    assert_eq!(
        (verdict.as_str(), sampled.as_str()),
        ("COMPLIANT", "NON_COMPLIANT")
    );
    w.samples = vec![sample(1, "aws:kms", OTHER)];
    assert_eq!(w.assess().verdict.verdict.as_str(), "UNKNOWN");
}

#[test]
fn a_finding_about_objects_names_its_rows_and_no_object() {
    let mut w = World::compliant();
    w.samples = vec![sample(1, "aws:kms", KEY), sample(2, "AES256", "")];
    let f = w.finding("EL-19");
    assert_eq!(f.subject_kind, "bucket");
    assert_eq!(
        f.params_json,
        r#"{"algorithm":"AES256","bucket":"team-logs","objects":2}"#
    );
    assert_eq!(
        f.facts.matches("log_object_sample/").count(),
        2,
        "{}",
        f.facts
    );

    let mut denied = ended(1, Lookup::Denied, "AccessDenied");
    denied.object_sha256 = String::new();
    w.samples = vec![denied];
    let f = w.finding("EL-19");
    assert!(
        f.params_json.contains(r#""denied_action":"s3:ListBucket""#),
        "{}",
        f.params_json
    );
}

#[test]
fn el_16_history_reencrypted() {
    check(
        "EL-16",
        &[
            ("PASS history_under_customer_key", |w| {
                w.summaries = vec![
                    summary("customer_key", KEY, true),
                    summary("customer_key", KEY, false),
                ];
            }),
            // What was counted as nothing lies nowhere.
            ("PASS history_under_customer_key", |w| {
                let mut none = summary("sse_s3", "", true);
                none.versions = 0;
                w.summaries = vec![none, summary("customer_key", KEY, true)];
            }),
            ("FAIL history_outside_customer_key", |w| {
                w.summaries = vec![
                    summary("customer_key", KEY, true),
                    summary("sse_s3", "", true),
                ];
            }),
            // A copy leaves old versions behind under the old key.
            ("FAIL history_outside_customer_key", |w| {
                w.summaries = vec![
                    summary("customer_key", KEY, true),
                    summary("aws_managed_key", OTHER, false),
                ];
            }),
            ("FAIL history_outside_customer_key", |w| {
                w.summaries = vec![summary("sse_c", "", true)];
            }),
            ("FAIL history_outside_customer_key", |w| {
                w.summaries = vec![summary("none", "", true)];
            }),
            ("FAIL history_outside_customer_key", |w| {
                w.summaries = vec![summary("customer_key", &KEY.replace(OWN, FOREIGN), true)];
            }),
            ("UNKNOWN history_key_unknown", |w| {
                w.summaries = vec![
                    summary("customer_key", KEY, true),
                    summary("kms_key_unknown", "", true),
                ];
            }),
            ("UNKNOWN older_versions_not_listed", |w| {
                let mut older = summary("unknown", "", false);
                (older.versions, older.bytes) = (0, None);
                w.summaries = vec![summary("customer_key", KEY, true), older];
            }),
            ("FAIL history_outside_customer_key", |w| {
                let mut older = summary("unknown", "", false);
                (older.versions, older.bytes) = (0, None);
                w.summaries = vec![summary("sse_s3", "", true), older];
            }),
            ("UNKNOWN history_key_unknown", |w| {
                w.summaries = vec![summary("a_new_word", "", true)];
            }),
            ("UNKNOWN history_key_unknown", |w| {
                w.scope.has_account_list = false;
                w.summaries = vec![summary("customer_key", &KEY.replace(OWN, FOREIGN), true)];
            }),
            // A listing tells how many there are, and nothing of their encryption.
            ("UNKNOWN history_key_unknown", |w| {
                let mut listed = summary("unknown", "", true);
                (listed.source, listed.complete) = ("listing".to_owned(), Some(false));
                w.summaries = vec![listed];
            }),
            ("UNKNOWN listing_cut_off", |w| {
                let mut listed = summary("unknown", "", true);
                (listed.source, listed.complete) = ("listing".to_owned(), Some(false));
                (listed.versions, listed.bytes) = (0, None);
                w.summaries = vec![listed];
            }),
            ("NOT_APPLICABLE history_not_read", |_| {}),
            ("NOT_APPLICABLE history_not_read", |w| {
                let mut elsewhere = summary("sse_s3", "", true);
                elsewhere.prefix = "other/".to_owned();
                w.summaries = vec![elsewhere];
            }),
            ("NOT_APPLICABLE history_not_read", |w| {
                w.cluster.log_uri = some("hdfs:///logs");
                w.summaries = vec![summary("sse_s3", "", true)];
            }),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
    let mut w = World::compliant();
    let mut huge = summary("sse_s3", "", false);
    (huge.versions, huge.bytes) = (i64::MAX, Some(i64::MAX));
    w.summaries = vec![huge, summary("sse_s3", "", true)];
    let f = w.finding("EL-16");
    assert_eq!(f.outcome.as_str(), "FAIL");
    assert_eq!(f.subject_kind, "bucket");
    assert_eq!(w.assess().verdict.verdict.as_str(), "COMPLIANT", "advice");
}

/// An inventory says "KMS" and never which key: an AWS managed one reads the same
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html>).
#[test]
fn inventorys_sse_kms_is_not_a_customer_key() {
    let mut w = World::compliant();
    w.summaries = vec![summary("kms_key_unknown", "", true)];
    assert_eq!(w.said("EL-16"), "UNKNOWN history_key_unknown");
}

#[test]
fn versions_that_are_not_current_count_as_history() {
    let mut w = World::compliant();
    w.summaries = vec![
        summary("customer_key", KEY, true),
        summary("sse_s3", "", false),
    ];
    let f = w.finding("EL-16");
    assert_eq!(f.reason, "history_outside_customer_key");
    assert!(
        f.params_json.contains(r#""older_versions":3"#),
        "{}",
        f.params_json
    );
}

/// UpdateObjectEncryption changes the key and leaves LastModified as it was
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>).
#[test]
fn the_date_of_an_object_says_nothing_of_its_key() {
    for (key, expected) in [
        (KEY, "PASS objects_under_customer_key"),
        (OTHER, "UNKNOWN object_key_not_described"),
    ] {
        for days in [-1_000, 0] {
            let mut w = World::compliant();
            let mut row = sample(1, "aws:kms", key);
            row.last_modified_at = Some(AS_OF.plus_ms(days * 86_400_000));
            w.samples = vec![row];
            assert_eq!(w.said("EL-19"), expected, "{days} days");
        }
    }
}

/// `aws:kms` without a key id means `alias/aws/s3`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>).
#[test]
fn a_kms_default_without_a_key_id_is_the_aws_managed_key() {
    let mut w = World::compliant();
    w.bucket().default_algorithm = some("aws:kms");
    w.bucket().default_key = None;
    assert_eq!(w.said("EL-15"), "FAIL bucket_default_not_customer_key");
    w.bucket().default_key = some(KEY);
    assert_eq!(w.said("EL-15"), "PASS bucket_default_customer_key");
}

/// Locked objects under a key that is deleted cannot be read by anybody.
#[test]
fn object_lock_does_not_guard_the_key() {
    for lock in [Some(true), Some(false), None] {
        let mut w = World::compliant();
        w.bucket().object_lock = lock;
        w.key().state = some("PendingDeletion");
        assert_eq!(w.said("EL-03"), "FAIL key_state", "{lock:?}");
    }
}

/// `UpdateAlias` repoints an alias at any time: what it stands for today vouches for nothing that was
/// written before.
#[test]
fn an_alias_resolved_today_is_not_the_key_at_write_time() {
    let alias = "arn:aws:kms:eu-west-1:111122223333:alias/emr-logs";
    let mut w = World::compliant();
    w.cluster.log_key = some("alias/emr-logs");
    w.key().key_reference = alias.to_owned();
    w.samples = vec![sample(1, "aws:kms", KEY), sample(2, "aws:kms", OTHER)];
    assert_eq!(w.said("EL-19"), "UNKNOWN object_key_not_described");
    w.samples.pop();
    assert_eq!(w.said("EL-19"), "PASS objects_under_customer_key");
}
