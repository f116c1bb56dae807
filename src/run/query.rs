//! `keyproof query`: SQL over the files of runs of record, each compared with its sealed digest before
//! the engine sees it.

use std::collections::BTreeMap;
use std::io::Write;

use crate::archive::chain::{Chain, Entry};
use crate::archive::layout::Name;
use crate::archive::records;
use crate::archive::store::Fetch;
use crate::config::Config;
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::table::Dataset as _;
use crate::model::words::RunOutcome;
use crate::query::{
    Asked, EvidenceFile, Format, Question, ROLLUPS, RollupFile, SealedRun as Row, Span, Views,
    rollup_view,
};
use crate::report::text::counted;
use crate::seal::{BackfillSeal, FileEntry};
use crate::time::{Date, Quarter};
use crate::{for_each_backfilled, for_each_dataset, for_each_rollup};

use super::archive::{AtUrl, find, open_store, read_chain};
use super::sealed::{self, SealedRun, is_of};
use super::work::Work;
use super::{RunError, Shell, memory, random};

/// Tasks that the SQL engine may split into.
const PARTITIONS: usize = 2;
/// PARTIAL dates that a warning names.
const SHOWN: usize = 3;

/// Which runs of record are in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Those that the statement is about by itself.
    Newest(Span),
    /// The one of a date; where the statement compares two, also the one before it.
    At(Date, Span),
    /// Those of a quarter.
    Quarter(Quarter),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    pub question: Question,
    pub when: When,
    pub format: Format,
    /// Seed and size of a sample.
    pub seed: i64,
    pub n: i64,
    /// SHA-256 of entry 1.
    pub pin: Option<Sha256Hex>,
}

/// Answers a question on sealed evidence and gives the number of rows. What a reader must know of the
/// runs in view (PARTIAL, dates without one) is logged.
///
/// # Errors
/// When the archive is not the pinned or remembered one; when no run of record is in view although the
/// statement needs one; when a file that is read is not the one that was sealed; when the statement does
/// something else than read.
pub async fn query<W: Write + Send + 'static>(
    shell: &Shell,
    config: &Config,
    request: &QueryRequest,
    to: W,
) -> Result<u64, RunError> {
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    if find(fetch).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: fetch.url() });
    }
    let chain = read_chain(fetch).await?;
    memory::check_to_read(config, &fetch.url(), &chain, request.pin.as_ref())?;
    let of_record = sealed::of_record(&chain);
    let runs = in_view(&of_record, request.when);
    if runs.is_empty() && request.question.names_rows() {
        return Err(RunError::NothingToQuery {
            when: words(request.when),
            url: fetch.url(),
            sealed: chain.runs().count(),
        });
    }
    tell(request, &runs, &fetch.url());
    let name = format!("query-{:08x}", u32::from_be_bytes(random()?));
    let work = Work::create(config, &name)?;
    let folder = work.path.join("views");
    std::fs::create_dir(&folder).map_err(|e| RunError::local(&folder, e))?;
    let views = Views::below(&folder);
    put_rows(fetch, &views, &request.question, &runs, &chain).await?;
    put_rollups(fetch, &views, &request.question, &chain).await?;
    put_tables(&views, &chain, &of_record, request)?;
    Ok(views
        .answer(&request.question, request.format, PARTITIONS, to)
        .await?)
}

fn in_view(of_record: &BTreeMap<Date, SealedRun>, when: When) -> Vec<&SealedRun> {
    match when {
        When::Newest(span) => newest(span, of_record.values().collect()),
        When::At(date, span) if of_record.contains_key(&date) => {
            let span = match span {
                Span::Every => Span::Newest,
                span => span,
            };
            let until = of_record.range(..=date);
            newest(span, until.map(|(_, run)| run).collect())
        }
        When::At(..) => Vec::new(),
        When::Quarter(quarter) => {
            let dates = of_record.range(quarter.first()..quarter.end());
            dates.map(|(_, run)| run).collect()
        }
    }
}

/// The newest of runs in order of their dates.
fn newest(span: Span, mut runs: Vec<&SealedRun>) -> Vec<&SealedRun> {
    let keep = match span {
        Span::Newest => 1,
        Span::NewestTwo => 2,
        Span::Every => usize::MAX,
    };
    runs.drain(..runs.len().saturating_sub(keep));
    runs
}

