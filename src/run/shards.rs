//! `keyproof prepare`, `collect`, `assess`, `seal`: the steps of a run as processes of their own, on
//! several machines and under several roles.
//!
//! What they tell each other stands in the archive, create-only. Any of them may be repeated until the
//! run's deadline (sealing even after it): the first receipt of a step counts, and what a process that
//! lost or died had written is named as an orphan. None of them ends the run when it fails.
//!
//! | step | reads | writes |
//! |---|---|---|
//! | prepare | organization | start, `scope.json` |
//! | collect K/N | its accounts: Regions, clusters and what belongs to each | facts `s<K>`, receipt K |
//! | assess | receipts and facts of all shards; who owns which bucket; keys, buckets, identities that clusters of any shard refer to | those facts, `not_attempted` cells of shards without a receipt, conclusions `s00`, receipt 00, which names the receipts it used |
//! | seal | what receipt 00 names | manifest, sums, the entry |
//!
//! `seal` is run by a role that could not have written what it vouches for: it compares every stored
//! file with its receipt and makes every conclusion again from the facts before it signs.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::shards::{self, ASSESS, MOST_SHARDS, Receipt, Received, ShardError, Used};
use crate::archive::starts::{self, Begun, StartError, Still};
use crate::archive::store::Store;
use crate::archive::{layout, records};
use crate::collect::Part;
use crate::collect::api::Cloud;
use crate::collect::engine::is_expected;
use crate::collect::facts::NothingCollected;
use crate::collect::footprint::{self, Cost};
use crate::config::{ArchiveUrl, Config, SigningKey};
use crate::model::datasets::Coverage;
use crate::model::ids::{RunId, hex};
use crate::record::Journal;
use crate::report::text::counted;
use crate::seal::FileEntry;
use crate::time::Date;

use super::anchor::anchor;
use super::archive::{KeyFile, Standing, look, open_signer, open_store, store_error};
use super::beginning::{
    Opened, Purpose, check_clock, check_date, find_caller, is_full_scope, open, producer_of,
    refuse_other_scope,
};
use super::evidence::{Evidence, copy_facts};
use super::facts::{JournalCollected, Journals};
use super::frozen::Frozen;
use super::of_shards::{OfShard, receipt_of};
use super::prepared::{OpenStep, Prepared, Step};
use super::recompute::{Receipts, Recomputing, orphans};
use super::record::{Place, record};
use super::running::{Asking, Audited, Running, Sealing, Told};
use super::work::Work;
use super::{RunError, RunOptions, Shell, memory, random};

/// What a step did.
#[derive(Debug)]
pub struct ShardDone {
    pub run_id: RunId,
    /// What a person reads.
    pub text: String,
}

/// Begins a run for several processes: its start, and the scope that they share.
pub async fn prepare(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    shards: u32,
    cancelled: watch::Receiver<bool>,
) -> Result<ShardDone, RunError> {
    if !(1..=MOST_SHARDS).contains(&shards) {
        let detail = format!("--shards {shards}: a run has 1 to {MOST_SHARDS} shards");
        return Err(RunError::Usage(detail));
    }
    check_date(shell, options)?;
    let asking = Asking::new(shell, config, cancelled).await?;
    let mut opened = open(shell, config, options, &asking, Purpose::Prepare).await?;
    let begun = match opened.begin(shell, config, options).await {
        Err(RunError::Start(StartError::Taken { run_id })) => {
            return prepared_before(shell, config, options, &opened, &run_id, shards).await;
        }
        begun => begun?,
    };
    let (store, chain) = (opened.store.as_ref(), &opened.chain);
    let date = begun.start.scheduled_for;
    let failed = opened.lacking.failed;
    let mut frozen = Frozen::new(config, opened.scope, failed, chain, date, shards);
    frozen.own_operations = footprint::text(&asking.attempts.own_costs());
    let running = Running {
        shell,
        config,
        store,
        begun,
        frozen,
    };
    if let Err(error) = freeze(&running).await {
        running.end(&error).await;
        return Err(error);
    }
    if let Err(error) = memory::remember(config, &store.url(), chain) {
        tracing::warn!("run {} is prepared, but: {error}", running.run_id());
    }
    Ok(prepared("is PREPARED", &running.begun, &running.frozen))
}

