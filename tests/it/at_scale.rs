//! Evidence of very many clusters: what `scripts/bench encode` measures. Nothing is asserted; each
//! measurement prints one line of JSON.
//!
//! The rows are those of a real run over a small organization, made over and over. Every copy has
//! account, cluster, step and key ids of its own, in every text that names one, and its clusters lived
//! at other times; names, buckets, tags, releases and what was concluded stay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use keyproof::archive::file_store::FileStore;
use keyproof::archive::starts::Start;
use keyproof::archive::store::Body;
use keyproof::archive::verify::{self, VerifiedRun, VerifyOptions};
use keyproof::archive::{layout, records, settle};
use keyproof::model::datasets::{Account, Coverage, EmrCluster, Finding, Verdict};
use keyproof::model::ids::AccountId;
use keyproof::model::table::{Cell, Dataset};
use keyproof::record::{self, Encoded, RecordError};
use keyproof::seal::{Content, FileEntry};
use keyproof::testkit::{FixedClock, SampleArchive, TempDir};
use keyproof::time::{Clock, DAY_MS, SystemClock, UtcMillis};
use serde_json::json;

/// Rows that are encoded from memory.
const IN_MEMORY: usize = 131_072;
/// The best of so many counts.
const REPEATS: usize = 5;

#[tokio::test]
#[ignore = "a measurement: scripts/bench encode"]
async fn encoding_alone() {
    let sample = Sample::read().await;
    let folder = TempDir::new();
    let path = folder.path().join("rows.parquet");
    let results = json!({
        "emr_cluster": alone(&sample.copies::<EmrCluster>().await, &path),
        "finding": alone(&sample.copies::<Finding>().await, &path),
    });
    println!("measured {results}");
}

fn alone<D: Dataset>(copies: &Copies<'_, D>, path: &Path) -> serde_json::Value {
    let rows: Vec<D> = copies.rows(0..u64::MAX).take(IN_MEMORY).collect();
    let runs = (0..REPEATS).map(|_| {
        let rows = rows.clone();
        let begun = Used::now();
        record::write_rows(path, rows.into_iter().map(Ok)).expect("rows in order");
        std::fs::remove_file(path).expect("remove");
        begun.since()
    });
    let runs: Vec<Used> = runs.collect();
    let least = |of: fn(&Used) -> f64| runs.iter().map(of).fold(f64::INFINITY, f64::min);
    json!({"rows": rows.len(), "wall_s": least(|u| u.wall_s), "cpu_s": least(|u| u.cpu_s)})
}

#[tokio::test]
#[ignore = "a measurement: scripts/bench encode"]
async fn very_many_clusters_are_encoded_and_sealed() {
    let sample = Sample::read().await;
    let wanted: u64 = variable("KEYPROOF_BENCH_CLUSTERS").parse().expect("number");
    let clusters = sample.copies::<EmrCluster>().await;
    let copies = wanted.div_ceil(clusters.models.len() as u64);
    let store = FileStore::at(&variable("KEYPROOF_BENCH_ARCHIVE")).expect("a folder");
    let mut archive = SampleArchive::new(Arc::new(store));
    archive.clock = Arc::new(FixedClock::at(SystemClock.now()));
    fill(&mut archive, &sample.words, copies);
    let begun = Instant::now();
    let mut chain = archive.chain().await.expect("begun");
    let run = archive.begin(&mut chain, None).await.expect("a start");
    let work = TempDir::new();
    let mut written = Written {
        archive: &archive,
        start: &run.start,
        work: &work.path().join("rows.parquet"),
        copies,
        files: Vec::new(),
        measured: BTreeMap::new(),
    };
    written.dataset(&clusters).await;
    drop(clusters);
    written.dataset(&sample.copies::<Finding>().await).await;
    written.dataset(&sample.copies::<Verdict>().await).await;
    let Written {
        files, measured, ..
    } = written;
    let sealing = Instant::now();
    let data = archive.collect_beside(&chain, &run, files).await;
    let (manifest, seal) = data.expect("data");
    let sealed = archive
        .seal(&mut chain, &manifest, Content::Run(seal))
        .await;
    sealed.expect("sealed");
    let results = json!({
        "accounts": archive.accounts.len(),
        "datasets": measured,
        "seal_s": sealing.elapsed().as_secs_f64(),
        "wall_s": begun.elapsed().as_secs_f64(),
    });
    println!("measured {results}");
}

