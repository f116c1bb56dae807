//! Clients that are asked more than once.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::model::ids::Region;

/// As many clients are kept, 14 KB each: those of 128 open accounts with four Regions.
const KEPT: usize = 512;

/// The clients that all sessions built last.
#[derive(Default)]
pub(super) struct Kept(Mutex<VecDeque<Arc<dyn Any + Send + Sync>>>);

/// A session's clients of one service, by Region, for as long as they are kept: building one costs a sixth
/// of a call.
pub(super) struct Clients<C>(Mutex<Vec<(Region, Weak<C>)>>);

impl<C: Send + Sync + 'static> Clients<C> {
    /// Nothing was asked yet.
    pub fn none() -> Self {
        Self(Mutex::default())
    }

    /// The client of a Region, which `build` makes where none is kept.
    pub fn of(&self, region: &Region, kept: &Kept, build: impl FnOnce() -> C) -> Arc<C> {
        let mut mine = lock(&self.0);
        let mut here = mine.iter().filter(|(of, _)| of == region);
        if let Some(client) = here.find_map(|(_, client)| client.upgrade()) {
            return client;
        }
        let client = Arc::new(build());
        mine.retain(|(_, client)| client.strong_count() > 0);
        mine.push((region.clone(), Arc::downgrade(&client)));
        let mut kept = lock(&kept.0);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(client.clone());
        client
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_built_once_until_others_take_its_place() {
        let (kept, mine) = (Kept::default(), Clients::none());
        let mut built = 0;
        let mut ask = |clients: &Clients<u32>, region: &str| {
            let region: Region = region.parse().expect("Region");
            *clients.of(&region, &kept, || {
                built += 1;
                built
            })
        };
        let regions = ["eu-west-1", "us-east-1"];
        assert_eq!(regions.map(|r| ask(&mine, r)), [1, 2]);
        assert_eq!(regions.map(|r| ask(&mine, r)), [1, 2]);
        for n in 0..KEPT as u32 - 1 {
            assert_eq!(ask(&Clients::none(), "eu-west-1"), 3 + n);
        }
        assert_eq!(ask(&mine, "us-east-1"), 2, "one place was left");
        let next = KEPT as u32 + 2;
        assert_eq!(ask(&mine, "eu-west-1"), next, "the oldest made room");
        assert_eq!(lock(&kept.0).len(), KEPT);
    }
}
