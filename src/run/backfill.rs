//! `keyproof backfill`: launches from the files that a trail delivered to S3, judged by the facts of the
//! newest run of record and sealed as an entry of their own.
//!
//! It begins no start, so runs go on meanwhile; until its entry is in the chain nothing of it counts.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::layout;
use crate::archive::store::Fetch;
use crate::collect::attempt::CallError;
use crate::collect::backfill::{self as trail, BackfillError, Contents, TrailPlace, Wanted};
use crate::collect::facts::{FactSink, Facts, NothingKnown, SinkError};
use crate::collect::{self, Context};
use crate::config::{Config, ScopeMode};
use crate::discover;
use crate::model::datasets::{
    Account, BackfilledControlEvent, BackfilledLaunch, KmsKey, LogBucket, Trail, TrailReading,
};
use crate::model::ids::{AccountId, Region, RunId, hex};
use crate::model::s3_location::S3Location;
use crate::model::table::Dataset;
use crate::model::words::{Lookup, RunOutcome, TrailOutcome};
use crate::record::{Encoded, Journal, write_rows};
use crate::report::WIDTH;
use crate::report::text::{counted, number, wrap};
use crate::rollup::{DEFAULT_PRICES, parse_prices};
use crate::seal::{BackfillSeal, Content, Period, Producer};
use crate::time::{Date, HOUR_MS, UtcMillis};

use super::anchor::anchor;
use super::archive::{KeyFile, open_signer, open_store, read_chain};
use super::beginning::find_caller;
use super::evidence::{Evidence, copy_facts};
use super::judge::{Inputs, judge_backfilled};
use super::running::Asking;
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, Shell, memory, producer, random, reassess, record};

/// Where words begin after a line's first.
const INDENT: usize = 11;
/// Stretches that are named one by one.
const MOST_NAMED: usize = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct BackfillRequest {
    /// First and last date of the events.
    pub from: Date,
    pub to: Date,
    /// Where the trail delivers; by default as the newest run saw the organization's trail.
    pub trail: Option<S3Location>,
    /// Owner of that bucket; by default the account of the trail.
    pub bucket_owner: Option<AccountId>,
    /// Region of that bucket; by default the trail's home.
    pub bucket_region: Option<Region>,
    /// Only these; by default the scope of the newest run of record.
    pub accounts: BTreeSet<AccountId>,
    pub regions: BTreeSet<Region>,
    /// Say what would be read, and read nothing.
    pub dry_run: bool,
}

impl BackfillRequest {
    /// Everything of these dates, from where the newest run saw the organization's trail.
    pub fn new(from: Date, to: Date) -> Self {
        Self {
            from,
            to,
            trail: None,
            bucket_owner: None,
            bucket_region: None,
            accounts: BTreeSet::new(),
            regions: BTreeSet::new(),
            dry_run: false,
        }
    }
}

/// A backfill that ended.
#[derive(Debug)]
pub struct Backfilled {
    /// `None` of one that only listed, unless it could not list everything.
    pub outcome: Option<RunOutcome>,
    pub text: String,
}

