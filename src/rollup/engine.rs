//! DataFusion over local evidence files: nothing but what a measure needs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::once;
use super::prices::Price;
use crate::engine::apart_async;
use crate::engine::bounded::{self, exhausted};
use crate::model::datasets::{
    Account, BackfilledLaunch, Channel, Coverage, KmsKey, Launch, LogBucket, LogObjectSummary,
    Reencryption, Run, TrailReading, Verdict,
};
use crate::model::table::Dataset;
use crate::record::{self, RecordError};
use crate::time::{Date, Quarter};

/// Memory that joining, grouping and keeping rows of a quarter takes, as the engine counts it, where nothing else
/// is said: two measures at a time.
const POOL_BYTES: usize = 4 * bounded::POOL_BYTES;

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
    /// Joining, grouping or keeping rows needs more than the limit, and cannot go on in files.
    #[error(
        "the quarter needs more memory than there is for it ({detail}): a rollup takes half of the machine's at \
         most; the same SQL, in schemas/kpi/, runs in Athena and DuckDB over the same archive"
    )]
    Memory { detail: String },
    /// The SQL engine failed; a damaged file shows up here.
    #[error("the query failed: {0}")]
    Query(String),
    /// The result does not have the columns of the measure.
    #[error(transparent)]
    Result(#[from] RecordError),
}

impl From<DataFusionError> for RollupError {
    fn from(e: DataFusionError) -> Self {
        match exhausted(&e) {
            Some(detail) => Self::Memory { detail },
            None => Self::Query(e.strip_backtrace()),
        }
    }
}

/// The verified files that measures are computed from: those of runs of record whose dates lie in
/// [`dates_needed`], each date's run once; and the prices.
#[derive(Debug, Clone)]
pub struct RollupInputs {
    pub account: Vec<PathBuf>,
    pub channel: Vec<PathBuf>,
    pub coverage: Vec<PathBuf>,
    pub kms_key: Vec<PathBuf>,
    pub launch: Vec<PathBuf>,
    pub log_bucket: Vec<PathBuf>,
    pub log_object_summary: Vec<PathBuf>,
    pub reencryption: Vec<PathBuf>,
    pub run: Vec<PathBuf>,
    pub verdict: Vec<PathBuf>,
    /// Of every sealed backfill of events of the quarter.
    pub backfilled_launch: Vec<PathBuf>,
    pub trail_reading: Vec<PathBuf>,
    /// In key order.
    pub price: Vec<Price>,
    pub quarter: Quarter,
    /// Where what does not fit into memory is put; without it nothing is put on disk.
    pub folder: Option<PathBuf>,
    /// Memory that all measures may take together.
    pub pool_bytes: usize,
}

impl RollupInputs {
    /// No files yet, and no prices.
    pub fn new(quarter: Quarter) -> Self {
        Self {
            account: Vec::new(),
            channel: Vec::new(),
            coverage: Vec::new(),
            kms_key: Vec::new(),
            launch: Vec::new(),
            log_bucket: Vec::new(),
            log_object_summary: Vec::new(),
            reencryption: Vec::new(),
            run: Vec::new(),
            verdict: Vec::new(),
            backfilled_launch: Vec::new(),
            trail_reading: Vec::new(),
            price: Vec::new(),
            quarter,
            folder: None,
            pool_bytes: POOL_BYTES,
        }
    }

    /// The files of a dataset that some measure reads; `None` of any other.
    pub fn files_mut(&mut self, dataset: &str) -> Option<&mut Vec<PathBuf>> {
        Some(match dataset {
            Account::NAME => &mut self.account,
            Channel::NAME => &mut self.channel,
            Coverage::NAME => &mut self.coverage,
            KmsKey::NAME => &mut self.kms_key,
            Launch::NAME => &mut self.launch,
            LogBucket::NAME => &mut self.log_bucket,
            LogObjectSummary::NAME => &mut self.log_object_summary,
            Reencryption::NAME => &mut self.reencryption,
            Run::NAME => &mut self.run,
            Verdict::NAME => &mut self.verdict,
            BackfilledLaunch::NAME => &mut self.backfilled_launch,
            TrailReading::NAME => &mut self.trail_reading,
            _ => return None,
        })
    }

    /// How many files, and bytes, there are.
    pub fn size(&self) -> (usize, u64) {
        let all = [
            &self.account,
            &self.channel,
            &self.coverage,
            &self.kms_key,
            &self.launch,
            &self.log_bucket,
            &self.log_object_summary,
            &self.reencryption,
            &self.run,
            &self.verdict,
            &self.backfilled_launch,
            &self.trail_reading,
        ];
        let files = all.into_iter().flatten();
        let bytes = files
            .clone()
            .map(|file| file.metadata().map_or(0, |m| m.len()));
        (files.count(), bytes.sum())
    }
}

