//! A run in several processes: the same rows as in one, an honest hole where a shard is missing, and a
//! sealer that signs nothing which does not follow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keyproof::archive::layout;
use keyproof::archive::records;
use keyproof::archive::shards::{self, Receipt};
use keyproof::archive::starts::StartError;
use keyproof::archive::verify::{Failure, VerifyOptions, verify};
use keyproof::collect::footprint;
use keyproof::config::Config;
use keyproof::error::Exit;
use keyproof::model::datasets::{Account, Coverage, EmrCluster, Exception, Run, Verdict};
use keyproof::model::ids::{RunId, Sha256Hex};
use keyproof::model::table::Dataset;
use keyproof::model::words::{CellOutcome, Judgement, RunOutcome, Seen, Source};
use keyproof::record;
use keyproof::report::metrics::RunMetrics;
use keyproof::run::{self, Audited, RunError, RunOptions, ShardDone};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::ServeOptions;
use keyproof::time::Date;

use crate::support::{Place, Sealed, files_below, never, told};

fn options() -> Options {
    Options {
        accounts: 7,
        regions: 2,
        clusters: 3,
        days: 4,
        seed: 43,
        ..Options::default()
    }
}

fn id(day: u32) -> RunId {
    format!("20261124T02000{day}Z-7f3a")
        .parse()
        .expect("run id")
}

/// The steps of one run.
struct Steps<'a> {
    place: &'a Place,
    config: Config,
    run_id: RunId,
    shards: u32,
}

impl<'a> Steps<'a> {
    async fn prepared(place: &'a Place, day: u32, shards: u32) -> Self {
        let steps = Self {
            place,
            config: place.config(),
            run_id: id(day),
            shards,
        };
        let asked = RunOptions {
            run_id: Some(steps.run_id.clone()),
            ..place.options()
        };
        run::prepare(&place.shell(), &steps.config, &asked, shards, never())
            .await
            .expect("prepared");
        steps
    }

    async fn collect(&self, shard: u32) -> Result<ShardDone, RunError> {
        let (shell, asked) = (self.place.shell(), self.place.options());
        let shard = (shard, self.shards);
        run::collect(&shell, &self.config, &asked, &self.run_id, shard, never()).await
    }

    async fn assess(&self) -> Result<ShardDone, RunError> {
        let (shell, asked) = (self.place.shell(), self.place.options());
        run::assess(&shell, &self.config, &asked, &self.run_id, never()).await
    }

    async fn seal(&self) -> Result<Audited, RunError> {
        let shell = self.place.shell();
        run::seal(&shell, &self.config, &self.run_id, never()).await
    }

    /// All steps, with some shards left out.
    async fn all_but(&self, left_out: &[u32]) -> Audited {
        for shard in 1..=self.shards {
            if !left_out.contains(&shard) {
                self.collect(shard).await.expect("collected");
            }
        }
        self.assess().await.expect("judged");
        self.seal().await.expect("sealed")
    }

    fn date(&self) -> Date {
        self.place.shell().clock.now().date()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.archive().join(name)
    }

    fn receipt_path(&self, shard: u32) -> PathBuf {
        self.path(&layout::shard(self.date(), &self.run_id, shard))
    }

    fn receipt(&self, shard: u32) -> Receipt {
        let bytes = std::fs::read(self.receipt_path(shard)).expect("a receipt");
        Receipt::parse(&bytes, &self.run_id, self.date(), shard).expect("readable")
    }

    fn entries(&self) -> usize {
        files_below(&self.path("chain")).len()
    }
}

/// What the account of the collector asked of Organizations, and for roles.
fn own_calls(place: &Place) -> BTreeMap<String, i64> {
    let own = ["AssumeRole", "DescribeOrganization", "ListAccounts"];
    let mut all = BTreeMap::new();
    for call in place.sandbox.calls() {
        if own.contains(&call.operation.as_str()) {
            *all.entry(call.operation).or_default() += call.calls as i64;
        }
    }
    all
}

