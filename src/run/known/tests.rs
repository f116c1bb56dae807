use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::archive::chain::Chain;
use crate::archive::file_store::FileStore;
use crate::collect::api::CallerIdentity;
use crate::collect::fake::cluster_row;
use crate::model::datasets::Account;
use crate::model::table::Dataset;
use crate::seal::Content;
use crate::testkit::{self, MemoryStore, SampleArchive, TempDir, parquet};
use crate::time::Clock as _;

fn id(n: u64) -> AccountId {
    format!("{n:012}").parse().expect("account")
}

fn region(name: &str) -> Region {
    name.parse().expect("region")
}

fn scope(accounts: &[u64]) -> Scope {
    let date = "2026-11-24".parse().expect("date");
    let account = |n: &u64| Account {
        scheduled_for: date,
        account_id: id(*n),
        name: None,
        state: None,
        ou_path: None,
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    };
    Scope {
        organization_id: None,
        caller: CallerIdentity {
            account_id: id(1),
            arn: String::new(),
        },
        management_account: None,
        accounts: Arc::new(accounts.iter().map(account).collect()),
    }
}

fn mark(ms: i64) -> Option<Mark> {
    let run_id = "20261123T020003Z-7f3a0000".parse().expect("run id");
    Some(Mark {
        listed_at: UtcMillis(ms),
        run_id,
    })
}

fn seen(n: u64, place: &str, mark: Option<Mark>) -> Seen {
    Seen {
        cell: (id(n), region(place)),
        left_out: false,
        mark,
    }
}

const RECENT: i64 = 1_795_400_000_000;

#[test]
fn what_the_newest_run_was_not_about_is_looked_for_in_older_ones() {
    let scope = scope(&[1, 2, 3]);
    let date: Date = "2026-11-24".parse().expect("date");
    let wanted = Wanted {
        date,
        scope: &scope,
        regions: &Regions::Auto,
    };
    let mut marks = Marks::new();
    let excluded = Seen {
        left_out: true,
        ..seen(2, "global", None)
    };
    let cells = vec![seen(1, "eu-west-1", mark(RECENT)), excluded];
    let mut missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
    assert_eq!(missing.len(), 2, "{missing:?}");

    // The account was excluded then, too; the next older run knows two of its Regions.
    older(
        &mut marks,
        &mut missing,
        vec![Seen {
            left_out: true,
            ..seen(2, "global", None)
        }],
    );
    assert_eq!(missing.len(), 2);
    let known = vec![
        seen(2, "eu-west-1", mark(RECENT)),
        seen(2, "us-east-1", mark(RECENT)),
    ];
    older(&mut marks, &mut missing, known);
    assert_eq!(missing, BTreeSet::from([(id(3), Region::global())]));
    assert_eq!(marks[&id(2)].len(), 2);
}

#[test]
fn a_widened_list_of_regions_finds_what_was_known_there() {
    let scope = scope(&[1]);
    let date: Date = "2026-11-24".parse().expect("date");
    let regions = Regions::List(vec![region("eu-west-1"), region("us-east-1")]);
    let wanted = Wanted {
        date,
        scope: &scope,
        regions: &regions,
    };
    let mut marks = Marks::new();
    let cells = vec![seen(1, "eu-west-1", mark(RECENT))];
    let mut missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
    assert_eq!(missing, BTreeSet::from([(id(1), region("us-east-1"))]));
    let older_cells = vec![
        seen(1, "us-east-1", mark(RECENT)),
        seen(1, "eu-west-1", mark(1)),
    ];
    older(&mut marks, &mut missing, older_cells);
    assert!(missing.is_empty());
    assert_eq!(
        marks[&id(1)][&region("eu-west-1")].listed_at.0,
        RECENT,
        "the newer one stays"
    );
}

#[test]
fn a_watermark_that_aws_no_longer_reaches_is_forgotten() {
    let scope = scope(&[1]);
    let date: Date = "2026-11-24".parse().expect("date");
    let wanted = Wanted {
        date,
        scope: &scope,
        regions: &Regions::Auto,
    };
    let mut marks = Marks::new();
    let cells = vec![seen(1, "eu-west-1", mark(0))];
    let missing = newest(&mut marks, &wanted, date.plus_days(-62), cells);
    assert!(marks.is_empty() && missing.is_empty());
}

