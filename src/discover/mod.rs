//! What a run should look at: the accounts of an organization, of a list, or just one.
//!
//! Every account that the organization lists gets a row, also those left out, with the reason:
//! nothing disappears between the organization and the evidence. Which Regions an account uses is
//! asked inside the account, by `collect`; [`emr_regions`] says where EMR exists.

mod emr_regions;
mod select;
mod units;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::collect::api::{CallerIdentity, Cloud, ListedAccount, Tag};
use crate::collect::attempt::{Attempts, Budget, CallError, MAX_PAGES};
use crate::collect::exceptions::ExceptionRule;
use crate::collect::operation::Operation;
use crate::collect::scope::tag_value;
pub use crate::collect::scope::{EmrRegion, Scope, TagNames, left_out};
use crate::model::datasets::Account;
use crate::model::ids::AccountId;
use crate::time::{Date, UtcMillis};

pub use emr_regions::{EmrRegionsError, emr_regions, parse_emr_regions};

/// How long the very first call may take: a person who mistyped an endpoint is waiting.
const FIRST_CALL: Duration = Duration::from_secs(10);
/// How long any other call, or one list, may take.
const CALL: Duration = Duration::from_secs(30 * 60);

/// However soon the run must be over, its accounts are waited for so long.
const LEAST: Duration = Duration::from_secs(30);

/// Pages of accounts that AWS gives in one burst; the others come at its pace.
const PAGES_AT_ONCE: usize = 12;
/// The tags of so many accounts are there in seconds.
const SOON: usize = 20;

/// A line of the log for so many accounts whose tags were read: of 10,000 accounts it takes an hour.
const TELL_TAGS_EVERY: usize = 250;

/// Where the accounts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// AWS Organizations; with an expected id, that one and no other.
    Organization { expected_id: Option<String> },
    /// The caller's own account.
    SingleAccount,
    /// These accounts.
    AccountList(Vec<AccountId>),
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ScopeRequest {
    pub mode: Mode,
    pub scheduled_for: Date,
    /// Only these accounts, and those below `ous`; all when both are empty.
    pub accounts: Vec<AccountId>,
    /// OU or root ids, matched anywhere in an account's path.
    pub ous: Vec<String>,
    pub exclude_accounts: Vec<AccountId>,
    /// Owner, cost centre and business unit of accounts; AWS is asked for tags only when one is named.
    pub tags: TagNames,
    /// Those of kind `exclude` take accounts out of the scope.
    pub exceptions: Vec<ExceptionRule>,
    /// When the run must be over; `None` sets no bound. Tags have half of the time until then: who owns an
    /// account is worth less than what is in it.
    pub deadline: Option<UtcMillis>,
}

impl ScopeRequest {
    /// Everything that `mode` gives.
    pub fn new(mode: Mode, scheduled_for: Date) -> Self {
        Self {
            mode,
            scheduled_for,
            accounts: vec![],
            ous: vec![],
            exclude_accounts: vec![],
            tags: TagNames::default(),
            exceptions: vec![],
            deadline: None,
        }
    }

    /// Whether the tags of accounts are asked for.
    pub fn asks_tags(&self) -> bool {
        let TagNames {
            owner,
            cost_center,
            business_unit,
            ..
        } = &self.tags;
        [owner, cost_center, business_unit]
            .into_iter()
            .any(Option::is_some)
    }
}

/// Why there is no scope. A run cannot begin without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    #[error(
        "cannot tell who the caller is: {0}; check the credentials, the profile and the endpoint"
    )]
    Caller(CallError),
    #[error(
        "cannot list the organization: {0}; only its management account and accounts that it \
         delegated this to can, others take --account-list FILE"
    )]
    Call(CallError),
    #[error("{}: a paginator that repeats or never ends", .operation.aws_name())]
    Paginator { operation: Operation },
    #[error(
        "account {caller} does not belong to an organization; use --single-account or --account-list FILE"
    )]
    NoOrganization { caller: AccountId },
    #[error(
        "the credentials of account {caller} belong to organization {found}, not {expected}; nothing was looked at"
    )]
    WrongOrganization {
        caller: AccountId,
        expected: String,
        found: String,
    },
    #[error("these selected accounts are not listed: {}; check --accounts, and that they belong to the organization or stand in --account-list", show(.0))]
    UnknownAccounts(Vec<AccountId>),
    #[error("no account was selected; check --accounts, --exclude-accounts and --ou")]
    NothingSelected,
}

