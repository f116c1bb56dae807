//! A quarter of daily runs over many clusters: what `scripts/bench rollup` and `query` read. Nothing is
//! asserted.
//!
//! An organization of 200 accounts with clusters in 4 Regions. Of the clusters of an account and Region
//! three fifths run for months, half of them relaunched once in the quarter; the rest are nightly: one is
//! alive at the run, and the run also tells the end of the one of the night before. Verdicts stand, are
//! mended in place or by a relaunch, or break. Everything follows from numbers, so that two archives have
//! the same rows.
//!
//! Datasets that no measure reads (`emr_cluster`, `finding`), and `channel`, of which only the latest run
//! is read, stand in the last run alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use keyproof::archive::file_store::FileStore;
use keyproof::archive::starts::Start;
use keyproof::model::datasets::{
    Account, Channel, Coverage, EmrCluster, Finding, KmsKey, Launch, LogBucket, LogObjectSummary,
    Reencryption, Verdict,
};
use keyproof::model::ids::{AccountId, Region, RunId, Sha256Hex};
use keyproof::model::table::{Cell, Dataset};
use keyproof::model::words::{
    AttemptBucket, CellOutcome, Delivery, Judgement, LaunchClass, LaunchSeen, Meets, OwnerSource,
    Population, Posture, RetainedCopies, Source,
};
use keyproof::record::{self, RecordError};
use keyproof::seal::{Content, FileEntry};
use keyproof::testkit::{self, FixedClock, SampleArchive, TempDir};
use keyproof::time::{DAY_MS, HOUR_MS, Quarter, UtcMillis};
use serde_json::json;

use super::at_scale::{id, mix, put, variable};

const ACCOUNTS: u64 = 200;
const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
const PLACES: u64 = ACCOUNTS * REGIONS.len() as u64;
/// Customer keys and log buckets of an account.
const OF_ACCOUNT: u64 = 6;
/// Runs begin two hours after midnight.
const RUN_MS: i64 = 2 * HOUR_MS;
const TEAMS: [&str; 8] = [
    "orders",
    "payments",
    "clickstream",
    "fraud",
    "pricing",
    "inventory",
    "search",
    "ledger",
];
const JOBS: [&str; 5] = ["etl", "features", "reports", "compaction", "exports"];
/// Sources asked once in each Region.
const REGIONAL: [Source; 11] = [
    Source::Buckets,
    Source::ClusterSettings,
    Source::Clusters,
    Source::ControlEvents,
    Source::Keys,
    Source::Launches,
    Source::LogGroups,
    Source::SecurityConfigurations,
    Source::Sessions,
    Source::Steps,
    Source::Trails,
];
const RULES: u64 = 20;

#[tokio::test]
#[ignore = "a measurement: scripts/bench rollup"]
async fn a_quarter_of_runs_is_sealed() {
    let quarter: Quarter = variable("KEYPROOF_BENCH_QUARTER").parse().expect("quarter");
    let clusters: u64 = variable("KEYPROOF_BENCH_CLUSTERS").parse().expect("number");
    let store = FileStore::at(&variable("KEYPROOF_BENCH_ARCHIVE")).expect("a folder");
    let begun = Instant::now();
    let mut archive = SampleArchive::new(Arc::new(store));
    let first = quarter.first().start().plus_ms(RUN_MS);
    archive.clock = Arc::new(FixedClock::at(first));
    archive.accounts = (0..ACCOUNTS).map(account).collect();
    let mut chain = archive.chain().await.expect("begun");
    let days = i64::from(quarter.end().days() - quarter.first().days());
    let world = World {
        first,
        per_place: clusters / PLACES,
    };
    let work = TempDir::new();
    let mut before: Option<RunId> = None;
    for day in 0..days {
        archive.coverage = world.coverage(day);
        let run = archive.begin(&mut chain, None).await.expect("a start");
        let mut written = Written {
            archive: &archive,
            start: &run.start,
            path: work.path().join("rows"),
            files: Vec::new(),
        };
        let verdicts = world.verdicts(day, before.as_ref());
        if day == days - 1 {
            written.dataset(verdicts.iter().map(emr_cluster)).await;
            written.dataset(verdicts.iter().flat_map(findings)).await;
            written.dataset(verdicts.iter().flat_map(channels)).await;
        }
        written.dataset(verdicts).await;
        written.dataset(world.launches(day)).await;
        written.dataset(world.keys()).await;
        written.dataset(world.buckets()).await;
        written.dataset(world.log_objects(day)).await;
        written.dataset(world.reencryptions(day)).await;
        let files = written.files;
        let data = archive.collect_beside(&chain, &run, files).await;
        let (manifest, seal) = data.expect("data");
        let sealed = archive
            .seal(&mut chain, &manifest, Content::Run(seal))
            .await;
        sealed.expect("sealed");
        before = Some(run.start.run_id.clone());
        archive.clock.advance_ms(DAY_MS);
    }
    let results = json!({"runs": days, "made_s": begun.elapsed().as_secs_f64()});
    println!("measured {results}");
}

