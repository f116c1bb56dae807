//! Where the SQL engine works. It parses and plans by recursion, and needs more stack than the threads of
//! a runtime have.

use std::future::Future;
use std::thread;

/// Stack of such a thread. Only what is used of it takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;

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
