//! `keyproof run`: the story, top to bottom.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitError, CommitRequest};
use crate::archive::genesis;
use crate::archive::records::LATEST_START_MS;
use crate::archive::signer::Signer;
use crate::archive::starts::{self, Begun, StartRequest};
use crate::archive::store::Store;
use crate::assess;
use crate::aws::AwsShell;
use crate::collect::api::Cloud;
use crate::collect::attempt::Attempts;
use crate::collect::exceptions::expired;
use crate::collect::scope::Scope;
use crate::collect::{self, Context};
use crate::config::{ArchiveUrl, Config, ScopeMode};
use crate::discover;
use crate::model::datasets::{ArchiveCheck, Coverage, Run, Verdict};
use crate::model::ids::{RunId, hex};
use crate::model::words::{RunOutcome, Severity};
use crate::record::Journal;
use crate::report::run_summary::{self, RunSummary};
use crate::report::tally::{self, Tally};
use crate::seal::{Content, Manifest, Period, Producer, RunSeal};
use crate::time::{Date, UtcMillis};

use super::archive::{
    self, Found, KeyFile, Standing, connect, look, open_recovery, open_signer, open_store,
};
use super::beginning::{
    check_clock, find_scope, genesis_request, has_account_list, is_full_scope, producer,
    protections, refuse_other_scope, refuse_unprotected, rule_inputs,
};
use super::counts::Counts;
use super::evidence::Evidence;
use super::facts::JournalSink;
use super::judge::{Inputs, judge};
use super::known::{self, Wanted, Watermarks};
use super::past::{Earlier, Past, Stands};
use super::reassess::Again;
use super::record::{Place, record};
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, RunOptions, Shell, exceptions, memory, progress, random};

/// Time kept back from the deadline for judging, writing and sealing: a fifth of it, at most this.
const LONGEST_RESERVE_MS: i64 = 10 * 60_000;

/// A sealed run.
#[derive(Debug)]
pub struct Audited {
    pub run_id: RunId,
    pub outcome: RunOutcome,
    /// Worst severity among failed findings of active clusters and expired exceptions.
    pub worst_active: Option<Severity>,
    /// What a person reads.
    pub summary: String,
}

