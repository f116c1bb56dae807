//! When AWS throttles, fails, hangs, cuts or refuses: the run ends, every cell says how, nothing
//! disappears, and the next run fills the holes.

use std::collections::{BTreeMap, BTreeSet};

use keyproof::archive::verify::VerifiedRun;
use keyproof::model::datasets::{Coverage, EmrCluster, Verdict};
use keyproof::model::words::{
    CellOutcome, Judgement, Lookup, RunOutcome, Seen, Settings, Source, VerdictBasis,
};
use keyproof::run::Audited;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use keyproof::sandbox::{EXTERNAL_ID, Options};
use keyproof::time::UtcMillis;

use crate::support::{Place, Sealed, told};

type Cell = (String, String);

fn options(seed: u64) -> Options {
    Options {
        accounts: 8,
        regions: 2,
        clusters: 3,
        days: 4,
        seed,
        ..Options::default()
    }
}

/// What one sealed day holds.
struct Day {
    run: VerifiedRun,
    clusters: BTreeMap<(Cell, String), EmrCluster>,
    verdicts: BTreeMap<(Cell, String), Verdict>,
    coverage: BTreeMap<(Cell, Source), Coverage>,
}

impl Day {
    async fn of(place: &Place, audited: &Audited) -> Self {
        let sealed: Sealed = place.sealed(&audited.run_id).await;
        let rows: Vec<Coverage> = sealed.rows().await;
        let count = rows.len();
        let coverage: BTreeMap<_, _> = rows
            .into_iter()
            .map(|c| ((cell(&c.account_id, &c.region), c.source), c))
            .collect();
        assert_eq!(coverage.len(), count, "each cell ends exactly once");
        let clusters: Vec<EmrCluster> = sealed.rows().await;
        let verdicts: Vec<Verdict> = sealed.rows().await;
        assert_eq!(clusters.len(), verdicts.len(), "one verdict per cluster");
        let day = Self {
            clusters: clusters
                .into_iter()
                .map(|c| ((cell(&c.account_id, &c.region), c.cluster_id.clone()), c))
                .collect(),
            verdicts: verdicts
                .into_iter()
                .map(|v| ((cell(&v.account_id, &v.region), v.cluster_id.clone()), v))
                .collect(),
            coverage,
            run: sealed.run,
        };
        day.every_expected_cell_ended(place);
        day
    }

    /// Every account of the organization and, where Regions were told, every hosting Region.
    fn every_expected_cell_ended(&self, place: &Place) {
        for account in &place.world.accounts {
            let global = (account.id.clone(), "global".to_owned());
            let regions = self.coverage.get(&(global.clone(), Source::Regions));
            let regions = regions.unwrap_or_else(|| panic!("{global:?} has no regions cell"));
            assert!(
                self.coverage.contains_key(&(global, Source::BucketOwners)),
                "{} has no bucket cell",
                account.id
            );
            if regions.outcome != CellOutcome::Collected {
                continue;
            }
            for region in &place.world.regions {
                let here = (account.id.clone(), (*region).to_owned());
                let clusters = self.coverage.get(&(here.clone(), Source::Clusters));
                let clusters = clusters.unwrap_or_else(|| panic!("{here:?} has no clusters cell"));
                if clusters.outcome != CellOutcome::RegionOff {
                    let key = (here.clone(), Source::SecurityConfigurations);
                    assert!(self.coverage.contains_key(&key), "{key:?}");
                }
            }
        }
    }

    fn is_collected(&self, cell: &Cell) -> bool {
        let clusters = self.coverage.get(&(cell.clone(), Source::Clusters));
        clusters.is_some_and(|c| matches!(c.outcome, CellOutcome::Collected | CellOutcome::Empty))
    }

    /// COMPLIANT and the denominator, of active clusters.
    fn share(&self) -> (usize, usize) {
        let active = || self.verdicts.values().filter(|v| v.active);
        (
            active()
                .filter(|v| v.verdict == Judgement::Compliant)
                .count(),
            active().filter(|v| v.verdict != Judgement::NoLogs).count(),
        )
    }
}

fn cell(account: &impl ToString, region: &impl ToString) -> Cell {
    (account.to_string(), region.to_string())
}

