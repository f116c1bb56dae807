//! What was called, for benchmarks and for tests that compare calls with permissions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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
    /// Milliseconds of this machine's time from the start to the first call.
    pub first_ms: u64,
    /// The same to the last one.
    pub last_ms: u64,
}

impl CallCount {
    /// What AWS grants for these calls as (burst, refill per second); `None` where AWS publishes no
    /// rate. STS calls of an account share one grant.
    pub fn granted_rate(&self) -> Option<(f64, f64)> {
        rate_of(&self.service, &self.operation).map(|rate| (rate.burst, rate.refill_per_s))
    }
}

#[derive(Clone, Copy)]
struct Counted {
    calls: u64,
    throttled: u64,
    first_ms: u64,
    last_ms: u64,
}

/// Counts calls and requests in flight.
pub(super) struct Counters {
    begun: Instant,
    calls: Mutex<HashMap<String, Counted>>,
    pub connections: AtomicU64,
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            calls: Mutex::default(),
            connections: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            in_flight_max: AtomicU64::default(),
        }
    }
}

impl Counters {
    /// The key under which a call is counted and its token bucket is kept: one string, so that the
    /// hot path allocates once.
    pub fn key(account: &str, region: &str, service: &str, operation: &str) -> String {
        [account, region, service, operation].join("\0")
    }

    pub fn record(&self, key: &str, throttled: bool) {
        let now = self.begun.elapsed().as_millis() as u64;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let extra = u64::from(throttled);
        match calls.get_mut(key) {
            Some(count) => {
                count.calls += 1;
                count.throttled += extra;
                count.last_ms = now;
            }
            None => {
                let first = Counted {
                    calls: 1,
                    throttled: extra,
                    first_ms: now,
                    last_ms: now,
                };
                calls.insert(key.to_owned(), first);
            }
        }
    }

    /// All counts, sorted.
    pub fn snapshot(&self) -> Vec<CallCount> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<CallCount> = calls
            .iter()
            .map(|(key, count)| {
                let mut parts = key.splitn(4, '\0').map(str::to_owned);
                let mut next = || parts.next().unwrap_or_default();
                let (account, region, service, operation) = (next(), next(), next(), next());
                CallCount {
                    account,
                    region,
                    service,
                    operation,
                    calls: count.calls,
                    throttled: count.throttled,
                    first_ms: count.first_ms,
                    last_ms: count.last_ms,
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
