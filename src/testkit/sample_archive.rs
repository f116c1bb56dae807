use std::sync::Arc;
use std::time::Duration;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitError, CommitRequest, Committed};
use crate::archive::genesis::{self, GenesisError, GenesisRequest};
use crate::archive::key_change::{self, KeyChangeError, KeyChangeRequest};
use crate::archive::layout::{self, Name};
use crate::archive::note;
use crate::archive::records::LATEST_START_MS;
use crate::archive::settle;
use crate::archive::signer::Signer as _;
use crate::archive::starts::{self, Begun, StartError, StartRequest};
use crate::archive::store::{Store, StoreError};
use crate::model::datasets::{Account, Coverage, Run};
use crate::model::ids::{AccountId, Region, RunId, Sha256Hex};
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, RunOutcome, Source};
use crate::record;
use crate::seal::{
    ArchiveId, BackfillSeal, ChangedBy, Content, FileEntry, Lacking, Manifest, Period, Producer,
    Remark, RollupSeal, RunSeal,
};
use crate::testkit::{self, FixedClock, MemoryStore, TempDir, TestSigner};
use crate::time::{Clock as _, DAY_MS, Date, UtcMillis};

/// A small archive that grows run by run. Accounts, coverage and the run itself are Parquet; what
/// stands for clusters is made up.
pub struct SampleArchive {
    pub store: Arc<dyn Store>,
    pub signer: Arc<TestSigner>,
    pub clock: Arc<FixedClock>,
    /// What runs find; the date is filled in. A seal counts what stands here.
    pub accounts: Vec<Account>,
    pub coverage: Vec<Coverage>,
    pub schedule: &'static str,
    pub retention_days: Option<u64>,
    /// How entry 1 says that storage protects the archive.
    pub protection: &'static str,
    pub producer: Producer,
    /// Named by entry 1, where set before the archive is begun.
    pub recovery: Option<Arc<TestSigner>>,
    ids: u32,
}

