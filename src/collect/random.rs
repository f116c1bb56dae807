//! Chance as an argument: the same seed gives the same shuffle and the same jitter.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives numbers in `[0, 1)`.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A generator that starts at `seed` (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub fn seeded(seed: u64) -> Random {
    let state = AtomicU64::new(seed);
    Arc::new(move || {
        let state = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        // 53 bits are what a double holds.
        (mix(state) >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Puts `items` into an order that depends on `seed` alone.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let random = seeded(seed);
    for i in (1..items.len()).rev() {
        let j = (random() * (i as f64 + 1.0)) as usize;
        items.swap(i, j.min(i));
    }
}

/// A hash of `text` that is the same in every process of one build.
pub fn hash(seed: u64, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    text.hash(&mut hasher);
    hasher.finish()
}

/// A hash of `text` that never changes between versions (FNV-1a, then mixed), for decisions that
/// must agree from run to run.
pub fn stable_hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_depends_on_its_seed_alone() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        shuffle::<u8>(&mut [], 1);
    }

    #[test]
    fn numbers_stay_below_one() {
        let random = seeded(u64::MAX);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&random())));
    }

    #[test]
    fn the_stable_hash_is_pinned() {
        assert_eq!(stable_hash("j-1"), 14_842_175_512_799_363_074);
    }
}
