//! Listing and HEAD of log objects, as S3 answers them.

use super::{account, xml_error};
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{Cloud as _, ErrorClass, ObjectHead};
use crate::model::ids::Region;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k";

#[tokio::test]
async fn one_page_is_listed_below_a_prefix() {
    let server = Canned::start(|_| {
        Reply::new(
            200,
            "<ListBucketResult><Contents><Key>emr/j-1/steps/a &amp; b.gz</Key><Size>9</Size>\
             <LastModified>2026-11-24T02:00:03.000Z</LastModified></Contents>\
             <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let listed = member.log_objects(&region(), "logs", "emr/j-1/").await;
    let listed = listed.expect("a page");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, "emr/j-1/steps/a & b.gz");
    assert_eq!(listed[0].bytes, Some(9));
    assert!(listed[0].modified_at.is_some());
    let seen = server.requests();
    assert_eq!(seen.len(), 1, "one page is enough");
    assert!(
        seen[0].path.contains("prefix=emr%2Fj-1%2F"),
        "{}",
        seen[0].path
    );
    assert_eq!(
        seen[0].header("x-amz-expected-bucket-owner"),
        Some(account().as_str())
    );
}

#[tokio::test]
async fn a_head_sends_neither_checksum_mode_nor_encryption_headers() {
    let server = Canned::start(|_| {
        Reply::new(200, "")
            .with("x-amz-server-side-encryption", "aws:kms")
            .with("x-amz-server-side-encryption-aws-kms-key-id", KEY)
            .with("x-amz-server-side-encryption-bucket-key-enabled", "true")
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let head = member.log_object(&region(), "logs", "emr/j-1/a b").await;
    let told = ObjectHead::Told {
        algorithm: Some("aws:kms".to_owned()),
        key: Some(KEY.to_owned()),
        bucket_key: Some(true),
    };
    assert_eq!(head, Ok(told));
    let seen = server.requests();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "HEAD"));
    let wrong = seen[0].headers.iter().find(|(name, _)| {
        name == "x-amz-checksum-mode" || name.starts_with("x-amz-server-side-encryption")
    });
    assert_eq!(wrong, None);
    assert_eq!(
        seen[0].header("x-amz-expected-bucket-owner"),
        Some(account().as_str())
    );
}

#[tokio::test]
async fn refusals_of_a_head_have_no_body_and_are_told_apart_by_status() {
    for (status, class) in [
        (403, ErrorClass::DeniedIam),
        (404, ErrorClass::NotFound),
        (301, ErrorClass::Refused),
        (503, ErrorClass::Server),
    ] {
        let server = Canned::start(move |_| Reply::new(status, "")).await;
        let member = server.shell().await.own_session(&account());
        let error = member
            .log_object(&region(), "logs", "k")
            .await
            .expect_err("an error");
        assert_eq!(error.class, class, "{status}: {error}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
    let server = Canned::start(|_| Reply::new(400, "")).await;
    let member = server.shell().await.own_session(&account());
    let head = member.log_object(&region(), "logs", "k").await;
    assert_eq!(
        head,
        Ok(ObjectHead::BadRequest),
        "SSE-C wants the object's key"
    );
    let server = Canned::start(|_| xml_error(403, "AccessDenied")).await;
    let member = server.shell().await.own_session(&account());
    let error = member.log_objects(&region(), "logs", "p/").await;
    assert_eq!(error.expect_err("denied").class, ErrorClass::DeniedIam);
}

/// XML cannot say all that a name may hold, so names come in URL encoding; a page goes on in the middle of a
/// key's versions.
#[tokio::test]
async fn versions_are_listed_page_by_page_with_their_delete_markers() {
    let server = Canned::start(|request| {
        let rest = "<EncodingType>url</EncodingType></ListVersionsResult>";
        if request.path.contains("key-marker") {
            return Reply::new(
                200,
                format!("<ListVersionsResult><IsTruncated>false</IsTruncated>{rest}"),
            );
        }
        Reply::new(
            200,
            format!(
                "<ListVersionsResult><Version><Key>emr/j-1/a+b%01</Key><VersionId>v2</VersionId>\
                 <IsLatest>false</IsLatest><Size>9</Size></Version><DeleteMarker><Key>emr/j-1/c</Key>\
                 <IsLatest>true</IsLatest></DeleteMarker><IsTruncated>true</IsTruncated>\
                 <NextKeyMarker>emr/j-1/a+b%01</NextKeyMarker>\
                 <NextVersionIdMarker>v2</NextVersionIdMarker>{rest}"
            ),
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let ireland = region();
    let list = |next| member.log_versions(&ireland, "logs", "emr/", next);
    let page = list(None).await.expect("a page");
    let told: Vec<_> = page
        .items
        .iter()
        .map(|v| (v.name.as_slice(), v.is_latest, v.is_delete_marker, v.bytes))
        .collect();
    assert_eq!(
        told,
        [
            (&b"emr/j-1/a b\x01"[..], false, false, Some(9)),
            (b"emr/j-1/c", true, true, None)
        ]
    );
    let last = list(page.next).await.expect("a page");
    assert!(last.items.is_empty() && last.next.is_none());
    let seen = server.requests();
    let path = &seen[1].path;
    assert!(path.contains("key-marker=emr%2Fj-1%2Fa%20b%01"), "{path}");
    assert!(path.contains("version-id-marker=v2"), "{path}");
    for request in &seen {
        assert!(
            request.path.contains("encoding-type=url"),
            "{}",
            request.path
        );
        assert_eq!(
            request.header("x-amz-expected-bucket-owner"),
            Some(account().as_str())
        );
    }
}
