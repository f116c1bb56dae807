//! The archive on S3.

use super::{KEY, account, base64_sha256, xml_error};
use crate::archive::protection::is_required;
use crate::archive::store::{Body, Fetch as _, Store as _, StoreError};
use crate::aws::canned::{Canned, Reply, Seen};
use crate::aws::{LockMode, S3Options, S3Store};
use crate::model::ids::Sha256Hex;
use crate::model::words::CheckOutcome;

async fn store(server: &Canned, options: S3Options) -> S3Store {
    let url = "s3://evidence/keyproof".parse().expect("URL");
    S3Store::connect(&server.shell().await, url, options).await
}

fn puts(server: &Canned) -> Vec<Seen> {
    let mut all = server.requests();
    all.retain(|r| r.method == "PUT");
    all
}

#[tokio::test]
async fn a_write_is_one_conditional_put_with_checksum_key_and_lock() {
    let server = Canned::start(|seen| match seen.method.as_str() {
        "PUT" => Reply::new(200, "").with("x-amz-version-id", "v1"),
        "HEAD" if seen.path.contains("chain") => Reply::new(200, "")
            .with("x-amz-server-side-encryption-aws-kms-key-id", KEY)
            .with("x-amz-object-lock-mode", "GOVERNANCE")
            .with(
                "x-amz-object-lock-retain-until-date",
                "2026-12-24T00:00:00Z",
            ),
        _ => Reply::new(200, ""),
    })
    .await;
    let options = S3Options {
        kms_key: Some(KEY.into()),
        expected_owner: Some(account()),
        lock: Some((LockMode::Governance, 30)),
        ..S3Options::default()
    };
    let store = store(&server, options).await;
    let path = std::env::temp_dir().join(format!("keyproof-put-{}", std::process::id()));
    let bytes = vec![7_u8; 3_000_000];
    std::fs::write(&path, &bytes).expect("file");
    let digest = Sha256Hex::of(&bytes);
    let from_file = store.create("chain/1", Body::File(&path), &digest).await;
    std::fs::remove_file(&path).expect("removed");
    let created = from_file.expect("created");
    assert_eq!(created.version.as_deref(), Some("v1"));
    assert_eq!(created.kms_key.as_deref(), Some(KEY));
    let lock = created.lock.expect("lock");
    assert_eq!(
        (lock.mode.as_str(), lock.until.to_string().as_str()),
        ("GOVERNANCE", "2026-12-24T00:00:00.000Z")
    );
    store
        .create("chain/2", Body::Bytes(&bytes), &digest)
        .await
        .expect("created");

    for put in puts(&server) {
        assert!(
            put.path.starts_with("/evidence/keyproof/chain/"),
            "{}",
            put.path
        );
        assert!(
            put.body == bytes,
            "the body arrived as it was, {} bytes",
            put.body.len()
        );
        for (name, value) in [
            ("if-none-match", "*"),
            ("x-amz-checksum-sha256", &base64_sha256(&bytes)),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", KEY),
            ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-expected-bucket-owner", "111122223333"),
        ] {
            assert_eq!(put.header(name), Some(value), "{name}");
        }
        assert!(put.header("x-amz-object-lock-retain-until-date").is_some());
        for absent in [
            "x-amz-trailer",
            "x-amz-checksum-crc32",
            "x-amz-checksum-crc64nvme",
        ] {
            assert_eq!(put.header(absent), None, "{absent}");
        }
        assert!(
            !put.header("content-encoding")
                .is_some_and(|e| e.contains("aws-chunked"))
        );
    }
}

