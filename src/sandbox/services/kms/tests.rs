use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::{body, request};
use super::*;
use crate::sandbox::Options;
use crate::sandbox::world::keys::Purpose;
use crate::sandbox::world::scenario::Scenario;

fn world() -> World {
    World::generate(&Options {
        accounts: 50,
        ..Options::default()
    })
}

fn call(
    world: &World,
    state: &KmsState,
    account: &str,
    region: &str,
    op: &str,
    input: Value,
) -> Result<Value, AwsError> {
    let asked = request(account, region, op, &input);
    handle(world, state, world.audit_ms(2), &asked).map(|answer| body(&answer))
}

/// Describing every log key by what DescribeCluster shows gives what the scenario is about.
#[test]
fn keys_answer_as_their_scenario_states() {
    let (world, state) = (world(), KmsState::default());
    let now = world.audit_ms(2);
    let truth = world.truth(now, None);
    let mut described = 0;
    for cluster in &truth.clusters {
        let here = world
            .account_region(&cluster.account_id, cluster.region)
            .unwrap();
        let recipe = here.recipe(here.cluster(&cluster.cluster_id).unwrap());
        let Some(id) = recipe.log_key.as_deref() else {
            continue;
        };
        if id.trim().is_empty() || id.contains("alias/aws/") {
            continue;
        }
        let region = id.split(':').nth(3).unwrap_or(cluster.region).to_owned();
        let answer = call(
            &world,
            &state,
            &cluster.account_id,
            &region,
            "DescribeKey",
            json!({"KeyId": id}),
        );
        let reason = cluster.findings["EL-03"].reason;
        match answer {
            Ok(answer) => {
                described += 1;
                let metadata = &answer["KeyMetadata"];
                let manager = metadata["KeyManager"].as_str().unwrap();
                let is_aws = cluster.findings["EL-02"].reason == "aws_managed_key";
                assert_eq!(manager == "AWS", is_aws, "{:?}", cluster.scenario);
                let foreign = metadata["AWSAccountId"] == json!(world.foreign_account);
                assert_eq!(foreign, cluster.scenario == Scenario::ForeignKeyDescribed);
                let works = matches!(metadata["KeyState"].as_str(), Some("Enabled"));
                assert_eq!(!works, reason == "key_state", "{:?}", cluster.scenario);
                let spec = metadata["KeySpec"] == json!("SYMMETRIC_DEFAULT");
                assert_eq!(!spec, reason == "key_usage", "{:?}", cluster.scenario);
            }
            Err(error) => match error.code.as_str() {
                "NotFoundException" => assert_eq!(reason, "key_not_found"),
                "AccessDeniedException" => assert_eq!(reason, "key_not_described"),
                other => panic!("{other}"),
            },
        }
    }
    assert!(described > 50);
    assert_eq!(state.aws_managed_created(), 0);
}

#[test]
fn describing_an_unused_predefined_alias_creates_a_key() {
    let (world, state) = (world(), KmsState::default());
    let (account, region) = (world.accounts[0].id.as_str(), world.regions[0]);
    let arn = format!("arn:aws:kms:{region}:{account}:alias/aws/rds");
    for (id, created) in [
        ("alias/aws/ebs", 1),
        (arn.as_str(), 2),
        ("alias/team-logs", 2),
    ] {
        call(
            &world,
            &state,
            account,
            region,
            "DescribeKey",
            json!({"KeyId": id}),
        )
        .unwrap();
        assert_eq!(state.aws_managed_created(), created, "{id}");
    }
    let aliases = call(&world, &state, account, region, "ListAliases", json!({})).unwrap();
    let aliases = aliases["Aliases"].as_array().unwrap();
    assert!(
        aliases
            .iter()
            .any(|alias| alias.get("TargetKeyId").is_none())
    );
    assert_eq!(state.aws_managed_created(), 2);
}

#[test]
fn lists_page_without_loss() {
    let (world, state) = (world(), KmsState::default());
    let here = world
        .account_regions()
        .iter()
        .max_by_key(|here| here.keys.len())
        .unwrap();
    let (mut seen, mut input) = (Vec::new(), json!({"Limit": 1}));
    loop {
        let page = call(
            &world,
            &state,
            &here.account_id,
            here.region,
            "ListKeys",
            input.clone(),
        );
        let page = page.unwrap();
        seen.extend(
            page["Keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["KeyId"].clone()),
        );
        assert_eq!(page["Truncated"], json!(page.get("NextMarker").is_some()));
        match page.get("NextMarker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => break,
        }
    }
    let expected: Vec<_> = here.keys.iter().map(|key| json!(key.id)).collect();
    assert!(expected.len() > 1);
    assert_eq!(seen, expected);
}

#[test]
fn policies_are_read_in_the_owner_account_only() {
    let (world, state) = (world(), KmsState::default());
    let owner = world.log_archive_account();
    let here = world.account_region(owner, world.regions[0]).unwrap();
    let key = here
        .keys
        .iter()
        .find(|key| key.purpose == Purpose::Archive)
        .unwrap();
    let by_arn = || json!({"KeyId": key.arn()});
    let ask = |account: &str, op: &str| call(&world, &state, account, here.region, op, by_arn());
    let member = world.accounts[0].id.as_str();
    assert!(ask(member, "DescribeKey").is_ok());
    for operation in ["GetKeyPolicy", "ListResourceTags"] {
        assert!(ask(owner, operation).is_ok(), "{operation}");
        assert_eq!(
            ask(member, operation).unwrap_err().code,
            "AccessDeniedException"
        );
    }
    let by_alias = json!({"KeyId": "alias/keyproof-archive"});
    let refused = call(&world, &state, owner, here.region, "GetKeyPolicy", by_alias).unwrap_err();
    assert_eq!(refused.code, "NotFoundException");
}

#[test]
fn a_digest_is_signed_as_it_is_and_a_raw_message_is_hashed() {
    let (world, state) = (world(), KmsState::default());
    let (account, region) = (world.accounts[0].id.as_str(), world.regions[0]);
    let key = world.signing_key_arn();
    let public = call(
        &world,
        &state,
        account,
        region,
        "GetPublicKey",
        json!({"KeyId": key}),
    );
    let spki = STANDARD
        .decode(public.unwrap()["PublicKey"].as_str().unwrap())
        .unwrap();
    assert_eq!(spki.len(), 91);
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[26..]);
    let message = b"what was recorded";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
    let sign = |kind: &str, bytes: &[u8]| {
        let input = json!({"KeyId": key, "Message": STANDARD.encode(bytes), "MessageType": kind,
            "SigningAlgorithm": "ECDSA_SHA_256"});
        call(&world, &state, account, region, "Sign", input).map(|answer| {
            STANDARD
                .decode(answer["Signature"].as_str().unwrap())
                .unwrap()
        })
    };
    public
        .verify(message, &sign("DIGEST", digest.as_ref()).unwrap())
        .unwrap();
    public
        .verify(message, &sign("RAW", message).unwrap())
        .unwrap();
    assert!(
        public
            .verify(message, &sign("RAW", digest.as_ref()).unwrap())
            .is_err()
    );
    assert_eq!(
        sign("DIGEST", message).unwrap_err().code,
        "ValidationException"
    );
}
