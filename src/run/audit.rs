//! `keyproof run`: the four steps in one process, top to bottom; and going on with a run whose process
//! died.
//!
//! | died | what stays in `--work-dir` | `--resume` |
//! |---|---|---|
//! | before the start was written | no scope | says that there is nothing to resume |
//! | while the accounts were still being listed, or their tags read | the accounts that were looked into; cells that ended | lists the accounts again, keeps the cells, collects the others |
//! | while collecting | cells that ended; a torn frame | keeps those, collects the others |
//! | while judging | all facts, some conclusions | keeps the facts, judges again |
//! | after the run's own row: while writing files, manifest or seal | everything | writes the same bytes under the same names, which settles whatever was written already |
//! | after the seal | the same | says that the run is sealed |

use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::commit::CommitError;
use crate::archive::shards::ASSESS;
use crate::archive::starts::{self, Begun, Still};
use crate::archive::store::Store;
use crate::collect::Part;
use crate::collect::facts::{AlreadyCollected, NothingCollected};
use crate::config::Config;
use crate::model::datasets::{ArchiveCheck, Exception, Run};
use crate::model::ids::RunId;
use crate::record::Journal;
use crate::seal::Producer;

use super::anchor::anchor;
use super::archive::{KeyFile, Standing, look, open_signer, open_store};
use super::beginning::{Opened, Purpose, check_clock, check_date, find_caller, open, producer};
use super::evidence::Evidence;
use super::facts::{JournalCollected, Journals, copy_ended};
use super::frozen::Frozen;
use super::judge::tally_of;
use super::listed::{Listed, freeze, thaw};
use super::record::{Place, record};
use super::running::{Asking, Audited, Before, Concluded, Running, Sealing, Told};
use super::work::Work;
use super::{RunError, RunOptions, Shell, memory};

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
    check_date(shell, options)?;
    let asking = Asking::new(shell, config, cancelled).await?;
    match &options.resume {
        None => begin(shell, config, options, asking).await,
        Some(run_id) => resume(shell, config, options, asking, run_id).await,
    }
}

async fn begin(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    asking: Asking,
) -> Result<Audited, RunError> {
    let mut opened = open(shell, config, options, &asking, Purpose::Run).await?;
    let begun = opened.begin(shell, config, options).await?;
    let Opened {
        store,
        signer,
        mut chain,
        begun_now,
        checks,
        lacking,
        scope,
        listing,
        work,
        ..
    } = opened;
    let (Some(signer), Some(work)) = (signer, work) else {
        return Err(RunError::Internal(
            "a run has a signer and a folder".to_owned(),
        ));
    };
    let failed = lacking.failed.clone();
    let producer = producer(config, Some(scope.caller.arn.clone()), lacking);
    let date = begun.start.scheduled_for;
    let frozen = |scope| Frozen::new(config, scope, failed.clone(), &chain, date, 1);
    let (frozen, prepared) = match listing {
        None => {
            let frozen = frozen(scope);
            let progress = freeze(&work, &frozen, &begun)
                .and_then(|()| Ok(Progress::New(work.first_journal()?)));
            (frozen, progress)
        }
        Some(listing) => {
            let listed = Listed {
                shell,
                config,
                options,
                asking: &asking,
                store: store.as_ref(),
                begun: &begun,
                chain: &chain,
                work: &work,
                frozen: &frozen,
            };
            match listed.first_pass(listing).await {
                Ok((frozen, journal, before)) => {
                    (frozen, Ok(Progress::Listed(journal, Box::new(before))))
                }
                Err(error) => {
                    end(shell, store.as_ref(), &begun, &error).await;
                    return Err(error);
                }
            }
        }
    };
    let running = Running {
        shell,
        config,
        store: store.as_ref(),
        begun,
        frozen,
    };
    let whole = Whole {
        running: &running,
        asking: &asking,
        signer: signer.as_ref(),
        producer,
        checks,
        begun_now,
    };
    whole.finish(&mut chain, work, options, prepared).await
}

/// Goes on with a run from the journal that its dead process left.
async fn resume(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    asking: Asking,
    run_id: &RunId,
) -> Result<Audited, RunError> {
    let archive = open_store(shell, config, Some(&asking.aws)).await?;
    let url = archive.url();
    memory::look(config, &url)?;
    let signer = open_signer(shell, config, Some(&asking.aws), KeyFile::Load).await?;
    let fetch = archive.as_fetch();
    let Standing::Chain(chain) = look(fetch, signer.as_ref()).await? else {
        return Err(RunError::NoChain { url });
    };
    let mut chain = *chain;
    memory::check(config, &url, &chain)?;
    let clock = &*shell.clock;
    let begun = starts::go_on(fetch, clock, &chain, run_id, Still::ToCollect).await?;

    let work = Work::resume(config, run_id)?;
    let frozen = thaw(config, &asking, &work, &begun).await?;
    let caller = find_caller(&asking).await?;
    check_clock(&asking.aws)?;
    let archive = archive.for_writing(config).await?;
    let checks = archive.checks(begun.start.scheduled_for);
    let lacking = archive.lacking().with_failed(frozen.unprotected.clone());
    let running = Running {
        shell,
        config,
        store: archive.store.as_ref(),
        begun,
        frozen,
    };
    let prepared = found(&work, &running);
    let whole = Whole {
        running: &running,
        asking: &asking,
        signer: signer.as_ref(),
        producer: producer(config, Some(caller.arn), lacking),
        checks,
        begun_now: false,
    };
    whole.finish(&mut chain, work, options, prepared).await
}

