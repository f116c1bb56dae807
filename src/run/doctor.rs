//! `keyproof doctor`: every precondition of a run, in the order in which a run meets them.
//!
//! It asks what a run asks, with a run's own session, token buckets and retry loop, and writes nothing:
//! what only a PUT could show is told from what this role wrote before, or not at all.
//!
//! - [`accounts`]: every account is entered and tried; [`entering`], [`regions`], [`reading`]: what that
//!   amounts to.
//! - [`evidence`]: the archive and how it is protected; [`signer`]: the key; [`schedule`]: past runs.
//! - [`local`]: this machine: clock, descriptors, folders.
//!
//! A check that waits for another one says which.

mod accounts;
mod entering;
mod evidence;
mod local;
mod reading;
mod regions;
mod schedule;
mod signer;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use crate::collect;
use crate::collect::api::{CallerIdentity, Cloud};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::exceptions::expired;
use crate::collect::operation::Operation;
use crate::collect::scope::{Scope, TagNames, left_out};
use crate::config::{Config, ScopeMode};
use crate::discover::{self, DiscoverError, ScopeRequest};
use crate::error::Exit;
use crate::model::ids::RunId;
use crate::report::doctor_summary::{Check, DoctorSummary, Line, Outcome, State};
use crate::report::text::counted;
use crate::time::Date;

use super::archive::{AtUrl, key_at};
use super::beginning::{check_regions, find_caller, is_full_scope, scope_request};
use super::running::Asking;
use super::{RunError, RunOptions, Shell, progress, random};

/// Time to list the organization: 10,000 accounts take two minutes at half of AWS's rate.
const LISTING: Duration = Duration::from_secs(600);
/// Time for one question about tags.
const TAGS_MS: i64 = 20_000;

/// Every check, in order.
const CHECKS: [&str; 12] = [
    CONFIGURATION,
    CREDENTIALS,
    ORGANIZATION,
    ROLES,
    REGIONS,
    READING,
    ARCHIVE,
    SIGNER,
    CLOCK,
    QUOTAS,
    MACHINE,
    SCHEDULE,
];
const CONFIGURATION: &str = "configuration";
const CREDENTIALS: &str = "credentials";
const ORGANIZATION: &str = "organization";
const ROLES: &str = "roles";
const REGIONS: &str = "regions";
const READING: &str = "reading";
const ARCHIVE: &str = "archive";
const SIGNER: &str = "signer";
const CLOCK: &str = "clock";
const QUOTAS: &str = "quotas";
const MACHINE: &str = "machine";
const SCHEDULE: &str = "schedule";

/// What the caller's role has to do, where a run's steps are shared by two roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duties {
    /// Everything: `keyproof run`.
    All,
    /// `prepare`, `collect` and `assess`: it signs nothing.
    Collect,
    /// `seal`: it enters no account.
    Seal,
}

/// What is told where there is no configuration to check anything by.
pub fn unconfigured(message: String) -> DoctorSummary {
    let next = "`keyproof config` lists the settings";
    let mut checks = vec![Check {
        name: CONFIGURATION,
        lines: vec![Line::fail(message, next)],
    }];
    checks.extend(CHECKS[1..].iter().map(|name| Check {
        name,
        lines: vec![Line::needs(CONFIGURATION)],
    }));
    DoctorSummary {
        archive: "no configuration".to_owned(),
        checks,
        calls: 0,
        throttles: 0,
        exit: Exit::Usage,
    }
}

