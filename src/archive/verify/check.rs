//! The story of one verification.

use std::collections::BTreeMap;

use super::continuity::{self, Slot};
use super::failure::{Failure, Notice};
use super::report::{
    LevelOutcome, LevelResult, Report, Trust, VerifiedRollup, VerifiedRun, VerifyOptions,
};
use super::{accounting, anchor, clocks, completeness, files, schedule, storage};
use crate::archive::chain::Entry;
use crate::archive::layout;
use crate::archive::slot::{self, ENTRY_LIMIT};
use crate::archive::store::{Fetch, Listed, StoreError};
use crate::model::ids::Sha256Hex;
use crate::seal::{Content, Envelope, EnvelopeError, PublicKey, Subject};

/// Public keys have 178 bytes.
const PEM_LIMIT: u64 = 64 * 1024;

/// Verifies an archive. Whatever is wrong with it is in the report; an error means that it could not
/// even be listed.
pub async fn verify(fetch: &dyn Fetch, options: &VerifyOptions) -> Result<Report, StoreError> {
    verify_with_copy(fetch, None, options).await
}

/// The same, compared with a second copy of the chain as well, which is level 7 whatever the highest
/// level is.
pub async fn verify_with_copy(
    fetch: &dyn Fetch,
    copy: Option<&dyn Fetch>,
    options: &VerifyOptions,
) -> Result<Report, StoreError> {
    let listing = fetch.list("").await?;
    let mut report = empty_report(fetch, options);
    let anchored = copy.is_some() && options.level < 7;
    let levels: Vec<u8> = (1..=options.level).chain(anchored.then_some(7)).collect();
    let mut unchecked = Unchecked::new();
    let slots = check(fetch, options, &listing, &mut report).await;
    match &slots {
        Some(slots) => {
            let asked = Asked {
                fetch,
                copy,
                options,
                listing: &listing,
                slots,
            };
            for level in levels.iter().filter(|level| **level > 3) {
                if let Err(why) = higher(*level, &asked, &mut report).await {
                    unchecked.insert(*level, why);
                }
            }
        }
        None => {
            let why = "entry 1 or its key is missing or broken";
            unchecked.extend(levels.iter().map(|level| (*level, why.to_owned())));
        }
    }
    // What made a level not checkable is told whatever level it is of.
    let told = |f: &Failure| slots.is_none() || levels.iter().any(|level| f.fails(*level));
    report.failures.retain(told);
    report.levels = levels
        .iter()
        .map(|level| {
            let failed = report.failures.iter().any(|f| f.fails(*level));
            let why = unchecked.remove(level).filter(|_| !failed);
            let outcome = match (failed, &why) {
                (true, _) => LevelOutcome::Fail,
                (false, None) => LevelOutcome::Pass,
                (false, Some(_)) => LevelOutcome::NotCheckable,
            };
            LevelResult {
                level: *level,
                outcome,
                why,
            }
        })
        .collect();
    Ok(report)
}

/// Why a level could not be checked, by level.
type Unchecked = BTreeMap<u8, String>;

/// What the levels above 3 look at.
pub(super) struct Asked<'a> {
    pub fetch: &'a dyn Fetch,
    pub copy: Option<&'a dyn Fetch>,
    pub options: &'a VerifyOptions,
    pub listing: &'a [Listed],
    /// Digest of every slot.
    pub slots: &'a [(u64, Sha256Hex)],
}

/// One of the levels above 3; an error says why it cannot be checked.
async fn higher(level: u8, asked: &Asked<'_>, report: &mut Report) -> Result<(), String> {
    match level {
        4 => storage::check(asked, report).await,
        5 => {
            let scheduled = schedule::check(asked.options, report);
            completeness::check(asked, report).await;
            scheduled
        }
        6 => clocks::check(asked, report),
        _ => anchor::check(asked, report).await,
    }
}

