//! The archive on S3: create-only writes, bounded reads, and the bucket's own protection.
//!
//! A write is one PUT with `If-None-Match: *`, the SHA-256 of the whole object, the configured key
//! and lock. No multipart: its checksum is one of checksums, and each part would need its own
//! answer. Writes are not retried here, as only the commit protocol knows what a repetition means;
//! reads are, up to four attempts, also when a body breaks off or does not have the checksum that S3
//! keeps of it: a chain entry that arrived with one wrong bit would pass for an unsigned one.
//!
//! What can befall a PUT, and what the caller learns:
//!
//! | it | caller learns | stored? |
//! |---|---|---|
//! | 200 | `Ok` | yes |
//! | 200 with another digest | `OutcomeUnknown` | something is; a second PUT and a look at it tell what |
//! | 412 | `Exists` | something is |
//! | 409 | `Conflict` | not by us |
//! | 403 | `Denied` | no |
//! | BadDigest and its kin | `Checksum` | no |
//! | other 4xx, no such bucket | `Failed` | no |
//! | 5xx, SlowDown, time-out, cut connection | `OutcomeUnknown` | cannot tell |

mod create;
mod protections;

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use sha2::Digest as _;

use crate::archive::store::{
    Body, Fetch, Listed, Lock, Protection, Store, StoreError, Stored, Version,
};
use crate::aws::error::{sentence, shorten};
use crate::aws::member::s3_client;
use crate::aws::s3_url::S3Url;
use crate::aws::session::AwsShell;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::seal::is_safe_name;
use crate::time::{Clock, UtcMillis};

/// Most attempts of one read.
const READ_ATTEMPTS: u32 = 4;
/// Before a body that broke off is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// Object Lock's two modes; nobody can undo COMPLIANCE before its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    Governance,
    Compliance,
}

impl LockMode {
    /// As S3 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// How objects are stored.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Key ARN, id or alias for SSE-KMS with a Bucket Key. `None`: the bucket's default applies.
    pub kms_key: Option<String>,
    /// Account that must own the bucket; S3 refuses any other.
    pub expected_owner: Option<AccountId>,
    /// Object Lock mode and days from the write. `None`: the bucket's default applies.
    pub lock: Option<(LockMode, u32)>,
    /// How long evidence is to be kept, in days: what the lock is compared with.
    pub retention_days: Option<u32>,
}

/// An archive at `s3://bucket/prefix`.
pub struct S3Store {
    url: S3Url,
    options: S3Options,
    region: Region,
    reads: aws_sdk_s3::Client,
    /// The shell's settings with retries, for what only reads.
    reading: SdkConfig,
    shell: AwsShell,
}

