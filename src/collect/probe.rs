//! What a role may do in an account, tried with one small question each: a page of every list, and the
//! settings of the first thing that a list shows. Nothing is kept of the answers.
//!
//! The session, the token buckets and the retry loop are a run's own, so what a probe is refused a run
//! is refused. A thing that does not exist, or a question that AWS understood and declined, was let
//! through by every policy: AWS judges those first.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::collect::account::enabled_regions;
use crate::collect::api::{
    ApiError, Cloud, ClusterFilter, ErrorClass, IdentityKinds, Member, OwnedBucket, Page,
};
use crate::collect::attempt::{Attempts, Budget, CallError};
use crate::collect::engine::Context;
use crate::collect::facts::{FactSink, Facts, NothingKnown, SinkError};
use crate::collect::operation::{Caller, Operation};
use crate::collect::options::{Options, Regions};
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};
use crate::model::words::Source;
use crate::time::{HOUR_MS, UtcMillis};

/// The time that one account has. A handful of calls takes a second; this is for one that hangs.
const ACCOUNT_MS: i64 = 120_000;
/// How long a question that only fails is asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Beginning of names of log groups, which AWS wants to have; few are called so.
const GROUPS: &str = "/aws/emr";
const RUN_JOB_FLOW: &str = "RunJobFlow";

/// One question and how it ended.
pub type Asked = (Operation, Result<(), CallError>);

/// How an account answered.
#[derive(Debug)]
pub struct Probed {
    /// Whether the role could be assumed; nothing else was asked where it could not.
    pub entered: Result<(), CallError>,
    /// Whether the opt-in roles that the configuration names could be, by name.
    pub others: Vec<(String, Result<(), CallError>)>,
    /// The Regions that are on; none where it was not asked.
    pub regions: Option<Result<BTreeSet<Region>, CallError>>,
    /// The Region in which regional questions were asked.
    pub asked_in: Option<Region>,
    pub asked: Vec<Asked>,
    /// Questions of the reader role's that there was nothing to ask about.
    pub not_asked: Vec<Operation>,
}

/// What probing needs, made once for all accounts.
pub fn context(cloud: Arc<dyn Cloud>, attempts: Arc<Attempts>, options: Options) -> Context {
    Context {
        cloud,
        attempts,
        sink: Arc::new(Forget),
        known: Arc::new(NothingKnown),
        options: Arc::new(options),
        exceptions: Arc::new([]),
    }
}

/// A probe hands over no facts.
struct Forget;

