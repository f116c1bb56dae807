use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::{Clock, UtcMillis};

/// A clock that moves only when it is told to, or slept on: a sleep is over at once and the clock
/// then shows its end.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `now`.
    pub fn at(now: UtcMillis) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock by `ms`.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.advance_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        Box::pin(tokio::task::yield_now())
    }
}