/// What a second `prepare` of a run finds, such as that of a job that is tried again.
async fn prepared_before(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    opened: &Opened,
    run_id: &RunId,
    shards: u32,
) -> Result<ShardDone, RunError> {
    let taken = || {
        RunError::Start(StartError::Taken {
            run_id: run_id.clone(),
        })
    };
    let fetch = opened.store.as_fetch();
    let found = Prepared::find(shell, fetch, &opened.chain, run_id, Still::ToCollect).await;
    let Prepared { begun, frozen, .. } = match found {
        // It is one process's own.
        Err(RunError::Shard(ShardError::NotPrepared { .. })) => return Err(taken()),
        found => found?,
    };
    let date = begun.start.scheduled_for;
    if options.scheduled_for.is_some_and(|asked| asked != date) {
        return Err(taken());
    }
    frozen.check_config(config, run_id, date)?;
    if frozen.shards != shards {
        return Err(RunError::OtherShards {
            run_id: run_id.clone(),
            prepared: frozen.shards,
            asked: shards,
        });
    }
    Ok(prepared("is PREPARED already", &begun, &frozen))
}

fn prepared(how: &str, begun: &Begun, frozen: &Frozen) -> ShardDone {
    let (run_id, date) = (begun.start.run_id.clone(), begun.start.scheduled_for);
    let shards = frozen.shards;
    let accounts = frozen.scope.accounts.iter();
    let expected = accounts.filter(|a| is_expected(a)).count() as i64;
    let text = format!(
        "Run {run_id} for {date} {how}\n\n{} in {}, until {}\n\
         Next       keyproof collect --run-id {run_id} --shard 1/{shards}\n\
         \u{20}          (and the other shards)\n\
         \u{20}          keyproof assess --run-id {run_id}\n\
         \u{20}          keyproof seal --run-id {run_id}\n",
        counted(expected, "account", "accounts"),
        counted(i64::from(shards), "shard", "shards"),
        begun.start.deadline_at,
    );
    ShardDone { run_id, text }
}

async fn freeze(running: &Running<'_>) -> Result<(), RunError> {
    let bytes = running.frozen.to_file(&running.begun)?.to_bytes();
    let name = layout::scope(running.date(), running.run_id());
    let clock = &*running.shell.clock;
    let written = crate::archive::settle::write_once(running.store, clock, &name, &bytes).await;
    written.map_err(|e| store_error(running.store.url(), e))
}

/// The receipt for `files`, with what the process says of itself.
fn receipt(
    place: &Place<'_>,
    files: Vec<FileEntry>,
    asking: &Asking,
    unprotected: Vec<String>,
) -> Receipt {
    let (run_id, writer) = (place.run_id.clone(), place.writer.to_owned());
    let mut receipt = Receipt::new(run_id, place.shard, writer, files, place.clock.now());
    receipt.clock_offset_ms = asking.aws.clock_offset_ms();
    receipt.own_operations = footprint::text(&asking.attempts.own_costs());
    receipt.unprotected = unprotected;
    receipt
}

