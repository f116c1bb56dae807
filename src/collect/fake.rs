//! A scripted AWS and a clock that never waits, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::collect::api::*;
use crate::collect::attempt::lock;
use crate::collect::operation::Operation;
use crate::model::datasets::{Account, EmrCluster};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Seen, Settings};
use crate::time::{Clock, UtcMillis};

/// 2026-11-24T02:00:00Z.
pub(crate) const START: i64 = 1_795_485_600_000;

/// Virtual time: it moves to the earliest sleeper once nobody has done anything for a while. For
/// the current-thread runtime.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Ticks>);

#[derive(Debug)]
struct Ticks {
    now: i64,
    activity: u64,
    next: u64,
    sleepers: BTreeSet<(i64, u64)>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ticks {
            now: START,
            activity: 0,
            next: 0,
            sleepers: BTreeSet::new(),
        })))
    }

    fn touch(&self) {
        lock(&self.0).activity += 1;
    }
}

struct Sleeper<'a>(&'a TestClock, (i64, u64));

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).sleepers.remove(&self.1);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(lock(&self.0).now)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let me = {
                let mut t = lock(&self.0);
                t.next += 1;
                t.activity += 1;
                let me = (t.now + duration.as_millis() as i64, t.next);
                t.sleepers.insert(me);
                Sleeper(self, me)
            };
            let mut idle = (0, 0);
            loop {
                {
                    let mut t = lock(&self.0);
                    if t.now >= me.1.0 {
                        return;
                    }
                    idle = if idle.0 == t.activity {
                        (idle.0, idle.1 + 1)
                    } else {
                        (t.activity, 0)
                    };
                    if idle.1 > 20 && t.sleepers.first() == Some(&me.1) {
                        t.now = me.1.0;
                        t.activity += 1;
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        })
    }
}

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
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeAccount {
    pub regions: Vec<(String, String)>,
    pub clusters: BTreeMap<String, Vec<DescribedCluster>>,
    pub configurations: BTreeMap<String, Vec<(String, String)>>,
    pub buckets: Vec<(String, String)>,
    /// By key ARN.
    pub keys: BTreeMap<String, FakeKey>,
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

fn unit(id: &String) -> OrganizationalUnit {
    OrganizationalUnit { id: id.clone() }
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
            self.with(|s| s.roots.iter().map(unit).collect()),
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
                .map(|(u, _)| u.iter().map(unit).collect())
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

struct FakeMember {
    cloud: FakeCloud,
    account: AccountId,
    expires_at: Option<UtcMillis>,
}

impl FakeMember {
    async fn enter(
        &self,
        operation: Operation,
        region: &str,
        subject: &str,
    ) -> Result<Option<What>, ApiError> {
        if self
            .expires_at
            .is_some_and(|end| end <= self.cloud.clock.now())
        {
            return Err(self.error(operation, region, ErrorClass::Expired, "ExpiredToken", ""));
        }
        self.cloud
            .enter(operation, self.account.as_str(), region, subject)
            .await
    }

    fn error(
        &self,
        operation: Operation,
        region: &str,
        class: ErrorClass,
        code: &str,
        message: &str,
    ) -> ApiError {
        ApiError {
            class,
            operation,
            account: self.account.to_string(),
            region: region.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: Some("req-2".to_owned()),
        }
    }

    fn mine<T: Default>(&self, read: impl FnOnce(&FakeAccount) -> T) -> T {
        self.cloud
            .with(|s| s.accounts.get(self.account.as_str()).map(read))
            .unwrap_or_default()
    }

    /// The key behind a key or alias ARN, as far as this caller may see it.
    fn find_key(
        &self,
        operation: Operation,
        region: &Region,
        arn: &str,
    ) -> Result<(String, FakeKey), ApiError> {
        let owner = arn.split(':').nth(4).unwrap_or_default().to_owned();
        let found = self.cloud.with(|s| {
            let keys = s.accounts.get(&owner).map(|a| a.keys.clone());
            keys.unwrap_or_default()
                .into_iter()
                .find(|(k, v)| k == arn || v.aliases.iter().any(|a| a == arn))
        });
        let denied = "because no resource-based policy allows the action";
        let region = region.as_str();
        match found {
            None => Err(self.error(
                operation,
                region,
                ErrorClass::NotFound,
                "NotFoundException",
                "",
            )),
            Some((_, key))
                if key.locked || (owner != self.account.as_str() && !key.open_to_others) =>
            {
                let code = "AccessDeniedException";
                Err(self.error(operation, region, ErrorClass::DeniedIam, code, denied))
            }
            Some(found) => Ok(found),
        }
    }
}

#[async_trait]
impl Member for FakeMember {
    fn expires_at(&self) -> Option<UtcMillis> {
        self.expires_at
    }

    async fn regions(&self, next: Option<String>) -> Result<Page<RegionStatus>, ApiError> {
        let what = self.enter(Operation::ListRegions, "global", "").await?;
        let regions = self.mine(|a| {
            let status = |(r, s): &(String, String)| RegionStatus {
                region: region(r),
                status: s.clone(),
            };
            a.regions.iter().map(status).collect()
        });
        Ok(self.cloud.page(regions, next, what))
    }

    async fn clusters(
        &self,
        region: &Region,
        filter: &ClusterFilter,
        next: Option<String>,
    ) -> Result<Page<ListedCluster>, ApiError> {
        let kind = if filter.states.iter().any(|s| s == "RUNNING") {
            "active"
        } else {
            "ended"
        };
        let what = self
            .enter(Operation::ListClusters, region.as_str(), kind)
            .await?;
        let clusters = self.mine(|a| {
            let all = a.clusters.get(region.as_str()).cloned().unwrap_or_default();
            all.into_iter()
                .map(|c| c.listed)
                .filter(|c| filter.states.contains(&c.state))
                .filter(|c| {
                    filter
                        .created_after
                        .is_none_or(|t| c.created_at.is_none_or(|at| at >= t))
                })
                .collect()
        });
        Ok(self.cloud.page(clusters, next, what))
    }

    async fn cluster(&self, region: &Region, id: &str) -> Result<DescribedCluster, ApiError> {
        let op = Operation::DescribeCluster;
        self.enter(op, region.as_str(), id).await?;
        self.mine(|a| {
            let all = a.clusters.get(region.as_str())?;
            all.iter().find(|c| c.listed.id == id).cloned()
        })
        .ok_or_else(|| {
            let code = "InvalidRequestException";
            self.error(
                op,
                region.as_str(),
                ErrorClass::Refused,
                code,
                "Cluster id is not valid.",
            )
        })
    }

    async fn security_configurations(
        &self,
        region: &Region,
        next: Option<String>,
    ) -> Result<Page<ListedSecurityConfiguration>, ApiError> {
        let op = Operation::ListSecurityConfigurations;
        let what = self.enter(op, region.as_str(), "").await?;
        let listed = self.mine(|a| {
            let all = a
                .configurations
                .get(region.as_str())
                .cloned()
                .unwrap_or_default();
            all.into_iter()
                .map(|(name, _)| ListedSecurityConfiguration {
                    name,
                    created_at: Some(UtcMillis(START)),
                })
                .collect()
        });
        Ok(self.cloud.page(listed, next, what))
    }

    async fn security_configuration(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<DescribedSecurityConfiguration, ApiError> {
        let op = Operation::DescribeSecurityConfiguration;
        self.enter(op, region.as_str(), name).await?;
        let document = self.mine(|a| {
            let all = a.configurations.get(region.as_str())?;
            all.iter().find(|(n, _)| n == name).map(|(_, d)| d.clone())
        });
        Ok(DescribedSecurityConfiguration {
            name: name.to_owned(),
            created_at: None,
            document: document.unwrap_or_default(),
        })
    }

    async fn buckets(&self, next: Option<String>) -> Result<Page<OwnedBucket>, ApiError> {
        let what = self.enter(Operation::ListBuckets, "global", "").await?;
        let buckets = self.mine(|a| {
            let owned = |(name, r): &(String, String)| OwnedBucket {
                name: name.clone(),
                region: (!r.is_empty()).then(|| region(r)),
            };
            a.buckets.iter().map(owned).collect()
        });
        Ok(self.cloud.page(buckets, next, what))
    }

    async fn bucket_location(&self, bucket: &str) -> Result<Region, ApiError> {
        self.enter(Operation::GetBucketLocation, "global", bucket)
            .await?;
        Ok(region("eu-west-1"))
    }

    async fn bucket_encryption(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<BucketEncryption, ApiError> {
        self.enter(Operation::GetBucketEncryption, region.as_str(), bucket)
            .await?;
        Ok(BucketEncryption {
            algorithm: Some("AES256".to_owned()),
            key: None,
            bucket_key: Some(false),
        })
    }

    async fn bucket_versioning(
        &self,
        region: &Region,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        self.enter(Operation::GetBucketVersioning, region.as_str(), bucket)
            .await?;
        Ok(Some("Enabled".to_owned()))
    }

    async fn key(&self, region: &Region, key: &str) -> Result<DescribedKey, ApiError> {
        let op = Operation::DescribeKey;
        self.enter(op, region.as_str(), key).await?;
        let (arn, key) = self.find_key(op, region, key)?;
        Ok(DescribedKey {
            arn,
            manager: Some(key.manager.to_owned()),
            state: Some(key.state.to_owned()),
            usage: Some("ENCRYPT_DECRYPT".to_owned()),
            spec: Some("SYMMETRIC_DEFAULT".to_owned()),
            origin: Some("AWS_KMS".to_owned()),
            multi_region: Some(false),
            created_at: None,
            deletion_at: None,
            material_expires_at: None,
        })
    }

    async fn key_policy(&self, region: &Region, key: &str) -> Result<String, ApiError> {
        let op = Operation::GetKeyPolicy;
        self.enter(op, region.as_str(), key).await?;
        assert!(key.contains(":key/"), "GetKeyPolicy takes no alias: {key}");
        Ok(self.find_key(op, region, key)?.1.policy)
    }

    async fn key_rotation(&self, region: &Region, key: &str) -> Result<KeyRotation, ApiError> {
        let op = Operation::GetKeyRotationStatus;
        self.enter(op, region.as_str(), key).await?;
        if self.find_key(op, region, key)?.1.rotates {
            return Ok(KeyRotation {
                enabled: true,
                period_days: Some(365),
            });
        }
        let code = "UnsupportedOperationException";
        Err(self.error(op, region.as_str(), ErrorClass::Refused, code, ""))
    }

    async fn key_tags(
        &self,
        region: &Region,
        key: &str,
        next: Option<String>,
    ) -> Result<Page<Tag>, ApiError> {
        let op = Operation::ListResourceTags;
        let what = self.enter(op, region.as_str(), key).await?;
        Ok(self
            .cloud
            .page(self.find_key(op, region, key)?.1.tags, next, what))
    }
}

pub(crate) fn id(text: &str) -> AccountId {
    text.parse().expect("account id")
}

pub(crate) fn region(text: &str) -> Region {
    text.parse().expect("region")
}

/// An account of the scope.
pub(crate) fn account(text: &str) -> Account {
    Account {
        scheduled_for: UtcMillis(START).date(),
        account_id: id(text),
        name: None,
        state: Some("ACTIVE".to_owned()),
        ou_path: Some("o-example/r-1/ou-1/".to_owned()),
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

pub(crate) fn listed(
    id: &str,
    state: &str,
    created_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
) -> ListedCluster {
    ListedCluster {
        id: id.to_owned(),
        name: Some(format!("name of {id}")),
        state: state.to_owned(),
        created_at,
        ready_at: created_at,
        ended_at,
    }
}

/// A cluster whose logs go to `log_uri` under `log_key`.
pub(crate) fn described(listed: ListedCluster, log_uri: &str, log_key: &str) -> DescribedCluster {
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    DescribedCluster {
        listed,
        release_label: Some("emr-7.13.0".to_owned()),
        log_uri: text(log_uri),
        log_key: text(log_key),
        security_configuration: None,
        service_role: Some("emr-service".to_owned()),
        instance_profile: Some("emr-node".to_owned()),
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        tags: vec![
            Tag {
                name: "owner".to_owned(),
                value: "team-a".to_owned(),
            },
            Tag {
                name: "password".to_owned(),
                value: "SECRET".to_owned(),
            },
        ],
    }
}

/// A row as an earlier run wrote it.
pub(crate) fn cluster_row(
    cluster_id: &str,
    state: &str,
    created_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
) -> EmrCluster {
    EmrCluster {
        scheduled_for: UtcMillis(START).date().plus_days(-1),
        account_id: id("111122223333"),
        region: region("eu-west-1"),
        cluster_id: cluster_id.to_owned(),
        name: Some(format!("name of {cluster_id}")),
        state: state.to_owned(),
        created_at,
        ready_at: created_at,
        ended_at,
        release_label: Some("emr-7.0.0".to_owned()),
        log_uri: Some("s3://old-logs/x".to_owned()),
        log_key: None,
        security_configuration: None,
        service_role: None,
        instance_profile: None,
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        owner: Some("carried owner".to_owned()),
        cost_center: None,
        business_unit: None,
        data_classification: None,
        lineage: None,
        seen: Seen::Listed,
        settings: Settings::Described,
        described_in_run: Some("20261123T020003Z-7f3a".parse().expect("run id")),
        described_at: Some(UtcMillis(START)),
    }
}
