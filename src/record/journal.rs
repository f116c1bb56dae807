//! Local progress of a running process: what was collected and concluded so far, on disk.
//!
//! ```text
//! <dir>/<dataset>.frames      frames in order of arrival, see `frame`
//! ```
//!
//! A frame holds rows of one account-region (one *group*), sorted by key. Which group a row belongs
//! to is read from its own key: datasets whose key begins with `account_id, region` have one group
//! for each pair (an absent account or Region is the empty label, which sorts first as null does),
//! all others have the single group `("", "")`. Groups in order and rows in order within a group are
//! therefore rows in key order, so a dataset of any size is read with one group in memory.
//!
//! | died or failed | what stays | what happens next |
//! |---|---|---|
//! | before a frame's last byte | a prefix of the frame at the end of one file | [`Journal::open`] cuts it off and reports it |
//! | a write failed (disk full) | the same, cut off at once; the caller has its error | the next append starts where the frame began |
//! | after the last byte | the frame | it counts |
//!
//! Frames are not synced: the journal must outlive its process, not the machine. After a power cut a
//! damaged frame is an error, and the run starts anew.

use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{JournalError, RecordError};
use super::frame::{self, HEADER_BYTES, Header};
use super::lines::{LineReader, LineWriter};
use crate::model::table::{Cell, Dataset};

const EXTENSION: &str = "frames";
/// A frame is closed when its lines reach this size, so that none outgrows its length fields and
/// reading one needs little memory.
const FRAME_BYTES: usize = 16 << 20;

/// The journal of one process. Appends may come from any thread; memory keeps frame offsets only.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    parts: Mutex<BTreeMap<String, Arc<Mutex<Part>>>>,
    /// Accounts and Regions repeat in every frame's index entry: one copy each.
    labels: Mutex<HashSet<Arc<str>>>,
}

/// A journal found on disk.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    /// Frames that the earlier process did not finish; they were cut off.
    pub unfinished: Vec<Unfinished>,
}

/// A frame that was cut off: the process died while writing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub dataset: String,
    /// Where the frame began, now the end of the file.
    pub offset: u64,
    /// Bytes removed.
    pub bytes: u64,
}

/// One dataset's file and index.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    end: u64,
    frames: Vec<Frame>,
    sorted: bool,
}

/// Where a frame is. Orders by group, then by place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    account: Arc<str>,
    region: Arc<str>,
    offset: u64,
}