/// Everything that can stop a sample run.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl SampleArchive {
    /// Nothing written yet; the clock stands at 2026-11-24T02:00:00Z.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            signer: Arc::new(TestSigner::generate()),
            clock: Arc::new(FixedClock::at(UtcMillis(1_795_485_600_000))),
            accounts: ACCOUNTS.iter().map(|id| account(id)).collect(),
            coverage: ACCOUNTS.iter().flat_map(|id| cells(id)).collect(),
            schedule: "daily",
            retention_days: None,
            protection: "none",
            producer: producer(),
            recovery: None,
            ids: 0,
        }
    }

    /// In a memory that keeps versions, locks and written times, like a bucket.
    pub fn in_bucket() -> (Self, Arc<MemoryStore>) {
        let mut archive = Self::in_memory().0;
        let memory = Arc::new(MemoryStore::versioned(archive.clock.clone()));
        archive.store = memory.clone();
        archive.protection = "full";
        (archive, memory)
    }

    /// In memory.
    pub fn in_memory() -> (Self, Arc<MemoryStore>) {
        let memory = Arc::new(MemoryStore::default());
        (Self::new(memory.clone()), memory)
    }

    /// The same archive, signer and time over another view of the store.
    pub fn over(&self, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            signer: self.signer.clone(),
            clock: Arc::new(FixedClock::at(self.clock.now())),
            accounts: self.accounts.clone(),
            coverage: self.coverage.clone(),
            producer: self.producer.clone(),
            recovery: self.recovery.clone(),
            ids: self.ids + 1_000,
            ..*self
        }
    }

    /// The chain, begun if need be.
    pub async fn chain(&self) -> Result<Chain, SampleError> {
        let read = Chain::read(self.store.as_fetch())
            .await
            .map_err(CommitError::from)?;
        match read {
            Some(chain) => Ok(chain),
            None => Ok(genesis::create(
                &*self.store,
                &*self.signer,
                &*self.clock,
                &GenesisRequest {
                    archive_id: ArchiveId::from_random([7; 16]),
                    organization_id: Some("o-sample".to_owned()),
                    schedule: self.schedule.to_owned(),
                    retention_days: self.retention_days,
                    recovery: self.recovery.as_ref().map(|key| key.public_key().clone()),
                    protection: self.protection.to_owned(),
                    scope: "organization, regions auto".to_owned(),
                    producer: self.producer.clone(),
                },
            )
            .await?),
        }
    }

    /// Begins a run for the clock's date.
    pub async fn begin(
        &mut self,
        chain: &mut Chain,
        take_over: Option<&RunId>,
    ) -> Result<Begun, StartError> {
        let now = self.clock.now();
        self.begin_for(chain, now.date(), take_over).await
    }

    /// Begins a run for another date.
    pub async fn begin_for(
        &mut self,
        chain: &mut Chain,
        scheduled_for: Date,
        take_over: Option<&RunId>,
    ) -> Result<Begun, StartError> {
        self.ids += 1;
        let request = StartRequest {
            run_id: RunId::new(self.clock.now(), self.ids.to_be_bytes()),
            scheduled_for,
            deadline: Duration::from_secs(6 * 3_600),
            config: serde_json::json!({"rules": {"EL-01": true}}),
            take_over,
        };
        starts::begin(&*self.store, &*self.clock, chain, &request).await
    }

    /// Writes the run's data, and says what its manifest and seal would be.
    pub async fn collect(
        &self,
        chain: &Chain,
        begun: &Begun,
    ) -> Result<(Manifest, RunSeal), SampleError> {
        let seal = self.sealed(begun);
        let clusters = format!("PAR1 emr_cluster 3 {} PAR1", seal.run_id).into_bytes();
        let clusters = self.put(&seal, CLUSTERS, 3, &clusters).await?;
        self.collect_beside(chain, begun, vec![clusters]).await
    }

    /// The same where the files of clusters and whatever comes of them are written already.
    pub async fn collect_beside(
        &self,
        chain: &Chain,
        begun: &Begun,
        written: Vec<FileEntry>,
    ) -> Result<(Manifest, RunSeal), SampleError> {
        let mut seal = self.sealed(begun);
        for file in &written {
            if let Some(Name::Evidence { dataset, .. }) = Name::parse(&file.name) {
                *seal.rows.entry(dataset).or_default() += file.rows.unwrap_or_default();
            }
        }
        seal.clusters = seal.rows.get(CLUSTERS).copied().unwrap_or_default();
        let date = seal.scheduled_for;
        let dated = |mut row: Account| {
            row.scheduled_for = date;
            row
        };
        let accounts = self.accounts.iter().cloned().map(dated).collect();
        let dated = |mut row: Coverage| {
            row.scheduled_for = date;
            row
        };
        let coverage = self.coverage.iter().cloned().map(dated).collect();
        let mut files = vec![begun.file.clone()];
        files.extend(written);
        for (dataset, bytes) in [
            (Account::NAME, parquet::<Account>(accounts)),
            (Coverage::NAME, parquet::<Coverage>(coverage)),
            (Run::NAME, parquet(vec![run_row(&seal)])),
        ] {
            let rows = seal.rows.get(dataset).copied().unwrap_or_default();
            files.push(self.put(&seal, dataset, rows, &bytes).await?);
        }
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            seal.run_id.clone(),
            Period::Date(date),
            files,
            vec![],
        )
        .expect("names are safe");
        Ok((manifest, seal))
    }

    /// Writes one data file, and says how a manifest lists it.
    pub async fn put(
        &self,
        seal: &RunSeal,
        dataset: &str,
        rows: u64,
        bytes: &[u8],
    ) -> Result<FileEntry, SampleError> {
        let name = layout::evidence(dataset, 1, seal.scheduled_for, &seal.run_id, 0, "9c1f");
        settle::write_once(&*self.store, &*self.clock, &name, bytes).await?;
        let stored = self.store.stored(&name).await?;
        Ok(FileEntry {
            bytes: bytes.len() as u64,
            name,
            rows: Some(rows),
            rows_sha256: Some(Sha256Hex::of(b"rows")),
            sha256: Sha256Hex::of(bytes),
            stored: stored.and_then(|stored| stored.evidence()),
        })
    }

    /// What the seal says of the run, clusters and what comes of them left out.
    fn sealed(&self, begun: &Begun) -> RunSeal {
        let start = &begun.start;
        let open = self.coverage.iter().filter(|cell| !cell.is_answered());
        let open: Vec<&Coverage> = open.collect();
        let answered = |account: &&Account| {
            let mut open = open.iter();
            account.in_scope && !open.any(|cell| cell.account_id == account.account_id)
        };
        let rows = [
            (Account::NAME, self.accounts.len()),
            (Coverage::NAME, self.coverage.len()),
            (Run::NAME, 1),
        ];
        RunSeal {
            run_id: start.run_id.clone(),
            start_n: start.n,
            scheduled_for: start.scheduled_for,
            started_at: start.started_at,
            ended_at: self.clock.now(),
            outcome: if open.is_empty() {
                RunOutcome::Complete
            } else {
                RunOutcome::Partial
            },
            late: start.started_at.0 - start.scheduled_for.start().0 > LATEST_START_MS,
            full_scope: true,
            organization_id: Some("o-sample".to_owned()),
            accounts_listed: self.accounts.len() as u64,
            accounts_in_scope: self.accounts.iter().filter(|a| a.in_scope).count() as u64,
            accounts_answered: self.accounts.iter().filter(answered).count() as u64,
            cells: self.coverage.len() as u64,
            cells_open: open.len() as u64,
            clusters: 0,
            exceptions_used: vec![],
            rows: rows.map(|(name, n)| (name.to_owned(), n as u64)).into(),
            died_runs: begun.died.clone(),
            clock_offset_ms: Some(-3),
        }
    }

    /// Seals what [`SampleArchive::collect`] gave.
    pub async fn seal(
        &self,
        chain: &mut Chain,
        manifest: &Manifest,
        content: Content,
    ) -> Result<Committed, CommitError> {
        let request = CommitRequest {
            content,
            manifest,
            producer: self.producer.clone(),
            until: None,
        };
        commit::commit(&*self.store, &*self.signer, &*self.clock, chain, &request).await
    }

    /// A whole run, from start to seal; the clock moves to the next day.
    pub async fn run(&mut self) -> Result<Committed, SampleError> {
        let date = self.clock.now().date();
        let committed = self.run_for(date, |_| {}).await?;
        self.clock.advance_ms(DAY_MS);
        Ok(committed)
    }

    /// A whole run for a date, with a seal that says something else; the clock stands still.
    pub async fn run_for(
        &mut self,
        date: Date,
        change: impl FnOnce(&mut RunSeal),
    ) -> Result<Committed, SampleError> {
        let mut chain = self.chain().await?;
        let begun = self.begin_for(&mut chain, date, None).await?;
        let (manifest, mut seal) = self.collect(&chain, &begun).await?;
        change(&mut seal);
        Ok(self.seal(&mut chain, &manifest, Content::Run(seal)).await?)
    }

    /// Another signing key, by word of the present one or of the recovery key. It seals from now on.
    pub async fn change_key(&mut self, by: ChangedBy) -> Result<Committed, KeyChangeError> {
        let new = Arc::new(TestSigner::generate());
        let committed = self.change_key_to(&new, by).await?;
        self.signer = new;
        Ok(committed)
    }

    /// The same with a key at hand; who seals afterwards is for the caller to say.
    pub async fn change_key_to(
        &self,
        new: &TestSigner,
        by: ChangedBy,
    ) -> Result<Committed, KeyChangeError> {
        let mut chain = Chain::read(self.store.as_fetch())
            .await
            .map_err(CommitError::from)?
            .expect("an archive was begun");
        let signer = match (by, &self.recovery) {
            (ChangedBy::Recovery, Some(recovery)) => recovery,
            _ => &self.signer,
        };
        let request = KeyChangeRequest {
            by,
            reason: remark("a test"),
            producer: producer(),
        };
        let (store, clock) = (&*self.store, &*self.clock);
        key_change::change_key(store, &**signer, new, clock, &mut chain, &request).await
    }

    /// A remark about the head.
    pub async fn note(&self, text: &str) -> Result<Committed, SampleError> {
        let mut chain = self.chain().await?;
        let about = chain.head().clone();
        let (store, signer, clock) = (&*self.store, &*self.signer, &*self.clock);
        let text = remark(text);
        Ok(note::note(store, signer, clock, &mut chain, &about, &text, &producer()).await?)
    }

    /// A sealed rollup of the clock's quarter.
    pub async fn rollup(&mut self) -> Result<Committed, SampleError> {
        self.ids += 1;
        let mut chain = self.chain().await?;
        let now = self.clock.now();
        let run_id = RunId::new(now, self.ids.to_be_bytes());
        let quarter = now.date().quarter();
        let name = layout::rollup("compliant_share", 1, quarter, &run_id);
        let bytes = b"PAR1 measure PAR1";
        let file = listed(&name, bytes);
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            run_id.clone(),
            Period::Quarter(quarter),
            vec![file],
            vec![],
        )
        .expect("names are safe");
        commit::write_manifest(&*self.store, &*self.clock, &manifest).await?;
        settle::write_once(&*self.store, &*self.clock, &name, bytes).await?;
        let content = Content::Rollup(RollupSeal {
            run_id,
            quarter,
            edition: 1,
            chain_from: 1,
            chain_to: chain.head().seq,
            rows: [("compliant_share".to_owned(), 1)].into(),
            unfinished: Some(true),
        });
        Ok(self.seal(&mut chain, &manifest, content).await?)
    }

    /// A sealed backfill of the clock's date.
    pub async fn backfill(&mut self) -> Result<Committed, SampleError> {
        self.ids += 1;
        let mut chain = self.chain().await?;
        let now = self.clock.now();
        let run_id = RunId::new(now, self.ids.to_be_bytes());
        let mut files = Vec::new();
        for dataset in ["backfilled_launch", "trail_reading"] {
            let name = layout::evidence(dataset, 1, now.date(), &run_id, 0, "0a1b");
            files.push((name, format!("PAR1 {dataset} PAR1").into_bytes()));
        }
        let listed = files.iter().map(|(name, bytes)| listed(name, bytes));
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            run_id.clone(),
            Period::Date(now.date()),
            listed.collect(),
            vec![],
        )
        .expect("names are safe");
        commit::write_manifest(&*self.store, &*self.clock, &manifest).await?;
        for (name, bytes) in &files {
            settle::write_once(&*self.store, &*self.clock, name, bytes).await?;
        }
        let judged_by = chain.runs().next_back().map(|(_, run)| run.run_id.clone());
        let content = Content::Backfill(BackfillSeal {
            judged_by: judged_by.unwrap_or_else(|| run_id.clone()),
            run_id,
            scheduled_for: now.date(),
            from: now.date().plus_days(-90),
            to: now.date(),
            started_at: now,
            ended_at: now,
            outcome: RunOutcome::Complete,
            trail: "s3://trail/".to_owned(),
            objects: 9,
            bytes: 99,
            rows: [("backfilled_launch".to_owned(), 1)].into(),
        });
        Ok(self.seal(&mut chain, &manifest, content).await?)
    }
}