/// Levels 1 to 3. Gives the digest of every slot; none when entry 1 or its key are so broken that
/// nothing else can be judged.
async fn check(
    fetch: &dyn Fetch,
    options: &VerifyOptions,
    listing: &[Listed],
    report: &mut Report,
) -> Option<Vec<(u64, Sha256Hex)>> {
    let (genesis, key) = check_genesis(fetch, options, listing, report).await?;
    let archive_id = genesis.statement.archive_id.clone();
    report.archive_id = Some(archive_id.clone());
    report.signer = Some(key.clone());

    let slots =
        continuity::read_slots(fetch, listing, &key, &archive_id, &mut report.failures).await;
    let digests = slot_digests(&genesis, &slots);
    let failures_before = report.failures.len();
    let entries = continuity::link(genesis, slots, &mut report.failures, &mut report.notices);
    let broken_slots = report.failures.len() > failures_before;
    continuity::check_runs(&entries, &mut report.failures);
    continuity::check_heads(&options.expected_heads, &digests, &mut report.failures);

    let retention = files::Retention {
        days: retention_days(&entries),
        now: options.now,
    };
    let checked = files::check(fetch, &entries, &retention).await;
    let vouched = starts_and_keys(&entries);
    report
        .failures
        .extend(files::check_digests(fetch, vouched).await);
    accounting::check(
        fetch,
        listing,
        &entries,
        &checked,
        broken_slots,
        &mut report.failures,
        &mut report.notices,
    )
    .await;
    for checked in checked {
        take(checked, &retention, report);
    }
    report.entries = entries;
    Some(digests)
}

/// Takes up what became of one run or rollup.
fn take(checked: files::Checked<'_>, retention: &files::Retention, report: &mut Report) {
    report.files += checked.files;
    report.bytes += checked.bytes;
    let whole = checked.failures.is_empty();
    report.failures.extend(checked.failures);
    let Some(manifest) = checked.manifest else {
        return;
    };
    let (seq, content) = (checked.entry.seq, &checked.entry.statement.content);
    let gone = checked.expired.len() as u64;
    if let (Some(run_id), Some(days), true) = (content.run_id(), retention.days, gone > 0) {
        report.notices.push(Notice::Expired {
            run_id: run_id.clone(),
            files: gone,
            days,
        });
    }
    let mut files = manifest.files;
    files.retain(|file| !checked.expired.contains(&file.name));
    match content.clone() {
        _ if !whole => report.suspect.push((seq, files)),
        Content::Run(seal) => report.runs.push(VerifiedRun { seq, seal, files }),
        Content::Rollup(seal) => report.rollups.push(VerifiedRollup { seq, seal, files }),
        Content::Genesis(_) => {}
    }
}

/// How long data files are kept, as entry 1 says.
fn retention_days(entries: &[Entry]) -> Option<u64> {
    match &entries.first()?.statement.content {
        Content::Genesis(genesis) => genesis.retention_days,
        _ => None,
    }
}

/// Entry 1 and the key that signs, compared with what is trusted.
async fn check_genesis(
    fetch: &dyn Fetch,
    options: &VerifyOptions,
    listing: &[Listed],
    report: &mut Report,
) -> Option<(Entry, PublicKey)> {
    let name = layout::entry(1);
    if !listing.iter().any(|listed| listed.name == name) {
        report.failures.push(Failure::EmptyArchive);
        return None;
    }
    let bytes = match fetch.read(&name, ENTRY_LIMIT).await {
        Ok(bytes) => bytes,
        Err(error) => {
            report.failures.push(files::unreadable(error, "the chain"));
            return None;
        }
    };
    let sha256 = Sha256Hex::of(&bytes);
    report.genesis_sha256 = Some(sha256.clone());
    if let Some(pin) = options.pin.as_ref().filter(|pin| **pin != sha256) {
        report.failures.push(Failure::GenesisNotPinned {
            expected: pin.clone(),
            found: sha256.clone(),
        });
    }
    let keyid = match claimed_key(&bytes) {
        Ok(keyid) => keyid,
        Err(failure) => {
            report.failures.push(failure);
            return None;
        }
    };
    let stored = match read_key(fetch, &keyid).await {
        Ok(key) => Some(key),
        Err(failure) => {
            report.failures.push(failure);
            None
        }
    };
    let key = match &options.key {
        Some(key) if key.keyid() != keyid => {
            report.failures.push(Failure::WrongKey {
                trusted: key.keyid(),
                found: keyid,
            });
            return None;
        }
        Some(key) => key.clone(),
        None => stored?,
    };
    match slot::judge(&bytes, 1, &key, None) {
        Ok(statement) => {
            let entry = Entry {
                seq: 1,
                sha256,
                statement,
            };
            Some((entry, key))
        }
        Err(fault) => {
            report.failures.push(Failure::of_slot(1, fault));
            None
        }
    }
}

