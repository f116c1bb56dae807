//! Where a launch sends logs beside `LogUri`: steps, sessions, CloudWatch, applications. Each story
//! states what an audit should find there.

use super::buckets::BucketKind;
use super::builder::Builder;
use super::clusters::{Cluster, Recipe};
use super::keys::Purpose;
use super::organization::{Account, LOG_GROUPS, SESSIONS, STEPS};
use super::scenario::{self, Delivery, Finding, Outcome, Posture, Scenario, Statement, Verdict};
use super::{DAY_MS, MINUTE_MS, Options};

/// The rules whose truth is stated here.
pub const RULES: [&str; 3] = ["EL-05", "EL-06", "EL-20"];

/// Steps that a cluster is given at its launch, one every ten minutes; a long-lived one gets another
/// every day.
const STEPS_AT_LAUNCH: usize = 4;
/// Enough for three pages of a list.
const MANY_STEPS: usize = 120;
/// One step in so many has the recipe's own place.
const OWN_EVERY: usize = 10;
const STEP_MS: i64 = 30 * MINUTE_MS;

/// What a launch, and what is done with the cluster, say of logs.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// How many steps the cluster is given at its launch, and whether more follow.
    pub steps: usize,
    pub more_steps: bool,
    /// Place and key of the first step and of every tenth.
    pub step_place: Option<Logs>,
    pub cloudwatch: Option<CloudWatch>,
    /// Classification, property, value.
    pub properties: Vec<(&'static str, &'static str, String)>,
    pub session: Option<Logs>,
    /// Log group of sessions, whose key is `session`'s.
    pub session_group: Option<String>,
}

/// A place in S3 and a key, each as it is set.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    pub uri: Option<String>,
    pub key: Option<String>,
}

/// CloudWatch logging of a cluster, to the group that EMR names after it.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    /// What EMR is told.
    pub requested_key: Option<String>,
    pub group: Group,
}

/// What has become of the log group that EMR was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// It is there, and this is its key.
    Keyed(Option<String>),
    /// It is not, though one whose name begins so is.
    Missing,
}

/// A CloudWatch log group of an account-region.
#[derive(Debug, Clone)]
pub struct LogGroup {
    pub name: String,
    pub kms_key: Option<String>,
    pub created_ms: i64,
}

/// One step of a cluster.
#[derive(Debug, Clone)]
pub struct Step<'r> {
    pub id: String,
    pub created_ms: i64,
    pub state: &'static str,
    pub own: Option<&'r Logs>,
}

