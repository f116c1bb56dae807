//! Inventories of any length are read in the same memory: each measurement is a process of its own, since
//! the system tells the peak of a process and no other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use keyproof::collect::history::folders::LogFolders;
use keyproof::collect::history::moved::{self, Aim, Prior, SUCCEEDED};
use keyproof::collect::history::rows::{Layout, VersionRow, column_name, read};
use keyproof::collect::history::sorted::{Record, Sorted, Sorter, version};
use keyproof::collect::history::summary::Summary;
use keyproof::testkit::TempDir;

const SCHEMA: &str = "Bucket,Key,VersionId,IsLatest,IsDeleteMarker,Size,EncryptionStatus";
/// Rows of one piece of a file, which is written again and again.
const PIECE: usize = 20_000;
/// What 19 of 20 parts of the rows may add to the peak, in KiB.
const GROWTH: u64 = 16 * 1024;

fn line(number: usize) -> String {
    let status = ["SSE-S3", "SSE-KMS", "SSE-C"][number % 3];
    format!(
        "logs,emr/team{}/j-{:013}/containers/application_{number}/stderr.gz,v{number},{},false,{number},{status}\n",
        number % 7,
        number % 997,
        number.is_multiple_of(2)
    )
}

/// A gzipped CSV of so many rows.
fn csv_gz(path: &Path, rows: usize) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..PIECE {
        packed.write_all(line(number).as_bytes()).expect("pack");
    }
    let piece = packed.finish().expect("pack");
    let mut file = File::create(path).expect("create");
    for _ in 0..rows / PIECE {
        file.write_all(&piece).expect("write");
    }
}

/// The same as Parquet, a row group for each piece.
fn parquet(path: &Path, rows: usize) {
    use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
    let all: Vec<String> = (0..PIECE).map(line).collect();
    let fields: Vec<Vec<&str>> = all
        .iter()
        .map(|l| l.trim_end().split(',').collect())
        .collect();
    let text = |at: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(fields.iter().map(|f| f[at])))
    };
    let flag = |at: usize| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(
            fields.iter().map(|f| Some(f[at] == "true")),
        ))
    };
    let sizes = fields
        .iter()
        .map(|f| f[5].parse::<i64>().expect("a number"));
    let batch = RecordBatch::try_from_iter([
        ("bucket", text(0)),
        ("key", text(1)),
        ("version_id", text(2)),
        ("is_latest", flag(3)),
        ("is_delete_marker", flag(4)),
        (
            "size",
            Arc::new(Int64Array::from_iter_values(sizes)) as ArrayRef,
        ),
        ("encryption_status", text(6)),
    ])
    .expect("batch");
    let file = File::create(path).expect("create");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
    for _ in 0..rows / PIECE {
        writer.write(&batch).expect("write");
        writer.flush().expect("a row group");
    }
    writer.close().expect("close");
}

fn counted(path: &Path, layout: &Layout) -> i64 {
    let names = (0..7).map(|team| format!("emr/team{team}/"));
    let names: BTreeSet<String> = names.chain(["emr/".to_owned()]).collect();
    let mut summary = Summary::new(Arc::new(LogFolders::new(&names)));
    let mut add = |row: &VersionRow<'_>| summary.add(row);
    read(path, "data", layout, "logs", &mut add).expect("read");
    summary.groups().map(|group| group.versions).sum()
}

/// The peak of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("a peak")
}

fn sorted(folder: &Path, name: &str, records: usize, code: u32) -> Sorted {
    let mut sorter = Sorter::new(folder, name, 50_000);
    for number in 0..records {
        let id = version(&number.to_le_bytes(), "");
        let record = Record { id, code, bytes: 1 };
        sorter.push(record).expect("push");
    }
    sorter.finish().expect("sorted")
}

/// What one process measures: a twentieth first, then everything.
#[test]
#[ignore = "a process of its own; rows_in_fixed_memory and scripts/soak start it"]
fn measured() {
    let rows: usize = std::env::var("INVENTORY_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(20_000_000);
    let folder = TempDir::new();
    let csv = Layout::CsvGz(SCHEMA.split(',').map(column_name).collect());
    type Make = fn(&Path, usize);
    let formats: [(&str, &Layout, Make); 2] = [
        ("CSV.gz", &csv, csv_gz),
        ("Parquet", &Layout::Parquet, parquet),
    ];
    for (name, layout, make) in formats {
        let path = folder.path().join("data");
        let mut peaks = Vec::new();
        for rows in [rows / 20, rows] {
            make(&path, rows);
            let clock = std::time::Instant::now();
            assert_eq!(counted(&path, layout), rows as i64, "{name}");
            peaks.push(peak());
            println!(
                "{name}: {rows} rows, {:?}, peak {} KiB",
                clock.elapsed(),
                peak()
            );
        }
        assert!(peaks[1] <= peaks[0] + GROWTH, "{name}: {peaks:?} KiB");
        std::fs::remove_file(&path).expect("remove");
    }
    let aim = Aim {
        target: 7,
        is_wanted: Some(true),
        leaves_old: false,
        prior: Prior::Unknown,
    };
    let mut peaks = Vec::new();
    for records in [rows / 20, rows] {
        let clock = std::time::Instant::now();
        let tasks = sorted(folder.path(), "tasks", records, SUCCEEDED);
        let before = sorted(folder.path(), "before", records, 0);
        let joined = moved::job(tasks, before, aim, |_| Prior::Outside).expect("joined");
        assert_eq!(joined.moved, records as i64);
        peaks.push(peak());
        println!(
            "join: {records} tasks, {:?}, peak {} KiB",
            clock.elapsed(),
            peak()
        );
    }
    assert!(peaks[1] <= peaks[0] + GROWTH, "join: {peaks:?} KiB");
}

#[test]
fn rows_in_fixed_memory() {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own)
        .args([
            "--ignored",
            "--exact",
            "inventory_memory::measured",
            "--nocapture",
        ])
        .env("INVENTORY_ROWS", "400000")
        .output()
        .expect("started");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.contains("1 passed"), "{told}");
}
