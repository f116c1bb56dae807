//! Statements that mean everyone: whom they mean after all, and what is said where nobody can tell.

use super::access_tables::{Spoil, allow, everyone, retail};
use crate::assess::access::Answers;
use crate::assess::fixtures::*;
use crate::model::datasets::KeyAccess;
use crate::model::words::Lookup;

pub(super) const OF_OWN: &str = r#"{"StringEquals":{"kms:CallerAccount":"111122223333"}}"#;
const OF_ORGANIZATION: &str = r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}"#;
const ANALYSTS: &str = r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/ana*"}}"#;
const ANALYSTS_ANYWHERE: &str = r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ana*"}}"#;
/// Nothing about KMS: the key alone lets him decrypt.
pub(super) const READS_OBJECTS: &str =
    r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

pub(super) fn analyst(w: &mut World, account: &str, policy: &str) {
    let mut analyst = role(account, "analyst", &[policy]);
    analyst.business_unit = some("treasury");
    w.principals.push(analyst);
}

fn bucket_lets_in(w: &mut World, principal: &str) {
    w.bucket().policy_lookup = Lookup::Found;
    w.bucket().policy_json = Some(format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"*"}}]}}"#
    ));
}

#[test]
fn el_11_everyone_means_the_identities_that_the_conditions_leave() {
    let table: &[(&str, Spoil)] = &[
        ("PASS segregated", |w| everyone(w, OF_OWN)),
        ("FAIL other_unit_can_read", |w| {
            everyone(w, OF_OWN);
            analyst(w, OWN, READS_OBJECTS);
        }),
        ("PASS segregated", |w| everyone(w, ANALYSTS)),
        ("FAIL other_unit_can_read", |w| {
            everyone(w, ANALYSTS);
            analyst(w, OWN, READS_OBJECTS);
        }),
        ("PASS segregated", |w| {
            everyone(w, &ANALYSTS.replace("ana*", "auditor*"));
            analyst(w, OWN, READS_OBJECTS);
        }),
        ("PASS segregated", |w| everyone(w, OF_ORGANIZATION)),
        ("FAIL other_unit_can_read", |w| {
            everyone(w, OF_ORGANIZATION);
            analyst(w, OWN, READS_OBJECTS);
        }),
        // The bucket lets no other account read.
        ("PASS segregated", |w| {
            everyone(w, OF_ORGANIZATION);
            analyst(w, SISTER, READS);
        }),
        ("PASS segregated", |w| {
            everyone(w, OF_ORGANIZATION);
            w.lose_identities(SISTER);
        }),
        ("FAIL other_unit_can_read", |w| {
            everyone(w, OF_ORGANIZATION);
            analyst(w, SISTER, READS);
            bucket_lets_in(w, r#"{"AWS":"444455556666"}"#);
        }),
        // Of another account, its own policies must let him use the key.
        ("PASS segregated", |w| {
            everyone(w, OF_ORGANIZATION);
            analyst(w, SISTER, READS_OBJECTS);
            bucket_lets_in(w, r#"{"AWS":"444455556666"}"#);
        }),
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, OF_ORGANIZATION);
            w.lose_identities(SISTER);
            bucket_lets_in(w, r#"{"AWS":"444455556666"}"#);
        }),
        ("UNKNOWN readers_not_known", |w| everyone(w, "{}")),
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, ANALYSTS_ANYWHERE)
        }),
        ("PASS segregated", |w| {
            let both = format!(
                r#"{{"StringEquals":{{"aws:PrincipalOrgID":"o-1234567890"}},{}"#,
                &ANALYSTS_ANYWHERE[1..]
            );
            everyone(w, &both);
        }),
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, &OF_ORGANIZATION.replace("o-1234567890", "o-0987654321"));
        }),
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, OF_ORGANIZATION);
            w.scope.has_account_list = false;
        }),
        // Who has no policy of his own is let in by both, and no row names him.
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, OF_OWN);
            bucket_lets_in(w, r#""*""#);
        }),
        // More accounts than are looked into.
        ("UNKNOWN readers_not_known", |w| {
            everyone(w, OF_ORGANIZATION);
            bucket_lets_in(w, r#"{"AWS":"*"}"#);
            let sister = w.scope.accounts[&account_id(SISTER)].clone();
            for n in 0..70 {
                let id = account_id(&format!("{:012}", 700_000_000_000_u64 + n));
                let mut account = sister.clone();
                account.account_id = id.clone();
                w.scope.accounts.insert(id, account);
            }
        }),
    ];
    for (at, (expected, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        retail(&mut w);
        spoil(&mut w);
        assert_eq!(w.said("EL-11"), *expected, "row {at}");
    }
}

fn rows(w: &World) -> Vec<KeyAccess> {
    let key = &w.keys[0];
    Answers::default()
        .access(key, date(), &w.scope, &Facts::of(w))
        .expect("facts")
}

fn decrypts(w: &World) -> Vec<String> {
    let rows = rows(w);
    let of_decrypt = rows.iter().filter(|r| r.action == "kms:Decrypt");
    of_decrypt
        .map(|r| format!("{} {} {}", r.holder_kind, r.holder, r.decision))
        .collect()
}

#[test]
fn key_access_names_everyone_as_the_policy_says_it_and_the_identities_beside() {
    let mut w = World::compliant();
    everyone(&mut w, OF_ORGANIZATION);
    analyst(&mut w, SISTER, READS);
    let all = rows(&w);
    let found = |who: &str| {
        let mut of_who = all
            .iter()
            .filter(|r| r.action == "kms:Decrypt" && r.holder == who);
        of_who.next().unwrap_or_else(|| panic!("no row for {who}"))
    };
    let pattern = found("o-1234567890");
    assert_eq!(
        (pattern.holder_kind.as_str(), pattern.in_organization),
        ("organization", Some(true))
    );
    assert_eq!(pattern.decided_by, "key_policy[1] (Extra)");
    let sister = found("arn:aws:iam::444455556666:role/analyst");
    assert_eq!(sister.decision, "allowed");
    assert_eq!(
        found("arn:aws:iam::111122223333:role/key-admin").decision,
        "allowed"
    );

    for (condition, row) in [
        ("{}", "everyone * allowed"),
        (
            ANALYSTS_ANYWHERE,
            "pattern arn:aws:iam::*:role/ana* conditional",
        ),
        (
            ANALYSTS,
            "pattern arn:aws:iam::111122223333:role/ana* conditional",
        ),
    ] {
        let mut w = World::compliant();
        everyone(&mut w, condition);
        let all = decrypts(&w);
        assert!(all.iter().any(|r| r == row), "{condition}: {all:#?}");
    }
}

#[test]
fn a_pattern_of_another_account_rules_no_key() {
    let mut w = World::compliant();
    let theirs = ANALYSTS.replace(OWN, SISTER);
    w.key_policy(&[&allow(r#""*""#, r#""kms:*""#, &theirs)]);
    let pattern = "arn:aws:iam::444455556666:role/ana*";
    let all = rows(&w);
    let actions: Vec<_> = all.iter().filter(|r| r.holder == pattern).collect();
    let actions: Vec<_> = actions.iter().map(|r| r.action.as_str()).collect();
    assert_eq!(actions, ["kms:Decrypt", "kms:CreateGrant"]);
}
