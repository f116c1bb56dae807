//! An organization whose accounts AWS lists for longer than a moment.

use std::collections::BTreeSet;

use keyproof::model::datasets::{Account, Coverage};
use keyproof::model::ids::RunId;
use keyproof::model::words::Source;
use keyproof::run::{self, RunOptions};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};

use super::support::{Place, never};

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
