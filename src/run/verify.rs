//! `keyproof verify`: what the command line gives, what this machine remembers, and the library.

use std::path::PathBuf;

use crate::archive::layout::Name;
use crate::archive::remembered::Remembered;
use crate::archive::verify::{self as levels, LevelOutcome, Report, VerifyOptions};
use crate::config::{ArchiveUrl, Config};
use crate::model::ids::Sha256Hex;
use crate::report::verify_summary::{self, KeySource, Level, LevelState, VerifySummary};
use crate::time::Date;

use super::anchor::open_copy;
use super::archive::{AtUrl, find, open_store, read_public_key};
use super::{RunError, Shell, memory};

/// What each level checks, in words.
const LEVELS: [&str; 7] = [
    "files: each as sealed, none missing or too many",
    "signatures: each by this key, in its one form",
    "continuity: the chain is whole and ours",
    "storage: one version each, under its key and lock",
    "completeness: each date, and its whole scope",
    "clocks: signed times, AWS's times and order agree",
    "anchor: as remembered, or copied elsewhere",
];

/// What is asked of verification beside the archive's address.
#[derive(Debug, Clone, Default)]
pub struct VerifyRequest {
    /// SHA-256 of entry 1.
    pub pin: Option<Sha256Hex>,
    /// File with the public key that is trusted.
    pub key: Option<PathBuf>,
    /// Highest level, 1 to 7, each of which must be checkable. None: up to 5, as far as storage tells.
    pub level: Option<u8>,
    /// First and last date that runs must speak for.
    pub from: Option<Date>,
    pub to: Option<Date>,
    /// File with an entry that was seen earlier.
    pub expect_head: Option<PathBuf>,
    /// PARTIAL, late and overdue dates fail.
    pub require_complete: bool,
    /// Accept an archive that nothing pins.
    pub self_consistent_only: bool,
    /// Address of a copy of the chain.
    pub copy: Option<String>,
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
    let key = request.key.as_deref().map(read_public_key).transpose()?;
    let given = request.expect_head.as_deref().map(read_head).transpose()?;
    let copy = match &request.copy {
        Some(url) => {
            let url = ArchiveUrl::parse(url)
                .map_err(|e| RunError::Usage(format!("--copy {url}: {e}")))?;
            Some(open_copy(shell, config, &url).await?)
        }
        None => None,
    };
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    if find(fetch).await? == AtUrl::Nothing {
        return Err(RunError::Unverified {
            url: fetch.url(),
            detail: "nothing is there; check the address".to_owned(),
        });
    }
    let is_vouched_for = request.pin.is_some() || key.is_some();
    let known = memory::known(config, &fetch.url(), is_vouched_for)?;
    let remembered = known.as_ref().map(|k| (k.head_seq, k.head_sha256.clone()));
    let defaults = VerifyOptions::default();
    let options = VerifyOptions {
        level: request.level.unwrap_or(defaults.level),
        strict: request.level.is_some(),
        pin: request
            .pin
            .clone()
            .or_else(|| known.as_ref().map(|k| k.genesis_sha256.clone())),
        key,
        expected_heads: remembered.into_iter().chain(given).collect(),
        from: request.from,
        to: request.to,
        require_complete: request.require_complete,
        now: shell.clock.now(),
    };
    let copy = copy.as_ref().map(|store| store.as_fetch());
    let report = levels::verify_with_copy(fetch, copy, &options)
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
    if passed && source != KeySource::Unpinned && options.level >= 3 {
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

/// An entry that was seen earlier: a file of the state folder, or `SEQ:SHA256`.
fn read_head(path: &std::path::Path) -> Result<(u64, Sha256Hex), RunError> {
    let usage = |detail: String| RunError::Usage(format!("head file {}: {detail}", path.display()));
    let text = super::small_text(path).map_err(|e| usage(e.to_string()))?;
    if let Ok(seen) = serde_json::from_str::<Remembered>(&text) {
        return Ok((seen.head_seq, seen.head_sha256));
    }
    let head = text.trim().split_once(':');
    let head = head.and_then(|(seq, sha)| Some((seq.parse().ok()?, sha.parse().ok()?)));
    head.ok_or_else(|| {
        usage(
            "it holds neither SEQ:SHA256 nor what a state folder remembers of an archive"
                .to_owned(),
        )
    })
}

fn summary(report: &Report, key_source: KeySource, unpinned_accepted: bool) -> VerifySummary {
    let dates = report.runs.iter().map(|run| run.seal.scheduled_for);
    let text = |id: Option<String>| id.unwrap_or_else(|| "unknown".to_owned());
    VerifySummary {
        url: report.url.clone(),
        dates: dates.clone().min().zip(dates.max()),
        runs: report.runs.len(),
        rollups: report.rollups.len(),
        backfills: report.backfills.len(),
        range: report.range,
        strict: report.strict,
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
                Level {
                    level: l.level,
                    checks: words.unwrap_or_default(),
                    state,
                    why: l.why.clone(),
                }
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
