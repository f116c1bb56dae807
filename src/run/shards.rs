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

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::shards::{
    self, ASSESS, MOST_SHARDS, Receipt, Received, ShardError, StoredReceipt, Used,
};
use crate::archive::starts::{self, Begun, Still};
use crate::archive::store::{Store, StoreError};
use crate::archive::{layout, records};
use crate::collect::engine::is_expected;
use crate::collect::facts::{Known, NothingFound};
use crate::collect::scope::left_out;
use crate::collect::{Part, is_looked_into};
use crate::config::{ArchiveUrl, Config, SigningKey};
use crate::discover::emr_regions;
use crate::for_each_dataset;
use crate::model::datasets::{
    Account, ArchiveCheck, Channel, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession,
    EmrStep, Exception, Finding, KeyAccess, LogGroup, Run, Verdict,
};
use crate::model::ids::{AccountId, Region, RunId, hex};
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Source};
use crate::record::{self, Journal};
use crate::report::text::counted;
use crate::seal::{FileEntry, Manifest, Period, StoredAs};

use super::anchor::anchor;
use super::archive::{KeyFile, Standing, look, open_signer, open_store, read_chain, store_error};
use super::beginning::{
    Purpose, check_clock, check_date, find_caller, is_full_scope, open, producer_of, protections,
    refuse_other_scope,
};
use super::evidence::{Evidence, copy_facts};
use super::facts::{JournalFound, Journals};
use super::frozen::Frozen;
use super::record::{Place, record};
use super::running::{Asking, Audited, Concluded, Running, Sealing, Told};
use super::sealed::is_of;
use super::work::Work;
use super::{RunError, RunOptions, Shell, exceptions, memory, random};

/// Largest manifest that is read back.
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;

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
    let begun = opened.begin(shell, config, options).await?;
    let (store, chain) = (opened.store.as_ref(), &opened.chain);
    let date = begun.start.scheduled_for;
    let frozen = Frozen::new(config, opened.scope, chain, date, shards);
    let running = Running {
        shell,
        config,
        store,
        begun,
        frozen,
    };
    if let Err(error) = freeze(&running, chain).await {
        running.end(&error).await;
        return Err(error);
    }
    if let Err(error) = memory::remember(config, &store.url(), chain) {
        tracing::warn!("run {} is prepared, but: {error}", running.run_id());
    }
    let run_id = running.run_id().clone();
    let accounts = running.frozen.scope.accounts.iter();
    let expected = accounts.filter(|a| is_expected(a)).count() as i64;
    let text = format!(
        "Run {run_id} for {date} is PREPARED\n\n{} in {}, until {}\n\
         Next       keyproof collect --run-id {run_id} --shard 1/{shards} (and all others)\n\
         \u{20}          keyproof assess --run-id {run_id}\n\
         \u{20}          keyproof seal --run-id {run_id}\n",
        counted(expected, "account", "accounts"),
        counted(i64::from(shards), "shard", "shards"),
        running.begun.start.deadline_at,
    );
    Ok(ShardDone { run_id, text })
}

async fn freeze(running: &Running<'_>, chain: &Chain) -> Result<(), RunError> {
    let bytes = running.frozen.to_file(chain, &running.begun)?.to_bytes();
    let name = layout::scope(running.date(), running.run_id());
    let clock = &*running.shell.clock;
    let written = crate::archive::settle::write_once(running.store, clock, &name, &bytes).await;
    written.map_err(|e| store_error(running.store.url(), e))
}

/// A prepared run, as a later step finds it.
struct Prepared {
    begun: Begun,
    frozen: Frozen,
    /// `scope.json`, for the manifest.
    file: FileEntry,
}