impl Scenario {
    /// Whether application logs of this story are encrypted by this security configuration.
    pub(super) fn configuration(self) -> Option<Option<&'static str>> {
        match self {
            Self::ApplicationLogsEncrypted => Some(Some("emrfs-sse-kms")),
            Self::ApplicationLogsRenewed => Some(Some("emrfs-renewed")),
            Self::ApplicationLogsUnencrypted => Some(None),
            _ => None,
        }
    }

    /// Whether logs go to a place of the customer's beside `LogUri`.
    pub fn logs_beside(self) -> bool {
        matches!(
            self,
            Self::StepInheritsKey
                | Self::StepWithOtherKey
                | Self::CloudWatchWithKey
                | Self::ApplicationLogsEncrypted
                | Self::SessionsWithKey
                | Self::StepWithoutKey
                | Self::StepWithAwsKey
                | Self::CloudWatchWithoutKey
                | Self::CloudWatchGroupMissing
                | Self::ApplicationLogsUnencrypted
                | Self::ApplicationLogsRenewed
        )
    }

    /// What EL-05, EL-06 and EL-20 should conclude, where everything can be read.
    pub fn beside(self) -> [Finding; 3] {
        use Outcome::{Fail, NotApplicable, Pass, Unknown};
        let mut said = [
            (NotApplicable, "no_step_overrides"),
            (NotApplicable, "cloudwatch_off"),
            (NotApplicable, "no_application_destination"),
        ];
        match self {
            Self::StepInheritsKey | Self::StepWithOtherKey => said[0] = (Pass, "steps_follow"),
            Self::StepWithoutKey => said[0] = (Fail, "no_key"),
            Self::StepWithAwsKey => said[0] = (Fail, "aws_managed_key"),
            Self::CloudWatchWithKey => said[1] = (Pass, "log_group_customer_key"),
            // What EMR was told does not matter.
            Self::CloudWatchWithoutKey => said[1] = (Fail, "log_group_without_key"),
            // Under which key the next group of this name will be, nobody knows.
            Self::CloudWatchGroupMissing => said[1] = (Unknown, "log_group_not_found"),
            Self::SessionsWithKey => {
                said[0] = (Pass, "steps_follow");
                said[1] = (Pass, "log_group_customer_key");
            }
            Self::ApplicationLogsEncrypted | Self::ApplicationLogsRenewed => {
                said[2] = (Pass, "application_logs_follow");
            }
            Self::ApplicationLogsUnencrypted => said[2] = (Fail, "no_emrfs_encryption"),
            _ => {}
        }
        said.map(|(outcome, reason)| Finding { outcome, reason })
    }

    /// What the rules about keys should say of a second key, beside that of `LogUri`.
    pub fn second_key(self) -> Vec<(&'static str, Finding)> {
        let finding = |outcome, reason| Finding { outcome, reason };
        match self {
            // Nobody looks after it.
            Self::StepWithOtherKey => vec![
                ("EL-02", finding(Outcome::Pass, "customer_key")),
                ("EL-03", finding(Outcome::Pass, "key_usable")),
                ("EL-12", finding(Outcome::Fail, "rotation_off")),
                ("EL-13", finding(Outcome::Fail, "tags_missing")),
            ],
            _ => vec![],
        }
    }

    /// The story's statement and its second key, as far as an audit hears of them in this account: what
    /// only steps, sessions or log groups tell is not told where they cannot be read.
    pub(super) fn heard(
        self,
        key_is_out: bool,
        account: &Account,
    ) -> (Statement, Vec<(&'static str, Finding)>) {
        let not_read = "uploads_disabled_steps_not_read";
        let first = match self {
            Self::StepWithoutKey | Self::StepWithAwsKey if account.lacks(STEPS) => scenario::NO_URI,
            Self::SessionsWithKey if account.lacks(SESSIONS) => scenario::NO_URI,
            Self::UploadsDisabled | Self::UploadsDisabledNoSteps if account.lacks(STEPS) => {
                scenario::COMPLIANT
                    .with("EL-01", Outcome::Unknown, not_read)
                    .with("EL-17", Outcome::Unknown, not_read)
                    .concludes(Verdict::Unknown, Delivery::Working, Posture::Unknown)
            }
            Self::CloudWatchWithoutKey if account.lacks(LOG_GROUPS) => scenario::COMPLIANT,
            _ => self.statement(key_is_out),
        };
        let second = if account.lacks(STEPS) {
            vec![]
        } else {
            self.second_key()
        };
        (first, second)
    }

    /// What EL-05 and EL-06 should conclude in this account, from what they should where everything
    /// can be read.
    pub(super) fn heard_beside(self, said: [Finding; 2], account: &Account) -> [Finding; 2] {
        let unknown = |reason| Finding {
            outcome: Outcome::Unknown,
            reason,
        };
        let [mut steps, mut groups] = said;
        let has_sessions = self == Self::SessionsWithKey;
        if has_sessions && account.lacks(SESSIONS) {
            (steps, groups) = (unknown("sessions_not_read"), unknown("sessions_not_read"));
        } else if groups.outcome != Outcome::NotApplicable && account.lacks(LOG_GROUPS) {
            groups = unknown("log_group_not_read");
        }
        if account.lacks(STEPS) {
            steps = unknown("steps_not_read");
        }
        [steps, groups]
    }
}

