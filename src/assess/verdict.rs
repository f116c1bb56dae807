//! What all findings conclude for one cluster.

use super::case::{Case, Unread};
use super::key_use::{KeyUse, Standing};
use super::owners::Owners;
use super::retained::Retained;
use super::rules::{LOG_KEY_SET, LOGS_DELIVERED};
use crate::model::datasets::{ACTIVE_STATES, EmrCluster, Finding, Verdict};
use crate::model::lineage::lineage;
use crate::model::text::Text;
use crate::model::words::{
    Delivery, Judgement, Outcome, Posture, RetainedCopies, RuleKind, VerdictBasis,
};

/// The verdict row.
pub(super) fn conclude(case: &Case<'_>, findings: &[Finding], owners: Owners) -> Verdict {
    let cluster = case.cluster;
    let (verdict, decided_by) = judge(case, findings);
    Verdict {
        scheduled_for: case.ctx.scheduled_for,
        account_id: cluster.account_id.clone(),
        region: cluster.region.clone(),
        cluster_id: cluster.cluster_id.clone(),
        name: cluster.name.clone(),
        state: state_of(cluster),
        active: cluster.is_active(),
        created_at: cluster.created_at,
        created_ms: cluster.created_at.map(|t| t.0),
        ended_at: cluster.ended_at,
        ended_ms: cluster.ended_at.map(|t| t.0),
        verdict,
        delivery: delivery(findings),
        posture: posture(case, findings),
        basis: match case.unread() {
            None => VerdictBasis::Assessed,
            Some(Unread::Deferred) => VerdictBasis::Deferred,
            Some(Unread::NotSeen) => VerdictBasis::Carried,
        },
        decided_by,
        stands_from_run: None,
        rule_change: None,
        launch_event: None,
        ou_path: owners.ou_path,
        owner: owners.owner.value,
        owner_source: owners.owner.source,
        cost_center: owners.cost_center.value,
        cost_center_source: owners.cost_center.source,
        business_unit: owners.business_unit.value,
        business_unit_source: owners.business_unit.source,
        data_classification: owners.data_classification.value,
        data_classification_source: owners.data_classification.source,
        lineage: lineage_of(cluster),
        retained_copies: Some(match case.unread() {
            None => Retained::of(case).copies(),
            Some(_) => RetainedCopies::Unknown,
        }),
    }
}

/// The cluster's state; those that AWS documents are words of this program.
pub(super) fn state_of(cluster: &EmrCluster) -> Text {
    let ended = ["TERMINATED", "TERMINATED_WITH_ERRORS"];
    let mut known = ended.into_iter().chain(ACTIVE_STATES);
    let known = known.find(|state| *state == cluster.state);
    known.map_or_else(|| Text::from(&cluster.state), Text::from)
}

/// The lineage that the cluster belongs to, as far as its tag or its name tells.
pub(super) fn lineage_of(cluster: &EmrCluster) -> Option<Text> {
    lineage(cluster.lineage.as_deref(), cluster.name.as_deref()).map(Text::from)
}

/// A failure of protection or delivery outweighs what is not known, and that outweighs the absence
/// of logs. Returns the verdict and the rules that decided it.
fn judge(case: &Case<'_>, findings: &[Finding]) -> (Judgement, Text) {
    let binding = |f: &&Finding| matches!(f.rule_kind, RuleKind::Protects | RuleKind::Delivers);
    let failed = ids(findings
        .iter()
        .filter(binding)
        .filter(|f| f.outcome == Outcome::Fail));
    if !failed.is_empty() {
        return (Judgement::NonCompliant, failed);
    }
    let unknown = ids(findings
        .iter()
        .filter(|f| f.rule_kind == RuleKind::Protects && f.outcome == Outcome::Unknown));
    if !unknown.is_empty() {
        return (Judgement::Unknown, unknown);
    }
    if case.archives_nothing() && case.places.is_empty() {
        let no_logs = |f: &&Finding| f.outcome == Outcome::Fail && f.rule == LOGS_DELIVERED;
        return (Judgement::NoLogs, ids(findings.iter().filter(no_logs)));
    }
    let passed = findings
        .iter()
        .filter(binding)
        .filter(|f| f.outcome == Outcome::Pass);
    (Judgement::Compliant, ids(passed))
}

fn ids<'f>(findings: impl Iterator<Item = &'f Finding>) -> Text {
    findings
        .map(|f| f.rule.as_str())
        .collect::<Vec<_>>()
        .join(" ")
        .into()
}

/// Whether logs can be written with the key, from the rules that ask about delivery.
fn delivery(findings: &[Finding]) -> Delivery {
    let has = |outcome| {
        let mut asked = findings
            .iter()
            .filter(|f| f.rule_kind == RuleKind::Delivers);
        asked.any(|f| f.outcome == outcome)
    };
    if has(Outcome::Fail) {
        Delivery::Broken
    } else if has(Outcome::Unknown) {
        Delivery::Unknown
    } else if has(Outcome::Pass) {
        Delivery::Working
    } else {
        Delivery::NotApplicable
    }
}

/// What the customer chose for C1, whoever owns the key. Where it is not known whether C1 carries
/// anything or whether the release honours the choice, neither is the posture.
fn posture(case: &Case<'_>, findings: &[Finding]) -> Posture {
    let mut log_key_set = findings.iter().filter(|f| f.rule == LOG_KEY_SET);
    if log_key_set.any(|f| f.outcome == Outcome::Unknown) {
        return Posture::Unknown;
    }
    if case.archives_nothing() {
        return Posture::NotArchived;
    }
    match case.log_key().map(KeyUse::standing) {
        None => Posture::PassiveDefault,
        Some(Standing::Customer) => Posture::Active,
        Some(Standing::AwsManaged) => Posture::PassiveAwsKey,
        Some(Standing::NotFound | Standing::NotDescribed | Standing::Unparseable) => {
            Posture::Unknown
        }
    }
}