impl Prepared {
    async fn find(
        shell: &Shell,
        store: &dyn Store,
        chain: &Chain,
        run_id: &RunId,
        still: Still,
    ) -> Result<Self, RunError> {
        let fetch = store.as_fetch();
        let begun = starts::go_on(fetch, &*shell.clock, chain, run_id, still).await?;
        let (scope, file) = shards::read_scope(fetch, run_id, begun.start.scheduled_for).await?;
        let is_of_this_start = scope.start_sha256 == begun.file.sha256
            && scope.head_seq == begun.start.head_seq
            && chain.holds(scope.head_seq, &scope.head_sha256);
        if !is_of_this_start {
            return Err(RunError::Changed { name: file.name });
        }
        let frozen = Frozen::of_file(scope, &file.name)?;
        Ok(Self {
            begun,
            frozen,
            file,
        })
    }
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
    let asking = Asking::new(shell, config, cancelled).await?;
    let store = open_store(shell, config, Some(&asking.aws)).await?;
    let store = store.as_ref();
    let mut chain = read_chain(store.as_fetch()).await?;
    memory::check(config, &store.url(), &chain)?;
    let Prepared { begun, frozen, .. } =
        Prepared::find(shell, store, &chain, run_id, Still::ToCollect).await?;
    let date = begun.start.scheduled_for;
    frozen.check_config(config, run_id, date)?;
    if frozen.shards != of || !(1..=of).contains(&shard) {
        return Err(RunError::OtherShards {
            run_id: run_id.clone(),
            prepared: frozen.shards,
            asked: of,
        });
    }
    if shards::read_receipt(store.as_fetch(), run_id, date, shard)
        .await?
        .is_some()
    {
        return Ok(already(run_id, &format!("Shard {shard}/{of}"), "collected"));
    }
    find_caller(&asking).await?;
    check_clock(&asking.aws)?;
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
            journals.clone(),
            known,
            Part::Accounts(mine),
            &NothingFound,
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
    let now = shell.clock.now();
    let receipt = Receipt::new(run_id.clone(), shard, writer, files, Vec::new(), now);
    let received = shards::write_receipt(store, &*shell.clock, date, &receipt).await;
    let text = match received.map_err(|e| store_error(store.url(), e))? {
        Received::Ours => format!(
            "Shard {shard}/{of} of run {run_id} is COLLECTED\n\n{}, {}\n",
            counted(accounts, "account", "accounts"),
            counted(rows as i64, "row", "rows"),
        ),
        Received::Lost => lost(run_id, &format!("Shard {shard}/{of}")),
    };
    Ok(ShardDone {
        run_id: run_id.clone(),
        text,
    })
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
    let store = open_store(shell, config, Some(&asking.aws)).await?;
    let store = store.as_ref();
    let fetch = store.as_fetch();
    let mut chain = read_chain(fetch).await?;
    memory::check(config, &store.url(), &chain)?;
    let Prepared { begun, frozen, .. } =
        Prepared::find(shell, store, &chain, run_id, Still::ToCollect).await?;
    let date = begun.start.scheduled_for;
    frozen.check_config(config, run_id, date)?;
    if shards::read_receipt(fetch, run_id, date, ASSESS)
        .await?
        .is_some()
    {
        return Ok(already(run_id, "The run", "judged"));
    }
    let caller = find_caller(&asking).await?;
    check_clock(&asking.aws)?;
    let checks = protections(store, date).await;
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
            journals.clone(),
            before.known.clone(),
            Part::Rest { missing },
            &JournalFound(&all),
            options,
        )
        .await
        .map_err(step_cancelled)?;
    let told = || {
        let now = Told::now(&running, &asking, &caller.arn);
        Told {
            calls: now.calls + calls.0,
            throttles: now.throttles + calls.1,
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
    let now = shell.clock.now();
    let receipt = Receipt::new(run_id.clone(), ASSESS, writer, files, used.collect(), now);
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
                    "; {} without a receipt: their accounts are not_attempted",
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
    let store = open_store(shell, config, Some(&asking.aws)).await?;
    let store = store.as_ref();
    let signer = open_signer(shell, config, Some(&asking.aws), KeyFile::Load).await?;
    let Standing::Chain(chain) = look(store, signer.as_ref()).await? else {
        return Err(RunError::NoChain { url: store.url() });
    };
    let mut chain = *chain;
    memory::check(config, &store.url(), &chain)?;
    let Prepared {
        begun,
        frozen,
        file: scope_file,
    } = Prepared::find(shell, store, &chain, run_id, Still::ToSeal).await?;
    frozen.check_config(config, run_id, begun.start.scheduled_for)?;
    refuse_other_scope(config, &chain, &frozen.scope, store)?;
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
        Some(find_caller(&asking).await?.arn)
    } else {
        None
    };
    let producer = producer_of(&begun.start.config, caller_arn);
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
    let sealing = Sealing {
        signer: signer.as_ref(),
        producer,
        files,
        orphans,
        previous: running.previous(&evidence, &before, &conclusions).await?,
        begun_now: false,
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
        "{what} of {run_id}: another process was first, and its receipt counts. What this one wrote \
         is not used; the seal names it.\n"
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

/// The receipt of a shard. One that cannot be read is as good as none: its accounts were not seen.
async fn receipt_of(running: &Running<'_>, shard: u32) -> Result<Option<StoredReceipt>, RunError> {
    let (run_id, date) = (running.run_id(), running.date());
    let found = shards::read_receipt(running.store.as_fetch(), run_id, date, shard).await;
    let of = running.frozen.shards;
    match found {
        Ok(Some(stored)) => return Ok(Some(stored)),
        Ok(None) => tracing::warn!("shard {shard}/{of} of run {run_id} has no receipt"),
        Err(error @ ShardError::Unreadable { .. }) => {
            tracing::warn!("shard {shard}/{of} of run {run_id} counts as missing: {error}");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}

/// Ends of the first pass by account.
type FirstPass = BTreeMap<AccountId, BTreeMap<(Source, Region), CellOutcome>>;

fn note_first_pass(cells: &mut FirstPass, cell: Coverage) {
    if matches!(cell.source, Source::Regions | Source::Clusters) {
        let of_account = cells.entry(cell.account_id).or_default();
        of_account.insert((cell.source, cell.region), cell.outcome);
    }
}

/// The first of `accounts` of which nobody tells how looking into it ended.
fn first_unseen<'a>(
    frozen: &Frozen,
    known: &dyn Known,
    accounts: impl IntoIterator<Item = &'a Account>,
    cells: &FirstPass,
) -> Option<&'a Account> {
    let partition = frozen.scope.caller.arn.split(':').nth(1).unwrap_or("aws");
    let emr = emr_regions().into_iter().map(|r| r.region);
    let emr: Vec<Region> = emr.filter(|r| r.partition() == partition).collect();
    let none = BTreeMap::new();
    accounts.into_iter().find(|account| {
        let cells = cells.get(&account.account_id).unwrap_or(&none);
        let known = known.regions_of(&account.account_id);
        !is_looked_into(account, &frozen.regions, &emr, &known, cells)
    })
}

/// What the receipt of a shard names.
struct OfShard<'a> {
    running: &'a Running<'a>,
    evidence: &'a Evidence<'a>,
    receipt: &'a Receipt,
    /// Accounts of the shard.
    mine: Vec<&'a Account>,
}

impl OfShard<'_> {
    /// Whether it tells of each of its accounts how looking into it ended. One that does not is as good
    /// as none: what it left out was not seen.
    async fn is_whole(&self, known: &dyn Known) -> Result<bool, RunError> {
        let mut cells = FirstPass::new();
        let files = &self.receipt.files;
        for cell in self.evidence.rows_in::<Coverage>(files).await? {
            note_first_pass(&mut cells, cell?);
        }
        let frozen = &self.running.frozen;
        let unseen = first_unseen(frozen, known, self.mine.iter().copied(), &cells);
        if let Some(account) = unseen {
            tracing::warn!(
                "shard {}/{} of run {} counts as missing: it does not tell what it saw of account {}",
                self.receipt.shard,
                frozen.shards,
                self.running.run_id(),
                account.account_id
            );
        }
        Ok(unseen.is_none())
    }

    /// Reads its facts. Rows of accounts that are not its own make them unusable.
    async fn copy(&self, all: &Journal) -> Result<(), RunError> {
        let mine: BTreeSet<_> = self.mine.iter().map(|a| &a.account_id).collect();
        let foreign = std::sync::Mutex::new(None);
        macro_rules! copy {
            ($($row:ty),+) => { $(
                let is_mine = |row: &$row| {
                    let is_mine = mine.contains(&row.account_id);
                    if !is_mine && let Ok(mut foreign) = foreign.lock() {
                        *foreign = Some(row.account_id.clone());
                    }
                    is_mine
                };
                self.evidence.copy_in::<$row>(&self.receipt.files, all, is_mine).await?;
            )+ };
        }
        copy!(
            Coverage,
            EmrCluster,
            EmrStep,
            EmrSession,
            EmrSecurityConfiguration,
            LogGroup
        );
        match foreign.into_inner() {
            Ok(Some(account_id)) => Err(RunError::NotOfShard {
                run_id: self.running.run_id().clone(),
                shard: self.receipt.shard,
                account_id,
            }),
            _ => Ok(()),
        }
    }
}

