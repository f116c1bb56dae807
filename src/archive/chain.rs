//! The chain as a writer reads it: the dense prefix of `chain/`, from entry 1 to the first slot that
//! is empty. What lies beyond an empty slot is not part of it, so nobody can move the head by putting
//! something at a high number. An entry of this archive beyond it shows that others were removed, and
//! then there is no chain to read: whoever went on would count too little, or seal into the hole.

use super::keyring::{self, KeyFault, Keyring};
use super::layout::{self, Name};
use super::slot::{self, BATCH, ENTRY_LIMIT, SlotFault, Unjudged};
use super::store::{Fetch, Listed, StoreError};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{
    ArchiveId, BackfillSeal, Content, Genesis, PublicKey, RollupSeal, RunSeal, Statement,
};

/// Objects beyond the head that are looked at. The entries right behind a hole show it; whoever can
/// remove so many in a row can remove the chain's end as a whole, which only a remembered head shows.
const BEYOND: usize = 4 * BATCH;

/// Why a chain cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Entry 1 does not begin an archive.
    #[error("{url} is not a Keyproof archive: entry 1 is {detail}")]
    NotAnArchive { url: String, detail: String },
    /// The key that signs is somebody else's.
    #[error(
        "{url} is sealed with key {found}, this signing key is {ours}: name the archive's own key"
    )]
    OtherKey {
        url: String,
        found: Sha256Hex,
        ours: Sha256Hex,
    },
    #[error("entry {seq} of {url} replaced the signing key {ours}: name its successor, {found}")]
    ReplacedKey {
        url: String,
        seq: u64,
        found: Sha256Hex,
        ours: Sha256Hex,
    },
    #[error("{url}: {fault}; run keyproof verify")]
    BrokenKey { url: String, fault: KeyFault },
    #[error("{url} is an archive of a newer version: entry {seq}: {detail}")]
    NewerVersion {
        url: String,
        seq: u64,
        detail: String,
    },
    /// A later entry is there, signed for this archive.
    #[error(
        "entry {seq} was removed from the chain of {url}: entry {later} comes after it and is signed by \
         the archive's key. Nothing is counted or sealed before a hole: run keyproof verify {url}, find \
         out who removed it, and put it back from an earlier version, a backup or the copy of the chain \
         (docs/verification.md, gap)"
    )]
    Removed { url: String, seq: u64, later: u64 },
    /// A signed entry does not link to the signed one before it. Only a change of stored entries
    /// leads to this, so nothing may be built on top.
    #[error("the chain of {url} is damaged at entry {seq}: {detail}; run keyproof verify")]
    Damaged {
        url: String,
        seq: u64,
        detail: String,
    },
}

/// One signed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    /// Digest of the chain file, which the next entry names.
    pub sha256: Sha256Hex,
    pub statement: Statement,
}

/// The signed entries of an archive, and where the next one goes.
#[derive(Debug, Clone)]
pub struct Chain {
    url: String,
    keys: Keyring,
    /// Never empty: entry 1 comes first.
    entries: Vec<Entry>,
    next_seq: u64,
    /// Slots after the last signed entry that something unsigned took.
    burnt: Vec<u64>,
    /// The first object beyond the end that is no entry of this archive.
    stray: Option<String>,
}

impl Chain {
    /// Reads the chain; none when `chain/` is empty. Its keys are those that it names itself, so it
    /// says nothing of whose archive it is: see [`Chain::check_signer`].
    pub async fn read(fetch: &dyn Fetch) -> Result<Option<Self>, ChainError> {
        let mut slots = match list(fetch, 1).await {
            Err(StoreError::Absent { .. }) => return Ok(None),
            other => other?,
        };
        if slots.dense.is_empty() {
            let Some((_, later)) = slots.beyond.first() else {
                return Ok(None);
            };
            let later = later.name.clone();
            // Another process may have begun the archive while the list was made.
            slots = list(fetch, 1).await?;
            if slots.dense.is_empty() {
                return Err(ChainError::NotAnArchive {
                    url: fetch.url(),
                    detail: format!("not there, and {later} is; run keyproof verify"),
                });
            }
        }
        let first = slots.dense.remove(0);
        let mut chain = Self::begin(fetch, &first).await?;
        chain.extend(fetch, slots).await?;
        Ok(Some(chain))
    }