impl FactSink for Forget {
    fn append(&self, _facts: Facts) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Tries one account. `home`: the Region to ask in where it is one of several.
pub async fn probe(context: &Context, account: &AccountId, home: &Region) -> Probed {
    let now = context.attempts.clock().now();
    let budget = Budget::new(now, now.plus_ms(ACCOUNT_MS)).with_patience(PATIENCE);
    let mut probed = Probed {
        entered: Ok(()),
        others: vec![],
        regions: None,
        asked_in: None,
        asked: vec![],
        not_asked: vec![],
    };
    let session = match Session::open(context, account, &budget).await {
        Ok(session) => session,
        Err(error) => {
            probed.entered = Err(error);
            return probed;
        }
    };
    for role in opt_in_roles(&context.options) {
        let entered = Session::open_as(context, account, role, &budget).await;
        probed.others.push((role.clone(), entered.map(drop)));
    }
    let regions = enabled_regions(&session, &budget).await;
    let region = region_to_ask(&context.options, home, regions.as_ref().ok());
    let mut probe = Probe {
        session,
        budget,
        now,
        account,
        region,
        tired: matches!(
            regions,
            Err(CallError::OutOfTime { .. } | CallError::RunEnded)
        ),
        asked: vec![],
    };
    probed.regions = Some(regions);
    probe.buckets().await;
    probe.clusters().await;
    probe.keys().await;
    probe.others().await;
    if context.options.launch_days > 0 {
        probe.events().await;
    }
    let launches = context.options.launch_days > 0;
    let tried: BTreeSet<Operation> = probe
        .asked
        .iter()
        .map(|(operation, _)| *operation)
        .collect();
    let wanted = Operation::ALL.iter().copied().filter(|operation| {
        operation.caller() == Caller::Reader
            // A job can be described only where there is one, and then ListJobs says as much.
            && !matches!(operation, Operation::ListRegions | Operation::DescribeJob)
            && (launches
                || !matches!(source_of(*operation), Some(Source::Launches | Source::Trails)))
    });
    probed.not_asked = wanted.filter(|o| !tried.contains(o)).collect();
    probed.asked_in = Some(probe.region);
    probed.asked = probe.asked;
    probed
}

/// Roles beside the reader role that a run assumes in some accounts.
fn opt_in_roles(options: &Options) -> Vec<&String> {
    let sampler = Some(&options.sampler_role_name)
        .filter(|_| options.sample_clusters > 0 || options.listing.is_some());
    let roles = sampler.into_iter().chain(&options.source_reader_role_name);
    roles.filter(|_| !options.single_account).collect()
}

/// The Region to ask in: a configured one, else `home` where it is on, else any that is.
fn region_to_ask(options: &Options, home: &Region, on: Option<&BTreeSet<Region>>) -> Region {
    let is_on = |region: &&Region| on.is_none_or(|on| on.contains(*region));
    let always_on = || {
        let emr = options.emr_regions.iter().filter(|emr| emr.always_on);
        emr.map(|emr| &emr.region)
            .filter(|region| region.partition() == home.partition())
    };
    let found = match &options.regions {
        Regions::List(regions) => regions.iter().find(is_on).or_else(|| regions.first()),
        Regions::Auto => Some(home)
            .filter(is_on)
            .or_else(|| always_on().find(is_on))
            .or_else(|| on.and_then(|on| on.first())),
    };
    found.unwrap_or(home).clone()
}

/// The cell that goes without an answer where the operation is refused.
pub fn source_of(operation: Operation) -> Option<Source> {
    Some(match operation {
        Operation::ListRegions => Source::Regions,
        Operation::ListClusters => Source::Clusters,
        Operation::DescribeCluster => Source::ClusterSettings,
        Operation::ListSteps => Source::Steps,
        Operation::ListSessions => Source::Sessions,
        Operation::DescribeLogGroups => Source::LogGroups,
        Operation::ListSecurityConfigurations | Operation::DescribeSecurityConfiguration => {
            Source::SecurityConfigurations
        }
        Operation::ListBuckets => Source::BucketOwners,
        Operation::GetBucketLocation
        | Operation::GetBucketEncryption
        | Operation::GetBucketVersioning
        | Operation::GetBucketPolicy
        | Operation::GetBucketOwnershipControls
        | Operation::GetObjectLockConfiguration
        | Operation::GetPublicAccessBlock
        | Operation::GetBucketLifecycleConfiguration
        | Operation::GetBucketReplication
        | Operation::ListBucketInventoryConfigurations
        | Operation::GetBucketMetadataConfiguration => Source::Buckets,
        Operation::ListJobs | Operation::DescribeJob => Source::Reencryption,
        Operation::DescribeKey
        | Operation::GetKeyPolicy
        | Operation::GetKeyRotationStatus
        | Operation::ListResourceTags
        | Operation::ListGrants
        | Operation::ListAliases
        | Operation::ListKeys => Source::Keys,
        Operation::GetAccountAuthorizationDetails => Source::Identities,
        Operation::LookupEvents => Source::Launches,
        Operation::DescribeTrails | Operation::GetTrailStatus | Operation::GetEventSelectors => {
            Source::Trails
        }
        _ => return None,
    })
}

/// One account's questions, one after the other.
struct Probe<'a> {
    session: Session,
    budget: Budget,
    now: UtcMillis,
    account: &'a AccountId,
    region: Region,
    /// Something had no answer in time: what follows would only wait as long again.
    tired: bool,
    asked: Vec<Asked>,
}

