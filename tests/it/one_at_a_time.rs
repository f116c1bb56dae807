//! One run at a time, and what a run that ends early leaves behind.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use keyproof::archive::starts::StartError;
use keyproof::error::Exit;
use keyproof::model::ids::RunId;
use keyproof::run::{self, Audited, RunError};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use tokio::sync::watch;

use crate::support::{Place, files_below, never, told};

fn options() -> Options {
    Options {
        accounts: 6,
        regions: 2,
        clusters: 2,
        days: 3,
        seed: 41,
        ..Options::default()
    }
}

/// From now on every account-region takes so long.
fn linger(place: &Place, ms: u64) {
    let slow = FaultRule {
        operation: Some("ListSecurityConfigurations".to_owned()),
        ..FaultRule::every(FaultKind::Slow(ms))
    };
    place.sandbox.set_faults(Faults {
        rules: vec![slow],
        seed: 0,
    });
}

/// What comes from now on is quick; what is under way still lingers.
fn hurry(place: &Place) {
    place.sandbox.set_faults(Faults::default());
}

/// Waits until a run is in the middle of looking.
async fn until_called(place: &Place, operation: &str, more_than: u64) {
    for _ in 0..3_000 {
        if place.calls(operation) > more_than {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{operation} was not called");
}

fn ends(place: &Place) -> Vec<(PathBuf, serde_json::Value)> {
    let files = files_below(&place.archive().join("runs"));
    files
        .into_iter()
        .filter(|f| f.ends_with("end.json"))
        .map(|f| {
            let bytes = std::fs::read(&f).expect("end.json");
            (f, serde_json::from_slice(&bytes).expect("JSON"))
        })
        .collect()
}

fn entries(place: &Place) -> usize {
    files_below(&place.archive().join("chain")).len()
}

fn starts(place: &Place) -> Vec<RunId> {
    files_below(&place.archive().join("starts"))
        .iter()
        .map(|f| {
            let bytes = std::fs::read(f).expect("a start");
            let start: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            let id = start["run_id"].as_str().expect("a run id");
            id.parse().expect("a run id")
        })
        .collect()
}

/// Audits and gives the runs that the seal names as died, with the reasons.
async fn died_runs_of_next(place: &Place) -> Vec<(RunId, String)> {
    let audited = place.audit().await;
    let sealed = place.sealed(&audited.run_id).await;
    let died = sealed.run.seal.died_runs.iter();
    died.map(|d| {
        (
            d.run_id.clone().expect("a readable start"),
            d.reason.clone(),
        )
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_ends_honestly_and_the_next_seal_names_it() {
    let place = Place::new(&options()).await;
    linger(&place, 9_000);
    let (stop, stopped) = watch::channel(false);
    let (shell, config, asked) = (place.shell(), place.config(), place.options());
    let running = tokio::spawn(async move { run::audit(&shell, &config, &asked, stopped).await });
    until_called(&place, "ListSecurityConfigurations", 1).await;
    hurry(&place);
    stop.send(true).expect("the run listens");
    let ended = tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .expect("it ends soon")
        .expect("no panic")
        .expect_err("nothing is sealed");
    assert!(matches!(ended, RunError::Cancelled), "{ended}");
    assert_eq!(ended.exit(), Exit::Failed);

    let run_id = starts(&place).remove(0);
    assert_eq!(entries(&place), 1, "entry 1 alone");
    let told = ends(&place);
    let [(file, end)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(file.to_string_lossy().contains(run_id.as_str()), "{file:?}");
    assert_eq!(end["run_id"], run_id.as_str());
    let reason = end["reason"].as_str().expect("a reason");
    assert!(reason.contains("signal"), "{reason}");
    assert!(!place.archive().join("evidence").exists(), "no evidence");
    place.report().await;

    place.at_day(1);
    assert_eq!(
        died_runs_of_next(&place).await,
        [(run_id, reason.to_owned())]
    );
    place.at_day(2);
    assert_eq!(died_runs_of_next(&place).await, [], "named once");
    place.report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_before_it_begins_writes_nothing() {
    let place = Place::new(&options()).await;
    let (_stop, stopped) = watch::channel(true);
    let ended = run::audit(&place.shell(), &place.config(), &place.options(), stopped)
        .await
        .expect_err("cancelled");
    assert_eq!(ended.exit(), Exit::Failed);
    assert!(matches!(ended, RunError::Cancelled), "{ended}");
    assert_eq!(files_below(&place.archive()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_program_with_1_and_end_json() {
    for signal in ["TERM", "INT"] {
        let place = Place::present(6, ServeOptions::default()).await;
        linger(&place, 9_000);
        let child = place
            .program(&["run", "--archive", "archive"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        until_called(&place, "ListSecurityConfigurations", 1).await;
        hurry(&place);
        let pid = child.id().expect("it runs").to_string();
        let sent = tokio::process::Command::new("sh")
            .args(["-c", &format!("kill -{signal} {pid}")])
            .status()
            .await
            .expect("sh");
        assert!(sent.success());
        let ended = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output())
            .await
            .expect("it ends soon")
            .expect("its output");
        assert_eq!(ended.status.code(), Some(1), "{}", told(&ended));
        assert!(
            told(&ended).contains("stopped by a signal"),
            "{}",
            told(&ended)
        );
        assert!(ended.stdout.is_empty(), "no summary of what was not sealed");
        assert_eq!((ends(&place).len(), entries(&place)), (1, 1));
        let left =
            files_below(&std::env::temp_dir().join(format!("keyproof-{}", starts(&place)[0])));
        assert_eq!(left, Vec::<PathBuf>::new(), "no local progress is left");

        // The next run needs nothing from anybody.
        let next = place
            .program(&["run", "--archive", "archive", "--quiet"])
            .output()
            .await
            .expect("it runs");
        assert_eq!(next.status.code(), Some(4), "{}", told(&next));
        let report = place.report().await;
        assert_eq!(report.runs.len(), 1);
        assert_eq!(report.runs[0].seal.died_runs.len(), 1);
    }
}

/// Whichever of the two proceeded, and what the other was told.
fn one_of(a: Result<Audited, RunError>, b: Result<Audited, RunError>) -> (Audited, RunError) {
    match (a, b) {
        (Ok(sealed), Err(refused)) | (Err(refused), Ok(sealed)) => (sealed, refused),
        (Ok(_), Ok(_)) => panic!("both proceeded"),
        (Err(a), Err(b)) => panic!("none proceeded: {a}; {b}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_runs_in_the_same_moment_one_proceeds() {
    let place = Place::new(&options()).await;
    let (config, shell, asked) = (place.config(), place.shell(), place.options());
    // None is done before the other has begun.
    linger(&place, 4_000);
    // On an archive that does not exist yet: then there is a beginning to race for, too.
    let (a, b) = tokio::join!(
        run::audit(&shell, &config, &asked, never()),
        run::audit(&shell, &config, &asked, never())
    );
    let (sealed, refused) = one_of(a, b);
    assert_eq!(refused.exit(), Exit::Failed, "{refused}");
    assert!(
        refused.to_string().contains(sealed.run_id.as_str()),
        "{refused} names {}",
        sealed.run_id
    );
    for day in 1..2 {
        place.at_day(day);
        let (a, b) = tokio::join!(
            run::audit(&shell, &config, &asked, never()),
            run::audit(&shell, &config, &asked, never())
        );
        let (sealed, refused) = one_of(a, b);
        let alone = matches!(
            refused,
            RunError::Start(StartError::Lost { .. } | StartError::Alive { .. })
        );
        assert!(alone, "{refused}");
        assert!(
            refused.to_string().contains(sealed.run_id.as_str()),
            "{refused} names {}",
            sealed.run_id
        );
    }
    let report = place.report().await;
    assert_eq!(report.runs.len(), 2);
    assert_eq!(starts(&place).len(), 2, "who is refused takes no number");
    assert!(report.runs.iter().all(|r| r.seal.died_runs.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_waits_for_the_first_or_takes_it_over() {
    let place = Place::new(&options()).await;
    place.audit().await;
    place.at_day(1);

    // The first is alive: the second is refused.
    linger(&place, 15_000);
    let patient = place.config_with(&[("attempt_timeout", "60s")], "");
    let (shell, config, asked) = (place.shell(), patient, place.options());
    let called = place.calls("ListClusters");
    let before = place.calls("ListSecurityConfigurations");
    let first = tokio::spawn(async move { run::audit(&shell, &config, &asked, never()).await });
    until_called(&place, "ListClusters", called).await;
    let alive = starts(&place).pop().expect("the first's start");
    until_called(&place, "ListSecurityConfigurations", before).await;
    hurry(&place);
    let refused = place
        .audit_with(&place.config())
        .await
        .expect_err("refused");
    assert!(
        matches!(&refused, RunError::Start(StartError::Alive { run_id, .. }) if *run_id == alive),
        "{refused}"
    );
    let told = refused.to_string();
    assert!(told.contains(&format!("--take-over {alive}")), "{told}");
    assert_eq!(starts(&place).len(), 2);

    // Taken over by a mistake: the first finds its end and does not seal.
    let mut asked = place.options();
    asked.take_over = Some(alive.clone());
    let second = run::audit(&place.shell(), &place.config(), &asked, never())
        .await
        .expect("it takes over");
    let ended = first.await.expect("no panic").expect_err("it was ended");
    assert!(ended.to_string().contains(alive.as_str()), "{ended}");
    let sealed = place.sealed(&second.run_id).await;
    let died = &sealed.run.seal.died_runs;
    assert_eq!(died.len(), 1);
    assert_eq!(died[0].run_id.as_ref(), Some(&alive));
    assert!(died[0].reason.contains("taken over"), "{}", died[0].reason);

    // A process that really died, without a word.
    place.at_day(2);
    linger(&place, 9_000);
    let (shell, config, asked) = (place.shell(), place.config(), place.options());
    let called = place.calls("ListClusters");
    let third = tokio::spawn(async move { run::audit(&shell, &config, &asked, never()).await });
    until_called(&place, "ListClusters", called).await;
    hurry(&place);
    third.abort();
    let _ = third.await;
    let dead = starts(&place).pop().expect("the third's start");
    let refused = place
        .audit_with(&place.config())
        .await
        .expect_err("refused");
    assert!(refused.to_string().contains(dead.as_str()), "{refused}");
    let mut asked = place.options();
    asked.take_over = Some(alive.clone());
    let wrong = run::audit(&place.shell(), &place.config(), &asked, never())
        .await
        .expect_err("that one is over already; the last is not");
    assert!(wrong.to_string().contains(dead.as_str()), "{wrong}");
    asked.take_over = Some(dead.clone());
    run::audit(&place.shell(), &place.config(), &asked, never())
        .await
        .expect("it takes over");
    let report = place.report().await;
    let died: Vec<_> = report.runs.iter().map(|r| r.seal.died_runs.len()).collect();
    assert_eq!(died, [0, 1, 1]);
}
