//! Regions: which are on, and what is known of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::Regions;
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Source};
use crate::report::doctor_summary::{Line, State};
use crate::report::text::{counted, number};

use super::accounts::{Answer, Ways, ids, worst_first};

/// What the Regions of the accounts amount to.
pub fn lines(answers: &[Answer], ways: &Ways<'_>) -> Vec<Line> {
    let mut on: BTreeMap<&Region, i64> = BTreeMap::new();
    let mut counts: Vec<usize> = Vec::new();
    let mut silent: BTreeMap<(&str, bool), Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        match &answer.probed.regions {
            None => {}
            Some(Ok(regions)) => {
                counts.push(regions.len());
                for region in regions {
                    *on.entry(region).or_default() += 1;
                }
            }
            Some(Err(error)) => {
                let outcome = error.outcome();
                let global = Region::global();
                let accepted = ways.accepts(&answer.account, &global, &[Source::Regions], outcome);
                let kind = (outcome.as_str(), accepted);
                silent.entry(kind).or_default().push(answer);
            }
        }
    }
    let mut lines = match &ways.config.regions {
        Regions::Auto => listed_by_aws(&counts, silent),
        Regions::List(regions) => listed_by_hand(regions, &on, counts.len() as i64, silent),
    };
    lines.extend(unknown(&on, ways));
    worst_first(lines)
}

/// `regions = auto`: what AWS lists is looked at.
fn listed_by_aws(counts: &[usize], silent: BTreeMap<(&str, bool), Vec<&Answer>>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (Some(least), Some(most)) = (counts.iter().min(), counts.iter().max()) {
        let range = if least == most {
            counted(*least as i64, "Region is", "Regions are")
        } else {
            format!("{least} to {most} Regions are")
        };
        let n = counted(counts.len() as i64, "account", "accounts");
        lines.push(Line::pass(format!("{range} on in each of {n}")));
    }
    for ((outcome, accepted), refused) in silent {
        let n = counted(refused.len() as i64, "account", "accounts");
        let accounts = ids(refused);
        let denied = outcome.starts_with("denied");
        let line = if accepted {
            let what = format!("Regions of {n} are not known, which exceptions accept");
            Line::note(what)
        } else if denied {
            let what = format!(
                "account:ListRegions is refused ({outcome}), so that Regions to opt in to stay \
                 unseen, in {n}"
            );
            Line::fail(what, next(outcome))
        } else {
            let what = format!("no answer about Regions ({outcome}) in {n}");
            Line::new(State::Unknown, what).next("try again")
        };
        lines.push(line.about(accounts));
    }
    lines
}

fn next(outcome: &str) -> &'static str {
    if outcome == CellOutcome::DeniedScp.as_str() {
        "exempt the role in the organization's policy, or list `regions`"
    } else {
        "deploy scripts/deploy/reader-role.yaml there again, or allow account:ListRegions to the role"
    }
}

/// A configured list: each of them is looked at, on or not.
fn listed_by_hand(
    regions: &[Region],
    on: &BTreeMap<&Region, i64>,
    asked: i64,
    silent: BTreeMap<(&str, bool), Vec<&Answer>>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for region in regions.iter().collect::<BTreeSet<_>>() {
        let n = on.get(region).copied().unwrap_or(0);
        let of = counted(asked, "account", "accounts");
        let what = format!("{region} is on in {} of {of}", number(n));
        if asked > 0 {
            lines.push(if n == 0 {
                Line::fail(what, "mend `regions`, or turn the Region on")
            } else {
                Line::pass(what)
            });
        }
    }
    let silent: Vec<&Answer> = silent.into_values().flatten().collect();
    if !silent.is_empty() {
        let n = counted(silent.len() as i64, "account", "accounts");
        let what = format!(
            "whether they are on in {n}, which account:ListRegions would tell; a run with listed \
             Regions does without"
        );
        lines.push(Line::new(State::Untold, what).about(ids(silent)));
    }
    lines
}