fn show(accounts: &[AccountId]) -> String {
    let mut text = accounts
        .iter()
        .take(5)
        .map(AccountId::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if accounts.len() > 5 {
        text.push_str(&format!(" and {} more", accounts.len() - 5));
    }
    text
}

impl From<CallError> for DiscoverError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Paginator { operation, .. } => Self::Paginator { operation },
            other => Self::Call(other),
        }
    }
}

/// Finds the accounts of a run. Reads only; `now` is when it begins.
pub async fn discover(
    cloud: &dyn Cloud,
    attempts: &Attempts,
    request: &ScopeRequest,
    now: UtcMillis,
) -> Result<Scope, DiscoverError> {
    let listing = begin(cloud, attempts, request, now).await?;
    listing.finish(cloud, attempts).await
}

/// Begins to find the accounts of a run: who asks, whose organization it is, and as many accounts as one
/// burst of calls tells.
pub async fn begin(
    cloud: &dyn Cloud,
    attempts: &Attempts,
    request: &ScopeRequest,
    now: UtcMillis,
) -> Result<Listing, DiscoverError> {
    let least = now.plus_ms(LEAST.as_millis() as i64);
    let until = request.deadline.map(|deadline| deadline.max(least));
    let ask = Ask {
        cloud,
        attempts,
        until,
    };
    let first = Budget::new(now, now.plus_ms(FIRST_CALL.as_millis() as i64));
    let caller = attempts
        .own(&first, Operation::GetCallerIdentity, || {
            cloud.caller_identity()
        })
        .await
        .map_err(DiscoverError::Caller)?;
    let mut scope = Scope {
        organization_id: None,
        caller,
        management_account: None,
        accounts: Arc::default(),
    };
    let (listed, next) = match &request.mode {
        Mode::SingleAccount => (vec![bare(&scope.caller.account_id)], None),
        Mode::AccountList(accounts) => (accounts.iter().map(bare).collect(), None),
        Mode::Organization { expected_id } => {
            ask.organization(&mut scope, expected_id.as_deref()).await?
        }
    };
    Ok(Listing {
        tags_until: request
            .deadline
            .map(|deadline| UtcMillis(i64::midpoint(now.0, deadline.0))),
        until,
        request: request.clone(),
        scope,
        listed,
        next,
    })
}

/// A list of accounts that is being read.
#[derive(Debug)]
pub struct Listing {
    request: ScopeRequest,
    /// When no more accounts may be asked for.
    until: Option<UtcMillis>,
    /// When no more tags may be.
    tags_until: Option<UtcMillis>,
    /// Without accounts.
    scope: Scope,
    listed: Vec<ListedAccount>,
    /// Token of the next page.
    next: Option<String>,
}

impl Listing {
    /// Everything about the scope but its accounts.
    pub fn head(&self) -> &Scope {
        &self.scope
    }

    /// Whether what is missing takes no longer than a moment.
    pub fn is_short(&self) -> bool {
        let asks_tags = self.request.asks_tags() && self.listed.len() > SOON;
        self.next.is_none() && !asks_tags
    }

    /// Accounts that certainly belong to the scope, without their tags. Where a place in the tree is still
    /// to be found, nothing is certain.
    pub fn early(&self) -> Scope {
        let mut rows = Vec::new();
        if self.listed.iter().all(|account| account.path.is_some()) {
            rows = select::some_rows(&self.scope, &self.request, self.listed.clone());
        }
        rows.retain(|account| account.in_scope);
        rows.sort_by(|a, b| a.account_id.cmp(&b.account_id));
        // A list that changes while it is read may name an account twice.
        rows.dedup_by(|a, b| a.account_id == b.account_id);
        Scope {
            accounts: Arc::new(rows),
            ..self.scope.clone()
        }
    }

