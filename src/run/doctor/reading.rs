//! Reading: which questions the role may not ask. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::api::ErrorClass;
use crate::collect::attempt::CallError;
use crate::collect::operation::Operation;
use crate::collect::probe::source_of;
use crate::config::ScopeMode;
use crate::model::ids::Region;
use crate::model::words::Source;
use crate::report::doctor_summary::{Line, State};
use crate::report::text::counted;

use super::accounts::{Answer, Ways, ids, worst_first};

/// Why a question had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The role's policy.
    Iam,
    /// The organization's.
    Scp,
    /// The asked thing's own: it says nothing of the role.
    Resource,
    /// An outcome that is none of these.
    Other(&'static str),
    Accepted,
}

/// What is asked about, the list that names it, and the question that is asked of it first.
const THINGS: [(&str, Operation, Operation); 5] = [
    (
        "cluster",
        Operation::ListClusters,
        Operation::DescribeCluster,
    ),
    (
        "security configuration",
        Operation::ListSecurityConfigurations,
        Operation::DescribeSecurityConfiguration,
    ),
    ("key", Operation::ListKeys, Operation::DescribeKey),
    (
        "bucket",
        Operation::ListBuckets,
        Operation::GetBucketLocation,
    ),
    (
        "trail",
        Operation::DescribeTrails,
        Operation::GetTrailStatus,
    ),
];

/// What the questions to the accounts amount to.
pub fn lines(answers: &[Answer], ways: &Ways<'_>) -> Vec<Line> {
    let entered: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.probed.entered.is_ok())
        .collect();
    let mut groups: BTreeMap<(Why, BTreeSet<&'static str>), Vec<&Answer>> = BTreeMap::new();
    for answer in &entered {
        let mut lacks: BTreeMap<Why, BTreeSet<&'static str>> = BTreeMap::new();
        for (operation, ended) in &answer.probed.asked {
            if let (Err(error), Some(action)) = (ended, operation.iam_action()) {
                let why = why(answer, *operation, error, ways);
                lacks.entry(why).or_default().insert(action);
            }
        }
        for group in lacks {
            groups.entry(group).or_default().push(answer);
        }
    }
    let sound = entered
        .iter()
        .filter(|answer| answer.probed.asked.is_empty());
    let mut lines = vec![Line::pass(format!(
        "one question of each kind is allowed in {} of {}",
        sound.count(),
        counted(entered.len() as i64, "account", "accounts"),
    ))];
    for ((why, actions), answers) in groups {
        lines.push(line(why, &actions, &answers, ways));
    }
    lines.extend(untried(&entered));
    worst_first(lines)
}

fn why(answer: &Answer, operation: Operation, error: &CallError, ways: &Ways<'_>) -> Why {
    let source = source_of(operation);
    let region = match source {
        Some(Source::Regions | Source::BucketOwners | Source::Trails | Source::Identities) => None,
        _ => answer.probed.asked_in.clone(),
    };
    let region = region.unwrap_or_else(Region::global);
    let outcome = error.outcome();
    if source.is_some_and(|source| ways.accepts(&answer.account, &region, &[source], outcome)) {
        return Why::Accepted;
    }
    match error.class() {
        Some(ErrorClass::DeniedScp) => Why::Scp,
        Some(ErrorClass::DeniedByResource) => Why::Resource,
        Some(ErrorClass::DeniedIam | ErrorClass::DeniedTrust) => Why::Iam,
        _ => Why::Other(outcome.as_str()),
    }
}

fn line(why: Why, actions: &BTreeSet<&str>, answers: &[&Answer], ways: &Ways<'_>) -> Line {
    let n = counted(answers.len() as i64, "account", "accounts");
    let accounts = ids(answers.iter().copied());
    let all = actions.iter().copied().collect::<Vec<_>>().join(", ");
    let line = match why {
        Why::Iam => {
            let next = if ways.config.scope == ScopeMode::SingleAccount {
                format!("allow it to {}", ways.trusted())
            } else {
                "deploy scripts/deploy/reader-role.yaml there again, or allow it to the role; or \
                 declare an exception of kind gap"
                    .to_owned()
            };
            Line::fail(format!("not allowed: {all}; in {n}"), next)
        }
        Why::Scp => {
            let regions: BTreeSet<&str> = answers
                .iter()
                .filter_map(|answer| answer.probed.asked_in.as_ref().map(Region::as_str))
                .collect();
            let regions = regions.into_iter().collect::<Vec<_>>().join(", ");
            let what =
                format!("a policy of the organization forbids {all} (asked in {regions}), in {n}");
            let next = "exempt the role in that policy, or declare an exception of kind gap";
            Line::fail(what, next)
        }
        Why::Resource => {
            let what = format!("{all}: the asked thing's own policy forbids it, in {n}");
            Line::new(State::Untold, what)
        }
        Why::Other(outcome) => {
            let what = format!("no answer to {all} ({outcome}), in {n}");
            Line::new(State::Unknown, what)
                .next("try again; aws cloudtrail and the quotas may tell why")
        }
        Why::Accepted => Line::note(format!("exceptions accept the gap of {all}, in {n}")),
    };
    line.about(accounts)
}

