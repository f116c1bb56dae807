//! Whether every object is there for a reason.
//!
//! An object is accounted for when a signed entry vouches for it, directly or through a manifest.
//! What a run left that was never sealed is a notice, as long as its start is there to say that the
//! run was; likewise a rollup's and a backfill's, whose manifest is its start. Everything else is too many.

use std::collections::{BTreeMap, BTreeSet};

use super::failure::{Failure, Notice};
use super::files::{Checked, unreadable};
use crate::archive::chain::Entry;
use crate::archive::keyring;
use crate::archive::layout::{self, Name};
use crate::archive::starts::{START_LIMIT, Start};
use crate::archive::store::{Fetch, Listed};
use crate::model::ids::RunId;
use crate::model::table::Dataset as _;
use crate::seal::{Content, FileEntry, Manifest, Period};

/// A manifest of 100,000 files has about 30 MB.
const DOCUMENT_LIMIT: u64 = 64 * 1024 * 1024;
/// Objects too many that are named one by one.
const MOST_NAMED: u64 = 1_000;

/// What signed entries account for.
#[derive(Default)]
struct Accounts {
    /// Vouched for.
    claimed: BTreeSet<String>,
    /// Sealed runs and rollups; false when the manifest could not be read.
    sealed: BTreeMap<RunId, bool>,
    /// Runs that were never sealed and have a start, with its number and their leftovers.
    unsealed: BTreeMap<RunId, (u64, u64)>,
    /// The same of rollups and backfills, with the files that their manifests list.
    rollups: BTreeMap<RunId, (BTreeSet<String>, u64)>,
    /// Highest start number of a sealed run.
    last_start: u64,
}

