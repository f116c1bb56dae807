//! Clusters of which every fact that rules read is the same are judged once: fleets launch the same
//! settings again and again. What names the cluster is replaced in the rows of the first of them.
//!
//! A cluster is judged for itself where it has rows of its own (steps, sessions, sampled objects),
//! where policies speak of single clusters, and where a conclusion mentions it in its text.

use std::ops::Range;

use super::access::Answers;
use super::case::{Case, Names, OwnRows};
use super::inputs::{AssessContext, LookupError, Lookups};
use super::verdict::{lineage_of, state_of};
use super::{RULES, channels, conclude, findings};
use crate::model::datasets::{Channel, EmrCluster, Finding, Verdict};
use crate::model::text::Text;
use crate::time::UtcMillis;

/// How many clusters, or launches, are kept to compare the next ones with.
pub(super) const MODELS: usize = 64;

/// The conclusions about clusters of one account-region, in the order in which they were judged.
#[derive(Default)]
pub struct Conclusions<'a> {
    pub channels: Vec<Channel>,
    pub findings: Vec<Finding>,
    pub verdicts: Vec<Verdict>,
    models: Vec<Model<'a>>,
}

/// A cluster whose conclusions hold for others.
struct Model<'a> {
    cluster: &'a EmrCluster,
    /// What was worked out from the facts that it was judged by.
    answers: &'a Answers,
    names: Names,
    /// When its security configuration was made, and whether that was after the launch.
    made_at: Option<UtcMillis>,
    made_later: Option<bool>,
    channels: Range<usize>,
    findings: Range<usize>,
    /// The facts that its findings name, each text once, without the first, its own row.
    other_facts: Vec<Text>,
    /// For each finding: which of `other_facts` it names, and whether it is about the cluster itself.
    parts: Vec<Part>,
    verdict: usize,
}

/// What of a finding is about one cluster alone.
struct Part {
    facts: usize,
    about_cluster: bool,
}

impl<'a> Conclusions<'a> {
    /// With room for what so many clusters mostly give.
    pub fn with_room_for(clusters: usize) -> Self {
        Self {
            channels: Vec::with_capacity(4 * clusters),
            findings: Vec::with_capacity(RULES.len() * clusters),
            verdicts: Vec::with_capacity(clusters),
            models: Vec::new(),
        }
    }

    /// Judges one cluster as [`super::assess_cluster`] does, and appends what it gives.
    ///
    /// # Errors
    /// As [`super::assess_cluster`].
    pub fn add(
        &mut self,
        cluster: &'a EmrCluster,
        ctx: &AssessContext<'_>,
        lookups: &'a dyn Lookups,
    ) -> Result<(), LookupError> {
        let own = OwnRows::of(cluster, lookups)?;
        let alone = own.is_empty();
        let answers = lookups.answers();
        let is_like =
            |model: &Model<'_>| std::ptr::eq(model.answers, answers) && model.is_like(cluster);
        if alone && let Some(at) = self.models.iter().rposition(is_like) {
            self.repeat(at, cluster, ctx);
            return Ok(());
        }
        let case = Case::gather(cluster, own, ctx, lookups)?;
        let from = (self.channels.len(), self.findings.len());
        self.verdicts.push(conclude(&case, &mut self.findings));
        channels::write(&case, &mut self.channels);
        let channels = from.0..self.channels.len();
        let findings = from.1..self.findings.len();
        let is_common = || {
            let (channels, findings) = (channels.clone(), findings.clone());
            is_common(&case, &self.channels[channels], &self.findings[findings])
        };
        if alone && is_common() {
            if self.models.len() == MODELS {
                self.models.remove(0);
            }
            let (other_facts, parts) = parts(&case.names, &self.findings[findings.clone()]);
            self.models.push(Model {
                other_facts,
                parts,
                cluster,
                answers,
                made_at: case
                    .security_configuration
                    .as_ref()
                    .and_then(|s| s.created_at),
                made_later: case.configuration_made_later(),
                channels,
                findings,
                verdict: self.verdicts.len() - 1,
                names: case.names,
            });
        }
        Ok(())
    }