/// What could not be tried where an account has nothing of a kind.
fn untried(entered: &[&Answer]) -> Option<Line> {
    let without = |list: Operation, first: Operation| {
        let lacks = |answer: &&&Answer| {
            let probed = &answer.probed;
            // A list that was refused shows nothing, and has its own line.
            probed.not_asked.contains(&first) && !probed.asked.iter().any(|(o, _)| *o == list)
        };
        entered.iter().filter(lacks).count() as i64
    };
    let said: Vec<String> = THINGS
        .into_iter()
        .map(|(thing, list, first)| (thing, without(list, first)))
        .filter(|(_, n)| *n > 0)
        .map(|(thing, n)| format!("no {thing} in {}", counted(n, "account", "accounts")))
        .collect();
    if said.is_empty() {
        return None;
    }
    let what = format!(
        "{}: what a run asks of one was not tried there",
        said.join(", ")
    );
    Some(Line::note(what))
}

#[cfg(test)]
mod tests {
    use super::super::accounts::tests::{answer, config, refused, with_ways};
    use super::*;
    use crate::report::doctor_summary::{Check, Outcome};

    fn judged(answers: &[Answer]) -> (Outcome, Vec<Line>) {
        let lines = with_ways(&config(&[]), |ways| lines(answers, ways));
        let check = Check {
            name: "reading",
            lines: lines.clone(),
        };
        (check.outcome(), lines)
    }

    fn lacking(n: u64, operations: &[Operation], class: ErrorClass) -> Answer {
        let mut lacking = answer(n);
        let asked = operations.iter().map(|o| (*o, Err(refused(*o, class))));
        lacking.probed.asked = asked.collect();
        lacking
    }

    #[test]
    fn everything_allowed_passes() {
        let (outcome, lines) = judged(&[answer(0), answer(1)]);
        assert_eq!(outcome, Outcome::Pass);
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn what_is_missing_is_named_once_for_all_accounts_that_lack_it() {
        let steps = [Operation::ListSteps, Operation::ListSessions];
        let answers = [
            answer(0),
            lacking(1, &steps, ErrorClass::DeniedIam),
            lacking(2, &[Operation::ListBuckets], ErrorClass::DeniedIam),
            lacking(3, &steps, ErrorClass::DeniedIam),
        ];
        let (outcome, lines) = judged(&answers);
        assert_eq!(outcome, Outcome::Fail);
        let failed: Vec<&Line> = lines.iter().filter(|l| l.state == State::Fail).collect();
        assert_eq!(failed.len(), 2, "{lines:#?}");
        let both =
            "not allowed: elasticmapreduce:ListSessions, elasticmapreduce:ListSteps; in 2 accounts";
        assert_eq!(failed[0].what, both);
        assert_eq!(failed[0].accounts, ["111122223334", "111122223336"]);
        // S3 names its permissions otherwise than its operations.
        assert!(failed[1].what.contains("s3:ListAllMyBuckets"), "{failed:?}");
        assert!(
            lines
                .iter()
                .any(|l| l.what.contains("is allowed in 1 of 4")),
            "{lines:#?}"
        );
    }

    #[test]
    fn what_says_nothing_of_the_role_does_not_fail_it() {
        for (class, outcome) in [
            (ErrorClass::DeniedByResource, Outcome::Pass),
            (ErrorClass::DeniedScp, Outcome::Fail),
            (ErrorClass::TokenRefused, Outcome::Unknown),
        ] {
            let one = lacking(1, &[Operation::GetKeyPolicy], class);
            assert_eq!(judged(&[one]).0, outcome, "{class:?}");
        }
    }

    #[test]
    fn an_account_without_clusters_is_told_and_a_refused_list_is_told_once() {
        let mut empty = answer(0);
        empty.probed.not_asked = vec![Operation::DescribeCluster, Operation::ListSteps];
        let mut shut = lacking(1, &[Operation::ListClusters], ErrorClass::DeniedIam);
        shut.probed.not_asked = vec![Operation::DescribeCluster, Operation::ListSteps];
        let (_, lines) = judged(&[empty, shut]);
        let said = lines.iter().find(|l| l.state == State::Note).expect("told");
        assert!(
            said.what.starts_with("no cluster in 1 account:"),
            "{said:?}"
        );
    }
}
