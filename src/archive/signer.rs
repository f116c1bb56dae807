//! What signs seals, as a trait: a local P-256 key or a KMS key. Same bytes, same verifier.

use async_trait::async_trait;

use crate::seal::PublicKey;

/// Why a signature could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the signing key {key} refused: {detail}")]
    Refused { key: String, detail: String },
    #[error("the signing key {key} could not be reached: {detail}")]
    Unreachable { key: String, detail: String },
}

/// Makes ECDSA P-256 SHA-256 signatures. May be called again after a failure; each signature of the
/// same message may differ.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The DER-encoded signature over SHA-256 of `message`.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// The key that verifies it.
    fn public_key(&self) -> &PublicKey;

    /// Where the private half is, for messages: a path or a KMS key ARN.
    fn describe(&self) -> String;
}
