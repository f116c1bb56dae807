//! Files about objects, fetched from S3 with the source-reader role: in ranges, so that an attempt is short
//! and a retry costs little, and to disk, so that nothing is counted before its checksum is right.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

use super::error::ReportError;
use crate::collect::api::{ErrorClass, SourceEntry, SourceObject, SourcePart};
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::Fault;
use crate::collect::lookups::{ItemEnd, end_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::{Run, Unlisted};
use crate::model::ids::{AccountId, Region, hex};
use crate::model::words::CellOutcome;

/// Bytes of one request.
const RANGE: u64 = 8 * 1024 * 1024;
/// Largest file that is taken into memory: a manifest of 100,000 data files has a fifth.
const SMALL: u64 = 64 * 1024 * 1024;
/// Entries of a folder that are looked at; the days of a report since 2017 are 3,000.
const ENTRIES: usize = 100_000;

/// Why something about objects is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The bucket has no such report, or none that would do.
    #[error("{0}")]
    Absent(&'static str),
    /// No account of the scope owns the place of the report.
    #[error("no account in scope owns the bucket of the report")]
    OwnerNotInScope,
    /// Nor does one that could be asked, and some could not be.
    #[error("an account that may own the bucket of the report could not be asked")]
    OwnerUnknown(Box<Unlisted>),
}

impl Unread {
    /// How an item counts that ends so.
    pub(super) fn end(&self) -> ItemEnd {
        let fault = |code: &str| Fault {
            code: Some(code.to_owned()),
            ..Fault::default()
        };
        match self {
            Self::Call(error) => end_of(error),
            Self::Report(error) => ItemEnd::Failed(CellOutcome::Failed, fault(error.code())),
            Self::Absent(code) => ItemEnd::Locked(fault(code)),
            Self::OwnerNotInScope => ItemEnd::Locked(fault("OwnerNotInScope")),
            Self::OwnerUnknown(why) if why.is_accepted => ItemEnd::Locked(why.fault.clone()),
            Self::OwnerUnknown(why) => ItemEnd::Failed(why.outcome, why.fault.clone()),
        }
    }
}

/// A bucket that holds reports or a trail's files, seen with its owner's source-reader role.
#[derive(Clone)]
pub(in crate::collect) struct Source<'a> {
    session: Arc<Session>,
    region: Region,
    bucket: String,
    budget: &'a Budget,
    scratch: PathBuf,
}

impl<'a> Source<'a> {
    /// Opens `bucket`, which lies in `region` unless its owner's list says otherwise.
    pub(super) async fn open(
        run: &Run,
        bucket: &str,
        region: &Region,
        budget: &'a Budget,
    ) -> Result<Self, Unread> {
        let found = lock(&run.owners).of(bucket);
        let owner: Option<(AccountId, Option<Region>)> = found.and_then(|(at, region)| {
            let account = run.scope.accounts.get(at as usize)?;
            Some((account.account_id.clone(), region))
        });
        let (owner, told) = owner.ok_or_else(|| match run.unlisted() {
            None => Unread::OwnerNotInScope,
            Some(why) => Unread::OwnerUnknown(Box::new(why)),
        })?;
        let sources = run.sources.as_ref();
        let sources = sources.ok_or(Unread::Absent("NoSourceReaderRole"))?;
        Ok(Self {
            session: sources.of(run, &owner, budget).await?,
            region: told.unwrap_or_else(|| region.clone()),
            bucket: bucket.to_owned(),
            budget,
            scratch: run.options().scratch.clone(),
        })
    }

    /// A bucket whose owner and Region are known.
    pub(in crate::collect) fn of(
        session: Arc<Session>,
        region: Region,
        bucket: String,
        budget: &'a Budget,
    ) -> Self {
        Self {
            session,
            region,
            bucket,
            budget,
            scratch: std::env::temp_dir(),
        }
    }

    /// The objects below `prefix` whose names lie between `after` and `before`, neither included, in order,
    /// page by page.
    pub(in crate::collect) async fn objects_between(
        &self,
        prefix: &str,
        (after, before): (&str, &str),
        mut each: impl FnMut(SourceObject) + Send,
    ) -> Result<(), CallError> {
        let (region, bucket) = (&self.region, self.bucket.as_str());
        let take = |page: Vec<SourceObject>| {
            for object in page {
                if object.name.as_str() >= before {
                    return true;
                }
                each(object);
            }
            false
        };
        self.session
            .pages_until(
                self.budget,
                region,
                Operation::ListSourceObjects,
                |m, next| async move {
                    m.source_objects_after(region, bucket, prefix, after, next)
                        .await
                },
                take,
            )
            .await
    }