fn words(when: When) -> String {
    match when {
        When::Newest(_) => "any date".to_owned(),
        When::At(date, _) => date.to_string(),
        When::Quarter(quarter) => quarter.to_string(),
    }
}

/// Says what a figure alone would hide, and of which dates it is.
fn tell(request: &QueryRequest, runs: &[&SealedRun], url: &str) {
    if !request.question.names_rows() {
        return;
    }
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return;
    };
    let (first, last) = (first.seal.scheduled_for, last.seal.scheduled_for);
    if runs.len() == 1 {
        tracing::info!("in view: the run of record of {last}");
    } else {
        let runs = counted(runs.len() as i64, "run", "runs");
        tracing::info!("in view: {runs} of record, {first} to {last}");
    }
    let partial: Vec<String> = runs
        .iter()
        .filter(|run| run.seal.outcome == RunOutcome::Partial)
        .map(|run| run.seal.scheduled_for.to_string())
        .collect();
    if let Some(newest) = partial.last() {
        let shown = &partial[partial.len().saturating_sub(SHOWN)..];
        let before = if shown.len() < partial.len() {
            "…, "
        } else {
            ""
        };
        tracing::warn!(
            "PARTIAL: {} of {} in view: {before}{}",
            partial.len(),
            runs.len(),
            shown.join(", ")
        );
        tracing::warn!("  keyproof query --archive {url} --named not-seen --at {newest}");
    }
    let dates = i64::from(last.days() - first.days()) + 1;
    let holes = dates - runs.len() as i64;
    if holes > 0 {
        tracing::warn!("{holes} of {dates} dates have no run of record");
        tracing::warn!("  keyproof query --archive {url} --named late-and-missed");
    }
}

/// Fetches what the statement names, and nothing else.
async fn put_rows(
    fetch: &dyn Fetch,
    views: &Views,
    question: &Question,
    runs: &[&SealedRun],
    chain: &Chain,
) -> Result<(), RunError> {
    let mut listed = Vec::new();
    for (entry, seal) in chain.backfills() {
        put_backfilled(fetch, views, question, entry, seal, &mut listed).await?;
    }
    for run in runs {
        if !question.names_rows() {
            break;
        }
        let files = run.all_files(fetch).await?;
        macro_rules! each {
            ($($row:ty),+) => { $(
                if question.names(<$row>::NAME) {
                    for file in readable(&files, <$row>::NAME, <$row>::VERSION, run)? {
                        let path = views.place(<$row>::NAME, &file.sha256)?;
                        records::copy_file(fetch, file, &path).await?;
                    }
                }
            )+ };
        }
        for_each_dataset!(each);
        let seal = (&run.seal.run_id, run.seal.scheduled_for);
        listed.extend(
            files
                .iter()
                .filter_map(|file| evidence_file(file, run.entry(), seal)),
        );
    }
    if question.names(EvidenceFile::NAME) {
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        views.set(listed)?;
    }
    Ok(())
}

/// The same of one sealed backfill. All are in view, whatever dates were asked for: they tell of other dates
/// than those on which they were made.
async fn put_backfilled(
    fetch: &dyn Fetch,
    views: &Views,
    question: &Question,
    entry: &Entry,
    seal: &BackfillSeal,
    listed: &mut Vec<EvidenceFile>,
) -> Result<(), RunError> {
    let files = records::read_manifest(fetch, entry).await?.files;
    macro_rules! each {
        ($($row:ty),+) => { $(
            if question.names(<$row>::NAME) {
                for file in files.iter().filter(|file| is_of::<$row>(file)) {
                    let path = views.place(<$row>::NAME, &file.sha256)?;
                    records::copy_file(fetch, file, &path).await?;
                }
            }
        )+ };
    }
    for_each_backfilled!(each);
    let seal = (&seal.run_id, seal.scheduled_for);
    listed.extend(
        files
            .iter()
            .filter_map(|file| evidence_file(file, entry, seal)),
    );
    Ok(())
}

