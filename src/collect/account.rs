//! The unit of the first pass: one account, from its session to its last Region.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use crate::collect::account_region;
use crate::collect::api::RegionStatus;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{CellEnd, Items};
use crate::collect::engine::{CollectError, Part, finish, is_expected};
use crate::collect::facts::{BucketOwner, Facts};
use crate::collect::operation::Operation;
use crate::collect::options::Regions;
use crate::collect::scope::left_out;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::collect::trails;
use crate::model::datasets::Account;
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Source};

/// Collects the account at `position` of the scope.
pub(super) async fn unit(run: Arc<Run>, position: u32) -> Result<(), CollectError> {
    let Some(account) = run.scope.accounts.get(position as usize) else {
        return Ok(());
    };
    if !is_expected(account) {
        return Ok(());
    }
    let result = collect(&run, position, account).await;
    let progress = run.context.attempts.progress();
    progress.accounts_done.fetch_add(1, Ordering::Relaxed);
    result
}

/// What [`is_looked_into`] needs to know of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstPassEnd {
    pub outcome: CellOutcome,
    /// Of the list of Regions: how many are enabled.
    pub items: Option<i64>,
}

/// Whether every cell is there that [`unit`] writes of an expected account, however each ended.
///
/// `emr`: Regions of the partition where EMR exists; `known`: those in which earlier runs know clusters
/// of the account; `cells`: ends of the account's cells by source and Region. Which Regions are enabled
/// beyond `emr` only AWS knew; how many are stands in the cell of the list.
pub fn is_looked_into(
    account: &Account,
    regions: &Regions,
    emr: &[Region],
    known: &[Region],
    cells: &BTreeMap<(Source, Region), FirstPassEnd>,
) -> bool {
    let list = cells.get(&(Source::Regions, Region::global()));
    let mut enabled = Some(0);
    let asked = match regions {
        Regions::List(regions) => vec![regions.as_slice()],
        Regions::Auto => match list.map(|list| list.outcome) {
            None => return false,
            // What is not enabled has a cell too: region_off.
            Some(CellOutcome::Collected | CellOutcome::Empty) => {
                enabled = list.and_then(|list| list.items);
                vec![emr, known]
            }
            Some(_) => vec![known],
        },
    };
    // Nobody looks at the Regions of an account that an exception takes out.
    let excluded =
        !account.in_scope && account.left_out_because.as_deref() != Some(left_out::STATE);
    let has = |region: &Region| cells.contains_key(&(Source::Clusters, region.clone()));
    let tried = cells.iter().filter(|((source, _), end)| {
        *source == Source::Clusters && end.outcome != CellOutcome::RegionOff
    });
    let all_tried = enabled.is_some_and(|enabled| enabled <= tried.count() as i64);
    excluded || (all_tried && asked.into_iter().flatten().all(has))
}

async fn collect(run: &Arc<Run>, position: u32, account: &Account) -> Result<(), CollectError> {
    let budget = run.budget();
    if !account.in_scope {
        return dark(run, account, &budget, &left_out_end(account));
    }
    let session = match (&run.part, run.may_begin()) {
        (Part::Rest { .. }, _) => Err(CallError::RunEnded),
        (_, Ok(())) => Session::open(&run.context, &account.account_id, &budget).await,
        (_, Err(error)) => Err(error),
    };
    let session = match session {
        Ok(session) => Arc::new(session),
        Err(error) => return dark(run, account, &budget, &CellEnd::error(&error)),
    };
    let global = Region::global();
    let mut facts = Facts::new(account.account_id.clone(), global.clone());
    let owners = async {
        // AssumeRole counts where the account's first question counts.
        let own = run.budget();
        let budget = if asks_regions(run) { &own } else { &budget };
        if !run.lists_buckets() {
            return Ok(None);
        }
        let end = bucket_owners(run, position, account, &session, budget).await?;
        Ok(Some(run.cell(
            account,
            &global,
            Source::BucketOwners,
            end,
            budget,
        )))
    };
    let regions = async {
        let (mut plan, end) = plan(run, account, &session, &budget).await;
        let cell =
            asks_regions(run).then(|| run.cell(account, &global, Source::Regions, end, &budget));
        let first = std::mem::take(&mut plan.first);
        let (scanned, trails) = tokio::join!(
            scan(run, position, account, &session, plan),
            trails::look(run, account, &session, &first)
        );
        (cell, trails, scanned)
    };
    let (owners, (regions, trails, scanned)): (Result<_, CollectError>, _) =
        tokio::join!(owners, regions);
    scanned?;
    // Last of all: with it the account is done.
    facts.coverage.extend(regions);
    if let Some((rows, cell)) = trails {
        facts.trails = rows;
        facts.coverage.push(cell);
    }
    facts.coverage.extend(owners?);
    run.append(facts)
}

