//! Collecting, read from top to bottom: account units first, then what they referenced, then who may
//! use it.
//!
//! A unit is one account, so that its session and token buckets live as long as its work and no
//! longer. Of each kind of work at most twice as many units are open as requests may be in flight: while some wait for
//! tokens, others use the connections. Accounts are taken in a seeded shuffle, so that no team feels a
//! burst; those that an earlier run owed something come first, then those that take long. What a finished
//! account-region found goes to the sink at once; memory keeps sets of keys and buckets that were named,
//! nothing else.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use crate::collect::api::Cloud;
use crate::collect::attempt::{Attempts, lock};
use crate::collect::exceptions::ExceptionRule;
use crate::collect::facts::{
    AlreadyCollected, FactSink, Known, KnownError, NothingCollected, SinkError,
};
use crate::collect::history::{jobs, log_history};
use crate::collect::object_samples;
use crate::collect::options::Options;
use crate::collect::random::shuffle;
use crate::collect::scope::{Scope, left_out};
use crate::collect::shared::Run;
use crate::collect::{account, control_events, identities, lookups};
use crate::model::datasets::Account;
use crate::model::ids::AccountId;

/// The part of a run's work that one process does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// The first pass over the accounts at these positions of the scope. Who owns which bucket is asked
    /// by whoever looks buckets up.
    Accounts(BTreeSet<u32>),
    /// The same with the question for buckets, so that a process goes on from there as from what it found.
    First(BTreeSet<u32>),
    /// Everything after the first pass, for the whole scope.
    Rest {
        /// Positions of accounts that nobody looked into: their cells end as `not_attempted`.
        missing: BTreeSet<u32>,
    },
}

/// Everything that collecting needs. The clock, the cancellation signal and the progress counters
/// belong to [`Attempts`].
#[derive(Clone)]
pub struct Context {
    pub cloud: Arc<dyn Cloud>,
    pub attempts: Arc<Attempts>,
    pub sink: Arc<dyn FactSink>,
    pub known: Arc<dyn Known>,
    pub options: Arc<Options>,
    pub exceptions: Arc<[ExceptionRule]>,
}

/// Why collecting stopped. What AWS refuses is coverage, never an error.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Known(#[from] KnownError),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// The run was told to stop; what was not looked at is `not_attempted`.
    pub cancelled: bool,
    pub cells: u64,
    /// Cells that ended neither in an answer nor in an accepted gap.
    pub cells_open: u64,
    pub clusters: u64,
    pub security_configurations: u64,
    pub keys: u64,
    pub buckets: u64,
    /// Calls on behalf of cells, retries included.
    pub calls: u64,
    pub throttles: u64,
}

/// Looks at the whole scope and hands every finished piece to the sink. Returns an error only when
/// facts cannot be kept or earlier ones cannot be read.
pub async fn collect(context: &Context, scope: &Scope) -> Result<Collected, CollectError> {
    collect_part(context, scope, Part::Whole, &NothingCollected).await
}

/// Does one part of that. Cells that `found` has are not collected again; what they refer to is looked
/// up as if this process had collected them.
pub async fn collect_part(
    context: &Context,
    scope: &Scope,
    part: Part,
    found: &dyn AlreadyCollected,
) -> Result<Collected, CollectError> {
    let mut run = Run::new(context.clone(), scope.clone(), part);
    found.each(&mut |facts| run.take_up(facts))?;
    let run = Arc::new(run);
    let mut units = run.first_pass();
    let progress = context.attempts.progress();
    progress
        .accounts_total
        .fetch_add(units.len() as u64, Ordering::Relaxed);
    shuffle(&mut units, context.options.seed);
    units.sort_by_cached_key(|at| {
        let account = scope.accounts.get(*at as usize);
        account.map(|a| context.known.turn(&a.account_id).rank())
    });
    each(&run, units, account::unit).await?;
    match &run.part {
        Part::Whole => {}
        Part::Accounts(_) | Part::First(_) => return Ok(run.collected()),
        Part::Rest { missing } => {
            let all = 0..scope.accounts.len() as u32;
            let mut units: Vec<u32> = all.filter(|at| !missing.contains(at)).collect();
            shuffle(&mut units, context.options.seed);
            each(&run, units, account::owners_unit).await?;
        }
    }

    control_events::note_earlier_trails(&run);
    let mut units = lookups::units(&run);
    shuffle(&mut units, context.options.seed);
    let mut tasks = std::mem::take(&mut *lock(&run.samples));
    shuffle(&mut tasks, context.options.seed);
    let mut histories = log_history::units(&run);
    shuffle(&mut histories, context.options.seed);
    let mut owners = jobs::units(&run);
    shuffle(&mut owners, context.options.seed);
    // Side by side: events wait for tokens most of the time, and the end of one kind of work is short of
    // accounts that ask.
    tokio::try_join!(
        each(&run, units, looked_up),
        each(&run, tasks, object_samples::unit),
        each(&run, histories, log_history::unit),
        each(&run, owners, jobs::unit)
    )?;

    // Whom keys name is known when all were looked up; where some were found, so were their places.
    let mut readers = identities::units(&run);
    shuffle(&mut readers, context.options.seed);
    let mut places = control_events::units(&run);
    shuffle(&mut places, context.options.seed);
    tokio::try_join!(
        each(&run, readers, identities::unit),
        each(&run, places, control_events::unit)
    )?;

    Ok(run.collected())
}

/// Looks up what an account owns, and what happened to it lately.
async fn looked_up(run: Arc<Run>, account: AccountId) -> Result<(), CollectError> {
    lookups::unit(run.clone(), account.clone()).await?;
    control_events::unit(run, account).await
}

/// Whether an account has coverage: it was to be looked into, or was left out for a reason that
/// the coverage must tell.
pub fn is_expected(account: &Account) -> bool {
    account.in_scope || account.left_out_because.as_deref() != Some(left_out::NOT_SELECTED)
}

/// Runs one future per unit, at most twice `concurrency` at once.
async fn each<U, F, Fut>(run: &Arc<Run>, units: Vec<U>, work: F) -> Result<(), CollectError>
where
    U: Send + 'static,
    F: Fn(Arc<Run>, U) -> Fut,
    Fut: Future<Output = Result<(), CollectError>> + Send + 'static,
{
    let limit = run.options().concurrency.max(1).saturating_mul(2);
    let mut open = JoinSet::new();
    for unit in units {
        if open.len() >= limit {
            finish(open.join_next().await)?;
        }
        open.spawn(work(run.clone(), unit));
    }
    while let Some(ended) = open.join_next().await {
        finish(Some(ended))?;
    }
    Ok(())
}

/// A unit's own error ends the run; dropping the set then stops the others.
pub(super) fn finish(
    ended: Option<Result<Result<(), CollectError>, tokio::task::JoinError>>,
) -> Result<(), CollectError> {
    joined(ended).unwrap_or(Ok(()))
}

/// What a task returned; a panic goes on in whoever waited for it.
pub(crate) fn joined<T>(ended: Option<Result<T, tokio::task::JoinError>>) -> Option<T> {
    match ended? {
        Ok(result) => Some(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
