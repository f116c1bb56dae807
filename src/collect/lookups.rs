//! The second pass: keys and log buckets that clusters named, each looked up once.
//!
//! Items are grouped by the account whose coverage they belong to: the owner, where it is an account
//! of the scope, else the account that named them. Policy and tags of a key can be read in the
//! owner's account only (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>);
//! DescribeKey also works across accounts, so a key whose owner cannot be entered is still described
//! with the session of an account that named it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::collect::aliases;
use crate::collect::api::ErrorClass;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::bucket_lookup;
use crate::collect::coverage::{CellEnd, Fault, ItemTally};
use crate::collect::engine::{CollectError, finish, joined};
use crate::collect::facts::Facts;
use crate::collect::key_lookup;
use crate::collect::references::NamedKeys;
use crate::collect::session::Session;
use crate::collect::shared::{Run, Unlisted};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup, Source};

/// Items of one account and Region that are looked up side by side. Requests in flight have their own
/// bound, over all accounts; this one keeps an account with many keys from waiting for each in turn.
const AT_ONCE: usize = 16;

/// All look-ups of one account's coverage.
#[derive(Debug)]
struct Unit {
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

/// What is to be looked up and which account's coverage it belongs to.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Keys of accounts of the scope belong to their owners.
    keys: NamedKeys,
    buckets: BTreeMap<AccountId, Vec<Box<str>>>,
    foreign_keys: BTreeMap<AccountId, Vec<KeyArn>>,
}

impl Targets {
    /// Takes and groups what the first pass found.
    pub(super) fn of(run: &Run) -> Self {
        let mut references = lock(&run.references);
        let mut targets = Self {
            keys: references.take_keys(),
            ..Self::default()
        };
        let mut owners = lock(&run.owners);
        for (name, named_by) in references.take_buckets() {
            let owner = owners.of(&name);
            let owner = owner.and_then(|(at, _)| run.scope.accounts.get(at as usize));
            let account = owner.map_or(named_by, |owner| owner.account_id.clone());
            targets.buckets.entry(account).or_default().push(name);
        }
        for owner in targets.keys.owners().filter(|owner| !in_scope(run, owner)) {
            for (arn, named_by) in targets.keys.of(owner) {
                let keys = targets.foreign_keys.entry(named_by.clone()).or_default();
                keys.push(arn);
            }
        }
        targets
    }

    /// Accounts whose keys are named.
    pub(super) fn key_owners(&self) -> impl Iterator<Item = &AccountId> {
        self.keys.owners()
    }

    /// The log buckets that an account owns, with their Regions where its list told them.
    pub(super) fn owned(&self, run: &Run, account: &AccountId) -> Vec<(String, Option<Region>)> {
        let mut owners = lock(&run.owners);
        let names = self.buckets.get(account).into_iter().flatten();
        let owned = names.filter_map(|name| Some((name.to_string(), owners.of(name)?.1)));
        owned.collect()
    }

    /// The accounts that own log buckets.
    pub(super) fn owners(&self, run: &Run) -> Vec<AccountId> {
        let mut owners = lock(&run.owners);
        let mut any = |names: &[Box<str>]| names.iter().any(|name| owners.of(name).is_some());
        let owning = self.buckets.iter().filter(|(_, names)| any(names));
        owning.map(|(account, _)| account.clone()).collect()
    }
}

fn in_scope(run: &Run, account: &AccountId) -> bool {
    run.scope.account(account).is_some_and(|a| a.in_scope)
}

/// The accounts whose coverage look-ups belong to.
pub(super) fn units(run: &Run) -> Vec<AccountId> {
    let targets = run.targets();
    let owners = targets.key_owners();
    let mut accounts: BTreeSet<&AccountId> = owners.filter(|owner| in_scope(run, owner)).collect();
    accounts.extend(targets.foreign_keys.keys());
    accounts.extend(targets.buckets.keys());
    accounts.into_iter().cloned().collect()
}

impl Unit {
    /// What is to be looked up for an account, but for cells that were found.
    fn of(run: &Run, account: AccountId) -> Self {
        let targets = run.targets();
        let is_open = |region: &Region, source| {
            let cell = (account.clone(), region.clone(), source);
            !run.finished.lookups.contains(&cell)
        };
        let mut keys: BTreeMap<Region, Vec<KeyItem>> = BTreeMap::new();
        let mut add = |item: KeyItem| {
            if is_open(&item.arn.region, Source::Keys) {
                keys.entry(item.arn.region.clone()).or_default().push(item);
            }
        };
        let mut all: Vec<KeyItem> = Vec::new();
        let foreign = targets.foreign_keys.get(&account).into_iter().flatten();
        all.extend(foreign.map(|arn| KeyItem {
            arn: arn.clone(),
            asker: account.clone(),
            reach: Reach::Foreign,
        }));
        if in_scope(run, &account) {
            let end = run.dark(&account);
            for (arn, named_by) in targets.keys.of(&account) {
                let (asker, reach) = match &end {
                    Some(end) => (named_by.clone(), Reach::Dark(end.clone())),
                    None => (account.clone(), Reach::Owner),
                };
                all.push(KeyItem { arn, asker, reach });
            }
        }
        all.sort_by(|a, b| a.arn.cmp(&b.arn));
        all.into_iter().for_each(&mut add);

        let unlisted = run.unlisted();
        let mut owners = lock(&run.owners);
        let names = targets.buckets.get(&account).into_iter().flatten();
        let names = names.filter(|_| is_open(&Region::global(), Source::Buckets));
        let buckets = names.map(|name| {
            let found = owners.of(name);
            BucketItem {
                name: name.to_string(),
                owner: match (&found, &unlisted) {
                    (Some(_), _) => Owner::Account,
                    (None, None) => Owner::NotInScope,
                    (None, Some(unlisted)) => Owner::Unknown(unlisted.clone()),
                },
                region: found.and_then(|(_, region)| region),
            }
        });
        Self {
            buckets: buckets.collect(),
            keys,
            account: account.clone(),
        }
    }
}

/// Looks up everything of one account: some Regions and its buckets side by side, each one append.
pub(super) async fn unit(run: Arc<Run>, account: AccountId) -> Result<(), CollectError> {
    if run.scope.account(&account).is_none() {
        return Ok(());
    }
    let unit = Unit::of(&run, account);
    let sessions = Arc::new(Sessions::new(&run.options().role_name));
    let limit = run.options().regions_at_once.max(1);
    let mut open = JoinSet::new();
    for (region, items) in unit.keys {
        if open.len() >= limit {
            finish(open.join_next().await)?;
        }
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