/// The files of every sealed rollup whose measure is asked for, each compared with its sealed digest.
async fn put_rollups(
    fetch: &dyn Fetch,
    views: &Views,
    question: &Question,
    chain: &Chain,
) -> Result<(), RunError> {
    let is_listed = question.names(RollupFile::NAME);
    if !is_listed && !ROLLUPS.iter().any(|(view, _)| question.names(view)) {
        return Ok(());
    }
    let newest: BTreeMap<Quarter, u64> = chain
        .rollups()
        .map(|(entry, seal)| (seal.quarter, entry.seq))
        .collect();
    let mut listed = Vec::new();
    for (entry, seal) in chain.rollups() {
        for file in records::read_manifest(fetch, entry).await?.files {
            let Some(Name::Rollup {
                measure, version, ..
            }) = Name::parse(&file.name)
            else {
                continue;
            };
            let row = RollupFile {
                file_sha256: file.sha256.clone(),
                name: file.name.clone(),
                measure,
                quarter: seal.quarter.to_string(),
                edition: seal.edition as i64,
                newest_edition: newest.get(&seal.quarter) == Some(&entry.seq),
                unfinished: seal.is_unfinished(entry.statement.at),
                run_id: seal.run_id.clone(),
                chain_from: seal.chain_from as i64,
                chain_to: seal.chain_to as i64,
                chain_seq: entry.seq as i64,
                chain_sha256: entry.sha256.clone(),
            };
            let is_asked = rollup_view(&row.measure).is_some_and(|view| question.names(view));
            if is_asked
                && is_readable(&row.measure, version)
                && let Some(path) = views.place_rollup(&row)?
            {
                records::copy_file(fetch, &file, &path).await?;
            }
            listed.push(row);
        }
    }
    if is_listed {
        listed.sort_by(RollupFile::key_order);
        views.set(listed)?;
    }
    Ok(())
}

/// Whether this program knows a measure in a version.
fn is_readable(measure: &str, version: u32) -> bool {
    let mut is_readable = false;
    macro_rules! each {
        ($($row:ty),+) => { $(
            is_readable |= measure == <$row>::NAME && version == <$row>::VERSION;
        )+ };
    }
    for_each_rollup!(each);
    is_readable
}

/// The files of a dataset in the version that this program reads.
///
/// # Errors
/// When the run keeps the dataset in another version alone: its rows must not be missing in silence.
fn readable<'f>(
    files: &'f [FileEntry],
    dataset: &'static str,
    version: u32,
    run: &SealedRun,
) -> Result<Vec<&'f FileEntry>, RunError> {
    let mut ours = Vec::new();
    let mut other = None;
    for file in files {
        if let Some(Name::Evidence {
            dataset: of,
            version: v,
            ..
        }) = Name::parse(&file.name)
            && of == dataset
        {
            if v == version {
                ours.push(file);
            } else {
                other = Some(v);
            }
        }
    }
    match other {
        Some(found) if ours.is_empty() => Err(RunError::OtherVersion {
            run_id: run.seal.run_id.clone(),
            dataset,
            found,
            version,
        }),
        None if ours.is_empty() => {
            tracing::warn!(
                "run {} of {} recorded no {dataset}: its program did not know it yet",
                run.seal.run_id,
                run.seal.scheduled_for
            );
            Ok(ours)
        }
        _ => Ok(ours),
    }
}

fn evidence_file(
    file: &FileEntry,
    entry: &Entry,
    (run_id, scheduled_for): (&RunId, Date),
) -> Option<EvidenceFile> {
    let Some(Name::Evidence { dataset, .. }) = Name::parse(&file.name) else {
        return None;
    };
    Some(EvidenceFile {
        file_sha256: file.sha256.clone(),
        name: file.name.clone(),
        dataset,
        run_id: run_id.clone(),
        scheduled_for,
        chain_seq: entry.seq as i64,
        chain_sha256: entry.sha256.clone(),
    })
}

fn put_tables(
    views: &Views,
    chain: &Chain,
    of_record: &BTreeMap<Date, SealedRun>,
    request: &QueryRequest,
) -> Result<(), RunError> {
    if request.question.names(Row::NAME) {
        let rows = chain.runs().map(|(entry, seal)| {
            let manifest = entry.statement.subjects.first();
            let manifest =
                manifest.ok_or_else(|| RunError::Internal("a run without manifest".to_owned()))?;
            let speaks = of_record.get(&seal.scheduled_for);
            Ok(Row {
                chain_seq: entry.seq as i64,
                chain_sha256: entry.sha256.clone(),
                run_id: seal.run_id.clone(),
                scheduled_for: seal.scheduled_for,
                scheduled_ms: seal.scheduled_for.start().0,
                started_at: seal.started_at,
                started_ms: seal.started_at.0,
                outcome: seal.outcome,
                late: seal.late,
                full_scope: seal.full_scope,
                of_record: speaks.is_some_and(|run| run.entry().seq == entry.seq),
                accounts_in_scope: seal.accounts_in_scope as i64,
                cells: seal.cells as i64,
                cells_open: seal.cells_open as i64,
                clusters: seal.clusters as i64,
                program_version: entry.statement.producer.version.clone(),
                rules_version: entry.statement.producer.rules_version.clone(),
                manifest_name: manifest.name.clone(),
                manifest_sha256: manifest.sha256.clone(),
            })
        });
        let rows: Vec<Row> = rows.collect::<Result<_, RunError>>()?;
        views.set(rows)?;
    }
    if request.question.names(Asked::NAME) {
        let (first_day, end_day) = asked(chain, request.when);
        views.set(vec![Asked {
            first_day,
            end_day,
            seed: request.seed,
            n: request.n,
        }])?;
    }
    Ok(())
}

