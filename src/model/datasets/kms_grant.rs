use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per grant of a key that logs are under.
    pub struct KmsGrant: "kms_grant" v 1, key [account_id, region, key_arn, grant_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the key.
    account_id: AccountId = "12 digits";
    /// Region of the key.
    region: Region = "Region";
    /// The key.
    key_arn: String = "ARN";
    /// The grant.
    grant_id: String = "hex";
    /// Who may use the key: a principal's ARN or a service.
    grantee: Option<String> = "ARN or service principal";
    /// Who may retire the grant.
    retiring_principal: Option<String> = "ARN or service principal";
    /// Account that made the grant.
    issuing_account: Option<String> = "ARN or 12 digits";
    /// Operations that it allows.
    operations: String = "names, a space between";
    /// Its constraints, the documented ones only.
    constraints_json: Option<String> = "canonical JSON";
    /// When the grant was made.
    created_at: Option<UtcMillis> = "UTC";
}
