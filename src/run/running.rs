//! A run after its start: the four steps, each as a method, whether one process takes them all or
//! several take one each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitRequest};
use crate::archive::records::LATEST_START_MS;
use crate::archive::signer::Signer;
use crate::archive::starts::Begun;
use crate::archive::store::Store;
use crate::assess;
use crate::aws::AwsShell;
use crate::collect::api::Cloud;
use crate::collect::attempt::Attempts;
use crate::collect::facts::AlreadyCollected;
use crate::collect::footprint;
use crate::collect::random::stable_hash;
use crate::collect::{self, Context, Part, Regions};
use crate::config::{Config, ScopeMode};
use crate::discover;
use crate::model::datasets::{ArchiveCheck, Coverage, Exception, Run, Verdict};
use crate::model::ids::{Region, RunId};
use crate::model::words::{Judgement, RunOutcome, Severity};
use crate::record::Journal;
use crate::report::metrics::RunMetrics;
use crate::report::run_summary::{self, RunSummary};
use crate::report::tally::{self, Changes, Tally};
use crate::seal::{Content, FileEntry, Manifest, Period, Producer, RunSeal};
use crate::time::{Date, UtcMillis};

use super::beginning::{MOST_CLOCK_OFFSET_MS, has_account_list};
use super::counts::{self, Counts};
use super::evidence::Evidence;
use super::facts::{JournalSink, Journals};
use super::frozen::Frozen;
use super::judge::{Inputs, judge};
use super::known::{self, Wanted, Watermarks};
use super::past::{Earlier, Past, Stands};
use super::reassess::{Again, SealedInputs};
use super::sealed::{self, SealedRun, is_of};
use super::{RunError, RunOptions, Shell, exceptions, progress, rates};

/// Time kept back from the deadline for judging, writing and sealing: a fifth of it, at most this.
const LONGEST_RESERVE_MS: i64 = 10 * 60_000;
/// At least this, of a deadline that has as much time again for collecting.
const LEAST_RESERVE_MS: i64 = 10_000;

/// A sealed run.
#[derive(Debug)]
pub struct Audited {
    pub run_id: RunId,
    pub outcome: RunOutcome,
    /// Worst severity among failed findings of active clusters and expired exceptions.
    pub worst_active: Option<Severity>,
    /// What a person reads.
    pub summary: String,
    /// What CloudWatch reads.
    pub metrics: RunMetrics,
}

/// A run that has begun.
pub struct Running<'a> {
    pub shell: &'a Shell,
    pub config: &'a Config,
    pub store: &'a dyn Store,
    pub begun: Begun,
    pub frozen: Frozen,
}

/// What a process that asks AWS has at hand.
pub struct Asking {
    pub aws: Arc<AwsShell>,
    pub attempts: Arc<Attempts>,
    pub cancelled: watch::Receiver<bool>,
    /// When the process began to ask.
    pub begun_at: UtcMillis,
}

/// What a run knows of the runs before it.
pub struct Before {
    pub known: Arc<Watermarks>,
    past: Past,
    /// The last run of record.
    last: Option<SealedRun>,
    /// The same judged by this program's rules, where it was sealed with others.
    last_by_new_rules: Option<Journal>,
}

/// What of a run's own row cannot be computed from its facts.
pub struct Told {
    pub ended_at: UtcMillis,
    pub caller_arn: Option<String>,
    pub program_version: String,
    pub calls: i64,
    pub throttles: i64,
    pub own_operations: Option<String>,
    pub clock_offset_ms: Option<i64>,
}

/// What a run amounts to.
pub struct Concluded {
    pub counts: Counts,
    pub tally: Tally,
    pub run_row: Run,
    pub exceptions: Vec<Exception>,
}

/// What is to be sealed, beside what the run amounts to.
pub struct Sealing<'a> {
    pub signer: &'a dyn Signer,
    pub producer: Producer,
    /// After this nothing is sealed.
    pub until: Option<UtcMillis>,
    /// Data files and receipts.
    pub files: Vec<FileEntry>,
    pub orphans: Vec<String>,
    /// The previous run of record and what changed since.
    pub previous: Option<(Date, Changes)>,
    /// Whether other cells are unseen than in that run; none where it is not known.
    pub unseen_changed: Option<bool>,
    /// Entry 1 was written by this process.
    pub begun_now: bool,
    /// How storage protects the archive, as the sealer saw it.
    pub checks: Vec<ArchiveCheck>,
    /// What other processes of the run say of their clocks: local time minus AWS's.
    pub other_clocks: Vec<Option<i64>>,
}