#[tokio::test]
async fn what_befalls_a_write_is_told_apart_and_not_retried() {
    let digest = Sha256Hex::of(b"x");
    for (reply, expected) in [
        (xml_error(412, "PreconditionFailed"), "Exists"),
        (Reply::new(412, ""), "Exists"),
        (xml_error(409, "ConditionalRequestConflict"), "Conflict"),
        (xml_error(403, "AccessDenied"), "Denied"),
        (xml_error(404, "NoSuchBucket"), "Failed"),
        (xml_error(400, "BadDigest"), "Checksum"),
        (xml_error(400, "InvalidArgument"), "Failed"),
        (xml_error(503, "SlowDown"), "OutcomeUnknown"),
        (xml_error(500, "InternalError"), "OutcomeUnknown"),
        (Reply::Hang, "OutcomeUnknown"),
        (Reply::Cut, "OutcomeUnknown"),
        (
            Reply::new(200, "").with("x-amz-checksum-sha256", "AAAA"),
            "OutcomeUnknown",
        ),
        (
            Reply::new(200, "").with(
                "x-amz-server-side-encryption-aws-kms-key-id",
                "arn:aws:kms:eu-west-1:111122223333:key/other",
            ),
            "Unsuitable",
        ),
    ] {
        let answer = reply.clone();
        let server = Canned::start(move |seen| match seen.method.as_str() {
            "PUT" => answer.clone(),
            _ => Reply::new(404, ""),
        })
        .await;
        let options = S3Options {
            kms_key: Some(KEY.into()),
            ..S3Options::default()
        };
        let store = store(&server, options).await;
        let error = store
            .create("chain/1", Body::Bytes(b"x"), &digest)
            .await
            .expect_err("an error");
        let shown = format!("{error:?}");
        assert!(shown.starts_with(expected), "{reply:?} gave {shown}");
        assert_eq!(puts(&server).len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_missing_object_is_absent_and_a_missing_bucket_is_not() {
    let server = Canned::start(|seen| {
        if seen.path.contains("gone") {
            xml_error(404, "NoSuchKey")
        } else if seen.path.contains("locked") {
            xml_error(403, "AccessDenied")
        } else if seen.path.contains("large") {
            Reply::new(200, "0123456789")
        } else {
            xml_error(404, "NoSuchBucket")
        }
    })
    .await;
    let store = store(&server, S3Options::default()).await;
    assert!(matches!(
        store.read("gone", 9).await,
        Err(StoreError::Absent { .. })
    ));
    assert!(matches!(
        store.read("locked", 9).await,
        Err(StoreError::Denied { .. })
    ));
    assert!(matches!(
        store.read("large", 9).await,
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(
        store.read("large", 10).await.as_deref(),
        Ok(&b"0123456789"[..])
    );
    let (digest, bytes) = store.digest("large").await.expect("digest");
    assert_eq!((digest, bytes), (Sha256Hex::of(b"0123456789"), 10));
    for error in [
        store.read("other", 9).await.err(),
        store.list("").await.err(),
    ] {
        let error = error.expect("an error");
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("create it"), "{error}");
    }
}

/// A changed entry of the chain would pass for an unsigned one, and the next seal would pass over it.
#[tokio::test]
async fn a_body_that_arrives_changed_is_asked_for_again_and_never_believed() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let server = Canned::start(move |seen| {
        if seen.method != "GET" {
            return Reply::new(200, "");
        }
        assert_eq!(seen.header("x-amz-checksum-mode"), Some("ENABLED"));
        let nth = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let good = seen.path.contains("once") && nth % 2 == 1;
        let body = if good { "bytes" } else { "bytez" };
        Reply::new(200, body).with("x-amz-checksum-sha256", base64_sha256(b"bytes"))
    })
    .await;
    let store = store(&server, S3Options::default()).await;
    let gets = || {
        server
            .requests()
            .iter()
            .filter(|r| r.method == "GET")
            .count()
    };
    assert_eq!(store.read("once", 9).await.as_deref(), Ok(&b"bytes"[..]));
    let digest = store.digest("once").await;
    assert_eq!(digest, Ok((Sha256Hex::of(b"bytes"), 5)));
    assert_eq!(gets(), 4);
    for error in [
        store.read("always", 9).await.err(),
        store.digest("always").await.err(),
    ] {
        let error = error.expect("an error");
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    }
    assert_eq!(gets(), 12, "four attempts each");
}

/// Retries of a HEAD for the bucket: without its Region every later request would go astray.
#[tokio::test]
async fn the_bucket_is_asked_for_its_region_again() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let server =
        Canned::start(
            move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Reply::new(503, ""),
                _ => Reply::new(200, "").with("x-amz-bucket-region", "eu-central-1"),
            },
        )
        .await;
    let store = store(&server, S3Options::default()).await;
    assert_eq!(store.region().as_str(), "eu-central-1");
}

fn listing(keys: &[&str], next: Option<&str>) -> String {
    let contents: String = keys
        .iter()
        .map(|k| format!("<Contents><Key>{k}</Key><Size>5</Size></Contents>"))
        .collect();
    let next = next.map_or(String::new(), |n| {
        format!("<NextContinuationToken>{n}</NextContinuationToken>")
    });
    format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{contents}{next}</ListBucketResult>",
        !next.is_empty()
    )
}