/// Collects the accounts of one shard.
pub async fn collect(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    run_id: &RunId,
    (shard, of): (u32, u32),
    cancelled: watch::Receiver<bool>,
) -> Result<ShardDone, RunError> {
    let asking = Asking::one_of(of, shell, config, cancelled).await?;
    let step = Step::Collect { shard, of };
    let opened = OpenStep::open(shell, config, asking, run_id, step).await?;
    let Some(opened) = opened else {
        return Ok(already(run_id, &format!("Shard {shard}/{of}"), "collected"));
    };
    let OpenStep {
        asking,
        archive,
        mut chain,
        begun,
        frozen,
        ..
    } = opened;
    let store = archive.store.as_ref();
    let date = begun.start.scheduled_for;
    let what = format!("Shard {shard}/{of}");
    if is_judged_without(shard, store, run_id, date).await? {
        let run_id = run_id.clone();
        let text = format!(
            "Run {run_id} is judged already, without {}:\n\
             its accounts are not_attempted there. Nothing was done.\n",
            what.to_lowercase()
        );
        return Ok(ShardDone { run_id, text });
    }
    let mine = frozen.positions(shard);
    let accounts = mine.len() as i64;
    let running = Running {
        shell,
        config,
        store,
        begun,
        frozen,
    };
    let writer = hex(&random::<4>()?);
    let work = Work::create(config, &format!("{run_id}-s{shard:02}-{writer}"))?;
    let evidence = Evidence {
        fetch: store.as_fetch(),
        work: &work.path,
    };
    let known = Arc::new(running.watermarks(&evidence, &chain).await?.0);
    let journals = Journals::one(Arc::new(work.first_journal()?));
    running
        .collect(
            &asking,
            (journals.clone(), &work.path),
            known,
            Part::Accounts(mine),
            &NothingCollected,
            options,
        )
        .await
        .map_err(step_cancelled)?;
    still_open(&running, &mut chain).await?;
    let place = place(&running, &work.path, shard, &writer);
    let files = record(&place, &journals.all, |dataset| {
        !shards::OF_SHARD.iter().any(|(name, _)| *name == dataset)
    })
    .await?;
    let rows: u64 = files.iter().filter_map(|f| f.rows).sum();
    let receipt = receipt(&place, files, &asking, archive.lacking().failed);
    let received = shards::write_receipt(store, &*shell.clock, date, &receipt).await;
    let text = match received.map_err(|e| store_error(store.url(), e))? {
        Received::Ours if is_judged_without(shard, store, run_id, date).await? => format!(
            "{what} of {run_id} is too late:\n\
             the run was judged meanwhile, with its accounts as not_attempted. What this one\n\
             wrote is not used; the seal names it.\n"
        ),
        Received::Ours => format!(
            "{what} of run {run_id} is COLLECTED\n\n{}, {}\n",
            counted(accounts, "account", "accounts"),
            counted(rows as i64, "row", "rows"),
        ),
        Received::Lost => lost(run_id, &what),
    };
    Ok(ShardDone {
        run_id: run_id.clone(),
        text,
    })
}

/// Whether the run has its conclusions, which are made once, and not from what this shard found.
async fn is_judged_without(
    shard: u32,
    store: &dyn Store,
    run_id: &RunId,
    date: Date,
) -> Result<bool, RunError> {
    let found = shards::read_receipt(store.as_fetch(), run_id, date, ASSESS).await?;
    Ok(found.is_some_and(|found| !found.receipt.used.iter().any(|used| used.shard == shard)))
}

