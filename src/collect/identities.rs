//! Who is allowed what: roles and users of the accounts that own clusters with logs, or log keys.
//!
//! One account may have thousands of roles. GetAccountAuthorizationDetails is therefore read twice,
//! each time page by page: first groups and managed policies, of which the statements about KMS and
//! S3 stay in memory; then users and roles, each of which is understood when it arrives, and kept
//! only if it concerns a log key. What is kept goes to the sink in pieces.
//!
//! Kept are the roles that clusters write logs and are served with, the principals that a policy or a
//! grant of a log key names, and every principal that its own policies allow anything on a key.
//! Where the policy of a log key means everyone of the account, whoever has a policy about S3 is kept,
//! too: with such a key he may read logs.
//!
//! A principal whose policies could not be read whole is kept too, without them: it may be one of
//! these.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::collect::api::{Identity, IdentityKinds, ListedGroup, ListedPrincipal, PrincipalKind};
use crate::collect::attempt::{Budget, CallError, lock};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::engine::CollectError;
use crate::collect::facts::Facts;
use crate::collect::identity_policy::{Kept, everyone_of, keep, principal_of};
use crate::collect::operation::Operation;
use crate::collect::references::Writers;
use crate::collect::scope::tag_value;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::datasets::Principal;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::model::words::{CellOutcome, Source};

/// Rows that wait for the sink at one time.
const ROWS_AT_ONCE: usize = 500;

/// One account to be read.
#[derive(Debug)]
pub(super) struct Unit {
    account: AccountId,
    writers: Writers,
}

/// The accounts to be read.
pub(super) fn units(run: &Run) -> Vec<AccountId> {
    let mut wanted: BTreeSet<AccountId> = lock(&run.references).writers.keys().cloned().collect();
    wanted.extend(run.targets().key_owners().cloned());
    wanted
        .into_iter()
        .filter(|account| run.scope.account(account).is_some_and(|a| a.in_scope))
        .filter(|account| {
            let cell = (account.clone(), Region::global(), Source::Identities);
            !run.finished.lookups.contains(&cell)
        })
        .collect()
}

/// Reads one account. Its turn comes when all keys were looked up, so that it is known whom they name.
pub(super) async fn unit(run: Arc<Run>, account: AccountId) -> Result<(), CollectError> {
    let writers = lock(&run.references).writers.get(&account).cloned();
    let unit = Unit {
        account,
        writers: writers.unwrap_or_default(),
    };
    let budget = run.budget();
    let global = Region::global();
    let dark = run.dark(&unit.account);
    let mut reading = Reading {
        run: &run,
        unit: &unit,
        policies: HashMap::new(),
        groups: HashMap::new(),
        rows: vec![],
        tally: ItemTally::default(),
        stopped: None,
    };
    match dark {
        Some(end) => reading.tally.failed(end.outcome, end.fault),
        None => {
            if let Err(error) = reading.read(&budget).await {
                reading.tally.failed(error.outcome(), Fault::of(&error));
            }
        }
    }
    if let Some(stopped) = reading.stopped {
        return Err(stopped);
    }
    let (rows, tally) = (reading.rows, reading.tally);
    let mut facts = Facts::new(unit.account.clone(), global);
    facts.principals = rows;
    run.append_with(facts, Source::Identities, tally.end(), &budget)
}

/// What is left of the policies of somebody: `None` for one that was not understood.
type Policy = Option<Arc<Kept>>;

struct Reading<'a> {
    run: &'a Run,
    unit: &'a Unit,
    /// Managed policies by ARN.
    policies: HashMap<String, Policy>,
    groups: HashMap<String, ListedGroup>,
    rows: Vec<Principal>,
    tally: ItemTally,
    /// Why the run cannot go on.
    stopped: Option<CollectError>,
}

