//! `keyproof assess --run-id`: judges a sealed run again from its sealed facts. By the rules and the
//! configuration that it was sealed with, to check what was concluded; or by those at hand, to see what
//! they would change. Nothing is written into the archive.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::archive::chain::Chain;
use crate::archive::starts::{Begun, START_LIMIT};
use crate::archive::store::Fetch;
use crate::archive::{layout, records};
use crate::assess::{self, RuleConfig, Waiver};
use crate::config::Config;
use crate::model::datasets::{Channel, Finding, KeyAccess, Launch, Verdict};
use crate::model::ids::RunId;
use crate::model::table::Dataset;
use crate::record::{self, Journal, RecordError};
use crate::time::Clock;

use super::archive::{open_store, read_chain};
use super::evidence::{Evidence, copy_facts};
use super::judge::{Inputs, Speed, judge};
use super::past::{Earlier, Past, Stands};
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, Shell, exceptions, memory, random};

/// Differing clusters that are named; the others are counted.
const MOST_NAMED: usize = 200;

/// What judging again showed.
#[derive(Debug)]
pub struct Reassessed {
    /// Whether every dataset of conclusions has the sealed rows.
    pub equal: bool,
    /// Clusters whose verdict is another than the sealed one.
    pub differing: usize,
    pub text: String,
    /// How fast clusters were judged.
    pub speed: String,
}

/// By what a sealed run is judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The configuration that was sealed with it: another conclusion is a failure of verification.
    Sealed,
    /// The configuration at hand: another conclusion is what was asked for.
    AtHand,
}

/// The part of a start file that judging reads.
#[derive(Deserialize)]
struct Sealed {
    config: SealedInputs,
}

/// The configuration in a start that judging reads.
#[derive(Deserialize)]
pub struct SealedInputs {
    pub rules: RuleConfig,
    pub has_account_list: bool,
    waivers: serde_json::Value,
}

impl SealedInputs {
    /// Of a run that has begun.
    pub fn of(begun: &Begun) -> Result<Self, RunError> {
        serde_json::from_value(begun.start.config.clone()).map_err(|e| RunError::Local {
            path: begun.file.name.clone(),
            detail: e.to_string(),
        })
    }

    /// The waivers; `name` is that of the start, for messages.
    pub fn waivers(&self, name: &str) -> Result<Vec<Waiver>, RunError> {
        exceptions::unsealed(&self.waivers).ok_or_else(|| RunError::Changed {
            name: name.to_owned(),
        })
    }
}

/// Judges the sealed facts of `run_id` again and compares the conclusions with the sealed ones.
pub async fn reassess(
    shell: &Shell,
    config: &Config,
    run_id: &RunId,
    by: By,
) -> Result<Reassessed, RunError> {
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    let chain = read_chain(fetch).await?;
    memory::check_to_read(config, &fetch.url(), &chain, None)?;
    let run = sealed::find(&chain, run_id).ok_or_else(|| RunError::NoSuchRun {
        run_id: run_id.clone(),
        url: fetch.url(),
    })?;
    let name = format!("assess-{:08x}", u32::from_be_bytes(random()?));
    let work = Work::create(config, &name)?;
    let again = Again {
        evidence: &Evidence {
            fetch,
            work: &work.path,
        },
        chain: &chain,
        clock: &*shell.clock,
        run: &run,
    };
    let at_hand = exceptions::waivers(&config.exceptions);
    let other = (by == By::AtHand).then_some((&config.rules, at_hand.as_slice()));
    // What changed rules turned is part of the sealed conclusions.
    let changed = match (by, again.before()) {
        (By::Sealed, Some(before)) if before.rules() != run.rules() => {
            let last = Again {
                run: &before,
                ..again
            };
            Some(last.by_changed_rules(&work.path).await?.changed)
        }
        _ => None,
    };
    let (journal, speed) = again
        .judge(&work.path.join("again"), other, changed)
        .await?;
    let mut done = again.compare(&journal, by).await?;
    done.speed = speed.to_string();
    Ok(done)
}

/// A sealed run that is judged again.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    pub evidence: &'a Evidence<'a>,
    pub chain: &'a Chain,
    pub clock: &'a dyn Clock,
    pub run: &'a SealedRun,
}

