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
    bytes_of("/proc/self/status", "VmRSS:")
}

/// Half of the memory that the machine has, or that its container may take, in bytes; 4 GiB where neither is
/// told.
pub fn half_of_memory() -> u64 {
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    let all = bytes_of("/proc/meminfo", "MemTotal:").into_iter();
    all.chain(container).min().unwrap_or(8 << 30) / 2
}

/// A line of a file of the system that tells KiB.
fn bytes_of(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let told = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = told.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
