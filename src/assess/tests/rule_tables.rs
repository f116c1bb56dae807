use crate::assess::fixtures::*;
use crate::model::words::Lookup;

type Spoil = fn(&mut World);

fn check(rule: &str, table: &[(&str, Spoil)]) {
    for (expected, spoil) in table {
        let mut w = World::compliant();
        spoil(&mut w);
        assert_eq!(w.said(rule), *expected, "{rule} {:?}", w.cluster);
    }
}

fn uploads_off(w: &mut World) {
    w.cluster.system_logs_upload = some("disabled");
    w.cluster.application_logs_upload = some("disabled");
}

#[test]
fn el_01_log_key_set() {
    check(
        "EL-01",
        &[
            ("PASS log_key_set", |_| {}),
            ("PASS log_key_set", |w| {
                w.cluster.release_label = some("emr-5.30.0");
            }),
            ("PASS log_key_set", |w| {
                w.cluster.system_logs_upload = some("disabled");
            }),
            ("FAIL no_log_key", |w| w.cluster.log_key = None),
            ("FAIL no_log_key", |w| w.cluster.log_key = some("  ")),
            ("FAIL no_log_key", |w| {
                w.cluster.log_key = None;
                w.cluster.release_label = some("emr-5.20.1");
            }),
            ("FAIL no_log_key", |w| {
                w.cluster.log_key = None;
                w.buckets.clear();
            }),
            ("FAIL no_log_key", |w| {
                w.cluster.log_key = None;
                w.bucket().default_algorithm = some("aws:kms");
            }),
            ("FAIL no_log_key", |w| {
                w.cluster.log_key = None;
                w.bucket().default_algorithm = some("aws:kms");
                w.bucket().default_key = some("arn:aws:kms:eu-west-1:111122223333:alias/aws/s3");
            }),
            ("FAIL no_log_key_bucket_default_cmk", |w| {
                w.cluster.log_key = None;
                w.bucket().default_algorithm = some("aws:kms");
                w.bucket().default_key = some(KEY);
            }),
            ("FAIL no_log_key_bucket_default_cmk", |w| {
                w.cluster.log_key = None;
                w.bucket().default_algorithm = some("aws:kms:dsse");
                w.bucket().default_key = some("alias/mine");
            }),
            ("UNKNOWN release_does_not_honour_key", |w| {
                w.cluster.release_label = some("emr-5.9.0");
            }),
            ("UNKNOWN release_does_not_honour_key", |w| {
                w.cluster.release_label = some("emr-6.0.0");
            }),
            ("UNKNOWN release_unparseable", |w| {
                w.cluster.release_label = None;
            }),
            ("UNKNOWN release_unparseable", |w| {
                w.cluster.release_label = some("spark-8.0.0-preview");
            }),
            ("UNKNOWN uploads_disabled_with_steps", |w| {
                uploads_off(w);
                w.cluster.log_key = None;
            }),
            ("UNKNOWN uploads_disabled_with_steps", uploads_off),
            ("UNKNOWN uploads_disabled_steps_not_read", |w| {
                uploads_off(w);
                w.cluster.steps_lookup = Some(Lookup::Denied);
            }),
            ("UNKNOWN uploads_disabled_steps_not_read", |w| {
                uploads_off(w);
                w.cluster.steps_lookup = None;
                w.cluster.steps = None;
            }),
            ("NOT_APPLICABLE uploads_disabled_no_steps", |w| {
                uploads_off(w);
                w.cluster.steps = Some(0);
            }),
            ("UNKNOWN log_uri_unparseable", |w| {
                w.cluster.log_uri = some("hdfs:///logs");
            }),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
            ("NOT_APPLICABLE no_log_uri", |w| {
                w.cluster.log_uri = some(" ")
            }),
            ("NOT_APPLICABLE no_log_uri", |w| {
                uploads_off(w);
                w.cluster.log_uri = None;
            }),
        ],
    );
}

