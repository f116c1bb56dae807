//! 1,000 random mutations of an archive of 30 runs, each on a copy of its own: `verify` names a class
//! that fits each, and finds nothing where the changed file is one that nobody vouches for. The
//! generator knows which those are from how the archive was made, not from verification.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyproof::archive::layout::{self, Name};
use keyproof::archive::signer::Signer as _;
use keyproof::archive::starts;
use keyproof::archive::verify::{Failure, VerifyOptions, verify};
use keyproof::model::ids::{RunId, Sha256Hex};
use keyproof::seal::{ChangedBy, Envelope, Period, Statement};
use keyproof::testkit::{MemoryStore, SampleArchive, TestSigner};
use keyproof::time::{Clock as _, DAY_MS, HOUR_MS};

use crate::hostile::Dice;

const RUNS: usize = 30;
const MUTATIONS: usize = 1_000;
const THREADS: usize = 2;
/// Any other finds as much.
const SEED: u64 = 10;

/// What a slot with other bytes than its own can be.
const ENTRY: &[&str] = &[
    "envelope_not_canonical",
    "wrong_payload_type",
    "unknown_signer",
    "bad_signature",
    "key_misused",
    "statement_malformed",
    "replayed_entry",
    "genesis_not_pinned",
];
/// What a slot with other bytes under a good signature is.
const FORK: &[&str] = &["link_mismatch", "head_changed", "genesis_not_pinned"];
const GONE: &[&str] = &["missing_file", "gap", "removed_tail", "empty_archive"];

/// 30 runs in a bucket with a rollup, a note, two changes of key, an intruder in the chain, two runs
/// that died with leftovers, and one that is on its way.
struct Sample {
    bucket: Arc<MemoryStore>,
    names: Vec<String>,
    /// Files that nobody vouches for.
    open: BTreeSet<String>,
    /// Sealed runs with their slots, oldest first.
    runs: Vec<(RunId, u64)>,
    /// Whoever signed an entry, by fingerprint.
    signers: BTreeMap<Sha256Hex, Arc<TestSigner>>,
    pin: Sha256Hex,
    head: (u64, Sha256Hex),
}

async fn sample() -> Sample {
    let (mut archive, bucket) = SampleArchive::in_bucket();
    let recovery = Arc::new(TestSigner::generate());
    archive.recovery = Some(recovery.clone());
    let (mut open, mut died, mut runs) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut signers = vec![recovery];
    for day in 0..RUNS {
        match day {
            5 | 21 => {
                let mut chain = archive.chain().await.expect("chain");
                let begun = archive.begin(&mut chain, None).await.expect("begin");
                archive.collect(&chain, &begun).await.expect("leftovers");
                if day == 5 {
                    let (store, clock) = (&*archive.store, &*archive.clock);
                    let ended = starts::end(store, clock, &begun.start, "interrupted").await;
                    ended.expect("end");
                } else {
                    // It says nothing until its deadline is over.
                    archive.clock.advance_ms(7 * HOUR_MS);
                }
                died.push(begun.start.run_id);
            }
            11 => {
                let head = archive.chain().await.expect("chain").head().seq;
                bucket.replace(&layout::entry(head + 1), "junk");
                open.insert(layout::entry(head + 1));
            }
            14 => drop(archive.note("a half").await.expect("note")),
            15 => {
                let changed = archive.change_key(ChangedBy::Rotation).await;
                changed.expect("key");
            }
            18 => drop(archive.backfill().await.expect("backfill")),
            20 => drop(archive.rollup().await.expect("rollup")),
            25 => {
                let changed = archive.change_key(ChangedBy::Recovery).await;
                changed.expect("key");
            }
            _ => {}
        }
        signers.push(archive.signer.clone());
        let today = archive.clock.now().date();
        let mut run_id = None;
        let sealed = archive.run_for(today, |seal| run_id = Some(seal.run_id.clone()));
        let seq = sealed.await.expect("sealed").seq;
        runs.push((run_id.expect("sealed"), seq));
        archive.clock.advance_ms(DAY_MS);
    }
    let mut chain = archive.chain().await.expect("chain");
    let alive = archive.begin(&mut chain, None).await.expect("begin");
    open.insert(layout::start(alive.start.n));
    let names: Vec<String> = bucket.objects().into_keys().collect();
    let of_died = |name: &&String| died.iter().any(|run| name.contains(run.as_str()));
    open.extend(names.iter().filter(of_died).cloned());
    Sample {
        names,
        open,
        runs,
        signers: signers
            .into_iter()
            .map(|signer| (signer.public_key().keyid(), signer))
            .collect(),
        pin: chain.genesis_sha256().clone(),
        head: (chain.head().seq, chain.head().sha256.clone()),
        bucket,
    }
}

