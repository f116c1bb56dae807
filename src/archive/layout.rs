//! Every name in the archive, relative to its root, and the way back from a name to what it means.
//! Nobody else formats or takes apart an archive name.
//!
//! ```text
//! keys/<keyid>.pem                                     public key; keyid = SHA-256 of its DER form
//! starts/<10-digit n>.json                             intent; the next number is the lock
//! runs/dt=<date>/<run_id>/scope.json                   only with shards
//! runs/dt=<date>/<run_id>/shard-<nn>.json              receipt of a shard; 00 is what assessing wrote
//! runs/dt=<date>/<run_id>/end.json                     an orderly end without a seal
//! evidence/<dataset>/v<n>/dt=<date>/<run_id>.s<nn>-<writer>.parquet
//! manifest/v1/dt=<date>/<run_id>.json                  every file of a run
//! sums/v1/dt=<date>/<run_id>.sha256                    the same for sha256sum -c
//! rollup/<measure>/v<n>/quarter=<yyyyQn>/<run_id>.parquet
//! manifest/v1/quarter=<yyyyQn>/<run_id>.json           every file of a rollup
//! sums/v1/quarter=<yyyyQn>/<run_id>.sha256
//! chain/<10-digit seq>.dsse.json                       the commit
//! ```

use std::fmt;
use std::str::FromStr;

use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::Period;
use crate::time::{Date, Quarter};

/// Prefix of chain entries, for listings.
pub const CHAIN: &str = "chain/";
/// Where manifests stand, those of runs by date.
pub const MANIFESTS: &str = "manifest/v1/";
/// Where public keys stand.
pub const KEYS: &str = "keys/";
/// Where starts stand.
pub const STARTS: &str = "starts/";
/// Folders that collecting and judging write to.
pub const OF_COLLECTOR: [&str; 3] = ["evidence/", "runs/", "starts/"];
/// Folders that only whoever seals writes to.
pub const OF_SEALER: [&str; 5] = ["chain/", "keys/", "manifest/", "rollup/", "sums/"];
/// Folder of file temporaries, ignored by every reader.
pub const TEMPORARIES: &str = ".tmp";

/// What a name means. `Display` gives the name, [`Name::parse`] the way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    Key {
        keyid: Sha256Hex,
    },
    Start {
        n: u64,
    },
    Scope {
        date: Date,
        run_id: RunId,
    },
    /// Receipt of shard `shard`, counted from 1; 0 is what assessing wrote.
    Shard {
        date: Date,
        run_id: RunId,
        shard: u32,
    },
    End {
        date: Date,
        run_id: RunId,
    },
    /// A data file; shard 0 is what assessing wrote.
    Evidence {
        dataset: String,
        version: u32,
        date: Date,
        run_id: RunId,
        shard: u32,
        writer: String,
    },
    Rollup {
        measure: String,
        version: u32,
        quarter: Quarter,
        run_id: RunId,
    },
    Manifest {
        period: Period,
        run_id: RunId,
    },
    Sums {
        period: Period,
        run_id: RunId,
    },
    Entry {
        seq: u64,
    },
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { keyid } => write!(f, "keys/{keyid}.pem"),
            Self::Start { n } => write!(f, "{STARTS}{n:010}.json"),
            Self::Scope { date, run_id } => write!(f, "runs/dt={date}/{run_id}/scope.json"),
            Self::Shard {
                date,
                run_id,
                shard,
            } => write!(f, "runs/dt={date}/{run_id}/shard-{shard:02}.json"),
            Self::End { date, run_id } => write!(f, "runs/dt={date}/{run_id}/end.json"),
            Self::Evidence {
                dataset,
                version,
                date,
                run_id,
                shard,
                writer,
            } => write!(
                f,
                "evidence/{dataset}/v{version}/dt={date}/{run_id}.s{shard:02}-{writer}.parquet"
            ),
            Self::Rollup {
                measure,
                version,
                quarter,
                run_id,
            } => write!(
                f,
                "rollup/{measure}/v{version}/quarter={quarter}/{run_id}.parquet"
            ),
            Self::Manifest { period, run_id } => {
                write!(f, "{MANIFESTS}{}/{run_id}.json", partition(period))
            }
            Self::Sums { period, run_id } => {
                write!(f, "sums/v1/{}/{run_id}.sha256", partition(period))
            }
            Self::Entry { seq } => write!(f, "{CHAIN}{seq:010}.dsse.json"),
        }
    }
}

