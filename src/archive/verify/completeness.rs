//! Level 5, what the files of a run tell: whether it began when its seal says, covered the accounts of
//! its scope, no others, and counted right.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Asked;
use super::clocks::MOST_BACK_MS;
use super::failure::Failure;
use super::report::{Report, VerifiedRun};
use crate::archive::chain::Entry;
use crate::archive::layout::{self, Name};
use crate::archive::records::{self, dataset_files};
use crate::archive::starts::{START_LIMIT, Start};
use crate::archive::store::Fetch;
use crate::dataset;
use crate::model::datasets::Run;
use crate::model::ids::AccountId;
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, RunOutcome, Source};
use crate::record::{self, RowReader};
use crate::seal::{FileEntry, RunSeal};

/// Largest file that is taken into memory: coverage of 10,000 accounts in 17 Regions has a tenth.
const FILE_LIMIT: u64 = 256 * 1024 * 1024;

dataset! {
    /// What is asked of a row of `account`: reading no other column is most of the speed.
    pub struct Listed: "account" v 1, key [account_id];
    /// The account.
    account_id: AccountId = "12 digits";
    /// Whether the run was to look into it.
    in_scope: bool = "true or false";
}

dataset! {
    /// The same of `coverage`.
    pub struct Cell: "coverage" v 1, key [account_id];
    /// The account.
    account_id: AccountId = "12 digits";
    /// What was asked.
    source: Source = "word";
    /// How the cell ended.
    outcome: CellOutcome = "word";
    /// Exception that accepts this outcome.
    accepted_by: Option<String> = "exception id";
    /// Items that could not be read for a reason that is not theirs.
    items_failed: Option<i64> = "items";
}

/// Looks into the files of every run that are as they were sealed, in the range asked for: one run at a
/// time, for a file is in memory as a whole.
pub(super) async fn check(asked: &Asked<'_>, report: &mut Report) {
    let options = asked.options;
    let wanted = |run: &&VerifiedRun| {
        let date = run.seal.scheduled_for;
        options.from.is_none_or(|from| from <= date) && options.to.is_none_or(|to| date <= to)
    };
    let mut failures = Vec::new();
    for run in report.runs.iter().filter(wanted) {
        if let Err(unread) = look(asked.fetch, run, &report.entries, &mut failures).await {
            failures.extend(unread.failure());
        }
    }
    report.failures.extend(failures);
}

/// What the start and the rows of one run say of it.
async fn look(
    fetch: &dyn Fetch,
    run: &VerifiedRun,
    entries: &[Entry],
    failures: &mut Vec<Failure>,
) -> Result<(), Unread> {
    let start = records::start_file(&run.files, &run.seal);
    let start = start.ok_or_else(|| Unread::Broken {
        name: layout::start(run.seal.start_n),
        detail: "the manifest does not list the run's start".to_owned(),
    })?;
    let start = read_start(fetch, start, run.seal.start_n).await?;
    let run_id = run.seal.run_id.clone();
    if let Some((sealed, started)) = other_schedule(&run.seal, &start) {
        failures.push(Failure::ScheduleChanged {
            run_id: run_id.clone(),
            sealed,
            started,
        });
    }
    if let Some(detail) = before_its_head(run, &start, entries) {
        failures.push(Failure::StartedOutOfOrder { run_id, detail });
    }
    failures.extend(Found::read(fetch, run).await?.compare(run));
    Ok(())
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
    fn failure(self) -> Option<Failure> {
        match self {
            Self::Expired => None,
            Self::Broken { name, detail } => Some(Failure::RowsUnreadable { name, detail }),
        }
    }

    fn of(file: &FileEntry, error: &dyn std::fmt::Display) -> Self {
        Self::Broken {
            name: file.name.clone(),
            detail: error.to_string(),
        }
    }
}