fn remark(text: &str) -> Remark {
    Remark::try_from(text.to_owned()).expect("one line")
}

fn producer() -> Producer {
    Producer {
        version: "0.1.0".to_owned(),
        binary_sha256: Some(Sha256Hex::of(b"binary")),
        config_sha256: Sha256Hex::of(b"config"),
        rules_version: "1".to_owned(),
        rules_sha256: Sha256Hex::of(b"rules"),
        caller_arn: Some("arn:aws:iam::111122223333:role/keyproof".to_owned()),
        lacking: Lacking::default(),
    }
}

const CLUSTERS: &str = "emr_cluster";

/// The accounts of the organization.
const ACCOUNTS: [&str; 2] = ["111122223333", "222233334444"];

fn account(id: &str) -> Account {
    testkit::account(id.parse().expect("an account id"))
}

/// The cells of one account: a global one and three of a Region.
fn cells(id: &str) -> Vec<Coverage> {
    let region: Region = "eu-west-1".parse().expect("a Region");
    let account: AccountId = id.parse().expect("an account id");
    let at = UtcMillis(1_795_485_600_000);
    let cell = |(region, source, outcome)| Coverage {
        outcome,
        started_at: at,
        ended_at: at,
        ..testkit::coverage(account.clone(), region, source)
    };
    let mut cells = vec![
        cell((region.clone(), Source::Clusters, CellOutcome::Collected)),
        cell((
            region.clone(),
            Source::SecurityConfigurations,
            CellOutcome::Empty,
        )),
        cell((region, Source::Steps, CellOutcome::Collected)),
        cell((Region::global(), Source::Regions, CellOutcome::Collected)),
    ];
    cells.sort_by(Dataset::key_order);
    cells
}

