//! An organization whose accounts AWS lists for longer than a moment.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use keyproof::model::datasets::{Account, Coverage};
use keyproof::model::ids::{AccountId, RunId};
use keyproof::model::words::Source;
use keyproof::record::Journal;
use keyproof::run::{self, RunOptions};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};

use super::support::{self, Place, never};

/// More than one burst of pages.
const ACCOUNTS: usize = 250;

fn options() -> Options {
    Options {
        accounts: ACCOUNTS,
        regions: 1,
        clusters: 1,
        days: 2,
        seed: 5,
        ..Options::default()
    }
}

async fn served(faults: Faults) -> Place {
    let serve = ServeOptions {
        faults,
        ..ServeOptions::default()
    };
    let place = Place::served(&options(), serve).await;
    place.at_day(0);
    place
}

/// What one process does while the list goes on is what several do after it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_while_accounts_are_listed_and_sees_what_one_sees_that_waits() {
    let id: RunId = "20261005T020000Z-7f3a".parse().expect("run id");
    let launches = [("launches", "false"), ("regions", "us-east-1")];

    let mut slow = FaultRule::every(FaultKind::Slow(5_000));
    slow.operation = Some("ListAccounts".to_owned());
    slow.after_n = Some(12);
    let faults = Faults {
        rules: vec![slow],
        ..Faults::default()
    };
    let place = served(faults).await;
    let config = place.config_with(&launches, "");
    let asked = RunOptions {
        run_id: Some(id.clone()),
        ..place.options()
    };
    run::audit(&place.shell(), &config, &asked, never())
        .await
        .expect("sealed");
    let calls = place.sandbox.calls();
    let of = |operation: &'static str| calls.iter().filter(move |c| c.operation == operation);
    let entered = of("ListClusters").map(|c| c.first_ms).min().expect("calls");
    let listed = of("ListAccounts").map(|c| c.last_ms).max().expect("calls");
    assert!(
        entered < listed,
        "the first account at {entered} ms, the last page at {listed} ms"
    );
    let once = of("ListBuckets").all(|c| c.calls == 1);
    assert!(once, "no account is looked into twice");
    let sealed = place.sealed(&id).await;
    let accounts = sealed.rows::<Account>().await;
    assert_eq!(accounts.len(), ACCOUNTS);
    let cells = sealed.rows::<Coverage>().await;
    let owners = cells.iter().filter(|c| c.source == Source::BucketOwners);
    let told: BTreeSet<_> = owners.map(|c| c.account_id.clone()).collect();
    assert_eq!(
        told,
        accounts.iter().map(|a| a.account_id.clone()).collect()
    );

    let other = served(Faults::default()).await;
    let (shell, config) = (other.shell(), other.config_with(&launches, ""));
    run::prepare(&shell, &config, &asked, 1, never())
        .await
        .expect("prepared");
    let collected = run::collect(&shell, &config, &asked, &id, (1, 1), never()).await;
    collected.expect("collected");
    run::assess(&shell, &config, &asked, &id, never())
        .await
        .expect("assessed");
    run::seal(&shell, &config, &id, never())
        .await
        .expect("sealed");
    let waited = other.sealed(&id).await.lasting_rows().await;
    for (dataset, rows) in sealed.lasting_rows().await {
        assert_eq!(waited.get(dataset), Some(&rows), "{dataset}");
    }
}

/// An error that only the end of the list tells ends the run in order, and the next one may begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_end_of_the_list_refuses_ends_the_run() {
    let place = served(Faults::default()).await;
    let unknown = [("launches", "false"), ("accounts", "123456789012")];
    let config = place.config_with(&unknown, "");
    let refused = place
        .audit_with(&config)
        .await
        .expect_err("no such account");
    assert!(refused.to_string().contains("123456789012"), "{refused}");
    let ended = std::fs::read_dir(place.archive().join("runs"))
        .expect("runs")
        .flatten()
        .flat_map(|day| std::fs::read_dir(day.path()).expect("a day").flatten())
        .filter(|run| run.path().join("end.json").exists());
    assert_eq!(ended.count(), 1);
}

