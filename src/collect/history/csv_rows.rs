//! Rows of CSV files: those of an inventory, gzipped, and those of a completion report.
//!
//! Keys are URL-encoded in both, a blank as `+` or `%20`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html>).

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use super::error::ReportError;
use super::rows::{EachVersion, Stored, VersionRow, check_bucket, version_id};
use crate::model::url_encoding::decode;

/// Longest row. A key has 1,024 bytes at most, three times that encoded, and the rest is short; a file
/// without an end of line must not fill the memory.
const LONGEST_ROW: u64 = 1024 * 1024;

/// Reads what an inventory lists.
pub(super) fn versions(
    path: &Path,
    file: &str,
    columns: &[String],
    bucket: &str,
    each: EachVersion<'_>,
) -> Result<u64, ReportError> {
    let place = |name: &str| columns.iter().position(|c| c == name);
    let need =
        |name: &str| place(name).ok_or_else(|| ReportError::foreign(file, format!("no {name}")));
    let (of_bucket, of_key) = (need("bucket")?, need("key")?);
    let [of_version, of_latest, of_marker, of_size, of_encryption] = [
        "versionid",
        "islatest",
        "isdeletemarker",
        "size",
        "encryptionstatus",
    ]
    .map(place);
    let mut key = Vec::new();
    let packed = BufReader::with_capacity(1 << 16, File::open(path)?);
    Rows::new(file, MultiGzDecoder::new(packed)).each(columns.len(), |row| {
        check_bucket(file, bucket, row.text(of_bucket)?)?;
        decode(row.bytes(of_key), &mut key);
        let is_delete_marker = row.flag(of_marker)?.unwrap_or(false);
        each(&VersionRow {
            key: &key,
            version_id: version_id(of_version.map_or(Ok(""), |at| row.text(at))?),
            // A report without the column lists current versions alone.
            is_latest: row.flag(of_latest)?.unwrap_or(true),
            is_delete_marker,
            bytes: row.number(of_size)?,
            stored: of_encryption
                .map_or(Ok(Stored::Unknown), |at| row.text(at).map(Stored::read))?,
            kms_key: None,
        })
    })
}

/// The rows of one file.
pub(super) struct Rows<'f, R: Read> {
    file: &'f str,
    reader: Reader<Limited<R>>,
    since_row: Rc<Cell<u64>>,
}

impl<'f, R: Read> Rows<'f, R> {
    pub(super) fn new(file: &'f str, from: R) -> Self {
        let since_row = Rc::new(Cell::new(0));
        let from = Limited {
            from,
            read: Rc::clone(&since_row),
        };
        Self {
            file,
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .buffer_capacity(1 << 16)
                .from_reader(from),
            since_row,
        }
    }

    /// Every row, which must have so many fields, and how many there are.
    pub(super) fn each(
        mut self,
        fields: usize,
        mut take: impl FnMut(&Row<'_>) -> Result<(), ReportError>,
    ) -> Result<u64, ReportError> {
        let mut record = ByteRecord::new();
        let mut count = 0;
        loop {
            self.since_row.set(0);
            let more = self.reader.read_byte_record(&mut record);
            if !more.map_err(|e| ReportError::malformed(self.file, e))? {
                return Ok(count);
            }
            if record.len() != fields {
                let detail = format!("a row of {} fields, {fields} were stated", record.len());
                return Err(ReportError::foreign(self.file, detail));
            }
            take(&Row {
                file: self.file,
                record: &record,
            })?;
            count += 1;
        }
    }
}

/// One row.
pub(super) struct Row<'r> {
    file: &'r str,
    record: &'r ByteRecord,
}

impl Row<'_> {
    pub(super) fn bytes(&self, at: usize) -> &[u8] {
        self.record.get(at).unwrap_or_default()
    }

    pub(super) fn text(&self, at: usize) -> Result<&str, ReportError> {
        std::str::from_utf8(self.bytes(at)).map_err(|e| ReportError::malformed(self.file, e))
    }

    /// Empty is no answer.
    fn flag(&self, at: Option<usize>) -> Result<Option<bool>, ReportError> {
        match at.map_or(&b""[..], |at| self.bytes(at)) {
            b"" => Ok(None),
            b"true" => Ok(Some(true)),
            b"false" => Ok(Some(false)),
            _ => Err(ReportError::malformed(self.file, "neither true nor false")),
        }
    }

    /// Empty is no answer.
    fn number(&self, at: Option<usize>) -> Result<Option<u64>, ReportError> {
        let Some(at) = at else { return Ok(None) };
        match self.text(at)? {
            "" => Ok(None),
            digits => digits
                .parse()
                .map(Some)
                .map_err(|_| ReportError::malformed(self.file, "a size that is no number")),
        }
    }
}

/// Ends a file whose row never ends.
struct Limited<R> {
    from: R,
    /// Bytes since the last row began.
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > LONGEST_ROW {
            return Err(io::Error::other("a row of more than 1 MiB"));
        }
        let read = self.from.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_an_end_does_not_fill_the_memory() {
        let endless = io::repeat(b'x');
        let error = Rows::new("f", endless)
            .each(1, |_| Ok(()))
            .expect_err("no end");
        assert!(error.to_string().contains("1 MiB"), "{error}");
    }
}
