//! Rows of ORC and Parquet files: inventories, and exports of metadata tables. Keys are not encoded there.
//!
//! Only the columns that are counted are decoded, some thousand rows at a time.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use orc_rust::arrow_reader::ArrowReaderBuilder;
use parquet::arrow::ProjectionMask as ParquetMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::error::ReportError;
use super::rows::{EachVersion, Stored, VersionRow, check_bucket, column_name, version_id};

const BATCH: usize = 4_096;

/// Columns that are read, as [`column_name`] writes them.
const COLUMNS: [&str; 8] = [
    "bucket",
    "key",
    "versionid",
    "islatest",
    "isdeletemarker",
    "size",
    "encryptionstatus",
    "kmskeyarn",
];

/// A column of change records: a table of changes lists no versions.
const JOURNAL: &str = "recordtype";

pub(super) fn parquet(
    path: &Path,
    file: &str,
    bucket: &str,
    each: EachVersion<'_>,
) -> Result<u64, ReportError> {
    let malformed = |e: parquet::errors::ParquetError| ReportError::malformed(file, e);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path)?, options)
        .map_err(malformed)?;
    let fields = builder.schema().fields();
    refuse_journal(file, fields.iter().map(|f| f.name().as_str()))?;
    let wanted = fields.iter().enumerate();
    let wanted = wanted.filter(|(_, f)| COLUMNS.contains(&column_name(f.name()).as_str()));
    let wanted: Vec<usize> = wanted.map(|(at, _)| at).collect();
    let mask = ParquetMask::roots(builder.parquet_schema(), wanted);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH)
        .build()
        .map_err(malformed)?;
    let mut count = 0;
    for batch in reader {
        let batch = batch.map_err(|e| ReportError::malformed(file, e))?;
        count += versions(&batch, file, bucket, each)?;
    }
    Ok(count)
}

pub(super) fn orc(
    path: &Path,
    file: &str,
    bucket: &str,
    each: EachVersion<'_>,
) -> Result<u64, ReportError> {
    let builder = ArrowReaderBuilder::try_new(File::open(path)?)
        .map_err(|e| ReportError::malformed(file, e))?;
    let root = builder.file_metadata().root_data_type();
    let names: Vec<&str> = root.children().iter().map(|c| c.name()).collect();
    refuse_journal(file, names.iter().copied())?;
    let wanted = names.iter().copied();
    let wanted: Vec<&str> = wanted
        .filter(|name| COLUMNS.contains(&column_name(name).as_str()))
        .collect();
    let mask = orc_rust::projection::ProjectionMask::named_roots(root, &wanted);
    let mut count = 0;
    for batch in builder.with_projection(mask).with_batch_size(BATCH).build() {
        let batch = batch.map_err(|e| ReportError::malformed(file, e))?;
        count += versions(&batch, file, bucket, each)?;
    }
    Ok(count)
}

fn refuse_journal<'n>(
    file: &str,
    mut names: impl Iterator<Item = &'n str>,
) -> Result<(), ReportError> {
    if names.any(|name| column_name(name) == JOURNAL) {
        let detail = "a table of changes; export the live inventory table";
        return Err(ReportError::foreign(file, detail));
    }
    Ok(())
}

/// The versions of one batch.
fn versions(
    batch: &RecordBatch,
    file: &str,
    bucket: &str,
    each: EachVersion<'_>,
) -> Result<u64, ReportError> {
    let [
        of_bucket,
        key,
        id,
        latest,
        marker,
        size,
        encryption,
        kms_key,
    ] = COLUMNS;
    let columns = Columns { batch, file };
    let (Some(buckets), Some(keys)) = (columns.texts(of_bucket)?, columns.texts(key)?) else {
        return Err(ReportError::foreign(file, "no bucket or no key"));
    };
    let (ids, latest) = (columns.texts(id)?, columns.flags(latest)?);
    let (markers, sizes) = (columns.flags(marker)?, columns.numbers(size)?);
    let (encryptions, kms_keys) = (columns.texts(encryption)?, columns.texts(kms_key)?);
    fn text(column: Option<&StringArray>, row: usize) -> Option<&str> {
        column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
    }
    let flag = |column: Option<&BooleanArray>, row: usize| {
        column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
    };
    for row in 0..batch.num_rows() {
        let (Some(of), Some(key)) = (text(Some(&buckets), row), text(Some(&keys), row)) else {
            return Err(ReportError::malformed(file, "a row without bucket or key"));
        };
        check_bucket(file, bucket, of)?;
        let version_id = version_id(text(ids.as_ref(), row).unwrap_or_default());
        let is_latest = match flag(latest.as_ref(), row) {
            Some(told) => told,
            // Without versions there is one, the current one.
            None if version_id.is_empty() => true,
            None => {
                let detail = "versions, and not which of them are current (is_latest)";
                return Err(ReportError::foreign(file, detail));
            }
        };
        let bytes = sizes.as_ref().filter(|c| c.is_valid(row));
        let bytes = bytes
            .map(|c| u64::try_from(c.value(row)))
            .transpose()
            .map_err(|_| ReportError::malformed(file, "a size below nothing"))?;
        each(&VersionRow {
            key: key.as_bytes(),
            version_id,
            is_latest,
            is_delete_marker: flag(markers.as_ref(), row).unwrap_or(false),
            bytes,
            stored: text(encryptions.as_ref(), row).map_or(Stored::Unknown, Stored::read),
            kms_key: text(kms_keys.as_ref(), row).filter(|key| !key.is_empty()),
        })?;
    }
    Ok(batch.num_rows() as u64)
}

struct Columns<'b> {
    batch: &'b RecordBatch,
    file: &'b str,
}

impl Columns<'_> {
    /// A column as one type, whatever width or encoding its writer chose; `None` where there is none.
    fn read<A: Array + Clone + 'static>(
        &self,
        name: &str,
        kind: &DataType,
    ) -> Result<Option<A>, ReportError> {
        let schema = self.batch.schema();
        let mut fields = schema.fields().iter();
        let Some(at) = fields.position(|f| column_name(f.name()) == name) else {
            return Ok(None);
        };
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let wrong = |e: arrow::error::ArrowError| {
            ReportError::foreign(self.file, format!("column {name}: {e}"))
        };
        let column = cast_with_options(self.batch.column(at), kind, &options).map_err(wrong)?;
        Ok(column.as_any().downcast_ref::<A>().cloned())
    }

    fn texts(&self, name: &str) -> Result<Option<StringArray>, ReportError> {
        self.read(name, &DataType::Utf8)
    }

    fn flags(&self, name: &str) -> Result<Option<BooleanArray>, ReportError> {
        self.read(name, &DataType::Boolean)
    }

    fn numbers(&self, name: &str) -> Result<Option<Int64Array>, ReportError> {
        self.read(name, &DataType::Int64)
    }
}