/// Writes datasets of one run.
struct Written<'a> {
    archive: &'a SampleArchive,
    start: &'a Start,
    path: PathBuf,
    files: Vec<FileEntry>,
}

impl Written<'_> {
    async fn dataset<D: Dataset>(&mut self, rows: impl IntoIterator<Item = D>) {
        let date = Cell::Date(self.start.scheduled_for);
        let dated = rows.into_iter().map(|row: D| {
            D::from_cells(|column| match D::COLUMNS[column].name {
                "scheduled_for" => date.clone(),
                _ => row.cell(column),
            })
            .expect("a date")
        });
        let mut rows: Vec<D> = dated.collect();
        rows.sort_by(D::key_order);
        let encoded = record::write_rows(&self.path, rows.into_iter().map(Ok::<_, RecordError>));
        let encoded = encoded.expect("rows in order");
        let file = put::<D>(self.archive, self.start, &self.path, encoded).await;
        self.files.push(file);
    }
}

/// What happens in the quarter; days count from its first.
struct World {
    /// Start of the first run.
    first: UtcMillis,
    /// Clusters that a run tells of in an account and Region.
    per_place: u64,
}

/// A thing that a team launches again and again.
struct Lineage {
    place: u64,
    seed: u64,
    nightly: bool,
    name: String,
    /// Days on which it is relaunched with other settings, mended in place, or breaks: most never do.
    relaunched: i64,
    mended: i64,
    breaks: i64,
}

/// One launch of it.
struct Cluster<'a> {
    of: &'a Lineage,
    id: String,
    created_ms: i64,
    ended_ms: Option<i64>,
}

impl Lineage {
    fn cluster(&self, first: UtcMillis, number: i64) -> Cluster<'_> {
        let seed = mix(self.seed, number as u64);
        let noise = (mix(seed, 4) % HOUR_MS as u64) as i64;
        // A nightly one comes at ten and goes at four; of the others one was there before the quarter.
        let created_ms = match (self.nightly, number) {
            (true, day) => first.0 + day * DAY_MS - 4 * HOUR_MS - noise,
            (false, 0) => first.0 - DAY_MS * (1 + (mix(seed, 5) % 300) as i64) - noise,
            (false, _) => first.0 + self.relaunched * DAY_MS - 6 * HOUR_MS - noise,
        };
        let ended_ms = match (self.nightly, number) {
            (true, day) => Some(first.0 + day * DAY_MS + 2 * HOUR_MS + noise),
            (false, 0) => Some(first.0 + self.relaunched * DAY_MS - HOUR_MS - noise),
            (false, _) => None,
        };
        Cluster {
            of: self,
            id: format!("j-{}", id(seed)),
            created_ms,
            ended_ms,
        }
    }

    /// The clusters that a run tells of: those alive, and those that ended since the one before.
    fn clusters(&self, first: UtcMillis, day: i64) -> Vec<Cluster<'_>> {
        let numbers = if self.nightly { day - 1..day + 1 } else { 0..2 };
        let now = first.0 + day * DAY_MS;
        let told = |cluster: &Cluster<'_>| {
            let ended = cluster.ended_ms.unwrap_or(i64::MAX);
            cluster.created_ms <= now && ended > now - DAY_MS
        };
        numbers
            .map(|number| self.cluster(first, number))
            .filter(told)
            .collect()
    }
}

