//! From a rule's conclusion to the row that is recorded.

use super::case::Case;
use super::inputs::{AssessContext, Waiver};
use super::key_use::KeyUse;
use super::owners::Owners;
use super::rules::{About, Concluded, Fact, Rule};
use crate::model::datasets::{EmrCluster, Finding};
use crate::model::text::Text;
use crate::model::words::Outcome;

/// The finding of one rule about one subject; `before` are those of the cluster that were written
/// already.
pub(super) fn write(
    rule: &Rule,
    concluded: Concluded<'_>,
    case: &Case<'_>,
    owners: &Owners,
    before: &[Finding],
) -> Finding {
    let Concluded { judged, key } = concluded;
    let cluster_arn = &case.names.cluster_arn;
    let facts = facts(case, key, &judged.facts, before);
    let subject = match judged.about {
        About::Cluster => None,
        About::Key => key.and_then(KeyUse::name).map(|arn| ("key", arn.clone())),
        About::Bucket => case.names.bucket_arn.clone().map(|arn| ("bucket", arn)),
        About::Other(other) => Some((other.0, other.1.into())),
    };
    let (subject_kind, subject) = subject.unwrap_or_else(|| ("cluster", cluster_arn.clone()));
    let waived_by = waiver(
        case.cluster,
        case.ctx,
        rule.id,
        judged.outcome,
        [&subject, cluster_arn],
    );
    Finding {
        scheduled_for: case.ctx.scheduled_for,
        account_id: case.cluster.account_id.clone(),
        region: case.cluster.region.clone(),
        cluster_id: case.names.cluster_id.clone(),
        rule: rule.id.into(),
        rule_kind: rule.kind,
        severity: rule.severity,
        outcome: judged.outcome,
        subject_kind: subject_kind.into(),
        subject,
        reason: judged.reason.into(),
        params_json: judged.params.into_json(),
        facts,
        advice: judged.advice,
        waived_by,
        owner: owners.owner.value.clone(),
        owner_source: owners.owner.source,
        cost_center: owners.cost_center.value.clone(),
        cost_center_source: owners.cost_center.source,
        business_unit: owners.business_unit.value.clone(),
        business_unit_source: owners.business_unit.source,
        data_classification: owners.data_classification.value.clone(),
        data_classification_source: owners.data_classification.source,
    }
}

/// The rows that were read; one that the run does not hold is not named. Rules that read the same rows
/// share the text.
fn facts(case: &Case<'_>, key: Option<&KeyUse>, read: &[Fact], before: &[Finding]) -> Text {
    if read.is_empty() {
        return case.names.fact.clone();
    }
    let mut text = String::with_capacity(case.names.fact.len() + 96 * read.len());
    text.push_str(&case.names.fact);
    let mut name = |parts: &[&str]| {
        text.push(' ');
        parts.iter().for_each(|part| text.push_str(part));
    };
    for fact in read {
        match fact {
            Fact::Key => {
                if let Some(k) = key.and_then(|k| k.row.as_ref()) {
                    name(&["kms_key/", &k.key_reference]);
                }
            }
            Fact::BucketKey => {
                if let Some(k) = &case.bucket_key {
                    name(&["kms_key/", &k.key_reference]);
                }
            }
            Fact::Bucket => {
                if let Some(b) = &case.bucket {
                    name(&["log_bucket/", &b.bucket]);
                }
            }
            Fact::Row(id) => name(&[id]),
            Fact::SecurityConfiguration => {
                if let Some(s) = &case.security_configuration {
                    let (account, region) = (&case.cluster.account_id, &case.cluster.region);
                    // A name may hold blanks, which here part one fact from the next.
                    let escaped = s
                        .name
                        .replace('%', "%25")
                        .replace(char::is_whitespace, "%20");
                    name(&[
                        "emr_security_configuration/",
                        account.as_str(),
                        "/",
                        region.as_str(),
                        "/",
                        &escaped,
                    ]);
                }
            }
        }
    }
    let same = before.iter().rev().find(|finding| finding.facts == text);
    same.map_or_else(|| text.into(), |finding| finding.facts.clone())
}

/// The waiver in force that covers a finding; of several, the one whose id sorts first, so that the
/// order of the configuration does not matter.
pub(super) fn waiver(
    cluster: &EmrCluster,
    ctx: &AssessContext<'_>,
    rule: &str,
    outcome: Outcome,
    subjects: [&Text; 2],
) -> Option<String> {
    if ctx.waivers.is_empty() || !matches!(outcome, Outcome::Fail | Outcome::Unknown) {
        return None;
    }
    let account = ctx.scope.accounts.get(&cluster.account_id);
    let ou_path = account.and_then(|a| a.ou_path.as_deref()).unwrap_or("");
    let below = |ou: &String| {
        ou_path
            .split('/')
            .any(|unit| !unit.is_empty() && unit == ou)
    };
    let covers = |w: &Waiver| {
        ctx.scheduled_for <= w.expires
            && (w.rules.is_empty() || w.rules.iter().any(|r| r == rule))
            && (w.accounts.is_empty() || w.accounts.contains(&cluster.account_id))
            && (w.ous.is_empty() || w.ous.iter().any(below))
            && (w.regions.is_empty() || w.regions.contains(&cluster.region))
            && (w.resources.is_empty()
                || w.resources
                    .iter()
                    .any(|r| subjects.iter().any(|s| **s == *r)))
    };
    let in_force = ctx.waivers.iter().filter(|w| covers(w));
    in_force.map(|w| &w.id).min().cloned()
}
