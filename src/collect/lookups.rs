//! The second pass: keys and log buckets that clusters named, each looked up once.
//!
//! Items are grouped by the account whose coverage they belong to: the owner, where it is an account
//! of the scope, else the account that named them. Policy and tags of a key can be read in the
//! owner's account only (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>);
//! DescribeKey also works across accounts, so a key whose owner cannot be entered is still described
//! with the session of an account that named it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::collect::aliases;
use crate::collect::api::ErrorClass;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::bucket_lookup;
use crate::collect::coverage::{CellEnd, Fault, ItemTally};
use crate::collect::engine::{CollectError, Run, Unlisted, finish, joined};
use crate::collect::facts::Facts;
use crate::collect::key_lookup;
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup, Source};

/// Items of one account and Region that are looked up side by side. Requests in flight have their own
/// bound, over all accounts; this one keeps an account with many keys from waiting for each in turn.
const AT_ONCE: usize = 16;

/// All look-ups of one account's coverage.
#[derive(Debug)]
pub(super) struct Unit {
    account: AccountId,
    keys: BTreeMap<Region, Vec<KeyItem>>,
    buckets: Vec<BucketItem>,
}

/// One key reference to look up.
#[derive(Debug)]
pub(super) struct KeyItem {
    pub arn: KeyArn,
    /// Account whose session asks.
    pub asker: AccountId,
    pub reach: Reach,
}

/// How far the look can go.
#[derive(Debug)]
pub(super) enum Reach {
    /// Asked in the owner's account.
    Owner,
    /// The owner is no account of the scope.
    Foreign,
    /// The owner is in the scope and could not be entered, as this end says.
    Dark(CellEnd),
}

/// One log bucket to look up.
#[derive(Debug)]
pub(super) struct BucketItem {
    pub name: String,
    pub owner: Owner,
    /// From the owner's list, where it told.
    pub region: Option<Region>,
}

/// Who owns a bucket.
#[derive(Debug)]
pub(super) enum Owner {
    /// The unit's account.
    Account,
    /// Every account of the scope was asked, and none lists it.
    NotInScope,
    /// No account lists it, and at least this one could not be asked.
    Unknown(Unlisted),
}

/// How the look-up of one item counts in its cell.
#[derive(Debug, PartialEq)]
pub(super) enum ItemEnd {
    Collected,
    Locked(Fault),
    Failed(CellOutcome, Fault),
}

/// Groups what the first pass found.
pub(super) fn units(run: &Run) -> Vec<Unit> {
    let references = std::mem::take(&mut *lock(&run.references));
    let owners = lock(&run.owners);
    let mut units: BTreeMap<AccountId, Unit> = BTreeMap::new();
    for (arn, named_by) in references.keys {
        let owner = arn.account_id.clone();
        let in_scope = run.scope.account(&owner).is_some_and(|a| a.in_scope);
        let (account, asker, reach) = match (in_scope, run.dark(&owner)) {
            (false, _) => (named_by.clone(), named_by, Reach::Foreign),
            (true, Some(end)) => (owner, named_by, Reach::Dark(end)),
            (true, None) => (owner.clone(), owner, Reach::Owner),
        };
        let keys = &mut unit_of(&mut units, &account).keys;
        keys.entry(arn.region.clone())
            .or_default()
            .push(KeyItem { arn, asker, reach });
    }
    let unlisted = run.unlisted();
    for (name, named_by) in references.buckets {
        let found = owners.of(&name).and_then(|(position, region)| {
            let owner = run.scope.accounts.get(position as usize)?;
            Some((owner.account_id.clone(), region))
        });
        let owner = match (&found, &unlisted) {
            (Some(_), _) => Owner::Account,
            (None, None) => Owner::NotInScope,
            (None, Some(unlisted)) => Owner::Unknown(unlisted.clone()),
        };
        let (account, region) = found.unwrap_or((named_by, None));
        unit_of(&mut units, &account).buckets.push(BucketItem {
            name,
            owner,
            region,
        });
    }
    let is_open = |account: &AccountId, region: &Region, source| {
        let cell = (account.clone(), region.clone(), source);
        !run.finished.lookups.contains(&cell)
    };
    for (account, unit) in &mut units {
        unit.keys
            .retain(|region, _| is_open(account, region, Source::Keys));
        if !is_open(account, &Region::global(), Source::Buckets) {
            unit.buckets.clear();
        }
    }
    units.into_values().collect()
}

fn unit_of<'a>(units: &'a mut BTreeMap<AccountId, Unit>, account: &AccountId) -> &'a mut Unit {
    units.entry(account.clone()).or_insert_with(|| Unit {
        account: account.clone(),
        keys: BTreeMap::new(),
        buckets: vec![],
    })
}

/// Looks up everything of one unit: its Regions and its buckets side by side, each one append.
pub(super) async fn unit(run: Arc<Run>, unit: Unit) -> Result<(), CollectError> {
    if run.scope.account(&unit.account).is_none() {
        return Ok(());
    }
    let sessions = Arc::new(Sessions::new(&run.options().role_name));
    let mut open = JoinSet::new();
    for (region, items) in unit.keys {
        let (run, sessions) = (run.clone(), sessions.clone());
        open.spawn(keys(run, sessions, unit.account.clone(), region, items));
    }
    if !unit.buckets.is_empty() {
        open.spawn(buckets(run, sessions, unit.account, unit.buckets));
    }
    while let Some(ended) = open.join_next().await {
        finish(Some(ended))?;
    }
    Ok(())
}