/// Reads the launches of a trail's files and seals them.
pub async fn backfill(
    shell: &Shell,
    config: &Config,
    request: &BackfillRequest,
    cancelled: watch::Receiver<bool>,
) -> Result<Backfilled, RunError> {
    let today = shell.clock.now().date();
    let (from, to) = (request.from, request.to);
    if from > to || to > today {
        let what = format!("{from} to {to} are no dates up to today, {today} UTC");
        return Err(RunError::Usage(what));
    }
    let asking = Asking::new(shell, config, cancelled).await?;
    let archive = open_store(shell, config, Some(&asking.aws)).await?;
    let url = archive.url();
    let mut chain = read_chain(archive.as_fetch()).await?;
    memory::check(config, &url, &chain)?;
    let run_id = RunId::new(shell.clock.now(), random()?);
    let work = Work::create(config, &format!("backfill-{run_id}"))?;
    let run = sealed::of_record(&chain).into_iter().next_back();
    let (_, run) = run.ok_or_else(|| RunError::NoRuns {
        url: url.clone(),
        sealed: chain.runs().count(),
    })?;
    let evidence = Evidence {
        fetch: archive.as_fetch(),
        work: &work.path,
    };
    let wanted = wanted(config, request, (from, to), &evidence, &run).await?;
    let context = context(config, &asking, &run_id, today);
    let planned = trail::list(&context, &wanted).await.map_err(stopped)?;
    if planned.units.is_empty() {
        return Err(RunError::Usage(format!(
            "s3://{}/{} has no files of a trail of {}; name another place with --trail s3://bucket/prefix",
            wanted.place.bucket,
            wanted.place.prefix,
            asked_for(&wanted)
        )));
    }
    let told = tell(&wanted, &planned);
    if request.dry_run {
        return Ok(Backfilled {
            // What could not be listed is not counted.
            outcome: (!planned.untold.is_empty()).then_some(RunOutcome::Partial),
            text: format!("{told}Nothing was read (--dry-run).\n"),
        });
    }
    let (logs, digests, bytes) = planned.totals();
    tracing::info!(
        "reading {} files, {} bytes",
        number((logs + digests) as i64),
        number(bytes as i64)
    );
    // Before hours of reading: whoever may not seal is told now.
    let signer = open_signer(shell, config, Some(&asking.aws), KeyFile::Load).await?;
    chain.check_signer(signer.public_key())?;
    let archive = archive.for_writing(config).await?;
    let lacking = archive.lacking();
    let caller = find_caller(&asking).await?;
    let evidence = Evidence {
        fetch: archive.store.as_fetch(),
        work: &work.path,
    };
    let working = Working {
        shell,
        run_id,
        date: today,
        evidence,
        run,
        started_at: shell.clock.now(),
    };
    let found = working.read(&context, &wanted, &planned).await?;
    let files = working.judge(&found).await?;
    // What was sealed meanwhile is linked to.
    let fresh = read_chain(archive.store.as_fetch()).await?;
    if fresh.head().seq > chain.head().seq {
        chain = fresh;
    }
    let seal = working.seal(&wanted, &planned, &files, found.outcome);
    let outcome = seal.outcome;
    let run_of = working.run.entry();
    let producer = Producer {
        rules_sha256: run_of.statement.producer.rules_sha256.clone(),
        rules_version: run_of.statement.producer.rules_version.clone(),
        ..producer(
            run_of.statement.producer.config_sha256.clone(),
            Some(caller.arn),
            lacking,
        )
    };
    let named: Vec<_> = files
        .iter()
        .map(|file| (file.name.clone(), file.path.as_path(), &file.encoded))
        .collect();
    let committed = record::seal(
        archive.store.as_ref(),
        signer.as_ref(),
        &*shell.clock,
        &mut chain,
        Period::Date(today),
        &named,
        (Content::Backfill(seal), producer),
    )
    .await?;
    anchor(shell, config, archive.store.as_ref(), &chain).await;
    let text = format!(
        "{told}{}Sealed     {outcome}, chain {}, head {}\n\
         Next       keyproof rollup --archive {url} --quarter {}\n",
        found.text,
        committed.seq,
        &committed.sha256.as_str()[..12],
        from.quarter(),
    );
    Ok(Backfilled {
        outcome: Some(outcome),
        text,
    })
}

fn stopped(error: BackfillError) -> RunError {
    match error {
        BackfillError::Call(CallError::RunEnded) => RunError::Cancelled,
        other => other.into(),
    }
}

