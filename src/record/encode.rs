//! Rows in key order to one Parquet file.
//!
//! What makes the bytes repeat: rows strictly in key order, slices of exactly [`SLICE_ROWS`] rows,
//! row groups cut by count, a fixed writer name, no Arrow schema blob, and no dictionary where its
//! size limit would decide the layout (`*_json`) or never help (`*_sha256`). Counts rather than
//! bytes, since estimated sizes depend on how rows were batched.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest as _, Sha256};

use super::error::RecordError;
use super::lines::LineWriter;
use super::schema::arrow_schema;
use crate::model::ids::Sha256Hex;
use crate::model::table::{Cell, Dataset, Kind};

/// Rows handed to the Parquet writer at once, always exactly as many but for the last slice.
const SLICE_ROWS: usize = 8_192;
/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;
/// Rows of a row group where a `*_json` column makes rows large.
const GROUP_ROWS_JSON: usize = 4_096;
/// Constant, so that a rebuilt program writes the same file; in the form `name version x (build y)`,
/// without which parquet-mr distrusts statistics.
const CREATED_BY: &str = "keyproof version 1.0.0 (build 1)";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub rows: u64,
    /// SHA-256 of the canonical JSON lines in row order, a line feed after each.
    pub rows_sha256: Sha256Hex,
    /// SHA-256 of the file.
    pub sha256: Sha256Hex,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes `rows` to a new Parquet file at `path`, hashing it on the way, and syncs it to disk. No