/// Looks at every object of the listing. `broken_slots`: some slot of the chain is broken, so that a
/// start without a seal may have had one.
pub(super) async fn check(
    fetch: &dyn Fetch,
    listing: &[Listed],
    entries: &[Entry],
    checked: &[Checked<'_>],
    broken_slots: bool,
    failures: &mut Vec<Failure>,
    notices: &mut Vec<Notice>,
) {
    let mut accounts = claims(entries, checked);
    for listed in listing {
        match Name::parse(&listed.name) {
            Some(Name::Start { n }) if !accounts.claimed.contains(&listed.name) => {
                let start = read_start(fetch, n, listed).await;
                open_start(&mut accounts, n, start, broken_slots, failures, notices);
            }
            // Left by a key change that died; it gives nobody any trust.
            Some(Name::Key { keyid })
                if !accounts.claimed.contains(&listed.name)
                    && keyring::read_key(fetch, &keyid).await.is_ok() =>
            {
                accounts.claimed.insert(listed.name.clone());
                notices.push(Notice::UnnamedKey { keyid });
            }
            Some(Name::Manifest { run_id, .. }) if !accounts.sealed.contains_key(&run_id) => {
                if let Some(names) = read_intent(fetch, listed, &run_id).await {
                    accounts.rollups.insert(run_id, (names, 0));
                }
            }
            _ => {}
        }
    }
    let mut unexpected = 0;
    for listed in listing {
        let Some(why) = too_many(&mut accounts, &listed.name, notices) else {
            continue;
        };
        unexpected += 1;
        if unexpected <= MOST_NAMED {
            failures.push(Failure::UnexpectedObject {
                name: listed.name.clone(),
                why,
            });
        }
    }
    if unexpected > MOST_NAMED {
        failures.push(Failure::MoreUnexpected {
            more: unexpected - MOST_NAMED,
        });
    }
    for (run_id, (n, files)) in accounts.unsealed {
        // Named by a seal and nothing left: nothing to tell.
        if n > accounts.last_start || files > 0 {
            notices.push(Notice::UnsealedRun { n, run_id, files });
        }
    }
    for (run_id, (_, files)) in accounts.rollups {
        notices.push(Notice::UnsealedRollup { run_id, files });
    }
}

fn claims(entries: &[Entry], checked: &[Checked<'_>]) -> Accounts {
    let mut accounts = Accounts::default();
    for entry in entries {
        let subjects = entry.statement.subjects.iter().map(|s| s.name.clone());
        accounts.claimed.extend(subjects);
        if let Content::Run(run) = &entry.statement.content {
            accounts.last_start = accounts.last_start.max(run.start_n);
            for died in &run.died_runs {
                accounts.claimed.insert(layout::start(died.start_n));
                if let Some(run_id) = &died.run_id {
                    accounts.unsealed.insert(run_id.clone(), (died.start_n, 0));
                }
            }
        }
    }
    for checked in checked {
        if let Some(run_id) = checked.entry.statement.content.run_id() {
            accounts
                .sealed
                .insert(run_id.clone(), checked.manifest.is_some());
        }
        if let Some(manifest) = &checked.manifest {
            let files = manifest.files.iter().map(|file| file.name.clone());
            accounts.claimed.extend(files);
            let orphans = manifest
                .orphans
                .iter()
                .filter(|name| is_own(name, manifest));
            accounts.claimed.extend(orphans.cloned());
        }
    }
    accounts
}

/// Whether an orphan is what a process of the manifest's own run may leave: nobody else's files are for
/// it to excuse.
fn is_own(orphan: &str, manifest: &Manifest) -> bool {
    match Name::parse(orphan) {
        Some(
            Name::Evidence { date, run_id, .. }
            | Name::Scope { date, run_id }
            | Name::Shard { date, run_id, .. },
        ) => run_id == manifest.run_id && Period::Date(date) == manifest.period,
        _ => false,
    }
}

async fn read_start(fetch: &dyn Fetch, n: u64, listed: &Listed) -> Result<Start, Failure> {
    let bytes = fetch
        .read(&listed.name, START_LIMIT)
        .await
        .map_err(|error| unreadable(error, "nothing"))?;
    Start::parse(n, &bytes).map_err(|detail| Failure::Unreadable {
        name: listed.name.clone(),
        detail,
    })
}

/// A start that nobody vouches for.
fn open_start(
    accounts: &mut Accounts,
    n: u64,
    start: Result<Start, Failure>,
    broken_slots: bool,
    failures: &mut Vec<Failure>,
    notices: &mut Vec<Notice>,
) {
    let name = layout::start(n);
    let sealed_otherwise = start
        .as_ref()
        .is_ok_and(|start| accounts.sealed.get(&start.run_id) == Some(&true));
    if sealed_otherwise {
        failures.push(Failure::UnexpectedObject {
            name,
            why: "its run is sealed with another start",
        });
    } else if n <= accounts.last_start && !broken_slots {
        failures.push(Failure::UnexpectedObject {
            name,
            why: "no seal names it, and later starts are sealed",
        });
    } else {
        match start {
            Ok(start) => {
                accounts.unsealed.insert(start.run_id, (n, 0));
            }
            Err(error) => notices.push(Notice::UnreadableStart {
                n,
                detail: error.to_string(),
            }),
        }
    }
}

/// The files that the manifest of an unsealed rollup or backfill lists, itself and its sums among them;
/// `None` for that of a run, which has a start.
async fn read_intent(
    fetch: &dyn Fetch,
    listed: &Listed,
    run_id: &RunId,
) -> Option<BTreeSet<String>> {
    let bytes = fetch.read(&listed.name, DOCUMENT_LIMIT).await.ok()?;
    let manifest = Manifest::parse(&bytes).ok()?;
    if manifest.run_id != *run_id || layout::manifest(manifest.period, run_id) != listed.name {
        return None;
    }
    let is_backfilled = |file: &FileEntry| match Name::parse(&file.name) {
        Some(Name::Evidence { dataset, .. }) => is_backfilled(&dataset),
        _ => false,
    };
    if matches!(manifest.period, Period::Date(_)) && !manifest.files.iter().all(is_backfilled) {
        return None;
    }
    let mut names: BTreeSet<String> = manifest.files.into_iter().map(|file| file.name).collect();
    names.insert(listed.name.clone());
    names.insert(layout::sums(manifest.period, run_id));
    Some(names)
}

/// Whether backfills write this dataset, and no run does.
fn is_backfilled(dataset: &str) -> bool {
    macro_rules! each {
        ($($row:ty),+) => { [$( <$row>::NAME ),+].contains(&dataset) };
    }
    crate::for_each_backfilled!(each)
}

/// Why an object should not be there.
fn too_many(
    accounts: &mut Accounts,
    name: &str,
    notices: &mut Vec<Notice>,
) -> Option<&'static str> {
    if accounts.claimed.contains(name) {
        return None;
    }
    let Some(parsed) = Name::parse(name) else {
        return Some("an archive has no such name");
    };
    let run_id = match (&parsed, parsed.run_id()) {
        (_, Some(run_id)) => run_id,
        (Name::Key { .. }, None) => return Some("no entry vouches for this key"),
        // Starts and slots were looked at on their own.
        (_, None) => return None,
    };
    match accounts.sealed.get(run_id) {
        Some(true) if matches!(parsed, Name::End { .. }) => {
            let run_id = run_id.clone();
            notices.push(Notice::EndedAndSealed { run_id });
            return None;
        }
        Some(true) => return Some("its run is sealed and its manifest does not list it"),
        // The manifest that would tell is broken, and was reported.
        Some(false) => return None,
        None => {}
    }
    if let Some((names, files)) = accounts.rollups.get_mut(run_id) {
        *files += 1;
        return (!names.contains(name))
            .then_some("its rollup or backfill is not sealed and its manifest does not list it");
    }
    match accounts.unsealed.get_mut(run_id) {
        Some((_, files)) => {
            *files += 1;
            None
        }
        None => Some("it belongs to no known run"),
    }
}
