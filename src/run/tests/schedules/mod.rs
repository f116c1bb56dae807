//! Thousands of seeded runs against a sandbox in this process, each with faults of its own and in virtual
//! time: requests are signed, sent, answered, broken and parsed as over the wire, but no socket is
//! opened and nobody waits.
//!
//! Every run is compared with the organization itself, with a run that nothing befalls, and is followed
//! by one that must fill its holes. A seed that fails prints itself with the faults that it takes to fail.
//!
//! - `plan`: what befalls a run, drawn from its seed.
//! - `wire`: the connection on which it befalls.
//! - `look`: one run, from the scope to its verdicts.
//! - `property`: what must hold of it; `compare`: beside a run that nothing befalls.

mod compare;
mod look;
mod plan;
mod property;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use look::{STAGES, stage};
use plan::{Dial, Schedule, What};
use property::{Shown, show};

fn shown(plan: &Schedule) -> Shown {
    show(stage(plan.stage), plan)
}

/// The same with as few faults as it takes to fail.
fn shrunk(mut plan: Schedule) -> (Schedule, Vec<String>) {
    let mut problems = shown(&plan).problems;
    let mut at = 0;
    while at < plan.dials.len() {
        let mut less = plan.clone();
        less.dials.remove(at);
        let found = shown(&less).problems;
        if found.is_empty() {
            at += 1;
        } else {
            (plan, problems) = (less, found);
        }
    }
    (plan, problems)
}

/// What a range of seeds came to.
#[derive(Default)]
struct Sum {
    schedules: AtomicU64,
    partial: AtomicU64,
    requests: AtomicU64,
    struck: AtomicU64,
    failed: Mutex<Vec<String>>,
}

/// Runs the schedules of these seeds, on as many threads as the machine has cores.
fn run(seeds: std::ops::Range<u64>) -> Sum {
    let sum = Sum::default();
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    let plan = Schedule::draw(seed, STAGES);
                    let shown = shown(&plan);
                    sum.schedules.fetch_add(1, Ordering::Relaxed);
                    sum.requests.fetch_add(shown.bad.seen, Ordering::Relaxed);
                    sum.struck.fetch_add(shown.bad.struck, Ordering::Relaxed);
                    sum.partial
                        .fetch_add(shown.is_partial.into(), Ordering::Relaxed);
                    if !shown.problems.is_empty() {
                        let (plan, problems) = shrunk(plan);
                        let text = format!("{plan:?}{}", problems.join("\n"));
                        eprintln!("{text}\n");
                        sum.failed.lock().expect("no thread panicked").push(text);
                    }
                }
            });
        }
    });
    sum
}

impl Sum {
    fn assert(self) {
        let failed = self.failed.into_inner().expect("no thread panicked");
        assert!(
            failed.is_empty(),
            "{} of {} schedules failed; SCHEDULE_SEEDS=SEED repeats one. The first:\n{}",
            failed.len(),
            self.schedules.into_inner(),
            failed[0]
        );
    }
}

/// The seeds in `SCHEDULE_SEEDS`: `FROM..TO`, or a single one.
fn seeds(otherwise: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SCHEDULE_SEEDS") else {
        return otherwise;
    };
    let number = |t: &str| t.parse().expect("SCHEDULE_SEEDS is FROM..TO or a seed");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

/// `scripts/test`, and so CI, runs 1,000; `scripts/soak` 10,000.
#[test]
fn no_schedule_of_faults_loses_anything_in_silence() {
    let sum = run(seeds(0..100));
    let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let schedules = of(&sum.schedules);
    if schedules >= 100 {
        let (struck, partial) = (of(&sum.struck), of(&sum.partial));
        assert!(struck > 20 * schedules, "{struck} struck");
        assert!(2 * partial > schedules, "{partial} partial");
    }
    sum.assert();
}

/// `scripts/soak` lets this run; `SCHEDULE_SEEDS` chooses other seeds.
#[test]
#[ignore = "minutes"]
fn soak() {
    let began = Instant::now();
    let seeds = seeds(0..10_000);
    println!("seeds {seeds:?}");
    let sum = run(seeds);
    println!(
        "{} schedules, {} of them partial; {} requests, {} struck; {:.0} s",
        sum.schedules.load(Ordering::Relaxed),
        sum.partial.load(Ordering::Relaxed),
        sum.requests.load(Ordering::Relaxed),
        sum.struck.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64()
    );
    sum.assert();
}

/// The schedule of a seed with these faults and no others, on a day that stands still.
fn planted(seed: u64, what: What, operation: &'static [&'static str]) -> Vec<String> {
    let mut plan = Schedule::draw(seed, STAGES).calm();
    (plan.is_moving, plan.is_second_day) = (false, false);
    let calm = shown(&plan).problems;
    assert!(calm.is_empty(), "{calm:?}");
    plan.dials.push(Dial {
        operations: operation,
        ..Dial::every(what)
    });
    shown(&plan).problems
}

#[test]
fn a_cluster_that_a_list_swallows_is_noticed() {
    let problems = planted(1, What::Swallow, &["ListClusters"]);
    assert!(
        problems.iter().any(|p| p.starts_with("LOST")),
        "{problems:?}"
    );
}

#[test]
fn a_setting_that_an_answer_forgets_is_noticed() {
    for seed in 0..3 {
        let member = What::Forget("LogEncryptionKmsKeyId");
        let problems = planted(seed, member, &["DescribeCluster"]);
        let of_row = |p: &String| p.contains("log_key is -");
        assert!(problems.iter().any(of_row), "{problems:?}");
        assert!(
            problems.iter().any(|p| p.starts_with("JUDGED")),
            "{problems:?}"
        );
    }
}

/// Clusters start and end while lists are read an entry a page, and each page comes seconds after the one
/// before it.
#[test]
fn lists_that_change_between_their_pages_lose_nobody() {
    for seed in 0..8 {
        let mut plan = Schedule::draw(seed, STAGES).calm();
        (plan.is_moving, plan.is_second_day, plan.page) = (true, false, 1);
        plan.dials.push(Dial {
            operations: &["ListClusters"],
            ..Dial::every(What::Slow(9_000))
        });
        let shown = shown(&plan);
        assert!(shown.problems.is_empty(), "{plan:?}{:?}", shown.problems);
        assert!(shown.bad.struck > 8, "{} pages", shown.bad.struck);
    }
}

#[test]
fn a_schedule_repeats_itself() {
    for seed in [3, 4, 5] {
        let plan = Schedule::draw(seed, STAGES);
        let (one, two) = (shown(&plan).bad, shown(&plan).bad);
        assert_eq!(one.facts, two.facts);
        assert_eq!((one.seen, one.ended), (two.seen, two.ended));
    }
}
