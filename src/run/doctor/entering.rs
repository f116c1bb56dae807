//! Roles: which accounts can be entered, and what to do about the others. Pure.

use std::collections::BTreeMap;

use crate::collect::Regions;
use crate::config::ScopeMode;
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Source};
use crate::report::doctor_summary::{Line, State};
use crate::report::text::{counted, number};

use super::accounts::{Answer, Ways, ids, worst_first};

/// What a stack of the management account is made with.
const STACK: &str = "aws cloudformation deploy --stack-name keyproof-reader --template-file \
    scripts/deploy/reader-role.yaml --capabilities CAPABILITY_NAMED_IAM --parameter-overrides";

/// How entering ended, as far as it makes a difference to what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The outcome, and whether it is the management account.
    Refused(&'static str, bool),
    Silent(&'static str),
    Accepted,
}

/// What entering the accounts amounts to.
pub fn lines(answers: &[Answer], ways: &Ways<'_>) -> Vec<Line> {
    if ways.config.scope == ScopeMode::SingleAccount {
        let what = "the caller's own credentials are used, and no role is assumed";
        return vec![Line::pass(what)];
    }
    let mut kinds: BTreeMap<Kind, Vec<&Answer>> = BTreeMap::new();
    for answer in answers {
        if let Err(error) = &answer.probed.entered {
            let kind = kind(answer, error.outcome(), ways);
            kinds.entry(kind).or_default().push(answer);
        }
    }
    let role = &ways.config.role_name;
    let entered = answers.iter().filter(|a| a.probed.entered.is_ok()).count();
    let mut lines = Vec::new();
    if entered > 0 {
        lines.push(Line::pass(format!(
            "{role} was assumed in {} of {}",
            number(entered as i64),
            counted(answers.len() as i64, "account", "accounts"),
        )));
    }
    for (kind, refused) in &kinds {
        lines.push(line(*kind, refused, ways, entered == 0));
    }
    lines.extend(opt_in(answers));
    worst_first(lines)
}

fn kind(answer: &Answer, outcome: CellOutcome, ways: &Ways<'_>) -> Kind {
    if is_accepted(answer, outcome, ways) {
        return Kind::Accepted;
    }
    match outcome {
        CellOutcome::TimedOut | CellOutcome::ThrottledOut | CellOutcome::NotAttempted => {
            Kind::Silent(outcome.as_str())
        }
        _ => Kind::Refused(outcome.as_str(), answer.account.management),
    }
}

/// Whether every cell that a run would write of such an account is an accepted gap.
fn is_accepted(answer: &Answer, outcome: CellOutcome, ways: &Ways<'_>) -> bool {
    let mut sources = vec![Source::BucketOwners];
    if ways.config.launch_days > 0 {
        sources.push(Source::Trails);
    }
    let mut regions: &[Region] = &[];
    match &ways.config.regions {
        Regions::Auto => sources.push(Source::Regions),
        Regions::List(listed) => regions = listed,
    }
    let account = &answer.account;
    let accepts =
        |region: &Region, sources: &[Source]| ways.accepts(account, region, sources, outcome);
    accepts(&Region::global(), &sources)
        && regions
            .iter()
            .all(|region| accepts(region, &[Source::Clusters]))
}

fn line(kind: Kind, refused: &[&Answer], ways: &Ways<'_>, none_entered: bool) -> Line {
    let role = &ways.config.role_name;
    let n = counted(refused.len() as i64, "account", "accounts");
    let accounts = ids(refused.iter().copied());
    match kind {
        Kind::Accepted => {
            let what = format!("{role} cannot be assumed in {n}, which exceptions accept");
            Line::note(what).about(accounts)
        }
        Kind::Silent(outcome) => {
            let what = format!("no answer about {role} ({outcome}) in {n}");
            let next = "try again; a run calls them not attempted, and is PARTIAL";
            Line::new(State::Unknown, what).next(next).about(accounts)
        }
        Kind::Refused(outcome, management) => {
            let where_ = if management {
                "the management account".to_owned()
            } else {
                n
            };
            let what = format!("{role} cannot be assumed ({outcome}) in {where_}");
            let next = next(outcome, management, ways, none_entered);
            Line::fail(what, next).about(accounts)
        }
    }
}

/// STS answers alike whether a role is missing, trusts somebody else or wants another external id.
fn next(outcome: &str, management: bool, ways: &Ways<'_>, none_entered: bool) -> String {
    let trusted = ways.trusted();
    if outcome == CellOutcome::DeniedScp.as_str() {
        return "exempt the role in the organization's policy, or declare an exception of kind gap"
            .to_owned();
    }
    if outcome != CellOutcome::DeniedTrust.as_str() {
        return format!("aws sts assume-role as {trusted} shows what AWS says");
    }
    if management {
        let organization = ways.scope.organization_id.as_deref().unwrap_or("o-…");
        return format!(
            "StackSets skip it, so make a stack there: {STACK} CollectorRoleArn={trusted} \
             OrganizationId={organization}"
        );
    }
    let external = if ways.config.external_id.is_some() {
        "ask for the configured external id or for none"
    } else {
        "ask for no external id (none is configured)"
    };
    let role = &ways.config.role_name;
    let own = if none_entered {
        format!("; {trusted} needs sts:AssumeRole on it, too")
    } else {
        String::new()
    };
    format!(
        "deploy scripts/deploy/reader-role.yaml there (its header has the commands): {role} must \
         exist, trust {trusted} and {external}{own}; or declare an exception of kind gap"
    )
}

/// Roles that are wanted in some accounts only; nobody knows yet in which.
fn opt_in(answers: &[Answer]) -> Vec<Line> {
    let mut roles: BTreeMap<&str, (i64, Vec<&Answer>)> = BTreeMap::new();
    for answer in answers {
        for (role, entered) in &answer.probed.others {
            let (yes, no) = roles.entry(role).or_default();
            match entered {
                Ok(()) => *yes += 1,
                Err(_) => no.push(answer),
            }
        }
    }
    let line = |(role, (yes, no)): (&str, (i64, Vec<&Answer>))| {
        let all = counted(yes + no.len() as i64, "account", "accounts");
        let what = format!("{role} was assumed in {} of {all}", number(yes));
        if no.is_empty() {
            return Line::pass(what);
        }
        let next = "deploy its template of scripts/deploy/ in the accounts that it is meant for";
        if yes == 0 {
            return Line::fail(what, next);
        }
        let what = format!("{what}; log buckets and reports of the others stay unseen");
        Line::note(what).about(ids(no))
    };
    roles.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::accounts::tests::{answer, config, refused, with_ways};
    use super::*;
    use crate::collect::api::ErrorClass;
    use crate::collect::attempt::CallError;
    use crate::collect::exceptions::ExceptionRule;
    use crate::collect::operation::Operation;
    use crate::config::Config;
    use crate::model::words::ExceptionKind;
    use crate::report::doctor_summary::{Check, Outcome};

    fn judged(config: &Config, answers: &[Answer]) -> (Outcome, Vec<Line>) {
        let lines = with_ways(config, |ways| lines(answers, ways));
        let check = Check {
            name: "roles",
            lines: lines.clone(),
        };
        (check.outcome(), lines)
    }

    fn shut(n: u64, class: ErrorClass) -> Answer {
        let mut shut = answer(n);
        shut.probed.entered = Err(refused(Operation::AssumeRole, class));
        shut
    }

    #[test]
    fn accounts_that_let_us_in_pass() {
        let (outcome, lines) = judged(&config(&[]), &[answer(0), answer(1)]);
        assert_eq!(outcome, Outcome::Pass);
        assert_eq!(
            lines,
            [Line::pass("keyproof-reader was assumed in 2 of 2 accounts")]
        );
        let single = config(&[("single_account", "true")]);
        assert_eq!(judged(&single, &[answer(0)]).0, Outcome::Pass);
    }

    #[test]
    fn one_line_for_each_kind_of_refusal_with_all_its_accounts() {
        let mut answers = vec![shut(0, ErrorClass::DeniedTrust)];
        answers.extend((1..=40).map(|n| shut(n, ErrorClass::DeniedTrust)));
        answers.push(shut(41, ErrorClass::DeniedScp));
        answers.push(answer(42));
        let (outcome, lines) = judged(&config(&[]), &answers);
        assert_eq!(outcome, Outcome::Fail);
        let failed: Vec<&Line> = lines.iter().filter(|l| l.state == State::Fail).collect();
        let [scp, members, management] = failed.as_slice() else {
            panic!("{lines:#?}");
        };
        assert!(scp.what.contains("denied_scp) in 1 account"), "{scp:?}");
        assert_eq!(members.accounts.len(), 40);
        let next = members.next.as_deref().unwrap_or_default();
        for part in [
            "reader-role.yaml",
            "arn:aws:iam::111122223333:role/keyproof-collector",
            "none is configured",
        ] {
            assert!(next.contains(part), "{next}");
        }
        assert!(!next.contains("needs sts:AssumeRole"), "{next}");
        let next = management.next.as_deref().unwrap_or_default();
        assert!(
            next.contains("StackSets skip it") && next.contains("o-exampleorg1"),
            "{next}"
        );
    }

    #[test]
    fn where_nobody_lets_us_in_the_callers_own_permission_is_named() {
        let (_, lines) = judged(&config(&[]), &[shut(1, ErrorClass::DeniedTrust)]);
        let next = lines[0].next.as_deref().unwrap_or_default();
        assert!(next.contains("needs sts:AssumeRole"), "{next}");
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn no_answer_is_not_a_refusal() {
        let mut silent = answer(1);
        silent.probed.entered = Err(CallError::OutOfTime {
            operation: Operation::AssumeRole,
            account: "111122223334".to_owned(),
            region: "eu-west-1".to_owned(),
            last: None,
        });
        let (outcome, lines) = judged(&config(&[]), &[answer(0), silent]);
        assert_eq!(outcome, Outcome::Unknown);
        assert!(lines[0].what.contains("timed_out"), "{lines:?}");
    }

    #[test]
    fn an_accepted_gap_is_told_and_decides_nothing() {
        let mut config = config(&[]);
        let mut gap = ExceptionRule {
            id: "gap".to_owned(),
            kind: ExceptionKind::Gap,
            accounts: vec![answer(1).account.account_id],
            ous: vec![],
            regions: vec![],
            sources: vec![],
            outcomes: vec![],
            rules: vec![],
            resources: vec![],
            reason: "test".to_owned(),
            approver: "test".to_owned(),
            expires: "2099-12-31".parse().expect("date"),
        };
        config.exceptions = vec![gap.clone()];
        let answers = [answer(0), shut(1, ErrorClass::DeniedTrust)];
        let (outcome, lines) = judged(&config, &answers);
        assert_eq!(outcome, Outcome::Pass, "{lines:?}");
        assert!(
            lines.iter().any(|l| l.what.contains("exceptions accept")),
            "{lines:?}"
        );
        // One that accepts less leaves the run PARTIAL.
        gap.sources = vec![Source::Regions];
        config.exceptions = vec![gap];
        assert_eq!(judged(&config, &answers).0, Outcome::Fail);
    }

    #[test]
    fn an_opt_in_role_has_to_be_somewhere() {
        let with = |ends: [bool; 2]| -> Vec<Answer> {
            let of = |(n, ok): (u64, bool)| {
                let mut answer = answer(n);
                let no = Err(refused(Operation::AssumeRole, ErrorClass::DeniedTrust));
                let ended = if ok { Ok(()) } else { no };
                answer.probed.others = vec![("keyproof-sampler".to_owned(), ended)];
                answer
            };
            (0..).zip(ends).map(of).collect()
        };
        let outcome = |ends| judged(&config(&[]), &with(ends)).0;
        assert_eq!(outcome([true, true]), Outcome::Pass);
        assert_eq!(outcome([true, false]), Outcome::Pass);
        assert_eq!(outcome([false, false]), Outcome::Fail);
    }
}
