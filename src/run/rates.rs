//! Rates that AWS let earlier runs have, in the state folder: `<state dir>/rates.json`.
//!
//! A help and nothing more: a file that is missing, torn, of another version, foreign or too large is
//! the same as none, with a warning, and no run fails for it.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::collect::learned::{Asked, Learned, MOST, Rate};
use crate::collect::operation::Operation;
use crate::time::UtcMillis;

const VERSION: u32 = 1;
/// [`MOST`] rates have less than half of it.
const LIMIT: u64 = 8 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    rates: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// None for the collector's own calls.
    account: Option<String>,
    region: String,
    operation: String,
    /// Of the rate that the configured share allows.
    part: f64,
    at_ms: i64,
}

/// What earlier runs learned; nothing where that cannot be read.
pub fn load(state_dir: &Path, now: UtcMillis) -> Learned {
    Learned::of(read(&path_of(state_dir)), now)
}

/// Keeps what is known by now, and what other processes wrote since `loaded_at`.
pub fn save(state_dir: &Path, learned: &Learned, loaded_at: UtcMillis, now: UtcMillis) {
    let path = path_of(state_dir);
    let mut rates = learned.rates(now);
    let there = path.symlink_metadata().is_ok();
    if rates.is_empty() && !there {
        return;
    }
    if there {
        let ours: std::collections::BTreeSet<Asked> =
            rates.iter().map(|rate| rate.asked.clone()).collect();
        // What cannot be used was said when it was loaded.
        let others = found(&path).unwrap_or_default().into_iter();
        rates.extend(others.filter(|r| r.at > loaded_at && !ours.contains(&r.asked)));
    }
    rates.truncate(MOST);
    let written = |rate: Rate| Written {
        account: rate.asked.account.map(Into::into),
        region: rate.asked.region.into(),
        operation: format!("{:?}", rate.asked.operation),
        part: rate.part,
        at_ms: rate.at.0,
    };
    let file = File {
        version: VERSION,
        rates: rates.into_iter().map(written).collect(),
    };
    let text = serde_json::to_string(&file).map_err(std::io::Error::from);
    let kept = text.and_then(|text| crate::archive::state_file::replace(&path, &text));
    if let Err(error) = kept {
        tracing::warn!(
            "what this run learned of AWS's rates is not kept ({}: {error}); the next run learns it \
             again",
            path.display()
        );
    }
}

fn path_of(state_dir: &Path) -> PathBuf {
    state_dir.join("rates.json")
}

fn read(path: &Path) -> Vec<Rate> {
    found(path).unwrap_or_else(|detail| {
        tracing::warn!(
            "state file {} is not used ({detail}): rates are learned afresh",
            path.display()
        );
        Vec::new()
    })
}

fn found(path: &Path) -> Result<Vec<Rate>, String> {
    match text_of(path) {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(text)) => parse(&text),
        Err(error) => Err(error.to_string()),
    }
}

/// `None` where there is no file. A device or a pipe in its place is not waited for.
fn text_of(path: &Path) -> std::io::Result<Option<String>> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
        Ok(it) if !it.is_file() => return Err(std::io::Error::other("it is no plain file")),
        Ok(_) => {}
    }
    let mut text = String::new();
    let file = fs::File::open(path)?;
    if file.take(LIMIT + 1).read_to_string(&mut text)? as u64 > LIMIT {
        return Err(std::io::Error::other(format!(
            "it has more than {LIMIT} bytes"
        )));
    }
    Ok(Some(text))
}