impl Cluster<'_> {
    fn verdict(&self, first: UtcMillis, day: i64) -> Judgement {
        let launched = (self.created_ms - first.0).div_euclid(DAY_MS) + 1;
        match self.of.seed % 20 {
            0..=10 => Judgement::Compliant,
            11 | 12 if day >= self.of.mended => Judgement::Compliant,
            13 if day < self.of.breaks => Judgement::Compliant,
            14 | 15 if launched >= self.of.relaunched => Judgement::Compliant,
            11..=17 => Judgement::NonCompliant,
            18 => Judgement::NoLogs,
            _ => Judgement::Unknown,
        }
    }
}

impl World {
    fn lineages(&self, place: u64) -> Vec<Lineage> {
        let running = self.per_place * 3 / 5;
        let nightly = (self.per_place - running) / 2;
        let of = |n: u64| {
            let seed = mix(place, n);
            let team = TEAMS[(seed % 8) as usize];
            let job = JOBS[(mix(seed, 1) % 5) as usize];
            let nightly = n >= running;
            let kind = if nightly { "nightly" } else { "stream" };
            let day = |of: u64, among: u64| 1 + (mix(seed, of) % among) as i64;
            Lineage {
                place,
                seed,
                nightly,
                name: format!("{team}-{job}-{kind}-{n}"),
                relaunched: day(2, 184),
                mended: day(3, 140),
                breaks: day(6, 140),
            }
        };
        (0..running + nightly).map(of).collect()
    }

    fn verdicts(&self, day: i64, before: Option<&RunId>) -> Vec<Verdict> {
        let mut rows = Vec::new();
        for place in 0..PLACES {
            for lineage in self.lineages(place) {
                for cluster in lineage.clusters(self.first, day) {
                    rows.push(self.verdict(&cluster, day, before));
                }
            }
        }
        rows.sort_by(Dataset::key_order);
        rows
    }

    fn verdict(&self, cluster: &Cluster<'_>, day: i64, before: Option<&RunId>) -> Verdict {
        let Lineage { place, seed, .. } = *cluster.of;
        let now = self.first.0 + day * DAY_MS;
        let ended_ms = cluster.ended_ms.filter(|&ended| ended <= now);
        let active = ended_ms.is_none();
        let verdict = cluster.verdict(self.first, day);
        let fresh = cluster.created_ms > now - DAY_MS;
        let owners = owners(place);
        let is_tagged = !seed.is_multiple_of(20);
        let team = is_tagged.then(|| format!("team-{}", seed % 120).into());
        let source = if is_tagged {
            OwnerSource::ClusterTag
        } else {
            OwnerSource::AccountTag
        };
        Verdict {
            account_id: account_id(place),
            region: region(place),
            name: Some(name(cluster)),
            state: if active { "RUNNING" } else { "TERMINATED" }.into(),
            created_at: Some(UtcMillis(cluster.created_ms)),
            created_ms: Some(cluster.created_ms),
            ended_at: ended_ms.map(UtcMillis),
            ended_ms,
            delivery: match verdict {
                Judgement::NoLogs => Delivery::NotApplicable,
                Judgement::Unknown => Delivery::Unknown,
                _ if seed.is_multiple_of(50) => Delivery::Broken,
                _ => Delivery::Working,
            },
            posture: match verdict {
                Judgement::Compliant => Posture::Active,
                Judgement::NonCompliant => Posture::PassiveDefault,
                Judgement::Unknown => Posture::Unknown,
                Judgement::NoLogs => Posture::NotArchived,
            },
            decided_by: match verdict {
                Judgement::Compliant => "EL-01 EL-02 EL-03",
                Judgement::NonCompliant => "EL-03",
                _ => "EL-01",
            }
            .into(),
            stands_from_run: before.filter(|_| !active).cloned(),
            launch_event: fresh.then_some(LaunchSeen::Found),
            ou_path: owners.ou_path.map(Into::into),
            owner: team.or(owners.owner.map(Into::into)),
            owner_source: Some(source),
            cost_center: owners.cost_center.map(Into::into),
            cost_center_source: Some(OwnerSource::AccountTag),
            business_unit: owners.business_unit.map(Into::into),
            business_unit_source: Some(OwnerSource::AccountTag),
            data_classification: Some("internal".into()),
            data_classification_source: Some(source),
            lineage: Some((&cluster.of.name).into()),
            retained_copies: Some(match seed % 5 {
                0 => RetainedCopies::Yes,
                1 => RetainedCopies::Unknown,
                _ => RetainedCopies::No,
            }),
            ..testkit::verdict(&cluster.id, verdict, active)
        }
    }

