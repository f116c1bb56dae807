//! `keyproof rollup`: a quarter's measures from sealed runs, sealed in turn.

use std::path::Path;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitRequest};
use crate::archive::layout;
use crate::archive::store::{Store, Stored};
use crate::config::Config;
use crate::model::datasets::{Account, Coverage, Run, Verdict};
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::record;
use crate::rollup::{self as measures, CompliantShare, RollupInputs};
use crate::seal::{Content, Lacking, Manifest, Period, RollupSeal};
use crate::time::Quarter;

use super::anchor::anchor;
use super::archive::{AtUrl, KeyFile, find, open_signer, open_store, read_chain};
use super::evidence::Evidence;
use super::record::{entry, put};
use super::work::Work;
use super::{RunError, Shell, memory, producer, random, sealed};

/// Tasks that the SQL engine may split into; the result does not depend on it.
const PARTITIONS: usize = 2;

/// A computed quarter.
#[derive(Debug)]
pub struct RolledUp {
    pub rows: Vec<CompliantShare>,
    pub text: String,
}

/// Computes the measures of `quarter` from runs of record and, when `seal` is true, seals them as a
/// new edition.
pub async fn rollup(
    shell: &Shell,
    config: &Config,
    quarter: Quarter,
    seal: bool,
) -> Result<RolledUp, RunError> {
    let archive = open_store(shell, config, None).await?;
    if find(archive.as_fetch()).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: archive.url() });
    }
    let run_id = RunId::new(shell.clock.now(), random()?);
    let work = Work::create(config, &format!("rollup-{run_id}"))?;
    if !seal {
        let evidence = Evidence {
            fetch: archive.as_fetch(),
            work: &work.path,
        };
        let chain = read_chain(archive.as_fetch()).await?;
        memory::check(config, &archive.url(), &chain)?;
        let rows = compute(&evidence, &chain, quarter).await?;
        let text = format!("{}\nNot sealed.\n", measures::table(&rows));
        return Ok(RolledUp { rows, text });
    }
    let signer = open_signer(shell, config, None, KeyFile::Load).await?;
    let mut chain = read_chain(archive.as_fetch()).await?;
    chain.check_signer(signer.public_key())?;
    memory::check(config, &archive.url(), &chain)?;
    let archive = archive.for_writing(config).await?;
    let lacking = archive.lacking();
    let store = archive.store;
    let evidence = Evidence {
        fetch: store.as_fetch(),
        work: &work.path,
    };
    let rows = compute(&evidence, &chain, quarter).await?;
    let file = work.path.join("compliant_share.parquet");
    let encoded = record::write_rows(&file, rows.iter().cloned().map(Ok))?;
    let sealing = Sealing {
        shell,
        store: store.as_ref(),
        signer: signer.as_ref(),
        run_id,
        quarter,
        lacking,
    };
    let done = sealing.seal(&mut chain, &file, encoded, &rows).await?;
    anchor(shell, config, store.as_ref(), &chain).await;
    Ok(done)
}

async fn compute(
    evidence: &Evidence<'_>,
    chain: &Chain,
    quarter: Quarter,
) -> Result<Vec<CompliantShare>, RunError> {
    let (first, end) = measures::dates_needed(quarter);
    let mut inputs = RollupInputs {
        account: Vec::new(),
        coverage: Vec::new(),
        run: Vec::new(),
        verdict: Vec::new(),
        quarter,
    };
    for run in sealed::of_record(chain)
        .range(first..end)
        .map(|(_, run)| run)
    {
        inputs.account.extend(evidence.files::<Account>(run).await?);
        inputs
            .coverage
            .extend(evidence.files::<Coverage>(run).await?);
        inputs.run.extend(evidence.files::<Run>(run).await?);
        inputs.verdict.extend(evidence.files::<Verdict>(run).await?);
    }
    Ok(measures::compliant_share(&inputs, PARTITIONS).await?)
}

struct Sealing<'a> {
    shell: &'a Shell,
    store: &'a dyn Store,
    signer: &'a dyn crate::archive::signer::Signer,
    run_id: RunId,
    quarter: Quarter,
    /// What was not found of the archive's protection.
    lacking: Lacking,
}

impl Sealing<'_> {
    async fn seal(
        &self,
        chain: &mut Chain,
        file: &Path,
        encoded: record::Encoded,
        rows: &[CompliantShare],
    ) -> Result<RolledUp, RunError> {
        let clock = &*self.shell.clock;
        let name = layout::rollup(
            CompliantShare::NAME,
            CompliantShare::VERSION,
            self.quarter,
            &self.run_id,
        );
        // The manifest is written before the file, so it holds no word of how the file is kept.
        let listed = entry(name.clone(), encoded.clone(), &Stored::default());
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            self.run_id.clone(),
            Period::Quarter(self.quarter),
            vec![listed],
            Vec::new(),
        )
        .map_err(|e| RunError::Internal(e.to_string()))?;
        // The manifest first: a rollup has no start, and this is how its leftovers are recognised.
        commit::write_manifest(self.store, clock, &manifest)
            .await
            .map_err(|e| super::archive::store_error(self.store.url(), e))?;
        put(self.store, clock, &name, file, &encoded).await?;
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
            rows: [(CompliantShare::NAME.to_owned(), encoded.rows)].into(),
        };
        // A rollup reads no configuration; the SQL is what decides.
        let sql = Sha256Hex::of(measures::COMPLIANT_SHARE_SQL.as_bytes());
        let request = CommitRequest {
            content: Content::Rollup(content),
            manifest: &manifest,
            producer: producer(sql, None, self.lacking.clone()),
        };
        let committed = commit::commit(self.store, self.signer, clock, chain, &request).await?;
        let text = format!(
            "{}\nSealed     edition {edition} of {}, chain {}, head {}\n",
            measures::table(rows),
            self.quarter,
            committed.seq,
            &committed.sha256.as_str()[..12]
        );
        Ok(RolledUp {
            rows: rows.to_vec(),
            text,
        })
    }
}
