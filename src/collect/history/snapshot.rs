//! What lay in a bucket at a moment: the newest inventory report of it that is whole, or the newest export
//! of its metadata table, which also knows keys; and what lay there at two moments.

use std::sync::Arc;

use super::export;
use super::inventory::{self, Inventory, folder_time};
use super::rows::{self, Layout, VersionRow};
use super::source::{Source, Unread};
use super::{ReportError, folders::LogFolders};
use crate::collect::api::{InventoryConfiguration, SourceEntry};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::ids::Region;
use crate::time::UtcMillis;

/// Newest folders that are looked at for one that is whole: a report is written over hours.
const NEWEST: usize = 10;

/// A log bucket, seen with its owner's reader role.
pub(super) struct Here<'a> {
    pub run: &'a Run,
    pub reader: &'a Session,
    pub budget: &'a Budget,
    pub region: &'a Region,
    pub bucket: &'a str,
    pub folders: &'a Arc<LogFolders>,
}

/// A report that can be read.
pub(super) struct Snapshot<'a> {
    source: Source<'a>,
    bucket: &'a str,
    layout: Layout,
    /// Key and MD5.
    files: Vec<(String, Option<String>)>,
    pub as_of: UtcMillis,
    /// Whether older versions are listed too.
    pub lists_versions: bool,
    /// `inventory` or `metadata_table`.
    pub told_by: &'static str,
}

impl<'a> Snapshot<'a> {
    /// The newest of a moment that `is_in_time` accepts: an export before an inventory, since it knows keys.
    pub(super) async fn newest(
        here: &Here<'a>,
        is_in_time: impl Fn(UtcMillis) -> bool,
    ) -> Result<Self, Unread> {
        match Self::exports(here, &is_in_time, 1).await?.pop() {
            Some(export) => Ok(export),
            None => Self::inventory(here, &is_in_time).await,
        }
    }

    /// The newest whole exports, at most `limit`, the newest first.
    pub(super) async fn exports(
        here: &Here<'a>,
        is_in_time: &impl Fn(UtcMillis) -> bool,
        limit: usize,
    ) -> Result<Vec<Self>, Unread> {
        let mut found = Vec::new();
        for place in &here.run.options().metadata_exports {
            let source = Source::open(here.run, &place.bucket, here.region, here.budget).await?;
            let above = format!("{}{}/", place.folder(), here.bucket);
            let folders = dated(&source.entries(&above).await?).into_iter();
            for (as_of, folder) in folders.filter(|(at, _)| is_in_time(*at)).take(NEWEST) {
                if found.len() == limit {
                    break;
                }
                let listed = source.entries(&folder).await?;
                let names = || listed.iter().filter_map(SourceEntry::object);
                if !names().any(|name| name == format!("{folder}{}", export::SUCCESS)) {
                    continue;
                }
                let files = names().filter(|name| export::is_data(name));
                found.push(Self {
                    files: files.map(|name| (name.to_owned(), None)).collect(),
                    source: source.clone(),
                    bucket: here.bucket,
                    layout: Layout::Parquet,
                    as_of,
                    lists_versions: true,
                    told_by: "metadata_table",
                });
            }
        }
        found.sort_by_key(|export| std::cmp::Reverse(export.as_of));
        found.truncate(limit);
        Ok(found)
    }

    /// The newest two, the newer one first: of exports, else of inventory reports that tell encryption. `None`
    /// where there are no two.
    pub(super) async fn newest_two(here: &Here<'a>) -> Result<Option<[Self; 2]>, Unread> {
        let pair = |found: Vec<Self>| <[Self; 2]>::try_from(found).ok();
        if let Some(exports) = pair(Self::exports(here, &|_| true, 2).await?) {
            return Ok(Some(exports));
        }
        let configuration = chosen(here).await?;
        if !configuration.tells_encryption {
            return Ok(None);
        }
        let reports = Reports::of(here, &configuration).await?;
        if reports.folders.len() < 2 {
            return Ok(None);
        }
        Ok(pair(reports.newest(|_| true, 2).await?))
    }

    async fn inventory(
        here: &Here<'a>,
        is_in_time: &impl Fn(UtcMillis) -> bool,
    ) -> Result<Self, Unread> {
        let configuration = chosen(here).await?;
        let reports = Reports::of(here, &configuration).await?;
        let newest = reports.newest(is_in_time, 1).await?.pop();
        newest.ok_or(Unread::Absent("NoCompleteReport"))
    }
    /// Shows every version to `add`, file after file. Each is on disk alone, checked, for as long as it is
    /// read; `state` is given back only when all were.
    pub(super) async fn read<S: Send + 'static>(
        &self,
        mut state: S,
        add: impl Fn(&mut S, &VersionRow<'_>) -> Result<(), ReportError> + Copy + Send + 'static,
    ) -> Result<S, Unread> {
        for (key, md5) in &self.files {
            let local = self.source.download(key, md5.as_deref()).await?;
            let (layout, bucket) = (self.layout.clone(), self.bucket.to_owned());
            let name = key.clone();
            state = in_background(move || {
                let mut take = |row: &VersionRow<'_>| add(&mut state, row);
                rows::read(local.path(), &name, &layout, &bucket, &mut take)?;
                Ok(state)
            })
            .await?;
        }
        Ok(state)
    }
}

