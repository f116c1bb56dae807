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

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chains::{Frame, Part, Written, corrupt, io_error};
use super::error::{JournalError, RecordError};
use super::frame::{self, HEADER_BYTES, Header};
use super::lines::{LineReader, LineWriter};
use crate::model::table::{Cell, Dataset};

const EXTENSION: &str = "frames";
/// A frame is closed when its lines reach this size, so that none outgrows its length fields and
/// reading one needs little memory.
const FRAME_BYTES: usize = 16 << 20;

/// The journal of one process. Appends may come from any thread; memory keeps the place of each
/// account's last frame, see `chains`.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    parts: Mutex<BTreeMap<String, Arc<Mutex<Part>>>>,
    accounts: Mutex<Accounts>,
}

/// Accounts by number: one copy of each name for all datasets.
#[derive(Debug, Default)]
struct Accounts {
    numbers: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
}

impl Accounts {
    fn number(&mut self, name: &str) -> usize {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, self.names.len() - 1);
        self.names.len() - 1
    }
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
            accounts: Mutex::default(),
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
        let mut frame = frame::encode(D::NAME, account, region, rows, lines)
            .ok_or(JournalError::RowTooLarge {
                dataset: D::NAME,
                bytes: lines.len(),
            })?
            .map_err(|source| io_error(&self.dir, source))?;
        let account = lock(&self.accounts).number(account);
        let part = self.part_for_writing(D::NAME)?;
        let mut part = lock(&part);
        frame::place(&mut frame, part.last(account));
        let offset = part.written.end;
        if let Err(source) = part.written.file.write_all_at(&frame, offset) {
            // Best effort: should this fail too, the next frame overwrites the torn one.
            let _ = part.written.file.set_len(offset);
            return Err(io_error(&part.written.path, source));
        }
        part.note(account, offset, frame.len() as u64);
        Ok(())
    }

    /// Whether there are no rows of `D`.
    pub fn is_empty<D: Dataset>(&self) -> bool {
        self.part(D::NAME)
            .is_none_or(|part| lock(&part).written.end == 0)
    }

    /// Account and Region of every group that has rows of `D`, in order. Rows appended later are not
    /// seen. After an error the iterator ends.
    pub fn groups<D: Dataset>(
        &self,
    ) -> impl Iterator<Item = Result<(Arc<str>, Arc<str>), JournalError>> + use<D> {
        let mut walk = self.walk::<D>();
        std::iter::from_fn(move || walk.next_group().transpose())
            .map(|group| group.map(|group| (group.account, group.region)))
    }

    /// The rows of one group in key order; a group without rows is empty. Where several rows have one
    /// key, the one that sorts first by all its columns is kept, whichever came first.
    pub fn read_group<D: Dataset>(
        &self,
        account: &str,
        region: &str,
    ) -> Result<Vec<D>, JournalError> {
        match self.group::<D>(account, region)? {
            Some((written, frames)) => read_frames(&written, account, &frames),
            None => Ok(Vec::new()),
        }
    }

    /// Whether a group has rows; none is read.
    pub fn has_group<D: Dataset>(&self, account: &str, region: &str) -> Result<bool, JournalError> {
        let found = self.group::<D>(account, region)?;
        Ok(found.is_some_and(|(_, frames)| !frames.is_empty()))
    }

    /// The frames of a group.
    fn group<D: Dataset>(
        &self,
        account: &str,
        region: &str,
    ) -> Result<Option<(Written, Vec<Frame>)>, JournalError> {
        let number = lock(&self.accounts).numbers.get(account).copied();
        let (Some(part), Some(number)) = (self.part(D::NAME), number) else {
            return Ok(None);
        };
        let mut part = lock(&part);
        let Some(last) = part.last(number) else {
            return Ok(None);
        };
        let frames = part.frames(account, last)?;
        let from = frames.partition_point(|f| &*f.region < region);
        let to = frames.partition_point(|f| &*f.region <= region);
        Ok(Some((part.written.clone(), frames[from..to].to_vec())))
    }

    /// Every row of `D` in key order, one group in memory at a time; see [`Journal::read_group`] for
    /// rows with one key. Rows appended later are not seen. After an error the iterator ends.
    pub fn rows<D: Dataset>(&self) -> impl Iterator<Item = Result<D, RecordError>> + use<D> {
        Rows {
            walk: self.walk::<D>(),
            group: Vec::new().into_iter(),
        }
    }

    /// A walk over the groups that have rows of `D` by now.
    fn walk<D: Dataset>(&self) -> Walk {
        let part = self.part(D::NAME);
        let mut accounts: Vec<(Arc<str>, u64)> = Vec::new();
        if let Some(part) = &part {
            let names = lock(&self.accounts);
            let part = lock(part);
            let named = part.accounts();
            accounts.extend(named.map(|(number, last)| (Arc::clone(&names.names[number]), last)));
        }
        accounts.sort_unstable();
        Walk {
            part,
            accounts: accounts.into_iter(),
            account: "".into(),
            frames: Arc::new([]),
            next: 0,
        }
    }

    /// Deletes the journal's folder and everything in it.
    pub fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_dir_all(&self.dir).map_err(|source| io_error(&self.dir, source))
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
        let part = Arc::new(Mutex::new(Part::new(dataset, path, file)));
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
        let mut part = Part::new(dataset, path.clone(), file);
        let mut offset = 0;
        let mut unfinished = None;
        while offset < length {
            let corrupt = |detail: &str| corrupt(dataset, offset, detail);
            let left = length - offset;
            let mut head = [0; HEADER_BYTES];
            let present = HEADER_BYTES.min(usize::try_from(left).unwrap_or(HEADER_BYTES));
            part.written
                .file
                .read_exact_at(&mut head[..present], offset)
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
                part.written.file.set_len(offset).map_err(io)?;
                unfinished = Some(Unfinished {
                    dataset: dataset.to_owned(),
                    offset,
                    bytes: left,
                });
                break;
            };
            let mut names = vec![0; header.names_bytes()];
            part.written
                .file
                .read_exact_at(&mut names, offset + HEADER_BYTES as u64)
                .map_err(io)?;
            let [name, account, _] = header.names(&names).map_err(corrupt)?;
            if name != dataset {
                return Err(corrupt("the frame belongs to another dataset"));
            }
            let account = lock(&self.accounts).number(account);
            if header.previous != part.last(account) {
                // Either its own label is damaged or that of the frame which it names.
                part.written.end = length;
                part.written.content(offset)?;
                let before = header.previous.unwrap_or(offset);
                let detail = "the next frame of its account is another account's";
                return Err(super::chains::corrupt(dataset, before, detail));
            }
            let bytes = HEADER_BYTES as u64 + header.body_bytes();
            part.note(account, offset, bytes);
            offset += bytes;
        }
        Ok((part, unfinished))
    }
}

