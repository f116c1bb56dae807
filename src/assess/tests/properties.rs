use proptest::prelude::*;

use crate::assess::fixtures::*;
use crate::assess::key_use::KeyUse;
use crate::assess::rules::UNREAD;
use crate::assess::{RULES, Release, Waiver};
use crate::model::datasets::EmrSecurityConfiguration;
use crate::model::words::{Judgement, Lookup, Outcome, Seen, Settings};

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        8 => prop::sample::select(words).prop_map(some),
        1 => Just(None),
        1 => any::<String>().prop_map(Some),
    ]
}

prop_compose! {
    fn any_world()(
        release in one_of(&["emr-7.13.0", "emr-5.9.0", "emr-6.0.0", "emr-x"]),
        log_uri in one_of(&["s3://team-logs/emr/", "s3n://a:b@team-logs/", "hdfs:///x", ""]),
        log_key in one_of(&[KEY, "alias/aws/s3", "alias/emr-logs", "?", " "]),
        uploads in (one_of(&["disabled", "emr-managed"]), one_of(&["disabled"])),
        seen in prop::sample::select(Seen::ALL),
        settings in prop::sample::select(Settings::ALL),
        has_key in any::<bool>(),
        lookup in prop::sample::select(Lookup::ALL),
        manager in one_of(&["CUSTOMER", "AWS"]),
        state in one_of(&["Enabled", "Updating", "Disabled"]),
        usage in one_of(&["ENCRYPT_DECRYPT", "SIGN_VERIFY"]),
        origin in one_of(&["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM"]),
        key_arn in one_of(&[KEY, "arn:aws:kms:eu-west-1:999988887777:key/1", "x"]),
        has_bucket in any::<bool>(),
        algorithm in one_of(&["AES256", "aws:kms", "aws:kms:dsse"]),
        default_key in one_of(&[KEY, "alias/aws/s3"]),
        has_list in any::<bool>(),
        advice in any_advice(),
    ) -> World {
        let mut w = World::compliant();
        w.cluster.release_label = release;
        w.cluster.log_uri = log_uri;
        w.cluster.log_key = log_key;
        (w.cluster.system_logs_upload, w.cluster.application_logs_upload) = uploads;
        w.cluster.seen = seen;
        w.cluster.settings = settings;
        w.scope.has_account_list = has_list;
        let key = w.key();
        key.lookup = lookup;
        key.manager = manager;
        key.state = state;
        key.usage = usage;
        key.origin = origin;
        key.key_arn = key_arn;
        let mut alias = key.clone();
        alias.key_reference = "arn:aws:kms:eu-west-1:111122223333:alias/emr-logs".to_owned();
        w.keys.push(alias);
        if !has_key {
            w.keys.clear();
        }
        w.bucket().default_algorithm = algorithm;
        w.bucket().default_key = default_key;
        w.bucket().lookup = advice.bucket_lookup;
        w.bucket().bucket_key = Some(has_list);
        if !has_bucket {
            w.buckets.clear();
        }
        for key in &mut w.keys {
            key.rotation_lookup = advice.rotation.0;
            key.rotation_enabled = advice.rotation.1;
            key.tags_lookup = advice.tags.0;
            key.owner.clone_from(&advice.tags.1);
        }
        w.config.key_tags.owner = advice.asks_owner;
        w.cluster.ui_logs_upload = advice.ui;
        w.cluster.security_configuration = advice.named;
        w.security_configurations = vec![advice.configuration];
        w
    }
}

/// What rules that advise read.
#[derive(Debug)]
struct Advice {
    ui: Option<String>,
    bucket_lookup: Lookup,
    rotation: (Lookup, Option<bool>),
    tags: (Lookup, Option<String>),
    asks_owner: bool,
    named: Option<String>,
    configuration: EmrSecurityConfiguration,
}

