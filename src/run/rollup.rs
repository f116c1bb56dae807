//! `keyproof rollup`: a quarter's measures from sealed runs and backfills, sealed in turn.

use std::path::Path;

use crate::archive::chain::{Chain, Entry};
use crate::archive::layout;
use crate::archive::records;
use crate::archive::signer::Signer;
use crate::archive::store::Store;
use crate::config::Config;
use crate::model::datasets::{
    Account, BackfilledLaunch, Channel, Coverage, KmsKey, Launch, LogBucket, LogObjectSummary,
    Reencryption, Run, TrailReading, Verdict,
};
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset as _;
use crate::record::Encoded;
use crate::rollup::{self as measures, MeasureFile, Measures, Price, RollupInputs};
use crate::seal::{BackfillSeal, Content, Lacking, Period, RollupSeal};
use crate::time::{Clock, Quarter};

use super::anchor::anchor;
use super::archive::{AtUrl, KeyFile, find, open_signer, open_store, read_chain};
use super::evidence::Evidence;
use super::work::Work;
use super::{RunError, Shell, memory, producer, random, record, sealed};

/// Tasks that the SQL engine may split into; the result does not depend on it.
const PARTITIONS: usize = 2;

/// What is to be rolled up.
#[derive(Debug, Clone)]
pub struct RollupRequest {
    pub quarter: Quarter,
    /// What costs are reckoned with; `None`: the program's own prices.
    pub prices: Option<Vec<Price>>,
    /// Whether a new edition is sealed.
    pub seal: bool,
}

impl RollupRequest {
    /// Sealed, with the program's own prices.
    pub fn new(quarter: Quarter) -> Self {
        Self {
            quarter,
            prices: None,
            seal: true,
        }
    }
}

/// A computed quarter.
#[derive(Debug)]
pub struct RolledUp {
    pub measures: Measures,
    pub text: String,
}

/// Computes the measures of a quarter from runs of record and, when asked to, seals them as a new
/// edition. Where the newest edition has the same bytes, it stands and nothing is sealed.
pub async fn rollup(
    shell: &Shell,
    config: &Config,
    request: &RollupRequest,
) -> Result<RolledUp, RunError> {
    let quarter = request.quarter;
    let archive = open_store(shell, config, None).await?;
    if find(archive.as_fetch()).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: archive.url() });
    }
    let run_id = RunId::new(shell.clock.now(), random()?);
    let work = Work::create(config, &format!("rollup-{run_id}"))?;
    if !request.seal {
        let evidence = Evidence {
            fetch: archive.as_fetch(),
            work: &work.path,
        };
        let chain = read_chain(archive.as_fetch()).await?;
        memory::check_to_read(config, &archive.url(), &chain)?;
        let measures = compute(&evidence, &chain, request, &*shell.clock).await?;
        let shown = measures::summary(&measures, quarter, shell.clock.now());
        let text = format!("{shown}\nNot sealed.\n");
        return Ok(RolledUp { measures, text });
    }
    let signer = open_signer(shell, config, None, KeyFile::Load).await?;
    let mut chain = read_chain(archive.as_fetch()).await?;
    chain.check_signer(signer.public_key())?;
    memory::check_to_read(config, &archive.url(), &chain)?;
    let archive = archive.for_writing(config).await?;
    let lacking = archive.lacking();
    let store = archive.store;
    let evidence = Evidence {
        fetch: store.as_fetch(),
        work: &work.path,
    };
    let measures = compute(&evidence, &chain, request, &*shell.clock).await?;
    let shown = measures::summary(&measures, quarter, shell.clock.now());
    let files = measures.write(&work.path)?;
    if let Some((entry, edition)) = standing(store.as_ref(), &chain, quarter, &files).await? {
        let text = format!(
            "{shown}\nNothing new: edition {} of {quarter} stands, chain {}\n",
            edition.edition, entry.seq,
        );
        return Ok(RolledUp { measures, text });
    }
    let sealing = Sealing {
        shell,
        store: store.as_ref(),
        signer: signer.as_ref(),
        run_id,
        quarter,
        lacking,
    };
    let told = sealing.seal(&mut chain, &files).await?;
    anchor(shell, config, store.as_ref(), &chain).await;
    let text = format!("{shown}\n{told}");
    Ok(RolledUp { measures, text })
}

