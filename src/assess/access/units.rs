//! Which business unit a principal belongs to, and whether that is the cluster's.

use crate::assess::inputs::ScopeFacts;
use crate::model::ids::AccountId;

/// A business unit, by tag or by organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(in crate::assess) struct Unit {
    pub tag: Option<String>,
    /// The innermost organizational unit of the account.
    pub ou: Option<String>,
    pub account: Option<AccountId>,
}

impl Unit {
    /// The unit of a principal of `account`: its own tag, then the account's tag; and the account's
    /// organizational unit.
    pub fn of(tag: Option<&str>, account: &AccountId, scope: &ScopeFacts) -> Self {
        let row = scope.accounts.get(account);
        let said = |text: &str| (!text.trim().is_empty()).then(|| text.to_owned());
        Self {
            tag: tag
                .and_then(said)
                .or_else(|| row.and_then(|a| said(a.business_unit.as_deref()?))),
            ou: row.and_then(|a| last_ou(a.ou_path.as_deref()?)),
            account: Some(account.clone()),
        }
    }

    /// What to call it; `None` where nobody said.
    pub fn name(&self) -> Option<&str> {
        self.tag.as_deref().or(self.ou.as_deref())
    }

    /// Whether a principal of unit `other` belongs to this unit: by their tags where both have one,
    /// else by their accounts, else by organizational units. A tag and an organizational unit
    /// cannot be compared.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        let same_account = self.account.is_some() && self.account == other.account;
        match (&self.tag, &other.tag) {
            (Some(a), Some(b)) => Some(a == b),
            // A tag of its own says that it is another's, or not; nobody knows whose account it is.
            (None, Some(_)) => None,
            (_, None) if same_account => Some(true),
            (None, None) => match (&self.ou, &other.ou) {
                (Some(a), Some(b)) => Some(a == b),
                _ => None,
            },
            (Some(_), None) => None,
        }
    }
}

fn last_ou(path: &str) -> Option<String> {
    path.split('/')
        .rev()
        .find(|id| id.starts_with("ou-"))
        .map(str::to_owned)
}