impl Reading<'_> {
    async fn read(&mut self, budget: &Budget) -> Result<(), CallError> {
        self.run.may_begin()?;
        let session = Session::open(&self.run.context, &self.unit.account, budget).await?;
        for kinds in [IdentityKinds::Policies, IdentityKinds::Principals] {
            session
                .pages_until(
                    budget,
                    &Region::global(),
                    Operation::GetAccountAuthorizationDetails,
                    |m, next| async move { m.identities(kinds, next).await },
                    |page| {
                        page.into_iter().for_each(|entry| self.take(entry));
                        self.hand_over()
                    },
                )
                .await?;
        }
        Ok(())
    }

    fn take(&mut self, entry: Identity) {
        match entry {
            Identity::Policy(policy) => {
                let kept = policy.document.as_deref().and_then(keep).map(Arc::new);
                self.policies.insert(policy.arn, kept);
            }
            Identity::Group(group) => {
                self.groups.insert(group.name.clone(), group);
            }
            Identity::Principal(principal) => self.principal(principal),
        }
    }

    /// Gives rows to the sink before they become many; whether the run must stop.
    fn hand_over(&mut self) -> bool {
        if self.rows.len() >= ROWS_AT_ONCE {
            let mut facts = Facts::new(self.unit.account.clone(), Region::global());
            facts.principals = std::mem::take(&mut self.rows);
            self.stopped = self.run.append(facts).err();
        }
        self.stopped.is_some()
    }

    fn principal(&mut self, given: ListedPrincipal) {
        let policies = self.policies_of(&given);
        let may_use_keys = policies
            .as_ref()
            .is_none_or(|all| all.iter().any(|p| p.allows_keys));
        let is_meant = |all: &Vec<Arc<Kept>>| {
            let everyone = everyone_of(&self.unit.account);
            all.iter().any(|p| p.says_something) && self.run.is_named(&everyone)
        };
        if !(may_use_keys || policies.as_ref().is_some_and(is_meant) || self.is_named(&given)) {
            return;
        }
        let json = policies.map(|all| {
            // Sorted: who attached what first changes nothing.
            let all: BTreeSet<&str> = all
                .iter()
                .filter(|p| p.says_something)
                .map(|p| p.json.as_str())
                .collect();
            format!("[{}]", all.into_iter().collect::<Vec<_>>().join(","))
        });
        let boundary = given.boundary.as_ref().map(|arn| self.managed(arn));
        let boundary_json = boundary.clone().flatten().map(|kept| kept.json.clone());
        if json.is_some() && boundary.is_none_or(|kept| kept.is_some()) {
            self.tally.collected();
        } else {
            let code = Some("PolicyNotRead".to_owned());
            let fault = Fault {
                code,
                ..Fault::default()
            };
            self.tally.failed(CellOutcome::Failed, fault);
        }
        let tags = &self.run.options().tags;
        let mut profiles = given.instance_profiles;
        profiles.sort_unstable();
        self.rows.push(Principal {
            scheduled_for: self.run.options().scheduled_for,
            account_id: self.unit.account.clone(),
            region: Region::global(),
            principal: given.arn,
            kind: match given.kind {
                PrincipalKind::Role => "role",
                PrincipalKind::User => "user",
            }
            .to_owned(),
            unique_id: given.unique_id,
            instance_profiles: (!profiles.is_empty()).then(|| profiles.join(" ")),
            business_unit: tag_value(&given.tags, tags.business_unit.as_deref()),
            policies_sha256: json.as_deref().map(|j| Sha256Hex::of(j.as_bytes())),
            policies_json: json,
            boundary: given.boundary.filter(|arn| !arn.is_empty()),
            boundary_json,
            looked_up_at: self.run.now(),
        });
    }

    /// All its policies; `None` when one of them was not read.
    fn policies_of(&self, given: &ListedPrincipal) -> Option<Vec<Arc<Kept>>> {
        let mut all = self.policies_in(&given.inline, &given.attached)?;
        for group in &given.groups {
            let group = self.groups.get(group)?;
            all.extend(self.policies_in(&group.inline, &group.attached)?);
        }
        Some(all)
    }

    fn policies_in(&self, inline: &[String], attached: &[String]) -> Option<Vec<Arc<Kept>>> {
        let inline = inline.iter().map(|document| keep(document).map(Arc::new));
        inline
            .chain(attached.iter().map(|arn| self.managed(arn)))
            .collect()
    }

    fn managed(&self, arn: &str) -> Policy {
        self.policies.get(arn).cloned().flatten()
    }

    /// Whether a cluster, or the policy or a grant of a log key, names it.
    fn is_named(&self, given: &ListedPrincipal) -> bool {
        let writers = &self.unit.writers;
        let mut profiles = given.instance_profiles.iter();
        let by_cluster = profiles.any(|profile| writers.has_profile(profile))
            || (given.kind == PrincipalKind::Role && writers.has_role(&given.name));
        let named = |name: &str| self.run.is_named(name);
        by_cluster
            || principal_of(&given.arn).is_some_and(|name| named(&name))
            || given.unique_id.as_deref().is_some_and(named)
            || (given.kind == PrincipalKind::Role
                && named(&format!("{} role {}", self.unit.account, given.name)))
    }
}
