//! The second pass: keys and log buckets that clusters named, each looked up once.
//!
//! Items are grouped by the account whose coverage they belong to: the owner, where it is an account
//! of the scope, else the account that named them. Policy and tags of a key can be read in the
//! owner's account only (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>);
//! DescribeKey also works across accounts, so a key whose owner cannot be entered is still described
//! with the session of an account that named it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::collect::api::ErrorClass;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::bucket_lookup;
use crate::collect::coverage::{CellEnd, Fault, ItemTally};
use crate::collect::engine::{CollectError, Run};
use crate::collect::facts::Facts;
use crate::collect::key_lookup;
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup, Source};

/// Items of one cell that are looked up together. Log keys and buckets of many accounts may all lie
/// in one, so that one after the other would take longer than everything else; each still waits for
/// its tokens and for a place among the requests in flight.
const ITEMS_AT_ONCE: usize = 8;

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
    /// Whether the unit's account owns it; nobody of the scope does otherwise.
    pub owned: bool,
    /// From the owner's list, where it told.
    pub region: Option<Region>,
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
    let dark = lock(&run.dark);
    let mut units: BTreeMap<AccountId, Unit> = BTreeMap::new();
    for (arn, named_by) in references.keys {
        let owner = arn.account_id.clone();
        let in_scope = run.scope.account(&owner).is_some_and(|a| a.in_scope);
        let (account, asker, reach) = match (in_scope, dark.get(&owner)) {
            (false, _) => (named_by.clone(), named_by, Reach::Foreign),
            (true, Some(end)) => (owner, named_by, Reach::Dark(end.clone())),
            (true, None) => (owner.clone(), owner, Reach::Owner),
        };
        let keys = &mut unit_of(&mut units, &account).keys;
        keys.entry(arn.region.clone())
            .or_default()
            .push(KeyItem { arn, asker, reach });
    }
    for (name, named_by) in references.buckets {
        let found = owners.of(&name).and_then(|(position, region)| {
            let owner = run.scope.accounts.get(position as usize)?;
            Some((owner.account_id.clone(), region))
        });
        let owned = found.is_some();
        let (account, region) = found.unwrap_or((named_by, None));
        unit_of(&mut units, &account).buckets.push(BucketItem {
            name,
            owned,
            region,
        });
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

/// Looks up everything of one unit; one append per Region, one for the buckets.
pub(super) async fn unit(run: Arc<Run>, unit: Unit) -> Result<(), CollectError> {
    let Some(account) = run.scope.account(&unit.account) else {
        return Ok(());
    };
    let mut sessions = Sessions {
        run: &run,
        open: HashMap::new(),
    };
    for (region, items) in unit.keys {
        let budget = Arc::new(run.budget());
        let mut looks = Looks::default();
        for item in items {
            let session = sessions.of(&item.asker, &budget).await;
            let (run, budget) = (run.clone(), budget.clone());
            let look = async move { key_lookup::look(&run, session, &item, &budget).await };
            looks.add(look).await;
        }
        let mut facts = Facts::new(account.account_id.clone(), region.clone());
        let tally = looks.finish(&mut facts.keys).await;
        let cell = run.cell(account, &region, Source::Keys, tally.end(), &budget);
        facts.coverage.push(cell);
        run.append(facts)?;
    }
    if !unit.buckets.is_empty() {
        let global = Region::global();
        let budget = Arc::new(run.budget());
        let mut looks = Looks::default();
        for item in unit.buckets {
            let owner = if item.owned {
                Some(sessions.of(&account.account_id, &budget).await)
            } else {
                None
            };
            let (run, budget, account) = (run.clone(), budget.clone(), account.clone());
            let look = async move {
                match owner {
                    Some(session) => {
                        bucket_lookup::look(&run, session, &account, &item, &budget).await
                    }
                    None => bucket_lookup::unowned(&run, &item),
                }
            };
            looks.add(look).await;
        }
        let mut facts = Facts::new(account.account_id.clone(), global.clone());
        let tally = looks.finish(&mut facts.buckets).await;
        let cell = run.cell(account, &global, Source::Buckets, tally.end(), &budget);
        facts.coverage.push(cell);
        run.append(facts)?;
    }
    Ok(())
}

/// Look-ups under way in one cell. Dropping them stops them.
struct Looks<R> {
    open: JoinSet<(usize, R, ItemEnd)>,
    ended: BTreeMap<usize, (R, ItemEnd)>,
    added: usize,
}

impl<R> Default for Looks<R> {
    fn default() -> Self {
        Self {
            open: JoinSet::new(),
            ended: BTreeMap::new(),
            added: 0,
        }
    }
}

impl<R: Send + 'static> Looks<R> {
    /// Starts one more, when there is a place for it.
    async fn add(&mut self, look: impl Future<Output = (R, ItemEnd)> + Send + 'static) {
        if self.open.len() >= ITEMS_AT_ONCE {
            self.join().await;
        }
        let position = self.added;
        self.added += 1;
        self.open.spawn(async move {
            let (row, end) = look.await;
            (position, row, end)
        });
    }

    /// Waits for all of them. Rows and ends count in the order of the items, whichever came first.
    async fn finish(mut self, rows: &mut Vec<R>) -> ItemTally {
        while !self.open.is_empty() {
            self.join().await;
        }
        let mut tally = ItemTally::default();
        for (row, end) in self.ended.into_values() {
            rows.push(row);
            tally.count(end);
        }
        tally
    }

    async fn join(&mut self) {
        match self.open.join_next().await {
            Some(Ok((position, row, end))) => {
                self.ended.insert(position, (row, end));
            }
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Nobody cancels one alone.
            Some(Err(_)) | None => {}
        }
    }
}

impl ItemTally {
    fn count(&mut self, end: ItemEnd) {
        match end {
            ItemEnd::Collected => self.collected(),
            ItemEnd::Locked(fault) => self.locked(fault),
            ItemEnd::Failed(outcome, fault) => self.failed(outcome, fault),
        }
    }
}

/// Sessions of one unit, opened when first needed; usually one.
struct Sessions<'a> {
    run: &'a Run,
    open: HashMap<AccountId, Result<Arc<Session>, CallError>>,
}

impl Sessions<'_> {
    async fn of(
        &mut self,
        account: &AccountId,
        budget: &Budget,
    ) -> Result<Arc<Session>, CallError> {
        self.run.may_begin()?;
        if let Some(session) = self.open.get(account) {
            return session.clone();
        }
        let session = Session::open(&self.run.context, account, budget)
            .await
            .map(Arc::new);
        self.open.insert(account.clone(), session.clone());
        session
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
