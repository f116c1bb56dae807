//! A P-256 key in a local PKCS#8 file, for the archive that needs no AWS account.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signer::{SignError, Signer};
use crate::seal::PublicKey;

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// AlgorithmIdentifier id-ecPublicKey with prime256v1 (RFC 5480), as it stands in PKCS#8.
const P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
/// A P-256 key takes about 240 bytes; a file beyond this is something else.
const LIMIT_BYTES: u64 = 64 * 1024;

/// Why a signing key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("signing key file {} does not exist: name the one that signed this archive; 'keyproof run' creates one for a new archive only", .0.display())]
    Missing(PathBuf),
    #[error("signing key file {} exists already and is never replaced", .0.display())]
    Exists(PathBuf),
    #[error("signing key file {} may be read by others (mode {mode:04o}): chmod 600 {}", .path.display(), .path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("signing key file {} is not an unencrypted PKCS#8 PEM file (BEGIN PRIVATE KEY): {detail}", .path.display())]
    Garbage { path: PathBuf, detail: String },
    #[error("signing key file {} holds another kind of key: it must be ECDSA on P-256 (prime256v1)", .0.display())]
    WrongAlgorithm(PathBuf),
    #[error("signing key file {}: {detail}", .path.display())]
    Io { path: PathBuf, detail: String },
}

/// Signs with the key in a file.
#[derive(Debug)]
pub struct LocalSigner {
    path: PathBuf,
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl LocalSigner {
    /// Makes a key and its file: mode 0600, never over an existing file, durable on return.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let io = |detail: String| KeyFileError::Io {
            path: path.to_owned(),
            detail,
        };
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| io("no key could be generated".to_owned()))?;
        let pkcs8 = pair
            .to_pkcs8v1()
            .map_err(|_| io("the key could not be encoded".to_owned()))?;
        let signer = Self::new(path, pair)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| match e.kind() {
                ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
                _ => io(e.to_string()),
            })?;
        let written = file
            .write_all(pem(pkcs8.as_ref()).as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder_of(path));
        if let Err(e) = written {
            // It has signed nothing yet; half a key file would only stop the next run.
            let _ = std::fs::remove_file(path);
            return Err(io(e.to_string()));
        }
        Ok(signer)
    }

    /// Reads a key file. Refuses one that others may read.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let io = |e: std::io::Error| KeyFileError::Io {
            path: path.to_owned(),
            detail: e.to_string(),
        };
        let garbage = |detail: &str| KeyFileError::Garbage {
            path: path.to_owned(),
            detail: detail.to_owned(),
        };
        let file = File::open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
            _ => io(e),
        })?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(garbage("not a plain file"));
        }
        let mode = about.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::ReadableByOthers {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(LIMIT_BYTES)
            .read_to_string(&mut text)
            .map_err(|e| match e.kind() {
                ErrorKind::InvalidData => garbage("not text"),
                _ => io(e),
            })?;
        if text.contains("-----BEGIN EC PRIVATE KEY-----") {
            return Err(garbage(
                "it is in SEC1 form: convert it with openssl pkcs8 -topk8 -nocrypt",
            ));
        }
        if text.contains("-----BEGIN RSA PRIVATE KEY-----") {
            return Err(KeyFileError::WrongAlgorithm(path.to_owned()));
        }
        let body = text
            .split_once(PEM_BEGIN)
            .and_then(|(_, rest)| rest.split_once(PEM_END))
            .map(|(body, _)| body)
            .ok_or_else(|| garbage("begin and end line are missing"))?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(body)
            .map_err(|_| garbage("its base64 is damaged"))?;
        // PrivateKeyInfo: SEQUENCE, version 0, then the algorithm, all in the first few bytes.
        let head = der.get(..40).ok_or_else(|| garbage("it is too short"))?;
        if !head.starts_with(&[0x30]) {
            return Err(garbage("it is not DER"));
        }
        if !head.windows(P256.len()).any(|bytes| bytes == P256) {
            return Err(KeyFileError::WrongAlgorithm(path.to_owned()));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
            .map_err(|e| garbage(&e.to_string()))?;
        Self::new(path, pair)
    }

    fn new(path: &Path, pair: EcdsaKeyPair) -> Result<Self, KeyFileError> {
        let garbage = |detail: String| KeyFileError::Garbage {
            path: path.to_owned(),
            detail,
        };
        let der = pair
            .public_key()
            .as_der()
            .map_err(|e| garbage(e.to_string()))?;
        let public = PublicKey::from_spki_der(der.as_ref()).map_err(|e| garbage(e.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            pair,
            public,
        })
    }
}