impl S3Store {
    /// Finds the bucket's Region by asking for the bucket once; where S3 does not tell (no bucket,
    /// no permission), the shell's Region is used and the first real request says what is wrong.
    pub async fn connect(shell: &AwsShell, url: S3Url, options: S3Options) -> Self {
        let reading = shell
            .base
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS))
            .build();
        let region = bucket_region(&s3_client(&reading, &shell.region), &url, &options)
            .await
            .unwrap_or_else(|| shell.region.clone());
        Self {
            reads: s3_client(&reading, &region),
            reading,
            shell: shell.clone(),
            url,
            options,
            region,
        }
    }

    /// Where the bucket lies.
    pub fn region(&self) -> &Region {
        &self.region
    }

    fn owner(&self) -> Option<String> {
        self.options.expected_owner.clone().map(String::from)
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.shell.clock
    }

    /// The key of a name. S3 would take any text; whoever copies the archive to a file system must
    /// not be led out of it.
    fn key(&self, name: &str) -> Result<String, StoreError> {
        if is_safe_name(name) {
            Ok(self.url.key(name))
        } else {
            Err(StoreError::Failed {
                name: name.to_owned(),
                detail: "not a name of an archive".to_owned(),
            })
        }
    }

    /// Reads an object of at most `limit` bytes to its end and gives its size. What `take` makes of
    /// each piece is begun anew with every attempt.
    async fn get<T>(
        &self,
        name: &str,
        limit: u64,
        begin: impl Fn() -> std::io::Result<T>,
        take: impl Fn(&mut T, &[u8]) -> std::io::Result<()>,
    ) -> Result<(T, u64), StoreError> {
        let mut attempt = 1;
        loop {
            let mut taken = begin().map_err(|e| not_copied(name, &e))?;
            match self.get_once(name, limit, |b| take(&mut taken, b)).await? {
                Ok(bytes) => return Ok((taken, bytes)),
                Err(broken) if attempt == READ_ATTEMPTS => return Err(broken),
                Err(_) => self.clock().sleep(PAUSE * attempt).await,
            }
            attempt += 1;
        }
    }

    /// One attempt. Inside, an answer that began and did not arrive as S3 keeps it: the checksum that
    /// is asked for is compared by the SDK. Who may read the bytes may be told it: under a KMS key
    /// both take kms:Decrypt.
    async fn get_once(
        &self,
        name: &str,
        limit: u64,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<Result<u64, StoreError>, StoreError> {
        let too_large = || StoreError::TooLarge {
            name: name.to_owned(),
            limit,
        };
        let key = self.key(name)?;
        let answer = self
            .reads
            .get_object()
            .bucket(self.url.bucket())
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map_err(|e| self.read_error(name, &e))?;
        let stated = answer.content_length.and_then(|n| u64::try_from(n).ok());
        if stated.is_some_and(|n| n > limit) {
            return Err(too_large());
        }
        let mut bytes = 0_u64;
        let mut body = answer.body;
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(cut_off(name, &error))),
            };
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > limit {
                return Err(too_large());
            }
            take(&chunk).map_err(|e| not_copied(name, &e))?;
        }
        Ok(all_of_it(name, stated, bytes).map(|()| bytes))
    }

    /// What a HEAD says of an object, or of one version of it. Under a KMS key the checksum is told to
    /// those alone who may decrypt.
    async fn head(
        &self,
        name: &str,
        version: Option<String>,
        checksum: bool,
    ) -> Result<Stored, StoreError> {
        let key = self.key(name)?;
        self.reads
            .head_object()
            .bucket(self.url.bucket())
            .key(key)
            .set_version_id(version)
            .set_checksum_mode(checksum.then_some(ChecksumMode::Enabled))
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map(stored)
            .map_err(|e| self.read_error(name, &e))
    }

    /// What a failed read means. A missing bucket is never `Absent`: that would look like an empty
    /// archive, in which a new one may be started.
    fn read_error<E>(&self, name: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let name = name.to_owned();
        let detail = self.explain(error);
        match (error.code(), status(error)) {
            (Some("NoSuchBucket"), _) => StoreError::Failed { name, detail },
            (Some("NoSuchKey" | "NotFound" | "NoSuchVersion"), _) | (None, Some(404)) => {
                StoreError::Absent { name }
            }
            (_, Some(403)) => StoreError::Denied { name, detail },
            _ => StoreError::Failed { name, detail },
        }
    }

    /// The error in a sentence, with the next step where there is one.
    fn explain<E>(&self, error: &SdkError<E, HttpResponse>) -> String
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let bucket = self.url.bucket();
        let hint = match error.code() {
            Some("NoSuchBucket") => {
                format!("; bucket {bucket} does not exist: create it, or mend the archive URL")
            }
            Some(
                "PermanentRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            ) => {
                format!("; bucket {bucket} does not lie in {}", self.region)
            }
            _ if status(error) == Some(403) => {
                let owner = match &self.options.expected_owner {
                    Some(owner) => format!("; or {owner} does not own the bucket"),
                    None => String::new(),
                };
                format!(
                    "; bucket {bucket} and its key must allow the caller s3:ListBucket, \
                     s3:ListBucketVersions, s3:GetObject and s3:PutObject, kms:GenerateDataKey and kms:Decrypt{owner}"
                )
            }
            _ => String::new(),
        };
        format!("{}{hint}", sentence(error))
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|r| r.status().as_u16())
}

