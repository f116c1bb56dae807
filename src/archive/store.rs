//! What the archive needs of storage, as traits: one for reading, which verification uses alone, and
//! one for create-only writing. Names come from `archive::layout`, relative to the archive root.

use std::fs::File;

use async_trait::async_trait;

use crate::model::ids::Sha256Hex;
use crate::model::words::CheckOutcome;
use crate::seal::StoredAs;
use crate::time::UtcMillis;

/// Why storage did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Create-only write: the name is taken (S3: 412, files: EEXIST).
    #[error("'{name}' exists already")]
    Exists { name: String },
    #[error("'{name}' does not exist")]
    Absent { name: String },
    /// S3: 409, another conditional write is under way. Retry.
    #[error("'{name}' is being written by someone else")]
    Conflict { name: String },
    #[error("access to '{name}' is denied: {detail}")]
    Denied { name: String, detail: String },
    /// The request may or may not have been carried out. Send the identical bytes again: 200 or
    /// `Exists` settles it.
    #[error("it is not known whether '{name}' was written: {detail}")]
    OutcomeUnknown { name: String, detail: String },
    /// The bytes are not those of the digest, and were not stored: they changed on the way, or were
    /// others from the start. Send them again.
    #[error("'{name}' was not stored, for its bytes have another checksum: {detail}")]
    Checksum { name: String, detail: String },
    /// Storage cannot give the guarantee that is needed, e.g. a file system without hard links.
    #[error("'{name}' cannot be written safely: {detail}")]
    Unsuitable { name: String, detail: String },
    /// A read goes no further than the reader allows.
    #[error("'{name}' is larger than {limit} bytes")]
    TooLarge { name: String, limit: u64 },
    #[error("{}{detail}", of(.name))]
    Failed { name: String, detail: String },
}

/// One stored object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Relative to the archive root.
    pub name: String,
    pub bytes: u64,
    /// When storage wrote it, by storage's own clock. A folder does not say: whoever may write there
    /// may set it.
    pub written_at: Option<UtcMillis>,
}

/// One version of an object, or the mark that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Relative to the archive root.
    pub name: String,
    pub id: String,
    /// Whether readers who name no version get this one.
    pub is_latest: bool,
    pub is_delete_marker: bool,
    pub bytes: u64,
    pub written_at: Option<UtcMillis>,
}

/// Object Lock's retention of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// GOVERNANCE or COMPLIANCE.
    pub mode: String,
    pub until: UtcMillis,
}

/// What storage says of how it keeps an object; nothing at all on storage that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// SHA-256 of the bytes, as storage computed it.
    pub sha256: Option<Sha256Hex>,
    /// ARN of the KMS key it lies under.
    pub kms_key: Option<String>,
    pub bucket_key: Option<bool>,
    pub version: Option<String>,
    pub lock: Option<Lock>,
}

impl Stored {
    /// The same as a manifest keeps it; none where storage said nothing.
    pub fn evidence(&self) -> Option<StoredAs> {
        let evidence = StoredAs {
            bucket_key: self.bucket_key,
            kms_key: self.kms_key.clone(),
            lock_mode: self.lock.as_ref().map(|lock| lock.mode.clone()),
            locked_until: self.lock.as_ref().map(|lock| lock.until),
            version: self.version.clone(),
        };
        let nothing = Self {
            sha256: self.sha256.clone(),
            ..Self::default()
        };
        (*self != nothing).then_some(evidence)
    }
}

/// Bytes to be stored.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Bytes(&'a [u8]),
    /// A finished local file.
    File(&'a std::path::Path),
}

/// The object in front of what is said of it; an empty prefix stands for the whole archive.
fn of(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("'{name}': ")
    }
}

/// One check of the archive's own protection; a row of dataset `archive`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    pub check: &'static str,
    pub outcome: CheckOutcome,
    pub detail: String,
}

/// Reading: all that verification needs.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The whole object. `Absent` when the name is not there; a directory or a link that leaves the
    /// root is `Failed`. Objects over `limit` bytes are `Failed` without being read.
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError>;

    /// Every object whose name starts with `prefix`, sorted by name, temporaries left out.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// Names below `prefix` whose newest version is a delete marker: they were there, `list` does
    /// not show them, and on S3 a create-only write would put something else in their place. None on
    /// storage without versions.
    async fn hidden(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let versions = self.versions(prefix).await?.unwrap_or_default();
        let marked = versions.into_iter();
        let marked = marked.filter(|v| v.is_latest && v.is_delete_marker);
        Ok(marked.map(|version| version.name).collect())
    }

    /// Every version and delete marker of the objects whose name starts with `prefix`, sorted by name,
    /// newest first. None on storage without versions.
    async fn versions(&self, prefix: &str) -> Result<Option<Vec<Version>>, StoreError> {
        let _ = prefix;
        Ok(None)
    }

    /// How storage keeps an object, without reading it. None on storage that says nothing.
    async fn stored(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let _ = name;
        Ok(None)
    }

    /// Copies an object to the end of a local file, in bounded memory; gives its SHA-256 and size. Over
    /// `limit` bytes it is `Failed`, with at most so many written.
    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut File,
    ) -> Result<(Sha256Hex, u64), StoreError>;

    /// SHA-256 and size of an object, read in bounded memory.
    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError>;

    /// `file:///dir` or `s3://bucket/prefix`, for messages.
    fn url(&self) -> String;
}

/// Create-only writing.
///
/// `create` returns `Ok`, with what storage says of the object, only when the object is durable under its name (S3: 200 on a conditional
/// PUT; files: fsync of file and directory around link(2)). It never replaces: a taken name is
/// `Exists`, whatever the content. It does not retry; the commit protocol does.
#[async_trait]
pub trait Store: Fetch {
    async fn create(
        &self,
        name: &str,
        body: Body<'_>,
        sha256: &Sha256Hex,
    ) -> Result<Stored, StoreError>;

    /// Tries what a first object needs of the storage and leaves nothing behind: called before
    /// anything is written elsewhere for a new archive. S3 does nothing; its PUT tells.
    async fn try_out(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Creates the root where storage has such a thing (a folder); S3 does nothing.
    async fn prepare_root(&self) -> Result<(), StoreError>;

    /// Checks how well storage protects the archive: encryption, versioning, lock, public access.
    async fn protections(&self) -> Vec<Protection>;

    /// For reading alone.
    fn as_fetch(&self) -> &dyn Fetch;
}
