use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::words::{ControlEffect, LaunchClass};

fn tags() -> TagNames {
    TagNames {
        owner: Some("Owner".to_owned()),
        lineage: Some("Lineage".to_owned()),
        ..TagNames::default()
    }
}

fn with_reader<T>(look: impl FnOnce(&Reader<'_>) -> T) -> T {
    look(&Reader {
        scheduled_for: "2026-10-03".parse().expect("date"),
        read_from: EventSource::LookupEvents,
        tags: &tags(),
    })
}

/// The record of `domain/launches.md`, whose values are invented.
fn record() -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": "2026-10-03T04:11:09Z",
        "eventSource": "elasticmapreduce.amazonaws.com", "eventName": "RunJobFlow",
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "eventID": "5b6f0a52-0000-4000-8000-000000000001", "readOnly": false,
        "userIdentity": {"type": "AssumedRole", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/etl-launcher/run-7"},
        "requestParameters": {"name": "nightly", "releaseLabel": "emr-7.9.0",
            "logUri": "s3://logs-111122223333/emr/",
            "logEncryptionKmsKeyId":
                "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444",
            "securityConfiguration": "at-rest-v3", "serviceRole": "EMR_Svc",
            "jobFlowRole": "EMR_Ec2",
            "tags": [{"key": "Owner", "value": "team-ana"}, {"key": "Secret", "value": "x"}]},
        "responseElements": {"jobFlowId": "j-1EXAMPLE00000"}
    })
}

fn denied(message: &str) -> Value {
    let mut value = record();
    value["errorCode"] = json!("AccessDeniedException");
    value["errorMessage"] = json!(message);
    value["responseElements"] = Value::Null;
    value
}

fn read(value: &Value) -> Result<Option<Event>, RecordError> {
    with_reader(|reader| reader.read(value))
}

fn launch(value: &Value) -> Launch {
    match read(value) {
        Ok(Some(Event::Launch(launch))) => launch.row,
        other => panic!("no launch: {other:?}"),
    }
}

fn control(value: &Value) -> ControlEvent {
    match read(value) {
        Ok(Some(Event::Control(row))) => *row,
        other => panic!("no control event: {other:?}"),
    }
}

/// Every name of every object, in another case.
fn renamed(value: &Value, name: fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(n, v)| (name(n), renamed(v, name)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(|v| renamed(v, name)).collect(),
        other => other.clone(),
    }
}

#[test]
fn an_accepted_launch_is_read() {
    let row = launch(&record());
    assert_eq!(row.event_ms, 1_791_000_669_000);
    assert_eq!(row.cluster_id.as_deref(), Some("j-1EXAMPLE00000"));
    assert_eq!(row.name.as_deref(), Some("nightly"));
    assert_eq!(row.log_uri.as_deref(), Some("s3://logs-111122223333/emr/"));
    assert!(row.log_key.as_deref().is_some_and(|k| k.ends_with("444")));
    assert_eq!(row.security_configuration.as_deref(), Some("at-rest-v3"));
    assert_eq!(
        row.caller_arn.as_deref(),
        Some("arn:aws:iam::111122223333:role/etl-launcher"),
        "sessions differ from one try to the next"
    );
    assert_eq!(row.tag_owner.as_deref(), Some("team-ana"));
    assert!(row.params_available);
    assert_eq!(row.class, LaunchClass::AcceptedParamsUnavailable);
}

/// domain/launches.md, "Easily wrong" 7.
#[test]
fn easily_wrong_7_case_of_names_does_not_matter() {
    let expected = launch(&record());
    let pascal = |name: &str| {
        let mut letters = name.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    };
    // Of the record's own names too: copies pass through other tools.
    for value in [
        renamed(&record(), pascal),
        renamed(&record(), str::to_ascii_lowercase),
        renamed(&record(), str::to_ascii_uppercase),
    ] {
        assert_eq!(launch(&value), expected);
    }
}

