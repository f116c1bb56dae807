//! Which rates AWS let us have when it said to slow down, kept beyond a session and a run.
//!
//! A bucket that was slowed begins slower the next time. Within a run the memory recovers as the
//! bucket does; from an earlier run it fades over a week, and a place that was asked again and did not
//! complain is forgotten sooner. Nothing here is evidence: without it a run is only less careful.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::collect::attempt::lock;
use crate::collect::bucket::recovered;
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};
use crate::time::{DAY_MS, UtcMillis};

/// More places are not remembered.
pub const MOST: usize = 20_000;
/// After this long a memory is worth nothing.
const FADES_MS: i64 = 7 * DAY_MS;
/// No run begins slower than at this part of its rate: a bad hour is no reason for a bad day.
const LEAST: f64 = 1.0 / 8.0;
/// What is left of the rate above this is no reason to hold back.
const ENOUGH: f64 = 0.9;

/// Whose rate it is. `account` is `None` for the collector's own calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    pub account: Option<AccountId>,
    pub region: Region,
    pub operation: Operation,
}

/// What is remembered of one bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    pub asked: Asked,
    /// The part of the full rate that was left when AWS last said to slow down, above 0 and at most 1.
    pub part: f64,
    pub at: UtcMillis,
}

/// The rates that this process knows of. One for the whole process.
#[derive(Debug, Default)]
pub struct Learned(Mutex<HashMap<Asked, Memory>>);

#[derive(Debug, Clone, Copy)]
struct Memory {
    part: f64,
    at: UtcMillis,
    since: Since,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// An earlier run learned it, and nobody has asked there since.
    Earlier,
    /// An earlier run learned it, and this one has asked without being told to slow down.
    Tried,
    /// This run learned it.
    Now,
}

impl Learned {
    /// What earlier runs learned; faded memories and those beyond [`MOST`] are left out.
    pub fn of(mut rates: Vec<Rate>, now: UtcMillis) -> Self {
        rates.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.asked.cmp(&b.asked)));
        let mut known = HashMap::new();
        for rate in rates {
            // Another machine's clock may be ahead.
            let at = rate.at.min(now);
            if known.len() < MOST && now.0.saturating_sub(at.0) < FADES_MS {
                known.entry(rate.asked).or_insert(Memory {
                    part: rate.part.max(LEAST),
                    at,
                    since: Since::Earlier,
                });
            }
        }
        Self(Mutex::new(known))
    }

    /// The part of its full rate with which a bucket that is first used now begins.
    pub fn first(&self, asked: &Asked, now: UtcMillis) -> Option<f64> {
        let mut known = lock(&self.0);
        let memory = known.get_mut(asked)?;
        if memory.since == Since::Earlier {
            memory.since = Since::Tried;
        }
        let part = memory.part_at(now);
        (part < 1.0).then_some(part)
    }

    /// AWS said to slow down, and `part` of the full rate is left.
    pub fn slowed(&self, asked: &Asked, part: f64, now: UtcMillis) {
        let mut known = lock(&self.0);
        if known.len() < MOST || known.contains_key(asked) {
            let memory = Memory {
                part,
                at: now,
                since: Since::Now,
            };
            known.insert(asked.clone(), memory);
        }
    }

    /// What the next run should know, sorted.
    pub fn rates(&self, now: UtcMillis) -> Vec<Rate> {
        let known = lock(&self.0);
        let kept = |(asked, memory): (&Asked, &Memory)| {
            let (part, at) = match memory.since {
                Since::Now => (memory.part.max(LEAST), memory.at),
                Since::Earlier if now.0 - memory.at.0 < FADES_MS => (memory.part, memory.at),
                // Half of what was held back is let go.
                Since::Tried => (f64::midpoint(memory.part_at(now), 1.0), now),
                Since::Earlier => return None,
            };
            (part <= ENOUGH).then(|| Rate {
                asked: asked.clone(),
                part,
                at,
            })
        };
        let mut rates: Vec<Rate> = known.iter().filter_map(kept).collect();
        rates.sort_by(|a, b| a.asked.cmp(&b.asked));
        rates
    }
}

