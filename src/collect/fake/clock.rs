//! A clock that never waits.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::collect::attempt::lock;
use crate::time::{Clock, UtcMillis};

/// 2026-11-24T02:00:00Z.
pub(crate) const START: i64 = 1_795_485_600_000;

/// Virtual time: it moves to the earliest sleeper once nobody has done anything for a while. For
/// the current-thread runtime.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Ticks>);

#[derive(Debug)]
struct Ticks {
    now: i64,
    activity: u64,
    next: u64,
    sleepers: BTreeSet<(i64, u64)>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ticks {
            now: START,
            activity: 0,
            next: 0,
            sleepers: BTreeSet::new(),
        })))
    }

    pub(super) fn touch(&self) {
        lock(&self.0).activity += 1;
    }
}

struct Sleeper<'a>(&'a TestClock, (i64, u64));

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).sleepers.remove(&self.1);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(lock(&self.0).now)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let me = {
                let mut t = lock(&self.0);
                t.next += 1;
                t.activity += 1;
                let me = (t.now + duration.as_millis() as i64, t.next);
                t.sleepers.insert(me);
                Sleeper(self, me)
            };
            let mut idle = (0, 0);
            loop {
                {
                    let mut t = lock(&self.0);
                    if t.now >= me.1.0 {
                        return;
                    }
                    idle = if idle.0 == t.activity {
                        (idle.0, idle.1 + 1)
                    } else {
                        (t.activity, 0)
                    };
                    if idle.1 > 20 && t.sleepers.first() == Some(&me.1) {
                        t.now = me.1.0;
                        t.activity += 1;
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        })
    }
}
