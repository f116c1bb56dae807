//! Counts verdicts and findings as they stream by.
//!
//! Memory grows with accounts, rules and reasons, never with clusters.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::datasets::{Finding, Launch, Verdict};
use crate::model::ids::AccountId;
use crate::model::table::Dataset;
use crate::model::text::Text;
use crate::model::words::{
    AttemptBucket, Delivery, Judgement, LaunchSeen, Outcome, Population, Posture, RuleKind,
    Severity,
};

/// Clusters of one verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub all: i64,
    pub active: i64,
}

/// What one account should fix first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToFix {
    pub account_id: AccountId,
    /// Active clusters that are NON_COMPLIANT.
    pub active: i64,
    pub rule: String,
    pub reason: String,
}

/// Everything counted over one run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub verdicts: BTreeMap<Judgement, Count>,
    pub postures: BTreeMap<Posture, i64>,
    /// Active UNKNOWN clusters by what is missing: an IAM action, else a reason.
    pub unknown_for_want_of: BTreeMap<String, i64>,
    /// Active COMPLIANT clusters of which nobody can tell whether logs arrive, by what is missing.
    pub delivery_unknown_for_want_of: BTreeMap<String, i64>,
    /// Active COMPLIANT clusters of whose logs AWS keeps copies of its own, by a setting or for want of
    /// one in their release. Clusters whose release is not known are not among them.
    pub keep_copies: i64,
    /// Worst severity among FAIL findings of active clusters.
    pub worst_active: Option<Severity>,
    /// Clusters whose verdict differs from the run of record before by changed rules alone.
    pub rule_changes: i64,
    /// Findings that each waiver marks, of all clusters.
    pub waived: BTreeMap<String, i64>,
    pub attempts: Attempts,
    failing: BTreeMap<AccountId, i64>,
    /// Failed P and D findings of active clusters by account, rule and reason.
    reasons: BTreeMap<(AccountId, Text, Text), i64>,
}

/// Attempts to launch clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    pub events: i64,
    /// Events of one try and its repetitions count once.
    pub distinct: i64,
    pub blocked: i64,
    pub flagged: i64,
    pub unknown: i64,
    /// Accepted launches whose cluster no list showed.
    pub without_cluster: i64,
    /// Clusters that were created while events were read, and whose launch is not among them.
    pub without_launch: i64,
}

impl Tally {
    /// Adds what was counted elsewhere, of other clusters and account-regions.
    pub fn merge(&mut self, other: Self) {
        fn add<K: Ord>(all: &mut BTreeMap<K, i64>, others: BTreeMap<K, i64>) {
            for (key, count) in others {
                *all.entry(key).or_default() += count;
            }
        }
        for (verdict, count) in other.verdicts {
            let all = self.verdicts.entry(verdict).or_default();
            all.all += count.all;
            all.active += count.active;
        }
        add(&mut self.postures, other.postures);
        add(&mut self.unknown_for_want_of, other.unknown_for_want_of);
        let delivery = &mut self.delivery_unknown_for_want_of;
        add(delivery, other.delivery_unknown_for_want_of);
        self.keep_copies += other.keep_copies;
        self.worst_active = self.worst_active.max(other.worst_active);
        self.rule_changes += other.rule_changes;
        add(&mut self.waived, other.waived);
        let (attempts, others) = (&mut self.attempts, other.attempts);
        attempts.events += others.events;
        attempts.distinct += others.distinct;
        attempts.blocked += others.blocked;
        attempts.flagged += others.flagged;
        attempts.unknown += others.unknown;
        attempts.without_cluster += others.without_cluster;
        attempts.without_launch += others.without_launch;
        add(&mut self.failing, other.failing);
        add(&mut self.reasons, other.reasons);
    }

    /// Counts the attempts of one account-region.
    pub fn launches(&mut self, rows: &[Launch]) {
        let attempts = |wanted: Option<AttemptBucket>| {
            let of = rows
                .iter()
                .filter(|row| wanted.is_none_or(|b| row.bucket == b));
            of.map(|row| &row.attempt_id).collect::<BTreeSet<_>>().len() as i64
        };
        let count = &mut self.attempts;
        count.events += rows.len() as i64;
        count.distinct += attempts(None);
        count.blocked += attempts(Some(AttemptBucket::Blocked));
        count.flagged += attempts(Some(AttemptBucket::Flagged));
        count.unknown += attempts(Some(AttemptBucket::Unknown));
        let not_seen = rows
            .iter()
            .filter(|row| row.population == Population::NotSeen);
        count.without_cluster += not_seen.count() as i64;
    }