prop_compose! {
    fn any_advice()(
        ui in one_of(&["disabled", "emr-managed"]),
        bucket_lookup in prop_oneof![
            3 => Just(Lookup::Found),
            1 => prop::sample::select(Lookup::ALL),
        ],
        rotation in (prop::sample::select(Lookup::ALL), any::<Option<bool>>()),
        tags in (prop::sample::select(Lookup::ALL), one_of(&["team-ana", " "])),
        asks_owner in any::<bool>(),
        named in one_of(&["sc", ""]),
        age_ms in prop::option::of(prop::sample::select(vec![-9_000_000_i64, 0])),
        unknown_keys in 0_i64..2,
        at_rest in any::<Option<bool>>(),
        s3_mode in one_of(&["SSE-KMS", "SSE-S3"]),
        json in prop_oneof![
            4 => Just(encryption(r#"{"EncryptionMode":"SSE-KMS"}"#)),
            1 => Just(encryption(r#"{"EncryptionMode":"SSE-KMS","Overrides":[{"BucketName":"b"},7]}"#)),
            1 => Just(encryption("7")),
            1 => Just(None),
            1 => any::<String>().prop_map(Some),
        ],
    ) -> Advice {
        Advice {
            ui,
            bucket_lookup,
            rotation,
            tags,
            asks_owner,
            named,
            configuration: EmrSecurityConfiguration {
                created_at: age_ms.map(|ms| AS_OF.plus_ms(ms)),
                encryption_json: json,
                unknown_keys,
                at_rest,
                s3_mode,
                ..security_configuration("sc")
            },
        }
    }
}

fn outcome(w: &World, rule: &str) -> Outcome {
    w.finding(rule).outcome
}

proptest! {
    #[test]
    fn a_key_that_was_not_described_never_passes(w in any_world()) {
        let found = w.with_case(|c| c.log_key().and_then(KeyUse::described).is_some());
        if !found {
            prop_assert_ne!(outcome(&w, "EL-02"), Outcome::Pass);
            prop_assert_ne!(outcome(&w, "EL-03"), Outcome::Pass);
            prop_assert_ne!(w.assess().verdict.verdict, Judgement::Compliant);
        }
    }

    /// "Could not look" is never "passed", for the rules that advise.
    #[test]
    fn what_was_not_read_never_passes(w in any_world()) {
        let passed = |rule| outcome(&w, rule) == Outcome::Pass;
        let key = w.keys.first();
        if key.is_none_or(|k| k.lookup != Lookup::Found || k.rotation_lookup != Lookup::Found) {
            prop_assert!(!passed("EL-12"));
        }
        if key.is_none_or(|k| k.lookup != Lookup::Found || k.tags_lookup != Lookup::Found) {
            prop_assert!(!passed("EL-13"));
        }
        if w.buckets.first().is_none_or(|b| b.lookup != Lookup::Found) {
            prop_assert!(!passed("EL-15"));
        }
        let release = w.cluster.release_label.as_deref().and_then(Release::parse);
        if release.is_none_or(|r| !r.has_upload_policy()) || w.cluster.ui_logs_upload.is_none() {
            prop_assert!(!passed("EL-07"));
        }
        let sc = &w.security_configurations[0];
        let known = w.cluster.security_configuration.as_deref() == Some("sc")
            && sc.encryption_json.is_some()
            && sc.at_rest == Some(true)
            && sc.created_at.is_some_and(|at| at < AS_OF);
        if !known {
            prop_assert!(!passed("EL-08") && !passed("EL-18"));
        }
    }

    #[test]
    fn every_conclusion_is_declared_and_says_what_to_do(w in any_world()) {
        let all = w.assess();
        prop_assert_eq!(all.findings.len(), RULES.len());
        for (f, rule) in all.findings.iter().zip(RULES) {
            let declared = rule.conclusions.iter().chain(UNREAD);
            prop_assert!(declared.into_iter().any(|c| *c == (f.outcome, f.reason.as_str())),
                "{} {} {}", f.rule, f.outcome, f.reason);
            let acts = matches!(f.outcome, Outcome::Fail | Outcome::Unknown);
            prop_assert_eq!(f.advice.is_some(), acts);
        }
        let archived = all.channels.iter().any(|c| c.channel == "C1");
        prop_assert!(all.verdict.verdict != Judgement::NoLogs || !archived);
    }

    #[test]
    fn compliant_means_a_set_and_described_customer_key(w in any_world()) {
        if w.assess().verdict.verdict == Judgement::Compliant {
            prop_assert_eq!(outcome(&w, "EL-01"), Outcome::Pass);
            prop_assert_eq!(outcome(&w, "EL-02"), Outcome::Pass);
            prop_assert_ne!(outcome(&w, "EL-03"), Outcome::Fail);
        }
    }

    /// Rows that the cluster does not refer to, and the order of rows and waivers, change nothing.
    #[test]
    fn only_what_the_cluster_refers_to_counts(w in any_world()) {
        let mut w = w;
        w.waivers = ["b", "a"].map(|id| Waiver {
            id: id.to_owned(),
            rules: Vec::new(),
            resources: Vec::new(),
            accounts: Vec::new(),
            ous: Vec::new(),
            regions: Vec::new(),
            expires: date(),
        }).into();
        let before = w.assess();
        let mut other_key = key_row();
        other_key.key_reference = "arn:aws:kms:eu-west-1:111122223333:key/other".to_owned();
        w.keys.insert(0, other_key);
        let mut other_bucket = bucket_row();
        other_bucket.bucket = "someone-elses".to_owned();
        w.buckets.insert(0, other_bucket);
        w.security_configurations.push(security_configuration("unused"));
        w.keys.reverse();
        w.waivers.reverse();
        prop_assert_eq!(w.assess(), before);
    }
}
