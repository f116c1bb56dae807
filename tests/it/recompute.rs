//! What was sealed can be computed again: findings from sealed facts, measures from sealed runs.

use std::path::PathBuf;

use keyproof::archive::{layout, records};
use keyproof::error::Exit;
use keyproof::model::datasets::{Channel, EmrCluster, Exception, Finding, Verdict};
use keyproof::model::ids::Sha256Hex;
use keyproof::model::table::Dataset;
use keyproof::model::words::{Outcome, RunOutcome};
use keyproof::rollup::{self, CompliantShare, RollupInputs};
use keyproof::run::{self, By, RollupRequest};
use keyproof::sandbox::Options;

use crate::support::{Place, Sealed, TAGS, files_below};

fn options(accounts: usize) -> Options {
    Options {
        accounts,
        regions: 2,
        clusters: 3,
        days: 4,
        seed: 21,
        ..Options::default()
    }
}

/// A waiver for a rule everywhere, one for an account, and one that ends after the second day.
fn waivers(account: &str) -> String {
    format!(
        "[[exception]]\nid = \"old-keys\"\nkind = \"waiver\"\nrules = [\"EL-02\"]\n\
         reason = \"r\"\napprover = \"a\"\nexpires = \"2026-12-31\"\n\
         [[exception]]\nid = \"one-team\"\nkind = \"waiver\"\nrules = [\"EL-01\", \"EL-17\"]\n\
         accounts = [\"{account}\"]\nreason = \"r\"\napprover = \"a\"\nexpires = \"2026-12-31\"\n\
         [[exception]]\nid = \"short\"\nkind = \"waiver\"\nrules = [\"EL-03\"]\n\
         reason = \"r\"\napprover = \"a\"\nexpires = \"2026-10-06\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_follow_from_sealed_facts_on_every_day() {
    let place = Place::new(&options(13)).await;
    let file = waivers(place.world.log_archive_account());
    let config = place.config_with(&TAGS, &file);
    let mut runs = Vec::new();
    for day in 0..3 {
        place.at_day(day);
        let audited = place.audit_with(&config).await.expect("sealed");
        assert_eq!(audited.outcome, RunOutcome::Partial);
        let told = audited
            .summary
            .contains("Expired    short (waiver) on 2026-10-06");
        assert_eq!(told, day == 2, "{}", audited.summary);
        runs.push(audited.run_id);
    }
    // Later, with another configuration at hand: what was sealed decides, not what is configured.
    place.at_day(3);
    let other = place.config_with(&[("rules.allowed_key_owners", "999999999999")], "");
    let mut waived = Vec::new();
    for run_id in &runs {
        let again = run::reassess(&place.shell(), &other, run_id, By::Sealed)
            .await
            .expect("recomputed");
        assert!(again.equal, "{}", again.text);
        let sealed = place.sealed(run_id).await;
        let findings: Vec<Finding> = sealed.rows().await;
        let mut by: Vec<_> = findings
            .iter()
            .filter_map(|f| f.waived_by.clone())
            .collect();
        by.sort();
        by.dedup();
        waived.push(by.join(" "));
        told_of_exceptions(&sealed, &findings).await;
    }
    assert_eq!(
        waived,
        [
            "old-keys one-team short",
            "old-keys one-team short",
            "old-keys one-team"
        ],
        "waivers mark findings until they expire"
    );
    let left = files_below(&place.path("work"));
    assert!(left.is_empty(), "nothing local is left: {left:?}");
}

/// An expired exception is a finding of its own, and each counts what it covered.
async fn told_of_exceptions(sealed: &Sealed, findings: &[Finding]) {
    let exceptions: Vec<Exception> = sealed.rows().await;
    assert_eq!(exceptions.len(), 3);
    for exception in &exceptions {
        let id = exception.exception_id.as_str();
        let waived = findings
            .iter()
            .filter(|f| f.waived_by.as_deref() == Some(id));
        assert_eq!(exception.used, waived.count() as i64, "{id}");
        let expired = exception.scheduled_for > exception.expires;
        assert_eq!(exception.expired, expired);
        let outcome = if expired {
            Outcome::Fail
        } else {
            Outcome::Pass
        };
        assert_eq!(exception.outcome, Some(outcome), "{id}");
        assert_eq!(exception.advice.is_some(), expired, "{id}");
        let used = &sealed.run.seal.exceptions_used;
        assert_eq!(used.iter().any(|u| u == id), exception.used > 0, "{used:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_facts_are_refused_and_changed_conclusions_are_told() {
    let place = Place::new(&options(6)).await;
    let audited = place.audit().await;
    let sealed = place.sealed(&audited.run_id).await;
    let facts = [
        "account",
        "coverage",
        "emr_cluster",
        "emr_security_configuration",
        "kms_key",
        "log_bucket",
    ];
    let mut tried = 0;
    for file in &sealed.run.files {
        let read = match layout::Name::parse(&file.name) {
            Some(layout::Name::Evidence { dataset, .. }) => facts.contains(&dataset.as_str()),
            Some(layout::Name::Start { .. }) => true,
            _ => false,
        };
        if !read {
            continue;
        }
        tried += 1;
        let path = place.archive().join(&file.name);
        let whole = std::fs::read(&path).expect("a sealed file");
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        overwrite(&path, &changed);
        let refused = run::reassess(&place.shell(), &place.config(), &audited.run_id, By::Sealed)
            .await
            .expect_err(&file.name);
        assert_eq!(refused.exit(), Exit::Unverified, "{refused}");
        assert!(refused.to_string().contains(&file.name), "{refused}");
        overwrite(&path, &whole);
    }
    assert_eq!(tried, 7);
    // The manifest itself is compared with what the entry signed.
    let manifest = files_below(&place.archive().join("manifest"));
    let whole = std::fs::read(&manifest[0]).expect("a manifest");
    overwrite(&manifest[0], &[&whole[..], b" "].concat());
    let refused = run::reassess(&place.shell(), &place.config(), &audited.run_id, By::Sealed)
        .await
        .expect_err("refused");
    assert_eq!(refused.exit(), Exit::Unverified, "{refused}");
    overwrite(&manifest[0], &whole);

    let again = run::reassess(&place.shell(), &place.config(), &audited.run_id, By::Sealed).await;
    assert!(again.expect("recomputed").equal);
    let unknown = "20261005T020000Z-00000000".parse().expect("a run id");
    let refused = run::reassess(&place.shell(), &place.config(), &unknown, By::Sealed)
        .await
        .expect_err("no such run");
    assert!(refused.to_string().contains("not sealed"), "{refused}");
}

/// Sealed files are read-only.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("remove");
    std::fs::write(path, bytes).expect("write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollup_is_the_same_whatever_computes_it() {
    let place = Place::new(&options(8)).await;
    let config = place.config_with(&TAGS, "");
    for day in 0..4 {
        place.at_day(day);
        place.audit_with(&config).await.expect("sealed");
    }
    // A second run for the last date: it speaks for nothing.
    place.audit_with(&config).await.expect("sealed");
    let quarter = place.at_day(3).quarter();
    let request = RollupRequest::new(quarter);
    let rolled = run::rollup(&place.shell(), &config, &request)
        .await
        .expect("rolled up");
    let shares = &rolled.measures.compliant_share;
    assert!(shares.len() > 10, "{}", rolled.text);
    assert!(rolled.text.starts_with("UNFINISHED: "), "{}", rolled.text);
    assert!(!rolled.measures.remediation.is_empty());
    assert!(!rolled.measures.key_cost.is_empty());

    let report = place.report().await;
    let [sealed] = report.rollups.as_slice() else {
        panic!("{} rollups", report.rollups.len());
    };
    assert_eq!(sealed.seal.chain_to, 6, "entry 1 and five runs");
    assert_eq!(sealed.files.len(), 7, "six measures and the prices");
    let mut inputs = RollupInputs::new(quarter);
    inputs.price = rollup::parse_prices(rollup::DEFAULT_PRICES).expect("prices");
    for (dataset, dates) in rollup::dates_needed(quarter) {
        // Only the dates that have runs.
        let (first, end) = (quarter.first(), quarter.end());
        let records =
            records::runs_of_record(&report.runs, dates.start.max(first), dates.end.min(end));
        let mut paths: Vec<PathBuf> = records
            .filter_map(|(_, run)| run)
            .flat_map(|run| records::dataset_files(&run.files, dataset))
            .map(|file| place.archive().join(&file.name))
            .collect();
        assert_eq!(paths.len(), 4, "one run of record a date");
        if dataset == Channel::NAME {
            paths.drain(..3);
        }
        *inputs.files_mut(dataset).expect("a dataset of measures") = paths;
    }
    let mut backwards = inputs.clone();
    for (dataset, _) in rollup::dates_needed(quarter) {
        backwards.files_mut(dataset).expect("files").reverse();
    }
    for (n, (inputs, partitions)) in [(&inputs, 1), (&inputs, 2), (&backwards, 2), (&inputs, 7)]
        .into_iter()
        .enumerate()
    {
        let measures = rollup::measures(inputs, partitions)
            .await
            .expect("computed");
        let folder = place.path(&format!("again-{n}"));
        std::fs::create_dir(&folder).expect("a folder");
        for file in measures.write(&folder).expect("written") {
            let bytes = std::fs::read(&file.path).expect("the file");
            let digest = Sha256Hex::of(&bytes);
            let part = format!("rollup/{}/", file.measure);
            let mut of_measure = sealed.files.iter().filter(|f| f.name.starts_with(&part));
            let entry = of_measure.next().expect("sealed");
            assert_eq!(digest, entry.sha256, "{part} {partitions} partitions");
        }
    }
    counts_by_hand(&place, shares).await;

    // Nothing new makes no edition; other prices make one, and so does late data. Earlier ones stay.
    let again = run::rollup(&place.shell(), &config, &request).await;
    let text = again.expect("rolled up").text;
    assert!(text.contains("Nothing new: edition 1"), "{text}");
    assert_eq!(place.report().await.rollups.len(), 1);
    let mut dearer = inputs.price.clone();
    for price in &mut dearer {
        price.nano_usd *= 2;
    }
    let other = RollupRequest {
        prices: Some(dearer),
        ..request.clone()
    };
    let told = run::rollup(&place.shell(), &config, &other)
        .await
        .expect("rolled up");
    assert!(told.text.contains("edition 2"), "{}", told.text);
    assert_eq!(told.measures.compliant_share, *shares);
    run::rollup(&place.shell(), &config, &request)
        .await
        .expect("rolled up");
    let report = place.report().await;
    assert!(report.passed());
    let editions: Vec<_> = report
        .rollups
        .iter()
        .map(|r| (r.seal.edition, r.seal.chain_to))
        .collect();
    assert_eq!(editions, [(1, 6), (2, 7), (3, 8)]);
    let share = |n: usize| {
        let files = &report.rollups[n].files;
        let mut named = files
            .iter()
            .filter(|f| f.name.starts_with("rollup/compliant_share/"));
        named.next().map(|file| &file.sha256)
    };
    assert_eq!(share(0), share(2));
    assert!(share(0).is_some());
}

/// The organization's row, counted without SQL.
async fn counts_by_hand(place: &Place, rows: &[CompliantShare]) {
    let report = place.report().await;
    let (mut days, mut end) = ([0_i64; 4], [0_i64; 4]);
    let mut seen = std::collections::BTreeSet::new();
    for run in &report.runs {
        if !seen.insert(run.seal.scheduled_for) {
            continue;
        }
        end = [0; 4];
        let sealed = place.sealed(&run.seal.run_id).await;
        let clusters: Vec<EmrCluster> = sealed.rows().await;
        let verdicts: Vec<Verdict> = sealed.rows().await;
        assert_eq!(clusters.len(), verdicts.len());
        for verdict in verdicts.iter().filter(|v| v.active) {
            let at = ["COMPLIANT", "NON_COMPLIANT", "UNKNOWN", "NO_LOGS"]
                .iter()
                .position(|w| *w == verdict.verdict.as_str())
                .expect("a verdict");
            days[at] += 1;
            end[at] += 1;
        }
    }
    let whole = rows
        .iter()
        .find(|r| r.scope_kind == "organization")
        .expect("the organization's row");
    assert_eq!(
        [
            whole.days_compliant,
            whole.days_non_compliant,
            whole.days_unknown,
            whole.days_no_logs
        ],
        days
    );
    assert_eq!(
        [
            whole.end_compliant,
            whole.end_non_compliant,
            whole.end_unknown,
            whole.end_no_logs
        ],
        end
    );
    assert!(days.iter().all(|n| *n > 0), "each verdict occurs: {days:?}");
    assert_eq!(whole.runs_of_record, 4);
}
