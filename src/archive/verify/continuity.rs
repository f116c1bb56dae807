//! The chain as a verifier reads it: every slot, what it holds, and how it links.

use std::collections::BTreeMap;

use super::failure::{Failure, Notice};
use crate::archive::chain::Entry;
use crate::archive::keyring::{self, Keyring};
use crate::archive::layout::{self, Name};
use crate::archive::slot::{self, BATCH, SlotFault, Unjudged};
use crate::archive::store::{Fetch, Listed};
use crate::model::ids::{RunId, Sha256Hex};
use crate::seal::{ArchiveId, Content, Statement};

/// The chain as far as it can be followed.
pub(super) struct Followed {
    /// The signed entries, entry 1 included.
    pub entries: Vec<Entry>,
    /// Number and digest of every slot that could be read, whatever it holds.
    pub slots: Vec<(u64, Sha256Hex)>,
    /// The keys as the last entry leaves them.
    pub keys: Keyring,
    /// Some slot does not hold what it held once.
    pub broken: bool,
}

/// Reads, judges and links every slot after entry 1, by the keys that `keys` and the entries name. A
/// slot that cannot be read is a failure.
pub(super) async fn follow(
    fetch: &dyn Fetch,
    listing: &[Listed],
    genesis: Entry,
    keys: Keyring,
    failures: &mut Vec<Failure>,
    notices: &mut Vec<Notice>,
) -> Followed {
    let listed = listing.iter().filter_map(|l| match Name::parse(&l.name) {
        Some(Name::Entry { seq }) if seq > 1 => Some((seq, l.clone())),
        _ => None,
    });
    let (numbers, listed): (Vec<u64>, Vec<Listed>) = listed.unzip();
    let mut slots = vec![(1, genesis.sha256.clone())];
    let mut unreadable = Vec::new();
    let mut linked = Vec::new();
    let mut linker = Linker {
        fetch,
        keys,
        archive_id: genesis.statement.archive_id.clone(),
        last_sha256: Some(genesis.sha256.clone()),
        entries: vec![genesis],
        expected: 2,
        bad: Vec::new(),
        failures: &mut linked,
        notices,
    };
    for (numbers, listed) in numbers.chunks(BATCH).zip(listed.chunks(BATCH)) {
        let read = Unjudged::read(fetch, listed).await;
        for (seq, unjudged) in numbers.iter().zip(read) {
            match unjudged {
                Ok(unjudged) => {
                    slots.push((*seq, unjudged.sha256.clone()));
                    linker.place(*seq, unjudged).await;
                }
                Err(error) => unreadable.push(super::files::unreadable(error, "the chain")),
            }
        }
    }
    linker.fail_bad();
    let (entries, keys) = (linker.entries, linker.keys);
    let broken = !linked.is_empty();
    failures.extend(unreadable);
    failures.extend(linked);
    Followed {
        entries,
        slots,
        keys,
        broken,
    }
}

struct Linker<'a> {
    fetch: &'a dyn Fetch,
    keys: Keyring,
    archive_id: ArchiveId,
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
    async fn place(&mut self, seq: u64, slot: Unjudged) {
        let judged = slot.judge(seq, &self.keys, Some(&self.archive_id));
        if seq != self.expected {
            let signed = match &judged {
                Err(SlotFault::UnknownSigner { keyid }) => {
                    self.is_by_next_key(seq, &slot, keyid).await
                }
                judged => slot::is_of_archive(judged),
            };
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
        match judged {
            Ok(statement) => {
                self.check_link(seq, &statement);
                self.change_key(seq, &statement.content).await;
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

    /// Whether the slot holds an entry of this archive by a key that lies in it, and that one of the missing
    /// entries may have named. It is not trusted for that: it shows that entries are missing.
    async fn is_by_next_key(&self, seq: u64, slot: &Unjudged, keyid: &Sha256Hex) -> bool {
        if self.keys.replaced_by(keyid).is_some() {
            return false;
        }
        match keyring::read_key(self.fetch, keyid).await {
            Ok(key) => {
                let keys = Keyring::new(key, None);
                let judged = slot.judge(seq, &keys, Some(&self.archive_id));
                matches!(judged, Ok(_) | Err(SlotFault::NewerVersion(_)))
            }
            Err(_) => false,
        }
    }

    async fn change_key(&mut self, seq: u64, content: &Content) {
        let Content::Key(change) = content else {
            return;
        };
        match keyring::read_key(self.fetch, &change.keyid).await {
            Ok(key) => self.keys.change(seq, key),
            Err(fault) => self
                .failures
                .push(Failure::of_key(fault, &layout::entry(seq))),
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