/// Writes datasets of one run as a run does: encoded and hashed on disk, then put into the archive.
struct Written<'a> {
    archive: &'a SampleArchive,
    start: &'a Start,
    work: &'a Path,
    copies: u64,
    files: Vec<FileEntry>,
    measured: BTreeMap<&'static str, serde_json::Value>,
}

impl Written<'_> {
    async fn dataset<D: Dataset>(&mut self, copies: &Copies<'_, D>) {
        // What making rows takes by itself, from a part of them.
        let part = self.copies.div_ceil(20);
        let making = Used::now();
        let made = copies.rows(0..part).count() as f64;
        let making = making.since();

        let begun = Used::now();
        let rows = copies.rows(0..self.copies).map(Ok::<_, RecordError>);
        let encoded = record::write_rows(self.work, rows).expect("rows in order");
        let encoding = begun.since();
        let share = encoded.rows as f64 / made;
        let figures = json!({
            "rows": encoded.rows,
            "bytes": encoded.bytes,
            "wall_s": encoding.wall_s,
            "cpu_s": encoding.cpu_s,
            "making_wall_s": making.wall_s * share,
            "making_cpu_s": making.cpu_s * share,
        });
        self.measured.insert(D::NAME, figures);
        let file = put::<D>(self.archive, self.start, self.work, encoded).await;
        self.files.push(file);
    }
}

/// Puts an encoded file of a run into the archive; it is gone from where it was.
pub async fn put<D: Dataset>(
    archive: &SampleArchive,
    start: &Start,
    path: &Path,
    encoded: Encoded,
) -> FileEntry {
    let (store, clock) = (&*archive.store, &*archive.clock);
    let (date, run_id) = (start.scheduled_for, &start.run_id);
    let name = layout::evidence(D::NAME, D::VERSION, date, run_id, 0, "9c1f");
    let put = settle::create(store, clock, &name, Body::File(path), &encoded.sha256).await;
    put.expect("put");
    std::fs::remove_file(path).expect("remove");
    FileEntry {
        name,
        bytes: encoded.bytes,
        rows: Some(encoded.rows),
        rows_sha256: Some(encoded.rows_sha256),
        sha256: encoded.sha256,
        stored: None,
    }
}

/// Time on the clock and of all cores.
pub struct Used {
    at: Instant,
    pub wall_s: f64,
    pub cpu_s: f64,
}

impl Used {
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            wall_s: 0.0,
            cpu_s: cpu_s(),
        }
    }

    pub fn since(&self) -> Self {
        Self {
            at: self.at,
            wall_s: self.at.elapsed().as_secs_f64(),
            cpu_s: cpu_s() - self.cpu_s,
        }
    }
}

/// What this process used of all cores: fields 14 and 15 of proc(5), in hundredths of a second.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/bench does"))
}

/// The newest run of an archive.
struct Sample {
    store: FileStore,
    run: VerifiedRun,
    words: Words,
}

impl Sample {
    async fn read() -> Self {
        let store = FileStore::at(&variable("KEYPROOF_BENCH_SAMPLE")).expect("a folder");
        let report = verify::verify(&store, &VerifyOptions::default()).await;
        let run = report.expect("listed").runs.pop().expect("a run");
        let clusters = rows(&store, &run).await;
        let words = Words::of(&clusters);
        Self { store, run, words }
    }

    async fn copies<D: Dataset>(&self) -> Copies<'_, D> {
        let rows: Vec<D> = rows(&self.store, &self.run).await;
        Copies::new(rows, &self.words)
    }
}

/// The rows of one dataset of a run.
async fn rows<D: Dataset>(store: &FileStore, run: &VerifiedRun) -> Vec<D> {
    let mut rows = Vec::new();
    for file in records::dataset_files(&run.files, D::NAME) {
        let bytes = records::read_file(store, file, u64::MAX)
            .await
            .expect("as sealed");
        let read = record::read_bytes::<D>(&file.name, bytes).expect("opens");
        rows.extend(read.map(|row| row.expect("a row")));
    }
    rows
}

/// What each copy spells anew, in places of equal length.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    /// By its rank among all accounts, which copies keep.
    Account(usize),
    /// By its place in [`Words::clusters`].
    Cluster(usize),
    Step,
    Key,
}

