//! The second pass: keys and log buckets that clusters named, each looked up once.
//!
//! Items are grouped by the account whose coverage they belong to: the owner, where it is an account
//! of the scope, else the account that named them. Policy and tags of a key can be read in the
//! owner's account only (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html>);
//! DescribeKey also works across accounts, so a key whose owner cannot be entered is still described
//! with the session of an account that named it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::collect::api::ErrorClass;
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::bucket_lookup;
use crate::collect::coverage::{CellEnd, Fault, ItemTally};
use crate::collect::engine::{CollectError, Run, Unlisted};
use crate::collect::facts::Facts;
use crate::collect::key_lookup;
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup, Source};

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
        let budget = run.budget();
        let mut tally = ItemTally::default();
        let mut facts = Facts::new(account.account_id.clone(), region.clone());
        for item in items {
            let session = sessions.of(&item.asker, &budget).await;
            let (row, end) = key_lookup::look(&run, session, &item, &budget).await;
            facts.keys.push(row);
            tally.count(end);
        }
        let cell = run.cell(account, &region, Source::Keys, tally.end(), &budget);
        facts.coverage.push(cell);
        run.append(facts)?;
    }
    if !unit.buckets.is_empty() {
        let global = Region::global();
        let budget = run.budget();
        let mut tally = ItemTally::default();
        let mut facts = Facts::new(account.account_id.clone(), global.clone());
        for item in unit.buckets {
            let (row, end) = match &item.owner {
                Owner::Account => {
                    let session = sessions.of(&account.account_id, &budget).await;
                    bucket_lookup::look(&run, session, account, &item, &budget).await
                }
                Owner::NotInScope => bucket_lookup::foreign(&run, &item),
                Owner::Unknown(why) => bucket_lookup::of_unknown_owner(&run, &item, why),
            };
            facts.buckets.push(row);
            tally.count(end);
        }
        let cell = run.cell(account, &global, Source::Buckets, tally.end(), &budget);
        facts.coverage.push(cell);
        run.append(facts)?;
    }
    Ok(())
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