/// Everything that is to be sealed, as receipts tell it.
struct Receipts {
    assessed: StoredReceipt,
    shards: Vec<StoredReceipt>,
}

impl Receipts {
    async fn find(running: &Running<'_>) -> Result<Self, RunError> {
        let (run_id, date) = (running.run_id(), running.date());
        let fetch = running.store.as_fetch();
        let assessed = shards::read_receipt(fetch, run_id, date, ASSESS).await?;
        let assessed = assessed.ok_or_else(|| RunError::NotJudged {
            run_id: run_id.clone(),
        })?;
        let mut of_shards = Vec::new();
        for used in &assessed.receipt.used {
            let stored = shards::read_receipt(fetch, run_id, date, used.shard).await?;
            match stored {
                Some(stored) if stored.file.sha256 == used.sha256 => of_shards.push(stored),
                _ => {
                    return Err(RunError::Changed {
                        name: layout::shard(date, run_id, used.shard),
                    });
                }
            }
        }
        Ok(Self {
            assessed,
            shards: of_shards,
        })
    }

    fn all(&self) -> impl Iterator<Item = &StoredReceipt> {
        std::iter::once(&self.assessed).chain(&self.shards)
    }

    fn evidence(&self) -> Vec<FileEntry> {
        self.all().flat_map(|r| r.receipt.files.clone()).collect()
    }

