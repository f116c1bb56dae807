use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::time::{Clock, UtcMillis};

/// Time that passes only while nobody has anything to do: it then jumps to the earliest moment that
/// somebody waits for. Hours pass in milliseconds, and everything that one thread does with it
/// repeats exactly.
pub struct VirtualClock(Mutex<Ticks>);

struct Ticks {
    now: i64,
    next: u64,
    /// Who waits, by the moment and in the order in which they began to.
    waiting: BTreeMap<(i64, u64), Waker>,
}

impl VirtualClock {
    /// Runs `work` to its end on a runtime of its own, without timers and sockets, in which time begins
    /// at `start`. Work that waits for something else than this clock never ends.
    ///
    /// # Panics
    /// When the machine gives no runtime.
    pub fn run<T, F>(start: UtcMillis, work: impl FnOnce(Arc<Self>) -> F) -> T
    where
        F: Future<Output = T>,
    {
        let clock = Arc::new(Self(Mutex::new(Ticks {
            now: start.0,
            next: 0,
            waiting: BTreeMap::new(),
        })));
        let idle = Arc::clone(&clock);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || idle.jump())
            .build()
            .expect("a runtime without drivers");
        runtime.block_on(work(clock))
    }

    /// A sleep that may outlive the borrow of the clock.
    pub fn wait(self: &Arc<Self>, duration: Duration) -> VirtualSleep {
        let mut ticks = self.ticks();
        ticks.next += 1;
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        VirtualSleep {
            until: (ticks.now.saturating_add(ms), ticks.next),
            clock: Arc::clone(self),
        }
    }

    /// Nobody has anything to do.
    fn jump(&self) {
        let mut ticks = self.ticks();
        if let Some(((at, _), waker)) = ticks.waiting.pop_first() {
            ticks.now = ticks.now.max(at);
            drop(ticks);
            waker.wake();
        }
    }

    fn ticks(&self) -> MutexGuard<'_, Ticks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualClock({})", self.ticks().now)
    }
}

impl Clock for Arc<VirtualClock> {
    fn now(&self) -> UtcMillis {
        UtcMillis(self.ticks().now)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.wait(duration))
    }
}

/// Completes when its moment has come.
pub struct VirtualSleep {
    until: (i64, u64),
    clock: Arc<VirtualClock>,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut ticks = self.clock.ticks();
        if ticks.now >= self.until.0 {
            ticks.waiting.remove(&self.until);
            return Poll::Ready(());
        }
        ticks.waiting.insert(self.until, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        self.clock.ticks().waiting.remove(&self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_while_everybody_waits_and_in_order() {
        let began = UtcMillis(1_000);
        let (order, ended) = VirtualClock::run(began, |clock| async move {
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut open = tokio::task::JoinSet::new();
            for (name, seconds) in [("c", 7_200), ("a", 1), ("b", 60)] {
                let (clock, order) = (clock.clone(), order.clone());
                open.spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    order.lock().unwrap().push((name, clock.now()));
                });
            }
            // One that is given up holds nobody back.
            drop(clock.wait(Duration::from_secs(86_400)));
            while open.join_next().await.is_some() {}
            (order.lock().unwrap().clone(), clock.now())
        });
        let at = |ms| began.plus_ms(ms);
        assert_eq!(
            order,
            [("a", at(1_000)), ("b", at(60_000)), ("c", at(7_200_000))]
        );
        assert_eq!(ended, at(7_200_000));
    }
}