/// Judges a prepared run: looks up what its shards referred to, and makes every conclusion.
pub async fn assess(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    run_id: &RunId,
    cancelled: watch::Receiver<bool>,
) -> Result<ShardDone, RunError> {
    let asking = Asking::new(shell, config, cancelled).await?;
    let opened = OpenStep::open(shell, config, asking, run_id, Step::Assess).await?;
    let Some(opened) = opened else {
        return Ok(already(run_id, "The run", "judged"));
    };
    let OpenStep {
        asking,
        caller,
        archive,
        mut chain,
        begun,
        frozen,
    } = opened;
    let store = archive.store.as_ref();
    let fetch = store.as_fetch();
    let date = begun.start.scheduled_for;
    let checks = archive.checks(date);
    let running = Running {
        shell,
        config,
        store,
        begun,
        frozen,
    };
    let writer = hex(&random::<4>()?);
    let work = Work::create(config, &format!("{run_id}-s00-{writer}"))?;
    let evidence = Evidence {
        fetch,
        work: &work.path,
    };
    let all = Arc::new(Journal::create(&work.path.join("all"))?);
    let own = Arc::new(Journal::create(&work.path.join("own"))?);
    let before = running.before(&evidence, &chain).await?;
    let mut receipts = Vec::new();
    let mut missing = BTreeSet::new();
    for shard in 1..=running.frozen.shards {
        let positions = running.frozen.positions(shard);
        let mut found = receipt_of(&running, shard).await?;
        if let Some(stored) = &found {
            let of_shard = OfShard {
                running: &running,
                evidence: &evidence,
                receipt: &stored.receipt,
                mine: running.frozen.accounts(&positions),
            };
            if of_shard.is_whole(&*before.known).await? {
                of_shard.copy(&all).await?;
            } else {
                found = None;
            }
        }
        match found {
            Some(stored) => receipts.push(stored),
            None => missing.extend(positions),
        }
    }
    let mut calls = (0, 0);
    for cell in all.rows::<Coverage>() {
        let cell = cell?;
        calls = (calls.0 + cell.calls, calls.1 + cell.throttles);
    }
    let journals = Journals::two(all.clone(), own);
    let not_collected = running.frozen.shards as usize - receipts.len();
    running
        .collect(
            &asking,
            (journals.clone(), &work.path),
            before.known.clone(),
            Part::Rest { missing },
            &JournalCollected(&all),
            options,
        )
        .await
        .map_err(step_cancelled)?;
    let told = || {
        let now = Told::now(&running, &asking, &caller.arn);
        // Those of shards stand in their coverage, AssumeRole included.
        let prepared = running.frozen.own_operations.as_deref();
        let prepared = prepared.map(footprint::read).unwrap_or_default();
        let sum = |of: fn(&Cost) -> i64| prepared.iter().map(of).fold(0, i64::saturating_add);
        let (asked, refused) = (sum(|cost| cost.calls), sum(|cost| cost.throttles));
        let of_shards = receipts
            .iter()
            .filter_map(|r| r.receipt.own_operations.as_deref());
        let of_shards = of_shards.flat_map(footprint::read);
        let all = asking.attempts.own_costs().into_iter().chain(of_shards);
        Told {
            calls: asked.saturating_add(now.calls + calls.0),
            throttles: refused.saturating_add(now.throttles + calls.1),
            own_operations: footprint::text(&footprint::summed(all.chain(prepared))),
            ..now
        }
    };
    let concluded = running.conclude(&journals, &before, &checks, told)?;
    still_open(&running, &mut chain).await?;
    let place = place(&running, &work.path, ASSESS, &writer);
    let of_shards: Vec<&FileEntry> = receipts.iter().flat_map(|r| &r.receipt.files).collect();
    let elsewhere = |dataset: &str| {
        of_shards.iter().any(|file| {
            records::dataset_files(std::slice::from_ref(*file), dataset)
                .next()
                .is_some()
        })
    };
    let files = record(&place, journals.own(), elsewhere).await?;
    let used = receipts.iter().map(|stored| Used {
        bytes: stored.file.bytes,
        sha256: stored.file.sha256.clone(),
        shard: stored.receipt.shard,
    });
    let mut receipt = receipt(&place, files, &asking, archive.lacking().failed);
    receipt.used = used.collect();
    let received = shards::write_receipt(store, &*shell.clock, date, &receipt).await;
    let row = &concluded.run_row;
    let text = match received.map_err(|e| store_error(store.url(), e))? {
        Received::Ours => format!(
            "Run {run_id} for {date} is JUDGED, {}\n\n{}, {}{}\nNext       keyproof seal --run-id {run_id}\n",
            row.outcome,
            counted(row.clusters, "cluster", "clusters"),
            counted(row.cells_open, "open cell", "open cells"),
            match not_collected {
                0 => String::new(),
                n => format!(
                    ";\n{} left no receipt: accounts are not_attempted",
                    counted(n as i64, "shard", "shards")
                ),
            }
        ),
        Received::Lost => lost(run_id, "The judgement"),
    };
    Ok(ShardDone {
        run_id: run_id.clone(),
        text,
    })
}