    /// Data files and the receipts themselves.
    fn files(&self) -> Vec<FileEntry> {
        let mut files = self.evidence();
        files.extend(self.all().map(|r| r.file.clone()));
        files
    }

    /// Compares what is stored with what the writers say they stored.
    async fn compare_stored(&self, running: &Running<'_>) -> Result<(), RunError> {
        for file in self.evidence() {
            let stored = running.store.digest(&file.name).await;
            let same = match stored {
                Ok((sha256, bytes)) => sha256 == file.sha256 && bytes == file.bytes,
                Err(StoreError::Absent { .. }) => false,
                Err(error) => return Err(store_error(running.store.url(), error)),
            };
            if !same {
                return Err(RunError::Changed { name: file.name });
            }
            if let Some(told) = &file.stored {
                let kept = running.store.stored(&file.name).await;
                let kept = kept.map_err(|e| store_error(running.store.url(), e))?;
                let kept = kept.and_then(|kept| kept.evidence());
                if !kept.is_some_and(|kept| is_kept_as(told, &kept)) {
                    return Err(RunError::KeptOtherwise { name: file.name });
                }
            }
        }
        Ok(())
    }
}

/// Whether a file is kept as its writer tells. What a writer was not told, for want of a permission, it
/// leaves out.
fn is_kept_as(told: &StoredAs, kept: &StoredAs) -> bool {
    fn same<T: PartialEq>(told: &Option<T>, kept: &Option<T>) -> bool {
        told.is_none() || told == kept
    }
    same(&told.bucket_key, &kept.bucket_key)
        && same(&told.kms_key, &kept.kms_key)
        && same(&told.lock_mode, &kept.lock_mode)
        && same(&told.locked_until, &kept.locked_until)
        && same(&told.version, &kept.version)
}

