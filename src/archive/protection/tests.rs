//! Each check passes, fails and stays unknown for its own reason alone.

use super::*;

const BUCKET: &str = "org-evidence";
const KEY: &str = "arn:aws:kms:eu-west-1:999900001111:key/3d3d3d3d-1111-4222-8333-444444444444";
const OTHER: &str = "arn:aws:kms:eu-west-1:999900001111:key/00000000-1111-4222-8333-444444444444";

const TLS: &str = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*",
    "Resource":["arn:aws:s3:::org-evidence","arn:aws:s3:::org-evidence/*"],
    "Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
const DELETE: &str = r#"{"Effect":"Deny","Principal":{"AWS":"*"},
    "Action":["s3:DeleteObject*","s3:BypassGovernanceRetention"],
    "Resource":"arn:aws:s3:::org-evidence/keyproof/*"}"#;
const CREATE: &str = r#"{"Effect":"Deny","Principal":"*","Action":"s3:PutObject",
    "Resource":"arn:aws:s3:::org-evidence/*",
    "Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}"#;
const SETTINGS: &str = r#"{"Effect":"Deny","Principal":"*","Action":["s3:DeleteBucketPolicy",
    "s3:PutBucket*","s3:PutEncryptionConfiguration","s3:PutLifecycleConfiguration"],
    "Resource":"arn:aws:s3:::org-evidence",
    "Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::999900001111:role/admin"}}}"#;

fn key_policy_of(principal: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},
        "Action":["kms:Decrypt","kms:ScheduleKeyDeletion"],"Resource":"*"{condition}}}}}"#
    )
}

fn statements(all: &[&str]) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        all.join(",")
    )
}

/// A bucket as scripts/deploy/archive.yaml makes it.
fn good() -> BucketFacts {
    let reader = r#"{"AWS":"arn:aws:iam::999900001111:role/keyproof-auditor"}"#;
    BucketFacts {
        versioning: Ok(Some("Enabled".to_owned())),
        lock: Ok(Some(BucketLock {
            default: Some(("COMPLIANCE".to_owned(), 2557)),
        })),
        encryption: Ok(DefaultEncryption {
            algorithm: Some("aws:kms".to_owned()),
            key: Some(KEY.to_owned()),
            bucket_key: Some(true),
        }),
        key: Ok(Some(DefaultKey {
            arn: KEY.to_owned(),
            manager: Some("CUSTOMER".to_owned()),
            state: Some("Enabled".to_owned()),
        })),
        key_policy: Ok(Some(key_policy_of(reader, ""))),
        public_access_open: Ok(Vec::new()),
        ownership: Ok(Some("BucketOwnerEnforced".to_owned())),
        policy: Ok(Some(statements(&[TLS, DELETE, CREATE, SETTINGS]))),
    }
}

fn wanted() -> Wanted<'static> {
    Wanted {
        bucket: BUCKET,
        prefix: "keyproof/",
        kms_key: Some(KEY),
        lock: None,
        retention_days: Some(2557),
    }
}

/// What differs from PASS.
fn amiss(facts: &BucketFacts, wanted: &Wanted<'_>) -> Vec<(&'static str, CheckOutcome)> {
    let rows = judge(facts, wanted);
    let names: Vec<_> = rows.iter().map(|row| row.check).collect();
    assert!(names.is_sorted() && names.len() == 16, "{names:?}");
    assert!(rows.iter().all(|row| !row.detail.is_empty()), "{rows:?}");
    let amiss = rows.iter().filter(|row| row.outcome != Pass);
    amiss.map(|row| (row.check, row.outcome)).collect()
}

#[test]
fn a_bucket_of_our_template_passes_every_check() {
    assert_eq!(amiss(&good(), &wanted()), []);
    for check in REQUIRED {
        let rows = judge(&good(), &wanted());
        assert!(rows.iter().any(|row| row.check == check), "{check}");
        assert!(is_required(check));
    }
    assert!(!is_required("bucket_key"));
}

