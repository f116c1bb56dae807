//! A few things at once, for stores where each call waits for the network.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// Does `work` on every item, eight at a time, and gives the results in the order of the items. They
/// come as a list: a lazy iterator over borrowed things would keep the future from moving to another
/// thread.
pub(super) async fn gather<T, R, F: Future<Output = R>>(
    items: Vec<T>,
    work: impl Fn(T) -> F,
) -> Vec<R> {
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || async {
        let mut done = Vec::new();
        while let Some((at, item)) = next() {
            done.push((at, work(item).await));
        }
        done
    };
    let (a, b, c, d, e, f, g, h) = tokio::join!(
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker()
    );
    let mut done: Vec<(usize, R)> = [a, b, c, d, e, f, g, h].into_iter().flatten().collect();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn results_keep_the_order_of_items() {
        let results = super::gather((0..100u64).collect(), |n| async move {
            for _ in 0..(n * 7 % 13) {
                tokio::task::yield_now().await;
            }
            n * 2
        })
        .await;
        assert_eq!(results, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        assert!(
            super::gather(Vec::<u8>::new(), |n| async move { n })
                .await
                .is_empty()
        );
    }
}