/// Where the trail is and whose events are wanted, from what was asked for and what the run knows.
async fn wanted(
    config: &Config,
    request: &BackfillRequest,
    (from, to): (Date, Date),
    evidence: &Evidence<'_>,
    run: &SealedRun,
) -> Result<Wanted, RunError> {
    let role = match &config.source_reader_role_name {
        Some(role) => role.clone(),
        // The caller's own credentials do everything.
        None if config.scope == ScopeMode::SingleAccount => String::new(),
        None => {
            return Err(RunError::Usage(
                "a trail's files are read with a role of their own; set source_reader_role_name"
                    .to_owned(),
            ));
        }
    };
    let mut seen: Option<Trail> = None;
    for row in evidence.rows::<Trail>(run).await? {
        let row = row?;
        let is_whole = |row: &Trail| (row.organization, row.multi_region);
        let better = seen.as_ref().is_none_or(|s| is_whole(&row) > is_whole(s));
        let is_there = request.trail.as_ref().is_none_or(|place| {
            Some(&place.bucket) == row.bucket.as_ref()
                && place.prefix.trim_end_matches('/') == row.prefix.as_deref().unwrap_or_default()
        });
        if row.bucket.is_some() && is_there && better {
            seen = Some(row);
        }
    }
    let (bucket, prefix) = match (&request.trail, &seen) {
        (Some(place), _) => (place.bucket.clone(), place.prefix.clone()),
        (None, Some(trail)) => (
            trail.bucket.clone().unwrap_or_default(),
            trail.prefix.clone().unwrap_or_default(),
        ),
        (None, None) => {
            let what = "the newest run of record saw no trail; name its place with --trail s3://bucket/prefix";
            return Err(RunError::Usage(what.to_owned()));
        }
    };
    let part = |at: usize| seen.as_ref().and_then(|t| t.trail_arn.split(':').nth(at));
    let mut owner = part(4).and_then(|id| id.parse().ok());
    let missing = |flag: &str| {
        RunError::Usage(format!(
            "the newest run of record does not tell of this trail; name {flag}"
        ))
    };
    let home = seen.as_ref().map(|trail| trail.region.clone());
    let mut listed = BTreeSet::new();
    let mut in_scope = BTreeSet::new();
    for row in evidence.rows::<Account>(run).await? {
        let row = row?;
        if row.in_scope {
            in_scope.insert(row.account_id.clone());
        }
        listed.insert(row.account_id);
    }
    if let Some(unknown) = request.accounts.difference(&listed).next() {
        return Err(RunError::Usage(format!(
            "account {unknown} is not among those that run {} listed, and nothing would judge its launches",
            run.seal.run_id
        )));
    }
    let accounts = if request.accounts.is_empty() {
        in_scope
    } else {
        request.accounts.clone()
    };
    let mut keys = BTreeSet::new();
    for row in evidence.rows::<KmsKey>(run).await? {
        let row = row?;
        if row.lookup == Lookup::Found {
            keys.insert((row.account_id, row.region));
        }
    }
    let mut buckets = BTreeSet::new();
    for row in evidence.rows::<LogBucket>(run).await? {
        let row = row?;
        if let (Lookup::Found, Some(account), Some(region)) =
            (row.lookup, row.account_id, row.region)
        {
            if row.bucket == bucket {
                owner = Some(account.clone());
            }
            buckets.insert((account, region));
        }
    }
    let emr = discover::emr_regions();
    let is_known = |asked: &Region| {
        let places = keys.iter().chain(&buckets).map(|(_, region)| region);
        let mut known = places.chain(emr.iter().map(|emr| &emr.region)).chain(&home);
        known.any(|known| known == asked)
    };
    if let Some(unknown) = request.regions.iter().find(|asked| !is_known(asked)) {
        return Err(RunError::Usage(format!(
            "{unknown} is no Region that has EMR"
        )));
    }
    Ok(Wanted {
        keys,
        buckets,
        place: TrailPlace {
            bucket,
            prefix: prefix.trim_end_matches('/').to_owned(),
            organization: run.seal.organization_id.clone(),
        },
        owner: request
            .bucket_owner
            .clone()
            .or(owner)
            .ok_or_else(|| missing("--bucket-owner"))?,
        bucket_region: request
            .bucket_region
            .clone()
            .or(home)
            .ok_or_else(|| missing("--bucket-region"))?,
        role,
        trail: part(5).and_then(|name| Some(name.split_once('/')?.1.to_owned())),
        accounts,
        regions: (!request.regions.is_empty()).then(|| request.regions.clone()),
        from,
        to,
    })
}

fn context(config: &Config, asking: &Asking, run_id: &RunId, today: Date) -> Context {
    let mut options = collect::Options::new(run_id.clone(), today, discover::emr_regions());
    options.external_id = config.external_id.clone();
    options.single_account = config.scope == ScopeMode::SingleAccount;
    options.concurrency = config.concurrency;
    options.cell_deadline = config.cell_deadline;
    options.tags = config.tags.clone();
    Context {
        cloud: asking.aws.clone(),
        attempts: asking.attempts.clone(),
        sink: Arc::new(NoFacts),
        known: Arc::new(NothingKnown),
        options: Arc::new(options),
        exceptions: Vec::new().into(),
    }
}