/// What is made again before it is signed.
struct Recomputing<'a> {
    running: &'a Running<'a>,
    evidence: &'a Evidence<'a>,
    files: Vec<FileEntry>,
}

impl Recomputing<'_> {
    fn refused(&self, what: impl Into<String>) -> RunError {
        RunError::DoesNotFollow {
            run_id: self.running.run_id().clone(),
            what: what.into(),
        }
    }

    /// Every conclusion is in one file, and its rows are those made again.
    async fn compare_conclusions(&self, again: &Journal) -> Result<(), RunError> {
        macro_rules! compare {
            ($($row:ty),+) => { $(
                let path = self.evidence.work.join(concat!("again-", stringify!($row)));
                let made = record::write_rows(&path, again.rows::<$row>())?;
                let files: Vec<_> = self.files.iter().filter(|f| is_of::<$row>(f)).collect();
                let same = match files.as_slice() {
                    [file] => file.rows_sha256.as_ref() == Some(&made.rows_sha256),
                    _ => false,
                };
                if !same {
                    return Err(self.refused(format!("dataset {}", <$row>::NAME)));
                }
            )+ };
        }
        compare!(Channel, Finding, KeyAccess, Verdict);
        Ok(())
    }

    /// What receipts say of the rows of a file is so, and no dataset is left out.
    async fn compare_rows(&self) -> Result<(), RunError> {
        macro_rules! compare {
            ($($row:ty),+) => { $(
                if !self.files.iter().any(is_of::<$row>) {
                    return Err(self.refused(format!("dataset {}", <$row>::NAME)));
                }
                for file in self.files.iter().filter(|f| is_of::<$row>(f)) {
                    let path = self.evidence.work.join("rows.parquet");
                    let rows = self.evidence.rows_in::<$row>(std::slice::from_ref(file)).await?;
                    let made = record::write_rows(&path, rows)?;
                    std::fs::remove_file(&path).map_err(|e| RunError::local(&path, e))?;
                    let told = (file.rows, file.rows_sha256.as_ref());
                    if told != (Some(made.rows), Some(&made.rows_sha256)) {
                        return Err(self.refused(format!("what is said of {}", file.name)));
                    }
                }
            )+ };
        }
        for_each_dataset!(compare);
        Ok(())
    }

    /// Every account of the frozen scope is there with its cells: those of the first pass, which its
    /// shard wrote or `assess` in its place, and who owns which bucket.
    fn compare_coverage(&self, facts: &Journal, known: &dyn Known) -> Result<(), RunError> {
        let scope = &self.running.frozen.scope;
        let accounts: Result<Vec<Account>, _> = facts.rows::<Account>().collect();
        if accounts? != scope.accounts {
            return Err(self.refused("dataset account"));
        }
        let selected = |a: &Account| a.left_out_because.as_deref() != Some(left_out::NOT_SELECTED);
        if self.running.frozen.full_scope && !scope.accounts.iter().all(selected) {
            return Err(self.refused("that the run looked at its whole scope"));
        }
        let mut told = BTreeSet::new();
        let mut cells = FirstPass::new();
        for cell in facts.rows::<Coverage>() {
            let cell = cell?;
            if cell.source == Source::BucketOwners {
                told.insert(cell.account_id.clone());
            }
            note_first_pass(&mut cells, cell);
        }
        let expected = || scope.accounts.iter().filter(|a| is_expected(a));
        let frozen = &self.running.frozen;
        let unasked = expected().find(|a| !told.contains(&a.account_id));
        match unasked.or_else(|| first_unseen(frozen, known, expected(), &cells)) {
            None => Ok(()),
            Some(account) => {
                let what = format!("that account {} has no coverage", account.account_id);
                Err(self.refused(what))
            }
        }
    }

    /// The run's own row and its exceptions say what the facts amount to.
    async fn compare_own(
        &self,
        counts: super::counts::Counts,
        tally: crate::report::tally::Tally,
    ) -> Result<Concluded, RunError> {
        let rows: Result<Vec<Run>, _> = self.evidence.rows_in::<Run>(&self.files).await?.collect();
        let rows = rows?;
        let [run_row] = rows.as_slice() else {
            return Err(self.refused("dataset run"));
        };
        if self.running.run_row(&counts, &tally, Told::of(run_row)) != *run_row {
            return Err(self.refused("dataset run"));
        }
        let exceptions = self.evidence.rows_in::<Exception>(&self.files).await?;
        let mut exceptions: Vec<Exception> = exceptions.collect::<Result<_, _>>()?;
        exceptions.sort_by(Dataset::key_order);
        let (rules, date) = (&self.running.config.exceptions, self.running.date());
        let mut declared = exceptions::rows(rules, date, &counts.used);
        declared.sort_by(Dataset::key_order);
        if exceptions != declared {
            return Err(self.refused("dataset exception"));
        }
        let checks = self.evidence.rows_in::<ArchiveCheck>(&self.files).await?;
        Ok(Concluded {
            counts,
            tally,
            run_row: run_row.clone(),
            exceptions,
            checks: checks.collect::<Result<_, _>>()?,
        })
    }
}

