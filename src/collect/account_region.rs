//! One account-region: its clusters, their settings, its security configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::collect::account::enabled_regions;
use crate::collect::api::{
    ClusterFilter, DescribedCluster, DescribedSecurityConfiguration, ErrorClass, ListedCluster,
};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{CellEnd, Fault, ItemTally};
use crate::collect::engine::CollectError;
use crate::collect::facts::{Facts, KnownAccountRegion};
use crate::collect::launches;
use crate::collect::listing::{self, ENDED_STATES, Population};
use crate::collect::log_groups;
use crate::collect::operation::Operation;
use crate::collect::options::Regions;
use crate::collect::security_configuration;
use crate::collect::session::Session;
use crate::collect::settings::{self, Rows};
use crate::collect::shared::Run;
use crate::collect::steps::Steps;
use crate::model::datasets::{
    ACTIVE_STATES, Account, Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep,
    LogGroup,
};
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Seen, Settings, Source};
use crate::time::{DAY_MS, UtcMillis};

/// After so many refusals in a row, and no answer, a permission is missing and not a cluster.
pub(super) const REFUSALS: u32 = 3;
/// A Region that the list of EMR Regions does not have may have no endpoint; it gets one minute.
const UNLISTED_REGION_MS: i64 = 60_000;
/// AWS shows clusters that ended within two months; so old a cluster certainly stands in the lists.
const SHOWN_MS: i64 = 60 * DAY_MS;

/// Collects one account-region and hands it to the sink.
pub(super) async fn unit(
    run: Arc<Run>,
    position: u32,
    session: Arc<Session>,
    region: Region,
) -> Result<(), CollectError> {
    let Some(account) = run.scope.accounts.get(position as usize) else {
        return Ok(());
    };
    let here = Here {
        run: &run,
        account,
        session: &session,
        region: &region,
    };
    if let Err(error) = run.may_begin() {
        let budget = run.budget();
        let end = CellEnd::error(&error);
        let mut facts = unseen(&run, account, &region, end.clone(), &budget)?;
        let cell = run.cell(
            account,
            &region,
            Source::SecurityConfigurations,
            end,
            &budget,
        );
        facts.coverage.push(cell);
        return run.append(facts);
    }
    let known = run
        .context
        .known
        .account_region(&account.account_id, &region)?;
    let known = listing::fresh(known, run.now());
    let (clusters, configurations, launches) = tokio::join!(
        here.clusters(known.as_ref()),
        here.configurations(),
        here.launches()
    );
    drop(known);

    let mut facts = Facts::new(account.account_id.clone(), region.clone());
    let region_off = clusters.is_region_off();
    facts.clusters = clusters.rows;
    facts.steps = clusters.steps;
    facts.sessions = clusters.sessions;
    facts.log_groups = clusters.log_groups;
    facts.coverage = clusters.cells;
    if !region_off {
        facts.coverage.push(configurations.1);
        facts.security_configurations = configurations.0;
        if let Some(mut launches) = launches {
            let recorded = launches::recorded(&run, account, &region)?;
            launches.forget(&recorded, &facts.clusters);
            facts.launches = launches.rows;
            facts.coverage.push(launches.cell);
        }
    }
    run.append(facts)
}

/// The facts of an account-region that is not looked at: the end of its clusters cell, and the
/// clusters that the watermark left open there, which stay in the population as UNKNOWN.
pub(super) fn unseen(
    run: &Run,
    account: &Account,
    region: &Region,
    end: CellEnd,
    budget: &Budget,
) -> Result<Facts, CollectError> {
    let known = run
        .context
        .known
        .account_region(&account.account_id, region)?;
    let known = listing::fresh(known, run.now());
    let rows = rows(run, account, region);
    let mut facts = Facts::new(account.account_id.clone(), region.clone());
    facts.clusters = listing::open(known.as_ref())
        .map(|c| rows.not_seen(c))
        .collect();
    facts.steps = Steps::default().apply(known.as_ref(), &mut facts.clusters);
    if end.outcome != CellOutcome::RegionOff {
        let unspent = Budget::new(budget.started_at, budget.deadline);
        let launches = launches::unseen(run, account, region, end.clone(), &unspent);
        facts.coverage.extend(launches);
    }
    let cell = run.cell(account, region, Source::Clusters, end, budget);
    facts.coverage.push(cell);
    Ok(facts)
}

