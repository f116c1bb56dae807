use super::*;
use crate::archive::signer::Signer as _;
use crate::seal::Envelope;
use crate::testkit::{MemoryStore, SampleArchive, TestSigner};

async fn three_runs() -> (SampleArchive, std::sync::Arc<MemoryStore>) {
    let (mut archive, memory) = SampleArchive::in_memory();
    for _ in 0..3 {
        archive.run().await.expect("run");
    }
    (archive, memory)
}

async fn read(archive: &SampleArchive) -> Result<Option<Chain>, ChainError> {
    Chain::read(archive.store.as_fetch()).await
}

#[tokio::test]
async fn the_head_is_the_end_of_the_dense_prefix() {
    let (archive, memory) = three_runs().await;
    memory.replace("chain/9999999999.dsse.json", "junk");
    memory.replace("chain/readme", "junk");
    let chain = read(&archive).await.expect("chain").expect("begun");
    assert_eq!((chain.next_seq(), chain.head().seq), (5, 4));
    assert_eq!(chain.burnt(), [0u64; 0]);
    assert!(chain.holds(
        4,
        &Sha256Hex::of(&memory.read_now("chain/0000000004.dsse.json"))
    ));
    assert!(!chain.holds(3, &chain.head().sha256));
    assert_eq!(chain.stray(), Some("chain/9999999999.dsse.json"));
}

#[tokio::test]
async fn a_removed_entry_is_no_end_of_the_chain() {
    let (mut archive, memory) = three_runs().await;
    let mut known = read(&archive).await.expect("chain").expect("begun");
    let whole = memory.objects();
    for (removed, later) in [(2, 3), (3, 4)] {
        memory.remove(&layout::entry(removed));
        let read = read(&archive).await;
        assert!(
            matches!(read, Err(ChainError::Removed { seq, later: l, .. }) if (seq, l) == (removed, later)),
            "{read:?}"
        );
        memory.replace(
            &layout::entry(removed),
            whole[&layout::entry(removed)].clone(),
        );
    }
    memory.remove(&layout::entry(1));
    let headless = read(&archive).await;
    assert!(
        matches!(headless, Err(ChainError::NotAnArchive { .. })),
        "{headless:?}"
    );
    // A process that read the chain while it was whole looks again before it seals.
    memory.replace(&layout::entry(1), whole[&layout::entry(1)].clone());
    archive.run().await.expect("run");
    archive.run().await.expect("run");
    memory.remove(&layout::entry(5));
    let advanced = known.advance(archive.store.as_fetch()).await;
    assert!(
        matches!(
            advanced,
            Err(ChainError::Removed {
                seq: 5,
                later: 6,
                ..
            })
        ),
        "{advanced:?}"
    );
}

#[tokio::test]
async fn a_removed_entry_shows_whatever_its_successor_says() {
    let (archive, memory) = three_runs().await;
    let name = layout::entry(4);
    let entry = Envelope::parse(&memory.read_now(&name)).expect("an entry");
    let text = String::from_utf8(entry.payload.clone()).expect("text");
    let payload = text.replace("urn:keyproof:seal:v1", "urn:keyproof:seal:v2");
    let to_sign = Envelope::to_sign(payload.as_bytes());
    let newer = Envelope {
        payload: payload.into_bytes(),
        signature: archive.signer.sign(&to_sign).await.expect("signed"),
        ..entry
    };
    memory.replace(&name, newer.to_bytes());
    memory.remove(&layout::entry(3));
    let read = read(&archive).await;
    assert!(
        matches!(
            read,
            Err(ChainError::Removed {
                seq: 3,
                later: 4,
                ..
            })
        ),
        "{read:?}"
    );
}

