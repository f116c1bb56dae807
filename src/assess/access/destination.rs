//! May a cluster put its logs into the bucket of another account?

use std::sync::Arc;

use super::facts::{Identities, document};
use super::setting::organization;
use super::writer::{Caller, Ruling, ask, ruling, with};
use crate::assess::inputs::ScopeFacts;
use crate::model::datasets::LogBucket;
use crate::model::ids::AccountId;
use crate::model::words::Lookup;
use crate::policy::{Context, Document, Layers, Outcome, Policy, Resource, ResourceKind};

/// What a bucket's policy and an account's identities say of uploads to the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::assess) struct Destination {
    pub owner: AccountId,
    pub writer: Caller,
    /// `s3:PutObject`; only for a known role.
    pub put: Option<Ruling>,
    /// Why a refusal is none for sure: the bucket's access control list, which nobody read, may let
    /// other accounts write as long as it counts
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>).
    pub may_allow_by_acl: bool,
    pub is_policy_read: bool,
    /// IAM action that was refused when the identities of the cluster's account were to be read.
    pub identities_denied: Option<String>,
    /// Whether policies speak of single clusters, so that this holds for one alone.
    pub of_one_cluster: bool,
}

/// The layers and the resource of requests for objects of a bucket.
pub(super) fn bucket_side(
    row: &LogBucket,
    owner: &AccountId,
    object_arn: &str,
) -> (Resource, Layers) {
    let policy = match (row.policy_lookup, &row.policy_json) {
        (Lookup::Found, Some(text)) => document(text, "bucket policy"),
        (Lookup::NotFound, _) => Document::Read(Arc::new(Policy::default())),
        _ => Document::Unread(format!("s3:GetBucketPolicy on {}", row.bucket)),
    };
    let resource = Resource {
        arn: object_arn.to_owned(),
        account: owner.to_string(),
        kind: ResourceKind::Other,
    };
    let layers = Layers {
        resource_policy: policy,
        grants: Some(Arc::default()),
        ..Layers::default()
    };
    (resource, layers)
}

impl Destination {
    /// Asks for a cluster of the account of `identities`. `key_arn` is the key that the upload
    /// names, where it names it by its ARN.
    pub fn ask(
        row: &LogBucket,
        owner: &AccountId,
        identities: &Identities,
        profile: Option<&str>,
        object_arn: &str,
        key_arn: Option<&str>,
        scope: &ScopeFacts,
    ) -> Self {
        let (writer, role) = Caller::find(profile, identities, Identities::of_profile);
        let (resource, layers) = bucket_side(row, owner, object_arn);
        let is_policy_read = matches!(layers.resource_policy, Document::Read(_));
        let put = role.map(|role| {
            let action = "s3:PutObject";
            let mut context = organization(Context::open(), &role.caller, owner.as_str(), scope)
                // EMR reaches S3 over TLS; that it names the key, one operator confirmed
                // (https://github.com/hashicorp/terraform-provider-aws/issues/17062).
                .with("aws:SecureTransport", "true")
                .with("s3:x-amz-server-side-encryption", "aws:kms");
            if let Some(arn) = key_arn {
                context.set("s3:x-amz-server-side-encryption-aws-kms-key-id", arn);
            }
            if let Some(region) = &row.region {
                context.set("aws:RequestedRegion", region.as_str());
            }
            let context = context.deriving(&role.caller, action, owner.as_str());
            ruling(ask(role, action, &resource, &with(&layers, role), &context))
        });
        let refused = put.as_ref().is_some_and(|r| {
            r.outcome == Outcome::Denied && r.reason == "not_allowed_by_resource_policy"
        });
        Self {
            owner: owner.clone(),
            may_allow_by_acl: refused && row.ownership.as_deref() != Some("BucketOwnerEnforced"),
            is_policy_read,
            identities_denied: identities.denied_action.clone(),
            of_one_cluster: false,
            writer,
            put,
        }
    }
}