/// Asks an account that another process looked into for its buckets.
pub(super) async fn owners_unit(run: Arc<Run>, position: u32) -> Result<(), CollectError> {
    let account = run.scope.accounts.get(position as usize);
    let Some(account) = account.filter(|account| is_expected(account)) else {
        return Ok(());
    };
    let budget = run.budget();
    let end = if !account.in_scope {
        left_out_end(account)
    } else if let Some(end) = run.dark(&account.account_id) {
        end
    } else {
        match Session::open(&run.context, &account.account_id, &budget).await {
            Ok(session) => bucket_owners(&run, position, account, &session, &budget).await?,
            Err(error) => CellEnd::error(&error),
        }
    };
    let facts = Facts::new(account.account_id.clone(), Region::global());
    run.append_with(facts, Source::BucketOwners, end, &budget)
}

fn left_out_end(account: &Account) -> CellEnd {
    let by_state = account.left_out_because.as_deref() == Some(left_out::STATE);
    CellEnd::plain(if by_state {
        CellOutcome::AccountState
    } else {
        CellOutcome::Excluded
    })
}

fn asks_regions(run: &Run) -> bool {
    run.options().regions == Regions::Auto
}

/// An account that is not looked into: its cells all end alike, and the clusters last known alive
/// there stay in the population. Only an approved exclusion takes them out.
fn dark(run: &Run, account: &Account, budget: &Budget, end: &CellEnd) -> Result<(), CollectError> {
    let global = Region::global();
    let unspent = Budget::new(budget.started_at, budget.deadline);
    let mut facts = Facts::new(account.account_id.clone(), global.clone());
    let mut spent = budget;
    if asks_regions(run) {
        let cell = run.cell(account, &global, Source::Regions, end.clone(), spent);
        facts.coverage.push(cell);
        spent = &unspent;
    }
    if run.lists_buckets() {
        let cell = run.cell(account, &global, Source::BucketOwners, end.clone(), spent);
        facts.coverage.push(cell);
    }
    if run.options().launch_days > 0 {
        let cell = run.cell(account, &global, Source::Trails, end.clone(), &unspent);
        facts.coverage.push(cell);
    }
    let regions = match &run.options().regions {
        _ if end.outcome == CellOutcome::Excluded => Vec::new(),
        Regions::List(regions) => regions.clone(),
        Regions::Auto => run.context.known.regions_of(&account.account_id),
    };
    for region in BTreeSet::from_iter(regions) {
        if is_done(run, account, &region) {
            continue;
        }
        let end = end.clone();
        run.append(account_region::unseen(
            run, account, &region, end, &unspent,
        )?)?;
    }
    // Last of all: with it the account is done.
    run.append(facts)
}

fn is_done(run: &Run, account: &Account, region: &Region) -> bool {
    let place = (account.account_id.clone(), region.clone());
    run.finished.regions.contains(&place)
}

/// Which Regions to look at.
struct Plan {
    /// Those to ask about the account as a whole, the surest first.
    first: Vec<Region>,
    scan: BTreeSet<Region>,
    /// EMR exists there, but the account has not turned the Region on.
    off: BTreeSet<Region>,
}

