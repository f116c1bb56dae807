//! A run compared with one that nothing befalls: the same facts or none, the same conclusions or UNKNOWN.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Look;
use super::property::{Check, name};
use crate::collect::facts::Facts;
use crate::model::datasets::{ControlEvent, Coverage, EmrCluster, Finding, Verdict};
use crate::model::ids::AccountId;
use crate::model::table::{Cell, Dataset};
use crate::model::words::{CellOutcome, Delivery, Judgement, Outcome, Source};

impl Check<'_> {
    /// Each row says what a run without faults says, or that it could not be read.
    pub fn facts(&mut self, calm: &Look) {
        let (bad, good) = (&self.look.facts, &calm.facts);
        let known: Vec<EmrCluster> = self
            .before
            .0
            .values()
            .flat_map(|k| k.clusters.clone())
            .collect();
        self.rows(&bad.clusters, &good.clusters, &known);
        self.rows(&bad.steps, &good.steps, &[]);
        self.rows(&bad.sessions, &good.sessions, &[]);
        self.rows(&bad.log_groups, &good.log_groups, &[]);
        self.rows(
            &bad.security_configurations,
            &good.security_configurations,
            &[],
        );
        self.rows(&bad.keys, &good.keys, &[]);
        self.rows(&bad.grants, &good.grants, &[]);
        self.rows(&bad.principals, &good.principals, &[]);
        self.rows(&bad.buckets, &good.buckets, &[]);
        self.rows(&bad.trails, &good.trails, &[]);
        // Where a part of an account was not read, every name is asked for, and more events are found.
        let unread = bad.coverage.iter().filter(|c| !c.outcome.is_answer());
        let unread: BTreeSet<&AccountId> = unread.map(|c| &c.account_id).collect();
        let is_known =
            |e: &ControlEvent| good.control_events.iter().any(|g| g.key_order(e).is_eq());
        let events = bad.control_events.iter();
        let events = events.filter(|e| !unread.contains(&e.account_id) || is_known(e));
        let events: Vec<ControlEvent> = events.cloned().collect();
        self.rows(&events, &good.control_events, &[]);
    }

    fn rows<D: Dataset>(&mut self, bad: &[D], good: &[D], known: &[D]) {
        let is_word = |name: &str| {
            name == "lookup" || name.ends_with("_lookup") || name == "settings" || name == "seen"
        };
        let is_about_failure = |name: &str| {
            name.ends_with("error_code") || name == "denied_action" || name == "customer_proof"
        };
        // Without a list of aliases there is none; a key without aliases has the empty text, and so has one
        // that was refused, though without the refusal it had been found to be gone.
        let tells_of_aliases = |name: &str| name == "aliases" || name == "alias_updated_at";
        for row in bad {
            let as_key = |position: &usize| text(&row.cell(*position));
            let key = D::KEY.iter().map(as_key).collect::<Vec<_>>().join(" ");
            let same = |of: &&D| of.key_order(row).is_eq();
            let columns = || D::COLUMNS.iter().enumerate().filter(|(_, c)| !c.volatile);
            let Some(clean) = good.iter().find(same) else {
                // What is known of an item whose owner could not be asked stands elsewhere.
                let unread = columns().any(|(at, c)| {
                    is_word(c.name)
                        && !["found", "listed", "described"].contains(&&*text(&row.cell(at)))
                });
                if !unread {
                    self.say(format!("MADE UP {} {key}", D::NAME));
                }
                continue;
            };
            let known = known.iter().find(same);
            let differs = |at: usize| row.cell(at) != clean.cell(at);
            let degraded = columns().any(|(at, c)| is_word(c.name) && differs(at));
            // What a trail does is told by its cell alone.
            let account = text(&row.cell(D::KEY[0]));
            let trails = self.look.cell(&account, "global", Source::Trails);
            let half_read =
                D::NAME == "trail" && trails.is_some_and(|c| c.outcome == CellOutcome::Partial);
            for (at, column) in columns().filter(|(at, _)| differs(*at)) {
                let is_null = row.cell(at) == Cell::Null;
                let excused = is_about_failure(column.name)
                    || is_null && (half_read || tells_of_aliases(column.name))
                    || degraded
                        && (is_null
                            || tells_of_aliases(column.name) && clean.cell(at) == Cell::Null
                            || is_word(column.name)
                            || known.is_some_and(|k| k.cell(at) == row.cell(at)));
                if !excused {
                    self.say(format!(
                        "{} {key}: {} is {}, without faults {}",
                        D::NAME,
                        column.name,
                        text(&row.cell(at)),
                        text(&clean.cell(at))
                    ));
                }
            }
        }
    }

    /// A cell that says it was answered has all the rows that it has without faults.
    pub fn answered_cells(&mut self, calm: &Look) {
        fn keys<D: Dataset>(rows: &[D], cell: &Coverage) -> BTreeSet<String> {
            let place = [cell.account_id.to_string(), cell.region.to_string()];
            let here = |row: &&D| (0..2).all(|i| text(&row.cell(D::KEY[i])) == place[i]);
            let rows = rows.iter().filter(here);
            rows.map(|row| D::KEY.iter().map(|k| text(&row.cell(*k)) + " ").collect())
                .collect()
        }
        fn of(facts: &Facts, cell: &Coverage) -> Option<BTreeSet<String>> {
            Some(match cell.source {
                Source::Clusters => keys(&facts.clusters, cell),
                Source::SecurityConfigurations => keys(&facts.security_configurations, cell),
                Source::Launches => keys(&facts.launches, cell),
                Source::Trails => keys(&facts.trails, cell),
                Source::ControlEvents => keys(&facts.control_events, cell),
                _ => return None,
            })
        }
        // Changes are looked up of the keys and buckets that were named and found.
        let hides_names = |cell: &Coverage| {
            let names = [
                Source::Clusters,
                Source::ClusterSettings,
                Source::Steps,
                Source::Sessions,
                Source::BucketOwners,
            ];
            names.contains(&cell.source) && !cell.is_answered()
        };
        let all_named = !self.look.facts.coverage.iter().any(hides_names);
        for cell in &self.look.facts.coverage {
            if !matches!(cell.outcome, CellOutcome::Collected | CellOutcome::Empty)
                || (cell.source == Source::ControlEvents && !all_named)
            {
                continue;
            }
            let (Some(bad), Some(good)) = (of(&self.look.facts, cell), of(&calm.facts, cell))
            else {
                continue;
            };
            if let Some(lost) = good.difference(&bad).next() {
                self.problems
                    .push(format!("LOST {lost}, but {} {}", name(cell), cell.outcome));
            }
        }
        // Where every cell was answered, everything is there.
        let open = |look: &Look| -> BTreeSet<String> {
            let cells = look.facts.coverage.iter().filter(|c| !c.is_answered());
            cells.map(name).collect()
        };
        let (bad, good) = (open(self.look), open(calm));
        if bad.is_subset(&good) {
            let counts = |f: &Facts| {
                [
                    f.clusters.len(),
                    f.steps.len(),
                    f.sessions.len(),
                    f.log_groups.len(),
                    f.keys.len(),
                    f.grants.len(),
                    f.buckets.len(),
                    f.principals.len(),
                ]
            };
            let (bad, good) = (counts(&self.look.facts), counts(&calm.facts));
            if bad != good {
                self.say(format!(
                    "as many cells answered, other rows: {bad:?} {good:?}"
                ));
            }
        }
    }

    /// What could not be read makes a conclusion UNKNOWN, and nothing else.
    pub fn conclusions(&mut self, calm: &Look) {
        let key = |f: &Finding| {
            (
                f.account_id.clone(),
                f.region.clone(),
                f.cluster_id.to_string(),
                f.rule.to_string(),
                f.subject.to_string(),
            )
        };
        let good: BTreeMap<_, _> = calm.findings.iter().map(|f| (key(f), f)).collect();
        let mut problems = Vec::new();
        for finding in &self.look.findings {
            let Some(clean) = good.get(&key(finding)) else {
                continue;
            };
            if ![Outcome::Unknown, clean.outcome].contains(&finding.outcome) {
                problems.push(format!(
                    "JUDGED {} {} {}: {} ({}), without faults {} ({})",
                    finding.cluster_id,
                    finding.rule,
                    finding.subject,
                    finding.outcome,
                    finding.reason,
                    clean.outcome,
                    clean.reason
                ));
            }
        }
        let key = |v: &Verdict| (v.account_id.clone(), v.region.clone(), v.cluster_id.clone());
        let good: BTreeMap<_, _> = calm.verdicts.iter().map(|v| (key(v), v)).collect();
        for verdict in &self.look.verdicts {
            let Some(clean) = good.get(&key(verdict)) else {
                continue;
            };
            // Delivery that nobody can tell does not decide any more.
            let told = [Judgement::Unknown, clean.verdict].contains(&verdict.verdict)
                || (verdict.delivery, clean.delivery) == (Delivery::Unknown, Delivery::Broken);
            if !told {
                problems.push(format!(
                    "JUDGED {}: {}, without faults {}",
                    verdict.cluster_id, verdict.verdict, clean.verdict
                ));
            }
        }
        let judged = self.look.verdicts.len() == self.look.facts.clusters.len();
        if self.look.is_judged && !judged {
            problems.push("a cluster without a verdict".to_owned());
        }
        self.problems.append(&mut problems);
    }

    /// Cells end as they do after days without faults, and clusters that are alive are judged alike.
    pub fn like_after_good_days(&mut self, calm: &Look) {
        for cell in self.look.facts.coverage.iter().filter(|c| !c.is_answered()) {
            let clean = calm.cell(cell.account_id.as_str(), cell.region.as_str(), cell.source);
            if clean.is_none_or(|c| c.outcome != cell.outcome) {
                self.problems
                    .push(format!("{} is {}", name(cell), cell.outcome));
            }
        }
        let judged = self.look.is_judged;
        for clean in calm.verdicts.iter().filter(|v| v.active && judged) {
            let mut ours = self.look.verdicts.iter();
            let ours = ours.find(|v| v.key_order(clean).is_eq());
            if ours.is_none_or(|v| v.verdict != clean.verdict) {
                self.problems.push(format!(
                    "{} is {:?}, after good days {}",
                    clean.cluster_id,
                    ours.map(|v| v.verdict.as_str()),
                    clean.verdict
                ));
            }
        }
    }
}

fn text(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "-".to_owned(),
        Cell::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}