/// What a story sets; makes the keys and buckets that it needs.
pub(super) fn of(
    builder: &mut Builder<'_>,
    account: &str,
    region: &'static str,
    scenario: Scenario,
    is_job: bool,
) -> Beside {
    let bucket = match scenario {
        Scenario::ApplicationLogsUnencrypted => BucketKind::ConsoleLogs,
        _ => BucketKind::TeamLogs,
    };
    let mut place = |folder: &str| {
        let bucket = builder.bucket(account, region, bucket);
        format!("s3://{bucket}/{folder}/")
    };
    let mut beside = Beside {
        steps: STEPS_AT_LAUNCH,
        more_steps: !is_job,
        ..Beside::default()
    };
    match scenario {
        Scenario::UploadsDisabledNoSteps => (beside.steps, beside.more_steps) = (0, false),
        Scenario::StepInheritsKey => {
            beside.steps = MANY_STEPS;
            let uri = Some(place("steps"));
            beside.step_place = Some(Logs { uri, key: None });
        }
        Scenario::StepWithoutKey => {
            let uri = Some(place("steps"));
            beside.step_place = Some(Logs { uri, key: None });
        }
        Scenario::StepWithAwsKey => {
            beside.step_place = Some(Logs {
                uri: Some(place("steps")),
                key: Some("alias/aws/s3".to_owned()),
            });
        }
        Scenario::StepWithOtherKey => {
            let key = Some(builder.key(account, region, Purpose::AliasedLogs).arn());
            beside.step_place = Some(Logs { uri: None, key });
        }
        Scenario::CloudWatchWithKey
        | Scenario::CloudWatchWithoutKey
        | Scenario::CloudWatchGroupMissing => {
            let key = builder.key(account, region, Purpose::Logs).arn();
            beside.cloudwatch = Some(CloudWatch {
                requested_key: Some(key.clone()),
                group: match scenario {
                    Scenario::CloudWatchWithKey => Group::Keyed(Some(key)),
                    Scenario::CloudWatchWithoutKey => Group::Keyed(None),
                    _ => Group::Missing,
                },
            });
        }
        Scenario::ApplicationLogsEncrypted
        | Scenario::ApplicationLogsUnencrypted
        | Scenario::ApplicationLogsRenewed => {
            beside.properties = vec![
                (
                    "yarn-site",
                    "yarn.nodemanager.remote-app-log-dir",
                    place("yarn"),
                ),
                (
                    "yarn-site",
                    "yarn.log-aggregation-enable",
                    "true".to_owned(),
                ),
                (
                    "spark-defaults",
                    "spark.eventLog.enabled",
                    "true".to_owned(),
                ),
                ("spark-defaults", "spark.eventLog.dir", place("spark")),
                (
                    "spark-defaults",
                    "spark.history.fs.logDirectory",
                    place("spark"),
                ),
            ];
        }
        Scenario::SessionsWithKey => {
            let uri = Some(place("sessions"));
            let key = Some(builder.key(account, region, Purpose::Logs).arn());
            beside.session = Some(Logs { uri, key });
            beside.session_group = Some("emr-sessions".to_owned());
        }
        _ => {}
    }
    beside
}

/// The steps of a cluster that there are at this instant, newest first.
pub fn steps<'r>(
    options: &Options,
    recipe: &'r Recipe,
    cluster: &Cluster,
    now_ms: i64,
) -> Vec<Step<'r>> {
    let beside = &recipe.beside;
    let mut created: Vec<i64> = (0..beside.steps)
        .map(|n| {
            // Those of a job come with the launch.
            let apart = if recipe.is_job { 1 } else { 10 * MINUTE_MS };
            cluster.created_ms + n as i64 * apart
        })
        .collect();
    if beside.more_steps {
        let daily = (0..i64::from(options.days)).map(|day| options.at(day, 110));
        created.extend(daily.filter(|at| *at > cluster.created_ms + DAY_MS));
    }
    let until = cluster.ended_at(now_ms).unwrap_or(now_ms);
    let mut steps: Vec<Step<'r>> = created
        .into_iter()
        .filter(|at| *at <= until)
        .enumerate()
        .map(|(n, created_ms)| Step {
            id: format!("s-{}{n:05}", &cluster.id[2..]),
            created_ms,
            state: if created_ms + STEP_MS <= now_ms || cluster.ended_at(now_ms).is_some() {
                ["COMPLETED", "COMPLETED", "FAILED", "CANCELLED"][n % 4]
            } else if cluster.ready_ms <= now_ms {
                "RUNNING"
            } else {
                "PENDING"
            },
            own: beside.step_place.as_ref().filter(|_| n % OWN_EVERY == 0),
        })
        .collect();
    steps.reverse();
    steps
}

/// The log groups that clusters of an account-region write to, and some of similar names.
pub(super) fn groups(recipes: &[Recipe], clusters: &[Cluster]) -> Vec<LogGroup> {
    let mut groups: Vec<LogGroup> = Vec::new();
    for cluster in clusters {
        let beside = &recipes[cluster.recipe].beside;
        let mut add = |name: String, kms_key: Option<String>| {
            if groups.iter().all(|known| known.name != name) {
                groups.push(LogGroup {
                    name,
                    kms_key,
                    created_ms: cluster.created_ms,
                });
            }
        };
        if let Some(cloudwatch) = &beside.cloudwatch {
            let name = format!("/aws/emr/{}", cluster.id);
            add(format!("{name}/driver"), None);
            if let Group::Keyed(key) = &cloudwatch.group {
                add(name, key.clone());
            }
        }
        if let Some(name) = &beside.session_group {
            let key = beside.session.as_ref().and_then(|logs| logs.key.clone());
            add(name.clone(), key);
            add(format!("{name}-older"), None);
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups
}