/// One mutation: what was done, and which classes say so; none where it is no failure.
struct Mutation {
    kind: &'static str,
    what: String,
    expected: BTreeSet<&'static str>,
}

impl Mutation {
    fn new<'a>(
        kind: &'static str,
        what: impl Into<String>,
        expected: impl IntoIterator<Item = &'a &'static str>,
    ) -> Self {
        Self {
            kind,
            what: what.into(),
            expected: expected.into_iter().copied().collect(),
        }
    }
}

impl Sample {
    fn pick<'a>(dice: &mut Dice, names: &[&'a String]) -> &'a String {
        names[dice.below(names.len())]
    }

    fn any<'a>(&'a self, dice: &mut Dice) -> &'a String {
        &self.names[dice.below(self.names.len())]
    }

    fn sealed(&self, wanted: impl Fn(&str) -> bool) -> Vec<&String> {
        let names = self.names.iter();
        names
            .filter(|n| !self.open.contains(*n) && wanted(n))
            .collect()
    }

    /// What other bytes under a name are.
    fn changed(&self, name: &str, new: &[u8]) -> &'static [&'static str] {
        if self.open.contains(name) {
            return &[];
        }
        let shorter = new.len() < self.bucket.read_now(name).len();
        match Name::parse(name) {
            Some(Name::Entry { .. }) => ENTRY,
            Some(Name::Key { .. }) => &["pem_not_canonical"],
            // Where only a digest is sealed, and no size, nobody can tell that it is shorter.
            _ if shorter => &["truncated", "digest_mismatch"],
            _ => &["digest_mismatch"],
        }
    }

    /// What the lack of a name is. An intruder that is gone leaves a hole, and so does a change of key.
    fn gone(&self, name: &str) -> &'static [&'static str] {
        let is_entry = matches!(Name::parse(name), Some(Name::Entry { .. }));
        if self.open.contains(name) && !is_entry {
            return &[];
        }
        GONE
    }

    /// Whether a second version or a delete marker counts: of what is vouched for, and wherever
    /// another version could stand in for the first.
    fn versions_count(&self, name: &str) -> bool {
        let free = matches!(
            Name::parse(name),
            Some(Name::Evidence { .. } | Name::End { .. })
        );
        !free || !self.open.contains(name)
    }

    /// Another name that the same file could have, and what a file there is.
    fn beside(&self, dice: &mut Dice, name: &str) -> (String, &'static [&'static str]) {
        let unexpected: &[_] = if self.open.contains(name) {
            &[]
        } else {
            &["unexpected_object"]
        };
        let (head, _) = &self.head;
        let last_start = self.names.iter().filter(|n| n.starts_with(layout::STARTS));
        let last_start = last_start.count() as u64;
        match Name::parse(name).expect("a name of an archive") {
            Name::Evidence {
                mut dataset,
                mut version,
                mut date,
                run_id,
                mut shard,
                mut writer,
            } => {
                match dice.below(5) {
                    0 => dataset = "key_access".to_owned(),
                    1 => version += 1,
                    2 => date = date.plus_days(1),
                    3 => shard += 1,
                    _ => writer = "beef".to_owned(),
                }
                let name = Name::Evidence {
                    dataset,
                    version,
                    date,
                    run_id,
                    shard,
                    writer,
                };
                (name.to_string(), unexpected)
            }
            Name::Rollup {
                quarter, run_id, ..
            } => (layout::rollup("other", 1, quarter, &run_id), unexpected),
            Name::Manifest { period, run_id } => {
                (layout::manifest(moved(period), &run_id), unexpected)
            }
            Name::Sums { period, run_id } => (layout::sums(moved(period), &run_id), unexpected),
            // It says another number: a start that cannot be read, and that a later seal would name.
            Name::Start { .. } => (layout::start(last_start + 1), &[]),
            Name::Entry { .. } if dice.below(2) == 0 => (layout::entry(head + 1), ENTRY),
            Name::Entry { .. } => {
                let far = head + 2 + dice.below(1_000) as u64;
                (layout::entry(far), &["unexpected_object"])
            }
            Name::Key { .. } => {
                let other = Sha256Hex::of(&dice.below(1_000).to_be_bytes());
                (layout::key(&other), unexpected)
            }
            Name::End { date, run_id }
            | Name::Scope { date, run_id }
            | Name::Shard { date, run_id, .. } => {
                (Name::Scope { date, run_id }.to_string(), unexpected)
            }
        }
    }

    /// Makes one mutation in `store`; none where nothing would have changed.
    async fn mutate(&self, dice: &mut Dice, store: &MemoryStore) -> Option<Mutation> {
        let name = self.any(dice);
        let bytes = self.bucket.read_now(name);
        let entries = self.sealed(|n| n.starts_with(layout::CHAIN));
        let made = match dice.below(21) {
            0 => {
                let bit = dice.below(bytes.len() * 8);
                let mut new = bytes;
                new[bit / 8] ^= 1 << (bit % 8);
                self.put("bit flipped", store, name, new)?
            }
            1 => {
                let kept = dice.below(bytes.len());
                self.put("truncated", store, name, bytes[..kept].to_vec())?
            }
            2 => {
                let more = (0..=dice.below(40)).map(|_| dice.below(256) as u8);
                let new = bytes.into_iter().chain(more.collect::<Vec<u8>>());
                self.put("extended", store, name, new.collect())?
            }
            3 => {
                store.remove(name);
                Mutation::new("removed", name, self.gone(name))
            }
            4 => {
                let (to, expected) = self.beside(dice, name);
                store.replace(&to, bytes);
                Mutation::new("duplicated", format!("{name} as {to}"), expected)
            }
            5 => {
                let (to, expected) = self.beside(dice, name);
                store.remove(name);
                store.replace(&to, bytes);
                let expected = expected.iter().chain(self.gone(name));
                Mutation::new("renamed", format!("{name} to {to}"), expected)
            }
            6 => {
                let other = self.any(dice);
                let theirs = self.bucket.read_now(other);
                let one = self.put("swapped", store, name, theirs)?;
                let two = self.put("swapped", store, other, bytes)?;
                let expected = one.expected.iter().chain(&two.expected);
                Mutation::new("swapped", format!("{name} and {other}"), expected)
            }
            7 => {
                let kind = name.split("/dt=").next()?.split_once('/')?.0;
                let mut older = self.sealed(|n| n.starts_with(kind) && n < name.as_str());
                older.retain(|n| n.len() == name.len());
                let older = older.get(dice.below(older.len()))?;
                self.put("older file", store, name, self.bucket.read_now(older))?
            }
            8 => {
                let (from, to) = (Self::pick(dice, &entries), Self::pick(dice, &entries));
                self.put("entry replayed", store, to, self.bucket.read_now(from))?
            }
            9 => {
                let slot = Self::pick(dice, &entries);
                let new = encoded_again(dice, &self.bucket.read_now(slot));
                let made = self.put("envelope encoded again", store, slot, new)?;
                let expected = &["envelope_not_canonical", "genesis_not_pinned"];
                Mutation::new(made.kind, made.what, expected)
            }
            10 => {
                let slot = Self::pick(dice, &entries);
                let mut envelope = Envelope::parse(&self.bucket.read_now(slot)).expect("envelope");
                envelope.signature = other_signature(&envelope.signature);
                store.replace(slot, envelope.to_bytes());
                Mutation::new("signature's twin", slot, FORK)
            }
            11 => {
                let slot = Self::pick(dice, &entries);
                let stranger = Arc::new(TestSigner::generate());
                let signer = |_: &Sha256Hex| stranger.clone();
                store.replace(slot, self.signed_again(slot, signer).await);
                let expected = &["unknown_signer", "genesis_not_pinned"];
                Mutation::new("signed by a stranger", slot, expected)
            }
            12 => {
                let slot = Self::pick(dice, &entries);
                let signer = |keyid: &Sha256Hex| self.signers[keyid].clone();
                store.replace(slot, self.signed_again(slot, signer).await);
                Mutation::new("signed again by its signer", slot, FORK)
            }
            13 => {
                let name = stray(dice);
                store.replace(&name, "x");
                Mutation::new("stray file", name, &["unexpected_object"])
            }
            14 => {
                let (name, expected) = self.under_a_sealed_run(dice);
                store.replace(&name, "{}\n");
                Mutation::new("file under a sealed run", name, expected)
            }
            15 => {
                let (run_id, seq) = &self.runs[dice.below(self.runs.len())];
                let of_run = |n: &&String| n.contains(run_id.as_str());
                self.names
                    .iter()
                    .filter(of_run)
                    .for_each(|n| store.remove(n));
                store.remove(&layout::entry(*seq));
                Mutation::new("run removed", run_id.as_str(), &["gap", "removed_tail"])
            }
            16 => {
                let cut = 1 + dice.below(5);
                let last = entries.iter().rev().take(cut);
                last.for_each(|n| store.remove(n));
                Mutation::new("tail cut", format!("{cut} entries"), &["removed_tail"])
            }
            17 => {
                let counts = self.versions_count(name);
                let new = [bytes.clone(), b"other".to_vec()][dice.below(2)].clone();
                let changed = if new == bytes {
                    &[]
                } else {
                    self.changed(name, &new)
                };
                store.put_again(name, new);
                let second = ["second_version"];
                let expected = changed.iter().chain(second.iter().filter(|_| counts));
                Mutation::new("second version", name, expected)
            }
            18 => {
                let counts = self.versions_count(name);
                store.delete(name);
                if dice.below(2) == 0 {
                    let marker = ["delete_marker"];
                    let expected = self.gone(name).iter();
                    let expected = expected.chain(marker.iter().filter(|_| counts));
                    Mutation::new("deleted", name, expected)
                } else {
                    store.put_again(name, bytes);
                    let expected = ["delete_marker"];
                    let expected = expected.iter().filter(|_| counts);
                    Mutation::new("deleted and restored", name, expected)
                }
            }
            19 => self.kept_otherwise(dice, store, name),
            _ => {
                let slot = Self::pick(dice, &entries);
                let by = 900_001 + dice.below(DAY_MS as usize) as i64;
                let by = if dice.below(2) == 0 { by } else { -by };
                store.keep_otherwise(slot, |_, at| *at = at.map(|at| at.plus_ms(by)));
                let expected = &["written_far_from_signed", "written_out_of_order"];
                Mutation::new("entry written at another time", slot, expected)
            }
        };
        Some(made)
    }

    fn put(
        &self,
        kind: &'static str,
        store: &MemoryStore,
        name: &str,
        new: Vec<u8>,
    ) -> Option<Mutation> {
        if new == self.bucket.read_now(name) {
            return None;
        }
        let expected = self.changed(name, &new);
        store.replace(name, new);
        Some(Mutation::new(kind, name, expected))
    }

    /// Changes what storage says of how an object lies there.
    fn kept_otherwise(&self, dice: &mut Dice, store: &MemoryStore, name: &str) -> Mutation {
        let of_run = self
            .runs
            .iter()
            .any(|(run_id, seq)| name.contains(run_id.as_str()) || name == layout::entry(*seq));
        let (class, way) = match dice.below(4) {
            // Nothing tells for how long what stands outside of runs is to be locked.
            0 if of_run => ("lock_shortened", "lock shortened"),
            0 | 1 => ("lock_missing", "lock gone"),
            2 => ("other_storage_key", "under another key"),
            _ => ("stored_otherwise", "another checksum"),
        };
        store.keep_otherwise(name, |stored, _| match class {
            "lock_shortened" => {
                let lock = stored.lock.as_mut().expect("a lock");
                lock.until = lock.until.plus_ms(-1 - dice.below(DAY_MS as usize) as i64);
            }
            "lock_missing" => stored.lock = None,
            "other_storage_key" => stored.kms_key = Some(format!("{}-2", MemoryStore::KEY)),
            _ => stored.sha256 = Some(Sha256Hex::of(b"other")),
        });
        let asked = !self.open.contains(name);
        Mutation::new(way, name, [class].iter().filter(|_| asked))
    }

    /// A name that belongs to a sealed run, and what a file there is.
    fn under_a_sealed_run(&self, dice: &mut Dice) -> (String, &'static [&'static str]) {
        let evidence = self.sealed(|n| n.starts_with("evidence/"));
        let name = Self::pick(dice, &evidence);
        let Some(Name::Evidence { date, run_id, .. }) = Name::parse(name) else {
            panic!("{name}");
        };
        let name = match dice.below(4) {
            0 => return self.beside(dice, name),
            1 => Name::Scope { date, run_id },
            2 => Name::Shard {
                date,
                run_id,
                shard: dice.below(9) as u32,
            },
            // Somebody may have ended it in the instant in which it was sealed.
            _ => return (Name::End { date, run_id }.to_string(), &[]),
        };
        (name.to_string(), &["unexpected_object"])
    }

    /// An entry that says that it was signed a millisecond later.
    async fn signed_again(
        &self,
        slot: &str,
        signer: impl Fn(&Sha256Hex) -> Arc<TestSigner>,
    ) -> Vec<u8> {
        let envelope = Envelope::parse(&self.bucket.read_now(slot)).expect("envelope");
        let mut statement = Statement::parse(&envelope.payload).expect("statement");
        statement.at = statement.at.plus_ms(1);
        let (signer, payload) = (signer(&envelope.keyid), statement.to_bytes());
        let signature = signer.sign(&Envelope::to_sign(&payload)).await;
        let (keyid, signature) = (signer.public_key().keyid(), signature.expect("signature"));
        Envelope {
            payload,
            keyid,
            signature,
        }
        .to_bytes()
    }

    /// What is found up to level 4, and where that is nothing, up to 6: reading rows takes longest.
    async fn classes(&self, store: &MemoryStore) -> BTreeSet<&'static str> {
        let found = self.classes_up_to(4, store).await;
        if found.is_empty() {
            return self.classes_up_to(6, store).await;
        }
        found
    }

    async fn classes_up_to(&self, level: u8, store: &MemoryStore) -> BTreeSet<&'static str> {
        let options = VerifyOptions {
            level,
            strict: true,
            pin: Some(self.pin.clone()),
            expected_heads: vec![self.head.clone()],
            ..VerifyOptions::default()
        };
        let report = verify(store, &options).await.expect("listed");
        assert_eq!(report.passed(), report.failures.is_empty());
        report.failures.iter().map(Failure::class).collect()
    }

    /// Tries mutations until `wanted` were ones to detect; counts by class and kind, and what was missed.
    async fn try_some(&self, seed: u64, wanted: usize) -> (Counts, Vec<String>) {
        let mut detected = 0;
        let (mut counts, mut missed) = (Counts::new(), Vec::new());
        let mut dice = Dice(seed);
        while detected < wanted {
            let store = self.bucket.copy();
            let Some(mutation) = self.mutate(&mut dice, &store).await else {
                continue;
            };
            let found = self.classes(&store).await;
            let Mutation {
                kind,
                what,
                expected,
            } = mutation;
            let fitting = found.intersection(&expected).next();
            let class = match (expected.is_empty(), fitting) {
                (true, _) if found.is_empty() => "no failure",
                (false, Some(class)) => class,
                _ => {
                    missed.push(format!("{kind}, {what}: {found:?}, expected {expected:?}"));
                    "missed"
                }
            };
            detected += usize::from(!expected.is_empty());
            *counts.entry((class, kind)).or_default() += 1;
        }
        (counts, missed)
    }
}

