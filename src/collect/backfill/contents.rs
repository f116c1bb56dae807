//! What of a trail there is to read: listed and counted, nothing read.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::places::{self, DigestName};
use super::{BackfillError, Wanted};
use crate::collect::api::SourceEntry;
use crate::collect::attempt::{Budget, CallError};
use crate::collect::engine::{Context, joined};
use crate::collect::history::source::Source;
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};
use crate::time::DAY_MS;

/// Longest duration of what is one cell here; a call that only fails has the usual time.
const LONGEST_MS: i64 = 30 * DAY_MS;

/// One account-region of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub account: AccountId,
    pub region: Region,
    /// The account's folder in the bucket.
    pub folder: String,
    pub logs: u64,
    pub digests: u64,
    /// Of both, as stored.
    pub bytes: u64,
}

/// What there is to read.
#[derive(Debug, Default)]
pub struct Contents {
    /// In order of account and Region.
    pub units: Vec<Unit>,
    /// Accounts that the trail has no folder of.
    pub absent: Vec<AccountId>,
    /// Accounts and Regions of which this cannot be told, and why; `global` for a whole account.
    pub untold: Vec<(AccountId, Region, CallError)>,
    /// Requests that listing took, which are paid for.
    pub lists: u64,
}

impl Contents {
    /// Objects and bytes of all.
    pub fn totals(&self) -> (u64, u64, u64) {
        let units = self.units.iter();
        units.fold((0, 0, 0), |(logs, digests, bytes), unit| {
            (logs + unit.logs, digests + unit.digests, bytes + unit.bytes)
        })
    }
}

/// A budget that ends no backfill early.
pub(super) fn budget(context: &Context) -> Budget {
    let now = context.attempts.clock().now();
    Budget::new(now, now.plus_ms(LONGEST_MS)).with_patience(context.options.cell_deadline)
}

/// The bucket with a session of its owner.
pub(super) async fn open(context: &Context, wanted: &Wanted) -> Result<Arc<Session>, CallError> {
    let budget = budget(context);
    let session = Session::open_as(context, &wanted.owner, &wanted.role, &budget).await?;
    Ok(Arc::new(session))
}

pub(super) fn source<'b>(
    session: &Arc<Session>,
    wanted: &Wanted,
    budget: &'b Budget,
) -> Source<'b> {
    let region = wanted.bucket_region.clone();
    Source::of(session.clone(), region, wanted.place.bucket.clone(), budget)
}

/// Lists what there is to read.
///
/// # Errors
/// When the bucket's owner lets nobody in, when nothing was found and not all was listed, or when the process was told
/// to stop.
pub async fn list(context: &Context, wanted: &Wanted) -> Result<Contents, BackfillError> {
    let session = open(context, wanted).await?;
    let wanted = Arc::new(wanted.clone());
    let mut contents = Contents::default();
    let mut open = JoinSet::new();
    let limit = context.options.concurrency.max(1);
    for account in &wanted.accounts {
        if open.len() >= limit {
            contents.take(joined(open.join_next().await))?;
        }
        open.spawn(of_account(
            context.clone(),
            session.clone(),
            wanted.clone(),
            account.clone(),
        ));
    }
    while let Some(ended) = open.join_next().await {
        contents.take(joined(Some(ended)))?;
    }
    contents
        .units
        .sort_by(|a, b| (&a.account, &a.region).cmp(&(&b.account, &b.region)));
    if contents.units.is_empty() && !contents.untold.is_empty() {
        // Nothing is known of what is there, which is not that there is nothing.
        return Err(contents.untold.swap_remove(0).2.into());
    }
    contents.absent.sort();
    contents
        .untold
        .sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    Ok(contents)
}

impl Contents {
    fn take(&mut self, of_account: Option<Self>) -> Result<(), CallError> {
        let Some(of_account) = of_account else {
            return Ok(());
        };
        for (_, _, error) in &of_account.untold {
            if matches!(error, CallError::RunEnded) {
                return Err(error.clone());
            }
        }
        self.units.extend(of_account.units);
        self.absent.extend(of_account.absent);
        self.untold.extend(of_account.untold);
        self.lists += of_account.lists;
        Ok(())
    }
}