/// What a process starts from.
enum Progress {
    New(Journal),
    /// Cells that a dead process ended.
    Facts(Journal),
    /// Everything: it died after the run's own row.
    Whole(Journal),
    /// The first pass, which this process made while the accounts were listed.
    Listed(Arc<Journal>, Box<Before>),
}

/// What the dead process left.
fn found(work: &Work, running: &Running<'_>) -> Result<Progress, RunError> {
    let (old, number) = work.last_journal()?;
    let next = match old {
        Some(old) if !old.is_empty::<Run>() => return Ok(Progress::Whole(old)),
        old => {
            let next = Journal::create(&work.next_journal())?;
            if let Some(old) = &old {
                copy_ended(old, &next, &running.frozen.scope)?;
            }
            drop(next);
            work.replace_journal(old, number)?
        }
    };
    Ok(Progress::Facts(next))
}

/// A run that one process takes to its end.
struct Whole<'a> {
    running: &'a Running<'a>,
    asking: &'a Asking,
    signer: &'a dyn crate::archive::signer::Signer,
    producer: Producer,
    checks: Vec<ArchiveCheck>,
    begun_now: bool,
}

impl Whole<'_> {
    /// From the start on: seals, or writes that the run ended.
    async fn finish(
        self,
        chain: &mut Chain,
        mut work: Work,
        options: &RunOptions,
        prepared: Result<Progress, RunError>,
    ) -> Result<Audited, RunError> {
        let running = self.running;
        let sealed = match prepared {
            Ok(progress) => self.body(chain, &work, options, progress).await,
            Err(error) => Err(error),
        };
        match sealed {
            Ok(audited) => {
                work.keep = false;
                anchor(running.shell, running.config, running.store, chain).await;
                Ok(audited)
            }
            Err(error) => {
                // Where a person named the place, what was collected may tell why.
                work.keep = running.config.work_dir.is_some();
                running.end(&error).await;
                Err(error)
            }
        }
    }

    async fn body(
        self,
        chain: &mut Chain,
        work: &Work,
        options: &RunOptions,
        progress: Progress,
    ) -> Result<Audited, RunError> {
        let running = self.running;
        let evidence = Evidence {
            fetch: running.store.as_fetch(),
            work: &work.path,
        };
        let (journal, is_whole, is_new, before) = match progress {
            Progress::New(journal) => (Arc::new(journal), false, true, None),
            Progress::Facts(journal) => (Arc::new(journal), false, false, None),
            Progress::Whole(journal) => (Arc::new(journal), true, false, None),
            Progress::Listed(journal, before) => (journal, false, false, Some(before)),
        };
        let before = match before {
            Some(before) => *before,
            None => running.before(&evidence, chain).await?,
        };
        let journals = Journals::one(journal);
        let concluded = if is_whole {
            concluded(running, &journals.all)?
        } else {
            let nothing: &dyn AlreadyCollected = &NothingCollected;
            let found = JournalCollected(&journals.all);
            let found = if is_new { nothing } else { &found };
            let known = before.known.clone();
            let place = (journals.clone(), work.path.as_path());
            running
                .collect(self.asking, place, known, Part::Whole, found, options)
                .await?;
            let caller = self.producer.caller_arn.clone().unwrap_or_default();
            let told = || Told::now(running, self.asking, &caller);
            running.conclude(&journals, &before, &self.checks, told)?
        };
        let previous = running.previous(&evidence, &before, &journals.all).await?;
        let unseen_changed = running
            .unseen_changed(&evidence, &before, &journals.all, &concluded.counts)
            .await?;
        let writer = work.read("writer", running.run_id())?;
        let place = Place {
            store: running.store,
            clock: &*running.shell.clock,
            work: &work.path,
            run_id: running.run_id(),
            date: running.date(),
            shard: ASSESS,
            writer: &String::from_utf8_lossy(&writer),
        };
        let files = record(&place, &journals.all, |_| false).await?;
        if *self.asking.cancelled.borrow() {
            return Err(RunError::Cancelled);
        }
        let sealing = Sealing {
            signer: self.signer,
            producer: self.producer,
            until: Some(running.begun.start.deadline_at),
            files,
            orphans: Vec::new(),
            previous,
            unseen_changed,
            begun_now: self.begun_now,
            checks: self.checks,
            other_clocks: Vec::new(),
        };
        running.seal(chain, concluded, sealing).await
    }
}

/// What a journal that holds everything amounts to.
fn concluded(running: &Running<'_>, journal: &Journal) -> Result<Concluded, RunError> {
    let tally = tally_of(journal)?;
    let counts = running.counts(journal, &tally)?;
    let run_row = journal.rows::<Run>().next().transpose()?;
    let exceptions: Result<Vec<Exception>, _> = journal.rows::<Exception>().collect();
    Ok(Concluded {
        counts,
        tally,
        run_row: run_row.ok_or_else(|| RunError::Internal("no row of the run".to_owned()))?,
        exceptions: exceptions?,
    })
}

impl Running<'_> {
    /// The orderly end of a run that will not be sealed.
    pub async fn end(&self, error: &RunError) {
        end(self.shell, self.store, &self.begun, error).await;
    }
}

async fn end(shell: &Shell, store: &dyn Store, begun: &Begun, error: &RunError) {
    if matches!(error, RunError::Commit(CommitError::OutcomeUnknown { .. })) {
        // It may be sealed; the next run will see.
        return;
    }
    let reason = error.to_string();
    if let Err(e) = starts::end(store, &*shell.clock, &begun.start, &reason).await {
        let run_id = &begun.start.run_id;
        tracing::warn!(
            "could not write that run {run_id} ended ({e}); the next run waits for its deadline, or \
             takes --take-over {run_id}"
        );
    }
}
