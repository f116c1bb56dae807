//! All measures of a quarter together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use datafusion::prelude::SessionContext;
use tokio::sync::Semaphore;

use super::compliant_share::{COMPLIANT_SHARE_SQL, CompliantShare};
use super::engine::{
    Engine, Ratios, RollupError, RollupInputs, check_runs, measure, register_rows,
};
use super::key_cost::{KEY_COST_SQL, KeyCost};
use super::launch_attempts::{LAUNCH_ATTEMPTS_SQL, LaunchAttempts};
use super::logs_reencrypted::{LOGS_REENCRYPTED_SQL, LogsReencrypted};
use super::prices::Price;
use super::remediation::{REMEDIATION_SQL, Remediation, TIME_TO_REMEDIATE_SQL, TimeToRemediate};
use crate::model::ids::Sha256Hex;
use crate::model::table::Dataset;
use crate::record::{self, Encoded, RecordError, dataset_page};
use crate::time::Quarter;

/// Every measure with its SQL, in an order in which they can be computed: `time_to_remediate` reads what
/// `remediation` gives.
pub const MEASURES: [(&str, &str); 6] = [
    (CompliantShare::NAME, COMPLIANT_SHARE_SQL),
    (Remediation::NAME, REMEDIATION_SQL),
    (TimeToRemediate::NAME, TIME_TO_REMEDIATE_SQL),
    (LaunchAttempts::NAME, LAUNCH_ATTEMPTS_SQL),
    (LogsReencrypted::NAME, LOGS_REENCRYPTED_SQL),
    (KeyCost::NAME, KEY_COST_SQL),
];

/// The measures of one quarter; rows of each in key order.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    pub compliant_share: Vec<CompliantShare>,
    pub remediation: Vec<Remediation>,
    pub time_to_remediate: Vec<TimeToRemediate>,
    pub launch_attempts: Vec<LaunchAttempts>,
    pub logs_reencrypted: Vec<LogsReencrypted>,
    pub key_cost: Vec<KeyCost>,
    /// What `key_cost` reckoned with.
    pub price: Vec<Price>,
    /// What is derived of the rows, by measure; not sealed.
    pub ratios: BTreeMap<&'static str, Ratios>,
}

/// What a reader must know beside the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub quarter: Quarter,
    /// The quarter is not over: what is to come is not in the figures.
    pub unfinished: bool,
    /// The edition that has these figures; none where nothing was sealed.
    pub sealed: Option<Edition>,
}

/// A sealed edition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    pub edition: u64,
    /// The entry of the chain.
    pub chain_seq: u64,
    pub chain_sha256: Sha256Hex,
}

/// The file of one measure.
#[derive(Debug, Clone)]
pub struct MeasureFile {
    pub measure: &'static str,
    pub version: u32,
    pub path: PathBuf,
    pub encoded: Encoded,
}

/// Measures that are computed at the same time.
const AT_ONCE: usize = 2;

/// Computes every measure, [`AT_ONCE`] at a time, each split into `target_partitions`; the same for any
/// number. A quarter without runs has rows of the organization, with nothing in them.
///
/// Must be called inside a Tokio runtime.
///
/// # Errors
/// [`RollupError`]: files that cannot be read, two runs for a date, rows without their run, too little
/// memory.
pub async fn measures(
    inputs: &RollupInputs,
    target_partitions: usize,
) -> Result<Measures, RollupError> {
    let engine = Engine::over(inputs, target_partitions)?;
    let turns = Semaphore::new(AT_ONCE);
    macro_rules! computed {
        ($row:ty, $sql:expr) => {
            in_turn(&turns, &engine, |session| async move {
                measure::<$row>(&session, $sql).await
            })
        };
    }
    let intervals = in_turn(&turns, &engine, |session| async move {
        let (intervals, _) = measure::<Remediation>(&session, REMEDIATION_SQL).await?;
        register_rows(&session, &intervals)?;
        let times = measure::<TimeToRemediate>(&session, TIME_TO_REMEDIATE_SQL).await?;
        Ok((intervals, times))
    });
    // What takes longest begins first.
    let (checked, compliant_share, intervals, launch_attempts, key_cost, logs_reencrypted) = tokio::join!(
        in_turn(&turns, &engine, |session| async move {
            check_runs(&session).await
        }),
        computed!(CompliantShare, COMPLIANT_SHARE_SQL),
        intervals,
        computed!(LaunchAttempts, LAUNCH_ATTEMPTS_SQL),
        computed!(KeyCost, KEY_COST_SQL),
        computed!(LogsReencrypted, LOGS_REENCRYPTED_SQL),
    );
    // Whatever measures make of files that do not fit together, this is what is wrong.
    checked?;
    let mut ratios = BTreeMap::new();
    let compliant_share = derived(compliant_share?, &mut ratios);
    let (remediation, time_to_remediate) = intervals?;
    Ok(Measures {
        compliant_share,
        remediation,
        time_to_remediate: derived(time_to_remediate, &mut ratios),
        launch_attempts: derived(launch_attempts?, &mut ratios),
        logs_reencrypted: derived(logs_reencrypted?, &mut ratios),
        key_cost: derived(key_cost?, &mut ratios),
        price: inputs.price.clone(),
        ratios,
    })
}