impl Name {
    /// Reads a name; none if it is not exactly what `Display` gives for something.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let parsed = match *parts.as_slice() {
            ["keys", file] => Self::Key {
                keyid: read(file.strip_suffix(".pem")?)?,
            },
            ["starts", file] => Self::Start {
                n: read(file.strip_suffix(".json")?)?,
            },
            ["chain", file] => Self::Entry {
                seq: read(file.strip_suffix(".dsse.json")?)?,
            },
            ["runs", partition, run_id, file] => {
                let date = read(partition.strip_prefix("dt=")?)?;
                let run_id = read(run_id)?;
                match file {
                    "scope.json" => Self::Scope { date, run_id },
                    "end.json" => Self::End { date, run_id },
                    _ => Self::Shard {
                        date,
                        run_id,
                        shard: read(file.strip_prefix("shard-")?.strip_suffix(".json")?)?,
                    },
                }
            }
            ["evidence", dataset, version, partition, file] => {
                let (run_id, rest) = file.strip_suffix(".parquet")?.split_once(".s")?;
                let (shard, writer) = rest.split_once('-')?;
                Self::Evidence {
                    dataset: word(dataset)?,
                    version: read(version.strip_prefix('v')?)?,
                    date: read(partition.strip_prefix("dt=")?)?,
                    run_id: read(run_id)?,
                    shard: read(shard)?,
                    writer: writer_word(writer)?,
                }
            }
            ["rollup", measure, version, partition, file] => Self::Rollup {
                measure: word(measure)?,
                version: read(version.strip_prefix('v')?)?,
                quarter: read(partition.strip_prefix("quarter=")?)?,
                run_id: read(file.strip_suffix(".parquet")?)?,
            },
            ["manifest", "v1", partition, file] => Self::Manifest {
                period: period(partition)?,
                run_id: read(file.strip_suffix(".json")?)?,
            },
            ["sums", "v1", partition, file] => Self::Sums {
                period: period(partition)?,
                run_id: read(file.strip_suffix(".sha256")?)?,
            },
            _ => return None,
        };
        // One thing, one name: `+1`, `007` or a start 0 read as numbers, and are not names.
        (parsed.to_string() == name && !parsed.counts_from_zero()).then_some(parsed)
    }

    /// The run or rollup that the object belongs to; none for keys, starts and entries.
    pub fn run_id(&self) -> Option<&RunId> {
        match self {
            Self::Key { .. } | Self::Start { .. } | Self::Entry { .. } => None,
            Self::Scope { run_id, .. }
            | Self::Shard { run_id, .. }
            | Self::End { run_id, .. }
            | Self::Evidence { run_id, .. }
            | Self::Rollup { run_id, .. }
            | Self::Manifest { run_id, .. }
            | Self::Sums { run_id, .. } => Some(run_id),
        }
    }

    fn counts_from_zero(&self) -> bool {
        matches!(self, Self::Start { n: 0 } | Self::Entry { seq: 0 })
    }
}

/// `keys/<keyid>.pem`.
pub fn key(keyid: &Sha256Hex) -> String {
    Name::Key {
        keyid: keyid.clone(),
    }
    .to_string()
}

/// `starts/<10-digit n>.json`.
pub fn start(n: u64) -> String {
    Name::Start { n }.to_string()
}

/// `chain/<10-digit seq>.dsse.json`.
pub fn entry(seq: u64) -> String {
    Name::Entry { seq }.to_string()
}

