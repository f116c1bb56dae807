//! What became of attempts to launch clusters. Pure, like findings: the sealed events, clusters and
//! keys of a run give the same rows again.
//!
//! A launch is judged by its own parameters as a cluster of these settings would be, by the rules that
//! ask for a log key and whose it is. The state of the key at that instant is not known and not asked.

use std::collections::{BTreeMap, BTreeSet};

use super::alike::{MODELS, is_alike, made_later};
use super::case::{Case, LogPlace, OwnRows};
use super::inputs::{AssessContext, LookupError, Lookups};
use super::owners;
use super::rules::{OF_LAUNCHES, Rule};
use crate::model::datasets::{Answer, Coverage, EMR_MODEL, EmrCluster, Launch, UNREADABLE_EVENT};
use crate::model::words::{
    AttemptBucket, LaunchClass, LaunchSeen, Lookup, Meets, Outcome, Population, Seen, Settings,
};
use crate::time::UtcMillis;

/// The time of an event and that of its cluster differ a little, and events are delivered late.
const MARGIN_MS: i64 = 15 * 60_000;
/// State of a cluster that ended with an error.
const FAILED: &str = "TERMINATED_WITH_ERRORS";

/// The facts of one account-region that decide what became of its launches.
#[derive(Debug, Clone, Copy)]
pub struct LaunchFacts<'a> {
    /// Every cluster that the run holds there.
    pub clusters: &'a [EmrCluster],
    /// The cell that tells when they were listed, and since when all that were created stand in it.
    pub listed: Option<&'a Coverage>,
}

/// Draws the conclusions of an account-region's launch events.
///
/// # Errors
/// As [`assess_cluster`](super::assess_cluster).
pub fn assess_launches(
    events: &[Launch],
    facts: &LaunchFacts<'_>,
    ctx: &AssessContext<'_>,
    lookups: &dyn Lookups,
) -> Result<Vec<Launch>, LookupError> {
    let clusters: BTreeMap<&str, &EmrCluster> = facts
        .clusters
        .iter()
        .map(|c| (c.cluster_id.as_str(), c))
        .collect();
    let mut models = Models::default();
    let judged = events.iter().map(|event| {
        let id = event.cluster_id.as_deref();
        let cluster = id.and_then(|id| clusters.get(id).copied());
        let mut asked = |launch: &Launch| models.asked(launch, ctx, lookups);
        judge(event, cluster, facts.listed, ctx, &mut asked)
    });
    judged.collect()
}

/// Whether the event of a cluster's launch is among those that were read, which launched these; `None` where the cluster was
/// not created while they were, or where some could not be understood.
pub fn launch_seen(
    cluster: &EmrCluster,
    launched: &BTreeSet<&str>,
    looked: Option<&Coverage>,
) -> Option<LaunchSeen> {
    if launched.contains(cluster.cluster_id.as_str()) {
        return Some(LaunchSeen::Found);
    }
    let (cell, created) = (looked?, cluster.created_at?.0);
    let (from, to) = cell.observed_from_ms.zip(cell.observed_to_ms)?;
    let was_read = from + MARGIN_MS <= created && created < to - MARGIN_MS;
    // Of a cell that was cut off all is known up to there; of one with unreadable events nothing is.
    let is_clear = cell.outcome.is_answer() || cell.error_code.as_deref() != Some(UNREADABLE_EVENT);
    (was_read && is_clear && cluster.seen != Seen::NotSeen).then_some(LaunchSeen::Missing)
}