async fn sealed(place: &Place, run_id: &RunId) -> Sealed {
    place.sealed(run_id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_give_the_rows_of_one_process() {
    let one = Place::new(&options()).await;
    let mut expected = Vec::new();
    for day in 0..2 {
        one.at_day(day);
        let asked = RunOptions {
            run_id: Some(id(day)),
            ..one.options()
        };
        let audited = run::audit(&one.shell(), &one.config(), &asked, never())
            .await
            .expect("sealed");
        let rows = sealed(&one, &id(day)).await.lasting_rows().await;
        expected.push((rows, audited.metrics));
    }
    let (rows, metrics) = &expected[1];
    assert!(rows["verdict"].len() > 20 && rows["kms_key"].len() > 3);
    assert!(metrics.unseen_cells > 0 && metrics.non_compliant_active > 0);
    assert_eq!(
        expected
            .iter()
            .map(|(_, m)| m.unseen_changed)
            .collect::<Vec<_>>(),
        [None, Some(false)]
    );
    for shards in [1, 2, 4] {
        let several = Place::new(&options()).await;
        for (day, (expected, metrics)) in (0..).zip(&expected) {
            several.at_day(day);
            let before = own_calls(&several);
            let steps = Steps::prepared(&several, day, shards).await;
            let audited = steps.all_but(&[]).await;
            let run = sealed(&several, &id(day)).await;
            let mut made = own_calls(&several);
            for (operation, calls) in &mut made {
                *calls -= before.get(operation).copied().unwrap_or_default();
            }
            let rows: Vec<Run> = run.rows().await;
            let told = rows[0].own_operations.as_deref().expect("some were made");
            let told = footprint::read(told).into_iter();
            let told: BTreeMap<String, i64> = told
                .map(|cost| (format!("{:?}", cost.operation), cost.calls))
                .filter(|(operation, _)| made.contains_key(operation))
                .collect();
            assert_eq!(told, made, "of all processes of the run");
            assert_eq!(audited.outcome, run.run.seal.outcome);
            let told = RunMetrics {
                at: metrics.at,
                archive: metrics.archive.clone(),
                ..audited.metrics
            };
            assert_eq!(told, *metrics, "day {day} in {shards} shards");
            assert!(run.run.seal.died_runs.is_empty());
            for (dataset, rows) in run.lasting_rows().await {
                assert_eq!(
                    rows, expected[dataset],
                    "{dataset} of day {day} in {shards} shards"
                );
                let told = run.run.seal.rows[dataset];
                assert_eq!(told, rows.len() as u64, "{dataset}");
            }
            let again = run::reassess(
                &several.shell(),
                &several.config(),
                &id(day),
                run::By::Sealed,
            )
            .await
            .expect("judged again");
            assert!(again.equal, "{}", again.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_shard_is_a_hole_that_everybody_sees() {
    let place = Place::new(&options()).await;
    Steps::prepared(&place, 0, 3).await.all_but(&[]).await;
    place.at_day(1);
    let steps = Steps::prepared(&place, 1, 3).await;
    // Its receipt is there, and is none.
    std::fs::write(steps.receipt_path(2), "junk").expect("write");
    let refused = steps.collect(2).await.expect_err("its receipt is taken");
    assert!(refused.to_string().contains("shard-02.json"), "{refused}");
    let audited = steps.all_but(&[2, 3]).await;
    assert_eq!(audited.outcome, RunOutcome::Partial);
    assert_eq!(audited.metrics.unseen_changed, Some(true));
    let run = sealed(&place, &id(1)).await;
    let junk = layout::shard(steps.date(), &id(1), 2);
    let manifest = records_manifest(&place, &id(1)).await;
    assert_eq!(manifest.orphans, [junk]);

    let accounts: Vec<Account> = run.rows().await;
    let coverage: Vec<Coverage> = run.rows().await;
    let clusters: Vec<EmrCluster> = run.rows().await;
    let verdicts: Vec<Verdict> = run.rows().await;
    let before: Vec<EmrCluster> = sealed(&place, &id(0)).await.rows().await;
    let dealt = accounts
        .iter()
        .filter(|a| a.in_scope || a.left_out_because.as_deref() != Some("not_selected"));
    let mut carried = 0;
    for (at, account) in dealt.enumerate() {
        let cells: Vec<_> = coverage
            .iter()
            .filter(|c| c.account_id == account.account_id)
            .collect();
        assert!(cells.iter().any(|c| c.source == Source::BucketOwners));
        assert!(cells.iter().any(|c| c.source == Source::Regions));
        if at.is_multiple_of(3) || !account.in_scope {
            continue;
        }
        for cell in cells {
            // What accounts of the shard that is there refer to is looked up all the same.
            let looked_up = matches!(
                cell.source,
                Source::Keys | Source::Buckets | Source::Identities
            );
            assert!(
                looked_up || cell.outcome == CellOutcome::NotAttempted,
                "{cell:?}"
            );
        }
        let alive = before
            .iter()
            .filter(|c| c.account_id == account.account_id && c.is_active());
        for cluster in alive {
            let row = clusters.iter().find(|c| c.cluster_id == cluster.cluster_id);
            assert_eq!(row.map(|c| c.seen), Some(Seen::NotSeen));
            let verdict = verdicts.iter().find(|v| v.cluster_id == cluster.cluster_id);
            assert_eq!(verdict.map(|v| v.verdict), Some(Judgement::Unknown));
            carried += 1;
        }
    }
    assert!(carried > 3, "{carried}");
}

async fn records_manifest(place: &Place, run_id: &RunId) -> keyproof::seal::Manifest {
    let store = place.store();
    let chain = place.report().await;
    let run = records::by_id(&chain.runs, run_id).expect("sealed");
    let name = layout::manifest(keyproof::seal::Period::Date(run.seal.scheduled_for), run_id);
    use keyproof::archive::store::Fetch as _;
    let bytes = store.read(&name, 1 << 20).await.expect("a manifest");
    keyproof::seal::Manifest::parse(&bytes).expect("readable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_receipt_counts_and_everything_else_is_an_orphan() {
    let place = Place::new(&options()).await;
    let steps = Steps::prepared(&place, 0, 3).await;
    // A shard that is tried twice at the same time.
    let (a, b) = tokio::join!(steps.collect(1), steps.collect(1));
    let texts = [a.expect("collected").text, b.expect("collected").text];
    let lost = texts
        .iter()
        .filter(|t| t.contains("another process was first"));
    assert_eq!(lost.count(), 1, "{texts:?}");
    let third = steps.collect(1).await.expect("nothing to do");
    assert!(third.text.contains("already"), "{}", third.text);
    steps.collect(2).await.expect("collected");
    steps.assess().await.expect("judged, without shard 3");
    let again = steps.assess().await.expect("nothing to do");
    assert!(again.text.contains("already"), "{}", again.text);
    // Too late: it was judged without, and nobody is asked in vain.
    let before = place.sandbox.calls().len();
    let late = steps.collect(3).await.expect("nothing to do");
    assert!(late.text.contains("judged already"), "{}", late.text);
    assert_eq!(place.sandbox.calls().len(), before);
    let audited = steps.seal().await.expect("sealed");
    assert_eq!(audited.outcome, RunOutcome::Partial);

    let manifest = records_manifest(&place, &id(0)).await;
    let of_shard = |part: &str| manifest.orphans.iter().filter(|o| o.contains(part)).count();
    assert!(of_shard(".s01-") >= 3, "{:?}", manifest.orphans);
    assert_eq!(of_shard(".s03-"), 0);
    assert!(!manifest.files.iter().any(|f| f.name.contains(".s03-")));
    place.report().await;
    let over = steps.seal().await.expect_err("once");
    assert!(
        matches!(&over, RunError::Start(StartError::Sealed { .. })),
        "{over}"
    );
    let over = steps.collect(2).await.expect_err("over");
    assert!(over.to_string().contains(id(0).as_str()), "{over}");
}

/// Rewrites the rows of a dataset that `shard` wrote, and its receipt, as its writer could have.
async fn forge<D: Dataset>(steps: &Steps<'_>, shard: u32, change: impl Fn(&mut Vec<D>)) {
    let mut receipt = steps.receipt(shard);
    let file = receipt
        .files
        .iter_mut()
        .find(|f| f.name.contains(&format!("/{}/", D::NAME)))
        .expect("the dataset");
    let path = steps.path(&file.name);
    let rows = record::read_file::<D>(&path).expect("Parquet");
    let mut rows: Vec<D> = rows.map(|r| r.expect("a row")).collect();
    change(&mut rows);
    std::fs::remove_file(&path).expect("remove");
    let made = record::write_rows(&path, rows.into_iter().map(Ok)).expect("written");
    file.bytes = made.bytes;
    file.rows = Some(made.rows);
    file.rows_sha256 = Some(made.rows_sha256);
    file.sha256 = made.sha256;
    std::fs::write(steps.receipt_path(shard), receipt.to_bytes()).expect("write");
}

/// Lets the judgement name the receipt of shard 1 as it is by now.
fn rejudge(steps: &Steps<'_>) {
    let bytes = std::fs::read(steps.receipt_path(1)).expect("a receipt");
    let mut judged = steps.receipt(0);
    judged.used[0].bytes = bytes.len() as u64;
    judged.used[0].sha256 = Sha256Hex::of(&bytes);
    std::fs::write(steps.receipt_path(0), judged.to_bytes()).expect("write");
}

/// A cell of an account that told its Regions.
fn seen_cell(rows: &[Coverage], source: Source) -> usize {
    let read = |c: &Coverage, source| c.source == source && c.outcome == CellOutcome::Collected;
    let account = rows.iter().find(|c| read(c, Source::Regions));
    let account = &account.expect("an account").account_id;
    let at = rows
        .iter()
        .position(|c| c.account_id == *account && read(c, source));
    at.expect("a cell")
}

/// What stands in an archive, to be put back.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let _ = std::fs::remove_dir_all(to);
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).expect("below"));
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("folder");
        std::fs::copy(&file, &target).expect("copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sealer_signs_nothing_that_does_not_follow() {
    let place = Place::new(&options()).await;
    let steps = Steps::prepared(&place, 0, 2).await;
    let early = steps.seal().await.expect_err("not judged");
    assert!(matches!(early, RunError::NotJudged { .. }), "{early}");
    for shard in 1..=2 {
        steps.collect(shard).await.expect("collected");
    }
    steps.assess().await.expect("judged");
    let kept = place.path("kept");
    copy(&place.archive(), &kept);
    let refused = async |part: &str| {
        let refused = steps.seal().await.expect_err(part);
        assert_eq!(refused.exit(), Exit::Unverified, "{refused}");
        assert!(refused.to_string().contains(part), "{part}: {refused}");
        assert_eq!(steps.entries(), 1, "{part}");
        copy(&kept, &place.archive());
    };

    // One byte of files that receipts name.
    for shard in 0..=2 {
        for file in steps.receipt(shard).files.into_iter().step_by(3) {
            let path = steps.path(&file.name);
            let mut bytes = std::fs::read(&path).expect("a file");
            bytes[9] ^= 1;
            std::fs::write(&path, bytes).expect("write");
            refused(&file.name).await;
        }
    }
    // A file that is gone, a receipt that is another.
    let gone = steps.receipt(1).files[0].name.clone();
    std::fs::remove_file(steps.path(&gone)).expect("remove");
    refused(&gone).await;
    let mut other = steps.receipt(2);
    other.written_at = "2026-01-01T00:00:00.000Z".to_owned();
    std::fs::write(steps.receipt_path(2), other.to_bytes()).expect("write");
    refused("shard-02.json").await;

    // Conclusions, counts and rows that their writer changed with receipt and all.
    forge::<Verdict>(&steps, 0, |rows| {
        let bad = rows
            .iter_mut()
            .find(|v| v.verdict == Judgement::NonCompliant);
        bad.expect("a bad one").verdict = Judgement::Compliant;
    })
    .await;
    refused("dataset verdict").await;
    forge::<Verdict>(&steps, 0, |rows| drop(rows.pop())).await;
    refused("dataset verdict").await;
    forge::<Run>(&steps, 0, |rows| rows[0].outcome = RunOutcome::Complete).await;
    refused("dataset run").await;
    forge::<Account>(&steps, 0, |rows| drop(rows.pop())).await;
    refused("dataset account").await;
    forge::<Coverage>(&steps, 0, |rows| {
        let account = rows[0].account_id.clone();
        rows.retain(|c| c.account_id != account || c.source != Source::BucketOwners);
    })
    .await;
    refused("no coverage").await;
    // Shards and what was judged of them agree that somebody was not looked at.
    for source in [Source::Clusters, Source::Regions] {
        forge::<Coverage>(&steps, 1, |rows| {
            rows.remove(seen_cell(rows, source));
        })
        .await;
        rejudge(&steps);
        refused("no coverage").await;
    }
    // A Region that AWS told of, and nobody tried.
    forge::<Coverage>(&steps, 1, |rows| {
        let at = seen_cell(rows, Source::Regions);
        rows[at].items_collected = rows[at].items_collected.map(|n| n + 1);
    })
    .await;
    rejudge(&steps);
    refused("no coverage").await;
    let mut less = steps.receipt(0);
    less.files.retain(|f| !f.name.contains("/archive/"));
    std::fs::write(steps.receipt_path(0), less.to_bytes()).expect("write");
    refused("dataset archive").await;
    // A lock that nobody put on a file.
    let mut locked = steps.receipt(0);
    locked.files[0].stored = Some(keyproof::seal::StoredAs {
        bucket_key: None,
        kms_key: None,
        lock_mode: Some("COMPLIANCE".to_owned()),
        locked_until: Some(keyproof::time::UtcMillis(4_000_000_000_000)),
        version: None,
    });
    let name = locked.files[0].name.clone();
    std::fs::write(steps.receipt_path(0), locked.to_bytes()).expect("write");
    refused(&name).await;
    // Another scope than the archive's.
    let scope = steps.path(&layout::scope(steps.date(), &id(0)));
    let rewrite = |change: &dyn Fn(&mut serde_json::Value)| {
        let bytes = std::fs::read(&scope).expect("a scope");
        let mut value = serde_json::from_slice(&bytes).expect("JSON");
        change(&mut value);
        std::fs::write(&scope, format!("{value}\n")).expect("write");
    };
    rewrite(&|value| value["regions"] = serde_json::json!(["eu-west-1"]));
    refused("scope").await;
    for organization in [serde_json::json!("o-another0000"), serde_json::Value::Null] {
        rewrite(&|value| value["organization_id"] = organization.clone());
        let other = steps.seal().await.expect_err("another organization");
        assert!(
            matches!(other, RunError::OtherOrganization { .. }),
            "{other}"
        );
        assert_eq!(steps.entries(), 1);
        copy(&kept, &place.archive());
    }
    let mut lying = steps.receipt(0);
    lying.files[0].rows_sha256 = Some(Sha256Hex::of(b"other rows"));
    let name = lying.files[0].name.clone();
    std::fs::write(steps.receipt_path(0), lying.to_bytes()).expect("write");
    refused(&name).await;

    // Another signer.
    keyproof::run::create_key(&place.path("other.pem")).expect("a key");
    let other = place.config_with(
        &[
            ("tags.data_classification", "data-classification"),
            (
                "signing_key",
                &place.path("other.pem").display().to_string(),
            ),
        ],
        "",
    );
    let wrong = run::seal(&place.shell(), &other, &id(0), never()).await;
    let wrong = wrong.expect_err("not the archive's key");
    assert!(wrong.to_string().contains("key"), "{wrong}");
    assert_eq!(steps.entries(), 1);

    // Untouched, it is sealed.
    steps.seal().await.expect("sealed");
    place.report().await;
}

/// What `verify` says of clocks when shard 1 and the judgement say `offsets` of theirs.
async fn clocks(offsets: [Option<i64>; 2]) -> (Option<i64>, Vec<&'static str>) {
    let place = Place::new(&Options {
        accounts: 2,
        regions: 1,
        clusters: 1,
        ..options()
    })
    .await;
    let steps = Steps::prepared(&place, 0, 1).await;
    let say = |shard: u32, offset| {
        let mut receipt = steps.receipt(shard);
        assert!(
            receipt.clock_offset_ms.is_some(),
            "AWS's answers have a date"
        );
        receipt.clock_offset_ms = offset;
        std::fs::write(steps.receipt_path(shard), receipt.to_bytes()).expect("write");
    };
    steps.collect(1).await.expect("collected");
    steps.assess().await.expect("judged");
    say(1, offsets[0]);
    rejudge(&steps);
    say(0, offsets[1]);
    steps.seal().await.expect("sealed");
    let options = VerifyOptions {
        level: 6,
        ..VerifyOptions::default()
    };
    let report = verify(&place.store(), &options).await.expect("listed");
    let classes = report.failures.iter().map(Failure::class).collect();
    (report.runs[0].seal.clock_offset_ms, classes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_furthest_off_is_sealed_whichever_process_had_it() {
    let far = Some(-61_000);
    assert_eq!(clocks([far, Some(2)]).await, (far, vec!["clock_off"]));
    assert_eq!(clocks([Some(1), far]).await, (far, vec!["clock_off"]));
    assert_eq!(clocks([far, None]).await, (far, vec!["clock_off"]));
    assert_eq!(clocks([None, Some(2)]).await, (None, vec![]));
    assert_eq!(
        clocks([Some(-59_000), Some(2)]).await,
        (Some(-59_000), vec![])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_does_not_tell_what_it_saw_is_missing() {
    let place = Place::new(&options()).await;
    let steps = Steps::prepared(&place, 0, 2).await;
    for shard in 1..=2 {
        steps.collect(shard).await.expect("collected");
    }
    let kept = place.path("kept");
    copy(&place.archive(), &kept);
    let judged = async |what: &str| {
        let judged = steps.assess().await.expect("judged");
        let missing = judged.text.contains("1 shard left no receipt");
        assert!(missing, "{what}: {}", judged.text);
        let audited = steps.seal().await.expect("sealed as it was judged");
        assert_eq!(audited.outcome, RunOutcome::Partial, "{what}");
        let run = sealed(&place, &id(0)).await;
        let cells: Vec<Coverage> = run.rows().await;
        let mut open = cells.iter().filter(|c| c.source == Source::Regions);
        assert!(
            open.any(|c| c.outcome == CellOutcome::NotAttempted),
            "{what}"
        );
        std::fs::remove_dir_all(place.path("state")).expect("remove");
        copy(&kept, &place.archive());
    };
    let mut nothing = steps.receipt(2);
    nothing.files.clear();
    std::fs::write(steps.receipt_path(2), nothing.to_bytes()).expect("write");
    judged("no files").await;
    for shard in 1..=2 {
        forge::<Coverage>(&steps, shard, Vec::clear).await;
        judged("no cells").await;
    }
    for source in [Source::Clusters, Source::Regions] {
        forge::<Coverage>(&steps, 2, |rows| {
            rows.remove(seen_cell(rows, source));
        })
        .await;
        judged("one cell less").await;
    }
    // Untouched, both count.
    let whole = steps.assess().await.expect("judged");
    assert!(!whole.text.contains("left no receipt"), "{}", whole.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_that_the_sealer_does_not_know_are_not_sealed() {
    let place = Place::new(&options()).await;
    let excluding = |reason: &str| {
        let tags = [("tags.data_classification", "data-classification")];
        let file = format!(
            "[[exception]]\nid = \"one-team\"\nkind = \"exclude\"\nreason = \"{reason}\"\n\
             approver = \"a\"\nexpires = \"2026-12-31\"\naccounts = [\"{}\"]\n",
            place.world.log_archive_account()
        );
        place.config_with(&tags, &file)
    };
    let run_id = id(0);
    let asked = RunOptions {
        run_id: Some(run_id.clone()),
        ..place.options()
    };
    let config = excluding("moved");
    run::prepare(&place.shell(), &config, &asked, 1, never())
        .await
        .expect("prepared");
    let steps = |config| Steps {
        place: &place,
        config,
        run_id: run_id.clone(),
        shards: 1,
    };
    let ours = steps(config);
    ours.collect(1).await.expect("collected");
    ours.assess().await.expect("judged");
    for config in [place.config(), excluding("another")] {
        let refused = steps(config).seal().await.expect_err("another");
        assert!(
            matches!(refused, RunError::OtherThanBegun { .. }),
            "{refused}"
        );
        assert_eq!(refused.exit(), Exit::Usage);
    }
    let kept = place.path("kept");
    copy(&place.archive(), &kept);
    forge::<Exception>(&ours, 0, |rows| rows[0].approver = "nobody".to_owned()).await;
    let refused = ours.seal().await.expect_err("not the declared one");
    assert!(
        refused.to_string().contains("dataset exception"),
        "{refused}"
    );
    copy(&kept, &place.archive());
    ours.seal().await.expect("sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_a_run_that_is_over_or_another_are_refused() {
    let place = Place::new(&options()).await;
    let first = Steps::prepared(&place, 0, 2).await;
    let asked = |run_id: RunId, take_over| RunOptions {
        run_id: Some(run_id),
        take_over,
        ..place.options()
    };
    let alive = asked(id(1), None);
    let alive = run::prepare(&place.shell(), &place.config(), &alive, 2, never()).await;
    assert!(
        matches!(&alive, Err(RunError::Start(StartError::Alive { run_id, .. })) if *run_id == id(0)),
        "{alive:?}"
    );
    // Tried again, it finds what it did; with anything else it is another run.
    let again = asked(id(0), None);
    let (shell, files) = (place.shell(), files_below(&place.archive()).len());
    let done = run::prepare(&shell, &place.config(), &again, 2, never()).await;
    let done = done.expect("prepared before");
    assert!(done.text.contains("PREPARED already"), "{}", done.text);
    let other = place.config_with(&[("tags.owner", "who")], "");
    let yesterday = RunOptions {
        scheduled_for: Some(first.date().plus_days(-1)),
        ..again.clone()
    };
    for refused in [
        run::prepare(&shell, &place.config(), &again, 3, never()).await,
        run::prepare(&shell, &other, &again, 2, never()).await,
        run::prepare(&shell, &place.config(), &yesterday, 2, never()).await,
    ] {
        let refused = refused.expect_err("another run");
        assert!(refused.to_string().contains(id(0).as_str()), "{refused}");
    }
    assert_eq!(files_below(&place.archive()).len(), files);
    let wrong = Steps {
        shards: 3,
        config: place.config(),
        run_id: id(0),
        place: &place,
    };
    let wrong = wrong.collect(3).await.expect_err("two were prepared");
    assert_eq!(wrong.exit(), Exit::Usage, "{wrong}");
    let changed = Steps {
        shards: 2,
        config: place.config_with(&[("tags.owner", "who")], ""),
        run_id: id(0),
        place: &place,
    };
    for refused in [changed.collect(1).await, changed.assess().await] {
        let refused = refused.expect_err("another configuration");
        assert_eq!(refused.exit(), Exit::Usage, "{refused}");
        assert!(refused.to_string().contains("configuration"), "{refused}");
    }
    let none = Steps {
        shards: 2,
        config: place.config(),
        run_id: id(7),
        place: &place,
    };
    let none = none.collect(1).await.expect_err("no such run");
    assert!(
        matches!(none, RunError::Start(StartError::NoSuchRun { .. })),
        "{none}"
    );

    // Taken over: nothing goes on with it.
    first.collect(1).await.expect("collected");
    let taken = asked(id(1), Some(id(0)));
    run::prepare(&place.shell(), &place.config(), &taken, 1, never())
        .await
        .expect("it takes over");
    let ended = |error: RunError| {
        let is_it =
            matches!(&error, RunError::Start(StartError::Ended { run_id, .. }) if *run_id == id(0));
        assert!(is_it, "{error}");
    };
    ended(first.collect(2).await.expect_err("ended"));
    ended(first.assess().await.expect_err("ended"));
    ended(first.seal().await.expect_err("ended"));
    let second = Steps {
        shards: 1,
        config: place.config(),
        run_id: id(1),
        place: &place,
    };
    second.all_but(&[]).await;
    let run = sealed(&place, &id(1)).await;
    let died = &run.run.seal.died_runs;
    assert_eq!(died.len(), 1);
    assert_eq!(died[0].run_id.as_ref(), Some(&id(0)));
    let named = first.seal().await.expect_err("named");
    assert!(
        matches!(named, RunError::Start(StartError::NamedDead { .. })),
        "{named}"
    );
    // A run in one process was not prepared.
    place.at_day(1);
    let one = place.audit().await;
    let taken = asked(one.run_id.clone(), None);
    let taken = run::prepare(&shell, &place.config(), &taken, 1, never()).await;
    assert!(
        matches!(
            &taken,
            Err(RunError::Start(
                StartError::Sealed { .. } | StartError::Taken { .. }
            ))
        ),
        "{taken:?}"
    );
    let none = Steps {
        run_id: one.run_id,
        ..second
    };
    assert!(none.assess().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_are_steps_of_one_run() {
    let place = Place::present(6, ServeOptions::default()).await;
    let run_id = "20261124T020000Z-c0de";
    let common = ["--archive", "archive", "--regions", "auto"];
    let ask = async |arguments: &[&str], code: i32| {
        let common = match arguments[0] {
            "verify" => &[][..],
            "seal" => &common[..2],
            _ => &common,
        };
        let all = [arguments, common].concat();
        let output = place.program(&all).output().await.expect("it runs");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{all:?}: {}",
            told(&output)
        );
        String::from_utf8(output.stdout).expect("text")
    };
    let prepared = ask(&["prepare", "--shards", "2", "--run-id", run_id], 0).await;
    assert!(prepared.contains("PREPARED"), "{prepared}");
    for shard in ["2/2", "1/2"] {
        let collected = ask(&["collect", "--run-id", run_id, "--shard", shard], 0).await;
        assert!(collected.contains("COLLECTED"), "{collected}");
    }
    for shard in ["0/2", "3/2", "1", "a/b"] {
        ask(&["collect", "--run-id", run_id, "--shard", shard], 2).await;
    }
    ask(&["prepare", "--shards", "0"], 2).await;
    let judged = ask(&["assess", "--run-id", run_id], 0).await;
    assert!(judged.contains("JUDGED, PARTIAL"), "{judged}");
    let sealed = ask(&["seal", "--run-id", run_id], 4).await;
    assert!(sealed.contains("SEALED, PARTIAL"), "{sealed}");
    let twice = ask(&["seal", "--run-id", run_id], 0).await;
    assert!(twice.contains("sealed already, by entry 2"), "{twice}");
    let again = ask(&["assess", "--run-id", run_id], 0).await;
    assert!(again.contains("every conclusion is as sealed"), "{again}");
    ask(&["verify", "archive"], 0).await;
    let report = place.report().await;
    assert_eq!(report.runs.len(), 1);
    let store = place.store();
    use keyproof::archive::store::Store as _;
    let date = report.runs[0].seal.scheduled_for;
    let run_id: RunId = run_id.parse().expect("id");
    let (scope, _) = shards::read_scope(store.as_fetch(), &run_id, date)
        .await
        .expect("a scope");
    assert_eq!((scope.shards, scope.head_seq), (2, 1));
    assert!(scope.accounts.iter().any(|a| a.shard == Some(2)));
}
