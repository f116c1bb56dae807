//! Launches from the trail's files: the same as those that are looked up; whatever is wrong with a file is
//! said of its time; what was read counts in the KPI.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use keyproof::archive::chain::Chain;
use keyproof::archive::records;
use keyproof::config::Config;
use keyproof::model::datasets::{
    BackfilledControlEvent, BackfilledLaunch, Coverage, Launch, LaunchEvent, LogBucket,
    TrailReading,
};
use keyproof::model::ids::{AccountId, Region};
use keyproof::model::table::Dataset;
use keyproof::model::words::{EventSource, RunOutcome, Source, TrailOutcome};
use keyproof::record;
use keyproof::run::{self, BackfillRequest, Backfilled, RollupRequest, RunError};
use keyproof::sandbox::Options;
use keyproof::time::{Date, HOUR_MS};

use crate::support::{Place, files_below, never, told};

const ROLE: (&str, &str) = ("source_reader_role_name", "keyproof-source-reader");

async fn place() -> Place {
    Place::new(&Options {
        accounts: 5,
        regions: 2,
        clusters: 6,
        days: 4,
        seed: 5,
        ..Options::default()
    })
    .await
}

fn config(place: &Place) -> Config {
    place.config_with(&[ROLE, ("launch_days", "9")], "")
}

/// Days of the story, counted from its first.
fn request(place: &Place, from: i64, to: i64) -> BackfillRequest {
    let first = keyproof::time::UtcMillis(place.world.audit_ms(0)).date();
    BackfillRequest {
        bucket_owner: place.world.log_archive_account().parse().ok(),
        ..BackfillRequest::new(first.plus_days(from), first.plus_days(to))
    }
}

async fn backfill(place: &Place, request: &BackfillRequest) -> Result<Backfilled, RunError> {
    run::backfill(&place.shell(), &config(place), request, never()).await
}

/// The rows of the newest backfill.
async fn rows<D: Dataset>(place: &Place) -> Vec<D> {
    place.report().await;
    let store = place.store();
    let chain = Chain::read(&store).await.expect("listed").expect("a chain");
    let (entry, _) = chain.backfills().next_back().expect("a backfill");
    let manifest = records::read_manifest(&store, entry)
        .await
        .expect("a manifest");
    let file = manifest
        .files
        .iter()
        .find(|file| file.name.contains(D::NAME));
    let file = file.expect("a file");
    let bytes = records::read_file(&store, file, 1 << 30)
        .await
        .expect("a sealed file");
    let rows = record::read_bytes::<D>(&file.name, bytes).expect("Parquet");
    rows.map(|row| row.expect("a row")).collect()
}

