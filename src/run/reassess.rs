//! `keyproof assess --run-id`: recomputes the findings of a sealed run from its sealed facts.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::archive::store::Fetch;
use crate::archive::{layout, records};
use crate::assess::{self, RuleConfig};
use crate::config::Config;
use crate::model::datasets::{
    Account, Channel, EmrCluster, EmrSecurityConfiguration, Finding, KmsKey, LogBucket, Verdict,
};
use crate::model::ids::RunId;
use crate::model::table::Dataset;
use crate::record::{self, Journal};

use super::archive::{open_store, read_chain};
use super::evidence::Evidence;
use super::judge::{Inputs, judge};
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, Shell, exceptions, random};

/// What recomputing showed.
#[derive(Debug)]
pub struct Reassessed {
    /// Whether every dataset of conclusions has the sealed rows.
    pub equal: bool,
    pub text: String,
}

/// The part of a start file that judging reads.
#[derive(Deserialize)]
struct Sealed {
    config: SealedInputs,
}

#[derive(Deserialize)]
struct SealedInputs {
    rules: RuleConfig,
    has_account_list: bool,
    waivers: serde_json::Value,
}

/// Judges the sealed facts of `run_id` again and compares the conclusions with the sealed ones.
pub async fn reassess(
    shell: &Shell,
    config: &Config,
    run_id: &RunId,
) -> Result<Reassessed, RunError> {
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    let chain = read_chain(fetch).await?;
    let run = sealed::find(&chain, run_id).ok_or_else(|| RunError::NoSuchRun {
        run_id: run_id.clone(),
        url: fetch.url(),
    })?;
    let name = format!("assess-{:08x}", u32::from_be_bytes(random()?));
    let work = Work::create(config, &name)?;
    recompute(fetch, &run, &work.path).await
}

async fn recompute(
    fetch: &dyn Fetch,
    run: &SealedRun,
    work: &Path,
) -> Result<Reassessed, RunError> {
    let inputs = inputs(fetch, run).await?;
    let waivers = exceptions::unsealed(&inputs.waivers).ok_or_else(|| RunError::Changed {
        name: layout::start(run.seal.start_n),
    })?;
    let evidence = Evidence { fetch, work };
    let journal = Journal::create(&work.join("journal"))?;
    evidence.copy::<Account>(run, &journal, |_| true).await?;
    evidence.copy::<EmrCluster>(run, &journal, |_| true).await?;
    evidence
        .copy::<EmrSecurityConfiguration>(run, &journal, |_| true)
        .await?;
    evidence.copy::<KmsKey>(run, &journal, |_| true).await?;
    evidence.copy::<LogBucket>(run, &journal, |_| true).await?;
    let judged = Inputs {
        scheduled_for: run.seal.scheduled_for,
        as_of: run.seal.started_at,
        has_account_list: inputs.has_account_list,
        rules: &inputs.rules,
        waivers: &waivers,
    };
    judge(&journal, &journal, &judged)?;

    let mut text = format!(
        "Run {} for {}, rule set {}\n",
        run.seal.run_id,
        run.seal.scheduled_for,
        assess::RULES_VERSION
    );
    let mut equal = true;
    macro_rules! compare {
        ($($row:ty),+) => { $(
            equal &= compare::<$row>(fetch, run, &journal, work, &mut text).await?;
        )+ };
    }
    compare!(Channel, Finding, Verdict);
    let result = if equal {
        "Recomputed from the sealed facts: every conclusion is as sealed."
    } else {
        "DIFFERENT from what was sealed (exit 5): another rule set, or conclusions that do not \
         follow from the facts."
    };
    let _ = writeln!(text, "{result}");
    Ok(Reassessed { equal, text })
}

async fn inputs(fetch: &dyn Fetch, run: &SealedRun) -> Result<SealedInputs, RunError> {
    let name = layout::start(run.seal.start_n);
    let sealed = run
        .start(fetch)
        .await?
        .ok_or_else(|| RunError::Changed { name: name.clone() })?;
    let bytes = records::read_file(fetch, &sealed).await?;
    serde_json::from_slice::<Sealed>(&bytes)
        .map(|sealed| sealed.config)
        .map_err(|e| RunError::Local {
            path: name,
            detail: e.to_string(),
        })
}

async fn compare<D: Dataset>(
    fetch: &dyn Fetch,
    run: &SealedRun,
    journal: &Journal,
    work: &Path,
    text: &mut String,
) -> Result<bool, RunError> {
    let again = record::write_rows(&work.join(D::NAME), journal.rows::<D>())?;
    let files = run.files(fetch, D::NAME, D::VERSION).await?;
    let equal = match files.as_slice() {
        [one] => one.rows_sha256.as_ref() == Some(&again.rows_sha256),
        _ => false,
    };
    let word = if equal { "equal" } else { "DIFFERENT" };
    let _ = writeln!(text, "  {:<10}{:>10} rows  {word}", D::NAME, again.rows);
    Ok(equal)
}
