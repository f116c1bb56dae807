//! A signed remark about an earlier entry, e.g. why a run was PARTIAL or who found out what. It stands
//! beside what was sealed and changes none of it.

use super::chain::{Chain, Entry};
use super::commit::{self, CommitError, Committed, SLOTS, Unsigned};
use super::layout;
use super::signer::Signer;
use super::store::Store;
use crate::seal::{Content, Note, Producer, Remark, Subject};
use crate::time::Clock;

/// Signs `text` about `about`, an entry of `chain`.
pub async fn note(
    store: &dyn Store,
    signer: &dyn Signer,
    clock: &dyn Clock,
    chain: &mut Chain,
    about: &Entry,
    text: &Remark,
    producer: &Producer,
) -> Result<Committed, CommitError> {
    let subjects = [Subject {
        name: layout::entry(about.seq),
        sha256: about.sha256.clone(),
    }];
    for _ in 0..SLOTS {
        chain.check_signer(signer.public_key())?;
        let content = Content::Note(Note {
            entry: about.seq,
            text: text.clone(),
        });
        let entry = Unsigned {
            content,
            producer,
            subjects: &subjects,
            key: None,
        };
        if let Some(done) = commit::try_slot(store, signer, clock, chain, entry).await? {
            return Ok(done);
        }
    }
    Err(CommitError::Crowded)
}
