//! What an audit at an instant should find, for comparison with what it did find.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::World;
use super::access::{Access, KeyFault};
use super::account_region::AccountRegion;
use super::beside;
use super::clusters::Cluster;
use super::key_rules;
use super::launch_truth::{self, ChangeTruth, LaunchTruth};
use super::log_objects;
use super::organization::{
    Account, CONFIGURATIONS, EVENTS, LIST_JOBS, LIST_REGIONS, LOG_GROUPS, ReaderRole, SESSIONS,
    STEPS,
};
use super::regions;
use super::scenario::{Delivery, Finding, Outcome, Posture, STATED, Scenario, Verdict};
use super::security_configurations;

/// Settings of the audited tool and the tags that its organizations have: EL-13 is stated for a run
/// with these.
pub const TAGS: [(&str, &str); 4] = [
    ("tags.owner", "owner"),
    ("tags.cost_center", "cost-center"),
    ("tags.business_unit", "business-unit"),
    ("tags.data_classification", "data-classification"),
];

/// The truth of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Settings that the run is assumed to have: [`TAGS`].
    pub settings: BTreeMap<&'static str, &'static str>,
    /// ARN of the policy that the run is assumed to count as a guardrail (`rules.guardrails`).
    pub guardrail: String,
    /// The clusters that the run holds, by account, Region and id.
    pub clusters: Vec<ClusterTruth>,
    /// The cells that end in something else than data.
    pub cells: Vec<CellTruth>,
    /// Every account of the organization, in its order.
    pub accounts: Vec<AccountTruth>,
    /// The launch events that the run records, by account, Region and id.
    pub launches: Vec<LaunchTruth>,
    /// Changes of keys and buckets in the hours that the run looks at.
    pub changes: Vec<ChangeTruth>,
}

/// One cluster as a run at this instant should see and judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterTruth {
    pub account_id: String,
    pub region: &'static str,
    pub cluster_id: String,
    pub state: &'static str,
    /// Milliseconds since the epoch; `None` while it lives.
    pub ended_ms: Option<i64>,
    pub active: bool,
    pub scenario: Scenario,
    pub verdict: Verdict,
    pub delivery: Delivery,
    pub posture: Posture,
    /// Whether its roles may use the log key, as far as an audit can know.
    pub access: Access,
    /// What is wrong with the log key's policy.
    pub key_fault: Option<KeyFault>,
    /// By rule id.
    pub findings: BTreeMap<&'static str, Finding>,
    /// Findings of the rules about keys about a second key of the cluster.
    pub second_key: Vec<(&'static str, Finding)>,
}

/// A cell that could not be, or need not be, collected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CellTruth {
    pub account_id: String,
    /// `global` for what is once per account.
    pub region: &'static str,
    /// `regions`, `clusters`, `launches`, `steps`, `sessions`, `log_groups`, `security_configurations`,
    /// `identities` or `reencryption`.
    pub source: &'static str,
    /// `account_state`, `denied_trust`, `denied_iam`, `denied_scp` or `region_off`.
    pub outcome: &'static str,
}

/// One account of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountTruth {
    pub account_id: String,
    /// `Account.State`
    pub state: &'static str,
    /// Whether the audit gets a session in it.
    pub reachable: bool,
}

impl World {
    /// The truth for a run at `now_ms` whose watermark, the listing time of the run before it, is
    /// `since_ms`, and which sends no ExternalId.
    ///
    /// It holds the clusters that are active now or ended after the watermark, no others; without
    /// a watermark all that EMR still shows. Regions that host nothing anywhere are not mentioned.
    pub fn truth(&self, now_ms: i64, since_ms: Option<i64>) -> Truth {
        self.truth_for(now_ms, since_ms, None)
    }

    /// [`World::truth`] for a run that sends this ExternalId.
    pub fn truth_for(
        &self,
        now_ms: i64,
        since_ms: Option<i64>,
        external_id: Option<&str>,
    ) -> Truth {
        let mut truth = Truth {
            settings: TAGS.into(),
            guardrail: self.organization.guardrail_arn.clone(),
            launches: Vec::new(),
            changes: Vec::new(),
            clusters: Vec::new(),
            cells: Vec::new(),
            accounts: self.accounts_at(now_ms, external_id),
        };
        let members = self.accounts.iter().filter(|a| a.is_member_at(now_ms));
        for (account, state) in members.zip(truth.accounts.clone()) {
            if !account.state.is_usable() {
                truth
                    .cells
                    .push(cell(account, "global", "regions", "account_state"));
            } else if !state.reachable {
                truth
                    .cells
                    .push(cell(account, "global", "regions", "denied_trust"));
            } else {
                self.account_truth(account, now_ms, since_ms, &mut truth);
            }
        }
        self.job_cells(&mut truth);
        truth.cells.sort();
        let key = |c: &ClusterTruth| (c.account_id.clone(), c.region, c.cluster_id.clone());
        truth.clusters.sort_by_cached_key(key);
        let key = |l: &LaunchTruth| (l.account_id.clone(), l.region, l.event_id.clone());
        truth.launches.sort_by_cached_key(key);
        truth.changes.sort();
        truth
    }