/// What a record says, without where and when it was read.
fn facts(row: &Launch) -> Vec<String> {
    let row = LaunchEvent(row.clone());
    let columns = LaunchEvent::COLUMNS.iter().enumerate();
    let columns = columns.filter(|(_, c)| !["scheduled_for", "read_from"].contains(&c.name));
    columns
        .map(|(at, c)| format!("{}={:?}", c.name, row.cell(at)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn launches_by_lookup_and_from_the_trail_are_the_same() {
    let place = place().await;
    place.at_day(1);
    let audited = place.audit_with(&config(&place)).await.expect("sealed");
    let sealed = place.sealed(&audited.run_id).await;
    let request = request(&place, -5, 0);
    let dry = BackfillRequest {
        dry_run: true,
        ..request.clone()
    };
    let before = files_below(&place.archive());
    let gets = place.calls("GetObject");
    let listed = backfill(&place, &dry).await.expect("listed");
    assert!(
        listed.outcome.is_none() && listed.text.contains("log files and"),
        "{}",
        listed.text
    );
    assert_eq!(
        before,
        files_below(&place.archive()),
        "a dry run writes nothing"
    );
    assert_eq!(place.calls("GetObject"), gets, "and reads nothing");

    let done = backfill(&place, &request).await.expect("sealed");
    let found: Vec<BackfilledLaunch> = rows(&place).await;
    let readings: Vec<TrailReading> = rows(&place).await;
    assert_eq!(
        done.outcome,
        Some(RunOutcome::Complete),
        "{}\n{readings:?}",
        done.text
    );
    assert!(
        readings
            .iter()
            .all(|r| r.outcome == TrailOutcome::Validated)
    );
    let (from, to) = (request.from, request.to);
    let window = from.start().0..to.plus_days(1).start().0;
    let cells: Vec<Coverage> = sealed.rows().await;
    let looked: BTreeSet<(AccountId, Region)> = cells
        .iter()
        .filter(|c| c.source == Source::Launches && c.outcome.is_answer())
        .filter(|c| c.observed_from_ms.is_some_and(|from| from <= window.start))
        .map(|c| (c.account_id.clone(), c.region.clone()))
        .collect();
    assert!(looked.len() > 2, "{looked:?}");
    let here = |row: &&Launch| {
        let place = (row.account_id.clone(), row.region.clone());
        window.contains(&row.event_ms) && looked.contains(&place)
    };
    let by_lookup: Vec<Launch> = sealed.rows().await;
    let by_lookup: BTreeMap<_, _> = by_lookup
        .iter()
        .filter(here)
        .map(|row| (row.event_id.clone(), row))
        .collect();
    let from_trail: BTreeMap<_, _> = found
        .iter()
        .map(|row| &row.0)
        .filter(here)
        .map(|row| (row.event_id.clone(), row))
        .collect();
    assert!(by_lookup.len() > 10, "{}", by_lookup.len());
    assert_eq!(
        by_lookup.keys().collect::<Vec<_>>(),
        from_trail.keys().collect::<Vec<_>>(),
        "an event once, although some came twice"
    );
    for (id, row) in &by_lookup {
        let other = from_trail[id];
        assert_eq!(facts(row), facts(other));
        // Judged by the facts of this very run.
        assert_eq!((row.class, row.bucket), (other.class, other.bucket), "{id}");
        assert_eq!(other.read_from, EventSource::OrganizationTrail);
    }
    let without = found.iter().filter(|row| !row.params_available).count();
    assert!(without > 0, "events above 100 KB are among them");
    let changes: Vec<BackfilledControlEvent> = rows(&place).await;
    let buckets: Vec<LogBucket> = sealed.rows().await;
    for row in changes
        .iter()
        .filter(|row| row.event_source == "s3.amazonaws.com")
    {
        let of_here = |b: &LogBucket| {
            b.account_id.as_ref() == Some(&row.account_id) && b.region.as_ref() == Some(&row.region)
        };
        assert!(buckets.iter().any(of_here), "{row:?}");
    }
    let names: BTreeSet<_> = changes.iter().map(|row| row.event_name.as_str()).collect();
    assert!(names.contains("PutBucketEncryption"), "{names:?}");
    // No more memory of content than the launches: other records are not kept.
    assert!(readings.iter().map(|r| r.records).sum::<i64>() > found.len() as i64);
}

/// Where the trail's files lie of the first account-region that has enough of them.
struct Files {
    bucket: String,
    account: AccountId,
    region: Region,
    logs: Vec<String>,
    digests: Vec<String>,
}

fn files(place: &Place) -> Files {
    let bucket = place.world.trail_bucket().to_owned();
    let keys = place.sandbox.object_keys(&bucket);
    for here in place.world.account_regions() {
        let of = |kind: &str| {
            let part = format!("/{}/{kind}/{}/", here.account_id, here.region);
            let keys = keys.iter().filter(|key| key.contains(&part));
            keys.cloned().collect::<Vec<_>>()
        };
        let (logs, digests) = (of("CloudTrail"), of("CloudTrail-Digest"));
        let has_launch = |key: &&String| {
            let bytes = place.sandbox.object(&bucket, key).expect("an object");
            inflate(&bytes).contains("RunJobFlow")
        };
        if logs.iter().filter(has_launch).count() > 5 {
            return Files {
                bucket,
                account: here.account_id.parse().expect("an id"),
                region: here.region.parse().expect("a Region"),
                logs,
                digests,
            };
        }
    }
    panic!("no account-region with launches");
}

fn inflate(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .expect("gzip");
    text
}

fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_file_is_said_of_its_time() {
    let place = place().await;
    place.at_day(1);
    place.audit_with(&config(&place)).await.expect("sealed");
    let request = request(&place, -5, -1);
    backfill(&place, &request).await.expect("sealed");
    let whole: Vec<BackfilledLaunch> = rows(&place).await;
    let files = files(&place);
    let request = BackfillRequest {
        accounts: [files.account.clone()].into(),
        regions: [files.region.clone()].into(),
        ..request
    };
    let of = |rows: Vec<BackfilledLaunch>| -> Vec<BackfilledLaunch> {
        let here =
            |row: &BackfilledLaunch| row.account_id == files.account && row.region == files.region;
        rows.into_iter().filter(here).collect()
    };
    let whole = of(whole);
    let bucket = files.bucket.as_str();
    // A file with a launch that comes in no other file, of the days that are asked for.
    let window = request.from.start().0..request.to.start().0;
    let texts: Vec<(String, String)> = files
        .logs
        .iter()
        .map(|key| {
            (
                key.clone(),
                inflate(&place.sandbox.object(bucket, key).expect("an object")),
            )
        })
        .collect();
    let (log, launch) = whole
        .iter()
        .filter(|row| window.contains(&row.event_ms))
        .find_map(|row| {
            let mut of = texts
                .iter()
                .filter(|(_, text)| text.contains(&row.event_id));
            match (of.next(), of.next()) {
                (Some((key, _)), None) => Some((key.clone(), row.event_id.clone())),
                _ => None,
            }
        })
        .expect("a launch that came once");
    let log = log.as_str();
    let packed = place.sandbox.object(bucket, log).expect("a log file");
    let text = inflate(&packed);
    let digest_of = |log: &str| {
        let found = files.digests.iter().find(|key| {
            let bytes = place.sandbox.object(bucket, key).expect("a digest");
            inflate(&bytes).contains(log)
        });
        found.expect("a digest").clone()
    };
    let digest = digest_of(log);
    let digest_text = inflate(&place.sandbox.object(bucket, &digest).expect("a digest"));
    let kept = place.sandbox.copy_bucket(bucket);
    let url = |key: &str| Some(format!("s3://{bucket}/{key}"));

    use TrailOutcome::{Failed, NotValidated};
    // What is done; what is said; whether the launch is taken all the same, and of what.
    type Case<'c> = (
        &'c str,
        &'c dyn Fn(),
        TrailOutcome,
        &'c str,
        Option<EventSource>,
    );
    let put = |key: &str, bytes: Vec<u8>| place.sandbox.put_object_raw(bucket, key, bytes);
    let changed = text.replacen("RunJobFlow", "RunJobFlog", 1);
    let cases: &[Case<'_>] = &[
        (
            "changed",
            &|| put(log, deflate(&changed)),
            Failed,
            "LogFileChanged",
            None,
        ),
        (
            "packed anew",
            &|| put(log, deflate(&text)),
            TrailOutcome::Validated,
            "",
            Some(EventSource::OrganizationTrail),
        ),
        (
            "cut in half",
            &|| put(log, packed[..packed.len() / 2].to_vec()),
            Failed,
            "LogFileMalformed",
            None,
        ),
        (
            "no gzip",
            &|| put(log, text.clone().into_bytes()),
            Failed,
            "LogFileMalformed",
            None,
        ),
        (
            "no JSON",
            &|| put(log, deflate(&text[..text.len() / 2])),
            Failed,
            "LogFileMalformed",
            None,
        ),
        (
            "gone",
            &|| assert!(place.sandbox.remove_object_raw(bucket, log)),
            Failed,
            "LogFileMissing",
            None,
        ),
        (
            "digest gone",
            &|| assert!(place.sandbox.remove_object_raw(bucket, &digest)),
            Failed,
            "DigestMissing",
            Some(EventSource::UnvalidatedTrail),
        ),
        (
            "digest changed",
            &|| {
                put(
                    &digest,
                    deflate(&digest_text.replacen("hashValue", "hashvalue", 1)),
                )
            },
            Failed,
            "DigestMalformed",
            Some(EventSource::UnvalidatedTrail),
        ),
        (
            "digest forged",
            &|| {
                put(
                    &digest,
                    deflate(&digest_text.replacen(
                        "\"newestEventTime\":null",
                        "\"newestEventTime\":\"x\"",
                        1,
                    )),
                )
            },
            Failed,
            "DigestSignature",
            Some(EventSource::UnvalidatedTrail),
        ),
        (
            "digest cut off",
            &|| put(&digest, vec![0x1f, 0x8b]),
            Failed,
            "DigestMalformed",
            Some(EventSource::UnvalidatedTrail),
        ),
        (
            "not in a digest",
            &|| put(&log.replace(".json.gz", "x.json.gz"), deflate(&text)),
            NotValidated,
            "NotInDigest",
            Some(EventSource::OrganizationTrail),
        ),
    ];
    for (what, tamper, outcome, reason, taken) in cases {
        place.sandbox.put_back(bucket, &kept);
        tamper();
        let done = backfill(&place, &request).await.expect("sealed");
        let readings: Vec<TrailReading> = rows(&place).await;
        let found = of(rows(&place).await);
        let worst = readings.iter().max_by_key(|r| r.outcome).expect("a row");
        assert_eq!(
            (worst.outcome, worst.reason.as_deref().unwrap_or_default()),
            (*outcome, *reason),
            "{what}: {readings:?}"
        );
        let is_whole = *outcome == TrailOutcome::Validated;
        let sealed = if is_whole {
            RunOutcome::Complete
        } else {
            RunOutcome::Partial
        };
        assert_eq!(done.outcome, Some(sealed), "{what}");
        if !is_whole {
            let named = worst.file.clone();
            let about = [log, digest.as_str()].iter().any(|key| named == url(key))
                || *what == "not in a digest";
            assert!(about, "{what}: {named:?}");
            assert!(done.text.contains(reason), "{what}: {}", done.text);
            // The hour of the file and the one before it, and no more.
            let ms: i64 = readings
                .iter()
                .filter(|r| r.outcome != TrailOutcome::Validated)
                .map(|r| r.to_ms - r.from_ms)
                .sum();
            assert_eq!(ms, 2 * HOUR_MS, "{what}: {readings:?}");
        }
        let row = found.iter().find(|row| row.event_id == launch);
        assert_eq!(row.map(|row| row.read_from), *taken, "{what}");
        let others = found
            .iter()
            .filter(|row| !text.contains(&row.event_id))
            .count();
        assert_eq!(
            others,
            whole
                .iter()
                .filter(|row| !text.contains(&row.event_id))
                .count(),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_counts_in_the_quarter() {
    let place = place().await;
    let day = |n: u32| place.at_day(n);
    day(0);
    // The first run looks back one day, so days before it are nobody's.
    let short = place.config_with(&[ROLE, ("launch_days", "1")], "");
    place.audit_with(&short).await.expect("sealed");
    let date: Date = day(1);
    place.audit_with(&short).await.expect("sealed");
    let rollup = async || {
        let request = RollupRequest::new(date.quarter());
        let done = run::rollup(&place.shell(), &short, &request)
            .await
            .expect("sealed");
        let all = done.measures.launch_attempts.into_iter();
        let mut all = all.filter(|row| row.scope_kind == "organization");
        all.next().expect("a row")
    };
    let before = rollup().await;
    let request = BackfillRequest {
        from: date.plus_days(-4),
        to: date.plus_days(-1),
        ..request(&place, 0, 0)
    };
    backfill(&place, &request).await.expect("sealed");
    let found: Vec<BackfilledLaunch> = rows(&place).await;
    let readings: Vec<TrailReading> = rows(&place).await;
    let after = rollup().await;
    let read: i64 = readings
        .iter()
        .filter(|r| r.outcome == TrailOutcome::Validated)
        .map(|r| r.to_ms - r.from_ms)
        .sum();
    let (was, is) = (
        before.unobserved_ms.expect("ms"),
        after.unobserved_ms.expect("ms"),
    );
    assert!(is < was && was - is <= read, "{was} {is} {read}");
    assert_eq!(before.trail_events, 0);
    assert!(
        after.trail_events > 0 && after.trail_events < found.len() as i64,
        "runs' rows win: {} of {}",
        after.trail_events,
        found.len()
    );
    assert_eq!(
        after.events - before.events,
        after.trail_events,
        "each event once"
    );
    // Again, and the same once more: nothing changes.
    backfill(&place, &request).await.expect("sealed");
    let again = rollup().await;
    assert_eq!(again, after);

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/verify-archive.sh");
    let chain = Chain::read(&place.store())
        .await
        .expect("listed")
        .expect("a chain");
    let pin = chain.genesis_sha256().to_string();
    let verified = tokio::process::Command::new("sh")
        .args([
            script,
            &place.archive().display().to_string(),
            "--pin",
            &pin,
        ])
        .output()
        .await
        .expect("sh runs");
    assert!(verified.status.success(), "{}", told(&verified));
    let url = place.archive().display().to_string();
    let verified = place
        .program(&["verify", &url, "--pin", &pin])
        .output()
        .await
        .expect("runs");
    assert!(verified.status.success(), "{}", told(&verified));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_asked_well_is_refused() {
    let place = place().await;
    place.at_day(1);
    let config = config(&place);
    place.audit_with(&config).await.expect("sealed");
    let before = files_below(&place.archive());
    for (from, to) in [(0, -1), (0, 5)] {
        let error = backfill(&place, &request(&place, from, to))
            .await
            .expect_err("no dates");
        assert!(
            error.to_string().contains("no dates up to today"),
            "{error}"
        );
    }
    let without = place.config_with(&[("launch_days", "6")], "");
    let error = run::backfill(&place.shell(), &without, &request(&place, -2, -1), never()).await;
    let error = error.expect_err("no role").to_string();
    assert!(error.contains("source_reader_role_name"), "{error}");
    assert_eq!(
        before,
        files_below(&place.archive()),
        "nothing is half written"
    );
}

/// Where nothing could be listed, nothing is known: neither "0 files" nor an entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cannot_be_listed_is_a_failure_and_names_the_way_out() {
    let place = place().await;
    place.at_day(1);
    place.audit_with(&config(&place)).await.expect("sealed");
    let before = files_below(&place.archive());
    let said = |ended: Result<Backfilled, RunError>| match ended {
        Ok(done) => panic!("{}", done.text),
        Err(error) => error.to_string(),
    };
    for dry_run in [true, false] {
        let asked = BackfillRequest {
            dry_run,
            ..request(&place, -5, 0)
        };
        // Nobody said whose the bucket is, and it is not the trail's account's.
        let error = said(
            backfill(
                &place,
                &BackfillRequest {
                    bucket_owner: None,
                    ..asked.clone()
                },
            )
            .await,
        );
        assert!(error.contains("--bucket-owner"), "{error}");
        assert!(!error.contains("SourceObject"), "{error}");
        // An account that no run knows, and a Region that is none.
        let stranger = BackfillRequest {
            accounts: ["999999999999".parse().expect("an id")].into(),
            ..asked.clone()
        };
        let error = said(backfill(&place, &stranger).await);
        assert!(
            error.contains("account 999999999999 is not among"),
            "{error}"
        );
        let mars = BackfillRequest {
            regions: ["mars".parse().expect("looks like one")].into(),
            ..asked.clone()
        };
        let error = said(backfill(&place, &mars).await);
        assert!(error.contains("mars is no Region"), "{error}");
        // A Region that the trail has nothing of.
        let far = BackfillRequest {
            regions: ["ap-northeast-3".parse().expect("a Region")].into(),
            ..asked
        };
        let error = said(backfill(&place, &far).await);
        assert!(error.contains("has no files of a trail"), "{error}");
    }
    assert_eq!(before, files_below(&place.archive()), "nothing is sealed");
}
