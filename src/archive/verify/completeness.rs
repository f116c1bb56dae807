//! Level 5, what the rows tell: whether each run covered the accounts of its scope, no others, and
//! counted right.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Asked;
use super::failure::Failure;
use super::report::{Report, VerifiedRun};
use crate::archive::gather::gather;
use crate::archive::layout::Name;
use crate::archive::records::{self, dataset_files};
use crate::archive::starts::Start;
use crate::archive::store::Fetch;
use crate::model::datasets::{Account, Coverage, Run};
use crate::model::ids::AccountId;
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, RunOutcome};
use crate::record::{self, RowReader};
use crate::seal::{FileEntry, RunSeal};

/// Largest file that is taken into memory: coverage of 10,000 accounts in 17 Regions has a tenth.
const FILE_LIMIT: u64 = 256 * 1024 * 1024;

/// Looks into the rows of every run whose files are as they were sealed, in the range asked for.
pub(super) async fn check(asked: &Asked<'_>, report: &mut Report) {
    let options = asked.options;
    let wanted = |run: &&VerifiedRun| {
        let date = run.seal.scheduled_for;
        options.from.is_none_or(|from| from <= date) && options.to.is_none_or(|to| date <= to)
    };
    let runs: Vec<&VerifiedRun> = report.runs.iter().filter(wanted).collect();
    let found = gather(runs, |run| look(asked.fetch, run)).await;
    report.failures.extend(found.into_iter().flatten());
}

/// What the rows of one run say of it.
async fn look(fetch: &dyn Fetch, run: &VerifiedRun) -> Vec<Failure> {
    match Found::read(fetch, run).await {
        Ok(found) => found.compare(run),
        Err(Unread::Expired) => Vec::new(),
        Err(Unread::Broken { name, detail }) => vec![Failure::RowsUnreadable { name, detail }],
    }
}

/// Why rows were not read.
enum Unread {
    /// They are gone, lawfully.
    Expired,
    Broken {
        name: String,
        detail: String,
    },
}

impl Unread {
    fn of(file: &FileEntry, error: &dyn std::fmt::Display) -> Self {
        Self::Broken {
            name: file.name.clone(),
            detail: error.to_string(),
        }
    }
}

/// What stands in a run's rows.
struct Found {
    start: Start,
    /// Accounts listed, and whether they are in scope.
    accounts: BTreeMap<AccountId, bool>,
    covered: BTreeSet<AccountId>,
    /// Accounts of coverage that the run was not to look into.
    outside: BTreeSet<AccountId>,
    /// Accounts with cells that ended neither in an answer nor in an accepted gap.
    open: BTreeSet<AccountId>,
    cells: u64,
    cells_open: u64,
    rows: Vec<Run>,
}

impl Found {
    async fn read(fetch: &dyn Fetch, run: &VerifiedRun) -> Result<Self, Unread> {
        let start = records::start_file(&run.files, &run.seal);
        let start = start.ok_or_else(|| Unread::Broken {
            name: crate::archive::layout::start(run.seal.start_n),
            detail: "the manifest does not list the run's start".to_owned(),
        })?;
        let mut found = Self {
            start: read_start(fetch, start, run.seal.start_n).await?,
            accounts: BTreeMap::new(),
            covered: BTreeSet::new(),
            outside: BTreeSet::new(),
            open: BTreeSet::new(),
            cells: 0,
            cells_open: 0,
            rows: Vec::new(),
        };
        each(fetch, run, |row: Account| {
            found.accounts.insert(row.account_id, row.in_scope);
        })
        .await?;
        each(fetch, run, |row: Coverage| found.cell(row)).await?;
        each(fetch, run, |row: Run| found.rows.push(row)).await?;
        Ok(found)
    }

    fn cell(&mut self, row: Coverage) {
        self.cells += 1;
        let left_out = matches!(
            row.outcome,
            CellOutcome::AccountState | CellOutcome::Excluded
        );
        if !row.is_answered() {
            self.cells_open += 1;
            self.open.insert(row.account_id.clone());
        }
        match self.accounts.get(&row.account_id) {
            Some(in_scope) if *in_scope || left_out => self.covered.insert(row.account_id),
            _ => self.outside.insert(row.account_id),
        };
    }

    fn compare(self, run: &VerifiedRun) -> Vec<Failure> {
        let seal = &run.seal;
        let run_id = seal.run_id.clone();
        let mut failures = Vec::new();
        if let Some((sealed, started)) = other_schedule(seal, &self.start) {
            failures.push(Failure::ScheduleChanged {
                run_id: run_id.clone(),
                sealed,
                started,
            });
        }
        let in_scope = || self.accounts.iter().filter(|(_, in_scope)| **in_scope);
        let missing: Vec<&AccountId> = in_scope()
            .map(|(account, _)| account)
            .filter(|account| !self.covered.contains(account))
            .collect();
        if let Some(first) = missing.first() {
            failures.push(Failure::ScopeNotCovered {
                run_id: run_id.clone(),
                count: missing.len(),
                example: first.to_string(),
            });
        }
        if let Some(first) = self.outside.first() {
            failures.push(Failure::CoverageOutsideScope {
                run_id: run_id.clone(),
                count: self.outside.len(),
                example: first.to_string(),
            });
        }
        let found = if self.cells_open == 0 {
            RunOutcome::Complete
        } else {
            RunOutcome::Partial
        };
        let said = self.rows.iter().map(|row| row.outcome);
        if said.chain([found]).any(|outcome| outcome != seal.outcome) {
            failures.push(Failure::OutcomeWrong {
                run_id: run_id.clone(),
                sealed: seal.outcome,
                found,
            });
        }
        let answered = in_scope().filter(|(account, _)| !self.open.contains(*account));
        let answered = answered.count() as u64;
        let mut counts = Counts::default();
        counts.differ("accounts", seal.accounts_listed, self.accounts.len() as u64);
        counts.differ(
            "accounts in scope",
            seal.accounts_in_scope,
            in_scope().count() as u64,
        );
        counts.differ("accounts answered", seal.accounts_answered, answered);
        counts.differ("cells", seal.cells, self.cells);
        counts.differ("open cells", seal.cells_open, self.cells_open);
        counts.rows_of(run);
        counts.own_row(seal, &self.rows);
        if !counts.0.is_empty() {
            let detail = counts.0.join(", ");
            failures.push(Failure::CountsDisagree { run_id, detail });
        }
        failures
    }
}

