//! Sampled log objects: a run that looks at them concludes what the organization states of them.

use std::collections::BTreeMap;

use keyproof::model::datasets::{Finding, LogObjectSample, Verdict};
use keyproof::model::words::{Lookup, Outcome};
use keyproof::sandbox::Options;

use crate::support::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sampled_objects_are_judged_as_they_were_written() {
    let options = Options {
        accounts: 30,
        regions: 3,
        clusters: 4,
        days: 2,
        seed: 21,
        ..Options::default()
    };
    let place = Place::new(&options).await;
    let now = place.world.audit_ms(0);
    let config = place.config_with(&[("sample_objects", "1000")], "");
    let audited = place.audit_with(&config).await.expect("the run seals");
    let sealed = place.sealed(&audited.run_id).await;
    let samples: Vec<LogObjectSample> = sealed.rows().await;
    let findings: Vec<Finding> = sealed.rows().await;
    let verdicts: Vec<Verdict> = sealed.rows().await;

    let mut of: BTreeMap<&str, Vec<&LogObjectSample>> = BTreeMap::new();
    for row in &samples {
        of.entry(&row.cluster_id).or_default().push(row);
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.rule == "EL-19") {
        let said = format!("{} {}", finding.outcome, finding.reason);
        let id = finding.cluster_id.as_str();
        if of.contains_key(id) {
            let stated = place.world.sampled_truth(id, now).expect("a cluster");
            let outcome = serde_json::to_value(stated.outcome).expect("a word");
            let stated = format!("{} {}", outcome.as_str().unwrap_or_default(), stated.reason);
            assert_eq!(said, stated, "{id}");
        } else {
            assert_eq!(said, "NOT_APPLICABLE not_sampled", "{id}");
        }
        *seen.entry(said).or_default() += 1;
        if finding.outcome == Outcome::Fail {
            let verdict = verdicts.iter().find(|v| v.cluster_id == id);
            assert_eq!(
                verdict.map(|v| v.verdict.as_str()),
                Some("NON_COMPLIANT"),
                "{id}"
            );
        }
    }
    for said in [
        "PASS objects_under_customer_key",
        "FAIL object_not_under_kms",
        "FAIL object_under_aws_managed_key",
        "FAIL object_under_foreign_key",
        "UNKNOWN sse_c_suspected",
        "UNKNOWN objects_not_read",
        "NOT_APPLICABLE no_objects",
    ] {
        assert!(seen.contains_key(said), "no {said} in {seen:?}");
    }
    for row in &samples {
        let is_one = row.object_sha256.len() == 64;
        assert!(is_one || row.object_sha256.is_empty(), "a hash or none");
        assert!(is_one || row.lookup != Lookup::Found, "{row:?}");
        let at_most = of[row.cluster_id.as_str()].len();
        assert!(at_most <= 3, "three objects of a cluster");
    }
    assert_eq!(place.calls("GetObject"), 0, "content is never asked for");
    assert!(place.calls("HeadObject") > 20);

    let report = place.report().await;
    assert!(report.passed());
    for row in &samples {
        let row = format!("{row:?}");
        assert!(
            !row.contains("PLANTED-SECRET") && !row.contains("steps/"),
            "{row}"
        );
    }
}