fn parse(text: &str) -> Result<Vec<Rate>, String> {
    let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if file.version != VERSION {
        return Err(format!("it is of version {}", file.version));
    }
    let rate = |written: Written| -> Result<Rate, String> {
        if !(written.part > 0.0 && written.part <= 1.0) {
            return Err(format!("{} is no part of a rate", written.part));
        }
        let account = written.account.map(|id| id.parse()).transpose();
        let account = account.map_err(|e: crate::model::ids::IdError| e.to_string())?;
        let region = written.region.parse();
        let named = Operation::named(&written.operation);
        Ok(Rate {
            asked: Asked {
                account,
                region: region.map_err(|e: crate::model::ids::IdError| e.to_string())?,
                operation: named.ok_or_else(|| "it names an unknown operation".to_owned())?,
            },
            part: written.part,
            at: UtcMillis(written.at_ms),
        })
    };
    file.rates.into_iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testkit::TempDir;

    const NOW: UtcMillis = UtcMillis(1_795_485_600_000);

    fn asked() -> Asked {
        Asked {
            account: Some("111122223333".parse().expect("account")),
            region: "eu-west-1".parse().expect("Region"),
            operation: Operation::DescribeCluster,
        }
    }

    #[test]
    fn what_a_run_learned_the_next_one_knows() {
        let dir = TempDir::new();
        let state = dir.path().join("state");
        save(&state, &load(&state, NOW), NOW, NOW);
        assert!(!state.exists(), "nothing was learned");
        let learned = load(&state, NOW);
        learned.slowed(&asked(), 0.25, NOW);
        let own = Asked {
            account: None,
            region: crate::model::ids::Region::global(),
            operation: Operation::AssumeRole,
        };
        learned.slowed(&own, 0.5, NOW);
        save(&state, &learned, NOW, NOW);
        let next = load(&state, NOW);
        assert_eq!(next.first(&asked(), NOW), Some(0.25));
        assert_eq!(next.first(&own, NOW), Some(0.5));
        let files: Vec<_> = fs::read_dir(&state).expect("folder").collect();
        assert_eq!(files.len(), 1, "no temporary is left");
        let mode = fs::metadata(path_of(&state)).expect("file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn what_another_process_learned_meanwhile_is_kept() {
        let dir = TempDir::new();
        let (ours, theirs) = (load(dir.path(), NOW), load(dir.path(), NOW));
        let later = NOW.plus_ms(60_000);
        theirs.slowed(&asked(), 0.25, later);
        save(dir.path(), &theirs, NOW, later);
        let other = Asked {
            operation: Operation::ListSteps,
            ..asked()
        };
        ours.slowed(&other, 0.5, later);
        save(dir.path(), &ours, NOW, later);
        let next = load(dir.path(), later);
        assert_eq!(next.first(&asked(), later), Some(0.25));
        assert_eq!(next.first(&other, later), Some(0.5));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_no_file_and_is_replaced() {
        let dir = TempDir::new();
        let path = path_of(dir.path());
        let learned = Learned::default();
        learned.slowed(&asked(), 0.25, NOW);
        save(dir.path(), &learned, NOW, NOW);
        let whole = fs::read_to_string(&path).expect("read");
        assert_eq!(parse(&whole).expect("rates").len(), 1);
        let torn = &whole[..whole.len() / 2];
        let huge = format!("{whole}{}", " ".repeat(LIMIT as usize));
        for bad in [
            "",
            torn,
            "[]",
            "{\"version\":1}",
            &huge,
            &whole.replace("\"version\":1", "\"version\":2"),
            &whole.replace("0.25", "-1"),
            &whole.replace("0.25", "1e999"),
            &whole.replace("0.25", "0"),
            &whole.replace("111122223333", "../../etc"),
            &whole.replace("eu-west-1", "EU WEST"),
            &whole.replace("DescribeCluster", "DropTables"),
            &whole.replace("\"part\"", "\"prat\""),
            &"[".repeat(100_000),
        ] {
            fs::write(&path, bad).expect("write");
            assert_eq!(
                load(dir.path(), NOW).first(&asked(), NOW),
                None,
                "{bad:.60}"
            );
            save(dir.path(), &learned, NOW, NOW);
            let again = fs::read_to_string(&path).expect("read");
            assert_eq!(again, whole, "{bad:.60}");
        }
        fs::write(&path, [0xff, 0xfe]).expect("write");
        assert!(read(&path).is_empty());
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_in_the_way() {
        let dir = TempDir::new();
        let path = path_of(dir.path());
        let learned = Learned::default();
        learned.slowed(&asked(), 0.25, NOW);
        // A folder cannot be replaced by a file: nothing is kept, and nothing fails.
        fs::create_dir(&path).expect("folder");
        assert!(read(&path).is_empty());
        save(dir.path(), &learned, NOW, NOW);
        assert!(path.is_dir());
        fs::remove_dir(&path).expect("remove");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("link");
        assert!(read(&path).is_empty());
        save(dir.path(), &learned, NOW, NOW);
        assert_eq!(read(&path).len(), 1);
    }
}
