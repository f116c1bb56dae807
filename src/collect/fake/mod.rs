//! A scripted AWS and a clock that never waits, for tests.

mod clock;
mod member;
mod rows;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use self::member::FakeMember;
use crate::collect::api::*;
use crate::collect::attempt::lock;
use crate::collect::operation::Operation;
use crate::model::ids::AccountId;
use crate::time::Clock;

pub(crate) use self::clock::{START, TestClock};
pub(crate) use self::rows::{account, cluster_row, described, id, listed, region};

/// Document of a security configuration that is deleted when somebody asks for it.
pub(crate) const DELETED: &str = "deleted";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub operation: Operation,
    pub account: String,
    pub region: String,
    pub subject: String,
    pub at: i64,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Error(ErrorClass, &'static str, &'static str),
    Hang,
    /// The list gives the same token for ever.
    SameToken,
    /// The list never ends, each time with another token.
    Endless,
    /// The list begins with an empty page that has a token.
    EmptyFirst,
}

#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub operation: Operation,
    pub account: Option<String>,
    pub region: Option<String>,
    pub subject: Option<String>,
    pub skip: usize,
    pub times: usize,
    pub what: What,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeKey {
    pub state: &'static str,
    pub manager: &'static str,
    pub policy: String,
    pub rotates: bool,
    pub tags: Vec<Tag>,
    pub aliases: Vec<String>,
    /// Its policy allows nothing to the reader.
    pub locked: bool,
    pub open_to_others: bool,
    pub grants: Vec<ListedGrant>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeAccount {
    pub regions: Vec<(String, String)>,
    pub clusters: BTreeMap<String, Vec<DescribedCluster>>,
    pub configurations: BTreeMap<String, Vec<(String, String)>>,
    /// By cluster id, newest first.
    pub steps: BTreeMap<String, Vec<ListedStep>>,
    /// By cluster id.
    pub sessions: BTreeMap<String, Vec<ListedSession>>,
    pub log_groups: BTreeMap<String, Vec<DescribedLogGroup>>,
    pub buckets: Vec<(String, String)>,
    /// By bucket.
    pub bucket_policies: BTreeMap<String, String>,
    /// By bucket, slash and name.
    pub objects: BTreeMap<String, ObjectHead>,
    /// Bucket and version.
    pub versions: Vec<(String, ListedVersion)>,
    /// Reports about objects, by bucket, slash and name.
    pub reports: BTreeMap<String, Vec<u8>>,
    pub jobs: Vec<DescribedJob>,
    /// By key ARN.
    pub keys: BTreeMap<String, FakeKey>,
    /// Aliases beside those that `keys` have, in every Region.
    pub aliases: Vec<ListedAlias>,
    pub identities: Vec<Identity>,
    /// By Region: time, name and record of each event.
    pub events: BTreeMap<String, Vec<(i64, &'static str, String)>>,
    pub trails: Vec<ListedTrail>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub caller: CallerIdentity,
    pub organization: Option<Organization>,
    pub listed: Vec<ListedAccount>,
    pub roots: Vec<String>,
    /// Unit to its units and accounts.
    pub tree: BTreeMap<String, (Vec<String>, Vec<AccountId>)>,
    pub account_tags: BTreeMap<String, Vec<Tag>>,
    pub accounts: BTreeMap<String, FakeAccount>,
    pub faults: Vec<Fault>,
    pub calls: Vec<Call>,
    pub page_size: usize,
    pub latency: Duration,
    pub session_life_ms: Option<i64>,
    pub sessions: Vec<AssumeRole>,
    in_flight: usize,
    pub most_in_flight: usize,
}

#[derive(Clone)]
pub(crate) struct FakeCloud {
    pub clock: Arc<TestClock>,
    pub state: Arc<Mutex<State>>,
}

impl FakeCloud {
    pub(crate) fn new(clock: Arc<TestClock>) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(State {
                caller: CallerIdentity {
                    account_id: id("999988887777"),
                    arn: "arn:aws:sts::999988887777:assumed-role/collector/x".to_owned(),
                },
                organization: Some(Organization {
                    id: "o-example".to_owned(),
                    management_account_id: id("000000000001"),
                }),
                listed: vec![],
                roots: vec![],
                tree: BTreeMap::new(),
                account_tags: BTreeMap::new(),
                accounts: BTreeMap::new(),
                faults: vec![],
                calls: vec![],
                page_size: 50,
                latency: Duration::ZERO,
                session_life_ms: Some(3_600_000),
                sessions: vec![],
                in_flight: 0,
                most_in_flight: 0,
            })),
        }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut lock(&self.state))
    }

    pub(crate) fn fault(&self, operation: Operation, what: What) -> FaultBuilder<'_> {
        FaultBuilder {
            cloud: self,
            fault: Fault {
                operation,
                account: None,
                region: None,
                subject: None,
                skip: 0,
                times: usize::MAX,
                what,
            },
        }
    }

    /// Subjects of the calls of one operation, in order.
    pub(crate) fn subjects(&self, operation: Operation) -> Vec<String> {
        self.with(|s| {
            s.calls
                .iter()
                .filter(|c| c.operation == operation)
                .map(|c| c.subject.clone())
                .collect()
        })
    }

    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.subjects(operation).len()
    }

    /// Notes the call and lets the script decide; a paging fault is handed back.
    async fn enter(
        &self,
        operation: Operation,
        account: &str,
        region: &str,
        subject: &str,
    ) -> Result<Option<What>, ApiError> {
        self.clock.touch();
        let (what, latency) = self.with(|s| {
            s.in_flight += 1;
            s.most_in_flight = s.most_in_flight.max(s.in_flight);
            s.calls.push(Call {
                operation,
                account: account.to_owned(),
                region: region.to_owned(),
                subject: subject.to_owned(),
                at: self.clock.now().0,
            });
            let mut what = None;
            for fault in &mut s.faults {
                let matches = fault.operation == operation
                    && fault.account.as_deref().is_none_or(|a| a == account)
                    && fault.region.as_deref().is_none_or(|r| r == region)
                    && fault.subject.as_deref().is_none_or(|t| t == subject);
                if !matches {
                    continue;
                }
                if fault.skip > 0 {
                    fault.skip -= 1;
                } else if fault.times > 0 {
                    fault.times -= 1;
                    what = Some(fault.what.clone());
                    break;
                }
            }
            (what, s.latency)
        });
        struct Leave<'a>(&'a FakeCloud);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.with(|s| s.in_flight -= 1);
            }
        }
        let _leave = Leave(self);
        if !latency.is_zero() {
            self.clock.sleep(latency).await;
        }
        match what {
            Some(What::Error(class, code, message)) => Err(ApiError {
                class,
                operation,
                account: account.to_owned(),
                region: region.to_owned(),
                code: code.to_owned(),
                message: message.to_owned(),
                request_id: Some("req-1".to_owned()),
            }),
            Some(What::Hang) => std::future::pending().await,
            other => Ok(other),
        }
    }

    fn page<T>(&self, items: Vec<T>, next: Option<String>, what: Option<What>) -> Page<T> {
        let size = self.with(|s| s.page_size);
        match what {
            Some(What::SameToken) => {
                return Page {
                    items,
                    next: Some("again".to_owned()),
                };
            }
            Some(What::Endless) => {
                let n: u64 = next.and_then(|n| n.parse().ok()).unwrap_or(0);
                return Page {
                    items: vec![],
                    next: Some((n + 1).to_string()),
                };
            }
            Some(What::EmptyFirst) if next.is_none() => {
                return Page {
                    items: vec![],
                    next: Some("0".to_owned()),
                };
            }
            _ => {}
        }
        let from: usize = next.and_then(|n| n.parse().ok()).unwrap_or(0);
        let total = items.len();
        Page {
            items: items.into_iter().skip(from).take(size).collect(),
            next: (from + size < total).then(|| (from + size).to_string()),
        }
    }
}

