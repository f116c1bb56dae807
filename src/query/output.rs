//! Rows to text or bytes.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::writer::JsonArray;
use datafusion::execution::SendableRecordBatchStream;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::error::QueryError;
use super::table;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: 80 columns.
    Table,
    /// With a header line; null is the empty field.
    Csv,
    /// One array of objects; null is written out.
    Json,
    Parquet,
}

pub(super) async fn write<W: Write + Send>(
    rows: SendableRecordBatchStream,
    format: Format,
    to: W,
) -> Result<u64, QueryError> {
    let mut to = Told { to, failed: None };
    let written = write_to(rows, format, &mut to).await;
    // The writers of formats put what the disk or the pipe said into words of their own.
    match to.failed {
        Some(error) => Err(QueryError::Write(error)),
        None => written,
    }
}

/// A writer that keeps why it failed.
struct Told<W> {
    to: W,
    failed: Option<std::io::Error>,
}

impl<W> Told<W> {
    fn told<T>(&mut self, done: std::io::Result<T>) -> std::io::Result<T> {
        done.map_err(|e| {
            let kind = e.kind();
            if kind != std::io::ErrorKind::Interrupted {
                self.failed = Some(e);
            }
            kind.into()
        })
    }
}

impl<W: Write> Write for Told<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let done = self.to.write(bytes);
        self.told(done)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let done = self.to.flush();
        self.told(done)
    }
}

async fn write_to<W: Write + Send>(
    mut rows: SendableRecordBatchStream,
    format: Format,
    mut to: W,
) -> Result<u64, QueryError> {
    let schema = rows.schema();
    let mut count = 0;
    match format {
        Format::Table => {
            let mut table = table::Table::new(&schema);
            while let Some(batch) = next(&mut rows).await? {
                table.add(&batch)?;
            }
            count = table.count;
            to.write_all(table.render().as_bytes())?;
        }
        Format::Csv => {
            // The header, when there is no row that would bring it along.
            let empty = RecordBatch::new_empty(schema);
            let mut csv = arrow::csv::WriterBuilder::new()
                .with_header(true)
                .build(&mut to);
            csv.write(&empty).map_err(arrow_error)?;
            while let Some(batch) = next(&mut rows).await? {
                count += batch.num_rows() as u64;
                csv.write(&batch).map_err(arrow_error)?;
            }
        }
        Format::Json => {
            let mut json = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, JsonArray>(&mut to);
            while let Some(batch) = next(&mut rows).await? {
                count += batch.num_rows() as u64;
                json.write(&batch).map_err(arrow_error)?;
            }
            json.finish().map_err(arrow_error)?;
            to.write_all(b"\n")?;
        }
        Format::Parquet => {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .build();
            let writer = ArrowWriter::try_new(&mut to, schema, Some(properties));
            let mut writer = writer.map_err(parquet_error)?;
            while let Some(batch) = next(&mut rows).await? {
                count += batch.num_rows() as u64;
                writer.write(&batch).map_err(parquet_error)?;
            }
            writer.close().map_err(parquet_error)?;
        }
    }
    to.flush()?;
    Ok(count)
}

async fn next(rows: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, QueryError> {
    let batch = std::future::poll_fn(|context| rows.as_mut().poll_next(context)).await;
    batch.transpose().map_err(QueryError::engine)
}

pub(super) fn arrow_error(error: ArrowError) -> QueryError {
    match error {
        ArrowError::IoError(_, source) => QueryError::Write(source),
        other => QueryError::Engine(other.to_string()),
    }
}

fn parquet_error(error: ParquetError) -> QueryError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => QueryError::Write(*io),
            Err(other) => QueryError::Engine(other.to_string()),
        },
        other => QueryError::Engine(other.to_string()),
    }
}