    /// Appends the conclusions about the cluster of a model as those about `cluster`.
    fn repeat(&mut self, model: usize, cluster: &EmrCluster, ctx: &AssessContext<'_>) {
        let Model {
            cluster: first,
            names: of_first,
            channels,
            findings,
            other_facts,
            parts,
            verdict,
            ..
        } = &self.models[model];
        let names = Names::like(of_first, cluster);
        self.channels.reserve(channels.len());
        for at in channels.clone() {
            let mut channel = self.channels[at].clone();
            channel.cluster_id = names.cluster_id.clone();
            self.channels.push(channel);
        }
        let facts: Vec<Text> = other_facts
            .iter()
            .map(|others| names.facts_with(others))
            .collect();
        self.findings.reserve(findings.len());
        for (at, part) in findings.clone().zip(parts) {
            let known = &self.findings[at];
            let subject = match part.about_cluster {
                true => &names.cluster_arn,
                false => &known.subject,
            };
            let waived_by = findings::waiver(
                cluster,
                ctx,
                &known.rule,
                known.outcome,
                [subject, &names.cluster_arn],
            );
            let finding = Finding {
                scheduled_for: known.scheduled_for,
                account_id: known.account_id.clone(),
                region: known.region.clone(),
                cluster_id: names.cluster_id.clone(),
                rule: known.rule.clone(),
                rule_kind: known.rule_kind,
                severity: known.severity,
                outcome: known.outcome,
                subject_kind: known.subject_kind.clone(),
                subject: subject.clone(),
                reason: known.reason.clone(),
                params_json: known.params_json.clone(),
                facts: facts[part.facts].clone(),
                advice: known.advice.clone(),
                waived_by,
                owner: known.owner.clone(),
                owner_source: known.owner_source,
                cost_center: known.cost_center.clone(),
                cost_center_source: known.cost_center_source,
                business_unit: known.business_unit.clone(),
                business_unit_source: known.business_unit_source,
                data_classification: known.data_classification.clone(),
                data_classification_source: known.data_classification_source,
            };
            self.findings.push(finding);
        }
        let known = &self.verdicts[*verdict];
        debug_assert_eq!(known.cluster_id, first.cluster_id);
        let verdict = Verdict {
            cluster_id: cluster.cluster_id.clone(),
            name: cluster.name.clone(),
            state: state_of(cluster),
            active: cluster.is_active(),
            created_at: cluster.created_at,
            created_ms: cluster.created_at.map(|t| t.0),
            ended_at: cluster.ended_at,
            ended_ms: cluster.ended_at.map(|t| t.0),
            lineage: if (&cluster.lineage, &cluster.name) == (&first.lineage, &first.name) {
                known.lineage.clone()
            } else {
                lineage_of(cluster)
            },
            // What the caller may have noted of the first.
            stands_from_run: None,
            rule_change: None,
            launch_event: None,
            ..known.clone()
        };
        self.verdicts.push(verdict);
    }
}

/// Parts the facts of a cluster's findings from what only it has.
fn parts(names: &Names, findings: &[Finding]) -> (Vec<Text>, Vec<Part>) {
    let mut texts: Vec<&Text> = Vec::new();
    let parts = findings.iter().map(|finding| Part {
        about_cluster: finding.subject == names.cluster_arn,
        facts: texts
            .iter()
            .position(|text| text.is_one_with(&finding.facts))
            .unwrap_or_else(|| {
                texts.push(&finding.facts);
                texts.len() - 1
            }),
    });
    let parts = parts.collect();
    let others = |text: &&Text| Text::from(text[names.fact.len()..].to_owned());
    (texts.iter().map(others).collect(), parts)
}

impl Model<'_> {
    fn is_like(&self, cluster: &EmrCluster) -> bool {
        is_alike(self.cluster, cluster)
            && self.made_later == made_later(self.made_at, cluster.created_at)
    }
}

pub(super) fn made_later(made: Option<UtcMillis>, launched: Option<UtcMillis>) -> Option<bool> {
    Some(made? > launched?)
}

