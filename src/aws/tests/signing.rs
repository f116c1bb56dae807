//! Seals signed by KMS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KEY, base64_sha256, json_error};
use crate::archive::signer::{SignError, Signer as _};
use crate::aws::canned::{Canned, Reply};
use crate::aws::{KmsSigner, SigningMode};

fn key_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("key")
}

fn public_half(pair: &EcdsaKeyPair) -> String {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
    format!(
        r#"{{"KeySpec":"ECC_NIST_P256","KeyUsage":"SIGN_VERIFY","PublicKey":"{}"}}"#,
        STANDARD.encode(der.as_ref())
    )
}

/// KMS with one key: fails twice, then signs `signed` whatever it is asked.
async fn kms(signed: &'static [u8]) -> (Canned, Arc<AtomicUsize>) {
    let pair = key_pair();
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let server = Canned::start(move |seen| {
        if seen
            .header("x-amz-target")
            .is_some_and(|t| t.ends_with("GetPublicKey"))
        {
            return Reply::new(200, public_half(&pair));
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => json_error("ThrottlingException", "slow"),
            1 => json_error("KMSInternalException", "oops"),
            _ => {
                let signature = pair.sign(&SystemRandom::new(), signed).expect("signature");
                let text = STANDARD.encode(signature.as_ref());
                Reply::new(200, format!(r#"{{"Signature":"{text}"}}"#))
            }
        }
    })
    .await;
    (server, tries)
}

#[tokio::test]
async fn signing_survives_a_passing_failure_and_says_what_it_signs() {
    let (server, tries) = kms(b"message").await;
    let shell = server.shell().await;
    let signer = KmsSigner::connect(&shell, KEY, SigningMode::Digest)
        .await
        .expect("signer");
    let signature = signer.sign(b"message").await.expect("signature");
    assert!(signer.public_key().verify(b"message", &signature).is_ok());
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let last = server.requests().pop().expect("request");
    let asked: serde_json::Value = serde_json::from_slice(&last.body).expect("JSON");
    assert_eq!(asked["MessageType"], "DIGEST");
    assert_eq!(asked["SigningAlgorithm"], "ECDSA_SHA_256");
    assert_eq!(asked["Message"], base64_sha256(b"message"));

    let raw = KmsSigner::connect(&shell, KEY, SigningMode::Raw)
        .await
        .expect("signer");
    raw.sign(b"message").await.expect("signature");
    let last = server.requests().pop().expect("request");
    let asked: serde_json::Value = serde_json::from_slice(&last.body).expect("JSON");
    assert_eq!(asked["MessageType"], "RAW");
    assert_eq!(asked["Message"], STANDARD.encode(b"message"));
    let long = raw.sign(&[0; 4_097]).await;
    assert!(matches!(long, Err(SignError::Refused { .. })));
}

#[tokio::test]
async fn a_signature_of_something_else_is_refused() {
    let (server, _) = kms(b"another message").await;
    let signer = KmsSigner::connect(&server.shell().await, KEY, SigningMode::Digest)
        .await
        .expect("signer");
    let error = signer.sign(b"message").await.expect_err("refused");
    assert!(matches!(error, SignError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("raw mode"), "{error}");
}

#[tokio::test]
async fn keys_that_cannot_seal_are_refused_at_once() {
    let good = public_half(&key_pair());
    let other = good.replace("ECC_NIST_P256", "RSA_2048");
    for (reply, key, refused, requests) in [
        (Reply::new(200, other), KEY, true, 1),
        (Reply::new(200, good.replace("MFkw", "AAAA")), KEY, true, 1),
        (json_error("AccessDeniedException", "no"), KEY, true, 1),
        (json_error("NotFoundException", "no"), KEY, true, 1),
        (json_error("ThrottlingException", "slow"), KEY, false, 3),
        (Reply::new(200, good), "alias/short", true, 0),
    ] {
        let answer = reply.clone();
        let server = Canned::start(move |_| answer.clone()).await;
        let error = KmsSigner::connect(&server.shell().await, key, SigningMode::Digest)
            .await
            .err()
            .expect("an error");
        assert_eq!(
            matches!(error, SignError::Refused { .. }),
            refused,
            "{reply:?}: {error}"
        );
        assert_eq!(server.requests().len(), requests, "{reply:?}");
    }
}