    /// Counts one cluster with its findings.
    pub fn cluster(&mut self, verdict: &Verdict, findings: &[Finding]) {
        if verdict.launch_event == Some(LaunchSeen::Missing) {
            self.attempts.without_launch += 1;
        }
        let count = self.verdicts.entry(verdict.verdict).or_default();
        count.all += 1;
        self.rule_changes += i64::from(verdict.rule_change.is_some());
        for waiver in findings.iter().filter_map(|f| f.waived_by.as_deref()) {
            match self.waived.get_mut(waiver) {
                Some(count) => *count += 1,
                None => {
                    self.waived.insert(waiver.to_owned(), 1);
                }
            }
        }
        if !verdict.active {
            return;
        }
        count.active += 1;
        *self.postures.entry(verdict.posture).or_default() += 1;
        if verdict.verdict == Judgement::NonCompliant {
            *self.failing.entry(verdict.account_id.clone()).or_default() += 1;
        }
        if verdict.verdict == Judgement::Compliant && findings.iter().any(says_copies_are_kept) {
            self.keep_copies += 1;
        }
        for finding in findings {
            if finding.outcome == Outcome::Fail {
                self.worst_active = self.worst_active.max(Some(finding.severity));
                if finding.rule_kind != RuleKind::Advises {
                    let key = (
                        finding.account_id.clone(),
                        finding.rule.clone(),
                        finding.reason.clone(),
                    );
                    *self.reasons.entry(key).or_default() += 1;
                }
            }
        }
        let (kind, counted) = match (verdict.verdict, verdict.delivery) {
            (Judgement::Unknown, _) => (RuleKind::Protects, &mut self.unknown_for_want_of),
            (Judgement::Compliant, Delivery::Unknown) => {
                (RuleKind::Delivers, &mut self.delivery_unknown_for_want_of)
            }
            _ => return,
        };
        if let Some(wanted) = want_of(findings, kind) {
            *counted.entry(wanted).or_default() += 1;
        }
    }

    /// Clusters with this verdict.
    pub fn count(&self, verdict: Judgement) -> Count {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }

    /// Accounts with the most failing active clusters first, at most `most` of them.
    pub fn to_fix(&self, most: usize) -> Vec<ToFix> {
        let mut all: Vec<ToFix> = self
            .failing
            .iter()
            .map(|(account, active)| {
                // Its own stretch of the sorted map, so that accounts are not compared with each other.
                let from = (account.clone(), Text::default(), Text::default());
                let commonest = self
                    .reasons
                    .range(from..)
                    .take_while(|((a, _, _), _)| a == account)
                    .max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
                let (rule, reason) = commonest
                    .map(|((_, rule, reason), _)| (rule.to_string(), reason.to_string()))
                    .unwrap_or_default();
                ToFix {
                    account_id: account.clone(),
                    active: *active,
                    rule,
                    reason,
                }
            })
            .collect();
        all.sort_by(|a, b| {
            b.active
                .cmp(&a.active)
                .then_with(|| a.account_id.cmp(&b.account_id))
        });
        all.truncate(most);
        all
    }
}

/// Whether a finding says that AWS keeps copies. Before release 7.13.0 it always does: the rule that
/// asks does not apply there, since nothing could have been set.
fn says_copies_are_kept(finding: &Finding) -> bool {
    finding.rule == "EL-07"
        && matches!(
            finding.reason.as_str(),
            "aws_side_copies" | "release_has_no_switch"
        )
}

/// What would turn UNKNOWN into an answer: the first refused permission that a finding of the kind
/// names, since only that can be granted; else the first reason.
fn want_of(findings: &[Finding], kind: RuleKind) -> Option<String> {
    let unknown = findings
        .iter()
        .filter(|f| f.outcome == Outcome::Unknown && f.rule_kind == kind);
    // Most name none, and reading JSON takes long.
    let mut named = unknown
        .clone()
        .filter(|f| f.params_json.contains("denied_action"));
    let action = named.find_map(|f| {
        let params: serde_json::Value = serde_json::from_str(&f.params_json).ok()?;
        Some(params.get("denied_action")?.as_str()?.to_owned())
    });
    action.or_else(|| unknown.map(|f| f.reason.to_string()).next())
}

