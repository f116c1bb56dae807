use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::archive::signer::{SignError, Signer};
use crate::seal::PublicKey;

/// A signing key in memory.
#[derive(Debug)]
pub struct TestSigner {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl TestSigner {
    /// A new key.
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("key");
        let der = pair.public_key().as_der().expect("der");
        let public = PublicKey::from_spki_der(der.as_ref()).expect("P-256");
        Self { pair, public }
    }
}

#[async_trait]
impl Signer for TestSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.expect("signature").as_ref().to_vec())
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn describe(&self) -> String {
        "a key in memory".to_owned()
    }
}
