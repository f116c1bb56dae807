//! What the policies of scripts/deploy/archive.yaml and signing-key.yaml let whom do, by the program's
//! own evaluator. The documents are the templates' as tests/peers/moto_deploy.py resolved them.

use std::sync::Arc;

use keyproof::policy::{
    Caller, Context, Document, Layers, Outcome, Policy, Request, Resource, ResourceKind, evaluate,
};

const ARCHIVE_KEY: &str = include_str!("../corpus/deploy/archive_key_policy.json");
const SIGNING_KEY: &str = include_str!("../corpus/deploy/signing_key_policy.json");
const BUCKET: &str = include_str!("../corpus/deploy/archive_bucket_policy.json");

const ACCOUNT: &str = "123456789012";
const SIGNING_ACCOUNT: &str = "210987654321";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/3d3d3d3d-1111-4222-8333-444444444444";

fn read(text: &str) -> Document {
    Document::Read(Arc::new(Policy::parse(text).expect("a policy")))
}

/// Whether a role whose own policies allow everything may do it.
fn may(
    policy: &str,
    resource: &Resource,
    role: (&str, &str),
    action: &str,
    context: &[(&str, &str)],
) -> bool {
    let (account, name) = role;
    let caller = format!("arn:aws:iam::{account}:role/{name}");
    let caller = Caller::parse(&caller).expect("a caller");
    let mut closed = Context::closed().with("aws:SecureTransport", "true");
    for (key, value) in context {
        closed.set(key, *value);
    }
    let all =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let layers = Layers {
        resource_policy: read(policy),
        grants: Some(Arc::default()),
        identity: Some(vec![read(all)]),
        ..Layers::default()
    };
    let decision = evaluate(
        &Request {
            caller: &caller,
            action,
            resource,
            context: &closed.deriving(&caller, action, &resource.account),
        },
        &layers,
    );
    match decision.outcome {
        Outcome::Allowed => true,
        Outcome::Denied => false,
        other => panic!("{name} {action}: {other:?}, {:?}", decision.depends_on),
    }
}

fn key_of(account: &str) -> Resource {
    Resource {
        arn: KEY.replace(ACCOUNT, account),
        account: account.to_owned(),
        kind: ResourceKind::Key,
    }
}

#[test]
fn the_archive_key_is_used_by_the_job_and_the_auditor_through_s3_alone() {
    let s3 = [("kms:ViaService", "s3.us-east-1.amazonaws.com")];
    for (role, action, context, allowed) in [
        (
            "keyproof-collector",
            "kms:GenerateDataKey",
            s3.as_slice(),
            true,
        ),
        ("keyproof-collector", "kms:Decrypt", &s3, true),
        ("keyproof-collector", "kms:Decrypt", &[], false),
        ("keyproof-sealer", "kms:GenerateDataKey", &s3, true),
        ("keyproof-auditor", "kms:Decrypt", &s3, true),
        ("keyproof-auditor", "kms:GenerateDataKey", &s3, false),
        ("keyproof-auditor", "kms:GetKeyPolicy", &[], true),
        ("keyproof-collector", "kms:ScheduleKeyDeletion", &[], false),
        ("administrator", "kms:ScheduleKeyDeletion", &[], true),
        ("administrator", "kms:Decrypt", &s3, false),
        ("another-admin", "kms:Decrypt", &s3, false),
        ("another-admin", "kms:ScheduleKeyDeletion", &[], false),
        ("another-admin", "kms:PutKeyPolicy", &[], false),
    ] {
        let found = may(
            ARCHIVE_KEY,
            &key_of(ACCOUNT),
            (ACCOUNT, role),
            action,
            context,
        );
        assert_eq!(found, allowed, "{role} {action} {context:?}");
    }
}

