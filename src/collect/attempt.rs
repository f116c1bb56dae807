//! The one retry loop. Everything that is asked of AWS goes through it.
//!
//! A call waits for a token of its bucket, then for one of the places for requests in flight, then
//! makes one attempt. What AWS answers decides: retryable classes wait with full jitter and try
//! again until the budget's deadline, everything else ends the call. SDK retries are off, so no
//! request escapes the buckets.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::collect::api::{ApiError, ErrorClass, Page, place};
use crate::collect::bucket::Buckets;
use crate::collect::footprint::{Cost, Footprint};
use crate::collect::learned::Learned;
use crate::collect::operation::Operation;
use crate::collect::random::{Random, stable_hash};
use crate::model::ids::{AccountId, Region};
use crate::model::words::CellOutcome;
use crate::time::{Clock, UtcMillis};

/// A list longer than this never ends.
pub const MAX_PAGES: usize = 100_000;
/// Requests for accounts and their tags in flight, beside the others.
const LISTS_AT_ONCE: usize = 8;
const BACKOFF_FIRST_MS: f64 = 250.0;
const BACKOFF_CAP_MS: f64 = 20_000.0;

/// What a person watching the run sees. Counters only grow.
#[derive(Debug, Default)]
pub struct Progress {
    pub accounts_total: AtomicU64,
    pub accounts_done: AtomicU64,
    pub cells_done: AtomicU64,
    /// Attempts, retries included.
    pub calls: AtomicU64,
    /// Answers that said to slow down.
    pub throttles: AtomicU64,
}

/// How a call ended without its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// AWS's answer, which another attempt would not change.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// The budget's deadline came first; `last` is the failure that was being retried.
    #[error(
        "{} in {} had no answer before its deadline{}",
        operation.aws_name(),
        place(account, region),
        last.as_ref().map(|e| format!("; last: {e}")).unwrap_or_default()
    )]
    OutOfTime {
        operation: Operation,
        account: String,
        region: String,
        last: Option<Box<ApiError>>,
    },
    /// The run was cancelled, or its deadline passed before the cell's turn came.
    #[error("the run ended first")]
    RunEnded,
    /// A paginator that repeats or never ends.
    #[error(
        "{} in {}: a paginator that repeats or never ends (page {page})",
        operation.aws_name(),
        place(account, region)
    )]
    Paginator {
        operation: Operation,
        account: String,
        region: String,
        page: usize,
    },
}

impl CallError {
    /// The outcome of a cell that ends with this error.
    pub fn outcome(&self) -> CellOutcome {
        match self {
            Self::Api(error) => match error.class {
                ErrorClass::DeniedTrust => CellOutcome::DeniedTrust,
                // To a cell it is the same: its own question was refused.
                ErrorClass::DeniedIam | ErrorClass::DeniedByResource => CellOutcome::DeniedIam,
                ErrorClass::DeniedScp => CellOutcome::DeniedScp,
                _ => CellOutcome::Failed,
            },
            Self::OutOfTime { last, .. } => match last.as_ref().map(|e| e.class) {
                Some(ErrorClass::Throttled) => CellOutcome::ThrottledOut,
                Some(ErrorClass::Server) => CellOutcome::Failed,
                _ => CellOutcome::TimedOut,
            },
            Self::RunEnded => CellOutcome::NotAttempted,
            Self::Paginator { .. } => CellOutcome::Failed,
        }
    }

    /// The class of AWS's final answer, if there was one.
    pub fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Api(error) => Some(error.class),
            _ => None,
        }
    }

    /// Whether nothing else that the same budget pays for can be asked either.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::OutOfTime { .. } | Self::RunEnded)
    }

    /// What AWS said last.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::OutOfTime { last, .. } => last.as_deref(),
            Self::RunEnded | Self::Paginator { .. } => None,
        }
    }
}

/// Calls made on behalf of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub calls: i64,
    pub retries: i64,
    pub throttles: i64,
}

/// The time one cell has, and what it spent.
#[derive(Debug)]
pub struct Budget {
    pub started_at: UtcMillis,
    pub deadline: UtcMillis,
    /// How long one call is tried again after it failed first, where that is less than what is left.
    patience: Option<Duration>,
    tally: Mutex<Tally>,
    footprint: Mutex<Footprint>,
}

impl Budget {
    /// From now until `deadline`.
    pub fn new(started_at: UtcMillis, deadline: UtcMillis) -> Self {
        Self {
            started_at,
            deadline,
            patience: None,
            tally: Mutex::default(),
            footprint: Mutex::default(),
        }
    }

    /// For a cell whose time is long because of what it reads: a call that only fails must not take all
    /// of it.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// What has been spent so far.
    pub fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    /// The same by operation.
    pub fn costs(&self) -> Vec<Cost> {
        lock(&self.footprint).costs()
    }

