use crate::dataset;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::model::words::Lookup;
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per key reference that a cluster makes: what KMS said of the key behind it.
    pub struct KmsKey: "kms_key" v 1, key [account_id, region, key_reference];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account named by the reference.
    account_id: AccountId = "12 digits";
    /// Region named by the reference.
    region: Region = "Region";
    /// The qualified reference, a key ARN or an alias ARN. An alias can be repointed, so what it
    /// stood for is true at `looked_up_at` only.
    key_reference: String = "key or alias ARN";
    /// How DescribeKey ended.
    lookup: Lookup = "word";
    /// Error code of the refusal or failure.
    error_code: Option<String> = "AWS error code";
    /// IAM action that was refused.
    denied_action: Option<String> = "kms:Action";
    /// ARN of the key.
    key_arn: Option<String> = "ARN";
    /// `KeyManager`.
    manager: Option<String> = "CUSTOMER, AWS";
    /// `KeyState`.
    state: Option<String> = "Enabled, Disabled, …";
    /// `KeyUsage`.
    usage: Option<String> = "ENCRYPT_DECRYPT, …";
    /// `KeySpec`.
    spec: Option<String> = "SYMMETRIC_DEFAULT, …";
    /// `Origin` of the key material.
    origin: Option<String> = "AWS_KMS, EXTERNAL, …";
    /// Whether it is a multi-Region key.
    multi_region: Option<bool> = "true or false";
    /// When the key was created.
    created_at: Option<UtcMillis> = "UTC";
    /// When the key will be deleted, while its deletion is pending.
    deletion_at: Option<UtcMillis> = "UTC";
    /// When imported key material expires.
    material_expires_at: Option<UtcMillis> = "UTC";
    /// How it was shown, where DescribeKey was refused, that this is a customer's key: it stands in
    /// ListKeys of its account, and no alias of AWS points at it in a complete ListAliases.
    customer_proof: Option<String> = "listed_without_aws_alias";
    /// Aliases of the key, in a complete list.
    aliases: Option<String> = "names, a space between";
    /// When the alias that the reference names was last pointed at a key.
    alias_updated_at: Option<UtcMillis> = "UTC";
    /// How ListGrants ended.
    grants_lookup: Lookup = "word";
    /// Error code where grants could not be read.
    grants_error_code: Option<String> = "AWS error code";
    /// How many grants the key has.
    grants: Option<i64> = "grants";
    /// How GetKeyPolicy ended.
    policy_lookup: Lookup = "word";
    /// Error code where the policy could not be read.
    policy_error_code: Option<String> = "AWS error code";
    /// The key policy, its documented elements only, as canonical JSON.
    policy_json: Option<String> = "canonical JSON";
    /// SHA-256 of `policy_json`.
    policy_sha256: Option<Sha256Hex> = "hex";
    /// How GetKeyRotationStatus ended.
    rotation_lookup: Lookup = "word";
    /// Whether automatic rotation is on; absent where the key kind cannot rotate.
    rotation_enabled: Option<bool> = "true or false";
    /// Rotation period.
    rotation_period_days: Option<i64> = "days";
    /// How ListResourceTags ended.
    tags_lookup: Lookup = "word";
    /// Owner, from the configured key tag.
    owner: Option<String> = "tag value";
    /// Cost centre, from the configured key tag.
    cost_center: Option<String> = "tag value";
    /// Business unit, from the configured key tag.
    business_unit: Option<String> = "tag value";
    /// Data classification, from the configured key tag.
    data_classification: Option<String> = "tag value";
    /// When KMS was asked.
    looked_up_at: UtcMillis = "UTC", volatile;
}
