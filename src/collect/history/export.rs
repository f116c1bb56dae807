//! The form in which rows of an S3 Metadata *live inventory table* are exported for a run to read.
//!
//! Below a configured place (`metadata_exports`) each bucket has a folder of its name, and in it each
//! export one, named by the UTC time it describes: `<place>/<bucket>/YYYY-MM-DDTHH-MMZ/`. There lie
//! Parquet files of any name with the table's own columns (`bucket`, `key`, `version_id`, `is_delete_marker`, `size`,
//! `encryption_status`, `kms_key_arn`; further ones are not read) and `is_latest`, which whoever exports
//! computes from `sequence_number`, and, written last, an object `_SUCCESS`: without it an export is not
//! finished and not read. The table itself is read with a query engine; see docs/deploying.md
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-inventory-schema.html>).

/// The object that says that an export is whole.
pub const SUCCESS: &str = "_SUCCESS";

/// Whether a name in an export's folder is one of its data files: as everywhere around Hive, what begins
/// with `_` or a dot is not.
pub fn is_data(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && !last.starts_with(['_', '.'])
}