/// A sealed run of one account that has `copies` clusters in each of 20 Regions.
async fn archive_with(path: &Path, copies: usize) {
    let store = FileStore::at(&path.display().to_string()).expect("a folder");
    let mut archive = SampleArchive::new(Arc::new(store));
    let account = archive.accounts[0].account_id.clone();
    let places: Vec<Region> = (0..20).map(|n| region(&format!("eu-west-{n}"))).collect();
    let now = archive.clock.now();
    archive.coverage = places
        .iter()
        .map(|place| {
            let mut cell = testkit::coverage(account.clone(), place.clone(), Source::Clusters);
            (cell.started_at, cell.ended_at) = (now, now);
            cell
        })
        .collect();
    archive.coverage.sort_by(Dataset::key_order);
    let mut chain = archive.chain().await.expect("chain");
    let begun = archive.begin(&mut chain, None).await.expect("begun");
    let mut rows = Vec::new();
    for place in &places {
        for n in 0..copies {
            let mut row = cluster_row(&format!("j-{n:010}"), "RUNNING", None, None);
            row.account_id = account.clone();
            row.region = place.clone();
            row.scheduled_for = begun.start.scheduled_for;
            row.name = Some(format!("{n:0200}"));
            rows.push(row);
        }
    }
    rows.sort_by(Dataset::key_order);
    let beside = archive.over(Arc::new(MemoryStore::default()));
    let seal = beside.collect_beside(&chain, &begun, vec![]).await;
    let (_, seal) = seal.expect("what the run is called");
    let count = rows.len() as u64;
    let mut written = Vec::new();
    for (name, rows, bytes) in [
        (EmrCluster::NAME, count, parquet(rows)),
        (EmrStep::NAME, 0, parquet::<EmrStep>(vec![])),
        (LaunchEvent::NAME, 0, parquet::<LaunchEvent>(vec![])),
    ] {
        written.push(archive.put(&seal, name, rows, &bytes).await.expect("put"));
    }
    let (manifest, seal) = archive
        .collect_beside(&chain, &begun, written)
        .await
        .expect("collected");
    let content = Content::Run(seal);
    archive
        .seal(&mut chain, &manifest, content)
        .await
        .expect("sealed");
}

/// The peak of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("a peak")
}

#[tokio::test]
#[ignore = "a process of its own; known_clusters_stay_on_disk starts it"]
async fn loaded() {
    let path = std::env::var("KNOWN_ARCHIVE").expect("an archive");
    let store = FileStore::at(&path).expect("a folder");
    let chain = Chain::read(&store).await.expect("read").expect("a chain");
    let runs: Vec<_> = super::super::sealed::of_record(&chain)
        .into_values()
        .collect();
    let date = runs[0].seal.scheduled_for.plus_days(1);
    let work = TempDir::new();
    let evidence = Evidence {
        fetch: &store,
        work: work.path(),
    };
    let scope = scope(&[111_122_223_333]);
    let wanted = Wanted {
        date,
        scope: &scope,
        regions: &Regions::Auto,
    };
    let journal = Journal::create(&work.path().join("known")).expect("journal");
    let known = Watermarks::load(&evidence, &runs, &wanted, journal);
    let known = known.await.expect("loaded");
    let account = id(111_122_223_333);
    let mut clusters = 0;
    for place in known.regions_of(&account) {
        let read = known.account_region(&account, &place).expect("read");
        clusters += read.expect("known").clusters.len();
    }
    println!("{clusters} clusters, peak {} KiB", peak());
}

#[tokio::test]
async fn known_clusters_stay_on_disk() {
    let folder = TempDir::new();
    let own = std::env::current_exe().expect("this program");
    let mut peaks = Vec::new();
    for copies in [150, 3_000] {
        let path = folder.path().join(copies.to_string());
        archive_with(&path, copies).await;
        let output = Command::new(&own)
            .args([
                "--ignored",
                "--exact",
                "run::known::tests::loaded",
                "--nocapture",
            ])
            .env("KNOWN_ARCHIVE", &path)
            // What is freed goes back at once.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .output()
            .expect("started");
        let told = String::from_utf8_lossy(&output.stdout);
        let line = told.lines().find_map(|l| l.split_once(" clusters, peak "));
        let (clusters, peak) = line.unwrap_or_else(|| panic!("{output:#?}"));
        let clusters = clusters.rsplit(' ').next().expect("a number");
        assert_eq!(clusters, (copies * 20).to_string());
        let peak = peak.trim_end_matches(" KiB").parse::<u64>();
        peaks.push(peak.expect("a number"));
    }
    // 57,000 rows more are some 100 MiB in memory.
    assert!(peaks[1] <= peaks[0] + 56 * 1024, "{peaks:?} KiB");
}
