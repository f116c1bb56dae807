//! A log file, whose bytes come in parts: inflated, hashed and taken apart at once. Of the file only the
//! record that is being read is in memory.
//!
//! A log file is `{"Records": [{…}, …]}`
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html>).

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::model::ids::hex;

/// Largest log file, inflated: CloudTrail closes one at 50 MB.
pub const LONGEST_FILE: u64 = 512 * 1024 * 1024;
/// Largest record: CloudTrail cuts what is longer than 256 KB, and parameters at 100 KB.
pub const LONGEST_RECORD: usize = 4 * 1024 * 1024;
/// The list of records.
const RECORDS: &[u8] = b"Records";

/// Why a log file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFault {
    /// Cut off, no gzip, no JSON, or no list of records.
    Malformed,
    /// Larger than CloudTrail writes, or with such a record.
    TooLarge,
}

impl FileFault {
    /// The word in `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "LogFileMalformed",
            Self::TooLarge => "LogFileTooLarge",
        }
    }
}

/// What a whole log file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Hex, of the inflated bytes: what digest files name.
    pub sha256: String,
    pub records: u64,
}

/// A log file that is being read. `E` is handed the text of each record.
pub struct LogFile<E: FnMut(&[u8])> {
    inflating: MultiGzDecoder<Splitter<E>>,
    fault: Option<FileFault>,
    began: bool,
}

impl<E: FnMut(&[u8])> LogFile<E> {
    pub fn new(each: E) -> Self {
        Self {
            inflating: MultiGzDecoder::new(Splitter::new(each)),
            fault: None,
            began: false,
        }
    }

    /// Takes the next bytes of the object; false once it is known that nothing comes of it.
    pub fn push(&mut self, packed: &[u8]) -> bool {
        self.began |= !packed.is_empty();
        if self.fault.is_none() && self.inflating.write_all(packed).is_err() {
            let told = self.inflating.get_ref().fault;
            self.fault = Some(told.unwrap_or(FileFault::Malformed));
        }
        self.fault.is_none()
    }

    /// The end of the object.
    ///
    /// # Errors
    /// Where it is no whole log file; whatever was handed over is then not to be used.
    pub fn finish(mut self) -> Result<Whole, FileFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.began || self.inflating.try_finish().is_err() {
            let told = self.inflating.get_ref().fault;
            return Err(told.unwrap_or(FileFault::Malformed));
        }
        self.inflating.get_mut().finish()
    }
}

/// Takes `{"Records": […]}` apart. Other members are passed over.
struct Splitter<E> {
    each: E,
    sha256: Sha256,
    bytes: u64,
    records: u64,
    depth: u32,
    /// Inside a text; whether the last character was a backslash.
    text: Option<bool>,
    /// The last text of the outermost object, as far as it could be `Records`.
    name: Vec<u8>,
    /// Whether the list of records was found.
    found: bool,
    inside: bool,
    record: Vec<u8>,
    fault: Option<FileFault>,
}

impl<E: FnMut(&[u8])> Splitter<E> {
    fn new(each: E) -> Self {
        Self {
            each,
            sha256: Sha256::new(),
            bytes: 0,
            records: 0,
            depth: 0,
            text: None,
            name: Vec::new(),
            found: false,
            inside: false,
            record: Vec::new(),
            fault: None,
        }
    }

    fn finish(&mut self) -> Result<Whole, FileFault> {
        if self.depth != 0 || self.text.is_some() || !self.found || self.inside {
            return Err(FileFault::Malformed);
        }
        Ok(Whole {
            sha256: hex(&std::mem::take(&mut self.sha256).finalize()),
            records: self.records,
        })
    }

    fn is_in_record(&self) -> bool {
        self.inside && self.depth > 2
    }

