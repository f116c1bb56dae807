//! Manifest, statement, DSSE envelope and chain link: pure; gives the bytes to sign and takes the
//! signature back.

/// A P-256 public key in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
}