/// The row that a run writes about itself, as its seal has it.
fn run_row(seal: &RunSeal) -> Run {
    Run {
        scheduled_for: seal.scheduled_for,
        run_id: seal.run_id.clone(),
        started_at: seal.started_at,
        started_ms: seal.started_at.0,
        ended_at: seal.ended_at,
        outcome: seal.outcome,
        late: seal.late,
        organization_id: seal.organization_id.clone(),
        caller_arn: None,
        program_version: "0.1.0".to_owned(),
        rules_version: "1".to_owned(),
        accounts_listed: seal.accounts_listed as i64,
        accounts_in_scope: seal.accounts_in_scope as i64,
        accounts_answered: seal.accounts_answered as i64,
        cells: seal.cells as i64,
        cells_open: seal.cells_open as i64,
        clusters: seal.clusters as i64,
        calls: 8,
        throttles: 0,
        own_operations: None,
        clock_offset_ms: seal.clock_offset_ms,
    }
}

/// A Parquet file of rows in key order.
pub fn parquet<D: Dataset>(rows: Vec<D>) -> Vec<u8> {
    let dir = TempDir::new();
    let path = dir.path().join("rows");
    record::write_rows(&path, rows.into_iter().map(Ok)).expect("rows in order");
    std::fs::read(&path).expect("what was written")
}

/// How a manifest lists a file of one row.
fn listed(name: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        bytes: bytes.len() as u64,
        name: name.to_owned(),
        rows: Some(1),
        rows_sha256: Some(Sha256Hex::of(b"rows")),
        sha256: Sha256Hex::of(bytes),
        stored: None,
    }
}