    /// Launches of the last two days, as a day of overlap brings them, and what was denied.
    fn launches(&self, day: i64) -> Vec<Launch> {
        let now = self.first.0 + day * DAY_MS;
        let mut rows = Vec::new();
        for place in 0..PLACES {
            for lineage in self.lineages(place) {
                let told = lineage.clusters(self.first, day);
                let lately = |c: &&Cluster<'_>| c.created_ms > now - 2 * DAY_MS;
                for cluster in told.iter().filter(lately) {
                    rows.push(self.launch(cluster, day, true));
                    if mix(lineage.seed, cluster.created_ms as u64).is_multiple_of(12) {
                        rows.push(self.launch(cluster, day, false));
                    }
                }
            }
        }
        rows
    }

    fn launch(&self, cluster: &Cluster<'_>, day: i64, accepted: bool) -> Launch {
        let (place, account) = (cluster.of.place, account_id(cluster.of.place));
        let seed = format!("{} {accepted}", cluster.id);
        let hash = Sha256Hex::of(seed.as_bytes());
        let hex = hash.as_str();
        let uuid = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..32],
        ]
        .join("-");
        let verdict = cluster.verdict(self.first, day);
        let key = key_arn(place, cluster.of.seed);
        let (class, bucket) = match (accepted, verdict) {
            (false, _) => (LaunchClass::DeniedNoncompliant, AttemptBucket::Blocked),
            (_, Judgement::Compliant) => (LaunchClass::AcceptedCompliant, AttemptBucket::None),
            (_, Judgement::NonCompliant) => {
                (LaunchClass::AcceptedNoncompliant, AttemptBucket::Flagged)
            }
            (_, Judgement::NoLogs) => (LaunchClass::AcceptedNoLogPlace, AttemptBucket::Flagged),
            (_, Judgement::Unknown) => (LaunchClass::AcceptedKeyUnknown, AttemptBucket::Unknown),
        };
        let owners = owners(place);
        Launch {
            cluster_id: accepted.then(|| cluster.id.clone()),
            name: Some(name(cluster)),
            lineage: Some(cluster.of.name.clone()),
            caller_arn: Some(format!("arn:aws:iam::{account}:role/launcher")),
            caller_account_id: Some(account.clone()),
            attempt_id: hex.to_owned(),
            error_code: (!accepted).then(|| "AccessDeniedException".to_owned()),
            denied_action: (!accepted).then(|| "elasticmapreduce:RunJobFlow".to_owned()),
            guardrail: (!accepted).then(|| "arn:aws:organizations::aws:policy/p-guard".to_owned()),
            log_uri: Some(format!("s3://{}/emr/", bucket_name(place, cluster.of.seed))),
            log_key: Some(key),
            security_configuration: Some("logs-under-key".to_owned()),
            security_configuration_approved: Some(!cluster.of.seed.is_multiple_of(3)),
            release_label: Some("emr-7.13.0".to_owned()),
            parameters_meet: match verdict {
                Judgement::Compliant if accepted => Meets::Yes,
                Judgement::Unknown => Meets::Unknown,
                _ => Meets::No,
            },
            class,
            bucket,
            population: if accepted {
                Population::Seen
            } else {
                Population::NotApplicable
            },
            ou_path: owners.ou_path,
            owner: Some(format!("team-{}", cluster.of.seed % 120).into()),
            cost_center: owners.cost_center.map(Into::into),
            business_unit: owners.business_unit.map(Into::into),
            ..testkit::launch(account, region(place), &uuid, UtcMillis(cluster.created_ms))
        }
    }

    fn coverage(&self, day: i64) -> Vec<Coverage> {
        let now = self.first.plus_ms(day * DAY_MS);
        let cell = |place: u64, region: Region, source: Source| {
            let noise = mix(mix(place, source as u64), day as u64);
            let is_events = matches!(source, Source::Launches | Source::ControlEvents);
            let is_open = noise.is_multiple_of(200);
            Coverage {
                outcome: match noise % 8 {
                    _ if is_open => CellOutcome::DeniedIam,
                    0 => CellOutcome::Empty,
                    _ => CellOutcome::Collected,
                },
                error_code: is_open.then(|| "AccessDenied".to_owned()),
                items_expected: Some((noise % 30) as i64),
                items_collected: Some((noise % 30) as i64),
                items_failed: Some(0),
                observed_from_ms: is_events.then(|| now.plus_ms(-2 * DAY_MS).0),
                observed_to_ms: is_events.then_some(now.0),
                calls: (noise % 9) as i64 + 1,
                operations: Some(format!("List:{}:0:{}", noise % 9 + 1, noise % 4)),
                started_at: now.plus_ms((noise % 60_000) as i64),
                ended_at: now.plus_ms((noise % 90_000) as i64 + 60_000),
                ..testkit::coverage(account_id(place), region, source)
            }
        };
        let mut rows = Vec::new();
        for place in 0..PLACES {
            rows.extend(REGIONAL.map(|source| cell(place, region(place), source)));
            if place.is_multiple_of(REGIONS.len() as u64) {
                let global = [Source::Regions, Source::Identities];
                rows.extend(global.map(|source| cell(place, Region::global(), source)));
            }
        }
        rows.sort_by(Dataset::key_order);
        rows
    }

    fn keys(&self) -> Vec<KmsKey> {
        let of = |(place, n): (u64, u64)| {
            let policy = policy(place, n);
            KmsKey {
                policy_sha256: Some(Sha256Hex::of(policy.as_bytes())),
                policy_json: Some(policy),
                owner: (n % 2 == 0).then(|| format!("team-{}", mix(place, n) % 120)),
                looked_up_at: self.first,
                ..testkit::kms_key(account_id(place), region(place), &key_arn(place, n))
            }
        };
        looked_up().map(of).collect()
    }

    fn buckets(&self) -> Vec<LogBucket> {
        let of = |(place, n): (u64, u64)| {
            let policy = policy(place, n + 100);
            LogBucket {
                default_algorithm: Some("aws:kms".to_owned()),
                bucket_key: Some(!mix(place, n).is_multiple_of(3)),
                policy_sha256: Some(Sha256Hex::of(policy.as_bytes())),
                policy_json: Some(policy),
                looked_up_at: self.first,
                ..testkit::log_bucket(account_id(place), region(place), &bucket_name(place, n))
            }
        };
        looked_up().map(of).collect()
    }

    fn log_objects(&self, day: i64) -> Vec<LogObjectSummary> {
        let ways = [
            "aws_managed_key",
            "customer_key",
            "kms_key_unknown",
            "sse_s3",
        ];
        let of = |(place, n): (u64, u64)| {
            let (account, region) = (account_id(place), region(place));
            let bucket = bucket_name(place, n);
            ways.map(|way| LogObjectSummary {
                versions: 1_000 + day * (n as i64 + 1),
                bytes: Some(50_000_000 + day * 1_000_000),
                ..testkit::log_object_summary(account.clone(), region.clone(), &bucket, "emr/", way)
            })
        };
        looked_up().flat_map(of).collect()
    }

    /// A job a week in one account of four, told of from then on.
    fn reencryptions(&self, day: i64) -> Vec<Reencryption> {
        let of = |place: u64| {
            let (account, region) = (account_id(place), region(place));
            (0..=day / 7).map(move |week| Reencryption {
                versions_total: 10_000,
                versions_moved: Some(10_000.min((day - week * 7 + 1) * 2_000)),
                bytes_moved: Some(1_000_000.min((day - week * 7 + 1) * 200_000)),
                ..testkit::reencryption(
                    account.clone(),
                    region.clone(),
                    &bucket_name(place, 0),
                    &format!("job-{place}-{week}"),
                )
            })
        };
        let places = (0..PLACES).step_by(4 * REGIONS.len());
        places.flat_map(of).collect()
    }
}

