//! Token buckets: how fast one account, Region and operation may be asked.
//!
//! AWS grants a burst and a refill rate that the workload teams' own tools share. We take the burst
//! and a settable share of the refill, and slow down further when AWS says so.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::collect::attempt::lock;
use crate::collect::operation::Operation;
use crate::model::ids::Region;
use crate::time::UtcMillis;

/// After an answer that says to slow down, the refill is back at its full share after this long.
const RECOVERY_MS: f64 = 300_000.0;
/// Throttling answers within this time of each other belong to the same burst and count once.
const SAME_BURST_MS: i64 = 1_000;
/// The refill is never slowed below this part of its share.
const FLOOR: f64 = 1.0 / 64.0;

/// One bucket. Time is passed in; the bucket never waits itself.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    burst: f64,
    /// Tokens per millisecond when nothing is throttled.
    full_rate: f64,
    tokens: f64,
    filled_at: UtcMillis,
    /// When AWS last said to slow down, and the part of `full_rate` that was left then.
    slowed: Option<(UtcMillis, f64)>,
}

impl TokenBucket {
    /// A full bucket. `share` scales the refill and is kept between 1 % and 100 %.
    pub fn new((burst, per_second): (f64, f64), share: f64, now: UtcMillis) -> Self {
        let share = if share.is_finite() { share } else { 0.5 };
        Self {
            burst: burst.max(1.0),
            full_rate: (per_second * share.clamp(0.01, 1.0) / 1_000.0).max(1e-6),
            tokens: burst.max(1.0),
            filled_at: now,
            slowed: None,
        }
    }

    /// Takes a token and says how long to wait before using it; `None`, and nothing taken, when
    /// that would be after `until`. Tokens are handed out in the order of the calls.
    pub fn take(&mut self, now: UtcMillis, until: UtcMillis) -> Option<Duration> {
        let rate = self.full_rate * self.part(now);
        // A clock that steps back fills nothing.
        let elapsed = (now.0 - self.filled_at.0).max(0) as f64;
        self.tokens = (self.tokens + elapsed * rate).min(self.burst);
        self.filled_at = now;
        let wait_ms = ((1.0 - self.tokens).max(0.0) / rate).ceil() as i64;
        if now.plus_ms(wait_ms) > until {
            return None;
        }
        self.tokens -= 1.0;
        Some(Duration::from_millis(wait_ms.unsigned_abs()))
    }

    /// AWS said to slow down: nothing is left, and the refill is halved and recovers slowly.
    pub fn slow_down(&mut self, now: UtcMillis) {
        if self
            .slowed
            .is_some_and(|(at, _)| now.0 - at.0 < SAME_BURST_MS)
        {
            return;
        }
        let part = (self.part(now) / 2.0).max(FLOOR);
        self.slowed = Some((now, part));
        self.tokens = self.tokens.min(0.0);
    }

    /// The part of the full rate that holds now.
    fn part(&self, now: UtcMillis) -> f64 {
        self.slowed.map_or(1.0, |(at, part)| {
            let since = (now.0 - at.0).max(0) as f64;
            (part + (1.0 - part) * since / RECOVERY_MS).min(1.0)
        })
    }
}

/// The buckets of one account, made as they are needed.
#[derive(Debug)]
pub struct Buckets {
    share: f64,
    buckets: Mutex<HashMap<(Region, Operation), TokenBucket>>,
}

impl Buckets {
    /// No bucket yet.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// [`TokenBucket::take`] for one Region and operation.
    pub fn take(
        &self,
        region: &Region,
        operation: Operation,
        now: UtcMillis,
        until: UtcMillis,
    ) -> Option<Duration> {
        self.with(region, operation, now, |b| b.take(now, until))
    }

    /// [`TokenBucket::slow_down`] for one Region and operation.
    pub fn slow_down(&self, region: &Region, operation: Operation, now: UtcMillis) {
        self.with(region, operation, now, |b| b.slow_down(now));
    }

    fn with<T>(
        &self,
        region: &Region,
        operation: Operation,
        now: UtcMillis,
        act: impl FnOnce(&mut TokenBucket) -> T,
    ) -> T {
        // STS counts both together (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
        let counted = match operation {
            Operation::GetCallerIdentity => Operation::AssumeRole,
            other => other,
        };
        let mut buckets = lock(&self.buckets);
        let bucket = buckets
            .entry((region.clone(), counted))
            .or_insert_with(|| TokenBucket::new(operation.granted_rate(), self.share, now));
        act(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: UtcMillis = UtcMillis(i64::MAX);

    fn wait(bucket: &mut TokenBucket, now: i64) -> u64 {
        bucket
            .take(UtcMillis(now), FAR)
            .map_or(u64::MAX, |d| d.as_millis() as u64)
    }

    #[test]
    fn the_burst_is_free_and_the_refill_is_the_share() {
        let mut bucket = TokenBucket::new((2.0, 1.0), 0.5, UtcMillis(0));
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(wait(&mut bucket, 0), 2_000);
        assert_eq!(wait(&mut bucket, 0), 4_000);
    }

    #[test]
    fn a_token_too_late_is_not_taken() {
        let mut bucket = TokenBucket::new((1.0, 1.0), 1.0, UtcMillis(0));
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(bucket.take(UtcMillis(0), UtcMillis(999)), None);
        assert_eq!(wait(&mut bucket, 0), 1_000);
    }

    #[test]
    fn throttling_halves_and_recovers() {
        let mut bucket = TokenBucket::new((5.0, 1.0), 1.0, UtcMillis(0));
        bucket.slow_down(UtcMillis(0));
        bucket.slow_down(UtcMillis(500));
        assert_eq!(wait(&mut bucket, 0), 2_000, "one burst counts once");
        bucket.slow_down(UtcMillis(2_000));
        let slowed = wait(&mut bucket, 2_000);
        assert!(slowed > 3_000, "{slowed}");
        assert_eq!(wait(&mut bucket, 1_000_000), 0);
        for _ in 0..4 {
            wait(&mut bucket, 1_000_000);
        }
        assert_eq!(wait(&mut bucket, 1_000_000), 1_000, "full rate again");
    }

    #[test]
    fn endless_throttling_never_stops_the_refill() {
        let mut bucket = TokenBucket::new((1.0, 1.0), 1.0, UtcMillis(0));
        for i in 0..1_000 {
            bucket.slow_down(UtcMillis(i * 1_000));
        }
        assert!(wait(&mut bucket, 1_000_000) <= 70_000);
    }

    #[test]
    fn a_clock_that_steps_back_and_nonsense_shares_do_no_harm() {
        let mut bucket = TokenBucket::new((1.0, 1.0), f64::NAN, UtcMillis(10_000));
        assert_eq!(wait(&mut bucket, 10_000), 0);
        assert_eq!(wait(&mut bucket, 0), 2_000);
    }
}
