//! The chain as a verifier reads it: every slot, what it holds, and how it links.

use std::collections::BTreeMap;

use super::failure::{Failure, Notice};
use crate::archive::chain::Entry;
use crate::archive::gather::gather;
use crate::archive::layout::{self, Name};
use crate::archive::slot::{self, ENTRY_LIMIT, SlotFault};
use crate::archive::store::{Fetch, Listed};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{ArchiveId, Content, PublicKey, Statement};

/// One slot, judged on its own.
pub(super) struct Slot {
    pub seq: u64,
    pub sha256: Sha256Hex,
    pub judged: Result<Statement, SlotFault>,
}

/// Reads and judges every slot after the first. A slot that cannot be read is a failure and has no
/// place in the result.
pub(super) async fn read_slots(
    fetch: &dyn Fetch,
    listing: &[Listed],
    key: &PublicKey,
    archive_id: &ArchiveId,
    failures: &mut Vec<Failure>,
) -> Vec<Slot> {
    let listed = listing.iter().filter_map(|l| match Name::parse(&l.name) {
        Some(Name::Entry { seq }) if seq > 1 => Some((seq, l)),
        _ => None,
    });
    let read = gather(listed.collect(), |(seq, listed)| async move {
        if listed.bytes > ENTRY_LIMIT {
            let (sha256, _) = fetch.digest(&listed.name).await?;
            let judged = Err(SlotFault::TooLarge);
            return Ok(Slot {
                seq,
                sha256,
                judged,
            });
        }
        let bytes = fetch.read(&listed.name, ENTRY_LIMIT).await?;
        Ok(Slot {
            seq,
            sha256: Sha256Hex::of(&bytes),
            judged: slot::judge(&bytes, seq, key, Some(archive_id)),
        })
    })
    .await;
    let mut slots = Vec::new();
    for slot in read {
        match slot {
            Ok(slot) => slots.push(slot),
            Err(error) => failures.push(super::files::unreadable(error, "the chain")),
        }
    }
    slots
}

/// Links the slots after entry 1. Gives the signed entries, entry 1 included.
pub(super) fn link(
    genesis: Entry,
    slots: Vec<Slot>,
    failures: &mut Vec<Failure>,
    notices: &mut Vec<Notice>,
) -> Vec<Entry> {
    let mut linker = Linker {
        last_sha256: Some(genesis.sha256.clone()),
        entries: vec![genesis],
        expected: 2,
        bad: Vec::new(),
        failures,
        notices,
    };
    for slot in slots {
        linker.place(slot);
    }
    linker.fail_bad();
    linker.entries
}

struct Linker<'a> {
    entries: Vec<Entry>,
    /// Digest that the next entry must link to; none where a gap or a newer entry hides it.
    last_sha256: Option<Sha256Hex>,
    expected: u64,
    /// Slots since the last signed entry that hold no entry of this archive.
    bad: Vec<(u64, SlotFault)>,
    failures: &'a mut Vec<Failure>,
    notices: &'a mut Vec<Notice>,
}

impl Linker<'_> {
    fn place(&mut self, slot: Slot) {
        let seq = slot.seq;
        let signed = matches!(slot.judged, Ok(_) | Err(SlotFault::NewerVersion(_)));
        if seq != self.expected {
            if !signed {
                self.failures.push(Failure::UnexpectedObject {
                    name: layout::entry(seq),
                    why: "it lies beyond the end of the chain",
                });
                return;
            }
            self.failures.push(Failure::Gap {
                slot: self.expected,
            });
            self.fail_bad();
            self.last_sha256 = None;
        }
        self.expected = seq + 1;
        match slot.judged {
            Ok(statement) => {
                self.check_link(seq, &statement);
                self.last_sha256 = Some(slot.sha256.clone());
                self.entries.push(Entry {
                    seq,
                    sha256: slot.sha256,
                    statement,
                });
            }
            Err(fault @ SlotFault::NewerVersion(_)) => {
                self.fail_bad();
                self.failures.push(Failure::of_slot(seq, fault));
                self.last_sha256 = Some(slot.sha256);
            }
            Err(fault) => self.bad.push((seq, fault)),
        }
    }

    fn check_link(&mut self, seq: u64, statement: &Statement) {
        let Some(last) = self.last_sha256.clone() else {
            return;
        };
        let linked = statement.previous_sha256.as_ref() == Some(&last);
        let named = &statement.burnt_slots;
        let bad = std::mem::take(&mut self.bad);
        let mut unnamed = false;
        for slot in named {
            if !bad.iter().any(|(bad, _)| bad == slot) {
                self.failures.push(Failure::BurntSlotWrong {
                    slot: seq,
                    named: *slot,
                });
            }
        }
        for (slot, fault) in bad {
            let detail = fault.to_string();
            if named.contains(&slot) {
                self.notices.push(Notice::Intruder {
                    slot,
                    named_by: seq,
                    detail,
                });
            } else if linked {
                self.failures.push(Failure::Intruder {
                    slot: seq,
                    intruder: slot,
                    detail,
                });
            } else {
                unnamed = true;
                self.failures.push(Failure::of_slot(slot, fault));
            }
        }
        // A broken slot in between explains why the link leads nowhere.
        if !linked && !unnamed {
            self.failures.push(Failure::LinkMismatch {
                slot: seq,
                expected: last,
                found: statement
                    .previous_sha256
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), ToString::to_string),
            });
        }
    }

    fn fail_bad(&mut self) {
        for (slot, fault) in std::mem::take(&mut self.bad) {
            self.failures.push(Failure::of_slot(slot, fault));
        }
    }
}

/// Whether any run is sealed twice, or both sealed and named as died.
pub(super) fn check_runs(entries: &[Entry], failures: &mut Vec<Failure>) {
    let mut sealed: BTreeMap<&RunId, u64> = BTreeMap::new();
    let mut dead: BTreeMap<&RunId, u64> = BTreeMap::new();
    for entry in entries {
        let slot = entry.seq;
        if let Some(run_id) = entry.statement.content.run_id() {
            match sealed.get(run_id) {
                Some(first) => failures.push(Failure::TwiceSealed {
                    slot,
                    first: *first,
                    run_id: run_id.clone(),
                }),
                None => {
                    sealed.insert(run_id, slot);
                }
            }
            if let Some(first) = dead.get(run_id) {
                failures.push(Failure::DeadRunSealed {
                    slot,
                    first: *first,
                    run_id: run_id.clone(),
                });
            }
        }
        let Content::Run(run) = &entry.statement.content else {
            continue;
        };
        for run_id in run.died_runs.iter().filter_map(|died| died.run_id.as_ref()) {
            dead.entry(run_id).or_insert(slot);
            if let Some(first) = sealed.get(run_id) {
                failures.push(Failure::DeadRunSealed {
                    slot,
                    first: *first,
                    run_id: run_id.clone(),
                });
            }
        }
    }
}

/// Whether the entries that were seen earlier are still there, unchanged.
pub(super) fn check_heads(
    expected: &[(u64, Sha256Hex)],
    slots: &[(u64, Sha256Hex)],
    failures: &mut Vec<Failure>,
) {
    for (seq, expected) in expected {
        match slots.iter().find(|(slot, _)| slot == seq) {
            Some((_, found)) if found == expected => {}
            Some((_, found)) => failures.push(Failure::HeadChanged {
                slot: *seq,
                expected: expected.clone(),
                found: found.clone(),
            }),
            None => failures.push(Failure::RemovedTail {
                expected: *seq,
                found: slots.last().map_or(0, |(slot, _)| *slot),
            }),
        }
    }
}