/// Datasets that measures read, with the dates of runs that can matter to a quarter, half open; more
/// do no harm.
///
/// Runs that started up to 48 h before a quarter speak for its first hours, and a run may start 36 h
/// after its date's start; runs up to 48 h after it tell which clusters ended. What was not remediated
/// may have been found at any earlier date, and jobs may have begun then. Later runs tell of events
/// that came late. A quarter before 1970 needs no dates: no archive is so old.
pub fn dates_needed(quarter: Quarter) -> [(&'static str, Range<Date>); 10] {
    let (ever, always) = (Date::from_days(0), Date::from_days(i64::from(i32::MAX)));
    let within = |date: Date| date.max(ever);
    let (first, end) = (within(quarter.first()), within(quarter.end()));
    let (before, after) = (
        within(quarter.first().plus_days(-4)),
        within(quarter.end().plus_days(2)),
    );
    [
        (Account::NAME, before..after),
        // Of the quarter's latest run only.
        (Channel::NAME, first..end),
        (Coverage::NAME, ever..always),
        (KmsKey::NAME, first..end),
        (Launch::NAME, first..always),
        (LogBucket::NAME, first..end),
        (LogObjectSummary::NAME, first..end),
        (Reencryption::NAME, ever..end),
        (Run::NAME, ever..always),
        (Verdict::NAME, ever..after),
    ]
}

/// The files as tables, which every measure has a session of its own over: what measures put beside the
/// tables have the same names. They share memory, and what was read of the files' footers.
#[derive(Clone)]
pub(super) struct Engine {
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    tables: Vec<(&'static str, Arc<dyn TableProvider>)>,
    quarter: Quarter,
}

impl Engine {
    pub(super) fn over(
        inputs: &RollupInputs,
        target_partitions: usize,
    ) -> Result<Self, RollupError> {
        let config = SessionConfig::new()
            .with_target_partitions(target_partitions.max(1))
            .with_information_schema(false);
        let price = record::batch_of_rows(&inputs.price)?;
        let price = MemTable::try_new(price.schema(), vec![vec![price]])?;
        let tables: Vec<(&'static str, Arc<dyn TableProvider>)> = vec![
            table::<Account>(&inputs.account)?,
            table::<Channel>(&inputs.channel)?,
            table::<Coverage>(&inputs.coverage)?,
            table::<KmsKey>(&inputs.kms_key)?,
            table::<Launch>(&inputs.launch)?,
            table::<LogBucket>(&inputs.log_bucket)?,
            table::<LogObjectSummary>(&inputs.log_object_summary)?,
            table::<Reencryption>(&inputs.reencryption)?,
            table::<Run>(&inputs.run)?,
            table::<Verdict>(&inputs.verdict)?,
            table::<BackfilledLaunch>(&inputs.backfilled_launch)?,
            table::<TrailReading>(&inputs.trail_reading)?,
            (Price::NAME, Arc::new(price)),
        ];
        Ok(Self {
            config,
            runtime: bounded::runtime(inputs.folder.as_deref(), inputs.pool_bytes)?,
            tables,
            quarter: inputs.quarter,
        })
    }

    /// Does `work` over a session, apart: a file that makes the engine panic must end as an error.
    pub(super) async fn apart<T, F>(
        &self,
        work: impl FnOnce(SessionContext) -> F + Send + 'static,
    ) -> Result<T, RollupError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RollupError>>,
    {
        let engine = self.clone();
        let done = apart_async(move || async move { work(engine.session().await?).await });
        done.await.unwrap_or_else(|| {
            Err(RollupError::Query(
                "the engine gave up on a file".to_owned(),
            ))
        })
    }

    async fn session(&self) -> Result<SessionContext, RollupError> {
        let runtime = Arc::clone(&self.runtime);
        let session = SessionContext::new_with_config_rt(self.config.clone(), runtime);
        for (name, table) in &self.tables {
            session.register_table(*name, Arc::clone(table))?;
        }
        let (first, end) = (self.quarter.first(), self.quarter.end());
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
}

/// Ratios and means, which a statement derives at its outside: by name, one value a row.
pub type Ratios = BTreeMap<String, Vec<Option<f64>>>;

/// The rows that the SQL of one measure gives, as `D`, and beside them what is derived.
pub(super) async fn measure<D: Dataset>(
    session: &SessionContext,
    sql: &str,
) -> Result<(Vec<D>, Ratios), RollupError> {
    let mut rows = Vec::new();
    let mut ratios = Ratios::new();
    for batch in once::rows(session, sql).await? {
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if let Some(derived) = column.as_primitive_opt::<Float64Type>() {
                let values = ratios.entry(field.name().clone()).or_default();
                values.extend(derived.iter());
            }
        }
        let batch = with_types_of::<D>(&batch)?;
        rows.extend(record::rows_of_batch(D::NAME, &batch)?);
    }
    Ok((rows, ratios))
}

/// Makes the rows of one measure a table that another reads.
pub(super) fn register_rows<D: Dataset>(
    session: &SessionContext,
    rows: &[D],
) -> Result<(), RollupError> {
    let batch = record::batch_of_rows(rows)?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    session.register_table(D::NAME, Arc::new(table))?;
    Ok(())
}

/// The files of a dataset as one table, with our schema rather than the files': a column that an old file
/// lacks reads as null.
fn table<D: Dataset>(
    files: &[PathBuf],
) -> Result<(&'static str, Arc<dyn TableProvider>), RollupError> {
    let schema = as_views(&record::arrow_schema::<D>());
    if files.is_empty() {
        let table = MemTable::try_new(schema, vec![vec![]])?;
        return Ok((D::NAME, Arc::new(table)));
    }
    let urls = files
        .iter()
        .map(|file| url(file))
        .collect::<Result<Vec<_>, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(schema);
    Ok((D::NAME, Arc::new(ListingTable::try_new(config)?)))
}

/// Texts as views of what was read: a column repeats few, most are short, and none of them is copied.
fn as_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
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
pub(super) async fn check_runs(session: &SessionContext) -> Result<(), RollupError> {
    let twice = "SELECT scheduled_for FROM run \
                 GROUP BY scheduled_for HAVING COUNT(*) > 1 ORDER BY scheduled_for LIMIT 1";
    if let Some(date) = first_text(session, twice).await? {
        return Err(RollupError::TwoRuns { date });
    }
    for dataset in [
        Account::NAME,
        Channel::NAME,
        Coverage::NAME,
        KmsKey::NAME,
        Launch::NAME,
        LogBucket::NAME,
        LogObjectSummary::NAME,
        Reencryption::NAME,
        Verdict::NAME,
    ] {
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
