//! What a quick reading of AWS's documentation gets wrong, by name.

use crate::assess::Waiver;
use crate::assess::fixtures::*;
use crate::model::words::{Encryption, Judgement, Lookup, Outcome, Posture};

#[test]
fn a_security_configuration_is_no_proof_and_the_team_is_told_to_keep_it() {
    let mut w = World::compliant();
    w.cluster.log_key = None;
    w.cluster.security_configuration = some("emrfs kms");
    w.security_configurations = vec![security_configuration("emrfs kms")];
    let f = w.finding("EL-01");
    assert_eq!(
        (f.outcome, f.reason.as_str()),
        (Outcome::Fail, "no_log_key")
    );
    assert_eq!(
        f.advice.as_deref(),
        Some(
            "security configuration 'emrfs kms' encrypts EMRFS data, not the logs archived to LogUri; \
             set LogEncryptionKmsKeyId at relaunch and keep 'emrfs kms'"
        )
    );
    assert_eq!(
        f.facts,
        "emr_cluster/111122223333/eu-west-1/j-1ABCDEFGHIJKL log_bucket/team-logs \
         emr_security_configuration/111122223333/eu-west-1/emrfs%20kms"
    );
    assert_eq!(w.assess().verdict.posture, Posture::PassiveDefault);
}

#[test]
fn a_security_configuration_made_again_after_the_launch_is_not_the_clusters() {
    let mut w = World::compliant();
    w.cluster.log_key = None;
    w.cluster.security_configuration = some("sc");
    w.security_configurations = vec![security_configuration("sc")];
    w.security_configurations[0].created_at = Some(AS_OF);
    let advice = w.finding("EL-01").advice.expect("advice");
    assert!(!advice.contains("'sc'"), "{advice}");
}

#[test]
fn a_bucket_default_is_no_proof() {
    let mut w = World::compliant();
    w.cluster.log_key = None;
    w.bucket().default_algorithm = some("aws:kms");
    w.bucket().default_key = some(KEY);
    let all = w.assess();
    assert_eq!(all.verdict.verdict, Judgement::NonCompliant);
    assert_eq!(all.verdict.posture, Posture::PassiveDefault);
    let channel = &all.channels[0];
    assert_eq!(channel.effective_encryption, Encryption::Unknown);
    assert_eq!(channel.basis, "no_log_key_bucket_default_not_proof");
}

#[test]
fn an_aws_alias_is_known_by_name_without_any_look_up() {
    for name in ["alias/aws/s3", "alias/aws/elasticmapreduce"] {
        let mut w = World::compliant();
        w.cluster.log_key = some(name);
        w.keys.clear();
        assert_eq!(w.said("EL-02"), "FAIL aws_managed_key");
        assert_eq!(w.said("EL-03"), "NOT_APPLICABLE aws_managed_key");
        assert_eq!(w.assess().verdict.posture, Posture::PassiveAwsKey);
    }
    // A customer's own alias may look much like it.
    let mut w = World::compliant();
    w.cluster.log_key = some("alias/awsome");
    w.key().key_reference = "arn:aws:kms:eu-west-1:111122223333:alias/awsome".to_owned();
    assert_eq!(w.said("EL-02"), "PASS customer_key");
}

#[test]
fn a_bare_key_id_belongs_to_the_clusters_account_and_region() {
    let mut w = World::compliant();
    w.cluster.log_key = some("0a0a0a0a-1111-4222-8333-444444444444");
    assert_eq!(w.said("EL-02"), "PASS customer_key");
    assert_eq!(w.finding("EL-02").subject, KEY);
    w.cluster.region = region("eu-central-1");
    assert_eq!(w.said("EL-02"), "UNKNOWN key_not_described");
}

#[test]
fn the_subject_of_an_alias_is_the_key_it_stood_for() {
    let mut w = World::compliant();
    let alias = "arn:aws:kms:eu-west-1:111122223333:alias/emr-logs";
    w.cluster.log_key = some("alias/emr-logs");
    w.key().key_reference = alias.to_owned();
    let f = w.finding("EL-03");
    assert_eq!((f.subject_kind.as_str(), f.subject.as_str()), ("key", KEY));
    assert!(
        f.facts.contains(&format!(" kms_key/{alias}")),
        "{}",
        f.facts
    );
    let channel = w.assess().channels.remove(0);
    assert_eq!(channel.requested_key.as_deref(), Some("alias/emr-logs"));
    assert_eq!(channel.key_reference.as_deref(), Some(alias));
    assert_eq!(channel.key_arn.as_deref(), Some(KEY));
    w.lose_key(Lookup::Denied);
    assert_eq!(w.finding("EL-03").subject, alias);
}

#[test]
fn delegation_to_root_lets_iam_decide_and_lets_nobody_in_by_itself() {
    let mut w = World::compliant();
    let before = w.assess();
    w.key().policy_json = some(
        r#"{"Statement":[{"Action":"kms:*","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Resource":"*","Sid":"DelegateToIam"}],"Version":"2012-10-17"}"#,
    );
    assert_eq!(w.assess(), before);
    w.principals[0].policies_json = some("[]");
    assert_eq!(w.said("EL-04"), "FAIL writer_not_allowed");
}

#[test]
fn a_key_in_a_suspended_account_of_the_organization_is_the_organizations() {
    let mut w = World::compliant();
    w.move_key_to(SISTER);
    for account in w.scope.accounts.values_mut() {
        account.state = some("SUSPENDED");
        account.in_scope = false;
    }
    assert_eq!(w.said("EL-02"), "PASS customer_key");
}

