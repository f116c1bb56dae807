//! Where the frames of one dataset are.
//!
//! Memory holds the place of each account's last frame; every frame names the one of its account before
//! it. So an index costs eight bytes an account, however many Regions and frames it has, and what is read
//! account by account, as everything here is, costs one walk over the headers of each.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::JournalError;
use super::frame::{Content, HEADER_BYTES, Header};

/// What is read of a frame at first: its header and, nearly always, its labels.
const HEAD_BYTES: usize = HEADER_BYTES + 64;

/// How many accounts' frames are known at one time: threads go through accounts of their own.
const LISTED: usize = 4;

/// One dataset's file.
#[derive(Debug)]
pub(super) struct Part {
    pub written: Written,
    /// Offset plus 1 of the last frame of each account, by its number; 0 where it has none.
    last: Vec<u64>,
    /// The frames of the accounts that were asked for last, the newest last.
    listed: VecDeque<Listed>,
    /// Regions repeat in every account: one copy each.
    regions: HashSet<Arc<str>>,
}

/// What was written of a file. It stays as it is, so that it is read without holding up others.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub dataset: Arc<str>,
    pub path: Arc<Path>,
    pub file: Arc<File>,
    pub end: u64,
}

#[derive(Debug)]
struct Listed {
    last: u64,
    frames: Arc<[Frame]>,
}

/// Where a frame is. Orders by Region, then by place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frame {
    pub region: Arc<str>,
    pub offset: u64,
}

impl Part {
    pub fn new(dataset: &str, path: PathBuf, file: File) -> Self {
        Self {
            written: Written {
                dataset: dataset.into(),
                path: path.into(),
                file: Arc::new(file),
                end: 0,
            },
            last: Vec::new(),
            listed: VecDeque::new(),
            regions: HashSet::new(),
        }
    }

    /// Where the last frame of the account of this number begins.
    pub fn last(&self, account: usize) -> Option<u64> {
        self.last.get(account)?.checked_sub(1)
    }

    /// Numbers of the accounts that have frames, with where the last of each begins.
    pub fn accounts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let all = self.last.iter().enumerate();
        all.filter_map(|(account, last)| Some((account, last.checked_sub(1)?)))
    }

    /// A frame of the account now ends the file.
    pub fn note(&mut self, account: usize, offset: u64, bytes: u64) {
        if self.last.len() <= account {
            self.last.resize(account + 1, 0);
        }
        self.last[account] = offset + 1;
        self.written.end = offset + bytes;
    }

    /// The frames of an account up to the one at `last`, by Region.
    pub fn frames(&mut self, account: &str, last: u64) -> Result<Arc<[Frame]>, JournalError> {
        // A frame belongs to one account, so its place tells which.
        if let Some(listed) = self.listed.iter().find(|listed| listed.last == last) {
            return Ok(Arc::clone(&listed.frames));
        }
        let mut frames: Vec<Frame> = Vec::new();
        let mut next = Some(last);
        while let Some(offset) = next {
            let (header, head) = self.written.head(offset)?;
            let corrupt = |detail: &str| corrupt(&self.written.dataset, offset, detail);
            let [dataset, of, region] = header.names(&head).map_err(corrupt)?;
            if dataset != &*self.written.dataset || of != account {
                return Err(corrupt("the frame carries other labels than its index"));
            }
            if header.previous.is_some_and(|previous| previous >= offset) {
                return Err(corrupt("the frame names a later one as the one before it"));
            }
            let region = match self.regions.get(region) {
                Some(known) => Arc::clone(known),
                None => {
                    let region: Arc<str> = region.into();
                    self.regions.insert(Arc::clone(&region));
                    region
                }
            };
            frames.push(Frame { region, offset });
            next = header.previous;
        }
        frames.sort_unstable();
        let frames: Arc<[Frame]> = frames.into();
        if self.listed.len() == LISTED {
            self.listed.pop_front();
        }
        self.listed.push_back(Listed {
            last,
            frames: Arc::clone(&frames),
        });
        Ok(frames)
    }
}

impl Written {
    /// The header of the frame at an offset, and the beginning of its body with all its labels.
    fn head(&self, offset: u64) -> Result<(Header, Vec<u8>), JournalError> {
        let io = |source| io_error(&self.path, source);
        let corrupt = |detail: &str| corrupt(&self.dataset, offset, detail);
        let left = self.end.saturating_sub(offset);
        let mut bytes = [0; HEAD_BYTES];
        let present = usize::try_from(left).map_or(HEAD_BYTES, |left| left.min(HEAD_BYTES));
        self.file
            .read_exact_at(&mut bytes[..present], offset)
            .map_err(io)?;
        let (header, body) = bytes[..present]
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| corrupt("the frame runs beyond the end of the file"))?;
        let header = Header::decode(header).map_err(corrupt)?;
        if offset + HEADER_BYTES as u64 + header.body_bytes() > self.end {
            return Err(corrupt("the frame runs beyond the end of the file"));
        }
        let mut head = body[..body.len().min(header.names_bytes())].to_vec();
        if head.len() < header.names_bytes() {
            head.resize(header.names_bytes(), 0);
            self.file
                .read_exact_at(&mut head, offset + HEADER_BYTES as u64)
                .map_err(io)?;
        }
        Ok((header, head))
    }

    /// The whole frame at an offset, its digest checked.
    pub fn content(&self, offset: u64) -> Result<(Header, Content), JournalError> {
        let (header, _) = self.head(offset)?;
        let mut body = vec![0; header.names_bytes() + header.packed_bytes()];
        self.file
            .read_exact_at(&mut body, offset + HEADER_BYTES as u64)
            .map_err(|source| io_error(&self.path, source))?;
        let content = header
            .open(&body)
            .map_err(|detail| corrupt(&self.dataset, offset, &detail))?;
        Ok((header, content))
    }
}

pub(super) fn io_error(path: &std::path::Path, source: std::io::Error) -> JournalError {
    JournalError::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn corrupt(dataset: &str, offset: u64, detail: &str) -> JournalError {
    JournalError::Corrupt {
        dataset: dataset.to_owned(),
        offset,
        detail: detail.to_owned(),
    }
}
