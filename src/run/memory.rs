//! What this machine remembers of the archive that it is about to use, and remembers afterwards.

use crate::archive::chain::Chain;
use crate::archive::remembered::{self, Remembered};
use crate::archive::verify::{Failure, Report};
use crate::config::Config;
use crate::model::ids::Sha256Hex;

use super::RunError;

/// Fails where memory cannot be read: before an archive is begun that it could not remember.
pub fn look(config: &Config, url: &str) -> Result<(), RunError> {
    remembered::lookup(&config.state_dir, url)?;
    Ok(())
}

/// What this machine remembers of an archive. Where something else vouches for it, a memory that cannot be
/// read is told; without it, it must not pass for none.
pub fn known(
    config: &Config,
    url: &str,
    is_vouched_for: bool,
) -> Result<Option<Remembered>, RunError> {
    match remembered::lookup(&config.state_dir, url) {
        Err(error) if is_vouched_for => {
            tracing::warn!(%error, "not compared with what this machine remembers of the archive");
            Ok(None)
        }
        known => Ok(known?),
    }
}

/// Refuses a chain that is not, or no longer, the remembered one.
pub fn check(config: &Config, url: &str, chain: &Chain) -> Result<(), RunError> {
    compare(known(config, url, false)?.as_ref(), url, chain)
}

fn compare(known: Option<&Remembered>, url: &str, chain: &Chain) -> Result<(), RunError> {
    let Some(known) = known else {
        return Ok(());
    };
    if known.genesis_sha256 != *chain.genesis_sha256() {
        return Err(RunError::OtherArchive {
            url: url.to_owned(),
            remembered: known.genesis_sha256.to_string(),
            found: chain.genesis_sha256().to_string(),
        });
    }
    if !chain.holds(known.head_seq, &known.head_sha256) {
        return Err(RunError::TailRemoved {
            url: url.to_owned(),
            seq: known.head_seq,
        });
    }
    Ok(())
}

/// The same for a command that reads, with the SHA-256 of entry 1 as its owner told it, as `keyproof verify`
/// takes it. Without it, and where nothing is remembered, that nothing vouches for the archive is told once.
pub fn check_to_read(
    config: &Config,
    url: &str,
    chain: &Chain,
    pin: Option<&Sha256Hex>,
) -> Result<(), RunError> {
    if let Some(pin) = pin.filter(|pin| *pin != chain.genesis_sha256()) {
        let other = Failure::GenesisNotPinned {
            expected: pin.clone(),
            found: chain.genesis_sha256().clone(),
        };
        return Err(RunError::Unverified {
            url: url.to_owned(),
            detail: other.to_string(),
        });
    }
    let known = known(config, url, pin.is_some())?;
    compare(known.as_ref(), url, chain)?;
    if known.is_none() && pin.is_none() {
        tracing::warn!(
            "UNPINNED: this machine never saw {url}, and nothing vouches for whose archive it is or that \
             its end is there; `keyproof verify {url} --pin SHA256-OF-ENTRY-1` does, and is remembered; \
             query and rollup take --pin too"
        );
    }
    Ok(())
}

/// Remembers the chain as it stands.
pub fn remember(config: &Config, url: &str, chain: &Chain) -> Result<(), RunError> {
    let seen = Remembered {
        url: url.to_owned(),
        archive_id: chain.archive_id().clone(),
        genesis_sha256: chain.genesis_sha256().clone(),
        keyid: chain.key().keyid(),
        head_seq: chain.head().seq,
        head_sha256: chain.head().sha256.clone(),
    };
    Ok(remembered::remember(&config.state_dir, &seen)?)
}

/// Remembers a verified archive.
pub fn remember_report(config: &Config, report: &Report) -> Result<(), RunError> {
    let parts = (
        &report.archive_id,
        &report.genesis_sha256,
        &report.signer,
        report.head(),
    );
    let (Some(archive_id), Some(genesis), Some(signer), Some(head)) = parts else {
        return Ok(());
    };
    let seen = Remembered {
        url: report.url.clone(),
        archive_id: archive_id.clone(),
        genesis_sha256: genesis.clone(),
        keyid: signer.keyid(),
        head_seq: head.seq,
        head_sha256: head.sha256.clone(),
    };
    Ok(remembered::remember(&config.state_dir, &seen)?)
}
