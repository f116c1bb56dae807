//! Token buckets: how fast one account, Region and operation may be asked.
//!
//! AWS grants a burst and a refill rate that the workload teams' own tools share. We take a settable share
//! of both, and slow down further when AWS says so. Calls are sent later than their tokens were taken, when
//! many wait for a place in flight, and arrive later than they were sent: AWS's bucket begins to refill when
//! the first of a burst arrives, so ours begins a while after it was sent. The next ones, if they came
//! faster, would find AWS's empty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::collect::attempt::lock;
use crate::collect::learned::{Asked, Learned};
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};
use crate::time::UtcMillis;

/// After an answer that says to slow down, the refill is back at its full share after this long.
const RECOVERY_MS: f64 = 300_000.0;
/// Throttling answers within this time of each other belong to the same burst and count once.
const SAME_BURST_MS: i64 = 1_000;
/// A call arrives this long after it was sent at the latest.
const ARRIVES_WITHIN_MS: i64 = 500;
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
    /// How long after a call was sent the refill begins of a bucket that was full until then.
    late_ms: i64,
    /// When AWS last said to slow down, and the part of `full_rate` that was left then.
    slowed: Option<(UtcMillis, f64)>,
}

impl TokenBucket {
    /// A full bucket. `share` scales burst and refill and is kept between 1 % and 100 %; one token is the
    /// least burst.
    pub fn new((burst, per_second): (f64, f64), share: f64, now: UtcMillis) -> Self {
        let share = if share.is_finite() { share } else { 0.5 };
        let share = share.clamp(0.01, 1.0);
        let burst = shared_burst(burst, share);
        Self {
            burst,
            full_rate: (per_second * share / 1_000.0).max(1e-6),
            tokens: burst,
            filled_at: now,
            // With half of a burst left to others, that half makes up for what arrives late.
            late_ms: if share > 0.5 { ARRIVES_WITHIN_MS } else { 0 },
            slowed: None,
        }
    }

    /// The same bucket when AWS had it slowed down before, so that `part` of its rate is left.
    pub fn slowed_to(mut self, part: f64, now: UtcMillis) -> Self {
        let part = part.clamp(FLOOR, 1.0);
        self.slowed = Some((now, part));
        self.tokens = (self.burst * part).max(1.0);
        self
    }

    /// Takes a token and says how long to wait before using it; `None`, and nothing taken, when
    /// that would be after `until`. Tokens are handed out in the order of the calls.
    pub fn take(&mut self, now: UtcMillis, until: UtcMillis) -> Option<Duration> {
        let rate = self.rate(now);
        self.tokens = self.refilled(now).min(self.burst);
        if self.tokens >= self.burst {
            self.filled_at = now.plus_ms(ARRIVES_WITHIN_MS);
        } else if !(0..=ARRIVES_WITHIN_MS).contains(&(self.filled_at.0 - now.0)) {
            self.filled_at = now;
        }
        let missing = (1.0 - self.tokens).max(0.0);
        let mut wait_ms = (missing / rate).ceil() as i64;
        if missing > 0.0 {
            wait_ms += self.filled_at.0 - now.0;
        }
        if now.plus_ms(wait_ms) > until {
            return None;
        }
        self.tokens -= 1.0;
        Some(Duration::from_millis(wait_ms.unsigned_abs()))
    }

    /// A call that took its token earlier is sent now. Until then AWS's bucket may have been full, and did not
    /// refill: it is not fuller than one less now.
    pub fn sent(&mut self, now: UtcMillis) {
        if self.refilled(now) > self.burst - 1.0 {
            self.tokens = self.burst - 1.0;
            self.filled_at = self.filled_at.max(now.plus_ms(self.late_ms));
        }
    }

    /// AWS said to slow down: nothing is left, and the refill is halved and recovers slowly. Gives the
    /// part of the rate that is left; `None` for one more answer of the same burst.
    pub fn slow_down(&mut self, now: UtcMillis) -> Option<f64> {
        if self
            .slowed
            .is_some_and(|(at, _)| now.0 - at.0 < SAME_BURST_MS)
        {
            return None;
        }
        let part = (self.part(now) / 2.0).max(FLOOR);
        self.slowed = Some((now, part));
        self.tokens = self.tokens.min(0.0);
        Some(part)
    }

    /// What it would hold now if it could hold any number. A clock that steps back fills nothing.
    fn refilled(&self, now: UtcMillis) -> f64 {
        let elapsed = (now.0 - self.filled_at.0).max(0) as f64;
        self.tokens + elapsed * self.rate(now)
    }

