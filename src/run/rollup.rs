//! `keyproof rollup`: a quarter's measures from sealed runs and backfills, sealed in turn; and whether a
//! sealed edition is what its runs give.

use std::collections::BTreeMap;
use std::path::Path;

use crate::archive::chain::{Chain, Entry};
use crate::archive::layout::{self, Name};
use crate::archive::records;
use crate::archive::signer::Signer;
use crate::archive::store::{Fetch, Store};
use crate::config::Config;
use crate::engine::{half_of_memory, holds_more_than};
use crate::model::datasets::{
    Account, BackfilledLaunch, Channel, Coverage, KmsKey, Launch, LogBucket, LogObjectSummary,
    Reencryption, Run, TrailReading, Verdict,
};
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset as _;
use crate::record::Encoded;
use crate::rollup::{
    self as measures, Edition, Label, MeasureFile, Measures, Price, RollupError, RollupInputs,
    Scopes,
};
use crate::seal::{BackfillSeal, Content, FileEntry, Lacking, Period, RollupSeal};
use crate::time::{Clock, Date, Quarter, UtcMillis};

use super::anchor::anchor;
use super::archive::{AtUrl, KeyFile, find, open_signer, open_store, read_chain};
use super::evidence::Evidence;
use super::work::Work;
use super::{RunError, Shell, memory, producer, random, record, sealed};

/// Tasks that one measure may split into; the result does not depend on it. Two are computed at a time, and
/// a split one has to exchange its rows.
const PARTITIONS: usize = 1;

/// What is to be rolled up.
#[derive(Debug, Clone)]
pub struct RollupRequest {
    pub quarter: Quarter,
    /// What costs are reckoned with; `None`: the program's own prices.
    pub prices: Option<Vec<Price>>,
    /// Whether a new edition is sealed.
    pub seal: bool,
    /// Which scopes the text shows.
    pub scopes: Scopes,
    /// SHA-256 of entry 1.
    pub pin: Option<Sha256Hex>,
}

impl RollupRequest {
    /// Sealed, with the program's own prices.
    pub fn new(quarter: Quarter) -> Self {
        Self {
            quarter,
            prices: None,
            seal: true,
            scopes: Scopes::Most,
            pin: None,
        }
    }
}

/// A computed quarter.
#[derive(Debug)]
pub struct RolledUp {
    pub measures: Measures,
    pub label: Label,
    pub text: String,
}

impl RolledUp {
    fn new(measures: Measures, label: Label, scopes: Scopes, told: &str) -> Self {
        let shown = measures::summary(&measures, &label, scopes);
        Self {
            measures,
            label,
            text: format!("{shown}\n{told}"),
        }
    }
}

