//! Rows in key order to one Parquet file.
//!
//! A row becomes a canonical line, which is hashed, and a value in each column. Either takes about as
//! long as the other, so slices of rows go to two threads at once; the caller's thread makes rows
//! meanwhile. At most [`SLICES_WAITING`] slices wait for each.
//!
//! What makes the bytes repeat: rows strictly in key order, slices of exactly [`SLICE_ROWS`] rows,
//! row groups cut by count, a fixed writer name, no Arrow schema blob, and no dictionary where its
//! size limit would decide the layout (documents) or never help (times, ids, digests). Counts rather
//! than bytes, since estimated sizes depend on how rows were batched.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest as _, Sha256};

use super::error::RecordError;
use super::lines::LineWriter;
use super::schema::arrow_schema;
use crate::model::ids::Sha256Hex;
use crate::model::table::{Cell, Column, Dataset, Kind};

/// Rows handed to the Parquet writer at once, always exactly as many but for the last slice.
const SLICE_ROWS: usize = 1_024;
/// Slices that may wait for each of the two threads.
const SLICES_WAITING: usize = 1;
/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;
/// Rows of a row group where a document makes rows large.
const GROUP_ROWS_DOCUMENTS: usize = 4_096;
/// Beyond it a column goes on without a dictionary. What 65,536 clusters have in common, keys and
/// destinations, takes less.
const DICTIONARY_BYTES: usize = 16 << 20;
/// Of findings 3 leaves a sixth more bytes, 9 a hundredth fewer in twice the time.
const ZSTD_LEVEL: i32 = 6;
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
    Columns::new::<D>()
        .of(rows, &arrow_schema::<D>())
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
    thread::scope(|scope| {
        let (to_lines, slices) = sync_channel(SLICES_WAITING);
        let lines = scope.spawn(move || hash_lines(&slices));
        let (to_columns, slices) = sync_channel(SLICES_WAITING);
        let columns = scope.spawn(move || write_columns(path, file, &slices));
        let fed = feed(rows, &[to_lines, to_columns]);
        let written = finished(columns);
        let rows_sha256 = finished(lines);
        let count = fed?;
        let (sha256, bytes) = written?;
        Ok(Encoded {
            rows: count,
            rows_sha256,
            sha256,
            bytes,
        })
    })
}

/// What a thread gave; its panic is the caller's.
fn finished<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Rows of a file that follow one another.
type Rows<D> = Arc<Vec<D>>;

/// Checks the order of rows and hands them out in slices; gives their number. Whoever no longer takes
/// slices has an error of its own to tell, which ends the work.
fn feed<D: Dataset>(
    rows: impl Iterator<Item = Result<D, RecordError>>,
    takers: &[SyncSender<Rows<D>>],
) -> Result<u64, RecordError> {
    let hand_out = |slice: Vec<D>| {
        let slice = Arc::new(slice);
        let mut takers = takers.iter();
        takers.all(|taker| taker.send(Arc::clone(&slice)).is_ok())
    };
    let mut count = 0;
    let mut slice: Vec<D> = Vec::new();
    let mut previous: Option<D> = None;
    for row in rows {
        let row = row?;
        if let Some(previous) = slice.last().or(previous.as_ref()) {
            check_order(previous, &row)?;
        }
        slice.push(row);
        count += 1;
        if slice.len() == SLICE_ROWS {
            previous = slice.last().cloned();
            let full = std::mem::replace(&mut slice, Vec::with_capacity(SLICE_ROWS));
            if !hand_out(full) {
                return Ok(count);
            }
        }
    }
    if !slice.is_empty() {
        hand_out(slice);
    }
    Ok(count)
}

/// `rows_sha256` of the slices that arrive.
fn hash_lines<D: Dataset>(slices: &Receiver<Rows<D>>) -> Sha256Hex {
    let mut lines = LineWriter::<D>::new();
    let mut line = Vec::new();
    let mut digest = Sha256::new();
    for slice in slices {
        for row in slice.iter() {
            line.clear();
            lines.write(row, &mut line);
            line.push(b'\n');
            digest.update(&line);
        }
    }
    Sha256Hex::from_digest(&digest.finalize().into())
}