async fn in_turn<T, F>(
    turns: &Semaphore,
    engine: &Engine,
    work: impl FnOnce(SessionContext) -> F + Send + 'static,
) -> Result<T, RollupError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RollupError>>,
{
    let _turn = turns.acquire().await;
    engine.apart(work).await
}

/// Puts what is derived of a measure beside the others.
fn derived<D: Dataset>(
    (rows, derived): (Vec<D>, Ratios),
    ratios: &mut BTreeMap<&'static str, Ratios>,
) -> Vec<D> {
    if !derived.is_empty() {
        ratios.insert(D::NAME, derived);
    }
    rows
}

impl Measures {
    /// Writes one file for each measure, and one for the prices, into `folder`.
    ///
    /// # Errors
    /// [`RecordError`]: the folder cannot be written to, or holds such files.
    pub fn write(&self, folder: &Path) -> Result<Vec<MeasureFile>, RecordError> {
        Ok(vec![
            write(folder, &self.compliant_share)?,
            write(folder, &self.remediation)?,
            write(folder, &self.time_to_remediate)?,
            write(folder, &self.launch_attempts)?,
            write(folder, &self.logs_reencrypted)?,
            write(folder, &self.key_cost)?,
            write(folder, &self.price)?,
        ])
    }
}

impl Measures {
    /// Every measure as one JSON object: `rollup`, what a reader must know beside them, then the name of
    /// each with its rows, ratios at the end of a row. Instants are milliseconds.
    pub fn json(&self, label: &Label) -> String {
        fn member<D: Dataset>(rows: &[D], ratios: &Ratios) -> String {
            let lines = rows.iter().enumerate().map(|(n, row)| {
                let mut line = Vec::new();
                record::canonical_line(row, &mut line);
                let mut line = String::from_utf8_lossy(&line).trim_end().to_owned();
                for (name, values) in ratios {
                    let value = values.get(n).copied().flatten();
                    line.truncate(line.len() - 1);
                    line.push_str(&format!(",\"{name}\":{}}}", serde_json::json!(value)));
                }
                line
            });
            format!("\"{}\":[{}]", D::NAME, lines.collect::<Vec<_>>().join(","))
        }
        let none = Ratios::new();
        let of = |name: &'static str| self.ratios.get(name).unwrap_or(&none);
        let sealed = label.sealed.as_ref();
        let label = serde_json::json!({
            "quarter": label.quarter.to_string(),
            "unfinished": label.unfinished,
            "sealed": sealed.is_some(),
            "edition": sealed.map(|sealed| sealed.edition),
            "chain_seq": sealed.map(|sealed| sealed.chain_seq),
            "chain_sha256": sealed.map(|sealed| sealed.chain_sha256.to_string()),
        });
        let members = [
            format!("\"rollup\":{label}"),
            member(&self.compliant_share, of(CompliantShare::NAME)),
            member(&self.remediation, of(Remediation::NAME)),
            member(&self.time_to_remediate, of(TimeToRemediate::NAME)),
            member(&self.launch_attempts, of(LaunchAttempts::NAME)),
            member(&self.logs_reencrypted, of(LogsReencrypted::NAME)),
            member(&self.key_cost, of(KeyCost::NAME)),
            member(&self.price, of(Price::NAME)),
        ];
        format!("{{{}}}\n", members.join(","))
    }
}

fn write<D: Dataset>(folder: &Path, rows: &[D]) -> Result<MeasureFile, RecordError> {
    let path = folder.join(format!("rollup-{}.parquet", D::NAME));
    let encoded = record::write_rows(&path, rows.iter().cloned().map(Ok))?;
    Ok(MeasureFile {
        measure: D::NAME,
        version: D::VERSION,
        path,
        encoded,
    })
}

/// Calls a macro with the row type of every table of a sealed rollup.
#[macro_export]
macro_rules! for_each_rollup {
    ($call:ident) => {
        $call! {
            $crate::rollup::CompliantShare,
            $crate::rollup::KeyCost,
            $crate::rollup::LaunchAttempts,
            $crate::rollup::LogsReencrypted,
            $crate::rollup::Price,
            $crate::rollup::Remediation,
            $crate::rollup::TimeToRemediate
        }
    };
}

/// Generated schema files of the rollups, as [`crate::record::schema_files`] gives those of datasets.
pub fn schema_files() -> Vec<(String, String)> {
    fn page<D: Dataset>() -> (String, String) {
        (format!("rollups/{}.md", D::NAME), dataset_page::<D>())
    }
    vec![
        page::<CompliantShare>(),
        page::<Remediation>(),
        page::<TimeToRemediate>(),
        page::<LaunchAttempts>(),
        page::<LogsReencrypted>(),
        page::<KeyCost>(),
        page::<Price>(),
    ]
}