#[async_trait]
impl Signer for LocalSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|e| SignError::Refused {
                key: self.describe(),
                detail: e.to_string(),
            })
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("{PEM_BEGIN}\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(PEM_END);
    text.push('\n');
    text
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testkit::TempDir;

    fn openssl(args: &[&str], dir: &TempDir) {
        let done = Command::new("openssl")
            .args(args)
            .current_dir(dir.path())
            .output()
            .expect("openssl runs");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn private(path: &Path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    }

    #[tokio::test]
    async fn openssl_reads_the_key_file_and_checks_its_signatures() {
        let dir = TempDir::new();
        let made = LocalSigner::create(&dir.path().join("key.pem")).expect("create");
        let mode = std::fs::metadata(dir.path().join("key.pem"))
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
        let loaded = LocalSigner::load(&dir.path().join("key.pem")).expect("load");
        assert_eq!(made.public_key(), loaded.public_key());

        let signature = loaded.sign(b"message").await.expect("sign");
        std::fs::write(dir.path().join("message"), "message").expect("write");
        std::fs::write(dir.path().join("signature"), signature).expect("write");
        openssl(
            &["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"],
            &dir,
        );
        let written = std::fs::read_to_string(dir.path().join("pub.pem")).expect("read");
        assert_eq!(written, made.public_key().to_pem());
        openssl(
            &[
                "dgst",
                "-sha256",
                "-verify",
                "pub.pem",
                "-signature",
                "signature",
                "message",
            ],
            &dir,
        );
    }

    #[test]
    fn a_key_made_by_openssl_is_read() {
        let dir = TempDir::new();
        openssl(
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                "k",
            ],
            &dir,
        );
        private(&dir.path().join("k"));
        LocalSigner::load(&dir.path().join("k")).expect("load");
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let dir = TempDir::new();
        let path = dir.path().join("key.pem");
        let load = || LocalSigner::load(&path);
        assert!(matches!(load(), Err(KeyFileError::Missing(_))));
        LocalSigner::create(&path).expect("create");
        assert!(matches!(
            LocalSigner::create(&path),
            Err(KeyFileError::Exists(_))
        ));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        let message = load().expect_err("refused").to_string();
        assert!(
            message.contains("0640") && message.contains("chmod 600"),
            "{message}"
        );

        private(&path);
        let good = std::fs::read_to_string(&path).expect("read");
        for bad in [
            String::new(),
            "hello".to_owned(),
            good[..good.len() / 2].to_owned(),
            good.replacen("MIGH", "AAAA", 1),
            format!("{PEM_BEGIN}\n{PEM_END}\n"),
            "\u{0}".repeat(100),
        ] {
            std::fs::write(&path, &bad).expect("write");
            assert!(matches!(load(), Err(KeyFileError::Garbage { .. })), "{bad}");
        }
        std::fs::write(&path, [0xff, 0xfe]).expect("write");
        assert!(matches!(load(), Err(KeyFileError::Garbage { .. })));
        assert!(matches!(
            LocalSigner::load(dir.path()),
            Err(KeyFileError::Garbage { .. })
        ));
    }

    #[test]
    fn other_algorithms_are_refused() {
        let dir = TempDir::new();
        let path = dir.path().join("k");
        for args in [
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-384",
                "-out",
                "k",
            ][..],
            &["genpkey", "-algorithm", "ED25519", "-out", "k"],
            &["genpkey", "-algorithm", "RSA", "-out", "k"],
        ] {
            openssl(args, &dir);
            private(&path);
            let loaded = LocalSigner::load(&path);
            assert!(
                matches!(loaded, Err(KeyFileError::WrongAlgorithm(_))),
                "{args:?}: {loaded:?}"
            );
        }
    }
}
