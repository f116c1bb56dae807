//! A Parquet file back to rows, one batch at a time.
//!
//! Old and new meet here: a column that the file does not have yet reads as null where the column may
//! be null, and a column that this program does not know is left alone. Anything else that differs is
//! an error naming file and column.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Date32Type, Fields, Int64Type, TimestampMillisecondType};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;

use super::error::RecordError;
use super::schema::arrow_type;
use crate::model::table::{Cell, Dataset, Kind};
use crate::time::{Date, UtcMillis};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;
/// What a row group may claim to unpack to. Ours hold at most 65,536 rows; the largest rows are
/// cut at 4,096.
const GROUP_BYTES: i64 = 1 << 30;

/// The rows of a local Parquet file; errors as [`read_rows`].
pub fn read_file<D: Dataset>(path: &Path) -> Result<RowReader<D>, RecordError> {
    let file = File::open(path).map_err(|source| RecordError::Io {
        path: path.to_owned(),
        source,
    })?;
    read_rows(&path.display().to_string(), file)
}

/// The rows of a Parquet file in memory; errors as [`read_rows`].
pub fn read_bytes<D: Dataset>(file: &str, bytes: Vec<u8>) -> Result<RowReader<D>, RecordError> {
    read_rows(file, Bytes::from(bytes))
}

/// The rows of a Parquet file in file order; `file` is its name in errors. After an error the
/// iterator ends.
///
/// # Errors
/// At once when the file is no Parquet file of this dataset, on the way when a page is damaged or a
/// value does not fit its column.
pub fn read_rows<D: Dataset>(
    file: &str,
    source: impl ChunkReader + 'static,
) -> Result<RowReader<D>, RecordError> {
    let (reader, columns) = guarded(file, || open::<D>(file, source))?;
    Ok(RowReader {
        file: file.to_owned(),
        reader: Some(reader),
        columns,
        batch: Vec::new(),
        next: 0,
        batch_rows: 0,
        rows: 0,
        row_type: std::marker::PhantomData,
    })
}

/// The rows of a batch that has the columns of `D` by name, as an SQL engine returns them; `source` is
/// its name in errors.
///
/// # Errors
/// As [`read_rows`], for columns and values.
pub fn rows_of_batch<D: Dataset>(source: &str, batch: &RecordBatch) -> Result<Vec<D>, RecordError> {
    let places = places::<D>(source, batch.schema().fields())?;
    let columns: Vec<Values> = D::COLUMNS
        .iter()
        .zip(places)
        .map(|(column, place)| Values::of(batch, place, column.kind))
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            D::from_cells(|position| columns[position].cell(row)).map_err(|source_error| {
                RecordError::Cell {
                    file: source.to_owned(),
                    row: row as u64,
                    source: source_error,
                }
            })
        })
        .collect()
}

/// Turns a panic of the Parquet reader into an error. Its decoders index, divide and assert by what the
/// file says: of 60,000 files with flipped bits 172 made parquet 59 panic. Evidence that cannot be
/// read must be named by `verify` and `rollup`, not end them. Nothing of the reader is used after a
/// panic.
fn guarded<T>(file: &str, read: impl FnOnce() -> Result<T, RecordError>) -> Result<T, RecordError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(RecordError::Malformed {
            file: file.to_owned(),
            detail: "the reader gave up on its structure".to_owned(),
        })
    })
}

/// The reader, and for each column of `D` its place in what the reader yields.
fn open<D: Dataset>(
    file: &str,
    source: impl ChunkReader + 'static,
) -> Result<(ParquetRecordBatchReader, Vec<Option<usize>>), RecordError> {
    let malformed = |e: parquet::errors::ParquetError| RecordError::Malformed {
        file: file.to_owned(),
        detail: e.to_string(),
    };
    // The types that count are Parquet's own; an embedded Arrow schema could claim others.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(source, options)
        .map_err(malformed)?;
    for group in builder.metadata().row_groups() {
        if group.total_byte_size() > GROUP_BYTES {
            return Err(RecordError::TooLarge {
                file: file.to_owned(),
                bytes: group.total_byte_size(),
                limit: GROUP_BYTES,
            });
        }
    }

    let roots = places::<D>(file, builder.schema().fields())?;
    // What is read comes back in file order: a column's place is its rank among the wanted ones.
    let mut wanted: Vec<usize> = roots.iter().flatten().copied().collect();
    wanted.sort_unstable();
    let columns = roots
        .into_iter()
        .map(|root| root.and_then(|root| wanted.binary_search(&root).ok()))
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(malformed)?;
    Ok((reader, columns))
}

