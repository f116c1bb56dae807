//! Denies beside a statement that means everyone: what they close, and whom they spare.

use super::access_tables::{Spoil, WRITE, allow, retail};
use super::everyone::{OF_OWN, READS_OBJECTS, analyst};
use crate::assess::fixtures::*;

/// An Allow for everyone, with whatever Denies stand beside it.
fn fenced(w: &mut World, denies: &[&str]) {
    let mut all = vec![allow(r#""*""#, WRITE, "{}")];
    all.extend(denies.iter().map(|d| deny(r#""Principal":"*""#, d)));
    key_policy(w, &all);
}

fn key_policy(w: &mut World, statements: &[String]) {
    let all: Vec<&str> = statements.iter().map(String::as_str).collect();
    w.key_policy(&all);
}

fn deny(principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"Deny",{principal},"Action":"kms:*","Resource":"*","Condition":{condition}}}"#
    )
}

/// What EL-10 says of an Allow for everyone with one Deny that has `condition`.
fn said_with_deny(condition: &str) -> String {
    let mut w = World::compliant();
    fenced(&mut w, &[condition]);
    w.said("EL-10")
}

const CLOSED: &str = "PASS closed";
const TO_EVERYONE: &str = "FAIL open_to_everyone";
const TO_OUTSIDERS: &str = "FAIL open_to_outsiders";
const MAYBE: &str = "UNKNOWN maybe_open";

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html>.
#[test]
fn el_10_a_deny_closes_the_key_where_it_spares_the_organization_alone() {
    let table: &[(&str, &str, &str)] = &[
        // Organizations. An account of none lacks the key, and a negated operator is true of it.
        (
            "StringNotEquals",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            CLOSED,
        ),
        (
            "StringNotEquals",
            r#""aws:PrincipalOrgID":"o-0987654321""#,
            TO_OUTSIDERS,
        ),
        (
            "StringNotEquals",
            r#""aws:PrincipalOrgID":["o-1234567890","o-0987654321"]"#,
            TO_OUTSIDERS,
        ),
        (
            "StringNotEqualsIgnoreCase",
            r#""aws:principalorgid":"O-1234567890""#,
            CLOSED,
        ),
        (
            "StringNotEqualsIfExists",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            CLOSED,
        ),
        (
            "StringNotEqualsIfExists",
            r#""aws:PrincipalOrgID":"o-0987654321""#,
            TO_OUTSIDERS,
        ),
        (
            "StringNotLike",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            CLOSED,
        ),
        ("StringNotLike", r#""aws:PrincipalOrgID":"o-12345*""#, MAYBE),
        (
            "StringNotLike",
            r#""aws:PrincipalOrgID":["o-1234567890","o-*"]"#,
            TO_EVERYONE,
        ),
        ("StringNotLike", r#""aws:PrincipalOrgID":"*""#, TO_EVERYONE),
        // No wildcard there, and nobody has such an id.
        ("StringNotEquals", r#""aws:PrincipalOrgID":"o-*""#, CLOSED),
        (
            "StringNotEquals",
            r#""aws:PrincipalOrgID":"${aws:ResourceOrgID}""#,
            MAYBE,
        ),
        (
            "ForAllValues:StringNotEquals",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            CLOSED,
        ),
        // False where the key is missing: whoever is of no organization is spared.
        (
            "ForAnyValue:StringNotEquals",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            TO_EVERYONE,
        ),
        (
            "ForAnyValue:StringNotEqualsIfExists",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            CLOSED,
        ),
        // It denies the organization, and nobody else.
        (
            "StringEquals",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            TO_EVERYONE,
        ),
        (
            "NumericNotEquals",
            r#""aws:PrincipalOrgID":"o-1234567890""#,
            TO_EVERYONE,
        ),
        // Paths.
        (
            "ForAllValues:StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-1234567890/r-abcd/*""#,
            CLOSED,
        ),
        (
            "ForAllValues:StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-0987654321/*""#,
            TO_OUTSIDERS,
        ),
        (
            "ForAllValues:StringNotLike",
            r#""aws:PrincipalOrgPaths":["o-1234567890/*","o-0987654321/*"]"#,
            TO_OUTSIDERS,
        ),
        (
            "ForAllValues:StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-12*/r-abcd/*""#,
            MAYBE,
        ),
        (
            "ForAllValues:StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-*/r-abcd/*""#,
            TO_EVERYONE,
        ),
        (
            "ForAnyValue:StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-1234567890/*""#,
            TO_EVERYONE,
        ),
        (
            "ForAnyValue:StringNotLikeIfExists",
            r#""aws:PrincipalOrgPaths":"o-1234567890/*""#,
            CLOSED,
        ),
        (
            "StringNotLike",
            r#""aws:PrincipalOrgPaths":"o-1234567890/*""#,
            MAYBE,
        ),
        // Accounts, which every principal has.
        (
            "StringNotEquals",
            r#""aws:PrincipalAccount":["111122223333","444455556666"]"#,
            CLOSED,
        ),
        (
            "StringNotEquals",
            r#""kms:CallerAccount":"111122223333""#,
            CLOSED,
        ),
        (
            "StringNotEquals",
            r#""aws:PrincipalAccount":["111122223333","999988887777"]"#,
            TO_OUTSIDERS,
        ),
        (
            "ForAnyValue:StringNotEquals",
            r#""aws:PrincipalAccount":"111122223333""#,
            CLOSED,
        ),
        ("StringNotLike", r#""aws:PrincipalAccount":"1111*""#, MAYBE),
        (
            "StringNotLike",
            r#""aws:PrincipalAccount":"*""#,
            TO_EVERYONE,
        ),
        (
            "StringNotLike",
            r#""aws:PrincipalAccount":"????????????""#,
            TO_EVERYONE,
        ),
        (
            "StringNotEquals",
            r#""aws:PrincipalAccount":"1111*""#,
            CLOSED,
        ),
        // ARNs.
        (
            "ArnNotLike",
            r#""aws:PrincipalArn":"arn:*:iam::111122223333:role/ana*""#,
            CLOSED,
        ),
        (
            "ArnNotEquals",
            r#""aws:PrincipalArn":"arn:aws:iam::999988887777:role/x""#,
            TO_OUTSIDERS,
        ),
        (
            "StringNotLike",
            r#""aws:PrincipalArn":"arn:aws:iam::111122223333:role/*""#,
            CLOSED,
        ),
        (
            "ArnNotLike",
            r#""aws:PrincipalArn":"arn:aws:iam::*:role/ana*""#,
            TO_EVERYONE,
        ),
        (
            "ArnNotLike",
            r#""aws:PrincipalArn":"arn:aws:iam::1111*:role/ana*""#,
            MAYBE,
        ),
        (
            "ArnNotLike",
            r#""aws:PrincipalArn":"arn:${aws:Partition}:iam::999988887777:role/x""#,
            MAYBE,
        ),
        // Here a wildcard runs over colons, and a path may hold some.
        (
            "StringNotLike",
            r#""aws:PrincipalArn":"arn:*:iam::111122223333:role/x""#,
            MAYBE,
        ),
        (
            "StringNotLike",
            r#""aws:PrincipalArn":"arn:aws:iam:*:role/x""#,
            MAYBE,
        ),
        // Of services: whoever calls for himself lacks these keys, and is denied.
        (
            "StringNotEquals",
            r#""aws:SourceOrgID":"o-1234567890""#,
            CLOSED,
        ),
        (
            "StringNotEquals",
            r#""aws:SourceOrgID":"o-0987654321""#,
            TO_OUTSIDERS,
        ),
        (
            "StringNotEqualsIfExists",
            r#""aws:SourceOrgID":["o-1234567890","o-0987654321"]"#,
            TO_OUTSIDERS,
        ),
        (
            "ForAnyValue:StringNotEquals",
            r#""aws:SourceOrgID":"o-1234567890""#,
            MAYBE,
        ),
        (
            "StringNotEquals",
            r#""aws:SourceAccount":"999988887777""#,
            TO_OUTSIDERS,
        ),
        (
            "ArnNotLike",
            r#""aws:SourceArn":"arn:aws:s3:*:111122223333:*""#,
            CLOSED,
        ),
        (
            "ForAllValues:StringNotLike",
            r#""aws:SourceOrgPaths":"o-0987654321/*""#,
            TO_OUTSIDERS,
        ),
    ];
    for (operator, rest, expected) in table {
        let condition = format!(r#"{{"{operator}":{{{rest}}}}}"#);
        assert_eq!(said_with_deny(&condition), *expected, "{condition}");
    }
}

#[test]
fn el_10_what_stands_beside_in_a_deny_spares_more() {
    let own = r#""StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}"#;
    for (beside, expected) in [
        (
            r#""BoolIfExists":{"aws:PrincipalIsAWSService":"false"}"#,
            CLOSED,
        ),
        (r#""Null":{"aws:SourceAccount":"true"}"#, CLOSED),
        // Whoever comes through S3.
        (
            r#""BoolIfExists":{"aws:ViaAWSService":"false"}"#,
            TO_EVERYONE,
        ),
        (
            r#""StringNotEqualsIfExists":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}"#,
            TO_EVERYONE,
        ),
        (
            r#""Bool":{"aws:PrincipalIsAWSService":"true"}"#,
            TO_EVERYONE,
        ),
        (r#""Null":{"aws:PrincipalOrgID":"false"}"#, TO_EVERYONE),
        (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, MAYBE),
        (r#""StringNotMatches":{"aws:PrincipalOrgID":"x"}"#, MAYBE),
        // All must hold for the Deny to apply, so the partner is spared.
        (
            r#""StringNotEqualsIfExists":{"aws:PrincipalAccount":"999988887777"}"#,
            TO_OUTSIDERS,
        ),
        (
            r#""ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/*"}"#,
            CLOSED,
        ),
    ] {
        let condition = format!("{{{own},{beside}}}");
        assert_eq!(said_with_deny(&condition), expected, "{condition}");
    }
}

#[test]
fn el_10_of_several_denies_one_that_closes_is_enough() {
    let own = r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#;
    let other = r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-0987654321"}}"#;
    let mut w = World::compliant();
    fenced(&mut w, &[other, own]);
    assert_eq!(w.said("EL-10"), CLOSED);
    fenced(&mut w, &[other]);
    let advice = w.finding("EL-10").advice.unwrap_or_default();
    assert!(
        advice.contains("take o-0987654321") && advice.contains("key_policy[2]"),
        "{advice}"
    );

    // Of one action it closes one.
    let looks = deny(r#""Principal":"*""#, own).replace("kms:*", "kms:Decrypt");
    key_policy(&mut w, &[allow(r#""*""#, WRITE, "{}"), looks]);
    assert_eq!(w.said("EL-10"), TO_EVERYONE);
    let of_sister = deny(r#""Principal":{"AWS":"444455556666"}"#, own);
    key_policy(&mut w, &[allow(r#""*""#, WRITE, "{}"), of_sister]);
    assert_eq!(w.said("EL-10"), TO_EVERYONE);

    // Whom the policy or a grant names from outside, it keeps away, too.
    let partner = allow(r#"{"AWS":"999988887777"}"#, WRITE, "{}");
    key_policy(&mut w, std::slice::from_ref(&partner));
    w.grants = vec![grant("arn:aws:iam::999988887777:role/x", "Decrypt")];
    assert_eq!(w.said("EL-10"), TO_OUTSIDERS);
    key_policy(&mut w, &[partner.clone(), deny(r#""Principal":"*""#, own)]);
    assert_eq!(w.said("EL-10"), CLOSED);
    key_policy(&mut w, &[partner, deny(r#""Principal":"*""#, other)]);
    assert_eq!(w.said("EL-10"), TO_OUTSIDERS);
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>.
#[test]
fn el_10_not_principal_of_a_deny_spares_whom_it_lists() {
    for (listed, expected) in [
        (
            r#"{"AWS":["arn:aws:iam::111122223333:root","444455556666"]}"#,
            CLOSED,
        ),
        (r#"{"AWS":"arn:aws:iam::999988887777:root"}"#, TO_OUTSIDERS),
        (
            r#"{"AWS":["111122223333","999988887777","arn:aws:iam::999988887777:role/x"]}"#,
            TO_OUTSIDERS,
        ),
        (r#"{"AWS":"AROAEXAMPLEEXAMPLE234"}"#, CLOSED),
        (r#"{"AWS":"*"}"#, TO_EVERYONE),
        (r#""*""#, TO_EVERYONE),
    ] {
        let mut w = World::compliant();
        let spares = deny(&format!(r#""NotPrincipal":{listed}"#), "{}");
        key_policy(&mut w, &[allow(r#""*""#, WRITE, "{}"), spares]);
        assert_eq!(w.said("EL-10"), expected, "{listed}");
    }
}

#[test]
fn el_10_is_unknown_of_a_deny_where_nobody_tells_which_organization_is_ours() {
    for (condition, expected) in [
        (
            r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#,
            MAYBE,
        ),
        (
            r#"{"StringNotEquals":{"aws:SourceOrgID":"o-1234567890"}}"#,
            MAYBE,
        ),
        (
            r#"{"ForAllValues:StringNotLike":{"aws:PrincipalOrgPaths":"o-1234567890/*"}}"#,
            MAYBE,
        ),
        (
            r#"{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}"#,
            CLOSED,
        ),
    ] {
        for (listed, of_sister) in [(true, expected), (false, MAYBE)] {
            let mut w = World::compliant();
            // A list of accounts, or one account.
            w.scope.has_account_list = listed;
            if !listed {
                w.scope.accounts.remove(&account_id(SISTER));
            }
            for account in w.scope.accounts.values_mut() {
                account.ou_path = None;
            }
            fenced(&mut w, &[condition]);
            assert_eq!(w.said("EL-10"), expected, "{condition}");
            let with_sister = condition.replace("111122223333", SISTER);
            fenced(&mut w, &[&with_sister]);
            assert_eq!(w.said("EL-10"), of_sister, "{with_sister}");
        }
    }
}

#[test]
fn el_11_everyone_means_whom_a_deny_spares() {
    let own = r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#;
    let other = r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-0987654321"}}"#;
    let both = r#"{"StringNotEquals":{"aws:PrincipalOrgID":["o-1234567890","o-0987654321"]}}"#;
    let no_list: Spoil = |w| w.scope.has_account_list = false;
    let unknown_organization: Spoil = |w| {
        for account in w.scope.accounts.values_mut() {
            account.ou_path = None;
        }
    };
    let treasury: Spoil = |w| analyst(w, OWN, READS_OBJECTS);
    let nothing: Spoil = |_| {};
    for (condition, spoil, expected) in [
        (own, nothing, "PASS segregated"),
        (own, treasury, "FAIL other_unit_can_read"),
        (own, no_list, "UNKNOWN readers_not_known"),
        (own, unknown_organization, "UNKNOWN readers_not_known"),
        (other, nothing, "UNKNOWN readers_not_known"),
        (both, nothing, "UNKNOWN readers_not_known"),
    ] {
        let mut w = World::compliant();
        retail(&mut w);
        spoil(&mut w);
        fenced(&mut w, &[condition]);
        assert_eq!(w.said("EL-11"), expected, "{condition}");
    }
}

/// Nobody tells whether the session that reads is listed, too.
#[test]
fn el_11_whom_not_principal_of_a_deny_spares_may_read() {
    let listed =
        r#""NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/analyst"]}"#;
    for (allowed, own, expected) in [
        (
            allow(r#""*""#, WRITE, "{}"),
            READS_OBJECTS,
            "UNKNOWN depends_on_context",
        ),
        (
            allow(r#""*""#, WRITE, OF_OWN),
            READS_OBJECTS,
            "UNKNOWN depends_on_context",
        ),
        (delegation(OWN), READS, "UNKNOWN depends_on_context"),
        (delegation(OWN), READS_OBJECTS, "PASS segregated"),
    ] {
        let mut w = World::compliant();
        retail(&mut w);
        analyst(&mut w, OWN, own);
        let spares = deny(listed, "{}");
        let statements = [allowed.as_str(), spares.as_str()];
        w.key().policy_json = Some(policy(&statements));
        assert_eq!(w.said("EL-11"), expected, "{allowed} {own}");
    }
}