/// Writes the slices that arrive; digest and size of the file, which is then on disk.
fn write_columns<D: Dataset>(
    path: &Path,
    file: File,
    slices: &Receiver<Rows<D>>,
) -> Result<(Sha256Hex, u64), RecordError> {
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
    let mut columns = Columns::new::<D>();
    for slice in slices {
        let batch = columns.of(&slice, &schema).map_err(|e| failed(&e))?;
        // This thread has the more to do: the other one frees the rows.
        drop(slice);
        writer.write(&batch).map_err(|e| failed(&e))?;
    }
    let (file, digest, bytes) = writer
        .into_inner()
        .map_err(|e| failed(&e))?
        .finish()
        .map_err(io)?;
    file.sync_all().map_err(io)?;
    Ok((digest, bytes))
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
    let group_rows = if D::COLUMNS.iter().any(|column| is_document(column.name)) {
        GROUP_ROWS_DOCUMENTS
    } else {
        GROUP_ROWS
    };
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("a zstd level");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(CREATED_BY.to_owned())
        .set_max_row_group_row_count(Some(group_rows))
        .set_max_row_group_bytes(None)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (position, column) in D::COLUMNS.iter().enumerate() {
        let in_key = D::KEY.contains(&position);
        if let Some(encoding) = without_dictionary(column, in_key) {
            let path = ColumnPath::from(column.name.to_owned());
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding);
        }
    }
    properties.build()
}

/// Policies and the like, of up to 32 KiB. The parameters of a finding are short and repeat.
fn is_document(name: &str) -> bool {
    name.ends_with("_json") && name != "params_json"
}

/// How values are written that hardly repeat; all others get a dictionary. Every encoding here is of
/// Parquet 2.2 (2014) and read by DuckDB, pyarrow, Spark and Trino alike.
fn without_dictionary(column: &Column, in_key: bool) -> Option<Encoding> {
    let name = column.name;
    match column.kind {
        Kind::Instant => Some(Encoding::DELTA_BINARY_PACKED),
        Kind::Int if name.ends_with("_ms") => Some(Encoding::DELTA_BINARY_PACKED),
        Kind::Text if is_document(name) || name.ends_with("_sha256") => Some(Encoding::PLAIN),
        // In key order a value begins as the one before: with the same account, role or cluster.
        Kind::Text if matches!(name, "facts" | "principal" | "holder") => {
            Some(Encoding::DELTA_BYTE_ARRAY)
        }
        Kind::Text if name.ends_with("_id") && !name.ends_with("account_id") => Some(if in_key {
            Encoding::DELTA_BYTE_ARRAY
        } else {
            Encoding::PLAIN
        }),
        _ => None,
    }
}

/// A builder for each column.
struct Columns(Vec<Builder>);

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Instant(TimestampMillisecondBuilder),
    Date(Date32Builder),
}

impl Columns {
    fn new<D: Dataset>() -> Self {
        let builders = D::COLUMNS.iter().map(|column| match column.kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Int => Builder::Int(Int64Builder::new()),
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Instant => {
                Builder::Instant(TimestampMillisecondBuilder::new().with_timezone("UTC"))
            }
            Kind::Date => Builder::Date(Date32Builder::new()),
        });
        Self(builders.collect())
    }

    /// The rows as a batch.
    fn of<D: Dataset>(
        &mut self,
        rows: &[D],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let builders = self.0.iter_mut().enumerate();
        let columns = builders.map(|(position, builder)| {
            rows.iter().for_each(|row| builder.push(row.cell(position)));
            builder.finish()
        });
        RecordBatch::try_new(Arc::clone(schema), columns.collect())
    }
}