/// The last run of record under changed rules.
pub struct ByChangedRules {
    /// All conclusions.
    pub conclusions: Journal,
    /// Verdicts that are not as sealed; their `rule_change` is the sealed one.
    pub changed: Journal,
}

impl Again<'_> {
    /// The run of record before it, as its writer saw the chain.
    fn before(&self) -> Option<SealedRun> {
        let seq = self.run.entry().seq;
        sealed::of_record_among(self.chain.runs().filter(|(entry, _)| entry.seq < seq))
            .into_iter()
            .rev()
            .find(|(date, _)| *date < self.run.seal.scheduled_for)
            .map(|(_, run)| run)
    }

    /// Judges the run by this program's rules and its own configuration, and tells what is then
    /// otherwise than sealed. `dir` is to hold the journals.
    pub async fn by_changed_rules(&self, dir: &Path) -> Result<ByChangedRules, RunError> {
        let (conclusions, _) = self.judge(&dir.join("last"), None, None).await?;
        let changed = Journal::create(&dir.join("changed"))?;
        let sealed = self.evidence.rows::<Verdict>(self.run).await?;
        let mut rows = Vec::new();
        for pair in pairs(sealed, conclusions.rows::<Verdict>()) {
            if let (Some(old), Some(mut new)) = pair?
                && old.verdict != new.verdict
            {
                new.rule_change = Some(old.verdict);
                rows.push(new);
            }
            if rows.len() == 4_096 {
                changed.append(&mut rows)?;
            }
        }
        changed.append(&mut rows)?;
        Ok(ByChangedRules {
            conclusions,
            changed,
        })
    }

    /// The conclusions from the sealed facts, by `other` configuration or else the sealed one.
    async fn judge(
        &self,
        dir: &Path,
        other: Option<(&RuleConfig, &[Waiver])>,
        changed: Option<Journal>,
    ) -> Result<(Journal, Speed), RunError> {
        let run = self.run;
        let sealed = inputs(self.evidence.fetch, run).await?;
        let waivers = sealed.waivers(&layout::start(run.seal.start_n))?;
        let journal = Journal::create(&dir.join("journal"))?;
        let files = run.all_files(self.evidence.fetch).await?;
        copy_facts(self.evidence, &files, &journal).await?;
        let past = self.past(dir, changed).await?;
        let (rules, waivers) = other.unwrap_or((&sealed.rules, &waivers));
        let inputs = Inputs {
            scheduled_for: run.seal.scheduled_for,
            as_of: run.seal.started_at,
            has_account_list: sealed.has_account_list,
            rules,
            waivers,
            clock: self.clock,
        };
        let (_, speed) = judge(&journal, &journal, &inputs, &past)?;
        Ok((journal, speed))
    }

    /// The earlier runs on which ended clusters stand, as the sealed verdicts name them. One that is
    /// not sealed, or for no earlier date, is nothing to stand on.
    async fn past(&self, dir: &Path, changed: Option<Journal>) -> Result<Past, RunError> {
        let stands = Journal::create(&dir.join("stands"))?;
        let standing = |v: &Verdict| v.stands_from_run.is_some();
        self.evidence
            .copy::<Verdict>(self.run, &stands, standing)
            .await?;
        let mut named = BTreeSet::new();
        for verdict in stands.rows::<Verdict>() {
            named.extend(verdict?.stands_from_run);
        }
        let mut past = Past {
            stands: Stands::AsSealed(stands),
            changed,
            ..Past::default()
        };
        for run_id in named {
            let Some(run) = sealed::find(self.chain, &run_id) else {
                continue;
            };
            if run.seal.scheduled_for < self.run.seal.scheduled_for {
                let facts = Journal::create(&dir.join(run_id.as_str()))?;
                let earlier = Earlier::load(self.evidence, &run, facts).await?;
                past.runs.insert(run_id, earlier);
            }
        }
        Ok(past)
    }

    async fn compare(&self, journal: &Journal, by: By) -> Result<Reassessed, RunError> {
        let run = self.run;
        let (evidence, producer) = (self.evidence, &run.entry().statement.producer);
        let mut text = format!(
            "Run {} for {}, rule set {}\n",
            run.seal.run_id,
            run.seal.scheduled_for,
            assess::RULES_VERSION
        );
        let other_rules = producer.rules_sha256 != assess::rules_digest();
        if other_rules {
            let _ = writeln!(
                text,
                "Sealed with rule set {} (digest {})",
                producer.rules_version,
                &producer.rules_sha256.as_str()[..12]
            );
        }
        if by == By::AtHand {
            text.push_str("WHAT IF: the rules and the configuration at hand; nothing is written\n");
        }
        let mut equal = true;
        macro_rules! compare {
            ($($row:ty),+) => { $( equal &= compare::<$row>(evidence, run, journal, &mut text).await?; )+ };
        }
        compare!(Channel, Finding, KeyAccess, Launch, Verdict);
        let sealed = evidence.rows::<Verdict>(run).await?;
        let mut differing = 0;
        for pair in pairs(sealed, journal.rows::<Verdict>()) {
            let (old, new) = pair?;
            let verdict = |v: &Option<Verdict>| v.as_ref().map_or("absent", |v| v.verdict.as_str());
            let (was, is) = (verdict(&old), verdict(&new));
            if was == is {
                continue;
            }
            differing += 1;
            if let Some(row) = new.or(old).filter(|_| differing <= MOST_NAMED) {
                let _ = writeln!(
                    text,
                    "  {} {} {}: {was} -> {is}, {}",
                    row.account_id, row.region, row.cluster_id, row.decided_by
                );
            }
        }
        if differing > MOST_NAMED {
            let _ = writeln!(text, "  and {} clusters more", differing - MOST_NAMED);
        }
        let result = match (by, equal, other_rules) {
            (By::Sealed, true, _) => {
                "Recomputed from the sealed facts: every conclusion is as sealed.".to_owned()
            }
            (By::Sealed, false, true) => "NOT RECOMPUTED (exit 5): this program has another rule set. \
                 Use the version that sealed the run, or --what-if to see what the new rules change."
                .to_owned(),
            (By::Sealed, false, false) => "DIFFERENT from what was sealed (exit 5): conclusions that \
                 do not follow from the facts."
                .to_owned(),
            (By::AtHand, true, _) => "Nothing would be otherwise.".to_owned(),
            (By::AtHand, false, _) => format!("{differing} verdicts would be otherwise."),
        };
        let _ = writeln!(text, "{result}");
        Ok(Reassessed {
            equal,
            differing,
            text,
            speed: String::new(),
        })
    }
}

