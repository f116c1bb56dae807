//! What later days do not rewrite: the verdict of a cluster that has ended, and the meaning of a
//! verdict whose rules changed.

use std::collections::BTreeMap;
use std::time::Duration;

use keyproof::archive::chain::Chain;
use keyproof::archive::commit::{self, CommitRequest};
use keyproof::archive::layout::{self, Name};
use keyproof::archive::local_signer::LocalSigner;
use keyproof::archive::starts::{self, Begun, StartRequest};
use keyproof::model::datasets::Verdict;
use keyproof::model::ids::{RunId, Sha256Hex};
use keyproof::model::table::Dataset;
use keyproof::model::words::{Judgement, RunOutcome};
use keyproof::record;
use keyproof::run::{self, By, Which};
use keyproof::sandbox::wire::ServeOptions;
use keyproof::sandbox::{EXTERNAL_ID, Options, World};
use keyproof::seal::{Content, FileEntry, Manifest, Period, RunSeal};
use keyproof::time::{Clock, UtcMillis};

use crate::support::{Place, Sealed};

fn by_id(rows: Vec<Verdict>) -> BTreeMap<String, Verdict> {
    let rows = rows.into_iter();
    rows.map(|v| (v.cluster_id.clone(), v)).collect()
}

async fn verdicts(place: &Place, run_id: &RunId) -> BTreeMap<String, Verdict> {
    by_id(place.sealed(run_id).await.rows().await)
}

async fn recomputes(place: &Place, run_id: &RunId) {
    let again = run::reassess(&place.shell(), &place.config(), run_id, By::Sealed).await;
    let again = again.expect("recomputed");
    assert!(again.equal, "{}", again.text);
}

/// A world in which every other cluster whose key is to be disabled at 10:00 of day 1 ends at 06:00 of
/// that day, seen alive by the run of 02:00.
fn timely_ends() -> World {
    let mut world = World::generate(&Options {
        accounts: 24,
        regions: 2,
        clusters: 6,
        days: 4,
        seed: 5,
        ..Options::default()
    });
    let at = |world: &World, day| {
        let truth = world.truth_for(world.audit_ms(day), None, Some(EXTERNAL_ID));
        let alive = truth.clusters.into_iter().filter(|c| c.active);
        alive
            .map(|c| (c.cluster_id.clone(), c))
            .collect::<BTreeMap<_, _>>()
    };
    let (then, now) = (at(&world, 1), at(&world, 2));
    let end_ms = world.audit_ms(1) + 4 * 3_600_000;
    let mut turned = then.keys().filter(|id| {
        let now = now.get(*id);
        now.is_some_and(|now| now.verdict != then[*id].verdict)
    });
    while let Some(id) = turned.next() {
        assert!(world.end_cluster(id, end_ms));
        turned.next();
    }
    world
}

/// The key of some clusters is disabled at 10:00 of day 1 and enabled again at 10:00 of day 3. Those
/// that the run of day 1 saw alive and that ended before the run of day 2 worked to their end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_disabled_after_a_clusters_end_does_not_rewrite_its_history() {
    let place = Place::of(timely_ends(), ServeOptions::default()).await;
    let (mut before, mut run_before): (BTreeMap<String, Verdict>, Option<RunId>) =
        (BTreeMap::new(), None);
    let (mut stood, mut would_be_rewritten, mut alive_and_broken) = (0, 0, 0);
    for day in 0..4 {
        place.at_day(day);
        let run_id = place.audit().await.run_id;
        let now = place.world.audit_ms(day);
        let today = verdicts(&place, &run_id).await;
        let truth = place.world.truth_for(now, None, Some(EXTERNAL_ID));
        for verdict in today.values() {
            let Some(from) = &verdict.stands_from_run else {
                continue;
            };
            stood += 1;
            let id = verdict.cluster_id.as_str();
            assert!(!verdict.active, "{id} has ended");
            assert_eq!(Some(from), run_before.as_ref(), "{id}");
            let then = &before[id];
            assert!(then.active, "{id} was alive");
            assert_eq!(verdict.verdict, then.verdict, "{id}");
            assert_eq!(verdict.delivery, then.delivery, "{id}");

            // Without a run before, the truth is what keys are like today.
            let judged_today = truth.clusters.iter().find(|c| c.cluster_id == id);
            let judged_today = format!("{:?}", judged_today.expect("held").verdict);
            if judged_today != format!("{:?}", then.verdict) {
                would_be_rewritten += 1;
                let name = id.parse().expect("an id");
                let told = run::story(&place.shell(), &place.config(), &name, &Which::Newest).await;
                let told = told.expect("a story");
                let key = told.facts.iter().find(|f| f.id.starts_with("kms_key/"));
                let key = key.expect("a key was read");
                let file = key.file.as_ref().expect("sealed");
                assert!(file.name.contains(from.as_str()), "{}", file.name);
                assert!(
                    key.columns.contains(&("state", "Enabled".into())),
                    "{key:?}"
                );
                let own = told.facts.iter().find(|f| f.id.starts_with("emr_cluster/"));
                let own = own.and_then(|f| f.file.as_ref()).expect("its own row");
                assert!(own.name.contains(run_id.as_str()), "{}", own.name);
            }
        }
        // A cluster that lives on is judged by its key as it is.
        alive_and_broken += today
            .values()
            .filter(|v| v.active && v.verdict == Judgement::NonCompliant)
            .filter(|v| {
                before
                    .get(&v.cluster_id)
                    .is_some_and(|b| b.verdict == Judgement::Compliant)
            })
            .count();
        recomputes(&place, &run_id).await;
        (before, run_before) = (today, Some(run_id));
    }
    println!(
        "{stood} stand, {would_be_rewritten} would be rewritten, {alive_and_broken} broke alive"
    );
    assert!(stood > 20, "{stood}");
    assert!(would_be_rewritten > 0);
    assert!(alive_and_broken > 0);
}

