//! What daily runs add to the files of a quarter.

use super::super::*;
use crate::model::datasets::Launch;
use crate::model::ids::{AccountId, Region};
use crate::model::text::Text;
use crate::model::words::{AttemptBucket, LaunchClass, RetainedCopies};
use crate::time::Date;

pub(super) const ALL: &str = "(all)";
pub(super) const ORG: &str = "organization";
/// Half of the organization: with tags, and without.
pub(in crate::rollup::tests) const ANN: &str = "111111111111";
pub(super) const NOBODY: &str = "222222222222";
pub(super) const REGION: &str = "eu-west-1";
/// Runs start at 02:00.
pub(super) const AT: i64 = 2;

/// A quarter and what is stated of it.
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) evidence: Evidence,
    pub(super) stated: Vec<Stated>,
}

/// Stated of a column that must be NULL.
pub(super) const NULL: i64 = i64::MIN;

/// Measure, kind of scope, scope, column, value.
pub(super) type Stated = (&'static str, &'static str, &'static str, &'static str, i64);

/// A cluster from creation to end, in hours after the quarter's start.
pub(super) struct Cluster {
    pub(super) account: &'static str,
    pub(super) id: String,
    pub(super) lineage: &'static str,
    pub(super) created: i64,
    pub(super) ended: Option<i64>,
    /// What the run of a day concludes.
    pub(super) judged: Box<dyn Fn(i64) -> Judgement>,
}

impl Cluster {
    pub(super) fn new(
        account: &'static str,
        id: impl Into<String>,
        lineage: &'static str,
        (created, ended): (i64, Option<i64>),
        judged: impl Fn(i64) -> Judgement + 'static,
    ) -> Self {
        Self {
            account,
            id: id.into(),
            lineage,
            created,
            ended,
            judged: Box::new(judged),
        }
    }
}

/// Hours after the start of a quarter.
pub(super) fn at(quarter: Quarter, hours: i64) -> UtcMillis {
    quarter.first().start().plus_ms(hours * HOUR_MS)
}

pub(super) fn account_id(id: &str) -> AccountId {
    id.parse().expect("account id")
}

pub(super) fn region() -> Region {
    REGION.parse().expect("region")
}

pub(super) fn owned(account: &str) -> Option<Text> {
    (account == ANN).then(|| "ann".into())
}

/// What a run of a day adds to the files.
pub(super) struct Daily<'d> {
    pub(super) clusters: &'d [Cluster],
    pub(super) accounts: &'d dyn Fn(i64) -> Vec<&'static str>,
    /// Hours from which to which the run of a day read launches; `None`: it could not.
    pub(super) window: &'d dyn Fn(i64) -> Option<(i64, i64)>,
}

/// Nothing was missed: a day of overlap, 90 days at first.
pub(super) fn every_launch(first: i64) -> impl Fn(i64) -> Option<(i64, i64)> {
    move |day| {
        let to = 24 * day + AT;
        let from = if day == first { to - 90 * 24 } else { to - 48 };
        Some((from, to))
    }
}

impl Daily<'_> {
    /// Adds the runs of `days`, each 24 hours after the other unless some are missing.
    pub(super) fn add(&self, evidence: &mut Evidence, days: impl Iterator<Item = i64>) {
        let quarter = evidence.inputs.quarter;
        let mut previous = None;
        for day in days {
            let start = 24 * day + AT;
            let since = previous.unwrap_or(start - 24);
            let date = at(quarter, start).date();
            let accounts = (self.accounts)(day);
            let shown = self.clusters.iter().filter(|c| {
                accounts.contains(&c.account)
                    && c.created <= start
                    && c.ended.is_none_or(|ended| ended > since)
            });
            let verdicts = shown.map(|c| {
                let ended = c.ended.filter(|&ended| ended <= start);
                Verdict {
                    account_id: account_id(c.account),
                    region: region(),
                    created_at: Some(at(quarter, c.created)),
                    created_ms: Some(at(quarter, c.created).0),
                    ended_at: ended.map(|h| at(quarter, h)),
                    ended_ms: ended.map(|h| at(quarter, h).0),
                    lineage: Some(c.lineage.into()),
                    ou_path: Some(format!("o-1/r-1/ou-{}/", c.account).into()),
                    owner: owned(c.account),
                    cost_center: owned(c.account).map(|_| "cc-1".into()),
                    business_unit: owned(c.account).map(|_| "retail".into()),
                    retained_copies: Some(if c.account == ANN {
                        RetainedCopies::Yes
                    } else {
                        RetainedCopies::Unknown
                    }),
                    ..testkit::verdict(&c.id, (c.judged)(day), ended.is_none())
                }
            });
            evidence.run(at(quarter, start), verdicts.collect());
            let window = (self.window)(day);
            let cells = accounts.iter().flat_map(|account| {
                let cell = |source| Coverage {
                    scheduled_for: date,
                    ..testkit::coverage(account_id(account), region(), source)
                };
                [
                    cell(Source::Clusters),
                    cell(Source::Keys),
                    Coverage {
                        observed_from_ms: window.map(|(from, _)| at(quarter, from).0),
                        observed_to_ms: window.map(|(_, to)| at(quarter, to).0),
                        outcome: if window.is_some() {
                            CellOutcome::Collected
                        } else {
                            CellOutcome::DeniedIam
                        },
                        ..cell(Source::Launches)
                    },
                ]
            });
            evidence.add(cells.collect::<Vec<_>>());
            let told = accounts.iter().map(|id| Account {
                scheduled_for: date,
                ou_path: Some(format!("o-1/r-1/ou-{id}/")),
                owner: owned(id).map(|text| text.to_string()),
                cost_center: owned(id).map(|_| "cc-1".to_owned()),
                business_unit: owned(id).map(|_| "retail".to_owned()),
                ..testkit::account(account_id(id))
            });
            evidence.add(told.collect::<Vec<_>>());
            previous = Some(start);
        }
    }
}

pub(super) fn both(_: i64) -> Vec<&'static str> {
    vec![ANN, NOBODY]
}

/// A launch event as one run tells it.
pub(in crate::rollup::tests) fn event(
    quarter: Quarter,
    (id, attempt): (&str, &str),
    (account, hour): (&str, i64),
    (class, bucket): (LaunchClass, AttemptBucket),
) -> Launch {
    Launch {
        attempt_id: attempt.to_owned(),
        class,
        bucket,
        owner: owned(account),
        ..testkit::launch(account_id(account), region(), id, at(quarter, hour))
    }
}

pub(super) fn of_day<D>(
    quarter: Quarter,
    day: i64,
    rows: Vec<D>,
    dated: impl Fn(D, Date) -> D,
) -> Vec<D> {
    let date = at(quarter, 24 * day + AT).date();
    rows.into_iter().map(|row| dated(row, date)).collect()
}

pub(super) fn launches_of_day(evidence: &mut Evidence, day: i64, rows: Vec<Launch>) {
    let quarter = evidence.inputs.quarter;
    evidence.add(of_day(quarter, day, rows, |row, scheduled_for| Launch {
        scheduled_for,
        ..row
    }));
}