    /// Hands an object over, part by part, until `take` wants no more; what was answered last, or `None`
    /// where there is no such object.
    pub(in crate::collect) async fn each_part(
        &self,
        key: &str,
        mut take: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<Option<SourcePart>, CallError> {
        let mut at = 0;
        loop {
            let Some(part) = self.part(key, at).await? else {
                return Ok(None);
            };
            at += part.bytes.len() as u64;
            let is_last = part.bytes.is_empty() || at >= part.total;
            if !take(&part.bytes) || is_last {
                return Ok(Some(part));
            }
        }
    }

    /// The folders and objects directly below `prefix`, in order.
    pub(in crate::collect) async fn entries(
        &self,
        prefix: &str,
    ) -> Result<Vec<SourceEntry>, CallError> {
        let (region, bucket) = (&self.region, self.bucket.as_str());
        let mut entries = Vec::new();
        let take = |page: Vec<SourceEntry>| {
            entries.extend(page);
            entries.len() >= ENTRIES
        };
        self.session
            .pages_until(
                self.budget,
                region,
                Operation::ListSourceObjects,
                |m, next| async move { m.source_objects(region, bucket, prefix, next).await },
                take,
            )
            .await?;
        Ok(entries)
    }

    /// A small file; `None` where there is none.
    pub(super) async fn small(&self, key: &str) -> Result<Option<Vec<u8>>, Unread> {
        let mut bytes = Vec::new();
        loop {
            let Some(part) = self.part(key, bytes.len() as u64).await? else {
                return Ok(None);
            };
            if part.total > SMALL {
                let file = key.to_owned();
                return Err(ReportError::TooLarge { file }.into());
            }
            let so_far = (bytes.len() + part.bytes.len()) as u64;
            let is_last = part.bytes.is_empty() || so_far >= part.total;
            bytes.extend(part.bytes);
            if is_last {
                return Ok(Some(bytes));
            }
        }
    }

    /// Brings a file to disk. Where its MD5 is stated and this returns it, the checksum is right.
    pub(super) async fn download(&self, key: &str, md5: Option<&str>) -> Result<Local, Unread> {
        let local = Local::new(&self.scratch);
        let created = tokio::fs::File::create(&local.0).await;
        let mut file = created.map_err(ReportError::from)?;
        let mut digest = Md5::new();
        let mut at = 0;
        loop {
            let Some(part) = self.part(key, at).await? else {
                let file = key.to_owned();
                return Err(ReportError::Missing { file }.into());
            };
            digest.update(&part.bytes);
            let written = file.write_all(&part.bytes).await;
            written.map_err(ReportError::from)?;
            at += part.bytes.len() as u64;
            if part.bytes.is_empty() || at >= part.total {
                break;
            }
        }
        file.flush().await.map_err(ReportError::from)?;
        if md5.is_some_and(|stated| !stated.eq_ignore_ascii_case(&hex(&digest.finalize()))) {
            let file = key.to_owned();
            return Err(ReportError::Checksum { file }.into());
        }
        Ok(local)
    }

    /// A range from `at`; `None` where the object does not exist.
    async fn part(&self, key: &str, at: u64) -> Result<Option<SourcePart>, CallError> {
        let (region, bucket) = (&self.region, self.bucket.as_str());
        let answer = self
            .session
            .call(
                self.budget,
                region,
                Operation::GetSourceObject,
                |m| async move { m.source_object(region, bucket, key, at, RANGE).await },
            )
            .await;
        match answer {
            Ok(part) => Ok(Some(part)),
            Err(error) if error.class() == Some(ErrorClass::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A file in the folder for scratch files, removed when dropped.
#[derive(Debug)]
pub(super) struct Local(PathBuf);

impl Local {
    fn new(scratch: &Path) -> Self {
        Self(scratch.join(format!("report-{}", next_number())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A number that no other file of this process has.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