/// Computes the measures of a quarter from runs of record and, when asked to, seals them as a new
/// edition. Where the newest edition has the same bytes, it stands and nothing is sealed.
///
/// # Errors
/// When the archive is not the pinned or remembered one; when the quarter lies outside its life; when a file
/// that is read, or the newest edition's, is not the one that was sealed.
pub async fn rollup(
    shell: &Shell,
    config: &Config,
    request: &RollupRequest,
) -> Result<RolledUp, RunError> {
    let (quarter, scopes, pin) = (request.quarter, request.scopes, request.pin.as_ref());
    let archive = open_store(shell, config, None).await?;
    if find(archive.as_fetch()).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: archive.url() });
    }
    let clock = &*shell.clock;
    let now = clock.now();
    let label = |sealed| Label {
        quarter,
        unfinished: now < quarter.end().start(),
        sealed,
    };
    let run_id = RunId::new(now, random()?);
    if !request.seal {
        let chain = read_chain(archive.as_fetch()).await?;
        check_life(&chain, quarter, now, archive.url())?;
        memory::check_to_read(config, &archive.url(), &chain, pin)?;
        let work = Work::create(config, &format!("rollup-{run_id}"))?;
        let evidence = Evidence {
            fetch: archive.as_fetch(),
            work: &work.path,
        };
        let measures = compute(&evidence, &chain, quarter, prices(request)?, clock).await?;
        let told = "Not sealed.\n";
        return Ok(RolledUp::new(measures, label(None), scopes, told));
    }
    let signer = open_signer(shell, config, None, KeyFile::Load).await?;
    let mut chain = read_chain(archive.as_fetch()).await?;
    check_life(&chain, quarter, now, archive.url())?;
    chain.check_signer(signer.public_key())?;
    memory::check_to_read(config, &archive.url(), &chain, pin)?;
    // A pin says nothing of the end, which is where the seal goes.
    memory::check(config, &archive.url(), &chain)?;
    let work = Work::create(config, &format!("rollup-{run_id}"))?;
    let archive = archive.for_writing(config).await?;
    let lacking = archive.lacking();
    let store = archive.store;
    let evidence = Evidence {
        fetch: store.as_fetch(),
        work: &work.path,
    };
    let measures = compute(&evidence, &chain, quarter, prices(request)?, clock).await?;
    let files = measures.write(&work.path)?;
    let unfinished = label(None).unfinished;
    let newest = edition_of(&chain, quarter, None);
    if let Some((entry, seal)) = newest
        && seal.is_unfinished(entry.statement.at) == unfinished
        && let standing = sealed_files(store.as_fetch(), entry).await?
        && has_bytes(&standing, &files)
    {
        for (n, file) in standing.iter().enumerate() {
            let copy = work.path.join(format!("standing-{n}.parquet"));
            records::copy_file(store.as_fetch(), file, &copy).await?;
        }
        let told = format!(
            "Nothing new: edition {} of {quarter} stands, chain {}\n",
            seal.edition, entry.seq,
        );
        let sealed = edition(entry, seal);
        return Ok(RolledUp::new(measures, label(Some(sealed)), scopes, &told));
    }
    let sealing = Sealing {
        shell,
        store: store.as_ref(),
        signer: signer.as_ref(),
        run_id,
        label: label(None),
        lacking,
    };
    let sealed = sealing.seal(&mut chain, &files).await?;
    anchor(shell, config, store.as_ref(), &chain).await;
    let told = format!(
        "Sealed     edition {} of {quarter}, chain {}, head {}\n",
        sealed.edition,
        sealed.chain_seq,
        &sealed.chain_sha256.as_str()[..12]
    );
    Ok(RolledUp::new(measures, label(Some(sealed)), scopes, &told))
}

/// Refuses a quarter of which the archive can never tell: it ended before anything that the archive speaks
/// of, or has not begun.
fn check_life(
    chain: &Chain,
    quarter: Quarter,
    now: UtcMillis,
    url: String,
) -> Result<(), RunError> {
    let runs = chain
        .runs()
        .map(|(_, run)| (run.scheduled_for, run.scheduled_for));
    let backfills = chain.backfills().map(|(_, seal)| (seal.from, seal.to));
    let begun = chain
        .entries()
        .iter()
        .map(|e| e.statement.at.date())
        .take(1);
    let (mut first, mut last): (Option<Date>, Date) = (None, now.date());
    let told = runs.chain(backfills).chain(begun.map(|date| (date, date)));
    for (from, to) in told {
        first = Some(first.map_or(from, |first| first.min(from)));
        last = last.max(to);
    }
    let first = first.unwrap_or(last);
    if quarter.end() <= first || last < quarter.first() {
        return Err(RunError::OutsideLife {
            quarter,
            url,
            first,
            last,
        });
    }
    Ok(())
}

fn prices(request: &RollupRequest) -> Result<Vec<Price>, RunError> {
    match &request.prices {
        Some(prices) => Ok(prices.clone()),
        None => measures::parse_prices(measures::DEFAULT_PRICES)
            .map_err(|e| RunError::Internal(format!("the program's own prices: {e}"))),
    }
}

/// A sealed edition of a quarter: the one of a number, else the newest.
fn edition_of(
    chain: &Chain,
    quarter: Quarter,
    number: Option<u64>,
) -> Option<(&Entry, &RollupSeal)> {
    let mut editions = chain.rollups().filter(|(_, seal)| {
        seal.quarter == quarter && number.is_none_or(|number| seal.edition == number)
    });
    editions.next_back()
}

fn edition(entry: &Entry, seal: &RollupSeal) -> Edition {
    Edition {
        edition: seal.edition,
        chain_seq: entry.seq,
        chain_sha256: entry.sha256.clone(),
    }
}

async fn sealed_files(fetch: &dyn Fetch, entry: &Entry) -> Result<Vec<FileEntry>, RunError> {
    Ok(records::read_manifest(fetch, entry).await?.files)
}