    /// The accounts that an audit at `now_ms` finds in the organization.
    pub fn accounts_at(&self, now_ms: i64, external_id: Option<&str>) -> Vec<AccountTruth> {
        let members = self.accounts.iter().filter(|a| a.is_member_at(now_ms));
        let state = |account: &Account| AccountTruth {
            account_id: account.id.clone(),
            state: account.state.as_str(),
            reachable: account.state.is_usable()
                && is_trusted(account, external_id)
                && !account.is_locked_at(now_ms),
        };
        members.map(state).collect()
    }

    /// Jobs are asked for where log buckets lie that clusters name.
    fn job_cells(&self, truth: &mut Truth) {
        let mut cells = BTreeSet::new();
        for told in &truth.clusters {
            let here = self.account_region(&told.account_id, told.region);
            let Some((here, cluster)) = here.and_then(|h| Some((h, h.cluster(&told.cluster_id)?)))
            else {
                continue;
            };
            let recipe = here.recipe(cluster);
            let applications = recipe.beside.properties.iter().map(|(_, _, value)| value);
            for uri in recipe.log_uri.iter().chain(applications) {
                let names = uri.split(['/', '@']);
                let bucket = names.filter_map(|name| self.bucket(name)).next();
                let owner = bucket.and_then(|b| Some((b, self.account(&b.account_id)?)));
                let Some((bucket, owner)) = owner else {
                    continue;
                };
                let region = self.regions.iter().find(|r| **r == bucket.region);
                let is_reached = truth
                    .accounts
                    .iter()
                    .any(|a| a.account_id == owner.id && a.reachable);
                if let Some(region) = region.filter(|_| is_reached && owner.lacks(LIST_JOBS)) {
                    cells.insert(cell(owner, region, "reencryption", "denied_iam"));
                }
            }
        }
        truth.cells.extend(cells);
    }

    fn account_truth(
        &self,
        account: &Account,
        now_ms: i64,
        since_ms: Option<i64>,
        truth: &mut Truth,
    ) {
        let before = truth.clusters.len();
        if account.lacks(LIST_REGIONS) {
            truth
                .cells
                .push(cell(account, "global", "regions", "denied_iam"));
        }
        for (region, status) in &account.opt_statuses {
            // Without the list nobody knows that this Region is on, or off.
            if regions::is_opt_in(region) && account.lacks(LIST_REGIONS) {
                continue;
            }
            if !status.is_usable() {
                truth
                    .cells
                    .push(cell(account, region, "clusters", "region_off"));
                continue;
            }
            if account.hides_region(region) {
                for source in ["clusters", "launches"] {
                    truth
                        .cells
                        .push(cell(account, region, source, "denied_scp"));
                }
                continue;
            }
            if account.lacks(CONFIGURATIONS) {
                let source = "security_configurations";
                truth
                    .cells
                    .push(cell(account, region, source, "denied_iam"));
            }
            if account.lacks(EVENTS) {
                truth
                    .cells
                    .push(cell(account, region, "launches", "denied_iam"));
            }
            let Some(here) = self.account_region(&account.id, region) else {
                continue;
            };
            let held = here
                .clusters()
                .iter()
                .filter(|cluster| is_held(cluster, now_ms, since_ms));
            let before = truth.clusters.len();
            truth.clusters.extend(held.map(|cluster| {
                let archive = self.account(&self.log_archive_account).unwrap_or(account);
                let setting = key_rules::Setting { account, archive };
                cluster_truth(&setting, here, cluster, now_ms, since_ms)
            }));
            if !account.lacks(EVENTS) {
                let held = truth.clusters[before..].iter();
                let held: Vec<&str> = held.map(|c| c.cluster_id.as_str()).collect();
                let run = launch_truth::Run { now_ms, since_ms };
                let told = launch_truth::truth(self, here, run, &held);
                truth.launches.extend(told);
                truth
                    .changes
                    .extend(launch_truth::change_truth(self, here, run));
            }
            let told: Vec<Scenario> = truth.clusters[before..]
                .iter()
                .map(|cluster| cluster.scenario)
                .collect();
            let has_sessions = told.contains(&Scenario::SessionsWithKey);
            let names_groups = told.iter().any(|story| {
                let of_sessions = *story == Scenario::SessionsWithKey && account.lacks(SESSIONS);
                story.beside()[1].outcome != Outcome::NotApplicable && !of_sessions
            });
            for (source, action, is_asked) in [
                ("steps", STEPS, !told.is_empty()),
                ("sessions", SESSIONS, has_sessions),
                ("log_groups", LOG_GROUPS, names_groups),
            ] {
                if is_asked && account.lacks(action) {
                    truth
                        .cells
                        .push(cell(account, region, source, "denied_iam"));
                }
            }
        }
        // Asked where clusters have logs; every account has some with.
        if !account.shows_identities() && truth.clusters.len() > before {
            truth
                .cells
                .push(cell(account, "global", "identities", "denied_iam"));
        }
    }
}