/// Checks everything that a run of this configuration needs, and writes nothing.
///
/// # Errors
/// When it was stopped by a signal, or the system gives no randomness. What is wrong is in the summary.
pub async fn doctor(
    shell: &Shell,
    config: &Config,
    duties: Duties,
    options: &RunOptions,
    cancelled: watch::Receiver<bool>,
) -> Result<DoctorSummary, RunError> {
    let date = shell.clock.now().date();
    let (mut configured, request) = configuration(config, date);

    let connected = Asking::new(shell, config, cancelled.clone()).await;
    let (credentials, asking, caller) = match connected {
        Ok(asking) => {
            let (lines, caller) = credentials(find_caller(&asking).await);
            (lines, Some(asking), caller)
        }
        Err(RunError::Connect(error)) => {
            let line = Line::new(State::Fail, error.to_string());
            (vec![line], None, None)
        }
        Err(error) => return Err(error),
    };
    // Whoever is not known gets no answer to anything else either.
    let known = asking.as_ref().zip(caller.as_ref());

    let (organization, scope) = match (known, request, duties) {
        (_, _, Duties::Seal) => (not_asked("seal"), None),
        (Some((asking, caller)), Some(request), _) => {
            organization(config, asking, caller, request).await
        }
        (None, ..) => (vec![Line::needs(CREDENTIALS)], None),
        (_, None, _) => (vec![Line::needs(CONFIGURATION)], None),
    };

    let [roles, regions, reading] = match (known, &scope) {
        (Some((asking, caller)), Some(scope)) => {
            in_accounts(config, asking, caller, scope, options).await?
        }
        _ if duties == Duties::Seal => [not_asked("seal"), not_asked("seal"), not_asked("seal")],
        (None, _) => [CREDENTIALS; 3].map(|name| vec![Line::needs(name)]),
        (_, None) => [ORGANIZATION; 3].map(|name| vec![Line::needs(name)]),
    };

    let (archive, seen) = evidence::look(shell, config, known, scope.as_ref()).await;
    configured.extend(speaks(config, seen.as_ref()));
    let signer = match duties {
        Duties::Collect => not_asked("collect"),
        _ => signer::look(shell, config, known, seen.as_ref()).await,
    };
    let offset = asking
        .as_ref()
        .and_then(|asking| asking.aws.clock_offset_ms());
    let progress = asking.as_ref().map(|asking| asking.attempts.progress());
    let counted = |of: fn(&collect::attempt::Progress) -> u64| {
        progress.map_or(0, |progress| of(progress) as i64)
    };
    let calls = counted(|p| p.calls.load(Relaxed));
    let throttles = counted(|p| p.throttles.load(Relaxed));
    let quotas = local::quotas(config, calls, throttles, &local::Descriptors::now());
    let machine = local::machine(config, seen.as_ref());
    let schedule = schedule::look(seen.as_ref(), shell.clock.now()).await;
    if *cancelled.borrow() {
        return Err(RunError::Cancelled);
    }

    let lines = [
        configured,
        credentials,
        organization,
        roles,
        regions,
        reading,
        archive,
        signer,
        local::clock(offset),
        quotas,
        machine,
        schedule,
    ];
    let checks = CHECKS.into_iter().zip(lines);
    let checks = checks.map(|(name, lines)| Check { name, lines });
    Ok(concluded(config, checks.collect(), calls, throttles))
}

/// The exit code: a configuration that cannot be used comes first.
fn concluded(config: &Config, checks: Vec<Check>, calls: i64, throttles: i64) -> DoctorSummary {
    let mut summary = DoctorSummary {
        archive: config.archive.to_string(),
        checks,
        calls,
        throttles,
        exit: Exit::Success,
    };
    let usable = |check: &Check| check.outcome() != Outcome::Fail;
    summary.exit = match summary.outcome() {
        _ if !summary.checks.first().is_none_or(usable) => Exit::Usage,
        Outcome::Pass => Exit::Success,
        Outcome::Fail | Outcome::Unknown => Exit::Failed,
    };
    summary
}

fn not_asked(duties: &str) -> Vec<Line> {
    vec![Line::note(format!("not asked: --duties {duties}"))]
}