pub(crate) struct FaultBuilder<'a> {
    cloud: &'a FakeCloud,
    fault: Fault,
}

impl FaultBuilder<'_> {
    pub(crate) fn account(mut self, account: &str) -> Self {
        self.fault.account = Some(account.to_owned());
        self
    }
    pub(crate) fn region(mut self, region: &str) -> Self {
        self.fault.region = Some(region.to_owned());
        self
    }
    pub(crate) fn subject(mut self, subject: &str) -> Self {
        self.fault.subject = Some(subject.to_owned());
        self
    }
    pub(crate) fn skip(mut self, skip: usize) -> Self {
        self.fault.skip = skip;
        self
    }
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.fault.times = times;
        self
    }
    pub(crate) fn add(self) {
        self.cloud.with(|s| s.faults.push(self.fault));
    }
}

fn unit(id: &str) -> OrganizationalUnit {
    OrganizationalUnit { id: id.to_owned() }
}

#[async_trait]
impl Cloud for FakeCloud {
    async fn caller_identity(&self) -> Result<CallerIdentity, ApiError> {
        self.enter(Operation::GetCallerIdentity, "-", "global", "")
            .await?;
        Ok(self.with(|s| s.caller.clone()))
    }

    async fn organization(&self) -> Result<Organization, ApiError> {
        self.enter(Operation::DescribeOrganization, "-", "global", "")
            .await?;
        self.with(|s| s.organization.clone())
            .ok_or_else(|| ApiError {
                class: ErrorClass::Refused,
                operation: Operation::DescribeOrganization,
                account: "-".to_owned(),
                region: "global".to_owned(),
                code: "AWSOrganizationsNotInUseException".to_owned(),
                message: String::new(),
                request_id: None,
            })
    }

