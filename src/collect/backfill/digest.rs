//! One digest file: what it says, and whether CloudTrail signed it
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html>,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html>).
//!
//! The signature, SHA256withRSA, stands in the object's metadata. Signed are four lines: end time, bucket
//! and name of the digest file, SHA-256 of its inflated bytes, and the signature of the digest before.

use std::collections::BTreeMap;
use std::io::Read as _;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::collect::api::TrailKey;
use crate::model::ids::hex;
use crate::time::UtcMillis;

/// Largest digest file that is read, inflated or not: a hundred thousand log files.
pub const LIMIT: usize = 64 * 1024 * 1024;
/// The only algorithm of hashes that there is.
const SHA_256: &str = "SHA-256";
/// What is signed where no digest stands before.
const NO_PREVIOUS: &str = "null";

/// Why a digest file vouches for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestFault {
    /// The object has no signature.
    Unsigned,
    /// It is no digest file, or that of another place.
    Malformed,
    /// Nobody told the key that it names.
    KeyUnavailable,
    /// The signature is not that of these bytes.
    Signature,
}

impl DigestFault {
    /// The word in `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unsigned => "DigestUnsigned",
            Self::Malformed => "DigestMalformed",
            Self::KeyUnavailable => "PublicKeyUnavailable",
            Self::Signature => "DigestSignature",
        }
    }
}

/// A digest file that CloudTrail signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub from: UtcMillis,
    pub to: UtcMillis,
    /// Hex, of the inflated bytes.
    pub sha256: String,
    /// Hex.
    pub signature: String,
    /// The digest before; `None` where this begins a chain.
    pub previous: Option<Previous>,
    /// Log files by name, with the SHA-256 of their inflated bytes.
    pub files: Vec<(String, String)>,
}

/// What a digest says of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    pub object: String,
    pub sha256: Option<String>,
    pub signature: String,
}

impl Previous {
    /// Whether it means this digest.
    pub fn is(&self, sha256: &str, signature: &str) -> bool {
        let same_file = self
            .sha256
            .as_deref()
            .is_none_or(|told| told.eq_ignore_ascii_case(sha256));
        same_file && self.signature.eq_ignore_ascii_case(signature)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    digest_start_time: UtcText,
    digest_end_time: UtcText,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: Vec<WireFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFile {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
}

/// A time with the text that was signed.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct UtcText {
    at: UtcMillis,
    text: String,
}

impl TryFrom<String> for UtcText {
    type Error = crate::time::TimeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(Self {
            at: text.parse()?,
            text,
        })
    }
}

/// Keys of one Region by fingerprint.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, Vec<u8>>);

impl Keys {
    pub fn add(&mut self, key: TrailKey) {
        self.0.insert(key.fingerprint, key.pkcs1);
    }
}

/// Reads the digest file `object` of `bucket`, as stored, with the signature of its metadata.
///
/// # Errors
/// One of the ways in which it vouches for nothing.
pub fn read(
    bucket: &str,
    object: &str,
    packed: &[u8],
    signature: Option<&str>,
    keys: &Keys,
) -> Result<Digest, DigestFault> {
    let mut bytes = Vec::new();
    let inflated = MultiGzDecoder::new(packed).take(LIMIT as u64 + 1);
    let read = { inflated }.read_to_end(&mut bytes);
    if read.is_err() || bytes.len() > LIMIT {
        return Err(DigestFault::Malformed);
    }
    let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| DigestFault::Malformed)?;
    let (from, to) = (wire.digest_start_time.at, wire.digest_end_time.at);
    let foreign = wire.digest_s3_bucket != bucket || wire.digest_s3_object != object;
    if foreign || from >= to {
        return Err(DigestFault::Malformed);
    }
    let signature = signature.ok_or(DigestFault::Unsigned)?;
    let raw = unhex(signature).ok_or(DigestFault::Signature)?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let key = keys.0.get(&wire.digest_public_key_fingerprint);
    let key = key.ok_or(DigestFault::KeyUnavailable)?;
    let before = wire.previous_digest_signature.as_deref();
    let signed = to_sign(&wire.digest_end_time.text, bucket, object, &sha256, before);
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &raw)
        .map_err(|_| DigestFault::Signature)?;

    let algorithm = wire.previous_digest_hash_algorithm;
    if algorithm.is_some_and(|algorithm| algorithm != SHA_256) {
        return Err(DigestFault::Malformed);
    }
    let previous = match (
        wire.previous_digest_s3_object,
        wire.previous_digest_signature,
    ) {
        (Some(object), Some(signature)) => Some(Previous {
            object,
            sha256: wire.previous_digest_hash_value,
            signature,
        }),
        _ => None,
    };
    let files = wire.log_files.into_iter().map(|file| {
        let ours = file.s3_bucket == bucket && file.hash_algorithm == SHA_256;
        ours.then_some((file.s3_object, file.hash_value.to_ascii_lowercase()))
    });
    Ok(Digest {
        from,
        to,
        sha256,
        signature: signature.to_owned(),
        previous,
        files: files.collect::<Option<_>>().ok_or(DigestFault::Malformed)?,
    })
}