/// Whether two clusters are the same in all that rules read. A new column must take its side here.
pub(super) fn is_alike(a: &EmrCluster, b: &EmrCluster) -> bool {
    let EmrCluster {
        scheduled_for,
        account_id,
        region,
        release_label,
        log_uri,
        log_key,
        security_configuration,
        service_role,
        instance_profile,
        system_logs_upload,
        application_logs_upload,
        ui_logs_upload,
        cloudwatch_enabled,
        cloudwatch_log_group,
        cloudwatch_stream_prefix,
        cloudwatch_key,
        cloudwatch_log_types,
        yarn_log_dir,
        yarn_log_aggregation,
        spark_event_log_dir,
        spark_event_log_enabled,
        spark_history_dir,
        session_enabled,
        steps_lookup,
        steps_error_code,
        steps,
        sessions_lookup,
        sessions_error_code,
        owner,
        cost_center,
        business_unit,
        data_classification,
        seen,
        settings,
        // Who it is, and since when; only [`made_later`] reads one of them.
        cluster_id: _,
        name: _,
        state: _,
        created_at: _,
        ready_at: _,
        ended_at: _,
        // How it was read.
        steps_settled_id: _,
        steps_settled: _,
        lineage: _,
        emr_model: _,
        described_in_run: _,
        described_at: _,
    } = a;
    // What differs most often comes first.
    *log_key == b.log_key
        && *log_uri == b.log_uri
        && *release_label == b.release_label
        && *security_configuration == b.security_configuration
        && *instance_profile == b.instance_profile
        && *service_role == b.service_role
        && *steps == b.steps
        && *owner == b.owner
        && *cost_center == b.cost_center
        && *business_unit == b.business_unit
        && *data_classification == b.data_classification
        && *system_logs_upload == b.system_logs_upload
        && *application_logs_upload == b.application_logs_upload
        && *ui_logs_upload == b.ui_logs_upload
        && *cloudwatch_enabled == b.cloudwatch_enabled
        && *cloudwatch_log_group == b.cloudwatch_log_group
        && *cloudwatch_stream_prefix == b.cloudwatch_stream_prefix
        && *cloudwatch_key == b.cloudwatch_key
        && *cloudwatch_log_types == b.cloudwatch_log_types
        && *yarn_log_dir == b.yarn_log_dir
        && *yarn_log_aggregation == b.yarn_log_aggregation
        && *spark_event_log_dir == b.spark_event_log_dir
        && *spark_event_log_enabled == b.spark_event_log_enabled
        && *spark_history_dir == b.spark_history_dir
        && *session_enabled == b.session_enabled
        && *steps_lookup == b.steps_lookup
        && *steps_error_code == b.steps_error_code
        && *sessions_lookup == b.sessions_lookup
        && *sessions_error_code == b.sessions_error_code
        && *seen == b.seen
        && *settings == b.settings
        && *region == b.region
        && *account_id == b.account_id
        && *scheduled_for == b.scheduled_for
}

/// Whether nothing in the conclusions is about this cluster alone, but its name where it belongs.
fn is_common(case: &Case<'_>, channels: &[Channel], findings: &[Finding]) -> bool {
    let access = case.keys.iter().flat_map(|key| &key.access);
    let mut uses = access.flat_map(|access| &access.uses);
    let of_one_cluster = uses.any(|at| at.used.of_one_cluster)
        || case.destination.as_ref().is_some_and(|d| d.of_one_cluster);
    // The end of its id, which tells it from others in eight letters: short enough to be looked for
    // fast, and a text that has it by chance costs no more than judging the next cluster in full.
    let id = case.cluster.cluster_id.as_str();
    let end = id.get(id.len().saturating_sub(8)..).unwrap_or(id);
    let has = |text: &str| text.contains(end);
    let mentions = |finding: &Finding| {
        let others = finding.facts.strip_prefix(case.names.fact.as_str());
        others.is_none_or(has)
            || has(&finding.params_json)
            || finding.advice.as_deref().is_some_and(has)
            || (finding.subject != case.names.cluster_arn && has(&finding.subject))
    };
    let goes = |channel: &Channel| {
        let Channel {
            destination,
            destination_bucket,
            requested_key,
            key_reference,
            key_arn,
            ..
        } = channel;
        let names = [destination_bucket, requested_key, key_reference, key_arn];
        has(destination) || names.into_iter().flatten().any(|name| has(name))
    };
    !of_one_cluster && !findings.iter().any(mentions) && !channels.iter().any(goes)
}