/// domain/launches.md, "Easily wrong" 3.
#[test]
fn easily_wrong_3_absent_parameters_are_not_an_absent_key() {
    let absent = [
        Value::Null,
        json!({}),
        json!({"omitted": true, "originalSize": 140_000, "reason": "too large"}),
        json!("HIDDEN_DUE_TO_SECURITY_REASONS"),
        json!({"name": "nightly", "logUri": "s3://logs/x",
            "logEncryptionKmsKeyId": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
        json!({"name": "nightly", "logUri": "***"}),
        json!({"name": "nightly", "logUri": {"omitted": true}}),
    ];
    for parameters in absent {
        let mut value = record();
        value["requestParameters"] = parameters.clone();
        let row = launch(&value);
        assert!(!row.params_available, "{parameters}");
        assert_eq!((row.log_uri, row.log_key), (None, None), "{parameters}");
        assert_eq!(row.cluster_id.as_deref(), Some("j-1EXAMPLE00000"));
    }
    let mut value = record();
    if let Some(members) = value.as_object_mut() {
        members.remove("requestParameters");
    }
    assert!(!launch(&value).params_available);

    let mut value = record();
    value["requestParameters"] = json!({"name": "nightly", "logUri": "s3://logs/x"});
    let row = launch(&value);
    assert!(row.params_available, "the key is really absent");
    assert_eq!(row.log_key, None);
}

#[test]
fn nothing_else_of_a_request_is_kept() {
    let mut value = record();
    let secret = "PLANTED-SECRET";
    value["requestParameters"]["steps"] = json!([{"hadoopJarStep": {"args": [secret]}}]);
    value["requestParameters"]["additionalInfo"] = json!(secret);
    value["requestParameters"]["logUri"] = json!(format!("s3n://AKIA:{secret}@logs/x"));
    value["requestParameters"]["tags"][1]["value"] = json!(secret);
    value["userAgent"] = json!(secret);
    value["sourceIPAddress"] = json!(secret);
    value["additionalEventData"] = json!({"x": secret});
    value["responseElements"]["clusterArn"] = json!(secret);
    value["userIdentity"]["accessKeyId"] = json!(secret);
    value["userIdentity"]["principalId"] = json!(secret);
    value["errorMessage"] = json!(secret);
    let event = read(&value).expect("read").expect("a launch");
    assert!(!format!("{event:?}").contains(secret), "{event:?}");
}

#[test]
fn names_that_the_request_does_not_have_are_told() {
    let mut value = record();
    value["requestParameters"]["logEncryptionKey"] = json!("x");
    let Ok(Some(Event::Launch(launch))) = read(&value) else {
        panic!("a launch");
    };
    assert_eq!(launch.unmatched, ["logEncryptionKey"]);
}

#[test]
fn a_denied_launch_names_policy_and_action() {
    let who = "User: arn:aws:sts::111122223333:assumed-role/x/y is not authorized to perform:";
    let scp = "arn:aws:organizations::999999999999:policy/o-1/service_control_policy/p-1";
    let cases = [
        (
            format!(
                "{who} elasticmapreduce:RunJobFlow on resource: * with an explicit deny in a service control policy: {scp}"
            ),
            (
                Some("elasticmapreduce:RunJobFlow"),
                Some("service_control"),
                Some(scp),
            ),
        ),
        (
            format!(
                "{who} elasticmapreduce:AddTags because no identity-based policy allows the elasticmapreduce:AddTags action"
            ),
            (Some("elasticmapreduce:AddTags"), Some("identity"), None),
        ),
        (
            format!(
                "{who} elasticmapreduce:RunJobFlow with an explicit deny in a permissions boundary, arn:aws:iam::111122223333:policy/b."
            ),
            (
                Some("elasticmapreduce:RunJobFlow"),
                Some("boundary"),
                Some("arn:aws:iam::111122223333:policy/b"),
            ),
        ),
        (
            format!(
                "{who} iam:PassRole on resource: arn:aws:iam::1:role/x with an explicit deny in a VPC endpoint policy"
            ),
            (Some("iam:PassRole"), Some("endpoint"), None),
        ),
        (
            format!(
                "{who} elasticmapreduce:RunJobFlow with an explicit deny in a resource control policy"
            ),
            (
                Some("elasticmapreduce:RunJobFlow"),
                Some("resource_control"),
                None,
            ),
        ),
        (
            format!(
                "{who} elasticmapreduce:RunJobFlow because no session policy allows the elasticmapreduce:RunJobFlow action"
            ),
            (Some("elasticmapreduce:RunJobFlow"), Some("session"), None),
        ),
        // Cut at 1 KB, or another form: unknown, not guessed.
        (
            format!("{who} elasticmapreduce:RunJobFlow with an explicit de"),
            (Some("elasticmapreduce:RunJobFlow"), None, None),
        ),
        (
            format!(
                "{who} elasticmapreduce:RunJobFlow with an explicit deny in a service control policy: arn:aws:organizations::9999"
            ),
            (
                Some("elasticmapreduce:RunJobFlow"),
                Some("service_control"),
                None,
            ),
        ),
        ("Access denied".to_owned(), (None, None, None)),
        (String::new(), (None, None, None)),
    ];
    for (message, expected) in cases {
        let row = launch(&denied(&message));
        let told = (
            row.denied_action.as_deref(),
            row.denied_by.as_deref(),
            row.denied_by_policy.as_deref(),
        );
        assert_eq!(told, expected, "{message}");
        assert_eq!(row.class, LaunchClass::DeniedParamsUnavailable);
        assert_eq!(row.cluster_id, None);
    }
}

#[test]
fn error_codes_stand_for_answers() {
    for (code, class) in [
        ("AccessDenied", LaunchClass::DeniedParamsUnavailable),
        (
            "AccessDeniedException",
            LaunchClass::DeniedParamsUnavailable,
        ),
        (
            "Client.UnauthorizedOperation",
            LaunchClass::DeniedParamsUnavailable,
        ),
        ("ThrottlingException", LaunchClass::Throttled),
        ("Throttling", LaunchClass::Throttled),
        ("ValidationException", LaunchClass::RejectedInvalid),
        ("InvalidRequestException", LaunchClass::RejectedInvalid),
        ("InternalServerError", LaunchClass::OtherError),
    ] {
        let mut value = denied("x");
        value["errorCode"] = json!(code);
        assert_eq!(launch(&value).class, class, "{code}");
    }
}

#[test]
fn a_launch_belongs_to_the_account_that_received_it() {
    let mut value = record();
    value["userIdentity"] = json!({"type": "AssumedRole", "accountId": "444455556666",
        "arn": "arn:aws:sts::444455556666:assumed-role/r/s",
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::444455556666:role/team/r"}}});
    value["userAgent"] = json!("states.amazonaws.com");
    value["sharedEventID"] = json!("5b6f0a52-0000-4000-8000-0000000000aa");
    let row = launch(&value);
    assert_eq!(row.account_id.as_str(), "111122223333");
    assert_eq!(
        row.caller_account_id.as_ref().map(|a| a.as_str()),
        Some("444455556666")
    );
    assert_eq!(
        row.caller_arn.as_deref(),
        Some("arn:aws:iam::444455556666:role/team/r")
    );
    assert_eq!(row.invoked_by.as_deref(), Some("states.amazonaws.com"));
    assert!(row.shared_event_id.is_some_and(|id| id.ends_with("aa")));
}

#[test]
fn a_corrected_record_takes_the_place_of_the_first() {
    let first = launch(&record());
    let mut value = record();
    value["eventID"] = json!("5b6f0a52-0000-4000-8000-000000000099");
    value["requestParameters"]["name"] = json!("nightly-2");
    value["addendum"] = json!({"reason": "UPDATED_DATA", "updatedFields": "requestParameters",
        "originalEventID": "5b6f0a52-0000-4000-8000-000000000001"});
    let corrected = launch(&value);
    assert!(corrected.late);
    assert_eq!(corrected.event_id, first.event_id);
    for mut rows in [
        vec![first.clone(), corrected.clone(), first.clone()],
        vec![corrected.clone(), first.clone()],
    ] {
        newest_of_each(&mut rows);
        assert_eq!(rows, std::slice::from_ref(&corrected));
    }
}

#[test]
fn two_copies_of_an_event_are_one() {
    let mut without = launch(&record());
    without.params_available = false;
    let with = launch(&record());
    let mut other = with.clone();
    other.event_id = "5b6f0a52-0000-4000-8000-000000000000".to_owned();
    let mut rows = vec![without, with.clone(), other.clone(), with.clone()];
    newest_of_each(&mut rows);
    assert_eq!(rows, [other, with]);
}

#[test]
fn a_cut_record_is_refused_and_never_half_read() {
    let text = record().to_string();
    with_reader(|reader| {
        assert!(reader.read_text(&text).is_ok_and(|e| e.is_some()));
        for end in 0..text.len() {
            let cut = text.get(..end).unwrap_or_default();
            assert_eq!(reader.read_text(cut), Err(RecordError::NotJson), "{cut}");
        }
    });
    for (field, value) in [
        ("eventID", json!("../../x")),
        ("eventTime", json!("yesterday")),
        ("recipientAccountId", json!("12")),
        ("awsRegion", Value::Null),
    ] {
        let mut broken = record();
        broken[field] = value;
        assert_eq!(read(&broken), Err(RecordError::Field(field)));
    }
    assert_eq!(read(&json!([])), Err(RecordError::NotJson));
    assert_eq!(read(&json!({})), Err(RecordError::Field("eventSource")));
}

#[test]
fn control_events_name_what_they_are_about() {
    let event = |source: &str, name: &str, request: Value, resources: Value| {
        let mut value = record();
        value["eventSource"] = json!(source);
        value["eventName"] = json!(name);
        value["requestParameters"] = request;
        value["resources"] = resources;
        control(&value)
    };
    let key = "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444";
    let row = event(
        "kms.amazonaws.com",
        "DisableKey",
        json!({"keyId": "0a0a0a0a-1111-4222-8333-444444444444"}),
        json!([{"type": "AWS::KMS::Key", "ARN": key}]),
    );
    assert_eq!(row.resource.as_deref(), Some(key));
    assert_eq!(row.effect, ControlEffect::Breaks);
    let row = event(
        "kms.amazonaws.com",
        "PutKeyPolicy",
        json!({"KeyId": "0a0a0a0a-1111-4222-8333-444444444444", "policy": "PLANTED-SECRET"}),
        Value::Null,
    );
    assert_eq!(row.resource.as_deref(), Some(key));
    assert!(!format!("{row:?}").contains("PLANTED-SECRET"));
    let row = event(
        "kms.amazonaws.com",
        "UpdateAlias",
        json!({"aliasName": "alias/emr-logs", "targetKeyId": "x"}),
        json!([{"ARN": key}]),
    );
    assert_eq!(
        row.resource.as_deref(),
        Some("arn:aws:kms:eu-west-1:111122223333:alias/emr-logs")
    );
    let row = event(
        "s3.amazonaws.com",
        "DeleteBucketEncryption",
        json!({"bucketName": "logs-1", "encryption": ""}),
        Value::Null,
    );
    assert_eq!(row.resource.as_deref(), Some("logs-1"));
    let row = event(
        "cloudtrail.amazonaws.com",
        "StopLogging",
        json!({"name": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/org"}),
        Value::Null,
    );
    assert_eq!(row.effect, ControlEffect::Blinds);
    assert!(row.resource.is_some());
}

#[test]
fn tries_within_a_quarter_of_an_hour_are_one_attempt() {
    let at = |minutes: i64, id: usize| {
        let mut row = launch(&denied("x"));
        row.event_id = format!("e-{id}");
        row.event_ms += minutes * 60_000;
        row
    };
    let mut other_name = at(1, 5);
    other_name.name = Some("hourly".to_owned());
    let mut other_caller = at(1, 6);
    other_caller.caller_arn = None;
    // From the first of an attempt, not from the one before.
    let mut rows = vec![
        at(14, 2),
        at(0, 1),
        at(16, 3),
        at(30, 4),
        other_name,
        other_caller,
    ];
    name_attempts(&mut rows);
    let of = |id: &str| {
        let row = rows.iter().find(|row| row.event_id == id).expect("event");
        row.attempt_id.clone()
    };
    assert_eq!(of("e-1"), of("e-2"));
    assert_ne!(of("e-2"), of("e-3"));
    assert_eq!(of("e-3"), of("e-4"));
    let all: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.attempt_id).collect();
    assert_eq!(all.len(), 4);
    // Without a name, two clusters are two attempts; refusals are one.
    let nameless = |id, cluster: Option<&str>| {
        let mut row = at(0, id);
        row.name = None;
        row.cluster_id = cluster.map(str::to_owned);
        row
    };
    let mut others = [
        nameless(7, Some("j-1")),
        nameless(8, Some("j-2")),
        nameless(9, None),
        nameless(10, None),
    ];
    name_attempts(&mut others);
    let all: std::collections::BTreeSet<_> = others.iter().map(|row| &row.attempt_id).collect();
    assert_eq!(all.len(), 3);

    let mut again = rows.clone();
    again.reverse();
    name_attempts(&mut again);
    again.reverse();
    assert_eq!(again, rows, "whatever the order");
}

/// domain/launches.md, "Easily wrong" 5: what brings log keys of its own and is no launch of a cluster is
/// not counted as one. Steps and sessions are read of the clusters themselves; EMR Serverless and EMR on
/// EKS are populations that no run judges.
#[test]
fn easily_wrong_5_what_is_no_launch_of_a_cluster_is_not_counted_as_one() {
    for (source, name) in [
        ("elasticmapreduce.amazonaws.com", "AddJobFlowSteps"),
        ("elasticmapreduce.amazonaws.com", "StartSession"),
        ("emr-serverless.amazonaws.com", "StartJobRun"),
        ("emr-containers.amazonaws.com", "StartJobRun"),
        ("glue.amazonaws.com", "StartJobRun"),
        ("glue.amazonaws.com", "RunJobFlow"),
        ("elasticmapreduce.amazonaws.com", "DescribeCluster"),
        ("kms.amazonaws.com", "Decrypt"),
    ] {
        let mut value = record();
        value["eventSource"] = json!(source);
        value["eventName"] = json!(name);
        assert_eq!(read(&value), Ok(None), "{source} {name}");
    }
}

proptest! {
    /// Whatever a record holds, reading ends in a row, in nothing, or in a named error.
    #[test]
    fn no_record_breaks_the_reader(
        message in any::<String>(), code in any::<String>(), agent in any::<String>(),
        uri in any::<String>(), arn in any::<String>(),
    ) {
        let mut value = denied(&message);
        value["errorCode"] = json!(code);
        value["userAgent"] = json!(agent);
        value["requestParameters"]["logUri"] = json!(uri);
        value["userIdentity"]["arn"] = json!(arn);
        prop_assert!(read(&value).is_ok());
    }

    #[test]
    fn no_message_breaks_the_reader(
        tail in "( with an explicit deny in (a|an|the)? ?(service control|identity-based) policy)?[: ,]*(arn:[a-z:/0-9 .]*)?",
    ) {
        let row = launch(&denied(&format!("is not authorized to perform: a:B{tail}")));
        prop_assert!(row.denied_by_policy.is_none_or(|arn| arn.starts_with("arn:")));
    }
}
