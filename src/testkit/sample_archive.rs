use std::sync::Arc;
use std::time::Duration;

use crate::archive::chain::Chain;
use crate::archive::commit::{self, CommitError, CommitRequest, Committed};
use crate::archive::genesis::{self, GenesisError, GenesisRequest};
use crate::archive::layout;
use crate::archive::settle;
use crate::archive::starts::{self, Begun, StartError, StartRequest};
use crate::archive::store::{Store, StoreError};
use crate::model::ids::{RunId, Sha256Hex};
use crate::model::words::RunOutcome;
use crate::seal::{ArchiveId, Content, FileEntry, Manifest, Period, Producer, RollupSeal, RunSeal};
use crate::testkit::{FixedClock, MemoryStore, TestSigner};
use crate::time::{Clock as _, DAY_MS, UtcMillis};

/// A small archive that grows run by run, with made-up data in place of Parquet.
pub struct SampleArchive {
    pub store: Arc<dyn Store>,
    pub signer: Arc<TestSigner>,
    pub clock: FixedClock,
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
            clock: FixedClock::at(UtcMillis(1_795_485_600_000)),
            ids: 0,
        }
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
            clock: FixedClock::at(self.clock.now()),
            ids: self.ids + 1_000,
        }
    }

    /// The chain, begun if need be.
    pub async fn chain(&self) -> Result<Chain, SampleError> {
        use crate::archive::signer::Signer as _;
        let read = Chain::read(self.store.as_fetch(), self.signer.public_key())
            .await
            .map_err(CommitError::from)?;
        match read {
            Some(chain) => Ok(chain),
            None => Ok(genesis::create(
                &*self.store,
                &*self.signer,
                &self.clock,
                &GenesisRequest {
                    archive_id: ArchiveId::from_random([7; 16]),
                    organization_id: Some("o-sample".to_owned()),
                    schedule: "daily".to_owned(),
                    retention_days: None,
                    recovery: None,
                    protection: "none".to_owned(),
                    scope: "organization, regions auto".to_owned(),
                    producer: producer(),
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
        self.ids += 1;
        let now = self.clock.now();
        let request = StartRequest {
            run_id: RunId::new(now, self.ids.to_be_bytes()),
            scheduled_for: now.date(),
            deadline: Duration::from_secs(6 * 3_600),
            config: serde_json::json!({"rules": {"EL-01": true}}),
            take_over,
        };
        starts::begin(&*self.store, &self.clock, chain, &request).await
    }

    /// Writes the run's data, and says what its manifest and seal would be.
    pub async fn collect(
        &self,
        chain: &Chain,
        begun: &Begun,
    ) -> Result<(Manifest, RunSeal), SampleError> {
        let start = &begun.start;
        let mut files = vec![begun.file.clone()];
        for (dataset, rows) in [("account", 0), ("emr_cluster", 3)] {
            let name = layout::evidence(dataset, 1, start.scheduled_for, &start.run_id, 0, "9c1f");
            let bytes = format!("PAR1 {dataset} {rows} {} PAR1", start.run_id).into_bytes();
            settle::write_once(&*self.store, &self.clock, &name, &bytes).await?;
            files.push(FileEntry {
                bytes: bytes.len() as u64,
                name,
                rows: Some(rows),
                rows_sha256: Some(Sha256Hex::of(b"rows")),
                sha256: Sha256Hex::of(&bytes),
            });
        }
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            start.run_id.clone(),
            Period::Date(start.scheduled_for),
            files,
            vec![],
        )
        .expect("names are safe");
        let seal = RunSeal {
            run_id: start.run_id.clone(),
            start_n: start.n,
            scheduled_for: start.scheduled_for,
            started_at: start.started_at,
            ended_at: self.clock.now(),
            outcome: RunOutcome::Complete,
            late: false,
            full_scope: true,
            organization_id: Some("o-sample".to_owned()),
            accounts_listed: 2,
            accounts_in_scope: 2,
            accounts_answered: 2,
            cells: 8,
            cells_open: 0,
            clusters: 3,
            exceptions_used: vec![],
            rows: [("account".to_owned(), 0), ("emr_cluster".to_owned(), 3)].into(),
            died_runs: begun.died.clone(),
            clock_offset_ms: Some(-3),
        };
        Ok((manifest, seal))
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
            producer: producer(),
        };
        commit::commit(&*self.store, &*self.signer, &self.clock, chain, &request).await
    }

    /// A whole run, from start to seal; the clock moves to the next day.
    pub async fn run(&mut self) -> Result<Committed, SampleError> {
        let mut chain = self.chain().await?;
        let begun = self.begin(&mut chain, None).await?;
        let (manifest, seal) = self.collect(&chain, &begun).await?;
        let committed = self.seal(&mut chain, &manifest, Content::Run(seal)).await?;
        self.clock.advance_ms(DAY_MS);
        Ok(committed)
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
        let file = FileEntry {
            bytes: bytes.len() as u64,
            name: name.clone(),
            rows: Some(1),
            rows_sha256: Some(Sha256Hex::of(b"rows")),
            sha256: Sha256Hex::of(bytes),
        };
        let manifest = Manifest::new(
            chain.archive_id().clone(),
            run_id.clone(),
            Period::Quarter(quarter),
            vec![file],
            vec![],
        )
        .expect("names are safe");
        commit::write_manifest(&*self.store, &self.clock, &manifest).await?;
        settle::write_once(&*self.store, &self.clock, &name, bytes).await?;
        let content = Content::Rollup(RollupSeal {
            run_id,
            quarter,
            edition: 1,
            chain_from: 1,
            chain_to: chain.head().seq,
            rows: [("compliant_share".to_owned(), 1)].into(),
        });
        Ok(self.seal(&mut chain, &manifest, content).await?)
    }
}

fn producer() -> Producer {
    Producer {
        version: "0.1.0".to_owned(),
        binary_sha256: Some(Sha256Hex::of(b"binary")),
        config_sha256: Sha256Hex::of(b"config"),
        rules_version: "1".to_owned(),
        rules_sha256: Sha256Hex::of(b"rules"),
        caller_arn: Some("arn:aws:iam::111122223333:role/keyproof".to_owned()),
    }
}