/// What stands in a run's rows.
#[derive(Default)]
struct Found {
    /// Accounts listed, and whether they are in scope.
    accounts: BTreeMap<AccountId, bool>,
    covered: BTreeSet<AccountId>,
    /// The account of the row before, where it is in scope: a file goes account by account.
    last: Option<AccountId>,
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
        let mut found = Self::default();
        each(fetch, run, |row: Listed| {
            found.accounts.insert(row.account_id, row.in_scope);
        })
        .await?;
        each(fetch, run, |row: Cell| found.cell(row)).await?;
        each(fetch, run, |row: Run| found.rows.push(row)).await?;
        Ok(found)
    }

    fn cell(&mut self, row: Cell) {
        self.cells += 1;
        let accepted = row.accepted_by.is_some();
        if !row
            .outcome
            .is_settled(row.source, accepted, row.items_failed)
        {
            self.cells_open += 1;
            self.open.insert(row.account_id.clone());
        }
        if self.last.as_ref() == Some(&row.account_id) {
            return;
        }
        let left_out = matches!(
            row.outcome,
            CellOutcome::AccountState | CellOutcome::Excluded
        );
        match self.accounts.get(&row.account_id) {
            Some(true) => {
                self.covered.insert(row.account_id.clone());
                self.last = Some(row.account_id);
            }
            Some(false) if left_out => {
                self.covered.insert(row.account_id);
            }
            _ => {
                self.outside.insert(row.account_id);
            }
        }
    }

    fn compare(self, run: &VerifiedRun) -> Vec<Failure> {
        let seal = &run.seal;
        let run_id = seal.run_id.clone();
        let mut failures = Vec::new();
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

/// How the time of a start contradicts the chain, whose head the run noted when it began.
fn before_its_head(run: &VerifiedRun, start: &Start, entries: &[Entry]) -> Option<String> {
    let (seq, at) = (start.head_seq, start.started_at);
    if seq >= run.seq {
        return Some(format!(
            "it notes entry {seq} as the last when it began, and entry {} seals it",
            run.seq
        ));
    }
    // The slot itself may be broken, which is told elsewhere: the last signed one up to it speaks.
    let Some(head) = entries.iter().rfind(|entry| entry.seq <= seq) else {
        return Some(format!(
            "it notes entry {seq} as the last when it began, and no entry is so old"
        ));
    };
    let signed_at = head.statement.at;
    (signed_at.0.saturating_sub(at.0) > MOST_BACK_MS).then(|| {
        format!(
            "it says that it began at {at}, after entry {}, which was signed at {signed_at}",
            head.seq
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

    /// The rows of every dataset that is sealed or listed; what has expired cannot be counted.
    fn rows_of(&mut self, run: &VerifiedRun) {
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        for (dataset, rows) in run.files.iter().filter_map(rows) {
            let sum = listed.entry(dataset).or_default();
            *sum = sum.saturating_add(rows);
        }
        let sealed = &run.seal.rows;
        let datasets: BTreeSet<&String> = sealed.keys().chain(listed.keys()).collect();
        for dataset in datasets.into_iter().filter(|name| !expired(run, name)) {
            let of = |rows: &BTreeMap<String, u64>| rows.get(dataset).copied().unwrap_or_default();
            self.differ(&format!("rows of {dataset}"), of(sealed), of(&listed));
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

/// Whether a file of the dataset is gone, past its retention.
fn expired(run: &VerifiedRun, dataset: &str) -> bool {
    run.expired.iter().any(|name| {
        matches!(
            Name::parse(name),
            Some(Name::Evidence { dataset: of, .. }) if of == dataset
        )
    })
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
    if expired(run, D::NAME) {
        return Err(Unread::Expired);
    }
    let mut files = dataset_files(&run.files, D::NAME).peekable();
    if files.peek().is_none() {
        // A run writes every dataset, empty or not.
        return Err(Unread::Broken {
            name: format!("run {}", run.seal.run_id),
            detail: format!("its manifest lists no file of dataset {}", D::NAME),
        });
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
    let bytes = records::read_file(fetch, file, FILE_LIMIT).await;
    let bytes = bytes.map_err(|e| Unread::of(file, &e))?;
    record::read_bytes::<D>(&file.name, bytes).map_err(|e| Unread::of(file, &e))
}

async fn read_start(fetch: &dyn Fetch, file: &FileEntry, n: u64) -> Result<Start, Unread> {
    let bytes = records::read_file(fetch, file, START_LIMIT).await;
    let bytes = bytes.map_err(|e| Unread::of(file, &e))?;
    Start::parse(n, &bytes).map_err(|e| Unread::of(file, &e))
}