/// How verdicts changed since an earlier run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Difference of the count of all clusters, by verdict.
    pub delta: BTreeMap<Judgement, i64>,
    /// NON_COMPLIANT now and not before.
    pub new: i64,
    /// Active and NON_COMPLIANT before, COMPLIANT now.
    pub fixed: i64,
    /// Active and NON_COMPLIANT before, ended or gone now.
    pub ended: i64,
}

/// Compares two runs by merging their verdicts, both in primary-key order.
pub fn changes<E>(
    before: impl Iterator<Item = Result<Verdict, E>>,
    now: impl Iterator<Item = Result<Verdict, E>>,
) -> Result<Changes, E> {
    let mut changes = Changes::default();
    let (mut before, mut now) = (before.peekable(), now.peekable());
    loop {
        let order = match (before.peek(), now.peek()) {
            (None, None) => return Ok(changes),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Ok(b)), Some(Ok(n))) => b.key_order(n),
            // An error on either side is taken and returned below.
            (Some(Err(_)), _) => Ordering::Less,
            (_, Some(Err(_))) => Ordering::Greater,
        };
        let old = if order.is_le() {
            before.next().transpose()?
        } else {
            None
        };
        let new = if order.is_ge() {
            now.next().transpose()?
        } else {
            None
        };
        changes.add(old.as_ref(), new.as_ref());
    }
}