/// `runs/dt=<date>/<run_id>/scope.json`.
pub fn scope(date: Date, run_id: &RunId) -> String {
    let run_id = run_id.clone();
    Name::Scope { date, run_id }.to_string()
}

/// `runs/dt=<date>/<run_id>/shard-<nn>.json`.
pub fn shard(date: Date, run_id: &RunId, shard: u32) -> String {
    let run_id = run_id.clone();
    Name::Shard {
        date,
        run_id,
        shard,
    }
    .to_string()
}

/// `runs/dt=<date>/<run_id>/end.json`.
pub fn end(date: Date, run_id: &RunId) -> String {
    let run_id = run_id.clone();
    Name::End { date, run_id }.to_string()
}

/// `runs/dt=<date>/<run_id>/`: what the processes of a run tell each other.
pub fn run_folder(date: Date, run_id: &RunId) -> String {
    format!("runs/dt={date}/{run_id}/")
}

/// `evidence/<dataset>/v<n>/dt=<date>/<run_id>.`: how the evidence of one run begins.
pub fn evidence_of_run(dataset: &str, version: u32, date: Date, run_id: &RunId) -> String {
    format!("{}/dt={date}/{run_id}.", evidence_folder(dataset, version))
}

/// `evidence/<dataset>/v<n>`: where every file of a dataset's version is.
pub fn evidence_folder(dataset: &str, version: u32) -> String {
    format!("evidence/{dataset}/v{version}")
}

/// `evidence/<dataset>/v<n>/dt=<date>/<run_id>.s<nn>-<writer>.parquet`; `writer` is the lower-case
/// hex of one process.
pub fn evidence(
    dataset: &str,
    version: u32,
    date: Date,
    run_id: &RunId,
    shard: u32,
    writer: &str,
) -> String {
    Name::Evidence {
        dataset: dataset.to_owned(),
        version,
        date,
        run_id: run_id.clone(),
        shard,
        writer: writer.to_owned(),
    }
    .to_string()
}

/// `rollup/<measure>/v<n>`: where every edition of a measure's version is.
pub fn rollup_folder(measure: &str, version: u32) -> String {
    format!("rollup/{measure}/v{version}")
}

/// `rollup/<measure>/v<n>/quarter=<yyyyQn>/<run_id>.parquet`.
pub fn rollup(measure: &str, version: u32, quarter: Quarter, run_id: &RunId) -> String {
    Name::Rollup {
        measure: measure.to_owned(),
        version,
        quarter,
        run_id: run_id.clone(),
    }
    .to_string()
}

/// The manifest of a run (by date) or rollup (by quarter).
pub fn manifest(period: Period, run_id: &RunId) -> String {
    let run_id = run_id.clone();
    Name::Manifest { period, run_id }.to_string()
}

/// The sums of a run (by date) or rollup (by quarter).
pub fn sums(period: Period, run_id: &RunId) -> String {
    let run_id = run_id.clone();
    Name::Sums { period, run_id }.to_string()
}

fn partition(period: &Period) -> String {
    match period {
        Period::Date(date) => format!("dt={date}"),
        Period::Quarter(quarter) => format!("quarter={quarter}"),
    }
}

fn period(partition: &str) -> Option<Period> {
    match partition.split_once('=')? {
        ("dt", date) => read(date).map(Period::Date),
        ("quarter", quarter) => read(quarter).map(Period::Quarter),
        _ => None,
    }
}

fn read<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn word(text: &str) -> Option<String> {
    let valid = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    valid.then(|| text.to_owned())
}