#[test]
fn a_denied_key_names_what_is_missing_and_where() {
    let mut w = World::compliant();
    w.move_key_to(SISTER);
    w.lose_key(Lookup::Denied);
    w.key().denied_action = some("kms:DescribeKey");
    w.key().error_code = some("AccessDeniedException");
    for rule in ["EL-02", "EL-03"] {
        let f = w.finding(rule);
        let advice = f.advice.expect("advice");
        assert!(
            advice.contains("kms:DescribeKey") && advice.contains(SISTER),
            "{advice}"
        );
        assert!(
            f.params_json
                .contains(r#""error_code":"AccessDeniedException""#)
        );
    }
}

#[test]
fn a_cluster_of_another_partition_has_its_arn() {
    let mut w = World::compliant();
    w.cluster.region = region("us-gov-west-1");
    let subject = w.finding("EL-01").subject;
    assert!(
        subject.starts_with("arn:aws-us-gov:elasticmapreduce:us-gov-west-1:"),
        "{subject}"
    );
}

fn waiver(id: &str) -> Waiver {
    Waiver {
        id: id.to_owned(),
        rules: Vec::new(),
        resources: Vec::new(),
        accounts: Vec::new(),
        ous: Vec::new(),
        regions: Vec::new(),
        expires: date(),
    }
}

#[test]
fn a_waiver_marks_a_finding_and_changes_nothing_else() {
    let mut w = World::compliant();
    w.cluster.log_key = None;
    let before = w.assess();
    w.waivers = vec![waiver("w-2"), waiver("w-1")];
    let mut after = w.assess();
    assert_eq!(after.verdict, before.verdict);
    let marked: Vec<_> = after
        .findings
        .iter()
        .filter(|f| f.waived_by.as_deref() == Some("w-1"))
        .map(|f| f.rule.as_str())
        .collect();
    assert_eq!(marked, ["EL-01", "EL-07", "EL-08", "EL-15", "EL-18"]);
    for f in &mut after.findings {
        f.waived_by = None;
    }
    assert_eq!(after, before);
}

#[test]
fn a_waiver_covers_only_what_it_names_and_only_until_it_expires() {
    type Narrow = fn(&mut Waiver);
    let cases: [(bool, Narrow); 16] = [
        (true, |_| {}),
        (true, |w| w.resources = vec![CLUSTER.to_owned()]),
        (true, |w| w.resources = vec![KEY.to_owned()]),
        (true, |w| {
            w.rules = vec!["EL-02".to_owned(), "EL-03".to_owned()]
        }),
        (false, |w| w.rules = vec!["EL-02".to_owned()]),
        (false, |w| w.resources = vec!["arn:other".to_owned()]),
        (false, |w| w.accounts = vec![account_id(SISTER)]),
        (true, |w| w.regions = vec![region("eu-west-1")]),
        (false, |w| w.regions = vec![region("us-east-1")]),
        (true, |w| w.ous = vec!["ou-ab12-22222222".to_owned()]),
        (true, |w| {
            w.ous = vec!["ou-other".to_owned(), "r-ab12".to_owned()]
        }),
        (false, |w| w.ous = vec!["ou-ab12-2222".to_owned()]),
        (false, |w| w.ous = vec![String::new()]),
        (false, |w| {
            w.ous = vec!["r-ab12".to_owned()];
            w.regions = vec![region("us-east-1")];
        }),
        (false, |w| {
            w.ous = vec!["ou-other".to_owned()];
            w.accounts = vec![account_id(OWN)];
        }),
        (false, |w| w.expires = date().plus_days(-1)),
    ];
    for (index, (covers, narrow)) in cases.into_iter().enumerate() {
        let mut w = World::compliant();
        w.key().state = some("Disabled");
        w.own_account().ou_path = some("o-1/r-ab12/ou-ab12-22222222/");
        let mut one = waiver("w-1");
        narrow(&mut one);
        w.waivers = vec![one];
        assert_eq!(
            w.finding("EL-03").waived_by.is_some(),
            covers,
            "case {index}"
        );
    }
}

/// A bucket whose owner could not be asked may be the organization's own: nobody is told to widen
/// the scope for it.
#[test]
fn an_unknown_owner_of_a_bucket_is_not_an_owner_outside_the_scope() {
    let mut w = World::compliant();
    w.bucket().region = None;
    w.bucket().lookup = Lookup::OwnerNotInScope;
    let advice = w.finding("EL-03").advice.expect("advice");
    assert!(advice.contains("into scope"), "{advice}");
    w.bucket().lookup = Lookup::OwnerUnknown;
    let advice = w.finding("EL-03").advice.expect("advice");
    assert!(!advice.contains("into scope"), "{advice}");
    assert!(advice.contains("bucket_owners"), "{advice}");
}

/// A replica shares its primary's material and nothing of its policy
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html>).
#[test]
fn a_replica_in_the_buckets_region_is_judged_by_its_own_policy() {
    let replica = KEY.replace("key/", "key/mrk-");
    let primary = replica.replace("eu-west-1", "us-east-1");
    let (silent, delegates) = (policy(&[]), policy(&[&delegation(OWN)]));
    for (own, primarys, expected) in [
        (&delegates, &silent, "PASS writer_can_use_key"),
        (&silent, &delegates, "FAIL writer_not_allowed"),
    ] {
        let mut w = World::compliant();
        w.cluster.log_key = Some(replica.clone());
        w.key().key_reference.clone_from(&replica);
        w.key().key_arn = Some(replica.clone());
        w.key().multi_region = Some(true);
        let mut other = w.keys[0].clone();
        w.key().policy_json = Some(own.clone());
        other.key_reference.clone_from(&primary);
        other.key_arn = Some(primary.clone());
        other.region = region("us-east-1");
        other.policy_json = Some(primarys.clone());
        w.keys.push(other);
        assert_eq!(w.said("EL-04"), expected);
    }
}