/// Reads the frames of one group and merges them.
fn read_frames<D: Dataset>(
    written: &Written,
    account: &str,
    frames: &[Frame],
) -> Result<Vec<D>, JournalError> {
    let mut rows: Vec<D> = Vec::new();
    let reader = LineReader::<D>::new();
    for frame in frames {
        let corrupt = |detail: &str| corrupt(D::NAME, frame.offset, detail);
        let (header, content) = written.content(frame.offset)?;
        if content.dataset != D::NAME
            || content.account != account
            || content.region != *frame.region
        {
            return Err(corrupt("the frame carries other labels than its index"));
        }
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
    }
    sort(&mut rows);
    rows.dedup_by(|later, earlier| later.key_order(earlier).is_eq());
    Ok(rows)
}

/// The groups of a dataset in order, one account's frames in memory at a time.
struct Walk {
    part: Option<Arc<Mutex<Part>>>,
    accounts: std::vec::IntoIter<(Arc<str>, u64)>,
    account: Arc<str>,
    frames: Arc<[Frame]>,
    next: usize,
}

/// One group's frames.
struct Found {
    account: Arc<str>,
    region: Arc<str>,
    frames: std::ops::Range<usize>,
}

impl Walk {
    fn next_group(&mut self) -> Result<Option<Found>, JournalError> {
        let Some(part) = &self.part else {
            return Ok(None);
        };
        while self.next >= self.frames.len() {
            let Some((account, last)) = self.accounts.next() else {
                return Ok(None);
            };
            let listed = lock(part).frames(&account, last);
            self.frames = listed.inspect_err(|_| self.accounts = Vec::new().into_iter())?;
            (self.account, self.next) = (account, 0);
        }
        let rest = &self.frames[self.next..];
        let Some(region) = rest.first().map(|frame| Arc::clone(&frame.region)) else {
            return Ok(None);
        };
        let same = rest.iter().take_while(|frame| frame.region == region);
        let frames = self.next..self.next + same.count();
        self.next = frames.end;
        Ok(Some(Found {
            account: Arc::clone(&self.account),
            region,
            frames,
        }))
    }

    fn next_rows<D: Dataset>(&mut self) -> Result<Option<Vec<D>>, JournalError> {
        let (Some(found), Some(part)) = (self.next_group()?, &self.part) else {
            return Ok(None);
        };
        let written = lock(part).written.clone();
        let read = read_frames(&written, &found.account, &self.frames[found.frames]);
        read.map(Some).inspect_err(|_| {
            self.frames = Arc::new([]);
            self.accounts = Vec::new().into_iter();
        })
    }
}

struct Rows<D> {
    walk: Walk,
    group: std::vec::IntoIter<D>,
}

impl<D: Dataset> Iterator for Rows<D> {
    type Item = Result<D, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.group.next() {
                return Some(Ok(row));
            }
            match self.walk.next_rows() {
                Ok(rows) => self.group = rows?.into_iter(),
                Err(error) => return Some(Err(error.into())),
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

/// A panic in another thread leaves offsets and index in step (both change after the write), so the
/// lock stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
