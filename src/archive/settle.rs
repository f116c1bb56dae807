//! Create-only writes carried to a certain end: the identical bytes are sent again until it is known
//! whether the name holds them.

use std::time::Duration;

use super::store::{Body, Store, StoreError, Stored};
use crate::model::ids::Sha256Hex;
use crate::time::Clock;

/// Attempts before an outcome stays unknown; with the waits between them about a minute.
const ATTEMPTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How a create-only write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The name holds exactly these bytes, whoever wrote them; how, as far as storage says.
    Ours(Stored),
    /// The name holds other bytes.
    Taken,
}

/// Creates `name` with `bytes`, or finds out that it is taken.
///
/// `Conflict`, `Checksum` and `OutcomeUnknown` are tried again, a bounded number of times; another
/// error is the store's last word and comes back as it is. Once an outcome was unknown, though, no later error
/// makes it known: then the error is `OutcomeUnknown`, and the caller must not act as if nothing had
/// been written.
pub async fn create(
    store: &dyn Store,
    clock: &dyn Clock,
    name: &str,
    body: Body<'_>,
    sha256: &Sha256Hex,
) -> Result<Settled, StoreError> {
    let mut wait = FIRST_WAIT;
    let mut unknown = false;
    let mut attempt = 1;
    loop {
        let error = match store.create(name, body, sha256).await {
            Ok(stored) => return Ok(Settled::Ours(stored)),
            Err(StoreError::Exists { .. }) => match store.digest(name).await {
                // Perhaps our own earlier attempt, whose answer was lost.
                Ok((found, _)) if found == *sha256 => {
                    // The bytes are there; a look at how they are kept may fail for want of a
                    // permission, and then there is no evidence of it.
                    let stored = store.stored(name).await.ok().flatten();
                    return Ok(Settled::Ours(stored.unwrap_or_default()));
                }
                Ok(_) => return Ok(Settled::Taken),
                Err(error) => error,
            },
            Err(error) => error,
        };
        unknown |= matches!(error, StoreError::OutcomeUnknown { .. });
        let again = unknown
            || matches!(
                error,
                StoreError::Conflict { .. } | StoreError::Checksum { .. }
            );
        if !again || attempt == ATTEMPTS {
            return Err(if unknown {
                StoreError::OutcomeUnknown {
                    name: name.to_owned(),
                    detail: error.to_string(),
                }
            } else {
                error
            });
        }
        clock.sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        attempt += 1;
    }
}

/// Writes a small object that only ever has one content: there already with the same bytes is fine,
/// with others it is `Exists`.
pub async fn write_once(
    store: &dyn Store,
    clock: &dyn Clock,
    name: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    match create(
        store,
        clock,
        name,
        Body::Bytes(bytes),
        &Sha256Hex::of(bytes),
    )
    .await?
    {
        Settled::Ours(_) => Ok(()),
        Settled::Taken => Err(StoreError::Exists {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testkit::{Fault, FaultStore, FixedClock, MemoryStore};
    use crate::time::UtcMillis;

    async fn write(
        memory: &Arc<MemoryStore>,
        faults: &[(u64, Fault)],
    ) -> (Result<(), StoreError>, u64) {
        let store = FaultStore::new(memory.clone(), faults.iter().copied());
        let clock = FixedClock::at(UtcMillis(0));
        let written = write_once(&store, &clock, "keys/x", b"bytes").await;
        (written, store.calls())
    }

    #[tokio::test]
    async fn unknown_outcomes_are_settled() {
        for fault in [Fault::LostAnswer, Fault::NeverArrived, Fault::Conflict] {
            let memory = Arc::new(MemoryStore::default());
            let (written, _) = write(&memory, &[(1, fault)]).await;
            assert_eq!(written, Ok(()), "{fault:?}");
            assert_eq!(memory.read_now("keys/x"), b"bytes");
        }
    }

    #[tokio::test]
    async fn other_content_is_never_taken_for_ours() {
        let memory = Arc::new(MemoryStore::default());
        memory.replace("keys/x", "other");
        let (written, _) = write(&memory, &[(1, Fault::NeverArrived)]).await;
        assert!(matches!(written, Err(StoreError::Exists { .. })));
    }

    #[tokio::test]
    async fn it_ends() {
        let memory = Arc::new(MemoryStore::default());
        let always: Vec<_> = (1..100).map(|n| (n, Fault::NeverArrived)).collect();
        let (written, calls) = write(&memory, &always).await;
        assert!(matches!(written, Err(StoreError::OutcomeUnknown { .. })));
        assert_eq!(calls, u64::from(ATTEMPTS));
        // Written, and then nobody answers any more: it must not look like a plain failure.
        let (lost, _) = write(&memory, &[(1, Fault::DeadAfter)]).await;
        assert!(
            matches!(lost, Err(StoreError::OutcomeUnknown { .. })),
            "{lost:?}"
        );
        let (denied, calls) = write(&memory, &[(1, Fault::Denied)]).await;
        assert!(matches!(denied, Err(StoreError::Denied { .. })));
        assert_eq!(calls, 1);
    }
}