/// Clusters, states, ends and verdicts equal the truth; each cell is measured from the last of
/// `earlier` that collected it, and whose owed clusters are still told when they have ended. What stands on
/// a day whose keys, buckets or identities were not all read may stay UNKNOWN as it was then: what is read of a
/// key after a cluster's end tells nothing of the time before.
fn equals_truth(place: &Place, day: u32, found: &Day, earlier: &[(u32, &Day)]) {
    let now = place.world.audit_ms(day);
    let mut sinces: BTreeSet<Option<i64>> = BTreeSet::from([None]);
    sinces.extend(earlier.iter().map(|(d, _)| Some(place.world.audit_ms(*d))));
    let mark_of = |cell: &Cell| earlier.iter().rev().find(|(_, e)| e.is_collected(cell));
    let since_of = |cell: &Cell| mark_of(cell).map(|(d, _)| place.world.audit_ms(*d));
    let is_owed = |id: &(Cell, String)| {
        let row = mark_of(&id.0).and_then(|(_, e)| e.clusters.get(id));
        let cut_off = |l| matches!(l, Some(Lookup::NotAttempted | Lookup::Failed));
        row.is_some_and(|r| {
            r.settings == Settings::Deferred
                || cut_off(r.steps_lookup)
                || cut_off(r.sessions_lookup)
        })
    };
    let mut stated = BTreeMap::new();
    for since in sinces {
        for c in place
            .world
            .truth_for(now, since, Some(EXTERNAL_ID))
            .clusters
        {
            let cell = cell(&c.account_id, &c.region);
            let id = (cell, c.cluster_id);
            let told = since_of(&id.0) == since || (since.is_none() && is_owed(&id));
            if told && found.is_collected(&id.0) {
                let verdict = serde_json::to_value(c.verdict).expect("a word");
                stated.insert(id, (c.state.to_owned(), c.ended_ms, verdict));
            }
        }
    }
    let rows = &found.verdicts;
    let found: BTreeMap<_, _> = rows
        .iter()
        .filter(|((cell, _), _)| found.is_collected(cell))
        .map(|(id, v)| {
            let verdict = serde_json::Value::from(v.verdict.as_str());
            (id.clone(), (v.state.to_string(), v.ended_ms, verdict))
        })
        .collect();
    let stands_unread = |row: &Verdict| {
        let run_of = |e: &Day| Some(&e.run.seal.run_id) == row.stands_from_run.as_ref();
        let id = (cell(&row.account_id, &row.region), row.cluster_id.clone());
        earlier.iter().any(|(_, e)| {
            let looked_up = [Source::Keys, Source::Buckets, Source::Identities];
            let mut cells = e.coverage.values();
            run_of(e)
                && e.verdicts
                    .get(&id)
                    .is_some_and(|v| v.verdict == Judgement::Unknown)
                && cells.any(|c| looked_up.contains(&c.source) && !c.outcome.is_answer())
        })
    };
    let unknown = serde_json::Value::from(Judgement::Unknown.as_str());
    for (id, told) in &stated {
        let (row, found) = (rows.get(id), found.get(id));
        let as_then = row.is_some_and(stands_unread)
            && found == Some(&(told.0.clone(), told.1, unknown.clone()));
        assert!(
            as_then || found == Some(told),
            "{id:?} on day {day}: {found:?} and not {told:?}: {row:?}"
        );
    }
    assert_eq!(found.len(), stated.len(), "no others on day {day}");
    assert!(stated.len() > 20, "{} clusters on day {day}", stated.len());
}