/// Place and number of every key, and of every bucket.
fn looked_up() -> impl Iterator<Item = (u64, u64)> {
    let regions = REGIONS.len() as u64;
    let of = move |account: u64| (0..OF_ACCOUNT).map(move |n| (account * regions + n % regions, n));
    (0..ACCOUNTS).flat_map(of)
}

fn emr_cluster(verdict: &Verdict) -> EmrCluster {
    let bucket = bucket_of(verdict);
    let text = |text: String| Cell::Text(text.into());
    let row = EmrCluster::from_cells(|column| match EmrCluster::COLUMNS[column].name {
        "seen" => Cell::Text("listed".into()),
        "settings" => Cell::Text("carried".into()),
        "state" => text(verdict.state.as_str().to_owned()),
        "release_label" => Cell::Text("emr-7.13.0".into()),
        "log_uri" => text(format!("s3://{bucket}/emr/")),
        "log_key" => text(key_of(verdict)),
        "security_configuration" => Cell::Text("logs-under-key".into()),
        "service_role" => Cell::Text("EMR_DefaultRole_V2".into()),
        "instance_profile" => Cell::Text("EMR_EC2_DefaultRole".into()),
        "steps" => Cell::Int(3),
        "account_id" => text(verdict.account_id.to_string()),
        "region" => text(verdict.region.to_string()),
        "cluster_id" => text(verdict.cluster_id.clone()),
        "name" => text(verdict.name.clone().unwrap_or_default()),
        "created_at" => verdict.created_at.map_or(Cell::Null, Cell::Instant),
        "ended_at" => verdict.ended_at.map_or(Cell::Null, Cell::Instant),
        "scheduled_for" => Cell::Date(verdict.scheduled_for),
        _ => Cell::Null,
    });
    row.expect("a cluster")
}