/// Whether an edition's files have the bytes of `files`.
fn has_bytes(sealed: &[FileEntry], files: &[MeasureFile]) -> bool {
    let mut sealed: Vec<_> = sealed.iter().map(|file| &file.sha256).collect();
    let mut again: Vec<_> = files.iter().map(|file| &file.encoded.sha256).collect();
    sealed.sort();
    again.sort();
    sealed == again
}

/// How a sealed edition compares with what its runs give.
#[derive(Debug)]
pub struct Checked {
    pub is_equal: bool,
    pub text: String,
}

/// Computes a sealed edition once more, from the entries that it names and the prices that it was sealed
/// with, and compares it row by row. Needs no signing key, and writes nothing to the archive. `pin`: the
/// SHA-256 of entry 1.
///
/// # Errors
/// When the archive is not the pinned or remembered one; when there is no such edition; when a run's file is
/// not the one that was sealed.
pub async fn check_rollup(
    shell: &Shell,
    config: &Config,
    quarter: Quarter,
    number: Option<u64>,
    pin: Option<&Sha256Hex>,
) -> Result<Checked, RunError> {
    let archive = open_store(shell, config, None).await?;
    let fetch = archive.as_fetch();
    if find(fetch).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: archive.url() });
    }
    let chain = read_chain(fetch).await?;
    memory::check_to_read(config, &archive.url(), &chain, pin)?;
    let (entry, seal) = edition_of(&chain, quarter, number).ok_or_else(|| RunError::NoEdition {
        quarter,
        edition: number,
        url: archive.url(),
    })?;
    let work = Work::create(
        config,
        &format!("rollup-check-{:08x}", u32::from_be_bytes(random()?)),
    )?;
    let mut wrong = Vec::new();
    let mut sealed = BTreeMap::new();
    let mut prices = None;
    for file in sealed_files(fetch, entry).await? {
        let Some(Name::Rollup { measure, .. }) = Name::parse(&file.name) else {
            continue;
        };
        let copy = work.path.join(format!("sealed-{measure}.parquet"));
        match records::copy_file(fetch, &file, &copy).await {
            Ok(()) if measure == Price::NAME => {
                let rows = crate::record::read_file::<Price>(&copy)?;
                prices = Some(rows.collect::<Result<Vec<_>, _>>()?);
            }
            Ok(()) => {}
            Err(error) if error.is_outage() => return Err(error.into()),
            Err(error) => wrong.push(format!("{measure}: {error}")),
        }
        sealed.insert(measure, file);
    }
    if prices.is_none() {
        wrong.push(format!(
            "without its table {} nothing can be computed",
            Price::NAME
        ));
    }
    if let Some(prices) = prices {
        let evidence = Evidence {
            fetch,
            work: &work.path,
        };
        let until = chain.until(seal.chain_to);
        let measures = compute(&evidence, &until, quarter, prices, &*shell.clock).await?;
        for again in measures.write(&work.path)? {
            let rows = again.encoded.rows;
            match sealed.remove(again.measure) {
                None => wrong.push(format!("{}: not sealed, {rows} rows now", again.measure)),
                Some(file) if file.rows_sha256.as_ref() == Some(&again.encoded.rows_sha256) => {}
                Some(file) => wrong.push(format!(
                    "{}: {} rows sealed, {rows} rows now, not the same ones",
                    again.measure,
                    file.rows.unwrap_or(0)
                )),
            }
        }
        wrong.extend(
            sealed
                .into_keys()
                .map(|measure| format!("{measure}: no longer computed")),
        );
        if !wrong.is_empty() && entry.statement.producer.config_sha256 != sql_sha256() {
            wrong.push(format!(
                "it was sealed by version {} with other SQL: check it with that program",
                entry.statement.producer.version
            ));
        }
    }
    let told = if wrong.is_empty() {
        "EQUAL"
    } else {
        "DIFFERENT"
    };
    let mut text = format!(
        "{told}      edition {} of {quarter}, chain {}, from entries {} to {}\n",
        seal.edition, entry.seq, seal.chain_from, seal.chain_to
    );
    for line in &wrong {
        text.push_str(&format!("  {line}\n"));
    }
    Ok(Checked {
        is_equal: wrong.is_empty(),
        text,
    })
}

