//! All measures of a quarter together.

use std::path::{Path, PathBuf};

use super::compliant_share::{COMPLIANT_SHARE_SQL, CompliantShare};
use super::engine::{RollupError, RollupInputs, measure, register_rows, with_session};
use super::key_cost::{KEY_COST_SQL, KeyCost};
use super::launch_attempts::{LAUNCH_ATTEMPTS_SQL, LaunchAttempts};
use super::logs_reencrypted::{LOGS_REENCRYPTED_SQL, LogsReencrypted};
use super::prices::Price;
use super::remediation::{REMEDIATION_SQL, Remediation, TIME_TO_REMEDIATE_SQL, TimeToRemediate};
use crate::model::table::Dataset;
use crate::record::{self, Encoded, RecordError, dataset_page};

/// Every measure with its SQL, in the order in which they are computed: `time_to_remediate` reads
/// what `remediation` gives.
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
}

/// The file of one measure.
#[derive(Debug, Clone)]
pub struct MeasureFile {
    pub measure: &'static str,
    pub version: u32,
    pub path: PathBuf,
    pub encoded: Encoded,
}

/// Computes every measure; the same for any `target_partitions`. A quarter without runs has rows of the
/// organization, with nothing in them.
///
/// Must be called inside a Tokio runtime.
///
/// # Errors
/// [`RollupError`]: files that cannot be read, two runs for a date, rows without their run.
pub async fn measures(
    inputs: &RollupInputs,
    target_partitions: usize,
) -> Result<Measures, RollupError> {
    let price = inputs.price.clone();
    with_session(inputs, target_partitions, |session| async move {
        let compliant_share = measure(&session, COMPLIANT_SHARE_SQL).await?;
        let remediation: Vec<Remediation> = measure(&session, REMEDIATION_SQL).await?;
        register_rows(&session, &remediation)?;
        Ok(Measures {
            compliant_share,
            remediation,
            time_to_remediate: measure(&session, TIME_TO_REMEDIATE_SQL).await?,
            launch_attempts: measure(&session, LAUNCH_ATTEMPTS_SQL).await?,
            logs_reencrypted: measure(&session, LOGS_REENCRYPTED_SQL).await?,
            key_cost: measure(&session, KEY_COST_SQL).await?,
            price,
        })
    })
    .await
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
    /// Every measure as one JSON object: the name of each with its rows. Instants are milliseconds.
    pub fn json(&self) -> String {
        fn member<D: Dataset>(rows: &[D]) -> String {
            let lines: Vec<String> = rows
                .iter()
                .map(|row| {
                    let mut line = Vec::new();
                    record::canonical_line(row, &mut line);
                    String::from_utf8_lossy(&line).into_owned()
                })
                .collect();
            format!("\"{}\":[{}]", D::NAME, lines.join(","))
        }
        let members = [
            member(&self.compliant_share),
            member(&self.remediation),
            member(&self.time_to_remediate),
            member(&self.launch_attempts),
            member(&self.logs_reencrypted),
            member(&self.key_cost),
            member(&self.price),
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
