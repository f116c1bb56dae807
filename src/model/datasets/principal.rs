use crate::dataset;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per role or user that writes logs, serves a cluster, or may touch a key that logs are
    /// under: its statements about KMS and S3, and nothing else of its policies.
    pub struct Principal: "principal" v 1, key [account_id, region, principal];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the principal.
    account_id: AccountId = "12 digits";
    /// Always `global`: IAM has no Regions.
    region: Region = "global";
    /// The role or user.
    principal: String = "IAM ARN";
    /// What it is.
    kind: String = "role, user";
    /// Its unique id: a policy that names the id and not the ARN speaks of a deleted namesake.
    unique_id: Option<String> = "AROA…, AIDA…";
    /// Names of the instance profiles that hold the role.
    instance_profiles: Option<String> = "names, a space between";
    /// Business unit, from the configured tag of the principal.
    business_unit: Option<String> = "tag value";
    /// Statements about KMS and S3 of all its inline, attached and group policies, as a list of
    /// policy documents; absent when they could not be read whole.
    policies_json: Option<String> = "canonical JSON";
    /// SHA-256 of `policies_json`.
    policies_sha256: Option<Sha256Hex> = "hex";
    /// ARN of its permissions boundary.
    boundary: Option<String> = "ARN";
    /// Statements about KMS and S3 of that boundary; absent without one, or when it was not read.
    boundary_json: Option<String> = "canonical JSON";
    /// When IAM was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