/// What the configuration says of itself, and the scope that it asks for.
fn configuration(config: &Config, date: Date) -> (Vec<Line>, Option<ScopeRequest>) {
    let mut lines = Vec::new();
    let request = match scope_request(config, date) {
        Ok(request) => Some(request),
        Err(error) => {
            lines.push(Line::fail(
                error.to_string(),
                "mend the file, or name another",
            ));
            None
        }
    };
    if let Err(error) = key_at(config) {
        lines.push(Line::new(State::Fail, error.to_string()));
    }
    let whose = match &config.scope {
        ScopeMode::Organization => "the organization's accounts".to_owned(),
        ScopeMode::SingleAccount => "the caller's own account".to_owned(),
        ScopeMode::AccountList(path) => format!("the accounts in {}", path.display()),
    };
    let how = match config.scope {
        ScopeMode::SingleAccount => "without a role".to_owned(),
        _ => format!("role {}", config.role_name),
    };
    let regions = config.region_words();
    lines.push(Line::pass(format!("{whose}, {how}, Regions {regions}")));
    if let Err(error) = check_regions(config) {
        lines.push(Line::new(State::Fail, error.to_string()));
    }
    for rule in expired(&config.exceptions, date) {
        let (id, expires) = (&rule.id, rule.expires);
        let what = format!("exception {id} expired on {expires} and has no effect");
        lines.push(Line::note(what).next("renew or remove it"));
    }
    (lines, request)
}

/// Whether a run of these settings may become a run of record; nothing where all is looked at.
fn speaks(config: &Config, seen: Option<&evidence::Seen>) -> Option<Line> {
    let chain = seen.and_then(|seen| seen.chain.as_ref());
    let begins = seen.is_some_and(|seen| seen.at == AtUrl::Nothing);
    let what = if !config.is_whole() {
        "accounts are narrowed: such a run speaks for no date"
    } else if !config.regions_by_hand {
        return None;
    } else if begins {
        "the first run begins the archive for these Regions: it speaks for its date, and later runs of \
         others do not"
    } else if chain.is_none_or(|chain| is_full_scope(config, chain)) {
        return None;
    } else {
        "Regions are narrowed, for the archive was begun with others: such a run speaks for no date"
    };
    Some(Line::note(what))
}

fn credentials(found: Result<CallerIdentity, RunError>) -> (Vec<Line>, Option<CallerIdentity>) {
    match found {
        Ok(caller) => (vec![Line::pass(caller.arn.clone())], Some(caller)),
        Err(error) => {
            let state = match &error {
                RunError::Caller { source, .. } => state_of(source),
                _ => State::Fail,
            };
            let next = "aws sts get-caller-identity; where the clock is off, set it first";
            (vec![Line::new(state, error.to_string()).next(next)], None)
        }
    }
}

/// Refused is an answer; no answer is none.
fn state_of(error: &CallError) -> State {
    match error.class() {
        Some(class) if !class.is_retryable() => State::Fail,
        _ => State::Unknown,
    }
}

async fn organization(
    config: &Config,
    asking: &Asking,
    caller: &CallerIdentity,
    mut request: ScopeRequest,
) -> (Vec<Line>, Option<Scope>) {
    // At AWS's rate the tags of 10,000 accounts take an hour; one account's show as much.
    let tags = std::mem::take(&mut request.tags);
    let clock = asking.attempts.clock();
    let found = tokio::select! {
        found = discover::discover(asking.aws.as_ref(), &asking.attempts, &request, clock.now()) => found,
        () = clock.sleep(LISTING) => {
            let minutes = LISTING.as_secs() / 60;
            let what = format!("the accounts were not listed within {minutes} minutes");
            let next = "look at who else uses the quota of AWS Organizations, and raise quota_share";
            return (vec![Line::new(State::Unknown, what).next(next)], None);
        }
    };
    let scope = match found {
        Ok(scope) => scope,
        Err(error) => {
            let state = match &error {
                DiscoverError::Caller(source) | DiscoverError::Call(source) => state_of(source),
                _ => State::Fail,
            };
            let mut line = Line::new(state, error.to_string());
            if let DiscoverError::Call(CallError::Api(refused)) = &error
                && refused.class.is_denied()
                && let Some(action) = refused.operation.iam_action()
            {
                let arn = &caller.arn;
                line = line.next(format!("allow {action} to {arn}"));
            }
            return (vec![line], None);
        }
    };
    let mut lines = population(config, &scope);
    if has_any(&tags) {
        lines.push(tags_line(asking, &scope).await);
    }
    let any = scope.accounts.iter().any(|account| account.in_scope);
    (lines, any.then_some(scope))
}

