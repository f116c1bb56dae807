//! `keyproof keys`: the keys of an archive, and local key creation.

use std::fmt::Write as _;
use std::path::Path;

use crate::archive::local_signer::LocalSigner;
use crate::archive::signer::Signer as _;
use crate::config::Config;

use super::archive::{open_store, read_chain};
use super::{RunError, Shell};

/// What the archive says of its keys: who signs, since when, how often.
pub async fn keys(shell: &Shell, config: &Config) -> Result<String, RunError> {
    let store = open_store(shell, config, None).await?;
    let chain = read_chain(store.as_fetch()).await?;
    let first = &chain.entries()[0];
    let mut text = format!("Archive    {}\n", store.url());
    let _ = writeln!(text, "Begun      {}", first.statement.at);
    let _ = writeln!(text, "Pin        {}", chain.genesis_sha256());
    let _ = writeln!(
        text,
        "           SHA-256 of entry 1: what an auditor gives to verify --pin\n"
    );
    let _ = writeln!(text, "Signs      {}", chain.key().keyid());
    let _ = writeln!(
        text,
        "           ECDSA P-256, SHA-256; {} entries up to {}",
        chain.entries().len(),
        chain.head().statement.at
    );
    if let Some(recovery) = chain.genesis().and_then(|g| g.recovery_keyid.as_ref()) {
        let _ = writeln!(text, "Recovers   {recovery}");
    }
    text.push_str("\nThe key id is the SHA-256 of the public key (SPKI, DER).\n");
    Ok(text)
}

/// Creates a local signing key and says what it is called.
pub fn create_key(path: &Path) -> Result<String, RunError> {
    let signer = LocalSigner::create(path)?;
    Ok(format!(
        "Created    {} (mode 0600)\nKey id     {}\nKeep it out of the archive, and keep a copy: a lost key cannot seal again.\n",
        path.display(),
        signer.public_key().keyid()
    ))
}
