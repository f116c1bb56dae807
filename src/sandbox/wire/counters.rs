//! What was called, for benchmarks and for tests that compare calls with permissions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::token_bucket::rate_of;

/// Calls of one operation by one account in one Region since the start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallCount {
    /// The caller's account, 12 digits.
    pub account: String,
    pub region: String,
    /// Service of the SigV4 scope, e.g. `elasticmapreduce`.
    pub service: String,
    pub operation: String,
    /// All calls, answered or not, throttled ones included.
    pub calls: u64,
    /// Calls answered with a throttle, by a fault or by a token bucket.
    pub throttled: u64,
}

impl CallCount {
    /// What AWS grants for these calls as (burst, refill per second); `None` where AWS publishes no
    /// rate. STS calls of an account share one grant.
    pub fn granted_rate(&self) -> Option<(f64, f64)> {
        rate_of(&self.service, &self.operation).map(|rate| (rate.burst, rate.refill_per_s))
    }
}

/// Counts calls and requests in flight.
#[derive(Default)]
pub(super) struct Counters {
    calls: Mutex<HashMap<String, (u64, u64)>>,
    pub connections: AtomicU64,
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
}

impl Counters {
    /// The key under which a call is counted and its token bucket is kept: one string, so that the
    /// hot path allocates once.
    pub fn key(account: &str, region: &str, service: &str, operation: &str) -> String {
        [account, region, service, operation].join("\0")
    }

    pub fn record(&self, key: &str, throttled: bool) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let extra = u64::from(throttled);
        match calls.get_mut(key) {
            Some(count) => {
                count.0 += 1;
                count.1 += extra;
            }
            None => {
                calls.insert(key.to_owned(), (1, extra));
            }
        }
    }

    /// All counts, sorted.
    pub fn snapshot(&self) -> Vec<CallCount> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<CallCount> = calls
            .iter()
            .map(|(key, &(calls, throttled))| {
                let mut parts = key.splitn(4, '\0').map(str::to_owned);
                let mut next = || parts.next().unwrap_or_default();
                let (account, region, service, operation) = (next(), next(), next(), next());
                CallCount {
                    account,
                    region,
                    service,
                    operation,
                    calls,
                    throttled,
                }
            })
            .collect();
        counts.sort();
        counts
    }

    /// Counts a request as in flight until the guard is dropped, also when its client went away.
    pub fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_max.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }

    pub fn in_flight_max(&self) -> u64 {
        self.in_flight_max.load(Ordering::Relaxed)
    }
}

pub(super) struct InFlight<'a>(&'a Counters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_calls_by_account_region_and_operation() {
        let counters = Counters::default();
        let key = Counters::key("111122223333", "eu-west-1", "kms", "Sign");
        counters.record(&key, false);
        counters.record(&key, true);
        let counts = counters.snapshot();
        assert_eq!(counts.len(), 1);
        assert_eq!((counts[0].calls, counts[0].throttled), (2, 1));
        assert_eq!(
            (counts[0].service.as_str(), counts[0].operation.as_str()),
            ("kms", "Sign")
        );
    }

    #[test]
    fn in_flight_keeps_its_maximum() {
        let counters = Counters::default();
        let (a, b) = (counters.enter(), counters.enter());
        drop((a, b));
        let _c = counters.enter();
        assert_eq!(counters.in_flight_max(), 2);
    }
}