fn judge(
    event: &Launch,
    cluster: Option<&EmrCluster>,
    listed: Option<&Coverage>,
    ctx: &AssessContext<'_>,
    asked: &mut dyn FnMut(&Launch) -> Result<Asked, LookupError>,
) -> Result<Launch, LookupError> {
    let answer = Answer::of(event.error_code.as_deref());
    let account = ctx.scope.accounts.get(&event.account_id);
    let guardrails = &ctx.config.guardrails;
    let named = event.denied_by_policy.as_ref();
    let guardrail = named.filter(|arn| answer == Answer::Denied && guardrails.contains(*arn));
    // What DescribeCluster tells stands in for parameters that the event lacks.
    let told = cluster.filter(|c| c.settings != Settings::Deferred);
    let asked = match (event.params_available, told) {
        (true, _) => Some(asked(event)?),
        (false, Some(cluster)) if answer == Answer::Accepted => {
            let told = Launch {
                log_uri: cluster.log_uri.clone(),
                log_key: cluster.log_key.clone(),
                security_configuration: cluster.security_configuration.clone(),
                release_label: cluster.release_label.clone(),
                ..event.clone()
            };
            Some(asked(&told)?)
        }
        (false, _) => None,
    };
    let meets = asked.as_ref().map_or(Meets::Unknown, |asked| asked.meets);
    let failed = cluster.is_some_and(|c| c.state == FAILED && c.ready_at.is_none());
    let class = class(answer, asked.as_ref(), failed);
    let may_be_ours = || may_be_a_guardrail(event, guardrails);
    let [owner, cost_center, business_unit] = owners::of_launch(event, account);
    Ok(Launch {
        guardrail: guardrail.cloned(),
        security_configuration_approved: asked.and_then(|asked| asked.approved),
        parameters_meet: meets,
        class,
        bucket: match (answer, meets) {
            (Answer::Denied, _) if guardrail.is_some() => AttemptBucket::Blocked,
            (Answer::Denied, _) if may_be_ours() => AttemptBucket::Unknown,
            (Answer::Accepted, Meets::No) => AttemptBucket::Flagged,
            (Answer::Accepted, Meets::Unknown) => AttemptBucket::Unknown,
            _ => AttemptBucket::None,
        },
        population: population(event, answer, cluster, listed),
        ou_path: account.and_then(|a| a.ou_path.clone()),
        owner: owner.value,
        cost_center: cost_center.value,
        business_unit: business_unit.value,
        ..event.clone()
    })
}

/// What was said of the settings that launches of one account-region asked for: jobs launch the same ones
/// again and again.
#[derive(Default)]
struct Models(Vec<Model>);

/// A launch whose settings others asked for, too.
struct Model {
    cluster: EmrCluster,
    /// When its security configuration was made.
    made_at: Option<UtcMillis>,
    asked: Asked,
}

impl Models {
    fn asked(
        &mut self,
        launch: &Launch,
        ctx: &AssessContext<'_>,
        lookups: &dyn Lookups,
    ) -> Result<Asked, LookupError> {
        let cluster = by_parameters(launch);
        let is_like = |model: &&Model| {
            let made_later = |of: &EmrCluster| made_later(model.made_at, of.created_at);
            is_alike(&model.cluster, &cluster) && made_later(&model.cluster) == made_later(&cluster)
        };
        if let Some(model) = self.0.iter().rfind(is_like) {
            return Ok(model.asked);
        }
        let (asked, made_at) = Asked::of(&cluster, ctx, lookups)?;
        if self.0.len() == MODELS {
            self.0.remove(0);
        }
        self.0.push(Model {
            cluster,
            made_at,
            asked,
        });
        Ok(asked)
    }
}

/// What the rules say of the settings that a launch asked for.
#[derive(Clone, Copy)]
struct Asked {
    has_place: bool,
    meets: Meets,
    approved: Option<bool>,
}

impl Asked {
    /// Of a cluster with these settings, and when its security configuration was made.
    fn of(
        cluster: &EmrCluster,
        ctx: &AssessContext<'_>,
        lookups: &dyn Lookups,
    ) -> Result<(Self, Option<UtcMillis>), LookupError> {
        let own = OwnRows::of(cluster, lookups)?;
        let case = Case::gather(cluster, own, ctx, lookups)?;
        let outcome = |rule: &Rule| {
            // Once: such a cluster has one channel, and one key at most.
            let mut outcome = Outcome::NotApplicable;
            rule.conclude(&case, |said| outcome = said.judged.outcome);
            outcome
        };
        let [key_is_set, key_is_ours, configuration] = OF_LAUNCHES.map(outcome);
        let has_place = case.place != LogPlace::Nowhere;
        let made_at = case.security_configuration.as_ref();
        let made_at = made_at.and_then(|s| s.created_at);
        let asked = Self {
            has_place,
            meets: match (key_is_set, key_is_ours) {
                _ if !has_place => Meets::No,
                (Outcome::Fail, _) | (_, Outcome::Fail) => Meets::No,
                (Outcome::Pass, Outcome::Pass) => Meets::Yes,
                _ => Meets::Unknown,
            },
            approved: match configuration {
                Outcome::Pass => Some(true),
                Outcome::Fail => Some(false),
                Outcome::Unknown | Outcome::NotApplicable => None,
            },
        };
        Ok((asked, made_at))
    }
}