async fn compute(
    evidence: &Evidence<'_>,
    chain: &Chain,
    request: &RollupRequest,
    clock: &dyn Clock,
) -> Result<Measures, RunError> {
    let quarter = request.quarter;
    let mut inputs = RollupInputs::new(quarter);
    inputs.price = match &request.prices {
        Some(prices) => prices.clone(),
        None => measures::parse_prices(measures::DEFAULT_PRICES)
            .map_err(|e| RunError::Internal(format!("the program's own prices: {e}")))?,
    };
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
    let measures = measures::measures(&inputs, PARTITIONS).await?;
    let (files, bytes) = inputs.size();
    tracing::info!(
        "{quarter} from {files} files, {:.1} MiB: compared in {:.3} s, SQL in {:.3} s",
        bytes as f64 / f64::from(1 << 20),
        compared.saturating_sub(began).as_secs_f64(),
        clock.elapsed().saturating_sub(compared).as_secs_f64()
    );
    Ok(measures)
}

/// The newest edition of the quarter, where it has the bytes of `files`.
async fn standing<'c>(
    store: &dyn Store,
    chain: &'c Chain,
    quarter: Quarter,
    files: &[MeasureFile],
) -> Result<Option<(&'c Entry, &'c RollupSeal)>, RunError> {
    let mut editions = chain.rollups().filter(|(_, r)| r.quarter == quarter);
    let Some(newest) = editions.next_back() else {
        return Ok(None);
    };
    let manifest = records::read_manifest(store.as_fetch(), newest.0).await?;
    let sealed = manifest.files.iter().map(|file| &file.sha256);
    let mut sealed: Vec<_> = sealed.collect();
    let mut again: Vec<_> = files.iter().map(|file| &file.encoded.sha256).collect();
    sealed.sort();
    again.sort();
    Ok((sealed == again).then_some(newest))
}

struct Sealing<'a> {
    shell: &'a Shell,
    store: &'a dyn Store,
    signer: &'a dyn Signer,
    run_id: RunId,
    quarter: Quarter,
    /// What was not found of the archive's protection.
    lacking: Lacking,
}

impl Sealing<'_> {
    /// Seals the measures as one entry, and says so.
    async fn seal(&self, chain: &mut Chain, files: &[MeasureFile]) -> Result<String, RunError> {
        let named: Vec<(String, &Path, &Encoded)> = files
            .iter()
            .map(|file| {
                let name = layout::rollup(file.measure, file.version, self.quarter, &self.run_id);
                (name, file.path.as_path(), &file.encoded)
            })
            .collect();
        let edition = 1 + chain
            .rollups()
            .filter(|(_, r)| r.quarter == self.quarter)
            .count() as u64;
        let content = RollupSeal {
            run_id: self.run_id.clone(),
            quarter: self.quarter,
            edition,
            chain_from: 1,
            chain_to: chain.head().seq,
            rows: files
                .iter()
                .map(|file| (file.measure.to_owned(), file.encoded.rows))
                .collect(),
        };
        // A rollup reads no configuration; the SQL is what decides.
        let sql: String = measures::MEASURES.iter().map(|(_, sql)| *sql).collect();
        let producer = producer(Sha256Hex::of(sql.as_bytes()), None, self.lacking.clone());
        let committed = record::seal(
            self.store,
            self.signer,
            &*self.shell.clock,
            chain,
            Period::Quarter(self.quarter),
            &named,
            (Content::Rollup(content), producer),
        )
        .await?;
        Ok(format!(
            "Sealed     edition {edition} of {}, chain {}, head {}\n",
            self.quarter,
            committed.seq,
            &committed.sha256.as_str()[..12]
        ))
    }
}
