//! S3 Control: Batch Operations jobs. Descriptions, tags and roles of jobs are not taken over.

use aws_config::SdkConfig;
use aws_sdk_s3control::Client;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::types;

use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::aws::reports::bucket_of;
use crate::aws::session::sdk_region;
use crate::collect::api::{
    ApiError, DescribedJob, FilteredBy, JobOperation, JobReport, ListedJob, Page,
};
use crate::model::ids::Region;

/// Jobs a page: the most that S3 gives.
const PER_PAGE: i32 = 1_000;

/// A client for one Region. AWS has a host name per account there; where an endpoint is configured, it is
/// used as it stands, since it rarely resolves such names. The account is also in a header.
pub(super) fn client(config: &SdkConfig, region: &Region) -> Client {
    let mut builder = aws_sdk_s3control::config::Builder::from(config).region(sdk_region(region));
    if let Some(url) = config.endpoint_url() {
        builder = builder.endpoint_resolver(AsItStands {
            url: url.to_owned(),
        });
    }
    Client::from_conf(builder.build())
}

#[derive(Debug)]
struct AsItStands {
    url: String,
}

impl ResolveEndpoint for AsItStands {
    fn resolve_endpoint<'a>(&'a self, _params: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.url.clone()).build()))
    }
}

/// One page of ListJobs.
pub(super) async fn jobs(
    client: &Client,
    asked: Asked<'_>,
    token: Option<String>,
) -> Result<Page<ListedJob>, ApiError> {
    let answer = client
        .list_jobs()
        .account_id(asked.account)
        .max_results(PER_PAGE)
        .set_next_token(token)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    let items = answer.jobs.unwrap_or_default().into_iter().map(|job| {
        let id = text(job.job_id).ok_or_else(|| asked.unreadable("a job without an id"))?;
        let operation = job.operation.map(|operation| operation.as_str().to_owned());
        Ok(ListedJob { id, operation })
    });
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        next: next(answer.next_token),
    })
}

/// DescribeJob.
pub(super) async fn job(
    client: &Client,
    asked: Asked<'_>,
    id: &str,
) -> Result<DescribedJob, ApiError> {
    let answer = client
        .describe_job()
        .account_id(asked.account)
        .job_id(id)
        .send()
        .await
        .map_err(|e| asked.failed(e))?;
    let job = answer
        .job
        .ok_or_else(|| asked.unreadable("no job in the answer"))?;
    let created_at = millis(asked, job.creation_time)?;
    let created_at =
        created_at.ok_or_else(|| asked.unreadable("a job without a time of creation"))?;
    let generator = match job.manifest_generator {
        Some(types::JobManifestGenerator::S3JobManifestGenerator(generator)) => Some(generator),
        _ => None,
    };
    let source = generator.as_ref().map(|g| g.source_bucket.as_str());
    let of_manifest = job.manifest.as_ref().and_then(inventoried);
    let progress = job.progress_summary;
    let filter = generator.as_ref().and_then(|g| g.filter.as_ref());
    let filter = filter.and_then(|f| f.match_any_object_encryption.as_deref());
    Ok(DescribedJob {
        id: id.to_owned(),
        status: job.status.map(|status| status.as_str().to_owned()),
        created_at,
        ended_at: millis(asked, job.termination_date)?,
        operation: job.operation.map_or(JobOperation::Other, operation),
        bucket: source
            .map(|arn| bucket_of(arn).unwrap_or(arn).to_owned())
            .or(of_manifest),
        filtered_by: filter.unwrap_or_default().iter().map(filtered).collect(),
        report: job
            .report
            .filter(|report| report.enabled)
            .and_then(|report| {
                Some(JobReport {
                    bucket: bucket_of(report.bucket.as_deref()?)?.to_owned(),
                    prefix: report.prefix.unwrap_or_default(),
                    of_all_tasks: report.report_scope == Some(types::JobReportScope::AllTasks),
                })
            }),
        total: progress.as_ref().and_then(|p| p.total_number_of_tasks),
        succeeded: progress.as_ref().and_then(|p| p.number_of_tasks_succeeded),
        failed: progress.as_ref().and_then(|p| p.number_of_tasks_failed),
    })
}

/// The bucket of an inventory report that serves as a job's manifest: its name stands in the report's
/// place, `…/<bucket>/<configuration>/<time>/manifest.json`.
fn inventoried(manifest: &types::JobManifest) -> Option<String> {
    let spec = manifest.spec.as_ref()?;
    if spec.format != types::JobManifestFormat::S3InventoryReportCsv20161130 {
        return None;
    }
    let arn = &manifest.location.as_ref()?.object_arn;
    arn.rsplit('/').nth(3).map(str::to_owned)
}

fn operation(given: types::JobOperation) -> JobOperation {
    if let Some(update) = given.s3_update_object_encryption {
        let kms = update
            .object_encryption
            .and_then(|encryption| encryption.ssekms);
        return match kms {
            Some(kms) => JobOperation::UpdateEncryption {
                key: kms.kms_key_arn,
            },
            None => JobOperation::Other,
        };
    }
    match given.s3_put_object_copy {
        Some(copy) => JobOperation::Copy {
            key: text(copy.sse_aws_kms_key_id),
            target_bucket: copy
                .target_resource
                .as_deref()
                .and_then(bucket_of)
                .map(str::to_owned),
        },
        None => JobOperation::Other,
    }
}

fn filtered(given: &types::ObjectEncryptionFilter) -> FilteredBy {
    match given {
        types::ObjectEncryptionFilter::Sses3(_) => FilteredBy::SseS3,
        types::ObjectEncryptionFilter::Ssec(_) => FilteredBy::SseC,
        types::ObjectEncryptionFilter::Notsse(_) => FilteredBy::Plain,
        types::ObjectEncryptionFilter::Ssekms(kms) => {
            FilteredBy::Kms(text(kms.kms_key_arn.clone()))
        }
        types::ObjectEncryptionFilter::Dssekms(kms) => {
            FilteredBy::Kms(text(kms.kms_key_arn.clone()))
        }
        _ => FilteredBy::Other,
    }
}