/// rows make a valid empty file. On an error nothing is left at `path`.
///
/// # Errors
/// [`RecordError::OutOfOrder`] and [`RecordError::Duplicate`] unless rows arrive strictly increasing
/// by primary key; whatever `rows` yields; I/O errors, an existing `path` among them.
pub fn write_rows<D: Dataset>(
    path: &Path,
    rows: impl Iterator<Item = Result<D, RecordError>>,
) -> Result<Encoded, RecordError> {
    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::create_new(path).map_err(io)?;
    let written = write_to(path, file, rows);
    if written.is_err() {
        // The first error is the one to report; a leftover is a temporary that nobody lists.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Rows as one Arrow batch, for an engine that reads them from memory.
///
/// # Errors
/// [`RecordError::Encode`] when Arrow refuses them.
pub fn batch_of_rows<D: Dataset>(rows: &[D]) -> Result<RecordBatch, RecordError> {
    let mut slice = Slice::new::<D>();
    for row in rows {
        slice.push(row);
    }
    slice
        .finish(&arrow_schema::<D>())
        .map_err(|e| RecordError::Encode {
            file: D::NAME.to_owned(),
            detail: e.to_string(),
        })
}

fn write_to<D: Dataset>(
    path: &Path,
    file: File,
    rows: impl Iterator<Item = Result<D, RecordError>>,
) -> Result<Encoded, RecordError> {
    let failed = |e: &dyn std::fmt::Display| RecordError::Encode {
        file: path.display().to_string(),
        detail: e.to_string(),
    };
    let io = |source| RecordError::Io {
        path: path.to_owned(),
        source,
    };
    let schema = arrow_schema::<D>();
    let options = ArrowWriterOptions::new()
        .with_properties(properties::<D>())
        // The blob repeats the Parquet schema in a form that differs between arrow versions.
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(HashingFile::new(file), schema.clone(), options)
            .map_err(|e| failed(&e))?;

    let mut slice = Slice::new::<D>();
    let mut lines = LineWriter::<D>::new();
    let mut line = Vec::new();
    let mut rows_digest = Sha256::new();
    let mut count = 0u64;
    let mut previous: Option<D> = None;
    for row in rows {
        let row = row?;
        if let Some(previous) = &previous {
            check_order(previous, &row)?;
        }
        line.clear();
        lines.write(&row, &mut line);
        line.push(b'\n');
        rows_digest.update(&line);
        slice.push(&row);
        count += 1;
        if slice.rows == SLICE_ROWS {
            let batch = slice.finish(&schema).map_err(|e| failed(&e))?;
            writer.write(&batch).map_err(|e| failed(&e))?;
        }
        previous = Some(row);
    }
    if slice.rows > 0 {
        let batch = slice.finish(&schema).map_err(|e| failed(&e))?;
        writer.write(&batch).map_err(|e| failed(&e))?;
    }
    let (file, digest, bytes) = writer
        .into_inner()
        .map_err(|e| failed(&e))?
        .finish()
        .map_err(io)?;
    file.sync_all().map_err(io)?;
    Ok(Encoded {
        rows: count,
        rows_sha256: Sha256Hex::from_digest(&rows_digest.finalize().into()),
        sha256: digest,
        bytes,
    })
}

fn check_order<D: Dataset>(previous: &D, row: &D) -> Result<(), RecordError> {
    match previous.key_order(row) {
        std::cmp::Ordering::Less => Ok(()),
        std::cmp::Ordering::Equal => Err(RecordError::Duplicate {
            dataset: D::NAME,
            key: key_text(row),
        }),
        std::cmp::Ordering::Greater => Err(RecordError::OutOfOrder {
            dataset: D::NAME,
            key: key_text(row),
            previous: key_text(previous),
        }),
    }
}

/// The primary key of a row for a person: values with a slash between.
fn key_text<D: Dataset>(row: &D) -> String {
    let values: Vec<String> = D::KEY
        .iter()
        .map(|&position| match row.cell(position) {
            Cell::Null => "null".to_owned(),
            Cell::Text(text) => text.into_owned(),
            Cell::Int(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Instant(instant) => instant.to_string(),
            Cell::Date(date) => date.to_string(),
        })
        .collect();
    values.join("/")
}

fn properties<D: Dataset>() -> WriterProperties {
    let is_json = |name: &str| name.ends_with("_json");
    let group_rows = if D::COLUMNS.iter().any(|c| is_json(c.name)) {
        GROUP_ROWS_JSON
    } else {
        GROUP_ROWS
    };
    let level = ZstdLevel::try_new(3).expect("3 is a zstd level");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(CREATED_BY.to_owned())
        .set_max_row_group_row_count(Some(group_rows))
        .set_max_row_group_bytes(None)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in D::COLUMNS {
        if is_json(column.name) || column.name.ends_with("_sha256") {
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::from(column.name.to_owned()), false);
        }
    }
    properties.build()
}

/// Column builders of the slice being filled.
struct Slice {
    columns: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Instant(TimestampMillisecondBuilder),
    Date(Date32Builder),
}

impl Slice {
    fn new<D: Dataset>() -> Self {
        let columns = D::COLUMNS
            .iter()
            .map(|column| match column.kind {
                Kind::Text => Builder::Text(StringBuilder::new()),
                Kind::Int => Builder::Int(Int64Builder::new()),
                Kind::Bool => Builder::Bool(BooleanBuilder::new()),
                Kind::Instant => {
                    Builder::Instant(TimestampMillisecondBuilder::new().with_timezone("UTC"))
                }
                Kind::Date => Builder::Date(Date32Builder::new()),
            })
            .collect();
        Self { columns, rows: 0 }
    }

    fn push<D: Dataset>(&mut self, row: &D) {
        for (position, column) in self.columns.iter_mut().enumerate() {
            match (column, row.cell(position)) {
                (Builder::Text(b), Cell::Text(text)) => b.append_value(text),
                (Builder::Int(b), Cell::Int(value)) => b.append_value(value),
                (Builder::Bool(b), Cell::Bool(value)) => b.append_value(value),
                (Builder::Instant(b), Cell::Instant(instant)) => b.append_value(instant.0),
                (Builder::Date(b), Cell::Date(date)) => b.append_value(date.days()),
                // `dataset!` derives kind and cell from one type, so what is left is Null; were it
                // not, the null in a required column makes the batch an error.
                (Builder::Text(b), _) => b.append_null(),
                (Builder::Int(b), _) => b.append_null(),
                (Builder::Bool(b), _) => b.append_null(),
                (Builder::Instant(b), _) => b.append_null(),
                (Builder::Date(b), _) => b.append_null(),
            }
        }
        self.rows += 1;
    }

    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

impl Builder {
    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Text(b) => b,
            Self::Int(b) => b,
            Self::Bool(b) => b,
            Self::Instant(b) => b,
            Self::Date(b) => b,
        };
        builder.finish()
    }
}

/// A file that is hashed while it is written, so that it need not be read again.
struct HashingFile {
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
}

impl HashingFile {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(1 << 16, file),
            digest: Sha256::new(),
            bytes: 0,
        }
    }

    fn finish(self) -> Result<(File, Sha256Hex, u64), std::io::Error> {
        let digest = Sha256Hex::from_digest(&self.digest.finalize().into());
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok((file, digest, self.bytes))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