impl Journal {
    /// Starts a journal in `dir`, which is created (mode 0700) or exists and is empty.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        let io = |source| io_error(dir, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        if std::fs::read_dir(dir).map_err(io)?.next().is_some() {
            return Err(JournalError::NotEmpty(dir.to_owned()));
        }
        std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io)?;
        Ok(Self::empty(dir))
    }

    /// Reads the index of a journal that an earlier process left in `dir`, cutting off at most one
    /// unfinished frame per dataset. Frames are checked in full when they are read.
    pub fn open(dir: &Path) -> Result<Opened, JournalError> {
        let io = |source| io_error(dir, source);
        let journal = Self::empty(dir);
        let mut unfinished = Vec::new();
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io)? {
            paths.push(entry.map_err(io)?.path());
        }
        paths.sort();
        for path in paths {
            let dataset = path
                .file_stem()
                .and_then(|name| name.to_str())
                .filter(|_| path.extension().is_some_and(|e| e == EXTENSION))
                .ok_or_else(|| JournalError::UnknownFile(path.clone()))?
                .to_owned();
            let (part, cut) = journal.read_index(&dataset, path)?;
            unfinished.extend(cut);
            lock(&journal.parts).insert(dataset, Arc::new(Mutex::new(part)));
        }
        Ok(Opened {
            journal,
            unfinished,
        })
    }

    fn empty(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            parts: Mutex::default(),
            labels: Mutex::default(),
        }
    }

    /// Appends rows, in any order and of any groups, and empties `rows`. No rows, no frame. On an
    /// error some of the rows may have been kept.
    pub fn append<D: Dataset>(&self, rows: &mut Vec<D>) -> Result<(), JournalError> {
        sort(rows);
        let mut lines = Vec::new();
        let mut writer = LineWriter::<D>::new();
        for group in rows.chunk_by(|a, b| group_cells(a) == group_cells(b)) {
            let Some(first) = group.first() else { continue };
            let (account, region) = group_of(first);
            lines.clear();
            let mut pending = 0;
            for row in group {
                writer.write(row, &mut lines);
                lines.push(b'\n');
                pending += 1;
                if lines.len() >= FRAME_BYTES {
                    self.append_frame::<D>(&account, &region, pending, &lines)?;
                    lines.clear();
                    pending = 0;
                }
            }
            if pending > 0 {
                self.append_frame::<D>(&account, &region, pending, &lines)?;
            }
        }
        rows.clear();
        Ok(())
    }

    fn append_frame<D: Dataset>(
        &self,
        account: &str,
        region: &str,
        rows: usize,
        lines: &[u8],
    ) -> Result<(), JournalError> {
        let frame = frame::encode(D::NAME, account, region, rows, lines)
            .ok_or(JournalError::RowTooLarge {
                dataset: D::NAME,
                bytes: lines.len(),
            })?
            .map_err(|source| io_error(&self.dir, source))?;
        let (account, region) = (self.label(account), self.label(region));
        let part = self.part_for_writing(D::NAME)?;
        let mut part = lock(&part);
        let offset = part.end;
        if let Err(source) = part.file.write_all_at(&frame, offset) {
            // Best effort: should this fail too, the next frame overwrites the torn one.
            let _ = part.file.set_len(offset);
            return Err(io_error(&part.path, source));
        }
        part.end += frame.len() as u64;
        part.sorted = false;
        part.frames.push(Frame {
            account,
            region,
            offset,
        });
        Ok(())
    }

    /// Account and Region of every group that has rows of `D`, in order.
    pub fn groups<D: Dataset>(&self) -> Vec<(String, String)> {
        let Some(part) = self.part(D::NAME) else {
            return Vec::new();
        };
        let mut groups: Vec<(String, String)> = lock(&part)
            .sorted_frames()
            .iter()
            .map(|frame| (frame.account.to_string(), frame.region.to_string()))
            .collect();
        groups.dedup();
        groups
    }

    /// The rows of one group in key order; a group without rows is empty. Where several rows have one
    /// key, the one that sorts first by all its columns is kept, whichever came first.
    pub fn read_group<D: Dataset>(
        &self,
        account: &str,
        region: &str,
    ) -> Result<Vec<D>, JournalError> {
        let Some(part) = self.part(D::NAME) else {
            return Ok(Vec::new());
        };
        let frames: Vec<Frame> = {
            let mut part = lock(&part);
            let frames = part.sorted_frames();
            let group = (account, region);
            let from = frames.partition_point(|f| (&*f.account, &*f.region) < group);
            let to = frames.partition_point(|f| (&*f.account, &*f.region) <= group);
            frames[from..to].to_vec()
        };
        read_frames(&part, &frames)
    }

    /// Every row of `D` in key order, one group in memory at a time; see [`Journal::read_group`] for
    /// rows with one key. Rows appended later are not seen. After an error the iterator ends.
    pub fn rows<D: Dataset>(&self) -> impl Iterator<Item = Result<D, RecordError>> + use<D> {
        let part = self.part(D::NAME);
        let frames = part
            .as_ref()
            .map(|part| lock(part).sorted_frames().to_vec())
            .unwrap_or_default();
        Rows {
            part,
            frames,
            next: 0,
            group: Vec::new().into_iter(),
        }
    }

    /// Deletes the journal's folder and everything in it.
    pub fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_dir_all(&self.dir).map_err(|source| io_error(&self.dir, source))
    }

    fn label(&self, text: &str) -> Arc<str> {
        let mut labels = lock(&self.labels);
        if let Some(known) = labels.get(text) {
            return Arc::clone(known);
        }
        let label: Arc<str> = text.into();
        labels.insert(Arc::clone(&label));
        label
    }

    fn part(&self, dataset: &str) -> Option<Arc<Mutex<Part>>> {
        lock(&self.parts).get(dataset).cloned()
    }

    fn part_for_writing(&self, dataset: &str) -> Result<Arc<Mutex<Part>>, JournalError> {
        let mut parts = lock(&self.parts);
        if let Some(part) = parts.get(dataset) {
            return Ok(Arc::clone(part));
        }
        let path = self.dir.join(dataset).with_extension(EXTENSION);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io_error(&path, source))?;
        let part = Arc::new(Mutex::new(Part {
            path,
            file,
            end: 0,
            frames: Vec::new(),
            sorted: true,
        }));
        parts.insert(dataset.to_owned(), Arc::clone(&part));
        Ok(part)
    }

    /// Walks the headers of one file.
    fn read_index(
        &self,
        dataset: &str,
        path: PathBuf,
    ) -> Result<(Part, Option<Unfinished>), JournalError> {
        let io = |source| io_error(&path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut frames = Vec::new();
        let mut offset = 0;
        let mut unfinished = None;
        while offset < length {
            let corrupt = |detail: &str| corrupt(dataset, offset, detail);
            let left = length - offset;
            let mut head = [0; HEADER_BYTES];
            let present = HEADER_BYTES.min(usize::try_from(left).unwrap_or(HEADER_BYTES));
            file.read_exact_at(&mut head[..present], offset)
                .map_err(io)?;
            if present < HEADER_BYTES && !frame::may_begin(&head[..present]) {
                return Err(corrupt("no frame begins here"));
            }
            let header = if present == HEADER_BYTES {
                let header = Header::decode(&head).map_err(corrupt)?;
                (HEADER_BYTES as u64 + header.body_bytes() <= left).then_some(header)
            } else {
                None
            };
            let Some(header) = header else {
                file.set_len(offset).map_err(io)?;
                unfinished = Some(Unfinished {
                    dataset: dataset.to_owned(),
                    offset,
                    bytes: left,
                });
                break;
            };
            let mut names = vec![0; header.names_bytes()];
            file.read_exact_at(&mut names, offset + HEADER_BYTES as u64)
                .map_err(io)?;
            let [name, account, region] = header.names(&names).map_err(corrupt)?;
            if name != dataset {
                return Err(corrupt("the frame belongs to another dataset"));
            }
            frames.push(Frame {
                account: self.label(account),
                region: self.label(region),
                offset,
            });
            offset += HEADER_BYTES as u64 + header.body_bytes();
        }
        let part = Part {
            path,
            file,
            end: offset,
            frames,
            sorted: false,
        };
        Ok((part, unfinished))
    }
}