async fn bucket_region(
    client: &aws_sdk_s3::Client,
    url: &S3Url,
    options: &S3Options,
) -> Option<Region> {
    let answer = client
        .head_bucket()
        .bucket(url.bucket())
        .set_expected_bucket_owner(options.expected_owner.clone().map(String::from))
        .send()
        .await;
    let name = match &answer {
        Ok(answer) => answer.bucket_region(),
        // S3 names the Region in its refusals too.
        Err(error) => error
            .raw_response()
            .and_then(|r| r.headers().get("x-amz-bucket-region")),
    };
    name?.parse().ok()
}

#[async_trait]
impl Fetch for S3Store {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let begin = || Ok(Vec::new());
        let take = |bytes: &mut Vec<u8>, chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        Ok(self.get(name, limit, begin, take).await?.0)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let failed = |detail: &str| StoreError::Failed {
            name: prefix.to_owned(),
            detail: detail.to_owned(),
        };
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .reads
                .list_objects_v2()
                .bucket(self.url.bucket())
                .prefix(self.url.key(prefix))
                .set_continuation_token(token.clone())
                .set_expected_bucket_owner(self.owner())
                .send()
                .await
                .map_err(|e| self.read_error(prefix, &e))?;
            for object in page.contents.unwrap_or_default() {
                let key = object
                    .key
                    .ok_or_else(|| failed("the listing holds an object without a key"))?;
                let name = self
                    .url
                    .name(&key)
                    .ok_or_else(|| failed("the listing holds keys that were not asked for"))?;
                // The folder object that the console makes of a prefix is not part of the archive.
                if !name.is_empty() {
                    all.push(Listed {
                        name: name.to_owned(),
                        bytes: size(object.size),
                        written_at: millis(object.last_modified.as_ref()),
                    });
                }
            }
            let next = page.next_continuation_token.filter(|t| !t.is_empty());
            match next {
                None if page.is_truncated == Some(true) => {
                    return Err(failed("the listing was cut short"));
                }
                None => break,
                // S3 never repeats a token; a server that does would keep us here for ever.
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(failed("the listing repeats itself"));
                }
                Some(next) => token = Some(next),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn versions(&self, prefix: &str) -> Result<Option<Vec<Version>>, StoreError> {
        let failed = |detail: &str| StoreError::Failed {
            name: prefix.to_owned(),
            detail: detail.to_owned(),
        };
        let name = |key: Option<&str>| {
            let name = key.and_then(|key| self.url.name(key));
            let strange = "the listing of versions holds keys that were not asked for";
            name.map(str::to_owned).ok_or_else(|| failed(strange))
        };
        let mut all = Vec::new();
        let mut from: Option<(String, Option<String>)> = None;
        loop {
            let (key, version) = from.clone().unzip();
            let page = self
                .reads
                .list_object_versions()
                .bucket(self.url.bucket())
                .prefix(self.url.key(prefix))
                .set_key_marker(key)
                .set_version_id_marker(version.flatten())
                .set_expected_bucket_owner(self.owner())
                .send()
                .await
                .map_err(|e| self.read_error(prefix, &e))?;
            for object in page.versions.unwrap_or_default() {
                all.push(Version {
                    name: name(object.key.as_deref())?,
                    id: object.version_id.unwrap_or_default(),
                    is_latest: object.is_latest == Some(true),
                    is_delete_marker: false,
                    bytes: size(object.size),
                    written_at: millis(object.last_modified.as_ref()),
                });
            }
            for marker in page.delete_markers.unwrap_or_default() {
                all.push(Version {
                    name: name(marker.key.as_deref())?,
                    id: marker.version_id.unwrap_or_default(),
                    is_latest: marker.is_latest == Some(true),
                    is_delete_marker: true,
                    bytes: 0,
                    written_at: millis(marker.last_modified.as_ref()),
                });
            }
            let next = page
                .next_key_marker
                .map(|key| (key, page.next_version_id_marker));
            match next {
                _ if page.is_truncated != Some(true) => break,
                None => return Err(failed("the listing of versions was cut short")),
                Some(next) if from.as_ref() == Some(&next) => {
                    return Err(failed("the listing of versions repeats itself"));
                }
                Some(next) => from = Some(next),
            }
        }
        // The folder object that the console makes of a prefix is not part of the archive. Of one
        // name S3 tells the newest first; markers and versions come in two lists.
        all.retain(|version| !version.name.is_empty());
        all.sort_by(|a, b| {
            let (newer, older) = ((b.is_latest, b.written_at), (a.is_latest, a.written_at));
            a.name.cmp(&b.name).then(newer.cmp(&older))
        });
        Ok(Some(all))
    }

