//! One attempt per call: pool, sessions, timeouts, classes of errors.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{account, json_error, xml_error};
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{ApiError, AssumeRole, Cloud as _, ClusterFilter, ErrorClass, Member};
use crate::model::ids::Region;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

fn any_cluster() -> ClusterFilter {
    ClusterFilter {
        states: Vec::new(),
        created_after: None,
    }
}

async fn member(server: &Canned) -> Box<dyn Member> {
    server.shell().await.own_session(&account())
}

async fn first_page(member: &dyn Member) -> Result<usize, ApiError> {
    let page = member.clusters(&region(), &any_cluster(), None).await?;
    Ok(page.items.len())
}

const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAMEMBER</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>token-of-member</SessionToken>
<Expiration>2026-11-24T03:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

#[tokio::test]
async fn two_hundred_clients_share_one_connection() {
    let server = Canned::start(|_| Reply::new(200, r#"{"Clusters":[]}"#)).await;
    let member = member(&server).await;
    // Each call builds its client; one after the other, one connection is enough for all.
    for _ in 0..200 {
        assert_eq!(first_page(member.as_ref()).await, Ok(0));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sessions_of_many_accounts_share_the_pool_and_not_the_credentials() {
    let server = Canned::start(|seen| {
        if seen.header("x-amz-target").is_some() {
            Reply::new(200, r#"{"Clusters":[]}"#)
        } else {
            Reply::new(200, ASSUMED)
        }
    })
    .await;
    let shell = server.shell().await;
    for n in 0..5 {
        let role = AssumeRole {
            account_id: format!("11112222000{n}").parse().expect("account"),
            role_name: "keyproof-reader".into(),
            session_name: "keyproof-20261124T020003Z-7f3a".into(),
            external_id: Some("external".into()),
            duration_seconds: 3_600,
        };
        let member = shell.assume(&role).await.expect("session");
        assert_eq!(
            member.expires_at().map(|t| t.to_string()).as_deref(),
            Some("2026-11-24T03:00:00.000Z")
        );
        first_page(member.as_ref()).await.expect("page");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let seen = server.requests();
    let asked = String::from_utf8_lossy(&seen[0].body).into_owned();
    assert!(
        asked.contains("arn%3Aaws%3Aiam%3A%3A111122220000%3Arole%2Fkeyproof-reader"),
        "{asked}"
    );
    assert!(
        asked.contains("ExternalId=external") && !asked.contains("SourceIdentity"),
        "{asked}"
    );
    let scope = |n: usize| {
        seen[n]
            .header("authorization")
            .unwrap_or_default()
            .to_owned()
    };
    assert!(scope(0).contains("AKIDTEST") && scope(0).contains("/eu-west-1/sts/"));
    assert!(scope(1).contains("ASIAMEMBER") && scope(1).contains("/elasticmapreduce/"));
    assert_eq!(
        seen[1].header("x-amz-security-token"),
        Some("token-of-member")
    );
    assert!(
        seen[1]
            .header("user-agent")
            .is_some_and(|ua| ua.contains("keyproof-"))
    );
}

#[tokio::test]
async fn a_server_that_never_answers_costs_one_attempt() {
    let server = Canned::start(|_| Reply::Hang).await;
    let member = member(&server).await;
    let start = Instant::now();
    let error = first_page(member.as_ref()).await.expect_err("no answer");
    assert_eq!(error.class, ErrorClass::TimedOut);
    assert_eq!(error.code, "Timeout");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_call_is_one_attempt() {
    let server = Canned::start(|_| Reply::new(500, "")).await;
    let member = member(&server).await;
    let error = first_page(member.as_ref()).await.expect_err("error");
    assert_eq!(error.class, ErrorClass::Server);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn connections_that_fail_are_transport() {
    let server = Canned::start(|_| Reply::Cut).await;
    let error = first_page(member(&server).await.as_ref())
        .await
        .expect_err("cut");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Transport, "Connection")
    );

    let garbage = Canned::start(|_| Reply::new(200, "<html>")).await;
    let error = first_page(member(&garbage).await.as_ref())
        .await
        .expect_err("html");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Transport, "Unreadable")
    );

    let gone = Canned {
        url: "http://127.0.0.1:1".into(),
        ..garbage
    };
    let error = first_page(member(&gone).await.as_ref())
        .await
        .expect_err("refused");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Transport, "Connection")
    );
}

/// Whatever its status; the connection is closed instead.
#[tokio::test]
async fn an_answer_of_100_mb_is_not_read() {
    for status in [200, 400] {
        let server = Canned::start(move |_| Reply::new(status, " ".repeat(100_000_000))).await;
        let shell = server.shell_within(Duration::from_secs(300)).await;
        let member = shell.own_session(&account());
        let error = first_page(member.as_ref()).await.expect_err("too large");
        assert_eq!(
            (error.class, error.code.as_str()),
            (ErrorClass::TooLarge, "ResponseTooLarge")
        );
        assert!(error.message.contains("33554432 bytes"), "{error}");
        assert!(!error.class.is_retryable());
    }
}

/// Whoever reads the content of an object says how much of it is wanted.
#[tokio::test]
async fn the_content_of_an_object_may_be_longer_than_any_answer() {
    let long = 33 << 20;
    let server = Canned::start(move |_| {
        Reply::new(206, " ".repeat(long))
            .with("content-range", format!("bytes 0-{}/{long}", long - 1))
    })
    .await;
    let shell = server.shell_within(Duration::from_secs(300)).await;
    let member = shell.own_session(&account());
    let part = member
        .source_object(&region(), "reports", "big.csv", 0, long as u64)
        .await
        .expect("a part");
    assert_eq!(part.bytes.len(), long);
}

#[tokio::test]
async fn errors_of_each_protocol_have_their_class() {
    // Each operation's own protocol: awsJson1.1, restJson1, query, REST-XML.
    let server = Canned::start(|seen| match seen.header("x-amz-target") {
        Some(t) if t.ends_with("ListClusters") => json_error(
            "com.amazonaws.emr#AccessDeniedException",
            "with an explicit deny in a service control policy",
        ),
        Some(t) if t.ends_with("ListAccounts") => json_error("TooManyRequestsException", "slow"),
        Some(t) if t.ends_with("DescribeOrganization") => {
            json_error("AWSOrganizationsNotInUseException", "no organization")
        }
        Some(t) if t.ends_with("DescribeKey") => json_error("ThrottlingException", "slow"),
        // What forbids it is said after more characters than a message keeps.
        Some(t) if t.ends_with("GetKeyPolicy") => json_error(
            "AccessDeniedException",
            &format!(
                "{} because no resource-based policy allows the kms:GetKeyPolicy action",
                "long-role-path/".repeat(40)
            ),
        ),
        Some(_) => json_error("UnrecognizedClientException", "token"),
        None if seen.path == "/listRegions" => Reply::new(403, r#"{"message":"no"}"#)
            .with("x-amzn-errortype", "AccessDeniedException:http://internal")
            .with("x-amzn-requestid", "req-1"),
        None if seen.method == "POST" => Reply::new(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: \
             sts:AssumeRole</Message></Error><RequestId>req-1</RequestId></ErrorResponse>",
        )
        .with("x-amzn-requestid", "req-1"),
        None => xml_error(404, "NoSuchBucket"),
    })
    .await;
    let shell = server.shell().await;
    let member = shell.own_session(&account());
    let (m, r) = (member.as_ref(), region());
    let role = AssumeRole {
        account_id: account(),
        role_name: "keyproof-reader".into(),
        session_name: "s".into(),
        external_id: None,
        duration_seconds: 900,
    };
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1";
    for (error, class, code) in [
        (
            first_page(m).await.err(),
            ErrorClass::DeniedScp,
            "AccessDeniedException",
        ),
        (
            m.cluster(&r, "j-1").await.err(),
            ErrorClass::TokenRefused,
            "UnrecognizedClientException",
        ),
        (
            m.key(&r, key).await.err(),
            ErrorClass::Throttled,
            "ThrottlingException",
        ),
        (
            m.key_policy(&r, key).await.err(),
            ErrorClass::DeniedByResource,
            "AccessDeniedException",
        ),
        (
            m.regions(None).await.err(),
            ErrorClass::DeniedIam,
            "AccessDeniedException",
        ),
        (
            m.bucket_encryption(&r, "bucket").await.err(),
            ErrorClass::NotFound,
            "NoSuchBucket",
        ),
        (
            shell.accounts(None).await.err(),
            ErrorClass::Throttled,
            "TooManyRequestsException",
        ),
        (
            shell.organization().await.err(),
            ErrorClass::Refused,
            "AWSOrganizationsNotInUseException",
        ),
        (
            shell.assume(&role).await.err(),
            ErrorClass::DeniedTrust,
            "AccessDenied",
        ),
    ] {
        let error = error.expect("an error");
        assert_eq!((error.class, error.code.as_str()), (class, code), "{error}");
        assert_eq!(error.request_id.as_deref(), Some("req-1"), "{error}");
    }
}

#[tokio::test]
async fn answers_without_a_code_are_judged_by_status() {
    for (status, class) in [
        (403, ErrorClass::DeniedIam),
        (404, ErrorClass::Transport),
        (429, ErrorClass::Throttled),
        (503, ErrorClass::Server),
    ] {
        let server = Canned::start(move |_| Reply::new(status, "<html>busy</html>")).await;
        let error = first_page(member(&server).await.as_ref())
            .await
            .expect_err("error");
        assert_eq!(error.class, class, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_bucket_name_no_host_can_have_is_refused_without_asking() {
    let server = Canned::start(|_| Reply::new(200, "")).await;
    let member = member(&server).await;
    let error = member
        .bucket_encryption(&region(), "")
        .await
        .expect_err("refused");
    assert_eq!(error.class, ErrorClass::Refused, "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_region_is_read_from_a_refusal() {
    let server = Canned::start(|_| {
        xml_error(301, "PermanentRedirect").with("x-amz-bucket-region", "ap-east-1")
    })
    .await;
    let found = member(&server).await.bucket_location("bucket").await;
    assert_eq!(found.map(String::from), Ok("ap-east-1".to_owned()));
}

#[tokio::test]
async fn the_clock_offset_is_known_after_an_answer() {
    let server = Canned::start(|_| {
        Reply::new(200, r#"{"Clusters":[]}"#).with("date", "Thu, 01 Jan 1970 00:00:00 GMT")
    })
    .await;
    let shell = server.shell().await;
    assert_eq!(shell.clock_offset_ms(), None);
    first_page(shell.own_session(&account()).as_ref())
        .await
        .expect("page");
    assert!(
        shell
            .clock_offset_ms()
            .is_some_and(|ms| ms > 1_700_000_000_000)
    );
}