#[tokio::test]
async fn what_the_archive_did_not_sign_beyond_the_head_stops_nobody() {
    let (mut archive, memory) = three_runs().await;
    let mut foreign = SampleArchive::in_memory();
    for _ in 0..7 {
        foreign.0.run().await.expect("another archive");
    }
    let mut changed = memory.read_now(&layout::entry(4));
    changed[60] ^= 1;
    for (seq, junk) in [
        (6, b"junk".to_vec()),
        (7, Vec::new()),
        // An intruder's own key, for the right slot.
        (8, foreign.1.read_now(&layout::entry(8))),
        (9, changed),
        // Copies of good entries, in other slots.
        (10, memory.read_now(&layout::entry(4))),
        (11, memory.read_now(&layout::entry(1))),
        (12, vec![b'x'; ENTRY_LIMIT as usize + 1]),
    ] {
        memory.replace(&layout::entry(seq), junk);
        let chain = read(&archive).await.expect("chain").expect("begun");
        assert_eq!((chain.next_seq(), chain.head().seq), (5, 4), "{seq}");
        assert_eq!(chain.stray(), Some(layout::entry(6).as_str()));
    }
    // The next seal takes the slot in between, and the one after it names them as burnt.
    archive.run().await.expect("run");
    archive.run().await.expect("run");
    let chain = read(&archive).await.expect("chain").expect("begun");
    assert_eq!(chain.head().seq, 13);
    assert_eq!(chain.head().statement.burnt_slots, [6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(chain.stray(), None);
}

/// A list that shows only what was there when it began, and the last entry.
struct Slow {
    inner: std::sync::Arc<MemoryStore>,
    unseen: std::ops::Range<u64>,
}

#[async_trait::async_trait]
impl Fetch for Slow {
    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        self.inner.read(name, limit).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut listed = self.inner.list(prefix).await?;
        listed.retain(|l| {
            !matches!(Name::parse(&l.name), Some(Name::Entry { seq }) if self.unseen.contains(&seq))
        });
        Ok(listed)
    }
    async fn copy_to(
        &self,
        name: &str,
        limit: u64,
        to: &mut std::fs::File,
    ) -> Result<(Sha256Hex, u64), StoreError> {
        self.inner.copy_to(name, limit, to).await
    }
    async fn digest(&self, name: &str) -> Result<(Sha256Hex, u64), StoreError> {
        self.inner.digest(name).await
    }
    fn url(&self) -> String {
        self.inner.url()
    }
}

#[tokio::test]
async fn what_was_sealed_while_a_list_was_made_is_no_hole() {
    let (mut archive, memory) = three_runs().await;
    let mut chain = read(&archive).await.expect("chain").expect("begun");
    for _ in 0..3 {
        archive.run().await.expect("run");
    }
    let slow = Slow {
        inner: memory,
        unseen: 5..7,
    };
    chain.advance(&slow).await.expect("no hole");
    assert_eq!((chain.head().seq, chain.next_seq()), (7, 8));
    let fresh = Chain::read(&slow).await.expect("no hole").expect("begun");
    assert_eq!(fresh.head(), chain.head());
    assert_eq!(fresh.stray(), None);
}

#[tokio::test]
async fn what_is_not_signed_for_the_slot_is_burnt() {
    let (archive, memory) = three_runs().await;
    let foreign = SampleArchive::in_memory();
    foreign.0.chain().await.expect("another archive");
    for junk in [
        b"junk".to_vec(),
        Vec::new(),
        memory.read_now("chain/0000000003.dsse.json"),
        foreign.1.read_now("chain/0000000001.dsse.json"),
    ] {
        memory.replace("chain/0000000005.dsse.json", junk);
        let chain = read(&archive).await.expect("chain").expect("begun");
        assert_eq!((chain.next_seq(), chain.head().seq), (6, 4));
        assert_eq!(chain.burnt(), [5]);
    }
}

#[tokio::test]
async fn nothing_is_built_on_a_damaged_chain() {
    let (archive, memory) = three_runs().await;
    let mut bytes = memory.read_now("chain/0000000003.dsse.json");
    bytes[40] ^= 1;
    memory.replace("chain/0000000003.dsse.json", bytes);
    let read = read(&archive).await;
    assert!(
        matches!(read, Err(ChainError::Damaged { seq: 4, .. })),
        "{read:?}"
    );
}

#[tokio::test]
async fn only_our_archives_are_written_to() {
    let (archive, memory) = SampleArchive::in_memory();
    assert!(read(&archive).await.expect("empty").is_none());
    archive.chain().await.expect("genesis");
    let other = TestSigner::generate();
    let chain = read(&archive).await.expect("chain").expect("begun");
    let refused = chain.check_signer(other.public_key());
    assert!(matches!(refused, Err(ChainError::OtherKey { .. })));
    memory.replace("chain/0000000001.dsse.json", "{}\n");
    let read = read(&archive).await;
    assert!(
        matches!(read, Err(ChainError::NotAnArchive { .. })),
        "{read:?}"
    );
}
