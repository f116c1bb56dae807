//! Object checksums: what a client states is computed again and compared (S3 "Checking object
//! integrity").

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::sandbox::wire::AwsError;
use crate::sandbox::wire::encoding::hex;

/// Prefix of the headers and trailers that carry a checksum.
const PREFIX: &str = "x-amz-checksum-";

/// A checksum that was stated with an object and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    /// `sha256`, `sha1`, `crc32`, `crc32c` or `crc64nvme`.
    pub algorithm: &'static str,
    /// Base64, as S3 returns it.
    pub value: String,
}

impl Checksum {
    pub fn header_name(&self) -> String {
        format!("{PREFIX}{}", self.algorithm)
    }
}

/// What is known of a body after its checksums were verified.
pub(super) struct Verified {
    pub sha256: [u8; 32],
    pub checksum: Option<Checksum>,
}

/// Verifies every stated checksum and the payload hash of the signature against the body.
///
/// `payload` is the decoded body; `stated` all headers and trailers; `signed_sha256` the
/// `x-amz-content-sha256` header where it is a hash.
pub(super) fn verify<'a>(
    payload: &[u8],
    stated: impl Iterator<Item = &'a (String, String)>,
    signed_sha256: Option<&str>,
) -> Result<Verified, AwsError> {
    let sha256: [u8; 32] = Sha256::digest(payload).into();
    if let Some(signed) = signed_sha256
        && signed.len() == 64
        && !signed.eq_ignore_ascii_case(&hex(&sha256))
    {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(AwsError::new(400, "XAmzContentSHA256Mismatch", message));
    }
    let mut checksum = None;
    for (name, value) in stated {
        let Some(algorithm) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let (algorithm, computed) = match algorithm {
            "sha256" => ("sha256", sha256.to_vec()),
            "sha1" => (
                "sha1",
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, payload)
                    .as_ref()
                    .to_vec(),
            ),
            "crc32" => (
                "crc32",
                (crc(&CRC32, payload) as u32).to_be_bytes().to_vec(),
            ),
            "crc32c" => (
                "crc32c",
                (crc(&CRC32C, payload) as u32).to_be_bytes().to_vec(),
            ),
            "crc64nvme" => ("crc64nvme", crc(&CRC64NVME, payload).to_be_bytes().to_vec()),
            "algorithm" | "mode" | "type" => continue,
            other => {
                return Err(AwsError::new(
                    400,
                    "InvalidRequest",
                    format!("unsupported checksum {PREFIX}{other}"),
                ));
            }
        };
        let claimed = STANDARD
            .decode(value)
            .ok()
            .filter(|claimed| claimed.len() == computed.len());
        let Some(claimed) = claimed else {
            return Err(AwsError::new(
                400,
                "InvalidRequest",
                format!("Value for {name} header is invalid."),
            ));
        };
        if claimed != computed {
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                algorithm.to_ascii_uppercase()
            );
            return Err(AwsError::new(400, "BadDigest", message));
        }
        checksum = Some(Checksum {
            algorithm,
            value: value.clone(),
        });
    }
    Ok(Verified { sha256, checksum })
}

/// A reflected CRC: its table and its width as a mask.
struct Crc {
    table: [u64; 256],
    mask: u64,
}

static CRC32: Crc = Crc::new(0xedb8_8320, 0xffff_ffff);
static CRC32C: Crc = Crc::new(0x82f6_3b78, 0xffff_ffff);
static CRC64NVME: Crc = Crc::new(0x9a6c_9329_ac4b_c9b5, u64::MAX);

impl Crc {
    const fn new(polynomial: u64, mask: u64) -> Self {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u64;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    value >> 1 ^ polynomial
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        Self { table, mask }
    }
}

fn crc(kind: &Crc, data: &[u8]) -> u64 {
    let mut value = kind.mask;
    for &byte in data {
        value = value >> 8 ^ kind.table[usize::from(value as u8 ^ byte)];
    }
    value ^ kind.mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crcs_have_their_published_check_values() {
        assert_eq!(crc(&CRC32, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc(&CRC32C, b"123456789"), 0xe306_9283);
        assert_eq!(crc(&CRC64NVME, b"123456789"), 0xae8b_1486_0a79_9888);
    }

    fn check(name: &str, value: &str) -> Result<Option<Checksum>, String> {
        let stated = [(name.to_owned(), value.to_owned())];
        verify(b"abc", stated.iter(), None)
            .map(|verified| verified.checksum)
            .map_err(|error| error.code)
    }

    #[test]
    fn right_checksums_pass_and_wrong_ones_do_not() {
        let right = STANDARD.encode(Sha256::digest(b"abc"));
        assert!(check("x-amz-checksum-sha256", &right).unwrap().is_some());
        let wrong = STANDARD.encode(Sha256::digest(b"abd"));
        assert_eq!(
            check("x-amz-checksum-sha256", &wrong),
            Err("BadDigest".into())
        );
        for text in ["", "AAAA", "not base64!"] {
            assert_eq!(
                check("x-amz-checksum-sha256", text),
                Err("InvalidRequest".into()),
                "{text}"
            );
        }
        assert_eq!(
            check("x-amz-checksum-crc32", "NSRBwg==")
                .unwrap()
                .map(|c| c.algorithm),
            Some("crc32")
        );
        assert_eq!(check("x-amz-checksum-mode", "ENABLED"), Ok(None));
        assert!(check("x-amz-checksum-md17", "AAAA").is_err());
    }

    #[test]
    fn the_signed_payload_hash_is_compared() {
        let stated: [(String, String); 0] = [];
        let error = verify(b"abc", stated.iter(), Some(&"0".repeat(64)))
            .err()
            .unwrap();
        assert_eq!(error.code, "XAmzContentSHA256Mismatch");
        assert!(verify(b"abc", stated.iter(), Some("UNSIGNED-PAYLOAD")).is_ok());
    }
}