/// Where each column of `D` stands among `fields`, types compared.
fn places<D: Dataset>(file: &str, fields: &Fields) -> Result<Vec<Option<usize>>, RecordError> {
    let mut places = Vec::with_capacity(D::COLUMNS.len());
    for column in D::COLUMNS {
        let mut found = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.name() == column.name);
        let first = found.next();
        if found.next().is_some() {
            return Err(RecordError::RepeatedColumn {
                file: file.to_owned(),
                column: column.name,
            });
        }
        match first {
            Some((_, field)) if *field.data_type() != arrow_type(column.kind) => {
                return Err(RecordError::WrongType {
                    file: file.to_owned(),
                    column: column.name,
                    found: field.data_type().to_string(),
                    expected: arrow_type(column.kind).to_string(),
                });
            }
            None if !column.nullable => {
                return Err(RecordError::MissingColumn {
                    file: file.to_owned(),
                    column: column.name,
                });
            }
            found => places.push(found.map(|(place, _)| place)),
        }
    }
    Ok(places)
}

/// The rows of a Parquet file, one batch in memory.
#[derive(Debug)]
pub struct RowReader<D> {
    file: String,
    reader: Option<ParquetRecordBatchReader>,
    columns: Vec<Option<usize>>,
    batch: Vec<Values>,
    next: usize,
    batch_rows: usize,
    rows: u64,
    row_type: std::marker::PhantomData<fn() -> D>,
}

impl<D: Dataset> RowReader<D> {
    /// Loads the next batch; false at the end of the file.
    fn load(&mut self) -> Result<bool, RecordError> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(false);
        };
        let file = &self.file;
        let columns = &self.columns;
        let loaded = guarded(file, || {
            let Some(batch) = reader.next() else {
                return Ok(None);
            };
            let batch = batch.map_err(|e| RecordError::Malformed {
                file: file.clone(),
                detail: e.to_string(),
            })?;
            let values = D::COLUMNS
                .iter()
                .zip(columns)
                .map(|(column, place)| Values::of(&batch, *place, column.kind))
                .collect();
            Ok(Some((values, batch.num_rows(), reader)))
        })?;
        let Some((values, rows, reader)) = loaded else {
            return Ok(false);
        };
        (self.batch, self.batch_rows, self.next) = (values, rows, 0);
        self.reader = Some(reader);
        Ok(true)
    }
}

impl<D: Dataset> Iterator for RowReader<D> {
    type Item = Result<D, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next == self.batch_rows {
            match self.load() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => {
                    (self.batch_rows, self.next) = (0, 0);
                    return Some(Err(e));
                }
            }
        }
        let row = self.next;
        let decoded = D::from_cells(|position| self.batch[position].cell(row));
        let number = self.rows;
        self.next += 1;
        self.rows += 1;
        if decoded.is_err() {
            self.reader = None;
            self.next = self.batch_rows;
        }
        Some(decoded.map_err(|source| RecordError::Cell {
            file: self.file.clone(),
            row: number,
            source,
        }))
    }
}

/// One column of a batch, its type settled once.
#[derive(Debug)]
enum Values {
    Absent,
    Text(StringArray),
    Int(Int64Array),
    Bool(BooleanArray),
    Instant(TimestampMillisecondArray),
    Date(Date32Array),
}

impl Values {
    fn of(batch: &RecordBatch, place: Option<usize>, kind: Kind) -> Self {
        let Some(array) = place.map(|place| batch.column(place)) else {
            return Self::Absent;
        };
        let array: &ArrayRef = array;
        let typed = match kind {
            Kind::Text => array.as_string_opt().cloned().map(Self::Text),
            Kind::Int => array
                .as_primitive_opt::<Int64Type>()
                .cloned()
                .map(Self::Int),
            Kind::Bool => array.as_boolean_opt().cloned().map(Self::Bool),
            Kind::Instant => array
                .as_primitive_opt::<TimestampMillisecondType>()
                .cloned()
                .map(Self::Instant),
            Kind::Date => array
                .as_primitive_opt::<Date32Type>()
                .cloned()
                .map(Self::Date),
        };
        // `open` has compared the types.
        typed.unwrap_or(Self::Absent)
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Text(a) if a.is_valid(row) => Cell::Text(a.value(row).into()),
            Self::Int(a) if a.is_valid(row) => Cell::Int(a.value(row)),
            Self::Bool(a) if a.is_valid(row) => Cell::Bool(a.value(row)),
            Self::Instant(a) if a.is_valid(row) => Cell::Instant(UtcMillis(a.value(row))),
            Self::Date(a) if a.is_valid(row) => {
                let days = a.value(row);
                let date = Date::from_days(i64::from(days));
                // Beyond the year 9999 there is no date; a number then fails as one.
                if date.days() == days {
                    Cell::Date(date)
                } else {
                    Cell::Int(i64::from(days))
                }
            }
            _ => Cell::Null,
        }
    }
}
