//! More records than memory holds, in order: sorted pieces on disk, merged while they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What is known of one version of an object of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Stands for key and version: see [`version`].
    pub id: [u8; 16],
    pub code: u32,
    pub bytes: u64,
}

/// Bytes of a record on disk.
const RECORD: usize = 16 + 4 + 8;
/// Pieces that are merged at one time, and so files that are open.
const PIECES: usize = 64;

/// Half a SHA-256 of key and version id: keys are long, and are nowhere kept.
pub fn version(key: &[u8], version_id: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(version_id.as_bytes());
    let digest = hash.finalize();
    std::array::from_fn(|at| digest[at])
}

/// Takes records in any order.
#[derive(Debug)]
pub struct Sorter {
    folder: PathBuf,
    name: String,
    /// Records that memory may hold.
    limit: usize,
    buffer: Vec<Record>,
    pieces: Vec<Piece>,
    made: usize,
}

/// A sorted file, removed when nobody needs it any more.
#[derive(Debug)]
struct Piece(PathBuf);

impl Drop for Piece {
    fn drop(&mut self) {
        // The whole folder goes with the run's work.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sorter {
    /// Holds up to `limit` records in memory and the others in files `<name>-<n>` of `folder`.
    pub fn new(folder: &Path, name: &str, limit: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            limit: limit.max(1),
            buffer: Vec::new(),
            pieces: Vec::new(),
            made: 0,
        }
    }

    pub fn push(&mut self, record: Record) -> io::Result<()> {
        self.buffer.push(record);
        if self.buffer.len() < self.limit {
            return Ok(());
        }
        self.buffer.sort_unstable();
        let records = std::mem::take(&mut self.buffer);
        let piece = self.write(records.iter().copied().map(Ok))?;
        self.buffer = records;
        self.buffer.clear();
        self.pieces.push(piece);
        if self.pieces.len() == PIECES {
            let merged = Merge::new(std::mem::take(&mut self.pieces), Vec::new())?;
            let piece = self.write(merged)?;
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// Every record, the smallest first.
    pub fn finish(mut self) -> io::Result<Sorted> {
        self.buffer.sort_unstable();
        Merge::new(self.pieces, self.buffer).map(Sorted)
    }

    fn write(&mut self, records: impl Iterator<Item = io::Result<Record>>) -> io::Result<Piece> {
        let path = self.folder.join(format!("{}-{}", self.name, self.made));
        self.made += 1;
        let file = File::create(&path)?;
        let piece = Piece(path);
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        for record in records {
            writer.write_all(&record?.to_bytes())?;
        }
        writer.flush()?;
        Ok(piece)
    }
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..20].copy_from_slice(&self.code.to_le_bytes());
        bytes[20..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Self {
        Self {
            id: std::array::from_fn(|at| bytes[at]),
            code: u32::from_le_bytes(std::array::from_fn(|at| bytes[16 + at])),
            bytes: u64::from_le_bytes(std::array::from_fn(|at| bytes[20 + at])),
        }
    }
}

/// Records in order. After an error it ends.
#[derive(Debug)]
pub struct Sorted(Merge);

impl Iterator for Sorted {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

#[derive(Debug)]
struct Merge {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
}

/// One sorted sequence.
#[derive(Debug)]
enum Run {
    File(
        BufReader<File>,
        #[expect(dead_code, reason = "removes the file when dropped")] Piece,
    ),
    Memory(std::vec::IntoIter<Record>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Record>> {
        let Self::File(reader, _) = self else {
            let Self::Memory(records) = self else {
                return Ok(None);
            };
            return Ok(records.next());
        };
        let mut bytes = [0; RECORD];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(Record::from_bytes(&bytes))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Merge {
    fn new(pieces: Vec<Piece>, rest: Vec<Record>) -> io::Result<Self> {
        let mut runs = Vec::with_capacity(pieces.len() + 1);
        for piece in pieces {
            let file = File::open(&piece.0)?;
            runs.push(Run::File(BufReader::with_capacity(1 << 16, file), piece));
        }
        runs.push(Run::Memory(rest.into_iter()));
        let mut merge = Self {
            heads: BinaryHeap::with_capacity(runs.len()),
            runs,
        };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(record) = self.runs[run].next()? {
            self.heads.push(Reverse((record, run)));
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, run)) = self.heads.pop()?;
        if let Err(error) = self.advance(run) {
            self.heads.clear();
            return Some(Err(error));
        }
        Some(Ok(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::TempDir;

    fn sorted(records: &[Record], limit: usize, folder: &Path) -> Vec<Record> {
        let mut sorter = Sorter::new(folder, "s", limit);
        for record in records {
            sorter.push(*record).expect("push");
        }
        let all: io::Result<Vec<_>> = sorter.finish().expect("finish").collect();
        all.expect("read")
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn order_does_not_depend_on_what_memory_holds(
            seeds in proptest::collection::vec(0_u32..50, 0..300),
            limit in 1_usize..40,
        ) {
            let folder = TempDir::new();
            let records: Vec<Record> = seeds
                .iter()
                .zip(0..)
                .map(|(seed, at)| Record {
                    id: version(&seed.to_le_bytes(), ""),
                    code: at % 7,
                    bytes: u64::from(at),
                })
                .collect();
            let mut expected = records.clone();
            expected.sort_unstable();
            proptest::prop_assert_eq!(sorted(&records, limit, folder.path()), expected);
            let left = std::fs::read_dir(folder.path()).expect("list").count();
            proptest::prop_assert_eq!(left, 0, "no file is left");
        }
    }

    #[test]
    fn many_pieces_are_merged_in_between() {
        let folder = TempDir::new();
        let records: Vec<Record> = (0..500_u64)
            .map(|n| Record {
                id: version(&n.to_le_bytes(), "v"),
                code: 0,
                bytes: n,
            })
            .collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert_eq!(sorted(&records, 3, folder.path()), expected);
    }

    #[test]
    fn key_and_version_do_not_run_into_each_other() {
        assert_ne!(version(b"ab", "c"), version(b"a", "bc"));
        assert_ne!(version(b"ab", ""), version(b"a", "b"));
    }
}
