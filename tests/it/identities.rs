//! What runs collect of keys, grants and identities is what the sandbox's stories state of them.

use std::collections::{BTreeMap, BTreeSet};

use keyproof::model::datasets::{KmsGrant, KmsKey, Principal};
use keyproof::model::words::Lookup;
use keyproof::sandbox::world::access::Access;
use keyproof::sandbox::world::identities::{SERVICE_ROLE, role_of};
use keyproof::sandbox::world::scenario::Scenario;
use keyproof::sandbox::{EXTERNAL_ID, Options};

use crate::support::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_about_who_may_use_a_key_are_what_the_stories_state() {
    let options = Options {
        accounts: 50,
        regions: 2,
        clusters: 4,
        days: 1,
        seed: 4,
        ..Options::default()
    };
    let place = Place::new(&options).await;
    place.at_day(0);
    let audited = place.audit().await;
    let sealed = place.sealed(&audited.run_id).await;
    let now = place.world.audit_ms(0);
    let truth = place.world.truth_for(now, None, Some(EXTERNAL_ID));
    let principals: Vec<Principal> = sealed.rows().await;
    let grants: Vec<KmsGrant> = sealed.rows().await;
    let keys: Vec<KmsKey> = sealed.rows().await;

    let principal = |account: &str, path_and_name: &str| {
        let arn = format!("arn:aws:iam::{account}:role/{path_and_name}");
        principals.iter().find(|p| p.principal == arn)
    };
    let mut told = BTreeSet::new();
    for cluster in &truth.clusters {
        let account = cluster.account_id.as_str();
        let here = place
            .world
            .account_region(account, cluster.region)
            .expect("here");
        let recipe = here.recipe(here.cluster(&cluster.cluster_id).expect("cluster"));
        if recipe.log_uri.is_none() {
            continue;
        }
        told.insert(cluster.access);
        let writer = principal(account, role_of(recipe.instance_profile));
        if !place
            .world
            .account(account)
            .expect("account")
            .shows_identities()
        {
            assert_eq!(writer, None, "nothing is known of a role that was not read");
            continue;
        }
        let writer = writer.unwrap_or_else(|| panic!("no writer: {cluster:?}"));
        let profiles = writer.instance_profiles.as_deref();
        assert_eq!(profiles, Some(recipe.instance_profile));
        let policies = writer.policies_json.as_deref().expect("read whole");
        let may = policies.contains("kms:GenerateDataKey*");
        match cluster.access {
            Access::ByIdentityPolicy | Access::AcrossAccounts => {
                assert!(may && !policies.contains("Deny") && writer.boundary.is_none());
            }
            Access::ByKeyPolicy
            | Access::ByGrant
            | Access::NotAllowed
            | Access::DeletedRole
            | Access::DependsOn(_) => assert!(!policies.contains("kms:"), "{policies}"),
            Access::ExplicitDeny => assert!(may && policies.contains(r#""Effect":"Deny""#)),
            Access::BeyondBoundary => {
                let boundary = writer.boundary_json.as_deref().expect("a boundary");
                assert!(may && !boundary.contains("kms:"), "{boundary}");
            }
            _ => {}
        }
        assert!(
            !policies.contains("ec2:") && !policies.contains("secretsmanager"),
            "{policies}"
        );
        let service = principal(account, SERVICE_ROLE).expect("a service role");
        let policies = service.policies_json.as_deref().expect("read whole");
        assert!(policies.contains("kms:DescribeKey"), "{policies}");
    }
    for access in [
        Access::ByIdentityPolicy,
        Access::AcrossAccounts,
        Access::ByKeyPolicy,
        Access::ByGrant,
        Access::NotAllowed,
        Access::ExplicitDeny,
        Access::BeyondBoundary,
        Access::DeletedRole,
        Access::DependsOn("aws:SourceVpce"),
        Access::PolicyNotRead,
        Access::IdentitiesNotRead,
    ] {
        assert!(told.contains(&access), "{access:?} is told");
    }
    // Every principal that may use keys by its own policies, and nobody else who is not named.
    let names: BTreeSet<_> = principals
        .iter()
        .filter_map(|p| p.principal.rsplit('/').next())
        .collect();
    assert!(names.contains("OrganizationAccountAccessRole") && names.contains("alice"));
    // Its policies are about S3 alone: it matters where a log key may let in the whole account.
    let accounts_of = |name: &str| -> BTreeSet<_> {
        let of_name = principals.iter().filter(|p| p.principal.ends_with(name));
        of_name.map(|p| p.account_id.clone()).collect()
    };
    let everyone = [r#""Principal":"*""#, r#""Principal":{"AWS":"*"}"#];
    let open: BTreeSet<_> = keys
        .iter()
        .filter(|k| {
            let policy = k.policy_json.as_deref().unwrap_or_default();
            everyone.iter().any(|principal| policy.contains(principal))
        })
        .map(|k| k.account_id.clone())
        .collect();
    let servers = accounts_of("/build-server");
    assert!(
        !servers.is_empty() && servers.is_subset(&open),
        "{servers:?}"
    );
    assert!(accounts_of("/alice").difference(&servers).count() > 0);
    assert!(
        !names.contains("bystander-001"),
        "it has nothing to do with keys"
    );
    assert!(
        names.contains("other-unit-analyst"),
        "a key policy names it"
    );
    assert!(names.contains("bystander-000"), "grants name it");

    let by_key = grants
        .iter()
        .fold(BTreeMap::<_, usize>::new(), |mut seen, grant| {
            *seen.entry(grant.key_arn.as_str()).or_default() += 1;
            seen
        });
    for key in keys.iter().filter(|k| k.grants_lookup == Lookup::Found) {
        let arn = key.key_arn.as_deref().expect("described");
        let rows = by_key.get(arn).copied().unwrap_or_default();
        assert_eq!(key.grants, Some(rows as i64), "{arn}");
    }
    assert!(
        by_key.values().any(|rows| *rows == 120),
        "more than a page of grants"
    );
    let constraints: BTreeSet<_> = grants
        .iter()
        .filter_map(|g| g.constraints_json.as_deref())
        .collect();
    assert_eq!(
        constraints.into_iter().collect::<Vec<_>>(),
        [r#"{"EncryptionContextEquals":{"tenant":"(not kept)"}}"#]
    );

    let proven = keys.iter().filter(|k| k.customer_proof.is_some());
    let proven: Vec<_> = proven.map(|k| (k.lookup, k.aliases.as_deref())).collect();
    let stories = truth.clusters.iter();
    assert!(
        stories
            .clone()
            .any(|c| c.scenario == Scenario::KeyNotDescribed)
    );
    assert!(!proven.is_empty());
    assert!(
        proven
            .iter()
            .all(|found| *found == (Lookup::Denied, Some(""))),
        "{proven:?}"
    );
    let aliased = keys
        .iter()
        .find(|k| k.key_reference.contains("alias/emr-logs"));
    let aliased = aliased.expect("an alias");
    assert_eq!(aliased.aliases.as_deref(), Some("alias/emr-logs"));
    assert!(aliased.alias_updated_at > aliased.created_at, "{aliased:?}");
}
