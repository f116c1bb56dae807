//! Where the SQL engine works. It parses and plans by recursion, and needs more stack than the threads of
//! a runtime have.

use std::future::Future;
use std::thread;
use std::time::Duration;

/// Stack of such a thread. Only what is used of it takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// How often memory is looked at. A query fills it with some gigabytes a second.
const LOOK: Duration = Duration::from_millis(10);

/// Does something in a thread with a large stack; `None` when it panicked or there is no such thread.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("sql".to_owned());
        let thread = builder.stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

/// The same for a future. Must be awaited inside a Tokio runtime.
pub async fn apart_async<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = tokio::runtime::Handle::current();
    let there = move || apart(move || runtime.block_on(work()));
    tokio::task::spawn_blocking(there).await.ok().flatten()
}

/// Returns once this process holds more than so many bytes of memory: the engine does not count all that
/// it makes. Never, where the system does not tell.
pub async fn holds_more_than(bytes: u64) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        match held() {
            Some(held) if held > bytes => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

fn held() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let held = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = held.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
