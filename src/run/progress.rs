//! What a person or a log sees while a run collects.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::collect::attempt::{Attempts, Progress};
use crate::report::text::{counted, duration, number, percent};

use super::RunOptions;

/// How often a line goes to a log.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// How often the bar moves.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// Progress that is being shown.
pub struct Shown(Option<tokio::task::JoinHandle<()>>, ProgressBar);

impl Shown {
    /// Takes the progress off the screen.
    pub fn finish(self) {
        if let Some(task) = self.0 {
            task.abort();
        }
        self.1.finish_and_clear();
    }
}

/// Shows progress: a bar on a terminal, a log line now and then elsewhere, nothing when told so.
pub fn show(options: &RunOptions, attempts: &Arc<Attempts>) -> Shown {
    if !options.progress {
        return Shown(None, ProgressBar::hidden());
    }
    let progress = attempts.progress().clone();
    let began = Instant::now();
    if options.json || !std::io::stderr().is_terminal() {
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOG_EVERY).await;
                tracing::info!(
                    accounts_done = progress.accounts_done.load(Relaxed),
                    accounts = progress.accounts_total.load(Relaxed),
                    cells_done = progress.cells_done.load(Relaxed),
                    calls = progress.calls.load(Relaxed),
                    throttles = progress.throttles.load(Relaxed),
                    "collecting"
                );
            }
        });
        return Shown(Some(task), ProgressBar::hidden());
    }
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {msg}") {
        bar.set_style(style);
    }
    let drawn = bar.clone();
    let task = tokio::spawn(async move {
        loop {
            drawn.set_length(progress.accounts_total.load(Relaxed).max(1));
            drawn.set_position(progress.accounts_done.load(Relaxed));
            drawn.set_message(line(&progress, began.elapsed()));
            tokio::time::sleep(DRAW_EVERY).await;
        }
    });
    Shown(Some(task), bar)
}

/// `12/400 accounts, 310 cells, 1,204 calls, 0.1 % throttled, 4 min left`.
fn line(progress: &Progress, elapsed: Duration) -> String {
    let read = |n: &std::sync::atomic::AtomicU64| n.load(Relaxed) as i64;
    let (done, all) = (
        read(&progress.accounts_done),
        read(&progress.accounts_total),
    );
    let left = match (done, all - done) {
        (0, _) | (_, 0) => String::new(),
        (done, open) => {
            format!(
                ", {} left",
                duration(elapsed.as_millis() as i64 / done * open)
            )
        }
    };
    format!(
        "{}/{} accounts, {}, {}, {} throttled{left}",
        number(done),
        number(all),
        counted(read(&progress.cells_done), "cell", "cells"),
        counted(read(&progress.calls), "call", "calls"),
        percent(read(&progress.throttles), read(&progress.calls)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_left() {
        let progress = Progress::default();
        progress.accounts_total.store(400, Relaxed);
        assert!(!line(&progress, Duration::from_secs(1)).contains("left"));
        progress.accounts_done.store(100, Relaxed);
        progress.calls.store(1000, Relaxed);
        progress.throttles.store(1, Relaxed);
        let text = line(&progress, Duration::from_secs(100));
        assert_eq!(
            text,
            "100/400 accounts, 0 cells, 1,000 calls, 0.1 % throttled, 5 min left"
        );
    }
}