/// A backfill collects no facts of a run.
struct NoFacts;

impl FactSink for NoFacts {
    fn append(&self, _: Facts) -> Result<(), SinkError> {
        Err(SinkError("a backfill keeps no facts of a run".into()))
    }
}

/// Whose files were looked for, in words.
fn asked_for(wanted: &Wanted) -> String {
    let accounts = counted(wanted.accounts.len() as i64, "account", "accounts");
    match &wanted.regions {
        None => format!("the {accounts} asked for"),
        Some(regions) => {
            let regions: Vec<_> = regions.iter().map(Region::as_str).collect();
            format!("the {accounts} asked for in {}", regions.join(", "))
        }
    }
}

/// What will be read, as a person reads it.
fn tell(wanted: &Wanted, contents: &Contents) -> String {
    let (logs, digests, bytes) = contents.totals();
    let mut text = format!(
        "Backfill   {} to {} from s3://{}/{}\n",
        wanted.from, wanted.to, wanted.place.bucket, wanted.place.prefix
    );
    let accounts: BTreeSet<_> = contents.units.iter().map(|unit| &unit.account).collect();
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "To read    {} and {}, {} bytes,\n           of {} in {}",
        counted(logs as i64, "log file", "log files"),
        counted(digests as i64, "digest file", "digest files"),
        number(bytes as i64),
        counted(accounts.len() as i64, "account", "accounts"),
        counted(
            contents.units.len() as i64,
            "account-region",
            "account-regions"
        ),
    );
    if let Ok(prices) = parse_prices(DEFAULT_PRICES) {
        let price = |item: &str| {
            let of = prices.iter().find(|price| price.item == item);
            of.map_or(0, |price| price.nano_usd)
        };
        // Every list is asked for once more, day by day.
        let lists = 2 * contents.lists as i64;
        let nano =
            lists * price("calls/log_history") + (logs + digests) as i64 * price("calls/buckets");
        let _ = writeln!(
            text,
            "Price      about ${:.2} of requests",
            nano as f64 / 1e9
        );
    }
    for account in contents.absent.iter().take(MOST_NAMED) {
        let _ = writeln!(text, "No trail   of account {account} lies there");
    }
    for (account, region, error) in contents.untold.iter().take(MOST_NAMED) {
        let line = format!("Not told   {account} {region}: {error}");
        let _ = writeln!(text, "{}", hanging(&line));
    }
    if contents.untold.len() > MOST_NAMED {
        let _ = writeln!(
            text,
            "           and {} more",
            contents.untold.len() - MOST_NAMED
        );
    }
    text
}

/// A line whose first word stands in a column of its own, broken where the page ends.
fn hanging(line: &str) -> String {
    let (head, words) = line.split_at_checked(INDENT).unwrap_or((line, ""));
    format!("{head}{}", wrap(words, WIDTH, INDENT))
}

/// A file to be sealed.
struct File {
    name: String,
    path: PathBuf,
    encoded: Encoded,
    dataset: &'static str,
}

/// What reading gave.
struct Read {
    journal: Journal,
    outcome: RunOutcome,
    text: String,
}

struct Working<'a> {
    shell: &'a Shell,
    run_id: RunId,
    date: Date,
    evidence: Evidence<'a>,
    /// Whose facts judge.
    run: SealedRun,
    started_at: UtcMillis,
}