/// What every rule concludes of a cluster: of its key, of its bucket, or of itself.
fn findings(verdict: &Verdict) -> Vec<Finding> {
    let (account, region) = (verdict.account_id.to_string(), verdict.region.to_string());
    let id = &verdict.cluster_id;
    let fact = format!("emr_cluster/{account}/{region}/{id}");
    let of = |rule: u64| {
        let (kind, subject, also) = match rule % 4 {
            0 => ("key", key_of(verdict), "kms_key"),
            1 => ("bucket", bucket_of(verdict), "log_bucket"),
            _ => ("cluster", id.clone(), ""),
        };
        let facts = match also {
            "" => fact.clone(),
            also => format!("{fact} {also}/{account}/{region}/{subject}"),
        };
        let outcome = match (rule, verdict.verdict) {
            (3, Judgement::NonCompliant) => "FAIL",
            (1..=3, Judgement::Unknown) => "UNKNOWN",
            (1.., Judgement::NoLogs) => "NOT_APPLICABLE",
            (13.., _) if mix(rule, id.len() as u64).is_multiple_of(3) => "FAIL",
            _ => "PASS",
        };
        let row = Finding::from_cells(|column| match Finding::COLUMNS[column].name {
            "account_id" => Cell::Text((&*account).into()),
            "region" => Cell::Text((&*region).into()),
            "cluster_id" => Cell::Text((&**id).into()),
            "rule" => Cell::Text(format!("EL-{:02}", rule + 1).into()),
            "rule_kind" => Cell::Text(["P", "D", "A"][(rule % 3) as usize].into()),
            "severity" => Cell::Text(["high", "medium", "low"][(rule % 3) as usize].into()),
            "outcome" => Cell::Text(outcome.into()),
            "subject_kind" => Cell::Text(kind.into()),
            "subject" => Cell::Text((&*subject).into()),
            "reason" => Cell::Text(format!("as_rule_{rule}_says").into()),
            "params_json" => Cell::Text(format!("{{\"subject\":\"{subject}\"}}").into()),
            "facts" => Cell::Text((&*facts).into()),
            "advice" if outcome == "FAIL" => Cell::Text("launch it again with a log key".into()),
            "owner" => verdict
                .owner
                .as_ref()
                .map_or(Cell::Null, |o| Cell::Text(o.as_str().into())),
            "scheduled_for" => Cell::Date(verdict.scheduled_for),
            _ => Cell::Null,
        });
        row.expect("a finding")
    };
    (0..RULES).map(of).collect()
}

