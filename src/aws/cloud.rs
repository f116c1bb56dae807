//! AWS as the collector itself sees it: `collect::api::Cloud`.

use async_trait::async_trait;

use crate::aws::error::Asked;
use crate::aws::member::AwsMember;
use crate::aws::session::{AwsShell, global_region, sdk_region};
use crate::aws::{organizations, sts};
use crate::collect::api::{
    ApiError, AssumeRole, CallerIdentity, Cloud, ListedAccount, Member, Organization,
    OrganizationalUnit, Page, Tag,
};
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};

/// The account of a caller that has not introduced itself.
const NOT_KNOWN_YET: &str = "-";

impl AwsShell {
    /// Regional, as tokens of the global endpoint fail in opt-in Regions
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html>).
    fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.base)
    }

    /// Organizations has one endpoint per partition and signs for its Region.
    fn organizations(&self) -> aws_sdk_organizations::Client {
        let config = aws_sdk_organizations::config::Builder::from(&self.base)
            .region(sdk_region(&global_region(&self.region)));
        aws_sdk_organizations::Client::from_conf(config.build())
    }
}

fn asked_globally(operation: Operation) -> Asked<'static> {
    Asked {
        operation,
        account: NOT_KNOWN_YET,
        region: "global",
    }
}

fn asked_here(operation: Operation, region: &Region) -> Asked<'_> {
    Asked {
        operation,
        account: NOT_KNOWN_YET,
        region: region.as_str(),
    }
}

#[async_trait]
impl Cloud for AwsShell {
    async fn caller_identity(&self) -> Result<CallerIdentity, ApiError> {
        let asked = asked_here(Operation::GetCallerIdentity, &self.region);
        let answer = self
            .sts()
            .get_caller_identity()
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        sts::identity(asked, answer.account.as_deref(), answer.arn.as_deref())
    }

    async fn organization(&self) -> Result<Organization, ApiError> {
        let asked = asked_globally(Operation::DescribeOrganization);
        let answer = self
            .organizations()
            .describe_organization()
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        organizations::organization(asked, answer.organization)
    }

    async fn accounts(&self, next: Option<String>) -> Result<Page<ListedAccount>, ApiError> {
        let asked = asked_globally(Operation::ListAccounts);
        let answer = self
            .organizations()
            .list_accounts()
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        organizations::accounts(asked, answer.accounts, answer.next_token)
    }

    async fn roots(&self, next: Option<String>) -> Result<Page<OrganizationalUnit>, ApiError> {
        let asked = asked_globally(Operation::ListRoots);
        let answer = self
            .organizations()
            .list_roots()
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        let ids = answer.roots.unwrap_or_default().into_iter().map(|r| r.id);
        organizations::units(asked, ids, answer.next_token)
    }

    async fn units_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<OrganizationalUnit>, ApiError> {
        let asked = asked_globally(Operation::ListOrganizationalUnitsForParent);
        let answer = self
            .organizations()
            .list_organizational_units_for_parent()
            .parent_id(parent)
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        let units = answer.organizational_units.unwrap_or_default();
        organizations::units(asked, units.into_iter().map(|u| u.id), answer.next_token)
    }

    async fn accounts_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<AccountId>, ApiError> {
        let asked = asked_globally(Operation::ListAccountsForParent);
        let answer = self
            .organizations()
            .list_accounts_for_parent()
            .parent_id(parent)
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        organizations::accounts_of(asked, answer.accounts, answer.next_token)
    }

    async fn account_tags(
        &self,
        account: &AccountId,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError> {
        let asked = Asked {
            operation: Operation::ListTagsForResource,
            account: account.as_str(),
            region: "global",
        };
        let answer = self
            .organizations()
            .list_tags_for_resource()
            .resource_id(account.as_str())
            .set_next_token(next)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        Ok(organizations::tags(answer.tags, answer.next_token))
    }

    async fn assume(&self, role: &AssumeRole) -> Result<Box<dyn Member>, ApiError> {
        let asked = Asked {
            operation: Operation::AssumeRole,
            account: role.account_id.as_str(),
            region: self.region.as_str(),
        };
        let answer = self
            .sts()
            .assume_role()
            .role_arn(sts::role_arn(&self.region, role))
            .role_session_name(&role.session_name)
            .set_external_id(role.external_id.clone())
            .duration_seconds(role.duration_seconds)
            .send()
            .await
            .map_err(|e| asked.failed(e))?;
        let (credentials, expires_at) = sts::credentials(asked, answer.credentials)?;
        Ok(Box::new(AwsMember::new(
            self.with_credentials(credentials),
            role.account_id.clone(),
            self.region.clone(),
            Some(expires_at),
            self.kept.clone(),
        )))
    }

    fn own_session(&self, account: &AccountId) -> Box<dyn Member> {
        // The base credentials refresh themselves, so that this session has no end.
        Box::new(AwsMember::new(
            self.base.clone(),
            account.clone(),
            self.region.clone(),
            None,
            self.kept.clone(),
        ))
    }

    fn clock_offset_ms(&self) -> Option<i64> {
        self.offset.get()
    }
}
