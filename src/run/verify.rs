//! `keyproof verify`: what the command line gives, what this machine remembers, and the library.

use std::path::PathBuf;

use crate::archive::layout::Name;
use crate::archive::remembered;
use crate::archive::verify::{self as levels, LevelOutcome, Report, VerifyOptions};
use crate::config::Config;
use crate::model::ids::Sha256Hex;
use crate::report::verify_summary::{self, KeySource, LevelState, VerifySummary};
use crate::seal::PublicKey;

use super::archive::{Found, find, open_store};
use super::{RunError, Shell, memory};

/// What each level checks, in words.
const LEVELS: [&str; 3] = [
    "files: each as sealed, none missing or too many",
    "signatures: each by this key, in its one form",
    "continuity: the chain is whole and ours",
];

/// What is asked of verification beside the archive's address.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// SHA-256 of entry 1.
    pub pin: Option<Sha256Hex>,
    /// File with the public key that is trusted.
    pub key: Option<PathBuf>,
    /// Highest level, 1 to 3.
    pub level: u8,
    /// Accept an archive that nothing pins.
    pub self_consistent_only: bool,
}

impl Default for VerifyRequest {
    fn default() -> Self {
        Self {
            pin: None,
            key: None,
            level: 3,
            self_consistent_only: false,
        }
    }
}

/// What verification showed.
#[derive(Debug)]
pub struct Verified {
    pub passed: bool,
    pub text: String,
    pub json: String,
    /// SHA-256 of entry 1.
    pub genesis: String,
    /// Names of verified evidence files.
    pub evidence: Vec<String>,
}

/// Verifies the archive, against a pin, a key, or what this machine remembers of it; remembers its
/// head when something vouched for it and everything passed.
pub async fn verify(
    shell: &Shell,
    config: &Config,
    request: &VerifyRequest,
) -> Result<Verified, RunError> {
    let key = request.key.as_deref().map(read_key).transpose()?;
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    if find(fetch).await? == Found::Nothing {
        return Err(RunError::Unverified {
            url: fetch.url(),
            detail: "nothing is there; check the address".to_owned(),
        });
    }
    let known = match remembered::lookup(&config.state_dir, &fetch.url()) {
        Ok(known) => known,
        // Something else vouches; without it, a garbled memory must not pass for none.
        Err(error) if request.pin.is_some() || key.is_some() => {
            tracing::warn!(%error, "not compared with what this machine remembers of the archive");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let options = VerifyOptions {
        level: request.level,
        pin: request
            .pin
            .clone()
            .or_else(|| known.as_ref().map(|k| k.genesis_sha256.clone())),
        key,
        expected_head: known.as_ref().map(|k| (k.head_seq, k.head_sha256.clone())),
    };
    let report = levels::verify(fetch, &options)
        .await
        .map_err(|e| RunError::Unverified {
            url: fetch.url(),
            detail: e.to_string(),
        })?;
    let source = match (&request.pin, &options.key, &known) {
        (Some(_), _, _) => KeySource::Pin,
        (None, Some(_), _) => KeySource::KeyFile,
        (None, None, Some(_)) => KeySource::Remembered,
        (None, None, None) => KeySource::Unpinned,
    };
    let summary = summary(&report, source, request.self_consistent_only);
    let passed = summary.passed();
    if passed && source != KeySource::Unpinned && request.level == 3 {
        // What was found does not depend on whether it can be kept.
        if let Err(error) = memory::remember_report(config, &report) {
            tracing::warn!(%error, "this machine will not remember the archive");
        }
    }
    let evidence = report
        .runs
        .iter()
        .flat_map(|run| &run.files)
        .filter(|file| matches!(Name::parse(&file.name), Some(Name::Evidence { .. })));
    Ok(Verified {
        passed,
        text: verify_summary::render(&summary),
        json: verify_summary::json(&summary),
        genesis: summary.genesis.clone(),
        evidence: evidence.map(|file| file.name.clone()).collect(),
    })
}

fn read_key(path: &std::path::Path) -> Result<PublicKey, RunError> {
    let usage =
        |detail: String| RunError::Usage(format!("public key file {}: {detail}", path.display()));
    let pem = super::small_text(path).map_err(|e| usage(e.to_string()))?;
    PublicKey::from_pem(&pem).map_err(|e| usage(e.to_string()))
}

fn summary(report: &Report, key_source: KeySource, unpinned_accepted: bool) -> VerifySummary {
    let dates = report.runs.iter().map(|run| run.seal.scheduled_for);
    let text = |id: Option<String>| id.unwrap_or_else(|| "unknown".to_owned());
    VerifySummary {
        url: report.url.clone(),
        dates: dates.clone().min().zip(dates.max()),
        runs: report.runs.len(),
        rollups: report.rollups.len(),
        entries: report.entries.len() as u64,
        head: report
            .head()
            .map(|entry| (entry.seq, entry.sha256.to_string())),
        archive_id: text(report.archive_id.as_ref().map(ToString::to_string)),
        genesis: text(report.genesis_sha256.as_ref().map(ToString::to_string)),
        keyid: text(report.signer.as_ref().map(|key| key.keyid().to_string())),
        key_source,
        unpinned_accepted,
        levels: report
            .levels
            .iter()
            .map(|l| {
                let state = match l.outcome {
                    LevelOutcome::Pass => LevelState::Pass,
                    LevelOutcome::Fail => LevelState::Fail,
                    LevelOutcome::NotCheckable => LevelState::NotCheckable,
                };
                let words = LEVELS.get(usize::from(l.level).wrapping_sub(1)).copied();
                (l.level, words.unwrap_or_default(), state)
            })
            .collect(),
        failures: report
            .failures
            .iter()
            .map(|f| (f.class().to_owned(), f.to_string()))
            .collect(),
        notices: report.notices.iter().map(ToString::to_string).collect(),
    }
}