#[test]
fn el_02_key_customer_managed() {
    check(
        "EL-02",
        &[
            ("PASS customer_key", |_| {}),
            ("PASS customer_key", |w| w.move_key_to(SISTER)),
            ("PASS customer_key", |w| {
                w.move_key_to(FOREIGN);
                w.config.allowed_key_owners.insert(account_id(FOREIGN));
            }),
            ("PASS customer_key", |w| {
                w.scope.accounts.clear();
                w.scope.has_account_list = false;
            }),
            // What EL-03 says of a broken key does not change whose key it is.
            ("PASS customer_key", |w| w.key().state = some("Disabled")),
            ("FAIL aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("FAIL aws_managed_key", |w| w.key().manager = some("AWS")),
            ("FAIL aws_managed_key", |w| {
                w.move_key_to(FOREIGN);
                w.key().manager = some("AWS");
            }),
            ("FAIL foreign_owner", |w| w.move_key_to(FOREIGN)),
            ("FAIL foreign_owner", |w| {
                w.move_key_to(FOREIGN);
                w.lose_key(Lookup::Denied);
            }),
            ("FAIL foreign_owner", |w| {
                w.move_key_to(FOREIGN);
                w.keys.clear();
            }),
            ("UNKNOWN owner_unknown", |w| {
                w.move_key_to(FOREIGN);
                w.scope.has_account_list = false;
            }),
            ("UNKNOWN key_not_described", |w| w.keys.clear()),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Failed)),
            ("UNKNOWN key_not_described", |w| {
                w.lose_key(Lookup::NotAttempted);
            }),
            ("UNKNOWN key_not_described", |w| {
                w.lose_key(Lookup::OwnerNotInScope);
            }),
            ("UNKNOWN key_not_described", |w| w.key().manager = None),
            ("UNKNOWN key_not_described", |w| {
                w.key().manager = some("NEW")
            }),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("not a key!");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
            ("NOT_APPLICABLE no_log_key", |w| {
                w.cluster.log_uri = None;
                w.cluster.log_key = None;
            }),
        ],
    );
}

#[test]
fn el_03_key_usable() {
    check(
        "EL-03",
        &[
            ("PASS key_usable", |_| {}),
            ("PASS key_usable", |w| w.key().state = some("Updating")),
            ("PASS key_usable", |w| {
                w.key().origin = some("EXTERNAL");
                w.key().material_expires_at = Some(AS_OF.plus_ms(1));
            }),
            // Whose key it is does not change whether it works.
            ("PASS key_usable", |w| w.move_key_to(FOREIGN)),
            ("FAIL key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("FAIL key_state", |w| w.key().state = some("Disabled")),
            ("FAIL key_state", |w| {
                w.key().state = some("PendingDeletion")
            }),
            ("FAIL key_state", |w| {
                w.key().state = some("PendingReplicaDeletion");
            }),
            ("FAIL key_state", |w| w.key().state = some("PendingImport")),
            ("FAIL key_state", |w| w.key().state = some("Unavailable")),
            ("FAIL key_state", |w| w.key().state = some("Creating")),
            ("FAIL key_state", |w| w.key().state = some("Invented")),
            ("FAIL key_usage", |w| w.key().spec = some("RSA_4096")),
            ("FAIL key_usage", |w| {
                w.key().usage = some("GENERATE_VERIFY_MAC");
                w.key().spec = some("HMAC_256");
            }),
            ("FAIL key_material_expired", |w| {
                w.key().origin = some("EXTERNAL");
                w.key().material_expires_at = Some(AS_OF);
            }),
            ("FAIL region_mismatch", |w| {
                w.bucket().region = Some(region("eu-central-1"));
            }),
            // State is asked before Region, Region before the backing key.
            ("FAIL key_state", |w| {
                w.key().state = some("Disabled");
                w.bucket().region = Some(region("eu-central-1"));
            }),
            ("UNKNOWN bucket_region_unknown", |w| {
                w.key().origin = some("AWS_CLOUDHSM");
                w.bucket().region = None;
            }),
            ("UNKNOWN bucket_region_unknown", |w| w.buckets.clear()),
            ("UNKNOWN bucket_region_unknown", |w| {
                w.bucket().region = None;
                w.bucket().lookup = Lookup::OwnerUnknown;
            }),
            ("UNKNOWN bucket_region_unknown", |w| {
                w.cluster.log_uri = some("file:///logs");
            }),
            ("UNKNOWN backing_key_unknown", |w| {
                w.key().origin = some("AWS_CLOUDHSM");
            }),
            ("UNKNOWN backing_key_unknown", |w| {
                w.key().origin = some("EXTERNAL_KEY_STORE");
            }),
            ("UNKNOWN key_not_described", |w| w.keys.clear()),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_described", |w| w.key().state = None),
            ("UNKNOWN key_not_described", |w| w.key().origin = None),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("arn:aws:s3:::bucket");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("arn:aws:kms:eu-west-1:111122223333:alias/aws/s3");
            }),
            // Described by its ARN, an AWS managed key is judged like any other.
            ("PASS key_usable", |w| w.key().manager = some("AWS")),
        ],
    );
}

#[test]
fn el_17_logs_delivered() {
    check(
        "EL-17",
        &[
            ("PASS logs_archived", |_| {}),
            ("PASS logs_archived", |w| w.cluster.log_key = None),
            ("FAIL no_log_uri", |w| w.cluster.log_uri = None),
            ("UNKNOWN uploads_disabled_with_steps", uploads_off),
            ("UNKNOWN log_uri_unparseable", |w| {
                w.cluster.log_uri = some("s3://");
            }),
        ],
    );
}