fn rows<'a>(run: &'a Run, account: &'a Account, region: &'a Region) -> Rows<'a> {
    Rows {
        account,
        region,
        run_id: &run.options().run_id,
        tags: &run.options().tags,
    }
}

/// One account-region while it is looked at.
pub(super) struct Here<'a> {
    pub run: &'a Run,
    pub account: &'a Account,
    pub session: &'a Session,
    pub region: &'a Region,
}

/// Rows and cells of the clusters of one account-region.
struct Clusters {
    rows: Vec<EmrCluster>,
    steps: Vec<EmrStep>,
    sessions: Vec<EmrSession>,
    log_groups: Vec<LogGroup>,
    cells: Vec<Coverage>,
}

impl Clusters {
    fn is_region_off(&self) -> bool {
        self.cells
            .iter()
            .any(|c| c.outcome == CellOutcome::RegionOff)
    }
}

/// What DescribeCluster told, by cluster id.
#[derive(Default)]
struct Described {
    found: BTreeMap<String, (DescribedCluster, UtcMillis)>,
    /// Ids that AWS no longer knows.
    forgotten: BTreeSet<String>,
    tally: ItemTally,
}

impl Here<'_> {
    pub(super) fn budget(&self) -> Budget {
        let budget = self.run.budget();
        let options = self.run.options();
        let listed = options.emr_regions.iter().any(|r| r.region == *self.region)
            || options.regions != Regions::Auto;
        if listed {
            budget
        } else {
            let soon = budget.started_at.plus_ms(UNLISTED_REGION_MS);
            Budget::new(budget.started_at, budget.deadline.min(soon))
        }
    }

    async fn clusters(&self, known: Option<&KnownAccountRegion>) -> Clusters {
        let budget = self.budget();
        let mut active = Vec::new();
        let mut ended = Vec::new();
        let listed = self.lists(known, &budget, &mut active, &mut ended).await;
        let error = match listed {
            Ok(()) => {
                let population = listing::population(known, active, ended);
                let end = CellEnd::read(population.listed.len() + population.vanished.len());
                let mut cell = self.cell(Source::Clusters, end, &budget);
                let since = listing::created_after(known)
                    .unwrap_or_else(|| budget.started_at.plus_ms(-SHOWN_MS));
                cell.observed_from_ms = Some(since.0);
                cell.observed_to_ms = Some(budget.started_at.0);
                // The cell of the lists ends before the first cluster is described.
                return self.with_settings(known, &population, cell).await;
            }
            Err(error) => error,
        };
        let end = self.explain(&error, &budget).await;
        let (rows, tally, population) = self.half_listed(known, active);
        let mut cells = vec![self.cell(Source::Clusters, end, &budget)];
        if !tally.is_empty() {
            let unspent = self.budget();
            cells.push(self.cell(Source::ClusterSettings, tally.end(), &unspent));
        }
        let budget = self.budget();
        let steps = self.steps(known, &population, &budget).await;
        self.with_channels(known, rows, cells, (steps, &budget))
            .await
    }

    /// Adds what the clusters say of themselves beside their settings: steps, sessions, log groups.
    async fn with_channels(
        &self,
        known: Option<&KnownAccountRegion>,
        mut rows: Vec<EmrCluster>,
        mut cells: Vec<Coverage>,
        (mut steps, steps_budget): (Steps, &Budget),
    ) -> Clusters {
        let tally = std::mem::take(&mut steps.tally);
        let steps = steps.apply(known, &mut rows);
        let mut end = |source, tally: ItemTally, budget: &Budget| {
            if !tally.is_empty() {
                cells.push(self.cell(source, tally.end(), budget));
            }
        };
        end(Source::Steps, tally, steps_budget);
        let budget = self.budget();
        let (sessions, tally) = self.sessions(&mut rows, &budget).await;
        end(Source::Sessions, tally, &budget);
        let budget = self.budget();
        let names = log_groups::named(&rows, &sessions);
        let (log_groups, tally) = self.log_groups(&names, &budget).await;
        end(Source::LogGroups, tally, &budget);
        Clusters {
            rows,
            steps,
            sessions,
            log_groups,
            cells,
        }
    }

    /// The two lists, in their order: what ends in between stands in both.
    async fn lists(
        &self,
        known: Option<&KnownAccountRegion>,
        budget: &Budget,
        active: &mut Vec<ListedCluster>,
        ended: &mut Vec<ListedCluster>,
    ) -> Result<(), CallError> {
        let filter = |states: &[&str], created_after| ClusterFilter {
            states: states.iter().map(|&s| s.to_owned()).collect(),
            created_after,
        };
        self.list(budget, &filter(&ACTIVE_STATES, None), active)
            .await?;
        let since = listing::created_after(known);
        self.list(budget, &filter(&ENDED_STATES, since), ended)
            .await
    }

    async fn list(
        &self,
        budget: &Budget,
        filter: &ClusterFilter,
        into: &mut Vec<ListedCluster>,
    ) -> Result<(), CallError> {
        let region = self.region;
        self.session
            .pages(
                budget,
                region,
                Operation::ListClusters,
                |m, next| async move { m.clusters(region, filter, next).await },
                |page| into.extend(page),
            )
            .await
    }

    /// A token that is not valid here may mean that the Region is off, or something else: where
    /// the Regions were configured and not listed, ListRegions tells.
    async fn explain(&self, error: &CallError, budget: &Budget) -> CellEnd {
        let refused = error.class() == Some(ErrorClass::TokenRefused);
        if refused && matches!(self.run.options().regions, Regions::List(_)) {
            let enabled = enabled_regions(self.session, budget).await;
            if enabled.is_ok_and(|regions| !regions.contains(self.region)) {
                return CellEnd {
                    outcome: CellOutcome::RegionOff,
                    ..CellEnd::error(error)
                };
            }
        }
        CellEnd::error(error)
    }

    /// The lists broke off. Active clusters that they did show are facts; ended ones are left to the
    /// next run, whose watermark does not move past this cell; the rest of those that the watermark
    /// left open is carried.
    fn half_listed(
        &self,
        known: Option<&KnownAccountRegion>,
        active: Vec<ListedCluster>,
    ) -> (Vec<EmrCluster>, ItemTally, Population) {
        let rows = rows(self.run, self.account, self.region);
        let earlier = settings::by_id(known);
        let mut population = listing::population(known, active, vec![]);
        let mut tally = ItemTally::default();
        let mut made: Vec<EmrCluster> = Vec::new();
        for (id, cluster) in &population.listed {
            let row = rows.listed(cluster, earlier.get(id.as_str()).copied());
            if row.settings == Settings::Deferred {
                tally.failed(CellOutcome::NotAttempted, Fault::default());
            }
            made.push(row);
        }
        for id in &population.vanished {
            made.extend(earlier.get(id.as_str()).map(|row| rows.not_seen(row)));
        }
        // What was not seen is not asked about either.
        population.vanished.clear();
        (made, tally, population)
    }

    /// Describes what has to be described and makes the rows of the population.
    async fn with_settings(
        &self,
        known: Option<&KnownAccountRegion>,
        population: &Population,
        cell: Coverage,
    ) -> Clusters {
        let budget = self.budget();
        let options = self.run.options();
        let today = options.scheduled_for.start();
        let ids = settings::to_describe(known, population, today, options.describe_max_age_days);
        let steps_budget = self.budget();
        let (described, steps) = tokio::join!(
            self.describe(&ids, population, &budget),
            self.steps(known, population, &steps_budget)
        );
        let mut cells = vec![cell];
        if !described.tally.is_empty() {
            let end = described.tally.end();
            cells.push(self.cell(Source::ClusterSettings, end, &budget));
        }
        let rows = rows(self.run, self.account, self.region);
        let earlier = settings::by_id(known);
        let mut made = Vec::with_capacity(population.listed.len() + population.vanished.len());
        for (id, cluster) in &population.listed {
            made.push(match described.found.get(id) {
                Some((answer, at)) => {
                    let mut row = rows.described(answer, Seen::Listed, *at);
                    // The lists decide who ended when: the next watermark is compared with them.
                    row.state.clone_from(&cluster.state);
                    row.ended_at = cluster.ended_at;
                    row
                }
                None => rows.listed(cluster, earlier.get(id.as_str()).copied()),
            });
        }
        for id in &population.vanished {
            let row = match (described.found.get(id), earlier.get(id.as_str())) {
                (Some((answer, at)), _) => Some(rows.described(answer, Seen::Vanished, *at)),
                (None, Some(row)) if described.forgotten.contains(id) => Some(rows.forgotten(row)),
                (None, Some(row)) => Some(rows.not_seen(row)),
                (None, None) => None,
            };
            made.extend(row);
        }
        self.with_channels(known, made, cells, (steps, &steps_budget))
            .await
    }

    async fn describe(
        &self,
        ids: &[String],
        population: &Population,
        budget: &Budget,
    ) -> Described {
        let mut described = Described::default();
        let mut refusals = 0;
        let mut stopped: Option<CallError> = None;
        let region = self.region;
        for id in ids {
            if let Some(error) = &stopped {
                described.tally.failed(error.outcome(), Fault::of(error));
                continue;
            }
            let answer = self
                .session
                .call(budget, region, Operation::DescribeCluster, |m| async move {
                    m.cluster(region, id).await
                })
                .await;
            match answer {
                Ok(answer) => {
                    let at = self.run.now();
                    described.found.insert(id.clone(), (answer, at));
                    described.tally.collected();
                }
                Err(error) => {
                    let unknown_there = matches!(
                        error.class(),
                        Some(ErrorClass::Refused | ErrorClass::NotFound)
                    );
                    if unknown_there && !population.listed.contains_key(id) {
                        described.forgotten.insert(id.clone());
                        described.tally.collected();
                        continue;
                    }
                    described.tally.failed(error.outcome(), Fault::of(&error));
                    let denied = error.class().is_some_and(ErrorClass::is_denied);
                    refusals += u32::from(denied);
                    let hopeless = refusals >= REFUSALS && described.found.is_empty();
                    if hopeless || error.is_end() {
                        stopped = Some(error);
                    }
                }
            }
        }
        described
    }

    /// Security configurations: a name can be made again with other content, so each is described
    /// in every run.
    async fn configurations(&self) -> (Vec<EmrSecurityConfiguration>, Coverage) {
        let budget = self.budget();
        let (rows, end) = self.read_configurations(&budget).await;
        let cell = self.cell(Source::SecurityConfigurations, end, &budget);
        (rows, cell)
    }

    async fn read_configurations(
        &self,
        budget: &Budget,
    ) -> (Vec<EmrSecurityConfiguration>, CellEnd) {
        let region = self.region;
        let names = match self.configuration_names(budget).await {
            Ok(names) => names,
            Err(error) => return (vec![], CellEnd::error(&error)),
        };
        let mut rows = Vec::new();
        let mut failure: Option<CallError> = None;
        let mut refused: Vec<(&String, CallError)> = Vec::new();
        for (name, created_at) in &names {
            let answer = self
                .session
                .call(
                    budget,
                    region,
                    Operation::DescribeSecurityConfiguration,
                    |m| async move { m.security_configuration(region, name).await },
                )
                .await;
            match answer {
                Ok(answer) => {
                    let answer = DescribedSecurityConfiguration {
                        name: name.clone(),
                        created_at: answer.created_at.or(*created_at),
                        ..answer
                    };
                    let row = security_configuration::row(self.account, region, &answer);
                    rows.push(row);
                }
                Err(error)
                    if matches!(
                        error.class(),
                        Some(ErrorClass::Refused | ErrorClass::NotFound)
                    ) =>
                {
                    refused.push((name, error));
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // EMR refuses what was deleted since it was listed as it refuses anything else: the list tells.
        if failure.is_none() && !refused.is_empty() {
            failure = match self.configuration_names(budget).await {
                Ok(now) => {
                    let mut refused = refused.into_iter();
                    let there = refused.find(|(name, _)| now.contains_key(*name));
                    there.map(|(_, error)| error)
                }
                Err(error) => Some(error),
            };
        }
        let end = match failure {
            None => CellEnd::read(rows.len()),
            Some(error) if rows.is_empty() => CellEnd::error(&error),
            Some(error) => CellEnd {
                outcome: CellOutcome::Partial,
                ..CellEnd::error(&error)
            },
        };
        (rows, end)
    }

    async fn configuration_names(
        &self,
        budget: &Budget,
    ) -> Result<BTreeMap<String, Option<UtcMillis>>, CallError> {
        let region = self.region;
        let mut names = BTreeMap::new();
        self.session
            .pages(
                budget,
                region,
                Operation::ListSecurityConfigurations,
                |m, next| async move { m.security_configurations(region, next).await },
                |page| names.extend(page.into_iter().map(|c| (c.name, c.created_at))),
            )
            .await?;
        Ok(names)
    }

    fn cell(&self, source: Source, end: CellEnd, budget: &Budget) -> Coverage {
        self.run
            .cell(self.account, self.region, source, end, budget)
    }
}
