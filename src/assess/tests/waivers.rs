//! Waivers mark findings about any subject, UNKNOWN ones too, and nothing that needs no waiver.

use std::collections::BTreeSet;

use crate::assess::Waiver;
use crate::assess::fixtures::{World, date, refused_cell, some};
use crate::model::words::{Lookup, Outcome, Seen, Settings, Source};

fn worlds() -> Vec<World> {
    let spoil: [fn(&mut World); 9] = [
        |_| {},
        |w| w.cluster.log_key = None,
        |w| w.key().state = some("Disabled"),
        |w| w.lose_key(Lookup::Denied),
        |w| w.bucket().lookup = Lookup::Denied,
        |w| w.cluster.settings = Settings::Deferred,
        |w| w.cluster.seen = Seen::NotSeen,
        |w| w.cluster.log_uri = some("hdfs:///logs"),
        |w| w.cluster.security_configuration = some("gone"),
    ];
    spoil
        .into_iter()
        .map(|spoil| {
            let mut w = World::compliant();
            spoil(&mut w);
            w
        })
        .collect()
}

#[test]
fn a_waiver_of_a_rule_and_a_subject_marks_exactly_that_finding() {
    let mut marked = BTreeSet::new();
    for mut w in worlds() {
        for wanted in w.assess().findings {
            w.waivers = vec![Waiver {
                id: "w-1".to_owned(),
                rules: vec![wanted.rule.to_string()],
                resources: vec![wanted.subject.to_string()],
                accounts: Vec::new(),
                ous: Vec::new(),
                regions: Vec::new(),
                expires: date(),
            }];
            for finding in w.assess().findings {
                let may_be = matches!(finding.outcome, Outcome::Fail | Outcome::Unknown);
                // A resource that is the cluster covers whatever is about something of the cluster.
                let named = finding.rule == wanted.rule
                    && (finding.subject == wanted.subject || wanted.subject_kind == "cluster");
                assert_eq!(
                    finding.waived_by.is_some(),
                    may_be && named,
                    "{} {} {}",
                    finding.rule,
                    finding.reason,
                    finding.subject
                );
                if finding.waived_by.is_some() {
                    marked.insert((finding.subject_kind.to_string(), finding.outcome));
                }
            }
            w.waivers.clear();
        }
    }
    for kind in ["cluster", "key", "bucket"] {
        for outcome in [Outcome::Fail, Outcome::Unknown] {
            let pair = (kind.to_owned(), outcome);
            assert!(marked.contains(&pair), "{pair:?} is among {marked:?}");
        }
    }
}

/// Whatever was refused, the finding says which permission is missing, and so does its advice.
#[test]
fn unknown_for_a_refusal_names_the_permission() {
    type Refuse = fn(&mut World);
    let cases: [(&str, &str, Refuse); 9] = [
        ("EL-01", "elasticmapreduce:DescribeCluster", |w| {
            w.cluster.settings = Settings::Deferred;
            w.cells = vec![refused_cell(
                Source::ClusterSettings,
                "elasticmapreduce:DescribeCluster",
            )];
        }),
        ("EL-02", "elasticmapreduce:ListClusters", |w| {
            w.cluster.seen = Seen::NotSeen;
            w.cells = vec![refused_cell(
                Source::Clusters,
                "elasticmapreduce:ListClusters",
            )];
        }),
        (
            "EL-18",
            "elasticmapreduce:ListSecurityConfigurations",
            |w| {
                w.cluster.security_configuration = some("sc");
                w.cells = vec![refused_cell(
                    Source::SecurityConfigurations,
                    "elasticmapreduce:ListSecurityConfigurations",
                )];
            },
        ),
        ("EL-02", "kms:DescribeKey", |w| {
            w.lose_key(Lookup::Denied);
            w.key().denied_action = some("kms:DescribeKey");
        }),
        ("EL-03", "kms:DescribeKey", |w| {
            w.lose_key(Lookup::Denied);
            w.key().denied_action = some("kms:DescribeKey");
        }),
        ("EL-03", "s3:GetBucketLocation", |w| {
            w.bucket().lookup = Lookup::Denied;
            w.bucket().region = None;
            w.bucket().denied_action = some("s3:GetBucketLocation");
        }),
        ("EL-12", "kms:GetKeyRotationStatus", |w| {
            w.key().rotation_lookup = Lookup::Denied;
            w.key().rotation_enabled = None;
        }),
        ("EL-13", "kms:ListResourceTags", |w| {
            w.config.key_tags.owner = true;
            w.key().tags_lookup = Lookup::Denied;
        }),
        ("EL-15", "s3:GetEncryptionConfiguration", |w| {
            w.bucket().lookup = Lookup::Denied;
            w.bucket().denied_action = some("s3:GetEncryptionConfiguration");
        }),
    ];
    for (rule, action, refuse) in cases {
        let mut w = World::compliant();
        refuse(&mut w);
        let finding = w.finding(rule);
        assert_eq!(finding.outcome, Outcome::Unknown, "{rule} {action}");
        let params: serde_json::Value = serde_json::from_str(&finding.params_json).expect("JSON");
        assert_eq!(params["denied_action"], action, "{rule} {action}");
        let advice = finding.advice.expect("advice");
        assert!(advice.contains(action), "{rule}: {advice}");
        for cell in &w.cells {
            let id = format!("coverage/111122223333/eu-west-1/{}", cell.source);
            assert!(finding.facts.ends_with(&id), "{}", finding.facts);
        }
    }
}

#[test]
fn a_role_that_cannot_be_assumed_is_to_be_deployed() {
    let mut w = World::compliant();
    w.cluster.seen = Seen::NotSeen;
    w.cells = vec![refused_cell(Source::Clusters, "sts:AssumeRole")];
    let advice = w.finding("EL-01").advice.expect("advice");
    assert!(
        advice.contains("deploy the reader role in account 111122223333"),
        "{advice}"
    );
}

/// Without a refusal nobody is told to grant anything that is granted already.
#[test]
fn what_ended_otherwise_names_no_permission() {
    let mut w = World::compliant();
    w.cluster.seen = Seen::NotSeen;
    let mut cell = refused_cell(Source::Clusters, "");
    cell.denied_action = None;
    cell.outcome = crate::model::words::CellOutcome::ThrottledOut;
    w.cells = vec![cell];
    let finding = w.finding("EL-01");
    assert!(
        finding.params_json.contains(r#""cell":"throttled_out""#),
        "{}",
        finding.params_json
    );
    assert!(!finding.params_json.contains("denied_action"));
}
