//! The files behind the views, and the engine over them.
//!
//! ```text
//! <folder>/<dataset>/file_sha256=<hex>/rows.parquet    a fetched file; its digest becomes a column
//! <folder>/<view>/quarter=<yyyyQn>/edition=<n>/…/file_sha256=<hex>/rows.parquet
//!                                                      a file of a sealed rollup
//! <folder>/<view>/rows.parquet                         a view that is no dataset
//! <folder>/datafusion-<random>/                        what a query could not hold in memory
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::ScalarUDF;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::ask::{Question, SCHEMA};
use super::error::QueryError;
use super::makers::{Bounded, MAKERS};
use super::output::{self, Format};
use super::tables::{FILE_SHA256, OF_EDITION, RollupFile, for_each_table, rollup_view};
use crate::engine::apart_async;
use crate::engine::bounded::{self, POOL_BYTES};
use crate::model::ids::Sha256Hex;
use crate::model::table::Dataset;
use crate::record;
use crate::{for_each_backfilled, for_each_dataset, for_each_rollup};

/// A folder with the files of views. Views without files are empty.
#[derive(Debug, Clone)]
pub struct Views {
    folder: PathBuf,
    pool_bytes: usize,
}

impl Views {
    /// Views whose files are put below `folder`, which exists and is nobody else's.
    pub fn below(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            pool_bytes: POOL_BYTES,
        }
    }

    /// The same views with another limit on memory.
    #[cfg(test)]
    pub(super) fn with_pool(self, pool_bytes: usize) -> Self {
        Self { pool_bytes, ..self }
    }

    /// Where a file with rows of a dataset is to be put, before the question is answered. Its digest is
    /// `sha256`.
    pub fn place(&self, dataset: &str, sha256: &Sha256Hex) -> Result<PathBuf, QueryError> {
        let folder = self.folder.join(dataset);
        Self::file_in(&folder.join(format!("{FILE_SHA256}={sha256}")))
    }

    /// The same for a file of a sealed rollup, which is a row of [`RollupFile`]; none where it is of no
    /// measure of this program.
    pub fn place_rollup(&self, file: &RollupFile) -> Result<Option<PathBuf>, QueryError> {
        let Some(view) = rollup_view(&file.measure) else {
            return Ok(None);
        };
        let values = [
            file.quarter.clone(),
            file.edition.to_string(),
            file.newest_edition.to_string(),
            file.unfinished.to_string(),
        ];
        let mut folder = self.folder.join(view);
        for (column, value) in OF_EDITION.iter().zip(values) {
            folder.push(format!("{column}={value}"));
        }
        folder.push(format!("{FILE_SHA256}={}", file.file_sha256));
        Self::file_in(&folder).map(Some)
    }

    /// Gives the rows of a view that is no dataset, in key order.
    pub fn set<D: Dataset>(&self, rows: Vec<D>) -> Result<(), QueryError> {
        let path = Self::file_in(&self.folder.join(D::NAME))?;
        record::write_rows(&path, rows.into_iter().map(Ok))?;
        Ok(())
    }

    fn file_in(folder: &Path) -> Result<PathBuf, QueryError> {
        std::fs::create_dir_all(folder).map_err(|e| QueryError::Local {
            path: folder.to_owned(),
            detail: e.to_string(),
        })?;
        Ok(folder.join("rows.parquet"))
    }

    /// Answers a question and gives the number of rows. Rows are written as they come, a table once the
    /// first of them are there and all are counted. The rows and their order are the same for any `target_partitions` where the statement
    /// orders them.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`]; what was written before is then not to be used.
    pub async fn answer<W: Write + Send + 'static>(
        &self,
        question: &Question,
        format: Format,
        target_partitions: usize,
        to: W,
    ) -> Result<u64, QueryError> {
        let session = self.session(target_partitions)?;
        let state = session.state();
        let question = question.clone();
        // Apart: a file that makes the engine panic must end as an error.
        let answered = apart_async(move || async move {
            let plan = state
                .statement_to_plan(question.statement()?)
                .await
                .map_err(QueryError::plan)?;
            let nothing_else = Question::options().verify_plan(&plan);
            nothing_else.map_err(|_| {
                QueryError::NotReading("what makes or changes a table (SELECT … INTO)".to_owned())
            })?;
            let frame = session.execute_logical_plan(plan).await;
            let frame = frame.map_err(QueryError::engine)?;
            let rows = frame.execute_stream().await.map_err(QueryError::engine)?;
            output::write(rows, format, to).await
        });
        answered.await.unwrap_or_else(|| {
            let why = "it gave up: a file it cannot bear, or no memory for its threads";
            Err(QueryError::Engine(why.to_owned()))
        })
    }

    fn session(&self, target_partitions: usize) -> Result<SessionContext, QueryError> {
        let config = SessionConfig::new()
            .with_target_partitions(target_partitions.max(1))
            .with_default_catalog_and_schema("awsdatacatalog", SCHEMA)
            .with_information_schema(false);
        let runtime = bounded::runtime(Some(&self.folder), self.pool_bytes);
        let runtime = runtime.map_err(QueryError::engine)?;
        let session = SessionContext::new_with_config_rt(config, runtime);
        for name in MAKERS {
            let made = session.udf(name).map_err(QueryError::engine)?;
            session.register_udf(ScalarUDF::new_from_impl(Bounded(made)));
        }
        // Paths begin at the folder, and there is no other store: nothing outside can be read.
        let store = LocalFileSystem::new_with_prefix(&self.folder)
            .map_err(|e| QueryError::Engine(e.to_string()))?;
        let local = ObjectStoreUrl::local_filesystem();
        session.register_object_store(local.as_ref(), Arc::new(store));
        macro_rules! datasets {
            ($($row:ty),+) => { $(
                self.register(
                    &session,
                    <$row>::NAME,
                    record::arrow_schema::<$row>(),
                    &[(FILE_SHA256, DataType::Utf8)],
                )?;
            )+ };
        }
        for_each_dataset!(datasets);
        for_each_backfilled!(datasets);
        macro_rules! tables {
            ($($row:ty),+) => { $(
                self.register(&session, <$row>::NAME, record::arrow_schema::<$row>(), &[])?;
            )+ };
        }
        for_each_table!(tables);
        let [quarter, edition, newest, unfinished] = OF_EDITION;
        let of_edition = [
            (quarter, DataType::Utf8),
            (edition, DataType::Int64),
            (newest, DataType::Boolean),
            (unfinished, DataType::Boolean),
            (FILE_SHA256, DataType::Utf8),
        ];
        macro_rules! rollups {
            ($($row:ty),+) => { $(
                if let Some(view) = rollup_view(<$row>::NAME) {
                    self.register(&session, view, record::arrow_schema::<$row>(), &of_edition)?;
                }
            )+ };
        }
        for_each_rollup!(rollups);
        Ok(session)
    }

    /// Makes a view with our schema rather than the files': a column that an old file lacks reads as
    /// null, one that we do not know is not there. `by_path`: columns that stand in the files' path.
    fn register(
        &self,
        session: &SessionContext,
        name: &'static str,
        schema: SchemaRef,
        by_path: &[(&str, DataType)],
    ) -> Result<(), QueryError> {
        let columns = by_path.iter();
        let columns = columns.map(|(column, kind)| ((*column).to_owned(), kind.clone()));
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
            .with_file_extension(".parquet")
            .with_table_partition_cols(columns.collect());
        let url = ListingTableUrl::parse(format!("file:///{name}/"));
        let config = ListingTableConfig::new(url.map_err(QueryError::engine)?)
            .with_listing_options(options)
            .with_schema(schema);
        let table = ListingTable::try_new(config).map_err(QueryError::engine)?;
        let registered = session.register_table(name, Arc::new(table));
        registered.map_err(QueryError::engine)?;
        Ok(())
    }
}