/// Where a cluster's logs go: archived, and for one in four those of a step elsewhere too.
fn channels(verdict: &Verdict) -> Vec<Channel> {
    let of = |channel: &'static str| Channel {
        channel: channel.into(),
        destination: format!("s3://{}/{channel}/", bucket_of(verdict)).into(),
        destination_bucket: Some(bucket_of(verdict).into()),
        ..testkit::channel(
            verdict.account_id.clone(),
            verdict.region.clone(),
            &verdict.cluster_id,
            &key_of(verdict),
        )
    };
    let also = verdict.cluster_id.bytes().map(u64::from).sum::<u64>();
    let channels: &[&str] = if also.is_multiple_of(4) {
        &["C1", "C2"]
    } else {
        &["C1"]
    };
    channels.iter().map(|channel| of(channel)).collect()
}

fn place_of(verdict: &Verdict) -> u64 {
    let account: u64 = verdict.account_id.as_str().parse().expect("digits");
    let rank = REGIONS.iter().position(|r| *r == verdict.region.as_str());
    (account - FIRST_ACCOUNT) / ACCOUNT_STEP * REGIONS.len() as u64 + rank.expect("ours") as u64
}

fn key_of(verdict: &Verdict) -> String {
    let hash = verdict.lineage.as_ref().map_or(0, |l| l.len() as u64);
    key_arn(place_of(verdict), hash)
}

fn bucket_of(verdict: &Verdict) -> String {
    let hash = verdict.lineage.as_ref().map_or(0, |l| l.len() as u64);
    bucket_name(place_of(verdict), hash)
}

const FIRST_ACCOUNT: u64 = 100_000_000_000;
const ACCOUNT_STEP: u64 = 4_321_987_654;

fn account_id(place: u64) -> AccountId {
    let rank = place / REGIONS.len() as u64;
    let digits = FIRST_ACCOUNT + rank * ACCOUNT_STEP;
    digits.to_string().parse().expect("12 digits")
}

fn region(place: u64) -> Region {
    let name = REGIONS[(place % REGIONS.len() as u64) as usize];
    name.parse().expect("a Region")
}

/// One of an account's keys, in its own Region.
fn key_arn(place: u64, n: u64) -> String {
    let (account, n) = (account_id(place), n % OF_ACCOUNT);
    let region = REGIONS[(n % REGIONS.len() as u64) as usize];
    let hash = Sha256Hex::of(format!("{account} {n}").as_bytes());
    let hex = hash.as_str();
    format!(
        "arn:aws:kms:{region}:{account}:key/{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32]
    )
}

fn bucket_name(place: u64, n: u64) -> String {
    format!("emr-logs-{}-{}", account_id(place), n % OF_ACCOUNT)
}

fn policy(place: u64, n: u64) -> String {
    let account = account_id(place);
    let statements = (0..4).map(|s| {
        json!({"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Effect": "Allow", "Resource": "*",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:role/team-{}-{s}", mix(place, n) % 999)}})
    });
    json!({"Statement": statements.collect::<Vec<_>>(), "Version": "2012-10-17"}).to_string()
}

/// Of 20 organizational units, 8 business units and 60 cost centres; some accounts are not tagged.
fn owners(place: u64) -> Account {
    account(place / REGIONS.len() as u64)
}

fn account(rank: u64) -> Account {
    let is_tagged = !rank.is_multiple_of(15);
    Account {
        name: Some(format!("workload-{rank}")),
        ou_path: Some(format!("o-sample/r-ab12/ou-ab12-{:08}/", rank % 20)),
        owner: is_tagged.then(|| format!("department-{}", rank % 40)),
        cost_center: is_tagged.then(|| format!("CC-{}", 1_000 + rank % 60)),
        business_unit: is_tagged.then(|| TEAMS[(rank % 8) as usize].to_owned()),
        ..testkit::account(account_id(rank * REGIONS.len() as u64))
    }
}

/// As given at launch; of a nightly one with its date.
fn name(cluster: &Cluster<'_>) -> String {
    if cluster.of.nightly {
        format!(
            "{}-{}",
            cluster.of.name,
            UtcMillis(cluster.created_ms).date()
        )
    } else {
        cluster.of.name.clone()
    }
}
