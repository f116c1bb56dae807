//! Phase two: judges every cluster of a journal, one account-region at a time.
//!
//! A run and `keyproof assess --run-id` both come through here, so findings of a sealed run are
//! recomputed by the very code that made them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::assess::{
    self, Answers, AssessContext, LaunchFacts, Lookups, RuleConfig, ScopeFacts, Waiver,
};
use crate::collect::random::stable_hash;
use crate::model::datasets::{
    Account, BackfilledLaunch, Coverage, EmrCluster, Finding, KmsKey, Launch, LaunchEvent, Verdict,
};
use crate::model::ids::{AccountId, Region};
use crate::model::words::Source;
use crate::record::Journal;
use crate::report::tally::Tally;
use crate::time::{Clock, Date, UtcMillis};

use super::RunError;
use super::facts::JournalLookups;
use super::past::{AsItStood, Past};

/// Clusters whose conclusions memory holds at one time: each has two dozen.
const AT_ONCE: usize = 1_024;
/// Threads that judge.
const THREADS: u64 = 2;

/// What judging needs beside facts.
pub struct Inputs<'a> {
    pub scheduled_for: Date,
    /// The run's start: what "now" means for expiry dates in facts.
    pub as_of: UtcMillis,
    /// Whether the accounts of the journal are all of an organization's.
    pub has_account_list: bool,
    pub rules: &'a RuleConfig,
    pub waivers: &'a [Waiver],
    /// Tells how long it took, and nothing else.
    pub clock: &'a dyn Clock,
}

impl Inputs<'_> {
    fn scope(&self, facts: &Journal) -> Result<ScopeFacts, RunError> {
        let mut accounts = BTreeMap::new();
        for row in facts.rows::<Account>() {
            let row = row?;
            accounts.insert(row.account_id.clone(), row);
        }
        Ok(ScopeFacts {
            accounts,
            has_account_list: self.has_account_list,
        })
    }

    fn context<'s>(&'s self, scope: &'s ScopeFacts) -> AssessContext<'s> {
        AssessContext {
            scheduled_for: self.scheduled_for,
            as_of: self.as_of,
            scope,
            config: self.rules,
            waivers: self.waivers,
        }
    }
}