/// What stands under the run's id and is not sealed with it. A sealer that died may have written the
/// manifest already; then that one counts, and what came later is for verification to report.
async fn orphans(running: &Running<'_>, files: &[FileEntry]) -> Result<Vec<String>, RunError> {
    let (run_id, date) = (running.run_id(), running.date());
    let fetch = running.store.as_fetch();
    let failed = |e| store_error(fetch.url(), e);
    let manifest = layout::manifest(Period::Date(date), run_id);
    match fetch.read(&manifest, MANIFEST_LIMIT).await {
        Ok(bytes) => {
            if let Ok(written) = Manifest::parse(&bytes) {
                return Ok(written.orphans);
            }
        }
        Err(StoreError::Absent { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let names = shards::names_of_run(fetch, run_id, date, &shards::every_dataset()).await;
    let names = names.map_err(failed)?.into_iter();
    let listed: BTreeSet<&str> = files.iter().map(|f| f.name.as_str()).collect();
    Ok(names
        .filter(|name| !listed.contains(name.as_str()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_more_of_a_file_than_storage_does() {
        let nothing = StoredAs {
            bucket_key: None,
            kms_key: None,
            lock_mode: None,
            locked_until: None,
            version: None,
        };
        let kept = StoredAs {
            lock_mode: Some("GOVERNANCE".to_owned()),
            version: Some("v1".to_owned()),
            ..nothing.clone()
        };
        let with = |mode: &str| StoredAs {
            lock_mode: Some(mode.to_owned()),
            ..nothing.clone()
        };
        assert!(is_kept_as(&kept, &kept));
        assert!(is_kept_as(&nothing, &kept), "not told");
        assert!(is_kept_as(&with("GOVERNANCE"), &kept));
        assert!(!is_kept_as(&with("COMPLIANCE"), &kept));
        assert!(!is_kept_as(&kept, &nothing));
        let other = StoredAs {
            version: Some("v2".to_owned()),
            ..kept.clone()
        };
        assert!(!is_kept_as(&other, &kept));
    }
}