    /// Tokens per millisecond now.
    fn rate(&self, now: UtcMillis) -> f64 {
        self.full_rate * self.part(now)
    }

    /// The part of the full rate that holds now.
    fn part(&self, now: UtcMillis) -> f64 {
        self.slowed
            .map_or(1.0, |(at, part)| recovered(part, now.0 - at.0))
    }
}

/// What a share of a burst is worth: at least one token, or nothing could be asked.
pub fn shared_burst(burst: f64, share: f64) -> f64 {
    (burst * share).max(1.0)
}

/// What `part` of the rate has grown to after `since_ms` without a word.
pub fn recovered(part: f64, since_ms: i64) -> f64 {
    (part + (1.0 - part) * since_ms.max(0) as f64 / RECOVERY_MS).min(1.0)
}

/// The buckets of one account, made as they are needed.
#[derive(Debug)]
pub struct Buckets {
    /// `None` for the collector's own calls.
    account: Option<AccountId>,
    share: f64,
    /// How many processes share what AWS grants.
    processes: u32,
    learned: Arc<Learned>,
    buckets: Mutex<HashMap<(Region, Operation), TokenBucket>>,
}

impl Buckets {
    /// No bucket yet.
    pub fn new(account: Option<AccountId>, share: f64, learned: Arc<Learned>) -> Self {
        Self {
            account,
            share,
            processes: 1,
            learned,
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// One of `processes` that ask as the same account, each with an equal part of the grant.
    pub fn one_of(self, processes: u32) -> Self {
        Self {
            processes: processes.max(1),
            ..self
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
        self.with(region, operation, now, |b, _| b.take(now, until))
    }

    /// [`TokenBucket::sent`] for one Region and operation.
    pub fn sent(&self, region: &Region, operation: Operation, now: UtcMillis) {
        self.with(region, operation, now, |bucket, _| bucket.sent(now));
    }

    /// [`TokenBucket::slow_down`] for one Region and operation.
    pub fn slow_down(&self, region: &Region, operation: Operation, now: UtcMillis) {
        self.with(region, operation, now, |bucket, asked| {
            if let Some(part) = bucket.slow_down(now) {
                self.learned.slowed(&asked(), part, now);
            }
        });
    }

    fn with<T>(
        &self,
        region: &Region,
        operation: Operation,
        now: UtcMillis,
        act: impl FnOnce(&mut TokenBucket, &dyn Fn() -> Asked) -> T,
    ) -> T {
        // STS counts both together (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
        let counted = match operation {
            Operation::GetCallerIdentity => Operation::AssumeRole,
            other => other,
        };
        let asked = || Asked {
            account: self.account.clone(),
            region: region.clone(),
            operation: counted,
        };
        let mut buckets = lock(&self.buckets);
        let bucket = buckets.entry((region.clone(), counted)).or_insert_with(|| {
            let (burst, per_second) = operation.granted_rate();
            let processes = f64::from(self.processes);
            let granted = (burst / processes, per_second / processes);
            let full = TokenBucket::new(granted, self.share, now);
            match self.learned.first(&asked(), now) {
                Some(part) => full.slowed_to(part, now),
                None => full,
            }
        });
        act(bucket, &asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::footprint;

    const FAR: UtcMillis = UtcMillis(i64::MAX);

    fn wait(bucket: &mut TokenBucket, now: i64) -> u64 {
        bucket
            .take(UtcMillis(now), FAR)
            .map_or(u64::MAX, |d| d.as_millis() as u64)
    }

    #[test]
    fn burst_and_refill_follow_the_share() {
        let mut bucket = TokenBucket::new((4.0, 1.0), 0.5, UtcMillis(0));
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(wait(&mut bucket, 0), 2_500);
        assert_eq!(wait(&mut bucket, 0), 4_500);
    }

    /// By the measure of the footprint: whatever is asked, and for how long.
    #[test]
    fn no_more_than_the_share_of_the_quota_is_used() {
        for (granted, share, most) in [((10.0, 1.0), 0.5, 50), ((10.0, 1.0), 0.2, 20)] {
            for until in [0, 1_000, 60_000, 600_000] {
                let mut bucket = TokenBucket::new(granted, share, UtcMillis(0));
                let until = UtcMillis(until);
                let calls = (0..).take_while(|_| bucket.take(UtcMillis(0), until).is_some());
                let calls = calls.count() as i64;
                let percent = footprint::percent(granted, calls, until.0);
                assert!(percent <= most, "{share}: {percent} % until {until}");
            }
        }
    }

    #[test]
    fn calls_that_are_sent_late_and_arrive_later_or_sooner_are_not_refused() {
        for (granted, waits_for_turn) in [
            ((2.0, 2.0), [0; 5]),
            ((2.0, 2.0), [0, 2_500, 40, 9_000, 700]),
            ((10.0, 0.5), [3_000, 1_400, 1_400, 900, 0]),
        ] {
            let mut ours = TokenBucket::new(granted, 1.0, UtcMillis(0));
            // AWS's, which takes tokens as calls arrive.
            let (mut tokens, mut filled_at) = (granted.0, 0_i64);
            let mut sent_at = 0;
            for n in 0..1_000_i64 {
                sent_at += wait(&mut ours, sent_at) as i64 + waits_for_turn[(n % 5) as usize];
                ours.sent(UtcMillis(sent_at));
                let arrives_at = sent_at + [300, 0, 120, 0, 7, 450][(n % 6) as usize];
                tokens += (arrives_at - filled_at).max(0) as f64 * granted.1 / 1_000.0;
                tokens = tokens.min(granted.0);
                filled_at = filled_at.max(arrives_at);
                assert!(tokens >= 1.0, "{granted:?}: call {n} is refused: {tokens}");
                tokens -= 1.0;
            }
        }
    }

    #[test]
    fn a_share_is_had_though_calls_leave_a_little_after_their_turn() {
        // One token is the burst of half of this grant, so that every call finds the bucket full.
        let mut bucket = TokenBucket::new((2.0, 2.0), 0.5, UtcMillis(0));
        let mut now = 0;
        for _ in 0..100 {
            now += wait(&mut bucket, now) as i64 + 30;
            bucket.sent(UtcMillis(now));
        }
        assert!((99_000..=103_500).contains(&now), "{now} ms for 100 calls");
    }

    #[test]
    fn a_token_too_late_is_not_taken() {
        let mut bucket = TokenBucket::new((1.0, 1.0), 1.0, UtcMillis(0));
        assert_eq!(wait(&mut bucket, 0), 0);
        assert_eq!(bucket.take(UtcMillis(0), UtcMillis(1_499)), None);
        assert_eq!(wait(&mut bucket, 0), 1_500);
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
        assert_eq!(wait(&mut bucket, 1_000_000), 1_500, "full rate again");
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
    fn shards_together_ask_no_faster_than_one_process() {
        let until = UtcMillis(10_000);
        let granted = |processes: u32| -> u32 {
            let all = (0..processes).map(|_| {
                let own = Buckets::new(None, 0.5, Arc::default()).one_of(processes);
                let global = Region::global();
                let take = || own.take(&global, Operation::AssumeRole, UtcMillis(0), until);
                (0..).take_while(|_| take().is_some()).count() as u32
            });
            all.sum()
        };
        // 300 at once and, half a second later, 300 a second.
        assert_eq!(granted(1), 3_150);
        for shards in [2, 4, 7, 99] {
            let all = granted(shards);
            assert!((2_940..=3_150).contains(&all), "{shards}: {all}");
        }
    }

    #[test]
    fn a_new_session_begins_at_the_rate_that_the_last_one_was_left_with() {
        let learned: Arc<Learned> = Arc::default();
        let account: AccountId = "111122223333".parse().expect("account");
        let region: Region = "eu-west-1".parse().expect("Region");
        let session = || Buckets::new(Some(account.clone()), 1.0, learned.clone());
        let at_once = |session: &Buckets| {
            let at = UtcMillis(1_000);
            let free = |_: &i32| {
                session.take(&region, Operation::DescribeCluster, at, at) == Some(Duration::ZERO)
            };
            (0..).take_while(free).count()
        };
        let first = session();
        assert_eq!(at_once(&first), 10);
        first.slow_down(&region, Operation::DescribeCluster, UtcMillis(1_000));
        assert_eq!(at_once(&session()), 5);
        let elsewhere: Region = "us-east-1".parse().expect("Region");
        let other = session();
        let (at, asks) = (UtcMillis(1_000), Operation::DescribeCluster);
        assert_eq!(other.take(&elsewhere, asks, at, at), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_steps_back_and_nonsense_shares_do_no_harm() {
        let mut bucket = TokenBucket::new((1.0, 1.0), f64::NAN, UtcMillis(10_000));
        assert_eq!(wait(&mut bucket, 10_000), 0);
        assert_eq!(wait(&mut bucket, 0), 2_000);
    }
}