    /// The next attempt follows a failure that this loop did not retry itself.
    pub fn count_retry(&self) {
        lock(&self.tally).retries += 1;
    }
}

/// The retry loop with everything it needs. One for the whole process.
pub struct Attempts {
    clock: Arc<dyn Clock>,
    random: Random,
    share: f64,
    in_flight: Semaphore,
    learned: Arc<Learned>,
    /// Places of lists of accounts: page by page behind hundreds that wait, a long one would take hours.
    lists: Semaphore,
    /// STS and Organizations: they count for the collector's account, whatever is asked for whom.
    own: Buckets,
    own_footprint: Mutex<Footprint>,
    cancelled: watch::Receiver<bool>,
    progress: Arc<Progress>,
}

impl Attempts {
    /// `concurrency` requests at most are in flight, and a few that list accounts; `share` of AWS's
    /// refill rates is used. A true value of `cancelled` ends every call at once.
    pub fn new(
        clock: Arc<dyn Clock>,
        random: Random,
        concurrency: usize,
        share: f64,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        let learned: Arc<Learned> = Arc::default();
        Self {
            clock,
            random,
            share,
            in_flight: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            own: Buckets::new(None, share, learned.clone()),
            own_footprint: Mutex::default(),
            learned,
            lists: Semaphore::new(LISTS_AT_ONCE),
            cancelled,
            progress: Arc::default(),
        }
    }

    /// The same for one of `processes` that call as the same account (shards), with what earlier runs
    /// learned of rates.
    pub fn with_budget(self, processes: u32, learned: Arc<Learned>) -> Self {
        Self {
            own: Buckets::new(None, self.share, learned.clone()).one_of(processes),
            learned,
            ..self
        }
    }

    /// What the collector's own account was asked for by now, by operation.
    pub fn own_costs(&self) -> Vec<Cost> {
        lock(&self.own_footprint).costs()
    }

    /// What is known of rates by now.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    /// The counters of this process.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The clock that deadlines are measured with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What bounds the requests of an operation that are in flight.
    fn places(&self, operation: Operation) -> &Semaphore {
        match operation {
            Operation::ListAccounts | Operation::ListTagsForResource => &self.lists,
            _ => &self.in_flight,
        }
    }

    /// Fresh buckets for one account.
    pub fn buckets(&self, account: &AccountId) -> Buckets {
        Buckets::new(Some(account.clone()), self.share, self.learned.clone())
    }

