//! Reads of bucket settings, as S3 answers them.

use super::{account, xml_error};
use crate::aws::canned::{Canned, Reply, Seen};
use crate::collect::api::{BucketLifecycle, BucketReplication, Cloud as _, ErrorClass};
use crate::model::ids::Region;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

fn subresource(seen: &Seen) -> String {
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    let name = query.split(['&', '=']).next().unwrap_or_default();
    name.to_owned()
}

#[tokio::test]
async fn settings_are_read_from_s3s_documents() {
    let server = Canned::start(|seen| {
        Reply::new(
            200,
            match subresource(seen).as_str() {
                "policy" => r#"{"Version":"2012-10-17","Statement":[]}"#,
                "ownershipControls" => {
                    "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
                }
                "object-lock" => {
                    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
                }
                "publicAccessBlock" => {
                    "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
                }
                "lifecycle" => {
                    "<LifecycleConfiguration>\
                     <Rule><ID>a</ID><Filter><Prefix/></Filter><Status>Enabled</Status><Expiration><Days>90</Days></Expiration></Rule>\
                     <Rule><ID>b</ID><Filter><Prefix/></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>\
                     <Rule><ID>c</ID><Filter><Prefix/></Filter><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>\
                     </LifecycleConfiguration>"
                }
                "replication" => {
                    "<ReplicationConfiguration><Role>r</Role>\
                     <Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::z</Bucket></Destination></Rule>\
                     <Rule><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::a</Bucket></Destination></Rule>\
                     <Rule><Status>Disabled</Status><Destination><Bucket>arn:aws:s3:::off</Bucket></Destination></Rule>\
                     </ReplicationConfiguration>"
                }
                "inventory" => {
                    "<ListInventoryConfigurationsResult><InventoryConfiguration><Destination><S3BucketDestination><Bucket>b</Bucket><Format>CSV</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>1</Id><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken></ListInventoryConfigurationsResult>"
                }
                "metadataConfiguration" => {
                    "<GetBucketMetadataConfigurationResult><MetadataConfigurationResult><DestinationResult><TableBucketType>aws</TableBucketType></DestinationResult></MetadataConfigurationResult></GetBucketMetadataConfigurationResult>"
                }
                other => panic!("asked for {other}"),
            },
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let (m, r) = (member.as_ref(), &region());
    let policy = m.bucket_policy(r, "b").await.expect("policy");
    assert!(policy.is_some_and(|p| p.contains("2012-10-17")));
    let ownership = m.bucket_ownership(r, "b").await;
    assert_eq!(ownership, Ok(Some("ObjectWriter".to_owned())));
    assert_eq!(m.bucket_object_lock(r, "b").await, Ok(true));
    assert_eq!(
        m.bucket_public_access_blocked(r, "b").await,
        Ok(false),
        "one of the four is off"
    );
    let lifecycle = BucketLifecycle {
        rules: 2,
        expires_after_days: Some(30),
    };
    assert_eq!(m.bucket_lifecycle(r, "b").await, Ok(lifecycle));
    let replication = BucketReplication {
        rules: 2,
        destinations: vec!["arn:aws:s3:::a".to_owned(), "arn:aws:s3:::z".to_owned()],
    };
    assert_eq!(m.bucket_replication(r, "b").await, Ok(replication));
    let page = m.bucket_inventories(r, "b", None).await.expect("page");
    assert_eq!(page.next.as_deref(), Some("more"));
    assert!(page.items.len() == 1 && page.items[0].is_enabled);
    assert_eq!(m.bucket_metadata_table(r, "b").await, Ok(Some(true)));
    let seen = server.requests();
    assert_eq!(seen.len(), 8, "one attempt each");
    for request in seen {
        assert_eq!(
            request.header("x-amz-expected-bucket-owner"),
            Some(account().as_str()),
            "{}",
            request.path
        );
    }
}

#[tokio::test]
async fn what_is_not_configured_is_a_value_and_no_error() {
    let server = Canned::start(|seen| {
        xml_error(
            404,
            match subresource(seen).as_str() {
                "policy" => "NoSuchBucketPolicy",
                "ownershipControls" => "OwnershipControlsNotFoundError",
                "object-lock" => "ObjectLockConfigurationNotFoundError",
                "publicAccessBlock" => "NoSuchPublicAccessBlockConfiguration",
                "lifecycle" => "NoSuchLifecycleConfiguration",
                "replication" => "ReplicationConfigurationNotFoundError",
                "inventory" => "NoSuchConfiguration",
                _ => "MetadataConfigurationNotFound",
            },
        )
    })
    .await;
    let member = server.shell().await.own_session(&account());
    let (m, r) = (member.as_ref(), &region());
    assert_eq!(m.bucket_policy(r, "b").await, Ok(None));
    assert_eq!(m.bucket_ownership(r, "b").await, Ok(None));
    assert_eq!(m.bucket_object_lock(r, "b").await, Ok(false));
    assert_eq!(m.bucket_public_access_blocked(r, "b").await, Ok(false));
    let lifecycle = m.bucket_lifecycle(r, "b").await;
    assert_eq!(lifecycle, Ok(BucketLifecycle::default()));
    let replication = m.bucket_replication(r, "b").await;
    assert_eq!(replication, Ok(BucketReplication::default()));
    let inventories = m.bucket_inventories(r, "b", None).await.expect("none");
    assert!(inventories.items.is_empty() && inventories.next.is_none());
    assert_eq!(m.bucket_metadata_table(r, "b").await, Ok(Some(false)));
}

#[tokio::test]
async fn a_refusal_or_a_bucket_that_is_gone_is_never_not_configured() {
    for (status, code, class) in [
        (403, "AccessDenied", ErrorClass::DeniedIam),
        (404, "NoSuchBucket", ErrorClass::NotFound),
    ] {
        let server = Canned::start(move |_| xml_error(status, code)).await;
        let member = server.shell().await.own_session(&account());
        let (m, r) = (member.as_ref(), &region());
        for error in [
            m.bucket_policy(r, "b").await.err(),
            m.bucket_ownership(r, "b").await.err(),
            m.bucket_object_lock(r, "b").await.err(),
            m.bucket_public_access_blocked(r, "b").await.err(),
            m.bucket_lifecycle(r, "b").await.err(),
            m.bucket_replication(r, "b").await.err(),
            m.bucket_inventories(r, "b", None).await.err(),
            m.bucket_metadata_table(r, "b").await.err(),
        ] {
            let error = error.expect("an error");
            assert_eq!((error.class, error.code.as_str()), (class, code), "{error}");
        }
    }
    let old = Canned::start(|_| xml_error(405, "MethodNotAllowed")).await;
    let member = old.shell().await.own_session(&account());
    let table = member.bucket_metadata_table(&region(), "b").await;
    assert_eq!(table, Ok(None), "no such feature there");
}
