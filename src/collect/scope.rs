//! What a run is expected to see, as `discover` hands it over.

use crate::collect::api::CallerIdentity;
use crate::model::datasets::Account;
use crate::model::ids::AccountId;

/// The accounts of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Absent without AWS Organizations.
    pub organization_id: Option<String>,
    pub caller: CallerIdentity,
    pub management_account: Option<AccountId>,
    /// Every account that was listed, in scope or not, sorted by id.
    pub accounts: Vec<Account>,
}

impl Scope {
    /// The listed account with this id.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts
            .binary_search_by(|a| a.account_id.cmp(id))
            .ok()
            .and_then(|i| self.accounts.get(i))
    }
}

/// Why an account was left out, as the `account` dataset has it.
pub mod left_out {
    /// Its state allows no access.
    pub const STATE: &str = "state";
    /// It was not asked for, or was asked to be left out on the command line.
    pub const NOT_SELECTED: &str = "not_selected";
}
