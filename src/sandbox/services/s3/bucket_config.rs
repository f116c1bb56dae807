//! What a bucket says of itself: ListBuckets, HeadBucket and the reads of its configuration.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::bucket_rules;
use super::xml::Xml;
use super::{invalid_argument, not_implemented, owner_id};
use crate::sandbox::wire::{AwsError, Request, Response, iso_millis};
use crate::sandbox::world::Bucket;

/// Query parameters of a GET on a bucket and the operation that each means.
pub(super) const SUBRESOURCES: &[(&str, &str)] = &[
    ("location", "GetBucketLocation"),
    ("encryption", "GetBucketEncryption"),
    ("versioning", "GetBucketVersioning"),
    ("policy", "GetBucketPolicy"),
    ("publicAccessBlock", "GetPublicAccessBlock"),
    ("ownershipControls", "GetBucketOwnershipControls"),
    ("object-lock", "GetObjectLockConfiguration"),
    ("lifecycle", "GetBucketLifecycleConfiguration"),
    ("replication", "GetBucketReplication"),
    ("acl", "GetBucketAcl"),
    ("tagging", "GetBucketTagging"),
    ("logging", "GetBucketLogging"),
    ("inventory", "ListBucketInventoryConfigurations"),
    ("metadataConfiguration", "GetBucketMetadataConfiguration"),
    ("policyStatus", "GetBucketPolicyStatus"),
    ("uploads", "ListMultipartUploads"),
];

/// Answers a configuration read of a bucket that the caller may see.
pub(super) fn read(bucket: &Bucket, operation: &str) -> Result<Response, AwsError> {
    match operation {
        "HeadBucket" => Ok(Response::empty(200)
            .header("x-amz-bucket-region", &*bucket.region)
            .header("x-amz-bucket-arn", format!("arn:aws:s3:::{}", bucket.name))
            .header("content-type", "application/xml")),
        "GetBucketLocation" => Ok(location(bucket)),
        "GetBucketEncryption" => encryption(bucket),
        "GetBucketVersioning" => {
            let mut xml = Xml::document("VersioningConfiguration");
            if bucket.versioning {
                xml.text("Status", "Enabled");
            }
            Ok(xml.respond())
        }
        "GetBucketPolicy" => match &bucket.policy {
            Some(policy) => Ok(Response::with_body(
                200,
                "application/json",
                policy.as_bytes(),
            )),
            None => Err(missing(
                "NoSuchBucketPolicy",
                "The bucket policy does not exist",
            )),
        },
        "GetPublicAccessBlock" => public_access_block(bucket),
        "GetBucketOwnershipControls" => {
            let mut xml = Xml::document("OwnershipControls");
            xml.nested("Rule", |xml| {
                xml.text("ObjectOwnership", &bucket.ownership);
            });
            Ok(xml.respond())
        }
        "GetObjectLockConfiguration" => object_lock(bucket),
        "GetBucketLifecycleConfiguration" => bucket_rules::lifecycle(bucket),
        "GetBucketReplication" => bucket_rules::replication(bucket),
        "ListBucketInventoryConfigurations" => Ok(bucket_rules::inventories(bucket)),
        "GetBucketMetadataConfiguration" => bucket_rules::metadata(bucket),
        other => Err(not_implemented(other)),
    }
}

pub(super) fn missing(code: &str, message: &str) -> AwsError {
    AwsError::new(404, code, message)
}

/// us-east-1 is the empty constraint: it is older than the notion of a location.
fn location(bucket: &Bucket) -> Response {
    let region = if bucket.region == "us-east-1" {
        ""
    } else {
        &bucket.region
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{region}</LocationConstraint>"
    );
    Response::with_body(200, "application/xml", body)
}

fn encryption(bucket: &Bucket) -> Result<Response, AwsError> {
    let Some(default) = &bucket.default_encryption else {
        return Err(missing(
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
        ));
    };
    let mut xml = Xml::document("ServerSideEncryptionConfiguration");
    xml.nested("Rule", |xml| {
        xml.nested("ApplyServerSideEncryptionByDefault", |xml| {
            xml.text("SSEAlgorithm", &default.algorithm);
            if let Some(key) = &default.key {
                xml.text("KMSMasterKeyID", key);
            }
        });
        xml.text(
            "BucketKeyEnabled",
            if default.bucket_key { "true" } else { "false" },
        );
    });
    Ok(xml.respond())
}

fn public_access_block(bucket: &Bucket) -> Result<Response, AwsError> {
    if !bucket.public_access_block {
        return Err(missing(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ));
    }
    let mut xml = Xml::document("PublicAccessBlockConfiguration");
    for name in [
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    ] {
        xml.text(name, "true");
    }
    Ok(xml.respond())
}

fn object_lock(bucket: &Bucket) -> Result<Response, AwsError> {
    if !bucket.object_lock {
        return Err(missing(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ));
    }
    let mut xml = Xml::document("ObjectLockConfiguration");
    xml.text("ObjectLockEnabled", "Enabled");
    if let Some((mode, days)) = &bucket.default_retention {
        xml.nested("Rule", |xml| {
            xml.nested("DefaultRetention", |xml| {
                xml.text("Mode", mode).text("Days", &days.to_string());
            });
        });
    }
    Ok(xml.respond())
}

/// The caller's buckets, sorted by name. `BucketRegion` is told only to requests that use one of
/// the newer parameters (S3 API, ListBuckets).
pub(super) fn list_buckets(buckets: &[&Bucket], request: &Request) -> Result<Response, AwsError> {
    let given = |name| request.query_value(name).filter(|value| !value.is_empty());
    let max_buckets = match given("max-buckets") {
        None => 10_000,
        Some(text) => match text.parse::<usize>() {
            Ok(number @ 1..=10_000) => number,
            _ => return Err(invalid_argument("max-buckets must be between 1 and 10000")),
        },
    };
    let after =
        match given("continuation-token") {
            None => None,
            Some(token) => {
                let name = STANDARD
                    .decode(token)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                Some(name.ok_or_else(|| {
                    invalid_argument("The continuation token provided is incorrect")
                })?)
            }
        };
    let (prefix, region) = (given("prefix"), given("bucket-region"));
    let with_region =
        given("max-buckets").is_some() || after.is_some() || prefix.is_some() || region.is_some();
    let mut matching = buckets.iter().filter(|bucket| {
        after
            .as_deref()
            .is_none_or(|after| bucket.name.as_str() > after)
            && prefix.is_none_or(|prefix| bucket.name.starts_with(prefix))
            && region.is_none_or(|region| bucket.region == region)
    });
    let page: Vec<_> = matching.by_ref().take(max_buckets).collect();
    let has_more = matching.next().is_some();

    let mut xml = Xml::document("ListAllMyBucketsResult");
    xml.nested("Owner", |xml| {
        xml.text("ID", &owner_id(&request.caller.account));
    });
    xml.nested("Buckets", |xml| {
        for bucket in &page {
            xml.nested("Bucket", |xml| {
                xml.text("Name", &bucket.name)
                    .text("CreationDate", &iso_millis(bucket.created_ms));
                if with_region {
                    xml.text("BucketRegion", &bucket.region);
                }
            });
        }
    });
    if let Some(prefix) = prefix {
        xml.text("Prefix", prefix);
    }
    if let Some(last) = page.last().filter(|_| has_more) {
        xml.text("ContinuationToken", &STANDARD.encode(&last.name));
    }
    Ok(xml.respond())
}
