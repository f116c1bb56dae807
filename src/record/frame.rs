//! One journal frame: some rows of one dataset and account-region, as bytes.
//!
//! ```text
//!  0  magic "KPFRAME2"            8
//!  8  rows                        4   little endian, as all numbers
//! 12  bytes of lines, unpacked    4
//! 16  bytes of lines, packed      4
//! 20  length of dataset, account, region   1 each, then a zero
//! 24  SHA-256 of dataset, account, region and packed lines   32
//! 56  the account's frame before this one: its offset in the file plus 1; 0 for the first   8
//! 64  first 8 bytes of the SHA-256 of bytes 0 to 63
//! 72  dataset, account, region, then canonical JSON lines under zstd
//! ```
//!
//! The header has a digest of its own so that a damaged length cannot pass for a frame that a killed
//! process left unfinished: such a frame is a prefix of a good one and nothing else.

use std::cell::RefCell;
use std::io;

use sha2::{Digest as _, Sha256};
use zstd::bulk::{Compressor, Decompressor};

const MAGIC: &[u8; 8] = b"KPFRAME2";
/// Length of the fixed part.
pub(super) const HEADER_BYTES: usize = 72;
/// Journals are written once and read once: the fastest level.
const ZSTD_LEVEL: i32 = 1;
/// Where the header's digest begins.
const CHECK_AT: usize = 64;
/// Where the offset of the frame before begins.
const PREVIOUS_AT: usize = 56;

/// The fixed part of a frame, its digest checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub rows: u32,
    unpacked: u32,
    packed: u32,
    names: [u8; 3],
    digest: [u8; 32],
    /// Where the account's frame before this one begins.
    pub previous: Option<u64>,
}

/// A frame's labels and lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub dataset: String,
    pub account: String,
    pub region: String,
    /// Canonical JSON, a line feed after each row.
    pub lines: Vec<u8>,
}

/// Encodes a frame, to be finished by [`place`]; `None` when something is longer than its length field
/// can say.
pub(super) fn encode(
    dataset: &str,
    account: &str,
    region: &str,
    rows: usize,
    lines: &[u8],
) -> Option<io::Result<Vec<u8>>> {
    let names = [dataset, account, region];
    let mut frame = Vec::with_capacity(HEADER_BYTES + 64 + lines.len() / 4);
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&u32::try_from(rows).ok()?.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(lines.len()).ok()?.to_le_bytes());
    let packed = match pack(lines) {
        Ok(packed) => packed,
        Err(e) => return Some(Err(e)),
    };
    frame.extend_from_slice(&u32::try_from(packed.len()).ok()?.to_le_bytes());
    for name in names {
        frame.push(u8::try_from(name.len()).ok()?);
    }
    frame.push(0);
    let mut digest = Sha256::new();
    for part in names
        .iter()
        .map(|name| name.as_bytes())
        .chain([&packed[..]])
    {
        digest.update(part);
    }
    frame.extend_from_slice(&digest.finalize());
    frame.resize(HEADER_BYTES, 0);
    for name in names {
        frame.extend_from_slice(name.as_bytes());
    }
    frame.extend_from_slice(&packed);
    Some(Ok(frame))
}

/// Says in an encoded frame which frame of its account comes before it.
pub(super) fn place(frame: &mut [u8], previous: Option<u64>) {
    let previous = previous.map_or(0, |offset| offset + 1);
    frame[PREVIOUS_AT..CHECK_AT].copy_from_slice(&previous.to_le_bytes());
    let check = Sha256::digest(&frame[..CHECK_AT]);
    frame[CHECK_AT..HEADER_BYTES].copy_from_slice(&check[..8]);
}

thread_local! {
    // Making one costs more than most frames do with it.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn pack(lines: &[u8]) -> io::Result<Vec<u8>> {
    PACKER.with_borrow_mut(|kept| {
        let packer = match kept {
            Some(packer) => packer,
            None => kept.insert(Compressor::new(ZSTD_LEVEL)?),
        };
        packer.compress(lines)
    })
}

fn unpack(packed: &[u8], unpacked: usize) -> io::Result<Vec<u8>> {
    UNPACKER.with_borrow_mut(|kept| {
        let unpacker = match kept {
            Some(unpacker) => unpacker,
            None => kept.insert(Decompressor::new()?),
        };
        unpacker.decompress(packed, unpacked)
    })
}

/// Whether `bytes`, shorter than a header, can be the beginning of one.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().zip(MAGIC).all(|(a, b)| a == b)
}

impl Header {
    /// Reads the fixed part; the error says what is wrong with it.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if &bytes[..8] != MAGIC {
            return Err("no frame begins here");
        }
        if bytes[CHECK_AT..] != Sha256::digest(&bytes[..CHECK_AT])[..8] {
            return Err("the header does not match its digest");
        }
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[24..PREVIOUS_AT]);
        let mut previous = [0; 8];
        previous.copy_from_slice(&bytes[PREVIOUS_AT..CHECK_AT]);
        Ok(Self {
            rows: number(8),
            unpacked: number(12),
            packed: number(16),
            names: [bytes[20], bytes[21], bytes[22]],
            digest,
            previous: u64::from_le_bytes(previous).checked_sub(1),
        })
    }

    /// Bytes of the labels.
    pub(super) fn names_bytes(&self) -> usize {
        self.names.iter().map(|&n| usize::from(n)).sum()
    }

    /// Bytes of the packed lines.
    pub(super) fn packed_bytes(&self) -> usize {
        self.packed as usize
    }

    /// Bytes after the header.
    pub(super) fn body_bytes(&self) -> u64 {
        self.names_bytes() as u64 + u64::from(self.packed)
    }

    /// Dataset, account and Region from the beginning of the body.
    pub(super) fn names<'b>(&self, body: &'b [u8]) -> Result<[&'b str; 3], &'static str> {
        let mut rest = body;
        let mut names = [""; 3];
        for (name, &length) in names.iter_mut().zip(&self.names) {
            let (bytes, after) = rest
                .split_at_checked(usize::from(length))
                .ok_or("the labels are cut short")?;
            *name = std::str::from_utf8(bytes).map_err(|_| "a label is not text")?;
            rest = after;
        }
        Ok(names)
    }

    /// Checks and unpacks the body, all [`Header::body_bytes`] of it.
    pub(super) fn open(&self, body: &[u8]) -> Result<Content, String> {
        if Sha256::digest(body)[..] != self.digest {
            return Err("the frame does not match its digest".to_owned());
        }
        let [dataset, account, region] = self.names(body)?;
        let unpacked = self.unpacked as usize;
        // The digest vouches for both lengths; zstd stops at the capacity all the same.
        let lines = unpack(&body[self.names_bytes()..], unpacked).map_err(|e| e.to_string())?;
        if lines.len() != unpacked {
            return Err("the lines are shorter than the header says".to_owned());
        }
        Ok(Content {
            dataset: dataset.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            lines,
        })
    }
}
