//! Organizations: accounts, the tree of units, tags.

use aws_sdk_organizations::types;

use crate::aws::error::Asked;
use crate::aws::member::{millis, next};
use crate::collect::api::{ApiError, ListedAccount, Organization, OrganizationalUnit, Page, Tag};
use crate::model::ids::AccountId;

pub(super) fn organization(
    asked: Asked<'_>,
    given: Option<types::Organization>,
) -> Result<Organization, ApiError> {
    let given = given.ok_or_else(|| asked.unreadable("no organization in the answer"))?;
    Ok(Organization {
        id: given
            .id
            .ok_or_else(|| asked.unreadable("no organization id in the answer"))?,
        management_account_id: account_id(asked, given.master_account_id.as_deref())?,
    })
}

pub(super) fn account_id(asked: Asked<'_>, given: Option<&str>) -> Result<AccountId, ApiError> {
    given
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| asked.unreadable("an account without a readable id in the answer"))
}

pub(super) fn accounts(
    asked: Asked<'_>,
    given: Option<Vec<types::Account>>,
    token: Option<String>,
) -> Result<Page<ListedAccount>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|account| listed_account(asked, account))
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}

/// `State` is newer than `Status` and tells closed from suspended
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_account_state.html>).
fn listed_account(asked: Asked<'_>, given: types::Account) -> Result<ListedAccount, ApiError> {
    let id = account_id(asked, given.id.as_deref())?;
    let state = match (given.state, given.status) {
        (Some(state), _) => Some(state.as_str().to_owned()),
        (None, Some(status)) => Some(status.as_str().to_owned()),
        (None, None) => None,
    };
    Ok(ListedAccount {
        id,
        name: given.name,
        state,
        path: given.paths.unwrap_or_default().into_iter().next(),
        joined_at: millis(asked, given.joined_timestamp)?,
    })
}

pub(super) fn accounts_of(
    asked: Asked<'_>,
    given: Option<Vec<types::Account>>,
    token: Option<String>,
) -> Result<Page<AccountId>, ApiError> {
    let items = given
        .unwrap_or_default()
        .into_iter()
        .map(|account| account_id(asked, account.id.as_deref()))
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}

pub(super) fn units(
    asked: Asked<'_>,
    ids: impl Iterator<Item = Option<String>>,
    token: Option<String>,
) -> Result<Page<OrganizationalUnit>, ApiError> {
    let items = ids
        .map(|id| {
            id.map(|id| OrganizationalUnit { id })
                .ok_or_else(|| asked.unreadable("a unit without an id in the answer"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: next(token),
    })
}

pub(super) fn tags(given: Option<Vec<types::Tag>>, token: Option<String>) -> Page<Tag> {
    Page {
        items: given
            .unwrap_or_default()
            .into_iter()
            .map(|tag| Tag {
                name: tag.key,
                value: tag.value,
            })
            .collect(),
        next: next(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::operation::Operation;

    const ASKED: Asked<'_> = Asked {
        operation: Operation::ListAccounts,
        account: "-",
        region: "us-east-1",
    };

    #[test]
    fn state_wins_over_status() {
        let account = types::Account::builder()
            .id("111122223333")
            .state(types::AccountState::Closed)
            .paths("o-1/r-1/ou-1/")
            .build();
        let page = accounts(ASKED, Some(vec![account]), Some(String::new())).expect("page");
        assert_eq!(page.items[0].state.as_deref(), Some("CLOSED"));
        assert_eq!(page.items[0].path.as_deref(), Some("o-1/r-1/ou-1/"));
        assert_eq!(page.next, None);
    }

    #[test]
    fn an_account_without_an_id_spoils_the_page() {
        let account = types::Account::builder().name("x").build();
        assert!(accounts(ASKED, Some(vec![account]), None).is_err());
    }

    #[test]
    fn an_empty_page_may_go_on() {
        let page = accounts(ASKED, None, Some("t".into())).expect("page");
        assert!(page.items.is_empty() && page.next.is_some());
    }
}
