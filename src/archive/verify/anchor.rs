//! Level 7: whether what was remembered of the archive, or copied from it to another place, says the
//! same. Remembered heads are compared at level 3 already, by `continuity`; they count here too.

use std::collections::BTreeMap;

use super::check::Asked;
use super::failure::{Failure, Notice};
use super::report::Report;
use crate::archive::gather::gather;
use crate::archive::layout::{self, Name};
use crate::archive::store::Fetch;
use crate::model::ids::Sha256Hex;

/// Compares with the copy; an error says that there is nothing to compare with.
pub(super) async fn check(asked: &Asked<'_>, report: &mut Report) -> Result<(), String> {
    let Some(copy) = asked.copy else {
        return match asked.options.expected_heads.is_empty() {
            true => Err(
                "nothing to compare with: no head is remembered or given, and no copy is named"
                    .to_owned(),
            ),
            false => Ok(()),
        };
    };
    let url = copy.url();
    let copied = digests(copy).await?;
    let Some(last) = copied.keys().next_back().copied() else {
        return Err(format!("the copy {url} holds no chain"));
    };
    let ours: BTreeMap<u64, &Sha256Hex> = asked.slots.iter().map(|(n, sha)| (*n, sha)).collect();
    let failures = &mut report.failures;
    for (slot, expected) in &ours {
        let (slot, copy) = (*slot, url.clone());
        match copied.get(&slot) {
            Some(found) if found == *expected => {}
            Some(found) => failures.push(Failure::CopyDiffers {
                copy,
                slot,
                expected: (*expected).clone(),
                found: found.clone(),
            }),
            None if slot < last => failures.push(Failure::CopyGap { copy, slot }),
            None => {}
        }
    }
    for slot in copied.keys().filter(|slot| !ours.contains_key(slot)) {
        let (copy, slot) = (url.clone(), *slot);
        failures.push(Failure::OnlyInCopy { copy, slot });
    }
    let head = ours.keys().next_back().copied().unwrap_or_default();
    if last < head {
        report.notices.push(Notice::CopyBehind {
            copy: url,
            seq: last,
            behind: head - last,
        });
    }
    Ok(())
}

/// Digest of every slot of a copy.
async fn digests(copy: &dyn Fetch) -> Result<BTreeMap<u64, Sha256Hex>, String> {
    let failed = |e: crate::archive::store::StoreError| format!("the copy {}: {e}", copy.url());
    let listed = copy.list(layout::CHAIN).await.map_err(failed)?;
    let slots = listed
        .into_iter()
        .filter_map(|l| match Name::parse(&l.name) {
            Some(Name::Entry { seq }) => Some((seq, l.name)),
            _ => None,
        });
    let read = gather(slots.collect(), |(seq, name)| async move {
        copy.digest(&name).await.map(|(sha256, _)| (seq, sha256))
    })
    .await;
    read.into_iter().collect::<Result<_, _>>().map_err(failed)
}