    /// Reads the rest: pages, the places in the tree where the list does not tell them, and tags.
    pub async fn finish(
        self,
        cloud: &dyn Cloud,
        attempts: &Attempts,
    ) -> Result<Scope, DiscoverError> {
        let (mut scope, tags) = self.untagged(cloud, attempts).await?;
        if let Some(tags) = tags {
            tags.read(cloud, attempts, &mut scope).await?;
        }
        Ok(scope)
    }

    /// Reads the rest but for tags, with the question for them where they are wanted.
    pub async fn untagged(
        self,
        cloud: &dyn Cloud,
        attempts: &Attempts,
    ) -> Result<(Scope, Option<Tags>), DiscoverError> {
        let Self {
            request,
            until,
            tags_until,
            mut scope,
            mut listed,
            next,
        } = self;
        let ask = Ask {
            cloud,
            attempts,
            until,
        };
        if next.is_some() {
            listed.extend(ask.accounts(&scope, next, MAX_PAGES).await?.0);
        }
        if let Some(organization) = &scope.organization_id
            && listed.iter().any(|a| a.path.is_none())
        {
            let paths = units::walk(&ask, organization).await?;
            for account in &mut listed {
                if account.path.is_none() {
                    account.path = paths.get(&account.id).cloned();
                }
            }
        }
        scope.accounts = Arc::new(select::rows(&scope, &request, listed)?);
        let tags = request.asks_tags().then_some(Tags {
            names: request.tags,
            until: tags_until,
        });
        Ok((scope, tags))
    }
}

/// Tags of accounts that are still to be read.
#[derive(Debug)]
pub struct Tags {
    names: TagNames,
    /// After that the others stay unread.
    until: Option<UtcMillis>,
}

impl Tags {
    /// Reads them. Whose tags cannot be read has no owner columns, with a warning: that is no reason to look
    /// at nothing.
    ///
    /// # Errors
    /// Only when the run was told to stop.
    pub async fn read(
        self,
        cloud: &dyn Cloud,
        attempts: &Attempts,
        scope: &mut Scope,
    ) -> Result<(), DiscoverError> {
        let ask = Ask {
            cloud,
            attempts,
            until: self.until,
        };
        ask.tags(scope, &self.names).await
    }
}

fn bare(id: &AccountId) -> ListedAccount {
    ListedAccount {
        id: id.clone(),
        name: None,
        state: None,
        path: None,
        joined_at: None,
    }
}

/// Questions to Organizations.
struct Ask<'a> {
    cloud: &'a dyn Cloud,
    attempts: &'a Attempts,
    /// When no more may be asked.
    until: Option<UtcMillis>,
}