/// The keys of one account and Region.
async fn keys(
    run: Arc<Run>,
    sessions: Arc<Sessions>,
    account: AccountId,
    region: Region,
    items: Vec<KeyItem>,
) -> Result<(), CollectError> {
    let budget = Arc::new(run.budget());
    let asked_here: Vec<bool> = items
        .iter()
        .map(|item| matches!(item.reach, Reach::Owner))
        .collect();
    let looked = each_item(items, |item| {
        let (run, sessions, budget) = (run.clone(), sessions.clone(), budget.clone());
        async move {
            let session = sessions.of(&run, &item.asker, &budget).await;
            key_lookup::look(&run, session, &item, &budget).await
        }
    })
    .await;
    let mut looked = looked.into_iter().collect::<Result<Vec<_>, _>>()?;
    // One list of aliases tells of all keys that were asked in their owner's account, which is this one.
    let own = looked.iter_mut().zip(&asked_here);
    let mut own: Vec<_> = own
        .filter(|(_, here)| **here)
        .map(|((row, end), _)| (row, end))
        .collect();
    if !own.is_empty()
        && let Ok(session) = sessions.of(&run, &account, &budget).await
    {
        aliases::add(&session, &region, &budget, &mut own).await;
    }
    let mut tally = ItemTally::default();
    let mut facts = Facts::new(account.clone(), region.clone());
    for (row, end) in looked {
        facts.keys.push(row);
        tally.count(end);
    }
    run.append_with(facts, Source::Keys, tally.end(), &budget)
}

/// The log buckets of one account.
async fn buckets(
    run: Arc<Run>,
    sessions: Arc<Sessions>,
    account: AccountId,
    items: Vec<BucketItem>,
) -> Result<(), CollectError> {
    let budget = Arc::new(run.budget());
    let looked = each_item(items, |item| {
        let (run, sessions, budget) = (run.clone(), sessions.clone(), budget.clone());
        let account = account.clone();
        async move {
            match &item.owner {
                Owner::Account => {
                    let session = sessions.of(&run, &account, &budget).await;
                    bucket_lookup::look(&run, session, &account, &item, &budget).await
                }
                Owner::NotInScope => bucket_lookup::foreign(&run, &item),
                Owner::Unknown(why) => bucket_lookup::of_unknown_owner(&run, &item, why),
            }
        }
    })
    .await;
    let mut tally = ItemTally::default();
    let mut facts = Facts::new(account, Region::global());
    for (row, end) in looked {
        facts.buckets.push(row);
        tally.count(end);
    }
    run.append_with(facts, Source::Buckets, tally.end(), &budget)
}

/// Works on several items at once and gives the results in the order of the items, since the last
/// failure speaks for the cell.
async fn each_item<I, T, Fut>(items: Vec<I>, work: impl Fn(I) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut open = JoinSet::new();
    let mut done = Vec::with_capacity(items.len());
    for (position, item) in items.into_iter().enumerate() {
        if open.len() >= AT_ONCE {
            done.extend(joined(open.join_next().await));
        }
        let work = work(item);
        open.spawn(async move { (position, work.await) });
    }
    while let Some(ended) = open.join_next().await {
        done.extend(joined(Some(ended)));
    }
    done.sort_unstable_by_key(|(position, _)| *position);
    done.into_iter().map(|(_, result)| result).collect()
}

impl ItemTally {
    pub(super) fn count(&mut self, end: ItemEnd) {
        match end {
            ItemEnd::Collected => self.collected(),
            ItemEnd::Locked(fault) => self.locked(fault),
            ItemEnd::Failed(outcome, fault) => self.failed(outcome, fault),
        }
    }
}

/// Sessions of several accounts under one role, each opened once, when first needed.
pub(super) struct Sessions {
    role: String,
    opened: Mutex<HashMap<AccountId, Arc<OnceCell<Opened>>>>,
}

type Opened = Result<Arc<Session>, CallError>;

impl Sessions {
    /// No session yet.
    pub(super) fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            opened: Mutex::default(),
        }
    }

    /// The session of an account, or why there is none.
    pub(super) async fn of(&self, run: &Run, account: &AccountId, budget: &Budget) -> Opened {
        run.may_begin()?;
        let cell = lock(&self.opened)
            .entry(account.clone())
            .or_default()
            .clone();
        let opened = cell.get_or_init(|| async {
            let session = Session::open_as(&run.context, account, &self.role, budget).await;
            session.map(Arc::new)
        });
        opened.await.clone()
    }
}

/// The word for a look-up that ended with this error.
pub(super) fn lookup_of(error: &CallError) -> Lookup {
    match error {
        CallError::Api(api) => match api.class {
            class if class.is_denied() => Lookup::Denied,
            ErrorClass::NotFound => Lookup::NotFound,
            _ => Lookup::Failed,
        },
        CallError::OutOfTime { last: None, .. } | CallError::RunEnded => Lookup::NotAttempted,
        CallError::OutOfTime { .. } | CallError::Paginator { .. } => Lookup::Failed,
    }
}

/// How an error counts. A refusal is the item's own when AWS says that the item's policy speaks, or
/// when it understood the question and says something about the item. Every other refusal is a
/// failure of the look: a role that lacks a permission, an organization's policy, or a cause that
/// AWS does not name, since a run must not be COMPLETE on a guess.
pub(super) fn end_of(error: &CallError) -> ItemEnd {
    let fault = Fault::of(error);
    if let CallError::Api(api) = error {
        match api.class {
            ErrorClass::NotFound => return ItemEnd::Collected,
            ErrorClass::Refused | ErrorClass::DeniedByResource => return ItemEnd::Locked(fault),
            _ => {}
        }
    }
    ItemEnd::Failed(error.outcome(), fault)
}

impl ItemEnd {
    /// The worse of two ends of parts of one item.
    pub(super) fn worse(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Failed(..), _) | (Self::Locked(_), Self::Collected | Self::Locked(_)) => self,
            _ => other,
        }
    }
}
