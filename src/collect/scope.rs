//! What a run is expected to see, as `discover` hands it over.

use std::sync::Arc;

use crate::collect::api::{CallerIdentity, Tag};
use crate::model::datasets::Account;
use crate::model::ids::{AccountId, Region};

/// Longest text that is kept of a free field.
const MAX_TEXT: usize = 2_048;

/// The accounts of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Absent without AWS Organizations.
    pub organization_id: Option<String>,
    pub caller: CallerIdentity,
    pub management_account: Option<AccountId>,
    /// Every account that was listed, in scope or not, sorted by id. There may be ten thousand, and each stage
    /// keeps the scope: they share one copy.
    pub accounts: Arc<Vec<Account>>,
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

/// A Region where EMR exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmrRegion {
    pub region: Region,
    /// Enabled in every account and impossible to disable.
    pub always_on: bool,
}

/// Names of the tags that may be kept; a tag without a name here is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagNames {
    pub owner: Option<String>,
    pub cost_center: Option<String>,
    pub business_unit: Option<String>,
    pub data_classification: Option<String>,
    pub lineage: Option<String>,
}

/// The value of the tag with a configured name.
pub fn tag_value(tags: &[Tag], name: Option<&str>) -> Option<String> {
    let name = name?;
    tags.iter()
        .find(|t| t.name == name)
        .and_then(|t| text(&Some(t.value.clone())))
}

/// Trimmed and bounded; `None` for what is empty, which AWS treats like a missing value.
pub(crate) fn text(value: &Option<String>) -> Option<String> {
    let value = value.as_deref()?.trim();
    (!value.is_empty()).then(|| value.chars().take(MAX_TEXT).collect())
}