/// A COMPLETE run for the date of another one, as another rule set would have judged and sealed it.
pub async fn seal_by_other_rules(
    place: &Place,
    clock: &dyn Clock,
    original: &Sealed,
    turned: &BTreeMap<String, Judgement>,
) {
    let store = place.store();
    let key = LocalSigner::load(&place.path("signing-key.pem")).expect("the key");
    let chain = Chain::read(&store).await.expect("a chain");
    let mut chain = chain.expect("an archive");
    let of = &original.run.seal.run_id;
    let found = chain.runs().find(|(_, seal)| seal.run_id == *of);
    let (entry, seal) = found.expect("a sealed run");
    let (seal, mut producer) = (seal.clone(), entry.statement.producer.clone());
    let date = seal.scheduled_for;
    let run_id = RunId::new(UtcMillis(clock.now().0), [7; 4]);
    let start = place.archive().join(layout::start(seal.start_n));
    let start: serde_json::Value =
        serde_json::from_slice(&std::fs::read(start).expect("start")).expect("JSON");
    let request = StartRequest {
        run_id: run_id.clone(),
        scheduled_for: date,
        deadline: Duration::from_secs(3_600),
        config: start["config"].clone(),
        take_over: None,
    };
    let begun: Begun = starts::begin(&store, clock, &mut chain, &request)
        .await
        .expect("begun");
    let mut files = vec![begun.file.clone()];
    for file in &original.run.files {
        let Some(Name::Evidence {
            dataset, version, ..
        }) = Name::parse(&file.name)
        else {
            continue;
        };
        let name = layout::evidence(&dataset, version, date, &run_id, 0, "0badcafe");
        let path = place.archive().join(&name);
        let mut copy = FileEntry {
            name,
            ..file.clone()
        };
        if dataset == Verdict::NAME {
            let mut rows: Vec<Verdict> = original.rows().await;
            for row in &mut rows {
                row.verdict = turned.get(&row.cluster_id).copied().unwrap_or(row.verdict);
            }
            let encoded = record::write_rows(&path, rows.into_iter().map(Ok)).expect("written");
            copy.bytes = encoded.bytes;
            copy.sha256 = encoded.sha256;
            copy.rows_sha256 = Some(encoded.rows_sha256);
        } else {
            std::fs::copy(place.archive().join(&file.name), &path).expect("copied");
        }
        files.push(copy);
    }
    let manifest = Manifest::new(
        chain.archive_id().clone(),
        run_id.clone(),
        Period::Date(date),
        files,
        Vec::new(),
    )
    .expect("a manifest");
    producer.rules_version = "1".to_owned();
    producer.rules_sha256 = Sha256Hex::of(b"another rule set");
    let request = CommitRequest {
        content: Content::Run(RunSeal {
            run_id,
            start_n: begun.start.n,
            started_at: begun.start.started_at,
            outcome: RunOutcome::Complete,
            ..seal
        }),
        manifest: &manifest,
        producer,
        until: None,
    };
    let committed = commit::commit(&store, &key, clock, &mut chain, &request).await;
    committed.expect("sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_that_changed_rules_alone_turn_are_labelled_and_neither_new_nor_fixed() {
    use Judgement::{Compliant, NonCompliant};
    let place = Place::new(&Options {
        accounts: 8,
        regions: 2,
        clusters: 4,
        days: 4,
        seed: 21,
        ..Options::default()
    })
    .await;
    place.at_day(0);
    let first = place.audit().await.run_id;
    let original = place.sealed(&first).await;
    let day_0 = by_id(original.rows().await);
    // Clusters of either kind that are alive on both days and judged alike by the rules of today.
    let alive = |judgement| {
        let now = place.world.audit_ms(1);
        let truth = place.world.truth_for(now, None, Some(EXTERNAL_ID));
        let alive = truth.clusters.into_iter();
        let alive: Vec<String> = alive.filter(|c| c.active).map(|c| c.cluster_id).collect();
        let same =
            |v: &&Verdict| v.active && v.verdict == judgement && alive.contains(&v.cluster_id);
        let mut found = day_0.values().filter(same);
        found.next().expect("one of the kind").cluster_id.clone()
    };
    let turned: BTreeMap<String, Judgement> = [
        (alive(Compliant), NonCompliant),
        (alive(NonCompliant), Compliant),
    ]
    .into();
    seal_by_other_rules(&place, &*place.clock, &original, &turned).await;

    place.at_day(1);
    let second = place.audit().await;
    let day_1 = verdicts(&place, &second.run_id).await;
    let labelled: BTreeMap<String, Judgement> = day_1
        .values()
        .filter_map(|v| Some((v.cluster_id.clone(), v.rule_change?)))
        .collect();
    assert_eq!(labelled, turned, "with what the old rules said");
    let bad = |day: &BTreeMap<String, Verdict>, id: &String| {
        day.get(id).is_some_and(|v| v.verdict == NonCompliant)
    };
    let new = day_1
        .keys()
        .filter(|id| bad(&day_1, id) && !bad(&day_0, id))
        .count();
    let summary = &second.summary;
    assert!(
        summary.contains(&format!("   {new} new, ")),
        "{new}: {summary}"
    );
    let said = "changed: 2 verdicts turned by that alone, not new or fixed";
    assert!(summary.contains(said), "{summary}");
    recomputes(&place, &second.run_id).await;

    // The day after compares with a run of the same rules.
    place.at_day(2);
    let third = place.audit().await;
    let day_2 = verdicts(&place, &third.run_id).await;
    assert!(day_2.values().all(|v| v.rule_change.is_none()));
    assert!(!third.summary.contains("turned by that alone"));

    // Offline: a run of other rules cannot be recomputed, and one may ask what these rules change.
    let config = place.config();
    let forged = place.report().await.runs[1].seal.run_id.clone();
    let again = run::reassess(&place.shell(), &config, &forged, By::Sealed).await;
    let again = again.expect("judged");
    assert!(
        !again.equal && again.text.contains("NOT RECOMPUTED (exit 5)"),
        "{}",
        again.text
    );
    let what_if = run::reassess(&place.shell(), &config, &forged, By::AtHand).await;
    let what_if = what_if.expect("judged");
    assert_eq!(what_if.differing, 2, "{}", what_if.text);
    assert!(
        what_if.text.contains("Sealed with rule set 1"),
        "{}",
        what_if.text
    );
    for (id, old) in &turned {
        let line = format!("{id}: {old} -> {}", day_1[id].verdict);
        assert!(what_if.text.contains(&line), "{line}: {}", what_if.text);
    }
}

/// Another configuration at hand is applied, told apart from a check, and changes nothing sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_configuration_is_tried_on_sealed_facts() {
    let place = Place::new(&Options {
        accounts: 12,
        regions: 2,
        clusters: 4,
        days: 2,
        seed: 21,
        ..Options::default()
    })
    .await;
    let run_id = place.audit().await.run_id;
    let sealed = verdicts(&place, &run_id).await;
    let before = crate::support::files_below(&place.archive());
    let rows: Vec<keyproof::model::datasets::Finding> = place.sealed(&run_id).await.rows().await;
    let foreign = rows.iter().find(|f| f.reason == "foreign_owner");
    let foreign = foreign.expect("a key of another organization");
    let params: serde_json::Value = serde_json::from_str(&foreign.params_json).expect("JSON");
    let owner = params["owner"].as_str().expect("its owner");
    let other = place.config_with(&[("rules.allowed_key_owners", owner)], "");
    let tried = run::reassess(&place.shell(), &other, &run_id, By::AtHand).await;
    let tried = tried.expect("judged");
    assert!(tried.text.contains("WHAT IF"), "{}", tried.text);
    assert!(tried.differing > 0, "{}", tried.text);
    assert_eq!(
        sealed[foreign.cluster_id.as_str()].verdict,
        Judgement::NonCompliant
    );
    let line = format!("{}: NON_COMPLIANT -> ", foreign.cluster_id);
    assert!(tried.text.contains(&line), "{}", tried.text);
    recomputes(&place, &run_id).await;
    assert_eq!(crate::support::files_below(&place.archive()), before);
}