/// Seals a judged run, after everything was compared and every conclusion made again.
pub async fn seal(
    shell: &Shell,
    config: &Config,
    run_id: &RunId,
    cancelled: watch::Receiver<bool>,
) -> Result<Audited, RunError> {
    let asking = Asking::new(shell, config, cancelled).await?;
    let archive = open_store(shell, config, Some(&asking.aws)).await?;
    let (fetch, url) = (archive.as_fetch(), archive.url());
    let signer = open_signer(shell, config, Some(&asking.aws), KeyFile::Load).await?;
    let Standing::Chain(chain) = look(fetch, signer.as_ref()).await? else {
        return Err(RunError::NoChain { url });
    };
    let mut chain = *chain;
    memory::check(config, &url, &chain)?;
    let Prepared {
        begun,
        frozen,
        file: scope_file,
    } = Prepared::find(shell, fetch, &chain, run_id, Still::ToSeal).await?;
    frozen.check_config(config, run_id, begun.start.scheduled_for)?;
    refuse_other_scope(config, &chain, &frozen.scope, url)?;
    if frozen.regions != config.regions || (frozen.full_scope && !is_full_scope(config, &chain)) {
        return Err(RunError::DoesNotFollow {
            run_id: run_id.clone(),
            what: format!("the scope in {}", scope_file.name),
        });
    }
    // A local archive and a local key need no identity of AWS.
    let needs_aws = matches!(config.archive, ArchiveUrl::S3 { .. })
        || matches!(config.signing_key, Some(SigningKey::Kms { .. }));
    let caller_arn = if needs_aws {
        let caller = find_caller(&asking).await?;
        check_clock(&asking.aws)?;
        Some(caller.arn)
    } else {
        None
    };
    let archive = archive.for_writing(config).await?;
    let store = archive.store.as_ref();
    let checks = archive.checks(begun.start.scheduled_for);
    let running = Running {
        shell,
        config,
        store,
        begun,
        frozen,
    };
    let name = format!("seal-{run_id}-{}", hex(&random::<4>()?));
    let work = Work::create(config, &name)?;
    let evidence = Evidence {
        fetch: store.as_fetch(),
        work: &work.path,
    };
    let receipts = Receipts::find(&running).await?;
    receipts.compare_stored(&running).await?;
    let before = running.before(&evidence, &chain).await?;
    let recomputing = Recomputing {
        running: &running,
        evidence: &evidence,
        files: receipts.evidence(),
    };
    let conclusions = Journal::create(&work.path.join("again"))?;
    let facts = Journal::create(&work.path.join("facts"))?;
    copy_facts(&evidence, &recomputing.files, &facts).await?;
    recomputing.compare_coverage(&facts, &*before.known)?;
    let tally = running.judge(&facts, &conclusions, &before)?;
    recomputing.compare_conclusions(&conclusions).await?;
    recomputing.compare_rows().await?;
    let counts = running.counts(&facts, &tally)?;
    let concluded = recomputing.compare_own(counts, tally).await?;

    let mut files = receipts.files();
    files.push(scope_file);
    let orphans = orphans(&running, &files).await?;
    // Evidence lies where its writers put it, however the bucket is by now.
    let failed = running
        .frozen
        .unprotected
        .iter()
        .chain(receipts.unprotected());
    let lacking = archive.lacking().with_failed(failed.cloned());
    let mut other_clocks = receipts.clocks();
    if caller_arn.is_some() {
        other_clocks.push(asking.aws.clock_offset_ms());
    }
    let sealing = Sealing {
        signer: signer.as_ref(),
        producer: producer_of(&running.begun.start.config, caller_arn, lacking),
        until: None,
        files,
        orphans,
        previous: running.previous(&evidence, &before, &conclusions).await?,
        unseen_changed: running
            .unseen_changed(&evidence, &before, &facts, &concluded.counts)
            .await?,
        begun_now: false,
        checks,
        other_clocks,
    };
    if *asking.cancelled.borrow() {
        return Err(step_cancelled(RunError::Cancelled));
    }
    let audited = running.seal(&mut chain, concluded, sealing).await?;
    anchor(shell, config, store, &chain).await;
    Ok(audited)
}

fn place<'a>(running: &'a Running<'_>, work: &'a Path, shard: u32, writer: &'a str) -> Place<'a> {
    Place {
        store: running.store,
        clock: &*running.shell.clock,
        work,
        run_id: running.run_id(),
        date: running.date(),
        shard,
        writer,
    }
}

fn already(run_id: &RunId, what: &str, done: &str) -> ShardDone {
    let text = format!("{what} of {run_id} is {done} already; nothing was done.\n");
    ShardDone {
        run_id: run_id.clone(),
        text,
    }
}

fn lost(run_id: &RunId, what: &str) -> String {
    format!(
        "{what} of {run_id}: another process was first,\n\
         and its receipt counts. What this one wrote is not used; the seal names it.\n"
    )
}

/// The run is still open to whoever gives the same command again.
fn step_cancelled(error: RunError) -> RunError {
    match error {
        RunError::Cancelled => RunError::StepCancelled,
        other => other,
    }
}

/// Nothing is to be written under a run that was sealed or ended meanwhile.
async fn still_open(running: &Running<'_>, chain: &mut Chain) -> Result<(), RunError> {
    let fetch = running.store.as_fetch();
    chain.advance(fetch).await?;
    let (clock, run_id) = (&*running.shell.clock, running.run_id());
    starts::go_on(fetch, clock, chain, run_id, Still::ToSeal).await?;
    Ok(())
}