    fn take(&mut self, byte: u8) -> Result<(), FileFault> {
        if self.is_in_record() {
            if self.record.len() == LONGEST_RECORD {
                return Err(FileFault::TooLarge);
            }
            self.record.push(byte);
        }
        if let Some(escaped) = self.text {
            self.text = match byte {
                _ if escaped => Some(false),
                b'\\' => Some(true),
                b'"' => None,
                _ => Some(false),
            };
            if self.depth == 1 && self.text.is_some() && self.name.len() <= RECORDS.len() {
                self.name.push(byte);
            }
            return Ok(());
        }
        match byte {
            b'"' if self.depth > 0 => {
                self.text = Some(false);
                if self.depth == 1 {
                    self.name.clear();
                }
            }
            b'{' | b'[' => self.open(byte)?,
            b'}' | b']' => self.close()?,
            _ if byte.is_ascii_whitespace() => {}
            // Nothing stands outside of the one object.
            _ if self.depth == 0 => return Err(FileFault::Malformed),
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, byte: u8) -> Result<(), FileFault> {
        if self.depth == 0 && (byte != b'{' || self.found) {
            return Err(FileFault::Malformed);
        }
        if self.depth == 1 && byte == b'[' && self.name == RECORDS {
            self.found = true;
            self.inside = true;
        }
        if self.inside && self.depth == 2 && byte == b'{' {
            self.record.clear();
            self.record.push(byte);
        }
        self.depth = self.depth.checked_add(1).ok_or(FileFault::TooLarge)?;
        Ok(())
    }

    fn close(&mut self) -> Result<(), FileFault> {
        self.depth = self.depth.checked_sub(1).ok_or(FileFault::Malformed)?;
        if !self.inside {
            return Ok(());
        }
        match self.depth {
            2 => {
                self.records += 1;
                (self.each)(&self.record);
                self.record.clear();
            }
            0 | 1 => self.inside = false,
            _ => {}
        }
        Ok(())
    }
}

impl<E: FnMut(&[u8])> Write for Splitter<E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        let mut taken = Ok(());
        if self.bytes > LONGEST_FILE {
            taken = Err(FileFault::TooLarge);
        }
        for byte in bytes {
            if taken.is_err() {
                break;
            }
            taken = self.take(*byte);
        }
        match taken {
            Ok(()) => Ok(bytes.len()),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other(fault.code()))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read(packed: &[u8], part: usize) -> (Result<Whole, FileFault>, Vec<Value>) {
        let mut records = Vec::new();
        let mut file = LogFile::new(|record: &[u8]| {
            records.push(serde_json::from_slice(record).unwrap_or(Value::Null));
        });
        for part in packed.chunks(part.max(1)) {
            if !file.push(part) {
                break;
            }
        }
        let whole = file.finish();
        (whole, records)
    }

    #[test]
    fn records_come_one_by_one_whatever_the_parts() {
        let text = r#" {"x":[{"Records":[{"no":1}]}],"Records":[{"a":"}]\"{"},{"b":{"c":[{}]}}, {} ],"y":{}} "#;
        let bytes = packed(text.as_bytes());
        for part in [1, 2, 7, bytes.len()] {
            let (whole, records) = read(&bytes, part);
            let whole = whole.expect("a log file");
            assert_eq!(whole.records, 3);
            assert_eq!(whole.sha256, hex(&Sha256::digest(text)));
            assert_eq!(
                records,
                [json!({"a": "}]\"{"}), json!({"b": {"c": [{}]}}), json!({})]
            );
        }
        let (whole, _) = read(&packed(br#"{"Records":[]}"#), 3);
        assert_eq!(whole.expect("a quiet hour").records, 0);
    }

    #[test]
    fn a_file_cut_in_half_is_no_file() {
        let text = json!({"Records": [{"eventName": "RunJobFlow"}, {"b": 2}]}).to_string();
        let bytes = packed(text.as_bytes());
        for length in 0..bytes.len() {
            let (whole, _) = read(&bytes[..length], 64);
            assert_eq!(whole, Err(FileFault::Malformed), "{length} bytes");
        }
        for length in 0..text.len() {
            let (whole, _) = read(&packed(&text.as_bytes()[..length]), 64);
            assert_eq!(whole, Err(FileFault::Malformed), "{length} characters");
        }
        for other in [
            "",
            "[]",
            "null",
            "{}",
            "x",
            r#"{"Records":{}}"#,
            r#"{"Records":[]}{}"#,
            "}",
        ] {
            assert_eq!(
                read(&packed(other.as_bytes()), 9).0,
                Err(FileFault::Malformed),
                "{other}"
            );
        }
        assert_eq!(
            read(text.as_bytes(), 64).0,
            Err(FileFault::Malformed),
            "no gzip"
        );
    }

    #[test]
    fn a_bomb_does_not_fill_the_memory() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(br#"{"Records":[{"a":""#).expect("memory");
        let much = vec![b'x'; 1 << 20];
        for _ in 0..6 {
            encoder.write_all(&much).expect("memory");
        }
        let bomb = encoder.finish().expect("memory");
        assert!(bomb.len() < 64 * 1024);
        let (whole, records) = read(&bomb, 1 << 16);
        assert_eq!((whole, records.len()), (Err(FileFault::TooLarge), 0));
    }

    proptest! {
        /// Whatever bytes come, reading ends.
        #[test]
        fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}\":,a\\\\Records ]{0,80}") {
            let _ = read(&bytes, 5);
            let _ = read(&packed(text.as_bytes()), 5);
        }

        /// As a reader of whole documents says.
        #[test]
        fn agrees_with_a_reader_of_whole_documents(
            values in proptest::collection::vec(("[a-z\"\\\\{}\\[\\]é]{0,8}", any::<i64>()), 0..6),
            part in 1usize..50,
        ) {
            let expected: Vec<Value> = values
                .iter()
                .map(|(text, number)| json!({"t": text, "n": number, "deep": {"list": [text]}}))
                .collect();
            let text = json!({"Records": expected}).to_string();
            let (whole, records) = read(&packed(text.as_bytes()), part);
            prop_assert_eq!(whole.map(|whole| whole.records), Ok(expected.len() as u64));
            prop_assert_eq!(records, expected);
        }
    }
}