/// Rows of two sorted streams side by side, by key. After an error the pairs end.
fn pairs<D: Dataset>(
    left: impl Iterator<Item = Result<D, RecordError>>,
    right: impl Iterator<Item = Result<D, RecordError>>,
) -> impl Iterator<Item = Result<(Option<D>, Option<D>), RecordError>> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let order = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(Ok(l)), Some(Ok(r))) => l.key_order(r),
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
        };
        let mut pair = || {
            let l = if order.is_le() { left.next() } else { None };
            let r = if order.is_ge() { right.next() } else { None };
            Ok((l.transpose()?, r.transpose()?))
        };
        let pair = pair();
        over = pair.is_err();
        Some(pair)
    })
}

/// The configuration that a sealed run was judged by.
pub async fn inputs(fetch: &dyn Fetch, run: &SealedRun) -> Result<SealedInputs, RunError> {
    let name = layout::start(run.seal.start_n);
    let sealed = run
        .start(fetch)
        .await?
        .ok_or_else(|| RunError::Changed { name: name.clone() })?;
    let bytes = records::read_file(fetch, &sealed, START_LIMIT).await?;
    serde_json::from_slice::<Sealed>(&bytes)
        .map(|sealed| sealed.config)
        .map_err(|e| RunError::Local {
            path: name,
            detail: e.to_string(),
        })
}

async fn compare<D: Dataset>(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    journal: &Journal,
    text: &mut String,
) -> Result<bool, RunError> {
    let again = record::write_rows(&evidence.work.join(D::NAME), journal.rows::<D>())?;
    let files = run.files(evidence.fetch, D::NAME, D::VERSION).await?;
    let equal = match files.as_slice() {
        [one] => one.rows_sha256.as_ref() == Some(&again.rows_sha256),
        _ => false,
    };
    let word = if equal { "equal" } else { "DIFFERENT" };
    let _ = writeln!(text, "  {:<11}{:>10} rows  {word}", D::NAME, again.rows);
    Ok(equal)
}