    /// Reads what was added since.
    pub async fn advance(&mut self, fetch: &dyn Fetch) -> Result<(), ChainError> {
        let slots = list(fetch, self.next_seq).await?;
        self.extend(fetch, slots).await
    }

    /// The archive's name.
    pub fn archive_id(&self) -> &ArchiveId {
        &self.entries[0].statement.archive_id
    }

    /// What entry 1 fixes.
    pub fn genesis(&self) -> Option<&Genesis> {
        match &self.entries[0].statement.content {
            Content::Genesis(genesis) => Some(genesis),
            _ => None,
        }
    }

    /// Digest of entry 1, which auditors pin.
    pub fn genesis_sha256(&self) -> &Sha256Hex {
        &self.entries[0].sha256
    }

    /// The key that signs.
    pub fn key(&self) -> &PublicKey {
        self.keys.current()
    }

    /// Every key of the archive.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Refuses a key that may not seal here, or no longer.
    pub fn check_signer(&self, ours: &PublicKey) -> Result<(), ChainError> {
        if ours == self.key() {
            return Ok(());
        }
        let (url, found, ours) = (self.url.clone(), self.key().keyid(), ours.keyid());
        Err(match self.keys.replaced_by(&ours) {
            Some(seq) => ChainError::ReplacedKey {
                url,
                seq,
                found,
                ours,
            },
            None => ChainError::OtherKey { url, found, ours },
        })
    }

    /// The last signed entry.
    pub fn head(&self) -> &Entry {
        &self.entries[self.entries.len() - 1]
    }

    /// Every signed entry, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The slot that the next entry goes to.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Slots after the head that something unsigned took; the next entry names them.
    pub fn burnt(&self) -> &[u64] {
        &self.burnt
    }

    /// The first object beyond the end, when last read, that is no entry of this archive: it stops
    /// nobody, and says that somebody else may write here.
    pub fn stray(&self) -> Option<&str> {
        self.stray.as_deref()
    }

    /// The chain as it was when entry `seq` was its head; entry 1 stays in any case.
    pub fn until(&self, seq: u64) -> Self {
        let mut earlier = self.clone();
        earlier.entries.retain(|entry| entry.seq <= seq.max(1));
        earlier.next_seq = earlier.head().seq + 1;
        earlier.burnt.clear();
        earlier.stray = None;
        earlier
    }