/// By class that fits and kind of mutation.
type Counts = BTreeMap<(&'static str, &'static str), usize>;

fn moved(period: Period) -> Period {
    match period {
        Period::Date(date) => Period::Date(date.plus_days(1)),
        Period::Quarter(quarter) => Period::Quarter(quarter.end().plus_days(1).quarter()),
    }
}

/// A name that no archive has, or that belongs to no run.
fn stray(dice: &mut Dice) -> String {
    let n = dice.below(100_000);
    match dice.below(6) {
        0 => format!("notes-{n}.txt"),
        1 => format!("chain/{n}.dsse.json"),
        2 => format!("keys/{n}.pem"),
        3 => format!("starts/{n}"),
        4 => format!("evidence/account/v1/dt=2026-11-24/a b {n}"),
        _ => {
            format!("evidence/account/v1/dt=2026-11-24/20261124T020000Z-{n:08x}ff.s00-9c1f.parquet")
        }
    }
}

/// The same envelope to whoever reads JSON, in other bytes.
fn encoded_again(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let again = match dice.below(6) {
        0 => serde_json::to_string_pretty(&value).expect("JSON"),
        1 => text.trim_end().to_owned(),
        2 => format!(" {text}"),
        3 => text.replace('/', "\\/"),
        4 => text.replace(r#"{"payload":"#, r#"{"note":1,"payload":"#),
        _ => text.replace('\n', "\r\n"),
    };
    again.into_bytes()
}

/// An ECDSA signature (r, s) holds as (r, n − s) too: the same signer, message and key, other bytes.
fn other_signature(der: &[u8]) -> Vec<u8> {
    /// Order of the curve P-256 (FIPS 186-5, SP 800-186 3.2.1.3).
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let r_end = 4 + usize::from(der[3]);
    let (r, s) = (&der[4..r_end], &der[r_end + 2..]);
    let mut padded = vec![0; 33 - s.len()];
    padded.extend_from_slice(s);
    let mut rest = Vec::new();
    let mut borrow = 0;
    for (at, s) in padded[1..].iter().enumerate().rev() {
        let digit = i32::from(u8::from_str_radix(&N[at * 2..at * 2 + 2], 16).expect("hex"));
        let left = digit - i32::from(*s) - borrow;
        borrow = i32::from(left < 0);
        rest.push(left.rem_euclid(256) as u8);
    }
    rest.reverse();
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    rest.drain(..zeros);
    if rest[0] >= 0x80 {
        rest.insert(0, 0);
    }
    let integer = |bytes: &[u8]| [&[2, bytes.len() as u8], bytes].concat();
    let body = [integer(r), integer(&rest)].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("runtime").block_on(future)
}

#[test]
fn a_thousand_random_mutations_are_detected() {
    let sample = block_on(sample());
    assert_eq!(block_on(sample.classes(&sample.bucket)), BTreeSet::new());
    assert!(sample.names.len() > 200, "{}", sample.names.len());
    let (mut counts, mut missed) = (Counts::new(), Vec::new());
    std::thread::scope(|scope| {
        let sample = &sample;
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|n| scope.spawn(move || block_on(sample.try_some(SEED + n, MUTATIONS / THREADS))))
            .collect();
        for thread in threads {
            let (more, others) = thread.join().expect("no panic");
            for (key, count) in more {
                *counts.entry(key).or_default() += count;
            }
            missed.extend(others);
        }
    });
    for ((class, kind), count) in &counts {
        println!("{class:<24} {kind:<32} {count:>4}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    let kinds: BTreeSet<&str> = counts.keys().map(|(_, kind)| *kind).collect();
    let classes: BTreeSet<&str> = counts.keys().map(|(class, _)| *class).collect();
    assert!(kinds.len() >= 24, "{kinds:?}");
    assert!(classes.len() >= 15, "{classes:?}");
}