#[tokio::test]
async fn listings_are_paged_relative_and_sorted() {
    let server = Canned::start(|seen| {
        Reply::new(
            200,
            if seen.path.contains("continuation-token") {
                listing(&["keyproof/chain/1"], None)
            } else {
                listing(&["keyproof/", "keyproof/chain/2"], Some("t"))
            },
        )
    })
    .await;
    let store = store(&server, S3Options::default()).await;
    let names: Vec<String> = store
        .list("chain/")
        .await
        .expect("listing")
        .into_iter()
        .map(|l| l.name)
        .collect();
    assert_eq!(names, ["chain/1", "chain/2"]);
    assert!(
        server
            .requests()
            .iter()
            .any(|r| r.path.contains("prefix=keyproof%2Fchain%2F"))
    );
}

#[tokio::test]
async fn listings_that_never_end_or_wander_off_are_failures() {
    for body in [
        listing(&["keyproof/chain/1"], Some("t")),
        listing(&["elsewhere/chain/1"], None),
    ] {
        let server = Canned::start(move |_| Reply::new(200, body.clone())).await;
        let store = store(&server, S3Options::default()).await;
        assert!(matches!(
            store.list("chain/").await,
            Err(StoreError::Failed { .. })
        ));
    }
}

#[tokio::test]
async fn protection_that_may_not_be_read_is_unknown() {
    let denied = Canned::start(|_| xml_error(403, "AccessDenied")).await;
    let checks = store(&denied, S3Options::default())
        .await
        .protections()
        .await;
    assert_eq!(checks.len(), 16);
    for check in &checks {
        // Nothing is configured that these two would compare with.
        let expected = match check.check {
            "configured_key" | "lock_covers_retention" => CheckOutcome::NotApplicable,
            _ => CheckOutcome::Unknown,
        };
        assert_eq!(check.outcome, expected, "{check:?}");
    }

    let bare = Canned::start(|seen| {
        let code = [
            ("?object-lock", "ObjectLockConfigurationNotFoundError"),
            (
                "?encryption",
                "ServerSideEncryptionConfigurationNotFoundError",
            ),
            ("?publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
            ("?policy", "NoSuchBucketPolicy"),
            ("?ownershipControls", "OwnershipControlsNotFoundError"),
        ]
        .into_iter()
        .find(|(query, _)| seen.path.contains(query));
        match code {
            Some((_, code)) => xml_error(404, code),
            None => Reply::new(200, "<VersioningConfiguration/>"),
        }
    })
    .await;
    for check in store(&bare, S3Options::default()).await.protections().await {
        if is_required(check.check) || check.check == "object_ownership" {
            assert_eq!(check.outcome, CheckOutcome::Fail, "{check:?}");
        } else {
            assert_ne!(check.outcome, CheckOutcome::Pass, "{check:?}");
        }
    }
}
