//! Logs of clusters long gone, what was done to them, and the reports that S3 writes of a log bucket.
//!
//! Every team's log bucket holds a dozen files from before the story, under SSE-S3; teams in turn re-encrypt
//! them in different ways, or do not. What an audit should find of it is stated way by way.

use super::buckets::{Bucket, BucketKind};
use super::log_objects::LogObject;
use super::scenario::{Finding, Outcome};
use super::{DAY_MS, MINUTE_MS, World};

/// Files of before the story in a log bucket that has inventories.
const OLD_FILES: usize = 12;
/// Those that a failing job does not get at, one in so many.
const FAILS_EVERY: usize = 4;
/// How long S3 shows a job after its end
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-managing-jobs.html>).
const JOBS_SHOWN_MS: i64 = 90 * DAY_MS;
/// Midnights before day 0 of which a report is kept.
const EARLIER_REPORTS: i64 = 8;

/// What became of the old files of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// There are none.
    #[default]
    Nothing,
    /// Nobody did anything.
    Left,
    /// A job moved them all under the bucket's key, and reported every task.
    Moved,
    /// A job moved most; some are held.
    MovedInPart,
    /// A job that still runs on the first days.
    Moving,
    /// A job moved them all, without a report.
    MovedUnreported,
    /// A job moved most, and reported failures alone.
    FailuresReported,
    /// A job copied each onto itself; the bucket keeps the old versions.
    Copied,
}

/// The ways of teams, in turn.
const OF_TEAMS: [History; 6] = [
    History::Moved,
    History::MovedInPart,
    History::Moving,
    History::Left,
    History::MovedUnreported,
    History::FailuresReported,
];

impl History {
    /// The way of the n-th bucket of a kind.
    pub(super) fn of(kind: BucketKind, number: usize) -> Self {
        match kind {
            BucketKind::TeamLogs => OF_TEAMS[number % OF_TEAMS.len()],
            BucketKind::CentralLogs => Self::Copied,
            _ => Self::Nothing,
        }
    }

    fn has_failures(self) -> bool {
        matches!(self, Self::MovedInPart | Self::FailuresReported)
    }
}

/// One version as S3 keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    pub key: String,
    /// Empty without versioning.
    pub version_id: String,
    pub is_latest: bool,
    pub is_delete_marker: bool,
    pub bytes: u64,
    /// `SSE-S3`, `SSE-KMS`, `SSE-C`; empty for a delete marker.
    pub status: &'static str,
    pub kms_key: Option<String>,
}

/// One S3 Batch Operations job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchJob {
    pub id: String,
    pub bucket: String,
    pub is_copy: bool,
    pub key: String,
    pub created_ms: i64,
    pub ended_ms: i64,
    /// Of all tasks, or of failed ones; `None` without a report.
    pub reports_all: Option<bool>,
    pub tasks: Vec<BatchTask>,
}

impl BatchJob {
    /// Whether S3 lists and describes it: 90 days after its end it does no longer.
    pub fn is_shown_at(&self, now_ms: i64) -> bool {
        now_ms < self.ended_ms + JOBS_SHOWN_MS
    }
}

/// One task of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTask {
    pub key: String,
    pub version_id: String,
    /// S3's error code.
    pub error: Option<&'static str>,
}

/// What an audit should find of a bucket's job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReencryptionTruth {
    /// `completion_report` or `job_counts`.
    pub shown_by: &'static str,
    pub total: i64,
    /// `None` where only the job's counters are known.
    pub moved: Option<i64>,
    pub moved_bytes: Option<i64>,
    pub unknown: i64,
    pub failed: i64,
    pub left_behind: Option<i64>,
}

fn old_bytes(number: usize) -> u64 {
    1_000 + number as u64
}

fn is_held(number: usize) -> bool {
    number.is_multiple_of(FAILS_EVERY)
}

impl World {
    /// Midnights, oldest first, of which a report of a bucket lies there at `now_ms`. S3 takes an hour for it.
    pub fn report_days(&self, now_ms: i64) -> Vec<i64> {
        let first = self.options.start_ms - EARLIER_REPORTS * DAY_MS;
        let days = (0..).map(|day| first + day * DAY_MS);
        days.take_while(|at| at + 60 * MINUTE_MS <= now_ms)
            .collect()
    }