impl Ask<'_> {
    fn budget(&self) -> Budget {
        let now = self.attempts.clock().now();
        let own = now.plus_ms(CALL.as_millis() as i64);
        Budget::new(now, self.until.map_or(own, |until| until.min(own)))
    }

    fn is_over(&self) -> bool {
        let now = self.attempts.clock().now();
        self.until.is_some_and(|until| now >= until)
    }

    /// Which organization it is, and its first accounts.
    async fn organization(
        &self,
        scope: &mut Scope,
        expected: Option<&str>,
    ) -> Result<(Vec<ListedAccount>, Option<String>), DiscoverError> {
        let caller = &scope.caller.account_id;
        let organization = self
            .attempts
            .own(&self.budget(), Operation::DescribeOrganization, || {
                self.cloud.organization()
            })
            .await
            .map_err(|error| without_organization(error, &scope.caller))?;
        if let Some(expected) = expected.filter(|e| *e != organization.id) {
            return Err(DiscoverError::WrongOrganization {
                caller: caller.clone(),
                expected: expected.to_owned(),
                found: organization.id,
            });
        }
        let first = self.accounts(scope, None, PAGES_AT_ONCE).await?;
        scope.organization_id = Some(organization.id);
        scope.management_account = Some(organization.management_account_id);
        Ok(first)
    }

    /// Some pages of the organization's accounts.
    async fn accounts(
        &self,
        scope: &Scope,
        next: Option<String>,
        pages: usize,
    ) -> Result<(Vec<ListedAccount>, Option<String>), DiscoverError> {
        self.attempts
            .own_pages_from(
                &self.budget(),
                Operation::ListAccounts,
                next,
                pages,
                |next| self.cloud.accounts(next),
            )
            .await
            .map_err(|error| without_organization(error, &scope.caller))
    }

    /// Owner columns of the accounts in scope, from their tags. AWS grants few of these calls a second:
    /// several are asked at once so that none of those is lost to waiting for an answer.
    async fn tags(&self, scope: &mut Scope, names: &TagNames) -> Result<(), DiscoverError> {
        let accounts = Arc::make_mut(&mut scope.accounts).iter_mut();
        let mut wanted: Vec<&mut Account> = accounts.filter(|a| a.in_scope).collect();
        let ids: Vec<AccountId> = wanted.iter().map(|a| a.account_id.clone()).collect();
        if ids.len() > TELL_TAGS_EVERY {
            tracing::info!(accounts = ids.len(), "reading the tags of accounts");
        }
        let next = AtomicUsize::new(0);
        let unread = Unread::default();
        let lane = || self.tags_of(&ids, &next, &unread);
        // As many as AWS lets through in one burst.
        let (a, b, c, d, e, f, g, h) = tokio::try_join!(
            lane(),
            lane(),
            lane(),
            lane(),
            lane(),
            lane(),
            lane(),
            lane()
        )?;
        let read = [a, b, c, d, e, f, g, h];
        let left = ids.len() - read.iter().map(Vec::len).sum::<usize>();
        for (position, tags) in read.into_iter().flatten() {
            let Some(account) = wanted.get_mut(position) else {
                continue;
            };
            account.owner = tag_value(&tags, names.owner.as_deref());
            account.cost_center = tag_value(&tags, names.cost_center.as_deref());
            account.business_unit = tag_value(&tags, names.business_unit.as_deref());
        }
        unread.tell(left);
        Ok(())
    }

    /// Takes accounts from `next` on and reads their tags, by position.
    async fn tags_of(
        &self,
        ids: &[AccountId],
        next: &AtomicUsize,
        unread: &Unread,
    ) -> Result<Vec<(usize, Vec<Tag>)>, CallError> {
        let mut read = Vec::new();
        loop {
            if unread.is_refused() || self.is_over() {
                return Ok(read);
            }
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(id) = ids.get(position) else {
                return Ok(read);
            };
            let tags = self
                .attempts
                .own_pages(&self.budget(), Operation::ListTagsForResource, |page| {
                    self.cloud.account_tags(id, page)
                })
                .await;
            match tags {
                Ok(tags) => read.push((position, tags)),
                Err(CallError::RunEnded) => return Err(CallError::RunEnded),
                Err(error) => unread.keep(id, &error),
            }
            if (position + 1).is_multiple_of(TELL_TAGS_EVERY) {
                let (asked, accounts) = (position + 1, ids.len());
                tracing::info!(asked, accounts, "reading the tags of accounts");
            }
        }
    }
}

/// Tags that nobody could read: these owners stay unknown, and the run goes on.
#[derive(Default)]
struct Unread {
    refused: AtomicBool,
    /// The first account that was refused, and why.
    first: OnceLock<String>,
}

impl Unread {
    /// Whether the caller may not ask at all: then no other account need be asked for.
    fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn keep(&self, id: &AccountId, error: &CallError) {
        if let CallError::Api(e) = error
            && (e.class.is_denied() || e.code.contains("AWSOrganizationsNotInUse"))
        {
            self.refused.store(true, Ordering::Relaxed);
        }
        self.first.get_or_init(|| format!("account {id}: {error}"));
    }

    /// Says so of as many accounts as are left.
    fn tell(self, left: usize) {
        let of = match left {
            0 => return,
            1 => "1 account".to_owned(),
            n => format!("{n} accounts"),
        };
        let why = self.first.into_inner();
        let why = why.unwrap_or_else(|| "half of the time until the deadline is over".to_owned());
        tracing::warn!(
            "tags of {of} are unknown ({why}): their owner, cost centre and business unit stay empty"
        );
    }
}

fn without_organization(error: CallError, caller: &CallerIdentity) -> DiscoverError {
    match &error {
        CallError::Api(e) if e.code.contains("AWSOrganizationsNotInUse") => {
            DiscoverError::NoOrganization {
                caller: caller.account_id.clone(),
            }
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