/// What a seal and its run's start say of when the run is for, where they differ.
fn other_schedule(seal: &RunSeal, start: &Start) -> Option<(String, String)> {
    let said = |run_id: &dyn std::fmt::Display, date, at| format!("{date}, run {run_id} of {at}");
    let same = start.run_id == seal.run_id
        && start.scheduled_for == seal.scheduled_for
        && start.started_at == seal.started_at;
    (!same).then(|| {
        (
            said(&seal.run_id, seal.scheduled_for, seal.started_at),
            said(&start.run_id, start.scheduled_for, start.started_at),
        )
    })
}

/// Counts that do not agree, in words.
#[derive(Default)]
struct Counts(Vec<String>);

impl Counts {
    fn differ(&mut self, what: &str, sealed: u64, found: u64) {
        if sealed != found {
            self.0.push(format!("{what} {sealed} and {found}"));
        }
    }

    /// The rows of every dataset, by the manifest; expired files are no longer listed.
    fn rows_of(&mut self, run: &VerifiedRun) {
        let mut listed: BTreeMap<&str, u64> = BTreeMap::new();
        let named: Vec<(String, u64)> = run.files.iter().filter_map(rows).collect();
        for (dataset, rows) in &named {
            let sum = listed.entry(dataset).or_default();
            *sum = sum.saturating_add(*rows);
        }
        for (dataset, found) in listed {
            let sealed = run.seal.rows.get(dataset).copied().unwrap_or_default();
            self.differ(&format!("rows of {dataset}"), sealed, found);
        }
    }

    /// What the run's own row says.
    fn own_row(&mut self, seal: &RunSeal, rows: &[Run]) {
        self.differ("rows about the run", 1, rows.len() as u64);
        for row in rows {
            let count = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
            self.differ(
                "accounts in its row",
                seal.accounts_listed,
                count(row.accounts_listed),
            );
            self.differ("cells in its row", seal.cells, count(row.cells));
            self.differ(
                "open cells in its row",
                seal.cells_open,
                count(row.cells_open),
            );
            self.differ("clusters in its row", seal.clusters, count(row.clusters));
            if row.run_id != seal.run_id {
                self.0.push(format!("its row is about {}", row.run_id));
            }
        }
    }
}

fn rows(file: &FileEntry) -> Option<(String, u64)> {
    match Name::parse(&file.name)? {
        Name::Evidence { dataset, .. } => Some((dataset, file.rows?)),
        _ => None,
    }
}

/// Every row of a dataset. One file of at most [`FILE_LIMIT`] and one batch of its rows are in memory.
async fn each<D: Dataset>(
    fetch: &dyn Fetch,
    run: &VerifiedRun,
    mut look: impl FnMut(D),
) -> Result<(), Unread> {
    let mut files = dataset_files(&run.files, D::NAME).peekable();
    if files.peek().is_none() {
        // A run writes every dataset, empty or not. What is not there has expired.
        return match run.seal.rows.contains_key(D::NAME) {
            true => Err(Unread::Expired),
            false => Err(Unread::Broken {
                name: format!("run {}", run.seal.run_id),
                detail: format!("it has no dataset {}", D::NAME),
            }),
        };
    }
    for file in files {
        let mut read = 0;
        for row in open::<D>(fetch, file).await? {
            look(row.map_err(|e| Unread::of(file, &e))?);
            read += 1;
        }
        if file.rows != Some(read) {
            let listed = file.rows.unwrap_or_default();
            let detail = format!("it holds {read} rows, {listed} are listed");
            return Err(Unread::of(file, &detail));
        }
    }
    Ok(())
}

async fn open<D: Dataset>(fetch: &dyn Fetch, file: &FileEntry) -> Result<RowReader<D>, Unread> {
    if file.bytes > FILE_LIMIT {
        let detail = format!("it has {} bytes, {FILE_LIMIT} are the limit", file.bytes);
        return Err(Unread::of(file, &detail));
    }
    let bytes = records::read_file(fetch, file).await;
    let bytes = bytes.map_err(|e| Unread::of(file, &e))?;
    record::read_bytes::<D>(&file.name, bytes).map_err(|e| Unread::of(file, &e))
}

async fn read_start(fetch: &dyn Fetch, file: &FileEntry, n: u64) -> Result<Start, Unread> {
    if file.bytes > FILE_LIMIT {
        return Err(Unread::of(file, &"it is too large"));
    }
    let bytes = records::read_file(fetch, file).await;
    let bytes = bytes.map_err(|e| Unread::of(file, &e))?;
    Start::parse(n, &bytes).map_err(|e| Unread::of(file, &e))
}
