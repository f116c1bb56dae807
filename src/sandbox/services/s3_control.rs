//! S3 Control (REST-XML): ListJobs and DescribeJob of S3 Batch Operations.
//!
//! Requests are signed as S3's and told apart by their path; the account stands in a header, and on AWS
//! also in the host name.

use super::gate;
use super::s3::JOB_REPORTS;
use crate::sandbox::World;
use crate::sandbox::wire::encoding::xml_escape;
use crate::sandbox::wire::{AwsError, Request, Response, iso_millis};
use crate::sandbox::world::history::BatchJob;
use crate::sandbox::world::organization::LIST_JOBS;

/// Path of every operation.
pub const PATH: &str = "/v20180820/";

/// Name of the operation, from method and path.
pub fn operation_name(method: &str, path: &str) -> Option<&'static str> {
    match (method, path.strip_prefix(PATH)?) {
        ("GET", "jobs") => Some("ListJobs"),
        ("GET", rest) if rest.starts_with("jobs/") => Some("DescribeJob"),
        _ => None,
    }
}

/// Answers one request.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let action = match request.operation.as_str() {
        "ListJobs" => LIST_JOBS,
        _ => "s3:DescribeJob",
    };
    let account = world.account(&request.caller.account);
    let lacks = account.is_some_and(|account| gate::lacks(account, &request.caller, action));
    if lacks || request.header("x-amz-account-id") != Some(request.caller.account.as_str()) {
        return Err(AwsError::new(403, "AccessDenied", "Access Denied"));
    }
    let jobs = world.batch_jobs(&request.caller.account, &request.region, now_ms);
    match request.operation.as_str() {
        "ListJobs" => list(&jobs, now_ms, request),
        _ => {
            let id = request.path.rsplit('/').next().unwrap_or_default();
            let found = jobs.iter().find(|job| job.id == id);
            let found = found.ok_or_else(|| {
                AwsError::new(404, "NoSuchJob", "The specified job does not exist")
            })?;
            Ok(describe(found, now_ms))
        }
    }
}

fn list(jobs: &[BatchJob], now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let invalid = |what: &str| AwsError::new(400, "InvalidRequest", what);
    let size = match request.query_value("maxResults") {
        None | Some("") => 1_000,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|size| (1..=1_000).contains(size))
            .ok_or_else(|| invalid("maxResults must be between 1 and 1000"))?,
    };
    let from = match request.query_value("nextToken") {
        None | Some("") => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|at| at.parse::<usize>().ok())
            .ok_or_else(|| invalid("nextToken is not valid"))?,
    };
    let mut body = String::from("<Jobs>");
    for job in jobs.iter().skip(from).take(size) {
        body.push_str("<member>");
        text(&mut body, "JobId", &job.id);
        text(&mut body, "Operation", operation(job));
        text(&mut body, "Priority", "10");
        text(&mut body, "Status", status(job, now_ms));
        text(&mut body, "CreationTime", &iso_millis(job.created_ms));
        ended(&mut body, job, now_ms);
        progress(&mut body, job, now_ms);
        body.push_str("</member>");
    }
    body.push_str("</Jobs>");
    if from + size < jobs.len() {
        text(&mut body, "NextToken", &format!("from-{}", from + size));
    }
    Ok(document("ListJobsResult", &body))
}

fn describe(job: &BatchJob, now_ms: i64) -> Response {
    let mut body = String::from("<Job>");
    text(&mut body, "JobId", &job.id);
    text(&mut body, "ConfirmationRequired", "false");
    text(&mut body, "Status", status(job, now_ms));
    body.push_str("<Operation>");
    if job.is_copy {
        body.push_str("<S3PutObjectCopy>");
        text(
            &mut body,
            "TargetResource",
            &format!("arn:aws:s3:::{}", job.bucket),
        );
        text(&mut body, "SSEAwsKmsKeyId", &job.key);
        text(&mut body, "RequesterPays", "false");
        text(&mut body, "BucketKeyEnabled", "true");
        body.push_str("</S3PutObjectCopy>");
    } else {
        body.push_str("<S3UpdateObjectEncryption><ObjectEncryption><SSE-KMS>");
        text(&mut body, "KMSKeyArn", &job.key);
        text(&mut body, "BucketKeyEnabled", "true");
        body.push_str("</SSE-KMS></ObjectEncryption></S3UpdateObjectEncryption>");
    }
    body.push_str("</Operation>");
    text(&mut body, "Priority", "10");
    progress(&mut body, job, now_ms);
    body.push_str("<Report>");
    if let Some(all) = job.reports_all {
        text(
            &mut body,
            "Bucket",
            &format!("arn:aws:s3:::{}-reports", job.bucket),
        );
        text(&mut body, "Format", "Report_CSV_20180820");
        text(&mut body, "Enabled", "true");
        text(&mut body, "Prefix", JOB_REPORTS);
        text(
            &mut body,
            "ReportScope",
            if all { "AllTasks" } else { "FailedTasksOnly" },
        );
    } else {
        text(&mut body, "Enabled", "false");
    }
    body.push_str("</Report>");
    text(&mut body, "CreationTime", &iso_millis(job.created_ms));
    ended(&mut body, job, now_ms);
    body.push_str("<ManifestGenerator><S3JobManifestGenerator>");
    text(
        &mut body,
        "SourceBucket",
        &format!("arn:aws:s3:::{}", job.bucket),
    );
    text(&mut body, "EnableManifestOutput", "false");
    body.push_str("</S3JobManifestGenerator></ManifestGenerator></Job>");
    document("DescribeJobResult", &body)
}

fn operation(job: &BatchJob) -> &'static str {
    if job.is_copy {
        "S3PutObjectCopy"
    } else {
        "S3UpdateObjectEncryption"
    }
}

fn status(job: &BatchJob, now_ms: i64) -> &'static str {
    if job.ended_ms <= now_ms {
        "Complete"
    } else {
        "Active"
    }
}

fn ended(body: &mut String, job: &BatchJob, now_ms: i64) {
    if job.ended_ms <= now_ms {
        text(body, "TerminationDate", &iso_millis(job.ended_ms));
    }
}

/// A job at work is half through.
fn progress(body: &mut String, job: &BatchJob, now_ms: i64) {
    let total = job.tasks.len();
    let failed = job.tasks.iter().filter(|task| task.error.is_some()).count();
    let (succeeded, failed) = if job.ended_ms <= now_ms {
        (total - failed, failed)
    } else {
        (total / 2, 0)
    };
    body.push_str("<ProgressSummary>");
    text(body, "TotalNumberOfTasks", &total.to_string());
    text(body, "NumberOfTasksSucceeded", &succeeded.to_string());
    text(body, "NumberOfTasksFailed", &failed.to_string());
    body.push_str("</ProgressSummary>");
}

fn text(body: &mut String, name: &str, value: &str) {
    body.push_str(&format!("<{name}>{}</{name}>", xml_escape(value)));
}

fn document(root: &str, body: &str) -> Response {
    let whole = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">{body}</{root}>"
    );
    Response::with_body(200, "application/xml", whole)
}