/// What CloudTrail signs.
fn to_sign(end: &str, bucket: &str, object: &str, sha256: &str, previous: Option<&str>) -> String {
    let previous = previous.unwrap_or(NO_PREVIOUS);
    format!("{end}\n{bucket}/{object}\n{sha256}\n{previous}")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::*;

    const BUCKET: &str = "trail";
    const OBJECT: &str = "AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/10/03/d.json.gz";

    struct Signing {
        pair: KeyPair,
        keys: Keys,
    }

    impl Signing {
        fn new() -> Self {
            let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
            let mut keys = Keys::default();
            keys.add(TrailKey {
                fingerprint: "f".to_owned(),
                pkcs1: pair.public_key().as_ref().to_vec(),
            });
            Self { pair, keys }
        }

        fn sign(&self, text: &str, value: &Value) -> String {
            let before = value["previousDigestSignature"].as_str().unwrap_or("null");
            // As the documentation writes it, apart from the code that is tried.
            let signed = format!(
                "{}\n{BUCKET}/{OBJECT}\n{}\n{before}",
                value["digestEndTime"].as_str().unwrap_or_default(),
                hex(&Sha256::digest(text)),
            );
            let mut signature = vec![0; self.pair.public_modulus_len()];
            let random = SystemRandom::new();
            let done = self.pair.sign(
                &RSA_PKCS1_SHA256,
                &random,
                signed.as_bytes(),
                &mut signature,
            );
            done.expect("signs");
            hex(&signature)
        }

        fn read(&self, text: &str, signature: Option<&str>) -> Result<Digest, DigestFault> {
            read(BUCKET, OBJECT, &packed(text), signature, &self.keys)
        }
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    fn value() -> Value {
        json!({
            "awsAccountId": "111122223333",
            "digestStartTime": "2026-10-03T04:00:00Z", "digestEndTime": "2026-10-03T05:00:00Z",
            "digestS3Bucket": BUCKET, "digestS3Object": OBJECT,
            "digestPublicKeyFingerprint": "f", "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": null, "oldestEventTime": null,
            "previousDigestS3Bucket": BUCKET, "previousDigestS3Object": "before",
            "previousDigestHashValue": "00", "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": "ab",
            "logFiles": [{"s3Bucket": BUCKET, "s3Object": "log", "hashValue": "CD",
                "hashAlgorithm": "SHA-256", "newestEventTime": null, "oldestEventTime": null}],
        })
    }

    #[test]
    fn a_digest_that_cloudtrail_signed_vouches_for_its_files() {
        let signing = Signing::new();
        for first in [false, true] {
            let mut value = value();
            if first {
                for name in [
                    "S3Bucket",
                    "S3Object",
                    "HashValue",
                    "HashAlgorithm",
                    "Signature",
                ] {
                    value[format!("previousDigest{name}")] = Value::Null;
                }
            }
            let text = value.to_string();
            let signature = signing.sign(&text, &value);
            let digest = signing.read(&text, Some(&signature)).expect("signed");
            assert_eq!(digest.files, [("log".to_owned(), "cd".to_owned())]);
            assert_eq!(digest.to.0 - digest.from.0, 3_600_000);
            assert_eq!(digest.previous.is_none(), first);
            if let Some(previous) = digest.previous {
                assert!(
                    previous.is("00", "AB") && !previous.is("01", "ab") && !previous.is("00", "ac")
                );
            }
        }
    }

    #[test]
    fn whatever_is_not_as_it_was_signed_vouches_for_nothing() {
        let signing = Signing::new();
        let text = value().to_string();
        let signature = signing.sign(&text, &value());
        assert_eq!(signing.read(&text, None), Err(DigestFault::Unsigned));
        let flipped = signature.replacen(
            &signature[..1],
            if signature.starts_with('0') { "1" } else { "0" },
            1,
        );
        for bad in ["", "zz", "ab", flipped.as_str(), &signature[2..]] {
            assert_eq!(
                signing.read(&text, Some(bad)),
                Err(DigestFault::Signature),
                "{bad}"
            );
        }
        for (from, to, fault) in [
            ("\"CD\"", "\"CE\"", DigestFault::Signature),
            ("05:00:00", "05:00:01", DigestFault::Signature),
            ("\"ab\"", "\"ac\"", DigestFault::Signature),
            ("\"f\"", "\"g\"", DigestFault::KeyUnavailable),
            ("d.json.gz", "e.json.gz", DigestFault::Malformed),
            ("05:00:00Z", "04:00:00Z", DigestFault::Malformed),
            ("logFiles", "logfiles", DigestFault::Malformed),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert_eq!(
                signing.read(&changed, Some(&signature)),
                Err(fault),
                "{from}"
            );
        }
        for bytes in [&b""[..], b"x", b"\x1f\x8b", &packed(&text)[..40]] {
            let read = read(BUCKET, OBJECT, bytes, Some(&signature), &signing.keys);
            assert_eq!(read, Err(DigestFault::Malformed));
        }
        let other = Signing::new();
        let by_other = other.sign(&text, &value());
        assert_eq!(
            signing.read(&text, Some(&by_other)),
            Err(DigestFault::Signature)
        );
    }
}