impl Probe<'_> {
    async fn ask<T, F, Fut>(&mut self, region: &Region, operation: Operation, once: F) -> Option<T>
    where
        F: Fn(Arc<dyn Member>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        if self.tired {
            return None;
        }
        let answer = self.session.call(&self.budget, region, operation, once);
        let (value, ended) = match answer.await {
            Ok(value) => (Some(value), Ok(())),
            Err(error) if was_let_through(&error) => (None, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.tired = matches!(
            ended,
            Err(CallError::OutOfTime { .. } | CallError::RunEnded)
        );
        self.asked.push((operation, ended));
        value
    }

    async fn first<T, F, Fut>(&mut self, operation: Operation, once: F) -> Option<T>
    where
        F: Fn(Arc<dyn Member>, Region) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send,
    {
        let region = self.region.clone();
        let page = self
            .ask(&region, operation, |m| once(m, region.clone()))
            .await;
        page?.items.into_iter().next()
    }

    async fn clusters(&mut self) {
        let region = &self.region.clone();
        let cluster = self
            .first(Operation::ListClusters, |m, r| async move {
                let filter = ClusterFilter {
                    states: vec![],
                    created_after: None,
                };
                m.clusters(&r, &filter, None).await
            })
            .await;
        if let Some(cluster) = cluster {
            let id = &cluster.id;
            self.ask(region, Operation::DescribeCluster, |m| async move {
                m.cluster(region, id).await
            })
            .await;
            self.ask(region, Operation::ListSteps, |m| async move {
                m.steps(region, id, None).await
            })
            .await;
            self.ask(region, Operation::ListSessions, |m| async move {
                m.sessions(region, id, None).await
            })
            .await;
        }
        let configuration = self
            .first(Operation::ListSecurityConfigurations, |m, r| async move {
                m.security_configurations(&r, None).await
            })
            .await;
        if let Some(configuration) = configuration {
            let name = &configuration.name;
            self.ask(
                region,
                Operation::DescribeSecurityConfiguration,
                |m| async move { m.security_configuration(region, name).await },
            )
            .await;
        }
        self.ask(region, Operation::DescribeLogGroups, |m| async move {
            m.log_groups(region, GROUPS, None).await
        })
        .await;
    }

    async fn keys(&mut self) {
        let region = &self.region.clone();
        self.ask(region, Operation::ListAliases, |m| async move {
            m.aliases(region, None).await
        })
        .await;
        let id = self
            .first(Operation::ListKeys, |m, r| async move {
                m.key_ids(&r, None).await
            })
            .await;
        let Some(id) = id else { return };
        let partition = region.partition();
        let key = &format!("arn:{partition}:kms:{region}:{}:key/{id}", self.account);
        self.ask(region, Operation::DescribeKey, |m| async move {
            m.key(region, key).await
        })
        .await;
        self.ask(region, Operation::GetKeyPolicy, |m| async move {
            m.key_policy(region, key).await
        })
        .await;
        self.ask(region, Operation::GetKeyRotationStatus, |m| async move {
            m.key_rotation(region, key).await
        })
        .await;
        self.ask(region, Operation::ListResourceTags, |m| async move {
            m.key_tags(region, key, None).await
        })
        .await;
        self.ask(region, Operation::ListGrants, |m| async move {
            m.key_grants(region, key, None).await
        })
        .await;
    }

    async fn buckets(&mut self) {
        let global = &Region::global();
        let page = self
            .ask(global, Operation::ListBuckets, |m| async move {
                m.buckets(None).await
            })
            .await;
        let bucket = page.and_then(|page| page.items.into_iter().next());
        let Some(OwnedBucket { name, region }) = bucket else {
            return;
        };
        let name = name.as_str();
        let located = self
            .ask(global, Operation::GetBucketLocation, |m| async move {
                m.bucket_location(name).await
            })
            .await;
        let Some(region) = &located.or(region) else {
            return;
        };
        macro_rules! each {
            ($($operation:ident: $method:ident),+) => { $(
                self.ask(region, Operation::$operation, |m| async move {
                    m.$method(region, name).await
                })
                .await;
            )+ };
        }
        each!(
            GetBucketEncryption: bucket_encryption,
            GetBucketVersioning: bucket_versioning,
            GetBucketPolicy: bucket_policy,
            GetBucketOwnershipControls: bucket_ownership,
            GetObjectLockConfiguration: bucket_object_lock,
            GetPublicAccessBlock: bucket_public_access_blocked,
            GetBucketLifecycleConfiguration: bucket_lifecycle,
            GetBucketReplication: bucket_replication,
            GetBucketMetadataConfiguration: bucket_metadata_table
        );
        let inventories = Operation::ListBucketInventoryConfigurations;
        self.ask(region, inventories, |m| async move {
            m.bucket_inventories(region, name, None).await
        })
        .await;
    }

    async fn others(&mut self) {
        let global = &Region::global();
        let identities = Operation::GetAccountAuthorizationDetails;
        self.ask(global, identities, |m| async move {
            m.identities(IdentityKinds::Policies, None).await
        })
        .await;
        let region = &self.region.clone();
        self.ask(region, Operation::ListJobs, |m| async move {
            m.jobs(region, None).await
        })
        .await;
    }

    async fn events(&mut self) {
        let region = &self.region.clone();
        let window = (self.now.plus_ms(-HOUR_MS), self.now);
        self.ask(region, Operation::LookupEvents, |m| async move {
            m.events(region, RUN_JOB_FLOW, window, None).await
        })
        .await;
        let trails = self
            .ask(region, Operation::DescribeTrails, |m| async move {
                m.trails(region).await
            })
            .await;
        // A run asks of a trail where it belongs.
        let ours = format!(":{}:", self.account);
        let mut trails = trails.into_iter().flatten();
        let Some(trail) = trails.find(|trail| trail.arn.contains(&ours)) else {
            return;
        };
        let (home, arn) = (&trail.home, trail.arn.as_str());
        self.ask(home, Operation::GetTrailStatus, |m| async move {
            m.trail_status(home, arn).await
        })
        .await;
        self.ask(home, Operation::GetEventSelectors, |m| async move {
            m.trail_writes(home, arn).await
        })
        .await;
    }
}

/// Whether AWS's answer shows that no policy stood in the way.
fn was_let_through(error: &CallError) -> bool {
    matches!(
        error.class(),
        Some(ErrorClass::NotFound | ErrorClass::Refused)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::scope::EmrRegion;

    fn region(name: &str) -> Region {
        name.parse().expect("Region")
    }

    fn options(regions: Regions) -> Options {
        let emr = [
            ("eu-west-1", true),
            ("us-east-1", true),
            ("ap-east-1", false),
        ];
        let emr = emr.map(|(name, always_on)| EmrRegion {
            region: region(name),
            always_on,
        });
        let id = "20261124T020003Z-7f3a".parse().expect("run id");
        let mut options = Options::new(id, crate::time::Date::from_days(20_000), emr.to_vec());
        options.regions = regions;
        options
    }

    #[test]
    fn a_region_is_asked_that_is_on() {
        let on = |names: &[&str]| names.iter().map(|n| region(n)).collect::<BTreeSet<_>>();
        let auto = options(Regions::Auto);
        let listed = options(Regions::List(vec![
            region("ap-east-1"),
            region("eu-west-1"),
        ]));
        for (options, home, on, asked) in [
            (
                &auto,
                "eu-west-1",
                Some(on(&["eu-west-1", "us-east-1"])),
                "eu-west-1",
            ),
            (&auto, "ap-east-1", Some(on(&["us-east-1"])), "us-east-1"),
            (&auto, "sa-east-1", Some(on(&["ap-east-1"])), "ap-east-1"),
            (&auto, "sa-east-1", None, "sa-east-1"),
            (&auto, "sa-east-1", Some(on(&[])), "sa-east-1"),
            (
                &listed,
                "us-east-1",
                Some(on(&["us-east-1", "eu-west-1"])),
                "eu-west-1",
            ),
            (&listed, "us-east-1", Some(on(&["us-east-1"])), "ap-east-1"),
            (&listed, "us-east-1", None, "ap-east-1"),
        ] {
            let found = region_to_ask(options, &region(home), on.as_ref());
            assert_eq!(found.as_str(), asked, "{home} {on:?}");
        }
    }

    #[test]
    fn every_question_of_the_reader_belongs_to_a_cell() {
        for operation in Operation::ALL {
            let reader = operation.caller() == Caller::Reader;
            assert_eq!(source_of(*operation).is_some(), reader, "{operation:?}");
        }
    }
}