impl Told {
    /// What a process that asked AWS tells.
    pub fn now(running: &Running<'_>, asking: &Asking, caller_arn: &str) -> Self {
        let progress = asking.attempts.progress();
        Self {
            ended_at: running.shell.clock.now(),
            caller_arn: Some(caller_arn.to_owned()),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            calls: progress.calls.load(Relaxed) as i64,
            throttles: progress.throttles.load(Relaxed) as i64,
            own_operations: footprint::text(&asking.attempts.own_costs()),
            clock_offset_ms: asking.aws.clock_offset_ms(),
        }
    }

    /// What a run's row tells.
    pub fn of(row: &Run) -> Self {
        Self {
            ended_at: row.ended_at,
            caller_arn: row.caller_arn.clone(),
            program_version: row.program_version.clone(),
            calls: row.calls,
            throttles: row.throttles,
            own_operations: row.own_operations.clone(),
            clock_offset_ms: row.clock_offset_ms,
        }
    }
}

impl Running<'_> {
    pub fn run_id(&self) -> &RunId {
        &self.begun.start.run_id
    }

    pub fn date(&self) -> Date {
        self.begun.start.scheduled_for
    }

    /// Reads what earlier runs know, and tells the last run of record. What was sealed after this run
    /// began is not looked at.
    pub async fn watermarks(
        &self,
        evidence: &Evidence<'_>,
        chain: &Chain,
    ) -> Result<(Watermarks, Option<SealedRun>), RunError> {
        let (date, head_seq) = (self.date(), self.frozen.head_seq);
        let mut earlier: Vec<SealedRun> =
            sealed::of_record_among(chain.runs().filter(|(entry, _)| entry.seq <= head_seq))
                .into_iter()
                .rev()
                .filter(|(d, _)| *d < date)
                .map(|(_, run)| run)
                .collect();
        let known = Journal::create(&evidence.work.join("known"))?;
        let wanted = Wanted {
            date,
            scope: &self.frozen.scope,
            regions: &self.frozen.regions,
        };
        let known = Watermarks::load(evidence, &earlier, &wanted, known).await?;
        let last = (!earlier.is_empty()).then(|| earlier.remove(0));
        Ok((known, last))
    }

    /// Reads what earlier runs know and decide: watermarks, the facts that ended clusters stand on, and
    /// what changed rules alone turn. A run whose evidence is no longer what was sealed decides
    /// nothing, with a warning.
    pub async fn before(&self, evidence: &Evidence<'_>, chain: &Chain) -> Result<Before, RunError> {
        let (known, last) = self.watermarks(evidence, chain).await?;
        let known = Arc::new(known);
        let mut past = Past::default();
        for run_id in known.runs() {
            let Some(run) = sealed::find(chain, &run_id) else {
                continue;
            };
            let facts = Journal::create(&evidence.work.join("then").join(run_id.as_str()))?;
            let loaded = Earlier::load(evidence, &run, facts).await;
            if let Some(earlier) = known::readable(&run, loaded)? {
                past.runs.insert(run_id, earlier);
            }
        }
        past.stands = Stands::OnWatermarks(known.clone());
        let mut last_by_new_rules = None;
        if let Some(run) = last
            .as_ref()
            .filter(|r| *r.rules() != assess::rules_digest())
        {
            let again = Again {
                evidence,
                chain,
                clock: &*self.shell.clock,
                run,
            };
            let judged = again.by_changed_rules(&evidence.work.join("rules")).await;
            if let Some(judged) = known::readable(run, judged)? {
                past.changed = Some(judged.changed);
                last_by_new_rules = Some(judged.conclusions);
            }
        }
        Ok(Before {
            known,
            past,
            last,
            last_by_new_rules,
        })
    }

    /// What collecting needs. Reports about objects lie below `work` while they are read.
    pub fn context(
        &self,
        asking: &Asking,
        (journals, work): (Journals, &Path),
        known: Arc<Watermarks>,
    ) -> Result<Context, RunError> {
        let config = self.config;
        let start = &self.begun.start;
        let whole = start.deadline_at.0 - start.started_at.0;
        let reserve = (whole / 5).clamp(LEAST_RESERVE_MS.min(whole / 2), LONGEST_RESERVE_MS);
        let mut wanted =
            collect::Options::new(self.run_id().clone(), self.date(), discover::emr_regions());
        wanted.role_name = config.role_name.clone();
        wanted.external_id = config.external_id.clone();
        wanted.single_account = config.scope == ScopeMode::SingleAccount;
        wanted.regions = self.frozen.regions.clone();
        wanted.concurrency = config.concurrency;
        wanted.cell_deadline = config.cell_deadline;
        wanted.deadline = Some(start.deadline_at.plus_ms(-reserve));
        // Nobody knows a run's id before it begins, and who resumes it must find the same hashes.
        wanted.seed = stable_hash(self.run_id().as_str());
        wanted.tags = config.tags.clone();
        wanted.sample_clusters = config.sample_objects;
        wanted.listing = config.listing;
        wanted.sampler_role_name = config.sampler_role_name.clone();
        wanted.source_reader_role_name = config.source_reader_role_name.clone();
        wanted.compares_snapshots = config.compare_snapshots;
        wanted.metadata_exports = config.metadata_exports.clone();
        wanted.allowed_key_owners = config.rules.allowed_key_owners.clone();
        wanted.has_account_list = has_account_list(config);
        wanted.scratch = work.join("reports");
        std::fs::create_dir_all(&wanted.scratch)
            .map_err(|e| RunError::local(&wanted.scratch, e))?;
        wanted.launch_days = i64::from(config.launch_days);
        wanted.control_events = config.control_events;
        wanted.describe_max_age_days = (config.describe_max_age.as_secs() / 86_400) as i64;
        Ok(Context {
            cloud: asking.aws.clone(),
            attempts: asking.attempts.clone(),
            sink: Arc::new(JournalSink {
                journals,
                known: known.clone(),
            }),
            known,
            options: Arc::new(wanted),
            exceptions: config.exceptions.clone().into(),
        })
    }

    /// Looks at the accounts of `part`; shows progress meanwhile.
    pub async fn collect(
        &self,
        asking: &Asking,
        place: (Journals, &Path),
        known: Arc<Watermarks>,
        part: Part,
        found: &dyn AlreadyCollected,
        options: &RunOptions,
    ) -> Result<(), RunError> {
        let context = self.context(asking, place, known)?;
        let shown = progress::show(options, &asking.attempts);
        let collected = collect::collect_part(&context, &self.frozen.scope, part, found).await;
        shown.finish();
        let (learned, now) = (asking.attempts.learned(), self.shell.clock.now());
        rates::save(&self.config.state_dir, learned, asking.begun_at, now);
        collected?;
        if *asking.cancelled.borrow() {
            return Err(RunError::Cancelled);
        }
        Ok(())
    }

    /// Writes what the run knows of itself, its scope and its archive, judges, and counts. The run's own
    /// row comes last: with it a journal holds everything.
    pub fn conclude(
        &self,
        journals: &Journals,
        before: &Before,
        checks: &[ArchiveCheck],
        told: impl FnOnce() -> Told,
    ) -> Result<Concluded, RunError> {
        journals.append(&mut self.frozen.scope.accounts.to_vec())?;
        journals.append(&mut checks.to_vec())?;
        let tally = self.judge(&journals.all, journals.own(), before)?;
        let counts = self.counts(&journals.all, &tally)?;
        let exceptions = exceptions::rows(&self.config.exceptions, self.date(), &counts.used);
        journals.append(&mut exceptions.clone())?;
        let run_row = self.run_row(&counts, &tally, told());
        journals.append(&mut vec![run_row.clone()])?;
        Ok(Concluded {
            counts,
            tally,
            run_row,
            exceptions,
        })
    }

    /// Judges `facts` by the configuration in the run's start.
    pub fn judge(
        &self,
        facts: &Journal,
        conclusions: &Journal,
        before: &Before,
    ) -> Result<Tally, RunError> {
        let sealed = SealedInputs::of(&self.begun)?;
        let waivers = sealed.waivers(&self.begun.file.name)?;
        let inputs = Inputs {
            scheduled_for: self.date(),
            as_of: self.begun.start.started_at,
            has_account_list: sealed.has_account_list,
            rules: &sealed.rules,
            waivers: &waivers,
            clock: &*self.shell.clock,
        };
        Ok(judge(facts, conclusions, &inputs, &before.past)?.0)
    }

    /// Counts the coverage of a judged run, and what exceptions covered.
    pub fn counts(&self, facts: &Journal, tally: &Tally) -> Result<Counts, RunError> {
        let mut counts = Counts::of(&self.frozen.scope, facts.rows::<Coverage>())?;
        counts.used.extend(tally.waived.clone());
        Ok(counts)
    }

    /// What changed since the previous run of record.
    pub async fn previous(
        &self,
        evidence: &Evidence<'_>,
        before: &Before,
        conclusions: &Journal,
    ) -> Result<Option<(Date, Changes)>, RunError> {
        let Some(run) = &before.last else {
            return Ok(None);
        };
        let now = conclusions.rows::<Verdict>();
        // Under changed rules both days are compared by the new ones, so that a verdict which the rules
        // turned is neither new nor fixed.
        let changes = match &before.last_by_new_rules {
            Some(conclusions) => tally::changes(conclusions.rows::<Verdict>(), now)?,
            None => tally::changes(evidence.rows::<Verdict>(run).await?, now)?,
        };
        Ok(Some((run.seal.scheduled_for, changes)))
    }

    /// Whether other cells are unseen than in the previous run of record. None where there is no such run,
    /// where its evidence cannot be read, and for a run over a part of the scope.
    pub async fn unseen_changed(
        &self,
        evidence: &Evidence<'_>,
        before: &Before,
        facts: &Journal,
        counts: &Counts,
    ) -> Result<Option<bool>, RunError> {
        let Some(run) = before.last.as_ref().filter(|_| self.frozen.full_scope) else {
            return Ok(None);
        };
        // How many they were is signed: rows are read only where the numbers are the same.
        if run.seal.cells_open.try_into() != Ok(counts.cells_open) {
            return Ok(Some(true));
        }
        if counts.cells_open == 0 {
            return Ok(Some(false));
        }
        let differ = async {
            let then = evidence.rows::<Coverage>(run).await?;
            Ok(counts::unseen_differ(then, facts.rows::<Coverage>())?)
        };
        known::readable(run, differ.await)
    }

    /// The run's own row.
    pub fn run_row(&self, counts: &Counts, tally: &Tally, told: Told) -> Run {
        let started_at = self.begun.start.started_at;
        let complete = counts.cells_open == 0;
        Run {
            scheduled_for: self.date(),
            run_id: self.run_id().clone(),
            started_at,
            started_ms: started_at.0,
            ended_at: told.ended_at,
            outcome: if complete {
                RunOutcome::Complete
            } else {
                RunOutcome::Partial
            },
            late: started_at.0 - self.date().start().0 > LATEST_START_MS,
            organization_id: self.frozen.scope.organization_id.clone(),
            caller_arn: told.caller_arn,
            program_version: told.program_version,
            rules_version: assess::RULES_VERSION.to_owned(),
            accounts_listed: self.frozen.scope.accounts.len() as i64,
            accounts_in_scope: counts.in_scope,
            accounts_answered: counts.answered,
            cells: counts.cells,
            cells_open: counts.cells_open,
            clusters: tally.verdicts.values().map(|c| c.all).sum(),
            calls: told.calls,
            throttles: told.throttles,
            own_operations: told.own_operations,
            clock_offset_ms: told.clock_offset_ms,
        }
    }

    /// Writes the manifest and commits. Until the commit nothing was sealed.
    pub async fn seal(
        &self,
        chain: &mut Chain,
        concluded: Concluded,
        sealing: Sealing<'_>,
    ) -> Result<Audited, RunError> {
        let Concluded {
            counts,
            tally,
            run_row,
            exceptions,
        } = concluded;
        let clocks = sealing.other_clocks.into_iter();
        let clock = worst_clock(clocks.chain([run_row.clock_offset_ms]));
        let rows = rows_by_dataset(&sealing.files);
        let mut files = sealing.files;
        files.push(self.begun.file.clone());
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            self.run_id().clone(),
            Period::Date(self.date()),
            files,
            sealing.orphans,
        )
        .map_err(|e| RunError::Internal(e.to_string()))?;
        let request = CommitRequest {
            content: Content::Run(self.content(&run_row, &counts, clock, rows)),
            manifest: &manifest,
            producer: sealing.producer,
            until: sealing.until,
        };
        let clock = &*self.shell.clock;
        let committed = commit::commit(self.store, sealing.signer, clock, chain, &request).await?;

        let metrics = RunMetrics {
            at: clock.now(),
            archive: self.store.url(),
            run_id: self.run_id().clone(),
            scheduled_for: self.date(),
            outcome: run_row.outcome,
            may_be_of_record: self.frozen.full_scope && !run_row.late,
            unseen_cells: counts.cells_open,
            unseen_changed: sealing.unseen_changed,
            non_compliant_active: tally.count(Judgement::NonCompliant).active,
            unknown_active: tally.count(Judgement::Unknown).active,
        };
        let names = self.frozen.scope.accounts.iter();
        let names = names.filter_map(|a| Some((a.account_id.clone(), a.name.clone()?)));
        let summary = RunSummary {
            run_id: self.run_id().clone(),
            date: self.date(),
            outcome: run_row.outcome,
            late: run_row.late,
            narrowed: !self.frozen.full_scope,
            regions_off: self.regions_off(&counts),
            previous: sealing.previous,
            expired: exceptions.iter().filter(|e| e.expired).cloned().collect(),
            account_names: names.collect(),
            accounts: counts.accounts.clone(),
            checks: sealing.checks,
            url: self.store.url(),
            seq: committed.seq,
            head: committed.sha256,
            begun_with: sealing.begun_now.then(|| chain.genesis_sha256().clone()),
            cells: counts.cells,
            cells_open: counts.cells_open,
            not_observed: counts.not_observed.clone(),
            took_ms: run_row.ended_at.0 - self.begun.start.started_at.0,
            calls: run_row.calls,
            throttles: run_row.throttles,
            busiest: counts.busiest.clone(),
            tally,
        };
        Ok(Audited {
            run_id: self.run_id().clone(),
            outcome: run_row.outcome,
            worst_active: summary
                .tally
                .worst_active
                .max((!summary.expired.is_empty()).then_some(exceptions::EXPIRED)),
            summary: run_summary::render(&summary),
            metrics,
        })
    }

    /// Regions that were named and are on in no account. Of those that AWS lists it is no surprise.
    fn regions_off(&self, counts: &Counts) -> Vec<Region> {
        let off = counts.regions_on.iter().filter(|(_, on)| !**on);
        match self.frozen.regions {
            Regions::Auto => Vec::new(),
            Regions::List(_) => off.map(|(region, _)| region.clone()).collect(),
        }
    }

    fn content(
        &self,
        run: &Run,
        counts: &Counts,
        clock_offset_ms: Option<i64>,
        rows: BTreeMap<String, u64>,
    ) -> RunSeal {
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        RunSeal {
            run_id: run.run_id.clone(),
            start_n: self.begun.start.n,
            scheduled_for: self.date(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome,
            late: run.late,
            full_scope: self.frozen.full_scope,
            organization_id: run.organization_id.clone(),
            accounts_listed: count(run.accounts_listed),
            accounts_in_scope: count(run.accounts_in_scope),
            accounts_answered: count(run.accounts_answered),
            cells: count(run.cells),
            cells_open: count(run.cells_open),
            clusters: count(run.clusters),
            exceptions_used: counts.used.keys().cloned().collect(),
            rows,
            died_runs: self.begun.died.clone(),
            clock_offset_ms,
        }
    }
}

