//! DataFusion over local evidence files: nothing but what a measure needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::model::datasets::{Account, Coverage, Run, Verdict};
use crate::model::table::Dataset;
use crate::record::{self, RecordError};
use crate::time::{Date, Quarter};

/// Why a measure could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// A path that cannot stand in a URL.
    #[error("{} cannot be read: its name is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The files hold two runs for one date, so at most one of them is the run of record.
    #[error("{date} has more than one run among the files")]
    TwoRuns { date: String },
    /// Rows of a date whose run is not among the files.
    #[error("{dataset} has rows of {date}, but the run of that date is not among the files")]
    NoRun { dataset: &'static str, date: String },
    /// The SQL engine failed; a damaged file shows up here.
    #[error("the query failed: {0}")]
    Query(String),
    /// The result does not have the columns of the measure.
    #[error(transparent)]
    Result(#[from] RecordError),
}

impl From<DataFusionError> for RollupError {
    fn from(e: DataFusionError) -> Self {
        Self::Query(e.strip_backtrace())
    }
}

/// The verified files that a measure is computed from: those of the runs of record whose dates lie in
/// [`dates_needed`], each date's run once.
#[derive(Debug, Clone)]
pub struct RollupInputs {
    pub account: Vec<PathBuf>,
    pub coverage: Vec<PathBuf>,
    pub run: Vec<PathBuf>,
    pub verdict: Vec<PathBuf>,
    pub quarter: Quarter,
}

/// The half-open range of dates whose runs can matter to a quarter. Runs that started up to 48 h
/// before it speak for its first hours, and a run may start 36 h after its date's start; runs up to
/// 48 h after it tell which clusters ended.
pub fn dates_needed(quarter: Quarter) -> (Date, Date) {
    (quarter.first().plus_days(-4), quarter.end().plus_days(2))
}

/// Runs the SQL of one measure over `inputs` and reads its rows as `D`. Columns that `D` does not
/// have (derived ratios) are left out.
pub(super) async fn measure<D: Dataset>(
    inputs: &RollupInputs,
    sql: &'static str,
    target_partitions: usize,
) -> Result<Vec<D>, RollupError> {
    let inputs = inputs.clone();
    // In a task of its own: a file that makes the engine panic must end as an error.
    let task = tokio::spawn(async move {
        let session = session(&inputs, target_partitions).await?;
        check_runs(&session).await?;
        let batches = session.sql(sql).await?.collect().await?;
        let mut rows = Vec::new();
        for batch in batches {
            let batch = with_types_of::<D>(&batch)?;
            rows.extend(record::rows_of_batch(D::NAME, &batch)?);
        }
        Ok(rows)
    });
    task.await
        .unwrap_or_else(|e| Err(RollupError::Query(e.to_string())))
}

async fn session(
    inputs: &RollupInputs,
    target_partitions: usize,
) -> Result<SessionContext, RollupError> {
    let config = SessionConfig::new()
        .with_target_partitions(target_partitions.max(1))
        .with_information_schema(false);
    let session = SessionContext::new_with_config(config);
    register::<Account>(&session, &inputs.account)?;
    register::<Coverage>(&session, &inputs.coverage)?;
    register::<Run>(&session, &inputs.run)?;
    register::<Verdict>(&session, &inputs.verdict)?;
    let (first, end) = (inputs.quarter.first(), inputs.quarter.end());
    session
        .sql(&format!(
            "CREATE VIEW quarter AS SELECT DATE '{first}' AS first_day, DATE '{end}' AS end_day, \
             CAST({} AS BIGINT) AS start_ms, CAST({} AS BIGINT) AS end_ms",
            first.start().0,
            end.start().0
        ))
        .await?;
    Ok(session)
}

/// Makes files one table under the dataset's name, with our schema rather than the files': a column
/// that an old file lacks reads as null.
fn register<D: Dataset>(session: &SessionContext, files: &[PathBuf]) -> Result<(), RollupError> {
    let schema = record::arrow_schema::<D>();
    if files.is_empty() {
        let table = MemTable::try_new(schema, vec![vec![]])?;
        session.register_table(D::NAME, Arc::new(table))?;
        return Ok(());
    }
    let urls = files
        .iter()
        .map(|file| url(file))
        .collect::<Result<Vec<_>, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(schema);
    session.register_table(D::NAME, Arc::new(ListingTable::try_new(config)?))?;
    Ok(())
}

/// A file URL with every unusual byte escaped: DataFusion takes `*`, `?` and `[` in a bare path for a
/// pattern.
fn url(file: &Path) -> Result<ListingTableUrl, RollupError> {
    let bad = || RollupError::Path(file.to_owned());
    let path = std::path::absolute(file).map_err(|_| bad())?;
    let mut url = "file://".to_owned();
    for byte in path.to_str().ok_or_else(bad)?.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~=".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(ListingTableUrl::parse(url)?)
}

/// The measures count every row they are given, so a date must have one run, and rows a run.
async fn check_runs(session: &SessionContext) -> Result<(), RollupError> {
    let twice = "SELECT scheduled_for FROM run \
                 GROUP BY scheduled_for HAVING COUNT(*) > 1 ORDER BY scheduled_for LIMIT 1";
    if let Some(date) = first_text(session, twice).await? {
        return Err(RollupError::TwoRuns { date });
    }
    for dataset in [Account::NAME, Coverage::NAME, Verdict::NAME] {
        let orphan = format!(
            "SELECT scheduled_for FROM {dataset} \
             WHERE scheduled_for NOT IN (SELECT scheduled_for FROM run) \
             ORDER BY scheduled_for LIMIT 1"
        );
        if let Some(date) = first_text(session, &orphan).await? {
            return Err(RollupError::NoRun { dataset, date });
        }
    }
    Ok(())
}

async fn first_text(session: &SessionContext, sql: &str) -> Result<Option<String>, RollupError> {
    let batches = session.sql(sql).await?.collect().await?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0);
    let Some(batch) = first else { return Ok(None) };
    let text = arrow::util::display::array_value_to_string(batch.column(0), 0)
        .map_err(|e| RollupError::Query(e.to_string()))?;
    Ok(Some(text))
}

/// The columns of `D` out of a result, in its types: engines have several for text.
fn with_types_of<D: Dataset>(batch: &RecordBatch) -> Result<RecordBatch, RollupError> {
    let schema = record::arrow_schema::<D>();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let Some(column) = batch.column_by_name(field.name()) else {
            continue;
        };
        let to: &DataType = field.data_type();
        columns.push(cast(column, to).map_err(|e| RollupError::Query(e.to_string()))?);
        fields.push(Field::new(field.name(), to.clone(), true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|e| RollupError::Query(e.to_string()))
}
