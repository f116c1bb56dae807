//! Grants, aliases and identities against the scripted AWS.

use super::*;
use crate::collect::api::{
    ErrorClass, GrantConstraints, Identity, ListedAlias, ListedGrant, ListedGroup, ListedPolicy,
    ListedPrincipal, PrincipalKind, Tag,
};
use crate::collect::fake::{FakeKey, What, described, listed};
use crate::collect::operation::Operation;
use crate::model::datasets::{KmsGrant, Principal};
use crate::model::words::Lookup;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k1";
const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/logs";
const KMS: &str = r#"{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
const EC2: &str = r#"{"Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"SECRET"}]}"#;

fn key() -> FakeKey {
    FakeKey {
        state: "Enabled",
        manager: "CUSTOMER",
        policy: r#"{"Statement":[]}"#.to_owned(),
        rotates: true,
        ..FakeKey::default()
    }
}

fn grant(id: &str, grantee: &str) -> ListedGrant {
    ListedGrant {
        id: id.to_owned(),
        grantee: Some(grantee.to_owned()),
        operations: vec!["Decrypt".to_owned(), "GenerateDataKey".to_owned()],
        constraints: GrantConstraints::default(),
        ..ListedGrant::default()
    }
}

fn role(name: &str) -> ListedPrincipal {
    ListedPrincipal {
        kind: PrincipalKind::Role,
        arn: format!("arn:aws:iam::{A}:role/{name}"),
        name: name.to_owned(),
        unique_id: Some(format!("AROA{name}")),
        instance_profiles: vec![],
        groups: vec![],
        inline: vec![],
        attached: vec![],
        boundary: None,
        tags: vec![],
    }
}

/// A world in which A's one cluster logs under A's key.
fn world(key: FakeKey) -> World {
    let world = World::new();
    let at = Some(UtcMillis(START - 1));
    let cluster = described(listed("j-1", "RUNNING", at, None), "s3://b/x", KEY);
    world.cluster(A, cluster);
    world.edit(A, |a| {
        a.keys.insert(KEY.to_owned(), key);
    });
    world
}

fn knows(world: &World, identities: Vec<Identity>) {
    world.edit(A, |a| a.identities = identities);
}

impl Seen {
    /// As the journal reads them: one row of several with one key.
    fn grants(&self) -> Vec<&KmsGrant> {
        let mut rows: Vec<_> = self.facts.iter().flat_map(|f| &f.grants).collect();
        rows.sort_by(|a, b| a.key_order(b));
        rows.dedup_by(|a, b| a.key_order(b).is_eq());
        rows
    }

    fn principals(&self) -> Vec<&Principal> {
        let mut rows: Vec<_> = self.facts.iter().flat_map(|f| &f.principals).collect();
        rows.sort_by(|a, b| a.key_order(b));
        rows
    }

    fn principal(&self, name: &str) -> &Principal {
        let arn = format!("arn:aws:iam::{A}:role/{name}");
        let mut all = self.principals().into_iter();
        all.find(|p| p.principal == arn)
            .unwrap_or_else(|| panic!("no {name}"))
    }
}

#[tokio::test]
async fn all_of_thousands_of_grants_become_rows_once() {
    let mut k = key();
    k.aliases = vec![ALIAS.to_owned()];
    k.grants = (0..3_210)
        .map(|n| grant(&format!("{n:08x}"), "arn:aws:iam::111122223333:role/r"))
        .collect();
    let world = world(k);
    // The same key by its alias: asked twice, written once.
    let at = Some(UtcMillis(START - 1));
    let second = described(listed("j-2", "RUNNING", at, None), "s3://b/x", "alias/logs");
    world.cluster(A, second);
    let seen = world.run().await;
    assert_eq!(seen.grants().len(), 3_210);
    assert_eq!(seen.keys().len(), 2);
    for row in seen.keys() {
        assert_eq!(
            (row.grants_lookup, row.grants),
            (Lookup::Found, Some(3_210))
        );
        assert_eq!(row.aliases.as_deref(), Some("alias/logs"));
        let is_alias = row.key_reference == ALIAS;
        assert_eq!(
            row.alias_updated_at,
            is_alias.then_some(UtcMillis(START - 5))
        );
    }
    assert_eq!(seen.grants()[0].operations, "Decrypt GenerateDataKey");
    let most = seen.facts.iter().map(|f| f.grants.len()).max();
    assert!(most.is_some_and(|rows| rows < 1_100), "in pieces: {most:?}");
}

