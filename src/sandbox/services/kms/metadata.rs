//! `KeyMetadata` and rotation.

use serde_json::{Value, json};

use super::super::json::seconds;
use crate::sandbox::wire::{AwsError, Request};
use crate::sandbox::world::keys::{Key, KeyState};

const DAY_MS: i64 = 86_400_000;

/// `KeyMetadata` of a key.
pub(super) fn of(key: &Key, now_ms: i64) -> Value {
    let state = key.state_at(now_ms);
    let mut body = json!({
        "AWSAccountId": key.account_id,
        "KeyId": key.id,
        "Arn": key.arn(),
        "CreationDate": seconds(key.created_ms),
        "Enabled": state == KeyState::Enabled,
        "Description": key.description(),
        "KeyUsage": key.usage(),
        "KeyState": state.as_str(),
        "Origin": key.origin(),
        "KeyManager": key.manager(),
        "KeySpec": key.spec(),
        "CustomerMasterKeySpec": key.spec(),
        "MultiRegion": key.is_multi_region(),
    });
    let (name, algorithms) = match key.spec() {
        "ECC_NIST_P256" => ("SigningAlgorithms", json!(["ECDSA_SHA_256"])),
        "HMAC_256" => ("MacAlgorithms", json!(["HMAC_SHA_256"])),
        "RSA_2048" => (
            "EncryptionAlgorithms",
            json!(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]),
        ),
        _ => ("EncryptionAlgorithms", json!(["SYMMETRIC_DEFAULT"])),
    };
    body[name] = algorithms;
    if let Some(valid_to) = key.valid_to_ms {
        body["ValidTo"] = seconds(valid_to);
        body["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    }
    if let Some(deletion) = key.deletion_ms {
        body["DeletionDate"] = seconds(deletion);
    }
    if key.origin() == "AWS_CLOUDHSM" {
        body["CustomKeyStoreId"] = json!("cks-0123456789abcdef0");
        body["CloudHsmClusterId"] = json!("cluster-sandbox0001");
    }
    if key.is_multi_region() {
        body["MultiRegionConfiguration"] = json!({
            "MultiRegionKeyType": "PRIMARY",
            "PrimaryKey": {"Arn": key.arn(), "Region": key.region},
            "ReplicaKeys": [],
        });
    }
    body
}

/// What `DescribeKey` answers after it has created the key behind a predefined alias.
pub(super) fn created_aws_managed(request: &Request, alias: &str, now_ms: i64) -> Value {
    let account = &request.caller.account;
    // Any id will do: the sandbox only counts that this happened.
    let id = "00000000-0000-4000-a000-000000000000";
    json!({"KeyMetadata": {
        "AWSAccountId": account,
        "KeyId": id,
        "Arn": format!("arn:aws:kms:{}:{account}:key/{id}", request.region),
        "CreationDate": seconds(now_ms),
        "Enabled": true,
        "Description": format!("Default key of {alias}"),
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "AWS",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    }})
}

/// The answer of `GetKeyRotationStatus`.
pub(super) fn rotation(key: &Key, now_ms: i64) -> Result<Value, AwsError> {
    let Some(enabled) = key.rotation() else {
        let message = format!("{} is not supported for rotation.", key.arn());
        return Err(AwsError::new(400, "UnsupportedOperationException", message));
    };
    let mut body = json!({"KeyId": key.arn(), "KeyRotationEnabled": enabled});
    if enabled {
        let period = 365 * DAY_MS;
        let periods = (now_ms - key.created_ms) / period + 1;
        body["RotationPeriodInDays"] = json!(365);
        body["NextRotationDate"] = seconds(key.created_ms + periods * period);
    }
    Ok(body)
}