    /// Whether the run was told to stop.
    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// One call with the collector's own credentials (STS, Organizations).
    pub async fn own<T, F, Fut>(
        &self,
        budget: &Budget,
        operation: Operation,
        once: F,
    ) -> Result<T, CallError>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        self.call(
            budget,
            &self.own,
            Place {
                account: None,
                region: &Region::global(),
                operation,
            },
            once,
        )
        .await
    }

    /// A whole list with the collector's own credentials.
    pub async fn own_pages<T, F, Fut>(
        &self,
        budget: &Budget,
        operation: Operation,
        page: F,
    ) -> Result<Vec<T>, CallError>
    where
        T: Send,
        F: FnMut(Option<String>) -> Fut + Send,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send,
    {
        let all = self
            .own_pages_from(budget, operation, None, MAX_PAGES, page)
            .await?;
        Ok(all.0)
    }

    /// The same from a page on, and so many pages at most: with the token of the next one, if the list
    /// goes on.
    pub async fn own_pages_from<T, F, Fut>(
        &self,
        budget: &Budget,
        operation: Operation,
        mut next: Option<String>,
        pages: usize,
        mut page: F,
    ) -> Result<(Vec<T>, Option<String>), CallError>
    where
        T: Send,
        F: FnMut(Option<String>) -> Fut + Send,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send,
    {
        let region = Region::global();
        let place = Place {
            account: None,
            region: &region,
            operation,
        };
        let mut pager = Pager::new(place);
        let mut items = Vec::new();
        for _ in 0..pages.max(1) {
            let answer = self
                .call(budget, &self.own, place, || page(next.clone()))
                .await?;
            items.extend(answer.items);
            next = pager.advance(answer.next)?;
            if next.is_none() {
                break;
            }
        }
        Ok((items, next))
    }

    /// Asks once, and again while another attempt may help.
    pub async fn call<T, F, Fut>(
        &self,
        budget: &Budget,
        buckets: &Buckets,
        place: Place<'_>,
        mut once: F,
    ) -> Result<T, CallError>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        let mut last: Option<Box<ApiError>> = None;
        let mut failures = 0_i32;
        let mut retry_until = budget.deadline;
        loop {
            if self.is_cancelled() {
                return Err(CallError::RunEnded);
            }
            let now = self.clock.now();
            let wait = buckets.take(place.region, place.operation, now, budget.deadline);
            let Some(wait) = wait.filter(|_| now < budget.deadline) else {
                return Err(place.out_of_time(last));
            };
            self.pause(wait).await?;
            let permit = tokio::select! {
                biased;
                permit = self.places(place.operation).acquire() => permit.ok(),
                () = self.cancellation() => return Err(CallError::RunEnded),
            };
            let left = (budget.deadline.0 - self.clock.now().0)
                .max(0)
                .unsigned_abs();
            {
                let mut tally = lock(&budget.tally);
                tally.calls += 1;
                tally.retries += i64::from(failures > 0);
            }
            let now = self.clock.now();
            buckets.sent(place.region, place.operation, now);
            lock(&budget.footprint).attempt(place.region, place.operation, now);
            if place.account.is_none() {
                lock(&self.own_footprint).attempt(place.region, place.operation, now);
            }
            self.progress.calls.fetch_add(1, Ordering::Relaxed);
            let answer = tokio::select! {
                biased;
                answer = once() => answer,
                () = self.cancellation() => return Err(CallError::RunEnded),
                () = self.clock.sleep(Duration::from_millis(left)) => {
                    return Err(place.out_of_time(last));
                }
            };
            drop(permit);
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.class == ErrorClass::Throttled {
                lock(&budget.tally).throttles += 1;
                lock(&budget.footprint).throttled(place.region, place.operation);
                if place.account.is_none() {
                    lock(&self.own_footprint).throttled(place.region, place.operation);
                }
                self.progress.throttles.fetch_add(1, Ordering::Relaxed);
                buckets.slow_down(place.region, place.operation, self.clock.now());
            }
            if !error.class.is_retryable() {
                return Err(CallError::Api(Box::new(error)));
            }
            last = Some(Box::new(error));
            if let Some(patience) = budget.patience.filter(|_| failures == 0) {
                let over = self.clock.now().plus_ms(patience.as_millis() as i64);
                retry_until = over.min(budget.deadline);
            }
            failures = failures.saturating_add(1);
            let pause = self.backoff(failures);
            let resumed_at = self.clock.now().plus_ms(pause.as_millis() as i64);
            if resumed_at >= retry_until {
                return Err(place.out_of_time(last));
            }
            self.pause(pause).await?;
        }
    }

    /// Full jitter: anything between nothing and a doubling limit
    /// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    fn backoff(&self, failures: i32) -> Duration {
        let limit = (BACKOFF_FIRST_MS * 2_f64.powi(failures.min(16) - 1)).min(BACKOFF_CAP_MS);
        Duration::from_millis((limit * (self.random)()) as u64)
    }

    async fn pause(&self, wait: Duration) -> Result<(), CallError> {
        if wait.is_zero() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.cancellation() => Err(CallError::RunEnded),
            () = self.clock.sleep(wait) => Ok(()),
        }
    }

    /// Completes when the run is cancelled.
    async fn cancellation(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|c| *c).await.is_err() {
            // Whoever could cancel is gone.
            std::future::pending::<()>().await;
        }
    }
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `None` for the collector's own account.
    pub account: Option<&'a AccountId>,
    pub region: &'a Region,
    pub operation: Operation,
}

impl Place<'_> {
    fn account(&self) -> String {
        self.account.map_or("-", AccountId::as_str).to_owned()
    }

    fn out_of_time(&self, last: Option<Box<ApiError>>) -> CallError {
        CallError::OutOfTime {
            operation: self.operation,
            account: self.account(),
            region: self.region.to_string(),
            last,
        }
    }
}

/// Follows the tokens of one list and stops one that runs in a circle. An empty page with a token
/// goes on: Organizations answers with such pages.
pub struct Pager<'a> {
    place: Place<'a>,
    seen: HashSet<u64>,
}

impl<'a> Pager<'a> {
    /// Before the first page.
    pub fn new(place: Place<'a>) -> Self {
        Self {
            place,
            seen: HashSet::new(),
        }
    }

    /// Takes a page's token and gives it back if the list goes on.
    pub fn advance(&mut self, next: Option<String>) -> Result<Option<String>, CallError> {
        let Some(token) = next.filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        // Hashes keep an endless list from filling the memory with tokens.
        if !self.seen.insert(stable_hash(&token)) || self.seen.len() >= MAX_PAGES {
            return Err(CallError::Paginator {
                operation: self.place.operation,
                account: self.place.account(),
                region: self.place.region.to_string(),
                page: self.seen.len(),
            });
        }
        Ok(Some(token))
    }
}

/// A lock whose holder panicked still guards plain counters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
