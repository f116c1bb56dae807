//! The story of one verification.

use std::collections::{BTreeMap, BTreeSet};

use super::continuity;
use super::failure::{Failure, Notice};
use super::report::{
    LevelOutcome, LevelResult, Report, Trust, VerifiedRollup, VerifiedRun, VerifyOptions,
};
use super::{accounting, anchor, clocks, completeness, files, schedule, storage};
use crate::archive::chain::Entry;
use crate::archive::keyring::{self, Keyring};
use crate::archive::layout;
use crate::archive::slot::Unjudged;
use crate::archive::store::{Fetch, Listed, StoreError};
use crate::model::ids::Sha256Hex;
use crate::seal::{Content, Lacking, PublicKey, Subject};

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
    let (genesis, keys) = check_genesis(fetch, options, listing, report).await?;
    report.archive_id = Some(genesis.statement.archive_id.clone());

    let followed = continuity::follow(
        fetch,
        listing,
        genesis,
        keys,
        &mut report.failures,
        &mut report.notices,
    );
    let followed = followed.await;
    let entries = followed.entries;
    report.signer = Some(followed.keys.current().clone());
    continuity::check_runs(&entries, &mut report.failures);
    continuity::check_heads(
        &options.expected_heads,
        &followed.slots,
        &mut report.failures,
    );

    let retention = files::Retention {
        days: retention_days(&entries),
        now: options.now,
    };
    let checked = files::check(fetch, &entries, &retention).await;
    let vouched = without_manifest(&entries);
    for failure in files::check_digests(fetch, vouched).await {
        // Told already when a key was looked for.
        if !report.failures.contains(&failure) {
            report.failures.push(failure);
        }
    }
    accounting::check(
        fetch,
        listing,
        &entries,
        &checked,
        followed.broken,
        &mut report.failures,
        &mut report.notices,
    )
    .await;
    for checked in checked {
        take(checked, &retention, report);
    }
    report.notices.extend(lacking(&entries));
    report.entries = entries;
    Some(followed.slots)
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
        Content::Run(seal) => report.runs.push(VerifiedRun {
            seq,
            seal,
            files,
            expired: checked.expired,
        }),
        Content::Rollup(seal) => report.rollups.push(VerifiedRollup { seq, seal, files }),
        Content::Backfill(_) => report.backfills.push((seq, files)),
        Content::Genesis(_) | Content::Key(_) | Content::Note(_) => {}
    }
}

/// What entries say of storage that did not, or did not surely, protect what was written to it.
fn lacking(entries: &[Entry]) -> Vec<Notice> {
    let named = |of: fn(&Lacking) -> &Vec<String>| {
        let all = entries
            .iter()
            .map(|entry| of(&entry.statement.producer.lacking));
        let those: Vec<&Vec<String>> = all.filter(|checks| !checks.is_empty()).collect();
        let checks: BTreeSet<&String> = those.iter().copied().flatten().collect();
        let checks: Vec<String> = checks.into_iter().cloned().collect();
        (!checks.is_empty()).then_some((those.len() as u64, checks))
    };
    let failed = named(|lacking| &lacking.failed);
    let unknown = named(|lacking| &lacking.unknown);
    let failed = failed.map(|(entries, checks)| Notice::Unprotected { entries, checks });
    let unknown = unknown.map(|(entries, checks)| Notice::ProtectionUnknown { entries, checks });
    failed.into_iter().chain(unknown).collect()
}

/// How long data files are kept, as entry 1 says.
fn retention_days(entries: &[Entry]) -> Option<u64> {
    match &entries.first()?.statement.content {
        Content::Genesis(genesis) => genesis.retention_days,
        _ => None,
    }
}

/// Entry 1 and the keys that it names, compared with what is trusted.
async fn check_genesis(
    fetch: &dyn Fetch,
    options: &VerifyOptions,
    listing: &[Listed],
    report: &mut Report,
) -> Option<(Entry, Keyring)> {
    let name = layout::entry(1);
    let Some(listed) = listing.iter().find(|listed| listed.name == name) else {
        report.failures.push(Failure::EmptyArchive);
        return None;
    };
    let unjudged = match Unjudged::read(fetch, std::slice::from_ref(listed))
        .await
        .pop()?
    {
        Ok(unjudged) => unjudged,
        Err(error) => {
            report.failures.push(files::unreadable(error, "the chain"));
            return None;
        }
    };
    let sha256 = unjudged.sha256.clone();
    report.genesis_sha256 = Some(sha256.clone());
    if let Some(pin) = options.pin.as_ref().filter(|pin| **pin != sha256) {
        report.failures.push(Failure::GenesisNotPinned {
            expected: pin.clone(),
            found: sha256.clone(),
        });
    }
    let claimed = match unjudged.claimed_genesis() {
        Ok(genesis) => genesis,
        Err(fault) => {
            report.failures.push(Failure::of_slot(1, fault));
            return None;
        }
    };
    let stored = read_key(fetch, &claimed.keyid, report).await;
    let recovery = match &claimed.recovery_keyid {
        Some(keyid) => read_key(fetch, keyid, report).await,
        None => None,
    };
    let key = match &options.key {
        Some(key) if key.keyid() != claimed.keyid => {
            report.failures.push(Failure::WrongKey {
                trusted: key.keyid(),
                found: claimed.keyid,
            });
            return None;
        }
        Some(key) => key.clone(),
        None => stored?,
    };
    let keys = Keyring::new(key, recovery);
    match unjudged.judge(1, &keys, None) {
        Ok(statement) => {
            let entry = Entry {
                seq: 1,
                sha256,
                statement,
            };
            Some((entry, keys))
        }
        Err(fault) => {
            report.failures.push(Failure::of_slot(1, fault));
            None
        }
    }
}

async fn read_key(fetch: &dyn Fetch, keyid: &Sha256Hex, report: &mut Report) -> Option<PublicKey> {
    match keyring::read_key(fetch, keyid).await {
        Ok(key) => Some(key),
        Err(fault) => {
            let failure = Failure::of_key(fault, &layout::entry(1));
            report.failures.push(failure);
            None
        }
    }
}

/// Files that entries vouch for without a manifest: keys, starts of died runs, entries with a note.
fn without_manifest(entries: &[Entry]) -> Vec<(Subject, String)> {
    let mut vouched = Vec::new();
    for entry in entries {
        let by = layout::entry(entry.seq);
        match &entry.statement.content {
            Content::Genesis(_) | Content::Key(_) | Content::Note(_) => {
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
            Content::Rollup(_) | Content::Backfill(_) => {}
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
        backfills: Vec::new(),
        suspect: Vec::new(),
        range: None,
        files: 0,
        bytes: 0,
    }
}