/// Account and cluster ids of the sample in key order, so that copies keep the order of rows.
struct Words {
    accounts: Vec<String>,
    clusters: Vec<String>,
    /// How many clusters follow one another in each account and Region.
    groups: Vec<usize>,
}

impl Words {
    fn of(rows: &[EmrCluster]) -> Self {
        let accounts: BTreeSet<&str> = rows.iter().map(|row| row.account_id.as_str()).collect();
        let together =
            |a: &EmrCluster, b: &EmrCluster| a.account_id == b.account_id && a.region == b.region;
        Self {
            accounts: accounts.into_iter().map(str::to_owned).collect(),
            clusters: rows
                .iter()
                .map(|row| row.cluster_id[2..].to_owned())
                .collect(),
            groups: rows.chunk_by(together).map(<[_]>::len).collect(),
        }
    }

    /// Where words stand in a text: offset, length, word.
    fn find(&self, text: &str) -> Vec<(usize, usize, Word)> {
        let mut found = Vec::new();
        let in_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut at = 0;
        while let Some(start) = text[at..].find(in_token).map(|n| at + n) {
            let end = text[start..].find(|c| !in_token(c));
            let end = end.map_or(text.len(), |n| start + n);
            self.find_in_token(text, start, end, &mut found);
            at = end;
        }
        found
    }

    fn find_in_token(
        &self,
        text: &str,
        start: usize,
        end: usize,
        found: &mut Vec<(usize, usize, Word)>,
    ) {
        let token = &text[start..end];
        let is_id = |id: &str| {
            id.len() >= 13
                && id
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let hex = |id: &str| id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if let Some(id) = token.strip_prefix("j-").filter(|id| is_id(id)) {
            if let Some(place) = self.clusters.iter().position(|known| known == id) {
                found.push((start + 2, 13, Word::Cluster(place)));
            }
        } else if token.strip_prefix("s-").is_some_and(is_id) {
            found.push((start + 2, 13, Word::Step));
        } else if token.len() == 36 && hex(token.strip_prefix("mrk-").unwrap_or(token)) {
            let from = if token.starts_with("mrk-") { 4 } else { 0 };
            found.push((start + from, token.len() - from, Word::Key));
        } else {
            let digits = |from: usize| token[from..].find(|c: char| !c.is_ascii_digit());
            let mut from = 0;
            while from < token.len() {
                let length = digits(from).unwrap_or(token.len() - from);
                let known = self
                    .accounts
                    .binary_search_by(|a| a.as_str().cmp(&token[from..from + length]));
                if let Ok(rank) = known {
                    found.push((start + from, length, Word::Account(rank)));
                }
                from += length.max(1);
            }
        }
    }

    /// The cluster ids of one copy; a group's are in order.
    fn clusters_of(&self, copy: u64) -> Vec<String> {
        let ids = (0..self.clusters.len()).map(|place| id(mix(copy, place as u64)));
        let mut ids: Vec<String> = ids.collect();
        let mut from = 0;
        for length in &self.groups {
            ids[from..from + length].sort_unstable();
            from += length;
        }
        ids
    }

    /// The account of this rank in a copy: 12 digits, rising with copy and rank.
    fn account(&self, copy: u64, rank: usize) -> String {
        const STEP: u64 = 8_000_000;
        let n = copy * self.accounts.len() as u64 + rank as u64;
        format!("{:012}", 100_000_000_000 + n * STEP + mix(n, 1) % STEP)
    }
}

/// Noise from two numbers (splitmix64).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_add(0x6a09_e667_f3bc_c909);
    for _ in 0..2 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

/// 13 characters, as EMR makes ids.
pub fn id(seed: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest = u128::from(seed) << 64 | u128::from(mix(seed, 2));
    let mut text = String::with_capacity(13);
    for _ in 0..13 {
        text.push(char::from(DIGITS[(rest % 36) as usize]));
        rest /= 36;
    }
    text
}

/// A word of a row: column, offset, length, hash of the sample's spelling.
struct Place {
    column: usize,
    at: usize,
    length: usize,
    word: Word,
    hash: u64,
}

struct Model<D> {
    row: D,
    places: Vec<Place>,
}

/// The rows of one dataset, to be made again with other words.
struct Copies<'a, D> {
    words: &'a Words,
    /// Rows in key order, those of one cluster together.
    models: Vec<Vec<Model<D>>>,
}