/// What is sealed of the clocks of several processes: the one furthest off. Where one is not known, all
/// that can be said is that another was too far off.
fn worst_clock(offsets_ms: impl IntoIterator<Item = Option<i64>>) -> Option<i64> {
    let offsets_ms: Vec<Option<i64>> = offsets_ms.into_iter().collect();
    let known = offsets_ms.iter().flatten().copied();
    let worst = known.max_by_key(|ms| ms.unsigned_abs());
    let too_far = |ms: &i64| ms.unsigned_abs() > MOST_CLOCK_OFFSET_MS.unsigned_abs();
    worst.filter(|worst| too_far(worst) || !offsets_ms.contains(&None))
}

/// Rows of all files of each dataset.
fn rows_by_dataset(files: &[FileEntry]) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    macro_rules! every {
        ($($row:ty),+) => { $(
            let of = files.iter().filter(|f| is_of::<$row>(f)).filter_map(|f| f.rows);
            rows.insert(<$row as crate::model::table::Dataset>::NAME.to_owned(), of.sum());
        )+ };
    }
    crate::for_each_dataset!(every);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_furthest_off_is_sealed() {
        for (offsets, expected) in [
            (vec![Some(-3)], Some(-3)),
            (vec![None], None),
            (vec![Some(5), Some(-70), Some(60)], Some(-70)),
            (vec![Some(5), None], None),
            (vec![None, Some(60_001), Some(5)], Some(60_001)),
            (vec![Some(60_000), None], None),
            (vec![Some(i64::MIN), Some(i64::MAX)], Some(i64::MIN)),
            (vec![], None),
        ] {
            assert_eq!(worst_clock(offsets.clone()), expected, "{offsets:?}");
        }
    }
}