fn writer_word(text: &str) -> Option<String> {
    let valid = (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_in_the_folder_of_its_dataset() {
        let date = "2026-11-24".parse().expect("date");
        let run_id = "20261124T020003Z-7f3a".parse().expect("run id");
        let name = evidence("emr_cluster", 1, date, &run_id, 0, "9c1f");
        assert!(name.starts_with(&(evidence_folder("emr_cluster", 1) + "/dt=")));
        let quarter = "2026Q4".parse().expect("quarter");
        let name = rollup("price", 1, quarter, &run_id);
        assert!(name.starts_with(&(rollup_folder("price", 1) + "/quarter=")));
    }

    #[test]
    fn every_name_reads_back_as_written() {
        let run_id: RunId = "20261124T020003Z-7f3a".parse().expect("id");
        let date: Date = "2026-11-24".parse().expect("date");
        let quarter: Quarter = "2026Q4".parse().expect("quarter");
        let keyid = Sha256Hex::of(b"key");
        let names = [
            (key(&keyid), format!("keys/{keyid}.pem")),
            (start(7), "starts/0000000007.json".to_owned()),
            (entry(12), "chain/0000000012.dsse.json".to_owned()),
            (
                scope(date, &run_id),
                "runs/dt=2026-11-24/20261124T020003Z-7f3a/scope.json".to_owned(),
            ),
            (
                shard(date, &run_id, 3),
                "runs/dt=2026-11-24/20261124T020003Z-7f3a/shard-03.json".to_owned(),
            ),
            (
                shard(date, &run_id, 123),
                "runs/dt=2026-11-24/20261124T020003Z-7f3a/shard-123.json".to_owned(),
            ),
            (
                end(date, &run_id),
                "runs/dt=2026-11-24/20261124T020003Z-7f3a/end.json".to_owned(),
            ),
            (
                evidence("emr_cluster", 1, date, &run_id, 0, "9c1f"),
                "evidence/emr_cluster/v1/dt=2026-11-24/20261124T020003Z-7f3a.s00-9c1f.parquet"
                    .to_owned(),
            ),
            (
                rollup("compliant_share", 1, quarter, &run_id),
                "rollup/compliant_share/v1/quarter=2026Q4/20261124T020003Z-7f3a.parquet".to_owned(),
            ),
            (
                manifest(Period::Date(date), &run_id),
                "manifest/v1/dt=2026-11-24/20261124T020003Z-7f3a.json".to_owned(),
            ),
            (
                manifest(Period::Quarter(quarter), &run_id),
                "manifest/v1/quarter=2026Q4/20261124T020003Z-7f3a.json".to_owned(),
            ),
            (
                sums(Period::Date(date), &run_id),
                "sums/v1/dt=2026-11-24/20261124T020003Z-7f3a.sha256".to_owned(),
            ),
        ];
        for (made, expected) in names {
            assert_eq!(made, expected);
            let parsed = Name::parse(&made).expect("parses");
            assert_eq!(parsed.to_string(), made);
            assert!(crate::seal::is_safe_name(&made), "{made}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "",
            "/",
            "chain",
            "chain/",
            "chain/1.dsse.json",
            "chain/0000000000.dsse.json",
            "chain/+000000001.dsse.json",
            "chain/0000000001.dsse.json.bak",
            "chain/x/0000000001.dsse.json",
            "./chain/0000000001.dsse.json",
            "chain//0000000001.dsse.json",
            "starts/0000000000.json",
            "starts/00000000007.json",
            "keys/abc.pem",
            "runs/dt=2026-11-31/20261124T020003Z-7f3a/end.json",
            "runs/dt=2026-11-24/20261124T020003Z-7f3a/shard-3.json",
            "runs/dt=2026-11-24/20261124T020003Z-7f3a/shard-000.json",
            "runs/dt=2026-11-24/../end.json",
            "evidence/EMR/v1/dt=2026-11-24/20261124T020003Z-7f3a.s00-9c1f.parquet",
            "evidence/emr/v01/dt=2026-11-24/20261124T020003Z-7f3a.s00-9c1f.parquet",
            "evidence/emr/v1/dt=2026-11-24/20261124T020003Z-7f3a.s0-9c1f.parquet",
            "evidence/emr/v1/dt=2026-11-24/20261124T020003Z-7f3a.s00-XYZ.parquet",
            "manifest/v1/dt=2026Q4/20261124T020003Z-7f3a.json",
            "manifest/v2/dt=2026-11-24/20261124T020003Z-7f3a.json",
            "README.md",
        ] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }
}
