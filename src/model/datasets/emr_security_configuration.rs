use crate::dataset;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per EMR security configuration of an account-region.
    pub struct EmrSecurityConfiguration: "emr_security_configuration" v 1,
        key [account_id, region, name];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// The account.
    account_id: AccountId = "12 digits";
    /// The Region.
    region: Region = "Region";
    /// Name; together with `created_at` its identity, since a name can be made again with other content.
    name: String = "text";
    /// When it was created.
    created_at: Option<UtcMillis> = "UTC";
    /// The encryption part of the document, known keys only, as canonical JSON; absent if unreadable.
    encryption_json: Option<String> = "canonical JSON";
    /// SHA-256 of `encryption_json`.
    encryption_sha256: Option<Sha256Hex> = "hex";
    /// How many keys of the document are not known and were left out.
    unknown_keys: i64 = "keys";
    /// Whether encryption at rest is on.
    at_rest: Option<bool> = "true or false";
    /// `EncryptionMode` for EMRFS data in S3.
    s3_mode: Option<String> = "SSE-S3, SSE-KMS, CSE-KMS, CSE-Custom";
    /// Key for EMRFS data in S3.
    s3_key: Option<String> = "as given";
}