impl Memory {
    fn part_at(&self, now: UtcMillis) -> f64 {
        match self.since {
            Since::Now => recovered(self.part, now.0 - self.at.0),
            Since::Earlier | Since::Tried => {
                let faded = (now.0 - self.at.0).max(0) as f64 / FADES_MS as f64;
                (self.part + (1.0 - self.part) * faded).min(1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_795_485_600_000);

    fn asked(n: usize) -> Asked {
        Asked {
            account: Some(format!("{n:012}").parse().expect("account")),
            region: "eu-west-1".parse().expect("Region"),
            operation: Operation::DescribeCluster,
        }
    }

    fn rate(n: usize, part: f64, days_ago: i64) -> Rate {
        Rate {
            asked: asked(n),
            part,
            at: NOW.plus_ms(-days_ago * DAY_MS),
        }
    }

    #[test]
    fn what_was_learned_is_begun_with_and_fades() {
        let learned = Learned::of(
            vec![rate(1, 0.25, 0), rate(2, 0.3, 7), rate(3, 0.3, -9)],
            NOW,
        );
        assert_eq!(learned.first(&asked(1), NOW), Some(0.25));
        assert_eq!(learned.first(&asked(2), NOW), None, "too old");
        assert_eq!(learned.first(&asked(3), NOW), Some(0.3), "a clock ahead");
        assert_eq!(learned.first(&asked(4), NOW), None);
        let mut strange = rate(5, 1e-300, 0);
        let slowest = Learned::of(vec![strange.clone()], NOW).first(&asked(5), NOW);
        assert_eq!(slowest, Some(LEAST));
        strange.at = UtcMillis(i64::MIN);
        let learned_never = Learned::of(vec![strange], NOW);
        assert_eq!(learned_never.first(&asked(5), NOW), None);
        let later = NOW.plus_ms(7 * DAY_MS / 2);
        let part = learned.first(&asked(1), later).expect("slower");
        assert!((part - 0.625).abs() < 1e-9, "{part}");
    }

    #[test]
    fn a_place_that_does_not_complain_again_is_forgotten_by_and_by() {
        let mut rates = vec![rate(1, 0.25, 0), rate(2, 0.25, 1)];
        let mut parts = Vec::new();
        for _ in 0..5 {
            let learned = Learned::of(rates, NOW);
            learned.first(&asked(1), NOW);
            rates = learned.rates(NOW);
            parts.extend(rates.iter().filter(|r| r.asked == asked(1)).map(|r| r.part));
        }
        assert_eq!(parts, [0.625, 0.8125]);
        // Nobody asked there.
        assert_eq!(rates, [rate(2, 0.25, 1)]);
    }

    #[test]
    fn what_this_run_learned_counts_at_once_and_recovers_as_a_bucket_does() {
        let learned = Learned::default();
        learned.slowed(&asked(1), 0.5, NOW);
        assert_eq!(learned.first(&asked(1), NOW), Some(0.5));
        assert_eq!(learned.first(&asked(1), NOW.plus_ms(3_600_000)), None);
        let kept = learned.rates(NOW.plus_ms(3_600_000));
        assert_eq!(kept, [rate(1, 0.5, 0)]);
        learned.slowed(&asked(1), 1.0 / 64.0, NOW);
        assert_eq!(learned.first(&asked(1), NOW), Some(1.0 / 64.0));
        assert_eq!(learned.rates(NOW), [rate(1, 0.125, 0)]);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let mut rates: Vec<Rate> = (0..MOST + 5).map(|n| rate(n, 0.5, 1)).collect();
        rates.push(rate(MOST + 9, 0.5, 0));
        let learned = Learned::of(rates, NOW);
        assert!(learned.first(&asked(MOST + 9), NOW).is_some());
        learned.slowed(&asked(MOST + 10), 0.5, NOW);
        learned.slowed(&asked(MOST + 9), 0.25, NOW);
        let kept = learned.rates(NOW);
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept.last().map(|r| r.part), Some(0.25));
    }
}
