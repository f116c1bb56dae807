//! Reports about objects and jobs, as S3 and S3 Control answer.

use super::{KEY, account, xml_error};
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{
    Cloud as _, DescribedJob, ErrorClass, FilteredBy, InventoryConfiguration, InventoryDestination,
    JobOperation, JobReport, ListedJob, SourceEntry,
};
use crate::model::ids::Region;
use crate::time::UtcMillis;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

#[tokio::test]
async fn an_inventory_says_where_it_goes_and_what_it_lists() {
    let server = Canned::start(|_| {
        Reply::new(
            200,
            "<ListInventoryConfigurationsResult><InventoryConfiguration><Destination>\
             <S3BucketDestination><AccountId>111122223333</AccountId><Bucket>arn:aws:s3:::reports</Bucket>\
             <Format>ORC</Format><Prefix>inv</Prefix></S3BucketDestination></Destination>\
             <IsEnabled>true</IsEnabled><Filter><Prefix>emr/</Prefix></Filter><Id>daily</Id>\
             <IncludedObjectVersions>All</IncludedObjectVersions><OptionalFields><Field>Size</Field>\
             <Field>EncryptionStatus</Field></OptionalFields><Schedule><Frequency>Daily</Frequency></Schedule>\
             </InventoryConfiguration><IsTruncated>false</IsTruncated></ListInventoryConfigurationsResult>",
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let page = member.bucket_inventories(&region(), "logs", None).await;
    let expected = InventoryConfiguration {
        id: "daily".to_owned(),
        is_enabled: true,
        all_versions: true,
        only_below: Some("emr/".to_owned()),
        tells_encryption: true,
        destination: Some(InventoryDestination {
            bucket: "reports".to_owned(),
            prefix: "inv".to_owned(),
        }),
    };
    assert_eq!(page.expect("page").items, [expected]);
}

#[tokio::test]
async fn what_lies_below_a_prefix_is_folders_and_objects() {
    let server = Canned::start(|_| {
        Reply::new(
            200,
            "<ListBucketResult><Contents><Key>inv/x</Key></Contents><CommonPrefixes><Prefix>inv/d/</Prefix>\
             </CommonPrefixes><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
             </ListBucketResult>",
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let page = member
        .source_objects(&region(), "reports", "inv/", None)
        .await;
    let page = page.expect("page");
    let folder = SourceEntry::Folder("inv/d/".to_owned());
    let object = SourceEntry::Object("inv/x".to_owned());
    assert_eq!(page.items, [folder, object]);
    assert_eq!(page.next.as_deref(), Some("t"));
    let asked = &server.requests()[0].path;
    assert!(asked.contains("delimiter=%2F"), "{asked}");
}

#[tokio::test]
async fn objects_come_in_ranges_and_an_end_is_no_error() {
    const BODY: &str = "0123456789";
    let server = Canned::start(|seen| {
        let range = seen.header("range").unwrap_or_default();
        let range = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
        let (from, last) = range.expect("a range");
        let (from, last): (usize, usize) = (from.parse().expect("n"), last.parse().expect("n"));
        if from >= BODY.len() {
            return xml_error(416, "InvalidRange");
        }
        let to = (last + 1).min(BODY.len());
        Reply::new(206, &BODY[from..to]).with(
            "content-range",
            format!("bytes {from}-{}/{}", to - 1, BODY.len()),
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let m = member.as_ref();
    let part = async |from, length| {
        let part = m
            .source_object(&region(), "reports", "k", from, length)
            .await;
        let part = part.expect("a part");
        (String::from_utf8(part.bytes).expect("text"), part.total)
    };
    assert_eq!(part(0, 4).await, ("0123".to_owned(), 10));
    assert_eq!(part(8, 4).await, ("89".to_owned(), 10));
    assert_eq!(part(10, 4).await, (String::new(), 10));
    for request in server.requests() {
        let owner = request.header("x-amz-expected-bucket-owner");
        assert_eq!(owner, Some(account().as_str()));
    }
}

#[tokio::test]
async fn an_answer_with_another_range_is_not_taken() {
    let server =
        Canned::start(|_| Reply::new(206, "01").with("content-range", "bytes 0-9/10")).await;
    let member = server.shell().await.own_session(&account());
    let error = member
        .source_object(&region(), "reports", "k", 0, 10)
        .await
        .expect_err("too short");
    assert_eq!(error.class, ErrorClass::Transport);
}

#[tokio::test]
async fn a_job_is_read_as_far_as_it_is_evidence() {
    let server = Canned::start(|seen| {
        if seen.path.starts_with("/v20180820/jobs?") {
            return Reply::new(
                200,
                "<ListJobsResult><NextToken>t</NextToken><Jobs><member><JobId>j-1</JobId><Description>SECRET\
                 </Description><Operation>S3UpdateObjectEncryption</Operation><Status>Complete</Status>\
                 </member></Jobs></ListJobsResult>",
            );
        }
        Reply::new(
            200,
            format!(
                "<DescribeJobResult><Job><JobId>j-1</JobId><Description>SECRET</Description>\
                 <Status>Complete</Status><Operation><S3UpdateObjectEncryption><ObjectEncryption><SSE-KMS>\
                 <KMSKeyArn>{KEY}</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS>\
                 </ObjectEncryption></S3UpdateObjectEncryption></Operation><Priority>1</Priority>\
                 <ProgressSummary><TotalNumberOfTasks>9</TotalNumberOfTasks><NumberOfTasksSucceeded>7\
                 </NumberOfTasksSucceeded><NumberOfTasksFailed>2</NumberOfTasksFailed></ProgressSummary>\
                 <Report><Bucket>arn:aws:s3:::reports</Bucket><Format>Report_CSV_20180820</Format>\
                 <Enabled>true</Enabled><Prefix>done</Prefix><ReportScope>AllTasks</ReportScope></Report>\
                 <CreationTime>2026-10-05T00:00:00.000Z</CreationTime>\
                 <TerminationDate>2026-10-05T01:00:00.000Z</TerminationDate>\
                 <RoleArn>arn:aws:iam::111122223333:role/SECRET</RoleArn><ManifestGenerator>\
                 <S3JobManifestGenerator><SourceBucket>arn:aws:s3:::logs</SourceBucket><Filter>\
                 <MatchAnyObjectEncryption><ObjectEncryption><SSE-S3/></ObjectEncryption><ObjectEncryption>\
                 <SSE-KMS><KmsKeyArn>{KEY}</KmsKeyArn></SSE-KMS></ObjectEncryption></MatchAnyObjectEncryption>\
                 </Filter><EnableManifestOutput>false</EnableManifestOutput></S3JobManifestGenerator>\
                 </ManifestGenerator></Job></DescribeJobResult>"
            ),
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let page = member.jobs(&region(), None).await.expect("page");
    let listed = ListedJob {
        id: "j-1".to_owned(),
        operation: Some("S3UpdateObjectEncryption".to_owned()),
    };
    assert_eq!(
        (page.items, page.next.as_deref()),
        (vec![listed], Some("t"))
    );
    let job = member.job(&region(), "j-1").await.expect("a job");
    assert!(!format!("{job:?}").contains("SECRET"));
    let start = UtcMillis(1_791_158_400_000);
    let expected = DescribedJob {
        id: "j-1".to_owned(),
        status: Some("Complete".to_owned()),
        created_at: start,
        ended_at: Some(start.plus_ms(3_600_000)),
        operation: JobOperation::UpdateEncryption {
            key: KEY.to_owned(),
        },
        bucket: Some("logs".to_owned()),
        filtered_by: vec![FilteredBy::SseS3, FilteredBy::Kms(Some(KEY.to_owned()))],
        report: Some(JobReport {
            bucket: "reports".to_owned(),
            prefix: "done".to_owned(),
            of_all_tasks: true,
        }),
        total: Some(9),
        succeeded: Some(7),
        failed: Some(2),
    };
    assert_eq!(job, expected);
    for request in server.requests() {
        assert_eq!(request.header("x-amz-account-id"), Some(account().as_str()));
        assert!(
            request.path.starts_with("/v20180820/jobs"),
            "{}",
            request.path
        );
        let signed = request.header("authorization").unwrap_or_default();
        assert!(signed.contains("/eu-west-1/s3/aws4_request"), "{signed}");
    }
}

#[tokio::test]
async fn refusals_of_s3_control_keep_their_code() {
    let server = Canned::start(|_| {
        Reply::new(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>\
             <RequestId>r</RequestId></ErrorResponse>",
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let error = member.jobs(&region(), None).await.expect_err("denied");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::DeniedIam, "AccessDenied")
    );
}