impl Changes {
    fn add(&mut self, old: Option<&Verdict>, new: Option<&Verdict>) {
        let bad = |v: &&Verdict| v.verdict == Judgement::NonCompliant;
        if let Some(old) = old {
            *self.delta.entry(old.verdict).or_default() -= 1;
        }
        if let Some(new) = new {
            *self.delta.entry(new.verdict).or_default() += 1;
        }
        let was = old.filter(bad);
        match new {
            Some(now) if bad(&now) && was.is_none() => self.new += 1,
            Some(now) if was.is_some_and(|w| w.active) => {
                if !now.active {
                    self.ended += 1;
                } else if now.verdict == Judgement::Compliant {
                    self.fixed += 1;
                }
            }
            None if was.is_some_and(|w| w.active) => self.ended += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::verdict;

    #[test]
    fn changes_are_told_apart() {
        use Judgement::{Compliant, NonCompliant, Unknown};
        let ok = |v: Vec<Verdict>| v.into_iter().map(Ok::<_, ()>);
        let before = vec![
            verdict("a", NonCompliant, true),
            verdict("b", NonCompliant, true),
            verdict("c", NonCompliant, true),
            verdict("d", Unknown, true),
        ];
        let now = vec![
            verdict("a", Compliant, true),
            verdict("b", NonCompliant, false),
            verdict("d", NonCompliant, true),
            verdict("e", NonCompliant, true),
        ];
        let changes = changes(ok(before), ok(now)).expect("no errors");
        assert_eq!((changes.new, changes.fixed, changes.ended), (2, 1, 2));
        assert_eq!(changes.delta[&NonCompliant], 0);
        assert_eq!(changes.delta[&Unknown], -1);
    }

    #[test]
    fn what_is_unknown_is_counted_by_what_is_missing() {
        let finding = |outcome, rule_kind, params_json: &str| Finding {
            scheduled_for: "2026-11-24".parse().expect("date"),
            account_id: "111122223333".parse().expect("account"),
            region: "eu-west-1".parse().expect("region"),
            cluster_id: "a".into(),
            rule: "EL-02".into(),
            rule_kind,
            severity: Severity::High,
            outcome,
            subject_kind: "key".into(),
            subject: "".into(),
            reason: "key_not_described".into(),
            params_json: params_json.to_owned().into(),
            facts: "".into(),
            advice: None,
            waived_by: None,
            owner: None,
            owner_source: None,
            cost_center: None,
            cost_center_source: None,
            business_unit: None,
            business_unit_source: None,
            data_classification: None,
            data_classification_source: None,
        };
        let mut tally = Tally::default();
        let unknown = verdict("a", Judgement::Unknown, true);
        let denied = r#"{"denied_action":"kms:DescribeKey"}"#;
        tally.cluster(
            &unknown,
            &[finding(Outcome::Unknown, RuleKind::Protects, denied)],
        );
        tally.cluster(
            &unknown,
            &[finding(Outcome::Unknown, RuleKind::Protects, "{}")],
        );
        let counted: Vec<_> = tally.unknown_for_want_of.into_iter().collect();
        let expected = [
            ("key_not_described".to_owned(), 1),
            ("kms:DescribeKey".to_owned(), 1),
        ];
        assert_eq!(counted, expected);

        // Only a permission can be granted: it comes first, wherever it stands.
        let both = [
            finding(Outcome::Unknown, RuleKind::Protects, "{}"),
            finding(Outcome::Unknown, RuleKind::Protects, denied),
        ];
        let mut tally = Tally::default();
        tally.cluster(&unknown, &both);
        assert_eq!(
            tally.unknown_for_want_of,
            [("kms:DescribeKey".to_owned(), 1)].into()
        );

        // Whether logs arrive may be unknown while the verdict is not.
        let mut arriving = verdict("a", Judgement::Compliant, true);
        arriving.delivery = Delivery::Unknown;
        let mut waived = finding(Outcome::Unknown, RuleKind::Delivers, denied);
        waived.waived_by = Some("w-1".to_owned());
        tally.cluster(&arriving, &[waived.clone()]);
        arriving.active = false;
        tally.cluster(&arriving, &[waived]);
        let expected = [("kms:DescribeKey".to_owned(), 1)].into();
        assert_eq!(tally.delivery_unknown_for_want_of, expected);
        assert_eq!(tally.waived, [("w-1".to_owned(), 2)].into());

        let mut tally = Tally::default();
        let bad = verdict("a", Judgement::NonCompliant, true);
        tally.cluster(&bad, &[finding(Outcome::Fail, RuleKind::Protects, "{}")]);
        assert_eq!(tally.to_fix(1)[0].rule, "EL-02");
        assert_eq!(tally.worst_active, Some(Severity::High));
    }

    #[test]
    fn an_error_in_a_stream_is_returned() {
        let before = vec![Ok(verdict("a", Judgement::Compliant, true)), Err("torn")];
        let now = vec![Ok(verdict("b", Judgement::Compliant, true))];
        assert_eq!(changes(before.into_iter(), now.into_iter()), Err("torn"));
    }

    fn copies(reason: &str) -> Finding {
        let verdict = verdict("a", Judgement::Compliant, true);
        Finding {
            scheduled_for: verdict.scheduled_for,
            account_id: verdict.account_id,
            region: verdict.region,
            cluster_id: verdict.cluster_id.into(),
            rule: "EL-07".into(),
            rule_kind: RuleKind::Advises,
            severity: Severity::Low,
            outcome: Outcome::Fail,
            subject_kind: "cluster".into(),
            subject: "".into(),
            reason: reason.to_owned().into(),
            params_json: "{}".into(),
            facts: "".into(),
            advice: None,
            waived_by: None,
            owner: None,
            owner_source: None,
            cost_center: None,
            cost_center_source: None,
            business_unit: None,
            business_unit_source: None,
            data_classification: None,
            data_classification_source: None,
        }
    }

    #[test]
    fn only_active_compliant_clusters_keep_copies_and_no_guess_counts() {
        use Judgement::{Compliant, NonCompliant};
        let mut tally = Tally::default();
        for (verdict, reason) in [
            (verdict("a", Compliant, true), "aws_side_copies"),
            (verdict("b", Compliant, true), "release_has_no_switch"),
            (verdict("c", Compliant, true), "no_aws_side_copies"),
            (verdict("d", Compliant, true), "release_unparseable"),
            (verdict("e", Compliant, false), "aws_side_copies"),
            (verdict("f", NonCompliant, true), "aws_side_copies"),
        ] {
            tally.cluster(&verdict, &[copies(reason)]);
        }
        assert_eq!(tally.keep_copies, 2);
    }

    #[test]
    fn only_active_clusters_are_to_be_fixed() {
        let mut tally = Tally::default();
        tally.cluster(&verdict("a", Judgement::NonCompliant, false), &[]);
        assert_eq!(tally.to_fix(5), []);
        tally.cluster(&verdict("b", Judgement::NonCompliant, true), &[]);
        assert_eq!(tally.to_fix(5)[0].active, 1);
        assert_eq!(
            tally.count(Judgement::NonCompliant),
            Count { all: 2, active: 1 }
        );
    }
}