async fn plan(run: &Run, account: &Account, session: &Session, budget: &Budget) -> (Plan, CellEnd) {
    let emr = run.options().emr_regions.iter();
    let emr = emr.filter(|r| r.region.partition() == run.partition());
    let mut known = BTreeSet::from_iter(run.context.known.regions_of(&account.account_id));
    let (mut plan, end) = match &run.options().regions {
        Regions::List(regions) => {
            let plan = Plan {
                first: vec![],
                scan: regions.iter().cloned().collect(),
                off: BTreeSet::new(),
            };
            (plan, CellEnd::plain(CellOutcome::Collected))
        }
        Regions::Auto => match enabled_regions(session, budget).await {
            Ok(scan) => {
                let off = emr.map(|r| r.region.clone()).chain(known);
                let off = off.filter(|r| !scan.contains(r)).collect();
                let items = Items {
                    expected: scan.len() as i64,
                    collected: scan.len() as i64,
                    ..Items::default()
                };
                let end = CellEnd {
                    items: Some(items),
                    ..CellEnd::read(scan.len())
                };
                let first = vec![];
                (Plan { first, scan, off }, end)
            }
            Err(error) => {
                // What nobody can turn off is certainly on; of the others earlier runs may know.
                known.extend(emr.filter(|r| r.always_on).map(|r| r.region.clone()));
                let plan = Plan {
                    first: vec![],
                    scan: known,
                    off: BTreeSet::new(),
                };
                (plan, CellEnd::error(&error))
            }
        },
    };
    let always_on = |r: &Region| {
        let mut all = run.options().emr_regions.iter();
        all.any(|emr| emr.always_on && emr.region == *r)
    };
    plan.first = plan.scan.iter().cloned().collect();
    plan.first.sort_by_key(|region| !always_on(region));
    plan.scan.retain(|region| !is_done(run, account, region));
    plan.off.retain(|region| !is_done(run, account, region));
    (plan, end)
}

/// The Regions that ListRegions calls usable. DISABLING still answers for a while.
pub(super) async fn enabled_regions(
    session: &Session,
    budget: &Budget,
) -> Result<BTreeSet<Region>, CallError> {
    let mut enabled = BTreeSet::new();
    session
        .pages(
            budget,
            &Region::global(),
            Operation::ListRegions,
            |m, next| async move { m.regions(next).await },
            |page: Vec<RegionStatus>| {
                let usable = page.into_iter().filter(|r| {
                    matches!(
                        r.status.as_str(),
                        "ENABLED" | "ENABLED_BY_DEFAULT" | "DISABLING"
                    )
                });
                enabled.extend(usable.map(|r| r.region));
            },
        )
        .await?;
    Ok(enabled)
}

async fn scan(
    run: &Arc<Run>,
    position: u32,
    account: &Account,
    session: &Arc<Session>,
    plan: Plan,
) -> Result<(), CollectError> {
    for region in &plan.off {
        let budget = run.budget();
        let end = CellEnd::plain(CellOutcome::RegionOff);
        run.append(account_region::unseen(run, account, region, end, &budget)?)?;
    }
    let limit = run.options().regions_at_once.max(1);
    let mut open = JoinSet::new();
    for region in plan.scan {
        if open.len() >= limit {
            finish(open.join_next().await)?;
        }
        let (run, session) = (run.clone(), session.clone());
        open.spawn(account_region::unit(run, position, session, region));
    }
    while let Some(ended) = open.join_next().await {
        finish(Some(ended))?;
    }
    Ok(())
}

/// ListBuckets: no S3 call tells who owns a foreign bucket, so every account lists its own.
async fn bucket_owners(
    run: &Run,
    position: u32,
    account: &Account,
    session: &Session,
    budget: &Budget,
) -> Result<CellEnd, CollectError> {
    if let Err(error) = run.may_begin() {
        return Ok(CellEnd::error(&error));
    }
    let global = Region::global();
    let mut count = 0;
    let mut stopped = None;
    let listed = session
        .pages_until(
            budget,
            &global,
            Operation::ListBuckets,
            |m, next| async move { m.buckets(next).await },
            |page| {
                count += page.len();
                let mut facts = Facts::new(account.account_id.clone(), global.clone());
                let mut owners = lock(&run.owners);
                for bucket in page {
                    let name_hash = owners.hash(&bucket.name);
                    owners.add(name_hash, position, bucket.region.as_ref());
                    facts.bucket_owners.push(BucketOwner {
                        account_id: account.account_id.clone(),
                        region: global.clone(),
                        name_hash: name_hash as i64,
                        bucket_region: bucket.region,
                    });
                }
                drop(owners);
                stopped = run.append(facts).err();
                stopped.is_some()
            },
        )
        .await;
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    Ok(match listed {
        Ok(()) => CellEnd::read(count),
        Err(error) => CellEnd::error(&error),
    })
}