impl Working<'_> {
    async fn read(
        &self,
        context: &Context,
        wanted: &Wanted,
        contents: &Contents,
    ) -> Result<Read, RunError> {
        let journal = Journal::create(&self.evidence.work.join("found"))?;
        let mut hours = [0_i64; 4];
        let (mut events, mut changes) = (0, 0);
        let (mut wanting, mut named) = (0, Vec::new());
        let keep = |found: trail::Found| {
            events += found.launches.len();
            changes += found.control_events.len();
            for row in &found.readings {
                hours[row.outcome as usize] += row.to_ms - row.from_ms;
                if row.outcome != TrailOutcome::Validated {
                    wanting += 1;
                    named.push(row.clone());
                }
            }
            if named.len() > 100 * MOST_NAMED {
                named.sort_by(TrailReading::key_order);
                named.truncate(MOST_NAMED);
            }
            let mut launches: Vec<_> = found.launches.into_iter().map(BackfilledLaunch).collect();
            let changes = found.control_events.into_iter();
            let mut changes: Vec<_> = changes.map(BackfilledControlEvent).collect();
            let mut readings = found.readings;
            let kept = journal
                .append(&mut launches)
                .and_then(|()| journal.append(&mut changes))
                .and_then(|()| journal.append(&mut readings));
            kept.map_err(|error| SinkError(Box::new(error)))
        };
        trail::read(context, wanted, contents, keep)
            .await
            .map_err(stopped)?;
        named.sort_by(TrailReading::key_order);
        let [validated, not_validated, not_read, failed] = hours.map(|ms| number(ms / HOUR_MS));
        let mut text = format!(
            "Events     {} RunJobFlow, {} changes\n\
             Hours      {validated} validated, {not_validated} not validated, {not_read} not read, {failed} failed\n",
            number(events as i64),
            number(changes as i64),
        );
        for row in named.iter().take(MOST_NAMED) {
            let line = format!(
                "{} {} {} from {} to {}: {}{}",
                row.outcome,
                row.account_id,
                row.region,
                row.from_at,
                UtcMillis(row.to_ms),
                row.reason.as_deref().unwrap_or_default(),
                row.file
                    .as_ref()
                    .map(|f| format!(", {f}"))
                    .unwrap_or_default(),
            );
            let _ = writeln!(text, "  {}", wrap(&line, WIDTH, 4));
        }
        if wanting > MOST_NAMED {
            let _ = writeln!(
                text,
                "  and {} more; dataset trail_reading",
                wanting - MOST_NAMED
            );
        }
        let outcome = if wanting == 0 {
            RunOutcome::Complete
        } else {
            RunOutcome::Partial
        };
        Ok(Read {
            journal,
            outcome,
            text,
        })
    }

    /// Judges what was found and writes the files locally.
    async fn judge(&self, found: &Read) -> Result<Vec<File>, RunError> {
        let fetch: &dyn Fetch = self.evidence.fetch;
        let work = self.evidence.work;
        let facts = Journal::create(&work.join("facts"))?;
        let sealed = self.run.all_files(fetch).await?;
        copy_facts(&self.evidence, &sealed, &facts).await?;
        let inputs = reassess::inputs(fetch, &self.run).await?;
        let judged = Journal::create(&work.join("judged"))?;
        judge_backfilled(
            &facts,
            &found.journal,
            &judged,
            &Inputs {
                scheduled_for: self.date,
                as_of: self.run.seal.started_at,
                has_account_list: inputs.has_account_list,
                rules: &inputs.rules,
                waivers: &[],
                clock: &*self.shell.clock,
            },
        )?;
        let writer = hex(&random::<4>()?);
        Ok(vec![
            self.file::<BackfilledControlEvent>(&found.journal, &writer)?,
            self.file::<BackfilledLaunch>(&judged, &writer)?,
            self.file::<TrailReading>(&found.journal, &writer)?,
        ])
    }

    fn file<D: Dataset>(&self, journal: &Journal, writer: &str) -> Result<File, RunError> {
        let path = self.evidence.work.join(format!("{}.parquet", D::NAME));
        Ok(File {
            name: layout::evidence(D::NAME, D::VERSION, self.date, &self.run_id, 0, writer),
            encoded: write_rows(&path, journal.rows::<D>())?,
            path,
            dataset: D::NAME,
        })
    }

    fn seal(
        &self,
        wanted: &Wanted,
        contents: &Contents,
        files: &[File],
        outcome: RunOutcome,
    ) -> BackfillSeal {
        let (logs, digests, bytes) = contents.totals();
        let rows = files.iter();
        BackfillSeal {
            run_id: self.run_id.clone(),
            scheduled_for: self.date,
            from: wanted.from,
            to: wanted.to,
            started_at: self.started_at,
            ended_at: self.shell.clock.now(),
            outcome,
            trail: wanted.place.url(&wanted.place.prefix),
            judged_by: self.run.seal.run_id.clone(),
            objects: logs + digests,
            bytes,
            rows: rows
                .map(|file| (file.dataset.to_owned(), file.encoded.rows))
                .collect(),
        }
    }
}