/// An account that left while the tags of the others were being read has none, and ends no run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_that_are_refused_end_no_run() {
    let place = Place::present(24, ServeOptions::default()).await;
    let left = FaultRule {
        operation: Some("ListTagsForResource".to_owned()),
        service: Some("organizations".to_owned()),
        code: Some("TargetNotFoundException".to_owned()),
        after_n: Some(20),
        first_n: Some(1),
        ..FaultRule::every(FaultKind::Refuse(400))
    };
    place.sandbox.set_faults(Faults {
        rules: vec![left],
        ..Faults::default()
    });
    let owners = [("launches", "false"), ("tags.owner", "owner")];
    let config = place.config_with(&owners, "");
    let audited = place.audit_with(&config).await.expect("sealed");
    let sealed = place.sealed(&audited.run_id).await;
    let accounts = sealed.rows::<Account>().await;
    let tagged = accounts.iter().filter(|a| a.owner.is_some()).count();
    assert!(tagged > 0, "the others are told");
    let calls = place.sandbox.calls();
    let asked = calls
        .iter()
        .filter(|c| c.operation == "ListTagsForResource");
    let asked: u64 = asked.map(|c| c.calls).sum();
    let entered = accounts.iter().filter(|a| a.in_scope).count();
    assert!(entered > 20);
    assert_eq!(asked, entered as u64, "each was asked about");
}

/// A process that dies while the tags of accounts are being read leaves what it looked at; whoever resumes
/// the run reads the list and the tags again, and no account twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_died_while_tags_were_read_is_resumed() {
    let place = Place::present(24, ServeOptions::default()).await;
    let never_told = FaultRule {
        operation: Some("ListTagsForResource".to_owned()),
        service: Some("organizations".to_owned()),
        ..FaultRule::every(FaultKind::Hang)
    };
    place.sandbox.set_faults(Faults {
        rules: vec![never_told],
        ..Faults::default()
    });
    let id = "20261005T020000Z-7f3a";
    let program = |arguments: &[&str], role: &str| {
        let mut program = place.program(&["run", "--quiet", "--archive", "archive"]);
        program
            .args(["--work-dir", "work"])
            .args(arguments)
            .env("KEYPROOF_LAUNCHES", "false")
            .env("KEYPROOF_TAGS_OWNER", "owner")
            .env("KEYPROOF_ROLE_NAME", role);
        program
    };
    let work = place.path("work").join(format!("keyproof-{id}"));
    let mut dies = program(&["--run-id", id], "keyproof-reader")
        .spawn()
        .expect("the program starts");
    // Of a copy: opening a journal cuts off what is being written.
    let copy = place.path("copy");
    let looked_at = |journal: &str| {
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir_all(&copy).expect("a folder");
        let files = std::fs::read_dir(work.join(journal)).into_iter().flatten();
        for file in files.map(|file| file.expect("a file")) {
            std::fs::copy(file.path(), copy.join(file.file_name())).expect("copied");
        }
        let opened = Journal::open(&copy).expect("a journal");
        let cells = opened.journal.rows::<Coverage>();
        let cells = cells.map(|cell| cell.expect("a cell"));
        let owners = cells.filter(|cell| cell.source == Source::BucketOwners && cell.calls > 0);
        owners
            .map(|c| c.account_id)
            .collect::<BTreeSet<AccountId>>()
    };
    while looked_at("journal-1").is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    dies.kill().await.expect("it dies");
    assert!(!work.join("scope.json").exists(), "no tags, no scope");
    let kept = looked_at("journal-1");
    assert!(!kept.is_empty(), "some accounts were looked at");
    place.sandbox.set_faults(Faults::default());

    let told = |output: &Output| support::told(output);
    let other = program(&["--resume", id], "another-role").output().await;
    let other = other.expect("it runs");
    assert_eq!(other.status.code(), Some(2), "{}", told(&other));
    assert!(told(&other).contains("began with"), "{}", told(&other));

    let resumed = program(&["--resume", id], "keyproof-reader").output().await;
    let resumed = resumed.expect("it runs");
    let code = resumed.status.code();
    assert!(matches!(code, Some(0 | 4)), "{}", told(&resumed));
    let calls = place.sandbox.calls();
    for account in &kept {
        let of = calls.iter().filter(|c| c.account == account.as_str());
        let asked: u64 = of
            .filter(|c| c.operation == "ListBuckets")
            .map(|c| c.calls)
            .sum();
        assert_eq!(asked, 1, "{account} is not looked into again");
    }
    let sealed = place.sealed(&id.parse().expect("run id")).await;
    let accounts = sealed.rows::<Account>().await;
    assert_eq!(accounts.len(), 24);
    assert!(accounts.iter().any(|a| a.owner.is_some()), "tags are read");
    let cells = sealed.rows::<Coverage>().await;
    let owners = cells.iter().filter(|c| c.source == Source::BucketOwners);
    assert_eq!(owners.count(), 24);
    assert!(!work.exists(), "no local progress is left");
}