fn class(answer: Answer, asked: Option<&Asked>, failed: bool) -> LaunchClass {
    match (answer, asked) {
        (Answer::Accepted, _) if failed => LaunchClass::AcceptedThenFailed,
        (Answer::Accepted, Some(asked)) => match asked.meets {
            _ if !asked.has_place => LaunchClass::AcceptedNoLogPlace,
            Meets::Yes => LaunchClass::AcceptedCompliant,
            Meets::No => LaunchClass::AcceptedNoncompliant,
            Meets::Unknown => LaunchClass::AcceptedKeyUnknown,
        },
        (Answer::Denied, Some(asked)) => match asked.meets {
            Meets::Yes => LaunchClass::DeniedCompliant,
            Meets::No => LaunchClass::DeniedNoncompliant,
            Meets::Unknown => LaunchClass::DeniedParamsUnavailable,
        },
        _ => answer.class_without_parameters(),
    }
}

/// Whether a denial that names no policy may come from one of the guardrails: the kind that it names
/// is the kind of one of them, or it names none.
fn may_be_a_guardrail(event: &Launch, guardrails: &BTreeSet<String>) -> bool {
    let kinds = guardrails.iter().map(|arn| match arn {
        arn if arn.contains("/service_control_policy/") => "service_control",
        arn if arn.contains("/resource_control_policy/") => "resource_control",
        // Policies of IAM bound and allow alike.
        _ => "boundary",
    });
    let mut kinds = kinds.filter(|_| event.denied_by_policy.is_none());
    match event.denied_by.as_deref() {
        None => kinds.next().is_some(),
        Some("identity") => kinds.any(|kind| kind == "boundary"),
        Some(named) => kinds.any(|kind| kind == named),
    }
}

/// Whether the cluster of an accepted launch stands in the lists that should hold it.
fn population(
    event: &Launch,
    answer: Answer,
    cluster: Option<&EmrCluster>,
    listed: Option<&Coverage>,
) -> Population {
    if answer != Answer::Accepted {
        return Population::NotApplicable;
    }
    if cluster.is_some() {
        return Population::Seen;
    }
    let bounds = listed
        .filter(|cell| cell.outcome.is_answer() && event.cluster_id.is_some())
        .and_then(|cell| cell.observed_from_ms.zip(cell.observed_to_ms));
    match bounds {
        Some((from, to)) if from <= event.event_ms && event.event_ms < to - MARGIN_MS => {
            Population::NotSeen
        }
        _ => Population::Unknown,
    }
}

/// A cluster as the parameters of a launch would make it.
fn by_parameters(event: &Launch) -> EmrCluster {
    EmrCluster {
        scheduled_for: event.scheduled_for,
        account_id: event.account_id.clone(),
        region: event.region.clone(),
        cluster_id: String::new(),
        name: event.name.clone(),
        state: String::new(),
        created_at: Some(UtcMillis(event.event_ms)),
        ready_at: None,
        ended_at: None,
        release_label: event.release_label.clone(),
        log_uri: event.log_uri.clone(),
        log_key: event.log_key.clone(),
        security_configuration: event.security_configuration.clone(),
        service_role: None,
        instance_profile: None,
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        cloudwatch_enabled: None,
        cloudwatch_log_group: None,
        cloudwatch_stream_prefix: None,
        cloudwatch_key: None,
        cloudwatch_log_types: None,
        yarn_log_dir: None,
        yarn_log_aggregation: None,
        spark_event_log_dir: None,
        spark_event_log_enabled: None,
        spark_history_dir: None,
        session_enabled: None,
        steps_lookup: Some(Lookup::NotAttempted),
        steps_error_code: None,
        steps: None,
        steps_settled_id: None,
        steps_settled: None,
        sessions_lookup: None,
        sessions_error_code: None,
        emr_model: Some(EMR_MODEL),
        owner: None,
        cost_center: None,
        business_unit: None,
        data_classification: None,
        lineage: None,
        seen: Seen::Listed,
        settings: Settings::Described,
        described_in_run: None,
        described_at: None,
    }
}
