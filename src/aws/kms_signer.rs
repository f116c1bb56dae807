//! Seals signed by a KMS key that never leaves KMS.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use sha2::Digest as _;

use crate::archive::signer::{SignError, Signer};
use crate::aws::error::{class_of, sentence};
use crate::aws::session::{AwsShell, sdk_region};
use crate::collect::api::ErrorClass;
use crate::model::key_reference::KeyArn;
use crate::seal::PublicKey;
use crate::time::Clock;

/// Most attempts of one KMS call: signing has no other retry loop around it.
const ATTEMPTS: u32 = 3;
/// Longest pause before the second attempt; it doubles each time.
const FIRST_PAUSE_MS: u64 = 400;
/// KMS takes no longer message than this in RAW mode
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>).
const LONGEST_RAW: usize = 4_096;

/// Who hashes the message. Both give the same signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningMode {
    /// We do, and KMS signs the digest: any length, and the message stays here.
    #[default]
    Digest,
    /// KMS does: at most 4,096 bytes. For servers that hash a digest once more, such as moto.
    Raw,
}

/// An `ECC_NIST_P256` KMS key that signs with `ECDSA_SHA_256`.
pub struct KmsSigner {
    client: aws_sdk_kms::Client,
    shell: AwsShell,
    key: String,
    mode: SigningMode,
    public_key: PublicKey,
}

impl KmsSigner {
    /// Asks KMS for the public half. `key_arn` is the ARN of a key or an alias; the key must be
    /// `ECC_NIST_P256` for `SIGN_VERIFY`.
    pub async fn connect(
        shell: &AwsShell,
        key_arn: &str,
        mode: SigningMode,
    ) -> Result<Self, SignError> {
        let refused = |detail: String| SignError::Refused {
            key: key_arn.to_owned(),
            detail,
        };
        let arn = KeyArn::parse(key_arn).ok_or_else(|| {
            refused(
                "it is not the ARN of a KMS key, such as \
                 arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                    .to_owned(),
            )
        })?;
        let config =
            aws_sdk_kms::config::Builder::from(&shell.base).region(sdk_region(&arn.region));
        let client = aws_sdk_kms::Client::from_conf(config.build());
        let answer = with_retries(shell.clock.as_ref(), key_arn, || {
            client.get_public_key().key_id(key_arn).send()
        })
        .await?;
        // Some servers state no spec; what the public key itself is decides either way.
        if answer
            .key_spec
            .as_ref()
            .is_some_and(|s| *s != KeySpec::EccNistP256)
            || answer
                .key_usage
                .as_ref()
                .is_some_and(|u| *u != KeyUsageType::SignVerify)
        {
            return Err(refused(format!(
                "it is a {} key for {}; seals need ECC_NIST_P256 for SIGN_VERIFY",
                answer.key_spec.as_ref().map_or("?", |s| s.as_str()),
                answer.key_usage.as_ref().map_or("?", |u| u.as_str()),
            )));
        }
        let der = answer
            .public_key
            .ok_or_else(|| refused("KMS gave no public key".to_owned()))?;
        let public_key = PublicKey::from_spki_der(der.as_ref())
            .map_err(|e| refused(format!("its public key cannot be used: {e}")))?;
        Ok(Self {
            client,
            shell: shell.clone(),
            key: key_arn.to_owned(),
            mode,
            public_key,
        })
    }
}

#[async_trait]
impl Signer for KmsSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let refused = |detail: String| SignError::Refused {
            key: self.key.clone(),
            detail,
        };
        let (bytes, message_type) = match self.mode {
            SigningMode::Digest => (sha2::Sha256::digest(message).to_vec(), MessageType::Digest),
            SigningMode::Raw if message.len() > LONGEST_RAW => {
                return Err(refused(format!(
                    "{} bytes are more than the {LONGEST_RAW} that it signs unhashed: use the \
                     digest mode",
                    message.len()
                )));
            }
            SigningMode::Raw => (message.to_vec(), MessageType::Raw),
        };
        let answer = with_retries(self.shell.clock.as_ref(), &self.key, || {
            self.client
                .sign()
                .key_id(&self.key)
                .message(Blob::new(bytes.clone()))
                .message_type(message_type.clone())
                .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
                .send()
        })
        .await?;
        let signature = answer
            .signature
            .map(Blob::into_inner)
            .ok_or_else(|| refused("KMS gave no signature".to_owned()))?;
        // A signature that nobody can verify must not reach the archive.
        self.public_key.verify(message, &signature).map_err(|e| {
            refused(format!(
                "its signature does not verify ({e}); a server that hashes digests once more needs \
                 the raw mode"
            ))
        })?;
        Ok(signature)
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn describe(&self) -> String {
        self.key.clone()
    }
}

/// Up to [`ATTEMPTS`] attempts with full jitter, while the failure may pass by itself.
async fn with_retries<T, E, F>(
    clock: &dyn Clock,
    key: &str,
    attempt: impl Fn() -> F,
) -> Result<T, SignError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let mut made = 1;
    loop {
        let error = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let class = class_of(&error);
        let passing = class.is_retryable() || class == ErrorClass::Expired;
        if passing && made < ATTEMPTS {
            clock.sleep(pause(made)).await;
            made += 1;
            continue;
        }
        let detail = format!("{}{}", sentence(&error), next_step(error.code()));
        let key = key.to_owned();
        return Err(if passing {
            SignError::Unreachable {
                key,
                detail: format!("{detail}, {made} attempts"),
            }
        } else {
            SignError::Refused { key, detail }
        });
    }
}

/// What to do about a refusal.
fn next_step(code: Option<&str>) -> &'static str {
    match code {
        Some("InvalidKeyUsageException" | "UnsupportedOperationException") => {
            "; seals need a key of spec ECC_NIST_P256 for SIGN_VERIFY"
        }
        // Across accounts both sides have to allow it
        // (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>).
        Some("AccessDeniedException") => {
            "; the key's policy, and the caller's own where the key is another account's, must \
             allow kms:GetPublicKey and kms:Sign"
        }
        _ => "",
    }
}

/// Anything up to twice as long as the last time; the longest where the system has no randomness.
fn pause(made: u32) -> Duration {
    let most = FIRST_PAUSE_MS << made.min(8).saturating_sub(1);
    let mut random = [0_u8; 4];
    let share = match getrandom::fill(&mut random) {
        Ok(()) => u64::from(u32::from_le_bytes(random)),
        Err(_) => u64::from(u32::MAX),
    };
    Duration::from_millis(most * share / u64::from(u32::MAX))
}