    /// The job of a log bucket, where one was created by `now_ms`.
    pub fn batch_job(&self, bucket: &Bucket, now_ms: i64) -> Option<BatchJob> {
        let history = bucket.settings.history;
        let start = self.options.start_ms;
        let created_ms = start - 2 * DAY_MS + 90 * MINUTE_MS;
        let ended_ms = match history {
            History::Nothing | History::Left => return None,
            // The audits of days 0 and 1 see it at work.
            History::Moving => start + DAY_MS + 600 * MINUTE_MS,
            _ => start - DAY_MS,
        };
        let key = bucket.default_encryption.as_ref()?.key.clone()?;
        let id = super::rng::Rng::stream(self.options.seed, &format!("job/{}", bucket.name)).uuid();
        let tasks = (0..OLD_FILES).map(|number| BatchTask {
            key: old_key(number),
            version_id: old_version(bucket, number),
            error: (history.has_failures() && is_held(number)).then_some("AccessDenied"),
        });
        (created_ms <= now_ms).then(|| BatchJob {
            id,
            bucket: bucket.name.clone(),
            is_copy: history == History::Copied,
            key,
            created_ms,
            ended_ms,
            reports_all: match history {
                History::MovedUnreported => None,
                History::FailuresReported => Some(false),
                _ => Some(true),
            },
            tasks: tasks.collect(),
        })
    }

    /// Jobs of an account in a Region at `now_ms`: those that S3 still shows.
    pub fn batch_jobs(&self, account: &str, region: &str, now_ms: i64) -> Vec<BatchJob> {
        let of = self.buckets_of(account).into_iter();
        of.filter(|bucket| bucket.region == region)
            .filter_map(|bucket| self.batch_job(bucket, now_ms))
            .filter(|job| job.is_shown_at(now_ms))
            .collect()
    }

    /// Everything that lies in a log bucket at `at_ms`, in the order of keys.
    pub fn stored_versions(&self, bucket: &Bucket, at_ms: i64) -> Vec<StoredVersion> {
        let mut versions = self.old_versions(bucket, at_ms);
        let written = self.written_to(&bucket.name, at_ms).into_iter();
        versions.extend(written.map(|object| of_cluster(bucket, object)));
        versions.sort_by(|a, b| (&a.key, !a.is_latest).cmp(&(&b.key, !b.is_latest)));
        versions
    }

    /// What lies in a bucket from before the story.
    pub fn old_versions(&self, bucket: &Bucket, at_ms: i64) -> Vec<StoredVersion> {
        let history = bucket.settings.history;
        if history == History::Nothing {
            return Vec::new();
        }
        let job = self
            .batch_job(bucket, at_ms)
            .filter(|job| job.ended_ms <= at_ms);
        let mut versions = Vec::new();
        for number in 0..OLD_FILES {
            let done = job.as_ref();
            let done = done.filter(|job| job.tasks[number].error.is_none());
            let moved = done.filter(|job| !job.is_copy);
            let copied = done.filter(|job| job.is_copy);
            let file = |version_id: String, is_latest, key: Option<&String>| StoredVersion {
                key: old_key(number),
                version_id,
                is_latest,
                is_delete_marker: false,
                bytes: old_bytes(number),
                status: if key.is_some() { "SSE-KMS" } else { "SSE-S3" },
                kms_key: key.cloned(),
            };
            let old = old_version(bucket, number);
            if let Some(job) = copied {
                versions.push(file(format!("copy{number:02}"), true, Some(&job.key)));
            }
            versions.push(file(old, copied.is_none(), moved.map(|job| &job.key)));
        }
        if bucket.versioning {
            versions.push(StoredVersion {
                key: format!("emr/{}/removed.gz", old_cluster(0)),
                version_id: "marker".to_owned(),
                is_latest: true,
                is_delete_marker: true,
                bytes: 0,
                status: "",
                kms_key: None,
            });
        }
        versions
    }

