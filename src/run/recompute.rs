//! What `seal` compares and makes again before it signs: it vouches for what others wrote.

use std::collections::BTreeSet;

use crate::archive::layout;
use crate::archive::shards::{self, ASSESS, StoredReceipt};
use crate::archive::store::StoreError;
use crate::collect::engine::is_expected;
use crate::collect::facts::Known;
use crate::collect::scope::left_out;
use crate::for_each_dataset;
use crate::model::datasets::{
    Account, Channel, Coverage, Exception, Finding, KeyAccess, Launch, Run, Verdict,
};
use crate::model::table::Dataset;
use crate::model::words::Source;
use crate::record::{self, Journal};
use crate::report::tally::Tally;
use crate::seal::{FileEntry, Manifest, Period, StoredAs};

use super::archive::store_error;
use super::counts::Counts;
use super::evidence::Evidence;
use super::of_shards::{FirstPass, first_unseen, note_first_pass};
use super::running::{Concluded, Running, Told};
use super::sealed::is_of;
use super::{RunError, exceptions};

/// Largest manifest that is read back.
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;

/// Everything that is to be sealed, as receipts tell it.
pub struct Receipts {
    assessed: StoredReceipt,
    shards: Vec<StoredReceipt>,
}

impl Receipts {
    pub async fn find(running: &Running<'_>) -> Result<Self, RunError> {
        let (run_id, date) = (running.run_id(), running.date());
        let fetch = running.store.as_fetch();
        let assessed = shards::read_receipt(fetch, run_id, date, ASSESS).await?;
        let assessed = assessed.ok_or_else(|| RunError::NotJudged {
            run_id: run_id.clone(),
        })?;
        let mut of_shards = Vec::new();
        for used in &assessed.receipt.used {
            let stored = shards::read_receipt(fetch, run_id, date, used.shard).await?;
            match stored {
                Some(stored) if stored.file.sha256 == used.sha256 => of_shards.push(stored),
                _ => {
                    return Err(RunError::Changed {
                        name: layout::shard(date, run_id, used.shard),
                    });
                }
            }
        }
        Ok(Self {
            assessed,
            shards: of_shards,
        })
    }

    fn all(&self) -> impl Iterator<Item = &StoredReceipt> {
        std::iter::once(&self.assessed).chain(&self.shards)
    }

    pub fn evidence(&self) -> Vec<FileEntry> {
        self.all().flat_map(|r| r.receipt.files.clone()).collect()
    }

    /// Data files and the receipts themselves.
    pub fn files(&self) -> Vec<FileEntry> {
        let mut files = self.evidence();
        files.extend(self.all().map(|r| r.file.clone()));
        files
    }

    /// Checks of the archive that failed for those who wrote.
    pub fn unprotected(&self) -> impl Iterator<Item = &String> {
        self.all().flat_map(|r| &r.receipt.unprotected)
    }

    /// What each process says of its clock.
    pub fn clocks(&self) -> Vec<Option<i64>> {
        self.all().map(|r| r.receipt.clock_offset_ms).collect()
    }

    /// Compares what is stored with what the writers say they stored.
    pub async fn compare_stored(&self, running: &Running<'_>) -> Result<(), RunError> {
        for file in self.evidence() {
            let stored = running.store.digest(&file.name).await;
            let same = match stored {
                Ok((sha256, bytes)) => sha256 == file.sha256 && bytes == file.bytes,
                Err(StoreError::Absent { .. }) => false,
                Err(error) => return Err(store_error(running.store.url(), error)),
            };
            if !same {
                return Err(RunError::Changed { name: file.name });
            }
            if let Some(told) = &file.stored {
                let kept = running.store.stored(&file.name).await;
                let kept = kept.map_err(|e| store_error(running.store.url(), e))?;
                let kept = kept.and_then(|kept| kept.evidence());
                if !kept.is_some_and(|kept| is_kept_as(told, &kept)) {
                    return Err(RunError::KeptOtherwise { name: file.name });
                }
            }
        }
        Ok(())
    }
}