    async fn accounts(&self, next: Option<String>) -> Result<Page<ListedAccount>, ApiError> {
        let what = self
            .enter(Operation::ListAccounts, "-", "global", "")
            .await?;
        Ok(self.page(self.with(|s| s.listed.clone()), next, what))
    }

    async fn roots(&self, next: Option<String>) -> Result<Page<OrganizationalUnit>, ApiError> {
        let what = self.enter(Operation::ListRoots, "-", "global", "").await?;
        Ok(self.page(
            self.with(|s| s.roots.iter().map(|u| unit(u)).collect()),
            next,
            what,
        ))
    }

    async fn units_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<OrganizationalUnit>, ApiError> {
        let op = Operation::ListOrganizationalUnitsForParent;
        let what = self.enter(op, "-", "global", parent).await?;
        let units = self.with(|s| {
            let found = s.tree.get(parent);
            found
                .map(|(u, _)| u.iter().map(|u| unit(u)).collect())
                .unwrap_or_default()
        });
        Ok(self.page(units, next, what))
    }

    async fn accounts_of(
        &self,
        parent: &str,
        next: Option<String>,
    ) -> Result<Page<AccountId>, ApiError> {
        let op = Operation::ListAccountsForParent;
        let what = self.enter(op, "-", "global", parent).await?;
        let accounts = self.with(|s| {
            s.tree
                .get(parent)
                .map(|(_, a)| a.clone())
                .unwrap_or_default()
        });
        Ok(self.page(accounts, next, what))
    }

    async fn account_tags(
        &self,
        account: &AccountId,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError> {
        let op = Operation::ListTagsForResource;
        let what = self.enter(op, "-", "global", account.as_str()).await?;
        let tags = self.with(|s| {
            s.account_tags
                .get(account.as_str())
                .cloned()
                .unwrap_or_default()
        });
        Ok(self.page(tags, next, what))
    }

    async fn assume(&self, role: &AssumeRole) -> Result<Box<dyn Member>, ApiError> {
        self.enter(
            Operation::AssumeRole,
            role.account_id.as_str(),
            "global",
            "",
        )
        .await?;
        let life = self.with(|s| {
            s.sessions.push(role.clone());
            s.session_life_ms
        });
        Ok(Box::new(FakeMember {
            cloud: self.clone(),
            account: role.account_id.clone(),
            expires_at: life.map(|ms| self.clock.now().plus_ms(ms)),
        }))
    }

    fn own_session(&self, account: &AccountId) -> Box<dyn Member> {
        Box::new(FakeMember {
            cloud: self.clone(),
            account: account.clone(),
            expires_at: None,
        })
    }

    fn clock_offset_ms(&self) -> Option<i64> {
        None
    }
}