/// The policies of scripts/deploy/archive.yaml, as tests/peers/moto_deploy.py resolved them.
#[test]
fn the_policies_of_the_template_pass() {
    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/3d3d3d3d-1111-4222-8333-444444444444";
    let mut facts = good();
    key_mut(&mut facts).arn = KEY.to_owned();
    let bucket = include_str!("../../../tests/corpus/deploy/archive_bucket_policy.json");
    let key = include_str!("../../../tests/corpus/deploy/archive_key_policy.json");
    facts.policy = Ok(Some(bucket.to_owned()));
    facts.key_policy = Ok(Some(key.to_owned()));
    let wanted = Wanted {
        kms_key: Some(KEY),
        ..wanted()
    };
    assert_eq!(amiss(&facts, &wanted), []);
}

#[test]
fn each_fault_fails_its_own_check() {
    type Fault = fn(&mut BucketFacts);
    let faults: [(Fault, &[&str]); 17] = [
        (|f| f.versioning = Ok(None), &["versioning"]),
        (
            |f| f.versioning = Ok(Some("Suspended".to_owned())),
            &["versioning"],
        ),
        (
            |f| f.lock = Ok(None),
            &["lock_covers_retention", "object_lock"],
        ),
        (
            |f| f.lock = Ok(Some(BucketLock::default())),
            &["lock_covers_retention", "object_lock"],
        ),
        (
            |f| {
                f.lock = Ok(Some(BucketLock {
                    default: Some(("GOVERNANCE".to_owned(), 30)),
                }));
            },
            &["lock_covers_retention"],
        ),
        (|f| default_mut(f).bucket_key = Some(false), &["bucket_key"]),
        (
            |f| key_mut(f).manager = Some("AWS".to_owned()),
            &["default_encryption"],
        ),
        (|f| key_mut(f).arn = OTHER.to_owned(), &["configured_key"]),
        (
            |f| key_mut(f).state = Some("PendingDeletion".to_owned()),
            &["key_state"],
        ),
        (
            |f| key_mut(f).state = Some("Disabled".to_owned()),
            &["key_state"],
        ),
        (
            |f| f.key_policy = Ok(Some(key_policy_of("\"*\"", ""))),
            &["key_decrypt", "key_deletion"],
        ),
        (
            |f| f.public_access_open = Ok(vec!["BlockPublicPolicy"]),
            &["public_access_block"],
        ),
        (
            |f| f.ownership = Ok(Some("ObjectWriter".to_owned())),
            &["object_ownership"],
        ),
        (|f| f.ownership = Ok(None), &["object_ownership"]),
        (
            |f| f.policy = Ok(None),
            &[
                "create_only",
                "delete_denied",
                "lock_bypass_denied",
                "settings_guarded",
                "tls_only",
            ],
        ),
        (
            |f| f.policy = Ok(Some(statements(&[TLS, DELETE, CREATE]))),
            &["settings_guarded"],
        ),
        (
            |f| {
                let unbypassed = DELETE.replace(r#","s3:BypassGovernanceRetention""#, "");
                f.policy = Ok(Some(statements(&[TLS, &unbypassed, CREATE, SETTINGS])));
            },
            &["lock_bypass_denied"],
        ),
    ];
    for (n, (fault, checks)) in faults.into_iter().enumerate() {
        let mut facts = good();
        fault(&mut facts);
        let expected: Vec<_> = checks.iter().map(|check| (*check, Fail)).collect();
        assert_eq!(amiss(&facts, &wanted()), expected, "fault {n}");
    }
}

fn default_mut(facts: &mut BucketFacts) -> &mut DefaultEncryption {
    facts.encryption.as_mut().expect("an answer")
}

fn key_mut(facts: &mut BucketFacts) -> &mut DefaultKey {
    let key = facts.key.as_mut().expect("an answer");
    key.as_mut().expect("a key")
}

#[test]
fn without_a_customer_key_there_is_nothing_to_say_of_it() {
    let managed = [
        (Some("AES256"), None),
        (None, None),
        (Some("aws:kms"), None),
        (
            Some("aws:kms"),
            Some("arn:aws:kms:eu-west-1:1:alias/aws/s3"),
        ),
    ];
    for (algorithm, key) in managed {
        let mut facts = good();
        facts.encryption = Ok(DefaultEncryption {
            algorithm: algorithm.map(str::to_owned),
            key: key.map(str::to_owned),
            bucket_key: None,
        });
        facts.key = Ok(None);
        facts.key_policy = Ok(None);
        let expected = [
            ("bucket_key", NotApplicable),
            ("configured_key", NotApplicable),
            ("default_encryption", Fail),
            ("key_decrypt", NotApplicable),
            ("key_deletion", NotApplicable),
            ("key_state", NotApplicable),
        ];
        assert_eq!(amiss(&facts, &wanted()), expected, "{algorithm:?} {key:?}");
    }
}

#[test]
fn a_question_without_an_answer_is_unknown() {
    type Fault = fn(&mut BucketFacts);
    let faults: [(Fault, &[&str]); 8] = [
        (|f| f.versioning = denied(), &["versioning"]),
        (
            |f| f.lock = denied(),
            &["lock_covers_retention", "object_lock"],
        ),
        (
            |f| f.encryption = denied(),
            &[
                "bucket_key",
                "configured_key",
                "default_encryption",
                "key_decrypt",
                "key_deletion",
                "key_state",
            ],
        ),
        (
            |f| f.key = denied(),
            &[
                "configured_key",
                "default_encryption",
                "key_decrypt",
                "key_deletion",
                "key_state",
            ],
        ),
        (
            |f| f.key_policy = denied(),
            &["key_decrypt", "key_deletion"],
        ),
        (
            |f| f.public_access_open = denied(),
            &["public_access_block"],
        ),
        (|f| f.ownership = denied(), &["object_ownership"]),
        (
            |f| f.policy = denied(),
            &[
                "create_only",
                "delete_denied",
                "lock_bypass_denied",
                "settings_guarded",
                "tls_only",
            ],
        ),
    ];
    for (n, (fault, checks)) in faults.into_iter().enumerate() {
        let mut facts = good();
        fault(&mut facts);
        let expected: Vec<_> = checks.iter().map(|check| (*check, Unknown)).collect();
        assert_eq!(amiss(&facts, &wanted()), expected, "fault {n}");
        let rows = judge(&facts, &wanted());
        let told = rows.iter().filter(|row| row.outcome == Unknown);
        assert!(
            told.clone().all(|row| row.detail.contains("AccessDenied")),
            "{rows:?}"
        );
    }
}

fn denied<T>() -> Answer<T> {
    Err("AccessDenied".to_owned())
}

#[test]
fn the_configuration_has_its_say() {
    let facts = good();
    let none = Wanted {
        kms_key: None,
        retention_days: None,
        ..wanted()
    };
    let expected = [
        ("configured_key", NotApplicable),
        ("lock_covers_retention", NotApplicable),
    ];
    assert_eq!(amiss(&facts, &none), expected);
    let id = KEY.rsplit('/').next();
    for (configured, outcome) in [
        (id, None),
        (Some(OTHER), Some(Fail)),
        (Some("alias/evidence"), Some(Unknown)),
    ] {
        let wanted = Wanted {
            kms_key: configured,
            ..wanted()
        };
        let expected: Vec<_> = outcome.map(|o| ("configured_key", o)).into_iter().collect();
        assert_eq!(amiss(&facts, &wanted), expected, "{configured:?}");
    }
    // Each object's own lock counts before the bucket's default.
    let shorter = Wanted {
        lock: Some(("GOVERNANCE", 30)),
        ..wanted()
    };
    assert_eq!(amiss(&facts, &shorter), [("lock_covers_retention", Fail)]);
    let mut facts = good();
    facts.lock = Ok(Some(BucketLock::default()));
    let own = Wanted {
        lock: Some(("COMPLIANCE", 2557)),
        ..wanted()
    };
    assert_eq!(amiss(&facts, &own), []);
}

/// The outcomes of tls_only, delete_denied and create_only.
fn of_policy(policy: &str) -> [CheckOutcome; 3] {
    let rows = bucket_policy::judge(&Ok(Some(policy.to_owned())), BUCKET, "keyproof/");
    ["tls_only", "delete_denied", "create_only"].map(|check| {
        let row = rows.iter().find(|row| row.check == check);
        row.expect("a row").outcome
    })
}

#[test]
fn each_statement_counts_for_its_own_check_alone() {
    for (statement, expected) in [
        (TLS, [Pass, Fail, Fail]),
        (DELETE, [Fail, Pass, Fail]),
        (CREATE, [Fail, Fail, Pass]),
    ] {
        assert_eq!(of_policy(&statements(&[statement])), expected);
    }
}

#[test]
fn what_may_exempt_someone_is_unknown() {
    let with = |more: &str| DELETE.replace(r#"keyproof/*""#, &format!(r#"keyproof/*",{more}"#));
    for more in [
        r#""Condition":{"ArnNotLike":{"aws:PrincipalArn":"x"}}"#,
        r#""Condition":"?""#,
        r#""Exception":"me""#,
    ] {
        assert_eq!(of_policy(&statements(&[&with(more)]))[1], Unknown, "{more}");
    }
    assert_eq!(of_policy("not json"), [Unknown; 3]);
    let newer = r#"{"Statement":[],"Exemptions":["*"]}"#;
    assert_eq!(of_policy(newer), [Unknown; 3]);
    // Administrators by pattern, or by another key, may be anyone.
    for (from, to) in [
        ("role/admin", "role/*"),
        ("aws:PrincipalArn", "aws:PrincipalTag/admin"),
        ("ArnNotEquals", "ArnEquals"),
    ] {
        let mut facts = good();
        let settings = SETTINGS.replace(from, to);
        facts.policy = Ok(Some(statements(&[TLS, DELETE, CREATE, &settings])));
        assert_eq!(amiss(&facts, &wanted()), [("settings_guarded", Unknown)]);
    }
}

#[test]
fn denials_of_something_else_do_not_count() {
    for other in [
        DELETE.replace("Deny", "Allow"),
        DELETE.replace("org-evidence", "another"),
        DELETE.replace("keyproof/*", "keyproof/chain/*"),
        DELETE.replace(r#"{"AWS":"*"}"#, r#"{"AWS":"arn:aws:iam::1:root"}"#),
        DELETE.replace("DeleteObject*", "DeleteObject"),
        DELETE.replace(r#""Principal""#, r#""NotPrincipal""#),
        DELETE.replace(r#""Resource""#, r#""NotResource""#),
    ] {
        assert_eq!(of_policy(&statements(&[&other]))[1], Fail, "{other}");
    }
    // Everything but reading is denied, deletion with it.
    let all_but = r#"{"Effect":"Deny","Principal":"*","NotAction":["s3:Get*","s3:PutObject"],
        "Resource":"arn:aws:s3:::org-evidence/*"}"#;
    assert_eq!(of_policy(&statements(&[all_but])), [Fail, Pass, Fail]);
    assert_eq!(of_policy(r#"{"Statement":[]}"#), [Fail; 3]);
}

#[test]
fn the_key_policy_names_who_decrypts() {
    let with = |principal: &str, condition: &str| {
        let mut facts = good();
        facts.key_policy = Ok(Some(key_policy_of(principal, condition)));
        let rows = judge(&facts, &wanted());
        let row = rows.into_iter().find(|row| row.check == "key_decrypt");
        let row = row.expect("a row");
        (row.outcome, row.detail)
    };
    let (outcome, detail) = with(r#"{"AWS":"arn:aws:iam::999900001111:root"}"#, "");
    assert_eq!(outcome, Pass, "{detail}");
    assert!(detail.contains("999900001111"), "{detail}");
    let organization = r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"}}"#;
    let (outcome, detail) = with("\"*\"", organization);
    assert_eq!(outcome, Unknown, "{detail}");
    assert!(
        detail.to_lowercase().contains("aws:principalorgid"),
        "{detail}"
    );
    let mut facts = good();
    facts.key_policy = Ok(Some("no policy".to_owned()));
    let expected = [("key_decrypt", Unknown), ("key_deletion", Unknown)];
    assert_eq!(amiss(&facts, &wanted()), expected);
}