    /// The sealed runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = (&Entry, &RunSeal)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.statement.content {
                Content::Run(run) => Some((entry, run)),
                _ => None,
            })
    }

    /// The sealed rollups, oldest first.
    pub fn rollups(&self) -> impl DoubleEndedIterator<Item = (&Entry, &RollupSeal)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.statement.content {
                Content::Rollup(rollup) => Some((entry, rollup)),
                _ => None,
            })
    }

    /// The sealed backfills, oldest first.
    pub fn backfills(&self) -> impl DoubleEndedIterator<Item = (&Entry, &BackfillSeal)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.statement.content {
                Content::Backfill(backfill) => Some((entry, backfill)),
                _ => None,
            })
    }

    /// The entry that seals a run, rollup or backfill.
    pub fn sealed(&self, run_id: &RunId) -> Option<&Entry> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.statement.content.run_id() == Some(run_id))
    }

    /// The entry that names a run as died.
    pub fn named_dead(&self, run_id: &RunId) -> Option<&Entry> {
        self.runs()
            .find(|(_, run)| {
                let mut died = run.died_runs.iter();
                died.any(|died| died.run_id.as_ref() == Some(run_id))
            })
            .map(|(entry, _)| entry)
    }

    /// Whether the chain still holds an entry that was seen earlier.
    pub fn holds(&self, seq: u64, sha256: &Sha256Hex) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.seq == seq && entry.sha256 == *sha256)
    }

    /// A chain that was just begun with entry 1.
    pub(super) fn created(url: String, keys: Keyring, entry: Entry) -> Self {
        Self {
            url,
            keys,
            next_seq: entry.seq + 1,
            entries: vec![entry],
            burnt: Vec::new(),
            stray: None,
        }
    }

    /// Takes up an entry that was just written to [`Chain::next_seq`], and the signing key that it
    /// names, if any. Nothing is read, so that nothing can fail: the entry stands.
    pub(super) fn committed(&mut self, entry: Entry, key: Option<&PublicKey>) {
        self.next_seq = entry.seq + 1;
        if let Some(key) = key {
            self.keys.change(entry.seq, key.clone());
        }
        self.burnt.clear();
        self.entries.push(entry);
    }

    async fn begin(fetch: &dyn Fetch, first: &Listed) -> Result<Self, ChainError> {
        let url = fetch.url();
        let mut read = Unjudged::read(fetch, std::slice::from_ref(first)).await;
        let unjudged = read.remove(0)?;
        let refused = |fault: SlotFault| match fault {
            SlotFault::NewerVersion(detail) => ChainError::NewerVersion {
                url: url.clone(),
                seq: 1,
                detail,
            },
            fault => ChainError::NotAnArchive {
                url: url.clone(),
                detail: fault.to_string(),
            },
        };
        let genesis = unjudged.claimed_genesis().map_err(refused)?;
        let broken = |fault| ChainError::BrokenKey {
            url: url.clone(),
            fault,
        };
        let key = keyring::read_key(fetch, &genesis.keyid);
        let key = key.await.map_err(broken)?;
        let recovery = match &genesis.recovery_keyid {
            Some(keyid) => Some(keyring::read_key(fetch, keyid).await.map_err(broken)?),
            None => None,
        };
        let keys = Keyring::new(key, recovery);
        let statement = unjudged.judge(1, &keys, None).map_err(refused)?;
        let entry = Entry {
            seq: 1,
            sha256: unjudged.sha256,
            statement,
        };
        Ok(Self::created(url, keys, entry))
    }

    async fn extend(&mut self, fetch: &dyn Fetch, slots: Slots) -> Result<(), ChainError> {
        for batch in slots.dense.chunks(BATCH) {
            for unjudged in Unjudged::read(fetch, batch).await {
                self.place(fetch, unjudged?).await?;
            }
        }
        self.stray = None;
        if !slots.beyond.is_empty() {
            // A list that takes its time may show an entry and not the one before it, which was written
            // meanwhile. It is signed only when that one is durable, so a read finds it.
            while let Some(unjudged) = self.read_next(fetch).await? {
                self.place(fetch, unjudged).await?;
            }
            self.look_beyond(fetch, slots.beyond).await?;
        }
        Ok(())
    }

    async fn read_next(&self, fetch: &dyn Fetch) -> Result<Option<Unjudged>, StoreError> {
        let read = fetch.read(&layout::entry(self.next_seq), ENTRY_LIMIT).await;
        match read {
            Ok(bytes) => Ok(Some(Unjudged::of(bytes))),
            Err(StoreError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fails where an entry of this archive lies beyond the end. What nobody signed, or somebody else
    /// did, stops nobody: else whoever may write junk could stop every run.
    async fn look_beyond(
        &mut self,
        fetch: &dyn Fetch,
        mut beyond: Vec<(u64, Listed)>,
    ) -> Result<(), ChainError> {
        beyond.retain(|(seq, _)| *seq > self.next_seq);
        self.stray = beyond.first().map(|(_, listed)| listed.name.clone());
        // No entry is as large.
        beyond.retain(|(_, listed)| listed.bytes <= ENTRY_LIMIT);
        beyond.truncate(BEYOND);
        for batch in beyond.chunks(BATCH) {
            let listed: Vec<Listed> = batch.iter().map(|(_, listed)| listed.clone()).collect();
            let read = Unjudged::read(fetch, &listed).await;
            for ((later, _), unjudged) in batch.iter().zip(read) {
                let unjudged = match unjudged {
                    // Nobody who may read the archive is denied an entry.
                    Err(StoreError::Absent { .. } | StoreError::Denied { .. }) => continue,
                    read => read?,
                };
                let judged = unjudged.judge(*later, &self.keys, Some(self.archive_id()));
                if slot::is_of_archive(&judged) {
                    return Err(ChainError::Removed {
                        url: self.url.clone(),
                        seq: self.next_seq,
                        later: *later,
                    });
                }
            }
        }
        Ok(())
    }

    async fn push(&mut self, fetch: &dyn Fetch, entry: Entry) -> Result<(), ChainError> {
        if let Content::Key(change) = &entry.statement.content {
            let read = keyring::read_key(fetch, &change.keyid).await;
            let key = read.map_err(|fault| ChainError::BrokenKey {
                url: self.url.clone(),
                fault,
            })?;
            self.keys.change(entry.seq, key);
        }
        self.burnt.clear();
        self.entries.push(entry);
        Ok(())
    }

    async fn place(&mut self, fetch: &dyn Fetch, unjudged: Unjudged) -> Result<(), ChainError> {
        let seq = self.next_seq;
        let url = || self.url.clone();
        match unjudged.judge(seq, &self.keys, Some(self.archive_id())) {
            Ok(statement) => {
                if statement.previous_sha256.as_ref() != Some(&self.head().sha256) {
                    return Err(ChainError::Damaged {
                        url: url(),
                        seq,
                        detail: format!(
                            "it does not link to entry {}, the last one with a good signature",
                            self.head().seq
                        ),
                    });
                }
                if statement.burnt_slots != self.burnt {
                    return Err(ChainError::Damaged {
                        url: url(),
                        seq,
                        detail: format!(
                            "it names the slots {:?} as burnt, and {:?} are",
                            statement.burnt_slots, self.burnt
                        ),
                    });
                }
                let sha256 = unjudged.sha256;
                self.push(
                    fetch,
                    Entry {
                        seq,
                        sha256,
                        statement,
                    },
                )
                .await?;
            }
            // Ours, by its signature; what it says is for a newer program to read.
            Err(SlotFault::NewerVersion(detail)) => {
                return Err(ChainError::NewerVersion {
                    url: url(),
                    seq,
                    detail,
                });
            }
            Err(_) => self.burnt.push(seq),
        }
        self.next_seq = seq + 1;
        Ok(())
    }
}

/// What is listed under `chain/`.
struct Slots {
    /// Slots without a gap between them.
    dense: Vec<Listed>,
    /// Those after the first empty one, with their numbers.
    beyond: Vec<(u64, Listed)>,
}

/// The slots from `from` on. A slot that then cannot be read is an error and not burnt: it may hold a
/// good entry.
async fn list(fetch: &dyn Fetch, from: u64) -> Result<Slots, StoreError> {
    if let Some(name) = fetch.hidden(layout::CHAIN).await?.into_iter().next() {
        return Err(StoreError::Failed {
            name,
            detail: "somebody deleted it, and nothing may be sealed in its place: find out who, \
                     remove the delete marker, then run keyproof verify"
                .to_owned(),
        });
    }
    let mut expected = from;
    let mut slots = Slots {
        dense: Vec::new(),
        beyond: Vec::new(),
    };
    for listed in fetch.list(layout::CHAIN).await? {
        // Sorted by name, and names have fixed width: by number.
        match Name::parse(&listed.name) {
            Some(Name::Entry { seq }) if seq == expected => {
                expected += 1;
                slots.dense.push(listed);
            }
            Some(Name::Entry { seq }) if seq > expected => slots.beyond.push((seq, listed)),
            _ => {}
        }
    }
    Ok(slots)
}

#[cfg(test)]
mod tests;
