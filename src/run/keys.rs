//! `keyproof keys`: the keys of an archive, local key creation, and the change of the signing key.

use std::fmt::Write as _;
use std::path::Path;

use crate::archive::chain::Chain;
use crate::archive::commit::Committed;
use crate::archive::key_change::{KeyChangeRequest, change_key};
use crate::archive::local_signer::LocalSigner;
use crate::archive::signer::Signer as _;
use crate::config::{Config, SigningKey};
use crate::model::ids::Sha256Hex;
use crate::report::WIDTH;
use crate::report::text::{harmless, wrap};
use crate::seal::{ChangedBy, Content, Remark};

use super::anchor::anchor;
use super::archive::{KeyFile, open_key, open_signer, open_store, read_chain};
use super::{RunError, Shell, memory, producer};

/// What the archive says of its keys: who signs, since when, who signed before and who may recover.
pub async fn keys(shell: &Shell, config: &Config) -> Result<String, RunError> {
    let store = open_store(shell, config, None).await?;
    let chain = read_chain(store.as_fetch()).await?;
    // People look the pin up here.
    memory::check(config, &store.url(), &chain)?;
    let first = &chain.entries()[0];
    let mut text = format!("Archive    {}\n", store.url());
    let _ = writeln!(text, "Begun      {}", first.statement.at);
    let _ = writeln!(text, "Pin        {}", chain.genesis_sha256());
    text.push_str("           SHA-256 of entry 1: what an auditor gives to verify --pin\n");
    for term in terms(&chain) {
        let label = if term.to.is_none() { "Signs" } else { "Signed" };
        let _ = writeln!(text, "\n{label:<10} {}", term.keyid);
        let until = match term.to {
            Some(seq) => format!("to entry {seq}"),
            None => format!("on; the head is entry {}", chain.head().seq),
        };
        let _ = writeln!(text, "           from entry {} {until}", term.from);
        if let Some(why) = term.why {
            let _ = writeln!(text, "           {}", wrap(&why, WIDTH, 11));
        }
    }
    match chain.keys().recovery() {
        Some(key) => {
            let _ = writeln!(text, "\nRecovers   {}", key.keyid());
            text.push_str("           may name another signing key when this one is lost\n");
        }
        None => text.push_str("\nRecovers   none: a lost signing key ends this archive\n"),
    }
    text.push_str(
        "\nSignatures are ECDSA P-256 over SHA-256. A key id is the SHA-256 of the\npublic key (SPKI, DER).\n",
    );
    Ok(text)
}

/// The time in which one key signed.
struct Term {
    keyid: Sha256Hex,
    /// First entry that was to be signed by it.
    from: u64,
    /// Entry that named its successor.
    to: Option<u64>,
    why: Option<String>,
}

fn terms(chain: &Chain) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for entry in chain.entries() {
        let (keyid, from, why) = match &entry.statement.content {
            Content::Genesis(genesis) => (&genesis.keyid, 1, None),
            Content::Key(change) => {
                let by = match change.by {
                    ChangedBy::Rotation => "named by the key before it",
                    ChangedBy::Recovery => "named by the recovery key",
                };
                let why = format!(
                    "{by}, {}: {}",
                    entry.statement.at,
                    harmless(&change.reason.to_string())
                );
                (&change.keyid, entry.seq + 1, Some(why))
            }
            _ => continue,
        };
        if let Some(last) = terms.last_mut() {
            last.to = Some(entry.seq);
        }
        terms.push(Term {
            keyid: keyid.clone(),
            from,
            to: None,
            why,
        });
    }
    terms
}

/// Creates a local signing key and says what it is called.
pub fn create_key(path: &Path) -> Result<String, RunError> {
    let signer = LocalSigner::create(path)?;
    Ok(format!(
        "Created    {} (mode 0600)\nKey id     {}\nKeep it out of the archive, and keep a copy: a lost key cannot seal again.\n\n{}",
        path.display(),
        signer.public_key().keyid(),
        signer.public_key().to_pem(),
    ))
}

/// Another signing key for the archive.
#[derive(Debug)]
pub struct KeyChanging {
    /// PEM file or KMS key ARN that signs from now on.
    pub new_key: String,
    /// PEM file or KMS key ARN of the recovery key; none: the present key names its successor.
    pub recovery_key: Option<String>,
    pub reason: Remark,
}

/// `keys rotate` and `keys recover`.
pub async fn change_signing_key(
    shell: &Shell,
    config: &Config,
    change: &KeyChanging,
) -> Result<String, RunError> {
    let named = |name: &str| SigningKey::named(name, config.signing_raw);
    let archive = open_store(shell, config, None).await?;
    let mut chain = read_chain(archive.as_fetch()).await?;
    memory::check(config, &archive.url(), &chain)?;
    let new = open_key(shell, config, None, &named(&change.new_key)).await?;
    let (by, signer) = match &change.recovery_key {
        Some(key) => (
            ChangedBy::Recovery,
            open_key(shell, config, None, &named(key)).await?,
        ),
        None => (
            ChangedBy::Rotation,
            open_signer(shell, config, None, KeyFile::Load).await?,
        ),
    };
    let archive = archive.for_writing(config).await?;
    let request = KeyChangeRequest {
        by,
        reason: change.reason.clone(),
        // No configuration decides here.
        producer: producer(Sha256Hex::of(b"{}"), None, archive.lacking()),
    };
    let store = archive.store;
    let done = change_key(
        store.as_ref(),
        signer.as_ref(),
        new.as_ref(),
        &*shell.clock,
        &mut chain,
        &request,
    );
    let Committed {
        seq,
        sha256,
        earlier,
        ..
    } = done.await?;
    anchor(shell, config, store.as_ref(), &chain).await;
    let done = if earlier { "was changed" } else { "changed" };
    Ok(format!(
        "Archive    {}\nKey        {done} by entry {seq} ({})\nSigns      {}\n           {}\nNext       give it to every run: signing_key, or --signing-key\n",
        store.url(),
        &sha256.as_str()[..12],
        chain.key().keyid(),
        new.describe(),
    ))
}