/// Whether a file is kept as its writer tells. What a writer was not told, for want of a permission, it
/// leaves out.
fn is_kept_as(told: &StoredAs, kept: &StoredAs) -> bool {
    fn same<T: PartialEq>(told: &Option<T>, kept: &Option<T>) -> bool {
        told.is_none() || told == kept
    }
    same(&told.bucket_key, &kept.bucket_key)
        && same(&told.kms_key, &kept.kms_key)
        && same(&told.lock_mode, &kept.lock_mode)
        && same(&told.locked_until, &kept.locked_until)
        && same(&told.version, &kept.version)
}

/// What is made again before it is signed.
pub struct Recomputing<'a> {
    pub running: &'a Running<'a>,
    pub evidence: &'a Evidence<'a>,
    pub files: Vec<FileEntry>,
}

impl Recomputing<'_> {
    fn refused(&self, what: impl Into<String>) -> RunError {
        RunError::DoesNotFollow {
            run_id: self.running.run_id().clone(),
            what: what.into(),
        }
    }

    /// Every conclusion is in one file, and its rows are those made again.
    pub async fn compare_conclusions(&self, again: &Journal) -> Result<(), RunError> {
        macro_rules! compare {
            ($($row:ty),+) => { $(
                let path = self.evidence.work.join(concat!("again-", stringify!($row)));
                let made = record::write_rows(&path, again.rows::<$row>())?;
                let files: Vec<_> = self.files.iter().filter(|f| is_of::<$row>(f)).collect();
                let same = match files.as_slice() {
                    [file] => file.rows_sha256.as_ref() == Some(&made.rows_sha256),
                    _ => false,
                };
                if !same {
                    return Err(self.refused(format!("dataset {}", <$row>::NAME)));
                }
            )+ };
        }
        compare!(Channel, Finding, KeyAccess, Launch, Verdict);
        Ok(())
    }

    /// What receipts say of the rows of a file is so, and no dataset is left out.
    pub async fn compare_rows(&self) -> Result<(), RunError> {
        macro_rules! compare {
            ($($row:ty),+) => { $(
                if !self.files.iter().any(is_of::<$row>) {
                    return Err(self.refused(format!("dataset {}", <$row>::NAME)));
                }
                for file in self.files.iter().filter(|f| is_of::<$row>(f)) {
                    let path = self.evidence.work.join("rows.parquet");
                    let rows = self.evidence.rows_in::<$row>(std::slice::from_ref(file)).await?;
                    let made = record::write_rows(&path, rows)?;
                    std::fs::remove_file(&path).map_err(|e| RunError::local(&path, e))?;
                    let told = (file.rows, file.rows_sha256.as_ref());
                    if told != (Some(made.rows), Some(&made.rows_sha256)) {
                        return Err(self.refused(format!("what is said of {}", file.name)));
                    }
                }
            )+ };
        }
        for_each_dataset!(compare);
        Ok(())
    }

    /// Every account of the frozen scope is there with its cells: those of the first pass, which its
    /// shard wrote or `assess` in its place, and who owns which bucket.
    pub fn compare_coverage(&self, facts: &Journal, known: &dyn Known) -> Result<(), RunError> {
        let scope = &self.running.frozen.scope;
        let accounts: Result<Vec<Account>, _> = facts.rows::<Account>().collect();
        if accounts? != *scope.accounts {
            return Err(self.refused("dataset account"));
        }
        let selected = |a: &Account| a.left_out_because.as_deref() != Some(left_out::NOT_SELECTED);
        if self.running.frozen.full_scope && !scope.accounts.iter().all(selected) {
            return Err(self.refused("that the run looked at its whole scope"));
        }
        let mut told = BTreeSet::new();
        let mut cells = FirstPass::new();
        for cell in facts.rows::<Coverage>() {
            let cell = cell?;
            if cell.source == Source::BucketOwners {
                told.insert(cell.account_id.clone());
            }
            note_first_pass(&mut cells, cell);
        }
        let expected = || scope.accounts.iter().filter(|a| is_expected(a));
        let frozen = &self.running.frozen;
        let unasked = expected().find(|a| !told.contains(&a.account_id));
        match unasked.or_else(|| first_unseen(frozen, known, expected(), &cells)) {
            None => Ok(()),
            Some(account) => {
                let what = format!("that account {} has no coverage", account.account_id);
                Err(self.refused(what))
            }
        }
    }

    /// The run's own row and its exceptions say what the facts amount to.
    pub async fn compare_own(&self, counts: Counts, tally: Tally) -> Result<Concluded, RunError> {
        let rows: Result<Vec<Run>, _> = self.evidence.rows_in::<Run>(&self.files).await?.collect();
        let rows = rows?;
        let [run_row] = rows.as_slice() else {
            return Err(self.refused("dataset run"));
        };
        if self.running.run_row(&counts, &tally, Told::of(run_row)) != *run_row {
            return Err(self.refused("dataset run"));
        }
        let exceptions = self.evidence.rows_in::<Exception>(&self.files).await?;
        let mut exceptions: Vec<Exception> = exceptions.collect::<Result<_, _>>()?;
        exceptions.sort_by(Dataset::key_order);
        let (rules, date) = (&self.running.config.exceptions, self.running.date());
        let mut declared = exceptions::rows(rules, date, &counts.used);
        declared.sort_by(Dataset::key_order);
        if exceptions != declared {
            return Err(self.refused("dataset exception"));
        }
        Ok(Concluded {
            counts,
            tally,
            run_row: run_row.clone(),
            exceptions,
        })
    }
}

