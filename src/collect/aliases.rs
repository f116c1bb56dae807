//! The names of keys, and what names prove: ListAliases of an account and Region once for all its
//! keys, and ListKeys where a key could not be described.
//!
//! Neither call needs anything of a key's own policy
//! (<https://docs.aws.amazon.com/kms/latest/APIReference/API_ListAliases.html>), so they answer where
//! DescribeKey is refused. A key that its account lists is AWS's or the customer's; AWS's have an
//! alias that begins with `alias/aws/`. With the *whole* list of aliases, a listed key that none
//! of AWS's points at is the customer's. Names that AWS predefined and nobody used yet have no
//! target and prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::api::ListedAlias;
use crate::collect::attempt::{Budget, CallError};
use crate::collect::lookups::{ItemEnd, end_of};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::model::datasets::KmsKey;
use crate::model::ids::Region;
use crate::model::key_reference::KeyArn;
use crate::model::words::Lookup;
use crate::time::UtcMillis;

/// How a refused key was shown to be the customer's.
const PROOF: &str = "listed_without_aws_alias";

/// Adds what aliases tell to the rows of keys that were asked in their owner's account, all of one
/// account and Region.
pub(super) async fn add(
    session: &Session,
    region: &Region,
    budget: &Budget,
    looked: &mut [(&mut KmsKey, &mut ItemEnd)],
) {
    let mut wanted = Wanted::of(looked.iter().map(|(row, _)| &**row));
    let listed = session
        .pages(
            budget,
            region,
            Operation::ListAliases,
            |m, next| async move { m.aliases(region, next).await },
            |page| page.into_iter().for_each(|alias| wanted.take(alias)),
        )
        .await;
    if let Err(error) = listed {
        return failed(&error, looked);
    }
    wanted.resolve();
    let mut ids = BTreeSet::new();
    if !wanted.refused.is_empty() {
        let listed = session
            .pages(
                budget,
                region,
                Operation::ListKeys,
                |m, next| async move { m.key_ids(region, next).await },
                |page| ids.extend(page.into_iter().filter(|id| wanted.refused.contains(id))),
            )
            .await;
        if let Err(error) = listed {
            let refused = looked
                .iter_mut()
                .filter(|(row, _)| row.lookup == Lookup::Denied);
            let mut refused: Vec<_> = refused.map(|(row, end)| (&mut **row, &mut **end)).collect();
            failed(&error, &mut refused);
        }
    }
    for (row, _) in looked {
        wanted.fill(row, &ids);
    }
}

/// An item whose aliases are not known is not whole.
fn failed(error: &CallError, looked: &mut [(&mut KmsKey, &mut ItemEnd)]) {
    for (_, end) in looked {
        let own = std::mem::replace(&mut **end, ItemEnd::Collected);
        **end = own.worse(end_of(error));
    }
}

/// What of a list of aliases concerns some keys. An account can have thousands.
#[derive(Default)]
struct Wanted {
    /// Names that references are made of.
    names: BTreeMap<String, Option<(String, Option<UtcMillis>)>>,
    /// Ids of keys, and the names that point at them.
    ids: BTreeMap<String, BTreeSet<String>>,
    /// Ids of keys that were not described.
    refused: BTreeSet<String>,
    /// All names whose key is not known before the list ends.
    refused_names: Vec<String>,
    by_target: BTreeMap<String, BTreeSet<String>>,
}

impl Wanted {
    fn of<'a>(rows: impl Iterator<Item = &'a KmsKey>) -> Self {
        let mut wanted = Self::default();
        let rows = rows.filter(|row| matches!(row.lookup, Lookup::Found | Lookup::Denied));
        for row in rows {
            let Some(reference) = KeyArn::parse(&row.key_reference) else {
                continue;
            };
            if reference.is_alias() {
                wanted.names.insert(reference.resource.clone(), None);
            }
            let is_refused = row.lookup == Lookup::Denied;
            match (key_id(row, &reference), is_refused) {
                (Some(id), _) => {
                    if is_refused {
                        wanted.refused.insert(id.clone());
                    }
                    wanted.ids.insert(id, BTreeSet::new());
                }
                (None, true) => wanted.refused_names.push(reference.resource),
                (None, false) => {}
            }
        }
        wanted
    }

    fn take(&mut self, alias: ListedAlias) {
        let Some(target) = alias.target else {
            return;
        };
        if let Some(known) = self.names.get_mut(&alias.name) {
            *known = Some((target.clone(), alias.updated_at));
        }
        if let Some(names) = self.ids.get_mut(&target) {
            names.insert(alias.name);
        } else if !self.refused_names.is_empty() {
            // Which key a refused name stands for may be told by a later page.
            self.by_target.entry(target).or_default().insert(alias.name);
        }
    }

    /// The list is whole: what refused names stand for is known.
    fn resolve(&mut self) {
        for name in std::mem::take(&mut self.refused_names) {
            if let Some(Some((target, _))) = self.names.get(&name) {
                let names = self.by_target.get(target).cloned().unwrap_or_default();
                self.ids.entry(target.clone()).or_default().extend(names);
                self.refused.insert(target.clone());
            }
        }
        self.by_target.clear();
    }

    fn fill(&self, row: &mut KmsKey, listed: &BTreeSet<String>) {
        if !matches!(row.lookup, Lookup::Found | Lookup::Denied) {
            return;
        }
        let Some(reference) = KeyArn::parse(&row.key_reference) else {
            return;
        };
        let named = self.names.get(&reference.resource).cloned().flatten();
        if let Some((_, updated_at)) = &named {
            row.alias_updated_at = *updated_at;
        }
        let id = key_id(row, &reference).or(named.map(|(target, _)| target));
        let Some((id, names)) = id.and_then(|id| self.ids.get_key_value(&id)) else {
            return;
        };
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        row.aliases = Some(all.join(" "));
        let is_aws = names.iter().any(|name| name.starts_with("alias/aws/"));
        if row.lookup == Lookup::Denied && listed.contains(id) && !is_aws {
            row.customer_proof = Some(PROOF.to_owned());
        }
    }
}

/// The id of the key, as far as the row alone tells it.
fn key_id(row: &KmsKey, reference: &KeyArn) -> Option<String> {
    let resource = match &row.key_arn {
        Some(arn) => KeyArn::parse(arn)?.resource,
        None => reference.resource.clone(),
    };
    resource.strip_prefix("key/").map(str::to_owned)
}
