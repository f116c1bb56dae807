//! What experts get wrong about key policies, by name: the KMS developer guide's warnings and the
//! IAM user guide's. The full table is `tests/policy/cases.jsonl`.

use serde_json::{Value, json};

use crate::policy::Question;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";
const NODE: &str = "arn:aws:iam::111122223333:role/emr-node";
const SERVICE_ROLE: &str = "arn:aws:iam::111122223333:role/emr-service";

/// The key policy that is enough for one account with the bucket in the key's Region.
fn sufficient() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "DelegateToIam", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
         "Action": "kms:*", "Resource": "*"},
        {"Sid": "LogWriter", "Effect": "Allow", "Principal": {"AWS": NODE},
         "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
         "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}},
        {"Sid": "EmrCheck", "Effect": "Allow", "Principal": {"AWS": SERVICE_ROLE}, "Action": "kms:DescribeKey",
         "Resource": "*"},
        {"Sid": "EmrManaged", "Effect": "Allow",
         "Principal": {"Service": ["elasticmapreduce.amazonaws.com", "persistentappui.elasticmapreduce.amazonaws.com"]},
         "Action": ["kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"], "Resource": "*",
         "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}]})
}

fn ask(principal: &str, action: &str, policy: &Value, context: Value) -> Value {
    let question = json!({
        "principal": principal, "action": action, "context": context, "identity_policies": [],
        "key": {"arn": KEY, "policy": policy, "grants": []},
    });
    Question::parse(&question.to_string())
        .unwrap()
        .answer()
        .unwrap()
}

#[test]
fn the_root_principal_is_delegation() {
    let policy = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"},
        "Action": "kms:*", "Resource": "*"}]});
    let answer = ask(NODE, "kms:GenerateDataKey", &policy, json!({}));
    assert_eq!(answer["decision"], "denied");
    assert_eq!(answer["reason"], "not_allowed_by_identity_policy");
}

#[test]
fn a_key_policy_for_the_service_role_does_not_serve_uploads() {
    let via_s3 = json!({"kms:ViaService": "s3.eu-west-1.amazonaws.com"});
    let upload =
        |role| ask(role, "kms:GenerateDataKey", &sufficient(), via_s3.clone())["decision"].clone();
    assert_eq!(upload(NODE), "allowed");
    assert_eq!(upload(SERVICE_ROLE), "denied");
    assert_eq!(
        ask(SERVICE_ROLE, "kms:DescribeKey", &sufficient(), json!({}))["decision"],
        "allowed"
    );
    assert_eq!(
        ask(NODE, "kms:DescribeKey", &sufficient(), json!({}))["decision"],
        "denied"
    );
}

#[test]
fn an_upload_whose_way_is_not_told_is_conditional() {
    let answer = ask(NODE, "kms:GenerateDataKey", &sufficient(), json!({}));
    assert_eq!(answer["decision"], "conditional");
    assert_eq!(answer["depends_on"], json!(["kms:ViaService"]));
    assert_eq!(answer["decided_by"][0]["sid"], "LogWriter");
}

#[test]
fn a_replica_in_another_region_has_its_own_policy() {
    let elsewhere = json!({"kms:ViaService": "s3.us-east-1.amazonaws.com"});
    assert_eq!(
        ask(NODE, "kms:Decrypt", &sufficient(), elsewhere)["decision"],
        "denied"
    );
}

#[test]
fn describe_key_cannot_be_allowed_by_an_encryption_context() {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": SERVICE_ROLE},
        "Action": "kms:*", "Resource": "*",
        "Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::logs*"}}}]});
    assert_eq!(
        ask(SERVICE_ROLE, "kms:DescribeKey", &policy, json!({}))["decision"],
        "denied"
    );
    assert_eq!(
        ask(SERVICE_ROLE, "kms:Decrypt", &policy, json!({}))["decision"],
        "conditional"
    );
}

#[test]
fn object_and_bucket_encryption_context_are_two_questions() {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": NODE},
        "Action": "kms:GenerateDataKey", "Resource": "*",
        "Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::logs/*"}}}]});
    let with = |arn: &str| {
        let context = json!({"kms:EncryptionContext:aws:s3:arn": arn});
        ask(NODE, "kms:GenerateDataKey", &policy, context)["decision"].clone()
    };
    assert_eq!(with("arn:aws:s3:::logs/j-1/node/i-1/x.gz"), "allowed");
    assert_eq!(with("arn:aws:s3:::logs"), "denied");
}

#[test]
fn only_a_deny_that_surely_applies_refuses() {
    let mut policy = sufficient();
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}});
    policy["Statement"].as_array_mut().unwrap().push(deny);
    let via_s3 = json!({"kms:ViaService": "s3.eu-west-1.amazonaws.com"});
    assert_eq!(
        ask(NODE, "kms:Decrypt", &policy, via_s3)["decision"],
        "conditional"
    );
    // S3 calls KMS on the writer's behalf: no endpoint is in the request, and the negation is true.
    let absent = json!({"kms:ViaService": "s3.eu-west-1.amazonaws.com", "aws:SourceVpce": null});
    assert_eq!(
        ask(NODE, "kms:Decrypt", &policy, absent)["reason"],
        "explicit_deny"
    );
}

#[test]
fn emr_itself_needs_the_account_it_acts_for() {
    let emr = "elasticmapreduce.amazonaws.com";
    let known = json!({"aws:SourceAccount": "111122223333"});
    assert_eq!(
        ask(emr, "kms:Decrypt", &sufficient(), known)["decision"],
        "allowed"
    );
    assert_eq!(
        ask(emr, "kms:Decrypt", &sufficient(), json!({}))["decision"],
        "conditional"
    );
}