/// What stands under the run's id and is not sealed with it. A sealer that died may have written the
/// manifest already; then that one counts, and what came later is for verification to report.
pub async fn orphans(running: &Running<'_>, files: &[FileEntry]) -> Result<Vec<String>, RunError> {
    let (run_id, date) = (running.run_id(), running.date());
    let fetch = running.store.as_fetch();
    let failed = |e| store_error(fetch.url(), e);
    let manifest = layout::manifest(Period::Date(date), run_id);
    match fetch.read(&manifest, MANIFEST_LIMIT).await {
        Ok(bytes) => {
            if let Ok(written) = Manifest::parse(&bytes) {
                return Ok(written.orphans);
            }
        }
        Err(StoreError::Absent { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let names = shards::names_of_run(fetch, run_id, date, &shards::every_dataset()).await;
    let names = names.map_err(failed)?.into_iter();
    let listed: BTreeSet<&str> = files.iter().map(|f| f.name.as_str()).collect();
    Ok(names
        .filter(|name| !listed.contains(name.as_str()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_more_of_a_file_than_storage_does() {
        let nothing = StoredAs {
            bucket_key: None,
            kms_key: None,
            lock_mode: None,
            locked_until: None,
            version: None,
        };
        let kept = StoredAs {
            lock_mode: Some("GOVERNANCE".to_owned()),
            version: Some("v1".to_owned()),
            ..nothing.clone()
        };
        let with = |mode: &str| StoredAs {
            lock_mode: Some(mode.to_owned()),
            ..nothing.clone()
        };
        assert!(is_kept_as(&kept, &kept));
        assert!(is_kept_as(&nothing, &kept), "not told");
        assert!(is_kept_as(&with("GOVERNANCE"), &kept));
        assert!(!is_kept_as(&with("COMPLIANCE"), &kept));
        assert!(!is_kept_as(&kept, &nothing));
        let other = StoredAs {
            version: Some("v2".to_owned()),
            ..kept.clone()
        };
        assert!(!is_kept_as(&other, &kept));
    }
}