/// The dates that were asked for, the second not included; without a word about dates, all.
fn asked(chain: &Chain, when: When) -> (Date, Date) {
    match when {
        When::Newest(_) => {
            let dates = || chain.runs().map(|(_, seal)| seal.scheduled_for);
            let first = dates().min().unwrap_or_else(|| Date::from_days(0));
            (first, dates().max().unwrap_or(first).plus_days(1))
        }
        When::At(date, _) => (date, date.plus_days(1)),
        When::Quarter(quarter) => (quarter.first(), quarter.end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::SampleArchive;

    async fn runs() -> BTreeMap<Date, SealedRun> {
        let (mut archive, memory) = SampleArchive::in_memory();
        for _ in 0..3 {
            archive.run().await.expect("run");
        }
        let chain = archive.chain().await.expect("chain");
        drop(memory);
        sealed::of_record(&chain)
    }

    fn file(name: &str) -> FileEntry {
        FileEntry {
            bytes: 1,
            name: name.to_owned(),
            rows: Some(1),
            rows_sha256: Some(Sha256Hex::of(b"rows")),
            sha256: Sha256Hex::of(name.as_bytes()),
            stored: None,
        }
    }

    #[tokio::test]
    async fn another_version_alone_is_named_and_never_missing_in_silence() {
        let runs = runs().await;
        let run = runs.values().next().expect("a run");
        let v = |version: u32| {
            file(&format!(
                "evidence/verdict/v{version}/dt=2026-11-24/20261124T020003Z-7f3a.s00-9c1f.parquet"
            ))
        };
        let other =
            file("evidence/finding/v1/dt=2026-11-24/20261124T020003Z-7f3a.s00-9c1f.parquet");
        let both = [other.clone(), v(1), v(2)];
        let found = readable(&both, "verdict", 1, run).expect("readable");
        assert_eq!(found, [&v(1)]);
        let error = readable(&[v(2), other.clone()], "verdict", 1, run).expect_err("newer");
        assert!(
            matches!(
                error,
                RunError::OtherVersion {
                    found: 2,
                    version: 1,
                    ..
                }
            ),
            "{error}"
        );
        // A run of a program that did not know the dataset yet.
        assert!(
            readable(&[other], "verdict", 1, run)
                .expect("none")
                .is_empty()
        );
    }

    #[tokio::test]
    async fn dates_quarters_and_spans_choose_runs_of_record() {
        let runs = runs().await;
        let dates: Vec<Date> = runs.keys().copied().collect();
        let chosen = |when| -> Vec<Date> {
            let runs = in_view(&runs, when).into_iter();
            runs.map(|run| run.seal.scheduled_for).collect()
        };
        assert_eq!(dates.len(), 3);
        assert_eq!(chosen(When::Newest(Span::Newest)), dates[2..]);
        assert_eq!(chosen(When::Newest(Span::NewestTwo)), dates[1..]);
        assert_eq!(chosen(When::Newest(Span::Every)), dates);
        assert_eq!(chosen(When::At(dates[1], Span::Newest)), dates[1..2]);
        assert_eq!(chosen(When::At(dates[1], Span::NewestTwo)), dates[..2]);
        assert_eq!(chosen(When::At(dates[1], Span::Every)), dates[1..2]);
        assert!(chosen(When::At(dates[2].plus_days(1), Span::NewestTwo)).is_empty());
        assert_eq!(chosen(When::Quarter(dates[0].quarter())), dates);
        assert!(chosen(When::Quarter("2031Q1".parse().expect("a quarter"))).is_empty());
    }
}