/// Who is listed, who is to be entered, and why the others are not.
fn population(config: &Config, scope: &Scope) -> Vec<Line> {
    let entered = scope.accounts.iter().filter(|a| a.in_scope).count() as i64;
    let of = match (&scope.organization_id, &config.scope) {
        (Some(id), _) => id.as_str(),
        (None, ScopeMode::SingleAccount) => "AWS Organizations is not asked",
        (None, _) => "the account list",
    };
    let listed = counted(scope.accounts.len() as i64, "account", "accounts");
    let what = format!("{of}: {listed}, {entered} to be entered");
    let mut lines = vec![if entered > 0 {
        Line::pass(what)
    } else {
        Line::fail(
            what,
            "mend the selection and the exceptions of kind exclude",
        )
    }];
    let ids = |because: &dyn Fn(&str) -> bool| -> Vec<String> {
        let all = scope.accounts.iter();
        let left = all.filter(|a| a.left_out_because.as_deref().is_some_and(because));
        left.map(|a| a.account_id.to_string()).collect()
    };
    let states = ids(&|why| why == left_out::STATE);
    if !states.is_empty() {
        let n = counted(states.len() as i64, "account is", "accounts are");
        let what = format!("{n} not entered for the state (suspended, closed, not yet active)");
        lines.push(Line::note(what).about(states));
    }
    let excluded = ids(&|why| ![left_out::STATE, left_out::NOT_SELECTED].contains(&why));
    if !excluded.is_empty() {
        let n = counted(excluded.len() as i64, "account is", "accounts are");
        lines.push(Line::note(format!("{n} excluded by exceptions")).about(excluded));
    }
    let others = ids(&|why| why == left_out::NOT_SELECTED);
    if !others.is_empty() {
        let n = counted(others.len() as i64, "account is", "accounts are");
        lines.push(Line::note(format!("{n} not selected")));
    }
    lines
}

fn has_any(tags: &TagNames) -> bool {
    [&tags.owner, &tags.cost_center, &tags.business_unit]
        .into_iter()
        .any(Option::is_some)
}

/// Whether the tags of accounts may be read, which a run does of each.
async fn tags_line(asking: &Asking, scope: &Scope) -> Line {
    let Some(account) = scope.accounts.iter().find(|account| account.in_scope) else {
        return Line::needs(ORGANIZATION);
    };
    let now = asking.attempts.clock().now();
    let budget = Budget::new(now, now.plus_ms(TAGS_MS));
    let operation = Operation::ListTagsForResource;
    let asked = asking.attempts.own(&budget, operation, || {
        asking.aws.account_tags(&account.account_id, None)
    });
    match asked.await {
        Ok(_) => Line::pass("tags of accounts may be read"),
        Err(error) if scope.organization_id.is_none() => Line::note(format!(
            "tags of accounts stay unknown, AWS Organizations does not tell them: {error}"
        )),
        Err(error) => {
            let what = format!("tags of accounts cannot be read, and a run fails: {error}");
            let next = "allow organizations:ListTagsForResource, or name no [tags]";
            Line::new(state_of(&error), what).next(next)
        }
    }
}

/// Enters every account as a run would, and tries what the role may read there.
async fn in_accounts(
    config: &Config,
    asking: &Asking,
    caller: &CallerIdentity,
    scope: &Scope,
    options: &RunOptions,
) -> Result<[Vec<Line>; 3], RunError> {
    let id = RunId::new(asking.attempts.clock().now(), random()?);
    let shown = progress::show(options, &asking.attempts);
    let answers = accounts::ask(config, asking, scope, id).await;
    shown.finish();
    let ways = accounts::Ways {
        config,
        caller,
        scope,
        emr: discover::emr_regions(),
    };
    let entered = answers.iter().any(|answer| answer.probed.entered.is_ok());
    let roles = entering::lines(&answers, &ways);
    if !entered {
        return Ok([roles, vec![Line::needs(ROLES)], vec![Line::needs(ROLES)]]);
    }
    Ok([
        roles,
        regions::lines(&answers, &ways),
        reading::lines(&answers, &ways),
    ])
}
