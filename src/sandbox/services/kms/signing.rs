//! Signatures with P-256 keys that exist only in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::json;
use crate::sandbox::wire::AwsError;
use crate::sandbox::world::keys::Key;

/// What KMS remembers between requests.
#[derive(Debug, Default)]
pub struct KmsState {
    /// By key ARN, generated at first use: signatures differ from one process to the next.
    pairs: Mutex<HashMap<String, Arc<EcdsaKeyPair>>>,
    aws_managed_created: AtomicU64,
}

impl KmsState {
    /// How many AWS managed keys came into being because somebody described their alias.
    pub fn aws_managed_created(&self) -> u64 {
        self.aws_managed_created.load(Ordering::Relaxed)
    }

    pub(super) fn create_aws_managed(&self) {
        self.aws_managed_created.fetch_add(1, Ordering::Relaxed);
    }

    fn pair(&self, key: &Key) -> Result<Arc<EcdsaKeyPair>, AwsError> {
        if key.usage() != "SIGN_VERIFY" {
            let message = format!(
                "{} key usage is {} which is not valid",
                key.arn(),
                key.usage()
            );
            return Err(AwsError::new(400, "InvalidKeyUsageException", message));
        }
        // A panic elsewhere leaves at worst a missing entry, which the next use fills.
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = pairs.get(&key.arn()) {
            return Ok(Arc::clone(pair));
        }
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| internal())?;
        let pair = Arc::new(pair);
        pairs.insert(key.arn(), Arc::clone(&pair));
        Ok(pair)
    }
}

/// `Sign`: a DIGEST message is signed as it is, a RAW message is hashed first.
pub(super) fn sign(
    state: &KmsState,
    key: &Key,
    input: &Map<String, Value>,
) -> Result<Value, AwsError> {
    let pair = state.pair(key)?;
    let algorithm = json::required(input, "SigningAlgorithm")?;
    if algorithm != "ECDSA_SHA_256" {
        return Err(validation(format!(
            "Algorithm {algorithm} and key spec do not match."
        )));
    }
    let message = STANDARD
        .decode(json::required(input, "Message")?)
        .map_err(|_| AwsError::new(400, "SerializationException", "Message is not base64"))?;
    let digest = match json::text(input, "MessageType").unwrap_or("RAW") {
        "RAW" if (1..=4_096).contains(&message.len()) => digest::digest(&digest::SHA256, &message),
        "RAW" => return Err(validation("Message must have 1 to 4096 bytes".to_owned())),
        "DIGEST" => Digest::import_less_safe(&message, &digest::SHA256).map_err(|_| {
            validation("Digest is invalid length for algorithm ECDSA_SHA_256.".to_owned())
        })?,
        other => return Err(validation(format!("MessageType {other} is not valid"))),
    };
    let signature = pair.sign_digest(&digest).map_err(|_| internal())?;
    Ok(json!({
        "KeyId": key.arn(),
        "Signature": STANDARD.encode(signature.as_ref()),
        "SigningAlgorithm": algorithm,
    }))
}

/// `GetPublicKey`, as SubjectPublicKeyInfo DER.
pub(super) fn public_key(state: &KmsState, key: &Key) -> Result<Value, AwsError> {
    let pair = state.pair(key)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| internal())?;
    Ok(json!({
        "KeyId": key.arn(),
        "PublicKey": STANDARD.encode(spki.as_ref()),
        "KeySpec": key.spec(),
        "CustomerMasterKeySpec": key.spec(),
        "KeyUsage": key.usage(),
        "SigningAlgorithms": ["ECDSA_SHA_256"],
    }))
}

fn validation(message: String) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}

fn internal() -> AwsError {
    AwsError::new(
        500,
        "KMSInternalException",
        "the request failed for a reason inside KMS",
    )
}
