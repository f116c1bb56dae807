//! Organizations as they are found, and what all rules about keys say of them together.

use crate::assess::fixtures::*;
use crate::model::words::{Delivery, Judgement};

/// A key of one unit, and a reader of another.
#[test]
fn segregation_by_unit() {
    let mut w = World::compliant();
    w.own_account().business_unit = some("retail");
    let mut own = role(OWN, "retail-analyst", &[READS]);
    own.business_unit = some("retail");
    w.principals.push(own);
    assert_eq!(w.said("EL-11"), "PASS segregated");

    let mut other = role(OWN, "treasury-analyst", &[READS]);
    other.business_unit = some("treasury");
    w.principals.push(other);
    let finding = w.finding("EL-11");
    assert_eq!(finding.reason, "other_unit_can_read");
    assert!(
        finding
            .params_json
            .contains("role/treasury-analyst (treasury)"),
        "{}",
        finding.params_json
    );
    // It is advice: the logs are under the key all the same.
    assert_eq!(w.assess().verdict.verdict, Judgement::Compliant);
}

/// Bucket and key in the account of the log archive.
#[test]
fn central_log_account_with_a_cross_account_key() {
    let mut w = World::compliant();
    w.move_key_to(SISTER);
    w.move_bucket_to(
        SISTER,
        some(
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::team-logs/*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}]}"#,
        ),
    );
    let admin = role(SISTER, "archive-admin", &[RULES_KEYS]);
    w.principals.push(admin);
    for (rule, said) in [
        ("EL-02", "PASS customer_key"),
        ("EL-04", "PASS writer_can_use_key"),
        ("EL-09", "PASS reachable"),
        ("EL-10", "PASS closed"),
        ("EL-14", "PASS rulers_known"),
    ] {
        assert_eq!(w.said(rule), said, "{rule}");
    }
    let verdict = w.assess().verdict;
    assert_eq!(
        (verdict.verdict, verdict.delivery),
        (Judgement::Compliant, Delivery::Working)
    );

    // The archive's own policy forgets the members.
    w.key().policy_json = Some(policy(&[&delegation(SISTER)]));
    assert_eq!(w.said("EL-04"), "FAIL writer_not_allowed");
    let advice = w.finding("EL-04").advice.unwrap_or_default();
    assert!(
        advice.contains("and allow the same actions in an IAM policy"),
        "{advice}"
    );
    assert_eq!(w.assess().verdict.verdict, Judgement::NonCompliant);
}

/// A key whose deletion is scheduled: what is lost with it is named.
#[test]
fn a_key_about_to_be_shredded() {
    let mut w = World::compliant();
    w.key().state = some("PendingDeletion");
    w.key().deletion_at = Some(AS_OF.plus_ms(7 * 86_400_000));
    assert_eq!(w.said("EL-03"), "FAIL key_state");
    let finding = w.finding("EL-14");
    assert_eq!(finding.reason, "pending_deletion");
    for part in ["team-logs", CLUSTER, "2026-12-01", "deletion_at"] {
        assert!(
            finding.params_json.contains(part),
            "{part}: {}",
            finding.params_json
        );
    }
    assert!(
        finding
            .advice
            .is_some_and(|a| a.contains("kms:CancelKeyDeletion"))
    );
    assert_eq!(w.assess().verdict.delivery, Delivery::Broken);
}