impl Builder {
    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Text(b), Cell::Text(text)) => b.append_value(text),
            (Self::Int(b), Cell::Int(value)) => b.append_value(value),
            (Self::Bool(b), Cell::Bool(value)) => b.append_value(value),
            (Self::Instant(b), Cell::Instant(instant)) => b.append_value(instant.0),
            (Self::Date(b), Cell::Date(date)) => b.append_value(date.days()),
            // `dataset!` derives kind and cell from one type, so what is left is Null; were it not,
            // the null in a required column makes the batch an error.
            (Self::Text(b), _) => b.append_null(),
            (Self::Int(b), _) => b.append_null(),
            (Self::Bool(b), _) => b.append_null(),
            (Self::Instant(b), _) => b.append_null(),
            (Self::Date(b), _) => b.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Text(b) => {
                // The next slice has about as much text: no growing again from nothing.
                let bytes = b.values_slice().len();
                let text = b.finish();
                *b = StringBuilder::with_capacity(SLICE_ROWS, bytes);
                return Arc::new(text);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_each_dataset;
    use crate::model::datasets::{Finding, Verdict};
    use crate::model::words::Judgement;
    use crate::record::read_bytes;
    use crate::testkit::{TempDir, verdict};

    fn verdicts(count: usize) -> impl Iterator<Item = Verdict> {
        (0..count).map(|n| verdict(&format!("j-{n:06}"), Judgement::Compliant, true))
    }

    fn encodings(of: &[u8]) -> Vec<(String, Vec<Encoding>)> {
        let bytes = bytes::Bytes::from(of.to_vec());
        let reader = parquet::file::reader::SerializedFileReader::new(bytes).expect("opens");
        let group = parquet::file::reader::FileReader::metadata(&reader).row_group(0);
        let columns = group.columns().iter();
        columns
            .map(|c| (c.column_path().string(), c.encodings().collect()))
            .collect()
    }

    #[test]
    fn what_hardly_repeats_has_no_dictionary_and_the_rest_has_one() {
        let dir = TempDir::new();
        let path = dir.path().join("rows");
        let mut rows: Vec<Verdict> = verdicts(3_000).collect();
        for (n, row) in rows.iter_mut().enumerate() {
            row.created_ms = Some(n as i64);
        }
        write_rows(&path, rows.into_iter().map(Ok)).expect("encodes");
        let found = encodings(&std::fs::read(&path).expect("read"));
        let has = |column: &str, encoding: Encoding| {
            let (_, of) = found
                .iter()
                .find(|(name, _)| name == column)
                .expect("column");
            of.contains(&encoding)
        };
        assert!(has("cluster_id", Encoding::DELTA_BYTE_ARRAY));
        assert!(has("created_ms", Encoding::DELTA_BINARY_PACKED));
        assert!(has("verdict", Encoding::RLE_DICTIONARY));
        assert!(!has("cluster_id", Encoding::RLE_DICTIONARY));
    }

    #[test]
    fn documents_and_digests_are_plain_and_parameters_are_not_documents() {
        let of = |column: &str| {
            let position = Finding::COLUMNS.iter().position(|c| c.name == column);
            without_dictionary(&Finding::COLUMNS[position.expect("column")], false)
        };
        assert_eq!(of("params_json"), None);
        assert_eq!(of("account_id"), None);
        assert_eq!(of("facts"), Some(Encoding::DELTA_BYTE_ARRAY));
        macro_rules! each {
            ($($dataset:ty),+) => { $(
                for column in <$dataset>::COLUMNS.iter().filter(|c| c.kind == Kind::Text) {
                    // As if it were part of the key.
                    let is_plain = without_dictionary(column, true) == Some(Encoding::PLAIN);
                    let document = is_document(column.name) || column.name.ends_with("_sha256");
                    assert_eq!(is_plain, document, "{}.{}", <$dataset>::NAME, column.name);
                }
            )+ };
        }
        for_each_dataset!(each);
    }

    #[test]
    fn order_is_checked_from_slice_to_slice() {
        let dir = TempDir::new();
        let path = dir.path().join("rows");
        for at in [SLICE_ROWS - 1, SLICE_ROWS, 2 * SLICE_ROWS] {
            let mut rows: Vec<Verdict> = verdicts(3 * SLICE_ROWS).collect();
            rows[at] = rows[at - 1].clone();
            let written = write_rows(&path, rows.into_iter().map(Ok));
            assert!(matches!(written, Err(RecordError::Duplicate { .. })));
            assert!(!path.exists());
        }
    }

    #[test]
    fn files_as_they_were_encoded_before_are_read() {
        let rows: Vec<Verdict> = verdicts(100).collect();
        let schema = arrow_schema::<Verdict>();
        let batch = Columns::new::<Verdict>().of(&rows, &schema).expect("batch");
        // A dictionary for each column, as in the first version.
        let properties = WriterProperties::builder().build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(properties)).expect("writer");
        writer.write(&batch).expect("writes");
        let bytes = writer.into_inner().expect("closes");
        let read: Result<Vec<Verdict>, _> = read_bytes("earlier", bytes).expect("opens").collect();
        assert_eq!(read.expect("rows"), rows);
    }
}