/// Regions of which the data file does not say that EMR exists there: they are tried all the same.
fn unknown(on: &BTreeMap<&Region, i64>, ways: &Ways<'_>) -> Option<Line> {
    let emr: BTreeSet<&Region> = ways.emr.iter().map(|emr| &emr.region).collect();
    let mut looked_at: BTreeSet<&Region> = match &ways.config.regions {
        Regions::Auto => on.keys().copied().collect(),
        Regions::List(regions) => regions.iter().collect(),
    };
    looked_at.retain(|region| !emr.contains(region));
    if looked_at.is_empty() {
        return None;
    }
    let names: Vec<&str> = looked_at.into_iter().map(Region::as_str).collect();
    let what = format!(
        "tried, although this version does not know whether EMR exists there: {}",
        names.join(", ")
    );
    Some(Line::note(what))
}

#[cfg(test)]
mod tests {
    use super::super::accounts::tests::{answer, config, refused, with_ways};
    use super::*;
    use crate::collect::api::ErrorClass;
    use crate::collect::operation::Operation;
    use crate::report::doctor_summary::{Check, Outcome};

    fn judged(settings: &[(&'static str, &str)], answers: &[Answer]) -> (Outcome, String) {
        let lines = with_ways(&config(settings), |ways| lines(answers, ways));
        let said: Vec<String> = lines.iter().map(|line| line.what.clone()).collect();
        let check = Check {
            name: "regions",
            lines,
        };
        (check.outcome(), said.join("\n"))
    }

    fn on(n: u64, regions: &[&str]) -> Answer {
        let mut on = answer(n);
        let regions = regions.iter().map(|r| r.parse().expect("Region"));
        on.probed.regions = Some(Ok(regions.collect()));
        on
    }

    fn shut(n: u64) -> Answer {
        let mut shut = answer(n);
        let refused = refused(Operation::ListRegions, ErrorClass::DeniedIam);
        shut.probed.regions = Some(Err(refused));
        shut
    }

    #[test]
    fn what_aws_lists_passes_and_strange_regions_are_named() {
        let answers = [
            on(0, &["eu-west-1", "us-east-1"]),
            on(1, &["eu-west-1", "mars-north-1", "us-east-1"]),
        ];
        let (outcome, said) = judged(&[], &answers);
        assert_eq!(outcome, Outcome::Pass);
        assert!(
            said.contains("2 to 3 Regions are on in each of 2 accounts"),
            "{said}"
        );
        assert!(said.contains("EMR exists there: mars-north-1"), "{said}");
    }

    #[test]
    fn a_refused_list_fails_unless_regions_are_listed_by_hand() {
        let answers = [on(0, &["eu-west-1"]), shut(1)];
        let (outcome, said) = judged(&[], &answers);
        assert_eq!(outcome, Outcome::Fail);
        assert!(
            said.contains("account:ListRegions is refused (denied_iam)"),
            "{said}"
        );
        let (outcome, said) = judged(&[("regions", "eu-west-1")], &answers);
        assert_eq!(outcome, Outcome::Pass, "{said}");
        assert!(said.contains("whether they are on in 1 account"), "{said}");
    }

    #[test]
    fn a_listed_region_that_is_on_nowhere_fails() {
        let answers = [on(0, &["eu-west-1"]), on(1, &["us-east-1"])];
        let (outcome, said) = judged(&[("regions", "eu-west-1,eu-west-9")], &answers);
        assert_eq!(outcome, Outcome::Fail);
        assert!(
            said.contains("eu-west-9 is on in 0 of 2 accounts"),
            "{said}"
        );
        assert!(
            said.contains("eu-west-1 is on in 1 of 2 accounts"),
            "{said}"
        );
        assert!(said.contains("EMR exists there: eu-west-9"), "{said}");
        let (outcome, _) = judged(&[("regions", "eu-west-9")], &[shut(0)]);
        assert_eq!(outcome, Outcome::Pass, "nobody can tell");
    }
}