async fn compute(
    evidence: &Evidence<'_>,
    chain: &Chain,
    quarter: Quarter,
    prices: Vec<Price>,
    clock: &dyn Clock,
) -> Result<Measures, RunError> {
    let mut inputs = RollupInputs::new(quarter);
    inputs.price = prices;
    inputs.folder = Some(evidence.work.to_owned());
    let began = clock.elapsed();
    let runs = sealed::of_record(chain);
    let needed = measures::dates_needed(quarter);
    // Of channels the latest run tells all that is asked.
    let latest = runs.range(quarter.first()..quarter.end()).next_back();
    let latest = latest.map(|(date, _)| *date);
    for (date, run) in &runs {
        let listed = run.all_files(evidence.fetch).await?;
        for (dataset, dates) in &needed {
            let is_asked = *dataset != Channel::NAME || Some(*date) == latest;
            if !is_asked || !dates.contains(date) {
                continue;
            }
            macro_rules! fetched {
                ($($row:ty),+) => { match *dataset {
                    $( <$row>::NAME => evidence.fetched::<$row>(&listed).await?, )+
                    _ => Vec::new(),
                } };
            }
            let files = fetched!(
                Account,
                Channel,
                Coverage,
                KmsKey,
                Launch,
                LogBucket,
                LogObjectSummary,
                Reencryption,
                Run,
                Verdict
            );
            if let Some(of_dataset) = inputs.files_mut(dataset) {
                of_dataset.extend(files);
            }
        }
    }
    // Those of events of the quarter, whenever they were made.
    let during = |seal: &BackfillSeal| seal.from < quarter.end() && quarter.first() <= seal.to;
    for (entry, _) in chain.backfills().filter(|(_, seal)| during(seal)) {
        let launches = evidence.files_of::<BackfilledLaunch>(entry).await?;
        inputs.backfilled_launch.extend(launches);
        let readings = evidence.files_of::<TrailReading>(entry).await?;
        inputs.trail_reading.extend(readings);
    }
    let compared = clock.elapsed();
    let most_bytes = half_of_memory();
    // The engine counts for each what several hold together: more than the process takes.
    inputs.pool_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX) / 3 * 4;
    let measures = tokio::select! {
        measures = measures::measures(&inputs, PARTITIONS) => measures?,
        () = holds_more_than(most_bytes) => return Err(RunError::Rollup(RollupError::Memory {
            detail: format!("the process takes {} MiB", most_bytes >> 20),
        })),
    };
    let (files, bytes) = inputs.size();
    tracing::info!(
        "{quarter} from {files} files, {:.1} MiB: compared in {:.3} s, SQL in {:.3} s",
        bytes as f64 / f64::from(1 << 20),
        compared.saturating_sub(began).as_secs_f64(),
        clock.elapsed().saturating_sub(compared).as_secs_f64()
    );
    Ok(measures)
}

/// What decides beside the facts: a rollup reads no configuration.
fn sql_sha256() -> Sha256Hex {
    let sql: String = measures::MEASURES.iter().map(|(_, sql)| *sql).collect();
    Sha256Hex::of(sql.as_bytes())
}

struct Sealing<'a> {
    shell: &'a Shell,
    store: &'a dyn Store,
    signer: &'a dyn Signer,
    run_id: RunId,
    label: Label,
    /// What was not found of the archive's protection.
    lacking: Lacking,
}

impl Sealing<'_> {
    /// Seals the measures as one entry.
    async fn seal(&self, chain: &mut Chain, files: &[MeasureFile]) -> Result<Edition, RunError> {
        let quarter = self.label.quarter;
        let named: Vec<(String, &Path, &Encoded)> = files
            .iter()
            .map(|file| {
                let name = layout::rollup(file.measure, file.version, quarter, &self.run_id);
                (name, file.path.as_path(), &file.encoded)
            })
            .collect();
        let edition = 1 + chain
            .rollups()
            .filter(|(_, r)| r.quarter == quarter)
            .count() as u64;
        let content = RollupSeal {
            run_id: self.run_id.clone(),
            quarter,
            edition,
            chain_from: 1,
            chain_to: chain.head().seq,
            rows: files
                .iter()
                .map(|file| (file.measure.to_owned(), file.encoded.rows))
                .collect(),
            unfinished: Some(self.label.unfinished),
        };
        let producer = producer(sql_sha256(), None, self.lacking.clone());
        let committed = record::seal(
            self.store,
            self.signer,
            &*self.shell.clock,
            chain,
            Period::Quarter(quarter),
            &named,
            (Content::Rollup(content), producer),
        )
        .await?;
        Ok(Edition {
            edition,
            chain_seq: committed.seq,
            chain_sha256: committed.sha256,
        })
    }
}