impl Part {
    fn sorted_frames(&mut self) -> &[Frame] {
        if !self.sorted {
            self.frames.sort_unstable();
            self.sorted = true;
        }
        &self.frames
    }

    fn read_frame<D: Dataset>(&self, frame: &Frame, rows: &mut Vec<D>) -> Result<(), JournalError> {
        let io = |source| io_error(&self.path, source);
        let corrupt = |detail: &str| corrupt(D::NAME, frame.offset, detail);
        let mut head = [0; HEADER_BYTES];
        self.file
            .read_exact_at(&mut head, frame.offset)
            .map_err(io)?;
        let header = Header::decode(&head).map_err(corrupt)?;
        let body_at = frame.offset + HEADER_BYTES as u64;
        if body_at + header.body_bytes() > self.end {
            return Err(corrupt("the frame runs beyond the end of the file"));
        }
        let mut body = vec![0; header.names_bytes() + header.packed_bytes()];
        self.file.read_exact_at(&mut body, body_at).map_err(io)?;
        let content = header.open(&body).map_err(|detail| corrupt(&detail))?;
        if content.dataset != D::NAME
            || content.account != *frame.account
            || content.region != *frame.region
        {
            return Err(corrupt("the frame carries other labels than its index"));
        }
        let reader = LineReader::<D>::new();
        let mut count = 0;
        for line in content.lines.split_inclusive(|&byte| byte == b'\n') {
            rows.push(reader.read(line).map_err(|detail| corrupt(&detail))?);
            count += 1;
        }
        if count != header.rows {
            return Err(corrupt(
                "the frame holds another number of rows than it says",
            ));
        }
        Ok(())
    }
}

/// Reads the frames of one group and merges them.
fn read_frames<D: Dataset>(part: &Mutex<Part>, frames: &[Frame]) -> Result<Vec<D>, JournalError> {
    let mut rows: Vec<D> = Vec::new();
    {
        let part = lock(part);
        for frame in frames {
            part.read_frame(frame, &mut rows)?;
        }
    }
    sort(&mut rows);
    rows.dedup_by(|later, earlier| later.key_order(earlier).is_eq());
    Ok(rows)
}

struct Rows<D> {
    part: Option<Arc<Mutex<Part>>>,
    frames: Vec<Frame>,
    next: usize,
    group: std::vec::IntoIter<D>,
}

impl<D: Dataset> Iterator for Rows<D> {
    type Item = Result<D, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.group.next() {
                return Some(Ok(row));
            }
            let first = self.frames.get(self.next)?;
            let group = self.frames[self.next..]
                .iter()
                .take_while(|f| f.account == first.account && f.region == first.region)
                .count();
            let frames = self.next..self.next + group;
            self.next = frames.end;
            match read_frames(self.part.as_deref()?, &self.frames[frames]) {
                Ok(rows) => self.group = rows.into_iter(),
                Err(e) => {
                    self.next = self.frames.len();
                    return Some(Err(e.into()));
                }
            }
        }
    }
}

/// Sorts by key, and rows with one key by all their columns, so that order of arrival is forgotten.
fn sort<D: Dataset>(rows: &mut [D]) {
    rows.sort_by(|a, b| {
        a.key_order(b).then_with(|| {
            (0..D::COLUMNS.len())
                .map(|position| a.cell(position).cmp(&b.cell(position)))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    });
}

/// The cells that say which group a row belongs to.
fn group_cells<D: Dataset>(row: &D) -> Option<(Cell<'_>, Cell<'_>)> {
    let [account, region, ..] = D::KEY else {
        return None;
    };
    let name = |position: usize| D::COLUMNS[position].name;
    (name(*account) == "account_id" && name(*region) == "region")
        .then(|| (row.cell(*account), row.cell(*region)))
}

fn group_of<D: Dataset>(row: &D) -> (String, String) {
    let label = |cell| match cell {
        Cell::Text(text) => text.into_owned(),
        _ => String::new(),
    };
    group_cells(row).map_or_else(Default::default, |(account, region)| {
        (label(account), label(region))
    })
}

fn io_error(path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io {
        path: path.to_owned(),
        source,
    }
}

fn corrupt(dataset: &str, offset: u64, detail: &str) -> JournalError {
    JournalError::Corrupt {
        dataset: dataset.to_owned(),
        offset,
        detail: detail.to_owned(),
    }
}

/// A panic in another thread leaves offsets and index in step (both change after the write), so the
/// lock stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