fn rule(kind: FaultKind, share: f64) -> FaultRule {
    FaultRule {
        share,
        ..FaultRule::every(kind)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_day_ends_and_the_next_one_fills_the_holes() {
    let place = Place::new(&options(31)).await;
    let on = |operation: &str, kind| FaultRule {
        operation: Some(operation.to_owned()),
        first_n: Some(3),
        ..FaultRule::every(kind)
    };
    let denied = FaultRule {
        operation: Some("DescribeSecurityConfiguration".to_owned()),
        ..FaultRule::every(FaultKind::Deny)
    };
    place.sandbox.set_faults(Faults {
        seed: 4,
        rules: vec![
            denied,
            on("DescribeCluster", FaultKind::Hang),
            on("ListClusters", FaultKind::Cut),
            on("DescribeKey", FaultKind::Cut),
            rule(FaultKind::Throttle, 0.3),
            rule(FaultKind::ServerError, 0.05),
        ],
    });
    // Little time for each cell, so that some run out of it.
    let hurried = [("attempt_timeout", "1s"), ("cell_deadline", "8s")];
    let audited = place
        .audit_with(&place.config_with(&hurried, ""))
        .await
        .expect("a bad day is sealed too");
    assert_eq!(audited.outcome, RunOutcome::Partial);
    let bad = Day::of(&place, &audited).await;
    assert!(bad.run.seal.cells_open > 0);
    let throttles: i64 = bad.coverage.values().map(|c| c.throttles).sum();
    assert!(throttles > 20, "{throttles} throttled answers");
    let refused = bad
        .coverage
        .values()
        .filter(|c| c.source == Source::SecurityConfigurations && c.denied_action.is_some())
        .count();
    assert!(refused > 0, "the refused operation is named");
    for (id, cluster) in &bad.clusters {
        let verdict = &bad.verdicts[id];
        if cluster.settings == Settings::Deferred {
            assert_eq!(verdict.verdict, Judgement::Unknown, "{id:?}");
            assert_eq!(verdict.basis, VerdictBasis::Deferred, "{id:?}");
        }
    }

    place.sandbox.set_faults(Faults::default());
    place.at_day(1);
    let audited = place.audit().await;
    let good = Day::of(&place, &audited).await;
    equals_truth(&place, 1, &good, &[(0, &bad)]);
    for cluster in good.clusters.values() {
        assert_ne!(cluster.settings, Settings::Deferred, "{cluster:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_of_dark_accounts_stay_in_the_population_as_unknown() {
    let place = Place::new(&options(32)).await;
    let clean = Day::of(&place, &place.audit().await).await;
    equals_truth(&place, 0, &clean, &[]);

    place.at_day(1);
    place.sandbox.set_faults(Faults {
        seed: 0,
        rules: vec![FaultRule {
            operation: Some("AssumeRole".to_owned()),
            first_n: Some(3),
            ..FaultRule::every(FaultKind::Deny)
        }],
    });
    let audited = place.audit().await;
    assert_eq!(audited.outcome, RunOutcome::Partial);
    let dark = Day::of(&place, &audited).await;
    equals_truth(&place, 1, &dark, &[(0, &clean)]);
    let reachable = |account: &str| {
        let key = ((account.to_owned(), "global".to_owned()), Source::Regions);
        clean.coverage[&key].outcome == CellOutcome::Collected
    };
    let gone: BTreeSet<&str> = dark
        .coverage
        .values()
        .filter(|c| c.source == Source::Regions && c.outcome == CellOutcome::DeniedTrust)
        .map(|c| c.account_id.as_str())
        .filter(|a| reachable(a))
        .collect();
    assert!((2..=3).contains(&gone.len()), "{gone:?}");

    let mut carried = 0;
    for (id, before) in &clean.clusters {
        if !gone.contains(id.0.0.as_str()) {
            continue;
        }
        if !before.is_active() {
            assert!(!dark.clusters.contains_key(id), "{id:?} had ended before");
            continue;
        }
        carried += 1;
        let row = dark
            .clusters
            .get(id)
            .unwrap_or_else(|| panic!("{id:?} disappeared"));
        assert_eq!((row.seen, row.settings), (Seen::NotSeen, Settings::Carried));
        assert_eq!(row.described_in_run, before.described_in_run);
        let verdict = &dark.verdicts[id];
        assert!(verdict.active, "{id:?}");
        assert_eq!(
            (verdict.verdict, verdict.basis),
            (Judgement::Unknown, VerdictBasis::Carried),
            "{id:?}"
        );
    }
    let in_gone = dark
        .clusters
        .keys()
        .filter(|id| gone.contains(id.0.0.as_str()));
    assert_eq!(
        in_gone.count(),
        carried,
        "and nothing else is in a dark account"
    );
    assert!(carried > 5, "{carried} carried");
    for account in &gone {
        for region in &place.world.regions {
            let cell = ((*account).to_owned(), (*region).to_owned());
            if clean.is_collected(&cell) {
                let told = &dark.coverage[&(cell, Source::Clusters)];
                assert_eq!(told.outcome, CellOutcome::DeniedTrust);
            }
        }
    }
    let ((before, of), (now, of_now)) = (clean.share(), dark.share());
    assert!(
        now * of <= before * of_now,
        "the share rose from {before}/{of} to {now}/{of_now}"
    );

    // Light again: what ended in the dark is told with its end, once.
    place.sandbox.set_faults(Faults::default());
    place.at_day(2);
    let light = Day::of(&place, &place.audit().await).await;
    equals_truth(&place, 2, &light, &[(0, &clean), (1, &dark)]);
    let ended_in_the_dark = light
        .clusters
        .iter()
        .filter(|(id, c)| {
            let dark_day = UtcMillis(place.world.audit_ms(1));
            gone.contains(id.0.0.as_str()) && c.ended_at.is_some_and(|at| at < dark_day)
        })
        .count();
    assert!(ended_in_the_dark > 0, "some ended while nobody could look");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_may_not_be_described_are_owed_and_paid_first() {
    let place = Place::new(&options(33)).await;
    let clean = Day::of(&place, &place.audit().await).await;
    place.at_day(1);
    place.sandbox.set_faults(Faults {
        seed: 0,
        rules: vec![FaultRule {
            operation: Some("DescribeCluster".to_owned()),
            ..FaultRule::every(FaultKind::Deny)
        }],
    });
    let audited = place.audit().await;
    assert_eq!(audited.outcome, RunOutcome::Partial);
    let owing = Day::of(&place, &audited).await;
    let truth = place.world.truth_for(
        place.world.audit_ms(1),
        Some(place.world.audit_ms(0)),
        Some(EXTERNAL_ID),
    );
    let (mut owed, mut carried) = (0, 0);
    for stated in &truth.clusters {
        let id = (
            cell(&stated.account_id, &stated.region),
            stated.cluster_id.clone(),
        );
        let row = owing
            .clusters
            .get(&id)
            .unwrap_or_else(|| panic!("{id:?} disappeared"));
        let verdict = &owing.verdicts[&id];
        assert_eq!(
            row.ended_at.map(|t| t.0),
            stated.ended_ms,
            "the lists told it"
        );
        if clean.clusters.contains_key(&id) {
            carried += 1;
            assert_eq!(row.settings, Settings::Carried, "{id:?}");
            let word = serde_json::to_value(stated.verdict).expect("a word");
            assert_eq!(word, verdict.verdict.as_str(), "{id:?}");
        } else {
            owed += 1;
            assert_eq!(row.settings, Settings::Deferred, "{id:?}");
            assert_eq!(
                (verdict.verdict, verdict.basis),
                (Judgement::Unknown, VerdictBasis::Deferred)
            );
        }
    }
    assert!(owed > 5 && carried > 5, "{owed} owed, {carried} carried");
    assert_eq!(owing.clusters.len(), truth.clusters.len());
    let told = owing
        .coverage
        .values()
        .filter(|c| c.source == Source::ClusterSettings && c.outcome != CellOutcome::Collected);
    for cell in told.clone() {
        assert_eq!(
            cell.denied_action.as_deref(),
            Some("elasticmapreduce:DescribeCluster")
        );
    }
    assert!(told.count() > 0);

    place.sandbox.set_faults(Faults::default());
    place.at_day(2);
    let paid = Day::of(&place, &place.audit().await).await;
    equals_truth(&place, 2, &paid, &[(0, &clean), (1, &owing)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_never_answers_slow_accounts_and_tokens_that_run_out() {
    let place = Place::new(&options(34)).await;
    let dead = place.world.regions[1];
    let of_emr = |kind| FaultRule {
        service: Some("elasticmapreduce".to_owned()),
        ..FaultRule::every(kind)
    };
    place.sandbox.set_faults(Faults {
        seed: 0,
        rules: vec![
            FaultRule {
                region: Some(dead.to_owned()),
                ..of_emr(FaultKind::Hang)
            },
            FaultRule {
                account: Some(place.world.accounts[1].id.clone()),
                ..FaultRule::every(FaultKind::Slow(400))
            },
            // Every session at once, and the new one of whoever asks early.
            FaultRule {
                code: Some("ExpiredTokenException".to_owned()),
                after_n: Some(12),
                first_n: Some(12),
                ..of_emr(FaultKind::Refuse(400))
            },
        ],
    });
    let hurried = [("attempt_timeout", "1s"), ("cell_deadline", "6s")];
    let audited = place
        .audit_with(&place.config_with(&hurried, ""))
        .await
        .expect("a bad day is sealed too");
    assert_eq!(audited.outcome, RunOutcome::Partial);
    let bad = Day::of(&place, &audited).await;
    let mut unanswered = 0;
    for ((cell, source), told) in &bad.coverage {
        if cell.1 == dead && *source == Source::Clusters {
            let said = [
                CellOutcome::TimedOut,
                CellOutcome::RegionOff,
                CellOutcome::DeniedScp,
                CellOutcome::AccountState,
                CellOutcome::DeniedTrust,
            ];
            assert!(said.contains(&told.outcome), "{cell:?} {}", told.outcome);
            unanswered += usize::from(told.outcome == CellOutcome::TimedOut);
        }
    }
    assert!(unanswered >= 3, "{unanswered} cells timed out");
    let renewed = bad.coverage.values().filter(|c| c.retries > 0).count();
    assert!(renewed > 0, "no session was renewed");

    place.sandbox.set_faults(Faults::default());
    place.at_day(1);
    let good = Day::of(&place, &place.audit().await).await;
    equals_truth(&place, 1, &good, &[(0, &bad)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_found_is_told_and_looked_up_again_by_the_next_run() {
    let place = Place::present(3, ServeOptions::default()).await;
    let run = |endpoint: Option<&'static str>| {
        let mut program = place.program(&[
            "run",
            "--archive",
            "archive",
            "--create-archive",
            "--external-id",
            EXTERNAL_ID,
            "--quiet",
        ]);
        if let Some(url) = endpoint {
            program.env("KEYPROOF_CELL_DEADLINE", "4s");
            program.env("AWS_ENDPOINT_URL_EMR", url);
        }
        async move { program.output().await.expect("the program runs") }
    };
    let output = run(Some("http://emr.invalid")).await;
    assert_eq!(output.status.code(), Some(4), "{}", told(&output));
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(summary.contains("PARTIAL"), "{summary}");
    let output = run(None).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}
