//! The nouns: identifiers, the words of conclusions, and one row struct per dataset. No IO.

pub mod canonical;
pub mod datasets;
pub mod emrfs;
pub mod ids;
pub mod key_reference;
pub mod lineage;
pub mod s3_location;
pub mod table;
pub mod text;
pub mod url_encoding;
pub mod words;
