//! `keyproof explain CLUSTER-ID`: the story of a verdict stands on sealed files, and says so.

use keyproof::error::Exit;
use keyproof::model::datasets::{EmrCluster, Finding, Verdict};
use keyproof::model::ids::Sha256Hex;
use keyproof::report::cluster_story::{self, ClusterStory};
use keyproof::run::{self, ClusterName, RunError, Which};
use keyproof::sandbox::Options;

use crate::support::{Place, TAGS, files_below, told};

fn options() -> Options {
    Options {
        accounts: 10,
        regions: 2,
        clusters: 3,
        days: 3,
        seed: 21,
        ..Options::default()
    }
}

fn waiver() -> String {
    "[[exception]]\nid = \"old-keys\"\nkind = \"waiver\"\nrules = [\"EL-01\", \"EL-02\", \"EL-03\"]\n\
     reason = \"moves in spring\"\napprover = \"ciso@example.org\"\nexpires = \"2027-03-31\"\n"
        .to_owned()
}

async fn tell(place: &Place, cluster: &str, which: Which) -> Result<ClusterStory, RunError> {
    let name: ClusterName = cluster.parse().expect("a cluster's name");
    run::story(&place.shell(), &place.config(), &name, &which).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cluster_has_a_story_down_to_the_digests() {
    let place = Place::new(&options()).await;
    let audited = place
        .audit_with(&place.config_with(&TAGS, &waiver()))
        .await
        .expect("sealed");
    let sealed = place.sealed(&audited.run_id).await;
    let verdicts: Vec<Verdict> = sealed.rows().await;
    let findings: Vec<Finding> = sealed.rows().await;
    let (mut kinds, mut reasons) = (Vec::new(), Vec::new());
    let mut waived = 0;
    for verdict in &verdicts {
        // One story for each way of being judged is enough.
        let its = || {
            findings
                .iter()
                .filter(|f| f.cluster_id == verdict.cluster_id)
        };
        let pattern: Vec<_> = its().map(|f| f.reason.clone()).collect();
        if reasons.contains(&pattern) {
            continue;
        }
        reasons.push(pattern);
        let story = tell(&place, &verdict.cluster_id, Which::Newest)
            .await
            .expect("a story");
        assert_eq!(story.verdict, *verdict);
        assert_eq!(story.findings.len(), its().count());
        kinds.push(verdict.verdict.as_str());

        let files = story.facts.iter().map(|fact| {
            assert!(!fact.columns.is_empty(), "{} has a row", fact.id);
            fact.file.as_ref().expect("each fact is in a sealed file")
        });
        for file in files
            .chain(&story.files)
            .chain([&story.sealed.manifest, &story.sealed.entry])
        {
            let bytes = std::fs::read(place.archive().join(&file.name)).expect("a file");
            assert_eq!(Sha256Hex::of(&bytes), file.sha256, "{}", file.name);
        }
        let text = cluster_story::render(&story);
        for told in &story.findings {
            assert!(told.rule_name.is_some(), "{}", told.finding.rule);
            assert!(text.contains(told.finding.reason.as_str()), "{text}");
            for id in told.finding.facts.split(' ') {
                assert!(story.facts.iter().any(|f| f.id == id), "{id}");
                assert!(text.contains(&format!("] {id}")), "{id}: {text}");
            }
            if told.finding.waived_by.is_some() {
                waived += 1;
                assert!(
                    text.contains("Waived by old-keys until 2027-03-31"),
                    "{text}"
                );
            }
        }
        for line in text.lines() {
            // Only what is of no use cut short is longer: one word, a numbered id, a command.
            let words = line.split_whitespace().filter(|w| !w.starts_with('['));
            let long = words.count() > 1 && line.chars().count() > 80;
            assert!(!long || line.contains("keyproof assess"), "{line}");
        }
        let json = cluster_story::to_json(&story);
        assert_eq!(json["verdict"]["cluster_id"], verdict.cluster_id.as_str());
        assert_eq!(
            json["findings"].as_array().map(Vec::len),
            Some(its().count())
        );
        assert_eq!(
            json["facts"][0]["row"]["cluster_id"],
            verdict.cluster_id.as_str()
        );
    }
    for kind in ["COMPLIANT", "NON_COMPLIANT", "UNKNOWN", "NO_LOGS"] {
        assert!(kinds.contains(&kind), "{kind} occurs: {kinds:?}");
    }
    assert!(waived > 0);
    let left = files_below(&place.path("work"));
    assert!(left.is_empty(), "nothing local is left: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_is_said() {
    let place = Place::new(&options()).await;
    let day = place.at_day(0);
    let empty = tell(&place, "j-1ABC", Which::Newest)
        .await
        .expect_err("nothing");
    assert!(matches!(empty, RunError::NoChain { .. }), "{empty}");
    let first = place.audit().await;
    let other_day = place.at_day(1);
    place.audit().await;

    let none = tell(&place, "j-1ABC", Which::Newest)
        .await
        .expect_err("none");
    let said = none.to_string();
    assert!(
        said.contains("no cluster j-1ABC") && said.contains(&other_day.to_string()),
        "{said}"
    );
    assert_eq!(none.exit(), Exit::Usage);
    let hole = tell(&place, "j-1ABC", Which::Of(day.plus_days(-1)))
        .await
        .expect_err("a hole");
    assert!(matches!(hole, RunError::NoRunOfRecord { .. }), "{hole}");

    let sealed = place.sealed(&first.run_id).await;
    let clusters: Vec<EmrCluster> = sealed.rows().await;
    let cluster = &clusters[0];
    let arn = format!(
        "arn:aws:elasticmapreduce:{}:{}:cluster/{}",
        cluster.region, cluster.account_id, cluster.cluster_id
    );
    for which in [Which::Of(day), Which::Run(first.run_id.clone())] {
        let story = tell(&place, &arn, which).await.expect("a story");
        assert_eq!(story.sealed.run_id, first.run_id);
    }
    let elsewhere = arn.replace(cluster.account_id.as_str(), "999999999999");
    let elsewhere = tell(&place, &elsewhere, Which::Of(day)).await;
    assert!(matches!(elsewhere, Err(RunError::NoSuchCluster { .. })));

    // A file that is no longer what was sealed is refused by name, whichever of those that are read.
    for dataset in ["verdict", "finding", "channel", "emr_cluster"] {
        let mut files = sealed.run.files.iter();
        let file = files
            .find(|f| f.name.contains(&format!("/{dataset}/")))
            .expect("a sealed file");
        let path = place.archive().join(&file.name);
        let whole = std::fs::read(&path).expect("a file");
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::remove_file(&path).expect("remove");
        std::fs::write(&path, &changed).expect("write");
        let refused = tell(&place, &arn, Which::Of(day)).await.expect_err(dataset);
        assert_eq!(refused.exit(), Exit::Unverified, "{refused}");
        assert!(refused.to_string().contains(&file.name), "{refused}");
        std::fs::write(&path, &whole).expect("write");
    }
    assert!(tell(&place, &arn, Which::Of(day)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_tells_a_story() {
    let place = Place::new(&options()).await;
    let audited = place.audit().await;
    let clusters: Vec<EmrCluster> = place.sealed(&audited.run_id).await.rows().await;
    let id = clusters[0].cluster_id.as_str();
    let archive = place.archive().display().to_string();
    let state = place.path("state").display().to_string();
    let common = ["--archive", &archive, "--state-dir", &state];
    let ask = async |arguments: &[&str]| {
        let all = [&["explain"], arguments, &common].concat();
        place
            .program(&all)
            .output()
            .await
            .expect("the program runs")
    };
    let text = ask(&[id]).await;
    assert_eq!(text.status.code(), Some(0), "{}", told(&text));
    assert!(String::from_utf8_lossy(&text.stdout).starts_with(&format!("Cluster    {id}")));
    let json = ask(&[id, "--format", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one document");
    assert_eq!(json["run"]["run_id"], audited.run_id.to_string());
    for (arguments, part) in [
        (&["j-NOSUCHCLUSTER"][..], "holds no cluster j-NOSUCHCLUSTER"),
        (
            &[id, "--date", "2001-01-01"],
            "no run of record for 2001-01-01",
        ),
        (&["EL-01"], "--archive is for a cluster"),
        (&["j-1abc"], "--archive is for a cluster"),
        (&[id, "--date", "2001-01-01", "--run-id", "x"], "run-id"),
    ] {
        let refused = ask(arguments).await;
        assert_ne!(refused.status.code(), Some(0), "{arguments:?}");
        assert!(
            told(&refused).contains(part),
            "{arguments:?}: {}",
            told(&refused)
        );
    }
}
