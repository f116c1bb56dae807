//! OU paths by one walk of the tree, for the day AWS leaves `Account.Paths` out.

use std::collections::{HashMap, HashSet};

use crate::collect::operation::Operation;
use crate::discover::{Ask, DiscoverError};
use crate::model::ids::AccountId;

/// The path of every account, `o-…/r-…/ou-…/`. Each unit is visited once, whatever the answers say.
pub(super) async fn walk(
    ask: &Ask<'_>,
    organization: &str,
) -> Result<HashMap<AccountId, String>, DiscoverError> {
    let Ask {
        cloud, attempts, ..
    } = *ask;
    let roots = attempts
        .own_pages(&ask.budget(), Operation::ListRoots, |next| {
            cloud.roots(next)
        })
        .await?;
    let mut open: Vec<(String, String)> = roots
        .into_iter()
        .map(|r| (format!("{organization}/{}/", r.id), r.id))
        .collect();
    let mut seen = HashSet::new();
    let mut paths = HashMap::new();
    while let Some((path, unit)) = open.pop() {
        if !seen.insert(unit.clone()) {
            continue;
        }
        let unit = &unit;
        let accounts = attempts
            .own_pages(&ask.budget(), Operation::ListAccountsForParent, |next| {
                cloud.accounts_of(unit, next)
            })
            .await?;
        paths.extend(accounts.into_iter().map(|id| (id, path.clone())));
        let children = attempts
            .own_pages(
                &ask.budget(),
                Operation::ListOrganizationalUnitsForParent,
                |next| cloud.units_of(unit, next),
            )
            .await?;
        open.extend(
            children
                .into_iter()
                .map(|u| (format!("{path}{}/", u.id), u.id)),
        );
    }
    Ok(paths)
}
