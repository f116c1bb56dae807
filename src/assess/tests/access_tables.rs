//! Who can use the log key: one thing changed, and what the rules then say.

use crate::assess::fixtures::*;
use crate::model::words::{CellOutcome, Delivery, Judgement, Lookup};

pub(super) type Spoil = fn(&mut World);

fn check(rule: &str, table: &[(&str, Spoil)]) {
    for (at, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        assert_eq!(w.said(rule), *expected, "{rule} row {at}");
    }
}

/// A statement that allows `actions` to `principal` under `condition`.
pub(super) fn allow(principal: &str, actions: &str, condition: &str) -> String {
    format!(
        r#"{{"Sid":"Extra","Effect":"Allow","Principal":{principal},"Action":{actions},"Resource":"*","Condition":{condition}}}"#
    )
}

const NODE: &str = r#"{"AWS":"arn:aws:iam::111122223333:role/emr-node"}"#;
pub(super) const WRITE: &str = r#"["kms:GenerateDataKey","kms:Decrypt"]"#;

/// Lets the key policy alone decide about the writer.
fn only(w: &mut World, condition: &str) {
    w.principals[0].policies_json = some("[]");
    w.key_policy(&[&allow(NODE, WRITE, condition)]);
}

#[test]
fn el_04_writer_can_use_key() {
    check(
        "EL-04",
        &[
            ("PASS writer_can_use_key", |_| {}),
            // The policy of the key is enough for a role of its own account.
            ("PASS writer_can_use_key", |w| only(w, "{}")),
            ("PASS writer_can_use_key", |w| {
                only(
                    w,
                    r#"{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}"#,
                );
            }),
            ("PASS writer_can_use_key", |w| {
                only(
                    w,
                    r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::team-logs/emr/*"}}"#,
                );
            }),
            ("PASS writer_can_use_key", |w| {
                only(
                    w,
                    r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#,
                );
            }),
            ("PASS writer_can_use_key", |w| {
                only(
                    w,
                    r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::team-logs/emr/j-1ABCDEFGHIJKL/*"}}"#,
                );
            }),
            ("PASS writer_can_use_key", |w| {
                w.principals[0].policies_json = some("[]");
                w.grants = vec![grant(
                    "arn:aws:iam::111122223333:role/emr-node",
                    "Decrypt GenerateDataKey",
                )];
            }),
            ("PASS writer_can_use_key", |w| {
                w.cluster.instance_profile =
                    some("arn:aws:iam::111122223333:instance-profile/x/emr-node");
                w.cluster.service_role = some("arn:aws:iam::111122223333:role/emr-service");
            }),
            ("FAIL writer_not_allowed", |w| {
                w.principals[0].policies_json = some("[]");
            }),
            // The allowance of the service role serves no upload.
            ("FAIL writer_not_allowed", |w| {
                w.principals[0].policies_json = some("[]");
                w.principals[1].policies_json = Some(format!("[{WRITES},{LOOKS_UP}]"));
            }),
            ("FAIL writer_not_allowed", |w| {
                only(
                    w,
                    r#"{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}"#,
                );
            }),
            ("FAIL writer_not_allowed", |w| {
                only(
                    w,
                    r#"{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#,
                );
            }),
            ("FAIL writer_not_allowed", |w| {
                only(
                    w,
                    r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::other/*"}}"#,
                );
            }),
            ("FAIL writer_not_allowed", |w| {
                w.principals[0].policies_json = some("[]");
                w.grants = vec![grant("arn:aws:iam::111122223333:role/emr-node", "Decrypt")];
            }),
            // A deleted namesake.
            ("FAIL writer_not_allowed", |w| {
                w.principals[0].policies_json = some("[]");
                let gone = r#"{"AWS":"AROAEXAMPLEEXAMPLE234"}"#;
                w.key_policy(&[&allow(gone, WRITE, "{}")]);
            }),
            ("FAIL writer_not_allowed", |w| {
                w.principals[0].boundary = some("arn:aws:iam::111122223333:policy/b");
                w.principals[0].boundary_json = some(RULES_KEYS);
            }),
            // IAM alone, with no delegation, is inert.
            ("FAIL writer_not_allowed", |w| {
                w.key().policy_json = Some(policy(&[]));
            }),
            ("FAIL writer_denied", |w| {
                w.principals[0].policies_json = Some(format!(
                    r#"[{WRITES},{{"Statement":[{{"Effect":"Deny","Action":"kms:Generate*","Resource":"*"}}]}}]"#
                ));
            }),
            ("FAIL service_role_not_allowed", |w| {
                w.principals[1].policies_json = some("[]");
            }),
            // DescribeKey has no encryption context.
            ("FAIL service_role_not_allowed", |w| {
                w.principals[1].policies_json = some("[]");
                let role = r#"{"AWS":"arn:aws:iam::111122223333:role/emr-service"}"#;
                let condition = r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"*"}}"#;
                w.key_policy(&[&allow(role, r#""kms:DescribeKey""#, condition)]);
            }),
            ("FAIL service_role_denied", |w| {
                w.key_policy(&[r#"{"Effect":"Deny","Principal":"*","Action":"kms:DescribeKey","Resource":"*","Condition":{"StringLike":{"aws:PrincipalArn":"*emr-service"}}}"#]);
            }),
            ("UNKNOWN depends_on_context", |w| {
                only(w, r#"{"StringEquals":{"aws:SourceVpce":"vpce-1"}}"#);
            }),
            // With a bucket key the bucket stands in the encryption context, not the object.
            ("UNKNOWN depends_on_context", |w| {
                w.bucket().bucket_key = None;
                only(
                    w,
                    r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::team-logs/*"}}"#,
                );
            }),
            ("FAIL writer_not_allowed", |w| {
                w.bucket().bucket_key = Some(true);
                only(
                    w,
                    r#"{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::team-logs/*"}}"#,
                );
            }),
            ("UNKNOWN key_policy_not_read", |w| {
                w.key().policy_lookup = Lookup::Denied;
                w.key().policy_json = None;
            }),
            ("UNKNOWN key_policy_not_read", |w| {
                w.key().policy_json = some("[]");
            }),
            ("UNKNOWN grants_not_read", |w| {
                w.key().grants_lookup = Lookup::Denied;
                w.principals[0].policies_json = some("[]");
            }),
            ("UNKNOWN identities_not_read", |w| w.lose_identities(OWN)),
            ("UNKNOWN identities_not_read", |w| {
                w.lose_identities(OWN);
                let mut cell = identities_read(OWN);
                cell.outcome = CellOutcome::DeniedIam;
                cell.denied_action = some("iam:GetAccountAuthorizationDetails");
                w.identities.push(cell);
            }),
            ("UNKNOWN depends_on_unread", |w| {
                w.principals[0].policies_json = None;
            }),
            ("UNKNOWN depends_on_unread", |w| {
                w.principals[0].boundary = some("arn:aws:iam::111122223333:policy/b");
            }),
            ("UNKNOWN writer_not_found", |w| {
                w.cluster.instance_profile = some("gone");
            }),
            ("UNKNOWN writer_not_found", |w| {
                w.cluster.instance_profile = None
            }),
            ("UNKNOWN service_role_not_found", |w| {
                w.cluster.service_role = some("gone");
            }),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("not a key");
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
            // Across accounts both sides must let the writer in.
            ("PASS writer_can_use_key", |w| w.move_key_to(SISTER)),
            ("FAIL writer_not_allowed", |w| {
                w.move_key_to(SISTER);
                w.key().policy_json = Some(policy(&[&delegation(SISTER)]));
            }),
            ("FAIL writer_not_allowed", |w| {
                w.move_key_to(SISTER);
                w.principals[0].policies_json = some("[]");
            }),
        ],
    );
}

#[test]
fn el_04_says_which_statement_is_missing() {
    let mut w = World::compliant();
    w.principals[0].policies_json = some("[]");
    assert_eq!(
        w.finding("EL-04").advice.as_deref(),
        Some(
            "add to the policy of arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444 \
             the statement {\"Action\":[\"kms:GenerateDataKey\",\"kms:Decrypt\"],\"Condition\":\
             {\"StringEquals\":{\"kms:ViaService\":\"s3.eu-west-1.amazonaws.com\"}},\"Effect\":\"Allow\",\
             \"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:role/emr-node\"},\"Resource\":\"*\",\
             \"Sid\":\"EmrLogWriter\"}"
        )
    );
    // The advice mends it.
    w.key_policy(&[r#"{"Action":["kms:GenerateDataKey","kms:Decrypt"],"Condition":{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}},"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/emr-node"},"Resource":"*","Sid":"EmrLogWriter"}"#]);
    assert_eq!(w.said("EL-04"), "PASS writer_can_use_key");
}

#[test]
fn unreadable_identities_make_delivery_unknown_and_not_the_verdict() {
    let mut w = World::compliant();
    w.lose_identities(OWN);
    let verdict = w.assess().verdict;
    assert_eq!(
        (verdict.verdict, verdict.delivery),
        (Judgement::Compliant, Delivery::Unknown)
    );
}

#[test]
fn a_writer_who_is_surely_locked_out_is_not_compliant() {
    let mut w = World::compliant();
    w.principals[0].policies_json = some("[]");
    let verdict = w.assess().verdict;
    assert_eq!(
        (
            verdict.verdict,
            verdict.delivery,
            verdict.decided_by.as_str()
        ),
        (Judgement::NonCompliant, Delivery::Broken, "EL-04")
    );
}

const LETS_OWN_IN: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/emr-node"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::team-logs/*"}]}"#;

fn shared(w: &mut World) {
    w.move_bucket_to(SISTER, some(LETS_OWN_IN));
}

#[test]
fn el_09_log_destination_reachable() {
    check(
        "EL-09",
        &[
            ("NOT_APPLICABLE same_account", |_| {}),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
            ("UNKNOWN log_uri_unparseable", |w| {
                w.cluster.log_uri = some("hdfs:///logs");
            }),
            ("PASS reachable", shared),
            ("PASS reachable", |w| {
                shared(w);
                w.cluster.log_key = None;
            }),
            ("PASS reachable_objects_owned_by_writer", |w| {
                shared(w);
                w.bucket().ownership = some("ObjectWriter");
            }),
            ("FAIL bucket_does_not_allow_writer", |w| {
                w.move_bucket_to(SISTER, None);
            }),
            ("UNKNOWN bucket_acl_not_read", |w| {
                w.move_bucket_to(SISTER, None);
                w.bucket().ownership = some("BucketOwnerPreferred");
            }),
            ("FAIL writer_may_not_put", |w| {
                shared(w);
                w.principals[0].policies_json = Some(
                    r#"[{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}]"#
                        .to_owned(),
                );
            }),
            ("FAIL bucket_denies_writer", |w| {
                w.move_bucket_to(
                    SISTER,
                    some(
                        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:eu-west-1:444455556666:key/other"}}}]}"#,
                    ),
                );
            }),
            // TLS alone is no obstacle.
            ("PASS reachable", |w| {
                w.move_bucket_to(
                    SISTER,
                    some(
                        r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#,
                    ),
                );
            }),
            ("UNKNOWN bucket_owner_unknown", |w| {
                w.bucket().account_id = None;
                w.bucket().lookup = Lookup::OwnerNotInScope;
            }),
            ("UNKNOWN bucket_policy_not_read", |w| {
                shared(w);
                w.bucket().policy_lookup = Lookup::Denied;
                w.bucket().policy_json = None;
            }),
            ("UNKNOWN depends_on_context", |w| {
                w.move_bucket_to(
                    SISTER,
                    some(
                        r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}}]}"#,
                    ),
                );
            }),
            ("UNKNOWN depends_on_unread", |w| {
                shared(w);
                w.principals[0].policies_json = None;
            }),
            ("UNKNOWN identities_not_read", |w| {
                shared(w);
                w.lose_identities(OWN);
            }),
            ("UNKNOWN writer_not_found", |w| {
                shared(w);
                w.cluster.instance_profile = some("gone");
            }),
            ("UNKNOWN key_not_named_by_arn", |w| {
                shared(w);
                w.cluster.log_key = some("0a0a0a0a-1111-4222-8333-444444444444");
            }),
            ("PASS reachable", |w| w.move_key_to(SISTER)),
            ("FAIL key_does_not_let_writer_in", |w| {
                w.move_key_to(SISTER);
                w.key().policy_json = Some(policy(&[&delegation(SISTER)]));
            }),
            ("UNKNOWN key_access_unknown", |w| {
                w.move_key_to(SISTER);
                w.key().policy_lookup = Lookup::Denied;
                w.key().policy_json = None;
            }),
            ("UNKNOWN key_not_described", |w| {
                w.move_key_to(SISTER);
                w.lose_key(Lookup::Denied);
            }),
            // The worse of both sides speaks.
            ("FAIL key_does_not_let_writer_in", |w| {
                shared(w);
                w.move_key_to(SISTER);
                w.key().policy_json = Some(policy(&[&delegation(SISTER)]));
            }),
        ],
    );
}

pub(super) fn everyone(w: &mut World, condition: &str) {
    w.key_policy(&[&allow(r#""*""#, WRITE, condition)]);
}

#[test]
fn el_10_key_not_public() {
    check(
        "EL-10",
        &[
            ("PASS closed", |_| {}),
            ("PASS closed", |w| {
                everyone(
                    w,
                    r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#,
                );
            }),
            ("PASS closed", |w| {
                everyone(
                    w,
                    r#"{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1234567890/r-abcd/*"}}"#,
                );
            }),
            ("PASS closed", |w| {
                everyone(
                    w,
                    r#"{"StringEquals":{"kms:CallerAccount":"111122223333"}}"#,
                );
            }),
            ("PASS closed", |w| {
                everyone(
                    w,
                    r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/x-*"}}"#,
                );
            }),
            ("PASS closed", |w| {
                w.key_policy(&[&allow(r#"{"AWS":"444455556666"}"#, WRITE, "{}")]);
            }),
            // A Deny closes what an Allow opens.
            ("PASS closed", |w| {
                let open = allow(r#""*""#, WRITE, "{}");
                w.key_policy(&[
                    &open,
                    r#"{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}"#,
                ]);
            }),
            // To look at a key is not to use it.
            ("PASS closed", |w| {
                w.key_policy(&[&allow(r#""*""#, r#""kms:DescribeKey""#, "{}")]);
            }),
            ("PASS closed", |w| {
                w.key_policy(&[&allow(
                    r#"{"Service":"elasticmapreduce.amazonaws.com"}"#,
                    WRITE,
                    r#"{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#,
                )]);
            }),
            ("PASS closed_services_unbound", |w| {
                w.key_policy(&[&allow(
                    r#"{"Service":"elasticmapreduce.amazonaws.com"}"#,
                    WRITE,
                    "{}",
                )]);
            }),
            ("PASS closed", |w| {
                w.grants = vec![grant("arn:aws:iam::444455556666:role/x", "Decrypt")];
            }),
            ("FAIL open_to_everyone", |w| everyone(w, "{}")),
            // What the caller chooses closes nothing.
            ("FAIL open_to_everyone", |w| {
                everyone(
                    w,
                    r#"{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}"#,
                );
            }),
            ("FAIL open_to_everyone", |w| {
                everyone(
                    w,
                    r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/emr-node"}}"#,
                );
            }),
            // An account of no organization has no such key, and passes.
            ("FAIL open_to_everyone", |w| {
                everyone(
                    w,
                    r#"{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1234567890"}}"#,
                );
            }),
            ("FAIL open_to_everyone", |w| {
                everyone(
                    w,
                    r#"{"ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-1234567890/*"}}"#,
                );
            }),
            ("FAIL open_to_everyone", |w| {
                everyone(w, r#"{"StringNotEquals":{"aws:PrincipalAccount":"1"}}"#);
            }),
            ("FAIL open_to_everyone", |w| {
                w.key_policy(&[r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/eve"},"Action":"kms:Decrypt","Resource":"*"}"#]);
            }),
            ("FAIL open_to_outsiders", |w| {
                everyone(
                    w,
                    r#"{"StringEquals":{"aws:PrincipalOrgID":"o-9999999999"}}"#,
                );
            }),
            ("FAIL open_to_outsiders", |w| {
                w.key_policy(&[&allow(r#"{"AWS":"999988887777"}"#, WRITE, "{}")]);
            }),
            // To accept an account's keys is not to let it in to others.
            ("FAIL open_to_outsiders", |w| {
                w.config.allowed_key_owners.insert(account_id(FOREIGN));
                w.key_policy(&[&allow(
                    r#"{"AWS":"arn:aws:iam::999988887777:role/x"}"#,
                    WRITE,
                    "{}",
                )]);
            }),
            ("FAIL granted_to_outsiders", |w| {
                w.grants = vec![grant("arn:aws:iam::999988887777:role/x", "Decrypt")];
            }),
            ("UNKNOWN maybe_open", |w| {
                everyone(w, r#"{"StringEquals":{"aws:SourceVpce":"vpce-1"}}"#);
            }),
            ("UNKNOWN maybe_open", |w| {
                w.scope.has_account_list = false;
                w.key_policy(&[&allow(r#"{"AWS":"999988887777"}"#, WRITE, "{}")]);
            }),
            ("UNKNOWN key_policy_not_read", |w| {
                w.key().policy_lookup = Lookup::Denied;
                w.key().policy_json = None;
            }),
            ("UNKNOWN grants_not_read", |w| {
                w.key().grants_lookup = Lookup::Denied;
            }),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("not a key");
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
}

/// A role of the own account that can read logs, with this unit.
fn reader(w: &mut World, unit: Option<&str>) {
    let mut role = role(OWN, "analyst", &[READS]);
    role.business_unit = unit.map(str::to_owned);
    w.principals.push(role);
}

pub(super) fn retail(w: &mut World) {
    w.own_account().business_unit = some("retail");
}

#[test]
fn el_11_key_segregated() {
    check(
        "EL-11",
        &[
            ("PASS segregated", |_| {}),
            ("PASS segregated", |w| reader(w, None)),
            ("PASS segregated", |w| {
                retail(w);
                reader(w, None);
            }),
            ("PASS segregated", |w| {
                retail(w);
                reader(w, Some("retail"));
            }),
            ("FAIL other_unit_can_read", |w| {
                retail(w);
                reader(w, Some("treasury"));
            }),
            // The role says whose it is, and nobody says whose the cluster is.
            ("UNKNOWN unit_not_known", |w| reader(w, Some("treasury"))),
            // Half of it is not enough to read.
            ("PASS segregated", |w| {
                retail(w);
                reader(w, Some("treasury"));
                let last = w.principals.last_mut().expect("reader");
                last.policies_json = Some(
                    r#"[{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}]"#
                        .to_owned(),
                );
            }),
            ("PASS segregated", |w| {
                retail(w);
                reader(w, Some("treasury"));
                let last = w.principals.last_mut().expect("reader");
                last.policies_json = Some(
                    r#"[{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}]"#
                        .to_owned(),
                );
            }),
            ("UNKNOWN depends_on_context", |w| {
                retail(w);
                reader(w, Some("treasury"));
                let last = w.principals.last_mut().expect("reader");
                last.policies_json = Some(
                    r#"[{"Statement":[{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}]"#
                        .to_owned(),
                );
            }),
            // A tag cannot be compared with an organizational unit.
            ("UNKNOWN unit_not_known", |w| {
                w.cluster.business_unit = some("retail");
                w.key_policy(&[&delegation(SISTER)]);
                w.principals.push(role(SISTER, "analyst", &[READS]));
                w.bucket().policy_lookup = Lookup::Found;
                w.bucket().policy_json = some(
                    r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject","Resource":"*"}]}"#,
                );
            }),
            ("UNKNOWN readers_not_known", |w| w.lose_identities(OWN)),
            ("UNKNOWN bucket_owner_unknown", |w| {
                w.bucket().account_id = None
            }),
            ("UNKNOWN key_policy_not_read", |w| {
                w.key().policy_lookup = Lookup::Denied;
                w.key().policy_json = None;
            }),
            ("UNKNOWN grants_not_read", |w| {
                w.key().grants_lookup = Lookup::Denied;
            }),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("not a key");
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
}

#[test]
fn el_14_kill_switch_ready() {
    check(
        "EL-14",
        &[
            ("PASS rulers_known", |_| {}),
            // No grant lets anybody rule a key.
            ("PASS rulers_known", |w| {
                w.key().grants_lookup = Lookup::Denied;
            }),
            ("FAIL pending_deletion", |w| {
                w.key().state = some("PendingDeletion");
                w.key().deletion_at = Some(AS_OF.plus_ms(86_400_000));
            }),
            ("FAIL everyone_rules_key", |w| {
                w.key_policy(&[&allow(r#""*""#, r#""kms:DisableKey""#, "{}")]);
            }),
            ("FAIL everyone_rules_key", |w| {
                w.key_policy(&[&allow(
                    r#""*""#,
                    r#""kms:ScheduleKeyDeletion""#,
                    r#"{"StringEquals":{"kms:CallerAccount":"111122223333"}}"#,
                )]);
            }),
            ("FAIL everyone_rules_key", |w| {
                w.key_policy(&[&allow(
                    r#""*""#,
                    r#"["kms:DisableKey","kms:ScheduleKeyDeletion"]"#,
                    r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#,
                )]);
            }),
            // A condition may leave some of them, or all.
            ("UNKNOWN rulers_not_known", |w| {
                w.key_policy(&[&allow(
                    r#""*""#,
                    r#""kms:DisableKey""#,
                    r#"{"Bool":{"aws:MultiFactorAuthPresent":"true"}}"#,
                )]);
            }),
            ("UNKNOWN rulers_not_known", |w| {
                w.key_policy(&[&allow(
                    r#""*""#,
                    r#""kms:PutKeyPolicy""#,
                    r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/admin-*"}}"#,
                )]);
            }),
            ("PASS rulers_known", |w| {
                w.key_policy(&[&allow(
                    r#""*""#,
                    r#""kms:PutKeyPolicy""#,
                    r#"{"StringEquals":{"kms:CallerAccount":"444455556666"}}"#,
                )]);
            }),
            ("FAIL nobody_rules_key", |w| {
                let who = r#"{"AWS":"AROAEXAMPLEEXAMPLE234"}"#;
                w.key().policy_json = Some(policy(&[&allow(who, r#""kms:*""#, "{}")]));
            }),
            ("UNKNOWN key_policy_not_read", |w| {
                w.key().policy_lookup = Lookup::Denied;
                w.key().policy_json = None;
            }),
            ("UNKNOWN identities_not_read", |w| w.lose_identities(OWN)),
            ("UNKNOWN key_not_described", |w| w.lose_key(Lookup::Denied)),
            ("UNKNOWN key_not_found", |w| w.lose_key(Lookup::NotFound)),
            ("UNKNOWN key_reference_unparseable", |w| {
                w.cluster.log_key = some("not a key");
            }),
            ("NOT_APPLICABLE aws_managed_key", |w| {
                w.cluster.log_key = some("alias/aws/s3");
            }),
            ("NOT_APPLICABLE no_log_key", |w| w.cluster.log_key = None),
            ("NOT_APPLICABLE no_log_uri", |w| w.cluster.log_uri = None),
        ],
    );
}