#[tokio::test]
async fn a_list_of_grants_that_breaks_off_is_not_whole() {
    let mut k = key();
    k.grants = (0..60).map(|n| grant(&format!("g{n:02}"), "x")).collect();
    let world = world(k);
    let what = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "no");
    world
        .cloud
        .fault(Operation::ListGrants, what)
        .subject(KEY)
        .skip(1)
        .add();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        (row.lookup, row.grants_lookup),
        (Lookup::Found, Lookup::Denied)
    );
    assert_eq!(row.grants, None);
    assert_eq!(
        row.grants_error_code.as_deref(),
        Some("AccessDeniedException")
    );
    assert_eq!(seen.grants().len(), 50, "what was read stays");
    let cell = seen.cell(A, IRELAND, Source::Keys);
    assert_eq!(
        (cell.outcome, cell.items_failed),
        (CellOutcome::DeniedIam, Some(1))
    );
    assert_eq!(cell.denied_action.as_deref(), Some("kms:ListGrants"));
}

/// What ListKeys and ListAliases prove of a key that its policy hides.
#[tokio::test]
async fn a_refused_key_is_proven_a_customers_by_complete_lists_alone() {
    let aws_points_at_it = ListedAlias {
        name: "alias/aws/s3".to_owned(),
        target: Some("k1".to_owned()),
        updated_at: None,
    };
    let predefined = ListedAlias {
        target: None,
        ..aws_points_at_it.clone()
    };
    let locked = || FakeKey {
        locked: true,
        ..key()
    };
    for (aliases, refused, proof) in [
        (
            vec![predefined.clone()],
            None,
            Some("listed_without_aws_alias"),
        ),
        (vec![aws_points_at_it], None, None),
        (vec![predefined.clone()], Some(Operation::ListAliases), None),
        (vec![predefined], Some(Operation::ListKeys), None),
    ] {
        let world = world(locked());
        world.edit(A, |a| a.aliases = aliases.clone());
        if let Some(operation) = refused {
            let what = What::Error(ErrorClass::DeniedIam, "AccessDeniedException", "no");
            world.cloud.fault(operation, what).account(A).add();
        }
        let seen = world.run().await;
        let row = seen.keys()[0];
        assert_eq!(row.lookup, Lookup::Denied);
        assert_eq!(
            row.customer_proof.as_deref(),
            proof,
            "{aliases:?} {refused:?}"
        );
        assert_eq!((row.state.as_deref(), row.manager.as_deref()), (None, None));
        let failed = seen.cell(A, IRELAND, Source::Keys).items_failed;
        assert_eq!(
            failed,
            Some(i64::from(refused.is_some())),
            "a list that is missing is missed"
        );
        if refused != Some(Operation::ListAliases) {
            let names = row.aliases.as_deref();
            assert!(names.is_some_and(|n| n.is_empty() == (proof.is_some() || refused.is_some())));
        }
    }
}

#[tokio::test]
async fn an_alias_whose_key_is_refused_is_followed_by_the_list() {
    let mut k = key();
    (k.locked, k.aliases) = (true, vec![ALIAS.to_owned()]);
    let world = World::new();
    let at = Some(UtcMillis(START - 1));
    world.cluster(A, described(listed("j-1", "RUNNING", at, None), "", ALIAS));
    world.edit(A, |a| {
        a.keys.insert(KEY.to_owned(), k);
        let more = (0..120).map(|n| ListedAlias {
            name: format!("alias/{n:03}"),
            target: Some(if n == 110 { "k1" } else { "other" }.to_owned()),
            updated_at: None,
        });
        a.aliases = more.collect();
    });
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    let row = seen.keys()[0];
    assert_eq!(
        row.customer_proof.as_deref(),
        Some("listed_without_aws_alias")
    );
    assert_eq!(row.aliases.as_deref(), Some("alias/110 alias/logs"));
    assert!(row.alias_updated_at.is_some());
    assert_eq!(
        cloud.count(Operation::ListAliases),
        3,
        "one list, three pages"
    );
}