fn is_trusted(account: &Account, external_id: Option<&str>) -> bool {
    match &account.reader {
        ReaderRole::Trusted => true,
        ReaderRole::Missing | ReaderRole::NotTrusting => false,
        ReaderRole::NeedsExternalId(wanted) => external_id == Some(wanted),
    }
}

fn is_held(cluster: &Cluster, now_ms: i64, since_ms: Option<i64>) -> bool {
    cluster.is_visible_at(now_ms)
        && match (cluster.ended_at(now_ms), since_ms) {
            (None, _) | (Some(_), None) => true,
            (Some(ended), Some(since)) => ended > since,
        }
}

fn cluster_truth(
    setting: &key_rules::Setting<'_>,
    here: &AccountRegion,
    cluster: &Cluster,
    now_ms: i64,
    since_ms: Option<i64>,
) -> ClusterTruth {
    let account = setting.account;
    let recipe = here.recipe(cluster);
    let state = cluster.state_at(now_ms, recipe);
    // What happens to a key after a cluster's end is not the cluster's: it stands as it was last seen
    // alive.
    let seen_alive_ms = since_ms.filter(|since| cluster.created_ms <= *since);
    let judged_ms = match cluster.ended_at(now_ms) {
        Some(_) => seen_alive_ms.unwrap_or(now_ms),
        None => now_ms,
    };
    let is_key_out = recipe.is_key_out_at(judged_ms);
    let (statement, mut second_key) = recipe.scenario.heard(is_key_out, account);
    let beside = beside_truth(account, here, cluster);
    let tagged = STATED.iter().position(|rule| *rule == "EL-13");
    let of_key = statement.findings[tagged.expect("a stated rule")];
    let has_log_uri = statement.findings.iter().all(|f| f.reason != "no_log_uri");
    let of_access = key_rules::findings(recipe.scenario, of_key, has_log_uri, setting);
    let (verdict, delivery) =
        key_rules::conclude(statement.verdict, statement.delivery, &of_access);
    if !second_key.is_empty() {
        // Its policy is like that of the first, and so is what it lets people do; EL-09 is about
        // the bucket.
        let alike = key_rules::RULES.into_iter().zip(of_access);
        second_key.extend(alike.filter(|(rule, _)| *rule != "EL-09"));
    }
    ClusterTruth {
        account_id: here.account_id.clone(),
        region: here.region,
        cluster_id: cluster.id.clone(),
        state: state.as_str(),
        ended_ms: cluster.ended_at(now_ms),
        active: state.is_active(),
        scenario: recipe.scenario,
        verdict: match verdict {
            Verdict::Compliant | Verdict::NoLogs
                if beside.iter().any(|f| f.outcome == Outcome::Unknown) =>
            {
                Verdict::Unknown
            }
            other => other,
        },
        delivery,
        posture: statement.posture,
        access: account.known_access(recipe.scenario),
        key_fault: recipe.scenario.key_fault(),
        findings: STATED
            .into_iter()
            .zip(statement.findings)
            .chain(beside::RULES.into_iter().zip(beside))
            .chain(key_rules::RULES.into_iter().zip(of_access))
            .chain([("EL-07", recipe.copies.finding())])
            .chain(log_objects::unread(recipe))
            .chain(
                ["EL-08", "EL-18"]
                    .into_iter()
                    .zip(configuration_truth(account, here, cluster)),
            )
            .collect(),
        second_key,
    }
}

/// What EL-05, EL-06 and EL-20 should conclude.
fn beside_truth(account: &Account, here: &AccountRegion, cluster: &Cluster) -> [Finding; 3] {
    let scenario = here.recipe(cluster).scenario;
    let [steps, cloudwatch, mut applications] = scenario.beside();
    let [steps, cloudwatch] = scenario.heard_beside([steps, cloudwatch], account);
    let unknown = |reason| Finding {
        outcome: Outcome::Unknown,
        reason,
    };
    if let Some(Some(name)) = scenario.configuration() {
        let made_ms = here.security_configuration(name).map(|c| c.created_ms);
        if account.lacks(CONFIGURATIONS) {
            applications = unknown("security_configuration_not_read");
        } else if made_ms.is_some_and(|made| made > cluster.created_ms) {
            applications = unknown("security_configuration_created_after_launch");
        }
    }
    [steps, cloudwatch, applications]
}

/// What EL-08 and EL-18 should conclude.
fn configuration_truth(account: &Account, here: &AccountRegion, cluster: &Cluster) -> [Finding; 2] {
    let name = here.recipe(cluster).security_configuration;
    let made_ms = name
        .and_then(|name| here.security_configuration(name))
        .map(|configuration| configuration.created_ms);
    if name.is_some() && account.lacks(CONFIGURATIONS) {
        security_configurations::not_read()
    } else if made_ms.is_some_and(|made| made > cluster.created_ms) {
        security_configurations::made_after_launch()
    } else {
        security_configurations::statement(name)
    }
}

fn cell(
    account: &Account,
    region: &'static str,
    source: &'static str,
    outcome: &'static str,
) -> CellTruth {
    CellTruth {
        account_id: account.id.clone(),
        region,
        source,
        outcome,
    }
}