/// Looks at the whole scope once, judges, seals.
///
/// Nothing is written before credentials, organization, archive and signing key are known to be
/// right. From the start file on, every way out but a seal leaves `end.json`.
pub async fn audit(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    cancelled: watch::Receiver<bool>,
) -> Result<Audited, RunError> {
    let today = shell.clock.now().date();
    let date = options.scheduled_for.unwrap_or(today);
    if date > today {
        return Err(RunError::FutureDate { date, today });
    }
    for rule in expired(&config.exceptions, date) {
        tracing::warn!(
            "exception {} (approved by {}) expired on {} and has no effect",
            rule.id,
            rule.approver,
            rule.expires
        );
    }
    let aws = Arc::new(connect(shell, config, options.credentials.as_ref()).await?);
    let store = open_store(shell, config, Some(&aws)).await?;
    let found = archive::find(store.as_fetch()).await?;
    if found == Found::Foreign {
        return Err(RunError::NotOurs { url: store.url() });
    }
    let new = found == Found::Nothing;
    if new && matches!(config.archive, ArchiveUrl::S3 { .. }) && !options.create_archive {
        return Err(RunError::NoArchive { url: store.url() });
    }
    let attempts = Arc::new(Attempts::new(
        shell.clock.clone(),
        super::jitter()?,
        config.concurrency,
        config.quota_share,
        cancelled.clone(),
    ));
    let scope = match find_scope(config, &aws, &attempts, date).await {
        // Whatever was being asked, the signal is why there is no answer.
        Err(_) if *cancelled.borrow() => return Err(RunError::Cancelled),
        found => found,
    };
    // Before the scope's own error: AWS refuses whoever signs at another time, in other words.
    check_clock(&aws)?;
    let scope = scope?;

    let checks = protections(store.as_ref(), date).await;
    let unprotected = refuse_unprotected(config, &checks, store.url())?;
    if new {
        let able = store.try_out().await;
        able.map_err(|e| archive::store_error(store.url(), e))?;
    }
    let run_id = match &options.run_id {
        Some(id) => id.clone(),
        None => RunId::new(shell.clock.now(), random()?),
    };
    memory::look(config, &store.url())?;
    let mut work = Work::create(config, run_id.as_str())?;
    let missing = if new {
        KeyFile::CreateIfMissing
    } else {
        KeyFile::Load
    };
    let signer = open_signer(shell, config, Some(&aws), missing).await?;
    let producer = producer(config, &scope);
    let (mut chain, begun_now) = match look(store.as_ref(), signer.as_ref()).await? {
        Standing::Chain(chain) => (*chain, false),
        Standing::Empty => {
            let recovery = open_recovery(shell, config, Some(&aws)).await?;
            let request = genesis_request(config, &checks, &scope, recovery, producer.clone())?;
            let chain = genesis::create(store.as_ref(), signer.as_ref(), &*shell.clock, &request);
            (chain.await?, true)
        }
    };
    refuse_other_scope(config, &chain, &scope, store.as_ref())?;
    memory::check(config, &store.url(), &chain)?;

    let request = StartRequest {
        run_id,
        scheduled_for: date,
        deadline: config.deadline,
        config: rule_inputs(config),
        take_over: options.take_over.as_ref(),
    };
    let begun = starts::begin(store.as_ref(), &*shell.clock, &mut chain, &request).await?;
    let mut run = Running {
        shell,
        config,
        store: store.as_ref(),
        signer: signer.as_ref(),
        aws,
        attempts,
        scope,
        date,
        producer,
        begun,
        checks,
        unprotected,
        full_scope: is_full_scope(config, &chain),
        cancelled,
    };
    let sealed = run.body(&mut chain, &work.path, options, begun_now).await;
    match sealed {
        Ok(audited) => {
            // It is sealed, whatever happens to this machine's own memory of it.
            if let Err(error) = memory::remember(config, &store.url(), &chain) {
                tracing::warn!("run {} is sealed, but: {error}", audited.run_id);
            }
            Ok(audited)
        }
        Err(error) => {
            // Where a person named the place, what was collected may tell why.
            work.keep = config.work_dir.is_some();
            run.end(&error).await;
            Err(error)
        }
    }
}

/// A run from its start file to its seal.
struct Running<'a> {
    shell: &'a Shell,
    config: &'a Config,
    store: &'a dyn Store,
    signer: &'a dyn Signer,
    aws: Arc<AwsShell>,
    attempts: Arc<Attempts>,
    scope: Scope,
    date: Date,
    producer: Producer,
    begun: Begun,
    checks: Vec<ArchiveCheck>,
    /// Those that failed and would have refused the run.
    unprotected: Vec<String>,
    full_scope: bool,
    cancelled: watch::Receiver<bool>,
}

/// What a run knows of the runs before it when it judges.
struct Before {
    past: Past,
    /// The last run of record judged by this program's rules, where it was sealed with others.
    last_by_new_rules: Option<Journal>,
}

