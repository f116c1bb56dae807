//! What CloudTrail answers, as it stands on the wire.

use super::account;
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{Cloud as _, Member};
use crate::model::ids::Region;
use crate::time::UtcMillis;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

async fn ask(body: &'static str) -> (Canned, Box<dyn Member>) {
    let server = Canned::start(move |_| {
        Reply::new(200, body).with("content-type", "application/x-amz-json-1.1")
    })
    .await;
    let member = server.shell().await.own_session(&account());
    (server, member)
}

#[tokio::test]
async fn events_are_asked_for_by_one_name_and_come_as_text() {
    let (server, member) = ask(
        r#"{"Events":[{"EventId":"e","EventName":"RunJobFlow","Username":"u",
        "CloudTrailEvent":"{\"eventID\":\"e\"}"},{"EventId":"f"}],"NextToken":"more"}"#,
    )
    .await;
    let window = (UtcMillis(1_795_485_600_000), UtcMillis(1_795_572_000_000));
    let page = member
        .events(&region(), "RunJobFlow", window, Some("t".to_owned()))
        .await
        .expect("events");
    assert_eq!(page.items, [r#"{"eventID":"e"}"#, ""]);
    assert_eq!(page.next.as_deref(), Some("more"));
    let seen = server.requests();
    let target = seen[0].header("x-amz-target").unwrap_or_default();
    assert!(
        target.ends_with("CloudTrail_20131101.LookupEvents"),
        "{target}"
    );
    let body: serde_json::Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    assert_eq!(
        body["LookupAttributes"],
        serde_json::json!([{"AttributeKey": "EventName", "AttributeValue": "RunJobFlow"}])
    );
    assert_eq!(body["StartTime"], serde_json::json!(1_795_485_600));
    assert_eq!(body["EndTime"], serde_json::json!(1_795_572_000));
    assert_eq!(body["MaxResults"], serde_json::json!(50));
}

#[tokio::test]
async fn trails_say_where_they_begin_and_what_they_record() {
    let (_server, member) = ask(
        r#"{"trailList":[{"Name":"org","TrailARN":"arn:aws:cloudtrail:us-east-1:111122223333:trail/org",
        "HomeRegion":"us-east-1","IsMultiRegionTrail":true,"IsOrganizationTrail":true,
        "LogFileValidationEnabled":false,"S3BucketName":"trail-bucket"}]}"#,
    )
    .await;
    let trails = member.trails(&region()).await.expect("trails");
    assert_eq!(trails[0].home.as_str(), "us-east-1");
    assert_eq!(trails[0].organization, Some(true));
    assert_eq!(trails[0].log_file_validation, Some(false));

    let (_server, member) = ask(r#"{"trailList":[{"Name":"org"}]}"#).await;
    let error = member.trails(&region()).await.expect_err("no ARN");
    assert_eq!(error.code, "Unreadable");

    let (_server, member) = ask(
        r#"{"IsLogging":false,"StopLoggingTime":1795485603.5,"LatestDeliveryError":"NoSuchBucket"}"#,
    )
    .await;
    let status = member.trail_status(&region(), "arn").await.expect("status");
    assert_eq!(status.logging, Some(false));
    assert_eq!(status.stopped_at, Some(UtcMillis(1_795_485_603_500)));
    assert_eq!(status.delivery_error.as_deref(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn selectors_that_only_read_drop_launches() {
    for (body, writes) in [
        (
            r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true}]}"#,
            Some(true),
        ),
        (
            r#"{"EventSelectors":[{"ReadWriteType":"ReadOnly","IncludeManagementEvents":true}]}"#,
            Some(false),
        ),
        (
            r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":false}]}"#,
            Some(false),
        ),
        (
            r#"{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]}]}]}"#,
            Some(true),
        ),
        (
            r#"{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},
            {"Field":"readOnly","Equals":["true"]}]}]}"#,
            Some(false),
        ),
        (
            r#"{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},
            {"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}]}]}"#,
            None,
        ),
        (r#"{}"#, Some(false)),
    ] {
        let (_server, member) = ask(body).await;
        let told = member
            .trail_writes(&region(), "arn")
            .await
            .expect("selectors");
        assert_eq!(told, writes, "{body}");
    }
}