impl<'a, D: Dataset> Copies<'a, D> {
    fn new(rows: Vec<D>, words: &'a Words) -> Self {
        let mut models: Vec<Vec<Model<D>>> = Vec::new();
        for row in rows {
            let model = Model {
                places: places(&row, words),
                row,
            };
            let of_cluster = |a: &D, b: &D| D::KEY.iter().take(3).all(|&k| a.cell(k) == b.cell(k));
            match models.last_mut() {
                Some(group) if of_cluster(&group[0].row, &model.row) => group.push(model),
                _ => models.push(vec![model]),
            }
        }
        Self { words, models }
    }

    /// The rows of some copies, in key order.
    fn rows(&self, copies: std::ops::Range<u64>) -> impl Iterator<Item = D> {
        copies.flat_map(|copy| {
            let spelled = Spelled {
                words: self.words,
                clusters: self.words.clusters_of(copy),
                copy,
            };
            self.models.iter().flat_map(move |group| {
                let mut rows: Vec<D> = group.iter().map(|model| spelled.row(model)).collect();
                // Subjects of one rule may be keys, which are spelled anew.
                rows.sort_by(D::key_order);
                rows
            })
        })
    }
}

fn places<D: Dataset>(row: &D, words: &Words) -> Vec<Place> {
    let mut places = Vec::new();
    for column in 0..D::COLUMNS.len() {
        let Cell::Text(text) = row.cell(column) else {
            continue;
        };
        places.extend(words.find(&text).into_iter().map(|(at, length, word)| {
            let bytes = text.as_bytes()[at..at + length].iter();
            let hash = bytes.fold(0, |hash, &byte| mix(hash, u64::from(byte)));
            Place {
                column,
                at,
                length,
                word,
                hash,
            }
        }));
    }
    places
}

/// The words of one copy.
struct Spelled<'a> {
    words: &'a Words,
    clusters: Vec<String>,
    copy: u64,
}

impl Spelled<'_> {
    fn row<D: Dataset>(&self, model: &Model<D>) -> D {
        let mut places = model.places.iter().peekable();
        // All rows of a cluster tell of the same day and of the same time of it.
        let cluster = model
            .places
            .iter()
            .find(|p| matches!(p.word, Word::Cluster(_)));
        let later = mix(self.copy, cluster.map_or(0, |p| p.hash)) % DAY_MS as u64;
        let later = later as i64;
        let row = D::from_cells(|column| match model.row.cell(column) {
            Cell::Text(text) if places.peek().is_some_and(|p| p.column == column) => {
                let mut text = text.into_owned();
                while let Some(place) = places.next_if(|p| p.column == column) {
                    let range = place.at..place.at + place.length;
                    let word = self.word(place, &text[range.clone()]);
                    text.replace_range(range, &word);
                }
                Cell::Text(text.into())
            }
            Cell::Instant(at) => Cell::Instant(UtcMillis(at.0 + later)),
            Cell::Int(ms) if D::COLUMNS[column].name.ends_with("_ms") => Cell::Int(ms + later),
            cell => cell,
        });
        row.expect("cells of the same shape")
    }

    fn word(&self, place: &Place, before: &str) -> String {
        match place.word {
            Word::Account(rank) => self.words.account(self.copy, rank),
            Word::Cluster(at) => self.clusters[at].clone(),
            Word::Step => id(mix(self.copy, place.hash)),
            Word::Key => {
                let mut seed = mix(self.copy, place.hash);
                let digit = |c| {
                    seed = mix(seed, 3);
                    if c == '-' {
                        c
                    } else {
                        char::from_digit((seed % 16) as u32, 16).unwrap_or(c)
                    }
                };
                before.chars().map(digit).collect()
            }
        }
    }
}

/// Accounts and cells of all copies.
fn fill(archive: &mut SampleArchive, words: &Words, copies: u64) {
    let account = archive.accounts[0].clone();
    let cells = archive.coverage.clone().into_iter();
    let cells: Vec<_> = cells
        .filter(|cell| cell.account_id == account.account_id)
        .collect();
    (archive.accounts, archive.coverage) = (Vec::new(), Vec::new());
    for copy in 0..copies {
        for rank in 0..words.accounts.len() {
            let account_id: AccountId = words.account(copy, rank).parse().expect("an account id");
            archive.coverage.extend(cells.iter().map(|cell| Coverage {
                account_id: account_id.clone(),
                ..cell.clone()
            }));
            archive.accounts.push(Account {
                account_id,
                ..account.clone()
            });
        }
    }
}
