use crate::dataset;
use crate::model::ids::AccountId;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per account that the organization lists, in scope or not.
    pub struct Account: "account" v 1, key [account_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// The account.
    account_id: AccountId = "12 digits";
    /// Name given by the organization.
    name: Option<String> = "text";
    /// `Account.State` of AWS Organizations, or the older `Status` where only that is known.
    state: Option<String> = "ACTIVE, SUSPENDED, …";
    /// Path of organizational unit ids from the root, ending in a slash.
    ou_path: Option<String> = "o-…/r-…/ou-…/";
    /// Whether this is the management account, which service control policies and StackSets skip.
    management: bool = "true or false";
    /// Whether the run was to look into it.
    in_scope: bool = "true or false";
    /// Why it was not to be looked into: `state`, `not_selected` or the id of the exception.
    left_out_because: Option<String> = "word or exception id";
    /// When it joined the organization.
    joined_at: Option<UtcMillis> = "UTC";
    /// Owner, from the configured account tag.
    owner: Option<String> = "tag value";
    /// Cost centre, from the configured account tag.
    cost_center: Option<String> = "tag value";
    /// Business unit, from the configured account tag.
    business_unit: Option<String> = "tag value";
}
