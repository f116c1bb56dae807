//! Which listed accounts are in scope, and why the others are not. Pure.

use std::collections::BTreeMap;

use crate::collect::api::ListedAccount;
use crate::collect::exceptions::{excluded_by, in_path};
use crate::collect::scope::{Scope, left_out};
use crate::discover::{DiscoverError, ScopeRequest};
use crate::model::datasets::Account;
use crate::model::ids::AccountId;

/// One row per listed account, sorted by id. An account that was not selected is just not wanted;
/// of the wanted ones some are excluded by a decision, and of the rest some cannot be entered.
pub(super) fn rows(
    scope: &Scope,
    request: &ScopeRequest,
    listed: Vec<ListedAccount>,
) -> Result<Vec<Account>, DiscoverError> {
    // A list that changes while it is read may name an account twice.
    let listed: BTreeMap<AccountId, ListedAccount> =
        listed.into_iter().map(|a| (a.id.clone(), a)).collect();
    let unknown: Vec<AccountId> = request
        .accounts
        .iter()
        .filter(|id| !listed.contains_key(id))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(DiscoverError::UnknownAccounts(unknown));
    }
    let listed = listed.into_values().collect();
    let rows = some_rows(scope, request, listed);
    let selected = |a: &Account| a.left_out_because.as_deref() != Some(left_out::NOT_SELECTED);
    if !rows.iter().any(selected) {
        return Err(DiscoverError::NothingSelected);
    }
    Ok(rows)
}

/// The rows of some of the accounts, as they will be among all of them.
pub(super) fn some_rows(
    scope: &Scope,
    request: &ScopeRequest,
    listed: Vec<ListedAccount>,
) -> Vec<Account> {
    let listed = listed.into_iter();
    listed.map(|account| row(scope, request, account)).collect()
}

fn row(scope: &Scope, request: &ScopeRequest, account: ListedAccount) -> Account {
    let ou_path = account.path.as_deref().and_then(|p| tidy(p, &account.id));
    let path = ou_path.as_deref();
    let all = request.accounts.is_empty() && request.ous.is_empty();
    let included = all
        || request.accounts.contains(&account.id)
        || request.ous.iter().any(|ou| in_path(path, ou));
    let selected = included && !request.exclude_accounts.contains(&account.id);
    let left_out_because = if !selected {
        Some(left_out::NOT_SELECTED.to_owned())
    } else if let Some(rule) = excluded_by(
        &request.exceptions,
        &account.id,
        path,
        request.scheduled_for,
    ) {
        Some(rule.id.clone())
    } else if !can_be_entered(account.state.as_deref()) {
        Some(left_out::STATE.to_owned())
    } else {
        None
    };
    Account {
        scheduled_for: request.scheduled_for,
        management: scope.management_account.as_ref() == Some(&account.id),
        account_id: account.id,
        name: account.name,
        state: account.state,
        ou_path,
        in_scope: left_out_because.is_none(),
        left_out_because,
        joined_at: account.joined_at,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

/// PENDING_CLOSURE still works and may run clusters; an account without a known state is tried
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_account_state.html>).
fn can_be_entered(state: Option<&str>) -> bool {
    matches!(state, None | Some("" | "ACTIVE" | "PENDING_CLOSURE"))
}

/// The path of OU ids with one slash after each. AWS may let it end in the account itself.
fn tidy(path: &str, account: &AccountId) -> Option<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != account.as_str())
        .collect();
    (!parts.is_empty()).then(|| format!("{}/", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let id: AccountId = "111122223333".parse().expect("account");
        for path in [
            "o-1/r-1/ou-1/",
            "o-1/r-1/ou-1",
            "/o-1/r-1/ou-1/111122223333/",
        ] {
            assert_eq!(tidy(path, &id).as_deref(), Some("o-1/r-1/ou-1/"), "{path}");
        }
        assert_eq!(tidy("//", &id), None);
    }

    #[test]
    fn states_decide_what_is_entered() {
        for yes in [None, Some("ACTIVE"), Some("PENDING_CLOSURE")] {
            assert!(can_be_entered(yes), "{yes:?}");
        }
        for no in ["SUSPENDED", "CLOSED", "PENDING_ACTIVATION", "NEW_STATE"] {
            assert!(!can_be_entered(Some(no)), "{no}");
        }
    }
}