/// Judges the launches that a backfill found, by the facts of a sealed run.
pub fn judge_backfilled(
    facts: &Journal,
    found: &Journal,
    conclusions: &Journal,
    inputs: &Inputs<'_>,
) -> Result<(), RunError> {
    let scope = inputs.scope(facts)?;
    let context = inputs.context(&scope);
    let lookups = JournalLookups::new(facts, inputs.clock)?;
    for group in found.groups::<BackfilledLaunch>() {
        let (account, region) = group?;
        let events = found.read_group::<BackfilledLaunch>(&account, &region)?;
        let events: Vec<Launch> = events.into_iter().map(|event| event.0).collect();
        let clusters = facts.read_group::<EmrCluster>(&account, &region)?;
        let known = Launches::read(facts, &lookups, (&account, &region))?;
        let of_place = LaunchFacts {
            clusters: &clusters,
            listed: known.listed.as_deref(),
        };
        let rows = assess::assess_launches(&events, &of_place, &context, &lookups)?;
        conclusions.append(&mut rows.into_iter().map(BackfilledLaunch).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The accounts of one of several threads: what the clusters of an account have in common is worked out by
/// one of them.
#[derive(Debug, Clone, Copy)]
struct Portion {
    nth: u64,
    of: u64,
}

impl Portion {
    fn has(self, account: &str) -> bool {
        stable_hash(account) % self.of == self.nth
    }
}

/// Judges the clusters and launches of `facts` and appends channels, findings, verdicts, launches
/// and who can use each key to `conclusions`: on two threads, which each take a portion of the accounts.
/// Memory holds the clusters of one account-region a thread, and the conclusions about some of them.
pub fn judge(
    facts: &Journal,
    conclusions: &Journal,
    inputs: &Inputs<'_>,
    past: &Past,
) -> Result<(Tally, Speed), RunError> {
    let scope = inputs.scope(facts)?;
    let began = inputs.clock.elapsed();
    let portion = |nth| {
        let portion = Portion { nth, of: THREADS };
        judge_portion(facts, conclusions, (inputs, &scope), past, portion)
    };
    let judged: Vec<_> = thread::scope(|threads| {
        let portion = &portion;
        let open: Vec<_> = (0..THREADS)
            .map(|nth| threads.spawn(move || portion(nth)))
            .collect();
        let ended = open.into_iter().map(|thread| thread.join());
        ended
            .map(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let (mut tally, mut speed) = (Tally::default(), Speed::default());
    for judged in judged {
        let (its_tally, its_speed) = judged?;
        tally.merge(its_tally);
        speed.merge(its_speed);
    }
    speed.whole = inputs.clock.elapsed().saturating_sub(began);
    tracing::debug!("{speed}");
    Ok((tally, speed))
}

fn judge_portion(
    facts: &Journal,
    conclusions: &Journal,
    (inputs, scope): (&Inputs<'_>, &ScopeFacts),
    past: &Past,
    portion: Portion,
) -> Result<(Tally, Speed), RunError> {
    let context = inputs.context(scope);
    let lookups = JournalLookups::new(facts, inputs.clock)?;
    let mut earlier = BTreeMap::new();
    for (run_id, run) in &past.runs {
        let then = JournalLookups::new(&run.facts, inputs.clock)?;
        earlier.insert(run_id, (AsItStood::new(then, &lookups), run.as_of));
    }
    let mut tally = Tally::default();
    let mut speed = Speed::default();
    let mut of_launches = Duration::ZERO;
    for group in facts.groups::<EmrCluster>() {
        let (account, region) = group?;
        if !portion.has(&account) {
            continue;
        }
        let clusters = facts.read_group::<EmrCluster>(&account, &region)?;
        let stands = past.stands(&account, &region, &clusters)?;
        let changes = past.rule_changes(&account, &region)?;
        let launches = Launches::read(facts, &lookups, (&account, &region))?;
        let launched = launches.events.iter();
        let launched: BTreeSet<&str> = launched.filter_map(|e| e.cluster_id.as_deref()).collect();
        if let Some(first) = clusters.first() {
            // Reads those of the whole account-region: that is not judging.
            lookups.steps(first)?;
            lookups.sessions(first)?;
        }
        for part in clusters.chunks(AT_ONCE) {
            let from = inputs.clock.elapsed();
            let mut judged = assess::Conclusions::with_room_for(part.len());
            for cluster in part {
                let its = judged.findings.len();
                let stands_from = stands
                    .get(&cluster.cluster_id)
                    .filter(|id| earlier.contains_key(id));
                match stands_from.and_then(|run_id| earlier.get(run_id)) {
                    Some((as_it_stood, as_of)) => {
                        let context = AssessContext {
                            as_of: *as_of,
                            ..context
                        };
                        judged.add(cluster, &context, as_it_stood)?;
                    }
                    None => judged.add(cluster, &context, &lookups)?,
                }
                let Some(verdict) = judged.verdicts.last_mut() else {
                    continue;
                };
                verdict.stands_from_run = stands_from.cloned();
                if let Some((by_new_rules, by_old)) = changes.get(&cluster.cluster_id)
                    && verdict.verdict == *by_new_rules
                {
                    verdict.rule_change = Some(*by_old);
                }
                verdict.launch_event =
                    assess::launch_seen(cluster, &launched, launches.looked.as_deref());
                tally.cluster(verdict, &judged.findings[its..]);
            }
            speed.assessing += inputs.clock.elapsed().saturating_sub(from);
            speed.clusters += part.len() as u64;
            speed.findings += judged.findings.len() as u64;
            conclusions.append(&mut judged.channels)?;
            conclusions.append(&mut judged.findings)?;
            conclusions.append(&mut judged.verdicts)?;
        }
        // Judging launches is not judging clusters.
        let before = lookups.answers().spent();
        tally.merge(launches.tell(&clusters, conclusions, &context, &lookups)?);
        of_launches += lookups.answers().spent().saturating_sub(before);
    }
    let earlier = earlier
        .values()
        .map(|(as_it_stood, _)| as_it_stood.answers());
    let answers = earlier.chain([lookups.answers()]);
    let spent: Duration = answers.map(Answers::spent).sum();
    speed.keys = spent.saturating_sub(of_launches);
    // Of those where no cluster is.
    for group in facts.groups::<LaunchEvent>() {
        let (account, region) = group?;
        if portion.has(&account) && !facts.has_group::<EmrCluster>(&account, &region)? {
            let launches = Launches::read(facts, &lookups, (&account, &region))?;
            tally.merge(launches.tell(&[], conclusions, &context, &lookups)?);
        }
    }
    tell_key_access(facts, conclusions, &context, &lookups, portion)?;
    Ok((tally, speed))
}

/// Counts conclusions that were made before.
pub fn tally_of(conclusions: &Journal) -> Result<Tally, RunError> {
    let mut tally = Tally::default();
    for group in conclusions.groups::<Verdict>() {
        let (account, region) = group?;
        let findings = conclusions.read_group::<Finding>(&account, &region)?;
        let mut findings = findings
            .chunk_by(|a, b| a.cluster_id == b.cluster_id)
            .peekable();
        for verdict in conclusions.read_group::<Verdict>(&account, &region)? {
            let is_its = |of: &&[Finding]| {
                of.first()
                    .is_some_and(|f| f.cluster_id == verdict.cluster_id)
            };
            tally.cluster(&verdict, findings.next_if(is_its).unwrap_or_default());
        }
    }
    for group in conclusions.groups::<Launch>() {
        let (account, region) = group?;
        tally.launches(&conclusions.read_group::<Launch>(&account, &region)?);
    }
    Ok(tally)
}

/// How fast clusters were judged, on one core: times are sums of what each thread took; told to people and to `scripts/bench`, recorded nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Speed {
    clusters: u64,
    findings: u64,
    /// From the rows of an account-region's clusters to their conclusions, in memory: looking up what
    /// they refer to (read from the journal and parsed when first asked for), asking every rule.
    assessing: Duration,
    /// The part of that which what clusters share took: reading and parsing keys, policies, grants and
    /// security configurations, asking who may.
    keys: Duration,
    /// What all of it took on the threads together, by the clock: with reading the clusters, writing
    /// conclusions, and who can use each key.
    whole: Duration,
}

impl Speed {
    fn merge(&mut self, other: Self) {
        self.clusters += other.clusters;
        self.findings += other.findings;
        self.assessing += other.assessing;
        self.keys += other.keys;
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = |took: Duration| self.clusters as f64 / took.as_secs_f64().max(1e-9);
        write!(
            f,
            "judged {} clusters in {:.3} s, {:.0}/s, with {} findings; working out keys {:.3} s, \
             the rest {:.0}/s; with reading and writing {:.3} s, {:.0}/s",
            self.clusters,
            self.assessing.as_secs_f64(),
            per_second(self.assessing),
            self.findings,
            self.keys.as_secs_f64(),
            per_second(self.assessing.saturating_sub(self.keys)),
            self.whole.as_secs_f64(),
            per_second(self.whole)
        )
    }
}

/// What is known of the launches of an account-region, beside its clusters.
struct Launches {
    events: Vec<Launch>,
    listed: Option<Arc<Coverage>>,
    looked: Option<Arc<Coverage>>,
}

impl Launches {
    fn read(
        facts: &Journal,
        lookups: &JournalLookups<'_>,
        (account, region): (&str, &str),
    ) -> Result<Self, RunError> {
        let events = facts.read_group::<LaunchEvent>(account, region)?;
        let cell = |source| match (account.parse::<AccountId>(), region.parse::<Region>()) {
            (Ok(account), Ok(region)) => lookups.cell(&account, &region, source),
            _ => Ok(None),
        };
        Ok(Self {
            events: events.into_iter().map(|event| event.0).collect(),
            listed: cell(Source::Clusters)?,
            looked: cell(Source::Launches)?,
        })
    }

    /// Appends what became of the attempts.
    fn tell(
        &self,
        clusters: &[EmrCluster],
        conclusions: &Journal,
        context: &AssessContext<'_>,
        lookups: &JournalLookups<'_>,
    ) -> Result<Tally, RunError> {
        let mut tally = Tally::default();
        let of_place = LaunchFacts {
            clusters,
            listed: self.listed.as_deref(),
        };
        let mut rows = assess::assess_launches(&self.events, &of_place, context, lookups)?;
        tally.launches(&rows);
        conclusions.append(&mut rows)?;
        Ok(tally)
    }
}

/// Appends who can use and rule each key of the run, once per key whatever its references are.
fn tell_key_access(
    facts: &Journal,
    conclusions: &Journal,
    context: &AssessContext<'_>,
    lookups: &JournalLookups<'_>,
    portion: Portion,
) -> Result<(), RunError> {
    for group in facts.groups::<KmsKey>() {
        let (account, region) = group?;
        if !portion.has(&account) {
            continue;
        }
        let mut keys = facts.read_group::<KmsKey>(&account, &region)?;
        keys.sort_by(|a, b| (&a.key_arn, &a.key_reference).cmp(&(&b.key_arn, &b.key_reference)));
        keys.dedup_by(|a, b| a.key_arn.is_some() && a.key_arn == b.key_arn);
        for key in keys {
            let answers = lookups.answers();
            let mut rows = answers.access(&key, context.scheduled_for, context.scope, lookups)?;
            conclusions.append(&mut rows)?;
        }
    }
    Ok(())
}