/// The key that entry 1 names; nothing is verified yet.
fn claimed_key(bytes: &[u8]) -> Result<Sha256Hex, Failure> {
    let envelope = Envelope::parse(bytes).map_err(|error| {
        let (slot, detail) = (1, error.to_string());
        match error {
            EnvelopeError::NotCanonical(_) => Failure::EnvelopeNotCanonical { slot, detail },
            EnvelopeError::WrongPayloadType(_) => Failure::WrongPayloadType { slot, detail },
        }
    })?;
    let statement = slot::read_statement(&envelope).map_err(|fault| Failure::of_slot(1, fault))?;
    match statement.content {
        Content::Genesis(genesis) => Ok(genesis.keyid),
        other => Err(Failure::StatementMalformed {
            slot: 1,
            detail: format!("a {} does not begin an archive", other.kind()),
        }),
    }
}

async fn read_key(fetch: &dyn Fetch, keyid: &Sha256Hex) -> Result<PublicKey, Failure> {
    let name = layout::key(keyid);
    let broken = |detail: String| Failure::PemNotCanonical {
        name: name.clone(),
        detail,
    };
    let bytes = fetch
        .read(&name, PEM_LIMIT)
        .await
        .map_err(|error| files::unreadable(error, &layout::entry(1)))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| broken(error.to_string()))?;
    let key = PublicKey::from_pem(text).map_err(|error| broken(error.to_string()))?;
    if key.keyid() == *keyid {
        Ok(key)
    } else {
        Err(broken(format!("it holds key {}", key.keyid())))
    }
}

fn slot_digests(genesis: &Entry, slots: &[Slot]) -> Vec<(u64, Sha256Hex)> {
    let others = slots.iter().map(|slot| (slot.seq, slot.sha256.clone()));
    std::iter::once((1, genesis.sha256.clone()))
        .chain(others)
        .collect()
}

/// Files that entries vouch for without a manifest: keys, and starts of died runs.
fn starts_and_keys(entries: &[Entry]) -> Vec<(Subject, String)> {
    let mut vouched = Vec::new();
    for entry in entries {
        let by = layout::entry(entry.seq);
        match &entry.statement.content {
            Content::Genesis(_) => {
                let subjects = entry.statement.subjects.iter().cloned();
                vouched.extend(subjects.map(|subject| (subject, by.clone())));
            }
            Content::Run(run) => vouched.extend(run.died_runs.iter().map(|died| {
                let subject = Subject {
                    name: layout::start(died.start_n),
                    sha256: died.start_sha256.clone(),
                };
                (subject, by.clone())
            })),
            Content::Rollup(_) => {}
        }
    }
    vouched
}

fn empty_report(fetch: &dyn Fetch, options: &VerifyOptions) -> Report {
    Report {
        url: fetch.url(),
        trust: match (&options.pin, &options.key) {
            (Some(_), _) => Trust::Pinned,
            (None, Some(_)) => Trust::Key,
            (None, None) => Trust::Unpinned,
        },
        strict: options.strict,
        levels: Vec::new(),
        failures: Vec::new(),
        notices: Vec::<Notice>::new(),
        entries: Vec::new(),
        archive_id: None,
        genesis_sha256: None,
        signer: None,
        runs: Vec::new(),
        rollups: Vec::new(),
        suspect: Vec::new(),
        range: None,
        files: 0,
        bytes: 0,
    }
}