async fn of_account(
    context: Context,
    session: Arc<Session>,
    wanted: Arc<Wanted>,
    account: AccountId,
) -> Contents {
    let budget = budget(&context);
    let source = source(&session, &wanted, &budget);
    let mut contents = Contents::default();
    // An account's own trail is read where the organization's has no folder for a Region.
    let mut regions: Vec<(Region, String)> = Vec::new();
    let folders = wanted.place.folders(&account).into_iter();
    for (folder, above) in folders.flat_map(|f| places::regions(&f).map(|above| (f.clone(), above)))
    {
        match source.entries(&above).await {
            Ok(entries) => {
                for region in entries.iter().filter_map(region_of) {
                    let is_wanted = wanted.regions.as_ref().is_none_or(|r| r.contains(&region));
                    if is_wanted && regions.iter().all(|(known, _)| *known != region) {
                        regions.push((region, folder.clone()));
                    }
                }
            }
            // One row of the account says so.
            Err(error) if contents.untold.is_empty() => {
                contents
                    .untold
                    .push((account.clone(), Region::global(), error))
            }
            Err(_) => {}
        }
    }
    if regions.is_empty() && contents.untold.is_empty() {
        contents.absent.push(account.clone());
    }
    for (region, folder) in regions {
        match unit(&source, &wanted, &account, &region, folder).await {
            Ok(unit) => contents.units.push(unit),
            Err(error) => contents.untold.push((account.clone(), region, error)),
        }
    }
    contents.lists = u64::try_from(budget.tally().calls).unwrap_or_default();
    contents
}

fn region_of(entry: &SourceEntry) -> Option<Region> {
    let folder = entry.folder()?.trim_end_matches('/');
    folder.rsplit('/').next()?.parse().ok()
}

async fn unit(
    source: &Source<'_>,
    wanted: &Wanted,
    account: &AccountId,
    region: &Region,
    folder: String,
) -> Result<Unit, CallError> {
    let mut unit = Unit {
        account: account.clone(),
        region: region.clone(),
        logs: 0,
        digests: 0,
        bytes: 0,
        folder,
    };
    let (first, last) = (wanted.from.plus_days(-1), wanted.to.plus_days(1));
    let above = places::logs(&unit.folder, region);
    let (after, before) = places::days(&above, first, last);
    source
        .objects_between(&above, (&after, &before), |object| {
            unit.logs += 1;
            unit.bytes = unit.bytes.saturating_add(object.bytes);
        })
        .await?;
    for (_, bytes) in digest_names(source, wanted, &unit).await? {
        unit.digests += 1;
        unit.bytes = unit.bytes.saturating_add(bytes);
    }
    Ok(unit)
}

/// The digest files of an account-region in order of their time, with their sizes. A digest of late files that
/// was written after the last day is not among them: what it alone names is then in no digest.
pub(super) async fn digest_names(
    source: &Source<'_>,
    wanted: &Wanted,
    unit: &Unit,
) -> Result<Vec<(DigestName, u64)>, CallError> {
    let above = places::digests(&unit.folder, &unit.region);
    // One that ends at midnight lies in the folder of the next day.
    let (first, last) = (wanted.from.plus_days(-1), wanted.to.plus_days(2));
    let (after, before) = places::days(&above, first, last);
    let mut names = Vec::new();
    source
        .objects_between(&above, (&after, &before), |object| {
            let name = DigestName::parse(&object.name, &unit.region);
            let ours = |name: &DigestName| wanted.trail.as_ref().is_none_or(|t| *t == name.trail);
            if let Some(name) = name.filter(ours) {
                names.push((name, object.bytes));
            }
        })
        .await?;
    names.sort_by(|a, b| (a.0.to, &a.0.object).cmp(&(b.0.to, &b.0.object)));
    Ok(names)
}
