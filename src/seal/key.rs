//! The public half of a signing key: NIST P-256 as an X.509 SubjectPublicKeyInfo, the form that KMS
//! GetPublicKey returns (<https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html>).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::ids::Sha256Hex;

/// SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1 (RFC 5480), and the first byte of
/// an uncompressed point. Every P-256 key in this form has these bytes and 64 more.
const SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const SPKI_BYTES: usize = SPKI_PREFIX.len() + 64;

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----\n";
const PEM_END: &str = "-----END PUBLIC KEY-----\n";

/// Why a public key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not the SubjectPublicKeyInfo of an uncompressed P-256 key")]
    NotP256,
    #[error("the point does not lie on the curve P-256")]
    NotOnCurve,
    #[error("not a PEM file in canonical form (PUBLIC KEY, 64 columns, LF): {0}")]
    PemNotCanonical(&'static str),
}

/// Why a signature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature is not in DER form")]
    NotDer,
    #[error("the signature is not by this key over these bytes")]
    Mismatch,
}

/// A P-256 public key in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
}

impl PublicKey {
    /// Reads DER. Refuses other algorithms, other curves, compressed points and trailing bytes.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() != SPKI_BYTES || !der.starts_with(&SPKI_PREFIX) {
            return Err(KeyError::NotP256);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point(der))
            .map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self {
            spki_der: der.to_vec(),
        })
    }

    /// Reads PEM exactly as [`PublicKey::to_pem`] and `openssl pkey -pubin -pubout` write it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem
            .strip_prefix(PEM_BEGIN)
            .and_then(|rest| rest.strip_suffix(PEM_END))
            .ok_or(KeyError::PemNotCanonical("begin or end line"))?;
        let der = STANDARD
            .decode(body.replace('\n', ""))
            .map_err(|_| KeyError::PemNotCanonical("base64"))?;
        let key = Self::from_spki_der(&der)?;
        if key.to_pem() == pem {
            Ok(key)
        } else {
            Err(KeyError::PemNotCanonical("line length"))
        }
    }

    /// PEM with 64 columns and LF.
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode(&self.spki_der);
        let mut pem = String::from(PEM_BEGIN);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str(PEM_END);
        pem
    }

    /// The DER form.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The key's name: SHA-256 of its DER form.
    pub fn keyid(&self) -> Sha256Hex {
        Sha256Hex::of(&self.spki_der)
    }

    /// Checks an ECDSA signature over SHA-256 of `message`. The signature must be in DER (X.690),
    /// byte for byte: no padded or negative integers, no long lengths, nothing behind it.
    pub fn verify(&self, message: &[u8], der_signature: &[u8]) -> Result<(), SignatureError> {
        if !is_strict_der(der_signature) {
            return Err(SignatureError::NotDer);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point(&self.spki_der))
            .verify(message, der_signature)
            .map_err(|_| SignatureError::Mismatch)
    }
}

fn point(der: &[u8]) -> &[u8] {
    &der[SPKI_PREFIX.len() - 1..]
}

/// Whether `der` is SEQUENCE { INTEGER, INTEGER } with positive integers of at most 33 bytes in their
/// shortest form.
fn is_strict_der(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else {
        return false;
    };
    // Two integers of 33 bytes need 70: the short form of the length always suffices.
    *length < 0x80
        && usize::from(*length) == rest.len()
        && strict_integer(rest)
            .and_then(strict_integer)
            .is_some_and(<[u8]>::is_empty)
}

/// The bytes behind the first integer, if it is well formed.
fn strict_integer(der: &[u8]) -> Option<&[u8]> {
    let [0x02, length, rest @ ..] = der else {
        return None;
    };
    let (number, tail) = rest.split_at_checked(usize::from(*length))?;
    let shortest = match number {
        [] => false,
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80 && *first != 0,
    };
    (shortest && number.len() <= 33).then_some(tail)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    fn pair() -> (EcdsaKeyPair, PublicKey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("pair");
        let mut der = SPKI_PREFIX[..26].to_vec();
        der.extend_from_slice(pair.public_key().as_ref());
        let key = PublicKey::from_spki_der(&der).expect("key");
        (pair, key)
    }

    #[test]
    fn a_key_survives_pem_and_only_its_own_pem() {
        let (_, key) = pair();
        let pem = key.to_pem();
        assert_eq!(PublicKey::from_pem(&pem), Ok(key));
        assert!(pem.lines().all(|line| line.len() <= 64));
        for bad in [
            pem.replace('\n', "\r\n"),
            pem.trim_end().to_owned(),
            format!("{pem}\n"),
            format!("\n{pem}"),
            pem.replacen("MFkw", "MFk\nw", 1),
            pem.replace("PUBLIC", "EC PUBLIC"),
            String::new(),
        ] {
            assert!(PublicKey::from_pem(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_pem_survives() {
        let (_, key) = pair();
        let pem = key.to_pem().into_bytes();
        for position in 0..pem.len() * 8 {
            let mut flipped = pem.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            let same = std::str::from_utf8(&flipped)
                .is_ok_and(|text| PublicKey::from_pem(text).as_ref() == Ok(&key));
            assert!(!same, "bit {position}");
        }
    }

    #[test]
    fn other_keys_are_refused() {
        let (_, key) = pair();
        let mut off_curve = key.spki_der().to_vec();
        off_curve[90] ^= 1;
        assert_eq!(
            PublicKey::from_spki_der(&off_curve),
            Err(KeyError::NotOnCurve)
        );
        let mut longer = key.spki_der().to_vec();
        longer.push(0);
        assert_eq!(PublicKey::from_spki_der(&longer), Err(KeyError::NotP256));
        assert_eq!(PublicKey::from_spki_der(&[]), Err(KeyError::NotP256));
        let mut p384 = key.spki_der().to_vec();
        p384[22] = 0x22;
        assert_eq!(PublicKey::from_spki_der(&p384), Err(KeyError::NotP256));
    }

    #[test]
    fn no_flipped_bit_of_a_signature_survives() {
        let (pair, key) = pair();
        let signature = pair.sign(&SystemRandom::new(), b"message").expect("sign");
        let signature = signature.as_ref();
        assert_eq!(key.verify(b"message", signature), Ok(()));
        assert_eq!(
            key.verify(b"massage", signature),
            Err(SignatureError::Mismatch)
        );
        for position in 0..signature.len() * 8 {
            let mut flipped = signature.to_vec();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(key.verify(b"message", &flipped).is_err(), "bit {position}");
        }
    }

    #[test]
    fn only_der_is_a_signature() {
        let good = [0x30, 6, 2, 1, 5, 2, 1, 6];
        assert!(is_strict_der(&good));
        let bad: [&[u8]; 9] = [
            &[],
            &[0x30, 0],
            &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 6],
            &[0x30, 6, 2, 1, 5, 2, 1, 6, 0],
            &[0x30, 7, 2, 2, 0, 5, 2, 1, 6],
            &[0x30, 6, 2, 1, 0x85, 2, 1, 6],
            &[0x30, 6, 2, 1, 5, 2, 1, 0],
            &[0x30, 5, 2, 0, 2, 1, 6],
            &[0x30, 9, 2, 1, 5, 2, 1, 6, 2, 1, 7],
        ];
        for der in bad {
            assert!(!is_strict_der(der), "{der:02x?}");
        }
    }
}