    async fn stored(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        Ok(Some(self.head(name, None, true).await?))
    }

    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        let end = to.stream_position().map_err(|e| not_copied(name, &e))?;
        // An attempt that broke off is written over.
        let begin = || {
            let mut to = to.try_clone()?;
            to.set_len(end)?;
            to.seek(SeekFrom::Start(end))?;
            Ok((sha2::Sha256::new(), to))
        };
        let take = |(hasher, to): &mut (sha2::Sha256, File), chunk: &[u8]| {
            hasher.update(chunk);
            to.write_all(chunk)
        };
        let ((hasher, _), bytes) = self.get(name, limit, begin, take).await?;
        Ok((Sha256Hex::from_digest(&hasher.finalize().into()), bytes))
    }

    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        let begin = || Ok(sha2::Sha256::new());
        let take = |hasher: &mut sha2::Sha256, chunk: &[u8]| {
            hasher.update(chunk);
            Ok(())
        };
        let (hasher, bytes) = self.get(name, u64::MAX, begin, take).await?;
        Ok((Sha256Hex::from_digest(&hasher.finalize().into()), bytes))
    }

    fn url(&self) -> String {
        self.url.to_string()
    }
}

/// What a HEAD says of how an object is kept.
fn stored(head: HeadObjectOutput) -> Stored {
    let mode = head.object_lock_mode.map(|mode| mode.as_str().to_owned());
    let until = millis(head.object_lock_retain_until_date.as_ref());
    Stored {
        sha256: head.checksum_sha256.as_deref().and_then(hex_digest),
        kms_key: head.ssekms_key_id,
        bucket_key: head.bucket_key_enabled,
        version: head.version_id,
        lock: mode.zip(until).map(|(mode, until)| Lock { mode, until }),
    }
}

/// S3 writes digests in base64 where we write hex. None for anything that is no SHA-256, like the
/// digest of digests that a multipart upload has.
fn hex_digest(base64: &str) -> Option<Sha256Hex> {
    let raw = base64::engine::general_purpose::STANDARD.decode(base64);
    let raw: [u8; 32] = raw.ok()?.try_into().ok()?;
    Some(Sha256Hex::from_digest(&raw))
}

fn millis(time: Option<&DateTime>) -> Option<UtcMillis> {
    time.and_then(|time| time.to_millis().ok()).map(UtcMillis)
}

fn size(bytes: Option<i64>) -> u64 {
    bytes.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

/// What was read could not be kept on this machine.
fn not_copied(name: &str, error: &std::io::Error) -> StoreError {
    StoreError::Failed {
        name: name.to_owned(),
        detail: format!("cannot write its copy: {error}"),
    }
}

fn cut_off(name: &str, error: &aws_sdk_s3::primitives::ByteStreamError) -> StoreError {
    StoreError::Failed {
        name: name.to_owned(),
        detail: format!("the answer broke off: {}", shorten(&error.to_string())),
    }
}

/// A body that ends early is a failed read, not a shorter object.
fn all_of_it(name: &str, stated: Option<u64>, read: u64) -> Result<(), StoreError> {
    match stated {
        Some(stated) if stated != read => Err(StoreError::Failed {
            name: name.to_owned(),
            detail: format!("{read} of {stated} bytes arrived"),
        }),
        _ => Ok(()),
    }
}

#[async_trait]
impl Store for S3Store {
    async fn create(
        &self,
        name: &str,
        body: Body<'_>,
        sha256: &Sha256Hex,
    ) -> Result<Stored, StoreError> {
        create::create(self, name, body, sha256).await
    }

    async fn prepare_root(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn protections(&self) -> Vec<Protection> {
        protections::protections(self).await
    }

    fn as_fetch(&self) -> &dyn Fetch {
        self
    }
}
