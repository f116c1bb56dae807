//! The columns of a measure, scope by scope.

use std::collections::BTreeMap;

use crate::sandbox::world::organization::Account;

/// Kind of scope, and scope, in the words of the measures.
pub type Scope = (&'static str, String);

/// The columns of one scope; `None` is SQL's NULL.
pub type Stated = BTreeMap<&'static str, Option<i64>>;

/// One measure. Every scope has every column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    rows: BTreeMap<Scope, Stated>,
    blank: Stated,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belongs {
    pub account: String,
    pub ou: String,
    pub business_unit: Option<String>,
    pub owner: Option<String>,
    pub cost_center: Option<String>,
}

impl Belongs {
    /// By what the account's tags say alone; the innermost unit where none names a business unit.
    pub fn to_account(account: &Account) -> Self {
        let mut units = account.path.split('/').filter(|id| id.starts_with("ou-"));
        let unit = units.next_back().map(str::to_owned);
        Self {
            account: account.id.clone(),
            ou: account.path.clone(),
            business_unit: tag(account, "business-unit").or(unit),
            owner: tag(account, "owner"),
            cost_center: tag(account, "cost-center"),
        }
    }

    pub fn scopes(&self) -> [Scope; 6] {
        let or = |value: &Option<String>, nobody: &str| {
            value.clone().unwrap_or_else(|| nobody.to_owned())
        };
        [
            ("organization", "(all)".to_owned()),
            ("ou", self.ou.clone()),
            ("account", self.account.clone()),
            (
                "business_unit",
                or(&self.business_unit, "(no business unit)"),
            ),
            ("owner", or(&self.owner, "(no owner)")),
            ("cost_center", or(&self.cost_center, "(no cost center)")),
        ]
    }
}

fn tag(account: &Account, name: &str) -> Option<String> {
    let found = account.tags.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.clone())
}

impl Figures {
    /// The organization alone, with 0 in the columns `sums` and nothing in `others`.
    pub(super) fn new(sums: &[&'static str], others: &[&'static str]) -> Self {
        let zeros = sums.iter().map(|column| (*column, Some(0)));
        let blank: Stated = zeros
            .chain(others.iter().map(|column| (*column, None)))
            .collect();
        let whole = ("organization", "(all)".to_owned());
        Self {
            rows: [(whole, blank.clone())].into(),
            blank,
        }
    }

    pub(super) fn row(&mut self, scope: Scope) -> &mut Stated {
        let blank = &self.blank;
        self.rows.entry(scope).or_insert_with(|| blank.clone())
    }

    /// Adds to a column, in each of the scopes. NULL counts as nothing.
    pub(super) fn add(
        &mut self,
        scopes: impl IntoIterator<Item = Scope>,
        column: &'static str,
        n: i64,
    ) {
        for scope in scopes {
            let cell = self.row(scope).entry(column).or_default();
            *cell = Some(cell.unwrap_or(0) + n);
        }
    }

    /// Every scope with its columns.
    pub fn rows(&self) -> &BTreeMap<Scope, Stated> {
        &self.rows
    }

    /// A column of the organization; `None` too where there is no such column.
    pub fn whole(&self, column: &str) -> Option<i64> {
        let whole = self.rows.get(&("organization", "(all)".to_owned()))?;
        whole.get(column).copied().flatten()
    }
}
