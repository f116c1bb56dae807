//! Lifecycle, replication, inventories and metadata tables of a bucket.

use super::bucket_config::missing;
use super::reports::INVENTORY;
use super::xml::Xml;
use crate::sandbox::wire::{AwsError, Response};
use crate::sandbox::world::Bucket;
use crate::sandbox::world::buckets::BucketKind;

/// GetBucketLifecycleConfiguration.
pub(super) fn lifecycle(bucket: &Bucket) -> Result<Response, AwsError> {
    let Some(days) = bucket.settings.expires_after_days else {
        return Err(missing(
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        ));
    };
    let mut xml = Xml::document("LifecycleConfiguration");
    for (number, status, days) in [(1, "Enabled", days), (2, "Disabled", 1)] {
        xml.nested("Rule", |xml| {
            xml.text("ID", &bucket.settings.rule_name(number))
                .nested("Filter", |xml| {
                    xml.text("Prefix", "");
                })
                .text("Status", status)
                .nested("Expiration", |xml| {
                    xml.text("Days", &days.to_string());
                });
        });
    }
    Ok(xml.respond())
}

/// GetBucketReplication.
pub(super) fn replication(bucket: &Bucket) -> Result<Response, AwsError> {
    let Some(destination) = &bucket.settings.replicates_to else {
        return Err(missing(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ));
    };
    let mut xml = Xml::document("ReplicationConfiguration");
    let role = format!("arn:aws:iam::{}:role/replication", bucket.account_id);
    xml.text("Role", &role).nested("Rule", |xml| {
        xml.text("ID", &bucket.settings.rule_name(1))
            .text("Priority", "1")
            .nested("Filter", |xml| {
                xml.text("Prefix", "");
            })
            .text("Status", "Enabled")
            .nested("DeleteMarkerReplication", |xml| {
                xml.text("Status", "Disabled");
            })
            .nested("Destination", |xml| {
                xml.text("Bucket", destination);
            });
    });
    Ok(xml.respond())
}

/// ListBucketInventoryConfigurations; all of them on one page, of which S3 puts 100.
pub(super) fn inventories(bucket: &Bucket) -> Response {
    let mut xml = Xml::document("ListInventoryConfigurationsResult");
    for (number, is_on) in bucket.settings.inventories.iter().enumerate() {
        xml.nested("InventoryConfiguration", |xml| {
            xml.nested("Destination", |xml| {
                xml.nested("S3BucketDestination", |xml| {
                    let format = match bucket.kind {
                        BucketKind::CentralLogs => "Parquet",
                        _ => "CSV",
                    };
                    xml.text("Format", format)
                        .text("Bucket", &format!("arn:aws:s3:::{}-reports", bucket.name))
                        .text("Prefix", INVENTORY);
                });
            })
            .text("IsEnabled", if *is_on { "true" } else { "false" })
            .text("Id", &bucket.settings.rule_name(number))
            .text("IncludedObjectVersions", "All")
            .nested("OptionalFields", |xml| {
                xml.text("Field", "Size").text("Field", "EncryptionStatus");
            })
            .nested("Schedule", |xml| {
                xml.text("Frequency", "Daily");
            });
        });
    }
    xml.text("IsTruncated", "false");
    xml.respond()
}

/// GetBucketMetadataConfiguration.
pub(super) fn metadata(bucket: &Bucket) -> Result<Response, AwsError> {
    if !bucket.settings.metadata_table {
        return Err(missing(
            "MetadataConfigurationNotFound",
            "The metadata configuration was not found",
        ));
    }
    let arn = format!(
        "arn:aws:s3tables:{}:{}:bucket/aws-s3",
        bucket.region, bucket.account_id
    );
    let mut xml = Xml::document("GetBucketMetadataConfigurationResult");
    xml.nested("MetadataConfigurationResult", |xml| {
        xml.nested("DestinationResult", |xml| {
            xml.text("TableBucketType", "aws")
                .text("TableBucketArn", &arn)
                .text("TableNamespace", &format!("b_{}", bucket.name));
        })
        .nested("JournalTableConfigurationResult", |xml| {
            xml.text("TableStatus", "ACTIVE")
                .text("TableName", "journal")
                .nested("RecordExpiration", |xml| {
                    xml.text("Expiration", "DISABLED");
                });
        });
    });
    Ok(xml.respond())
}