impl Running<'_> {
    fn run_id(&self) -> &RunId {
        &self.begun.start.run_id
    }

    async fn body(
        &mut self,
        chain: &mut Chain,
        work: &Path,
        options: &RunOptions,
        begun_now: bool,
    ) -> Result<Audited, RunError> {
        let journal = Arc::new(Journal::create(&work.join("journal"))?);
        let evidence = Evidence {
            fetch: self.store.as_fetch(),
            work,
        };
        let earlier: Vec<SealedRun> = sealed::of_record(chain)
            .into_iter()
            .rev()
            .filter(|(d, _)| *d < self.date)
            .map(|(_, run)| run)
            .collect();
        let known = Journal::create(&work.join("known"))?;
        let wanted = Wanted {
            date: self.date,
            scope: &self.scope,
            regions: &self.config.regions,
        };
        let known = Watermarks::load(&evidence, &earlier, &wanted, known).await?;
        let known = Arc::new(known);

        let past = self
            .past(&evidence, chain, known.clone(), earlier.first())
            .await?;
        self.collect(journal.clone(), known, options).await?;
        if *self.cancelled.borrow() {
            return Err(RunError::Cancelled);
        }
        let mut counts = self.own_rows(&journal)?;
        let tally = self.assess(&journal, &past.past)?;
        counts.used.extend(tally.waived.clone());
        let exceptions = exceptions::rows(&self.config.exceptions, self.date, &counts.used);
        journal.append(&mut exceptions.clone())?;
        let ended_at = self.shell.clock.now();
        let run_row = self.run_row(&counts, &tally, ended_at);
        journal.append(&mut vec![run_row.clone()])?;

        let previous = match earlier.first() {
            Some(run) => {
                let now = journal.rows::<Verdict>();
                // Under changed rules both days are compared by the new ones, so that a verdict which
                // the rules turned is neither new nor fixed.
                let changes = match &past.last_by_new_rules {
                    Some(conclusions) => tally::changes(conclusions.rows::<Verdict>(), now)?,
                    None => tally::changes(evidence.rows::<Verdict>(run).await?, now)?,
                };
                Some((run.seal.scheduled_for, changes))
            }
            None => None,
        };
        let place = Place {
            store: self.store,
            clock: &*self.shell.clock,
            work,
            run_id: self.run_id(),
            date: self.date,
            writer: &hex(&random::<4>()?),
        };
        let mut files = record(&place, &journal).await?;
        let rows = files
            .iter()
            .map(|(dataset, file)| ((*dataset).to_owned(), file.rows.unwrap_or_default()))
            .collect();
        let mut all: Vec<_> = files.drain(..).map(|(_, file)| file).collect();
        all.push(self.begun.file.clone());
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            self.run_id().clone(),
            Period::Date(self.date),
            all,
            Vec::new(),
        )
        .map_err(|e| RunError::Internal(e.to_string()))?;
        let request = CommitRequest {
            content: Content::Run(self.seal(&run_row, &counts, rows)),
            manifest: &manifest,
            producer: self.producer.clone(),
        };
        if *self.cancelled.borrow() {
            return Err(RunError::Cancelled);
        }
        let clock = &*self.shell.clock;
        let committed = commit::commit(self.store, self.signer, clock, chain, &request).await?;

        let names = self.scope.accounts.iter();
        let names = names.filter_map(|a| Some((a.account_id.clone(), a.name.clone()?)));
        let summary = RunSummary {
            run_id: self.run_id().clone(),
            date: self.date,
            outcome: run_row.outcome,
            late: run_row.late,
            previous,
            expired: exceptions.iter().filter(|e| e.expired).cloned().collect(),
            account_names: names.collect(),
            accounts: counts.accounts.clone(),
            checks: self.checks.clone(),
            url: self.store.url(),
            seq: committed.seq,
            head: committed.sha256,
            begun_with: begun_now.then(|| chain.genesis_sha256().clone()),
            took_ms: ended_at.0 - self.begun.start.started_at.0,
            calls: run_row.calls,
            throttles: run_row.throttles,
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
        })
    }

    /// Looks at every account; shows progress meanwhile.
    async fn collect(
        &self,
        journal: Arc<Journal>,
        known: Arc<Watermarks>,
        options: &RunOptions,
    ) -> Result<(), RunError> {
        let config = self.config;
        let start = &self.begun.start;
        let reserve = ((start.deadline_at.0 - start.started_at.0) / 5).min(LONGEST_RESERVE_MS);
        let mut wanted =
            collect::Options::new(self.run_id().clone(), self.date, discover::emr_regions());
        wanted.role_name = config.role_name.clone();
        wanted.external_id = config.external_id.clone();
        wanted.single_account = config.scope == ScopeMode::SingleAccount;
        wanted.regions = config.regions.clone();
        wanted.concurrency = config.concurrency;
        wanted.cell_deadline = config.cell_deadline;
        wanted.deadline = Some(start.deadline_at.plus_ms(-reserve));
        wanted.seed = u64::from_be_bytes(random()?);
        wanted.tags = config.tags.clone();
        wanted.sample_clusters = config.sample_objects;
        wanted.sampler_role_name = config.sampler_role_name.clone();
        wanted.describe_max_age_days = (config.describe_max_age.as_secs() / 86_400) as i64;
        let context = Context {
            cloud: self.aws.clone(),
            attempts: self.attempts.clone(),
            sink: Arc::new(JournalSink {
                journal,
                known: known.clone(),
            }),
            known,
            options: Arc::new(wanted),
            exceptions: config.exceptions.clone().into(),
        };
        let shown = progress::show(options, &self.attempts);
        let collected = collect::collect(&context, &self.scope).await;
        shown.finish();
        collected?;
        Ok(())
    }

    /// Writes what the run knows of itself, its scope and its archive, and counts coverage.
    fn own_rows(&self, journal: &Journal) -> Result<Counts, RunError> {
        let counts = Counts::of(&self.scope, journal.rows::<Coverage>())?;
        journal.append(&mut self.scope.accounts.clone())?;
        journal.append(&mut self.checks.clone())?;
        Ok(counts)
    }

    /// Reads what earlier runs decide of this one's conclusions: the facts that ended clusters stand
    /// on, and what changed rules alone turn. A run whose evidence is no longer what was sealed decides
    /// nothing, with a warning.
    async fn past(
        &self,
        evidence: &Evidence<'_>,
        chain: &Chain,
        known: Arc<Watermarks>,
        last: Option<&SealedRun>,
    ) -> Result<Before, RunError> {
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
        past.stands = Stands::OnWatermarks(known);
        let mut last_by_new_rules = None;
        if let Some(run) = last.filter(|run| *run.rules() != assess::rules_digest()) {
            let again = Again {
                evidence,
                chain,
                run,
            };
            let judged = again.by_changed_rules(&evidence.work.join("rules")).await;
            if let Some(judged) = known::readable(run, judged)? {
                past.changed = Some(judged.changed);
                last_by_new_rules = Some(judged.conclusions);
            }
        }
        Ok(Before {
            past,
            last_by_new_rules,
        })
    }

    fn assess(&self, journal: &Journal, past: &Past) -> Result<Tally, RunError> {
        let waivers = exceptions::waivers(&self.config.exceptions);
        let inputs = Inputs {
            scheduled_for: self.date,
            as_of: self.begun.start.started_at,
            has_account_list: has_account_list(self.config),
            rules: &self.config.rules,
            waivers: &waivers,
        };
        Ok(judge(journal, journal, &inputs, past)?.0)
    }

    fn run_row(&self, counts: &Counts, tally: &Tally, ended_at: UtcMillis) -> Run {
        let started_at = self.begun.start.started_at;
        let progress = self.attempts.progress();
        let complete = counts.cells_open == 0;
        Run {
            scheduled_for: self.date,
            run_id: self.run_id().clone(),
            started_at,
            started_ms: started_at.0,
            ended_at,
            outcome: if complete {
                RunOutcome::Complete
            } else {
                RunOutcome::Partial
            },
            late: started_at.0 - self.date.start().0 > LATEST_START_MS,
            organization_id: self.scope.organization_id.clone(),
            caller_arn: Some(self.scope.caller.arn.clone()),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            rules_version: assess::RULES_VERSION.to_owned(),
            accounts_listed: self.scope.accounts.len() as i64,
            accounts_in_scope: counts.in_scope,
            accounts_answered: counts.answered,
            cells: counts.cells,
            cells_open: counts.cells_open,
            clusters: tally.verdicts.values().map(|c| c.all).sum(),
            calls: progress.calls.load(Relaxed) as i64,
            throttles: progress.throttles.load(Relaxed) as i64,
            clock_offset_ms: self.aws.clock_offset_ms(),
        }
    }

    fn seal(&self, run: &Run, counts: &Counts, rows: BTreeMap<String, u64>) -> RunSeal {
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        RunSeal {
            run_id: run.run_id.clone(),
            start_n: self.begun.start.n,
            scheduled_for: self.date,
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome,
            late: run.late,
            full_scope: self.full_scope,
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
            clock_offset_ms: run.clock_offset_ms,
            unprotected: self.unprotected.clone(),
        }
    }

    /// The orderly end of a run that will not be sealed.
    async fn end(&self, error: &RunError) {
        if matches!(error, RunError::Commit(CommitError::OutcomeUnknown { .. })) {
            // It may be sealed; the next run will see.
            return;
        }
        let reason = error.to_string();
        let clock = &*self.shell.clock;
        if let Err(e) = starts::end(self.store, clock, &self.begun.start, &reason).await {
            tracing::warn!(
                "could not write that run {} ended ({e}); the next run waits for its deadline, or \
                 takes --take-over {}",
                self.run_id(),
                self.run_id()
            );
        }
    }
}