/// The reports of one inventory configuration.
struct Reports<'a> {
    source: Source<'a>,
    bucket: &'a str,
    /// What all its reports lie below.
    above: String,
    /// Every dated folder, the newest first.
    folders: Vec<(UtcMillis, String)>,
}

impl<'a> Reports<'a> {
    async fn of(here: &Here<'a>, configuration: &InventoryConfiguration) -> Result<Self, Unread> {
        let destination = configuration.destination.as_ref();
        let destination = destination.ok_or(Unread::Absent(NO_INVENTORY))?;
        let source = Source::open(here.run, &destination.bucket, here.region, here.budget).await?;
        let above = match destination.prefix.trim_matches('/') {
            "" => format!("{}/{}/", here.bucket, configuration.id),
            prefix => format!("{prefix}/{}/{}/", here.bucket, configuration.id),
        };
        let folders = dated(&source.entries(&above).await?);
        Ok(Self {
            source,
            bucket: here.bucket,
            above,
            folders,
        })
    }

    /// The newest whole reports of moments that `is_in_time` accepts, at most `limit`.
    async fn newest(
        &self,
        is_in_time: impl Fn(UtcMillis) -> bool,
        limit: usize,
    ) -> Result<Vec<Snapshot<'a>>, Unread> {
        let source = &self.source;
        let mut found = Vec::new();
        let folders = self.folders.iter().filter(|(at, _)| is_in_time(*at));
        for (_, folder) in folders.take(NEWEST) {
            if found.len() == limit {
                break;
            }
            let name = format!("{folder}{}", inventory::MANIFEST);
            let checksum = format!("{folder}{}", inventory::CHECKSUM);
            // The checksum is written last.
            let Some(checksum) = source.small(&checksum).await? else {
                continue;
            };
            let json = source.small(&name).await?;
            let json = json.ok_or_else(|| ReportError::Missing { file: name.clone() })?;
            let read = Inventory::read(&name, &json, &checksum, self.bucket, &self.above)?;
            let files = read.files.into_iter();
            found.push(Snapshot {
                source: source.clone(),
                bucket: self.bucket,
                layout: read.layout,
                files: files.map(|file| (file.key, Some(file.md5))).collect(),
                as_of: read.created_at,
                lists_versions: read.lists_versions,
                told_by: "inventory",
            });
        }
        Ok(found)
    }
}

/// Runs what computes for long where it holds nobody up.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReportError> + Send + 'static,
) -> Result<T, Unread> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(CallError::RunEnded.into()),
    }
}

const NO_INVENTORY: &str = "NoInventory";

/// The inventory that tells most: one that is on and leaves no log folder out; all versions before current
/// ones, with encryption before without, then by name.
async fn chosen(here: &Here<'_>) -> Result<InventoryConfiguration, Unread> {
    let (region, bucket) = (here.region, here.bucket);
    let mut all: Vec<InventoryConfiguration> = Vec::new();
    here.reader
        .pages(
            here.budget,
            region,
            Operation::ListBucketInventoryConfigurations,
            |m, next| async move { m.bucket_inventories(region, bucket, next).await },
            |page| all.extend(page),
        )
        .await?;
    let covers = |inventory: &InventoryConfiguration| {
        let only = inventory.only_below.as_deref().unwrap_or_default();
        let mut names = here.folders.names().iter();
        names.all(|folder| folder.starts_with(only))
    };
    all.retain(|i| i.is_enabled && i.destination.is_some() && covers(i));
    all.sort_by_key(|i| (!i.all_versions, !i.tells_encryption, i.id.clone()));
    let mut all = all.into_iter();
    all.next().ok_or(Unread::Absent(NO_INVENTORY))
}

/// The folders of moments, the newest first.
fn dated(entries: &[SourceEntry]) -> Vec<(UtcMillis, String)> {
    let folders = entries.iter().filter_map(SourceEntry::folder);
    let mut dated: Vec<_> = folders
        .filter_map(|name| Some((folder_time(name)?, name.to_owned())))
        .collect();
    dated.sort_unstable_by(|a, b| b.cmp(a));
    dated
}
