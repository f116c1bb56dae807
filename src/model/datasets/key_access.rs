use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::Date;

dataset! {
    /// One row per key that logs are under and holder that may use or rule it, as the key's policy,
    /// grants and the identities of its account say.
    pub struct KeyAccess: "key_access" v 1, key [account_id, region, key_arn, action, holder];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the key.
    account_id: AccountId = "12 digits";
    /// Region of the key.
    region: Region = "Region";
    /// The key.
    key_arn: String = "ARN";
    /// What the holder may do.
    action: String = "kms:Decrypt, kms:ScheduleKeyDeletion, …";
    /// Who: a principal, an account, a service, or everyone as the policy says it.
    holder: String = "ARN or pattern of ARNs, 12 digits, service principal, o-…, *";
    /// Kind of the holder.
    holder_kind: String = "role, user, session, account, service, pattern, organization, everyone, unknown";
    /// Account of the holder, where it has one.
    holder_account: Option<AccountId> = "12 digits";
    /// Whether that account belongs to the organization; absent where nobody can tell.
    in_organization: Option<bool> = "true or false";
    /// Business unit of the holder.
    business_unit: Option<String> = "text";
    /// The answer.
    decision: String = "allowed, conditional, unknown";
    /// Condition keys that decide, or documents that were not read.
    depends_on: Option<String> = "names, a space between";
    /// Statements and grants that say so.
    decided_by: String = "text";
}