#[tokio::test]
async fn only_principals_that_concern_a_log_key_are_kept_and_only_what_concerns_it() {
    let mut k = key();
    k.policy = serde_json::json!({"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt",
        "Principal": {"AWS": format!("arn:aws:iam::{A}:role/named")}, "Resource": "*"}]})
    .to_string();
    k.grants = vec![grant(
        "g",
        &format!("arn:aws:sts::{A}:assumed-role/granted/session"),
    )];
    let mut world = world(k);
    world.options.tags.business_unit = Some("unit".to_owned());
    let tag = |name: &str, value: &str| Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let attach = |name: &str, arns: &[&str]| ListedPrincipal {
        attached: arns.iter().map(|a| (*a).to_owned()).collect(),
        ..role(name)
    };
    let managed = |arn: &str, document: &str| {
        Identity::Policy(ListedPolicy {
            arn: arn.to_owned(),
            document: Some(document.to_owned()),
        })
    };
    knows(
        &world,
        vec![
            managed("p/kms", KMS),
            managed("p/ec2", EC2),
            managed("p/broken", "%7B"),
            Identity::Group(ListedGroup {
                name: "g".to_owned(),
                inline: vec![KMS.to_owned(), EC2.to_owned()],
                attached: vec![],
            }),
            // The role that the profile `emr-node` holds has another name.
            Identity::Principal(ListedPrincipal {
                instance_profiles: vec!["z".to_owned(), "emr-node".to_owned()],
                boundary: Some("p/ec2".to_owned()),
                tags: vec![tag("unit", "retail"), tag("x", "SECRET")],
                ..attach("writer", &["p/ec2", "p/kms"])
            }),
            Identity::Principal(attach("emr-service", &[])),
            Identity::Principal(attach("named", &["p/ec2"])),
            Identity::Principal(attach("granted", &["p/ec2"])),
            Identity::Principal(attach("stranger", &["p/ec2"])),
            Identity::Principal(attach("admin", &["p/kms"])),
            Identity::Principal(attach("dangling", &["p/gone"])),
            Identity::Principal(attach("unreadable", &["p/kms", "p/broken"])),
            Identity::Principal(ListedPrincipal {
                kind: PrincipalKind::User,
                arn: format!("arn:aws:iam::{A}:user/u"),
                groups: vec!["g".to_owned()],
                ..role("emr-service")
            }),
        ],
    );
    let seen = world.run().await;
    let names: Vec<_> = seen
        .principals()
        .iter()
        .map(|p| p.principal.as_str())
        .collect();
    let expected = [
        "admin",
        "dangling",
        "emr-service",
        "granted",
        "named",
        "unreadable",
        "writer",
    ];
    let mut expected: Vec<_> = expected
        .map(|n| format!("arn:aws:iam::{A}:role/{n}"))
        .into();
    expected.push(format!("arn:aws:iam::{A}:user/u"));
    assert_eq!(names, expected);

    let writer = seen.principal("writer");
    let kms = r#"[{"Statement":[{"Action":"kms:*","Effect":"Allow","Resource":"*"}]}]"#;
    assert_eq!(writer.policies_json.as_deref(), Some(kms));
    assert_eq!(writer.instance_profiles.as_deref(), Some("emr-node z"));
    assert_eq!(writer.business_unit.as_deref(), Some("retail"));
    assert_eq!(writer.boundary.as_deref(), Some("p/ec2"));
    assert_eq!(writer.boundary_json.as_deref(), Some(r#"{"Statement":[]}"#));
    assert_eq!(
        seen.principal("named").policies_json.as_deref(),
        Some("[]"),
        "read, and silent"
    );
    for name in ["dangling", "unreadable"] {
        assert_eq!(
            seen.principal(name).policies_json,
            None,
            "no half-truth: {name}"
        );
        assert_eq!(seen.principal(name).policies_sha256, None);
    }
    let user = seen.principals().into_iter().find(|p| p.kind == "user");
    assert_eq!(
        user.and_then(|u| u.policies_json.as_deref()),
        Some(kms),
        "by its group"
    );
    assert!(!seen.stable().concat().contains("SECRET"));
    let cell = seen.cell(A, "global", Source::Identities);
    assert_eq!(cell.outcome, CellOutcome::Partial);
    assert_eq!((cell.items_expected, cell.items_failed), (Some(8), Some(2)));
    assert!(
        seen.find(B, "global", Source::Identities).is_none(),
        "B has nothing"
    );
}

#[tokio::test]
async fn where_a_key_means_everyone_whoever_may_read_objects_is_kept() {
    const S3: &str = r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    let of_the_account = serde_json::json!({"StringEquals": {"kms:CallerAccount": A}});
    for (principal, expected) in [
        (
            serde_json::json!({"AWS": format!("arn:aws:iam::{A}:root")}),
            &[][..],
        ),
        (serde_json::json!("*"), &["reader"][..]),
        (serde_json::json!({"AWS": "*"}), &["reader"][..]),
    ] {
        let mut k = key();
        k.policy = serde_json::json!({"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt",
            "Principal": principal, "Resource": "*", "Condition": of_the_account}]})
        .to_string();
        let world = world(k);
        let with = |name: &str, document: &str| {
            Identity::Principal(ListedPrincipal {
                inline: vec![document.to_owned()],
                ..role(name)
            })
        };
        knows(&world, vec![with("reader", S3), with("stranger", EC2)]);
        let seen = world.run().await;
        let names: Vec<_> = seen
            .principals()
            .iter()
            .filter_map(|p| p.principal.rsplit('/').next().map(str::to_owned))
            .collect();
        assert_eq!(names, expected, "{principal}");
    }
}

