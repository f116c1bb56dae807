//! DSSE, the Dead Simple Signing Envelope v1
//! (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>), narrowed to one encoding:
//! one line of JSON in fixed field order, standard base64, one signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::model::ids::Sha256Hex;

/// What an envelope of ours carries: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bytes that are signed: DSSE pre-authentication encoding of `payload`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("not the canonical form of a DSSE envelope with one signature: {0}")]
    NotCanonical(String),
    #[error("the payload type is '{0}', not '{PAYLOAD_TYPE}'")]
    WrongPayloadType(String),
}

/// A signed statement. Whether the signature holds is for [`super::PublicKey::verify`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub payload: Vec<u8>,
    pub keyid: Sha256Hex,
    /// ECDSA signature over [`pae`] of the payload, DER.
    pub signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: Sha256Hex,
    sig: String,
}

impl Envelope {
    /// The bytes to be signed for `payload`.
    pub fn to_sign(payload: &[u8]) -> Vec<u8> {
        pae(PAYLOAD_TYPE, payload)
    }

    /// The bytes that this envelope's signature must cover.
    pub fn signed_bytes(&self) -> Vec<u8> {
        Self::to_sign(&self.payload)
    }

    /// The stored form: one line and LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&self.payload, PAYLOAD_TYPE, &self.keyid, &self.signature)
    }

    /// Reads the stored form; encodes again and compares byte for byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let fault =
            |detail: &dyn std::fmt::Display| EnvelopeError::NotCanonical(detail.to_string());
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| fault(&e))?;
        let [signature] = wire.signatures.as_slice() else {
            return Err(fault(&format_args!("{} signatures", wire.signatures.len())));
        };
        let decode = |text: &str| STANDARD.decode(text).map_err(|e| fault(&e));
        let envelope = Self {
            payload: decode(&wire.payload)?,
            keyid: signature.keyid.clone(),
            signature: decode(&signature.sig)?,
        };
        let again = encode(
            &envelope.payload,
            &wire.payload_type,
            &envelope.keyid,
            &envelope.signature,
        );
        if again != bytes {
            return Err(fault(&"white space, field order or escapes"));
        }
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::WrongPayloadType(
                wire.payload_type.chars().take(80).collect(),
            ));
        }
        Ok(envelope)
    }
}

fn encode(payload: &[u8], payload_type: &str, keyid: &Sha256Hex, signature: &[u8]) -> Vec<u8> {
    // Two base64 texts, a hex text and one JSON string: nothing in it can fail to be written.
    let payload_type = serde_json::Value::from(payload_type);
    format!(
        "{{\"payload\":\"{}\",\"payloadType\":{payload_type},\"signatures\":[{{\"keyid\":\"{keyid}\",\"sig\":\"{}\"}}]}}\n",
        STANDARD.encode(payload),
        STANDARD.encode(signature),
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification, section "Test Vectors".
    #[test]
    fn pre_authentication_encoding_is_that_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    }

    fn sample() -> Envelope {
        Envelope {
            payload: b"{\"a\":1}".to_vec(),
            keyid: Sha256Hex::of(b"key"),
            signature: vec![0x30, 6, 2, 1, 5, 2, 1, 6],
        }
    }

    #[test]
    fn an_envelope_reads_back_as_written() {
        let bytes = sample().to_bytes();
        assert_eq!(Envelope::parse(&bytes), Ok(sample()));
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
    }

    #[test]
    fn no_flipped_bit_reads_as_the_same_envelope() {
        let bytes = sample().to_bytes();
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert_ne!(Envelope::parse(&flipped), Ok(sample()), "bit {position}");
        }
    }

    #[test]
    fn other_encodings_of_the_same_are_refused() {
        let text = String::from_utf8(sample().to_bytes()).expect("text");
        for bad in [
            String::new(),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace("\":", "\": "),
            text.replace("eyJ", "\\u0065yJ"),
            // One bit behind the last byte, and no padding.
            text.replace("eyJhIjoxfQ==", "eyJhIjoxfR=="),
            text.replace("eyJhIjoxfQ==", "eyJhIjoxfQ"),
            text.replace("[{", "[{\"x\":1,"),
            text.replace("]}", "],\"z\":0}"),
            text.replace("\"signatures\":[", "\"signatures\":[],\"signatures\":["),
        ] {
            assert!(
                matches!(
                    Envelope::parse(bad.as_bytes()),
                    Err(EnvelopeError::NotCanonical(_))
                ),
                "{bad}"
            );
        }
        let none = "{\"payload\":\"\",\"payloadType\":\"\",\"signatures\":[]}\n";
        assert!(Envelope::parse(none.as_bytes()).is_err());
    }

    #[test]
    fn another_payload_type_is_named() {
        let text = String::from_utf8(sample().to_bytes()).expect("text");
        let other = text.replace("in-toto", "in-tata");
        assert_eq!(
            Envelope::parse(other.as_bytes()),
            Err(EnvelopeError::WrongPayloadType(
                "application/vnd.in-tata+json".to_owned()
            ))
        );
    }
}