    /// What an audit at `now_ms` that may read reports should find of a bucket's job.
    pub fn reencryption_truth(&self, bucket: &Bucket, now_ms: i64) -> Option<ReencryptionTruth> {
        let job = self.batch_job(bucket, now_ms)?;
        let is_running = now_ms < job.ended_ms;
        let total = OLD_FILES as i64;
        let held = (OLD_FILES / FAILS_EVERY) as i64;
        let bytes_of = |is_it: fn(usize) -> bool| -> i64 {
            let numbers = (0..OLD_FILES).filter(|number| is_it(*number));
            numbers.map(|number| old_bytes(number) as i64).sum()
        };
        let counters = |unknown, failed| ReencryptionTruth {
            shown_by: "job_counts",
            total,
            moved: None,
            moved_bytes: None,
            unknown,
            failed,
            left_behind: None,
        };
        let reported = |moved, moved_bytes, left_behind| ReencryptionTruth {
            shown_by: "completion_report",
            total,
            moved: Some(moved),
            moved_bytes: Some(moved_bytes),
            unknown: 0,
            failed: total - moved,
            left_behind: Some(left_behind),
        };
        let all = bytes_of(|_| true);
        Some(match bucket.settings.history {
            History::Nothing | History::Left => return None,
            _ if is_running => counters(total / 2, 0),
            History::Moved | History::Moving => reported(total, all, 0),
            History::MovedInPart => reported(total - held, bytes_of(|n| !is_held(n)), 0),
            History::MovedUnreported => counters(total, 0),
            History::FailuresReported => counters(total - held, held),
            History::Copied => reported(total, all, all),
        })
    }

    /// What EL-16 should conclude of a cluster that logs to this bucket, in a run at `now_ms` that reads the
    /// bucket's inventory; with `knows_keys`, an export of its metadata table.
    pub fn history_truth(&self, bucket: &Bucket, now_ms: i64, knows_keys: bool) -> Finding {
        let day = self.report_days(now_ms).pop().unwrap_or(i64::MIN);
        let versions = self.stored_versions(bucket, day);
        let lies = |word| versions.iter().any(|v| v.status == word);
        let (outcome, reason) = if bucket.settings.inventories.is_empty() || versions.is_empty() {
            (Outcome::NotApplicable, "history_not_read")
        } else if lies("SSE-S3") || lies("SSE-C") {
            (Outcome::Fail, "history_outside_customer_key")
        } else if knows_keys {
            (Outcome::Pass, "history_under_customer_key")
        } else {
            // An inventory says KMS and never which key.
            (Outcome::Unknown, "history_key_unknown")
        };
        Finding { outcome, reason }
    }

    /// What a listing of a log bucket at `now_ms` should count: versions and bytes of current versions, then of
    /// older ones.
    pub fn listed_truth(&self, bucket: &Bucket, now_ms: i64) -> [(i64, i64); 2] {
        let versions = self.stored_versions(bucket, now_ms);
        [true, false].map(|is_latest| {
            let of = versions
                .iter()
                .filter(|v| v.is_latest == is_latest && !v.is_delete_marker);
            of.fold((0, 0), |(count, bytes), version| {
                (count + 1, bytes + version.bytes as i64)
            })
        })
    }
}

fn old_cluster(number: usize) -> String {
    format!("j-OLD{number:010}")
}

fn old_key(number: usize) -> String {
    format!("emr/{}/node/log {number}.gz", old_cluster(number / 3))
}

fn old_version(bucket: &Bucket, number: usize) -> String {
    if bucket.versioning {
        format!("old{number:02}")
    } else {
        String::new()
    }
}

fn of_cluster(bucket: &Bucket, object: LogObject) -> StoredVersion {
    StoredVersion {
        version_id: if bucket.versioning {
            "v1".to_owned()
        } else {
            String::new()
        },
        is_latest: true,
        is_delete_marker: false,
        bytes: object.body.len() as u64,
        status: match object.algorithm {
            "aws:kms" => "SSE-KMS",
            "AES256" => "SSE-S3",
            other => other,
        },
        kms_key: object.key,
        key: object.name,
    }
}