#[tokio::test]
async fn an_account_with_five_thousand_roles_is_read_in_pieces() {
    let world = world(key());
    let many = (0..5_000).map(|n| {
        let inline = if n % 4 == 0 { KMS } else { EC2 };
        Identity::Principal(ListedPrincipal {
            inline: vec![inline.to_owned()],
            ..role(&format!("r{n:04}"))
        })
    });
    knows(&world, many.collect());
    let seen = world.run().await;
    assert_eq!(seen.principals().len(), 1_250);
    let most = seen.facts.iter().map(|f| f.principals.len()).max();
    assert!(most.is_some_and(|rows| rows <= 550), "{most:?}");
    let cell = seen.cell(A, "global", Source::Identities);
    assert_eq!(
        (cell.outcome, cell.items_collected),
        (CellOutcome::Collected, Some(1_250))
    );
}

#[tokio::test]
async fn a_page_that_fails_leaves_the_cell_without_an_answer() {
    let refused = || What::Error(ErrorClass::DeniedIam, "AccessDenied", "no");
    for (subject, skip, rows, outcome) in [
        ("Policies", 0, 0, CellOutcome::DeniedIam),
        ("Principals", 0, 0, CellOutcome::DeniedIam),
        ("Principals", 1, 50, CellOutcome::Partial),
    ] {
        let world = world(key());
        let many = (0..120).map(|n| {
            Identity::Principal(ListedPrincipal {
                inline: vec![KMS.to_owned()],
                ..role(&format!("r{n:03}"))
            })
        });
        knows(&world, many.collect());
        world
            .cloud
            .fault(Operation::GetAccountAuthorizationDetails, refused())
            .account(A)
            .subject(subject)
            .skip(skip)
            .add();
        let seen = world.run().await;
        assert_eq!(seen.principals().len(), rows, "{subject} {skip}");
        let cell = seen.cell(A, "global", Source::Identities);
        assert_eq!((cell.outcome, cell.items_failed), (outcome, Some(1)));
        assert_eq!(
            cell.denied_action.as_deref(),
            Some("iam:GetAccountAuthorizationDetails")
        );
        assert!(seen.collected.cells_open > 0, "not answered");
    }
}

#[tokio::test]
async fn clusters_without_logs_and_keys_ask_nobody() {
    let world = World::new();
    let at = Some(UtcMillis(START - 1));
    world.cluster(A, described(listed("j-1", "RUNNING", at, None), "", ""));
    let cloud = world.cloud.clone();
    let seen = world.run().await;
    assert_eq!(cloud.count(Operation::GetAccountAuthorizationDetails), 0);
    assert!(seen.find(A, "global", Source::Identities).is_none());
}
