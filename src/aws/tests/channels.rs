//! What EMR and CloudWatch Logs answer about the places that logs go to, as it stands on the wire.

use super::account;
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{Cloud as _, Member};
use crate::model::ids::Region;

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

fn asked(server: &Canned) -> (Option<String>, String) {
    let seen = server.requests();
    let target = seen[0].header("x-amz-target").map(str::to_owned);
    (target, String::from_utf8_lossy(&seen[0].body).into_owned())
}

#[tokio::test]
async fn steps_have_their_own_places_and_keys() {
    let (server, member) = ask(
        r#"{"Steps":[{"Id":"s-1","Name":"n","Config":{"Jar":"x","Args":["--password","SECRET"]},
        "ActionOnFailure":"CONTINUE","LogUri":"s3://aside/","EncryptionKeyArn":"alias/aws/s3",
        "Status":{"State":"COMPLETED","Timeline":{"CreationDateTime":1795485603.5}}},
        {"Id":"s-0","Status":{"State":"NEW_IN_2027"}}],"Marker":"more"}"#,
    )
    .await;
    let page = member
        .steps(&region(), "j-1", Some("m".to_owned()))
        .await
        .expect("steps");
    assert_eq!(page.next.as_deref(), Some("more"));
    let step = &page.items[0];
    assert_eq!(step.log_uri.as_deref(), Some("s3://aside/"));
    assert_eq!(step.log_key.as_deref(), Some("alias/aws/s3"));
    assert_eq!(step.created_at.map(|t| t.0), Some(1_795_485_603_500));
    assert_eq!(page.items[1].state.as_deref(), Some("NEW_IN_2027"));
    assert!(!format!("{page:?}").contains("SECRET"));
    let (target, body) = asked(&server);
    assert_eq!(target.as_deref(), Some("ElasticMapReduce.ListSteps"));
    assert!(body.contains(r#""ClusterId":"j-1""#) && body.contains(r#""Marker":"m""#));
}

#[tokio::test]
async fn sessions_have_three_destinations() {
    let (server, member) = ask(
        r#"{"Sessions":[{"Id":"q-1","ServerUrl":"https://x/SECRET","MonitoringConfiguration":{
        "S3LoggingConfiguration":{"Enabled":true,"LogUri":"s3://sessions/","EncryptionKeyArn":"k"},
        "CloudWatchLoggingConfiguration":{"Enabled":false,"LogGroup":"g"},
        "ManagedLoggingConfiguration":{"Enabled":true}}},{"Id":"q-0"}]}"#,
    )
    .await;
    let page = member
        .sessions(&region(), "j-1", None)
        .await
        .expect("sessions");
    let [one, bare] = page.items.as_slice() else {
        panic!("two sessions: {page:?}");
    };
    assert_eq!(one.s3.place.as_deref(), Some("s3://sessions/"));
    assert_eq!(one.s3.key.as_deref(), Some("k"));
    assert_eq!(one.cloudwatch.enabled, Some(false));
    assert_eq!(one.managed.enabled, Some(true));
    assert_eq!(bare.s3.enabled, None);
    assert!(!format!("{page:?}").contains("SECRET"));
    let (target, body) = asked(&server);
    assert_eq!(target.as_deref(), Some("ElasticMapReduce.ListSessions"));
    assert!(body.contains(r#""ClusterId":"j-1""#));
}

#[tokio::test]
async fn log_groups_have_keys_of_their_own() {
    let (server, member) = ask(
        r#"{"logGroups":[{"logGroupName":"g","creationTime":1795485603500,"kmsKeyId":"arn:k",
        "storedBytes":7,"arn":"arn:aws:logs:eu-west-1:111122223333:log-group:g:*"},
        {"logGroupName":"g-2"}],"nextToken":"t"}"#,
    )
    .await;
    let page = member
        .log_groups(&region(), "g", None)
        .await
        .expect("groups");
    assert_eq!(page.items[0].kms_key.as_deref(), Some("arn:k"));
    assert_eq!(
        page.items[0].created_at.map(|t| t.0),
        Some(1_795_485_603_500)
    );
    assert_eq!(page.items[1].kms_key, None);
    assert_eq!(page.next.as_deref(), Some("t"));
    let (target, body) = asked(&server);
    assert_eq!(target.as_deref(), Some("Logs_20140328.DescribeLogGroups"));
    assert!(body.contains(r#""logGroupNamePrefix":"g""#), "{body}");
}

#[tokio::test]
async fn a_cluster_tells_where_its_logs_go_and_nothing_of_its_configurations() {
    let (_server, member) = ask(
        r#"{"Cluster":{"Id":"j-1","Status":{"State":"RUNNING"},"SessionEnabled":true,
        "MonitoringConfiguration":{"CloudWatchLogConfiguration":{"Enabled":true,"LogGroupName":"g",
        "LogStreamNamePrefix":"p","EncryptionKeyArn":"k","LogTypes":{"STEP_LOGS":["STDERR"]}}},
        "Configurations":[{"Classification":"spark-defaults","Properties":{
        "spark.eventLog.dir":"s3://spark/","spark.hadoop.password":"SECRET"}}]}}"#,
    )
    .await;
    let read = member.cluster(&region(), "j-1").await.expect("cluster");
    assert_eq!(read.cloudwatch.enabled, Some(true));
    assert_eq!(read.cloudwatch.log_group.as_deref(), Some("g"));
    assert_eq!(read.cloudwatch.log_types, ["STEP_LOGS/STDERR"]);
    assert_eq!(
        read.application_logs.spark_event_log_dir.as_deref(),
        Some("s3://spark/")
    );
    assert_eq!(read.session_enabled, Some(true));
    assert!(!format!("{read:?}").contains("SECRET"));
}