#[test]
fn one_role_signs_and_the_organization_reads_the_public_key() {
    let ours = ("aws:PrincipalOrgID", "o-exampleorg1");
    let digest = [
        ours,
        ("kms:MessageType", "DIGEST"),
        ("kms:SigningAlgorithm", "ECDSA_SHA_256"),
    ];
    let raw = [ours, ("kms:MessageType", "RAW"), digest[2]];
    let theirs = [
        ("aws:PrincipalOrgID", "o-anotherorg1"),
        digest[1],
        digest[2],
    ];
    let collector = (ACCOUNT, "keyproof-collector");
    let administrator = (SIGNING_ACCOUNT, "administrator");
    let member = ("111122223333", "anyone");
    for (role, action, context, allowed) in [
        (collector, "kms:Sign", digest.as_slice(), true),
        (collector, "kms:Sign", &raw, false),
        (collector, "kms:Sign", &theirs, false),
        ((ACCOUNT, "keyproof-sealer"), "kms:Sign", &digest, false),
        (administrator, "kms:Sign", &digest, false),
        (member, "kms:Sign", &digest, false),
        (member, "kms:GetPublicKey", &digest[..1], true),
        (member, "kms:GetPublicKey", &theirs[..1], false),
        (administrator, "kms:ScheduleKeyDeletion", &digest[..1], true),
        (collector, "kms:ScheduleKeyDeletion", &digest[..1], false),
        (
            (SIGNING_ACCOUNT, "another"),
            "kms:DisableKey",
            &digest[..1],
            false,
        ),
        (
            (SIGNING_ACCOUNT, "another"),
            "kms:PutKeyPolicy",
            &digest[..1],
            false,
        ),
    ] {
        let found = may(SIGNING_KEY, &key_of(SIGNING_ACCOUNT), role, action, context);
        assert_eq!(found, allowed, "{role:?} {action} {context:?}");
    }
}

#[test]
fn the_bucket_takes_new_objects_from_the_job_over_tls_and_loses_none() {
    let create = [
        ("s3:if-none-match", "*"),
        ("s3:ObjectCreationOperation", "true"),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", KEY),
    ];
    let by_default = &create[..2];
    let overwrite = &create[1..];
    let other_key = [
        create[0],
        create[1],
        (
            create[2].0,
            "arn:aws:kms:us-east-1:123456789012:key/another",
        ),
    ];
    let mut plain = create.to_vec();
    plain.push(("aws:SecureTransport", "false"));
    for (role, action, context, allowed) in [
        (
            "keyproof-collector",
            "s3:PutObject",
            create.as_slice(),
            true,
        ),
        ("keyproof-sealer", "s3:PutObject", &create, true),
        ("keyproof-collector", "s3:PutObject", by_default, true),
        ("keyproof-collector", "s3:PutObject", overwrite, false),
        ("keyproof-collector", "s3:PutObject", &other_key, false),
        ("keyproof-collector", "s3:PutObject", &plain, false),
        ("keyproof-auditor", "s3:PutObject", &create, false),
        ("administrator", "s3:PutObject", &create, false),
        ("keyproof-auditor", "s3:GetObject", &[], true),
        ("administrator", "s3:DeleteObject", &[], false),
        ("administrator", "s3:DeleteObjectVersion", &[], false),
        ("administrator", "s3:BypassGovernanceRetention", &[], false),
        ("administrator", "s3:PutBucketPolicy", &[], true),
        ("keyproof-collector", "s3:PutBucketPolicy", &[], false),
        ("another-admin", "s3:PutLifecycleConfiguration", &[], false),
        ("another-admin", "s3:DeleteBucketPolicy", &[], false),
    ] {
        let of_bucket = action.contains("Bucket") || action.contains("Lifecycle");
        let below = if of_bucket {
            ""
        } else {
            "/keyproof/chain/0000000001.dsse.json"
        };
        let resource = Resource {
            arn: format!("arn:aws:s3:::org-evidence{below}"),
            account: ACCOUNT.to_owned(),
            kind: ResourceKind::Other,
        };
        let found = may(BUCKET, &resource, (ACCOUNT, role), action, context);
        assert_eq!(found, allowed, "{role} {action} {context:?}");
    }
}
